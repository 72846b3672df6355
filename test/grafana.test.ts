/**
 * The dashboards, query by query: every query of every panel and variable, filled in as Grafana fills it in, asked of a real
 * influxd and of our own /query over the lake, both holding real counts. Both give one answer, and the counts are the API's.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  createApp,
  createHistorianProjector,
  createLive,
  createRollupProjector,
  createSites,
  decodeEntry,
  type Historian,
  type JournalEntry,
  lineMappingSchema,
  openGatewayHistory,
  openInflux,
  openLake,
  openRecords,
  Registry,
  type Sites,
  sitesSchema,
} from '@penstock/cloud'
import { type Frame, zoneOf } from '@penstock/frame'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fillIn, panelQueries, readDashboard, type Variables } from './grafana-queries.ts'
import { influxd, makeInfluxd, startInfluxd } from './influxd.ts'
import { sample } from './programs.ts'

const folder = fileURLToPath(new URL('../dashboards/grafana/dashboards', import.meta.url))
const dashboards = readdirSync(folder).map(file => readDashboard(file, readFileSync(join(folder, file), 'utf8')))
const counts = sample('stores/counts-2024-07.csv')
const hasCounts = existsSync(counts)
if (!hasCounts) process.stdout.write('not run: needs the samples folder (stores/counts-2024-07.csv)\n')

const zones: Record<string, string> = {
  ...{ Madrid: 'Europe/Madrid', Paris: 'Europe/Paris', Berlin: 'Europe/Berlin' },
  ...{ Roma: 'Europe/Rome', London: 'Europe/London' },
}
const nowMs = Date.parse('2024-08-01T12:00:00Z')
const now = () => new Date(nowMs)
const quiet = { info() {}, warn() {}, error() {} }

const makeSites = (): Sites =>
  createSites(
    sitesSchema.parse(
      Object.entries(zones).map(([id, zone]) => ({
        ...{ id, kind: 'store', zone, opening: { 'mon-sat': '08:00-21:00', sun: 'closed' } },
        streams: { count: { rowsPerHour: 1 } },
      })),
    ),
  )

/** One frame a door, as the csv format of the stores reads it. */
const countFrames = (text: string): Frame[] => {
  const doors = new Map<string, { site: string; device: string; rows: Map<number, number> }>()
  for (const line of text.split('\n').slice(1)) {
    const [date = '', hour = '', site = '', device = '', count = ''] = line.split(',')
    if ([date, hour, site, device, count].some(field => field === '' || field === 'NULL')) continue
    const key = JSON.stringify([site, device])
    const door = doors.get(key) ?? { site, device, rows: new Map() }
    doors.set(key, door)
    const local = Date.parse(`${date}T${hour.padStart(2, '0')}:00:00Z`)
    door.rows.set(zoneOf(zones[site] ?? 'UTC').fromLocalMs(local)[0] ?? 0, Number(count))
  }
  return [...doors.values()].map(({ site, device, rows }) => {
    const sorted = [...rows].sort(([a], [b]) => a - b)
    const startMs = sorted[0]?.[0] ?? 0
    const status = (count: number) => (count === -1 ? 'failed' : count === -2 ? 'closed' : null)
    return {
      ...{ site, device, stream: 'count', startNs: BigInt(startMs) * 1_000_000n },
      offsetsNs: Float64Array.from(sorted, ([ms]) => (ms - startMs) * 1e6),
      columns: [
        { name: 'count', type: 'int', values: sorted.map(([, count]) => (count < 0 ? null : count)) },
        { name: 'status', type: 'text', values: sorted.map(([, count]) => status(count)) },
      ],
    }
  })
}

