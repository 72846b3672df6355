/**
 * PROTEM logging tool files: channels of temperature controllers, once a second, a new file every 60,000 rows.
 *
 *     PROTEM Logging Tool File Format Version.,2
 *     Title:,<text>
 *     Item No.:,,,65,12            one cell a channel from the fourth on, in this and the rows below
 *     Ch No.:,,,1,1
 *     Item Name:,,,<text>,<text>
 *     Ch Name:,,,CH 1,CH 1
 *     2022/03/14,10:07:41,00,0,0   date, time of day, fraction of the second, one value a channel
 *
 * Rows of the header are known by their first cell, in whatever order they come; the first row that begins with a digit
 * ends it. How many channels there are, the header says.
 */
import type { Json } from '@penstock/frame'
import * as z from 'zod'
import { createAttributes } from './attributes.ts'
import { addCell, createCells, growCells, pointCells, textOf } from './cells.ts'
import { columnNames } from './column-names.ts'
import { createCutter } from './csv-cut.ts'
import { PLAIN_EMPTY, PLAIN_INT, readOddNumber } from './csv-number.ts'
import type { Decoder, DecoderContext, Resume } from './decoder.ts'
import { behindLineEnd, createLineDecoder } from './line-decoder.ts'
import { columnsSchema, encodingSchema, nullTextsSchema, sameTimeSchema, zoneNameSchema } from './options.ts'
import { createRowReader, type RowReader } from './row.ts'
import type { RowPlace } from './series.ts'

export const protemSchema = z
  .strictObject({
    kind: z.literal('protem'),
    encoding: encodingSchema.default('cp932').describe('Encoding of the header. A byte order mark wins.'),
    zone: zoneNameSchema
      .optional()
      .describe("IANA zone of the times in the file. Without it: the zone of the source's site"),
    columns: columnsSchema
      .optional()
      .describe(
        'The channels to keep, by their names or their positions from 1, with units and types. Without it: all, as float',
      ),
    fraction: z
      .boolean()
      .default(true)
      .describe(
        'Whether the third cell holds digits of the second behind its decimal mark (25 is 0.25 s). false: it is kept as a column "fraction"',
      ),
    versions: z
      .array(z.string().min(1).max(16))
      .min(1)
      .default(['2'])
      .describe('Versions of the file format that are read; a file of another one is refused'),
    fileRows: z
      .int()
      .min(1)
      .default(60_000)
      .describe(
        'Rows at which the logger begins its next file (suffix _00002 …): a file that holds as many is finished. More, where the logger is set so',
      ),
    nullTexts: nullTextsSchema,
    sameTime: sameTimeSchema.default('replace'),
  })
  .describe('PROTEM logging tool file (temperature controllers)')
export type ProtemOptions = z.output<typeof protemSchema>

/** Rows that a header may have. */
const headerLinesMax = 1000
/** Cells of date, time of day and fraction. */
const timeCells = 3
const timeTitle = 'Date,Time'
const COMMA = 44

const isDigit = (c: number | undefined): boolean => c !== undefined && c >= 48 && c <= 57

