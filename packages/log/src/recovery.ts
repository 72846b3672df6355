/**
 * What a log finds when it is opened: which segments belong to it, how far the last one goes, and the state.
 *
 * Only the headers of the segments are read, and the last segment whole. Whatever lies there, this ends with a log that can
 * be read and appended to; what is not as it was written is reported and its bytes are kept.
 */
import { randomBytes } from 'node:crypto'
import path from 'node:path'
import { type DamageRecorder, damageOf } from './damage.ts'
import type { LogFile, LogFs } from './fs.ts'
import { type GoneRange, MANIFEST, type Manifest, readManifest, removeIfThere } from './manifest.ts'
import {
  BEGIN,
  dataRange,
  decodeHeader,
  decodeState,
  END,
  encodeRecord,
  HEADER_BYTES,
  type HeaderBlock,
  type Item,
  MARK,
  parseSegmentName,
  RECORD_HEAD_BYTES,
  STATE,
  scan,
  segmentSeed,
  WRITE,
} from './segment.ts'

/** A segment file that belongs to the log. */
export interface Segment {
  number: number
  firstSeq: number
  /** Name in the log's folder. */
  file: string
  /** Size of the file. */
  bytes: number
  start: number
  /** Where the valid data ends: known for all but the last, which grows. Where it is not known, where data could end at most. */
  end: number
  /** Where records must end. */
  capacity: number
  recordBytesMax: number
  seed: number
  /** Number of the first entry of the segment behind it; undefined for the last. */
  nextFirstSeq: number | undefined
  /** Some places where records begin, in order, so that a reader need not begin at the start. */
  index: { offset: number; seq: number }[]
}

export interface Recovered {
  epoch: string
  /** In order of number; may be empty. */
  segments: Segment[]
  /** JSON text by key. */
  state: Map<string, string>
  nextSeq: number
  /** False where the last segment must not be written to any more. */
  appendable: boolean
  /** The last segment says of all its records that they are durable. */
  isProven: boolean
  /** The next segment's number is above this. */
  numberFloor: number
  gone: GoneRange[]
  manifest: Manifest | undefined
}

export const SPARE = 'spare.tmp'
const noBytes = new Uint8Array(0)
const scanChunkBytes = 1024 * 1024
const pageBytes = 4096

interface Found extends Segment {
  header: HeaderBlock | undefined
  state: string | undefined
  /** Header or state had to be taken from the copy, or the file is shorter than it should be. */
  flawed: boolean
}

export const recover = async (
  fs: LogFs,
  dir: string,
  damage: DamageRecorder,
  newEpoch: string | undefined,
): Promise<Recovered> => {
  // A process that was killed may have left names that are shown and not yet durable: what follows builds on them.
  await fs.syncDir(dir)
  const read = await readManifest(fs, dir)
  const manifest = read === 'damaged' ? undefined : read
  await removeIfThere(fs, path.join(dir, SPARE))
  const names = (await fs.list(dir)).filter(name => name.endsWith('.segment')).sort()
  if (read === 'damaged' || (read === undefined && names.length > 1)) {
    const setAside = read === 'damaged' ? await damage.moveAside(MANIFEST) : undefined
    await damage.report(
      {
        message: `${MANIFEST} is ${read === 'damaged' ? 'damaged' : 'missing'}: it is made again from the segments; whether a first or last segment is missing cannot be known`,
        file: MANIFEST,
        offset: 0,
        bytes: 0,
        ...(setAside !== undefined && { setAside }),
      },
      false,
    )
  }
  const found = await findSegments(fs, dir, names, manifest, damage)
  const epoch =
    manifest?.epoch ?? found.find(s => s.header)?.header?.epoch ?? newEpoch ?? randomBytes(12).toString('base64url')
  const segments = await chooseSegments(fs, dir, found, epoch, manifest, damage)
  const gone = [...(manifest?.gone ?? [])]
  await reportMissing(fs, dir, segments, manifest, gone, damage)
  const state = await stateBeforeLast(fs, dir, segments, damage)
  return { epoch, gone, manifest, ...(await recoverLast(fs, dir, segments, state, manifest, damage)) }
}

