/** One store: figures, chart and table of its days or hours. */
import type { ComponentChildren } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import { type CountRow, countsAddress, type Site } from '../api.ts'
import {
  addDays,
  dateText,
  localNow,
  numberText,
  percentText,
  weekdayNames,
  weekdayOf,
  weekdayText,
} from '../format.ts'
import type { LiveLine } from '../live.ts'
import { Change, Choice, Notice, Ticking } from '../parts.tsx'
import { Chart, isUnderWay, slotTitle } from './chart.tsx'
import { Readout, StatusText } from './readout.tsx'
import { buildSlots, figureOf, type Slot } from './slots.ts'
import { openText } from './stores.tsx'
import { dayChoices, type View } from './url.ts'
import { useCounts } from './use-counts.ts'

export interface StorePageProps {
  store: Site
  view: View
  live: LiveLine
  nowMs: number
  theme: string
  onView(next: Partial<View>): void
}

export const StorePage = ({ store, view, live, nowMs, theme, onView }: StorePageProps) => {
  const now = localNow(store.zone, nowMs)
  const daily = useCounts({ store: store.id, resolution: 'day', from: addDays(now.date, -84) }, live)
  return (
    <>
      <h1>{store.name}</h1>
      <p class="lead">
        {now.time} there, {openText(store, now)} · {store.devices.length}{' '}
        {store.devices.length === 1 ? 'door' : 'doors'}
      </p>
      {daily.error !== undefined && !daily.rows ? (
        <Notice title="The counts could not be read" onRetry={daily.retry}>
          {daily.error}
        </Notice>
      ) : (
        <Figures rows={daily.rows} today={now.date} />
      )}
      <History {...{ store, view, live, nowMs, theme, onView }} />
    </>
  )
}

const Figures = ({ rows, today }: { rows: readonly CountRow[] | undefined; today: string }) => {
  const between = (from: number, to: number) =>
    (rows ?? []).filter(row => row.date >= addDays(today, from) && row.date <= addDays(today, to))
  const ofToday = rows?.find(row => row.date === today)
  const before = (rows ?? []).findLast(row => row.date < today && row.status !== 'closed')
  const usual = usualOf(rows ?? [], today)
  return (
    <section class="figures" aria-label="Figures">
      <Tile title="Today so far" rows={ofToday ? [ofToday] : []} loading={!rows} live>
        {usual === undefined ? '' : `a usual ${weekdayNames[weekdayOf(today)]} ${numberText(usual)}`}
      </Tile>
      <Tile title={before ? dateText(before.date) : 'Last day'} rows={before ? [before] : []} loading={!rows} />
      <Tile title="Last 7 days" rows={between(-7, -1)} loading={!rows} />
      <Tile title="Last 28 days" rows={between(-28, -1)} loading={!rows} />
    </section>
  )
}

/** Mean of the last four whole days of this weekday: today's own baseline would hold a day that is not over. */
const usualOf = (rows: readonly CountRow[], today: string): number | undefined => {
  const before = rows.filter(row => row.date < today && row.weekday === weekdayOf(today) && row.n > 0).slice(-4)
  return before.length === 0 ? undefined : before.reduce((sum, row) => sum + (row.count ?? 0), 0) / before.length
}

interface TileProps {
  title: string
  rows: readonly CountRow[]
  loading: boolean
  live?: boolean
  /** In place of baseline and change. */
  children?: ComponentChildren
}
const Tile = ({ title, rows, loading, live = false, children }: TileProps) => {
  const figure = figureOf(rows)
  return (
    <div class="tile">
      <span class="tile-title">{title}</span>
      {loading ? (
        <span class="skeleton" />
      ) : rows.length === 0 ? (
        <span class="tile-count">–</span>
      ) : (
        <span class="tile-count" data-figure={live ? 'today' : undefined}>
          {live ? <Ticking value={figure.count} /> : numberText(figure.count)}
        </span>
      )}
      <span class="tile-foot">
        {children ??
          (rows.length > 0 && !loading ? (
            <>
              baseline {numberText(figure.baseline)} <Change percent={figure.changePercent} />
            </>
          ) : (
            '\u00a0'
          ))}
      </span>
    </div>
  )
}

const History = ({ store, view, live, nowMs, theme, onView }: StorePageProps) => {
  const now = localNow(store.zone, nowMs)
  const { resolution, days, weekdays } = view
  const from = addDays(now.date, -days + 1)
  const counts = useCounts({ store: store.id, resolution, from }, live)
  const hours = useMemo(() => openHours(store), [store])
  const slots = useMemo(
    () => buildSlots(counts.rows ?? [], { resolution, today: now.date, hourNow: now.hour, days, weekdays, hours }),
    [counts.rows, resolution, now.date, now.hour, days, weekdays, hours],
  )
  const csv = countsAddress({
    ...{ store: store.id, resolution, from, format: 'csv', weekday: weekdays.join(',') },
    ...(resolution === 'hour' && { hours: `${hours.from}-${hours.to}` }),
  })
  return (
    <section class="panel" aria-label="History">
      <div class="bar">
        <div>
          <h2>Visitors by {resolution}</h2>
          <p class="quiet small">
            Baseline: mean of the latest four{' '}
            {resolution === 'day' ? 'of the same weekday' : 'at this hour and weekday'}
          </p>
        </div>
        <div class="filters">
          <Choice
            label="Resolution"
            value={resolution}
            options={[
              { value: 'day', text: 'Daily' },
              { value: 'hour', text: 'Hourly' },
            ]}
            onChange={next => onView({ resolution: next, days: 0 })}
          />
          <Choice
            label="Range"
            value={days}
            options={dayChoices[resolution].map(value => ({
              value,
              text: value % 7 === 0 ? `${value / 7} ${value === 7 ? 'week' : 'weeks'}` : `${value} days`,
            }))}
            onChange={next => onView({ days: next })}
          />
          <Weekdays value={weekdays} onChange={next => onView({ weekdays: next })} />
        </div>
      </div>
      <Body {...{ counts, slots, theme, store, resolution }} filtered={weekdays.length < 7} csv={csv} />
    </section>
  )
}

