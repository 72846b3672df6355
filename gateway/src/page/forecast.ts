/** How long the spool lasts: from what comes in, and from what the cloud has taken. */
import type { GatewaySnapshot } from '../gateway.ts'

export interface SpoolView {
  bytes: number
  bytesMax: number
  /** Entries that the cloud has not confirmed yet. */
  waiting: number
  /** Since when the oldest of them waits, ISO 8601; left out where none waits. */
  waitingSince?: string
  /** It has waited for longer than this gateway runs: `waitingSince` is the start. */
  waitingLonger?: boolean
  /** What the sources wrote lately. */
  bytesPerMinute: number
  /** Minutes until `bytesMax` at this rate while nothing is taken away; `null` where nothing comes in. */
  minutesLeft: number | null
  /** Sources wait until the cloud has more. */
  full: boolean
  lostEntries: number
  epoch: string
  oldestSeq: number
  nextSeq: number
}

export const minutesLeft = (bytes: number, bytesMax: number, bytesPerMinute: number): number | null =>
  bytesPerMinute > 0 ? Math.max(0, bytesMax - bytes) / bytesPerMinute : null

export interface WaitingClock {
  /** To be told now and then how far the spool has come. */
  look(nextSeq: number, nowMs: number): void
  /** When the entry `seq` was written, as far as that was seen; `exact: false` where it is older than this gateway's run. */
  since(seq: number): { ms: number; exact: boolean } | undefined
}

const marksMax = 512

/** Remembers when the spool had come how far. Where marks run out, every second one goes: old times are told more coarsely. */
export const createWaitingClock = (startedMs: number): WaitingClock => {
  let marks: { nextSeq: number; ms: number }[] = []
  return {
    look(nextSeq, ms) {
      if (marks.at(-1)?.nextSeq === nextSeq) return
      marks.push({ nextSeq, ms })
      if (marks.length > marksMax) marks = marks.filter((_, i) => i % 2 === 0 || i === marks.length - 1)
    },
    since(seq) {
      const [first] = marks
      if (!first) return undefined
      if (seq < first.nextSeq) return { ms: startedMs, exact: false }
      const ms = marks.find(mark => mark.nextSeq > seq)?.ms
      return ms === undefined ? undefined : { ms, exact: true }
    },
  }
}

export const spoolView = (
  { spool, uplink }: Pick<GatewaySnapshot, 'spool' | 'uplink'>,
  bytesPerMinute: number,
  clock: Pick<WaitingClock, 'since'>,
): SpoolView => {
  const since = spool.waiting > 0 ? clock.since(Math.max(uplink.through + 1, spool.oldestSeq)) : undefined
  return {
    ...spool,
    ...(since && { waitingSince: new Date(since.ms).toISOString() }),
    ...(since?.exact === false && { waitingLonger: true }),
    bytesPerMinute: Math.round(bytesPerMinute),
    minutesLeft: minutesLeft(spool.bytes, spool.bytesMax, bytesPerMinute),
  }
}
