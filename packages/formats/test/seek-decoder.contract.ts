/** What every decoder that seeks must do: the same rows from a file that grows as from the whole of it. */
import { rowNs } from '@penstock/frame'
import { expect } from 'vitest'
import type { FileBytes, Pulled, Resume, SeekDecoder } from '../src/index.ts'

export type MakeSeeking = (resume?: Resume) => SeekDecoder

export const arrivalNs = 1_700_000_000_000_000_000n

/** All that a decoder made of a file, with the cuts between pulls and frames taken out. */
export interface Read {
  series: Record<string, { columns: string[]; rows: unknown[][] }>
  rejects: [reason: string, text: string][]
  rowsRejected: number
}
export const emptyRead = (): Read => ({ series: {}, rejects: [], rowsRejected: 0 })

/** The first `size` bytes, each read in an array of its own; counts what is read. */
export const fileOf = (
  bytes: Uint8Array,
  size = bytes.length,
  seen?: { bytes: number; largest: number },
): FileBytes => ({
  size,
  async read(from, to) {
    expect(from).toBeGreaterThanOrEqual(0)
    expect(to).toBeGreaterThanOrEqual(from)
    const piece = bytes.slice(from, Math.min(to, size))
    if (seen) {
      seen.bytes += piece.length
      seen.largest = Math.max(seen.largest, piece.length)
    }
    return piece
  },
})

export const addPulled = (read: Read, pulled: Pulled): void => {
  let rows = 0
  for (const frame of pulled.frames) {
    const plain = frame.columns.filter(c => c.name !== 'status')
    const columns = plain.map(c => `${c.name}:${c.type}${c.unit === undefined ? '' : ` [${c.unit}]`}`)
    const status = frame.columns.find(c => c.name === 'status')
    read.series[frame.stream] ??= { columns, rows: [] }
    const series = read.series[frame.stream] as Read['series'][string]
    expect(columns).toEqual(series.columns)
    expect(frame.offsetsNs.length).toBeGreaterThan(0)
    for (const column of frame.columns) expect(column.values.length).toBe(frame.offsetsNs.length)
    rows += frame.offsetsNs.length
    for (let i = 0; i < frame.offsetsNs.length; i++) {
      const values = plain.map(c => (typeof c.values[i] === 'number' && Number.isNaN(c.values[i]) ? null : c.values[i]))
      series.rows.push([rowNs(frame, i), ...values, status?.values[i] ?? null])
    }
  }
  for (const { reason, text } of pulled.rejects) read.rejects.push([reason, text])
  expect(pulled.rowsRejected).toBe(pulled.rejects.length)
  expect(pulled.rowsRead).toBe(rows + pulled.rowsRejected)
  read.rowsRejected += pulled.rowsRejected
}

/**
 * Reads a file in the states in which a writer leaves it one after the other; the last one is the whole file. At each
 * stop a new decoder goes on from the checkpoint.
 */
export const readStates = async (
  make: MakeSeeking,
  states: readonly Uint8Array[],
  stops: ReadonlySet<number> = new Set(),
): Promise<Read> => {
  const read = emptyRead()
  let decoder = make()
  let used = 0
  for (const [n, bytes] of states.entries()) {
    const last = n === states.length - 1
    for (let pulls = 0; ; pulls++) {
      const pulled = await decoder.pull(fileOf(bytes), last, arrivalNs)
      addPulled(read, pulled)
      used += pulled.used
      expect(pulled.used).toBeGreaterThanOrEqual(0)
      expect(used).toBeLessThanOrEqual(bytes.length)
      const checkpoint = decoder.checkpoint()
      expect(checkpoint.offset).toBe(used)
      expect(checkpoint.headBytes).toBe(0)
      if (stops.has(n)) decoder = make({ checkpoint: JSON.parse(JSON.stringify(checkpoint)), head: new Uint8Array(0) })
      if (!pulled.more) break
      expect(pulls).toBeLessThan(10_000)
    }
  }
  expect(used).toBe(states.at(-1)?.length ?? 0)
  // Series come in the order of their names, rejects as they are: what tells streams apart is not when they came.
  read.series = Object.fromEntries(Object.entries(read.series).sort(([a], [b]) => (a < b ? -1 : 1)))
  read.rejects.sort(([a], [b]) => (a < b ? -1 : 1))
  return read
}

export const readWhole = (make: MakeSeeking, bytes: Uint8Array): Promise<Read> => readStates(make, [bytes])

/** The file as it was when it ended at each of the cuts, and whole. */
export const readGrowing = (
  make: MakeSeeking,
  bytes: Uint8Array,
  cuts: readonly number[],
  stops: readonly number[] = [],
): Promise<Read> => {
  const ends = [...new Set([...cuts, ...stops].filter(cut => cut < bytes.length))].sort((a, b) => a - b)
  const at = new Set(stops.map(stop => ends.indexOf(stop)).filter(i => i >= 0))
  return readStates(
    make,
    [...ends, bytes.length].map(end => bytes.subarray(0, end)),
    at,
  )
}
