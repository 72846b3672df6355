/** Rollup rows from buckets, days from hours, sites from devices: pure. Sums are added in a fixed order, so that digits repeat. */
import { NS_PER_MS } from '@penstock/frame'
import type { Aggregate, Bucket, Level, Resolution } from '../../historian.ts'
import type { Site } from '../../sites.ts'

const nsPerMs = BigInt(NS_PER_MS)
export const toNs = (ms: number): bigint => BigInt(ms) * nsPerMs
export const toMs = (ns: bigint): number => Number(ns / nsPerMs)

/** A bucket of local time: UTC edges in ms. */
export interface Edges {
  startMs: number
  endMs: number
}

export interface Place {
  site: Site
  device: string
  stream: string
}

const head = (place: Place, level: Level, resolution: Resolution, edges: Edges) => {
  const { date, hour, weekday } = place.site.zone.parts(edges.startMs)
  return {
    level,
    resolution,
    site: place.site.id,
    device: level === 'site' ? '' : place.device,
    stream: place.stream,
    startNs: toNs(edges.startMs),
    endNs: toNs(edges.endMs),
    date,
    hour: resolution === 'hour' ? hour : null,
    weekday,
    revision: 1,
    computedAtMs: 0,
  }
}
const meanOf = (sum: number | null, n: number): number | null => (sum === null || n === 0 ? null : sum / n)

/** The hour of one device. */
export const hourRow = (place: Place, edges: Edges, bucket: Bucket, expected: number | null): Aggregate => ({
  ...bucket,
  ...head(place, 'sensor', 'hour', edges),
  mean: meanOf(bucket.sum, bucket.n),
  expected,
  had: expected === null ? null : Math.min(bucket.n, expected),
})

/** One row of several of the same column: hours of a day in order of time, or devices of a site in order of their names. */
const combine = (parts: readonly Aggregate[]) => {
  let [n, failed, closed, rows] = [0, 0, 0, 0]
  let sum: number | null = null
  let min: number | null = null
  let max: number | null = null
  let had: number | null = null
  for (const part of parts) {
    n += part.n
    failed += part.failed
    closed += part.closed
    rows += part.rows
    if (part.sum !== null) sum = (sum ?? 0) + part.sum
    if (part.min !== null) min = Math.min(min ?? part.min, part.min)
    if (part.max !== null) max = Math.max(max ?? part.max, part.max)
    if (part.had !== null) had = (had ?? 0) + part.had
  }
  return { n, sum, min, max, mean: meanOf(sum, n), failed, closed, rows, had }
}

/** The day of one device, from its hours in order of time. */
export const dayRow = (place: Place, edges: Edges, hours: readonly Aggregate[], expected: number | null): Aggregate => {
  const having = hours.filter(hour => hour.n > 0)
  return {
    column: hours[0]?.column ?? '',
    ...head(place, 'sensor', 'day', edges),
    ...combine(hours),
    first: having[0]?.first ?? null,
    last: having.at(-1)?.last ?? null,
    expected,
  }
}

/** The site's row of a bucket, from its devices' rows in order of their names. */
export const siteRow = (
  place: Place,
  resolution: Resolution,
  edges: Edges,
  devices: readonly Aggregate[],
  expected: number | null,
): Aggregate => {
  const having = devices.filter(device => device.n > 0)
  const only = having.length === 1 ? having[0] : undefined
  return {
    column: devices[0]?.column ?? '',
    ...head(place, 'site', resolution, edges),
    ...combine(devices),
    first: only?.first ?? null,
    last: only?.last ?? null,
    expected,
  }
}

/** Whether two rows of one key say the same. */
export const sameRow = (a: Aggregate, b: Aggregate): boolean =>
  a.n === b.n &&
  a.sum === b.sum &&
  a.min === b.min &&
  a.max === b.max &&
  a.first === b.first &&
  a.last === b.last &&
  a.failed === b.failed &&
  a.closed === b.closed &&
  a.rows === b.rows &&
  a.expected === b.expected &&
  a.had === b.had &&
  a.endNs === b.endNs
