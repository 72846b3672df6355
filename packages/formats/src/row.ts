/**
 * Cells to rows: the part that all configured formats share. Tags choose the series, the time is read and brought to
 * UTC, each column's cell becomes its value; or the row is refused with one sentence.
 */
import { type Json, LIMITS, parseIsoNs, STATUS_COLUMN, STATUS_NOT_A_NUMBER } from '@penstock/frame'
import { type Cells, createCells, textOf, trimCell } from './cells.ts'
import type { DecoderContext } from './decoder.ts'
import { readNumber, saysNotANumber } from './number.ts'
import {
  type ColumnOptions,
  type ColumnsOptions,
  type FieldRef,
  type Limits,
  listColumns,
  type TagsOptions,
  type Thousands,
  type TimeOptions,
} from './options.ts'
import { type ColumnPlan, createSink, type OtherValue, type RowPlace, type Series, type Sink } from './series.ts'
import { spread } from './spread.ts'
import {
  createTimeReader,
  fixedWidth,
  inRange,
  LOCAL_TIME,
  NO_TIME,
  type Reading,
  type TimeReader,
  timeBytes,
  UTC_TIME,
} from './time-layout.ts'
import { createZoneClock, type ZoneClock } from './zone-clock.ts'

export interface RowOptions {
  time?: TimeOptions | undefined
  tags?: TagsOptions | undefined
  columns?: ColumnsOptions | undefined
  nullTexts: readonly string[]
  decimal: '.' | ','
  sameTime: 'replace' | 'keep'
  /** What becomes of fields that `columns` does not name, where it is given. */
  otherColumns?: 'drop' | 'float' | 'text' | undefined
}

/** A number that stands for a state, or, where `status` is null, for a hole. */
export interface Sentinel {
  value: number
  status: string | null
}

/** A number column bound to a field of the record. */
export interface NumberField {
  field: number
  name: string
  int: boolean
  decimal: number
  required: boolean
  nullTexts: readonly string[]
  emptyIsNull: boolean
  /** Sentinels by value, and those that are no number by text. */
  sentinels: readonly Sentinel[]
  sentinelTexts: ReadonlyMap<string, string>
  /** Reads what is no plain number: with marks between thousands, or a text behind it. */
  dressed: ((text: string) => number | undefined) | undefined
  limits: Limits | undefined
}
interface OtherField {
  field: number
  name: string
  type: 'bool' | 'text' | 'vector'
  required: boolean
  nullTexts: readonly string[]
  sentinelTexts: ReadonlyMap<string, string>
  /** Texts of the configuration that are true or false. */
  truths: ReadonlyMap<string, boolean>
}

/** The one series of a file whose rows are a time and numbers, nothing else, with what their times need. */
export interface PlainSeries {
  series: Series
  clock: ZoneClock
  readTime(cells: Cells, at: Float64Array): Reading
  /** Where the time is one cell: its reader alone, for a cell without blanks around it. */
  timeReader: TimeReader | undefined
  timeField: number
}

export interface RowReader {
  /** Values of the number columns of the row at hand; NaN is a hole. Filled by `readNumbers` or by a faster loop of the format's own. */
  readonly numbers: Float64Array
  readonly numberFields: readonly NumberField[]
  /** Cells that a record must have at least. */
  readonly cellsMin: number
  /** The cell of the time, where its length in bytes is always the same and none of them is a delimiter. */
  timeCell(delimiters: readonly number[]): { field: number; width: number } | undefined
  /** Fields whose cells `finish` looks at: all that are used but number columns. */
  readonly otherFields: readonly number[]
  /** Reads the number columns from their cells. Returns why the row is refused, or undefined. */
  readNumbers(cells: Cells): string | undefined
  /**
   * Reads the rest and appends the row. Returns why the row is refused, or undefined. Nothing is kept of a refused row.
   * Comes after `readNumbers`, or after `numbers` was filled with plain numbers and holes.
   */
  finish(cells: Cells, place: RowPlace, atNs: bigint | undefined): string | undefined
  readonly sink: Sink
  /** Set where a row needs no more than `numbers` and its time: no tags, texts, sentinels or moved times. */
  readonly plain: PlainSeries | undefined
}

