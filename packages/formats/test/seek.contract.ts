/** What every decoder of a format that is read by seeking must do; beside `decoder.contract.ts`. */
import { expect } from 'vitest'
import type { FileBytes, Resume, SeekDecoder } from '../src/index.ts'
import { addDecoded, emptyWhole, type Whole } from './decoder.contract.ts'

export type MakeSeek = (resume?: Resume) => SeekDecoder

const arrival = 1_700_000_000_000_000_000n

/** Bytes in memory as a file; `reads` is told of each access. */
export const fileOf = (bytes: Uint8Array, reads?: (from: number, to: number) => void): FileBytes => ({
  size: bytes.length,
  read: async (from, to) => {
    reads?.(from, to)
    return bytes.slice(from, Math.min(to, bytes.length))
  },
})

/**
 * Reads a file that is complete. With `stopEvery`, after so many pulls a new decoder goes on from the checkpoint, as JSON
 * has kept it.
 */
export const pullAll = async (
  make: MakeSeek,
  bytes: Uint8Array,
  stopEvery = Number.POSITIVE_INFINITY,
): Promise<Whole> => {
  const whole = emptyWhole()
  const file = fileOf(bytes)
  let decoder = make()
  let used = 0
  // Before it is complete, a file of these formats says nothing.
  expect(await decoder.pull(file, false, arrival)).toMatchObject({ frames: [], rejects: [], used: 0, more: false })
  for (let pulls = 1; ; pulls++) {
    const pulled = await decoder.pull(file, true, arrival)
    used += pulled.used
    addDecoded(whole, pulled)
    const checkpoint = decoder.checkpoint()
    expect(checkpoint.offset).toBe(used)
    expect(checkpoint.headBytes).toBe(0)
    if (!pulled.more) break
    expect(pulls).toBeLessThan(10_000)
    if (pulls % stopEvery === 0) {
      decoder = make({ checkpoint: JSON.parse(JSON.stringify(checkpoint)), head: new Uint8Array(0) })
    }
  }
  expect(used).toBe(bytes.length)
  const rows = Object.values(whole.series).reduce((sum, series) => sum + series.rows.length, 0)
  expect(whole.rowsRead).toBe(rows + whole.rowsRejected)
  return whole
}
