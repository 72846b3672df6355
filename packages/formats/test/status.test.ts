import { expect, test } from 'vitest'
import { createDecoder, formatSchema } from '../src/index.ts'

test('the status of a row that is refused does not stay for the next one', () => {
  const format = formatSchema.parse({
    kind: 'csv',
    time: { column: 't', layout: ['YYYY-MM-DD HH:mm:ss', 'iso'] },
    tags: { device: { column: 'd' } },
    columns: { x: 'float', n: { type: 'int', required: true }, open: 'bool' },
  })
  const context = {
    source: 's',
    site: 'a',
    device: 'd',
    stream: 'x',
    zone: 'UTC',
    frameRowsMax: 1000,
    recordBytesMax: 1000,
  }
  // The first row has no number in x, and is refused for its n.
  const text = 't,d,x,n,open\n2026-01-01 00:00:00,a,1e400,5e-324,on\n2026-01-01 00:00:01,a,0,0,on\n'
  const { frames, rejects } = createDecoder(format, context).push(Buffer.from(text), true)
  expect(rejects).toHaveLength(1)
  expect(frames.map(f => f.columns.map(c => c.name))).toEqual([['x', 'n', 'open']])
})
