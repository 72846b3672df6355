/** The newest rows of the range as a table. */
import { get, type Schemas } from '../api.ts'
import { Notice } from '../parts.tsx'
import { texts } from '../texts.ts'
import { unitBeside } from './columns.ts'
import { statusText } from './flags.tsx'
import { isoOf, momentText } from './time.ts'
import { keyText, type SeriesKey } from './url.ts'
import { useAnswer } from './use-answer.ts'
import type { Stream } from './use-catalog.ts'
import type { Range } from './use-rows.ts'
import { valueText } from './value.ts'

const t = texts.instruments
const rowsShown = 12
type Readings = Schemas['Readings']

export interface TableProps {
  stream: Stream
  zone: string
  range: Range
  onPick(series: SeriesKey, time: string): void
}

export const NewestTable = ({ stream, zone, range, onPick }: TableProps) => {
  const { site, device, stream: name } = stream
  // A table without curves: they stand above.
  const columns = stream.columns.filter(c => c.type !== 'vector').map(c => c.name)
  const asked = columns.length > 0 ? columns : stream.columns.slice(0, 1).map(c => c.name)
  const { fromNs, toNs, kind } = range
  const {
    value: found,
    error,
    retry,
  } = useAnswer<Readings>({
    ...{ of: keyText(stream), kind, range: `${fromNs} ${toNs}` },
    ask: signal => {
      const query = { from: isoOf(fromNs), to: isoOf(toNs), order: 'desc', limit: rowsShown, curvePoints: 2 } as const
      return get('/v1/readings', { site, device, stream: name, columns: asked.join(','), ...query }, signal)
    },
  })
  if (error !== undefined && !found) {
    return (
      <Notice title={t.tableFailed} onRetry={retry}>
        {error}
      </Notice>
    )
  }
  if (!found) return <span class="skeleton tall" />
  const shown = found.columns.filter(c => c.type !== 'vector' && c.name !== 'status')
  const statuses = found.columns.find(c => c.name === 'status')?.values as (string | null)[] | undefined
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a wide table is scrolled with the keyboard
    <section class="table" tabIndex={0} aria-label={t.newest}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t.timeIn(zone)}</th>
            {shown.map(({ name, unit }) => (
              <th key={name} scope="col">
                {name}
                {unitBeside(name, unit) === '' ? '' : ` (${unit})`}
              </th>
            ))}
            <th scope="col">{t.status}</th>
          </tr>
        </thead>
        <tbody>
          {found.time.map((time, i) => (
            <tr key={time} class={statuses?.[i] ? 'flagged' : ''}>
              <th scope="row">
                <button
                  type="button"
                  class="plain"
                  onClick={() => onPick(stream, time)}
                  aria-label={t.askOf(momentText(time, zone))}
                >
                  {momentText(time, zone)}
                </button>
              </th>
              {shown.map(({ name, values }) => (
                <td key={name}>{valueText(values[i])}</td>
              ))}
              <td>
                {statuses?.[i] ? (
                  <span class="tag failed" title={statusText(statuses[i] ?? '')}>
                    {statuses[i]}
                  </span>
                ) : (
                  <span class="quiet">ok</span>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
