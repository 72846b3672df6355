import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { openLog } from '@penstock/log'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { gatewayConfigSchema, loadGatewayConfig, type SourceOptions } from '../src/config.ts'
import { diskOf, whyNotWritten } from '../src/probes/disk.ts'
import {
  judgeClockOffset,
  judgeJumps,
  judgeMachine,
  judgeZones,
  type MachineFacts,
  readMachine,
} from '../src/probes/machine.ts'
import { addressOf, probeAddress } from '../src/probes/network.ts'
import { probePort } from '../src/probes/ports.ts'
import { probeFiles } from '../src/probes/source-files.ts'
import { findGateway, probeSpool, spoolDir } from '../src/probes/spool.ts'
import { probeUplink } from '../src/probes/uplink.ts'
import type { FileSource } from '../src/source-files.ts'
import { tempFolder } from './harness.ts'

let folder: string
let remove: () => Promise<void>
beforeEach(async () => {
  ;({ path: folder, remove } = await tempFolder())
})
afterEach(() => remove())

const never = new AbortController().signal
const deps = { nowMs: () => Date.UTC(2026, 2, 2), platform: process.platform, signal: never }
const sourceOf = async (more: object): Promise<SourceOptions> => {
  const format = { kind: 'csv', time: { column: 't', layout: 'YYYY-MM-DD HH:mm:ss' }, columns: { p: 'float' } }
  const source = { id: 's', kind: 'tail', folder: 'in', pattern: '*.csv', zone: 'UTC', format, ...more }
  const file = join(folder, 'g.yaml')
  await writeFile(
    file,
    JSON.stringify({ gateway: 'g', uplink: { kind: 'http', url: 'http://127.0.0.1:1' }, sources: [source] }),
  )
  const [made] = (await loadGatewayConfig(file, {})).sources
  if (!made) throw new Error('no source')
  return made
}
const files = async (more: object = {}) => await probeFiles((await sourceOf(more)) as FileSource, deps)
const marksOf = (findings: { mark: string; text: string }[]) =>
  findings.map(({ mark, text }) => `${mark}: ${text.replaceAll(folder, '')}`)

describe('a source of files', () => {
  it('waits for its folder; a file in its place is wrong', async () => {
    expect(marksOf(await files())).toEqual(['warn: the folder /in does not exist; the gateway waits for it'])
    await writeFile(join(folder, 'in'), '')
    expect(marksOf(await files())).toEqual(['fail: /in is no folder'])
  })

  it('says what is in the folder where nothing matches', async () => {
    await mkdir(join(folder, 'in'))
    expect(marksOf(await files())).toEqual(['note: no file of /in matches *.csv yet: it is empty'])
    await writeFile(join(folder, 'in', 'run.CSV'), '')
    expect(marksOf(await files())).toEqual(['warn: no file of /in matches *.csv yet; it holds run.CSV'])
  })

  it('tries the format: rows, some rejects, nothing but rejects, rows from the future', async () => {
    await mkdir(join(folder, 'in'))
    const write = (text: string) => writeFile(join(folder, 'in', 'a.csv'), text)
    await write('t,p\n2026-03-01 10:00:00,1\n2026-03-01 10:00:01,2\n')
    expect(marksOf(await files())).toEqual(['ok: 1 file of /in, 48 B', 'ok: a.csv: 2 rows, none rejected'])
    await write('t,p\n2026-03-01 10:00:00,1\nx,2\n')
    expect(marksOf(await files())[1]).toMatch(/^warn: a\.csv: 1 of 2 rows are rejected; the first in line 3: /)
    await write('t,p\n01.03.2026,1\n02.03.2026,2\n')
    expect(marksOf(await files())[1]).toMatch(/^fail: a\.csv: none of 2 rows can be read; the first in line 2: /)
    await write('t,p\n2026-03-04 10:00:00,1\n')
    expect(marksOf(await files())[2]).toBe('warn: a.csv has rows from the future: 2026-03-04T10:00:00.000Z')
  })

  it('leaves everything as it was, and says of a drop that it may not move files', async () => {
    await mkdir(join(folder, 'in'))
    await writeFile(join(folder, 'in', 'a.csv'), 't,p\n2026-03-01 10:00:00,1\n')
    expect(marksOf(await files({ kind: 'drop' }))).toHaveLength(2)
    expect(await readdir(join(folder, 'in'))).toEqual(['a.csv'])
    await writeFile(join(folder, 'in', 'done'), '')
    expect(marksOf(await files({ kind: 'drop' }))[2]).toBe(
      'fail: files that were read cannot be moved: /in/done may not be written (ENOTDIR)',
    )
  })
})

