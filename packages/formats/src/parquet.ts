/**
 * Parquet: columns in row groups, told by a footer at the end of the file.
 *
 *     PAR1 │ group 0: column 0 pages … column k pages │ group 1 … │ footer │ length u32 │ PAR1
 *
 * All columns that are used are read side by side, a page of each at a time; so memory is bounded by pages, not by row
 * groups: `pagesBytesMax` for what pages hold unpacked and decoded, beside one packed page, 64 KiB a column, the footer
 * (8 MiB) and the rows of one pull. A page that is damaged costs the rest of its row group, which becomes one reject.
 * Rows have the place of their row group in the file as their bytes, and the number of the row as their line.
 */
import type { Frame, Json, Reject } from '@penstock/frame'
import { parquetMetadata } from 'hyparquet'
import type { RowGroup } from 'hyparquet/src/types.js'
import * as z from 'zod'
import type { Checkpoint, DecoderContext, FileBytes, Pulled, Resume, SeekDecoder } from './decoder.ts'
import { type Disk, readFrom, unlessDamaged } from './disk.ts'
import {
  columnsOrVectorsSchema,
  nullTextsSchema,
  repeatedColumn,
  sameTimeSchema,
  tagsSchema,
  timeSchema,
} from './options.ts'
import { type BlockReader, createBlockReader } from './parquet/blocks.ts'
import { type Chunk, createPageColumn, type PageColumn } from './parquet/pages.ts'
import { type Leaf, leavesOf } from './parquet/schema.ts'
import { damaged } from './parquet/values.ts'
import { rejectOf } from './reject.ts'
import type { RowPlace } from './series.ts'

export const parquetSchema = z
  .strictObject({
    kind: z.literal('parquet'),
    time: timeSchema
      .optional()
      .describe(
        'Where the time of a row stands. A timestamp or date of the file is read as it is; `layout` is for texts and numbers. Without it: the time of arrival',
      ),
    tags: tagsSchema.optional(),
    columns: columnsOrVectorsSchema
      .optional()
      .describe(
        'The columns to keep, a nested one by its dotted path. Without it: every column that is neither time nor tag, by its type in the file',
      ),
    nullTexts: nullTextsSchema,
    sameTime: sameTimeSchema.default('replace'),
    pagesBytesMax: z
      .int()
      .min(1024 * 1024)
      .max(1024 * 1024 * 1024)
      .default(64 * 1024 * 1024)
      .describe('Memory for the pages that are read at a time, one of each column, in bytes'),
  })
  .check(ctx => {
    const { columns } = ctx.value
    const repeated = columns && repeatedColumn(columns)
    if (repeated !== undefined) {
      ctx.issues.push({ code: 'custom', path: ['columns'], input: columns, message: `has two columns "${repeated}"` })
    }
  })
  .describe('Apache Parquet')
export type ParquetOptions = z.output<typeof parquetSchema>

const footerBytesMax = 8 * 1024 * 1024
/** Bytes of values that one pull gives beside `frameRowsMax` rows; a block of rows may exceed them. */
const pullBytesMax = 4 * 1024 * 1024

interface Group {
  rows: number
  /** Rows of the groups before. */
  firstRow: number
  start: number
  end: number
  /** Of each leaf, where it is not damaged. */
  chunks: readonly (Chunk | undefined)[]
}

/** A file whose footer was read. */
interface Table {
  groups: Group[]
  blocks: BlockReader
}

