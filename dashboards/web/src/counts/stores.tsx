/** Every store with its day so far and its last weeks, to choose from. */
import { useMemo, useState } from 'preact/hooks'
import type { CountRow, Site } from '../api.ts'
import { addDays, dateText, localNow, numberText, weekdayOf } from '../format.ts'
import type { LiveLine } from '../live.ts'
import { Change, Notice, Ticking } from '../parts.tsx'
import { Chart } from './chart.tsx'
import { Readout } from './readout.tsx'
import { buildSlots, figureOf, joinStores, type Slot } from './slots.ts'
import { useCounts } from './use-counts.ts'

const sparkDays = 28

export interface StoreCardsProps {
  stores: readonly Site[]
  live: LiveLine
  nowMs: number
  theme: string
  onChoose(store: string): void
}

export const StoreCards = ({ stores, live, nowMs, theme, onChoose }: StoreCardsProps) => {
  const from = addDays(new Date(nowMs).toISOString().slice(0, 10), -sparkDays - 1)
  const counts = useCounts({ resolution: 'day', from }, live)
  if (stores.length === 0) {
    return (
      <Notice title="No store is configured yet">
        Add one under `sites` in the cloud’s configuration, then start it again.
      </Notice>
    )
  }
  return (
    <>
      <h1>Choose a store</h1>
      <p class="lead">Visitors today so far, and the last four weeks day by day.</p>
      {counts.error !== undefined && !counts.rows ? (
        <Notice title="The counts could not be read" onRetry={counts.retry}>
          {counts.error}
        </Notice>
      ) : (
        <>
          <ul class="cards">
            {stores.map(store => (
              <StoreCard key={store.id} store={store} rows={counts.rows} nowMs={nowMs} onChoose={onChoose} />
            ))}
          </ul>
          {counts.rows && stores.length > 1 && <Together {...{ stores, rows: counts.rows, nowMs, theme }} />}
        </>
      )}
    </>
  )
}

/** All stores as one, day by day. */
const Together = ({
  stores,
  rows,
  nowMs,
  theme,
}: Pick<StoreCardsProps, 'stores' | 'nowMs' | 'theme'> & { rows: readonly CountRow[] }) => {
  const [hovered, setHovered] = useState<Slot>()
  const zone = stores[0]?.zone ?? 'UTC'
  const now = localNow(zone, nowMs)
  const slots = useMemo(() => {
    const joined = joinStores(rows, new Set(rows.map(row => row.store)).size)
    return daySlots(joined, now)
  }, [rows, now.date])
  if (slots.length === 0) return null
  return (
    <section class="panel together" aria-label="All stores together">
      <h2>All stores together</h2>
      <Readout slot={hovered} band={false} />
      <Chart
        slots={slots}
        label="Visitors of all stores together by day, with their baseline"
        theme={theme}
        onHover={setHovered}
      />
    </section>
  )
}

const daySlots = (rows: readonly CountRow[], now: { date: string; hour: number }): Slot[] =>
  buildSlots(rows, {
    ...{ resolution: 'day', today: now.date, hourNow: now.hour, from: addDays(now.date, 1 - sparkDays), to: now.date },
    ...{ weekdays: [0, 1, 2, 3, 4, 5, 6], hours: { from: 0, to: 23 } },
  })

interface StoreCardProps {
  store: Site
  rows: readonly CountRow[] | undefined
  nowMs: number
  onChoose(store: string): void
}
const StoreCard = ({ store, rows, nowMs, onChoose }: StoreCardProps) => {
  const now = localNow(store.zone, nowMs)
  const own = useMemo(() => rows?.filter(row => row.store === store.id) ?? [], [rows, store.id])
  const today = own.find(row => row.date === now.date)
  const week = figureOf(own.filter(row => row.date < now.date && row.date >= addDays(now.date, -7)))
  const slots = useMemo(() => daySlots(own, now), [own, now.date])
  return (
    <li>
      <a
        class="card"
        href={`/counts?store=${encodeURIComponent(store.id)}`}
        onClick={event => {
          if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return
          event.preventDefault()
          onChoose(store.id)
        }}
      >
        <span class="card-name">{store.name}</span>
        <span class="quiet small">{openText(store, now)}</span>
        {rows ? (
          <>
            <span class="card-count" data-store={store.id}>
              {today ? <Ticking value={today.count ?? 0} /> : '–'}
            </span>
            <Sparkline slots={slots} />
            <span class="card-foot">
              <span class="quiet">7 days</span>
              <span>
                {week.days > 0 ? numberText(week.count) : '–'}{' '}
                <Change percent={week.days > 0 ? week.changePercent : null} />
              </span>
            </span>
          </>
        ) : (
          <span class="skeleton tall" />
        )}
      </a>
    </li>
  )
}

/** Open or closed right now, by the opening hours. */
export const openText = (store: Site, now: { date: string; time: string }): string => {
  const spans = store.opening?.[weekdayOf(now.date)]
  if (!spans) return now.time
  const open = spans.find(span => span.from <= now.time && now.time < span.to)
  if (open) return `open until ${open.to}`
  const next = spans.find(span => span.from > now.time)
  if (next) return `opens at ${next.from}`
  return spans.length === 0 ? 'closed today' : 'closed'
}

const width = 240
const height = 48
/** A bar a day; gaps and failures have their own marks, as in the chart. */
const Sparkline = ({ slots }: { slots: readonly Slot[] }) => {
  const max = Math.max(1, ...slots.map(slot => slot.row?.count ?? 0))
  const step = width / Math.max(sparkDays, slots.length)
  const left = width - slots.length * step
  return (
    <svg
      class="spark"
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      role="img"
      aria-label="Visitors a day, the last four weeks"
    >
      {slots.map((slot, i) => {
        const bad = slot.status === 'failed' || slot.status === 'missing'
        const tall = bad ? height : Math.max(1, ((slot.row?.count ?? 0) / max) * (height - 2))
        const kind = bad ? slot.status : i === slots.length - 1 ? 'now' : 'ok'
        return (
          <rect
            key={slot.date}
            class={kind}
            x={left + i * step + step * 0.15}
            width={step * 0.7}
            y={height - tall}
            height={tall}
          >
            <title>{`${dateText(slot.date)}: ${bad ? slot.status : numberText(slot.row?.count ?? 0)}`}</title>
          </rect>
        )
      })}
    </svg>
  )
}
