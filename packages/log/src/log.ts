/**
 * The durable log: numbered entries on disk, one writer, many readers. Bodies are bytes; nobody here knows what they mean.
 *
 *     append ─► queue ─► one write + one sync ─► segment files ─► read, read, read …
 *                                                     └──► trim: whole segments from the front
 */
import type { LogFs } from './fs.ts'

/** One number of the log. Where `lost` is set, the entries `seq` … `through` are gone (damaged, dropped, trimmed) and `body` is empty. */
export interface Entry {
  seq: number
  /** Equal to `seq` but for a lost range. */
  through: number
  body: Uint8Array
  /** Why the range is gone, in one sentence. */
  lost?: string
}

/** Something on disk that is not as it was written. The log is open and whole but for what is said here. */
export interface Damage {
  /** One sentence: what, where, what follows from it. */
  message: string
  /** File name inside the log's folder. */
  file: string
  /** Where in the file, and how many bytes. */
  offset: number
  bytes: number
  /** Entries that are gone, where there are any. */
  fromSeq?: number
  throughSeq?: number
  /** Where the bytes were put for a person to look at (a path inside the log's folder). */
  setAside?: string
}

export interface LogStats {
  /** Identity of this log, made when it was made; 1 to 64 of [A-Za-z0-9_-]. */
  epoch: string
  /** The oldest number that can still be read (= nextSeq where there is none). */
  oldestSeq: number
  /** The number that the next entry will get; 1 in a new log. */
  nextSeq: number
  /** Bytes of segments on disk. */
  bytes: number
  /** Entries that were damaged or dropped since the log was opened. */
  lostEntries: number
  /** Segment files on disk. */
  segments: number
  /** Writes made durable since the log was opened: one for each group of appends. */
  syncs: number
  /** Bytes of appends that wait for a commit. */
  pendingBytes: number
  /** True while appends wait because `bytesMax` is reached and `whenFull` is `block`. */
  full: boolean
  /** What was found damaged since the log was opened: the first 100. */
  damage: readonly Damage[]
  /** How many were found, also beyond the first 100. */
  damageCount: number
}

export interface Log {
  /**
   * Resolves with the last seq once bodies and state changes survive a power cut; both or neither do. A state value of
   * `null` deletes the key. An append of no bodies with a state change takes no number (it returns the last seq) and is as durable.
   * Concurrent calls keep their order and share one sync. Rejects where the disk fails: then nothing of it is acknowledged,
   * and all that waited behind it is rejected too, so that a retry keeps the order.
   * The bodies are copied before the call returns. `signal` withdraws a call that still waits for its commit.
   */
  append(
    bodies: readonly Uint8Array[],
    state?: Readonly<Record<string, unknown>>,
    signal?: AbortSignal,
  ): Promise<number>
  /**
   * All entries after `after`, in order, and then each new one as it becomes durable; ends when `signal` aborts or the
   * log is closed. Throws a LogRangeError where `after` is beyond the last entry. A body may share memory with its
   * neighbours: copy what is kept for long.
   */
  read(after: number, signal: AbortSignal): AsyncIterable<Entry>
  /** Gives back the disk of whole segments whose entries are all ≤ `through`. */
  trim(through: number): Promise<void>
  /** The value last appended for the key (JSON), or undefined. */
  state(key: string): unknown
  /** Keys of the state that begin so, sorted. */
  stateKeys(prefix: string): string[]
  stats(): LogStats
  /** Commits what waits, ends readers, gives the folder free. May be called twice. */
  close(): Promise<void>
}

/** All have defaults; limits carry their unit. */
export interface LogOptions {
  /** The file system; a real one where left out. */
  fs?: LogFs
  /** A segment file grows no larger, unless one append is. Small logs begin with smaller ones. Default 64 MiB. */
  segmentBytesMax?: number
  /** The first segment of a new log; each next one is twice as large, up to `segmentBytesMax`. Default 1 MiB. */
  segmentBytesMin?: number
  /** All segments together. Default: no limit but the disk. */
  bytesMax?: number
  /** What an append does at `bytesMax`: wait for a trim, or drop whole oldest segments, which readers are told. Default `block`. */
  whenFull?: 'block' | 'drop-oldest'
  /** At least this long from one sync to the next, so that more appends share one. Default 0: sync whatever waits at once. */
  syncDelayMsMax?: number
  /** One body. Default 16 MiB. */
  entryBytesMax?: number
  /** All that waits for a commit; an append beyond it is rejected with a LogBusyError. Default 64 MiB. */
  pendingBytesMax?: number
  /** All state as JSON. Default 1 MiB. */
  stateBytesMax?: number
  /** How much a reader reads at once. Default 256 KiB. */
  readAheadBytes?: number
  /** Damaged bytes that are copied aside, all together. Default 64 MiB. */
  setAsideBytesMax?: number
  /** Told of each damage once. */
  onDamage?: (damage: Damage) => void
  /** Identity of a new log. Default: random. */
  epoch?: string
}
