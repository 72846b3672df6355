/** GET /v1/events: changes as they happen, as server-sent events. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { eventStream, eventStreamHeaders } from '@penstock/http'
import type { AppDeps } from '../deps.ts'
import { ProblemError, problemResponses } from '../problem.ts'
import type { Subscription } from '../projectors/live.ts'
import { name, names } from './parameters.ts'

const eventTypes = ['reading', 'count', 'gateway', 'ledger', 'reject', 'attention'] as const
const route = createRoute({
  method: 'get',
  path: '/v1/events',
  tags: ['live'],
  summary: 'Changes as they happen (server-sent events)',
  description:
    'Events `reading`, `count`, `gateway`, `ledger` and `reject`, each with an id. A client that comes back with `Last-Event-ID` gets what it missed, or one `reset` where that is no longer held: then read everything again. A client that does not take its events in time gets `cut` and is to come back. `beat` comes every 10 s.',
  request: {
    query: z.strictObject({
      site: name('Only events of this site, and those that are of none', 'London').optional(),
      types: names('Only events of these types', 'count,gateway')
        .refine(
          types => types.every(t => eventTypes.includes(t as 'count')),
          `expected some of ${eventTypes.join(', ')}`,
        )
        .optional(),
      after: name('As the header Last-Event-ID, for clients that cannot set one').optional(),
    }),
  },
  responses: {
    200: { description: 'The stream', content: { 'text/event-stream': { schema: z.string() } } },
    ...problemResponses,
  },
})

export const eventRoutes = (app: OpenAPIHono, { live }: AppDeps): void => {
  app.openapi(route, c => {
    const { site, types, after = c.req.header('last-event-id') } = c.req.valid('query')
    const subscribe = (): Subscription => {
      const subscription = live.subscribe({
        ...(after !== undefined && after !== '' && { after }),
        ...(site !== undefined && { site }),
        ...(types && { types: new Set(types) }),
      })
      if (subscription) return subscription
      throw new ProblemError(503, 'too-many-clients', 'Too many clients listen already: try again later.', {
        headers: { 'retry-after': '10' },
      })
    }
    if (c.req.method === 'HEAD') return new Response(null, { headers: eventStreamHeaders })
    return new Response(eventStream(subscribe(), c.req.raw.signal), { headers: eventStreamHeaders })
  })
}
