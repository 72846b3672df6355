import { readFile } from 'node:fs/promises'
import { type FileBytes, formatSchema } from '@penstock/formats'
import { describe, expect, it } from 'vitest'
import { readSample, type SampleRequest, sourceId } from '../src/sample.ts'
import { localIso } from '../src/sample-collector.ts'

const bytesOf = (text: string): FileBytes => {
  const bytes = new TextEncoder().encode(text)
  return { size: bytes.length, read: async (from, to) => bytes.slice(from, to) }
}
const requestOf = (text: string, more: Partial<SampleRequest> = {}): SampleRequest => ({
  name: 'gauge_20260301.csv',
  file: bytesOf(text),
  ...{ site: 'lab', device: 'tpg', stream: 'pressure', zone: 'Europe/Madrid' },
  ...{ rowsMax: 2, rejectsMax: 2, nowMs: Date.UTC(2026, 2, 2) },
  ...more,
})
const csv = formatSchema.parse({
  kind: 'csv',
  time: { column: 'Time', layout: 'YYYY-MM-DD HH:mm:ss' },
  columns: { p: { type: 'float', unit: 'mbar', status: { '-1': 'failed' } }, valve: 'text' },
})
const table = (rows: number) =>
  `Time,p,valve\n${Array.from({ length: rows }, (_, i) => `2026-03-01 12:00:${String(i % 60).padStart(2, '0')},${i === 1 ? -1 : i},${i === 0 ? '' : 'open'}`).join('\n')}\n`

describe('a sample read by a format', () => {
  it('gives the first rows as they would be stored, with units, status and both times', async () => {
    const report = await readSample(requestOf(table(3), { format: csv }))
    expect(report).toMatchObject({ proposals: [], rowsRead: 3, rowsRejected: 0, rejects: [] })
    expect(report.yaml).toBeUndefined()
    expect(report.streams).toEqual([
      {
        ...{ site: 'lab', device: 'tpg', stream: 'pressure', zone: 'Europe/Madrid', rows: 3 },
        columns: [
          { name: 'p', unit: 'mbar', type: 'float' },
          { name: 'valve', type: 'text' },
        ],
        first: [
          {
            time: '2026-03-01T11:00:00.000Z',
            local: '2026-03-01T12:00:00.000+01:00',
            values: [0, null],
            status: null,
          },
          {
            time: '2026-03-01T11:00:01.000Z',
            local: '2026-03-01T12:00:01.000+01:00',
            values: [null, 'open'],
            status: 'failed',
          },
        ],
        firstTime: '2026-03-01T11:00:00.000Z',
        lastTime: '2026-03-01T11:00:02.000Z',
      },
    ])
  })

  it('counts all rejects and keeps the first ones', async () => {
    const text = table(2) + 'no time,1,x\n'.repeat(5)
    const report = await readSample(requestOf(text, { format: csv }))
    expect(report).toMatchObject({ rowsRead: 7, rowsRejected: 5, bytesRead: text.length, bytes: text.length })
    expect(report.rejects.map(({ origin }) => [origin.file, origin.firstLine])).toEqual([
      ['gauge_20260301.csv', 4],
      ['gauge_20260301.csv', 5],
    ])
  })

  it('reads a last line without an end, unless the file may grow', async () => {
    const text = table(3).trimEnd()
    expect(await readSample(requestOf(text, { format: csv }))).toMatchObject({ rowsRead: 3 })
    expect(await readSample(requestOf(text, { format: csv, last: false }))).toMatchObject({ rowsRead: 2 })
  })

  it('stops behind its limit of bytes, and rejects no line for being cut there', async () => {
    const text = table(50_000)
    const report = await readSample(requestOf(text, { format: csv, readBytesMax: 100_000 }))
    expect(report.rowsRejected).toBe(0)
    expect(report.bytesRead).toBeLessThanOrEqual(100_000)
    expect(report.bytesRead).toBeGreaterThan(99_900)
    const all = await readSample(requestOf(text, { format: csv }))
    expect(all).toMatchObject({ rowsRead: 50_000, rowsRejected: 0, bytesRead: text.length })
  })

  it('tells how far it is, and ends when it is told to', async () => {
    const seen: number[] = []
    const stop = new AbortController()
    const reading = readSample(
      requestOf(table(50_000), {
        format: csv,
        signal: stop.signal,
        onProgress: read => {
          seen.push(read)
          if (seen.length === 2) stop.abort()
        },
      }),
    )
    await expect(reading).rejects.toThrow(/abort/i)
    expect(seen).toHaveLength(2)
  })

  it('gives the same rows to who gathers several files', async () => {
    const taken: number[] = []
    const also = {
      take: ({ rowsRead = 0 }: { rowsRead?: number }) => void taken.push(rowsRead),
      result: () => ({ streams: [], rejects: [], rowsRead: 0, rowsRejected: 0 }),
    }
    await readSample(requestOf(table(4), { format: csv, also }))
    expect(taken.reduce((sum, n) => sum + n, 0)).toBe(4)
  })
})

