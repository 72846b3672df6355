/** Each source as a card: how it is in words, and the latest value of each of its streams. */
import { useState } from 'preact/hooks'
import type { SourcePart, StreamPart } from './api.ts'
import { healthText } from './attention.ts'
import type { Chosen } from './chart.tsx'
import { exactText, numberText, valueText, wholeText } from './format.ts'
import { Empty, Section } from './parts.tsx'
import { texts } from './texts.ts'
import { streamKey, type View, zoneOf } from './view.ts'

const streamsShown = 3
const streamsShownMax = 200
const columnsShown = 8

interface SourcesProps {
  view: View
  chosen: Chosen | undefined
  onChoose(chosen: Chosen): void
}
export const Sources = ({ view, chosen, onChoose }: SourcesProps) => (
  <Section id="sources" title={texts.sources}>
    {view.sources.length === 0 ? (
      <Empty>{texts.noSources}</Empty>
    ) : (
      <ul class="grid">
        {view.sources.map(source => (
          <li key={source.id}>
            <SourceCard {...{ view, source, chosen, onChoose }} />
          </li>
        ))}
      </ul>
    )}
  </Section>
)

const SourceCard = ({ view, source, chosen, onChoose }: SourcesProps & { source: SourcePart }) => {
  const [all, setAll] = useState(false)
  const streams = view.streams.filter(stream => stream.source === source.id)
  const hidden = streams.length - streamsShown
  const { folder } = source.options
  return (
    <article class={`panel source ${source.health}`} aria-labelledby={`source-${source.id}`}>
      <div class="source-head">
        <h3 id={`source-${source.id}`}>{source.id}</h3>
        <span class="quiet small">{source.kind}</span>
        <span class="spacer" />
        <span class={`tag health ${source.health}`}>{texts.health[source.health]}</span>
      </div>
      <p class="words">{healthText(source, view.nowMs)}</p>
      {typeof folder === 'string' && <p class="quiet small path">{folder}</p>}
      <p class="small numbers">
        <span>
          {texts.rows} <b>{wholeText(source.rows)}</b>
        </span>
        <span>{texts.perMinute(numberText(source.rowsPerMinute))}</span>
        <span class={source.rejects > 0 ? 'rejected' : ''}>
          {texts.rejects} <b>{wholeText(source.rejects)}</b>
        </span>
      </p>
      {streams.length === 0 ? (
        <p class="quiet small">{texts.noStreams}</p>
      ) : (
        streams
          .slice(0, all ? streamsShownMax : streamsShown)
          .map(stream => <StreamRows key={streamKey(stream)} {...{ view, stream, chosen, onChoose }} />)
      )}
      {hidden > 0 && (
        <button type="button" class="more" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? texts.fewerStreams : texts.moreStreams(hidden)}
        </button>
      )}
    </article>
  )
}

interface StreamRowsProps {
  view: View
  stream: StreamPart
  chosen: Chosen | undefined
  onChoose(chosen: Chosen): void
}
const StreamRows = ({ view, stream, chosen, onChoose }: StreamRowsProps) => {
  const key = streamKey(stream)
  const zone = zoneOf(view, stream.source)
  const hidden = stream.columns.length + stream.columnsLeftOut - columnsShown
  const title = `${stream.site} / ${stream.device} / ${stream.stream}`
  return (
    <div class="stream">
      <p class="small stream-head">
        <span>{title}</span>
        {stream.status !== null && <span class="tag failed">{stream.status}</span>}
      </p>
      <ul class="values">
        {stream.columns.slice(0, columnsShown).map(({ name, unit, value }) => (
          <li key={name}>
            <button
              type="button"
              class={chosen?.stream === key && chosen.column === name ? 'value on' : 'value'}
              aria-label={`${texts.showChart(`${name}, ${title}`)}: ${valueText(value)} ${unit ?? ''}`}
              onClick={() => onChoose({ stream: key, column: name })}
            >
              <span class="name">{name}</span>
              <span class="reading">
                <b>{valueText(value)}</b> {unit !== undefined && <span class="unit">{unit}</span>}
              </span>
            </button>
          </li>
        ))}
      </ul>
      <p class="quiet small">
        {texts.readingAt(exactText(stream.time, zone), zone)}
        {hidden > 0 && <> · {texts.moreColumns(hidden)}</>}
      </p>
    </div>
  )
}
