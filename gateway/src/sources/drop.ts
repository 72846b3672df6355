/**
 * Whole files that are put into a folder. A file is read once its size and time have stood still for `stableMs`, and is
 * moved away only when the cloud has said that all of it is stored:
 *
 *     in the folder ──stable──► hashed ──new──► read ──receipt──► done/     rows were read, or it holds none
 *                                  │                         └──► failed/   nothing but rejects, or 0 bytes
 *                                  └──the same content again──receipt──► where the first one went, without new rows
 *
 * What survives a kill stands in the cursor: `file:<path>` a file that is being read, `content:<sha256>` a content that
 * was read whole, `move:<path>` a file that waits for its receipt. A name with other content is its next generation.
 */
import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { duration, path } from '@penstock/config'
import { createFileDecoder, formatSchema } from '@penstock/formats'
import type { Health, Json, LedgerLine } from '@penstock/frame'
import * as z from 'zod'
import { createAlarm } from '../alarm.ts'
import { createBatcher } from '../batcher.ts'
import { type Completeness, completenessShape, createCompleteness, waitMsMax } from '../completeness.ts'
import { moveFile } from '../file-mover.ts'
import { beginning, bytesOf, createFileReader, type FileProgress, type FileReader } from '../file-reader.ts'
import { seenText } from '../file-tracker.ts'
import { createGlob, type FoundFile, findFile, findFiles, type Glob, identityOf } from '../glob.ts'
import { createLockProbe, type LockProbe } from '../lock-probe.ts'
import {
  frameRowsMax,
  type Placed,
  pattern,
  patternOption,
  placementShape,
  recordBytesMax,
  sourceId,
} from '../placement.ts'
import type { Batch, Cursor, Source, SourceDeps } from '../source.ts'

const temporaryNames = [
  '.*',
  '*~',
  '~*',
  '*.tmp',
  '*.temp',
  '*.part',
  '*.partial',
  '*.filepart',
  '*.crdownload',
  '*.download',
  '*.swp',
  '*.lock',
]

export const dropOptions = z
  .strictObject({
    id: sourceId,
    kind: z.literal('drop'),
    folder: path.describe('Folder into which files are put'),
    pattern: patternOption,
    ignore: z
      .array(pattern)
      .max(100)
      .default(temporaryNames)
      .describe('Names that are never read: files that are still being written'),
    format: formatSchema,
    ...placementShape,
    stableMs: duration.default(2000).describe('A file is whole when its size and time stood still for so long'),
    complete: z
      .strictObject({
        closed: z
          .boolean()
          .default(true)
          .describe('No other program has it open for writing, as far as the system tells'),
        says: z
          .boolean()
          .default(false)
          .describe(
            'The file itself says that it is finished (we7000: BlockSize is reached; tdms: no segment is open)',
          ),
        ...completenessShape,
        waitMsMax,
      })
      .prefault({})
      .describe('What makes a file whole, beside standing still for `stableMs`'),
    pollMsMax: duration.pipe(z.int().min(10)).default(1000).describe('How often the folder is looked at'),
    doneFolder: path.default('done').describe('Where files go that were read, below `folder` or absolute'),
    failedFolder: path.default('failed').describe('Where files go of which nothing could be read'),
    contentsMax: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(50_000)
      .describe('So many contents are remembered, to know one that comes again; beyond, the oldest is forgotten'),
    filesMax: z.int().min(1).max(1_000_000).default(100_000),
    recordBytesMax,
  })
  .describe('Whole files, put into a folder')
export type DropOptions = Placed<z.output<typeof dropOptions>>

/** A file as it was when it was hashed. */
interface Identity {
  key: string
  size: number
  mtimeNs: string
}
/** `file:<path>`: a file that is being read. */
interface Open extends Identity {
  hash: string
  rejects: number
  progress: FileProgress
}
/** `content:<sha256>`: a content that was read whole. */
interface Content {
  file: string
  generation: number
  to: Fate
  /** In order of reading, so that the oldest is forgotten first. */
  n: number
}
/** `move:<path>`: a file that is to be moved once the cloud has it. */
interface Move extends Identity {
  to: Fate
}
type Fate = 'done' | 'failed'

