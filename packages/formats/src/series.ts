/**
 * Rows on their way into frames: one growing set of typed arrays per series, handed over as frames at the end of a push
 * or at `frameRowsMax`.
 */
import { type Column, type Frame, type Json, NS_PER_MS, type Origin, STATUS_COLUMN } from '@penstock/frame'
import type { DecoderContext } from './decoder.ts'
import type { OverlapState } from './zone-clock.ts'

/** A column of the frames to come. Number columns and the others each count their slots from 0. */
export interface ColumnPlan {
  name: string
  unit?: string
  type: 'float' | 'int' | 'bool' | 'text' | 'vector'
  slot: number
  /** Of a vector column. */
  axis?: Float64Array
}

/** What a column holds that is no number; a hole is null. */
export type OtherValue = string | boolean | Float64Array | null

/** One series (site, device, stream): its pending rows, and what its next row's time depends on. */
export interface Series {
  readonly site: string
  readonly device: string
  readonly stream: string
  rows: number
  /** Rows that fit before the arrays must grow. */
  capacity: number
  offsets: Float64Array
  /** The number columns one behind the other, each `capacity` long. */
  numbers: Float64Array
  others: OtherValue[][]
  statuses: (string | null)[] | undefined
  startMs: number
  startNs: number
  firstLine: number
  lastLine: number
  firstByte: number
  lastByte: number
  overlap: OverlapState
  /** Time of the last row as the file has it, and as it was stored (ms and ns below it); NaN before the first. */
  rawMs: number
  rawNs: number
  outMs: number
  outNs: number
}

export interface RowPlace {
  firstLine: number
  lastLine: number
  firstByte: number
  /** First byte behind the record, its line end not counted. */
  lastByte: number
}

export interface Sink {
  series(site: string, device: string, stream: string): Series
  /** Appends a row at at[0] ms and at[1] ns; the values are copied. Times come in an array so that none is boxed. */
  add(
    series: Series,
    at: Float64Array,
    numbers: Float64Array,
    others: readonly OtherValue[],
    status: string | null,
    place: RowPlace,
  ): void
  /** For a loop that writes rows itself: makes room for at least one, and returns how many rows the series may have. */
  prepare(series: Series): number
  /** The first of the rows that such a loop writes into an empty series. */
  begin(series: Series, ms: number, ns: number, firstLine: number, firstByte: number): void
  /** Such a loop has written up to row `rows`; numbers and offsets, no status. */
  commit(series: Series, rows: number, lastLine: number, lastByte: number): void
  /** Hands over all pending rows. */
  flush(): Frame[]
  state(): Json
}

/** Series kept in memory at a time; the least recently begun is handed over and forgotten beyond that. */
const seriesMax = 4096
/** Offsets stay exact: 9e9 ms = 9e15 ns < 2^53. */
export const spanMsMax = 9_000_000_000
/** Its doubles plus 8 are never a power of two: columns so far apart would compete for the same cache lines. */
const firstCapacity = 72

/** A hole in a vector column. */
const noCurve = new Float64Array(0)

