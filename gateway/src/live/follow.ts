/** Those who watch readings as they pass: each has a bounded queue, and no reading waits for one of them. */
import { formatNs, type Reject, rowNs, STATUS_COLUMN } from '@penstock/frame'
import type { Batch } from '../source.ts'
import { type ShownColumn, type ShownValue, shownColumn, shownValue, statusOf } from './shown.ts'

export type Passed =
  | {
      kind: 'rows'
      source: string
      site: string
      device: string
      stream: string
      file?: string
      columns: ShownColumn[]
      /** In the order of the frame; values in the order of `columns`. */
      rows: { time: string; values: ShownValue[]; status: string | null }[]
      /** Rows of the frame before these. */
      leftOut: number
    }
  | { kind: 'reject'; source: string; reject: Reject }
  /** The follower was slower than the readings: so many were not told. */
  | { kind: 'missed'; rows: number; rejects: number }

export interface PassedLimits {
  columnsPerStreamMax: number
  textCharsMax: number
  eventsPerFollowerMax: number
  /** Of a frame, the last rows go to followers; the others are counted. */
  rowsPerEventMax: number
  /** Fewer rows of a frame with many columns; one always goes. */
  valuesPerEventMax: number
}

/** What is told of a batch. */
export function* passedOf(
  source: string,
  { frames, rejects }: Pick<Batch, 'frames' | 'rejects'>,
  { rowsPerEventMax, valuesPerEventMax, columnsPerStreamMax, textCharsMax, eventsPerFollowerMax }: PassedLimits,
): Generator<Passed> {
  for (const frame of frames) {
    const { site, device, stream, origin, offsetsNs } = frame
    if (offsetsNs.length === 0) continue
    const columns = frame.columns.filter(({ name }) => name !== STATUS_COLUMN).slice(0, columnsPerStreamMax)
    const rowsMax = Math.min(rowsPerEventMax, Math.max(1, Math.floor(valuesPerEventMax / columns.length)))
    const leftOut = Math.max(0, offsetsNs.length - rowsMax)
    const rows = Array.from({ length: offsetsNs.length - leftOut }, (_, n) => {
      const i = leftOut + n
      const values = columns.map(column => shownValue(column, i, textCharsMax))
      return { time: formatNs(rowNs(frame, i)), values, status: statusOf(frame, i) }
    })
    const file = origin?.file !== undefined && { file: origin.file }
    yield { kind: 'rows', source, site, device, stream, ...file, columns: columns.map(shownColumn), rows, leftOut }
  }
  const told = rejects.slice(-eventsPerFollowerMax)
  if (told.length < rejects.length) yield { kind: 'missed', rows: 0, rejects: rejects.length - told.length }
  for (const { recipe: _, ...reject } of told) yield { kind: 'reject', source, reject }
}

export interface Follower {
  readonly source: string | undefined
  take(event: Passed): void
  end(): void
  events(leave: () => void): AsyncGenerator<Passed>
}

/** A queue that drops its oldest and says how much that was: the readings do not wait for one who watches. */
export const createFollower = (source: string | undefined, eventsMax: number): Follower => {
  const queue: Passed[] = []
  const missed = { rows: 0, rejects: 0 }
  let ended = false
  let wake = () => {}

  const miss = (event: Passed): void => {
    if (event.kind === 'rows') missed.rows += event.rows.length + event.leftOut
    else if (event.kind === 'reject') missed.rejects++
    else {
      missed.rows += event.rows
      missed.rejects += event.rejects
    }
  }
  return {
    source,
    take(event) {
      queue.push(event)
      if (queue.length > eventsMax) miss(queue.shift() as Passed)
      wake()
    },
    end() {
      ended = true
      wake()
    },
    async *events(leave) {
      try {
        while (!ended) {
          if (missed.rows + missed.rejects > 0) {
            const told: Passed = { kind: 'missed', ...missed }
            missed.rows = 0
            missed.rejects = 0
            yield told
          }
          const event = queue.shift()
          if (event) yield event
          else
            await new Promise<void>(resolve => {
              wake = resolve
            })
        }
      } finally {
        leave()
      }
    },
  }
}
