/**
 * Keeps hourly and daily aggregates per device and per site. Rows only mark the local hours they fall into; a marked hour
 * is computed again from the readings that the historian holds, its day from the day's hours, the site's rows from its
 * devices' rows. Nothing is ever incremented: late, repeated and corrected rows need no case of their own.
 *
 *     entries ─► dirty hours ─► historian.buckets ─► device hours ─► device days
 *                    │                                  └──► site hours └──► site days
 *                    └─ hot ─► marked in the historian ─► computed when due
 *
 * The runner hands over only entries that the historian has applied. What is written before the cursor is, if the process
 * dies between, computed once more: it comes out the same and keeps its revision.
 *
 * An hour that takes long to compute (millions of rows, and more coming) is hot: for a time that grows with its cost it is
 * only marked, durably and together with the cursor, so that computing it again and again takes a bounded share of time.
 */
import type { Aggregate, Bucket, DirtyHour, Historian, TimeRange } from '../historian.ts'
import type { Projector } from '../projector.ts'
import { nextHourStartMs, type Site, type Sites } from '../sites.ts'
import { toMs, toNs } from './rollup/combine.ts'
import { computeDay } from './rollup/day.ts'
import { createDirty, type DirtyStream } from './rollup/dirty.ts'
import { createPace } from './rollup/pace.ts'
import { createStored, type StoredDay } from './rollup/stored.ts'

export interface RollupProjectorOptions {
  historian: Historian
  sites: Sites
  now(): Date
  log: { info(o: object, m: string): void; error?(o: object, m: string): void }
  /** Told of every row that was stored anew or changed (or, with `rows` 0, deleted), once it is durable. */
  onAggregates?: (rows: readonly Aggregate[]) => void
  /** Marked hours held in memory; at more they are computed and written before more entries are looked at. */
  dirtyHoursMax?: number
  /** Marked hours (times devices) that are computed together and written in one transaction. */
  hoursPerWriteMax?: number
  /** Stored rows of the days computed last that are held in memory: some 700 bytes each. */
  storedRowsMax?: number
  /** An hour that takes less is computed at once, however often. */
  hotMsMin?: number
  /** Share of time in which one hot hour is computed. */
  dutyMax?: number
  /** A hot hour waits no longer than this. */
  deferMsMax?: number
}

export interface RollupProjector extends Projector {
  /** Computes what is marked, due or not. */
  settle(): Promise<void>
  close(): Promise<void>
}

/** Part of the stamp: changes when rollups are computed differently. */
const formula = '2'
const daysApartMax = 3
/** Days of a site whose stored rows are read for one write. */
const daysMax = 100
const retryMs = 5_000

