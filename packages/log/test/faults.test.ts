/** The disk fails at every call that the log makes: nothing unsynced is acknowledged, and the log goes on. */
import { expect, test } from 'vitest'
import { type Log, LogError, type LogOptions, openLog } from '../src/index.ts'
import { History, readAll } from './history.ts'
import { createMemoryDisk, createRandom, type MemoryDisk } from './memory-disk.ts'

const dir = '/log'
const settings: LogOptions = { segmentBytesMin: 2048, segmentBytesMax: 4096, epoch: 'test', readAheadBytes: 1024 }
const open = (disk: MemoryDisk): Promise<Log> => openLog(dir, { ...settings, fs: disk.fs })

/** As a program would: what is rejected is not sent again, the next thing is. */
const work = async (log: Log, history: History, rounds: number): Promise<number> => {
  let failures = 0
  const note = (error: unknown): void => {
    expect(error).toBeInstanceOf(LogError)
    failures++
  }
  for (let round = 0; round < rounds; round++) {
    const together = [history.append(log, 1, 40), history.append(log, 3, 90), history.append(log, 0, 0)]
    if (round % 2 === 1) together.push(history.append(log, 2, 500))
    for (const result of await Promise.allSettled(together)) if (result.status === 'rejected') note(result.reason)
    if (round % 3 === 2) await history.trim(log, Math.floor(log.stats().nextSeq / 2)).catch(note)
  }
  return failures
}

const openSurely = async (disk: MemoryDisk): Promise<Log> => {
  try {
    return await open(disk)
  } catch {
    disk.setFate(undefined)
    disk.remove(`${dir}/lock`)
    return await open(disk)
  }
}

const oneLife = async (at: number, code: 'EIO' | 'ENOSPC', span: number): Promise<number> => {
  const where = `${code} at ${at} for ${span}`
  const disk = createMemoryDisk(at)
  const random = createRandom(at * 7 + span)
  const history = new History()
  disk.setFate(call => (call.number >= at && call.number < at + span ? code : undefined))
  let log = await openSurely(disk)
  const failures = await work(log, history, 6)
  const calls = disk.calls()
  disk.setFate(undefined)
  history.check(await readAll(log), log, where, false)
  // Not closed: the power goes, or the process dies alone.
  if (at % 2 === 0) disk.reboot(random)
  else disk.kill()
  disk.remove(`${dir}/lock`)
  log = await open(disk)
  history.check(await readAll(log), log, `${where}, opened again`, false)
  expect(await work(log, history, 2)).toBe(0)
  // What a failed sync left in memory alone goes at the latest now.
  disk.reboot(random)
  disk.remove(`${dir}/lock`)
  log = await open(disk)
  history.check(await readAll(log), log, `${where}, without power`, false)
  await log.close()
  return Math.max(calls, failures)
}

test.each(['EIO', 'ENOSPC'] as const)(
  '%s at every call of open, append, rotate and trim',
  async code => {
    let calls = Number.POSITIVE_INFINITY
    for (let at = 1; at <= calls; at++) {
      for (const span of code === 'EIO' ? [1, 5] : [4]) {
        const made = await oneLife(at, code, span)
        calls = Math.min(calls, Math.max(made, 150))
      }
    }
    expect(calls).toBeGreaterThan(100)
  },
  120_000,
)

test('what a failed sync left behind is never read, though the next append is of the same size', async () => {
  for (let seed = 1; seed <= 8; seed++) {
    const disk = createMemoryDisk(seed)
    const log = await open(disk)
    await log.append([Buffer.from('one..')])
    disk.setFate(call => (call.name === 'sync' && call.file.endsWith('.segment') ? 'EIO' : undefined))
    const refused = await Promise.allSettled(['two..', 'three', 'four.'].map(text => log.append([Buffer.from(text)])))
    expect(refused.map(r => r.status)).toEqual(['rejected', 'rejected', 'rejected'])
    disk.setFate(undefined)
    expect(await log.append([Buffer.from('TWO..')])).toBe(2)
    disk.kill()
    disk.remove(`${dir}/lock`)
    const again = await open(disk)
    expect((await readAll(again)).map(e => Buffer.from(e.body).toString())).toEqual(['one..', 'TWO..'])
    await again.close()
  }
})
