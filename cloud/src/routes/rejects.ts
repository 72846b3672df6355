/** /v1/rejects: bytes that could not be read, their causes, and what people make of them. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { formatNs, type Json, LIMITS, originSchema, recipeSchema, rowNs } from '@penstock/frame'
import type { Context } from 'hono'
import { CorrectionError, correctionSchema } from '../correction.ts'
import type { AppDeps } from '../deps.ts'
import { ProblemError, problemResponses } from '../problem.ts'
import { type RejectFilter, type RejectGroup, rejectPlace, type StoredReject } from '../projectors/records.ts'
import { dismiss, preview, QUARANTINE_LIMITS, type RowShown, replay } from '../quarantine.ts'
import { readBody, refuseFormTypes } from './body.ts'
import { choice, name, wholeNumber } from './parameters.ts'

const pageDefault = 100
const pageMax = 1000
const groupsMax = 200
const bodyBytesMax = 256 * 1024
const states = ['open', 'replayed', 'dismissed'] as const

const stateSchema = z.enum(states).openapi({ description: 'open: nobody has decided on it' })
const idPattern = /^\d{1,15}\.\d{1,10}$/

const rejectSchema = z
  .object({
    id: z.string(),
    group: z.string().openapi({ description: 'Id of its cause, as in /v1/rejects/groups' }),
    gateway: z.string().nullable(),
    receivedAt: z.string(),
    at: z.string().nullable().openapi({ description: 'When the gateway read it' }),
    origin: originSchema,
    reason: z.string(),
    text: z.string().openapi({ description: 'The bytes as text, cut at 4,096 characters' }),
    cut: z.boolean().openapi({ description: 'The text was cut: it cannot be read again' }),
    state: stateSchema,
    settled: z
      .object({
        at: z.string(),
        journalSeq: z.int(),
        by: z.string().nullable(),
        reason: z.string().nullable().openapi({ description: 'Of a dismissal' }),
        correction: z.unknown().openapi({ description: 'Of a replay, as it was given; null for a dismissal' }),
      })
      .nullable()
      .openapi({ description: 'What was decided on it last' }),
    hasRecipe: z.boolean().openapi({ description: 'The gateway said how it was read' }),
  })
  .openapi('Reject')
const groupSchema = z
  .object({
    id: z.string(),
    gateway: z.string().nullable(),
    source: z.string(),
    format: z.string().nullable(),
    filePattern: z.string().nullable().openapi({ description: 'The file with its numbers as *' }),
    reason: z.string().openapi({ description: 'What differs from row to row stands as … and #' }),
    column: z.string().nullable().openapi({ description: 'The column that the reason names' }),
    open: z.int(),
    replayed: z.int(),
    dismissed: z.int(),
    files: z.int(),
    firstAt: z.string(),
    lastAt: z.string(),
    example: rejectSchema,
  })
  .openapi('RejectGroup')
const recipeShown = z
  .object({
    ...recipeSchema.shape,
    format: z.record(z.string(), z.unknown()).openapi({ description: 'As under `format:` of a source' }),
    head: z.string().nullable().openapi({ description: 'What stands above the rows of the file' }),
  })
  .openapi('Recipe')

const answer = <T extends z.ZodType>(schema: T, description: string) => ({
  200: { description, content: { 'application/json': { schema } } },
  ...problemResponses,
})
const filterQuery = {
  gateway: name('Only of this gateway').optional(),
  source: name('Only of this source').optional(),
  file: z.string().max(4096).optional().openapi({ description: 'Only of this file' }),
  group: name('Only of this cause').optional(),
  state: choice(states, 'Only those in this state').optional(),
}
const limit = (max: number, fallback: number) =>
  wholeNumber(1, max, `Rows of a page (${fallback} where left out)`).optional()
const page = name('`next` of the page before').optional()
const next = z.string().nullable().openapi({ description: 'Give it as `page` for the next page; null at the end' })

const listRoute = createRoute({
  method: 'get',
  path: '/v1/rejects',
  tags: ['records'],
  summary: 'Bytes that could not be read, newest first',
  request: { query: z.strictObject({ ...filterQuery, limit: limit(pageMax, pageDefault), page }) },
  responses: answer(z.object({ rejects: z.array(rejectSchema), next }), 'One page'),
})
const groupsRoute = createRoute({
  method: 'get',
  path: '/v1/rejects/groups',
  tags: ['records'],
  summary: 'Rejects by cause, the one that came last first',
  description: 'A cause: gateway, source, format, file pattern, reason without what differs from row to row, column.',
  request: { query: z.strictObject({ ...filterQuery, limit: limit(groupsMax, 50), page }) },
  responses: answer(z.object({ groups: z.array(groupSchema), next }), 'One page'),
})
const oneRoute = createRoute({
  method: 'get',
  path: '/v1/rejects/{id}',
  tags: ['records'],
  summary: 'One reject, with how it was read',
  request: { params: z.strictObject({ id: z.string().regex(idPattern, 'expected the id of a reject') }) },
  responses: answer(z.object({ reject: rejectSchema, recipe: recipeShown.nullable() }), 'The reject'),
})

// What is written. The bodies are read here, with their limit; the schemas stand in the document by reference.
const filterSchema = z
  .strictObject({
    ids: z
      .array(z.string().regex(idPattern, 'is not the id of a reject'))
      .min(1)
      .max(QUARANTINE_LIMITS.rejectsPerReplayMax)
      .optional(),
    group: z.string().max(64).optional(),
    gateway: z.string().max(LIMITS.nameCharsMax).optional(),
    source: z.string().max(LIMITS.nameCharsMax).optional(),
    file: z.string().max(4096).optional(),
    state: z.enum(states).default('open'),
  })
  .refine(f => [f.ids, f.group, f.gateway, f.source, f.file].some(v => v !== undefined), {
    message: 'names nothing: give ids, a group, a gateway, a source or a file',
  })
const by = z.string().trim().min(1).max(80).optional().describe('Who decides, as they call themselves')
const before = z.string().regex(idPattern, 'is not the id of a reject').optional()
const previewBody = z.strictObject({ filter: filterSchema, correction: correctionSchema.prefault({}) })
const replayBody = z.strictObject({ filter: filterSchema, correction: correctionSchema.prefault({}), by, before })
const replayOneBody = z.strictObject({
  correction: correctionSchema.prefault({}),
  by,
  again: z.boolean().default(false).describe('Also where it was replayed already: its rows are replaced by their time'),
})
const dismissBody = z.strictObject({ filter: filterSchema, reason: z.string().trim().min(1).max(1000), by })

const rowSchema = z
  .object({
    id: z.string().openapi({ description: 'Of the reject' }),
    site: z.string(),
    device: z.string(),
    stream: z.string(),
    time: z.string(),
    zone: z.string().nullable().openapi({ description: 'Of the site, where it is known' }),
    values: z.array(
      z.object({
        name: z.string(),
        unit: z.string().nullable(),
        value: z.union([z.number(), z.string(), z.boolean(), z.null()]),
        length: z.int().nullable().openapi({ description: 'Of a curve, in place of its value' }),
      }),
    ),
  })
  .openapi('RereadRow')
const failuresSchema = z.array(z.object({ id: z.string(), text: z.string(), reason: z.string() }))
const previewAnswer = z.object({
  matched: z.int().openapi({ description: 'Rejects of the filter' }),
  examined: z.int().openapi({ description: 'Of these, the newest, that were read again' }),
  readable: z.int(),
  failing: z.int(),
  rows: z.array(rowSchema).openapi({ description: 'The first rows, as they would be stored' }),
  failures: failuresSchema.openapi({ description: 'The first that still fail, with why' }),
})
const replayAnswer = z.object({
  replayed: z.int(),
  already: z.int().openapi({ description: 'Were replayed before: nothing was done' }),
  rows: z.int().openapi({ description: 'Rows that the journal has now' }),
  failing: z.int(),
  failures: failuresSchema,
  next: z.string().nullable().openapi({ description: 'Give it as `before` to go on; null at the end' }),
  journalSeq: z.int().nullable(),
})
const dismissAnswer = z.object({
  dismissed: z.int(),
  left: z.int().openapi({ description: 'Of the filter, still as they were: ask again' }),
  journalSeq: z.int().nullable(),
})

const bodyOf = (schema: string) => ({
  content: { 'application/json': { schema: { $ref: `#/components/schemas/${schema}` } } },
  required: true,
  description: 'At most 256 KiB',
})
const write = <const P extends string, T extends z.ZodType>(
  path: P,
  summary: string,
  description: string,
  schema: string,
  answered: T,
) =>
  createRoute({
    ...{ method: 'post', path, tags: ['records'], summary, description, request: { body: bodyOf(schema) } },
    responses: answer(answered, 'What came of it'),
  })
const previewRoute = write(
  '/v1/rejects/preview',
  'What a correction would make of rejects; nothing is stored',
  `The newest ${QUARANTINE_LIMITS.rejectsPerReplayMax} of the filter are read again.`,
  'RejectPreview',
  previewAnswer,
)
const replayRoute = write(
  '/v1/rejects/replay',
  'Read rejects again with a correction, into the journal',
  `At most ${QUARANTINE_LIMITS.rejectsPerReplayMax} a request: go on with \`next\`. What still cannot be read stays as it is. Rows replace rows of the same time: replaying twice changes nothing.`,
  'RejectReplay',
  replayAnswer,
)
const replayOneRoute = createRoute({
  method: 'post',
  path: '/v1/rejects/{id}/replay',
  tags: ['records'],
  summary: 'Read one reject again with a correction, into the journal',
  request: { params: oneRoute.request.params, body: bodyOf('RejectReplayOne') },
  responses: answer(replayAnswer, 'What came of it'),
})
const dismissRoute = write(
  '/v1/rejects/dismiss',
  'Put rejects aside with a reason; they stay to be seen',
  `At most ${QUARANTINE_LIMITS.rejectsPerDismissalMax} a request: ask again while some are left.`,
  'RejectDismissal',
  dismissAnswer,
)

export const rejectRoutes = (app: OpenAPIHono, { records, writes, sites }: AppDeps): void => {
  const deps = { records, writes }
  for (const [schemaName, schema] of [
    ['RejectPreview', previewBody],
    ['RejectReplay', replayBody],
    ['RejectReplayOne', replayOneBody],
    ['RejectDismissal', dismissBody],
  ] as const) {
    app.openAPIRegistry.register(schemaName, schema)
  }
  const zoneOf = (site: string): string | null => sites.get(site)?.zone.name ?? null

  app.openapi(listRoute, async c => {
    const { limit = pageDefault, page, ...filter } = c.req.valid('query')
    const before = page === undefined ? undefined : placeOf(page)
    const rows = await records.rejects({ ...given(filter), ...(before && { before }), limit: limit + 1 })
    const shown = rows.slice(0, limit)
    return c.json(
      { rejects: shown.map(rejectView), next: rows.length > limit ? (shown.at(-1)?.id ?? null) : null },
      200,
    )
  })
  app.openapi(groupsRoute, async c => {
    const { limit = 50, page, ...filter } = c.req.valid('query')
    if (page !== undefined && !/^\d{1,9}$/.test(page)) throw badPage()
    const offset = Number(page ?? 0)
    const groups = await records.rejectGroups({ ...given(filter), offset, limit: limit + 1 })
    const more = groups.length > limit
    return c.json({ groups: groups.slice(0, limit).map(groupView), next: more ? String(offset + limit) : null }, 200)
  })
  app.openapi(oneRoute, async c => {
    const { id } = c.req.valid('param')
    const reject = await oneOf(id)
    const { recipe } = reject
    const shown = recipe && { ...recipe, format: JSON.parse(JSON.stringify(recipe.format)), head: recipe.head ?? null }
    return c.json({ reject: rejectView(reject), recipe: shown ?? null }, 200)
  })
  app.openapi(previewRoute, async c => {
    const { value } = await bodyAs(c, previewBody)
    const { rows, failures, ...counts } = await corrected(() => preview(deps, filterOf(value.filter), value.correction))
    const shown = rows.map(row => rowView(row, zoneOf(row.frame.site)))
    return c.json({ ...counts, rows: shown, failures: failures.map(failureView) }, 200)
  })
  app.openapi(replayRoute, async c => {
    const { value, raw } = await bodyAs(c, replayBody)
    const { filter, correction, by, before } = value
    const { failures, ...result } = await corrected(() =>
      replay(deps, {
        ...{ filter: filterOf(filter), correction, given: correctionGiven(raw) },
        ...(by !== undefined && { by }),
        ...(before !== undefined && { before }),
      }),
    )
    return c.json({ ...result, already: 0, failures: failures.map(failureView) }, 200)
  })
  app.openapi(replayOneRoute, async c => {
    const { id } = c.req.valid('param')
    const { value, raw } = await bodyAs(c, replayOneBody)
    const { state } = await oneOf(id)
    if (state === 'replayed' && !value.again) {
      const nothing = { replayed: 0, already: 1, rows: 0, failing: 0, failures: [], next: null, journalSeq: null }
      return c.json(nothing, 200)
    }
    const { correction, by } = value
    const { failures, ...result } = await corrected(() =>
      replay(deps, {
        ...{ filter: { ids: [placeOf(id)] }, correction, given: correctionGiven(raw) },
        ...(by !== undefined && { by }),
      }),
    )
    return c.json({ ...result, already: 0, failures: failures.map(failureView) }, 200)
  })
  app.openapi(dismissRoute, async c => {
    const { value } = await bodyAs(c, dismissBody)
    const { filter, reason, by } = value
    return c.json(await dismiss(deps, { filter: filterOf(filter), reason, ...(by !== undefined && { by }) }), 200)
  })

  const oneOf = async (id: string): Promise<StoredReject> => {
    const [reject] = await records.rejects({ ids: [placeOf(id)], limit: 1 })
    if (reject) return reject
    throw new ProblemError(404, 'unknown-path', `There is no reject ${id}.`)
  }
}

/** The body as the schema reads it, and as it was given. */
const bodyAs = async <T extends z.ZodType>(c: Context, schema: T): Promise<{ value: z.output<T>; raw: unknown }> => {
  refuseFormTypes(c)
  const bytes = await readBody(c, bodyBytesMax)
  let raw: unknown
  try {
    raw = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw new ProblemError(400, 'invalid-body', 'The body is not JSON in UTF-8.')
  }
  const parsed = schema.safeParse(raw)
  if (parsed.success) return { value: parsed.data, raw }
  const issue = parsed.error.issues[0]
  const path = (issue?.path ?? []).map(String).join('.')
  throw new ProblemError(
    400,
    'invalid-body',
    `${path === '' ? 'The body' : path}: ${issue?.message ?? 'is not as expected'}.`,
  )
}
const correctionGiven = (raw: unknown): Json => ((raw as { correction?: Json }).correction ?? {}) as Json

