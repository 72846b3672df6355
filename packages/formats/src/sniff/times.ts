/**
 * Layouts of times from texts: the texts are cut into date, time of day and offset; each shape becomes one layout; where
 * day and month cannot be told apart by shape, the texts that the readers take, their order and their steps decide.
 */
import { createTimeReader, LOCAL_TIME, monthOf, NO_TIME, timeBytes, UTC_TIME } from '../time-layout.ts'
import type { Hints } from './proposal.ts'

export type Part = 'datetime' | 'date' | 'time'

export interface TimeGuess {
  part: Part
  /** In the order in which they are tried. */
  layouts: string[]
  /** Share of the texts that are times. */
  share: number
  /** An offset or the letters of a zone stand in the text. */
  hasOffset: boolean
  /** Some texts carry their offset or are counted since 1970, others are local. */
  isMixed: boolean
  /** ms of each text that was read, local ones as if they were UTC; NaN where none. */
  ms: Float64Array
  doubts: string[]
}

/** Order of the numbers of a date, where its shape leaves it open. */
type Order = 'YMD' | 'DMY' | 'MDY' | 'YDM'

interface Shape {
  key: string
  part: Part
  /** Orders that the shape allows; one where it is plain. */
  orders: readonly Order[]
  /** Day and month, or month and day, as they stand. */
  pair: readonly [number, number] | undefined
  layout(order: Order, loose: Loose): string
  /** How each number is written: ONE, ZERO, TWO. */
  digits: Digits
  fraction: number
  hasOffset: boolean
  iso: boolean
}
type Number2 = 'day' | 'month' | 'hour' | 'minute' | 'second'
/** Numbers that are read with one digit or two. */
type Loose = Record<Number2, boolean>
type Digits = Partial<Record<Number2, number>>
const ONE = 1
const ZERO = 2
const TWO = 4
const digitsOf = (text: string): number => (text.length === 1 ? ONE : text.startsWith('0') ? ZERO : TWO)

const lengthMax = 48
const monthNames = /^(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)$/i
const weekdayNames = /^(?:mon|tue|wed|thu|fri|sat|sun)$/i
const zoneLetters = /^(?:UTC|GMT|WET|WEST|CET|CEST|EET|EEST|JST)$/

