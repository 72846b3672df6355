/** The arithmetic of local hours, and the causes of gaps, over the oracle and the lake, with rollups and records made from journal entries. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Frame, zoneOf } from '@penstock/frame'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { daysOf, type HourCell, hoursBetween } from '../src/coverage.ts'
import type { Historian } from '../src/historian.ts'
import { openLake } from '../src/historians/lake.ts'
import { createMemoryHistorian } from '../src/historians/memory.ts'
import type { JournalEntry } from '../src/projector.ts'
import { createHistorianProjector } from '../src/projectors/historian.ts'
import { openRecords, type Records } from '../src/projectors/records.ts'
import { createRollupProjector } from '../src/projectors/rollup.ts'
import { createSites, SYSTEM_SITE, sitesSchema } from '../src/sites.ts'
import { createWorld, problemOf, type World } from './app-world.ts'

const zones = [
  'Europe/Paris',
  'America/New_York',
  'Australia/Lord_Howe',
  'Africa/Casablanca',
  'Asia/Kolkata',
  'America/Sao_Paulo',
  'Pacific/Apia',
  'Asia/Tokyo',
]
/** Days around changes of the clock: spring, autumn, half an hour, at midnight, and a day that a zone left out. */
const changes = [
  '2024-03-31',
  '2024-10-27',
  '2024-03-10',
  '2024-11-03',
  '2024-04-07',
  '2024-10-06',
  '2018-02-18',
  '2018-11-04',
  '2011-12-30',
  '2024-07-01',
].map(date => Date.parse(`${date}T00:00:00Z`))

/** Where a local hour begins: minute by minute, by what a calendar says. */
const bruteHours = (zone: string, fromMs: number, toMs: number): number[] => {
  const format = new Intl.DateTimeFormat('en-GB', {
    ...{ timeZone: zone, hourCycle: 'h23', timeZoneName: 'longOffset' },
    ...{ year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit' },
  })
  const starts: number[] = []
  let before = format.format(fromMs - 60_000)
  for (let ms = fromMs; ms < toMs; ms += 60_000) {
    const now = format.format(ms)
    if (now !== before) starts.push(ms)
    before = now
  }
  return starts
}

describe('local hours', () => {
  it('begin where a calendar says, and each ends where the next begins', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.constantFrom(...changes),
        fc.integer({ min: -30 * 60, max: 30 * 60 }),
        fc.integer({ min: 0, max: 40 * 60 }),
        (zone, day, shift, length) => {
          const fromMs = day + shift * 60_000
          const toMs = fromMs + length * 60_000
          const hours = hoursBetween(zoneOf(zone), fromMs, toMs)
          expect(hours.map(hour => hour.startMs)).toEqual(bruteHours(zone, fromMs, toMs))
          expect(hours.slice(1).map(hour => hour.startMs)).toEqual(hours.slice(0, -1).map(hour => hour.endMs))
        },
      ),
      { numRuns: 80 },
    )
  })

  it('make days of 23, 24 and 25 hours', () => {
    const paris = zoneOf('Europe/Paris')
    const hoursOf = (date: string): number => {
      const noon = Date.parse(`${date}T12:00:00Z`)
      const startMs = paris.dayStartMs(noon)
      const cells = hoursBetween(paris, startMs, paris.dayStartMs(startMs + 36 * 3_600_000)).map(
        (hour): HourCell => ({ device: '1', ...hour, expected: 1, had: 1, failed: 0, rows: 1, state: 'ok' }),
      )
      const days = daysOf(paris, cells)
      expect(days.map(day => day.date)).toEqual([date])
      return days[0]?.expected ?? 0
    }
    expect([hoursOf('2024-03-31'), hoursOf('2024-07-01'), hoursOf('2024-10-27')]).toEqual([23, 24, 25])
  })
})

const site = {
  id: 'London',
  name: 'London',
  kind: 'store',
  zone: 'Europe/London',
  streams: { count: { rowsPerHour: 1 } },
}
const opening = { 'mon-sat': '09:00-20:00', sun: 'closed' }
const sites = createSites(
  sitesSchema.parse([
    { ...site, opening, devices: [{ id: '0', name: 'North' }, { id: '1' }, { id: '2' }] },
    { id: 'Rest', kind: 'store', zone: 'Europe/London', opening, devices: [{ id: '0' }] },
  ]),
)

