/** A uPlot over an axis of days or hours: as wide as its place, drawn anew with its colours, walked along with arrow keys. */
import { useEffect, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { compactText } from '../format.ts'
import { type At, type Place, splitsOf, stepOf, tickText } from './axis.ts'

export interface PlotProps<T extends At> {
  places: readonly Place<T>[]
  data: uPlot.AlignedData
  /** Changes where more than the data does: series that come or go. */
  shape: string
  label: string
  /** Changes with the colours of the page. */
  theme: string
  optionsOf(box: HTMLElement, width: number, places: () => readonly Place<T>[]): uPlot.Options
  onHover(place: Place<T>): void
}

const height = 300

export const Plot = <T extends At>({ places, data, shape, label, theme, optionsOf, onHover }: PlotProps<T>) => {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const shown = useRef({ places, data })
  shown.current = { places, data }
  const [width, setWidth] = useState(0)
  const [first, last] = [places[0], places.at(-1)]
  const drawn = `${shape} ${places.length} ${first?.date} ${first?.hour} ${last?.date} ${last?.hour}`

  useEffect(() => {
    if (!box.current) return
    const observer = new ResizeObserver(entries => setWidth(Math.floor(entries[0]?.contentRect.width ?? 0)))
    observer.observe(box.current)
    return () => observer.disconnect()
  }, [])

  useEffect(() => {
    if (!box.current || width === 0) return
    const options = optionsOf(box.current, width, () => shown.current.places)
    const hover = (u: uPlot) => onHover(shown.current.places[u.cursor.idx ?? -1])
    const made = new uPlot(
      { ...options, hooks: { ...options.hooks, setCursor: [hover] } },
      shown.current.data,
      box.current,
    )
    plot.current = made
    return () => {
      plot.current = undefined
      made.destroy()
    }
  }, [width, drawn, theme])

  useEffect(() => plot.current?.setData(data), [data])

  const step = (event: KeyboardEvent): void => {
    const u = plot.current
    const to = stepOf(event.key, u?.cursor.idx ?? undefined, places)
    if (!u || to === undefined) return
    event.preventDefault()
    u.setCursor({ left: u.valToPos(to, 'x'), top: 40 })
  }
  return (
    <div
      class="chart"
      ref={box}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys walk along the places
      tabIndex={0}
      role="img"
      aria-label={label}
      onKeyDown={step}
      onBlur={() => plot.current?.setCursor({ left: -10, top: -10 })}
    />
  )
}

/** What all charts over places have in common: no zoom, a line under the pointer, 0 at the foot. */
export const frameOf = (width: number, places: () => readonly Place<At>[]): Omit<uPlot.Options, 'series'> => ({
  width,
  height,
  legend: { show: false },
  padding: [12, 18, 0, 0],
  cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
  scales: {
    x: { time: false, range: () => [-0.5, Math.max(0.5, places().length - 0.5)] },
    y: { range: (_u, _min, max) => [0, Math.max(10, (max ?? 0) * 1.08)] },
  },
})

export const axesOf = (box: HTMLElement, width: number, places: () => readonly Place<At>[]): uPlot.Axis[] => {
  const style = getComputedStyle(box)
  const colour = (name: string) => style.getPropertyValue(name).trim()
  const font = `12px ${style.fontFamily}`
  return [
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
  ]
}
