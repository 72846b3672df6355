/**
 * What the values of a Parquet column mean: numbers, texts, times. After the format's public description ("Logical
 * types"), the older converted types among it.
 */
import { formatNs } from '@penstock/frame'
import type { SchemaElement } from 'hyparquet/src/types.js'
import { inRange, LOCAL_TIME, NO_TIME, type Reading, UTC_TIME } from '../time-layout.ts'
import type { Values } from './values.ts'

export type Kind = 'float' | 'int' | 'bool' | 'text' | 'timestamp' | 'date' | 'clock'

export interface Logical {
  kind: Kind
  /** Numbers are as they stand in `values`. */
  isPlain?: boolean
  /** Texts are the bytes as they stand in `values`. */
  isText?: boolean
  /** The number at a place; NaN where it is none that a double holds exactly (a 64-bit integer beyond 2^53). */
  number(values: Values, i: number): number
  /** As text, exact at any size. Times are ISO 8601: with Z where they are UTC, without where they are local. */
  text(values: Values, i: number): string
  /** Leaves ms and ns as a reader of layouts does; set for timestamps and dates. */
  time?(values: Values, i: number, at: Float64Array): Reading
}

/** The meaning of a leaf, or one sentence's end that says why it is not read. */
export const logicalOf = (element: SchemaElement): Logical | string => {
  const { type, converted_type: converted, logical_type: logical } = element
  const name = logical?.type ?? converted
  if (name === 'DECIMAL') {
    const scale = (logical?.type === 'DECIMAL' ? logical.scale : element.scale) ?? 0
    return scale >= 0 && scale <= 64 ? decimal(scale) : `is a decimal of scale ${scale}`
  }
  if (name === 'INTERVAL' || name === 'BSON' || name === 'VARIANT' || name === 'GEOMETRY' || name === 'GEOGRAPHY') {
    return `holds values of type ${name.toLowerCase()}`
  }
  switch (type) {
    case 'BOOLEAN':
      return { kind: 'bool', number: plainNumber, text: (v, i) => (plainNumber(v, i) ? 'true' : 'false') }
    case 'FLOAT':
    case 'DOUBLE':
      return { kind: 'float', isPlain: true, number: plainNumber, text: numberText }
    case 'INT32':
      if (name === 'DATE') return date
      if (logical?.type === 'TIME' || converted === 'TIME_MILLIS') return clock(6)
      return isUnsigned(element) ? unsigned32 : { kind: 'int', isPlain: true, number: plainNumber, text: numberText }
    case 'INT64':
      if (logical?.type === 'TIMESTAMP') return timestamp(unitDigits[logical.unit], logical.isAdjustedToUTC)
      if (converted === 'TIMESTAMP_MILLIS') return timestamp(6, true)
      if (converted === 'TIMESTAMP_MICROS') return timestamp(3, true)
      if (logical?.type === 'TIME') return clock(unitDigits[logical.unit])
      if (converted === 'TIME_MICROS') return clock(3)
      return isUnsigned(element) ? unsigned64 : signed64
    case 'INT96':
      return timestamp96
    case 'BYTE_ARRAY':
      return text
    case 'FIXED_LEN_BYTE_ARRAY':
      if (name === 'FLOAT16') return { kind: 'float', number: half, text: (v, i) => String(half(v, i)) }
      return name === 'UUID'
        ? { ...text, isText: false, text: uuidText }
        : 'holds bytes that are neither text nor number'
    default:
      return 'has a type that is not known'
  }
}

/** Digits of ns that one of the unit has. */
const unitDigits = { MILLIS: 6, MICROS: 3, NANOS: 0 } as const
type UnitDigits = 0 | 3 | 6

const isUnsigned = ({ converted_type: converted, logical_type: logical }: SchemaElement): boolean =>
  logical?.type === 'INTEGER' ? !logical.isSigned : converted?.startsWith('UINT_') === true

const plainNumber = (values: Values, i: number): number =>
  values.type === 'numbers' ? (values.numbers[i] as number) : Number.NaN
const numberText = (values: Values, i: number): string => String(plainNumber(values, i))
const unsigned32: Logical = {
  kind: 'int',
  number: (values, i) => plainNumber(values, i) >>> 0,
  text: (values, i) => String(plainNumber(values, i) >>> 0),
}

const low = (values: Values, i: number): number =>
  values.type === 'longs' ? (values.halves[2 * i] as number) >>> 0 : Number.NaN
const high = (values: Values, i: number): number =>
  values.type === 'longs' ? (values.halves[2 * i + 1] as number) : Number.NaN
const long = (values: Values, i: number): bigint => (BigInt(high(values, i)) << 32n) | BigInt(low(values, i))
const exact = (hi: number, lo: number): number => {
  const value = hi * 4_294_967_296 + lo
  return Number.isSafeInteger(value) ? value : Number.NaN
}
const signed64: Logical = {
  kind: 'int',
  number: (values, i) => exact(high(values, i), low(values, i)),
  text: (values, i) => long(values, i).toString(),
}
const unsigned64: Logical = {
  kind: 'int',
  number: (values, i) => exact(high(values, i) >>> 0, low(values, i)),
  text: (values, i) => BigInt.asUintN(64, long(values, i)).toString(),
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const bytesOf = (values: Values, i: number): Uint8Array =>
  values.type === 'bytes' ? values.bytes.subarray(values.starts[i], values.ends[i]) : new Uint8Array(0)
const text: Logical = {
  kind: 'text',
  isText: true,
  number: () => Number.NaN,
  text: (v, i) => decoder.decode(bytesOf(v, i)),
}
const uuidText = (values: Values, i: number): string =>
  Buffer.from(bytesOf(values, i))
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.*)$/, '$1-$2-$3-$4-$5')

