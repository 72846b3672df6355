/**
 * Aggregates of spans of time, computed where the rows lie. Sums are exact, so that they do not depend on an order: whole
 * numbers are added as integers, other floats as integers in units of a power of two, one sum for each range of exponents.
 */
import type { DuckDBValue } from '@duckdb/node-api'
import { STATUS_CLOSED, STATUS_COLUMN } from '@penstock/frame'
import { roundSum, type Scaled } from '../../exact-sum.ts'
import { type Bucket, type BucketQuery, HISTORIAN_NS_MAX, HISTORIAN_NS_MIN, type TimeRange } from '../../historian.ts'
import { type Catalog, columnName, type PhysicalColumn, type Series, tableName } from './catalog.ts'
import type { Database } from './database.ts'
import { whereSql } from './reading.ts'

const hourNs = 3_600_000_000_000n
/** Spans further apart than this are not scanned together. */
const gapNsMax = 48n * hourNs
const columnsPerQueryMax = 64
const exact = '9007199254740992'

/** Spans that one query can tell apart by dividing: hours on one grid, near each other; or a single span of any length. */
interface Cluster {
  baseNs: bigint
  widthNs: bigint
  spans: TimeRange[]
}

/** The part of a span that the lake can hold. */
const within = ({ fromNs, toNs }: TimeRange): TimeRange => ({
  fromNs: BigInt.asIntN(64, fromNs) === fromNs || fromNs > 0n ? fromNs : HISTORIAN_NS_MIN,
  toNs: BigInt.asIntN(64, toNs) === toNs || toNs < 0n ? toNs : HISTORIAN_NS_MAX + 1n,
})

const clustersOf = (spans: readonly TimeRange[]): Cluster[] => {
  const clusters: Cluster[] = []
  for (const span of spans) {
    const { fromNs, toNs } = within(span)
    if (toNs <= fromNs) continue
    const open = clusters.at(-1)
    const before = open?.spans.at(-1)
    if (
      open?.widthNs === hourNs &&
      before &&
      toNs - fromNs === hourNs &&
      (fromNs - open.baseNs) % hourNs === 0n &&
      fromNs - before.toNs <= gapNsMax
    ) {
      open.spans.push(span)
    } else clusters.push({ baseNs: fromNs, widthNs: toNs - fromNs, spans: [span] })
  }
  return clusters
}

/** What is asked of a series. */
interface Asked {
  series: Series
  spans: readonly TimeRange[]
}
/** Series of one table that one query reads: the spans of each, and, of series with few rows an hour, some more. */
interface Group {
  asked: Asked[]
  spans: readonly TimeRange[]
}

/** A series with more rows an hour is read by itself: there, hours that nobody asked for cost more than a query. */
const rowsPerHourMax = 240
/** Of each bucket that is asked for, so many are computed where that spares queries; and some on top. */
const bucketsPerAskedMax = 4
const bucketsMin = 1000

const mayShare = ({ series, spans }: Asked): boolean => {
  const first = spans[0]?.fromNs ?? 0n
  const hours = Number((series.lastNs - series.firstNs) / hourNs) + 1
  return (
    series.rows / hours <= rowsPerHourMax &&
    spans.every(({ fromNs, toNs }) => toNs - fromNs === hourNs && (fromNs - first) % hourNs === 0n)
  )
}

/** Every query costs milliseconds before it reads a row: series whose hours are mostly the same are read together. */
const groupsOf = (all: readonly Asked[]): Group[] => {
  const groups: Group[] = []
  const open = new Map<bigint, { asked: Asked[]; wanted: number; union: Map<bigint, TimeRange> }>()
  const close = (grid: bigint) => {
    const group = open.get(grid)
    open.delete(grid)
    if (!group) return
    const spans = [...group.union.values()].sort((a, b) => (a.fromNs < b.fromNs ? -1 : 1))
    groups.push({ asked: group.asked, spans })
  }
  for (const asked of all) {
    if (!mayShare(asked)) {
      groups.push({ asked: [asked], spans: asked.spans })
      continue
    }
    const grid = (((asked.spans[0]?.fromNs ?? 0n) % hourNs) + hourNs) % hourNs
    const had = open.get(grid)
    if (had) {
      const more = asked.spans.filter(span => !had.union.has(span.fromNs)).length
      const buckets = (had.union.size + more) * (had.asked.length + 1)
      if (buckets > bucketsMin + bucketsPerAskedMax * (had.wanted + asked.spans.length)) close(grid)
    }
    const group = open.get(grid) ?? { asked: [], wanted: 0, union: new Map<bigint, TimeRange>() }
    open.set(grid, group)
    group.asked.push(asked)
    group.wanted += asked.spans.length
    for (const span of asked.spans) group.union.set(span.fromNs, span)
  }
  for (const grid of [...open.keys()]) close(grid)
  return groups
}

