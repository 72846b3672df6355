/** Every format by its kind: what stands under `format:` in a source's configuration. */
import * as z from 'zod'
import { createCsv, csvSchema } from './csv.ts'
import type { Decoder, DecoderContext, Resume } from './decoder.ts'
import { createJsonl, jsonlSchema } from './jsonl.ts'
import { createLines, linesSchema } from './lines.ts'
import { createWe7000, we7000Schema } from './we7000.ts'

export const formatSchema = z.discriminatedUnion('kind', [csvSchema, we7000Schema, linesSchema, jsonlSchema])
export type FormatOptions = z.output<typeof formatSchema>

/** The decoder of one file or port. `resume` goes on where an earlier decoder's checkpoint stood. */
export const createDecoder = (format: FormatOptions, context: DecoderContext, resume?: Resume): Decoder => {
  switch (format.kind) {
    case 'csv':
      return createCsv(format, context, resume)
    case 'we7000':
      return createWe7000(format, context, resume)
    case 'lines':
      return createLines(format, context, resume)
    case 'jsonl':
      return createJsonl(format, context, resume)
  }
}
