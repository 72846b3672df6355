/** What is measured, with the newest row of each series: read once, then kept up by the line. */
import { useEffect, useState } from 'preact/hooks'
import { get, type Schemas } from '../api.ts'
import type { LiveLine } from '../live.ts'
import { nsOf } from './time.ts'
import { keyText } from './url.ts'

export type Site = Schemas['Site']
export type Stream = Schemas['Stream']
type Scalar = number | string | boolean | null
export interface Latest {
  time: string
  /** Without curves; `undefined` where no row has come since the service began. */
  values: Record<string, Scalar> | undefined
}
export interface Catalog {
  sites: Site[]
  streams: Stream[]
  deviceNames: Map<string, string>
  latest: Map<string, Latest>
}
export interface CatalogState {
  catalog: Catalog | undefined
  error: string | undefined
  retry(): void
}

/** Readings are shown at most this often. */
const showEveryMs = 250

/** Series whose newest row is asked for at the start, where none has come since the service began. */
const newestAsked = 24

/** The newest rows of series of which the line has not told yet: stores aside, which have a view of their own. */
const readNewest = async ({ sites, streams, latest }: Catalog, signal: AbortSignal): Promise<[string, Latest][]> => {
  const stores = new Set(sites.filter(site => site.kind === 'store').map(site => site.id))
  const unknown = streams.filter(s => !stores.has(s.site) && latest.get(keyText(s))?.values === undefined)
  const found: [string, Latest][] = []
  for (const { site, device, stream, columns } of unknown.slice(0, newestAsked)) {
    const asked = columns.filter(c => c.type !== 'vector').map(c => c.name)
    if (asked.length === 0) continue
    const query = { site, device, stream, columns: asked.join(','), order: 'desc', limit: 1 } as const
    const { time, columns: values } = await get('/v1/readings', query, signal)
    const row = Object.fromEntries(values.map(c => [c.name, (c.values[0] ?? null) as Scalar]))
    if (time[0] !== undefined) found.push([keyText({ site, device, stream }), { time: time[0], values: row }])
  }
  return found
}

const read = async (signal: AbortSignal): Promise<Catalog> => {
  const [{ sites }, { streams }, { devices }] = await Promise.all([
    get('/v1/sites', {}, signal),
    get('/v1/streams', {}, signal),
    get('/v1/devices', {}, signal),
  ])
  const latest = new Map<string, Latest>(streams.map(s => [keyText(s), { time: s.last, values: undefined }]))
  for (const { site, device, latest: rows } of devices) {
    for (const { stream, time, values } of rows) latest.set(keyText({ site, device, stream }), { time, values })
  }
  const deviceNames = new Map(devices.map(d => [`${d.site}\n${d.device}`, d.name]))
  return { sites, streams, deviceNames, latest }
}

export const useCatalog = (live: LiveLine): CatalogState => {
  const [catalog, setCatalog] = useState<Catalog>()
  const [error, setError] = useState<string>()
  const [attempt, setAttempt] = useState(0)
  useEffect(() => {
    const abort = new AbortController()
    const pending = new Map<string, Latest>()
    const known = new Set<string>()
    let timer: number | undefined
    const readAll = () =>
      read(abort.signal).then(
        found => {
          for (const key of found.latest.keys()) known.add(key)
          setCatalog(found)
          setError(undefined)
          // Only what is nice to have: where it fails, the values come with their next row.
          readNewest(found, abort.signal).then(take, () => {})
        },
        (cause: Error) => !abort.signal.aborted && setError(cause.message),
      )
    const take = (rows: readonly [string, Latest][]): void => {
      for (const [key, row] of rows) if (!pending.has(key)) pending.set(key, row)
      timer ??= window.setTimeout(show, showEveryMs)
    }
    const show = (): void => {
      timer = undefined
      const changes = [...pending]
      pending.clear()
      setCatalog(had => {
        if (!had) return had
        const latest = new Map(had.latest)
        for (const [key, value] of changes) {
          if ((nsOf(value.time) ?? 0n) >= (nsOf(latest.get(key)?.time ?? '') ?? 0n)) latest.set(key, value)
        }
        return { ...had, latest }
      })
      // A series that is new is to be listed with its columns.
      if (changes.some(([key]) => !known.has(key))) void readAll()
    }
    const offs = [
      live.onReading(({ site, device, stream, time, values }) => {
        pending.set(keyText({ site, device, stream }), { time, values })
        timer ??= window.setTimeout(show, showEveryMs)
      }),
      live.onReset(() => void readAll()),
    ]
    void readAll()
    return () => {
      abort.abort()
      clearTimeout(timer)
      for (const off of offs) off()
    }
  }, [live, attempt])
  return { catalog, error, retry: () => setAttempt(n => n + 1) }
}
