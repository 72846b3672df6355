/**
 * A disk in memory that behaves as badly as real ones may:
 * - what was written and not synced is, after a crash, there, gone, or there in pieces of any size and in any order;
 * - a name that was made, renamed or removed is so after a crash only if its folder was synced, else by chance;
 * - a sync that failed has lost what it was to write, though reading still shows it until the crash.
 */
import path from 'node:path'
import type { LogFile, LogFs } from '../src/fs.ts'

/** Random numbers from a seed (mulberry32): a failing case runs again the same. */
export const createRandom = (seed: number): (() => number) => {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

interface Write {
  at: number
  bytes: Buffer
}
interface Inode {
  /** What reading shows. */
  shown: Buffer
  /** What is on the platter. */
  durable: Buffer
  unsynced: Write[]
}
type NameChange = { kind: 'set'; name: string; inode: Inode } | { kind: 'remove'; name: string }

export interface Call {
  number: number
  name: 'makeDir' | 'list' | 'open' | 'rename' | 'remove' | 'syncDir' | 'read' | 'write' | 'sync'
  file: string
}
/** Asked before each call: an error code makes it fail, `crash` turns the power off during it. */
export type Fate = (call: Call) => 'crash' | 'EIO' | 'ENOSPC' | undefined

export interface MemoryDisk {
  fs: LogFs
  calls(): number
  setFate(fate: Fate | undefined): void
  isOff(): boolean
  /** Turns the power off and on. All open files are void; the next process finds what survived. */
  reboot(random: () => number): void
  /** A process died, the machine did not: all that was written is there. */
  kill(): void
  /** Direct access for tests that damage what lies there. */
  names(dir: string): string[]
  contents(file: string): Buffer
  put(file: string, bytes: Uint8Array): void
  remove(file: string): void
  /** A copy of all files as they are shown. */
  snapshot(): Map<string, Buffer>
  restore(snapshot: ReadonlyMap<string, Buffer>): void
}

const systemError = (code: string): Error => Object.assign(new Error(`${code}: made by the test`), { code })

const withBytes = (into: Buffer, { at, bytes }: Write): Buffer => {
  const grown =
    into.length >= at + bytes.length ? into : Buffer.concat([into, Buffer.alloc(at + bytes.length - into.length)])
  bytes.copy(grown, at)
  return grown
}

/** Some pieces of the write, or all, or nothing. */
const piecesOf = (write: Write, random: () => number): Write[] => {
  const luck = random()
  if (luck < 0.15) return []
  if (luck < 0.35) return [write]
  if (luck < 0.5) return [{ at: write.at, bytes: write.bytes.subarray(0, Math.floor(random() * write.bytes.length)) }]
  const size = [1, 7, 16, 64, 512, 4096][Math.floor(random() * 6)] ?? 512
  const chance = random()
  const pieces: Write[] = []
  for (let at = 0; at < write.bytes.length; at += size) {
    if (random() < chance) pieces.push({ at: write.at + at, bytes: write.bytes.subarray(at, at + size) })
  }
  return pieces
}

const shuffle = <T>(items: T[], random: () => number): T[] => {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const held = items[i] as T
    items[i] = items[j] as T
    items[j] = held
  }
  return items
}

const settle = (inode: Inode, random: () => number): void => {
  const pieces = shuffle(
    inode.unsynced.flatMap(write => piecesOf(write, random)),
    random,
  )
  for (const piece of pieces) inode.durable = withBytes(inode.durable, piece)
  inode.unsynced = []
}

