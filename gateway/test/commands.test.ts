/** What the commands print, without a process each: golden files beside this one (`vitest -u` writes them anew). */
import { copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import stringWidth from 'string-width'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkCommand } from '../src/commands/check.ts'
import { doctorCommand } from '../src/commands/doctor.ts'
import { initCommand } from '../src/commands/init.ts'
import { previewCommand } from '../src/commands/preview.ts'
import { sniffCommand } from '../src/commands/sniff.ts'
import { tapCommand } from '../src/commands/tap.ts'
import { loadGatewayConfig } from '../src/config.ts'
import { type Called, type CallOptions, call } from './call-line.ts'
import { tempFolder } from './harness.ts'

const fixtures = fileURLToPath(new URL('fixtures/commands/', import.meta.url))
const zone = 'Europe/Berlin'
let folder: string
let sample: string
let remove: () => Promise<void>
const home = process.cwd()
/** Nobody listens there. */
let nowhere: string
beforeEach(async () => {
  const free = await page(200, '', 'text/plain')
  nowhere = free.url
  await free.close()
  ;({ path: folder, remove } = await tempFolder())
  sample = join(folder, 'heizung_20260301.csv')
  await copyFile(join(fixtures, 'heizung_20260301.csv'), sample)
})
afterEach(async () => {
  process.chdir(home)
  await remove()
})

const page = async (status: number, body: string, type: string) => {
  const server = createServer((_, answer) => answer.writeHead(status, { 'content-type': type }).end(body))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, close: () => new Promise(resolve => server.close(resolve)) }
}

const sniff = (operands: string[], options?: CallOptions) => call(sniffCommand, 'sniff', operands, options)
const preview = (operands: string[], options?: CallOptions) => call(previewCommand, 'preview', operands, options)
const check = (operands: string[], options?: CallOptions) => call(checkCommand, 'check', operands, options)
const init = (operands: string[], options?: CallOptions) => call(initCommand, 'init', operands, options)
const tap = (operands: string[], options?: CallOptions) => call(tapCommand, 'tap', operands, options)

/** What differs from run to run and from machine to machine. */
const steady = (text: string): string =>
  text
    .replaceAll(folder, '<folder>')
    .replaceAll(nowhere, '<nowhere>')
    .replaceAll(nowhere.slice('http://'.length), '<nowhere>')
    // What sniff finds and doubts is its own; here it matters where it stands.
    .replace(/^(\S+ \(\d+ B\)\n)( {2}\S.*\n)+/, '$1  <findings>\n')
    .replace(/(?<=\nsources:\n[\s\S]*)^ *# .*\n/gm, '')
    .replace(/\n--all shows .*/, '')
    .replace(/in \d+ ms \([^)]*\)/gs, 'in N ms (R rows/s, B/s)')
    .replace(/[\d.]+ [KMGT]iB of the disk free/, 'much of the disk free')