type Hour = [date: string, hour: number, count: number | 'failed' | 'closed']
const at = (date: string, hour: number) => Date.parse(`${date}T${String(hour).padStart(2, '0')}:00:00+01:00`)
const frameOf = (device: string, hours: readonly Hour[], file?: string): Frame => {
  const startMs = Math.min(...hours.map(([date, hour]) => at(date, hour)))
  return {
    ...{ site: 'London', device, stream: 'count', startNs: BigInt(startMs) * 1_000_000n },
    offsetsNs: Float64Array.from(hours, ([date, hour]) => (at(date, hour) - startMs) * 1e6),
    columns: [
      { name: 'count', type: 'int', values: hours.map(([, , count]) => (typeof count === 'number' ? count : null)) },
      { name: 'status', type: 'text', values: hours.map(([, , count]) => (typeof count === 'number' ? null : count)) },
    ],
    origin: { source: 'doors', ...(file !== undefined && { file }) },
  }
}
/** Opening hours of days, but for some. */
const open = (dates: readonly string[], but: readonly `${string} ${number}`[] = []): Hour[] =>
  dates.flatMap(date =>
    Array.from({ length: 11 }, (_, i): Hour => [date, 9 + i, 5]).filter(([d, h]) => !but.includes(`${d} ${h}`)),
  )

const log = { info() {}, warn() {}, error() {} }
const historians: Record<string, (dir: string) => Promise<Historian>> = {
  memory: async () => createMemoryHistorian(),
  lake: async dir => openLake({ file: join(dir, 'lake.duckdb'), memoryMiBMax: 64, threads: 1, log }),
}

