import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { emptyEnvelope, encodeEnvelope } from '@penstock/frame'
import { type Log, openLog } from '@penstock/log'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { encodeEntry } from '../src/entry.ts'
import { createDecodedCache, createProjection, type Projection, type ProjectionOptions } from '../src/projection.ts'
import type { JournalEntry, Projector } from '../src/projector.ts'

const quiet = { info() {}, warn() {}, error() {} }
let dir: string
let journal: Log
const closers: (() => Promise<unknown>)[] = []
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'penstock-projection-'))
  journal = await openLog(join(dir, 'journal'), { segmentBytesMax: 4096, segmentBytesMin: 4096 })
})
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
  await journal.close()
  await rm(dir, { recursive: true, force: true })
})

const body = (n: number) =>
  encodeEntry(
    { kind: 'envelope', at: n, gateway: 'g', epoch: 'e', seq: n },
    encodeEnvelope({ ...emptyEnvelope(), rejects: [{ origin: { source: 's' }, reason: 'r', text: `entry ${n}` }] }),
  )
const append = async (n: number, from = 1) => {
  for (let i = from; i < from + n; i++) await journal.append([body(i)])
}
const textOf = (entry: JournalEntry) => entry.rejects[0]?.text ?? entry.loss?.reason ?? ''

/** Applies to an array; what is applied and the cursor survive, as in a store. */
const createStore = (name: string, fail: (batch: readonly JournalEntry[]) => boolean = () => false) => {
  const applied: string[] = []
  const batches: number[] = []
  let cursor = 0
  const projector: Projector = {
    name,
    cursor: async () => cursor,
    async apply(entries) {
      if (fail(entries)) throw new Error(`${name} is full`)
      batches.push(entries.length)
      for (const entry of entries) applied.push(textOf(entry))
      cursor = entries.at(-1)?.seq ?? cursor
    },
  }
  return { projector, applied, batches }
}
const start = (projector: Projector, more: Partial<ProjectionOptions> = {}): Projection => {
  const projection = createProjection({
    journal,
    projector,
    cache: createDecodedCache({ valuesMax: 1000 }),
    batchValuesMax: 100_000,
    batchEntriesMax: 10,
    retryMsMax: 20,
    log: quiet,
    ...more,
  })
  const stop = new AbortController()
  const running = projection.run(stop.signal)
  closers.push(() => {
    stop.abort()
    return running
  })
  return projection
}
const names = (n: number) => Array.from({ length: n }, (_, i) => `entry ${i + 1}`)
const limit = () => AbortSignal.timeout(10_000)

describe('a projection', () => {
  test('applies what is there and what comes, in order, in bounded batches', async () => {
    await append(35)
    const store = createStore('a')
    const projection = start(store.projector)
    await append(5, 36)
    await projection.reached(40, limit())
    expect(store.applied).toEqual(names(40))
    expect(Math.max(...store.batches)).toBeLessThanOrEqual(10)
    expect(projection.stats()).toEqual({ name: 'a', applied: 40, last: 40 })
  })

  test('goes on from its cursor when applying fails, and says so meanwhile', async () => {
    await append(40)
    let failures = 5
    const store = createStore('a', batch => batch.some(e => e.seq === 17) && failures-- > 0)
    const seen: unknown[] = []
    const projection = start(store.projector, { onFailure: error => void seen.push(error) })
    await vi.waitFor(() => expect(projection.stats().problem).toBe('a is full'), { interval: 1 })
    await projection.reached(40, limit())
    expect(store.applied).toEqual(names(40))
    expect(seen).toHaveLength(5)
    expect(projection.stats().problem).toBeUndefined()
  })

  test('one that is behind another gets nothing that the other has not applied', async () => {
    const first = createStore('first')
    let held = true
    const slow: Projector = {
      ...first.projector,
      async apply(entries) {
        await vi.waitFor(() => expect(held).toBe(false), { timeout: 10_000 })
        await first.projector.apply(entries)
      },
    }
    const ahead = start(slow)
    const second = createStore('second', () => first.applied.length <= second.applied.length)
    const behind = start(second.projector, { behind: ahead })
    await append(30)
    expect(second.applied).toEqual([])
    held = false
    await behind.reached(30, limit())
    expect(second.applied).toEqual(names(30))
  })

  test('a lost range of the journal is an entry with its loss', async () => {
    await append(300)
    await journal.trim(100)
    const { oldestSeq } = journal.stats()
    expect(oldestSeq).toBeGreaterThan(1)
    const store = createStore('a')
    const projection = start(store.projector)
    await projection.reached(300, limit())
    expect(store.applied[0]).toMatch(/^journal: /)
    expect(store.applied.slice(1)).toEqual(names(300).slice(oldestSeq - 1))
  })

  test('takes from the cache what ingest has decoded', async () => {
    const cache = createDecodedCache({ valuesMax: 1000 })
    const decoded: JournalEntry = {
      seq: 1,
      receivedMs: 0,
      frames: [],
      ledger: [],
      rejects: [{ origin: { source: 's' }, reason: '', text: 'cached' }],
    }
    cache.put(decoded)
    await append(2)
    const store = createStore('a')
    await start(store.projector, { cache }).reached(2, limit())
    expect(store.applied).toEqual(['cached', 'entry 2'])
  })
})

test('the cache forgets the oldest beyond its limit', () => {
  const cache = createDecodedCache({ valuesMax: 100 })
  const entry = (seq: number): JournalEntry => ({ seq, receivedMs: 0, frames: [], rejects: [], ledger: [] })
  for (let seq = 1; seq <= 20; seq++) cache.put(entry(seq))
  expect(cache.get(20)).toBeDefined()
  expect(cache.get(1)).toBeUndefined()
})
