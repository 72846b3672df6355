/** One store: what of it is shown, its figures, and its days or hours as chart, table, usual week or beside others. */
import { useMemo, useRef, useState } from 'preact/hooks'
import { address, type CountQuery, type CountRow, countsAddress, type Format, type Site } from '../api.ts'
import { addDays, localNow, numberText } from '../format.ts'
import type { LiveLine } from '../live.ts'
import { Notice } from '../parts.tsx'
import { texts } from '../texts.ts'
import { Chart } from './chart.tsx'
import { Compare, compareQuery } from './compare.tsx'
import { Downloads } from './downloads.tsx'
import { Figures } from './figures.tsx'
import { Filters, Pickers } from './filters.tsx'
import { isOpen, openHours, type Range, rangeOf } from './range.ts'
import { Readout } from './readout.tsx'
import { buildSlots, type Slot } from './slots.ts'
import { openText } from './stores.tsx'
import { CountTable } from './table.tsx'
import { Tabs } from './tabs.tsx'
import type { Hours, View } from './url.ts'
import { useCauses } from './use-causes.ts'
import { type Counts, useCounts } from './use-counts.ts'
import { type Door, type Doors, useDoors } from './use-doors.ts'
import { Week, weekQuery } from './week.tsx'

const t = texts.counts

export interface StorePageProps {
  stores: readonly Site[]
  store: Site
  view: View
  live: LiveLine
  nowMs: number
  theme: string
  onView(next: Partial<View>): void
}

export const StorePage = (props: StorePageProps) => {
  const { stores, store, view, live, nowMs, onView } = props
  const now = localNow(store.zone, nowMs)
  const doors = useDoors(store, live)
  const door = doors?.doors.find(d => d.id === view.door)
  const extent = door ? door.extent : doors?.extent
  const range = useMemo(
    () => doors && rangeOf(view, extent, now.date),
    [doors, extent, view.from, view.to, view.days, now.date],
  )
  const usual = useMemo(() => openHours(store), [store])
  return (
    <>
      <div class="bar store-head">
        <div>
          <h1>{store.name}</h1>
          <p class="lead">
            {t.lead(now.time, openText(store, now), doors?.doors.length ?? store.devices.length, store.zone)}
          </p>
        </div>
        <Pickers {...{ stores, view, onView }} doors={doors?.doors} />
      </div>
      {doors && range ? (
        <History {...props} {...{ doors, door, range, now }} hours={view.hours ?? usual} />
      ) : (
        <span class="skeleton chart-place" />
      )}
    </>
  )
}

interface HistoryProps extends StorePageProps {
  doors: Doors
  door: Door | undefined
  range: Range
  now: { date: string; hour: number }
  hours: Hours
}

/** What the service is asked for: exactly what is shown. */
const queryOf = ({ store, view, range, hours }: HistoryProps): CountQuery => ({
  ...{ store: store.id, resolution: view.resolution, from: range.from, to: range.to },
  ...(view.door !== undefined && { sensor: view.door }),
  ...(view.weekdays.length < 7 && { weekday: view.weekdays.join() }),
  ...(view.resolution === 'hour' && { hours: `${hours.from}-${hours.to}` }),
})

const History = (props: HistoryProps) => {
  const { store, view, door, range, now, live } = props
  const figures = useCounts(
    {
      ...{ store: store.id, resolution: 'day', from: addDays(range.last, -84) },
      ...(view.door !== undefined && { sensor: view.door }),
    },
    live,
  )
  return (
    <>
      {figures.error !== undefined && !figures.rows ? (
        <Notice title={t.unreadable} onRetry={figures.retry}>
          {figures.error}
        </Notice>
      ) : (
        <Figures rows={figures.rows} today={now.date} range={range} view={view} />
      )}
      <section class="panel count-panel" aria-label={t.heading(view.resolution, door?.name)}>
        <Filters {...{ view, range, hours: props.hours, onView: props.onView }} today={now.date} />
        <div class="bar">
          <Tabs value={view.tab} onChange={tab => props.onView({ tab })} />
          <Downloads addressOf={format => downloadOf(props, format)} />
        </div>
        <div id="tab-panel" role="tabpanel" aria-labelledby={`tab-${view.tab}`}>
          {view.weekdays.length === 0 ? (
            <Notice title={t.empty.filtered}>{t.empty.filteredText}</Notice>
          ) : view.tab === 'week' ? (
            <Week {...props} />
          ) : view.tab === 'compare' ? (
            <Compare {...props} />
          ) : (
            <Days {...props} />
          )}
        </div>
      </section>
    </>
  )
}