const moveRetryMsMax = 5000
const movesAtOnceMax = 16
const hashPieceBytes = 1024 * 1024

export interface DropDeps extends SourceDeps {
  lockProbe?: LockProbe
}

export const openDrop = (options: DropOptions, deps: DropDeps): Source => {
  const { id, folder, stableMs, pollMsMax } = options
  const { lockProbe = createLockProbe(process.platform) } = deps
  const completeness = createCompleteness(options.complete)
  const nowMs = () => deps.now().getTime()
  const moveRetryMs = Math.min(moveRetryMsMax, 10 * pollMsMax)
  const fates = fatesOf(options)
  const glob = dropGlob(options)
  let health: { health: Health; message?: string } = { health: 'starting' }

  async function* batches(resume: Cursor, signal: AbortSignal): AsyncGenerator<Batch> {
    const ended = new AbortController()
    const waiting = AbortSignal.any([signal, ended.signal])
    const alarm = createAlarm()
    const batcher = createBatcher()
    const reader = readerOf(options)
    const state = createState(resume, options.contentsMax, batcher.cursor)
    const still = new Map<string, { text: string; sinceMs: number }>()
    const moveProblems = new Map<string, string>()
    const readProblems = new Map<string, string>()
    const stored = new Set<string>()
    let read: string[] = []

    /** Paths whose rows are durable here may be moved once the cloud has said the same. */
    const awaitReceipt = (paths: string[]) => {
      deps.receipts.stored(deps.receipts.lastSeq(), waiting).then(
        () => {
          for (const path of paths) stored.add(path)
          alarm.ring()
        },
        () => {},
      )
    }
    async function* flush(): AsyncGenerator<Batch> {
      const batch = batcher.take()
      if (!batch) return
      const paths = read
      read = []
      yield batch
      if (paths.length > 0) awaitReceipt(paths)
    }

    /** What files have said of themselves, for the size and time that they had. */
    const said: Said = new Map()
    const writersOf = (files: FoundFile[]): Promise<Map<string, string>> => {
      const asked = options.complete.closed ? files.filter(file => !state.waits(file.path)) : []
      return lockProbe.writers(new Map(asked.map(file => [file.key, join(folder, file.path)])))
    }

    const isStill = (file: FoundFile): boolean => {
      const text = `${file.key} ${file.size} ${file.mtimeNs}`
      const before = still.get(file.path)
      if (before?.text !== text) still.set(file.path, { text, sinceMs: nowMs() })
      return nowMs() - (still.get(file.path)?.sinceMs ?? 0) >= stableMs
    }

    /** What still files wait for that are not complete, by path; and since when, for the size and time that they have. */
    const waits = new Map<string, { text: string; sinceMs: number; missing: string; warned: boolean }>()
    const mayWait = (file: FoundFile, missing: string): boolean => {
      const text = seenText(file)
      const before = waits.get(file.path)
      const wait = before?.text === text ? before : { text, sinceMs: nowMs(), missing, warned: false }
      wait.missing = missing
      waits.set(file.path, wait)
      const { waitMsMax } = options.complete
      if (waitMsMax === undefined || nowMs() - wait.sinceMs < waitMsMax) return true
      if (!wait.warned) deps.log.warn({ file: file.path, missing }, 'the file is read although it is not complete')
      wait.warned = true
      return false
    }

    async function* take(file: FoundFile): AsyncGenerator<Batch> {
      const handle = await open(join(folder, file.path))
      try {
        const { missing, size } = await lookInto(options, completeness, reader, file, handle, nowMs(), said)
        if (missing !== undefined && mayWait(file, missing)) return
        waits.delete(file.path)
        const hash = await hashOf(handle, file.size, signal)
        if (hash === undefined || !(await isUnchanged(handle, file))) return still.delete(file.path)
        const before = state.content(hash)
        if (before) {
          if (before.file !== file.path) batcher.ledger(emptyLine(id, file, state.nextGeneration(file.path)))
          deps.log.info({ file: file.path, before: before.file }, 'the same content again: no new rows')
          state.wait(file.path, { ...identity(file), to: before.to })
          read.push(file.path)
        } else yield* decode(file, handle, hash, size)
      } finally {
        await handle.close()
      }
    }

    async function* decode(file: FoundFile, handle: FileHandle, hash: string, size: number): AsyncGenerator<Batch> {
      const left = state.opened(file.path)
      const resumed = left?.hash === hash ? await reader.resume(left.progress, handle, size) : undefined
      const reading = resumed ?? reader.begin(beginning(file.path, state.nextGeneration(file.path)))
      let rejected = (resumed && left?.rejects) || 0
      for (let more = true; more; ) {
        if (signal.aborted) return
        const piece = await reading.next(handle, size, true, file.mtimeNs)
        more = piece.more
        if (!piece.decoded || (!more && !(await isUnchanged(handle, file)))) {
          deps.log.warn({ file: file.path }, 'the file changed while it was read: it is read again as a new generation')
          state.close(file.path)
          return still.delete(file.path)
        }
        const { frames, rejects, used } = piece.decoded
        rejected += rejects.length
        batcher.add(frames, rejects, used)
        batcher.ledger(reading.ledgerLine())
        if (more) state.open(file.path, { ...identity(file), hash, rejects: rejected, progress: reading.progress() })
        if (more && batcher.full()) yield* flush()
      }
      const to = reading.rowsRead() > reading.rowsRejected() || (rejected === 0 && file.size > 0) ? 'done' : 'failed'
      if (to === 'failed') deps.log.warn({ file: file.path, rejects: rejected }, 'nothing could be read of the file')
      state.close(file.path)
      state.finish(hash, { file: reading.file, generation: reading.generation, to })
      state.wait(file.path, { ...identity(file), to })
      read.push(file.path)
      if (batcher.full()) yield* flush()
    }

    const settle = (path: string) => {
      stored.delete(path)
      moveProblems.delete(path)
      state.settle(path)
    }
    const moveOne = async (path: string): Promise<void> => {
      const move = state.waits(path)
      const there = await findFile(folder, path)
      // Moved already before a kill, taken away, or replaced by other content, which is read as a new file.
      if (!move || !there || !isSame(there, move)) return settle(path)
      try {
        const to = await moveFile(join(folder, path), join(fates[move.to], path))
        deps.log.info({ file: path, to }, 'the cloud has stored the file: moved')
        settle(path)
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code
        if (code === undefined) throw error
        moveProblems.set(path, moveProblem(path, fates[move.to], code))
      }
    }
    /** Moves what the cloud has. Each move waits for the disk, so some go at once. */
    const moveStored = async () => {
      const paths = [...stored]
      for (let i = 0; i < paths.length; i += movesAtOnceMax)
        await Promise.all(paths.slice(i, i + movesAtOnceMax).map(moveOne))
    }

    try {
      let movedAtMs = 0
      if (state.waiting().length > 0) awaitReceipt(state.waiting())
      while (!signal.aborted) {
        const found = await findFiles(folder, glob, options.filesMax)
        const problems = [...found.problems]
        let nextMs = pollMsMax
        const writers = await writersOf(found.files.filter(isStill))
        for (const file of found.files.toSorted(byAge)) {
          if (signal.aborted) break
          const move = state.waits(file.path)
          if (move && isSame(file, move)) continue
          if (!isStill(file)) {
            nextMs = Math.min(nextMs, Math.max(10, stableMs - (nowMs() - (still.get(file.path)?.sinceMs ?? 0))))
            continue
          }
          if (move) settle(file.path)
          const writer = writers.get(file.key)
          if (writer !== undefined && mayWait(file, `it is open for writing in ${writer}`)) continue
          try {
            yield* take(file)
            readProblems.delete(file.path)
          } catch (error) {
            // One file that cannot be read does not keep the others waiting.
            const { code, message } = error as NodeJS.ErrnoException
            if (code === 'ENOENT') continue
            const problem = `${file.path} cannot be read (${code ?? message}); trying again`
            if (readProblems.get(file.path) !== problem) deps.log.warn({ err: error, file: file.path }, problem)
            readProblems.set(file.path, problem)
            problems.push(problem)
          }
        }
        if (signal.aborted) break
        if (found.problems.length === 0) forgetGone(found.files, [still, readProblems, waits, said], state, deps)
        if (moveProblems.size === 0 || nowMs() - movedAtMs >= moveRetryMs) {
          movedAtMs = nowMs()
          await moveStored()
        }
        yield* flush()
        health = healthOf([...problems, ...moveProblems.values()], waits)
        await alarm.wait(nextMs, signal)
      }
    } finally {
      ended.abort()
    }
  }

  return { id, kind: 'drop', batches, health: () => health }
}