/** Text between tokens that must not be read as tokens. */
const literal = (text: string): string =>
  /[A-Za-z']/.test(text.replace('T', '')) ? `'${text.replaceAll("'", "''")}'` : text

interface DatePart {
  length: number
  key: string
  orders: readonly Order[]
  pair?: readonly [number, number]
  layout(order: Order, loose: Loose): string
  digits: Digits
}
interface ClockPart {
  length: number
  key: string
  layout(loose: Loose): string
  digits: Digits
  fraction: number
}

const two = (token: string, loose: boolean): string => (loose ? token.slice(1) : token)

const dateForms: readonly { pattern: RegExp; read(m: RegExpExecArray): Omit<DatePart, 'length'> }[] = [
  {
    pattern: /^(\d{4})([-/._ ])(\d{1,2})\2(\d{1,2})(?!\d)/,
    read: ([, , s = '', month = '', day = '']) => ({
      key: `y${s}`,
      orders: ['YMD', 'YDM'],
      pair: [Number(month), Number(day)],
      layout: (order, l) =>
        order === 'YDM'
          ? `YYYY${s}${two('DD', l.month)}${s}${two('MM', l.day)}`
          : `YYYY${s}${two('MM', l.month)}${s}${two('DD', l.day)}`,
      digits: { day: digitsOf(day), month: digitsOf(month) },
    }),
  },
  {
    pattern: /^(\d{1,2})(\. |[-/._ ])(\d{1,2})\2(\d{4}|\d{2})(?!\d)/,
    read: ([, first = '', s = '', second = '', year = '']) => {
      const y = year.length === 4 ? 'YYYY' : 'YY'
      return {
        key: `${y}<${s}`,
        orders: y === 'YY' && first.length === 2 ? ['DMY', 'MDY', 'YMD'] : ['DMY', 'MDY'],
        pair: [Number(first), Number(second)],
        layout: (order, l) => {
          if (order === 'YMD') return `YY${s}${two('MM', l.month)}${s}DD`
          // `day` and `month` of `loose` are the first and second number here.
          return order === 'DMY'
            ? `${two('DD', l.day)}${s}${two('MM', l.month)}${s}${y}`
            : `${two('MM', l.day)}${s}${two('DD', l.month)}${s}${y}`
        },
        digits: { day: digitsOf(first), month: digitsOf(second) },
      }
    },
  },
  {
    pattern: /^(\d{4})年( ?)(\d{1,2})月\2(\d{1,2})日/,
    read: ([, , s = '', month = '', day = '']) => ({
      key: `年${s}`,
      orders: ['YMD'],
      layout: (_, l) => `YYYY年${s}${two('MM', l.month)}月${s}${two('DD', l.day)}日`,
      digits: { day: digitsOf(day), month: digitsOf(month) },
    }),
  },
  {
    pattern: /^(\d{1,2})([-/. ]?)([A-Za-z]{3})(\.?)\2(\d{4}|\d{2})(?!\d)/,
    read: ([, day = '', s = '', name = '', dot = '', year = '']) => ({
      key: `${monthNames.test(name) ? 'n' : 'x'}${s}${dot}${year.length}`,
      orders: ['DMY'],
      layout: (_, l) => `${two('DD', l.day)}${s}MMM${dot}${s}${year.length === 4 ? 'YYYY' : 'YY'}`,
      digits: { day: digitsOf(day) },
    }),
  },
  {
    pattern: /^([A-Za-z]{3})([-/ ])(\d{1,2})(,?[-/ ])(\d{4})(?!\d)/,
    read: ([, name = '', s = '', day = '', t = '']) => ({
      key: `${monthNames.test(name) ? 'm' : 'x'}${s}${t}`,
      orders: ['MDY'],
      layout: (_, l) => `MMM${s}${two('DD', l.day)}${t}YYYY`,
      digits: { day: digitsOf(day) },
    }),
  },
  {
    pattern: /^(\d{1,2})(\.? |[-/.]| de )(\p{L}{3,10})(\.?)( |[-/.]| de )(\d{4}|\d{2})(?!\d)/u,
    read: ([, day = '', s = '', name = '', dot = '', t = '', year = '']) => ({
      key: `${monthOf(name) === undefined ? 'x' : 'w'}${s}${dot}${t}${year.length}`,
      orders: ['DMY'],
      layout: (_, l) => `${two('DD', l.day)}${literal(s)}MMMM${dot}${literal(t)}${year.length === 4 ? 'YYYY' : 'YY'}`,
      digits: { day: digitsOf(day) },
    }),
  },
  {
    pattern: /^(\p{L}{3,10})(\.?[-/ ])(\d{1,2})(,?[-/ ])(\d{4})(?!\d)/u,
    read: ([, name = '', s = '', day = '', t = '']) => ({
      key: `${monthOf(name) === undefined ? 'x' : 'W'}${s}${t}`,
      orders: ['MDY'],
      layout: (_, l) => `MMMM${s}${two('DD', l.day)}${t}YYYY`,
      digits: { day: digitsOf(day) },
    }),
  },
  {
    pattern: /^(\d{4})([-/. ]?)([A-Za-z]{3})\2(\d{1,2})(?!\d)/,
    read: ([, , s = '', name = '', day = '']) => ({
      key: `${monthNames.test(name) ? 'Y' : 'x'}${s}`,
      orders: ['YMD'],
      layout: (_, l) => `YYYY${s}MMM${s}${two('DD', l.day)}`,
      digits: { day: digitsOf(day) },
    }),
  },
  {
    pattern: /^(\d{4})(\d{2})(\d{2})/,
    read: ([, , month = '', day = '']) => ({
      key: 'y8',
      orders: ['YMD'],
      pair: [Number(month), Number(day)],
      layout: () => 'YYYYMMDD',
      digits: {},
    }),
  },
  {
    pattern: /^(\d{2})(\d{2})(\d{2})(?!\d)/,
    read: () => ({
      key: 'y6',
      orders: ['YMD', 'DMY', 'MDY'],
      layout: order => (order === 'YMD' ? 'YYMMDD' : order === 'DMY' ? 'DDMMYY' : 'MMDDYY'),
      digits: {},
    }),
  },
]

const readDate = (text: string): DatePart | undefined => {
  for (const form of dateForms) {
    const m = form.pattern.exec(text)
    if (!m) continue
    const part = form.read(m)
    if (!part.key.startsWith('x')) return { ...part, length: m[0].length }
  }
  return undefined
}

const clockForms: readonly { pattern: RegExp; read(m: RegExpExecArray): Omit<ClockPart, 'length'> }[] = [
  {
    pattern:
      /^(\d{1,2})([:.-])(\d{1,2})(?:\2(\d{1,2})(?:([.,:])(\d{1,9}))?)?([ \u00a0\u202f]?)([AaPp](?:\.[ \u00a0]?[Mm]\.?|[Mm]))?(?![\dA-Za-ln-y])/,
    read: ([, hour = '', s = '', minute = '', second, mark, fraction, blank = '', half]) => ({
      key: `${s}${second === undefined ? 0 : 1}${mark ?? ''}${half ? `a${blank}` : ''}`,
      layout: l => {
        const h = half ? (l.hour ? 'h' : 'hh') : l.hour ? 'H' : 'HH'
        const sec = second === undefined ? '' : `${s}${l.second ? 's' : 'ss'}`
        return `${h}${s}${l.minute ? 'm' : 'mm'}${sec}${mark === undefined ? '' : `${mark}S`}${half ? `${blank}A` : ''}`
      },
      digits: {
        hour: digitsOf(hour),
        minute: digitsOf(minute),
        ...(second !== undefined && { second: digitsOf(second) }),
      },
      fraction: fraction?.length ?? 0,
    }),
  },
  {
    pattern: /^(\d{1,2})時(\d{1,2})分(?:(\d{1,2})秒)?/,
    read: ([, hour = '', minute = '', second]) => ({
      key: `時${second === undefined ? 0 : 1}`,
      layout: l => {
        const seconds = second === undefined ? '' : `${l.second ? 's' : 'ss'}秒`
        return `${l.hour ? 'H' : 'HH'}時${l.minute ? 'm' : 'mm'}分${seconds}`
      },
      digits: {
        hour: digitsOf(hour),
        minute: digitsOf(minute),
        ...(second !== undefined && { second: digitsOf(second) }),
      },
      fraction: 0,
    }),
  },
  {
    pattern: /^(\d{1,2})h(\d{2})(?:m(?:in)?(\d{2})s?)?(?![\dA-Za-z])/,
    read: ([whole = '', hour = '', minute = '', second]) => {
      const behind = /[a-z]+$/.exec(whole)?.[0] ?? ''
      const minutes = /m(?:in)?(?=\d)/.exec(whole)?.[0] ?? ''
      return {
        key: `h${minutes}${behind}`,
        layout: l =>
          `${l.hour ? 'H' : 'HH'}'h'mm${second === undefined ? '' : `'${minutes}'ss${behind === '' ? '' : `'${behind}'`}`}`,
        digits: { hour: digitsOf(hour), minute: digitsOf(minute) },
        fraction: 0,
      }
    },
  },
  {
    pattern: /^(\d{2})(\d{2})(\d{2})(?:([.,])(\d{1,9})|(\d{3}))?(?!\d)/,
    read: ([, , , , mark, fraction, digits]) => ({
      key: `c${mark ?? ''}${digits === undefined ? '' : 3}`,
      layout: () => `HHmmss${mark === undefined ? (digits === undefined ? '' : 'SSS') : `${mark}S`}`,
      digits: {},
      fraction: digits === undefined ? (fraction?.length ?? 0) : 0,
    }),
  },
  {
    pattern: /^(\d{2})(\d{2})(?!\d)/,
    read: () => ({ key: 'c4', layout: () => 'HHmm', digits: {}, fraction: 0 }),
  },
]

const readClock = (text: string): ClockPart | undefined => {
  for (const form of clockForms) {
    const m = form.pattern.exec(text)
    if (m) {
      const part = form.read(m)
      // A blank that no AM or PM follows belongs to what comes behind.
      const length = m[0].length - (/ $/.test(m[0]) ? 1 : 0)
      return { ...part, length }
    }
  }
  return undefined
}

const isoPattern = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)? ?(?:Z|[+-]\d\d(?::?\d\d)?)?$/

