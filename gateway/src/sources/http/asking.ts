/** What a poll and a walk have in common: the series, the requests for them, and what their answers hold. */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDecoder } from '@penstock/formats'
import { type Frame, LIMITS, type Reject, STATUS_COLUMN, type Zone, zoneOf } from '@penstock/frame'
import { getBytes, type HttpAnswer } from '../../http-request.ts'
import { frameRowsMax } from '../../placement.ts'
import type { SourceDeps } from '../../source.ts'
import { fillIn, type TemplateValues } from '../../template.ts'
import type { TextOrSecret, withPreset } from './options.ts'

export type Settings = ReturnType<typeof withPreset>

export interface Series {
  /** Unique in the source: the key of its cursor. */
  key: string
  /** For people, e.g. "London/0". */
  label: string
  site: string
  device: string
  stream: string
  zone: Zone
  values: TemplateValues
}

/** One series for each device of each entry. A series whose device nobody named has none in its requests. */
export const seriesOf = (options: Settings): Series[] =>
  (options.series ?? [{ values: {} }]).flatMap(entry => {
    const site = entry.site ?? options.site
    const stream = entry.stream ?? options.stream
    const zone = zoneOf(entry.zone ?? options.zone)
    const devices = entry.devices ?? [entry.device ?? options.device]
    return devices.map((device): Series => {
      const named = device ?? options.id
      const values = { ...entry.values, site, device, stream }
      const key = [site, named, stream].map(encodeURIComponent).join('/')
      return { key, label: `${site}/${named}`, site, device: named, stream, zone, values }
    })
  })

/** What a time is called in an address: of the local clock, and in UTC. @param local as if it were UTC */
export const timeValues = (local: number, utcMs: number, utcEndMs: number): TemplateValues => {
  const iso = new Date(local).toISOString()
  const at = (from: number, to: number) => Number(iso.slice(from, to))
  return {
    year: at(0, 4),
    month: at(5, 7),
    day: at(8, 10),
    hour: at(11, 13),
    minute: at(14, 16),
    second: at(17, 19),
    date: iso.slice(0, 10),
    utc: `${new Date(utcMs).toISOString().slice(0, 19)}Z`,
    utcEnd: `${new Date(utcEndMs).toISOString().slice(0, 19)}Z`,
    epoch: Math.floor(utcMs / 1000),
  }
}

export interface Asking {
  /** Asks, when its turn has come. Throws an HttpProblem, or the signal's reason. */
  ask(series: Series, time: TemplateValues, headers: Record<string, string>, signal: AbortSignal): Promise<HttpAnswer>
  /** Rows and rejects of an answer; `atNs` is the time of rows without one of their own. */
  decode(series: Series, body: Uint8Array, atNs: bigint): { frames: Frame[]; rejects: Reject[] }
  reject(series: Series, reason: string, body: Uint8Array): Reject
}

