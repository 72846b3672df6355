/** What the service answers to a question that changes: one question at a time, and while new rows come, at most one a second. */
import { useEffect, useRef, useState } from 'preact/hooks'

export interface Question<T> {
  /** The series that are asked about: an answer about others is not shown. */
  of: string
  /** The range as a person chose it: a question about another one is given up. */
  kind: string
  /** The range as it is just now: it moves on as new rows come. */
  range: string
  ask(signal: AbortSignal): Promise<T>
}
export interface Answer<T> {
  /** The last answer; while the next one is on its way it stays. */
  value: T | undefined
  isLoading: boolean
  error: string | undefined
  retry(): void
}

const askEveryMs = 1000

export const useAnswer = <T>({ of, kind, range, ask }: Question<T>): Answer<T> => {
  const [found, setFound] = useState<{ of: string; value: T }>()
  const [isLoading, setLoading] = useState(true)
  const [error, setError] = useState<string>()
  const [attempt, setAttempt] = useState(0)
  const current = useRef(ask)
  current.current = ask
  const runner = useRef<() => Promise<void>>(undefined)
  useEffect(() => {
    const abort = new AbortController()
    let isRunning = false
    let again = false
    let lastMs = Number.NEGATIVE_INFINITY
    runner.current = async () => {
      again = true
      if (isRunning) return
      isRunning = true
      setLoading(true)
      while (again && !abort.signal.aborted) {
        again = false
        const waitMs = lastMs + askEveryMs - Date.now()
        if (waitMs > 0) await new Promise(resolve => setTimeout(resolve, waitMs))
        lastMs = Date.now()
        try {
          const value = await current.current(abort.signal)
          setFound({ of, value })
          setError(undefined)
        } catch (cause) {
          if (!abort.signal.aborted) setError((cause as Error).message)
        }
      }
      isRunning = false
      if (!abort.signal.aborted) setLoading(false)
    }
    return () => abort.abort()
  }, [of, kind, attempt])
  useEffect(() => {
    void runner.current?.()
  }, [of, kind, range, attempt])
  return {
    value: found?.of === of ? found.value : undefined,
    ...{ isLoading, error },
    retry() {
      setError(undefined)
      setAttempt(n => n + 1)
    },
  }
}
