/**
 * Reads one CSV file as the gateway does, in a process of its own, and tells the parent how it went: started with the path
 * of the file. Memory is told before the first byte is read, and as its largest while reading.
 */
import { open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createFileDecoder, formatSchema } from '@penstock/formats'

export interface CsvMemory {
  seconds: number
  rows: number
  idleMiB: number
  peakMiB: number
}

/** The gateway is a program and exports nothing; its reader is taken as it stands. */
const { beginning, createFileReader }: typeof import('../../gateway/src/file-reader.ts') = await import(
  new URL('../../gateway/src/file-reader.ts', import.meta.url).href
)

const miB = () => process.memoryUsage.rss() / 1024 / 1024

const read = async (path: string): Promise<CsvMemory> => {
  const format = formatSchema.parse({ kind: 'csv', time: { column: 'time' } })
  const reader = createFileReader({
    folder: dirname(path),
    context: {
      source: 'bench',
      site: 'lab',
      device: 'gauge',
      stream: 'readings',
      zone: 'UTC',
      frameRowsMax: 8192,
      recordBytesMax: 65_536,
    },
    makeDecoder: (context, resume) => createFileDecoder(format, context, resume),
  })
  const handle = await open(path)
  const { size } = await handle.stat()
  globalThis.gc?.()
  const run: CsvMemory = { seconds: 0, rows: 0, idleMiB: miB(), peakMiB: 0 }
  const started = performance.now()
  const reading = reader.begin(beginning('large.csv', 1))
  for (let more = true; more; ) {
    const piece = await reading.next(handle, size, true, 0n)
    for (const frame of piece.decoded?.frames ?? []) run.rows += frame.offsetsNs.length
    run.peakMiB = Math.max(run.peakMiB, miB())
    more = piece.more
  }
  run.seconds = (performance.now() - started) / 1000
  await handle.close()
  return run
}

process.send?.(await read(process.argv[2] ?? ''))
process.disconnect?.()
