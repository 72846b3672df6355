export { type CsvOptions, createCsv, csvSchema } from './csv.ts'
export type { Checkpoint, Decoded, Decoder, DecoderContext, Resume } from './decoder.ts'
export { createDecoder, type FormatOptions, formatSchema } from './format.ts'
export { createLines, type LinesOptions, linesSchema } from './lines.ts'
