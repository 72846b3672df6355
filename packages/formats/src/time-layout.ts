/**
 * Times as instruments write them: a layout is compiled once into a reader over bytes.
 *
 * A layout is `iso`; a count in `s`, `ms`, `us`, `ns`, `min`, `h` or `d` since 1970 or a start, or `hms` as `26:05:07.5`; `excel`; or text with tokens:
 *
 *     YYYY YY  MM M  MMM (Jan)  MMMM (a month in words of several languages)  DD D  DDD (day of the year)  ddd (Mon)  HH H  hh h with A (AM, p.m.)  mm m  ss s
 *     S: a fraction of 1 to 9 digits · SS…SSSSSSSSS: exactly so many digits
 *     Z: an offset (Z, +01:00, +0100) · z: UTC GMT WET WEST CET CEST EET EEST JST · 'text': itself, '' a quote mark
 *
 * A blank reads one or more blanks; any other character reads itself.
 */
import { daysInMonth } from '@penstock/frame'
import { readNumber } from './number.ts'

/** What a reader found: no time, a local time, or a time with an offset of its own. */
export const NO_TIME = 0
export const LOCAL_TIME = 1
export const UTC_TIME = 2
export type Reading = typeof NO_TIME | typeof LOCAL_TIME | typeof UTC_TIME

/** Bytes, and the same memory for reading eight of them at once. */
export interface TimeBytes {
  bytes: Uint8Array
  data: DataView
}

export const timeBytes = (bytes: Uint8Array): TimeBytes => ({
  bytes,
  data: new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
})

/** Reads bytes[start, end) and leaves ms since the epoch (local times counted as if they were UTC) in at[0], ns below a ms in at[1]. */
export type TimeReader = (from: TimeBytes, start: number, end: number, at: Float64Array) => Reading

/** Years 0 to 9999: what ISO 8601 writes with four digits. */
const msMin = -62_167_219_200_000
const msMax = 253_402_300_799_999
export const inRange = (ms: number): boolean => ms >= msMin && ms <= msMax

/** Days since 1970-01-01 of a calendar date (H. Hinnant, "chrono-compatible low-level date algorithms"). */
const daysFromCivil = (year: number, month: number, day: number): number => {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yoe = y - era * 400
  const doy = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return era * 146_097 + yoe * 365 + Math.floor(yoe / 4) - Math.floor(yoe / 100) + doy - 719_468
}

/** ms of a calendar time, or NaN where no calendar has it. */
const civilMs = (y: number, mo: number, d: number, h: number, mi: number, s: number): number => {
  if (mo < 1 || mo > 12 || d < 1 || h > 23 || mi > 59 || s > 59) return Number.NaN
  if (d > 28 && d > daysInMonth(y, mo)) return Number.NaN
  return daysFromCivil(y, mo, d) * 86_400_000 + h * 3_600_000 + mi * 60_000 + s * 1000
}

/** The number that `count` digits at `p` spell, or −1. */
const digitsAt = (bytes: Uint8Array, p: number, count: number): number => {
  let value = 0
  for (let i = 0; i < count; i++) {
    const d = (bytes[p + i] as number) - 48
    if (!(d >= 0 && d <= 9)) return -1
    value = value * 10 + d
  }
  return value
}

/** Digits of a second's fraction from `p`, at most to `end`: sets at[0] += ms, at[1] = ns. Returns the position behind, or −1. */
const fractionAt = (
  bytes: Uint8Array,
  p: number,
  end: number,
  digitsMin: number,
  digitsMax: number,
  at: Float64Array,
) => {
  let value = 0
  let n = 0
  while (n < digitsMax && p + n < end) {
    const d = (bytes[p + n] as number) - 48
    if (d < 0 || d > 9) break
    value = value * 10 + d
    n++
  }
  if (n < digitsMin) return -1
  if (n <= 3) at[0] = (at[0] as number) + (n === 3 ? value : n === 2 ? value * 10 : value * 100)
  else {
    for (let i = n; i < 9; i++) value *= 10
    const ms = Math.floor(value / 1e6)
    at[0] = (at[0] as number) + ms
    at[1] = value - ms * 1e6
  }
  return p + n
}

