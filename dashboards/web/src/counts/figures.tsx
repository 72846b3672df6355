/** How it goes: today so far, the last day, last Saturday, the last weeks. */
import type { ComponentChildren } from 'preact'
import type { CountRow } from '../api.ts'
import { addDays, dateText, numberText, weekdayNames, weekdayOf } from '../format.ts'
import { Change, Ticking } from '../parts.tsx'
import { Link } from '../router.tsx'
import { texts } from '../texts.ts'
import { hoursOfDay } from './filters.tsx'
import { lastSaturday, type Range } from './range.ts'
import { figureOf } from './slots.ts'
import { changedUrl, type View } from './url.ts'

const t = texts.counts.figures

export interface FiguresProps {
  rows: readonly CountRow[] | undefined
  today: string
  range: Range
  view: View
}

export const Figures = ({ rows, today, range, view }: FiguresProps) => {
  // Where the readings ended long ago, their last weeks are told.
  const end = range.last < today ? range.last : addDays(today, -1)
  const lastDays = (days: number) => (rows ?? []).filter(row => row.date > addDays(end, -days) && row.date <= end)
  const ofToday = rows?.find(row => row.date === today)
  const saturday = lastSaturday(range, today)
  const before = (rows ?? []).findLast(row => row.date < today && row.status !== 'closed' && row.date !== saturday)
  const usual = usualOf(rows ?? [], today)
  const to = (date: string) => changedUrl(view, { ...hoursOfDay(date, view), tab: 'chart' })
  return (
    <section class="figures" aria-label={t.label}>
      <Tile title={t.today} rows={ofToday ? [ofToday] : []} loading={!rows} live>
        {usual === undefined ? '' : t.usual(weekdayNames[weekdayOf(today)] ?? '', numberText(usual))}
      </Tile>
      <Tile
        title={before ? dateText(before.date) : t.lastDay}
        rows={before ? [before] : []}
        loading={!rows}
        to={before && to(before.date)}
      />
      {saturday !== undefined && (
        <Tile
          title={`${texts.counts.filters.lastSaturday}, ${dateText(saturday).slice(4)}`}
          rows={rows?.filter(row => row.date === saturday) ?? []}
          loading={!rows}
          to={to(saturday)}
        />
      )}
      <Tile title={t.lastDays(7)} rows={lastDays(7)} loading={!rows} />
      <Tile title={t.lastDays(28)} rows={lastDays(28)} loading={!rows} />
    </section>
  )
}

/** Mean of the last four whole days of this weekday: today's own baseline would hold a day that is not over. */
const usualOf = (rows: readonly CountRow[], today: string): number | undefined => {
  const before = rows.filter(row => row.date < today && row.weekday === weekdayOf(today) && row.n > 0).slice(-4)
  return before.length === 0 ? undefined : before.reduce((sum, row) => sum + row.count, 0) / before.length
}

interface TileProps {
  title: string
  rows: readonly CountRow[]
  loading: boolean
  live?: boolean
  /** Where its title leads. */
  to?: string | undefined
  /** In place of baseline and change. */
  children?: ComponentChildren
}
const Tile = ({ title, rows, loading, live = false, to, children }: TileProps) => {
  const figure = figureOf(rows)
  const failed = rows.length > 0 && rows.every(row => row.status === 'failed' || row.status === 'missing')
  return (
    <div class="tile">
      <span class="tile-title">
        {to === undefined ? (
          title
        ) : (
          <Link to={to} title={t.look}>
            {title}
          </Link>
        )}
      </span>
      {loading ? (
        <span class="skeleton" />
      ) : rows.length === 0 || failed ? (
        <span class="tile-count">–</span>
      ) : (
        <span class="tile-count" data-figure={live ? 'today' : undefined}>
          {live ? <Ticking value={figure.count} /> : numberText(figure.count)}
        </span>
      )}
      <span class="tile-foot">
        {children ??
          (failed ? (
            texts.counts.state.failed
          ) : rows.length > 0 && !loading ? (
            <>
              {t.baseline(numberText(figure.baseline))} <Change percent={figure.changePercent} />
            </>
          ) : (
            '\u00a0'
          ))}
      </span>
    </div>
  )
}