/** Reads the header of each file that has a segment's name; what has none, and holds nothing, is set aside. */
const findSegments = async (
  fs: LogFs,
  dir: string,
  names: readonly string[],
  manifest: Manifest | undefined,
  damage: DamageRecorder,
): Promise<Found[]> => {
  const found: Found[] = []
  for (const file of names) {
    const name = parseSegmentName(file)
    if (!name) {
      await setAside(file, 'is not the name of a segment', damage)
      continue
    }
    if (manifest && name.number < manifest.oldest.number) {
      // Trimmed, but the power went before the file did.
      await removeIfThere(fs, path.join(dir, file))
      continue
    }
    const handle = await fs.open(path.join(dir, file), 'read')
    try {
      const bytes = await handle.bytes()
      const { header, state, flawed } = await readHeader(handle, bytes)
      const range = header ? dataRange(header.bytes, header.stateBytes) : { start: HEADER_BYTES, end: bytes }
      found.push({
        ...name,
        file,
        bytes,
        start: range.start,
        end: Math.min(range.end, bytes),
        capacity: Math.min(range.end, bytes),
        recordBytesMax: header?.recordBytesMax ?? bytes,
        seed: 0,
        nextFirstSeq: undefined,
        index: [],
        header,
        state,
        flawed: flawed || (header !== undefined && header.bytes !== bytes),
      })
    } finally {
      await handle.close()
    }
  }
  return found
}

const readAt = async (file: LogFile, position: number, bytes: number): Promise<Buffer> => {
  if (position < 0 || bytes <= 0) return Buffer.alloc(0)
  const into = Buffer.allocUnsafeSlow(bytes)
  return into.subarray(0, await readTolerant(file, into, position))
}

/**
 * Fills `into`. Where the disk cannot read some pages but can read others beside them, the unreadable ones are zeros, which
 * hold no valid record; where it can read none, it throws: that is a disk that is away, not one that is damaged.
 */
export const readTolerant = async (file: LogFile, into: Uint8Array, position: number): Promise<number> => {
  try {
    return await file.read(into, position)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EIO' || into.length <= pageBytes) throw error
    let end = 0
    let readable = false
    for (let at = 0; at < into.length; ) {
      const page = into.subarray(at, at + pageBytes - ((position + at) % pageBytes))
      // Twice, lest a hiccup be taken for damage.
      const n = await file
        .read(page, position + at)
        .catch(() => file.read(page, position + at))
        .catch(() => undefined)
      readable ||= n !== undefined && n > 0
      if (n === undefined) page.fill(0)
      end = at + (n ?? page.length)
      if (n !== undefined && n < page.length) break
      at += page.length
    }
    if (!readable) throw error
    return end
  }
}

const emptyOnEio = (error: unknown): Buffer => {
  if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error
  return Buffer.alloc(0)
}

const readHeader = async (
  file: LogFile,
  bytes: number,
): Promise<{ header: HeaderBlock | undefined; state: string | undefined; flawed: boolean }> => {
  // One copy may lie on a page that the disk cannot read; where it can read neither, the disk is away.
  const front = decodeHeader(await readAt(file, 0, HEADER_BYTES).catch(emptyOnEio))
  const header = front ?? decodeHeader(await readAt(file, bytes - HEADER_BYTES, HEADER_BYTES))
  if (!header) return { header: undefined, state: undefined, flawed: true }
  const { stateBytes, stateCrc } = header
  const fits = stateBytes <= bytes
  const first = fits ? decodeState(await readAt(file, HEADER_BYTES, stateBytes).catch(emptyOnEio), stateCrc) : undefined
  const state =
    first ??
    (fits ? decodeState(await readAt(file, header.bytes - HEADER_BYTES - stateBytes, stateBytes), stateCrc) : undefined)
  return { header, state, flawed: front === undefined || first === undefined }
}

const setAside = async (file: string, why: string, damage: DamageRecorder): Promise<void> => {
  const to = await damage.moveAside(file)
  await damage.report(
    {
      message: `${file} ${why}: it is ${to === undefined ? 'left where it is and not read' : `moved to ${to}`}`,
      file,
      offset: 0,
      bytes: 0,
      ...(to !== undefined && { setAside: to }),
    },
    false,
  )
}

/** Leaves what is of this log and in its place; the rest is set aside. */
const chooseSegments = async (
  fs: LogFs,
  dir: string,
  found: readonly Found[],
  epoch: string,
  manifest: Manifest | undefined,
  damage: DamageRecorder,
): Promise<Found[]> => {
  const chosen: Found[] = []
  for (const candidate of found) {
    const segment = { ...candidate, seed: segmentSeed(epoch, candidate.number) }
    const why = await whyNot(fs, dir, segment, epoch, chosen.at(-1), manifest)
    if (why !== undefined) {
      await setAside(segment.file, why, damage)
      continue
    }
    if (segment.flawed) await reportFlaw(segment, damage)
    chosen.push(segment)
  }
  chosen.forEach((segment, i) => {
    const next = chosen[i + 1]
    segment.nextFirstSeq = next?.firstSeq
    if (next?.header && next.number === segment.number + 1 && next.header.previousEnd > 0) {
      segment.end = Math.min(segment.capacity, next.header.previousEnd)
    }
  })
  return chosen
}