/** An offset `Z`, `+01:00`, `+0100`, `+01` that fills bytes[p, end): minutes, or NaN. */
const offsetAt = (bytes: Uint8Array, p: number, end: number): number => {
  const c = bytes[p]
  if ((c === 90 || c === 122) && end === p + 1) return 0
  if (c !== 43 && c !== 45) return Number.NaN
  const hours = end - p >= 3 ? digitsAt(bytes, p + 1, 2) : -1
  let q = p + 3
  let minutes = 0
  if (q < end) {
    if (bytes[q] === 58) q++
    minutes = end - q === 2 ? digitsAt(bytes, q, 2) : -1
  }
  if (hours < 0 || minutes < 0 || hours > 23 || minutes > 59) return Number.NaN
  return (c === 45 ? -1 : 1) * (hours * 60 + minutes)
}

/** ISO 8601: a date, or a date and a time to the minute, second or up to 9 digits of it, with or without an offset. */
const createIso = (): TimeReader => {
  const seen = new Uint8Array(16)
  let seenMs = Number.NaN
  return ({ bytes }, start, end, at) => {
    const length = end - start
    if (length < 10) return NO_TIME
    at[1] = 0
    let same = length >= 16
    for (let i = 0; same && i < 16; i++) same = bytes[start + i] === seen[i]
    if (!same || Number.isNaN(seenMs)) {
      if (bytes[start + 4] !== 45 || bytes[start + 7] !== 45) return NO_TIME
      const y = digitsAt(bytes, start, 4)
      const mo = digitsAt(bytes, start + 5, 2)
      const d = digitsAt(bytes, start + 8, 2)
      if (y < 0 || mo < 0 || d < 0) return NO_TIME
      if (length === 10) {
        at[0] = civilMs(y, mo, d, 0, 0, 0)
        return Number.isNaN(at[0]) ? NO_TIME : LOCAL_TIME
      }
      const mark = bytes[start + 10]
      if ((mark !== 84 && mark !== 116 && mark !== 32) || length < 16 || bytes[start + 13] !== 58) return NO_TIME
      const h = digitsAt(bytes, start + 11, 2)
      const mi = digitsAt(bytes, start + 14, 2)
      if (h < 0 || mi < 0) return NO_TIME
      seenMs = civilMs(y, mo, d, h, mi, 0)
      if (Number.isNaN(seenMs)) return NO_TIME
      for (let i = 0; i < 16; i++) seen[i] = bytes[start + i] as number
    }
    at[0] = seenMs
    let p = start + 16
    if (p < end && bytes[p] === 58) {
      const s = end - p >= 3 ? digitsAt(bytes, p + 1, 2) : -1
      if (s < 0 || s > 59) return NO_TIME
      at[0] = seenMs + s * 1000
      p += 3
      if (p < end && (bytes[p] === 46 || bytes[p] === 44)) {
        p = fractionAt(bytes, p + 1, end, 1, 9, at)
        if (p < 0) return NO_TIME
      }
    }
    while (p < end && bytes[p] === 32) p++
    if (p === end) return LOCAL_TIME
    const minutes = offsetAt(bytes, p, end)
    if (Number.isNaN(minutes)) return NO_TIME
    at[0] = (at[0] as number) - minutes * 60_000
    return UTC_TIME
  }
}

/** Digits of ns that one of the unit has. */
const unitDigits = { s: 9, ms: 6, us: 3, ns: 0 } as const
export type EpochUnit = keyof typeof unitDigits
export const isEpochUnit = (layout: string): layout is EpochUnit => Object.hasOwn(unitDigits, layout)

