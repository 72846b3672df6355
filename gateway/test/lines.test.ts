import type { Frame } from '@penstock/frame'
import { rowNs } from '@penstock/frame'
import { describe, expect, it } from 'vitest'
import { mergeFrames } from '../src/frame-merger.ts'

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
