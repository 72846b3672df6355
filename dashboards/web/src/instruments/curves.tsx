/** Curves and images: the one of a chosen time as a line or a picture, and curves over time as a heat map. */
import { useState } from 'preact/hooks'
import { get, type Schemas } from '../api.ts'
import { Choice, Notice } from '../parts.tsx'
import { texts } from '../texts.ts'
import { isImage } from './columns.ts'
import { CurveLine } from './curve-line.tsx'
import { HeatMap } from './heat-map.tsx'
import { Picture } from './picture.tsx'
import { isoOf, momentText, nsOf } from './time.ts'
import { keyText, type SeriesKey, type View } from './url.ts'
import { useAnswer } from './use-answer.ts'
import type { Stream } from './use-catalog.ts'
import type { Range } from './use-rows.ts'

const t = texts.instruments.curves
/** Curves of a heat map, and numbers of each. */
const curvesMax = 160
const curvePointsMax = 400
/** Of the one curve that is drawn as a line. */
const linePointsMax = 2000

type Readings = Schemas['Readings']
export interface Curve {
  values: (number | null)[]
  axis: number[] | undefined
}

export interface CurvesProps {
  stream: Stream
  zone: string
  range: Range
  view: View
  theme: string
  onView(next: Partial<View>): void
  onPick(series: SeriesKey, time: string): void
}

const curvesOf = ({ columns }: Readings, name: string): Curve[] => {
  const column = columns.find(c => c.name === name)
  return (column?.values ?? []).map(values => ({ values: (values ?? []) as (number | null)[], axis: column?.axis }))
}

