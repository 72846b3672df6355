/**
 * The index that writers keep beside a TDMS file (`x.tdms_index`): its lead-ins and metadata without the values, so that
 * the directory of a large file stands in a few pages. It serves a reader that begins anew to get past what was read
 * before.
 *
 * It is a copy that may be old, cut off or of another file. The lead-in of every segment must be that of the file itself,
 * and metadata is compared with the file's own every now and then; the first difference ends its use, and what was taken
 * from it is read anew. No value is ever read by it alone.
 */
import type { FileBytes } from '../decoder.ts'
import { leadInBytes } from './metadata.ts'
import { createWindow, type Slab } from './window.ts'

export interface IndexFile {
  /** Metadata of the segment whose 28 bytes of lead-in stand at `p` in `slab`; `undefined` where the index does not have it. */
  metadata(slab: Slab, p: number, length: number): Promise<Uint8Array | undefined>
  /** Whether this segment's metadata is to be compared with the file's own. */
  isSample(): boolean
}

/** The first segments are compared one by one, then one in so many. */
const samplesFirst = 4
const sampleEvery = 64

/** @param through first byte of the file for which the index is not asked */
export const createIndexFile = (file: FileBytes, through: number): IndexFile => {
  const window = createWindow(file)
  let at = 0
  let segments = 0
  const metadata: IndexFile['metadata'] = async (slab, p, length) => {
    const to = at + leadInBytes + length
    if (to > file.size || slab.from + p >= through) return undefined
    const own = window.find(at, to) ?? (await window.load(at, to))
    if (!own) return undefined
    const from = at - own.from
    // "TDSh" for "TDSm"; all else is the same.
    for (let i = 0; i < leadInBytes; i++) {
      const expected = i === 3 ? 0x68 : slab.bytes[p + i]
      if (own.bytes[from + i] !== expected) return undefined
    }
    at = to
    segments++
    return own.bytes.subarray(from + leadInBytes, from + leadInBytes + length)
  }
  return { metadata, isSample: () => segments <= samplesFirst || segments % sampleEvery === 0 }
}
