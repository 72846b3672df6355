/** The way of a reading as a live picture: five stations, what passes between them, and how far each is. */
import { get } from '../api.ts'
import { numberText } from '../format.ts'
import type { components } from '../generated/api.d.ts'
import type { LiveLine } from '../live.ts'
import { texts } from '../texts.ts'
import { useAsked } from '../use-asked.ts'

const t = texts.overview.flow
type Flow = components['schemas']['Flow']

interface Station {
  name: string
  figure: string
  foot: string
  well: boolean
  /** Something passes behind it. */
  moves: boolean
}

const everyMs = 2000

export const FlowPicture = ({ live }: { live: LiveLine }) => {
  const { value } = useAsked('flow', signal => get('/v1/flow', {}, signal), {
    everyMs,
    on: again => [live.onGateway(again), live.onReset(again)],
  })
  if (!value) return <span class="skeleton tall" />
  const stations = stationsOf(value)
  return (
    <ol class="flow" aria-label={t.label}>
      {stations.map((station, i) => (
        <li key={station.name} class={station.well ? 'well' : 'unwell'}>
          <svg viewBox="0 0 120 28" preserveAspectRatio="none" aria-hidden="true">
            <line x1={i === 0 ? 60 : 0} y1="14" x2={i === stations.length - 1 ? 60 : 120} y2="14" class="pipe" />
            {station.moves && i < stations.length - 1 && <line x1="60" y1="14" x2="120" y2="14" class="stream" />}
            {i > 0 && stations[i - 1]?.moves && <line x1="0" y1="14" x2="60" y2="14" class="stream" />}
          </svg>
          <svg class="station" viewBox="0 0 28 28" aria-hidden="true">
            {station.well ? <circle cx="14" cy="14" r="8" /> : <path d="M14 4 L24 23 L4 23 Z" />}
          </svg>
          <span class="flow-name">{station.name}</span>
          <span class="flow-figure">{station.figure}</span>
          <span class="quiet small">{station.foot}</span>
        </li>
      ))}
    </ol>
  )
}

const rateText = (perSecond: number | null): string =>
  perSecond === null ? '–' : perSecond > 0 && perSecond < 10 ? perSecond.toFixed(1) : numberText(Math.round(perSecond))

const stationsOf = ({ gateways, broker, journal, projections }: Flow): Station[] => {
  const online = gateways.filter(g => g.online).length
  const pending = gateways.reduce((sum, g) => sum + g.pendingEntries, 0)
  const behindOf = (names: readonly string[]) => {
    const own = projections.filter(({ name }) => names.includes(name.split('-')[0] ?? ''))
    const behind = own.reduce((most, p) => Math.max(most, p.behind), 0)
    const problem = own.some(p => p.problem !== null)
    const perSecond = own[0]?.perSecond ?? null
    return { behind, problem, perSecond }
  }
  const [rows, rollups] = [behindOf(['historian']), behindOf(['rollup'])]
  const projected = (name: string, { behind, problem, perSecond }: ReturnType<typeof behindOf>): Station => ({
    name,
    figure: behind === 0 ? t.upToDate : t.behind(numberText(behind)),
    foot: problem ? t.problem : t.entriesPerSecond(rateText(perSecond)),
    well: !problem && behind <= behindMax,
    moves: (perSecond ?? 0) > 0,
  })
  return [
    {
      name: t.gateways,
      figure: t.online(numberText(online), numberText(gateways.length)),
      foot: pending === 0 ? t.nothingWaits : t.waiting(numberText(pending)),
      well: online === gateways.length,
      moves: (broker.messages.perSecond ?? 0) > 0,
    },
    {
      name: t.broker,
      figure: t.messagesPerSecond(rateText(broker.messages.perSecond)),
      foot: broker.connected ? t.clients(numberText(broker.clients)) : t.notReached,
      well: broker.connected,
      moves: (broker.messages.perSecond ?? 0) > 0,
    },
    {
      name: t.journal,
      figure: t.rowsPerSecond(rateText(broker.rows.perSecond)),
      foot: t.entry(numberText(journal.lastSeq)),
      well: journal.lostEntries === 0,
      moves: (journal.perSecond ?? 0) > 0,
    },
    projected(t.historian, rows),
    { ...projected(t.rollups, rollups), moves: false },
  ]
}
const behindMax = 1000
