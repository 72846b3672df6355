/**
 * NI TDMS files (LabVIEW, DAQmx; NI, "TDMS File Format Internal Structure"): channels in groups, in segments that hold a
 * directory of what follows and then the values.
 *
 *     file bytes ─► window ─► scan (segments) ─► layout (channels ─► streams) ─► rows ─► frames
 *
 * Design constraints:
 * - A file is read while it grows. What is given depends on what the file holds and never on when it was looked at: rows
 *   come when each of their channels has its value, and reading the whole file at once gives the same rows.
 * - Memory is bounded whatever the layout: bytes are read in runs, a segment costs some numbers for each of its channels,
 *   and these only until its values were read.
 * - The state that outlives a process is small: how many rows of each stream were given. What the segments before say is
 *   read again, without their values.
 */
import { type Json, LIMITS, type Reject } from '@penstock/frame'
import type { Checkpoint, DecoderContext, FileBytes, Resume, SeekDecoder } from './decoder.ts'
import { originOf } from './series.ts'
import { attributesOf } from './tdms/attributes.ts'
import { createIndexFile, type IndexFile } from './tdms/index-file.ts'
import { createLayout, type StreamLayout } from './tdms/layout.ts'
import type { TdmsOptions } from './tdms/options.ts'
import { createStreamReader, type Output, type RowsContext, type StreamReader } from './tdms/rows.ts'
import { createScan, type Scan, Shrunk } from './tdms/scan.ts'
import { createValueReader } from './tdms/values.ts'
import { createWindow, type Window } from './tdms/window.ts'

export { type TdmsOptions, tdmsSchema } from './tdms/options.ts'
export { STATUS_INCOMPLETE, STATUS_TOO_LARGE } from './tdms/rows.ts'
export { STATUS_UNSCALED } from './tdms/scale.ts'
export { STATUS_DAMAGED_TEXT, STATUS_NO_TIME, STATUS_TEXT_CUT } from './tdms/values.ts'

/** Values and rejects of one pull. */
const pullValuesMax = 524_288
const pullRejectsMax = 512
/** Segments and bytes by which the walk runs ahead of the rows. */
const aheadSegmentsMax = 4096
const aheadBytesMax = 1024 * 1024
/** Segments walked in one pull, where no row comes of them. */
const pullSegmentsMax = 262_144

/** What was given so far, by this process or an earlier one. */
interface Given {
  /** Rows of each stream. */
  rows: number[]
  rejects: number
  arrivals: ([number, number] | null)[]
  /**
   * The file was read as complete when it had `size` bytes: without what its end made of unfinished rows and bytes, `rows`
   * and `rejects` were given. Should it grow all the same, reading goes on behind these; a row that was given with holes
   * comes again then, at the same time, whole.
   */
  end?: { size: number; rows: number[]; rejects: number }
}

export const createTdms = (options: TdmsOptions, context: DecoderContext, resume?: Resume): SeekDecoder => {
  let given = givenOf(resume?.checkpoint.state)
  let offset = resume?.checkpoint.offset ?? 0
  let engine: Engine | undefined
  let indexed = true
  let windowFile: FileBytes | undefined
  let window: Window | undefined

  const pull: SeekDecoder['pull'] = async (file, last, atNs = 0n) => {
    if (given.end && file.size > given.end.size) {
      given = { rows: given.end.rows, rejects: given.end.rejects, arrivals: given.arrivals }
      engine = undefined
    }
    engine ??= createEngine(options, context, given)
    // What was read before is gone through again by the index, where there is one that was not found wrong.
    const isAgain = !engine.begun() && offset > 0
    const index = isAgain && indexed ? await file.index?.() : undefined
    engine.useIndex(index && createIndexFile(index, offset))
    if (windowFile !== file || !window) {
      window = createWindow(file)
      windowFile = file
    }
    const output: Output = { frames: [], rejects: [], rowsRead: 0, rowsRejected: 0 }
    const reading = engine
    // What fails half-way leaves nothing to go on with: it is gone through again, from what was given before.
    engine = undefined
    const outcome = await reading.read(window, file.size, last, atNs, output)
    given = reading.given()
    if (outcome !== 'more') {
      // What is held of the file may be rewritten before the next pull.
      windowFile = undefined
      window = undefined
    }
    const before = offset
    if (outcome === 'changed') indexed = false
    else offset = Math.max(offset, reading.offset(last && outcome === 'done' ? file.size : undefined))
    if (outcome === 'done' || outcome === 'more') engine = reading
    output.rowsRead = output.rowsRejected + output.frames.reduce((sum, frame) => sum + frame.offsetsNs.length, 0)
    return { ...output, used: offset - before, more: outcome === 'more' || outcome === 'changed' }
  }

  const checkpoint = (): Checkpoint => ({
    offset,
    headBytes: 0,
    line: given.rows.reduce((sum, rows) => sum + rows, 0),
    state: stateOf(given),
  })
  return { pull, checkpoint }
}

