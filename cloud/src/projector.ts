/** The port of what reads the journal and applies it: one leaf each in `projectors/`. */
import type { Frame, Json, LedgerLine, Reject } from '@penstock/frame'

/** What people decided on rejects: read again with a correction, or put aside with a reason. The last word holds. */
export interface Settlement {
  state: 'replayed' | 'dismissed'
  /** Ids as in `StoredReject`. */
  rejects: readonly string[]
  /** Who, as they said. */
  by?: string
  /** Of a dismissal. */
  reason?: string
  /** Of a replay, as it was given. */
  correction?: Json
}

/** A journal entry, decoded. Applying one twice changes nothing. */
export interface JournalEntry {
  seq: number
  /** When the cloud journaled it. */
  receivedMs: number
  /** The gateway it came from; `undefined` for a plain device. */
  gateway?: string
  epoch?: string
  gatewaySeq?: number
  frames: Frame[]
  rejects: Reject[]
  ledger: LedgerLine[]
  /** A range of the gateway's log that is gone there. */
  loss?: { from: number; through: number; reason: string }
  settled?: Settlement
}

/**
 * Called by the runner (`projection.ts`), one call at a time, with consecutive entries in order. `apply` resolves when
 * the entries are durable in the projection; the runner then asks for more. A rejection is retried by the runner with
 * backoff from `cursor()`.
 */
export interface Projector {
  readonly name: string
  /** Number of the last journal entry that is durably applied; 0 where none is. */
  cursor(): Promise<number>
  apply(entries: readonly JournalEntry[]): Promise<void>
  close?(): Promise<void>
}
