/**
 * What has just passed, in memory: the latest row of every stream, its last minutes for a chart, the last rejects, and
 * those who follow along. Nothing here is needed to keep a reading: it is bounded, cheap, and never throws.
 *
 *     source ─► spool.append ─► passed ─┬─► latest row, trace of each column      ─► page
 *                                       ├─► last rejects                          ─► page
 *                                       └─► one bounded queue a follower          ─► tap
 */
import { type Column, type Frame, formatNs, type Reject, rowNs, STATUS_COLUMN } from '@penstock/frame'
import { createFollower, type Follower, type Passed, type PassedLimits, passedOf } from './live/follow.ts'
import { createRate, type Rate } from './live/rate.ts'
import { type ShownColumn, type ShownValue, shownColumn, shownValue, statusOf } from './live/shown.ts'
import {
  breakAtGaps,
  createPointBudget,
  createTrace,
  decimate,
  type PointBudget,
  type Points,
  type Trace,
} from './live/trace.ts'
import type { Batch } from './source.ts'

export type { Passed } from './live/follow.ts'
export type { ShownColumn, ShownValue } from './live/shown.ts'

export interface LiveLimits extends PassedLimits {
  /** The stream that was silent longest is forgotten beyond them. */
  streamsMax: number
  traceMsMax: number
  pointsPerTraceMin: number
  pointsPerTraceMax: number
  /** All traces together; 16 bytes a point. */
  pointsMax: number
  /** A longer curve is kept as its lowest and highest per stretch. */
  curvePointsMax: number
  rejectsMax: number
  followersMax: number
}

export const liveLimits: LiveLimits = {
  streamsMax: 500,
  columnsPerStreamMax: 256,
  traceMsMax: 15 * 60_000,
  pointsPerTraceMin: 512,
  pointsPerTraceMax: 4096,
  pointsMax: 1024 * 1024,
  curvePointsMax: 2000,
  rejectsMax: 200,
  textCharsMax: 1024,
  followersMax: 32,
  eventsPerFollowerMax: 256,
  rowsPerEventMax: 200,
  valuesPerEventMax: 2000,
}

/** The latest row of one stream. */
export interface StreamView {
  source: string
  site: string
  device: string
  stream: string
  columns: (ShownColumn & { value: ShownValue })[]
  /** Columns beyond `columnsPerStreamMax`. */
  columnsLeftOut: number
  /** Time of the row, ISO 8601 UTC, to the ns. */
  time: string
  /** What is wrong with the row; `null` is ok. */
  status: string | null
  /** When it passed, ms. */
  passedMs: number
  /** Rows since the start, and lately. */
  rows: number
  rowsPerMinute: number
  file?: string
}

export interface RejectView extends Omit<Reject, 'recipe'> {
  /** Rises by one; newer ones are greater. */
  number: number
  passedMs: number
}

export interface SeriesQuery {
  site: string
  device: string
  stream: string
  column: string
  /** Back from the stream's newest row; left out: all that is held. */
  minutes?: number
  pointsMax: number
}
export type Series = ShownColumn &
  (
    | ({
        kind: 'points' /** Of each stretch lowest and highest are given; 0: every value. */
        stretchMs: number
      } & Points)
    | { kind: 'curve'; time: string; axis: number[]; values: (number | null)[]; length: number }
    | { kind: 'text'; value: ShownValue }
  )

export interface Live {
  /**
   * Told of each batch when it is durable.
   * @param bytes what it took in the spool
   */
  passed(source: string, batch: Pick<Batch, 'frames' | 'rejects'>, bytes?: number): void
  /** In the order in which they were first seen. */
  streams(): StreamView[]
  /** `undefined` where no such stream or column has passed. */
  series(query: SeriesQuery): Series | undefined
  /** The newest first. */
  rejects(): RejectView[]
  /** Bytes that came into the spool, per minute, over the last ten minutes. */
  bytesPerMinute(): number
  /** What passes from now on; ends when the signal aborts. `undefined` where too many follow already. */
  follow(filter: { source?: string }, signal: AbortSignal): AsyncIterable<Passed> | undefined
  stats(): { streams: number; followers: number; rows: number; rejects: number; failures: number }
}

interface ColumnState extends ShownColumn {
  value: ShownValue
  trace?: Trace
  curve?: { values: Float64Array; axis?: Float64Array } | undefined
}
interface StreamState {
  view: Omit<StreamView, 'columns' | 'rowsPerMinute'>
  columns: Map<string, ColumnState>
  newestMs: number
  rate: Rate
}

export interface LiveOptions extends Partial<LiveLimits> {
  nowMs(): number
  /** Told of the first failure: what is shown is then behind, what is kept is not. */
  onFailure?(error: unknown): void
}

