/** The page: header with the line's state, the stores to choose from, and what was chosen. */
import { useEffect, useState } from 'preact/hooks'
import { type Gateway, getGateways, getReasons, getStores, type Site } from './api.ts'
import { bytesText, numberText } from './format.ts'
import type { LiveLine } from './live.ts'
import { Overview } from './overview.tsx'
import { Notice } from './parts.tsx'
import { StorePage } from './store.tsx'
import { useTheme } from './theme.ts'
import { useView } from './url.ts'

export const App = ({ live }: { live: LiveLine }) => {
  const [view, go] = useView()
  const [stores, setStores] = useState<Site[]>()
  const [error, setError] = useState<string>()
  const [attempt, setAttempt] = useState(0)
  const [theme, toggleTheme] = useTheme()
  const nowMs = useMinute()

  useEffect(() => {
    const abort = new AbortController()
    getStores(abort.signal).then(
      found => {
        setStores(found)
        setError(undefined)
      },
      (cause: Error) => !abort.signal.aborted && setError(cause.message),
    )
    return () => abort.abort()
  }, [attempt])
  const store = stores?.find(s => s.id === view.store)
  useEffect(() => {
    document.title = store ? `${store.name} · Penstock` : 'Penstock'
  }, [store])

  const choose = (id: string | undefined) => go({ store: id })
  return (
    <>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <header>
        <a
          class="mark"
          href="/"
          onClick={event => {
            event.preventDefault()
            choose(undefined)
          }}
        >
          <img src="/favicon.svg" alt="" width="22" height="22" />
          Penstock
        </a>
        <StoreNav stores={stores ?? []} chosen={view.store} onChoose={choose} />
        <span class="spacer" />
        <Line live={live} nowMs={nowMs} />
        <button
          type="button"
          class="icon"
          onClick={toggleTheme}
          aria-label={theme === 'dark' ? 'Use light colours' : 'Use dark colours'}
        >
          {theme === 'dark' ? '☀' : '☾'}
        </button>
      </header>
      <main id="main">
        <Behind />
        {!stores ? (
          error === undefined ? (
            <span class="skeleton chart-place" />
          ) : (
            <Notice title="The stores could not be read" onRetry={() => setAttempt(n => n + 1)}>
              {error}
            </Notice>
          )
        ) : store ? (
          <StorePage key={store.id} {...{ store, view, live, nowMs, theme, onView: go }} />
        ) : (
          <>
            {view.store !== undefined && (
              <Notice title={`There is no store “${view.store}”`}>Choose one of those below.</Notice>
            )}
            <Overview {...{ stores, live, nowMs, theme, onChoose: choose }} />
          </>
        )}
      </main>
      <footer>
        <Gateways live={live} />
      </footer>
    </>
  )
}

const askEveryMs = 5000
const askMsMax = 10_000

/** Says that figures are behind what has arrived, and by how much, for as long as they are. */
const Behind = () => {
  const [reasons, setReasons] = useState<readonly string[]>([])
  useEffect(() => {
    const abort = new AbortController()
    let timer: number
    const ask = async () => {
      const found = await getReasons(AbortSignal.any([abort.signal, AbortSignal.timeout(askMsMax)])).catch(
        () => undefined,
      )
      if (abort.signal.aborted) return
      if (found) setReasons(found)
      timer = window.setTimeout(ask, askEveryMs)
    }
    void ask()
    return () => {
      abort.abort()
      window.clearTimeout(timer)
    }
  }, [])
  if (reasons.length === 0) return null
  return (
    <div class="behind" role="status">
      <strong>Figures are behind.</strong> What has arrived is safe in the journal and will show by itself.
      <ul>
        {reasons.map(reason => (
          <li key={reason}>{reason}</li>
        ))}
      </ul>
    </div>
  )
}

interface StoreNavProps {
  stores: readonly Site[]
  chosen: string | undefined
  onChoose(id: string | undefined): void
}
const StoreNav = ({ stores, chosen, onChoose }: StoreNavProps) => (
  <label class="picker">
    <span class="hidden">Store</span>
    <select value={chosen ?? ''} onChange={event => onChoose(event.currentTarget.value || undefined)}>
      <option value="">All stores</option>
      {stores.map(store => (
        <option key={store.id} value={store.id}>
          {store.name}
        </option>
      ))}
    </select>
  </label>
)

/** Whether what is shown changes by itself right now. */
const Line = ({ live, nowMs }: { live: LiveLine; nowMs: number }) => {
  const [state, setState] = useState(live.state())
  useEffect(() => {
    const update = () => setState(live.state())
    // It may have changed between the first drawing and now.
    update()
    return live.onState(update)
  }, [live])
  const heard = live.heardMs()
  const minutes =
    heard === undefined ? undefined : Math.max(0, Math.floor((Math.max(nowMs, Date.now()) - heard) / 60_000))
  const text =
    state === 'live'
      ? 'Live'
      : state === 'connecting'
        ? 'Connecting …'
        : minutes === undefined
          ? 'Offline'
          : minutes < 1
            ? 'Offline, as of just now'
            : `Offline, as of ${minutes} min ago`
  return (
    <span class={`line ${state}`} role="status">
      {text}
    </span>
  )
}

const Gateways = ({ live }: { live: LiveLine }) => {
  const [gateways, setGateways] = useState<Gateway[]>()
  useEffect(() => {
    const abort = new AbortController()
    // The state of the line says it where this fails; the next change asks again.
    const read = () => void getGateways(abort.signal).then(setGateways, () => {})
    read()
    const timer = window.setInterval(read, 30_000)
    const off = [live.onGateway(read), live.onReset(read)]
    return () => {
      abort.abort()
      clearInterval(timer)
      for (const stop of off) stop()
    }
  }, [live])
  if (!gateways) return null
  if (gateways.length === 0) return <span>No gateway has reported yet.</span>
  return (
    <ul class="gateways" aria-label="Gateways">
      {gateways.map(g => (
        <li key={g.gateway} class={g.online ? 'up' : 'down'}>
          <strong>{g.gateway}</strong> {g.online ? 'online' : 'offline'} · spool {bytesText(g.spoolBytes)} ·{' '}
          {g.pendingEntries === 0 ? 'nothing waits' : `${numberText(g.pendingEntries)} waiting`}
          {g.sources.some(s => s.health !== 'ok' && s.health !== 'finished' && s.health !== 'starting') &&
            ' · a source needs attention'}
        </li>
      ))}
    </ul>
  )
}

/** The time, anew each minute: days and hours go on without a reload. */
const useMinute = (): number => {
  const [nowMs, setNowMs] = useState(Date.now())
  useEffect(() => {
    let timer = 0
    const next = () => {
      setNowMs(Date.now())
      timer = window.setTimeout(next, 60_000 - (Date.now() % 60_000) + 50)
    }
    timer = window.setTimeout(next, 60_000 - (Date.now() % 60_000) + 50)
    return () => clearTimeout(timer)
  }, [])
  return nowMs
}
