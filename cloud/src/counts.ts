/**
 * Hourly and daily counts with their baseline, from the rollup's rows.
 *
 * A partition is what is compared: rows of one store (and sensor) on one weekday (and at one hour), in order of time. The
 * baseline of a row is the mean of its count and of those of up to three rows before it in its partition: rows that exist,
 * not calendar weeks. It is found over all of the history, before any filter, so that no filter changes it.
 */
import { formatNs, type Zone } from '@penstock/frame'
import type { Aggregate, AggregateQuery, Historian } from './historian.ts'
import type { Site, Sites } from './sites.ts'
import { nextDayStartMs } from './sites.ts'

export interface CountQuery {
  level: 'store' | 'sensor'
  resolution: 'hour' | 'day'
  /** Site ids; left out: all configured sites of kind store and all that nobody configured. */
  store?: readonly string[]
  /** Device ids. */
  sensor?: readonly string[]
  /** Local date `YYYY-MM-DD` of each store, or ns: rows that start at or after it. */
  from?: string | bigint
  /** Local date, included; or ns: rows that start before it. */
  to?: string | bigint
  /** Monday 0. */
  weekdays?: ReadonlySet<number>
  /** First and last local hour, both included; for resolution hour. */
  hours?: { from: number; to: number }
  /** `count` where left out. */
  stream?: string
  /** `count` where left out: any numeric column. */
  column?: string
  now: Date
  /** Hours after its end from which a row counts as final. 48 where left out. */
  lateHoursMax?: number
}

export interface CountRow {
  store: string
  /** null for a store's row. */
  sensor: string | null
  date: string
  /** null for a day. */
  hour: number | null
  weekday: number
  /** ISO 8601 with the store's offset. */
  start: string
  end: string
  /** Sum of the column; what failed or is closed adds 0. */
  count: number
  baseline: number
  /** Sample standard deviation of the counts that the baseline is the mean of; null where it is of one alone. */
  baselineSpread: number | null
  /** 100 · (count − baseline) / baseline; null where the baseline is 0. */
  changePercent: number | null
  /** `partial`: some rows failed, some came with a number. `missing`: rows came, but none with a number or a cause. */
  status: 'ok' | 'partial' | 'failed' | 'closed' | 'missing'
  /** Rows with a number. */
  n: number
  mean: number | null
  min: number | null
  max: number | null
  first: number | null
  last: number | null
  failed: number
  closed: number
  rows: number
  /** Rows expected by the opening hours, and how many of these came with a number. */
  expected: number | null
  had: number | null
  /** had / expected, 0 to 1; null where none is expected. */
  coverage: number | null
  /** false: still being counted, or a late reading is still likely. */
  final: boolean
  revision: number
  computedAt: string
}

const rowsBeforeMax = 3
const dayMs = 86_400_000
/** How far back the rows before the first one are looked for, at first and in growing steps, until all are found. */
const lookBackDays = [28, 84, 366, 1464]

/** Rows that exist, store by store, each store's in order of time and then of sensor. */
export async function* counts(
  historian: Pick<Historian, 'readAggregates'>,
  sites: Sites,
  query: CountQuery,
): AsyncGenerator<CountRow> {
  const stores = query.store?.map(id => sites.get(id)) ?? sites.list().filter(site => site.kind === 'store')
  for (const site of stores) yield* storeCounts(historian, site, query)
}

async function* storeCounts(
  historian: Pick<Historian, 'readAggregates'>,
  site: Site,
  query: CountQuery,
): AsyncGenerator<CountRow> {
  const { level, resolution, stream = 'count', column = 'count', lateHoursMax = 48 } = query
  const fromNs = edgeNs(query.from, site.zone, false)
  const toNs = edgeNs(query.to, site.zone, true)
  const one = level === 'sensor' && query.sensor?.length === 1 ? query.sensor[0] : undefined
  const where: AggregateQuery = {
    level: level === 'store' ? 'site' : 'sensor',
    resolution,
    stream,
    column,
    site: site.id,
    ...(one !== undefined && { device: one }),
  }
  const finalBeforeMs = query.now.getTime() - lateHoursMax * 3_600_000
  for await (const { row, baseline } of withBaselines(historian, where, { fromNs, toNs })) {
    if (isWanted(row, query)) yield countRow(row, baseline, site.zone, finalBeforeMs)
  }
}

interface Span {
  fromNs: bigint | undefined
  toNs: bigint | undefined
}
/** Rows in order of time, each with the baseline that all of the history gives it. */
async function* withBaselines(
  historian: Pick<Historian, 'readAggregates'>,
  where: AggregateQuery,
  { fromNs, toNs }: Span,
): AsyncGenerator<{ row: Aggregate; baseline: Baseline }> {
  const before = createBaselines()
  const range = { ...(fromNs !== undefined && { fromNs }), ...(toNs !== undefined && { toNs }) }
  if (fromNs !== undefined) {
    await lookBack(historian, where, fromNs, await partitionsIn(historian, { ...where, ...range }), before)
  }
  for await (const row of historian.readAggregates({ ...where, ...range })) {
    yield { row, baseline: before.next(row) }
  }
}