/** An instrument in a lab: a value every 10 s for two hours, with a gap and a spike. */
const instrumentFrame = (device: string): Frame => ({
  ...{ site: 'lab', device, stream: 'pressure', startNs: BigInt(nowMs - 7_200_000) * 1_000_000n },
  offsetsNs: Float64Array.from({ length: 600 }, (_, i) => (i < 300 ? i : i + 120) * 10e9),
  columns: [
    {
      name: 'p 1',
      type: 'float',
      values: Float64Array.from({ length: 600 }, (_, i) => (i === 444 ? 9e3 : Math.sin(i / 9) / 8)),
    },
    { name: 'mode', type: 'text', values: Array.from({ length: 600 }, (_, i) => (i % 50 === 0 ? 'idle' : null)) },
  ],
})

interface Side {
  historian: Historian
  sites: Sites
}
const entryOf = (seq: number, frames: Frame[]): JournalEntry => ({
  seq,
  receivedMs: nowMs,
  frames,
  rejects: [],
  ledger: [],
})

/** What the projections do with the journal's entries, on one historian. */
const fill = async ({ historian, sites }: Side, entries: JournalEntry[]): Promise<void> => {
  const rollup = createRollupProjector({ historian, sites, now, log: quiet, hotMsMin: 0, dutyMax: 1 })
  await createHistorianProjector(historian).apply(entries)
  await rollup.apply(entries)
  await rollup.settle()
  await rollup.close()
}

interface Series {
  name: string
  tags?: Record<string, string>
  columns: string[]
  values: (number | string | boolean | null)[][]
}
/** The answer with floats to 12 digits: sums may differ in the last ones. */
const seriesOf = (text: string): Series[] => {
  const answer = JSON.parse(text, (_, v) =>
    typeof v === 'number' && !Number.isInteger(v) ? Number(v.toPrecision(12)) : v,
  ) as {
    error?: string
    results: { error?: string; series?: Series[] }[]
  }
  const [result] = answer.results ?? []
  const error = answer.error ?? result?.error
  if (error !== undefined) throw new Error(error)
  return result?.series ?? []
}

const july = { fromMs: Date.parse('2024-06-30T21:00:00Z'), toMs: Date.parse('2024-08-01T00:00:00Z') }
const today = { fromMs: nowMs - 6 * 3_600_000, toMs: nowMs }
const wholeStores = { stream: 'count', column: 'count' }
/** What people may have chosen in each dashboard. */
const choices: Record<string, { variables: Variables; range: typeof july; interval: string }[]> = {
  'penstock-counts': [
    {
      variables: { ...wholeStores, store: '.*', sensor: '.*' },
      range: { ...july, fromMs: july.toMs - 6048e5 },
      interval: '1h',
    },
    { variables: { ...wholeStores, store: 'London', sensor: ['1'] }, range: july, interval: '1h' },
    {
      variables: { ...wholeStores, store: ['Roma', 'Madrid'], sensor: ['0', '2'] },
      range: { ...july, fromMs: july.toMs - 864e6 },
      interval: '30m',
    },
  ],
  'penstock-instruments': [
    { variables: { site: 'lab', device: '.*', stream: 'pressure', field: 'p 1' }, range: today, interval: '1m' },
    { variables: { site: 'London', device: ['1', '2'], stream: 'count', field: 'count' }, range: july, interval: '1d' },
  ],
  'penstock-gateways': [{ variables: { gateway: '.*' }, range: today, interval: '1m' }],
}

