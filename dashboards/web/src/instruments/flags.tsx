/** Rows that are not ok: how many, of which kind, and where. */
import { get, type Schemas } from '../api.ts'
import { texts } from '../texts.ts'
import type { RowsQuery } from './rows.ts'
import { isoOf, momentText } from './time.ts'
import type { SeriesKey } from './url.ts'

export interface Flags extends SeriesKey {
  flags: Schemas['Flag'][]
  /** Rows before this one were not looked at. */
  lookedFrom: string | null
}

export const getFlags = async (query: RowsQuery, signal: AbortSignal): Promise<Flags> => {
  const { site, device, stream, fromNs, toNs } = query
  const range = { from: isoOf(fromNs), to: isoOf(toNs), slices: 300 }
  const { flags, lookedFrom } = await get('/v1/flags', { site, device, stream, ...range }, signal)
  return { site, device, stream, flags, lookedFrom }
}

const t = texts.instruments
export const statusText = (status: string): string =>
  (t.statuses as { readonly [status: string]: string })[status] ?? t.statusOther

/** One line a kind: what it means, how many rows, and a way to the first of them. */
export const FlagList = ({
  all,
  zone,
  onShow,
}: {
  all: readonly Flags[]
  zone: string
  onShow(from: string, to: string): void
}) => {
  const byStatus = new Map<string, { rows: number; from: string; to: string }>()
  for (const { status, rows, from, to } of all.flatMap(f => f.flags)) {
    const had = byStatus.get(status) ?? { rows: 0, from, to }
    const [first = from, last = to] = [[had.from, from].sort()[0], [had.to, to].sort()[1]]
    byStatus.set(status, { rows: had.rows + rows, from: first, to: last })
  }
  const lookedFrom = all.find(f => f.lookedFrom !== null)?.lookedFrom
  if (byStatus.size === 0) return null
  return (
    <ul class="flags" aria-label={t.flagged}>
      {[...byStatus].map(([status, { rows, from, to }]) => (
        <li key={status}>
          <span class="tag failed">{status}</span> <span>{t.rows(rows)}</span>
          <span class="quiet">{statusText(status)}</span>
          <button type="button" class="plain" onClick={() => onShow(from, to)} aria-label={t.showFlags(status)}>
            {t.show}
          </button>
        </li>
      ))}
      {lookedFrom && <li class="quiet">{t.lookedFrom(momentText(lookedFrom, zone))}</li>}
    </ul>
  )
}
