/** The chosen series: range, columns, charts, what is not ok, curves, newest rows. */
import { useState } from 'preact/hooks'
import { address } from '../api.ts'
import type { LiveLine } from '../live.ts'
import { Notice } from '../parts.tsx'
import { texts } from '../texts.ts'
import { Chart, zoomed } from './chart.tsx'
import { hiddenByLog, type Line, plansOf } from './chart-data.ts'
import { lineColour } from './colours.ts'
import { drawable, unitBeside, usualColumns } from './columns.ts'
import { Curves } from './curves.tsx'
import { FlagList } from './flags.tsx'
import { LineagePanel } from './lineage.tsx'
import { RangeBar } from './range-bar.tsx'
import { nearest, type Rows } from './rows.ts'
import { SourceHealth } from './source-health.tsx'
import { NewestTable } from './table.tsx'
import { isoOf, momentText, nsOf, nsOfSeconds, secondsOf } from './time.ts'
import { keyText, rangeSeconds, type SeriesChoice, type View } from './url.ts'
import type { Catalog, Stream } from './use-catalog.ts'
import { type Range, useRows, type Wanted } from './use-rows.ts'
import { valueText } from './value.ts'

const t = texts.instruments
/** No range is narrower, ns. */
const spanNsMin = 1000n

export interface ExploreProps {
  catalog: Catalog
  view: View
  live: LiveLine
  nowMs: number
  theme: string
  onView(next: Partial<View>): void
}
interface Chosen {
  choice: SeriesChoice
  stream: Stream
}

export const Explore = (props: ExploreProps) => {
  const { catalog, view } = props
  const chosen = view.series.flatMap((choice): Chosen[] => {
    const stream = catalog.streams.find(s => keyText(s) === keyText(choice))
    return stream ? [{ choice, stream }] : []
  })
  const [first] = chosen
  const missing = view.series.find(choice => !chosen.some(c => c.choice === choice))
  return (
    <>
      {missing && (
        <Notice title={t.unknown(`${missing.device} · ${missing.stream}`)}>{t.unknownText(missing.site)}</Notice>
      )}
      {first && <Series key={first.stream.site} {...props} chosen={chosen} first={first.stream} />}
    </>
  )
}

const Series = (props: ExploreProps & { chosen: Chosen[]; first: Stream }) => {
  const { catalog, view, live, nowMs, theme, onView, chosen, first } = props
  const site = catalog.sites.find(s => s.id === first.site)
  const zone = site?.zone ?? 'UTC'
  const range = rangeOf(view, chosen, catalog)
  const wanted = wantedOf(chosen)
  const setRange = (from: number, to: number): void => {
    const fromNs = nsOfSeconds(Math.min(from, to))
    const toNs = nsOfSeconds(Math.max(from, to))
    onView({ from: isoOf(fromNs), to: isoOf(toNs - fromNs < spanNsMin ? fromNs + spanNsMin : toNs) })
  }
  const reset = () => onView({ from: undefined, to: undefined })
  const pick = (series: { site: string; device: string; stream: string }, time: string): void => {
    const { site, device, stream } = series
    onView({ point: { site, device, stream, time } })
  }
  const named = chosen.map(({ stream }) => catalog.deviceNames.get(`${stream.site}\n${stream.device}`) ?? stream.device)
  return (
    <>
      <p class="quiet small">{site?.name ?? first.site}</p>
      <h1>{chosen.map(({ stream }, i) => `${named[i]} · ${stream.stream}`).join(', ')}</h1>
      <p class="lead">
        {t.facts(first.rows, momentText(first.first, zone), zone)}{' '}
        <SourceHealth stream={first} time={catalog.latest.get(keyText(first))?.time ?? first.last} live={live} />
      </p>
      <RangeBar {...{ view, range, zone, onView, onReset: reset }} onZoom={(from, to) => setRange(from, to)} />
      {chosen.map(({ choice, stream }, i) => (
        <Columns
          key={keyText(stream)}
          {...{ choice, stream, range, view, onView }}
          name={chosen.length > 1 ? named[i] : undefined}
        />
      ))}
      {wanted.length > 0 && (
        <Charts {...{ wanted, range, zone, view, theme }} onRange={setRange} onReset={reset} onPick={pick} />
      )}
      {view.point && <LineagePanel point={view.point} zone={zone} onClose={() => onView({ point: undefined })} />}
      {chosen
        .filter(({ stream }) => stream.columns.some(c => c.type === 'vector'))
        .map(({ stream }) => (
          <Curves key={keyText(stream)} {...{ stream, zone, range, view, theme, onView }} onPick={pick} />
        ))}
      {chosen.map(({ stream }, i) => (
        <section key={keyText(stream)} class="panel newest" aria-label={t.newestOf(named[i] ?? '', stream.stream)}>
          <h2>{chosen.length > 1 ? t.newestOf(named[i] ?? '', stream.stream) : t.newest}</h2>
          <NewestTable {...{ stream, zone, range }} onPick={pick} />
        </section>
      ))}
      <p class="quiet small">{t.asOf(new Date(nowMs).toLocaleTimeString(undefined, { timeZone: zone }), zone)}</p>
    </>
  )
}

