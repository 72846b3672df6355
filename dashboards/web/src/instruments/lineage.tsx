/** Where a point comes from: its file, line and bytes, its gateway, what the file says of itself, and when it came. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { get, type Schemas } from '../api.ts'
import { Notice } from '../parts.tsx'
import { texts } from '../texts.ts'
import { momentText } from './time.ts'
import { keyText, type SeriesKey } from './url.ts'

const t = texts.instruments.lineage
type Lineage = Schemas['Lineage']
type Place = Lineage['places'][number]

export interface LineagePanelProps {
  point: SeriesKey & { time: string }
  zone: string
  onClose(): void
}

export const LineagePanel = ({ point, zone, onClose }: LineagePanelProps) => {
  const { site, device, stream, time } = point
  const key = `${keyText(point)} ${time}`
  const [found, setFound] = useState<{ key: string; lineage?: Lineage; error?: string }>()
  const [attempt, setAttempt] = useState(0)
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    const abort = new AbortController()
    get('/v1/lineage', { site, device, stream, time }, abort.signal).then(
      lineage => setFound({ key, lineage }),
      (cause: Error) => !abort.signal.aborted && setFound({ key, error: cause.message }),
    )
    // Not where the address alone asks for it: the page has just been opened.
    if (document.activeElement !== document.body) heading.current?.focus({ preventScroll: true })
    heading.current?.scrollIntoView({ block: 'nearest' })
    return () => abort.abort()
  }, [key, attempt])
  const shown = found?.key === key ? found : undefined
  return (
    <section class="panel lineage" aria-label={t.title}>
      <div class="lineage-head">
        <h2 ref={heading} tabIndex={-1}>
          {t.title}
        </h2>
        <button type="button" class="icon" onClick={onClose} aria-label={t.close}>
          ✕
        </button>
      </div>
      <p class="quiet">
        {device} · {stream} · {momentText(time, zone)} ({zone})
      </p>
      {shown === undefined && <span class="skeleton tall" />}
      {shown?.error !== undefined && (
        <Notice title={t.failed} onRetry={() => setAttempt(n => n + 1)}>
          {shown.error}
        </Notice>
      )}
      {shown?.lineage && <Found lineage={shown.lineage} zone={zone} />}
    </section>
  )
}

const Found = ({ lineage, zone }: { lineage: Lineage; zone: string }) => {
  const { places, note, stored, more } = lineage
  const [first, ...earlier] = places
  return (
    <>
      {note !== null && <p class="lineage-note">{note}</p>}
      {first && <PlaceText place={first} zone={zone} stored={stored} />}
      {earlier.length > 0 && (
        <details>
          <summary>{t.earlier(earlier.length)}</summary>
          {earlier.map(place => (
            <PlaceText key={place.journalSeq} place={place} zone={zone} />
          ))}
        </details>
      )}
      {more && <p class="quiet small">{t.more}</p>}
    </>
  )
}

const PlaceText = ({ place, zone, stored }: { place: Place; zone: string; stored?: boolean }) => {
  const { origin } = place
  const facts: [string, string | undefined][] = [
    [t.file, place.file ?? origin?.file],
    [t.line, lineText(place)],
    [t.bytes, bytesText(origin)],
    [t.generation, origin?.generation !== undefined && origin.generation > 1 ? String(origin.generation) : undefined],
    [t.format, origin?.format],
    [t.source, place.source ?? undefined],
    [t.gateway, place.gateway ?? undefined],
    [t.way, place.gone === null ? ((t.ways as { readonly [way: string]: string })[place.way] ?? place.way) : undefined],
    [t.topic, place.topic ?? undefined],
    [t.entry, place.gatewaySeq === null ? undefined : t.entryText(place.gatewaySeq, place.epoch ?? '')],
    [t.received, `${momentText(place.receivedAt, zone)} (${zone})`],
    [t.stored, t.storedText(place.journalSeq, stored)],
  ]
  const attributes = Object.entries(origin?.attributes ?? {})
  return (
    <>
      <dl class="facts">
        {facts.map(([name, value]) =>
          value === undefined ? null : (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
        )}
      </dl>
      {attributes.length > 0 && (
        <details open={attributes.length <= 8}>
          <summary>{t.attributes(attributes.length)}</summary>
          <dl class="facts">
            {attributes.map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        </details>
      )}
    </>
  )
}

const lineText = ({ line, origin, row, rows }: Place): string | undefined => {
  if (line !== null) return String(line)
  const { firstLine, lastLine } = origin ?? {}
  if (firstLine === undefined || lastLine === undefined) return undefined
  if (firstLine === lastLine) return String(firstLine)
  return t.lines(firstLine, lastLine, row ?? 0, rows ?? 0)
}
const bytesText = (origin: Place['origin']): string | undefined => {
  const { firstByte, lastByte } = origin ?? {}
  return firstByte === undefined || lastByte === undefined ? undefined : t.byteRange(firstByte, lastByte)
}
