/**
 * Five stores with 39 doors, and a laboratory's gauge, that do not exist: for demonstrations and tests.
 *
 * What a door counts in an hour is a pure function of seed, store, door and hour, so that two runs agree and a restart
 * sends nothing twice. First come the past weeks, at once; then the hour that is going on is sent again and again, its
 * count growing towards the model's value, which it has exactly when the hour is over.
 */
import { duration } from '@penstock/config'
import {
  type Frame,
  MS_PER_DAY,
  MS_PER_HOUR,
  nameSchema,
  STATUS_CLOSED,
  STATUS_COLUMN,
  STATUS_FAILED,
  zoneOf,
} from '@penstock/frame'
import * as z from 'zod'
import { createAlarm } from '../alarm.ts'
import { sourceId } from '../placement.ts'
import type { Batch, Cursor, Source, SourceDeps } from '../source.ts'

export const simulateOptions = z
  .strictObject({
    id: sourceId,
    kind: z.literal('simulate'),
    seed: z.int().min(0).default(1).describe('Other seeds give other numbers'),
    weeksBack: z.int().min(0).max(520).default(8).describe('Weeks of history that are sent at the first start'),
    everyMs: duration.pipe(z.int().min(20)).default(1000).describe('How often the hour that is going on is sent again'),
    alwaysOpen: z.boolean().default(false).describe('From the first start on there are visitors at any time of day'),
    speed: z
      .number()
      .min(1)
      .max(86_400)
      .default(1)
      .describe('Above 1: the last week passes so much faster, until it has caught up with the clock'),
    lab: z
      .strictObject({ site: nameSchema.default('Lab'), device: nameSchema.default('gauge') })
      .optional()
      .describe('Also a vacuum gauge, one reading a second'),
  })
  .describe('Five stores that do not exist')
export type SimulateOptions = z.output<typeof simulateOptions>

export interface SimulatedStore {
  site: string
  zone: string
  sensors: number
}
export const simulatedStores: readonly SimulatedStore[] = [
  { site: 'Madrid', zone: 'Europe/Madrid', sensors: 1 },
  { site: 'Paris', zone: 'Europe/Paris', sensors: 20 },
  { site: 'Berlin', zone: 'Europe/Berlin', sensors: 6 },
  { site: 'Roma', zone: 'Europe/Rome', sensors: 4 },
  { site: 'London', zone: 'Europe/London', sensors: 8 },
]
/** Opening hours of all of them, [from, to) by weekday, Monday 0; closed on Sundays. */
export const simulatedOpening: readonly (readonly [number, number] | undefined)[] = [
  [9, 20],
  [9, 20],
  [9, 20],
  [9, 20],
  [9, 20],
  [10, 20],
  undefined,
]

/** What a door's hour holds: a count, or the status that stands in its place. */
export type SimulatedHour = { count: number } | { status: typeof STATUS_FAILED | typeof STATUS_CLOSED }

/** Uniform in [0, 1), the same for the same key. */
const chance = (seed: number, ...key: (string | number)[]): number => {
  let h = 2166136261 ^ Math.imul(seed + 1, 2654435761)
  const text = key.join('|')
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619)
  h = Math.imul(h ^ (h >>> 16), 2246822507)
  h = Math.imul(h ^ (h >>> 13), 3266489909)
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32
}

const bump = (hour: number, at: number, width: number): number => Math.exp(-(((hour - at) / width) ** 2))
const weekdayFactors = [0.9, 0.88, 0.92, 0.98, 1.15, 1.4, 0.7]
const failureChance = 0.01
const growthSinceMs = Date.UTC(2024, 0, 1)

/**
 * @param hourMs UTC start of the hour
 * @param open there are visitors even where the store would be closed
 */
export const simulateHour = (
  seed: number,
  store: SimulatedStore,
  sensor: number,
  hourMs: number,
  open: boolean,
): SimulatedHour => {
  const { date, hour, weekday } = zoneOf(store.zone).parts(hourMs)
  const hours = simulatedOpening[weekday]
  const isOpen = hours !== undefined && hour >= hours[0] && hour < hours[1]
  if (!isOpen && !open) return { status: STATUS_CLOSED }
  const roll = (what: string, ...key: (string | number)[]) => chance(seed, store.site, what, ...key)
  if (roll('failed', sensor, hourMs) < failureChance) return { status: STATUS_FAILED }
  const size = 900 + 8000 * roll('size', sensor) ** 1.5
  const shape = 0.55 + 0.5 * bump(hour, 12.5, 2.2) + 0.6 * bump(hour, 17.5, 1.8)
  const weeks = (hourMs - growthSinceMs) / (7 * MS_PER_DAY)
  const growth = Math.exp((roll('growth') * 4 - 1) * 1e-3 * Math.max(-520, Math.min(520, weeks)))
  const unusual = roll('unusual', date)
  const anomaly = unusual < 0.015 ? 0.35 : unusual < 0.025 ? 1.9 : 1
  const noise = 0.85 + 0.3 * roll('noise', sensor, hourMs)
  const count = size * shape * (weekdayFactors[weekday] ?? 1) * growth * anomaly * noise * (isOpen ? 1 : 0.6)
  return { count: Math.round(count) }
}

/** How much of an hour's count has come at a part of the hour: never falling, 0 at 0, 1 at 1. */
const shareAt = (part: number): number => part - 0.05 * Math.sin(2 * Math.PI * part)

const historyHoursMax = 14 * 24
const labRowsMax = 3600