export const createProtem = (options: ProtemOptions, context: DecoderContext, resume?: Resume): Decoder => {
  const { nullTexts, sameTime } = options
  const attributes = createAttributes()
  /** The rows of one cell a channel, by key. */
  const perChannel = new Map<string, string[]>()
  const cutter = createCutter(COMMA, 34)
  const headCells = createCells('utf-8')
  let textEncoding = 'utf-8'
  let found = createCells(textEncoding)
  const state = (resume?.checkpoint.state as { format?: { [key: string]: Json } } | undefined)?.format ?? {}
  let unreadable = typeof state.unreadable === 'string' ? state.unreadable : undefined
  let rowCount = Number(state.rows ?? 0)
  let inHead = true
  let headerLines = 0
  let version: string | undefined
  let channels = 0
  let rows: RowReader | undefined
  /** For the short way: the slot of each channel, −1 where it is not kept as a number; what each slot allows. */
  let slots: Int32Array | undefined
  let flags = new Uint8Array(0)
  const plain: RowPlace = { firstLine: 0, lastLine: 0, firstByte: 0, lastByte: 0 }
  const fast = { rows: 0, end: 0 }

  const begin = (): void => {
    inHead = false
    if (unreadable !== undefined) return
    const names = channelNames(perChannel)
    unreadable = headerProblem(version, options.versions, names)
    if (unreadable !== undefined) return
    channels = names.length
    describeChannels(names, perChannel, attributes.put)
    // The time stands behind the channels, so that a channel's position is its number.
    const fields = [...names, 'fraction', timeTitle]
    const columns = options.columns ?? names.map(name => ({ name, type: 'float' as const }))
    const kept = options.fraction ? columns : withFraction(columns)
    const layout = options.fraction ? 'YYYY/MM/DD,HH:mm:ss,S' : 'YYYY/MM/DD,HH:mm:ss'
    const time = { column: channels + 2, layout, ...(options.zone !== undefined && { zone: options.zone }) }
    const rowOptions = { time, columns: kept, nullTexts, decimal: '.' as const, sameTime }
    const made = createRowReader(
      rowOptions,
      context,
      'protem',
      fields,
      undefined,
      fields.length,
      state.series,
      attributes.all,
    )
    if (typeof made === 'string') unreadable = made
    else {
      rows = made
      slots = new Int32Array(channels).fill(-1)
      flags = Uint8Array.from(
        made.numberFields,
        n => (n.int ? PLAIN_INT : 0) | (n.emptyIsNull && !n.required ? PLAIN_EMPTY : 0),
      )
      for (const [slot, { field }] of made.numberFields.entries()) {
        // A channel that is kept twice, and the fraction as a column, go the long way.
        if (field >= channels || slots[field] !== -1) slots = undefined
        if (!slots) break
        slots[field] = slot
      }
    }
  }

  const headerLine = (bytes: Uint8Array, from: number, to: number, decode: (b: Uint8Array) => string): void => {
    const text = decode(bytes.subarray(from, to))
    const utf8 = new TextEncoder().encode(text)
    cutter.cut(headCells, utf8, 0, undefined)
    const cells = Array.from({ length: headCells.count }, (_, i) =>
      textOf(headCells, headCells.starts[i] as number, headCells.ends[i] as number).trim(),
    )
    const key = (cells[0] ?? '').replace(/[\s.:]+$/, '')
    if (/file format version$/i.test(key)) {
      version ??= cells[1] ?? ''
      attributes.put('file format version', version)
    } else if (/^(?:item|ch) (?:no|name)$/i.test(key)) {
      if (!perChannel.has(key.toLowerCase())) perChannel.set(key.toLowerCase(), cells.slice(timeCells))
    } else attributes.put(key, text.includes(',') ? text.slice(text.indexOf(',') + 1).replace(/[,\s]+$/, '') : '')
    if (++headerLines <= headerLinesMax) return
    inHead = false
    unreadable = `no row of values comes within the first ${headerLinesMax} lines: is this a file of the PROTEM logging tool?`
  }

  /** Cuts a row of values: the channels first, then the fraction, then the time as one cell. */
  const cutRow = (bytes: Uint8Array, from: number, to: number): string | undefined => {
    pointCells(found, bytes)
    found.count = 0
    let p = from
    let clockEnd = from
    for (let k = 0; k < timeCells; k++) {
      while (p < to && bytes[p] !== COMMA) p++
      if (p >= to && k < timeCells - 1) return 'the row ends within its time'
      if (k === 1) clockEnd = p
      if (k < timeCells - 1) p++
    }
    const timeEnd = p
    for (let k = 0; k < channels; k++) {
      if (p >= to) return `the row has ${k} values where the header names ${channels} channels`
      const start = ++p
      while (p < to && bytes[p] !== COMMA) p++
      addCell(found, start, p)
    }
    while (p < to && (bytes[p] === COMMA || bytes[p] === 32)) p++
    if (p < to) return `the row has more values than the ${channels} channels of the header`
    addCell(found, clockEnd + 1, timeEnd)
    addCell(found, from, options.fraction ? timeEnd : clockEnd)
    return undefined
  }

  const dataLine = (bytes: Uint8Array, from: number, to: number, place: RowPlace): string | true => {
    if (!rows) return unreadable ?? 'the file has no header'
    rowCount++
    return cutRow(bytes, from, to) ?? rows.readNumbers(found) ?? rows.finish(found, place, undefined) ?? true
  }

  /** A row whose date, time and numbers are as usual: its end, or −1. */
  const plainRow = (bytes: Uint8Array, from: number, target: RowReader, slotOf: Int32Array): number => {
    if (bytes[from + 10] !== COMMA || bytes[from + 19] !== COMMA) return -1
    const { numbers } = target
    let p = from + 20
    while (((bytes[p] as number) ^ 48) <= 9) p++
    const timeEnd = p
    for (let k = 0; k < channels; k++) {
      if (bytes[p++] !== COMMA) return -1
      found.starts[k] = p
      const slot = slotOf[k] as number
      if (slot >= 0) {
        p = readOddNumber(bytes, p, numbers, slot, COMMA, 46, flags[slot] as number)
        if (p < 0) return -1
      } else while (bytes[p] !== COMMA && bytes[p] !== 10 && bytes[p] !== 13) p++
      found.ends[k] = p
    }
    found.starts[channels] = found.ends[channels] = timeEnd
    found.starts[channels + 1] = from
    found.ends[channels + 1] = options.fraction ? timeEnd : from + 19
    return p
  }

  const readRows = (bytes: Uint8Array, from: number, limit: number, linesBefore: number, offset: number) => {
    if (inHead || !rows || !slots) return undefined
    while (found.starts.length < channels + 2) growCells(found)
    pointCells(found, bytes)
    found.count = channels + 2
    let p = from
    let read = 0
    while (p < limit && isDigit(bytes[p])) {
      const end = plainRow(bytes, p, rows, slots)
      const behind = end < 0 ? -1 : behindLineEnd(bytes, end)
      if (behind < 0 || end - p > context.recordBytesMax) break
      plain.firstLine = linesBefore + read + 1
      plain.lastLine = plain.firstLine
      plain.firstByte = offset + p
      plain.lastByte = offset + end
      if (rows.finish(found, plain, undefined) !== undefined) break
      read++
      p = behind
    }
    rowCount += read
    fast.rows = read
    fast.end = p
    return fast
  }

  const decoder = createLineDecoder(
    {
      name: 'protem',
      encoding: options.encoding,
      line: (bytes, from, to, place, _atNs, text) => {
        let p = from
        while (p < to && (bytes[p] === 32 || bytes[p] === COMMA)) p++
        if (p === to) return false
        if (inHead) {
          if (!isDigit(bytes[from])) {
            headerLine(bytes, from, to, b => text.decode(b))
            return false
          }
          begin()
        }
        if (textEncoding !== text.encoding) {
          textEncoding = text.encoding
          found = createCells(textEncoding)
        }
        return dataLine(bytes, from, to, place)
      },
      rows: readRows,
      flush: () => rows?.sink.flush() ?? [],
      state: () => ({
        rows: rowCount,
        begun: !inHead,
        ...(unreadable !== undefined && { unreadable }),
        series: rows?.sink.state() ?? [],
      }),
      inHead: () => inHead,
      finished: () => rowCount >= options.fileRows,
      end: () => {
        if (!inHead || headerLines === 0) return undefined
        return headerProblem(version, options.versions, channelNames(perChannel))
      },
    },
    context,
    resume,
  )
  if (state.begun === true && inHead) begin()
  return decoder
}

