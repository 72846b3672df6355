import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Frame, rowNs } from '@penstock/frame'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Aggregate, DirtyHour, Historian, Level, Resolution } from '../src/historian.ts'
import { openLake } from '../src/historians/lake.ts'
import { createMemoryHistorian } from '../src/historians/memory.ts'
import type { JournalEntry, Projector } from '../src/projector.ts'
import { createHistorianProjector } from '../src/projectors/historian.ts'
import { createRollupProjector, type RollupProjector } from '../src/projectors/rollup.ts'
import { createSites, type Sites, siteSchema } from '../src/sites.ts'
import { collect, frame, int, ns, text } from './historian.contract.ts'

const quiet = { info() {} }
const entry = (seq: number, frames: Frame[]): JournalEntry => ({ seq, receivedMs: 0, frames, rejects: [], ledger: [] })
const siteIn = (zone: string, extra: object = {}): Sites =>
  createSites([siteSchema.parse({ id: 'london', kind: 'store', zone, ...extra })])

/** The projectors on one historian, as the runner drives them: rollup behind rows, each from its own cursor. */
const createRig = (historian: Historian, sites: Sites, pace: { hotMsMin?: number; dutyMax?: number } = {}) => {
  const journal: JournalEntry[] = []
  const told: Aggregate[] = []
  let clockMs = 1_000
  const open = (): readonly [Projector, RollupProjector] => [
    createHistorianProjector(historian),
    createRollupProjector({
      historian,
      sites,
      now: () => new Date(clockMs++),
      log: quiet,
      onAggregates: rows => told.push(...rows),
      hoursPerWriteMax: 7,
      dirtyHoursMax: 20,
      ...pace,
    }),
  ]
  let projectors = open()
  return {
    told,
    put(...frames: Frame[]) {
      journal.push(entry(journal.length + 1, frames))
    },
    /** A process that ends without a word, and its successor. */
    async restart() {
      await projectors[1].close()
      projectors = open()
    },
    settle: () => projectors[1].settle(),
    close: () => projectors[1].close(),
    /** Applies all that is new, in calls of `entriesMax` entries. */
    async run(entriesMax = 3, only: readonly Projector[] = projectors) {
      for (const projector of only) {
        for (let at = await projector.cursor(); at < journal.length; at += entriesMax) {
          await projector.apply(journal.slice(at, at + entriesMax))
        }
      }
    },
    runRows: () => createHistorianProjector(historian).apply(journal),
    rows: async (level: Level, resolution: Resolution, stream = 'count') =>
      collect(historian.readAggregates({ level, resolution, stream })),
  }
}

const simple = (rows: readonly Aggregate[]) =>
  rows.map(r => [r.device, r.date, r.hour, r.n, r.sum, r.failed, r.closed, r.revision])

