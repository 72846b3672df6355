import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatNs, isZone, MS_PER_DAY, parseIsoNs, utcMs, zoneOf } from '../src/index.ts'

const minuteMs = 60_000
/** Zones whose clocks do what others do not: midnight changes, half hours, two hours, lost days, months apart, odd seconds. */
const zones = [
  'Europe/Berlin',
  'Europe/London',
  'Europe/Dublin',
  'America/New_York',
  'America/Sao_Paulo',
  'America/Havana',
  'America/St_Johns',
  'Australia/Lord_Howe',
  'Africa/Casablanca',
  'Africa/Cairo',
  'Africa/Monrovia',
  'Asia/Kathmandu',
  'Asia/Tehran',
  'Asia/Gaza',
  'Asia/Tokyo',
  'Pacific/Apia',
  'Pacific/Kwajalein',
  'Antarctica/Troll',
  'UTC',
]

/** The offset as the runtime shows it, computed without the code under test. */
const shown = new Map<string, Intl.DateTimeFormat>()
const offsetShown = (zone: string, utc: number): number => {
  let format = shown.get(zone)
  if (!format) {
    format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' })
    shown.set(zone, format)
  }
  const second = Math.floor(utc / 1000) * 1000
  return Date.parse(`${format.format(second).replace(' ', 'T')}Z`) - second
}

const zone = fc.constantFrom(...zones)
const recent = fc.integer({ min: Date.UTC(1972, 0, 8), max: Date.UTC(2037, 0, 1) })
const historical = fc.integer({ min: Date.UTC(1890, 0, 1), max: Date.UTC(2037, 0, 1) })

/** Moments at which an offset changes, in a few years of each zone, and some around them: where errors are. */
const changes = (() => {
  const found: { name: string; utc: number }[] = []
  for (const name of zones) {
    for (const from of [Date.UTC(1979, 0, 1), Date.UTC(1993, 0, 1), Date.UTC(2009, 0, 1), Date.UTC(2018, 0, 1)]) {
      for (let day = from; day < from + 800 * MS_PER_DAY; day += MS_PER_DAY) {
        const before = offsetShown(name, day)
        if (offsetShown(name, day + MS_PER_DAY) === before) continue
        let low = day
        let high = day + MS_PER_DAY
        while (high - low > 1000) {
          const middle = Math.floor((low + high) / 2000) * 1000
          if (offsetShown(name, middle) === before) low = middle
          else high = middle
        }
        found.push({ name, utc: high })
      }
    }
  }
  return found
})()
const nearChange = fc
  .tuple(fc.constantFrom(...changes), fc.integer({ min: -200, max: 200 }))
  .map(([{ name, utc }, minutes]) => ({ name, utc: utc + minutes * minuteMs }))
const anywhere = fc.record({ name: zone, utc: recent })
const moment = fc.oneof({ weight: 3, arbitrary: nearChange }, { weight: 1, arbitrary: anywhere })

