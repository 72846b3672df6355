/**
 * A cloud in one process for tests of gaps, gateways and the overview: the real app, rollups, records and live hub over the
 * in-memory historian, filled with four weeks of a store with six doors on two gateways, of which everything went wrong once.
 */
import {
  type AppDeps,
  createApp,
  createHistorianProjector,
  createLive,
  createMemoryHistorian,
  createRollupProjector,
  createSites,
  type JournalEntry,
  lineMappingSchema,
  loadWeb,
  openRecords,
  openServer,
  pageViews,
  Registry,
  sitesSchema,
} from '@penstock/cloud'
import { type Frame, MS_PER_DAY, MS_PER_HOUR, type SourceStatus, zoneOf } from '@penstock/frame'
import { openQuietFlow } from './quiet-flow.ts'

const zone = zoneOf('Europe/London')
const opening = { 'mon-sat': '09:00-20:00', sun: 'closed' }
const streams = { count: { rowsPerHour: 1 } }
const doors = ['North', 'South', 'Lift', 'Car park', 'Annex', 'Yard'].map((name, i) => ({ id: String(i), name }))

export interface WatchedShop {
  url: string
  /** The annex comes back and brings what it kept. */
  annexReturns(): Promise<void>
  /** What the gateway of the shop says of its source. */
  shopSays(source: Partial<SourceStatus>, problems?: string[]): void
  close(): Promise<void>
}
export interface WatchedShopOptions {
  webDir: string
  recordsFile: string
  now(): Date
}

const quiet = { info() {}, warn() {}, error() {} }

export const openWatchedShop = async ({ webDir, recordsFile, now }: WatchedShopOptions): Promise<WatchedShop> => {
  const historian = createMemoryHistorian()
  const sites = createSites(
    sitesSchema.parse([
      { id: 'London', kind: 'store', zone: 'Europe/London', opening, streams, devices: doors },
      { id: 'Madrid', kind: 'store', zone: 'Europe/Madrid', opening, streams, devices: [{ id: '0' }] },
      { id: 'bench', kind: 'lab', zone: 'Asia/Tokyo' },
    ]),
  )
  const live = createLive({ run: 'test', now: () => now().getTime(), coalesceMs: 50 })
  const records = await openRecords(recordsFile)
  let seq = 0
  const take = async (parts: readonly Partial<JournalEntry>[]): Promise<void> => {
    const entries = parts.map(
      (part): JournalEntry => ({
        ...{
          seq: ++seq,
          receivedMs: now().getTime(),
          epoch: 'k7',
          gatewaySeq: seq,
          frames: [],
          rejects: [],
          ledger: [],
        },
        ...part,
      }),
    )
    await createHistorianProjector(historian, { log: quiet }).apply(entries)
    const rollup = createRollupProjector({ historian, sites, now, log: quiet, onAggregates: live.aggregates })
    await rollup.apply(entries)
    await rollup.settle()
    await rollup.close()
    await records.apply(entries)
    await live.apply(entries)
  }
  const todayMs = zone.dayStartMs(now().getTime())
  await take([...historyOf(todayMs), watched('annex', todayMs - 12 * MS_PER_HOUR, 26 * 60, 0)])

  const sourceOf = (over: Partial<SourceStatus> = {}): SourceStatus => ({
    ...{ id: 'doors', kind: 'tail', health: 'ok', rows: 18_201, rejects: 3, lastRowAt: now().toISOString() },
    ...over,
  })
  const status = (gateway: string, online: boolean, pending: number, sources: SourceStatus[], problems?: string[]) => {
    const last = seq + pending
    const saidMs = now().getTime() - (online ? 2000 : 3 * MS_PER_HOUR)
    live.status(
      gateway,
      {
        ...{ online, epoch: 'k7', oldestSeq: last, nextSeq: last + 1, spoolBytes: 262_144, version: '0.1.0', sources },
        clock: new Date(saidMs + 340).toISOString(),
        ...(problems && { problems }),
      },
      saidMs,
    )
  }
  status('shop', true, 0, [sourceOf()])
  status('annex', false, 312, [sourceOf({ rejects: 0, rows: 940 })])

  const web = await loadWeb(webDir, pageViews)
  const flow = openQuietFlow(() => ({ ...deps, live }))
  const deps: AppDeps = {
    ...{ historian, sites, records, evidence: records.evidence, flow, live, now, lateHoursMax: 48, version: '0.1.0' },
    ...(web && { web }),
    ingest: async (_gateway, epoch, seq) => ({ epoch, through: seq }),
    receipt: (_gateway, epoch) => ({ epoch, through: seq }),
    writes: {
      ...{ lines: async () => {}, posted: async () => {}, replay: async () => 0, dismiss: async () => 0 },
      mapping: lineMappingSchema.parse({}),
    },
    status: (gateway, status) => live.status(gateway, status, now().getTime()),
    journalStats: () => ({ bytes: 1_400_000, nextSeq: seq + 1, oldestSeq: 1, lostEntries: 0 }),
    journalEntry: async () => ({ gone: 'trimmed' }),
    readiness: () => ({ ready: true, reasons: [] }),
    metrics: new Registry(),
    access: { hosts: [] },
    log: quiet,
  }
  const server = await openServer({ fetch: createApp(deps).fetch, host: '127.0.0.1', port: 0 })
  return {
    url: server.url,
    async annexReturns() {
      await take([dayOf('annex', todayMs - MS_PER_DAY, 12, 20), dayOf('annex', todayMs, 9, 14)])
      status('annex', true, 0, [sourceOf({ rejects: 0, rows: 962 })])
    },
    shopSays: (source, problems) => status('shop', true, 0, [sourceOf(source)], problems),
    async close() {
      await flow.close()
      await live.close()
      await server.close()
      await records.close()
    },
  }
}