/** For a format that has values where others have text: what it need not write into cells. */
export interface Typed {
  /** In place of the layout, where the time of the row at hand is one value: its reading, `at` as a reader of layouts leaves it. */
  time?: ((at: Float64Array) => Reading) | undefined
  /** The curve of a vector column in the row at hand; null is a hole. Else a cell holds it as a JSON array. */
  curve?: ((field: number) => Float64Array | null) | undefined
}

/** Remembered rows of tags; beyond, the memory begins anew. */
const entriesMax = 16_384

const quoted = (cells: Cells, start: number, end: number): string => {
  const text = textOf(cells, start, Math.min(end, start + 80))
  return `"${text}${end > start + 80 ? '…' : ''}"`
}

/**
 * Binds the options to the fields of a file.
 *
 * @param names the fields' names where the file has some, else undefined
 * @param width number of fields, where known
 * @param aliases other names of the fields, by which the options may call them as well
 * @returns the reader, or one sentence that says why no row of the file can be read
 */
export const createRowReader = (
  options: RowOptions,
  context: DecoderContext,
  format: string,
  names: readonly string[] | undefined,
  units: readonly (string | undefined)[] | undefined,
  width: number | undefined,
  restored: Json | undefined,
  attributes?: () => Record<string, string> | undefined,
  aliases?: readonly string[],
  typed: Typed = {},
): RowReader | string => {
  const problems: string[] = []
  const indexOf = (ref: FieldRef): number => {
    if (typeof ref === 'number') return width === undefined || ref <= width ? ref - 1 : -1
    const at = names?.indexOf(ref) ?? -1
    return at >= 0 ? at : (aliases?.indexOf(ref) ?? -1)
  }
  const fieldOf = (ref: FieldRef): number => {
    const at = indexOf(ref)
    if (at >= 0) return at
    const has = names
      ? `its columns are ${names
          .filter(n => n !== '')
          .join(', ')
          .slice(0, 400)}`
      : width !== undefined
        ? `it has ${width} columns`
        : 'it has no header'
    problems.push(
      typeof ref === 'number' ? `the file has no column ${ref}; ${has}` : `the file has no column "${ref}"; ${has}`,
    )
    return -1
  }
  const labelOf = (field: number): string => {
    const name = names?.[field]
    return name === undefined || name === '' ? `column ${field + 1}` : `column "${name}"`
  }

  const clockFields = bindTime(options.time, fieldOf)
  const tags = bindTags(options.tags, options.time, context, fieldOf)
  const used = new Set([...clockFields.used, ...tags.fields])
  const listed = options.columns && listColumns(options.columns).filter(c => !c.optional || indexOf(c.from) >= 0)
  const rest = options.otherColumns ?? 'drop'
  const named = new Set([...used, ...(listed ?? []).map(c => fieldOf(c.from))])
  const taken = listed?.map(c => c.name) ?? []
  const others =
    listed && rest === 'drop' ? [] : otherColumns(names, width, named, taken, rest === 'text' ? 'text' : 'float')
  const bound = bindColumns(options, [...(listed ?? []), ...others], fieldOf, units)
  if (options.time && 'column' in options.time && typeof options.time.start === 'object') {
    problems.push('the start of its counter is looked for in a header, and this format has none')
  }
  if (problems.length > 0) return problems[0] as string
  if (listed?.length === 0 && others.length === 0) return `the file has none of the columns that are named`

  const { numberFields, otherFields: texts, plans } = bound
  const arrival = options.time === undefined
  const spreads = arrival ? 'arrival' : options.sameTime
  const sink = createSink(context, format, plans, spreads !== 'replace', restored, attributes)
  const numbers = new Float64Array(numberFields.length)
  const values = new Array<OtherValue>(texts.length).fill(null)
  const at = new Float64Array(2)
  const readTime = typed.time ? (_: Cells, into: Float64Array) => typed.time?.(into) ?? NO_TIME : clockFields.read
  const rejectGap = clockFields.rejectGap
  const entryOf = createTagLookup(tags, options.nullTexts, sink, labelOf, clockFields.equalStepsBack)
  const otherFields = [...new Set([...clockFields.used, ...tags.fields, ...texts.map(o => o.field)])]
  const cellsMin = Math.max(0, ...otherFields.map(f => f + 1), ...numberFields.map(n => n.field + 1))
  const hasSentinels = numberFields.some(n => n.sentinels.length > 0 || n.limits)
  let rowStatus: string | null = null
  const textCaches = texts.map(() => createTextCache())

  /** A row that is refused leaves no status behind for the next one, which may come by the fast path. */
  const readNumbers = (cells: Cells): string | undefined => {
    rowStatus = null
    const reason = readEachNumber(cells)
    if (reason !== undefined) rowStatus = null
    return reason
  }
  const readEachNumber = (cells: Cells): string | undefined => {
    for (let k = 0; k < numberFields.length; k++) {
      const n = numberFields[k] as NumberField
      trimCell(cells, n.field)
      const { from: start, to: end } = cells
      const value = readNumber(cells.bytes, start, end, n.decimal)
      if (Number.isFinite(value)) {
        if (n.int && !Number.isSafeInteger(value)) {
          return `${labelOf(n.field)}: ${quoted(cells, start, end)} is not a whole number below 2^53`
        }
        numbers[k] = value
        continue
      }
      numbers[k] = Number.NaN
      const text = textOf(cells, start, end)
      const dressed = trueMinus.test(text) ? numberOfText(`-${text.slice(1)}`, n) : n.dressed?.(text)
      if (dressed !== undefined) {
        if (n.int && !Number.isSafeInteger(dressed))
          return `${labelOf(n.field)}: "${text}" is not a whole number below 2^53`
        numbers[k] = dressed
        continue
      }
      const status = n.sentinelTexts.get(text)
      if (status !== undefined) rowStatus ??= status
      else if (n.nullTexts.includes(text)) {
        if (n.required)
          return `${labelOf(n.field)}: ${start === end ? 'is empty' : quoted(cells, start, end)} where a number is required`
      } else if (saysNotANumber(text) || !Number.isNaN(value)) rowStatus ??= STATUS_NOT_A_NUMBER
      else
        return `${labelOf(n.field)}: ${start === end ? 'is empty' : `${quoted(cells, start, end)} is not a number`}${start === end ? ' where a number is expected' : ''}`
    }
    return undefined
  }

  /** Turns sentinels into holes and marks what is beyond its limits. Returns the field that must not have one. */
  const readSentinels = (): NumberField | undefined => {
    for (let k = 0; k < numberFields.length; k++) {
      const n = numberFields[k] as NumberField
      for (let i = 0; i < n.sentinels.length; i++) {
        const sentinel = n.sentinels[i] as Sentinel
        if (numbers[k] !== sentinel.value) continue
        if (sentinel.status === null && n.required) return n
        numbers[k] = Number.NaN
        rowStatus ??= sentinel.status
        break
      }
      const { limits } = n
      const value = numbers[k] as number
      if (limits && (value < (limits.min ?? value) || value > (limits.max ?? value))) {
        rowStatus ??= limits.status
        if (!limits.keep) numbers[k] = Number.NaN
      }
    }
    return undefined
  }

  const readOthers = (cells: Cells): string | undefined => {
    for (let k = 0; k < texts.length; k++) {
      const o = texts[k] as OtherField
      if (o.type === 'vector' && typed.curve) {
        values[k] = typed.curve(o.field)
        if (values[k] === null && o.required) return `${labelOf(o.field)}: is empty where a value is required`
        continue
      }
      trimCell(cells, o.field)
      const { from: start, to: end } = cells
      const text = (textCaches[k] as TextCache).read(cells, start, end)
      const status = o.sentinelTexts.size > 0 ? o.sentinelTexts.get(text) : undefined
      if (status !== undefined) {
        rowStatus ??= status
        values[k] = null
      } else if (o.nullTexts.includes(text)) {
        if (o.required)
          return `${labelOf(o.field)}: ${text === '' ? 'is empty' : quoted(cells, start, end)} where a value is required`
        values[k] = null
      } else if (o.type === 'bool') {
        const value = o.truths.get(text) ?? truths.get(text.toLowerCase())
        if (value === undefined) return `${labelOf(o.field)}: ${quoted(cells, start, end)} is neither true nor false`
        values[k] = value
      } else if (o.type === 'vector') {
        const curve = curveOf(text)
        if (!curve) return `${labelOf(o.field)}: ${quoted(cells, start, end)} is not a list of numbers`
        if (curve.length === 0 && o.required) return `${labelOf(o.field)}: is empty where a value is required`
        values[k] = curve
      } else {
        if (text.length > LIMITS.textCharsMax)
          return `${labelOf(o.field)}: has more than ${LIMITS.textCharsMax} characters`
        values[k] = text
      }
    }
    return undefined
  }

  const finish = (cells: Cells, place: RowPlace, atNs: bigint | undefined): string | undefined => {
    const reason = finishRow(cells, place, atNs)
    if (rowStatus !== null) rowStatus = null
    return reason
  }
  const finishRow = (cells: Cells, place: RowPlace, atNs: bigint | undefined): string | undefined => {
    const entry = entryOf(cells)
    if (entry.problem !== undefined) return entry.problem
    const series = entry.series as Series
    let found: Reading = UTC_TIME
    if (!arrival) {
      found = readTime(cells, at)
      if (found === NO_TIME) return timeProblem(cells, clockFields, labelOf)
    } else if (atNs === undefined)
      return 'the record has no time, and none of its arrival is known: name its time column'
    const clock = entry.clock
    const local = at[0] as number
    if (found === LOCAL_TIME && rejectGap && clock.skips(local)) {
      return `${labelOf(clockFields.used[0] ?? 0)}: the local time ${new Date(local).toISOString().slice(0, 19)} does not exist in ${entry.zone}, the clocks skipped it`
    }
    if (hasSentinels) {
      const hole = readSentinels()
      if (hole) return `${labelOf(hole.field)}: is a hole where a number is required`
    }
    const reason = texts.length > 0 ? readOthers(cells) : undefined
    if (reason !== undefined) return reason
    let status = rowStatus
    if (found === LOCAL_TIME) {
      if (local >= clock.low && local < clock.high) {
        at[0] = local - clock.offset
        if (series.overlap.inside) series.overlap.inside = false
      } else {
        at[0] = clock.toUtc(local, series.overlap)
        if (clock.flag !== null) status ??= clock.flag
      }
    }
    if (!arrival && !inRange(at[0] as number)) return timeProblem(cells, clockFields, labelOf)
    if (arrival) {
      const wholeMs = (atNs as bigint) / 1_000_000n
      at[0] = Number(wholeMs)
      at[1] = Number((atNs as bigint) - wholeMs * 1_000_000n)
    }
    if (spreads !== 'replace') spread(series, at, spreads)
    sink.add(series, at, numbers, values, status, place)
    return undefined
  }

  const timeCell: RowReader['timeCell'] = delimiters => {
    const { time } = options
    if (!time || !('column' in time)) return undefined
    const only = typeof time.layout === 'string' ? time.layout : time.layout.length === 1 ? time.layout[0] : undefined
    const fixed = only === undefined ? undefined : fixedWidth(only)
    if (!fixed || fixed.literals.some(byte => delimiters.includes(byte))) return undefined
    return { field: clockFields.used[0] ?? 0, width: fixed.width }
  }

  const isPlain = tags.fields.length === 0 && texts.length === 0 && !hasSentinels && spreads === 'replace'
  const { series, clock } = isPlain ? entryOf(createCells('utf-8')) : {}
  const plain =
    series && clock
      ? { series, clock, readTime, timeReader: clockFields.reader, timeField: clockFields.used[0] ?? 0 }
      : undefined

  return { numbers, numberFields, cellsMin, timeCell, otherFields, readNumbers, finish, sink, plain }
}