export const createLive = ({ nowMs, onFailure, ...given }: LiveOptions): Live => {
  const limits = { ...liveLimits, ...given }
  const budget = createPointBudget(limits.pointsMax)
  const streams = new Map<string, StreamState>()
  const rejects: RejectView[] = []
  const followers = new Set<Follower>()
  const bytesRate = createRate({ slotMs: 30_000, slots: 21 })
  const counts = { rows: 0, rejects: 0, failures: 0 }

  const streamOf = (source: string, frame: Frame): StreamState => {
    const key = keyOf(frame)
    const known = streams.get(key)
    if (known) return known
    if (streams.size >= limits.streamsMax) forgetSilent(streams)
    const { site, device, stream } = frame
    const view = { source, site, device, stream, columnsLeftOut: 0, time: '', status: null, passedMs: 0, rows: 0 }
    const rate = createRate({ slotMs: 10_000, slots: 7 })
    const made = { view, columns: new Map(), newestMs: Number.NEGATIVE_INFINITY, rate }
    streams.set(key, made)
    return made
  }

  const takeFrame = (source: string, frame: Frame): void => {
    const rows = frame.offsetsNs.length
    if (rows === 0) return
    const state = streamOf(source, frame)
    const { origin } = frame
    const newestMs = Number(rowNs(frame, rows - 1) / 1000n) / 1000
    // Far before what came last: another file, another day. The chart begins anew there.
    if (newestMs < state.newestMs - limits.traceMsMax) for (const { trace } of state.columns.values()) trace?.clear()
    state.newestMs = newestMs
    counts.rows += rows
    state.rate.add(rows, nowMs())
    Object.assign(state.view, {
      source,
      columnsLeftOut: Math.max(0, frame.columns.length - limits.columnsPerStreamMax),
      time: formatNs(rowNs(frame, rows - 1)),
      status: statusOf(frame, rows - 1),
      passedMs: nowMs(),
      rows: state.view.rows + rows,
      file: origin?.file,
    })
    const from = firstShown(frame, limits)
    for (const column of frame.columns.slice(0, limits.columnsPerStreamMax)) {
      if (column.name !== STATUS_COLUMN) takeColumn(state, frame, column, from)
    }
  }

  const takeColumn = (state: StreamState, frame: Frame, column: Column, from: number): void => {
    const { name, unit, type } = column
    const last = frame.offsetsNs.length - 1
    let own = state.columns.get(name)
    if (!own || own.type !== type || own.unit !== unit) {
      if (!own && state.columns.size >= limits.columnsPerStreamMax) return
      own?.trace?.clear()
      own = { name, type, value: null, ...(unit !== undefined && { unit }) }
      state.columns.set(name, own)
    }
    own.value = shownValue(column, last, limits.textCharsMax)
    if (type === 'vector') {
      own.curve = curveOf(column, last, limits.curvePointsMax)
    } else if (type !== 'text') {
      own.trace ??= newTrace(limits, budget)
      addRows(own.trace, frame, column, from)
    }
  }

  const takeRejects = (all: readonly Reject[]): void => {
    counts.rejects += all.length
    // How they were read is for the cloud, and too long for a page.
    for (const [i, { recipe: _, ...reject }] of all.slice(-limits.rejectsMax).entries()) {
      const number = counts.rejects - Math.min(all.length, limits.rejectsMax) + i + 1
      rejects.push({ ...reject, text: reject.text.slice(0, limits.textCharsMax), number, passedMs: nowMs() })
    }
    if (rejects.length > limits.rejectsMax) rejects.splice(0, rejects.length - limits.rejectsMax)
  }

  const tell = (source: string, batch: Pick<Batch, 'frames' | 'rejects'>): void => {
    const interested = [...followers].filter(follower => follower.source === undefined || follower.source === source)
    if (interested.length === 0) return
    for (const event of passedOf(source, batch, limits)) for (const follower of interested) follower.take(event)
  }

  return {
    passed(source, batch, bytes = 0) {
      try {
        bytesRate.add(bytes, nowMs())
        for (const frame of batch.frames) takeFrame(source, frame)
        takeRejects(batch.rejects)
        if (followers.size > 0) tell(source, batch)
      } catch (error) {
        counts.failures++
        if (counts.failures === 1) onFailure?.(error)
      }
    },
    streams: () =>
      [...streams.values()].map(({ view, columns, rate }) => ({
        ...view,
        columns: [...columns.values()].map(shownColumnWithValue),
        rowsPerMinute: rate.perMinute(nowMs()),
      })),
    series(query) {
      const state = streams.get(keyOf(query))
      const column = state?.columns.get(query.column)
      return state && column && seriesOf(state, column, query)
    },
    rejects: () => rejects.toReversed(),
    bytesPerMinute: () => bytesRate.perMinute(nowMs()),
    follow({ source }, signal) {
      if (followers.size >= limits.followersMax || signal.aborted) return undefined
      const follower = createFollower(source, limits.eventsPerFollowerMax)
      followers.add(follower)
      const leave = () => {
        followers.delete(follower)
        follower.end()
      }
      signal.addEventListener('abort', leave, { once: true })
      return follower.events(() => {
        signal.removeEventListener('abort', leave)
        leave()
      })
    },
    stats: () => ({ ...counts, streams: streams.size, followers: followers.size }),
  }
}