describe('a zone', () => {
  it('has the offsets that the runtime shows, also before 1970 and to the ms around a change', () => {
    fc.assert(
      fc.property(fc.record({ name: zone, utc: historical }), ({ name, utc }) => {
        expect(zoneOf(name).offsetMs(utc)).toBe(offsetShown(name, utc))
      }),
      { numRuns: 1000 },
    )
    for (const { name, utc } of changes) {
      for (const at of [utc - 1, utc, utc + 1, utc - 1000]) {
        expect(zoneOf(name).offsetMs(at), `${name} ${at}`).toBe(offsetShown(name, at))
      }
    }
    expect(changes.length).toBeGreaterThan(100)
  })

  it('finds every moment at which its clock shows a local time, in order', () => {
    fc.assert(
      fc.property(moment, fc.integer({ min: -180, max: 180 }), ({ name, utc }, minutes) => {
        const z = zoneOf(name)
        const local = utc + z.offsetMs(utc) + minutes * minuteMs
        const offsets = new Set<number>()
        for (let at = local - 30 * 3_600_000; at <= local + 30 * 3_600_000; at += 15 * minuteMs) {
          offsets.add(offsetShown(name, at))
        }
        const expected = [...offsets]
          .map(offset => local - offset)
          .filter(at => at + offsetShown(name, at) === local)
          .sort((a, b) => a - b)
        expect(z.fromLocalMs(local)).toEqual(expected)
      }),
      { numRuns: 400 },
    )
  })

  it('begins an hour where the clock shows a whole hour or where the offset changed, whichever is later', () => {
    fc.assert(
      fc.property(moment, ({ name, utc }) => {
        const z = zoneOf(name)
        const offset = offsetShown(name, utc)
        const hour = Math.floor((utc + offset) / 3_600_000)
        let start = Math.floor(utc / minuteMs) * minuteMs
        const same = (at: number) => offsetShown(name, at) === offset && Math.floor((at + offset) / 3_600_000) === hour
        while (same(start - minuteMs)) start -= minuteMs
        expect(z.hourStartMs(utc)).toBe(start)
      }),
      { numRuns: 1000 },
    )
  })

  it('begins a day at the first moment of its date', () => {
    fc.assert(
      fc.property(moment, ({ name, utc }) => {
        const z = zoneOf(name)
        const dateAt = (at: number) => Math.floor((at + offsetShown(name, at)) / MS_PER_DAY)
        const day = dateAt(utc)
        let first = Math.floor(utc / minuteMs) * minuteMs
        for (let at = first; at > utc - 28 * 3_600_000; at -= minuteMs) if (dateAt(at) === day) first = at
        expect(z.dayStartMs(utc)).toBe(first)
        expect(z.dayStartMs(first)).toBe(first)
      }),
      { numRuns: 120 },
    )
  })

  it('tells date, hour and weekday', () => {
    const madrid = zoneOf('Europe/Madrid')
    expect(madrid.parts(Date.UTC(2024, 6, 31, 22, 30))).toEqual({ date: '2024-08-01', hour: 0, weekday: 3 })
    expect(madrid.parts(Date.UTC(2024, 6, 1))).toEqual({ date: '2024-07-01', hour: 2, weekday: 0 })
    expect(zoneOf('America/New_York').parts(Date.UTC(1969, 11, 31, 23)).weekday).toBe(2)
  })

  it('is known by its IANA name alone', () => {
    expect(isZone('Europe/Paris')).toBe(true)
    expect(isZone('Europe/Atlantis')).toBe(false)
    expect(() => zoneOf('Europe/Atlantis')).toThrow('"Europe/Atlantis" is not an IANA time zone such as Europe/Paris')
  })
})

describe('ISO 8601', () => {
  it('reads what it wrote, to the ns', () => {
    const ns = fc.bigInt({ min: -62_167_219_200_000_000_000n, max: 253_402_300_799_999_999_999n })
    fc.assert(
      fc.property(ns, t => {
        expect(parseIsoNs(formatNs(t))).toBe(t)
      }),
    )
  })
  it.each([
    ['2024-03-31T02:30:00.123456789+02:00', '2024-03-31T00:30:00.123456789Z'],
    ['2024-03-31', '2024-03-31T00:00:00.000Z'],
    ['2024-03-31 02:30Z', '2024-03-31T02:30:00.000Z'],
    ['1969-12-31T23:59:59.999999999Z', '1969-12-31T23:59:59.999999999Z'],
    ['0000-01-01T00:00:00Z', '0000-01-01T00:00:00.000Z'],
  ])('%s is %s', (text, iso) => {
    expect(formatNs(parseIsoNs(text) ?? -1n)).toBe(iso)
  })
  it.each([
    '2024-03-31T02:30:00',
    '2024-02-30',
    '2024-03-31T24:00Z',
    '2024-03-31T02:30:61Z',
    '',
    '2024',
    'now',
    '2024-03-31T02:30+25:99',
  ])('%s is none', text => {
    expect(parseIsoNs(text)).toBeUndefined()
  })
  it('knows the calendar', () => {
    expect(utcMs(2024, 2, 29)).toBe(Date.UTC(2024, 1, 29))
    expect(utcMs(1900, 2, 29)).toBeUndefined()
    expect(utcMs(99, 1, 1)).toBe(Date.parse('0099-01-01T00:00:00Z'))
  })
})
