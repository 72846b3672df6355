/** The range of time: back from the newest row, or from an exact time to another, in the zone of the site. */
import { Choice } from '../parts.tsx'
import { texts } from '../texts.ts'
import { zoomed } from './chart.tsx'
import { isoOf, nsOfWall, secondsOf, wallText } from './time.ts'
import { type RangeName, rangeNames, type View } from './url.ts'
import type { Range } from './use-rows.ts'

const t = texts.instruments.range

export interface RangeBarProps {
  view: View
  range: Range
  zone: string
  onView(next: Partial<View>): void
  onZoom(from: number, to: number): void
  onReset(): void
}

export const RangeBar = ({ view, range, zone, onView, onZoom, onReset }: RangeBarProps) => {
  const isExact = view.from !== undefined || view.to !== undefined
  const from = secondsOf(range.fromNs)
  const to = secondsOf(range.toNs)
  const pan = (part: number) => onZoom(from + part * (to - from), to + part * (to - from))
  const exact = (edge: 'from' | 'to') => (event: Event) => {
    const ns = nsOfWall((event.currentTarget as HTMLInputElement).value, zone)
    if (ns === undefined) return
    const fixed = { from: isoOf(range.fromNs), to: isoOf(range.toNs) }
    onView({ ...fixed, [edge]: isoOf(ns) })
  }
  return (
    <div class="range-bar">
      <Choice<RangeName | 'exact'>
        label={t.label}
        value={isExact ? 'exact' : view.range}
        options={rangeNames.map(value => ({ value, text: t.names[value] }))}
        onChange={value => value !== 'exact' && onView({ range: value, from: undefined, to: undefined })}
      />
      <fieldset class="exact small">
        <legend class="hidden">{t.exact(zone)}</legend>
        <label>
          <span class="quiet">{t.from}</span>
          <input type="datetime-local" step="1" value={wallText(range.fromNs, zone)} onChange={exact('from')} />
        </label>
        <label>
          <span class="quiet">{t.to}</span>
          <input type="datetime-local" step="1" value={wallText(range.toNs, zone)} onChange={exact('to')} />
        </label>
        <span class="quiet">{zone}</span>
      </fieldset>
      <fieldset class="zoom" aria-label={t.zoom}>
        <button type="button" class="icon" onClick={() => pan(-0.25)} aria-label={t.earlier}>
          ‹
        </button>
        <button type="button" class="icon" onClick={() => onZoom(...zoomed(from, to, 0.5))} aria-label={t.zoomIn}>
          +
        </button>
        <button type="button" class="icon" onClick={() => onZoom(...zoomed(from, to, 2))} aria-label={t.zoomOut}>
          −
        </button>
        <button type="button" class="icon" onClick={() => pan(0.25)} aria-label={t.later}>
          ›
        </button>
        <button type="button" onClick={onReset} disabled={!isExact}>
          {t.reset}
        </button>
        <label class="toggle small">
          <input type="checkbox" checked={view.log} onChange={() => onView({ log: !view.log })} />
          {t.log}
        </label>
      </fieldset>
    </div>
  )
}
