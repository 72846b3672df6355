/**
 * Rows out of the lake in order of time, in slices: a slice is a range of time that holds so few values that it can be
 * sorted and held in memory, however the rows lie in the table and however many there are. Each slice is a snapshot.
 */
import type { DuckDBDataChunk, DuckDBListVector } from '@duckdb/node-api'
import duckdb from '@duckdb/node-bindings'
import type { Column, Frame } from '@penstock/frame'
import { HISTORIAN_NS_MAX, HISTORIAN_NS_MIN, type ReadQuery, type TimeRange } from '../../historian.ts'
import { axisName, type Catalog, columnName, type Series, type SeriesColumn, tableName } from './catalog.ts'
import type { Database } from './database.ts'

const frameRowsMax = 10_000
/** Numbers and texts that a slice may hold: some 10 MB. */
const sliceValuesMax = 400_000
const binsMax = 512n
/** More than this many rows are never asked for by name; a downsample keeps fewer. */
const pointsMax = 100_000
const two32 = 2 ** 32
const offsetMax = 2 ** 53

/** A whole number as SQL. */
const literal = (ns: bigint): string => `cast('${ns}' as bigint)`
const clamp = ({ fromNs, toNs }: TimeRange): { first: bigint; last: bigint } => ({
  first: fromNs < HISTORIAN_NS_MIN ? HISTORIAN_NS_MIN : fromNs,
  last: toNs > HISTORIAN_NS_MAX ? HISTORIAN_NS_MAX : toNs - 1n,
})
export const whereSql = (of: Series | readonly Series[], range: TimeRange): string => {
  const { first, last } = clamp(range)
  const series = 'id' in of ? `= ${of.id}` : `in (${of.map(one => one.id).join(', ')})`
  return `series ${series} and t between ${literal(first)} and ${literal(last)}`
}

/** The number of the slice of time that a row is in; in 128 bits only where 64 do not hold the difference. */
const sliceSql = (firstNs: bigint, lastNs: bigint, width: bigint): string =>
  lastNs - firstNs > HISTORIAN_NS_MAX
    ? `(t::hugeint - ${literal(firstNs)}) // ${width}`
    : `(t - ${literal(firstNs)}) // ${width}`

/** What is selected for a column, and how its part of a chunk becomes values. */
const selectSql = ({ physical }: SeriesColumn): string => {
  if (physical.kind === 'number') return `coalesce(${columnName(physical)}, 'nan'::double)`
  if (physical.kind !== 'vector') return columnName(physical)
  return `coalesce(${columnName(physical)}, []::double[]), ${axisName(physical)}`
}