export const createParquet = (options: ParquetOptions, context: DecoderContext, resume?: Resume): SeekDecoder => {
  const state = resume?.checkpoint.state as { readonly row?: Json; readonly series?: Json } | null | undefined
  let offset = resume?.checkpoint.offset ?? 0
  /** Rows given or rejected so far. */
  let row = typeof state?.row === 'number' ? state.row : 0
  let series: Json = state?.series ?? []
  let table: Table | undefined
  /** Of the row group at hand. */
  let columns: readonly PageColumn[] | undefined
  let done = false

  const moveTo = (to: number): number => {
    const used = Math.max(0, to - offset)
    offset += used
    return used
  }
  const rejectRows = (reason: string, rows: number, firstByte: number, lastByte: number): Reject => {
    const place = { firstLine: row + 1, lastLine: row + Math.max(1, rows), firstByte, lastByte }
    return rejectOf(context, 'parquet', place, reason, new Uint8Array(0), 0, 0, new TextDecoder())
  }
  const end = (file: FileBytes): number => {
    done = true
    table = undefined
    columns = undefined
    return moveTo(file.size)
  }

  /** Rows of the group until the pull is full, the group ends or its bytes are damaged: then says how. */
  const readRows = async (group: Group, { blocks }: Table, disk: Disk, rejects: Reject[], atNs: bigint | undefined) => {
    const place: RowPlace = { firstLine: 0, lastLine: 0, firstByte: group.start, lastByte: group.end }
    const stop = Math.min(group.firstRow + group.rows, row + context.frameRowsMax)
    const work = async (): Promise<undefined> => {
      columns ??= await openColumns(group, blocks.used, row - group.firstRow, disk.read, options.pagesBytesMax)
      for (let bytes = 0; row < stop && bytes < pullBytesMax; ) {
        const count = await countOf(columns, blocks.used, stop - row)
        for (const column of columns) column.take(count)
        blocks.begin(columns, count)
        for (let i = 0; i < count; i++) {
          row++
          place.firstLine = row
          place.lastLine = row
          const reason = blocks.row(i, place, atNs)
          if (reason === undefined) continue
          const text = new TextEncoder().encode(blocks.text(i))
          rejects.push(rejectOf(context, 'parquet', place, reason, text, 0, text.length, new TextDecoder()))
        }
        bytes += blocks.bytes()
      }
    }
    return unlessDamaged(disk, work)
  }

  const pull = async (file: FileBytes, last: boolean, atNs?: bigint): Promise<Pulled> => {
    const decoded = { frames: [] as Frame[], rejects: [] as Reject[], rowsRead: 0, rowsRejected: 0 }
    if (!last || done) return { ...decoded, used: 0, more: false }
    const disk = readFrom(file)
    if (!table) {
      const opened = await unlessDamaged(disk, () => openTable(options, context, disk.read, file.size, series))
      if (typeof opened === 'string') {
        const rejects = [rejectRows(opened, 1, 0, file.size)]
        return { ...decoded, rejects, rowsRead: 1, rowsRejected: 1, used: end(file), more: false }
      }
      table = opened
    }
    const open = table
    const group = open.groups.find(g => row < g.firstRow + g.rows)
    if (!group) return { ...decoded, used: end(file), more: false }
    const before = row
    const { rejects } = decoded
    const problem = await readRows(group, open, disk, rejects, atNs)
    let rowsRejected = rejects.length
    const left = group.firstRow + group.rows - row
    if (problem !== undefined) {
      const which = `row group ${open.groups.indexOf(group) + 1}, rows ${row + 1} to ${row + left}: ${problem}`
      rejects.push(rejectRows(which, left, group.start, group.end))
      rowsRejected += left
      row += left
    }
    const frames = open.blocks.flush()
    series = open.blocks.state()
    const ended = row >= group.firstRow + group.rows
    if (ended) columns = undefined
    const more = !ended || group !== open.groups.at(-1)
    const used = more ? (ended ? moveTo(Math.min(group.end, file.size)) : 0) : end(file)
    return { frames, rejects, rowsRead: row - before, rowsRejected, used, more }
  }

  const checkpoint = (): Checkpoint => ({ offset, headBytes: 0, line: row, state: { row, series } })
  return { pull, checkpoint }
}

const openTable = async (
  options: ParquetOptions,
  context: DecoderContext,
  read: Disk['read'],
  size: number,
  restored: Json,
): Promise<Table | string> => {
  const footer = await readFooter(read, size)
  if (typeof footer === 'string') return footer
  const metadata = parquetMetadata(footer, { geoparquet: false, parsers: { stringFromBytes: () => '' } })
  const leaves = leavesOf(metadata.schema)
  const groups: Group[] = []
  let firstRow = 0
  for (const group of metadata.row_groups) {
    const made = groupOf(group, leaves, firstRow, size)
    if (typeof made === 'string') return made
    groups.push(made)
    firstRow += made.rows
  }
  if (!Number.isSafeInteger(firstRow)) return 'the bytes cannot be read: its footer says nonsense of its rows'
  const blocks = createBlockReader(options, context, leaves, restored)
  return typeof blocks === 'string' ? blocks : { groups, blocks }
}

