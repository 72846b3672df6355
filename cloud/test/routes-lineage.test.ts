import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Envelope, emptyEnvelope, encodeEnvelope, type Frame, formatNs } from '@penstock/frame'
import { openLog } from '@penstock/log'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { decodeEntry, encodeEntry } from '../src/entry.ts'
import { createEntryReader } from '../src/journal-entry.ts'
import { openRecords } from '../src/projectors/records.ts'
import { createWorld, frameOf, problemOf, type World } from './app-world.ts'

const key = { site: 'bench', device: 'gauge', stream: 'pressure' }
const second = 1_000_000_000n
const startNs = 1_718_409_600n * second
const timeOf = (i: number): string => formatNs(startNs + BigInt(i) * second)

let dir: string
const closers: (() => Promise<unknown>)[] = []
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'penstock-lineage-'))
})
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
  await rm(dir, { recursive: true })
})

const frame = (first: number, values: number[], origin?: Frame['origin']): Frame => ({
  ...frameOf(key, startNs + BigInt(first) * second, Number(second), [
    { name: 'pa', type: 'float', unit: 'Pa', values: Float64Array.from(values) },
  ]),
  ...(origin && { origin }),
})

interface Lab {
  world: World
  journal: Awaited<ReturnType<typeof openLog>>
  records: Awaited<ReturnType<typeof openRecords>>
  add(frames: Frame[], at?: number): Promise<number>
  ask(i: number): Promise<{ stored: boolean; places: Place[]; note: string | null; more: boolean }>
}
interface Place {
  way: string
  gone: string | null
  line: number | null
  row: number | null
  file: string | null
  journalSeq: number
}
const openLab = async (): Promise<Lab> => {
  const journal = await openLog(join(dir, 'journal'), { segmentBytesMin: 4096, segmentBytesMax: 4096 })
  const records = await openRecords(join(dir, 'records.duckdb'))
  closers.push(
    () => journal.close(),
    () => records.close(),
  )
  const journalEntry = createEntryReader(journal)
  const journalStats = () => journal.stats()
  const world = createWorld({ deps: { records, journalEntry, journalStats } })
  return {
    ...{ world, journal, records },
    async add(frames, at = 5000) {
      const seq = journal.stats().nextSeq
      const envelope: Envelope = { ...emptyEnvelope(), frames }
      const head = { kind: 'envelope', at, gateway: 'lab-pc', epoch: 'e1', seq: seq + 100 } as const
      const body = encodeEntry(head, encodeEnvelope(envelope))
      await journal.append([body])
      await records.apply([decodeEntry(seq, body)])
      await world.historian.write(frames)
      return seq
    },
    async ask(i) {
      const { status, body } = await world.get(`/v1/lineage?site=bench&device=gauge&stream=pressure&time=${timeOf(i)}`)
      expect(status, JSON.stringify(body)).toBe(200)
      return body as Awaited<ReturnType<Lab['ask']>>
    },
  }
}
const origin = (file: string, firstLine: number, lines: number): Frame['origin'] => ({
  ...{ source: 'gauge-files', file, generation: 1, format: 'csv', attributes: { model: 'VGC-401' } },
  ...{ firstLine, lastLine: firstLine + lines - 1, firstByte: 40, lastByte: 90 },
})