/** From the earliest opening to the latest closing hour of the week. */
const openHours = (store: Site): { from: number; to: number } => {
  const spans = store.opening?.flat() ?? []
  if (spans.length === 0) return { from: 0, to: 23 }
  const hour = (text: string) => Number(text.slice(0, 2)) + Number(text.slice(3)) / 60
  return {
    from: Math.floor(Math.min(...spans.map(s => hour(s.from)))),
    to: Math.ceil(Math.max(...spans.map(s => hour(s.to)))) - 1,
  }
}

const Weekdays = ({ value, onChange }: { value: readonly number[]; onChange(next: number[]): void }) => (
  <fieldset class="weekdays">
    <legend class="hidden">Weekdays</legend>
    {weekdayNames.map((name, day) => (
      <label key={name} class={value.includes(day) ? 'on' : ''} title={name}>
        <input
          type="checkbox"
          aria-label={name}
          checked={value.includes(day)}
          onChange={() => onChange(value.includes(day) ? value.filter(d => d !== day) : [...value, day].sort())}
        />
        {weekdayText(day).slice(0, 2)}
      </label>
    ))}
  </fieldset>
)

interface BodyProps {
  counts: ReturnType<typeof useCounts>
  slots: readonly Slot[]
  theme: string
  store: Site
  resolution: 'day' | 'hour'
  filtered: boolean
  csv: string
}
const Body = ({ counts, slots, theme, store, resolution, filtered, csv }: BodyProps) => {
  const [hovered, setHovered] = useState<Slot>()
  if (counts.error !== undefined && !counts.rows) {
    return (
      <Notice title="The counts could not be read" onRetry={counts.retry}>
        {counts.error}
      </Notice>
    )
  }
  if (!counts.rows) return <span class="skeleton chart-place" />
  if (slots.length === 0) {
    return (
      <Notice title="Nothing was counted here yet">
        {filtered
          ? 'No row lies in this range on the chosen weekdays: switch on more weekdays or choose a longer range.'
          : 'As soon as a reading of this store is stored, it appears here by itself.'}
      </Notice>
    )
  }
  const label = `Visitors of ${store.name} by ${resolution}, with their baseline. Arrow keys walk along the bars; the table below has the same numbers.`
  return (
    <>
      <Readout slot={hovered} />
      <Chart slots={slots} label={label} theme={theme} onHover={setHovered} />
      <CountTable slots={slots} csv={csv} />
    </>
  )
}

const rowsShown = 14
const CountTable = ({ slots, csv }: { slots: readonly Slot[]; csv: string }) => {
  const [all, setAll] = useState(false)
  const newest = [...slots].reverse()
  const shown = all ? newest : newest.slice(0, rowsShown)
  return (
    <div class="table">
      <table>
        <thead>
          <tr>
            <th scope="col">{slots[0]?.hour === null ? 'Day' : 'Hour'}</th>
            <th scope="col">Visitors</th>
            <th scope="col">Baseline</th>
            <th scope="col">Change</th>
            <th scope="col" title="Rows had over rows expected by the opening hours">
              Coverage
            </th>
            <th scope="col">State</th>
          </tr>
        </thead>
        <tbody>
          {shown.map(slot => (
            <CountTableRow key={`${slot.date} ${slot.hour}`} slot={slot} />
          ))}
        </tbody>
      </table>
      <div class="table-foot">
        {newest.length > rowsShown && (
          <button type="button" onClick={() => setAll(!all)}>
            {all ? 'Show fewer' : `Show all ${newest.length}`}
          </button>
        )}
        <a href={csv} download>
          Download CSV
        </a>
      </div>
    </div>
  )
}

const CountTableRow = ({ slot }: { slot: Slot }) => {
  const { row } = slot
  const counted = slot.status === 'ok' || slot.status === 'partial'
  return (
    <tr class={slot.status}>
      <th scope="row">{slotTitle(slot)}</th>
      <td>{counted ? isUnderWay(slot) ? <Ticking value={row?.count ?? 0} /> : numberText(row?.count ?? 0) : '–'}</td>
      <td>{row && row.baseline !== null && slot.status !== 'closed' ? numberText(row.baseline) : '–'}</td>
      <td>{counted && !isUnderWay(slot) ? <Change percent={row?.changePercent ?? null} /> : '–'}</td>
      <td>{(counted && !isUnderWay(slot)) || slot.status === 'failed' ? percentText(row?.coverage ?? null) : '–'}</td>
      <td>
        <StatusText slot={slot} />
      </td>
    </tr>
  )
}