const noLoose: Loose = { day: false, month: false, hour: false, minute: false, second: false }

const shapeOf = (text: string): Shape | undefined => {
  if (text.length > lengthMax || text.length < 4) return undefined
  if (isoPattern.test(text)) {
    const hasOffset = /(?:Z|[+-]\d\d(?::?\d\d)?)$/.test(text.slice(16))
    const shape = { key: 'iso', part: 'datetime' as const, orders: ['YMD' as const], pair: undefined }
    return { ...shape, layout: () => 'iso', digits: {}, fraction: 0, hasOffset, iso: true }
  }
  return epochShape(text) ?? cStyle(text) ?? joined(text)
}

/** An epoch count among texts: by its length, for 2001 to 2286. */
const epochShape = (text: string): Shape | undefined => {
  const m = /^(\d{10}|\d{13}|\d{16}|\d{19})(?:\.\d*)?$/.exec(text)
  if (!m) return undefined
  const layout = { 10: 's', 13: 'ms', 16: 'us', 19: 'ns' }[m[1]?.length ?? 0] ?? 's'
  const shape = { key: `e${layout}`, part: 'datetime' as const, orders: ['YMD' as const], pair: undefined }
  return { ...shape, layout: () => layout, digits: {}, fraction: 0, hasOffset: true, iso: false }
}

