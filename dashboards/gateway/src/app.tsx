/** The page: how the gateway is in one sentence, what needs attention, then everything it does. */
import { useTheme } from '@penstock/web/theme'
import { useEffect, useState } from 'preact/hooks'
import { attentionOf, type Finding, stateText } from './attention.ts'
import { Chart, type Chosen } from './chart.tsx'
import { Files } from './files.tsx'
import { agoText, clockText, spanText } from './format.ts'
import type { Live } from './live.ts'
import { Look } from './look.tsx'
import { Rejects } from './rejects.tsx'
import { Sources } from './sources.tsx'
import { SpoolAndLink } from './spool.tsx'
import { texts } from './texts.ts'
import { useView, type View } from './view.ts'

export const App = ({ live }: { live: Live }) => {
  const view = useView(live)
  const [theme, toggleTheme] = useTheme()
  const [chosen, setChosen] = useState<Chosen>()
  const { gateway } = view
  useEffect(() => {
    document.title = gateway ? texts.title(gateway.gateway) : texts.product
  }, [gateway?.gateway])
  const choose = (next: Chosen): void => {
    setChosen(next)
    const title = document.getElementById('chart-title')
    title?.focus({ preventScroll: true })
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches
    document.getElementById('chart')?.scrollIntoView({ behavior: calm ? 'auto' : 'smooth' })
  }
  return (
    <>
      <a class="skip" href="#main">
        {texts.skip}
      </a>
      <header>
        <a class="mark" href="/">
          <img src="/favicon.svg" alt="" width="22" height="22" />
          <span>{texts.product}</span>
        </a>
        <span class="spacer" />
        <span class={`line ${view.line}`} role="status">
          {view.line === 'live' ? texts.live : view.line === 'connecting' ? texts.connecting : texts.offline}
        </span>
        <button
          type="button"
          class="icon"
          onClick={toggleTheme}
          aria-label={theme === 'dark' ? texts.lightColours : texts.darkColours}
        >
          {theme === 'dark' ? '☀' : '☾'}
        </button>
      </header>
      <main id="main">
        {view.line === 'offline' && <Offline view={view} />}
        {gateway ? (
          <>
            <Summary view={view} />
            <Sources view={view} chosen={chosen} onChoose={choose} />
            <Chart view={view} chosen={chosen} theme={theme} onChoose={setChosen} />
            <SpoolAndLink view={view} />
            <Files view={view} />
            <Rejects view={view} />
            <Look />
          </>
        ) : (
          view.line !== 'offline' && <Loading />
        )}
      </main>
    </>
  )
}

const Loading = () => (
  <div aria-busy="true">
    <span class="skeleton title-place" />
    <div class="grid">
      <span class="skeleton card-place" />
      <span class="skeleton card-place" />
      <span class="skeleton card-place" />
    </div>
  </div>
)

const Offline = ({ view }: { view: View }) => (
  <div class="behind" role="alert">
    <strong>{texts.offlineTitle}</strong> {view.problem}{' '}
    {view.gateway && view.heardMs !== undefined && texts.offlineSince(agoText(Date.now() - view.heardMs))}
    <p>{texts.offlineHint}</p>
  </div>
)

const sections = [
  ['sources', texts.sources],
  ['chart', texts.chart],
  ['spool', texts.spool],
  ['files', texts.files],
  ['rejects', texts.rejects],
  ['look', texts.look],
] as const

const Summary = ({ view }: { view: View }) => {
  const { gateway, nowMs } = view
  const findings = attentionOf(view)
  if (!gateway) return null
  const bad = findings.some(({ level }) => level === 'bad')
  return (
    <>
      <div class="summary">
        <h1>{gateway.gateway}</h1>
        <p class={`state ${findings.length === 0 ? 'well' : bad ? 'bad' : 'warn'}`} role="status">
          {stateText(view, findings)}
        </p>
        <p class="quiet small">
          <span class="clock">{texts.clockIn(clockText(nowMs, gateway.zone), gateway.zone)}</span> ·{' '}
          {texts.version(gateway.version, spanText(nowMs - Date.parse(gateway.startedAt)))}
        </p>
      </div>
      <nav aria-label={texts.sections}>
        {sections.map(([id, title]) => (
          <a key={id} href={`#${id}`}>
            {title}
          </a>
        ))}
      </nav>
      {findings.length > 0 && <Attention findings={findings} />}
    </>
  )
}

const Attention = ({ findings }: { findings: readonly Finding[] }) => (
  <section class="attention" aria-labelledby="attention-title">
    <h2 id="attention-title">{texts.attention}</h2>
    <ul>
      {findings.map(({ id, level, text, hint, section }) => (
        <li key={id} class={level}>
          <strong>{section === undefined ? text : <a href={`#${section}`}>{text}</a>}</strong>
          {hint !== undefined && <p>{hint}</p>}
        </li>
      ))}
    </ul>
  </section>
)
