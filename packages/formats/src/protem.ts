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
import { addCell, createCells, pointCells, textOf } from './cells.ts'
import { columnNames } from './column-names.ts'
import { createCutter } from './csv-cut.ts'
import type { Decoder, DecoderContext, Resume } from './decoder.ts'
import { createLineDecoder } from './line-decoder.ts'
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
  let found = createCells('utf-8')
  const state = (resume?.checkpoint.state as { format?: { [key: string]: Json } } | undefined)?.format ?? {}
  let unreadable = typeof state.unreadable === 'string' ? state.unreadable : undefined
  let rowCount = Number(state.rows ?? 0)
  let inHead = true
  let headerLines = 0
  let version: string | undefined
  let channels = 0
  let rows: RowReader | undefined

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
    else rows = made
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
        if (found.decoder.encoding !== text.encoding) found = createCells(text.encoding)
        return dataLine(bytes, from, to, place)
      },
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
