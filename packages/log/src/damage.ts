/** What was found damaged: told once each, counted, and its bytes copied aside for a person before anything takes them away. */
import path from 'node:path'
import type { LogFs } from './fs.ts'
import type { Damage } from './log.ts'

/** Folder, inside the log's, that keeps what was set aside. */
export const DAMAGED = 'damaged'
const damageListMax = 100
const knownMax = 10_000

export interface DamageRecorder {
  /** Tells of damage, once for each place. Copies the bytes aside where `copy` is true. Never rejects. */
  report(damage: Damage, copy: boolean): Promise<void>
  /** Moves a whole file out of the log. Answers the path inside the log's folder, or undefined where that fails. */
  moveAside(name: string): Promise<string | undefined>
  list(): readonly Damage[]
  count(): number
  lostEntries(): number
  /** Counts entries that are gone without being damaged. */
  addLost(from: number, through: number): void
}

export const createDamageRecorder = (
  fs: LogFs,
  dir: string,
  setAsideBytesMax: number,
  onDamage: ((damage: Damage) => void) | undefined,
): DamageRecorder => {
  const list: Damage[] = []
  const known = new Set<string>()
  let count = 0
  const lost = createRanges()
  let setAsideBytes = 0

  const taken = async (): Promise<Set<string>> => {
    await fs.makeDir(path.join(dir, DAMAGED))
    return new Set(await fs.list(path.join(dir, DAMAGED)))
  }

  const copyAside = async (damage: Damage): Promise<string | undefined> => {
    if (damage.bytes === 0 || setAsideBytes + damage.bytes > setAsideBytesMax) return undefined
    const name = `${damage.file}.${damage.offset}-${damage.offset + damage.bytes}`
    const to = path.join(DAMAGED, name)
    if ((await taken()).has(name)) return to
    setAsideBytes += damage.bytes
    const from = await fs.open(path.join(dir, damage.file), 'read')
    try {
      const bytes = new Uint8Array(damage.bytes)
      const n = await from.read(bytes, damage.offset)
      const copy = await fs.open(path.join(dir, to), 'create')
      try {
        await copy.write(bytes.subarray(0, n), 0)
        await copy.sync()
      } finally {
        await copy.close()
      }
      await fs.syncDir(path.join(dir, DAMAGED))
      return to
    } finally {
      await from.close()
    }
  }

  return {
    async report(damage, copy) {
      const key = `${damage.file}:${damage.offset}`
      const { fromSeq, throughSeq } = damage
      const isNews = fromSeq !== undefined && throughSeq !== undefined && lost.add(fromSeq, throughSeq) > 0
      // The same is met again by each reader; a range may be met again at another place.
      if (known.has(key) || (fromSeq !== undefined && !isNews && !copy)) return
      if (known.size < knownMax) known.add(key)
      let full = damage
      if (copy) {
        try {
          const setAside = await copyAside(damage)
          if (setAside !== undefined) full = { ...damage, setAside }
        } catch {
          // A disk that cannot take the copy must not keep the log from opening; the report says that there is none.
        }
      }
      count++
      if (list.length < damageListMax) list.push(full)
      onDamage?.(full)
    },
    async moveAside(name) {
      try {
        const names = await taken()
        let free = name
        for (let n = 1; names.has(free); n++) free = `${name}.${n}`
        const to = path.join(DAMAGED, free)
        await fs.rename(path.join(dir, name), path.join(dir, to))
        await fs.syncDir(path.join(dir, DAMAGED))
        await fs.syncDir(dir)
        return to
      } catch {
        return undefined
      }
    },
    list: () => list,
    count: () => count,
    lostEntries: lost.size,
    addLost: lost.add,
  }
}

/** Numbers in disjoint ranges; what is added twice counts once. */
const createRanges = () => {
  let ranges: { from: number; through: number }[] = []
  let size = 0
  return {
    size: () => size,
    /** How many of them are new. */
    add(from: number, through: number): number {
      const before = size
      const apart = ranges.filter(r => r.through < from - 1 || r.from > through + 1)
      const joined = ranges.filter(r => r.through >= from - 1 && r.from <= through + 1)
      const merged = {
        from: Math.min(from, ...joined.map(r => r.from)),
        through: Math.max(through, ...joined.map(r => r.through)),
      }
      size += merged.through - merged.from + 1 - joined.reduce((sum, r) => sum + r.through - r.from + 1, 0)
      // Beyond the limit the oldest are forgotten: met again, they would count again.
      ranges = [...apart, merged].slice(-knownMax)
      return size - before
    },
  }
}

/** The report of bytes that hold no valid record; `through` < `from` where no entry is gone. */
export const damageOf = (file: string, offset: number, end: number, from: number, through: number): Damage => {
  const bytes = end - offset
  const where = `${file}: ${bytes} bytes at ${offset} are damaged`
  if (through < from) return { message: `${where}: no entry is lost`, file, offset, bytes }
  const lost = from === through ? `entry ${from} is lost` : `entries ${from} to ${through} are lost`
  return { message: `${where}: ${lost}`, file, offset, bytes, fromSeq: from, throughSeq: through }
}
