/** One call of `append` as records: encoded when it comes, given its place and numbers when it is written. */
import { crcOf, wordsOf } from './crc.ts'
import { LogRangeError } from './errors.ts'
import {
  BEGIN,
  END,
  putRecordHead,
  RECORD_HEAD_BYTES,
  recordBytes,
  recordSizeAt,
  STATE,
  stampRecord,
} from './segment.ts'

/** Small calls share memory pages with their neighbours. */
const pooledBytesMax = 2048

export interface EncodedCall {
  /** The records; of each head only what does not depend on its place. */
  bytes: Buffer
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
  let total = changes ? 2 * recordBytes(changes.length) : 0
  for (const body of bodies) {
    if (body.length > limits.entryBytesMax) {
      throw new LogRangeError(
        `a body has ${body.length} bytes, more than entryBytesMax (${limits.entryBytesMax}) allows`,
      )
    }
    total += recordBytes(body.length)
  }
  const bytes = total <= pooledBytesMax ? Buffer.allocUnsafe(total) : Buffer.allocUnsafeSlow(total)
  const words = bodies.length > 3 ? wordsOf(bytes) : undefined
  let at = 0
  if (changes) at = putRecord(bytes, words, at, changes, STATE | BEGIN)
  for (let i = 0; i < bodies.length; i++) {
    const first = i === 0 && !changes ? BEGIN : 0
    const last = i === bodies.length - 1 && !changes ? END : 0
    at = putRecord(bytes, words, at, bodies[i] as Uint8Array, first | last)
  }
  if (changes) putRecord(bytes, words, at, changes, STATE | END)
  return { bytes, changes: changes?.toString('utf8'), entries: bodies.length }
}

const putRecord = (
  into: Buffer,
  words: Int32Array | undefined,
  at: number,
  payload: Uint8Array,
  flags: number,
): number => {
  const from = at + RECORD_HEAD_BYTES
  const next = at + recordBytes(payload.length)
  into.set(payload, from)
  for (let pad = from + payload.length; pad < next; pad++) into[pad] = 0
  putRecordHead(into, at, payload.length, crcOf(into, words, from, payload.length), flags)
  return next
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

/** Gives each record its place and number; once. */
export const stampCall = (call: EncodedCall, seed: number, offset: number, seq: number, firstFlag: number): void => {
  const { bytes } = call
  let next = seq
  let flag = firstFlag
  for (let at = 0; at < bytes.length; at += recordSizeAt(bytes, at)) {
    if (!stampRecord(bytes, at, seed, offset + at, next, flag)) next++
    flag = 0
  }
}
