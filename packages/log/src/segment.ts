/**
 * The form of a segment file.
 *
 *     ┌ header ┬ state ┬ pad ┬ record ┬ record ┬ … ┬ zeros … ┬ state ┬ header ┐
 *     0        512           dataStart                       dataEnd          size
 *
 *     record  [length u32][check u32][seq u48][flags u16][payload][zeros to a multiple of 4]      length = 8 + payload bytes
 *
 * Design constraints:
 * - A sync must not have to change metadata: the file has its full size, in real zeros, before the first record. A length
 *   of zero is the end of the data.
 * - One damaged bit costs one record. Each record has its own check and number, so that reading finds its way again
 *   word by word behind a damaged one, however its length lies.
 * - A record is valid in one place only. Its check is crc32(payload) xor a mix of the log's epoch, the segment's number, the
 *   place in the file and the record's own length, number and flags: a copied, renamed or misplaced segment, a segment of
 *   another log, and bytes inside a body that look like a record are all invalid. The mix is bijective in each of its words,
 *   so that no change of a single word goes unseen.
 * - An append is whole or not there. Its records lie together, the first flagged BEGIN, the last END.
 * - State changes are records too, of no number of their own. They stand before and behind the bodies of their append, so
 *   that one damaged bit loses no state.
 * - What was acknowledged is known from the file alone. The first record of each write is flagged WRITE, and a write begins
 *   only after the one before it is durable: all in front of the last WRITE was durable, and damage there is damage. Behind
 *   it, what is not whole may be a torn write, which was never acknowledged, and is cut. A clean close ends with a MARK, an
 *   empty write that proves all before it.
 * - Header and state snapshot stand twice, at the front and at the end of the file, each with its crc, so that no damaged
 *   sector takes both.
 * - `previousEnd` says where the data of the segment before ends: what a failed sync may have left behind it is never read.
 *
 * Numbers are little-endian.
 */
import { crc32 } from 'node:zlib'
import { crcOf, wordsOf } from './crc.ts'
import { LogError } from './errors.ts'

export const FORMAT_VERSION = 1
export const HEADER_BYTES = 512
export const RECORD_HEAD_BYTES = 16
/** `length` counts the number and the flags too, so that an empty body is not the end of the data. */
const LENGTH_BASE = 8

export const BEGIN = 1
export const END = 2
export const STATE = 4
export const WRITE = 8
export const MARK = 16
const FLAGS_TAG = 0xa500
const FLAGS_MASK = 0x1f

export interface SegmentHeader {
  epoch: string
  /** Counts up by one from segment to segment, from 1. */
  number: number
  /** The number that the first entry has, or would have. */
  firstSeq: number
  /** Size of the file. */
  bytes: number
  /** Where the data of the segment before ends; 0 for the first. */
  previousEnd: number
  /** No record is longer. */
  recordBytesMax: number
  /** The whole state when the segment was begun: a JSON object. */
  state: string
}

/** Behind the longest epoch, and covered by the crc: a damaged version is a damaged header. */
const VERSION_AT = 128
const magic = Buffer.from('PENSTLOG', 'latin1')
const roundUp = (n: number): number => Math.ceil(n / HEADER_BYTES) * HEADER_BYTES

/** Where records may lie in a segment with a snapshot of this size. */
export const dataRange = (bytes: number, stateBytes: number): { start: number; end: number } => ({
  start: HEADER_BYTES + roundUp(stateBytes),
  end: bytes - HEADER_BYTES - stateBytes,
})

/** Size of a record with a payload of this size. */
export const recordBytes = (payloadBytes: number): number => RECORD_HEAD_BYTES + Math.ceil(payloadBytes / 4) * 4

/** The header block, and the state as bytes; both are written twice. */
export const encodeHeader = (header: SegmentHeader): { block: Buffer; state: Buffer } => {
  const block = Buffer.alloc(HEADER_BYTES)
  const state = Buffer.from(header.state, 'utf8')
  magic.copy(block, 0)
  block.writeUInt32LE(FORMAT_VERSION, VERSION_AT)
  block.writeUIntLE(header.number, 16, 6)
  block.writeUIntLE(header.firstSeq, 24, 6)
  block.writeUIntLE(header.bytes, 32, 6)
  block.writeUIntLE(header.previousEnd, 40, 6)
  block.writeUInt32LE(state.length, 48)
  block.writeUInt32LE(crc32(state), 52)
  block.writeUInt32LE(header.recordBytesMax, 56)
  block.writeUInt8(header.epoch.length, 60)
  block.write(header.epoch, 61, 'latin1')
  block.writeUInt32LE(crc32(block.subarray(16)), 12)
  return { block, state }
}

export type HeaderBlock = Omit<SegmentHeader, 'state'> & { stateBytes: number; stateCrc: number }

