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
import type { Aggregate, Bucket, DirtyHour, Historian, Resolution } from '../historian.ts'
import type { Projector } from '../projector.ts'
import { nextDayStartMs, nextHourStartMs, type Site, type Sites } from '../sites.ts'
import { dayRow, type Edges, hourRow, type Place, sameRow, siteRow, toMs, toNs } from './rollup/combine.ts'
import { createDirty, type DirtyStream } from './rollup/dirty.ts'
import { createPace } from './rollup/pace.ts'

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
const retryMs = 5_000

export const createRollupProjector = (options: RollupProjectorOptions): RollupProjector => {
  const { historian, sites, now, log, onAggregates, dirtyHoursMax = 50_000, hoursPerWriteMax = 5_000 } = options
  const { hotMsMin = 100, dutyMax = 0.1, deferMsMax = 120_000 } = options
  const stamp = `${formula} ${sites.fingerprint()}`
  const dirty = createDirty(sites)
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

  /** Computes all that is marked in memory; returns the hours that are computed now. */
  const flush = async (): Promise<DirtyHour[]> => {
    const done: DirtyHour[] = []
    for (const { site: id, stream, devices } of dirty.take()) {
      const site = sites.get(id)
      for (const portion of portionsOf(site, { site: id, stream, devices }, hoursPerWriteMax)) {
        const computed = await computePortion({ historian, sites, site, stream, portion, now, onCost: pace.cost })
        for (const [device, hours] of portion) {
          for (const hour of hours) done.push({ site: id, device, stream, startNs: toNs(hour) })
        }
        if (computed.length === 0) continue
        const computedAtMs = now().getTime()
        const rows = computed.map(row => ({ ...row, computedAtMs }))
        await historian.writeAggregates(rows)
        onAggregates?.(rows)
      }
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

const hourKey = (hour: DirtyHour): string => JSON.stringify([hour.site, hour.device, hour.stream, `${hour.startNs}`])

/** Marked hours of some devices on days near each other. */
type Portion = Map<string, Set<number>>

/** Cuts the marked hours into portions of whole days, in order of time, none with days far apart. */
const portionsOf = function* (site: Site, stream: DirtyStream, hoursMax: number): Generator<Portion> {
  const days = new Map<number, Portion>()
  for (const [device, hours] of stream.devices) {
    for (const hour of [...hours].sort((a, b) => a - b)) {
      const day = site.zone.dayStartMs(hour)
      const portion: Portion = days.get(day) ?? new Map()
      days.set(day, portion)
      const marked = portion.get(device)
      if (marked) marked.add(hour)
      else portion.set(device, new Set([hour]))
    }
  }
  let open: Portion = new Map()
  let size = 0
  let before = Number.NEGATIVE_INFINITY
  for (const day of [...days.keys()].sort((a, b) => a - b)) {
    if (size > 0 && (size >= hoursMax || day - before > daysApartMax * 86_400_000)) {
      yield open
      open = new Map()
      size = 0
    }
    for (const [device, hours] of days.get(day) ?? []) {
      const marked = open.get(device) ?? new Set()
      for (const hour of hours) marked.add(hour)
      open.set(device, marked)
      size += hours.size
    }
    before = day
  }
  if (size > 0) yield open
}

interface Work {
  historian: Historian
  sites: Sites
  site: Site
  stream: string
  portion: Portion
  now(): Date
  /** Told how long an hour took. */
  onCost(hour: DirtyHour, ms: number, nowMs: number): void
}

/** The rows that differ from what is stored, with their new revisions. */
const computePortion = async (work: Work): Promise<Aggregate[]> => {
  const changed: Aggregate[] = []
  const deviceHours: Aggregate[] = []
  const deviceDays: Aggregate[] = []
  for (const device of [...work.portion.keys()].sort()) {
    const { hours, days } = await computeDevice(work, device, changed)
    deviceHours.push(...hours)
    deviceDays.push(...days)
  }
  changed.push(...(await computeSite(work, 'hour', deviceHours)))
  changed.push(...(await computeSite(work, 'day', deviceDays)))
  return changed
}

/** The marked hours of a device and their days: all that is computed, and into `changed` what differs from what is stored. */
const computeDevice = async (work: Work, device: string, changed: Aggregate[]) => {
  const { historian, sites, site, stream, portion } = work
  const { zone } = site
  const place: Place = { site, device, stream }
  const expected = ({ startMs, endMs }: Edges) => sites.expectedRows(site.id, stream, startMs, endMs)

  const marked = [...(portion.get(device) ?? [])].map(startMs => ({ startMs, endMs: nextHourStartMs(zone, startMs) }))
  const spans = marked.map(({ startMs, endMs }) => ({ fromNs: toNs(startMs), toNs: toNs(endMs) }))
  const beganMs = work.now().getTime()
  const buckets = await historian.buckets({ site: site.id, device, stream, spans })
  tellCosts(work, device, buckets, beganMs)
  const edgesOf = new Map(marked.map(edges => [edges.startMs, edges]))
  const hours: Aggregate[] = []
  for (const bucket of buckets) {
    const edges = edgesOf.get(toMs(bucket.startNs))
    if (edges) hours.push(hourRow(place, edges, bucket, expected(edges)))
  }

  const dayStarts = [...new Set(marked.map(({ startMs }) => zone.dayStartMs(startMs)))]
  const dayEdges = dayStarts.map(startMs => ({ startMs, endMs: nextDayStartMs(zone, startMs) }))
  const range = { fromNs: toNs(dayEdges[0]?.startMs ?? 0), toNs: toNs(dayEdges.at(-1)?.endMs ?? 0) }
  const where = { level: 'sensor', site: site.id, device, stream, ...range } as const
  const stored = await collect(historian.readAggregates({ ...where, resolution: 'hour' }))
  const isMarked = (row: Aggregate) => edgesOf.has(toMs(row.startNs))
  changed.push(...differences(stored.filter(isMarked), hours))

  const rest = stored.filter(row => !isMarked(row))
  const days = dayEdges.flatMap(edges => {
    const [fromNs, untilNs] = [toNs(edges.startMs), toNs(edges.endMs)]
    const within = [...rest, ...hours].filter(row => row.startNs >= fromNs && row.startNs < untilNs)
    const inOrder = within.sort((a, b) => (a.startNs < b.startNs ? -1 : 1))
    return byColumn(inOrder).map(parts => dayRow(place, edges, parts, expected(edges)))
  })
  const inDays = new Set(dayStarts.map(toNs))
  const storedDays = await collect(historian.readAggregates({ ...where, resolution: 'day' }))
  changed.push(
    ...differences(
      storedDays.filter(row => inDays.has(row.startNs)),
      days,
    ),
  )
  return { hours, days }
}

/** Hours read together share the time by their rows. */
const tellCosts = (work: Work, device: string, buckets: readonly Bucket[], beganMs: number): void => {
  const nowMs = work.now().getTime()
  const rows = new Map(buckets.map(bucket => [bucket.startNs, bucket.rows]))
  const all = [...rows.values()].reduce((sum, n) => sum + n, 0)
  for (const [startNs, n] of rows) {
    const hour = { site: work.site.id, device, stream: work.stream, startNs }
    work.onCost(hour, ((nowMs - beganMs) * n) / all, nowMs)
  }
}

/** The site's rows of all buckets in which a device's row was computed. */
const computeSite = async (
  work: Work,
  resolution: Resolution,
  computed: readonly Aggregate[],
): Promise<Aggregate[]> => {
  const { historian, sites, site, stream, portion } = work
  const { zone } = site
  const starts = new Set<bigint>()
  for (const hours of portion.values()) {
    for (const hour of hours) starts.add(toNs(resolution === 'hour' ? hour : zone.dayStartMs(hour)))
  }
  const inOrder = [...starts].sort((a, b) => (a < b ? -1 : 1))
  const range = { fromNs: inOrder[0] ?? 0n, toNs: (inOrder.at(-1) ?? 0n) + 1n }
  const where = { resolution, site: site.id, stream, ...range }
  const stored = await collect(historian.readAggregates({ ...where, level: 'sensor' }))
  const isComputed = markedBuckets(portion, site, resolution)
  const devices = [...stored.filter(row => starts.has(row.startNs) && !isComputed(row)), ...computed]
  const byStart = new Map<bigint, Aggregate[]>()
  for (const row of devices.sort((a, b) => (a.device < b.device ? -1 : 1))) {
    const list = byStart.get(row.startNs)
    if (list) list.push(row)
    else byStart.set(row.startNs, [row])
  }
  const rows = inOrder.flatMap(startNs => {
    const startMs = toMs(startNs)
    const endMs = resolution === 'hour' ? nextHourStartMs(zone, startMs) : nextDayStartMs(zone, startMs)
    return byColumn(byStart.get(startNs) ?? []).map(parts => {
      const expected = siteExpected(sites, site, stream, parts, { startMs, endMs })
      return siteRow({ site, device: '', stream }, resolution, { startMs, endMs }, parts, expected)
    })
  })
  const before = await collect(historian.readAggregates({ ...where, level: 'site' }))
  return differences(
    before.filter(row => starts.has(row.startNs)),
    rows,
  )
}

/** Whether a device's row is one of those that are computed now. */
const markedBuckets = (portion: Portion, site: Site, resolution: Resolution): ((row: Aggregate) => boolean) => {
  const marked = new Map<string, Set<number>>()
  for (const [device, hours] of portion) {
    marked.set(device, resolution === 'hour' ? hours : new Set([...hours].map(hour => site.zone.dayStartMs(hour))))
  }
  return row => marked.get(row.device)?.has(toMs(row.startNs)) ?? false
}

/** Rows expected of the devices that are to deliver, by the configuration, and of those that did. */
const siteExpected = (sites: Sites, site: Site, stream: string, parts: readonly Aggregate[], edges: Edges) => {
  const each = sites.expectedRows(site.id, stream, edges.startMs, edges.endMs)
  if (each === null) return null
  return each * new Set([...sites.expectedDevices(site.id, stream), ...parts.map(part => part.device)]).size
}

const rowKey = (row: Aggregate): string => JSON.stringify([`${row.startNs}`, row.device, row.column])

/** Of `computed` what is new or differs, one revision higher; and what is stored but came out no more, to be deleted. */
const differences = (stored: readonly Aggregate[], computed: readonly Aggregate[]): Aggregate[] => {
  const before = new Map(stored.map(row => [rowKey(row), row]))
  const changed: Aggregate[] = []
  for (const row of computed) {
    const old = before.get(rowKey(row))
    before.delete(rowKey(row))
    if (!old) changed.push(row)
    else if (!sameRow(old, row)) changed.push({ ...row, revision: old.revision + 1 })
  }
  for (const gone of before.values()) changed.push({ ...gone, rows: 0 })
  return changed
}

const byColumn = (rows: readonly Aggregate[]): Aggregate[][] => {
  const columns = new Map<string, Aggregate[]>()
  for (const row of rows) {
    const list = columns.get(row.column)
    if (list) list.push(row)
    else columns.set(row.column, [row])
  }
  return [...columns.values()]
}

const collect = async (rows: AsyncIterable<Aggregate>): Promise<Aggregate[]> => {
  const all: Aggregate[] = []
  for await (const row of rows) all.push(row)
  return all
}
