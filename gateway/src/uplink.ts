/** The port of what is sent: one leaf each in `uplinks/`. */
import type { Receipt, Status } from '@penstock/frame'

/**
 * A connection to the cloud while it lasts. The runner (`sender.ts`) owns window, order, resend and backoff; a leaf only
 * carries. Any method may reject when the link breaks; `receipts` then ends or throws.
 */
export interface Link {
  /** Resolves when the body has been handed on (PUBACK, 2xx), which proves nothing about storage. */
  send(epoch: string, seq: number, body: Uint8Array, signal: AbortSignal): Promise<void>
  /** Tells the cloud the gateway's state; the cloud answers with a receipt of what it has. */
  status(status: Status): Promise<void>
  receipts(signal: AbortSignal): AsyncIterable<Receipt>
  close(): Promise<void>
}

export interface Uplink {
  /** @param offline what the cloud is told when the link dies without a word (the last will) */
  connect(offline: Status, signal: AbortSignal): Promise<Link>
}
