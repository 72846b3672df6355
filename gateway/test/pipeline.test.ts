import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeEnvelope, type Frame, LIMITS, type Reject, rowNs } from '@penstock/frame'
import { openLog } from '@penstock/log'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { encodeBatch, runSource } from '../src/pipeline.ts'
import type { Batch, Cursor, Source } from '../src/source.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'penstock-pipeline-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const frameOf = (from: number, n: number, text?: string): Frame => ({
  site: 's',
  device: 'd',
  stream: 'x',
  startNs: 0n,
  offsetsNs: Float64Array.from({ length: n }, (_, i) => from + i),
  columns: [
    { name: 'v', type: 'float', values: Float64Array.from({ length: n }, (_, i) => from + i) },
    ...(text === undefined ? [] : [{ name: 't', type: 'text' as const, values: new Array<string>(n).fill(text) }]),
  ],
})
const rowsOf = (bodies: Uint8Array[]) =>
  bodies.flatMap(b => decodeEnvelope(b).frames).flatMap(f => Array.from(f.offsetsNs, (_, i) => Number(rowNs(f, i))))
const count = (n: number) => Array.from({ length: n }, (_, i) => i)

describe('encodeBatch', () => {
  test('nothing makes no entry', () => {
    expect(encodeBatch({ frames: [], rejects: [], ledger: [] })).toEqual([])
  })

  test('a batch is one envelope', () => {
    const bodies = encodeBatch({ frames: [frameOf(0, 10), frameOf(10, 10)], rejects: [], ledger: [] })
    expect(bodies).toHaveLength(1)
    expect(rowsOf(bodies)).toEqual(count(20))
  })

  test('what breaks a limit of the wire is cut, in order and whole', () => {
    const reject: Reject = { origin: { source: 's' }, reason: 'r', text: 't' }
    const rejects = count(LIMITS.rejectsPerEnvelopeMax + 7).map(i => ({ ...reject, text: String(i) }))
    const ledger = [
      { source: 's', file: 'f', generation: 1, rowsRead: 1, rowsStored: 1, rowsRejected: 0, bytes: 1, complete: true },
    ]
    const frames = count(LIMITS.framesPerEnvelopeMax + 3).map(i => frameOf(i, 1))
    const bodies = encodeBatch({ frames, rejects, ledger })
    expect(bodies.length).toBeGreaterThan(1)
    expect(rowsOf(bodies)).toEqual(count(frames.length))
    expect(bodies.flatMap(b => decodeEnvelope(b).rejects.map(r => r.text))).toEqual(rejects.map(r => r.text))
    const ledgers = bodies.map(b => decodeEnvelope(b).ledger.length)
    expect(ledgers.indexOf(1)).toBe(bodies.length - 1)
  })

  test('a frame whose body would be too large is cut between rows', () => {
    // Random text does not compress: 200 rows of 60,000 characters are 12 MB.
    const text = count(60_000)
      .map(() => String.fromCharCode(33 + Math.floor(Math.random() * 90)))
      .join('')
    const frame = frameOf(0, 200)
    frame.columns.push({ name: 't', type: 'text', values: count(200).map(i => text.slice(i) + text.slice(0, i)) })
    const bodies = encodeBatch({ frames: [frame], rejects: [], ledger: [] })
    expect(bodies.length).toBeGreaterThan(1)
    for (const body of bodies) expect(body.length).toBeLessThanOrEqual(LIMITS.envelopeBytesMax)
    expect(rowsOf(bodies)).toEqual(count(200))
  })
})

/** Yields rows from its cursor on, ten a batch, and fails where it is told to. */
const createCounter = (total: number, failAt: () => boolean): Source => ({
  id: 'counter',
  kind: 'test',
  health: () => ({ health: 'ok' }),
  async *batches(resume: Cursor) {
    for (let from = Number(resume.next ?? 0); from < total; from += 10) {
      if (failAt()) throw new Error('the disk failed')
      yield { frames: [frameOf(from, 10)], rejects: [], ledger: [], cursor: { next: from + 10 } }
    }
  },
})

test('a source that fails is started again from its last durable cursor: each row once', async () => {
  const spool = await openLog(join(dir, 'spool'))
  let calls = 0
  const failures: unknown[] = []
  const batches: Batch[] = []
  const source = createCounter(100, () => ++calls % 4 === 0)
  await runSource(
    {
      source,
      spool,
      retryMsMax: 1,
      onBatch: (_, b) => void batches.push(b),
      onFailure: (_, e) => void failures.push(e),
    },
    AbortSignal.timeout(20_000),
  )
  expect(failures.length).toBeGreaterThan(1)
  expect(batches).toHaveLength(10)
  const bodies: Uint8Array[] = []
  const stop = new AbortController()
  for await (const entry of spool.read(0, stop.signal)) {
    bodies.push(Buffer.from(entry.body))
    if (entry.seq === spool.stats().nextSeq - 1) stop.abort()
  }
  expect(rowsOf(bodies)).toEqual(count(100))
  expect(spool.state('source/counter/next')).toBe(100)
  await spool.close()
})
