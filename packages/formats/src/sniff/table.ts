/** Where the table stands in delimited text: metadata above, names, units, data, what comes behind. */
import { classOf } from './columns.ts'
import { looksLikeTime } from './times.ts'
import { isUnit } from './units.ts'

export interface Row {
  cells: string[]
  /** Line of the file on which it begins, from 1. */
  line: number
  raw: string
}

export interface Table {
  delimiter: string
  quote: string
  comment: string | undefined
  /** Cells of a row. */
  width: number
  /** Row of names; undefined where there is none. */
  names: Row | undefined
  /** The names stand in a comment line. */
  namesInComment: boolean
  units: Row | undefined
  /** Rows between names and data that are neither. */
  between: Row[]
  /** Rows above the names. */
  above: Row[]
  /** Rows from the first of data on, as far as they fit. */
  data: Row[]
  /** Rows from the first of data on that do not fit. */
  misfits: Row[]
  /** How much it looks like a table of values, for the choice of the delimiter. */
  score: number
}

const rowsMax = 20_000
const recordCharsMax = 65_536

/** Cuts text into records; quotes as in RFC 4180, where they begin a cell. */
export const cutRows = (lines: readonly string[], delimiter: string, quote: string): Row[] => {
  const rows: Row[] = []
  for (let i = 0; i < lines.length && rows.length < rowsMax; i++) {
    const first = lines[i] as string
    const line = i + 1
    if (!first.includes(quote)) {
      rows.push({ cells: first.split(delimiter).map(cell => cell.trim()), line, raw: first })
      continue
    }
    let raw = first
    let cells = cutQuoted(raw, delimiter, quote)
    let end = i
    while (cells === undefined && end + 1 < lines.length && raw.length < recordCharsMax && end - i < 200) {
      end++
      raw += `\n${lines[end] as string}`
      cells = cutQuoted(raw, delimiter, quote)
    }
    if (cells === undefined) cells = first.split(delimiter)
    else i = end
    rows.push({ cells: cells.map(cell => cell.trim()), line, raw })
  }
  return rows
}

/** Undefined where a quote stays open. */
const cutQuoted = (text: string, delimiter: string, quote: string): string[] | undefined => {
  const cells: string[] = []
  let p = 0
  for (;;) {
    let cell = ''
    if (text[p] === quote) {
      for (;;) {
        const end = text.indexOf(quote, p + 1)
        if (end < 0) return undefined
        cell += text.slice(p + 1, end)
        p = end
        if (text[p + 1] !== quote) break
        cell += quote
        p++
      }
      p++
    }
    const next = text.indexOf(delimiter, p)
    if (next < 0) {
      cells.push(cell + text.slice(p))
      return cells
    }
    cells.push(cell + text.slice(p, next))
    p = next + delimiter.length
  }
}

type ColumnClass = 'number' | 'time' | 'text' | 'hole'

const classOfCell = (text: string): ColumnClass => {
  const plain = classOf(text)
  return plain === 'text' && looksLikeTime(text) ? 'time' : plain
}

/** What most cells of each column are, by the rows of that width. */
const columnClasses = (rows: readonly Row[], width: number): ColumnClass[] => {
  const counts = Array.from({ length: width }, () => ({ number: 0, time: 0, text: 0, hole: 0 }))
  // What stands above may be longer than the data; the end is data, but for a line or two.
  const seenMax = Math.min(400, Math.max(4, Math.floor(rows.filter(row => row.cells.length === width).length / 3)))
  let seen = 0
  for (let i = rows.length - 1; i >= 0 && seen < seenMax; i--) {
    const { cells } = rows[i] as Row
    if (cells.length !== width) continue
    seen++
    for (let j = 0; j < width; j++) (counts[j] as (typeof counts)[number])[classOfCell(cells[j] as string)]++
  }
  return counts.map(count => {
    const filled = count.number + count.time + count.text
    if (filled === 0) return 'hole'
    if (count.number >= filled * 0.65) return 'number'
    return count.time >= filled * 0.65 ? 'time' : 'text'
  })
}

/** The width that most rows of the lower half have. */
const widthOf = (rows: readonly Row[]): number => {
  const counts = new Map<number, number>()
  const from = rows.length >= 8 ? rows.length >> 1 : 0
  for (const row of rows.slice(from)) counts.set(row.cells.length, (counts.get(row.cells.length) ?? 0) + 1)
  let best = 0
  let most = 0
  for (const [width, n] of counts) {
    if (n > most || (n === most && width > best)) {
      best = width
      most = n
    }
  }
  return best
}

