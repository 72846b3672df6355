/** GET /health, /ready, /metrics: for whoever keeps the service running. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { Counter, Gauge } from 'prom-client'
import type { AppDeps } from '../deps.ts'

const noQuery = { query: z.strictObject({}) }

const healthRoute = createRoute({
  method: 'get',
  path: '/health',
  tags: ['system'],
  summary: 'The process answers',
  request: noQuery,
  responses: {
    200: {
      description: 'Alive',
      content: {
        'application/json': {
          schema: z.object({ status: z.literal('ok'), version: z.string(), time: z.string() }).openapi('Health'),
        },
      },
    },
  },
})

const readySchema = z.object({ ready: z.boolean(), reasons: z.array(z.string()) }).openapi('Readiness')
const readyRoute = createRoute({
  method: 'get',
  path: '/ready',
  tags: ['system'],
  summary: 'What is shown is up to date',
  request: noQuery,
  responses: {
    200: { description: 'Ready', content: { 'application/json': { schema: readySchema } } },
    503: {
      description: 'Not ready: projections are replaying or behind',
      content: { 'application/json': { schema: readySchema } },
    },
  },
})

const metricsRoute = createRoute({
  method: 'get',
  path: '/metrics',
  tags: ['system'],
  summary: 'Prometheus metrics',
  request: noQuery,
  responses: { 200: { description: 'Text format', content: { 'text/plain': { schema: z.string() } } } },
})

export const systemRoutes = (app: OpenAPIHono, deps: AppDeps): void => {
  registerGauges(deps)
  app.openapi(healthRoute, c =>
    c.json({ status: 'ok' as const, version: deps.version, time: deps.now().toISOString() }, 200),
  )
  app.openapi(readyRoute, c => {
    const readiness = deps.readiness()
    return c.json(readiness, readiness.ready ? 200 : 503)
  })
  app.openapi(metricsRoute, async c =>
    c.text(await deps.metrics.metrics(), 200, { 'content-type': deps.metrics.contentType }),
  )
}

/** Read when they are asked for. */
const registerGauges = ({ metrics, journalStats, live }: AppDeps): void => {
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers: [metrics],
      collect() {
        this.set(value())
      },
    })
  gauge('penstock_journal_bytes', 'Bytes of journal segments on disk', () => journalStats().bytes)
  gauge('penstock_journal_last_seq', 'Number of the last journal entry', () => journalStats().nextSeq - 1)
  gauge('penstock_journal_oldest_seq', 'Number of the oldest journal entry at hand', () => journalStats().oldestSeq)
  gauge('penstock_journal_lost_entries', 'Entries lost since the start', () => journalStats().lostEntries)
  gauge('penstock_live_clients', 'Clients of /v1/events', () => live.stats().clients)
  gauge('penstock_live_clients_cut', 'Clients cut off for being slow', () => live.stats().clientsCut)
  gauge('penstock_live_series', 'Series whose latest row is held', () => live.stats().series)
  gauge(
    'penstock_gateways_online',
    'Gateways that say they are online',
    () => live.gateways().filter(g => g.online).length,
  )
}

export const createRequestCounter = (metrics: AppDeps['metrics']) =>
  new Counter({
    name: 'penstock_http_requests_total',
    help: 'HTTP requests answered',
    labelNames: ['method', 'path', 'status'] as const,
    registers: [metrics],
  })
