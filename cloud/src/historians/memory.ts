/** The historian as a plain map of rows: the oracle of tests, obviously right and slow. Nothing survives the process. */
import { type Column, type Frame, rowNs, STATUS_CLOSED, STATUS_COLUMN } from '@penstock/frame'
import { roundSum } from '../exact-sum.ts'
import {
  type Aggregate,
  type Bucket,
  type DirtyHour,
  HISTORIAN_NS_MAX,
  HISTORIAN_NS_MIN,
  type Historian,
  type ReadQuery,
  type StreamInfo,
  type TimeRange,
} from '../historian.ts'

type Kind = 'number' | 'bool' | 'text' | 'vector'
type Cell = number | boolean | string | { curve: Float64Array; axis: Float64Array | undefined } | null
interface ColumnFact {
  name: string
  kind: Kind
  label: string
  type: Column['type']
  unit: string | undefined
}
interface Series {
  site: string
  device: string
  stream: string
  columns: ColumnFact[]
  rows: Map<bigint, Map<ColumnFact, Cell>>
}

const frameRowsMax = 10_000
const offsetMax = 2n ** 53n

const kindOf = (type: Column['type']): Kind => (type === 'int' || type === 'float' ? 'number' : type)

const cellOf = (column: Column, i: number): Cell => {
  if (column.type === 'vector')
    return { curve: (column.values[i] ?? new Float64Array()).map(v => v + 0), axis: column.axis }
  const v = column.values[i] ?? null
  if (typeof v !== 'number') return v
  return Number.isFinite(v) ? v + 0 : null
}

