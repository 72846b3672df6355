/** Rows of counts that keep themselves up to date: patched at once by what an event says, then read again where they changed. */
import { useEffect, useState } from 'preact/hooks'
import { type CountQuery, type CountRow, getCounts } from '../api.ts'
import type { CountEvent, LiveLine } from '../live.ts'

export interface Counts {
  /** `undefined` until they were read once. */
  rows: CountRow[] | undefined
  error: string | undefined
  retry(): void
}

/** Changed rows are read again at most this often. */
const rereadMsMin = 1000
const dayMs = 86_400_000

const keyOf = (row: { store: string; start: string }): string => `${row.store} ${Date.parse(row.start)}`

export const useCounts = (query: CountQuery, live: LiveLine): Counts => {
  const { store, sensor, resolution, from, to } = query
  const key = JSON.stringify(query)
  const [rows, setRows] = useState<{ key: string; rows: CountRow[] }>()
  const [error, setError] = useState<string>()
  const [attempt, setAttempt] = useState(0)

  useEffect(() => {
    const abort = new AbortController()
    const asked = query
    const read = async (): Promise<void> => {
      try {
        const all = await getCounts(asked, abort.signal)
        setRows({ key, rows: all })
        setError(undefined)
      } catch (cause) {
        if (!abort.signal.aborted) setError((cause as Error).message)
      }
    }
    let changedFrom: string | undefined
    let timer: number | undefined
    let readMs = 0
    const reread = async (): Promise<void> => {
      timer = undefined
      readMs = Date.now()
      const since = changedFrom
      changedFrom = undefined
      if (since === undefined) return
      try {
        const fresh = await getCounts({ ...asked, from: since }, abort.signal)
        setRows(had => (had && had.key === key ? { key, rows: merge(had.rows, fresh) } : had))
        setError(undefined)
      } catch {
        // The line to the service is gone, which the page shows; when it is back, all is read again.
        if (!abort.signal.aborted) later(since)
      }
    }
    const later = (since: string): void => {
      if (changedFrom === undefined || Date.parse(since) < Date.parse(changedFrom)) changedFrom = since
      timer ??= window.setTimeout(() => void reread(), Math.max(150, readMs + rereadMsMin - Date.now()))
    }
    const changed = (event: CountEvent): void => {
      if (event.stream !== 'count' || (store !== undefined && event.store !== store)) return
      if (to !== undefined && Date.parse(event.from) > Date.parse(to) + 2 * dayMs) return
      // An event has the figures of whole stores only.
      if (sensor === undefined) {
        setRows(had => (had && had.key === key ? { key, rows: patch(had.rows, event, resolution) } : had))
      }
      later(Date.parse(event.from) < Date.parse(from) ? from : event.from)
    }
    void read()
    const offCount = live.onCount(changed)
    const offReset = live.onReset(() => void read())
    return () => {
      abort.abort()
      clearTimeout(timer)
      offCount()
      offReset()
    }
  }, [key, attempt])

  return {
    rows: rows?.key === key ? rows.rows : undefined,
    error,
    retry() {
      setError(undefined)
      setAttempt(n => n + 1)
    },
  }
}

/** Counts that the event itself brings; the rest of the row follows when it is read again. */
const patch = (rows: CountRow[], event: CountEvent, resolution: string): CountRow[] => {
  const changes = new Map(
    event.rows
      .filter(change => change.resolution === resolution && change.column === 'count')
      .map(change => [keyOf({ store: event.store, start: change.start }), change]),
  )
  if (changes.size === 0) return rows
  return rows.map(row => {
    const change = changes.get(keyOf(row))
    if (!change || change.revision <= row.revision) return row
    return { ...row, count: change.count ?? row.count, failed: change.failed, revision: change.revision }
  })
}

const merge = (rows: CountRow[], fresh: CountRow[]): CountRow[] => {
  const byKey = new Map(rows.map(row => [keyOf(row), row]))
  for (const row of fresh) {
    const had = byKey.get(keyOf(row))
    if (!had || row.revision >= had.revision) byKey.set(keyOf(row), row)
  }
  return [...byKey.values()].sort((a, b) => Date.parse(a.start) - Date.parse(b.start))
}