describe('a serial port', () => {
  const ports = (paths: string[]) => ({
    platform: process.platform,
    listPorts: async () => paths.map(path => ({ path, serialNumber: `S${path.at(-1)}` })),
    gatewayPid: undefined,
  })
  it.skipIf(process.platform === 'win32')('is looked at without being opened', async () => {
    const [missing] = await probePort('s', '/dev/none', ports(['/dev/ttyUSB7']))
    expect(missing).toMatchObject({ mark: 'warn', remedy: expect.stringContaining('there are /dev/ttyUSB7') })
    const file = join(folder, 'tty')
    await writeFile(file, '')
    expect(await probePort('s', file, ports([]))).toMatchObject([{ mark: 'fail', text: `${file} is no serial port` }])
    await symlink('/dev/null', join(folder, 'port'))
    expect(await probePort('s', join(folder, 'port'), ports([]))).toMatchObject([{ about: 's' }])
  })
  it('is found by what its adapter says', async () => {
    expect(await probePort('s', { serialNumber: 'S9' }, ports(['/dev/ttyUSB7']))).toMatchObject([{ mark: 'warn' }])
    const two = { ...ports([]), listPorts: async () => [1, 2].map(n => ({ path: `/dev/x${n}`, vendorId: '0403' })) }
    expect(await probePort('s', { vendorId: '0403' }, two)).toMatchObject([{ mark: 'fail' }])
  })
})

