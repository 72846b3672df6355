import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { UserError } from '@penstock/frame'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { JournalEntry } from '../src/projector.ts'
import { openRecords, type Records, RecordsDamagedError } from '../src/projectors/records.ts'
import { createWorld } from './app-world.ts'

let dir: string
let file: string
const opened: Records[] = []
const open = async (path = file): Promise<Records> => {
  const records = await openRecords(path)
  opened.push(records)
  return records
}
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'penstock-records-'))
  file = join(dir, 'records.duckdb')
})
afterEach(async () => {
  for (const records of opened.splice(0)) await records.close()
  await rm(dir, { recursive: true })
})

const entry = (seq: number, over: Partial<JournalEntry> = {}): JournalEntry => ({
  ...{ seq, receivedMs: 1000 + seq, gateway: 'g', epoch: 'e', gatewaySeq: seq, frames: [], rejects: [], ledger: [] },
  ...over,
})
const rejects = (n: number, source = 's') =>
  Array.from({ length: n }, (_, i) => ({
    origin: { source, file: 'a.csv', firstLine: i + 1, attributes: { model: 'x "y"' } },
    reason: `line ${i} is no row`,
    text: `bad\u0000\t'${i}" ; drop table rejects`,
    at: '2024-01-01T00:00:00Z',
  }))
const line = (rowsRead: number, over: object = {}) => ({
  ...{ source: 's', file: 'a.csv', generation: 1, rowsRead, rowsStored: rowsRead, rowsRejected: 0, bytes: 10 },
  ...{ complete: false, ...over },
})