/** Exact times go before a preset, which counts back from the newest row. */
const rangeOf = (view: View, chosen: readonly Chosen[], catalog: Catalog): Range => {
  const inOrder = (times: (bigint | undefined)[]): bigint[] =>
    times.filter(ns => ns !== undefined).sort((a, b) => (a < b ? -1 : 1))
  const newest = inOrder(chosen.map(({ stream }) => nsOf(catalog.latest.get(keyText(stream))?.time ?? stream.last)))
  const oldest = inOrder(chosen.map(({ stream }) => nsOf(stream.first)))
  const to = view.to === undefined ? undefined : nsOf(view.to)
  const from = view.from === undefined ? undefined : nsOf(view.from)
  const toNs = to ?? (newest.at(-1) ?? 0n) + 1n
  const spanNs = view.range === 'all' ? toNs - (oldest[0] ?? 0n) : BigInt(rangeSeconds[view.range]) * 1_000_000_000n
  const fromNs = from ?? toNs - (spanNs > 0n ? spanNs : spanNsMin)
  const kind = `${view.range} ${view.from ?? ''} ${view.to ?? ''}`
  return fromNs < toNs ? { fromNs, toNs, kind } : { fromNs: toNs - spanNsMin, toNs, kind }
}

const drawnOf = ({ choice, stream }: Chosen): string[] =>
  choice.columns
    ? drawable(stream)
        .map(c => c.name)
        .filter(name => choice.columns?.includes(name))
    : usualColumns(stream)
const wantedOf = (chosen: readonly Chosen[]): Wanted[] =>
  chosen.flatMap(one => {
    const columns = drawnOf(one)
    const { site, device, stream, columns: all } = one.stream
    const hasStatus = all.some(c => c.name === 'status')
    return columns.length > 0 ? [{ site, device, stream, columns, hasStatus }] : []
  })

interface ColumnsProps {
  choice: SeriesChoice
  stream: Stream
  range: Range
  view: View
  name: string | undefined
  onView(next: Partial<View>): void
}
/** The columns that are drawn, and the very rows as a file. */
const Columns = ({ choice, stream, range, view, name, onView }: ColumnsProps) => {
  const all = drawable(stream)
  const drawn = drawnOf({ choice, stream })
  const set = (columns: readonly string[]): void =>
    onView({ series: view.series.map(s => (keyText(s) === keyText(stream) ? { ...s, columns } : s)) })
  const file = {
    ...{ site: stream.site, device: stream.device, stream: stream.stream, format: 'csv' },
    ...{ from: isoOf(range.fromNs), to: isoOf(range.toNs) },
    ...(drawn.length > 0 && {
      columns: [...drawn, ...(stream.columns.some(c => c.name === 'status') ? ['status'] : [])].join(','),
    }),
  }
  return (
    <div class="columns">
      {name !== undefined && <strong class="small">{name}</strong>}
      {all.length > 1 && (
        <fieldset class="chips">
          <legend class="hidden">{t.columns}</legend>
          {all.map(({ name: column, unit }) => (
            <label key={column} class={drawn.includes(column) ? 'on' : ''}>
              <input
                type="checkbox"
                checked={drawn.includes(column)}
                onChange={() => set(drawn.includes(column) ? drawn.filter(c => c !== column) : [...drawn, column])}
              />
              {column}
              <span class="quiet"> {unitBeside(column, unit)}</span>
            </label>
          ))}
        </fieldset>
      )}
      <a class="download small" href={address('/v1/readings', file)} download>
        {t.download}
      </a>
    </div>
  )
}

