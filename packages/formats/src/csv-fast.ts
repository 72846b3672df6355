/**
 * The short way through rows of delimited text: one pass from bytes to typed arrays, no object and no string a row. A
 * row that holds anything but plain cells is left to the long way: nothing of it is kept here.
 *
 * Where a row is nothing but a time and numbers of one series, its numbers go straight into the series' columns; else
 * they wait in `rows.numbers` until `rows.finish` has looked at the other cells.
 */
import type { Cells } from './cells.ts'
import { PLAIN_EMPTY, PLAIN_INT, readOddNumber } from './csv-number.ts'
import { POW10 } from './number.ts'
import type { PlainSeries, RowReader } from './row.ts'
import { type RowPlace, spanMsMax } from './series.ts'
import { inRange, LOCAL_TIME, NO_TIME } from './time-layout.ts'

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
  const fields = Math.max(1, ...numberFields.map(n => n.field + 1))
  const slots = new Int32Array(fields).fill(-1)
  for (const [slot, n] of numberFields.entries()) {
    if (slots[n.field] !== -1 || otherFields.includes(n.field)) return undefined
    slots[n.field] = slot
  }
  const decimals = Uint8Array.from(numberFields, n => n.decimal)
  const flags = Uint8Array.from(
    numberFields,
    n => (n.int ? PLAIN_INT : 0) | (n.emptyIsNull && !n.required ? PLAIN_EMPTY : 0),
  )
  const time = rows.timeCell([delimiter, quote])
  const timeField = time?.field ?? -1
  const timeWidth = time?.width ?? 0
  const widthMax = width ?? 0x7fffffff
  const place: RowPlace = { firstLine: 0, lastLine: 0, firstByte: 0, lastByte: 0 }
  const result: FastRows = { rows: 0, end: 0, skipLf: false }
  const at = new Float64Array(2)

  const fixed = { delimiter, quote, fields, slots, decimals, flags }

  /** One row's cells: the numbers into target[first + slot · stride], the places of the others into `cells`. Returns its end or −1. */
  const readCells = (
    cells: Cells,
    from: number,
    limit: number,
    target: Float64Array,
    first: number,
    stride: number,
  ): number => {
    const { bytes, data, starts, ends } = cells
    const { delimiter, quote, fields, slots, decimals, flags } = fixed
    let p = from
    let field = 0
    for (;;) {
      const slot = field < fields ? (slots[field] as number) : -1
      if (slot >= 0) {
        const numberFrom = p
        const decimal = decimals[slot] as number
        let c = bytes[p] as number
        const negative = c === 45
        if (negative) c = bytes[++p] as number
        const digitsFrom = p
        let whole = 0
        let d = c ^ 48
        while (d <= 9) {
          whole = (Math.imul(whole, 10) + d) | 0
          c = bytes[++p] as number
          d = c ^ 48
        }
        let digits = p - digitsFrom
        let value: number = whole
        if (c === decimal) {
          const fractionFrom = ++p
          let fraction = 0
          // Four digits at once, as the four bytes of a word: their pairs, then the pair of pairs.
          while (p + 4 <= bytes.length) {
            const word = data.getInt32(p, true)
            if ((word & 0xf0f0f0f0) !== 0x30303030 || ((word + 0x06060606) & 0xf0f0f0f0) !== 0x30303030) break
            const ones = word & 0x0f0f0f0f
            const pairs = Math.imul(ones, 10) + (ones >>> 8)
            fraction = (Math.imul(fraction, 10_000) + (pairs & 0xff) * 100 + ((pairs >>> 16) & 0xff)) | 0
            p += 4
          }
          c = bytes[p] as number
          d = c ^ 48
          while (d <= 9) {
            fraction = (Math.imul(fraction, 10) + d) | 0
            c = bytes[++p] as number
            d = c ^ 48
          }
          const places = p - fractionFrom
          if (places > 9 || ((flags[slot] as number) & PLAIN_INT) !== 0) digits = 0
          else {
            const scale = POW10[places] as number
            value = whole * scale + fraction
            if (value > exactMax) digits = 0
            value /= scale
          }
        }
        if (digits === 0 || digits > 9 || (c !== delimiter && c !== LF && c !== CR)) {
          p = readOddNumber(bytes, numberFrom, target, first + slot * stride, delimiter, decimal, flags[slot] as number)
          if (p < 0) return -1
        } else target[first + slot * stride] = negative ? -value : value
      } else {
        if (bytes[p] === quote || field >= starts.length) return -1
        starts[field] = p
        p = cellEnd(bytes, p, limit, field)
        ends[field] = p
      }
      field++
      if (bytes[p] !== delimiter) break
      p++
    }
    // Cells behind the last column must be empty.
    while (field > widthMax && starts[field - 1] === ends[field - 1]) field--
    cells.count = field
    return field < cellsMin || field > widthMax || p - from > recordBytesMax ? -1 : p
  }

  const cellEnd = (bytes: Uint8Array, from: number, limit: number, field: number): number => {
    let p = from
    if (field === timeField && p + timeWidth < limit) {
      // A time of its usual length is not searched for its end; whether it is one, its reader finds out.
      const behind = bytes[p + timeWidth] as number
      if (behind === delimiter || behind === LF || behind === CR) return p + timeWidth
    }
    let c = bytes[p] as number
    while (c !== delimiter && c !== LF && c !== CR) c = bytes[++p] as number
    return p
  }

  const startsPlainly = (c: number): boolean => c > 32 && c !== commentFirst

  /** Position behind the line end at `end`. */
  const behindLine = (bytes: Uint8Array, end: number): number => {
    const p = end + 1
    if (bytes[end] !== CR) return p
    if (p === bytes.length) result.skipLf = true
    return bytes[p] === LF ? p + 1 : p
  }

  const readRows: FastReader['read'] = (cells, from, limit, line, offset, atNs) => {
    const { bytes } = cells
    let p = from
    let count = 0
    while (p < limit && startsPlainly(bytes[p] as number)) {
      const end = readCells(cells, p, limit, numbers, 0, 1)
      if (end < 0) break
      place.firstLine = line + count + 1
      place.lastLine = place.firstLine
      place.firstByte = offset + p
      place.lastByte = offset + end
      if (rows.finish(cells, place, atNs) !== undefined) break
      count++
      p = behindLine(bytes, end)
    }
    result.rows = count
    result.end = p
    return result
  }

  /** Rows of a time and numbers only, into the one series that they belong to. */
  const readSeries = (
    { series, clock, readTime, timeReader, timeField: clockField }: PlainSeries,
    cells: Cells,
    from: number,
    limit: number,
    line: number,
    offset: number,
  ): FastRows => {
    const { bytes, starts, ends } = cells
    const low = clock.low
    const high = clock.high
    const shift = clock.offset
    const rowsMax = rows.sink.prepare(series)
    const { offsets, numbers: table, capacity } = series
    let row = series.rows
    let startMs = series.startMs
    let startNs = series.startNs
    const rowsBefore = row
    let p = from
    let lastEnd = from
    while (p < limit && row < rowsMax && startsPlainly(bytes[p] as number)) {
      const end = readCells(cells, p, limit, table, row, capacity)
      if (end < 0) break
      const found = timeReader
        ? timeReader(cells, starts[clockField] as number, ends[clockField] as number, at)
        : readTime(cells, at)
      const local = at[0] as number
      // Days near a change of the clocks, and times that are none, go the long way.
      if (found === NO_TIME || (found === LOCAL_TIME && !(local >= low && local < high))) break
      const ms = found === LOCAL_TIME ? local - shift : local
      const ns = at[1] as number
      if (!inRange(ms)) break
      if (row === 0) {
        startMs = ms
        startNs = ns
        rows.sink.begin(series, ms, ns, line + 1, offset + p)
      }
      const sinceMs = ms - startMs
      if (sinceMs > spanMsMax || sinceMs < -spanMsMax) break
      offsets[row] = sinceMs * 1e6 + (ns - startNs)
      row++
      lastEnd = end
      p = behindLine(bytes, end)
    }
    result.rows = row - rowsBefore
    result.end = p
    if (row > rowsBefore) rows.sink.commit(series, row, line + row - rowsBefore, offset + lastEnd)
    return result
  }

  const read: FastReader['read'] = (cells, from, limit, line, offset, atNs) => {
    result.skipLf = false
    const { plain } = rows
    if (!plain || plain.series.overlap.inside) return readRows(cells, from, limit, line, offset, atNs)
    return readSeries(plain, cells, from, limit, line, offset)
  }
  return { read }
}
