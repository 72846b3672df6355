/** Which fields of a record say when it was: chosen among all that could. */
import type { Json } from '@penstock/frame'
import { isNumber, numberOf } from './columns.ts'
import type { Doubt, Finding, Hints, Settings } from './proposal.ts'
import { type Start, startOf } from './start.ts'
import {
  type EpochUnit,
  epochUnit,
  guessCompactClocks,
  guessPointClocks,
  guessTimes,
  type TimeGuess,
  timeName,
} from './times.ts'
import { splitUnit } from './units.ts'

/** One field of the records, with its texts in the rows of the sample. */
export interface Field {
  /** How the options name it. */
  ref: string | number
  /** As the file calls it; empty where it has no name. */
  name: string
  /** From a row of units. */
  unit?: string
  texts: readonly string[]
}

export interface ClockGuess {
  /** As under `time:`; undefined where rows bring no time. */
  time?: Settings
  /** Indices of the fields that the time takes. */
  used: number[]
  /** ms of each row, local ones as if UTC. */
  ms?: Float64Array
  /** The times need no zone. */
  isUtc: boolean
  onlyThis?: boolean
  doubts: Doubt[]
  findings: Finding[]
}

const at = (...keys: (string | number)[]): (string | number)[] => ['format', 'time', ...keys]
const layoutJson = (layouts: readonly string[]): Json => (layouts.length === 1 ? (layouts[0] as string) : [...layouts])
const quoted = (field: Field): string => (field.name === '' ? `column ${field.ref}` : `"${field.name}"`)

interface Candidate {
  index: number
  field: Field
  guess: TimeGuess
  score: number
}

const wrongName =
  /creat|modif|update|chang|insert|regist|received|arriv|process|end|stop|finish|due|birth|install|calib|expir|export|print|previous|last/i
const rightName =
  /^(?:time ?stamp|timestamp|date ?time|datetime|time|zeitstempel|zeit|datum\/uhrzeit|date\/time|date and time|horodatage|fecha y hora|fecha\/hora|date|日時)\b/i

const clockName = /^(?:time|zeit|uhrzeit|heure|hora|ora|hrmn|hhmm|hhmmss|時刻)\b/i

/** Where `8.05` is how one writes a time of day. */
const pointClockName = /^(?:uhrzeit|uhr|ora|orario|kl|kl\.|klo|klokken|klockan|tid|kello|aika|godzina)$/i

/** Texts that fill the field; a long column is looked at in part. */
const filled = (texts: readonly string[]): string[] =>
  texts.filter(text => text.trim() !== '' && !/^(?:null|nan|n\/a|-)$/i.test(text.trim()))

const textTimes = (fields: readonly Field[], hints: Hints): Candidate[] => {
  const found: Candidate[] = []
  for (const [index, field] of fields.entries()) {
    const texts = filled(field.texts)
    if (texts.length === 0 || texts.length < field.texts.length * 0.3) continue
    const plainNumbers = texts.every(text => isNumber(text.trim(), '.'))
    const point = pointClockName.test(field.name.trim()) ? guessPointClocks(texts) : undefined
    if (!point && plainNumbers && !isCompactDate(texts, field.name)) continue
    const guess =
      point ?? (clockName.test(field.name) ? guessCompactClocks(texts) : undefined) ?? guessTimes(texts, hints)
    if (!guess || isTimeless(guess)) continue
    const { length } = texts
    const distinct = new Set(texts.slice(0, 200)).size
    const score =
      guess.share * (length / field.texts.length) * 4 +
      (rightName.test(field.name) ? 1 : 0) +
      (timeName.test(field.name) ? 1 : 0) -
      (wrongName.test(field.name) ? 2 : 0) +
      (guess.hasOffset ? 1 : 0) +
      (/utc|gmt/i.test(field.name) ? 1 : 0) +
      (distinct > 1 || length === 1 ? 0.8 : 0) -
      index * 0.02
    found.push({ index, field, guess, score })
  }
  return found.sort((a, b) => b.score - a.score)
}

