/** zod schemas of all that crosses the wire. What arrives is checked with these before anything else looks at it. */
import * as z from 'zod'
import { parseIsoNs } from './time.ts'

/** Limits of one envelope. The sender keeps them, the receiver refuses more. */
export const LIMITS = {
  /** Body as sent, compressed or not. */
  envelopeBytesMax: 8 * 1024 * 1024,
  /** Body after gunzip. */
  envelopeExpandedBytesMax: 64 * 1024 * 1024,
  framesPerEnvelopeMax: 4096,
  rowsPerEnvelopeMax: 1_000_000,
  columnsPerFrameMax: 4096,
  rejectsPerEnvelopeMax: 65_536,
  ledgerLinesPerEnvelopeMax: 65_536,
  /** A site, device, stream or column name. */
  nameCharsMax: 256,
  /** One value of a text column. */
  textCharsMax: 65_536,
  rejectTextCharsMax: 4096,
  reasonCharsMax: 2048,
  recipesPerEnvelopeMax: 4096,
  /** Of a recipe: its format's options as JSON, and what stands above the rows. */
  recipeFormatCharsMax: 32_768,
  recipeHeadCharsMax: 16_384,
  attributesMax: 256,
  vectorLengthMax: 4_194_304,
  sourcesPerStatusMax: 1024,
  problemsPerStatusMax: 16,
} as const

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
const printable = /^[^\u0000-\u001f\u007f]*$/
/** A site, device, stream, column, gateway or source name: 1 to 256 printable characters. */
export const nameSchema = z.string().min(1).max(LIMITS.nameCharsMax).regex(printable, 'holds a control character')
const count = z.int().min(0)
const isoTime = z
  .string()
  .max(40)
  .refine(text => parseIsoNs(text) !== undefined, 'is not an ISO 8601 time with offset')

export const originSchema = z.object({
  source: nameSchema,
  file: z.string().max(4096).optional(),
  generation: z.int().min(1).optional(),
  firstLine: count.optional(),
  lastLine: count.optional(),
  firstByte: count.optional(),
  lastByte: count.optional(),
  format: z.string().max(64).optional(),
  attributes: z
    .record(z.string().max(LIMITS.nameCharsMax), z.string().max(LIMITS.textCharsMax))
    .refine(a => Object.keys(a).length <= LIMITS.attributesMax, `has more than ${LIMITS.attributesMax} attributes`)
    .optional(),
})

// The elements of `offsets` and `values` are checked while they are copied into typed arrays: one pass instead of two.
const list = z.custom<unknown[]>(Array.isArray, 'expected an array')
export const wireColumnSchema = z.object({
  name: nameSchema,
  unit: z.string().max(LIMITS.nameCharsMax).optional(),
  type: z.enum(['float', 'int', 'bool', 'text', 'vector']),
  axis: list.optional(),
  values: list,
})
export const wireFrameSchema = z.object({
  site: nameSchema,
  device: nameSchema,
  stream: nameSchema,
  start: isoTime,
  /** Offsets from `start` in ns; or, where rows are evenly spaced, `every` ns for `rows` rows. */
  offsets: list.optional(),
  every: z.int().optional(),
  rows: count.max(LIMITS.rowsPerEnvelopeMax).optional(),
  columns: z.array(wireColumnSchema).max(LIMITS.columnsPerFrameMax),
  origin: originSchema.optional(),
})

export const rejectSchema = z.object({
  origin: originSchema,
  reason: z.string().max(LIMITS.reasonCharsMax),
  text: z.string().max(LIMITS.rejectTextCharsMax),
  at: isoTime.optional(),
  /** Position in the envelope's recipes. */
  recipe: count.optional(),
})

export const recipeSchema = z.object({
  format: z
    .record(z.string(), z.unknown())
    .refine(
      format => JSON.stringify(format).length <= LIMITS.recipeFormatCharsMax,
      `is longer than ${LIMITS.recipeFormatCharsMax} characters`,
    ),
  head: z.string().max(LIMITS.recipeHeadCharsMax).optional(),
  site: nameSchema,
  device: nameSchema,
  stream: nameSchema,
  zone: z.string().max(64),
})

export const ledgerLineSchema = z.object({
  source: nameSchema,
  file: z.string().max(4096),
  generation: z.int().min(1),
  rowsRead: count,
  rowsStored: count,
  rowsRejected: count,
  bytes: count,
  firstTime: isoTime.optional(),
  lastTime: isoTime.optional(),
  complete: z.boolean(),
})

export const lossSchema = z.object({
  from: z.int().min(1),
  through: z.int().min(1),
  reason: z.string().max(LIMITS.reasonCharsMax),
})

export const wireEnvelopeSchema = z.object({
  v: z.literal(1),
  frames: z.array(wireFrameSchema).max(LIMITS.framesPerEnvelopeMax).default([]),
  rejects: z.array(rejectSchema).max(LIMITS.rejectsPerEnvelopeMax).default([]),
  recipes: z.array(recipeSchema).max(LIMITS.recipesPerEnvelopeMax).default([]),
  ledger: z.array(ledgerLineSchema).max(LIMITS.ledgerLinesPerEnvelopeMax).default([]),
  loss: lossSchema.optional(),
})

export const receiptSchema = z.object({
  epoch: z.string().max(64),
  through: count,
  resend: z.boolean().optional(),
})

export const healthSchema = z.enum(['ok', 'stale', 'failing', 'starting', 'finished'])
export const statusSchema = z.object({
  online: z.boolean(),
  epoch: z.string().max(64),
  oldestSeq: count,
  nextSeq: count,
  spoolBytes: count,
  clock: isoTime,
  version: z.string().max(64),
  sources: z
    .array(
      z.object({
        id: nameSchema,
        kind: z.string().max(64),
        health: healthSchema,
        message: z.string().max(LIMITS.reasonCharsMax).optional(),
        rows: count,
        rejects: count,
        lastRowAt: isoTime.optional(),
      }),
    )
    .max(LIMITS.sourcesPerStatusMax),
  problems: z.array(z.string().max(LIMITS.reasonCharsMax)).max(LIMITS.problemsPerStatusMax).optional(),
})

const readingValue = z.union([z.number(), z.string().max(LIMITS.textCharsMax), z.boolean(), z.null()])
/**
 * What a plain MQTT device sends on `penstock/v1/readings/<site>/<device>/<stream>`: one reading or an array of them,
 * e.g. `{"time":"2026-03-01T12:00:00Z","values":{"temperature":21.4}}`. Without `time` the moment of arrival counts.
 */
export const plainReadingSchema = z.object({
  time: isoTime.optional(),
  values: z.record(nameSchema, readingValue).refine(v => Object.keys(v).length > 0, 'has no value'),
})
export const plainReadingsSchema = z.union([plainReadingSchema, z.array(plainReadingSchema).min(1).max(10_000)])
export type PlainReading = z.infer<typeof plainReadingSchema>
