/**
 * Aggregates of spans of time. InfluxDB's own sums round on the way and know nothing of holes that stand for older values, so
 * the rows of the spans stream by and are added up here, exactly.
 */
import { STATUS_CLOSED, STATUS_COLUMN } from '@penstock/frame'
import type { Bucket, BucketQuery, TimeRange } from '../../historian.ts'
import type { Catalog, Series } from './catalog.ts'
import { scan } from './rows.ts'
import type { Server } from './server.ts'
import { createExactSum, type ExactSum } from './sum.ts'

/** Spans further apart than this are not read together. */
const gapNsMax = 6n * 3_600_000_000_000n

/** Series that are read at once: while one is added up here, the server looks for the next. */
const seriesAtOnceMax = 4

export const bucketsOf = async (server: Server, catalog: Catalog, query: BucketQuery): Promise<Bucket[]> => {
  const buckets: Bucket[] = []
  const left = query.series.flatMap(({ site, device, spans }) => {
    const series = catalog.find({ site, device, stream: query.stream })
    return series ? clustersOf(spans).map(cluster => ({ series, cluster })) : []
  })
  const work = async () => {
    for (let next = left.pop(); next; next = left.pop()) {
      buckets.push(...(await ofCluster(server, next.series, next.cluster)))
    }
  }
  await Promise.all(Array.from({ length: seriesAtOnceMax }, work))
  return buckets.sort(inOrder)
}

const byBytes = (a: string, b: string): number => (a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b)))
const inOrder = (a: Bucket, b: Bucket): number =>
  a.startNs < b.startNs
    ? -1
    : a.startNs > b.startNs
      ? 1
      : byBytes(a.site, b.site) || byBytes(a.device, b.device) || byBytes(a.column, b.column)

const clustersOf = (spans: readonly TimeRange[]): TimeRange[][] => {
  const clusters: TimeRange[][] = []
  for (const span of spans) {
    if (span.toNs <= span.fromNs) continue
    const open = clusters.at(-1)
    const before = open?.at(-1)
    if (open && before && span.fromNs - before.toNs <= gapNsMax) open.push(span)
    else clusters.push([span])
  }
  return clusters
}

interface Tally {
  n: number
  sum: ExactSum
  min: number
  max: number
  first: number
  last: number
  failed: number
  closed: number
}

const ofCluster = async (server: Server, series: Series, spans: readonly TimeRange[]): Promise<Bucket[]> => {
  const { columns } = series
  const numeric = columns.flatMap((column, c) => (column.kind === 'number' ? [c] : []))
  const status = columns.findIndex(column => column.name === STATUS_COLUMN && column.kind === 'text')
  const buckets: Bucket[] = []
  const range = { fromNs: (spans[0] as TimeRange).fromNs, toNs: (spans.at(-1) as TimeRange).toNs }
  let s = 0
  let rows = 0
  let tallies: (Tally | undefined)[] = []
  const close = () => {
    const { fromNs } = spans[s] as TimeRange
    numeric.forEach((column, c) => {
      const tally = tallies[c]
      if (tally) buckets.push(bucketOf(series, columns[column]?.label ?? '', fromNs, rows, tally))
    })
    rows = 0
    tallies = []
  }
  const wanted = status < 0 ? numeric : [...numeric, status]
  for await (const { times, cells } of scan(server, { series, columns: wanted, ...range })) {
    for (let i = 0; i < times.length; i++) {
      const t = times[i] as bigint
      while (t >= (spans[s] as TimeRange).toNs) {
        close()
        s++
      }
      if (t < (spans[s] as TimeRange).fromNs) continue
      rows++
      const said = status < 0 ? null : cells[numeric.length]?.[i]
      for (let c = 0; c < numeric.length; c++) {
        const value = cells[c]?.[i]
        if (value === undefined) continue
        tallies[c] ??= newTally()
        add(tallies[c] as Tally, value, said)
      }
    }
  }
  close()
  return buckets
}

const newTally = (): Tally => ({ n: 0, sum: createExactSum(), min: 0, max: 0, first: 0, last: 0, failed: 0, closed: 0 })

const add = (tally: Tally, value: unknown, said: unknown): void => {
  if (typeof value !== 'number') {
    if (said === STATUS_CLOSED) tally.closed++
    else if (typeof said === 'string' && said !== 'ok') tally.failed++
    return
  }
  const v = value + 0
  if (tally.n === 0) {
    tally.first = v
    tally.min = v
    tally.max = v
  } else if (v < tally.min) tally.min = v
  else if (v > tally.max) tally.max = v
  tally.last = v
  tally.n++
  tally.sum.add(v)
}

const bucketOf = ({ site, device }: Series, column: string, startNs: bigint, rows: number, tally: Tally): Bucket => {
  const { n, failed, closed } = tally
  const had = (v: number): number | null => (n > 0 ? v : null)
  return {
    site,
    device,
    column,
    startNs,
    n,
    sum: n > 0 ? tally.sum.value() : null,
    min: had(tally.min),
    max: had(tally.max),
    first: had(tally.first),
    last: had(tally.last),
    failed,
    closed,
    rows,
  }
}