const downloadOf = (props: HistoryProps, format: Format): string => {
  const { view } = props
  if (view.tab === 'week') return address('/v1/counts/week', { ...weekQuery(props), format })
  const compared = view.tab === 'compare' && compareQuery(props)
  return compared ? address('/v1/compare', { ...compared, format }) : countsAddress(queryOf(props), format)
}

/** The rows with the question that they answer: until the next ones are there, the ones before stay as they are. */
const useShown = (props: HistoryProps): { counts: Counts; slots: readonly Slot[] | undefined; busy: boolean } => {
  const { store, view, doors, door, range, now, hours, live } = props
  const counts = useCounts(queryOf(props), live)
  const before = useRef<{ store: string; slots: Slot[] } | undefined>(undefined)
  const extent = door ? door.extent : doors.extent
  const slots = useMemo(
    () =>
      counts.rows &&
      buildSlots(counts.rows, {
        ...{ resolution: view.resolution, today: now.date, hourNow: now.hour, from: range.from, to: range.to },
        ...{ weekdays: view.weekdays, hours, first: extent?.first ?? firstOf(counts.rows) },
        isOpen: (weekday, hour) => isOpen(store, weekday, hour),
      }),
    [counts.rows, view.resolution, view.weekdays, now.date, now.hour, range, hours, extent, store],
  )
  if (slots) before.current = { store: store.id, slots }
  const old = before.current?.store === store.id ? before.current.slots : undefined
  return { counts, slots: slots ?? old, busy: !slots }
}
/** Where no reading was seen, there is nothing to miss before the first row; after all of time where there is none. */
const firstOf = (rows: readonly CountRow[]): string => rows[0]?.date ?? '9999-12-31'

/** Chart or table of days or hours. */
const Days = (props: HistoryProps) => {
  const { store, view, theme, door, doors, live } = props
  const { counts, slots: places, busy } = useShown(props)
  const slots = useCauses(places, { store: store.id, door: view.door }, live)
  if (counts.error !== undefined && !counts.rows) {
    return (
      <Notice title={t.unreadable} onRetry={counts.retry}>
        {counts.error}
      </Notice>
    )
  }
  if (!slots) return <span class="skeleton chart-place" />
  if (slots.length === 0) {
    const never = (door ? door.extent : doors.extent) === undefined
    return (
      <Notice title={never ? t.empty.never : t.empty.filtered}>
        {never ? t.empty.neverText : t.empty.filteredText}
      </Notice>
    )
  }
  return (
    <div class={busy ? 'count-busy' : ''} aria-busy={busy}>
      {view.tab === 'table' ? (
        <CountTable slots={slots} />
      ) : (
        <ChartOf slots={slots} theme={theme} label={t.chart(store.name, slots[0]?.hour === null ? 'day' : 'hour')} />
      )}
    </div>
  )
}

/** More bars than this are no bars any more. */
const placesMax = 2000

const ChartOf = ({ slots, label, theme }: { slots: readonly Slot[]; label: string; theme: string }) => {
  const [hovered, setHovered] = useState<Slot>()
  const shown = useMemo(() => slots.slice(-placesMax), [slots])
  return (
    <>
      <Readout slot={hovered} />
      <Chart slots={shown} label={label} theme={theme} onHover={setHovered} />
      {shown.length < slots.length && (
        <p class="quiet small">{t.cut(numberText(shown.length), numberText(slots.length))}</p>
      )}
      <Explain hourly={slots[0]?.hour !== null} />
    </>
  )
}

const Explain = ({ hourly }: { hourly: boolean }) => (
  <details class="count-explain quiet small">
    <summary>{t.explain.title}</summary>
    <ul>
      <li>{t.explain.baseline(hourly ? t.explain.sameHour : t.explain.sameDay)}</li>
      <li>{t.explain.band}</li>
      <li>{t.explain.failed}</li>
      <li>{t.explain.missing}</li>
      <li>{t.explain.partial}</li>
      <li>{t.explain.coverage}</li>
    </ul>
  </details>
)
