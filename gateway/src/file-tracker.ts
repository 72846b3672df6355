/**
 * Which files are followed, and which file is which, whatever happens to names and inodes.
 *
 * A file is known by device and inode as long as it holds what was read of it. Where that breaks, what was read (hashes
 * of head and tail) finds it again: a copy made by a rotation, a rewritten file that begins the same, another inode or
 * device number under the old name. What is not found again is a new file, or a new generation of its name.
 */
import { open } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path/posix'
import { beginning, type FileProgress, type FileReader, type Reading } from './file-reader.ts'
import { createGlob, type FoundFile, findFile, findFiles, type Glob } from './glob.ts'

/** A file that is followed. */
export interface Tracked {
  readonly key: string
  /** Where it is now, below the folder. Its name in the ledger is `progress.file`. */
  path: string
  progress: FileProgress
  reading?: Reading
  /** Size and mtime as last found. */
  found?: FoundFile
  /** When it was last found changed. */
  changedAtMs: number
  /** Size and mtime when it was last read to its end. */
  seen?: string
  goneAtMs?: number
  /** How often it was left for the next look, for it changed since the last. */
  postponed?: number
  /** Why it could not be read when that was last tried. */
  problem?: string
}

export interface FileTracker {
  /** Looks at the folder once. `files` are all that are followed and there. */
  look(): Promise<{ files: Tracked[]; folders: string[]; problems: string[] }>
  /** False for one that was replaced: what it stood for goes on under another identity. */
  isFollowed(tracked: Tracked): boolean
  /**
   * The file no longer holds what was read of it: from the next look on it is a new generation. Gives the copy that still
   * holds what was read, and perhaps more, where a rotation made one before it truncated the file.
   */
  beginAnew(tracked: Tracked): Promise<Tracked | undefined>
}

/**
 * The order in which files are read: older ones before newer, and a rotated file before the one that has its name now,
 * where the clock of the file system cannot tell.
 */
export const inOrder = (files: readonly Tracked[]): Tracked[] =>
  files.toSorted((a, b) => {
    const [ageA, ageB] = [a.found?.mtimeNs ?? 0n, b.found?.mtimeNs ?? 0n]
    if (ageA !== ageB) return ageA < ageB ? -1 : 1
    if (originalsOf(a.path).includes(b.path)) return -1
    if (originalsOf(b.path).includes(a.path)) return 1
    return a.path < b.path ? -1 : 1
  })

export interface FileTrackerOptions {
  folder: string
  glob: Glob
  filesMax: number
  forgetMs: number
  reader: Pick<FileReader, 'holds' | 'cutAt'>
  /** What earlier processes left, by device and inode. */
  resume: Map<string, FileProgress>
  /** Called with each change of what must be durable; `null` forgets the file. */
  save(key: string, progress: FileProgress | null): void
  nowMs(): number
  log: { info(o: object, m: string): void; warn(o: object, m: string): void }
}

const neighboursMax = 10_000
/** A file that looks like a copy for rotation is held this long, for the truncation of the original to show. */
const copyHoldMs = 5000

export const seenText = (file: Pick<FoundFile, 'size' | 'mtimeNs'>): string => `${file.size}@${file.mtimeNs}`

