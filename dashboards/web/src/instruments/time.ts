/** Times exact to the ns as the service writes them, seconds as charts take them, and clock times of a zone as people read them. */

/** ns since the epoch; `undefined` where the text is no time. */
export const nsOf = (iso: string): bigint | undefined => {
  const m = /^(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:?\d\d)$/.exec(iso.replace(' ', '+'))
  const ms = m ? Date.parse(`${m[1]}${m[3]}`) : Date.parse(iso)
  if (Number.isNaN(ms)) return undefined
  return BigInt(ms) * 1_000_000n + BigInt((m?.[2] ?? '').padEnd(9, '0') || 0)
}
export const isoOf = (ns: bigint): string => {
  const part = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n
  const second = new Date(Number((ns - part) / 1_000_000n)).toISOString().slice(0, 19)
  return `${second}.${String(part).padStart(9, '0')}Z`
}
/** A double holds them to about a quarter of a µs. */
export const secondsOf = (ns: bigint): number => Number(ns / 1000n) / 1e6
export const nsOfSeconds = (seconds: number): bigint => BigInt(Math.round(seconds * 1e6)) * 1000n

const formats = new Map<string, Intl.DateTimeFormat>()
const formatOf = (zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat => {
  const key = zone + JSON.stringify(options)
  let format = formats.get(key)
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', { timeZone: zone, hourCycle: 'h23', ...options })
    formats.set(key, format)
  }
  return format
}
const day = { day: 'numeric', month: 'short' } as const
const clock = { hour: '2-digit', minute: '2-digit', second: '2-digit' } as const

export const dayText = (seconds: number, zone: string): string => formatOf(zone, day).format(seconds * 1000)
/** `incr`: the distance between two ticks, s; it says how exact a tick is. */
export const clockText = (seconds: number, zone: string, incr: number): string => {
  const text = formatOf(zone, incr >= 60 ? { hour: '2-digit', minute: '2-digit' } : clock).format(seconds * 1000)
  if (incr >= 1) return text
  const digits = Math.min(6, Math.ceil(-Math.log10(incr) - 1e-9))
  return `${text}${(((seconds % 1) + 1) % 1).toFixed(digits).slice(1)}`
}
/** `Wed 18 Mar 2026, 15:04:05.123` in the zone; digits of a second as far as they are not zero. */
export const momentText = (iso: string, zone: string): string => {
  const ns = nsOf(iso)
  if (ns === undefined) return iso
  const text = formatOf(zone, { weekday: 'short', ...day, year: 'numeric', ...clock }).format(Number(ns / 1_000_000n))
  const part = String(((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n).padStart(9, '0')
  const digits = part.replace(/0+$/, '')
  return digits === '' ? text : `${text}.${digits.padEnd(3, '0')}`
}

const offsetMs = (zone: string, ms: number): number => {
  const parts = formatOf(zone, { year: 'numeric', month: '2-digit', day: '2-digit', ...clock }).formatToParts(ms)
  const part = (type: string) => parts.find(p => p.type === type)?.value ?? '00'
  const local = Date.parse(
    `${part('year').padStart(4, '0')}-${part('month')}-${part('day')}T${part('hour')}:${part('minute')}:${part('second')}Z`,
  )
  return local - Math.floor(ms / 1000) * 1000
}
/** For an input of date and time: the wall clock of the zone, and back. */
export const wallText = (ns: bigint, zone: string): string => {
  const ms = Number(ns / 1_000_000n)
  return new Date(ms + offsetMs(zone, ms)).toISOString().slice(0, 19)
}
export const nsOfWall = (text: string, zone: string): bigint | undefined => {
  const local = Date.parse(`${text.length === 16 ? `${text}:00` : text}Z`)
  if (Number.isNaN(local)) return undefined
  // Twice, for the offset may change between the guess and the answer.
  const guess = local - offsetMs(zone, local)
  return BigInt(local - offsetMs(zone, guess)) * 1_000_000n
}

/** `just now`, `12 s ago`, `3 h ago`, `5 d ago` */
export const ageText = (iso: string, nowMs: number): string => {
  const ns = nsOf(iso)
  if (ns === undefined) return ''
  const seconds = Math.round((nowMs - Number(ns / 1_000_000n)) / 1000)
  if (seconds < -60) return 'ahead of now'
  if (seconds < 5) return 'just now'
  if (seconds < 60) return `${seconds} s ago`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`
  return seconds < 86_400 * 730 ? `${Math.floor(seconds / 86_400)} d ago` : `${Math.floor(seconds / 31_556_952)} y ago`
}
