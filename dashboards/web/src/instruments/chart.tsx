/**
 * Lines over time, with an axis for each unit. Drag chooses a range, drag with Shift pans, a click asks where a point comes
 * from; the keyboard does the same. Gaps stay open and are hatched, rows that are not ok have a mark at the foot.
 */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { alignedOf, type ChartPlan, type Line } from './chart-data.ts'
import { lineColour, lineDash } from './colours.ts'
import type { Flags } from './flags.tsx'
import { nearest } from './rows.ts'
import { clockText, dayText, nsOf, secondsOf } from './time.ts'
import type { SeriesKey } from './url.ts'
import { tickText } from './value.ts'

export interface ChartProps {
  plan: ChartPlan
  /** s since the epoch. */
  from: number
  to: number
  zone: string
  log: boolean
  theme: string
  label: string
  /** Some chart of the page has: the others keep its place free, so that times stand below each other. */
  hasTwoAxes: boolean
  flags: readonly Flags[]
  /** The row that is asked about, s. */
  point: number | undefined
  onRange(from: number, to: number): void
  onReset(): void
  onCursor(at: number | undefined): void
  onPick(series: SeriesKey, time: string): void
}

const height = 280
const syncKey = 'instruments'
const clickPxMax = 40
const dragPxMin = 6

export const Chart = (props: ChartProps) => {
  const { plan, from, to, zone, log, theme, label, hasTwoAxes } = props
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const data = useMemo(() => alignedOf(plan.lines, log), [plan, log])
  const current = useRef(props)
  current.current = props
  const [width, setWidth] = useState(0)
  const shape = JSON.stringify([
    plan.units,
    plan.lines.map(line => [line.name, line.unit, line.index]),
    zone,
    log,
    hasTwoAxes,
  ])

  useEffect(() => {
    if (!box.current) return
    const observer = new ResizeObserver(entries => setWidth(Math.floor(entries[0]?.contentRect.width ?? 0)))
    observer.observe(box.current)
    return () => observer.disconnect()
  }, [])
  useEffect(() => {
    if (!box.current || width === 0) return
    const made = new uPlot(
      optionsOf(box.current, width, () => current.current),
      data,
      box.current,
    )
    const off = listenToPointer(made, () => current.current)
    plot.current = made
    return () => {
      off()
      plot.current = undefined
      made.destroy()
    }
  }, [width, shape, theme])
  const walk = useRef<number | undefined>(undefined)
  useEffect(() => {
    plot.current?.setData(data)
    if (plot.current && walk.current !== undefined) pointAt(plot.current, walk.current)
  }, [data, from, to])
  useEffect(() => plot.current?.redraw(false), [props.flags, props.point])

  const onKey = (event: KeyboardEvent): void => {
    const u = plot.current
    if (!u || event.ctrlKey || event.metaKey || event.altKey) return
    const act = keyAction(event, { u, walk, props })
    if (!act) return
    event.preventDefault()
    act()
  }
  return (
    <div
      class="chart lines"
      ref={box}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: keys walk along the points, zoom and pan
      tabIndex={0}
      role="img"
      aria-label={label}
      onKeyDown={onKey}
      onBlur={() => {
        walk.current = undefined
        plot.current?.setCursor({ left: -10, top: -10 })
      }}
    />
  )
}

/** Around a time, by a factor: smaller than 1 zooms in. */
export const zoomed = (from: number, to: number, factor: number, at = (from + to) / 2): [number, number] => [
  at - (at - from) * factor,
  at + (to - at) * factor,
]

const pointAt = (u: uPlot, at: number | undefined): void => {
  const left = at === undefined ? -10 : u.valToPos(at, 'x')
  // A point at the very edge is one all the same.
  u.setCursor({ left: at === undefined ? left : Math.max(0, left), top: u.over.clientHeight / 2 })
}

