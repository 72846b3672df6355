import { describe, expect, it } from 'vitest'
import { lastSaturday, rangeOf } from '../src/counts/range.ts'
import { changedUrl, readView, viewUrl } from '../src/counts/url.ts'
import {
  addDays,
  bytesText,
  changeText,
  dateText,
  localNow,
  numberText,
  percentText,
  weekdayOf,
} from '../src/format.ts'

describe('texts', () => {
  it.each([
    [null, '–'],
    [0, '±0.0 %'],
    [0.04, '±0.0 %'],
    [-0.04, '±0.0 %'],
    [22.9643, '+23.0 %'],
    [-86.6989, '−86.7 %'],
  ])('a change of %j reads %s', (percent, text) => {
    expect(changeText(percent)).toBe(text)
  })

  it('never call almost all all', () => {
    expect([1, 0.999, 0.5, 0].map(percentText)).toEqual(['100 %', '99 %', '50 %', '0 %'])
  })

  it('write numbers, sizes and dates as people do', () => {
    expect([1234567, -5].map(numberText)).toEqual(['1,234,567', '−5'])
    expect([0, 999, 1000, 65_536, 123_456_789].map(bytesText)).toEqual(['0 B', '999 B', '1.0 kB', '65.5 kB', '123 MB'])
    expect(dateText('2026-03-01')).toBe('Sun 1 Mar')
    expect(addDays('2024-02-28', 2)).toBe('2024-03-01')
    expect(weekdayOf('2026-03-02')).toBe(0)
  })

  it('know the date and hour of a store', () => {
    const ms = Date.parse('2026-03-28T23:30:00Z')
    expect(localNow('Europe/Madrid', ms)).toEqual({ date: '2026-03-29', hour: 0, time: '00:30' })
    expect(localNow('Europe/London', ms)).toEqual({ date: '2026-03-28', hour: 23, time: '23:30' })
  })
})

describe('the address', () => {
  it.each([
    '/counts',
    '/counts?store=London',
    '/counts?store=S%C3%A3o+Paulo+%26+Co&by=hour&days=14&weekdays=06',
    '/counts?store=Paris&days=84',
    '/counts?store=London&door=1&by=hour&from=2026-01-01&weekdays=0&hours=9-9&tab=table',
    '/counts?store=London&to=2026-03-01&tab=compare&with=Paris%2CRoma',
    '/counts?store=London&tab=compare&against=year',
  ])('leads back to what it shows: %s', url => {
    expect(viewUrl(readView(new URL(url, 'http://page').searchParams))).toBe(url)
  })

  it('that makes no sense shows what is usual', () => {
    expect(readView(new URLSearchParams('by=year&days=999&weekdays=9x3'))).toEqual({
      ...{ store: undefined, door: undefined, resolution: 'day', days: 56, from: undefined, to: undefined },
      ...{ weekdays: [3], hours: undefined, tab: 'chart', against: 'stores', others: [] },
    })
    const odd = 'store=A&from=2026-03-02&to=2026-03-01&by=hour&hours=30-7&tab=map&with=A,B,B,C,D,E,F&against=x'
    expect(readView(new URLSearchParams(odd))).toMatchObject({
      ...{ from: '2026-03-01', to: '2026-03-02', hours: { from: 7, to: 23 }, tab: 'chart', against: 'stores' },
      others: ['B', 'C', 'D', 'E'],
    })
    expect(readView(new URLSearchParams('from=2026-99-99&hours=a-b&door=1'))).toMatchObject({
      ...{ from: undefined, hours: undefined, door: undefined },
    })
    expect(readView(new URLSearchParams()).weekdays).toEqual([0, 1, 2, 3, 4, 5])
  })

  it('of another store forgets the door', () => {
    const view = readView(new URLSearchParams('store=London&door=1&tab=table'))
    expect(changedUrl(view, { store: 'Paris' })).toBe('/counts?store=Paris&tab=table')
  })
})

describe('the range', () => {
  const extent = { first: '2025-12-24', last: '2026-03-18' }
  const today = '2026-03-18'
  it.each([
    [{ days: 28 }, '2026-02-19', '2026-03-18'],
    [{ days: 56, from: '2026-01-05' }, '2026-01-05', '2026-03-18'],
    [{ days: 56, to: '2026-01-05' }, '2025-12-24', '2026-01-05'],
    [{ days: 56, from: '2020-01-01', to: '2030-01-01' }, '2025-12-24', '2026-03-18'],
  ])('lies within what exists: %j', (view, from, to) => {
    expect(rangeOf({ from: undefined, to: undefined, ...view }, extent, today)).toEqual({
      ...{ first: '2025-12-24', last: '2026-03-18', from, to },
    })
  })

  it('goes to today where a store has fallen silent lately, to its last day where that is long ago', () => {
    const lastOf = (last: string) =>
      rangeOf({ from: undefined, to: undefined, days: 28 }, { first: '2024-07-01', last }, today).last
    expect([lastOf('2026-03-10'), lastOf('2024-07-31')]).toEqual([today, '2024-07-31'])
    expect(rangeOf({ from: undefined, to: undefined, days: 28 }, undefined, today)).toEqual({
      ...{ first: today, last: today, from: today, to: today },
    })
  })

  it('has a last Saturday that is over', () => {
    const saturdayOn = (day: string) =>
      lastSaturday(rangeOf({ from: undefined, to: undefined, days: 28 }, extent, day), day)
    expect(saturdayOn('2026-03-18')).toBe('2026-03-14')
    expect(saturdayOn('2026-03-14')).toBe('2026-03-07')
    expect(saturdayOn('2026-03-15')).toBe('2026-03-14')
    expect(saturdayOn('2025-12-25')).toBeUndefined()
  })
})