test.each(dashboards)('$title: ids and variables are sound', ({ uid, panels, templating }) => {
  expect(new Set(panels.map(panel => panel.id)).size).toBe(panels.length)
  const names = templating.list.map(variable => variable.name)
  const texts = [...panelQueries({ panels } as (typeof dashboards)[number]), ...templating.list].map(
    ({ query }) => query,
  )
  const used = texts.flatMap(text => [...text.matchAll(/\$\{(\w+)/g)].map(m => m[1]))
  expect(names).toEqual(expect.arrayContaining(used))
  expect(names[0]).toBe('datasource')
  expect(choices[uid]?.length).toBeGreaterThan(0)
})

describe.skipIf(!influxd || !hasCounts)('the dashboards on influxd and on the lake', () => {
  let dir: string
  let influxUrl: string
  let ask: (path: string, init?: RequestInit) => Promise<string>
  const closing: (() => Promise<void>)[] = []

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'penstock-grafana-'))
    const influx = await makeInfluxd(dir)
    const server = await startInfluxd(influx)
    closing.push(() => server.kill('SIGKILL'))
    influxUrl = influx.url
    const sites = makeSites()
    const historian = await openLake({ file: join(dir, 'lake.duckdb'), memoryMiBMax: 160, threads: 2, log: quiet })
    const inInflux = await openInflux({ url: influx.url, version: 1, database: 'penstock', log: quiet })
    const live = createLive({ run: 'r', now: () => nowMs })
    closing.push(
      () => historian.close(),
      () => inInflux.close(),
      () => live.close(),
    )
    const entries = [
      entryOf(1, countFrames(readFileSync(counts, 'utf8'))),
      entryOf(2, [instrumentFrame('a'), instrumentFrame('b')]),
      ...(await gatewayEntries(live)),
    ]
    await Promise.all([fill({ historian, sites }, entries), fill({ historian: inInflux, sites }, entries)])
    const records = await openRecords(join(dir, 'records.duckdb'))
    closing.push(async () => records.close?.())
    const app = createApp({
      ...{
        historian,
        sites,
        records,
        evidence: records.evidence,

        live,
        metrics: new Registry(),
        version: '1',
        lateHoursMax: 48,
        now,
      },
      ...{ ingest: async () => ({ epoch: '', through: 0 }), receipt, status() {}, access: { hosts: [] }, log: quiet },
      writes: {
        lines: async () => {},
        posted: async () => {},
        replay: async () => 0,
        dismiss: async () => 0,
        mapping: lineMappingSchema.parse({}),
      },
      journalStats: () => ({ oldestSeq: 1, nextSeq: 1, bytes: 0, lostEntries: 0 }),
      journalEntry: async () => ({ gone: 'trimmed' }),
      readiness: () => ({ ready: true, reasons: [] }),
      flow: {
        attention: () => [],
        flow: () => {
          throw new Error('no dashboard asks for it')
        },
      },
    })
    const local = { incoming: { socket: { remoteAddress: '127.0.0.1' } } }
    ask = async (path, init) => (await app.request(path, init, local)).text()
  }, 120_000)
  afterAll(async () => {
    for (const close of closing.reverse()) await close()
    await rm(dir, { recursive: true, force: true })
  })

  const askInflux = async (q: string): Promise<string> => {
    const search = new URLSearchParams({ db: 'penstock', q, epoch: 'ms' })
    return (await fetch(`${influxUrl}/query?${search}`)).text()
  }
  const bothAnswer = async (q: string): Promise<Series[]> => {
    const [theirs, mine] = await Promise.all([askInflux(q), asGrafana(ask, q)])
    expect(seriesOf(mine)).toEqual(seriesOf(theirs))
    return seriesOf(mine)
  }

  const cases = dashboards.flatMap(dashboard =>
    (choices[dashboard.uid] ?? []).flatMap((choice, c) =>
      panelQueries(dashboard).map(({ name, query }) => ({
        name: `${dashboard.title} ${c + 1}: ${name}`,
        query,
        choice,
      })),
    ),
  )
  test.each(cases)('$name', async ({ query, choice: { variables, range, interval } }) => {
    const series = await bothAnswer(fillIn(query, variables, range, interval))
    // Not every store has an hour that failed.
    if (!query.includes('"failed" > 0')) expect(series.length).toBeGreaterThan(0)
  })

  test.each(dashboards)('$title: its variables offer what there is', async ({ uid, templating }) => {
    for (const choice of choices[uid] ?? []) {
      for (const variable of templating.list) {
        if (variable.type !== 'query') continue
        const q = fillIn(variable.query, choice.variables, choice.range, choice.interval)
        const [theirs, mine] = [await askInflux(q), await asGrafana(ask, q)]
        const offered = offeredBy(seriesOf(mine), q, variable.regex)
        expect(offered).toEqual(offeredBy(seriesOf(theirs), q, variable.regex))
        const chosen = [choice.variables[variable.name] ?? []].flat().filter(value => value !== '.*')
        expect(offered).toEqual(expect.arrayContaining(chosen))
      }
    }
  })

  const rowsOfApi = async (level: string, resolution: string) =>
    (JSON.parse(await ask(`/v1/counts?level=${level}&resolution=${resolution}`)) as { rows: ApiCount[] }).rows
  const counted = dashboards.find(dashboard => dashboard.uid === 'penstock-counts') as (typeof dashboards)[number]
  test.each([
    ['Store by day', 'store', 'day'],
    ['Store by hour', 'store', 'hour'],
    ['Sensor by day', 'sensor', 'day'],
    ['Sensor by hour', 'sensor', 'hour'],
  ])('%s shows the figures of the API', async (title, level, resolution) => {
    const rows = await rowsOfApi(level, resolution)
    expect(rows.length).toBeGreaterThan(resolution === 'day' ? 150 : 3000)
    const [choice] = choices['penstock-counts'] ?? []
    const shown = async (panel: string, refId: string, column: string) => {
      const found = panelQueries(counted).find(query => query.panel === panel && query.refId === refId)
      const q = fillIn(found?.query ?? '', choice?.variables ?? {}, july, '1h')
      return cellsOf(seriesOf(await askInflux(q)), column)
    }
    const ofApi = (column: keyof ApiCount, wanted = (_: ApiCount) => true) =>
      new Map(rows.filter(wanted).flatMap(row => (row[column] === null ? [] : [[cellKey(row), exact(row[column])]])))
    const chart = `${title}: count and baseline`
    expect(await shown(chart, 'A', 'count')).toEqual(ofApi('count'))
    expect(await shown(chart, 'B', 'baseline')).toEqual(ofApi('baseline'))
    expect(await shown(chart, 'C', 'count')).toEqual(ofApi('count', row => row.failed > 0))
    expect(await shown(`${title}: change`, 'A', 'changePercent')).toEqual(ofApi('changePercent'))
    expect(await shown(`${title}: table`, 'A', 'status')).toEqual(ofApi('status'))
    expect(await shown(`${title}: table`, 'A', 'coverage')).toEqual(ofApi('coverage'))
  })

  test('instruments show the minimum, mean and maximum of the rows of the API', async () => {
    const from = new Date(today.fromMs).toISOString()
    const path = `/v1/readings?site=lab&device=a&stream=pressure&from=${from}&to=${now().toISOString()}`
    const { time, columns } = JSON.parse(await ask(path)) as {
      time: string[]
      columns: { name: string; values: number[] }[]
    }
    const minutes = new Map<number, number[]>()
    time.forEach((t, i) => {
      const minute = Math.floor(Date.parse(t) / 60_000) * 60_000
      minutes.set(minute, [
        ...(minutes.get(minute) ?? []),
        columns.find(c => c.name === 'p 1')?.values[i] ?? Number.NaN,
      ])
    })
    const instruments = dashboards.find(dashboard => dashboard.uid === 'penstock-instruments')
    const found = instruments && panelQueries(instruments).find(query => query.panel?.endsWith('min, mean, max'))
    const variables = { site: 'lab', device: 'a', stream: 'pressure', field: 'p 1' }
    const [series] = seriesOf(await askInflux(fillIn(found?.query ?? '', variables, today, '1m')))
    const mean = (values: number[]) => exact(values.reduce((sum, v) => sum + v, 0) / values.length)
    const expected = [...minutes].map(([t, v]) => [t, exact(Math.min(...v)), mean(v), exact(Math.max(...v))])
    expect(expected).toHaveLength(100)
    expect(series?.values).toEqual(expected)
  })

  test('gateways show what the API says of them', async () => {
    const { gateways } = JSON.parse(await ask('/v1/gateways')) as { gateways: Record<string, unknown>[] }
    const ofGateways = dashboards.find(dashboard => dashboard.uid === 'penstock-gateways')
    const latest = async (title: string) => {
      const found = ofGateways && panelQueries(ofGateways).find(query => query.panel === title)
      const series = seriesOf(await askInflux(fillIn(found?.query ?? '', { gateway: '.*' }, today, '1m')))
      return Object.fromEntries(series.map(({ tags, values }) => [tags?.device, values[0]?.[1]]))
    }
    const said = (key: string) => Object.fromEntries(gateways.map(g => [g.gateway, Number(g[key])]))
    expect(gateways.map(g => g.gateway)).toEqual(['bench', 'shop "2"'])
    expect(await latest('Link')).toEqual(said('online'))
    expect(await latest('Spool')).toEqual(said('spoolBytes'))
    expect(await latest('Lag')).toEqual(said('pendingEntries'))
  })
})

