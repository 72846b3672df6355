/** Stores beside each other, or a store’s range beside an earlier one: lines, sums over what all have, and a table. */
import { useMemo, useState } from 'preact/hooks'
import type uPlot from 'uplot'
import { get, type Query, type Site } from '../api.ts'
import { numberText, shortDateText } from '../format.ts'
import type { LiveLine } from '../live.ts'
import { Change, Choice, Notice } from '../parts.tsx'
import { texts } from '../texts.ts'
import { type Place as AxisPlace, placesOf } from './axis.ts'
import { slotTitle } from './chart.tsx'
import { axesOf, frameOf, Plot } from './plot.tsx'
import type { Range } from './range.ts'
import { Scroller } from './scroller.tsx'
import { type Against, type Hours, othersMax, type View } from './url.ts'
import { useAnswer } from './use-answer.ts'

const t = texts.counts.compare

export interface CompareProps {
  stores: readonly Site[]
  store: Site
  view: View
  range: Range
  hours: Hours
  live: LiveLine
  theme: string
  onView(next: Partial<View>): void
}
type Compared = Awaited<ReturnType<typeof get<'/v1/compare'>>>
type ComparedPlace = Compared['places'][number]

/** undefined: there is nothing to compare with yet. */
export const compareQuery = ({
  store,
  stores,
  view,
  range,
  hours,
}: Pick<CompareProps, 'store' | 'stores' | 'view' | 'range' | 'hours'>): Query<'/v1/compare'> | undefined => {
  const others = view.others.filter(id => id !== store.id && stores.some(s => s.id === id))
  if (view.against === 'stores' && others.length === 0) return undefined
  return {
    ...(view.against === 'stores'
      ? { store: [store.id, ...others].join() }
      : { store: store.id, against: view.against, ...(view.door !== undefined && { sensor: view.door }) }),
    ...{ resolution: view.resolution, from: range.from, to: range.to },
    ...(view.weekdays.length < 7 && { weekday: view.weekdays.join() }),
    ...(view.resolution === 'hour' && { hours: `${hours.from}-${hours.to}` }),
  }
}

export const Compare = (props: CompareProps) => {
  const { stores, store, view, live, theme, onView } = props
  const query = compareQuery(props)
  const { value, error, retry } = useAnswer(
    query && JSON.stringify(query),
    [store.id, ...(view.against === 'stores' ? view.others : [])],
    live,
    signal => get('/v1/compare', query ?? { store: '', from: '', to: '' }, signal),
  )
  return (
    <>
      <div class="count-row compared">
        <Choice<Against>
          label={t.against}
          value={view.against}
          options={[
            { value: 'stores', text: t.stores },
            { value: 'before', text: t.before },
            { value: 'year', text: t.year },
          ]}
          onChange={against => onView({ against })}
        />
        {view.against === 'stores' && <Others {...{ stores, store, view, onView }} />}
      </div>
      <p class="quiet small week-lead">{t.lead[view.against]}</p>
      {value ? (
        <Result {...{ value, stores, theme }} />
      ) : error !== undefined ? (
        <Notice title={texts.counts.unreadable} onRetry={retry}>
          {error}
        </Notice>
      ) : query ? (
        <span class="skeleton chart-place" />
      ) : (
        <Notice title={t.none}>{t.noneText}</Notice>
      )}
    </>
  )
}

const Others = ({ stores, store, view, onView }: Pick<CompareProps, 'stores' | 'store' | 'view' | 'onView'>) => (
  <fieldset class="choice many">
    <legend class="hidden">{t.stores}</legend>
    {stores
      .filter(other => other.id !== store.id)
      .map(({ id, name }) => {
        const on = view.others.includes(id)
        return (
          <label key={id} class={on ? 'on' : ''}>
            <input
              type="checkbox"
              checked={on}
              disabled={!on && view.others.length >= othersMax}
              onChange={() => onView({ others: on ? view.others.filter(o => o !== id) : [...view.others, id] })}
            />
            {name}
          </label>
        )
      })}
  </fieldset>
)

type Measure = 'visitors' | 'index'