/** The sign for minus that is no hyphen, as spreadsheets and typesetters write it. */
const trueMinus = /^[\u2212\uff0d]\d/u
const numberOfText = (text: string, n: Pick<NumberField, 'decimal' | 'dressed'>): number | undefined => {
  const bytes = new TextEncoder().encode(text)
  const value = readNumber(bytes, 0, bytes.length, n.decimal)
  return Number.isFinite(value) ? value : n.dressed?.(text)
}

/** Reads the number of a cell that has marks between its thousands or a text behind it; undefined where it holds none. */
const createDressed = (
  thousands: Thousands | undefined,
  suffixes: readonly string[] | undefined,
  decimal: number,
): NumberField['dressed'] => {
  if (thousands === undefined && suffixes === undefined) return undefined
  const marks =
    thousands === undefined
      ? '[]'
      : thousands === ' '
        ? '[ \\u00a0\\u2009\\u202f]'
        : thousands === "'"
          ? "['’]"
          : `[${thousands}]`
  // Groups of three alone: 1.5 must not become 15.
  const grouped = new RegExp(`^[+-]?\\d{1,3}(?:${marks}\\d{3})+(?:[${String.fromCharCode(decimal)}]\\d*)?$`, 'u')
  const between = new RegExp(marks, 'gu')
  return text => {
    const suffix = suffixes?.find(end => text.endsWith(end))
    let bare = suffix === undefined ? text : text.slice(0, -suffix.length).trimEnd()
    if (thousands !== undefined && grouped.test(bare)) bare = bare.replaceAll(between, '')
    const bytes = new TextEncoder().encode(bare)
    const value = readNumber(bytes, 0, bytes.length, decimal)
    return Number.isFinite(value) ? value : undefined
  }
}