interface ApiCount {
  store: string
  sensor: string | null
  start: string
  count: number
  baseline: number
  changePercent: number | null
  failed: number
  status: string
  coverage: number | null
}
const exact = <T>(value: T) =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(12)) : value
const cellKey = ({ store, sensor, start }: Pick<ApiCount, 'store' | 'sensor' | 'start'>): string =>
  JSON.stringify([store, sensor, Date.parse(start)])
/** The cells of one column, by store, sensor and time. */
const cellsOf = (series: Series[], column: string): Map<string, unknown> => {
  const cells = new Map<string, unknown>()
  for (const { tags, columns, values } of series) {
    const c = columns.indexOf(column)
    for (const row of values) {
      if (row[c] !== null) cells.set(JSON.stringify([tags?.store, tags?.sensor ?? null, row[0]]), row[c])
    }
  }
  return cells
}

/** What a variable offers: first column of SHOW FIELD KEYS, second of SHOW TAG VALUES, else the first; then its regex. */
const offeredBy = (series: Series[], q: string, regex: string): string[] => {
  const c = /^show tag values/i.test(q) ? 1 : 0
  const values = new Set(series.flatMap(s => s.values.map(row => String(row[c]))))
  const pattern = regex === '' ? /^(.*)$/ : new RegExp(regex.slice(1, -1))
  return [...values]
    .flatMap(value => {
      const m = pattern.exec(value)
      return m ? [m[1] ?? value] : []
    })
    .sort()
}

