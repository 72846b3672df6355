/** Coverage and gaps of one site, read again when something came in or a gateway changed. */
import { useEffect, useState } from 'preact/hooks'
import { get } from '../api.ts'
import type { components } from '../generated/api.d.ts'
import type { LiveLine } from '../live.ts'

export type Cell = components['schemas']['CoverageCell']
export type Gap = components['schemas']['Gap']
export type Coverage = components['schemas']['Coverage']
export type Gaps = components['schemas']['Gaps']

export interface GapQuery {
  site: string
  stream: string | undefined
  from: string
  to: string
  by: 'day' | 'hour'
}
export interface Found {
  coverage: Coverage
  gaps: Gaps
}

const rereadMsMin = 5000
const pageMax = 20_000

/** The present view of the question; while another is read, what was there before is not shown under its name. */
export const useGaps = (query: GapQuery | undefined, live: LiveLine) => {
  const key = query ? JSON.stringify(query) : ''
  const [found, setFound] = useState<{ key: string; value: Found }>()
  const [error, setError] = useState<string>()
  const [attempt, setAttempt] = useState(0)
  useEffect(() => {
    if (!query) return
    const abort = new AbortController()
    const { by, site, stream, from, to } = query
    const range = { site, from, to, limit: pageMax, ...(stream !== undefined && { stream }) }
    const read = async (): Promise<void> => {
      try {
        const [coverage, gaps] = await Promise.all([
          get('/v1/coverage', { ...range, by }, abort.signal),
          get('/v1/gaps', range, abort.signal),
        ])
        setFound({ key, value: { coverage, gaps } })
        setError(undefined)
      } catch (cause) {
        if (!abort.signal.aborted) setError((cause as Error).message)
      }
    }
    let timer: number | undefined
    let readMs = Date.now()
    const later = (): void => {
      timer ??= window.setTimeout(
        () => {
          timer = undefined
          readMs = Date.now()
          void read()
        },
        Math.max(250, readMs + rereadMsMin - Date.now()),
      )
    }
    void read()
    const off = [
      live.onCount(event => event.store === site && later()),
      live.onGateway(later),
      live.onReset(() => void read()),
    ]
    return () => {
      abort.abort()
      clearTimeout(timer)
      for (const stop of off) stop()
    }
  }, [key, attempt])
  return {
    found: found?.key === key ? found.value : undefined,
    error,
    retry() {
      setError(undefined)
      setAttempt(n => n + 1)
    },
  }
}
