/** Gaps: what was expected of every sensor against what came, and why what is missing is missing. */
import { useEffect, useMemo, useState } from 'preact/hooks'
import { get, type Site } from '../api.ts'
import { addDays, dateText, hourText, localNow, numberText, percentText } from '../format.ts'
import { mapOf, type Place, trimmed } from '../gaps/cells.ts'
import '../gaps/gaps.css'
import { Causes, GapList } from '../gaps/list.tsx'
import { HeatMap } from '../gaps/map.tsx'
import { dayChoices, type GapView, gapUrl, readGapView } from '../gaps/url.ts'
import { type Found, type GapQuery, useGaps } from '../gaps/use-gaps.ts'
import { placeText, placeTitle } from '../gaps/words.ts'
import { Choice, Notice, WideTable } from '../parts.tsx'
import { go } from '../router.tsx'
import { texts } from '../texts.ts'
import type { ViewProps } from '../view.ts'

const t = texts.gaps
/** A few are always under way. */
const behindMax = 20

export default ({ query, live, nowMs }: ViewProps) => {
  const { sites, error, retry } = useExpectingSites()
  const view = readGapView(query)
  const site = sites?.find(s => s.id === view.site) ?? (view.site === undefined ? sites?.[0] : undefined)
  useEffect(() => {
    document.title = `${site ? `${site.name} · ` : ''}${t.title} · ${texts.product}`
  }, [site])
  const change = (next: Partial<GapView>) => go(gapUrl({ ...view, ...next }), { replace: !('day' in next) })

  const today = localNow(site?.zone ?? 'UTC', nowMs).date
  const to = view.day ?? view.to ?? today
  const from = view.day ?? addDays(to, 1 - view.days)
  const asked: GapQuery | undefined = site && {
    ...{ site: site.id, from, to, by: view.day === undefined ? 'day' : 'hour' },
    stream: view.stream !== undefined && site.expects.includes(view.stream) ? view.stream : undefined,
  }
  const { found, error: failed, retry: again } = useGaps(asked, live)

  return (
    <>
      <div class="bar">
        <div>
          <h1>{t.title}</h1>
          <p class="lead">{site ? t.lead(site.zone) : ' '}</p>
        </div>
        {site && <Filters {...{ sites: sites ?? [], site, view, today, change }} />}
      </div>
      {error !== undefined && !sites && (
        <Notice title={t.failed} onRetry={retry}>
          {error}
        </Notice>
      )}
      {sites?.length === 0 && <Notice title={t.none}>{t.noneText}</Notice>}
      {sites && sites.length > 0 && !site && <Notice title={t.noSite(view.site ?? '')}>{t.noSiteText}</Notice>}
      {sites && sites.length > 0 && !site && (
        <div class="filters">
          <SiteSelect sites={sites} value="" onChange={id => change({ site: id })} />
        </div>
      )}
      {failed !== undefined && !found && (
        <Notice title={t.failed} onRetry={again}>
          {failed}
        </Notice>
      )}
      {found ? (
        <Shown {...{ found, view, change, site: site as Site }} />
      ) : (
        error === undefined && failed === undefined && sites?.length !== 0 && <span class="skeleton chart-place" />
      )}
    </>
  )
}