/** A count of seconds (ms, µs, ns), exact to the ns at any length, its mark a point or a comma; digits below a ns are dropped. */
const createEpoch = (unit: EpochUnit): TimeReader => {
  const shift = unitDigits[unit]
  return ({ bytes }, start, end, at) => {
    const negative = bytes[start] === 45
    const first = negative || bytes[start] === 43 ? start + 1 : start
    let mark = first
    while (mark < end && bytes[mark] !== 46 && bytes[mark] !== 44) mark++
    if (mark === first || end - first > 40) return NO_TIME
    let ms = 0
    let ns = 0
    // Digit k of the whole count in ns; the last six are the ns below a ms.
    const total = mark - first + shift
    for (let k = 0; k < total; k++) {
      const p = k < mark - first ? first + k : first + k + 1
      const d = p < end ? (bytes[p] as number) - 48 : 0
      if (d < 0 || d > 9) return readEpochText(bytes, start, end, shift, at)
      if (k < total - 6) ms = ms * 10 + d
      else ns = ns * 10 + d
    }
    for (let p = mark + 1 + shift; p < end; p++) {
      const d = (bytes[p] as number) - 48
      if (d < 0 || d > 9) return readEpochText(bytes, start, end, shift, at)
    }
    if (negative && (ms > 0 || ns > 0)) {
      ms = ns > 0 ? -ms - 1 : -ms
      ns = ns > 0 ? 1e6 - ns : 0
    }
    if (!inRange(ms)) return NO_TIME
    at[0] = ms
    at[1] = ns
    return UTC_TIME
  }
}

const epochText = /^([+-]?)(\d+)(?:[.,](\d*))?(?:[eE]([+-]?\d{1,3}))?$/
/** A count with an exponent or a decimal comma, as programs for measuring write it: 1.710417600e+09, 0,250000. */
const readEpochText = (bytes: Uint8Array, start: number, end: number, shift: number, at: Float64Array): Reading => {
  const m = epochText.exec(String.fromCharCode(...bytes.subarray(start, end)))
  if (!m) return NO_TIME
  const [, sign, whole = '', fraction = '', exponent = '0'] = m
  const digits = `${whole}${fraction}`.replace(/^0+(?=\d)/, '')
  const zeros = Number(exponent) - fraction.length + shift
  if (digits !== '0' && digits.length + zeros > 22) return NO_TIME
  const text = zeros >= 0 ? (digits === '0' ? '0' : digits + '0'.repeat(zeros)) : digits.slice(0, zeros) || '0'
  const ns = BigInt(sign === '-' ? `-${text}` : text)
  const rest = ((ns % 1_000_000n) + 1_000_000n) % 1_000_000n
  const ms = Number((ns - rest) / 1_000_000n)
  if (!inRange(ms)) return NO_TIME
  at[0] = ms
  at[1] = Number(rest)
  return UTC_TIME
}

/** Seconds of the units that are no power of ten of one. */
const longUnits = { min: 60n, h: 3600n, d: 86_400n } as const
type LongUnit = keyof typeof longUnits
const isLongUnit = (layout: string): layout is LongUnit => Object.hasOwn(longUnits, layout)

/** A count of minutes, hours or days, to the nearest ns, its mark a point or a comma. */
const createLongCount = (unit: LongUnit): TimeReader => {
  const perNs = longUnits[unit] * 1_000_000_000n
  return ({ bytes }, start, end, at) => {
    if (end - start > 40) return NO_TIME
    const m = epochText.exec(String.fromCharCode(...bytes.subarray(start, end)))
    if (!m) return NO_TIME
    const [, sign, whole = '', fraction = '', exponent = '0'] = m
    const scale = Number(exponent) - fraction.length
    if (whole.length + Number(exponent) > 18 || scale < -60) return NO_TIME
    const digits = BigInt(`${whole}${fraction}`) * perNs
    const divisor = scale < 0 ? 10n ** BigInt(-scale) : 1n
    const size = scale < 0 ? (digits + divisor / 2n) / divisor : digits * 10n ** BigInt(scale)
    const ns = sign === '-' ? -size : size
    const rest = ((ns % 1_000_000n) + 1_000_000n) % 1_000_000n
    const ms = Number((ns - rest) / 1_000_000n)
    if (!inRange(ms)) return NO_TIME
    at[0] = ms
    at[1] = Number(rest)
    return UTC_TIME
  }
}

