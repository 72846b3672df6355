/** GET /v1/counts: hourly and daily counts per sensor and per store, with baseline and change, as `spec/counts.md` says. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { formatNs, type Zone } from '@penstock/frame'
import type { AppDeps } from '../deps.ts'
import type { Aggregate } from '../historian.ts'
import { problemResponses, unknownName } from '../problem.ts'
import type { Site } from '../sites.ts'
import { csvLine } from './csv.ts'
import { choice, hours, name, names, weekdays, when, whenNs } from './parameters.ts'
import { allSites } from './sites.ts'
import { primed, streamResponse } from './stream-response.ts'

const querySchema = z.strictObject({
  level: choice(['store', 'sensor'], 'All doors together, or each for itself').optional(),
  resolution: choice(['day', 'hour'], 'By the day (where left out) or by the hour').optional(),
  store: names('Only these stores', 'London').optional(),
  sensor: names('Only these sensors', '1').optional(),
  from: when('First date or time').optional(),
  to: when('Last date (included), or time behind the last').optional(),
  weekday: weekdays.optional(),
  hours: hours.optional(),
  stream: name('Stream', 'count').optional(),
  column: name('Numeric column of the stream', 'count').optional(),
  format: choice(['json', 'csv'], 'json where left out').optional(),
})
type Query = z.output<typeof querySchema>

const nullableNumber = z.number().nullable()
const rowSchema = z
  .object({
    store: z.string(),
    sensor: z.string().nullable().openapi({ description: 'null at level store' }),
    date: z.string().openapi({ description: 'Local date' }),
    hour: z.int().nullable().openapi({ description: 'Local hour; null at resolution day' }),
    weekday: z.int().openapi({ description: 'Monday 0' }),
    start: z.string().openapi({ description: 'ISO 8601 with the offset of the store' }),
    end: z.string(),
    count: nullableNumber.openapi({ description: 'Sum of the column; failed and closed hours add 0' }),
    baseline: nullableNumber.openapi({
      description: 'Mean of this and up to three preceding rows of the same weekday (and hour)',
    }),
    changePercent: nullableNumber.openapi({ description: 'Deviation from the baseline; null where that is 0' }),
    status: z.enum(['ok', 'partial', 'failed', 'closed', 'missing']),
    n: z.int(),
    mean: nullableNumber,
    min: nullableNumber,
    max: nullableNumber,
    first: nullableNumber,
    last: nullableNumber,
    failed: z.int().openapi({ description: 'Rows whose measurement failed' }),
    closed: z.int(),
    rows: z.int(),
    expected: z.int().nullable().openapi({ description: 'Rows expected by the opening hours' }),
    coverage: nullableNumber.openapi({
      description: 'Rows that came with a number over rows expected, 0 to 1; null where none is expected',
    }),
    final: z.boolean().openapi({ description: 'false: still being counted, or a late reading is still likely' }),
    revision: z.int(),
    computedAt: z.string(),
  })
  .openapi('Count')
type CountView = z.output<typeof rowSchema>

const route = createRoute({
  method: 'get',
  path: '/v1/counts',
  tags: ['counts'],
  summary: 'Counts by hour or day, per sensor or store',
  description:
    'Rows that exist, in order of time. Dates and hours are local to each store. `from` and `to` as dates include both days.',
  request: { query: querySchema },
  responses: {
    200: {
      description: 'All rows that the filters name',
      content: {
        'application/json': { schema: z.object({ rows: z.array(rowSchema) }) },
        'text/csv': { schema: z.string() },
      },
    },
    ...problemResponses,
  },
})

export const countRoutes = (app: OpenAPIHono, deps: AppDeps): void => {
  app.openapi(route, async c => {
    const query = c.req.valid('query')
    const stores = await wantedSites(query, deps)
    const rows = await primed(countRows(query, stores, deps))
    const onError = (error: unknown) => deps.log.error({ err: error, path: c.req.path }, 'a list of counts broke off')
    if (query.format !== 'csv') {
      return streamResponse(asJson(rows), {
        headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
        onError,
      })
    }
    const headers = {
      'content-type': 'text/csv; charset=utf-8',
      'cache-control': 'no-store',
      'content-disposition': `attachment; filename="counts-${query.level ?? 'store'}-${query.resolution ?? 'day'}.csv"`,
    }
    return streamResponse(asCsv(rows), { headers, onError })
  })
}

/** The stores asked for, or all; a name that does not exist is refused with the nearest one. */
const wantedSites = async ({ store, sensor }: Query, { sites, historian }: AppDeps): Promise<Site[]> => {
  const streams = await historian.streams()
  const known = allSites(sites, streams)
  const stores = known.filter(s => s.kind === 'store' || !s.configured)
  const wanted = store
    ? store.map(id => {
        const site = known.find(s => s.id === id)
        if (!site)
          throw unknownName(
            'unknown-store',
            'store',
            id,
            stores.map(s => s.id),
          )
        return site
      })
    : stores
  for (const id of sensor ?? []) {
    const sensors = new Set(
      wanted.flatMap(s => [...s.devices.map(d => d.id), ...streams.filter(t => t.site === s.id).map(t => t.device)]),
    )
    if (!sensors.has(id)) throw unknownName('unknown-sensor', 'sensor', id, [...sensors])
  }
  return wanted
}

