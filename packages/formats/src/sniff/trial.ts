/** A draft proves itself on the sample: it is decoded, and what comes out is counted. */
import type { Frame, Reject } from '@penstock/frame'
import { zoneOf } from '@penstock/frame'
import type { Decoder, DecoderContext, FileBytes, SeekDecoder } from '../decoder.ts'
import { createFileDecoder, formatSchema } from '../format.ts'
import type { Draft } from './proposal.ts'

export interface Trial {
  rows: number
  rejects: number
  /** Share of the values that are there, of those that could be. */
  filled: number
  columns: number
  typed: number
  firstReject?: Reject
  finished: boolean
  problem?: string
}

const pullsMax = 64
const rowsMax = 50_000

const count = (trial: Trial, frames: readonly Frame[]): number => {
  let there = 0
  let could = 0
  for (const frame of frames) {
    trial.rows += frame.offsetsNs.length
    const columns = frame.columns.filter(column => column.name !== 'status')
    trial.columns = Math.max(trial.columns, columns.length)
    trial.typed = Math.max(trial.typed, columns.filter(column => column.type !== 'text').length)
    for (const column of columns) {
      for (let i = 0; i < column.values.length; i += 1 + (column.values.length >> 8)) {
        const value = column.values[i]
        could++
        if (value !== null && !(typeof value === 'number' && Number.isNaN(value))) there++
      }
    }
  }
  return could === 0 ? 0 : there / could
}

export interface TrialBytes {
  bytes: Uint8Array
  /** Nothing is to come behind them. */
  isWhole: boolean
}

/**
 * @param bytes whole lines of the file as if they were all of it
 * @param nowMs when rows without a time are taken to have come
 */
export const tryDraft = async (
  draft: Draft,
  name: string,
  zone: string | undefined,
  bytes: TrialBytes | undefined,
  file: FileBytes,
  nowMs: number | undefined,
): Promise<Trial> => {
  const trial: Trial = { rows: 0, rejects: 0, filled: 0, columns: 0, typed: 0, finished: false }
  const parsed = formatSchema.safeParse(draft.format)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return { ...trial, problem: `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'does not fit'}` }
  }
  const context: DecoderContext = {
    source: 'sample',
    file: name,
    site: 'site',
    device: 'device',
    stream: '',
    zone: draft.zone ?? usableZone(zone),
    frameRowsMax: 8192,
    recordBytesMax: 1024 * 1024,
  }
  const atNs = BigInt(Math.floor(nowMs ?? 1_700_000_000_000)) * 1_000_000n
  try {
    const decoder = createFileDecoder(parsed.data, { ...context, stream: draft.stream })
    if ('pull' in decoder) await pullAll(decoder, file, atNs, trial)
    else pushAll(decoder, bytes ?? { bytes: new Uint8Array(0), isWhole: true }, atNs, trial)
  } catch (error) {
    trial.problem = error instanceof Error ? error.message : String(error)
  }
  return trial
}

const usableZone = (zone: string | undefined): string => {
  try {
    return zoneOf(zone ?? 'UTC').name
  } catch {
    return 'UTC'
  }
}

const pushAll = (decoder: Decoder, { bytes, isWhole }: TrialBytes, atNs: bigint, trial: Trial): void => {
  const decoded = decoder.push(bytes, isWhole, atNs)
  trial.filled = count(trial, decoded.frames)
  trial.rejects = decoded.rowsRejected
  const [first] = decoded.rejects
  if (first) trial.firstReject = first
  trial.finished = decoded.finished === true
}

const pullAll = async (decoder: SeekDecoder, file: FileBytes, atNs: bigint, trial: Trial): Promise<void> => {
  for (let i = 0; i < pullsMax && trial.rows < rowsMax; i++) {
    const pulled = await decoder.pull(file, true, atNs)
    const share = count(trial, pulled.frames)
    trial.filled = Math.max(trial.filled, share)
    trial.rejects += pulled.rowsRejected
    const [first] = pulled.rejects
    if (first) trial.firstReject ??= first
    if (!pulled.more) return
  }
}

/** 0 … 1: how well a draft read the sample. */
export const scoreOf = (trial: Trial, draft: Draft): number => {
  if (trial.problem !== undefined || trial.rows === 0) return 0
  const read = trial.rows / (trial.rows + trial.rejects)
  const typed =
    trial.columns === 0 ? 0 : (0.3 + (0.7 * trial.typed) / trial.columns) * Math.min(1, 0.7 + 0.05 * trial.typed)
  const timed =
    draft.format.time !== undefined ||
    ['we7000', 'tdms', 'lta', 'protem', 'oceanview'].includes(String(draft.format.kind))
      ? 1
      : 0.7
  return read * read * typed * timed * (0.6 + 0.4 * trial.filled) * Math.min(4, 0.5 + draft.weight)
}