/** `Fri Mar 01 10:20:30 CET 2024` */
const cStyle = (text: string): Shape | undefined => {
  const m = /^([A-Za-z]{3}) ([A-Za-z]{3}) {1,2}(\d{1,2}) (\d\d:\d\d:\d\d) (?:([A-Z]{3,4}) )?(\d{4})$/.exec(text)
  if (!m || !weekdayNames.test(m[1] ?? '') || !monthNames.test(m[2] ?? '')) return undefined
  const zone = m[5]
  if (zone !== undefined && !zoneLetters.test(zone)) return undefined
  return {
    key: `C${zone === undefined ? '' : 'z'}`,
    part: 'datetime',
    orders: ['MDY'],
    pair: undefined,
    layout: (_, l) => `ddd MMM ${two('DD', l.day)} HH:mm:ss${zone === undefined ? '' : ' z'} YYYY`,
    digits: { day: digitsOf(m[3] ?? '') },
    fraction: 0,
    hasOffset: zone !== undefined,
    iso: false,
  }
}

/** `[weekday ]date[ gap clock[ offset]]`, or a clock alone, or a clock before its date. */
const joined = (text: string): Shape | undefined => {
  const weekday = /^([A-Za-z]{3})(,? )/.exec(text)
  const hasWeekday = weekday !== null && weekdayNames.test(weekday[1] ?? '')
  const lead = hasWeekday ? `ddd${weekday[2]}` : ''
  const rest = hasWeekday ? text.slice(weekday[0].length) : text
  const date = readDate(rest)
  if (!date) return clockFirst(rest)
  let behind = rest.slice(date.length)
  const gap = /^(?: ?[Tt_,;|/-] ?| {1,3}| at )?/.exec(behind)?.[0] ?? ''
  behind = behind.slice(gap.length)
  const clock = behind === '' ? undefined : readClock(behind)
  if (behind !== '' && !clock) return undefined
  if (clock === undefined && gap !== '') return undefined
  const offset = clock ? offsetOf(behind.slice(clock.length)) : ''
  if (offset === undefined) return undefined
  const gapLayout = gap.replace(/ +/g, ' ').replace(/[A-Za-z]+/g, letters => (letters === 'T' ? 'T' : literal(letters)))
  return {
    key: `${lead}${date.key}${gap.replace(/ +/g, ' ')}${clock?.key ?? ''}${offset}`,
    part: clock ? 'datetime' : 'date',
    orders: date.orders,
    pair: date.pair,
    layout: (order, l) => `${lead}${date.layout(order, l)}${gapLayout}${clock?.layout(l) ?? ''}${offset}`,
    digits: { ...date.digits, ...clock?.digits },
    fraction: clock?.fraction ?? 0,
    hasOffset: offset !== '',
    iso: false,
  }
}

