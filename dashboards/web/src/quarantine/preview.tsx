/** What would be stored, and what would still fail. */
import type { RejectPreview } from '../api.ts'
import type { Previewed } from './correct.tsx'
import { Bytes, countText, t } from './parts.tsx'

export const Preview = ({ preview, error, busy, isBadJson }: Previewed & { isBadJson: boolean }) => (
  <div class={busy ? 'preview busy' : 'preview'} aria-busy={busy}>
    <p role="status">
      {error !== undefined ? (
        <span class="warn">{error}</span>
      ) : isBadJson ? (
        t.badJson
      ) : preview ? (
        <>
          <strong>{t.previewSum(countText(preview.readable), countText(preview.examined))}</strong>{' '}
          {preview.matched > preview.examined && t.previewMore(countText(preview.matched - preview.examined))}
        </>
      ) : busy ? (
        t.previewWait
      ) : (
        <span class="quiet">{t.previewNone}</span>
      )}
    </p>
    {preview && preview.rows.length > 0 && <PreviewRows rows={preview.rows} />}
    {preview && preview.failing > 0 && (
      <details open={preview.readable === 0}>
        <summary>{t.stillFailing(countText(preview.failing))}</summary>
        <ul>
          {preview.failures.map(({ id, text, reason }) => (
            <li key={id}>
              <Bytes {...{ text, reason }} />
              <p class="quiet small">{reason}</p>
            </li>
          ))}
        </ul>
      </details>
    )}
  </div>
)

type Row = RejectPreview['rows'][number]
const columnsMax = 12

const PreviewRows = ({ rows }: { rows: readonly Row[] }) => {
  const columns = new Map<string, string | null>()
  for (const { values } of rows) for (const { name, unit } of values) columns.set(name, unit)
  const shown = [...columns].slice(0, columnsMax)
  const zones = new Set(rows.map(row => row.zone))
  const zone = zones.size === 1 ? rows[0]?.zone : null
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard
    <section class="table-scroll" tabIndex={0} aria-label={t.previewFirst}>
      <table>
        <caption class="small quiet">{t.previewFirst}</caption>
        <thead>
          <tr>
            <th scope="col">
              {t.previewTime} <span class="quiet">{zone ?? t.utc}</span>
            </th>
            <th scope="col">{t.previewSeries}</th>
            {shown.map(([name, unit]) => (
              <th scope="col" key={name}>
                {name} {unit !== null && <span class="quiet">{unit}</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={`${row.id} ${i}`}>
              <th scope="row">{localText(row.time, zone ?? 'UTC')}</th>
              <td>
                {row.site} / {row.device} / {row.stream}
              </td>
              {shown.map(([name]) => (
                <td key={name}>{valueText(row.values.find(v => v.name === name))}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

/** `2024-07-01 10:00:00`, with what stands below the second. */
const localText = (iso: string, zone: string): string => {
  const parts = new Intl.DateTimeFormat('en-GB', {
    ...{ year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit' },
    ...{ hourCycle: 'h23', timeZone: zone },
  }).formatToParts(new Date(iso))
  const part = (type: string) => parts.find(p => p.type === type)?.value ?? ''
  const fraction = /\.(\d*[1-9])0*Z$/.exec(iso)?.[1]
  const time = `${part('hour')}:${part('minute')}:${part('second')}${fraction === undefined ? '' : `.${fraction}`}`
  return `${part('year')}-${part('month')}-${part('day')} ${time}`
}

const numbers = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 15 })
const valueText = (value: Row['values'][number] | undefined): string => {
  if (!value) return ''
  if (value.length !== null) return t.curve(value.length)
  if (value.value === null) return '–'
  return typeof value.value === 'number' ? numbers.format(value.value) : String(value.value)
}