const truths = new Map<string, boolean>([
  ...['true', 't', 'yes', 'y', 'on', '1'].map(text => [text, true] as const),
  ...['false', 'f', 'no', 'n', 'off', '0'].map(text => [text, false] as const),
])

/** A JSON array of numbers and nulls; null is a hole, NaN in the curve. */
const curveOf = (text: string): Float64Array | undefined => {
  let list: unknown
  try {
    list = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!Array.isArray(list) || list.length > LIMITS.vectorLengthMax) return undefined
  const curve = new Float64Array(list.length)
  for (let i = 0; i < list.length; i++) {
    const value: unknown = list[i]
    if (value !== null && typeof value !== 'number') return undefined
    curve[i] = value ?? Number.NaN
  }
  return curve
}

interface TextCache {
  read(cells: Cells, start: number, end: number): string
}
/** Most text columns repeat themselves: the last text is compared before a new string is made. */
const createTextCache = (): TextCache => {
  const lengthMax = 64
  const last = new Uint8Array(lengthMax)
  let length = 0
  let text = ''
  const read = (cells: Cells, start: number, end: number): string => {
    const n = end - start
    if (n === length) {
      let i = 0
      while (i < n && cells.bytes[start + i] === last[i]) i++
      if (i === n) return text
    }
    const made = textOf(cells, start, end)
    if (n <= lengthMax) {
      for (let i = 0; i < n; i++) last[i] = cells.bytes[start + i] as number
      length = n
      text = made
    }
    return made
  }
  return { read }
}

