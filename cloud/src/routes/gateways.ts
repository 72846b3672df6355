/** GET /v1/gateways: how each gateway is, and how far behind. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { healthSchema } from '@penstock/frame'
import type { AppDeps } from '../deps.ts'
import { problemResponses } from '../problem.ts'
import type { GatewayView } from '../projectors/live.ts'

/** A gateway that says nothing for so long is shown as offline, whatever it said last: a broker may lose a last will. */
const silentMsMax = 120_000

const gatewaySchema = z
  .object({
    gateway: z.string(),
    online: z.boolean(),
    silentMs: z.int().openapi({ description: 'Since its last word' }),
    statusAt: z.string(),
    epoch: z.string(),
    version: z.string(),
    spoolBytes: z.int(),
    storedThrough: z.int().openapi({ description: 'Its last entry that is stored: what its receipt says' }),
    receivedAt: z.string().nullable().openapi({ description: 'When its last entry came, since the cloud started' }),
    pendingEntries: z.int().openapi({ description: 'Entries that it has and the cloud does not, when it last spoke' }),
    clock: z.string().openapi({ description: 'Its own clock when it spoke' }),
    clockAheadMs: z.int().openapi({ description: 'How far its clock was ahead of ours; negative: behind' }),
    sources: z.array(
      z.object({
        id: z.string(),
        kind: z.string(),
        health: healthSchema,
        message: z.string().optional(),
        rows: z.int(),
        rejects: z.int(),
        lastRowAt: z.string().optional(),
      }),
    ),
    problems: z.array(z.string()).openapi({
      description: 'What else is not as it should be there, e.g. a refused configuration',
    }),
  })
  .openapi('Gateway')

const route = createRoute({
  method: 'get',
  path: '/v1/gateways',
  tags: ['gateways'],
  summary: 'Gateways: online, spool, lag, sources',
  request: { query: z.strictObject({}) },
  responses: {
    200: {
      description: 'Ordered by name',
      content: { 'application/json': { schema: z.object({ gateways: z.array(gatewaySchema) }) } },
    },
    ...problemResponses,
  },
})

export const gatewayRoutes = (app: OpenAPIHono, deps: AppDeps): void => {
  app.openapi(route, c => c.json({ gateways: deps.live.gateways().map(g => gatewayView(g, deps)) }, 200))
}

export const gatewayView = (
  g: GatewayView,
  { now, receipt }: Pick<AppDeps, 'now' | 'receipt'>,
): z.output<typeof gatewaySchema> => {
  const { through } = receipt(g.gateway, g.epoch)
  const silentMs = Math.max(0, now().getTime() - g.statusAtMs)
  return {
    gateway: g.gateway,
    online: g.online && silentMs <= silentMsMax,
    silentMs,
    statusAt: new Date(g.statusAtMs).toISOString(),
    epoch: g.epoch,
    version: g.version,
    spoolBytes: g.spoolBytes,
    storedThrough: through,
    receivedAt: g.receivedAtMs === null ? null : new Date(g.receivedAtMs).toISOString(),
    pendingEntries: Math.max(0, g.nextSeq - 1 - through),
    clock: g.clock,
    clockAheadMs: Date.parse(g.clock) - g.statusAtMs,
    sources: g.sources,
    problems: g.problems ?? [],
  }
}
