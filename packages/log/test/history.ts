/** What was appended and what became of it, and whether a log that is read agrees. */
import { expect } from 'vitest'
import type { Entry, Log } from '../src/index.ts'

interface Unit {
  id: number
  entries: number
  fate: 'pending' | 'acknowledged' | 'rejected'
  seq?: number
}

/** All entries that the log holds now. */
export const readAll = async (log: Log, after = 0): Promise<Entry[]> => {
  const entries: Entry[] = []
  const end = log.stats().nextSeq - 1
  if (after >= end) return entries
  const stop = new AbortController()
  for await (const entry of log.read(after, stop.signal)) {
    entries.push({ ...entry, body: entry.body.slice() })
    if (entry.through >= end) stop.abort()
  }
  return entries
}

export class History {
  units: Unit[] = []
  trimmedThrough = 0

  /** Appends bodies that say which unit they are of, and the unit as state. */
  async append(log: Log, entries: number, bytes: number): Promise<void> {
    const unit: Unit = { id: this.units.length + 1, entries, fate: 'pending' }
    this.units.push(unit)
    const bodies = Array.from({ length: entries }, (_, i) =>
      Buffer.from(
        `${unit.id}:${i}/${entries}:`.padEnd(bytes + (unit.id % 17), String.fromCharCode(97 + (unit.id % 26))),
      ),
    )
    try {
      unit.seq = await log.append(bodies, Object.fromEntries(keysOf(unit)))
      unit.fate = 'acknowledged'
    } catch (error) {
      unit.fate = 'rejected'
      throw error
    }
  }

  async trim(log: Log, through: number): Promise<void> {
    this.trimmedThrough = Math.max(this.trimmedThrough, through)
    await log.trim(through)
  }

  /**
   * Every acknowledged unit is there, whole, at its number, in order, once; a unit that was not acknowledged is there
   * whole or not at all, in its place. Where only the power failed (`gapless`), there is none behind one that is missing.
   * The state is that of the units that are there. What is there counts as acknowledged from now on.
   */
  check(entries: readonly Entry[], log: Log, where: string, gapless = true): void {
    const present = this.#presentUnits(entries, log, where)
    const last = Number(log.state('last') ?? 0)
    const keys = new Map<string, string>()
    for (const unit of this.units) {
      const seqs = present.get(unit.id)
      if (unit.fate === 'acknowledged' && unit.entries > 0 && (unit.seq ?? 0) > this.trimmedThrough) {
        expect(seqs?.at(-1), `${where}: unit ${unit.id} at its number`).toBe(unit.seq)
      }
      if (seqs) expect(seqs.length, `${where}: unit ${unit.id} is whole`).toBe(unit.entries)
      const shown = [...keysOf(unit)].some(([key, value]) => log.state(key) === value)
      const isThere = unit.fate === 'acknowledged' || seqs !== undefined || (unit.entries === 0 && unit.fate === 'pending' && unit.id <= last && gapless) || (unit.entries === 0 && shown) // biome-ignore format: one question
      if (gapless && unit.fate === 'pending' && unit.entries > 0 && unit.id <= last) {
        expect(isThere, `${where}: unit ${unit.id} in front of unit ${last}`).toBe(true)
      }
      unit.fate = isThere ? 'acknowledged' : 'rejected'
      if (!isThere) continue
      if (seqs) unit.seq = seqs.at(-1) as number
      for (const [key, value] of keysOf(unit)) keys.set(key, String(value))
    }
    const state = new Map(log.stateKeys('').map(key => [key, String(log.state(key))]))
    expect(Object.fromEntries(state), `${where}: state`).toEqual(Object.fromEntries(keys))
  }

  #presentUnits(entries: readonly Entry[], log: Log, where: string): Map<number, number[]> {
    const present = new Map<number, number[]>()
    let seq = 0
    let lastUnit = 0
    for (const entry of entries) {
      expect(entry.seq, where).toBe(seq + 1)
      seq = entry.through
      if (entry.lost !== undefined) {
        expect(entry, where).toMatchObject({ seq: 1, lost: 'trimmed' })
        expect(entry.through, where).toBeLessThanOrEqual(this.trimmedThrough)
        continue
      }
      const [id, part] = Buffer.from(entry.body).toString().split(':')
      const unit = Number(id)
      expect(unit, `${where}: order`).toBeGreaterThanOrEqual(lastUnit)
      lastUnit = unit
      const parts = present.get(unit) ?? []
      expect(part, `${where}: unit ${unit}`).toBe(`${parts.length}/${this.units[unit - 1]?.entries}`)
      present.set(unit, [...parts, entry.seq])
    }
    expect(seq, `${where}: end`).toBe(log.stats().nextSeq - 1)
    return present
  }
}

const keysOf = (unit: Unit): Map<string, number> => new Map([['last', unit.id], [`key${unit.id % 5}`, unit.id]]) // biome-ignore format: two keys