interface BoundTime {
  used: number[]
  read: (cells: Cells, at: Float64Array) => Reading
  rejectGap: boolean
  equalStepsBack: boolean
  expected: string
  /** Set where a time is one cell and nothing is added to it. */
  reader?: TimeReader
}

const bindTime = (time: TimeOptions | undefined, fieldOf: (ref: FieldRef) => number): BoundTime => {
  if (time === undefined) {
    return { used: [], read: () => NO_TIME, rejectGap: false, equalStepsBack: false, expected: '' }
  }
  const layouts = typeof time.layout === 'string' ? [time.layout] : time.layout
  const read = firstOf(layouts.map(createTimeReader))
  const expected = layouts.join(' or ')
  // Signs such as 年 are UTF-8 in a compiled layout, whatever the file is in.
  const isAscii = layouts.every(layout => !/[^\x20-\x7f]/.test(layout))
  if ('column' in time) {
    const field = fieldOf(time.column)
    const start = typeof time.start === 'string' ? parseIsoNs(time.start) : undefined
    const rejectGap = time.gap === 'reject'
    const readCell = (cells: Cells, at: Float64Array): Reading => {
      trimCell(cells, field)
      const { from, to } = cells
      const found = isAscii ? read(cells, from, to, at) : readText(read, textOf(cells, from, to), at)
      if (start !== undefined && found === UTC_TIME) addStart(at, start)
      return found
    }
    const bound = { used: [field], read: readCell, rejectGap, equalStepsBack: false, expected }
    return start === undefined && isAscii ? { ...bound, reader: read } : bound
  }
  if ('columns' in time) {
    const fields = time.columns.map(fieldOf)
    return {
      used: fields,
      read: isAscii ? joinedReader(fields, read) : joinedTextReader(fields, read),
      rejectGap: time.gap === 'reject',
      equalStepsBack: false,
      expected,
    }
  }
  const date = fieldOf(time.date)
  if ('hour' in time) {
    const hour = fieldOf(time.hour)
    const readHour = (cells: Cells, at: Float64Array): Reading => {
      trimCell(cells, date)
      const { from, to } = cells
      const found = isAscii ? read(cells, from, to, at) : readText(read, textOf(cells, from, to), at)
      if (found === NO_TIME) return found
      trimCell(cells, hour)
      const { from: hourFrom, to: hourTo } = cells
      const h = readNumber(cells.bytes, hourFrom, hourTo, 46)
      if (!Number.isInteger(h) || h < 0 || h > 23) return NO_TIME
      at[0] = Math.floor((at[0] as number) / 86_400_000) * 86_400_000 + h * 3_600_000
      at[1] = 0
      return found
    }
    return {
      used: [date, hour],
      read: readHour,
      rejectGap: time.gap !== 'shift',
      equalStepsBack: true,
      expected: `${expected} and an hour from 0 to 23`,
    }
  }
  const clock = fieldOf(time.time)
  const fields = [date, clock]
  return {
    used: fields,
    read: isAscii ? joinedReader(fields, read) : joinedTextReader(fields, read),
    rejectGap: time.gap === 'reject',
    equalStepsBack: false,
    expected,
  }
}

