/** One record cut into cells: ranges of bytes, not strings. */
import type { TextDecoder as Decoder } from 'node:util'
import { createTextDecoder } from './input.ts'
export interface Cells {
  bytes: Uint8Array
  /** The same memory, for its text methods and for reading four bytes at once. */
  view: Buffer
  data: DataView
  starts: Int32Array
  ends: Int32Array
  count: number
  /** Where `trimCell` left its result. */
  from: number
  to: number
  readonly decoder: Decoder
}

export const createCells = (encoding: string): Cells => ({
  bytes: new Uint8Array(0),
  view: Buffer.alloc(0),
  data: new DataView(new ArrayBuffer(0)),
  starts: new Int32Array(64),
  ends: new Int32Array(64),
  count: 0,
  from: 0,
  to: 0,
  decoder: createTextDecoder(encoding),
})

export const pointCells = (cells: Cells, bytes: Uint8Array): void => {
  if (cells.bytes === bytes) return
  cells.bytes = bytes
  cells.view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  cells.data = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

export const addCell = (cells: Cells, start: number, end: number): void => {
  if (cells.count === cells.starts.length) growCells(cells)
  cells.starts[cells.count] = start
  cells.ends[cells.count] = end
  cells.count++
}
export const growCells = (cells: Cells): void => {
  const larger = (from: Int32Array): Int32Array<ArrayBuffer> => {
    const to = new Int32Array(from.length * 2)
    to.set(from)
    return to
  }
  cells.starts = larger(cells.starts)
  cells.ends = larger(cells.ends)
}

/** Bytes as text; what the encoding does not know becomes U+FFFD. */
export const textOf = (cells: Cells, start: number, end: number): string => {
  for (let i = start; i < end; i++) {
    if ((cells.bytes[i] as number) > 127) return cells.decoder.decode(cells.bytes.subarray(start, end))
  }
  return cells.view.toString('latin1', start, end)
}

/** Cells made of strings, as UTF-8: for formats that do not find their cells in the bytes themselves. `null` is no cell. */
export const setTexts = (cells: Cells, texts: readonly (string | null | undefined)[]): void => {
  const joined = Buffer.from(texts.map(t => t ?? '').join(''), 'utf8')
  pointCells(cells, new Uint8Array(joined.buffer, joined.byteOffset, joined.length))
  cells.count = 0
  let p = 0
  for (const text of texts) {
    const length = text ? Buffer.byteLength(text, 'utf8') : 0
    addCell(cells, p, p + length)
    p += length
  }
}

export const isBlank = (c: number | undefined): boolean => c === 32 || c === 9
/** Where the cell that begins at `from` ends: at the next delimiter, or at `to`. */
export const cellEnd = (bytes: Uint8Array, from: number, to: number, delimiter: number): number => {
  let p = from
  while (p < to && bytes[p] !== delimiter) p++
  return p
}

/** Sets `from` and `to` to a cell without the blanks around it. */
export const trimCell = (cells: Cells, field: number): void => {
  let from = cells.starts[field] as number
  let to = cells.ends[field] as number
  while (from < to && isBlank(cells.bytes[from] as number)) from++
  while (to > from && isBlank(cells.bytes[to - 1] as number)) to--
  cells.from = from
  cells.to = to
}
