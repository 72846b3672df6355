/** Payloads in `fixtures/sparkplug` were encoded by Eclipse Tahu's own library (npm sparkplug-payload 1.0.3). */
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { type Frame, formatNs, rowNs } from '@penstock/frame'
import { type Log, openLog } from '@penstock/log'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { decodeEntry } from '../src/entry.ts'
import { createIngest, type Ingest } from '../src/ingest.ts'
import type { JournalEntry } from '../src/projector.ts'
import { decodeSparkplug, rebirthCommand } from '../src/sparkplug/payload.ts'
import { type MetricSchema, PayloadSchema } from '../src/sparkplug/payload_pb.ts'
import { createSparkplugSessions } from '../src/sparkplug/sessions.ts'
import { parseSparkplugTopic, type SparkplugTopic } from '../src/sparkplug/topic.ts'

const fixture = (name: string) => readFileSync(new URL(`fixtures/sparkplug/${name}.bin`, import.meta.url))
const arrival = Date.UTC(2026, 0, 2)
let dir: string
let journal: Log
let ingest: Ingest
const openIngest = () =>
  createIngest({ journal, now: () => new Date(arrival), queueBytesMax: 1 << 20, log: { warn() {}, error() {} } })
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'penstock-sparkplug-'))
  journal = await openLog(join(dir, 'journal'))
  ingest = openIngest()
})
afterEach(async () => {
  await journal.close()
  await rm(dir, { recursive: true, force: true })
})
const restart = async () => {
  await ingest.close()
  await journal.close()
  journal = await openLog(join(dir, 'journal'))
  ingest = openIngest()
}
const send = (topic: string, payload: Uint8Array) => {
  const parsed = parseSparkplugTopic(`spBv1.0/plant/${topic}`)
  if (!parsed) throw new Error(`${topic} is no topic`)
  return ingest.sparkplug({ ...parsed, site: 'Plant 1', stream: 'metrics' }, payload)
}
const entries = async (): Promise<JournalEntry[]> => {
  const all: JournalEntry[] = []
  const last = journal.stats().nextSeq - 1
  const stop = new AbortController()
  for await (const entry of journal.read(0, stop.signal)) {
    all.push(decodeEntry(entry.seq, entry.body))
    if (entry.seq === last) stop.abort()
  }
  return all
}
const rowsOf = (frames: readonly Frame[]) =>
  frames.flatMap(frame =>
    Array.from(frame.offsetsNs, (_, i) => {
      const values = frame.columns.flatMap(c => (c.values[i] === null ? [] : [[c.name, c.values[i]] as const]))
      return [
        `${frame.site}/${frame.device}/${frame.stream}`,
        formatNs(rowNs(frame, i)),
        Object.fromEntries(values),
      ] as const
    }),
  )
const lastRows = async () => rowsOf((await entries()).at(-1)?.frames ?? [])
const lastReasons = async () => (await entries()).at(-1)?.rejects.map(r => r.reason)

type MetricInit = MessageInitShape<typeof MetricSchema>
const payload = (seq: number, metrics: MetricInit[], timestamp = BigInt(arrival)) =>
  toBinary(PayloadSchema, create(PayloadSchema, { timestamp, seq: BigInt(seq), metrics }))
const float = (name: MetricInit, value: number): MetricInit => ({
  datatype: 9,
  value: { case: 'floatValue', value },
  ...name,
})
const bdSeq = (n: number): MetricInit => ({
  name: 'bdSeq',
  datatype: 4,
  value: { case: 'longValue', value: BigInt(n) },
})
const nbirth = (n: number, ...metrics: MetricInit[]) => payload(0, [bdSeq(n), ...metrics])
const ndeath = (n: number) => toBinary(PayloadSchema, create(PayloadSchema, { metrics: [bdSeq(n)] }))

