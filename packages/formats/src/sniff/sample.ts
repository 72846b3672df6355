/** A bounded part of a file, taken where it tells most: its head, some pieces of the middle, its end. */
import type { FileBytes } from '../decoder.ts'

const headBytesMax = 128 * 1024
const pieceBytesMax = 8 * 1024
const piecesMax = 12

export interface Sample {
  size: number
  head: Uint8Array
  /** Later parts of the file, in order; the last one ends with the file. None where the head is all of it. */
  pieces: Uint8Array[]
}

export const takeSample = async (file: FileBytes): Promise<Sample> => {
  const head = await file.read(0, headBytesMax)
  const { size } = file
  const pieces: Uint8Array[] = []
  const rest = size - head.length
  if (head.length === headBytesMax && rest > 0) {
    const count = Math.min(piecesMax, Math.ceil(rest / pieceBytesMax))
    for (let i = 1; i <= count; i++) {
      const end = head.length + Math.floor((rest * i) / count)
      // Even, so that pairs of bytes stay together.
      const start = Math.max(head.length, end - pieceBytesMax)
      pieces.push(await file.read(start + (start % 2), end))
    }
  }
  return { size, head, pieces }
}

const LF = 10
const CR = 13

/**
 * The whole lines of the sample as if they were one file.
 *
 * @param wide bytes a character has at least, and which of them is the one that counts: 0 for UTF-8 and its like
 */
export const wholeLines = (sample: Sample, wide: { bytes: 1 | 2; low: 0 | 1 }): Uint8Array => {
  const { head, pieces } = sample
  if (pieces.length === 0) return head
  const mark = lineMark(head, wide)
  if (mark === undefined) return head
  const parts = [head.subarray(0, lastLine(head, mark, wide))]
  for (const [i, piece] of pieces.entries()) {
    const from = firstLine(piece, mark, wide)
    const to = i === pieces.length - 1 ? piece.length : lastLine(piece, mark, wide)
    if (to > from) parts.push(piece.subarray(from, to))
  }
  return new Uint8Array(Buffer.concat(parts))
}

const isMark = (bytes: Uint8Array, at: number, mark: number, wide: { bytes: 1 | 2; low: 0 | 1 }): boolean =>
  bytes[at + wide.low] === mark && (wide.bytes === 1 || bytes[at + 1 - wide.low] === 0)

const lineMark = (bytes: Uint8Array, wide: { bytes: 1 | 2; low: 0 | 1 }): number | undefined => {
  for (const mark of [LF, CR]) {
    for (let p = 0; p + wide.bytes <= bytes.length; p += wide.bytes) if (isMark(bytes, p, mark, wide)) return mark
  }
  return undefined
}

/** The position behind the first line end, or the end. */
const firstLine = (bytes: Uint8Array, mark: number, wide: { bytes: 1 | 2; low: 0 | 1 }): number => {
  for (let p = 0; p + wide.bytes <= bytes.length; p += wide.bytes) {
    if (isMark(bytes, p, mark, wide)) return p + wide.bytes
  }
  return bytes.length
}

const lastLine = (bytes: Uint8Array, mark: number, wide: { bytes: 1 | 2; low: 0 | 1 }): number => {
  for (let p = bytes.length - (bytes.length % wide.bytes) - wide.bytes; p >= 0; p -= wide.bytes) {
    if (isMark(bytes, p, mark, wide)) return p + wide.bytes
  }
  return 0
}