interface ChartsProps {
  wanted: readonly Wanted[]
  range: Range
  zone: string
  view: View
  theme: string
  onRange(from: number, to: number): void
  onReset(): void
  onPick(series: { site: string; device: string; stream: string }, time: string): void
}
const Charts = ({ wanted, range, zone, view, theme, onRange, onReset, onPick }: ChartsProps) => {
  const { value, isLoading, error, retry } = useRows(wanted, range)
  const [at, setAt] = useState<number>()
  if (!value) {
    return error === undefined ? (
      <span class="skeleton chart-place" />
    ) : (
      <Notice title={t.chartFailed} onRetry={retry}>
        {error}
      </Notice>
    )
  }
  const plans = plansOf(value.rows)
  const lines = plans.flatMap(plan => plan.lines)
  const from = secondsOf(range.fromNs)
  const to = secondsOf(range.toNs)
  const isEmpty = value.rows.every(rows => rows.x.length === 0)
  const hidden = view.log ? hiddenByLog(lines) : 0
  const point = view.point && nsOf(view.point.time)
  return (
    <section class={isLoading ? 'panel charts loading' : 'panel charts'} aria-label={t.charts} aria-busy={isLoading}>
      <Readout lines={lines} at={at} zone={zone} theme={theme} />
      {error !== undefined && (
        <Notice title={t.chartFailed} onRetry={retry}>
          {error}
        </Notice>
      )}
      {isEmpty ? (
        <Notice title={t.empty}>{t.emptyText}</Notice>
      ) : (
        plans.map(plan => (
          <Chart
            key={plan.units.join('|')}
            {...{ plan, from, to, zone, theme, onRange, onReset, onPick }}
            log={view.log}
            hasTwoAxes={plans.some(p => p.units.length > 1)}
            flags={value.flags}
            point={point === undefined ? undefined : secondsOf(point)}
            label={t.chartOf(plan.lines.map(l => (l.unit === '' ? l.name : `${l.name} in ${l.unit}`)).join(', '))}
            onCursor={setAt}
          />
        ))
      )}
      <p class="quiet small chart-notes">
        {[
          t.zone(zone),
          value.rows.some(rows => rows.isDownsampled)
            ? t.downsampled
            : t.allRows(value.rows.reduce((n, r) => n + r.x.length, 0)),
          ...(hidden > 0 ? [t.hiddenByLog(hidden)] : []),
        ].join(' ')}{' '}
        <span class="keys">{t.keys}</span>
      </p>
      <FlagList
        all={value.flags}
        zone={zone}
        onShow={(first, last) => {
          const begin = secondsOf(nsOf(first) ?? 0n)
          const end = secondsOf(nsOf(last) ?? 0n)
          onRange(...zoomed(begin, Math.max(end, begin + (to - from) / 200), 2))
        }}
      />
    </section>
  )
}

/** What the pointed time says, or, while nothing is pointed at, what the lines are. */
const Readout = ({
  lines,
  at,
  zone,
  theme,
}: {
  lines: readonly Line[]
  at: number | undefined
  zone: string
  theme: string
}) => {
  const places = new Map<Rows, number>()
  if (at !== undefined) for (const { rows } of lines) if (rows.x.length > 0) places.set(rows, nearest(rows.x, at))
  const [firstRows, firstPlace] = [...places][0] ?? []
  const inGap = at !== undefined && firstRows?.gaps.some(gap => gap.from < at && at < gap.to)
  const time = firstPlace === undefined ? undefined : firstRows?.time[firstPlace]
  return (
    <div class="readout" aria-live="polite">
      {time !== undefined && <strong>{inGap ? t.inGap : momentText(time, zone)}</strong>}
      {lines.map(({ rows, column, name, unit, index }) => {
        const place = places.get(rows)
        const value = place === undefined || inGap ? undefined : rows.columns[column]?.values[place]
        return (
          <span class="key lines" key={`${index} ${name}`}>
            <i
              ref={element => {
                if (element) element.style.background = lineColour(index, theme)
              }}
            />
            {name} {place !== undefined && !inGap && <b>{valueText(value, unit)}</b>}
          </span>
        )
      })}
      {[...places].map(([rows, place]) => {
        const status = inGap ? undefined : rows.status[place]
        return status ? (
          <span class="tag failed" key={keyText(rows)}>
            {status}
          </span>
        ) : null
      })}
    </div>
  )
}
