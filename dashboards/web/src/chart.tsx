/** Bars of the count with the line of its baseline. Failed and missing places are hatched, never drawn as zero. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { compactText, dateText, hourText, shortDateText, weekdayText } from './format.ts'
import type { Slot } from './slots.ts'

export interface ChartProps {
  slots: readonly Slot[]
  label: string
  /** Changes with the colours of the page. */
  theme: string
  onHover(index: number | undefined): void
}

const height = 300

export const Chart = ({ slots, label, theme, onHover }: ChartProps) => {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const shown = useRef(slots)
  shown.current = slots
  const [width, setWidth] = useState(0)
  const shape = `${slots.length} ${slots[0]?.date} ${slots[0]?.hour} ${slots.at(-1)?.date}`
  const data = useMemo(() => dataOf(slots), [slots])

  useEffect(() => {
    if (!box.current) return
    const observer = new ResizeObserver(entries => setWidth(Math.floor(entries[0]?.contentRect.width ?? 0)))
    observer.observe(box.current)
    return () => observer.disconnect()
  }, [])

  useEffect(() => {
    if (!box.current || width === 0) return
    const made = new uPlot(
      optionsOf(box.current, width, () => shown.current, onHover),
      dataOf(shown.current),
      box.current,
    )
    plot.current = made
    return () => {
      plot.current = undefined
      made.destroy()
    }
  }, [width, shape, theme])

  useEffect(() => plot.current?.setData(data), [data])

  const step = (event: KeyboardEvent): void => {
    const u = plot.current
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: Number.NEGATIVE_INFINITY, End: Number.POSITIVE_INFINITY }[
      event.key
    ]
    if (!u || by === undefined) return
    event.preventDefault()
    const last = shown.current.length - 1
    const at = u.cursor.idx ?? (by > 0 ? -1 : last + 1)
    const index = Math.max(
      0,
      Math.min(last, by === Number.NEGATIVE_INFINITY ? 0 : by === Number.POSITIVE_INFINITY ? last : at + by),
    )
    u.setCursor({ left: u.valToPos(index, 'x'), top: 40 })
  }
  return (
    <div
      class="chart"
      ref={box}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys walk along the bars
      tabIndex={0}
      role="img"
      aria-label={label}
      onKeyDown={step}
      onBlur={() => plot.current?.setCursor({ left: -10, top: -10 })}
    />
  )
}

const dataOf = (slots: readonly Slot[]): uPlot.AlignedData => [
  slots.map((_, i) => i),
  slots.map(slot => (drawn(slot) ? (slot.row?.count ?? null) : null)),
  slots.map(slot => slot.row?.baseline ?? null),
]
const drawn = (slot: Slot): boolean => slot.status === 'ok' || slot.status === 'partial'

