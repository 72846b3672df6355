/** One gateway: whether it is there, what waits, and how its sources are. */
import type { ComponentChildren } from 'preact'
import type { Gateway } from '../api.ts'
import { bytesText, numberText } from '../format.ts'
import type { components } from '../generated/api.d.ts'
import { WideTable } from '../parts.tsx'
import { Link } from '../router.tsx'
import { texts } from '../texts.ts'

const t = texts.gateways

export interface GatewayCardProps {
  gateway: Gateway
  flow: components['schemas']['Flow']['gateways'][number] | undefined
  nowMs: number
  /** false: only sources that are not well are shown. */
  whole: boolean
}

export const GatewayCard = ({ gateway: g, flow, nowMs, whole }: GatewayCardProps) => {
  const sources = whole ? g.sources : g.sources.filter(({ health }) => health === 'stale' || health === 'failing')
  return (
    <section class="panel gateway-card" aria-label={t.gateway(g.gateway)}>
      <h2>
        <Link to={`/gateways?gateway=${encodeURIComponent(g.gateway)}`}>{g.gateway}</Link>{' '}
        <span class={`tag state ${g.online ? 'ok' : 'failed'}`}>{g.online ? t.online : t.offline}</span>
      </h2>
      <dl class="facts">
        <Fact name={t.heard}>{t.ago(Math.max(0, nowMs - Date.parse(g.statusAt)))}</Fact>
        <Fact name={t.pending}>{g.pendingEntries === 0 ? t.nothing : t.entries(numberText(g.pendingEntries))}</Fact>
        <Fact name={t.forecast}>{forecastOf(g, flow)}</Fact>
        <Fact name={t.spool}>{bytesText(g.spoolBytes)}</Fact>
        <Fact name={t.stored}>
          {t.through(numberText(g.storedThrough))}
          {g.receivedAt !== null && `, ${t.ago(Math.max(0, nowMs - Date.parse(g.receivedAt)))}`}
        </Fact>
        <Fact name={t.clock}>{clockOf(g.clockAheadMs)}</Fact>
        <Fact name={t.version}>{g.version}</Fact>
      </dl>
      {g.problems.length > 0 && (
        <ul class="problems">
          {g.problems.map(problem => (
            <li key={problem}>{problem}</li>
          ))}
        </ul>
      )}
      {sources.length > 0 && (
        <WideTable label={t.sourcesOf(g.gateway)}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t.source}</th>
                <th scope="col">{t.rows}</th>
                <th scope="col">{t.rejected}</th>
                <th scope="col">{t.last}</th>
                <th scope="col">{t.health}</th>
              </tr>
            </thead>
            <tbody>
              {sources.map(source => (
                <tr key={source.id}>
                  <th scope="row">
                    {source.id} <span class="quiet small">{source.kind}</span>
                  </th>
                  <td>{numberText(source.rows)}</td>
                  <td>
                    {source.rejects === 0 ? (
                      '0'
                    ) : (
                      <Link to={`/quarantine?${new URLSearchParams({ gateway: g.gateway, source: source.id })}`}>
                        {numberText(source.rejects)}
                      </Link>
                    )}
                  </td>
                  <td>
                    {source.lastRowAt === undefined ? '–' : t.ago(Math.max(0, nowMs - Date.parse(source.lastRowAt)))}
                  </td>
                  <td class="health">
                    <span
                      class={`tag state ${source.health === 'failing' || source.health === 'stale' ? 'failed' : 'ok'}`}
                    >
                      {t.healths[source.health]}
                    </span>
                    {source.message !== undefined && <span class="message">{source.message}</span>}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </WideTable>
      )}
    </section>
  )
}

const Fact = ({ name, children }: { name: string; children: ComponentChildren }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
)

const forecastOf = (g: Gateway, flow: GatewayCardProps['flow']): string => {
  if (g.pendingEntries === 0) return g.online ? t.upToDate : t.nothingToCome
  if (!g.online) return t.whenBack
  if (flow?.emptyInMs != null) return t.emptyIn(flow.emptyInMs)
  return (flow?.pendingPerSecond ?? 0) > 0
    ? t.growing(numberText(Math.ceil(60 * (flow?.pendingPerSecond ?? 0))))
    : t.holding
}
const clockOf = (aheadMs: number): string => {
  if (Math.abs(aheadMs) < 1000) return t.clockRight
  return aheadMs > 0 ? t.clockAhead(aheadMs) : t.clockBehind(-aheadMs)
}
