/**
 * TDMS to typed columns: files of three layouts, against reading the same file and nothing more (no npm package reads
 * TDMS), how the time grows with the size, and the memory that a file of 1 GB takes.
 *
 * - giant: one segment, each of its eight channels in one piece
 * - woven: one segment, interleaved
 * - tiny: a segment for every row, as programs make that write value by value
 */
import { fork } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TdmsRun } from './tdms-reader.ts'

const channels = 8
const sizesMB = [10, 100]
const largeMB = 1000
type Layout = 'giant' | 'woven' | 'tiny'
const layouts: Layout[] = ['giant', 'woven', 'tiny']

export const benchTdms = async (print: (line: string) => void): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-tdms-'))
  try {
    for (const layout of layouts) {
      const rates: string[] = []
      for (const megabytes of [...sizesMB, largeMB]) {
        const path = join(folder, `${layout}.tdms`)
        const expected = writeFile(path, layout, megabytes * 1e6)
        const size = statSync(path).size / 1e6
        const plain = readPlainly(path)
        const run = await inChild(path)
        rmSync(path)
        if (run.rejects > 0 || run.rows !== expected.rows || Math.abs(run.sum / expected.sum - 1) > 1e-9) {
          throw new Error(
            `${layout}: ${run.rows} rows with sum ${run.sum}, expected ${expected.rows} with ${expected.sum}`,
          )
        }
        const rate = size / run.seconds
        rates.push(`${size.toFixed(0)} MB ${rate.toFixed(0)} MB/s`)
        if (megabytes !== largeMB) continue
        const above = run.peakMiB - run.idleMiB
        print(
          `tdms ${layout}: ${rates.join(', ')}; ${(run.rows / run.seconds / 1e6).toFixed(2)} M rows/s of ${channels} values`,
        )
        print(
          `tdms ${layout}: reading the bytes alone ${(size / plain).toFixed(0)} MB/s, ratio ${(run.seconds / plain).toFixed(1)}`,
        )
        print(`tdms ${layout}: 1 GB takes ${above.toFixed(0)} MiB above ${run.idleMiB.toFixed(0)} MiB idle (limit 100)`)
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const inChild = (path: string): Promise<TdmsRun> =>
  new Promise((resolve, reject) => {
    const child = fork(new URL('tdms-reader.ts', import.meta.url), [path])
    let run: TdmsRun | undefined
    child.on('message', message => {
      run = message as TdmsRun
    })
    child.on('error', reject)
    child.on('exit', code => (run ? resolve(run) : reject(new Error(`the reader ended with ${code}`))))
  })

/** Seconds for the bytes alone, in pieces of 256 KiB. */
const readPlainly = (path: string): number => {
  const fd = openSync(path, 'r')
  const piece = Buffer.allocUnsafeSlow(262_144)
  const started = performance.now()
  while (readSync(fd, piece, 0, piece.length, null) > 0);
  closeSync(fd)
  return (performance.now() - started) / 1000
}

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
const u64 = (value: number) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}
const text = (value: string) => Buffer.concat([u32(Buffer.byteLength(value)), Buffer.from(value)])
const leadIn = (toc: number, metadata: number, raw: number) =>
  Buffer.concat([Buffer.from('TDSm'), u32(toc), u32(4713), u64(metadata + raw), u64(metadata)])
/** A waveform's channels with `values` each; 0 says "as before". */
const metadata = (values: number) => {
  const wave = Buffer.concat([
    u32(2),
    text('wf_increment'),
    u32(10),
    Buffer.from(new Float64Array([0.001]).buffer),
    text('wf_start_time'),
    u32(0x44),
    u64(0),
    u64(3_780_000_000),
  ])
  const index = values > 0 ? Buffer.concat([u32(20), u32(10), u32(1), u64(values)]) : u32(0)
  const objects = Array.from({ length: channels }, (_, i) =>
    Buffer.concat([text(`/'Waveforms'/'Channel ${i}'`), index, values > 0 ? wave : u32(0)]),
  )
  return Buffer.concat([u32(channels), ...objects])
}

/** Writes about `bytes` bytes in pieces; returns what a reader must find. */
const writeFile = (path: string, layout: Layout, bytes: number): { rows: number; sum: number } => {
  const fd = openSync(path, 'w')
  const found = { rows: 0, sum: 0 }
  const pieceRows = 16_384
  const piece = new Float64Array(pieceRows)
  for (let i = 0; i < pieceRows; i++) piece[i] = 1 + (i % 1000) / 1000
  const pieceSum = piece.reduce((a, b) => a + b, 0)
  if (layout === 'tiny') {
    const first = metadata(1)
    const again = metadata(0)
    const row = Buffer.from(new Float64Array(channels).fill(1.5).buffer)
    writeSync(fd, Buffer.concat([leadIn(0x0e, first.length, row.length), first, row]))
    const one = Buffer.concat([leadIn(0x0e, again.length, row.length), again, row])
    const many = Buffer.concat(Array.from({ length: 4096 }, () => one))
    const times = Math.ceil(bytes / many.length)
    for (let i = 0; i < times; i++) writeSync(fd, many)
    found.rows = 1 + times * 4096
    found.sum = found.rows * channels * 1.5
  } else {
    const pieces = Math.max(1, Math.round(bytes / (8 * pieceRows * channels)))
    const directory = metadata(pieces * pieceRows)
    const toc = layout === 'woven' ? 0x2e : 0x0e
    writeSync(fd, Buffer.concat([leadIn(toc, directory.length, pieces * pieceRows * channels * 8), directory]))
    for (let i = 0; i < pieces * channels; i++) writeSync(fd, new Uint8Array(piece.buffer))
    found.rows = pieces * pieceRows
    found.sum = pieces * channels * pieceSum
  }
  closeSync(fd)
  return found
}
