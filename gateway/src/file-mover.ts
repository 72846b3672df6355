/**
 * Moves a file without ever overwriting one, across file systems too, so that a kill at any moment leaves the file under
 * its old name, its new name or both, and moving again finishes the work.
 */
import { constants } from 'node:fs'
import { copyFile, link, mkdir, open, rename, stat, unlink, utimes } from 'node:fs/promises'
import { dirname, join, parse } from 'node:path'

const namesTriedMax = 10_000

/** Moves `from` to `to`, or to `to` with a number before its extension where that name is taken. Returns the path it has now. */
export const moveFile = async (from: string, to: string): Promise<string> => {
  await mkdir(dirname(to), { recursive: true })
  const source = await stat(from, { bigint: true })
  for (let n = 1; n <= namesTriedMax; n++) {
    const target = n === 1 ? to : numbered(to, n)
    const there = await stat(target, { bigint: true }).catch(absent)
    if (there && there.ino === source.ino && there.dev === source.dev) {
      // Linked by an earlier process, which was killed before it took the old name away.
      await unlink(from)
      return target
    }
    if (there) continue
    if (await claim(from, target)) return target
  }
  throw new Error(`${dirname(to)} holds more than ${namesTriedMax} files named like ${parse(to).base}`)
}

const absent = (error: NodeJS.ErrnoException): undefined => {
  if (error.code !== 'ENOENT') throw error
}

const numbered = (path: string, n: number): string => {
  const { dir, name, ext } = parse(path)
  return join(dir, `${name}.${n}${ext}`)
}

/** @returns false where the name was taken meanwhile */
const claim = async (from: string, target: string): Promise<boolean> => {
  try {
    await link(from, target)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (code === 'EEXIST') return false
    if (code === 'EXDEV') return copyAcross(from, target)
    if (!withoutLinks.has(code)) throw error
    // FAT, exFAT and some network drives know no links. The name was free a moment ago, and only we write here.
    await rename(from, target)
    return true
  }
  await unlink(from)
  await syncFolder(dirname(target))
  return true
}
const withoutLinks = new Set(['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'])

const copyAcross = async (from: string, target: string): Promise<boolean> => {
  const { dir, base } = parse(target)
  const partial = join(dir, `.${base}.part`)
  await copyFile(from, partial)
  const { atime, mtime } = await stat(from)
  await utimes(partial, atime, mtime)
  await syncFile(partial)
  try {
    await link(partial, target)
    await unlink(partial)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (code === 'EEXIST') return false
    if (!withoutLinks.has(code)) throw error
    await rename(partial, target)
  }
  await syncFolder(dir)
  await unlink(from)
  return true
}

const syncFile = async (file: string): Promise<void> => {
  const handle = await open(file, constants.O_RDWR)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** A new name survives a power cut only once its folder is synced; where a folder cannot be opened (Windows), it is not. */
const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, constants.O_RDONLY).catch(() => undefined)
  try {
    await handle?.sync().catch(() => {})
  } finally {
    await handle?.close()
  }
}
