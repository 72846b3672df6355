/**
 * Delimited text to typed columns, against papaparse: the same generated file, in the same run, with the same checksum.
 *
 * Both read the file in pieces of 1 MiB and sum every column and every time (ms since the first). papaparse runs in its
 * fastest streaming form: `fastMode`, arrays instead of objects, no `dynamicTyping`; its texts become numbers by `Number`
 * and `Date.parse`, as a user would write it.
 */
import { createHash } from 'node:crypto'
import { closeSync, createReadStream, mkdtempSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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
    const megabytes = statSync(file).size / 1e6
    const ours: Run[] = []
    const theirs: Run[] = []
    // In turns, and the best of each: what else the machine does meanwhile is no part of the comparison.
    for (let i = 0; i < 3; i++) {
      ours.push(readOurs(file), readOurs(file))
      theirs.push(await readPapaparse(file))
    }
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

const readOurs = (file: string): Run => {
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
  const fd = openSync(file, 'r')
  const buffer = new Uint8Array(2 * pieceBytes)
  let held = 0
  for (;;) {
    const read = readSync(fd, buffer, held, pieceBytes, null)
    const { frames, used } = decoder.push(buffer.subarray(0, held + read), read === 0)
    for (const frame of frames) addFrame(run, frame)
    buffer.copyWithin(0, used, held + read)
    held += read - used
    if (read === 0) break
  }
  closeSync(fd)
  run.seconds = (performance.now() - started) / 1000
  return run
}

type Frame = ReturnType<ReturnType<typeof createDecoder>['push']>['frames'][number]
const addFrame = (run: Run, frame: Frame): void => {
  const startMs = Number(frame.startNs / 1_000_000n) - firstMs
  const { offsetsNs } = frame
  run.rows += offsetsNs.length
  for (let i = 0; i < offsetsNs.length; i++) run.times += startMs + (offsetsNs[i] as number) / 1e6
  for (const [k, column] of frame.columns.entries())
    run.sums[k] = addTo(run.sums[k] ?? 0, column.values as Float64Array)
}
const addTo = (sum: number, values: Float64Array): number => {
  let total = sum
  for (let i = 0; i < values.length; i++) total += values[i] as number
  return total
}

const readPapaparse = async (file: string): Promise<Run> => {
  const run: Run = { seconds: 0, rows: 0, sums: new Float64Array(columns), times: 0 }
  const started = performance.now()
  let header = true
  await new Promise<void>((resolve, reject) => {
    Papa.parse<string[]>(createReadStream(file, { highWaterMark: pieceBytes, encoding: 'utf8' }), {
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
