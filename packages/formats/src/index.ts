export { type BinaryOptions, binarySchema, createBinary } from './binary.ts'
export { type CsvOptions, createCsv, csvSchema } from './csv.ts'
export type {
  Checkpoint,
  Decoded,
  Decoder,
  DecoderContext,
  FileBytes,
  Pulled,
  Resume,
  SeekDecoder,
} from './decoder.ts'
export {
  createDecoder,
  createFileDecoder,
  type FormatOptions,
  formatSchema,
  type RecordFormat,
  recordFormatSchema,
  wholeFileKinds,
} from './format.ts'
export { createJsonl, type JsonlOptions, jsonlSchema } from './jsonl.ts'
export { createLines, type LinesOptions, linesSchema } from './lines.ts'
export { createScaling, type Scaling } from './scaling.ts'
export {
  type Doubt,
  type Finding,
  type Proposal,
  type SniffInput,
  type SniffResult,
  sniff,
  sniffFile,
} from './sniff.ts'
export {
  createWe7000,
  STATUS_INDEX_GAP,
  STATUS_OUT_OF_BOUNDS,
  STATUS_TIME_NOT_LATER,
  type We7000Options,
  we7000Schema,
} from './we7000.ts'
export { STATUS_DST_AMBIGUOUS, STATUS_DST_GAP } from './zone-clock.ts'
