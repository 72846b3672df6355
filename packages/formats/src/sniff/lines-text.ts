/** Lines of text without a delimiter: NMEA sentences, `key=value`, answers of instruments, columns aligned with blanks. */
import type { Field } from './clock.ts'
import { type FieldsPlan, planFields } from './fields.ts'
import type { Draft, Hints, Settings } from './proposal.ts'
import { looksLikeTime } from './times.ts'

const linesMax = 3000
const groupsMax = 64

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&').replaceAll(/ +/g, ' +')

/** A name that a group may have. */
const groupName = (wanted: string, taken: Set<string>): string => {
  const plain = wanted
    .normalize('NFC')
    .replace(/[^\p{L}\p{N}_]+/gu, '_')
    .replace(/^_+|_+$/g, '')
    .slice(0, 40)
  const base = plain === '' ? 'value' : /^[\p{L}_]/u.test(plain) ? plain : `v${plain}`
  let name = base
  for (let n = 2; taken.has(name); n++) name = `${base}${n}`
  taken.add(name)
  return name
}

interface Reader {
  pattern: string
  groups: string[]
  skip?: string
  names?: Record<string, string>
  units?: Record<string, string>
}

const draftOf = (
  reader: Reader,
  lines: readonly string[],
  hints: Hints,
  encoding: string | undefined,
  what: string,
  weight: number,
): Draft | undefined => {
  const pattern = new RegExp(reader.pattern, 'u')
  const skip = reader.skip === undefined ? undefined : new RegExp(reader.skip, 'u')
  const rows: Record<string, string>[] = []
  let odd = 0
  for (const line of lines) {
    if (line.length > 2000 || skip?.test(line)) continue
    const groups = pattern.exec(line)?.groups
    if (groups) rows.push(groups)
    else if (line.trim() !== '') odd++
  }
  if (rows.length === 0) return undefined
  const fields: Field[] = reader.groups.map(group => {
    const unit = reader.units?.[group]
    return {
      ref: group,
      name: reader.names?.[group] ?? group,
      ...(unit !== undefined && { unit }),
      texts: rows.map(row => row[group] ?? ''),
    }
  })
  const plan = planFields(fields, hints, true)
  if (plan.columns === 0) return undefined
  const format: Settings = {
    kind: 'lines',
    ...(encoding !== undefined && { encoding }),
    pattern: reader.pattern,
    ...(reader.skip !== undefined && { skip: reader.skip }),
    ...plan.settings,
  }
  const doubts = [
    {
      path: ['format', 'pattern'],
      text: `made of ${rows.length} lines that are alike${odd > 0 ? `; ${odd} others do not match it` : ''}: look at its names`,
    },
  ]
  return {
    format,
    kind: 'tail',
    stream: 'readings',
    ...localOf(plan),
    doubts: [...doubts, ...plan.doubts],
    findings: [{ what: 'format', text: what }, ...plan.findings],
    weight,
  }
}

const localOf = ({ clock }: FieldsPlan) =>
  clock.time && !clock.isUtc ? { local: true, ...(clock.ms && { localMs: clock.ms }) } : {}

