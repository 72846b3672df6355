/**
 * Which entries of the journal a series' rows came with: one line for each frame, so that "where does this row come from"
 * reads a few entries and not the journal. The frame itself, with its lines and bytes, stays in the journal alone.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Frame } from '@penstock/frame'
import type { JournalEntry } from '../../projector.ts'

/** A frame of the journal whose span of time holds the time asked for. */
export interface FramePlace {
  /** Entry of the journal, and which of its frames. */
  journalSeq: number
  index: number
  receivedMs: number
  /** null for a plain device. */
  gateway: string | null
  source: string | null
  file: string | null
}
export interface LineageQuery {
  site: string
  device: string
  stream: string
  timeNs: bigint
  limit: number
}

export const lineageTables = `
  create table if not exists frames (
    seq bigint not null, idx integer not null, received_ms bigint not null, gateway varchar not null,
    series varchar not null, first_ns bigint not null, last_ns bigint not null, source varchar, file varchar);
`

/** Latest first: a later row of the same time replaced the earlier. */
export const framesSql = (limit: number): string =>
  `select * from frames where series = ? and first_ns <= ? and last_ns >= ? order by seq desc, idx desc limit ${limit}`

export const seriesText = ({ site, device, stream }: Pick<Frame, 'site' | 'device' | 'stream'>): string =>
  JSON.stringify([site, device, stream])

export const appendFrames = async (write: DuckDBConnection, entries: readonly JournalEntry[]): Promise<void> => {
  if (entries.every(entry => entry.frames.length === 0)) return
  const appender = await write.createAppender('frames')
  const textOrNull = (value: string | undefined) =>
    value === undefined ? appender.appendNull() : appender.appendVarchar(value)
  for (const { seq, receivedMs, gateway, frames } of entries) {
    frames.forEach((frame, index) => {
      const span = spanOf(frame)
      if (!span) return
      appender.appendBigInt(BigInt(seq))
      appender.appendInteger(index)
      appender.appendBigInt(BigInt(receivedMs))
      appender.appendVarchar(gateway ?? '')
      appender.appendVarchar(seriesText(frame))
      appender.appendBigInt(span.firstNs)
      appender.appendBigInt(span.lastNs)
      textOrNull(frame.origin?.source)
      textOrNull(frame.origin?.file)
      appender.endRow()
    })
  }
  appender.closeSync()
}

/** Times that no historian holds are held at its edge: nobody can ask for them. */
const within = (ns: bigint): bigint => (ns > int64Max ? int64Max : ns < -int64Max ? -int64Max : ns)
const int64Max = 2n ** 63n - 1n

const spanOf = ({ startNs, offsetsNs }: Frame): { firstNs: bigint; lastNs: bigint } | undefined => {
  if (offsetsNs.length === 0) return undefined
  let first = Number.POSITIVE_INFINITY
  let last = Number.NEGATIVE_INFINITY
  for (const offset of offsetsNs) {
    if (offset < first) first = offset
    if (offset > last) last = offset
  }
  return { firstNs: within(startNs + BigInt(first)), lastNs: within(startNs + BigInt(last)) }
}
