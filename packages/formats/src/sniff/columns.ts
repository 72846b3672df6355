/** What a column of texts holds: numbers and their decimal mark, words for on and off, texts for holes, text. */
import { saysNotANumber } from '../number.ts'
import type { Thousands } from '../options.ts'
import { isUnit } from './units.ts'

export type ColumnType = 'float' | 'int' | 'bool' | 'text'

export interface ColumnGuess {
  type: ColumnType
  decimal?: '.' | ','
  /** Texts that stand for a hole, beside the empty one. */
  nullTexts: string[]
  /** Texts that stand for a state. */
  status: Record<string, string>
  trueTexts: string[]
  falseTexts: string[]
  /** No cell holds anything. */
  empty: boolean
  /** Distinct texts, at most `distinctMax`. */
  distinct: Set<string>
  doubts: string[]
  /** Mark between thousands. */
  thousands?: Thousands
  /** Its points could stand between thousands: no witness of the decimal mark. */
  isWeak?: boolean
  /** Text behind each number. */
  suffix?: string
  /** Share of the cells that the type reads. */
  share: number
}

export const distinctMax = 64

const pointNumber = /^[+\u2212\uff0d-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
const commaNumber = /^[+\u2212\uff0d-]?(?:\d+,?\d*|,\d+)(?:[eE][+-]?\d+)?$/
const wholeNumber = /^[+\u2212\uff0d-]?\d+$/
const nullPattern =
  /^(?:null|\(null\)|\[null\]|\\N|nil|none|nan|n\/a|n\.a\.|na|#n\/a(?: n\/a)?|#nv|#nul!|#value!|#div\/0!|#num!|#ref!|-+|—|–|\.+|\?+|\*+|_+|missing|no data|nodata|n\/d|nd|k\.a\.|void|undef|undefined|unavailable|unknown|not available|invalid value|<na>|nat)$/i
const overPattern = /^[+-]?(?:ol|o\.l\.?|ovl|ovld|ofl|over|overflow|overload|overrange|over range|#####+|>+|999\.9\+)$/i
const underPattern = /^(?:under|underflow|underrange|under range|<+)$/i
const failPattern =
  /^(?:err|error|err\.|fail|failed|fault|fehler|bad|i\/o timeout|timeout|comm fail|bad input|invalid|sensor error|open|short|disconnected)$/i

const truePattern = /^(?:true|t|yes|y|on)$/i
const falsePattern = /^(?:false|f|no|n|off)$/i
/** Words for on and off beyond those that the formats know. */
const trueWords = /^(?:ein|an|ja|wahr|vrai|oui|marche|sí|si|verdadero|vero|acceso|wahr|waar|aan|på|オン|はい|真)$/i
const falseWords = /^(?:aus|nein|falsch|faux|non|arrêt|no|falso|spento|onwaar|uit|av|オフ|いいえ|偽)$/i

/** Whether a cell holds no value, by its text. */
export const saysHole = (text: string): boolean => text === '' || nullPattern.test(text)
/** Beside numbers: the instrument was not measuring. */
const offPattern = /^(?:off|aus|standby|stand-by|not ready|warm-?up|warming up|disabled|inactive)$/i
const saysState = (text: string): string | undefined =>
  overPattern.test(text)
    ? 'overload'
    : underPattern.test(text)
      ? 'underload'
      : failPattern.test(text)
        ? 'failed'
        : offPattern.test(text)
          ? 'off'
          : undefined

export type CellClass = 'number' | 'hole' | 'text'
/** A cell at a glance; commas may be decimal marks. */
export const classOf = (text: string): CellClass =>
  text === '' || nullPattern.test(text)
    ? 'hole'
    : pointNumber.test(text) || commaNumber.test(text) || saysNotANumber(text) || overPattern.test(text)
      ? 'number'
      : 'text'

export const isNumber = (text: string, decimal: '.' | ','): boolean =>
  (decimal === ',' ? commaNumber : pointNumber).test(text)
export const numberOf = (text: string, decimal: '.' | ','): number =>
  isNumber(text, decimal)
    ? Number(text.replace(/^[\u2212\uff0d]/u, '-').replace(decimal === ',' ? ',' : '.', '.'))
    : Number.NaN

interface Tally {
  n: number
  holes: Map<string, number>
  states: Map<string, number>
  point: number
  comma: number
  whole: number
  trues: Map<string, number>
  falses: Map<string, number>
  texts: number
  textSamples: Set<string>
  distinct: Set<string>
  grouped: number
  measures: number
  /** Whole numbers that a double does not hold. */
  long: number
  /** Whole numbers with zeros in front. */
  padded: number
  /** `1,204`: a decimal comma, or a mark between thousands. */
  groupedCommas: number
  /** The same with a point. */
  groupedPoints: number
}

const add = (map: Map<string, number>, text: string): void => {
  if (map.size < 32 || map.has(text)) map.set(text, (map.get(text) ?? 0) + 1)
}

const tally = (texts: readonly string[]): Tally => {
  const t: Tally = {
    n: 0,
    holes: new Map(),
    states: new Map(),
    point: 0,
    comma: 0,
    whole: 0,
    trues: new Map(),
    falses: new Map(),
    texts: 0,
    textSamples: new Set(),
    distinct: new Set(),
    grouped: 0,
    measures: 0,
    long: 0,
    padded: 0,
    groupedCommas: 0,
    groupedPoints: 0,
  }
  for (const raw of texts) {
    const text = raw.trim()
    t.n++
    if (t.distinct.size < distinctMax) t.distinct.add(text)
    if (wholeNumber.test(text)) {
      t.whole++
      if (text.length > 15 && !Number.isSafeInteger(Number(text))) t.long++
      if (/^0\d/.test(text)) t.padded++
    } else if (pointNumber.test(text)) {
      t.point++
      if (/^[+-]?\d{1,3}\.\d{3}$/.test(text)) t.groupedPoints++
    } else if (commaNumber.test(text)) {
      t.comma++
      if (/^[+-]?\d{1,3},\d{3}$/.test(text)) t.groupedCommas++
    } else if (text === '' || nullPattern.test(text)) add(t.holes, text)
    else {
      if (truePattern.test(text) || trueWords.test(text)) add(t.trues, text)
      if (falsePattern.test(text) || falseWords.test(text)) add(t.falses, text)
      if (saysState(text) !== undefined || saysNotANumber(text)) add(t.states, text)
      if (/^[+-]?\d{1,3}(?:([ '’.,\u00a0\u202f])\d{3})(?:\1\d{3})*(?:[.,]\d+)?$/.test(text)) t.grouped++
      if (/^[+-]?\d+(?:[.,]\d+)?\s*[\p{L}°%µΩ][^\d]{0,8}$/u.test(text)) t.measures++
      t.texts++
      if (t.textSamples.size < 8) t.textSamples.add(text)
    }
  }
  return t
}

const sum = (map: ReadonlyMap<string, number>): number => [...map.values()].reduce((a, b) => a + b, 0)

const codeName =
  /serial|barcode|\bean\b|code$|\bzip\b|postal|plz|article|artikel|\blot\b|batch|charge|account|phone|(?:^|[_\s.])id$/i

const escapedMark: Record<Thousands, string> = { '.': '\\.', ',': ',', ' ': '[ \u00a0\u2009\u202f]', "'": "['’]" }

interface Grouping {
  thousands: Thousands
  /** Another reading is possible. */
  isAssumed: boolean
}

/** Whether numbers have marks between their thousands; a mark that could as well be the decimal one needs a reason. */
const groupingOf = (texts: readonly string[], decimal: '.' | ',', isCommaBetween: boolean): Grouping | undefined => {
  const cells = texts.map(text => text.trim()).filter(text => !saysHole(text) && saysState(text) === undefined)
  for (const thousands of [' ', "'", ',', '.'] as const) {
    const mark = escapedMark[thousands]
    const other = thousands === ',' ? '\\.' : thousands === '.' ? ',' : '[.,]'
    const grouped = new RegExp(`^[+-]?\\d{1,3}(?:${mark}\\d{3})+(${other}\\d+)?$`, 'u')
    const plain = new RegExp(`^[+-]?\\d+(${other}\\d+)?$`, 'u')
    const twice = new RegExp(`^[+-]?\\d{1,3}(?:${mark}\\d{3}){2,}`, 'u')
    const marked = cells.filter(text => grouped.test(text))
    if (marked.length === 0 || marked.some(text => text.startsWith('0'))) continue
    const rest = cells.filter(text => !grouped.test(text) && plain.test(text))
    if (marked.length + rest.length < cells.length * 0.95) continue
    if (thousands === ' ' || thousands === "'") return { thousands, isAssumed: false }
    const proven = marked.some(text => grouped.exec(text)?.[1] !== undefined || twice.test(text))
    if (proven || rest.some(text => plain.exec(text)?.[1] !== undefined)) return { thousands, isAssumed: false }
    if (thousands === ',' && isCommaBetween) return { thousands, isAssumed: true }
    // Decimals that are always three would be there in all numbers.
    const isFixed = marked.some(text => text.endsWith('0')) && rest.length > 0
    if (thousands === '.' && decimal === ',' && isFixed) return { thousands, isAssumed: true }
  }
  return undefined
}

/** Numbers with marks between thousands, as if they had none. */
const guessGrouped = (
  texts: readonly string[],
  { thousands, isAssumed }: Grouping,
  decimal: '.' | ',',
  name: string,
): ColumnGuess => {
  const own = thousands === ',' ? '.' : thousands === '.' ? ',' : decimal
  const marks = new RegExp(`(?<=\\d)${escapedMark[thousands]}(?=\\d{3})`, 'gu')
  const guess = guessColumn(
    texts.map(text => text.replaceAll(marks, '')),
    own,
    name,
  )
  if (guess.type !== 'float' && guess.type !== 'int') return guess
  const sample = texts.find(text => marks.test(text))?.trim() ?? ''
  const what = thousands === ' ' ? 'blank' : thousands === "'" ? 'apostrophe' : thousands === ',' ? 'comma' : 'point'
  const doubts = isAssumed
    ? [`"${sample}": the ${what} is taken for a mark between thousands, not for the decimal mark`]
    : []
  return { ...guess, decimal: guess.decimal ?? own, thousands, doubts: [...guess.doubts, ...doubts] }
}

const measure = /^([+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?)(\s*)([\p{L}°%‰µμΩ][^\d]{0,12})$/u

/** The unit that stands behind each number of a column: one for all, and no letter that could be part of a code. */
const suffixOf = (texts: readonly string[]): string | undefined => {
  const cells = texts.map(text => text.trim()).filter(text => !saysHole(text) && saysState(text) === undefined)
  const parts = cells.map(text => measure.exec(text))
  const [first] = parts.filter(Boolean)
  const suffix = first?.[3]?.trim()
  if (suffix === undefined || !isUnit(suffix)) return undefined
  const same = parts.filter((part, i) => (part ? part[3]?.trim() === suffix : commaOrPoint.test(cells[i] as string)))
  if (same.length < cells.length * 0.95 || parts.filter(Boolean).length < cells.length * 0.5) return undefined
  const isPlain = parts.some(
    part => part && (part[2] !== '' || /[.,]/.test(part[1] ?? '') || /^[^\p{L}]/u.test(suffix)),
  )
  return isPlain ? suffix : undefined
}
const commaOrPoint = /^[+-]?\d+(?:[.,]\d+)?$/

/** Numbers with a unit behind them, as if they had none. */
const guessMeasures = (texts: readonly string[], suffix: string, decimal: '.' | ',', name: string): ColumnGuess => {
  const bare = texts.map(text => {
    const t = text.trim()
    return t.endsWith(suffix) ? t.slice(0, -suffix.length).trimEnd() : t
  })
  const guess = guessColumn(bare, decimal, name)
  return guess.type === 'float' || guess.type === 'int' ? { ...guess, suffix } : guess
}

/**
 * @param decimal mark of the file as a whole
 * @param isCommaBetween commas stand between cells: in a number they are rather marks between thousands
 */
export const guessColumn = (
  texts: readonly string[],
  decimal: '.' | ',',
  name = '',
  isCommaBetween = false,
): ColumnGuess => {
  const t = tally(texts)
  const base = {
    nullTexts: [],
    status: {},
    trueTexts: [],
    falseTexts: [],
    empty: false,
    distinct: t.distinct,
    doubts: [],
    share: 1,
  }
  const holes = sum(t.holes)
  const filled = t.n - holes
  if (filled === 0) return { ...base, type: 'float', empty: true, nullTexts: [...t.holes.keys()].filter(x => x !== '') }
  const nulls = [...t.holes.keys()].filter(text => text !== '')
  const numbers = t.point + t.comma + t.whole
  if (t.long > 0 || (t.padded > 0 && codeName.test(name)))
    return { ...base, type: 'text', nullTexts: nulls.filter(isTextNull) }
  const mayBeGrouped = t.grouped > 0 || (isCommaBetween && t.groupedCommas > 0) || (decimal === ',' && t.point > 0)
  const grouping = mayBeGrouped && !codeName.test(name) ? groupingOf(texts, decimal, isCommaBetween) : undefined
  if (grouping) return guessGrouped(texts, grouping, decimal, name)
  const suffix = t.measures > filled * 0.5 ? suffixOf(texts) : undefined
  if (suffix !== undefined) return guessMeasures(texts, suffix, decimal, name)
  if (numbers > 0 && numbers + sum(t.states) >= filled * 0.9) return numbersOf(t, base, nulls, filled, decimal)
  const trues = sum(t.trues)
  const falses = sum(t.falses)
  // "-" and the like beside ON and OFF are holes; a column of one word alone may be a word.
  if (trues + falses >= filled && (trues > 0 || falses > 0)) {
    const extra = (map: ReadonlyMap<string, number>, known: RegExp): string[] =>
      [...map.keys()].filter(text => !known.test(text))
    return {
      ...base,
      type: 'bool',
      nullTexts: nulls,
      trueTexts: extra(t.trues, truePattern),
      falseTexts: extra(t.falses, falsePattern),
    }
  }
  const doubts: string[] = []
  if (t.measures >= filled * 0.5) {
    const [first = ''] = t.textSamples
    doubts.push(`"${first}" is a number with its unit in the cell, which is kept as text: export it without`)
  } else if (t.grouped >= filled * 0.5) {
    const [first = ''] = t.textSamples
    doubts.push(
      `"${first}" looks like a number with a mark between thousands, which is kept as text: export it without`,
    )
  } else if (numbers > filled * 0.3) {
    const [first = ''] = t.textSamples
    doubts.push(
      `${numbers} of ${filled} cells are numbers, others are text such as "${first.slice(0, 40)}": kept as text`,
    )
  }
  return {
    ...base,
    type: 'text',
    nullTexts: nulls.filter(isTextNull),
    doubts,
    share: numbers > 0 ? 0.5 : 1,
  }
}

/** In a column of texts fewer words stand for a hole: "-" may be a code, "none" an answer. */
const isTextNull = (text: string): boolean => /^(?:null|\(null\)|\[null\]|\\N|nan|n\/a|#n\/a|<na>|nat)$/i.test(text)

const numbersOf = (
  t: Tally,
  base: Omit<ColumnGuess, 'type'>,
  nulls: string[],
  filled: number,
  decimal: '.' | ',',
): ColumnGuess => {
  const own = t.comma > t.point ? ',' : t.point > 0 ? '.' : decimal
  const misfit = own === ',' ? t.point : t.comma
  const status: Record<string, string> = {}
  const doubts: string[] = []
  for (const text of t.states.keys()) {
    const state = saysState(text)
    if (state !== undefined) {
      status[text] = state
      doubts.push(`"${text}" is taken to mean ${state}: the value becomes a hole, the row gets that status`)
    }
  }
  if (misfit > 0) doubts.push(`${misfit} of ${filled} numbers have the other decimal mark; their rows will be rejects`)
  return {
    ...base,
    type: t.point + t.comma === 0 ? 'int' : 'float',
    decimal: own,
    ...(own === '.' && t.groupedPoints === t.point && { isWeak: true }),
    nullTexts: nulls,
    status,
    doubts,
    share: (filled - misfit) / filled,
  }
}

/** Numbers that instruments write where they have none: all nines, limits of integers, SCPI's 9.9e37. */
const isSentinelLike = (value: number): boolean => {
  const digits = String(Math.abs(value)).replace('.', '')
  if (/^9{3,}$/.test(digits)) return true
  return (
    [9.9e37, 9.91e37, 32767, 65535, 2147483647, 32768, 7999, 6999, 8888, 1e30].includes(Math.abs(value)) &&
    Math.abs(value) !== 65535
  )
}

/** Doubts about numbers that look like "no value". */
export const sentinelDoubts = (texts: readonly string[], decimal: '.' | ','): string[] => {
  const counts = new Map<number, { n: number; text: string }>()
  let low = Number.POSITIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  for (const raw of texts) {
    const value = numberOf(raw.trim(), decimal)
    if (Number.isNaN(value)) continue
    if (isSentinelLike(value)) {
      const seen = counts.get(value)
      if (seen) seen.n++
      else if (counts.size < 8) counts.set(value, { n: 1, text: raw.trim() })
    } else {
      low = Math.min(low, value)
      high = Math.max(high, value)
    }
  }
  const doubts: string[] = []
  const span = Math.max(high - low, Math.abs(high), Math.abs(low))
  for (const [value, { n, text }] of counts) {
    // Far outside of what the other values are.
    if (low > high || (value >= low && value <= high) || Math.min(Math.abs(value - low), Math.abs(value - high)) < span)
      continue
    doubts.push(
      `${text} looks like a sentinel for "no value": ${n} times, where the other values are ${low} to ${high}; if so, add it to nullTexts or to status`,
    )
  }
  return doubts
}