interface KeyContext {
  u: uPlot
  /** Where the keyboard stands, s. */
  walk: { current: number | undefined }
  props: ChartProps
}
const keyAction = (event: KeyboardEvent, { u, walk, props }: KeyContext): (() => void) | undefined => {
  const { from, to, onRange, onReset, onPick, plan } = props
  // Only points that can be seen: older rows may still stand beside the range.
  const x = Array.from(u.data[0]).filter(t => t >= from && t <= to)
  const last = x.length - 1
  const at = walk.current === undefined ? undefined : nearest(x, walk.current)
  const move = (to: number) => () => {
    walk.current = x[Math.max(0, Math.min(last, to))]
    pointAt(u, walk.current)
  }
  const pan = (part: number) => () => onRange(from + part * (to - from), to + part * (to - from))
  const centre = at === undefined ? undefined : x[at]
  switch (event.key) {
    case 'ArrowLeft':
      return event.shiftKey ? pan(-0.25) : move((at ?? last + 1) - 1)
    case 'ArrowRight':
      return event.shiftKey ? pan(0.25) : move((at ?? -1) + 1)
    case 'PageUp':
      return pan(-0.5)
    case 'PageDown':
      return pan(0.5)
    case 'Home':
      return move(0)
    case 'End':
      return move(last)
    case '+':
    case '=':
      return () => onRange(...zoomed(from, to, 0.5, centre))
    case '-':
      return () => onRange(...zoomed(from, to, 2, centre))
    case '0':
    case 'Escape':
      return onReset
    case 'Enter':
      return () => {
        const line = plan.lines.find(({ rows }) => centre !== undefined && rows.x.includes(centre)) ?? plan.lines[0]
        const time = line && centre !== undefined ? line.rows.time[nearest(line.rows.x, centre)] : undefined
        if (line && time !== undefined) onPick(line.rows, time)
      }
    default:
      return undefined
  }
}

/** Shift and drag pans; a click that was no drag picks the nearest point. */
const listenToPointer = (u: uPlot, props: () => ChartProps): (() => void) => {
  const stop = new AbortController()
  const { signal } = stop
  let downX: number | undefined
  u.over.addEventListener(
    'mousedown',
    event => {
      downX = event.clientX
      if (!event.shiftKey) return
      event.stopImmediatePropagation()
      event.preventDefault()
      const start = event.clientX
      const { from, to } = props()
      const released = new AbortController()
      const end = (up: MouseEvent): void => {
        released.abort()
        const part = (start - up.clientX) / Math.max(1, u.over.clientWidth)
        if (Math.abs(part) > 0.005) props().onRange(from + part * (to - from), to + part * (to - from))
      }
      window.addEventListener('mouseup', end, { signal: AbortSignal.any([signal, released.signal]) })
    },
    { capture: true, signal },
  )
  u.over.addEventListener(
    'click',
    event => {
      if (downX === undefined || Math.abs(event.clientX - downX) > 4 || event.shiftKey) return
      const found = nearestPoint(u, event.offsetX, event.offsetY, props().plan.lines)
      if (found) props().onPick(found.line.rows, found.time)
    },
    { signal },
  )
  return () => stop.abort()
}

const nearestPoint = (u: uPlot, left: number, top: number, lines: readonly Line[]) => {
  let best: { line: Line; time: string; distance: number } | undefined
  const at = u.posToVal(left, 'x')
  for (const line of lines) {
    const { rows, column } = line
    const index = nearest(rows.x, at)
    const time = rows.time[index]
    if (time === undefined) continue
    const value = rows.columns[column]?.values[index]
    const dx = u.valToPos(rows.x[index] ?? 0, 'x') - left
    const dy = value === null || value === undefined ? 0 : u.valToPos(value, scaleOf(line.unit)) - top
    // Sideways counts more: the eye looks for a time first.
    const distance = Math.hypot(dx * 2, dy)
    if (Math.abs(dx) <= clickPxMax && (!best || distance < best.distance)) best = { line, time, distance }
  }
  return best
}

const scaleOf = (unit: string): string => `y ${unit}`