/** Times of the years 1899 to 1905 are times of day that lost their date. */
const isTimeless = (guess: TimeGuess): boolean => {
  if (guess.part !== 'datetime') return false
  const years = Array.from(guess.ms).filter(t => !Number.isNaN(t))
  return years.length > 0 && years.every(t => t < Date.UTC(1906, 0, 1))
}

const isCompactDate = (texts: readonly string[], name: string): boolean => {
  const dates = texts.filter(text =>
    /^(?:19[7-9]\d|20[0-6]\d)(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d(?:\d{3})?)?)?$/.test(
      text.trim(),
    ),
  )
  if (dates.length >= texts.length * 0.8 && ((dates[0]?.length ?? 0) > 8 || timeName.test(name))) return true
  if (clockName.test(name) && texts.every(text => /^(?:[01]\d|2[0-3])[0-5]\d$/.test(text.trim()))) return true
  return timeName.test(name) && texts.every(text => /^\d{6}(?:\.\d+)?$/.test(text.trim()))
}

type CountUnit = EpochUnit | 'min' | 'h' | 'd'

/** Numbers that go on: epoch counts, days of a spreadsheet, counters. */
interface NumberTime {
  index: number
  field: Field
  kind: 'epoch' | 'excel' | 'counter'
  unit: CountUnit
  per: string
  score: number
  values: Float64Array
}

const unitNames: [RegExp, CountUnit][] = [
  [/^(?:s|sec|secs|second|seconds|sek|sekunden)$/i, 's'],
  [/^(?:ms|msec|millisecond|milliseconds|millis)$/i, 'ms'],
  [/^(?:us|µs|μs|usec|microsecond|microseconds|micros)$/i, 'us'],
  [/^(?:ns|nsec|nanosecond|nanoseconds)$/i, 'ns'],
  [/^(?:min|mins|minute|minutes)$/i, 'min'],
  [/^(?:h|hr|hrs|hour|hours|std)$/i, 'h'],
  [/^(?:d|day|days)$/i, 'd'],
]
const unitOf = (field: Field): CountUnit | undefined => {
  const { name, unit } = splitUnit(field.name)
  const said = /^(?:seconds?|secs?|milliseconds?|msec|minutes?|hours?|microseconds?)$/i.exec(name.trim())?.[0]
  const behind = timeName.test(name) ? /[_ ./](s|sec|ms|us|ns|min|h|d)$/i.exec(name)?.[1] : undefined
  const text = field.unit ?? unit ?? said ?? behind ?? ''
  return unitNames.find(([pattern]) => pattern.test(text.replace(/[[\]()]/g, '')))?.[1]
}

const numberTimes = (fields: readonly Field[]): NumberTime[] => {
  const found: NumberTime[] = []
  for (const [index, field] of fields.entries()) {
    const texts = filled(field.texts)
    if (texts.length === 0 || texts.length < field.texts.length * 0.5) continue
    const decimal = texts.some(text => /^\d+,\d+$/.test(text)) ? ',' : '.'
    const values = Float64Array.from(texts, text => numberOf(text, decimal))
    const good = values.filter(v => !Number.isNaN(v))
    if (good.length < values.length * 0.9) continue
    const named = timeName.test(field.name)
    const rising = isRising(good)
    const units = new Set(Array.from(good.slice(0, 500), v => epochUnit(v)))
    const [unit] = units
    if (unit !== undefined && units.size === 1 && (named || (rising && (index === 0 || unit !== 's')))) {
      const span = (good.at(-1) ?? 0) - (good[0] ?? 0)
      found.push({
        index,
        field,
        kind: 'epoch',
        unit,
        per: unit,
        score: (named ? 3 : 1) + (rising && span >= 0 ? 2 : 0) - index * 0.02,
        values,
      })
      continue
    }
    const isDays = good.every(v => v > 25_000 && v < 60_000)
    if (isDays && rising && named && (good.some(v => !Number.isInteger(v)) || /date|datum|fecha/i.test(field.name))) {
      found.push({ index, field, kind: 'excel', unit: 's', per: 'd', score: 3 - index * 0.02, values })
      continue
    }
    const per = unitOf(field)
    const isTimeLike = named || /^(?:t|x)$/i.test(splitUnit(field.name).name) || isUnitWord(field.name)
    const isCounter =
      rising && good.length > 1 && (named || (per !== undefined && isTimeLike)) && !/date|datum|epoch/i.test(field.name)
    if (isCounter) {
      found.push({
        index,
        field,
        kind: 'counter',
        unit: per ?? 's',
        per: per ?? '',
        score: (named ? 2 : 0) + (per ? 1 : 0) - index * 0.1,
        values,
      })
    }
  }
  return found.sort((a, b) => b.score - a.score)
}

