/**
 * The segments of an open log: the one that is written to, those behind it, and the manifest that names them.
 *
 * Design constraints:
 * - A new segment is whole (zeros, header, state), and its name durable, before the manifest names it, and the manifest is
 *   durable before anything is written to it.
 * - A write that fails ends its segment where it was durable; nothing is written to it again. The next segment's header
 *   says where it ends.
 * - A trim is durable in the manifest before a file goes. The last segment never goes.
 */
import path from 'node:path'
import type { DamageRecorder } from './damage.ts'
import { LogClosedError, LogRangeError } from './errors.ts'
import type { LogFile, LogFs } from './fs.ts'
import { type GoneRange, type Manifest, removeIfThere, writeManifest } from './manifest.ts'
import { type Recovered, type Segment, SPARE } from './recovery.ts'
import {
  BEGIN,
  dataRange,
  END,
  encodeHeader,
  encodeRecord,
  HEADER_BYTES,
  MARK,
  RECORD_HEAD_BYTES,
  recordBytes,
  segmentName,
  segmentSeed,
  WRITE,
} from './segment.ts'

const zeroBlock = new Uint8Array(1024 * 1024)
const pageBytes = 512
const segmentBytesFloor = 2048
const goneRangesMax = 16
/** A place in the index of a segment for so many bytes. */
const indexStepBytes = 1024 * 1024

export interface StoreLimits {
  segmentBytesMin: number
  segmentBytesMax: number
  bytesMax: number
  whenFull: 'block' | 'drop-oldest'
  entryBytesMax: number
  stateBytesMax: number
}

export interface Store {
  readonly segments: readonly Segment[]
  readonly gone: readonly GoneRange[]
  /** The segment that is written to; undefined where a new one must be begun first. */
  active(): Segment | undefined
  bytes(): number
  isFull(): boolean
  /** Another segment of the usual size fits without waiting or dropping. */
  hasRoom(): boolean
  /** The number behind the last durable entry. */
  nextSeq(): number
  /** Begins a segment with room for `appendBytes`. Waits for a trim where the log is full; gives up when `signal` aborts. */
  begin(appendBytes: number, snapshot: string, signal: AbortSignal): Promise<void>
  /** Writes `entries` entries behind the data of the active segment, durably; `meanwhile` runs while the disk is at work. */
  write(bytes: Uint8Array, entries: number, meanwhile: () => void): Promise<void>
  /** Takes whole segments from the front whose entries are all ≤ `through`. */
  trim(through: number): Promise<void>
  /** Proves all that was written and gives the files free. */
  close(): Promise<void>
}