const keyOf = ({ site, device, stream }: Pick<Frame, 'site' | 'device' | 'stream'>): string =>
  JSON.stringify([site, device, stream])

const forgetSilent = (streams: Map<string, StreamState>): void => {
  let silent: [string, StreamState] | undefined
  for (const entry of streams) if (!silent || entry[1].view.passedMs < silent[1].view.passedMs) silent = entry
  if (!silent) return
  for (const { trace } of silent[1].columns.values()) trace?.clear()
  streams.delete(silent[0])
}

const newTrace = (limits: LiveLimits, budget: PointBudget): Trace =>
  createTrace({
    windowMs: limits.traceMsMax,
    pointsMin: limits.pointsPerTraceMin,
    pointsMax: limits.pointsPerTraceMax,
    budget,
  })

/** Rows so far back that no chart shows them are not looked at: a file of years costs as much as its last minutes. */
const firstShown = ({ offsetsNs }: Frame, limits: LiveLimits): number => {
  const rows = offsetsNs.length
  const fromNs = (offsetsNs[rows - 1] as number) - limits.traceMsMax * 1e6
  let from = Math.max(0, rows - limits.pointsPerTraceMin)
  while (from > 0 && (offsetsNs[from - 1] as number) >= fromNs) from--
  return from
}

/** Of a large frame, runs of so many rows go in as their lowest and highest: a trace would join them anyway. */
const runsPerFrameMax = 1024

const addRows = (trace: Trace, frame: Frame, { values }: Column, from: number): void => {
  const { offsetsNs } = frame
  const rows = offsetsNs.length
  const startMs = Number(frame.startNs / 1000n) / 1000
  const add = (i: number): void => trace.add(startMs + (offsetsNs[i] as number) / 1e6, numberOf(values[i]))
  const run = Math.ceil((rows - from) / runsPerFrameMax)
  if (run <= 2) {
    for (let i = from; i < rows; i++) add(i)
    return
  }
  for (let first = from; first < rows; first += run) {
    const [low, high] = extremesOf(values, first, Math.min(first + run, rows))
    if (low < 0) add(first)
    else {
      add(Math.min(low, high))
      if (low !== high) add(Math.max(low, high))
    }
  }
}

const numberOf = (value: unknown): number =>
  typeof value === 'number'
    ? Number.isFinite(value)
      ? value
      : Number.NaN
    : value === true
      ? 1
      : value === false
        ? 0
        : Number.NaN

/** Where the lowest and the highest number of rows [from, to) stand; −1 where there is none. */
const extremesOf = (values: Column['values'], from: number, to: number): [number, number] => {
  let [low, high] = [-1, -1]
  let [lowest, highest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (let i = from; i < to; i++) {
    const value = numberOf(values[i])
    if (value < lowest) {
      lowest = value
      low = i
    }
    if (value > highest) {
      highest = value
      high = i
    }
  }
  return [low, high]
}

const shownColumnWithValue = (column: ColumnState) => ({ ...shownColumn(column), value: column.value })

/** A copy, so that a whole frame is not held for its last row. */
const curveOf = (column: Column, row: number, pointsMax: number): ColumnState['curve'] => {
  const values = column.values[row]
  if (column.type !== 'vector' || !(values instanceof Float64Array)) return undefined
  const { axis } = column
  if (values.length <= pointsMax) return { values: values.slice(), ...(axis && { axis }) }
  const places = axis ? Array.from(axis) : Array.from(values, (_, i) => i)
  const few = decimate({ times: places, values: Array.from(values) }, pointsMax)
  return { values: Float64Array.from(few.values, v => v ?? Number.NaN), axis: Float64Array.from(few.times) }
}

const seriesOf = ({ view, newestMs }: StreamState, column: ColumnState, query: SeriesQuery): Series => {
  const shown = shownColumn(column)
  const { curve, trace, value } = column
  if (curve) {
    const axis = curve.axis ? Array.from(curve.axis) : Array.from(curve.values, (_, i) => i)
    const values = Array.from(curve.values, v => (Number.isFinite(v) ? v : null))
    const length = typeof value === 'object' && value !== null && 'length' in value ? Number(value.length) : 0
    return { ...shown, kind: 'curve', time: view.time, axis, values, length }
  }
  if (!trace) return { ...shown, kind: 'text', value }
  const fromMs = query.minutes === undefined ? Number.NEGATIVE_INFINITY : newestMs - query.minutes * 60_000
  const points = decimate(breakAtGaps(trace.points(fromMs), trace.stretchMs()), query.pointsMax)
  return { ...shown, kind: 'points', stretchMs: trace.stretchMs(), ...points }
}