const clockFirst = (text: string): Shape | undefined => {
  const clock = readClock(text)
  if (!clock || /^c/.test(clock.key)) return undefined
  const behind = text.slice(clock.length)
  if (behind === '') {
    // 1.2.3 is a version; with dots or dashes every number has two digits.
    if (!/^[:時h]/.test(clock.key) && !/^\d\d([.-])\d\d\1\d\d(?:\D|$)/.test(text)) return undefined
    if (!/^[:時h]/.test(clock.key) && !clock.key.includes('a') && !/^[.-]1/.test(clock.key)) return undefined
    const shape = { key: `t${clock.key}`, part: 'time' as const, orders: ['YMD' as const], pair: undefined }
    const layout = (_: Order, l: Loose) => clock.layout(l)
    return { ...shape, layout, digits: clock.digits, fraction: clock.fraction, hasOffset: false, iso: false }
  }
  const gap = /^(?:, ?| {1,3}|[_;|] ?| - )/.exec(behind)?.[0] ?? ''
  const rest = behind.slice(gap.length)
  const date = gap === '' ? undefined : readDate(rest)
  if (!date || date.length !== rest.length) return undefined
  const plainGap = gap.replace(/ +/g, ' ')
  return {
    key: `r${clock.key}${plainGap}${date.key}`,
    part: 'datetime',
    orders: date.orders,
    pair: date.pair,
    layout: (order, l) => `${clock.layout(l)}${plainGap}${date.layout(order, l)}`,
    digits: { ...date.digits, ...clock.digits },
    fraction: clock.fraction,
    hasOffset: false,
    iso: false,
  }
}

const offsetOf = (text: string): string | undefined => {
  if (text === '') return ''
  const m = /^( ?)(?:(Z|[+-]\d\d(?::?\d\d)?)|([A-Z]{3,4}))$/.exec(text)
  if (!m) return undefined
  const [, blank = '', , letters] = m
  if (letters === undefined) return `${blank}Z`
  return zoneLetters.test(letters) ? `${blank}z` : undefined
}

interface Group {
  shape: Shape
  digits: Digits
  fractions: Set<number>
  orders: readonly Order[]
  indices: number[]
}

const shapesMax = 12
const textsMax = 20_000
/** Below this share a column is no column of times. */
const shareMin = 0.6

const groupShapes = (texts: readonly string[]): Group[] | undefined => {
  const groups = new Map<string, Group>()
  const n = Math.min(texts.length, textsMax)
  let found = 0
  for (let i = 0; i < n; i++) {
    const shape = shapeOf((texts[i] as string).trim())
    if (!shape) {
      if (i === 60 && found < 20) return undefined
      continue
    }
    found++
    let group = groups.get(shape.key)
    if (!group) {
      group = { shape, digits: {}, fractions: new Set(), orders: shape.orders, indices: [] }
      groups.set(shape.key, group)
    }
    group.fractions.add(shape.fraction)
    for (const [key, seen] of Object.entries(shape.digits) as [Number2, number][]) {
      group.digits[key] = (group.digits[key] ?? 0) | seen
    }
    group.indices.push(i)
  }
  return [...groups.values()].sort((a, b) => b.indices.length - a.indices.length).slice(0, shapesMax)
}

/**
 * A number seen with one digit is read with one or two; one seen with a leading zero always has two. Where neither was
 * seen, its neighbours tell, and where they do not either, a date that begins with its year is taken to be padded.
 */
