/** Sites, their devices and streams, with the newest value of each and how old it is. */

import { Link } from '../router.tsx'
import { texts } from '../texts.ts'
import { drawable, hasCurves, isImage } from './columns.ts'
import { ageText } from './time.ts'
import { keyText, type SeriesChoice, seriesMax, type View, viewUrl } from './url.ts'
import type { Catalog, Site, Stream } from './use-catalog.ts'
import { valueText } from './value.ts'

const t = texts.instruments
/** Of one site; the others are found by their names. */
const leavesMax = 200

export interface TreeProps {
  catalog: Catalog
  view: View
  nowMs: number
  onView(next: Partial<View>): void
}

export const Tree = ({ catalog, view, nowMs, onView }: TreeProps) => {
  const words = view.search.toLowerCase().split(/\s+/).filter(Boolean)
  const matches = (site: Site, s: Stream): boolean => {
    const all = [
      site.id,
      site.name,
      s.device,
      nameOf(catalog, s),
      s.stream,
      ...s.columns.map(c => `${c.name} ${c.unit ?? ''}`),
    ]
    const text = all.join(' ').toLowerCase()
    return words.every(word => text.includes(word))
  }
  // Labs and plants first: stores have a view of their own.
  const sites = [...catalog.sites].sort((a, b) => Number(a.kind === 'store') - Number(b.kind === 'store'))
  const listed = sites
    .map(site => ({ site, streams: catalog.streams.filter(s => s.site === site.id && matches(site, s)) }))
    .filter(({ streams }) => streams.length > 0)
  return (
    <aside class="tree" aria-label={t.tree}>
      <input
        type="search"
        value={view.search}
        placeholder={t.search}
        aria-label={t.search}
        onInput={event => onView({ search: event.currentTarget.value })}
      />
      {listed.length === 0 && <p class="quiet small">{t.nothingFound}</p>}
      {listed.map(({ site, streams }) => (
        <details
          key={site.id}
          open={
            words.length > 0 || site.kind !== 'store' || sites.length < 3 || view.series.some(s => s.site === site.id)
          }
        >
          <summary>
            <strong>{site.name}</strong> <span class="quiet small">{t.streams(streams.length)}</span>
          </summary>
          <ul>
            {streams.slice(0, leavesMax).map(stream => (
              <Leaf key={keyText(stream)} {...{ catalog, view, nowMs, onView, stream }} />
            ))}
          </ul>
          {streams.length > leavesMax && <p class="quiet small">{t.moreStreams(streams.length - leavesMax)}</p>}
        </details>
      ))}
    </aside>
  )
}

const nameOf = (catalog: Catalog, { site, device }: Stream): string =>
  catalog.deviceNames.get(`${site}\n${device}`) ?? device

const Leaf = ({ catalog, view, nowMs, onView, stream }: TreeProps & { stream: Stream }) => {
  const key = keyText(stream)
  const latest = catalog.latest.get(key)
  const chosen = view.series.findIndex(s => keyText(s) === key)
  const choice: SeriesChoice = { site: stream.site, device: stream.device, stream: stream.stream, columns: undefined }
  const alone: View = { ...view, series: [choice], from: undefined, to: undefined, point: undefined, curve: undefined }
  const isFull = chosen < 0 && view.series.length >= seriesMax
  const name = nameOf(catalog, stream)
  return (
    <li class={chosen >= 0 ? 'leaf on' : 'leaf'}>
      <Link to={viewUrl(alone)} aria-current={chosen >= 0 ? 'page' : undefined}>
        <span class="leaf-name">
          {name} <span class="quiet">{stream.stream}</span>
        </span>
        <span class="leaf-value">{newestText(stream, latest?.values)}</span>
        <span class="quiet small leaf-age">{ageText(latest?.time ?? stream.last, nowMs)}</span>
      </Link>
      <label class="beside" title={t.beside}>
        <input
          type="checkbox"
          checked={chosen >= 0}
          disabled={isFull}
          aria-label={t.besideOf(`${name} ${stream.stream}`)}
          onChange={() =>
            onView({ series: chosen >= 0 ? view.series.filter((_, i) => i !== chosen) : [...view.series, choice] })
          }
        />
      </label>
    </li>
  )
}

/** The first value of the newest row that says something. */
const newestText = (stream: Stream, values: Record<string, unknown> | undefined): string => {
  if (hasCurves(stream)) return isImage(stream) ? t.images : t.curve
  for (const { name, unit } of drawable(stream)) {
    const value = values?.[name]
    if (value !== null && value !== undefined) return valueText(value, unit)
  }
  return typeof values?.status === 'string' ? values.status : ''
}
