/** Which days and hours are shown: what the address asks for, within what exists. */
import type { Site } from '../api.ts'
import { addDays, weekdayOf } from '../format.ts'
import type { Hours, View } from './url.ts'
import type { Extent } from './use-doors.ts'

export interface Range {
  /** Local dates of what exists, both included. */
  first: string
  last: string
  /** Of these, what is shown. */
  from: string
  to: string
}

/** A store that was heard within so many days still counts: its silence until today is a gap to be seen. */
const silentDaysMax = 28

/** @param extent undefined: nothing exists yet */
export const rangeOf = (view: Pick<View, 'from' | 'to' | 'days'>, extent: Extent | undefined, today: string): Range => {
  const last = extent && extent.last < addDays(today, -silentDaysMax) ? extent.last : today
  const first = extent && extent.first < last ? extent.first : last
  const within = (date: string) => (date < first ? first : date > last ? last : date)
  const to = within(view.to ?? last)
  if (view.from === undefined && view.to === undefined)
    return { first, last, from: within(addDays(last, 1 - view.days)), to }
  return { first, last, from: within(view.from ?? first), to }
}

/** The latest Saturday that is over; undefined where none exists. */
export const lastSaturday = ({ first, last }: Range, today: string): string | undefined => {
  const end = last < today ? last : addDays(today, -1)
  const saturday = addDays(end, -((weekdayOf(end) + 2) % 7))
  return saturday >= first ? saturday : undefined
}

/** From the earliest opening to the latest closing hour of the week. */
export const openHours = (store: Site): Hours => {
  const spans = store.opening?.flat() ?? []
  if (spans.length === 0) return { from: 0, to: 23 }
  return {
    from: Math.floor(Math.min(...spans.map(s => clockHours(s.from)))),
    to: Math.ceil(Math.max(...spans.map(s => clockHours(s.to)))) - 1,
  }
}

/** Whether a store is open in a day or an hour, by its opening hours; undefined where they are not known. */
export const isOpen = (store: Site, weekday: number, hour: number | null): boolean | undefined =>
  store.opening?.[weekday]?.some(
    span => hour === null || (clockHours(span.from) < hour + 1 && clockHours(span.to) > hour),
  )

const clockHours = (text: string): number => Number(text.slice(0, 2)) + Number(text.slice(3)) / 60
