/**
 * The short way through rows of delimited text: one pass from bytes to typed arrays, no object and no string a row. A
 * row that holds anything but plain cells is left to the long way: nothing of it is kept here.
 */
import type { Cells } from './cells.ts'
import { POW10 } from './number.ts'
import type { RowReader } from './row.ts'
import type { RowPlace } from './series.ts'

export interface FastRows {
  rows: number
  /** Position behind the last row that was read; where the next row needs the long way, its start. */
  end: number
  /** The last row ended with the CR that ends the bytes. */
  skipLf: boolean
}

export interface FastReader {
  /** Reads rows from `p`; bytes[limit − 1] is a line end. `line` lines and `offset` bytes of the file come before bytes[0]. */
  read(cells: Cells, p: number, limit: number, line: number, offset: number, atNs: bigint | undefined): FastRows
}

const LF = 10
const CR = 13
const exactMax = Number.MAX_SAFE_INTEGER

/** @returns undefined where the columns do not allow of the short way: one field serves as a number and as something else */
export const createFastReader = (
  rows: RowReader,
  delimiter: number,
  quote: number,
  commentFirst: number,
  width: number | undefined,
  recordBytesMax: number,
): FastReader | undefined => {
  const { numbers, numberFields, cellsMin, otherFields } = rows
  const slots = new Int32Array(Math.max(1, ...numberFields.map(n => n.field + 1))).fill(-1)
  for (const [slot, n] of numberFields.entries()) {
    if (slots[n.field] !== -1 || otherFields.includes(n.field)) return undefined
    slots[n.field] = slot
  }
  const known = slots.length
  const isInt = Uint8Array.from(numberFields, n => (n.int ? 1 : 0))
  const decimals = Uint8Array.from(numberFields, n => n.decimal)
  const emptyIsHole = Uint8Array.from(numberFields, n => (n.emptyIsNull && !n.required ? 1 : 0))
  const time = rows.timeCell([delimiter, quote])
  const timeField = time?.field ?? -1
  const timeWidth = time?.width ?? 0
  const widthMax = width ?? 0x7fffffff
  const place: RowPlace = { firstLine: 0, lastLine: 0, firstByte: 0, lastByte: 0 }
  const result: FastRows = { rows: 0, end: 0, skipLf: false }

  const fixed = {
    delimiter,
    quote,
    timeField,
    timeWidth,
    known,
    slots,
    isInt,
    decimals,
    emptyIsHole,
    numbers,
    cellsMin,
    widthMax,
    recordBytesMax,
  }

  const read: FastReader['read'] = (cells, from, limit, line, offset, atNs) => {
    // Locals, not the closure's variables: the loop keeps them in registers.
    const { bytes, starts, ends } = cells
    const {
      delimiter,
      quote,
      timeField,
      timeWidth,
      known,
      slots,
      isInt,
      decimals,
      emptyIsHole,
      numbers,
      cellsMin,
      widthMax,
      recordBytesMax,
    } = fixed
    let p = from
    let count = 0
    let rowStart = p
    result.skipLf = false
    rowLoop: while (p < limit) {
      rowStart = p
      let c = bytes[p] as number
      if (c <= 32 || c === commentFirst) break
      let field = 0
      for (;;) {
        const slot = field < known ? (slots[field] as number) : -1
        if (slot >= 0) {
          c = bytes[p] as number
          const negative = c === 45
          if (negative || c === 43) c = bytes[++p] as number
          const digitsFrom = p
          // Up to nine digits fit 32 bits, in which adding a digit is far quicker than in a double.
          let whole = 0
          let d = c ^ 48
          while (d <= 9) {
            whole = (Math.imul(whole, 10) + d) | 0
            c = bytes[++p] as number
            d = c ^ 48
          }
          let value: number = whole
          let exponent = 0
          let digits = p - digitsFrom
          if (c === decimals[slot]) {
            if (isInt[slot] === 1) break rowLoop
            const fractionFrom = p + 1
            let fraction = 0
            c = bytes[++p] as number
            d = c ^ 48
            while (d <= 9) {
              fraction = (Math.imul(fraction, 10) + d) | 0
              c = bytes[++p] as number
              d = c ^ 48
            }
            exponent = fractionFrom - p
            if (exponent < -22) break rowLoop
            if (digits - exponent === 0) break rowLoop
            value = whole * (POW10[-exponent] as number) + fraction
            if (digits <= 9) digits = -exponent
          }
          if (digits > 9) {
            value = 0
            for (let q = digitsFrom; q < p; q++) {
              const digit = (bytes[q] as number) ^ 48
              if (digit <= 9) value = value * 10 + digit
            }
          } else if (p === digitsFrom) {
            const signed = negative || (p > from && bytes[p - 1] === 43)
            if (signed || emptyIsHole[slot] === 0) break rowLoop
            value = Number.NaN
          }
          if (value > exactMax) break rowLoop
          if ((c | 32) === 101) {
            if (isInt[slot] === 1) break rowLoop
            c = bytes[++p] as number
            const down = c === 45
            if (down || c === 43) c = bytes[++p] as number
            const exponentFrom = p
            let e = 0
            d = c ^ 48
            while (d <= 9) {
              e = (Math.imul(e, 10) + d) | 0
              c = bytes[++p] as number
              d = c ^ 48
            }
            if (p === exponentFrom || p - exponentFrom > 4) break rowLoop
            exponent += down ? -e : e
          }
          if (c !== delimiter && c !== LF && c !== CR) break rowLoop
          if (exponent < 0) {
            if (exponent < -22) break rowLoop
            value /= POW10[-exponent] as number
          } else if (exponent > 0) {
            if (exponent > 22) break rowLoop
            value *= POW10[exponent] as number
          }
          numbers[slot] = negative ? -value : value
        } else {
          c = bytes[p] as number
          if (c === quote || field >= starts.length) break rowLoop
          starts[field] = p
          if (field === timeField && p + timeWidth < limit) {
            // A time of its usual length is not searched for its end; whether it is one, `finish` finds out.
            const behind = bytes[p + timeWidth] as number
            if (behind === delimiter || behind === LF || behind === CR) {
              p += timeWidth
              c = behind
            }
          }
          while (c !== delimiter && c !== LF && c !== CR) c = bytes[++p] as number
          ends[field] = p
        }
        field++
        if (c !== delimiter) break
        p++
      }
      if (field < cellsMin || p - rowStart > recordBytesMax) break
      // Cells behind the last column must be empty.
      while (field > widthMax && starts[field - 1] === ends[field - 1]) field--
      if (field > widthMax) break
      cells.count = field
      place.firstLine = place.lastLine = line + count + 1
      place.firstByte = offset + rowStart
      place.lastByte = offset + p
      if (rows.finish(cells, place, atNs) !== undefined) break
      count++
      p++
      if (c === CR) {
        if (p === bytes.length) result.skipLf = true
        else if (bytes[p] === LF) p++
      }
      rowStart = p
    }
    result.rows = count
    result.end = rowStart
    return result
  }
  return { read }
}
