/** Visitors: a store to choose, then its figures, chart and table. */
import { useEffect } from 'preact/hooks'
import { StorePage } from '../counts/store.tsx'
import { StoreCards } from '../counts/stores.tsx'
import { changedUrl, readView, type View } from '../counts/url.ts'
import { useStores } from '../counts/use-stores.ts'
import { Notice } from '../parts.tsx'
import { go } from '../router.tsx'
import type { ViewProps } from '../view.ts'

export default ({ query, live, nowMs, theme }: ViewProps) => {
  const { stores, error, retry } = useStores()
  const view = readView(query)
  const store = stores?.find(s => s.id === view.store)
  useEffect(() => {
    document.title = store ? `${store.name} · Penstock` : 'Counts · Penstock'
  }, [store])
  const change = (next: Partial<View>) => go(changedUrl(view, next), { replace: !('store' in next) })
  if (!stores) {
    return error === undefined ? (
      <span class="skeleton chart-place" />
    ) : (
      <Notice title="The stores could not be read" onRetry={retry}>
        {error}
      </Notice>
    )
  }
  if (store) return <StorePage key={store.id} {...{ store, view, live, nowMs, theme, onView: change }} />
  return (
    <>
      {view.store !== undefined && (
        <Notice title={`There is no store “${view.store}”`}>Choose one of those below.</Notice>
      )}
      <StoreCards {...{ stores, live, nowMs, theme }} onChoose={id => change({ store: id })} />
    </>
  )
}