async function* countRows(
  query: Query,
  stores: readonly Site[],
  { historian, now, lateHoursMax }: AppDeps,
): AsyncGenerator<CountView> {
  const { level = query.sensor ? 'sensor' : 'store', resolution = 'day', stream = 'count', column = 'count' } = query
  const finalBeforeMs = now().getTime() - lateHoursMax * 3_600_000
  for (const site of stores) {
    const zone = site.zone
    const history = new Map<string, number[]>()
    const fromNs = query.from ? whenNs(query.from, zone) : undefined
    const toNs = query.to ? whenNs(query.to, zone, 'date' in query.to) : undefined
    for await (const row of historian.readAggregates({
      level: level === 'store' ? 'site' : 'sensor',
      resolution,
      stream,
      column,
      site: site.id,
      ...(toNs !== undefined && { toNs }),
    })) {
      const count = row.sum ?? 0
      const key = `${row.device} ${row.weekday} ${row.hour ?? ''}`
      const had = history.get(key) ?? []
      had.push(count)
      if (had.length > 4) had.shift()
      history.set(key, had)
      if (fromNs !== undefined && row.startNs < fromNs) continue
      if (query.sensor && !query.sensor.includes(row.device)) continue
      if (query.weekday && !query.weekday.has(row.weekday)) continue
      if (query.hours && row.hour !== null && (row.hour < query.hours.from || row.hour > query.hours.to)) continue
      const baseline = had.reduce((sum, v) => sum + v, 0) / had.length
      yield countView(row, { count, baseline, zone, finalBeforeMs })
    }
  }
}
const countView = (
  row: Aggregate,
  o: { count: number; baseline: number; zone: Zone; finalBeforeMs: number },
): CountView => ({
  store: row.site,
  sensor: row.level === 'sensor' ? row.device : null,
  date: row.date,
  hour: row.hour,
  weekday: row.weekday,
  start: localIso(row.startNs, o.zone),
  end: localIso(row.endNs, o.zone),
  count: o.count,
  baseline: o.baseline,
  changePercent: o.baseline === 0 ? null : (100 * (o.count - o.baseline)) / o.baseline,
  status:
    row.rows === 0
      ? 'missing'
      : row.failed > 0
        ? row.n > 0
          ? 'partial'
          : 'failed'
        : row.n === 0 && row.closed > 0
          ? 'closed'
          : 'ok',
  n: row.n,
  mean: row.mean,
  min: row.min,
  max: row.max,
  first: row.first,
  last: row.last,
  failed: row.failed,
  closed: row.closed,
  rows: row.rows,
  expected: row.expected,
  coverage: row.expected === null || row.had === null || row.expected === 0 ? null : row.had / row.expected,
  final: Number(row.endNs / 1_000_000n) < o.finalBeforeMs,
  revision: row.revision,
  computedAt: new Date(row.computedAtMs).toISOString(),
})

/** ISO 8601 with the zone's offset, e.g. 2026-03-01T09:00:00+01:00. */
const localIso = (ns: bigint, zone: Zone): string => {
  const ms = Number(ns / 1_000_000n)
  const offset = zone.offsetMs(ms)
  if (offset === 0) return formatNs(ns).replace('.000Z', 'Z')
  const minutes = Math.abs(offset) / 60_000
  const sign = offset < 0 ? '-' : '+'
  const two = (n: number) => String(Math.floor(n)).padStart(2, '0')
  return `${new Date(ms + offset).toISOString().slice(0, 19)}${sign}${two(minutes / 60)}:${two(minutes % 60)}`
}

async function* asJson(rows: AsyncIterable<CountView>): AsyncGenerator<string> {
  yield '{"rows":['
  let comma = ''
  for await (const row of rows) {
    yield comma + JSON.stringify(row)
    comma = ',\n'
  }
  yield ']}\n'
}

const csvColumns = Object.keys(rowSchema.shape) as (keyof CountView)[]
async function* asCsv(rows: AsyncIterable<CountView>): AsyncGenerator<string> {
  yield csvLine(csvColumns)
  for await (const row of rows) yield csvLine(csvColumns.map(key => row[key]))
}
