import { describe, expect, it } from 'vitest'
import type { CountRow } from '../src/api.ts'
import { buildSlots, figureOf, joinStores, type SlotsQuery } from '../src/counts/slots.ts'

const row = (date: string, over: Partial<CountRow> = {}): CountRow => ({
  ...{ store: 'London', date, hour: null, weekday: 0, start: `${date}T00:00:00Z`, end: `${date}T24:00:00Z` },
  ...{
    count: 10,
    baseline: 8,
    baselineSpread: 2,
    changePercent: 25,
    status: 'ok',
    n: 8,
    failed: 0,
    rows: 8,
    expected: 8,
    coverage: 1,
  },
  ...{ final: true, revision: 1, ...over },
})
const query: SlotsQuery = {
  ...{
    resolution: 'day',
    today: '2026-03-18',
    hourNow: 14,
    from: '2026-03-09',
    to: '2026-03-18',
    hours: { from: 9, to: 19 },
  },
  weekdays: [0, 1, 2, 3, 4, 5],
}

describe('the places of a chart', () => {
  it('keep a gap where a row is missing, and none for a weekday that is off', () => {
    const rows = ['2026-03-12', '2026-03-13', '2026-03-16', '2026-03-18'].map(date => row(date))
    expect(buildSlots(rows, query).map(slot => [slot.date, slot.status])).toEqual([
      ['2026-03-12', 'ok'],
      ['2026-03-13', 'ok'],
      ['2026-03-14', 'missing'],
      ['2026-03-16', 'ok'],
      ['2026-03-17', 'missing'],
      ['2026-03-18', 'ok'],
    ])
  })

  it('begin with the first row: before it there was nothing to count', () => {
    expect(buildSlots([], query)).toEqual([])
    expect(buildSlots([row('2026-03-17')], query).map(slot => slot.status)).toEqual(['ok', 'pending'])
  })

  it('begin where the readings began, though their first row is missing', () => {
    const slots = buildSlots([row('2026-03-17')], { ...query, first: '2026-03-16' })
    expect(slots.map(slot => [slot.date, slot.status])).toEqual([
      ['2026-03-16', 'missing'],
      ['2026-03-17', 'ok'],
      ['2026-03-18', 'pending'],
    ])
  })

  it('are closed where nothing came and nothing is expected', () => {
    const slots = buildSlots([], { ...query, first: '2026-03-16', isOpen: weekday => weekday !== 1 })
    expect(slots.map(slot => slot.status)).toEqual(['missing', 'closed', 'pending'])
  })

  it('end with the range', () => {
    const slots = buildSlots([row('2026-03-12'), row('2026-03-13')], { ...query, to: '2026-03-12' })
    expect(slots.map(slot => slot.date)).toEqual(['2026-03-12'])
  })

  it('take the state that the row says, never a zero for a failure', () => {
    const [slot] = buildSlots([row('2026-03-18', { status: 'failed', count: 0 })], query)
    expect(slot?.status).toBe('failed')
  })

  it('go by the hour up to the present one', () => {
    const rows = [row('2026-03-17', { hour: 19 }), row('2026-03-18', { hour: 9 })]
    const slots = buildSlots(rows, { ...query, resolution: 'hour', from: '2026-03-17' })
    expect(slots.map(slot => slot.hour)).toEqual([19, 9, 10, 11, 12, 13, 14])
    expect(slots.map(slot => slot.status)).toEqual([
      'ok',
      'ok',
      ...Array.from({ length: 4 }, () => 'missing'),
      'pending',
    ])
  })

  it('join the hour that an autumn night has twice', () => {
    const twice = [row('2026-10-25', { hour: 2, count: 3 }), row('2026-10-25', { hour: 2, count: 4, status: 'failed' })]
    const slots = buildSlots(twice, {
      ...{
        ...query,
        resolution: 'hour',
        today: '2026-10-25',
        from: '2026-10-25',
        to: '2026-10-25',
        hours: { from: 2, to: 2 },
      },
      weekdays: [6],
    })
    expect(slots).toHaveLength(1)
    expect(slots[0]).toMatchObject({ status: 'partial', row: { count: 7, baseline: 16 } })
  })
})

describe('figures', () => {
  it('add counts and baselines, and give no change without a baseline', () => {
    expect(figureOf([row('2026-03-16'), row('2026-03-17', { count: 5 })])).toEqual({
      ...{ count: 15, baseline: 16, changePercent: -6.25, days: 2 },
    })
    expect(figureOf([row('2026-03-16', { baseline: 0 })]).changePercent).toBeNull()
  })

  it('of all stores say when one is missing or failed', () => {
    const both = (a: Partial<CountRow>, b: Partial<CountRow>) =>
      joinStores([row('2026-03-16', a), row('2026-03-16', { store: 'Roma', ...b })], 2)[0]
    expect(both({}, {})).toMatchObject({ count: 20, baseline: 16, status: 'ok', coverage: 1 })
    expect(both({ status: 'closed', count: 0 }, {})?.status).toBe('ok')
    expect(both({ status: 'closed' }, { status: 'closed' })?.status).toBe('closed')
    expect(both({ status: 'failed', coverage: 0, failed: 8 }, {})).toMatchObject({
      status: 'partial',
      coverage: 0.5,
      failed: 8,
    })
    expect(joinStores([row('2026-03-16')], 2)[0]?.status).toBe('partial')
  })
})