const readText = (read: TimeReader, text: string, at: Float64Array): Reading => {
  const bytes = new TextEncoder().encode(text)
  return read(timeBytes(bytes), 0, bytes.length, at)
}

/** As `joinedReader`, for layouts with signs that are not ASCII. */
const joinedTextReader =
  (fields: readonly number[], read: TimeReader): BoundTime['read'] =>
  (cells, at) => {
    const texts = fields.map(field => {
      trimCell(cells, field)
      const { from, to } = cells
      return textOf(cells, from, to)
    })
    return readText(read, texts.join(' '), at)
  }

/** Reads cells as one text, a blank between each two. */
const joinedReader = (fields: readonly number[], read: TimeReader): BoundTime['read'] => {
  const joined = new Uint8Array(256)
  const joinedBytes = timeBytes(joined)
  return (cells, at) => {
    let length = 0
    for (let k = 0; k < fields.length; k++) {
      if (k > 0) joined[length++] = 32
      trimCell(cells, fields[k] as number)
      const { from, to } = cells
      if (length + to - from >= joined.length) return NO_TIME
      for (let i = from; i < to; i++) joined[length++] = cells.bytes[i] as number
    }
    return read(joinedBytes, 0, length, at)
  }
}

const firstOf = (readers: readonly TimeReader[]): TimeReader => {
  const [only] = readers
  if (only && readers.length === 1) return only
  return (from, start, end, at) => {
    for (const reader of readers) {
      const found = reader(from, start, end, at)
      if (found !== NO_TIME) return found
    }
    return NO_TIME
  }
}

const addStart = (at: Float64Array, start: bigint): void => {
  const startMs = start / 1_000_000n
  const ns = (at[1] as number) + Number(start - startMs * 1_000_000n)
  const carry = Math.floor(ns / 1e6)
  at[0] = (at[0] as number) + Number(startMs) + carry
  at[1] = ns - carry * 1e6
}

const timeProblem = (cells: Cells, time: BoundTime, labelOf: (field: number) => string): string => {
  const seen = time.used.map(field => {
    trimCell(cells, field)
    const { from: start, to: end } = cells
    return `${labelOf(field)}: ${start === end ? 'is empty' : quoted(cells, start, end)}`
  })
  return `${seen.join(', ')} where a time is required (${time.expected})`
}

