/** What the view of gaps shows, as the address says it. */
export const causes = ['sensor-silent', 'gateway-offline', 'rejected', 'lost', 'failed', 'unknown'] as const
export type Cause = (typeof causes)[number]
export const dayChoices = [14, 28, 56, 84] as const

export interface GapView {
  site: string | undefined
  stream: string | undefined
  /** Days shown, back from `to`. */
  days: number
  /** Last day; today where left out. */
  to: string | undefined
  /** A day whose hours are shown. */
  day: string | undefined
  cause: Cause | undefined
  as: 'map' | 'table'
}

export const readGapView = (query: URLSearchParams): GapView => {
  const days = Number(query.get('days'))
  const cause = causes.find(c => c === query.get('cause'))
  const date = (name: string) => {
    const text = query.get(name)
    return text !== null && /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text)) ? text : undefined
  }
  return {
    site: query.get('site') || undefined,
    stream: query.get('stream') || undefined,
    days: (dayChoices as readonly number[]).includes(days) ? days : 28,
    to: date('to'),
    day: date('day'),
    cause,
    as: query.get('as') === 'table' ? 'table' : 'map',
  }
}

export const gapUrl = (view: GapView): string => {
  const query = new URLSearchParams()
  if (view.site !== undefined) query.set('site', view.site)
  if (view.stream !== undefined) query.set('stream', view.stream)
  if (view.days !== 28) query.set('days', String(view.days))
  for (const key of ['to', 'day', 'cause'] as const) {
    const value = view[key]
    if (value !== undefined) query.set(key, value)
  }
  if (view.as === 'table') query.set('as', 'table')
  const text = query.toString()
  return text === '' ? '/gaps' : `/gaps?${text}`
}
