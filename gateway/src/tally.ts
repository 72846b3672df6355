/** What the sources have done since the gateway started: rows, rejects, their rate, and where each file stands. */
import type { LedgerLine } from '@penstock/frame'
import type { Batch } from './source.ts'

const slotMs = 10_000
/** Five minutes: what "rows per minute" is measured over. */
const slots = 30
const ledgerLinesMax = 4096

export interface SourceTally {
  rows: number
  rejects: number
  /** When rows last became durable, ISO 8601. */
  lastRowAt?: string
  rowsPerMinute: number
}

export interface Tally {
  count(source: string, batch: Batch): void
  of(source: string): SourceTally
  /** The latest line of each file, the one touched last at the end; the files that were touched longest ago are left out beyond a limit. */
  ledger(): LedgerLine[]
}

export const createTally = (now: () => Date): Tally => {
  const startMs = now().getTime()
  const tallies = new Map<string, { rows: number; rejects: number; lastRowAt?: string; rate: Rate }>()
  const ledger = new Map<string, LedgerLine>()
  return {
    count(source, batch) {
      const tally = tallies.get(source) ?? { rows: 0, rejects: 0, rate: createRate(startMs) }
      tallies.set(source, tally)
      const rows = batch.frames.reduce((sum, frame) => sum + frame.offsetsNs.length, 0)
      const at = now()
      tally.rows += rows
      tally.rejects += batch.rejects.length
      if (rows > 0) tally.lastRowAt = at.toISOString()
      tally.rate.add(rows, at.getTime())
      for (const line of batch.ledger) {
        const key = `${line.source}/${line.file}`
        ledger.delete(key)
        ledger.set(key, line)
      }
      for (const key of ledger.keys()) {
        if (ledger.size <= ledgerLinesMax) break
        ledger.delete(key)
      }
    },
    of(source) {
      const tally = tallies.get(source)
      if (!tally) return { rows: 0, rejects: 0, rowsPerMinute: 0 }
      const { rate, ...rest } = tally
      return { ...rest, rowsPerMinute: rate.perMinute(now().getTime()) }
    },
    ledger: () => [...ledger.values()],
  }
}

interface Rate {
  add(rows: number, nowMs: number): void
  perMinute(nowMs: number): number
}

/** Rows of the last minutes in slots of ten seconds. */
const createRate = (sinceMs: number): Rate => {
  let startMs = sinceMs
  const counts = new Float64Array(slots)
  let slot = Math.floor(startMs / slotMs)
  const advance = (nowMs: number) => {
    const to = Math.floor(nowMs / slotMs)
    if (to < slot) {
      // The clock was set back: measured anew from there.
      startMs = nowMs
      counts.fill(0)
    } else if (to - slot >= slots) counts.fill(0)
    else for (let at = slot + 1; at <= to; at++) counts[at % slots] = 0
    slot = to
  }
  return {
    add(rows, nowMs) {
      advance(nowMs)
      counts[slot % slots] = (counts[slot % slots] ?? 0) + rows
    },
    perMinute(nowMs) {
      advance(nowMs)
      const sum = counts.reduce((a, b) => a + b, 0)
      const passedMs = Math.min(slots * slotMs, Math.max(slotMs, nowMs - startMs))
      return Math.round((sum / passedMs) * 60_000 * 10) / 10
    },
  }
}
