/**
 * Decoding rates of every format, against the fastest reader of that format at npm in the same run; where none is, against a
 * loop as one would write it by hand. Both take the same bytes in memory, and must find as many rows with the same sum.
 * Then the memory that a CSV file of 1 GB takes, read as the gateway reads files.
 */
import { fork } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createFileDecoder, formatSchema } from '@penstock/formats'
import type { CsvMemory } from './csv-memory.ts'
import { type Sample, samples } from './format-samples.ts'

export interface Found {
  rows: number
  /** Of the first number column, in the order of its rows. */
  sum: number
}

const sizesMB = [4, 40]
const pieceBytes = 512 * 1024
const largeBytes = 1e9

export const benchFormats = async (print: (line: string) => void): Promise<void> => {
  for (const sample of samples) {
    const parts: string[] = []
    let megabytes = 0
    for (const size of sizesMB.filter(s => s <= sample.largestMB)) {
      const bytes = sample.make(size * 1e6)
      megabytes = bytes.length / 1e6
      const ours = await best(() => readOurs(sample, bytes))
      const theirs = await best(async () => sample.peer.read(bytes))
      check(sample, ours.found, theirs.found)
      const rate = (seconds: number) => (megabytes / seconds).toFixed(0)
      parts.push(
        `${megabytes.toFixed(0)} MB ${rate(ours.seconds)} MB/s, ratio ${(theirs.seconds / ours.seconds).toFixed(1)} (${rate(theirs.seconds)})`,
      )
    }
    print(`${sample.name}: ${parts.join('; ')} against ${sample.peer.name}`)
  }
  await measureMemory(print)
}

const best = async (run: () => Promise<Found>): Promise<{ seconds: number; found: Found }> => {
  let seconds = Number.POSITIVE_INFINITY
  let found: Found = { rows: 0, sum: 0 }
  // What else the machine does meanwhile is no part of the comparison.
  for (let i = 0; i < 3; i++) {
    const started = performance.now()
    found = await run()
    seconds = Math.min(seconds, (performance.now() - started) / 1000)
  }
  return { seconds, found }
}

const check = ({ name }: Sample, a: Found, b: Found): void => {
  if (a.rows === b.rows && Math.abs(a.sum - b.sum) <= 1e-9 * Math.abs(b.sum)) return
  throw new Error(`${name}: ${a.rows} rows with sum ${a.sum}, the other ${b.rows} with ${b.sum}`)
}

const readOurs = async (sample: Sample, bytes: Uint8Array): Promise<Found> => {
  const decoder = createFileDecoder(formatSchema.parse(sample.format), {
    source: 'bench',
    file: sample.file,
    site: 'lab',
    device: 'bench',
    stream: 'readings',
    zone: 'Europe/Madrid',
    frameRowsMax: 8192,
    recordBytesMax: 1_048_576,
  })
  const found: Found = { rows: 0, sum: 0 }
  const take = (decoded: { frames: readonly Frame[]; rejects: readonly unknown[] }): void => {
    if (decoded.rejects.length > 0) throw new Error(`${sample.name}: ${JSON.stringify(decoded.rejects[0])}`)
    for (const frame of decoded.frames) addFrame(found, frame, sample.column)
  }
  if ('pull' in decoder) {
    const file = { size: bytes.length, read: async (from: number, to: number) => bytes.subarray(from, to) }
    for (let more = true; more; ) {
      const pulled = await decoder.pull(file, true)
      take(pulled)
      more = pulled.more
    }
    return found
  }
  let piece = pieceBytes
  for (let used = 0, last = false; !last; ) {
    const end = Math.min(bytes.length, used + piece)
    last = end === bytes.length
    const decoded = decoder.push(bytes.subarray(used, end), last)
    take(decoded)
    used += decoded.used
    // A record longer than the piece is given with more of it.
    piece = decoded.used === 0 ? 2 * piece : pieceBytes
  }
  return found
}

type Frame = Awaited<
  ReturnType<Extract<ReturnType<typeof createFileDecoder>, { pull: unknown }>['pull']>
>['frames'][number]
const addFrame = (found: Found, { offsetsNs, columns }: Frame, name?: string): void => {
  found.rows += offsetsNs.length
  const column = columns.find(c =>
    name === undefined ? c.type === 'float' || c.type === 'int' || c.type === 'vector' : c.name === name,
  )
  if (!column) return
  for (let i = 0; i < offsetsNs.length; i++) {
    const value = column.values[i]
    if (typeof value === 'number') found.sum += Number.isNaN(value) ? 0 : value
    else if (value instanceof Float64Array) for (const v of value) found.sum += v
  }
}

const measureMemory = async (print: (line: string) => void): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-formats-'))
  try {
    const path = join(folder, 'large.csv')
    const expected = writeCsv(path)
    const run = await new Promise<CsvMemory>((resolve, reject) => {
      const child = fork(new URL('csv-memory.ts', import.meta.url), [path])
      let told: CsvMemory | undefined
      child.on('message', message => {
        told = message as CsvMemory
      })
      child.on('error', reject)
      child.on('exit', code => (told ? resolve(told) : reject(new Error(`the reader ended with ${code}`))))
    })
    if (run.rows !== expected) throw new Error(`csv: ${run.rows} of ${expected} rows of the large file`)
    const above = run.peakMiB - run.idleMiB
    print(
      `csv of 1 GB from the disk: ${(largeBytes / 1e6 / run.seconds).toFixed(0)} MB/s, ${above.toFixed(0)} MiB above ${run.idleMiB.toFixed(0)} MiB idle (limit 100)`,
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Rows of a time and three numbers; returns how many. */
const writeCsv = (path: string): number => {
  const fd = openSync(path, 'w')
  let written = writeSync(fd, 'time,a,b,c\n')
  let rows = 0
  while (written < largeBytes) {
    let block = ''
    for (let i = 0; i < 20_000; i++, rows++) {
      block += `${new Date(1_700_000_000_000 + rows * 100).toISOString()},${(rows % 977) * 0.125},${rows},${(rows % 13) / 8}\n`
    }
    written += writeSync(fd, block)
  }
  closeSync(fd)
  return rows
}
