/** Every format by its kind: what stands under `format:` in a source's configuration. */
import * as z from 'zod'
import { binarySchema, createBinary } from './binary.ts'
import { createCsv, csvSchema } from './csv.ts'
import type { Decoder, DecoderContext, Resume, SeekDecoder } from './decoder.ts'
import { createImageCsv, imageCsvSchema } from './image-csv.ts'
import { createJson, jsonSchema } from './json.ts'
import { createJsonl, jsonlSchema } from './jsonl.ts'
import { createLines, linesSchema } from './lines.ts'
import { createLta, ltaSchema } from './lta.ts'
import { createOceanview, oceanviewSchema } from './oceanview.ts'
import { createParquet, parquetSchema } from './parquet.ts'
import { withPreset } from './presets.ts'
import { createProtem, protemSchema } from './protem.ts'
import { createTdms, tdmsSchema } from './tdms.ts'
import { createWe7000, we7000Schema } from './we7000.ts'
import { createXlsx, xlsxSchema } from './xlsx.ts'

/** Formats of records that stand alone: what a serial line or a message can bring. */
export const recordFormatSchema = z.preprocess(
  withPreset,
  z.discriminatedUnion('kind', [csvSchema, linesSchema, jsonlSchema, jsonSchema, binarySchema]),
)
export type RecordFormat = z.output<typeof recordFormatSchema>

/** Formats of files. */
export const formatSchema = z.preprocess(
  withPreset,
  z.discriminatedUnion('kind', [
    csvSchema,
    we7000Schema,
    protemSchema,
    ltaSchema,
    oceanviewSchema,
    imageCsvSchema,
    tdmsSchema,
    linesSchema,
    jsonlSchema,
    jsonSchema,
    parquetSchema,
    xlsxSchema,
    binarySchema,
  ]),
)
export type FormatOptions = z.output<typeof formatSchema>

/** Kinds that are read only when the file is complete: a tail must be told when that is. */
export const wholeFileKinds: ReadonlySet<FormatOptions['kind']> = new Set(['image-csv', 'json', 'parquet', 'xlsx'])

/** The decoder of one file. `resume` goes on where an earlier decoder's checkpoint stood. */
export const createFileDecoder = (
  format: FormatOptions,
  context: DecoderContext,
  resume?: Resume,
): Decoder | SeekDecoder => {
  switch (format.kind) {
    case 'tdms':
      return createTdms(format, context, resume)
    case 'parquet':
      return createParquet(format, context, resume)
    case 'xlsx':
      return createXlsx(format, context, resume)
    default:
      return createDecoder(format, context, resume)
  }
}

/** The decoder of a format whose bytes are read front to back; for others see `createFileDecoder`. */
export const createDecoder = (format: FormatOptions, context: DecoderContext, resume?: Resume): Decoder => {
  switch (format.kind) {
    case 'csv':
      return createCsv(format, context, resume)
    case 'we7000':
      return createWe7000(format, context, resume)
    case 'protem':
      return createProtem(format, context, resume)
    case 'lta':
      return createLta(format, context, resume)
    case 'oceanview':
      return createOceanview(format, context, resume)
    case 'image-csv':
      return createImageCsv(format, context, resume)
    case 'lines':
      return createLines(format, context, resume)
    case 'jsonl':
      return createJsonl(format, context, resume)
    case 'binary':
      return createBinary(format, context, resume)
    case 'json':
      return createJson(format, context, resume)
    case 'tdms':
    case 'parquet':
    case 'xlsx':
      throw new TypeError(`the format ${format.kind} is not read front to back`)
  }
}
