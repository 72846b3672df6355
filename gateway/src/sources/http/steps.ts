/** Steps of a local clock: minutes, hours or days of a zone, counted as if they were UTC. */
import { MS_PER_DAY, MS_PER_HOUR, type Zone } from '@penstock/frame'

export const stepMsOf = { minute: 60_000, hour: MS_PER_HOUR, day: MS_PER_DAY }

/** UTC at which a local step begins: twice where the clocks repeat it, never where they skip all of it. */
export const startsOf = (zone: Zone, local: number, stepMs: number): number[] => {
  const found = zone.fromLocalMs(local)
  if (found.length > 0) return stepMs > MS_PER_HOUR ? found.slice(0, 1) : found
  if (stepMs > MS_PER_HOUR) return [zone.dayStartMs(local - zone.offsetMs(local) + stepMs / 2)]
  // Clocks that go forward by half an hour leave the other half of this one.
  const [late] = zone.fromLocalMs(local + stepMs - 60_000)
  return late === undefined ? [] : [zone.hourStartMs(late)]
}
/** UTC at which it is over, for the last time. */
export const endOf = (zone: Zone, local: number, stepMs: number): number => {
  if (stepMs > MS_PER_HOUR) return startsOf(zone, local + stepMs, stepMs)[0] ?? 0
  const starts = startsOf(zone, local, stepMs)
  const last = starts.at(-1) ?? local - zone.offsetMs(local - MS_PER_DAY)
  return starts.length === 0 ? last : last + stepMs
}

/** "2024-07-01T09:00", also in the order of time. */
export const localText = (local: number): string => new Date(local).toISOString().slice(0, 16)
export const localMs = (text: string): number => Date.parse(`${text}Z`)
