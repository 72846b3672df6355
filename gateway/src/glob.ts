/**
 * Which files of a folder belong to a source. Patterns stand for paths below the folder, with "/" between names:
 * `*` any characters of a name, `?` one, `[a-c]` and `[!a-c]` one of a set, `{a,b}` either, `**` any number of folders.
 * A name that begins with a dot is matched only by a pattern that does, too.
 */
import type { BigIntStats } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

export interface Glob {
  matches(path: string): boolean
  /** Whether files that match may lie below this folder. */
  reaches(folder: string): boolean
}

const bracesMax = 256

export const createGlob = (patterns: readonly string[]): Glob => {
  const compiled = patterns.flatMap(expandBraces).map(p => p.split('/').filter(Boolean).map(segmentOf))
  return {
    matches: path => compiled.some(pattern => fits(pattern, path.split('/'), false)),
    reaches: folder => folder === '' || compiled.some(pattern => fits(pattern, folder.split('/'), true)),
  }
}

export const isGlob = (pattern: string): boolean => {
  try {
    createGlob([pattern])
    return true
  } catch {
    return false
  }
}

type Segment = RegExp | '**'

const expandBraces = (pattern: string): string[] => {
  const done: string[] = []
  const open = [pattern]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const match = /^(.*?)\{([^{}]*)\}(.*)$/.exec(next)
    if (!match || done.length + open.length > bracesMax) done.push(next)
    else for (const choice of match[2]?.split(',') ?? []) open.push(`${match[1]}${choice}${match[3]}`)
  }
  return done
}

const segmentOf = (text: string): Segment => {
  if (text === '**') return '**'
  let source = /^[*?[]/.test(text) ? '(?!\\.)' : ''
  for (let i = 0; i < text.length; i++) {
    const c = text[i] ?? ''
    const set = c === '[' ? /^\[(!?)([^\]]+)\]/.exec(text.slice(i)) : null
    if (c === '*') source += '[^/]*'
    else if (c === '?') source += '[^/]'
    else if (set) {
      source += `[${set[1] ? '^' : ''}${(set[2] ?? '').replace(/[\\^[]/g, '\\$&')}]`
      i += set[0].length - 1
    } else source += c.replace(/[\\^$.|+(){}[\]]/, '\\$&')
  }
  return new RegExp(`^${source}$`, 'u')
}

/** @param prefix whether it is enough that the path may go on to fit */
const fits = (pattern: Segment[], path: string[], prefix: boolean, p = 0, i = 0): boolean => {
  if (i === path.length) return prefix ? p < pattern.length : pattern.slice(p).every(s => s === '**')
  const segment = pattern[p]
  if (segment === undefined) return false
  const name = path[i] ?? ''
  if (segment !== '**') return segment.test(name) && fits(pattern, path, prefix, p + 1, i + 1)
  return fits(pattern, path, prefix, p + 1, i) || (!name.startsWith('.') && fits(pattern, path, prefix, p, i + 1))
}

export interface FoundFile {
  /** Below the folder, with "/" between names. */
  path: string
  /** Device and inode. */
  key: string
  size: number
  mtimeNs: bigint
}

export interface Found {
  files: FoundFile[]
  /** Every folder that was looked into, relative ('' the first). */
  folders: string[]
  /** What could not be looked at, in plain words. */
  problems: string[]
}

const statsAtOnceMax = 64

/** All regular files below `folder` that match. A folder or file that vanishes meanwhile is no problem; a missing `folder` is. */
export const findFiles = async (folder: string, glob: Glob, filesMax: number): Promise<Found> => {
  const found: Found = { files: [], folders: [], problems: [] }
  const open = ['']
  for (let below = open.pop(); below !== undefined; below = open.pop()) {
    const paths: string[] = []
    try {
      const entries = await readdir(join(folder, below), { withFileTypes: true })
      for (const entry of entries) {
        const path = below === '' ? entry.name : `${below}/${entry.name}`
        if (entry.isDirectory()) {
          if (glob.reaches(path)) open.push(path)
        } else if ((entry.isFile() || entry.isSymbolicLink()) && glob.matches(path)) paths.push(path)
      }
      found.folders.push(below)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      if (code !== 'ENOENT' || below === '') found.problems.push(folderProblem(join(folder, below), code))
    }
    for (let i = 0; i < paths.length; i += statsAtOnceMax) {
      const some = await Promise.all(paths.slice(i, i + statsAtOnceMax).map(path => findFile(folder, path)))
      for (const file of some) if (file) found.files.push(file)
    }
    if (found.files.length > filesMax) {
      found.problems.push(
        `${folder} holds more than ${filesMax} files that match: narrow the pattern or raise filesMax`,
      )
      found.files.length = filesMax
      break
    }
  }
  return found
}

const folderProblem = (folder: string, code: string | undefined): string => {
  if (code === 'ENOENT') return `the folder ${folder} does not exist; waiting for it`
  if (code === 'ENOTDIR') return `${folder} is not a folder`
  return `the folder ${folder} cannot be read (${code})`
}

/** One file by its path, or `undefined` where there is none. */
export const findFile = async (folder: string, path: string): Promise<FoundFile | undefined> => {
  try {
    const stats = await stat(join(folder, path), { bigint: true })
    return stats.isFile() ? { path, ...identityOf(stats) } : undefined
  } catch {
    // It vanished, or it is a link to nothing: either way there is no file to read now.
    return undefined
  }
}

export const identityOf = (stats: BigIntStats): Omit<FoundFile, 'path'> => ({
  key: `${stats.dev}:${stats.ino}`,
  size: Number(stats.size),
  mtimeNs: stats.mtimeNs,
})