/** Reads a header block; `undefined` where it is not one, or damaged. Throws where it is whole, but of another version. */
export const decodeHeader = (block: Buffer): HeaderBlock | undefined => {
  if (block.length < HEADER_BYTES || !block.subarray(0, 8).equals(magic)) return undefined
  if (block.readUInt32LE(12) !== crc32(block.subarray(16, HEADER_BYTES))) return undefined
  const version = block.readUInt32LE(VERSION_AT)
  if (version !== FORMAT_VERSION) {
    throw new LogError(
      `the log is of format ${version}; this program reads format ${FORMAT_VERSION}: use the program that wrote it`,
    )
  }
  return {
    number: block.readUIntLE(16, 6),
    firstSeq: block.readUIntLE(24, 6),
    bytes: block.readUIntLE(32, 6),
    previousEnd: block.readUIntLE(40, 6),
    stateBytes: block.readUInt32LE(48),
    stateCrc: block.readUInt32LE(52),
    recordBytesMax: block.readUInt32LE(56),
    epoch: block.toString('latin1', 61, 61 + block.readUInt8(60)),
  }
}

/** The state of a snapshot; `undefined` where its bytes are damaged. */
export const decodeState = (bytes: Buffer, crc: number): string | undefined =>
  crc32(bytes) === crc ? bytes.toString('utf8') : undefined

/** Names sort as numbers do: `<number>-<first seq>.segment`. */
export const segmentName = (number: number, firstSeq: number): string =>
  `${String(number).padStart(10, '0')}-${String(firstSeq).padStart(16, '0')}.segment`
export const parseSegmentName = (name: string): { number: number; firstSeq: number } | undefined => {
  const match = /^(\d{10})-(\d{16})\.segment$/.exec(name)
  if (!match) return undefined
  const number = Number(match[1])
  const firstSeq = Number(match[2])
  return number >= 1 && firstSeq >= 1 && Number.isSafeInteger(firstSeq) ? { number, firstSeq } : undefined
}

/** What binds records to their log and segment. */
export const segmentSeed = (epoch: string, number: number): number => crc32(`${epoch}/${number}`)

/** One bijective step a word: a change of any one word always changes the result. */
const mixWord = (h: number, word: number): number => {
  const m = Math.imul(h ^ word, 0x85ebca6b)
  return m ^ (m >>> 15)
}
const mix = (seed: number, offset: number, length: number, seqLow: number, seqHighFlags: number): number =>
  mixWord(mixWord(mixWord(mixWord(seed, offset), length), seqLow), seqHighFlags)

const u32 = (b: Uint8Array, at: number): number =>
  ((b[at] as number) | ((b[at + 1] as number) << 8) | ((b[at + 2] as number) << 16) | ((b[at + 3] as number) << 24)) >>>
  0
const putU32 = (b: Uint8Array, at: number, v: number): void => {
  b[at] = v
  b[at + 1] = v >>> 8
  b[at + 2] = v >>> 16
  b[at + 3] = v >>> 24
}

/**
 * Writes a record's head in front of its payload, which lies at `at + RECORD_HEAD_BYTES`, but for what depends on its place.
 * @param crc crc32 of the payload
 */
export const putRecordHead = (into: Uint8Array, at: number, payloadBytes: number, crc: number, flags: number): void => {
  putU32(into, at, LENGTH_BASE + payloadBytes)
  putU32(into, at + 4, crc)
  putU32(into, at + 8, 0)
  putU32(into, at + 12, (FLAGS_TAG | flags) << 16)
}

/**
 * Completes a head with the record's place and number. Answers whether it is a state record, which takes no number.
 * @param offset where the record will lie in the file
 */
export const stampRecord = (
  into: Uint8Array,
  at: number,
  seed: number,
  offset: number,
  seq: number,
  moreFlags: number,
): boolean => {
  const seqLow = seq >>> 0
  const flags = (into[at + 14] as number) | moreFlags
  const seqHighFlags = ((seq / 0x1_0000_0000) & 0xffff) | ((FLAGS_TAG | flags) << 16)
  putU32(into, at + 4, u32(into, at + 4) ^ mix(seed, offset, u32(into, at), seqLow, seqHighFlags))
  putU32(into, at + 8, seqLow)
  putU32(into, at + 12, seqHighFlags)
  return (flags & STATE) !== 0
}

const payloadBytesAt = (b: Uint8Array, at: number): number => u32(b, at) - LENGTH_BASE
export const recordSizeAt = (b: Uint8Array, at: number): number => recordBytes(payloadBytesAt(b, at))

/** A whole record by itself. */
export const encodeRecord = (payload: Uint8Array, seed: number, offset: number, seq: number, flags: number): Buffer => {
  const record = Buffer.alloc(recordBytes(payload.length))
  record.set(payload, RECORD_HEAD_BYTES)
  putRecordHead(record, 0, payload.length, crc32(payload), flags)
  stampRecord(record, 0, seed, offset, seq, 0)
  return record
}

