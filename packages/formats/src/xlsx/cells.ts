/** What the cells of a sheet hold, and its rows on their way to the row reader. */
import type { Frame, Json } from '@penstock/frame'
import type { Header } from '../csv-header.ts'
import type { DecoderContext } from '../decoder.ts'
import type { FieldRef, TimeOptions } from '../options.ts'
import { createCellWriter, withMark } from '../record.ts'
import { createRowReader, type RowOptions } from '../row.ts'
import type { RowPlace } from '../series.ts'
import { serialText } from './serial.ts'
import { BOOL, columnLetters, EMPTY, ERROR, NUMBER, SHARED, type SheetRow } from './sheet.ts'
import type { Workbook } from './workbook.ts'

export interface SheetTable {
  /** Appends a row, or says why it is refused. */
  add(cells: SheetRow, place: RowPlace, atNs: bigint | undefined): string | undefined
  /** About how many bytes the last row takes. */
  readonly rowBytes: number
  flush(): Frame[]
  state(): Json
}

const sharedText = ({ texts }: Workbook, place: number): string => {
  if (place < 0 || place >= texts.count) return '#text'
  const start = place === 0 ? 0 : (texts.ends[place - 1] as number)
  return Buffer.from(texts.bytes.buffer, texts.bytes.byteOffset).toString('utf8', start, texts.ends[place])
}

/** Digits of a double as short as they can be; longer ones of a whole number as they stand. */
const numberText = (cells: SheetRow, column: number): string => {
  const value = cells.values[column] as number
  return Number.isInteger(value) && !Number.isSafeInteger(value)
    ? cells.bytes.toString('latin1', cells.starts[column], cells.ends[column])
    : String(value)
}

const isDate = ({ dateStyles }: Workbook, cells: SheetRow, column: number): boolean =>
  cells.kinds[column] === NUMBER && dateStyles[cells.styles[column] as number] === true

/** As text; a number with a date format is its date and time, ISO 8601. */
export const cellText = (workbook: Workbook, cells: SheetRow, column: number): string => {
  switch (cells.kinds[column]) {
    case EMPTY:
      return ''
    case SHARED:
      return sharedText(workbook, cells.values[column] as number)
    case BOOL:
      return cells.values[column] ? 'true' : 'false'
    case NUMBER:
      return (
        (isDate(workbook, cells, column) ? serialText(cells.values[column] as number, workbook.from1904) : undefined) ??
        numberText(cells, column)
      )
    default:
      return cells.texts[column] ?? ''
  }
}

type Options = RowOptions & { decimal: '.' | ',' }