const optionsOf = (box: HTMLElement, width: number, props: () => ChartProps): uPlot.Options => {
  const { plan, zone, log, theme, hasTwoAxes } = props()
  const style = getComputedStyle(box)
  const colour = (name: string) => style.getPropertyValue(name).trim()
  const font = `12px ${style.fontFamily}`
  const axis = { stroke: colour('--muted'), font, labelFont: font, ticks: { show: false } }
  const axisSize = width < 480 ? 48 : 62
  const labelSize = 20
  return {
    width,
    height,
    legend: { show: false },
    padding: [12, plan.units.length > 1 ? 0 : hasTwoAxes ? axisSize + labelSize : 16, 0, 0],
    cursor: {
      y: false,
      drag: { x: true, y: false, setScale: false, dist: dragPxMin },
      // The others follow the cursor, not the drag.
      sync: {
        key: syncKey,
        setSeries: false,
        scales: ['x', null],
        filters: { pub: type => !/^mouse(?:down|up)$/.test(type) },
      },
      points: { size: 7 },
    },
    scales: {
      x: { time: true, range: () => [props().from, props().to] },
      ...Object.fromEntries(plan.units.map(unit => [scaleOf(unit), log ? { distr: 3 as const } : {}])),
    },
    axes: [
      {
        ...axis,
        ...{ size: 44, gap: 8, space: 84, grid: { stroke: colour('--line'), width: 1 } },
        values: (_u, splits, _axis, _space, incr) =>
          splits.map((t, i) => {
            const day = dayText(t, zone)
            const isNew = i === 0 || dayText(splits[i - 1] ?? t, zone) !== day
            if (incr >= 86_400) return day
            return isNew ? `${clockText(t, zone, incr)}\n${day}` : clockText(t, zone, incr)
          }),
      },
      ...plan.units.map((unit, i) => ({
        ...axis,
        ...{ scale: scaleOf(unit), side: i === 0 ? (3 as const) : (1 as const), size: axisSize, gap: 6 },
        ...{ label: unit, labelSize },
        grid: { show: i === 0, stroke: colour('--line'), width: 1 },
        values: (_u: uPlot, splits: (number | null)[]) =>
          splits.map(value => (value === null ? null : tickText(value))),
        ...(log && { filter: decades }),
      })),
    ],
    series: [
      {},
      ...plan.lines.map(({ name, unit, index, isSteps }) => ({
        ...{ label: name, scale: scaleOf(unit), stroke: lineColour(index, theme), width: 1.5 },
        ...{ dash: lineDash(index), spanGaps: false },
        ...(isSteps && { paths: uPlot.paths.stepped?.({ align: 1 }) ?? (() => null) }),
      })),
    ],
    hooks: {
      drawClear: [u => drawGaps(u, props(), colour('--gap'))],
      draw: [u => drawFlags(u, props(), colour('--warn')), u => drawPoint(u, props(), colour('--accent'))],
      setCursor: [u => props().onCursor((u.cursor.left ?? -1) < 0 ? undefined : u.posToVal(u.cursor.left ?? 0, 'x'))],
      setSelect: [
        u => {
          const { left, width } = u.select
          if (width < dragPxMin) return
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
          props().onRange(u.posToVal(left, 'x'), u.posToVal(left + width, 'x'))
        },
      ],
    },
  }
}

/** Of a logarithmic axis only the tens have a number, as long as there are some. */
const decades = (_u: uPlot, splits: number[]): (number | null)[] => {
  const tens = splits.filter(v => Math.abs(Math.log10(v) - Math.round(Math.log10(v))) < 1e-9)
  return tens.length < 2 ? splits : splits.map(v => (tens.includes(v) ? v : null))
}

const drawGaps = (u: uPlot, { plan }: ChartProps, colour: string): void => {
  const { ctx, bbox } = u
  ctx.save()
  ctx.beginPath()
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height)
  ctx.clip()
  ctx.fillStyle = colour
  ctx.globalAlpha = 0.14
  for (const rows of new Set(plan.lines.map(line => line.rows))) {
    for (const { from, to } of rows.gaps) {
      const left = u.valToPos(from, 'x', true)
      ctx.fillRect(left, bbox.top, u.valToPos(to, 'x', true) - left, bbox.height)
    }
  }
  ctx.restore()
}

/** A triangle at the foot for each run of rows that are not ok. */
const drawFlags = (u: uPlot, { plan, flags }: ChartProps, colour: string): void => {
  const { ctx, bbox } = u
  const size = 5 * devicePixelRatio
  const foot = bbox.top + bbox.height
  const shown = flags.filter(({ site, device, stream }) =>
    plan.lines.some(({ rows }) => rows.site === site && rows.device === device && rows.stream === stream),
  )
  ctx.save()
  ctx.fillStyle = colour
  for (const { from, to } of shown.flatMap(f => f.flags)) {
    const left = u.valToPos(secondsOf(nsOf(from) ?? 0n), 'x', true)
    const right = u.valToPos(secondsOf(nsOf(to) ?? 0n), 'x', true)
    if (right < bbox.left || left > bbox.left + bbox.width) continue
    ctx.fillRect(left, foot - 2 * devicePixelRatio, Math.max(1, right - left), 2 * devicePixelRatio)
    ctx.beginPath()
    const middle = (left + right) / 2
    ctx.moveTo(middle - size, foot)
    ctx.lineTo(middle + size, foot)
    ctx.lineTo(middle, foot - 1.8 * size)
    ctx.fill()
  }
  ctx.restore()
}

const drawPoint = (u: uPlot, { point, from, to }: ChartProps, colour: string): void => {
  if (point === undefined || point < from || point > to) return
  const { ctx, bbox } = u
  const x = u.valToPos(point, 'x', true)
  ctx.save()
  ctx.strokeStyle = colour
  ctx.lineWidth = 1.5 * devicePixelRatio
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio])
  ctx.beginPath()
  ctx.moveTo(x, bbox.top)
  ctx.lineTo(x, bbox.top + bbox.height)
  ctx.stroke()
  ctx.restore()
}
