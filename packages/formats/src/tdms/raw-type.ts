/**
 * The types of TDMS values (NI, "TDMS File Format Internal Structure"), by the numbers that stand in the file, and how
 * values of each are read from raw data.
 */

/** What becomes of a value: `wide` are 64-bit whole numbers, `unsized` types whose width the description does not give. */
export type Kind = 'none' | 'int' | 'wide' | 'float' | 'bool' | 'text' | 'stamp' | 'complex' | 'unsized' | 'daqmx'

export interface RawType {
  code: number
  name: string
  /** Bytes of a value; 0 where values have no fixed width. */
  size: number
  kind: Kind
}

const list: [number, string, number, Kind][] = [
  [0, 'void', 0, 'none'],
  [1, 'int8', 1, 'int'],
  [2, 'int16', 2, 'int'],
  [3, 'int32', 4, 'int'],
  [4, 'int64', 8, 'wide'],
  [5, 'uint8', 1, 'int'],
  [6, 'uint16', 2, 'int'],
  [7, 'uint32', 4, 'int'],
  [8, 'uint64', 8, 'wide'],
  [9, 'float32', 4, 'float'],
  [10, 'float64', 8, 'float'],
  [11, 'extended float', 0, 'unsized'],
  [0x19, 'float32 with unit', 4, 'float'],
  [0x1a, 'float64 with unit', 8, 'float'],
  [0x1b, 'extended float with unit', 0, 'unsized'],
  [0x20, 'string', 0, 'text'],
  [0x21, 'boolean', 1, 'bool'],
  [0x44, 'timestamp', 16, 'stamp'],
  [0x4f, 'fixed point', 0, 'unsized'],
  [0x08000c, 'complex float32', 8, 'complex'],
  [0x10000d, 'complex float64', 16, 'complex'],
  [0xffffffff, 'DAQmx raw data', 0, 'daqmx'],
]
const types = new Map(list.map(([code, name, size, kind]) => [code, { code, name, size, kind } satisfies RawType]))
export const rawTypeOf = (code: number): RawType | undefined => types.get(code)

/** Types of DAQmx scalers by their own numbers. */
const daqmxCodes = [5, 1, 6, 2, 7, 3, 8, 4, 9, 10]
export const daqmxTypeOf = (code: number): RawType | undefined => types.get(daqmxCodes[code] ?? -1)

/** A 64-bit whole number that no double holds: its row, and the number as text. */
export type OnWide = (row: number, text: string) => void

const TWO_32 = 4_294_967_296

/** Reads `count` numbers, `step` bytes apart from `at` on, into out[outAt…]. What is beyond 2^53 becomes NaN and is told. */
export const readNumbers = (
  code: number,
  view: DataView,
  at: number,
  step: number,
  count: number,
  little: boolean,
  out: Float64Array,
  outAt: number,
  onWide: OnWide,
): void => {
  let p = at
  const end = outAt + count
  switch (code) {
    case 1:
      for (let i = outAt; i < end; i++, p += step) out[i] = view.getInt8(p)
      return
    case 2:
      for (let i = outAt; i < end; i++, p += step) out[i] = view.getInt16(p, little)
      return
    case 3:
      for (let i = outAt; i < end; i++, p += step) out[i] = view.getInt32(p, little)
      return
    case 4:
    case 8:
      for (let i = outAt; i < end; i++, p += step) out[i] = wideAt(view, p, little, code === 4, i, onWide)
      return
    case 5:
    case 0x21:
      for (let i = outAt; i < end; i++, p += step) out[i] = view.getUint8(p)
      return
    case 6:
      for (let i = outAt; i < end; i++, p += step) out[i] = view.getUint16(p, little)
      return
    case 7:
      for (let i = outAt; i < end; i++, p += step) out[i] = view.getUint32(p, little)
      return
    case 9:
    case 0x19:
    case 0x08000c:
      for (let i = outAt; i < end; i++, p += step) out[i] = view.getFloat32(p, little)
      return
    default:
      for (let i = outAt; i < end; i++, p += step) out[i] = view.getFloat64(p, little)
  }
}

const wideAt = (view: DataView, p: number, little: boolean, signed: boolean, row: number, onWide: OnWide): number => {
  const high = signed ? view.getInt32(little ? p + 4 : p, little) : view.getUint32(little ? p + 4 : p, little)
  const value = high * TWO_32 + view.getUint32(little ? p : p + 4, little)
  if (Number.isSafeInteger(value)) return value
  onWide(row, String(signed ? view.getBigInt64(p, little) : view.getBigUint64(p, little)))
  return Number.NaN
}

/** Seconds from 1904-01-01 to 1970-01-01. */
const EPOCH_S = 2_082_844_800n
/** Years 1 to 9999: what a time of ours may be. */
const secondsMin = -62_135_596_800n
const secondsMax = 253_402_300_799n

/** A timestamp: ns since 1970 to the nearest, 'zero' where it was never set (1904-01-01), `undefined` where no calendar has it. */
export const stampAt = (view: DataView, p: number, little: boolean): bigint | 'zero' | undefined => {
  const seconds = view.getBigInt64(little ? p + 8 : p, little)
  const fraction = view.getBigUint64(little ? p : p + 8, little)
  if (seconds === 0n && fraction === 0n) return 'zero'
  const unix = seconds - EPOCH_S
  if (unix < secondsMin || unix > secondsMax) return undefined
  return unix * 1_000_000_000n + ((fraction * 1_000_000_000n + (1n << 63n)) >> 64n)
}

/**
 * The same for many: leaves ms since 1970 in at[0] and ns below a ms in at[1], without bigints; false where it is no time.
 */
export const stampParts = (view: DataView, p: number, little: boolean, at: Float64Array): boolean => {
  const whole = little ? p + 8 : p
  const part = little ? p : p + 8
  const high = view.getInt32(little ? whole + 4 : whole, little)
  const seconds = high * TWO_32 + view.getUint32(little ? whole : whole + 4, little) - 2_082_844_800
  if (!(seconds >= -62_135_596_800 && seconds <= 253_402_300_799)) return false
  const upper = view.getUint32(little ? part + 4 : part, little)
  const lower = view.getUint32(little ? part : part + 4, little)
  if (high === 0 && seconds === -2_082_844_800 && upper === 0 && lower === 0) return false
  // Each of the terms is exact or far below a ns; their sum is off by less than 1e-6 ns.
  const exact = ((upper >>> 16) * 1e9) / 65_536 + ((upper & 0xffff) * 1e9) / TWO_32 + (lower * 1e9) / TWO_32 / TWO_32
  const rest = exact - Math.floor(exact)
  let ns = Math.round(exact)
  if (Math.abs(rest - 0.5) < 1e-5) {
    const fraction = (BigInt(upper) << 32n) | BigInt(lower)
    ns = Number((fraction * 1_000_000_000n + (1n << 63n)) >> 64n)
  }
  const ms = Math.floor(ns / 1e6)
  at[0] = seconds * 1000 + ms
  at[1] = ns - ms * 1e6
  return true
}