describe('messages of another implementation', () => {
  test('a birth: every type of value, with units; what no column can hold is a reject', async () => {
    expect(await send('NBIRTH/edge', fixture('nbirth'))).toEqual({ rebirth: false })
    const [entry] = await entries()
    expect(rowsOf(entry?.frames ?? [])).toEqual([
      ['Plant 1/edge/status', '2026-01-01T00:00:00.000Z', { state: 'ONLINE' }],
      [
        'Plant 1/edge/metrics',
        '2026-01-01T00:00:00.000Z',
        {
          ...{ Temperature: 21.5, Int8: -8, Int16: -1600, Int32: -320_000, Int64: '-9007199254740993' },
          ...{ UInt8: 200, UInt16: 60_000, UInt32: 4_000_000_000, UInt64: '18446744073709551615' },
          ...{ Double: 0.1, Running: true, 'Line/Name': 'Zeile 1', Since: '2026-01-01T00:00:00.000Z' },
          ...{ Note: 'läuft', Id: '123e4567-e89b-12d3-a456-426614174000' },
        },
      ],
    ])
    const columns = entry?.frames[1]?.columns ?? []
    expect(columns.find(c => c.name === 'Temperature')?.unit).toBe('°C')
    expect(columns.find(c => c.name === 'Nothing')).toMatchObject({ type: 'float', values: [null] })
    expect(entry?.rejects.map(r => r.reason)).toEqual([
      'metric "Bytes" is of type Bytes, which is not stored as a column',
      'metric "Table" is of type DataSet, which is not stored as a column',
    ])
  })

  test('data by alias, a device, history, deaths', async () => {
    await send('NBIRTH/edge', fixture('nbirth'))
    expect(await send('NDATA/edge', fixture('ndata'))).toEqual({ rebirth: false })
    // The message's seq stands in the µs.
    expect(await lastRows()).toEqual([
      ['Plant 1/edge/metrics', '2026-01-01T00:00:01.000001Z', { Temperature: 22.5, Int32: -5 }],
    ])
    expect(await send('DBIRTH/edge/belt', fixture('dbirth'))).toEqual({ rebirth: false })
    expect(await send('DDATA/edge/belt', fixture('ddata-historical'))).toEqual({ rebirth: false })
    expect(await lastRows()).toEqual([
      ['Plant 1/edge/belt/metrics', '2025-12-31T23:00:00.000003Z', { Speed: 7.25 }],
      ['Plant 1/edge/belt/metrics', '2025-12-31T23:30:00.000003Z', { Speed: 8.25 }],
    ])
    expect(await send('DDEATH/edge/belt', fixture('ddeath'))).toEqual({ rebirth: false })
    expect(await lastRows()).toEqual([
      ['Plant 1/edge/belt/status', '2026-01-01T00:00:04.000004Z', { state: 'OFFLINE' }],
    ])
    expect(await send('NDEATH/edge', fixture('ndeath'))).toEqual({ rebirth: false })
    expect((await lastRows()).map(([series, , values]) => [series, values])).toEqual([
      ['Plant 1/edge/status', { state: 'OFFLINE' }],
    ])
  })
})