const filledLength = (cells: readonly string[]): number => {
  let n = cells.length
  while (n > 0 && cells[n - 1] === '') n--
  return n
}

/** Whether a row is one of data: as wide, its numbers and times where those of the others are. */
const fits = (row: Row, width: number, classes: readonly ColumnClass[], isFirst = false): boolean => {
  if (filledLength(row.cells) > width || row.cells.length < width - 1) return false
  if (row.cells.length < width && classes[width - 1] !== 'hole') return false
  let typed = 0
  let wrong = 0
  let typedColumns = 0
  for (let j = 0; j < width; j++) {
    const wanted = classes[j]
    if (wanted !== 'number' && wanted !== 'time') continue
    typedColumns++
    const found = classOfCell(row.cells[j] ?? '')
    if (found === 'hole') continue
    if (found === wanted || (wanted === 'time' && found === 'number')) typed++
    // Where a time is due, a word is the name of its column.
    else if (wanted === 'time') return false
    else wrong++
  }
  if (typedColumns === 0) return row.cells.length === width
  // Behind the first row of data a cell may be odd; the rows above it must not be taken for it.
  return typed > 0 && wrong <= typed / (isFirst ? 4 : 2)
}

const commentMarks = ['#', '//', '%', '!', '*', ';', '$', '>', '@'] as const

/** A mark with which some lines begin that are no data. */
const commentOf = (lines: readonly string[], delimiter: string): string | undefined => {
  for (const mark of commentMarks) {
    if (mark === delimiter) continue
    const with_ = lines.filter(line => line.startsWith(mark)).length
    const filled = lines.filter(line => line.trim() !== '').length
    if (with_ > 0 && with_ < filled * 0.7) return mark
  }
  return undefined
}

/** Lines between names and data that only draw: -----,----- */
const isRule = (row: Row): boolean => row.cells.every(cell => /^[-=_+:|*~]*$/.test(cell)) && row.raw.trim() !== ''

const bare = (text: string): string => text.replace(/^[[({<]\s*|\s*[\])}>]$/g, '').trim()

/** Whether a row holds units, beneath the names. */
const isUnits = (row: Row, width: number): boolean => {
  const filled = row.cells.filter(cell => cell !== '')
  if (filled.length === 0 || filledLength(row.cells) > width) return false
  const units = filled.filter(cell => isUnit(bare(cell)) || (/^[[(].*[\])]$/.test(cell) && cell.length <= 18))
  return units.length >= Math.max(1, filled.length * 0.6) && !filled.some(cell => cell.length > 24)
}

/** Whether a row may hold names. */
const isNames = (row: Row, width: number, classes: readonly ColumnClass[]): boolean => {
  const n = filledLength(row.cells)
  if (n === 0 || n > width + 1) return false
  if (n < width - 1 && n < width * 0.5) return false
  const filled = row.cells.filter(cell => cell !== '')
  if (filled.length < Math.max(1, n * 0.5)) return false
  // Names may be numbers (wavelengths); a row whose cells are all what the data are is none.
  const likeData = row.cells.filter((cell, j) => {
    const found = classOfCell(cell)
    return cell !== '' && found === classes[j] && found !== 'text'
  })
  const words = filled.filter(cell => classOf(cell) === 'text')
  return words.length > 0 && likeData.length < filled.length * (words.length >= 1 && width > 12 ? 1 : 0.5)
}

export const findTable = (lines: readonly string[], delimiter: string, quote: string): Table | undefined => {
  const comment = commentOf(lines, delimiter)
  const all = cutRows(lines, delimiter, quote).filter(row => row.raw.trim() !== '')
  const rows = all.filter(row => comment === undefined || !row.raw.startsWith(comment))
  if (rows.length === 0) return undefined
  const width = widthOf(rows)
  const table = tableOf(all, rows, comment, delimiter, quote, width)
  // What stands above a few rows may be more than they are: then the end says how wide they are.
  const last = rows.length < fewRowsMax ? widthOf(rows.slice(-3)) : width
  const other = last === width ? undefined : tableOf(all, rows, comment, delimiter, quote, last)
  return other && other.score > (table?.score ?? 0) ? other : table
}
const fewRowsMax = 100

