/** Whatever happens to the bytes on disk: the log opens, says what is gone, and is silently wrong nowhere. */
import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { type Damage, type Entry, type Log, type LogOptions, openLog } from '../src/index.ts'
import { recordBytes } from '../src/segment.ts'
import { readAll } from './history.ts'
import { createMemoryDisk, createRandom, type MemoryDisk } from './memory-disk.ts'

const dir = '/log'
const small: LogOptions = { segmentBytesMin: 2048, segmentBytesMax: 2048, epoch: 'test', readAheadBytes: 1024 }

const open = async (disk: MemoryDisk, options: LogOptions = small): Promise<{ log: Log; told: Damage[] }> => {
  const told: Damage[] = []
  return { log: await openLog(dir, { ...options, fs: disk.fs, onDamage: damage => told.push(damage) }), told }
}
/** The process dies; the disk is as it was shown. */
const die = (disk: MemoryDisk): void => {
  disk.kill()
  disk.remove(`${dir}/lock`)
}
const segments = (disk: MemoryDisk): string[] =>
  disk
    .names(dir)
    .filter(name => name.endsWith('.segment'))
    .map(name => `${dir}/${name}`)
const segment = (disk: MemoryDisk, index: number): string => segments(disk).at(index) ?? ''
const text = (entry: Entry | undefined): string => (entry ? Buffer.from(entry.body).toString() : '')
const texts = (entries: readonly Entry[]): string[] => entries.map(e => e.lost ?? text(e))
const body = (n: number, bytes = 24): Buffer =>
  Buffer.from(`entry ${n} `.padEnd(bytes, String.fromCharCode(97 + (n % 26))))

/** Appends entries numbered from the next on, one by one, with the number as state. */
const fill = async (log: Log, count: number, bytes = 24): Promise<void> => {
  for (let i = 0; i < count; i++) {
    const n = log.stats().nextSeq
    await log.append([body(n, bytes)], { n })
  }
}
/** Where the last record that begins below ends: behind its last byte, at a multiple of 4. */
const dataEnd = (bytes: Buffer, below: number): number => {
  let end = below
  while (end > 0 && bytes[end - 1] === 0) end--
  return Math.ceil(end / 4) * 4
}

/** Every entry is as it was written, or in a lost range; answers the lost numbers. */
const lostOf = (entries: readonly Entry[], bytes = 24): number[] => {
  const lost: number[] = []
  let seq = 0
  for (const entry of entries) {
    if (entry.seq !== seq + 1) expect.fail(`entry ${entry.seq} behind ${seq}`)
    seq = entry.through
    if (entry.lost === undefined) {
      // Not by expect(), which is slow for so many.
      if (!body(entry.seq, bytes).equals(entry.body)) expect.fail(`entry ${entry.seq} is "${text(entry)}"`)
    } else for (let n = entry.seq; n <= entry.through; n++) lost.push(n)
  }
  return lost
}

describe('a torn end', () => {
  test('at every byte of the last two appends, cut or zero or garbage: then append, read, and open again', async () => {
    const disk = createMemoryDisk()
    const first = await open(disk)
    await fill(first.log, 3)
    const before = disk.contents(segment(disk, 0))
    await Promise.all([first.log.append([body(4), body(5)], { n: 5 }), first.log.append([body(6)], { n: 6 })])
    const whole = disk.snapshot()
    const after = disk.contents(segment(disk, 0))
    die(disk)
    const from = dataEnd(before, 1500)
    const through = dataEnd(after, 1500)
    const random = createRandom(5)
    for (let cut = from; cut < through; cut++) {
      for (const kind of ['zeros', 'garbage', 'short'] as const) {
        disk.restore(whole)
        disk.remove(`${dir}/lock`)
        const bytes = Buffer.from(kind === 'short' ? after.subarray(0, cut) : after)
        if (kind !== 'short')
          for (let i = cut; i < through + 40; i++) bytes[i] = kind === 'zeros' ? 0 : 1 + random() * 255
        disk.put(segment(disk, 0), bytes)
        const torn = await open(disk)
        const kept = torn.log.stats().nextSeq - 1
        expect([3, 5, 6]).toContain(kept)
        expect(torn.log.state('n')).toBe(kept)
        await fill(torn.log, 2)
        expect(lostOf(await readAll(torn.log))).toEqual([])
        die(disk)
        const again = await open(disk)
        expect(again.log.stats().nextSeq).toBe(kept + 3)
        expect(again.log.state('n')).toBe(kept + 2)
        expect(lostOf(await readAll(again.log))).toEqual([])
        expect(again.log.stats().lostEntries).toBe(0)
        die(disk)
      }
    }
  })

  test('what lay behind a torn end never comes back, though new entries end just in front of it', async () => {
    const disk = createMemoryDisk()
    const first = await open(disk)
    await fill(first.log, 1)
    const start = dataEnd(disk.contents(segment(disk, 0)), 1500)
    // One write of three appends of equal size; its first page is torn.
    await Promise.all([2, 3, 4].map(n => first.log.append([body(n)])))
    const bytes = disk.contents(segment(disk, 0))
    die(disk)
    bytes.fill(0, start, start + 20)
    disk.put(segment(disk, 0), bytes)
    const torn = await open(disk)
    expect(torn.log.stats().nextSeq).toBe(2)
    expect(torn.told.map(d => d.setAside)).toEqual([expect.stringContaining('damaged/')])
    await torn.log.append([body(2)])
    die(disk)
    const again = await open(disk)
    expect(texts(await readAll(again.log))).toEqual([body(1).toString(), body(2).toString()])
    await again.log.close()
  })

  test('a change of state alone that was torn takes what was written behind it along', async () => {
    const disk = createMemoryDisk()
    const first = await open(disk)
    await Promise.all([first.log.append([body(1)]), first.log.append([], { lone: true })])
    const start = dataEnd(disk.contents(segment(disk, 0)), 1500)
    die(disk)
    // The same again, as one write with a third append.
    const other = createMemoryDisk()
    const second = await open(other)
    await Promise.all([
      second.log.append([body(1)]),
      second.log.append([], { lone: true }),
      second.log.append([body(2)], { n: 2 }),
    ])
    const bytes = other.contents(segment(other, 0))
    die(other)
    const lone = recordBytes(Buffer.byteLength('{"lone":true}'))
    bytes.fill(0, start - 2 * lone, start)
    other.put(segment(other, 0), bytes)
    const torn = await open(other)
    expect(texts(await readAll(torn.log))).toEqual([body(1).toString()])
    expect(torn.log.stateKeys('')).toEqual([])
    await torn.log.close()
  })
})

