/** Small parts that several views share. */
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { changeText, numberText } from './format.ts'

const tickMs = 450
const calm = (): boolean => matchMedia('(prefers-reduced-motion: reduce)').matches

/** A number that runs to its new value and glows for a moment when it changed by itself. */
export const Ticking = ({ value }: { value: number }) => {
  const [shown, setShown] = useState(value)
  const [glow, setGlow] = useState(0)
  const from = useRef(value)
  useEffect(() => {
    const start = from.current
    if (start === value) return
    setGlow(n => n + 1)
    if (calm()) {
      from.current = value
      setShown(value)
      return
    }
    const began = performance.now()
    let frame = 0
    const step = (now: number): void => {
      const part = Math.min(1, (now - began) / tickMs)
      from.current = start + (value - start) * (1 - (1 - part) ** 3)
      setShown(from.current)
      if (part < 1) frame = requestAnimationFrame(step)
    }
    frame = requestAnimationFrame(step)
    return () => cancelAnimationFrame(frame)
  }, [value])
  return (
    <span key={glow} class={glow > 0 ? 'ticking glow' : 'ticking'}>
      {numberText(Math.round(shown))}
    </span>
  )
}

/** A change against the baseline: sign, arrow and colour say the same. */
export const Change = ({ percent, quiet = false }: { percent: number | null; quiet?: boolean }) => {
  const kind = percent === null || quiet || Math.abs(percent) < 0.05 ? 'even' : percent > 0 ? 'up' : 'down'
  return <span class={`change ${kind}`}>{changeText(percent)}</span>
}

export const Choice = <T extends string | number>(props: {
  label: string
  value: T
  options: readonly { value: T; text: string }[]
  onChange(value: T): void
}) => (
  <fieldset class="choice">
    <legend class="hidden">{props.label}</legend>
    {props.options.map(({ value, text }) => (
      <label key={value} class={value === props.value ? 'on' : ''}>
        <input type="radio" name={props.label} checked={value === props.value} onChange={() => props.onChange(value)} />
        {text}
      </label>
    ))}
  </fieldset>
)

export const Notice = ({
  title,
  children,
  onRetry,
}: {
  title: string
  children?: ComponentChildren
  onRetry?: () => void
}) => (
  <div class="notice" role={onRetry ? 'alert' : 'status'}>
    <strong>{title}</strong>
    {children && <p>{children}</p>}
    {onRetry && (
      <button type="button" onClick={onRetry}>
        Try again
      </button>
    )}
  </div>
)

/** A table that may be wider than its place: scrolled with the keyboard too, hence in the order of Tab. */
export const WideTable = ({ label, children }: { label: string; children: ComponentChildren }) => (
  // biome-ignore lint/a11y/noNoninteractiveTabindex: without it nobody scrolls it by keyboard
  <section class="table" aria-label={label} tabIndex={0}>
    {children}
  </section>
)
