/** The last minutes of one column of one stream, as they come in; a curve where a row is one. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { getSeries, type Series, type StreamPart } from './api.ts'
import { axisText, clockText, dayText, minuteText, numberText, spanText, timeText, valueText } from './format.ts'
import { Choice, Empty, Section, Select } from './parts.tsx'
import { texts } from './texts.ts'
import { streamKey, type View, zoneOf } from './view.ts'

export interface Chosen {
  /** `streamKey` of it. */
  stream: string
  column: string
}

interface ChartProps {
  view: View
  chosen: Chosen | undefined
  theme: string
  onChoose(chosen: Chosen): void
}

const minuteChoices = [1, 5, 15]
/** Stands for all that is held. */
const all = 0
const askMsMin = 1000
const height = 280

export const Chart = ({ view, chosen, theme, onChoose }: ChartProps) => {
  const { streams } = view
  // What was drawn first stays, whatever comes in after it.
  const first = useRef<string | undefined>(undefined)
  const begun = streams.find(one => streamKey(one) === (chosen?.stream ?? first.current))
  const stream = begun ?? newestWithNumbers(streams)
  first.current ??= stream && streamKey(stream)
  const column = stream?.columns.find(({ name }) => name === chosen?.column) ?? firstNumber(stream)
  const [minutes, setMinutes] = useState<number>()
  const [log, setLog] = useState(false)
  if (!stream || !column) {
    return (
      <Section id="chart" title={texts.chart}>
        <Empty>{texts.chartEmpty}</Empty>
      </Section>
    )
  }
  const key = streamKey(stream)
  const drawn = { stream, column: column.name, minutes, log, zone: zoneOf(view, stream.source) }
  return (
    <Section id="chart" title={texts.chart}>
      <div class="panel">
        <div class="bar">
          <Select
            label={texts.stream}
            value={key}
            options={streams.map(one => ({
              value: streamKey(one),
              text: `${one.site} / ${one.device} / ${one.stream}`,
            }))}
            onChange={next => onChoose({ stream: next, column: column.name })}
          />
          <Select
            label={texts.column}
            value={column.name}
            options={stream.columns.map(({ name, unit }) => ({
              value: name,
              text: unit === undefined ? name : `${name} (${unit})`,
            }))}
            onChange={next => onChoose({ stream: key, column: next })}
          />
          {column.type !== 'vector' && column.type !== 'text' && (
            <Choice
              label={texts.span}
              value={minutes ?? all}
              options={[
                ...minuteChoices.map(value => ({ value, text: texts.minutes(value) })),
                { value: all, text: texts.allHeld },
              ]}
              onChange={value => setMinutes(value === all ? undefined : value)}
            />
          )}
          {column.type !== 'text' && (
            <label class="check">
              <input type="checkbox" checked={log} onChange={event => setLog(event.currentTarget.checked)} />
              {texts.logarithmic}
            </label>
          )}
        </div>
        <Drawing key={`${key} ${column.name}`} {...drawn} line={view.line} nowMs={view.nowMs} theme={theme} />
      </div>
    </Section>
  )
}

const isDrawn = ({ type }: StreamPart['columns'][number]): boolean => type !== 'text'
const firstNumber = (stream: StreamPart | undefined) => stream?.columns.find(isDrawn) ?? stream?.columns[0]
/** The stream whose readings are nearest to now. */
const newestWithNumbers = (streams: readonly StreamPart[]): StreamPart | undefined =>
  streams.filter(stream => stream.columns.some(isDrawn)).sort((a, b) => Date.parse(b.time) - Date.parse(a.time))[0] ??
  streams[0]

interface DrawingProps {
  stream: StreamPart
  column: string
  minutes: number | undefined
  log: boolean
  zone: string
  line: string
  nowMs: number
  theme: string
}