const corrected = async <T>(work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    if (error instanceof CorrectionError) throw new ProblemError(400, 'invalid-body', `correction: ${error.message}`)
    throw error
  }
}

const badPage = (): ProblemError =>
  new ProblemError(400, 'invalid-parameter', 'page: expected the `next` of the page before.', {
    errors: [{ parameter: 'page', detail: 'expected the `next` of the page before' }],
  })
const placeOf = (id: string): { seq: number; index: number } => {
  const place = rejectPlace(id)
  if (!place) throw badPage()
  return place
}
/** Without the keys that are undefined. */
const given = (filter: { [K in keyof RejectFilter]: RejectFilter[K] | undefined }): RejectFilter =>
  Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined))
const filterOf = ({ ids, ...rest }: z.output<typeof filterSchema>): RejectFilter => ({
  ...given(rest),
  ...(ids && { ids: ids.map(placeOf) }),
})

const isoMs = (ms: number): string => new Date(ms).toISOString()
const orNull = (text: string): string | null => (text === '' ? null : text)
const rejectView = (reject: StoredReject): z.output<typeof rejectSchema> => {
  const { id, group, gateway, receivedMs, at, origin, reason, text, state, settled, recipe } = reject
  return {
    ...{ id, group, gateway, origin, reason, text, state },
    at: at ?? null,
    receivedAt: isoMs(receivedMs),
    cut: text.length >= LIMITS.rejectTextCharsMax,
    hasRecipe: recipe !== undefined,
    settled: settled
      ? {
          at: isoMs(settled.atMs),
          journalSeq: settled.journalSeq,
          by: settled.by ?? null,
          reason: settled.reason ?? null,
          correction: settled.correction ?? null,
        }
      : null,
  }
}
const groupView = (group: RejectGroup): z.output<typeof groupSchema> => {
  const { firstMs, lastMs, example, format, filePattern, column, ...rest } = group
  return {
    ...rest,
    ...{ format: orNull(format), filePattern: orNull(filePattern), column: orNull(column) },
    ...{ firstAt: isoMs(firstMs), lastAt: isoMs(lastMs), example: rejectView(example) },
  }
}
const failureView = ({ reject, reason }: { reject: StoredReject; reason: string }) => ({
  id: reject.id,
  text: reject.text,
  reason,
})
const rowView = ({ id, frame, row }: RowShown, zone: string | null): z.output<typeof rowSchema> => ({
  ...{ id, site: frame.site, device: frame.device, stream: frame.stream, zone, time: formatNs(rowNs(frame, row)) },
  values: frame.columns.map(column => {
    const value = column.values[row]
    const unit = column.unit ?? null
    if (value instanceof Float64Array) return { name: column.name, unit, value: null, length: value.length }
    const hole = value === undefined || (typeof value === 'number' && !Number.isFinite(value))
    return { name: column.name, unit, value: hole ? null : value, length: null }
  }),
})