export const createRollupProjector = (options: RollupProjectorOptions): RollupProjector => {
  const { historian, sites, now, log, onAggregates, dirtyHoursMax = 50_000, hoursPerWriteMax = 5_000 } = options
  const { storedRowsMax = 40_000, hotMsMin = 100, dutyMax = 0.1, deferMsMax = 120_000 } = options
  const stamp = `${formula} ${sites.fingerprint()}`
  const dirty = createDirty(sites)
  const stored = createStored(historian, storedRowsMax)
  const pace = createPace({ hotMsMin, dutyMax, deferMsMax })
  let begun = false
  let closed = false
  let timer: NodeJS.Timeout | undefined

  // Entries and what falls due in between: one at a time.
  let last: Promise<unknown> = Promise.resolve()
  const alone = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work)
    last = mine.catch(() => {})
    return mine
  }

  /** Computed under other zones, opening hours or formulas: all is computed again, from the journal's beginning. */
  const begin = async (): Promise<void> => {
    if (begun) return
    const had = await historian.aggregatesStamp()
    if (had !== stamp) {
      if (had !== '') log.info({}, 'the sites have changed: rollups are computed again')
      await historian.clearAggregates(stamp)
    }
    for (const hour of await historian.dirtyHours()) pace.defer(hour)
    begun = true
  }

  /** Computes marked hours and what follows from them, and writes what has changed. */
  const compute = async (stream: string, portion: Portion): Promise<void> => {
    const days = await computePortion({ historian, sites, stored, stream, portion, now, onCost: pace.cost })
    const computedAtMs = now().getTime()
    const dated = days.map(({ day, changed }) => ({ day, rows: changed.map(row => ({ ...row, computedAtMs })) }))
    const rows = dated.flatMap(({ rows }) => rows)
    if (rows.length > 0) {
      await historian.writeAggregates(rows)
      for (const { day, rows } of dated) stored.keep(day, rows)
      onAggregates?.(rows)
    }
    stored.trim()
  }

  /** Computes all that is marked in memory; returns the hours that are computed now. */
  const flush = async (): Promise<DirtyHour[]> => {
    const done: DirtyHour[] = []
    try {
      for (const [stream, marked] of byStream(dirty.take())) {
        for (const portion of portionsOf(sites, marked, hoursPerWriteMax)) {
          await compute(stream, portion)
          for (const { site, devices } of portion) {
            for (const [device, hours] of devices) {
              for (const hour of hours) done.push({ site: site.id, device, stream, startNs: toNs(hour) })
            }
          }
        }
      }
    } catch (error) {
      stored.clear()
      throw error
    }
    return done
  }

  /** Marks of an earlier run or of hot hours: computed now. */
  const computeDeferred = async (untilMs: number): Promise<void> => {
    const due = pace.due(untilMs)
    if (due.length === 0) return
    for (const hour of due) dirty.add(hour)
    await flush()
    await historian.writeAggregates([], undefined, { remove: due })
    for (const hour of due) pace.settled(hour)
  }

  const schedule = (waitMs = pace.waitMs(now().getTime())): void => {
    if (closed || waitMs === undefined) return
    clearTimeout(timer)
    timer = setTimeout(() => {
      alone(() => computeDeferred(now().getTime())).then(
        () => schedule(),
        error => {
          log.error?.({ err: error }, 'marked hours could not be computed; they stay marked')
          schedule(retryMs)
        },
      )
    }, waitMs)
    timer.unref()
  }

  return {
    name: 'rollup',
    cursor: () =>
      alone(async () => {
        await begin()
        schedule()
        return historian.aggregatesCursor()
      }),
    apply: entries =>
      alone(async () => {
        await begin()
        const through = entries.at(-1)?.seq
        if (through === undefined) return
        const applied = await historian.cursor()
        if (applied < through)
          throw new Error(`the historian has applied ${applied} of ${through}: rollups wait for it`)
        const [add, remove] = [new Map<string, DirtyHour>(), new Map<string, DirtyHour>()]
        const flushDue = async () => {
          const nowMs = now().getTime()
          for (const hour of dirty.withdraw(hour => pace.isHot(hour, nowMs))) add.set(hourKey(hour), hour)
          for (const hour of await flush()) if (pace.isDeferred(hour)) remove.set(hourKey(hour), hour)
        }
        // A call that failed has left marks behind; they only mean some hours more.
        for (const entry of entries) {
          for (const frame of entry.frames) dirty.mark(frame)
          if (dirty.size() > dirtyHoursMax) await flushDue()
        }
        await flushDue()
        for (const key of add.keys()) remove.delete(key)
        await historian.writeAggregates([], through, { add: [...add.values()], remove: [...remove.values()] })
        for (const hour of remove.values()) pace.settled(hour)
        for (const hour of add.values()) pace.defer(hour)
        schedule()
      }),
    settle: () =>
      alone(async () => {
        await begin()
        await computeDeferred(Number.POSITIVE_INFINITY)
      }),
    async close() {
      closed = true
      clearTimeout(timer)
      await last
    },
  }
}

const byStream = (marked: readonly DirtyStream[]): Map<string, DirtyStream[]> => {
  const streams = new Map<string, DirtyStream[]>()
  for (const one of marked) streams.set(one.stream, [...(streams.get(one.stream) ?? []), one])
  return streams
}

const hourKey = (hour: DirtyHour): string => JSON.stringify([hour.site, hour.device, hour.stream, `${hour.startNs}`])

/** Marked hours of the devices of one local day of a site. */
interface MarkedDay {
  site: Site
  startMs: number
  devices: Map<string, Set<number>>
}
/** Days near each other. */
type Portion = readonly MarkedDay[]

