/** GET /v1/readings: the stored rows of one series, in columns, or as CSV. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { type Column, type Frame, formatNs, MS_PER_DAY, rowNs } from '@penstock/frame'
import type { AppDeps } from '../deps.ts'
import type { ReadQuery, StreamInfo } from '../historian.ts'
import { ProblemError, problemResponses, unknownName } from '../problem.ts'
import { shortAxis, shortCurve } from './curves.ts'
import { choice, name, names, when, whenNs, wholeNumber } from './parameters.ts'
import { readingsCsv } from './readings-csv.ts'
import { allSites, requireSite } from './sites.ts'
import { primed, streamResponse } from './stream-response.ts'

const rowsMax = 100_000
const rowsDefault = 10_000
/** Numbers and texts of one answer: wide frames and curves get fewer rows than the limit, and `next`. */
const valuesMax = 4_000_000
const curvePointsMax = 1_000_000

const columnSchema = z
  .object({
    name: z.string(),
    type: z.string(),
    unit: z.string().optional(),
    axis: z.array(z.number()).optional().openapi({ description: 'Of a vector column: what its curves stand over' }),
    values: z.array(z.any()),
  })
  .openapi('ReadingColumn', {
    description: 'One value a row; null is a hole; a vector column has a list of numbers a row',
  })

const route = createRoute({
  method: 'get',
  path: '/v1/readings',
  tags: ['readings'],
  summary: 'Stored rows of one series',
  description:
    'Half-open range: from ≤ time < to; a date means its start in the zone of the site, and as `to` the end of that day. Without `from`: the 24 h before `to`. Without `to`: up to the newest row. Where more rows are there than one answer holds, `next` is the `from` of the next one (the `to`, where the newest come first); an answer also ends where the axis of a vector column changes. As CSV: every row of the range where no limit is given, as a stream.',
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
      curvePoints: wholeNumber(
        2,
        curvePointsMax,
        'Curves of vector columns in at most this many values: the smallest and largest of each slice, so that no peak vanishes',
      ).optional(),
      format: choice(['json', 'csv'], 'JSON where left out').optional(),
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
              downsampled: z.boolean().nullable().openapi({
                description: 'With `points`: whether there are more rows; null where the series has curves alone',
              }),
            })
            .openapi('Readings'),
        },
        'text/csv': { schema: z.string() },
      },
    },
    ...problemResponses,
  },
})

export const readingRoutes = (app: OpenAPIHono, { historian, sites, log }: AppDeps): void => {
  app.openapi(route, async c => {
    const query = c.req.valid('query')
    const { site, device, stream, from, to, columns, order = 'asc', points, curvePoints, format = 'json' } = query
    const streams = await historian.streams()
    const { zone } = requireSite(site, allSites(sites, streams))
    const info = requireSeries(streams, { site, device, stream })
    requireColumns(info, columns)
    const toNs = to ? whenNs(to, zone, 'date' in to) : info.lastNs + 1n
    const fromNs = from ? whenNs(from, zone) : toNs - BigInt(MS_PER_DAY) * 1_000_000n
    if (fromNs >= toNs) throw emptyRange()
    const read = (limit: number | undefined) =>
      historian.read({
        ...{ site, device, stream, fromNs, toNs, descending: order === 'desc' },
        ...(columns && { columns }),
        ...(points !== undefined ? { points } : limit !== undefined && { limit }),
      })
    const shorten = (curve: Float64Array) => (curvePoints === undefined ? curve : shortCurve(curve, curvePoints))
    if (format === 'csv') {
      const headers = csvHeaders([site, device, stream])
      if (c.req.method === 'HEAD') return new Response(null, { headers })
      const wanted = info.columns.filter(column => columns?.includes(column.name) ?? true)
      return streamResponse(readingsCsv(await primed(read(query.limit)), wanted, zone, shorten), {
        headers,
        onError: error => log.error({ err: error, path: c.req.path }, 'a list of readings broke off'),
      })
    }
    const limit = query.limit ?? (points === undefined ? rowsDefault : rowsMax)
    const rows = createRows(limit, order, curvePoints)
    for await (const frame of read(limit + 1)) if (!rows.take(frame)) break
    const range = { ...{ site, device, stream }, fromNs, toNs }
    const downsampled = points === undefined ? false : await hasMore(historian, info, range, points)
    return c.json({ site, device, stream, ...rows.result(), downsampled }, 200)
  })
}

