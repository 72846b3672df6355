/** The power goes at every call that the log makes to the disk: what was acknowledged is there, in order, once. */
import { expect, test } from 'vitest'
import type { Log, LogOptions } from '../src/index.ts'
import { openLog } from '../src/index.ts'
import { History, readAll } from './history.ts'
import { createMemoryDisk, createRandom, type MemoryDisk } from './memory-disk.ts'

const dir = '/log'
const settings: LogOptions = { segmentBytesMin: 2048, segmentBytesMax: 4096, epoch: 'test', readAheadBytes: 1024 }
const open = (disk: MemoryDisk): Promise<Log> => openLog(dir, { ...settings, fs: disk.fs })

/** Appends of several shapes, rotations, trims, state; stops at the first failure. */
const work = async (log: Log, history: History, rounds: number): Promise<void> => {
  for (let round = 0; round < rounds; round++) {
    const together = [history.append(log, 1, 40), history.append(log, 3, 90), history.append(log, 0, 0)]
    if (round % 2 === 1) together.push(history.append(log, 2, 500))
    await Promise.all(together)
    if (round % 3 === 2) await history.trim(log, Math.floor(log.stats().nextSeq / 2))
  }
}

const lifeUntil = async (disk: MemoryDisk, history: History, rounds: number): Promise<void> => {
  let log: Log | undefined
  try {
    log = await open(disk)
    await work(log, history, rounds)
    await log.close()
  } catch (error) {
    if (!disk.isOff()) throw error
    await log?.close().catch(() => undefined)
  }
}

const callsOfOneLife = async (rounds: number): Promise<number> => {
  const disk = createMemoryDisk()
  await lifeUntil(disk, new History(), rounds)
  return disk.calls()
}

test('a crash at every call of open, append, rotate, trim and close', async () => {
  const total = await callsOfOneLife(6)
  expect(total).toBeGreaterThan(100)
  for (let at = 1; at <= total; at++) {
    for (const seed of [1, 2]) {
      const disk = createMemoryDisk(at * 10 + seed)
      const random = createRandom(at * 1000 + seed)
      const history = new History()
      disk.setFate(call => (call.number === at ? 'crash' : undefined))
      await lifeUntil(disk, history, 6)
      disk.reboot(random)
      disk.remove(`${dir}/lock`)
      // The power goes again while it recovers.
      const again = Math.floor(random() * 30) + 1
      disk.setFate(call => (call.number === again ? 'crash' : undefined))
      await lifeUntil(disk, history, 0)
      disk.reboot(random)
      disk.remove(`${dir}/lock`)
      const log = await open(disk)
      history.check(await readAll(log), log, `crash at ${at}, seed ${seed}`)
      await work(log, history, 3)
      await log.close()
      const reopened = await open(disk)
      history.check(await readAll(reopened), reopened, `after crash at ${at}, seed ${seed}`)
      expect(reopened.stats().lostEntries).toBe(0)
      await reopened.close()
    }
  }
}, 120_000)