describe.each(Object.entries(historians))('gaps over the %s historian', (_, openHistorian) => {
  let dir: string
  let historian: Historian
  let records: Records
  let world: World
  let seq: number
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'penstock-gaps-'))
    historian = await openHistorian(dir)
    records = await openRecords(join(dir, 'records.duckdb'))
    world = createWorld({
      deps: { historian, sites, records, evidence: records.evidence, now: () => new Date('2024-07-04T12:00:00+01:00') },
    })
    seq = 0
  })
  afterEach(async () => {
    await records.close()
    await historian.close()
    await rm(dir, { recursive: true })
  })

  const take = async (...parts: Partial<JournalEntry>[]): Promise<void> => {
    const entries = parts.map(
      (part): JournalEntry => ({
        ...{ seq: ++seq, receivedMs: at('2024-07-04', 11), gateway: 'shop', epoch: 'e1', gatewaySeq: seq },
        ...{ frames: [], rejects: [], ledger: [], ...part },
      }),
    )
    await createHistorianProjector(historian, { log }).apply(entries)
    const rollup = createRollupProjector({ historian, sites, now: () => new Date('2024-07-04T11:00:00Z'), log })
    await rollup.apply(entries)
    await rollup.settle()
    await rollup.close()
    await records.apply(entries)
  }
  /** What the cloud noted of the gateway, minute by minute. */
  const watch = (fromMs: number, states: readonly number[]): Promise<void> =>
    take({
      gateway: undefined as never,
      frames: [
        {
          ...{ site: SYSTEM_SITE, device: 'shop', stream: 'gateway', startNs: BigInt(fromMs) * 1_000_000n },
          offsetsNs: Float64Array.from(states, (_, i) => i * 6e10),
          columns: [{ name: 'online', type: 'int', values: [...states] }],
        },
      ],
    })
  interface Answer {
    gaps: {
      sensor: string
      from: string
      to: string
      kind: string
      cause: string
      hours: number
      proof: Record<string, unknown>
    }[]
    totals: { cause: string; hours: number }[]
    next: string | null
  }
  const gapsOf = async (query = ''): Promise<Answer> => {
    const { status, body } = await world.get(`/v1/gaps?site=London&from=2024-07-01&to=2024-07-03${query}`)
    if (status !== 200) throw new Error(JSON.stringify(body))
    return body as Answer
  }
  const shortOf = ({ gaps }: Answer) =>
    gaps.map(g => `${g.sensor} ${g.from.slice(5, 13)} ${g.hours} ${g.kind} ${g.cause}`)
  const days = ['2024-07-01', '2024-07-02', '2024-07-03']

  it('are none where all came, and closed hours are none', async () => {
    await take({ frames: ['0', '1', '2'].map(d => frameOf(d, open(days))) })
    expect((await gapsOf()).gaps).toEqual([])
  })

  it('say that a sensor was silent where others of its gateway delivered, over the night as one', async () => {
    const quiet = open(days).filter(([date, hour]) => date === '2024-07-01' || (date === '2024-07-03' && hour > 10))
    await take({ frames: [frameOf('0', open(days)), frameOf('1', quiet), frameOf('2', open(days))] })
    const answer = await gapsOf()
    expect(shortOf(answer)).toEqual(['1 07-02T09 13 missing sensor-silent'])
    expect(answer.gaps[0]).toMatchObject({
      to: '2024-07-03T11:00:00+01:00',
      proof: { othersDelivered: 2, onItsWay: false },
    })
    expect(answer.totals).toEqual([{ cause: 'sensor-silent', gaps: 1, hours: 13 }])
  })

  it('say failed where the rows said so, and nothing where the sensor said that it was closed', async () => {
    const rows = open(days, ['2024-07-02 14', '2024-07-02 15', '2024-07-03 9'])
    rows.push(['2024-07-02', 14, 'failed'], ['2024-07-02', 15, 'failed'], ['2024-07-03', 9, 'closed'])
    await take({ frames: [frameOf('0', rows), frameOf('1', open(days)), frameOf('2', open(days))] })
    expect(shortOf(await gapsOf())).toEqual(['0 07-02T14 2 failed failed'])
  })

  it('name no cause where nothing proves one', async () => {
    const rows = open(days, ['2024-07-02 14'])
    await take({ frames: ['0', '1', '2'].map(d => frameOf(d, rows)) })
    const answer = await gapsOf()
    expect(shortOf(answer)).toEqual(['0', '1', '2'].map(d => `${d} 07-02T14 1 missing unknown`))
    expect(answer.gaps[0]?.proof).toMatchObject({ othersDelivered: 0, watchedMinutes: 0, gatewayOnline: null })
  })

  it('name the rejects whose text says the hour, each for one hour alone', async () => {
    const frames = [
      frameOf('0', open(days, ['2024-07-02 14']), 'a.csv'),
      frameOf('1', open(days, ['2024-07-02 16', '2024-07-03 16']), 'a.csv'),
      frameOf('2', open(days), 'a.csv'),
    ]
    const reject = (text: string) => ({
      origin: { source: 'doors', file: 'a.csv', firstLine: 1 },
      reason: 'no count',
      text,
    })
    await take({
      frames,
      rejects: [
        reject('2024-07-02,14,London,0,NULL,'),
        // It may be of 2 July or of the day after: it proves neither.
        reject('NULL,16,London,1,12,'),
        reject('2024-07-01,10,Paris,3,NULL,'),
      ],
    })
    const answer = await gapsOf()
    expect(shortOf(answer)).toEqual([
      '1 07-03T16 1 missing unknown',
      '1 07-02T16 1 missing unknown',
      '0 07-02T14 1 missing rejected',
    ])
    expect(answer.gaps[2]?.proof).toMatchObject({ rejects: { count: 1, files: ['a.csv'], id: '1.0' } })
  })

  it('name the rejects of a file that only this sensor writes, where they are as many as what is missing', async () => {
    const of = async (rejects: number) => {
      await take({
        frames: [frameOf('0', open(days, ['2024-07-02 14', '2024-07-02 15']), 'door-0.csv')],
        rejects: Array.from({ length: rejects }, () => ({
          ...{ origin: { source: 'doors', file: 'door-0.csv' }, reason: 'no number', text: '3,5;7' },
        })),
      })
      return shortOf(await gapsOf('&sensor=0'))
    }
    expect(await of(1)).toEqual(['0 07-02T14 2 missing unknown'])
    expect(await of(1)).toEqual(['0 07-02T14 2 missing rejected'])
  })

  it('show what a gateway lost between the readings before and after', async () => {
    const [a, b] = [open(days.slice(0, 1)), open(days.slice(2))]
    await take(
      { frames: ['0', '1', '2'].map(d => frameOf(d, a)) },
      { loss: { from: 7, through: 9, reason: 'the spool was full' } },
      { frames: ['0', '1', '2'].map(d => frameOf(d, b)) },
    )
    const answer = await gapsOf('&sensor=1')
    expect(shortOf(answer)).toEqual(['1 07-02T09 11 missing lost'])
    const loss = { gateway: 'shop', epoch: 'e1', from: 7, through: 9, reason: 'the spool was full' }
    expect(answer.gaps[0]?.proof.losses).toMatchObject([loss])
  })

  it('say that the gateway was offline where its history says so, and that it was there where that does', async () => {
    const rows = open(days, ['2024-07-02 14', '2024-07-02 17', '2024-07-02 19'])
    await take({ frames: ['0', '1', '2'].map(d => frameOf(d, rows)) })
    const status = {
      ...{ online: true, epoch: 'e1', oldestSeq: 8, nextSeq: 8, spoolBytes: 0, clock: '2024-07-04T11:00:00Z' },
      ...{ version: '1', sources: [] },
    }
    world.live.status('shop', status, at('2024-07-04', 12))
    await watch(at('2024-07-02', 14), [...Array(20).fill(1), ...Array(40).fill(0)])
    await watch(at('2024-07-02', 17), Array(60).fill(1))
    await watch(at('2024-07-02', 19), Array(20).fill(1))
    const answer = await gapsOf('&sensor=1')
    expect(shortOf(answer)).toEqual([
      '1 07-02T19 1 missing unknown',
      '1 07-02T17 1 missing sensor-silent',
      '1 07-02T14 1 missing gateway-offline',
    ])
    expect(answer.gaps[2]?.proof).toMatchObject({ watchedMinutes: 60, offlineMinutes: 40, onItsWay: false })
  })

  it('say that data are on their way while the gateway is offline, behind its last reading alone', async () => {
    const rows = open(days.slice(0, 2), ['2024-07-01 12'])
    await take({ frames: ['0', '1', '2'].map(d => frameOf(d, rows)) })
    const status = {
      ...{ online: false, epoch: 'e1', oldestSeq: 8, nextSeq: 20, spoolBytes: 0, clock: '2024-07-03T08:00:00Z' },
      ...{ version: '1', sources: [] },
    }
    world.live.status('shop', status, at('2024-07-03', 9))
    const answer = await gapsOf('&sensor=1')
    expect(shortOf(answer)).toEqual(['1 07-03T09 11 missing gateway-offline', '1 07-01T12 1 missing unknown'])
    expect(answer.gaps[0]?.proof).toMatchObject({ onItsWay: true, pendingEntries: 12, gatewayOnline: false })
  })

  it('can be filtered by cause and read page by page; coverage says the same hours', async () => {
    const rows = open(days, ['2024-07-02 14', '2024-07-03 14'])
    await take({ frames: [frameOf('0', rows), frameOf('1', open(days)), frameOf('2', open(days))] })
    const first = await gapsOf('&limit=1')
    expect(shortOf(first)).toEqual(['0 07-03T14 1 missing sensor-silent'])
    expect(shortOf(await gapsOf(`&limit=1&page=${encodeURIComponent(first.next ?? '')}`))).toEqual([
      '0 07-02T14 1 missing sensor-silent',
    ])
    expect((await gapsOf('&cause=lost')).gaps).toEqual([])
    const path = '/v1/coverage?site=London&from=2024-07-01&to=2024-07-04'
    const { rows: ofDays } = (await world.get(path)).body as { rows: Record<string, unknown>[] }
    expect(ofDays).toHaveLength(12)
    expect(ofDays[1]).toMatchObject({
      sensor: '0',
      date: '2024-07-02',
      expected: 11,
      had: 10,
      missingHours: 1,
      state: 'partial',
    })
    // The day that is going on has begun, and nothing of it came: 9 and 10 h are over.
    expect(ofDays[3]).toMatchObject({ date: '2024-07-04', hours: 2, missingHours: 2 })
    const { rows: ofHours } = (await world.get(`${path}&by=hour&sensor=0&limit=20000`)).body as {
      rows: { state: string }[]
    }
    expect(ofHours).toHaveLength(96)
    expect(ofHours.filter(row => row.state === 'missing')).toHaveLength(4)
  })

  it('are not asked of a site that expects nothing, nor for more than is bounded', async () => {
    await take({ frames: [frameOf('0', open(days))] })
    const rest = problemOf(await world.get('/v1/gaps?site=Rest'))
    expect(rest.detail).toContain('does not say what is expected of "Rest"')
    expect(problemOf(await world.get('/v1/coverage?site=London&from=1990-01-01')).detail).toMatch(
      /3 sensors can be asked for 3472 days/,
    )
    expect(problemOf(await world.get('/v1/gaps?site=London&page=x')).status).toBe(400)
    expect(problemOf(await world.get('/v1/gaps?site=London&sensor=9')).status).toBe(404)
    expect(problemOf(await world.get('/v1/gaps?site=London&from=2024-07-02&to=2024-07-01')).detail).toContain('behind')
  })
})
