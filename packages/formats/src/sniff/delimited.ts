/** Delimited text: the delimiter, where the table stands, and the csv options that read it. */
import { createHeader } from '../csv-header.ts'
import type { Field } from './clock.ts'
import { classOf } from './columns.ts'
import { planFields } from './fields.ts'
import type { Doubt, Draft, Finding, Hints, Settings } from './proposal.ts'
import { findTable, type Row, type Table } from './table.ts'

const delimiters = ['\t', ';', ',', '|', ':', ' '] as const
const delimiterNames: Record<string, string> = {
  '\t': 'tab',
  ';': 'semicolon',
  ',': 'comma',
  '|': 'bar',
  ' ': 'blank',
  ':': 'colon',
}

const hasQuotedCells = (lines: readonly string[]): boolean => {
  const quoted = lines.filter(line => /(?:^|[,;\t|])'[^']*'(?=[,;\t|]|$)/.test(line)).length
  return quoted > lines.length * 0.4 && !lines.some(line => line.includes('"'))
}

/** Tables by plausibility, the likeliest first. */
export const findTables = (lines: readonly string[]): Table[] => {
  const quote = hasQuotedCells(lines) ? "'" : '"'
  const tables: Table[] = []
  for (const delimiter of delimiters) {
    if (!lines.some(line => line.includes(delimiter))) continue
    const table = findTable(lines, delimiter, quote)
    if (!table || table.width < 2 || table.data.length === 0) continue
    // A blank or colon stands in many texts: only plain tables have it as delimiter.
    const isDoubtful = delimiter === ' ' || delimiter === ':'
    const share =
      table.data.filter(row => row.cells.length === table.width).length / (table.data.length + table.misfits.length)
    if (isDoubtful && (share < 0.9 || table.data.some(row => / {2}|:$|\|/.test(row.raw)))) continue
    tables.push({ ...table, score: table.score * (delimiter === ':' ? 0.3 : isDoubtful ? 0.6 : 1) })
  }
  return tables.sort((a, b) => b.score - a.score)
}

const unquoted = (text: string): string => text.replaceAll('"', '').trim()

/** How the options say where the names stand. */
interface HeadPlan {
  header: Settings | boolean
  /** By which the columns are referred to: names, or positions where there are none. */
  names: (string | undefined)[]
  /** As the file has them; undefined where it has none. */
  own: (string | undefined)[]
  onlyByCount: boolean
}

const lineIndex = (lines: readonly string[], text: string): number => lines.findIndex(line => line.startsWith(text))

const planHead = (table: Table, lines: readonly string[]): HeadPlan => {
  const { names, units, between, width } = table
  const first = table.data[0] as Row
  if (!names) {
    const skip = firstLineToSkip(table, first)
    return {
      header: skip === 0 ? false : { ...skipTo(table, lines, first.line, first), names: false },
      names: new Array(width).fill(undefined),
      own: [],
      onlyByCount: skip > 0,
    }
  }
  const lastIsEmpty = table.data.every(row => (row.cells[width - 1] ?? '') === '')
  const shifted = !table.namesInComment && names.cells.length === width - 1 && !lastIsEmpty
  const texts = shifted ? ['', ...names.cells] : names.cells
  const numbered =
    createHeader({ skip: 0, after: undefined, names: texts, units: false, unitsInNames: false }).names() ?? []
  const padded = Array.from({ length: width }, (_, i) => numbered[i] || undefined)
  const own = table.namesInComment || between.length > 0 || shifted || (texts.length < width && !lastIsEmpty)
  if (own) {
    const explicit = padded.map((name, i) => name ?? `column${i + 1}`)
    const before = table.namesInComment ? firstLineToSkip(table, first) : first.line - 1
    const place =
      before === 0 ? {} : table.above.length > 0 ? afterNames(table, lines, names, before) : { skip: before }
    return {
      header: { ...place, names: explicit },
      names: explicit,
      own: padded,
      onlyByCount: 'skip' in place && table.above.length > 0,
    }
  }
  if (table.above.length === 0)
    return { header: units ? { units: true } : true, names: padded, own: padded, onlyByCount: false }
  const place = skipTo(table, lines, names.line, names)
  const line = names.raw.trimEnd()
  // A block above the names may be longer in another file: the line of names itself says where it ends.
  if (
    'skip' in place &&
    line.length <= afterCharsMax &&
    lineIndex(lines, line) === names.line - 1 &&
    padded.every(Boolean)
  ) {
    return {
      header: { after: line, names: padded as string[], ...(units && { units: true }) },
      names: padded,
      own: padded,
      onlyByCount: false,
    }
  }
  return {
    header: { ...place, ...(units && { units: true }) },
    names: padded,
    own: padded,
    onlyByCount: 'skip' in place,
  }
}
const afterCharsMax = 240

/** Lines to pass over where the first row of data needs it: those that are neither blank nor comment. */
const firstLineToSkip = (table: Table, first: Row): number => (table.above.length === 0 ? 0 : first.line - 1)

/** Behind the names, found by how their line begins. */
const afterNames = (table: Table, lines: readonly string[], names: Row, before: number): Settings => {
  const last = table.between.at(-1) ?? table.units
  if (last) return { skip: before }
  const line = names.raw.trimEnd()
  return line.length <= afterCharsMax && lineIndex(lines, line) === names.line - 1 ? { after: line } : { skip: before }
}

