import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Column,
  decodeEnvelope,
  decodeReceipt,
  decodeStatus,
  type Envelope,
  emptyEnvelope,
  encodeEnvelope,
  encodeReceipt,
  encodeStatus,
  type Frame,
  LIMITS,
  rowNs,
  STATUS_NOT_A_NUMBER,
  WireError,
} from '../src/index.ts'

// Names as people make them: any unicode, no control characters.
const name = fc
  .string({ minLength: 1, maxLength: 12, unit: 'grapheme' })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what the schema refuses
  .filter(s => s.length <= LIMITS.nameCharsMax && !/[\u0000-\u001f\u007f]/.test(s))
const loneSurrogate = fc.constantFrom('\ud800', 'a\udc00b', '\ud83d\ude00', '\u2028')
const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 20 }), loneSurrogate)
const float = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, -0, Number.MIN_VALUE, -Number.MIN_VALUE, Number.MAX_VALUE, 1e21, 1e-7, 0.1),
)
const int = fc.maxSafeInteger()
const orNull = <T>(a: fc.Arbitrary<T>) => fc.option(a, { nil: null, freq: 4 })

const columnOf = (rows: number) => {
  const all = <T>(a: fc.Arbitrary<T>) => fc.array(a, { minLength: rows, maxLength: rows })
  const head = { name, unit: fc.option(name, { nil: undefined }) }
  const made = fc.oneof(
    fc.record({ ...head, type: fc.constant('float' as const), values: all(orNull(float)) }),
    fc.record({ ...head, type: fc.constant('float' as const), values: all(float).map(v => Float64Array.from(v)) }),
    fc.record({ ...head, type: fc.constant('int' as const), values: all(orNull(int)) }),
    fc.record({ ...head, type: fc.constant('bool' as const), values: all(orNull(fc.boolean())) }),
    fc.record({ ...head, type: fc.constant('text' as const), values: all(orNull(text)) }),
    fc.record({
      ...head,
      type: fc.constant('vector' as const),
      axis: fc.option(
        fc.array(float, { maxLength: 4 }).map(v => Float64Array.from(v)),
        { nil: undefined },
      ),
      values: all(fc.array(float, { maxLength: 4 }).map(v => Float64Array.from(v))),
    }),
  )
  return made.map(c => Object.fromEntries(Object.entries(c).filter(([, v]) => v !== undefined)) as unknown as Column)
}

const startNs = fc.oneof(
  fc.bigInt({ min: -62_135_596_800_000_000_000n, max: 253_402_300_799_999_999_999n }),
  fc.constantFrom(0n, -1n, 999_999_999n, 1_700_000_000_123_456_789n),
)
const offset = fc.oneof(fc.integer({ min: 0, max: 2 ** 40 }), fc.maxSafeInteger())
const offsetsOf = (rows: number) =>
  fc.oneof(
    fc.array(offset, { minLength: rows, maxLength: rows }).map(v => Float64Array.from(v, x => x + 0)),
    fc.integer({ min: 1, max: 1e9 }).map(step => Float64Array.from({ length: rows }, (_, i) => i * step)),
  )
const frame: fc.Arbitrary<Frame> = fc.integer({ min: 0, max: 6 }).chain(rows =>
  fc.record({
    site: name,
    device: name,
    stream: name,
    startNs,
    offsetsNs: offsetsOf(rows),
    columns: fc.uniqueArray(columnOf(rows), {
      maxLength: 5,
      selector: c => (c.name === 'status' ? 'status!' : c.name),
    }),
  }),
)
const origin = fc.record({ source: name, file: text, generation: fc.integer({ min: 1, max: 99 }), firstLine: fc.nat() })
const recipe = fc.record({
  format: fc.record({ kind: fc.constantFrom('csv', 'lines'), header: fc.boolean() }),
  head: text,
  ...{ site: name, device: name, stream: name, zone: fc.constant('UTC') },
})
const envelope: fc.Arbitrary<Envelope> = fc.record({
  frames: fc.array(frame, { maxLength: 3 }),
  rejects: fc.array(
    fc.oneof(fc.record({ origin, reason: text, text }), fc.record({ origin, reason: text, text, recipe })),
    { maxLength: 3 },
  ),
  ledger: fc.array(
    fc.record({
      source: name,
      file: text,
      generation: fc.integer({ min: 1, max: 9 }),
      rowsRead: fc.nat(),
      rowsStored: fc.nat(),
      rowsRejected: fc.nat(),
      bytes: fc.maxSafeInteger().map(Math.abs),
      complete: fc.boolean(),
    }),
    { maxLength: 3 },
  ),
})

