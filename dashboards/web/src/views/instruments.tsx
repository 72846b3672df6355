/** Instruments: what measures, its values as they come, and any time of them to look into. */
import { useEffect, useState } from 'preact/hooks'
import { Explore } from '../instruments/explore.tsx'
import '../instruments/instruments.css'
import { Tree } from '../instruments/tree.tsx'
import { readView, type View, viewUrl } from '../instruments/url.ts'
import { useCatalog } from '../instruments/use-catalog.ts'
import { Notice } from '../parts.tsx'
import { go } from '../router.tsx'
import { texts } from '../texts.ts'
import type { ViewProps } from '../view.ts'

const t = texts.instruments

export default ({ query, live, theme }: ViewProps) => {
  const { catalog, error, retry } = useCatalog(live)
  const nowMs = useSeconds(5)
  const view = readView(query)
  const [first] = view.series
  useEffect(() => {
    document.title = first ? `${first.device} · ${first.stream} · Penstock` : `${texts.nav.instruments} · Penstock`
  }, [first?.device, first?.stream])
  const change = (next: Partial<View>) => go(viewUrl({ ...view, ...next }), { replace: true })
  if (!catalog) {
    return error === undefined ? (
      <div class="instruments">
        <span class="skeleton tree-place" />
        <span class="skeleton chart-place" />
      </div>
    ) : (
      <Notice title={t.catalogFailed} onRetry={retry}>
        {error}
      </Notice>
    )
  }
  if (catalog.streams.length === 0) return <Notice title={t.nothing}>{t.nothingText}</Notice>
  return (
    <div class={first ? 'instruments chosen' : 'instruments'}>
      <Tree catalog={catalog} view={view} nowMs={nowMs} onView={change} />
      <div class="explore">
        {first ? (
          <Explore catalog={catalog} {...{ view, live, nowMs, theme }} onView={change} />
        ) : (
          <div class="prompt">
            <h1>{t.choose}</h1>
            <p class="lead">{t.chooseText}</p>
          </div>
        )}
      </div>
    </div>
  )
}

/** Now, anew every few seconds: for ages. */
const useSeconds = (every: number): number => {
  const [nowMs, setNowMs] = useState(Date.now())
  useEffect(() => {
    const timer = window.setInterval(() => setNowMs(Date.now()), every * 1000)
    return () => clearInterval(timer)
  }, [every])
  return nowMs
}