/** Cuts the marked hours of a stream into portions of whole days, in order of time, none with days far apart. */
const portionsOf = function* (sites: Sites, marked: readonly DirtyStream[], hoursMax: number): Generator<Portion> {
  const days = marked.flatMap(({ site, devices }) => daysOf(sites.get(site), devices))
  days.sort((a, b) => a.startMs - b.startMs)
  let open: MarkedDay[] = []
  let size = 0
  let before = Number.NEGATIVE_INFINITY
  for (const day of days) {
    const far = day.startMs - before > daysApartMax * 86_400_000
    if (open.length > 0 && (size >= hoursMax || open.length >= daysMax || far)) {
      yield open
      open = []
      size = 0
    }
    open.push(day)
    for (const hours of day.devices.values()) size += hours.size
    before = day.startMs
  }
  if (open.length > 0) yield open
}

const daysOf = (site: Site, devices: ReadonlyMap<string, ReadonlySet<number>>): MarkedDay[] => {
  const days = new Map<number, MarkedDay>()
  for (const [device, hours] of devices) {
    for (const hour of hours) {
      const startMs = site.zone.dayStartMs(hour)
      const day = days.get(startMs) ?? { site, startMs, devices: new Map<string, Set<number>>() }
      days.set(startMs, day)
      const marked = day.devices.get(device)
      if (marked) marked.add(hour)
      else day.devices.set(device, new Set([hour]))
    }
  }
  return [...days.values()]
}

interface Work {
  historian: Historian
  sites: Sites
  stored: ReturnType<typeof createStored>
  stream: string
  portion: Portion
  now(): Date
  /** Told how long an hour took. */
  onCost(hour: DirtyHour, ms: number, nowMs: number): void
}

/** The rows of each day that differ from what is stored, with their new revisions. */
const computePortion = async (work: Work): Promise<{ day: StoredDay; changed: Aggregate[] }[]> => {
  const { stored, sites, stream, portion } = work
  const buckets = await bucketsOf(work)
  const days = await stored.load(stream, portion)
  return days.map((day, i) => {
    const marked = portion[i]?.devices ?? new Map()
    return { day, changed: computeDay(sites, day, marked, buckets.get(portion[i] as MarkedDay) ?? []) }
  })
}

/** The buckets of all marked hours, by the day they are in. */
const bucketsOf = async (work: Work): Promise<Map<MarkedDay, Bucket[]>> => {
  const { historian, stream, portion, now } = work
  const bySeries = new Map<string, { site: string; device: string; spans: TimeRange[] }>()
  const dayOf = new Map<string, MarkedDay>()
  for (const day of portion) {
    const { zone, id: site } = day.site
    for (const [device, hours] of day.devices) {
      const key = JSON.stringify([site, device])
      const series = bySeries.get(key) ?? { site, device, spans: [] }
      bySeries.set(key, series)
      for (const hour of [...hours].sort((a, b) => a - b)) {
        series.spans.push({ fromNs: toNs(hour), toNs: toNs(nextHourStartMs(zone, hour)) })
        dayOf.set(`${hour} ${site}`, day)
      }
    }
  }
  const beganMs = now().getTime()
  const buckets = await historian.buckets({ stream, series: [...bySeries.values()] })
  tellCosts(work, buckets, beganMs)
  const byDay = new Map<MarkedDay, Bucket[]>()
  for (const bucket of buckets) {
    const day = dayOf.get(`${toMs(bucket.startNs)} ${bucket.site}`)
    if (!day) continue
    const list = byDay.get(day)
    if (list) list.push(bucket)
    else byDay.set(day, [bucket])
  }
  return byDay
}

/** Hours read together share the time by their rows. */
const tellCosts = ({ now, stream, onCost }: Work, buckets: readonly Bucket[], beganMs: number): void => {
  const nowMs = now().getTime()
  const hours = new Map<string, Bucket>()
  for (const bucket of buckets) hours.set(JSON.stringify([bucket.site, bucket.device, `${bucket.startNs}`]), bucket)
  let all = 0
  for (const { rows } of hours.values()) all += rows
  for (const { site, device, startNs, rows } of hours.values()) {
    onCost({ site, device, stream, startNs }, ((nowMs - beganMs) * rows) / all, nowMs)
  }
}