export const createAsking = (options: Settings, deps: SourceDeps): Asking => {
  const { id, format, requestMsMax, bodyBytesMax, recordBytesMax } = options
  const take = createPacer(options.requestsPerSecondMax)
  const secretOr = (value: TextOrSecret, key: string): string =>
    typeof value === 'string' ? value : `${value.prefix ?? ''}${options.secrets[key] ?? ''}`
  const fixedHeaders = Object.fromEntries(
    Object.entries(options.headers).map(([name, value]) => [name, secretOr(value, `headers.${name}`)]),
  )
  const urlOf = (values: TemplateValues): URL => {
    const url = new URL(fillIn(options.url, values, encodeURIComponent) ?? options.url)
    for (const [name, value] of Object.entries(options.query)) {
      const text = typeof value === 'string' ? fillIn(value, values) : secretOr(value, `query.${name}`)
      if (text !== undefined) url.searchParams.set(name, text)
    }
    return url
  }
  // Without the query, which may hold secrets.
  const place = options.url.replace(/[?#].*$/s, '')

  return {
    async ask(series, time, headers, signal) {
      await take(signal)
      const url = urlOf({ ...series.values, ...time })
      const request = { url, headers: { ...fixedHeaders, ...headers }, requestMsMax, bodyBytesMax }
      return getBytes(request, deps.now().getTime(), signal)
    },
    decode(series, body, atNs) {
      const { site, device, stream, zone } = series
      const context = { source: id, file: place, site, device, stream, zone: zone.name, frameRowsMax, recordBytesMax }
      const { frames, rejects } = createDecoder(format, context).push(body, true, atNs)
      return { frames, rejects: rejects.map(reject => ({ ...reject, at: deps.now().toISOString() })) }
    },
    reject: (series, reason, body) => ({
      origin: { source: id, file: place, format: 'http' },
      reason: `${series.label}: ${reason}`.slice(0, LIMITS.reasonCharsMax),
      text: textOf(body, LIMITS.rejectTextCharsMax),
      at: deps.now().toISOString(),
    }),
  }
}

/** The beginning of an answer as text, for people. */
export const textOf = (body: Uint8Array, charsMax = 200): string =>
  new TextDecoder().decode(body.subarray(0, charsMax * 4)).slice(0, charsMax)

export const hashOf = (body: Uint8Array): string => createHash('sha256').update(body).digest('base64url').slice(0, 16)

/** "404: no such store" */
export const saidBy = ({ status, body }: HttpAnswer): string => {
  const text = textOf(body).replace(/\s+/g, ' ').trim()
  return text === '' || text.startsWith('<') ? `${status}` : `${status}: ${text}`
}

/** What an answer that brings nothing says about who has to do what. */
export const refusalOf = (host: string, answer: HttpAnswer): string => {
  const said = saidBy(answer)
  if (answer.status === 401 || answer.status === 403) return `${host} refuses the credentials (${said})`
  if (answer.status === 404 || answer.status === 410) return `${host} does not know this address (${said})`
  if (answer.status === 429) return `${host} is asked too often (${said})`
  return answer.status >= 500
    ? `${host} has a fault of its own (${said})`
    : `${host} does not take the request (${said})`
}

export const isUnavailable = ({ status }: HttpAnswer): boolean => status === 429 || status === 503

/** Rows without a status get this one. */
export const withStatus = (frame: Frame, status: string): Frame => {
  const had = frame.columns.find(column => column.name === STATUS_COLUMN)
  const statuses = had?.type === 'text' ? had.values : []
  const values = Array.from(frame.offsetsNs, (_, i) => statuses[i] ?? status)
  const others = frame.columns.filter(column => column !== had)
  return { ...frame, columns: [...others, { name: STATUS_COLUMN, type: 'text', values }] }
}

/** How long to wait after so many failures in a row; what the server asks for counts, within the limit. */
export const backoffMs = (failures: number, retryMsMax: number, retryAfterMs = 0): number =>
  Math.min(retryMsMax, Math.max(retryAfterMs, 1000 * 2 ** Math.min(failures - 1, 20)))

/** Lets one through at a time, so many a second. */
const createPacer = (perSecondMax: number) => {
  let nextMs = 0
  return async (signal: AbortSignal): Promise<void> => {
    const nowMs = performance.now()
    const atMs = Math.max(nextMs, nowMs)
    nextMs = atMs + 1000 / perSecondMax
    if (atMs > nowMs) await sleep(atMs - nowMs, undefined, { signal })
  }
}

/** Works through a list in its order, several at a time, until it is done or `isEnough`. The first failure ends it. */
export const inParallel = async <T>(
  items: readonly T[],
  parallelMax: number,
  isEnough: () => boolean,
  work: (item: T) => Promise<void>,
): Promise<void> => {
  let next = 0
  const worker = async () => {
    while (next < items.length && !isEnough()) await work(items[next++] as T)
  }
  await Promise.all(Array.from({ length: Math.min(parallelMax, items.length) }, worker))
}

/** What is wrong now, by whom it concerns, for the health of the source. */
export interface Troubles {
  set(key: string, problem: string | undefined): void
  /** The first of them, and how many more there are. */
  text(): string | undefined
}

export const createTroubles = (log: SourceDeps['log'], id: string): Troubles => {
  const problems = new Map<string, string>()
  return {
    set(key, problem) {
      if (problems.get(key) === problem) return
      if (problem === undefined) problems.delete(key)
      else {
        problems.set(key, problem)
        log.warn({ source: id }, problem)
      }
      if (problem === undefined && problems.size === 0)
        log.info({ source: id }, 'the answers are as they should be again')
    },
    text() {
      const [first, ...more] = problems.values()
      return more.length === 0 ? first : `${first} (and ${more.length} more)`
    },
  }
}
