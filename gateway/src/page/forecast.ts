/** How long the spool lasts: from what comes in, and from what there is room for. */
import type { GatewaySnapshot } from '../gateway.ts'

export type SpoolView = GatewaySnapshot['spool'] & {
  /** What the sources wrote lately. */
  bytesPerMinute: number
  /** Minutes until `bytesMax` at this rate while nothing is taken away; `null` where nothing comes in. */
  minutesLeft: number | null
}

export const spoolView = (spool: GatewaySnapshot['spool'], bytesPerMinute: number): SpoolView => ({
  ...spool,
  bytesPerMinute: Math.round(bytesPerMinute),
  minutesLeft: bytesPerMinute > 0 ? Math.round(Math.max(0, spool.bytesMax - spool.bytes) / bytesPerMinute) : null,
})
