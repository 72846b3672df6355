import fc from 'fast-check'
import { expect, it } from 'vitest'
import { roundSum } from '../src/exact-sum.ts'

it.each([
  [[], 0],
  [[{ units: 0n, exponent: 5 }], 0],
  [[{ units: 1n, exponent: -1074 }], 5e-324],
  [[{ units: 1n, exponent: -1075 }], 0],
  [[{ units: 3n, exponent: -1075 }], 1e-323],
  [[{ units: -3n, exponent: -1076 }], -5e-324],
  [[{ units: 1n, exponent: 1024 }], Number.POSITIVE_INFINITY],
  [[{ units: -1n, exponent: 1024 }], Number.NEGATIVE_INFINITY],
  [[{ units: 2n ** 53n - 1n, exponent: 971 }], Number.MAX_VALUE],
  [[{ units: 2n ** 53n + 1n, exponent: 0 }], 2 ** 53],
  [[{ units: 2n ** 53n + 3n, exponent: 0 }], 2 ** 53 + 4],
  [
    [
      { units: 1n, exponent: 1023 },
      { units: 1n, exponent: -1074 },
      { units: -1n, exponent: 1023 },
    ],
    5e-324,
  ],
])('case %#', (parts, sum) => {
  expect(roundSum(parts)).toBe(sum)
})

it('rounds once, as the number of a decimal text does', () => {
  const part = fc.record({
    units: fc.bigInt({ min: -(2n ** 90n), max: 2n ** 90n }),
    exponent: fc.integer({ min: -60, max: 60 }),
  })
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 8 }), parts => {
      // In units of 2^-60 the sum is whole; as a decimal fraction it is exact, and the engine reads that correctly rounded.
      const units = parts.reduce((sum, p) => sum + (p.units << BigInt(p.exponent + 60)), 0n)
      const text = `${units * 5n ** 60n}e-60`
      expect(roundSum(parts)).toBe(Number(text) + 0)
    }),
  )
})
