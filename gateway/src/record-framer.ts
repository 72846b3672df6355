/**
 * Cuts a stream of bytes into frames: at a delimiter, by length, at a pause, or where a regular expression says so. A frame
 * that exceeds the limit is passed over up to its end, and told; so are bytes that belong to no frame.
 *
 *     bytes ──► push ──► frames that are whole          a pause of `gapMs` ──► idle ──► frames that only a pause ends
 */
import * as z from 'zod'
import { bytesOf, escapedText } from './escapes.ts'

export interface FramedRecord {
  /** Without the delimiter; the first bytes alone where the record is too long. */
  bytes: Uint8Array
  /** When the first of them arrived, ns since the epoch. */
  atNs: bigint
  /** Why this is no frame, in one sentence. */
  problem?: string
}

export interface RecordFramer {
  /** The records that these bytes complete, in their order. */
  push(bytes: Uint8Array, atNs: bigint): FramedRecord[]
  /** So long nothing must come for `idle` to be called; `undefined` where pauses mean nothing. */
  readonly gapMs: number | undefined
  /** Nothing came for `gapMs`: the records that end with that. */
  idle(): FramedRecord[]
  /** The bytes of a record that has no end yet, given up: the framer begins anew. */
  rest(): Uint8Array
  /** Whether a record has begun. */
  isOpen(): boolean
}

const regexSource = z
  .string()
  .min(1)
  .max(4096)
  .check(ctx => {
    try {
      if (new RegExp(ctx.value, 's').test('')) {
        ctx.issues.push({
          code: 'custom',
          input: ctx.value,
          message: 'matches an empty text: it would match everywhere',
        })
      }
    } catch (error) {
      ctx.issues.push({ code: 'custom', input: ctx.value, message: (error as Error).message })
    }
  })
const gapMs = z.int().min(1).max(60_000)

export const framingSchema = z
  .discriminatedUnion('by', [
    z.strictObject({
      by: z.literal('delimiter'),
      end: escapedText(1, 64).describe('What ends a frame, e.g. "\\r\\n" or "\\x03"'),
      start: escapedText(1, 64).optional().describe('What begins a frame, e.g. "\\x02"; bytes before it are rejects'),
      tailBytes: z
        .int()
        .min(1)
        .max(16)
        .optional()
        .describe(
          'Bytes behind `end` that belong to the frame: a checksum behind ETX. The checksum then covers `start` and `end`, too',
        ),
    }),
    z.strictObject({
      by: z.literal('length'),
      bytes: z.int().min(1).max(65_536).describe('Length of a frame, with sync bytes and checksum'),
      sync: escapedText(1, 64)
        .optional()
        .describe('How every frame begins, e.g. "\\xaa\\x55": the line is searched for it after noise'),
      gapMs: gapMs
        .default(1000)
        .describe('A frame that pauses for so long in its middle is a reject: the next byte begins a new one'),
    }),
    z.strictObject({ by: z.literal('silence'), gapMs: gapMs.describe('So many ms without a byte end a frame') }),
    z.strictObject({
      by: z.literal('regex'),
      pattern: regexSource.describe(
        'A whole frame, as a regular expression on bytes (Latin-1), e.g. [A-Z]\\d{6}. What stands between two frames is a reject, blanks are passed over',
      ),
      gapMs: gapMs
        .default(20)
        .describe('A match at the end of what came so far counts when nothing follows for so long'),
    }),
  ])
  .describe('What makes a frame of the bytes')
export type FramingOptions = z.output<typeof framingSchema>

/** @param what is framed, for reasons: "line" or "frame" */
export const createFramer = (options: FramingOptions, recordBytesMax: number, what = 'frame'): RecordFramer => {
  switch (options.by) {
    case 'delimiter':
      return createDelimiterFramer(options, recordBytesMax, what)
    case 'length':
      return createLengthFramer(options)
    case 'silence':
      return createSilenceFramer(options.gapMs, recordBytesMax)
    case 'regex':
      return createRegexFramer(new RegExp(options.pattern, 'gs'), options.gapMs, recordBytesMax)
  }
}

/** Of what is too long or no frame, so much is kept. */
const keptBytesMax = 4096
const empty = Buffer.alloc(0)
const tooLong = (what: string, bytesMax: number) => `the ${what} is longer than ${bytesMax} bytes`