/** Numbers as the wire brings them: typed arrays in which NaN is the hole. */
const asDecoded = (e: Envelope): Envelope => ({
  ...e,
  frames: e.frames.map(f => ({
    ...f,
    offsetsNs: Float64Array.from(f.offsetsNs, x => (x === 0 ? 0 : x)),
    columns: f.columns.map(c =>
      c.type === 'float' || c.type === 'int'
        ? { ...c, values: Float64Array.from(Array.from(c.values), v => (v === null ? Number.NaN : v)) }
        : c,
    ),
  })),
})

describe('envelope', () => {
  test('decode(encode(x)) is x for every type, hole, −0, size of number and unicode name', () => {
    fc.assert(
      fc.property(envelope, e => {
        expect(decodeEnvelope(encodeEnvelope(e))).toEqual(asDecoded(e))
      }),
      { numRuns: 600 },
    )
  })

  test('times are exact to the nanosecond', () => {
    const f = frameOf([1.5, 2.5], { startNs: 1_700_000_000_123_456_789n, offsetsNs: Float64Array.of(0, 2 ** 53 - 1) })
    const back = decodeEnvelope(encodeEnvelope({ ...emptyEnvelope(), frames: [f] })).frames[0]
    expect(back && rowNs(back, 0)).toBe(1_700_000_000_123_456_789n)
    expect(back && rowNs(back, 1)).toBe(1_700_000_000_123_456_789n + 9_007_199_254_740_991n)
  })

  test('NaN and infinities are holes whose rows say so; a status that stands is kept', () => {
    const f = frameOf([1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    f.columns.push({ name: 'status', type: 'text', values: [null, 'failed', null, null] })
    const back = decodeEnvelope(encodeEnvelope({ ...emptyEnvelope(), frames: [f] })).frames[0]
    expect(back?.columns).toStrictEqual([
      { name: 'v', type: 'float', values: Float64Array.of(1, Number.NaN, Number.NaN, Number.NaN) },
      { name: 'status', type: 'text', values: [null, 'failed', STATUS_NOT_A_NUMBER, STATUS_NOT_A_NUMBER] },
    ])
  })

  test('NaN in a typed array is a plain hole', () => {
    const f = frameOf(Float64Array.of(1, Number.NaN))
    const back = decodeEnvelope(encodeEnvelope({ ...emptyEnvelope(), frames: [f] })).frames[0]
    expect(back?.columns).toStrictEqual(f.columns)
  })

  test('is gzip only above 1 KiB and only where that is smaller', () => {
    const small = encodeEnvelope({ ...emptyEnvelope(), frames: [frameOf([1, 2, 3])] })
    expect(Buffer.from(small).toString()).toMatch(/^\{"v":1,/)
    const large = encodeEnvelope({ ...emptyEnvelope(), frames: [frameOf(new Float64Array(5000))] })
    expect([large[0], large[1]]).toEqual([0x1f, 0x8b])
    expect(large.length).toBeLessThan(1000)
  })

  test('how rejects were read travels once, however many they are', () => {
    const read = { format: { kind: 'csv' }, head: 'names\n', site: 's', device: 'd', stream: 'x', zone: 'UTC' }
    const of = { origin: { source: 'a' }, reason: 'r' }
    const rejects = [
      { ...of, text: '1', recipe: read },
      { ...of, text: '2' },
      { ...of, text: '3', recipe: { ...read } },
    ]
    const body = encodeEnvelope({ ...emptyEnvelope(), rejects })
    expect(Buffer.from(body).toString().split('names').length).toBe(2)
    expect(decodeEnvelope(body).rejects).toEqual(rejects)
  })

  test('the loss of a range travels', () => {
    const e = { ...emptyEnvelope(), loss: { from: 3, through: 9, reason: 'the disk was full' } }
    expect(decodeEnvelope(encodeEnvelope(e))).toEqual(e)
  })
})

describe('what arrives is refused with one sentence', () => {
  const wire = (frames: unknown, more: object = {}) => Buffer.from(JSON.stringify({ v: 1, frames, ...more }))
  const good = { site: 's', device: 'd', stream: 'x', start: '2026-01-01T00:00:00Z', offsets: [0], columns: [] }
  const column = { name: 'a', type: 'float', values: [1] }
  const cases: [string, Uint8Array, RegExp][] = [
    ['no JSON', Buffer.from('{"v":1'), /^the body is not JSON in UTF-8$/],
    ['bytes that are no UTF-8', Buffer.from([0x22, 0xff, 0x22]), /not JSON in UTF-8/],
    ['nothing', new Uint8Array(0), /not JSON/],
    ['another version', Buffer.from('{"v":2}'), /^envelope: v: /],
    ['half of a gzip', gzipSync('{"v":1}').subarray(0, 12), /^the body is not whole gzip$/],
    [
      'a recipe that is not there',
      wire([], { rejects: [{ origin: { source: 's' }, reason: 'r', text: 't', recipe: 1 }] }),
      /^rejects\[0\]\.recipe: there is no recipe 1$/,
    ],
    ['a missing site', wire([{ ...good, site: undefined }]), /^envelope: frames\[0\]\.site: /],
    ['a control character in a name', wire([{ ...good, device: 'a\nb' }]), /frames\[0\]\.device: .*control character/],
    ['a time without offset', wire([{ ...good, start: '2026-01-01T00:00:00' }]), /frames\[0\]\.start: /],
    ['a time that no calendar has', wire([{ ...good, start: '2026-02-30T00:00:00Z' }]), /frames\[0\]\.start: /],
    ['neither offsets nor step', wire([{ ...good, offsets: undefined }]), /neither offsets nor every/],
    ['an offset with a fraction', wire([{ ...good, offsets: [0.5] }]), /offsets\[0\]: is not a whole number/],
    ['too few values', wire([{ ...good, offsets: [0, 1], columns: [column] }]), /has 1 values for 2 rows/],
    ['two columns of a name', wire([{ ...good, columns: [column, column] }]), /a second column "a"/],
    [
      'text in a number column',
      wire([{ ...good, columns: [{ ...column, values: ['1'] }] }]),
      /neither a finite number/,
    ],
    [
      '1e999 for a number',
      Buffer.from(
        wire([{ ...good, columns: [column] }])
          .toString()
          .replace('[1]', '[1e999]'),
      ),
      /finite/,
    ],
    [
      'a fraction in an int column',
      wire([{ ...good, columns: [{ ...column, type: 'int', values: [1.5] }] }]),
      /whole number/,
    ],
    ['a number in a text column', wire([{ ...good, columns: [{ ...column, type: 'text' }] }]), /neither text nor null/],
    [
      'a status that is no text',
      wire([{ ...good, columns: [{ ...column, name: 'status' }] }]),
      /"status" is not of type text/,
    ],
    ['too many rows', wire([{ ...good, offsets: undefined, every: 1, rows: 1_000_001 }]), /frames\[0\]\.rows/],
    ['a negative row count', wire([{ ...good, offsets: undefined, every: 1, rows: -1 }]), /frames\[0\]\.rows/],
  ]
  test.each(cases)('%s', (_, body, message) => {
    expect(() => decodeEnvelope(body)).toThrow(WireError)
    expect(() => decodeEnvelope(body)).toThrow(message)
  })

  test('rows are counted over all frames of an envelope', () => {
    const half = { ...good, offsets: undefined, every: 1, rows: 600_000 }
    expect(() => decodeEnvelope(wire([half, half]))).toThrow(/frames\[1\]: the envelope has more than 1000000 rows/)
  })

  test('a gzip bomb, within the bound', () => {
    const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024, 0x20), { level: 9 })
    expect(bomb.length).toBeLessThan(LIMITS.envelopeBytesMax)
    const before = process.memoryUsage().arrayBuffers
    expect(() => decodeEnvelope(bomb)).toThrow(/expands to more than 67108864 bytes/)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(3 * LIMITS.envelopeExpandedBytesMax)
  })

  test('a body over the limit, unread', () => {
    expect(() => decodeEnvelope(new Uint8Array(LIMITS.envelopeBytesMax + 1))).toThrow(/more than the 8388608 allowed/)
  })

  test('any bytes end in a value or a WireError', () => {
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map(j => Buffer.from(j)),
      fc.object().map(o => wire([{ ...good, ...o }])),
    )
    fc.assert(
      fc.property(anything, bytes => {
        try {
          decodeEnvelope(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(WireError)
        }
      }),
      { numRuns: 1000 },
    )
  })
})

test('receipt and status round-trip, and are checked', () => {
  const receipt = { epoch: 'abc', through: 17, resend: true }
  expect(decodeReceipt(encodeReceipt(receipt))).toEqual(receipt)
  expect(() => decodeReceipt(Buffer.from('{"epoch":"a","through":-1}'))).toThrow(/receipt: through/)
  const status = {
    online: true,
    epoch: 'abc',
    oldestSeq: 1,
    nextSeq: 9,
    spoolBytes: 100,
    clock: '2026-01-01T00:00:00.000Z',
    version: '0.1.0',
    sources: [{ id: 's', kind: 'tail', health: 'stale' as const, message: 'silent for 5 s', rows: 3, rejects: 0 }],
  }
  expect(decodeStatus(encodeStatus(status))).toEqual(status)
})

const frameOf = (values: number[] | Float64Array, more: Partial<Frame> = {}): Frame => ({
  site: 's',
  device: 'd',
  stream: 'x',
  startNs: 0n,
  offsetsNs: Float64Array.from({ length: values.length }, (_, i) => i),
  columns: [{ name: 'v', type: 'float', values }],
  ...more,
})
