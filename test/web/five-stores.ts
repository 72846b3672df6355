/**
 * A cloud in one process for tests of the page: the real app, sites, live hub and records over the in-memory historian,
 * filled with weeks of five stores whose numbers follow from a fixed seed.
 */
import {
  type Aggregate,
  type AppDeps,
  createApp,
  createLive,
  createMemoryHistorian,
  createSites,
  type HttpServer,
  lineMappingSchema,
  loadWeb,
  openRecords,
  openServer,
  pageViews,
  Registry,
  sitesSchema,
} from '@penstock/cloud'
import { MS_PER_DAY, MS_PER_HOUR, zoneOf } from '@penstock/frame'
import { openQuietFlow } from './quiet-flow.ts'

const cities = [
  { id: 'Madrid', zone: 'Europe/Madrid', doors: 1, daily: 900 },
  { id: 'Paris', zone: 'Europe/Paris', doors: 20, daily: 9400 },
  { id: 'Berlin', zone: 'Europe/Berlin', doors: 6, daily: 3100 },
  { id: 'Roma', zone: 'Europe/Rome', doors: 4, daily: 2300 },
  { id: 'London', zone: 'Europe/London', doors: 8, daily: 5200 },
] as const
const openFrom = 9
const openTo = 20

export interface FiveStores {
  url: string
  /** Adds to the present hour of a store, as the rollup does when a reading was stored. */
  visit(store: string, visitors: number, door?: string): Promise<void>
  /** The gateway's last word. */
  gateway(online: boolean): void
  /** Why the figures are behind; none where they are not. */
  behind(reasons: string[]): void
  stopServer(): Promise<void>
  startServer(): Promise<void>
  close(): Promise<void>
}

export interface FiveStoresOptions {
  webDir: string
  recordsFile: string
  weeks: number
  now(): Date
}

export const openFiveStores = async ({ webDir, recordsFile, weeks, now }: FiveStoresOptions): Promise<FiveStores> => {
  const historian = createMemoryHistorian()
  const sites = createSites(
    sitesSchema.parse(
      cities.map(({ id, zone, doors }) => ({
        ...{
          id,
          zone,
          kind: 'store',
          opening: { 'mon-sat': `${String(openFrom).padStart(2, '0')}:00-${openTo}:00`, sun: 'closed' },
        },
        devices: Array.from({ length: doors }, (_, i) => ({ id: String(i), name: `Door ${i + 1}` })),
        streams: { count: { rowsPerHour: 1 } },
      })),
    ),
  )
  const rows = cities.flatMap(city => historyOf(city, weeks, now().getTime()))
  const oneDoor = rows.filter(row => row.site === doorOf.site).map(row => ofOneDoor(row, doorOf))
  await historian.writeAggregates([...rows, ...oneDoor])
  await historian.write(
    cities.flatMap(({ id, doors }) =>
      Array.from({ length: doors }, (_, i) => ({
        ...{ site: id, device: String(i), stream: 'count' },
        // From the first row of the history on, and a moment ago.
        startNs: BigInt(now().getTime() - weeks * 7 * MS_PER_DAY) * 1_000_000n,
        offsetsNs: Float64Array.of(0, weeks * 7 * MS_PER_DAY * 1e6),
        columns: [{ name: 'count', type: 'int' as const, values: [1, 1] }],
      })),
    ),
  )
  const live = createLive({ run: 'test', now: () => now().getTime(), coalesceMs: 50 })
  const records = await openRecords(recordsFile)
  const web = await loadWeb(webDir, pageViews)
  let reasons: string[] = []
  const flow = openQuietFlow(() => ({ ...deps, live }))
  const deps: AppDeps = {
    ...{ historian, sites, records, evidence: records.evidence, flow, live, now, lateHoursMax: 48, version: '0.1.0' },
    ...(web && { web }),
    ingest: async (_gateway, epoch, seq) => ({ epoch, through: seq }),
    receipt: (_gateway, epoch) => ({ epoch, through: 41 }),
    writes: {
      lines: async () => {},
      posted: async () => {},
      replay: async () => 0,
      dismiss: async () => 0,
      mapping: lineMappingSchema.parse({}),
    },
    status: (gateway, status) => live.status(gateway, status, now().getTime()),
    journalStats: () => ({ bytes: 1, nextSeq: 42, oldestSeq: 1, lostEntries: 0 }),
    journalEntry: async () => ({ gone: 'trimmed' }),
    readiness: () => ({ ready: reasons.length === 0, reasons }),
    metrics: new Registry(),
    access: { hosts: [] },
    log: { warn: () => {}, error: () => {} },
  }
  const app = createApp(deps)
  let server: HttpServer = await openServer({ fetch: app.fetch, host: '127.0.0.1', port: 0 })
  const { port } = new URL(server.url)

  const gateway = (online: boolean): void =>
    live.status(
      'back-office',
      {
        ...{ online, epoch: 'e1', oldestSeq: 42, nextSeq: 42, spoolBytes: 65_536, version: '0.1.0' },
        clock: now().toISOString(),
        sources: [{ id: 'doors', kind: 'simulate', health: 'ok', rows: 1200, rejects: 0 }],
      },
      now().getTime(),
    )
  gateway(true)

  return {
    url: server.url,
    gateway,
    behind(said) {
      reasons = said
    },
    async visit(store, visitors, door) {
      const changed: Aggregate[] = []
      const present = door === undefined ? rows : [...rows, ...oneDoor]
      for (const [resolution, device] of ['hour', 'day'].flatMap(r => ['', ...(door ? [door] : [])].map(d => [r, d]))) {
        const row = present.findLast(r => r.site === store && r.resolution === resolution && r.device === device)
        if (!row) throw new Error(`no rows of ${store}`)
        Object.assign(row, { sum: (row.sum ?? 0) + visitors, n: Math.max(1, row.n), revision: row.revision + 1 })
        row.computedAtMs = now().getTime()
        changed.push(row)
      }
      await historian.writeAggregates(changed)
      live.aggregates(changed)
    },
    stopServer: () => server.close(),
    async startServer() {
      server = await openServer({ fetch: app.fetch, host: '127.0.0.1', port: Number(port) })
    },
    async close() {
      await flow.close()
      await live.close()
      await server.close()
      await records.close()
    },
  }
}

