/** The gateway's HTTP API, as far as the page needs it. */
import type { LedgerLine, SourceStatus } from '@penstock/frame'

export type Value = null | boolean | number | string | { length: number; min: number; max: number }
export type ColumnType = 'float' | 'int' | 'bool' | 'text' | 'vector'

export interface GatewayPart {
  gateway: string
  version: string
  startedAt: string
  configFile: string
  configuredAt: string
  /** Why a newer configuration was not taken. */
  configProblem?: string
  zone: string
  files: number
  streams: number
}
export interface LinkPart {
  kind: string
  url: string
  connected: boolean
  through: number
  inFlightBytes: number
  reconnects: number
  resends: number
  problem?: string
}
export interface SpoolPart {
  bytes: number
  bytesMax: number
  waiting: number
  /** When the oldest of them came in, to about a minute. */
  oldestAt?: string
  bytesPerMinute: number
  minutesLeft: number | null
  full: boolean
  lostEntries: number
  oldestSeq: number
  nextSeq: number
}
export interface SourcePart extends SourceStatus {
  rowsPerMinute: number
  options: { zone?: string; folder?: string; pattern?: string | string[]; [key: string]: unknown }
  order: number
}
export interface StreamPart {
  source: string
  site: string
  device: string
  stream: string
  columns: { name: string; unit?: string; type: ColumnType; value: Value }[]
  columnsLeftOut: number
  time: string
  status: string | null
  passedMs: number
  rows: number
  rowsPerMinute: number
  file?: string
}
export type FilePart = LedgerLine
export interface Reject {
  origin: {
    source: string
    file?: string
    firstLine?: number
    lastLine?: number
    firstByte?: number
    lastByte?: number
  }
  reason: string
  text: string
}
export interface PassedReject extends Reject {
  number: number
  passedMs: number
}

export type Series = { name: string; unit?: string; type: ColumnType } & (
  | { kind: 'points'; stretchMs: number; times: number[]; values: (number | null)[] }
  | { kind: 'curve'; time: string; axis: number[]; values: (number | null)[]; length: number }
  | { kind: 'text'; value: Value }
)
export interface SeriesQuery {
  site: string
  device: string
  stream: string
  column: string
  minutes?: number
  points: number
}

export interface Proposal {
  format: { kind?: string; [key: string]: unknown }
  doubts: { path: (string | number)[]; text: string }[]
  findings: { what: string; text: string }[]
  confidence: number
}
export interface SampleStream {
  site: string
  device: string
  stream: string
  /** Of the local times. */
  zone: string
  rows: number
  columns: { name: string; unit?: string; type: ColumnType }[]
  first: { time: string; local: string; values: Value[]; status: string | null }[]
  attributes?: Record<string, string>
}
export interface SampleReport {
  proposals: Proposal[]
  /** Why there is no proposal. */
  reason?: string
  yaml?: string
  streams: SampleStream[]
  rejects: Reject[]
  rowsRead: number
  rowsRejected: number
  bytesRead: number
  bytes: number
  ms: number
}

/** Says in one sentence what went wrong, as the gateway said it. */
export class ApiError extends Error {
  override name = 'ApiError'
}

export const unreachable = 'The gateway cannot be reached.'

const get = async <T>(path: string, signal?: AbortSignal): Promise<T> => {
  let response: Response
  try {
    response = await fetch(path, { headers: { accept: 'application/json' }, ...(signal && { signal }) })
  } catch (cause) {
    if (signal?.aborted) throw cause
    throw new ApiError(unreachable, { cause })
  }
  if (response.ok) return (await response.json()) as T
  throw new ApiError(detailOf(await response.text(), response.status))
}

const detailOf = (text: string, status: number): string => {
  try {
    const { detail } = JSON.parse(text) as { detail?: string }
    if (detail) return detail
  } catch {
    // Not a problem of ours: the number says what there is to say.
  }
  return `The gateway answered ${status}.`
}

export const getSnapshot = (signal?: AbortSignal) => get<unknown>('/api/snapshot', signal)
export const getLedger = async (signal?: AbortSignal) => (await get<{ files: FilePart[] }>('/api/ledger', signal)).files
export const getRejects = (signal?: AbortSignal) =>
  get<{ count: number; rejects: PassedReject[] }>('/api/rejects', signal)
export const getSeries = (query: SeriesQuery, signal?: AbortSignal) =>
  get<Series>(
    `/api/series?${new URLSearchParams(Object.entries(query).map(([key, value]) => [key, String(value)]))}`,
    signal,
  )

export interface LookOptions {
  /** Only the beginning of the file is sent. */
  part: boolean
  /** Of its local times; left out, what the file says, or the gateway's. */
  zone?: string | undefined
  /** Told how much (0 … 1) has been sent. */
  onSent(part: number): void
  signal: AbortSignal
}

/** Sends a file to be looked at. */
export const lookAtFile = (
  file: Blob,
  name: string,
  { part, zone, onSent, signal }: LookOptions,
): Promise<SampleReport> =>
  new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    const query = new URLSearchParams({ name, part: String(part), ...(zone !== undefined && { zone }) })
    request.open('POST', `/api/sniff?${query}`)
    request.setRequestHeader('content-type', 'application/octet-stream')
    request.setRequestHeader('x-penstock', '1')
    request.upload.onprogress = event => onSent(event.total > 0 ? event.loaded / event.total : 1)
    request.onload = () => {
      if (request.status === 200) resolve(JSON.parse(request.responseText) as SampleReport)
      else reject(new ApiError(detailOf(request.responseText, request.status)))
    }
    request.onerror = () => reject(new ApiError(unreachable))
    request.onabort = () => reject(new DOMException('aborted', 'AbortError'))
    signal.addEventListener('abort', () => request.abort(), { once: true })
    request.send(file)
  })
