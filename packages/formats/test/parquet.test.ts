import fc from 'fast-check'
import type { Encoding } from 'hyparquet/src/types.js'
import { type ColumnSource, parquetWriteBuffer } from 'hyparquet-writer'
import { describe, expect, it } from 'vitest'
import { createParquet, formatSchema, type ParquetOptions, type Resume } from '../src/index.ts'
import { context, type Whole } from './decoder.contract.ts'
import { fileOf, type MakeSeek, pullAll } from './seek.contract.ts'

const make = (options: object, more = {}): MakeSeek => {
  const format = formatSchema.parse({ kind: 'parquet', ...options }) as ParquetOptions
  return (resume?: Resume) => createParquet(format, context(more), resume)
}
const write = (columnData: ColumnSource[], more = {}): Uint8Array =>
  new Uint8Array(parquetWriteBuffer({ columnData, ...more }))
const rowsOf = (whole: Whole) => Object.values(whole.series).flatMap(s => s.rows)
const reasons = (whole: Whole) => whole.rejects.map(r => (r as unknown[])[4])
const ms = (i: number) => BigInt(1_700_000_000_000 + i * 1000)

const ints: Encoding[] = ['PLAIN', 'DELTA_BINARY_PACKED', 'BYTE_STREAM_SPLIT']
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 4 })
const rowArbitrary = fc.record({
  f: optional(fc.double({ noNaN: true, noDefaultInfinity: true })),
  i: optional(fc.integer()),
  n: optional(fc.bigInt({ min: -(2n ** 53n) + 1n, max: 2n ** 53n - 1n })),
  b: optional(fc.boolean()),
  s: optional(fc.constantFrom('a', 'b', 'ä ö', '', 'x'.repeat(40), '温度')),
})

