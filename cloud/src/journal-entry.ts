/** One entry of the journal, read by its number: for questions about where something came from. */
import type { Log } from '@penstock/log'
import { decodeEntry, type EntryHead, entryHead } from './entry.ts'
import type { JournalEntry } from './projector.ts'

/** How an entry came in, and what a plain device's topic was. */
export interface ReadEntryResult {
  entry: JournalEntry
  kind: EntryHead['kind'] | undefined
  topic: string | undefined
}
/** `gone`: the journal no longer has the entry, and why, in a word or a sentence. */
export type ReadEntry = (seq: number) => Promise<ReadEntryResult | { gone: string }>

export const createEntryReader =
  (journal: Pick<Log, 'read' | 'stats'>): ReadEntry =>
  async seq => {
    if (seq >= journal.stats().nextSeq) return { gone: 'the journal ends before it' }
    if (seq < journal.stats().oldestSeq) return { gone: 'trimmed' }
    const abort = new AbortController()
    try {
      for await (const { body, lost } of journal.read(seq - 1, abort.signal)) {
        if (lost !== undefined) return { gone: lost }
        const head = entryHead(body)
        const topic = head && 'topic' in head ? head.topic : undefined
        return { entry: decodeEntry(seq, body), kind: head?.kind, topic }
      }
    } finally {
      abort.abort()
    }
    return { gone: 'the journal is closed' }
  }
