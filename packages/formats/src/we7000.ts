/**
 * Yokogawa WE7000 list files: pulses of a detector. Rows `key,value`, among them the row of titles `TraceName,Time,…`;
 * then rows `index,time,height` of whole numbers, time in counts of //TimeResolution since //StartDate //StartTime. A file
 * that lacks these two counts from its Date and Time, or from its name, `…-<YYYYMMDD>-<HHMMSS>-Slot<n>-In<m>.csv`.
 *
 * All keys are attributes of the rows' origin. A file is finished with as many rows as its BlockSize says.
 *
 * A pulse whose index does not follow the last one, whose time is not later, or whose height is outside of //LLD to
 * //ULD is kept, and its status says so.
 */

import type { TextDecoder } from 'node:util'
import { type Json, nameSchema } from '@penstock/frame'
import * as z from 'zod'
import { createAttributes } from './attributes.ts'
import { cellEnd, isBlank } from './cells.ts'
import { columnNames } from './column-names.ts'
import type { Decoder, DecoderContext, Resume } from './decoder.ts'
import { behindLineEnd, createLineDecoder } from './line-decoder.ts'
import { readNumber } from './number.ts'
import { encodingSchema, sameTimeSchema, zoneNameSchema } from './options.ts'
import { type ColumnPlan, createSink, type RowPlace, type Series, type Sink } from './series.ts'
import { spread } from './spread.ts'
import { createTimeReader, inRange, NO_TIME, timeBytes } from './time-layout.ts'
import { createZoneClock } from './zone-clock.ts'

export const STATUS_INDEX_GAP = 'index-gap'
export const STATUS_TIME_NOT_LATER = 'time-not-later'
export const STATUS_OUT_OF_BOUNDS = 'out-of-bounds'

export const we7000Schema = z
  .strictObject({
    kind: z.literal('we7000'),
    encoding: encodingSchema.default('cp932').describe('Encoding of comments. A byte order mark wins.'),
    zone: zoneNameSchema
      .optional()
      .describe("IANA zone of the start in the file. Without it: the zone of the source's site"),
    stream: nameSchema.optional().describe('Without it: the stream of the source, or pulses'),
    sameTime: sameTimeSchema.default('keep'),
  })
  .describe('Yokogawa WE7000 list file (pulse heights)')
export type We7000Options = z.output<typeof we7000Schema>

/** Rows of keys that a file may begin with. */
const headerLinesMax = 1000

/** What the header says, as far as the rows need it. */
interface Meta {
  titles: string[]
  startMs: number
  /** Status of rows where the start itself is unclear (change of the clocks). */
  startFlag: string | null
  /** Where the start was found, where that is not //StartDate and //StartTime. */
  startFrom: string | undefined
  /** ns of one count. */
  resolutionNs: number
  heightMin: number
  heightMax: number
  blockRows: number
  unit: string | undefined
}