export const createMemoryDisk = (seed = 1): MemoryDisk => {
  const chance = createRandom(seed)
  let shown = new Map<string, Inode>()
  let durable = new Map<string, Inode>()
  let changes: NameChange[] = []
  let fate: Fate | undefined
  let off = false
  let calls = 0
  /** Handles of an earlier life are void. */
  let life = 0

  /** The effect of a call that crashes or fails may have happened, in part. */
  const enter = (name: Call['name'], file: string): 'crash' | 'EIO' | 'ENOSPC' | undefined => {
    if (off) throw systemError('EIO')
    calls++
    const decided = fate?.({ number: calls, name, file })
    if (decided === 'crash') off = true
    return decided
  }
  const turn = (): Promise<void> => Promise.resolve()

  const openFile = (inode: Inode, file: string): LogFile => {
    const born = life
    const begin = async (name: Call['name'], effect: () => void): Promise<void> => {
      await turn()
      if (born !== life) throw systemError('EBADF')
      const decided = enter(name, file)
      if (decided === undefined) return effect()
      if (decided === 'crash') {
        if (name === 'write') effect()
      } else if (name === 'write') {
        // It may have been written, and lies there unsynced.
        if (chance() < 0.5) effect()
      } else if (name === 'sync') settle(inode, chance)
      throw systemError(decided === 'crash' ? 'EIO' : decided)
    }
    const put = (bytes: Uint8Array, at: number) => () => {
      const write = { at, bytes: Buffer.from(bytes) }
      inode.shown = withBytes(inode.shown, write)
      inode.unsynced.push(write)
    }
    const flush = (): void => {
      for (const write of inode.unsynced) inode.durable = withBytes(inode.durable, write)
      inode.unsynced = []
    }
    return {
      bytes: async () => inode.shown.length,
      async read(into, position) {
        await begin('read', () => undefined)
        const part = inode.shown.subarray(Math.min(position, inode.shown.length), position + into.length)
        into.set(part)
        return part.length
      },
      write: (bytes, position) => begin('write', put(bytes, position)),
      sync: () => begin('sync', flush),
      close: async () => undefined,
    }
  }

  const changeName = async (name: Call['name'], file: string, effect: () => void): Promise<void> => {
    await turn()
    const decided = enter(name, file)
    // What crashes or fails may have happened or not.
    if (decided === undefined || (decided === 'crash' && chance() < 0.5)) effect()
    if (decided !== undefined) throw systemError(decided === 'crash' ? 'EIO' : decided)
  }
  const record = (change: NameChange): void => {
    changes.push(change)
    applyName(shown, change)
  }
  const applyName = (names: Map<string, Inode>, change: NameChange): void => {
    if (change.kind === 'set') names.set(change.name, change.inode)
    else names.delete(change.name)
  }
  const applyRename = (names: Map<string, Inode>, from: string, to: string, inode: Inode): void => {
    names.set(to, inode)
    if (names.get(from) === inode) names.delete(from)
  }
  const renames = new Map<NameChange, string>()

  const fs: LogFs = {
    makeDir: dir => changeName('makeDir', dir, () => undefined),
    async list(dir) {
      await changeName('list', dir, () => undefined)
      return [...shown.keys()].filter(name => path.dirname(name) === dir).map(name => path.basename(name))
    },
    async open(file, mode) {
      let inode = shown.get(file)
      if (mode === 'create') {
        if (inode) throw systemError('EEXIST')
        const made: Inode = { shown: Buffer.alloc(0), durable: Buffer.alloc(0), unsynced: [] }
        await changeName('open', file, () => record({ kind: 'set', name: file, inode: made }))
        inode = made
      } else {
        await changeName('open', file, () => undefined)
        if (!inode) throw systemError('ENOENT')
      }
      return openFile(inode, file)
    },
    async rename(from, to) {
      await changeName('rename', from, () => {
        const inode = shown.get(from)
        if (!inode) throw systemError('ENOENT')
        const change: NameChange = { kind: 'set', name: to, inode }
        renames.set(change, from)
        changes.push(change)
        applyRename(shown, from, to, inode)
      })
    },
    async remove(file) {
      await changeName('remove', file, () => {
        if (!shown.has(file)) throw systemError('ENOENT')
        record({ kind: 'remove', name: file })
      })
    },
    async syncDir(dir) {
      const own = (change: NameChange): boolean => path.dirname(change.name) === dir
      await changeName('syncDir', dir, () => {
        for (const change of changes.filter(own)) applyDurable(change)
        changes = changes.filter(change => !own(change))
      })
    },
  }
  const applyDurable = (change: NameChange): void => {
    const from = renames.get(change)
    if (from !== undefined && change.kind === 'set') applyRename(durable, from, change.name, change.inode)
    else applyName(durable, change)
  }

  return {
    fs,
    calls: () => calls,
    setFate(next) {
      fate = next
      calls = 0
    },
    isOff: () => off,
    reboot(random) {
      life++
      for (const change of changes) if (random() < 0.5) applyDurable(change)
      changes = []
      for (const inode of new Set(durable.values())) {
        settle(inode, random)
        inode.shown = Buffer.from(inode.durable)
      }
      shown = new Map(durable)
      off = false
      fate = undefined
      calls = 0
    },
    kill() {
      life++
      off = false
      fate = undefined
      calls = 0
    },
    names: dir =>
      [...shown.keys()]
        .filter(name => path.dirname(name) === dir)
        .map(name => path.basename(name))
        .sort(),
    contents(file) {
      const inode = shown.get(file)
      if (!inode) throw systemError('ENOENT')
      return Buffer.from(inode.shown)
    },
    put(file, bytes) {
      const inode = { shown: Buffer.from(bytes), durable: Buffer.from(bytes), unsynced: [] }
      shown.set(file, inode)
      durable.set(file, inode)
    },
    remove(file) {
      shown.delete(file)
      durable.delete(file)
    },
    snapshot: () => new Map([...shown].map(([name, inode]) => [name, Buffer.from(inode.shown)])),
    restore(snapshot) {
      life++
      shown = new Map()
      durable = new Map()
      changes = []
      for (const [name, bytes] of snapshot) {
        const inode = { shown: Buffer.from(bytes), durable: Buffer.from(bytes), unsynced: [] }
        shown.set(name, inode)
        durable.set(name, inode)
      }
      off = false
      fate = undefined
      calls = 0
    },
  }
}
