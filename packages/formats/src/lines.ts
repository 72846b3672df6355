/**
 * Lines of text that a pattern reads: serial lines, chatty instruments, odd text. The pattern's named groups are the
 * columns. A line that the pattern does not match is a reject, unless `skip` knows it as chatter.
 */
import type { Json } from '@penstock/frame'
import * as z from 'zod'
import type { Decoder, DecoderContext, Resume } from './decoder.ts'
import { createTextReader } from './input.ts'
import { createLineDecoder } from './line-decoder.ts'
import {
  columnsSchema,
  encodingSchema,
  fieldsOf,
  nullTextsSchema,
  patternSchema,
  repeatedColumn,
  sameTimeSchema,
  tagsSchema,
  timeSchema,
} from './options.ts'
import { createRecordReader } from './record.ts'
import { createRowReader, type RowReader } from './row.ts'
import type { RowPlace } from './series.ts'

export const linesSchema = z
  .strictObject({
    kind: z.literal('lines'),
    encoding: encodingSchema,
    pattern: patternSchema.describe(
      'Regular expression (JavaScript, Unicode) with named groups, e.g. ^T=(?<temperature>\\S+)',
    ),
    skip: patternSchema.optional().describe('Lines that match this hold no row: echo, prompts, banners'),
    time: timeSchema.optional().describe('The groups that hold the time. Without it: the time of arrival'),
    tags: tagsSchema.optional(),
    columns: columnsSchema
      .optional()
      .describe('The groups to keep, with their types. Without it: every group that is neither time nor tag, as float'),
    decimal: z.enum(['.', ',']).default('.').describe('Decimal mark'),
    nullTexts: nullTextsSchema,
    sameTime: sameTimeSchema.default('replace'),
  })
  .check(ctx => {
    const { columns, pattern } = ctx.value
    const repeated = columns && repeatedColumn(columns)
    if (repeated !== undefined) {
      ctx.issues.push({ code: 'custom', path: ['columns'], input: columns, message: `has two columns "${repeated}"` })
    }
    const groups = groupsOf(pattern)
    if (groups.length === 0) {
      ctx.issues.push({
        code: 'custom',
        path: ['pattern'],
        input: pattern,
        message: 'has no named group such as (?<temperature>\\S+)',
      })
    }
    for (const { path, ref } of fieldsOf(ctx.value)) {
      if (typeof ref === 'number' ? ref <= groups.length : groups.includes(ref)) continue
      const message = `the pattern has no group "${ref}"; its groups are ${groups.join(', ')}`
      ctx.issues.push({ code: 'custom', path, input: ref, message })
    }
  })
  .describe('Lines that a pattern reads')
export type LinesOptions = z.output<typeof linesSchema>

/** Names of the groups in their order; empty for a pattern that is none. */
const groupsOf = (pattern: string): string[] => {
  try {
    return Object.keys(new RegExp(`${pattern}|`, 'u').exec('')?.groups ?? {})
  } catch {
    return []
  }
}

export const createLines = (options: LinesOptions, context: DecoderContext, resume?: Resume): Decoder => {
  const pattern = new RegExp(options.pattern, 'u')
  const skip = options.skip === undefined ? undefined : new RegExp(options.skip, 'u')
  const groups = groupsOf(options.pattern)
  const restored = (resume?.checkpoint.state as { format?: Json } | undefined)?.format
  const made = createRowReader(options, context, 'lines', groups, undefined, groups.length, restored)
  const rows: RowReader | undefined = typeof made === 'string' ? undefined : made
  const records = rows && createRecordReader(rows, groups.length)
  const values: unknown[] = groups.map(() => '')
  const textOf = createTextReader()

  const readLine = (text: string, place: RowPlace, atNs: bigint | undefined): string | undefined => {
    const match = pattern.exec(text)
    if (!match) return 'the line does not match the pattern'
    for (let i = 0; i < groups.length; i++) values[i] = match.groups?.[groups[i] as string] ?? ''
    return records ? records.read(values, place, atNs) : String(made)
  }
  return createLineDecoder(
    {
      name: 'lines',
      encoding: options.encoding,
      line: (bytes, from, to, place, atNs, decoder) => {
        const text = textOf(bytes, from, to, decoder)
        return text.trim() !== '' && !skip?.test(text) && (readLine(text, place, atNs) ?? true)
      },
      flush: () => rows?.sink.flush() ?? [],
      state: () => rows?.sink.state() ?? [],
    },
    context,
    resume,
  )
}