/** NMEA 0183: the sentence that says most, RMC where it is (it alone has date and time). */
const nmea = (lines: readonly string[], _hints: Hints, encoding: string | undefined): Draft | undefined => {
  const types = new Map<string, number>()
  for (const line of lines) {
    const m = /^[$!]([A-Z]{2}[A-Z]{3}|P[A-Z]{3,5}),/.exec(line.trim())
    if (m?.[1]) types.set(m[1], (types.get(m[1]) ?? 0) + 1)
  }
  const all = [...types.values()].reduce((a, b) => a + b, 0)
  if (all < lines.filter(line => line.trim() !== '').length * 0.7 || all === 0) return undefined
  const rmc = [...types.keys()].find(type => type.endsWith('RMC'))
  if (rmc === undefined) return undefined
  const others = [...types.keys()].filter(type => type !== rmc)
  const pattern = `^\\$${rmc},(?<time>\\d{6}(?:\\.\\d+)?),(?<valid>[AV]),(?<latitude>[\\d.]*),(?<ns>[NS]?),(?<longitude>[\\d.]*),(?<ew>[EW]?),(?<speed>[\\d.]*),(?<course>[\\d.]*),(?<date>\\d{6}),`
  const rows = lines.map(line => new RegExp(pattern, 'u').exec(line)?.groups).filter(groups => groups !== undefined)
  if (rows.length === 0) return undefined
  const fractions = new Set(rows.map(row => row.time?.split('.')[1]?.length ?? 0))
  const [digits = 0] = fractions
  const fraction =
    digits === 0 && fractions.size === 1 ? '' : fractions.size === 1 && digits > 1 ? `.${'S'.repeat(digits)}` : '.S'
  const format: Settings = {
    kind: 'lines',
    ...(encoding !== undefined && { encoding }),
    pattern,
    ...(others.length > 0 && { skip: `^[$!](?!${rmc},)` }),
    time: { date: 'date', time: 'time', layout: `DDMMYY HHmmss${fraction}`, zone: 'UTC' },
    columns: {
      valid: { type: 'bool', trueTexts: ['A'], falseTexts: ['V'] },
      latitude: { type: 'float', unit: 'ddmm.mmmm' },
      ns: 'text',
      longitude: { type: 'float', unit: 'dddmm.mmmm' },
      ew: 'text',
      speed: { type: 'float', unit: 'kn' },
      course: { type: 'float', unit: '°' },
    },
  }
  return {
    format,
    kind: 'tail',
    stream: 'position',
    doubts: [
      {
        path: ['format', 'columns', 'latitude'],
        text: 'degrees and minutes in one number, as the sentence has them: ddmm.mmmm, and N or S in "ns"',
      },
      ...(others.length > 0
        ? [
            {
              path: ['format', 'skip'],
              text: `${others.join(', ')} ${others.length === 1 ? 'is' : 'are'} passed over: they carry no date`,
            },
          ]
        : []),
    ],
    findings: [
      { what: 'format', text: `NMEA 0183 sentences: ${[...types].map(([type, n]) => `${n} × ${type}`).join(', ')}` },
      { what: 'time', text: `date and time of ${rmc}, UTC` },
    ],
    weight: 2,
  }
}

// Pieces of a line: a time, a number, a word, a blank, one other character.
const clock = String.raw`\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?: ?[AaPp][Mm]\b)?(?: ?(?:Z\b|[+-]\d{2}:?\d{2}\b))?`
const date = String.raw`(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|\d{1,2}[- ][A-Za-z]{3}[- ]\d{4})`
const pieces = new RegExp(
  String.raw`(?<time>${date}(?:[T ,_]{1,2}${clock})?|(?<![\d.])${clock})|(?<number>(?<=\p{L})[+-]\d+[.,]\d+|(?<![\p{L}\d])[+-]? *(?:\d+(?:[.,]\d+)?|\.\d+)(?:[eE][+-]?\d+)?(?![\p{L}\d]*[:_]))|(?<word>[\p{L}_][\p{L}\p{N}_]*)|(?<blank>\s+)|(?<mark>.)`,
  'gu',
)
type Kind = 'time' | 'number' | 'word' | 'blank' | 'mark'
interface Piece {
  kind: Kind
  text: string
}

const piecesMax = 200
const piecesOf = (line: string): Piece[] => {
  const found: Piece[] = []
  for (const m of line.matchAll(pieces)) {
    const [kind, text] = Object.entries(m.groups ?? {}).find(([, value]) => value !== undefined) as [Kind, string]
    found.push({ kind, text })
    if (found.length >= piecesMax) break
  }
  return found
}
const skeleton = (list: readonly Piece[]): string =>
  list.map(piece => (piece.kind === 'mark' ? piece.text : piece.kind === 'blank' ? ' ' : piece.kind)).join('')

/** The shape that most lines have, with what varies as groups. */
const regular = (lines: readonly string[], hints: Hints, encoding: string | undefined): Draft | undefined => {
  const shapes = new Map<string, Piece[][]>()
  const filled = lines.filter(line => line.trim() !== '' && line.length < 1000)
  for (const line of filled) {
    const list = piecesOf(line.trimEnd())
    const key = skeleton(list)
    const had = shapes.get(key)
    if (had) had.push(list)
    else if (shapes.size < 500) shapes.set(key, [list])
  }
  const hasNumber = (list: readonly Piece[][]): number => (list[0]?.some(piece => piece.kind === 'number') ? 1 : 0)
  const [best] = [...shapes.values()].sort((a, b) => hasNumber(b) - hasNumber(a) || b.length - a.length)
  if (!best || best.length < Math.max(2, filled.length * 0.3)) return undefined
  const first = best[0] as Piece[]
  const varies = first.map((_, i) => new Set(best.map(list => list[i]?.text)).size > 1)
  const numbers = first.filter((piece, i) => piece.kind === 'number' && (varies[i] || best.length < 4)).length
  if (numbers === 0 || numbers > groupsMax) return undefined
  const reader = patternFrom(first, varies, best.length)
  const others = filled.filter(line => !new RegExp(reader.pattern, 'u').test(line))
  const chatter = chatterOf(others)
  return draftOf(
    { ...reader, ...(chatter !== undefined && { skip: chatter }) },
    lines,
    hints,
    encoding,
    'lines of one shape',
    0.4,
  )
}

