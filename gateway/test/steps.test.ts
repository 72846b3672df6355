import { zoneOf } from '@penstock/frame'
import { describe, expect, it } from 'vitest'
import { endOf, localMs, startsOf, stepMsOf } from '../src/sources/http/steps.ts'

const of = (zone: string, local: string, step: keyof typeof stepMsOf) => {
  const iso = (ms: number) => new Date(ms).toISOString().slice(0, 16)
  const [at, stepMs] = [localMs(local), stepMsOf[step]]
  return [startsOf(zoneOf(zone), at, stepMs).map(iso), iso(endOf(zoneOf(zone), at, stepMs))]
}

describe('steps of a local clock', () => {
  it.each([
    ['an hour', 'Europe/Madrid', '2024-07-01T09:00', 'hour', ['2024-07-01T07:00'], '2024-07-01T08:00'],
    ['an hour that is skipped', 'Europe/Madrid', '2024-03-31T02:00', 'hour', [], '2024-03-31T01:00'],
    [
      'an hour that comes twice',
      'Europe/Madrid',
      '2024-10-27T02:00',
      'hour',
      ['2024-10-27T00:00', '2024-10-27T01:00'],
      '2024-10-27T02:00',
    ],
    [
      'an hour of which half is skipped',
      'Australia/Lord_Howe',
      '2024-10-06T02:00',
      'hour',
      ['2024-10-05T15:30'],
      '2024-10-05T16:30',
    ],
    ['a minute that is skipped', 'Europe/Madrid', '2024-03-31T02:30', 'minute', [], '2024-03-31T01:30'],
    ['a day of 23 hours', 'Europe/Madrid', '2024-03-31T00:00', 'day', ['2024-03-30T23:00'], '2024-03-31T22:00'],
    ['a day of 25 hours', 'Europe/Madrid', '2024-10-27T00:00', 'day', ['2024-10-26T22:00'], '2024-10-27T23:00'],
    ['a day without a midnight', 'America/Havana', '2024-03-10T00:00', 'day', ['2024-03-10T05:00'], '2024-03-11T04:00'],
    ['a day with two midnights', 'America/Havana', '2024-11-03T00:00', 'day', ['2024-11-03T04:00'], '2024-11-04T05:00'],
  ] as const)('%s', (_, zone, local, step, starts, end) => {
    expect(of(zone, local, step)).toEqual([starts, end])
  })
})
