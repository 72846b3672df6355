/** GET /v1/events: changes as they happen, as server-sent events. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { AppDeps } from '../deps.ts'
import { ProblemError, problemResponses } from '../problem.ts'
import type { LiveEvent, Subscription } from '../projectors/live.ts'
import { name, names } from './parameters.ts'

const eventTypes = ['reading', 'count', 'gateway', 'ledger'] as const
/** Says that the line is alive; a page that hears none for a while knows that it is offline. */
const beatMs = 10_000
/** After this a browser connects again. */
const retryMs = 2000

const route = createRoute({
  method: 'get',
  path: '/v1/events',
  tags: ['live'],
  summary: 'Changes as they happen (server-sent events)',
  description:
    'Events `reading`, `count`, `gateway` and `ledger`, each with an id. A client that comes back with `Last-Event-ID` gets what it missed, or one `reset` where that is no longer held: then read everything again. A client that does not take its events in time gets `cut` and is to come back. `beat` comes every 10 s.',
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
    const headers = {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'transfer-encoding': 'chunked',
    }
    if (c.req.method === 'HEAD') return new Response(null, { headers })
    return new Response(eventStream(subscribe(), c.req.raw.signal), { headers })
  })
}

const encoder = new TextEncoder()
const eventText = (event: LiveEvent): string =>
  `${event.id === undefined ? '' : `id: ${event.id}\n`}event: ${event.type}\ndata: ${event.data}\n\n`

/** Takes an event from the queue only when the socket has room, so that what waits is bounded by the queue. */
const eventStream = (subscription: Subscription, signal: AbortSignal): ReadableStream<Uint8Array> => {
  let pending: Promise<LiveEvent | undefined> | undefined
  let begun = false
  signal.addEventListener('abort', () => subscription.close(), { once: true })
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (!begun) {
          begun = true
          controller.enqueue(encoder.encode(`retry: ${retryMs}\n\n`))
          return
        }
        pending ??= subscription.next()
        const event = await within(pending, beatMs)
        if (event === 'late') {
          controller.enqueue(encoder.encode('event: beat\ndata: {}\n\n'))
          return
        }
        pending = undefined
        if (event) controller.enqueue(encoder.encode(eventText(event)))
        else controller.close()
      },
      cancel() {
        subscription.close()
      },
    },
    { highWaterMark: 0 },
  )
}

const within = async <T>(promise: Promise<T>, ms: number): Promise<T | 'late'> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>(resolve => {
    timer = setTimeout(resolve, ms, 'late')
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