/** Whether a range has more than `points` rows; reads one column of so many. */
const hasMore = async (
  historian: AppDeps['historian'],
  info: StreamInfo,
  range: Omit<ReadQuery, 'columns' | 'limit'>,
  points: number,
): Promise<boolean | null> => {
  if (info.rows <= points) return false
  const column = info.columns.find(({ type }) => type !== 'vector')
  if (!column) return null
  let rows = 0
  for await (const frame of historian.read({ ...range, columns: [column.name], limit: points + 1 })) {
    rows += frame.offsetsNs.length
  }
  return rows > points
}

const csvHeaders = (names: readonly string[]) => ({
  'content-type': 'text/csv; charset=utf-8',
  'cache-control': 'no-store',
  'content-disposition': `attachment; filename="${names.map(n => n.replace(/[^\w.-]+/g, '_')).join('-')}.csv"`,
})

export const emptyRange = (): ProblemError =>
  new ProblemError(400, 'invalid-parameter', 'from: expected a time before `to`.', {
    errors: [{ parameter: 'from', detail: 'expected a time before `to`' }],
  })

export const requireSeries = (
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
const createRows = (limit: number, order: 'asc' | 'desc', curvePoints = Number.POSITIVE_INFINITY) => {
  const time: string[] = []
  const columns = new Map<string, z.output<typeof columnSchema>>()
  const axes = new Map<string, Float64Array>()
  let valuesLeft = valuesMax
  let next: string | null = null

  const columnOf = (column: Column, before: number): z.output<typeof columnSchema> => {
    const had = columns.get(column.name)
    if (had) return had
    const { name, type, unit } = column
    const axis = column.type === 'vector' ? column.axis : undefined
    if (axis) axes.set(name, axis)
    const made = {
      ...{ name, type, ...(unit !== undefined && { unit }) },
      ...(axis && { axis: [...shortAxis(axis, curvePoints)] }),
      values: new Array<null>(before).fill(null),
    }
    columns.set(name, made)
    return made
  }
  const isOtherAxis = (column: Column): boolean =>
    column.type === 'vector' &&
    columns.has(column.name) &&
    column.values.some(curve => curve.length > 0) &&
    !sameAxis(axes.get(column.name), column.axis)

  /** False once there is no room. */
  const take = (frame: Frame): boolean => {
    const before = time.length
    const perRow = valuesPerRow(frame, curvePoints)
    const fitting = Math.max(before === 0 ? 1 : 0, Math.floor(valuesLeft / perRow))
    const room = frame.columns.some(isOtherAxis) ? 0 : Math.min(frame.offsetsNs.length, limit - before, fitting)
    valuesLeft -= room * perRow
    for (let i = 0; i < room; i++) time.push(formatNs(rowNs(frame, i)))
    for (const column of room > 0 ? frame.columns : []) {
      const mine = columnOf(column, before)
      for (let i = 0; i < room; i++) {
        const value = column.values[i] ?? null
        if (value instanceof Float64Array) mine.values.push([...shortCurve(value, curvePoints)])
        else mine.values.push(Number.isNaN(value) ? null : value)
      }
    }
    for (const column of columns.values()) while (column.values.length < time.length) column.values.push(null)
    // As `to` is not included, the last row that was given is where the newest-first list goes on.
    if (room < frame.offsetsNs.length) next = order === 'asc' ? formatNs(rowNs(frame, room)) : (time.at(-1) ?? null)
    return next === null
  }
  return { take, result: () => ({ rows: time.length, time, columns: [...columns.values()], next }) }
}

/** Curves of a column share one axis in an answer. Rows without a curve have none. */
const sameAxis = (a: Float64Array | undefined, b: Float64Array | undefined): boolean =>
  a === b || (a?.length === b?.length && (a?.every((value, i) => value === b?.[i]) ?? true))

const valuesPerRow = (frame: Frame, curvePoints: number): number =>
  frame.columns.reduce(
    (sum, column) => sum + (column.type === 'vector' ? Math.min(curvePoints, column.values[0]?.length ?? 0) : 1),
    1,
  )
