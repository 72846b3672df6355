/** What the service answers to a question, asked again when something says that it changed, and every so often. */
import { useEffect, useState } from 'preact/hooks'

const rereadMsMin = 1000

/** @param on subscribes to what makes it ask again; returns what ends that */
export const useAsked = <T>(
  key: string,
  ask: (signal: AbortSignal) => Promise<T>,
  { everyMs, on }: { everyMs?: number; on?: (again: () => void) => (() => void)[] } = {},
) => {
  const [found, setFound] = useState<{ key: string; value: T }>()
  const [error, setError] = useState<string>()
  const [attempt, setAttempt] = useState(0)
  useEffect(() => {
    const abort = new AbortController()
    const read = () =>
      ask(abort.signal).then(
        value => {
          setFound({ key, value })
          setError(undefined)
        },
        (cause: Error) => !abort.signal.aborted && setError(cause.message),
      )
    let timer: number | undefined
    let readMs = Date.now()
    const again = (): void => {
      timer ??= window.setTimeout(
        () => {
          timer = undefined
          readMs = Date.now()
          void read()
        },
        Math.max(100, readMs + rereadMsMin - Date.now()),
      )
    }
    void read()
    const every = everyMs === undefined ? undefined : window.setInterval(again, everyMs)
    const off = on?.(again) ?? []
    return () => {
      abort.abort()
      clearTimeout(timer)
      clearInterval(every)
      for (const stop of off) stop()
    }
  }, [key, attempt])
  return {
    value: found?.key === key ? found.value : undefined,
    error,
    retry() {
      setError(undefined)
      setAttempt(n => n + 1)
    },
  }
}
