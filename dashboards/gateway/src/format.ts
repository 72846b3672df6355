/** Numbers, times and sizes as the reader's language writes them; times in the zone of the place where they were measured. */
import type { Value } from './api.ts'
import { texts } from './texts.ts'

const minus = '−'
const locale: string[] = typeof navigator === 'undefined' ? ['en'] : [...navigator.languages]

const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 })
const precise = new Intl.NumberFormat(locale, { maximumSignificantDigits: 7 })
const short = new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 })
const mantissa = new Intl.NumberFormat(locale, { maximumSignificantDigits: 5 })

export const wholeText = (value: number): string => whole.format(value).replace('-', minus)
export const shortText = (value: number): string => short.format(value).replace('-', minus)

const raised = '⁰¹²³⁴⁵⁶⁷⁸⁹'
const powerText = (exponent: number): string =>
  `${exponent < 0 ? '⁻' : ''}${[...String(Math.abs(exponent))].map(digit => raised[Number(digit)]).join('')}`

/** `21.5`, `1,013`, `1.1161 × 10⁻⁶`. */
export const numberText = (value: number, format = precise, ofPower = mantissa): string => {
  const size = Math.abs(value)
  if (Number.isInteger(value) && size < 1e12) return wholeText(value)
  if (value === 0 || (size >= 1e-3 && size < 1e7)) return format.format(value).replace('-', minus)
  const exponent = Math.floor(Math.log10(size))
  return `${ofPower.format(value / 10 ** exponent).replace('-', minus)} × 10${powerText(exponent)}`
}
/** For an axis, where there is little room. */
export const axisText = (value: number): string => numberText(value, precise, short).replace(' × ', '·')

export const valueText = (value: Value): string => {
  if (value === null) return '–'
  if (typeof value === 'number') return numberText(value)
  if (typeof value === 'boolean') return value ? texts.yes : texts.no
  if (typeof value === 'string') return value === '' ? texts.emptyText : value
  return texts.curve(wholeText(value.length), numberText(value.min), numberText(value.max))
}

const byteUnits = ['B', 'kB', 'MB', 'GB', 'TB']
export const bytesText = (bytes: number): string => {
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < byteUnits.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 ? wholeText(value) : shortText(value)} ${byteUnits[unit]}`
}

/** A reason without the words of the operating system, and without its full stop. */
export const plainReason = (reason: string): string => {
  const known = texts.reasons.find(([pattern]) => pattern.test(reason))
  return (known ? reason.replace(known[0], known[1]) : reason).replace(/\.$/, '')
}

const formats = new Map<string, Intl.DateTimeFormat>()
const formatOf = (zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat => {
  const key = `${zone} ${JSON.stringify(options)}`
  const known = formats.get(key)
  if (known) return known
  let made: Intl.DateTimeFormat
  try {
    made = new Intl.DateTimeFormat(locale, { ...options, timeZone: zone })
  } catch {
    // A browser that is older than the zone.
    made = new Intl.DateTimeFormat(locale, { ...options, timeZone: 'UTC', timeZoneName: 'short' })
  }
  formats.set(key, made)
  return made
}

const clock: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' }
const day: Intl.DateTimeFormatOptions = { day: 'numeric', month: 'short', year: 'numeric' }
export const clockText = (ms: number, zone: string): string => formatOf(zone, clock).format(ms)
export const minuteText = (ms: number, zone: string): string =>
  formatOf(zone, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(ms)
export const dayText = (ms: number, zone: string): string => formatOf(zone, day).format(ms)

/** The clock alone where it is of today, else with its date. */
export const timeText = (ms: number, zone: string, nowMs: number): string => {
  const date = dayText(ms, zone)
  return date === dayText(nowMs, zone) ? clockText(ms, zone) : `${date}, ${clockText(ms, zone)}`
}
/** With the fraction of the second that a reading has. */
export const exactText = (iso: string, zone: string): string => {
  const ms = Date.parse(iso)
  const fraction = /\.(\d+)/.exec(iso)?.[1]?.replace(/0+$/, '') ?? ''
  return `${dayText(ms, zone)}, ${clockText(ms, zone)}${fraction === '' ? '' : `.${fraction}`}`
}

const spans: [string, number][] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
]
/** `42 seconds`, `3 hours`, `12 days`: one unit, as it is said. */
export const spanText = (ms: number): string => {
  const [unit, size] = spans.find(([, size]) => ms >= size * (size === 1000 ? 0 : 1.5)) ?? ['second', 1000]
  const amount = Math.max(0, Math.floor(ms / size))
  return new Intl.NumberFormat(texts.language, { style: 'unit', unit, unitDisplay: 'long' }).format(amount)
}
const ago = new Intl.RelativeTimeFormat(texts.language, { numeric: 'auto', style: 'long' })
export const agoText = (ms: number): string => {
  if (ms < 1500) return ago.format(0, 'second')
  const [unit, size] = spans.find(([, size]) => ms >= size * (size === 1000 ? 0 : 1.5)) ?? ['second', 1000]
  return ago.format(-Math.floor(ms / size), unit as Intl.RelativeTimeFormatUnit)
}
