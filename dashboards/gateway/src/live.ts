/** The line to /api/live: the parts of the page as the gateway last told them. Comes back by itself, and says when it is gone. */
import { getSnapshot, unreachable } from './api.ts'

export type LineState = 'connecting' | 'live' | 'offline'

export interface Live {
  /** Parts by name; replaced as a whole with each change. */
  parts(): ReadonlyMap<string, unknown>
  state(): LineState
  /** Why there is no line, in one sentence. */
  problem(): string | undefined
  /** When the gateway was last heard, by this machine's clock, ms. */
  heardMs(): number | undefined
  /** The gateway's clock, ms: the reader's may be wrong. */
  nowMs(): number
  onChange(listener: () => void): () => void
}

/** The gateway sends a beat every 10 s. */
const silentMsMax = 25_000
const retryMsMin = 1000
const retryMsMax = 15_000

interface Change {
  clock: string
  set: Record<string, unknown>
  gone: string[]
}

export const openLive = (): Live => {
  const listeners = new Set<() => void>()
  let parts: ReadonlyMap<string, unknown> = new Map()
  let state: LineState = 'connecting'
  let problem: string | undefined
  let source: EventSource | undefined
  let heardMs: number | undefined
  let aheadMs = 0
  let retryMs = retryMsMin
  let retryTimer: number | undefined
  let silence: number | undefined

  const tell = (): void => {
    for (const listener of listeners) listener()
  }
  const heard = (): void => {
    heardMs = Date.now()
    clearTimeout(silence)
    silence = window.setTimeout(lost, silentMsMax)
  }
  const lost = (): void => {
    source?.close()
    source = undefined
    clearTimeout(silence)
    clearTimeout(retryTimer)
    state = 'offline'
    tell()
    // An event source does not say why; a plain question does.
    getSnapshot(AbortSignal.timeout(5000)).then(
      () => {
        problem = undefined
      },
      (error: Error) => {
        problem = error.name === 'ApiError' ? error.message : unreachable
        tell()
      },
    )
    retryTimer = window.setTimeout(connect, retryMs * (0.5 + Math.random() / 2))
    retryMs = Math.min(retryMs * 2, retryMsMax)
  }
  const take = (text: string, whole: boolean): void => {
    const { clock, set, gone } = JSON.parse(text) as Change
    const next = new Map(whole ? [] : parts)
    for (const name of gone) next.delete(name)
    for (const [name, part] of Object.entries(set)) next.set(name, part)
    parts = next
    aheadMs = Date.parse(clock) - Date.now()
    state = 'live'
    problem = undefined
    retryMs = retryMsMin
    heard()
    tell()
  }
  const connect = (): void => {
    clearTimeout(retryTimer)
    source?.close()
    source = new EventSource('/api/live')
    source.onerror = lost
    source.addEventListener('state', event => take((event as MessageEvent<string>).data, true))
    source.addEventListener('change', event => take((event as MessageEvent<string>).data, false))
    source.addEventListener('beat', heard)
    heard()
  }
  window.addEventListener('online', connect)
  window.addEventListener('pagehide', () => source?.close())
  window.addEventListener('pageshow', event => {
    if (event.persisted) connect()
  })
  connect()

  return {
    parts: () => parts,
    state: () => state,
    problem: () => problem,
    heardMs: () => heardMs,
    nowMs: () => Date.now() + aheadMs,
    onChange(listener) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
  }
}