const isUnitWord = (name: string): boolean =>
  unitNames.some(([pattern]) => name.trim().length > 1 && pattern.test(name.trim()))

const isRising = (values: Float64Array): boolean => {
  let up = 0
  let down = 0
  for (let i = 1; i < values.length; i++) {
    if ((values[i] as number) >= (values[i - 1] as number)) up++
    else down++
  }
  return down <= (up + down) * 0.05 && (values.length < 2 || (values.at(-1) as number) > (values[0] as number))
}

const hourName = /^(?:hour|hours|hr|hh|h|stunde|std|heure|hora|ora|uur|timme|時)$/i

const dateAndHour = (fields: readonly Field[], date: Candidate): number | undefined => {
  const index = fields.findIndex((field, i) => {
    if (i === date.index || !hourName.test(field.name.trim())) return false
    const texts = filled(field.texts)
    const whole = texts.filter(text => /^\d{1,2}$/.test(text.trim()) && Number(text) <= 24)
    return texts.length > 0 && whole.length >= texts.length * 0.9
  })
  return index < 0 ? undefined : index
}

/** Parts of a time in columns of their own: by their names, and by what they hold. */
const partNames: readonly {
  token: 'YYYY' | 'M' | 'D' | 'DDD' | 'H' | 'm' | 's'
  name: RegExp
  min: number
  max: number
}[] = [
  {
    token: 'YYYY',
    name: /^(?:year|yr|yyyy|jahr|a[ñn]o|ann[ée]e|anno|ano|jaar|rok|år|yıl|год|年)$/iu,
    min: 1900,
    max: 2100,
  },
  {
    token: 'M',
    name: /^(?:month|mon|mo|mm|monat|mes|mois|mese|m[êe]s|maand|miesiąc|månad|ay|месяц|月)$/iu,
    min: 1,
    max: 12,
  },
  {
    token: 'D',
    name: /^(?:day|dy|dd|tag|d[ií]a|jour|giorno|dag|dzień|gün|день|日|day of month|dom)$/iu,
    min: 1,
    max: 31,
  },
  { token: 'DDD', name: /^(?:doy|jday|julian(?: ?day)?|day ?of ?year|yearday|yday|jd)$/iu, min: 1, max: 366 },
  {
    token: 'H',
    name: /^(?:hour|hours|hr|hrs|hh|h|stunde|std|heure|hora|ora|uur|timme|godzina|saat|час|時)$/iu,
    min: 0,
    max: 23,
  },
  { token: 'm', name: /^(?:minute|minutes|min|mins|mn|mi|minuto|minuut|minut|dakika|минута|分)$/iu, min: 0, max: 59 },
  {
    token: 's',
    name: /^(?:second|seconds|sec|secs|ss|sekunde|sek|seconde|segundo|secondo|sekunda|saniye|секунда|秒)$/iu,
    min: 0,
    max: 60,
  },
]
interface TimePart {
  index: number
  token: string
}

