/** A time that stands in a file's name, such as `… oct.-05-23 Time 0833.tdms` by the layout `MMM-DD-YY 'Time' HHmm`. */
import { utcMs } from '@penstock/frame'

/** Months as they are abbreviated in English, Spanish, German, French, Italian and Portuguese; a dot may follow. */
const months: readonly (readonly string[])[] = [
  ['jan', 'ene', 'gen', 'janv'],
  ['feb', 'fev', 'fév', 'févr'],
  ['mar', 'mär', 'mars', 'mrz'],
  ['apr', 'abr', 'avr'],
  ['may', 'mai', 'mag'],
  ['jun', 'giu', 'juin'],
  ['jul', 'lug', 'juil'],
  ['aug', 'ago', 'aoû', 'août'],
  ['sep', 'set', 'sept'],
  ['oct', 'okt', 'ott', 'out'],
  ['nov'],
  ['dec', 'dic', 'dez', 'déc'],
]
const monthOf = (text: string): number => {
  const name = text.toLowerCase().replace(/\.$/, '')
  return months.findIndex(names => names.includes(name)) + 1
}

const tokens: Record<string, { field: string; pattern: string }> = {
  YYYY: { field: 'year', pattern: '\\d{4}' },
  YY: { field: 'year', pattern: '\\d{2}' },
  MMM: { field: 'month', pattern: '\\p{L}{3,4}\\.?' },
  MM: { field: 'month', pattern: '\\d{2}' },
  M: { field: 'month', pattern: '\\d{1,2}' },
  DD: { field: 'day', pattern: '\\d{2}' },
  D: { field: 'day', pattern: '\\d{1,2}' },
  HH: { field: 'hour', pattern: '\\d{2}' },
  H: { field: 'hour', pattern: '\\d{1,2}' },
  mm: { field: 'minute', pattern: '\\d{2}' },
  m: { field: 'minute', pattern: '\\d{1,2}' },
  ss: { field: 'second', pattern: '\\d{2}' },
  s: { field: 'second', pattern: '\\d{1,2}' },
}
const partPattern = /YYYY|YY|MMM|MM|M|DD|D|HH|H|mm|m|ss|s|S{1,9}|'(?:[^']|'')*'|./gsu
const literally = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')

/** What finds the time, or why the layout is none. */
const patternOf = (layout: string): RegExp | string => {
  const had = new Set<string>()
  let pattern = ''
  for (const [part] of layout.matchAll(partPattern)) {
    const token = Object.hasOwn(tokens, part) ? tokens[part] : undefined
    const field = token?.field ?? (/^S+$/.test(part) ? 'fraction' : undefined)
    if (field !== undefined) {
      if (had.has(field)) return `has the ${field} twice`
      had.add(field)
      pattern += `(?<${field}>${token?.pattern ?? `\\d{${part.length}}`})`
    } else if (part.startsWith("'") && part.length > 1) {
      pattern += literally(part === "''" ? "'" : part.slice(1, -1).replaceAll("''", "'"))
    } else if (part === ' ') pattern += '\\s+'
    else if (/^\p{L}$/u.test(part)) return `has "${part}", which is no token; put text in single quotes, e.g. 'Time'`
    else pattern += literally(part)
  }
  for (const field of ['year', 'month', 'day']) if (!had.has(field)) return `has no ${field}`
  return new RegExp(pattern, 'giu')
}

export const fileTimeProblem = (layout: string): string | undefined => {
  const found = patternOf(layout)
  return typeof found === 'string' ? found : undefined
}

/** The first time of the layout in a name: local ms, counted as if they were UTC. `undefined` where it holds none. */
export const fileTimeMs = (layout: string, name: string): number | undefined => {
  const pattern = patternOf(layout)
  if (typeof pattern === 'string') return undefined
  for (const { groups } of name.normalize('NFC').matchAll(pattern)) {
    const { year = '', month = '', day, hour, minute, second, fraction } = groups ?? {}
    const y = Number(year) + (year.length === 2 ? 2000 : 0)
    const m = /^\d+$/.test(month) ? Number(month) : monthOf(month)
    const ms = utcMs(y, m, Number(day), Number(hour ?? 0), Number(minute ?? 0), Number(second ?? 0))
    if (ms !== undefined) return ms + Math.floor(Number(`0.${fraction ?? 0}`) * 1000)
  }
  return undefined
}
