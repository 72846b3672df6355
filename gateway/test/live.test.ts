import type { Column, Frame, Reject } from '@penstock/frame'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRate } from '../src/live/rate.ts'
import { breakAtGaps, createPointBudget, createTrace, decimate } from '../src/live/trace.ts'
import { createLive, type LiveOptions, type Passed } from '../src/live.ts'

const startMs = Date.parse('2026-03-01T12:00:00Z')
const frameOf = (columns: Column[], offsetsMs: number[], stream = 'pressure'): Frame => ({
  ...{ site: 'Lab', device: 'gauge', stream, startNs: BigInt(startMs) * 1_000_000n, columns },
  offsetsNs: Float64Array.from(offsetsMs, ms => ms * 1e6),
})
const seconds = (n: number) => Array.from({ length: n }, (_, i) => i * 1000)
const numbers = (values: (number | null)[]): Column => ({ name: 'p', unit: 'Pa', type: 'float', values })
const reject = (reason: string): Reject => ({ origin: { source: 'gauge' }, reason, text: 'x'.repeat(5000) })
const batch = (frames: Frame[], rejects: Reject[] = []) => ({ frames, rejects })
const where = { site: 'Lab', device: 'gauge', stream: 'pressure', column: 'p', pointsMax: 2000 }

const newLive = (options: Partial<LiveOptions> = {}) => {
  const clock = { ms: startMs }
  const failures: unknown[] = []
  const live = createLive({ nowMs: () => clock.ms, onFailure: error => failures.push(error), ...options })
  return { live, clock, failures }
}
const pointsOf = (live: ReturnType<typeof newLive>['live'], minutes?: number, pointsMax = 2000) => {
  const series = live.series({ ...where, pointsMax, ...(minutes !== undefined && { minutes }) })
  if (series?.kind !== 'points') throw new Error(`no points but ${series?.kind}`)
  return series
}

describe('what has passed', () => {
  it('is the latest row of each stream, with its columns, time, status and source', () => {
    const { live, clock } = newLive()
    const status: Column = { name: 'status', type: 'text', values: [null, 'failed'] }
    const note: Column = { name: 'note', type: 'text', values: ['a', 'b'.repeat(2000)] }
    const curve: Column = { name: 'curve', type: 'vector', values: [new Float64Array(3), Float64Array.of(2, 9, -1)] }
    const frame = frameOf([numbers([1, null]), note, curve, status], [0, 1000.000001])
    live.passed('gauge', batch([{ ...frame, origin: { source: 'gauge', file: 'a.csv' } }]))
    clock.ms += 60_000
    expect(live.streams()).toEqual([
      {
        ...{ source: 'gauge', site: 'Lab', device: 'gauge', stream: 'pressure', file: 'a.csv' },
        ...{ time: '2026-03-01T12:00:01.000000001Z', status: 'failed', passedMs: startMs, rows: 2, rowsPerMinute: 2 },
        columns: [
          { name: 'p', unit: 'Pa', type: 'float', value: null },
          { name: 'note', type: 'text', value: `${'b'.repeat(1024)}…` },
          { name: 'curve', type: 'vector', value: { length: 3, min: -1, max: 9 } },
        ],
        columnsLeftOut: 0,
      },
    ])
  })

  it('forgets the stream that was silent longest beyond its limit, and gives its points back', () => {
    const { live, clock } = newLive({ streamsMax: 2, pointsMax: 128 })
    for (const stream of ['a', 'b', 'c', 'd']) {
      live.passed('s', batch([frameOf([numbers([1, 2])], seconds(2), stream)]))
      clock.ms += 1000
    }
    expect(live.streams().map(({ stream }) => stream)).toEqual(['c', 'd'])
    expect(live.series({ ...where, stream: 'd' })).toMatchObject({ kind: 'points', values: [1, 2] })
    expect(live.series({ ...where, stream: 'a' })).toBeUndefined()
  })

  it('keeps the last rejects, the newest first, their text cut', () => {
    const { live } = newLive({ rejectsMax: 3 })
    live.passed('gauge', batch([], [reject('one')]))
    live.passed('gauge', batch([], ['two', 'three', 'four', 'five'].map(reject)))
    expect(live.rejects().map(({ reason, number }) => [reason, number])).toEqual([
      ['five', 5],
      ['four', 4],
      ['three', 3],
    ])
    expect(live.rejects()[0]?.text).toHaveLength(1024)
    expect(live.stats()).toMatchObject({ rejects: 5, rows: 0 })
  })

  it('never throws: a batch that it cannot read is told once', () => {
    const { live, failures } = newLive()
    const broken = { ...frameOf([numbers([1])], [0]), columns: undefined as unknown as Column[] }
    live.passed('gauge', batch([broken]))
    live.passed('gauge', batch([broken]))
    live.passed('gauge', batch([frameOf([numbers([1])], [0])]))
    expect(failures).toHaveLength(1)
    expect(live.stats()).toMatchObject({ failures: 2 })
    expect(live.streams()).toHaveLength(1)
  })

  it('measures what comes into the spool', () => {
    const { live, clock } = newLive()
    for (let i = 0; i < 6; i++) {
      live.passed('gauge', batch([]), 1000)
      clock.ms += 10_000
    }
    expect(live.bytesPerMinute()).toBe(6000)
    clock.ms += 3_600_000
    expect(live.bytesPerMinute()).toBe(0)
  })
})

