/**
 * One record, read again without its file: by its text, and by the recipe that the gateway sent with it. The bytes above
 * the rows (names, units, metadata) come first, as text, so that every format that is read front to back reads it as it
 * would have read it in its place.
 */
import { type Frame, type Json, LIMITS, type Recipe, type Reject } from '@penstock/frame'
import type { DecoderContext } from './decoder.ts'
import { createDecoder, type FormatOptions, formatSchema } from './format.ts'
import { createTextDecoder, encodingOf } from './input.ts'

/** What stands above the rows, as text; `undefined` where it is too long to travel with each envelope. */
export const headText = (format: FormatOptions, head: Uint8Array): string | undefined => {
  if (head.length === 0) return ''
  const { markBytes, textEncoding, input } = encodingOf('encoding' in format ? format.encoding : 'utf-8', head)
  const text = createTextDecoder(textEncoding).decode(input(head.subarray(markBytes), true).bytes)
  return text.length > LIMITS.recipeHeadCharsMax ? undefined : text
}

/** Kinds whose records are text that can be read one by one. */
const aloneKinds: ReadonlySet<FormatOptions['kind']> = new Set([
  ...(['csv', 'lines', 'jsonl', 'we7000', 'protem', 'lta', 'oceanview'] as const),
])

/** The recipe of the records of a file; `undefined` where they cannot be read one by one. */
export const recipeOf = (
  format: FormatOptions,
  { site, device, stream, zone }: Pick<DecoderContext, 'site' | 'device' | 'stream' | 'zone'>,
  head: Uint8Array,
): Recipe | undefined => {
  if (!aloneKinds.has(format.kind)) return undefined
  const text = headText(format, head)
  const options = JSON.parse(JSON.stringify(format)) as { [key: string]: Json }
  if (text === undefined || JSON.stringify(options).length > LIMITS.recipeFormatCharsMax) return undefined
  return { format: options, ...(text !== '' && { head: text }), site, device, stream, zone }
}

export interface Alone {
  frames: Frame[]
  rejects: Reject[]
}

/** @param problem one sentence where the recipe cannot read a record alone, whatever the record is */
export type AloneReader =
  | { problem: string }
  | { problem?: undefined; read(text: string, origin: { source: string; file?: string }, atNs: bigint): Alone }

const recordBytesMax = 4 * LIMITS.textCharsMax

/** Reads records by a recipe. Pure and total. */
export const createAloneReader = (recipe: Recipe): AloneReader => {
  const parsed = formatSchema.safeParse({ ...recipe.format, ...('encoding' in recipe.format && { encoding: 'utf-8' }) })
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    return { problem: `format${(issue?.path ?? []).map(key => `.${String(key)}`).join('')}: ${issue?.message}` }
  }
  const format = parsed.data
  if (!aloneKinds.has(format.kind)) return { problem: `a record of the format ${format.kind} cannot be read alone` }
  const head = recipe.head ?? ''
  const above = head === '' || /[\r\n]$/.test(head) ? head : `${head}\n`
  const encoder = new TextEncoder()
  return {
    read(text, { source, file }, atNs) {
      const { site, device, stream, zone } = recipe
      const decoder = createDecoder(format, {
        ...{ source, site, device, stream, zone, recordBytesMax, frameRowsMax: 1024 },
        ...(file !== undefined && { file }),
      })
      const { frames, rejects } = decoder.push(encoder.encode(`${above}${text}\n`), true, atNs)
      return { frames, rejects }
    },
  }
}