test('a segment that is full to the last byte keeps the copy of its header, however often it is opened and closed', async () => {
  const options: LogOptions = { ...small, segmentBytesMin: 4096, segmentBytesMax: 4096 }
  for (let bytes = 0; bytes <= 64; bytes += 4) {
    const disk = createMemoryDisk()
    const first = await open(disk, options)
    // Room: 4096 less two headers and, for the empty state, one block and two bytes.
    const room = Math.floor((4096 - 3 * 512 - 2) / 4) * 4
    await first.log.append([Buffer.alloc(room - 2 * recordBytes(0) - bytes)])
    expect(first.log.stats().segments).toBe(1)
    die(disk)
    for (let i = 0; i < 5; i++) {
      const again = await open(disk, options)
      if (i % 2 === 0) await again.log.close()
      else die(disk)
    }
    const name = segment(disk, 0)
    disk.put(name, disk.contents(name).fill(0xee, 0, 1024))
    const last = await open(disk, options)
    expect(last.told.map(d => d.message)).toEqual([expect.stringContaining('the copy at the end is used')])
    expect((await readAll(last.log)).map(e => e.lost)).toEqual([undefined])
    await last.log.close()
  }
})

test('every single bit of a segment flipped: it opens, at most the hit entry is lost, and that is said', async () => {
  const disk = createMemoryDisk()
  const tiny: LogOptions = {
    ...small,
    segmentBytesMin: 1536,
    segmentBytesMax: 1536,
    stateBytesMax: 200,
    entryBytesMax: 400,
  }
  const first = await open(disk, tiny)
  await fill(first.log, 9)
  const count = first.log.stats().nextSeq - 1
  await first.log.close()
  const whole = disk.snapshot()
  const files = segments(disk)
  expect(files.length).toBe(2)
  for (const [i, file] of files.entries()) {
    const bytes = disk.contents(file)
    // All of the last segment, which is the harder case, and a sample of the one before it.
    for (let bit = 0; bit < bytes.length * 8; bit += i === 0 ? 5 : 1) {
      // Of the zeros behind the data, one bit of each byte.
      if (bytes[bit >> 3] === 0 && bytes.readUInt8(Math.max(0, (bit >> 3) - 1)) === 0 && (bit & 7) !== (bit >> 3) % 8)
        continue
      disk.restore(whole)
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
      disk.put(file, flipped)
      const { log, told } = await open(disk, tiny)
      const entries = await readAll(log)
      const lost = lostOf(entries)
      const isTold = lost.every(n => told.some(d => d.fromSeq === n && d.throughSeq === n && d.setAside !== undefined))
      const seen = { end: entries.at(-1)?.through, next: log.stats().nextSeq, state: log.state('n'), isTold }
      if (lost.length > 1 || seen.end !== count || seen.next !== count + 1 || seen.state !== count || !isTold) {
        expect.fail(`bit ${bit} of ${file}: lost ${lost}, ${JSON.stringify(seen)}`)
      }
      disk.kill()
    }
  }
}, 120_000)

