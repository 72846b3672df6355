/**
 * GET and POST /query: InfluxQL over what the historian holds, answered as InfluxDB 1.x answers it, so that Grafana's InfluxDB
 * datasource reads the lake. Only reading is possible. The subset is described in `influxql.ts`.
 */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import type { AppDeps } from '../deps.ts'
import { DATABASE, type Epoch, epochs, runInfluxQl } from '../influxql/run.ts'
import { InfluxQlError, parseInfluxQl, queryCharsMax } from '../influxql.ts'

const limits = { scannedRowsMax: 30_000_000, rowsMax: 200_000 }
/** Percent-encoding takes up to three bytes for one. */
const bodyBytesMax = 3 * queryCharsMax + 4096
/** Queries that run at once; others wait, so that a wall of panels does not hold all of their rows in memory. */
const runningMax = 4
const waitingMax = 200

const parameters = {
  q: z
    .string()
    .optional()
    .openapi({ description: 'One or more statements, separated by ";"', example: 'SHOW MEASUREMENTS' }),
  db: z.string().optional().openapi({ description: 'Database', example: DATABASE }),
  epoch: z
    .string()
    .optional()
    .openapi({ description: 'Times as numbers: ns, u, ms, s, m, h; RFC 3339 where left out' }),
  rp: z.string().optional().openapi({ description: 'Retention policy: there is one, autogen' }),
  pretty: z.string().optional().openapi({ description: 'Taken and passed over' }),
  chunked: z.string().optional().openapi({ description: 'Taken and passed over: answers come whole' }),
  u: z.string().optional().openapi({ description: 'Passed over: show the token as login or bearer token' }),
  p: z.string().optional().openapi({ description: 'As u' }),
}
const responses = {
  200: {
    description: 'Results as InfluxDB 1.x writes them; a statement that failed has `error`',
    content: {
      'application/json': { schema: z.object({ results: z.array(z.looseObject({ statement_id: z.int() })) }) },
    },
  },
  default: {
    description: 'What was not understood',
    content: { 'application/json': { schema: z.object({ error: z.string() }) } },
  },
}
const common = { path: '/query', tags: ['grafana'], responses }
const getRoute = createRoute({
  ...common,
  method: 'get',
  summary: 'InfluxQL, as InfluxDB 1.x answers it',
  request: { query: z.object(parameters) },
})
const postRoute = createRoute({
  ...common,
  method: 'post',
  summary: 'The same with the query in a form',
  request: { query: z.object(parameters) },
})

export const influxQlRoutes = (app: OpenAPIHono, deps: AppDeps): void => {
  const turn = createTurns()
  const answer = async (c: Context, values: Record<string, string | undefined>): Promise<Response> => {
    try {
      const epoch = epochOf(values.epoch)
      if (values.q === undefined || values.q.trim() === '') throw new InfluxQlError('missing required parameter "q"')
      if (values.db !== undefined && values.db !== '' && values.db !== DATABASE) {
        throw new InfluxQlError(`database not found: ${values.db.slice(0, 80)}; it is called ${DATABASE}`)
      }
      const statements = parsed(values.q)
      const signal = c.req.raw.signal
      const text = await turn(() => runInfluxQl(statements, { ...deps, limits, signal, ...(epoch && { epoch }) }))
      return jsonResponse(200, text)
    } catch (error) {
      if (error instanceof InfluxQlError) return jsonResponse(400, JSON.stringify({ error: error.message }))
      if (c.req.raw.signal.aborted) return jsonResponse(499, '{"error":"the client went away"}')
      throw error
    }
  }
  app.openapi(getRoute, async c => (await answer(c, c.req.valid('query'))) as never)
  app.openapi(postRoute, async c => {
    const form = await readForm(c)
    const values = form && { ...c.req.valid('query'), ...Object.fromEntries(form) }
    return (values ? await answer(c, values) : jsonResponse(413, '{"error":"the query is too long"}')) as never
  })
}

const jsonResponse = (status: number, text: string): Response =>
  new Response(text, { status, headers: { 'content-type': 'application/json', 'cache-control': 'no-store' } })

const parsed = (q: string) => {
  try {
    return parseInfluxQl(q)
  } catch (error) {
    if (error instanceof InfluxQlError) throw new InfluxQlError(`error parsing query: ${error.message}`)
    throw error
  }
}

const epochOf = (text: string | undefined): Epoch | undefined => {
  if (text === undefined || text === '' || text === 'rfc3339') return undefined
  if (text in epochs) return text as Epoch
  throw new InfluxQlError(`epoch: expected ${Object.keys(epochs).join(', ')}, got "${text.slice(0, 20)}"`)
}

/** `undefined` where the body is too long. */
const readForm = async (c: Context): Promise<URLSearchParams | undefined> => {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of (c.req.raw.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length
    if (bytes > bodyBytesMax) return undefined
    chunks.push(chunk)
  }
  return new URLSearchParams(Buffer.concat(chunks, bytes).toString('utf8'))
}

const createTurns = () => {
  let running = 0
  const waiting: (() => void)[] = []
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (running >= runningMax) {
      if (waiting.length >= waitingMax)
        throw new InfluxQlError(`more than ${waitingMax} queries wait already: ask again later`)
      await new Promise<void>(resolve => waiting.push(resolve))
    } else running++
    try {
      return await work()
    } finally {
      // The place goes to whoever waits longest.
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}
