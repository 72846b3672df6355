/** GET /v1/readings: the stored rows of one series, in columns. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { type Frame, formatNs, MS_PER_DAY, rowNs } from '@penstock/frame'
import type { AppDeps } from '../deps.ts'
import type { StreamInfo } from '../historian.ts'
import { ProblemError, problemResponses, unknownName } from '../problem.ts'
import { choice, name, names, when, whenNs, wholeNumber } from './parameters.ts'
import { allSites, requireSite } from './sites.ts'

const rowsMax = 100_000
const rowsDefault = 10_000
/** Numbers and texts of one answer: wide frames and curves get fewer rows than the limit, and `next`. */
const valuesMax = 4_000_000

const columnSchema = z
  .object({ name: z.string(), type: z.string(), unit: z.string().optional(), values: z.array(z.any()) })
  .openapi('ReadingColumn', {
    description: 'One value a row; null is a hole; a vector column has a list of numbers a row',
  })

const route = createRoute({
  method: 'get',
  path: '/v1/readings',
  tags: ['readings'],
  summary: 'Stored rows of one series',
  description:
    'Half-open range: from ≤ time < to; a date means its start in the zone of the site, and as `to` the end of that day. Without `from`: the 24 h before `to`. Without `to`: up to the newest row. Where more rows are there than one answer holds, `next` is the `from` of the next one (the `to`, where the newest come first).',
  request: {
    query: z.strictObject({
      site: name('Site', 'London'),
      device: name('Device', '1'),
      stream: name('Stream', 'count'),
      from: when('First time').optional(),
      to: when('Time behind the last').optional(),
      columns: names('Only these columns', 'count,status').optional(),
      limit: wholeNumber(1, rowsMax, `At most this many rows (${rowsDefault} where left out)`).optional(),
      order: choice(['asc', 'desc'], 'Oldest (asc) or newest (desc) first').optional(),
      points: wholeNumber(
        2,
        rowsMax,
        'Downsample to about this many rows: the minimum and maximum of each slice of time, so that no spike vanishes',
      ).optional(),
    }),
  },
  responses: {
    200: {
      description: 'Rows in columns: `time[i]` with `columns[…].values[i]`',
      content: {
        'application/json': {
          schema: z
            .object({
              site: z.string(),
              device: z.string(),
              stream: z.string(),
              rows: z.int(),
              time: z.array(z.string()),
              columns: z.array(columnSchema),
              next: z.string().nullable(),
            })
            .openapi('Readings'),
        },
      },
    },
    ...problemResponses,
  },
})

export const readingRoutes = (app: OpenAPIHono, { historian, sites }: AppDeps): void => {
  app.openapi(route, async c => {
    const query = c.req.valid('query')
    const { site, device, stream, from, to, columns, order = 'asc', points } = query
    const limit = query.limit ?? (points === undefined ? rowsDefault : rowsMax)
    const streams = await historian.streams()
    const { zone } = requireSite(site, allSites(sites, streams))
    const info = requireSeries(streams, { site, device, stream })
    requireColumns(info, columns)
    const toNs = to ? whenNs(to, zone, 'date' in to) : info.lastNs + 1n
    const fromNs = from ? whenNs(from, zone) : toNs - BigInt(MS_PER_DAY) * 1_000_000n
    if (fromNs >= toNs) throw emptyRange()
    const rows = createRows(limit, order)
    const frames = historian.read({
      ...{ site, device, stream, fromNs, toNs, descending: order === 'desc' },
      ...(columns && { columns }),
      ...(points === undefined ? { limit: limit + 1 } : { points }),
    })
    for await (const frame of frames) if (!rows.take(frame)) break
    return c.json({ site, device, stream, ...rows.result() }, 200)
  })
}

const emptyRange = (): ProblemError =>
  new ProblemError(400, 'invalid-parameter', 'from: expected a time before `to`.', {
    errors: [{ parameter: 'from', detail: 'expected a time before `to`' }],
  })

const requireSeries = (
  streams: readonly StreamInfo[],
  key: { site: string; device: string; stream: string },
): StreamInfo => {
  const ofSite = streams.filter(s => s.site === key.site)
  const ofDevice = ofSite.filter(s => s.device === key.device)
  if (ofDevice.length === 0) {
    throw unknownName('unknown-series', 'device', key.device, [...new Set(ofSite.map(s => s.device))])
  }
  const info = ofDevice.find(s => s.stream === key.stream)
  if (info) return info
  throw unknownName(
    'unknown-series',
    'stream',
    key.stream,
    ofDevice.map(s => s.stream),
  )
}

const requireColumns = (info: StreamInfo, columns: readonly string[] | undefined): void => {
  const known = info.columns.map(c => c.name)
  for (const column of columns ?? []) {
    if (!known.includes(column)) throw unknownName('unknown-series', 'column', column, known)
  }
}

/** Joins frames into one list of columns; rows that lack a column have null there. */
const createRows = (limit: number, order: 'asc' | 'desc') => {
  const time: string[] = []
  const columns = new Map<string, z.output<typeof columnSchema>>()
  let valuesLeft = valuesMax
  let next: string | null = null
  /** False once there is no room. */
  const take = (frame: Frame): boolean => {
    const before = time.length
    const perRow = valuesPerRow(frame)
    const fitting = Math.max(before === 0 ? 1 : 0, Math.floor(valuesLeft / perRow))
    const room = Math.min(frame.offsetsNs.length, limit - before, fitting)
    valuesLeft -= room * perRow
    for (let i = 0; i < room; i++) time.push(formatNs(rowNs(frame, i)))
    for (const column of frame.columns) {
      let mine = columns.get(column.name)
      if (!mine) {
        const { name, type, unit } = column
        mine = { name, type, ...(unit !== undefined && { unit }), values: new Array<null>(before).fill(null) }
        columns.set(name, mine)
      }
      for (let i = 0; i < room; i++) {
        const value = column.values[i] ?? null
        mine.values.push(value instanceof Float64Array ? [...value] : Number.isNaN(value) ? null : value)
      }
    }
    for (const column of columns.values()) while (column.values.length < time.length) column.values.push(null)
    // As `to` is not included, the last row that was given is where the newest-first list goes on.
    if (room < frame.offsetsNs.length) next = order === 'asc' ? formatNs(rowNs(frame, room)) : (time.at(-1) ?? null)
    return next === null
  }
  return { take, result: () => ({ rows: time.length, time, columns: [...columns.values()], next }) }
}

const valuesPerRow = (frame: Frame): number =>
  frame.columns.reduce((sum, column) => sum + (column.type === 'vector' ? (column.values[0]?.length ?? 0) : 1), 1)
