/** An answer of the service that is asked for again when a count of its stores changes. */
import { useEffect, useState } from 'preact/hooks'
import type { LiveLine } from '../live.ts'

export interface Answer<T> {
  /** `undefined` until it was read once for this question. */
  value: T | undefined
  error: string | undefined
  retry(): void
}

/** It is made of many rows: asked for again at most this often. */
const rereadMsMin = 5000

/** @param key the question: asked anew where it changes; undefined asks nothing */
export const useAnswer = <T>(
  key: string | undefined,
  stores: readonly string[],
  live: LiveLine,
  ask: (signal: AbortSignal) => Promise<T>,
): Answer<T> => {
  const [read, setRead] = useState<{ key: string; value: T }>()
  const [error, setError] = useState<{ key: string; text: string }>()
  const [attempt, setAttempt] = useState(0)
  useEffect(() => {
    if (key === undefined) return
    const abort = new AbortController()
    let timer: number | undefined
    let readMs = 0
    const reread = async (): Promise<void> => {
      timer = undefined
      readMs = Date.now()
      try {
        const value = await ask(abort.signal)
        setRead({ key, value })
        setError(undefined)
      } catch (cause) {
        if (!abort.signal.aborted) setError({ key, text: (cause as Error).message })
      }
    }
    const later = (): void => {
      timer ??= window.setTimeout(() => void reread(), Math.max(150, readMs + rereadMsMin - Date.now()))
    }
    void reread()
    const offCount = live.onCount(event => {
      if (event.stream === 'count' && stores.includes(event.store)) later()
    })
    const offReset = live.onReset(later)
    return () => {
      abort.abort()
      clearTimeout(timer)
      offCount()
      offReset()
    }
  }, [key, attempt])
  return {
    value: read !== undefined && read.key === key ? read.value : undefined,
    error: error !== undefined && error.key === key ? error.text : undefined,
    retry() {
      setError(undefined)
      setAttempt(n => n + 1)
    },
  }
}