const stateOf = ({ rows, rejects, arrivals, end }: Given): Json => ({
  rows,
  rejects,
  ...(end && { end }),
  ...(arrivals.some(a => a !== null) && { arrivals }),
})
const givenOf = (state: Json | undefined): Given => {
  const { rows, rejects, arrivals, end } = (state ?? {}) as { [key: string]: Json }
  const list = (value: Json | undefined): Json[] => (Array.isArray(value) ? (value as Json[]) : [])
  return {
    rows: list(rows).map(Number),
    rejects: Number(rejects ?? 0),
    arrivals: list(arrivals).map(a => (Array.isArray(a) ? [Number(a[0]), Number(a[1])] : null)),
    ...(end !== undefined && end !== null && { end: endOf(end as { [key: string]: Json }) }),
  }
}

const endOf = ({ size, rows, rejects }: { [key: string]: Json }): NonNullable<Given['end']> => ({
  size: Number(size),
  rows: Array.isArray(rows) ? (rows as Json[]).map(Number) : [],
  rejects: Number(rejects),
})

/**
 * done: nothing more can be read now · more: call again · changed: what was read has been rewritten, begin anew behind what
 * was given · shrunk: the file became shorter while it was read
 */
type Outcome = 'done' | 'more' | 'changed' | 'shrunk'
interface Engine {
  /** Whether anything was read. */
  begun(): boolean
  /** For the read that follows. */
  useIndex(index: IndexFile | undefined): void
  read(window: Window, size: number, last: boolean, atNs: bigint, output: Output): Promise<Outcome>
  given(): Given
  /** First byte that is needed again; `end` where nothing is. */
  offset(end: number | undefined): number
}