describe('the session of a node', () => {
  const named = float({ name: 'T', alias: 1n }, 1)
  const byAlias = (value: number) => float({ alias: 1n }, value)

  test('aliases are known after a restart, and reading the journal again needs nothing but the entry', async () => {
    await send('NBIRTH/n', nbirth(1, named))
    await send('DBIRTH/n/d', payload(1, [float({ name: 'S', alias: 2n }, 0)]))
    await restart()
    expect(await send('NDATA/n', payload(2, [byAlias(5)]))).toEqual({ rebirth: false })
    expect(await lastRows()).toMatchObject([['Plant 1/n/metrics', expect.anything(), { T: 5 }]])
    expect(await send('DDATA/n/d', payload(3, [{ alias: 2n, value: { case: 'floatValue', value: 6 } }]))).toEqual({
      rebirth: false,
    })
    expect(await lastRows()).toMatchObject([['Plant 1/n/d/metrics', expect.anything(), { S: 6 }]])
    await restart()
    const again = await entries()
    expect(again.flatMap(e => e.rejects)).toEqual([])
    expect(rowsOf(again.at(-1)?.frames ?? [])[0]?.[2]).toEqual({ S: 6 })
  })

  test('births and data of one burst share an append and are read in their order', async () => {
    const all = await Promise.all([
      send('NBIRTH/n', nbirth(1, named)),
      send('NDATA/n', payload(1, [byAlias(2)])),
      send('NBIRTH/n', nbirth(2, float({ name: 'Other', alias: 1n }, 3))),
      send('NDATA/n', payload(1, [byAlias(4)])),
    ])
    expect(all.map(a => a.rebirth)).toEqual([false, false, false, false])
    const rows = rowsOf((await entries()).flatMap(e => e.frames)).filter(([series]) => series.endsWith('metrics'))
    expect(rows.map(([, , values]) => values)).toEqual([{ T: 1 }, { T: 2 }, { Other: 3 }, { Other: 4 }])
  })

  test('a rebirth is wanted for a gap, data before a birth, an unknown alias, an unknown device', async () => {
    expect(await send('NDATA/n', payload(7, [byAlias(1)]))).toEqual({ rebirth: true })
    expect(await lastReasons()).toEqual(['metric 0 has the alias 1, which no birth has named'])
    await send('NBIRTH/n', nbirth(1, named))
    expect(await send('NDATA/n', payload(2, [byAlias(8)]))).toEqual({ rebirth: true })
    expect((await lastRows())[0]?.[2]).toEqual({ T: 8 })
    expect(await send('NDATA/n', payload(3, [float({ alias: 99n }, 1)]))).toEqual({ rebirth: true })
    expect(await lastReasons()).toEqual(['metric 0 has the alias 99, which no birth has named'])
    expect(await send('DDATA/n/d', payload(4, [float({ name: 'x' }, 1)]))).toEqual({ rebirth: true })
    expect((await lastRows())[0]?.[2]).toEqual({ x: 1 })
    expect(await send('NDATA/n', payload(5, [byAlias(1)]))).toEqual({ rebirth: false })
  })

  test('seq goes from 255 to 0', async () => {
    await send('NBIRTH/n', nbirth(1, named))
    for (let seq = 1; seq < 256; seq++) expect(await send('NDATA/n', payload(seq, []))).toEqual({ rebirth: false })
    expect(await send('NDATA/n', payload(0, []))).toEqual({ rebirth: false })
    expect(await send('NDATA/n', payload(2, []))).toEqual({ rebirth: true })
  })

  test('a death of an earlier session says nothing; one of this takes its devices along and ends its aliases', async () => {
    await send('NBIRTH/n', nbirth(4, named))
    await send('DBIRTH/n/d', payload(1, []))
    await send('NDEATH/n', ndeath(3))
    expect((await entries()).at(-1)).toMatchObject({ frames: [], rejects: [] })
    await send('NDEATH/n', ndeath(4))
    expect((await lastRows()).map(([series, , values]) => [series, values])).toEqual([
      ['Plant 1/n/status', { state: 'OFFLINE' }],
      ['Plant 1/n/d/status', { state: 'OFFLINE' }],
    ])
    expect(await send('NDATA/n', payload(2, [byAlias(1)]))).toEqual({ rebirth: true })
    expect(await lastReasons()).toHaveLength(1)
    expect(journal.stateKeys('sparkplug/metrics/')).toEqual([])
  })

  test('a failed append leaves no trace: what was read from it is not known', async () => {
    let fails = true
    const real = journal
    journal = {
      ...real,
      append: async (...args) => (fails ? Promise.reject(new Error('no space left')) : real.append(...args)),
    }
    ingest = openIngest()
    await expect(send('NBIRTH/n', nbirth(1, named))).rejects.toThrow('no space left')
    fails = false
    expect(await send('NDATA/n', payload(1, [byAlias(1)]))).toEqual({ rebirth: true })
    journal = real
  })

  test('what is remembered is bounded', () => {
    const sessions = createSparkplugSessions({
      state: () => undefined,
      stateKeys: () => [],
      tableBytesMax: 200,
      nodesMax: 3,
    })
    const step = (topic: SparkplugTopic, bytes: Uint8Array) => {
      const { commit, ...result } = sessions.step(topic, fromBinary(PayloadSchema, bytes), new Map())
      commit()
      return result
    }
    const birth = nbirth(
      1,
      ...Array.from({ length: 10 }, (_, i) => float({ name: `metric ${i}`, alias: BigInt(i) }, 1)),
    )
    for (let i = 0; i < 10; i++) step({ group: 'g', type: 'NBIRTH', node: `n${i}` }, birth)
    expect(sessions.stats().nodes).toBe(3)
    expect(sessions.stats().bytes).toBeLessThanOrEqual(200)
    expect(step({ group: 'g', type: 'NDATA', node: 'n0' }, payload(1, [byAlias(1)])).rebirth).toBe(true)
  })

  test('names and data types may come from the birth alone, by name too', async () => {
    await send('NBIRTH/n', nbirth(1, { name: 'i', datatype: 3, value: { case: 'intValue', value: 7 } }))
    await send('NDATA/n', payload(1, [{ name: 'i', value: { case: 'intValue', value: 0xffff_fffe } }]))
    expect((await lastRows())[0]?.[2]).toEqual({ i: -2 })
  })

  test('two messages of one millisecond do not replace each other; the same one twice makes the same rows', async () => {
    await send('NBIRTH/n', nbirth(1))
    const ms = BigInt(arrival)
    await send('NDATA/n', payload(1, [float({ name: 'a', timestamp: ms }, 1)]))
    await send('NDATA/n', payload(2, [float({ name: 'b', timestamp: ms }, 2), float({ name: 'b', timestamp: ms }, 3)]))
    await send('NDATA/n', payload(2, [float({ name: 'b', timestamp: ms }, 2), float({ name: 'b', timestamp: ms }, 3)]))
    const rows = rowsOf((await entries()).slice(1).flatMap(e => e.frames))
    expect(rows.map(([, time, values]) => [time.slice(20), values])).toEqual([
      ['000001Z', { a: 1 }],
      ['000002Z', { b: 2 }],
      ['000003Z', { b: 3 }],
      ['000002Z', { b: 2 }],
      ['000003Z', { b: 3 }],
    ])
  })
})

