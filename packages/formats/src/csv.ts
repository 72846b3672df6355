/**
 * Delimited text with typed columns: `,` `;` tab or `|`, decimal point or comma, quotes, header and unit rows, comments.
 * RFC 4180 where a file keeps to it; what files do beyond that is in the options.
 *
 * Two ways through a row give the same result. The short way reads plain rows in one pass from bytes to typed arrays.
 * Whatever it does not expect (a quote, a letter in a number, a missing cell) sends the row the long way, which cuts it
 * into cells, reads each, and can say what is wrong.
 */
import type { Json, Reject } from '@penstock/frame'
import * as z from 'zod'
import { type Cells, createCells, pointCells, textOf } from './cells.ts'
import { createCounterStart } from './counter-start.ts'
import { createCutter } from './csv-cut.ts'
import { createFastReader, type FastReader } from './csv-fast.ts'
import { createHeader, headerPlan, headerSchema } from './csv-header.ts'
import type { Checkpoint, Decoded, Decoder, DecoderContext, Resume } from './decoder.ts'
import { type Encoding, encodingOf, type Input, markBytesMax, mayBeMark } from './input.ts'
import { lastLineEnd, lineEnd } from './line-decoder.ts'
import {
  asciiSchema,
  columnsSchema,
  delimiterSchema,
  encodingSchema,
  nullTextsSchema,
  repeatedColumn,
  sameTimeSchema,
  tagsSchema,
  timeSchema,
} from './options.ts'
import { presetNames } from './presets.ts'
import { rejectOf } from './reject.ts'
import { createRowReader, type RowReader } from './row.ts'
import type { RowPlace } from './series.ts'

export const csvSchema = z
  .strictObject({
    kind: z.literal('csv'),
    preset: z
      .enum(presetNames)
      .optional()
      .describe('A known file of an instrument: its options, where none are given here'),
    encoding: encodingSchema,
    delimiter: delimiterSchema,
    decimal: z.enum(['.', ',']).default('.').describe('Decimal mark'),
    quote: z
      .union([asciiSchema, z.literal(false)])
      .default('"')
      .describe('Quote character, doubled inside of quotes; false where the file knows none'),
    comment: z.string().min(1).max(16).optional().describe('Lines that begin with this are passed over'),
    header: headerSchema,
    time: timeSchema.optional().describe('Where the time of a row stands. Without it: the time of arrival'),
    tags: tagsSchema.optional(),
    columns: columnsSchema
      .optional()
      .describe(
        'The columns to keep, with their types. Without it: every column that is neither time nor tag, as float',
      ),
    otherColumns: z
      .enum(['drop', 'float', 'text'])
      .default('drop')
      .describe('What becomes of the columns of the file that `columns` does not name, where it is given'),
    nullTexts: nullTextsSchema,
    sameTime: sameTimeSchema.default('replace'),
  })
  .check(ctx => {
    const { columns, delimiter, decimal } = ctx.value
    const repeated = columns && repeatedColumn(columns)
    if (repeated !== undefined) {
      ctx.issues.push({ code: 'custom', path: ['columns'], input: columns, message: `has two columns "${repeated}"` })
    }
    if (delimiter === decimal) {
      ctx.issues.push({ code: 'custom', path: ['decimal'], input: decimal, message: `is also the delimiter` })
    }
  })
  .describe('Delimited text')
export type CsvOptions = z.output<typeof csvSchema>

/** A header must end within this; more is no header. */
const headerBytesMax = 4 * 1024 * 1024

const LF = 10
const CR = 13

