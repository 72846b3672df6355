import { POW10 } from './number.ts'

const LF = 10
const CR = 13
const exactMax = Number.MAX_SAFE_INTEGER

/** A whole number is asked for: a mark or an exponent is refused. */
export const PLAIN_INT = 1
/** An empty cell is a hole. */
export const PLAIN_EMPTY = 2

/**
 * Reads the number that begins at `from` and ends with its cell into target[at]. Returns the position of the byte behind
 * it, a delimiter or line end; −1 where the cell is anything but a plain number that a double holds exactly on the way.
 *
 * The bytes must hold a line end behind `from`: nothing else ends the search.
 *
 * @param decimal byte of the decimal mark
 * @param flags PLAIN_INT, PLAIN_EMPTY
 */
export const readPlainNumber = (
  bytes: Uint8Array,
  from: number,
  target: Float64Array,
  at: number,
  delimiter: number,
  decimal: number,
  flags: number,
): number => {
  let p = from
  let c = bytes[p] as number
  const negative = c === 45
  if (negative) c = bytes[++p] as number
  const first = p
  // Up to nine digits fit 32 bits, in which adding a digit is far quicker than in a double.
  let whole = 0
  let d = c ^ 48
  while (d <= 9) {
    whole = (Math.imul(whole, 10) + d) | 0
    c = bytes[++p] as number
    d = c ^ 48
  }
  let digits = p - first
  let value: number = whole
  let exponent = 0
  if (c === decimal && (flags & PLAIN_INT) === 0) {
    const fractionFrom = ++p
    let fraction = 0
    c = bytes[p] as number
    d = c ^ 48
    while (d <= 9) {
      fraction = (Math.imul(fraction, 10) + d) | 0
      c = bytes[++p] as number
      d = c ^ 48
    }
    exponent = fractionFrom - p
    if (exponent < -22 || p - first === 1) return -1
    value = whole * (POW10[-exponent] as number) + fraction
    if (digits <= 9) digits = -exponent
  } else if (digits === 0) {
    if (negative || (flags & PLAIN_EMPTY) === 0) return -1
    value = Number.NaN
  }
  if (digits > 9) value = manyDigits(bytes, first, p)
  if (value > exactMax) return -1
  if ((c | 32) === 101 && (flags & PLAIN_INT) === 0 && p > first) {
    c = bytes[++p] as number
    const down = c === 45
    if (down || c === 43) c = bytes[++p] as number
    const exponentFrom = p
    let e = 0
    d = c ^ 48
    while (d <= 9) {
      e = (Math.imul(e, 10) + d) | 0
      c = bytes[++p] as number
      d = c ^ 48
    }
    if (p === exponentFrom || p - exponentFrom > 4) return -1
    exponent += down ? -e : e
  }
  if (c !== delimiter && c !== LF && c !== CR) return -1
  if (exponent < 0) {
    if (exponent < -22) return -1
    value /= POW10[-exponent] as number
  } else if (exponent > 0) {
    if (exponent > 22) return -1
    value *= POW10[exponent] as number
  }
  target[at] = negative ? -value : value
  return p
}

/** The digits of bytes[from, to) as one number; exact up to 2^53. */
const manyDigits = (bytes: Uint8Array, from: number, to: number): number => {
  let value = 0
  for (let p = from; p < to; p++) {
    const digit = (bytes[p] as number) ^ 48
    if (digit <= 9) value = value * 10 + digit
  }
  return value
}
