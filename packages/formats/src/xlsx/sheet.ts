/**
 * The rows of a sheet out of its XML, a row at a time:
 *
 *     <sheetData><row r="2"><c r="A2" s="1"><v>45292.5</v></c><c r="B2" t="s"><v>7</v></c></row>…</sheetData>
 *
 * Cells are kept as ranges of bytes and numbers, not as objects. What stands around the rows is passed over.
 */
import { FileProblem } from '../disk.ts'
import { readNumber } from '../number.ts'
import { prefixOf, textOfRuns } from './workbook.ts'
import { plainText } from './xml.ts'

export const EMPTY = 0
export const NUMBER = 1
/** A place in the shared texts. */
export const SHARED = 2
export const TEXT = 3
export const BOOL = 4
/** #DIV/0! and the like, and a formula without a value. */
export const ERROR = 5
/** ISO 8601. */
export const DATE = 6
export type CellKind = 0 | 1 | 2 | 3 | 4 | 5 | 6

/** A row of cells by column; those behind `count` are old. */
export interface SheetRow {
  /** From 1. */
  number: number
  /** Columns up to the last cell. */
  count: number
  kinds: Uint8Array
  /** Of NUMBER its value, of SHARED its place, of BOOL 0 or 1. */
  values: Float64Array
  styles: Int32Array
  /** Of NUMBER as it stands in the file; of TEXT, ERROR and DATE. */
  texts: (string | undefined)[]
  /** The row's own bytes, and of NUMBER its digits in them. */
  bytes: Buffer
  starts: Int32Array
  ends: Int32Array
}

/** Columns of a sheet (XFD). */
const columnsMax = 16_384
export const rowBytesMax = 4 * 1024 * 1024

const LT = 60
const GT = 62
const SLASH = 47

/** Rows in the order of the sheet; rows without cells are left out. The row given is used again for the next. */
export async function* sheetRows(pieces: AsyncIterable<Buffer>): AsyncGenerator<SheetRow, void> {
  const row: SheetRow = {
    number: 0,
    count: 0,
    kinds: new Uint8Array(64),
    values: new Float64Array(64),
    styles: new Int32Array(64),
    texts: [],
    bytes: Buffer.alloc(0),
    starts: new Int32Array(64),
    ends: new Int32Array(64),
  }
  let held: Buffer = Buffer.alloc(0)
  let prefix: string | undefined
  let state: 'before' | 'in' | 'after' = 'before'
  let readRow = (_from: number, _end: number): void => {}
  for await (const piece of pieces) {
    // Behind the rows, the pieces are taken for their checksum alone.
    if (state === 'after') continue
    held = held.length === 0 ? piece : Buffer.concat([held, piece])
    let p = 0
    if (state === 'before') {
      prefix ??= prefixOf(held, 'worksheet')
      const start = held.indexOf(`<${prefix}sheetData`)
      const end = start < 0 ? -1 : held.indexOf(GT, start)
      if (end < 0) {
        if (held.length > rowBytesMax) throw new FileProblem('the bytes cannot be read: the sheet has no data')
        continue
      }
      state = held[end - 1] === SLASH ? 'after' : 'in'
      p = end + 1
      readRow = rowReader(row, prefix)
    }
    const tags = [`<${prefix}row`, `</${prefix}row`, `</${prefix}sheetData`] as const
    while (state === 'in') {
      const next = nextRow(held, p, tags)
      if (next === undefined) break
      p = next.end
      if (next.isLast) state = 'after'
      else if (next.from < next.inner) {
        row.bytes = held
        readRow(next.from, next.inner)
        if (row.count > 0) yield row
      } else row.number = rowNumber(held, next.from, next.inner, row.number)
    }
    held = held.subarray(p)
    if (held.length > rowBytesMax) {
      throw new FileProblem(`the row behind row ${row.number} of the sheet takes more than ${rowBytesMax} bytes`)
    }
  }
  if (state !== 'after') throw new FileProblem('the bytes cannot be read: the sheet ends within its data')
}

