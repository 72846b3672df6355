/** GET /v1/counts: hourly and daily counts per sensor and per store, with baseline and change; as JSON, CSV or Parquet. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { type CountRow, counts } from '../counts.ts'
import type { AppDeps } from '../deps.ts'
import { problemResponses, unknownName } from '../problem.ts'
import type { Site } from '../sites.ts'
import { type FileColumn, fileResponse, savedAs } from './file-response.ts'
import { choice, hours, name, names, type When, weekdays, when } from './parameters.ts'
import { allSites } from './sites.ts'
import { primed, streamResponse } from './stream-response.ts'

const filtersSchema = z.strictObject({
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
  format: choice(
    ['json', 'csv', 'parquet'],
    'A file of this kind, to be saved under a name; where left out, JSON as an answer',
  ).optional(),
})
/** What would filter nothing is refused: it was meant to. */
const querySchema = filtersSchema.superRefine((query, context) => {
  const refuse = (message: string, parameter: string) =>
    context.addIssue({ code: 'custom', message, path: [parameter] })
  if (query.sensor && query.level === 'store') refuse('is known only at level=sensor', 'sensor')
  if (query.hours && query.resolution !== 'hour') refuse('is known only at resolution=hour', 'hours')
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
    count: z.number().openapi({ description: 'Sum of the column; failed and closed hours add 0' }),
    baseline: z.number().openapi({
      description: 'Mean of this and up to three preceding rows of the same weekday (and hour)',
    }),
    baselineSpread: nullableNumber.openapi({
      description:
        'Sample standard deviation of the counts that the baseline is the mean of; null where it is of one alone',
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
    had: z.int().nullable().openapi({ description: 'Of these, how many came with a number' }),
    coverage: nullableNumber.openapi({
      description: 'Rows that came with a number over rows expected, 0 to 1; null where none is expected',
    }),
    final: z.boolean().openapi({ description: 'false: still being counted, or a late reading is still likely' }),
    revision: z.int(),
    computedAt: z.string(),
  })
  .openapi('Count')

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
        'application/vnd.apache.parquet': { schema: z.string().openapi({ format: 'binary' }) },
      },
    },
    ...problemResponses,
  },
})

export const countRoutes = (app: OpenAPIHono, deps: AppDeps): void => {
  app.openapi(route, async c => {
    const query = c.req.valid('query')
    const stores = await wantedSites(query, deps)
    if (c.req.method === 'HEAD') return new Response(null)
    const rows = await primed(countRows(query, stores, deps))
    const onError = (error: unknown) => deps.log.error({ err: error, path: c.req.path }, 'a list of counts broke off')
    const { format = 'json' } = query
    const name = `counts-${query.level ?? 'store'}-${query.resolution ?? 'day'}`
    if (format !== 'json') return fileResponse(rows, columns, { format, name, onError })
    const headers = {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      ...(query.format && savedAs(`${name}.json`)),
    }
    return streamResponse(asJson(rows), { headers, onError })
  })
}

/** The stores asked for, or all; a name that does not exist is refused with the nearest one. */
export const wantedSites = async (
  { store, sensor = [] }: Pick<Query, 'store' | 'sensor'>,
  { sites, historian }: AppDeps,
): Promise<Site[]> => {
  const streams = await historian.streams()
  const known = allSites(sites, streams)
  const stores = known.filter(s => s.kind === 'store' || !s.configured)
  const storeIds = stores.map(s => s.id)
  const wanted = (store ?? storeIds).map(id => {
    const site = known.find(s => s.id === id)
    if (site) return site
    throw unknownName('unknown-store', 'store', id, storeIds)
  })
  const sensors = new Set(wanted.flatMap(site => site.devices.map(device => device.id)))
  for (const info of streams) if (wanted.some(site => site.id === info.site)) sensors.add(info.device)
  for (const id of sensor) if (!sensors.has(id)) throw unknownName('unknown-sensor', 'sensor', id, [...sensors])
  return wanted
}

const countRows = (query: Query, stores: readonly Site[], { historian, sites, now, lateHoursMax }: AppDeps) => {
  const { level = query.sensor ? 'sensor' : 'store', resolution = 'day', stream, column } = query
  return counts(historian, sites, {
    ...{ level, resolution, now: now(), lateHoursMax, store: stores.map(s => s.id) },
    ...(query.sensor && { sensor: query.sensor }),
    ...(query.from && { from: edgeOf(query.from) }),
    ...(query.to && { to: edgeOf(query.to) }),
    ...(query.weekday && { weekdays: query.weekday }),
    ...(query.hours && { hours: query.hours }),
    ...(stream !== undefined && { stream }),
    ...(column !== undefined && { column }),
  })
}
const edgeOf = (when: When): string | bigint => ('ns' in when ? when.ns : when.date)

async function* asJson(rows: AsyncIterable<CountRow>): AsyncGenerator<string> {
  yield '{"rows":['
  let comma = ''
  for await (const row of rows) {
    yield comma + JSON.stringify(row)
    comma = ',\n'
  }
  yield ']}\n'
}

const columnTypes: Record<keyof CountRow, FileColumn<CountRow>['type']> = {
  ...{ store: 'text', sensor: 'text', date: 'date', hour: 'whole', weekday: 'whole', start: 'time', end: 'time' },
  ...{ count: 'number', baseline: 'number', baselineSpread: 'number', changePercent: 'number', status: 'text' },
  ...{ n: 'whole', mean: 'number', min: 'number', max: 'number', first: 'number', last: 'number' },
  ...{ failed: 'whole', closed: 'whole', rows: 'whole', expected: 'whole', had: 'whole', coverage: 'number' },
  ...{ final: 'flag', revision: 'whole', computedAt: 'time' },
}
const columns = (Object.keys(rowSchema.shape) as (keyof CountRow)[]).map(name => ({ name, type: columnTypes[name] }))