/** POST with a form, as the datasource's backend sends it. */
const asGrafana = (ask: (path: string, init: RequestInit) => Promise<string>, q: string): Promise<string> =>
  ask('/query?db=penstock&epoch=ms', {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ q }).toString(),
  })

const receipt = (_gateway: string, epoch: string) => ({ epoch, through: 17 })

/** Ten minutes of two gateways, as the journal has them; one goes offline. */
const gatewayEntries = async (live: ReturnType<typeof createLive>): Promise<JournalEntry[]> => {
  const entries: JournalEntry[] = []
  let atMs = nowMs
  const history = openGatewayHistory({
    ...{ live, log: quiet, everyMs: 2 ** 30, receipt, now: () => new Date(atMs) },
    ingest: {
      async readings(target, body) {
        const head = Buffer.from(`${JSON.stringify({ kind: 'readings', at: atMs, ...target })}\n`)
        entries.push(decodeEntry(entries.length + 3, Buffer.concat([head, body])))
      },
    },
  })
  for (let minute = 10; minute >= 0; minute--) {
    atMs = nowMs - minute * 60_000
    for (const [g, gateway] of ['bench', 'shop "2"'].entries()) {
      const said = {
        epoch: 'e',
        oldestSeq: 1,
        nextSeq: 20 + g,
        spoolBytes: 4096 * (g + 1) + minute,
        clock: now().toISOString(),
      }
      const source = { id: 's', kind: 'tail', health: 'stale', rows: 10, rejects: 3 } as const
      live.status(gateway, { ...said, online: g === 0 || minute > 3, version: '1', sources: [source] }, atMs)
    }
    await history.note()
  }
  await history.close()
  return entries
}