interface FiltersProps {
  sites: readonly Site[]
  site: Site
  view: GapView
  today: string
  change(next: Partial<GapView>): void
}
const Filters = ({ sites, site, view, today, change }: FiltersProps) => {
  const step = (days: number) => {
    const to = addDays(view.to ?? today, days)
    change({ to: to >= today ? undefined : to })
  }
  const stepDay = (days: number) => change({ day: addDays(view.day ?? today, days) })
  const move = view.day === undefined ? (sign: number) => step(sign * view.days) : stepDay
  return (
    <div class="filters">
      <SiteSelect {...{ sites, value: site.id, onChange: (id: string) => change({ site: id, stream: undefined }) }} />
      {site.expects.length > 1 && (
        <select
          aria-label={t.stream}
          value={view.stream ?? site.expects[0]}
          onChange={event => change({ stream: event.currentTarget.value })}
        >
          {site.expects.map(stream => (
            <option key={stream}>{stream}</option>
          ))}
        </select>
      )}
      {view.day === undefined && (
        <select
          aria-label={t.range}
          value={String(view.days)}
          onChange={event => change({ days: Number(event.currentTarget.value) })}
        >
          {dayChoices.map(days => (
            <option key={days} value={String(days)}>
              {t.daysChoice(days)}
            </option>
          ))}
        </select>
      )}
      <span class="steps">
        <button type="button" class="icon" aria-label={t.earlier} onClick={() => move(-1)}>
          ‹
        </button>
        <button
          type="button"
          class="icon"
          aria-label={t.later}
          disabled={view.day === undefined ? view.to === undefined : view.day >= today}
          onClick={() => move(1)}
        >
          ›
        </button>
      </span>
      <Choice
        label={t.form}
        value={view.as}
        options={[
          { value: 'map', text: t.map },
          { value: 'table', text: t.table },
        ]}
        onChange={as => change({ as })}
      />
    </div>
  )
}

const SiteSelect = (props: { sites: readonly Site[]; value: string; onChange(id: string): void }) => (
  <select aria-label={t.site} value={props.value} onChange={event => props.onChange(event.currentTarget.value)}>
    {props.value === '' && <option value="">{t.site} …</option>}
    {props.sites.map(site => (
      <option key={site.id} value={site.id}>
        {site.name}
      </option>
    ))}
  </select>
)

interface ShownProps {
  found: Found
  site: Site
  view: GapView
  change(next: Partial<GapView>): void
}

const Shown = ({ found: { coverage, gaps }, site, view, change }: ShownProps) => {
  const [pointed, setPointed] = useState<{ name: string; place: Place }>()
  const map = useMemo(() => {
    const all = mapOf(coverage, gaps, view.cause)
    return view.day === undefined ? all : trimmed(all)
  }, [coverage, gaps, view.cause, view.day])
  useEffect(() => setPointed(undefined), [map])
  return (
    <>
      {gaps.behindEntries > behindMax && (
        <Notice title={t.behind}>{t.behindText(numberText(gaps.behindEntries))}</Notice>
      )}
      <Figures {...{ coverage, gaps }} />
      <section class="panel gaps-panel" aria-label={t.coverage}>
        {view.day !== undefined && (
          <div class="gaps-day">
            <button type="button" onClick={() => change({ day: undefined })}>
              ‹ {t.back}
            </button>
            <h2>{dateText(view.day)}</h2>
          </div>
        )}
        {view.as === 'map' ? (
          <>
            <div class="readout" aria-live="polite">
              {pointed ? (
                <>
                  <strong>{placeTitle(pointed.name, pointed.place)}</strong>
                  <span>{placeText(pointed.place)}</span>
                </>
              ) : (
                <span class="quiet">{view.day === undefined ? t.hint : t.hintHours}</span>
              )}
            </div>
            <HeatMap
              key={`${site.id} ${view.day ?? ''} ${view.days}`}
              map={map}
              label={t.mapLabel(site.name)}
              onPoint={setPointed}
              onOpen={view.day === undefined ? day => change({ day }) : undefined}
            />
          </>
        ) : (
          <Table {...{ coverage, gaps, view }} />
        )}
      </section>
      <section aria-labelledby="gaps-why">
        <h2 id="gaps-why" class="gaps-why">
          {t.why}
        </h2>
        {gaps.gaps.length === 0 ? (
          <Notice title={t.whole}>{t.wholeText}</Notice>
        ) : (
          <>
            <Causes gaps={gaps} cause={view.cause} onCause={cause => change({ cause })} />
            <GapList key={view.cause ?? ''} gaps={gaps} cause={view.cause} />
          </>
        )}
      </section>
    </>
  )
}

