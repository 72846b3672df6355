/** Reading: from the disk in chunks, across segments, past what is gone, and on as entries become durable. */
import path from 'node:path'
import { type DamageRecorder, damageOf } from './damage.ts'
import { LogRangeError } from './errors.ts'
import type { LogFile, LogFs } from './fs.ts'
import type { Entry } from './log.ts'
import type { GoneRange } from './manifest.ts'
import { readTolerant, type Segment } from './recovery.ts'
import { type Item, MARK, STATE, scan } from './segment.ts'

/** What readers see of the log. */
export interface View {
  readonly segments: readonly Segment[]
  readonly gone: readonly GoneRange[]
  /** The number behind the last durable entry. */
  nextSeq(): number
  isClosed(): boolean
  /** Resolves when something became durable, went away or the log was closed, or `signal` aborts. */
  changed(signal: AbortSignal): Promise<void>
  /** Bytes of the segment that were just written, where they are still at hand. */
  recent(segment: Segment, position: number, bytes: number): Uint8Array | undefined
}

/** Where a reader stands: a place between two records, and the number that is next there. */
interface Place {
  segment: Segment
  file: LogFile
  offset: number
  seq: number
}

export interface ReaderDeps {
  fs: LogFs
  dir: string
  view: View
  damage: DamageRecorder
  readAheadBytes: number
}

const noBody = new Uint8Array(0)
const lostEntry = (seq: number, through: number, lost: string): Entry => ({ seq, through, body: noBody, lost })

/** All entries after `after`, then each new one. */
export async function* readEntries(deps: ReaderDeps, after: number, signal: AbortSignal): AsyncGenerator<Entry> {
  const { dir, view } = deps
  if (!Number.isSafeInteger(after) || after < 0) throw new LogRangeError(`${after} is not the number of an entry`)
  if (after >= view.nextSeq()) {
    throw new LogRangeError(
      `${dir}: entries after ${after} were asked for, but the log ends at ${view.nextSeq() - 1}: it is not the log that was read before`,
    )
  }
  let seq = after + 1
  let place: Place | undefined
  try {
    while (!signal.aborted && !view.isClosed()) {
      if (seq >= view.nextSeq()) {
        await view.changed(signal)
        continue
      }
      if (!place || seq >= endSeq(view, place.segment)) {
        await place?.file.close()
        place = undefined
        const segment = view.segments.findLast(s => s.firstSeq <= seq)
        place = segment && (await openPlace(deps, segment, seq))
      }
      const entries = place ? readPlace(deps, place, seq) : goneEntries(view, seq)
      for await (const entry of entries) {
        seq = entry.through + 1
        yield entry
        if (signal.aborted || view.isClosed()) return
      }
    }
  } finally {
    await place?.file.close()
  }
}

/** The number behind the last entry of the segment. */
const endSeq = (view: View, segment: Segment): number => segment.nextFirstSeq ?? view.nextSeq()

/** `undefined` where the segment was trimmed just now. */
const openPlace = async (deps: ReaderDeps, segment: Segment, seq: number): Promise<Place | undefined> => {
  try {
    const file = await deps.fs.open(path.join(deps.dir, segment.file), 'read')
    const start = { offset: segment.start, seq: segment.firstSeq }
    return { segment, file, ...(segment.index.findLast(mark => mark.seq <= seq) ?? start) }
  } catch (error) {
    if (deps.view.segments.includes(segment)) throw error
    return undefined
  }
}

/** What stands in front of the oldest entry. */
function* goneEntries(view: View, from: number): Generator<Entry> {
  const oldest = view.segments[0]?.firstSeq ?? view.nextSeq()
  let seq = from
  for (const range of view.gone) {
    if (range.through < seq || range.from >= oldest) continue
    if (range.from > seq) yield lostEntry(seq, range.from - 1, 'trimmed')
    seq = Math.max(seq, range.from)
    const through = Math.min(range.through, oldest - 1)
    yield lostEntry(seq, through, range.why)
    seq = through + 1
  }
  if (seq < oldest) yield lostEntry(seq, oldest - 1, 'trimmed')
}

/** The entries from `from` to the end of what is durable in the segment now; moves the place along. */
async function* readPlace(deps: ReaderDeps, place: Place, from: number): AsyncGenerator<Entry> {
  const { view } = deps
  const { segment, file } = place
  // Both at one moment: the end grows while this reads.
  const end = segment.end
  const until = endSeq(view, segment)
  let gap: Extract<Item, { kind: 'gap' }> | undefined
  let seq = place.seq
  const read = async (position: number, bytes: number): Promise<Uint8Array> => {
    const recent = view.recent(segment, position, bytes)
    if (recent) return recent
    const into = Buffer.allocUnsafeSlow(bytes)
    return into.subarray(0, await readTolerant(file, into, position))
  }
  const { seed, recordBytesMax } = segment
  const chunkBytes = deps.readAheadBytes
  for await (const items of scan({ seed, from: place.offset, end, seq, recordBytesMax, chunkBytes, read })) {
    for (const item of items) {
      if (item.kind === 'gap') {
        gap = item
        continue
      }
      if (item.seq > until) continue
      if (gap || item.seq > seq) {
        const lost = await lostRange(deps, segment, gap, Math.max(seq, from), item.seq - 1)
        gap = undefined
        seq = item.seq
        if (lost) yield lost
      }
      const isEntry = (item.flags & (STATE | MARK)) === 0
      seq = isEntry ? item.seq + 1 : item.seq
      place.offset = item.end
      place.seq = seq
      if (isEntry && item.seq >= from) yield { seq: item.seq, through: item.seq, body: item.payload }
    }
  }
  place.offset = end
  place.seq = until
  if (gap || seq < until) {
    const lost = await lostRange(deps, segment, gap, Math.max(seq, from), until - 1)
    if (lost) yield lost
  }
}

/** Reports the gap, and makes the entry that stands for what was in it, if anything was. */
const lostRange = async (
  deps: ReaderDeps,
  segment: Segment,
  gap: Extract<Item, { kind: 'gap' }> | undefined,
  from: number,
  through: number,
): Promise<Entry | undefined> => {
  const hasBytes = gap !== undefined && gap.nonZeroEnd > gap.offset
  if (hasBytes || through >= from) {
    const { offset, end } = gap ?? { offset: segment.end, end: segment.end }
    await deps.damage.report(damageOf(segment.file, offset, end, from, through), hasBytes)
  }
  if (through < from) return undefined
  const isEnd = gap === undefined || (!hasBytes && through + 1 === segment.nextFirstSeq)
  const why = isEnd ? `missing behind ${segment.file}` : `damaged in ${segment.file}`
  return lostEntry(from, through, why)
}
