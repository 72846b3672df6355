/**
 * Times: exact nanoseconds as text, and the local hours and days of a time zone.
 *
 * The zone's rules come from the runtime's own IANA data (Intl); an offset is looked up once per zone and UTC quarter
 * hour's day and the changes are found by bisection, so that a million rows cost a few look-ups.
 */
import { UserError } from './errors.ts'

const nsPerMs = 1_000_000n
export const NS_PER_MS = 1e6
export const NS_PER_S = 1e9
export const NS_PER_HOUR = 3_600_000_000_000n
export const MS_PER_HOUR = 3_600_000
export const MS_PER_DAY = 86_400_000

/** ISO 8601 in UTC with as many digits as the time has: 3, 6 or 9. Years 0000 to 9999. */
export const formatNs = (ns: bigint): string => {
  let ms = ns / nsPerMs
  let rest = ns % nsPerMs
  if (rest < 0n) {
    rest += nsPerMs
    ms -= 1n
  }
  const iso = new Date(Number(ms)).toISOString()
  if (rest === 0n) return iso
  const digits = rest.toString().padStart(6, '0')
  return `${iso.slice(0, -1)}${digits.endsWith('000') ? digits.slice(0, 3) : digits}Z`
}

const isoPattern =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*(Z|z|[+-]\d{2}:?\d{2})?$/

/** ns of an ISO 8601 time with offset (a bare date is midnight UTC; a time without offset is refused). `undefined` where it is none. */
export const parseIsoNs = (text: string): bigint | undefined => {
  const m = isoPattern.exec(text.trim())
  if (!m) return undefined
  const [, y, mo, d, h, mi, s, fraction, offset] = m
  if (h !== undefined && offset === undefined) return undefined
  const ms = utcMs(Number(y), Number(mo), Number(d), Number(h ?? 0), Number(mi ?? 0), Number(s ?? 0))
  if (ms === undefined) return undefined
  let shiftMin = 0
  if (offset !== undefined && offset.toUpperCase() !== 'Z') {
    const digits = offset.replace(':', '')
    const minutes = Number(digits.slice(3, 5))
    shiftMin = Number(digits.slice(1, 3)) * 60 + minutes
    if (shiftMin >= 24 * 60 || minutes > 59) return undefined
    if (digits.startsWith('-')) shiftMin = -shiftMin
  }
  return BigInt(ms - shiftMin * 60_000) * nsPerMs + BigInt((fraction ?? '').padEnd(9, '0'))
}

/** ms since the epoch of a UTC calendar time, or `undefined` where no calendar has it (30 February, 25 h, 61 s). */
export const utcMs = (y: number, mo: number, d: number, h = 0, mi = 0, s = 0): number | undefined => {
  if (mo < 1 || mo > 12 || d < 1 || d > daysInMonth(y, mo) || h > 23 || mi > 59 || s > 59) return undefined
  if (h < 0 || mi < 0 || s < 0) return undefined
  const ms = Date.UTC(y, mo - 1, d, h, mi, s)
  return y >= 100 ? ms : new Date(ms).setUTCFullYear(y)
}

export const daysInMonth = (y: number, mo: number): number =>
  mo === 2
    ? (y % 4 === 0 && y % 100 !== 0) || y % 400 === 0
      ? 29
      : 28
    : mo === 4 || mo === 6 || mo === 9 || mo === 11
      ? 30
      : 31

/** A time zone with the look-ups that readings need. All arguments and results are ms; local times are counted as if they were UTC. */
export interface Zone {
  readonly name: string
  /** Offset from UTC in ms at a UTC time: local = utc + offset. */
  offsetMs(utc: number): number
  /** Every UTC time at which the zone's clock shows this local time: one, none (gap) or two (overlap), in order. */
  fromLocalMs(local: number): number[]
  /** UTC start of the local hour that holds a UTC time. The repeated hour of an autumn night is an hour of its own. */
  hourStartMs(utc: number): number
  /** UTC start of the local day that holds a UTC time: the first instant of that date. */
  dayStartMs(utc: number): number
  /** Local date `YYYY-MM-DD`, hour 0…23 and weekday (Monday 0) at a UTC time. */
  parts(utc: number): { date: string; hour: number; weekday: number }
}

