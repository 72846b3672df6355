/** The options that the formats share, as people write them in YAML: encoding, time, tags, columns. */
import { isZone, nameSchema, parseIsoNs, STATUS_COLUMN } from '@penstock/frame'
import * as z from 'zod'
import { layoutProblem } from './time-layout.ts'

/** Encodings that are no label of the WHATWG standard, under the name by which the trade knows them. */
const encodingAliases: Record<string, string> = {
  cp932: 'shift_jis',
  'ms-932': 'shift_jis',
  cp936: 'gbk',
  cp949: 'euc-kr',
}

/** The WHATWG name of an encoding, or `undefined` where the runtime cannot read it or its bytes hide ASCII (ISO-2022-JP). */
export const encodingName = (label: string): string | undefined => {
  const lower = label.trim().toLowerCase()
  try {
    const name = new TextDecoder(encodingAliases[lower] ?? lower).encoding
    return name === 'iso-2022-jp' ? undefined : name
  } catch {
    return undefined
  }
}

export const encodingSchema = z
  .string()
  .refine(label => encodingName(label) !== undefined, {
    error: issue =>
      `"${String(issue.input)}" is not an encoding; known are utf-8, utf-16le, utf-16be, shift_jis (cp932), windows-1252, iso-8859-15 and the others of the WHATWG standard`,
  })
  .default('utf-8')
  .describe(
    'Encoding of the text, e.g. utf-8, utf-16le, shift_jis, windows-1252. A byte order mark at the start of the file wins.',
  )

const oneByte = (text: string) => text.length === 1 && text.charCodeAt(0) < 128 && !/[\r\n\d]/.test(text)
export const asciiSchema = z.string().refine(oneByte, 'is not one ASCII character')
export const delimiterSchema = z
  .preprocess(
    d => (d === 'tab' ? '\t' : d),
    z.string().refine(oneByte, 'is not one ASCII character; write "tab" for a tab'),
  )
  .default(',')
  .describe('What stands between cells: "," ";" "|" or tab')

export const patternSchema = z
  .string()
  .min(1)
  .max(4096)
  .check(ctx => {
    try {
      new RegExp(ctx.value, 'u')
    } catch (error) {
      ctx.issues.push({ code: 'custom', input: ctx.value, message: (error as Error).message })
    }
  })

/** A field of the record: by its name in the header (lines: the named group; jsonl: the dotted path), or by its position from 1. */
export const fieldSchema = z
  .union([z.string().min(1), z.int().min(1)])
  .describe(
    'A column of the file: its name in the header, or its position from 1. In `lines` a named group, in `jsonl` a dotted path.',
  )
export type FieldRef = z.infer<typeof fieldSchema>

export const zoneNameSchema = z.string().refine(isZone, {
  error: issue => `"${String(issue.input)}" is not an IANA time zone such as Europe/Paris`,
})
const layoutSchema = z.string().check(ctx => {
  const problem = layoutProblem(ctx.value)
  if (problem) ctx.issues.push({ code: 'custom', input: ctx.value, message: `the layout "${ctx.value}" ${problem}` })
})
const dateLayoutSchema = z.string().check(ctx => {
  const problem = layoutProblem(ctx.value, true)
  if (problem) ctx.issues.push({ code: 'custom', input: ctx.value, message: `the layout "${ctx.value}" ${problem}` })
})
const layoutText =
  'How times are written: iso, a count since 1970 or a start (s, ms, us, ns, min, h, d, or hms as 26:05:07.5), excel, or tokens such as YYYY/MM/DD HH:mm:ss.SSS. Several are tried in order.'
export const layoutsSchema = z.union([layoutSchema, z.array(layoutSchema).min(1).max(16)])
const dateLayouts = z.union([dateLayoutSchema, z.array(dateLayoutSchema).min(1).max(16)])

const zoneSchema = z
  .union([
    zoneNameSchema,
    z.strictObject({
      by: fieldSchema.describe('The column whose text chooses the zone'),
      zones: z.record(z.string(), zoneNameSchema).describe('Zone by that text'),
    }),
  ])
  .optional()
  .describe("IANA zone of local times, or the zone by a column's text. Without it: the zone of the source's site.")
const gapSchema = z
  .enum(['shift', 'reject'])
  .optional()
  .describe(
    'What becomes of a local time that the clocks skipped in spring. shift: read with the offset that held before, flagged dst-gap (default). reject: the default of date and hour tables.',
  )

