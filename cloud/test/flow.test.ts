import { describe, expect, it } from 'vitest'
import { type Attention, attentionOf, type Flow, type FlowOptions, type GatewayNow, openFlow } from '../src/flow.ts'

const quietFlow: Flow = {
  ...{ atMs: 0, gateways: [], projections: [], disk: null, rejects: { lastHour: 0, lastDay: 0 } },
  broker: { connected: true, clients: 1, messages: { perSecond: 1 }, rows: { perSecond: 1 }, queuedBytes: 0 },
  journal: { perSecond: 1, lastSeq: 9, bytes: 1, bytesMax: null, lostEntries: 0 },
}
const gateway = (over: Partial<GatewayNow> = {}): GatewayNow => ({
  ...{ gateway: 'shop', online: true, silentMs: 1000, pendingEntries: 0, clockAheadMs: 0, problems: [], sources: [] },
  ...over,
})
const whatOf = (flow: Partial<Flow>, ...gateways: GatewayNow[]) =>
  attentionOf({ ...quietFlow, ...flow }, gateways, 1000).map(({ level, what, link }) => `${level} ${link} ${what}`)

describe('what needs attention', () => {
  it('is nothing where all is well', () => {
    expect(whatOf({}, gateway({ sources: [{ id: 'a', health: 'finished' }], clockAheadMs: 59_000 }))).toEqual([])
  })
  it('says each thing in words, the urgent ones first, with where one acts', () => {
    const projection = { perSecond: 0, applied: 1, problem: null }
    expect(
      whatOf(
        {
          projections: [
            { ...projection, name: 'historian', behind: 1200 },
            { ...projection, name: 'rollup-influx', behind: 3, problem: 'the server is down' },
          ],
          disk: { freeBytes: 5e9, totalBytes: 1e11 },
          rejects: { lastHour: 12, lastDay: 40 },
        },
        gateway({ online: false, silentMs: 3 * 3_600_000, pendingEntries: 312 }),
        gateway({
          gateway: 'b',
          clockAheadMs: -120_000,
          sources: [{ id: 'com', health: 'failing', message: 'no port' }],
        }),
      ),
    ).toEqual([
      'urgent / The counts by hour and day (influx) cannot be written: the server is down.',
      'urgent /gateways?gateway=shop Gateway shop is offline, for 3 hours.',
      'urgent /gateways?gateway=b Source com of gateway b fails: no port.',
      'soon / The historian is behind the journal by 1,200 entries.',
      'soon /gateways?gateway=b The clock of gateway b is 2 minutes behind.',
      'soon /quarantine The quarantine grew by 12 rows in the last hour (40 in a day).',
      'soon / The disk of the cloud has 5.0 GB left (5 %).',
    ])
  })
})

describe('the flow', () => {
  it('tells rates over what it saw, when what waits will have come, and what changed once', async () => {
    let [atMs, seq, pending] = [1_000_000, 100, 60]
    const told: (readonly Attention[])[] = []
    const options: FlowOptions = {
      ...{ now: () => atMs, everyMs: 2 ** 31 - 1, behindEntriesMax: 1000, log: { warn() {} } },
      gateways: () => [gateway({ pendingEntries: pending, online: seq < 300 })],
      broker: () => ({ connections: 3, connected: true }),
      ingest: () => ({ envelopes: seq, duplicates: 0, invalid: 0, rows: 10 * seq, queuedBytes: 0 }),
      journal: () => ({ bytes: 1, nextSeq: seq + 1, lostEntries: 0 }),
      projections: () => [{ name: 'historian', applied: seq - 5, last: seq }],
      disk: async () => ({ freeBytes: 9e11, totalBytes: 1e12 }),
      rejectsSince: async () => 0,
      onAttention: items => told.push(items),
    }
    const watch = openFlow(options)
    await watch.look()
    expect(watch.flow().journal.perSecond).toBeNull()
    ;[atMs, seq, pending] = [atMs + 10_000, 150, 40]
    await watch.look()
    const flow = watch.flow()
    expect([flow.journal.perSecond, flow.broker.rows.perSecond]).toEqual([5, 50])
    expect(flow.projections).toEqual([{ name: 'historian', applied: 145, behind: 5, problem: null, perSecond: 5 }])
    expect(flow.gateways[0]).toMatchObject({ pendingPerSecond: -2, emptyInMs: 20_000 })
    expect(told).toEqual([])
    seq = 300
    await watch.look()
    await watch.look()
    expect(told.map(items => items.map(item => item.id))).toEqual([['offline shop']])
    await watch.close()
  })
})
