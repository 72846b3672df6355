/**
 * Where the values of one channel stand: an extent for each segment that has some, kept until its values were read.
 *
 *     extent:   base            base + chunkStride      …
 *               ├─ perChunk values, `step` bytes apart ─┤   `chunks` times
 */
import type { RawType } from './raw-type.ts'
import type { Scale } from './scale.ts'

/** How values are to be read; the same for all extents of a channel, mostly. */
export interface Layout {
  type: RawType
  little: boolean
  scale: Scale | undefined
  /** DAQmx: where in a chunk the values of each scaler stand. */
  scalers?: { id: number; type: RawType; at: number; stride: number; bit: number }[]
}

/** An extent taken apart. `step` of strings is the bytes of the chunk's offsets and texts. */
export interface Extent {
  base: number
  perChunk: number
  chunks: number
  chunkStride: number
  step: number
  layout: number
  /** Where its segment begins. */
  segment: number
}

const fields = 7
const firstCapacity = 4

export interface Extents {
  /** Values in all extents so far. */
  values(): number
  /** Number of the first extent that is kept, and of the one that comes next. */
  first(): number
  end(): number
  get(n: number): Extent
  append(extent: Extent): void
  /** The last extent has grown: it now has so many chunks. */
  extend(chunks: number): void
  /** Values kept so far are to be read by this layout. */
  relayout(layout: number): void
  /** Forgets extents before number `n`. */
  trim(n: number): void
}

export const createExtents = (): Extents => {
  // A ring of `capacity` extents, each `fields` doubles.
  let capacity = firstCapacity
  let ring = new Float64Array(capacity * fields)
  let first = 0
  let end = 0
  let values = 0
  const at = (n: number): number => (n % capacity) * fields
  const grow = (): void => {
    const next = new Float64Array(capacity * 2 * fields)
    for (let n = first; n < end; n++) {
      next.set(ring.subarray(at(n), at(n) + fields), (n % (capacity * 2)) * fields)
    }
    ring = next
    capacity *= 2
  }
  return {
    values: () => values,
    first: () => first,
    end: () => end,
    get(n) {
      const p = at(n)
      return {
        base: ring[p] as number,
        perChunk: ring[p + 1] as number,
        chunks: ring[p + 2] as number,
        chunkStride: ring[p + 3] as number,
        step: ring[p + 4] as number,
        layout: ring[p + 5] as number,
        segment: ring[p + 6] as number,
      }
    },
    append(extent) {
      if (end - first === capacity) grow()
      const p = at(end++)
      ring[p] = extent.base
      ring[p + 1] = extent.perChunk
      ring[p + 2] = extent.chunks
      ring[p + 3] = extent.chunkStride
      ring[p + 4] = extent.step
      ring[p + 5] = extent.layout
      ring[p + 6] = extent.segment
      values += extent.perChunk * extent.chunks
    },
    extend(chunks) {
      const p = at(end - 1)
      values += (chunks - (ring[p + 2] as number)) * (ring[p + 1] as number)
      ring[p + 2] = chunks
    },
    relayout(layout) {
      for (let n = first; n < end; n++) ring[at(n) + 5] = layout
    },
    trim(n) {
      first = Math.max(first, Math.min(n, end))
    },
  }
}

/** Reads the extents of a channel once through: how far it came. */
export interface Cursor {
  extent: number
  /** Values of that extent that were read. */
  inExtent: number
  /** Values read in all. */
  taken: number
}
export const newCursor = (): Cursor => ({ extent: 0, inExtent: 0, taken: 0 })

/** Moves a cursor over values that are not to be read. */
export const skip = (extents: Extents, cursor: Cursor, count: number): void => {
  let left = count
  cursor.taken += count
  while (left > 0) {
    const { perChunk, chunks } = extents.get(cursor.extent)
    const rest = perChunk * chunks - cursor.inExtent
    const step = Math.min(rest, left)
    left -= step
    cursor.inExtent += step
    if (cursor.inExtent === perChunk * chunks && cursor.extent + 1 < extents.end()) {
      cursor.extent++
      cursor.inExtent = 0
    }
  }
}