/** What the cursor holds, and the only place that writes it. */
const createState = (resume: Cursor, contentsMax: number, save: (key: string, value: Json) => void) => {
  const opens = new Map<string, Open>()
  const contents = new Map<string, Content>()
  const moves = new Map<string, Move>()
  const generations = new Map<string, number>()
  const count = (file: string, generation: number) =>
    generations.set(file, Math.max(generation, generations.get(file) ?? 0))
  for (const [key, value] of Object.entries(resume)) {
    const name = key.slice(key.indexOf(':') + 1)
    if (key.startsWith('file:')) opens.set(name, value as unknown as Open)
    else if (key.startsWith('content:')) contents.set(name, value as unknown as Content)
    else if (key.startsWith('move:')) moves.set(name, value as unknown as Move)
  }
  for (const { progress } of opens.values()) count(progress.file, progress.generation)
  const inOrder = [...contents].sort(([, a], [, b]) => a.n - b.n)
  contents.clear()
  let n = 0
  for (const [hash, content] of inOrder) {
    contents.set(hash, content)
    count(content.file, content.generation)
    n = content.n
  }
  return {
    opened: (path: string) => opens.get(path),
    openPaths: () => [...opens.keys()],
    open(path: string, value: Open) {
      opens.set(path, value)
      count(value.progress.file, value.progress.generation)
      save(`file:${path}`, value as unknown as Json)
    },
    close(path: string) {
      if (opens.delete(path)) save(`file:${path}`, null)
    },
    content: (hash: string) => contents.get(hash),
    finish(hash: string, content: Omit<Content, 'n'>) {
      n++
      contents.set(hash, { ...content, n })
      count(content.file, content.generation)
      save(`content:${hash}`, { ...content, n })
      for (const oldest of contents.keys()) {
        if (contents.size <= contentsMax) break
        contents.delete(oldest)
        save(`content:${oldest}`, null)
      }
    },
    nextGeneration: (file: string) => (generations.get(file) ?? 0) + 1,
    waits: (path: string) => moves.get(path),
    waiting: () => [...moves.keys()],
    wait(path: string, move: Move) {
      moves.set(path, move)
      save(`move:${path}`, move as unknown as Json)
    },
    settle(path: string) {
      if (moves.delete(path)) save(`move:${path}`, null)
    },
  }
}

