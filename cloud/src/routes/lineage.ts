/** GET /v1/lineage: where a stored row came from: its file, lines and bytes, its gateway, and when the cloud took it in. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { type Frame, formatNs, originSchema, rowNs } from '@penstock/frame'
import type { AppDeps } from '../deps.ts'
import { ProblemError, problemResponses } from '../problem.ts'
import type { FramePlace } from '../projectors/records/lineage.ts'
import { name, when } from './parameters.ts'
import { requireSeries } from './readings.ts'

/** Entries of the journal that one question reads, and how many of them it lists. */
const entriesReadMax = 24
const placesMax = 8

const placeSchema = z
  .object({
    way: z.string().openapi({
      description:
        'How it came: envelope (a gateway), readings, message, posted, lines, sparkplug; gone: not to be read any more',
    }),
    gone: z
      .string()
      .nullable()
      .openapi({ description: 'Why the journal no longer has the entry; null where it has it' }),
    gateway: z.string().nullable(),
    epoch: z.string().nullable(),
    gatewaySeq: z.int().nullable().openapi({ description: 'Number of the entry in the log of the gateway' }),
    topic: z.string().nullable(),
    journalSeq: z.int().openapi({ description: 'Number of the entry in the journal of the cloud' }),
    receivedAt: z.string().openapi({ description: 'When the cloud took it in and journaled it' }),
    source: z.string().nullable(),
    file: z.string().nullable(),
    line: z
      .int()
      .nullable()
      .openapi({ description: 'The very line; null where a frame’s rows and lines do not go together one by one' }),
    row: z.int().nullable().openapi({ description: 'Which of the rows of its frame it is, from 1' }),
    rows: z.int().nullable(),
    origin: originSchema.nullable().openapi({ description: 'Of the frame: all that its reader said' }),
  })
  .openapi('LineagePlace')

const route = createRoute({
  method: 'get',
  path: '/v1/lineage',
  tags: ['readings'],
  summary: 'Where a stored row came from',
  description:
    'The entries of the journal that brought a row of this series and time, latest first: the first one is what is stored, later rows replace earlier ones. Reads at most 24 entries.',
  request: {
    query: z.strictObject({
      site: name('Site', 'Lab'),
      device: name('Device', 'gauge'),
      stream: name('Stream', 'pressure'),
      time: when('Time of the row, exact to the ns').openapi({ example: '2026-03-01T08:00:00.000000000Z' }),
    }),
  },
  responses: {
    200: {
      description: 'What is known of it',
      content: {
        'application/json': {
          schema: z
            .object({
              site: z.string(),
              device: z.string(),
              stream: z.string(),
              time: z.string(),
              stored: z.boolean().openapi({ description: 'The historian has a row of this time' }),
              places: z.array(placeSchema),
              more: z.boolean().openapi({ description: 'There are more entries than were looked at' }),
              note: z.string().nullable().openapi({ description: 'Why nothing or not all is known, in a sentence' }),
            })
            .openapi('Lineage'),
        },
      },
    },
    ...problemResponses,
  },
})
type Place = z.output<typeof placeSchema>

export const lineageRoutes = (app: OpenAPIHono, deps: AppDeps): void => {
  const { historian, records, journalStats } = deps
  app.openapi(route, async c => {
    const { time, ...series } = c.req.valid('query')
    if ('date' in time) throw dateRefused()
    requireSeries(await historian.streams(), series)
    const timeNs = time.ns
    const [stored, frames] = await Promise.all([
      isStored(deps, series, timeNs),
      records.framesAt({ ...series, timeNs, limit: entriesReadMax + 1 }),
    ])
    const places: Place[] = []
    let read = 0
    for (const frame of frames.slice(0, entriesReadMax)) {
      if (places.length === placesMax) break
      read++
      const place = await placeOf(deps, frame, series, timeNs)
      if (place) places.push(place)
    }
    const { oldestSeq } = journalStats()
    const note = noteOf(places, oldestSeq, stored)
    return c.json({ ...series, time: formatNs(timeNs), stored, places, more: read < frames.length, note }, 200)
  })
}

const dateRefused = (): ProblemError =>
  new ProblemError(400, 'invalid-parameter', 'time: expected the time of a row with offset, got a date.', {
    errors: [{ parameter: 'time', detail: 'expected the time of a row with offset' }],
  })

type Series = { site: string; device: string; stream: string }

const isStored = async ({ historian }: AppDeps, series: Series, timeNs: bigint): Promise<boolean> => {
  for await (const frame of historian.read({ ...series, fromNs: timeNs, toNs: timeNs + 1n, limit: 1 })) {
    if (frame.offsetsNs.length > 0) return true
  }
  return false
}

/** `undefined` where the frame's span holds the time, but no row of it has it. */
const placeOf = async (
  { journalEntry }: AppDeps,
  { journalSeq, index, receivedMs, gateway, source, file }: FramePlace,
  series: Series,
  timeNs: bigint,
): Promise<Place | undefined> => {
  const known = { gateway, journalSeq, receivedAt: new Date(receivedMs).toISOString(), source, file }
  const nothing = { epoch: null, gatewaySeq: null, topic: null, line: null, row: null, rows: null, origin: null }
  const found = await journalEntry(journalSeq)
  if ('gone' in found) return { ...known, ...nothing, way: 'gone', gone: found.gone }
  const { entry, kind, topic } = found
  const frame = entry.frames[index]
  if (!frame || frame.site !== series.site || frame.device !== series.device || frame.stream !== series.stream) {
    return undefined
  }
  const row = rowAt(frame, timeNs)
  if (row < 0) return undefined
  return {
    ...{ way: kind ?? 'envelope', gone: null, ...known },
    ...{ epoch: entry.epoch ?? null, gatewaySeq: entry.gatewaySeq ?? null, topic: topic ?? null },
    ...{ line: lineOf(frame, row), row: row + 1, rows: frame.offsetsNs.length, origin: frame.origin ?? null },
  }
}

/** The last row of this time: the one that stays. */
const rowAt = (frame: Frame, timeNs: bigint): number => {
  const offset = Number(timeNs - frame.startNs)
  for (let i = frame.offsetsNs.length - 1; i >= 0; i--) {
    if (frame.offsetsNs[i] === offset && rowNs(frame, i) === timeNs) return i
  }
  return -1
}

/** Where a frame has a row for each line, the row's number says its line. */
const lineOf = ({ origin, offsetsNs }: Frame, row: number): number | null => {
  const { firstLine, lastLine } = origin ?? {}
  if (firstLine === undefined || lastLine === undefined) return null
  return lastLine - firstLine + 1 === offsetsNs.length ? firstLine + row : null
}

const noteOf = (places: readonly Place[], oldestSeq: number, stored: boolean): string | null => {
  const trimmed = `The journal was trimmed: it begins with entry ${oldestSeq}`
  const gone = places.find(place => place.gone !== null)?.gone
  if (gone) {
    return `${gone === 'trimmed' ? trimmed : `An entry of the journal cannot be read (${gone})`}. What is said of earlier entries is what is kept of them besides; the row may be of another frame of that span.`
  }
  if (places.length > 0) return null
  if (oldestSeq > 1) return `${trimmed}, and none of those that are left brought this row.`
  return stored
    ? 'No entry of the journal is known to have brought this row: the index of the journal is still being built.'
    : 'There is no row of this time.'
}
