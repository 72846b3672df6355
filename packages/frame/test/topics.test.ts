import fc from 'fast-check'
import { expect, test } from 'vitest'
import { framesTopic, parseTopic, readingsTopic, receiptTopic, statusTopic } from '../src/index.ts'

const name = fc.string({ minLength: 1, unit: 'grapheme', maxLength: 10 }).filter(s => s !== 'readings')

test('each topic reads back as what it was built from, whatever the names hold', () => {
  fc.assert(
    fc.property(name, name, name, fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (a, b, c, seq) => {
      expect(parseTopic(framesTopic(a, 'Ep_1-x', seq))).toEqual({ kind: 'frames', gateway: a, epoch: 'Ep_1-x', seq })
      expect(parseTopic(receiptTopic(a))).toEqual({ kind: 'receipt', gateway: a })
      expect(parseTopic(statusTopic(a))).toEqual({ kind: 'status', gateway: a })
      expect(parseTopic(readingsTopic(a, b, c))).toEqual({ kind: 'readings', site: a, device: b, stream: c })
      expect(readingsTopic(a, b, c).split('/')).toHaveLength(6)
      expect(readingsTopic(a, b, c)).not.toMatch(/[+#]/)
    }),
  )
})

test.each([
  'penstock/v1',
  'penstock/v1//status',
  'penstock/v2/g/status',
  'penstock/v1/g/frames/e/0',
  'penstock/v1/g/frames/e/01',
  'penstock/v1/g/frames/e/-1',
  'penstock/v1/g/frames/e/9007199254740993',
  'penstock/v1/g/frames/a b/1',
  'penstock/v1/g/frames/e/1/2',
  'penstock/v1/readings/a//c',
  'penstock/v1/readings/a/b',
  'other/thing',
])('%s is none of ours', topic => {
  expect(parseTopic(topic)).toBeUndefined()
})
