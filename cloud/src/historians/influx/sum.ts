/** Adds doubles without rounding, as `exact-sum.ts` holds them: one pair of plain numbers for each exponent. */
import { roundSum, type Scaled } from '../../exact-sum.ts'

export interface ExactSum {
  /** A finite number. */
  add(value: number): void
  /** Rounded once, to the nearest double. */
  value(): number
}

const bits = new DataView(new ArrayBuffer(8))
/** High and low words of significands, below 2^21 and 2^32: so many of them add up below 2^53. */
const addsMax = 2 ** 20

export const createExactSum = (): ExactSum => {
  const byExponent = new Map<number, { high: number; low: number; adds: number; units: bigint }>()
  const flush = (part: { high: number; low: number; adds: number; units: bigint }) => {
    part.units += (BigInt(part.high) << 32n) + BigInt(part.low)
    part.high = 0
    part.low = 0
    part.adds = 0
  }
  return {
    add(value) {
      bits.setFloat64(0, value)
      const word = bits.getUint32(0)
      const sign = word >>> 31 === 1 ? -1 : 1
      const biased = (word >>> 20) & 0x7ff
      const exponent = Math.max(1, biased)
      let part = byExponent.get(exponent)
      if (!part) {
        part = { high: 0, low: 0, adds: 0, units: 0n }
        byExponent.set(exponent, part)
      }
      part.high += sign * ((word & 0xfffff) | (biased === 0 ? 0 : 0x100000))
      part.low += sign * bits.getUint32(4)
      if (++part.adds >= addsMax) flush(part)
    },
    value() {
      const parts: Scaled[] = []
      for (const [exponent, part] of byExponent) {
        flush(part)
        parts.push({ units: part.units, exponent: exponent - 1075 })
      }
      return roundSum(parts)
    },
  }
}