interface NextRow {
  /** From its opening tag to before its closing one; of a row without cells, both ends of the tag. */
  from: number
  inner: number
  end: number
  isLast: boolean
}
/** The next row that is whole in the bytes at p. */
const nextRow = (
  held: Buffer,
  p: number,
  [open, close, last]: readonly [string, string, string],
): NextRow | undefined => {
  for (let q = held.indexOf(LT, p); q >= 0; q = held.indexOf(LT, q + 1)) {
    if (held.length < q + last.length) return undefined
    if (startsWith(held, q, last)) return { from: q, inner: q, end: q, isLast: true }
    if (!startsWith(held, q, open)) continue
    const tagEnd = held.indexOf(GT, q)
    if (tagEnd < 0) return undefined
    if (held[tagEnd - 1] === SLASH) return { from: q, inner: q, end: tagEnd + 1, isLast: false }
    const inner = held.indexOf(close, tagEnd)
    const end = inner < 0 ? -1 : held.indexOf(GT, inner)
    return end < 0 ? undefined : { from: q, inner, end: end + 1, isLast: false }
  }
  return undefined
}

const startsWith = (bytes: Buffer, p: number, text: string): boolean => {
  for (let i = 0; i < text.length; i++) if (bytes[p + i] !== text.charCodeAt(i)) return false
  return true
}