export const createReading = (database: Database, catalog: Catalog) => {
  /** Ranges of time in order, each with at most `sliceValuesMax` values unless one ns holds more. */
  async function* slices(
    series: Series,
    columns: readonly SeriesColumn[],
    range: TimeRange,
    descending: boolean,
  ): AsyncGenerator<TimeRange> {
    const curves = columns
      .filter(c => c.physical.kind === 'vector')
      .map(c => `coalesce(sum(len(${columnName(c.physical)})), 0)`)
    if (curves.length === 0 && series.rows * (columns.length + 1) <= sliceValuesMax) {
      yield range
      return
    }
    const values = [`count(*) * ${columns.length + 1}`, ...curves].join(' + ')
    const from = `from ${tableName(series.table)} where ${whereSql(series, range)}`
    const [[total, min, max] = []] = await database.rows(`select ${values}, min(t), max(t) ${from}`)
    if (min === null || min === undefined) return
    const firstNs = min as bigint
    const endNs = (max as bigint) + 1n
    if (Number(total) <= sliceValuesMax || endNs - firstNs <= 1n) {
      yield { fromNs: firstNs, toNs: endNs }
      return
    }
    const width = (endNs - firstNs + binsMax - 1n) / binsMax
    const bin = sliceSql(firstNs, endNs, width)
    const rows = await database.rows(`select (${bin})::bigint as bin, ${values} ${from} group by bin order by bin`)
    const merged = mergeBins(rows.map(([b, v]) => ({ bin: b as bigint, values: Number(v) })))
    if (descending) merged.reverse()
    for (const part of merged) {
      const toNs = firstNs + (part.last + 1n) * width
      const slice = { fromNs: firstNs + part.first * width, toNs: toNs < endNs ? toNs : endNs }
      if (part.values > sliceValuesMax) yield* slices(series, columns, slice, descending)
      else yield slice
    }
  }

  /** All rows of a range as frames, oldest first, or newest first. */
  async function* frames(
    series: Series,
    columns: readonly SeriesColumn[],
    query: Omit<ReadQuery, keyof Series>,
    and = '',
  ): AsyncGenerator<Frame> {
    const { limit, descending = false } = query
    const select = ['t', ...columns.map(selectSql)].join(', ')
    const few =
      limit !== undefined && limit * (columns.length + 1) <= sliceValuesMax && !columns.some(c => c.type === 'vector')
    const builder = createFrameBuilder(series, columns, catalog)
    let left = limit ?? Number.POSITIVE_INFINITY
    for await (const slice of few ? [query] : slices(series, columns, query, descending)) {
      const result = await database.query(
        `select ${select} from ${tableName(series.table)} where ${whereSql(series, slice)}${and}
         order by t ${descending ? 'desc' : 'asc'} ${Number.isFinite(left) ? `limit ${left}` : ''}`,
      )
      for (let chunk = await result.fetchChunk(); chunk && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
        left -= chunk.rowCount
        yield* builder.push(chunk)
      }
      if (left <= 0) break
    }
    yield* builder.finish()
  }

  /** Times of the first and last row and, per slice of time and numeric column, of the earliest minimum and maximum. */
  const extremes = async (
    series: Series,
    columns: readonly SeriesColumn[],
    query: ReadQuery,
    first: bigint,
    last: bigint,
  ): Promise<bigint[]> => {
    const numeric = columns.filter(c => c.physical.kind === 'number').map(c => columnName(c.physical))
    const points = Math.min(query.points ?? 0, pointsMax)
    const slices = BigInt(Math.max(1, Math.floor(points / Math.max(1, 2 * numeric.length))))
    const width = (last - first) / slices + 1n
    const where = whereSql(series, query)
    const values = numeric.map(c => `, nullif(${c}, 'nan'::double) as ${c}`).join('')
    const rows = `select t, ${sliceSql(first, last, width)} as slice ${values} from ${tableName(series.table)} where ${where}`
    const bounds = numeric.map(c => `, min(${c}) as lo_${c}, max(${c}) as hi_${c}`).join('')
    const times = numeric.flatMap(c => [`min(t) filter (${c} = lo_${c})`, `min(t) filter (${c} = hi_${c})`])
    const found = await database.rows(
      `with r as (${rows}), b as (select slice, min(t) as earliest ${bounds} from r group by slice)
       select ${times.length > 0 ? times.join(', ') : 'min(earliest)'} from r join b using (slice) group by slice`,
    )
    return [...new Set([first, last, ...found.flat().filter(t => typeof t === 'bigint')])]
  }

  const downsampled = async function* (
    series: Series,
    columns: readonly SeriesColumn[],
    query: ReadQuery,
  ): AsyncGenerator<Frame> {
    const probe = `select count(*), min(t), max(t) from ${tableName(series.table)} where ${whereSql(series, query)}`
    const [[total, min, max] = []] = await database.rows(probe)
    if (Number(total) <= (query.points ?? 0)) return yield* frames(series, columns, query)
    const times = await extremes(series, columns, query, min as bigint, max as bigint)
    const list = times.map(t => `${t}`).join(',')
    yield* frames(series, columns, query, ` and t in (select unnest([${list}]::bigint[]))`)
  }

  const read = async function* (query: ReadQuery): AsyncGenerator<Frame> {
    const series = catalog.find(query)
    if (!series || series.rows === 0 || query.toNs <= query.fromNs || query.limit === 0) return
    const columns = series.columns.filter(c => query.columns?.includes(c.physical.name) ?? true)
    if (query.points !== undefined && series.rows > query.points) yield* downsampled(series, columns, query)
    else yield* frames(series, columns, query)
  }
  return { read, frames }
}

const mergeBins = (bins: readonly { bin: bigint; values: number }[]) => {
  const merged: { first: bigint; last: bigint; values: number }[] = []
  for (const { bin, values } of bins) {
    const open = merged.at(-1)
    if (open && open.values + values <= sliceValuesMax) {
      open.last = bin
      open.values += values
    } else merged.push({ first: bin, last: bin, values })
  }
  return merged
}

/** The time that a frame's offsets count from, also as two halves of 32 bits. */
interface Start {
  ns: bigint
  low: number
  high: number
}
const timeAt = (times: Int32Array, i: number): Start => {
  const low = (times[2 * i] as number) >>> 0
  const high = times[2 * i + 1] as number
  return { ns: (BigInt(high) << 32n) + BigInt(low), low, high }
}
const isFar = (start: Start, times: Int32Array, i: number): boolean => {
  const { low, high } = timeAt(times, i)
  return Math.abs((high - start.high) * two32 + (low - start.low)) >= offsetMax
}

