/** Folders and the disks below them: there, readable, writable, how full, and of what kind. Nothing is left behind. */
import { randomUUID } from 'node:crypto'
import { access, constants, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export interface Disk {
  freeBytes: number
  totalBytes: number
  /** Of the file system, where it is one of a network or of another machine: its changes bring no events. */
  share?: string
}

/** Magic numbers of Linux's statfs (include/uapi/linux/magic.h). */
const shareTypes: Readonly<Record<number, string>> = {
  26985: 'NFS',
  20859: 'SMB',
  4283649346: 'CIFS',
  4266872130: 'SMB',
  1702057286: 'FUSE (sshfs or the like)',
  16914839: '9P',
  2020557398: 'a folder shared by VirtualBox',
  1397113167: 'AFS',
  12805120: 'Ceph',
}

/** Of the disk on which the path is or would be made. Rejects where none of its parents can be looked at. */
export const diskOf = async (path: string, platform: NodeJS.Platform): Promise<Disk> => {
  const { bavail, blocks, bsize, type } = await statfs(await nearestFolder(path))
  const share = platform === 'win32' ? uncShare(path) : platform === 'linux' ? shareTypes[type >>> 0] : undefined
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize, ...(share !== undefined && { share }) }
}

/** `\\server\folder` is a share; a drive letter may be one, too, which nothing tells. */
const uncShare = (path: string): string | undefined => (/^[\\/]{2}[^\\/?.]/.test(path) ? 'SMB' : undefined)

/** The path itself where it is there, else the nearest folder above it that is. */
export const nearestFolder = async (path: string): Promise<string> => {
  for (let at = path; ; at = dirname(at)) {
    try {
      return (await stat(at)).isDirectory() ? at : dirname(at)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(at) === at) throw error
    }
  }
}

/** Why nothing can be made at or in the folder, as an error code; `undefined` where it can. */
export const whyNotWritable = async (folder: string): Promise<string | undefined> => {
  try {
    const stats = await stat(folder).catch(() => undefined)
    if (stats && !stats.isDirectory()) return 'ENOTDIR'
    await access(await nearestFolder(folder), constants.W_OK | constants.X_OK)
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown'
  }
}

/** As `whyNotWritable`, by writing a small file where the folder is there, which goes again. */
export const whyNotWritten = async (folder: string): Promise<string | undefined> => {
  const before = await whyNotWritable(folder)
  if (before !== undefined || (await nearestFolder(folder)) !== folder) return before
  const file = join(folder, `.penstock-${randomUUID()}`)
  try {
    await writeFile(file, 'x', { flag: 'wx' })
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown'
  } finally {
    await rm(file, { force: true }).catch(() => {})
  }
}

/** The block device under a path, e.g. `mmcblk0p2`, where Linux tells. */
export const deviceOf = async (path: string): Promise<string | undefined> => {
  try {
    const { dev } = await stat(await nearestFolder(path), { bigint: true })
    // As glibc's gnu_dev_major and gnu_dev_minor.
    const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn)
    const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn)
    const event = await readFile(`/sys/dev/block/${major}:${minor}/uevent`, 'utf8')
    return /^DEVNAME=(.+)$/m.exec(event)?.[1]
  } catch {
    return undefined
  }
}
