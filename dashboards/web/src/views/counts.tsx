/** Counts: a store to choose, then its figures, chart and table, its usual week, and others beside it. */
import '../counts/counts.css'
import { useEffect } from 'preact/hooks'
import { Pickers } from '../counts/filters.tsx'
import { StorePage } from '../counts/store.tsx'
import { StoreCards } from '../counts/stores.tsx'
import { changedUrl, readView, type View } from '../counts/url.ts'
import { useStores } from '../counts/use-stores.ts'
import { Notice } from '../parts.tsx'
import { go } from '../router.tsx'
import { texts } from '../texts.ts'
import type { ViewProps } from '../view.ts'

const t = texts.counts

export default ({ query, live, nowMs, theme }: ViewProps) => {
  const { stores, error, retry } = useStores()
  const view = readView(query)
  const store = stores?.find(s => s.id === view.store)
  useEffect(() => {
    document.title = `${store ? store.name : t.title} · ${texts.product}`
  }, [store])
  const change = (next: Partial<View>) => go(changedUrl(view, next), { replace: !('store' in next) })
  if (!stores) {
    return error === undefined ? (
      <span class="skeleton chart-place" />
    ) : (
      <Notice title={t.storesUnreadable} onRetry={retry}>
        {error}
      </Notice>
    )
  }
  if (store) return <StorePage key={store.id} {...{ stores, store, view, live, nowMs, theme, onView: change }} />
  return (
    <>
      {view.store !== undefined && <Notice title={t.noSuchStore(view.store)}>{t.chooseBelow}</Notice>}
      {stores.length > 0 && <Pickers {...{ stores, view }} doors={undefined} onView={change} />}
      <StoreCards {...{ stores, live, nowMs, theme }} onChoose={id => change({ store: id })} />
    </>
  )
}
