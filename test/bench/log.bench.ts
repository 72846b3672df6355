/**
 * The log against the disk itself: records of 256 B, 1, 64 and 1,024 a sync, beside a raw write and fdatasync of the same
 * bytes into a file that has its full size already, in the same run, taken in turn. Then reading.
 */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type Log, openLog } from '@penstock/log'

const MIB = 1024 * 1024
const recordBytes = 256
const rounds = 11
const segmentBytes = 512 * MIB

/** Raw and log, syncs each round. */
const sizes = [
  { records: 1, syncs: 200 },
  { records: 64, syncs: 200 },
  { records: 1024, syncs: 30 },
]

interface Rates {
  raw: number
  log: number
  alone: number
}

export const benchLog = async (print: (line: string) => void): Promise<void> => {
  const dir = fs.mkdtempSync(path.join(process.env.PENSTOCK_BENCH_DIR ?? os.tmpdir(), 'penstock-log-'))
  try {
    print(
      'log: appends of 256 B records against raw write + fdatasync of the same bytes; median of rounds taken in turn',
    )
    for (const size of sizes) await benchAppends(dir, size.records, size.syncs, print)
    await benchSustained(dir, print)
    await benchReading(dir, print)
  } finally {
    fs.rmSync(dir, { recursive: true, force: true })
  }
}

const benchAppends = async (
  dir: string,
  records: number,
  syncs: number,
  print: (line: string) => void,
): Promise<void> => {
  const bodies = Array.from({ length: records }, (_, i) => Buffer.alloc(recordBytes, i))
  const bytes = Buffer.concat(bodies)
  const rawFile = path.join(dir, 'raw')
  // Each in one file that holds it all, made in the same way and written from front to back: what is measured is
  // appending. Rotation is measured below.
  makeFull(rawFile, segmentBytes)
  const log = await openLog(path.join(dir, `log-${records}`), {
    segmentBytesMin: 256 * MIB,
    segmentBytesMax: 256 * MIB,
  })
  const fd = fs.openSync(rawFile, 'r+')
  const results: Rates[] = []
  let groups = 0
  for (let round = 0; round < rounds; round++) {
    const raw = await timed(() => writeRaw(fd, bytes, syncs, round * syncs))
    const before = log.stats().syncs
    const ahead = await timed(() => appendInPairs(log, bodies, syncs))
    groups += log.stats().syncs - before
    const alone = await timed(() => appendOneByOne(log, bodies, syncs))
    results.push({ raw: raw / syncs, log: ahead / syncs, alone: alone / syncs })
  }
  fs.closeSync(fd)
  await log.close()
  fs.rmSync(rawFile)
  fs.rmSync(path.join(dir, `log-${records}`), { recursive: true })
  const ratio = median(results.map(r => r.raw / r.log))
  const ratioAlone = median(results.map(r => r.raw / r.alone))
  const rate = (records * 1000) / median(results.map(r => r.log))
  const each = Math.round((records * syncs * rounds) / groups)
  print(
    `  ${String(each).padStart(4)} a sync: ${ratio.toFixed(2)} of raw with the next append waiting, ${ratioAlone.toFixed(2)} one by one; ` +
      `${Math.round(rate).toLocaleString('en')} records/s; a raw sync takes ${(median(results.map(r => r.raw)) * 1000).toFixed(0)} µs`,
  )
}

const timed = async (work: () => Promise<void>): Promise<number> => {
  const from = performance.now()
  await work()
  return performance.now() - from
}

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

const makeFull = (file: string, bytes: number): void => {
  const fd = fs.openSync(file, 'w')
  const zeros = Buffer.alloc(MIB)
  for (let at = 0; at < bytes; at += MIB) fs.writeSync(fd, zeros)
  fs.fsyncSync(fd)
  fs.closeSync(fd)
}

const rawSync = (fd: number, bytes: Buffer, at: number): Promise<void> =>
  new Promise((resolve, reject) => {
    fs.write(fd, bytes, 0, bytes.length, at, writeError => {
      if (writeError) return reject(writeError)
      fs.fdatasync(fd, syncError => (syncError ? reject(syncError) : resolve()))
    })
  })

const writeRaw = async (fd: number, bytes: Buffer, syncs: number, from = 0): Promise<void> => {
  for (let i = from; i < from + syncs; i++) await rawSync(fd, bytes, i * bytes.length)
}

const appendOneByOne = async (log: Log, bodies: readonly Buffer[], syncs: number): Promise<void> => {
  for (let i = 0; i < syncs; i++) await log.append(bodies)
}

/** Always one append on its way to the disk and one that waits, as a source that reads ahead does. */
const appendInPairs = async (log: Log, bodies: readonly Buffer[], syncs: number): Promise<void> => {
  let before = log.append(bodies)
  // The first is on its way before the second comes.
  await new Promise(resolve => setImmediate(resolve))
  for (let i = 1; i < syncs; i++) {
    const next = log.append(bodies)
    await before
    before = next
  }
  await before
}

/** Many segments long: every byte is written twice, as zeros and as data, by both. */
const benchSustained = async (dir: string, print: (line: string) => void): Promise<void> => {
  const bytesTotal = 512 * MIB
  const bodies = Array.from({ length: 256 }, (_, i) => Buffer.alloc(1024, i))
  const block = Buffer.concat(bodies)
  const syncs = bytesTotal / block.length
  const raw = await timed(async () => {
    for (let n = 0; n < bytesTotal / (64 * MIB); n++) {
      const file = path.join(dir, `raw-${n}`)
      makeFull(file, 64 * MIB)
      const fd = fs.openSync(file, 'r+')
      await writeRaw(fd, block, (64 * MIB) / block.length)
      fs.closeSync(fd)
    }
  })
  for (let n = 0; n < bytesTotal / (64 * MIB); n++) fs.rmSync(path.join(dir, `raw-${n}`))
  const log = await openLog(path.join(dir, 'long'))
  const own = await timed(() => appendInPairs(log, bodies, syncs))
  print(
    `  512 MiB over ${log.stats().segments} segments, 256 × 1 KiB a sync: ${(raw / own).toFixed(2)} of raw with its files made in between; ` +
      `${Math.round(512 / (own / 1000))} MiB/s`,
  )
  await log.close()
}

const benchReading = async (dir: string, print: (line: string) => void): Promise<void> => {
  const log = await openLog(path.join(dir, 'long'))
  const bodies = Array.from({ length: 1024 }, (_, i) => Buffer.alloc(1024, i))
  while (log.stats().nextSeq <= MIB) await Promise.all([log.append(bodies), log.append(bodies)])
  const end = log.stats().nextSeq - 1
  let most = 0
  let bytes = 0
  const stop = new AbortController()
  const ms = await timed(async () => {
    for await (const entry of log.read(0, stop.signal)) {
      bytes += entry.body.length
      if (entry.seq % 16384 === 0) most = Math.max(most, process.memoryUsage().rss)
      if (entry.seq === end) stop.abort()
    }
  })
  print(
    `  reading ${Math.round(bytes / MIB)} MiB in entries of 1 KiB: ${Math.round(bytes / MIB / (ms / 1000))} MiB/s, ` +
      `${Math.round(end / (ms / 1000)).toLocaleString('en')} entries/s, resident memory at most ${Math.round(most / MIB)} MiB`,
  )
  await log.close()
}
