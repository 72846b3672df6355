/** The port of what is read: serial lines, growing files, dropped files, a simulation. One leaf each in `sources/`. */
import type { Frame, Health, Json, LedgerLine, Reject } from '@penstock/frame'

/** Changes to a source's resume state: small JSON by key; `null` deletes a key. */
export type Cursor = Readonly<Record<string, Json>>

export interface Batch {
  frames: Frame[]
  rejects: Reject[]
  ledger: LedgerLine[]
  /** Becomes durable in the same append as the rows: after a kill the source goes on behind exactly these rows. */
  cursor: Cursor
}

/**
 * A source is an async generator. Asking for the next batch says that the last one, and its cursor with it, is durable:
 * code after a `yield` may move, delete or acknowledge what was read. Bad bytes are rejects; only a broken world (a disk
 * that fails) throws, and then the runner starts the source again with backoff from its last durable cursor. Unplugged
 * ports and missing folders are states of health, waited out by the source, not exceptions.
 */
export interface Source {
  readonly id: string
  readonly kind: string
  /** @param resume all keys that earlier batches left behind, merged */
  batches(resume: Cursor, signal: AbortSignal): AsyncIterable<Batch>
  /** Health now, in plain words where it is not ok. Asked at any time by the status. */
  health(): { health: Health; message?: string }
}

/** What the cloud has said it stored, for sources that clean up behind themselves. */
export interface Receipts {
  /** Number of the last entry that is durable in the spool. */
  lastSeq(): number
  /** Resolves when a receipt covers `seq`; rejects with the signal's reason when it aborts. */
  stored(seq: number, signal: AbortSignal): Promise<void>
}

/** What every source is given: no source reads the clock, the environment or the spool by itself. */
export interface SourceDeps {
  now(): Date
  receipts: Receipts
  log: { info(o: object, m: string): void; warn(o: object, m: string): void }
}