describe('the chart of a column', () => {
  it('has every value while they are few, holes as null, the last of equal times', () => {
    const { live } = newLive()
    live.passed('gauge', batch([frameOf([numbers([1, null, Number.NaN, 4])], seconds(4))]))
    live.passed('gauge', batch([frameOf([numbers([5, 6])], [3000, 4000])]))
    const { times, values, stretchMs, unit } = pointsOf(live)
    expect(values).toEqual([1, null, null, 5, 6])
    expect(times).toEqual([0, 1000, 2000, 3000, 4000].map(ms => startMs + ms))
    expect([stretchMs, unit]).toEqual([0, 'Pa'])
  })

  it('keeps a spike of one row among hundreds of thousands, in bounded memory', () => {
    const { live } = newLive()
    const rows = 20_000
    for (let part = 0; part < 10; part++) {
      const values = Array.from({ length: rows }, (_, i) => Math.sin(i / 50))
      if (part === 2) values[777] = 1000
      if (part === 7) values[778] = -1000
      const offsets = Array.from({ length: rows }, (_, i) => (part * rows + i) * 4)
      live.passed('gauge', batch([frameOf([numbers(values)], offsets)]))
    }
    const held = pointsOf(live)
    expect(held.stretchMs).toBeGreaterThan(0)
    for (const { values, times } of [held, pointsOf(live, undefined, 200)]) {
      expect(values).toContain(1000)
      expect(values).toContain(-1000)
      expect(times[values.indexOf(1000)]).toBe(startMs + (2 * rows + 777) * 4)
      expect(values.length).toBeLessThanOrEqual(4096)
    }
    expect(pointsOf(live, undefined, 200).values.length).toBeLessThanOrEqual(200)
  })

  it('is cut to the minutes asked for, back from the newest reading, whenever that was', () => {
    const { live } = newLive()
    live.passed('gauge', batch([frameOf([numbers(seconds(600).map(ms => ms / 1000))], seconds(600))]))
    expect(pointsOf(live, 1).values).toEqual(Array.from({ length: 61 }, (_, i) => 539 + i))
  })

  it('has the last rows of a stream that has few a day, with a break where it was silent', () => {
    const { live } = newLive()
    const hours = [0, 1, 2, 3, 14, 15].map(h => h * 3_600_000)
    live.passed('gauge', batch([frameOf([numbers([1, 2, 3, 4, 5, 6])], hours)]))
    expect(pointsOf(live).values).toEqual([1, 2, 3, 4, null, 5, 6])
  })

  it('begins anew where readings of another day follow, and passes over those that come late', () => {
    const { live } = newLive()
    live.passed('gauge', batch([frameOf([numbers([1, 2])], [3_600_000, 3_601_000])]))
    live.passed('gauge', batch([frameOf([numbers([9])], [3_600_500])]))
    expect(pointsOf(live).values).toEqual([1, 2])
    live.passed('gauge', batch([frameOf([numbers([7, 8])], [0, 1000])]))
    expect(pointsOf(live).values).toEqual([7, 8])
  })

  it('shows a curve with its axis, as low and high where it is long, and says that text has none', () => {
    const { live } = newLive({ curvePointsMax: 100 })
    const spectrum = Float64Array.from({ length: 5000 }, (_, i) => (i === 1234 ? 65_535 : 1))
    const axis = Float64Array.from({ length: 5000 }, (_, i) => 200 + i / 10)
    const curve: Column = { name: 'p', type: 'vector', values: [spectrum], axis }
    const text: Column = { name: 'word', type: 'text', values: ['ON'] }
    const on: Column = { name: 'on', type: 'bool', values: [true] }
    live.passed('gauge', batch([frameOf([curve, text, on], [0])]))
    const series = live.series(where)
    if (series?.kind !== 'curve') throw new Error('no curve')
    expect(series.length).toBe(5000)
    expect(series.values.length).toBeLessThanOrEqual(100)
    expect(series.axis[series.values.indexOf(65_535)]).toBeCloseTo(200 + 123.4)
    expect(live.series({ ...where, column: 'word' })).toMatchObject({ kind: 'text', value: 'ON' })
    expect(live.series({ ...where, column: 'on' })).toMatchObject({ kind: 'points', values: [1] })
    expect(live.series({ ...where, column: 'none' })).toBeUndefined()
  })

  it('holds lowest and highest of all that it was given, in rising time, whatever comes', () => {
    const row = fc.tuple(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: -1000, max: 1000 }))
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 1, maxLength: 400 }),
        fc.integer({ min: 16, max: 80 }),
        (rows, pointsMax) => {
          const budget = createPointBudget(64)
          const trace = createTrace({ windowMs: 1e12, pointsMin: 0, pointsMax, budget })
          let ms = 0
          const added: number[] = []
          for (const [step, value] of rows) {
            ms += step + 1
            trace.add(ms, value)
            added.push(value)
          }
          const held = trace.points(Number.NEGATIVE_INFINITY)
          const shown = decimate(held, 16)
          for (const { times, values } of [held, shown]) {
            expect(times.length).toBeLessThanOrEqual(times === held.times ? 80 : 16)
            expect(times.every((t, i) => i === 0 || t > (times[i - 1] as number))).toBe(true)
            const known = values.filter(v => v !== null)
            expect(Math.max(...known)).toBe(Math.max(...added))
            expect(Math.min(...known)).toBe(Math.min(...added))
          }
        },
      ),
    )
  })

  it('does without a chart where all points are taken, and breaks no line where nothing was silent', () => {
    const budget = createPointBudget(0)
    const trace = createTrace({ windowMs: 1000, pointsMin: 1, pointsMax: 64, budget })
    trace.add(1, 1)
    expect(trace.points(0).times).toEqual([])
    const even = { times: [0, 1000, 2000, 3100], values: [1, 2, 3, 4] }
    expect(breakAtGaps(even, 0)).toEqual(even)
  })
})

