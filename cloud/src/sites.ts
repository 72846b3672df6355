/**
 * The sites of the cloud's configuration: where things are measured, in which time zone, when they are open, and how many
 * rows are expected of them. Pure: no clock, no file.
 *
 * A reading of a site that nobody configured is never lost: such a site is counted in UTC, expects nothing, and says
 * `configured: false`.
 */
import { createHash } from 'node:crypto'
import { isZone, MS_PER_HOUR, nameSchema, UserError, type Zone, zoneOf } from '@penstock/frame'
import * as z from 'zod'

const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const
const minutesPerDay = 1440
const spansPerDayMax = 12

/** Minutes after local midnight, half-open; `to` up to 1440. */
export interface OpenSpan {
  from: number
  to: number
}
/** Open spans by weekday, Monday 0; sorted and disjoint; none on a closed day. */
export type WeekOpening = readonly (readonly OpenSpan[])[]

const clock = /^(\d{1,2}):(\d{2})$/
const minuteOf = (text: string): number | undefined => {
  const m = clock.exec(text.trim())
  if (!m) return undefined
  const minute = Number(m[1]) * 60 + Number(m[2])
  return Number(m[2]) < 60 && minute <= minutesPerDay ? minute : undefined
}

/** The weekdays that a key names: `mon`, `mon-sat`, `mon,wed`, `daily`; `undefined` where it names none. */
const daysOf = (key: string): number[] | undefined => {
  const days: number[] = []
  for (const part of key.toLowerCase().split(',')) {
    const [first = '', last = first, ...rest] = part.trim() === 'daily' ? ['mon', 'sun'] : part.trim().split('-')
    const from = weekdays.indexOf(first.trim() as 'mon')
    const to = weekdays.indexOf(last.trim() as 'mon')
    if (from < 0 || to < 0 || rest.length > 0) return undefined
    for (let d = from; ; d = (d + 1) % 7) {
      days.push(d)
      if (d === to) break
    }
  }
  return days
}

/** The spans that a value names, or the sentence that says why it names none. */
const spansOf = (value: string | readonly string[]): OpenSpan[] | string => {
  if (value === 'closed') return []
  if (value === 'open') return [{ from: 0, to: minutesPerDay }]
  const spans: OpenSpan[] = []
  for (const text of typeof value === 'string' ? value.split(',') : value) {
    const [a = '', b = '', ...rest] = text.split('-')
    const from = minuteOf(a)
    const to = minuteOf(b)
    if (from === undefined || to === undefined || rest.length > 0) {
      return `"${text.trim()}" is no opening time such as "09:00-20:00", "closed" or "open" (all day)`
    }
    if (to <= from) {
      return `"${text.trim()}" ends before it begins: hours past midnight go to the next day, e.g. fri: "18:00-24:00", sat: "00:00-02:00"`
    }
    spans.push({ from, to })
  }
  spans.sort((x, y) => x.from - y.from)
  if (spans.length > spansPerDayMax) return `has more than ${spansPerDayMax} spans a day`
  return spans.some((span, i) => span.from < (spans[i - 1]?.to ?? 0)) ? 'has spans that overlap' : spans
}

/** Weekly opening hours as a person writes them: `{mon-sat: "09:00-20:00", sun: closed}`. Every weekday is named once. */
export const openingSchema = z
  .record(z.string(), z.union([z.string(), z.array(z.string())]))
  .transform((week, context) => {
    const opening: (OpenSpan[] | undefined)[] = new Array(7).fill(undefined)
    const refuse = (message: string, ...path: string[]) => {
      context.addIssue({ code: 'custom', message, path })
      return z.NEVER
    }
    for (const [key, value] of Object.entries(week)) {
      const days = daysOf(key)
      if (!days) return refuse(`"${key}" names no weekday: write mon … sun, mon-fri, sat,sun or daily`, key)
      const spans = spansOf(value)
      if (typeof spans === 'string') return refuse(spans, key)
      for (const day of days) {
        if (opening[day]) return refuse(`names ${weekdays[day]} a second time`, key)
        opening[day] = spans
      }
    }
    const missing = weekdays.filter((_, day) => !opening[day])
    if (missing.length > 0) return refuse(`says nothing about ${missing.join(', ')}: write e.g. ${missing[0]}: closed`)
    return opening as WeekOpening
  })