const magic = 'PAR1'
/** The footer with what stands behind it, or why there is none. */
const readFooter = async (read: Disk['read'], size: number): Promise<Uint8Array | string> => {
  const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')
  if (size < 12) return `the file is no Parquet file: it has ${size} bytes`
  const first = textOf(await read(0, 4))
  if (first === 'PARE') return 'the Parquet file is encrypted, which is not read'
  if (first !== magic) return `the file is no Parquet file: it does not begin with ${magic}`
  const tail = await read(size - 8, size)
  const end = textOf(tail.subarray(4))
  if (end === 'PARE') return 'the Parquet file is encrypted, which is not read'
  if (end !== magic) return `the Parquet file is not complete: it does not end with ${magic}`
  const length = new DataView(tail.buffer, tail.byteOffset, 4).getUint32(0, true)
  if (length > size - 12) return 'the bytes cannot be read: its footer is longer than the file'
  if (length > footerBytesMax)
    return `the footer of the Parquet file takes ${length} bytes, more than ${footerBytesMax}`
  const footer = await read(size - 8 - length, size)
  return hasEndlessNumber(footer) ? 'the bytes cannot be read: its footer holds an endless number' : footer
}

/** Numbers end at a byte below 128; adding up one of 32 KiB and more would take minutes. */
const numberBytesMax = 32 * 1024
const hasEndlessNumber = (bytes: Uint8Array): boolean => {
  let run = 0
  for (let i = 0; i < bytes.length; i++) {
    run = (bytes[i] as number) < 0x80 ? 0 : run + 1
    if (run > numberBytesMax) return true
  }
  return false
}

const groupOf = (group: RowGroup, leaves: readonly Leaf[], firstRow: number, size: number): Group | string => {
  let start = size
  let end = 0
  const chunks = leaves.map((_, i): Chunk | undefined => {
    const meta = group.columns[i]?.meta_data
    if (!meta || group.columns[i]?.file_path) return undefined
    const data = Number(meta.data_page_offset)
    // 0 stands for no dictionary with some writers; its offset may be missing where it has one (it then comes first).
    const dictionary = Number(meta.dictionary_page_offset ?? 0)
    const from = dictionary > 0 ? Math.min(dictionary, data) : data
    const to = from + Number(meta.total_compressed_size)
    if (!(from >= 4 && to > from && to <= size - 8)) return undefined
    start = Math.min(start, from)
    end = Math.max(end, to)
    return { start: from, end: to, codec: meta.codec }
  })
  if (group.columns.some(column => column.file_path)) return 'the columns of the Parquet file stand in other files'
  if (group.columns.some(column => column.crypto_metadata)) return 'the Parquet file is encrypted, which is not read'
  const rows = Number(group.num_rows)
  if (!(rows >= 0)) return 'the bytes cannot be read: its footer says nonsense of its rows'
  return { rows, firstRow, start: Math.min(start, end), end, chunks }
}

/** The columns of a group that are used, behind its first `skip` rows. */
const openColumns = async (
  group: Group,
  used: readonly Leaf[],
  skip: number,
  read: Disk['read'],
  bytesMax: number,
): Promise<PageColumn[]> => {
  const held = { bytes: 0, bytesMax }
  const columns = used.map(leaf => {
    const chunk = group.chunks[leaf.index]
    if (!chunk) return damaged(`the footer says nonsense of the column "${leaf.name}"`)
    return createPageColumn(leaf, chunk, read, held)
  })
  for (let left = skip; left > 0; ) {
    const count = await countOf(columns, used, left)
    for (const column of columns) column.take(count)
    left -= count
  }
  return columns
}

/** Rows at a time: what is made of them stays in the processor's cache. */
const blockRowsMax = 2048
/** How many rows all columns have at hand. */
const countOf = async (columns: readonly PageColumn[], used: readonly Leaf[], most: number): Promise<number> => {
  let count = Math.min(most, blockRowsMax)
  for (const [i, column] of columns.entries()) {
    const available = await column.available()
    if (available === 0) damaged(`the column "${used[i]?.name}" has fewer rows than its group`)
    count = Math.min(count, available)
  }
  return count
}