/** The door that has rows of its own: a fifth of its store. */
const doorOf = { site: 'London', device: '1', share: 0.2 }
const ofOneDoor = (row: Aggregate, { device, share }: typeof doorOf): Aggregate => {
  const part = (value: number | null) => (value === null ? null : Math.round(value * share))
  const one = (value: number) => Math.round(value / 8)
  return {
    ...{ ...row, level: 'sensor', device, sum: part(row.sum), min: part(row.min), max: part(row.max) },
    ...{ mean: part(row.mean), first: part(row.first), last: part(row.last), n: one(row.n), failed: one(row.failed) },
    ...{ closed: one(row.closed), rows: one(row.rows), expected: one(row.expected ?? 0), had: one(row.had ?? 0) },
  }
}

/** Deterministic noise in [0, 1). */
const noise = (seed: number): number => {
  let x = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32
}

const historyOf = (city: (typeof cities)[number], weeks: number, nowMs: number): Aggregate[] => {
  const zone = zoneOf(city.zone)
  const seed = city.id.length * 7919 + city.doors
  const rows: Aggregate[] = []
  for (let ago = weeks * 7; ago >= 0; ago--) {
    const dayMs = zone.dayStartMs(nowMs - ago * MS_PER_DAY)
    const { date, weekday } = zone.parts(dayMs)
    const open = weekday < 6
    // On a Wednesday nothing came at all; on the Tuesday before, two hours failed; once a whole Thursday.
    if (ago > 6 && ago <= 13 && weekday === 2) continue
    const failedDay = ago > 13 && ago <= 20 && weekday === 3
    const failedHours = ago > 6 && ago <= 13 && weekday === 1
    const scale =
      city.daily * (0.8 + 0.06 * weekday) * (0.9 + 0.2 * noise(seed + ago)) * (1 + 0.004 * (weeks * 7 - ago))
    const ofDay: Aggregate[] = []
    for (let hour = 0; hour < 24; hour++) {
      const startMs = dayMs + hour * MS_PER_HOUR
      if (startMs > nowMs) break
      const counted = open && hour >= openFrom && hour < openTo
      const failed = counted && (failedDay || (failedHours && (hour === 13 || hour === 14)))
      const shape = Math.sin(((hour - openFrom + 0.7) / (openTo - openFrom + 0.6)) * Math.PI)
      const passed = Math.min(1, (nowMs - startMs) / MS_PER_HOUR)
      const sum =
        counted && !failed
          ? Math.round((scale / 7.2) * shape * passed * (0.9 + 0.2 * noise(seed + ago * 31 + hour)))
          : null
      ofDay.push(
        aggregate(city.id, zone.parts(startMs), {
          ...{ resolution: 'hour', startMs, endMs: startMs + MS_PER_HOUR, sum, doors: city.doors },
          ...{ failed: failed ? city.doors : 0, closed: counted ? 0 : city.doors, expected: counted ? city.doors : 0 },
        }),
      )
    }
    const total = (pick: (a: Aggregate) => number) => ofDay.reduce((sum, a) => sum + pick(a), 0)
    rows.push(...ofDay)
    rows.push(
      aggregate(
        city.id,
        { date, hour: 0, weekday },
        {
          ...{ resolution: 'day', startMs: dayMs, endMs: dayMs + MS_PER_DAY, doors: total(a => a.had ?? 0) },
          ...{
            sum: total(a => a.had ?? 0) > 0 ? total(a => a.sum ?? 0) : null,
            failed: total(a => a.failed),
            closed: total(a => a.closed),
          },
          expected: open ? (openTo - openFrom) * city.doors : 0,
        },
      ),
    )
  }
  return rows
}

const aggregate = (
  site: string,
  at: { date: string; hour: number; weekday: number },
  o: {
    resolution: 'hour' | 'day'
    startMs: number
    endMs: number
    sum: number | null
    doors: number
    failed: number
    closed: number
    expected: number
  },
): Aggregate => ({
  ...{ level: 'site', resolution: o.resolution, site, device: '', stream: 'count', column: 'count', date: at.date },
  ...{ hour: o.resolution === 'hour' ? at.hour : null, weekday: at.weekday },
  ...{ startNs: BigInt(o.startMs) * 1_000_000n, endNs: BigInt(o.endMs) * 1_000_000n },
  ...{ n: o.sum === null ? 0 : o.doors, sum: o.sum, min: o.sum, max: o.sum, first: o.sum, last: o.sum, mean: o.sum },
  ...{ failed: o.failed, closed: o.closed, rows: (o.sum === null ? 0 : o.doors) + o.failed + o.closed },
  ...{ expected: o.expected, had: o.sum === null ? 0 : o.doors, revision: 1, computedAtMs: o.startMs },
})
