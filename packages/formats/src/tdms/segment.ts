/**
 * What a segment's list of objects means for its raw data: how long a chunk is and where in it each channel has its
 * values. Pure.
 */
import {
  type Entry,
  isProblem,
  type LeadIn,
  type Problem,
  type Scaler,
  type TdmsObject,
  TOC_INTERLEAVED,
} from './metadata.ts'
import type { RawType } from './raw-type.ts'

/** One channel in a chunk. */
export interface Share {
  object: TdmsObject
  type: RawType
  values: number
  /** From the start of the chunk. */
  at: number
  /** Between values; for strings the bytes of all of them. */
  step: number
  scalers?: { id: number; type: RawType; at: number; stride: number; bit: number }[]
}
export interface ChunkPlan {
  /** 0 where the segment has no values. */
  bytes: number
  shares: Share[]
  /** As the ToC mask says it; DAQmx raw data is laid out in its own way. */
  interleaved: boolean
}

/** @param at where the segment begins, for what is told of it */
export const planOf = (list: readonly Entry[], leadIn: LeadIn, at: number): ChunkPlan | Problem => {
  const entries = list.filter(
    ({ object, hasData }) => hasData && object.index !== undefined && object.index.values + object.index.bytes > 0,
  )
  const interleaved = (leadIn.toc & TOC_INTERLEAVED) !== 0
  const unsized = entries.find(({ object }) => object.index?.type.kind === 'unsized')
  if (unsized) {
    const { path, index } = unsized.object
    return { at, reason: `${path} has values of type ${index?.type.name}, whose width the format does not give` }
  }
  const daqmx = entries.filter(({ object }) => object.index?.scalers)
  if (daqmx.length > 0 && daqmx.length < entries.length) {
    return { at, reason: `the segment at byte ${at} mixes DAQmx raw data with other values` }
  }
  const plan =
    daqmx.length > 0
      ? daqmxPlan(entries, interleaved, at)
      : interleaved
        ? interleavedPlan(entries, at)
        : plainPlan(entries)
  if (!isProblem(plan) && !Number.isSafeInteger(plan.bytes)) {
    return { at, reason: `the segment at byte ${at} says that a chunk has ${plan.bytes} bytes` }
  }
  return plan
}

const plainPlan = (entries: readonly Entry[]): ChunkPlan => {
  let bytes = 0
  const shares: Share[] = []
  for (const { object } of entries) {
    const { index } = object
    if (!index || index.type.kind === 'none') continue
    const isText = index.type.kind === 'text'
    shares.push({
      object,
      type: index.type,
      values: index.values,
      at: bytes,
      step: isText ? index.bytes : index.type.size,
    })
    bytes += index.bytes
  }
  return { bytes, shares, interleaved: false }
}

const interleavedPlan = (entries: readonly Entry[], at: number): ChunkPlan | Problem => {
  const { bytes: stride, shares } = plainPlan(entries)
  const values = shares[0]?.values ?? 0
  for (const share of shares) {
    if (share.type.kind === 'text')
      return { at, reason: `the segment at byte ${at} interleaves strings (${share.object.path})` }
    if (share.values !== values) {
      return {
        at,
        reason: `the segment at byte ${at} interleaves ${values} and ${share.values} values (${share.object.path})`,
      }
    }
  }
  let offset = 0
  const row = shares.reduce((sum, share) => sum + share.type.size, 0)
  for (const share of shares) {
    share.at = offset
    share.step = row
    offset += share.type.size
  }
  return { bytes: Number.isSafeInteger(stride) ? row * values : stride, shares, interleaved: true }
}

const daqmxPlan = (entries: readonly Entry[], interleaved: boolean, at: number): ChunkPlan | Problem => {
  const widths = entries[0]?.object.index?.widths ?? []
  const counts = new Array<number>(widths.length).fill(0)
  for (const { object } of entries) {
    const { index } = object
    if (!index?.scalers) continue
    if (index.widths?.length !== widths.length || index.widths.some((width, i) => width !== widths[i])) {
      return { at, reason: `the DAQmx channels of the segment at byte ${at} differ in the widths of their buffers` }
    }
    for (const { buffer } of index.scalers) counts[buffer] = Math.max(counts[buffer] ?? 0, index.values)
  }
  const starts: number[] = []
  let bytes = 0
  for (const [i, width] of widths.entries()) {
    starts.push(bytes)
    bytes += width * (counts[i] ?? 0)
  }
  const place = ({ id, type, buffer, byteOffset, bit }: Scaler) => ({
    id,
    type,
    at: (starts[buffer] ?? 0) + byteOffset,
    stride: widths[buffer] ?? 0,
    bit,
  })
  const shares = entries.flatMap(({ object }): Share[] => {
    const { index } = object
    if (!index?.scalers || index.scalers.length === 0) return []
    return [{ object, type: index.type, values: index.values, at: 0, step: 0, scalers: index.scalers.map(place) }]
  })
  return { bytes, shares, interleaved }
}

/** How many values of each share stand in the first `bytes` bytes of a chunk. */
export const valuesWithin = (plan: ChunkPlan, share: Share, bytes: number): number => {
  if (share.scalers) {
    const whole = (at: number, size: number, stride: number) =>
      stride === 0 ? 0 : Math.floor((bytes - at - size + stride) / stride)
    const counts = share.scalers.map(({ at, type, stride }) => whole(at, type.size, stride))
    return Math.max(0, Math.min(share.values, ...counts))
  }
  if (share.type.kind === 'text') return bytes >= share.at + share.step ? share.values : 0
  if (share.step === 0) return 0
  // Interleaved: only whole rows, as the values of a row belong together.
  const end = plan.interleaved ? 0 : share.at
  return Math.max(0, Math.min(share.values, Math.floor((bytes - end) / share.step)))
}