const whyNot = async (
  fs: LogFs,
  dir: string,
  segment: Found,
  epoch: string,
  before: Found | undefined,
  manifest: Manifest | undefined,
): Promise<string | undefined> => {
  const { header } = segment
  if (header) {
    if (header.epoch !== epoch) return `belongs to another log (${header.epoch})`
    if (header.number !== segment.number || header.firstSeq !== segment.firstSeq) {
      return `is a copy of segment ${header.number} under another name`
    }
  } else if (!(await holdsRecords(fs, dir, segment))) {
    return segment.bytes === 0 ? 'is empty' : 'holds neither a header nor any entry of this log'
  }
  if (before && (before.number === segment.number || before.firstSeq > segment.firstSeq)) {
    return `does not fit behind ${before.file}`
  }
  if (!header && manifest && segment.number > manifest.newest.number + 1) return 'is not a segment that was begun'
  return undefined
}

const reportFlaw = async (segment: Found, damage: DamageRecorder): Promise<void> => {
  const what = !segment.header
    ? 'both headers are damaged: its entries are read one by one'
    : segment.header.bytes !== segment.bytes
      ? `the file has ${segment.bytes} bytes instead of ${segment.header.bytes}`
      : segment.state === undefined
        ? 'both copies of the state are damaged: it is made again from the segments before'
        : 'the first header or state is damaged: the copy at the end is used'
  await damage.report(
    { message: `${segment.file}: ${what}`, file: segment.file, offset: 0, bytes: segment.start },
    true,
  )
}

const holdsRecords = async (fs: LogFs, dir: string, segment: Found): Promise<boolean> => {
  for await (const items of scanSegment(fs, dir, segment, segment.start, segment.capacity)) {
    if (items.some(item => item.kind === 'record')) return true
  }
  return false
}

export async function* scanSegment(
  fs: LogFs,
  dir: string,
  segment: Segment,
  from: number,
  end: number,
): AsyncGenerator<Item[]> {
  const file = await fs.open(path.join(dir, segment.file), 'read')
  try {
    yield* scan({
      seed: segment.seed,
      from,
      end,
      seq: segment.firstSeq,
      recordBytesMax: segment.recordBytesMax,
      chunkBytes: scanChunkBytes,
      read: (position, bytes) => readAt(file, position, bytes),
    })
  } finally {
    await file.close()
  }
}

/** Reports segments that should be there and are not. What is missing at the end is seen in `recoverLast`. */
const reportMissing = async (
  fs: LogFs,
  dir: string,
  segments: readonly Found[],
  manifest: Manifest | undefined,
  gone: GoneRange[],
  damage: DamageRecorder,
): Promise<void> => {
  const [first] = segments
  if (manifest && first && first.number > manifest.oldest.number && first.firstSeq > manifest.oldest.firstSeq) {
    const range = { from: manifest.oldest.firstSeq, through: first.firstSeq - 1 }
    const why = `segments ${manifest.oldest.number} to ${first.number - 1} are missing`
    if (!gone.some(g => g.from === range.from)) gone.push({ ...range, why })
    await reportRange(first.file, why, range.from, range.through, damage)
  }
  for (const [i, segment] of segments.entries()) {
    const next = segments[i + 1]
    if (!next || next.number === segment.number + 1) continue
    let seq = segment.firstSeq
    for await (const items of scanSegment(fs, dir, segment, segment.start, segment.end)) {
      for (const item of items) if (item.kind === 'record' && !(item.flags & (STATE | MARK))) seq = item.seq + 1
    }
    const why = `segments ${segment.number + 1} to ${next.number - 1} are missing`
    if (seq < next.firstSeq) await reportRange(next.file, why, seq, next.firstSeq - 1, damage)
  }
}

const reportRange = (file: string, why: string, from: number, through: number, damage: DamageRecorder): Promise<void> =>
  damage.report(
    {
      message: `${why}: entries ${from} to ${through} are lost`,
      file,
      offset: -1,
      bytes: 0,
      fromSeq: from,
      throughSeq: through,
    },
    false,
  )

