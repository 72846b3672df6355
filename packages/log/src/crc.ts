/**
 * crc32 of many small payloads. Calling zlib's costs as much time as 300 bytes take to be summed here, so that small ones
 * are summed here, 16 bytes a step by one table for each ("slicing", Kounavis and Berry 2005), and large ones there.
 */
import { crc32 } from 'node:zlib'

const smallBytesMax = 320
const tablesCount = 16
const isLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1

/** Table k says what a byte does to the sum when k more bytes follow it. */
const makeTables = (): Int32Array[] => {
  const first = Int32Array.from({ length: 256 }, (_, byte) => {
    let c = byte
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1
    return c
  })
  const tables = [first]
  while (tables.length < tablesCount) {
    tables.push((tables.at(-1) ?? first).map(c => (first[c & 255] ?? 0) ^ (c >>> 8)))
  }
  return tables
}
type Table = Int32Array
const [t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15] = makeTables() as [
  Table, Table, Table, Table, Table, Table, Table, Table, Table, Table, Table, Table, Table, Table, Table, Table,
] // biome-ignore format: sixteen of them

/** The view that `crcOf` sums by; `undefined` where the bytes do not allow it. */
export const wordsOf = (b: Uint8Array): Int32Array | undefined =>
  isLittleEndian && b.byteOffset % 4 === 0 ? new Int32Array(b.buffer, b.byteOffset, b.length >> 2) : undefined

/** crc32 of `length` bytes of `b` from `from`, a multiple of 4; `words` is `wordsOf(b)`. */
export const crcOf = (b: Uint8Array, words: Int32Array | undefined, from: number, length: number): number =>
  words === undefined || length > smallBytesMax
    ? crc32(b.subarray(from, from + length))
    : sumWords(b, words, from, from + length)

const sumWords = (bytes: Uint8Array, words: Int32Array, from: number, end: number): number => {
  let c = -1
  let i = from >> 2
  for (const last = (end - 16) >> 2; i <= last; i += 4) {
    const w0 = c ^ (words[i] as number)
    const w1 = words[i + 1] as number
    const w2 = words[i + 2] as number
    const w3 = words[i + 3] as number
    c = (t15[w0 & 255] as number) ^ (t14[(w0 >>> 8) & 255] as number) ^ (t13[(w0 >>> 16) & 255] as number) ^ (t12[w0 >>> 24] as number)
      ^ (t11[w1 & 255] as number) ^ (t10[(w1 >>> 8) & 255] as number) ^ (t9[(w1 >>> 16) & 255] as number) ^ (t8[w1 >>> 24] as number)
      ^ (t7[w2 & 255] as number) ^ (t6[(w2 >>> 8) & 255] as number) ^ (t5[(w2 >>> 16) & 255] as number) ^ (t4[w2 >>> 24] as number)
      ^ (t3[w3 & 255] as number) ^ (t2[(w3 >>> 8) & 255] as number) ^ (t1[(w3 >>> 16) & 255] as number) ^ (t0[w3 >>> 24] as number) // biome-ignore format: a line a word
  }
  for (let at = i * 4; at < end; at++) c = (t0[(c ^ (bytes[at] as number)) & 255] as number) ^ (c >>> 8)
  return ~c >>> 0
}