/** Or one sentence that says why no row of the sheet can be read. @param width columns of the table */
export const createSheetTable = (
  options: Options,
  context: DecoderContext,
  workbook: Workbook,
  header: Header,
  width: number,
  restored: Json,
): SheetTable | string => {
  const { time } = options
  const rowOptions = { ...options, nullTexts: [...new Set(['', ...options.nullTexts])], time: withIso(time) }
  const made = createRowReader(
    rowOptions,
    context,
    'xlsx',
    header.names(),
    header.units(),
    width,
    restored,
    undefined,
    header.fullNames(),
  )
  if (typeof made === 'string') return made
  const { numbers, numberFields, otherFields } = made
  const fieldsMax = Math.max(width, made.cellsMin)
  const writer = createCellWriter(fieldsMax)
  const { cells: written } = writer
  const toTime = timeTextOf(workbook, time, ref =>
    typeof ref === 'number' ? ref - 1 : (header.names()?.indexOf(ref) ?? -1),
  )
  // A hole that is allowed is plain.
  const holeIsPlain = numberFields.map(n => !n.required && !n.sentinelTexts.has(''))
  let rowBytes = 0

  const isPlain = (cells: SheetRow): boolean => {
    for (let k = 0; k < numberFields.length; k++) {
      const { field, int } = numberFields[k] as (typeof numberFields)[number]
      const kind = field < cells.count ? cells.kinds[field] : EMPTY
      const value = cells.values[field] as number
      if (kind === EMPTY && holeIsPlain[k]) numbers[k] = Number.NaN
      else if (
        kind === NUMBER &&
        !isDate(workbook, cells, field) &&
        (int ? Number.isSafeInteger(value) : Number.isFinite(value))
      )
        numbers[k] = value
      else return false
    }
    return true
  }
  const write = (cells: SheetRow, field: number): void => {
    if (field >= cells.count) return
    const kind = cells.kinds[field]
    const place = cells.values[field] as number
    const { texts } = workbook
    if (kind === SHARED && place < texts.count) {
      writer.writeBytes(
        field,
        texts.bytes,
        place === 0 ? 0 : (texts.ends[place - 1] as number),
        texts.ends[place] as number,
      )
    } else if (kind !== EMPTY) writer.write(field, toTime(cells, field) ?? cellText(workbook, cells, field))
  }
  /** An error cell is no number, unless the configuration says what its text stands for. */
  const writeNumber = (cells: SheetRow, n: (typeof numberFields)[number]): void => {
    const text = cells.texts[n.field] ?? ''
    const isError = n.field < cells.count && cells.kinds[n.field] === ERROR
    if (isError && !n.nullTexts.includes(text) && !n.sentinelTexts.has(text)) writer.write(n.field, 'NaN')
    else if (n.field < cells.count && cells.kinds[n.field] === NUMBER && !isDate(workbook, cells, n.field)) {
      writer.write(n.field, withMark(numberText(cells, n.field), n.decimal))
    } else write(cells, n.field)
  }

  const add: SheetTable['add'] = (cells, place, atNs) => {
    if (!options.columns) {
      for (let i = width; i < cells.count; i++) {
        if (cells.kinds[i] !== EMPTY)
          return `the row has a value in column ${columnLetters(i)}, where the table has no column`
      }
    }
    writer.begin()
    const plain = isPlain(cells)
    if (!plain) for (const n of numberFields) writeNumber(cells, n)
    for (const field of otherFields) write(cells, field)
    writer.end()
    rowBytes = writer.written() + 8 * (numberFields.length + 1)
    return (plain ? undefined : made.readNumbers(written)) ?? made.finish(written, place, atNs)
  }
  return {
    add,
    get rowBytes() {
      return rowBytes
    },
    flush: () => made.sink.flush(),
    state: () => made.sink.state(),
  }
}

/** Dates of the sheet become ISO 8601, whatever else a column's times are written like. */
const withIso = (time: TimeOptions | undefined): TimeOptions | undefined =>
  time && { ...time, layout: [...new Set(['iso', ...[time.layout].flat()])] }

/** The text of a cell that holds a time or a part of it; undefined where it is as any other's. */
const timeTextOf = (
  workbook: Workbook,
  time: TimeOptions | undefined,
  fieldOf: (ref: FieldRef) => number,
): ((cells: SheetRow, field: number) => string | undefined) => {
  if (!time) return () => undefined
  const { from1904 } = workbook
  const whole = 'column' in time ? fieldOf(time.column) : -1
  const date = 'date' in time ? fieldOf(time.date) : -1
  const hour = 'hour' in time ? fieldOf(time.hour) : -1
  const clock = 'time' in time ? fieldOf(time.time) : -1
  const asExcel = [time.layout].flat().includes('excel')
  return (cells, field) => {
    if (cells.kinds[field] !== NUMBER) return undefined
    const serial = cells.values[field] as number
    if (!isDate(workbook, cells, field)) {
      // Day numbers without a date format; the layout counts from 1900.
      return field === whole && asExcel && from1904 ? String(serial + 1462) : undefined
    }
    if (field === whole) {
      const text = serialText(serial, from1904)
      return serial >= 1 ? text : (text ?? String(serial))
    }
    if (field === date) return serial >= 1 ? serialText(Math.floor(serial), from1904) : undefined
    const ofDay = serial - Math.floor(serial)
    if (field === hour) return String(Math.round(ofDay * 86_400_000) / 3_600_000)
    return field === clock ? serialText(ofDay, from1904) : undefined
  }
}