const isWanted = (row: Aggregate, { sensor, level, weekdays, hours }: CountQuery): boolean =>
  (level === 'store' || (sensor?.includes(row.device) ?? true)) &&
  (weekdays?.has(row.weekday) ?? true) &&
  (!hours || row.hour === null || (row.hour >= hours.from && row.hour <= hours.to))

const partitionOf = (row: Aggregate): string => `${row.weekday} ${row.hour ?? ''} ${row.device}`
const countOf = (row: Aggregate): number => row.sum ?? 0

interface Baseline {
  mean: number
  /** Sample standard deviation; null of one count alone. */
  spread: number | null
}
const baselineOf = (values: readonly number[]): Baseline => {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length
  if (values.length < 2) return { mean, spread: null }
  const squares = values.reduce((sum, v) => sum + (v - mean) ** 2, 0)
  return { mean, spread: Math.sqrt(squares / (values.length - 1)) }
}

/** The last counts of each partition, oldest first. */
const createBaselines = () => {
  const partitions = new Map<string, number[]>()
  return {
    /** The baseline of the next row of its partition. */
    next(row: Aggregate): Baseline {
      const key = partitionOf(row)
      const had = partitions.get(key) ?? []
      if (had.length === 0) partitions.set(key, had)
      had.push(countOf(row))
      if (had.length > rowsBeforeMax + 1) had.shift()
      return baselineOf(had)
    },
    /** Puts an earlier row before all that the partition has. */
    prepend(row: Aggregate): void {
      const key = partitionOf(row)
      const had = partitions.get(key)
      if (!had) partitions.set(key, [countOf(row)])
      else if (had.length < rowsBeforeMax) had.unshift(countOf(row))
    },
    isFull: (key: string): boolean => (partitions.get(key)?.length ?? 0) >= rowsBeforeMax,
  }
}

/** The partitions that have rows in a range. */
const partitionsIn = async (
  historian: Pick<Historian, 'readAggregates'>,
  query: AggregateQuery,
): Promise<Set<string>> => {
  const found = new Set<string>()
  for await (const row of historian.readAggregates(query)) found.add(partitionOf(row))
  return found
}

/** Reads back from `fromNs`, in growing steps, until every partition that is wanted has its three rows, or the history ends. */
const lookBack = async (
  historian: Pick<Historian, 'readAggregates'>,
  where: AggregateQuery,
  fromNs: bigint,
  partitions: ReadonlySet<string>,
  before: ReturnType<typeof createBaselines>,
): Promise<void> => {
  const wanted = new Set(partitions)
  let end = fromNs
  for (const days of [...lookBackDays, undefined]) {
    for (const key of wanted) if (before.isFull(key)) wanted.delete(key)
    if (wanted.size === 0) return
    const start = days === undefined ? undefined : fromNs - BigInt(days * dayMs) * 1_000_000n
    const rows: Aggregate[] = []
    const span = { toNs: end, ...(start !== undefined && { fromNs: start }) }
    for await (const row of historian.readAggregates({ ...where, ...span })) {
      if (wanted.has(partitionOf(row))) rows.push(row)
    }
    for (const row of rows.reverse()) before.prepend(row)
    end = start ?? end
  }
}

/** ns of a local date's beginning, or of its end. */
const edgeNs = (edge: string | bigint | undefined, zone: Zone, end: boolean): bigint | undefined => {
  if (edge === undefined || typeof edge === 'bigint') return edge
  // Noon is in every day, whatever the clock does at midnight.
  const start = zone.dayStartMs(Date.parse(`${edge}T12:00:00Z`) - zone.offsetMs(Date.parse(`${edge}T12:00:00Z`)))
  return BigInt(end ? nextDayStartMs(zone, start) : start) * 1_000_000n
}

/** What a count has beside its aggregate. */
export interface CountFigures {
  row: Aggregate
  count: number
  baseline: number
  changePercent: number | null
  status: CountRow['status']
  coverage: number | null
}
const figuresOf = (row: Aggregate, baseline: number): CountFigures => {
  const count = countOf(row)
  return {
    row,
    count,
    baseline,
    changePercent: baseline === 0 ? null : (100 * (count - baseline)) / baseline,
    status: statusOf(row),
    coverage: row.had === null || !row.expected ? null : row.had / row.expected,
  }
}

/**
 * The figures of the rows that were written just now, and of those whose baseline they are part of: up to three rows behind
 * each in its partition. For a historian that stores these figures beside its aggregates, after it has stored the rows.
 */
export async function* changedCounts(
  historian: Pick<Historian, 'readAggregates'>,
  written: readonly Aggregate[],
): AsyncGenerator<CountFigures> {
  for (const rows of groupsOf(written)) {
    const [first] = rows
    if (!first) continue
    const { level, resolution, site, stream, column } = first
    const where: AggregateQuery = { level, resolution, site, stream, column }
    const devices = new Set(rows.map(row => row.device))
    if (level === 'sensor' && devices.size === 1) where.device = first.device
    yield* changedInGroup(historian, where, rows)
  }
}

