import { faultOf, shownBytes } from '@penstock/web/fault'
import { describe, expect, it } from 'vitest'
import {
  agoText,
  axisText,
  bytesText,
  exactText,
  numberText,
  plainReason,
  spanText,
  timeText,
  valueText,
} from '../src/format.ts'

describe('numbers', () => {
  it.each([
    [0, '0'],
    [21.5, '21.5'],
    [-0.25, '−0.25'],
    [51_000, '51,000'],
    [1_013.25, '1,013.25'],
    [1.11614e-6, '1.1161 × 10⁻⁶'],
    [-2.5e11 - 0.5, '−2.5 × 10¹¹'],
    [1e15, '1 × 10¹⁵'],
    [0.001, '0.001'],
  ])('%d is %s', (value, text) => {
    expect(numberText(value)).toBe(text)
  })

  it('are short on an axis, and sizes have their unit', () => {
    expect(axisText(4e-5)).toBe('4·10⁻⁵')
    expect([0, 999, 1000, 1_048_576, 10_737_418_240].map(bytesText)).toEqual([
      '0 B',
      '999 B',
      '1 kB',
      '1.05 MB',
      '10.7 GB',
    ])
  })

  it('are told with what they are', () => {
    expect([null, true, 'ON', ''].map(valueText)).toEqual(['–', 'yes', 'ON', '(empty)'])
    expect(valueText({ length: 2068, min: 0, max: 65_535 })).toBe('curve of 2,068 points, 0 to 65,535')
  })
})

describe('times', () => {
  const ms = Date.parse('2026-03-01T23:30:05Z')
  it('are of the place where they were measured, with the date where it is another day there', () => {
    expect(timeText(ms, 'Asia/Tokyo', ms + 1000)).toBe('08:30:05')
    expect(timeText(ms, 'Asia/Tokyo', ms + 86_400_000)).toContain('08:30:05')
    expect(timeText(ms, 'Asia/Tokyo', ms + 86_400_000)).toContain('2026')
    expect(exactText('2026-03-01T23:30:05.123456000Z', 'UTC')).toMatch(/2026.*, 23:30:05\.123456$/)
    expect(timeText(ms, 'No/Where', ms)).toContain('23:30:05')
  })
  it('ago and spans are one unit', () => {
    expect([400, 42_000, 100_000, 5_400_000, 200_000_000].map(agoText)).toEqual([
      ...['now', '42 seconds ago', '1 minute ago', '1 hour ago', '2 days ago'],
    ])
    expect([0, 59_000, 7_200_000].map(spanText)).toEqual(['0 seconds', '59 seconds', '2 hours'])
  })
})

it('reasons are without the words of the operating system', () => {
  expect(plainReason('127.0.0.1:9: connect ECONNREFUSED 127.0.0.1:9')).toBe('127.0.0.1:9: nothing answers there')
  expect(plainReason('getaddrinfo ENOTFOUND cloud.example')).toBe('the name is not known on this network')
  expect(plainReason('no receipt within 20000 ms.')).toBe('no receipt within 20000 ms')
})

it('the bytes of a reject are to be seen, also those that no screen shows', () => {
  expect(shownBytes('1\t2\u0000x\r\n')).toBe('1→2\\x00x')
})

it('the fault of a reject is the part that its reason quotes', () => {
  expect(faultOf({ reason: 'column "t": "ERR" is not a number', text: '12,ERR,t' })).toEqual(['12,', 'ERR', ',t'])
  expect(faultOf({ reason: 'the line is too short', text: '12' })).toEqual(['12', '', ''])
})
