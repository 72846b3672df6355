/** What every decoder must do, whatever its format: run against each of them. */
import { rowNs } from '@penstock/frame'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Decoded, Decoder, DecoderContext, Resume } from '../src/index.ts'

export const context = (more: Partial<DecoderContext> = {}): DecoderContext => ({
  source: 'bench',
  file: 'run/one.csv',
  generation: 1,
  site: 'lab',
  device: 'gauge',
  stream: 'pressure',
  zone: 'Europe/Berlin',
  frameRowsMax: 7,
  recordBytesMax: 200,
  ...more,
})

export type Make = (resume?: Resume) => Decoder

/** All that a decoder made of some bytes, with the cuts between pushes and frames taken out. */
export interface Whole {
  series: Record<
    string,
    { columns: string[]; rows: unknown[][]; lines: number[]; bytes: number[]; attributes?: unknown; axes?: unknown[] }
  >
  rejects: unknown[]
  rowsRead: number
  rowsRejected: number
  finished: boolean
}

export const emptyWhole = (): Whole => ({ series: {}, rejects: [], rowsRead: 0, rowsRejected: 0, finished: false })

export const addDecoded = (whole: Whole, decoded: Decoded): void => {
  for (const frame of decoded.frames) {
    const key = `${frame.site}/${frame.device}/${frame.stream}`
    const plain = frame.columns.filter(c => c.name !== 'status')
    const columns = plain.map(c => `${c.name}:${c.type}${c.unit === undefined ? '' : ` [${c.unit}]`}`)
    const status = frame.columns.find(c => c.name === 'status')
    const { firstLine = 0, lastLine = 0, firstByte = 0, lastByte = 0 } = frame.origin ?? {}
    whole.series[key] ??= { columns, rows: [], lines: [firstLine, 0], bytes: [firstByte, 0] }
    const series = whole.series[key]
    expect(columns).toEqual(series.columns)
    series.lines[1] = lastLine
    series.bytes[1] = lastByte
    const axes = plain.flatMap(c => (c.type === 'vector' && c.axis ? [Array.from(c.axis)] : []))
    if (axes.length > 0) series.axes = axes
    if (frame.origin?.attributes) series.attributes = frame.origin.attributes
    for (let i = 0; i < frame.offsetsNs.length; i++) {
      const values = plain.map(c => (typeof c.values[i] === 'number' && Number.isNaN(c.values[i]) ? null : c.values[i]))
      series.rows.push([rowNs(frame, i), ...values, status?.values[i] ?? null])
    }
    for (const column of frame.columns) expect(column.values.length).toBe(frame.offsetsNs.length)
    expect(frame.offsetsNs.length).toBeGreaterThan(0)
  }
  for (const { origin, reason, text } of decoded.rejects) {
    whole.rejects.push([origin.firstLine, origin.lastLine, origin.firstByte, origin.lastByte, reason, text])
  }
  whole.rowsRead += decoded.rowsRead
  whole.rowsRejected += decoded.rowsRejected
  whole.finished ||= decoded.finished === true
}

export const rowsOf = (whole: Whole): number =>
  Object.values(whole.series).reduce((sum, series) => sum + series.rows.length, 0)

const arrival = 1_700_000_000_000_000_000n

