/** The decoder of every format whose records are lines: line ends, lengths, positions, rejects, checkpoints. */

import { TextDecoder } from 'node:util'
import type { Frame, Json, Reject } from '@penstock/frame'
import type { Checkpoint, Decoded, Decoder, DecoderContext, Resume } from './decoder.ts'
import { createTextDecoder, type Encoding, encodingOf, markBytesMax, mayBeMark } from './input.ts'
import { rejectOf } from './reject.ts'
import type { RowPlace } from './series.ts'

export interface FastRows {
  rows: number
  /** Position behind the last row that was read, and behind its line end. */
  end: number
}

/** What a format does with each line. */
export interface LineFormat {
  /** Name in origins. */
  name: string
  /** Encoding as configured. */
  encoding: string
  /**
   * Looks at bytes[from, to), one line without its end. Returns the reason of a reject, `true` or a number where so many
   * rows were appended, `false` where the line holds no row. `place` is of this line and good for this call.
   */
  line(
    bytes: Uint8Array,
    from: number,
    to: number,
    place: RowPlace,
    atNs: bigint | undefined,
    decoder: TextDecoder,
  ): string | boolean | number
  /**
   * The short way through lines that hold nothing unusual: reads rows, one a line, from `p` on; bytes[limit − 1] is a line
   * end, `line` lines and `offset` bytes of the file come before bytes[0]. Stops before the first line that it does not
   * expect or that has more than `recordBytesMax`; that one comes by `line`. `undefined`: nothing can come this way yet.
   */
  rows?(bytes: Uint8Array, p: number, limit: number, line: number, offset: number): FastRows | undefined
  /** A line that was too long has been rejected: what the format makes of it. */
  tooLong?(): void
  flush(): Frame[]
  /** The format's own part of the checkpoint. */
  state(): Json
  /** Whether the lines so far are needed to go on, and those to come, until it says no. */
  inHead?(): boolean
  /** Whether the file says of itself that it is finished. */
  finished?(): boolean
  /**
   * The file has ended: the reason of a reject that stands for the whole of it (or for the lines of `place`, where that is
   * filled in), or so many last rows.
   */
  end?(place: RowPlace, atNs: bigint | undefined): string | number | undefined
}

const LF = 10
const CR = 13

/** Where the line that holds p ends: the position of its CR or LF, or −1. */
export const lineEnd = (bytes: Uint8Array, p: number): number => {
  const lf = bytes.indexOf(LF, p)
  const cr = bytes.subarray(p, lf < 0 ? bytes.length : lf).indexOf(CR)
  return cr < 0 ? lf : p + cr
}
/**
 * The position behind the line end at `p`, for the short way: LF or CR LF. −1 where a CR stands alone, or last: what
 * follows it is not at hand.
 */
export const behindLineEnd = (bytes: Uint8Array, p: number): number =>
  bytes[p] === LF ? p + 1 : bytes[p] === CR && bytes[p + 1] === LF ? p + 2 : -1

/** The position behind the last line end. */
export const lastLineEnd = (bytes: Uint8Array): number => {
  const lf = bytes.lastIndexOf(LF) + 1
  return lf + bytes.subarray(lf).lastIndexOf(CR) + 1
}

const shortLineBytes = 96

/** As `lineEnd`, for ends that are asked for from front to back: no byte is searched for a CR twice. */
const createLineEnds = (bytes: Uint8Array): ((p: number) => number) => {
  const n = bytes.length
  let cr = -2
  return p => {
    // Most lines are short: looking is cheaper than asking.
    const near = Math.min(p + shortLineBytes, n)
    for (let q = p; q < near; q++) {
      const c = bytes[q] as number
      if (c === LF || c === CR) return q
    }
    if (near === n) return -1
    if (cr !== -1 && cr < near) cr = bytes.indexOf(CR, near)
    const lf = bytes.indexOf(LF, near)
    return cr >= 0 && (lf < 0 || cr < lf) ? cr : lf
  }
}