const createEngine = (options: TdmsOptions, context: DecoderContext, before: Given): Engine => {
  let output: Output = { frames: [], rejects: [], rowsRead: 0, rowsRejected: 0 }
  let rejects = 0
  /** Of these, such that more bytes could have mended. */
  let finalRejects = 0
  /** Bytes of the file that rows of the pull at hand come from. */
  let pullFrom = 0
  let seenTo = 0
  /** Size of the file that was read as complete. */
  let endSize: number | undefined
  /** Streams that were settled without it. */
  let naturalStreams = 0
  const readers: StreamReader[] = []

  const scan: Scan = createScan({
    before: objects => layout.before(objects),
    begin: plan => layout.begin(plan),
    chunks: (plan, place, from, to) => {
      seenTo = place.raw + to * place.chunkBytes
      layout.chunks(plan, place, from, to)
    },
    rest: (share, place, chunk, values) => layout.rest(share, place, chunk, values),
    reject: (reason, from, to, final) => {
      if (final) finalRejects++
      if (rejects++ < before.rejects) return
      output.rejects.push(rejectOf(context, reason, from, to))
      output.rowsRejected++
    },
  })
  const layout: StreamLayout = createLayout(options, context, scan.directory)
  const rowsContext: RowsContext = {
    context,
    place: () => ({ firstByte: pullFrom, lastByte: Math.max(scan.at(), seenTo) }),
    attributes: stream => attributesOf(stream, scan.directory.objects, layout.warnings()),
  }

  /** Readers of streams that have come to be, behind what an earlier process has given of them. */
  const addReaders = (): void => {
    const streams = layout.streams()
    while (readers.length < streams.length) {
      const reader = createStreamReader(streams[readers.length] as (typeof streams)[number], rowsContext, () => output)
      const arrival = before.arrivals[readers.length]
      if (arrival) reader.arrival = arrival
      readers.push(reader)
    }
  }

  /** Walks on until there is enough to read, or nothing more. */
  const walk = async (
    window: Window,
    size: number,
    last: boolean,
  ): Promise<'more' | 'wait' | 'end' | 'changed' | 'full'> => {
    const from = scan.at()
    for (let n = 0; n < aheadSegmentsMax && scan.at() - from < aheadBytesMax; n++) {
      const step = await scan.step(window, size, last)
      if (step !== 'more') return step
    }
    return 'full'
  }

  /** Reads rows that are ready; false where the pull is full. */
  const readRows = async (window: Window, atNs: bigint): Promise<boolean> => {
    addReaders()
    const values = createValueReader(window)
    for (const [i, reader] of readers.entries()) {
      const passed = (before.rows[i] ?? 0) - reader.stream.given
      if (passed > 0) reader.pass(Math.min(passed, reader.ready(ended())))
      for (let ready = reader.ready(ended()); ready > 0; ready = reader.ready(ended())) {
        if (valuesGiven >= pullValuesMax || output.rejects.length >= pullRejectsMax) return false
        valuesGiven += await reader.read(values, ready, atNs)
      }
    }
    for (const channel of layout.channels()) {
      const { cursors, extents } = channel
      if (cursors.length === 0) continue
      extents.trim(cursors.reduce((first, cursor) => Math.min(first, cursor.extent), Number.POSITIVE_INFINITY))
    }
    return true
  }
  let valuesGiven = 0
  const ended = (): boolean => endSize !== undefined

  const read: Engine['read'] = async (window, size, last, atNs, into) => {
    output = into
    valuesGiven = 0
    pullFrom = offset(undefined)
    seenTo = pullFrom
    const outcome = await readOn(window, size, last, atNs).catch((error: unknown): Outcome => {
      if (error instanceof Shrunk) return 'shrunk'
      throw error
    })
    for (const reader of readers) reader.flush()
    return outcome
  }
  const readOn = async (window: Window, size: number, last: boolean, atNs: bigint): Promise<Outcome> => {
    for (let segments = 0; segments < pullSegmentsMax; segments += aheadSegmentsMax) {
      if (!(await readRows(window, atNs))) return 'more'
      const step = await walk(window, size, last)
      if (step === 'changed') return 'changed'
      if (step === 'end') {
        if (endSize === undefined) naturalStreams = layout.streams().length
        layout.end()
        endSize = size
      }
      if (step === 'wait' || step === 'end') return (await readRows(window, atNs)) ? 'done' : 'more'
    }
    return 'more'
  }

  /** Rows of each stream that further bytes cannot change; of streams that only the end has settled, none. */
  const wholeRows = (): number[] =>
    readers.map((reader, i) => (i < naturalStreams ? reader.stream.given + Math.min(0, reader.ready(false)) : 0))
  const given = (): Given => ({
    ...(endSize !== undefined
      ? { end: { size: endSize, rows: wholeRows(), rejects: rejects - finalRejects } }
      : before.end && { end: before.end }),
    rows: Array.from({ length: Math.max(readers.length, before.rows.length) }, (_, i) =>
      Math.max(readers[i]?.stream.given ?? 0, before.rows[i] ?? 0),
    ),
    rejects: Math.max(rejects, before.rejects),
    arrivals: Array.from({ length: Math.max(readers.length, before.arrivals.length) }, (_, i) => {
      const reader = readers[i]
      if (!reader) return before.arrivals[i] ?? null
      return Number.isNaN(reader.arrival[0]) ? null : reader.arrival
    }),
  })

  const offset: Engine['offset'] = end => {
    if (end !== undefined) return end
    let first = scan.at()
    for (const { cursors, extents, settled } of layout.channels()) {
      if (settled && cursors.length === 0) continue
      if (!settled && extents.end() > extents.first()) first = Math.min(first, extents.get(extents.first()).segment)
      for (const { extent, inExtent } of cursors) {
        const { perChunk, chunks, segment } = extents.get(extent)
        if (inExtent < perChunk * chunks) first = Math.min(first, segment)
        else if (extent + 1 < extents.end()) first = Math.min(first, extents.get(extent + 1).segment)
      }
    }
    return first
  }
  return { begun: () => scan.at() > 0, useIndex: scan.useIndex, read, given, offset }
}

const rejectOf = (context: DecoderContext, reason: string, from: number, to: number): Reject => {
  // Bytes of the directory stand in no row.
  const place = { firstLine: 0, lastLine: 0, firstByte: from, lastByte: to }
  const { firstLine, lastLine, ...origin } = originOf(context, 'tdms', place)
  return { origin, reason: reason.slice(0, LIMITS.reasonCharsMax), text: '' }
}
