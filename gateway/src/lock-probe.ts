/**
 * Whether another program has a file open for writing. No system tells for certain: Linux shows the open files of the
 * processes that this user may look at, Windows refuses to share a file that its writer keeps for itself.
 */
import { open, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

export interface LockProbe {
  /**
   * Which program writes each of these files, in plain words, by the key (device:inode) that was given; files without an
   * entry are free as far as can be seen. Never rejects.
   */
  writers(files: ReadonlyMap<string, string>): Promise<Map<string, string>>
}

const processesMax = 8192
const handlesPerProcessMax = 16_384
const processesAtOnce = 16
/** The bits of fdinfo's flags that say how a file was opened; 0 is reading. */
const accessMode = 0o3

/** @param processes where Linux shows its processes; a test passes its own */
export const createLockProbe = (platform: NodeJS.Platform, processes = '/proc'): LockProbe => {
  if (platform === 'win32') return { writers: refusedToShare }
  if (platform === 'linux' || platform === 'android') return { writers: files => openInProcesses(processes, files) }
  return { writers: () => Promise.resolve(new Map()) }
}

const refusedToShare = async (files: ReadonlyMap<string, string>): Promise<Map<string, string>> => {
  const found = new Map<string, string>()
  for (const [key, path] of files) {
    try {
      await (await open(path, 'r+')).close()
    } catch (error) {
      // A file that may only be read answers EPERM or EACCES: that says nothing of a writer.
      if ((error as NodeJS.ErrnoException).code === 'EBUSY') found.set(key, 'another program, which does not share it')
    }
  }
  return found
}

const openInProcesses = async (folder: string, files: ReadonlyMap<string, string>): Promise<Map<string, string>> => {
  const found = new Map<string, string>()
  if (files.size === 0) return found
  const names = await readdir(folder).catch(() => [])
  const pids = names.filter(name => /^\d+$/.test(name) && name !== `${process.pid}`).slice(0, processesMax)
  for (let i = 0; i < pids.length; i += processesAtOnce) {
    await Promise.all(pids.slice(i, i + processesAtOnce).map(pid => lookInto(join(folder, pid), pid, files, found)))
  }
  return found
}

/** Processes and handles come and go while one looks, and others belong to other users: what cannot be seen is passed over. */
const lookInto = async (
  folder: string,
  pid: string,
  files: ReadonlyMap<string, string>,
  found: Map<string, string>,
): Promise<void> => {
  const handles = await readdir(join(folder, 'fd')).catch(() => [])
  for (const handle of handles.slice(0, handlesPerProcessMax)) {
    const stats = await stat(join(folder, 'fd', handle), { bigint: true }).catch(() => undefined)
    const key = stats?.isFile() ? `${stats.dev}:${stats.ino}` : undefined
    if (key === undefined || !files.has(key) || found.has(key)) continue
    const info = await readFile(join(folder, 'fdinfo', handle), 'utf8').catch(() => '')
    const flags = /^flags:\s*([0-7]+)/m.exec(info)?.[1]
    if (flags === undefined || (Number.parseInt(flags, 8) & accessMode) === 0) continue
    const name = (await readFile(join(folder, 'comm'), 'utf8').catch(() => '')).trim()
    found.set(key, `${name || 'a program'} (process ${pid})`)
  }
}