describe('records', () => {
  it('keeps rejects whole, newest first, with their ids', async () => {
    const records = await open()
    await records.apply([entry(1, { rejects: rejects(2) }), entry(2, { rejects: rejects(1, 't') })])
    const all = await records.rejects({ limit: 10 })
    expect(all.map(r => r.id)).toEqual(['2.0', '1.1', '1.0'])
    const [first] = rejects(1)
    expect(all[2]).toEqual({
      id: '1.0',
      gateway: 'g',
      receivedMs: 1001,
      group: expect.any(String),
      state: 'open',
      ...first,
    })
    expect(await records.rejects({ source: 't', limit: 10 })).toHaveLength(1)
    expect(await records.rejects({ gateway: 'other', limit: 10 })).toHaveLength(0)
    expect((await records.rejects({ before: { seq: 1, index: 1 }, limit: 10 })).map(r => r.id)).toEqual(['1.0'])
  })

  it('keeps the latest ledger line of each file and sums them up', async () => {
    const records = await open()
    await records.apply([entry(1, { ledger: [line(1), line(2)] })])
    await records.apply([
      entry(2, {
        ledger: [line(5, { rowsStored: 3, rowsRejected: 2, complete: true, firstTime: '2024-01-01T00:00:00Z' })],
      }),
      entry(3, { ledger: [line(7, { generation: 2 })], gateway: 'h' }),
    ])
    const lines = await records.ledger({ offset: 0, limit: 10 })
    expect(lines.map(l => [l.gateway, l.generation, l.rowsRead, l.complete])).toEqual([
      ['h', 2, 7, false],
      ['g', 1, 5, true],
    ])
    expect(lines[1]?.firstTime).toBe('2024-01-01T00:00:00Z')
    expect(await records.ledgerTotals({})).toEqual({ files: 2, rowsRead: 12, rowsStored: 10, rowsRejected: 2 })
    expect(await records.ledgerTotals({ gateway: 'g' })).toEqual({
      files: 1,
      rowsRead: 5,
      rowsStored: 3,
      rowsRejected: 2,
    })
  })

  it('keeps lost ranges with their proof', async () => {
    const records = await open()
    await records.apply([entry(4, { loss: { from: 10, through: 19, reason: 'the spool was full' } })])
    expect(await records.losses({ offset: 0, limit: 1 })).toEqual([
      {
        gateway: 'g',
        epoch: 'e',
        from: 10,
        through: 19,
        reason: 'the spool was full',
        journalSeq: 4,
        receivedMs: 1004,
      },
    ])
    expect(await records.totals()).toEqual({ rejects: 0, ledgerLines: 0, losses: 1, lostEntries: 10 })
  })

  it('is the same after any splits, repetitions and restarts', async () => {
    const entryAt = (i: number) =>
      entry(i + 1, {
        rejects: rejects(i % 3),
        ledger: i % 2 === 0 ? [line(i, { file: `f${i % 4}` })] : [],
        ...(i % 5 === 4 && { loss: { from: i, through: i, reason: 'r' } }),
      })
    const entries = Array.from({ length: 20 }, (_, i) => entryAt(i))
    const dump = async (records: Records) => [
      await records.rejects({ limit: 1000 }),
      await records.ledger({ offset: 0, limit: 1000 }),
      await records.losses({ offset: 0, limit: 1000 }),
      await records.cursor(),
    ]
    const whole = await open(join(dir, 'whole.duckdb'))
    await whole.apply(entries)
    const expected = await dump(whole)
    let run = 0
    const step = fc.record({ back: fc.nat({ max: 5 }), ahead: fc.integer({ min: 1, max: 8 }), restart: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 4 }), async steps => {
        const path = join(dir, `run${run++}.duckdb`)
        let records = await openRecords(path)
        try {
          for (const { back, ahead, restart } of [...steps, { back: 0, ahead: 20, restart: true }]) {
            const from = Math.max(0, (await records.cursor()) - back)
            await records.apply(entries.slice(from, from + ahead + back))
            if (!restart) continue
            await records.close()
            records = await openRecords(path)
          }
          expect(await dump(records)).toEqual(expected)
        } finally {
          await records.close()
        }
      }),
      { numRuns: 8 },
    )
  })

  it('has rows and cursor together after a kill', async () => {
    const child = fork(new URL('fixtures/records-writer.ts', import.meta.url), [file], {
      execArgv: ['--conditions=@penstock/source', '--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    let acknowledged = 0
    child.on('message', message => {
      acknowledged = message as number
      if (acknowledged >= 25) child.kill('SIGKILL')
    })
    await once(child, 'exit')
    const records = await open()
    const cursor = await records.cursor()
    expect(cursor).toBeGreaterThanOrEqual(acknowledged)
    const { rejects: n } = await records.totals()
    expect(n).toBe(cursor * 3)
    expect((await records.ledger({ offset: 0, limit: 1 }))[0]?.rowsRead).toBe(cursor)
  })

  it('says that a damaged file is damaged, and what it is to do', async () => {
    await (await open()).apply([entry(1, { rejects: rejects(3) })])
    await opened.pop()?.close()
    const bytes = await readFile(file)
    await writeFile(file, bytes.fill(0xff, 0, 4096))
    await expect(openRecords(file)).rejects.toThrow(RecordsDamagedError)
    await expect(openRecords(file)).rejects.toThrow(/built again from the journal/)
  })

  it('does not read another layout', async () => {
    const db = await DuckDBInstance.create(file)
    const connection = await db.connect()
    await connection.run(
      'create table meta (layout integer not null, cursor bigint not null); insert into meta values (99, 5)',
    )
    connection.closeSync()
    db.closeSync()
    await expect(openRecords(file)).rejects.toThrow(/has layout 99, this program writes 3/)
  })

  it('does not take a file that another process holds for a damaged one', async () => {
    const child = fork(new URL('fixtures/records-writer.ts', import.meta.url), [file], {
      execArgv: ['--conditions=@penstock/source', '--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    try {
      await once(child, 'message')
      await expect(openRecords(file)).rejects.toThrow(UserError)
      await expect(openRecords(file)).rejects.toThrow(/in use by another process/)
    } finally {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  })
})

describe('GET /v1/rejects, /v1/ledger, /v1/losses', () => {
  it('page through all, each once', async () => {
    const records = await open()
    const entries = Array.from({ length: 10 }, (_, i) =>
      entry(i + 1, {
        rejects: rejects(3),
        ledger: [line(i, { file: `f${i}` })],
        loss: { from: i + 1, through: i + 1, reason: 'r' },
      }),
    )
    await records.apply(entries)
    const world = createWorld({ deps: { records } })
    for (const [path, key, total] of [
      ['/v1/rejects', 'rejects', 30],
      ['/v1/ledger', 'lines', 10],
      ['/v1/losses', 'losses', 10],
    ] as const) {
      const seen: unknown[] = []
      let page: string | null = ''
      for (let i = 0; i < 20 && page !== null; i++) {
        const answer = await world.get(`${path}?limit=4${page === '' ? '' : `&page=${page}`}`)
        expect(answer.status).toBe(200)
        const body = answer.body as Record<string, unknown[]> & { next: string | null }
        seen.push(...(body[key] ?? []))
        page = body.next
      }
      expect(seen, path).toHaveLength(total)
      expect(new Set(seen.map(row => JSON.stringify(row))).size).toBe(total)
    }
    const ledger = (await world.get('/v1/ledger?limit=1&source=s')).body
    expect(ledger).toMatchObject({
      totals: { files: 10, rowsRead: 45 },
      lines: [{ file: 'f9', receivedAt: '1970-01-01T00:00:01.010Z' }],
    })
  })
})