/** The state at the start of the last segment: its snapshot, or an earlier one and what came after it. */
const stateBeforeLast = async (
  fs: LogFs,
  dir: string,
  segments: readonly Found[],
  damage: DamageRecorder,
): Promise<Map<string, string>> => {
  const state = new Map<string, string>()
  let at = segments.length - 1
  while (at >= 0 && segments[at]?.state === undefined) at--
  const snapshot = segments[at]?.state
  if (snapshot !== undefined) applyState(state, snapshot)
  else if (segments.length > 0) {
    await damage.report(
      {
        message: 'no copy of the state at the start of the log can be read: keys that were not set since are gone',
        file: segments[0]?.file ?? '',
        offset: -2,
        bytes: 0,
      },
      false,
    )
  }
  for (const segment of segments.slice(Math.max(at, 0), -1)) {
    for await (const items of scanSegment(fs, dir, segment, segment.start, segment.end)) {
      for (const item of items)
        if (item.kind === 'record' && item.flags & STATE) applyState(state, textOf(item.payload))
    }
  }
  return state
}

const textOf = (payload: Uint8Array): string =>
  Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('utf8')

/** Applies changes, a JSON object; `null` deletes a key. */
export const applyState = (state: Map<string, string>, changes: string): void => {
  for (const [key, value] of Object.entries(JSON.parse(changes) as Record<string, unknown>)) {
    if (value === null) state.delete(key)
    else state.set(key, JSON.stringify(value))
  }
}

type Last = Pick<Recovered, 'segments' | 'state' | 'nextSeq' | 'appendable' | 'isProven' | 'numberFloor'>

/** Finds how far the last segment goes, cuts what was never acknowledged, and makes what is left durable. */
const recoverLast = async (
  fs: LogFs,
  dir: string,
  segments: Found[],
  state: Map<string, string>,
  manifest: Manifest | undefined,
  damage: DamageRecorder,
): Promise<Last> => {
  const last = segments.at(-1)
  let nextSeq = last?.firstSeq ?? 1
  let appendable = false
  let isProven = false
  if (last) {
    const tail = await findTail(fs, dir, last, state, damage)
    nextSeq = tail.nextSeq
    appendable = !last.flawed && !tail.damaged && last.header !== undefined
    last.end = tail.end
    if (!(await secureTail(fs, dir, last, tail, damage))) appendable = false
    isProven = tail.isProven
  }
  const floor = lowestNext(last, manifest)
  if (floor > nextSeq) {
    const file = last?.file ?? MANIFEST
    await reportRange(
      file,
      'the end of the log is missing, and changes of the state with it',
      nextSeq,
      floor - 1,
      damage,
    )
    nextSeq = floor
    appendable = false
  }
  return {
    segments,
    state,
    nextSeq,
    appendable,
    isProven,
    numberFloor: Math.max(last?.number ?? 0, manifest?.newest.number ?? 0),
  }
}

/** Numbers below were given, or may have been. */
const lowestNext = (last: Segment | undefined, manifest: Manifest | undefined): number => {
  if (!manifest) return 1
  const { newest } = manifest
  const missing = newest.number > (last?.number ?? 0) ? newest.firstSeq + newest.entriesMax : 1
  return Math.max(manifest.nextSeq, missing)
}

interface Tail {
  /** Where the data ends. */
  end: number
  /** From here on nothing proves that it was synced. */
  unprovenFrom: number
  /** Behind `end` are zeros only from here on. */
  nonZeroEnd: number
  nextSeq: number
  /** Damage in front of the last write. */
  damaged: boolean
  /** Valid records that were found behind the end. */
  cutRecords: number
  /** Nothing, or a MARK, is all that is unproven. */
  isProven: boolean
}

/**
 * All in front of the last record flagged WRITE was durable before that record was written. Behind it, appends count that
 * are whole and without a hole in front of them.
 */
const findTail = async (
  fs: LogFs,
  dir: string,
  segment: Segment,
  state: Map<string, string>,
  damage: DamageRecorder,
): Promise<Tail> => {
  const tail: Tail = {
    end: segment.start,
    unprovenFrom: segment.start,
    nonZeroEnd: segment.start,
    nextSeq: segment.firstSeq,
    damaged: false,
    cutRecords: 0,
    isProven: true,
  }
  let pending: Item[] = []
  for await (const items of scanSegment(fs, dir, segment, segment.start, segment.capacity)) {
    for (const item of items) {
      if (item.kind === 'record' && item.flags & WRITE) {
        await foldProven(segment, pending, item.seq, state, tail, damage)
        pending = []
        tail.end = item.offset
        tail.unprovenFrom = item.offset
      }
      pending.push(item)
      tail.nonZeroEnd = item.kind === 'record' ? item.end : Math.max(tail.nonZeroEnd, item.nonZeroEnd)
    }
  }
  foldUnproven(pending, state, tail)
  return tail
}