describe('segments', () => {
  /** Five segments of a closed log; segment i begins with `firsts[i]`. */
  const prepare = async (): Promise<{ disk: MemoryDisk; count: number; firsts: number[] }> => {
    const disk = createMemoryDisk()
    const { log } = await open(disk)
    while (segments(disk).length < 5) await fill(log, 1, 100)
    await fill(log, 1, 100)
    const count = log.stats().nextSeq - 1
    await log.close()
    return { disk, count, firsts: segments(disk).map(name => Number(name.slice(-24, -8))) }
  }
  /** Opens, reads, appends, opens again: the same. Answers what was lost. */
  const survive = async (
    disk: MemoryDisk,
    count: number,
  ): Promise<{ lost: number[]; told: Damage[]; why: string[] }> => {
    const first = await open(disk)
    const entries = await readAll(first.log)
    const lost = lostOf(entries, 100)
    expect(first.log.stats().nextSeq).toBeGreaterThan(count)
    expect(first.log.stats().lostEntries).toBe(lost.length)
    const next = first.log.stats().nextSeq
    await fill(first.log, 3, 100)
    expect(first.log.state('n')).toBe(next + 2)
    await first.log.close()
    const again = await open(disk)
    expect(lostOf(await readAll(again.log), 100)).toEqual(lost)
    expect(again.log.stats().nextSeq).toBe(next + 3)
    expect(again.log.state('n')).toBe(next + 2)
    await again.log.close()
    return { lost, told: first.told, why: entries.flatMap(e => e.lost ?? []) }
  }
  const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

  test('a missing middle one is a lost range', async () => {
    const { disk, count, firsts } = await prepare()
    disk.remove(segment(disk, 2))
    const { lost, told, why } = await survive(disk, count)
    expect(lost).toEqual(range(firsts[2] ?? 0, firsts[3] ?? 0))
    expect(told.map(d => [d.fromSeq, d.throughSeq])).toEqual([[lost[0], lost.at(-1)]])
    expect(why).toEqual([expect.stringContaining('missing')])
  })

  test('a missing first one is a lost range, not a trimmed one', async () => {
    const { disk, count, firsts } = await prepare()
    disk.remove(segment(disk, 0))
    const { lost, why } = await survive(disk, count)
    expect(lost).toEqual(range(1, firsts[1] ?? 0))
    expect(why).toEqual(['segments 1 to 1 are missing'])
  })

  test('a missing last one: its numbers are never given again', async () => {
    const { disk, count, firsts } = await prepare()
    disk.remove(segment(disk, 4))
    const { lost, told } = await survive(disk, count)
    expect(lost[0]).toBe(firsts[4])
    expect(lost).toContain(count)
    expect(told).toHaveLength(1)
  })

  test('all missing: the numbers go on', async () => {
    const { disk, count } = await prepare()
    for (const file of segments(disk)) disk.remove(file)
    const { lost } = await survive(disk, count)
    expect(lost).toEqual(range(1, lost.length + 1))
    expect(lost).toContain(count)
  })

  test('an empty one, in the middle and at the end, is set aside', async () => {
    for (const index of [2, 4]) {
      const { disk, count, firsts } = await prepare()
      disk.put(segment(disk, index), Buffer.alloc(0))
      const { lost, told } = await survive(disk, count)
      expect(lost[0]).toBe(firsts[index])
      expect(told[0]).toMatchObject({
        message: expect.stringContaining('is empty'),
        setAside: expect.stringContaining('damaged/'),
      })
    }
  })

  test('copies and strangers are set aside, and nothing is lost or read twice', async () => {
    const { disk, count, firsts } = await prepare()
    const name = segment(disk, 1)
    const bytes = disk.contents(name)
    const other = createMemoryDisk()
    const stranger = await openLog(dir, { ...small, fs: other.fs, epoch: 'stranger' })
    await fill(stranger, 3, 100)
    disk.put(name.replace('.segment', ' (copy).segment'), bytes)
    disk.put(`${dir}/0000000009-${String(count + 50).padStart(16, '0')}.segment`, bytes)
    disk.put(`${dir}/0000000002-${String((firsts[1] ?? 0) + 1).padStart(16, '0')}.segment`, bytes)
    disk.put(`${dir}/0000000006-${String(count + 1).padStart(16, '0')}.segment`, other.contents(segment(other, 0)))
    disk.put(`${dir}/garbage.segment`, Buffer.from('what is this'))
    disk.put(`${dir}/notes.txt`, Buffer.from('not ours'))
    const { lost, told } = await survive(disk, count)
    expect(lost).toEqual([])
    expect(told).toHaveLength(5)
    expect(disk.names(`${dir}/damaged`)).toHaveLength(5)
    expect(disk.names(dir)).toContain('notes.txt')
  })

  test('a last one whose end was zeroed after a clean close: its numbers are never given again', async () => {
    const { disk, count } = await prepare()
    const name = segment(disk, 4)
    const bytes = disk.contents(name)
    bytes.fill(0, 700, bytes.length - 512)
    disk.put(name, bytes)
    const { lost } = await survive(disk, count)
    expect(lost.at(-1)).toBe(count)
    expect(lost.length).toBeLessThan(3)
  })

  test('one cut short in the middle loses what was cut, and no more', async () => {
    const { disk, count, firsts } = await prepare()
    const name = segment(disk, 2)
    disk.put(name, disk.contents(name).subarray(0, 1300))
    const { lost, told } = await survive(disk, count)
    expect(lost.at(-1)).toBe((firsts[3] ?? 0) - 1)
    expect(lost.length).toBeLessThan((firsts[3] ?? 0) - (firsts[2] ?? 0))
    expect(told.length).toBeGreaterThan(0)
  })

  test('garbage in place of both headers of any segment: its entries are read all the same', async () => {
    for (const index of [0, 2, 4]) {
      const { disk, count } = await prepare()
      const name = segment(disk, index)
      const bytes = disk.contents(name)
      bytes.fill(0xee, 0, 512 + 40)
      bytes.fill(0xee, bytes.length - 552)
      disk.put(name, bytes)
      const { lost, told } = await survive(disk, count)
      expect(lost).toEqual([])
      expect(told.length).toBeGreaterThan(0)
    }
  })

  test('the manifest damaged or gone: it is made again', async () => {
    for (const kind of ['gone', 'damaged', 'empty'] as const) {
      const { disk, count } = await prepare()
      const name = `${dir}/manifest.json`
      if (kind === 'gone') disk.remove(name)
      else
        disk.put(
          name,
          kind === 'empty'
            ? Buffer.alloc(0)
            : Buffer.from(disk.contents(name).toString().replace('"nextSeq":', '"nextseq":')),
        )
      const { lost, told } = await survive(disk, count)
      expect(lost).toEqual([])
      expect(told).toHaveLength(1)
    }
  })

  test('a log of a later format is refused, and nothing of it is touched', async () => {
    const { disk } = await prepare()
    const name = segment(disk, 4)
    const bytes = disk.contents(name)
    for (const at of [0, bytes.length - 512]) {
      const header = bytes.subarray(at, at + 512)
      header.writeUInt32LE(2, 128)
      header.writeUInt32LE(crc32(header.subarray(16)), 12)
    }
    disk.put(name, bytes)
    const before = disk.snapshot()
    await expect(open(disk)).rejects.toThrow('/log: the log is of format 2; this program reads format 1')
    expect(disk.snapshot()).toEqual(before)
  })

  test('every byte of a segment in the middle overwritten: all others are read', async () => {
    const { disk, count, firsts } = await prepare()
    const name = segment(disk, 2)
    disk.put(name, Buffer.alloc(disk.contents(name).length, 0x5a))
    const { lost } = await survive(disk, count)
    expect(lost).toEqual(range(firsts[2] ?? 0, firsts[3] ?? 0))
  })

  test('random bytes overwritten anywhere, many times: every entry is as written or said to be lost', async () => {
    const { disk, count } = await prepare()
    const whole = disk.snapshot()
    const random = createRandom(11)
    for (let round = 0; round < 150; round++) {
      disk.restore(whole)
      for (let hits = 0; hits < 4; hits++) {
        const name = segment(disk, Math.floor(random() * 5))
        const bytes = disk.contents(name)
        const at = Math.floor(random() * bytes.length)
        const length = Math.floor(random() * 200)
        for (let i = at; i < Math.min(bytes.length, at + length); i++) bytes[i] = random() * 256
        disk.put(name, bytes)
      }
      await survive(disk, count)
    }
  })
})

test('a page that the disk cannot read costs the entries in it alone; a disk that is away costs none', async () => {
  const disk = createMemoryDisk()
  const big: LogOptions = { epoch: 'test', segmentBytesMin: 64 * 1024, segmentBytesMax: 64 * 1024 }
  const { log } = await open(disk, big)
  await fill(log, 40, 1000)
  disk.setFate(call => (call.name === 'read' ? 'EIO' : undefined))
  await expect(readAll(log)).rejects.toThrow('EIO')
  expect(log.stats().lostEntries).toBe(0)
  let reads = 0
  // The chunk, then its 5th page, twice.
  disk.setFate(call => (call.name === 'read' && [1, 6, 7].includes(++reads) ? 'EIO' : undefined))
  const lost = lostOf(await readAll(log), 1000)
  expect(lost.length).toBeGreaterThan(2)
  expect(lost.length).toBeLessThan(7)
  disk.setFate(undefined)
  expect(lostOf(await readAll(log), 1000)).toEqual([])
  await log.close()
})