const headerProblem = (version: string | undefined, known: readonly string[], names: readonly string[]) => {
  if (version === undefined) {
    return 'the header has no row "PROTEM Logging Tool File Format Version.": is this a file of the PROTEM logging tool?'
  }
  if (!known.includes(version)) {
    return `the file is of format version "${version}", known is ${known.join(', ')}: if its rows read well all the same, add it to "versions"`
  }
  return names.length === 0 ? 'the header names no channel (Item Name:, Ch Name:, Item No.:, Ch No.:)' : undefined
}

/** Item names; where one occurs twice, with the channel's name; the rest is numbered. */
const channelNames = (perChannel: ReadonlyMap<string, string[]>): string[] => {
  const count = Math.max(0, ...[...perChannel.values()].map(cells => cells.findLastIndex(c => c !== '') + 1))
  const row = (key: string): string[] =>
    Array.from({ length: count }, (_, i) => (perChannel.get(key)?.[i] ?? '').replace(/\s+/g, ' '))
  const items = row('item name')
  const chNames = row('ch name')
  const itemNos = row('item no')
  const chNos = row('ch no')
  const full = items.map((item, i) => {
    const name = item || (itemNos[i] ? `Item ${itemNos[i]}` : '')
    const ch = chNames[i] || (chNos[i] ? `CH ${chNos[i]}` : '')
    const repeats = item === '' || items.indexOf(item) !== items.lastIndexOf(item)
    return (repeats ? `${name} ${ch}`.trim() : name) || `channel ${i + 1}`
  })
  return columnNames(full, ['fraction', timeTitle])
}

const describeChannels = (
  names: readonly string[],
  perChannel: ReadonlyMap<string, string[]>,
  put: (key: string, value: string) => void,
): void => {
  const titles = { 'item no': 'Item No.', 'ch no': 'Ch No.', 'item name': 'Item Name', 'ch name': 'Ch Name' }
  for (const [i, name] of names.entries()) {
    for (const [key, title] of Object.entries(titles)) {
      const cell = perChannel.get(key)?.[i] ?? ''
      if (cell !== '') put(`${name}: ${title}`, cell)
    }
  }
}

const withFraction = (columns: NonNullable<ProtemOptions['columns']>): NonNullable<ProtemOptions['columns']> =>
  Array.isArray(columns) ? [...columns, { name: 'fraction', type: 'int' }] : { ...columns, fraction: 'int' }
