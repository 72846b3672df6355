/**
 * Rejects looked at again: what a correction would make of them, their rows into the journal, or why they stay aside.
 * Nothing is deleted: what is decided is an entry of the journal, and the rejects stay what they are.
 *
 *     filter ─► rejects (newest first, bounded) ─► corrector ─┬─► frames that name their reject ─► journal
 *                                                             └─► what still fails
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { Frame, Json, Origin } from '@penstock/frame'
import { type Correction, createCorrector, type Reread } from './correction.ts'
import type { Ingest } from './ingest.ts'
import type { Records, RejectFilter, StoredReject } from './projectors/records.ts'
import { rejectPlace } from './projectors/records.ts'

export const QUARANTINE_LIMITS = {
  /** Rejects that one request reads again. */
  rejectsPerReplayMax: 1000,
  /** Rejects that one request puts aside. */
  rejectsPerDismissalMax: 5000,
  /** Characters of text that one request reads again. */
  textCharsMax: 1024 * 1024,
  /** What is shown of a preview. */
  rowsShownMax: 20,
  failuresShownMax: 20,
  /** For the records to have what the journal has. */
  settledMsMax: 5000,
} as const

export interface RowShown {
  id: string
  frame: Frame
  row: number
}
export interface Preview {
  /** Rejects of the filter. */
  matched: number
  /** Of these, how many were read again here; the rest waits for a replay. */
  examined: number
  readable: number
  rows: RowShown[]
  failing: number
  failures: { reject: StoredReject; reason: string }[]
}
export interface Replayed {
  replayed: number
  rows: number
  failing: number
  failures: { reject: StoredReject; reason: string }[]
  /** Older ones of the filter that were not looked at yet: go on before this one. */
  next: string | null
  /** The journal's entry; null where nothing could be read. */
  journalSeq: number | null
}
export interface Dismissed {
  dismissed: number
  /** How many of the filter are still as they were. */
  left: number
  journalSeq: number | null
}

export interface QuarantineDeps {
  records: Pick<Records, 'rejects' | 'countRejects' | 'cursor'>
  writes: Pick<Ingest, 'replay' | 'dismiss'>
}

/** Rejects, with what the correction makes of them, until the filter or a limit ends. */
const reread = async (
  { records }: QuarantineDeps,
  filter: RejectFilter,
  correction: Correction,
  before: string | undefined,
  rejectsMax: number,
): Promise<{ read: { reject: StoredReject; outcome: Reread }[]; next: string | null }> => {
  const position = before === undefined ? undefined : rejectPlace(before)
  const limit = rejectsMax + 1
  const rejects = await records.rejects({ ...filter, ...(position && { before: position }), limit })
  const correct = createCorrector(correction)
  const read: { reject: StoredReject; outcome: Reread }[] = []
  let chars = 0
  for (const reject of rejects.slice(0, rejectsMax)) {
    chars += reject.text.length
    if (read.length > 0 && chars > QUARANTINE_LIMITS.textCharsMax) break
    read.push({ reject, outcome: correct(reject) })
    if (read.length % 50 === 0) await nextTurn()
  }
  return { read, next: read.length < rejects.length ? (read.at(-1)?.reject.id ?? null) : null }
}

const failuresOf = (read: readonly { reject: StoredReject; outcome: Reread }[]) =>
  read.flatMap(({ reject, outcome }) => ('reason' in outcome ? [{ reject, reason: outcome.reason }] : []))

export const preview = async (deps: QuarantineDeps, filter: RejectFilter, correction: Correction): Promise<Preview> => {
  const matched = await deps.records.countRejects(filter)
  const { read } = await reread(deps, filter, correction, undefined, QUARANTINE_LIMITS.rejectsPerReplayMax)
  const failures = failuresOf(read)
  const rows: RowShown[] = []
  for (const { reject, outcome } of read) {
    if (!('frames' in outcome)) continue
    for (const frame of outcome.frames) {
      for (let row = 0; row < frame.offsetsNs.length && rows.length < QUARANTINE_LIMITS.rowsShownMax; row++) {
        rows.push({ id: reject.id, frame, row })
      }
    }
  }
  return {
    ...{ matched, examined: read.length, readable: read.length - failures.length, rows },
    ...{ failing: failures.length, failures: failures.slice(0, QUARANTINE_LIMITS.failuresShownMax) },
  }
}

export const replay = async (
  deps: QuarantineDeps,
  request: { filter: RejectFilter; correction: Correction; given: Json; by?: string; before?: string },
): Promise<Replayed> => {
  const { filter, correction, given, by, before } = request
  const { read, next } = await reread(deps, filter, correction, before, QUARANTINE_LIMITS.rejectsPerReplayMax)
  const failures = failuresOf(read)
  const shown = failures.slice(0, QUARANTINE_LIMITS.failuresShownMax)
  const frames: Frame[] = []
  const ids: string[] = []
  let rows = 0
  for (const { reject, outcome } of read) {
    if (!('frames' in outcome)) continue
    ids.push(reject.id)
    for (const frame of outcome.frames) {
      frames.push({ ...frame, origin: originOf(reject, given, by) })
      rows += frame.offsetsNs.length
    }
  }
  if (ids.length === 0) return { replayed: 0, rows, failing: failures.length, failures: shown, next, journalSeq: null }
  const journalSeq = await deps.writes.replay(
    { correction: given, rejects: ids, ...(by !== undefined && { by }) },
    frames,
  )
  await untilApplied(deps, journalSeq)
  return { replayed: ids.length, rows, failing: failures.length, failures: shown, next, journalSeq }
}

export const dismiss = async (
  deps: QuarantineDeps,
  request: { filter: RejectFilter; reason: string; by?: string },
): Promise<Dismissed> => {
  const { filter, reason, by } = request
  const matched = await deps.records.countRejects(filter)
  const rejects = await deps.records.rejects({ ...filter, limit: QUARANTINE_LIMITS.rejectsPerDismissalMax })
  const ids = rejects.map(reject => reject.id)
  if (ids.length === 0) return { dismissed: 0, left: 0, journalSeq: null }
  const journalSeq = await deps.writes.dismiss({ reason, rejects: ids, ...(by !== undefined && { by }) })
  await untilApplied(deps, journalSeq)
  return { dismissed: ids.length, left: Math.max(0, matched - ids.length), journalSeq }
}

/** The whole correction stands in the entry's head; a short one also with each row. */
const correctionCharsMax = 1024

/** Where the bytes came from, and by what they became rows. */
const originOf = ({ id, origin, gateway }: StoredReject, given: Json, by: string | undefined): Origin => {
  const { attributes: _, ...place } = origin
  const text = JSON.stringify(given)
  return {
    ...place,
    attributes: {
      'replay.reject': id,
      ...(gateway !== null && { 'replay.gateway': gateway }),
      ...(by !== undefined && { 'replay.by': by }),
      ...(text.length <= correctionCharsMax && { 'replay.correction': text }),
    },
  }
}

/** So that whoever asks next sees what was decided; the journal has it already. */
const untilApplied = async ({ records }: QuarantineDeps, seq: number): Promise<void> => {
  const end = Date.now() + QUARANTINE_LIMITS.settledMsMax
  while ((await records.cursor()) < seq && Date.now() < end) await sleep(10)
}