/** The doors of a gateway, by the hours of a day in which each counted; −1 stands for a failed hour. */
const dayOf = (
  gateway: 'shop' | 'annex',
  dayMs: number,
  fromHour: number,
  toHour: number,
  but: (door: number, hour: number) => 'silent' | 'failed' | undefined = () => undefined,
): Partial<JournalEntry> => {
  const { date } = zone.parts(dayMs)
  const file = `doors-${date}.csv`
  const own = gateway === 'shop' ? [0, 1, 2, 3] : [4, 5]
  const frames = own.flatMap((door): Frame[] => {
    const hours = Array.from({ length: toHour - fromHour }, (_, i) => fromHour + i).filter(
      h => but(door, h) !== 'silent',
    )
    if (hours.length === 0) return []
    const failed = hours.map(hour => but(door, hour) === 'failed')
    return [
      {
        ...{ site: 'London', device: String(door), stream: 'count', startNs: BigInt(dayMs) * 1_000_000n },
        offsetsNs: Float64Array.from(hours, hour => hour * 3.6e12),
        columns: [
          {
            name: 'count',
            type: 'int',
            values: hours.map((hour, i) => (failed[i] ? null : 40 + ((hour * 7 + door) % 60))),
          },
          { name: 'status', type: 'text', values: failed.map(bad => (bad ? 'failed' : null)) },
        ],
        origin: { source: 'doors', file },
      },
    ]
  })
  const rows = frames.reduce((sum, frame) => sum + frame.offsetsNs.length, 0)
  const line = {
    source: 'doors',
    file,
    generation: 1,
    rowsRead: rows,
    rowsStored: rows,
    rowsRejected: 0,
    bytes: rows * 31,
  }
  return { gateway, frames, ledger: [{ ...line, complete: toHour === 20 }] }
}

/** Minutes of a gateway's state, as the cloud notes them. */
const watched = (gateway: string, fromMs: number, minutes: number, online: number): Partial<JournalEntry> => ({
  frames: [
    {
      ...{ site: 'penstock', device: gateway, stream: 'gateway', startNs: BigInt(fromMs) * 1_000_000n },
      offsetsNs: Float64Array.from({ length: minutes }, (_, i) => i * 6e10),
      columns: [{ name: 'online', type: 'int', values: Array.from({ length: minutes }, () => online) }],
    },
  ],
})

const historyOf = (todayMs: number): Partial<JournalEntry>[] => {
  const entries: Partial<JournalEntry>[] = []
  for (let ago = 27; ago >= 0; ago--) {
    const dayMs = zone.dayStartMs(todayMs - ago * MS_PER_DAY + MS_PER_HOUR * 3)
    const { weekday } = zone.parts(dayMs)
    if (weekday === 6) continue
    const last = ago === 0 ? 14 : 20
    // Eight days ago the spool of the shop was full: it dropped a day.
    if (ago === 9) entries.push({ gateway: 'shop', loss: { from: 21, through: 24, reason: 'the spool was full' } })
    else entries.push(shopDay(dayMs, ago, last))
    if (ago > 0) entries.push(dayOf('annex', dayMs, 9, ago === 1 ? 12 : last))
  }
  return entries
}

const shopDay = (dayMs: number, ago: number, last: number): Partial<JournalEntry> => {
  const day = dayOf('shop', dayMs, 9, last, (door, hour) => {
    if (door === 1 && (ago === 7 || (ago === 6 && hour < 15))) return 'silent'
    if (door === 2 && ago === 13 && (hour === 13 || hour === 14)) return 'failed'
    if (door === 3 && ago === 5 && hour === 15) return 'silent'
    if (ago === 15 && hour === 10) return 'silent'
    return undefined
  })
  if (ago !== 5) return day
  const { date } = zone.parts(dayMs)
  const file = `doors-${date}.csv`
  const ledger = (day.ledger ?? []).map(line => ({ ...line, rowsRead: line.rowsRead + 1, rowsRejected: 1 }))
  return {
    ...{ ...day, ledger },
    rejects: [
      {
        origin: { source: 'doors', file, firstLine: 28, lastLine: 28, format: 'csv' },
        reason: 'column "count": "1.2.3" is no whole number',
        text: `${date},15,London,3,1.2.3,`,
      },
    ],
  }
}
