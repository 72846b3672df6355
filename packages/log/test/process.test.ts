/** Real processes on a real disk: one holder at a time, and kills that lose nothing that was acknowledged. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Entry, LogDiskError, LogLockedError, openLog } from '../src/index.ts'
import { readAll } from './history.ts'

let dir = ''
const children: ChildProcess[] = []
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'penstock-log-'))
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  rmSync(dir, { recursive: true, force: true })
})

/** The appender as one plain file: starting a process through tsx 50 times would take most of a minute. */
const bundle = (): string => {
  const top = createRequire(new URL('../../../package.json', import.meta.url))
  const { buildSync } = createRequire(top.resolve('tsx'))('esbuild') as { buildSync(options: object): unknown }
  const outfile = path.join(mkdtempSync(path.join(tmpdir(), 'penstock-log-')), 'appender.mjs')
  const entry = fileURLToPath(new URL('./fixtures/appender.ts', import.meta.url))
  buildSync({ entryPoints: [entry], bundle: true, platform: 'node', format: 'esm', target: 'node20', outfile })
  return outfile
}
let appenderFile = ''
beforeAll(() => {
  appenderFile = bundle()
})
afterAll(() => rmSync(path.dirname(appenderFile), { recursive: true, force: true }))

interface Appender {
  child: ChildProcess
  lines: string[]
  /** Resolves when so many lines have come. */
  said(lines: number): Promise<void>
  killed(): Promise<void>
}
const startAppender = (log: string, from: number): Appender => {
  const child = spawn(process.execPath, [appenderFile, log, String(from)], { stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  const lines: string[] = []
  let rest = ''
  let complaint = ''
  let wake = (): void => undefined
  child.stdout?.on('data', (data: Buffer) => {
    const parts = (rest + data.toString()).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
    wake()
  })
  child.stderr?.on('data', (data: Buffer) => {
    complaint += data.toString()
  })
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  return {
    child,
    lines,
    async said(count) {
      const dead = ended.then(() => {
        throw new Error(`the appender ended by itself: ${complaint}`)
      })
      dead.catch(() => undefined)
      while (lines.length < count) {
        await Promise.race([
          dead,
          new Promise<void>(resolve => {
            wake = resolve
          }),
        ])
      }
    },
    async killed() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** Every unit whole, in order, once; answers the last one and the numbers of each. */
const unitsOf = (entries: readonly Entry[]): Map<number, number[]> => {
  const units = new Map<number, number[]>()
  let last = 0
  for (const entry of entries) {
    if (entry.lost !== undefined) continue
    const [id, part] = Buffer.from(entry.body).toString().split(':')
    const unit = Number(id)
    if (unit < last) expect.fail(`unit ${unit} behind ${last}`)
    last = unit
    const seqs = units.get(unit) ?? []
    if (!part?.startsWith(`${seqs.length}/${1 + (unit % 3)}`))
      expect.fail(`unit ${unit} has part ${part} at ${seqs.length}`)
    units.set(unit, [...seqs, entry.seq])
  }
  return units
}

test('killed 50 times while it appends: all that was acknowledged is there, in order, once', async () => {
  const folder = path.join(dir, 'spool')
  let next = 1
  const acknowledged = new Map<number, number>()
  for (let kill = 0; kill < 50; kill++) {
    const appender = startAppender(folder, next)
    await appender.said(2 + (kill % 7) * 2)
    await appender.killed()
    for (const line of appender.lines) {
      const [word, id, seq] = line.split(' ')
      if (word === 'ack') acknowledged.set(Number(id), Number(seq))
    }
    // What was on its way may or may not be there; the next process begins behind it.
    next = Math.max(next, ...acknowledged.keys()) + 10
  }
  const log = await openLog(folder)
  const entries = await readAll(log)
  const units = unitsOf(entries)
  const { oldestSeq, lostEntries, nextSeq } = log.stats()
  expect(lostEntries).toBe(0)
  expect(entries.at(-1)?.through).toBe(nextSeq - 1)
  for (const [id, seq] of acknowledged)
    if (seq >= oldestSeq && units.get(id)?.at(-1) !== seq) expect.fail(`unit ${id} is not at ${seq}`)
  for (const [id, seqs] of units) if (seqs.length !== 1 + (id % 3)) expect.fail(`unit ${id} is not whole`)
  expect(log.state('last')).toBe(Math.max(...units.keys()))
  expect(acknowledged.size).toBeGreaterThan(200)
  await log.close()
}, 120_000)

test('a second process is refused by name; when the holder is dead, its lock is taken over', async () => {
  const folder = path.join(dir, 'spool')
  const appender = startAppender(folder, 1)
  await appender.said(2)
  await expect(openLog(folder)).rejects.toThrow(LogLockedError)
  await expect(openLog(folder)).rejects.toThrow(new RegExp(`${folder}.*process ${appender.child.pid}`))
  await appender.killed()
  expect(existsSync(path.join(folder, 'lock'))).toBe(true)
  // Many at once want it: one gets it.
  const tries = await Promise.allSettled(Array.from({ length: 8 }, () => openLog(folder)))
  const opened = tries.filter(t => t.status === 'fulfilled')
  expect(opened).toHaveLength(1)
  for (const one of tries) if (one.status === 'rejected') expect(one.reason).toBeInstanceOf(LogLockedError)
  for (const one of opened) await one.value.close()
  expect(existsSync(path.join(folder, 'lock'))).toBe(false)
})

test('a lock of another start of the machine, of a reused process id, and one that was never written are taken over', async () => {
  await (await openLog(dir)).close()
  const token = 'abcdefgh-1'
  for (const left of [
    JSON.stringify({ pid: process.pid, started: '1', boot: 'another', token }),
    JSON.stringify({ pid: 1, started: '999999999999', boot: bootId(), token }),
    '',
    '{"pid": 1, "tok',
  ]) {
    writeFileSync(path.join(dir, 'lock'), left)
    const log = await openLog(dir)
    await log.append([Buffer.from(left)])
    await log.close()
  }
})
const bootId = (): string | undefined => {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return undefined
  }
}

/** A real disk of 1 MiB, where this user may mount one. */
const mountSmall = (): (() => void) | undefined => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', dir], { stdio: 'ignore' })
    return () => execFileSync('umount', [dir])
  } catch {
    return undefined
  }
}

test('a disk that is full: appends are refused with the reason, and go on when there is room', async context => {
  const unmount = mountSmall()
  if (!unmount) return context.skip('this user may not mount a small disk; faults.test.ts covers ENOSPC at every call')
  try {
    const log = await openLog(path.join(dir, 'spool'), { segmentBytesMin: 65_536, segmentBytesMax: 131_072 })
    let refused: unknown
    let acknowledged = 0
    for (let i = 0; i < 4000 && refused === undefined; i++) {
      await log.append([Buffer.alloc(1000, `${i};`)]).then(
        seq => {
          acknowledged = seq
        },
        (error: unknown) => {
          refused = error
        },
      )
    }
    expect(refused).toBeInstanceOf(LogDiskError)
    expect(refused).toMatchObject({ code: 'ENOSPC' })
    expect(acknowledged).toBeGreaterThan(500)
    expect((await readAll(log)).length).toBe(acknowledged)
    await log.trim(acknowledged - 100)
    expect(await log.append([Buffer.from('room again')])).toBe(acknowledged + 1)
    await log.close()
    const again = await openLog(path.join(dir, 'spool'))
    const entries = await readAll(again)
    expect(Buffer.from(entries.at(-1)?.body ?? '').toString()).toBe('room again')
    expect(again.stats()).toMatchObject({ lostEntries: 0, damageCount: 0 })
    await again.close()
  } finally {
    unmount()
  }
})