describe('payloads', () => {
  const decode = (bytes: Uint8Array) =>
    decodeSparkplug({ group: 'g', node: 'n', type: 'NDATA', site: 's', stream: 'metrics' }, bytes, 0n)

  test.each([
    ['bytes that are none', Buffer.from('{"no":"protobuf"}'), 'the message is no Sparkplug B payload'],
    [
      'a compressed one',
      toBinary(PayloadSchema, create(PayloadSchema, { uuid: 'SPBV1.0_COMPRESSED' })),
      'the payload is compressed: turn compression off at the edge node',
    ],
    [
      'text in a number',
      payload(1, [{ name: 'm', datatype: 10, value: { case: 'stringValue', value: 'x' } }]),
      'metric "m" is of type Double and holds stringValue',
    ],
    ['no value', payload(1, [{ name: 'm', datatype: 10 }]), 'metric "m" is of type Double and holds no value'],
    [
      'a time beyond all',
      payload(1, [float({ name: 'm', timestamp: 2n ** 63n }, 1)]),
      'metric "m" has the time 9223372036854775808 ms, which is beyond the year 2262',
    ],
    ['no name', payload(1, [{ value: { case: 'floatValue', value: 1 } }]), 'metric 0 has no name'],
  ])('%s: a reject that says why', (_, bytes, reason) => {
    expect(decode(bytes)).toMatchObject({ frames: [], rejects: [{ reason }] })
  })

  test('what is no number is a hole that says so', () => {
    const [frame] = decode(payload(1, [float({ name: 'm' }, Number.NaN)])).frames
    expect(frame?.columns).toMatchObject([{ name: 'm' }, { name: 'status', values: ['not-a-number'] }])
  })

  test('any bytes end in frames and rejects', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(fc.nat(605), fc.nat(255)).map(([i, b]) => Buffer.from(fixture('nbirth')).fill(b, i, i + 1)),
    )
    fc.assert(
      fc.property(bytes, b => {
        const { frames, rejects } = decode(b)
        for (const frame of frames) for (const c of frame.columns) expect(c.values).toHaveLength(frame.offsetsNs.length)
        expect(Array.isArray(rejects)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  test('the command that asks for a rebirth', () => {
    expect(fromBinary(PayloadSchema, rebirthCommand(arrival))).toMatchObject({
      timestamp: BigInt(arrival),
      metrics: [{ name: 'Node Control/Rebirth', datatype: 11, value: { case: 'booleanValue', value: true } }],
    })
  })
})