const rowNumber = (bytes: Buffer, from: number, end: number, before: number): number => {
  const tagEnd = bytes.indexOf(GT, from)
  const tag = bytes.toString('latin1', from, tagEnd < 0 ? end : tagEnd)
  const number = Number(/\sr\s*=\s*["'](\d{1,7})["']/.exec(tag)?.[1])
  return number > 0 ? number : before + 1
}

/** Reads the row at bytes[from, end) of `row.bytes` into `row`. */
const rowReader = (row: SheetRow, prefix: string) => {
  const skip = prefix.length
  let reference = 0
  let style = 0
  let type = ''
  let valueStart = 0
  let valueEnd = 0
  let inline = ''
  let hasFormula = false

  /** Attributes of the cell's tag at bytes[p, …): returns the position of its ">". */
  const readTag = (bytes: Buffer, from: number, end: number): number => {
    reference = -1
    style = 0
    type = ''
    let p = from
    while (p < end && bytes[p] !== GT) {
      const c = bytes[p] as number
      const quote = bytes[p + 2] as number
      // An attribute of one letter: r="B2" s="1" t="s"; others have more, and are passed over.
      const isOwn = bytes[p + 1] === 61 && (quote === 34 || quote === 39) && isBlank(bytes[p - 1] as number)
      if (isOwn && (c === 114 || c === 115 || c === 116)) {
        const close = bytes.indexOf(quote, p + 3)
        if (close < 0 || close > end) return end
        if (c === 114) reference = columnOf(bytes, p + 3, close)
        else if (c === 115) style = digits(bytes, p + 3, close)
        else type = bytes.toString('latin1', p + 3, close)
        p = close
      } else if (c === 34 || c === 39) {
        const close = bytes.indexOf(c, p + 1)
        if (close < 0 || close > end) return end
        p = close
      }
      p++
    }
    return p
  }
  /** What stands in the cell behind its tag at p: returns the position behind its closing tag. */
  const readInner = (bytes: Buffer, from: number, end: number): number => {
    valueStart = -1
    inline = ''
    hasFormula = false
    let p = from
    for (;;) {
      const open = bytes.indexOf(LT, p)
      if (open < 0 || open >= end) return end
      const isClose = bytes[open + 1] === SLASH
      const at = open + 1 + (isClose ? 1 : 0) + skip
      const c = bytes[at] as number
      const tagEnd = bytes.indexOf(GT, at)
      if (tagEnd < 0 || tagEnd >= end) return end
      p = tagEnd + 1
      if (isClose) {
        if (c === 99 && tagEnd === at + 1) return p
      } else if (c === 118 && bytes[tagEnd - 1] !== SLASH) {
        valueStart = p
        const close = bytes.indexOf(LT, p)
        valueEnd = close < 0 || close > end ? end : close
        // CDATA: up to the closing tag.
        if (bytes[valueEnd + 1] === 33) valueEnd = Math.min(end, Math.max(p, bytes.indexOf(`</${prefix}v`, p)))
        p = valueEnd
      } else if (c === 102) hasFormula = true
      else if (c === 105 && bytes[at + 1] === 115 && bytes[tagEnd - 1] !== SLASH) {
        const close = bytes.indexOf(`</${prefix}is`, p)
        if (close < 0 || close >= end) return end
        inline = textOfRuns(bytes.toString('utf8', p, close), prefix)
        p = close
      }
    }
  }
  const setCell = (column: number, bytes: Buffer): void => {
    if (row.kinds.length <= column) growRow(row, column)
    row.kinds.fill(EMPTY, row.count, column)
    row.count = column + 1
    row.styles[column] = style
    row.texts[column] = undefined
    row.kinds[column] = kindOf(column, bytes)
  }
  const kindOf = (column: number, bytes: Buffer): CellKind => {
    if (type === 'inlineStr') {
      row.texts[column] = inline
      return inline === '' ? EMPTY : TEXT
    }
    if (valueStart < 0 || valueEnd <= valueStart) {
      if (!hasFormula) return EMPTY
      row.texts[column] = '#formula'
      return ERROR
    }
    if (type === '' || type === 'n' || type === 's' || type === 'b') {
      const value = readNumber(bytes, valueStart, valueEnd, 46)
      row.values[column] = value
      row.starts[column] = valueStart
      row.ends[column] = valueEnd
      if (Number.isNaN(value)) {
        row.texts[column] = bytes.toString('utf8', valueStart, valueEnd)
        return TEXT
      }
      return type === 's' ? SHARED : type === 'b' ? BOOL : NUMBER
    }
    row.texts[column] = plainText(bytes.toString('utf8', valueStart, valueEnd))
    return type === 'e' ? ERROR : type === 'd' ? DATE : TEXT
  }

  return (from: number, end: number): void => {
    const { bytes } = row
    row.number = rowNumber(bytes, from, end, row.number)
    row.count = 0
    let p = bytes.indexOf(GT, from) + 1
    while (p < end) {
      const open = bytes.indexOf(LT, p)
      if (open < 0 || open >= end) return
      const at = open + 1 + skip
      const after = bytes[at + 1] as number
      if (bytes[at] !== 99 || !(isBlank(after) || after === GT || after === SLASH)) {
        p = open + 1
        continue
      }
      const tagEnd = readTag(bytes, at + 1, end)
      valueStart = -1
      inline = ''
      hasFormula = false
      p = bytes[tagEnd - 1] === SLASH ? tagEnd + 1 : readInner(bytes, tagEnd + 1, end)
      // Cells stand in order; one that does not is left where its place is free.
      const column = reference >= 0 ? reference : row.count
      if (column >= row.count && column < columnsMax) setCell(column, bytes)
    }
  }
}

const isBlank = (c: number): boolean => c === 32 || c === 9 || c === 10 || c === 13

/** `AB12` → 27; −1 where it is none. */
const columnOf = (bytes: Buffer, from: number, end: number): number => {
  let column = 0
  for (let p = from; p < end; p++) {
    const letter = (bytes[p] as number) - 64
    if (letter < 1 || letter > 26) return column - 1
    column = column * 26 + letter
    if (column > columnsMax) return -1
  }
  return -1
}
const digits = (bytes: Buffer, from: number, end: number): number => {
  let value = 0
  for (let p = from; p < end && value < 1e6; p++) value = value * 10 + ((bytes[p] as number) - 48)
  return value
}

const growRow = (row: SheetRow, column: number): void => {
  const length = Math.min(columnsMax, 2 * (column + 1))
  const grown = <T extends Uint8Array | Float64Array | Int32Array>(from: T, to: T): T => {
    to.set(from)
    return to
  }
  row.kinds = grown(row.kinds, new Uint8Array(length))
  row.values = grown(row.values, new Float64Array(length))
  row.styles = grown(row.styles, new Int32Array(length))
  row.starts = grown(row.starts, new Int32Array(length))
  row.ends = grown(row.ends, new Int32Array(length))
}

/** `A`, …, `AB`: as people name a column. */
export const columnLetters = (column: number): string => {
  let letters = ''
  for (let n = column + 1; n > 0; n = Math.floor((n - 1) / 26))
    letters = String.fromCharCode(65 + ((n - 1) % 26)) + letters
  return letters
}
