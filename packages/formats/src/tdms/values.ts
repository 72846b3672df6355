/** Values of a channel from its extents, into typed arrays and lists. */
import { formatNs, LIMITS } from '@penstock/frame'
import { type Cursor, type Extents, type Layout, skip } from './extent.ts'
import type { Channel } from './layout.ts'
import { type OnWide, type RawType, readNumbers, stampParts } from './raw-type.ts'
import { Shrunk } from './scan.ts'
import { runBytesMax, type Slab, type Window } from './window.ts'

/** One channel's values from a cursor on; every method moves the cursor. Rows count from `at` on. */
export interface ValueReader {
  /** Begins to read what the next `count` values stand in, where that is a piece of its own: several channels at a time. */
  ahead(channel: Channel, cursor: Cursor, count: number): Promise<unknown> | undefined
  numbers(
    channel: Channel,
    cursor: Cursor,
    part: 0 | 1,
    count: number,
    out: Float64Array,
    at: number,
    onWide: OnWide,
  ): Promise<void>
  bools(channel: Channel, cursor: Cursor, count: number, out: (boolean | null)[]): Promise<void>
  texts(
    channel: Channel,
    cursor: Cursor,
    count: number,
    out: (string | null)[],
    onFault: (row: number, status: string) => void,
  ): Promise<void>
  /** Unix ms and ns below; NaN where a value is no time. */
  stamps(channel: Channel, cursor: Cursor, count: number, ms: Float64Array, ns: Float64Array): Promise<void>
}

export const STATUS_NO_TIME = 'no-time'
export const STATUS_DAMAGED_TEXT = 'damaged-text'
export const STATUS_TEXT_CUT = 'text-cut'

/** Less is not worth a read of its own. */
const aheadBytesMin = 16 * 1024

type Visit = (slab: Slab, p: number, step: number, count: number, at: number) => void
/** Where in a chunk values stand, and how far apart. */
interface Lane {
  at: number
  step: number
  size: number
}

