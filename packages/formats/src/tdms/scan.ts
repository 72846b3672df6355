/**
 * Walks the segments of a file that may still be written, front to back, each once.
 *
 *     ├─ segment ─┼─ segment ─┼─ … ─┼─ segment ──── ▸ still growing
 *                                   at
 *
 * A segment is closed where another one follows it. Until then its writer may add chunks and rewrite its lead-in, so the
 * walk stays in front of it and looks again; its whole chunks are told as they come.
 */

import type { IndexFile } from './index-file.ts'
import {
  createDirectory,
  type Directory,
  type Entry,
  isProblem,
  type LeadIn,
  leadInBytes,
  type Problem,
  readLeadIn,
  type TdmsObject,
  TOC_INTERLEAVED,
  TOC_METADATA,
  TOC_RAW,
} from './metadata.ts'
import { type ChunkPlan, planOf, type Share, valuesWithin } from './segment.ts'
import type { Slab, Window } from './window.ts'

/** Who is told what the walk finds. */
export interface ScanListener {
  /** A segment with values of these objects comes; what its metadata says has not been applied. */
  before(objects: readonly TdmsObject[]): void
  /** The first chunk of a segment with data is there; its metadata has been applied. */
  begin(plan: ChunkPlan): void
  /** Chunks [from, to) of the segment are there. */
  chunks(plan: ChunkPlan, place: SegmentPlace, from: number, to: number): void
  /** A last chunk that is shorter: `values` of this share. */
  rest(share: Share, place: SegmentPlace, chunk: number, values: number): void
  /** Bytes [from, to) of the file make no value. @param final because the file ends here: more bytes could mend it */
  reject(reason: string, from: number, to: number, final: boolean): void
}
export interface SegmentPlace {
  /** Where the segment begins, and where its raw data does. */
  at: number
  raw: number
  little: boolean
  chunkBytes: number
}

/** more: ask again · wait: nothing more is there for now · end: the whole file was read · changed: a writer has rewritten what was read */
export type ScanStep = 'more' | 'wait' | 'end' | 'changed'

export interface Scan {
  readonly directory: Directory
  /** First byte that no closed segment holds. */
  at(): number
  /** One step on. @param size of the file, @param last nothing will be added to it */
  step(window: Window, size: number, last: boolean): Promise<ScanStep>
  /** Metadata of closed segments comes from the index, as long as it is right: given before the first step, or not at all. */
  useIndex(index: IndexFile | undefined): void
}

/** The segment in front of which the walk stands, once its metadata has been applied. */
interface Current {
  leadIn: LeadIn
  /** Of the first bytes of its metadata. */
  hash: number
  plan: ChunkPlan
  place: SegmentPlace
  chunks: number
}

/** "TDSm" */
const TAG = 0x5444536d

/** The file became shorter while it was read. */
export class Shrunk extends Error {}

const hashBytesMax = 65_536
const hashOf = (bytes: Uint8Array): number => {
  let h = 0x811c9dc5
  for (let i = 0; i < bytes.length && i < hashBytesMax; i++) h = Math.imul(h ^ (bytes[i] as number), 0x01000193)
  return h
}

