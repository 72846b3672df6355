/**
 * One JSON document: records in a list somewhere within it, a single record, or lists side by side (columns).
 *
 * The document is never held as a whole. Its bytes are walked to the place of the records; what stands beside them is
 * passed over; each record is parsed by itself, so that a large file takes no more memory than its largest record, and
 * can be gone on with behind any of them. What is no JSON ends the document: one reject says where, by line and column.
 */
import { type Json, LIMITS, type Reject } from '@penstock/frame'
import * as z from 'zod'
import type { Checkpoint, Decoded, Decoder, DecoderContext, Resume } from './decoder.ts'
import { type Encoding, encodingOf, markBytesMax, mayBeMark } from './input.ts'
import { parseValues, type ValuePath, valueAt, valuePath } from './json-value.ts'
import { createWalker, type WalkerState } from './json-walk.ts'
import {
  columnsOrVectorsSchema,
  fieldsOf,
  nullTextsSchema,
  repeatedColumn,
  sameTimeSchema,
  tagsSchema,
  timeSchema,
} from './options.ts'
import { createRecordReader } from './record.ts'
import { rejectOf } from './reject.ts'
import { createRowReader, type RowReader } from './row.ts'
import type { RowPlace } from './series.ts'

export const jsonSchema = z
  .strictObject({
    kind: z.literal('json'),
    records: z
      .string()
      .min(1)
      .max(1024)
      .default('$')
      .describe(
        'Where the records stand: $, the document itself (default); a dotted path such as data.items; or a JSON Pointer such as /data/items. A list there holds the records, an object is the only one',
      ),
    shape: z
      .enum(['records', 'columns'])
      .default('records')
      .describe(
        'records: each record by itself. columns: one object that holds a list for each column, all equally long',
      ),
    time: timeSchema.optional().describe('The paths that hold the time. Without it: the time of arrival'),
    tags: tagsSchema.optional(),
    columns: columnsOrVectorsSchema.describe(
      'The columns to keep, with their types and, in `from`, their dotted paths within a record; $ is the record itself, 0 the first of a list',
    ),
    nullTexts: nullTextsSchema,
    sameTime: sameTimeSchema.default('replace'),
    columnsBytesMax: z
      .int()
      .min(1024)
      .max(256 * 1024 * 1024)
      .default(16 * 1024 * 1024)
      .describe('With shape columns: how large their object may be, in bytes; it is held as a whole'),
  })
  .check(ctx => {
    const { columns } = ctx.value
    const repeated = repeatedColumn(columns)
    if (repeated !== undefined) {
      ctx.issues.push({ code: 'custom', path: ['columns'], input: columns, message: `has two columns "${repeated}"` })
    }
    for (const { path, ref } of fieldsOf(ctx.value)) {
      if (typeof ref === 'string') continue
      const message =
        'is a position; a record has only paths such as sensor.temperature, or "0" for the first of a list'
      ctx.issues.push({ code: 'custom', path, input: ref, message })
    }
  })
  .describe('One JSON document')
export type JsonOptions = z.output<typeof jsonSchema>

/** `$` → none, `data.items` → data, items; `/a~1b/0` → a/b, 0. */
const stepsOf = (records: string): string[] => {
  if (records === '$') return []
  if (!records.startsWith('/')) return records.replace(/^\$\./, '').split('.')
  return records
    .slice(1)
    .split('/')
    .map(step => step.replaceAll('~1', '/').replaceAll('~0', '~'))
}

