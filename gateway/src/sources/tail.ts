/**
 * Files that grow. Each poll lists the folder, tells known files from new ones, and reads what has come, old files
 * before their successors. Events of the file system only make a poll come earlier: a poll alone finds everything.
 *
 *     renamed                the same file goes on under its old name in the ledger, and is read before its successor
 *     truncated, rewritten   a new generation of the name; a copy made before the truncation is read to its end first
 *     deleted                forgotten after `forgetMs`; one of the same name that begins with all that was read goes
 *                            on, any other is a new generation
 *
 * A last line without an end is held until it is whole, or until the file has rested for `finishMs`.
 */
import { type FSWatcher, watch } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { duration, path } from '@penstock/config'
import { createFileDecoder, formatSchema, wholeFileKinds } from '@penstock/formats'
import type { Health, Json } from '@penstock/frame'
import * as z from 'zod'
import { createAlarm } from '../alarm.ts'
import { type Batcher, createBatcher } from '../batcher.ts'
import { completenessShape, createCompleteness } from '../completeness.ts'
import { bytesOf, createFileReader, type FileProgress, type FileReader, type Reading } from '../file-reader.ts'
import { createFileTracker, inOrder, seenText, type Tracked } from '../file-tracker.ts'
import { createGlob, type FoundFile, identityOf } from '../glob.ts'
import { frameRowsMax, type Placed, patternOption, placementShape, recordBytesMax, sourceId } from '../placement.ts'
import type { Batch, Cursor, Source, SourceDeps } from '../source.ts'

export const tailOptions = z
  .strictObject({
    id: sourceId,
    kind: z.literal('tail'),
    folder: path.describe('Folder below which the files are'),
    pattern: patternOption,
    format: formatSchema,
    ...placementShape,
    startAt: z
      .enum(['beginning', 'end'])
      .default('beginning')
      .describe('Where to begin in files that exist at the first start'),
    pollMsMax: duration
      .pipe(z.int().min(10))
      .default(1000)
      .describe('A change is seen within this time, also where no event comes'),
    finishMs: duration
      .optional()
      .describe('A file that rests this long is complete: its last line is read even without an end. Default: never'),
    complete: z
      .strictObject(completenessShape)
      .optional()
      .describe('What says that a file is complete, so that its last line is read at once'),
    forgetMs: duration.default(30 * 86_400_000).describe('A deleted file is forgotten after this time'),
    filesMax: z.int().min(1).max(1_000_000).default(100_000),
    recordBytesMax,
  })
  .check(ctx => {
    const { format, finishMs, complete } = ctx.value
    if (!wholeFileKinds.has(format.kind) || finishMs !== undefined || complete !== undefined) return
    const message = `${format.kind} files are read when they are complete: say when a file is, with finishMs or complete, or use kind: drop`
    ctx.issues.push({ code: 'custom', path: ['format', 'kind'], input: format.kind, message })
  })
  .describe('Files that grow')
export type TailOptions = Placed<z.output<typeof tailOptions>>

/** A file that was opened to be read. */
interface Prepared {
  file: Tracked
  handle?: FileHandle
  now?: Omit<FoundFile, 'path'>
  /** The path still leads to the file that was looked at. */
  isThat?: boolean
  /** None where the file began anew. */
  reading?: Reading | undefined
  error?: NodeJS.ErrnoException
}

const filePrefix = 'file:'
const startedKey = 'started'
/** Decoders kept between polls; a file beyond them goes on from its checkpoint. */
const readingsMax = 1024
const postponedMax = 3
const openAheadMax = 16
/**
 * File systems count time in steps (4 ms on Linux, 2 s on FAT): a file that changed so recently may change again under the
 * same time and size, so it is looked into once more.
 */
const mtimeStepMsMax = 2000
const foldersWatchedMax = 64
/** Between two looks, so that a folder in which something changes all the time costs half a core at most. */
const restMsMin = 20

