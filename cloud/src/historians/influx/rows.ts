/** Rows out of InfluxDB, page by page: memory holds one page, and a page goes on from the time of the last row of the one before. */
import { HISTORIAN_NS_MAX, HISTORIAN_NS_MIN, type TimeRange } from '../../historian.ts'
import type { Series } from './catalog.ts'
import { HOLES_FIELD, identifier, measurementName, ROW_FIELD, tagIs } from './names.ts'
import type { Server } from './server.ts'

export interface Page {
  times: bigint[]
  /** By column, then row: the value, `null` for a hole, `undefined` where the row came without the column. */
  cells: unknown[][]
}
export interface Scan extends TimeRange {
  series: Series
  /** Indices of the series' columns. */
  columns: readonly number[]
  descending?: boolean
  rowsPerPageMax?: number
}

const cellsPerPageMax = 1_000_000
export const rowsPerPage = 10_000

/** ns of the times that InfluxDB gives: RFC 3339 in UTC with up to 9 digits. A second is looked up once while rows share it. */
export const createTimeReader = (): ((text: string) => bigint) => {
  let second = ''
  let secondNs = 0n
  return text => {
    const head = text.slice(0, 19)
    if (head !== second) {
      second = head
      secondNs = BigInt(Date.parse(`${head}Z`)) * 1_000_000n
    }
    if (text.length === 20) return secondNs
    return secondNs + BigInt(text.slice(20, -1).padEnd(9, '0'))
  }
}

/** `where` of a series in a range; undefined where the range is empty. */
export const whereSeries = ({ site, device }: Series, range: TimeRange): string | undefined => {
  const times = whereTime(range)
  return times && `${tagIs('site', site)} and ${tagIs('device', device)} and ${times}`
}
export const whereTime = ({ fromNs, toNs }: TimeRange): string | undefined => {
  const from = fromNs < HISTORIAN_NS_MIN ? HISTORIAN_NS_MIN : fromNs
  const to = toNs > HISTORIAN_NS_MAX ? HISTORIAN_NS_MAX : toNs - 1n
  return from > to ? undefined : `time >= ${from} and time <= ${to}`
}

export const scan = async function* (server: Server, options: Scan): AsyncGenerator<Page> {
  const { series, columns, descending = false } = options
  const page = Math.max(100, Math.floor(cellsPerPageMax / (columns.length + 2)))
  const limit = Math.min(page, options.rowsPerPageMax ?? rowsPerPage, rowsPerPage)
  const fields = [ROW_FIELD, HOLES_FIELD, ...columns.map(c => series.columns[c]?.field ?? '')].map(identifier)
  const select = `select ${fields.join(', ')} from ${identifier(measurementName(series.stream))}`
  const order = descending ? 'order by time desc' : 'order by time asc'
  const readTime = createTimeReader()
  let { fromNs, toNs } = options
  for (;;) {
    const where = whereSeries(series, { fromNs, toNs })
    if (where === undefined) return
    const { series: found, partial } = await server.query(`${select} where ${where} ${order} limit ${limit}`)
    const values = found[0]?.values ?? []
    if (values.length === 0) return
    const times = values.map(row => readTime(row[0] as string))
    yield pageOf(series, columns, times, values)
    if (values.length < limit && !partial) return
    const last = times.at(-1) as bigint
    if (descending) toNs = last
    else fromNs = last + 1n
  }
}

const noHoles = new Set<number>()
/** Points that others wrote into the measurement have no `_row` and are passed over. */
const pageOf = (series: Series, columns: readonly number[], times: bigint[], values: unknown[][]): Page => {
  const page: Page = { times: [], cells: columns.map(() => []) }
  const shapes = series.shapes.map(shape => columns.map(c => shape.includes(c)))
  values.forEach((row, i) => {
    const shape = shapes[row[1] as number]
    if (row[1] === null || !shape) return
    page.times.push(times[i] as bigint)
    const holes = typeof row[2] === 'string' && row[2] !== '' ? new Set(row[2].split(',').map(Number)) : noHoles
    columns.forEach((column, c) => {
      const value = !shape[c] ? undefined : holes.has(column) ? null : (row[3 + c] ?? null)
      page.cells[c]?.push(value)
    })
  })
  return page
}
