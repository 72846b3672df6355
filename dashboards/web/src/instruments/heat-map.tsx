/** Curves over time: each a column of colours, oldest left. A click or the arrow keys choose a time. */
import { useEffect, useMemo, useRef } from 'preact/hooks'
import { texts } from '../texts.ts'
import { scaleColours, valueScale } from './colours.ts'
import type { Curve } from './curves.tsx'
import { momentText } from './time.ts'
import { tickText } from './value.ts'

const t = texts.instruments.curves

export interface HeatMapProps {
  curves: readonly Curve[]
  times: readonly string[]
  /** The chosen one. */
  index: number
  log: boolean
  zone: string
  unit: string
  theme: string
  onChoose(index: number): void
}

export const HeatMap = ({ curves, times, index, log, zone, unit, onChoose }: HeatMapProps) => {
  const canvas = useRef<HTMLCanvasElement>(null)
  const scale = useMemo(
    () =>
      valueScale(
        curves.map(c => c.values),
        log,
      ),
    [curves, log],
  )
  const first = curves.find(c => c.values.length > 0)
  const axis = first?.axis
  const rows = curves.reduce((max, c) => Math.max(max, c.values.length), 0)
  const isFalling = axis !== undefined && (axis[0] ?? 0) > (axis.at(-1) ?? 0)
  useEffect(() => {
    const element = canvas.current
    const context = element?.getContext('2d')
    if (!element || !context || rows === 0) return
    element.width = curves.length
    element.height = rows
    const image = context.createImageData(curves.length, rows)
    curves.forEach(({ values }, x) => {
      for (let i = 0; i < values.length; i++) {
        const place = scale.place(values[i])
        if (place < 0) continue
        // The axis rises upwards.
        const y = isFalling ? i : rows - 1 - i
        image.data.set(scaleColours.subarray(place * 4, place * 4 + 4), (y * curves.length + x) * 4)
      }
    })
    context.putImageData(image, 0, 0)
  }, [curves, scale, rows, isFalling])
  const at = (event: MouseEvent): void => {
    const box = canvas.current?.getBoundingClientRect()
    if (box) onChoose(Math.floor(((event.clientX - box.left) / box.width) * curves.length))
  }
  const onKey = (event: KeyboardEvent): void => {
    const stride = event.shiftKey ? 10 : 1
    const next = { ArrowLeft: index - stride, ArrowRight: index + stride, Home: 0, End: curves.length - 1 }[event.key]
    if (next === undefined) return
    event.preventDefault()
    onChoose(next)
  }
  if (rows === 0) return null
  const ends = axis ? [axis[0] ?? 0, axis.at(-1) ?? 0].sort((a, b) => a - b) : [0, rows - 1]
  return (
    <figure class="heat">
      <div class="heat-body">
        <div class="heat-axis small quiet" aria-hidden="true">
          <span>{tickText(ends[1] ?? 0)}</span>
          <span>{tickText(ends[0] ?? 0)}</span>
        </div>
        <div class="heat-map">
          <canvas
            ref={canvas}
            tabIndex={0}
            role="img"
            aria-label={t.heatMap(times.length)}
            onClick={at}
            onKeyDown={onKey}
          />
          <span
            class="heat-cursor"
            ref={element => {
              if (element) element.style.left = `${((index + 0.5) / Math.max(1, curves.length)) * 100}%`
            }}
          />
        </div>
      </div>
      <div class="heat-times small quiet" aria-hidden="true">
        <span>{momentText(times[0] ?? '', zone)}</span>
        <span>{momentText(times.at(-1) ?? '', zone)}</span>
      </div>
      <figcaption>
        <ScaleBar min={scale.min} max={scale.max} unit={unit} log={log} />
      </figcaption>
    </figure>
  )
}

/** What the colours mean. */
export const ScaleBar = ({ min, max, unit, log }: { min: number; max: number; unit: string; log: boolean }) => {
  const draw = (element: HTMLCanvasElement | null): void => {
    const context = element?.getContext('2d')
    if (!element || !context) return
    element.width = 256
    element.height = 1
    const image = context.createImageData(256, 1)
    image.data.set(scaleColours)
    context.putImageData(image, 0, 0)
  }
  return (
    <span class="scale-bar small">
      <span>{tickText(min)}</span>
      <canvas ref={draw} />
      <span>
        {tickText(max)} {unit}
      </span>
      {log && <span class="quiet">{t.log}</span>}
    </span>
  )
}
