/** GET /v1/coverage: expected against had, per sensor and local hour or day. GET /v1/gaps: what is missing, and why, as far as it is proved. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { localIso } from '../counts.ts'
import {
  coverage,
  type DayCell,
  daysOf,
  expectedSensors,
  type HourCell,
  sensorHours,
  sensorHoursMax,
} from '../coverage.ts'
import type { AppDeps } from '../deps.ts'
import { type Gap, gapCauses, gaps } from '../gaps.ts'
import type { StreamInfo } from '../historian.ts'
import { ProblemError, problemResponses, unknownName } from '../problem.ts'
import { nextDayStartMs, type Site } from '../sites.ts'
import { gatewayView } from './gateways.ts'
import { choice, name, names, type When, when, whenNs, wholeNumber } from './parameters.ts'
import { allSites, requireSite } from './sites.ts'

const pageDefault = 2000
const pageMax = 20_000
const daysDefault = 28

const range = {
  site: name('Site whose configuration says what is expected', 'London'),
  stream: name('Stream; the first one that the site expects where left out', 'count').optional(),
  column: name('Numeric column; where left out, of each hour the one that has most').optional(),
  sensor: names('Only these sensors', '1').optional(),
  from: when(`First date or time; ${daysDefault} days back where left out`).optional(),
  to: when('Last date (included), or time behind the last; today where left out').optional(),
  limit: wholeNumber(1, pageMax, `Rows of a page (${pageDefault} where left out)`).optional(),
  page: z.string().max(512).optional().openapi({ description: '`next` of the page before' }),
}
const next = z.string().nullable().openapi({ description: 'Give it as `page` for the next page; null at the end' })
const states = ['ok', 'partial', 'missing', 'failed', 'closed', 'before', 'due'] as const

const cellSchema = z
  .object({
    sensor: z.string(),
    date: z.string().openapi({ description: 'Local date' }),
    hour: z.int().nullable().openapi({ description: 'Local hour; null for a day' }),
    start: z.string().openapi({ description: 'ISO 8601 with the offset of the site' }),
    end: z.string(),
    expected: z.int().openapi({ description: 'Rows expected by the opening hours' }),
    had: z.int().openapi({ description: 'Of these, how many came with a number' }),
    failed: z.int().openapi({ description: 'Rows whose measurement failed' }),
    rows: z.int().openapi({ description: 'All rows that came' }),
    hours: z.int().openapi({ description: 'Hours that are over and in which the sensor was expected' }),
    missingHours: z.int(),
    failedHours: z.int(),
    partialHours: z.int(),
    state: z.enum(states).openapi({
      description:
        'before: the sensor had not begun; due: not over yet, or only just; closed: nothing expected, or the sensor said so',
    }),
  })
  .openapi('CoverageCell')
const headSchema = {
  site: z.string(),
  name: z.string(),
  zone: z.string(),
  stream: z.string(),
  streams: z.array(z.string()).openapi({ description: 'All that are expected of this site' }),
  sensors: z.array(z.object({ id: z.string(), name: z.string() })),
  from: z.string(),
  to: z.string(),
  behindEntries: z.int().openapi({
    description: 'Entries of the journal that are not counted yet: until then, what is missing may have come',
  }),
}

const coverageRoute = createRoute({
  method: 'get',
  path: '/v1/coverage',
  tags: ['gaps'],
  summary: 'Expected against had, per sensor and local hour or day',
  description: `Sensor by sensor in order of time. A local day has 23, 24 or 25 hours. At most ${sensorHoursMax} sensors × hours.`,
  request: {
    query: z.strictObject({
      ...range,
      by: choice(['day', 'hour'], 'By the day (where left out) or the hour').optional(),
    }),
  },
  responses: {
    200: {
      description: 'One page',
      content: {
        'application/json': {
          schema: z.object({ ...headSchema, rows: z.array(cellSchema), next }).openapi('Coverage'),
        },
      },
    },
    ...problemResponses,
  },
})

const way = z.object({ gateway: z.string().nullable(), source: z.string().nullable() })
const gapSchema = z
  .object({
    sensor: z.string(),
    from: z.string().openapi({ description: 'ISO 8601 with the offset of the site' }),
    to: z.string(),
    kind: z.enum(['missing', 'partial', 'failed']),
    cause: z.enum(gapCauses).openapi({ description: 'unknown where nothing proves another' }),
    hours: z.int().openapi({ description: 'Hours in which the site was open' }),
    expected: z.int(),
    had: z.int(),
    failed: z.int(),
    proof: z.object({
      ways: z
        .array(way)
        .openapi({ description: 'By which gateway and source its readings have come; null: a plain device' }),
      waysAreItsOwn: z
        .boolean()
        .openapi({ description: 'false: it never delivered, and these are its neighbours’ ways' }),
      othersDelivered: z
        .int()
        .openapi({ description: 'Other sensors of the same way that delivered in each of these hours' }),
      watchedMinutes: z.number().openapi({ description: 'Minutes of which the state of the gateway is known' }),
      offlineMinutes: z.number().openapi({ description: 'Of these, in how many it was offline' }),
      gatewayOnline: z.boolean().nullable().openapi({ description: 'Now; null where it never said' }),
      pendingEntries: z.int().nullable().openapi({ description: 'Entries that it has yet to send' }),
      onItsWay: z.boolean().openapi({ description: 'What is missing may still come' }),
      rejects: z.object({
        count: z.int(),
        files: z.array(z.string()),
        id: z.string().nullable().openapi({ description: 'One of them' }),
        possible: z.int().openapi({ description: 'More that may be of these hours or of others: they prove nothing' }),
      }),
      losses: z.array(
        z.object({
          gateway: z.string().nullable(),
          epoch: z.string().nullable(),
          from: z.int().openapi({ description: 'First entry that is gone' }),
          through: z.int(),
          reason: z.string(),
          receivedAt: z.string(),
        }),
      ),
    }),
  })
  .openapi('Gap')

const gapsRoute = createRoute({
  method: 'get',
  path: '/v1/gaps',
  tags: ['gaps'],
  summary: 'Runs of missing or failed hours with their cause',
  description:
    'Hours that follow each other with one cause are one gap; hours in which the site is closed do not part them. A cause is named only where something proves it.',
  request: {
    query: z.strictObject({
      ...range,
      cause: choice(gapCauses, 'Only this cause').optional(),
      below: wholeNumber(
        1,
        100,
        'Percent of its rows from which an hour counts as whole (95 where left out)',
      ).optional(),
    }),
  },
  responses: {
    200: {
      description: 'One page, latest first',
      content: {
        'application/json': {
          schema: z
            .object({
              ...headSchema,
              gaps: z.array(gapSchema),
              totals: z
                .array(z.object({ cause: z.enum(gapCauses), gaps: z.int(), hours: z.int() }))
                .openapi({ description: 'Of all gaps of the range, by cause' }),
              more: z.boolean().openapi({ description: 'true: there are more rejects near than were looked at' }),
              next,
            })
            .openapi('Gaps'),
        },
      },
    },
    ...problemResponses,
  },
})
type RangeQuery = {
  site: string
  stream?: string | undefined
  column?: string | undefined
  sensor?: string[] | undefined
  from?: When | undefined
  to?: When | undefined
}

export const coverageRoutes = (app: OpenAPIHono, deps: AppDeps): void => {
  app.openapi(coverageRoute, async c => {
    const { by = 'day', limit = pageDefault, page, ...query } = c.req.valid('query')
    const asked = await askedOf(query, deps)
    const { site } = asked
    const cells = await coverage({ ...deps, streams: asked.streams }, asked)
    const all = [...cells.values()].flatMap(hours => (by === 'hour' ? hours : daysOf(site.zone, hours)))
    const { rows, next } = pageOf(all, limit, page)
    return c.json({ ...headOf(asked, deps), rows: rows.map(cell => cellView(cell, site)), next }, 200)
  })
  app.openapi(gapsRoute, async c => {
    const { cause, below = 95, limit = pageDefault, page, ...query } = c.req.valid('query')
    const asked = await askedOf(query, deps)
    const gateways = deps.live.gateways().map(gateway => gatewayView(gateway, deps))
    const found = await gaps({ ...deps, streams: asked.streams, gateways }, { ...asked, below: below / 100 })
    const wanted = found.gaps.filter(gap => cause === undefined || gap.cause === cause)
    const { rows, next } = pageOf(wanted.sort(latestFirst), limit, page)
    const answer = { totals: totalsOf(found.gaps), more: found.more, next }
    return c.json({ ...headOf(asked, deps), gaps: rows.map(gap => gapView(gap, asked.site)), ...answer }, 200)
  })
}

const refuse = (parameter: string, detail: string): ProblemError =>
  new ProblemError(400, 'invalid-parameter', `${parameter}: ${detail}.`, { errors: [{ parameter, detail }] })

interface Asked {
  site: Site
  stream: string
  column?: string
  sensors?: readonly string[]
  fromMs: number
  toMs: number
  nowMs: number
  streams: readonly StreamInfo[]
}

/** The question with all that was left out, or a problem that says what cannot be asked. */
const askedOf = async (query: RangeQuery, { sites, historian, now }: AppDeps): Promise<Asked> => {
  const streams = await historian.streams()
  const site = requireSite(query.site, allSites(sites, streams))
  const expected = sites.expectedStreams(site.id)
  const stream = query.stream ?? expected[0]
  if (stream === undefined) {
    throw refuse(
      'site',
      `the configuration does not say what is expected of "${site.id}": give it \`streams: { <stream>: { rowsPerHour: … } }\`${site.kind === 'store' && !site.opening ? ' and `opening`' : ''}`,
    )
  }
  if (!expected.includes(stream)) {
    throw unknownName('unknown-series', 'stream of which rows are expected', stream, expected)
  }
  const nowMs = now().getTime()
  const known = expectedSensors({ sites, streams }, site, stream).map(({ device }) => device)
  for (const id of query.sensor ?? []) if (!known.includes(id)) throw unknownName('unknown-sensor', 'sensor', id, known)
  const toMs = query.to ? msOf(query.to, site, true) : nextDayStartMs(site.zone, site.zone.dayStartMs(nowMs))
  const fromMs = query.from
    ? msOf(query.from, site, false)
    : site.zone.dayStartMs(toMs - (daysDefault - 0.5) * 86_400_000)
  if (fromMs >= toMs) throw refuse('from', 'lies behind `to`')
  const count = query.sensor?.length ?? known.length
  if (sensorHours(count, fromMs, toMs) > sensorHoursMax) {
    const days = Math.floor(sensorHoursMax / 24 / Math.max(1, count))
    throw refuse('from', `${count} sensors can be asked for ${days} days at once: ask for fewer days or fewer sensors`)
  }
  return {
    ...{ site, stream, fromMs, toMs, nowMs, streams },
    ...(query.column !== undefined && { column: query.column }),
    ...(query.sensor && { sensors: query.sensor }),
  }
}
const msOf = (value: When, site: Site, last: boolean): number => {
  const ms = Number(whenNs(value, site.zone, last) / 1_000_000n)
  if (Math.abs(ms) > 8e15) throw refuse(last ? 'to' : 'from', 'is beyond all calendars')
  return ms
}

