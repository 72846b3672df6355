/**
 * One JSON object a line. Dotted paths say where time, tags and columns stand. Numbers may be text and text numbers;
 * `null`, and a path that leads nowhere, is a hole.
 */
import type { Json } from '@penstock/frame'
import * as z from 'zod'
import { createCells, setTexts } from './cells.ts'
import type { Decoder, DecoderContext, Resume } from './decoder.ts'
import { createLineDecoder } from './line-decoder.ts'
import {
  columnsSchema,
  encodingSchema,
  fieldsOf,
  nullTextsSchema,
  repeatedColumn,
  sameTimeSchema,
  tagsSchema,
  timeSchema,
} from './options.ts'
import { createRowReader } from './row.ts'

export const jsonlSchema = z
  .strictObject({
    kind: z.literal('jsonl'),
    encoding: encodingSchema,
    time: timeSchema.optional().describe('The paths that hold the time. Without it: the time of arrival'),
    tags: tagsSchema.optional(),
    columns: columnsSchema.describe('The columns to keep, with their types and, in `from`, their dotted paths'),
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
  const steps = paths.map(path => path.split('.'))
  const restored = (resume?.checkpoint.state as { format?: Json } | undefined)?.format
  // An empty cell is how a hole looks here, whatever else the options count as one.
  const nullTexts = [...new Set(['', ...options.nullTexts])]
  const rowOptions = { ...options, nullTexts, decimal: '.' as const }
  const made = createRowReader(rowOptions, context, 'jsonl', paths, undefined, paths.length, restored)
  const rows = typeof made === 'string' ? undefined : made
  const found = createCells('utf-8')

  const readLine = (text: string): string | undefined => {
    let value: unknown
    try {
      value = JSON.parse(longNumbersAsText(text))
    } catch {
      return 'the line is not JSON'
    }
    if (typeof value !== 'object' || value === null) return 'the line is JSON but no object'
    setTexts(
      found,
      paths.map((path, i) => cellText(valueAt(value, path, steps[i] ?? []))),
    )
    return rows ? rows.readNumbers(found) : String(made)
  }
  return createLineDecoder(
    {
      name: 'jsonl',
      encoding: options.encoding,
      line: (bytes, from, to, place, atNs, decoder) => {
        const text = decoder.decode(bytes.subarray(from, to))
        if (text.trim() === '') return false
        return readLine(text) ?? rows?.finish(found, place, atNs) ?? true
      },
      flush: () => rows?.sink.flush() ?? [],
      state: () => rows?.sink.state() ?? [],
    },
    context,
    resume,
  )
}

const longNumber = /"(?:[^"\\]|\\.)*"|-?\d{16,}(?=\s*[,}\]])/gs
/** Whole numbers of 16 and more digits (epoch ns) do not fit a double: they are read as text. */
const longNumbersAsText = (text: string): string =>
  /\d{16}/.test(text) ? text.replace(longNumber, part => (part.startsWith('"') ? part : `"${part}"`)) : text

/** The value at a dotted path; a key that holds dots itself wins. */
const valueAt = (value: object, path: string, steps: readonly string[]): unknown => {
  if (Object.hasOwn(value, path)) return (value as Record<string, unknown>)[path]
  let at: unknown = value
  for (const step of steps) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined
    at = (at as Record<string, unknown>)[step]
  }
  return at
}

const cellText = (value: unknown): string | null => {
  if (value === undefined || value === null) return null
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