const Result = ({ value, stores, theme }: { value: Compared; stores: readonly Site[]; theme: string }) => {
  const [hovered, setHovered] = useState<ComparedPlace>()
  const [measure, setMeasure] = useState<Measure>('visitors')
  const names = useMemo(() => namesOf(value, stores), [value, stores])
  const shown = useMemo(
    () => value.places.filter(({ cells }) => cells.some(cell => cell && cell.status !== 'closed')),
    [value],
  )
  const places = useMemo(() => placesOf(shown), [shown])
  const data = useMemo(() => dataOf(places, value, measure), [places, value, measure])
  if (shown.length === 0) {
    return <Notice title={texts.counts.empty.filtered}>{texts.counts.empty.filteredText}</Notice>
  }
  return (
    <>
      <Sums {...{ value, names }} />
      <div class="bar">
        <div class="readout" aria-live="polite">
          {hovered && <strong>{slotTitle(hovered)}</strong>}
          {names.map((name, i) => (
            <span key={name} class={`key series s${i}`}>
              {name}
              {hovered && (
                <b>
                  <CellText cell={hovered.cells[i] ?? null} />
                </b>
              )}
            </span>
          ))}
        </div>
        <Choice<Measure>
          label={t.measure}
          value={measure}
          options={[
            { value: 'visitors', text: t.visitors },
            { value: 'index', text: t.index },
          ]}
          onChange={setMeasure}
        />
      </div>
      <Plot<ComparedPlace>
        {...{ places, data, theme, optionsOf }}
        shape={`${names.length} ${measure}`}
        label={t.chart}
        onHover={place => setHovered(place)}
      />
      <p class="quiet small">{t.leftOut}</p>
      <PlaceTable {...{ names }} places={shown} />
    </>
  )
}

/** What tells the series apart: their stores, else their dates. */
const namesOf = ({ series }: Compared, stores: readonly Site[]): string[] => {
  const ofStores = new Set(series.map(s => s.store)).size > 1
  const year = new Set(series.flatMap(s => [s.from.slice(0, 4), s.to.slice(0, 4)])).size > 1
  const dateText = (date: string) => shortDateText(date) + (year ? ` ${date.slice(0, 4)}` : '')
  return series.map(({ store, from, to }) =>
    ofStores ? (stores.find(s => s.id === store)?.name ?? store) : `${dateText(from)} – ${dateText(to)}`,
  )
}

type ComparedCell = ComparedPlace['cells'][number]
const isCounted = (cell: ComparedCell) => cell?.status === 'ok' || cell?.status === 'partial'
/** Why a count cannot stand beside others; undefined where it can. */
const doubtOf = (cell: ComparedCell): string | undefined => {
  if (!cell || !isCounted(cell) || cell.comparable) return undefined
  return cell.status === 'partial' ? t.inPart : texts.counts.state.underWay
}
const cellText = (cell: ComparedCell): string => {
  if (cell === null) return texts.counts.state.missing
  if (cell.status === 'ok' || cell.status === 'partial') return numberText(cell.count)
  return texts.counts.state[cell.status]
}
const CellText = ({ cell }: { cell: ComparedCell }) => {
  const doubt = doubtOf(cell)
  return (
    <>
      {doubt !== undefined && <span class={`tag ${cell?.status === 'partial' ? 'failed' : 'open'}`}>{doubt}</span>}{' '}
      {isCounted(cell) ? cellText(cell) : <span class="quiet">{cellText(cell)}</span>}
    </>
  )
}

