import { describe, expect, it } from 'vitest'
import { readView, viewUrl } from '../src/counts/url.ts'
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
  ])('leads back to what it shows: %s', url => {
    expect(viewUrl(readView(new URL(url, 'http://page').searchParams))).toBe(url)
  })

  it('that makes no sense shows what is usual', () => {
    expect(readView(new URLSearchParams('by=year&days=999&weekdays=9x3'))).toEqual({
      ...{ store: undefined, resolution: 'day', days: 56, weekdays: [3] },
    })
    expect(readView(new URLSearchParams()).weekdays).toEqual([0, 1, 2, 3, 4, 5])
  })
})
