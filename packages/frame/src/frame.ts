/**
 * What crosses a boundary of Penstock: rows in columns, bytes that could not be read, and what a file amounted to.
 *
 *     source ─► decoder ─► Frame, Reject ─┐
 *     file   ─► LedgerLine ───────────────┴─► Envelope ─► spool ─► MQTT ─► journal ─► projectors
 *
 * Everything here is plain data. Times are whole nanoseconds since the Unix epoch, UTC. A row's time is
 * `startNs + offsetsNs[i]`, so that a frame holds its times in one typed array and still is exact to the nanosecond.
 */

/** A value that JSON can carry. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/**
 * One named column of a frame; as long as the frame's `offsetsNs`.
 *
 * A hole is `null`. A typed array has no `null`: there NaN stands for the hole. Infinities and, in a plain array, NaN
 * are no numbers in our data: the codec turns them into holes and says why in the row's status.
 */
export type Column = NumberColumn | BoolColumn | TextColumn | VectorColumn
export interface NumberColumn {
  name: string
  unit?: string
  /** `int`: whole numbers, |v| < 2^53. `float`: IEEE 754 doubles. */
  type: 'float' | 'int'
  values: ArrayLike<number | null>
}
export interface BoolColumn {
  name: string
  unit?: string
  type: 'bool'
  values: readonly (boolean | null)[]
}
export interface TextColumn {
  name: string
  unit?: string
  type: 'text'
  values: readonly (string | null)[]
}
/** One curve a row (spectra, images as flattened grids). All curves of a column share `axis`, where it is given. */
export interface VectorColumn {
  name: string
  unit?: string
  type: 'vector'
  axis?: Float64Array
  values: readonly Float64Array[]
}

/**
 * The reserved text column that says what is wrong with a row: `null` is ok. A numeric column that has a hole in a row
 * whose status is not ok has failed there; a value that is present in such a row still counts.
 */
export const STATUS_COLUMN = 'status'
/** Statuses with a meaning of their own; a format may define others. */
export const STATUS_FAILED = 'failed'
export const STATUS_CLOSED = 'closed'
export const STATUS_NOT_A_NUMBER = 'not-a-number'

/** Where a frame or a reject came from. Lines count from 1, bytes from 0; `lastByte` is the first byte after it. */
export interface Origin {
  /** The source's id in the gateway's configuration. */
  source: string
  /** Path of the file relative to the source's folder, or the port's name. */
  file?: string
  /** How often a file of this name has begun anew: created again, truncated, replaced. From 1. */
  generation?: number
  firstLine?: number
  lastLine?: number
  firstByte?: number
  lastByte?: number
  /** Name of the format that read it, e.g. `csv`. */
  format?: string
  /** What the file says of itself (instrument model, resolution, comments), as far as a format keeps it. */
  attributes?: Record<string, string>
}

/** A batch of rows of one stream, in columns: row i happened at `startNs + offsetsNs[i]`. Rows keep the order of the source. */
export interface Frame {
  site: string
  device: string
  stream: string
  startNs: bigint
  /** Whole numbers, |offset| < 2^53. */
  offsetsNs: Float64Array
  columns: Column[]
  origin?: Origin
}

/**
 * How the records of a file were read: with it, one of them can be read again where the file is not at hand. Rejects of
 * one file share one; an envelope carries it once.
 */
export interface Recipe {
  /** As under `format:` of a source. */
  format: { readonly [key: string]: Json }
  /** What stands above the rows and is needed to read one of them (names, units, metadata), as text with its line ends. */
  head?: string
  /** What a row belongs to where it does not say so itself. */
  site: string
  device: string
  stream: string
  /** IANA zone of its local times. */
  zone: string
}

/** Bytes that could not be read as a row: stored like a reading, so that a person can repair and replay them. */
export interface Reject {
  origin: Origin
  /** One clear sentence: what is wrong, in which field, what was expected. */
  reason: string
  /** The bytes as text, as far as they are text; cut at 4,096 characters. */
  text: string
  /** When the gateway read it, ISO 8601, where a clock was at hand. */
  at?: string
  /** Left out where it was not read by a format alone, or by an older gateway. */
  recipe?: Recipe
}

/** What one file has amounted to so far. A later line for the same source, file and generation replaces an earlier one. */
export interface LedgerLine {
  source: string
  file: string
  generation: number
  /** Rows seen, without header, comment and blank lines. Always rowsStored + rowsRejected. */
  rowsRead: number
  rowsStored: number
  rowsRejected: number
  bytes: number
  /** Times of the earliest and latest row, ISO 8601 UTC. */
  firstTime?: string
  lastTime?: string
  /** No more rows are expected: the whole file was read, or it says that it is finished. */
  complete: boolean
}

/** A range of the gateway's log that is gone there, told in place of its entries; the proof that the cloud records. */
export interface Loss {
  from: number
  through: number
  reason: string
}

/** What one log entry and one message carry, encoded once. */
export interface Envelope {
  frames: Frame[]
  rejects: Reject[]
  ledger: LedgerLine[]
  loss?: Loss
}

/** "Stored through seq `through` of `epoch`", from the cloud to a gateway. `resend` asks for all after `through` again. */
export interface Receipt {
  epoch: string
  through: number
  resend?: boolean
}

export type Health = 'ok' | 'stale' | 'failing' | 'starting' | 'finished'
export interface SourceStatus {
  id: string
  kind: string
  health: Health
  /** In plain words, where health is not ok. */
  message?: string
  rows: number
  rejects: number
  lastRowAt?: string
}
/** What a gateway says of itself: retained, with `online: false` as its last will. */
export interface Status {
  online: boolean
  epoch: string
  oldestSeq: number
  nextSeq: number
  spoolBytes: number
  /** The gateway's clock when it said this, ISO 8601. */
  clock: string
  version: string
  sources: SourceStatus[]
  /** What else is not as it should be, in sentences: a refused configuration, a page that cannot be opened. Left out where nothing is. */
  problems?: string[]
}

/** The time of row `i`, in ns since the Unix epoch. */
export const rowNs = (frame: Pick<Frame, 'startNs' | 'offsetsNs'>, i: number): bigint =>
  frame.startNs + BigInt(frame.offsetsNs[i] ?? 0)

export const emptyEnvelope = (): Envelope => ({ frames: [], rejects: [], ledger: [] })
