/** Bars of the count with the line of its baseline. Failed and missing places are hatched, never drawn as zero. */
import { useMemo } from 'preact/hooks'
import uPlot from 'uplot'
import { dateText, hourText } from '../format.ts'
import { type At, type Place as AxisPlace, placesOf } from './axis.ts'
import { axesOf, frameOf, Plot } from './plot.tsx'
import type { Slot } from './slots.ts'

export interface ChartProps {
  slots: readonly Slot[]
  label: string
  /** Changes with the colours of the page. */
  theme: string
  onHover(slot: Slot | undefined): void
}

type Place = AxisPlace<Slot>

export const Chart = ({ slots, label, theme, onHover }: ChartProps) => {
  const places = useMemo(() => placesOf(slots), [slots])
  const data = useMemo(() => dataOf(places), [places])
  return <Plot {...{ places, data, label, theme, optionsOf, onHover }} shape="" />
}

const dataOf = (places: readonly Place[]): uPlot.AlignedData => {
  const compared = (slot: Place) => slot?.row && slot.status !== 'closed' && !isUnderWay(slot)
  const baseline = places.map(slot => (compared(slot) ? (slot?.row?.baseline ?? null) : null))
  /** A count cannot be below 0, whatever its spread. */
  const edge = (sign: 1 | -1) =>
    places.map((slot, i) => {
      const [middle, spread] = [baseline[i] ?? null, slot?.row?.baselineSpread ?? null]
      return middle === null || spread === null ? null : Math.max(0, middle + sign * spread)
    })
  return [
    places.map((_, i) => i),
    places.map(slot =>
      slot && (slot.status === 'ok' || slot.status === 'partial') ? (slot.row?.count ?? null) : null,
    ),
    edge(1),
    edge(-1),
    baseline,
    baseline,
  ]
}

/** Still being counted: a baseline beside it would compare a part with wholes. */
export const isUnderWay = (slot: Slot): boolean => slot.row !== undefined && Date.now() < Date.parse(slot.row.end)

const optionsOf = (box: HTMLElement, width: number, places: () => readonly Place[]): uPlot.Options => {
  const style = getComputedStyle(box)
  const colour = (name: string) => style.getPropertyValue(name).trim()
  const line = { points: { show: false }, spanGaps: false }
  const narrow = width / Math.max(1, places().length) < 12
  return {
    ...frameOf(width, places),
    axes: axesOf(box, width, places),
    bands: [{ series: [2, 3], fill: colour('--band') }],
    series: [
      {},
      {
        ...{ label: 'Visitors', fill: colour('--bar'), stroke: colour('--bar'), width: 0, points: { show: false } },
        paths: barPaths(colour('--bar'), colour('--bar-open'), places),
      },
      { label: 'Spread, upper', width: 0, ...line },
      { label: 'Spread, lower', width: 0, ...line },
      // A halo, so that the line stays apart from the bars in every colour.
      { label: 'Baseline', stroke: colour('--panel'), width: narrow ? 3 : 5, ...line },
      { label: 'Baseline', stroke: colour('--baseline'), width: narrow ? 1.25 : 2, ...line },
    ],
    hooks: {
      drawClear: [u => drawGaps(u, places(), { failed: colour('--warn'), missing: colour('--gap') })],
      draw: [u => drawPartFailures(u, places(), colour('--warn'))],
    },
  }
}

const barPaths = (whole: string, open: string, places: () => readonly Place[]): uPlot.Series.PathBuilder =>
  uPlot.paths.bars?.({
    size: [0.7, 40],
    radius: [0.12, 0],
    disp: { fill: { unit: 3, values: () => places().map(slot => (slot && isUnderWay(slot) ? open : whole)) } },
  }) ?? (() => null)

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
export const slotTitle = (slot: At): string =>
  slot.hour === null ? dateText(slot.date) : `${dateText(slot.date)}, ${hourText(slot.hour)}`
