/** Bars of the count with the line of its baseline. Failed and missing places are hatched, never drawn as zero. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { compactText, dateText, hourText, shortDateText, weekdayOf, weekdayText } from '../format.ts'
import type { Slot } from './slots.ts'

export interface ChartProps {
  slots: readonly Slot[]
  label: string
  /** Changes with the colours of the page. */
  theme: string
  onHover(slot: Slot | undefined): void
}

/** A place on the axis; between two days of hours one stays free. */
type Place = Slot | undefined

const height = 300

export const Chart = ({ slots, label, theme, onHover }: ChartProps) => {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const places = useMemo(() => placesOf(slots), [slots])
  const data = useMemo(() => dataOf(places), [places])
  const shown = useRef({ places, data })
  shown.current = { places, data }
  const [width, setWidth] = useState(0)
  const shape = `${places.length} ${slots[0]?.date} ${slots[0]?.hour} ${slots.at(-1)?.date}`

  useEffect(() => {
    if (!box.current) return
    const observer = new ResizeObserver(entries => setWidth(Math.floor(entries[0]?.contentRect.width ?? 0)))
    observer.observe(box.current)
    return () => observer.disconnect()
  }, [])

  useEffect(() => {
    if (!box.current || width === 0) return
    const options = optionsOf(box.current, width, () => shown.current.places, onHover)
    const made = new uPlot(options, shown.current.data, box.current)
    plot.current = made
    return () => {
      plot.current = undefined
      made.destroy()
    }
  }, [width, shape, theme])

  useEffect(() => plot.current?.setData(data), [data])

  const step = (event: KeyboardEvent): void => {
    const u = plot.current
    const last = places.length - 1
    const at = u?.cursor.idx ?? undefined
    const next = { ArrowLeft: (at ?? last + 1) - 1, ArrowRight: (at ?? -1) + 1, Home: 0, End: last }[event.key]
    if (!u || next === undefined) return
    event.preventDefault()
    const to = Math.max(
      0,
      Math.min(last, places[next] || !places[next + 1] ? next : next + Math.sign(next - (at ?? 0))),
    )
    u.setCursor({ left: u.valToPos(to, 'x'), top: 40 })
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

const placesOf = (slots: readonly Slot[]): Place[] =>
  slots.flatMap((slot, i) =>
    slot.hour !== null && i > 0 && slots[i - 1]?.date !== slot.date ? [undefined, slot] : [slot],
  )

const dataOf = (places: readonly Place[]): uPlot.AlignedData => {
  const compared = (slot: Place) => slot?.row && slot.status !== 'closed' && !isUnderWay(slot)
  const baseline = places.map(slot => (compared(slot) ? (slot?.row?.baseline ?? null) : null))
  return [
    places.map((_, i) => i),
    places.map(slot =>
      slot && (slot.status === 'ok' || slot.status === 'partial') ? (slot.row?.count ?? null) : null,
    ),
    baseline,
    baseline,
  ]
}

/** Still being counted: a baseline beside it would compare a part with wholes. */
export const isUnderWay = (slot: Slot): boolean => slot.row !== undefined && Date.now() < Date.parse(slot.row.end)

const optionsOf = (
  box: HTMLElement,
  width: number,
  places: () => readonly Place[],
  onHover: (slot: Slot | undefined) => void,
): uPlot.Options => {
  const style = getComputedStyle(box)
  const colour = (name: string) => style.getPropertyValue(name).trim()
  const font = `12px ${style.fontFamily}`
  const line = { points: { show: false }, spanGaps: false }
  const narrow = width / Math.max(1, places().length) < 12
  return {
    width,
    height,
    legend: { show: false },
    padding: [12, 18, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: {
      x: { time: false, range: () => [-0.5, Math.max(0.5, places().length - 0.5)] },
      y: { range: (_u, _min, max) => [0, Math.max(10, (max ?? 0) * 1.08)] },
    },
    axes: [
      {
        ...{ stroke: colour('--muted'), font, size: 40, gap: 8, grid: { show: false }, ticks: { show: false } },
        splits: () => splitsOf(places(), width),
        values: (_u, splits) => splits.map(i => tickText(places(), i)),
      },
      {
        ...{ stroke: colour('--muted'), font, size: width < 480 ? 40 : 52, gap: 8, ticks: { show: false } },
        grid: { stroke: colour('--line'), width: 1 },
        values: (_u, splits) => splits.map(compactText),
      },
    ],
    series: [
      {},
      {
        ...{ label: 'Visitors', fill: colour('--bar'), stroke: colour('--bar'), width: 0, points: { show: false } },
        paths: barPaths(colour('--bar'), colour('--bar-open'), places),
      },
      // A halo, so that the line stays apart from the bars in every colour.
      { label: 'Baseline', stroke: colour('--panel'), width: narrow ? 3 : 5, ...line },
      { label: 'Baseline', stroke: colour('--baseline'), width: narrow ? 1.25 : 2, ...line },
    ],
    hooks: {
      drawClear: [u => drawGaps(u, places(), { failed: colour('--warn'), missing: colour('--gap') })],
      draw: [u => drawPartFailures(u, places(), colour('--warn'))],
      setCursor: [u => onHover(places()[u.cursor.idx ?? -1])],
    },
  }
}

const barPaths = (whole: string, open: string, places: () => readonly Place[]): uPlot.Series.PathBuilder =>
  uPlot.paths.bars?.({
    size: [0.7, 40],
    radius: [0.12, 0],
    disp: { fill: { unit: 3, values: () => places().map(slot => (slot && isUnderWay(slot) ? open : whole)) } },
  }) ?? (() => null)

/** About one tick every 72 px: hours of the day, else days, else Mondays. */
const splitsOf = (places: readonly Place[], width: number): number[] => {
  const room = Math.max(2, Math.floor(width / 72))
  const days = places.flatMap((slot, i) => (slot && places[i - 1]?.date !== slot.date ? [i] : []))
  const hourly = places.some(slot => slot && slot.hour !== null)
  if (hourly && days.length * 4 <= room) {
    return places.flatMap((slot, i) => (slot && (days.includes(i) || (slot.hour ?? 1) % 4 === 0) ? [i] : []))
  }
  const weeks = days.filter((i, d) => d > 0 && weekOf(places[i]) !== weekOf(places[days[d - 1] ?? 0]))
  const candidates = days.length > room && weeks.length >= 2 ? weeks : days
  const every = Math.ceil(candidates.length / room)
  return candidates.filter((_, i) => i % every === 0)
}
const weekOf = (slot: Place): number => Math.floor((Date.parse(`${slot?.date}T00:00:00Z`) / 86_400_000 + 3) / 7)

const tickText = (places: readonly Place[], index: number): string => {
  const slot = places[index]
  if (!slot) return ''
  if (slot.hour !== null && places[index - 1]?.date === slot.date) return hourText(slot.hour)
  return `${shortDateText(slot.date)}\n${weekdayText(weekdayOf(slot.date))}`
}

/** Hatches places whose measurement failed or that are missing, behind everything else. */
const drawGaps = (u: uPlot, places: readonly Place[], colours: { failed: string; missing: string }): void => {
  const { ctx, bbox } = u
  const step = bbox.width / Math.max(1, places.length)
  const foot = 3 * devicePixelRatio
  const hatch = { failed: hatchOf(ctx, colours.failed), missing: hatchOf(ctx, colours.missing) }
  ctx.save()
  places.forEach((slot, i) => {
    if (slot?.status !== 'failed' && slot?.status !== 'missing') return
    const left = bbox.left + (i + 0.1) * step
    ctx.fillStyle = hatch[slot.status]
    ctx.fillRect(left, bbox.top, step * 0.8, bbox.height)
    ctx.fillStyle = colours[slot.status]
    ctx.fillRect(left, bbox.top + bbox.height - foot, step * 0.8, foot)
  })
  ctx.restore()
}

/** From here on so much of a bar failed that its height misleads. */
const coverageMin = 0.95

/** A cap over bars of which a good part failed: they would be higher. */
const drawPartFailures = (u: uPlot, places: readonly Place[], colour: string): void => {
  const { ctx, bbox } = u
  const step = bbox.width / Math.max(1, places.length)
  const cap = 3 * devicePixelRatio
  ctx.save()
  ctx.fillStyle = colour
  places.forEach((slot, i) => {
    if (slot?.status !== 'partial' || (slot.row?.coverage ?? 0) >= coverageMin) return
    const top = u.valToPos(slot.row?.count ?? 0, 'y', true)
    ctx.fillRect(bbox.left + (i + 0.15) * step, top - 2 * cap, step * 0.7, cap)
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