const half = (values: Values, i: number): number => {
  const [a = 0, b = 0] = bytesOf(values, i)
  const exponent = (b >> 2) & 31
  const fraction = ((b & 3) << 8) | a
  const size =
    exponent === 31
      ? fraction === 0
        ? Number.POSITIVE_INFINITY
        : Number.NaN
      : exponent === 0
        ? 2 ** -24 * fraction
        : 2 ** (exponent - 25) * (1024 + fraction)
  return b & 128 ? -size : size
}

/** Whole numbers of 10^-scale: the double nearest to the decimal, and its digits. */
const decimal = (scale: number): Logical => {
  const unscaled = (values: Values, i: number): bigint => {
    if (values.type === 'numbers') return BigInt(plainNumber(values, i))
    if (values.type === 'longs') return long(values, i)
    const bytes = bytesOf(values, i)
    const hex = Buffer.from(bytes).toString('hex')
    return hex === '' ? 0n : BigInt.asIntN(8 * bytes.length, BigInt(`0x${hex}`))
  }
  const digitsOf = (values: Values, i: number): string => {
    const value = unscaled(values, i)
    const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, '0')
    const whole = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`
    return value < 0n ? `-${whole}` : whole
  }
  const power = 10 ** scale
  const number = (values: Values, i: number): number => {
    // Both are exact doubles: one division rounds once.
    if (values.type === 'numbers' && scale <= 22) return plainNumber(values, i) / power
    const safe = values.type === 'longs' && scale <= 22 ? exact(high(values, i), low(values, i)) : Number.NaN
    return Number.isNaN(safe) ? Number(digitsOf(values, i)) : safe / power
  }
  return { kind: 'float', number, text: digitsOf }
}

const isoOf = (ms: number, ns: number): string => formatNs(BigInt(ms) * 1_000_000n + BigInt(ns)).slice(0, -1)

const timestamp = (digits: UnitDigits, isUtc: boolean): Logical => {
  // 2^32 of the unit in ms, and what is left of the unit.
  const perMs = digits === 6 ? 1 : digits === 3 ? 1000 : 1_000_000
  const wholeMs = Math.floor(4_294_967_296 / perMs)
  const rest = 4_294_967_296 - wholeMs * perMs
  const nsPer = 10 ** digits
  const found = isUtc ? UTC_TIME : LOCAL_TIME
  const time = (values: Values, i: number, at: Float64Array): Reading => {
    const hi = high(values, i)
    const parts = hi * rest + low(values, i)
    const carry = Math.floor(parts / perMs)
    const ms = hi * wholeMs + carry
    at[0] = ms
    at[1] = (parts - carry * perMs) * nsPer
    return inRange(ms) ? found : NO_TIME
  }
  const at = new Float64Array(2)
  return {
    kind: 'timestamp',
    time,
    number: () => Number.NaN,
    text: (values, i) =>
      time(values, i, at) === NO_TIME
        ? signed64.text(values, i)
        : `${isoOf(at[0] as number, at[1] as number)}${isUtc ? 'Z' : ''}`,
  }
}

/** Days since 1970 and ns of the day in 12 bytes, as older writers of Spark and Impala keep UTC times. */
const timestamp96: Logical = (() => {
  const time = (values: Values, i: number, at: Float64Array): Reading => {
    const bytes = bytesOf(values, i)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const ns = view.getBigInt64(0, true)
    const ms = (view.getInt32(8, true) - 2_440_588) * 86_400_000 + Number(ns / 1_000_000n)
    at[0] = ms
    at[1] = Number(ns % 1_000_000n)
    return ns >= 0n && inRange(ms) ? UTC_TIME : NO_TIME
  }
  const at = new Float64Array(2)
  return {
    kind: 'timestamp',
    time,
    number: () => Number.NaN,
    text: (values, i) =>
      time(values, i, at) === NO_TIME ? 'a time of no calendar' : `${isoOf(at[0] as number, at[1] as number)}Z`,
  }
})()

const date: Logical = (() => {
  const time = (values: Values, i: number, at: Float64Array): Reading => {
    const ms = plainNumber(values, i) * 86_400_000
    at[0] = ms
    at[1] = 0
    return inRange(ms) ? LOCAL_TIME : NO_TIME
  }
  const at = new Float64Array(2)
  return {
    kind: 'date',
    time,
    number: () => Number.NaN,
    text: (values, i) =>
      time(values, i, at) === NO_TIME ? numberText(values, i) : isoOf(at[0] as number, 0).slice(0, 10),
  }
})()

/** Time of day, HH:mm:ss and the digits that it has. */
const clock = (digits: UnitDigits): Logical => {
  const text = (values: Values, i: number): string => {
    const count = values.type === 'longs' ? long(values, i) : BigInt(plainNumber(values, i))
    const ns = count * BigInt(10 ** digits)
    return ns >= 0n && ns < 86_400_000_000_000n ? formatNs(ns).slice(11, -1) : count.toString()
  }
  return { kind: 'clock', number: () => Number.NaN, text }
}