describe('GET /v1/lineage', () => {
  it('says file, line, bytes, gateway, format, attributes and times of the very row', async () => {
    const lab = await openLab()
    await lab.add([frame(0, [1, 2], origin('a.csv', 3, 2)), frame(10, [5, 6, 7], origin('b.csv', 9, 3))], 61_000)
    const { stored, places, note, more } = await lab.ask(11)
    expect({ stored, note, more }).toEqual({ stored: true, note: null, more: false })
    expect(places).toEqual([
      {
        ...{ way: 'envelope', gone: null, gateway: 'lab-pc', epoch: 'e1', gatewaySeq: 101, topic: null },
        ...{ journalSeq: 1, receivedAt: '1970-01-01T00:01:01.000Z', source: 'gauge-files', file: 'b.csv' },
        ...{ line: 10, row: 2, rows: 3, origin: origin('b.csv', 9, 3) },
      },
    ])
  })

  it('lists a row that came again, latest first, and none of the frames that only span its time', async () => {
    const lab = await openLab()
    await lab.add([frame(0, [1, 2, 3], origin('a.csv', 1, 3))])
    await lab.add([frame(100, [1, 2], origin('other.csv', 1, 2))])
    await lab.add([{ ...frame(0, [8, 9]), offsetsNs: Float64Array.of(0, 5e9) }])
    await lab.add([frame(1, [22], origin('again.csv', 7, 1))])
    expect((await lab.ask(1)).places.map(p => [p.file, p.line, p.journalSeq])).toEqual([
      ['again.csv', 7, 4],
      ['a.csv', 2, 1],
    ])
    const { stored, places, note } = await lab.ask(3)
    expect({ stored, places, note }).toEqual({ stored: false, places: [], note: 'There is no row of this time.' })
  })

  it('says no line where rows and lines do not go one by one', async () => {
    const lab = await openLab()
    await lab.add([frame(0, [1, 2], origin('a.csv', 3, 5))])
    expect((await lab.ask(1)).places[0]?.line).toBeNull()
  })

  it('says what it still knows where the journal was trimmed', async () => {
    const lab = await openLab()
    const wide = Array.from({ length: 400 }, (_, i) => i * 1.37)
    for (let i = 0; i < 6; i++) await lab.add([frame(i * 1000, wide, origin(`f${i}.csv`, 1, 400))])
    await lab.journal.trim(3)
    const { oldestSeq } = lab.journal.stats()
    expect(oldestSeq).toBeGreaterThan(1)
    const { places, note, stored } = await lab.ask(7)
    expect(places).toMatchObject([{ way: 'gone', gone: 'trimmed', file: 'f0.csv', line: null, gateway: 'lab-pc' }])
    expect(note).toContain(`begins with entry ${oldestSeq}`)
    expect(stored).toBe(true)
    expect((await lab.ask(5003)).places[0]).toMatchObject({ file: 'f5.csv', line: 4 })
  })

  it('is the same after the index was built again, and after entries were applied twice', async () => {
    const lab = await openLab()
    const bodies: [number, Frame[]][] = [
      [1, [frame(0, [1, 2, 3], origin('a.csv', 1, 3))]],
      [2, [frame(1, [4], origin('b.csv', 1, 1))]],
    ]
    for (const [, frames] of bodies) await lab.add(frames)
    const query = { ...key, timeNs: startNs + second, limit: 10 }
    const before = await lab.records.framesAt(query)
    const again = await openRecords(join(dir, 'again.duckdb'))
    closers.push(() => again.close())
    const entries = bodies.map(([seq, frames]) => ({
      ...{ seq, receivedMs: 5000, gateway: 'lab-pc', epoch: 'e1', gatewaySeq: seq + 100, frames },
      ...{ rejects: [], ledger: [] },
    }))
    await again.apply(entries)
    await again.apply(entries)
    expect(await again.framesAt(query)).toEqual(before)
    expect(before).toHaveLength(2)
  })

  it('looks at no more entries than it may', async () => {
    const lab = await openLab()
    for (let i = 0; i < 30; i++) await lab.add([{ ...frame(0, [1, 2]), offsetsNs: Float64Array.of(0, 9e9) }])
    await lab.add([frame(5, [1])])
    expect(await lab.ask(5)).toMatchObject({ more: true, places: [{ journalSeq: 31 }] })
    expect((await lab.ask(0)).places).toHaveLength(8)
  })

  it('refuses a day, and a series that is not there', async () => {
    const lab = await openLab()
    await lab.add([frame(0, [1])])
    const ask = (query: string) => lab.world.get(`/v1/lineage?site=bench&device=gauge&${query}`)
    expect(problemOf(await ask('stream=pressure&time=2024-06-15')).status).toBe(400)
    expect(problemOf(await ask(`stream=presure&time=${timeOf(0)}`)).errors?.[0]?.suggestion).toBe('pressure')
  })
})

describe('GET /v1/flags', () => {
  it('joins rows that are not ok by slice and status', async () => {
    const { world } = await openLab()
    const status = Array.from({ length: 100 }, (_, i) => (i >= 10 && i < 13 ? 'failed' : i === 70 ? 'odd' : null))
    const values = new Float64Array(100)
    await world.historian.write([
      frameOf(key, startNs, 1e9, [
        { name: 'pa', type: 'float', values },
        { name: 'status', type: 'text', values: status },
      ]),
    ])
    const ask = async (query: string) =>
      (await world.get(`/v1/flags?site=bench&device=gauge&stream=pressure${query}`)).body
    expect(await ask('&slices=4')).toEqual({
      flags: [
        { status: 'failed', rows: 3, from: timeOf(10), to: timeOf(12) },
        { status: 'odd', rows: 1, from: timeOf(70), to: timeOf(70) },
      ],
      rows: 4,
      lookedFrom: null,
    })
    expect(await ask(`&from=${timeOf(12)}&to=${timeOf(60)}`)).toMatchObject({ rows: 1 })
  })
})
