/** POST /v1/frames and /v1/status: the wire by HTTP, where MQTT is blocked. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { decodeStatus, LIMITS, WireError } from '@penstock/frame'
import type { AppDeps } from '../deps.ts'
import { ProblemError, problemResponses } from '../problem.ts'
import { gatewayOf } from './access.ts'
import { readBody, refuseFormTypes } from './body.ts'

const statusBytesMax = 1024 * 1024
const epochPattern = /^[A-Za-z0-9_-]{1,64}$/
const seqPattern = /^[1-9]\d{0,15}$/

const description =
  'The identity stands in the query (`gateway`, `epoch`, `seq`) or in the headers `Penstock-Gateway`, `Penstock-Epoch`, `Penstock-Seq`. Where the cloud knows its gateways, the credential says who it is: `Authorization: Bearer <password>`, or Basic with user name and password.'
const identity = {
  gateway: z.string().optional().openapi({ description: 'Id of the gateway' }),
  epoch: z.string().optional().openapi({ description: 'Identity of its spool' }),
}
const receiptSchema = z
  .object({ epoch: z.string(), through: z.int(), resend: z.boolean().optional() })
  .openapi('Receipt', { description: 'Stored through entry `through` of spool `epoch`' })

const framesRoute = createRoute({
  method: 'post',
  path: '/v1/frames',
  tags: ['gateways'],
  summary: 'Send one envelope; 204 is the receipt',
  description: `${description} 204: the journal has entry \`seq\` and all before it. 409 carries \`receipt\`: send again what follows \`through\`.`,
  request: {
    query: z.strictObject({
      ...identity,
      seq: z.string().optional().openapi({ description: 'Number of the entry, from 1' }),
    }),
    body: { content: { 'application/octet-stream': {} }, description: 'The envelope: JSON or gzip, at most 8 MiB' },
  },
  responses: {
    204: { description: 'Stored; header `Penstock-Through` says through which entry' },
    ...problemResponses,
  },
})

const statusRoute = createRoute({
  method: 'post',
  path: '/v1/status',
  tags: ['gateways'],
  summary: 'Say how the gateway is; answered with the receipt of what the cloud has',
  description,
  request: {
    query: z.strictObject(identity),
    body: { content: { 'application/octet-stream': {} }, description: 'The status as on its MQTT topic, JSON' },
  },
  responses: {
    200: { description: 'The receipt', content: { 'application/json': { schema: receiptSchema } } },
    ...problemResponses,
  },
})

export const frameRoutes = (app: OpenAPIHono, deps: AppDeps): void => {
  app.openapi(framesRoute, async c => {
    const query = c.req.valid('query')
    const gateway = gatewayOf(c, deps.access, query.gateway ?? c.req.header('penstock-gateway'))
    const epoch = epochOf(query.epoch ?? c.req.header('penstock-epoch'))
    const seq = seqOf(query.seq ?? c.req.header('penstock-seq'))
    refuseFormTypes(c)
    const body = await readBody(c, LIMITS.envelopeBytesMax)
    const receipt = await deps.ingest(gateway, epoch, seq, body)
    if (receipt.through < seq) {
      const detail = `The cloud has the entries through ${receipt.through} of this spool, not ${seq}: send again what follows ${receipt.through}.`
      throw new ProblemError(409, 'out-of-order', detail, { extra: { receipt } })
    }
    return c.body(null, 204, { 'penstock-through': String(receipt.through) })
  })

  app.openapi(statusRoute, async c => {
    const query = c.req.valid('query')
    const gateway = gatewayOf(c, deps.access, query.gateway ?? c.req.header('penstock-gateway'))
    refuseFormTypes(c)
    const body = await readBody(c, statusBytesMax)
    const status = readStatus(body)
    deps.status(gateway, status)
    return c.json(deps.receipt(gateway, status.epoch), 200)
  })
}

const readStatus = (body: Uint8Array) => {
  try {
    return decodeStatus(body)
  } catch (error) {
    if (error instanceof WireError) throw new ProblemError(400, 'invalid-body', `${error.message}.`)
    throw error
  }
}

const missing = (parameter: string, expected: string): ProblemError =>
  new ProblemError(400, 'invalid-parameter', `${parameter}: expected ${expected}.`, {
    errors: [{ parameter, detail: `expected ${expected}` }],
  })
const epochOf = (text: string | undefined): string => {
  if (text !== undefined && epochPattern.test(text)) return text
  throw missing('epoch', '1 to 64 letters, digits, "-" or "_"')
}
const seqOf = (text: string | undefined): number => {
  if (text !== undefined && seqPattern.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
  throw missing('seq', 'a whole number from 1')
}