const fatesOf = ({ folder, doneFolder, failedFolder }: DropOptions): Record<Fate, string> => ({
  done: resolve(folder, doneFolder),
  failed: resolve(folder, failedFolder),
})

/** Which files are read: neither temporary ones nor those that have been moved away. */
export const dropGlob = (options: DropOptions): Glob => {
  const wanted = createGlob([options.pattern].flat())
  const ignored = createGlob(options.ignore)
  const without = Object.values(fatesOf(options))
  return {
    matches: path => wanted.matches(path) && !ignored.matches(basename(path)),
    reaches: below => wanted.reaches(below) && !without.includes(resolve(options.folder, below)),
  }
}

const readerOf = (options: DropOptions): FileReader =>
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

/** What a file says of itself, by its path, for the size and time that it had. */
type Said = Map<string, { text: string; finished: boolean }>

/** Whether a file is complete by what was asked for, and how many of its bytes are data. */
const lookInto = async (
  options: DropOptions,
  completeness: Completeness,
  reader: FileReader,
  file: FoundFile,
  handle: FileHandle,
  nowMs: number,
  said: Said,
): Promise<{ missing?: string; size: number }> => {
  const look = await completeness.look(options.folder, file.path, bytesOf(handle, file.size))
  if (look.missing !== undefined || !options.complete.says) return look
  const text = seenText(file)
  let known = said.get(file.path)
  if (known?.text !== text) {
    known = { text, finished: await saysFinished(reader, file, handle, look.size, nowMs) }
    said.set(file.path, known)
  }
  return known.finished ? look : { ...look, missing: 'it does not say of itself that it is finished' }
}

