/** Tables for a terminal: columns as wide as their longest cell, shortened where the line would break. */
import stringWidth from 'string-width'

export interface TableColumn {
  title: string
  /** Stands under the title: a unit, a zone. */
  under?: string
  align?: 'left' | 'right'
  /** It is not shortened below this many characters. Default 6. */
  charsMin?: number
}

const gap = '  '
const charsMinDefault = 6

/**
 * The lines of a table, none longer than `width`. Cells are shortened with "…" from the widest column on; what even then
 * does not fit is left out from the right, and a last line names it. Line breaks and control characters in cells show as
 * symbols. Without a width nothing is cut.
 */
export const renderTable = (
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
  width: number | undefined,
): string[] => {
  const clean = rows.map(row => columns.map((_, i) => visible(row[i] ?? '')))
  const titles = columns.map(({ title }) => visible(title))
  const unders = columns.map(({ under = '' }) => visible(under))
  const heads = [titles, unders].filter(head => head.some(text => text !== ''))
  const wanted = columns.map((_, i) => Math.max(...[...heads, ...clean].map(row => stringWidth(row[i] ?? ''))))
  const fitted = widthsWithin(columns, wanted, width)
  const line = (cells: readonly string[]) =>
    fitted
      .map((chars, i) => pad(cells[i] ?? '', chars, columns[i]?.align ?? 'left'))
      .join(gap)
      .trimEnd()
  const rule = fitted.map(chars => '─'.repeat(chars)).join(gap)
  const left = titles.slice(fitted.length)
  return [
    ...heads.map(line),
    ...(heads.length > 0 ? [rule] : []),
    ...clean.map(line),
    ...(left.length > 0 ? wrapText(`not shown for lack of width: ${left.join(', ')}`, width) : []),
  ]
}

/** Whether all columns fit without being shortened below their least width. */
export const tableFits = (
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
  width: number | undefined,
): boolean => {
  if (width === undefined) return true
  const least = columns.map((column, i) => {
    const cells = [column.title, column.under ?? '', ...rows.map(row => row[i] ?? '')]
    const wanted = Math.max(...cells.map(cell => stringWidth(visible(cell))))
    return Math.min(wanted, column.charsMin ?? charsMinDefault)
  })
  return total(least) <= width
}

const total = (widths: readonly number[]): number =>
  widths.reduce((sum, chars) => sum + chars, 0) + gap.length * Math.max(0, widths.length - 1)

/** Widths of the columns that are shown. */
const widthsWithin = (
  columns: readonly TableColumn[],
  wanted: readonly number[],
  width: number | undefined,
): number[] => {
  if (width === undefined) return [...wanted]
  const least = wanted.map((chars, i) => Math.min(chars, columns[i]?.charsMin ?? charsMinDefault))
  let count = wanted.length
  while (count > 1 && total(least.slice(0, count)) > width) count--
  const fitted = wanted.slice(0, count)
  for (let excess = total(fitted) - width; excess > 0; excess--) {
    let widest = -1
    for (const [i, chars] of fitted.entries()) {
      if (chars > (least[i] ?? 0) && chars > (fitted[widest] ?? 0)) widest = i
    }
    if (widest < 0) break
    fitted[widest] = (fitted[widest] ?? 1) - 1
  }
  return fitted
}

const pad = (text: string, chars: number, align: 'left' | 'right'): string => {
  const short = shorten(text, chars)
  const blank = ' '.repeat(Math.max(0, chars - stringWidth(short)))
  return align === 'right' ? blank + short : short + blank
}

const segmenter = new Intl.Segmenter()

/** The text in at most so many characters of a terminal; what is cut off shows as "…". */
export const shorten = (text: string, charsMax: number): string => {
  if (stringWidth(text) <= charsMax) return text
  let kept = ''
  let chars = 0
  for (const { segment } of segmenter.segment(text)) {
    const more = stringWidth(segment)
    if (chars + more > charsMax - 1) break
    kept += segment
    chars += more
  }
  return `${kept}…`
}

/** Control characters as their symbols, so that a cell stays on its line and changes nothing on the terminal. */
export const visible = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this replaces
  text.replace(/[\u0000-\u001f\u007f-\u009f]/g, c => {
    const code = c.charCodeAt(0)
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? '\u2421' : '\ufffd'
  })

/** The text in lines of at most `width`, broken between words where that is possible, further lines indented. */
export const wrapText = (text: string, width: number | undefined, indent = ''): string[] => {
  if (width === undefined) return [text]
  const lines: string[] = []
  let line: string | undefined
  for (const word of text.split(' ')) {
    const longer = line === undefined ? word : `${line} ${word}`
    if (stringWidth(longer) <= width) {
      line = longer
      continue
    }
    if (line?.trim()) lines.push(line.trimEnd())
    line = shorten(line?.trim() ? indent + word : longer, width)
  }
  return [...lines, line ?? '']
}
