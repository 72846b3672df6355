/**
 * Collects what a source has read into batches. A batch is full well before its envelope meets the limits of the wire;
 * what one push of a decoder adds on top stays below them too, as the reader sizes its pushes by the density it meets.
 */
import type { Frame, Json, LedgerLine, Reject } from '@penstock/frame'
import type { Batch } from './source.ts'

export const BATCH = {
  /** A batch is full from here on; with the last push on top it holds at most twice as much. */
  bytesMax: 512 * 1024,
  rowsMax: 32_768,
  framesMax: 1024,
  rejectsMax: 4096,
  cursorKeysMax: 4096,
} as const

export interface Batcher {
  add(frames: readonly Frame[], rejects: readonly Reject[], bytes: number): void
  /** A later line of the same file and generation replaces an earlier one. */
  ledger(line: LedgerLine): void
  /** `null` deletes the key. */
  cursor(key: string, value: Json): void
  full(): boolean
  /** What was collected, and begins anew; `undefined` where nothing was. */
  take(): Batch | undefined
}

export const createBatcher = (): Batcher => {
  let frames: Frame[] = []
  let rejects: Reject[] = []
  let lines = new Map<string, LedgerLine>()
  let cursor: Record<string, Json> = {}
  let keys = 0
  let rows = 0
  let bytes = 0
  return {
    add(moreFrames, moreRejects, moreBytes) {
      for (const frame of moreFrames) {
        frames.push(frame)
        rows += frame.offsetsNs.length
      }
      for (const reject of moreRejects) rejects.push(reject)
      bytes += moreBytes
    },
    ledger(line) {
      lines.set(`${line.generation}:${line.file}`, line)
    },
    cursor(key, value) {
      if (!(key in cursor)) keys++
      cursor[key] = value
    },
    full: () =>
      bytes >= BATCH.bytesMax ||
      rows >= BATCH.rowsMax ||
      frames.length >= BATCH.framesMax ||
      rejects.length >= BATCH.rejectsMax ||
      keys >= BATCH.cursorKeysMax,
    take() {
      if (keys === 0 && frames.length === 0 && rejects.length === 0 && lines.size === 0) return undefined
      const batch: Batch = { frames, rejects, ledger: [...lines.values()], cursor }
      frames = []
      rejects = []
      lines = new Map()
      cursor = {}
      keys = rows = bytes = 0
      return batch
    },
  }
}
