/** The frame of the page: the views to choose from, the state of the line, and the view that the address names. */
import type { ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { getReasons } from './api.ts'
import type { LiveLine } from './live.ts'
import { Notice } from './parts.tsx'
import { Link, useRoute } from './router.tsx'
import { texts } from './texts.ts'
import { useTheme } from './theme.ts'
import type { ViewProps } from './view.ts'

/** By path; `pageViews` of the cloud names the same. Each is loaded when it is first shown. */
const views: readonly { path: string; name: string; load(): Promise<{ default: ComponentType<ViewProps> }> }[] = [
  { path: '/', name: texts.nav.overview, load: () => import('./views/overview.tsx') },
  { path: '/counts', name: texts.nav.counts, load: () => import('./views/counts.tsx') },
  { path: '/instruments', name: texts.nav.instruments, load: () => import('./views/instruments.tsx') },
  { path: '/gateways', name: texts.nav.gateways, load: () => import('./views/gateways.tsx') },
  { path: '/gaps', name: texts.nav.gaps, load: () => import('./views/gaps.tsx') },
  { path: '/quarantine', name: texts.nav.quarantine, load: () => import('./views/quarantine.tsx') },
  { path: '/reference', name: texts.nav.reference, load: () => import('./views/reference.tsx') },
]

export const App = ({ live }: { live: LiveLine }) => {
  const route = useRoute()
  const [theme, toggleTheme] = useTheme()
  const nowMs = useMinute()
  // On a phone the list of views is wider than the window.
  useEffect(() => {
    const chosen = document.querySelector('header nav [aria-current]')
    chosen?.scrollIntoView({ inline: 'center', block: 'nearest' })
  }, [route.path])
  return (
    <>
      <a class="skip" href="#main">
        {texts.skip}
      </a>
      <header>
        <Link class="mark" to="/">
          <img src="/favicon.svg" alt="" width="22" height="22" />
          {texts.product}
        </Link>
        <nav aria-label={texts.nav.label}>
          <ul>
            {views.map(({ path, name }) => (
              <li key={path}>
                <Link to={path} aria-current={path === route.path ? 'page' : undefined}>
                  {name}
                </Link>
              </li>
            ))}
          </ul>
        </nav>
        <span class="spacer" />
        <Line live={live} nowMs={nowMs} />
        <button
          type="button"
          class="icon"
          onClick={toggleTheme}
          aria-label={theme === 'dark' ? texts.theme.light : texts.theme.dark}
        >
          {theme === 'dark' ? '☀' : '☾'}
        </button>
      </header>
      <main id="main">
        <Behind />
        <Shown path={route.path} {...{ query: route.query, live, nowMs, theme }} />
      </main>
    </>
  )
}

const loaded = new Map<string, ComponentType<ViewProps>>()

/** The view of a path; its place stays while it is loaded. */
const Shown = ({ path, ...props }: ViewProps & { path: string }) => {
  const [, setChanged] = useState(0)
  const [failed, setFailed] = useState<string>()
  const view = views.find(v => v.path === path)
  useEffect(() => {
    setFailed(undefined)
    if (!view || loaded.has(path)) return
    let wanted = true
    const redraw = () => wanted && setChanged(n => n + 1)
    view.load().then(
      module => {
        loaded.set(path, module.default)
        redraw()
      },
      (cause: Error) => wanted && setFailed(cause.message),
    )
    return () => {
      wanted = false
    }
  }, [path, view])
  if (!view) return <Notice title={texts.notFound.title}>{texts.notFound.text}</Notice>
  if (failed !== undefined) {
    return (
      <Notice title={texts.failedToLoad} onRetry={() => location.reload()}>
        {failed}
      </Notice>
    )
  }
  const View = loaded.get(path)
  return View ? <View {...props} /> : <span class="skeleton chart-place" />
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
      <strong>{texts.behind.title}</strong> {texts.behind.text}
      <ul>
        {reasons.map(reason => (
          <li key={reason}>{reason}</li>
        ))}
      </ul>
    </div>
  )
}

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
      ? texts.line.live
      : state === 'connecting'
        ? texts.line.connecting
        : minutes === undefined
          ? texts.line.offline
          : minutes < 1
            ? texts.line.offlineNow
            : texts.line.offlineMinutes(minutes)
  return (
    <span class={`line ${state}`} role="status">
      {text}
    </span>
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