const headOf = ({ site, stream, streams, sensors, fromMs, toMs }: Asked, deps: AppDeps) => {
  const names = new Map(site.devices.map(device => [device.id, device.name]))
  return {
    ...{ site: site.id, name: site.name, zone: site.zone.name, stream },
    streams: [...deps.sites.expectedStreams(site.id)],
    sensors: expectedSensors({ sites: deps.sites, streams }, site, stream)
      .filter(({ device }) => sensors?.includes(device) ?? true)
      .map(({ device }) => ({ id: device, name: names.get(device) ?? device })),
    ...{ from: isoOf(fromMs, site), to: isoOf(toMs, site) },
    behindEntries: deps.flow.flow().projections.find(({ name }) => name === 'rollup')?.behind ?? 0,
  }
}
const isoOf = (ms: number, site: Site): string => localIso(BigInt(ms) * 1_000_000n, site.zone)

/** A page begins behind the row that the cursor names, also where rows have come or gone since. */
const pageOf = <T extends { device: string; startMs: number }>(
  all: readonly T[],
  limit: number,
  page: string | undefined,
) => {
  let begin = 0
  if (page !== undefined) {
    const [device, startMs] = cursorOf(page)
    const at = all.findIndex(row => row.device === device && row.startMs === startMs)
    if (at < 0) throw refuse('page', 'expected the `next` of the page before, asked with the same filters')
    begin = at + 1
  }
  const rows = all.slice(begin, begin + limit)
  const last = rows.at(-1)
  return { rows, next: last && begin + limit < all.length ? JSON.stringify([last.device, last.startMs]) : null }
}
const cursorSchema = z.tuple([z.string(), z.number()])
const cursorOf = (page: string): [string, number] => {
  try {
    return cursorSchema.parse(JSON.parse(page))
  } catch {
    throw refuse('page', 'expected the `next` of the page before')
  }
}

