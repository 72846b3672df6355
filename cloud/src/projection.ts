/**
 * The runner of projectors: reads the journal from a projector's cursor, decodes, hands over what has come, and begins
 * again from the cursor, with backoff, when applying fails.
 *
 *     journal ─► decode (or the cache of what ingest has just decoded) ─► bounded batch ─► apply ─► cursor
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Entry, Log } from '@penstock/log'
import { decodeEntry } from './entry.ts'
import type { JournalEntry, Projector } from './projector.ts'

/** Entries that ingest has decoded anyway; whoever is near the journal's end takes them from here. */
export interface DecodedCache {
  put(entry: JournalEntry): void
  get(seq: number): JournalEntry | undefined
}

/** Values of an entry: what it weighs in memory, in units of 8 bytes or so. */
export const weigh = (entry: JournalEntry): number => {
  let values = 16 + 64 * (entry.rejects.length + entry.ledger.length)
  for (const frame of entry.frames) values += 16 + frame.offsetsNs.length * (frame.columns.length + 1)
  return values
}

export const createDecodedCache = ({ valuesMax }: { valuesMax: number }): DecodedCache => {
  const entries = new Map<number, { entry: JournalEntry; values: number }>()
  let values = 0
  return {
    put(entry) {
      const weight = weigh(entry)
      entries.set(entry.seq, { entry, values: weight })
      values += weight
      for (const [seq, oldest] of entries) {
        if (values <= valuesMax) break
        entries.delete(seq)
        values -= oldest.values
      }
    },
    get: seq => entries.get(seq)?.entry,
  }
}

export interface ProjectionOptions {
  journal: Log
  projector: Projector
  cache: DecodedCache
  /** A batch is closed at this many values or entries; an apply may take long, so that more come in meanwhile. */
  batchValuesMax: number
  batchEntriesMax: number
  /** Not before this one has applied an entry is it handed to this projector. */
  behind?: Projection
  retryMsMax: number
  /** Told of each failure, before it is tried again. */
  onFailure?(error: unknown): void
  log: { info(o: object, m: string): void; warn(o: object, m: string): void; error(o: object, m: string): void }
}

export interface ProjectionStats {
  name: string
  /** Last applied journal entry, and the journal's last. */
  applied: number
  last: number
  /** The last failure, while it lasts. */
  problem?: string
}

export interface Projection {
  /** Runs until the signal aborts. Never rejects but by a defect of ours. */
  run(signal: AbortSignal): Promise<void>
  /** Resolves when this projection has applied the entry. */
  reached(seq: number, signal: AbortSignal): Promise<void>
  stats(): ProjectionStats
}

const retryAfterMsMax = 10 * 60_000

export const createProjection = (options: ProjectionOptions): Projection => {
  const { journal, projector, cache, batchValuesMax, batchEntriesMax, behind, retryMsMax, onFailure, log } = options
  let applied = 0
  let problem: string | undefined
  let waiters: { seq: number; wake: () => void }[] = []

  const advance = (seq: number) => {
    applied = seq
    const ready = waiters.filter(w => w.seq <= seq)
    if (ready.length === 0) return
    waiters = waiters.filter(w => w.seq > seq)
    for (const w of ready) w.wake()
  }

  const decode = (entry: Entry): JournalEntry => {
    if (entry.lost === undefined) return cache.get(entry.seq) ?? decodeEntry(entry.seq, entry.body)
    log.error({ from: entry.seq, through: entry.through, reason: entry.lost }, 'a range of the journal is lost')
    const loss = { from: entry.seq, through: entry.through, reason: `journal: ${entry.lost}` }
    return { seq: entry.through, receivedMs: 0, frames: [], rejects: [], ledger: [], loss }
  }

  const runOnce = async (signal: AbortSignal): Promise<void> => {
    advance(await projector.cursor())
    // It answers again, and nothing waits: what failed before is over.
    if (applied >= journal.stats().nextSeq - 1) problem = undefined
    const buffer = createBatchBuffer({ valuesMax: batchValuesMax, entriesMax: batchEntriesMax })
    const stop = new AbortController()
    const both = AbortSignal.any([signal, stop.signal])
    const reading = (async () => {
      for await (const entry of journal.read(applied, both)) {
        const decoded = decode(entry)
        await behind?.reached(decoded.seq, both)
        if (!(await buffer.put(decoded, both))) return
      }
    })()
    // A failing reader ends the buffer, and with it the loop below, which then hears of it.
    const ended = reading.finally(() => buffer.end())
    ended.catch(() => {})
    try {
      for (let batch = await buffer.take(); batch.length > 0; batch = await buffer.take()) {
        await projector.apply(batch)
        problem = undefined
        advance(batch.at(-1)?.seq ?? applied)
      }
    } finally {
      stop.abort()
      buffer.end()
    }
    await ended
  }

  return {
    async run(signal) {
      for (let waitMs = 100; !signal.aborted; waitMs = Math.min(waitMs * 2, retryMsMax)) {
        const before = applied
        try {
          await runOnce(signal)
        } catch (error) {
          if (signal.aborted) return
          problem = error instanceof Error ? error.message : String(error)
          onFailure?.(error)
          log.error({ err: error, projector: projector.name }, 'a projection failed; it goes on from its cursor')
          if (applied > before) waitMs = 100
          // A server that says when it will take more is asked again then.
          const askedMs = Math.min((error as { retryAfterMs?: number })?.retryAfterMs ?? 0, retryAfterMsMax)
          await sleep(Math.max(waitMs, askedMs), undefined, { signal }).catch(() => {})
        }
      }
    },
    async reached(seq, signal) {
      if (applied >= seq) return
      signal.throwIfAborted()
      await new Promise<void>((resolve, reject) => {
        const onAbort = () => {
          waiters = waiters.filter(w => w !== waiter)
          reject(signal.reason as Error)
        }
        const wake = () => {
          signal.removeEventListener('abort', onAbort)
          resolve()
        }
        const waiter = { seq, wake }
        waiters.push(waiter)
        signal.addEventListener('abort', onAbort, { once: true })
      })
    },
    stats: () => ({
      name: projector.name,
      applied,
      last: journal.stats().nextSeq - 1,
      ...(problem !== undefined && { problem }),
    }),
  }
}

/** One writer, one reader: the writer waits while the buffer is full, the reader takes all there is. */
const createBatchBuffer = ({ valuesMax, entriesMax }: { valuesMax: number; entriesMax: number }) => {
  let entries: JournalEntry[] = []
  let values = 0
  let ended = false
  let wakeReader = () => {}
  let wakeWriter = () => {}
  return {
    /** false when the buffer has ended. */
    async put(entry: JournalEntry, signal: AbortSignal): Promise<boolean> {
      while (!ended && !signal.aborted && entries.length > 0 && (values >= valuesMax || entries.length >= entriesMax)) {
        await new Promise<void>(resolve => {
          wakeWriter = resolve
        })
      }
      if (ended) return false
      entries.push(entry)
      values += weigh(entry)
      wakeReader()
      return true
    },
    /** Empty when the buffer has ended. */
    async take(): Promise<JournalEntry[]> {
      while (entries.length === 0 && !ended) {
        await new Promise<void>(resolve => {
          wakeReader = resolve
        })
      }
      const taken = entries
      entries = []
      values = 0
      wakeWriter()
      return taken
    },
    end() {
      ended = true
      wakeReader()
      wakeWriter()
    },
  }
}
