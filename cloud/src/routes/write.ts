/**
 * POST /api/v2/write and /write: line protocol as Telegraf and InfluxDB's client libraries send it. 204: the journal has
 * every point; anything else: it has none of them. Answers have InfluxDB's form, so that clients know what to try again.
 */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { LIMITS, WireError } from '@penstock/frame'
import type { Context } from 'hono'
import type { AppDeps } from '../deps.ts'
import { LINES_LIMITS } from '../entry.ts'
import { PRECISIONS } from '../lines.ts'
import { ProblemError } from '../problem.ts'
import { isInfluxPath, writerOf } from './access.ts'
import { readBody } from './body.ts'

const retryAfterSeconds = '1'

const text = (description: string) =>
  z
    .union([z.string(), z.array(z.string())])
    .optional()
    .openapi({ type: 'string', description })
const body = {
  content: { 'text/plain': {} },
  description: `Line protocol, plain or gzip: at most ${LIMITS.envelopeBytesMax / 2 ** 20} MiB as sent, ${LINES_LIMITS.expandedBytesMax / 2 ** 20} MiB after gunzip`,
}
const description =
  'A measurement is a stream; tags name site and device as `write` in the configuration says; fields and other tags are columns. Points without a timestamp get the time of arrival. A point of the same series and time replaces one that came in an earlier request.'
const answers = (errorSchema: z.ZodType) => {
  const error = { content: { 'application/json': { schema: errorSchema } } }
  return {
    204: { description: 'The journal has every point' },
    400: { description: 'A line is none; nothing was stored', ...error },
    401: { description: 'The credential is missing or wrong', ...error },
    413: { description: 'The body is too large; nothing was stored', ...error },
    503: { description: 'The journal cannot be written; try again', ...error },
  }
}

const v2Route = createRoute({
  method: 'post',
  path: '/api/v2/write',
  tags: ['write'],
  summary: 'Write points of line protocol, as InfluxDB 2 does',
  description: `${description} Credential: \`Authorization: Token …\`.`,
  request: {
    query: z.object({
      precision: text('Unit of timestamps: ns (default), us, ms, s'),
      bucket: text('Taken and passed over'),
      org: text('Taken and passed over'),
    }),
    body,
  },
  responses: answers(z.object({ code: z.string(), message: z.string() }).openapi('InfluxError')),
})

const v1Route = createRoute({
  method: 'post',
  path: '/write',
  tags: ['write'],
  summary: 'Write points of line protocol, as InfluxDB 1 does',
  description: `${description} Credential: Basic, \`u\` and \`p\`, or as for version 2.`,
  request: {
    query: z.object({
      precision: text('Unit of timestamps: n (default), u, ms, s, m, h'),
      db: text('Taken and passed over'),
      rp: text('Taken and passed over'),
      u: text('User name'),
      p: text('Password'),
    }),
    body,
  },
  responses: answers(z.object({ error: z.string() }).openapi('InfluxError1')),
})

export const writeRoutes = (app: OpenAPIHono, deps: AppDeps): void => {
  app.openapi(v2Route, async c => take(c, deps, PRECISIONS.v2))
  app.openapi(v1Route, async c => take(c, deps, PRECISIONS.v1))
}

const take = async (c: Context, { access, writes, log }: AppDeps, precisions: ReadonlyMap<string, bigint>) => {
  const gateway = writerOf(c, access)
  const unitNs = unitOf(c.req.query('precision'), precisions)
  const encoding = c.req.header('content-encoding')?.trim().toLowerCase() ?? 'identity'
  if (encoding !== 'gzip' && encoding !== 'identity') {
    throw new ProblemError(
      415,
      'unsupported-media-type',
      `content-encoding "${encoding.slice(0, 40)}" is not read here: send gzip or none`,
    )
  }
  const bytes = await readBody(c, LIMITS.envelopeBytesMax)
  try {
    await writes.lines({ mapping: writes.mapping, unitNs, ...(gateway !== undefined && { gateway }) }, bytes)
  } catch (error) {
    if (error instanceof WireError) throw new ProblemError(400, 'invalid-body', error.message)
    log.error({ err: error }, 'points of line protocol could not be journaled')
    throw new ProblemError(503, 'not-ready', 'the journal cannot be written: try again', {
      headers: { 'retry-after': retryAfterSeconds },
    })
  }
  return c.body(null, 204, { 'x-influxdb-version': influxVersion })
}

/** Some clients look at the version before they choose what to send. */
const influxVersion = '2.7.0-penstock'

const unitOf = (precision: string | undefined, precisions: ReadonlyMap<string, bigint>): number => {
  const unit = precisions.get(precision === undefined || precision === '' ? 'ns' : precision)
  if (unit !== undefined) return Number(unit)
  const known = [...precisions.keys()].join(', ')
  throw new ProblemError(
    400,
    'invalid-parameter',
    `precision "${precision?.slice(0, 40)}" is unknown: expected one of ${known}`,
  )
}

const codes = new Map([
  [401, 'unauthorized'],
  [403, 'forbidden'],
  [404, 'not found'],
  [405, 'method not allowed'],
  [413, 'request too large'],
  [503, 'unavailable'],
])

/** The problem as InfluxDB of the path's version says it; `undefined` where the path is another. */
export const influxResponse = (problem: ProblemError, c: Context): Response | undefined => {
  if (!isInfluxPath(c.req.path)) return undefined
  const { status, message } = problem
  const code = codes.get(status) ?? (status >= 500 ? 'internal error' : 'invalid')
  const said = c.req.path === '/write' ? { error: message } : { code, message }
  return new Response(JSON.stringify(said), {
    status,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'x-influxdb-version': influxVersion,
      'x-influxdb-error': message.replace(/[^\x20-\x7e]/g, '?'),
      ...problem.headers,
    },
  })
}
