/** GET /v1/counts/week: how a usual week looks, as the mean of each weekday and local hour. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { type CountRow, counts, isComparable } from '../counts.ts'
import type { AppDeps } from '../deps.ts'
import { problemResponses } from '../problem.ts'
import { wantedSites } from './counts.ts'
import { type FileColumn, fileResponse, savedAs } from './file-response.ts'
import { choice, date, hours, name, weekdays } from './parameters.ts'

const querySchema = z.strictObject({
  store: name('Store', 'London'),
  sensor: name('Only this sensor', '1').optional(),
  from: date('First date').optional(),
  to: date('Last date, included').optional(),
  weekday: weekdays.optional(),
  hours: hours.optional(),
  stream: name('Stream', 'count').optional(),
  column: name('Numeric column of the stream', 'count').optional(),
  format: choice(
    ['json', 'csv', 'parquet'],
    'A file of this kind, to be saved under a name; where left out, JSON as an answer',
  ).optional(),
})

const cellSchema = z
  .object({
    weekday: z.int().openapi({ description: 'Monday 0' }),
    hour: z.int().openapi({ description: 'Local hour' }),
    hours: z.int().openapi({ description: 'Hours that the mean is of' }),
    mean: z.number().nullable().openapi({ description: 'Mean of their counts; null where there is none' }),
    min: z.number().nullable(),
    max: z.number().nullable(),
    leftOut: z.int().openapi({ description: 'Hours that failed, more than a twentieth of them, or are not over yet' }),
  })
  .openapi('WeekCell')
type Cell = z.output<typeof cellSchema>

const route = createRoute({
  method: 'get',
  path: '/v1/counts/week',
  tags: ['counts'],
  summary: 'Mean count of each weekday and hour',
  description:
    'Cells in order of weekday and hour. An hour counts where it is over and at most a twentieth of it failed; closed hours are no part of it.',
  request: { query: querySchema },
  responses: {
    200: {
      description: 'At most 168 cells: those that have an hour that was not closed',
      content: {
        'application/json': { schema: z.object({ store: z.string(), zone: z.string(), cells: z.array(cellSchema) }) },
        'text/csv': { schema: z.string() },
        'application/vnd.apache.parquet': { schema: z.string().openapi({ format: 'binary' }) },
      },
    },
    ...problemResponses,
  },
})

export const weekRoutes = (app: OpenAPIHono, deps: AppDeps): void => {
  app.openapi(route, async c => {
    const { store, sensor, weekday, format, ...rest } = c.req.valid('query')
    const [site] = await wantedSites({ store: [store], ...(sensor !== undefined && { sensor: [sensor] }) }, deps)
    const rows = counts(deps.historian, deps.sites, {
      ...{ level: sensor === undefined ? 'store' : 'sensor', resolution: 'hour', store: [store], now: deps.now() },
      ...(sensor !== undefined && { sensor: [sensor] }),
      ...(weekday && { weekdays: weekday }),
      ...(rest.from !== undefined && { from: rest.from }),
      ...(rest.to !== undefined && { to: rest.to }),
      ...(rest.hours && { hours: rest.hours }),
      ...(rest.stream !== undefined && { stream: rest.stream }),
      ...(rest.column !== undefined && { column: rest.column }),
    })
    const cells = await cellsOf(rows, deps.now().getTime())
    const onError = (error: unknown) => deps.log.error({ err: error, path: c.req.path }, 'a list of means broke off')
    if (format && format !== 'json') {
      return fileResponse(cells, columns, { format, name: `counts-week-${store}`, onError })
    }
    const headers = format ? savedAs(`counts-week-${store}.json`) : {}
    return c.json({ store, zone: site?.zone.name ?? 'UTC', cells }, 200, headers)
  })
}

const cellsOf = async (rows: AsyncIterable<CountRow>, nowMs: number): Promise<Cell[]> => {
  const cells = new Map<number, Cell & { sum: number }>()
  for await (const row of rows) {
    if (row.status === 'closed' || row.hour === null) continue
    const key = row.weekday * 24 + row.hour
    const cell = cells.get(key) ?? {
      ...{ weekday: row.weekday, hour: row.hour, hours: 0, mean: null, min: null, max: null, leftOut: 0, sum: 0 },
    }
    cells.set(key, cell)
    if (!isComparable(row, nowMs)) {
      cell.leftOut++
      continue
    }
    cell.hours++
    cell.sum += row.count
    cell.mean = cell.sum / cell.hours
    cell.min = Math.min(cell.min ?? row.count, row.count)
    cell.max = Math.max(cell.max ?? row.count, row.count)
  }
  const sorted = [...cells].sort(([a], [b]) => a - b)
  return sorted.map(([, { sum: _, ...cell }]) => cell)
}

const columns: readonly FileColumn<Cell>[] = [
  { name: 'weekday', type: 'whole' },
  { name: 'hour', type: 'whole' },
  { name: 'hours', type: 'whole' },
  { name: 'mean', type: 'number' },
  { name: 'min', type: 'number' },
  { name: 'max', type: 'number' },
  { name: 'leftOut', type: 'whole' },
]
