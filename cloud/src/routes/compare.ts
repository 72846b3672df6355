/** GET /v1/compare: counts of several stores, or of one store in two periods, side by side. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { addDays, type Cell, type Comparison, compare, daysBetween, type Place, type SeriesQuery } from '../compare.ts'
import type { AppDeps } from '../deps.ts'
import { problemResponses } from '../problem.ts'
import { wantedSites } from './counts.ts'
import { type FileColumn, fileResponse, savedAs } from './file-response.ts'
import { choice, date, hours, name, names, weekdays } from './parameters.ts'

const storesMax = 5
/** Places are held in memory: 8,784 hours, or ten years of days. */
const daysMax = { hour: 366, day: 3660 }
const yearDays = 364

const filtersSchema = z.strictObject({
  store: names(`2 to ${storesMax} stores, or one with \`against\``, 'London,Paris'),
  sensor: name('Only this sensor; with one store', '1').optional(),
  from: date('First date'),
  to: date('Last date, included'),
  against: choice(
    ['before', 'year'],
    'With one store: the whole weeks before, or the same weekdays 52 weeks earlier',
  ).optional(),
  resolution: choice(['day', 'hour'], 'By the day (where left out) or by the hour').optional(),
  weekday: weekdays.optional(),
  hours: hours.optional(),
  stream: name('Stream', 'count').optional(),
  column: name('Numeric column of the stream', 'count').optional(),
  format: choice(
    ['json', 'csv', 'parquet'],
    'A file of this kind, to be saved under a name; where left out, JSON as an answer',
  ).optional(),
})
const querySchema = filtersSchema.superRefine((query, context) => {
  const refuse = (message: string, parameter: string) =>
    context.addIssue({ code: 'custom', message, path: [parameter] })
  const { store, from, to, resolution = 'day' } = query
  const stores = new Set(store).size
  if (stores !== store.length) refuse('names a store twice', 'store')
  if (stores > storesMax) refuse(`expected at most ${storesMax} stores, got ${stores}`, 'store')
  if (stores === 1 && !query.against) refuse('expected a second store, or `against` for another period', 'store')
  if (stores > 1 && query.against) refuse('is known only with one store', 'against')
  if (stores > 1 && query.sensor !== undefined) refuse('is known only with one store', 'sensor')
  if (query.hours && resolution !== 'hour') refuse('is known only at resolution=hour', 'hours')
  if (from > to) refuse('expected a date that is not after `to`', 'from')
  else if (daysBetween(from, to) > daysMax[resolution]) {
    refuse(`expected at most ${daysMax[resolution]} days by the ${resolution}, got ${daysBetween(from, to)}`, 'from')
  }
})

const statusSchema = z.enum(['ok', 'partial', 'failed', 'closed', 'missing'])
const cellSchema = z
  .object({
    date: z.string().openapi({ description: 'Local date of the row itself' }),
    count: z.number(),
    status: statusSchema,
    comparable: z.boolean().openapi({ description: 'Over and as good as whole, or closed' }),
  })
  .openapi('ComparedCell')
const seriesSchema = z
  .object({
    store: z.string(),
    sensor: z.string().nullable().openapi({ description: 'null: all together' }),
    from: z.string(),
    to: z.string(),
    shiftDays: z.int().openapi({ description: 'Days by which its rows are shown later; whole weeks' }),
    rows: z.int(),
    count: z.number().openapi({ description: 'Over all of its rows' }),
    commonCount: z.number().openapi({ description: 'Over the places that every series has whole' }),
    changePercent: z
      .number()
      .nullable()
      .openapi({ description: 'Deviation of `commonCount` from that of the first series; null where that is 0' }),
  })
  .openapi('ComparedSeries')
const placeSchema = z
  .object({
    date: z.string().openapi({ description: 'Local date of the first series' }),
    hour: z.int().nullable(),
    weekday: z.int().openapi({ description: 'Monday 0' }),
    cells: z.array(cellSchema.nullable()).openapi({ description: 'One a series; null where it has no row' }),
  })
  .openapi('ComparedPlace')