export const createWe7000 = (options: We7000Options, context: DecoderContext, resume?: Resume): Decoder => {
  const zone = options.zone ?? context.zone
  const stream = options.stream ?? (context.stream || 'pulses')
  const attributes = createAttributes()
  const named = nameParts(context.file)
  let headerLines = 0
  let inHead = true
  let meta: Meta | undefined
  let sink: Sink | undefined
  let series: Series | undefined
  /** Cells of the row at hand; `values` is what of them goes into columns: all but the count, which becomes the time. */
  let numbers = new Float64Array(0)
  let values = new Float64Array(0)
  const plain: RowPlace = { firstLine: 0, lastLine: 0, firstByte: 0, lastByte: 0 }
  const fast = { rows: 0, end: 0 }
  const at = new Float64Array(2)

  const state = (resume?.checkpoint.state as { format?: { [key: string]: Json } } | undefined)?.format ?? {}
  let unreadable = typeof state.unreadable === 'string' ? state.unreadable : undefined
  let rows = Number(state.rows ?? 0)
  let lastIndex = typeof state.index === 'number' ? state.index : Number.NaN
  let lastCount = typeof state.count === 'number' ? state.count : Number.NaN
  const restored = state.series

  const begin = (): void => {
    inHead = false
    const found = metaOf(attributes.get, named, zone)
    if (typeof found === 'string') {
      unreadable ??= found
      return
    }
    meta = found
    for (const [key, value] of Object.entries(named)) attributes.put(`name: ${key}`, value)
    if (found.startFrom !== undefined) attributes.put('start', `from ${found.startFrom}`)
    const unit = found.unit === undefined ? {} : { unit: found.unit }
    const plans: ColumnPlan[] = [
      { name: 'index', type: 'int', slot: 0 },
      ...found.titles.slice(2).map((name, i) => ({ name, ...unit, type: 'int' as const, slot: i + 1 })),
    ]
    numbers = new Float64Array(plans.length + 1)
    values = numbers.subarray(1)
    sink = createSink(context, 'we7000', plans, options.sameTime === 'keep', restored, attributes.all)
    series = sink.series(context.site, context.device, stream)
  }

  const headerLine = (text: string): void => {
    const comma = text.indexOf(',')
    attributes.put(
      (comma < 0 ? text : text.slice(0, comma)).replaceAll('"', ''),
      comma < 0 ? '' : text.slice(comma + 1),
    )
    if (++headerLines <= headerLinesMax) return
    inHead = false
    unreadable = `no row of pulses comes within the first ${headerLinesMax} lines: is this a WE7000 list file?`
  }

  const line = (
    bytes: Uint8Array,
    from: number,
    to: number,
    place: RowPlace,
    decoder: TextDecoder,
  ): string | boolean => {
    let first = from
    while (first < to && isBlank(bytes[first])) first++
    if (first === to) return false
    if (inHead && unreadable === undefined) {
      if (!isDigit(bytes[first] as number)) {
        headerLine(decoder.decode(bytes.subarray(from, to)))
        return false
      }
      begin()
    }
    if (!meta || !sink || !series) {
      if (unreadable === undefined) begin()
      if (!meta || !sink || !series) return unreadable ?? 'the file has no header'
    }
    return dataRow(bytes, first, to, place, meta, sink, series)
  }

  const dataRow = (
    bytes: Uint8Array,
    from: number,
    to: number,
    place: RowPlace,
    { titles }: Meta,
    rowsSink: Sink,
    target: Series,
  ): string | boolean => {
    rows++
    let p = from
    let stop = to
    while (stop > from && (isBlank(bytes[stop - 1]) || bytes[stop - 1] === COMMA)) stop--
    for (let k = 0; k < titles.length; k++) {
      const end = cellEnd(bytes, p, stop, COMMA)
      let first = p
      while (first < end && isBlank(bytes[first])) first++
      let behind = end
      while (behind > first && isBlank(bytes[behind - 1])) behind--
      const value = readNumber(bytes, first, behind, 46)
      const isLast = k === titles.length - 1
      if (isLast !== (end === stop))
        return `the row has ${isLast ? 'more' : 'fewer'} than the ${titles.length} cells ${titles.join(', ')}`
      if (!Number.isSafeInteger(value)) {
        const cell = Buffer.from(bytes.subarray(first, Math.min(behind, first + 80))).toString('latin1')
        return `column "${titles[k]}": "${cell}" is not a whole number`
      }
      numbers[k] = value
      p = end + 1
    }
    if (give(rowsSink, target, place)) return true
    return `column "${titles[1]}": ${numbers[1]} counts after the start is no time before the year 10000`
  }

  /** The row whose cells are in `numbers`: index, count, height and what else there is. False where it has no time. */
  const give = (rowsSink: Sink, target: Series, place: RowPlace): boolean => {
    const { startMs, startFlag, resolutionNs, heightMin, heightMax } = meta as Meta
    const count = numbers[1] as number
    // Whole ms first: a count in ns since the start may be beyond 2^53.
    const perMs = 1e6 / resolutionNs
    const wholeMs = Math.floor(count / perMs)
    if (!inRange(startMs + wholeMs)) return false
    const status = statusOf(numbers[0] as number, count, numbers[2] as number, heightMin, heightMax)
    at[0] = startMs + wholeMs
    at[1] = (count - wholeMs * perMs) * resolutionNs
    spread(target, at, options.sameTime)
    numbers[1] = numbers[0] as number
    rowsSink.add(target, at, values, [], status ?? startFlag, place)
    return true
  }

  /** Rows of digits and commas alone, ended by LF or CR LF. */
  const readRows = (bytes: Uint8Array, from: number, limit: number, linesBefore: number, offset: number) => {
    if (inHead || !meta || !sink || !series) return undefined
    const cells = meta.titles.length
    let p = from
    let read = 0
    while (p < limit) {
      let q = p
      for (let k = 0; k < cells; k++) {
        let value = 0
        const first = q
        let d = (bytes[q] as number) ^ 48
        while (d <= 9) {
          value = value * 10 + d
          d = (bytes[++q] as number) ^ 48
        }
        if (q === first || q - first > 15 || (k < cells - 1 && bytes[q++] !== COMMA)) {
          q = -1
          break
        }
        numbers[k] = value
      }
      const behind = q < 0 ? -1 : behindLineEnd(bytes, q)
      if (behind < 0 || q - p > context.recordBytesMax) break
      plain.firstLine = linesBefore + read + 1
      plain.lastLine = plain.firstLine
      plain.firstByte = offset + p
      plain.lastByte = offset + q
      if (!give(sink, series, plain)) break
      read++
      p = behind
    }
    rows += read
    fast.rows = read
    fast.end = p
    return fast
  }

  const statusOf = (
    index: number,
    count: number,
    height: number,
    heightMin: number,
    heightMax: number,
  ): string | null => {
    const gap = !Number.isNaN(lastIndex) && index !== lastIndex + 1
    const notLater = count <= lastCount
    lastIndex = index
    lastCount = count
    if (gap) return STATUS_INDEX_GAP
    if (notLater) return STATUS_TIME_NOT_LATER
    return height < heightMin || height > heightMax ? STATUS_OUT_OF_BOUNDS : null
  }

  const decoder = createLineDecoder(
    {
      name: 'we7000',
      encoding: options.encoding,
      line: (bytes, from, to, place, _atNs, decoder) => line(bytes, from, to, place, decoder),
      rows: readRows,
      flush: () => sink?.flush() ?? [],
      state: () => ({
        rows,
        index: Number.isNaN(lastIndex) ? null : lastIndex,
        count: Number.isNaN(lastCount) ? null : lastCount,
        begun: !inHead,
        ...(unreadable !== undefined && { unreadable }),
        series: sink?.state() ?? [],
      }),
      inHead: () => inHead,
      finished: () => meta !== undefined && meta.blockRows > 0 && rows >= meta.blockRows,
      end: () =>
        inHead && headerLines > 0 && attributes.get('TraceName') === undefined ? missing('TraceName') : undefined,
    },
    context,
    resume,
  )
  if (state.begun === true && inHead) begin()
  return decoder
}