const optionsOf = (
  box: HTMLElement,
  width: number,
  slots: () => readonly Slot[],
  onHover: (index: number | undefined) => void,
): uPlot.Options => {
  const style = getComputedStyle(box)
  const colour = (name: string) => style.getPropertyValue(name).trim()
  const font = `12px ${style.fontFamily}`
  const grid = { stroke: colour('--line'), width: 1 }
  return {
    width,
    height,
    legend: { show: false },
    padding: [12, 4, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: {
      x: { time: false, range: () => [-0.5, Math.max(0.5, slots().length - 0.5)] },
      y: { range: (_u, _min, max) => [0, Math.max(10, (max ?? 0) * 1.08)] },
    },
    axes: [
      {
        stroke: colour('--muted'),
        font,
        size: 40,
        gap: 8,
        grid: { show: false },
        ticks: { show: false },
        splits: () => splitsOf(slots(), width),
        values: (_u, splits) => splits.map(i => tickText(slots(), i)),
      },
      {
        stroke: colour('--muted'),
        font,
        size: width < 480 ? 40 : 52,
        gap: 8,
        grid,
        ticks: { show: false },
        values: (_u, splits) => splits.map(compactText),
      },
    ],
    series: [
      {},
      {
        label: 'Visitors',
        fill: colour('--accent'),
        stroke: colour('--accent'),
        width: 0,
        points: { show: false },
        paths: barPaths([colour('--accent'), colour('--accent-open')], slots),
      },
      {
        label: 'Baseline',
        stroke: colour('--baseline'),
        width: 2,
        dash: [6, 4],
        points: { show: false },
        spanGaps: false,
      },
    ],
    hooks: {
      drawClear: [u => drawMarks(u, slots(), { failed: colour('--warn'), missing: colour('--gap') })],
      setCursor: [u => onHover(u.cursor.idx ?? undefined)],
    },
  }
}

const barPaths = ([whole, open]: [string, string], slots: () => readonly Slot[]): uPlot.Series.PathBuilder => {
  const bars = uPlot.paths.bars?.({
    size: [0.68, 40],
    radius: [0.12, 0],
    disp: {
      fill: { unit: 3, values: () => slots().map(slot => (isOpen(slot) ? open : whole)) },
    },
  })
  return bars ?? (() => null)
}
/** Still being counted. */
const isOpen = (slot: Slot): boolean => slot.row !== undefined && Date.now() < Date.parse(slot.row.end)

/** About one tick a 64 px, on Mondays or at the start of days where that can be. */
const splitsOf = (slots: readonly Slot[], width: number): number[] => {
  const room = Math.max(2, Math.floor(width / 72))
  const starts = slots.flatMap((slot, i) => (i === 0 || slots[i - 1]?.date !== slot.date ? [i] : []))
  const hourly = slots.some(slot => slot.hour !== null)
  const weekly = starts.filter(i => i > 0 && weekOf(slots[i]?.date) !== weekOf(slots[i - 1]?.date))
  const candidates = !hourly && starts.length > room && weekly.length >= 2 ? weekly : starts
  if (hourly && starts.length * 4 <= room)
    return slots.flatMap((slot, i) => ((slot.hour ?? 0) % 4 === 0 || starts.includes(i) ? [i] : []))
  const every = Math.ceil(candidates.length / room)
  return candidates.filter((_, i) => i % every === 0)
}
const weekOf = (date: string | undefined): number => Math.floor((Date.parse(`${date}T00:00:00Z`) / 86_400_000 + 3) / 7)

const tickText = (slots: readonly Slot[], index: number): string => {
  const slot = slots[index]
  if (!slot) return ''
  const starts = slots[index - 1]?.date !== slot.date
  if (slot.hour !== null && !starts) return hourText(slot.hour)
  return `${shortDateText(slot.date)}\n${weekdayText((new Date(`${slot.date}T00:00:00Z`).getUTCDay() + 6) % 7)}`
}

/** Hatches places whose measurement failed or that are missing; marks bars of which a part failed. */
const drawMarks = (u: uPlot, slots: readonly Slot[], colours: { failed: string; missing: string }): void => {
  const { ctx, bbox } = u
  const step = bbox.width / Math.max(1, slots.length)
  const hatch = { failed: hatchOf(ctx, colours.failed), missing: hatchOf(ctx, colours.missing) }
  ctx.save()
  slots.forEach((slot, i) => {
    const left = bbox.left + i * step + step * 0.1
    if (slot.status === 'failed' || slot.status === 'missing') {
      ctx.fillStyle = hatch[slot.status]
      ctx.fillRect(left, bbox.top, step * 0.8, bbox.height)
      ctx.fillStyle = colours[slot.status]
      ctx.fillRect(left, bbox.top + bbox.height - 3 * devicePixelRatio, step * 0.8, 3 * devicePixelRatio)
    } else if (slot.status === 'partial') {
      ctx.fillStyle = colours.failed
      ctx.fillRect(left, bbox.top, step * 0.8, 4 * devicePixelRatio)
    }
  })
  ctx.restore()
}

const hatchOf = (ctx: CanvasRenderingContext2D, colour: string): CanvasPattern | string => {
  const size = 8 * devicePixelRatio
  const tile = document.createElement('canvas')
  tile.width = size
  tile.height = size
  const t = tile.getContext('2d')
  if (!t) return colour
  t.strokeStyle = colour
  t.globalAlpha = 0.55
  t.lineWidth = 1.5 * devicePixelRatio
  t.beginPath()
  for (const shift of [-size, 0, size]) {
    t.moveTo(shift, size)
    t.lineTo(shift + size, 0)
  }
  t.stroke()
  return ctx.createPattern(tile, 'repeat') ?? colour
}

/** What a place of the chart says, for the line above it and for people who hear it. */
export const slotTitle = (slot: Slot): string =>
  slot.hour === null ? dateText(slot.date) : `${dateText(slot.date)}, ${hourText(slot.hour)}`
