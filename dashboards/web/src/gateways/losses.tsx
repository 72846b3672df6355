/** Ranges of a gateway's log that are gone there; none is the usual. */
import { get } from '../api.ts'
import type { LiveLine } from '../live.ts'
import { texts } from '../texts.ts'
import { useAsked } from '../use-asked.ts'

const t = texts.gateways
const shownMax = 50

export const Losses = ({ gateway, live }: { gateway: string | undefined; live: LiveLine }) => {
  const { value } = useAsked(
    JSON.stringify(['losses', gateway]),
    signal => get('/v1/losses', { limit: shownMax, ...(gateway && { gateway }) }, signal),
    { on: again => [live.onGateway(again), live.onReset(again)] },
  )
  if (!value) return null
  return (
    <section class="panel ledger" aria-labelledby="losses-title">
      <h2 id="losses-title">{t.losses}</h2>
      {value.losses.length === 0 && <p class="quiet">{t.noLoss}</p>}
      <ul class="ledger-lines">
        {value.losses.map(loss => (
          <li key={`${loss.gateway} ${loss.epoch} ${loss.from}`}>
            <strong>{loss.gateway ?? t.journal}</strong>
            <span>
              {': '}
              {t.loss(loss.from, loss.through, loss.epoch ?? '–')} {loss.reason}
            </span>
            <span class="quiet small">{loss.receivedAt.slice(0, 16).replace('T', ' ')} UTC</span>
          </li>
        ))}
      </ul>
    </section>
  )
}