const Figures = ({ coverage, gaps }: Pick<Found, 'coverage' | 'gaps'>) => {
  const sum = (pick: (cell: Found['coverage']['rows'][number]) => number) =>
    coverage.rows.reduce((total, cell) => total + pick(cell), 0)
  // Hours that are not over, closed or before the first reading are asked of nobody.
  const counted = (cell: Found['coverage']['rows'][number], figure: number) => (cell.hours > 0 ? figure : 0)
  const expected = sum(cell => counted(cell, cell.expected))
  const had = sum(cell => counted(cell, cell.had))
  const onItsWay = gaps.gaps.reduce((hours, gap) => hours + (gap.proof.onItsWay ? gap.hours : 0), 0)
  const tiles = [
    [t.coverage, percentText(expected === 0 ? null : had / expected), t.of(numberText(had), numberText(expected))],
    [t.missingHours, numberText(sum(cell => cell.missingHours + cell.partialHours)), t.sensorHours],
    [t.failedHours, numberText(sum(cell => cell.failedHours)), t.sensorHours],
    [t.onItsWay, numberText(onItsWay), t.onItsWayFoot],
  ]
  return (
    <div class="figures">
      {tiles.map(([title, figure, foot]) => (
        <div class="tile" key={title}>
          <span class="tile-title">{title}</span>
          <span class="tile-count" data-figure={title}>
            {figure}
          </span>
          <span class="tile-foot">{foot}</span>
        </div>
      ))}
    </div>
  )
}

/** The same as the map, in lines: places that are not whole, latest first. */
const Table = ({ coverage, gaps, view }: Found & { view: GapView }) => {
  const [all, setAll] = useState(false)
  const rows = useMemo(
    () =>
      mapOf(coverage, gaps, view.cause)
        .rows.flatMap(row => row.places.flatMap(place => (place ? [{ name: row.name, place }] : [])))
        .filter(({ place: { cell, gaps } }) =>
          view.cause === undefined ? cell.hours > 0 && cell.state !== 'ok' : gaps.length > 0,
        )
        .sort((a, b) => Date.parse(b.place.cell.start) - Date.parse(a.place.cell.start)),
    [coverage, gaps, view.cause],
  )
  const shown = all ? rows : rows.slice(0, 30)
  if (rows.length === 0) return <p class="quiet">{t.wholeText}</p>
  return (
    <WideTable label={t.title}>
      <table>
        <thead>
          <tr>
            <th scope="col">{view.day === undefined ? t.columns.day : t.columns.time}</th>
            <th scope="col">{t.sensor}</th>
            <th scope="col">{t.columns.had}</th>
            <th scope="col">{t.columns.expected}</th>
            <th scope="col">{t.columns.coverage}</th>
            <th scope="col">{t.columns.what}</th>
          </tr>
        </thead>
        <tbody>
          {shown.map(({ name, place }) => (
            <tr key={`${place.cell.sensor} ${place.cell.start}`}>
              <th scope="row">
                {dateText(place.cell.date)}
                {place.cell.hour !== null && ` ${hourText(place.cell.hour)}`}
              </th>
              <td>{name}</td>
              <td>{numberText(place.cell.had)}</td>
              <td>{numberText(place.cell.expected)}</td>
              <td>{percentText(place.cell.expected === 0 ? null : place.cell.had / place.cell.expected)}</td>
              <td>
                {[...new Set(place.gaps.map(gap => gap.cause))].map(cause => (
                  <span key={cause} class="tag">
                    {t.causes[cause].name}
                  </span>
                ))}
                {place.gaps.length === 0 && t.place[place.cell.state]}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > shown.length && (
        <div class="table-foot">
          <button type="button" onClick={() => setAll(true)}>
            {t.more(numberText(rows.length - shown.length))}
          </button>
        </div>
      )}
    </WideTable>
  )
}

/** The sites of which the configuration says what is expected. */
const useExpectingSites = () => {
  const [sites, setSites] = useState<Site[]>()
  const [error, setError] = useState<string>()
  const [attempt, setAttempt] = useState(0)
  useEffect(() => {
    const abort = new AbortController()
    get('/v1/sites', {}, abort.signal).then(
      found => {
        setSites(found.sites.filter(site => site.expects.length > 0))
        setError(undefined)
      },
      (cause: Error) => !abort.signal.aborted && setError(cause.message),
    )
    return () => abort.abort()
  }, [attempt])
  return { sites, error, retry: () => setAttempt(n => n + 1) }
}
