/**
 * What a person says is wrong with rejects, and how they are read then. A correction changes the text of a record, the
 * options of its format, or what the row belongs to; the bytes as they came stay where they are.
 *
 *     text ─► delimiter, replacements, decimal commas ─► decoder of the corrected recipe ─► frames that name the reject
 */
import { createContext, Script } from 'node:vm'
import { createAloneReader } from '@penstock/formats'
import { type Frame, type Json, LIMITS, nameSchema, type Recipe } from '@penstock/frame'
import * as z from 'zod'
import type { StoredReject } from './projectors/records.ts'

const column = z.int().min(1).max(4096)
const readable = (pattern: string): boolean => {
  try {
    new RegExp(pattern, 'gu')
    return true
  } catch {
    return false
  }
}
const replacementSchema = z
  .strictObject({
    column: column.optional().describe('Only in this cell of the row, from 1; left out, in the whole text'),
    find: z.string().min(1).max(256).describe('Text, or with `regex` a regular expression'),
    replace: z.string().max(256).default('').describe('What stands there instead; with `regex`, $1 is its first group'),
    regex: z.boolean().default(false),
  })
  .refine(({ find, regex }) => !regex || readable(find), { path: ['find'], message: 'is not a regular expression' })

export const correctionSchema = z
  .strictObject({
    replacements: z.array(replacementSchema).max(8).default([]).describe('Every occurrence, one after the other'),
    decimalComma: z.array(column).max(64).default([]).describe('Cells, from 1, in which a comma is the decimal mark'),
    names: z
      .array(z.string().min(1).max(LIMITS.nameCharsMax))
      .min(1)
      .max(1024)
      .optional()
      .describe('Names of the columns, in place of the header of the file (csv)'),
    format: z
      .record(z.string().max(64), z.unknown())
      .default({})
      .describe('Options of the format that hold instead of those with which it was read, as in a source'),
    site: nameSchema.optional(),
    device: nameSchema.optional(),
    stream: nameSchema.optional(),
    zone: z.string().max(64).optional().describe('IANA zone of local times'),
  })
  .refine(({ format }) => JSON.stringify(format).length <= LIMITS.recipeFormatCharsMax, {
    path: ['format'],
    message: `is longer than ${LIMITS.recipeFormatCharsMax} characters`,
  })
  .describe('How rejects are to be read; without any change: as they were')
export type Correction = z.output<typeof correctionSchema>

/** The correction cannot be used, whatever the reject is: one sentence for the person who made it. */
export class CorrectionError extends Error {
  override name = 'CorrectionError'
}

export type Reread = { frames: Frame[] } | { reason: string }

/** Reads rejects again with a correction. One for a request: the readers of recipes are kept. */
export const createCorrector = (correction: Correction) => {
  const replacers = correction.replacements.map(createReplacer)
  const readers = new Map<string, ReturnType<typeof readerOf>>()
  const readerFor = (recipe: Recipe | undefined, format: string | undefined) => {
    const key = JSON.stringify([recipe, format])
    let reader = readers.get(key)
    if (!reader) {
      reader = readerOf(correctedRecipe(recipe, format, correction))
      readers.set(key, reader)
    }
    return reader
  }
  return (reject: StoredReject): Reread => {
    if (reject.text.length >= LIMITS.rejectTextCharsMax) {
      return { reason: `its text was cut at ${LIMITS.rejectTextCharsMax} characters: it cannot be read whole` }
    }
    const { delimiter, quote, read } = readerFor(reject.recipe, reject.origin.format)
    const cut = delimiter === undefined ? undefined : { delimiter, quote }
    let text = reject.text.replace(/(?:\r\n|\r|\n)$/, '')
    for (const replace of replacers) text = replace(text, cut)
    if (correction.decimalComma.length > 0) {
      if (!cut) throw new CorrectionError('decimalComma: only rows of delimited text have cells.')
      text = mapCells(text, cut, correction.decimalComma, pointOf)
    }
    const { frames, rejects } = read(text, reject.origin, arrivalNsOf(reject))
    const reason = rejects[0]?.reason
    if (reason !== undefined) return { reason }
    if (frames.length === 0) return { reason: 'its text holds no row: a header, a comment or a blank line' }
    return { frames }
  }
}

/** Rows without a time of their own get the time at which they were read, 1 µs apart by their number: the same every time. */
const arrivalNsOf = ({ at, receivedMs, id }: StoredReject): bigint => {
  const readMs = at === undefined ? Number.NaN : Date.parse(at)
  const index = Number(id.split('.')[1] ?? 0) % 1_000_000
  return BigInt(Number.isNaN(readMs) ? receivedMs : readMs) * 1_000_000n + BigInt(index) * 1000n
}

