/** When entries came into the spool, roughly: entries carry no such time, so a mark is made every so often and kept with them. */
import type { Log } from '@penstock/log'

const key = 'gateway/marks'
const everyMs = 60_000
/** When there are more, every second one goes: the coarser, the older the spool gets. */
const marksMax = 128

type Mark = readonly [seq: number, ms: number]

export interface SpoolAge {
  /** An entry was appended. */
  appended(): void
  /** When the entry came in, ISO 8601; as far as is known, not later than it did. */
  cameAt(seq: number): string | undefined
}

export const createSpoolAge = (spool: Log, now: () => Date, onFailure: (error: unknown) => void): SpoolAge => {
  let marks = marksOf(spool.state(key))
  return {
    appended() {
      const seq = spool.stats().nextSeq - 1
      const nowMs = now().getTime()
      const last = marks.at(-1)
      // Also after the clock was set back.
      if (last && (seq <= last[0] || Math.abs(nowMs - last[1]) < everyMs)) return
      const { oldestSeq } = spool.stats()
      const firstNeeded = marks.findLastIndex(mark => mark[0] <= oldestSeq)
      marks = [...marks.slice(Math.max(0, firstNeeded)), [seq, nowMs]]
      if (marks.length > marksMax) marks = marks.filter((_, i) => i % 2 === 0 || i === marks.length - 1)
      spool.append([], { [key]: marks }).catch(onFailure)
    },
    cameAt(seq) {
      const mark = marks.findLast(([marked]) => marked <= seq) ?? marks[0]
      return mark && new Date(mark[1]).toISOString()
    },
  }
}

const marksOf = (state: unknown): Mark[] =>
  Array.isArray(state)
    ? state.filter((m): m is Mark => Array.isArray(m) && Number.isSafeInteger(m[0]) && Number.isSafeInteger(m[1]))
    : []