/** Cuts chunks of (t, columns …) into frames of at most 10,000 rows, one axis a curve column, offsets below 2^53. */
const createFrameBuilder = (series: Series, columns: readonly SeriesColumn[], catalog: Catalog) => {
  const { site, device, stream } = series
  const rowsMax = Math.min(frameRowsMax, Math.max(64, Math.floor(4_000_000 / columns.length)))
  let curveValues = 0
  let start: Start | undefined
  let offsets = new Float64Array(rowsMax)
  let rows = 0
  let axes: number[] = []
  let parts = columns.map(column => createPart(column, rowsMax))

  const take = function* (): Generator<Frame> {
    if (start && rows > 0) {
      const cut = parts.map((part, c) => part.cut(rows, catalog.axis(axes[c] ?? 0)))
      yield { site, device, stream, startNs: start.ns, offsetsNs: offsets.slice(0, rows), columns: cut }
    }
    start = undefined
    rows = 0
    offsets = new Float64Array(rowsMax)
    curveValues = 0
    parts = columns.map(column => createPart(column, rowsMax))
  }

  /** End of the rows from `i` on that go into the open frame; `i` where it has to be cut first. */
  const runEnd = (readers: readonly ColumnReader[], open: Start, times: Int32Array, i: number, n: number): number => {
    let end = Math.min(n, i + rowsMax - rows)
    if (readers.some(reader => reader.axis !== noAxis)) {
      const same = readers.every((reader, c) => reader.axis(i) === axes[c])
      end = same && curveValues < sliceValuesMax ? Math.min(end, i + 1) : i
    }
    while (end > i && isFar(open, times, end - 1)) end = i + ((end - i) >> 1)
    return end
  }
  const putRun = (
    readers: readonly ColumnReader[],
    { low, high }: Start,
    times: Int32Array,
    from: number,
    to: number,
  ) => {
    for (let i = from; i < to; i++) {
      offsets[rows + i - from] =
        ((times[2 * i + 1] as number) - high) * two32 + (((times[2 * i] as number) >>> 0) - low)
    }
    readers.forEach((reader, c) => {
      curveValues += parts[c]?.put(rows, reader, from, to) ?? 0
    })
    rows += to - from
  }

  return {
    *push(chunk: DuckDBDataChunk): Generator<Frame> {
      const n = chunk.rowCount
      const times = int32View(chunk, 0, n)
      let at = 1
      const readers = columns.map(column => {
        const index = at
        at += column.physical.kind === 'vector' ? 2 : 1
        return openColumn(chunk, index, n, column)
      })
      for (let i = 0; i < n; ) {
        if (!start) {
          start = timeAt(times, i)
          axes = readers.map(reader => reader.axis(i))
        }
        const end = runEnd(readers, start, times, i, n)
        if (end > i) putRun(readers, start, times, i, end)
        else yield* take()
        i = end
      }
    },
    finish: take,
  }
}

interface ColumnReader {
  numbers: Float64Array
  value(i: number): unknown
  axis(i: number): number
}
const noAxis = (): number => 0
const noNumbers = new Float64Array()

const openColumn = (chunk: DuckDBDataChunk, index: number, n: number, column: SeriesColumn): ColumnReader => {
  if (column.physical.kind === 'number') {
    const bytes = duckdb.vector_get_data(duckdb.data_chunk_get_vector(chunk.chunk, index), n * 8)
    const values = new Float64Array(bytes.buffer, bytes.byteOffset, n)
    return { numbers: values, value: () => null, axis: noAxis }
  }
  const vector = chunk.getColumnVector(index)
  if (column.physical.kind !== 'vector') return { numbers: noNumbers, value: i => vector.getItem(i), axis: noAxis }
  const list = vector as DuckDBListVector
  const axisIds = chunk.getColumnVector(index + 1)
  const child = duckdb.list_vector_get_child(duckdb.data_chunk_get_vector(chunk.chunk, index))
  const bytes = duckdb.vector_get_data(child, list.childVector.itemCount * 8)
  const values = new Float64Array(bytes.buffer, bytes.byteOffset, list.childVector.itemCount)
  return {
    numbers: noNumbers,
    value: i => values.slice(list.getEntryOffset(i), list.getEntryOffset(i) + list.getEntryLength(i)),
    axis: i => Number(axisIds.getItem(i) ?? 0),
  }
}

const int32View = (chunk: DuckDBDataChunk, index: number, n: number): Int32Array => {
  const bytes = duckdb.vector_get_data(duckdb.data_chunk_get_vector(chunk.chunk, index), n * 8)
  return new Int32Array(bytes.buffer, bytes.byteOffset, 2 * n)
}

/** One column of the frame being built. */
const createPart = (column: SeriesColumn, rowsMax: number) => {
  const head = { name: column.label, ...(column.unit !== undefined && { unit: column.unit }) }
  const numbers = column.physical.kind === 'number' ? new Float64Array(rowsMax) : undefined
  const values: unknown[] = []
  return {
    /** Takes rows from … to - 1 of the chunk; returns how many numbers of curves it took. */
    put(row: number, reader: ColumnReader, from: number, to: number): number {
      if (numbers) {
        numbers.set(reader.numbers.subarray(from, to), row)
        return 0
      }
      let taken = 0
      for (let i = from; i < to; i++) {
        const value = reader.value(i)
        values.push(value)
        if (value instanceof Float64Array) taken += value.length
      }
      return taken
    },
    cut(rows: number, axis: Float64Array): Column {
      if (column.type === 'int' || column.type === 'float') {
        return { ...head, type: column.type, values: (numbers ?? new Float64Array()).slice(0, rows) }
      }
      if (column.type === 'bool') return { ...head, type: 'bool', values: values as (boolean | null)[] }
      if (column.type === 'text') return { ...head, type: 'text', values: values as (string | null)[] }
      const curves = values as Float64Array[]
      return { ...head, type: 'vector', values: curves, ...(axis.length > 0 && { axis }) }
    },
  }
}