/** Lines without any number are chatter: banners, prompts. */
const chatterOf = (lines: readonly string[]): string | undefined => {
  const plain = lines.filter(line => !/\d/.test(line))
  if (plain.length === 0) return undefined
  return '^\\D*$'
}

const patternFrom = (first: readonly Piece[], varies: readonly boolean[], n: number): Reader => {
  const taken = new Set<string>()
  const groups: string[] = []
  const units: Record<string, string> = {}
  // A mark that may stand in a number and between numbers would let the pattern try every cut.
  const mark = first.some(piece => piece.kind === 'number' && piece.text.includes(',')) ? ',' : '\\.'
  const number = `(?:\\d+(?:${mark}\\d*)?|${mark}\\d+)(?:[eE][-+]?\\d+)?`
  let pattern = '^'
  for (const [i, piece] of first.entries()) {
    const isGroup =
      piece.kind === 'time' ||
      (piece.kind === 'number' && (varies[i] || n < 4 || isLabelled(first, i))) ||
      (piece.kind === 'word' && varies[i])
    if (!isGroup) {
      pattern += piece.kind === 'blank' ? '\\s+' : escaped(piece.text)
      continue
    }
    const wanted =
      piece.kind === 'time' ? 'time' : (labelBefore(first, i) ?? (piece.kind === 'word' ? 'word' : 'value'))
    const group = groupName(wanted, taken)
    groups.push(group)
    if (piece.kind === 'number') {
      const unit = unitBehind(first, i)
      if (unit !== undefined) units[group] = unit
      // A minus apart from its number cannot be read with it: such a line does not match and becomes a reject.
      pattern += /\s/.test(piece.text) ? `\\+?\\s*(?<${group}>-?${number})` : `(?<${group}>[-+]?${number})`
    } else if (piece.kind === 'time') pattern += `(?<${group}>${timeClass(piece.text)})`
    else pattern += `(?<${group}>[\\p{L}_][\\p{L}\\p{N}_]*)`
  }
  return { pattern: `${pattern}\\s*$`, groups, units }
}
/** The pattern of a time as it is written, its numbers one digit shorter or longer, its fraction there or not. */
const timeClass = (text: string): string => {
  const [whole = text, fraction] = text.split(/(?<=:\d\d)[.,](?=\d)/)
  const classes = (part: string): string =>
    part.replace(/\d+|[A-Za-z]+|[^\dA-Za-z]/g, piece => {
      if (/\d/.test(piece)) return piece.length <= 2 ? '\\d{1,2}' : '\\d+'
      if (/[A-Za-z]/.test(piece)) return '[A-Za-z]+'
      return piece === '+' || (piece === '-' && part !== text && part === fraction) ? '[-+]' : escaped(piece)
    })
  const behind = (fraction ?? '').replace(/^\d+/, '')
  return `${classes(whole)}(?:[.,]\\d+)?${behind === '' ? '' : classes(behind)}`
}

const isLabelled = (list: readonly Piece[], i: number): boolean => /^[=:]$/.test(list[i - 1]?.text ?? '')