export const createCsv = (options: CsvOptions, context: DecoderContext, resume?: Resume): Decoder => {
  const delimiter = options.delimiter.charCodeAt(0)
  const quote = options.quote === false ? -1 : options.quote.charCodeAt(0)
  const comment = options.comment === undefined ? undefined : new TextEncoder().encode(options.comment)
  const header = createHeader(headerPlan(options.header))
  const cutter = createCutter(delimiter, quote)
  const counterStart = createCounterStart(options.time, context.zone)
  const { recordBytesMax } = context

  let encoding: Encoding | undefined
  let cells = createCells('utf-8')
  let offset = 0
  let line = 0
  /** The last line ended with CR: an LF that comes next belongs to it. */
  let skipLf = false
  /** Within a record that was rejected for its length. */
  let passing = false
  let headBytes = 0
  let rows: RowReader | undefined
  let fast: FastReader | undefined
  /** Why no row of this file can be read. */
  let unreadable: string | undefined
  let width: number | undefined
  /** Line of a second header that is not as the first; the rows below it are not of the columns at hand. */
  let strangeLine = 0
  let restored: Json | undefined

  // What the push at hand has made.
  let rejects: Reject[] = []
  let rowsRead = 0
  let rowsRejected = 0
  const place: RowPlace = { firstLine: 0, lastLine: 0, firstByte: 0, lastByte: 0 }

  const reject = (reason: string, input: Input, from: number, to: number, firstByte: number, lines: number): void => {
    place.firstLine = line + 1
    place.lastLine = line + lines
    place.firstByte = firstByte
    place.lastByte = firstByte + input.fileBytes(from, to)
    rowsRead++
    rowsRejected++
    rejects.push(rejectOf(context, 'csv', place, reason, input.bytes, from, to, cells.decoder))
  }

  const bind = (count: number | undefined): string | undefined => {
    const time = options.time && counterStart.resolve(options.time)
    if (typeof time === 'string') return time
    const made = createRowReader(
      { ...options, time },
      context,
      'csv',
      header.names(),
      header.units(),
      count,
      restored,
      undefined,
      header.fullNames(),
    )
    if (typeof made === 'string') return made
    rows = made
    width = count
    const hidesDelimiter = encoding?.isLead !== undefined && delimiter >= 0x40
    if (encoding && !encoding.wide && !hidesDelimiter && showsHeader(made)) {
      fast = createFastReader(made, delimiter, quote, comment?.[0] ?? -1, width, recordBytesMax)
    }
    return undefined
  }

  /** Whether the short way stumbles over a header that comes again: over a name where it wants a time or a number. */
  const showsHeader = ({ numberFields }: RowReader): boolean => {
    const cells = header.nameCells()
    return !cells || options.time !== undefined || numberFields.some(n => Number.isNaN(Number(cells[n.field] || 'x')))
  }

  /** What a row is to the header of the file: the same again, another one, or none. */
  const headerAgain = (): 'same' | 'other' | undefined => {
    const names = header.nameCells()
    if (!names) return undefined
    const texts = cellTexts(cells)
    const count = Math.max(names.length, texts.length)
    let same = 0
    let filled = 0
    for (let i = 0; i < count; i++) {
      if ((names[i] ?? '') === (texts[i] ?? '')) same++
      if (names[i] && texts.includes(names[i] as string)) filled++
    }
    if (same === count) return 'same'
    return 2 * filled >= names.filter(name => name !== '').length ? 'other' : undefined
  }

  const endLine = (bytes: Uint8Array, end: number, lines: number): number => {
    line += lines
    if (end >= bytes.length) return bytes.length
    skipLf = bytes[end] === CR
    return end + 1
  }

  /** Rejects a record by its first `recordBytesMax` bytes and passes over the rest of its line, which ends at `end` or later. */
  const tooLong = (input: Input, p: number, end: number, base: number): number => {
    reject(
      `the line is longer than ${recordBytesMax} bytes; its rest is passed over`,
      input,
      p,
      p + recordBytesMax,
      base,
      1,
    )
    if (header.open()) {
      header.abandon()
      unreadable = `a line of the header is longer than ${recordBytesMax} bytes`
    }
    if (end >= 0) return endLine(input.bytes, end, 1)
    passing = true
    return input.bytes.length
  }

  /** A quote that nothing closes in time costs its own line, not the rest of the file. */
  const openQuote = (input: Input, p: number, base: number): number => {
    const { bytes } = input
    const end = lineEnd(bytes, p)
    const stop = end < 0 ? bytes.length : end
    if (stop - p > recordBytesMax) return tooLong(input, p, end, base)
    reject(`a quote is opened and not closed within ${recordBytesMax} bytes`, input, p, stop, base, 1)
    return endLine(bytes, stop, 1)
  }

  /** A line that is looked at as a whole, or not at all. Returns the position behind it, −1 where it is not whole yet. */
  const readLine = (input: Input, p: number, last: boolean, base: number): number => {
    const { bytes } = input
    const end = lineEnd(bytes, p)
    if (end < 0 && !last && bytes.length - p <= recordBytesMax) return -1
    const stop = end < 0 ? bytes.length : end
    if (stop - p > recordBytesMax) return tooLong(input, p, end, base)
    if (header.open()) {
      const text = cells.decoder.decode(bytes.subarray(p, stop))
      counterStart.line(text)
      if (header.wantsRawLine()) header.rawLine(text)
    }
    return endLine(bytes, stop, 1)
  }

  /** One record from `p`. Returns the position behind it, −1 where it is not whole yet. */
  const readRecord = (input: Input, p: number, last: boolean, base: number, atNs: bigint | undefined): number => {
    const { bytes } = input
    const n = bytes.length
    if (header.wantsRawLine() || isBlankLine(bytes, p, delimiter) || startsWith(bytes, p, comment)) {
      return readLine(input, p, last, base)
    }
    const cut = cutter.cut(cells, bytes, p, encoding?.isLead)
    if (cut.end < 0 && !last && n - p <= recordBytesMax) return -1
    if (cut.end < 0 && cut.openQuote) return openQuote(input, p, base)
    const end = cut.end < 0 ? n : cut.end
    if (end - p > recordBytesMax) {
      return cut.innerLines > 0 ? openQuote(input, p, base) : tooLong(input, p, cut.end, base)
    }
    const lines = 1 + cut.innerLines
    if (header.open()) header.row(cellTexts(cells))
    else if (mayBeHeader() && headerAgain() === 'same') strangeLine = 0
    else {
      const reason = readCells(input, p, end, base, lines, atNs)
      if (reason === undefined) rowsRead++
      else reject(reason, input, p, end, base, lines)
    }
    return endLine(bytes, end, lines)
  }

  const mayBeHeader = (): boolean => {
    const first = header.nameCells()?.[0]
    return first !== undefined && cells.count > 0 && cellTextAt(cells, 0) === first
  }

  const readCells = (input: Input, p: number, end: number, base: number, lines: number, atNs: bigint | undefined) => {
    if (unreadable !== undefined) return unreadable
    if (strangeLine > 0) {
      return `the row stands below line ${strangeLine}, a header that is not as the first of the file`
    }
    if (!rows) {
      // Without names, the first row that can be read says how many columns there are.
      const problem = bind(options.columns ? undefined : cells.count)
      if (problem !== undefined || !rows) return problem
    }
    const reason = readRow(rows, input, p, end, base, lines, atNs)
    if (reason === undefined || headerAgain() !== 'other') return reason
    strangeLine = line + 1
    return `a second header, which is not as the first of the file: the rows below it are refused until the first comes again`
  }

  const readRow = (
    rows: RowReader,
    input: Input,
    p: number,
    end: number,
    base: number,
    lines: number,
    atNs: bigint | undefined,
  ): string | undefined => {
    if (cells.count < rows.cellsMin)
      return `the row has ${cells.count} cells where ${width ?? rows.cellsMin} are expected`
    for (let i = width ?? cells.count; i < cells.count; i++) {
      if (cells.starts[i] !== cells.ends[i]) return `the row has ${cells.count} cells where ${width} are expected`
    }
    const problem = rows.readNumbers(cells)
    if (problem !== undefined) return problem
    place.firstLine = line + 1
    place.lastLine = line + lines
    place.firstByte = base
    place.lastByte = base + input.fileBytes(p, end)
    return rows.finish(cells, place, atNs)
  }

  /** To be called behind each line while the header is open. */
  const afterHeaderLine = (at: number): void => {
    if (header.open() && at > headerBytesMax) {
      header.abandon()
      unreadable = `the header does not end within ${headerBytesMax} bytes`
    }
    if (header.open() || unreadable !== undefined) return
    headBytes = at
    const names = header.names()
    if (names) unreadable = bind(names.length)
  }

  const decode = (input: Input, last: boolean, atNs: bigint | undefined): number => {
    const { bytes } = input
    const n = bytes.length
    const limit = lastLineEnd(bytes)
    let p = 0
    let counted = 0
    let fileBytes = 0
    const fileAt = (q: number): number => {
      fileBytes += input.fileBytes(counted, q)
      counted = q
      return offset + fileBytes
    }
    while (p < n) {
      if (skipLf) {
        skipLf = false
        if (bytes[p] === LF) p++
      } else if (passing) {
        const end = lineEnd(bytes, p)
        passing = end < 0
        p = end < 0 ? n : endLine(bytes, end, 1)
      } else {
        if (fast && strangeLine === 0 && p < limit) {
          pointCells(cells, bytes)
          const read = fast.read(cells, p, limit, line, offset, atNs)
          rowsRead += read.rows
          line += read.rows
          skipLf = read.skipLf
          p = read.end
          if (skipLf || p >= limit) continue
        }
        const wasOpen = header.open()
        const next = readRecord(input, p, last, fileAt(p), atNs)
        if (next < 0) break
        p = next
        if (wasOpen) afterHeaderLine(fileAt(p))
      }
    }
    return p
  }

  /** The file ended within its header: one reject stands for what was passed over. */
  const endInHeader = (): void => {
    const missing = header.missing()
    header.abandon()
    if (missing === undefined || line === 0) return
    unreadable = missing
    const whole = { firstLine: 1, lastLine: line, firstByte: 0, lastByte: offset }
    rowsRead++
    rowsRejected++
    rejects.push(rejectOf(context, 'csv', whole, missing, new Uint8Array(0), 0, 0, cells.decoder))
  }

  const start = (bytes: Uint8Array): void => {
    encoding = encodingOf(options.encoding, bytes)
    cells = createCells(encoding.textEncoding)
    offset = encoding.markBytes
    headBytes = encoding.markBytes
    const names = header.names()
    if (!header.open() && names) unreadable = bind(names.length)
  }

  const push = (pushed: Uint8Array, last: boolean, atNs?: bigint): Decoded => {
    rejects = []
    rowsRead = 0
    rowsRejected = 0
    let mark = 0
    if (!encoding) {
      if (pushed.length < markBytesMax && !last && mayBeMark(pushed))
        return { frames: [], rejects, used: 0, rowsRead, rowsRejected }
      start(pushed)
      mark = offset
    }
    const input = (encoding as Encoding).input(pushed.subarray(mark), last)
    const end = decode(input, last, atNs)
    const used = last ? pushed.length - mark : input.fileBytes(0, end)
    offset += used
    if (last && header.open()) endInHeader()
    return { frames: rows?.sink.flush() ?? [], rejects, used: used + mark, rowsRead, rowsRejected }
  }

  const checkpoint = (): Checkpoint => ({
    offset,
    headBytes: header.open() ? offset : headBytes,
    line,
    state: {
      skipLf,
      passing,
      ...(unreadable !== undefined && { unreadable }),
      ...(width !== undefined && { width }),
      ...(strangeLine > 0 && { strangeLine }),
      series: rows?.sink.state() ?? [],
    },
  })

  const goOn = ({ checkpoint: from, head }: Resume): void => {
    if (from.offset === 0) return
    const state = from.state as { readonly [key: string]: Json }
    restored = state.series
    if (typeof state.unreadable === 'string') header.abandon()
    start(head)
    if (typeof state.unreadable === 'string') unreadable = state.unreadable
    else {
      decode((encoding as Encoding).input(head.subarray(offset), false), false, undefined)
      if (!rows && !header.open() && typeof state.width === 'number') bind(state.width)
    }
    offset = from.offset
    line = from.line
    headBytes = header.open() ? 0 : from.headBytes
    skipLf = state.skipLf === true
    passing = state.passing === true
    strangeLine = typeof state.strangeLine === 'number' ? state.strangeLine : 0
  }
  if (resume) goOn(resume)
  return { push, checkpoint }
}

const isBlankLine = (bytes: Uint8Array, p: number, delimiter: number): boolean => {
  for (let i = p; i < bytes.length; i++) {
    const c = bytes[i] as number
    if (c === LF || c === CR) return true
    if ((c !== 32 && c !== 9) || c === delimiter) return false
  }
  return true
}

const startsWith = (bytes: Uint8Array, p: number, text: Uint8Array | undefined): boolean => {
  if (!text) return false
  for (let i = 0; i < text.length; i++) if (bytes[p + i] !== text[i]) return false
  return true
}

const cellTexts = (cells: Cells): string[] => {
  const texts: string[] = []
  for (let i = 0; i < cells.count; i++) texts.push(cellTextAt(cells, i))
  return texts
}
const cellTextAt = (cells: Cells, i: number): string =>
  textOf(cells, cells.starts[i] as number, cells.ends[i] as number).trim()