const golden = async ({ out, error }: Called, name: string, width?: number) => {
  expect(error).toBeUndefined()
  for (const line of width === undefined ? [] : out.split('\n')) {
    // YAML is never cut: it is to be copied.
    if (!/^\s*(#|-|\w+:|[^\s:]+: [[{])/.test(line)) expect(stringWidth(line)).toBeLessThanOrEqual(width ?? 0)
  }
  await expect(`${steady(out).trimEnd()}\n`).toMatchFileSnapshot(join(fixtures, name))
}

describe('sniff', () => {
  it.each([80, 120])('fits a terminal of %i columns', async columns => {
    process.chdir(folder)
    await golden(await sniff(['heizung_20260301.csv'], { columns, options: { zone } }), `sniff-${columns}.txt`, columns)
  })

  it('as JSON holds rows, rejects and the source', async () => {
    const { out } = await sniff([sample], { options: { zone, json: true } })
    expect(JSON.parse(out)).toMatchObject({
      file: sample,
      rowsRead: 7,
      rowsRejected: 1,
      source: { id: 'heizung', kind: 'tail', folder, zone, format: { kind: 'csv', delimiter: ';' } },
      streams: [{ rows: 6, zone }],
      rejects: [{ origin: { firstLine: 6 } }],
    })
  })

  it('puts the source into a configuration, once, and comments stay', async () => {
    const config = join(folder, 'gateway.yaml')
    await writeFile(
      config,
      '# mine\ngateway: g\nzone: UTC\nuplink: { kind: mqtt, url: "mqtt://b" } # there\nsources:\n  - { id: x, kind: simulate }\n',
    )
    expect((await sniff([sample], { options: { zone, write: config } })).out).toContain('wrote the source "heizung"')
    const text = await readFile(config, 'utf8')
    expect(text).toMatch(/^# mine\n.*# there\n/s)
    expect((await loadGatewayConfig(config, {})).sources).toMatchObject([{ id: 'x' }, { id: 'heizung', folder }])
    const again = await sniff([sample], { options: { zone, write: config } })
    expect(again).toMatchObject({
      exitCode: 3,
      error: { message: `${config}: has a source "heizung" already; give another one by --id` },
    })
    expect(again.out).toBe('')
    expect(await readFile(config, 'utf8')).toBe(text)
    expect(await sniff([sample], { options: { zone, write: config, id: 'other' } })).toMatchObject({
      exitCode: undefined,
    })
    expect(await readdir(folder)).toHaveLength(2)
  })

  it('tells in one sentence what is wrong', async () => {
    const sentences: [string[], CallOptions, number, string | RegExp][] = [
      [[], {}, 2, /^penstock-gateway sniff: expected one file; /],
      [[join(folder, 'no.csv')], {}, 5, /no\.csv: there is no such file$/],
      [[folder], {}, 5, /: is a folder; give one file$/],
      [
        [sample],
        { options: { zone: 'Europe/Berln' } },
        2,
        /"Europe\/Berln" is not an IANA time zone, did you mean Europe\/Berlin\?/,
      ],
      [[sample], { options: { rows: '0' } }, 2, /--rows is "0", expected a whole number from 1 to 1000/],
      [
        [sample],
        { options: { write: join(folder, 'no.yaml') } },
        3,
        /no\.yaml: there is no such file; "penstock-gateway init" makes one/,
      ],
    ]
    for (const [operands, options, code, sentence] of sentences) {
      const { exitCode, error, out } = await sniff(operands, options)
      expect([exitCode, out]).toEqual([code, ''])
      expect(error?.message).toMatch(sentence)
    }
    await writeFile(sample, '')
    expect(await sniff([sample])).toMatchObject({
      exitCode: 1,
      error: { message: expect.stringContaining('the file is empty') },
    })
  })
})

describe('init', () => {
  it('writes a configuration for a sample, which is right, and never overwrites one', async () => {
    const path = join(folder, 'new', 'gateway.yaml')
    const options = { sample, zone, name: 'bench-3', cloud: 'mqtts://cloud.example' }
    expect((await init([join(folder, 'new')], { options })).out).toContain(`wrote ${path}`)
    const text = await readFile(path, 'utf8')
    await expect(steady(text)).toMatchFileSnapshot(join(fixtures, 'init.yaml'))
    expect(await check([path], { options: { offline: true } })).toMatchObject({
      out: expect.stringContaining(`${path}: ok: gateway bench-3; sources heizung (tail)`),
    })
    expect(await init([join(folder, 'new')], { options })).toMatchObject({
      exitCode: 5,
      error: { message: expect.stringContaining('is not overwritten') },
    })
    expect(await readFile(path, 'utf8')).toBe(text)
  })

  it('without a sample takes the latest file of the watched folder, or gives an example to fill in', async () => {
    expect((await init([folder], { options: { watch: '.', zone } })).out).toContain('7 rows, 1 rejected')
    const { out } = await init([join(folder, 'b')], { options: { json: true } })
    expect(JSON.parse(out)).toMatchObject({ source: { id: 'files', folder: 'inbox' } })
    expect(await check([join(folder, 'b', 'gateway.yaml')], { options: { offline: true } })).toMatchObject({
      exitCode: undefined,
    })
  })

  it.each([
    [{ name: 'readings' }, 2, /--name: "readings" .*choose another/],
    [{ cloud: 'ftp://x' }, 2, /--cloud: "ftp:\/\/x" is no address such as/],
    [{ zone: 'Mars' }, 2, /"Mars" is not an IANA time zone/],
    [{ sample: '/none.csv' }, 5, /^\/none\.csv: there is no such file$/],
  ])('with %j says what is wrong and writes nothing', async (options, code, sentence) => {
    const { exitCode, error } = await init([join(folder, 'c')], { options })
    expect(exitCode).toBe(code)
    expect(error?.message).toMatch(sentence)
    await expect(stat(join(folder, 'c'))).rejects.toThrow('ENOENT')
  })
})

const configured = async (more = '', first = 'kind: drop') => {
  const { out } = await sniff([sample], { options: { zone, json: true } })
  const { format } = JSON.parse(out).source
  await mkdir(join(folder, 'in'), { recursive: true })
  await copyFile(sample, join(folder, 'in', 'a.csv'))
  const config = join(folder, 'g.yaml')
  await writeFile(
    config,
    `gateway: bench\nzone: ${zone}\npage: false\nspool: { bytesMax: 1 MiB }\nuplink: { kind: http, url: "${nowhere}" }\nsources:\n  - { id: heat, ${first}, folder: in, pattern: "*.csv", format: ${JSON.stringify(format)} }\n${more}`,
  )
  return config
}
const seen = async () => {
  const names = (await readdir(join(folder, 'in'), { recursive: true })).toSorted()
  return Promise.all(names.map(async name => [name, (await stat(join(folder, 'in', name))).mtimeMs]))
}

describe('preview', () => {
  it('shows rows, rejects and totals of all files and leaves them where they are', async () => {
    const config = await configured()
    await writeFile(join(folder, 'in', 'b.csv'), await readFile(sample))
    const before = await seen()
    await golden(await preview([config], { columns: 80, options: { rows: '2' } }), 'preview-80.txt', 80)
    await golden(await preview([config], { columns: 120, options: { rows: '2' } }), 'preview-120.txt', 120)
    expect(await seen()).toEqual(before)
    expect(await readdir(folder)).not.toContain('data')
    const { out } = await preview([config, 'heat'], { options: { json: true, files: '1' } })
    expect(JSON.parse(out).sources).toMatchObject([
      { id: 'heat', rowsRead: 7, rowsRejected: 1, problems: [], files: [{ file: 'b.csv', rows: 7 }] },
    ])
  })

  it('listens to a live source for a while', async () => {
    const config = await configured('  - { id: sim, kind: simulate, weeksBack: 0 }\n')
    const { out } = await preview([config, 'sim'], { options: { json: true, seconds: '1' } })
    const [sim] = JSON.parse(out).sources
    expect(sim).toMatchObject({ id: 'sim', problems: [] })
    expect(sim.rowsRead).toBeGreaterThan(0)
  })

  it('names the sources there are, and what cannot be had', async () => {
    const config = await configured(
      '  - { id: gone, kind: tail, folder: nowhere, format: { kind: lines, pattern: "(?<a>.)", columns: { a: text } } }\n',
    )
    expect(await preview([config, 'heet'])).toMatchObject({
      exitCode: 2,
      error: { message: expect.stringContaining('did you mean "heat"?') },
    })
    const { out, exitCode } = await preview([config, 'gone'])
    expect(exitCode).toBe(1)
    expect(out).toContain('! the folder')
  })

  it('ends when it is told to, without moving anything', async () => {
    const config = await configured()
    const before = await seen()
    const { error } = await preview([config], { signal: AbortSignal.abort() })
    expect(error?.name).toBe('AbortError')
    expect(await seen()).toEqual(before)
  })
})

describe('check', () => {
  it('proves a configuration against files, disk and cloud', async () => {
    const config = await configured()
    const before = await seen()
    await golden(await check([config]), 'check.txt')
    for (const line of (await check([config], { columns: 80 })).out.split('\n').slice(0, -1)) {
      expect(stringWidth(line)).toBeLessThanOrEqual(80)
    }
    expect(await seen()).toEqual(before)
  })

  it('fails where no row can be read, and says so as JSON, too', async () => {
    const config = await configured('', 'kind: tail, finishMs: 1 s')
    await writeFile(join(folder, 'in', 'a.csv'), 'x;y\n1;2\n3;4\n')
    const plain = await check([config])
    expect(plain).toMatchObject({ exitCode: 3, error: { message: `${config}: 1 problem, 1 warning` } })
    expect(plain.out).toMatch(/^FAIL {2}heat/m)
    const { out } = await check([config], { options: { json: true } })
    expect(JSON.parse(out)).toMatchObject({ ok: false, gateway: 'bench' })
    expect(await check([config], { options: { offline: true } })).toMatchObject({ exitCode: undefined })
  })
})

it('doctor tells the machine and what is configured on it, as a table and as JSON', async () => {
  const config = await configured()
  const { out, error } = await call(doctorCommand, 'doctor', [config], { columns: 80 })
  expect(error).toBeUndefined()
  for (const line of out.split('\n')) expect(stringWidth(line)).toBeLessThanOrEqual(80)
  expect(out).toMatch(/^ok {4}node /m)
  const json = await call(doctorCommand, 'doctor', [config], { options: { json: true } })
  const { findings, facts } = JSON.parse(json.out)
  expect(facts.nodeVersion).toBe(process.versions.node)
  expect(findings).toContainEqual(expect.objectContaining({ mark: 'ok', about: 'heat', text: '1 file can be opened' }))
  expect(findings).toContainEqual(expect.objectContaining({ mark: 'warn', about: 'uplink' }))
})

describe('tap', () => {
  const passed = [
    {
      kind: 'rows',
      source: 's',
      site: 'lab',
      device: 'd',
      stream: 'p',
      columns: [
        { name: 'p', unit: 'mbar', type: 'float' },
        { name: 'v', type: 'text' },
      ],
      rows: [
        { time: '2026-03-01T07:00:00.000Z', values: [1.5, 'auf'], status: null },
        { time: '2026-03-01T07:00:01.000Z', values: [null, 'zu\u001b'], status: 'failed' },
      ],
      leftOut: 3,
    },
    {
      kind: 'reject',
      source: 's',
      reject: { origin: { source: 's', file: 'a.csv', firstLine: 7 }, reason: 'no', text: 'x' },
    },
    { kind: 'missed', rows: 12, rejects: 0 },
  ]
  const events = `retry: 1000\n\n${passed.map(event => `event: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`).join('event: beat\ndata: {}\n\n')}`

  it('shows rows, rejects and what was missed, as lines or as JSON', async () => {
    const { url, close } = await page(200, events, 'text/event-stream')
    const plain = await tap(['s'], { options: { url, zone } })
    expect(plain.out.split('\n')).toEqual([
      '… 3 rows of lab/d/p before these',
      '2026-03-01 08:00:00.000+01:00  lab/d/p  p 1.5 mbar · v auf',
      '2026-03-01 08:00:01.000+01:00  lab/d/p  p – mbar · v zu␛  (failed)',
      'rejected a.csv:7: no',
      '… 12 rows and 0 rejects passed faster than they could be shown',
    ])
    expect(plain).toMatchObject({ exitCode: 5, error: { message: expect.stringContaining('ended the connection') } })
    const json = await tap([], { options: { url, json: true, rows: '1' } })
    expect(json.error).toBeUndefined()
    expect(JSON.parse(json.out)).toEqual({
      source: 's',
      site: 'lab',
      device: 'd',
      stream: 'p',
      time: '2026-03-01T07:00:00.000Z',
      status: null,
      values: { p: 1.5, v: 'auf' },
    })
    const narrow = await tap([], { options: { url, zone, rows: '1' }, columns: 40 })
    for (const line of narrow.out.split('\n')) expect(stringWidth(line)).toBeLessThanOrEqual(40)
    await close()
  })

  it('says what is wrong in one sentence', async () => {
    const gone = await page(
      404,
      JSON.stringify({ detail: 'There is no source "x"; there are s.' }),
      'application/problem+json',
    )
    expect(await tap(['x'], { options: { url: gone.url } })).toMatchObject({
      exitCode: 2,
      error: { message: expect.stringContaining('there are s.') },
    })
    await gone.close()
    expect(await tap([], { options: { url: gone.url } })).toMatchObject({
      exitCode: 5,
      error: { message: expect.stringContaining('no gateway answers at') },
    })
    expect(await tap([], { options: { url: 'nothing' } })).toMatchObject({ exitCode: 2 })
    expect(await tap([], { options: { config: await configured() } })).toMatchObject({
      exitCode: 3,
      error: { message: expect.stringContaining('page is false') },
    })
  })
})
