/** What each file has amounted to: "run_042.csv: 18,204 read, 18,201 stored, 3 rejected, complete". */
import { useEffect, useState } from 'preact/hooks'
import { get } from '../api.ts'
import { bytesText, numberText } from '../format.ts'
import type { LiveLine } from '../live.ts'
import { Notice } from '../parts.tsx'
import { Link } from '../router.tsx'
import { texts } from '../texts.ts'
import { useAsked } from '../use-asked.ts'
import { type GatewaysView, gatewaysUrl } from './url.ts'

const t = texts.gateways
const pageRows = 25
const typedMs = 250

export interface LedgerProps {
  view: GatewaysView
  live: LiveLine
  onView(next: Partial<GatewaysView>): void
}

export const Ledger = ({ view, live, onView }: LedgerProps) => {
  const { gateway, search, page } = view
  const asked = useAsked(
    JSON.stringify(['ledger', gateway, search, page]),
    signal =>
      get(
        '/v1/ledger',
        { limit: pageRows, ...(gateway && { gateway }), ...(search && { search }), ...(page && { page }) },
        signal,
      ),
    { on: again => [live.onLedger(again), live.onReset(again)] },
  )
  const found = asked.value
  return (
    <section class="panel ledger" aria-labelledby="ledger-title">
      <div class="bar">
        <div>
          <h2 id="ledger-title">{t.ledger}</h2>
          <p class="quiet small">
            {found
              ? t.totals(
                  numberText(found.totals.files),
                  numberText(found.totals.rowsRead),
                  numberText(found.totals.rowsStored),
                  numberText(found.totals.rowsRejected),
                )
              : ' '}
          </p>
        </div>
        <Search value={search ?? ''} onSearch={text => onView({ search: text, page: undefined })} />
      </div>
      {asked.error !== undefined && !found && (
        <Notice title={t.ledgerFailed} onRetry={asked.retry}>
          {asked.error}
        </Notice>
      )}
      {!found && asked.error === undefined && <span class="skeleton tall" />}
      {found?.lines.length === 0 && <p class="quiet">{search === undefined ? t.noFiles : t.noSuchFile(search)}</p>}
      <ul class="ledger-lines">
        {found?.lines.map(line => (
          <li key={`${line.gateway} ${line.source} ${line.file} ${line.generation}`}>
            <strong>{line.file}</strong>
            {line.generation > 1 && <span class="quiet"> {t.generation(line.generation)}</span>}
            <span>
              {': '}
              {t.line(numberText(line.rowsRead), numberText(line.rowsStored))}
              {line.rowsRejected > 0 ? (
                <>
                  {', '}
                  <Link
                    to={`/quarantine?${new URLSearchParams({ ...(line.gateway && { gateway: line.gateway }), source: line.source, file: line.file })}`}
                  >
                    {t.rejectedRows(numberText(line.rowsRejected))}
                  </Link>
                </>
              ) : (
                `, ${t.rejectedRows('0')}`
              )}
              {', '}
              {line.complete ? t.complete : t.open}
            </span>
            <span class="quiet small">
              {[line.gateway, line.source, bytesText(line.bytes)].filter(text => text !== null).join(' · ')}
            </span>
          </li>
        ))}
      </ul>
      {(page !== undefined || found?.next) && (
        <div class="table-foot">
          {page === undefined ? <span /> : <Link to={gatewaysUrl({ ...view, page: undefined })}>{t.newest}</Link>}
          {found?.next ? <Link to={gatewaysUrl({ ...view, page: found.next })}>{t.older}</Link> : <span />}
        </div>
      )}
    </section>
  )
}

/** Asks when the reader has paused. */
const Search = ({ value, onSearch }: { value: string; onSearch(text: string | undefined): void }) => {
  const [text, setText] = useState(value)
  useEffect(() => {
    if (text === value) return
    const timer = window.setTimeout(() => onSearch(text === '' ? undefined : text), typedMs)
    return () => clearTimeout(timer)
  }, [text])
  return (
    <input
      type="search"
      aria-label={t.search}
      placeholder={t.search}
      value={text}
      onInput={event => setText(event.currentTarget.value)}
    />
  )
}