describe('a sample that is sniffed', () => {
  it('brings the source that reads it, which reads the same', async () => {
    const report = await readSample(requestOf(table(3), { folder: 'C:/runs' }))
    expect(report.source).toMatchObject({ id: 'gauge', kind: 'tail', folder: 'C:/runs', zone: 'Europe/Madrid' })
    expect(report.yaml).toMatch(/^sources:\n {2}- id: gauge\n/)
    expect(report.rowsRead).toBe(3)
    const again = await readSample(requestOf(table(3), { format: formatSchema.parse(report.source?.format) }))
    expect(again.streams.map(({ first }) => first)).toEqual(report.streams.map(({ first }) => first))
  })

  it('says of a zone that it is assumed, unless a person named it', async () => {
    const assumed = await readSample(requestOf(table(3)))
    expect(assumed.remarks?.filter(({ path }) => path[0] === 'zone')).toHaveLength(1)
    const given = await readSample(requestOf(table(3), { zone: 'Asia/Tokyo', zoneIsGiven: true }))
    expect(given.source?.zone).toBe('Asia/Tokyo')
    expect(given.remarks?.filter(({ path }) => path[0] === 'zone')).toEqual([])
  })

  it('says of a growing file that its last line has no end', async () => {
    const report = await readSample(requestOf(table(3).trimEnd()))
    expect(report.remarks?.some(({ text }) => text.includes('finishMs'))).toBe(true)
    expect((await readSample(requestOf(table(3)))).remarks?.some(({ text }) => text.includes('finishMs'))).toBe(false)
  })

  it('is read when it rests, where rows wait for what a later part of the file may say of them', async () => {
    const folder = new URL('../../packages/formats/test/fixtures/tdms/', import.meta.url)
    const read = async (name: string) => {
      const bytes = await readFile(new URL(name, folder))
      const file: FileBytes = { size: bytes.length, read: async (from, to) => new Uint8Array(bytes.subarray(from, to)) }
      return (await readSample({ ...requestOf(''), name, file })).source
    }
    expect(await read('not-scaled.tdms')).toMatchObject({ kind: 'tail', finishMs: '10 min' })
    expect(await read('bench-groups.tdms')).not.toHaveProperty('finishMs')
  })

  it('says why nothing fits', async () => {
    const report = await readSample(requestOf(''))
    expect(report).toMatchObject({ proposals: [], streams: [], rowsRead: 0 })
    expect(report.reason).toBe('the file is empty')
    expect(report.source).toBeUndefined()
  })
})

it('an id holds what the name says beside dates and counters', () => {
  expect(sourceId('gauge_20260301_00017.csv')).toBe('gauge')
  expect(sourceId('/data/Zähler Süd 2026-03-01.TXT')).toBe('zähler-süd')
  expect(sourceId('000039.csv')).toBe('files')
})

it('a local time carries the offset that holds then', () => {
  const at = (iso: string) => BigInt(Date.parse(iso)) * 1_000_000n
  expect(localIso(at('2026-07-01T10:00:00Z') + 5n, 'Europe/Madrid')).toBe('2026-07-01T12:00:00.000000005+02:00')
  expect(localIso(at('2026-01-01T10:00:00Z'), 'America/St_Johns')).toBe('2026-01-01T06:30:00.000-03:30')
})