/** Bytes that wait for their end, each piece with its time of arrival. */
const createPending = () => {
  let bytes: Buffer = empty
  let arrivals: { from: number; atNs: bigint }[] = []
  return {
    bytes: () => bytes,
    add(more: Uint8Array, atNs: bigint): void {
      if (more.length === 0) return
      arrivals.push({ from: bytes.length, atNs })
      bytes = Buffer.concat([bytes, more])
    },
    /** When the byte at this place arrived. */
    atNs(place: number): bigint {
      let found = 0n
      for (const { from, atNs } of arrivals) {
        if (from > place && found !== 0n) break
        found = atNs
      }
      return found
    },
    drop(count: number): void {
      if (count === 0) return
      const next: typeof arrivals = []
      for (const { from, atNs } of arrivals) {
        if (from <= count) next[0] = { from: 0, atNs }
        else next.push({ from: from - count, atNs })
      }
      bytes = Buffer.from(bytes.subarray(count))
      arrivals = bytes.length === 0 ? [] : next
    },
  }
}

const createDelimiterFramer = (
  options: Extract<FramingOptions, { by: 'delimiter' }>,
  recordBytesMax: number,
  what: string,
): RecordFramer => {
  const end = bytesOf(options.end)
  const start = options.start === undefined ? undefined : bytesOf(options.start)
  const tailBytes = options.tailBytes ?? 0
  const pending = createPending()
  let passing: { bytes: Uint8Array; atNs: bigint } | undefined

  const recordsOf = (bytes: Buffer, atNs: bigint): FramedRecord[] => {
    if (bytes.length > recordBytesMax) {
      return [{ bytes: Buffer.from(bytes.subarray(0, keptBytesMax)), atNs, problem: tooLong(what, recordBytesMax) }]
    }
    if (!start) return [{ bytes, atNs }]
    // The last mark counts: a frame that broke off is followed by a whole one.
    const begin = bytes.lastIndexOf(
      start,
      tailBytes > 0 ? Math.max(0, bytes.length - tailBytes - end.length) : undefined,
    )
    if (begin < 0) return [{ bytes, atNs, problem: 'the frame has no beginning' }]
    const frame = { bytes: bytes.subarray(begin + (tailBytes > 0 ? 0 : start.length)), atNs }
    if (bytes.subarray(0, begin).every(isBlank)) return [frame]
    return [
      { bytes: bytes.subarray(0, begin), atNs, problem: 'these bytes stand before the beginning of a frame' },
      frame,
    ]
  }

  return {
    gapMs: undefined,
    idle: () => [],
    push(more, moreAtNs) {
      pending.add(more, moreAtNs)
      const records: FramedRecord[] = []
      const all = pending.bytes()
      let at = 0
      for (let found = all.indexOf(end); found >= 0; found = all.indexOf(end, at)) {
        const next = found + end.length + tailBytes
        if (next > all.length) break
        if (passing) records.push({ ...passing, problem: tooLong(what, recordBytesMax) })
        else records.push(...recordsOf(all.subarray(at, tailBytes > 0 ? next : found), pending.atNs(at)))
        passing = undefined
        at = next
      }
      const openBytes = all.length - at
      const margin = end.length + tailBytes
      if (passing || openBytes > recordBytesMax + margin) {
        passing ??= { bytes: Uint8Array.from(all.subarray(at, at + keptBytesMax)), atNs: pending.atNs(at) }
        // The last bytes may be the beginning of a delimiter.
        at = Math.max(at, all.length - margin + 1)
      }
      pending.drop(at)
      return records
    },
    rest() {
      const rest = passing?.bytes ?? pending.bytes()
      pending.drop(pending.bytes().length)
      passing = undefined
      return rest
    },
    isOpen: () => passing !== undefined || pending.bytes().length > 0,
  }
}

