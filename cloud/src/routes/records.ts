/** GET /v1/ledger, /v1/losses: what files amounted to, and what did not come. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { AppDeps } from '../deps.ts'
import { ProblemError, problemResponses } from '../problem.ts'
import type { StoredLedgerLine, StoredLoss } from '../projectors/records.ts'
import { name, wholeNumber } from './parameters.ts'

const pageDefault = 100
const pageMax = 1000
const limit = wholeNumber(1, pageMax, `Rows of a page (${pageDefault} where left out)`).optional()
const page = name('`next` of the page before').optional()

const ledgerSchema = z
  .object({
    gateway: z.string().nullable(),
    source: z.string(),
    file: z.string(),
    generation: z.int(),
    rowsRead: z.int(),
    rowsStored: z.int(),
    rowsRejected: z.int(),
    rowsReplayed: z
      .int()
      .openapi({ description: 'Rejected at first and read later with a correction: counted as stored' }),
    bytes: z.int(),
    firstTime: z.string().nullable(),
    lastTime: z.string().nullable(),
    complete: z.boolean(),
    receivedAt: z.string(),
  })
  .openapi('LedgerLine')
const lossSchema = z
  .object({
    gateway: z.string().nullable(),
    epoch: z.string().nullable(),
    from: z.int(),
    through: z.int(),
    reason: z.string(),
    receivedAt: z.string(),
  })
  .openapi('Loss')
const totalsSchema = z.object({ files: z.int(), rowsRead: z.int(), rowsStored: z.int(), rowsRejected: z.int() })

const next = z.string().nullable().openapi({ description: 'Give it as `page` for the next page; null at the end' })
const answer = <T extends z.ZodType>(schema: T, description: string) => ({
  200: { description, content: { 'application/json': { schema } } },
  ...problemResponses,
})
const file = {
  gateway: name('Only of this gateway').optional(),
  source: name('Only of this source').optional(),
  file: z.string().max(4096).optional().openapi({ description: 'Only of this file' }),
}

const search = z
  .string()
  .min(1)
  .max(256)
  .optional()
  .openapi({ description: 'Part of the file’s name, in any case of letters' })
const ledgerRoute = createRoute({
  method: 'get',
  path: '/v1/ledger',
  tags: ['records'],
  summary: 'What each file has amounted to, latest change first',
  request: { query: z.strictObject({ ...file, search, limit, page }) },
  responses: answer(
    z.object({ lines: z.array(ledgerSchema), totals: totalsSchema, next }),
    'One page, and the sums over all lines that the filter names',
  ),
})
const lossesRoute = createRoute({
  method: 'get',
  path: '/v1/losses',
  tags: ['records'],
  summary: 'Ranges of a gateway’s log that are gone there, with the reason',
  request: { query: z.strictObject({ gateway: file.gateway, limit, page }) },
  responses: answer(z.object({ losses: z.array(lossSchema), next }), 'One page, latest first'),
})

export const recordRoutes = (app: OpenAPIHono, { records }: AppDeps): void => {
  app.openapi(ledgerRoute, async c => {
    const { limit = pageDefault, page, ...filter } = c.req.valid('query')
    const offset = offsetOf(page)
    const [rows, totals] = await Promise.all([
      records.ledger({ ...given(filter), offset, limit: limit + 1 }),
      records.ledgerTotals(given(filter)),
    ])
    const more = rows.length > limit
    return c.json(
      { lines: rows.slice(0, limit).map(ledgerView), totals, next: more ? String(offset + limit) : null },
      200,
    )
  })
  app.openapi(lossesRoute, async c => {
    const { limit = pageDefault, page, gateway } = c.req.valid('query')
    const offset = offsetOf(page)
    const rows = await records.losses({ ...given({ gateway }), offset, limit: limit + 1 })
    const more = rows.length > limit
    return c.json({ losses: rows.slice(0, limit).map(lossView), next: more ? String(offset + limit) : null }, 200)
  })
}

interface FileFilter {
  gateway?: string
  source?: string
  file?: string
  search?: string
}
/** Without the keys that are undefined. */
const given = (filter: { [K in keyof FileFilter]?: string | undefined }): FileFilter =>
  Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined))

const badPage = (): ProblemError =>
  new ProblemError(400, 'invalid-parameter', 'page: expected the `next` of the page before.', {
    errors: [{ parameter: 'page', detail: 'expected the `next` of the page before' }],
  })
const offsetOf = (page: string | undefined): number => {
  if (page === undefined) return 0
  if (!/^\d{1,12}$/.test(page)) throw badPage()
  return Number(page)
}

const isoMs = (ms: number): string => new Date(ms).toISOString()
const ledgerView = (line: StoredLedgerLine): z.output<typeof ledgerSchema> => {
  const { receivedMs, journalSeq: _, firstTime, lastTime, ...rest } = line
  return { ...rest, firstTime: firstTime ?? null, lastTime: lastTime ?? null, receivedAt: isoMs(receivedMs) }
}
const lossView = ({ receivedMs, journalSeq: _, ...rest }: StoredLoss): z.output<typeof lossSchema> => ({
  ...rest,
  receivedAt: isoMs(receivedMs),
})
