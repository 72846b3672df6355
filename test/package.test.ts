/** The packaged gateway, as somebody unpacks it on a machine that has Node and nothing of this repository. */
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { decodeEnvelope, decodeStatus, type Envelope } from '@penstock/frame'
import { extract } from 'tar'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findProgram, type Program, run, until } from './programs.ts'

const top = fileURLToPath(new URL('..', import.meta.url))
const targets = ['linux-x64', 'linux-arm64', 'win32-x64']
const bytesMax = 25 * 1024 * 1024
const host = `${process.platform}-${process.arch}`
const socat = findProgram('socat')

let dir: string
let names: string[]
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'penstock-package-'))
  const built = run(process.execPath, [join(top, '.run', 'package.mjs'), '--out', join(dir, 'dist')])
  expect(await built.exited, built.output()).toMatchObject({ code: 0 })
  names = (await readdir(join(dir, 'dist'))).sort()
})
afterAll(() => rm(dir, { recursive: true, force: true }))

const folderOf = (target: string) =>
  join(dir, 'dist', names.find(name => name.endsWith(target)) ?? `no folder for ${target}`)
const filesOf = async (folder: string) => {
  const all = await readdir(folder, { recursive: true })
  const stats = await Promise.all(all.map(async name => ({ name, stats: await stat(join(folder, name)) })))
  return stats.filter(file => file.stats.isFile()).map(({ name, stats }) => ({ name, bytes: stats.size }))
}

describe('the package', () => {
  test('has a folder, an archive and its hash for every platform, small, and of nobody’s machine', async () => {
    expect(names.filter(name => !name.startsWith('.')).length).toBe(3 * targets.length)
    for (const target of targets) {
      const files = await filesOf(folderOf(target))
      expect(files.reduce((sum, file) => sum + file.bytes, 0)).toBeLessThan(bytesMax)
      expect(files.map(file => file.name)).toEqual(
        expect.arrayContaining(['INSTALL.md', 'LICENSE', 'THIRD-PARTY.txt', join('lib', 'main.js')]),
      )
      for (const { name } of files.filter(file => !file.name.endsWith('.node'))) {
        const text = await readFile(join(folderOf(target), name), 'utf8')
        expect(text.includes(top.replace(/\/$/, '')), name).toBe(false)
      }
    }
  })

  test('brings the serial bindings of its own platform', async () => {
    const head = async (target: string) => {
      const [file] = (await filesOf(folderOf(target))).filter(({ name }) => name.endsWith('.node'))
      return await readFile(join(folderOf(target), file?.name ?? ''))
    }
    // ELF: e_machine stands at 18; PE: the machine stands 4 behind the offset at 60.
    expect((await head('linux-x64')).readUInt16LE(18)).toBe(0x3e)
    expect((await head('linux-arm64')).readUInt16LE(18)).toBe(0xb7)
    const exe = await head('win32-x64')
    expect(exe.readUInt16LE(exe.readUInt32LE(60) + 4)).toBe(0x8664)
  })

  test('names every package whose code it carries, with its licence', async () => {
    const text = await readFile(join(folderOf('linux-x64'), 'THIRD-PARTY.txt'), 'utf8')
    for (const name of ['mqtt', 'zod', 'pino', 'yaml', 'serialport']) {
      expect(text).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ · \\S+$`, 'm'))
    }
  })
})

/** A cloud that takes envelopes over HTTP and gives receipts. */
const openSink = async (): Promise<{ server: Server; port: number; envelopes: Envelope[] }> => {
  const envelopes: Envelope[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    if (request.url?.startsWith('/v1/status')) {
      response.end(JSON.stringify({ epoch: decodeStatus(body).epoch, through: 0 }))
      return
    }
    envelopes.push(decodeEnvelope(body))
    response.writeHead(204).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return { server, port: typeof address === 'object' && address ? address.port : 0, envelopes }
}

describe.skipIf(!targets.includes(host) || process.platform === 'win32')('unpacked elsewhere', () => {
  let home: string
  let gateway: string
  beforeAll(async () => {
    home = join(dir, 'home')
    await mkdir(home)
    const archive = names.find(name => name.endsWith(`${host}.tar.gz`)) ?? ''
    await extract({ file: join(dir, 'dist', archive), cwd: home })
    const [folder] = await readdir(home)
    gateway = join(home, folder ?? '', 'penstock-gateway')
  })

  test('it says its version, and what is wrong with a configuration', async () => {
    const version = run(gateway, ['--version'])
    expect(await version.exited).toMatchObject({ code: 0 })
    expect(version.output()).toMatch(/^\d+\.\d+\.\d+\n$/)
    await writeFile(join(home, 'bad.yaml'), 'gatway: x\n')
    const check = run(gateway, ['check', join(home, 'bad.yaml')])
    expect(await check.exited).toMatchObject({ code: 3 })
    expect(check.output()).toContain('gateway')
  })

  test.skipIf(socat === undefined)(
    'it reads a file and a serial line, tells systemd, and ends when asked to',
    async () => {
      const sink = await openSink()
      const [near, far] = [join(home, 'near'), join(home, 'far')]
      const ports = run(socat ?? '', [`pty,raw,echo=0,link=${near}`, `pty,raw,echo=0,link=${far}`])
      await mkdir(join(home, 'bin'))
      await writeFile(join(home, 'bin', 'systemd-notify'), `#!/bin/sh\necho "$*" >> "${home}/told"\n`)
      await chmod(join(home, 'bin', 'systemd-notify'), 0o755)
      await mkdir(join(home, 'files'))
      await writeFile(join(home, 'files', 'a.csv'), 't,v\n1700000000,1\n1700000001,2\n')
      const config = join(home, 'gateway.yaml')
      await writeFile(
        config,
        `gateway: packed
zone: UTC
data: data
uplink: { kind: http, url: "http://127.0.0.1:${sink.port}" }
sources:
  - { id: files, kind: tail, folder: files, format: { kind: csv, time: { column: t, layout: s } } }
  - { id: line, kind: serial, port: ${near}, format: { kind: lines, pattern: "^(?<n>[0-9]+)$", columns: { n: int } } }
`,
      )
      let program: Program | undefined
      try {
        await until('both ports are there', async () => (await stat(near)) && (await stat(far)))
        const env = { NOTIFY_SOCKET: '@manager', PATH: `${join(home, 'bin')}:${process.env.PATH}` }
        program = run(gateway, ['run', config], env)
        const values = (name: string) =>
          sink.envelopes.flatMap(e =>
            e.frames.flatMap(f => f.columns.filter(c => c.name === name).flatMap(c => [...(c.values as number[])])),
          )
        await until('the file has come', () => values('v').length === 2)
        await until('the line was read', async () => {
          await writeFile(far, '7\n')
          return values('n').includes(7)
        })
        await program.kill('SIGTERM')
        expect(await program.exited).toMatchObject({ code: 0 })
        expect(values('v')).toEqual([1, 2])
        const told = await until('systemd was told', async () => {
          const text = await readFile(join(home, 'told'), 'utf8')
          return text.includes('STOPPING=1') ? text : undefined
        })
        expect(told).toMatch(/^--pid=\d+ READY=1 STATUS=/)
      } finally {
        if (program?.running()) await program.kill('SIGKILL')
        await ports.kill('SIGTERM')
        sink.server.close()
        sink.server.closeAllConnections()
      }
    },
  )
})