export const createValueReader = (window: Window): ValueReader => {
  const moment = new Float64Array(2)
  const slabOf = async (from: number, to: number): Promise<Slab> => {
    const slab = await window.load(from, to)
    if (!slab) throw new Shrunk()
    return slab
  }

  /** Visits `count` values of fixed width from the cursor on, in runs that are evenly spaced. */
  const walk = async (
    extents: Extents,
    cursor: Cursor,
    count: number,
    laneOf: (layout: number, step: number) => Lane,
    visit: Visit,
  ) => {
    let done = 0
    while (done < count) {
      const extent = extents.get(cursor.extent)
      const { at, step, size } = laneOf(extent.layout, extent.step)
      const total = extent.perChunk * extent.chunks
      // Chunks of one value each are as evenly spaced as the values of one chunk.
      const single = extent.perChunk === 1
      const spacing = single ? extent.chunkStride : step
      while (done < count && cursor.inExtent < total) {
        const chunk = Math.floor(cursor.inExtent / extent.perChunk)
        const item = cursor.inExtent - chunk * extent.perChunk
        const from = extent.base + at + chunk * extent.chunkStride + item * step
        const inRun = single ? total - cursor.inExtent : extent.perChunk - item
        const fits = spacing === 0 ? inRun : Math.floor((runBytesMax - size) / spacing) + 1
        const n = Math.max(1, Math.min(inRun, count - done, fits))
        const to = from + (n - 1) * spacing + size
        const slab = window.find(from, to) ?? (await slabOf(from, to))
        visit(slab, from - slab.from, spacing, n, done)
        done += n
        cursor.inExtent += n
      }
      if (cursor.inExtent === total && cursor.extent + 1 < extents.end()) {
        cursor.extent++
        cursor.inExtent = 0
      }
    }
    cursor.taken += count
  }

  /** How many of the next `count` values are read by the same layout. */
  const sameLayout = (extents: Extents, cursor: Cursor, count: number): { layout: number; count: number } => {
    let n = cursor.extent
    let left = cursor.inExtent
    // The cursor may stand at the end of an extent that has since got a follower.
    while (n + 1 < extents.end() && left >= extents.get(n).perChunk * extents.get(n).chunks) {
      n++
      left = 0
    }
    const { layout } = extents.get(n)
    let rows = 0
    for (; n < extents.end() && rows < count; n++) {
      const extent = extents.get(n)
      if (extent.layout !== layout) break
      rows += extent.perChunk * extent.chunks - left
      left = 0
    }
    return { layout, count: Math.min(rows, count) }
  }

  const plainNumbers = async (
    channel: Channel,
    cursor: Cursor,
    layout: Layout,
    part: 0 | 1,
    count: number,
    out: Float64Array,
    at: number,
    onWide: OnWide,
  ) => {
    const { type, little } = layout
    const lane = (_: number, step: number): Lane => ({
      at: part === 1 ? type.size / 2 : 0,
      step,
      size: part === 1 ? type.size / 2 : type.size,
    })
    await walk(channel.extents, cursor, count, lane, (slab, p, step, n, done) =>
      readNumbers(type.code, slab.view, p, step, n, little, out, at + done, onWide),
    )
  }
  const scalerNumbers = async (
    channel: Channel,
    cursor: Cursor,
    layout: Layout,
    id: number,
    count: number,
    out: Float64Array,
    at: number,
    onWide: OnWide,
  ) => {
    const scaler = layout.scalers?.find(s => s.id === id) ?? layout.scalers?.[0]
    if (!scaler) return plainNumbers(channel, cursor, layout, 0, count, out, at, onWide)
    const lane: Lane = { at: scaler.at, step: scaler.stride, size: scaler.type.size }
    await walk(
      channel.extents,
      cursor,
      count,
      () => lane,
      (slab, p, step, n, done) =>
        readNumbers(scaler.type.code, slab.view, p, step, n, layout.little, out, at + done, onWide),
    )
    if (scaler.bit >= 0) {
      const mask = 2 ** scaler.bit
      for (let i = at; i < at + count; i++) out[i] = Math.floor((out[i] as number) / mask) % 2 === 0 ? 0 : 1
    }
  }
  const scaledNumbers = async (
    channel: Channel,
    cursor: Cursor,
    layout: Layout,
    count: number,
    out: Float64Array,
    at: number,
    onWide: OnWide,
  ) => {
    const { scale } = layout
    if (!scale) return scalerNumbers(channel, cursor, layout, layout.scalers?.[0]?.id ?? -1, count, out, at, onWide)
    const inputs = new Map<number, Float64Array>()
    const start = { ...cursor }
    for (const id of scale.inputs) {
      const own = { ...start }
      const values = new Float64Array(count)
      await scalerNumbers(channel, own, layout, id, count, values, 0, (row, text) => onWide(at + row, text))
      inputs.set(id, values)
      Object.assign(cursor, own)
    }
    if (scale.inputs.length === 0) skip(channel.extents, cursor, count)
    out.set(
      scale.apply(id => inputs.get(id) ?? new Float64Array(count), count),
      at,
    )
  }

  const numbers: ValueReader['numbers'] = async (channel, cursor, part, count, out, at, onWide) => {
    for (let done = 0; done < count; ) {
      const run = sameLayout(channel.extents, cursor, count - done)
      const layout = channel.layouts[run.layout] as Layout
      if (layout.scale || layout.scalers)
        await scaledNumbers(channel, cursor, layout, run.count, out, at + done, onWide)
      else await plainNumbers(channel, cursor, layout, part, run.count, out, at + done, onWide)
      done += run.count
    }
  }
  const littleOf = (channel: Channel, cursor: Cursor): boolean =>
    (channel.layouts[sameLayout(channel.extents, cursor, 1).layout] as Layout).little
  const lanes =
    (type: RawType) =>
    (_: number, step: number): Lane => ({ at: 0, step, size: type.size })

  const bools: ValueReader['bools'] = (channel, cursor, count, out) =>
    walk(channel.extents, cursor, count, lanes(channel.type), (slab, p, step, n) => {
      for (let i = 0; i < n; i++) out.push(slab.view.getUint8(p + i * step) !== 0)
    })

  const stamps: ValueReader['stamps'] = async (channel, cursor, count, ms, ns) => {
    for (let done = 0; done < count; ) {
      const run = sameLayout(channel.extents, cursor, count - done)
      const little = littleOf(channel, cursor)
      const base = done
      await walk(channel.extents, cursor, run.count, lanes(channel.type), (slab, p, step, n, at) => {
        for (let i = 0; i < n; i++) {
          const row = base + at + i
          const isTime = stampParts(slab.view, p + i * step, little, moment)
          ms[row] = isTime ? (moment[0] as number) : Number.NaN
          ns[row] = moment[1] as number
        }
      })
      done += run.count
    }
  }

  const stampTexts = async (
    channel: Channel,
    cursor: Cursor,
    count: number,
    out: (string | null)[],
    onFault: (row: number, status: string) => void,
  ) => {
    const ms = new Float64Array(count)
    const ns = new Float64Array(count)
    await stamps(channel, cursor, count, ms, ns)
    for (let i = 0; i < count; i++) {
      const isTime = !Number.isNaN(ms[i])
      if (!isTime) onFault(i, STATUS_NO_TIME)
      out.push(isTime ? formatNs(BigInt(ms[i] as number) * 1_000_000n + BigInt(ns[i] as number)) : null)
    }
  }

  /** The text between two offsets of a chunk of strings. */
  const textAt = async (
    from: number,
    to: number,
    row: number,
    onFault: (row: number, status: string) => void,
  ): Promise<string> => {
    const bytesMax = 4 * LIMITS.textCharsMax
    const end = Math.min(to, from + bytesMax)
    if (end === from) return ''
    const slab = window.find(from, end) ?? (await slabOf(from, end))
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(
      slab.bytes.subarray(from - slab.from, end - slab.from),
    )
    if (end === to && text.length <= LIMITS.textCharsMax) return text
    onFault(row, STATUS_TEXT_CUT)
    return text.slice(0, LIMITS.textCharsMax)
  }
  const texts: ValueReader['texts'] = async (channel, cursor, count, out, onFault) => {
    if (channel.type.kind === 'stamp') return stampTexts(channel, cursor, count, out, onFault)
    for (let done = 0; done < count; done++) {
      const run = sameLayout(channel.extents, cursor, 1)
      const { little } = channel.layouts[run.layout] as Layout
      if (cursor.inExtent > 0) toNextExtent(channel.extents, cursor)
      const extent = channel.extents.get(cursor.extent)
      const chunk = Math.floor(cursor.inExtent / extent.perChunk)
      const item = cursor.inExtent - chunk * extent.perChunk
      const start = extent.base + chunk * extent.chunkStride
      const before = start + 4 * Math.max(0, item - 1)
      const slab = window.find(before, start + 4 * item + 4) ?? (await slabOf(before, start + 4 * item + 4))
      const from = item === 0 ? 0 : slab.view.getUint32(before - slab.from, little)
      const to = slab.view.getUint32(start + 4 * item - slab.from, little)
      const texts = start + 4 * extent.perChunk
      if (to < from || 4 * extent.perChunk + to > extent.step) {
        onFault(done, STATUS_DAMAGED_TEXT)
        out.push(null)
      } else out.push(await textAt(texts + from, texts + to, done, onFault))
      cursor.inExtent++
      cursor.taken++
    }
  }
  const toNextExtent = (extents: Extents, cursor: Cursor): void => {
    const { perChunk, chunks } = extents.get(cursor.extent)
    if (cursor.inExtent < perChunk * chunks || cursor.extent + 1 >= extents.end()) return
    cursor.extent++
    cursor.inExtent = 0
  }

  const ahead: ValueReader['ahead'] = ({ extents, layouts }, cursor, count) => {
    const { base, perChunk, chunks, chunkStride, step, layout } = extents.get(cursor.extent)
    const size = layouts[layout]?.type.size ?? 0
    // Values of several channels that lie side by side are read together anyway.
    if (step !== size || size === 0 || cursor.inExtent >= perChunk * chunks) return undefined
    const chunk = Math.floor(cursor.inExtent / perChunk)
    const item = cursor.inExtent - chunk * perChunk
    const n = Math.min(count, perChunk - item, Math.floor(runBytesMax / size))
    const from = base + chunk * chunkStride + item * size
    return n * size < aheadBytesMin || window.find(from, from + n * size)
      ? undefined
      : window.load(from, from + n * size)
  }

  return { ahead, numbers, bools, texts, stamps }
}
