/**
 * What the segments cannot say of themselves: which of them should be there.
 *
 * One small file, `manifest.json`, replaced as a whole (written aside, synced, renamed, folder synced). People can read it.
 * The log opens without it; then a missing first or last segment goes unseen, and that is said.
 */

import path from 'node:path'
import { crc32 } from 'node:zlib'
import type { LogFs } from './fs.ts'

export interface GoneRange {
  from: number
  through: number
  why: string
}

export interface Manifest {
  epoch: string
  /** Segments below are trimmed or dropped, whether their files are gone yet or not. */
  oldest: { number: number; firstSeq: number }
  /** The last segment that was begun, and how many entries it can hold at most. */
  newest: { number: number; firstSeq: number; entriesMax: number }
  /** The next number was at least this: numbers below are never given again. */
  nextSeq: number
  /** Ranges in front of the oldest entry that were not trimmed: `drop-oldest` took them, or their segment was missing. Oldest first. */
  gone: readonly GoneRange[]
}

export const MANIFEST = 'manifest.json'
const temporary = 'manifest.tmp'
const bytesMax = 64 * 1024

/** `undefined` where there is none, `damaged` where it does not hold what was written. */
export const readManifest = async (fs: LogFs, dir: string): Promise<Manifest | 'damaged' | undefined> => {
  let text: string
  try {
    text = (await readSmall(fs, path.join(dir, MANIFEST), bytesMax)).toString('utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    return 'damaged'
  }
  const match = /^\{"crc32":(\d+),"manifest":(\{.*\})\}\n$/s.exec(text)
  if (!match || Number(match[1]) !== crc32(match[2] as string)) return 'damaged'
  try {
    return JSON.parse(match[2] as string) as Manifest
  } catch {
    return 'damaged'
  }
}

export const writeManifest = async (fs: LogFs, dir: string, manifest: Manifest): Promise<void> => {
  const text = JSON.stringify(manifest)
  await replaceSmall(fs, dir, temporary, MANIFEST, `{"crc32":${crc32(text)},"manifest":${text}}\n`)
}

export const readSmall = async (fs: LogFs, file: string, limit: number): Promise<Buffer> => {
  const handle = await fs.open(file, 'read')
  try {
    const bytes = Buffer.alloc(Math.min(limit, await handle.bytes()))
    return bytes.subarray(0, await handle.read(bytes, 0))
  } finally {
    await handle.close()
  }
}

/** Makes a file appear whole, durably, in place of the one before. */
const replaceSmall = async (fs: LogFs, dir: string, aside: string, name: string, text: string): Promise<void> => {
  const from = path.join(dir, aside)
  await removeIfThere(fs, from)
  const handle = await fs.open(from, 'create')
  try {
    await handle.write(Buffer.from(text), 0)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await fs.rename(from, path.join(dir, name))
  await fs.syncDir(dir)
}

export const removeIfThere = async (fs: LogFs, file: string): Promise<void> => {
  try {
    await fs.remove(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