/** Year, month and day (or day of the year), and as much of the time of day as there is; undefined without a whole date. */
const partsOf = (fields: readonly Field[]): TimePart[] | undefined => {
  const found = new Map<string, TimePart>()
  for (const { token, name, min, max } of partNames) {
    const index = fields.findIndex(field => {
      const texts = filled(field.texts)
      return (
        name.test(splitUnit(field.name).name.trim().replaceAll('_', ' ')) &&
        texts.length > 0 &&
        texts.length === field.texts.length &&
        texts.every(text => {
          const n = Number(text)
          const isWhole = /^\d{1,4}$/.test(text.trim()) || (token === 's' && /^\d{1,2}\.\d+$/.test(text.trim()))
          return isWhole && n >= min && n <= max
        })
      )
    })
    if (index < 0) continue
    const hasFraction = token === 's' && fields[index]?.texts.some(text => text.includes('.'))
    found.set(token, { index, token: hasFraction ? 's.S' : token })
  }
  const date = found.has('M') && found.has('D') ? ['YYYY', 'M', 'D'] : ['YYYY', 'DDD']
  if (!date.every(token => found.has(token))) return undefined
  const clock = found.has('H') ? (found.has('m') ? ['H', 'm', 's'] : ['H']) : []
  return [...date, ...clock].flatMap(token => found.get(token) ?? [])
}

const fromParts = (fields: readonly Field[], found: readonly TimePart[], clock: Candidate | undefined): ClockGuess => {
  const hasHour = found.some(part => part.token === 'H')
  const behind = hasHour ? undefined : clock
  const used = [...found.map(part => part.index), ...(behind ? [behind.index] : [])]
  const tokens = found.map(part => part.token).join(' ')
  const layouts = behind ? behind.guess.layouts.map(layout => `${tokens} ${layout}`) : [tokens]
  const list = used.map(index => fields[index] as Field)
  const value = (token: string, row: number, without: number): number => {
    const part = found.find(p => p.token === token || (token === 's' && p.token === 's.S'))
    return part ? Number(fields[part.index]?.texts[row]) : without
  }
  const hours = behind && spread(behind.field.texts, behind.guess.ms)
  const ms = Float64Array.from(list[0]?.texts ?? [], (_, i) => {
    const day = value('DDD', i, 0) || value('D', i, 1)
    const date = Date.UTC(value('YYYY', i, 1970), value('M', i, 1) - 1, day, value('H', i, 0), value('m', i, 0))
    return date + value('s', i, 0) * 1000 + (hours ? (hours[i] as number) - Date.UTC(2000, 0, 1) : 0)
  })
  const findings: Finding[] = [{ what: 'time', text: `${list.map(quoted).join(', ')} as ${layouts.join(' or ')}` }]
  const zone = Object.assign({}, ...list.map(field => zoneSettings(field, findings))) as Settings
  const isDay = !hasHour && !behind
  return {
    time: { columns: list.map(field => field.ref), layout: layoutJson(layouts), ...zone },
    used,
    ms,
    isUtc: zone.zone !== undefined,
    doubts: isDay
      ? [{ path: at('columns'), text: 'the days have no time of day: rows count from their midnight' }]
      : (behind?.guess.doubts ?? []).map(text => ({ path: at('layout'), text })),
    findings,
  }
}

export const guessClock = (fields: readonly Field[], hints: Hints): ClockGuess => {
  const texts = textTimes(fields, hints)
  const numbers = numberTimes(fields)
  const whole = texts.filter(c => c.guess.part === 'datetime')
  const dates = texts.filter(c => c.guess.part === 'date')
  const clocks = texts.filter(c => c.guess.part === 'time')
  const [best] = whole
  const epoch = numbers.find(n => n.kind === 'epoch')
  const [date] = dates
  const [clock] = clocks
  if (epoch && (!best || (!best.guess.hasOffset && epoch.score >= 4 && !isRightName(best)))) return fromEpoch(epoch)
  if (best && best.score > 2) return fromText(best, whole)
  const parts = best && best.score > 2 ? undefined : partsOf(fields)
  if (parts && !date) return fromParts(fields, parts, clock)
  if (date && clock) return fromDateAndTime(fields, date, clock)
  if (date) {
    const hour = dateAndHour(fields, date)
    if (hour !== undefined) return fromDateAndHour(fields, date, hour)
  }
  if (best) return fromText(best, whole)
  if (epoch) return fromEpoch(epoch)
  const excel = numbers.find(n => n.kind === 'excel')
  if (excel) return fromExcel(excel)
  if (date && (!clock || date.score > 3)) return fromText(date, dates)
  const elapsed = clocks.find(isElapsed)
  const start = elapsed && startOf(hints)
  if (elapsed && start) return fromElapsed(elapsed, start)
  const counter = numbers.find(n => n.kind === 'counter')
  if (counter) return fromCounter(counter, hints)
  return fromNothing(clock)
}
const isRightName = (c: Candidate): boolean => rightName.test(c.field.name)