const looseOf = ({ shape, digits }: Group): Loose => {
  // Minutes and seconds are padded everywhere and prove nothing.
  const seen = (digits.day ?? 0) | (digits.month ?? 0) | (digits.hour ?? 0)
  const open =
    (seen & ONE) !== 0 ||
    ((seen & ZERO) === 0 && !shape.key.replace(/^ddd,? /, '').startsWith('y') && shape.part !== 'time')
  const loose = (key: Number2): boolean => {
    const own = digits[key] ?? 0
    return (own & ONE) !== 0 || ((own & ZERO) === 0 && open)
  }
  const always = (key: Number2): boolean => ((digits[key] ?? 0) & ONE) !== 0
  return {
    day: loose('day'),
    month: loose('month'),
    hour: loose('hour'),
    minute: always('minute'),
    second: always('second'),
  }
}

/** Reads the texts of a group by one order. */
const tryOrder = (group: Group, order: Order, texts: readonly string[], ms: Float64Array) => {
  const layout = group.shape.iso ? 'iso' : withFraction(group.shape.layout(order, looseOf(group)), group.fractions)
  const reader = createTimeReader(group.shape.part === 'time' ? `YYYY-MM-DD ${layout}` : layout)
  const at = new Float64Array(2)
  let read = 0
  for (const i of group.indices) {
    const text = (texts[i] as string).trim()
    const bytes = new TextEncoder().encode(group.shape.part === 'time' ? `2000-01-01 ${text}` : text)
    const found = reader(timeBytes(bytes), 0, bytes.length, at)
    if (found === NO_TIME) continue
    if (found === LOCAL_TIME || found === UTC_TIME) {
      ms[i] = at[0] as number
      read++
    }
  }
  return { layout, read }
}

/** A fraction that always has the same digits is read as so many. */
const withFraction = (layout: string, fractions: ReadonlySet<number>): string => {
  const [only = 0] = fractions
  return fractions.size === 1 && only > 1 ? layout.replace(/S(?!S)(?=[^S]*$)/, 'S'.repeat(only)) : layout
}

const dayMs = 86_400_000

/** How well times go on: few steps back, steps alike. Smaller is better. */
const disorder = (ms: Float64Array): number => {
  const steps: number[] = []
  let back = 0
  let last = Number.NaN
  for (const t of ms) {
    if (Number.isNaN(t)) continue
    if (!Number.isNaN(last)) {
      steps.push(Math.abs(t - last))
      if (t < last) back++
    }
    last = t
  }
  if (steps.length === 0) return 0
  steps.sort((a, b) => a - b)
  const median = steps[steps.length >> 1] ?? 0
  const sum = steps.reduce((a, b) => a + b, 0)
  const uneven = Math.log10(1 + sum / steps.length / Math.max(1, median)) / 10
  // Rows that belong together lie close together: a month is a longer step than a day.
  return back / steps.length + Math.min(1, uneven) + Math.log10(1 + sum / dayMs) / 20
}

/** Which order of day and month, and what it rests on. */
const chooseOrder = (
  orders: readonly Order[],
  tries: ReadonlyMap<Order, { read: number; ms: Float64Array }>,
  hints: Hints,
  sample: string,
  hasHalf: boolean,
): { order: Order; doubt?: string } => {
  const of = (order: Order) => tries.get(order) as { read: number; ms: Float64Array }
  const most = Math.max(...orders.map(order => of(order).read))
  let left = orders.filter(order => of(order).read >= most * 0.995)
  if (left.length > 1) {
    const best = Math.min(...left.map(order => disorder(of(order).ms)))
    left = left.filter(order => disorder(of(order).ms) <= best + 0.02)
  }
  const [first, ...others] = left
  if (first === undefined) return { order: orders[0] ?? 'YMD' }
  if (others.length === 0) return { order: first }
  return assumeOrder(left, of, hints, sample, hasHalf)
}

const words: Record<Order, string> = { YMD: 'year', DMY: 'day', MDY: 'month', YDM: 'year' }

