/** The app over the in-memory historian, for tests: `world.get(path)` asks it, everything behind it is at hand. */
import { type Frame, formatNs, type Receipt, type Status, zoneOf } from '@penstock/frame'
import type { ServerOptions } from '@penstock/http'
import { Registry } from 'prom-client'
import { createApp } from '../src/app.ts'
import type { Access, AppDeps } from '../src/deps.ts'
import { type FlowOptions, openFlow } from '../src/flow.ts'
import type { Aggregate, Historian } from '../src/historian.ts'
import { createMemoryHistorian } from '../src/historians/memory.ts'
import { lineMappingSchema } from '../src/lines.ts'
import { createLive, type Live } from '../src/projectors/live.ts'
import { createSites, sitesSchema } from '../src/sites.ts'

export const nowMs = Date.parse('2024-08-01T12:00:00Z')
const opening = { 'mon-sat': '09:00-20:00', sun: 'closed' }

export const siteConfigs = sitesSchema.parse([
  { id: 'London', kind: 'store', zone: 'Europe/London', opening, devices: [{ id: '0' }, { id: '1', name: 'North' }] },
  { id: 'Madrid', kind: 'store', zone: 'Europe/Madrid', opening, devices: [{ id: '0' }] },
  { id: 'bench', kind: 'lab', zone: 'Asia/Tokyo' },
])

const noRecords: AppDeps['records'] = {
  rejects: async () => [],
  countRejects: async () => 0,
  rejectGroups: async () => [],
  cursor: async () => 0,
  ledger: async () => [],
  ledgerTotals: async () => ({ files: 0, rowsRead: 0, rowsStored: 0, rowsRejected: 0 }),
  losses: async () => [],
  framesAt: async () => [],
  totals: async () => ({ rejects: 0, ledgerLines: 0, losses: 0, lostEntries: 0 }),
}

const noEvidence: AppDeps['evidence'] = {
  feeds: async () => [],
  nearRejects: async () => [],
  nearLosses: async () => [],
  rejectsSince: async () => 0,
}

const quietFlow: FlowOptions = {
  ...{ now: () => nowMs, everyMs: 2 ** 31 - 1, behindEntriesMax: 1000, log: { warn: () => {} }, onAttention: () => {} },
  ...{ gateways: () => [], projections: () => [], disk: async () => undefined, rejectsSince: async () => 0 },
  broker: () => ({ connections: 0, connected: true }),
  ingest: () => ({ envelopes: 0, duplicates: 0, invalid: 0, rows: 0, queuedBytes: 0 }),
  journal: () => ({ bytes: 4096, nextSeq: 8, lostEntries: 0 }),
}

export interface World {
  deps: AppDeps
  historian: Historian
  live: Live
  metrics: Registry
  /** What /v1/frames handed on. */
  taken: { gateway: string; epoch: string; seq: number; body: Uint8Array }[]
  statuses: { gateway: string; status: Status }[]
  errors: unknown[]
  /** The status that the journal says for each epoch. */
  answer(receipt: (epoch: string, seq: number) => Receipt): void
  /** For a real server. */
  fetch: ServerOptions['fetch']
  request(path: string, init?: RequestInit & { from?: string }): Promise<Response>
  get(path: string, headers?: Record<string, string>): Promise<{ status: number; headers: Headers; body: unknown }>
}

export const createWorld = (options: { access?: Partial<Access>; deps?: Partial<AppDeps> } = {}): World => {
  const historian = createMemoryHistorian()
  const live = createLive({ run: 'r1', now: Date.now, coalesceMs: 5 })
  const metrics = new Registry()
  const taken: World['taken'] = []
  const statuses: World['statuses'] = []
  const errors: unknown[] = []
  let answer = (epoch: string, seq: number): Receipt => ({ epoch, through: seq })
  const deps: AppDeps = {
    ...{
      historian,
      sites: createSites(siteConfigs),
      records: noRecords,
      evidence: noEvidence,
      flow: openFlow(quietFlow),
      live,
      metrics,
      version: '1.2.3',
      lateHoursMax: 48,
    },
    async ingest(gateway, epoch, seq, body) {
      taken.push({ gateway, epoch, seq, body })
      return answer(epoch, seq)
    },
    receipt: (_gateway, epoch) => answer(epoch, 7),
    writes: {
      lines: async () => {},
      posted: async () => {},
      replay: async () => 0,
      dismiss: async () => 0,
      mapping: lineMappingSchema.parse({}),
    },
    status: (gateway, status) => statuses.push({ gateway, status }),
    journalStats: () => ({ oldestSeq: 1, nextSeq: 8, bytes: 4096, lostEntries: 0 }),
    journalEntry: async () => ({ gone: 'trimmed' }),
    readiness: () => ({ ready: true, reasons: [] }),
    now: () => new Date(nowMs),
    access: { hosts: [], ...options.access },
    log: { warn: () => {}, error: o => errors.push(o) },
    ...options.deps,
  }
  const app = createApp(deps)
  const request: World['request'] = async (path, { from = '127.0.0.1', ...init } = {}) =>
    app.request(path, init, { incoming: { socket: { remoteAddress: from } } })
  return {
    ...{ deps, historian, live, metrics, taken, statuses, errors, request, fetch: app.fetch },
    answer(next) {
      answer = next
    },
    async get(path, headers = {}) {
      const response = await request(path, { headers })
      const text = await response.text()
      const json = response.headers.get('content-type')?.includes('json')
      return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : text }
    },
  }
}

/** The stored hours of one door or, with device '', of a store; `count` null: failed. */
export const hourRows = (
  site: string,
  device: string,
  hours: readonly { date: string; hour: number; count: number | null }[],
  zoneName: string,
): Aggregate[] => {
  const zone = zoneOf(zoneName)
  return hours.map(({ date, hour, count }) => {
    const startMs = zone.fromLocalMs(Date.parse(`${date}T${String(hour).padStart(2, '0')}:00:00Z`))[0] ?? 0
    const n = count === null ? 0 : 1
    return {
      ...{
        level: device === '' ? 'site' : 'sensor',
        resolution: 'hour',
        site,
        device,
        stream: 'count',
        column: 'count',
      },
      ...{
        ...zone.parts(startMs),
        startNs: BigInt(startMs) * 1_000_000n,
        endNs: BigInt(startMs + 3_600_000) * 1_000_000n,
      },
      ...{ n, sum: count, min: count, max: count, mean: count, first: count, last: count },
      ...{ failed: 1 - n, closed: 0, rows: 1, expected: 1, had: n, revision: 1, computedAtMs: nowMs },
    } as Aggregate
  })
}

export const frameOf = (
  key: { site: string; device: string; stream: string },
  startNs: bigint,
  everyNs: number,
  columns: Frame['columns'],
): Frame => ({
  ...key,
  startNs,
  offsetsNs: Float64Array.from({ length: columns[0]?.values.length ?? 0 }, (_, i) => i * everyNs),
  columns,
})

export const iso = (ns: bigint): string => formatNs(ns)

/** Members of a problem that tests look at. */
export interface Problem {
  type: string
  status: number
  detail: string
  errors?: { parameter: string; detail: string; suggestion?: string }[]
}
export const problemOf = (answer: { headers: Headers; body: unknown }): Problem => {
  if (answer.headers.get('content-type') !== 'application/problem+json') throw new Error('this is no problem')
  return answer.body as Problem
}
