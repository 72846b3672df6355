/** The cloud's HTTP API, as far as the page needs it. Its types are made from the service's own OpenAPI document. */
import type { components, paths } from './generated/api.d.ts'

export type Schemas = components['schemas']
export type Site = Schemas['Site']
/** What charts and tables need of a row; a row that is made of several has no more. */
export type CountRow = Pick<
  Schemas['Count'],
  | ('store' | 'date' | 'hour' | 'weekday' | 'start' | 'end' | 'count' | 'baseline' | 'changePercent' | 'status')
  | ('n' | 'failed' | 'rows' | 'expected' | 'coverage' | 'final' | 'revision' | 'baselineSpread')
>
export type Status = CountRow['status']
export type Gateway = Schemas['Gateway']
export type Resolution = 'day' | 'hour'

/** Paths that answer a GET with JSON; their query and their answer. */
type GetPath = {
  [P in keyof paths]: paths[P] extends { get: { responses: { 200: { content: { 'application/json': unknown } } } } }
    ? P
    : never
}[keyof paths]
type Answer<P extends GetPath> = paths[P] extends {
  get: { responses: { 200: { content: { 'application/json': infer T } } } }
}
  ? T
  : never
export type Query<P extends GetPath> = paths[P] extends { get: { parameters: { query?: infer Q } } }
  ? [NonNullable<Q>] extends [never]
    ? Record<string, never>
    : NonNullable<Q>
  : never

/** Says in one sentence what went wrong, as the cloud said it. */
export class ApiError extends Error {
  override name = 'ApiError'
}

/** `path?query` without the keys that are undefined. */
export const address = (path: string, query: object): string => {
  const given = Object.entries(query).filter(([, value]) => value !== undefined)
  const text = new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString()
  return text === '' ? path : `${path}?${text}`
}

/** Asks the service. Throws an ApiError with a sentence for the reader. */
export const get = async <P extends GetPath>(path: P, query: Query<P>, signal?: AbortSignal): Promise<Answer<P>> => {
  return (await ask(address(path, query), {}, signal)) as Answer<P>
}

const ask = async (url: string, init: RequestInit, signal?: AbortSignal): Promise<unknown> => {
  let response: Response
  try {
    response = await fetch(url, { headers: { accept: 'application/json' }, ...init, ...(signal && { signal }) })
  } catch (cause) {
    if (signal?.aborted) throw cause
    throw new ApiError('The service cannot be reached.', { cause })
  }
  if (response.ok) return response.json()
  const problem = (await response.json().catch(() => undefined)) as { detail?: string } | undefined
  throw new ApiError(problem?.detail ?? `The service answered ${response.status}.`)
}

/** Paths to which JSON is posted, and their answer. */
type PostPath = {
  [P in keyof paths]: paths[P] extends { post: { responses: { 200: { content: { 'application/json': unknown } } } } }
    ? P
    : never
}[keyof paths]
type Posted<P extends PostPath> = paths[P] extends {
  post: { responses: { 200: { content: { 'application/json': infer T } } } }
}
  ? T
  : never

/** Tells the service something. Throws an ApiError with a sentence for the reader. */
export const post = async <P extends PostPath>(path: P, body: unknown, signal?: AbortSignal): Promise<Posted<P>> => {
  const headers = { accept: 'application/json', 'content-type': 'application/json' }
  return (await ask(path, { method: 'POST', headers, body: JSON.stringify(body) }, signal)) as Posted<P>
}

export type Reject = Schemas['Reject']
export type RejectGroup = Schemas['RejectGroup']
export type RejectState = Reject['state']
export type Recipe = Schemas['Recipe']
export type RejectPreview = Posted<'/v1/rejects/preview'>

/** One reject with how it was read. */
export const getReject = async (id: string, signal?: AbortSignal): Promise<Answer<'/v1/rejects/{id}'>> =>
  (await ask(`/v1/rejects/${encodeURIComponent(id)}`, {}, signal)) as Answer<'/v1/rejects/{id}'>

export const getStores = async (signal?: AbortSignal): Promise<Site[]> =>
  (await get('/v1/sites', { kind: 'store' }, signal)).sites

export const getGateways = async (signal?: AbortSignal): Promise<Gateway[]> =>
  (await get('/v1/gateways', {}, signal)).gateways

/** Why what is shown is behind, in sentences; none where it is not. A service that cannot be reached says nothing here. */
export const getReasons = async (signal: AbortSignal): Promise<string[]> => {
  const response = await fetch('/ready', { headers: { accept: 'application/json' }, signal })
  if (response.status !== 503) return []
  const { reasons } = (await response.json()) as { reasons?: string[] }
  return reasons ?? []
}

export type CountQuery = Pick<Query<'/v1/counts'>, 'store' | 'sensor' | 'to' | 'weekday' | 'hours'> & {
  resolution: Resolution
  /** A date or a time with offset. */
  from: string
}
const leveled = (query: CountQuery) => ({ level: query.sensor === undefined ? 'store' : 'sensor', ...query }) as const
export const getCounts = async (query: CountQuery, signal?: AbortSignal): Promise<CountRow[]> =>
  (await get('/v1/counts', leveled(query), signal)).rows

export const formats = ['csv', 'parquet', 'json'] as const
export type Format = (typeof formats)[number]
/** The same rows as a file. */
export const countsAddress = (query: CountQuery, format: Format): string =>
  address('/v1/counts', { ...leveled(query), format })