/** The numeric columns of some series of one table. Where they differ in it, a column counts as one of floats. */
const numericOf = (asked: readonly Asked[]): NumericColumn[] => {
  const columns = new Map<number, NumericColumn>()
  for (const { series } of asked) {
    for (const { physical, type } of series.columns) {
      if (physical.kind !== 'number') continue
      const had = columns.get(physical.id)
      if (!had) columns.set(physical.id, { physical, isInt: type === 'int' })
      else had.isInt &&= type === 'int'
    }
  }
  return [...columns.values()]
}

export const createBuckets = (database: Database, catalog: Catalog) => {
  /** Sums of the columns by series and span: key `<column id> <series id> <bin>`. */
  const exactSums = async (of: readonly Series[], columns: readonly Spread[], cluster: Cluster, range: TimeRange) => {
    const parts = new Map<string, Scaled[]>()
    if (columns.length === 0) return parts
    const rows = await database.rows(exactSumSql(of, columns, cluster, range))
    for (const [column, series, bin, exponent, units] of rows) {
      const key = `${column} ${series} ${bin}`
      const scaled = { units: (units ?? 0n) as bigint, exponent: Number(exponent) }
      const had = parts.get(key)
      if (had) had.push(scaled)
      else parts.set(key, [scaled])
    }
    return parts
  }

  const ofColumns = async (asked: readonly Asked[], columns: NumericColumn[], cluster: Cluster) => {
    const { baseNs, widthNs, spans } = cluster
    const range = { fromNs: baseNs, toNs: (spans.at(-1) as TimeRange).toNs }
    const of = asked.map(({ series }) => series)
    const byId = new Map(asked.map(one => [one.series.id, wantedOf(one)]))
    const buckets: Bucket[] = []
    const rows = await database.rows(bucketSql(of, columns, range, cluster))
    const others = columns.map((column, c) => spreadOf(column, rows, c)).filter(spread => !spread.whole)
    const inexact = new Set(others.map(spread => spread.column))
    const sums = await exactSums(of, others, cluster, range)
    for (const row of rows) {
      const wanted = byId.get(Number(row[0]))
      const bin = row[1] as bigint
      const startNs = spans.length === 1 ? (spans[0] as TimeRange).fromNs : baseNs + bin * widthNs
      if (!wanted?.starts.has(startNs)) continue
      const { site, device, id } = wanted.series
      for (const [c, column] of columns.entries()) {
        const [present, n, min, max, first, last, failed, closed, sum] = row.slice(3 + c * valuesPerColumn)
        if (Number(present) === 0) continue
        const had = Number(n) > 0
        const value = (v: unknown): number | null => (had ? Number(v) + 0 : null)
        const exactSum = () => roundSum(sums.get(`${column.physical.id} ${id} ${bin}`) ?? [])
        buckets.push({
          site,
          device,
          column: wanted.labels.get(column.physical.id) ?? column.physical.name,
          startNs,
          n: Number(n),
          sum: had && inexact.has(column) ? exactSum() : value(sum),
          min: value(min),
          max: value(max),
          first: value(first),
          last: value(last),
          failed: Number(failed),
          closed: Number(closed),
          rows: Number(row[2]),
        })
      }
    }
    return buckets
  }

  return async ({ stream, series: asked }: BucketQuery): Promise<Bucket[]> => {
    const known = asked.flatMap(({ site, device, spans }): Asked[] => {
      const series = catalog.find({ site, device, stream })
      return series && series.rows > 0 && spans.length > 0 ? [{ series, spans }] : []
    })
    const buckets: Bucket[] = []
    for (const group of groupsOf(known)) {
      const columns = numericOf(group.asked)
      for (const cluster of clustersOf(group.spans)) {
        for (let i = 0; i < columns.length; i += columnsPerQueryMax) {
          for (const bucket of await ofColumns(group.asked, columns.slice(i, i + columnsPerQueryMax), cluster)) {
            buckets.push(bucket)
          }
        }
      }
    }
    return buckets.sort(inOrder)
  }
}

/** The buckets that are wanted of a series, and what its columns are called. */
const wantedOf = ({ series, spans }: Asked) => ({
  series,
  starts: new Set(spans.map(span => span.fromNs)),
  labels: new Map(series.columns.map(column => [column.physical.id, column.label])),
})

const inOrder = (a: Bucket, b: Bucket): number =>
  a.startNs === b.startNs
    ? byBytes(a.site, b.site) || byBytes(a.device, b.device) || byBytes(a.column, b.column)
    : a.startNs < b.startNs
      ? -1
      : 1
const byBytes = (a: string, b: string): number => (a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b)))

/** The number of a row's span. A difference of two times may need more than 64 bits; within an hour's grid it never does. */
const binSql = ({ baseNs, widthNs }: Cluster): string =>
  widthNs === hourNs ? `(t - cast('${baseNs}' as bigint)) // ${hourNs}` : '0::bigint'

