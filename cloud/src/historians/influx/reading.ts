/** Frames out of InfluxDB. */
import type { Column, Frame } from '@penstock/frame'
import { HISTORIAN_NS_MAX, HISTORIAN_NS_MIN, type ReadQuery } from '../../historian.ts'
import type { Catalog, Series, SeriesColumn } from './catalog.ts'
import { identifier, measurementName, ROW_FIELD } from './names.ts'
import { createTimeReader, type Page, rowsPerPage, scan, whereSeries, whereTime } from './rows.ts'
import type { Server } from './server.ts'

const offsetMax = 2n ** 53n
const allTime = whereTime({ fromNs: HISTORIAN_NS_MIN, toNs: HISTORIAN_NS_MAX + 1n })

export const read = async function* (server: Server, catalog: Catalog, query: ReadQuery): AsyncGenerator<Frame> {
  const { columns: names, limit, points, descending = false } = query
  const series = catalog.find(query)
  if (!series || limit === 0) return
  const columns = series.columns.flatMap((column, c) => ((names?.includes(column.name) ?? true) ? [c] : []))
  const facts = columns.map(c => series.columns[c] as SeriesColumn)
  const { fromNs, toNs } = query
  let left = limit ?? Number.POSITIVE_INFINITY
  const rowsPerPageMax = Math.min(left, rowsPerPage)
  const pages =
    (points !== undefined && (await downsampled(server, series, columns, query, points))) ||
    scan(server, { series, columns, fromNs, toNs, descending, rowsPerPageMax })
  for await (const page of pages) {
    for (const frame of framesOf(series, facts, page, left)) {
      left -= frame.offsetsNs.length
      yield frame
    }
    if (left <= 0) return
  }
}

const framesOf = function* (
  series: Series,
  facts: readonly SeriesColumn[],
  { times, cells }: Page,
  rowsMax: number,
): Generator<Frame> {
  const { site, device, stream } = series
  const end = Math.min(times.length, rowsMax)
  for (let from = 0; from < end; ) {
    const startNs = times[from] as bigint
    let to = from + 1
    for (; to < end && to - from < rowsPerPage; to++) {
      const far = (times[to] as bigint) - startNs
      if (far >= offsetMax || far <= -offsetMax) break
    }
    yield {
      site,
      device,
      stream,
      startNs,
      offsetsNs: Float64Array.from(times.slice(from, to), t => Number(t - startNs)),
      columns: facts.map((fact, c) => columnOf(fact, cells[c]?.slice(from, to) ?? [])),
    }
    from = to
  }
}

const columnOf = ({ label, type, unit }: SeriesColumn, cells: unknown[]): Column => {
  const head = { name: label, ...(unit !== undefined && { unit }) }
  if (type === 'text') return { ...head, type, values: cells.map(v => (v ?? null) as string | null) }
  if (type === 'bool') return { ...head, type, values: cells.map(v => (v ?? null) as boolean | null) }
  return { ...head, type, values: Float64Array.from(cells, v => (typeof v === 'number' ? v + 0 : Number.NaN)) }
}

/**
 * The first and the last row, and in each slice of time, for every numeric column, the earliest rows of its minimum and
 * maximum. `undefined` where there are no more than `points` rows. Rows stream by; only those kept stay in memory.
 */
const downsampled = async (
  server: Server,
  series: Series,
  columns: readonly number[],
  query: ReadQuery,
  points: number,
): Promise<Page[] | undefined> => {
  const range = await rangeOf(server, series, query)
  if (!range || range.rows <= points) return undefined
  const numeric = columns.flatMap((column, c) => (series.columns[column]?.kind === 'number' ? [c] : []))
  const slices = BigInt(Math.max(1, Math.floor(points / Math.max(1, 2 * numeric.length))))
  const width = (range.lastNs - range.firstNs) / slices + 1n
  type Row = { t: bigint; cells: unknown[] }
  const kept = new Map<bigint, Row>()
  let slice = -1n
  let best: { c: number; low?: Row; high?: Row }[] = []
  const keepBest = () => {
    for (const { low, high } of best) for (const row of [low, high]) if (row) kept.set(row.t, row)
  }
  for await (const { times, cells } of scan(server, { ...query, series, columns, descending: false })) {
    times.forEach((t, i) => {
      const row = (): Row => ({ t, cells: cells.map(column => column[i]) })
      const mine = (t - range.firstNs) / width
      if (mine !== slice) {
        keepBest()
        best = numeric.map(c => ({ c }))
        slice = mine
        if (numeric.length === 0) kept.set(t, row())
      }
      if (t === range.firstNs || t === range.lastNs) kept.set(t, row())
      for (const held of best) {
        const value = cells[held.c]?.[i]
        if (typeof value !== 'number') continue
        if (!held.low || value < (held.low.cells[held.c] as number)) held.low = row()
        if (!held.high || value > (held.high.cells[held.c] as number)) held.high = row()
      }
    })
  }
  keepBest()
  const rows = [...kept.values()].sort((a, b) => (a.t < b.t ? -1 : 1))
  if (query.descending) rows.reverse()
  return [{ times: rows.map(row => row.t), cells: columns.map((_, c) => rows.map(row => row.cells[c])) }]
}

const rangeOf = async (server: Server, series: Series, query: ReadQuery) => {
  const where = whereSeries(series, query)
  if (where === undefined) return undefined
  const ask = async (what: string) =>
    (
      await server.query(
        `select ${what}(${identifier(ROW_FIELD)}) from ${identifier(measurementName(series.stream))} where ${where}`,
      )
    ).series[0]?.values[0]
  const [count, first, last] = await Promise.all([ask('count'), ask('first'), ask('last')])
  if (!count || !first || !last) return undefined
  const time = createTimeReader()
  return { rows: Number(count[1]), firstNs: time(String(first[0])), lastNs: time(String(last[0])) }
}

/** Per series of a stream: first and last time. */
export const extremesOf = async (server: Server, stream: string, what: 'first' | 'last') => {
  const time = createTimeReader()
  return (await bySeries(server, stream, what)).map(({ site, device, values }) => ({
    site,
    device,
    ns: time(String(values[0]?.[0])),
  }))
}
/** Per series of a stream: rows. */
export const countsOf = async (server: Server, stream: string) =>
  (await bySeries(server, stream, 'count')).map(({ site, device, values }) => ({
    site,
    device,
    rows: Number(values[0]?.[1] ?? 0),
  }))

const bySeries = async (server: Server, stream: string, what: 'first' | 'last' | 'count') => {
  const from = `select ${what}(${identifier(ROW_FIELD)}) from ${identifier(measurementName(stream))}`
  const { series } = await server.query(`${from} where ${allTime} group by "site", "device"`)
  return series.map(({ tags, values }) => ({ site: tags?.site ?? '', device: tags?.device ?? '', values }))
}
