/**
 * The gateway's own page and its API: what passes here, and what a file would become. Reads only; nothing of it is needed
 * to keep a reading. Whatever is refused is answered as RFC 9457 says.
 *
 *     request ─► access ─► query checked strictly ─► snapshot, live, ledger, sample ─► JSON or server-sent events
 */
import type { FileBytes } from '@penstock/formats'
import { isZone, type LedgerLine } from '@penstock/frame'
import {
  type EventQueue,
  eventStream,
  eventStreamHeaders,
  invalidParameters,
  ProblemError,
  pageHeaders,
  problemResponse,
  type WebFiles,
  webResponse,
} from '@penstock/http'
import { type Context, Hono } from 'hono'
import * as z from 'zod'
import type { GatewaySnapshot } from '../gateway.ts'
import type { Live, Passed } from '../live.ts'
import { checkPageAccess, type PageAccess } from './access.ts'
import { readParts, type StateHub } from './state.ts'
import type { Uploads } from './upload.ts'

export interface PageSampleRequest {
  name: string
  file: FileBytes
  site: string
  device: string
  stream: string
  zone: string
  zoneIsGiven: boolean
  /** False where only the beginning of the file was sent. */
  last?: boolean
  rowsMax: number
  rejectsMax: number
  readBytesMax: number
  signal: AbortSignal
}

export interface PageAppDeps {
  snapshot(): GatewaySnapshot
  live: Live
  hub: StateHub
  uploads: Uploads
  /** Reads a file as a source would, storing nothing; what it resolves with is answered as JSON. */
  readSample(request: PageSampleRequest): Promise<unknown>
  access: PageAccess
  /** The built page; left out, `/` says how to build it. */
  files(): WebFiles | undefined
  /** Site and zone of sources that name none: what a file is read with that is only looked at. */
  site: string
  zone: string
  now(): Date
  log: { error(o: object, m: string): void }
}

export const sampleLimits = {
  rowsMax: 30,
  rejectsMax: 50,
  readBytesMax: 64 * 1024 * 1024,
  readMsMax: 60_000,
}

const unbuilt = { build: 'pnpm --filter @penstock/gateway-page build', api: '/api/snapshot' }