export const createStore = (
  fs: LogFs,
  dir: string,
  limits: StoreLimits,
  damage: DamageRecorder,
  recovered: Recovered,
): Store => {
  const { epoch, segments } = recovered
  const recordBytesMax = Math.max(recordBytes(limits.entryBytesMax), recordBytes(limits.stateBytesMax))
  const { numberFloor } = recovered
  let { appendable, isProven, gone, nextSeq } = recovered
  const lastFound = segments.at(-1)
  // A record longer than the header allows would not be found again.
  if (lastFound && lastFound.recordBytesMax < recordBytesMax) appendable = false
  let file: LogFile | undefined
  let spare: { bytes: number; ready: Promise<void> } | undefined
  let closed = false
  let wakeBlocked: (() => void) | undefined

  const bytes = (): number => segments.reduce((sum, s) => sum + s.bytes, 0)
  const active = (): Segment | undefined => (appendable ? segments.at(-1) : undefined)

  // One change of segments and manifest at a time.
  let changes: Promise<unknown> = Promise.resolve()
  const exclusive = <T>(change: () => Promise<T>): Promise<T> => {
    const result = changes.then(change)
    changes = result.catch(() => undefined)
    return result
  }

  const saveManifest = (oldest: Segment, newest: Segment): Promise<void> => {
    const manifest: Manifest = {
      epoch,
      oldest: { number: oldest.number, firstSeq: oldest.firstSeq },
      newest: {
        number: newest.number,
        firstSeq: newest.firstSeq,
        entriesMax: Math.floor((newest.capacity - newest.start) / RECORD_HEAD_BYTES),
      },
      nextSeq,
      gone,
    }
    return writeManifest(fs, dir, manifest)
  }

  const writeZeros = async (name: string, size: number): Promise<void> => {
    const target = path.join(dir, name)
    await removeIfThere(fs, target)
    const made = await fs.open(target, 'create')
    try {
      for (let at = 0; at < size; at += zeroBlock.length) {
        if (closed) throw new LogClosedError('the log was closed')
        await made.write(zeroBlock.subarray(0, Math.min(zeroBlock.length, size - at)), at)
        // Each by itself, so that an append that is synced meanwhile never waits for all of them.
        await made.sync()
      }
    } catch (error) {
      // Half a file would only keep a full disk full.
      await fs.remove(target).catch(() => undefined)
      throw error
    } finally {
      await made.close()
    }
  }

  const prepareSpare = (size: number): Promise<void> => {
    const ready = writeZeros(SPARE, size)
    spare = { bytes: size, ready }
    // A failure is met again, and told, when the segment is needed.
    ready.catch(() => undefined)
    return ready
  }

  const usualBytes = (): number => {
    const last = segments.at(-1)
    const most = Math.max(segmentBytesFloor, Math.min(limits.segmentBytesMax, Math.floor(limits.bytesMax / 8)))
    return Math.min(most, last ? last.bytes * 2 : limits.segmentBytesMin)
  }

  const makeRoom = async (size: number, signal: AbortSignal): Promise<void> => {
    while (bytes() + size > limits.bytesMax) {
      if (size > limits.bytesMax) {
        throw new LogRangeError(
          `${dir}: this append needs a segment of ${size} bytes, which never fits into the log's bytesMax of ${limits.bytesMax}`,
        )
      }
      // The last segment can only go when there is another: waiting for it would be for ever.
      if (segments.length <= 1) return
      if (limits.whenFull === 'drop-oldest') {
        await exclusive(() => drop(1, `dropped because the log had reached its ${limits.bytesMax} bytes`))
        continue
      }
      await new Promise<void>((resolve, reject) => {
        const stop = (): void => {
          wakeBlocked = undefined
          reject(signal.reason)
        }
        if (signal.aborted) return stop()
        signal.addEventListener('abort', stop, { once: true })
        wakeBlocked = () => {
          wakeBlocked = undefined
          signal.removeEventListener('abort', stop)
          resolve()
        }
      })
    }
  }

  /** The manifest first, then the files. */
  const drop = async (count: number, why: string | undefined): Promise<void> => {
    const [first] = segments
    const rest = segments[count]
    const last = segments.at(-1)
    if (count === 0 || !first || !rest || !last) return
    const before = gone
    const through = rest.firstSeq - 1
    const isLoss = why !== undefined && through >= first.firstSeq
    if (isLoss) gone = addGone(gone, { from: first.firstSeq, through, why })
    try {
      await saveManifest(rest, last)
    } catch (error) {
      gone = before
      throw error
    }
    if (isLoss) damage.addLost(first.firstSeq, through)
    const taken = segments.splice(0, count)
    wakeBlocked?.()
    // A file that stays, because this fails or the power goes, is removed when the log is opened.
    for (const segment of taken) await removeIfThere(fs, path.join(dir, segment.file))
    await fs.syncDir(dir)
  }

  const takeSpare = async (size: number): Promise<void> => {
    if (spare && spare.bytes !== size) {
      await spare.ready.catch(() => undefined)
      spare = undefined
    }
    try {
      await (spare?.ready ?? prepareSpare(size))
    } finally {
      spare = undefined
    }
  }

  const beginSegment = async (size: number, snapshot: string): Promise<void> => {
    const last = segments.at(-1)
    const number = Math.max(numberFloor, last?.number ?? 0) + 1
    const previousEnd = last?.end ?? 0
    const header = encodeHeader({ epoch, number, firstSeq: nextSeq, bytes: size, previousEnd, recordBytesMax, state: snapshot }) // biome-ignore format: one header
    const made = await fs.open(path.join(dir, SPARE), 'write')
    try {
      await made.write(header.block, 0)
      await made.write(header.state, HEADER_BYTES)
      await made.write(header.state, size - HEADER_BYTES - header.state.length)
      await made.write(header.block, size - HEADER_BYTES)
      await made.sync()
    } finally {
      await made.close()
    }
    const name = segmentName(number, nextSeq)
    // From here on the new segment may be found on the disk, and says where the one before it ends: that one must not grow
    // any more, even if what follows fails. Then the next attempt makes the same segment again.
    appendable = false
    await fs.rename(path.join(dir, SPARE), path.join(dir, name))
    await fs.syncDir(dir)
    const { start, end: capacity } = dataRange(size, header.state.length)
    const segment: Segment = {
      number,
      firstSeq: nextSeq,
      file: name,
      bytes: size,
      start,
      end: start,
      capacity,
      recordBytesMax,
      seed: segmentSeed(epoch, number),
      nextFirstSeq: undefined,
      index: [],
    }
    await saveManifest(segments[0] ?? segment, segment)
    const before = file
    file = await fs.open(path.join(dir, name), 'write')
    if (last) last.nextFirstSeq = nextSeq
    segments.push(segment)
    appendable = true
    isProven = true
    await before?.close()
  }

  /** `meanwhile` runs when nothing more is to be done than to wait for the disk. */
  const writeDurably = async (segment: Segment, data: Uint8Array, meanwhile?: () => void): Promise<void> => {
    file ??= await fs.open(path.join(dir, segment.file), 'write')
    if (!file.writeDurably) await file.write(data, segment.end)
    const durable = file.writeDurably ? file.writeDurably(data, segment.end) : file.sync()
    meanwhile?.()
    await durable
  }

  /** An empty write, which proves the one before it. */
  const mark = async (): Promise<void> => {
    const segment = active()
    if (!segment || isProven || segment.end + RECORD_HEAD_BYTES > segment.capacity) return
    const flags = BEGIN | END | WRITE | MARK
    await writeDurably(segment, encodeRecord(new Uint8Array(0), segment.seed, segment.end, nextSeq, flags))
    segment.end += RECORD_HEAD_BYTES
    isProven = true
  }

  /** The next segment is made while this one fills. */
  const prepareAhead = (segment: Segment): void => {
    const size = usualBytes()
    const isDue = segment.end - segment.start > (segment.capacity - segment.start) / 2
    if (isDue && !spare && bytes() + size <= limits.bytesMax) prepareSpare(size).catch(() => undefined)
  }

  return {
    segments,
    get gone() {
      return gone
    },
    active,
    bytes,
    nextSeq: () => nextSeq,
    isFull: () => wakeBlocked !== undefined,
    hasRoom: () => bytes() + usualBytes() <= limits.bytesMax,
    async begin(appendBytes, snapshot, signal) {
      const stateBytes = Buffer.byteLength(snapshot)
      const needed = 3 * HEADER_BYTES + 2 * stateBytes + appendBytes + RECORD_HEAD_BYTES
      const size = Math.max(usualBytes(), Math.ceil(needed / pageBytes) * pageBytes)
      await makeRoom(size, signal)
      await takeSpare(size)
      await exclusive(() => beginSegment(size, snapshot))
    },
    async write(data, entries, meanwhile) {
      const segment = active()
      if (!segment) throw new LogClosedError('no segment is open for writing')
      try {
        await writeDurably(segment, data, meanwhile)
      } catch (error) {
        appendable = false
        throw error
      }
      segment.end += data.length
      nextSeq += entries
      isProven = false
      if (segment.end - (segment.index.at(-1)?.offset ?? segment.start) >= indexStepBytes) {
        segment.index.push({ offset: segment.end, seq: nextSeq })
      }
      prepareAhead(segment)
    },
    trim: through =>
      exclusive(async () => {
        let count = 0
        while ((segments[count + 1]?.firstSeq ?? Number.POSITIVE_INFINITY) - 1 <= through) count++
        await drop(count, undefined)
      }),
    async close() {
      closed = true
      await spare?.ready.catch(() => undefined)
      try {
        await exclusive(async () => {
          await mark()
          const [first] = segments
          const last = segments.at(-1)
          if (first && last) await saveManifest(first, last)
        })
      } finally {
        await removeIfThere(fs, path.join(dir, SPARE)).catch(() => undefined)
        await file?.close()
        file = undefined
      }
    },
  }
}

/** Joins what belongs together, and the two oldest where there are too many. */
const addGone = (gone: readonly GoneRange[], range: GoneRange): GoneRange[] => {
  const before = gone.at(-1)
  if (before && before.why === range.why && before.through + 1 === range.from) {
    return [...gone.slice(0, -1), { ...before, through: range.through }]
  }
  const all = [...gone, range]
  const [first, second] = all
  if (all.length <= goneRangesMax || !first || !second) return all
  return [{ from: first.from, through: second.through, why: second.why }, ...all.slice(2)]
}