describe('parquet', () => {
  it('gives back what was written, in any encoding, row group and page size, from any checkpoint', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(rowArbitrary, { minLength: 1, maxLength: 60 }),
        fc.record({
          rowGroupSize: fc.integer({ min: 1, max: 40 }),
          pageSize: fc.integer({ min: 16, max: 400 }),
          codec: fc.constantFrom('SNAPPY' as const, 'UNCOMPRESSED' as const),
        }),
        fc.constantFrom(...ints),
        fc.constantFrom<Encoding>('PLAIN', 'DELTA_BYTE_ARRAY', 'DELTA_LENGTH_BYTE_ARRAY', 'RLE_DICTIONARY'),
        fc.integer({ min: 1, max: 4 }),
        async (rows, how, ofInts, ofTexts, stops) => {
          const columnData: ColumnSource[] = [
            { name: 't', data: rows.map((_, i) => ms(i)), type: 'INT64', nullable: false },
            { name: 'f', data: rows.map(r => r.f), type: 'DOUBLE', encoding: 'BYTE_STREAM_SPLIT' },
            { name: 'i', data: rows.map(r => r.i), type: 'INT32', encoding: ofInts },
            { name: 'n', data: rows.map(r => r.n), type: 'INT64', encoding: ofInts },
            { name: 'b', data: rows.map(r => r.b), type: 'BOOLEAN' },
            { name: 's', data: rows.map(r => r.s), type: 'STRING', encoding: ofTexts },
          ]
          const bytes = write(columnData, how)
          const maker = make({ time: { column: 't', layout: 'ms' } })
          const whole = await pullAll(maker, bytes)
          expect(rowsOf(whole)).toEqual(
            rows.map((r, i) => [
              ms(i) * 1_000_000n,
              r.f ?? null,
              r.i ?? null,
              r.n === undefined ? null : Number(r.n),
              r.b ?? null,
              r.s?.trim() || null,
              null,
            ]),
          )
          expect(await pullAll(maker, bytes, stops)).toEqual(whole)
        },
      ),
      { numRuns: 120 },
    )
  })

  it('never throws, whatever the bytes are, and counts every row once', async () => {
    const rows = Array.from({ length: 50 }, (_, i) => i)
    const valid = write(
      [
        { name: 't', data: rows.map(ms), type: 'INT64' },
        { name: 'v', data: rows.map(i => (i % 3 ? i * 0.5 : undefined)), type: 'DOUBLE' },
        { name: 's', data: rows.map(i => `s${i % 4}`), type: 'STRING' },
      ],
      { rowGroupSize: 20 },
    )
    const maker = make({ time: { column: 't', layout: 'ms' } })
    const flips = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(flips, fc.nat(valid.length), async (changes, length) => {
        const bytes = length % 3 === 0 ? valid.slice(0, length) : valid.slice()
        for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte
        const whole = await pullAll(maker, bytes)
        expect(await pullAll(maker, bytes, 1)).toEqual(whole)
      }),
      { numRuns: 400 },
    )
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async noise => {
        const bytes = new Uint8Array([...Buffer.from('PAR1'), ...noise, ...Buffer.from('PAR1')])
        expect((await pullAll(maker, bytes)).rowsRejected).toBe(1)
      }),
    )
  })

  it('rejects the rest of a row group behind a damaged page, and reads the next', async () => {
    const rows = Array.from({ length: 60 }, (_, i) => i)
    const columns: ColumnSource[] = [
      { name: 't', data: rows.map(ms), type: 'INT64', nullable: false, encoding: 'PLAIN' },
      { name: 'v', data: rows.map(i => i * 0.5), type: 'DOUBLE', nullable: false, encoding: 'PLAIN' },
    ]
    const bytes = write(columns, { rowGroupSize: 20, codec: 'UNCOMPRESSED', pageSize: 40, statistics: false })
    // The time of row 30, first of a page's values; the page header stands right before the first of its five.
    const at = Buffer.from(bytes).indexOf(Buffer.from(BigInt64Array.of(ms(30)).buffer))
    bytes.fill(0xff, at - 20, at)
    const whole = await pullAll(make({ time: { column: 't', layout: 'ms' } }), bytes)
    const lost = rowsOf(whole).length
    expect(
      rowsOf(whole)
        .slice(0, 20)
        .map(r => r[1]),
    ).toEqual(rows.slice(0, 20).map(i => i * 0.5))
    expect(
      rowsOf(whole)
        .slice(-20)
        .map(r => r[1]),
    ).toEqual(rows.slice(40).map(i => i * 0.5))
    expect(lost).toBeLessThan(60)
    expect(whole.rejects).toHaveLength(1)
    expect(whole.rowsRejected).toBe(60 - lost)
    expect(reasons(whole)[0]).toMatch(/^row group 2, rows \d+ to 40: the bytes cannot be read/)
  })

  it.each([
    ['', 'the file is no Parquet file: it has 0 bytes'],
    ['PK\x03\x04 some other file', 'the file is no Parquet file: it does not begin with PAR1'],
    ['PAR1 and no end of it yet', 'the Parquet file is not complete: it does not end with PAR1'],
    ['PARE0123456789PARE', 'the Parquet file is encrypted'],
    ['PAR1\xff\xff\xff\x7fPAR1', 'footer is longer than the file'],
  ])('says of %j what it is', async (text, why) => {
    const whole = await pullAll(make({}), new Uint8Array(Buffer.from(text, 'latin1')))
    expect(reasons(whole)[0]).toContain(why)
    expect(whole.rejects).toHaveLength(1)
  })

  it('holds no more of a file than pagesBytesMax allows, and says which limit a file exceeds', async () => {
    const count = 400_000
    const data = Float64Array.from({ length: count }, (_, i) => Math.sin(i))
    const columns = ['a', 'b', 'c', 'd'].map((name): ColumnSource => ({ name, data, type: 'DOUBLE', nullable: false }))
    const bytes = write(columns, { rowGroupSize: count, codec: 'UNCOMPRESSED' })
    const options = formatSchema.parse({ kind: 'parquet', pagesBytesMax: 16 * 1024 * 1024 }) as ParquetOptions
    let inFlight = 0
    const file = fileOf(bytes, (from, to) => {
      inFlight = Math.max(inFlight, to - from)
    })
    const decoder = createParquet(options, context({ frameRowsMax: 8192 }))
    let rows = 0
    for (let more = true; more; ) {
      const pulled = await decoder.pull(file, true, 0n)
      expect(pulled.rejects).toEqual([])
      // One pull is a few thousand rows, though the row group is the whole file.
      expect(pulled.rowsRead).toBeLessThanOrEqual(8192)
      rows += pulled.rowsRead
      more = pulled.more
    }
    expect(rows).toBe(count)
    // No access takes more than a page: the row group has 12.8 MB.
    expect(inFlight).toBeLessThan(2 * 1024 * 1024)

    const wide = Array.from({ length: 24 }, (_, i) => ({ ...(columns[0] as ColumnSource), name: `c${i}` }))
    const whole = await pullAll(
      make({ pagesBytesMax: 16 * 1024 * 1024 }, { frameRowsMax: 8192 }),
      write(wide, { rowGroupSize: count, codec: 'UNCOMPRESSED' }),
    )
    expect(whole.rowsRejected).toBe(count)
    expect(reasons(whole)[0]).toContain(
      'take more than 16777216 bytes at a time: name fewer columns, or raise pagesBytesMax',
    )
  })

  it('passes on what the disk throws', async () => {
    const bytes = write([{ name: 'v', data: [1, 2], type: 'DOUBLE' }])
    const broken = { size: bytes.length, read: () => Promise.reject(new Error('EIO')) }
    await expect(make({})().pull(broken, true, 0n)).rejects.toThrow('EIO')
  })

  it.each([
    [{ columns: { v: 'float', x: 'float' } }, 'the file has no column "x"; its columns are t, v, s, map.key_value.key'],
    [
      { columns: { m: { from: 'map.key_value.key', type: 'text' } } },
      'the column "map.key_value.key" is part of a map',
    ],
    [{}, 'is part of a map, which is not read; name the columns to read under columns'],
    [
      { columns: { list: { from: 'l', type: 'float' } } },
      'is a list of numbers: it is read with the type vector alone',
    ],
    [{ columns: { v: 'vector' } }, 'is no list of numbers'],
    [
      { time: { column: 't', layout: 's', start: '2024-01-01T00:00:00Z' }, columns: { v: 'float' } },
      'time.start belongs to a counter',
    ],
  ])('says why it cannot read with %j', async (options, why) => {
    const bytes = write(
      [
        { name: 't', data: [new Date(0)] },
        { name: 'v', data: [1] },
        { name: 's', data: ['x'] },
        { name: 'map', data: [{ a: 1 }] },
        { name: 'l', data: [[1, 2]] },
      ],
      {
        schema: [
          { name: 'root', num_children: 5 },
          { name: 't', type: 'INT64', converted_type: 'TIMESTAMP_MILLIS', repetition_type: 'OPTIONAL' },
          { name: 'v', type: 'DOUBLE', repetition_type: 'REQUIRED' },
          { name: 's', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
          { name: 'map', converted_type: 'MAP', repetition_type: 'OPTIONAL', num_children: 1 },
          { name: 'key_value', repetition_type: 'REPEATED', num_children: 2 },
          { name: 'key', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
          { name: 'value', type: 'DOUBLE', repetition_type: 'OPTIONAL' },
          { name: 'l', converted_type: 'LIST', repetition_type: 'OPTIONAL', num_children: 1 },
          { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
          { name: 'element', type: 'DOUBLE', repetition_type: 'OPTIONAL' },
        ],
      },
    )
    const whole = await pullAll(make(options), bytes)
    expect(reasons(whole)).toHaveLength(1)
    expect(reasons(whole)[0]).toContain(why)
  })
})