const name = z.string().min(1, 'is empty').max(256, 'is longer than 256 characters')
const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `expected a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine(n => n >= min && n <= max, `expected a whole number from ${min} to ${max}`)

const queries = {
  none: z.strictObject({}),
  tap: z.strictObject({ source: name.optional() }),
  series: z.strictObject({
    ...{ site: name, device: name, stream: name, column: name },
    minutes: whole(1, 60).optional(),
    points: whole(16, 2000).default(2000),
  }),
  sniff: z.strictObject({
    name,
    site: name.optional(),
    /** `true`: only the beginning of the file is sent. */
    part: z
      .enum(['true', 'false'], 'expected true or false')
      .transform(text => text === 'true')
      .default(false),
    device: name.default('device'),
    stream: name.default('stream'),
    zone: name.refine(isZone, 'is not an IANA time zone, such as Europe/Paris').optional(),
  }),
}

const queryOf = <T extends z.ZodObject>(c: Context, schema: T): z.output<T> => {
  const result = schema.safeParse(c.req.query())
  if (result.success) return result.data
  throw invalidParameters(result.error.issues, Object.keys(schema.shape))
}

export const createPageApp = (deps: PageAppDeps): Hono => {
  const { snapshot, live, hub, log } = deps
  const app = new Hono()
  app.onError((error, c) => {
    if (error instanceof ProblemError) return secured(problemResponse(error))
    log.error({ err: error, method: c.req.method, path: c.req.path }, 'a request of the page failed')
    const detail = 'The request failed on the side of the gateway; its log says why.'
    return secured(problemResponse(new ProblemError(500, 'internal', detail)))
  })
  app.notFound(c => webResponse(deps.files(), c, unbuilt) ?? secured(problemResponse(notFound(c))))
  app.use(checkPageAccess(deps.access))

  app.get('/api/snapshot', c => {
    queryOf(c, queries.none)
    const parts = readParts(deps)
    const below = (prefix: string) => [...parts].filter(([key]) => key.startsWith(prefix)).map(([, part]) => part)
    const named = (key: string) => parts.get(key)
    return json({
      ...{ clock: deps.now().toISOString(), gateway: named('gateway'), link: named('link'), spool: named('spool') },
      ...{ rejects: named('rejects'), sources: below('source/'), streams: below('stream/'), files: below('file/') },
    })
  })
  app.get('/api/ledger', c => {
    queryOf(c, queries.none)
    const files: LedgerLine[] = snapshot().ledger().toReversed()
    return json({ files })
  })
  app.get('/api/rejects', c => {
    queryOf(c, queries.none)
    return json({ count: live.stats().rejects, rejects: live.rejects() })
  })
  app.get('/api/series', c => {
    const { points, minutes, ...which } = queryOf(c, queries.series)
    const series = live.series({ ...which, ...(minutes !== undefined && { minutes }), pointsMax: points })
    if (series) return json(series)
    const { site, device, stream, column } = which
    const detail = `No column "${column}" of ${site}/${device}/${stream} has passed since the gateway started.`
    throw new ProblemError(404, 'unknown-series', detail)
  })
  app.get('/api/live', c => {
    queryOf(c, queries.none)
    return events(c, () => hub.subscribe())
  })
  app.get('/api/tap', c => {
    const { source } = queryOf(c, queries.tap)
    const sources = snapshot().sources.map(({ id }) => id)
    if (source !== undefined && !sources.includes(source)) {
      const detail = `There is no source "${source.slice(0, 80)}"; there are ${sources.slice(0, 20).join(', ')}.`
      throw new ProblemError(404, 'unknown-series', detail)
    }
    return events(c, () => tapQueue(live, source, c.req.raw.signal))
  })
  app.post('/api/sniff', async c => {
    const { name, site = deps.site, zone, device, stream, part } = queryOf(c, queries.sniff)
    const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase()
    if (type !== 'application/octet-stream') {
      throw new ProblemError(415, 'unsupported-media-type', 'Send the file as application/octet-stream.')
    }
    const { rowsMax, rejectsMax, readBytesMax, readMsMax } = sampleLimits
    const where = { name, site, device, stream, zone: zone ?? deps.zone, zoneIsGiven: zone !== undefined }
    const limits = { rowsMax, rejectsMax, readBytesMax, ...(part && { last: false }) }
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(), readMsMax)
    const signal = AbortSignal.any([c.req.raw.signal, late.signal])
    const report = await deps.uploads
      .receive(c.req.raw.body, file => deps.readSample({ ...where, ...limits, file, signal }))
      .finally(() => clearTimeout(timer))
      .catch(error => {
        if (!late.signal.aborted) throw error
        const detail = `The file takes longer than ${readMsMax / 1000} s to read: try \`penstock-gateway sniff\` on its machine.`
        throw new ProblemError(503, 'not-ready', detail)
      })
    return json(report)
  })
  return app
}

const notFound = ({ req: { path, method } }: Context): ProblemError =>
  method === 'GET' || method === 'HEAD'
    ? new ProblemError(404, 'unknown-path', `There is nothing at ${path.slice(0, 200)}.`)
    : new ProblemError(405, 'method-not-allowed', `${path.slice(0, 200)} does not answer to ${method}.`)

const secured = (response: Response): Response => {
  for (const [key, value] of Object.entries(pageHeaders)) response.headers.set(key, value)
  return response
}
const json = (value: unknown): Response => secured(Response.json(value, { headers: { 'cache-control': 'no-store' } }))

const events = (c: Context, subscribe: () => EventQueue | undefined): Response => {
  const queue = subscribe()
  if (!queue) {
    throw new ProblemError(503, 'too-many-clients', 'Too many clients listen already: close another page.', {
      headers: { 'retry-after': '10' },
    })
  }
  return secured(new Response(eventStream(queue, c.req.raw.signal), { headers: eventStreamHeaders }))
}

const tapQueue = (live: Live, source: string | undefined, signal: AbortSignal): EventQueue | undefined => {
  const leaving = new AbortController()
  const passed = live.follow(source === undefined ? {} : { source }, AbortSignal.any([signal, leaving.signal]))
  if (!passed) return undefined
  const iterator: AsyncIterator<Passed> = passed[Symbol.asyncIterator]()
  return {
    async next() {
      const step = await iterator.next()
      return step.done ? undefined : { type: step.value.kind, data: JSON.stringify(step.value) }
    },
    close: () => leaving.abort(),
  }
}
