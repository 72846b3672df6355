import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JournalEntry } from '../src/projector.ts'
import { createLive, type LiveEvent, type LiveOptions, type Subscription } from '../src/projectors/live.ts'
import { frameOf, hourRows } from './app-world.ts'

const open = (options: Partial<LiveOptions> = {}) => createLive({ run: 'r1', now: Date.now, coalesceMs: 1, ...options })
const key = { site: 'bench', device: 'gauge', stream: 'pressure' }

let seq = 0
const entryOf = (over: Partial<JournalEntry>): JournalEntry => ({
  ...{ seq: ++seq, receivedMs: 5, frames: [], rejects: [], ledger: [] },
  ...over,
})
const reading = (value: number, atNs = BigInt(value) * 1_000_000_000n, device = 'gauge') =>
  entryOf({ frames: [frameOf({ ...key, device }, atNs, 0, [{ name: 'pa', type: 'float', values: [value] }])] })

const take = async (subscription: Subscription | undefined, n: number): Promise<LiveEvent[]> => {
  const events: LiveEvent[] = []
  while (events.length < n) {
    const event = await subscription?.next()
    if (!event) break
    events.push(event)
  }
  return events
}
const dataOf = (event: LiveEvent | undefined) => JSON.parse(event?.data ?? 'null') as Record<string, unknown>

describe('the latest row of a series', () => {
  it('is the one with the greatest time, whatever the order of arrival', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 30 }), async times => {
        const live = open()
        for (const t of times) await live.apply([reading(t)])
        expect(live.latest().map(r => r.values.pa)).toEqual([Math.max(...times)])
        await live.close()
      }),
      { numRuns: 50 },
    )
  })

  it('is found within a frame whose rows are not in order, to the nanosecond', async () => {
    const live = open()
    const frame = {
      ...frameOf(key, 10n, 0, [{ name: 'pa', type: 'int' as const, values: [1, 2, 3] }]),
      offsetsNs: Float64Array.of(0, 1001, 1000),
    }
    await live.apply([entryOf({ frames: [frame] })])
    expect(live.latest()[0]).toMatchObject({ time: '1970-01-01T00:00:00.000001011Z', values: { pa: 2 } })
    await live.close()
  })

  it('leaves curves out, holes null and long texts short', async () => {
    const live = open()
    const columns = [
      { name: 'curve', type: 'vector' as const, values: [new Float64Array(1000)] },
      { name: 'hole', type: 'float' as const, values: Float64Array.of(Number.NaN) },
      { name: 'text', type: 'text' as const, values: ['x'.repeat(5000)] },
    ]
    await live.apply([entryOf({ frames: [{ ...key, startNs: 0n, offsetsNs: Float64Array.of(0), columns }] })])
    const values = live.latest()[0]?.values ?? {}
    expect(Object.keys(values)).toEqual(['hole', 'text'])
    expect(values.hole).toBeNull()
    expect(String(values.text)).toHaveLength(257)
    await live.close()
  })

  it('is held for a bounded number of series', async () => {
    const live = open({ seriesMax: 3 })
    for (let i = 0; i < 5; i++) await live.apply([reading(i, 1n, `d${i}`)])
    expect(live.latest().map(r => r.device)).toEqual(['d2', 'd3', 'd4'])
    expect(live.stats().seriesDropped).toBe(2)
    await live.close()
  })
})