const assumeOrder = (
  left: readonly Order[],
  of: (order: Order) => { ms: Float64Array },
  hints: Hints,
  sample: string,
  hasHalf: boolean,
): { order: Order; doubt?: string } => {
  if (left.includes('YDM') && left.includes('YMD')) return { order: 'YMD' }
  const question = left.length > 2 ? 'year, day or month first?' : 'day or month first?'
  const assumed = (order: Order, why: string) => ({
    order,
    doubt: `${sample}: ${question} assumed ${words[order]}, because ${why}`,
  })
  const firstMs = (order: Order): number => of(order).ms.find(t => !Number.isNaN(t)) ?? Number.NaN
  const inName = dateInName(hints.name)
  if (inName !== undefined) {
    const near = left.filter(order => Math.abs(firstMs(order) - inName) <= 2 * dayMs)
    const [only] = near
    if (only && near.length === 1) return assumed(only, 'the name of the file carries that date')
  }
  const { nowMs } = hints
  if (nowMs !== undefined) {
    const past = left.filter(order => firstMs(order) <= nowMs + 2 * dayMs)
    const [only] = past
    if (only && past.length === 1) return assumed(only, 'otherwise the times would lie in the future')
  }
  const can = (order: Order): boolean => left.includes(order)
  const american =
    hints.zone !== undefined &&
    /^America\/(?!Argentina|Sao|Bogota|Lima|Santiago|Mexico|Caracas)|^US\/|^Pacific\/Honolulu/.test(hints.zone)
  if (can('DMY') && /\d\./.test(sample)) return assumed('DMY', 'dates with dots are written so')
  const isEastAsian =
    hints.zone !== undefined && /^Asia\/(?:Tokyo|Seoul|Shanghai|Taipei|Hong_Kong|Chongqing)$/.test(hints.zone)
  if (can('YMD') && isEastAsian) return assumed('YMD', `the machine stands in ${hints.zone}`)
  if (can('MDY') && hasHalf && american)
    return assumed('MDY', 'the clock has AM and PM and the machine stands in America')
  if (can('DMY') && (hints.decimal === ',' || hints.delimiter === ';')) {
    return assumed(
      'DMY',
      `the file has ${hints.decimal === ',' ? 'decimal commas' : 'semicolons'}, as where the day comes first`,
    )
  }
  if (can('MDY') && hasHalf) return assumed('MDY', 'the clock has AM and PM, as in the United States')
  if (can('MDY') && american) return assumed('MDY', `the machine stands in ${hints.zone}`)
  if (can('DMY') && hints.zone?.includes('/')) return assumed('DMY', `the machine stands in ${hints.zone}`)
  const order = can('DMY') ? 'DMY' : (left[0] as Order)
  return assumed(order, 'most countries write so')
}

