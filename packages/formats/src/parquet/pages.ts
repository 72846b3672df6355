/**
 * One column of one row group, page by page: the bytes are read, unpacked and decoded when a row of the page is asked for, and
 * let go with its last.
 */
import { brotliDecompressSync, crc32, gunzipSync } from 'node:zlib'
import { parquetHeader } from 'hyparquet/src/column.js'
import type { CompressionCodec, Encoding, PageHeader } from 'hyparquet/src/types.js'
import { compressors, decompressZstd } from 'hyparquet-compressors'
import { plainBytes } from '../disk.ts'
import type { Leaf } from './schema.ts'
import { damaged, decodedBytes, PageError, readHybrid, readValues, type Values } from './values.ts'

export type ReadBytes = (from: number, to: number) => Promise<Uint8Array>

/** The bytes that all columns of a row group hold at a time. */
export interface Held {
  bytes: number
  readonly bytesMax: number
}

export interface Chunk {
  start: number
  end: number
  codec: CompressionCodec
}

export interface PageColumn {
  /** Rows of the page at hand that were not taken; reads the next page where it has none. 0 at the end of the chunk. */
  available(): Promise<number>
  /** Takes `count` rows of them: `slots` and `values`, or `curves`, hold them until the next call. */
  take(count: number): void
  /** Place in `values` of each row taken, −1 for a hole. */
  readonly slots: Int32Array
  values(): Values
  /** Of a list: the numbers of each row taken; null is a hole. */
  curves(): readonly (Float64Array | null)[]
}

const windowBytes = 64 * 1024
/** Statistics in a header may hold long texts. A number of so many bytes, in a damaged one, is added up within seconds. */
const headerBytes = [16 * 1024, 128 * 1024]
const noValues: Values = { type: 'numbers', count: 0, numbers: new Uint8Array(0) }

