/** GET /v1/sites, /v1/devices, /v1/streams: what is measured, and where. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { formatNs } from '@penstock/frame'
import type { AppDeps } from '../deps.ts'
import type { StreamInfo } from '../historian.ts'
import { problemResponses, unknownName } from '../problem.ts'
import type { Site, Sites } from '../sites.ts'
import { choice, name } from './parameters.ts'

const siteSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    kind: z.enum(['store', 'lab', 'plant']),
    zone: z.string().openapi({ example: 'Europe/Paris' }),
    configured: z
      .boolean()
      .openapi({ description: 'false: readings came of it, but the configuration does not name it' }),
    opening: z
      .array(z.array(z.object({ from: z.string(), to: z.string() })))
      .nullable()
      .openapi({ description: 'Open spans by weekday, Monday first; null where the configuration does not say' }),
    devices: z.array(z.object({ id: z.string(), name: z.string() })),
    expects: z
      .array(z.string())
      .openapi({ description: 'Streams of which the configuration says how many rows an hour has' }),
  })
  .openapi('Site')

const streamSchema = z
  .object({
    site: z.string(),
    device: z.string(),
    stream: z.string(),
    columns: z.array(z.object({ name: z.string(), type: z.string(), unit: z.string().optional() })),
    rows: z.int(),
    first: z.string().openapi({ description: 'Time of the first row, ISO 8601 UTC' }),
    last: z.string(),
  })
  .openapi('Stream')

const deviceSchema = z
  .object({
    site: z.string(),
    device: z.string(),
    name: z.string(),
    configured: z.boolean(),
    streams: z.array(z.string()),
    rows: z.int(),
    last: z.string().nullable(),
    latest: z.array(
      z.object({
        stream: z.string(),
        time: z.string(),
        values: z.record(z.string(), z.union([z.number(), z.string(), z.boolean(), z.null()])),
      }),
    ),
  })
  .openapi('Device')

const json = <T extends z.ZodType>(schema: T, description: string) => ({
  200: { description, content: { 'application/json': { schema } } },
  ...problemResponses,
})

const sitesRoute = createRoute({
  method: 'get',
  path: '/v1/sites',
  tags: ['sites'],
  summary: 'Sites: stores, labs, plants',
  request: { query: z.strictObject({ kind: choice(['store', 'lab', 'plant'], 'Only this kind').optional() }) },
  responses: json(
    z.object({ sites: z.array(siteSchema) }),
    'In the order of the configuration; then those nobody configured',
  ),
})
const devicesRoute = createRoute({
  method: 'get',
  path: '/v1/devices',
  tags: ['sites'],
  summary: 'Devices with their streams and latest rows',
  request: { query: z.strictObject({ site: name('Only of this site', 'London').optional() }) },
  responses: json(z.object({ devices: z.array(deviceSchema) }), 'Ordered by site and device'),
})
const streamsRoute = createRoute({
  method: 'get',
  path: '/v1/streams',
  tags: ['sites'],
  summary: 'Stored series with their columns',
  request: {
    query: z.strictObject({
      site: name('Only of this site', 'London').optional(),
      device: name('Only of this device').optional(),
    }),
  },
  responses: json(z.object({ streams: z.array(streamSchema) }), 'Ordered by site, device and stream'),
})

export const siteRoutes = (app: OpenAPIHono, { sites, historian, live }: AppDeps): void => {
  app.openapi(sitesRoute, async c => {
    const { kind } = c.req.valid('query')
    const all = await allSites(sites, await historian.streams())
    return c.json({ sites: all.filter(s => kind === undefined || s.kind === kind).map(s => siteView(s, sites)) }, 200)
  })

  app.openapi(devicesRoute, async c => {
    const { site } = c.req.valid('query')
    const streams = await historian.streams()
    const known = allSites(sites, streams)
    if (site !== undefined) requireSite(site, known)
    const wanted = known.filter(s => site === undefined || s.id === site)
    const devices = wanted.flatMap(s => devicesOf(s, streams, live))
    return c.json({ devices: devices.sort(bySiteAndDevice) }, 200)
  })

  app.openapi(streamsRoute, async c => {
    const { site, device } = c.req.valid('query')
    const streams = await historian.streams()
    if (site !== undefined) requireSite(site, allSites(sites, streams))
    const wanted = streams.filter(
      s => (site === undefined || s.site === site) && (device === undefined || s.device === device),
    )
    return c.json({ streams: wanted.map(streamView) }, 200)
  })
}

/** The configured sites and, behind them, those that only readings speak of. */
export const allSites = (sites: Sites, streams: readonly StreamInfo[]): Site[] => {
  const listed = sites.list()
  const ids = new Set(listed.map(s => s.id))
  const others = [...new Set(streams.map(s => s.site))].filter(id => !ids.has(id)).sort()
  return [...listed, ...others.map(id => sites.get(id))]
}

export const requireSite = (id: string, known: readonly Site[]): Site => {
  const site = known.find(s => s.id === id)
  if (site) return site
  throw unknownName(
    'unknown-store',
    'site',
    id,
    known.map(s => s.id),
  )
}

const clockText = (minute: number): string =>
  `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`

const siteView = (site: Site, sites: Sites): z.output<typeof siteSchema> => ({
  id: site.id,
  name: site.name,
  kind: site.kind,
  zone: site.zone.name,
  configured: site.configured,
  opening: site.opening?.map(spans => spans.map(s => ({ from: clockText(s.from), to: clockText(s.to) }))) ?? null,
  devices: site.devices.map(({ id, name }) => ({ id, name })),
  expects: [...sites.expectedStreams(site.id)],
})

const streamView = (info: StreamInfo): z.output<typeof streamSchema> => ({
  site: info.site,
  device: info.device,
  stream: info.stream,
  columns: info.columns,
  rows: info.rows,
  first: formatNs(info.firstNs),
  last: formatNs(info.lastNs),
})

const devicesOf = (
  site: Site,
  streams: readonly StreamInfo[],
  live: AppDeps['live'],
): z.output<typeof deviceSchema>[] => {
  const ofSite = streams.filter(s => s.site === site.id)
  const names = new Map(site.devices.map(d => [d.id, d.name]))
  const ids = new Set([...names.keys(), ...ofSite.map(s => s.device)])
  const latest = live.latest({ site: site.id })
  return [...ids].map(id => {
    const own = ofSite.filter(s => s.device === id)
    const lastNs = own.reduce<bigint | undefined>(
      (max, s) => (max === undefined || s.lastNs > max ? s.lastNs : max),
      undefined,
    )
    return {
      site: site.id,
      device: id,
      name: names.get(id) ?? id,
      configured: names.has(id),
      streams: own.map(s => s.stream),
      rows: own.reduce((sum, s) => sum + s.rows, 0),
      last: lastNs === undefined ? null : formatNs(lastNs),
      latest: latest.filter(r => r.device === id).map(({ stream, time, values }) => ({ stream, time, values })),
    }
  })
}

const collator = new Intl.Collator('en', { numeric: true })
const bySiteAndDevice = (a: { site: string; device: string }, b: { site: string; device: string }): number =>
  collator.compare(a.site, b.site) || collator.compare(a.device, b.device)
