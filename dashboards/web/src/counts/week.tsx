/** A usual week: the mean of each weekday and hour, dark where many come. A table, so that the numbers stand in it too. */
import { useMemo, useState } from 'preact/hooks'
import { get, type Query, type Site } from '../api.ts'
import { hourText, meanText, numberText, weekdayNames, weekdayText } from '../format.ts'
import type { LiveLine } from '../live.ts'
import { Notice } from '../parts.tsx'
import { texts } from '../texts.ts'
import type { Range } from './range.ts'
import type { Hours, View } from './url.ts'
import { useAnswer } from './use-answer.ts'

const t = texts.counts.week

export interface WeekProps {
  store: Site
  view: View
  range: Range
  hours: Hours
  live: LiveLine
}
type WeekCell = Awaited<ReturnType<typeof get<'/v1/counts/week'>>>['cells'][number]

export const weekQuery = ({ store, view, range, hours }: Omit<WeekProps, 'live'>): Query<'/v1/counts/week'> => ({
  ...{ store: store.id, from: range.from, to: range.to },
  ...(view.door !== undefined && { sensor: view.door }),
  ...(view.weekdays.length < 7 && { weekday: view.weekdays.join() }),
  ...(view.resolution === 'hour' && { hours: `${hours.from}-${hours.to}` }),
})

export const Week = (props: WeekProps) => {
  const { store, view, live } = props
  const query = weekQuery(props)
  const { value, error, retry } = useAnswer(JSON.stringify(query), [store.id], live, signal =>
    get('/v1/counts/week', query, signal),
  )
  if (value) return <WeekTable cells={value.cells} store={store} weekdays={view.weekdays} />
  if (error === undefined) return <span class="skeleton chart-place" />
  return (
    <Notice title={texts.counts.unreadable} onRetry={retry}>
      {error}
    </Notice>
  )
}

interface WeekTableProps {
  cells: readonly WeekCell[]
  store: Site
  weekdays: readonly number[]
}
const WeekTable = ({ cells, store, weekdays }: WeekTableProps) => {
  const [at, setAt] = useState<{ weekday: number; hour: number }>()
  const byPlace = useMemo(() => new Map(cells.map(cell => [cell.weekday * 24 + cell.hour, cell])), [cells])
  const highest = Math.max(1, ...cells.map(cell => cell.mean ?? 0))
  // Nights in which nobody ever came are no part of the picture.
  const seen = cells.filter(cell => cell.mean !== 0 || cell.leftOut > 0)
  const present = [...new Set((seen.length > 0 ? seen : cells).map(cell => cell.hour))]
  if (present.length === 0) {
    return <Notice title={texts.counts.empty.filtered}>{texts.counts.empty.filteredText}</Notice>
  }
  const hours = Array.from(
    { length: Math.max(...present) - Math.min(...present) + 1 },
    (_, i) => Math.min(...present) + i,
  )
  const current = at ?? { weekday: weekdays[0] ?? 0, hour: hours[0] ?? 0 }
  const walk = (event: KeyboardEvent & { currentTarget: HTMLElement }): void => {
    const [column, row] = [weekdays.indexOf(current.weekday), hours.indexOf(current.hour)]
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key]
    const weekday = weekdays[column + (step?.[0] ?? 0)]
    const hour = hours[row + (step?.[1] ?? 0)]
    if (!step || weekday === undefined || hour === undefined) return
    event.preventDefault()
    setAt({ weekday, hour })
    event.currentTarget.querySelector<HTMLElement>(`[data-at="${weekday} ${hour}"]`)?.focus()
  }
  return (
    <>
      <p class="quiet small week-lead">{t.lead}</p>
      <div class="readout" aria-live="polite">
        {at ? <CellText {...at} cell={byPlace.get(at.weekday * 24 + at.hour)} /> : <span class="quiet">{t.hint}</span>}
        <span class="week-scale" aria-hidden="true">
          0 <i /> {numberText(highest)}
        </span>
      </div>
      <table class="week-heat" onKeyDown={walk} onPointerLeave={() => setAt(undefined)}>
        <caption class="hidden">{t.caption(store.name)}</caption>
        <thead>
          <tr>
            <th scope="col">{t.hour}</th>
            {weekdays.map(day => (
              <th key={day} scope="col" abbr={weekdayNames[day] ?? ''}>
                {weekdayText(day)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {hours.map(hour => (
            <tr key={hour}>
              <th scope="row">{hourText(hour)}</th>
              {weekdays.map(weekday => (
                <HeatCell
                  key={weekday}
                  cell={byPlace.get(weekday * 24 + hour)}
                  place={`${weekday} ${hour}`}
                  highest={highest}
                  reached={current.weekday === weekday && current.hour === hour}
                  onReach={() => setAt({ weekday, hour })}
                />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </>
  )
}

interface HeatCellProps {
  cell: WeekCell | undefined
  place: string
  highest: number
  reached: boolean
  onReach(): void
}
const HeatCell = ({ cell, place, highest, reached, onReach }: HeatCellProps) => (
  <td
    class={cell ? (cell.mean === null ? 'none' : 'heated') : 'shut'}
    style={cell?.mean ? { '--heat': `${Math.round((100 * cell.mean) / highest)}%` } : {}}
    data-at={place}
    tabIndex={reached ? 0 : -1}
    onFocus={onReach}
    onPointerEnter={onReach}
  >
    {cell ? cell.mean === null ? '–' : numberText(cell.mean) : <span class="hidden">{t.closed}</span>}
  </td>
)

const CellText = ({ weekday, hour, cell }: { weekday: number; hour: number; cell: WeekCell | undefined }) => (
  <>
    <strong>
      {weekdayNames[weekday]}, {hourText(hour)}–{hourText(hour + 1)}
    </strong>
    {!cell ? (
      <span class="tag">{t.closed}</span>
    ) : cell.mean === null || cell.min === null || cell.max === null ? (
      <span>{t.none}</span>
    ) : (
      <>
        <span>{meanText(cell.mean)}</span>
        <span class="quiet">
          {t.of(cell.hours)}, {t.between(numberText(cell.min), numberText(cell.max))}
        </span>
      </>
    )}
    {cell && cell.leftOut > 0 && <span class="tag failed">{t.leftOut(cell.leftOut)}</span>}
  </>
)
