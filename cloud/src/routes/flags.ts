/** GET /v1/flags: which rows of a series have a status, joined into runs: a downsampled chart marks them all the same. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { type Frame, formatNs, MS_PER_DAY, rowNs, STATUS_COLUMN } from '@penstock/frame'
import type { AppDeps } from '../deps.ts'
import { problemResponses } from '../problem.ts'
import { name, when, whenNs, wholeNumber } from './parameters.ts'
import { emptyRange, requireSeries } from './readings.ts'
import { allSites, requireSite } from './sites.ts'

/** Rows that one question looks at, from the newest back. */
const rowsLookedMax = 200_000
const slicesDefault = 200
const slicesMax = 2000

const route = createRoute({
  method: 'get',
  path: '/v1/flags',
  tags: ['readings'],
  summary: 'Rows of a series that are not ok, by slice of time',
  description: `Half-open range, as in /v1/readings. Looks at the newest ${rowsLookedMax.toLocaleString('en')} rows of it; \`lookedFrom\` says where it stopped.`,
  request: {
    query: z.strictObject({
      site: name('Site', 'Lab'),
      device: name('Device', 'gauge'),
      stream: name('Stream', 'pressure'),
      from: when('First time').optional(),
      to: when('Time behind the last').optional(),
      slices: wholeNumber(1, slicesMax, `Slices of the range (${slicesDefault} where left out)`).optional(),
    }),
  },
  responses: {
    200: {
      description: 'In order of time, then status',
      content: {
        'application/json': {
          schema: z.object({
            flags: z.array(
              z
                .object({
                  status: z.string(),
                  rows: z.int(),
                  from: z.string().openapi({ description: 'Time of the first of these rows' }),
                  to: z.string().openapi({ description: 'Time of the last' }),
                })
                .openapi('Flag'),
            ),
            rows: z.int().openapi({ description: 'Rows that are not ok' }),
            lookedFrom: z.string().nullable().openapi({ description: 'Rows before this one were not looked at' }),
          }),
        },
      },
    },
    ...problemResponses,
  },
})

interface Run {
  status: string
  rows: number
  firstNs: bigint
  lastNs: bigint
}

export const flagRoutes = (app: OpenAPIHono, { historian, sites }: AppDeps): void => {
  app.openapi(route, async c => {
    const { from, to, slices = slicesDefault, ...series } = c.req.valid('query')
    const streams = await historian.streams()
    const { zone } = requireSite(series.site, allSites(sites, streams))
    const info = requireSeries(streams, series)
    const toNs = to ? whenNs(to, zone, 'date' in to) : info.lastNs + 1n
    const fromNs = from ? whenNs(from, zone) : toNs - BigInt(MS_PER_DAY) * 1_000_000n
    if (fromNs >= toNs) throw emptyRange()
    if (!info.columns.some(column => column.name === STATUS_COLUMN)) {
      return c.json({ flags: [], rows: 0, lookedFrom: null }, 200)
    }
    const runs = createRuns(fromNs, (toNs - fromNs) / BigInt(slices) + 1n)
    let looked = 0
    let lookedFrom: string | null = null
    const limit = rowsLookedMax + 1
    const query = { ...series, fromNs, toNs, columns: [STATUS_COLUMN], descending: true, limit }
    for await (const frame of historian.read(query)) {
      const room = Math.min(frame.offsetsNs.length, rowsLookedMax - looked)
      runs.take(frame, room)
      looked += room
      if (room === frame.offsetsNs.length) continue
      lookedFrom = formatNs(rowNs(frame, Math.max(0, room - 1)))
      break
    }
    return c.json({ ...runs.result(), lookedFrom }, 200)
  })
}

const createRuns = (fromNs: bigint, widthNs: bigint) => {
  const runs = new Map<string, Run>()
  let rows = 0
  return {
    take(frame: Frame, count: number): void {
      const column = frame.columns.find(({ name, type }) => name === STATUS_COLUMN && type === 'text')
      for (let i = 0; i < count; i++) {
        const status = column?.values[i]
        if (typeof status !== 'string') continue
        rows++
        const ns = rowNs(frame, i)
        const key = `${(ns - fromNs) / widthNs} ${status}`
        const run = runs.get(key)
        if (!run) runs.set(key, { status, rows: 1, firstNs: ns, lastNs: ns })
        else {
          run.rows++
          if (ns < run.firstNs) run.firstNs = ns
          if (ns > run.lastNs) run.lastNs = ns
        }
      }
    },
    result: () => ({
      flags: [...runs.values()]
        .sort((a, b) => (a.firstNs < b.firstNs ? -1 : a.firstNs > b.firstNs ? 1 : a.status < b.status ? -1 : 1))
        .map(({ status, rows, firstNs, lastNs }) => ({ status, rows, from: formatNs(firstNs), to: formatNs(lastNs) })),
      rows,
    }),
  }
}
