/**
 * Excel workbooks (.xlsx): one sheet, as a table with a header or as a grid.
 *
 * The archive is read by its directory; the sheet is unpacked as its rows are asked for, and never held. What is held are
 * the texts that the cells share (`textsBytesMax`), one row (4 MiB at most) and one unpacked piece (16 MB at most). A
 * later process unpacks the sheet again and passes over the rows that it has.
 */
import type { Frame, Json, Reject } from '@penstock/frame'
import * as z from 'zod'
import { createHeader, type Header, headerPlan, headerSchema } from './csv-header.ts'
import type { Checkpoint, DecoderContext, FileBytes, Pulled, Resume, SeekDecoder } from './decoder.ts'
import { type Disk, FileProblem, readFrom, unlessDamaged } from './disk.ts'
import { columnsSchema, nullTextsSchema, repeatedColumn, sameTimeSchema, tagsSchema, timeSchema } from './options.ts'
import { rejectOf } from './reject.ts'
import type { RowPlace } from './series.ts'
import { openArchive } from './xlsx/archive.ts'
import { cellText, createSheetTable, type SheetTable } from './xlsx/cells.ts'
import { EMPTY, type SheetRow, sheetRows } from './xlsx/sheet.ts'
import { readWorkbook, type Workbook } from './xlsx/workbook.ts'

export const xlsxSchema = z
  .strictObject({
    kind: z.literal('xlsx'),
    sheet: z
      .union([z.string().min(1), z.int().min(1)])
      .default(1)
      .describe('The sheet: its name, or its position from 1. Without it: the first'),
    header: headerSchema,
    decimal: z.enum(['.', ',']).default('.').describe('Decimal mark of numbers that stand in the sheet as text'),
    time: timeSchema
      .optional()
      .describe(
        'Where the time of a row stands. Cells with a date format are read as they are, as local times; `layout` is for texts, `excel` for day numbers without a date format. Without it: the time of arrival',
      ),
    tags: tagsSchema.optional(),
    columns: columnsSchema
      .optional()
      .describe(
        'The columns to keep, with their types. Without it: every column that is neither time nor tag, as float',
      ),
    nullTexts: nullTextsSchema,
    sameTime: sameTimeSchema.default('replace'),
    textsBytesMax: z
      .int()
      .min(1024)
      .max(1024 * 1024 * 1024)
      .default(32 * 1024 * 1024)
      .describe('How many bytes the texts that the cells share may have; they are held in memory'),
    sheetBytesMax: z
      .int()
      .min(1024)
      .max(Number.MAX_SAFE_INTEGER)
      .default(2 * 1024 * 1024 * 1024)
      .describe('How many bytes the sheet may unpack to'),
  })
  .check(ctx => {
    const { columns } = ctx.value
    const repeated = columns && repeatedColumn(columns)
    if (repeated !== undefined) {
      ctx.issues.push({ code: 'custom', path: ['columns'], input: columns, message: `has two columns "${repeated}"` })
    }
  })
  .describe('A sheet of an Excel workbook (.xlsx)')
export type XlsxOptions = z.output<typeof xlsxSchema>

/** Bytes of rows that one pull gives beside `frameRowsMax` rows. */
const pullBytesMax = 4 * 1024 * 1024

/** A workbook that was opened. */
interface Open {
  workbook: Workbook
  rows: AsyncGenerator<SheetRow, void>
  header: Header
  /** Number of the last row that was looked at for the header. */
  headerRow: number
  /** Set behind the header. */
  table: SheetTable | undefined
}