export const openTail = (options: TailOptions, deps: SourceDeps): Source => {
  const { id, folder } = options
  const nowMs = () => deps.now().getTime()
  let health: { health: Health; message?: string } = { health: 'starting' }

  async function* batches(resume: Cursor, signal: AbortSignal): AsyncGenerator<Batch> {
    const alarm = createAlarm()
    const batcher = createBatcher()
    const reader = readerOf(options)
    const readings = new Set<Tracked>()
    const known = progressesOf(resume)
    const tracker = createFileTracker({
      folder,
      glob: createGlob([options.pattern].flat()),
      filesMax: options.filesMax,
      forgetMs: options.forgetMs,
      reader,
      resume: known,
      save: (key, progress) => batcher.cursor(`${filePrefix}${key}`, progress as Json),
      nowMs,
      log: deps.log,
    })
    const watchers = new Map<string, FSWatcher>()
    let skipping = options.startAt === 'end' && known.size === 0 && resume[startedKey] === undefined
    if (resume[startedKey] === undefined) batcher.cursor(startedKey, true)

    const completeness = createCompleteness(options.complete ?? {})
    const rests = (file: Tracked) => options.finishMs !== undefined && nowMs() - file.changedAtMs >= options.finishMs
    const isDue = (file: Tracked) =>
      file.found !== undefined &&
      (file.seen !== seenText(file.found) ||
        (!file.progress.complete && file.found.size > 0 && (rests(file) || options.complete?.file !== undefined)))

    /** How many files were not what the look had found, and how often in a row new files had to wait for that. */
    let unsettled = 0
    let postponed = 0
    const unsettle = () => {
      unsettled++
      alarm.ring()
    }
    const isBegun = (file: Tracked) => file.progress.checkpoint.offset > 0

    /**
     * A new file that changed since the look may have been rotated since, unread: then its predecessor comes with the next
     * look, and goes first. One that changes all the time is not waited for for ever.
     */
    const mayHaveBegunAnew = (file: Tracked, now: Omit<FoundFile, 'path'>): boolean => {
      if (isBegun(file) || !file.found || seenText(file.found) === seenText(now)) return false
      file.postponed = (file.postponed ?? 0) + 1
      return file.postponed <= postponedMax
    }

    const keep = (file: Tracked, reading: Reading) => {
      file.reading = reading
      readings.delete(file)
      readings.add(file)
      if (readings.size <= readingsMax) return
      for (const oldest of readings) {
        readings.delete(oldest)
        delete oldest.reading
        break
      }
    }
    const readingOf = async (file: Tracked, handle: FileHandle, size: number): Promise<Reading | undefined> => {
      const { progress, reading } = file
      if (reading) return (await reading.continues(handle, size)) ? reading : undefined
      if (progress.checkpoint.offset > 0) return reader.resume(progress, handle, size)
      return reader.begin(progress)
    }

    /** Opens a file, and finds where to go on in it. */
    const prepare = async (file: Tracked): Promise<Prepared> => {
      let handle: FileHandle | undefined
      try {
        handle = await open(join(folder, file.path))
        const now = identityOf(await handle.stat({ bigint: true }))
        const isThat = now.key === file.key
        return { file, handle, now, isThat, reading: isThat ? await readingOf(file, handle, now.size) : undefined }
      } catch (error) {
        await handle?.close()
        return { file, error: error as NodeJS.ErrnoException }
      }
    }
    /** Reads a file to the size that it has now. Where it began anew, a copy of the old one is read instead. */
    async function* read(prepared: Prepared, problems: string[]): AsyncGenerator<Batch> {
      const { file, handle, now, isThat, reading, error } = prepared
      try {
        if (error) throw error
        if (!handle || !now) return
        if (reading && mayHaveBegunAnew(file, now)) return unsettle()
        if (reading) {
          keep(file, reading)
          const { complete, size } = await lookAt(file, handle, now.size)
          yield* drain(file, reading, handle, size, complete || rests(file))
          if (file.reading && !signal.aborted && nowMs() - Number(now.mtimeNs / 1_000_000n) > mtimeStepMsMax) {
            file.seen = seenText(now)
          } else delete file.seen
        }
        if (!reading) delete file.reading
        if (!file.reading) unsettle()
        if (isThat && !reading) {
          // The new generation comes with the next look, which also finds what was made since this one began.
          const copy = await tracker.beginAnew(file)
          if (copy) yield* readAll([copy], problems)
        }
      } catch (error) {
        // One file that cannot be read does not keep the others waiting.
        delete file.reading
        const { code, message } = error as NodeJS.ErrnoException
        if (code === 'ENOENT') return unsettle()
        const problem = `${file.path} cannot be read (${code ?? message}); trying again`
        if (file.problem !== problem) deps.log.warn({ err: error, file: file.path }, problem)
        file.problem = problem
        problems.push(problem)
      }
    }
    /**
     * Reads files in their order. Some are opened ahead, for opening is what takes the time where files are small.
     * @param settledOnly stop where a file is not what the look had found: those behind it may be its successors
     */
    async function* readAll(files: Tracked[], problems: string[], settledOnly = false): AsyncGenerator<Batch> {
      const before = unsettled
      const mayGoOn = () => !signal.aborted && !(settledOnly && unsettled > before)
      for (let i = 0; i < files.length && mayGoOn(); i += openAheadMax) {
        const prepared = await Promise.all(files.slice(i, i + openAheadMax).map(prepare))
        try {
          for (const file of prepared) if (mayGoOn()) yield* read(file, problems)
        } finally {
          await Promise.all(prepared.map(({ handle }) => handle?.close()))
        }
      }
    }

    /** Whether the file says or is said to be complete, and how many of its bytes are data. */
    const lookAt = async (file: Tracked, handle: FileHandle, size: number) => {
      if (!completeness.isAsked) return { complete: false, size }
      const look = await completeness.look(folder, file.path, bytesOf(handle, size))
      return { complete: look.missing === undefined, size: look.size }
    }

    async function* drain(
      file: Tracked,
      reading: Reading,
      handle: FileHandle,
      size: number,
      last: boolean,
    ): AsyncGenerator<Batch> {
      for (let more = true; more && !signal.aborted; ) {
        const piece = await reading.next(handle, size, last, BigInt(nowMs()) * 1_000_000n)
        more = piece.more
        if (piece.changed) delete file.reading
        if (!piece.decoded) return
        file.progress = reading.progress()
        const { frames, rejects, used } = piece.decoded
        const nothing = used === 0 && frames.length === 0 && rejects.length === 0
        if (skipping || (nothing && !last)) continue
        batcher.cursor(`${filePrefix}${file.key}`, file.progress as unknown as Json)
        batcher.add(frames, rejects, used)
        batcher.ledger(reading.ledgerLine())
        if (batcher.full()) yield* take(batcher)
      }
      if (skipping) skip(file)
    }

    /** What was there before the first start counts as read, and as nothing. */
    const skip = (file: Tracked) => {
      const { firstTime, lastTime, ...rest } = file.progress
      file.progress = { ...rest, rowsRead: 0, rowsRejected: 0 }
      delete file.reading
      batcher.cursor(`${filePrefix}${file.key}`, file.progress as unknown as Json)
    }

    try {
      while (!signal.aborted) {
        const startedMs = nowMs()
        const { files, folders, problems } = await tracker.look()
        watchFolders(watchers, folder, folders, alarm.ring)
        health = healthOf(problems)
        const due = files.filter(isDue)
        const before = unsettled
        yield* readAll(inOrder(due.filter(isBegun)), problems)
        // A new file may be the successor of one that changed since the look: the next one tells. Not for ever, though.
        const mayWait = postponed < postponedMax
        const rest = inOrder(due.filter(file => !isBegun(file) && tracker.isFollowed(file)))
        if (!mayWait || unsettled === before) yield* readAll(rest, problems, mayWait)
        postponed = mayWait && unsettled > before ? postponed + 1 : 0
        if (signal.aborted) break
        skipping = false
        yield* take(batcher)
        health = healthOf(problems)
        const tookMs = Math.max(0, nowMs() - startedMs)
        const restMs = Math.min(options.pollMsMax, Math.max(restMsMin, tookMs))
        await createAlarm().wait(restMs, signal)
        await alarm.wait(options.pollMsMax - restMs, signal)
      }
    } finally {
      for (const watcher of watchers.values()) watcher.close()
    }
  }

  return { id, kind: 'tail', batches, health: () => health }
}

