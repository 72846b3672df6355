/** The cloud's HTTP API, as far as the page needs it. */

export interface Site {
  id: string
  name: string
  kind: 'store' | 'lab' | 'plant'
  zone: string
  /** Open spans by weekday, Monday first, e.g. {from: '09:00', to: '20:00'}. */
  opening: { from: string; to: string }[][] | null
  devices: { id: string; name: string }[]
}

export type Status = 'ok' | 'partial' | 'failed' | 'closed' | 'missing'
export interface CountRow {
  store: string
  date: string
  hour: number | null
  weekday: number
  start: string
  end: string
  count: number | null
  baseline: number | null
  changePercent: number | null
  status: Status
  /** Door-hours that hold a number. */
  n: number
  /** Door-hours whose measurement failed. */
  failed: number
  rows: number
  expected: number | null
  coverage: number | null
  final: boolean
  revision: number
}

export interface Gateway {
  gateway: string
  online: boolean
  spoolBytes: number
  pendingEntries: number
  sources: { id: string; health: string; message?: string }[]
}

export type Resolution = 'day' | 'hour'

/** Says in one sentence what went wrong, as the cloud said it. */
export class ApiError extends Error {
  override name = 'ApiError'
}

const get = async <T>(path: string, signal?: AbortSignal): Promise<T> => {
  let response: Response
  try {
    response = await fetch(path, { headers: { accept: 'application/json' }, ...(signal && { signal }) })
  } catch (cause) {
    if (signal?.aborted) throw cause
    throw new ApiError('The service cannot be reached.', { cause })
  }
  if (response.ok) return (await response.json()) as T
  const problem = (await response.json().catch(() => undefined)) as { detail?: string } | undefined
  throw new ApiError(problem?.detail ?? `The service answered ${response.status}.`)
}

export const getStores = async (signal?: AbortSignal): Promise<Site[]> =>
  (await get<{ sites: Site[] }>('/v1/sites?kind=store', signal)).sites

export const getGateways = async (signal?: AbortSignal): Promise<Gateway[]> =>
  (await get<{ gateways: Gateway[] }>('/v1/gateways', signal)).gateways

/** Why what is shown is behind, in sentences; none where it is not. A service that cannot be reached says nothing here. */
export const getReasons = async (signal: AbortSignal): Promise<string[]> => {
  const response = await fetch('/ready', { headers: { accept: 'application/json' }, signal })
  if (response.status !== 503) return []
  const { reasons } = (await response.json()) as { reasons?: string[] }
  return reasons ?? []
}

export interface CountQuery {
  store?: string
  resolution: Resolution
  /** A date or a time with offset. */
  from: string
}
export const getCounts = async (query: CountQuery, signal?: AbortSignal): Promise<CountRow[]> =>
  (await get<{ rows: CountRow[] }>(`/v1/counts?${countParameters(query)}`, signal)).rows

export const countParameters = (query: CountQuery & { weekday?: string; hours?: string; format?: 'csv' }): string =>
  new URLSearchParams(
    Object.entries({ level: 'store', ...query }).filter((pair): pair is [string, string] => pair[1] !== undefined),
  ).toString()
