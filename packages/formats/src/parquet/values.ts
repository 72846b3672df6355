/**
 * The values of a page: plain, by dictionary, delta-coded. After the format's public description (Apache Parquet,
 * "Encodings"). Whatever the bytes are, no read goes beyond them and nothing is made that they do not pay for; bytes
 * that are none of this throw.
 */
import { deltaBinaryUnpack } from 'hyparquet/src/delta.js'
import type { Encoding, ParquetType } from 'hyparquet/src/types.js'

/** Values of one page or dictionary, holes left out. */
export type Values =
  | { type: 'numbers'; count: number; numbers: Float64Array | Float32Array | Int32Array | Uint8Array }
  /** Int64, as pairs of 32 bits: low, then high. */
  | { type: 'longs'; count: number; halves: Int32Array }
  | { type: 'bytes'; count: number; bytes: Uint8Array; starts: Int32Array; ends: Int32Array }

export interface Shape {
  type: ParquetType
  /** Bytes of one value of FIXED_LEN_BYTE_ARRAY. */
  width: number
}

/** Bytes that are not what the format says. */
export class PageError extends Error {}
export const damaged = (what: string): never => {
  throw new PageError(what)
}

/** Runs and bit-packed groups ("RLE/bit-packing hybrid") of `width` bits from bytes[p, end) into `out`. Returns the position behind. */
export const readHybrid = (
  bytes: Uint8Array,
  from: number,
  end: number,
  width: number,
  out: Int32Array | Uint8Array,
): number => {
  let p = from
  let n = 0
  if (width > 32) damaged(`a bit width of ${width}`)
  const mask = width === 32 ? 0xffffffff : 2 ** width - 1
  while (n < out.length) {
    let header = 0
    for (let shift = 0; ; shift += 7) {
      if (p >= end || shift > 28) damaged('its runs end early')
      const byte = bytes[p++] as number
      header |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    if (header & 1) {
      const stop = Math.min(out.length, n + (header >>> 1) * 8)
      const groupEnd = p + (header >>> 1) * width
      if (width === 0) out.fill(0, n, stop)
      else p = unpack(bytes, p, end, width, mask, out, n, stop)
      n = stop
      p = Math.min(end, groupEnd)
    } else {
      const size = (width + 7) >> 3
      if (p + size > end) damaged('its runs end early')
      let value = 0
      for (let i = 0; i < size; i++) value |= (bytes[p++] as number) << (8 * i)
      const stop = Math.min(out.length, n + (header >>> 1))
      if (stop === n) damaged('a run has no length')
      out.fill(value, n, stop)
      n = stop
    }
  }
  return p
}

const unpack = (
  bytes: Uint8Array,
  from: number,
  end: number,
  width: number,
  mask: number,
  out: Int32Array | Uint8Array,
  first: number,
  stop: number,
): number => {
  if (from + Math.ceil(((stop - first) * width) / 8) > end) damaged('its packed values end early')
  let p = from
  // Below 25 bits a value and what is left of the byte before fit 32 bits; wider ones are added up as doubles.
  if (width <= 24) {
    let held = 0
    let bits = 0
    for (let i = first; i < stop; i++) {
      while (bits < width) {
        held |= (bytes[p++] as number) << bits
        bits += 8
      }
      out[i] = held & mask
      held >>>= width
      bits -= width
    }
    return p
  }
  let held = 0
  let bits = 0
  const size = 2 ** width
  for (let i = first; i < stop; i++) {
    while (bits < width) {
      held += (bytes[p++] as number) * 2 ** bits
      bits += 8
    }
    const rest = Math.floor(held / size)
    out[i] = held - rest * size
    held = rest
    bits -= width
  }
  return p
}

const widthOf = ({ type, width }: Shape): number =>
  type === 'INT64' || type === 'DOUBLE'
    ? 8
    : type === 'INT96'
      ? 12
      : type === 'FIXED_LEN_BYTE_ARRAY'
        ? width
        : type === 'BYTE_ARRAY'
          ? 4
          : 4

/** `count` values of an encoding without dictionary from bytes[from, end). */
export const readValues = (
  bytes: Uint8Array,
  from: number,
  end: number,
  count: number,
  encoding: Encoding,
  shape: Shape,
  bytesMax: number,
): Values => {
  switch (encoding) {
    case 'PLAIN':
      return readPlain(bytes, from, end, count, shape)
    case 'RLE':
      if (shape.type !== 'BOOLEAN') return damaged(`the encoding RLE of ${shape.type}`)
      return readRuns(bytes, from, end, count)
    case 'BYTE_STREAM_SPLIT':
      return readPlain(unsplit(bytes, from, end, count, widthOf(shape)), 0, count * widthOf(shape), count, shape)
    case 'DELTA_BINARY_PACKED':
      return readDelta(bytes, from, end, count, shape)
    case 'DELTA_LENGTH_BYTE_ARRAY':
    case 'DELTA_BYTE_ARRAY':
      return readDeltaBytes(bytes, from, end, count, encoding === 'DELTA_BYTE_ARRAY', bytesMax)
    default:
      return damaged(`the encoding ${encoding}, which is not read`)
  }
}

const readPlain = (bytes: Uint8Array, from: number, end: number, count: number, shape: Shape): Values => {
  if (shape.type === 'BOOLEAN') {
    if (from + Math.ceil(count / 8) > end) damaged('its values end early')
    const numbers = new Uint8Array(count)
    for (let i = 0; i < count; i++) numbers[i] = ((bytes[from + (i >> 3)] as number) >> (i & 7)) & 1
    return { type: 'numbers', count, numbers }
  }
  if (shape.type === 'BYTE_ARRAY') return readPlainBytes(bytes, from, end, count)
  const width = widthOf(shape)
  if (from + count * width > end) damaged('its values end early')
  if (shape.type === 'INT96' || shape.type === 'FIXED_LEN_BYTE_ARRAY') {
    const starts = Int32Array.from({ length: count }, (_, i) => from + i * width)
    return { type: 'bytes', count, bytes, starts, ends: starts.map(start => start + width) }
  }
  const at = bytes.byteOffset + from
  // Views need their alignment; a page rarely has it.
  const inPlace = at % width === 0
  const buffer = (inPlace ? bytes.buffer : bytes.slice(from, from + count * width).buffer) as ArrayBuffer
  const start = inPlace ? at : 0
  if (shape.type === 'INT64') return { type: 'longs', count, halves: new Int32Array(buffer, start, 2 * count) }
  const Numbers = shape.type === 'DOUBLE' ? Float64Array : shape.type === 'FLOAT' ? Float32Array : Int32Array
  return { type: 'numbers', count, numbers: new Numbers(buffer, start, count) }
}

const readPlainBytes = (bytes: Uint8Array, from: number, end: number, count: number): Values => {
  if (from + 4 * count > end) damaged('its values end early')
  const starts = new Int32Array(count)
  const ends = new Int32Array(count)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let p = from
  for (let i = 0; i < count; i++) {
    if (p + 4 > end) damaged('its values end early')
    const length = view.getUint32(p, true)
    p += 4
    if (p + length > end) damaged('its values end early')
    starts[i] = p
    p += length
    ends[i] = p
  }
  return { type: 'bytes', count, bytes, starts, ends }
}

/** Booleans as runs, behind their length in bytes. */
const readRuns = (bytes: Uint8Array, from: number, end: number, count: number): Values => {
  const numbers = new Uint8Array(count)
  if (count > 0) readHybrid(bytes, from + 4, end, 1, numbers)
  return { type: 'numbers', count, numbers }
}

const unsplit = (bytes: Uint8Array, from: number, end: number, count: number, width: number): Uint8Array => {
  if (from + count * width > end) damaged('its values end early')
  const joined = new Uint8Array(count * width)
  for (let b = 0, p = from; b < width; b++) {
    for (let q = b; q < joined.length; q += width) joined[q] = bytes[p++] as number
  }
  return joined
}

const readDelta = (bytes: Uint8Array, from: number, end: number, count: number, shape: Shape): Values => {
  const reader = readerOf(bytes, from, end)
  if (shape.type === 'INT32') {
    const numbers = new Int32Array(count)
    if (count > 0) deltaBinaryUnpack(reader, count, numbers)
    return { type: 'numbers', count, numbers }
  }
  if (shape.type !== 'INT64') return damaged(`the encoding DELTA_BINARY_PACKED of ${shape.type}`)
  const longs = new BigInt64Array(count)
  if (count > 0) deltaBinaryUnpack(reader, count, longs)
  return { type: 'longs', count, halves: new Int32Array(longs.buffer) }
}

/** Over a copy, so that it ends where the page does. */
const readerOf = (bytes: Uint8Array, from: number, end: number) => {
  const copy = new Uint8Array(bytes.subarray(from, end))
  return { view: new DataView(copy.buffer), offset: 0 }
}

/** Texts behind the lengths of all; with `prefixes`, each begins with so many bytes of the one before. */
const readDeltaBytes = (
  bytes: Uint8Array,
  from: number,
  end: number,
  count: number,
  hasPrefixes: boolean,
  bytesMax: number,
): Values => {
  const starts = new Int32Array(count)
  const ends = new Int32Array(count)
  if (count === 0) return { type: 'bytes', count, bytes, starts, ends }
  const reader = readerOf(bytes, from, end)
  const prefixes = new Int32Array(count)
  if (hasPrefixes) deltaBinaryUnpack(reader, count, prefixes)
  const lengths = new Int32Array(count)
  deltaBinaryUnpack(reader, count, lengths)
  let total = 0
  for (let i = 0; i < count; i++) {
    const prefix = prefixes[i] as number
    const length = lengths[i] as number
    const before = i === 0 ? 0 : (ends[i - 1] as number) - (starts[i - 1] as number)
    if (prefix < 0 || length < 0 || prefix > before) damaged('a length is impossible')
    starts[i] = total
    total += prefix + length
    ends[i] = total
    if (total > bytesMax) damaged(`its texts take more than ${bytesMax} bytes`)
  }
  const joined = new Uint8Array(total)
  let p = from + reader.offset
  for (let i = 0; i < count; i++) {
    const start = starts[i] as number
    const prefix = prefixes[i] as number
    const length = lengths[i] as number
    if (p + length > end) damaged('its values end early')
    if (prefix > 0) joined.copyWithin(start, starts[i - 1] as number, (starts[i - 1] as number) + prefix)
    joined.set(bytes.subarray(p, p + length), start + prefix)
    p += length
  }
  return { type: 'bytes', count, bytes: joined, starts, ends }
}

/** Bytes that decoding `count` values may take beside those of the page itself. */
export const decodedBytes = (count: number, encoding: Encoding, shape: Shape): number => {
  if (encoding === 'PLAIN_DICTIONARY' || encoding === 'RLE_DICTIONARY') return 4 * count
  if (shape.type === 'BOOLEAN') return count
  if (encoding === 'PLAIN' && widthOf(shape) !== 4 && widthOf(shape) !== 8) return 8 * count
  return 16 * count
}
