/**
 * One JSON object a line. Dotted paths say where time, tags and columns stand. Numbers may be text and text numbers;
 * `null`, and a path that leads nowhere, is a hole.
 */
import type { Json } from '@penstock/frame'
import * as z from 'zod'
import type { Decoder, DecoderContext, Resume } from './decoder.ts'
import { createTextReader } from './input.ts'
import { parseValues, valuePath } from './json-value.ts'
import { createLineDecoder } from './line-decoder.ts'
import {
  columnsOrVectorsSchema,
  encodingSchema,
  fieldsOf,
  nullTextsSchema,
  repeatedColumn,
  sameTimeSchema,
  tagsSchema,
  timeSchema,
} from './options.ts'
import { createRecordReader } from './record.ts'
import { createRowReader } from './row.ts'
import type { RowPlace } from './series.ts'

export const jsonlSchema = z
  .strictObject({
    kind: z.literal('jsonl'),
    encoding: encodingSchema,
    time: timeSchema.optional().describe('The paths that hold the time. Without it: the time of arrival'),
    tags: tagsSchema.optional(),
    columns: columnsOrVectorsSchema.describe(
      'The columns to keep, with their types and, in `from`, their dotted paths; vector: a list of numbers',
    ),
    nullTexts: nullTextsSchema,
    sameTime: sameTimeSchema.default('replace'),
  })
  .check(ctx => {
    const { columns } = ctx.value
    const repeated = repeatedColumn(columns)
    if (repeated !== undefined) {
      ctx.issues.push({ code: 'custom', path: ['columns'], input: columns, message: `has two columns "${repeated}"` })
    }
    for (const { path, ref } of fieldsOf(ctx.value)) {
      if (typeof ref === 'string') continue
      const message = 'is a position; an object has only paths such as sensor.temperature'
      ctx.issues.push({ code: 'custom', path, input: ref, message })
    }
  })
  .describe('One JSON object a line')
export type JsonlOptions = z.output<typeof jsonlSchema>

export const createJsonl = (options: JsonlOptions, context: DecoderContext, resume?: Resume): Decoder => {
  const paths = [...new Set(fieldsOf(options).map(({ ref }) => String(ref)))]
  const ways = paths.map(valuePath)
  const values: unknown[] = ways.map(() => undefined)
  const restored = (resume?.checkpoint.state as { format?: Json } | undefined)?.format
  // An empty cell is how a hole looks here, whatever else the options count as one.
  const nullTexts = [...new Set(['', ...options.nullTexts])]
  const rowOptions = { ...options, nullTexts, decimal: '.' as const }
  const made = createRowReader(rowOptions, context, 'jsonl', paths, undefined, paths.length, restored)
  const rows = typeof made === 'string' ? undefined : made
  const records = rows && createRecordReader(rows, paths.length)
  const textOf = createTextReader()

  const readLine = (text: string, place: RowPlace, atNs: bigint | undefined): string | undefined => {
    let value: unknown
    try {
      value = parseValues(text, ways, values)
    } catch {
      return 'the line is not JSON'
    }
    if (typeof value !== 'object' || value === null) return 'the line is JSON but no object'
    return records ? records.read(values, place, atNs) : String(made)
  }
  return createLineDecoder(
    {
      name: 'jsonl',
      encoding: options.encoding,
      line: (bytes, from, to, place, atNs, decoder) => {
        const text = textOf(bytes, from, to, decoder)
        return text.trim() !== '' && (readLine(text, place, atNs) ?? true)
      },
      flush: () => rows?.sink.flush() ?? [],
      state: () => rows?.sink.state() ?? [],
    },
    context,
    resume,
  )
}
