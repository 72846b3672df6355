/**
 * The last minutes of one column, for a chart: single values while they are few, then the lowest and the highest of each
 * stretch of time, so that a spike of one row stays to be seen at any rate.
 */

/** Points that all traces together may still take. */
export interface PointBudget {
  take(points: number): boolean
  give(points: number): void
}

export const createPointBudget = (pointsMax: number): PointBudget => {
  let left = pointsMax
  return {
    take(points) {
      if (points > left) return false
      left -= points
      return true
    },
    give(points) {
      left += points
    },
  }
}

export interface Points {
  /** ms since the epoch, rising. */
  times: number[]
  /** `null` where there is a hole. */
  values: (number | null)[]
}

export interface Trace {
  /** Rows come in order of their times: an earlier one than the last is passed over; one of the same time replaces it. */
  add(ms: number, value: number): void
  points(fromMs: number): Points
  /** Width of the stretches of which lowest and highest are kept; 0 while every value is. */
  stretchMs(): number
  /** The time of the oldest point that is held. */
  oldestMs(): number | undefined
  /** Forgets all and gives its points back. */
  clear(): void
}

export interface TraceOptions {
  /** Points older than this, counted from the newest, go where room is needed. */
  windowMs: number
  /** Never fewer of the newest are kept, however old: a row an hour has a chart, too. */
  pointsMin: number
  pointsMax: number
  budget: PointBudget
}

const firstPoints = 64

export const createTrace = ({ windowMs, pointsMin, pointsMax, budget }: TraceOptions): Trace => {
  let times = new Float64Array(0)
  let values = new Float64Array(0)
  let count = 0
  let stretchMs = 0
  let lastMs = Number.NEGATIVE_INFINITY
  /** The stretch that is going on, and where its one or two points begin. */
  let stretch = Number.NaN
  let stretchFrom = 0

  const grow = (): boolean => {
    const points = times.length === 0 ? firstPoints : Math.min(pointsMax, times.length * 2)
    if (points <= times.length || !budget.take(points - times.length)) return false
    const [t, v] = [new Float64Array(points), new Float64Array(points)]
    t.set(times.subarray(0, count))
    v.set(values.subarray(0, count))
    times = t
    values = v
    return true
  }

  const dropOld = (): void => {
    const from = lastMs - windowMs
    let old = 0
    while (old < count - pointsMin && (times[old] as number) < from) old++
    if (old === 0) return
    times.copyWithin(0, old, count)
    values.copyWithin(0, old, count)
    count -= old
    stretchFrom -= old
    if (stretchFrom < 0) stretch = Number.NaN
    if (count < times.length / 8) stretchMs = stretchMs > 1 ? stretchMs / 2 : 0
  }

  /** Joins all points to wider stretches. */
  const widen = (): void => {
    const span = (times[count - 1] as number) - (times[0] as number)
    stretchMs = Math.max(1, stretchMs * 2, (span * 4) / times.length)
    const had = count
    count = 0
    stretch = Number.NaN
    for (let i = 0; i < had; i++) put(times[i] as number, values[i] as number)
  }

  const makeRoom = (): boolean => {
    dropOld()
    if (count <= (times.length * 3) / 4 && times.length > 0) return true
    if (grow()) return true
    if (times.length === 0) return false
    // A stretch may stay at two points each: only wider ones make room.
    for (let tries = 0; count > (times.length * 3) / 4 && tries < 64; tries++) widen()
    return count < times.length
  }

  const push = (ms: number, value: number): void => {
    times[count] = ms
    values[count] = value
    count++
  }

  const put = (ms: number, value: number): void => {
    if (stretchMs === 0) {
      if (count > 0 && times[count - 1] === ms) values[count - 1] = value
      else push(ms, value)
      return
    }
    const now = Math.floor(ms / stretchMs)
    if (now !== stretch || count === 0) {
      push(ms, value)
      stretch = now
      stretchFrom = count - 1
    } else widenRange(ms, value)
  }

  /** The stretch holds one point, or its lowest and highest in the order in which they came. */
  const widenRange = (ms: number, value: number): void => {
    const first = values[stretchFrom] as number
    if (Number.isNaN(value)) return
    if (Number.isNaN(first)) {
      times[stretchFrom] = ms
      values[stretchFrom] = value
    } else if (count - stretchFrom < 2) {
      if (value !== first) push(ms, value)
    } else {
      const second = values[stretchFrom + 1] as number
      const [low, high] = first < second ? [first, second] : [second, first]
      if (value >= low && value <= high) return
      const stays = value < low ? high : low
      if (second === stays) {
        times[stretchFrom] = times[stretchFrom + 1] as number
        values[stretchFrom] = second
      }
      times[stretchFrom + 1] = ms
      values[stretchFrom + 1] = value
    }
  }

  return {
    add(ms, value) {
      if (ms < lastMs) return
      lastMs = ms
      if (count < times.length || makeRoom()) put(ms, value)
    },
    points(fromMs) {
      let from = 0
      while (from < count && (times[from] as number) < fromMs) from++
      return {
        times: Array.from(times.subarray(from, count)),
        values: Array.from(values.subarray(from, count), value => (Number.isNaN(value) ? null : value)),
      }
    },
    stretchMs: () => stretchMs,
    oldestMs: () => (count > 0 ? times[0] : undefined),
    clear() {
      budget.give(times.length)
      times = new Float64Array(0)
      values = new Float64Array(0)
      count = 0
      stretchMs = 0
      stretch = Number.NaN
      lastMs = Number.NEGATIVE_INFINITY
    },
  }
}

