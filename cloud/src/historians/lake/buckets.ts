/**
 * Aggregates of spans of time, computed where the rows lie. Sums are exact, so that they do not depend on an order: whole
 * numbers are added as integers, other floats as integers in units of a power of two, one sum for each range of exponents.
 */
import type { DuckDBValue } from '@duckdb/node-api'
import { STATUS_CLOSED, STATUS_COLUMN } from '@penstock/frame'
import { roundSum, type Scaled } from '../../exact-sum.ts'
import { type Bucket, type BucketQuery, HISTORIAN_NS_MAX, HISTORIAN_NS_MIN, type TimeRange } from '../../historian.ts'
import { type Catalog, columnName, type Series, type SeriesColumn, tableName } from './catalog.ts'
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

export const createBuckets = (database: Database, catalog: Catalog) => {
  /** Sums of the columns by span: key `<column id> <bin>`. */
  const exactSums = async (series: Series, columns: readonly Spread[], cluster: Cluster, range: TimeRange) => {
    const parts = new Map<string, Scaled[]>()
    if (columns.length === 0) return parts
    for (const [column, bin, exponent, units] of await database.rows(exactSumSql(series, columns, cluster, range))) {
      const key = `${column} ${bin}`
      const scaled = { units: (units ?? 0n) as bigint, exponent: Number(exponent) }
      const had = parts.get(key)
      if (had) had.push(scaled)
      else parts.set(key, [scaled])
    }
    return parts
  }

  const ofColumns = async (series: Series, columns: SeriesColumn[], cluster: Cluster) => {
    const { baseNs, widthNs, spans } = cluster
    const range = { fromNs: baseNs, toNs: (spans.at(-1) as TimeRange).toNs }
    const status = series.columns.find(c => c.physical.name === STATUS_COLUMN && c.physical.kind === 'text')
    const buckets: Bucket[] = []
    const byStart = new Map(spans.map(span => [span.fromNs, span]))
    const rows = await database.rows(bucketSql(series, columns, status, range, cluster))
    const others = columns.map((column, c) => spreadOf(column, rows, c)).filter(spread => !spread.whole)
    const inexact = new Set(others.map(spread => spread.column))
    const sums = await exactSums(series, others, cluster, range)
    for (const row of rows) {
      const span = byStart.get(
        spans.length === 1 ? (spans[0] as TimeRange).fromNs : baseNs + (row[0] as bigint) * widthNs,
      )
      if (!span) continue
      for (const [c, column] of columns.entries()) {
        const [present, n, min, max, first, last, failed, closed, sum] = row.slice(2 + c * valuesPerColumn)
        if (Number(present) === 0) continue
        const had = Number(n) > 0
        const value = (v: unknown): number | null => (had ? Number(v) + 0 : null)
        buckets.push({
          column: column.label,
          startNs: span.fromNs,
          n: Number(n),
          sum: had && inexact.has(column) ? roundSum(sums.get(`${column.physical.id} ${row[0]}`) ?? []) : value(sum),
          min: value(min),
          max: value(max),
          first: value(first),
          last: value(last),
          failed: Number(failed),
          closed: Number(closed),
          rows: Number(row[1]),
        })
      }
    }
    return buckets
  }

  return async (query: BucketQuery): Promise<Bucket[]> => {
    const series = catalog.find(query)
    const columns = series?.columns.filter(c => c.physical.kind === 'number') ?? []
    if (!series || series.rows === 0) return []
    const buckets: Bucket[] = []
    for (const cluster of clustersOf(query.spans)) {
      for (let i = 0; i < columns.length; i += columnsPerQueryMax) {
        buckets.push(...(await ofColumns(series, columns.slice(i, i + columnsPerQueryMax), cluster)))
      }
    }
    return buckets.sort((a, b) =>
      a.startNs < b.startNs ? -1 : a.startNs > b.startNs ? 1 : byBytes(a.column, b.column),
    )
  }
}

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** The number of a row's span. A difference of two times may need more than 64 bits; within an hour's grid it never does. */
const binSql = ({ baseNs, widthNs }: Cluster): string =>
  widthNs === hourNs ? `(t - cast('${baseNs}' as bigint)) // ${hourNs}` : '0::bigint'

/** How the values of a column spread over all bins of a query. */
interface Spread {
  column: SeriesColumn
  /** A plain sum is exact: whole numbers, and so few or small that no order of adding leaves 2^53. */
  whole: boolean
  /** Smallest and largest magnitude but 0. */
  low: number
  high: number
}
const spreadOf = (column: SeriesColumn, rows: readonly DuckDBValue[][], c: number): Spread => {
  if (column.type === 'int') return { column, whole: true, low: 0, high: 0 }
  let [whole, low, high] = [true, Number.POSITIVE_INFINITY, 0]
  for (const row of rows) {
    const [, n, min, max, , , , , , isWhole, least] = row.slice(2 + c * valuesPerColumn, 2 + (c + 1) * valuesPerColumn)
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
const exactSumSql = (series: Series, columns: readonly Spread[], cluster: Cluster, range: TimeRange): string => {
  const from = `from ${tableName(series.table)} where ${whereSql(series, range)}`
  const sums = columns.map(({ column: { physical }, low, high }) => {
    const c = columnName(physical)
    const r = Math.floor(Math.log2(low)) - 1
    if (high < 2 ** (r + exponentRange) && r > -900 && r < 900) {
      const units = `sum(try_cast(nullif(${c}, 'nan'::double) * pow(2.0, ${54 - r}) as hugeint))`
      return `select ${physical.id}, ${binSql(cluster)} as bin, ${r - 54}, ${units} ${from} group by bin`
    }
    const units = 'sum((v * pow(2.0, (54 - r) // 2) * pow(2.0, (54 - r) - (54 - r) // 2))::hugeint)'
    return `select ${physical.id}, bin, r - 54, ${units}
        from (select bin, v, (floor(log2(abs(v)) / ${exponentRange}) * ${exponentRange})::integer as r
              from (select ${binSql(cluster)} as bin, nullif(${c}, 'nan'::double) as v ${from})
              where v is not null and v <> 0)
        group by bin, r`
  })
  return sums.join(' union all ')
}

const valuesPerColumn = 11
const bucketSql = (
  series: Series,
  columns: readonly SeriesColumn[],
  status: SeriesColumn | undefined,
  range: TimeRange,
  cluster: Cluster,
): string => {
  const said = status ? columnName(status.physical) : 'null'
  const inner = columns.map(({ physical }) => {
    const c = columnName(physical)
    return `, ${c} as p${c}, nullif(${c}, 'nan'::double) as v${c}`
  })
  const outer = columns.map(({ physical, type }) => {
    const c = columnName(physical)
    const hole = `v${c} is null and p${c} is not null`
    const sums =
      type === 'int'
        ? `sum(v${c}::bigint), true, null`
        : `sum(v${c}) filter (abs(v${c}) <= ${exact}), bool_and(v${c} = trunc(v${c})), min(abs(v${c})) filter (v${c} <> 0)`
    return `, count(p${c}), count(v${c}), min(v${c}), max(v${c}), arg_min(v${c}, t), arg_max(v${c}, t),
      count(*) filter (${hole} and said <> 'ok' and said <> '${STATUS_CLOSED}'),
      count(*) filter (${hole} and said = '${STATUS_CLOSED}'), ${sums}`
  })
  return `select bin, count(*) ${outer.join('')}
    from (select t, ${binSql(cluster)} as bin, ${said}::varchar as said ${inner.join('')}
          from ${tableName(series.table)} where ${whereSql(series, range)})
    group by bin`
}
