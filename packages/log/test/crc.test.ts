import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { crcOf, wordsOf } from '../src/crc.ts'

test('is the crc32 of zlib, for any bytes at any place', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 700 }), fc.nat(40), fc.nat(3), (payload, words, shift) => {
      const all = Buffer.alloc(shift + words * 4 + payload.length + 9, 0xaa).subarray(shift)
      all.set(payload, words * 4)
      expect(crcOf(all, wordsOf(all), words * 4, payload.length)).toBe(crc32(payload))
    }),
    { numRuns: 2000 },
  )
})