export const createPageColumn = (leaf: Leaf, chunk: Chunk, read: ReadBytes, held: Held): PageColumn => {
  let position = chunk.start
  let window: Uint8Array = new Uint8Array(0)
  let windowAt = 0
  let dictionary: Values | undefined
  let dictionaryBytes = 0
  let pageBytes = 0

  let rows = 0
  let row = 0
  /** Of each row of the page: whether it has a value. */
  let defined: Uint8Array | undefined
  let indexes: Int32Array | undefined
  let found: Values = noValues
  /** Place of the next value. */
  let next = 0
  let slots = new Int32Array(0)

  /** Of lists: rows that are whole, and the one whose end is not seen yet. */
  let lists: (Float64Array | null)[] = []
  let open: { numbers: number[]; isHole: boolean } | undefined
  let taken: (Float64Array | null)[] = []

  const windowFrom = async (bytes: number): Promise<Uint8Array> => {
    const end = Math.min(chunk.end, position + bytes)
    if (position < windowAt || end > windowAt + window.length) {
      window = await read(position, Math.min(chunk.end, position + Math.max(bytes, windowBytes)))
      windowAt = position
    }
    return window.subarray(position - windowAt)
  }

  const readHeader = async (): Promise<PageHeader> => {
    let cause: unknown
    for (const bytesMax of headerBytes) {
      const view = (await windowFrom(bytesMax)).subarray(0, bytesMax)
      const reader = { view: new DataView(view.buffer, view.byteOffset, view.length), offset: 0 }
      try {
        const header = parquetHeader(reader)
        position += reader.offset
        return header
      } catch (error) {
        cause = error
      }
    }
    throw cause
  }

  const hold = (bytes: number): void => {
    held.bytes += bytes
    if (held.bytes > held.bytesMax) {
      damaged(
        `the pages of its columns take more than ${held.bytesMax} bytes at a time: name fewer columns, or raise pagesBytesMax`,
      )
    }
  }

  const body = async (header: PageHeader): Promise<Uint8Array> => {
    const { compressed_page_size: size, crc } = header
    const end = position + size
    if (!(size >= 0) || end > chunk.end) damaged('a page reaches beyond its column')
    const inWindow = position >= windowAt && end <= windowAt + window.length
    const bytes = inWindow ? window.subarray(position - windowAt, end - windowAt) : await read(position, end)
    position = end
    if (crc !== undefined && crc32(bytes) !== crc >>> 0) damaged('a page does not match its checksum')
    return bytes
  }

  const readDictionary = async (header: PageHeader): Promise<void> => {
    const { num_values: count = -1, encoding } = header.dictionary_page_header ?? {}
    if (count < 0) damaged('a dictionary has no header')
    held.bytes -= dictionaryBytes
    dictionaryBytes = costOf(header, count, 'PLAIN')
    hold(dictionaryBytes)
    if (encoding !== 'PLAIN' && encoding !== 'PLAIN_DICTIONARY') damaged(`a dictionary in the encoding ${encoding}`)
    const bytes = expand(await body(header), header.uncompressed_page_size, chunk.codec)
    dictionary = readValues(bytes, 0, bytes.length, count, 'PLAIN', leaf.shape, held.bytesMax)
  }

  const costOf = (header: PageHeader, count: number, encoding: Encoding): number => {
    if (!(count >= 0) || !(header.uncompressed_page_size >= 0)) damaged('a page says nonsense of its size')
    const levels = (leaf.definitionMax > 0 ? 1 : 0) + 9 * leaf.repetitionMax
    return header.uncompressed_page_size + decodedBytes(count, encoding, leaf.shape) + levels * count
  }

  /** Reads on to the next page with rows; false at the end of the chunk. */
  const nextPage = async (): Promise<boolean> => {
    for (;;) {
      if (position >= chunk.end) return false
      const header = await readHeader()
      const { data_page_header: v1, data_page_header_v2: v2 } = header
      if (header.type === 'DICTIONARY_PAGE') {
        await readDictionary(header)
        continue
      }
      if (header.type !== 'DATA_PAGE' && header.type !== 'DATA_PAGE_V2') {
        await body(header)
        continue
      }
      const data = header.type === 'DATA_PAGE' ? v1 : v2
      if (!data) return damaged('a page has no header')
      held.bytes -= pageBytes
      found = noValues
      pageBytes = costOf(header, data.num_values, data.encoding)
      hold(pageBytes)
      const page = v2 && header.type === 'DATA_PAGE_V2' ? await readV2(header, v2) : await readV1(header)
      readData(page, data.num_values, data.encoding)
      if (rows > 0 || lists.length > 0) return true
    }
  }

  interface RawPage {
    bytes: Uint8Array
    /** Where the values begin. */
    from: number
    repetitions: Uint8Array | undefined
    definitions: Uint8Array | undefined
  }
  const levelWidth = (max: number): number => 32 - Math.clz32(max)

  const readV1 = async (header: PageHeader): Promise<RawPage> => {
    const { num_values: count = 0 } = header.data_page_header ?? {}
    const bytes = expand(await body(header), header.uncompressed_page_size, chunk.codec)
    let from = 0
    const levels = (max: number, encoding: Encoding | undefined): Uint8Array | undefined => {
      if (max === 0) return undefined
      if (encoding !== 'RLE') damaged(`levels in the encoding ${encoding}, which is not read`)
      if (from + 4 > bytes.length) damaged('its levels end early')
      const end = from + 4 + new DataView(bytes.buffer, bytes.byteOffset + from, 4).getUint32(0, true)
      if (end > bytes.length) damaged('its levels end early')
      const out = new Uint8Array(count)
      readHybrid(bytes, from + 4, end, levelWidth(max), out)
      from = end
      return out
    }
    const repetitions = levels(leaf.repetitionMax, header.data_page_header?.repetition_level_encoding)
    const definitions = levels(leaf.definitionMax, header.data_page_header?.definition_level_encoding)
    return { bytes, from, repetitions, definitions }
  }

  const readV2 = async (header: PageHeader, v2: NonNullable<PageHeader['data_page_header_v2']>): Promise<RawPage> => {
    const raw = await body(header)
    const { repetition_levels_byte_length: forR, definition_levels_byte_length: forD } = v2
    const size = header.uncompressed_page_size - forR - forD
    if (!(forR >= 0 && forD >= 0 && forR + forD <= raw.length && size >= 0)) damaged('its levels end early')
    const levels = (max: number, from: number, end: number): Uint8Array | undefined => {
      if (max === 0) return undefined
      const out = new Uint8Array(v2.num_values)
      readHybrid(raw, from, end, levelWidth(max), out)
      return out
    }
    const repetitions = levels(leaf.repetitionMax, 0, forR)
    const definitions = levels(leaf.definitionMax, forR, forR + forD)
    const packed = raw.subarray(forR + forD)
    const bytes = v2.is_compressed === false ? packed : expand(packed, size, chunk.codec)
    return { bytes, from: 0, repetitions, definitions }
  }

  const readData = (page: RawPage, levels: number, encoding: Encoding): void => {
    const { bytes, definitions, repetitions } = page
    let count = levels
    if (definitions) for (let i = 0; i < levels; i++) if (definitions[i] !== leaf.definitionMax) count--
    if (encoding === 'PLAIN_DICTIONARY' || encoding === 'RLE_DICTIONARY') {
      if (!dictionary) throw new PageError('a page needs a dictionary that is not there')
      indexes = new Int32Array(count)
      if (count > 0) readHybrid(bytes, page.from + 1, bytes.length, bytes[page.from] as number, indexes)
      for (let i = 0; i < count; i++) {
        const index = indexes[i] as number
        if (index < 0 || index >= dictionary.count) damaged('a value is not in its dictionary')
      }
      found = dictionary
    } else {
      indexes = undefined
      found = readValues(bytes, page.from, bytes.length, count, encoding, leaf.shape, held.bytesMax)
    }
    next = 0
    if (repetitions) readLists(repetitions, definitions, levels)
    else {
      defined = count === levels ? undefined : definitions?.map(level => (level === leaf.definitionMax ? 1 : 0))
      rows = levels
    }
    row = 0
  }

  const readLists = (repetitions: Uint8Array, definitions: Uint8Array | undefined, levels: number): void => {
    const numberOf = leaf.logical?.number ?? (() => Number.NaN)
    let value = 0
    for (let i = 0; i < levels; i++) {
      if (repetitions[i] === 0) {
        closeList()
        open = { numbers: [], isHole: false }
      } else if (!open) damaged('a page begins within a list')
      const definition = definitions ? (definitions[i] as number) : leaf.definitionMax
      // One below the most: an element that is null. Less: no element, the list is empty or null.
      const list = open as { numbers: number[]; isHole: boolean }
      if (definition === leaf.definitionMax) {
        list.numbers.push(numberOf(found, indexes ? (indexes[value] as number) : value))
        value++
      } else if (definition === leaf.definitionMax - 1 && leaf.elementOptional) list.numbers.push(Number.NaN)
      else list.isHole = true
    }
    if (position >= chunk.end) closeList()
    rows = lists.length
  }
  const closeList = (): void => {
    if (open) lists.push(open.isHole ? null : Float64Array.from(open.numbers))
    open = undefined
  }

  return {
    async available() {
      if (row >= rows && !(await nextPage())) return 0
      return rows - row
    },
    take(count) {
      if (leaf.repetitionMax > 0) {
        taken = lists.slice(0, count)
        lists = lists.slice(count)
        row += count
        return
      }
      if (slots.length < count) slots = new Int32Array(count)
      for (let i = 0; i < count; i++) {
        if (defined && defined[row + i] === 0) slots[i] = -1
        else {
          slots[i] = indexes ? (indexes[next] as number) : next
          next++
        }
      }
      row += count
    },
    get slots() {
      return slots
    },
    values: () => found,
    curves: () => taken,
  }
}

const expand = (bytes: Uint8Array, size: number, codec: CompressionCodec): Uint8Array => {
  const out = expanders[codec]?.(bytes, size)
  if (!out) return damaged(`the compression ${codec}, which is not read`)
  if (out.length !== size) damaged('a page does not unpack to its size')
  return plainBytes(out)
}
/** zlib's are native; they stop at the size that the page has. */
const expanders: Partial<Record<CompressionCodec, (bytes: Uint8Array, size: number) => Uint8Array>> = {
  UNCOMPRESSED: bytes => bytes,
  SNAPPY: (bytes, size) => (size === 0 ? bytes.subarray(0, 0) : compressors.SNAPPY?.(bytes, size)) ?? bytes,
  GZIP: (bytes, size) => gunzipSync(bytes, { maxOutputLength: Math.max(1, size) }),
  BROTLI: (bytes, size) => brotliDecompressSync(bytes, { maxOutputLength: Math.max(1, size) }),
  ZSTD: (bytes, size) => decompressZstd(bytes, new Uint8Array(size)),
  ...(compressors.LZ4 && { LZ4: compressors.LZ4 }),
  ...(compressors.LZ4_RAW && { LZ4_RAW: compressors.LZ4_RAW }),
}
