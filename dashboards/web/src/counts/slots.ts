/**
 * The places of a chart or table: every day or hour that should be there, with its row or without. A place without a row is a
 * gap and stays one; weekdays that are switched off have no place at all.
 */
import type { CountRow, Resolution, Status } from '../api.ts'
import { addDays, weekdayOf } from '../format.ts'
import type { Cause } from './use-causes.ts'

export interface Slot {
  date: string
  hour: number | null
  row: CountRow | undefined
  /** `pending`: today or this hour, before its first row. */
  status: Status | 'pending'
  /** Why it is not as it should be; left out until something proves it. */
  causes?: readonly Cause[]
}

export interface SlotsQuery {
  resolution: Resolution
  /** Local date and hour of the store. */
  today: string
  hourNow: number
  /** Local dates, both included. */
  from: string
  to: string
  weekdays: readonly number[]
  /** Hours that have a place, both included. */
  hours: { from: number; to: number }
  /** Since when there is something to count: before it nothing is missing. Left out: since the first row. */
  first?: string
  /** Whether readings are expected in a day or an hour; a place without them is closed. */
  isOpen?(weekday: number, hour: number | null): boolean | undefined
}

export const buildSlots = (rows: readonly CountRow[], query: SlotsQuery): Slot[] => {
  const byPlace = new Map<string, CountRow>()
  for (const row of rows) {
    const place = placeOf(row.date, row.hour)
    const had = byPlace.get(place)
    byPlace.set(place, had ? joinRepeatedHour(had, row) : row)
  }
  const { from, to, today, hourNow, hours, first } = query
  const slotAt = (date: string, hour: number | null, now: boolean): Slot => {
    const row = byPlace.get(placeOf(date, hour))
    if (row) return { date, hour, row, status: row.status }
    const closed = query.isOpen?.(weekdayOf(date), hour) === false
    return { date, hour, row, status: closed ? 'closed' : now ? 'pending' : 'missing' }
  }
  const slots: Slot[] = []
  for (let date = first && first > from ? first : from; date <= to && date <= today; date = addDays(date, 1)) {
    if (!query.weekdays.includes(weekdayOf(date))) continue
    const isToday = date === today
    if (query.resolution === 'day') slots.push(slotAt(date, null, isToday))
    else {
      const last = isToday ? Math.min(hours.to, hourNow) : hours.to
      for (let hour = hours.from; hour <= last; hour++) slots.push(slotAt(date, hour, isToday && hour === hourNow))
    }
  }
  if (first !== undefined) return slots
  // Before the first row there was nothing to count: that is no gap.
  const begin = slots.findIndex(slot => slot.row !== undefined)
  return begin < 0 ? [] : slots.slice(begin)
}

const placeOf = (date: string, hour: number | null): string => `${date} ${hour ?? ''}`

/** The hour that an autumn night has twice is shown in one place. */
const joinRepeatedHour = (a: CountRow, b: CountRow): CountRow => ({
  ...a,
  count: a.count + b.count,
  baseline: a.baseline + b.baseline,
  baselineSpread: null,
  changePercent: null,
  failed: a.failed + b.failed,
  rows: a.rows + b.rows,
  status: a.status === b.status ? a.status : 'partial',
})

/**
 * Rows of several stores as one, day by day. A day that not every store has, or on which one failed, is `partial`: the sum
 * would be higher.
 */
export const joinStores = (rows: readonly CountRow[], stores: number): CountRow[] => {
  const days = new Map<string, CountRow[]>()
  for (const row of rows) days.set(row.date, [...(days.get(row.date) ?? []), row])
  return [...days.values()].map(ofDay => {
    const [first] = ofDay as [CountRow, ...CountRow[]]
    const sum = (pick: (row: CountRow) => number | null) => ofDay.reduce((total, row) => total + (pick(row) ?? 0), 0)
    const { count, baseline, changePercent } = figureOf(ofDay)
    const expected = sum(row => row.expected)
    const whole = ofDay.length === stores && ofDay.every(row => row.status === 'ok' || row.status === 'closed')
    const status =
      ofDay.every(row => row.status === first.status) && ofDay.length === stores
        ? first.status
        : whole
          ? 'ok'
          : 'partial'
    return {
      ...first,
      ...{ store: '', count, baseline, baselineSpread: null, changePercent, status },
      ...{ n: sum(row => row.n), failed: sum(row => row.failed), rows: sum(row => row.rows) },
      ...{
        expected,
        coverage:
          expected === 0 ? null : sum(row => row.coverage && row.expected && row.coverage * row.expected) / expected,
      },
      end: ofDay.reduce((last, row) => (Date.parse(row.end) > Date.parse(last) ? row.end : last), first.end),
    }
  })
}

export interface Figure {
  count: number
  baseline: number
  changePercent: number | null
  days: number
}
/** Count and baseline of several rows together. */
export const figureOf = (rows: readonly CountRow[]): Figure => {
  const count = rows.reduce((sum, row) => sum + (row.count ?? 0), 0)
  const baseline = rows.reduce((sum, row) => sum + (row.baseline ?? 0), 0)
  return {
    count,
    baseline,
    changePercent: baseline === 0 ? null : (100 * (count - baseline)) / baseline,
    days: rows.length,
  }
}
