/** What every view is given. */
import type { LiveLine } from './live.ts'

export interface ViewProps {
  /** The filters, as they stand in the address. */
  query: URLSearchParams
  live: LiveLine
  /** Now, anew each minute. */
  nowMs: number
  /** `light` or `dark`; a canvas is drawn again when it changes. */
  theme: string
}