export const createFileTracker = (options: FileTrackerOptions): FileTracker => {
  const { folder, glob, filesMax, forgetMs, reader, save, nowMs, log } = options
  const tracked = new Map<string, Tracked>()
  const generations = new Map<string, number>()
  const held = new Map<string, { sinceMs: number; size: number; original: Tracked }>()

  const track = (key: string, path: string, progress: FileProgress): Tracked => {
    const { file, generation } = progress
    generations.set(file, Math.max(generation, generations.get(file) ?? 0))
    const entry: Tracked = { key, path, progress, changedAtMs: nowMs() }
    tracked.set(key, entry)
    return entry
  }
  for (const [key, progress] of options.resume) track(key, progress.path ?? progress.file, progress)
  const nextGeneration = (file: string): number => (generations.get(file) ?? 0) + 1

  const place = (entry: Tracked, file: FoundFile): void => {
    if (entry.path !== file.path) {
      log.info({ from: entry.path, to: file.path }, 'file renamed')
      // The inode of a deleted file, given to a new one, of which nothing was read yet.
      const isNew = entry.goneAtMs !== undefined && entry.progress.checkpoint.offset === 0
      entry.path = file.path
      entry.progress = isNew ? beginning(file.path, nextGeneration(file.path)) : withPath(entry.progress, file.path)
      delete entry.reading
      save(entry.key, entry.progress)
    }
    if (entry.found && seenText(entry.found) !== seenText(file)) entry.changedAtMs = nowMs()
    entry.found = file
    delete entry.goneAtMs
  }

  /** What was read under one identity goes on under another. */
  const rebind = (entry: Tracked, file: FoundFile): Tracked => {
    if (tracked.get(entry.key) === entry) {
      tracked.delete(entry.key)
      save(entry.key, null)
    }
    const next = track(file.key, file.path, withPath(entry.progress, file.path))
    place(next, file)
    save(next.key, next.progress)
    log.info({ file: next.progress.file, at: file.path }, 'file goes on under another identity')
    return next
  }

  const holds = async (progress: FileProgress, file: FoundFile): Promise<boolean> => {
    if (progress.checkpoint.offset === 0 || file.size < progress.checkpoint.offset) return false
    const handle = await open(join(folder, file.path)).catch(() => undefined)
    if (!handle) return false
    try {
      return await reader.holds(progress, handle, file.size)
    } finally {
      await handle.close()
    }
  }

  /** What was read of `entry`, as far as a copy of it holds it: all, or, where it was made earlier, a part. */
  const progressIn = async (entry: Tracked, file: FoundFile): Promise<FileProgress | undefined> => {
    if (await holds(entry.progress, file)) return entry.progress
    const copy = held.get(file.key)
    if (copy?.original !== entry || copy.size !== file.size || file.size === 0) return undefined
    const handle = await open(join(folder, file.path)).catch(() => undefined)
    if (!handle) return undefined
    try {
      return await reader.cutAt(entry.progress, handle, file.size)
    } finally {
      await handle.close()
    }
  }

  /** Files of one folder, whether they match or not. */
  const neighbours = async (below: string): Promise<FoundFile[]> => {
    const all = createGlob([below === '.' ? '{*,.*}' : `${escapeGlob(below)}/{*,.*}`])
    return (await findFiles(folder, all, neighboursMax)).files
  }

  /** Sorts what is listed into known files, lost ones and new ones. */
  const survey = async () => {
    const found = await findFiles(folder, glob, filesMax)
    const listed = new Map<string, FoundFile>()
    for (const file of found.files) {
      if (!listed.has(file.key) || tracked.get(file.key)?.path === file.path) listed.set(file.key, file)
    }
    const lost: Tracked[] = []
    for (const entry of tracked.values()) {
      const file = listed.get(entry.key) ?? (entry.goneAtMs === undefined ? await stillAt(entry) : undefined)
      if (file) place(entry, file)
      else lost.push(entry)
    }
    const near = new Map<string, Map<string, FoundFile>>()
    const missing: Tracked[] = []
    for (const entry of lost) {
      if (entry.goneAtMs !== undefined) continue
      const below = dirname(entry.path)
      const files = near.get(below) ?? new Map((await neighbours(below)).map(file => [file.key, file]))
      near.set(below, files)
      const file = files.get(entry.key)
      if (file) place(entry, file)
      else missing.push(entry)
    }
    const fresh = [...listed.values()].filter(file => !tracked.has(file.key))
    return { found, fresh, missing }
  }

  const stillAt = async (entry: Tracked): Promise<FoundFile | undefined> => {
    const file = await findFile(folder, entry.path)
    return file?.key === entry.key ? file : undefined
  }

  const lose = (entry: Tracked): void => {
    entry.goneAtMs = nowMs()
    delete entry.reading
    const unread = (entry.found?.size ?? 0) - entry.progress.checkpoint.offset
    if (unread > 0) log.warn({ file: entry.path, bytes: unread }, 'file vanished before it was read to its end')
  }

  const forget = (): void => {
    for (const entry of tracked.values()) {
      if (entry.goneAtMs === undefined || nowMs() - entry.goneAtMs < forgetMs) continue
      tracked.delete(entry.key)
      save(entry.key, null)
    }
    for (const key of held.keys()) if (tracked.has(key)) held.delete(key)
  }

  /** A file not seen before: one that goes on elsewhere, one to be held for a moment, or a new one. */
  const admit = async (file: FoundFile, byPath: Map<string, Tracked[]>): Promise<void> => {
    const names = [file.path, ...originalsOf(file.path)]
    const candidates = names.flatMap(name => byPath.get(name) ?? []).filter(entry => tracked.get(entry.key) === entry)
    for (const entry of candidates) {
      if (entry.goneAtMs !== undefined && (await holds(entry.progress, file))) {
        rebind(entry, file)
        return
      }
    }
    for (const entry of candidates) {
      if (entry.goneAtMs === undefined && entry.path !== file.path && (await mayBeCopy(entry, file))) return
    }
    held.delete(file.key)
    place(track(file.key, file.path, beginning(file.path, nextGeneration(file.path))), file)
  }

  const mayBeCopy = async (entry: Tracked, file: FoundFile): Promise<boolean> => {
    const before = held.get(file.key)
    const sinceMs = before?.size === file.size ? before.sinceMs : nowMs()
    if (nowMs() - sinceMs >= copyHoldMs) return false
    const { offset } = entry.progress.checkpoint
    // The original has begun anew since: reading it now finds this copy.
    if (before?.original === entry && entry.found && !(await holds(entry.progress, entry.found))) return true
    const alike =
      file.size >= offset
        ? await holds(entry.progress, file)
        : await sameHead(join(folder, entry.path), join(folder, file.path), file.size)
    if (alike) held.set(file.key, { sinceMs, size: file.size, original: entry })
    return alike
  }

  /** Followed files by the names that they have and had. */
  const pathsOf = (): Map<string, Tracked[]> => {
    const byPath = new Map<string, Tracked[]>()
    for (const entry of tracked.values()) {
      for (const path of new Set([entry.path, entry.progress.file])) {
        const had = byPath.get(path)
        if (had) had.push(entry)
        else byPath.set(path, [entry])
      }
    }
    return byPath
  }

  return {
    async look() {
      let { found, fresh, missing } = await survey()
      // A rename between the listing and a stat looks like a loss: only a second look tells.
      if (missing.length > 0) ({ found, fresh, missing } = await survey())
      for (const entry of missing) lose(entry)
      if (fresh.length > 0) {
        const byPath = pathsOf()
        for (const file of fresh.toSorted(byAge)) await admit(file, byPath)
      }
      forget()
      const files = [...tracked.values()].filter(entry => entry.goneAtMs === undefined)
      return { files, folders: found.folders, problems: found.problems }
    },

    isFollowed: entry => tracked.get(entry.key) === entry,

    async beginAnew(entry) {
      let copy: Tracked | undefined
      if (entry.progress.checkpoint.offset > 0) {
        const own = [basename(entry.path), basename(entry.progress.file)]
        for (const file of await neighbours(dirname(entry.path))) {
          if (file.key === entry.key || !originalsOf(basename(file.path)).some(name => own.includes(name))) continue
          if ((tracked.get(file.key)?.progress.checkpoint.offset ?? 0) > 0) continue
          const progress = await progressIn(entry, file)
          if (!progress) continue
          held.delete(file.key)
          copy = track(file.key, file.path, withPath(progress, file.path))
          place(copy, file)
          save(copy.key, copy.progress)
          break
        }
      }
      const fresh = track(entry.key, entry.path, beginning(entry.path, nextGeneration(entry.path)))
      if (entry.found) place(fresh, entry.found)
      save(fresh.key, fresh.progress)
      log.info({ file: entry.path, generation: fresh.progress.generation }, 'file began anew')
      return copy
    },
  }
}

