/**
 * The HTTP API and the page: routes over ports, nothing else. Whatever is refused or fails is answered as RFC 9457 says.
 *
 *     request ─► access ─► route: query checked strictly ─► port (historian, records, live, ingest) ─► JSON, CSV, SSE
 */
import { OpenAPIHono } from '@hono/zod-openapi'
import { nearestName } from '@penstock/config'
import { compactAnswers, invalidParameters, webResponse } from '@penstock/http'
import type { Context } from 'hono'
import { HTTPException } from 'hono/http-exception'
import type * as z from 'zod'
import type { AppDeps } from './deps.ts'
import { HistorianUnavailableError } from './historian.ts'
import { didYouMean, ProblemError, problemResponse } from './problem.ts'
import { checkAccess } from './routes/access.ts'
import { compareRoutes } from './routes/compare.ts'
import { countRoutes } from './routes/counts.ts'
import { coverageRoutes } from './routes/coverage.ts'
import { eventRoutes } from './routes/events.ts'
import { flagRoutes } from './routes/flags.ts'
import { flowRoutes } from './routes/flow.ts'
import { frameRoutes } from './routes/frames.ts'
import { gatewayRoutes } from './routes/gateways.ts'
import { influxQlRoutes } from './routes/influxql.ts'
import { lineageRoutes } from './routes/lineage.ts'
import { postedReadingRoutes } from './routes/posted-readings.ts'
import { readingRoutes } from './routes/readings.ts'
import { recordRoutes } from './routes/records.ts'
import { rejectRoutes } from './routes/rejects.ts'
import { siteRoutes } from './routes/sites.ts'
import { createRequestCounter, systemRoutes } from './routes/system.ts'
import { weekRoutes } from './routes/week.ts'
import { influxResponse, writeRoutes } from './routes/write.ts'

const unbuilt = { build: 'pnpm --filter @penstock/web build', api: '/openapi.json' }

export const createApp = (deps: AppDeps): OpenAPIHono => {
  const app = new OpenAPIHono({ defaultHook: refuseInvalid })
  const requests = createRequestCounter(deps.metrics)

  app.onError((error, c) => {
    const problem = asProblem(error, c, deps)
    return influxResponse(problem, c) ?? problemResponse(problem)
  })
  app.notFound(c => webResponse(deps.web, c, unbuilt) ?? influxResponse(notFound(c), c) ?? problemResponse(notFound(c)))
  app.use(async function countRequests(c, next) {
    await next()
    const path = paths().has(c.req.path) ? c.req.path : 'other'
    requests.inc({ method: c.req.method, path, status: String(c.res.status) })
  })
  app.use(compactAnswers())
  app.use(checkAccess(deps.access))

  systemRoutes(app, deps)
  siteRoutes(app, deps)
  readingRoutes(app, deps)
  countRoutes(app, deps)
  weekRoutes(app, deps)
  compareRoutes(app, deps)
  coverageRoutes(app, deps)
  gatewayRoutes(app, deps)
  flowRoutes(app, deps)
  recordRoutes(app, deps)
  lineageRoutes(app, deps)
  flagRoutes(app, deps)
  rejectRoutes(app, deps)
  frameRoutes(app, deps)
  writeRoutes(app, deps)
  postedReadingRoutes(app, deps)
  eventRoutes(app, deps)
  influxQlRoutes(app, deps)
  app.doc31('/openapi.json', {
    openapi: '3.1.0',
    info: {
      title: 'Penstock',
      version: deps.version,
      description: 'Readings and counts of every site. Errors are RFC 9457 problems; times are ISO 8601 with offset.',
    },
  })

  /** Every path of the API with the methods that it answers to and the names of its query parameters. */
  const table = new Map<string, { methods: Set<string>; parameters: string[] }>([
    ['/openapi.json', { methods: new Set(['GET', 'HEAD']), parameters: [] }],
  ])
  for (const definition of app.openAPIRegistry.definitions) {
    if (definition.type !== 'route') continue
    const { method, path, request } = definition.route
    const query = request?.query as z.ZodObject | undefined
    const known = table.get(path)
    const methods = method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]
    table.set(path, {
      methods: new Set([...(known?.methods ?? []), ...methods]),
      parameters: [...new Set([...(known?.parameters ?? []), ...Object.keys(query?.shape ?? {})])],
    })
  }
  const paths = () => table

  function notFound(c: Context): ProblemError {
    const { path, method } = c.req
    const allowed = deps.web?.has(path) || path === '/' ? new Set(['GET', 'HEAD']) : table.get(path)?.methods
    if (allowed && !allowed.has(method)) {
      const allow = [...allowed].join(', ')
      return new ProblemError(405, 'method-not-allowed', `${path} answers to ${allow}, not to ${method}.`, {
        headers: { allow },
      })
    }
    const suggestion = nearestName(path, [...table.keys()])
    return new ProblemError(404, 'unknown-path', `There is nothing at ${path.slice(0, 200)}.${didYouMean(suggestion)}`)
  }

  function refuseInvalid(result: { success: boolean; error?: unknown }, c: Context): Response | undefined {
    if (result.success) return undefined
    const { issues } = result.error as z.ZodError
    return problemResponse(invalidParameters(issues, table.get(c.req.path)?.parameters ?? []))
  }

  return app
}

const asProblem = (error: unknown, c: Context, { log }: AppDeps): ProblemError => {
  if (error instanceof ProblemError) return error
  if (error instanceof HTTPException && error.status < 500) {
    const kind = error.status === 415 ? 'unsupported-media-type' : 'invalid-body'
    return new ProblemError(error.status, kind, `${error.message}.`)
  }
  if (error instanceof HistorianUnavailableError) {
    const detail = 'The historian cannot be read now; /ready says more. Readings are taken all the same.'
    return new ProblemError(503, 'not-ready', detail, { headers: { 'retry-after': '5' } })
  }
  log.error({ err: error, method: c.req.method, path: c.req.path }, 'a request failed')
  return new ProblemError(500, 'internal', 'The request failed on our side; the log of the service says why.')
}