const zoneInName = (name: string): string | undefined => {
  if (/\bUTC\b(?![+-])|\bGMT\b(?![+-])|\bZulu\b|_utc$/i.test(name)) return 'UTC'
  const m = /\b(?:GMT|UTC)\s?([+-])(\d{1,2})(?::?(\d\d))?\b/i.exec(name)
  if (!m || (m[3] !== undefined && m[3] !== '00')) return undefined
  const hours = Number(m[2])
  if (hours > 14) return undefined
  // The signs of these zones are those of POSIX: hours to be added to reach UTC.
  return hours === 0 ? 'UTC' : `Etc/GMT${m[1] === '+' ? '-' : '+'}${hours}`
}

const zoneSettings = (field: Field, findings: Finding[]): Settings => {
  const zone = zoneInName(field.name)
  if (zone === undefined) return {}
  findings.push({ what: 'zone', text: `${zone}, as the name ${quoted(field)} says` })
  return { zone }
}

const fromText = (best: Candidate, all: readonly Candidate[]): ClockGuess => {
  const { field, guess } = best
  const findings: Finding[] = [{ what: 'time', text: `${quoted(field)} as ${guess.layouts.join(' or ')}` }]
  const doubts = guess.doubts.map(text => ({ path: at('layout'), text }))
  const others = all.filter(c => c !== best).map(c => quoted(c.field))
  if (others.length > 0) {
    doubts.push({
      path: at('column'),
      text: `${others.join(', ')} ${others.length === 1 ? 'holds' : 'hold'} times too: assumed ${quoted(field)} is when the row was measured`,
    })
  }
  if (guess.part === 'date')
    doubts.push({
      path: at('column'),
      text: `${quoted(field)} is a day without a time of day: rows count from its midnight`,
    })
  const named = guess.hasOffset ? {} : zoneSettings(field, findings)
  const zone = guess.isMixed && named.zone === undefined ? { zone: 'UTC' } : named
  if (guess.isMixed && named.zone === undefined) {
    doubts.push({
      path: at('zone'),
      text: `some times of ${quoted(field)} are UTC by themselves: the others are taken to be UTC too`,
    })
  }
  return {
    time: { column: field.ref, layout: layoutJson(guess.layouts), ...zone },
    used: [best.index],
    ms: spread(field.texts, guess.ms),
    isUtc: guess.hasOffset || zone.zone !== undefined,
    doubts,
    findings,
  }
}

/** ms of the filled texts, back at the rows where they stand. */
const spread = (texts: readonly string[], ms: Float64Array): Float64Array => {
  const all = new Float64Array(texts.length).fill(Number.NaN)
  let k = 0
  for (const [i, text] of texts.entries()) {
    if (filled([text]).length === 0) continue
    if (k < ms.length) all[i] = ms[k++] as number
  }
  return all
}

/** AM and PM in a column of their own, beside a clock of 12 hours. */
const halfOf = (fields: readonly Field[], clock: Candidate): Field | undefined => {
  if (clock.guess.layouts.some(layout => layout.includes('A'))) return undefined
  return fields.find((field, i) => {
    const texts = filled(field.texts)
    return i !== clock.index && texts.length > 0 && texts.every(text => /^[ap]\.?m\.?$/i.test(text.trim()))
  })
}

