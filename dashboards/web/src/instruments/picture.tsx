/** An image: one number a pixel, row by row. Pointing or the arrow keys say the value of a pixel. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { texts } from '../texts.ts'
import { scaleColours, valueScale } from './colours.ts'
import { ScaleBar } from './heat-map.tsx'
import { valueText } from './value.ts'

const t = texts.instruments.curves

export interface PictureProps {
  pixels: readonly (number | null)[] | undefined
  width: number
  height: number
  log: boolean
  unit: string
  label: string
}

export const Picture = ({ pixels, width, height, log, unit, label }: PictureProps) => {
  const canvas = useRef<HTMLCanvasElement>(null)
  const [at, setAt] = useState<{ x: number; y: number }>()
  const scale = useMemo(() => valueScale(pixels ? [pixels] : [], log), [pixels, log])
  const isWhole = pixels !== undefined && width > 0 && height > 0 && pixels.length === width * height
  useEffect(() => {
    const element = canvas.current
    const context = element?.getContext('2d')
    if (!element || !context || !isWhole) return
    element.width = width
    element.height = height
    const image = context.createImageData(width, height)
    pixels.forEach((value, i) => {
      const place = scale.place(value)
      if (place >= 0) image.data.set(scaleColours.subarray(place * 4, place * 4 + 4), i * 4)
    })
    context.putImageData(image, 0, 0)
  }, [pixels, scale, width, height, isWhole])
  if (pixels === undefined) return <span class="skeleton chart-place" />
  if (!isWhole) return <p class="quiet">{t.noShape(pixels.length, width, height)}</p>
  const point = (event: MouseEvent): void => {
    const box = canvas.current?.getBoundingClientRect()
    if (!box) return
    const x = Math.floor(((event.clientX - box.left) / box.width) * width)
    const y = Math.floor(((event.clientY - box.top) / box.height) * height)
    setAt({ x: Math.max(0, Math.min(width - 1, x)), y: Math.max(0, Math.min(height - 1, y)) })
  }
  const onKey = (event: KeyboardEvent): void => {
    const stride = event.shiftKey ? 10 : 1
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key]
    if (!move) return
    event.preventDefault()
    const from = at ?? { x: Math.floor(width / 2), y: Math.floor(height / 2) }
    setAt({
      x: Math.max(0, Math.min(width - 1, from.x + (move[0] ?? 0) * stride)),
      y: Math.max(0, Math.min(height - 1, from.y + (move[1] ?? 0) * stride)),
    })
  }
  return (
    <figure class="picture">
      <p class="readout small" aria-live="polite">
        {at ? (
          <>
            <span>{t.pixel(at.x, at.y)}</span>
            <strong>{valueText(pixels[at.y * width + at.x], unit)}</strong>
          </>
        ) : (
          <span class="quiet">{t.pointPixel(width, height)}</span>
        )}
      </p>
      <canvas ref={canvas} tabIndex={0} role="img" aria-label={label} onMouseMove={point} onKeyDown={onKey} />
      <figcaption>
        <ScaleBar min={scale.min} max={scale.max} unit={unit} log={log} />
      </figcaption>
    </figure>
  )
}
