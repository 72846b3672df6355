import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Envelope, emptyEnvelope, encodeEnvelope, formatNs, rowNs } from '@penstock/frame'
import { type Log, openLog } from '@penstock/log'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { decodeEntry } from '../src/entry.ts'
import { createIngest, type Ingest } from '../src/ingest.ts'
import type { JournalEntry } from '../src/projector.ts'

const quiet = { warn() {}, error() {} }
let dir: string
let journal: Log
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'penstock-ingest-'))
  journal = await openLog(join(dir, 'journal'))
})
afterEach(async () => {
  await journal.close()
  await rm(dir, { recursive: true, force: true })
})

const open = (log: Log = journal): Ingest =>
  createIngest({ journal: log, now: () => new Date(Date.UTC(2026, 0, 1)), queueBytesMax: 1 << 20, log: quiet })
const envelope = (n: number, more: Partial<Envelope> = {}) =>
  encodeEnvelope({
    ...emptyEnvelope(),
    frames: [
      {
        site: 's',
        device: 'd',
        stream: 'x',
        startNs: BigInt(n),
        offsetsNs: Float64Array.of(0),
        columns: [{ name: 'v', type: 'float', values: [n] }],
      },
    ],
    ...more,
  })
const entries = async (log: Log = journal): Promise<JournalEntry[]> => {
  const all: JournalEntry[] = []
  const last = log.stats().nextSeq - 1
  if (last === 0) return all
  const stop = new AbortController()
  for await (const entry of log.read(0, stop.signal)) {
    all.push(decodeEntry(entry.seq, entry.body))
    if (entry.seq === last) stop.abort()
  }
  return all
}

describe('sequence', () => {
  test('takes last + 1, receipts a smaller one again, asks for a resend of a larger one', async () => {
    const ingest = open()
    expect(await ingest.frames('g', 'e', 1, envelope(1))).toEqual({ epoch: 'e', through: 1 })
    expect(await ingest.frames('g', 'e', 1, envelope(1))).toEqual({ epoch: 'e', through: 1 })
    expect(await ingest.frames('g', 'e', 3, envelope(3))).toEqual({ epoch: 'e', through: 1, resend: true })
    expect(await ingest.frames('g', 'e', 2, envelope(2))).toEqual({ epoch: 'e', through: 2 })
    expect((await entries()).map(e => e.gatewaySeq)).toEqual([1, 2])
  })

  test('what comes in one burst is judged in its order and shares a sync', async () => {
    const ingest = open()
    const receipts = await Promise.all([1, 2, 2, 3, 5].map(n => ingest.frames('g', 'e', n, envelope(n))))
    expect(receipts.map(r => [r.through, r.resend])).toEqual([
      [1, undefined],
      [2, undefined],
      [2, undefined],
      [3, undefined],
      [3, true],
    ])
    expect(journal.stats().syncs).toBeLessThanOrEqual(2)
  })

  test('gateways and epochs count for themselves, also after a restart', async () => {
    const first = open()
    await first.frames('g', 'e', 1, envelope(1))
    await first.frames('h', 'e', 1, envelope(1))
    await journal.close()
    journal = await openLog(join(dir, 'journal'))
    const second = open()
    expect(second.receipt('g', 'e')).toEqual({ epoch: 'e', through: 1 })
    expect(second.receipt('g', 'other')).toEqual({ epoch: 'other', through: 0 })
    expect(await second.frames('h', 'e', 2, envelope(2))).toEqual({ epoch: 'e', through: 2 })
  })

  test('any order, loss and repetition of a go-back-N sender ends in each entry once, in order', async () => {
    let run = 0
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 60 }), async seqs => {
        const ingest = open()
        const gateway = `g${run++}`
        await Promise.all(seqs.map(n => ingest.frames(gateway, 'e', n, envelope(n))))
        let expected = 0
        for (const n of seqs) if (n === expected + 1) expected = n
        expect(ingest.receipt(gateway, 'e').through).toBe(expected)
        const got = (await entries()).filter(e => e.gateway === gateway).map(e => e.gatewaySeq)
        expect(got).toEqual(Array.from({ length: expected }, (_, i) => i + 1))
      }),
      { numRuns: 40 },
    )
  })

  test('a loss moves the watermark over its range and is journaled', async () => {
    const ingest = open()
    const loss = encodeEnvelope({ ...emptyEnvelope(), loss: { from: 1, through: 40, reason: 'spool full' } })
    expect(await ingest.frames('g', 'e', 1, loss)).toEqual({ epoch: 'e', through: 40 })
    expect(await ingest.frames('g', 'e', 41, envelope(41))).toEqual({ epoch: 'e', through: 41 })
    expect((await entries())[0]?.loss).toEqual({ from: 1, through: 40, reason: 'spool full' })
  })
})