describe('rollups', () => {
  it('count late, repeated and corrected rows into their hour, with a higher revision only where something changed', async () => {
    const rig = createRig(createMemoryHistorian(), siteIn('Europe/London'))
    const hour = 3_600_000_000_000
    const status = text('status', [null, 'failed', null])
    rig.put(frame([0, hour, 2 * hour], [int('v', [5, null, 7]), status]))
    await rig.run()
    const first = [
      ['1', '2024-07-01', 11, 1, 5, 0, 0, 1],
      ['1', '2024-07-01', 12, 0, null, 1, 0, 1],
      ['1', '2024-07-01', 13, 1, 7, 0, 0, 1],
    ]
    expect(simple(await rig.rows('sensor', 'hour'))).toEqual(first)
    rig.put(frame([0, hour, 2 * hour], [int('v', [5, null, 7]), status]))
    await rig.run()
    expect(simple(await rig.rows('sensor', 'hour'))).toEqual(first)
    rig.put(frame([hour], [int('v', [3])]), frame([1], [int('v', [1])], { device: '2' }))
    await rig.run()
    expect(simple(await rig.rows('sensor', 'hour'))).toEqual([
      ['1', '2024-07-01', 11, 1, 5, 0, 0, 1],
      ['2', '2024-07-01', 11, 1, 1, 0, 0, 1],
      ['1', '2024-07-01', 12, 1, 3, 0, 0, 2],
      ['1', '2024-07-01', 13, 1, 7, 0, 0, 1],
    ])
    expect(simple(await rig.rows('site', 'hour'))).toEqual([
      ['', '2024-07-01', 11, 2, 6, 0, 0, 2],
      ['', '2024-07-01', 12, 1, 3, 0, 0, 2],
      ['', '2024-07-01', 13, 1, 7, 0, 0, 1],
    ])
    expect(simple(await rig.rows('sensor', 'day'))).toEqual([
      ['1', '2024-07-01', null, 3, 15, 0, 0, 2],
      ['2', '2024-07-01', null, 1, 1, 0, 0, 1],
    ])
    expect(simple(await rig.rows('site', 'day'))).toEqual([['', '2024-07-01', null, 4, 16, 0, 0, 2]])
  })
  it('lose a column that a correction took away', async () => {
    const rig = createRig(createMemoryHistorian(), siteIn('UTC'))
    rig.put(frame([0], [int('a', [1]), int('b', [2])]))
    await rig.run()
    rig.put(frame([0], [int('a', [1])]))
    await rig.run()
    for (const level of ['sensor', 'site'] as const) {
      for (const resolution of ['hour', 'day'] as const) {
        expect((await rig.rows(level, resolution)).map(r => [r.column, r.revision])).toEqual([['a', 1]])
      }
    }
    expect(rig.told.filter(r => r.rows === 0).map(r => r.column)).toEqual(['b', 'b', 'b', 'b'])
  })
  it('know what was expected and what of it was had, also of a sensor that is silent', async () => {
    const sites = siteIn('Europe/London', {
      opening: { daily: '10:00-14:00' },
      devices: [{ id: '1' }, { id: 'silent' }],
      streams: { count: { rowsPerHour: 1 } },
    })
    const rig = createRig(createMemoryHistorian(), sites)
    const hour = 3_600_000_000_000
    rig.put(frame([-3 * hour, 0, hour, 2 * hour], [int('v', [0, 5, null, 7])]))
    await rig.run()
    const facts = async (level: Level, resolution: Resolution) =>
      (await rig.rows(level, resolution)).map(r => [r.hour, r.expected, r.had])
    expect(await facts('sensor', 'hour')).toEqual([
      [8, 0, 0],
      [11, 1, 1],
      [12, 1, 0],
      [13, 1, 1],
    ])
    expect(await facts('sensor', 'day')).toEqual([[null, 4, 2]])
    expect(await facts('site', 'hour')).toEqual([
      [8, 0, 0],
      [11, 2, 1],
      [12, 2, 0],
      [13, 2, 1],
    ])
    expect(await facts('site', 'day')).toEqual([[null, 8, 2]])
  })
  it('are all computed again when the sites have changed', async () => {
    const historian = createMemoryHistorian()
    const before = createRig(historian, siteIn('UTC'))
    before.put(frame([0], [int('v', [1])]))
    await before.run()
    const after = createRig(historian, siteIn('Asia/Kolkata'))
    after.put(frame([0], [int('v', [1])]))
    await after.run()
    expect(simple(await after.rows('sensor', 'hour'))).toEqual([['1', '2024-07-01', 15, 1, 1, 0, 0, 1]])
    expect((await after.rows('sensor', 'hour'))[0]?.startNs).toBe(ns('2024-07-01T09:30:00Z'))
  })
  it('leave a hot hour marked, durably and with the cursor, until it is due or the process is another', async () => {
    const historian = createMemoryHistorian()
    const rig = createRig(historian, siteIn('UTC'), { hotMsMin: 0, dutyMax: 1e-9 })
    rig.put(frame([0], [int('v', [1])]))
    await rig.run()
    rig.put(frame([1], [int('v', [2])]), frame([0], [int('v', [3])], { device: '2' }))
    await rig.run()
    expect(simple(await rig.rows('sensor', 'hour')).map(row => row[4])).toEqual([1, 3])
    const marked: DirtyHour = { site: 'london', device: '1', stream: 'count', startNs: ns('2024-07-01T10:00:00Z') }
    expect(await historian.dirtyHours()).toEqual([marked])
    expect(await historian.aggregatesCursor()).toBe(2)
    await rig.restart()
    await rig.settle()
    expect(simple(await rig.rows('sensor', 'hour')).map(row => row[4])).toEqual([3, 3])
    expect(simple(await rig.rows('site', 'day')).map(row => row[4])).toEqual([6])
    expect(await historian.dirtyHours()).toEqual([])
    await rig.close()
  })
  it('compute a hot hour by themselves once it is due', async () => {
    const historian = createMemoryHistorian()
    const rig = createRig(historian, siteIn('UTC'), { hotMsMin: 0, dutyMax: 0.02 })
    rig.put(frame([0], [int('v', [1])]))
    await rig.run()
    rig.put(frame([1], [int('v', [2])]))
    await rig.run()
    await expect.poll(async () => (await rig.rows('site', 'hour'))[0]?.sum, { timeout: 10_000 }).toBe(3)
    await rig.close()
  })
  it('refuse entries that the historian has not applied', async () => {
    const rig = createRig(createMemoryHistorian(), siteIn('UTC'))
    const rollup = createRollupProjector({
      historian: createMemoryHistorian(),
      sites: siteIn('UTC'),
      now: () => new Date(),
      log: quiet,
    })
    await expect(rollup.apply([entry(1, [frame([0], [int('v', [1])])])])).rejects.toThrow('has applied 0 of 1')
    expect(rig.told).toEqual([])
  })
})

