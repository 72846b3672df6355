/**
 * Delimited text to typed columns, against papaparse: the same generated file, in the same run, with the same checksum.
 *
 * Both take the file's bytes in pieces of 1 MiB and sum every column and every time (ms since the first). papaparse runs in its
 * fastest streaming form: `fastMode`, arrays instead of objects, no `dynamicTyping`; its texts become numbers by `Number`
 * and `Date.parse`, as a user would write it.
 */
import { createHash } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { createDecoder, formatSchema } from '@penstock/formats'
import Papa from 'papaparse'

const fileBytes = 200_000_000
const pieceBytes = 1024 * 1024
const columns = 6
const firstMs = Date.UTC(2022, 2, 12, 11, 32, 19)

export const benchCsv = async (print: (line: string) => void): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-csv-'))
  try {
    const file = join(folder, 'gauge.csv')
    writeRows(file, fileBytes)
    // In memory before the clock starts: neither waits for the disk.
    const bytes = readFileSync(file)
    const megabytes = bytes.length / 1e6
    const ours: Run[] = []
    const theirs: Run[] = []
    // Both sides of the other, and the best of each: what else the machine does meanwhile is no part of the comparison.
    for (let i = 0; i < 4; i++) ours.push(readOurs(bytes))
    for (let i = 0; i < 3; i++) theirs.push(await readPapaparse(bytes))
    for (let i = 0; i < 4; i++) ours.push(readOurs(bytes))
    const best = (runs: Run[]) => runs.reduce((a, b) => (b.seconds < a.seconds ? b : a))
    const [a, b] = [best(ours), best(theirs)]
    if (checksum(a) !== checksum(b)) {
      throw new Error(`the checksums differ: ${checksum(a)} and ${checksum(b)}`)
    }
    const rate = (run: Run) => `${(megabytes / run.seconds).toFixed(0)} MB/s`
    const ratio = b.seconds / a.seconds
    print(`csv: ${megabytes.toFixed(0)} MB, ${a.rows} rows of a time and 6 floats, checksum ${checksum(a)} the same`)
    print(`csv: penstock ${rate(a)} (${(a.rows / a.seconds / 1e6).toFixed(1)} M rows/s), papaparse ${rate(b)}`)
    print(`csv: ratio ${ratio.toFixed(1)} (target 8, floor 3)`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Run {
  seconds: number
  rows: number
  /** Of each column, in the order of its rows. */
  sums: Float64Array
  times: number
}

/** Equal where every row, value and time is. */
const checksum = (run: Run): string =>
  createHash('sha256')
    .update(JSON.stringify([run.rows, run.times, ...run.sums]))
    .digest('hex')
    .slice(0, 12)

/** Rows of a vacuum gauge, ten a second, the same in every run. */
const writeRows = (file: string, bytesMax: number): void => {
  const fd = openSync(file, 'w')
  let seed = 1
  const random = () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return seed / 4_294_967_296
  }
  let written = writeSync(fd, 'Timestamp,Rb disp.,Neut.,Surf. Ref.,NC,NC,NC\n')
  let ms = firstMs
  while (written < bytesMax) {
    let block = ''
    for (let i = 0; i < 5000; i++) {
      const time = new Date(ms).toISOString()
      ms += 100
      block += `${time.slice(0, 10).replaceAll('-', '/')} ${time.slice(11, 23)}`
      for (let k = 0; k < 3; k++) block += `,${(random() * 2e-6).toFixed(9)}`
      block += `,${(random() * 500).toFixed(3)},${(random() * 100 - 50).toFixed(5)},0.050090000\n`
    }
    written += writeSync(fd, block)
  }
  closeSync(fd)
}

const readOurs = (bytes: Uint8Array): Run => {
  const format = formatSchema.parse({
    kind: 'csv',
    time: { column: 'Timestamp', layout: 'YYYY/MM/DD HH:mm:ss.SSS', zone: 'UTC' },
  })
  const decoder = createDecoder(format, {
    source: 'bench',
    site: 'lab',
    device: 'gauge',
    stream: 'pressure',
    zone: 'UTC',
    frameRowsMax: 8192,
    recordBytesMax: 65_536,
  })
  const run: Run = { seconds: 0, rows: 0, sums: new Float64Array(columns), times: 0 }
  const started = performance.now()
  let used = 0
  for (;;) {
    const end = Math.min(bytes.length, used + pieceBytes)
    const decoded = decoder.push(bytes.subarray(used, end), end === bytes.length)
    for (const frame of decoded.frames) addFrame(run, frame)
    used += decoded.used
    if (end === bytes.length) break
  }
  run.seconds = (performance.now() - started) / 1000
  return run
}

type Frame = ReturnType<ReturnType<typeof createDecoder>['push']>['frames'][number]
const addFrame = (run: Run, frame: Frame): void => {
  const startMs = Number(frame.startNs / 1_000_000n) - firstMs
  const rows = frame.offsetsNs.length
  run.rows += rows
  run.times += startMs * rows + addTo(0, frame.offsetsNs) / 1e6
  for (const [k, column] of frame.columns.entries())
    run.sums[k] = addTo(run.sums[k] ?? 0, column.values as Float64Array)
}
const addTo = (sum: number, values: Float64Array): number => {
  let total = sum
  for (let i = 0; i < values.length; i++) total += values[i] as number
  return total
}

/** The fastest way from bytes to the strings that papaparse wants; this file is ASCII. */
function* pieces(bytes: Buffer): Generator<string> {
  for (let p = 0; p < bytes.length; p += pieceBytes) yield bytes.toString('latin1', p, p + pieceBytes)
}

const readPapaparse = async (bytes: Buffer): Promise<Run> => {
  const run: Run = { seconds: 0, rows: 0, sums: new Float64Array(columns), times: 0 }
  const started = performance.now()
  let header = true
  await new Promise<void>((resolve, reject) => {
    Papa.parse<string[]>(Readable.from(pieces(bytes)), {
      delimiter: ',',
      newline: '\n',
      fastMode: true,
      skipEmptyLines: true,
      chunk: ({ data }) => {
        for (const row of data) {
          if (header) {
            header = false
            continue
          }
          run.rows++
          run.times += Date.parse(`${(row[0] as string).replaceAll('/', '-')}Z`) - firstMs
          for (let k = 1; k < row.length; k++) run.sums[k - 1] = (run.sums[k - 1] as number) + Number(row[k])
        }
      },
      complete: () => resolve(),
      error: reject,
    })
  })
  run.seconds = (performance.now() - started) / 1000
  return run
}
