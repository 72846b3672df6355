/**
 * The main path as a stranger would try it: real programs, real files, a real serial line, and what the API then says.
 */
import { existsSync } from 'node:fs'
import { appendFile, copyFile, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { findProgram, type House, openHouse, run, runMain, sample, until } from './programs.ts'
import { keyOf, type Level, type OracleRow, type Resolution, readStoreCounts } from './store-counts.ts'

const needsSample = (path: string) => {
  const there = existsSync(sample(path))
  if (!there) process.stdout.write(`not run: needs the samples folder (${path})\n`)
  return !there
}

let house: House
beforeEach(async () => {
  house = await openHouse()
})
afterEach(() => house.close())

const zones = {
  Madrid: 'Europe/Madrid',
  Paris: 'Europe/Paris',
  Berlin: 'Europe/Berlin',
  Roma: 'Europe/Rome',
  London: 'Europe/London',
}

const writeCloud = (more = '') =>
  house.write(
    'cloud.yaml',
    `listen: { port: ${house.pagePort} }
broker: { kind: embedded, port: ${house.brokerPort} }
data: cloud
sites:
${Object.entries(zones)
  .map(
    ([id, zone]) =>
      `  - { id: ${id}, kind: store, zone: ${zone}, opening: { mon-sat: "08:00-21:00", sun: closed }, streams: { count: { rowsPerHour: 1 } } }`,
  )
  .join('\n')}
  - { id: lab, kind: lab, zone: Asia/Tokyo }
${more}`,
  )

const writeGateway = (sources: string, uplink = `{ kind: mqtt, url: "mqtt://127.0.0.1:${house.brokerPort}" }`) =>
  house.write(
    'gateway.yaml',
    `gateway: bench
site: lab
zone: Asia/Tokyo
data: gateway
uplink: ${uplink}
sources:
${sources}`,
  )

const storeCountsFormat = `
      kind: csv
      time: { date: date, hour: hour, zone: { by: shop, zones: { ${Object.entries(zones)
        .map(([k, v]) => `${k}: ${v}`)
        .join(', ')} } } }
      tags: { site: { column: shop }, device: { column: sensor_id }, stream: count }
      nullTexts: ["", "NULL"]
      columns:
        count: { type: int, required: true, status: { "-1": failed, "-2": closed } }
        units: { type: text }`

const countsFromInbox = `  - id: counts
    kind: drop
    folder: inbox
    stableMs: 100
    pollMsMax: 50
    format: ${storeCountsFormat}
`

interface Counts {
  rows: (OracleRow & { failed: number; revision: number })[]
}
interface Ledger {
  lines: {
    file: string
    rowsRead: number
    rowsStored: number
    rowsRejected: number
    complete: boolean
    bytes: number
  }[]
}
interface Readings {
  rows: number
  time: string[]
  columns: { name: string; values: (number | string | null)[] }[]
}

const counts = async (level: Level, resolution: Resolution) =>
  (await house.json<Counts>(`/v1/counts?level=${level}&resolution=${resolution}`)).rows
const ready = () => until('the cloud is ready', async () => (await house.get('/ready')).ok, 60_000)

describe('store counts from a drop folder', { skip: needsSample('stores/counts-2024-07.csv') }, () => {
  const file = sample('stores/counts-2024-07.csv')

  test('the July file: ledger, four tables, the check of the spec; dropped again nothing changes', {
    timeout: 120_000,
  }, async () => {
    await mkdir(join(house.dir, 'inbox'))
    const gatewayYaml = await writeGateway(countsFromInbox)
    const cloudYaml = await writeCloud()
    const cloud = house.start('cloud', cloudYaml)
    house.start('gateway', gatewayYaml)
    await copyFile(file, join(house.dir, 'inbox', 'july.csv'))
    await until(
      'the file is done',
      async () => (await readdir(join(house.dir, 'inbox', 'done'))).includes('july.csv'),
      60_000,
    )
    await ready()
    const ledger = await house.json<Ledger>('/v1/ledger')
    expect(ledger.lines).toHaveLength(1)
    expect(ledger.lines[0]).toMatchObject({
      file: 'july.csv',
      rowsRead: 28_993,
      rowsStored: 28_688,
      rowsRejected: 305,
      complete: true,
    })

    const oracle = readStoreCounts(await readFile(file, 'utf8'))
    await until('all hours are counted', async () => (await counts('sensor', 'hour')).length === 28_688, 60_000)
    await ready()
    const before: Record<string, Counts['rows']> = {}
    for (const level of ['store', 'sensor'] as const) {
      for (const resolution of ['hour', 'day'] as const) {
        const rows = await counts(level, resolution)
        before[level + resolution] = rows
        expect(rows.map(pick).sort(byKey), `${level} × ${resolution}`).toEqual(
          oracle.table(level, resolution).map(pick),
        )
        if (level === 'sensor' && resolution === 'hour') {
          const statuses = (of: OracleRow[]) => [...of].sort(byKey).map(r => r.status)
          expect(statuses(rows)).toEqual(statuses(oracle.table(level, resolution)))
        }
      }
    }

    const london = await house.json<Counts>(
      '/v1/counts?level=sensor&resolution=hour&store=London&sensor=1&weekday=mon&hours=9-9',
    )
    expect(london.rows.map(r => r.count)).toEqual([10057, 8720, 13042, 10276, 1102])
    const round = (n: number | null, digits: number) => (n === null ? null : Number(n.toFixed(digits)))
    expect(london.rows.map(r => round(r.baseline, 3))).toEqual([10057, 9388.5, 10606.333, 10523.75, 8285])
    expect(london.rows.map(r => round(r.changePercent, 4))).toEqual([0, -7.1204, 22.9643, -2.3542, -86.6989])

    const rejects = await house.json<{ rejects: { origin: { firstLine: number }; reason: string; text: string }[] }>(
      '/v1/rejects?limit=1000',
    )
    expect(rejects.rejects).toHaveLength(305)
    const lines = (await readFile(file, 'utf8')).split('\n')
    for (const { origin, text } of rejects.rejects) expect(lines[origin.firstLine - 1]).toBe(text)

    // Once more: under its own name, and as a copy under another.
    await copyFile(file, join(house.dir, 'inbox', 'july.csv'))
    await copyFile(file, join(house.dir, 'inbox', 'again.csv'))
    await until(
      'the copies are done',
      async () => (await readdir(join(house.dir, 'inbox', 'done'))).length === 3,
      60_000,
    )
    await ready()
    for (const level of ['store', 'sensor'] as const)
      for (const resolution of ['hour', 'day'] as const)
        expect(await counts(level, resolution)).toEqual(before[level + resolution])
    const { rejects: after } = await house.json<{ rejects: unknown[] }>('/v1/rejects?limit=1000')
    expect(after).toHaveLength(305)

    // Deleted projections come back from the journal, the same.
    await cloud.kill('SIGTERM')
    const rebuilt = runMain('cloud', ['rebuild', cloudYaml])
    expect(await rebuilt.exited).toEqual({ code: 0, signal: null })
    expect(existsSync(join(house.dir, 'cloud', 'lake.duckdb'))).toBe(false)
    house.start('cloud', cloudYaml)
    await until('all hours are counted again', async () => (await counts('sensor', 'hour')).length === 28_688, 60_000)
    await ready()
    for (const level of ['store', 'sensor'] as const)
      for (const resolution of ['hour', 'day'] as const)
        expect((await counts(level, resolution)).map(pick)).toEqual(before[level + resolution]?.map(pick))
    expect((await house.json<{ rejects: unknown[] }>('/v1/rejects?limit=1000')).rejects).toHaveLength(305)
  })
})

describe('the same counts another way', { skip: needsSample('stores/counts-2024-07.csv') }, () => {
  test('in pieces, out of order, some twice, over HTTP, with kills between: the same tables', {
    timeout: 120_000,
  }, async () => {
    const text = await readFile(sample('stores/counts-2024-07.csv'), 'utf8')
    const [header = '', ...lines] = text.trimEnd().split('\n')
    // Nine pieces, each overlapping the next by a tenth of itself, dropped last first.
    const size = Math.ceil(lines.length / 9)
    const pieces = Array.from({ length: 9 }, (_, i) => lines.slice(i * size, Math.floor((i + 1.1) * size))).reverse()
    const inbox = join(house.dir, 'inbox')
    await mkdir(inbox)
    const cloudYaml = await writeCloud()
    const gatewayFile = await writeGateway(
      countsFromInbox,
      `{ kind: http, url: "http://127.0.0.1:${house.pagePort}", reconnectMsMax: 500 }`,
    )
    let cloud = house.start('cloud', cloudYaml)
    let gateway = house.start('gateway', gatewayFile)
    for (const [i, piece] of pieces.entries()) {
      await writeFile(join(inbox, `piece-${i}.part`), `${header}\n${piece.join('\n')}\n`)
      await rename(join(inbox, `piece-${i}.part`), join(inbox, `piece-${i}.csv`))
      await sleep(150)
      if (i === 3 || i === 6) {
        await gateway.kill('SIGKILL')
        gateway = house.start('gateway', gatewayFile)
      }
      if (i === 4 || i === 7) {
        await cloud.kill('SIGKILL')
        cloud = house.start('cloud', cloudYaml)
      }
    }
    await until(
      'all pieces are done',
      async () => existsSync(join(inbox, 'done')) && (await readdir(join(inbox, 'done'))).length === 9,
      60_000,
    )
    await ready()
    const oracle = readStoreCounts(text)
    await until('all hours are counted', async () => (await counts('sensor', 'hour')).length === 28_688, 60_000)
    for (const level of ['store', 'sensor'] as const)
      for (const resolution of ['hour', 'day'] as const)
        expect((await counts(level, resolution)).map(pick).sort(byKey)).toEqual(
          oracle.table(level, resolution).map(pick),
        )
  })
})

describe('lines that grow', { skip: needsSample('lab-cns/gauge_short.csv') }, () => {
  test('gauge and SSD files written line by line, with pauses and half lines: all rows, once, exact times', {
    timeout: 90_000,
  }, async () => {
    await mkdir(join(house.dir, 'lab'))
    house.start('cloud', await writeCloud())
    house.start(
      'gateway',
      await writeGateway(`  - id: gauge
    kind: tail
    folder: lab
    pattern: "gauge*.csv"
    pollMsMax: 20
    device: tpg256
    stream: pressure
    format:
      kind: csv
      time: { column: Timestamp, layout: "YYYY/MM/DD HH:mm:ss" }
  - id: ssd
    kind: tail
    folder: lab
    pattern: "*Slot*.csv"
    pollMsMax: 20
    device: ssd
    stream: pulses
    format: { kind: we7000 }
`),
    )
    const write = async (name: string, from: string) => {
      const text = await readFile(sample(from), 'utf8')
      for (let at = 0; at < text.length; ) {
        const end = Math.min(text.length, at + 1 + ((at * 7919) % 97))
        await appendFile(join(house.dir, 'lab', name), text.slice(at, end))
        at = end
        if (at % 5 === 0) await sleep(15)
      }
      // The last line of a sample may lack its end; an instrument writes it with the next row.
      if (!text.endsWith('\n')) await appendFile(join(house.dir, 'lab', name), '\n')
    }
    await Promise.all([
      write('gauge.csv', 'lab-cns/gauge_short.csv'),
      write('-20220314-100754-Slot1-In2.csv', 'lab-cns/ssd_short.csv'),
    ])
    const read = (device: string, stream: string) =>
      until(
        `${stream} has 18 rows`,
        async () => {
          const r = await house.json<Readings>(
            `/v1/readings?site=lab&device=${device}&stream=${stream}&from=2022-01-01&to=2023-01-01&limit=1000`,
          )
          return r.rows >= 18 && r
        },
        30_000,
      )
    const gauge = await read('tpg256', 'pressure')
    const column = (r: Readings, name: string) => r.columns.find(c => c.name === name)?.values as number[]
    expect(gauge.time).toEqual(Array.from({ length: 18 }, (_, i) => `2022-03-12T11:32:${19 + i}.000Z`))
    expect(column(gauge, 'Rb disp.').reduce((a, b) => a + b, 0) / 18).toBeCloseTo(8.9338889e-7, 13)
    expect(gauge.columns.map(c => c.name)).toEqual(['Rb disp.', 'Neut.', 'Surf. Ref.', 'NC1', 'NC2', 'NC3'])
    const ssd = await read('ssd', 'pulses')
    expect(ssd.rows).toBe(18)
    expect(ssd.time[0]).toBe('2022-03-14T01:07:54.553786Z')
    expect(ssd.time[17]).toBe('2022-03-14T01:08:00.693183Z')
    const { rejects } = await house.json<{ rejects: unknown[] }>('/v1/rejects')
    expect(rejects).toEqual([])
  })
})

const socat = findProgram('socat')
describe('a serial line', { skip: !socat }, () => {
  test('readings arrive; pulled and plugged in again they go on; noise becomes rejects', {
    timeout: 90_000,
  }, async () => {
    const port = join(house.dir, 'ttyGauge')
    const far = join(house.dir, 'instrument')
    const plug = async () => {
      const pair = run(socat ?? '', [`pty,raw,echo=0,link=${port}`, `pty,raw,echo=0,link=${far}`])
      await until('the pty pair stands', () => existsSync(far) && existsSync(port))
      return pair
    }
    let pair = await plug()
    house.start('cloud', await writeCloud())
    house.start(
      'gateway',
      await writeGateway(`  - id: gauge
    kind: serial
    port: ${port}
    device: gauge
    stream: pressure
    format:
      kind: lines
      pattern: "^P=(?<pressure>[0-9.]+) n=(?<n>[0-9]+)$"
      columns: { pressure: float, n: int }
`),
    )
    await ready()
    const numbers = async () => {
      const answer = await house.get('/v1/readings?site=lab&device=gauge&stream=pressure&limit=10000')
      if (!answer.ok) return []
      const r = (await answer.json()) as Readings
      return r.columns.find(c => c.name === 'n')?.values ?? []
    }
    // An instrument talks on; what it says while nobody listens is gone.
    let n = 0
    const talk = async (until: () => Promise<boolean>) => {
      for (const end = performance.now() + 40_000; performance.now() < end; ) {
        if (existsSync(far)) await appendFile(far, `P=1.5 n=${++n}\r\n`).catch(() => {})
        if (await until()) return
        await sleep(50)
      }
      throw new Error('the line stayed silent')
    }
    await talk(async () => (await numbers()).length >= 3)
    await appendFile(far, 'P=1.\u0000\u0001x n=\r\n')
    await until(
      'noise is a reject',
      async () => (await house.json<{ rejects: { reason: string }[] }>('/v1/rejects')).rejects.length > 0,
    )

    await pair.kill('SIGKILL')
    const before = (await numbers()).length
    await sleep(300)
    pair = await plug()
    await talk(async () => (await numbers()).length >= before + 3)
    const seen = await numbers()
    expect(new Set(seen).size).toBe(seen.length)
    await pair.kill('SIGKILL')
  })
})

test('gateway first, cloud later: readings wait in the spool and then arrive', { timeout: 60_000 }, async () => {
  await mkdir(join(house.dir, 'logs'))
  const gateway = house.start(
    'gateway',
    await writeGateway(`  - id: log
    kind: tail
    folder: logs
    pollMsMax: 20
    device: d
    stream: s
    format: { kind: csv, time: { column: t, layout: iso }, columns: { v: int } }
`),
  )
  await writeFile(
    join(house.dir, 'logs', 'a.csv'),
    `t,v\n${Array.from({ length: 100 }, (_, i) => `${new Date(1.7e12 + i * 1000).toISOString()},${i}\n`).join('')}`,
  )
  await until(
    'the gateway has it in its spool',
    () => gateway.output().includes('"msg"') && existsSync(join(house.dir, 'gateway')),
  )
  await rename(join(house.dir, 'logs', 'a.csv'), join(house.dir, 'logs', 'b.csv'))
  house.start('cloud', await writeCloud())
  const got = await until(
    'the rows are there',
    async () => {
      const answer = await house.get('/v1/readings?site=lab&device=d&stream=s&from=2023-01-01&to=2024-01-01&limit=1000')
      const r = answer.ok && ((await answer.json()) as Readings)
      return r && r.rows >= 100 && r
    },
    40_000,
  )
  expect(got.columns[0]?.values).toEqual(Array.from({ length: 100 }, (_, i) => i))
})

type Keyed = Omit<OracleRow, 'status'>
const byKey = (a: Keyed, b: Keyed) => (keyOf(a) < keyOf(b) ? -1 : 1)
const pick = ({
  store,
  sensor,
  date,
  hour,
  weekday,
  count,
  baseline,
  changePercent,
}: OracleRow): Omit<OracleRow, 'status'> => ({
  store,
  sensor,
  date,
  hour,
  weekday,
  count,
  baseline: Number(baseline.toPrecision(12)),
  changePercent: changePercent === null ? null : Number(changePercent.toFixed(9)),
})
