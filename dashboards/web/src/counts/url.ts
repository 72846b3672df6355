/** What is shown, as the address says it: a link or a reload shows the same again. */
import type { Resolution } from '../api.ts'

export interface View {
  store: string | undefined
  resolution: Resolution
  /** Days shown, back from today. */
  days: number
  /** Weekdays shown, Monday 0. */
  weekdays: readonly number[]
}

export const dayChoices = { day: [28, 56, 84], hour: [3, 7, 14] } as const
/** Sunday is off at first. */
const weekdaysDefault = [0, 1, 2, 3, 4, 5]

export const readView = (query: URLSearchParams): View => {
  const resolution: Resolution = query.get('by') === 'hour' ? 'hour' : 'day'
  const days = Number(query.get('days'))
  const choices: readonly number[] = dayChoices[resolution]
  const weekdays = query.get('weekdays')
  return {
    store: query.get('store') || undefined,
    resolution,
    days: choices.includes(days) ? days : (choices[1] ?? 0),
    weekdays:
      weekdays === null
        ? weekdaysDefault
        : [...new Set([...weekdays].map(Number))].filter(d => d >= 0 && d <= 6).sort(),
  }
}

export const viewUrl = (view: View): string => {
  const query = new URLSearchParams()
  if (view.store !== undefined) query.set('store', view.store)
  if (view.resolution === 'hour') query.set('by', 'hour')
  if (view.days !== dayChoices[view.resolution][1]) query.set('days', String(view.days))
  if (view.weekdays.join() !== weekdaysDefault.join()) query.set('weekdays', view.weekdays.join(''))
  const text = query.toString()
  return text === '' ? '/counts' : `/counts?${text}`
}

/** The address of what is shown with some of it changed; what makes no sense together becomes what is usual. */
export const changedUrl = (view: View, next: Partial<View>): string => {
  const url = viewUrl({ ...view, ...next })
  return viewUrl(readView(new URLSearchParams(url.slice(url.indexOf('?') + 1))))
}