async function* changedInGroup(
  historian: Pick<Historian, 'readAggregates'>,
  where: AggregateQuery,
  rows: readonly Aggregate[],
): AsyncGenerator<CountFigures> {
  const partitions = new Set(rows.map(partitionOf))
  const starts = rows.map(row => row.startNs).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  const fromNs = starts[0] ?? 0n
  const changed = createChanged(rows)
  const before = createBaselines()
  await lookBack(historian, where, fromNs, partitions, before)
  // The three rows behind the last one are nearly always in the next weeks, or there are none at all.
  const farNs = (starts.at(-1) ?? 0n) + BigInt((lookBackDays[0] ?? 0) * dayMs) * 1_000_000n
  for (const range of [{ fromNs, toNs: farNs }, { fromNs: farNs }]) {
    for await (const row of historian.readAggregates({ ...where, ...range })) {
      if (!partitions.has(partitionOf(row))) continue
      const baseline = before.next(row)
      if (changed.takes(row)) yield figuresOf(row, baseline.mean)
      if (changed.isDone()) return
    }
  }
}

/** Rows that one reading finds: of one site, column, level and resolution. */
const groupsOf = (rows: readonly Aggregate[]): Iterable<Aggregate[]> => {
  const groups = new Map<string, Aggregate[]>()
  for (const row of rows) {
    const key = JSON.stringify([row.level, row.resolution, row.site, row.stream, row.column])
    const group = groups.get(key)
    if (group) group.push(row)
    else groups.set(key, [row])
  }
  return groups.values()
}

/** Asked for the rows in order of time: which of them are changed, and whether none is left. */
const createChanged = (rows: readonly Aggregate[]) => {
  const starts = new Map<string, bigint[]>()
  for (const row of rows) {
    const key = partitionOf(row)
    const had = starts.get(key)
    if (had) had.push(row.startNs)
    else starts.set(key, [row.startNs])
  }
  for (const times of starts.values()) times.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  /** Rows of a partition that are still to be taken. */
  const due = new Map<string, number>()
  return {
    takes(row: Aggregate): boolean {
      const key = partitionOf(row)
      const times = starts.get(key)
      let left = due.get(key) ?? 0
      // A row that was deleted is met no more, and changes the three behind it all the same.
      while (times?.[0] !== undefined && times[0] <= row.startNs) {
        left = times.shift() === row.startNs ? rowsBeforeMax + 1 : rowsBeforeMax
      }
      if (times?.length === 0 && left <= 1) starts.delete(key)
      due.set(key, left - 1)
      return left > 0
    },
    isDone: () => starts.size === 0,
  }
}

const countRow = (row: Aggregate, baseline: Baseline, zone: Zone, finalBeforeMs: number): CountRow => {
  const { count, changePercent, status, coverage } = figuresOf(row, baseline.mean)
  return {
    store: row.site,
    sensor: row.level === 'sensor' ? row.device : null,
    date: row.date,
    hour: row.hour,
    weekday: row.weekday,
    start: localIso(row.startNs, zone),
    end: localIso(row.endNs, zone),
    count,
    baseline: baseline.mean,
    baselineSpread: baseline.spread,
    changePercent,
    status,
    n: row.n,
    mean: row.mean,
    min: row.min,
    max: row.max,
    first: row.first,
    last: row.last,
    failed: row.failed,
    closed: row.closed,
    rows: row.rows,
    expected: row.expected,
    had: row.had,
    coverage,
    final: Number(row.endNs / 1_000_000n) < finalBeforeMs,
    revision: row.revision,
    computedAt: new Date(row.computedAtMs).toISOString(),
  }
}

const statusOf = (row: Aggregate): CountRow['status'] => {
  if (row.failed > 0) return row.n > 0 ? 'partial' : 'failed'
  if (row.n > 0) return 'ok'
  return row.closed > 0 ? 'closed' : 'missing'
}

/** Of the rows expected, so many came with a number that the count is as good as whole. */
const coverageMin = 0.95

/** Whether a count can stand beside others: over, and as good as whole. */
export const isComparable = (row: CountRow, nowMs: number): boolean =>
  Date.parse(row.end) <= nowMs &&
  (row.status === 'ok' || (row.status === 'partial' && row.coverage !== null && row.coverage >= coverageMin))

/** ISO 8601 with the zone's offset, e.g. 2026-03-01T09:00:00+01:00. */
export const localIso = (ns: bigint, zone: Zone): string => {
  const ms = Number(ns / 1_000_000n)
  const offset = zone.offsetMs(ms)
  if (offset === 0) return formatNs(ns).replace('.000Z', 'Z')
  const minutes = Math.floor(Math.abs(offset) / 60_000)
  const two = (n: number) => String(n).padStart(2, '0')
  const clock = `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
  return `${new Date(ms + offset).toISOString().slice(0, 19)}${offset < 0 ? '-' : '+'}${clock}`
}
