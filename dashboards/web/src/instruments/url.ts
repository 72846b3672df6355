/** What is shown, as the address says it: a link or a reload shows the same again. */
export interface SeriesKey {
  site: string
  device: string
  stream: string
}
export interface SeriesChoice extends SeriesKey {
  /** `undefined`: the first few. */
  columns: readonly string[] | undefined
}
export const rangeNames = ['5m', '1h', '6h', '24h', '7d', '30d', 'all'] as const
export type RangeName = (typeof rangeNames)[number]
export const rangeSeconds: Record<Exclude<RangeName, 'all'>, number> = {
  ...{ '5m': 300, '1h': 3600, '6h': 21_600, '24h': 86_400, '7d': 604_800, '30d': 2_592_000 },
}

export interface View {
  search: string
  series: readonly SeriesChoice[]
  /** Back from the newest row. */
  range: RangeName
  /** Exact times, ISO 8601; they go before `range`. */
  from: string | undefined
  to: string | undefined
  log: boolean
  /** The row that is asked about. */
  point: (SeriesKey & { time: string }) | undefined
  /** Which curve or image is shown; the newest where left out. */
  curve: string | undefined
  /** Of several vector columns. */
  vector: string | undefined
  curveLog: boolean
}

/** Streams that stand beside each other. */
export const seriesMax = 4
const rangeDefault: RangeName = '24h'

export const keyText = ({ site, device, stream }: SeriesKey): string =>
  [site, device, stream].map(encodeURIComponent).join('/')
const readKey = (text: string): SeriesKey | undefined => {
  try {
    const [site, device, stream, ...more] = text.split('/').map(decodeURIComponent)
    return site && device && stream && more.length === 0 ? { site, device, stream } : undefined
  } catch {
    return undefined
  }
}

const seriesText = (series: SeriesChoice): string =>
  keyText(series) + (series.columns ? `:${series.columns.map(encodeURIComponent).join(',')}` : '')
const readSeries = (text: string): SeriesChoice[] => {
  const [keyPart = '', columnPart] = text.split(':')
  const key = readKey(keyPart)
  if (!key) return []
  try {
    const columns = columnPart?.split(',').filter(Boolean).map(decodeURIComponent)
    return [{ ...key, columns }]
  } catch {
    return [{ ...key, columns: undefined }]
  }
}

export const readView = (query: URLSearchParams): View => {
  const range = query.get('range')
  const [pointKey = '', pointTime] = (query.get('point') ?? '').split('@')
  const key = readKey(pointKey)
  return {
    search: query.get('q') ?? '',
    series: query.getAll('s').flatMap(readSeries).slice(0, seriesMax),
    range: rangeNames.find(name => name === range) ?? rangeDefault,
    from: query.get('from') ?? undefined,
    to: query.get('to') ?? undefined,
    log: query.has('log'),
    point: key && pointTime !== undefined ? { ...key, time: pointTime } : undefined,
    curve: query.get('curve') ?? undefined,
    vector: query.get('vector') ?? undefined,
    curveLog: query.has('curvelog'),
  }
}

export const viewUrl = (view: View): string => {
  const query = new URLSearchParams()
  if (view.search !== '') query.set('q', view.search)
  for (const series of view.series) query.append('s', seriesText(series))
  if (view.range !== rangeDefault) query.set('range', view.range)
  if (view.from !== undefined) query.set('from', view.from)
  if (view.to !== undefined) query.set('to', view.to)
  if (view.log) query.set('log', '1')
  if (view.point) query.set('point', `${keyText(view.point)}@${view.point.time}`)
  if (view.curve !== undefined) query.set('curve', view.curve)
  if (view.vector !== undefined) query.set('vector', view.vector)
  if (view.curveLog) query.set('curvelog', '1')
  const text = query.toString()
  return text === '' ? '/instruments' : `/instruments?${text}`
}