const route = createRoute({
  method: 'get',
  path: '/v1/compare',
  tags: ['counts'],
  summary: 'Counts of several stores, or of two periods, side by side',
  description:
    'Places (local days or hours) in order of time, each with a cell a series. Another period is moved by whole weeks, so that weekdays stand beside the same weekdays. Sums are compared over the places that every series has whole. As CSV or Parquet: a row a cell.',
  request: { query: querySchema },
  responses: {
    200: {
      description: 'The series in the order asked for, and their places',
      content: {
        'application/json': {
          schema: z.object({
            resolution: z.enum(['day', 'hour']),
            commonPlaces: z.int().openapi({ description: 'Places that every series has whole, not closed everywhere' }),
            series: z.array(seriesSchema),
            places: z.array(placeSchema),
          }),
        },
        'text/csv': { schema: z.string() },
        'application/vnd.apache.parquet': { schema: z.string().openapi({ format: 'binary' }) },
      },
    },
    ...problemResponses,
  },
})
type Query = z.output<typeof filtersSchema>

export const compareRoutes = (app: OpenAPIHono, deps: AppDeps): void => {
  app.openapi(route, async c => {
    const query = c.req.valid('query')
    const { resolution = 'day', format, stream, column } = query
    await wantedSites({ store: query.store, ...(query.sensor !== undefined && { sensor: [query.sensor] }) }, deps)
    const found = await compare(deps.historian, deps.sites, seriesOf(query), {
      ...{ resolution, now: deps.now(), lateHoursMax: deps.lateHoursMax },
      ...(query.weekday && { weekdays: query.weekday }),
      ...(query.hours && { hours: query.hours }),
      ...(stream !== undefined && { stream }),
      ...(column !== undefined && { column }),
    })
    const file = `compare-${resolution}`
    if (format && format !== 'json') {
      const onError = (error: unknown) => deps.log.error({ err: error, path: c.req.path }, 'a comparison broke off')
      return fileResponse(cellRows(found), columns, { format, name: file, onError })
    }
    return c.json({ resolution, ...found }, 200, format ? savedAs(`${file}.json`) : {})
  })
}

const seriesOf = ({ store, sensor, from, to, against }: Query): SeriesQuery[] => {
  const shiftDays = against === 'year' ? yearDays : Math.ceil(daysBetween(from, to) / 7) * 7
  const own = store.map(id => ({ store: id, sensor: sensor ?? null, from, to, shiftDays: 0 }))
  const [first] = own
  if (!against || !first) return own
  return [first, { ...first, from: addDays(from, -shiftDays), to: addDays(to, -shiftDays), shiftDays }]
}

type CellRow = Omit<Place, 'cells'> & Omit<Cell, 'date'> & Pick<SeriesQuery, 'store' | 'sensor'> & { ownDate: string }

/** A cell with its place and its series. */
function* cellRows({ series, places }: Comparison): Generator<CellRow> {
  for (const { date, hour, weekday, cells } of places) {
    for (const [i, cell] of cells.entries()) {
      const of = series[i]
      if (!cell || !of) continue
      const { date: ownDate, count, status, comparable } = cell
      yield { ...{ date, hour, weekday, store: of.store, sensor: of.sensor, ownDate }, count, status, comparable }
    }
  }
}

const columns: readonly FileColumn<CellRow>[] = [
  { name: 'date', type: 'date' },
  { name: 'hour', type: 'whole' },
  { name: 'weekday', type: 'whole' },
  { name: 'store', type: 'text' },
  { name: 'sensor', type: 'text' },
  { name: 'ownDate', type: 'date' },
  { name: 'count', type: 'number' },
  { name: 'status', type: 'text' },
  { name: 'comparable', type: 'flag' },
]
