/** A wait that ends early: by a ring (also one from before the wait), or when the signal aborts. */
export interface Alarm {
  ring(): void
  /** Resolves after `ms`, at a ring, or at the abort; never rejects. */
  wait(ms: number, signal: AbortSignal): Promise<void>
}

export const createAlarm = (): Alarm => {
  let rung = false
  let wake: (() => void) | undefined
  return {
    ring() {
      rung = true
      wake?.()
    },
    async wait(ms, signal) {
      if (!rung && !signal.aborted) {
        await new Promise<void>(resolve => {
          const end = () => {
            clearTimeout(timer)
            signal.removeEventListener('abort', end)
            wake = undefined
            resolve()
          }
          const timer = setTimeout(end, ms)
          signal.addEventListener('abort', end)
          wake = end
        })
      }
      rung = false
    },
  }
}
