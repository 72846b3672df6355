/** One call of `append` as records: encoded when it comes, given its place and numbers when it is written. */
import { crc32 } from 'node:zlib'
import { LogRangeError } from './errors.ts'
import { BEGIN, END, putRecordHead, RECORD_HEAD_BYTES, recordBytes, STATE } from './segment.ts'

export interface EncodedCall {
  /** The records, with room for their heads. */
  bytes: Uint8Array
  /** Of each record: size of the payload, crc32 of it, flags. */
  sizes: Uint32Array
  crcs: Uint32Array
  flags: Uint8Array
  /** Changes of the state as JSON. */
  changes: string | undefined
  entries: number
}

export interface Call extends EncodedCall {
  /** The number of its last entry, or of the one before where it has none; known when it is stamped. */
  lastSeq: number
  resolve: (seq: number) => void
  reject: (error: Error) => void
}

interface CallLimits {
  entryBytesMax: number
  stateBytesMax: number
}

/** Copies the bodies. State changes stand in front of them and behind them, so that one damaged bit loses none. */
export const encodeCall = (
  bodies: readonly Uint8Array[],
  state: Readonly<Record<string, unknown>> | undefined,
  limits: CallLimits,
): EncodedCall => {
  const changes = state && Object.keys(state).length > 0 ? encodeChanges(state, limits.stateBytesMax) : undefined
  const payloads: readonly Uint8Array[] = changes ? [changes, ...bodies, changes] : bodies
  const count = payloads.length
  let total = 0
  for (const payload of payloads) total += recordBytes(payload.length)
  const bytes = Buffer.allocUnsafeSlow(total)
  const sizes = new Uint32Array(count)
  const crcs = new Uint32Array(count)
  const flags = new Uint8Array(count)
  let at = 0
  for (let i = 0; i < count; i++) {
    const payload = payloads[i] as Uint8Array
    if (payload !== changes && payload.length > limits.entryBytesMax) {
      throw new LogRangeError(
        `a body has ${payload.length} bytes, more than entryBytesMax (${limits.entryBytesMax}) allows`,
      )
    }
    bytes.set(payload, at + RECORD_HEAD_BYTES)
    sizes[i] = payload.length
    crcs[i] = crc32(payload)
    flags[i] = payload === changes ? STATE : 0
    at += recordBytes(payload.length)
  }
  if (count > 0) {
    flags[0] = (flags[0] as number) | BEGIN
    flags[count - 1] = (flags[count - 1] as number) | END
  }
  return { bytes, sizes, crcs, flags, changes: changes?.toString('utf8'), entries: bodies.length }
}

const encodeChanges = (state: Readonly<Record<string, unknown>>, bytesMax: number): Buffer => {
  const texts = Object.entries(state).map(([key, value]) => `${JSON.stringify(key)}:${jsonOf(key, value)}`)
  const bytes = Buffer.from(`{${texts.join(',')}}`, 'utf8')
  if (bytes.length > bytesMax) {
    throw new LogRangeError(
      `the state changes have ${bytes.length} bytes, more than stateBytesMax (${bytesMax}) allows`,
    )
  }
  return bytes
}

/** `null` would delete the key: what is no JSON must not become it. */
const jsonOf = (key: string, value: unknown): string => {
  if (value === null || value === undefined) return 'null'
  try {
    const text = JSON.stringify(value)
    if (text !== undefined && text !== 'null') return text
  } catch {
    // Told below.
  }
  throw new LogRangeError(`the state "${key}" is not a value that JSON can hold`)
}

/** Gives each record its place and number. May be done again for another place. */
export const stampCall = (call: EncodedCall, seed: number, offset: number, seq: number, firstFlag: number): void => {
  const { bytes, sizes, crcs, flags } = call
  let at = 0
  let next = seq
  for (let i = 0; i < sizes.length; i++) {
    const size = sizes[i] as number
    const flag = (flags[i] as number) | (i === 0 ? firstFlag : 0)
    putRecordHead(bytes, at, size, crcs[i] as number, seed, offset + at, next, flag)
    if ((flag & STATE) === 0) next++
    at += recordBytes(size)
  }
}