interface BoundTags {
  /** Fields whose texts choose series and zone, each once. */
  fields: number[]
  /** Index into `fields`, or a fixed name. */
  site: string | { index: number; map: Readonly<Record<string, string>> | undefined }
  device: BoundTags['site']
  stream: BoundTags['site']
  zone: string | { index: number; map: Readonly<Record<string, string>> | undefined }
}

const bindTags = (
  tags: TagsOptions | undefined,
  time: TimeOptions | undefined,
  context: DecoderContext,
  fieldOf: (ref: FieldRef) => number,
): BoundTags => {
  const fields: number[] = []
  const index = (ref: FieldRef): number => {
    const field = fieldOf(ref)
    if (!fields.includes(field)) fields.push(field)
    return fields.indexOf(field)
  }
  const bind = (tag: TagsOptions['site'], fixed: string): BoundTags['site'] =>
    tag === undefined ? fixed : typeof tag === 'string' ? tag : { index: index(tag.column), map: tag.map }
  const zone = time?.zone
  return {
    fields,
    site: bind(tags?.site, context.site),
    device: bind(tags?.device, context.device),
    stream: bind(tags?.stream, context.stream),
    zone:
      zone === undefined ? context.zone : typeof zone === 'string' ? zone : { index: index(zone.by), map: zone.zones },
  }
}

/** What one combination of tag texts stands for. */
interface TagEntry {
  key: readonly Uint8Array[]
  series: Series | undefined
  clock: ZoneClock
  zone: string
  problem: string | undefined
}

const createTagLookup = (
  tags: BoundTags,
  nullTexts: readonly string[],
  sink: Sink,
  labelOf: (field: number) => string,
  equalStepsBack: boolean,
): ((cells: Cells) => TagEntry) => {
  const { fields } = tags
  const clocks = new Map<string, ZoneClock>()
  const entries = new Map<number, TagEntry[]>()
  let count = 0
  let last: TagEntry | undefined

  const clockOf = (zone: string): ZoneClock => {
    let clock = clocks.get(zone)
    if (!clock) {
      clock = createZoneClock(zone, equalStepsBack)
      clocks.set(zone, clock)
    }
    return clock
  }
  const matches = (entry: TagEntry, cells: Cells): boolean => {
    for (let k = 0; k < fields.length; k++) {
      const field = fields[k] as number
      const start = cells.starts[field] as number
      const key = entry.key[k] as Uint8Array
      const n = (cells.ends[field] as number) - start
      if (key.length !== n) return false
      for (let i = 0; i < n; i++) if (cells.bytes[start + i] !== key[i]) return false
    }
    return true
  }
  const hash = (cells: Cells): number => {
    let h = 0x811c9dc5
    for (let k = 0; k < fields.length; k++) {
      const field = fields[k] as number
      const end = cells.ends[field] as number
      for (let i = cells.starts[field] as number; i < end; i++)
        h = Math.imul(h ^ (cells.bytes[i] as number), 0x01000193)
      h = Math.imul(h ^ 0x1ff, 0x01000193)
    }
    return h
  }
  const make = (cells: Cells): TagEntry => {
    let problem: string | undefined
    const texts = fields.map(field => {
      trimCell(cells, field)
      const { from: start, to: end } = cells
      return textOf(cells, start, end)
    })
    const name = (tag: BoundTags['site'], what: string): string => {
      if (typeof tag === 'string') return tag
      const text = texts[tag.index] ?? ''
      const label = labelOf(fields[tag.index] ?? 0)
      if (text !== '' && nullTexts.includes(text)) problem ??= `${label}: "${text}" where the ${what} is required`
      if (tag.map) {
        const mapped = Object.hasOwn(tag.map, text) ? tag.map[text] : undefined
        if (mapped === undefined) problem ??= `${label}: no ${what} is given for "${text.slice(0, 80)}"`
        return mapped ?? ''
      }
      problem ??= nameProblem(text, label, what)
      return text
    }
    const site = name(tags.site, 'site')
    const device = name(tags.device, 'device')
    const stream = name(tags.stream, 'stream')
    const zone = name(tags.zone, 'zone')
    return {
      key: fields.map(f => cells.bytes.slice(cells.starts[f], cells.ends[f])),
      series: problem === undefined ? sink.series(site, device, stream) : undefined,
      clock: clockOf(problem === undefined ? zone : 'UTC'),
      zone,
      problem,
    }
  }
  return cells => {
    if (last && (fields.length === 0 || matches(last, cells))) return last
    const h = hash(cells)
    let bucket = entries.get(h)
    const had = bucket?.find(entry => matches(entry, cells))
    if (had) {
      last = had
      return had
    }
    if (count >= entriesMax) {
      entries.clear()
      count = 0
      bucket = undefined
    }
    last = make(cells)
    count++
    if (bucket) bucket.push(last)
    else entries.set(h, [last])
    return last
  }
}

