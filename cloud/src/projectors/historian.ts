/** Applies the journal's rows to the historian. Cursor and rows are one transaction there, so applying again changes nothing. */
import { type Frame, rowNs } from '@penstock/frame'
import { HISTORIAN_NS_MAX, HISTORIAN_NS_MIN, type Historian } from '../historian.ts'
import type { Projector } from '../projector.ts'

export interface HistorianProjectorOptions {
  log?: { error(o: object, m: string): void }
  /** One transaction is closed with the entry with which it holds this many values. */
  writeValuesMax?: number
}

export const createHistorianProjector = (historian: Historian, options: HistorianProjectorOptions = {}): Projector => {
  const { log, writeValuesMax = 2_000_000 } = options
  return {
    name: 'historian',
    cursor: () => historian.cursor(),
    async apply(entries) {
      let frames: Frame[] = []
      let values = 0
      for (const [i, entry] of entries.entries()) {
        for (const frame of entry.frames) {
          const kept = withinRange(frame)
          // The journal still has them: a person finds them there.
          if (kept !== frame)
            log?.error(
              { seq: entry.seq, ...seriesOf(frame) },
              'rows outside the years 1677 to 2262 are not in the historian',
            )
          frames.push(kept)
          values += kept.offsetsNs.length * (kept.columns.length + 1)
        }
        if (values < writeValuesMax && i < entries.length - 1) continue
        await historian.write(frames, entry.seq)
        frames = []
        values = 0
      }
    },
  }
}

const seriesOf = ({ site, device, stream }: Frame) => ({ site, device, stream })

/** The frame itself, or one without the rows whose time the historian cannot hold. */
const withinRange = (frame: Frame): Frame => {
  const farthest = 2n ** 53n
  if (frame.startNs - farthest >= HISTORIAN_NS_MIN && frame.startNs + farthest <= HISTORIAN_NS_MAX) return frame
  const kept: number[] = []
  for (let i = 0; i < frame.offsetsNs.length; i++) {
    const t = rowNs(frame, i)
    if (t >= HISTORIAN_NS_MIN && t <= HISTORIAN_NS_MAX) kept.push(i)
  }
  if (kept.length === frame.offsetsNs.length) return frame
  return {
    ...frame,
    offsetsNs: Float64Array.from(kept, i => frame.offsetsNs[i] as number),
    columns: frame.columns.map(column => ({ ...column, values: kept.map(i => column.values[i]) }) as typeof column),
  }
}