const hmsText = /^(-?)(?:(\d{1,6})[. d]\s*)?(\d{1,6}):([0-5]\d):([0-5]\d)(?:[.,](\d{1,9}))?$/
/** A time gone by, as hours, minutes and seconds, with days before them or hours beyond 24. */
const readHms: TimeReader = ({ bytes }, start, end, at) => {
  const m = end - start > 40 ? null : hmsText.exec(String.fromCharCode(...bytes.subarray(start, end)))
  if (!m) return NO_TIME
  const [, sign, days = '0', hours, minutes, seconds, fraction = ''] = m
  const whole = ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds)
  const below = Number(fraction.padEnd(9, '0'))
  const ns = (BigInt(whole) * 1_000_000_000n + BigInt(below)) * (sign === '-' ? -1n : 1n)
  const rest = ((ns % 1_000_000n) + 1_000_000n) % 1_000_000n
  at[0] = Number((ns - rest) / 1_000_000n)
  at[1] = Number(rest)
  return UTC_TIME
}

/** Whether a layout is a count since 1970, or since the start of a counter. */
export const isCount = (layout: string): boolean => isEpochUnit(layout) || isLongUnit(layout) || layout === 'hms'

/** Days since 1899-12-30 and their fraction, local, to the ms. */
const readExcel: TimeReader = ({ bytes }, start, end, at) => {
  const point = readNumber(bytes, start, end, 46)
  const days = Number.isNaN(point) ? readNumber(bytes, start, end, 44) : point
  const ms = Math.round(days * 86_400_000) - 25_569 * 86_400_000
  if (!inRange(ms)) return NO_TIME
  at[0] = ms
  at[1] = 0
  return LOCAL_TIME
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
/** Months by their words without letters that are not ASCII, so that no encoding matters: märz is mrz, février fvrier. */
const monthWords = [
  'january jan januar jnner janvier janv enero ene gennaio gen janeiro januari ianuarie',
  'february feb februar fvrier fvr febrero febbraio fevereiro fev februari febr',
  'march mar mrz mr mars marzo maro maart mrt marts',
  'april apr avril avr abril abr aprile',
  'may mai mayo maggio mag maio mei maj',
  'june jun juni juin junio giugno giu junho',
  'july jul juli juillet juil julio luglio lug julho',
  'august aug aot agosto ago augustus augusti',
  'september sep sept septembre septiembre settembre set setembro',
  'october oct oktober okt octobre octubre ottobre ott outubro out',
  'november nov novembre noviembre novembro',
  'december dec dezember dez dcembre dc diciembre dic dicembre dezembro',
]
const monthByWord = new Map(monthWords.flatMap((words, i) => words.split(' ').map(word => [word, i + 1] as const)))
/** 1 to 12, by a word in English, German, French, Spanish, Italian, Portuguese, Dutch, Swedish, Danish or Norwegian. */
export const monthOf = (word: string): number | undefined => monthByWord.get(word.toLowerCase().replace(/[^a-z]/g, ''))
const isLetter = (c: number): boolean => c > 127 || ((c | 32) >= 97 && (c | 32) <= 122)

const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
/** Offsets in minutes of the abbreviations that mean one zone alone. */
export const abbreviations: Readonly<Record<string, number>> = {
  UTC: 0,
  GMT: 0,
  WET: 0,
  WEST: 60,
  CET: 60,
  CEST: 120,
  EET: 120,
  EEST: 180,
  JST: 540,
}

type Token =
  | 'YYYY'
  | 'YY'
  | 'MMMM'
  | 'MMM'
  | 'MM'
  | 'M'
  | 'DDD'
  | 'DD'
  | 'D'
  | 'ddd'
  | 'HH'
  | 'H'
  | 'hh'
  | 'h'
  | 'A'
  | 'mm'
  | 'm'
  | 'ss'
  | 's'
  | 'Z'
  | 'z'
type Op = { token: Token } | { fraction: number } | { literal: number }
const tokenPattern = /YYYY|YY|MMMM|MMM|MM|M|ddd|DDD|DD|D|HH|H|hh|h|A|mm|m|ss|s|S{1,9}|Z|z|'(?:[^']|'')*'|./gsu
/** Widths of the tokens that always are as wide; the part of a layout before its seconds is remembered where it has only such. */
const widths: Partial<Record<Token, number>> = { YYYY: 4, YY: 2, MMM: 3, MM: 2, DD: 2, HH: 2, hh: 2, mm: 2, ss: 2 }

