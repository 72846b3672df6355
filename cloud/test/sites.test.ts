import { zoneOf } from '@penstock/frame'
import { describe, expect, it } from 'vitest'
import { createSites, nextDayStartMs, nextHourStartMs, type SiteConfig, siteSchema, sitesSchema } from '../src/sites.ts'

const site = (extra: object): SiteConfig =>
  siteSchema.parse({ id: 'london', kind: 'store', zone: 'Europe/London', ...extra })
const at = (iso: string) => Date.parse(iso)
const firstIssue = (extra: object) => {
  const result = siteSchema.safeParse({ id: 'x', kind: 'store', zone: 'UTC', ...extra })
  return result.success ? 'accepted' : `${result.error.issues[0]?.path.join('.')}: ${result.error.issues[0]?.message}`
}

describe('what a site may not say', () => {
  it.each([
    [{ opening: { mon: '9-20' } }, 'opening.mon: "9-20" is no opening time'],
    [{ opening: { mon: '18:00-02:00' } }, 'opening.mon: "18:00-02:00" ends before it begins'],
    [{ opening: { mon: '09:00-24:01' } }, 'opening.mon: "09:00-24:01" is no opening time'],
    [{ opening: { mon: '09:60-10:00' } }, 'opening.mon: "09:60-10:00" is no opening time'],
    [{ opening: { mon: ['09:00-13:00', '12:00-14:00'] } }, 'opening.mon: has spans that overlap'],
    [{ opening: { 'mon-fri': '09:00-20:00', fri: 'closed' } }, 'opening.fri: names fri a second time'],
    [{ opening: { 'mon-sat': '09:00-20:00' } }, 'opening: says nothing about sun'],
    [{ opening: { monday: 'closed' } }, 'opening.monday: "monday" names no weekday'],
    [{ zone: 'Europe/Pari' }, 'zone: is not an IANA time zone'],
    [{ streams: { count: { rowsPerHour: 0 } } }, 'streams.count.rowsPerHour: '],
    [{ colour: 'red' }, ': Unrecognized key: "colour"'],
  ])('%j', (extra, message) => {
    expect(firstIssue(extra)).toContain(message)
  })
  it('refuses an id that comes twice', () => {
    const twice = sitesSchema.safeParse([site({}), { id: 'london', kind: 'lab', zone: 'UTC' }])
    expect(twice.error?.issues[0]?.message).toBe('a second site "london"')
    expect(() => createSites([site({}), site({})])).toThrow('a second site "london"')
  })
})

describe('opening hours', () => {
  const opening = { 'mon-sat': ['09:30-13:00', '15:00-20:00'], sun: 'closed' }
  const sites = createSites([site({ opening, streams: { count: { rowsPerHour: 1 } } })])
  it('are local, also in summer', () => {
    expect(sites.isOpen('london', at('2024-07-01T08:29:59Z'))).toBe(false)
    expect(sites.isOpen('london', at('2024-07-01T08:30:00Z'))).toBe(true)
    expect(sites.isOpen('london', at('2024-07-01T12:30:00Z'))).toBe(false)
    expect(sites.isOpen('london', at('2024-01-08T09:30:00Z'))).toBe(true)
    expect(sites.isOpen('london', at('2024-07-07T10:00:00Z'))).toBe(false)
  })
  it('make the rows expected: a day expects what its hours expect', () => {
    const day = at('2024-06-30T23:00:00Z')
    // 09:30–10, 10, 11, 12 and 15 … 19 h: nine hours with some opening in them.
    expect(sites.expectedRows('london', 'count', day, day + 24 * 3_600_000)).toBe(9)
    let sum = 0
    for (let h = 0; h < 24; h++) {
      sum += sites.expectedRows('london', 'count', day + h * 3_600_000, day + (h + 1) * 3_600_000) ?? 0
    }
    expect(sum).toBe(9)
  })
  it('are not guessed', () => {
    const two = createSites([site({ streams: { count: { rowsPerHour: 1 } } })])
    expect(two.isOpen('london', 0)).toBeUndefined()
    expect(two.expectedRows('london', 'count', 0, 3_600_000)).toBeNull()
    expect(sites.expectedRows('london', 'pulses', 0, 3_600_000)).toBeNull()
  })
  it('of a lab are around the clock, also on a day of 25 hours', () => {
    const lab = createSites([
      siteSchema.parse({ id: 'l', kind: 'lab', zone: 'Europe/Paris', streams: { p: { rowsPerHour: 60 } } }),
    ])
    const day = at('2024-10-26T22:00:00Z')
    const end = nextDayStartMs(zoneOf('Europe/Paris'), day)
    expect(end - day).toBe(25 * 3_600_000)
    expect(lab.expectedRows('l', 'p', day, end)).toBe(1500)
    expect(lab.isOpen('l', day)).toBe(true)
  })
})

describe('the next hour and day', () => {
  it.each(['UTC', 'Europe/Paris', 'Asia/Kolkata', 'Australia/Lord_Howe', 'Pacific/Apia', 'America/Sao_Paulo'])(
    'in %s follow on each other without a hole',
    name => {
      const zone = zoneOf(name)
      for (const from of [
        '2011-12-28T00:00:00Z',
        '2018-11-02T00:00:00Z',
        '2024-03-29T00:00:00Z',
        '2024-10-04T00:00:00Z',
      ]) {
        const end = at(from) + 10 * 86_400_000
        for (let h = zone.hourStartMs(at(from)); h < end; ) {
          const next = nextHourStartMs(zone, h)
          expect(next).toBeGreaterThan(h)
          expect(zone.hourStartMs(next - 1)).toBe(h)
          expect(zone.hourStartMs(next)).toBe(next)
          h = next
        }
        for (let d = zone.dayStartMs(at(from)); d < end; ) {
          const next = nextDayStartMs(zone, d)
          expect(zone.dayStartMs(next - 1)).toBe(d)
          expect(zone.dayStartMs(next)).toBe(next)
          d = next
        }
      }
    },
  )
})

describe('the fingerprint', () => {
  const print = (...list: SiteConfig[]) => createSites(list).fingerprint()
  const base = print(site({}))
  it.each([
    [{ zone: 'Europe/Paris' }],
    [{ opening: { daily: 'open' } }],
    [{ devices: [{ id: '1' }] }],
    [{ streams: { count: { rowsPerHour: 1 } } }],
  ])('changes with %j', extra => {
    expect(print(site(extra))).not.toBe(base)
  })
  it('stays with a name and with the order', () => {
    expect(print(site({ name: 'London' }))).toBe(base)
    const other = siteSchema.parse({ id: 'paris', kind: 'store', zone: 'Europe/Paris' })
    expect(print(site({}), other)).toBe(print(other, site({})))
  })
})

it('keeps a site that nobody configured visible', () => {
  const sites = createSites([])
  expect(sites.get('nowhere')).toMatchObject({ id: 'nowhere', configured: false })
  expect(sites.zoneOf('nowhere').name).toBe('UTC')
  expect(sites.list()).toEqual([])
})