export const Curves = ({ stream, zone, range, view, theme, onView, onPick }: CurvesProps) => {
  const vectors = stream.columns.filter(c => c.type === 'vector')
  const vector = vectors.find(c => c.name === view.vector) ?? vectors[0]
  const name = vector?.name ?? ''
  const isPicture = isImage(stream)
  const series = { site: stream.site, device: stream.device, stream: stream.stream }
  const { fromNs, toNs, kind } = range
  const over = useAnswer<Readings>({
    ...{ of: `${keyText(stream)} ${name}`, kind, range: `${fromNs} ${toNs}` },
    ask: signal => {
      const columns = isPicture ? 'height' : name
      const query = { columns, from: isoOf(fromNs), to: isoOf(toNs), points: curvesMax, curvePoints: curvePointsMax }
      return get('/v1/readings', { ...series, ...query }, signal)
    },
  })
  const times = over.value?.time ?? []
  const time = view.curve ?? times.at(-1)
  const one = useAnswer<Readings | undefined>({
    ...{ of: `${keyText(stream)} ${name} one`, kind: time ?? '', range: '' },
    ask: async signal => {
      const ns = time === undefined ? undefined : nsOf(time)
      if (ns === undefined) return undefined
      const columns = isPicture ? `${name},height,width` : name
      const points = isPicture ? {} : { curvePoints: linePointsMax }
      return get('/v1/readings', { ...series, columns, from: isoOf(ns), to: isoOf(ns + 1n), ...points }, signal)
    },
  })
  const [isAtEnd, setAtEnd] = useState<string>()
  const step = async (forward: boolean): Promise<void> => {
    const ns = time === undefined ? undefined : nsOf(time)
    if (ns === undefined) return
    const columns = isPicture ? 'height' : name
    const ask = forward
      ? ({ from: isoOf(ns + 1n), order: 'asc' } as const)
      : ({ from: isoOf(ns - 10n ** 18n), to: isoOf(ns), order: 'desc' } as const)
    const answer = await get('/v1/readings', { ...series, columns, limit: 1, curvePoints: 2, ...ask }).catch(
      () => undefined,
    )
    const next = answer?.time[0]
    setAtEnd(next === undefined ? (forward ? t.last : t.first) : undefined)
    if (next !== undefined) onView({ curve: next })
  }
  const choose = (index: number): void => {
    const next = times[Math.max(0, Math.min(times.length - 1, index))]
    if (next !== undefined) onView({ curve: next })
  }
  if (!vector) return null
  if (over.error !== undefined && !over.value) {
    return (
      <Notice title={t.failed} onRetry={over.retry}>
        {over.error}
      </Notice>
    )
  }
  if (!over.value) return <span class="skeleton chart-place" />
  if (time === undefined) return <Notice title={t.none}>{t.noneText}</Notice>
  const index = nearestTime(times, time)
  const [curve] = one.value ? curvesOf(one.value, name) : []
  const numberAt = (column: string): number => Number(one.value?.columns.find(c => c.name === column)?.values[0] ?? 0)
  return (
    <section class="panel curves" aria-label={isPicture ? t.image : t.curve}>
      <div class="bar">
        <h2>
          {name}
          {vector.unit ? ` (${vector.unit})` : ''}
        </h2>
        <div class="filters">
          {vectors.length > 1 && (
            <Choice
              label={t.column}
              value={name}
              options={vectors.map(v => ({ value: v.name, text: v.name }))}
              onChange={value => onView({ vector: value })}
            />
          )}
          <Choice
            label={t.scale}
            value={view.curveLog ? 'log' : 'linear'}
            options={[
              { value: 'linear', text: t.linear },
              { value: 'log', text: t.log },
            ]}
            onChange={value => onView({ curveLog: value === 'log' })}
          />
        </div>
      </div>
      <div class="slider">
        <button type="button" class="icon" onClick={() => void step(false)} aria-label={t.before}>
          ‹
        </button>
        <input
          type="range"
          min={0}
          max={Math.max(0, times.length - 1)}
          value={index}
          aria-label={t.time}
          aria-valuetext={momentText(time, zone)}
          onInput={event => choose(Number(event.currentTarget.value))}
        />
        <button type="button" class="icon" onClick={() => void step(true)} aria-label={t.after}>
          ›
        </button>
        <button type="button" onClick={() => onView({ curve: undefined })} disabled={view.curve === undefined}>
          {t.newest}
        </button>
      </div>
      <p class="slider-time" role="status">
        <strong>{momentText(time, zone)}</strong> <span class="quiet">({zone})</span>{' '}
        <button type="button" class="plain" onClick={() => onPick(stream, time)}>
          {texts.instruments.whereFrom}
        </button>
        {isAtEnd !== undefined && <span class="quiet"> {isAtEnd}</span>}
      </p>
      {one.error !== undefined && (
        <Notice title={t.failed} onRetry={one.retry}>
          {one.error}
        </Notice>
      )}
      {isPicture ? (
        <Picture
          pixels={curve?.values}
          {...{ width: numberAt('width'), height: numberAt('height'), log: view.curveLog, unit: vector.unit ?? '' }}
          label={t.imageOf(momentText(time, zone))}
        />
      ) : (
        <>
          <CurveLine
            curve={curve}
            unit={vector.unit ?? ''}
            log={view.curveLog}
            theme={theme}
            label={t.curveOf(momentText(time, zone))}
          />
          <HeatMap
            curves={curvesOf(over.value, name)}
            {...{ times, index, log: view.curveLog, zone, unit: vector.unit ?? '', theme }}
            onChoose={choose}
          />
          <p class="quiet small">{t.shown(times.length, times.length >= curvesMax * 0.9, over.value.next !== null)}</p>
        </>
      )}
    </section>
  )
}

const nearestTime = (times: readonly string[], time: string): number => {
  const at = nsOf(time) ?? 0n
  let best = 0
  let distance: bigint | undefined
  times.forEach((candidate, i) => {
    const apart = (nsOf(candidate) ?? 0n) - at
    const size = apart < 0n ? -apart : apart
    if (distance === undefined || size < distance) {
      distance = size
      best = i
    }
  })
  return best
}
