/** Every format by its kind: what stands under `format:` in a source's configuration. */
import * as z from 'zod'
import { createCsv, csvSchema } from './csv.ts'
import type { Decoder, DecoderContext, Resume } from './decoder.ts'
import { createLines, linesSchema } from './lines.ts'

export const formatSchema = z.discriminatedUnion('kind', [csvSchema, linesSchema])
export type FormatOptions = z.output<typeof formatSchema>

/** The decoder of one file or port. `resume` goes on where an earlier decoder's checkpoint stood. */
export const createDecoder = (format: FormatOptions, context: DecoderContext, resume?: Resume): Decoder => {
  switch (format.kind) {
    case 'csv':
      return createCsv(format, context, resume)
    case 'lines':
      return createLines(format, context, resume)
  }
}
