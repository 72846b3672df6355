/** What every historian keeps to, the negative cases first. Run by historian.test.ts on the oracle and on the lake. */
import { type Column, type Frame, parseIsoNs } from '@penstock/frame'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Aggregate, Bucket, BucketQuery, Historian, ReadQuery, TimeRange } from '../src/historian.ts'
import { HISTORIAN_NS_MAX, HISTORIAN_NS_MIN } from '../src/historian.ts'

export const ns = (iso: string): bigint => parseIsoNs(iso) as bigint
const start = ns('2024-07-01T10:00:00Z')
const key = { site: 'london', device: '1', stream: 'count' }
export const everything = { ...key, fromNs: -(2n ** 70n), toNs: 2n ** 70n }

export const frame = (offsets: number[], columns: Column[], extra: Partial<Frame> = {}): Frame => ({
  ...key,
  startNs: start,
  offsetsNs: Float64Array.from(offsets),
  columns,
  ...extra,
})
export const float = (name: string, values: (number | null)[]): Column => ({ name, type: 'float', values })
export const int = (name: string, values: (number | null)[]): Column => ({ name, type: 'int', values })
export const text = (name: string, values: (string | null)[]): Column => ({ name, type: 'text', values })

export const collect = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
/** Rows as plain values: time, then columns by name; NaN (a hole) as null. */
export const rowsOf = async (historian: Historian, query: Partial<ReadQuery> = {}) => {
  const rows: Record<string, unknown>[] = []
  for await (const f of historian.read({ ...everything, ...query })) {
    f.offsetsNs.forEach((offset, i) => {
      const row: Record<string, unknown> = { t: f.startNs + BigInt(offset) }
      for (const c of f.columns) {
        const v = c.values[i]
        row[c.name] = v instanceof Float64Array ? [...v] : Number.isNaN(v) ? null : v
        if (c.type === 'vector' && c.axis) row[`${c.name} axis`] = [...c.axis]
      }
      rows.push(row)
    })
  }
  return rows
}
export const bucketQuery = (spans: TimeRange[], device = key.device): BucketQuery => ({
  stream: key.stream,
  series: [{ site: key.site, device, spans }],
})
const valuesOf = async (historian: Historian, query: Partial<ReadQuery> = {}) =>
  (await rowsOf(historian, query)).map(row => row.v)

export const aggregate = (extra: Partial<Aggregate> = {}): Aggregate => ({
  ...key,
  level: 'sensor',
  resolution: 'hour',
  column: 'count',
  startNs: start,
  endNs: start + 3_600_000_000_000n,
  date: '2024-07-01',
  hour: 11,
  weekday: 0,
  n: 1,
  sum: 2,
  min: 2,
  max: 2,
  mean: 2,
  first: 2,
  last: 2,
  failed: 0,
  closed: 0,
  rows: 1,
  expected: null,
  had: null,
  revision: 1,
  computedAtMs: 1_720_000_000_000,
  ...extra,
})
const aggregatesOf = (historian: Historian, extra: object = {}) =>
  collect(historian.readAggregates({ level: 'sensor', resolution: 'hour', stream: 'count', column: 'count', ...extra }))

export interface Opened {
  historian: Historian
  /** Closes and opens it again; undefined where nothing survives. */
  reopen?: () => Promise<Historian>
  close(): Promise<void>
}