export const createMemoryHistorian = (): Historian => {
  const all = new Map<string, Series>()
  const aggregates = new Map<string, Aggregate>()
  const dirty = new Map<string, DirtyHour>()
  let cursor = 0
  let aggregatesCursor = 0
  let stamp = ''

  const columnOf = (series: Series, column: Column): ColumnFact => {
    const kind = kindOf(column.type)
    let fact = series.columns.find(c => c.name === column.name && c.kind === kind)
    if (!fact) {
      const taken = series.columns.some(c => c.label === column.name)
      const label = taken ? `${column.name}:${kind}` : column.name
      fact = { name: column.name, kind, label, type: column.type, unit: undefined }
      series.columns.push(fact)
    }
    if (fact.type === 'int' && column.type === 'float') fact.type = 'float'
    fact.unit = column.unit ?? fact.unit
    return fact
  }

  const writeFrame = (frame: Frame): void => {
    const key = keyOf(frame)
    let series = all.get(key)
    if (!series) {
      series = { site: frame.site, device: frame.device, stream: frame.stream, columns: [], rows: new Map() }
      all.set(key, series)
    }
    const facts = frame.columns.map(column => columnOf(series, column))
    for (let i = 0; i < frame.offsetsNs.length; i++) {
      const row = new Map<ColumnFact, Cell>()
      facts.forEach((fact, c) => {
        row.set(fact, cellOf(frame.columns[c] as Column, i))
      })
      series.rows.set(rowNs(frame, i), row)
    }
  }

  const sorted = (series: Series | undefined, fromNs: bigint, toNs: bigint) =>
    [...(series?.rows ?? [])].filter(([t]) => t >= fromNs && t < toNs).sort(([a], [b]) => (a < b ? -1 : 1))

  return {
    async write(frames, at) {
      for (const frame of frames) {
        frame.offsetsNs.forEach((_, i) => {
          const t = rowNs(frame, i)
          if (t < HISTORIAN_NS_MIN || t > HISTORIAN_NS_MAX) throw new RangeError(`the time ${t} ns is out of range`)
        })
      }
      for (const frame of frames) if (frame.offsetsNs.length > 0) writeFrame(frame)
      if (at !== undefined) cursor = at
    },
    cursor: async () => cursor,

    async *read(query) {
      const series = all.get(keyOf(query))
      if (!series) return
      let rows = sorted(series, query.fromNs, query.toNs)
      const facts = series.columns.filter(c => query.columns?.includes(c.name) ?? true)
      if (query.points !== undefined && rows.length > query.points) rows = downsample(rows, facts, query.points)
      if (query.descending) rows.reverse()
      rows = rows.slice(0, query.limit)
      while (rows.length > 0) {
        const first = rows[0]?.[0] ?? 0n
        const axes = axesOf(rows[0]?.[1], facts)
        let n = 1
        for (; n < rows.length && n < frameRowsMax; n++) {
          const [t, row] = rows[n] as (typeof rows)[number]
          const far = t - first
          if (far >= offsetMax || far <= -offsetMax || axesOf(row, facts) !== axes) break
        }
        yield toFrame(series, facts, rows.splice(0, n))
      }
    },

    async streams() {
      const infos: StreamInfo[] = []
      for (const series of all.values()) {
        const times = [...series.rows.keys()].sort((a, b) => (a < b ? -1 : 1))
        infos.push({
          site: series.site,
          device: series.device,
          stream: series.stream,
          columns: series.columns.map(c => ({
            name: c.label,
            type: c.type,
            ...(c.unit !== undefined && { unit: c.unit }),
          })),
          rows: times.length,
          firstNs: times[0] ?? 0n,
          lastNs: times.at(-1) ?? 0n,
        })
      }
      return infos.sort((a, b) => order(a.site, b.site) || order(a.device, b.device) || order(a.stream, b.stream))
    },

    buckets: async ({ stream, series }) =>
      series
        .flatMap(({ site, device, spans }) => bucketsOf(all.get(keyOf({ site, device, stream })), spans, sorted))
        .sort(
          (a, b) =>
            (a.startNs < b.startNs ? -1 : a.startNs > b.startNs ? 1 : 0) ||
            order(a.site, b.site) ||
            order(a.device, b.device) ||
            order(a.column, b.column),
        ),

    async writeAggregates(rows, at, marks) {
      for (const hour of marks?.remove ?? []) dirty.delete(dirtyKey(hour))
      for (const hour of marks?.add ?? []) dirty.set(dirtyKey(hour), { ...hour })
      for (const row of rows) {
        if (row.rows > 0) aggregates.set(aggregateKey(row), { ...row })
        else aggregates.delete(aggregateKey(row))
      }
      if (at !== undefined) aggregatesCursor = at
    },
    aggregatesCursor: async () => aggregatesCursor,
    async *readAggregates(query) {
      const found = [...aggregates.values()].filter(
        a =>
          (query.level === undefined || a.level === query.level) &&
          a.resolution === query.resolution &&
          a.stream === query.stream &&
          (query.column === undefined || a.column === query.column) &&
          (query.site === undefined || a.site === query.site) &&
          (query.sites?.includes(a.site) ?? true) &&
          (query.device === undefined || a.device === query.device) &&
          (query.fromNs === undefined || a.startNs >= query.fromNs) &&
          (query.toNs === undefined || a.startNs < query.toNs),
      )
      found.sort(
        (a, b) =>
          Number(a.startNs - b.startNs) ||
          order(a.site, b.site) ||
          order(a.level, b.level) ||
          order(a.device, b.device) ||
          order(a.column, b.column),
      )
      for (const row of found) yield { ...row }
    },
    dirtyHours: async () => [...dirty.values()],
    async clearAggregates(next = '') {
      aggregates.clear()
      dirty.clear()
      aggregatesCursor = 0
      stamp = next
    },
    aggregatesStamp: async () => stamp,
    async close() {},
  }
}

const keyOf = (key: { site: string; device: string; stream: string }) =>
  JSON.stringify([key.site, key.device, key.stream])
const dirtyKey = (hour: DirtyHour) => JSON.stringify([hour.site, hour.device, hour.stream, `${hour.startNs}`])
const aggregateKey = (a: Aggregate) =>
  JSON.stringify([a.level, a.resolution, a.site, a.device, a.stream, a.column, `${a.startNs}`])
/** By UTF-8 bytes, which is the order of code points. */
const order = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))

const axesOf = (row: Map<ColumnFact, Cell> | undefined, facts: readonly ColumnFact[]): string =>
  JSON.stringify(
    facts.filter(f => f.kind === 'vector').map(f => Array.from((row?.get(f) as { axis?: Float64Array })?.axis ?? [])),
  )

