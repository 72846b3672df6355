import { type Frame, MS_PER_DAY, MS_PER_HOUR, rowNs, zoneOf } from '@penstock/frame'
import { describe, expect, it } from 'vitest'
import type { Batch, Cursor, SourceDeps } from '../src/source.ts'
import {
  openSimulate,
  type SimulateOptions,
  simulatedOpening,
  simulatedStores,
  simulateHour,
  simulateOptions,
} from '../src/sources/simulate.ts'

const start = Date.UTC(2026, 2, 2, 11, 20)
const optionsOf = (more: object = {}): SimulateOptions =>
  simulateOptions.parse({ id: 'demo', kind: 'simulate', everyMs: 20, ...more })
const depsAt = (clock: { ms: number }): SourceDeps => ({
  now: () => new Date(clock.ms),
  receipts: { lastSeq: () => 0, stored: async () => {} },
  log: { info() {}, warn() {} },
})

/** Runs the source until `enough`, with all its batches taken as durable. */
const run = async (options: SimulateOptions, clock: { ms: number }, resume: Cursor, enough: (n: number) => boolean) => {
  const stop = new AbortController()
  const taken: Batch[] = []
  let cursor: Cursor = resume
  for await (const batch of openSimulate(options, depsAt(clock)).batches(resume, stop.signal)) {
    taken.push(batch)
    cursor = { ...cursor, ...batch.cursor }
    if (enough(taken.length)) break
  }
  return { taken, cursor }
}

type Row = { count: number | null; status: string | null }
/** Rows by `site/device/UTC ms`, a later one in place of an earlier one. */
const tableOf = (batches: Batch[], rows = new Map<string, Row>()) => {
  for (const frame of batches.flatMap(b => b.frames)) {
    for (let i = 0; i < frame.offsetsNs.length; i++) {
      rows.set(`${frame.site}/${frame.device}/${rowNs(frame, i) / 1_000_000n}`, rowOf(frame, i))
    }
  }
  return rows
}
const rowOf = (frame: Frame, i: number): Row => {
  const [count, status] = frame.columns
  if (count?.type !== 'int' || status?.type !== 'text') throw new Error('not a count frame')
  return { count: count.values[i] ?? null, status: status.values[i] ?? null }
}
const modelRow = (seed: number, key: string): Row => {
  const [site, device, ms] = key.split('/')
  const store = simulatedStores.find(s => s.site === site)
  if (!store) throw new Error(`no store ${site}`)
  const hour = simulateHour(seed, store, Number(device), Number(ms), false)
  return 'count' in hour ? { count: hour.count, status: null } : { count: null, status: hour.status }
}

describe('the model', () => {
  it('is the same for the same seed, and another for another', () => {
    const values = (seed: number) =>
      simulatedStores.flatMap(s =>
        Array.from({ length: 48 }, (_, h) => simulateHour(seed, s, 0, start + h * MS_PER_HOUR, true)),
      )
    expect(values(1)).toEqual(values(1))
    expect(values(1)).not.toEqual(values(2))
  })

  it('keeps opening hours and Sundays, and fails about one hour in a hundred', () => {
    const counted = { open: 0, closed: 0, failed: 0 }
    for (const store of simulatedStores) {
      for (let ms = Date.UTC(2026, 0, 1); ms < Date.UTC(2026, 3, 1); ms += MS_PER_HOUR) {
        const { hour, weekday } = zoneOf(store.zone).parts(ms)
        const hours = simulatedOpening[weekday]
        const isOpen = hours !== undefined && hour >= hours[0] && hour < hours[1]
        const value = simulateHour(1, store, 0, ms, false)
        if ('count' in value) {
          counted.open++
          expect(value.count).toBeGreaterThan(0)
          expect(isOpen).toBe(true)
        } else if (value.status === 'failed') counted.failed++
        else {
          counted.closed++
          expect(isOpen).toBe(false)
        }
      }
    }
    const share = counted.failed / (counted.failed + counted.open)
    expect(share).toBeGreaterThan(0.005)
    expect(share).toBeLessThan(0.02)
    expect(counted.closed).toBeGreaterThan(counted.open)
  })
})