export const timeSchema = z
  .union([
    z.strictObject({
      column: fieldSchema.describe('The column that holds the time'),
      layout: layoutsSchema.default('iso').describe(layoutText),
      zone: zoneSchema,
      gap: gapSchema,
      start: z
        .union([
          z
            .string()
            .refine(
              text => parseIsoNs(text) !== undefined,
              'is not an ISO 8601 time with offset such as 2026-03-01T08:00:00+09:00',
            ),
          z.strictObject({
            pattern: patternSchema.describe(
              'Regular expression on the lines above the data (passed over, or comments); its first group is the time, e.g. ^Start: (.+)$',
            ),
            layout: layoutsSchema.default('iso').describe('How that time is written'),
          }),
        ])
        .optional()
        .describe(
          'For counters (layout s, ms, us, ns, min, h, d, hms): the moment at which the counter was 0, ISO 8601 with offset; or, in csv, where the header tells it',
        ),
    }),
    z.strictObject({
      date: fieldSchema.describe('The column that holds the date'),
      hour: fieldSchema.describe('The column that holds the hour, 0 to 23'),
      layout: dateLayouts.default('YYYY-MM-DD').describe('How dates are written'),
      zone: zoneSchema,
      gap: gapSchema,
    }),
    z.strictObject({
      date: fieldSchema.describe('The column that holds the date'),
      time: fieldSchema.describe('The column that holds the time of day'),
      layout: layoutsSchema.default('YYYY-MM-DD HH:mm:ss').describe('Layout of date, one blank, time of day'),
      zone: zoneSchema,
      gap: gapSchema,
    }),
    z.strictObject({
      columns: z
        .array(fieldSchema)
        .min(2)
        .max(8)
        .describe('The columns that hold the parts of the time, e.g. [year, month, day, hour]'),
      layout: layoutsSchema.describe('Layout of the parts in that order, one blank between, e.g. YYYY M D H'),
      zone: zoneSchema,
      gap: gapSchema,
    }),
  ])
  .describe('Where the time of a row stands')
export type TimeOptions = z.infer<typeof timeSchema>

const tagSchema = z.union([
  nameSchema,
  z.strictObject({
    column: fieldSchema.describe('The column whose text is the name'),
    map: z
      .record(z.string(), nameSchema)
      .optional()
      .describe('Name by the text in the file; a text that is not in the map is a reject'),
  }),
])
export const tagsSchema = z
  .strictObject({
    site: tagSchema.optional(),
    device: tagSchema.optional(),
    stream: tagSchema.optional(),
  })
  .describe("Which site, device and stream a row belongs to: a fixed name, or a column. Without it: the source's own.")
export type TagsOptions = z.infer<typeof tagsSchema>

const limitsSchema = z
  .strictObject({
    min: z.number().optional().describe('Smallest value that is none of these'),
    max: z.number().optional().describe('Largest value that is none of these'),
    status: z.string().min(1).max(64).default('out-of-range').describe('Status of the row, e.g. spike'),
    keep: z
      .boolean()
      .default(true)
      .describe('true: the value stays, and counts in sums and means. false: it becomes a hole'),
  })
  .refine(({ min, max }) => min !== undefined || max !== undefined, 'names neither min nor max')
  .describe('What a value may be; one outside marks its row: spikes, idle gauges, open circuits')
export type Limits = z.output<typeof limitsSchema>

const columnType = z.enum(['float', 'int', 'bool', 'text'])
const columnOrVectorType = z.enum(['float', 'int', 'bool', 'text', 'vector'])
const columnShape = {
  from: fieldSchema.optional().describe('The column of the file, where it has another name there'),
  type: columnType.default('float'),
  unit: z.string().max(256).optional(),
  status: z
    .record(z.string(), z.string().min(1).max(64))
    .optional()
    .describe(
      'Sentinels: a value that stands for a state. The value becomes a hole, the row gets the status, e.g. {-1: failed}',
    ),
  nullTexts: z.array(z.string()).optional().describe('Texts that stand for a hole, in place of those of the format'),
  trueTexts: z.array(z.string()).optional().describe('For bool: texts that are true, beside true, t, yes, y, on, 1'),
  falseTexts: z.array(z.string()).optional().describe('For bool: texts that are false, beside false, f, no, n, off, 0'),
  required: z.boolean().optional().describe('A hole makes the row a reject'),
  decimal: z.enum(['.', ',']).optional().describe('Decimal mark, where it differs from that of the format'),
  thousands: z
    .enum(['.', ',', ' ', "'"])
    .optional()
    .describe('For numbers: the mark between thousands, as in 1.204,5. A blank stands for those that do not break too'),
  suffixes: z
    .array(z.string().min(1).max(32))
    .min(1)
    .max(16)
    .optional()
    .describe('For numbers: texts of which one may stand behind the number in its cell, e.g. ["°C"]'),
  limits: limitsSchema.optional(),
  optional: z.boolean().optional().describe('The file may lack it: then there is no such column'),
}
const numbersOnly = (column: { type: string; limits?: unknown; thousands?: unknown; suffixes?: unknown }) =>
  (column.limits === undefined && column.thousands === undefined && column.suffixes === undefined) ||
  column.type === 'float' ||
  column.type === 'int'
