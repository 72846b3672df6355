/** POST /v1/readings: readings as JSON, for whoever can send HTTP and nothing else. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { LIMITS, WireError } from '@penstock/frame'
import type { AppDeps } from '../deps.ts'
import { postedReadingSchema, postedReadingsMax } from '../posted.ts'
import { ProblemError, problemResponses } from '../problem.ts'
import { writerOf } from './access.ts'
import { readBody, refuseFormTypes } from './body.ts'
import { name } from './parameters.ts'

const schemaName = 'PostedReading'
const reference = { $ref: `#/components/schemas/${schemaName}` }

const route = createRoute({
  method: 'post',
  path: '/v1/readings',
  tags: ['write'],
  summary: 'Store readings; 204 when the journal has them all',
  description:
    'Site, device and stream stand in each reading or, for all that do not say them, in the query. All are taken or none. Where gateways are configured, their credential is asked for.',
  request: {
    query: z.strictObject({
      site: name('Site of readings that name none', 'London').optional(),
      device: name('Device of readings that name none').optional(),
      stream: name('Stream of readings that name none', 'climate').optional(),
    }),
    body: {
      // A reference and not the schema itself: the body is read here, with its limit, and kept as it came.
      content: {
        'application/json': {
          schema: { oneOf: [reference, { type: 'array', items: reference, minItems: 1, maxItems: postedReadingsMax }] },
          example: [
            {
              site: 'lab',
              device: 'probe-1',
              stream: 'climate',
              time: '2026-03-01T12:00:00Z',
              values: { temperature: 21.4 },
            },
          ],
        },
      },
      required: true,
      description: 'One reading or an array of them; at most 8 MiB',
    },
  },
  responses: { 204: { description: 'The journal has every reading' }, ...problemResponses },
})

export const postedReadingRoutes = (app: OpenAPIHono, { access, writes }: AppDeps): void => {
  app.openAPIRegistry.register(schemaName, z.strictObject(postedReadingSchema.shape))
  app.openapi(route, async c => {
    const gateway = writerOf(c, access)
    const { site, device, stream } = c.req.valid('query')
    const defaults = {
      ...(site !== undefined && { site }),
      ...(device !== undefined && { device }),
      ...(stream !== undefined && { stream }),
    }
    refuseFormTypes(c)
    const body = await readBody(c, LIMITS.envelopeBytesMax)
    try {
      await writes.posted({ ...defaults, ...(gateway !== undefined && { gateway }) }, body)
    } catch (error) {
      if (error instanceof WireError) throw new ProblemError(400, 'invalid-body', `${error.message}.`)
      throw error
    }
    return c.body(null, 204)
  })
}
