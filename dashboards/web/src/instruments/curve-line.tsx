/** One curve over its axis. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { texts } from '../texts.ts'
import { lineColour } from './colours.ts'
import type { Curve } from './curves.tsx'
import { numberText, tickText, valueText } from './value.ts'

const t = texts.instruments.curves
const height = 240

export interface CurveLineProps {
  curve: Curve | undefined
  unit: string
  log: boolean
  theme: string
  label: string
}

export const CurveLine = ({ curve, unit, log, theme, label }: CurveLineProps) => {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const [width, setWidth] = useState(0)
  const [at, setAt] = useState<number>()
  const data = useMemo(() => dataOf(curve, log), [curve, log])
  const hasAxis = curve?.axis !== undefined && curve.axis.length === curve.values.length
  useEffect(() => {
    if (!box.current) return
    const observer = new ResizeObserver(entries => setWidth(Math.floor(entries[0]?.contentRect.width ?? 0)))
    observer.observe(box.current)
    return () => observer.disconnect()
  }, [])
  useEffect(() => {
    if (!box.current || width === 0) return
    const made = new uPlot(optionsOf(box.current, { width, unit, log, theme, onAt: setAt }), data, box.current)
    plot.current = made
    return () => {
      plot.current = undefined
      made.destroy()
    }
  }, [width, unit, log, theme])
  useEffect(() => plot.current?.setData(data), [data])
  const onKey = (event: KeyboardEvent): void => {
    const u = plot.current
    const last = data[0].length - 1
    const now = u?.cursor.idx ?? undefined
    const stride = event.shiftKey ? 10 : 1
    const next = { ArrowLeft: (now ?? last + 1) - stride, ArrowRight: (now ?? -1) + stride, Home: 0, End: last }[
      event.key
    ]
    if (!u || next === undefined) return
    event.preventDefault()
    u.setCursor({ left: u.valToPos(data[0][Math.max(0, Math.min(last, next))] ?? 0, 'x'), top: 40 })
  }
  const x = at === undefined ? undefined : data[0][at]
  const y = at === undefined ? undefined : data[1]?.[at]
  return (
    <>
      <p class="readout small" aria-live="polite">
        {x === undefined ? (
          <span class="quiet">{hasAxis ? t.pointAxis : t.pointIndex}</span>
        ) : (
          <>
            <span>
              {hasAxis ? t.axis : t.index} {numberText(x)}
            </span>
            <strong>{valueText(y, unit)}</strong>
          </>
        )}
      </p>
      <div
        class="chart curve"
        ref={box}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys walk along the curve
        tabIndex={0}
        role="img"
        aria-label={label}
        onKeyDown={onKey}
      />
    </>
  )
}

const dataOf = (curve: Curve | undefined, log: boolean): [number[], (number | null)[]] => {
  const values = curve?.values ?? []
  const axis = curve?.axis?.length === values.length ? curve.axis : values.map((_, i) => i)
  const shown = values.map(v => (v !== null && log && v <= 0 ? null : v))
  // uPlot needs an axis that rises; Raman and infrared spectra fall.
  return (axis[0] ?? 0) > (axis.at(-1) ?? 0) ? [[...axis].reverse(), shown.reverse()] : [[...axis], shown]
}

interface Options {
  width: number
  unit: string
  log: boolean
  theme: string
  onAt(index: number | undefined): void
}
const optionsOf = (box: HTMLElement, { width, unit, log, theme, onAt }: Options): uPlot.Options => {
  const style = getComputedStyle(box)
  const colour = (name: string) => style.getPropertyValue(name).trim()
  const font = `12px ${style.fontFamily}`
  const axis = { stroke: colour('--muted'), font, labelFont: font, ticks: { show: false } }
  const grid = { stroke: colour('--line'), width: 1 }
  return {
    ...{ width, height, legend: { show: false }, padding: [12, 16, 0, 0] },
    cursor: { y: false, drag: { x: true, y: false } },
    scales: { x: { time: false }, y: log ? { distr: 3 } : {} },
    axes: [
      { ...axis, grid, size: 34, gap: 6, values: (_u, splits) => splits.map(tickText) },
      {
        ...{ ...axis, grid, size: width < 480 ? 52 : 62, gap: 6, ...(unit !== '' && { label: unit, labelSize: 20 }) },
        values: (_u, splits) => splits.map(v => (v === null ? null : tickText(v))),
      },
    ],
    series: [{}, { stroke: lineColour(0, theme), width: 1.5, points: { show: false } }],
    hooks: { setCursor: [u => onAt((u.cursor.left ?? -1) < 0 ? undefined : (u.cursor.idx ?? undefined))] },
  }
}
