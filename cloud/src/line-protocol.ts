/**
 * InfluxDB line protocol, text to points: `measurement[,tag=value…] field=value[,…] [timestamp]`, one a line.
 *
 * As InfluxDB reads it (https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/):
 * - `\,` `\ ` `\=` in names and tags, `\"` `\\` in quoted text; before anything else a backslash is itself.
 * - Quoted text may hold new lines. Blank lines and lines that begin with `#` are passed over; `\r\n` ends a line too.
 * - `1` and `1.5e3` are floats, `1i` a signed and `1u` an unsigned 64-bit integer; `t` `true` … are booleans.
 * What InfluxDB would take in by guessing is refused: a tag or a field that stands twice, an empty name, NaN and Inf.
 */
import { isUtf8 } from 'node:buffer'
import { LIMITS } from '@penstock/frame'

/** A `bigint` where an integer lies beyond ±2^53, else a number. */
export type FieldKind = 'float' | 'int' | 'uint' | 'bool' | 'text'
export interface Field {
  name: string
  kind: FieldKind
  value: number | bigint | boolean | string
}
export interface Point {
  /** Of the first character, from 1. */
  line: number
  measurement: string
  /** Measurement and tags as they stand: equal for points of one series that are written alike. */
  head: string
  /** In the order in which they stand. */
  tags: { name: string; value: string }[]
  /** At least one. */
  fields: Field[]
  /** As it stands, in the unit of the request's precision. */
  timestamp?: bigint
}
/** A line that is none: what is wrong, what was expected. The next line is read on its own. */
export interface BadLine {
  line: number
  reason: string
  text: string
}

export const LINE_LIMITS = {
  tagsMax: 256,
  fieldsMax: 4096,
  nameCharsMax: 65_536,
  textCharsMax: LIMITS.textCharsMax,
} as const

const int64Min = -(2n ** 63n)
const int64Max = 2n ** 63n - 1n
const uint64Max = 2n ** 64n - 1n

class LineError extends Error {}

