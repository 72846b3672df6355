export { type Alone, type AloneReader, createAloneReader, headText, recipeOf } from './alone.ts'
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
export { createImageCsv, type ImageCsvOptions, imageCsvSchema } from './image-csv.ts'
export { createJson, type JsonOptions, jsonSchema } from './json.ts'
export { createJsonl, type JsonlOptions, jsonlSchema } from './jsonl.ts'
export { createLines, type LinesOptions, linesSchema } from './lines.ts'
export { createLta, type LtaOptions, ltaSchema } from './lta.ts'
export { createOceanview, type OceanviewOptions, oceanviewSchema, STATUS_ZONE_UNKNOWN } from './oceanview.ts'
export { createParquet, type ParquetOptions, parquetSchema } from './parquet.ts'
export { type PresetName, presetNames, presetOptions } from './presets.ts'
export { createProtem, type ProtemOptions, protemSchema } from './protem.ts'
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
  createTdms,
  STATUS_DAMAGED_TEXT,
  STATUS_INCOMPLETE,
  STATUS_NO_TIME,
  STATUS_TEXT_CUT,
  STATUS_TOO_LARGE,
  STATUS_UNSCALED,
  type TdmsOptions,
  tdmsSchema,
} from './tdms.ts'
export {
  createWe7000,
  STATUS_INDEX_GAP,
  STATUS_OUT_OF_BOUNDS,
  STATUS_TIME_NOT_LATER,
  type We7000Options,
  we7000Schema,
} from './we7000.ts'
export { createXlsx, type XlsxOptions, xlsxSchema } from './xlsx.ts'
export { STATUS_DST_AMBIGUOUS, STATUS_DST_GAP } from './zone-clock.ts'
