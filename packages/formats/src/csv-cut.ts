/** Cuts one record of delimited text into cells; RFC 4180 quotes, with line ends inside of quotes. */
import { addCell, type Cells, pointCells } from './cells.ts'

export interface Cut {
  /** Position of the line end, −1 where the bytes end before it. */
  end: number
  /** The bytes end within quotes. */
  openQuote: boolean
  /** Line ends inside of quotes. */
  innerLines: number
}
export interface Cutter {
  /** Cuts the record that begins at `p`. The result is valid until the next call. */
  cut(cells: Cells, bytes: Uint8Array, p: number, isLead: ((c: number) => boolean) | undefined): Cut
}

const LF = 10
const CR = 13

/** @param quote byte of the quote character, −1 for none */
export const createCutter = (delimiter: number, quote: number): Cutter => {
  const result: Cut = { end: -1, openQuote: false, innerLines: 0 }
  let unquoted = new Uint8Array(1024)
  let filled = 0
  const put = (c: number): void => {
    if (filled === unquoted.length) {
      const larger = new Uint8Array(unquoted.length * 2)
      larger.set(unquoted)
      unquoted = larger
    }
    unquoted[filled++] = c
  }

  const cut: Cutter['cut'] = (cells, bytes, p, isLead) => {
    pointCells(cells, bytes)
    cells.count = 0
    result.end = -1
    result.openQuote = false
    result.innerLines = 0
    const n = bytes.length
    let i = p
    for (;;) {
      if (i < n && bytes[i] === quote) return cutQuoted(cells, bytes, p, isLead)
      const start = i
      i = plainEnd(bytes, i, isLead)
      addCell(cells, start, i)
      if (i >= n) return result
      if (bytes[i] !== delimiter) {
        result.end = i
        return result
      }
      i++
    }
  }

  /** Where a cell without quotes ends. The second byte of a two-byte character is no delimiter, whatever it looks like. */
  const plainEnd = (bytes: Uint8Array, from: number, isLead: ((c: number) => boolean) | undefined): number => {
    const n = bytes.length
    let i = from
    while (i < n) {
      const c = bytes[i] as number
      if (c === delimiter || c === LF || c === CR) return i
      i += isLead?.(c) && i + 1 < n && (bytes[i + 1] as number) >= 0x30 ? 2 : 1
    }
    return n
  }

  /** The record again from its start, its cells copied without their quotes. */
  const cutQuoted = (cells: Cells, bytes: Uint8Array, p: number, isLead: ((c: number) => boolean) | undefined): Cut => {
    const n = bytes.length
    cells.count = 0
    filled = 0
    let i = p
    for (;;) {
      const start = filled
      if (i < n && bytes[i] === quote) {
        i = copyQuoted(bytes, i + 1, isLead)
        if (result.openQuote) return result
      }
      const end = plainEnd(bytes, i, isLead)
      while (i < end) put(bytes[i++] as number)
      addCell(cells, start, filled)
      if (i >= n || bytes[i] !== delimiter) {
        result.end = i >= n ? -1 : i
        pointCells(cells, unquoted)
        return result
      }
      i++
    }
  }

  const copyQuoted = (bytes: Uint8Array, from: number, isLead: ((c: number) => boolean) | undefined): number => {
    const n = bytes.length
    let i = from
    while (i < n) {
      const c = bytes[i] as number
      if (c === quote) {
        if (i + 1 >= n || bytes[i + 1] !== quote) return i + 1
        i++
      } else if (c === CR || (c === LF && bytes[i - 1] !== CR)) result.innerLines++
      else if (isLead?.(c) && i + 1 < n && (bytes[i + 1] as number) >= 0x30) put(bytes[i++] as number)
      put(bytes[i++] as number)
    }
    result.openQuote = true
    return n
  }
  return { cut }
}