/** Reads the file once for nothing but this. */
const saysFinished = async (
  reader: FileReader,
  file: FoundFile,
  handle: FileHandle,
  size: number,
  nowMs: number,
): Promise<boolean> => {
  const reading = reader.begin(beginning(file.path, 1))
  for (let more = true; more; ) ({ more } = await reading.next(handle, size, false, BigInt(nowMs) * 1_000_000n))
  return reading.finished()
}

const identity = (file: FoundFile): Identity => ({ key: file.key, size: file.size, mtimeNs: `${file.mtimeNs}` })
const isSame = (file: FoundFile, was: Identity): boolean =>
  file.key === was.key && file.size === was.size && `${file.mtimeNs}` === was.mtimeNs
const isUnchanged = async (handle: FileHandle, file: FoundFile): Promise<boolean> => {
  const now = identityOf(await handle.stat({ bigint: true }))
  return now.key === file.key && now.size === file.size && now.mtimeNs === file.mtimeNs
}

/** SHA-256 of the first `size` bytes; `undefined` where there are fewer, or the signal aborts. */
const hashOf = async (handle: FileHandle, size: number, signal: AbortSignal): Promise<string | undefined> => {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(Math.min(size, hashPieceBytes))
  for (let at = 0; at < size; ) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, size - at), at)
    if (bytesRead === 0 || signal.aborted) return undefined
    hash.update(buffer.subarray(0, bytesRead))
    at += bytesRead
  }
  return hash.digest('base64url')
}

const emptyLine = (source: string, file: FoundFile, generation: number): LedgerLine => ({
  source,
  file: file.path,
  generation,
  rowsRead: 0,
  rowsStored: 0,
  rowsRejected: 0,
  bytes: file.size,
  complete: true,
})

const moveProblem = (path: string, to: string, code: string): string =>
  code === 'EACCES' || code === 'EROFS' || code === 'EPERM'
    ? `${path} is stored but cannot be moved to ${to}: no permission to write there or to take it away (${code})`
    : code === 'ENOSPC'
      ? `${path} is stored but cannot be moved to ${to}: the disk is full`
      : `${path} is stored but cannot be moved to ${to} (${code}); trying again`

/** Files that were taken away while they were watched or read leave nothing behind. */
const forgetGone = (
  files: FoundFile[],
  seen: Map<string, unknown>[],
  state: ReturnType<typeof createState>,
  deps: SourceDeps,
): void => {
  const here = new Set(files.map(file => file.path))
  for (const paths of seen) for (const path of paths.keys()) if (!here.has(path)) paths.delete(path)
  for (const path of state.openPaths()) {
    if (here.has(path)) continue
    deps.log.warn({ file: path }, 'the file was taken away before it was read to its end')
    state.close(path)
  }
}

const byAge = (a: FoundFile, b: FoundFile): number =>
  a.mtimeNs < b.mtimeNs ? -1 : a.mtimeNs > b.mtimeNs ? 1 : a.path < b.path ? -1 : 1

const healthOf = (
  problems: string[],
  waits: ReadonlyMap<string, { missing: string }>,
): { health: Health; message?: string } => {
  const [first] = problems
  if (first === undefined) {
    const [waiting] = waits
    if (!waiting) return { health: 'ok' }
    const more = waits.size === 1 ? '' : ` (and ${waits.size - 1} more)`
    return { health: 'ok', message: `${waiting[0]} is not complete: ${waiting[1].missing}${more}` }
  }
  return { health: 'failing', message: problems.length === 1 ? first : `${first} (and ${problems.length - 1} more)` }
}