interface NumericColumn {
  physical: PhysicalColumn
  /** All values are whole: in every series it came as int, and never as float. */
  isInt: boolean
}

/** How the values of a column spread over all bins of a query. */
interface Spread {
  column: NumericColumn
  /** A plain sum is exact: whole numbers, and so few or small that no order of adding leaves 2^53. */
  whole: boolean
  /** Smallest and largest magnitude but 0. */
  low: number
  high: number
}
const spreadOf = (column: NumericColumn, rows: readonly DuckDBValue[][], c: number): Spread => {
  if (column.isInt) return { column, whole: true, low: 0, high: 0 }
  let [whole, low, high] = [true, Number.POSITIVE_INFINITY, 0]
  for (const row of rows) {
    const [, n, min, max, , , , , , isWhole, least] = row.slice(3 + c * valuesPerColumn, 3 + (c + 1) * valuesPerColumn)
    if (Number(n) === 0) continue
    const most = Math.max(Math.abs(Number(min)), Math.abs(Number(max)))
    whole &&= isWhole === true && Number(n) * most <= 2 ** 53
    high = Math.max(high, most)
    low = Math.min(low, Number(least ?? Number.POSITIVE_INFINITY))
  }
  return { column, whole, low, high }
}

/** Exponents of one range are added together: a double shifted by up to so many bits fits 128 bits, and so do 2^39 of them. */
const exponentRange = 32
/**
 * A double v with exponent e = floor(log2 |v|) is a whole number of units of 2^(e - 52). With r the lower end of e's range, v is a
 * whole number of units of 2^(r - 54) too: two bits to spare, as log2 may be off by one. Where all values lie in one range, r is
 * the same for all; else rows are grouped by theirs, and scaled in two steps, as 2^1142 is no double.
 */
const exactSumSql = (of: readonly Series[], columns: readonly Spread[], cluster: Cluster, range: TimeRange): string => {
  const from = `from ${fromSql(of, range)}`
  const sums = columns.map(({ column: { physical }, low, high }) => {
    const c = columnName(physical)
    const r = Math.floor(Math.log2(low)) - 1
    if (high < 2 ** (r + exponentRange) && r > -900 && r < 900) {
      const units = `sum(try_cast(nullif(${c}, 'nan'::double) * pow(2.0, ${54 - r}) as hugeint))`
      return `select ${physical.id}, series, ${binSql(cluster)} as bin, ${r - 54}, ${units} ${from} group by series, bin`
    }
    const units = 'sum((v * pow(2.0, (54 - r) // 2) * pow(2.0, (54 - r) - (54 - r) // 2))::hugeint)'
    return `select ${physical.id}, series, bin, r - 54, ${units}
        from (select series, bin, v, (floor(log2(abs(v)) / ${exponentRange}) * ${exponentRange})::integer as r
              from (select series, ${binSql(cluster)} as bin, nullif(${c}, 'nan'::double) as v ${from})
              where v is not null and v <> 0)
        group by series, bin, r`
  })
  return sums.join(' union all ')
}

const fromSql = (of: readonly Series[], range: TimeRange): string => {
  const [first] = of
  if (!first) throw new Error('INTERNAL: a query of no series')
  return `${tableName(first.table)} where ${whereSql(of.length === 1 ? first : of, range)}`
}

const valuesPerColumn = 11
const bucketSql = (
  of: readonly Series[],
  columns: readonly NumericColumn[],
  range: TimeRange,
  cluster: Cluster,
): string => {
  // A status that a series never came with is null in its rows.
  const status = of[0]?.table.columns.find(c => c.name === STATUS_COLUMN && c.kind === 'text')
  const said = status ? columnName(status) : 'null'
  const inner = columns.map(({ physical }) => {
    const c = columnName(physical)
    return `, ${c} as p${c}, nullif(${c}, 'nan'::double) as v${c}`
  })
  const outer = columns.map(({ physical, isInt }) => {
    const c = columnName(physical)
    const hole = `v${c} is null and p${c} is not null`
    const sums = isInt
      ? `sum(v${c}::bigint), true, null`
      : `sum(v${c}) filter (abs(v${c}) <= ${exact}), bool_and(v${c} = trunc(v${c})), min(abs(v${c})) filter (v${c} <> 0)`
    return `, count(p${c}), count(v${c}), min(v${c}), max(v${c}), arg_min(v${c}, t), arg_max(v${c}, t),
      count(*) filter (${hole} and said <> 'ok' and said <> '${STATUS_CLOSED}'),
      count(*) filter (${hole} and said = '${STATUS_CLOSED}'), ${sums}`
  })
  return `select series, bin, count(*) ${outer.join('')}
    from (select series, t, ${binSql(cluster)} as bin, ${said}::varchar as said ${inner.join('')}
          from ${fromSql(of, range)})
    group by series, bin`
}
