import { POW10 } from './number.ts'

const LF = 10
const CR = 13
const exactMax = Number.MAX_SAFE_INTEGER

/** A whole number is asked for: a mark or an exponent is refused. */
export const PLAIN_INT = 1
/** An empty cell is a hole. */
export const PLAIN_EMPTY = 2

/**
 * Reads the number that begins at `from` and ends with its cell into target[at], whatever its form: without digits before
 * the mark, with many digits, with an exponent; or an empty cell. Returns the position of the byte behind it, a delimiter
 * or line end; −1 where the cell is no plain number, or none that a double holds exactly on the way.
 *
 * The bytes must hold a line end behind `from`: nothing else ends the search.
 *
 * @param decimal byte of the decimal mark
 * @param flags PLAIN_INT, PLAIN_EMPTY
 */
export const readOddNumber = (
  bytes: Uint8Array,
  from: number,
  target: Float64Array,
  at: number,
  delimiter: number,
  decimal: number,
  flags: number,
): number => {
  const negative = bytes[from] === 45
  const first = negative ? from + 1 : from
  const isInt = (flags & PLAIN_INT) !== 0
  let p = digitsEnd(bytes, first)
  let exponent = 0
  if (bytes[p] === decimal && !isInt) {
    const end = digitsEnd(bytes, p + 1)
    if (end - first === 1) return -1
    exponent = p + 1 - end
    p = end
  }
  let value = digitsOf(bytes, first, p)
  if (p === first) {
    if (negative || (flags & PLAIN_EMPTY) === 0) return -1
    value = Number.NaN
  } else if (((bytes[p] as number) | 32) === 101 && !isInt) {
    const down = bytes[p + 1] === 45
    const powerFrom = down || bytes[p + 1] === 43 ? p + 2 : p + 1
    p = digitsEnd(bytes, powerFrom)
    if (p === powerFrom || p - powerFrom > 4) return -1
    exponent += (down ? -1 : 1) * digitsOf(bytes, powerFrom, p)
  }
  const c = bytes[p] as number
  if ((c !== delimiter && c !== LF && c !== CR) || value > exactMax || exponent < -22 || exponent > 22) return -1
  if (exponent < 0) value /= POW10[-exponent] as number
  else value *= POW10[exponent] as number
  target[at] = negative ? -value : value
  return p
}

const digitsEnd = (bytes: Uint8Array, from: number): number => {
  let p = from
  while (((bytes[p] as number) ^ 48) <= 9) p++
  return p
}

/** The digits of bytes[from, to) as one number; exact up to 2^53. */
const digitsOf = (bytes: Uint8Array, from: number, to: number): number => {
  let value = 0
  for (let p = from; p < to; p++) {
    const digit = (bytes[p] as number) ^ 48
    if (digit <= 9) value = value * 10 + digit
  }
  return value
}