/** `curves: false`: a historian that keeps numbers of curves and not the curves. */
export const historianContract = (name: string, open: () => Promise<Opened>, { curves = true } = {}): void => {
  describe(`the ${name} historian`, () => {
    let opened: Opened
    let historian: Historian
    beforeEach(async () => {
      opened = await open()
      historian = opened.historian
    })
    afterEach(() => opened.close())

    describe('is not harmed', () => {
      it('by the same frames again', async () => {
        const frames = [frame([0, 1, 2], [int('v', [1, 2, 3])]), frame([3], [int('v', [4])])]
        await historian.write(frames, 1)
        await historian.write(frames, 1)
        await historian.write([...frames, ...frames], 2)
        expect(await valuesOf(historian)).toEqual([1, 2, 3, 4])
        expect((await historian.streams())[0]).toMatchObject({ rows: 4, firstNs: start, lastNs: start + 3n })
      })
      it('by rows that come late, out of order, and twice in one frame: the last wins', async () => {
        await historian.write([frame([10, 30], [int('v', [1, 3])])])
        await historian.write([frame([20, 5, 20], [int('v', [9, 0, 2])]), frame([40], [int('v', [4])])])
        expect(await valuesOf(historian)).toEqual([0, 1, 2, 3, 4])
        expect((await historian.streams())[0]).toMatchObject({ rows: 5, firstNs: start + 5n, lastNs: start + 40n })
      })
      it('by a second frame of one write that is out of order in itself', async () => {
        await historian.write([frame([0, 1], [int('v', [0, 1])]), frame([3, 2, 3], [int('v', [9, 2, 3])])])
        expect(await valuesOf(historian)).toEqual([0, 1, 2, 3])
      })
      it('by a correction: the new row replaces the old one, whole', async () => {
        await historian.write([frame([0, 1], [int('v', [1, 2]), text('note', ['a', 'b'])])])
        await historian.write([frame([1], [int('v', [7])])])
        expect(await rowsOf(historian)).toEqual([
          { t: start, v: 1, note: 'a' },
          { t: start + 1n, v: 7, note: null },
        ])
      })
      it('by a correction in a write that also appends, of several series', async () => {
        const other = { device: '2' }
        await historian.write([frame([0, 1], [int('v', [1, 2])]), frame([0, 1], [int('v', [11, 12])], other)])
        await historian.write([frame([1, 2], [int('v', [7, 3])]), frame([2], [int('v', [13])], other)])
        expect(await valuesOf(historian)).toEqual([1, 7, 3])
        expect(await valuesOf(historian, other)).toEqual([11, 12, 13])
        expect((await historian.streams()).map(s => s.rows)).toEqual([3, 3])
      })
      it('by another type: it is kept beside the first', async () => {
        await historian.write([frame([0], [int('v', [1])])])
        await historian.write([frame([1], [text('v', ['wet'])])])
        await historian.write([frame([2], [{ name: 'v', type: 'bool', values: [true] }])])
        await historian.write([frame([3], [float('v', [1.5])])])
        expect(await rowsOf(historian, { columns: ['v'] })).toEqual([
          { t: start, v: 1, 'v:text': null, 'v:bool': null },
          { t: start + 1n, v: null, 'v:text': 'wet', 'v:bool': null },
          { t: start + 2n, v: null, 'v:text': null, 'v:bool': true },
          { t: start + 3n, v: 1.5, 'v:text': null, 'v:bool': null },
        ])
        expect((await historian.streams())[0]?.columns.map(c => [c.name, c.type])).toEqual([
          ['v', 'float'],
          ['v:text', 'text'],
          ['v:bool', 'bool'],
        ])
      })
      it('by names in any script, with quotes and SQL in them', async () => {
        const odd = { site: `Kraków'; drop table r1; --`, device: '"門"\\', stream: '水 位`$1' }
        await historian.write([frame([0], [float(`Δp "x"'`, [1]), text('ñ', ["it's"])], odd)])
        expect(await rowsOf(historian, odd)).toEqual([{ t: start, 'Δp "x"\'': 1, ñ: "it's" }])
        expect((await historian.streams())[0]).toMatchObject(odd)
      })
      it('by text with zero bytes, emoji and 60,000 characters', async () => {
        const texts = ['a\u0000b', '🚪', '', 'ü'.repeat(60_000)]
        await historian.write([frame([0, 1, 2, 3], [text('v', texts)])])
        expect(await valuesOf(historian)).toEqual(texts)
      })
      it('by empty frames and by nothing', async () => {
        await historian.write([])
        await historian.write([frame([], [int('v', [])])], 5)
        expect(await historian.cursor()).toBe(5)
        expect(await historian.streams()).toEqual([])
        expect(await rowsOf(historian)).toEqual([])
      })
      it('by a time that 64 bit cannot hold: the write is refused, whole', async () => {
        const far = { startNs: HISTORIAN_NS_MAX }
        await expect(
          historian.write([frame([0], [int('v', [1])]), frame([1], [int('v', [2])], far)], 3),
        ).rejects.toThrow(RangeError)
        expect(await rowsOf(historian)).toEqual([])
        expect(await historian.cursor()).toBe(0)
      })
      it('by a query for what is not there', async () => {
        expect(await rowsOf(historian, { site: 'nowhere' })).toEqual([])
        await historian.write([frame([0], [int('v', [1])])])
        expect(await rowsOf(historian, { columns: ['nothing'] })).toEqual([{ t: start }])
        expect(await rowsOf(historian, { fromNs: start + 1n })).toEqual([])
        expect(await rowsOf(historian, { fromNs: start, toNs: start })).toEqual([])
        expect(
          await historian.buckets({
            stream: 'count',
            series: [{ site: 'nowhere', device: '1', spans: [{ fromNs: 0n, toNs: 1n }] }],
          }),
        ).toEqual([])
      })
    })

    describe('keeps exactly', () => {
      it('numbers: the smallest, the largest, and holes', async () => {
        const numbers = [0, 5e-324, -1.7976931348623157e308, 0.1, 2 ** 53 - 1, null]
        await historian.write([frame([0, 1, 2, 3, 4, 5], [float('v', numbers)])])
        expect(await valuesOf(historian)).toEqual(numbers)
      })
      it('−0 as 0, always', async () => {
        await historian.write([frame([0, 1], [int('v', [-0, 0])])])
        const values = await valuesOf(historian)
        expect(values.map(v => Object.is(v, 0))).toEqual([true, true])
      })
      it('what is no number as a hole', async () => {
        await historian.write([
          frame(
            [0, 1, 2],
            [{ name: 'v', type: 'float', values: Float64Array.of(Number.NaN, Number.POSITIVE_INFINITY, 1) }],
          ),
        ])
        expect(await valuesOf(historian)).toEqual([null, null, 1])
      })
      it('times to the ns, before 1970, far ahead, and with negative offsets', async () => {
        const times = [HISTORIAN_NS_MIN, -1n, 0n, 4_294_967_295n, 4_294_967_296n, HISTORIAN_NS_MAX]
        for (const startNs of times) await historian.write([frame([0], [int('v', [0])], { startNs })])
        await historian.write([frame([-4_294_967_297, -(2 ** 52)], [int('v', [0, 0])], { startNs: 7n })])
        const wanted = [...times, -4_294_967_290n, 7n - 2n ** 52n].sort((a, b) => (a < b ? -1 : 1))
        expect((await rowsOf(historian)).map(row => row.t)).toEqual(wanted)
        const newest = await rowsOf(historian, { descending: true })
        expect(newest.map(row => row.t)).toEqual(wanted.reverse())
      })
      it.skipIf(!curves)('curves with the axis they came with', async () => {
        const curve = (values: Float64Array[], axis?: Float64Array): Column => ({
          name: 'v',
          unit: 'a.u.',
          type: 'vector',
          values,
          ...(axis && { axis }),
        })
        const nm = Float64Array.of(400, 500)
        await historian.write([frame([0, 1], [curve([Float64Array.of(1, 2), Float64Array.of(3, 4)], nm)])])
        await historian.write([frame([2], [curve([Float64Array.of(5, 6, -0)], Float64Array.of(1, 2, 3))])])
        await historian.write([frame([3, 4], [curve([Float64Array.of(), Float64Array.of(7)])])])
        expect(await rowsOf(historian)).toEqual([
          { t: start, v: [1, 2], 'v axis': [400, 500] },
          { t: start + 1n, v: [3, 4], 'v axis': [400, 500] },
          { t: start + 2n, v: [5, 6, 0], 'v axis': [1, 2, 3] },
          { t: start + 3n, v: [] },
          { t: start + 4n, v: [7] },
        ])
      })
      it('truth values, statuses and rows without a column', async () => {
        await historian.write([frame([0, 1], [{ name: 'on', type: 'bool', values: [true, null] }])])
        await historian.write([frame([2], [text('status', ['failed']), int('v', [null])])])
        expect(await rowsOf(historian)).toEqual([
          { t: start, on: true, status: null, v: null },
          { t: start + 1n, on: null, status: null, v: null },
          { t: start + 2n, on: null, status: 'failed', v: null },
        ])
      })
      it('units: the latest holds', async () => {
        await historian.write([frame([0], [{ name: 'v', unit: 'mbar', type: 'float', values: [1] }])])
        await historian.write([frame([1], [float('v', [1])])])
        expect((await historian.streams())[0]?.columns).toEqual([{ name: 'v', type: 'float', unit: 'mbar' }])
        await historian.write([frame([2], [{ name: 'v', unit: 'hPa', type: 'float', values: [1] }])])
        expect((await historian.streams())[0]?.columns).toEqual([{ name: 'v', type: 'float', unit: 'hPa' }])
      })
    })

    describe('reads', () => {
      const many = 25_000
      const steps = Array.from({ length: many }, (_, i) => i)
      beforeEach(() =>
        historian.write([
          frame(steps, [
            int('v', steps),
            float(
              'w',
              steps.map(i => -i / 4),
            ),
          ]),
        ]),
      )

      it('at most 10,000 rows a frame, in order', async () => {
        const frames = await collect(historian.read(everything))
        expect(frames.map(f => f.offsetsNs.length)).toEqual([10_000, 10_000, 5_000])
        expect(await valuesOf(historian)).toEqual(steps)
      })
      it('a range, a limit, the newest first, and columns', async () => {
        const query = { fromNs: start + 10n, toNs: start + 20n }
        expect(await valuesOf(historian, query)).toEqual(steps.slice(10, 20))
        expect(await valuesOf(historian, { ...query, limit: 3 })).toEqual([10, 11, 12])
        expect(await valuesOf(historian, { ...query, limit: 3, descending: true })).toEqual([19, 18, 17])
        expect(await valuesOf(historian, { descending: true })).toEqual([...steps].reverse())
        expect(await valuesOf(historian, { limit: 12_345 })).toEqual(steps.slice(0, 12_345))
        expect(await rowsOf(historian, { ...query, columns: ['w'], limit: 1 })).toEqual([{ t: start + 10n, w: -2.5 }])
        expect(await rowsOf(historian, { limit: 0 })).toEqual([])
      })
      it('a downsample that loses no spike', async () => {
        await historian.write([frame([777, 12_000], [int('v', [1e6, null]), float('w', [null, 1e6])])])
        const rows = await rowsOf(historian, { points: 400 })
        expect(rows.length).toBeLessThanOrEqual(402)
        expect(rows.length).toBeGreaterThan(100)
        expect(rows.map(row => row.v)).toContain(1e6)
        expect(rows.map(row => row.w)).toContain(1e6)
        expect([rows[0]?.t, rows.at(-1)?.t]).toEqual([start, start + BigInt(many - 1)])
        expect(await rowsOf(historian, { points: 10, toNs: start + 10n })).toHaveLength(10)
      })
    })

    describe('aggregates', () => {
      const hour = 3_600_000_000_000n
      const spans = [0n, 1n, 2n, 100n].map(h => ({ fromNs: start + h * hour, toNs: start + (h + 1n) * hour }))
      const minute = 60_000_000_000
      const bucketsOf = (): Promise<Bucket[]> => historian.buckets(bucketQuery(spans))

      it('a span that nothing is in: no bucket', async () => {
        await historian.write([frame([-1, 100 * minute], [int('v', [5, 6])])])
        expect((await bucketsOf()).map(b => b.startNs)).toEqual([start + hour])
      })
      it('failed, closed and plain holes apart', async () => {
        const status = text('status', [null, 'failed', 'closed', null, 'odd', 'failed', 'ok'])
        await historian.write([frame([0, 1, 2, 3, 4, 5, 6], [int('v', [-0, null, null, null, null, 7, null]), status])])
        expect(await bucketsOf()).toEqual([
          {
            site: 'london',
            device: '1',
            column: 'v',
            startNs: start,
            n: 2,
            sum: 7,
            min: 0,
            max: 7,
            first: 0,
            last: 7,
            failed: 2,
            closed: 1,
            rows: 7,
          },
        ])
      })
      it('nothing but failures', async () => {
        await historian.write([frame([0], [int('v', [null]), text('status', ['failed'])])])
        const nothing = {
          n: 0,
          sum: null,
          min: null,
          max: null,
          first: null,
          last: null,
          failed: 1,
          closed: 0,
          rows: 1,
        }
        expect(await bucketsOf()).toMatchObject([nothing])
      })
      it('only the columns that the rows of the span came with', async () => {
        await historian.write([frame([0], [int('a', [1]), text('status', ['failed'])])])
        await historian.write([frame([70 * minute], [int('b', [2])])])
        expect((await bucketsOf()).map(b => [b.column, b.startNs - start])).toEqual([
          ['a', 0n],
          ['b', hour],
        ])
      })
      it('several series at once, each with spans of its own, in order', async () => {
        const other = { device: '0' }
        const paris = { site: 'paris' }
        const minutes = [0, 70 * minute, 130 * minute]
        await historian.write([
          frame(minutes, [int('b', [1, 2, 3]), int('a', [null, 5, 6])]),
          frame(minutes, [float('b', [0.5, 0.25, 8])], other),
          frame(minutes, [text('b', ['x', 'y', 'z']), int('b2', [7, 8, 9])], paris),
        ])
        const [first, second, third] = spans as [TimeRange, TimeRange, TimeRange]
        const odd = { fromNs: start + 1n, toNs: start + 2n * hour }
        const buckets = await historian.buckets({
          stream: 'count',
          series: [
            { ...key, spans: [second] },
            { ...key, ...other, spans: [first, third] },
            { ...key, ...paris, spans: [odd] },
            { ...key, device: 'silent', spans: [first] },
          ],
        })
        expect(buckets.map(b => [b.site, b.device, b.column, b.startNs - start, b.n, b.sum])).toEqual([
          ['london', '0', 'b', 0n, 1, 0.5],
          ['paris', '1', 'b2', 1n, 1, 8],
          ['london', '1', 'a', hour, 1, 5],
          ['london', '1', 'b', hour, 1, 2],
          ['london', '0', 'b', 2n * hour, 1, 8],
        ])
      })
      it('whole numbers exactly, past 2^53 on the way', async () => {
        await historian.write([frame([0, 1, 2, 3], [int('v', [2 ** 53 - 1, 2 ** 53 - 1, 1, -(2 ** 53 - 1)])])])
        expect((await bucketsOf())[0]?.sum).toBe(2 ** 53)
      })
      it('floats exactly, rounded once, however they came', async () => {
        const values = Array.from({ length: 3000 }, (_, i) => 0.1 * (i % 7) - 1e-9 * i + (i % 11 === 0 ? 1e12 : 0))
        const later = values.map((_, i) => i).filter(i => i % 3 === 0)
        const first = values.map((_, i) => i).filter(i => i % 3 !== 0)
        // Each value is a whole number of 2^-80: added so, and rounded once.
        const unit = 2n ** 80n
        const exact = Number(values.reduce((a, v) => a + BigInt(v * 2 ** 80), 0n)) / Number(unit)
        for (const some of [first, later]) {
          await historian.write([
            frame(some, [
              float(
                'v',
                some.map(i => values[i] as number),
              ),
            ]),
          ])
        }
        expect((await bucketsOf())[0]).toMatchObject({
          n: 3000,
          sum: exact,
          first: values[0],
          last: values.at(-1),
        })
      })
      it('floats of one size, and of all sizes, exactly', async () => {
        const one = Array.from({ length: 500 }, (_, i) => 20 + ((i * 7919) % 1000) / 1000)
        const all = one.map((v, i) => (i % 2 === 0 ? v : -v) * 10 ** ((i % 60) - 30))
        await historian.write([
          frame(
            one.map((_, i) => i),
            [float('v', one), float('w', all)],
          ),
        ])
        // Whole numbers of 2^-200: as decimal digits that is exact, and the engine reads it correctly rounded.
        const exact = (values: number[]) => {
          const units = values.reduce((sum, v) => sum + BigInt(v * 2 ** 200), 0n)
          return Number(`${units * 5n ** 200n}e-200`)
        }
        expect((await bucketsOf()).map(b => b.sum)).toEqual([exact(one), exact(all)])
      })
      it('floats that are whole, and floats whose sum is beyond all floats on the way', async () => {
        await historian.write([frame([0, 1, 2], [float('v', [1, 2, 3]), float('w', [1e308, 1e308, -1e308])])])
        expect((await bucketsOf()).map(b => b.sum)).toEqual([6, 1e308])
      })
      it('spans of any length', async () => {
        await historian.write([frame([0, 1, 2, 3, 4], [int('v', [1, 2, 4, 8, 16])])])
        const odd = [
          [-(2n ** 64n), start + 1n],
          [start + 1n, start + 3n],
          [start + 3n, 2n ** 64n],
        ] as const
        const buckets = await historian.buckets(bucketQuery(odd.map(([fromNs, toNs]) => ({ fromNs, toNs }))))
        expect(buckets.map(b => [b.startNs, b.sum])).toEqual(odd.map(([fromNs], i) => [fromNs, [1, 6, 24][i]]))
      })
    })

    describe('keeps aggregates', () => {
      it('replaced by key, with their cursor', async () => {
        await historian.writeAggregates([aggregate(), aggregate({ device: '0', sum: 5 })], 7)
        await historian.writeAggregates([aggregate({ sum: 3, revision: 2 }), aggregate({ sum: 4, revision: 3 })], 8)
        expect(await aggregatesOf(historian)).toEqual([
          aggregate({ device: '0', sum: 5 }),
          aggregate({ sum: 4, revision: 3 }),
        ])
        expect(await historian.aggregatesCursor()).toBe(8)
        expect(await historian.cursor()).toBe(0)
      })
      it('apart by level, resolution, stream, column and time', async () => {
        const rows = [
          aggregate(),
          aggregate({ level: 'site', device: '' }),
          aggregate({ resolution: 'day', hour: null }),
          aggregate({ stream: 'other' }),
          aggregate({ column: 'other' }),
          aggregate({ startNs: start + 1n }),
          aggregate({ site: 'paris', startNs: start - 1n }),
        ]
        await historian.writeAggregates(rows)
        expect(await aggregatesOf(historian)).toEqual([rows[6], rows[0], rows[5]])
        expect(await aggregatesOf(historian, { site: 'paris' })).toEqual([rows[6]])
        expect(await aggregatesOf(historian, { device: '2' })).toEqual([])
        expect(await aggregatesOf(historian, { sites: ['paris', 'rome'] })).toEqual([rows[6]])
        expect(await aggregatesOf(historian, { level: undefined })).toEqual([rows[6], rows[0], rows[1], rows[5]])
        expect(await aggregatesOf(historian, { fromNs: start, toNs: start + 1n })).toEqual([rows[0]])
        expect(await aggregatesOf(historian, { level: 'site' })).toEqual([rows[1]])
        expect(await aggregatesOf(historian, { resolution: 'day' })).toEqual([rows[2]])
      })
      it('with every hole a null', async () => {
        const row = aggregate({
          n: 0,
          sum: null,
          min: null,
          max: null,
          mean: null,
          first: null,
          last: null,
          expected: 1,
          had: 0,
        })
        await historian.writeAggregates([row])
        expect(await aggregatesOf(historian)).toEqual([row])
      })
      it('of several columns together, and not those of no rows', async () => {
        const rows = [aggregate({ column: 'a' }), aggregate({ column: 'b' })]
        await historian.writeAggregates([...rows, aggregate()])
        await historian.writeAggregates([aggregate({ rows: 0 }), aggregate({ column: 'c', rows: 0 })])
        expect(await aggregatesOf(historian, { column: undefined })).toEqual(rows)
      })
      it('by the ten thousands, in order', async () => {
        const rows = Array.from({ length: 21_000 }, (_, i) =>
          aggregate({ device: String(i % 9), startNs: start + BigInt(Math.floor(i / 9)), sum: i }),
        )
        await historian.writeAggregates([...rows].reverse())
        expect((await aggregatesOf(historian)).map(a => a.sum)).toEqual(rows.map(a => a.sum))
      })
      it('and hours marked dirty, each once, until they are computed', async () => {
        const hours = [1n, 2n, 3n].map(h => ({ ...key, stream: "it's", startNs: h }))
        const marked = async () => (await historian.dirtyHours()).map(hour => hour.startNs).sort()
        await historian.writeAggregates([], 3, { add: hours.slice(0, 2) })
        await historian.writeAggregates([], 4, { add: hours })
        expect(await marked()).toEqual([1n, 2n, 3n])
        expect(await historian.dirtyHours()).toContainEqual(hours[0])
        await historian.writeAggregates([aggregate()], undefined, { remove: hours.slice(1) })
        expect(await marked()).toEqual([1n])
        expect(await historian.aggregatesCursor()).toBe(4)
        await historian.clearAggregates()
        expect(await marked()).toEqual([])
      })
      it('until they are cleared', async () => {
        await historian.writeAggregates([aggregate()], 7)
        expect(await historian.aggregatesStamp()).toBe('')
        await historian.clearAggregates("it's new")
        expect(await historian.aggregatesStamp()).toBe("it's new")
        expect(await aggregatesOf(historian)).toEqual([])
        expect(await historian.aggregatesCursor()).toBe(0)
        await historian.writeAggregates([aggregate()], 1)
        expect(await aggregatesOf(historian)).toEqual([aggregate()])
      })
    })

    it('has all of it after it was closed and opened again', async context => {
      const { reopen } = opened
      if (!reopen) return context.skip()
      await historian.write([frame([0, 1], [int('v', [1, 2]), text('note', ['a', null])])], 3)
      await historian.write([frame([2], [float('v', [2.5]), text('v', ['x'])])], 4)
      await historian.writeAggregates([aggregate()], 2)
      const streams = await historian.streams()
      const rows = await rowsOf(historian)
      historian = await reopen()
      expect(await historian.streams()).toEqual(streams)
      expect(await rowsOf(historian)).toEqual(rows)
      expect(await aggregatesOf(historian)).toEqual([aggregate()])
      expect([await historian.cursor(), await historian.aggregatesCursor()]).toEqual([4, 2])
      await historian.write([frame([1, 3], [int('v', [7, 8])])], 5)
      await historian.writeAggregates([aggregate({ sum: 9, revision: 2 })], 5)
      expect(await valuesOf(historian)).toEqual([1, 7, 2.5, 8])
      expect(await aggregatesOf(historian)).toEqual([aggregate({ sum: 9, revision: 2 })])
    })
  })
}