const readerOf = (options: TailOptions): FileReader =>
  createFileReader({
    folder: options.folder,
    context: {
      source: options.id,
      site: options.site,
      device: options.device ?? options.id,
      stream: options.stream,
      zone: options.zone,
      frameRowsMax,
      recordBytesMax: options.recordBytesMax,
    },
    makeDecoder: (context, resume) => createFileDecoder(options.format, context, resume),
    format: options.format,
  })

const progressesOf = (resume: Cursor): Map<string, FileProgress> => {
  const files = new Map<string, FileProgress>()
  for (const [key, value] of Object.entries(resume)) {
    if (key.startsWith(filePrefix)) files.set(key.slice(filePrefix.length), value as unknown as FileProgress)
  }
  return files
}

function* take(batcher: Batcher): Generator<Batch> {
  const batch = batcher.take()
  if (batch) yield batch
}

const healthOf = (problems: string[]): { health: Health; message?: string } => {
  const [first] = problems
  if (first === undefined) return { health: 'ok' }
  return { health: 'failing', message: problems.length === 1 ? first : `${first} (and ${problems.length - 1} more)` }
}

/** Watches what it can; what it cannot is found by polling. */
const watchFolders = (
  watchers: Map<string, FSWatcher>,
  folder: string,
  folders: readonly string[],
  ring: () => void,
): void => {
  for (const [below, watcher] of watchers) {
    if (folders.includes(below)) continue
    watcher.close()
    watchers.delete(below)
  }
  for (const below of folders) {
    if (watchers.has(below) || watchers.size >= foldersWatchedMax) continue
    try {
      const watcher = watch(join(folder, below), ring)
      const stop = () => {
        watcher.close()
        watchers.delete(below)
      }
      watcher.on('error', stop)
      watchers.set(below, watcher)
    } catch {
      // No events here (too many watches, a network drive): the poll sees it.
    }
  }
}