const noLimits = {
  path: ['type'],
  message: 'only a column of type float or int has limits, a mark between thousands or suffixes',
}
const notReserved = (name: string) => name !== STATUS_COLUMN
const reserved = `the name "${STATUS_COLUMN}" is taken by the row status; give the column another name and say from: ${STATUS_COLUMN}`
const columnName = nameSchema.refine(notReserved, reserved)
const columnMap = <S extends z.ZodType>(column: S) =>
  z.record(z.string(), column).check(ctx => {
    const names = Object.keys(ctx.value)
    if (names.length === 0) ctx.issues.push({ code: 'custom', input: ctx.value, message: 'names no column' })
    for (const name of names) {
      const issue = columnName.safeParse(name).error?.issues[0]
      if (issue) ctx.issues.push({ code: 'custom', path: [name], input: name, message: issue.message })
    }
  })
/** A list of {name, …}, or a map from the name to {…} or just the type. */
export const columnsSchema = z
  .union([
    z.array(z.strictObject({ name: columnName, ...columnShape }).refine(numbersOnly, noLimits)).min(1),
    columnMap(z.union([columnType, z.strictObject(columnShape).refine(numbersOnly, noLimits)])),
  ])
  .describe('The columns to keep, with their types')

const vectorShape = { ...columnShape, type: columnOrVectorType.default('float') }
/** The same in formats that can hold lists of numbers. */
export const columnsOrVectorsSchema = z
  .union([
    z.array(z.strictObject({ name: columnName, ...vectorShape }).refine(numbersOnly, noLimits)).min(1),
    columnMap(z.union([columnOrVectorType, z.strictObject(vectorShape).refine(numbersOnly, noLimits)])),
  ])
  .describe('The columns to keep, with their types; vector: a list of numbers, such as a spectrum')
export type ColumnsOptions = z.infer<typeof columnsSchema> | z.infer<typeof columnsOrVectorsSchema>

export const nullTextsSchema = z
  .array(z.string())
  .default([''])
  .describe('Texts that stand for a hole, e.g. ["", "NULL"]')
export const sameTimeSchema = z
  .enum(['replace', 'keep'])
  .describe(
    'Rows of one series at the same time. replace: the later one replaces the earlier in the store. keep: each further one is moved by 1 ns, so that all stay.',
  )

/** The mark between thousands. */
export type Thousands = '.' | ',' | ' ' | "'"

/** One column as configured, whichever way it was written. */
export interface ColumnOptions {
  name: string
  from: FieldRef
  type: z.infer<typeof columnOrVectorType>
  unit?: string | undefined
  status: Record<string, string>
  nullTexts?: string[] | undefined
  trueTexts?: string[] | undefined
  falseTexts?: string[] | undefined
  required: boolean
  decimal?: '.' | ',' | undefined
  thousands?: Thousands | undefined
  suffixes?: string[] | undefined
  limits?: Limits | undefined
  optional?: boolean | undefined
}

type AsWritten = Pick<ColumnOptions, 'name' | 'type'> & { [K in keyof ColumnOptions]?: ColumnOptions[K] | undefined }

export const listColumns = (columns: ColumnsOptions): ColumnOptions[] => {
  const list: AsWritten[] = Array.isArray(columns)
    ? columns
    : Object.entries(columns).map(([name, c]) => (typeof c === 'string' ? { name, type: c } : { name, ...c }))
  return list.map(c => ({ ...c, from: c.from ?? c.name, status: c.status ?? {}, required: c.required ?? false }))
}

/** The first name that two columns share, if any. */
export const repeatedColumn = (columns: ColumnsOptions): string | undefined => {
  const seen = new Set<string>()
  for (const { name } of listColumns(columns)) {
    if (seen.has(name)) return name
    seen.add(name)
  }
  return undefined
}

/** Every reference to a field that the options hold, with the path of its key. */
export const fieldsOf = (options: {
  time?: TimeOptions | undefined
  tags?: TagsOptions | undefined
  columns?: ColumnsOptions | undefined
}): { path: (string | number)[]; ref: FieldRef }[] => {
  const found: { path: (string | number)[]; ref: FieldRef }[] = []
  const { time, tags, columns } = options
  if (time) {
    for (const key of ['column', 'date', 'hour', 'time'] as const) {
      const ref = (time as Partial<Record<typeof key, FieldRef>>)[key]
      if (ref !== undefined) found.push({ path: ['time', key], ref })
    }
    if ('columns' in time)
      for (const [i, ref] of time.columns.entries()) found.push({ path: ['time', 'columns', i], ref })
    if (typeof time.zone === 'object') found.push({ path: ['time', 'zone', 'by'], ref: time.zone.by })
  }
  for (const key of ['site', 'device', 'stream'] as const) {
    const tag = tags?.[key]
    if (typeof tag === 'object') found.push({ path: ['tags', key, 'column'], ref: tag.column })
  }
  if (columns) {
    const isList = Array.isArray(columns)
    for (const [i, column] of listColumns(columns).entries()) {
      found.push({ path: ['columns', isList ? i : column.name], ref: column.from })
    }
  }
  return found
}