const nameProblem = (text: string, label: string, what: string): string | undefined => {
  if (text === '') return `${label}: is empty where the ${what} is required`
  if (text.length > LIMITS.nameCharsMax) return `${label}: the ${what} has more than ${LIMITS.nameCharsMax} characters`
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c < 32 || c === 127) return `${label}: the ${what} holds a control character`
  }
  return undefined
}

const bindColumns = (
  options: RowOptions,
  columns: readonly ColumnOptions[],
  fieldOf: (ref: FieldRef) => number,
  units: readonly (string | undefined)[] | undefined,
): { numberFields: NumberField[]; otherFields: OtherField[]; plans: ColumnPlan[] } => {
  const numberFields: NumberField[] = []
  const otherFields: OtherField[] = []
  const plans: ColumnPlan[] = []
  for (const column of columns) {
    const field = fieldOf(column.from)
    const unit = column.unit ?? units?.[field]
    const nullTexts = column.nullTexts ?? options.nullTexts
    const common = { field, name: column.name, required: column.required, nullTexts }
    const head = unit === undefined || unit === '' ? { name: column.name } : { name: column.name, unit }
    if (column.type === 'float' || column.type === 'int') {
      const decimal = (column.decimal ?? options.decimal) === ',' ? 44 : 46
      const bytes = (text: string) => new TextEncoder().encode(text)
      const sentinels: Sentinel[] = []
      const sentinelTexts = new Map<string, string>()
      for (const [text, status] of Object.entries(column.status)) {
        const value = readNumber(bytes(text), 0, bytes(text).length, 46)
        if (Number.isFinite(value)) sentinels.push({ value, status })
        else sentinelTexts.set(text, status)
      }
      for (const text of nullTexts) {
        const value = readNumber(bytes(text), 0, bytes(text).length, decimal)
        if (Number.isFinite(value)) sentinels.push({ value, status: null })
      }
      plans.push({ ...head, type: column.type, slot: numberFields.length })
      numberFields.push({
        ...common,
        int: column.type === 'int',
        decimal,
        emptyIsNull: nullTexts.includes(''),
        sentinels,
        sentinelTexts,
        dressed: createDressed(column.thousands, column.suffixes, decimal),
        limits: column.limits,
      })
    } else {
      plans.push({ ...head, type: column.type, slot: otherFields.length })
      const own = new Map<string, boolean>()
      for (const text of column.trueTexts ?? []) own.set(text, true)
      for (const text of column.falseTexts ?? []) own.set(text, false)
      const sentinelTexts = new Map(Object.entries(column.status))
      otherFields.push({ ...common, type: column.type, sentinelTexts, truths: own })
    }
  }
  return { numberFields, otherFields, plans }
}

/** Columns of the fields that are neither time nor tag nor named; fields without a name are numbered. */
const otherColumns = (
  names: readonly string[] | undefined,
  width: number | undefined,
  used: ReadonlySet<number>,
  named: readonly string[],
  type: 'float' | 'text',
): ColumnOptions[] => {
  const columns: ColumnOptions[] = []
  const reserved = new Set([STATUS_COLUMN, ...named])
  const taken = new Set([...(names ?? []), ...named])
  for (let field = 0; field < (names?.length ?? width ?? 0); field++) {
    const name = names?.[field] || `column${field + 1}`
    if (used.has(field)) continue
    let free = name
    while (reserved.has(free) || (free !== name && taken.has(free))) free = `${free}_`
    columns.push({ name: free, from: field + 1, type, status: {}, required: false })
  }
  return columns
}