const Drawing = ({ stream, column, minutes, log, zone, line, nowMs, theme }: DrawingProps) => {
  const { site, device, stream: name, passedMs } = stream
  const [series, setSeries] = useState<Series>()
  const [problem, setProblem] = useState<string>()
  const [pointed, setPointed] = useState<number>()
  const asked = useRef(0)

  useEffect(() => {
    if (line !== 'live') return
    const abort = new AbortController()
    const read = () => {
      asked.current = Date.now()
      const points = Math.max(200, Math.min(2000, Math.round(innerWidth * 1.5)))
      const query = { site, device, stream: name, column, points, ...(minutes !== undefined && { minutes }) }
      getSeries(query, abort.signal).then(
        found => {
          setSeries(found)
          setProblem(undefined)
        },
        (error: Error) => !abort.signal.aborted && setProblem(error.message),
      )
    }
    const timer = window.setTimeout(read, Math.max(0, asked.current + askMsMin - Date.now()))
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [site, device, name, column, passedMs, line])
  useEffect(() => {
    // Another span is shown at once, not with the next reading.
    asked.current = 0
  }, [minutes])

  if (problem !== undefined && !series) return <p class="quiet place">{problem}</p>
  if (!series) return <span class="skeleton chart-place" />
  if (series.kind === 'text') {
    return (
      <p class="place">
        <span class="quiet">{texts.noChartOfText}</span> <b>{valueText(series.value)}</b>
      </p>
    )
  }
  const unit = series.unit === undefined ? '' : ` ${series.unit}`
  const span = series.kind === 'curve' ? '' : minutes === undefined ? texts.allInMemory : texts.lastMinutes(minutes)
  const all = pointsOf(series)
  const points = log ? { xs: all.xs, ys: all.ys.map(y => (y !== null && y > 0 ? y : null)) } : all
  const leftOut = points.ys.some((y, i) => y === null && all.ys[i] !== null)
  const at = pointed === undefined ? undefined : points.xs[pointed]
  const value = pointed === undefined ? undefined : points.ys[pointed]
  return (
    <>
      <p class="readout" aria-live="polite">
        {at !== undefined && value !== undefined && value !== null ? (
          <>
            <b>
              {numberText(value)}
              {unit}
            </b>
            <span class="quiet">
              {series.kind === 'curve' ? numberText(at) : `${timeText(at * 1000, zone, nowMs)} (${zone})`}
            </span>
          </>
        ) : (
          <>
            <b>{`${column}${series.unit === undefined ? '' : ` (${series.unit})`}`}</b>
            <span class="quiet">
              {series.kind === 'curve' ? texts.curveAt(timeText(Date.parse(series.time), zone, nowMs)) : span}
            </span>
          </>
        )}
      </p>
      {points.xs.length === 0 ? (
        <p class="quiet place">{texts.noPoints}</p>
      ) : (
        <Plot
          points={points}
          zone={series.kind === 'curve' ? undefined : zone}
          log={log}
          label={`${texts.chartOf(`${column}${unit}, ${site} / ${device} / ${name}`, span)}. ${texts.chartKeys}`}
          theme={theme}
          onPoint={setPointed}
        />
      )}
      <p class="quiet small">
        {series.kind === 'points' &&
          (series.stretchMs > 0 ? texts.stretched(stretchText(series.stretchMs)) : texts.everyValue)}{' '}
        {leftOut && texts.logLeftOut}
      </p>
    </>
  )
}

const stretchText = (ms: number): string => (ms < 1000 ? `${Math.round(ms)} ms` : spanText(ms))

interface Points {
  /** Seconds since the epoch, or places on the axis of a curve. */
  xs: number[]
  ys: (number | null)[]
}
const pointsOf = (series: Exclude<Series, { kind: 'text' }>): Points =>
  series.kind === 'curve'
    ? { xs: series.axis, ys: series.values }
    : { xs: series.times.map(ms => ms / 1000), ys: series.values }

interface PlotProps {
  points: Points
  /** Of times; none where the axis is no time. */
  zone: string | undefined
  log: boolean
  label: string
  theme: string
  onPoint(index: number | undefined): void
}

const Plot = ({ points, zone, log, label, theme, onPoint }: PlotProps) => {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const data = useMemo((): uPlot.AlignedData => [points.xs, points.ys], [points.xs, points.ys.join()])
  const [width, setWidth] = useState(0)
  useEffect(() => {
    if (!box.current) return
    const observer = new ResizeObserver(entries => setWidth(Math.floor(entries[0]?.contentRect.width ?? 0)))
    observer.observe(box.current)
    return () => observer.disconnect()
  }, [])
  useEffect(() => {
    if (!box.current || width === 0) return
    const made = new uPlot(optionsOf(box.current, width, { zone, log, onPoint }), data, box.current)
    plot.current = made
    return () => {
      plot.current = undefined
      made.destroy()
    }
  }, [width, zone, log, theme])
  useEffect(() => plot.current?.setData(data), [data])

  const walk = (event: KeyboardEvent): void => {
    const u = plot.current
    const last = points.xs.length - 1
    const at = u?.cursor.idx ?? undefined
    const next = { ArrowLeft: (at ?? last + 1) - 1, ArrowRight: (at ?? -1) + 1, Home: 0, End: last }[event.key]
    if (!u || next === undefined) return
    event.preventDefault()
    const step = event.key === 'ArrowLeft' || event.key === 'End' ? -1 : 1
    let to = Math.max(0, Math.min(last, next))
    while (points.ys[to] === null) to += step
    const x = points.xs[to]
    if (x !== undefined) u.setCursor({ left: u.valToPos(x, 'x'), top: 40 })
  }
  return (
    <div
      class="chart"
      ref={box}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys walk along the points
      tabIndex={0}
      role="img"
      aria-label={label}
      onKeyDown={walk}
      onBlur={() => plot.current?.setCursor({ left: -10, top: -10 })}
    />
  )
}

const daySeconds = 86_400

const optionsOf = (
  box: HTMLElement,
  width: number,
  { zone, log, onPoint }: Pick<PlotProps, 'zone' | 'log' | 'onPoint'>,
): uPlot.Options => {
  const style = getComputedStyle(box)
  const colour = (name: string) => style.getPropertyValue(name).trim()
  const font = `12px ${style.fontFamily}`
  const axis = { stroke: colour('--muted'), font, gap: 8, ticks: { show: false } }
  const grid = { stroke: colour('--line'), width: 1 }
  const narrow = width < 480
  return {
    width,
    height,
    legend: { show: false },
    padding: [12, 12, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: { x: { time: zone !== undefined }, y: log ? { distr: 3 } : { range: (_u, min, max) => spread(min, max) } },
    ...(zone !== undefined && { tzDate: (seconds: number) => uPlot.tzDate(new Date(seconds * 1000), zone) }),
    axes: [
      {
        ...{ ...axis, grid, size: 40, space: narrow ? 70 : 90 },
        values: (_u, splits) =>
          zone === undefined ? splits.map(axisText) : splits.map((seconds, i) => tickText(splits, i, seconds, zone)),
      },
      {
        ...{ ...axis, grid, size: narrow ? 62 : 76 },
        values: (_u, splits) => splits.map(split => (split === null ? '' : axisText(split))),
      },
    ],
    series: [
      {},
      {
        ...{ stroke: colour('--accent'), width: 1.5, spanGaps: false },
        points: {
          show: (u, _s, from, to) => to - from < u.bbox.width / devicePixelRatio / 10,
          size: 5,
          fill: colour('--accent'),
        },
      },
    ],
    hooks: { setCursor: [u => onPoint(u.cursor.idx ?? undefined)] },
  }
}

const tickText = (splits: readonly number[], i: number, seconds: number, zone: string): string => {
  const step = (splits[1] ?? seconds) - (splits[0] ?? seconds)
  const ms = seconds * 1000
  if (step >= daySeconds) return dayText(ms, zone)
  const before = splits[i - 1]
  const newDay = before === undefined ? false : dayText(before * 1000, zone) !== dayText(ms, zone)
  const time = step < 60 ? clockText(ms, zone) : minuteText(ms, zone)
  return newDay ? `${time}\n${dayText(ms, zone)}` : time
}

/** Some room above and below; a flat line stands in the middle. */
const spread = (min: number | null, max: number | null): [number, number] => {
  if (min === null || max === null) return [0, 1]
  const room = min === max ? Math.abs(min) * 0.1 || 1 : (max - min) * 0.08
  return [min - room, max + room]
}