/** @param keepTimes whether the last time of each series must survive a restart (equal times kept apart, times of arrival) */
export const createSink = (
  context: DecoderContext,
  format: string,
  columns: readonly ColumnPlan[],
  keepTimes: boolean,
  restored: Json | undefined,
  attributes?: () => Record<string, string> | undefined,
): Sink => {
  const numberCount = columns.filter(c => c.type === 'float' || c.type === 'int').length
  const otherCount = columns.length - numberCount
  const known = new Map<string, Series>()
  const touched = new Set<Series>()
  let done: Frame[] = []

  const series = (site: string, device: string, stream: string): Series => {
    const key = `${site}\n${device}\n${stream}`
    const had = known.get(key)
    if (had) return had
    if (known.size >= seriesMax) forgetOldest()
    const made = emptySeries(site, device, stream, numberCount, otherCount)
    known.set(key, made)
    return made
  }
  const forgetOldest = (): void => {
    for (const [key, oldest] of known) {
      cut(oldest)
      touched.delete(oldest)
      known.delete(key)
      return
    }
  }

  const add: Sink['add'] = (s, at, numbers, others, status, place) => {
    const ms = at[0] as number
    const ns = at[1] as number
    if (s.rows > 0 && (s.rows >= context.frameRowsMax || Math.abs(ms - s.startMs) > spanMsMax)) cut(s)
    const row = s.rows
    if (row === 0) begin(s, ms, ns, place.firstLine, place.firstByte)
    if (row === s.capacity) grow(s, numberCount)
    const { capacity } = s
    s.offsets[row] = (ms - s.startMs) * NS_PER_MS + (ns - s.startNs)
    const table = s.numbers
    for (let k = 0, cell = row; k < numberCount; k++, cell += capacity) table[cell] = numbers[k] as number
    for (let k = 0; k < otherCount; k++) (s.others[k] as OtherValue[]).push(others[k] ?? null)
    if (s.statuses) s.statuses.push(status)
    else if (status !== null) {
      s.statuses = new Array<string | null>(row).fill(null)
      s.statuses.push(status)
    }
    s.rows = row + 1
    s.lastLine = place.lastLine
    s.lastByte = place.lastByte
  }

  const begin: Sink['begin'] = (s, ms, ns, firstLine, firstByte) => {
    s.startMs = ms
    s.startNs = ns
    s.firstLine = firstLine
    s.firstByte = firstByte
    touched.add(s)
  }
  const prepare: Sink['prepare'] = s => {
    if (s.rows >= context.frameRowsMax) cut(s)
    if (s.rows === s.capacity) grow(s, numberCount)
    return Math.min(s.capacity, context.frameRowsMax)
  }
  const commit: Sink['commit'] = (s, rows, lastLine, lastByte) => {
    if (s.statuses) for (let i = s.rows; i < rows; i++) s.statuses.push(null)
    s.rows = rows
    s.lastLine = lastLine
    s.lastByte = lastByte
  }

  const cut = (s: Series): void => {
    const rows = s.rows
    if (rows === 0) return
    const frameColumns = columns.map((plan): Column => {
      const head = plan.unit === undefined ? { name: plan.name } : { name: plan.name, unit: plan.unit }
      if (plan.type === 'float' || plan.type === 'int') {
        return {
          ...head,
          type: plan.type,
          values: s.numbers.slice(plan.slot * s.capacity, plan.slot * s.capacity + rows),
        }
      }
      const values = s.others[plan.slot] as OtherValue[]
      if (plan.type === 'vector') {
        const axis = plan.axis ? { axis: plan.axis } : {}
        const curves = (values as (Float64Array | null)[]).map(curve => curve ?? noCurve)
        return { ...head, type: 'vector', ...axis, values: curves }
      }
      return plan.type === 'text'
        ? { ...head, type: 'text', values: values as (string | null)[] }
        : { ...head, type: 'bool', values: values as (boolean | null)[] }
    })
    if (s.statuses) frameColumns.push({ name: STATUS_COLUMN, type: 'text', values: s.statuses })
    done.push({
      site: s.site,
      device: s.device,
      stream: s.stream,
      startNs: BigInt(s.startMs) * 1_000_000n + BigInt(s.startNs),
      offsetsNs: s.offsets.slice(0, rows),
      columns: frameColumns,
      origin: originOf(context, format, s, attributes?.()),
    })
    s.others = Array.from({ length: otherCount }, () => [])
    s.statuses = undefined
    s.rows = 0
  }

  const flush = (): Frame[] => {
    for (const s of touched) cut(s)
    touched.clear()
    const frames = done
    done = []
    return frames
  }

  const state = (): Json => {
    const kept: Json[] = []
    for (const s of known.values()) {
      const overlap = s.overlap.inside ? [s.overlap.local, s.overlap.second] : null
      const times = keepTimes && !Number.isNaN(s.outMs) ? [s.rawMs, s.rawNs, s.outMs, s.outNs] : null
      if (overlap || times) kept.push([s.site, s.device, s.stream, overlap, times])
    }
    return kept
  }

  restoreSeries(restored, series)
  return { series, add, prepare, begin, commit, flush, state }
}

const emptySeries = (
  site: string,
  device: string,
  stream: string,
  numberCount: number,
  otherCount: number,
): Series => ({
  site,
  device,
  stream,
  rows: 0,
  capacity: firstCapacity,
  offsets: new Float64Array(firstCapacity),
  numbers: new Float64Array(numberCount * firstCapacity),
  others: Array.from({ length: otherCount }, () => []),
  statuses: undefined,
  startMs: 0,
  startNs: 0,
  firstLine: 0,
  lastLine: 0,
  firstByte: 0,
  lastByte: 0,
  overlap: { inside: false, local: 0, second: false },
  rawMs: Number.NaN,
  rawNs: 0,
  outMs: Number.NaN,
  outNs: 0,
})

const grow = (s: Series, numberCount: number): void => {
  const capacity = s.capacity * 2 + 8
  const offsets = new Float64Array(capacity)
  offsets.set(s.offsets)
  const numbers = new Float64Array(numberCount * capacity)
  for (let k = 0; k < numberCount; k++) {
    numbers.set(s.numbers.subarray(k * s.capacity, (k + 1) * s.capacity), k * capacity)
  }
  s.capacity = capacity
  s.offsets = offsets
  s.numbers = numbers
}

/** Where rows or rejected bytes came from. */
export const originOf = (
  context: DecoderContext,
  format: string,
  place: RowPlace,
  attributes?: Record<string, string>,
): Origin => ({
  source: context.source,
  ...(context.file !== undefined && { file: context.file }),
  ...(context.generation !== undefined && { generation: context.generation }),
  firstLine: place.firstLine,
  lastLine: place.lastLine,
  firstByte: place.firstByte,
  lastByte: place.lastByte,
  format,
  ...(attributes && { attributes }),
})

const restoreSeries = (restored: Json | undefined, series: Sink['series']): void => {
  if (!Array.isArray(restored)) return
  for (const item of restored as Json[]) {
    if (!Array.isArray(item)) continue
    const [site, device, stream, overlap, times] = item as Json[]
    if (typeof site !== 'string' || typeof device !== 'string' || typeof stream !== 'string') continue
    const s = series(site, device, stream)
    if (Array.isArray(overlap)) s.overlap = { inside: true, local: Number(overlap[0]), second: overlap[1] === true }
    if (Array.isArray(times)) {
      ;[s.rawMs, s.rawNs, s.outMs, s.outNs] = (times as Json[]).map(Number) as [number, number, number, number]
    }
  }
}
