/** Which local hours of which series have to be computed again. Names only: rows are read from the historian. */
import type { Frame } from '@penstock/frame'
import { NS_PER_MS } from '@penstock/frame'
import type { DirtyHour, SeriesKey } from '../../historian.ts'
import { nextHourStartMs, type Sites } from '../../sites.ts'
import { toMs, toNs } from './combine.ts'

/** Dirty hours (UTC start in ms) of the devices of one stream of one site. */
export interface DirtyStream {
  site: string
  stream: string
  devices: Map<string, Set<number>>
}

export const createDirty = (sites: Sites) => {
  const streams = new Map<string, DirtyStream>()
  let hours = 0

  const hoursOf = ({ site, device, stream: name }: SeriesKey): Set<number> => {
    const key = JSON.stringify([site, name])
    let stream = streams.get(key)
    if (!stream) {
      stream = { site, stream: name, devices: new Map() }
      streams.set(key, stream)
    }
    let set = stream.devices.get(device)
    if (!set) {
      set = new Set()
      stream.devices.set(device, set)
    }
    return set
  }

  return {
    /** Marks the hours of all rows of a frame. */
    mark(frame: Frame): void {
      if (frame.offsetsNs.length === 0) return
      const zone = sites.zoneOf(frame.site)
      const set = hoursOf(frame)
      const before = set.size
      // Rows mostly stay within the hour of the row before: [low, high) are its edges as offsets.
      let low = 0
      let high = 0
      for (let i = 0; i < frame.offsetsNs.length; i++) {
        const offset = frame.offsetsNs[i] as number
        if (offset >= low && offset < high) continue
        const startMs = zone.hourStartMs(floorMs(frame.startNs + BigInt(offset)))
        low = Number(toNs(startMs) - frame.startNs)
        high = Number(toNs(nextHourStartMs(zone, startMs)) - frame.startNs)
        set.add(startMs)
      }
      hours += set.size - before
    },
    add(hour: DirtyHour): void {
      const set = hoursOf(hour)
      const before = set.size
      set.add(toMs(hour.startNs))
      hours += set.size - before
    },
    /** Takes the marks back that a test picks. */
    withdraw(picks: (hour: DirtyHour) => boolean): DirtyHour[] {
      const picked: DirtyHour[] = []
      for (const { site, stream, devices } of streams.values()) {
        for (const [device, set] of devices) {
          for (const startMs of set) {
            const hour = { site, device, stream, startNs: toNs(startMs) }
            if (!picks(hour)) continue
            set.delete(startMs)
            hours--
            picked.push(hour)
          }
        }
      }
      return picked
    },
    /** Marked hours of all series. */
    size: () => hours,
    /** All that is marked; nothing is marked then. */
    take(): DirtyStream[] {
      const taken = [...streams.values()]
      streams.clear()
      hours = 0
      return taken
    },
  }
}

const nsPerMs = BigInt(NS_PER_MS)
const floorMs = (ns: bigint): number => Number((ns - (((ns % nsPerMs) + nsPerMs) % nsPerMs)) / nsPerMs)
