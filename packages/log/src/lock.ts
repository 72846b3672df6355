/**
 * One process at a time. The lock is a file that names its holder: process id, when that process began, and which start
 * of the machine it belongs to, so that neither a reused id nor a restart keeps a dead holder's lock alive. Node has no
 * flock; where /proc is missing (macOS, Windows) the process id alone decides. Two containers that share the folder but
 * not their process ids cannot see each other: give a log to one of them only.
 *
 * A dead holder's lock is taken over under a second lock, named for the first one's token, so that of two takers one wins.
 */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { LogLockedError } from './errors.ts'
import { type LogFs, nodeLogFs } from './fs.ts'
import { readSmall, removeIfThere } from './manifest.ts'

export const LOCK = 'lock'
const unreadableMsMax = 500
const unreadableMsStep = 50
const depthMax = 8

interface Holder {
  pid: number
  /** Start of the process in clock ticks since the machine started; absent where the system does not say. */
  started?: string
  boot?: string
  token: string
}

/** Takes the lock of the folder; the answer gives it back. Rejects with a LogLockedError where a live process holds it. */
export const takeLock = async (fs: LogFs, dir: string): Promise<() => Promise<void>> => {
  const me: Holder = { pid: process.pid, token: randomUUID(), ...startOf(process.pid) }
  const file = path.join(dir, LOCK)
  await take(fs, dir, file, me, 0)
  return async () => {
    const holder = await readHolder(fs, file)
    if (typeof holder !== 'string' && holder.token === me.token) await removeIfThere(fs, file)
  }
}

/** The process that has the log in `dir` open, or `undefined`. For those who only look: nothing is made or taken. */
export const findLogHolder = async (dir: string, fs: LogFs = nodeLogFs): Promise<number | undefined> => {
  const holder = await readHolder(fs, path.join(dir, LOCK))
  return isAlive(holder) ? pidOf(holder) : undefined
}

const take = async (fs: LogFs, dir: string, file: string, me: Holder, depth: number): Promise<void> => {
  if (await create(fs, file, me)) return
  const holder = await readHolder(fs, file)
  if (depth > depthMax || isAlive(holder)) throw new LogLockedError(dir, pidOf(holder))
  // Dead: only who holds the lock on this very lock may remove it.
  const guard = `${file}.${typeof holder === 'string' ? holder : holder.token.slice(0, 8)}`
  await take(fs, dir, guard, me, depth + 1)
  try {
    const still = await readHolder(fs, file, 0)
    const same =
      typeof still === 'string' || typeof holder === 'string' ? still === holder : still.token === holder.token
    if (same && still !== 'gone') await removeIfThere(fs, file)
    if (!(await create(fs, file, me))) throw new LogLockedError(dir, pidOf(await readHolder(fs, file)))
  } finally {
    await removeIfThere(fs, guard)
  }
}

const create = async (fs: LogFs, file: string, holder: Holder): Promise<boolean> => {
  let handle: Awaited<ReturnType<LogFs['open']>>
  try {
    handle = await fs.open(file, 'create')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
  try {
    await handle.write(Buffer.from(`${JSON.stringify(holder)}\n`), 0)
  } finally {
    await handle.close()
  }
  // Whoever found it unreadable for too long may have taken it for a dead one's.
  const now = await readHolder(fs, file, 0)
  return typeof now !== 'string' && now.token === holder.token
}

/** `unreadable` where it stays so: its maker died, or the power went, before it was written. */
const readHolder = async (
  fs: LogFs,
  file: string,
  waitMsMax = unreadableMsMax,
): Promise<Holder | 'gone' | 'unreadable'> => {
  for (let waitedMs = 0; ; waitedMs += unreadableMsStep) {
    let text: string
    try {
      text = (await readSmall(fs, file, 4096)).toString('utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'gone'
      throw error
    }
    const holder = parseHolder(text)
    if (holder) return holder
    if (waitedMs >= waitMsMax) return 'unreadable'
    await delay(unreadableMsStep)
  }
}

const parseHolder = (text: string): Holder | undefined => {
  try {
    const holder = JSON.parse(text) as Holder
    return typeof holder.pid === 'number' && typeof holder.token === 'string' ? holder : undefined
  } catch {
    return undefined
  }
}
const pidOf = (holder: Holder | 'gone' | 'unreadable'): number => (typeof holder === 'string' ? 0 : holder.pid)

const isAlive = (holder: Holder | 'gone' | 'unreadable'): boolean => {
  if (typeof holder === 'string') return false
  const { boot, started } = startOf(holder.pid)
  if (holder.boot !== undefined && boot !== undefined && holder.boot !== boot) return false
  if (holder.started !== undefined && boot !== undefined) return started === holder.started
  try {
    process.kill(holder.pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** When the process began, by /proc; `boot` alone where there is no such process. */
const startOf = (pid: number): { boot?: string; started?: string } => {
  let boot: string
  try {
    boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return {}
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name, in brackets, may hold anything: count the fields behind it. The state is the 3rd field, the start the 22nd.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // A zombie holds nothing any more.
    return fields[0] === 'Z' || fields[19] === undefined ? { boot } : { boot, started: fields[19] }
  } catch {
    return { boot }
  }
}