const zones = new Map<string, Zone>()

/** The zone of an IANA name, e.g. `Europe/Paris`. Throws a UserError for a name that the runtime does not know. */
export const zoneOf = (name: string): Zone => {
  let zone = zones.get(name)
  if (!zone) {
    zone = createZone(name)
    zones.set(name, zone)
  }
  return zone
}

export const isZone = (name: string): boolean => {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name })
    return true
  } catch {
    return false
  }
}

const createZone = (name: string): Zone => {
  let format: Intl.DateTimeFormat
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    })
  } catch (cause) {
    throw new UserError(`"${name}" is not an IANA time zone such as Europe/Paris`, 3, { cause })
  }
  const exactOffset = (utc: number): number => {
    const p: Record<string, string> = {}
    const whole = Math.floor(utc / 1000) * 1000
    for (const part of format.formatToParts(whole)) p[part.type] = part.value
    const year = p.era === 'BC' ? 1 - Number(p.year) : Number(p.year)
    const local = new Date(0)
    local.setUTCFullYear(year, Number(p.month) - 1, Number(p.day))
    local.setUTCHours(Number(p.hour), Number(p.minute), Number(p.second))
    return local.getTime() - whole
  }
  // Spans of constant offset, found day by day: [start, end) in UTC ms.
  const days = new Map<number, { offset: number; change?: number; after?: number }>()
  const dayOf = (utc: number) => {
    const day = Math.floor(utc / MS_PER_DAY)
    let span = days.get(day)
    if (!span) {
      const start = day * MS_PER_DAY
      const end = start + MS_PER_DAY
      const offset = exactOffset(start)
      const after = exactOffset(end)
      span = { offset }
      if (after !== offset) {
        let low = start
        let high = end
        while (high - low > 1000) {
          const middle = Math.floor((low + high) / 2000) * 1000
          if (exactOffset(middle) === offset) low = middle
          else high = middle
        }
        span = { offset, change: high, after }
      }
      if (days.size > 40_000) days.clear()
      days.set(day, span)
    }
    return span
  }
  const offsetMs = (utc: number): number => {
    const span = dayOf(utc)
    return span.change !== undefined && utc >= span.change ? (span.after ?? span.offset) : span.offset
  }
  const fromLocalMs = (local: number): number[] => {
    const early = local - offsetMs(local - MS_PER_DAY)
    const late = local - offsetMs(local + MS_PER_DAY)
    const found: number[] = []
    for (const utc of early <= late ? [early, late] : [late, early]) {
      if (utc + offsetMs(utc) === local && !found.includes(utc)) found.push(utc)
    }
    return found
  }
  const hourStartMs = (utc: number): number => {
    const offset = offsetMs(utc)
    const start = Math.floor((utc + offset) / MS_PER_HOUR) * MS_PER_HOUR - offset
    if (offsetMs(start) === offset) return start
    // The clock changed within this hour: the hour begins where the offset did.
    return changeBetween(start, utc)
  }
  const changeBetween = (from: number, to: number): number => {
    let low = from
    let high = to
    const offset = offsetMs(to)
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      if (offsetMs(middle) === offset) high = middle
      else low = middle
    }
    return high
  }
  const dayStartMs = (utc: number): number => {
    const midnight = Math.floor((utc + offsetMs(utc)) / MS_PER_DAY) * MS_PER_DAY
    const found = fromLocalMs(midnight)
    const first = found[0]
    if (first !== undefined && first <= utc) return first
    // Midnight was skipped (a change at 0 h): the day begins at the change.
    return changeBetween(midnight - offsetMs(utc) - MS_PER_DAY / 2, utc)
  }
  const parts = (utc: number) => {
    const local = utc + offsetMs(utc)
    const day = Math.floor(local / MS_PER_DAY)
    return {
      date: new Date(day * MS_PER_DAY).toISOString().slice(0, 10),
      hour: Math.floor((local - day * MS_PER_DAY) / MS_PER_HOUR),
      weekday: (((day + 3) % 7) + 7) % 7,
    }
  }
  return { name, offsetMs, fromLocalMs, hourStartMs, dayStartMs, parts }
}