const isObject = (value: unknown): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const correctedRecipe = (had: Recipe | undefined, kind: string | undefined, correction: Correction): Recipe => {
  const changed = correction.format as { [key: string]: Json }
  const base = had?.format ?? { kind: kind ?? 'csv' }
  const isOther = changed.kind !== undefined && changed.kind !== base.kind
  const format: { [key: string]: Json } = isOther ? { ...changed } : { ...base, ...changed }
  // Of the time, a person changes the layout or the zone and leaves the rest.
  if (isObject(had?.format.time) && isObject(changed.time)) format.time = { ...had.format.time, ...changed.time }
  const { names } = correction
  const head = names ? '' : headFor(had, changed.delimiter)
  if (format.kind === 'csv') {
    if (names) format.header = { names }
    else if (head === '' && !hasNames(format.header)) format.header = false
  } else if (names) throw new CorrectionError(`names: only columns of delimited text are named, not of ${format.kind}.`)
  const place = (key: 'site' | 'device' | 'stream'): string => {
    const value = correction[key] ?? had?.[key]
    if (value !== undefined) return value
    throw new CorrectionError(
      `${key}: is missing: the gateway did not say how these were read, so say what they belong to.`,
    )
  }
  const zone = correction.zone ?? had?.zone ?? 'UTC'
  return {
    ...{ format, site: place('site'), device: place('device'), stream: place('stream'), zone },
    ...(head !== '' && { head }),
  }
}

const hasNames = (header: Json | undefined): boolean => isObject(header) && Array.isArray(header.names)

/** A file whose rows have another delimiter than its header: the header is cut as it was, and joined with the new one. */
const headFor = (had: Recipe | undefined, delimiter: Json | undefined): string => {
  const head = had?.head ?? ''
  const old = had?.format.delimiter
  const to = delimiter === 'tab' ? '\t' : delimiter
  if (typeof to !== 'string' || typeof old !== 'string' || head.includes(to)) return head
  return head.replaceAll(old, to)
}

const readerOf = (recipe: Recipe) => {
  const reader = createAloneReader(recipe)
  if (reader.problem !== undefined) throw new CorrectionError(`${reader.problem}.`)
  const { kind, delimiter = ',', quote = '"' } = recipe.format
  return {
    delimiter: kind !== 'csv' ? undefined : delimiter === 'tab' ? '\t' : String(delimiter),
    quote: typeof quote === 'string' ? quote : undefined,
    read: reader.read,
  }
}

interface Cut {
  delimiter: string
  quote: string | undefined
}
/** Changes some cells of a row, from 1; quotes around a cell stay. */
const mapCells = (
  text: string,
  { delimiter, quote }: Cut,
  columns: readonly number[],
  change: (cell: string) => string,
) => {
  const cells = splitRow(text, delimiter, quote)
  for (const number of new Set(columns)) {
    const cell = cells[number - 1]
    if (cell === undefined) continue
    const quoted = quote !== undefined && cell.length > 1 && cell.startsWith(quote) && cell.endsWith(quote)
    cells[number - 1] = quoted ? `${quote}${change(cell.slice(1, -1))}${quote}` : change(cell)
  }
  return cells.join(delimiter)
}

const splitRow = (text: string, delimiter: string, quote: string | undefined): string[] => {
  const cells: string[] = []
  let from = 0
  let inside = false
  for (let i = 0; i < text.length; i++) {
    if (text[i] === quote) inside = !inside
    else if (text[i] === delimiter && !inside) {
      cells.push(text.slice(from, i))
      from = i + 1
    }
  }
  cells.push(text.slice(from))
  return cells
}

/** `1.234,5` is 1234.5. */
const pointOf = (cell: string): string => {
  const comma = cell.lastIndexOf(',')
  if (comma < 0) return cell
  return `${cell.slice(0, comma).replace(/[.,]/g, '')}.${cell.slice(comma + 1)}`
}

/** For one text; a pattern that takes longer on 4,096 characters backtracks without end. */
const patternMsMax = 100
const replaceScript = new Script('text.replace(new RegExp(find, "gu"), replace)')

const createReplacer = ({ column, find, replace, regex }: Correction['replacements'][number], i: number) => {
  const context = regex ? createContext({ text: '', find, replace }) : undefined
  const change = (text: string): string => {
    if (!context) return text.replaceAll(find, () => replace)
    context.text = text
    try {
      return String(replaceScript.runInContext(context, { timeout: patternMsMax }))
    } catch (cause) {
      throw new CorrectionError(
        `replacements[${i}].find: the pattern takes longer than ${patternMsMax} ms on one row: write it more simply.`,
        { cause },
      )
    }
  }
  return (text: string, cut: Cut | undefined): string => {
    if (column === undefined) return change(text)
    if (!cut) throw new CorrectionError(`replacements[${i}].column: only rows of delimited text have cells.`)
    return mapCells(text, cut, [column], change)
  }
}