/** A valid record, or a stretch that holds none. */
export type Item =
  | { kind: 'record'; offset: number; end: number; seq: number; flags: number; payload: Uint8Array }
  | { kind: 'gap'; offset: number; end: number /** Behind it are zeros only. */; nonZeroEnd: number }

export interface ScanOptions {
  seed: number
  /** Bytes from, to in the file. */
  from: number
  end: number
  /** The lowest number that may come. */
  seq: number
  recordBytesMax: number
  chunkBytes: number
  /** Bytes of the file; may give fewer than asked for at its end. */
  read: (position: number, bytes: number) => Promise<Uint8Array>
}

const zeroPage = Buffer.alloc(4096)

/**
 * Everything that lies from `from` to `end`, in order and without holes, in batches that share memory. After bytes that are
 * no valid record it tries every place behind them. `from` is a multiple of 4.
 */
export async function* scan(o: ScanOptions): AsyncGenerator<Item[]> {
  let { from: at, seq, end } = o
  let base = at
  let window: Uint8Array = new Uint8Array(0)
  let words: Int32Array | undefined
  let items: Item[] = []
  let gap: Extract<Item, { kind: 'gap' }> | undefined
  /** Whether `bytes` from `at` on lie in the window, or could be brought there. */
  const load = async (bytes: number): Promise<boolean> => {
    window = await o.read(at, Math.min(end - at, Math.max(o.chunkBytes, bytes)))
    words = wordsOf(window)
    base = at
    return window.length >= bytes
  }
  while (at < end) {
    const headBytes = Math.min(RECORD_HEAD_BYTES, end - at)
    if (at - base + headBytes > window.length) {
      if (items.length > 0) yield items
      items = []
      if (!(await load(headBytes))) {
        // The file is shorter than its header says.
        end = at + window.length
        continue
      }
    }
    let size = headBytes < RECORD_HEAD_BYTES ? 0 : plausibleSize(window, at - base, end - at, seq, o.recordBytesMax)
    if (size > 0 && at - base + size > window.length) {
      if (items.length > 0) yield items
      items = []
      if (!(await load(size))) size = 0
    }
    const i = at - base
    if (size > 0 && isValid(window, words, i, o.seed, at)) {
      if (gap) items.push(gap)
      gap = undefined
      const record = readRecord(window, i, size, at)
      items.push(record)
      at += size
      seq = record.flags & (STATE | MARK) ? record.seq : record.seq + 1
      continue
    }
    const zeros = zerosAt(window, i)
    gap ??= { kind: 'gap', offset: at, end: at, nonZeroEnd: at }
    const isZero = zeros >= Math.min(4, end - at)
    at = Math.min(end, at + Math.max(4, zeros - (zeros % 4)))
    gap.end = at
    if (!isZero) gap.nonZeroEnd = at
  }
  if (gap) items.push(gap)
  if (items.length > 0) yield items
}

/** The size that the record at `i` would have, or 0 where nothing there can be a record's head. */
const plausibleSize = (b: Uint8Array, i: number, room: number, seq: number, recordBytesMax: number): number => {
  if (b[i + 15] !== FLAGS_TAG >>> 8 || ((b[i + 14] as number) & ~FLAGS_MASK) !== 0) return 0
  const length = u32(b, i)
  const size = recordSizeAt(b, i)
  if (length < LENGTH_BASE || size > room || size > recordBytesMax) return 0
  const found = u32(b, i + 8) + (u32(b, i + 12) & 0xffff) * 0x1_0000_0000
  // Each number in between took a record's head at least.
  return found >= seq && found <= seq + room / RECORD_HEAD_BYTES ? size : 0
}

const isValid = (b: Uint8Array, words: Int32Array | undefined, i: number, seed: number, offset: number): boolean => {
  const expected = mix(seed, offset, u32(b, i), u32(b, i + 8), u32(b, i + 12))
  return (u32(b, i + 4) ^ expected) >>> 0 === crcOf(b, words, i + RECORD_HEAD_BYTES, payloadBytesAt(b, i))
}

const readRecord = (b: Uint8Array, i: number, size: number, offset: number) => ({
  kind: 'record' as const,
  offset,
  end: offset + size,
  seq: u32(b, i + 8) + (u32(b, i + 12) & 0xffff) * 0x1_0000_0000,
  flags: (b[i + 14] as number) & FLAGS_MASK,
  payload: b.subarray(i + RECORD_HEAD_BYTES, i + RECORD_HEAD_BYTES + payloadBytesAt(b, i)),
})

/** How many zero bytes lie from `i` on. */
const zerosAt = (b: Uint8Array, i: number): number => {
  if (b[i] !== 0) return 0
  let j = i
  while (j + zeroPage.length <= b.length && zeroPage.equals(b.subarray(j, j + zeroPage.length))) j += zeroPage.length
  while (j < b.length && b[j] === 0) j++
  return j - i
}