export const createLineDecoder = (format: LineFormat, context: DecoderContext, resume?: Resume): Decoder => {
  const { recordBytesMax } = context
  let encoding: Encoding | undefined
  let decoder = new TextDecoder()
  let offset = 0
  let line = 0
  let skipLf = false
  let passing = false
  let headBytes = 0
  let rejects: Reject[] = []
  let rowsRead = 0

  const decode = (pushed: Uint8Array, last: boolean, atNs: bigint | undefined): number => {
    const input = (encoding as Encoding).input(pushed, last)
    const { bytes } = input
    const n = bytes.length
    const endOf = createLineEnds(bytes)
    const { wide } = encoding as Encoding
    const place: RowPlace = { firstLine: 0, lastLine: 0, firstByte: 0, lastByte: 0 }
    const limit = wide || !format.rows ? 0 : lastLineEnd(bytes)
    let p = 0
    let at = offset
    const next = (end: number): void => {
      const stop = end < 0 ? n : end
      line++
      skipLf = bytes[stop] === CR
      const behind = stop < n ? stop + 1 : n
      at += wide ? input.fileBytes(p, behind) : behind - p
      p = behind
    }
    while (p < n) {
      if (skipLf && bytes[p] === LF) {
        at += input.fileBytes(p, p + 1)
        p++
      }
      skipLf = false
      if (p >= n) break
      if (p < limit && !passing) {
        const read = format.rows?.(bytes, p, limit, line, at - p)
        if (read && read.rows > 0) {
          rowsRead += read.rows
          line += read.rows
          at += read.end - p
          p = read.end
          if (p >= n) break
        }
      }
      const end = endOf(p)
      if (passing) {
        if (end < 0) {
          at += input.fileBytes(p, n)
          p = n
        } else {
          passing = false
          next(end)
        }
        continue
      }
      const tooLong = (end < 0 ? n : end) - p > recordBytesMax
      if (end < 0 && !last && !tooLong) break
      const stop = tooLong ? p + recordBytesMax : end < 0 ? n : end
      place.firstLine = line + 1
      place.lastLine = line + 1
      place.firstByte = at
      place.lastByte = at + (wide ? input.fileBytes(p, stop) : stop - p)
      const outcome = tooLong
        ? `the line is longer than ${recordBytesMax} bytes; its rest is passed over`
        : format.line(bytes, p, stop, place, atNs, decoder)
      if (outcome !== false) rowsRead += typeof outcome === 'number' ? outcome : 1
      if (tooLong) format.tooLong?.()
      if (typeof outcome === 'string') {
        rejects.push(rejectOf(context, format.name, place, outcome, bytes, p, stop, decoder))
      }
      if (tooLong && end < 0) {
        passing = true
        at += input.fileBytes(p, n)
        p = n
      } else next(end)
      if (format.inHead?.()) headBytes = at
    }
    return last ? pushed.length : at - offset
  }

  const start = (bytes: Uint8Array): void => {
    encoding = encodingOf(format.encoding, bytes)
    decoder = createTextDecoder(encoding.textEncoding)
    offset = encoding.markBytes
    headBytes = offset
  }

  const push = (pushed: Uint8Array, last: boolean, atNs?: bigint): Decoded => {
    rejects = []
    rowsRead = 0
    let mark = 0
    if (!encoding) {
      if (pushed.length < markBytesMax && !last && mayBeMark(pushed)) {
        return { frames: [], rejects, used: 0, rowsRead, rowsRejected: 0 }
      }
      start(pushed)
      mark = offset
    }
    const used = decode(pushed.subarray(mark), last, atNs)
    offset += used
    if (last) end(atNs)
    const finished = format.finished?.() === true
    return {
      frames: format.flush(),
      rejects,
      used: used + mark,
      rowsRead,
      rowsRejected: rejects.length,
      ...(finished && { finished }),
    }
  }

  const end = (atNs: bigint | undefined): void => {
    const whole = { firstLine: 1, lastLine: line, firstByte: 0, lastByte: offset }
    const outcome = format.end?.(whole, atNs)
    if (outcome === undefined) return
    rowsRead += typeof outcome === 'number' ? outcome : 1
    if (typeof outcome === 'string') {
      rejects.push(rejectOf(context, format.name, whole, outcome, new Uint8Array(0), 0, 0, decoder))
    }
  }

  const checkpoint = (): Checkpoint => ({
    offset,
    headBytes,
    line,
    state: { skipLf, passing, format: format.state() },
  })

  if (resume && resume.checkpoint.offset > 0) {
    const { checkpoint: from, head } = resume
    const state = from.state as { readonly [key: string]: Json }
    start(head)
    decode(head.subarray(offset), false, undefined)
    offset = from.offset
    line = from.line
    headBytes = from.headBytes
    skipLf = state.skipLf === true
    passing = state.passing === true
    rejects = []
  }
  return { push, checkpoint }
}
