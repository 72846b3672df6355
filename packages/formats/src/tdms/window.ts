/**
 * The part of a file that is in memory: a few slabs of bytes, the longest unused of which makes room for the next.
 *
 * Bytes that follow what was read last are read far ahead; a place elsewhere is read alone, so that lead-ins that lie far
 * apart cost a page each and not a slab.
 */
import type { FileBytes } from '../decoder.ts'

export interface Slab {
  readonly from: number
  readonly to: number
  readonly bytes: Uint8Array
  readonly view: DataView
}

export interface Window {
  /** A slab that holds bytes [from, to), where one does. */
  find(from: number, to: number): Slab | undefined
  /** Reads such a slab; `undefined` where the file has shrunk. At most `runBytesMax` at a time. */
  load(from: number, to: number): Promise<Slab | undefined>
  /** Forgets bytes from `from` on: a writer may have changed them. */
  forget(from: number): void
}

/** Bytes that may be asked for at a time. */
export const runBytesMax = 256 * 1024
const aheadBytes = 256 * 1024
const pageBytes = 4096
const slabsBytesMax = 4 * 1024 * 1024
/** From so near behind the last slab on, reading counts as reading on. */
const nearBytes = 64 * 1024

export const createWindow = (file: FileBytes): Window => {
  let slabs: Slab[] = []
  let held = 0
  let lastTo = 0
  const find: Window['find'] = (from, to) => {
    for (let i = slabs.length - 1; i >= 0; i--) {
      const slab = slabs[i] as Slab
      if (from < slab.from || to > slab.to) continue
      if (i < slabs.length - 1) {
        slabs.splice(i, 1)
        slabs.push(slab)
      }
      return slab
    }
    return undefined
  }
  const load: Window['load'] = async (from, to) => {
    const found = find(from, to)
    if (found) return found
    const readsOn = from <= lastTo + nearBytes && to > lastTo - nearBytes
    const bytes = await file.read(from, Math.min(file.size, Math.max(to, from + (readsOn ? aheadBytes : pageBytes))))
    if (bytes.length < to - from) return undefined
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const slab = { from, to: from + bytes.length, bytes, view }
    lastTo = slab.to
    slabs.push(slab)
    held += bytes.length
    while (held > slabsBytesMax && slabs.length > 1) held -= slabs.shift()?.bytes.length ?? 0
    return slab
  }
  const forget: Window['forget'] = from => {
    slabs = slabs.filter(slab => slab.to <= from)
    held = slabs.reduce((sum, slab) => sum + slab.bytes.length, 0)
  }
  return { find, load, forget }
}
