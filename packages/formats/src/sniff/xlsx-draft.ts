/** Excel workbooks: the first sheet with a table, its rows looked at as delimited text is. */
import { createHeader } from '../csv-header.ts'
import type { FileBytes } from '../decoder.ts'
import { FileProblem, readFrom } from '../disk.ts'
import { openArchive } from '../xlsx/archive.ts'
import { cellText } from '../xlsx/cells.ts'
import { sheetRows } from '../xlsx/sheet.ts'
import { readWorkbook } from '../xlsx/workbook.ts'
import type { Field } from './clock.ts'
import { planFields } from './fields.ts'
import type { Doubt, Draft, Hints, Settings } from './proposal.ts'
import { findTable, type Row, type Table } from './table.ts'

const rowsMax = 3000
const cellsMax = 150_000
const sheetsMax = 3
const textsBytesMax = 32 * 1024 * 1024
const sheetBytesMax = 2 * 1024 * 1024 * 1024
/** Between the cells of a row; no cell holds it. */
const between = '\u001f'

/** The rows of a sheet as lines, line n being row n. */
const sheetLines = async (file: FileBytes, sheet: number): Promise<{ name: string; lines: string[] }> => {
  const disk = readFrom(file)
  const archive = await openArchive((from, to) => disk.read(from, to), file.size)
  const workbook = await readWorkbook(archive, sheet, textsBytesMax)
  const lines: string[] = []
  let cells = 0
  for await (const row of sheetRows(archive.stream(workbook.sheet, sheetBytesMax))) {
    if (row.number > lines.length + 1000 || cells > cellsMax || lines.length > rowsMax) break
    while (lines.length < row.number - 1) lines.push('')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the mark between cells is what this keeps out of them
    const texts = Array.from({ length: row.count }, (_, i) => cellText(workbook, row, i).replace(/[\r\n\u001f]+/g, ' '))
    lines.push(texts.every(text => text.trim() === '') ? '' : texts.join(between))
    cells += row.count
  }
  return { name: workbook.sheetName, lines }
}

const tableOf = async (file: FileBytes): Promise<{ sheet: number; name: string; table: Table } | string> => {
  let why = 'the workbook holds no table'
  for (let sheet = 1; sheet <= sheetsMax; sheet++) {
    try {
      const { name, lines } = await sheetLines(file, sheet)
      const table = findTable(lines, between, '\u0000')
      if (table && table.width >= 2 && table.data.length >= 2) return { sheet, name, table }
    } catch (error) {
      if (!(error instanceof FileProblem)) throw error
      if (sheet === 1) why = error.message
      break
    }
  }
  return why
}

/** How the options say where the names stand: rows are counted, or found below the text of the row above them. */
const headOf = (table: Table): { header: Settings | boolean; names: (string | undefined)[]; isCounted: boolean } => {
  const { names, units, above, width, between: rows } = table
  const first = table.data[0] as Row
  if (!names) {
    const header = above.length === 0 ? false : { skip: first.line - 1, names: false }
    return { header, names: new Array(width).fill(undefined), isCounted: above.length > 0 }
  }
  const plan = { skip: 0, after: undefined, names: names.cells, units: false, unitsInNames: false }
  const numbered = createHeader(plan).names() ?? []
  const own = Array.from({ length: width }, (_, i) => numbered[i] || undefined)
  if (rows.length > 0) {
    const explicit = own.map((name, i) => name ?? `column${i + 1}`)
    return { header: { skip: first.line - 1, names: explicit }, names: explicit, isCounted: true }
  }
  const marker = above.at(-1)?.cells.find(text => text !== '')
  const isAlone =
    marker !== undefined && above.filter(row => row.cells.some(text => text.startsWith(marker))).length === 1
  const isMark =
    marker !== undefined &&
    above.at(-1)?.cells.filter(text => text !== '').length === 1 &&
    isAlone &&
    !/\d{3}/.test(marker)
  const place: Settings = above.length === 0 ? {} : isMark ? { after: marker } : { skip: names.line - 1 }
  const header = { ...place, ...(units && { units: true }) }
  return { header: Object.keys(header).length === 0 ? true : header, names: own, isCounted: 'skip' in place }
}

export const draftXlsx = async (file: FileBytes, hints: Hints): Promise<Draft[] | string> => {
  const found = await tableOf(file)
  if (typeof found === 'string') return found
  const { table, sheet, name } = found
  const head = headOf(table)
  const fields: Field[] = head.names.map((text, j) => {
    const unit = table.units?.cells[j]
    const texts = table.data.map(row => row.cells[j] ?? '')
    return { ref: text ?? j + 1, name: table.names?.cells[j] ? (text ?? '') : '', ...(unit && { unit }), texts }
  })
  const around = [...table.above, ...(table.names ? [table.names] : [])].map(row =>
    row.cells.filter(Boolean).join('\t'),
  )
  const plan = planFields(fields, { ...hints, delimiter: '\t', around: around.join('\n') }, true)
  const doubts: Doubt[] = []
  if (sheet > 1) doubts.push({ path: ['format', 'sheet'], text: `the sheets before "${name}" hold no table` })
  if (head.isCounted)
    doubts.push({
      path: ['format', 'header'],
      text: 'the rows above the data are counted: another workbook may have more or fewer',
    })
  if (!table.names)
    doubts.push({ path: ['format', 'columns'], text: 'the sheet does not name its columns: give them names' })
  return [
    {
      format: {
        kind: 'xlsx',
        ...(sheet > 1 && { sheet }),
        ...(head.header !== true && { header: head.header }),
        ...plan.settings,
      },
      kind: 'drop',
      stream: 'readings',
      ...(plan.clock.onlyThis && { onlyThis: true }),
      ...(plan.clock.time && !plan.clock.isUtc && { local: true, ...(plan.clock.ms && { localMs: plan.clock.ms }) }),
      doubts: [...doubts, ...plan.doubts],
      findings: [
        { what: 'format', text: `Excel workbook, sheet "${name}"` },
        {
          what: 'header',
          text: table.names
            ? `names in row ${table.names.line}${table.units ? `, units in row ${table.units.line}` : ''}`
            : 'none',
        },
        ...plan.findings,
      ],
      weight: 1.5,
    },
  ]
}
