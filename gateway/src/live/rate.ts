/** How much came in the last minutes, in slots of time: no timer, and no more memory than its slots. */
export interface Rate {
  add(amount: number, nowMs: number): void
  /** Per minute, over the whole window, or since the first of it where that is less long ago. */
  perMinute(nowMs: number): number
}

export const createRate = ({ slotMs, slots }: { slotMs: number; slots: number }): Rate => {
  const sums = new Float64Array(slots)
  let startedMs: number | undefined
  let current = 0

  const moveTo = (nowMs: number): void => {
    const slot = Math.floor(nowMs / slotMs)
    // A clock that was set back leaves what it counted in its place until the time comes again.
    if (slot - current >= slots || slot < current) sums.fill(0)
    else for (let s = current + 1; s <= slot; s++) sums[s % slots] = 0
    current = slot
  }
  return {
    add(amount, nowMs) {
      startedMs ??= nowMs
      moveTo(nowMs)
      sums[current % slots] = (sums[current % slots] as number) + amount
    },
    perMinute(nowMs) {
      if (startedMs === undefined) return 0
      moveTo(nowMs)
      const sum = sums.reduce((total, amount) => total + amount, 0)
      const coveredMs = Math.min((slots - 1) * slotMs + (nowMs % slotMs), Math.max(slotMs, nowMs - startedMs))
      return (sum * 60_000) / Math.max(slotMs, coveredMs)
    },
  }
}
