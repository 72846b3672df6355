/**
 * Sums of doubles without rounding on the way: the same digits in whatever order the values come. A sum is held as a whole
 * number of units of 2^exponent and rounded once, to the nearest double, ties to even.
 */

/** A whole number of units of 2^exponent. */
export interface Scaled {
  units: bigint
  exponent: number
}

/** The nearest double of the sum of the parts; ±Infinity beyond the largest double. */
export const roundSum = (parts: readonly Scaled[]): number => {
  if (parts.length === 0) return 0
  const exponent = Math.min(...parts.map(part => part.exponent))
  let units = 0n
  for (const part of parts) units += part.units << BigInt(part.exponent - exponent)
  return toNumber(units, exponent)
}

const significandBits = 53
/** Weight of the last bit of the smallest double. */
const exponentMin = -1074

const toNumber = (units: bigint, exponent: number): number => {
  let size = units < 0n ? -units : units
  if (size === 0n) return 0
  const lastBit = Math.max(exponent + size.toString(2).length - significandBits, exponentMin)
  const dropped = BigInt(Math.max(0, lastBit - exponent))
  if (dropped > 0n) {
    const rest = size & ((1n << dropped) - 1n)
    const half = 1n << (dropped - 1n)
    size >>= dropped
    if (rest > half || (rest === half && (size & 1n) === 1n)) size += 1n
  }
  // From here on nothing is rounded: at most 53 bits, scaled by powers of two.
  let value = Number(units < 0n ? -size : size)
  for (let left = exponent + Number(dropped); left !== 0; ) {
    const step = Math.max(-1000, Math.min(1000, left))
    value *= 2 ** step
    left -= step
  }
  return value
}
