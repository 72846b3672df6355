/** The line to /v1/events: reconnects with the id of the last event, notices when it has gone silent. */

export interface CountChange {
  resolution: 'day' | 'hour'
  column: string
  date: string
  hour: number | null
  start: string
  count: number | null
  failed: number
  revision: number
}
export interface CountEvent {
  store: string
  stream: string
  from: string
  to: string
  rows: CountChange[]
}
/** The newest row of a series, without curves. */
export interface ReadingEvent {
  site: string
  device: string
  stream: string
  time: string
  values: Record<string, number | string | boolean | null>
}
export type LineState = 'connecting' | 'live' | 'offline'

/** What needs a person, as /v1/attention says it. */
export interface AttentionItem {
  id: string
  level: 'urgent' | 'soon'
  what: string
  act: string
  link: string
}

export interface LiveLine {
  state(): LineState
  /** When the service was last heard, ms. */
  heardMs(): number | undefined
  onState(listener: () => void): () => void
  onCount(listener: (event: CountEvent) => void): () => void
  /** Told only while somebody listens. */
  onReading(listener: (event: ReadingEvent) => void): () => void
  onGateway(listener: () => void): () => void
  /** Rejects came, or were decided on. */
  onReject(listener: () => void): () => void
  /** What a file has amounted to has changed. */
  onLedger(listener: () => void): () => void
  /** What needs a person has changed. */
  onAttention(listener: (items: readonly AttentionItem[]) => void): () => void
  /** What was missed is not to be had: read everything again. */
  onReset(listener: () => void): () => void
}

/** The service sends a beat every 10 s. */
const silentMsMax = 25_000
const retryMsMin = 1000
const retryMsMax = 30_000

const listeners = <T>() => {
  const all = new Set<(value: T) => void>()
  return {
    add(listener: (value: T) => void) {
      all.add(listener)
      return () => {
        all.delete(listener)
      }
    },
    tell(value: T) {
      for (const listener of all) listener(value)
    },
  }
}

export const openLive = (): LiveLine => {
  const counts = listeners<CountEvent>()
  const gateways = listeners<void>()
  const ledgers = listeners<void>()
  const attentions = listeners<readonly AttentionItem[]>()
  const readings = listeners<ReadingEvent>()
  const rejects = listeners<void>()
  const resets = listeners<void>()
  const states = listeners<void>()
  let state: LineState = 'connecting'
  let source: EventSource | undefined
  let lastId: string | undefined
  let heardMs: number | undefined
  let retryMs = retryMsMin
  let retryTimer: number | undefined
  let silence: number | undefined
  let wasLive = false
  let wantsReadings = false

  const setState = (next: LineState): void => {
    if (next === state) return
    state = next
    states.tell()
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
    setState('offline')
    retryTimer = window.setTimeout(connect, retryMs * (0.5 + Math.random() / 2))
    retryMs = Math.min(retryMs * 2, retryMsMax)
  }
  const on = (type: string, handle: (data: string) => void): void =>
    source?.addEventListener(type, event => {
      const { data, lastEventId } = event as MessageEvent<string>
      if (lastEventId !== '') lastId = lastEventId
      heard()
      handle(data)
    })
  const connect = (): void => {
    clearTimeout(retryTimer)
    source?.close()
    const types = `count,gateway,reject,ledger,attention${wantsReadings ? ',reading' : ''}`
    const query = new URLSearchParams({ types, ...(lastId !== undefined && { after: lastId }) })
    source = new EventSource(`/v1/events?${query}`)
    source.onopen = () => {
      retryMs = retryMsMin
      heard()
      setState('live')
      if (wasLive && lastId === undefined) resets.tell()
      wasLive = true
    }
    // The browser would try again by itself, but not after every kind of failure: one way for all of them.
    source.onerror = lost
    on('hello', () => {})
    on('beat', () => {})
    on('count', data => counts.tell(JSON.parse(data) as CountEvent))
    on('reading', data => readings.tell(JSON.parse(data) as ReadingEvent))
    on('gateway', () => gateways.tell())
    on('reject', () => rejects.tell())
    on('ledger', () => ledgers.tell())
    on('attention', data => attentions.tell((JSON.parse(data) as { items: AttentionItem[] }).items))
    on('reset', () => resets.tell())
    on('cut', lost)
  }
  window.addEventListener('online', connect)
  window.addEventListener('offline', lost)
  window.addEventListener('pagehide', () => source?.close())
  window.addEventListener('pageshow', event => {
    if (event.persisted) connect()
  })
  connect()

  return {
    state: () => state,
    heardMs: () => heardMs,
    onState: states.add,
    onCount: counts.add,
    onReading(listener) {
      const off = readings.add(listener)
      if (!wantsReadings) {
        wantsReadings = true
        connect()
      }
      return off
    },
    onGateway: gateways.add,
    onReject: rejects.add,
    onLedger: ledgers.add,
    onAttention: attentions.add,
    onReset: resets.add,
  }
}