const toFrame = (series: Series, facts: readonly ColumnFact[], rows: [bigint, Map<ColumnFact, Cell>][]): Frame => {
  const startNs = rows[0]?.[0] ?? 0n
  const column = (fact: ColumnFact): Column => {
    const head = { name: fact.label, ...(fact.unit !== undefined && { unit: fact.unit }) }
    const cells = rows.map(([, row]) => row.get(fact) ?? null)
    if (fact.type === 'vector') {
      const curves = cells as ({ curve: Float64Array; axis: Float64Array | undefined } | null)[]
      const axis = curves[0]?.axis
      return { ...head, type: 'vector', values: curves.map(c => c?.curve ?? new Float64Array()), ...(axis && { axis }) }
    }
    if (fact.type === 'text') return { ...head, type: 'text', values: cells as (string | null)[] }
    if (fact.type === 'bool') return { ...head, type: 'bool', values: cells as (boolean | null)[] }
    return {
      ...head,
      type: fact.type,
      values: Float64Array.from(cells, v => (v === null ? Number.NaN : (v as number))),
    }
  }
  return {
    site: series.site,
    device: series.device,
    stream: series.stream,
    startNs,
    offsetsNs: Float64Array.from(rows, ([t]) => Number(t - startNs)),
    columns: facts.map(column),
  }
}

/** The first and the last row, and in each slice of time, for every numeric column, the earliest rows of its minimum and maximum. */
const downsample = (
  rows: [bigint, Map<ColumnFact, Cell>][],
  facts: readonly ColumnFact[],
  points: NonNullable<ReadQuery['points']>,
) => {
  const numeric = facts.filter(f => f.kind === 'number')
  const slices = BigInt(Math.max(1, Math.floor(points / Math.max(1, 2 * numeric.length))))
  const first = rows[0]?.[0] ?? 0n
  const width = ((rows.at(-1)?.[0] ?? 0n) - first) / slices + 1n
  const kept = new Set([rows[0], rows.at(-1)])
  const bySlice = new Map<bigint, typeof rows>()
  for (const row of rows) {
    const slice = (row[0] - first) / width
    bySlice.set(slice, [...(bySlice.get(slice) ?? []), row])
  }
  for (const slice of bySlice.values()) {
    if (numeric.length === 0) kept.add(slice[0])
    for (const fact of numeric) {
      const having = slice.filter(([, row]) => typeof row.get(fact) === 'number')
      const values = having.map(([, row]) => row.get(fact) as number)
      kept.add(having.find(([, row]) => (row.get(fact) as number) === Math.min(...values)))
      kept.add(having.find(([, row]) => (row.get(fact) as number) === Math.max(...values)))
    }
  }
  return rows.filter(row => kept.has(row))
}

type Sorted = (series: Series | undefined, fromNs: bigint, toNs: bigint) => [bigint, Map<ColumnFact, Cell>][]

const bucketsOf = (series: Series | undefined, spans: readonly TimeRange[], sorted: Sorted): Bucket[] => {
  if (!series) return []
  const buckets: Bucket[] = []
  for (const span of spans) {
    const rows = sorted(series, span.fromNs, span.toNs)
    const facts = series.columns.filter(c => c.kind === 'number' && rows.some(([, row]) => row.has(c)))
    for (const fact of facts) {
      buckets.push(bucketOf(fact, series, span.fromNs, rows))
    }
  }
  return buckets
}

/** A double in units of 2^-1074, of which every double is a whole number. */
const scaledOf = (v: number) => {
  const bits = new BigUint64Array(Float64Array.of(v).buffer)[0] ?? 0n
  const exponent = (bits >> 52n) & 0x7ffn
  const fraction = bits & 0xfffffffffffffn
  const units = exponent === 0n ? fraction : (fraction | (1n << 52n)) << (exponent - 1n)
  return { units: v < 0 ? -units : units, exponent: -1074 }
}

const bucketOf = (
  fact: ColumnFact,
  series: Series,
  startNs: bigint,
  rows: [bigint, Map<ColumnFact, Cell>][],
): Bucket => {
  const status = series.columns.find(c => c.name === STATUS_COLUMN && c.kind === 'text')
  const values: number[] = []
  let failed = 0
  let closed = 0
  for (const [, row] of rows) {
    const v = row.get(fact)
    const said = status && row.get(status)
    if (typeof v === 'number') values.push(v + 0)
    else if (v === undefined) continue
    else if (said === STATUS_CLOSED) closed++
    else if (said !== null && said !== undefined && said !== 'ok') failed++
  }
  const n = values.length
  const sum = roundSum(values.map(scaledOf))
  return {
    site: series.site,
    device: series.device,
    column: fact.label,
    startNs,
    n,
    sum: n > 0 ? sum : null,
    min: n > 0 ? Math.min(...values) : null,
    max: n > 0 ? Math.max(...values) : null,
    first: values[0] ?? null,
    last: values.at(-1) ?? null,
    failed,
    closed,
    rows: rows.length,
  }
}
