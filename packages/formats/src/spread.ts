import type { Series } from './series.ts'

/** Time between rows that take their time from their arrival: 1 µs. */
const arrivalStepNs = 1000
const keepStepNs = 1

/**
 * Turns the time of a series' next row, at[0] ms and at[1] ns, into the time at which it is stored.
 *
 * - `replace`: its own. - `keep`: its own, or 1 ns behind the last row where it repeats that row's time; a clock that
 * went back is let go back. - `arrival`: its own, or 1 µs behind the last row where it is not later.
 */
export const spread = (s: Series, at: Float64Array, how: 'replace' | 'keep' | 'arrival'): void => {
  const ms = at[0] as number
  const ns = at[1] as number
  const wentBack = how === 'keep' && before(ms, ns, s.rawMs, s.rawNs)
  s.rawMs = ms
  s.rawNs = ns
  if (how === 'replace' || wentBack || Number.isNaN(s.outMs) || before(s.outMs, s.outNs, ms, ns)) {
    s.outMs = ms
    s.outNs = ns
    return
  }
  s.outNs += how === 'keep' ? keepStepNs : arrivalStepNs
  if (s.outNs >= 1e6) {
    s.outNs -= 1e6
    s.outMs++
  }
  at[0] = s.outMs
  at[1] = s.outNs
}
const before = (ms: number, ns: number, otherMs: number, otherNs: number): boolean =>
  ms < otherMs || (ms === otherMs && ns < otherNs)