const parseLayout = (layout: string): Op[] => {
  const ops: Op[] = []
  const literal = (text: string) => {
    for (const byte of new TextEncoder().encode(text)) ops.push({ literal: byte })
  }
  for (const [part] of layout.matchAll(tokenPattern)) {
    if (part.startsWith("'") && part.length > 1) literal(part === "''" ? "'" : part.slice(1, -1).replaceAll("''", "'"))
    else if (/^S+$/.test(part)) ops.push({ fraction: part.length })
    else if (/^(?:YYYY|YY|MMMM|MMM|MM|M|ddd|DDD|DD|D|HH|H|hh|h|A|mm|m|ss|s|Z|z)$/.test(part))
      ops.push({ token: part as Token })
    else if (/^[A-SU-Za-z']$/.test(part)) throw new SyntaxError(`"${part}" is not a token of a time layout`)
    else literal(part)
  }
  return ops
}

/** Why a layout cannot be used, in a few words; `undefined` where it can. */
export const layoutProblem = (layout: string, dateOnly = false): string | undefined => {
  if (layout === 'iso' || layout === 'excel' || isCount(layout)) {
    return dateOnly && layout !== 'iso' ? 'is not a layout of a date' : undefined
  }
  let ops: Op[]
  try {
    ops = parseLayout(layout)
  } catch (error) {
    return `${(error as Error).message}; tokens are YYYY MM DD HH mm ss SSS, MMM, D, H, hh with A, Z, z, and 'text' in single quotes`
  }
  const had = ops.flatMap(op => ('token' in op ? [op.token] : 'fraction' in op ? ['S'] : []))
  const has = (...tokens: string[]) => tokens.some(token => had.includes(token))
  if (new Set(had).size !== had.length) return 'has a token twice'
  if (!has('YYYY', 'YY')) return 'has no year (YYYY)'
  if (has('DDD')) {
    if (has('MM', 'M', 'MMM', 'MMMM', 'DD', 'D')) return 'has the day of the year (DDD) beside a month or a day'
  } else if (!has('MM', 'M', 'MMM', 'MMMM')) return 'has no month (MM)'
  else if (!has('DD', 'D')) return 'has no day (DD)'
  if (has('hh', 'h') !== has('A')) return 'needs both hh and A, or HH alone: 12 hours without AM or PM are no time'
  if (has('S') && !has('ss', 's')) return 'has a fraction (S) without seconds (ss)'
  return undefined
}

/** Compiles a layout that `layoutProblem` finds nothing wrong with. Each reader remembers the last minute it read. */
export const createTimeReader = (layout: string): TimeReader => {
  if (layout === 'iso') return createIso()
  if (layout === 'excel') return readExcel
  if (isEpochUnit(layout)) return createEpoch(layout)
  if (isLongUnit(layout)) return createLongCount(layout)
  if (layout === 'hms') return readHms
  return createTokens(parseLayout(layout))
}

const opWidth = (op: Op): number =>
  'literal' in op ? 1 : 'token' in op ? (widths[op.token] ?? Number.NaN) : op.fraction === 1 ? Number.NaN : op.fraction

/** Length in bytes of every time of a layout, where it has one; and the bytes that stand between its tokens. */
export const fixedWidth = (layout: string): { width: number; literals: number[] } | undefined => {
  if (layout === 'iso' || layout === 'excel' || isCount(layout) || /[^\x20-\x7f]/.test(layout)) return undefined
  const ops = parseLayout(layout)
  const width = ops.reduce((sum, op) => sum + opWidth(op), 0)
  return Number.isNaN(width) ? undefined : { width, literals: ops.flatMap(op => ('literal' in op ? [op.literal] : [])) }
}

/** Layouts that end with seconds, or seconds and their fraction, remember the minute; others are read step by step. */
const createTokens = (ops: readonly Op[]): TimeReader => {
  const slow = createTokenSteps(ops)
  const seconds = ops.findIndex(op => 'token' in op && op.token === 'ss')
  if (seconds < 0) return slow
  const stem = ops.slice(0, seconds)
  const width = stem.reduce((sum, op) => sum + opWidth(op), 0)
  const [, mark, fraction, more] = ops.slice(seconds)
  if (Number.isNaN(width) || more || (mark && !('literal' in mark && fraction && 'fraction' in fraction))) return slow
  const markByte = mark && 'literal' in mark ? mark.literal : -1
  const digits = fraction && 'fraction' in fraction ? fraction.fraction : 0

  if (width < 8) return slow
  // The stem is compared eight bytes at a time, as doubles; the last eight may overlap those before. Bytes that spell no
  // number differ from everything, as NaN does, and go the long way.
  const places = Int32Array.from({ length: Math.ceil(width / 8) }, (_, i) => Math.min(8 * i, width - 8))
  const seen = new Float64Array(places.length).fill(Number.NaN)
  const minute = new Float64Array(1)
  const remember: TimeReader = (from, start, end, at) => {
    const found = slow(from, start, end, at)
    // Only a stem that was read at its fixed width may stand for the next one.
    if (found === LOCAL_TIME && !hasWideBlank(from.bytes, start, width, stem)) {
      for (let i = 0; i < seen.length; i++) seen[i] = from.data.getFloat64(start + (places[i] as number))
      minute[0] = Math.floor((at[0] as number) / 60_000) * 60_000
    }
    return found
  }
  return (from, start, end, at) => {
    const { bytes, data } = from
    let p = start + width
    if (end < p + 2) return slow(from, start, end, at)
    for (let i = 0; i < seen.length; i++) {
      if (data.getFloat64(start + (places[i] as number)) !== seen[i]) return remember(from, start, end, at)
    }
    const tens = (bytes[p] as number) ^ 48
    const ones = (bytes[p + 1] as number) ^ 48
    if (tens > 5 || ones > 9) return NO_TIME
    at[0] = (minute[0] as number) + (tens * 10 + ones) * 1000
    at[1] = 0
    p += 2
    if (markByte < 0) return p === end ? LOCAL_TIME : NO_TIME
    if (p >= end || bytes[p] !== markByte) return NO_TIME
    if (digits === 3 && end === p + 4) {
      const a = (bytes[p + 1] as number) ^ 48
      const b = (bytes[p + 2] as number) ^ 48
      const c = (bytes[p + 3] as number) ^ 48
      if (a > 9 || b > 9 || c > 9) return NO_TIME
      at[0] = (at[0] as number) + a * 100 + b * 10 + c
      return LOCAL_TIME
    }
    p = fractionAt(bytes, p + 1, end, digits, digits === 1 ? 9 : digits, at)
    return p === end ? LOCAL_TIME : NO_TIME
  }
}

const hasWideBlank = (bytes: Uint8Array, start: number, width: number, stem: readonly Op[]): boolean => {
  let p = start
  for (const op of stem) {
    if ('literal' in op) {
      if (bytes[p] !== op.literal) return true
      p++
      if (op.literal === 32 && bytes[p] === 32) return true
    } else if ('token' in op) p += widths[op.token] ?? 0
  }
  return p !== start + width
}

/** Where AM or PM ends that begins at `p`: `AM`, `pm`, `a.m.`, `p. m.`; −1 where there is none. */
const halfEnd = (bytes: Uint8Array, p: number, end: number): number => {
  const c = p < end ? (bytes[p] as number) | 32 : 0
  if (c !== 97 && c !== 112) return -1
  let q = p + 1
  const dotted = bytes[q] === 46
  if (dotted) q++
  // In Spanish a blank, often one that does not break, stands between the two.
  while (dotted && q < end && (bytes[q] === 32 || bytes[q] === 0xa0 || bytes[q] === 0xc2)) q++
  if (q >= end || ((bytes[q] as number) | 32) !== 109) return -1
  q++
  return dotted && q < end && bytes[q] === 46 ? q + 1 : q
}

const createTokenSteps = (ops: readonly Op[]): TimeReader => {
  return ({ bytes }, start, end, at) => {
    let p = start
    let y = 0
    let mo = 0
    let d = 0
    let h = 0
    let mi = 0
    let s = 0
    let half = -1
    let dayOfYear = 0
    let minutes = Number.NaN
    at[0] = 0
    at[1] = 0
    /** A number of `min` to `max` digits at p, moving p; −1 where there is none. */
    const number = (min: number, max: number): number => {
      let n = 0
      while (n < max && p + n < end && (bytes[p + n] as number) >= 48 && (bytes[p + n] as number) <= 57) n++
      if (n < min) return -1
      const value = digitsAt(bytes, p, n)
      p += n
      return value
    }
    const word = (list: readonly string[]): number => {
      if (end - p < 3) return -1
      const text = String.fromCharCode(bytes[p] as number, bytes[p + 1] as number, bytes[p + 2] as number)
      p += 3
      return list.indexOf(text.toLowerCase())
    }
    const monthWord = (): number => {
      let name = ''
      const from = p
      while (p < end && p - from < 16 && isLetter(bytes[p] as number)) name += String.fromCharCode(bytes[p++] as number)
      return monthOf(name) ?? -1
    }
    for (const op of ops) {
      let value = 0
      if ('literal' in op) {
        if (p >= end || bytes[p] !== op.literal) return NO_TIME
        p++
        if (op.literal === 32) while (p < end && bytes[p] === 32) p++
        continue
      }
      if ('fraction' in op) {
        p = fractionAt(bytes, p, end, op.fraction, op.fraction === 1 ? 9 : op.fraction, at)
        if (p < 0) return NO_TIME
        continue
      }
      switch (op.token) {
        case 'YYYY':
          value = y = number(4, 4)
          break
        case 'YY':
          value = number(2, 2)
          y = value < 70 ? 2000 + value : 1900 + value
          break
        case 'MMMM':
          value = mo = monthWord()
          break
        case 'MMM':
          value = mo = word(months) + 1 || -1
          break
        case 'MM':
          value = mo = number(2, 2)
          break
        case 'M':
          value = mo = number(1, 2)
          break
        case 'DDD':
          value = dayOfYear = number(1, 3)
          if (dayOfYear === 0) return NO_TIME
          break
        case 'ddd':
          value = word(weekdays)
          break
        case 'DD':
          value = d = number(2, 2)
          break
        case 'D':
          value = d = number(1, 2)
          break
        case 'HH':
          value = h = number(2, 2)
          break
        case 'H':
          value = h = number(1, 2)
          break
        case 'hh':
        case 'h':
          value = h = number(op.token === 'hh' ? 2 : 1, 2)
          if (h < 1 || h > 12) return NO_TIME
          break
        case 'A': {
          const behind = halfEnd(bytes, p, end)
          if (behind < 0) return NO_TIME
          half = ((bytes[p] as number) | 32) === 112 ? 12 : 0
          p = behind
          break
        }
        case 'mm':
          value = mi = number(2, 2)
          break
        case 'm':
          value = mi = number(1, 2)
          break
        case 'ss':
          value = s = number(2, 2)
          break
        case 's':
          value = s = number(1, 2)
          break
        case 'Z': {
          const from = p
          while (p < end && bytes[p] !== 32) p++
          minutes = offsetAt(bytes, from, p)
          value = Number.isNaN(minutes) ? -1 : 0
          break
        }
        case 'z': {
          let name = ''
          while (p < end && name.length < 5 && (bytes[p] as number) >= 65 && (bytes[p] as number) <= 90) {
            name += String.fromCharCode(bytes[p++] as number)
          }
          minutes = abbreviations[name] ?? Number.NaN
          value = Number.isNaN(minutes) ? -1 : 0
          break
        }
      }
      if (value < 0) return NO_TIME
    }
    if (p !== end) return NO_TIME
    if (half >= 0) h = (h % 12) + half
    if (dayOfYear > (daysInMonth(y, 2) === 29 ? 366 : 365)) return NO_TIME
    const ms = dayOfYear > 0 ? civilMs(y, 1, 1, h, mi, s) + (dayOfYear - 1) * 86_400_000 : civilMs(y, mo, d, h, mi, s)
    if (Number.isNaN(ms)) return NO_TIME
    at[0] = (at[0] as number) + ms
    if (Number.isNaN(minutes)) return LOCAL_TIME
    at[0] = (at[0] as number) - minutes * 60_000
    return UTC_TIME
  }
}
