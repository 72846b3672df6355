/**
 * The places of a chart or table: every day or hour that should be there, with its row or without. A place without a row is a
 * gap and stays one; weekdays that are switched off have no place at all.
 */
import type { CountRow, Resolution, Status } from '../api.ts'
import { addDays, weekdayOf } from '../format.ts'

export interface Slot {
  date: string
  hour: number | null
  row: CountRow | undefined
  /** `pending`: today or this hour, before its first row. */
  status: Status | 'pending'
}

export interface SlotsQuery {
  resolution: Resolution
  /** Local date and hour of the store. */
  today: string
  hourNow: number
  days: number
  weekdays: readonly number[]
  /** Hours that have a place, both included. */
  hours: { from: number; to: number }
}

export const buildSlots = (rows: readonly CountRow[], query: SlotsQuery): Slot[] => {
  const byPlace = new Map<string, CountRow>()
  for (const row of rows) {
    const place = placeOf(row.date, row.hour)
    const had = byPlace.get(place)
    byPlace.set(place, had ? joinRepeatedHour(had, row) : row)
  }
  const slots: Slot[] = []
  for (let ago = query.days - 1; ago >= 0; ago--) {
    const date = addDays(query.today, -ago)
    if (!query.weekdays.includes(weekdayOf(date))) continue
    if (query.resolution === 'day') slots.push(slotOf(date, null, byPlace, ago === 0))
    else {
      const last = ago === 0 ? Math.min(query.hours.to, query.hourNow) : query.hours.to
      for (let hour = query.hours.from; hour <= last; hour++) {
        slots.push(slotOf(date, hour, byPlace, ago === 0 && hour === query.hourNow))
      }
    }
  }
  // Before the first row there was nothing to count: that is no gap.
  const first = slots.findIndex(slot => slot.row !== undefined)
  return first < 0 ? [] : slots.slice(first)
}

const placeOf = (date: string, hour: number | null): string => `${date} ${hour ?? ''}`

const slotOf = (date: string, hour: number | null, rows: ReadonlyMap<string, CountRow>, now: boolean): Slot => {
  const row = rows.get(placeOf(date, hour))
  return { date, hour, row, status: row?.status ?? (now ? 'pending' : 'missing') }
}

/** The hour that an autumn night has twice is shown in one place. */
const joinRepeatedHour = (a: CountRow, b: CountRow): CountRow => ({
  ...a,
  count: a.count + b.count,
  baseline: a.baseline + b.baseline,
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
      ...{ store: '', count, baseline, changePercent, status },
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
