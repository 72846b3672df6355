/** One local day of a site, computed again where hours of it are marked: device hours, device days, site hours, site day. Pure. */
import type { Aggregate, Bucket } from '../../historian.ts'
import { nextHourStartMs, type Sites } from '../../sites.ts'
import { dayRow, type Edges, hourRow, type Place, sameRow, siteRow, toMs } from './combine.ts'
import { rowKey, type StoredDay } from './stored.ts'

/**
 * The rows that differ from what is stored, one revision higher; what came out no more has `rows` 0.
 * @param marked hours (UTC start in ms) by device
 * @param buckets of the marked hours, from the historian
 */
export const computeDay = (
  sites: Sites,
  day: StoredDay,
  marked: ReadonlyMap<string, ReadonlySet<number>>,
  buckets: readonly Bucket[],
): Aggregate[] => {
  const { site, stream } = day
  const expected = createExpected(sites, day)
  const place = (device: string): Place => ({ site, device, stream })
  const edgesOf = (startMs: number): Edges => ({ startMs, endMs: nextHourStartMs(site.zone, startMs) })

  const hours = buckets.map(bucket => {
    const edges = edgesOf(toMs(bucket.startNs))
    return hourRow(place(bucket.device), edges, bucket, expected.each(edges))
  })
  const isMarked = (row: Aggregate) => marked.get(row.device)?.has(toMs(row.startNs)) ?? false
  const [hoursBefore, hoursKept] = split(day.rows('sensor', 'hour'), isMarked)
  const hoursNow = [...hoursKept, ...hours]

  const [daysBefore, daysKept] = split(day.rows('sensor', 'day'), row => marked.has(row.device))
  const ofDevice = group(
    hoursNow.filter(row => marked.has(row.device)),
    row => row.device,
  )
  const days = [...ofDevice].flatMap(([device, rows]) =>
    byColumn(rows.sort(byStart)).map(parts => dayRow(place(device), day, parts, expected.each(day))),
  )

  const starts = new Set([...marked.values()].flatMap(set => [...set]))
  const [siteHoursBefore] = split(day.rows('site', 'hour'), row => starts.has(toMs(row.startNs)))
  const ofStart = group(
    hoursNow.filter(row => starts.has(toMs(row.startNs))),
    row => toMs(row.startNs),
  )
  const siteHours = [...ofStart].flatMap(([startMs, rows]) =>
    byColumn(rows.sort(byDevice)).map(parts =>
      siteRow(place(''), 'hour', edgesOf(startMs), parts, expected.ofSite(edgesOf(startMs), parts)),
    ),
  )
  const siteDays = byColumn([...daysKept, ...days].sort(byDevice)).map(parts =>
    siteRow(place(''), 'day', day, parts, expected.ofSite(day, parts)),
  )
  return [
    ...differences(hoursBefore, hours),
    ...differences(daysBefore, days),
    ...differences(siteHoursBefore, siteHours),
    ...differences([...day.rows('site', 'day')], siteDays),
  ]
}

/** Rows expected in a bucket: of one device, and of the devices that are to deliver, by the configuration, and those that did. */
const createExpected = (sites: Sites, { site, stream }: StoredDay) => {
  const known = new Map<string, number | null>()
  const each = ({ startMs, endMs }: Edges): number | null => {
    const key = `${startMs} ${endMs}`
    const had = known.get(key)
    if (had !== undefined) return had
    const rows = sites.expectedRows(site.id, stream, startMs, endMs)
    known.set(key, rows)
    return rows
  }
  const configured = sites.expectedDevices(site.id, stream)
  return {
    each,
    ofSite(edges: Edges, parts: readonly Aggregate[]): number | null {
      const rows = each(edges)
      return rows === null ? null : rows * new Set([...configured, ...parts.map(part => part.device)]).size
    },
  }
}

const byStart = (a: Aggregate, b: Aggregate): number => (a.startNs < b.startNs ? -1 : 1)
const byDevice = (a: Aggregate, b: Aggregate): number => (a.device < b.device ? -1 : 1)

const split = (rows: Iterable<Aggregate>, isFirst: (row: Aggregate) => boolean): [Aggregate[], Aggregate[]] => {
  const parts: [Aggregate[], Aggregate[]] = [[], []]
  for (const row of rows) parts[isFirst(row) ? 0 : 1].push(row)
  return parts
}

const group = <K>(rows: Iterable<Aggregate>, keyOf: (row: Aggregate) => K): Map<K, Aggregate[]> => {
  const groups = new Map<K, Aggregate[]>()
  for (const row of rows) {
    const key = keyOf(row)
    const list = groups.get(key)
    if (list) list.push(row)
    else groups.set(key, [row])
  }
  return groups
}
const byColumn = (rows: Iterable<Aggregate>): Aggregate[][] => [...group(rows, row => row.column).values()]

/** Of `computed` what is new or differs, one revision higher; and what is stored but came out no more, to be deleted. */
const differences = (stored: readonly Aggregate[], computed: readonly Aggregate[]): Aggregate[] => {
  const before = new Map(stored.map(row => [rowKey(row), row]))
  const changed: Aggregate[] = []
  for (const row of computed) {
    const key = rowKey(row)
    const old = before.get(key)
    before.delete(key)
    if (!old) changed.push(row)
    else if (!sameRow(old, row)) changed.push({ ...row, revision: old.revision + 1 })
  }
  for (const gone of before.values()) changed.push({ ...gone, rows: 0 })
  return changed
}