const deviceSchema = z.strictObject({
  id: nameSchema,
  name: z.string().min(1).max(256).optional(),
  /** The streams it is known to produce; left out: every stream whose rows the site expects. */
  streams: z.array(nameSchema).max(256).optional(),
})
export const siteSchema = z.strictObject({
  id: nameSchema,
  name: z.string().min(1).max(256).optional(),
  kind: z.enum(['store', 'lab', 'plant']),
  /** IANA name, e.g. Europe/Paris. */
  zone: z.string().refine(isZone, 'is not an IANA time zone such as Europe/Paris'),
  opening: openingSchema.optional(),
  devices: z.array(deviceSchema).max(10_000).default([]),
  /** Rows that each device is expected to deliver in an hour in which the site is open, by stream. */
  streams: z.record(nameSchema, z.strictObject({ rowsPerHour: z.number().positive().max(3.6e12) })).default({}),
})
/** All sites of a configuration; no id comes twice. */
export const sitesSchema = z
  .array(siteSchema)
  .max(10_000)
  .superRefine((sites, context) => {
    const seen = new Set<string>()
    sites.forEach((site, i) => {
      if (seen.has(site.id))
        context.addIssue({ code: 'custom', message: `a second site "${site.id}"`, path: [i, 'id'] })
      seen.add(site.id)
      const devices = new Set<string>()
      site.devices.forEach((device, j) => {
        if (devices.has(device.id)) {
          context.addIssue({ code: 'custom', message: `a second device "${device.id}"`, path: [i, 'devices', j, 'id'] })
        }
        devices.add(device.id)
      })
    })
  })

/** A site as it stands in the configuration, checked. */
export type SiteConfig = z.output<typeof siteSchema>
export type SiteKind = SiteConfig['kind']

export interface SiteDevice {
  id: string
  name: string
  /** `undefined`: every stream whose rows the site expects. */
  streams?: readonly string[]
}
export interface Site {
  id: string
  name: string
  kind: SiteKind
  zone: Zone
  /** `undefined` where the configuration does not say: a lab or plant is then open around the clock. */
  opening: WeekOpening | undefined
  devices: readonly SiteDevice[]
  /** false: readings came of it, but nobody configured it. */
  configured: boolean
}

export interface Sites {
  /** Never fails: a site that nobody configured is a lab in UTC with `configured: false`, unless it is the system's own. */
  get(id: string): Site
  /** The configured sites, in the order of the configuration. */
  list(): readonly Site[]
  zoneOf(id: string): Zone
  /** Whether the site is open at a UTC time (ms); `undefined` where the configuration does not say. */
  isOpen(id: string, utcMs: number): boolean | undefined
  /**
   * Rows that one device is expected to deliver in [fromMs, toMs), made of whole local hours (UTC ms): in each hour the part of it
   * in which the site is open × rowsPerHour, rounded up, so that a day expects what its hours expect. null where the
   * configuration does not say.
   */
  expectedRows(site: string, stream: string, fromMs: number, toMs: number): number | null
  /** The configured devices of a site that are to deliver this stream. */
  expectedDevices(site: string, stream: string): readonly string[]
  /** The streams of which the configuration says what is expected. */
  expectedStreams(site: string): readonly string[]
  /** Changes whenever something that rollups depend on changes: zones and their rules, opening hours, devices, expected rows. */
  fingerprint(): string
}

/** UTC start (ms) of the local hour after the one that starts at `startMs`. */
export const nextHourStartMs = (zone: Zone, startMs: number): number => {
  const local = startMs + zone.offsetMs(startMs)
  let next = startMs + MS_PER_HOUR - (((local % MS_PER_HOUR) + MS_PER_HOUR) % MS_PER_HOUR)
  // Where the clock changes within the hour, an hour begins at the change.
  for (let start = zone.hourStartMs(next - 1); start > startMs; start = zone.hourStartMs(next - 1)) next = start
  return next
}
/** UTC start (ms) of the local day after the one that starts at `startMs`: 23, 24 or 25 hours later. */
export const nextDayStartMs = (zone: Zone, startMs: number): number => zone.dayStartMs(startMs + 36 * MS_PER_HOUR)

