/** Bytes as people write them in a configuration: text with escapes, e.g. `READ?\r\n`, `\x02`, `\xaa\x55`. */
import * as z from 'zod'

const named: Record<string, number> = { r: 13, n: 10, t: 9, '0': 0, '\\': 92, e: 27 }

/** The bytes of a text with escapes (other characters in UTF-8), or one sentence that says what is wrong with it. */
const parse = (text: string): Buffer | string => {
  const parts: Buffer[] = []
  const pattern = /\\x([0-9a-fA-F]{2})|\\(.)|[^\\]+|\\$/gsu
  for (const [part, hex, name] of text.matchAll(pattern)) {
    const byte = hex !== undefined ? Number.parseInt(hex, 16) : name !== undefined ? named[name] : undefined
    if (byte !== undefined) parts.push(Buffer.from([byte]))
    else if (part.startsWith('\\')) {
      return `"${part}" is no escape: known are \\r \\n \\t \\0 \\e \\xHH with two hexadecimal digits, and \\\\ for a backslash`
    } else parts.push(Buffer.from(part))
  }
  return Buffer.concat(parts)
}

/** A schema for such a text of at most `charsMax` characters; its output is the text as it was written. */
export const escapedText = (charsMin: number, charsMax: number) =>
  z
    .string()
    .min(charsMin)
    .max(charsMax)
    .check(ctx => {
      const parsed = parse(ctx.value)
      if (typeof parsed === 'string') ctx.issues.push({ code: 'custom', input: ctx.value, message: parsed })
    })

/** The bytes of a text that `escapedText` has checked. */
export const bytesOf = (text: string): Buffer => {
  const parsed = parse(text)
  if (typeof parsed === 'string') throw new TypeError(parsed)
  return parsed
}
