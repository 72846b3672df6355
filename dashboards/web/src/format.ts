/** Numbers, dates and sizes as people read them. */

/** Numbers are written as the reader's browser has it. */
const locale: string[] = typeof navigator === 'undefined' ? ['en'] : [...navigator.languages]
const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 })
const tenth = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 })
const oneDigit = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 })
const compact = new Intl.NumberFormat(locale, { notation: 'compact', maximumFractionDigits: 2 })
const minus = '−'

export const numberText = (value: number): string => whole.format(value).replace('-', minus)
/** With one digit behind the point where it is no whole number. */
export const meanText = (value: number): string => tenth.format(value).replace('-', minus)
export const compactText = (value: number): string => compact.format(value)

/** `+12.3 %`, or a dash where there is none. */
export const changeText = (percent: number | null): string => {
  if (percent === null) return '–'
  const text = oneDigit.format(Math.abs(percent))
  return `${Math.abs(percent) < 0.05 ? '±' : percent > 0 ? '+' : minus}${text} %`
}
export const percentText = (part: number | null): string => {
  if (part === null) return '–'
  // 99.96 % is not all.
  return `${part >= 1 ? 100 : Math.min(99, Math.round(part * 100))} %`
}

const weekdayShort = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']
export const weekdayNames = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

const dayMs = 86_400_000
const utc = (date: string): number => Date.parse(`${date}T00:00:00Z`)
export const addDays = (date: string, days: number): string =>
  new Date(utc(date) + days * dayMs).toISOString().slice(0, 10)
/** Monday 0. */
export const weekdayOf = (date: string): number => (new Date(utc(date)).getUTCDay() + 6) % 7

const dayOf = (date: string): number => Number(date.slice(8))
const monthOf = (date: string): string => months[Number(date.slice(5, 7)) - 1] ?? ''
/** `Mon 3 Mar` */
export const dateText = (date: string): string => `${weekdayShort[weekdayOf(date)]} ${dayOf(date)} ${monthOf(date)}`
/** `3 Mar` */
export const shortDateText = (date: string): string => `${dayOf(date)} ${monthOf(date)}`
export const hourText = (hour: number): string => `${String(hour).padStart(2, '0')}:00`
export const weekdayText = (weekday: number): string => weekdayShort[weekday] ?? ''

/** Local date and minute of the day in a zone. */
export const localNow = (zone: string, nowMs: number): { date: string; hour: number; time: string } => {
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
  }).formatToParts(nowMs)
  const part = (type: string) => parts.find(p => p.type === type)?.value ?? ''
  return {
    date: `${part('year')}-${part('month')}-${part('day')}`,
    hour: Number(part('hour')),
    time: `${part('hour')}:${part('minute')}`,
  }
}

export const bytesText = (bytes: number): string => {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}
