/** What is shown, as the address says it: a link or a reload shows the same again. */
import { useEffect, useState } from 'preact/hooks'
import type { Resolution } from './api.ts'

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

export const readView = (search: string): View => {
  const query = new URLSearchParams(search)
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
  return text === '' ? '/' : `/?${text}`
}

/** The view, and how to go to another: a new entry of the browser's history for a store, the same entry for a filter. */
export const useView = (): [View, (next: Partial<View>) => void] => {
  const [view, setView] = useState(() => readView(location.search))
  useEffect(() => {
    const back = () => setView(readView(location.search))
    window.addEventListener('popstate', back)
    return () => window.removeEventListener('popstate', back)
  }, [])
  const go = (next: Partial<View>): void => {
    const changed = readView(viewUrl({ ...view, ...next }).slice(1))
    const url = viewUrl(changed)
    if ('store' in next) history.pushState(null, '', url)
    else history.replaceState(null, '', url)
    setView(changed)
    if ('store' in next) window.scrollTo(0, 0)
  }
  return [view, go]
}