/** The line above is a marker that no other begins like ("[Data]"), or the number of lines. */
const skipTo = (table: Table, lines: readonly string[], line: number, row: Row): Settings => {
  const skip = { skip: row.line - 1 }
  let i = line - 2
  while (
    i >= 0 &&
    ((lines[i] as string).trim() === '' ||
      (table.comment !== undefined && (lines[i] as string).startsWith(table.comment)))
  )
    i--
  const marker = (lines[i] ?? '').replace(
    new RegExp(`[${table.delimiter === '\t' ? '\\t' : `\\${table.delimiter}`}\\s]+$`),
    '',
  )
  if (i < 0 || !isMarker(marker)) return skip
  return lineIndex(lines, marker) === i ? { after: marker } : skip
}
const isMarker = (text: string): boolean =>
  /^[[<*>#=-]*\s*(?:data|daten|messdaten|messwerte|measurement(?:s| data)?|values|readings|curve data|results?|channel data|begin data|start of data|end ?of ?header|end_of_header|datos|donn[ée]es|mesures|waveform|samples)\b.*$/iu.test(
    text,
  ) &&
  text.length <= 60 &&
  !/\d{3}/.test(text)

/** The csv options for a table, and what one may doubt of them. */
export const draftCsv = (table: Table, lines: readonly string[], hints: Hints, encoding: string | undefined): Draft => {
  const head = planHead(table, lines)
  const around = [...table.above, ...(table.names ? [table.names] : [])].map(row => row.raw)
  if (table.comment !== undefined)
    around.push(...lines.filter(line => line.startsWith(table.comment as string)).slice(0, 200))
  const own: Hints = { ...hints, delimiter: table.delimiter, around: around.join('\n') }
  const fields: Field[] = head.names.map((name, j) => {
    const unit = table.units?.cells[j]
    return {
      ref: name === undefined || name === '' ? j + 1 : name,
      name: head.own[j] ?? '',
      ...(unit !== undefined && unit !== '' && { unit }),
      texts: table.data.map(row => row.cells[j] ?? ''),
    }
  })
  const plan = planFields(fields, own, table.delimiter !== ',')
  const format: Settings = {
    kind: 'csv',
    ...(encoding !== undefined && { encoding }),
    ...(table.delimiter !== ',' && { delimiter: table.delimiter === '\t' ? 'tab' : table.delimiter }),
    ...(table.quote !== '"' && { quote: table.quote }),
    ...(table.comment !== undefined && needsComment(table, lines, head) && { comment: table.comment }),
    ...(head.header !== true && { header: head.header }),
    ...plan.settings,
  }
  return {
    format,
    kind: plan.clock.onlyThis ? 'drop' : 'tail',
    stream: 'readings',
    ...(plan.clock.time && !plan.clock.isUtc && { local: true, ...(plan.clock.ms && { localMs: plan.clock.ms }) }),
    ...(plan.clock.onlyThis && { onlyThis: true }),
    doubts: [...headDoubts(table, head), ...plan.doubts],
    findings: [...tableFindings(table, format), ...plan.findings],
    weight: Math.min(1, table.score),
  }
}

/** Lines of a mark that all stand in the part passed over need no word; # may come again anywhere. */
const needsComment = ({ comment = '', data }: Table, lines: readonly string[], { header }: HeadPlan): boolean => {
  const isPassedOver = typeof header === 'object' && ('after' in header || 'skip' in header)
  if (!isPassedOver || comment === '#') return true
  const first = data[0]?.line ?? 1
  return lines.slice(first).some(line => line.startsWith(comment))
}

const headDoubts = (table: Table, head: HeadPlan): Doubt[] => {
  const doubts: Doubt[] = []
  if (head.onlyByCount) {
    doubts.push({
      path: ['format', 'header'],
      text: `the lines above the data are counted, for no line marks where they end: another file may have more or fewer`,
    })
  }
  if (!table.names)
    doubts.push({ path: ['format', 'columns'], text: 'the file does not name its columns: give them names' })
  const { misfits } = table
  const [first] = misfits
  if (first) {
    doubts.push({
      path: ['format'],
      text: `${misfits.length} ${misfits.length === 1 ? 'line looks' : 'lines look'} unlike the others, the first is line ${first.line}: "${unquoted(first.raw).slice(0, 60)}"; what cannot be read becomes a reject`,
    })
  }
  return doubts
}

const tableFindings = (table: Table, settings: Settings): Finding[] => {
  const findings: Finding[] = [
    { what: 'delimiter', text: delimiterNames[table.delimiter] ?? table.delimiter },
    { what: 'decimal mark', text: settings.decimal === ',' ? 'comma' : 'point' },
  ]
  const where = table.names
    ? `names in line ${table.names.line}${table.namesInComment ? ' (a comment)' : ''}`
    : 'none: columns go by their position'
  const above =
    table.above.length > 0
      ? `, below ${table.above.length} ${table.above.length === 1 ? 'line' : 'lines'} about the file`
      : ''
  findings.push({ what: 'header', text: `${where}${above}${table.units ? `, units in line ${table.units.line}` : ''}` })
  if (settings.comment !== undefined)
    findings.push({ what: 'comments', text: `lines that begin with ${table.comment}` })
  return findings
}

/** A column of numbers without a delimiter. */
export const singleColumn = (lines: readonly string[]): Table | undefined => {
  const table = findTable(lines, '\u0000', '"')
  // A file of one line may be a single reading.
  if (table?.width !== 1 || table.data.length < Math.min(2, lines.length)) return undefined
  const numbers = table.data.filter(row => classOf(row.cells[0] ?? '') === 'number')
  return numbers.length >= table.data.length * 0.6 ? { ...table, delimiter: ',', score: 0.6 } : undefined
}