/** @throws UserError where two sites have one id */
export const createSites = (list: readonly SiteConfig[]): Sites => {
  const sites = new Map<string, Site>()
  const expected = new Map<string, SiteConfig['streams']>()
  for (const config of list) {
    if (sites.has(config.id)) throw new UserError(`sites: a second site "${config.id}"`, 3)
    sites.set(config.id, toSite(config))
    expected.set(config.id, config.streams)
  }
  const get = (id: string): Site => sites.get(id) ?? unknownSite(id)
  const fingerprint = fingerprintOf(list)

  const expectedRows = (id: string, stream: string, fromMs: number, toMs: number): number | null => {
    const site = get(id)
    const rowsPerHour = expected.get(id)?.[stream]?.rowsPerHour
    if (rowsPerHour === undefined || (site.kind === 'store' && !site.opening)) return null
    let rows = 0
    for (let start = fromMs; start < toMs; ) {
      const end = Math.min(nextHourStartMs(site.zone, start), toMs)
      const open = site.opening ? openMs(site.opening, site.zone, start, end) : end - start
      rows += Math.ceil((open * rowsPerHour) / MS_PER_HOUR)
      start = end
    }
    return rows
  }

  return {
    get,
    list: () => [...sites.values()],
    zoneOf: id => get(id).zone,
    isOpen(id, utcMs) {
      const site = get(id)
      if (site.opening) return openMs(site.opening, site.zone, utcMs, utcMs + 1) > 0
      return site.configured && site.kind !== 'store' ? true : undefined
    },
    expectedRows,
    expectedDevices(id, stream) {
      if (expected.get(id)?.[stream] === undefined) return []
      return get(id)
        .devices.filter(device => device.streams?.includes(stream) ?? true)
        .map(device => device.id)
    },
    expectedStreams: id =>
      Object.keys(expected.get(id) ?? {}).filter(stream => expectedRows(id, stream, 0, 1) !== null),
    fingerprint: () => fingerprint,
  }
}

const toSite = (config: SiteConfig): Site => ({
  id: config.id,
  name: config.name ?? config.id,
  kind: config.kind,
  zone: zoneOf(config.zone),
  opening: config.opening,
  devices: config.devices.map(d => ({ id: d.id, name: d.name ?? d.id, ...(d.streams && { streams: d.streams }) })),
  configured: true,
})
/** What the cloud notes of gateways belongs to this site, which is nobody's store. */
export const SYSTEM_SITE = 'penstock'

const unknownSite = (id: string): Site => ({
  id,
  name: id,
  kind: 'lab',
  zone: zoneOf('UTC'),
  opening: undefined,
  devices: [],
  configured: id === SYSTEM_SITE,
})

/** ms of opening within [fromMs, toMs), which lies within one local hour, so that the offset does not change in it. */
const openMs = (opening: WeekOpening, zone: Zone, fromMs: number, toMs: number): number => {
  const { hour, weekday } = zone.parts(fromMs)
  const local = fromMs + zone.offsetMs(fromMs)
  const from = hour * MS_PER_HOUR + (((local % MS_PER_HOUR) + MS_PER_HOUR) % MS_PER_HOUR)
  const to = from + (toMs - fromMs)
  let open = 0
  for (const span of opening[weekday] ?? []) {
    open += Math.max(0, Math.min(to, span.to * 60_000) - Math.max(from, span.from * 60_000))
  }
  return open
}

const fingerprintOf = (list: readonly SiteConfig[]): string => {
  const byId = <T extends { id: string }>(items: readonly T[]) => [...items].sort((a, b) => (a.id < b.id ? -1 : 1))
  const facts = byId(list).map(site => [
    site.id,
    site.kind,
    site.zone,
    site.opening ?? null,
    byId(site.devices).map(device => [device.id, device.streams ? [...device.streams].sort() : null]),
    Object.entries(site.streams).sort(([a], [b]) => (a < b ? -1 : 1)),
  ])
  // The runtime's time zone rules decide where an hour belongs as much as the zone's name does.
  return createHash('sha256')
    .update(JSON.stringify([process.versions.tz ?? '', facts]))
    .digest('hex')
    .slice(0, 32)
}