/** `T=`, `temp: `, `CH1 ` before a number. */
const labelBefore = (list: readonly Piece[], i: number): string | undefined => {
  let k = i - 1
  while (k >= 0 && (list[k]?.kind === 'blank' || /^[=:>"'(]$/.test(list[k]?.text ?? ''))) k--
  const piece = list[k]
  if (piece?.kind !== 'word') return undefined
  const between = list
    .slice(k + 1, i)
    .map(p => p.text)
    .join('')
  if (!/[=:]/.test(between) && !/^\s+$/.test(between)) return undefined
  return piece.text
}
/** `°C`, `g`, `V` behind a number. */
const unitBehind = (list: readonly Piece[], i: number): string | undefined => {
  let k = i + 1
  if (list[k]?.kind === 'blank') k++
  const a = list[k]
  const b = list[k + 1]
  if (a?.kind === 'mark' && /[°%µΩ]/u.test(a.text))
    return b?.kind === 'word' && b.text.length <= 2 ? `${a.text}${b.text}` : a.text
  if (
    a?.kind === 'word' &&
    a.text.length <= 4 &&
    !/^[=:]$/.test(b?.text ?? '') &&
    /^(?:[a-zA-Zµ]{1,3}|mbar|sccm|degC|Torr)$/u.test(a.text)
  )
    return a.text
  return undefined
}

/** Columns aligned with runs of blanks. */
const aligned = (lines: readonly string[], hints: Hints, encoding: string | undefined): Draft | undefined => {
  const rows = lines.filter(line => line.trim() !== '').map(line => ({ line, cells: line.trim().split(/\s+/) }))
  const isData = (cells: readonly string[]): boolean =>
    cells.every(cell => /^[+-]?[\d.]/.test(cell) || looksLikeTime(cell) || /^nan$/i.test(cell))
  const data = rows.filter(({ cells }) => cells.length >= 2 && isData(cells))
  const counts = new Map<number, number>()
  for (const { cells } of data) counts.set(cells.length, (counts.get(cells.length) ?? 0) + 1)
  const [most] = [...counts].sort((a, b) => b[1] - a[1])
  if (!most || most[0] < 2 || most[0] > groupsMax || most[1] < rows.length * 0.5 || most[1] < 2) return undefined
  const [width] = most
  if (!data.some(({ line }) => /\S {2,}\S|^\s+\S/.test(line))) return undefined
  const firstAt = rows.findIndex(row => data.includes(row) && row.cells.length === width)
  const headRow = rows
    .slice(0, firstAt)
    .reverse()
    .find(({ line }) => {
      const words = line
        .replace(/^[#%!*;\s]+/, '')
        .trim()
        .split(/\s{2,}|\s+/)
      return words.length === width
    })
  const words = headRow?.line
    .replace(/^[#%!*;\s]+/, '')
    .trim()
    .split(/\s+/)
  const taken = new Set<string>()
  const groups: string[] = []
  const names: Record<string, string> = {}
  for (let j = 0; j < width; j++) {
    const word = words?.[j] ?? `column${j + 1}`
    const group = groupName(word, taken)
    groups.push(group)
    names[group] = word
  }
  const pattern = `^\\s*${groups.map(group => `(?<${group}>\\S+)`).join('\\s+')}\\s*$`
  const chatter = rows.slice(0, firstAt).map(row => row.line)
  const comment = chatter.length > 0 && chatter.every(line => line.startsWith('#'))
  // Rows begin with a digit, sign or blank; what begins otherwise is no row.
  const skip = chatter.length === 0 ? undefined : comment ? '^#' : '^\\s*[\\p{L}#%!*;=-][^\\d]'
  const own = dateAndClock(data[0]?.cells ?? [], groups, names)
  return draftOf(
    { pattern, groups, names: own, ...(skip !== undefined && { skip }) },
    lines,
    hints,
    encoding,
    `${width} columns aligned with blanks`,
    0.9,
  )
}
/** Columns of dates and times have these names, so that they are seen as such. */
const dateAndClock = (
  cells: readonly string[],
  groups: readonly string[],
  names: Record<string, string>,
): Record<string, string> => {
  for (const [i, cell] of cells.entries()) {
    const group = groups[i]
    if (group !== undefined && /^column\d+$/.test(group) && looksLikeTime(cell))
      names[group] = cell.includes(':') ? 'time' : 'date'
  }
  return names
}

/** @param isTable a table was found: only what is more than a table is looked for */
export const draftLines = (
  lines: readonly string[],
  hints: Hints,
  encoding: string | undefined,
  isTable: boolean,
): Draft[] => {
  const some = lines.slice(0, linesMax)
  const sentences = nmea(some, hints, encoding)
  if (sentences) return [sentences]
  if (isTable) return []
  return [aligned(some, hints, encoding), regular(some, hints, encoding)].filter(draft => draft !== undefined)
}