/** Local date, hour and offset by the runtime's own calendar: independent of the zone that is tested. */
const localOf = (zone: string) => {
  const format = new Intl.DateTimeFormat('en-CA', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    timeZoneName: 'longOffset',
  })
  return (t: bigint) => {
    const parts = Object.fromEntries(format.formatToParts(Number(t / 1_000_000n)).map(p => [p.type, p.value]))
    return { date: `${parts.year}-${parts.month}-${parts.day}`, hour: Number(parts.hour), offset: parts.timeZoneName }
  }
}

/** The four tables from all frames at once, by the definition alone. */
const bruteForce = (frames: readonly Frame[], zone: string) => {
  const local = localOf(zone)
  const readings = new Map<string, { device: string; t: bigint; v: number | null | undefined; status: string | null }>()
  for (const f of frames) {
    f.offsetsNs.forEach((_, i) => {
      const t = rowNs(f, i)
      const column = (name: string) => f.columns.find(c => c.name === name)?.values[i]
      const v = column('v') as number | null | undefined
      readings.set(`${f.device} ${t}`, { device: f.device, t, v, status: (column('status') ?? null) as string | null })
    })
  }
  const table = (keyOf: (r: { device: string; t: bigint }) => string) => {
    const groups = new Map<string, (typeof readings extends Map<string, infer R> ? R : never)[]>()
    for (const r of [...readings.values()].sort((a, b) => (a.t < b.t ? -1 : 1))) {
      const key = keyOf(r)
      groups.set(key, [...(groups.get(key) ?? []), r])
    }
    const rows = [...groups].filter(([, group]) => group.some(r => r.v !== undefined))
    return rows
      .map(([key, group]) => {
        const values = group.flatMap(r => (typeof r.v === 'number' ? [r.v] : []))
        const holes = group.filter(r => r.v === null && r.status !== null && r.status !== 'ok')
        const closed = holes.filter(r => r.status === 'closed').length
        return [
          key,
          values.length,
          values.length > 0 ? values.reduce((a, v) => a + v, 0) : null,
          values.length > 0 ? Math.min(...values) : null,
          values.length > 0 ? Math.max(...values) : null,
          holes.length - closed,
          closed,
        ]
      })
      .sort()
  }
  const hour = ({ t }: { t: bigint }) => {
    const l = local(t)
    return `${l.date} ${l.hour} ${l.offset}`
  }
  return [
    table(r => `${r.device} ${hour(r)}`),
    table(r => `${r.device} ${local(r.t).date}`),
    table(hour),
    table(r => local(r.t).date),
  ]
}

const fourTables = async (rig: ReturnType<typeof createRig>, zone: string) => {
  const local = localOf(zone)
  const plain = (rows: Aggregate[]) =>
    rows
      .map(r => {
        const end = local(r.endNs - 1n)
        const hour = r.hour === null ? '' : ` ${r.hour} ${end.offset}`
        return [`${r.device} ${r.date}${hour}`.trim(), r.n, r.sum, r.min, r.max, r.failed, r.closed]
      })
      .sort()
  const tables = []
  for (const level of ['sensor', 'site'] as const) {
    for (const resolution of ['hour', 'day'] as const) tables.push(plain(await rig.rows(level, resolution)))
  }
  return tables
}