describe('what breaks the contract', () => {
  test('an invalid envelope is journaled as a reject with its bytes, and its number is taken', async () => {
    const ingest = open()
    expect(await ingest.frames('g', 'e', 1, Buffer.from('{"v":1,"frames":[{}]}'))).toEqual({ epoch: 'e', through: 1 })
    const [entry] = await entries()
    expect(entry?.rejects[0]).toMatchObject({ text: '{"v":1,"frames":[{}]}', at: '2026-01-01T00:00:00.000Z' })
    expect(entry?.rejects[0]?.reason).toMatch(/^envelope: frames\[0\]\.site: /)
    expect(ingest.stats().invalid).toBe(1)
  })

  test('plain readings: one, many, without time, of several types; and what is none', async () => {
    const ingest = open()
    const target = { site: 's', device: 'd', stream: 'x' }
    const send = (value: unknown) => ingest.readings(target, Buffer.from(JSON.stringify(value)))
    await send({ time: '2026-03-01T12:00:00Z', values: { t: 21.4 } })
    await send([{ values: { t: 1 } }, { values: { t: 'error', on: true } }])
    await send([
      { time: '1999-01-01T00:00:00Z', values: { t: 1 } },
      { time: '2026-01-01T00:00:00Z', values: { t: 2 } },
    ])
    await send({ temperature: 3 })
    const [one, many, apart, none] = await entries()
    expect(one?.frames[0]).toMatchObject({ ...target, columns: [{ name: 't', type: 'float', values: [21.4] }] })
    const f = many?.frames[0]
    expect(f && [rowNs(f, 0), rowNs(f, 1)].map(formatNs)).toEqual([
      '2026-01-01T00:00:00.000001Z',
      '2026-01-01T00:00:00.000002Z',
    ])
    expect(f?.columns).toEqual([
      { name: 't', type: 'float', values: [1, null] },
      { name: 't.string', type: 'text', values: [null, 'error'] },
      { name: 'on', type: 'bool', values: [null, true] },
    ])
    expect(apart?.frames.map(x => formatNs(x.startNs))).toEqual([
      '1999-01-01T00:00:00.000Z',
      '2026-01-01T00:00:00.000Z',
    ])
    expect(none?.rejects[0]?.reason).toMatch(/not of the form/)
    expect(none?.rejects[0]?.text).toBe('{"temperature":3}')
  })

  test('any bytes of a journal entry decode to something', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), bytes => {
        expect(decodeEntry(1, bytes).rejects).toHaveLength(1)
      }),
    )
  })
})

test('a journal that fails acknowledges nothing and leaves no hole: the sender goes back', async () => {
  let failing = true
  const fragile: Log = {
    ...journal,
    append: (...args) => (failing ? Promise.reject(new Error('EIO')) : journal.append(...args)),
    state: key => journal.state(key),
  }
  const ingest = open(fragile)
  const outcomes = await Promise.allSettled([1, 2].map(n => ingest.frames('g', 'e', n, envelope(n))))
  expect(outcomes.map(o => o.status)).toEqual(['rejected', 'rejected'])
  failing = false
  expect(await ingest.frames('g', 'e', 3, envelope(3))).toEqual({ epoch: 'e', through: 0, resend: true })
  expect(await ingest.frames('g', 'e', 1, envelope(1))).toEqual({ epoch: 'e', through: 1 })
})

test('a full queue makes senders wait, and all of it gets through', async () => {
  const ingest = createIngest({ journal, now: () => new Date(), queueBytesMax: 500, log: quiet })
  const big = encodeEnvelope({
    ...emptyEnvelope(),
    rejects: [{ origin: { source: 's' }, reason: 'r', text: 'x'.repeat(300) }],
  })
  const receipts = await Promise.all(Array.from({ length: 50 }, (_, i) => ingest.frames(`g${i}`, 'e', 1, big)))
  expect(receipts.every(r => r.through === 1)).toBe(true)
  expect(ingest.stats().queuedBytes).toBe(0)
})