const tableOf = (
  all: readonly Row[],
  rows: readonly Row[],
  comment: string | undefined,
  delimiter: string,
  quote: string,
  width: number,
): Table | undefined => {
  if (width < 1) return undefined
  const classes = columnClasses(rows, width)
  const isTyped = classes.some(c => c === 'number' || c === 'time')
  if (!isTyped && rows.length < 2) return undefined
  const start = isTyped ? dataStart(rows, width, classes) : Math.min(1, rows.length - 1)
  if (start === undefined) return undefined
  const data: Row[] = []
  const misfits: Row[] = []
  for (const row of rows.slice(start)) (fits(row, width, classes) ? data : misfits).push(row)
  const head = headOf(rows.slice(0, start), width, classes)
  const inComment =
    head.names === undefined && comment !== undefined
      ? commentNames(all, data[0], comment, delimiter, quote, width, classes)
      : undefined
  const typedShare = classes.filter(c => c !== 'text').length / width
  const agreeing = data.filter(row => row.cells.length === width).length / Math.max(1, rows.length - head.above.length)
  const score =
    width < 2
      ? 0
      : (data.length / Math.max(1, rows.length - start)) *
        agreeing *
        (0.25 + typedShare) *
        (1 + Math.min(width, 20) / 40) *
        (isLabelled(data, width) ? 0.3 : 1)
  return {
    delimiter,
    quote,
    comment,
    width,
    names: head.names ?? inComment,
    namesInComment: inComment !== undefined,
    units: head.units,
    between: head.between,
    above: head.above,
    data,
    misfits,
    score,
  }
}

const label = /^([\p{L}_][\p{L}\p{N}_. -]{0,30}?)\s?[:=]\s?\S/u
/** Whether cells say what they are (`temp: 21.5`, `hum=40`): lines of labels and values, no table. */
const isLabelled = (data: readonly Row[], width: number): boolean => {
  let labelled = 0
  for (let j = 0; j < width; j++) {
    const labels = data.slice(0, 50).map(row => label.exec(row.cells[j] ?? '')?.[1])
    const [first] = labels
    if (first !== undefined && labels.every(text => text === first) && data.length > 1) labelled++
  }
  return labelled > 0 && labelled >= (width - 1) / 2
}

const dataStart = (rows: readonly Row[], width: number, classes: readonly ColumnClass[]): number | undefined => {
  const good = rows.map(row => fits(row, width, classes, true))
  for (let i = 0; i < rows.length; i++) {
    if (!good[i]) continue
    const ahead = good.slice(i, i + 8)
    if (ahead.filter(Boolean).length >= ahead.length * 0.5) return i
  }
  return undefined
}

const headOf = (
  above: readonly Row[],
  width: number,
  classes: readonly ColumnClass[],
): { names: Row | undefined; units: Row | undefined; between: Row[]; above: Row[] } => {
  let i = above.length - 1
  const between: Row[] = []
  while (i >= 0 && isRule(above[i] as Row)) between.unshift(above[i--] as Row)
  const last = above[i]
  if (!last) return { names: undefined, units: undefined, between: [], above: [...above] }
  const before = above[i - 1]
  if (before && isUnits(last, width) && isNames(before, width, classes)) {
    return { names: before, units: last, between, above: above.slice(0, i - 1) }
  }
  // Names, units and a row of how values were made (mean, sample), as data loggers write.
  const third = above[i - 2]
  if (before && third && isUnits(before, width) && isNames(third, width, classes) && isProcessing(last)) {
    return { names: third, units: before, between: [last, ...between], above: above.slice(0, i - 2) }
  }
  if (isNames(last, width, classes)) return { names: last, units: undefined, between, above: above.slice(0, i) }
  return { names: undefined, units: undefined, between: [], above: [...above] }
}

const isProcessing = (row: Row): boolean =>
  row.cells.every(cell => /^(?:smp|avg|min|max|tot|std|tmx|tmn|wvc|smpl|mean|sample|average|total|inst|)$/i.test(cell))

/** Names in the last comment line above the data: `# time, temperature`. */
const commentNames = (
  all: readonly Row[],
  first: Row | undefined,
  comment: string,
  delimiter: string,
  quote: string,
  width: number,
  classes: readonly ColumnClass[],
): Row | undefined => {
  if (!first) return undefined
  const above = all.filter(row => row.line < first.line && row.raw.startsWith(comment))
  for (const row of above.reverse().slice(0, 4)) {
    const text = row.raw.replace(/^[#/%!*;$>@"\s]+/, '')
    for (const d of [delimiter, ',', '\t', ';', /\s{2,}/, /\s+/]) {
      const cells = typeof d === 'string' ? (cutRows([text], d, quote)[0]?.cells ?? []) : text.trim().split(d)
      const found = { cells, line: row.line, raw: row.raw }
      if (cells.length === width && isNames(found, width, classes)) return found
    }
  }
  return undefined
}
