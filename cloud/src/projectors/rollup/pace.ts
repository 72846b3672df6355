/** Which hours wait: an hour that took long is computed again only after a multiple of the time it took. */
import type { DirtyHour } from '../../historian.ts'

export interface PaceOptions {
  hotMsMin: number
  dutyMax: number
  deferMsMax: number
}

const hotHoursMax = 10_000

export const createPace = ({ hotMsMin, dutyMax, deferMsMax }: PaceOptions) => {
  /** When an hour may be computed again. Hours that may be are forgotten. */
  const hot = new Map<string, number>()
  /** Hours marked in the historian. */
  const deferred = new Map<string, DirtyHour>()

  const keyOf = (hour: DirtyHour): string => JSON.stringify([hour.site, hour.device, hour.stream, `${hour.startNs}`])
  const dueMs = (key: string): number => hot.get(key) ?? 0

  return {
    /** An hour was computed, and took so long. */
    cost(hour: DirtyHour, ms: number, nowMs: number): void {
      const key = keyOf(hour)
      hot.delete(key)
      if (ms < hotMsMin) return
      hot.set(key, nowMs + Math.min(deferMsMax, ms * (1 / dutyMax - 1)))
      if (hot.size > hotHoursMax) hot.delete(hot.keys().next().value ?? '')
    },
    isHot(hour: DirtyHour, nowMs: number): boolean {
      if (hot.size === 0) return false
      const key = keyOf(hour)
      if (dueMs(key) > nowMs) return true
      hot.delete(key)
      return false
    },
    defer(hour: DirtyHour): void {
      deferred.set(keyOf(hour), hour)
    },
    isDeferred: (hour: DirtyHour): boolean => deferred.size > 0 && deferred.has(keyOf(hour)),
    /** The hour's mark is gone from the historian. */
    settled(hour: DirtyHour): void {
      deferred.delete(keyOf(hour))
    },
    /** Deferred hours that may be computed at a time. */
    due: (untilMs: number): DirtyHour[] =>
      [...deferred].filter(([key]) => dueMs(key) <= untilMs).map(([, hour]) => hour),
    /** Until the next deferred hour is due; undefined where none is. */
    waitMs(nowMs: number): number | undefined {
      if (deferred.size === 0) return undefined
      let first = Number.POSITIVE_INFINITY
      for (const key of deferred.keys()) first = Math.min(first, dueMs(key))
      return Math.min(deferMsMax, Math.max(0, first - nowMs))
    },
  }
}