const fromDateAndTime = (fields: readonly Field[], date: Candidate, clock: Candidate): ClockGuess => {
  const half = halfOf(fields, clock)
  const layouts = date.guess.layouts
    .flatMap(d =>
      clock.guess.layouts.map(
        c => `${d === 'iso' ? 'YYYY-MM-DD' : d} ${half ? `${c.replace('HH', 'hh').replace('H', 'h')} A` : c}`,
      ),
    )
    .slice(0, 16)
  const findings: Finding[] = [
    {
      what: 'time',
      text: `${quoted(date.field)} and ${quoted(clock.field)}${half ? ` and ${quoted(half)}` : ''} as ${layouts.join(' or ')}`,
    },
  ]
  const zone = { ...zoneSettings(date.field, findings), ...zoneSettings(clock.field, findings) }
  const days = spread(date.field.texts, date.guess.ms)
  const hours = spread(clock.field.texts, clock.guess.ms)
  return {
    time: half
      ? { columns: [date.field.ref, clock.field.ref, half.ref], layout: layoutJson(layouts), ...zone }
      : { date: date.field.ref, time: clock.field.ref, layout: layoutJson(layouts), ...zone },
    used: [date.index, clock.index, ...(half ? [fields.indexOf(half)] : [])],
    ms: days.map((day, i) => day + (ofDayMs(hours[i] as number, half?.texts[i]) - Date.UTC(2000, 0, 1))),
    isUtc: zone.zone !== undefined || clock.guess.hasOffset,
    doubts: [...date.guess.doubts, ...clock.guess.doubts].map(text => ({ path: at('layout'), text })),
    findings,
  }
}

const ofDayMs = (ms: number, half: string | undefined): number => {
  if (half === undefined) return ms
  const hour = new Date(ms).getUTCHours()
  return ms + ((hour % 12) + (/^p/i.test(half.trim()) ? 12 : 0) - hour) * 3_600_000
}

const fromDateAndHour = (fields: readonly Field[], date: Candidate, hour: number): ClockGuess => {
  const field = fields[hour] as Field
  const { layouts } = date.guess
  const plain = layouts.length === 1 && layouts[0] === 'YYYY-MM-DD'
  const days = spread(date.field.texts, date.guess.ms)
  return {
    time: { date: date.field.ref, hour: field.ref, ...(!plain && { layout: layoutJson(layouts) }) },
    used: [date.index, hour],
    ms: days.map((day, i) => day + Number(field.texts[i]) * 3_600_000),
    isUtc: false,
    doubts: date.guess.doubts.map(text => ({ path: at('layout'), text })),
    findings: [
      { what: 'time', text: `${quoted(date.field)} as ${layouts.join(' or ')} and the hour in ${quoted(field)}` },
    ],
  }
}

const unitWords: Record<CountUnit, string> = {
  s: 'seconds',
  ms: 'milliseconds',
  us: 'microseconds',
  ns: 'nanoseconds',
  min: 'minutes',
  h: 'hours',
  d: 'days',
}
const unitMs: Record<CountUnit, number> = { s: 1e3, ms: 1, us: 1e-3, ns: 1e-6, min: 6e4, h: 3.6e6, d: 8.64e7 }

const fromEpoch = (n: NumberTime): ClockGuess => {
  const ms = n.values.map(v => v * unitMs[n.unit])
  const doubts: Doubt[] = timeName.test(n.field.name)
    ? []
    : [
        {
          path: at('column'),
          text: `${quoted(n.field)} is taken to be ${unitWords[n.unit]} since 1970, because its numbers are of that size and rise`,
        },
      ]
  return {
    time: { column: n.field.ref, layout: n.unit },
    used: [n.index],
    ms: spread(n.field.texts, ms),
    isUtc: true,
    doubts,
    findings: [{ what: 'time', text: `${quoted(n.field)}, ${unitWords[n.unit]} since 1970 (UTC)` }],
  }
}

const fromExcel = (n: NumberTime): ClockGuess => {
  const ms = n.values.map(v => (v - 25_569) * 86_400_000)
  const first = new Date(ms[0] ?? 0).toISOString().slice(0, 10)
  return {
    time: { column: n.field.ref, layout: 'excel' },
    used: [n.index],
    ms: spread(n.field.texts, ms),
    isUtc: false,
    doubts: [
      {
        path: at('layout'),
        text: `${quoted(n.field)} is taken to be the days of a spreadsheet, which begin here at ${first}`,
      },
    ],
    findings: [{ what: 'time', text: `${quoted(n.field)}, days since 1899-12-30 as spreadsheets count` }],
  }
}

