/** What is shown, as the address says it: a link or a reload shows the same again. */
import type { Resolution } from '../api.ts'

export interface Hours {
  from: number
  to: number
}
export const tabs = ['chart', 'table', 'week', 'compare'] as const
export type Tab = (typeof tabs)[number]
export const againsts = ['stores', 'before', 'year'] as const
export type Against = (typeof againsts)[number]

export interface View {
  store: string | undefined
  /** A device of the store; all together where left out. */
  door: string | undefined
  resolution: Resolution
  /** Days back from the last one; where `from` or `to` is given, these say it. */
  days: number
  /** Local dates, both included. */
  from: string | undefined
  to: string | undefined
  /** Weekdays shown, Monday 0. */
  weekdays: readonly number[]
  /** Of hourly rows, both included; the opening hours where left out. */
  hours: Hours | undefined
  tab: Tab
  against: Against
  /** Stores to compare with. */
  others: readonly string[]
}

export const dayChoices = { day: [28, 56, 84], hour: [3, 7, 14] } as const
/** Sunday is off at first. */
const weekdaysDefault = [0, 1, 2, 3, 4, 5]
export const othersMax = 4

export const readView = (query: URLSearchParams): View => {
  const resolution: Resolution = query.get('by') === 'hour' ? 'hour' : 'day'
  const days = Number(query.get('days'))
  const choices: readonly number[] = dayChoices[resolution]
  const store = query.get('store') || undefined
  return {
    ...{ store, door: (store !== undefined && query.get('door')) || undefined, resolution },
    ...rangeOf(query.get('from'), query.get('to')),
    days: choices.includes(days) ? days : (choices[1] ?? 0),
    weekdays: weekdaysOf(query.get('weekdays')),
    hours: resolution === 'hour' ? hoursOf(query.get('hours')) : undefined,
    tab: tabs.find(tab => tab === query.get('tab')) ?? 'chart',
    against: againsts.find(against => against === query.get('against')) ?? 'stores',
    others: [...new Set((query.get('with') ?? '').split(',').filter(id => id !== '' && id !== store))].slice(
      0,
      othersMax,
    ),
  }
}

const dateOf = (text: string | null): string | undefined =>
  text !== null && /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text)) ? text : undefined
const rangeOf = (fromText: string | null, toText: string | null): Pick<View, 'from' | 'to'> => {
  const from = dateOf(fromText)
  const to = dateOf(toText)
  return from !== undefined && to !== undefined && from > to ? { from: to, to: from } : { from, to }
}
const weekdaysOf = (text: string | null): readonly number[] =>
  text === null ? weekdaysDefault : [...new Set([...text].map(Number))].filter(d => d >= 0 && d <= 6).sort()
const hoursOf = (text: string | null): Hours | undefined => {
  const m = /^(\d{1,2})-(\d{1,2})$/.exec(text ?? '')
  if (!m) return undefined
  const [from, to] = [Math.min(23, Number(m[1])), Math.min(23, Number(m[2]))]
  return { from: Math.min(from, to), to: Math.max(from, to) }
}

export const viewUrl = (view: View): string => {
  const query = new URLSearchParams()
  const set = (key: string, value: string | undefined) => value !== undefined && value !== '' && query.set(key, value)
  set('store', view.store)
  set('door', view.door)
  if (view.resolution === 'hour') query.set('by', 'hour')
  if (view.from === undefined && view.to === undefined && view.days !== dayChoices[view.resolution][1]) {
    query.set('days', String(view.days))
  }
  set('from', view.from)
  set('to', view.to)
  if (view.weekdays.join() !== weekdaysDefault.join()) query.set('weekdays', view.weekdays.join(''))
  if (view.hours && view.resolution === 'hour') query.set('hours', `${view.hours.from}-${view.hours.to}`)
  if (view.tab !== 'chart') query.set('tab', view.tab)
  if (view.against !== 'stores') query.set('against', view.against)
  set('with', view.others.join(','))
  const text = query.toString()
  return text === '' ? '/counts' : `/counts?${text}`
}

/** The address of what is shown with some of it changed; what makes no sense together becomes what is usual. */
export const changedUrl = (view: View, next: Partial<View>): string => {
  // A door is one of its store; another store has others.
  const door = 'store' in next && next.store !== view.store ? { door: undefined } : {}
  const url = viewUrl({ ...view, ...door, ...next })
  return viewUrl(readView(new URLSearchParams(url.slice(url.indexOf('?') + 1))))
}
