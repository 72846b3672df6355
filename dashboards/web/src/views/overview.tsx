/** Where the page begins: what needs attention, the way of a reading, every store with its day so far, and how the gateways are. */
import { useEffect } from 'preact/hooks'
import { StoreCards } from '../counts/stores.tsx'
import { useStores } from '../counts/use-stores.ts'
import { GatewayList } from '../gateway-list.tsx'
import { AttentionList } from '../overview/attention.tsx'
import { FlowPicture } from '../overview/flow.tsx'
import { Notice } from '../parts.tsx'
import { go } from '../router.tsx'
import '../overview/overview.css'
import type { ViewProps } from '../view.ts'

export default ({ live, nowMs, theme }: ViewProps) => {
  const { stores, error, retry } = useStores()
  useEffect(() => {
    document.title = 'Penstock'
  }, [])
  return (
    <>
      <AttentionList live={live} />
      <FlowPicture live={live} />
      {stores ? (
        <StoreCards
          {...{ stores, live, nowMs, theme }}
          onChoose={id => go(`/counts?store=${encodeURIComponent(id)}`)}
        />
      ) : error === undefined ? (
        <span class="skeleton chart-place" />
      ) : (
        <Notice title="The stores could not be read" onRetry={retry}>
          {error}
        </Notice>
      )}
      <footer>
        <GatewayList live={live} />
      </footer>
    </>
  )
}