const foldProven = async (
  segment: Segment,
  items: readonly Item[],
  seqAfter: number,
  state: Map<string, string>,
  tail: Tail,
  damage: DamageRecorder,
): Promise<void> => {
  for (const [i, item] of items.entries()) {
    if (item.kind === 'record') {
      if (item.flags & STATE) applyState(state, textOf(item.payload))
      tail.nextSeq = item.flags & (STATE | MARK) ? item.seq : item.seq + 1
      continue
    }
    const next = items[i + 1]
    const through = (next?.kind === 'record' ? next.seq : seqAfter) - 1
    tail.damaged = true
    await damage.report(damageOf(segment.file, item.offset, item.end, tail.nextSeq, through), true)
  }
  tail.nextSeq = Math.max(tail.nextSeq, seqAfter)
}

const foldUnproven = (items: readonly Item[], state: Map<string, string>, tail: Tail): void => {
  let whole = true
  let append: string[] = []
  let open = false
  let seq = tail.nextSeq
  for (const item of items) {
    if (item.kind === 'gap') {
      whole = false
      continue
    }
    if (!whole) {
      tail.cutRecords++
      continue
    }
    const isBegin = (item.flags & BEGIN) !== 0
    if (isBegin === open || item.seq !== seq) {
      // Out of its place: nothing behind it belongs to the log.
      whole = false
      tail.cutRecords++
      continue
    }
    open = true
    if (item.flags & STATE) append.push(textOf(item.payload))
    else if (!(item.flags & MARK)) seq = item.seq + 1
    if (!(item.flags & END)) continue
    for (const text of append) applyState(state, text)
    tail.isProven = (item.flags & MARK) !== 0
    append = []
    open = false
    tail.end = item.end
    tail.nextSeq = seq
  }
}

/** All that is there now is durable: says so, that a later damage in it is known to be damage. */
const proveTail = async (file: LogFile, segment: Segment, tail: Tail): Promise<void> => {
  if (tail.isProven || tail.end + RECORD_HEAD_BYTES > segment.capacity) return
  await file.write(encodeRecord(noBytes, segment.seed, tail.end, tail.nextSeq, BEGIN | END | WRITE | MARK), tail.end)
  await file.sync()
  segment.end = tail.end + RECORD_HEAD_BYTES
  tail.isProven = true
}

/** False where the segment must not be written to any more. */
const secureTail = async (
  fs: LogFs,
  dir: string,
  segment: Segment,
  tail: Tail,
  damage: DamageRecorder,
): Promise<boolean> => {
  const cutBytes = Math.max(0, tail.nonZeroEnd - tail.end)
  if (cutBytes > 0) {
    await damage.report(
      {
        message:
          tail.cutRecords === 0
            ? `${segment.file}: the last ${cutBytes} bytes, at ${tail.end}, are of a write that was never finished: they are cut off`
            : `${segment.file}: the last write is not whole, torn or damaged at ${tail.end}: its last ${cutBytes} bytes, with ${tail.cutRecords} whole records, are cut off`,
        file: segment.file,
        offset: tail.end,
        bytes: cutBytes,
      },
      tail.cutRecords > 0,
    )
  }
  try {
    const file = await fs.open(path.join(dir, segment.file), 'write')
    try {
      // What a sync that failed left in memory alone reads well now and is gone at the next power cut: write it again.
      const unproven = Buffer.allocUnsafeSlow(Math.max(0, tail.end - tail.unprovenFrom))
      const read = await file.read(unproven, tail.unprovenFrom)
      if (read > 0) await file.write(unproven.subarray(0, read), tail.unprovenFrom)
      for (let at = tail.end; at < tail.nonZeroEnd; at += scanChunkBytes) {
        await file.write(new Uint8Array(Math.min(scanChunkBytes, tail.nonZeroEnd - at)), at)
      }
      await file.sync()
      await proveTail(file, segment, tail)
    } finally {
      await file.close()
    }
    return true
  } catch (error) {
    await damage.report(
      {
        message: `${segment.file}: cannot be written (${error instanceof Error ? error.message : String(error)}): a new segment is begun`,
        file: segment.file,
        offset: -3,
        bytes: 0,
      },
      false,
    )
    return false
  }
}