const hourNs = 3_600_000_000_000n
/** All series of a stream in one query, each with hours of its own, some on another grid. */
const together = async (historian: Historian, stream: string) => {
  const infos = (await historian.streams()).filter(info => info.stream === stream)
  const spansOf = (firstNs: bigint, lastNs: bigint, grid: bigint, every: bigint) => {
    const spans = []
    for (let h = firstNs - (firstNs % hourNs) + grid; h <= lastNs; h += hourNs * every) {
      spans.push({ fromNs: h, toNs: h + hourNs })
    }
    return spans
  }
  const series = infos.map(({ site, device, firstNs, lastNs }, i) => ({
    site,
    device,
    spans: spansOf(firstNs, lastNs, i % 3 === 2 ? hourNs / 2n : 0n, i % 2 === 0 ? 1n : 2n),
  }))
  const silent = { site: 'nobody', device: '', spans: [{ fromNs: 0n, toNs: hourNs }] }
  return historian.buckets({ stream, series: [...series, silent] })
}
/** All that a historian says of its readings. */
export const allOf = async (historian: Historian) => {
  const streams = await historian.streams()
  const all: unknown[] = [streams]
  for (const { site, device, stream, firstNs, lastNs } of streams) {
    const key = { site, device, stream }
    all.push(await rowsOf(historian, key), await rowsOf(historian, { ...key, descending: true, limit: 3 }))
    all.push(await rowsOf(historian, { ...key, points: 6 }))
    const spans = []
    for (let h = firstNs - (firstNs % hourNs); h <= lastNs; h += hourNs) spans.push({ fromNs: h, toNs: h + hourNs })
    const one = (its: { fromNs: bigint; toNs: bigint }[]) => ({ stream, series: [{ site, device, spans: its }] })
    all.push(await historian.buckets(one(spans)))
    all.push(await historian.buckets(one([{ fromNs: firstNs, toNs: lastNs }])))
  }
  for (const stream of new Set(streams.map(info => info.stream))) all.push(await together(historian, stream))
  return all
}