/** A date that stands in a file's name, ms of its midnight. */
export const dateInName = (name: string): number | undefined => {
  const m = /(?<!\d)(20\d\d|19\d\d)([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)/.exec(name)
  if (!m) return undefined
  const ms = Date.UTC(Number(m[1]), Number(m[3]) - 1, Number(m[4]))
  return Number.isNaN(ms) ? undefined : ms
}

/** What texts that may be times are; undefined where most are none. */
export const guessTimes = (texts: readonly string[], hints: Hints): TimeGuess | undefined => {
  if (texts.length === 0) return undefined
  const groups = groupShapes(texts)
  if (!groups || groups.length === 0) return undefined
  const parts = new Map<Part, number>()
  for (const { shape, indices } of groups) parts.set(shape.part, (parts.get(shape.part) ?? 0) + indices.length)
  const [part] = [...parts].sort((a, b) => b[1] - a[1])[0] as [Part, number]
  const ms = new Float64Array(Math.min(texts.length, textsMax)).fill(Number.NaN)
  const layouts: string[] = []
  const doubts: string[] = []
  let read = 0
  let withOffset = 0
  for (const group of groups) {
    if (group.shape.part !== part) continue
    const tries = new Map<Order, { read: number; ms: Float64Array; layout: string }>()
    for (const order of group.orders) {
      const own = new Float64Array(ms.length).fill(Number.NaN)
      tries.set(order, { ...tryOrder(group, order, texts, own), ms: own })
    }
    const sample = (texts[group.indices[0] as number] as string).trim()
    const chosen = chooseOrder(group.orders, tries, hints, sample, /\dA$|A/.test(group.shape.layout('YMD', noLoose)))
    const best = tries.get(chosen.order)
    if (!best || best.read === 0) continue
    if (chosen.doubt !== undefined) doubts.push(chosen.doubt)
    if (!layouts.includes(best.layout)) layouts.push(best.layout)
    if (/(?<!Y)YY(?!Y)/.test(best.layout))
      doubts.push(`${sample}: the year has two digits; 70 to 99 are read as 1970 to 1999, the others as 20..`)
    for (const i of group.indices) if (Number.isNaN(ms[i])) ms[i] = best.ms[i] as number
    read += best.read
    if (group.shape.hasOffset) withOffset += best.read
  }
  const share = read / ms.length
  if (share < shareMin || layouts.length === 0) return undefined
  return {
    part,
    layouts,
    share,
    hasOffset: withOffset === read,
    isMixed: withOffset > 0 && withOffset < read,
    ms,
    doubts,
  }
}

/** Times of day as `8.05`: they look like numbers, and only the name of their column and a date beside it tell. */
export const guessPointClocks = (texts: readonly string[]): TimeGuess | undefined => {
  const found = texts.map(text => /^([01]?\d|2[0-3])\.([0-5]\d)$/.exec(text.trim()))
  if (!found.every(Boolean)) return undefined
  const isPadded = found.every(m => m?.[1]?.length === 2)
  const ms = Float64Array.from(found, m => Date.UTC(2000, 0, 1, Number(m?.[1]), Number(m?.[2])))
  const layouts = [isPadded ? 'HH.mm' : 'H.mm']
  return { part: 'time', layouts, share: 1, hasOffset: false, isMixed: false, ms, doubts: [] }
}

/** Times of day without marks: HHmm, or HHmmss and what is behind the second. */
export const guessCompactClocks = (texts: readonly string[]): TimeGuess | undefined => {
  const isShort = texts.every(text => text.trim().length === 4)
  const pattern = isShort ? /^([01]\d|2[0-3])([0-5]\d)$/ : /^([01]\d|2[0-3])([0-5]\d)([0-5]\d)(?:\.(\d{1,9}))?$/
  const found = texts.map(text => pattern.exec(text.trim()))
  const share = found.filter(Boolean).length / texts.length
  if (share < 0.9) return undefined
  const lengths = new Set(found.flatMap(m => (m ? [m[4]?.length ?? 0] : [])))
  const [digits = 0] = lengths
  const fraction = lengths.size > 1 ? '.S' : digits === 0 ? '' : `.${'S'.repeat(digits)}`
  const ms = Float64Array.from(found, m =>
    m
      ? Date.UTC(2000, 0, 1, Number(m[1]), Number(m[2]), Number(m[3] ?? 0)) + Number(`0.${m[4] ?? 0}`) * 1000
      : Number.NaN,
  )
  return {
    part: 'time',
    layouts: [isShort ? 'HHmm' : `HHmmss${fraction}`],
    share,
    hasOffset: false,
    isMixed: false,
    ms,
    doubts: [],
  }
}

/** Whether a text looks like a time, without asking which: for telling data from header. */
export const looksLikeTime = (text: string): boolean => shapeOf(text.trim()) !== undefined

/** Names that columns of times have. */
export const timeName =
  /(?:^|[^\p{L}])(?:date|time|timestamp|time_?stamp|datetime|date_?time|datum|zeit|zeitpunkt|zeitstempel|uhrzeit|tag|heure|horodatage|jour|fecha|hora|data|ora|tid|tijd|ts|utc|epoch|unix|elapsed|when|clock|x_value|日時|日付|時刻|時間)(?:$|[^\p{L}])|time$|zeit|timestamp|datetime|date$|[a-z](?:Date|Time|Ts|At)(?:$|[^a-z])/iu

export type EpochUnit = 's' | 'ms' | 'us' | 'ns'

/** A count since 1970 by its size: from 2001-09-09 (10⁹ s) to 2065. */
export const epochUnit = (value: number): EpochUnit | undefined => {
  const spans: [EpochUnit, number][] = [
    ['s', 1],
    ['ms', 1e3],
    ['us', 1e6],
    ['ns', 1e9],
  ]
  for (const [unit, per] of spans) if (value >= 9.4e8 * per && value < 3e9 * per) return unit
  return undefined
}