export const createJson = (options: JsonOptions, context: DecoderContext, resume?: Resume): Decoder => {
  const inColumns = options.shape === 'columns'
  const from = resume?.checkpoint
  const state = (from && from.offset > 0 ? from.state : null) as { walk?: Json; rows?: Json } | null
  const paths = [...new Set(fieldsOf(options).map(({ ref }) => String(ref)))]
  const ways = paths.map(valuePath)
  // An empty cell is how a hole looks here, whatever else the options count as one.
  const nullTexts = [...new Set(['', ...options.nullTexts])]
  const rowOptions = { ...options, nullTexts, decimal: '.' as const }
  const made = createRowReader(rowOptions, context, 'json', paths, undefined, paths.length, state?.rows)
  const rows: RowReader | undefined = typeof made === 'string' ? undefined : made
  const records = rows && createRecordReader(rows, paths.length)
  const decoder = new TextDecoder()

  let encoding: Encoding | undefined
  let offset = 0
  let rejects: Reject[] = []
  let rowsRead = 0
  /** A place names both ends of a record; its lines are counted by the walker. */
  const place: RowPlace = { firstLine: 0, lastLine: 0, firstByte: 0, lastByte: 0 }
  let atNs: bigint | undefined
  let bytes: Uint8Array = new Uint8Array(0)
  /** The same memory, for its text method. */
  let view = Buffer.alloc(0)
  const values: unknown[] = ways.map(() => undefined)

  const reject = (reason: string, start: number, end: number): void => {
    rowsRead++
    rejects.push(rejectOf(context, 'json', place, reason, bytes, start, end, decoder))
  }
  const readRow = (values: readonly unknown[]): string | undefined => {
    const reason = records ? records.read(values, place, atNs) : String(made)
    if (reason === undefined) rowsRead++
    return reason
  }
  const parse = (text: string): unknown => {
    try {
      return parseValues(text, ways, values)
    } catch (error) {
      return error
    }
  }
  const readRecord = (start: number, end: number): void => {
    const value = parse(view.toString('utf8', start, end))
    if (value instanceof SyntaxError) {
      const where = `line ${place.firstLine}, column ${walker.column()}`
      reject(`the record that begins in ${where} is not JSON: ${value.message}`, start, end)
    } else if (inColumns) readColumns(value, start, end)
    else if ((typeof value !== 'object' || value === null) && !paths.includes('$')) {
      reject('the record is no object', start, end)
    } else {
      const reason = readRow(values)
      if (reason !== undefined) reject(reason, start, end)
    }
  }
  const readColumns = (value: unknown, start: number, end: number): void => {
    const lists = listsAt(value, ways)
    if (typeof lists === 'string') {
      reject(lists, start, end)
      return
    }
    const length = Math.max(0, ...lists.map(list => list?.length ?? 0))
    for (let i = 0; i < length; i++) {
      const ofRow = lists.map(list => list?.[i])
      const reason = readRow(ofRow)
      if (reason === undefined) continue
      const text = new TextEncoder().encode(
        JSON.stringify(Object.fromEntries(paths.map((path, k) => [path, ofRow[k]]))),
      )
      rowsRead++
      rejects.push(rejectOf(context, 'json', place, `value ${i + 1}: ${reason}`, text, 0, text.length, decoder))
    }
  }

  const walker = createWalker(
    {
      steps: stepsOf(options.records),
      path: options.records,
      recordBytesMax: inColumns ? options.columnsBytesMax : context.recordBytesMax,
      keyBytesMax: context.recordBytesMax,
      excerptBytesMax: Math.min(context.recordBytesMax, LIMITS.rejectTextCharsMax),
      record: readRecord,
      reject,
      place,
    },
    state?.walk as WalkerState | undefined,
  )

  const push: Decoder['push'] = (pushed, last, arrivedNs) => {
    rejects = []
    rowsRead = 0
    let mark = 0
    if (!encoding) {
      if (pushed.length < markBytesMax && !last && mayBeMark(pushed)) return result(0)
      encoding = encodingOf('utf-8', pushed)
      mark = encoding.markBytes
      offset = mark
    }
    const input = encoding.input(pushed.subarray(mark), last)
    bytes = input.bytes
    view = Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length)
    atNs = arrivedNs
    const end = walker.walk(bytes, last, offset, input.fileBytes)
    const used = last ? pushed.length - mark : input.fileBytes(0, end)
    offset += used
    return result(used + mark)
  }
  const result = (used: number): Decoded => ({
    frames: rows?.sink.flush() ?? [],
    rejects,
    used,
    rowsRead,
    rowsRejected: rejects.length,
  })
  const checkpoint = (): Checkpoint => ({
    offset,
    headBytes: encoding?.markBytes ?? 0,
    line: walker.line(),
    state: { walk: walker.state() as unknown as Json, rows: rows?.sink.state() ?? [] },
  })
  if (resume && from && from.offset > 0) {
    encoding = encodingOf('utf-8', resume.head)
    offset = from.offset
  }
  return { push, checkpoint }
}

/** The lists of an object that holds columns; or why it holds none. */
const listsAt = (value: unknown, ways: readonly ValuePath[]): (readonly unknown[] | undefined)[] | string => {
  if (typeof value !== 'object' || value === null) return 'the columns stand in no object'
  const lists: (readonly unknown[] | undefined)[] = []
  let length: number | undefined
  for (const way of ways) {
    const list = valueAt(value, way)
    if (list === undefined || list === null) {
      lists.push(undefined)
      continue
    }
    if (!Array.isArray(list)) return `"${way.path}" is no list`
    length ??= list.length
    if (list.length !== length) {
      return `the lists of the columns are not equally long: "${way.path}" has ${list.length} values, the one before ${length}`
    }
    lists.push(list)
  }
  return length === undefined ? 'there is no list of any column' : lists
}
