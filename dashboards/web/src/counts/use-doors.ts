/** The doors of a store, and from when to when each has readings. */
import { useEffect, useState } from 'preact/hooks'
import { get, type Site } from '../api.ts'
import { localNow } from '../format.ts'
import type { LiveLine } from '../live.ts'

/** Local dates. */
export interface Extent {
  first: string
  last: string
}
export interface Door {
  id: string
  name: string
  /** undefined: nothing came of it yet. */
  extent: Extent | undefined
}
export interface Doors {
  doors: readonly Door[]
  /** Of all doors together. */
  extent: Extent | undefined
}

const rereadMsMin = 60_000
const collator = new Intl.Collator('en', { numeric: true })

/** `undefined` until they were read; without their extents where that fails. */
export const useDoors = (store: Site, live: LiveLine): Doors | undefined => {
  const [read, setRead] = useState<{ store: string; doors: Doors }>()
  useEffect(() => {
    const abort = new AbortController()
    let readMs = 0
    const ask = async (): Promise<void> => {
      readMs = Date.now()
      try {
        const { streams } = await get('/v1/streams', { site: store.id }, abort.signal)
        setRead({
          store: store.id,
          doors: doorsOf(
            store,
            streams.filter(s => s.stream === 'count'),
          ),
        })
      } catch {
        // What else the page reads says that the service is gone; its next word asks again.
        if (!abort.signal.aborted) setRead(had => had ?? { store: store.id, doors: doorsOf(store, []) })
      }
    }
    void ask()
    const offCount = live.onCount(event => {
      if (event.store === store.id && Date.now() - readMs > rereadMsMin) void ask()
    })
    const offReset = live.onReset(() => void ask())
    return () => {
      abort.abort()
      offCount()
      offReset()
    }
  }, [store])
  return read?.store === store.id ? read.doors : undefined
}

const doorsOf = (store: Site, series: readonly { device: string; first: string; last: string }[]): Doors => {
  const names = new Map(store.devices.map(({ id, name }) => [id, name]))
  const extents = new Map(
    series.map(s => [
      s.device,
      { first: localNow(store.zone, Date.parse(s.first)).date, last: localNow(store.zone, Date.parse(s.last)).date },
    ]),
  )
  const ids = [...new Set([...names.keys(), ...extents.keys()])].sort(collator.compare)
  return {
    doors: ids.map(id => ({ id, name: names.get(id) ?? id, extent: extents.get(id) })),
    extent: together([...extents.values()]),
  }
}

const together = (extents: readonly Extent[]): Extent | undefined => {
  const first = extents.map(extent => extent.first).sort()[0]
  const last = extents
    .map(extent => extent.last)
    .sort()
    .at(-1)
  return first === undefined || last === undefined ? undefined : { first, last }
}