/** At most `pointsMax` points: of each stretch of time the lowest and the highest, in the order in which they came. */
export const decimate = ({ times, values }: Points, pointsMax: number): Points => {
  if (times.length <= pointsMax) return { times, values }
  const first = times[0] as number
  const stretches = Math.max(1, Math.floor(pointsMax / 2))
  const width = ((times.at(-1) as number) - first) / stretches || 1
  const kept: Points = { times: [], values: [] }
  const keep = (i: number) => {
    kept.times.push(times[i] as number)
    kept.values.push(values[i] as number | null)
  }
  for (let from = 0; from < times.length; ) {
    const stretch = Math.min(stretches - 1, Math.floor(((times[from] as number) - first) / width))
    let [low, high] = [-1, -1]
    let to = from
    for (; to < times.length; to++) {
      if (Math.min(stretches - 1, Math.floor(((times[to] as number) - first) / width)) !== stretch) break
      const value = values[to]
      if (value === null || value === undefined) continue
      if (low < 0 || value < (values[low] as number)) low = to
      if (high < 0 || value > (values[high] as number)) high = to
    }
    if (low < 0) keep(from)
    else if (low === high) keep(low)
    else for (const i of low < high ? [low, high] : [high, low]) keep(i)
    from = to
  }
  return kept
}

const gapFactor = 5
const gapMsMin = 2000

/** Puts a hole where nothing came for much longer than usual, so that no line is drawn through a silence. */
export const breakAtGaps = ({ times, values }: Points, stretchMs: number): Points => {
  const steps = times
    .slice(1)
    .map((t, i) => t - (times[i] as number))
    .sort((a, b) => a - b)
  const usual = steps[Math.floor(steps.length / 2)] ?? 0
  const gapMs = Math.max(gapMsMin, usual * gapFactor, stretchMs * 3)
  const broken: Points = { times: [], values: [] }
  for (const [i, t] of times.entries()) {
    const before = times[i - 1]
    if (before !== undefined && t - before > gapMs) {
      broken.times.push((before + t) / 2)
      broken.values.push(null)
    }
    broken.times.push(t)
    broken.values.push(values[i] as number | null)
  }
  return broken
}
