/** Windows of GROUP BY time(…): aligned to the epoch, or with tz(…) to local time, so that a day has 23, 24 or 25 hours. */
import type { Zone } from '@penstock/frame'
import { InfluxQlError } from '../influxql.ts'

export interface Windows {
  /** Start of the window that holds a time. */
  startNs(timeNs: bigint): bigint
  /** Starts of all windows that meet [fromNs, toNs), in order. */
  between(fromNs: bigint, toNs: bigint): bigint[]
}

const msNs = 1_000_000n
const dayNs = 86_400_000_000_000n
const floor = (value: bigint, unit: bigint): bigint => {
  const rest = value % unit
  return value - (rest < 0n ? rest + unit : rest)
}

export const createWindows = (
  every: { ns: bigint; offsetNs: bigint },
  zone: Zone | undefined,
  windowsMax: number,
): Windows => {
  const shiftNs = (timeNs: bigint): bigint =>
    zone ? BigInt(zone.offsetMs(Number(floor(timeNs, msNs) / msNs))) * msNs : 0n
  /** Start of the window by the clock on the wall, in UTC. */
  const startNs = (timeNs: bigint): bigint => {
    const offset = shiftNs(timeNs)
    const local = floor(timeNs + offset - every.offsetNs, every.ns) + every.offsetNs
    const start = local - offset
    const atStart = shiftNs(start)
    // The clock was changed since the window began. Windows of less than a day go on by the clock of now.
    if (atStart === offset || every.ns < dayNs) return start
    const corrected = local - atStart
    return shiftNs(corrected) === atStart ? corrected : start
  }
  return {
    startNs,
    between(fromNs, toNs) {
      const starts: bigint[] = []
      for (let start = startNs(fromNs); start < toNs; ) {
        if (starts.length === windowsMax) {
          throw new InfluxQlError(`more than ${windowsMax} intervals: take a longer one or a shorter range of time`)
        }
        starts.push(start)
        let next = startNs(start + every.ns)
        // A day of 25 hours: its end is not reached by 24.
        if (next <= start) next = startNs(start + every.ns + every.ns / 2n)
        start = next <= start ? start + every.ns : next
      }
      return starts
    },
  }
}
