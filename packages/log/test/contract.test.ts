/** What `log.ts` promises, on a real disk and on the one in memory. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import {
  type Entry,
  type Log,
  LogBusyError,
  LogClosedError,
  type LogFs,
  LogLockedError,
  type LogOptions,
  LogRangeError,
  nodeLogFs,
  openLog,
} from '../src/index.ts'
import { readAll } from './history.ts'
import { createMemoryDisk } from './memory-disk.ts'

const bytesOf = (text: string): Buffer => Buffer.from(text)
const texts = (entries: readonly Entry[]): string[] => entries.map(e => Buffer.from(e.body).toString())
/** Waits, with a limit, until something holds. */
const until = async (holds: () => boolean): Promise<void> => {
  const deadline = Date.now() + 10_000
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('waited 10 s in vain')
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

const disks: Record<string, () => { fs: LogFs; dir: string; remove: () => void }> = {
  'a real disk': () => {
    const dir = mkdtempSync(path.join(tmpdir(), 'penstock-log-'))
    return { fs: nodeLogFs, dir: path.join(dir, 'spool'), remove: () => rmSync(dir, { recursive: true }) }
  },
  'a disk in memory': () => ({ fs: createMemoryDisk().fs, dir: '/log', remove: () => undefined }),
}

describe.each(Object.keys(disks))('on %s', kind => {
  let place = disks[kind]?.()
  const logs: Log[] = []
  afterEach(async () => {
    for (const log of logs.splice(0)) await log.close()
    place?.remove()
    place = undefined
  })
  const open = async (options: LogOptions = {}): Promise<Log> => {
    place ??= disks[kind]?.()
    const log = await openLog(place?.dir ?? '', { ...(place && { fs: place.fs }), ...options })
    logs.push(log)
    return log
  }
  const small: LogOptions = { segmentBytesMin: 4096, segmentBytesMax: 4096 }
  const fill = async (log: Log, count: number, bytes = 500): Promise<void> => {
    for (let i = 0; i < count; i++) await log.append([Buffer.alloc(bytes, `${log.stats().nextSeq},`)])
  }

  test('a new log is empty and has an identity', async () => {
    const log = await open()
    expect(log.stats()).toMatchObject({ oldestSeq: 1, nextSeq: 1, lostEntries: 0, damageCount: 0 })
    expect(log.stats().epoch).toMatch(/^[A-Za-z0-9_-]{1,64}$/)
    expect(await readAll(log)).toEqual([])
    const { epoch } = log.stats()
    await log.close()
    expect((await open()).stats()).toMatchObject({ epoch, nextSeq: 1 })
  })

  test('numbers count from 1; bodies, empty ones too, come back as they were, also after opening again', async () => {
    const log = await open()
    expect(await log.append([bytesOf('a'), bytesOf(''), bytesOf('c')])).toBe(3)
    const big = Buffer.alloc(3_000_000, 'xyz')
    expect(await log.append([big])).toBe(4)
    expect(await log.append([])).toBe(4)
    const check = async (l: Log): Promise<void> => {
      const entries = await readAll(l)
      expect(entries.map(e => [e.seq, e.through])).toEqual([[1, 1], [2, 2], [3, 3], [4, 4]]) // biome-ignore format: pairs
      expect(texts(entries.slice(0, 3))).toEqual(['a', '', 'c'])
      expect(big.equals(entries[3]?.body ?? bytesOf(''))).toBe(true)
      expect(texts(await readAll(l, 2)).length).toBe(2)
    }
    await check(log)
    await log.close()
    await check(await open())
  })

  test('the bodies are copied: what the caller does with them afterwards changes nothing', async () => {
    const log = await open()
    const body = bytesOf('before')
    const done = log.append([body])
    body.fill(0)
    await done
    expect(texts(await readAll(log))).toEqual(['before'])
  })

  test("state is kept with its append, deleted by null, listed by prefix, and is no one else's object", async () => {
    const log = await open()
    expect(await log.append([bytesOf('x')], { 'a/1': { at: [1, 'é', null] }, 'a/0': -0, b: 'text' })).toBe(1)
    expect(await log.append([], { b: null, 'a/2': false })).toBe(1)
    const check = (l: Log): void => {
      expect(l.stateKeys('a/')).toEqual(['a/0', 'a/1', 'a/2'])
      expect(l.stateKeys('')).toEqual(['a/0', 'a/1', 'a/2'])
      expect(l.state('a/1')).toEqual({ at: [1, 'é', null] })
      expect(l.state('b')).toBeUndefined()
      const mine = l.state('a/1') as { at: unknown[] }
      mine.at.push('mine')
      expect(l.state('a/1')).toEqual({ at: [1, 'é', null] })
    }
    check(log)
    await log.close()
    check(await open())
  })

  test('state is not seen before its append is durable', async () => {
    const log = await open()
    const done = log.append([], { key: 1 })
    expect(log.state('key')).toBeUndefined()
    await done
    expect(log.state('key')).toBe(1)
  })

  test('a state of many segments ago is still there', async () => {
    const log = await open(small)
    await log.append([], { old: 'yes' })
    await fill(log, 40)
    await log.trim(30)
    expect(log.stats().segments).toBeLessThan(5)
    await log.close()
    expect((await open(small)).state('old')).toBe('yes')
  })

  test('calls of one turn share a sync and keep their order', async () => {
    const log = await open()
    const before = log.stats().syncs
    const seqs = await Promise.all(Array.from({ length: 50 }, (_, i) => log.append([bytesOf(`${i}`)])))
    expect(seqs).toEqual(Array.from({ length: 50 }, (_, i) => i + 1))
    expect(log.stats().syncs - before).toBe(1)
    expect(texts(await readAll(log))).toEqual(Array.from({ length: 50 }, (_, i) => `${i}`))
  })

  test('readers wait at the end, each at its own pace, and end when told', async () => {
    const log = await open(small)
    const stop = new AbortController()
    const seen: number[][] = [[], [], []]
    const readers = seen.map(async (numbers, i) => {
      for await (const entry of log.read(0, stop.signal)) {
        numbers.push(entry.seq)
        if (i === 2) await new Promise(resolve => setTimeout(resolve, 1))
      }
    })
    for (let i = 0; i < 60; i++) {
      await log.append([Buffer.alloc(300), Buffer.alloc(10)])
      if (i % 7 === 0) await until(() => seen[0]?.length === log.stats().nextSeq - 1)
    }
    await until(() => seen.every(numbers => numbers.length === 120))
    stop.abort()
    await Promise.all(readers)
    for (const numbers of seen) expect(numbers).toEqual(Array.from({ length: 120 }, (_, i) => i + 1))
  })

  test('closing ends readers, commits what waits, and refuses the rest', async () => {
    const log = await open()
    const never = new AbortController().signal
    const reader = (async () => {
      for await (const _ of log.read(0, never));
    })()
    const last = log.append([bytesOf('last')])
    await Promise.all([log.close(), log.close(), reader])
    expect(await last).toBe(1)
    await expect(log.append([bytesOf('x')])).rejects.toThrow(LogClosedError)
    expect(() => log.read(0, never)).toThrow(LogClosedError)
    expect(texts(await readAll(await open()))).toEqual(['last'])
  })

  test('trim takes whole segments, says so to readers, and is remembered', async () => {
    const log = await open(small)
    await fill(log, 40)
    const { bytes } = log.stats()
    await log.trim(3)
    await log.trim(0)
    const partly = log.stats().oldestSeq
    expect(partly).toBeLessThanOrEqual(4)
    await log.trim(1_000_000)
    const { oldestSeq } = log.stats()
    expect(log.stats().segments).toBe(1)
    expect(log.stats().bytes).toBeLessThan(bytes)
    const check = async (l: Log): Promise<void> => {
      const entries = await readAll(l, 2)
      expect(entries[0]).toMatchObject({ seq: 3, through: oldestSeq - 1, lost: 'trimmed' })
      expect(entries.slice(1).map(e => e.seq)).toEqual(Array.from({ length: 41 - oldestSeq }, (_, i) => oldestSeq + i))
      expect(l.stats()).toMatchObject({ lostEntries: 0, damageCount: 0, oldestSeq })
    }
    await check(log)
    await log.close()
    await check(await open(small))
  })

  test('trim takes a segment as soon as its last entry is covered, and not before', async () => {
    const log = await open(small)
    await fill(log, 40)
    let { oldestSeq } = log.stats()
    for (let through = 1; through <= 40; through++) {
      await log.trim(through)
      const now = log.stats()
      if (now.oldestSeq !== oldestSeq) expect(now.oldestSeq).toBe(through + 1)
      oldestSeq = now.oldestSeq
    }
    expect(log.stats().segments).toBe(1)
  })

  test('a reader whose entries are trimmed under it is told, and goes on', async () => {
    const log = await open(small)
    await fill(log, 30)
    const stop = new AbortController()
    const reader = log.read(0, stop.signal)[Symbol.asyncIterator]()
    expect((await reader.next()).value).toMatchObject({ seq: 1 })
    await log.trim(25)
    const seen: Entry[] = []
    while ((seen.at(-1)?.through ?? 1) < 30) seen.push((await reader.next()).value as Entry)
    stop.abort()
    await reader.return?.()
    expect(seen.filter(e => e.lost === 'trimmed')).toHaveLength(1)
    let seq = 1
    for (const entry of seen) {
      expect(entry.seq).toBe(seq + 1)
      seq = entry.through
    }
  })

  test('full and block: appends wait until a trim makes room, or are withdrawn, or the log is closed', async () => {
    const log = await open({ ...small, bytesMax: 16_384 })
    let appended = 0
    const writer = (async () => {
      for (let i = 0; i < 60; i++) {
        await log.append([Buffer.alloc(500)])
        appended++
      }
    })()
    await until(() => log.stats().full)
    const stop = new AbortController()
    const withdrawn = log.append([bytesOf('withdrawn')], undefined, stop.signal)
    stop.abort(new Error('changed my mind'))
    await expect(withdrawn).rejects.toThrow('changed my mind')
    expect(log.stats().bytes).toBeLessThanOrEqual(16_384)
    const before = appended
    while (appended < 60) {
      await until(() => log.stats().full || appended === 60)
      await log.trim(log.stats().nextSeq - 1)
      await until(() => !log.stats().full)
    }
    expect(before).toBeLessThan(40)
    await writer
    expect(log.stats()).toMatchObject({ nextSeq: 61, lostEntries: 0 })
    const rest = (async () => {
      for (;;) await log.append([Buffer.alloc(500)])
    })()
    const refused = expect(rest).rejects.toThrow(LogClosedError)
    await until(() => log.stats().full)
    await log.close()
    await refused
  })

  test('full and drop-oldest: appends go on, and each dropped range is told to readers, also after opening again', async () => {
    const options: LogOptions = { ...small, bytesMax: 16_384, whenFull: 'drop-oldest' }
    const log = await open(options)
    await fill(log, 10)
    const stop = new AbortController()
    const reader = log.read(0, stop.signal)[Symbol.asyncIterator]()
    let seq = ((await reader.next()).value as Entry).through
    await fill(log, 90)
    const { oldestSeq, lostEntries, bytes } = log.stats()
    expect(bytes).toBeLessThanOrEqual(16_384)
    expect(lostEntries).toBe(oldestSeq - 1)
    while (seq < 100) {
      const entry = (await reader.next()).value as Entry
      expect(entry.seq).toBe(seq + 1)
      seq = entry.through
    }
    stop.abort()
    await log.close()
    const [first] = await readAll(await open(options))
    expect(first).toMatchObject({ seq: 1, through: oldestSeq - 1, lost: expect.stringContaining('dropped') })
  })

  test('limits are told in one sentence, and cost nothing else', async () => {
    const log = await open({ ...small, entryBytesMax: 1000, stateBytesMax: 100, pendingBytesMax: 5000, bytesMax: 8192 })
    await expect(log.append([Buffer.alloc(1001)])).rejects.toThrow(/entryBytesMax/)
    await expect(log.append([], { key: 'x'.repeat(200) })).rejects.toThrow(/stateBytesMax/)
    await expect(log.append(Array.from({ length: 6 }, () => Buffer.alloc(1000)))).rejects.toThrow(LogBusyError)
    await expect(log.append([], { key: Number.NaN })).rejects.toThrow(/"key" is not a value that JSON can hold/)
    await expect(log.append([], { key: 1n })).rejects.toThrow(/JSON/)
    await log.append([], { a: 'x'.repeat(60) })
    await expect(log.append([], { b: 'x'.repeat(60) })).rejects.toThrow(/stateBytesMax/)
    expect(log.stateKeys('')).toEqual(['a'])
    const beyond = log.read(1, new AbortController().signal)[Symbol.asyncIterator]()
    await expect(beyond.next()).rejects.toThrow(LogRangeError)
    await expect(log.trim(Number.NaN)).rejects.toThrow(LogRangeError)
    expect(await log.append([bytesOf('fine')])).toBe(1)
  })

  test('an append that never fits into bytesMax is refused, the next is not', async () => {
    const log = await open({ ...small, bytesMax: 10_000 })
    const never = log.append([Buffer.alloc(9000)])
    const next = log.append([bytesOf('fine')])
    await expect(never).rejects.toThrow(/bytesMax/)
    expect(await next).toBe(1)
  })

  test('one at a time: the second is refused, also in the same process', async () => {
    const log = await open()
    await expect(open()).rejects.toThrow(LogLockedError)
    await expect(open()).rejects.toThrow(String(process.pid))
    expect(await log.append([bytesOf('x')])).toBe(1)
    await log.close()
    expect((await open()).stats().nextSeq).toBe(2)
  })

  test('syncs are no closer than syncDelayMsMax, and closing does not wait for it', async () => {
    const log = await open({ syncDelayMsMax: 60_000 })
    await log.append([bytesOf('first goes at once')])
    const rest = Promise.all([1, 2, 3].map(i => log.append([bytesOf(`${i}`)])))
    await new Promise(resolve => setTimeout(resolve, 20))
    expect(log.stats()).toMatchObject({ syncs: 1, nextSeq: 2 })
    await log.close()
    expect(await rest).toEqual([2, 3, 4])
  })
})

test('a folder holds segments, manifest and nothing else after closing', async () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'penstock-log-'))
  try {
    const log = await openLog(dir, { segmentBytesMin: 4096, segmentBytesMax: 4096 })
    for (let i = 0; i < 30; i++) await log.append([Buffer.alloc(600)])
    await log.close()
    expect(readdirSync(dir).filter(name => !name.endsWith('.segment'))).toEqual(['manifest.json'])
  } finally {
    rmSync(dir, { recursive: true })
  }
})
