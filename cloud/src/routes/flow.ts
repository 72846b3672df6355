/** GET /v1/flow: the way of a reading in figures. GET /v1/attention: what needs a person, most urgent first. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { AppDeps } from '../deps.ts'
import { problemResponses } from '../problem.ts'

const perSecond = z
  .number()
  .nullable()
  .openapi({ description: 'Over the last half minute; null until it was looked at twice' })
const rate = z.object({ perSecond })
const flowSchema = z
  .object({
    at: z.string(),
    gateways: z.array(
      z.object({
        gateway: z.string(),
        online: z.boolean(),
        pendingEntries: z.int(),
        pendingPerSecond: z.number().nullable().openapi({ description: 'Growth of what waits; negative: it shrinks' }),
        emptyInMs: z
          .int()
          .nullable()
          .openapi({ description: 'When all will have come, at this rate; null where it does not shrink' }),
      }),
    ),
    broker: z.object({
      connected: z.boolean(),
      clients: z.int(),
      messages: rate,
      rows: rate,
      queuedBytes: z.int().openapi({ description: 'Bytes that wait for the journal' }),
    }),
    journal: z.object({
      lastSeq: z.int(),
      bytes: z.int(),
      bytesMax: z.int().nullable(),
      lostEntries: z.int(),
      perSecond,
    }),
    projections: z.array(
      z.object({
        name: z.string(),
        applied: z.int().openapi({ description: 'Last journal entry that it has' }),
        behind: z.int().openapi({ description: 'Entries that it has yet to apply' }),
        problem: z.string().nullable(),
        perSecond,
      }),
    ),
    disk: z.object({ freeBytes: z.number(), totalBytes: z.number() }).nullable(),
    rejects: z.object({ lastHour: z.int(), lastDay: z.int() }),
  })
  .openapi('Flow')
const attentionSchema = z
  .object({
    id: z.string().openapi({ description: 'The same as long as it is the same thing' }),
    level: z.enum(['urgent', 'soon']),
    what: z.string(),
    act: z.string().openapi({ description: 'What to do' }),
    link: z.string().openapi({ description: 'Path of the page where one acts or looks' }),
  })
  .openapi('Attention')

const flowRoute = createRoute({
  method: 'get',
  path: '/v1/flow',
  tags: ['system'],
  summary: 'The way of a reading: gateways, broker, journal, projections, with rates and lag',
  request: { query: z.strictObject({}) },
  responses: {
    200: { description: 'As of now', content: { 'application/json': { schema: flowSchema } } },
    ...problemResponses,
  },
})
const attentionRoute = createRoute({
  method: 'get',
  path: '/v1/attention',
  tags: ['system'],
  summary: 'What needs a person, most urgent first',
  description: 'The same list comes as the event `attention` of /v1/events whenever it changes.',
  request: { query: z.strictObject({}) },
  responses: {
    200: {
      description: 'Nothing where all is well',
      content: { 'application/json': { schema: z.object({ items: z.array(attentionSchema) }) } },
    },
    ...problemResponses,
  },
})

export const flowRoutes = (app: OpenAPIHono, { flow }: AppDeps): void => {
  app.openapi(flowRoute, c => {
    const { atMs, ...view } = flow.flow()
    return c.json({ at: new Date(atMs).toISOString(), ...view }, 200)
  })
  app.openapi(attentionRoute, c => c.json({ items: flow.attention() }, 200))
}