export const openSimulate = (options: SimulateOptions, deps: SourceDeps): Source => {
  const { id, seed, weeksBack, everyMs, alwaysOpen, speed, lab } = options
  const sensors = simulatedStores.flatMap(store =>
    Array.from({ length: store.sensors }, (_, sensor) => ({ store, sensor })),
  )

  async function* batches(resume: Cursor, signal: AbortSignal): AsyncGenerator<Batch> {
    const alarm = createAlarm()
    // Since the first start, in ms: what makes the live hours the same in a later process.
    const sinceMs = typeof resume.since === 'number' ? resume.since : deps.now().getTime()
    const openFromMs = alwaysOpen ? hourOf(clockAt(sinceMs, sinceMs, speed)) : Number.POSITIVE_INFINITY
    const clock = () => clockAt(deps.now().getTime(), sinceMs, speed)
    let nextHourMs = typeof resume.next === 'number' ? resume.next : hourOf(clock()) - weeksBack * 7 * MS_PER_DAY
    let labMs = typeof resume.lab === 'number' ? resume.lab : clock()
    const sent = new Map<number, string>()

    const hourValue = (store: SimulatedStore, sensor: number, hourMs: number) =>
      simulateHour(seed, store, sensor, hourMs, hourMs >= openFromMs)
    const hoursOf = (fromMs: number, toMs: number): Frame[] =>
      sensors.map(({ store, sensor }) => {
        const hours = Array.from({ length: (toMs - fromMs) / MS_PER_HOUR }, (_, i) =>
          hourValue(store, sensor, fromMs + i * MS_PER_HOUR),
        )
        return countFrame(id, store.site, sensor, fromMs, hours)
      })
    /** The rows of the hour that is going on which are not as they were last sent. */
    const currentOf = (nowMs: number): Frame[] => {
      const part = shareAt((nowMs - nextHourMs) / MS_PER_HOUR)
      return sensors.flatMap(({ store, sensor }, i) => {
        const whole = hourValue(store, sensor, nextHourMs)
        const hour = 'count' in whole ? { count: Math.floor(whole.count * part) } : whole
        const text = `${nextHourMs} ${JSON.stringify(hour)}`
        if (sent.get(i) === text) return []
        sent.set(i, text)
        return [countFrame(id, store.site, sensor, nextHourMs, [hour])]
      })
    }

    while (!signal.aborted) {
      const nowMs = clock()
      const frames: Frame[] = []
      const endMs = Math.min(hourOf(nowMs), nextHourMs + historyHoursMax * MS_PER_HOUR)
      if (endMs > nextHourMs) frames.push(...hoursOf(nextHourMs, endMs))
      nextHourMs = Math.max(nextHourMs, endMs)
      // Ahead of the clock where it was set back: that hour is told already.
      const isLive = nextHourMs >= hourOf(nowMs)
      if (nextHourMs === hourOf(nowMs)) frames.push(...currentOf(nowMs))
      if (lab) {
        const rows = Math.min(labRowsMax, Math.floor((nowMs - labMs) / 1000))
        if (rows > 0) frames.push(gaugeFrame(id, seed, lab, labMs, rows))
        labMs += Math.max(0, rows) * 1000
      }
      const cursor = { since: sinceMs, next: nextHourMs, ...(lab && { lab: labMs }) }
      if (frames.length > 0) yield { frames, rejects: [], ledger: [], cursor }
      if (isLive) await alarm.wait(everyMs, signal)
    }
  }

  return { id, kind: 'simulate', batches, health: () => ({ health: 'ok' }) }
}

const hourOf = (ms: number): number => Math.floor(ms / MS_PER_HOUR) * MS_PER_HOUR

/** The simulation's clock: the real one, or, with a speed, one that started a week behind and never runs ahead of it. */
const clockAt = (nowMs: number, sinceMs: number, speed: number): number =>
  speed === 1 ? nowMs : Math.min(nowMs, sinceMs - 7 * MS_PER_DAY + (nowMs - sinceMs) * speed)

const countFrame = (source: string, site: string, sensor: number, startMs: number, hours: SimulatedHour[]): Frame => ({
  site,
  device: String(sensor),
  stream: 'count',
  startNs: BigInt(startMs) * 1_000_000n,
  offsetsNs: Float64Array.from(hours, (_, i) => i * MS_PER_HOUR * 1e6),
  columns: [
    { name: 'count', type: 'int', unit: 'visits', values: hours.map(h => ('count' in h ? h.count : null)) },
    { name: STATUS_COLUMN, type: 'text', values: hours.map(h => ('count' in h ? null : h.status)) },
  ],
  origin: { source, format: 'simulate' },
})

/** A pump-down that drifts through the day, with a little noise: Pa. */
const gaugeFrame = (
  source: string,
  seed: number,
  lab: { site: string; device: string },
  fromMs: number,
  rows: number,
): Frame => ({
  ...lab,
  stream: 'pressure',
  startNs: BigInt(fromMs) * 1_000_000n,
  offsetsNs: Float64Array.from({ length: rows }, (_, i) => i * 1e9),
  columns: [
    {
      name: 'pressure',
      type: 'float',
      unit: 'Pa',
      values: Float64Array.from({ length: rows }, (_, i) => pressureAt(seed, fromMs + i * 1000)),
    },
  ],
  origin: { source, format: 'simulate' },
})
const pressureAt = (seed: number, ms: number): number => {
  const part = (ms % MS_PER_DAY) / MS_PER_DAY
  const value = 1.3e-6 * (1 + 0.3 * Math.sin(2 * Math.PI * part)) * (0.99 + 0.02 * chance(seed, 'gauge', ms))
  return Number(value.toPrecision(5))
}