const createLengthFramer = (options: Extract<FramingOptions, { by: 'length' }>): RecordFramer => {
  const { bytes: length, gapMs } = options
  const sync = options.sync === undefined ? empty : bytesOf(options.sync)
  const pending = createPending()
  let noise: Buffer = empty
  let noiseAtNs = 0n

  const skip = (count: number): void => {
    if (count === 0) return
    if (noise.length === 0) noiseAtNs = pending.atNs(0)
    const room = Math.max(0, keptBytesMax - noise.length)
    noise = Buffer.concat([noise, pending.bytes().subarray(0, Math.min(count, room))])
    pending.drop(count)
  }
  const takeNoise = (): FramedRecord[] => {
    if (noise.length === 0) return []
    const record = { bytes: noise, atNs: noiseAtNs, problem: 'these bytes stand before the beginning of a frame' }
    noise = empty
    return [record]
  }
  const rest = (): Buffer => {
    const left = Buffer.concat([noise, pending.bytes()]).subarray(0, keptBytesMax)
    noise = empty
    pending.drop(pending.bytes().length)
    return left
  }
  return {
    gapMs,
    idle() {
      const atNs = noise.length > 0 ? noiseAtNs : pending.atNs(0)
      const bytes = rest()
      if (bytes.length === 0) return []
      return [{ bytes, atNs, problem: `the frame has ${bytes.length} bytes, ${length} are expected` }]
    },
    push(more, atNs) {
      pending.add(more, atNs)
      const records: FramedRecord[] = []
      for (;;) {
        const all = pending.bytes()
        if (sync.length > 0) {
          const found = all.indexOf(sync)
          skip(found >= 0 ? found : Math.max(0, all.length - sync.length + 1))
          if (found < 0) break
        }
        if (pending.bytes().length < length) break
        records.push(...takeNoise(), { bytes: Buffer.from(pending.bytes().subarray(0, length)), atNs: pending.atNs(0) })
        pending.drop(length)
      }
      if (noise.length >= keptBytesMax) records.push(...takeNoise())
      return records
    },
    rest,
    isOpen: () => noise.length > 0 || pending.bytes().length > 0,
  }
}

const createSilenceFramer = (gapMs: number, recordBytesMax: number): RecordFramer => {
  const pending = createPending()
  let isTooLong = false
  const rest = (): Buffer => {
    const left = pending.bytes()
    pending.drop(left.length)
    isTooLong = false
    return left
  }
  return {
    gapMs,
    push(more, atNs) {
      const room = recordBytesMax - pending.bytes().length
      if (more.length > room) isTooLong = true
      pending.add(more.subarray(0, Math.max(0, room)), atNs)
      return []
    },
    idle() {
      const atNs = pending.atNs(0)
      const problem = isTooLong ? tooLong('frame', recordBytesMax) : undefined
      const bytes = rest()
      if (bytes.length === 0) return []
      return [problem === undefined ? { bytes, atNs } : { bytes: bytes.subarray(0, keptBytesMax), atNs, problem }]
    },
    rest,
    isOpen: () => pending.bytes().length > 0,
  }
}

const createRegexFramer = (pattern: RegExp, gapMs: number, recordBytesMax: number): RecordFramer => {
  const pending = createPending()

  const noise = (from: number, to: number, problem: string): FramedRecord[] => {
    const bytes = pending.bytes().subarray(from, to)
    if (bytes.every(isBlank)) return []
    return [{ bytes: Buffer.from(bytes.subarray(0, keptBytesMax)), atNs: pending.atNs(from), problem }]
  }
  const cut = (isEnd: boolean): FramedRecord[] => {
    const records: FramedRecord[] = []
    const text = pending.bytes().toString('latin1')
    let at = 0
    for (const match of text.matchAll(pattern)) {
      const end = match.index + match[0].length
      if (end === match.index || (end === text.length && !isEnd)) break
      records.push(...noise(at, match.index, 'these bytes fit no frame'))
      records.push({ bytes: Buffer.from(pending.bytes().subarray(match.index, end)), atNs: pending.atNs(match.index) })
      at = end
    }
    if (text.length - at > recordBytesMax) {
      records.push(...noise(at, text.length, tooLong('frame', recordBytesMax)))
      at = text.length
    }
    pending.drop(at)
    return records
  }
  return {
    gapMs,
    push(more, atNs) {
      const records: FramedRecord[] = []
      // In pieces: what a pattern must look through stays bounded, however much comes at once.
      for (let from = 0; from < more.length; from += recordBytesMax) {
        pending.add(more.subarray(from, from + recordBytesMax), atNs)
        records.push(...cut(false))
      }
      return records
    },
    idle: () => cut(true),
    rest() {
      const left = pending.bytes()
      pending.drop(left.length)
      return left
    },
    isOpen: () => pending.bytes().length > 0,
  }
}

const isBlank = (byte: number): boolean => byte === 32 || (byte >= 9 && byte <= 13)