const COMMA = 44
const isDigit = (c: number): boolean => c >= 48 && c <= 57

/** `…-<YYYYMMDD>-<HHMMSS>-Slot<n>-In<m>.csv` */
const nameParts = (file: string | undefined): Record<string, string> => {
  const base = file?.split(/[/\\]/).at(-1) ?? ''
  const parts = /-(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)(?:-Slot(\d+))?(?:-In(\d+))?\.[^.]*$/i.exec(base)
  if (!parts) return {}
  const [, year, month, day, h, m, sec, slot, input] = parts
  return {
    start: `${year}/${month}/${day} ${h}:${m}:${sec}`,
    ...(slot !== undefined && { slot }),
    ...(input !== undefined && { input }),
  }
}

const missing = (key: string): string => `the header has no row "${key}": is this a WE7000 list file?`

/** What the keys say, or why the rows below them cannot be read. */
const metaOf = (
  key: (name: string) => string | undefined,
  named: Readonly<Record<string, string>>,
  zone: string,
): Meta | string => {
  for (const name of ['TraceName', '//TimeResolution']) if (key(name) === undefined) return missing(name)
  const titles = ['index', ...(key('TraceName') ?? '').split(',').map(title => title.trim())]
  while (titles.at(-1) === '') titles.pop()
  if (titles.length < 2 || new Set(titles).size !== titles.length || titles.includes('')) {
    return `the row "TraceName,${key('TraceName')}" does not name the columns`
  }
  const start = startOf(key, named, zone)
  if (typeof start === 'string') return start
  const seconds = Number((key('//TimeResolution') ?? '').split(',')[0])
  const resolutionNs = Math.round(seconds * 1e9)
  if (!(resolutionNs >= 1 && 1e6 % resolutionNs === 0)) {
    return `//TimeResolution "${key('//TimeResolution')}" is no step such as 1e-9, 1e-6 or 1e-3 s`
  }
  const bound = (name: string, none: number): number => {
    const value = Number.parseFloat(key(name) ?? '')
    return Number.isNaN(value) ? none : value
  }
  const unit = (key('VUnit') ?? '').split(',')[0]?.trim()
  return {
    titles: columnNames(titles),
    ...start,
    resolutionNs,
    heightMin: bound('//LLD', Number.NEGATIVE_INFINITY),
    heightMax: bound('//ULD', Number.POSITIVE_INFINITY),
    blockRows: bound('BlockSize', 0),
    unit: unit === '' || unit === '?' ? undefined : unit,
  }
}

/** The moment from which the counts count: //StartDate and //StartTime, else Date and Time, else that of the name. */
const startOf = (
  key: (name: string) => string | undefined,
  named: Readonly<Record<string, string>>,
  zone: string,
): Pick<Meta, 'startMs' | 'startFlag' | 'startFrom'> | string => {
  const both = (date: string, time: string): string =>
    `${key(date) ?? ''} ${key(time) ?? ''}`.replaceAll(/,+(?= |$)/g, '').trim()
  const given: [string, string | undefined][] = [
    [both('//StartDate', '//StartTime'), undefined],
    [both('Date', 'Time'), 'Date and Time'],
    [named.start ?? '', 'the name of the file'],
  ]
  const [text, startFrom] = given.find(([value]) => value !== '') ?? ['', undefined]
  if (text === '') {
    return 'the header has neither //StartDate and //StartTime nor Date and Time, and the name of the file tells no start'
  }
  const bytes = new TextEncoder().encode(text)
  const at = new Float64Array(2)
  if (createTimeReader('YYYY/M/D H:mm:ss')(timeBytes(bytes), 0, bytes.length, at) === NO_TIME) {
    return `the start "${text.slice(0, 80)}" (${startFrom ?? '//StartDate and //StartTime'}) is no time such as 2022/03/14 10:07:54`
  }
  const clock = createZoneClock(zone, false)
  const startMs = clock.toUtc(at[0] as number, { inside: false, local: 0, second: false })
  return { startMs, startFlag: clock.flag, startFrom }
}