const cellView = (cell: HourCell | DayCell, site: Site): z.output<typeof cellSchema> => {
  const { device, startMs, endMs, expected, had, failed, rows, state } = cell
  const { date, hour } = site.zone.parts(startMs)
  const counted = state !== 'closed' && state !== 'before' && state !== 'due'
  const hours =
    'hours' in cell
      ? {
          missingHours: cell.missingHours,
          failedHours: cell.failedHours,
          partialHours: cell.partialHours,
          hours: cell.hours,
        }
      : {
          ...{ hours: Number(counted), missingHours: Number(state === 'missing') },
          ...{ failedHours: Number(state === 'failed'), partialHours: Number(state === 'partial') },
        }
  return {
    ...{
      sensor: device,
      date,
      hour: 'hours' in cell ? null : hour,
      start: isoOf(startMs, site),
      end: isoOf(endMs, site),
    },
    ...{ expected, had, failed, rows, ...hours, state },
  }
}

const latestFirst = (a: Gap, b: Gap): number =>
  b.endMs - a.endMs || (a.device < b.device ? -1 : a.device > b.device ? 1 : 0) || b.startMs - a.startMs

const totalsOf = (all: readonly Gap[]) =>
  gapCauses.flatMap(cause => {
    const own = all.filter(gap => gap.cause === cause)
    return own.length === 0 ? [] : [{ cause, gaps: own.length, hours: own.reduce((sum, gap) => sum + gap.hours, 0) }]
  })

const gapView = (gap: Gap, site: Site): z.output<typeof gapSchema> => {
  const { device, startMs, endMs, proof, ...figures } = gap
  const { ids, files, possible } = proof.rejects
  return {
    ...{ sensor: device, from: isoOf(startMs, site), to: isoOf(endMs, site), ...figures },
    proof: {
      ...proof,
      rejects: { count: ids.length, files, id: ids[0] ?? null, possible },
      losses: proof.losses.map(({ receivedMs, ...loss }) => ({
        ...loss,
        receivedAt: new Date(receivedMs).toISOString(),
      })),
    },
  }
}