describe('what is asked over the network', () => {
  it('is reached, or not', async () => {
    const server = createServer((_, answer) => answer.end()).listen(0, '127.0.0.1')
    await new Promise(resolve => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    const address = { host: '127.0.0.1', port }
    expect(await probeAddress('s', address, never)).toMatchObject({ mark: 'ok' })
    await new Promise(resolve => server.close(resolve))
    expect(await probeAddress('s', address, never)).toMatchObject({
      mark: 'warn',
      text: expect.stringContaining('ECONNREFUSED'),
    })
  })
  it('is known of sources by host and port, or by their address', () => {
    expect(addressOf({ kind: 'x', tcp: { host: 'plc', port: 502 } } as unknown as SourceOptions)).toEqual({
      host: 'plc',
      port: 502,
    })
    expect(addressOf({ kind: 'x', url: 'https://[::1]/a' } as unknown as SourceOptions)).toEqual({
      host: '::1',
      port: 443,
    })
    expect(addressOf({ kind: 'simulate' } as unknown as SourceOptions)).toBeUndefined()
  })
})

describe('the uplink over HTTP', () => {
  const probe = async (status: number, token?: string, date?: string) => {
    const seen: string[] = []
    const server = createServer((request, answer) => {
      seen.push(`${request.method} ${request.url} ${request.headers.authorization}`)
      answer.writeHead(status, date === undefined ? {} : { date }).end()
    }).listen(0, '127.0.0.1')
    await new Promise(resolve => server.once('listening', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const { uplink } = gatewayConfigSchema.parse({
      gateway: 'g',
      uplink: { kind: 'http', url },
      sources: [{ id: 's', kind: 'simulate' }],
    })
    const config = {
      gateway: 'g',
      uplink: { ...uplink, ...(token && { token }) } as Parameters<typeof probeUplink>[0]['uplink'],
    }
    const result = await probeUplink(config, { ...deps, random: () => 0 })
    await new Promise(resolve => server.close(resolve))
    return { ...result, seen }
  }
  it('takes credentials before it refuses an empty status', async () => {
    const taken = await probe(400, 'secret', 'Mon, 02 Mar 2026 00:01:00 GMT')
    expect(taken).toEqual({ state: 'ok', clockAheadMs: 60_500, seen: ['POST /v1/status?gateway=g Bearer secret'] })
    expect(await probe(401)).toMatchObject({ state: 'refused', why: 'it answers 401: the token is not taken' })
    expect(await probe(404)).toMatchObject({ state: 'refused' })
  })
  it('cannot be reached', async () => {
    const uplink = { kind: 'http', url: 'http://127.0.0.1:1' } as Parameters<typeof probeUplink>[0]['uplink']
    expect(await probeUplink({ gateway: 'g', uplink }, { ...deps, random: () => 0 })).toMatchObject({
      state: 'unreachable',
    })
  })
})

describe('spool and disk', () => {
  const spool = { bytesMax: 1024 * 1024, whenFull: 'block' as const, syncDelayMsMax: 2 }
  it('are looked at without being made', async () => {
    const dataDir = join(folder, 'data')
    expect(await probeSpool({ dataDir, spool }, process.platform)).toMatchObject([{ mark: 'ok' }])
    expect(await readdir(folder)).toEqual([])
    const all = { ...spool, bytesMax: Number.MAX_SAFE_INTEGER }
    expect(await probeSpool({ dataDir, spool: all }, process.platform)).toMatchObject([
      { mark: 'warn', text: expect.stringContaining('the disk is full before the spool is') },
    ])
    await writeFile(dataDir, '')
    expect(await probeSpool({ dataDir, spool }, process.platform)).toMatchObject([{ mark: 'fail' }])
  })
  it('a gateway that runs is told, not an error', async () => {
    const dataDir = folder
    const log = await openLog(spoolDir({ dataDir }))
    expect(await findGateway({ dataDir })).toBe(process.pid)
    expect(await probeSpool({ dataDir, spool }, process.platform)).toMatchObject([
      { mark: 'note', text: `a gateway runs on it (process ${process.pid})` },
      { mark: 'ok' },
    ])
    await log.close()
    expect(await findGateway({ dataDir })).toBeUndefined()
  })
  it('of a folder that is still to be made', async () => {
    const disk = await diskOf(join(folder, 'a', 'b'), process.platform)
    expect(disk.freeBytes).toBeGreaterThan(0)
    expect(await whyNotWritten(folder)).toBeUndefined()
    expect(await readdir(folder)).toEqual([])
  })
  it('a share is told by its UNC path on Windows', async () => {
    const onWindows = async (path: string) => (await diskOf(path, 'win32').catch(() => undefined))?.share
    expect(await onWindows('//server/lab')).toBe('SMB')
    expect(await onWindows('/var')).toBeUndefined()
  })
})

describe('the machine', () => {
  const good: MachineFacts = {
    ...{ nodeVersion: '20.19.0', platform: 'linux', arch: 'arm64', zone: 'Europe/Madrid' },
    ...{ totalBytes: 2 ** 30, availableBytes: 2 ** 29, isSynced: true, hasHardwareClock: true },
    ...{ watchesMax: 8192, openFilesMax: 1024 },
  }
  const judged = (more: Partial<MachineFacts>, folders = 1) =>
    judgeMachine({ ...good, ...more }, folders)
      .filter(({ mark }) => mark !== 'ok')
      .map(({ mark, about }) => `${mark} ${about}`)
  it('is judged by its facts, and every finding that is not ok has a remedy', () => {
    expect(judged({})).toEqual([])
    expect(judged({ nodeVersion: '20.18.3' })).toEqual(['fail node'])
    expect(judged({ nodeVersion: '22.1.0' })).toEqual([])
    expect(judged({ availableBytes: 2 ** 26 })).toEqual(['warn memory'])
    expect(judged({ isSynced: false, hasHardwareClock: false })).toEqual(['warn clock', 'warn clock'])
    expect(judged({ hasHardwareClock: false, arch: 'x64' })).toEqual([])
    expect(judged({}, 5000)).toEqual(['warn watches'])
    expect(judged({ openFilesMax: 256 })).toEqual(['warn files'])
    const bad = judgeMachine(
      { ...good, nodeVersion: '18.0.0', isSynced: false, watchesMax: 1, openFilesMax: 1, availableBytes: 1 },
      1,
    )
    expect(bad.every(({ mark, remedy }) => mark === 'ok' || remedy !== undefined)).toBe(true)
  })
  it('its clock is held against others, and against one that only counts on', () => {
    expect(judgeClockOffset(-900, 'x')).toMatchObject({ mark: 'ok' })
    expect(judgeClockOffset(-5000, 'x')).toMatchObject({ mark: 'warn', text: 'is 5 s ahead of that of x' })
    expect(judgeClockOffset(3_600_000, 'x')).toMatchObject({ mark: 'fail', text: 'is 3,600 s behind that of x' })
    expect(judgeJumps(3, 1000, 500)).toEqual([])
    expect(judgeJumps(-800, 1000, 100_000).map(({ text }) => text.split(' ')[0])).toEqual(['jumped', 'was'])
  })
  it('its zone beside those of the sources', () => {
    expect(judgeZones('UTC', ['UTC'])).toMatchObject([{ mark: 'ok' }])
    expect(judgeZones('UTC', ['UTC', 'Asia/Tokyo'])).toMatchObject([{ mark: 'note' }])
  })
  it('its facts are read here', async () => {
    expect(await readMachine('UTC')).toMatchObject({ nodeVersion: process.versions.node, zone: 'UTC' })
  })
})