describe('those who follow', () => {
  const read = async (events: AsyncIterable<Passed>, n: number): Promise<Passed[]> => {
    const seen: Passed[] = []
    for await (const event of events) {
      seen.push(event)
      if (seen.length === n) break
    }
    return seen
  }

  it('see rows and rejects of their source as they pass, the last rows of a large frame', async () => {
    const { live } = newLive({ rowsPerEventMax: 2 })
    const end = new AbortController()
    const following = live.follow({ source: 'gauge' }, end.signal)
    if (!following) throw new Error('refused')
    live.passed('other', batch([frameOf([numbers([0])], [0])]))
    const status: Column = { name: 'status', type: 'text', values: [null, null, 'saturated'] }
    live.passed('gauge', batch([frameOf([numbers([1, 2, 3]), status], seconds(3))], [reject('no number')]))
    const [rows, rejected] = await read(following, 2)
    expect(rows).toEqual({
      ...{ kind: 'rows', source: 'gauge', site: 'Lab', device: 'gauge', stream: 'pressure', leftOut: 1 },
      columns: [{ name: 'p', unit: 'Pa', type: 'float' }],
      rows: [
        { time: '2026-03-01T12:00:01.000Z', values: [2], status: null },
        { time: '2026-03-01T12:00:02.000Z', values: [3], status: 'saturated' },
      ],
    })
    expect(rejected).toMatchObject({ kind: 'reject', reject: { reason: 'no number' } })
    expect(live.stats().followers).toBe(0)
  })

  it('see fewer rows of a frame with many columns, but one', async () => {
    const { live } = newLive({ valuesPerEventMax: 6 })
    const following = live.follow({}, new AbortController().signal)
    if (!following) throw new Error('refused')
    const wide = (columns: number) =>
      Array.from({ length: columns }, (_, i) => ({ ...numbers([1, 2, 3]), name: `c${i}` }))
    live.passed('gauge', batch([frameOf(wide(3), seconds(3)), frameOf(wide(9), seconds(3))]))
    const seen = await read(following, 2)
    expect(seen.map(event => event.kind === 'rows' && [event.rows.length, event.leftOut])).toEqual([
      [2, 1],
      [1, 2],
    ])
  })

  it('are told what they missed where they are slow; nothing waits for them', async () => {
    const { live } = newLive({ eventsPerFollowerMax: 2 })
    const following = live.follow({}, new AbortController().signal)
    if (!following) throw new Error('refused')
    for (let i = 0; i < 5; i++) live.passed('gauge', batch([frameOf([numbers([i, i])], [i, i + 0.5])]))
    const [missed, ...rest] = await read(following, 3)
    expect(missed).toEqual({ kind: 'missed', rows: 6, rejects: 0 })
    expect(rest.map(event => event.kind === 'rows' && event.rows[0]?.values)).toEqual([[3], [4]])
  })

  it('are refused beyond a limit, and make room when they end', async () => {
    const { live } = newLive({ followersMax: 1 })
    const end = new AbortController()
    const first = live.follow({}, end.signal)
    expect(live.follow({}, new AbortController().signal)).toBeUndefined()
    const done = read(first as AsyncIterable<Passed>, 1)
    end.abort()
    expect(await done).toEqual([])
    expect(live.follow({}, new AbortController().signal)).toBeDefined()
  })
})

describe('a rate', () => {
  it('is of the last slots only, and begins anew where the clock goes back', () => {
    const rate = createRate({ slotMs: 1000, slots: 4 })
    expect(rate.perMinute(0)).toBe(0)
    rate.add(3, 10_000)
    rate.add(3, 11_000)
    expect(rate.perMinute(12_000)).toBe(180)
    rate.add(1, 14_000)
    expect(rate.perMinute(14_500)).toBeCloseTo((4 * 60) / 3.5)
    expect(rate.perMinute(60_000)).toBe(0)
    rate.add(1, 5000)
    expect(rate.perMinute(5500)).toBeGreaterThan(0)
  })
})