/** Nights in which the clock changes in some of the zones. */
const nights = [
  '2024-03-30T20:00:00Z',
  '2024-10-26T20:00:00Z',
  '2024-10-05T12:00:00Z',
  '2024-04-06T12:00:00Z',
  '2024-11-03T02:00:00Z',
]
const zones = ['Europe/Paris', 'Australia/Lord_Howe', 'America/New_York', 'Asia/Kolkata', 'UTC', 'America/St_Johns']
const quarter = 900_000_000_000
const rowsArbitrary = fc
  .record({
    device: fc.constantFrom('1', '2', '3'),
    night: fc.constantFrom(...nights),
    rows: fc.array(
      fc.record({
        offset: fc.oneof(
          fc.integer({ min: 0, max: 160 }).map(q => q * quarter),
          fc.integer({ min: -1e12, max: 1.4e14 }),
        ),
        v: fc.option(fc.integer({ min: -1e13, max: 1e13 }), { freq: 5 }),
        status: fc.constantFrom(null, null, 'failed', 'closed', 'ok', 'odd'),
      }),
      { maxLength: 12 },
    ),
    without: fc.constantFrom(true, false, false, false),
  })
  .map(({ device, night, rows, without }) => {
    const offsets = rows.map(r => r.offset)
    const v = int(
      'v',
      rows.map(r => r.v),
    )
    const status = text(
      'status',
      rows.map(r => r.status),
    )
    const columns = without ? [status] : [v, status]
    return frame(offsets, columns, { device, startNs: ns(night) })
  })
const stepArbitrary = fc.oneof(
  { weight: 6, arbitrary: fc.array(rowsArbitrary, { maxLength: 3 }).map(frames => ({ kind: 'put' as const, frames })) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 5 }).map(entriesMax => ({ kind: 'run' as const, entriesMax })) },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 4 }).map(after => ({ kind: 'crash' as const, after })) },
)
const historyArbitrary = fc.record({
  zone: fc.constantFrom(...zones),
  /** Whether every hour is hot once it was computed. */
  paced: fc.boolean(),
  steps: fc.array(stepArbitrary, { minLength: 3, maxLength: 14 }),
})
type History = typeof historyArbitrary extends fc.Arbitrary<infer H> ? H : never

/** A historian whose writing of aggregates fails when told to. */
const createFailing = (historian: Historian) => {
  let writesLeft = Number.POSITIVE_INFINITY
  const failing: Historian = {
    ...historian,
    async writeAggregates(...all) {
      if (writesLeft-- <= 0) throw new Error('the disk is gone')
      await historian.writeAggregates(...all)
    },
  }
  return {
    failing,
    failAfter(writes: number) {
      writesLeft = writes
    },
  }
}

const live = async (historian: Historian, { zone, steps, paced }: History) => {
  const { failing, failAfter } = createFailing(historian)
  const rig = createRig(failing, siteIn(zone), paced ? { hotMsMin: 0, dutyMax: 1e-9 } : {})
  const frames: Frame[] = []
  for (const step of steps) {
    if (step.kind === 'put') {
      rig.put(...step.frames)
      frames.push(...step.frames)
    } else if (step.kind === 'run') await rig.run(step.entriesMax)
    else if (step.kind === 'crash') {
      failAfter(step.after)
      await rig.run(2).catch(() => rig.restart())
      await rig.settle().catch(() => rig.restart())
      failAfter(Number.POSITIVE_INFINITY)
    } else await rig.restart()
  }
  await rig.run()
  await rig.settle()
  expect(await fourTables(rig, zone)).toEqual(bruteForce(frames, zone))
  const before = await rig.rows('site', 'day')
  rig.put(...frames)
  await rig.run()
  await rig.settle()
  await rig.close()
  // All again, in one entry: only where several rows of one time differ may a row have changed in between.
  expect((await rig.rows('site', 'day')).map(r => r.sum)).toEqual(before.map(r => r.sum))
}

describe('random histories give what brute force gives, in every digit', () => {
  it('on the oracle', async () => {
    await fc.assert(
      fc.asyncProperty(historyArbitrary, history => live(createMemoryHistorian(), history)),
      { numRuns: 80, endOnFailure: true },
    )
  })
  it('on the lake', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'penstock-rollup-'))
    let lakes = 0
    try {
      await fc.assert(
        fc.asyncProperty(historyArbitrary, async history => {
          const file = join(folder, `${lakes++}.duckdb`)
          const lake = await openLake({ file, memoryMiBMax: 128, threads: 2, log: quiet })
          try {
            await live(lake, history)
          } finally {
            await lake.close()
          }
        }),
        { numRuns: 5, endOnFailure: true },
      )
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
