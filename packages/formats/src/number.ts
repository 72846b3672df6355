/** Decimal text in bytes to doubles, bit for bit as `Number(text)` reads it. */

/** 1e0 … 1e22: the powers of ten that a double holds exactly. */
export const POW10 = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`))

const plain = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/

/**
 * The number that the bytes spell, or NaN where they spell none.
 *
 * A mantissa below 2^53 and a power of ten within 1e±22 are both exact doubles, so one multiplication or division rounds
 * once and correctly (Clinger 1990); whatever is longer goes through `Number`.
 *
 * @param decimal the byte of the decimal mark
 */
export const readNumber = (bytes: Uint8Array, start: number, end: number, decimal: number): number => {
  let p = start
  let c = bytes[p] as number
  const negative = c === 45
  if (negative || c === 43) p++
  let mantissa = 0
  let digits = 0
  let significant = 0
  let exponent = 0
  let seenMark = false
  for (; p < end; p++) {
    c = bytes[p] as number
    const d = c - 48
    if (d >= 0 && d <= 9) {
      digits++
      if (significant > 0 || d > 0) significant++
      mantissa = mantissa * 10 + d
      if (seenMark) exponent--
    } else if (c === decimal && !seenMark) seenMark = true
    else break
  }
  if (digits === 0) return Number.NaN
  if (p < end) {
    if ((c | 32) !== 101) return Number.NaN
    c = bytes[++p] as number
    const down = c === 45
    if (down || c === 43) p++
    let e = 0
    const from = p
    for (; p < end; p++) {
      const d = (bytes[p] as number) - 48
      if (d < 0 || d > 9) return Number.NaN
      if (e < 100_000) e = e * 10 + d
    }
    if (p === from) return Number.NaN
    exponent += down ? -e : e
  }
  if (significant > 15 || exponent > 22 || exponent < -22) return readLong(bytes, start, end, decimal)
  const value = exponent < 0 ? mantissa / (POW10[-exponent] as number) : mantissa * (POW10[exponent] as number)
  return negative ? -value : value
}

/** As `readNumber`, with a decimal point or a decimal comma. */
export const readEitherNumber = (bytes: Uint8Array, start: number, end: number): number => {
  const value = readNumber(bytes, start, end, 46)
  return Number.isNaN(value) ? readNumber(bytes, start, end, 44) : value
}

const readLong = (bytes: Uint8Array, start: number, end: number, decimal: number): number => {
  let text = ''
  for (let i = start; i < end; i++) text += bytes[i] === decimal ? '.' : String.fromCharCode(bytes[i] as number)
  return plain.test(text) ? Number(text) : Number.NaN
}

const notANumber = /^[+-]?(?:nan|inf|infinity)$/i
/** Whether a text says in words that there is no number: NaN, inf, -Infinity. */
export const saysNotANumber = (text: string): boolean => notANumber.test(text)