/** Random frames of few series, times and columns, so that they collide. */
export const framesArbitrary: fc.Arbitrary<Frame[]> = fc.array(
  fc
    .record({
      device: fc.constantFrom('1', '2'),
      stream: fc.constantFrom('count', 's'),
      startNs: fc.constantFrom(start, start + 3_600_000_000_000n),
      times: fc.array(fc.oneof(fc.integer({ min: -20, max: 20 }), fc.integer({ min: -1e13, max: 1e13 })), {
        maxLength: 20,
      }),
      columns: fc.uniqueArray(
        fc.record({
          name: fc.constantFrom('v', 'w', 'status'),
          type: fc.constantFrom('int', 'float', 'text', 'bool', 'vector'),
          seed: fc.array(fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }), { freq: 4 }), {
            minLength: 1,
            maxLength: 9,
          }),
        }),
        { selector: c => c.name, maxLength: 3 },
      ),
    })
    .map(({ device, stream, startNs, times, columns }) =>
      frame(
        times,
        columns.map(({ name, type, seed }) => randomColumn(name, type, seed, times.length)),
        { device, stream, startNs },
      ),
    ),
  { maxLength: 6 },
)

const statuses = ['failed', 'closed', 'ok', 'odd']
const randomColumn = (name: string, type: Column['type'], seed: (number | null)[], rows: number): Column => {
  const at = <T>(make: (v: number) => T): (T | null)[] =>
    Array.from({ length: rows }, (_, i) => {
      const v = seed[i % seed.length] ?? null
      return v === null ? null : make(v)
    })
  if (name === 'status' || type === 'text') {
    return { name, type: 'text', values: at(v => statuses[Math.abs(Math.trunc(v % 4))] ?? null) }
  }
  if (type === 'int') return { name, type, values: at(v => Math.trunc(v % 1e6)) }
  if (type === 'float') return { name, type, values: at(v => v) }
  if (type === 'bool') return { name, type, values: at(v => v > 0) }
  return {
    name,
    type,
    values: at(v => Float64Array.of(v, v)).map(v => v ?? new Float64Array()),
    axis: Float64Array.of(1, 2),
  }
}
