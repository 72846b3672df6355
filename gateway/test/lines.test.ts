import type { Frame } from '@penstock/frame'
import { rowNs } from '@penstock/frame'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mergeFrames } from '../src/frame-merger.ts'
import { createRecordFramer } from '../src/record-framer.ts'

describe('the framer of serial lines', () => {
  const limit = 20
  const run = (text: string, cuts: number[], delimiter: string) => {
    const framer = createRecordFramer(Buffer.from(delimiter, 'latin1'), limit)
    const bytes = Buffer.from(text, 'latin1')
    const at = [...new Set(cuts.map(c => c % (bytes.length + 1)))].sort((a, b) => a - b)
    const records = [...at, bytes.length].flatMap((end, i) => framer.push(bytes.subarray(i === 0 ? 0 : at[i - 1], end)))
    return {
      records: records.map(r => (r.tooLong ? 'too long' : Buffer.from(r.bytes).toString('latin1'))),
      rest: framer.isOpen(),
    }
  }
  const chunk = fc.oneof(fc.constantFrom('\r', '\n', '\r\n', ';'), fc.string({ maxLength: 30, unit: 'grapheme-ascii' }))
  const text = fc.array(chunk, { maxLength: 20 }).map(parts => parts.join(''))

  it('gives the same records however the bytes come in pieces', () => {
    void fc.assert(
      fc.property(text, fc.array(fc.nat()), fc.constantFrom('\n', '\r\n', ';', '\r;\r'), (text, cuts, delimiter) => {
        const expected = text.split(delimiter).map(record => (record.length > limit ? 'too long' : record))
        const rest = expected.pop()
        const seen = run(text, cuts, delimiter)
        expect(seen.records).toEqual(expected)
        expect(seen.rest).toBe(rest !== '')
      }),
      { numRuns: 300 },
    )
  })

  it('keeps no more than its limit of a line without an end', () => {
    const framer = createRecordFramer(Buffer.from('\n'), limit)
    for (let i = 0; i < 1000; i++) expect(framer.push(Buffer.alloc(1000, 0x78))).toEqual([])
    expect(framer.push(Buffer.from('\nok\n'))).toMatchObject([{ tooLong: true }, { tooLong: false }])
    expect(framer.rest()).toHaveLength(0)
  })
})

describe('mergeFrames', () => {
  const row = (ms: number, value: number, more: Partial<Frame> = {}): Frame => ({
    site: 'Lab',
    device: 'scale',
    stream: 'weight',
    startNs: BigInt(ms) * 1_000_000n,
    offsetsNs: Float64Array.of(0),
    columns: [{ name: 'weight', type: 'float', unit: 'g', values: Float64Array.of(value) }],
    origin: { source: 's', firstLine: ms, lastLine: ms },
    ...more,
  })
  it('joins rows of one series in their order, and keeps series apart', () => {
    const merged = mergeFrames([row(1, 10), row(2, 20, { device: 'other' }), row(3, 30), row(2, 15)])
    expect(merged).toHaveLength(2)
    const [first] = merged as [Frame]
    expect(Array.from(first.offsetsNs, (_, i) => rowNs(first, i))).toEqual([1_000_000n, 3_000_000n, 2_000_000n])
    expect(first.columns).toEqual([{ name: 'weight', type: 'float', unit: 'g', values: [10, 30, 15] }])
    expect(first.origin).toEqual({ source: 's', firstLine: 1, lastLine: 2 })
  })
  it('does not join frames whose columns differ, or that hold curves', () => {
    const other = row(2, 2, { columns: [{ name: 'weight', type: 'int', values: [2] }] })
    const curve = row(3, 3, { columns: [{ name: 'c', type: 'vector', values: [Float64Array.of(1)] }] })
    expect(mergeFrames([row(1, 1), other, curve, curve])).toHaveLength(4)
  })
})
