/**
 * Rows out of values, for formats whose records are no text: plain numbers are handed to the row reader as they are, the
 * rest as the text that a delimited file would hold.
 */
import { type Cells, createCells, growCells, pointCells } from './cells.ts'
import type { RowReader } from './row.ts'
import type { RowPlace } from './series.ts'

/** A value of a record; null and undefined are holes. Lists and objects become their JSON. */
export type Value = unknown

export interface RecordReader {
  /** Appends the row, or says why it is refused. */
  read(values: readonly Value[], place: RowPlace, atNs: bigint | undefined): string | undefined
}

/** The row reader must count an empty text as a hole. @param width fields of a record */
export const createRecordReader = (rows: RowReader, width: number): RecordReader => {
  const { numbers, numberFields, otherFields } = rows
  const writer = createCellWriter(width)
  const { cells } = writer
  // A hole that is allowed is plain.
  const holeIsPlain = numberFields.map(n => !n.required && !n.sentinelTexts.has(''))

  /** Whether all numbers of the record are plain: then `numbers` holds them. */
  const isPlain = (values: readonly Value[]): boolean => {
    for (let k = 0; k < numberFields.length; k++) {
      const { field, int } = numberFields[k] as (typeof numberFields)[number]
      const value = values[field]
      if (typeof value === 'number' && (int ? Number.isSafeInteger(value) : Number.isFinite(value))) numbers[k] = value
      else if ((value === null || value === undefined) && holeIsPlain[k]) numbers[k] = Number.NaN
      else return false
    }
    return true
  }

  const read: RecordReader['read'] = (values, place, atNs) => {
    writer.begin()
    const plain = isPlain(values)
    if (!plain) {
      for (const { field, decimal } of numberFields) {
        const value = values[field]
        writer.write(field, typeof value === 'number' ? withMark(String(value), decimal) : textOfValue(value))
      }
    }
    for (const field of otherFields) writer.write(field, textOfValue(values[field]))
    writer.end()
    return (plain ? undefined : rows.readNumbers(cells)) ?? rows.finish(cells, place, atNs)
  }
  return { read }
}

/** A number's digits as they are read in a column with that decimal mark (its byte). */
export const withMark = (text: string, decimal: number | undefined): string =>
  decimal === 44 ? text.replace('.', ',') : text

const textOfValue = (value: Value): string => {
  if (typeof value === 'string') return value
  if (value === null || value === undefined) return ''
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

export interface CellWriter {
  readonly cells: Cells
  begin(): void
  write(field: number, text: string): void
  writeBytes(field: number, bytes: Uint8Array, start: number, end: number): void
  /** Bytes written since `begin`. */
  written(): number
  /** To be called before the cells are read. */
  end(): void
}

/** Cells of one record at a time, as UTF-8 in memory that is used again for the next. */
export const createCellWriter = (width: number): CellWriter => {
  const cells = createCells('utf-8')
  while (cells.starts.length < width) growCells(cells)
  cells.count = width
  let scratch = Buffer.alloc(16 * 1024)
  // The same memory as plain bytes: a slice of a Buffer is no copy.
  let bytesOfScratch = new Uint8Array(scratch.buffer, scratch.byteOffset, scratch.length)
  let at = 0
  const room = (bytes: number): void => {
    if (at + bytes <= scratch.length) return
    const larger = Buffer.alloc(2 * (at + bytes))
    scratch.copy(larger, 0, 0, at)
    scratch = larger
    bytesOfScratch = new Uint8Array(scratch.buffer, scratch.byteOffset, scratch.length)
  }
  // Most texts are short and ASCII: a loop over them is quicker than a call into the runtime.
  const shortCharsMax = 48
  const write: CellWriter['write'] = (field, text) => {
    const n = text.length
    room(3 * n)
    cells.starts[field] = at
    let i = 0
    if (n <= shortCharsMax) {
      for (; i < n; i++) {
        const c = text.charCodeAt(i)
        if (c > 127) break
        scratch[at + i] = c
      }
    }
    at += i === n ? n : scratch.write(text, at)
    cells.ends[field] = at
  }
  const writeBytes: CellWriter['writeBytes'] = (field, bytes, start, end) => {
    room(end - start)
    cells.starts[field] = at
    if (end - start > shortCharsMax) scratch.set(bytes.subarray(start, end), at)
    else for (let p = start, q = at; p < end; p++, q++) scratch[q] = bytes[p] as number
    at += end - start
    cells.ends[field] = at
  }
  const begin = (): void => {
    at = 0
    cells.starts.fill(0, 0, width)
    cells.ends.fill(0, 0, width)
  }
  return { cells, begin, write, writeBytes, written: () => at, end: () => pointCells(cells, bytesOfScratch) }
}