/** Points and bad lines in the order in which they stand; total. */
export function* parseLines(bytes: Uint8Array): Generator<Point | BadLine> {
  if (isUtf8(bytes)) {
    yield* parseText(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'), 1)
    return
  }
  // Only the lines that hold the broken bytes are lost to the reader.
  let line = 1
  for (let from = 0; from < bytes.length; line++) {
    const end = bytes.indexOf(newline, from)
    const piece = bytes.subarray(from, end < 0 ? bytes.length : end)
    from = end < 0 ? bytes.length : end + 1
    const text = Buffer.from(piece).toString('utf8')
    if (isUtf8(piece)) yield* parseText(text, line)
    else yield { line, reason: 'holds bytes that are not UTF-8', text }
  }
}

function* parseText(text: string, firstLine: number): Generator<Point | BadLine> {
  const reader = createReader(text, firstLine)
  while (reader.toNextLine()) {
    const { from, line } = reader.here()
    try {
      yield reader.point()
    } catch (error) {
      if (!(error instanceof LineError)) throw error
      reader.restart(from, line)
      const end = reader.skipLine()
      yield { line, reason: error.message, text: text.slice(from, end) }
    }
  }
}

const newline = 0x0a
const tab = 0x09
const carriageReturn = 0x0d
const space = 0x20
const quote = 0x22
const hash = 0x23
const comma = 0x2c
const equals = 0x3d
const backslash = 0x5c

const createReader = (text: string, firstLine: number) => {
  let at = 0
  let line = firstLine
  const end = text.length

  const isBlank = (code: number): boolean =>
    code === space || code === tab || code === 0 || (code === carriageReturn && atLineEnd(at + 1))
  const atLineEnd = (i: number): boolean => i >= end || text.charCodeAt(i) === newline
  const skipBlanks = (): boolean => {
    const from = at
    while (at < end && isBlank(text.charCodeAt(at))) at++
    return at > from
  }

  /** Reads up to an unescaped stop (which is not eaten), with what a backslash escapes there taken out of it. */
  const name = (what: string, stops: number, escapes: number): string => {
    let from = at
    let value = ''
    for (; at < end; at++) {
      const kind = kindOf(text.charCodeAt(at))
      if (kind === 0) continue
      if (kind === isBackslash && at + 1 < end && (kindOf(text.charCodeAt(at + 1)) & escapes) !== 0) {
        value += text.slice(from, at)
        from = ++at
      } else if ((kind & stops) !== 0) break
    }
    value += text.slice(from, at)
    if (value.endsWith('\r') && atLineEnd(at)) value = value.slice(0, -1)
    if (value === '') throw new LineError(`${what} is missing`)
    if (value.length > LINE_LIMITS.nameCharsMax) {
      throw new LineError(`${what} has more than ${LINE_LIMITS.nameCharsMax} characters`)
    }
    return value
  }
  const expectEquals = (what: string): void => {
    if (text.charCodeAt(at) !== equals || at >= end) throw new LineError(`${what} has no value: expected "="`)
    at++
  }

  const tags = (): Point['tags'] => {
    const found: Point['tags'] = []
    while (text.charCodeAt(at) === comma) {
      at++
      const key = name('the name of a tag', afterTag, inTag)
      expectEquals(`the tag "${shown(key)}"`)
      const value = name('the value of a tag', afterTag, inTag)
      if (text.charCodeAt(at) === equals)
        throw new LineError(`the value of the tag "${shown(key)}" holds a "=": write "\\="`)
      if (found.some(tag => tag.name === key)) throw new LineError(`the tag "${shown(key)}" stands twice`)
      if (found.length === LINE_LIMITS.tagsMax) throw new LineError(`has more than ${LINE_LIMITS.tagsMax} tags`)
      found.push({ name: key, value })
    }
    return found
  }

  const fields = (): Field[] => {
    const found: Field[] = []
    const seen = new Set<string>()
    for (;;) {
      const key = name('the name of a field', afterTag, inTag)
      expectEquals(`the field "${shown(key)}"`)
      if (seen.has(key)) throw new LineError(`the field "${shown(key)}" stands twice`)
      if (found.length === LINE_LIMITS.fieldsMax) throw new LineError(`has more than ${LINE_LIMITS.fieldsMax} fields`)
      seen.add(key)
      found.push(text.charCodeAt(at) === quote ? { name: key, kind: 'text', value: quoted(key) } : bare(key))
      if (text.charCodeAt(at) !== comma) return found
      at++
    }
  }

  const quoted = (key: string): string => {
    let from = ++at
    let value = ''
    for (; at < end; at++) {
      const code = text.charCodeAt(at)
      if (code === quote) break
      if (code === newline) line++
      if (code !== backslash) continue
      const next = text.charCodeAt(at + 1)
      if (next !== quote && next !== backslash) continue
      value += text.slice(from, at)
      from = ++at
    }
    if (at >= end) throw new LineError(`the text of the field "${shown(key)}" has no closing quote`)
    value += text.slice(from, at++)
    if (value.length > LINE_LIMITS.textCharsMax) {
      throw new LineError(`the text of the field "${shown(key)}" has more than ${LINE_LIMITS.textCharsMax} characters`)
    }
    return value
  }

  const bare = (key: string): Field => {
    const from = at
    while (at < end && (kindOf(text.charCodeAt(at)) & afterValue) === 0) at++
    return readValue(key, text.slice(from, at))
  }

  const timestamp = (): bigint | undefined => {
    const from = at
    while (at < end && (kindOf(text.charCodeAt(at)) & afterValue) === 0) at++
    if (at === from) return undefined
    const digits = text.slice(from, at)
    const value = /^-?\d{1,20}$/.test(digits) ? BigInt(digits) : undefined
    if (value === undefined || value < int64Min || value > int64Max) {
      throw new LineError(`the timestamp "${shown(digits)}" is no whole number of 64 bits`)
    }
    return value
  }

  const skipLine = (): number => {
    const found = text.indexOf('\n', at)
    at = found < 0 ? end : found
    return at
  }

  return {
    here: () => ({ from: at, line }),
    restart(from: number, atLine: number) {
      at = from
      line = atLine
    },
    skipLine,
    /** Goes to the first character of the next line that is to be read; false at the end. */
    toNextLine(): boolean {
      for (;;) {
        skipBlanks()
        if (at >= end) return false
        const code = text.charCodeAt(at)
        if (code === hash) skipLine()
        else if (code !== newline) return true
        if (at < end) {
          at++
          line++
        }
      }
    },
    point(): Point {
      const first = line
      const from = at
      const measurement = name('the measurement', afterMeasurement, inMeasurement)
      const point: Point = { line: first, measurement, head: '', tags: tags(), fields: [] }
      point.head = text.slice(from, at)
      if (!skipBlanks() || atLineEnd(at)) throw new LineError('has no fields: expected a space and name=value')
      point.fields = fields()
      if (skipBlanks() && !atLineEnd(at)) {
        const time = timestamp()
        if (time !== undefined) point.timestamp = time
        skipBlanks()
      }
      if (!atLineEnd(at))
        throw new LineError(
          `has "${shown(text.slice(at, text.indexOf('\n', at) + 1 || end).trimEnd())}" where it should end`,
        )
      return point
    },
  }
}

/** What a character may mean in a name: one bit each. */
const isComma = 1
const isEquals = 2
const isSpace = 4
const isNewline = 8
const isBackslash = 16
const isOtherBlank = 32
const kinds = new Uint8Array(128)
kinds[comma] = isComma
kinds[equals] = isEquals
kinds[space] = isSpace
kinds[newline] = isNewline
kinds[backslash] = isBackslash
kinds[tab] = isOtherBlank
kinds[carriageReturn] = isOtherBlank
const kindOf = (code: number): number => kinds[code] ?? 0
const inMeasurement = isComma | isSpace
const inTag = isComma | isEquals | isSpace
const afterMeasurement = isComma | isSpace | isNewline
const afterTag = isComma | isEquals | isSpace | isNewline
const afterValue = isComma | isSpace | isNewline | isOtherBlank
const shown = (text: string): string => (text.length > 64 ? `${text.slice(0, 64)}…` : text)

const numberPattern = /^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$/
const truths = new Map<string, boolean>([
  ...['t', 'T', 'true', 'True', 'TRUE'].map(text => [text, true] as const),
  ...['f', 'F', 'false', 'False', 'FALSE'].map(text => [text, false] as const),
])

const readValue = (name: string, text: string): Field => {
  const refuse = (why: string) => new LineError(`the value "${shown(text)}" of the field "${shown(name)}" ${why}`)
  const truth = truths.get(text)
  if (truth !== undefined) return { name, kind: 'bool', value: truth }
  const last = text.at(-1)
  if (last === 'i' || last === 'u') {
    const digits = text.slice(0, -1)
    if (!(last === 'i' ? /^[-+]?\d{1,20}$/ : /^\d{1,20}$/).test(digits)) throw refuse('is no integer')
    const kind = last === 'i' ? 'int' : 'uint'
    const small = Number(digits)
    if (Number.isSafeInteger(small)) return { name, kind, value: small + 0 }
    const value = BigInt(digits)
    if (last === 'i' ? value < int64Min || value > int64Max : value > uint64Max) throw refuse('has more than 64 bits')
    return { name, kind, value }
  }
  if (text === '') throw new LineError(`the field "${shown(name)}" has no value`)
  if (!numberPattern.test(text)) throw refuse('is neither number, true, false nor text in double quotes')
  const value = Number(text)
  if (!Number.isFinite(value)) throw refuse('is larger than a 64-bit float')
  return { name, kind: 'float', value }
}