/** A counter needs the moment of its 0: from the metadata or the name of the file, else rows have no time. */
const fromCounter = (n: NumberTime, hints: Hints): ClockGuess => {
  const { field } = n
  const isPlain = field.texts.every(
    text => text.trim() === '' || /^[+-]?\d+(?:[.,]\d*)?(?:[eE][+-]?\d+)?$/.test(text.trim()),
  )
  const start = startOf(hints)
  if (start && isPlain) return counted(n, start)
  const why = !isPlain ? 'in a form that is not read as one' : 'and neither the file nor its name says from when'
  return {
    used: [],
    isUtc: true,
    onlyThis: true,
    doubts: [
      {
        path: ['format'],
        text: `${quoted(field)} is a counter, ${why}: rows get the time at which they are read. If you know its start, add time: {column, layout, start}`,
      },
    ],
    findings: [{ what: 'time', text: `none: ${quoted(field)} is a counter without a start` }],
  }
}

const counted = (n: NumberTime, start: Start): ClockGuess => {
  const { field } = n
  // A moment holds for this file alone; a line of the header tells it of every file.
  const isFixed = typeof start.settings === 'string'
  const doubts: Doubt[] = [
    {
      path: at('start'),
      text: `${quoted(field)} counts from a start: assumed ${start.text}, ${start.why}${isFixed ? '. It holds for this file alone' : ''}`,
    },
  ]
  if (n.per === '') doubts.push({ path: at('layout'), text: `${quoted(field)} names no unit: seconds are assumed` })
  const startMs = Date.parse(start.text)
  return {
    time: { column: field.ref, layout: n.unit, start: start.settings },
    used: [n.index],
    ms: spread(
      field.texts,
      n.values.map(v => startMs + v * unitMs[n.unit]),
    ),
    isUtc: !start.isLocal,
    ...(isFixed && { onlyThis: true }),
    doubts,
    findings: [{ what: 'time', text: `${quoted(field)}, ${unitWords[n.unit]} since ${start.text}` }],
  }
}

const elapsedName =
  /elapsed|duration|dauer|laufzeit|run ?time|test ?time|rel(?:ative)?\.? ?time|step ?time|total ?time|[ée]coul|transcurrido|trascorso|経過/iu
/** A time gone by, not of a day: by its name, or as it begins at 0. */
const isElapsed = ({ field, guess }: Candidate): boolean => {
  const texts = filled(field.texts)
  const isHms = texts.every(text => /^(?:\d+[. d]\s*)?\d+:[0-5]\d:[0-5]\d(?:[.,]\d+)?$/.test(text.trim()))
  const isFromZero = /^0+:00:0\d(?:[.,]\d+)?$/.test(texts[0]?.trim() ?? '')
  return isHms && isRising(guess.ms) && (isFromZero || elapsedName.test(field.name))
}

const fromElapsed = ({ index, field, guess }: Candidate, start: Start): ClockGuess => {
  const isFixed = typeof start.settings === 'string'
  const startMs = Date.parse(start.text)
  const text = `${quoted(field)} counts from a start: assumed ${start.text}, ${start.why}${isFixed ? '. It holds for this file alone' : ''}`
  return {
    time: { column: field.ref, layout: 'hms', start: start.settings },
    used: [index],
    ms: spread(
      field.texts,
      guess.ms.map(ms => startMs + ms - Date.UTC(2000, 0, 1)),
    ),
    isUtc: !start.isLocal,
    ...(isFixed && { onlyThis: true }),
    doubts: [{ path: at('start'), text }],
    findings: [{ what: 'time', text: `${quoted(field)}, hours, minutes and seconds since ${start.text}` }],
  }
}

const fromNothing = (clock: Candidate | undefined): ClockGuess => {
  const text = clock
    ? `${quoted(clock.field)} is a time of day without a date: rows get the time at which they are read`
    : 'no column holds a time: rows get the time at which they are read'
  return {
    used: [],
    isUtc: true,
    doubts: [{ path: ['format'], text }],
    findings: [{ what: 'time', text: clock ? 'a time of day without a date' : 'none' }],
  }
}
