/**
 * The durable log: numbered entries on disk, one writer, many readers. Bodies are bytes; nobody here knows what they mean.
 */

/** One number of the log. Where `lost` is set, the entries `seq` … `through` are gone (damaged, dropped, trimmed) and `body` is empty. */
export interface Entry {
  seq: number
  /** Equal to `seq` but for a lost range. */
  through: number
  body: Uint8Array
  /** Why the range is gone, in one sentence. */
  lost?: string
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
}

export interface Log {
  /**
   * Resolves with the last seq once bodies and state changes survive a power cut; both or neither do. A state value of
   * `null` deletes the key. An append of no bodies with a state change takes no number (it returns the last seq) and is as durable.
   * Concurrent calls keep their order and share one sync. Rejects where the disk fails: then nothing of it is acknowledged.
   */
  append(bodies: readonly Uint8Array[], state?: Readonly<Record<string, unknown>>): Promise<number>
  /** All entries after `after`, in order, and then each new one as it becomes durable; ends when `signal` aborts. */
  read(after: number, signal: AbortSignal): AsyncIterable<Entry>
  /** Gives back the disk of whole segments whose entries are all ≤ `through`. */
  trim(through: number): Promise<void>
  /** The value last appended for the key (JSON), or undefined. */
  state(key: string): unknown
  /** Keys of the state that begin so, sorted. */
  stateKeys(prefix: string): string[]
  stats(): LogStats
  close(): Promise<void>
}
