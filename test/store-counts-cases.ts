/** What the July counts must amount to, whatever historian keeps them: run by main-path.test.ts and influx.test.ts. */
import { existsSync } from 'node:fs'
import { copyFile, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { type House, runMain, sample, until } from './programs.ts'
import { keyOf, type Level, type Oracle, type OracleRow, type Resolution, readStoreCounts } from './store-counts.ts'

export const needsSample = (path: string) => {
  const there = existsSync(sample(path))
  if (!there) process.stdout.write(`not run: needs the samples folder (${path})\n`)
  return !there
}

const zones = {
  Madrid: 'Europe/Madrid',
  Paris: 'Europe/Paris',
  Berlin: 'Europe/Berlin',
  Roma: 'Europe/Rome',
  London: 'Europe/London',
}

/** Writes cloud.yaml; `more` is further lines of it. */
export const writeCloud = (house: House, more = '') =>
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

export const writeGateway = (
  house: House,
  sources: string,
  uplink = `{ kind: mqtt, url: "mqtt://127.0.0.1:${house.brokerPort}" }`,
) =>
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

export interface Counts {
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

export const counts = async (house: House, level: Level, resolution: Resolution) =>
  (await house.json<Counts>(`/v1/counts?level=${level}&resolution=${resolution}`)).rows
export const ready = (house: House) => until('the cloud is ready', async () => (await house.get('/ready')).ok, 60_000)

/** Two stores, and two weeks of one, by the definition of the comparison. */
const compareEqualsOracle = async (house: House, oracle: Oracle) => {
  const days = oracle.table('store', 'day')
  const sum = (store: string, of: readonly string[]) =>
    days.filter(row => row.store === store && of.includes(row.date)).reduce((total, row) => total + row.count, 0)
  const dates = (store: string, from: string, to: string) =>
    days.filter(row => row.store === store && row.date >= from && row.date <= to).map(row => row.date)
  interface Said {
    commonPlaces: number
    series: { store: string; from: string; count: number; commonCount: number; changePercent: number | null }[]
    places: { date: string; cells: ({ count: number; comparable: boolean } | null)[] }[]
  }
  const ask = (query: string) => house.json<Said>(`/v1/compare?${query}`)

  const stores = await ask('store=London,Paris&from=2024-07-01&to=2024-07-31')
  const own = ['London', 'Paris'].map(store => sum(store, dates(store, '2024-07-01', '2024-07-31')))
  expect(stores.series.map(s => s.count)).toEqual(own)
  for (const { date, cells } of stores.places) {
    const counts = ['London', 'Paris'].map(store => (dates(store, date, date).length > 0 ? sum(store, [date]) : null))
    expect(
      cells.map(cell => cell?.count ?? null),
      date,
    ).toEqual(counts)
  }
  const common = stores.places.filter(({ cells }) => cells.every(cell => cell?.comparable)).map(place => place.date)
  expect(stores.series.map(s => s.commonCount)).toEqual([sum('London', common), sum('Paris', common)])

  const weeks = await ask('store=Roma&against=before&from=2024-07-15&to=2024-07-21')
  expect(weeks.series.map(s => [s.from, s.count])).toEqual([
    ['2024-07-15', sum('Roma', dates('Roma', '2024-07-15', '2024-07-21'))],
    ['2024-07-08', sum('Roma', dates('Roma', '2024-07-08', '2024-07-14'))],
  ])
}

/** `historian`: lines of cloud.yaml. */
export const storeCountsCases = (given: () => House, historian: () => string): void => {
  describe('store counts from a drop folder', { skip: needsSample('stores/counts-2024-07.csv') }, () => {
    const file = sample('stores/counts-2024-07.csv')

    test('the July file: ledger, four tables, the check of the spec; dropped again nothing changes', {
      timeout: 120_000,
    }, async () => {
      const house = given()
      await mkdir(join(house.dir, 'inbox'))
      const gatewayYaml = await writeGateway(house, countsFromInbox)
      const cloudYaml = await writeCloud(house, historian())
      const cloud = house.start('cloud', cloudYaml)
      house.start('gateway', gatewayYaml)
      await copyFile(file, join(house.dir, 'inbox', 'july.csv'))
      await until(
        'the file is done',
        async () => (await readdir(join(house.dir, 'inbox', 'done'))).includes('july.csv'),
        60_000,
      )
      await ready(house)
      const ledger = await until('the ledger has the file', async () => {
        const said = await house.json<Ledger>('/v1/ledger')
        return said.lines[0]?.complete && said
      })
      expect(ledger.lines).toHaveLength(1)
      expect(ledger.lines[0]).toMatchObject({
        file: 'july.csv',
        rowsRead: 28_993,
        rowsStored: 28_688,
        rowsRejected: 305,
        complete: true,
      })

      const oracle = readStoreCounts(await readFile(file, 'utf8'))
      await until(
        'all hours are counted',
        async () => (await counts(house, 'sensor', 'hour')).length === 28_688,
        60_000,
      )
      await ready(house)
      const before: Record<string, Counts['rows']> = {}
      for (const level of ['store', 'sensor'] as const) {
        for (const resolution of ['hour', 'day'] as const) {
          const rows = await counts(house, level, resolution)
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
      await compareEqualsOracle(house, oracle)

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
      await ready(house)
      for (const level of ['store', 'sensor'] as const)
        for (const resolution of ['hour', 'day'] as const)
          expect(await counts(house, level, resolution)).toEqual(before[level + resolution])
      const { rejects: after } = await house.json<{ rejects: unknown[] }>('/v1/rejects?limit=1000')
      expect(after).toHaveLength(305)

      // Deleted projections come back from the journal, the same.
      await cloud.kill('SIGTERM')
      const rebuilt = runMain('cloud', ['rebuild', cloudYaml])
      expect(await rebuilt.exited).toEqual({ code: 0, signal: null })
      expect(existsSync(join(house.dir, 'cloud', 'lake.duckdb'))).toBe(false)
      house.start('cloud', cloudYaml)
      await until(
        'all hours are counted again',
        async () => (await counts(house, 'sensor', 'hour')).length === 28_688,
        60_000,
      )
      await ready(house)
      for (const level of ['store', 'sensor'] as const)
        for (const resolution of ['hour', 'day'] as const)
          expect((await counts(house, level, resolution)).map(pick)).toEqual(before[level + resolution]?.map(pick))
      expect((await house.json<{ rejects: unknown[] }>('/v1/rejects?limit=1000')).rejects).toHaveLength(305)
    })
  })

  describe('the same counts another way', { skip: needsSample('stores/counts-2024-07.csv') }, () => {
    test('in pieces, out of order, some twice, over HTTP, with kills between: the same tables', {
      timeout: 120_000,
    }, async () => {
      const house = given()
      const text = await readFile(sample('stores/counts-2024-07.csv'), 'utf8')
      const [header = '', ...lines] = text.trimEnd().split('\n')
      // Nine pieces, each overlapping the next by a tenth of itself, dropped last first.
      const size = Math.ceil(lines.length / 9)
      const pieces = Array.from({ length: 9 }, (_, i) => lines.slice(i * size, Math.floor((i + 1.1) * size))).reverse()
      const inbox = join(house.dir, 'inbox')
      await mkdir(inbox)
      const cloudYaml = await writeCloud(house, historian())
      const gatewayFile = await writeGateway(
        house,
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
      await ready(house)
      const oracle = readStoreCounts(text)
      await until(
        'all hours are counted',
        async () => (await counts(house, 'sensor', 'hour')).length === 28_688,
        60_000,
      )
      for (const level of ['store', 'sensor'] as const)
        for (const resolution of ['hour', 'day'] as const)
          expect((await counts(house, level, resolution)).map(pick).sort(byKey)).toEqual(
            oracle.table(level, resolution).map(pick),
          )
    })
  })
}

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
