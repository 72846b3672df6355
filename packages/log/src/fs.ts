/**
 * The file calls that the log needs, and no more, so that a test can fail, tear or reorder each of them.
 * Every call rejects with the system's error (with its `code`) where it fails.
 */
import fs from 'node:fs'
import path from 'node:path'

export interface LogFile {
  bytes(): Promise<number>
  /** Fills `into` from `position`; returns fewer bytes only at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>
  /** All of `bytes`; not yet durable. */
  write(bytes: Uint8Array, position: number): Promise<void>
  /** `write` and `sync` in one call, where the system can. After a rejection any part may be on disk or not. */
  writeDurably?(bytes: Uint8Array, position: number): Promise<void>
  /** All that was written is durable when it resolves (fdatasync). After a rejection any part of it may be on disk or not. */
  sync(): Promise<void>
  close(): Promise<void>
}

export interface LogFs {
  /** Makes the folder and those above it, where they are missing, durably. */
  makeDir(dir: string): Promise<void>
  /** Names of the folder's files. */
  list(dir: string): Promise<string[]>
  /** `create` rejects with EEXIST where the file exists. */
  open(file: string, mode: 'read' | 'write' | 'create'): Promise<LogFile>
  /** Replaces what `to` names. */
  rename(from: string, to: string): Promise<void>
  remove(file: string): Promise<void>
  /** Makes names that were made, renamed or removed in the folder durable. */
  syncDir(dir: string): Promise<void>
}

/**
 * Linux can make a write durable in the call itself (O_DSYNC), which saves a trip to the disk thread. Used where the file
 * system is known to hold to it; elsewhere (FUSE, network) fdatasync says it plainly.
 */
const dsyncFileSystems = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0xf2f52010, 'f2fs'],
])
const honoursDsync = async (file: string): Promise<boolean> =>
  process.platform === 'linux' && dsyncFileSystems.has((await fs.promises.statfs(file)).type)

const openFlags = {
  read: fs.constants.O_RDONLY,
  write: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
}

const done =
  (resolve: () => void, reject: (error: Error) => void) =>
  (error: Error | null): void =>
    error ? reject(error) : resolve()

const writeAll = (fd: number, bytes: Uint8Array, position: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const step = (from: number): void =>
      fs.write(fd, bytes, from, bytes.length - from, position + from, (error, n) => {
        if (error) reject(error)
        else if (from + n >= bytes.length) resolve()
        else if (n === 0) reject(Object.assign(new Error('ENOSPC: nothing more could be written'), { code: 'ENOSPC' }))
        else step(from + n)
      })
    step(0)
  })

const readAll = (fd: number, into: Uint8Array, position: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const step = (from: number): void =>
      fs.read(fd, into, from, into.length - from, position + from, (error, n) => {
        if (error) reject(error)
        else if (n === 0 || from + n >= into.length) resolve(from + n)
        else step(from + n)
      })
    step(0)
  })

const openFd = (file: string, flags: number): Promise<number> =>
  new Promise((resolve, reject) => fs.open(file, flags, 0o644, (error, fd) => (error ? reject(error) : resolve(fd))))
const closeFd = (fd: number): Promise<void> => new Promise((resolve, reject) => fs.close(fd, done(resolve, reject)))
const syncFd = (fd: number): Promise<void> => new Promise((resolve, reject) => fs.fdatasync(fd, done(resolve, reject)))

/** The real file system. */
export const nodeLogFs: LogFs = {
  async makeDir(dir) {
    const first = await fs.promises.mkdir(dir, { recursive: true })
    if (first === undefined) return
    const above = path.dirname(path.resolve(first))
    for (let made = path.resolve(dir); made !== above; made = path.dirname(made))
      await nodeLogFs.syncDir(path.dirname(made))
  },
  list: dir => fs.promises.readdir(dir),
  async open(file, mode) {
    const fd = await openFd(file, openFlags[mode])
    let dsyncFd: number | undefined
    if (mode === 'write' && (await honoursDsync(file))) {
      dsyncFd = await openFd(file, fs.constants.O_WRONLY | fs.constants.O_DSYNC)
    }
    return {
      ...(dsyncFd !== undefined && { writeDurably: writeAll.bind(undefined, dsyncFd) }),
      bytes: () =>
        new Promise((resolve, reject) => fs.fstat(fd, (error, stat) => (error ? reject(error) : resolve(stat.size)))),
      read: (into, position) => readAll(fd, into, position),
      write: (bytes, position) => writeAll(fd, bytes, position),
      sync: () => syncFd(fd),
      async close() {
        if (dsyncFd !== undefined) await closeFd(dsyncFd)
        await closeFd(fd)
      },
    }
  },
  rename: (from, to) => fs.promises.rename(from, to),
  remove: file => fs.promises.unlink(file),
  async syncDir(dir) {
    // Windows has no way to sync a folder, and needs none: NTFS journals names.
    if (process.platform === 'win32') return
    const fd = await openFd(path.resolve(dir), fs.constants.O_RDONLY)
    try {
      await new Promise<void>((resolve, reject) => fs.fsync(fd, done(resolve, reject)))
    } catch (error) {
      // Some network and user-space file systems know no sync of folders.
      if (!['EINVAL', 'ENOTSUP', 'ENOSYS'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    } finally {
      await closeFd(fd)
    }
  },
}