/** Reads bytes in pieces; at each stop a new decoder goes on from the checkpoint. */
export const decodeAll = (
  make: Make,
  bytes: Uint8Array,
  cuts: readonly number[] = [],
  stops: readonly number[] = [],
): Whole => {
  const whole = emptyWhole()
  let decoder = make()
  let used = 0
  const ends = [...new Set([...cuts, ...stops].filter(c => c < bytes.length))].sort((a, b) => a - b)
  for (const end of [...ends, bytes.length]) {
    const last = end === bytes.length
    // A copy in a buffer of its own: a decoder must not look beyond what it was given, nor keep it.
    const piece = bytes.slice(used, end)
    const decoded = decoder.push(piece, last, arrival)
    used += decoded.used
    expect(decoded.used).toBeLessThanOrEqual(piece.length)
    addDecoded(whole, decoded)
    piece.fill(0x58)
    const checkpoint = decoder.checkpoint()
    expect(checkpoint.offset).toBe(used)
    expect(checkpoint.headBytes).toBeLessThanOrEqual(checkpoint.offset)
    if (stops.includes(end)) {
      decoder = make({ checkpoint: JSON.parse(JSON.stringify(checkpoint)), head: bytes.slice(0, checkpoint.headBytes) })
    }
  }
  expect(used).toBe(bytes.length)
  expect(whole.rowsRead).toBe(rowsOf(whole) + whole.rowsRejected)
  expect(whole.rejects.length).toBe(whole.rowsRejected)
  return whole
}

/** Properties over bytes that resemble the format's own, and over any bytes. `hasLines`: a record ends at a line end. */
export const contract = (
  name: string,
  make: Make,
  texts: fc.Arbitrary<Uint8Array>,
  runs = 300,
  hasLines = true,
): void => {
  const bytes = fc.oneof({ weight: 5, arbitrary: texts }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 600 }) })
  const places = fc.array(fc.nat(800), { maxLength: 12 })
  describe(`${name} keeps the contract of a decoder`, () => {
    it('gives the same rows, rejects and places however the bytes are cut', () => {
      fc.assert(
        fc.property(bytes, places, (all, cuts) => {
          expect(decodeAll(make, all, cuts)).toEqual(decodeAll(make, all))
        }),
        { numRuns: runs },
      )
    })
    it('gives the same for one byte at a time', () => {
      fc.assert(
        fc.property(bytes, all => {
          expect(
            decodeAll(
              make,
              all,
              Array.from(all, (_, i) => i),
            ),
          ).toEqual(decodeAll(make, all))
        }),
        { numRuns: Math.ceil(runs / 6) },
      )
    })
    it('goes on from a checkpoint as if it had never stopped', () => {
      fc.assert(
        fc.property(bytes, places, places, (all, cuts, stops) => {
          expect(decodeAll(make, all, cuts, stops)).toEqual(decodeAll(make, all))
        }),
        { numRuns: runs },
      )
    })
    it.runIf(hasLines)('passes over a line without end within its limit', () => {
      const decoder = make()
      const noise = new Uint8Array(1000).fill(0x7a)
      let pending = 0
      let rejected = 0
      for (let i = 0; i < 50; i++) {
        const decoded = decoder.push(new Uint8Array(pending + noise.length).fill(0x7a), false, arrival)
        pending += noise.length - decoded.used
        rejected += decoded.rowsRejected
        expect(pending).toBeLessThanOrEqual(200)
      }
      expect(rejected).toBe(1)
    })
  })
}

/** Bytes joined of pieces that matter to text formats, well-formed lines among them. */
export const textBytes = (lines: fc.Arbitrary<string>, starts: readonly string[]): fc.Arbitrary<Uint8Array> => {
  const noise = fc.constantFrom(
    '"',
    '""',
    ',',
    ';',
    '\n',
    '\r',
    '\r\n',
    '\u0000',
    ' ',
    '\t',
    '#',
    '-',
    '1e5',
    'NaN',
    'é',
    '機',
    '\ud800',
    '{',
    'x'.repeat(250),
  )
  const end = fc.constantFrom('\n', '\n', '\n', '\r\n', '\r', '')
  const line = fc.oneof(
    { weight: 6, arbitrary: fc.tuple(lines, end).map(parts => parts.join('')) },
    { weight: 1, arbitrary: fc.tuple(fc.array(noise, { maxLength: 4 }), end).map(([parts, e]) => parts.join('') + e) },
  )
  return fc
    .tuple(fc.constantFrom(...starts), fc.array(line, { maxLength: 12 }))
    .map(([start, parts]) => new Uint8Array(Buffer.from(start + parts.join(''), 'utf8')))
}
