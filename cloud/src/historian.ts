/** The port of the time-series store. `historians/lake.ts` (DuckDB), `historians/influx.ts` (InfluxDB) and `historians/memory.ts` (the oracle of tests) implement it. */
import type { Frame } from '@penstock/frame'

/** Times that every historian can hold: those of InfluxDB, years 1677 to 2262. `write` refuses a frame with others with a RangeError. */
export const HISTORIAN_NS_MIN = -(2n ** 63n) + 2n
export const HISTORIAN_NS_MAX = 2n ** 63n - 2n

/** The historian cannot be had now (a server that is down or busy): to be tried again later. Any method may throw it. */
export class HistorianUnavailableError extends Error {
  override name = 'HistorianUnavailableError'
}

export interface SeriesKey {
  site: string
  device: string
  stream: string
}
/** Half-open range of time: from ≤ t < to, ns since the epoch. */
export interface TimeRange {
  fromNs: bigint
  toNs: bigint
}

export interface ReadQuery extends TimeRange {
  site: string
  device: string
  stream: string
  /** All columns where left out. A name stands for every type that came under it. */
  columns?: readonly string[]
  /** At most this many rows. */
  limit?: number
  /** Newest first where true; oldest first otherwise. */
  descending?: boolean
  /**
   * Downsample to about this many rows, keeping for every column the rows of its minimum and maximum in each slice of
   * time, so that no spike vanishes. Rows are real rows.
   */
  points?: number
}

/** Spans whose readings are aggregated: local hours, mostly (UTC edges are computed by the caller from the site's zone). */
export interface BucketQuery {
  stream: string
  /** Each series once. */
  series: readonly SeriesSpans[]
}
export interface SeriesSpans {
  site: string
  device: string
  /** Sorted, disjoint, half-open. */
  spans: readonly TimeRange[]
}

/** Aggregate of one numeric column over one span. Spans without any row are absent. */
export interface Bucket {
  site: string
  device: string
  column: string
  startNs: bigint
  /** Rows that hold a number in this column. */
  n: number
  /** null where n is 0. The exact sum, rounded once to the nearest double: the same digits in any order. ±Infinity beyond the largest. */
  sum: number | null
  min: number | null
  max: number | null
  /** Value of the earliest and the latest row that holds one. */
  first: number | null
  last: number | null
  /** Rows whose number is missing and whose status is neither ok nor `closed`. */
  failed: number
  /** Rows whose number is missing and whose status is `closed`. */
  closed: number
  /** All rows of the stream in the span (n + failed + closed + plain holes). */
  rows: number
}

export type Resolution = 'hour' | 'day'
/**
 * `sensor`: one device. `site`: all devices of the site together, made from their rows of the same bucket; `device` is then ''.
 * A site's first and last are null where more than one device has numbers in the bucket.
 */
export type Level = 'sensor' | 'site'

export interface Aggregate extends Bucket {
  level: Level
  resolution: Resolution
  stream: string
  /** Local date `YYYY-MM-DD` and, for hours, the local hour; weekday with Monday 0. */
  date: string
  hour: number | null
  weekday: number
  endNs: bigint
  mean: number | null
  /** Rows expected in this bucket by the site's opening hours; null where the configuration does not say. */
  expected: number | null
  /** Of the rows expected, how many came with a number: summed over the device hours, each at most what it expects. null as above. */
  had: number | null
  /** Counts up whenever a recomputation changed the row; from 1. */
  revision: number
  computedAtMs: number
}

/** A local hour of a series whose aggregates have to be computed again. */
export interface DirtyHour extends SeriesKey {
  startNs: bigint
}

export interface AggregateQuery {
  /** Both where left out. */
  level?: Level
  resolution: Resolution
  stream: string
  /** All columns where left out. */
  column?: string
  site?: string
  /** Rows of any of these; all where left out. */
  sites?: readonly string[]
  device?: string
  fromNs?: bigint
  toNs?: bigint
}

export interface StreamInfo extends SeriesKey {
  columns: { name: string; type: 'float' | 'int' | 'bool' | 'text' | 'vector'; unit?: string }[]
  rows: number
  firstNs: bigint
  lastNs: bigint
}

export interface Historian {
  /**
   * Resolves when the frames and, in the same transaction, the cursor are durable. A second row of the same series and
   * time replaces the first, whole. Writing the same frames again leaves the historian as writing them once. A column
   * that comes with another type than before is kept beside it, and numbers widen: nothing is dropped. What was first in a
   * series keeps the column's name; another type is read as `name:text`, `name:number`, `name:bool` or `name:vector`.
   * What is no number (NaN, ±Infinity) is a hole; −0 is stored as 0. The latest unit holds.
   */
  write(frames: readonly Frame[], cursor?: number): Promise<void>
  /** The last cursor given to `write`; 0 where none was. */
  cursor(): Promise<number>
  /** Rows in order of time, one frame per ≤ 10,000 rows. Holes of rows that never had the column are null. */
  read(query: ReadQuery): AsyncIterable<Frame>
  /** Every series with its columns, ordered by site, device, stream. */
  streams(): Promise<StreamInfo[]>
  /**
   * In order of start, then site, device and column. Only numeric (float, int) columns, and of them those that a row of the span came with,
   * be it with a hole: a bucket depends on the readings of its span and on nothing else.
   */
  buckets(query: BucketQuery): Promise<Bucket[]>
  /**
   * Replaces rows of the same (level, resolution, site, device, stream, column, startNs); with the cursor in the same
   * transaction. An aggregate whose `rows` is 0 is deleted. `marks` adds and removes dirty hours in the same transaction.
   */
  writeAggregates(
    rows: readonly Aggregate[],
    cursor?: number,
    marks?: { add?: readonly DirtyHour[]; remove?: readonly DirtyHour[] },
  ): Promise<void>
  /** The hours that are marked dirty. */
  dirtyHours(): Promise<DirtyHour[]>
  /** The last cursor given to `writeAggregates`; 0 where none was. */
  aggregatesCursor(): Promise<number>
  /** In order of start, then site, then level (sensors first), then device, then column. */
  readAggregates(query: AggregateQuery): AsyncIterable<Aggregate>
  /** Deletes all aggregates and dirty hours, sets their cursor to 0 and keeps the stamp that the next ones are computed under, in one transaction. */
  clearAggregates(stamp?: string): Promise<void>
  /** The stamp last given to `clearAggregates`; '' where none was, or none was given. */
  aggregatesStamp(): Promise<string>
  close(): Promise<void>
}