const withPath = (progress: FileProgress, path: string): FileProgress => {
  const { path: _, ...rest } = progress
  return path === progress.file ? rest : { ...rest, path }
}

const byAge = (a: FoundFile, b: FoundFile): number =>
  a.mtimeNs < b.mtimeNs ? -1 : a.mtimeNs > b.mtimeNs ? 1 : a.path < b.path ? -1 : 1

const escapeGlob = (path: string): string => path.replace(/[*?{}[\]]/g, c => (c === '{' || c === '}' ? '?' : `[${c}]`))

/** The names that a file may have had before a rotation gave it this one: app.log.1, app-20240131.log, app.log.old. */
const originalsOf = (path: string): string[] => {
  const names: string[] = []
  const dated = /^(.*?)[.\-_]\d[\d.\-_:T]*(\.[A-Za-z]\w*)?$/.exec(path)
  if (dated?.[1]) names.push(`${dated[1]}${dated[2] ?? ''}`)
  const marked = /^(.+)\.(?:old|bak|copy|orig|save|\d+)$/i.exec(path)
  if (marked?.[1]) names.push(marked[1])
  return names
}

const compareBytesMax = 65_536
const sameHead = async (a: string, b: string, size: number): Promise<boolean> => {
  const length = Math.min(size, compareBytesMax)
  const [headA, headB] = await Promise.all([headOf(a, length), headOf(b, length)])
  return headA !== undefined && headB !== undefined && headA.length === length && headA.equals(headB)
}
const headOf = async (file: string, length: number): Promise<Buffer | undefined> => {
  const handle = await open(file).catch(() => undefined)
  if (!handle) return undefined
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}
