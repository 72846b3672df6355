import type { TextDecoder as Decoder } from 'node:util'
import { LIMITS, type Reject } from '@penstock/frame'
import type { DecoderContext } from './decoder.ts'
import { originOf, type RowPlace } from './series.ts'

/** Bytes [from, to) of a record that could not be read, as the reject that is stored in its place. */
export const rejectOf = (
  context: DecoderContext,
  format: string,
  place: RowPlace,
  reason: string,
  bytes: Uint8Array,
  from: number,
  to: number,
  decoder: Decoder,
): Reject => ({
  origin: originOf(context, format, place),
  reason: reason.length > LIMITS.reasonCharsMax ? `${reason.slice(0, LIMITS.reasonCharsMax - 1)}…` : reason,
  // Four bytes hold at least one character.
  text: decoder
    .decode(bytes.subarray(from, Math.min(to, from + 4 * LIMITS.rejectTextCharsMax)))
    .slice(0, LIMITS.rejectTextCharsMax),
})