describe('events', () => {
  it('join what changed in between', async () => {
    const live = open({ coalesceMs: 40 })
    const subscription = live.subscribe()
    await take(subscription, 1)
    for (let i = 1; i <= 100; i++) await live.apply([reading(i)])
    const [first] = await take(subscription, 1)
    expect(dataOf(first).values).toEqual({ pa: 100 })
    expect(live.stats().events).toBe(1)
    await live.close()
  })

  it('tell which rows of a store changed, and the range of all', async () => {
    const live = open()
    const subscription = live.subscribe()
    await take(subscription, 1)
    const hours = Array.from({ length: 100 }, (_, i) => ({
      date: `2024-07-0${1 + Math.floor(i / 20)}`,
      hour: i % 20,
      count: i,
    }))
    live.aggregates([
      ...hourRows('London', '', hours, 'Europe/London'),
      ...hourRows('London', '1', hours.slice(0, 2), 'Europe/London'),
      ...hourRows('Madrid', '', hours.slice(0, 1), 'Europe/Madrid'),
    ])
    const [london, madrid] = await take(subscription, 2)
    expect([london?.site, madrid?.site]).toEqual(['London', 'Madrid'])
    const data = dataOf(london)
    expect(data).toMatchObject({ store: 'London', stream: 'count', sensors: ['1'], more: true })
    expect([data.from, data.to]).toEqual(['2024-06-30T23:00:00.000Z', '2024-07-05T19:00:00.000Z'])
    expect((data.rows as unknown[]).length).toBeLessThan(100)
    expect((data.rows as unknown[])[3]).toMatchObject({
      resolution: 'hour',
      date: '2024-07-01',
      hour: 3,
      count: 3,
      revision: 1,
    })
    await live.close()
  })

  it('tell of gateways and of the ledger', async () => {
    const live = open()
    const subscription = live.subscribe()
    await take(subscription, 1)
    const status = {
      ...{ online: true, epoch: 'e', oldestSeq: 1, nextSeq: 4, spoolBytes: 1, version: '1', sources: [] },
      clock: '2024-08-01T12:00:00Z',
    }
    live.status('g', status, 7)
    expect((await take(subscription, 1))[0]).toMatchObject({ type: 'gateway' })
    const line = {
      source: 's',
      file: 'f',
      generation: 1,
      rowsRead: 1,
      rowsStored: 1,
      rowsRejected: 0,
      bytes: 1,
      complete: false,
    }
    await live.apply([
      entryOf({ gateway: 'g', epoch: 'e', gatewaySeq: 3, ledger: [line, { ...line, rowsRead: 2, rowsStored: 2 }] }),
    ])
    const [ledger] = await take(subscription, 1)
    expect(dataOf(ledger)).toEqual({ lines: [{ gateway: 'g', ...line, rowsRead: 2, rowsStored: 2 }], more: false })
    expect(live.gateways()).toMatchObject([{ gateway: 'g', receivedSeq: 3, receivedAtMs: 5 }])
    await live.close()
  })

  it('go only where they are wanted', async () => {
    const live = open()
    const london = live.subscribe({ site: 'London', types: new Set(['reading']) })
    await take(london, 1)
    const of = (site: string) =>
      entryOf({ frames: [{ ...frameOf({ ...key, site }, 1n, 0, [{ name: 'x', type: 'int', values: [1] }]) }] })
    await live.apply([of('Paris'), of('London')])
    expect(dataOf((await take(london, 1))[0]).site).toBe('London')
    await live.close()
    expect(await take(london, 1)).toEqual([])
  })
})

describe('resuming', () => {
  const published = async (n: number, options: Partial<LiveOptions> = {}) => {
    const live = open({ coalesceMs: 0, ...options })
    const subscription = live.subscribe()
    const events = await take(subscription, 1)
    for (let i = 1; i <= n; i++) {
      await live.apply([reading(i)])
      if (options.clientEventsMax === undefined) events.push(...(await take(subscription, 1)))
    }
    return { live, events }
  }
  const pressureOf = (event: LiveEvent) => (dataOf(event).values as { pa: number }).pa

  it('gives exactly what was missed, from any event on', async () => {
    const { live, events } = await published(10)
    expect(events.map(e => e.id)).toEqual(Array.from({ length: 11 }, (_, i) => `r1.${i}`))
    for (let had = 0; had <= 10; had++) {
      const id = events[had]?.id
      const missed = await take(live.subscribe(id === undefined ? {} : { after: id }), 10 - had)
      expect(missed.map(pressureOf)).toEqual(Array.from({ length: 10 - had }, (_, i) => had + 1 + i))
    }
    await live.close()
  })

  it.each(['r0.3', 'r1.99', 'nonsense', 'r1.-1', ''])(
    'says reset to the id "%s" of another run, or of none',
    async after => {
      const { live } = await published(3)
      const [event] = await take(live.subscribe({ after }), 1)
      expect([event?.type, event?.id]).toEqual(['reset', 'r1.3'])
      await live.close()
    },
  )

  it('says reset where the ring no longer holds what was missed', async () => {
    const { live, events } = await published(10, { ringEventsMax: 4 })
    const [tooOld] = await take(live.subscribe({ after: events[5]?.id ?? '' }), 1)
    expect(tooOld?.type).toBe('reset')
    expect((await take(live.subscribe({ after: events[6]?.id ?? '' }), 4)).map(pressureOf)).toEqual([7, 8, 9, 10])
    await live.close()
  })
})

describe('a client that does not take its events', () => {
  it.each([
    ['events', { clientEventsMax: 3 }],
    ['bytes', { clientBytesMax: 400 }],
  ])('is cut off at its limit of %s, told so, and loses nothing when it comes back', async (_what, limits) => {
    const live = open({ coalesceMs: 0, ...limits })
    const slow = live.subscribe()
    const watcher = live.subscribe()
    await take(watcher, 1)
    for (let i = 1; i <= 8; i++) {
      await live.apply([reading(i)])
      await take(watcher, 1)
    }
    expect(await take(slow, 5)).toMatchObject([{ type: 'cut' }])
    expect(live.stats()).toMatchObject({ clients: 1, clientsCut: 1 })
    // Eight events are more than it may have waiting: coming back, it is told to read everything again, not cut for ever.
    expect((await take(live.subscribe({ after: 'r1.0' }), 1))[0]?.type).toBe('reset')
    await live.close()
  })

  it('does not keep others from coming beyond the cap on clients', async () => {
    const live = open({ clientsMax: 2 })
    const first = live.subscribe()
    live.subscribe()
    expect(live.subscribe()).toBeUndefined()
    first?.close()
    expect(live.subscribe()).toBeDefined()
    await live.close()
    expect(live.subscribe()).toBeUndefined()
  })
})