export const createXlsx = (options: XlsxOptions, context: DecoderContext, resume?: Resume): SeekDecoder => {
  const state = resume?.checkpoint.state as { readonly row?: Json; readonly series?: Json } | null | undefined
  let offset = resume?.checkpoint.offset ?? 0
  /** Number of the last row of the sheet that was given, rejected or left out. */
  let row = typeof state?.row === 'number' ? state.row : 0
  let series: Json = state?.series ?? []
  let open: Open | undefined
  let done = false
  /** Of the pull at hand: between two, nothing is read. */
  let disk: Disk | undefined
  const read: FileBytes['read'] = (from, to) =>
    disk ? disk.read(from, to) : Promise.reject(new Error('no pull is at hand'))

  const openWorkbook = async (size: number): Promise<Open> => {
    await checkKind(read, size)
    const archive = await openArchive(read, size)
    const workbook = await readWorkbook(archive, options.sheet, options.textsBytesMax)
    const rows = sheetRows(archive.stream(workbook.sheet, options.sheetBytesMax))
    return { workbook, rows, header: createHeader(headerPlan(options.header)), headerRow: 0, table: undefined }
  }

  /** Reads on until the pull is full or the sheet ends: true at its end. */
  const readRows = async (from: Open, rejects: Reject[], count: () => void, atNs: bigint | undefined) => {
    const { header, workbook } = from
    const { at, packedBytes } = workbook.sheet
    const place: RowPlace = { firstLine: 0, lastLine: 0, firstByte: at, lastByte: at + packedBytes }
    let rows = 0
    for (let bytes = 0; rows < context.frameRowsMax && bytes < pullBytesMax; ) {
      const next = await from.rows.next()
      if (next.done) return true
      const cells = next.value
      if (isBlankRow(cells) || (header.open() && takeHeader(from, cells))) continue
      from.table ??= tableOf(from, header.names()?.length ?? cells.count)
      if (cells.number <= row) continue
      row = cells.number
      place.firstLine = row
      place.lastLine = row
      rows++
      count()
      const reason = from.table.add(cells, place, atNs)
      bytes += from.table.rowBytes
      if (reason === undefined) continue
      const text = new TextEncoder().encode(rowText(workbook, cells))
      rejects.push(rejectOf(context, 'xlsx', place, reason, text, 0, text.length, new TextDecoder()))
    }
    return false
  }
  const tableOf = ({ workbook, header }: Open, width: number): SheetTable => {
    const made = createSheetTable(options, context, workbook, header, width, series)
    if (typeof made === 'string') throw new FileProblem(made)
    return made
  }

  const pull = async (file: FileBytes, last: boolean, atNs?: bigint): Promise<Pulled> => {
    const rejects: Reject[] = []
    if (!last || done) return { frames: [], rejects, rowsRead: 0, rowsRejected: 0, used: 0, more: false }
    disk = readFrom(file)
    let rowsRead = 0
    const work = async () => {
      open ??= await openWorkbook(file.size)
      const from = open
      const ended = await readRows(from, rejects, () => rowsRead++, atNs)
      const missing = ended && from.header.open() ? missingOf(from.header) : undefined
      if (missing !== undefined) throw new FileProblem(missing)
      return ended
    }
    const outcome = await unlessDamaged(disk, work)
    disk = undefined
    if (typeof outcome === 'string') {
      const place = { firstLine: row + 1, lastLine: row + 1, firstByte: 0, lastByte: file.size }
      rejects.push(rejectOf(context, 'xlsx', place, outcome, new Uint8Array(0), 0, 0, new TextDecoder()))
      rowsRead++
    }
    const frames: Frame[] = open?.table?.flush() ?? []
    series = open?.table?.state() ?? series
    done = outcome !== false
    if (done) open = undefined
    const used = done ? file.size - offset : 0
    offset += used
    return { frames, rejects, rowsRead, rowsRejected: rejects.length, used, more: !done }
  }
  const checkpoint = (): Checkpoint => ({ offset, headBytes: 0, line: row, state: { row, series } })
  return { pull, checkpoint }
}

const isBlankRow = (cells: SheetRow): boolean => {
  for (let i = 0; i < cells.count; i++) if (cells.kinds[i] !== EMPTY) return false
  return true
}

/** Takes a row above the data; false where the data begin with it. Empty rows stand in no file, and count all the same. */
const takeHeader = (from: Open, cells: SheetRow): boolean => {
  const { header, workbook } = from
  for (let n = from.headerRow + 1; n < cells.number && header.wantsRawLine(); n++) header.rawLine('')
  from.headerRow = cells.number
  if (!header.open()) return false
  const texts = Array.from({ length: cells.count }, (_, i) => cellText(workbook, cells, i).trim())
  if (header.wantsRawLine()) header.rawLine(texts.find(text => text !== '') ?? '')
  else header.row(texts)
  return true
}

const rowText = (workbook: Workbook, cells: SheetRow): string =>
  Array.from({ length: cells.count }, (_, i) => cellText(workbook, cells, i)).join('\t')

const missingOf = (header: Header): string | undefined =>
  header.missing()?.replace('no line of the file', 'no row of the sheet')

/** Says of files that are no zip archives what they are. */
const checkKind = async (read: FileBytes['read'], size: number): Promise<void> => {
  if (size < 22) throw new FileProblem(`the file is no workbook (.xlsx): it has ${size} bytes`)
  const head = Buffer.from(await read(0, Math.min(size, 512)))
  if (head.toString('latin1', 0, 2) === 'PK') return
  if (head.toString('hex', 0, 8) !== 'd0cf11e0a1b11ae1' || size < 1536) {
    throw new FileProblem('the file is no workbook (.xlsx): it does not begin with PK')
  }
  // A compound file: an old workbook, or a new one within its encryption. Its directory names its streams in UTF-16.
  const sectorBytes = 2 ** Math.min(12, head.readUInt16LE(30))
  const at = (head.readUInt32LE(48) + 1) * sectorBytes
  const directory = at < size ? Buffer.from(await read(at, Math.min(size, at + 4096))) : Buffer.alloc(0)
  if (directory.includes(Buffer.from('EncryptedPackage', 'utf16le'))) {
    throw new FileProblem('the workbook is encrypted: save it without a password')
  }
  throw new FileProblem('the file is an old workbook (.xls): save it as .xlsx or as CSV')
}