describe('the source', () => {
  it('sends the past weeks first, every hour of every door once, as the model has them', async () => {
    const clock = { ms: start }
    const { taken } = await run(optionsOf({ weeksBack: 3 }), clock, {}, n => n === 2)
    const rows = tableOf(taken)
    const hour = Math.floor(start / MS_PER_HOUR) * MS_PER_HOUR
    const past = [...rows].filter(([key]) => Number(key.split('/')[2]) < hour)
    expect(past).toHaveLength(39 * 24 * 21)
    for (const [key, row] of past) expect(row, key).toEqual(modelRow(1, key))
    const first = Math.min(...past.map(([key]) => Number(key.split('/')[2])))
    expect(first).toBe(hour - 21 * MS_PER_DAY)
    expect(new Set(past.map(([key]) => key.split('/').slice(0, 2).join('/'))).size).toBe(39)
  })

  it('lets the count of the hour grow, and end at the value of the model', async () => {
    const clock = { ms: start }
    const rows = new Map<string, Row>()
    const hour = Math.floor(start / MS_PER_HOUR) * MS_PER_HOUR
    const key = `Paris/3/${hour}`
    const seen: (number | null)[] = []
    const stop = new AbortController()
    for await (const batch of openSimulate(optionsOf({ weeksBack: 0 }), depsAt(clock)).batches({}, stop.signal)) {
      tableOf([batch], rows)
      seen.push(rows.get(key)?.count ?? null)
      clock.ms += 5 * 60_000
      if (clock.ms > hour + MS_PER_HOUR + 10 * 60_000) break
    }
    expect(seen.length).toBeGreaterThan(8)
    expect(seen).toEqual(seen.toSorted((a, b) => (a ?? 0) - (b ?? 0)))
    expect(new Set(seen).size).toBeGreaterThan(5)
    expect(rows.get(key)).toEqual(modelRow(1, key))
  })

  it('fills the gap since the last run and sends no history again', async () => {
    const clock = { ms: start }
    const first = await run(optionsOf({ weeksBack: 1 }), clock, {}, n => n === 1)
    clock.ms += 30 * MS_PER_HOUR
    const second = await run(optionsOf({ weeksBack: 1 }), clock, first.cursor, n => n === 1)
    const hours = [...tableOf(second.taken).keys()]
      .filter(k => k.startsWith('Roma/0/'))
      .map(k => Number(k.split('/')[2]))
    const hour = Math.floor(start / MS_PER_HOUR) * MS_PER_HOUR
    expect(hours).toEqual(Array.from({ length: 31 }, (_, i) => hour + i * MS_PER_HOUR))
  })

  it('moves at any time of day when it is always open', async () => {
    const clock = { ms: Date.UTC(2026, 2, 1, 2, 0) } // a Sunday night
    const rows = new Map<string, Row>()
    const { taken } = await run(optionsOf({ weeksBack: 0, alwaysOpen: true }), clock, {}, () => {
      clock.ms += 30_000
      return clock.ms > Date.UTC(2026, 2, 1, 2, 10)
    })
    const changes = taken.map(batch => {
      tableOf([batch], rows)
      return [...rows.values()].reduce((sum, row) => sum + (row.count ?? 0), 0)
    })
    expect(new Set(changes).size).toBe(changes.length)
  })

  it('catches up with the clock at speed and never runs ahead of it', async () => {
    const clock = { ms: start }
    const { taken } = await run(optionsOf({ weeksBack: 1, speed: 3600 }), clock, {}, () => {
      clock.ms += 10_000
      return clock.ms > start + 300_000
    })
    const times = [...tableOf(taken).keys()].map(k => Number(k.split('/')[2]))
    expect(Math.max(...times)).toBe(Math.floor((start + 300_000) / MS_PER_HOUR) * MS_PER_HOUR)
    expect(Math.min(...times)).toBe(Math.floor(start / MS_PER_HOUR) * MS_PER_HOUR - 14 * MS_PER_DAY)
  })

  it('reads a gauge once a second, over restarts', async () => {
    const clock = { ms: start }
    const options = optionsOf({ weeksBack: 0, lab: {} })
    const advance = () => {
      clock.ms += 1500
      return clock.ms >= start + 15_000
    }
    const first = await run(options, clock, {}, advance)
    clock.ms += 5000
    const second = await run(options, clock, first.cursor, n => n === 1)
    const times = [...first.taken, ...second.taken]
      .flatMap(b => b.frames)
      .filter(f => f.stream === 'pressure')
      .flatMap(f => Array.from(f.offsetsNs, (_, i) => Number(rowNs(f, i) / 1_000_000n)))
    expect(times.length).toBeGreaterThan(15)
    times.forEach((ms, i) => {
      expect(ms).toBe(start + i * 1000)
    })
  })
})