const Sums = ({ value, names }: { value: Compared; names: readonly string[] }) => {
  const { commonPlaces, series, resolution } = value
  const [now, earlier] = series
  const ofStores = new Set(series.map(one => one.store)).size > 1
  /** Stores are told apart from the first one; a range from the one before it. */
  const differenceOf = (index: number): number | null | undefined => {
    if (commonPlaces === 0 || !now || !earlier) return undefined
    if (ofStores) return index === 0 ? undefined : (series[index]?.changePercent ?? null)
    if (index > 0) return undefined
    return earlier.commonCount === 0 ? null : (100 * (now.commonCount - earlier.commonCount)) / earlier.commonCount
  }
  return (
    <>
      <p class="small">
        {commonPlaces === 0 ? t.nothingCommon : t.together(numberText(commonPlaces), t.what(commonPlaces, resolution))}
      </p>
      <Scroller label={t.sums} inner>
        <table class="count-numbers">
          <thead>
            <tr>
              <th scope="col">{t.series}</th>
              <th scope="col">{t.sum}</th>
              <th scope="col">{t.commonSum}</th>
              <th scope="col">{t.difference}</th>
            </tr>
          </thead>
          <tbody>
            {series.map((one, i) => (
              <tr key={names[i]}>
                <th scope="row">
                  <span class={`key series s${i}`}>{names[i]}</span>
                </th>
                <td>{numberText(one.count)}</td>
                <td>{commonPlaces === 0 ? '–' : numberText(one.commonCount)}</td>
                <td>
                  {differenceOf(i) === undefined ? '–' : <Change percent={differenceOf(i) ?? null} quiet={ofStores} />}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroller>
    </>
  )
}

const rowsStep = 14
const PlaceTable = ({ names, places }: { names: readonly string[]; places: readonly ComparedPlace[] }) => {
  const [rowsMax, setRowsMax] = useState(rowsStep)
  const shown = places.slice(-rowsMax).reverse()
  const left = places.length - shown.length
  return (
    <Scroller label={texts.counts.table.caption}>
      <table class="count-numbers">
        <caption class="hidden">{texts.counts.table.caption}</caption>
        <thead>
          <tr>
            <th scope="col">{places[0]?.hour === null ? texts.counts.table.day : texts.counts.table.hour}</th>
            {names.map(name => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map(place => (
            <tr key={`${place.date} ${place.hour}`}>
              <th scope="row">{slotTitle(place)}</th>
              {place.cells.map((cell, i) => (
                <td key={names[i]}>
                  <CellText cell={cell} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {left > 0 && (
        <div class="table-foot">
          <button type="button" onClick={() => setRowsMax(rowsMax + 500)}>
            {texts.counts.table.more(numberText(Math.min(left, 500)))}
          </button>
        </div>
      )}
    </Scroller>
  )
}

const dataOf = (
  places: readonly AxisPlace<ComparedPlace>[],
  { series }: Compared,
  measure: Measure,
): uPlot.AlignedData => {
  const columns = series.map((_, i) =>
    places.map(place => {
      const cell = place?.cells[i] ?? null
      // What failed in part or is not over would look like a fall.
      return cell?.comparable && isCounted(cell) ? cell.count : null
    }),
  )
  if (measure === 'visitors') return [places.map((_, i) => i), ...columns]
  return [places.map((_, i) => i), ...columns.map(column => indexed(column))]
}
/** So that stores of any size can stand beside each other: 100 is the mean of what is shown. */
const indexed = (column: readonly (number | null)[]): (number | null)[] => {
  const counted = column.filter(value => value !== null)
  const mean = counted.reduce((sum, value) => sum + value, 0) / Math.max(1, counted.length)
  return column.map(value => (value === null || mean === 0 ? null : (100 * value) / mean))
}

/** Lines differ in colour and in form. */
const dashes = [[], [7, 4], [2, 3], [10, 3, 2, 3], [14, 4]]

const optionsOf = (
  box: HTMLElement,
  width: number,
  places: () => readonly AxisPlace<ComparedPlace>[],
): uPlot.Options => {
  const style = getComputedStyle(box)
  const count = places().find(place => place)?.cells.length ?? 0
  const dense = width / Math.max(1, places().length) < 12
  return {
    ...frameOf(width, places),
    axes: axesOf(box, width, places),
    series: [
      {},
      ...Array.from({ length: count }, (_, i): uPlot.Series => {
        const stroke = style.getPropertyValue(`--series-${i}`).trim()
        return {
          ...{ stroke, width: i === 0 ? 2.5 : 2, dash: dashes[i] ?? [], spanGaps: false },
          points: { show: !dense, size: 5, fill: stroke },
        }
      }),
    ],
  }
}
