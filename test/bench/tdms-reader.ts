/**
 * Reads one TDMS file through the real decoder, in a process of its own, and tells the parent how it went: started with the
 * path of the file. Memory is told before the first byte is read, and as its largest afterwards.
 */
import { open } from 'node:fs/promises'
import { createFileDecoder, type FileBytes, formatSchema, type SeekDecoder } from '@penstock/formats'

export interface TdmsRun {
  seconds: number
  rows: number
  /** Of every number column. */
  sum: number
  rejects: number
  idleMiB: number
  peakMiB: number
}

const miB = () => process.memoryUsage.rss() / 1024 / 1024

export const readTdms = async (path: string): Promise<TdmsRun> => {
  const format = formatSchema.parse({ kind: 'tdms' })
  const make = () =>
    createFileDecoder(format, {
      source: 'bench',
      site: 'lab',
      device: 'daq',
      stream: 'readings',
      zone: 'UTC',
      frameRowsMax: 65_536,
      recordBytesMax: 1_048_576,
    }) as SeekDecoder
  const handle = await open(path)
  const { size } = await handle.stat()
  globalThis.gc?.()
  const run: TdmsRun = { seconds: 0, rows: 0, sum: 0, rejects: 0, idleMiB: miB(), peakMiB: 0 }
  const started = performance.now()
  const decoder = make()
  for (;;) {
    // As the gateway does: the file as it is found for each pull.
    const file: FileBytes = {
      size,
      async read(from, to) {
        const bytes = Buffer.allocUnsafeSlow(Math.max(0, Math.min(to, size) - from))
        const { bytesRead } = await handle.read(bytes, 0, bytes.length, from)
        return bytes.subarray(0, bytesRead)
      },
    }
    const pulled = await decoder.pull(file, true)
    run.rejects += pulled.rejects.length
    for (const frame of pulled.frames) {
      run.rows += frame.offsetsNs.length
      for (const column of frame.columns) {
        if (column.type !== 'float') continue
        const values = column.values as Float64Array
        for (let i = 0; i < values.length; i++) run.sum += values[i] as number
      }
    }
    run.peakMiB = Math.max(run.peakMiB, miB())
    if (!pulled.more) break
  }
  run.seconds = (performance.now() - started) / 1000
  await handle.close()
  return run
}

if (process.argv[1] === import.meta.filename && process.send) {
  process.send(await readTdms(process.argv[2] ?? ''))
  process.disconnect()
}
