/**
 * Local times to UTC. Away from the nights on which clocks change, one comparison with a remembered local day; in them,
 * the order of the rows decides.
 *
 * - Overlap (autumn): a local hour happens twice. Rows of a series are in the first pass until their local clock steps
 *   back; from there to the end of the overlap they are in the second. Every such row is flagged `dst-ambiguous`.
 * - Gap (spring): a local hour that the clocks skipped is read with the offset that held before, so that a logger whose
 *   clock was put forward late stays in order; such a row is flagged `dst-gap`.
 */
import { MS_PER_DAY, zoneOf } from '@penstock/frame'

export const STATUS_DST_AMBIGUOUS = 'dst-ambiguous'
export const STATUS_DST_GAP = 'dst-gap'

/** Where a series stands in an overlap, if it does. Survives in the checkpoint. */
export interface OverlapState {
  inside: boolean
  /** Local ms of the last row that was read twofold. */
  local: number
  second: boolean
}

export interface ZoneClock {
  /** Local days of one offset, [low, high) in local ms: utc = local − offset there. Read directly by the hot path. */
  low: number
  high: number
  offset: number
  /** UTC ms of a local time; moves `state`. `flag` says afterwards what was unclear. */
  toUtc(local: number, state: OverlapState): number
  /** Status of the last `toUtc`, or null. */
  flag: typeof STATUS_DST_AMBIGUOUS | typeof STATUS_DST_GAP | null
  /** Whether the zone's clocks skip this local time. */
  skips(local: number): boolean
}

/** @param equalStepsBack an equal local time is the second pass: in a table of hours a row stands for its hour once */
export const createZoneClock = (name: string, equalStepsBack: boolean): ZoneClock => {
  const zone = zoneOf(name)
  const clock: ZoneClock = { low: 0, high: 0, offset: 0, flag: null, toUtc, skips }
  function toUtc(local: number, state: OverlapState): number {
    clock.flag = null
    if (local < clock.low || local >= clock.high) lookUp(local)
    if (local >= clock.low && local < clock.high) {
      state.inside = false
      return local - clock.offset
    }
    const [first, second] = zone.fromLocalMs(local)
    if (first === undefined) {
      state.inside = false
      clock.flag = STATUS_DST_GAP
      return local - zone.offsetMs(local - MS_PER_DAY)
    }
    if (second === undefined) {
      state.inside = false
      return first
    }
    clock.flag = STATUS_DST_AMBIGUOUS
    // Rows more than a day apart are in two different overlaps.
    if (!state.inside || Math.abs(local - state.local) >= MS_PER_DAY) state.second = false
    else if (local < state.local || (equalStepsBack && local === state.local)) state.second = true
    state.inside = true
    state.local = local
    return state.second ? second : first
  }
  /** Remembers the local day of `local` where no change comes near it. */
  function lookUp(local: number): void {
    const day = Math.floor(local / MS_PER_DAY) * MS_PER_DAY
    const offset = zone.offsetMs(day - MS_PER_DAY)
    for (let utc = day; utc <= day + 2 * MS_PER_DAY; utc += MS_PER_DAY) if (zone.offsetMs(utc) !== offset) return
    clock.low = day
    clock.high = day + MS_PER_DAY
    clock.offset = offset
  }
  function skips(local: number): boolean {
    if (local >= clock.low && local < clock.high) return false
    return zone.fromLocalMs(local).length === 0
  }
  return clock
}
