/** Gateways: how each is, its sources, what its files amounted to, and what it lost. */
import { useEffect } from 'preact/hooks'
import { get, getGateways } from '../api.ts'
import '../gateways/gateways.css'
import { GatewayCard } from '../gateways/card.tsx'
import { Ledger } from '../gateways/ledger.tsx'
import { Losses } from '../gateways/losses.tsx'
import { gatewaysUrl, readGatewaysView } from '../gateways/url.ts'
import { Notice } from '../parts.tsx'
import { go } from '../router.tsx'
import { texts } from '../texts.ts'
import { useAsked } from '../use-asked.ts'
import type { ViewProps } from '../view.ts'

const t = texts.gateways

export default ({ query, live, nowMs }: ViewProps) => {
  const view = readGatewaysView(query)
  const asked = useAsked(
    'gateways',
    async signal => {
      const [gateways, flow] = await Promise.all([getGateways(signal), get('/v1/flow', {}, signal)])
      return { gateways, flow }
    },
    { everyMs: 5000, on: again => [live.onGateway(again), live.onReset(again)] },
  )
  useEffect(() => {
    document.title = `${view.gateway ?? t.title} · ${texts.product}`
  }, [view.gateway])
  const { gateways = [], flow } = asked.value ?? {}
  const shown = view.gateway === undefined ? gateways : gateways.filter(g => g.gateway === view.gateway)
  return (
    <>
      <div class="bar">
        <div>
          <h1>{view.gateway ?? t.title}</h1>
          <p class="lead">{t.lead}</p>
        </div>
        {view.gateway !== undefined && (
          <button type="button" onClick={() => go('/gateways')}>
            ‹ {t.all}
          </button>
        )}
      </div>
      {asked.error !== undefined && !asked.value && (
        <Notice title={t.failed} onRetry={asked.retry}>
          {asked.error}
        </Notice>
      )}
      {!asked.value && asked.error === undefined && <span class="skeleton chart-place" />}
      {asked.value && gateways.length === 0 && <Notice title={t.none}>{t.noneText}</Notice>}
      {asked.value && gateways.length > 0 && shown.length === 0 && (
        <Notice title={t.unknown(view.gateway ?? '')}>{t.unknownText}</Notice>
      )}
      <ul class="gateway-cards">
        {shown.map(gateway => (
          <li key={gateway.gateway}>
            <GatewayCard
              gateway={gateway}
              flow={flow?.gateways.find(f => f.gateway === gateway.gateway)}
              nowMs={nowMs}
              whole={view.gateway !== undefined || gateways.length <= 3}
            />
          </li>
        ))}
      </ul>
      <Ledger view={view} live={live} onView={next => go(gatewaysUrl({ ...view, ...next }), { replace: true })} />
      <Losses gateway={view.gateway} live={live} />
    </>
  )
}