export const createScan = (listener: ScanListener): Scan => {
  const directory = createDirectory()
  let at = 0
  let current: Current | undefined
  /** Nothing behind a problem can be read: places of values depend on all that came before. */
  let stopped = false
  let index: IndexFile | undefined
  const plans = new WeakMap<readonly Entry[], { indices: number; plan: ChunkPlan }>()

  const bytesOf = async (window: Window, from: number, to: number): Promise<Slab> => {
    const slab = window.find(from, to) ?? (await window.load(from, to))
    if (!slab) throw new Shrunk()
    return slab
  }

  /** @param to where the bytes that cannot be read end at the latest, whatever comes behind them */
  const stop = (problem: Problem, to: number, final: boolean): ScanStep => {
    stopped = true
    current = undefined
    listener.reject(`${problem.reason}; nothing behind byte ${at} can be read`, Math.min(problem.at, to), to, final)
    return 'more'
  }

  const step: Scan['step'] = async (window, size, last) => {
    if (stopped) {
      at = size
      return last ? 'end' : 'wait'
    }
    if (at >= size) return last ? 'end' : 'wait'
    if (size - at < leadInBytes) {
      if (!last) return 'wait'
      return stop({ at, reason: `the ${size - at} bytes at the end of the file are no whole lead-in` }, size, true)
    }
    const slab = window.find(at, at + leadInBytes) ?? (await bytesOf(window, at, at + leadInBytes))
    const leadIn = readLeadIn(slab.view, at - slab.from, at)
    if (isProblem(leadIn)) {
      // A lead-in of zeros, or of ones behind its tag, is one that a writer has not filled in yet.
      const p = at - slab.from
      const unwritten = slab.view.getUint32(p) === 0 || slab.view.getUint32(p + 12) === 0xffffffff
      return unwritten && !last ? 'wait' : stop(leadIn, at + leadInBytes, last)
    }
    const from = at + leadInBytes
    if (from + leadIn.raw > size) {
      if (!last) return 'wait'
      return stop({ at, reason: `the metadata of the segment at byte ${at} is cut off` }, size, true)
    }
    const end = leadIn.next === undefined ? size : from + leadIn.next
    const mayBeClosed = leadIn.next !== undefined && end + 4 <= size
    const behind = mayBeClosed ? (window.find(end, end + 4) ?? (await bytesOf(window, end, end + 4))) : undefined
    const closed = behind !== undefined && behind.view.getUint32(end - behind.from) === TAG
    const own = index && closed && !current ? await fromIndex(index, window, slab, leadIn) : undefined
    if (own === 'wrong') return 'changed'
    const bytes = own ?? (await ownMetadata(window, from, leadIn.raw))
    if (current) {
      const { toc, raw } = current.leadIn
      if (leadIn.toc !== toc || leadIn.raw !== raw || hashOf(bytes) !== current.hash) return 'changed'
    } else {
      const begun = begin(bytes, leadIn)
      if (isProblem(begun) && own) return 'changed'
      if (isProblem(begun)) return closed || last ? stop(begun, Math.min(end, size), !closed) : 'wait'
      current = begun
      // Only a segment that is looked at again can be found to have changed.
      if (!closed) current.hash = hashOf(bytes)
    }
    return readOn(current, Math.min(end, size), closed, last, leadIn.next !== undefined && end <= size)
  }

  const ownMetadata = async (window: Window, from: number, length: number): Promise<Uint8Array> => {
    const held = window.find(from, from + length) ?? (await bytesOf(window, from, from + length))
    return held.bytes.subarray(from - held.from, from - held.from + length)
  }
  /** The metadata of the segment as the index has it; wrong: what came of it before must be read anew. */
  const fromIndex = async (
    file: IndexFile,
    window: Window,
    slab: Slab,
    { raw }: LeadIn,
  ): Promise<Uint8Array | 'wrong' | undefined> => {
    const bytes = await file.metadata(slab, at - slab.from, raw)
    if (bytes === undefined) index = undefined
    else if (file.isSample() && Buffer.compare(bytes, await ownMetadata(window, at + leadInBytes, raw)) !== 0)
      return 'wrong'
    return bytes
  }

  const begin = (bytes: Uint8Array, leadIn: LeadIn): Current | Problem => {
    const from = at + leadInBytes
    const hasRaw = (leadIn.toc & TOC_RAW) !== 0
    if ((leadIn.toc & TOC_METADATA) !== 0) {
      const prepared = directory.prepare(bytes, leadIn, from)
      if (isProblem(prepared)) return prepared
      if (hasRaw) listener.before(prepared.withData)
      prepared.apply()
    } else if (hasRaw) {
      const entries = directory.list().filter(({ hasData }) => hasData)
      listener.before(entries.map(({ object }) => object))
    }
    const plan = planned(leadIn)
    if (isProblem(plan)) return plan
    const place = { at, raw: from + leadIn.raw, little: leadIn.little, chunkBytes: plan.bytes }
    return { leadIn, hash: 0, plan, place, chunks: 0 }
  }
  /** The plan of the segment; that of the last one with this list, where no index has come since. */
  const planned = (leadIn: LeadIn): ChunkPlan | Problem => {
    const list = directory.list()
    const known = plans.get(list)
    const interleaved = (leadIn.toc & TOC_INTERLEAVED) !== 0
    if (known && known.indices === directory.indices() && known.plan.interleaved === interleaved) return known.plan
    const plan = planOf(list, leadIn, at)
    if (!isProblem(plan)) plans.set(list, { indices: directory.indices(), plan })
    return plan
  }

  /** Tells the chunks that are there before byte `end`. */
  const readOn = (segment: Current, end: number, closed: boolean, last: boolean, whole: boolean): ScanStep => {
    const { plan, place } = segment
    const bytes = Math.max(0, end - place.raw)
    if (plan.bytes === 0 && bytes > 0) {
      const reason = `the segment at byte ${at} has ${bytes} bytes of raw data, but no channel that they could belong to`
      if (closed || last) return stop({ at: place.raw, reason }, end, !closed)
      return 'wait'
    }
    const chunks = plan.bytes === 0 ? 0 : Math.floor(bytes / plan.bytes)
    if (chunks > segment.chunks) {
      if (segment.chunks === 0) listener.begin(plan)
      listener.chunks(plan, place, segment.chunks, chunks)
      segment.chunks = chunks
    }
    if (!closed && !last) return 'wait'
    if (plan.bytes > 0) readRest(segment, bytes - chunks * plan.bytes, whole, !closed)
    current = undefined
    at = end
    return 'more'
  }

  /**
   * The bytes behind the whole chunks. A writer that ended well has given each channel what stands there; of a chunk that
   * was cut off, only rows count that all of its channels have.
   */
  const readRest = ({ plan, place, chunks }: Current, rest: number, whole: boolean, final: boolean): void => {
    if (rest === 0) return
    const counts = plan.shares.map(share => valuesWithin(plan, share, rest))
    const least = counts.reduce((low, count, i) => (plan.shares[i]?.values === 0 ? low : Math.min(low, count)), rest)
    const given = whole ? counts : counts.map(() => least)
    if (chunks === 0 && given.some(count => count > 0)) listener.begin(plan)
    plan.shares.forEach((share, i) => {
      const values = given[i] as number
      if (values > 0) listener.rest(share, place, chunks, values)
    })
    const used = bytesOfValues(plan, given)
    if (used >= rest) return
    const from = place.raw + chunks * plan.bytes
    const reason = whole
      ? `${rest - used} bytes at the end of the raw data of the segment at byte ${place.at} make no whole value`
      : `the writer stopped within a chunk of the segment at byte ${place.at}: ${rest - used} bytes that make no whole row`
    listener.reject(reason, plan.interleaved ? from + used : from, from + rest, final)
  }

  const useIndex = (file: IndexFile | undefined): void => {
    index = file
  }
  return { directory, at: () => at, step, useIndex }
}

/** Bytes that so many values of each share take. */
const bytesOfValues = (plan: ChunkPlan, counts: readonly number[]): number => {
  if (plan.interleaved && !plan.shares[0]?.scalers) return (counts[0] ?? 0) * (plan.shares[0]?.step ?? 0)
  let bytes = 0
  for (const [i, share] of plan.shares.entries()) {
    const count = counts[i] as number
    if (share.scalers) return Math.floor((plan.bytes * Math.max(...counts)) / share.values)
    bytes += share.type.kind === 'text' ? (count > 0 ? share.step : 0) : count * share.step
  }
  return bytes
}
