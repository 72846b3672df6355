/** Rows of a series as charts take them: times in seconds, gaps where nothing came for long, at most so many points. */
import { get, type Schemas } from '../api.ts'
import { isoOf, nsOf, secondsOf } from './time.ts'
import type { SeriesKey } from './url.ts'

export type Column = Pick<Schemas['ReadingColumn'], 'name' | 'type' | 'unit'>
export interface Rows extends SeriesKey {
  /** s since the epoch, rising. */
  x: number[]
  /** The same, exact. */
  time: string[]
  columns: (Column & { values: (number | null)[] })[]
  status: (string | null)[]
  gaps: Gap[]
  /** There are more rows than these: of each slice of time the smallest and largest. */
  isDownsampled: boolean
}
export interface Gap {
  from: number
  to: number
}

export const statusColumn = 'status'
/** Points of one chart, all series together. */
export const pointsMax = 2000

export interface RowsQuery extends SeriesKey {
  columns: readonly string[]
  fromNs: bigint
  toNs: bigint
  points: number
}

export const getRows = async (query: RowsQuery, signal: AbortSignal): Promise<Rows> => {
  const { site, device, stream, columns, fromNs, toNs, points } = query
  const answer = await get(
    '/v1/readings',
    {
      ...{ site, device, stream, columns: columns.join(','), points },
      ...{ from: isoOf(fromNs), to: isoOf(toNs) },
    },
    signal,
  )
  const x = answer.time.map(time => secondsOf(nsOf(time) ?? 0n))
  const isDownsampled = answer.downsampled ?? false
  return {
    ...{ site, device, stream, x, time: answer.time, isDownsampled },
    columns: answer.columns
      .filter(column => column.name !== statusColumn)
      .map(column => ({ ...column, values: column.values.map(numberOf) })),
    status:
      (answer.columns.find(column => column.name === statusColumn)?.values as (string | null)[] | undefined) ?? [],
    gaps: gapsOf(
      x,
      isDownsampled ? (secondsOf(toNs) - secondsOf(fromNs)) / (points / 2 / Math.max(1, columns.length)) : 0,
    ),
  }
}

const numberOf = (value: unknown): number | null =>
  typeof value === 'number' ? value : typeof value === 'boolean' ? Number(value) : null

/**
 * Where nothing came for much longer than is usual: three times the distance that 95 of 100 keep to (events, such as pulses
 * of a detector, come at random), and more than two slices of a downsample, which may stand so far apart by themselves.
 */
export const gapsOf = (x: readonly number[], slice: number): Gap[] => {
  if (x.length < 3) return []
  const steps = x.slice(1).map((t, i) => t - (x[i] ?? t))
  const sorted = [...steps].sort((a, b) => a - b)
  // Of few rows a single gap would be usual by that measure.
  const [part, factor] = steps.length < fewSteps ? [0.5, 5] : [0.95, 3]
  const usual = sorted[Math.floor((steps.length - 1) * part)] ?? 0
  const longest = Math.max(factor * usual, 2 * slice)
  return steps.flatMap((step, i) => (step > longest && step > 0 ? [{ from: x[i] ?? 0, to: x[i + 1] ?? 0 }] : []))
}

const fewSteps = 40

/** Index of the row nearest to a time. */
export const nearest = (x: readonly number[], at: number): number => {
  let low = 0
  let high = x.length - 1
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if ((x[middle] ?? 0) < at) low = middle
    else high = middle
  }
  return Math.abs((x[low] ?? 0) - at) <= Math.abs((x[high] ?? 0) - at) ? low : high
}
