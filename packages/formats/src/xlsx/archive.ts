/**
 * The files within a zip archive, read by its central directory (PKWARE APPNOTE). Deflated and stored entries, ZIP64. What
 * an entry unpacks to is bounded, and held against its size and checksum.
 */
import { crc32, createInflateRaw } from 'node:zlib'
import type { FileBytes } from '../decoder.ts'
import { FileProblem } from '../disk.ts'

export interface Entry {
  name: string
  method: number
  flags: number
  crc: number
  packedBytes: number
  bytes: number
  /** Of its local header. */
  at: number
}

export interface Archive {
  entries: ReadonlyMap<string, Entry>
  /** The whole of an entry; throws where it unpacks to more than `bytesMax`. */
  read(entry: Entry, bytesMax: number): Promise<Buffer>
  /** The entry piece by piece. Throws behind the last piece where size or checksum do not match. */
  stream(entry: Entry, bytesMax: number): AsyncGenerator<Buffer, void>
}

const endBytes = 22
const commentBytesMax = 65_535
const directoryBytesMax = 4 * 1024 * 1024
const entriesMax = 16_384
const pieceBytes = 16 * 1024

const LOCAL = 0x04034b50
const CENTRAL = 0x02014b50
const END = 0x06054b50
const END_64 = 0x06064b50
const END_64_LOCATOR = 0x07064b50

const damaged = (what: string): never => {
  throw new FileProblem(`the bytes cannot be read: ${what}`)
}

/** @param read bytes of the file; throws where there are fewer */
export const openArchive = async (read: FileBytes['read'], size: number): Promise<Archive> => {
  const directory = await findDirectory(read, size)
  if (directory.bytes > directoryBytesMax || directory.at + directory.bytes > size) {
    damaged('the directory of the archive lies beyond its bytes')
  }
  const bytes = bufferOf(await read(directory.at, directory.at + directory.bytes))
  const entries = new Map<string, Entry>()
  for (let p = 0; p + 46 <= bytes.length && bytes.readUInt32LE(p) === CENTRAL; ) {
    const entry = entryAt(bytes, p)
    if (entries.size >= entriesMax) damaged(`the archive has more than ${entriesMax} entries`)
    entries.set(entry.name, entry)
    p += 46 + bytes.readUInt16LE(p + 28) + bytes.readUInt16LE(p + 30) + bytes.readUInt16LE(p + 32)
  }

  async function* packed(entry: Entry): AsyncGenerator<Buffer, void> {
    const local = bufferOf(await read(entry.at, Math.min(size, entry.at + 30)))
    if (local.length < 30 || local.readUInt32LE(0) !== LOCAL) damaged(`"${entry.name}" does not stand where it should`)
    let at = entry.at + 30 + local.readUInt16LE(26) + local.readUInt16LE(28)
    const end = at + entry.packedBytes
    if (end > size) damaged(`"${entry.name}" reaches beyond the file`)
    for (; at < end; at += pieceBytes) yield bufferOf(await read(at, Math.min(end, at + pieceBytes)))
  }
  async function* stream(entry: Entry, bytesMax: number): AsyncGenerator<Buffer, void> {
    if (entry.flags & 1) throw new FileProblem('the archive is encrypted, which is not read')
    if (entry.method !== 0 && entry.method !== 8)
      damaged(`"${entry.name}" is packed by method ${entry.method}, which is not read`)
    if (entry.bytes > bytesMax) tooLarge(entry, bytesMax)
    let got = 0
    let crc = 0
    for await (const piece of entry.method === 0 ? packed(entry) : inflated(packed(entry), entry)) {
      got += piece.length
      // The directory may lie.
      if (got > entry.bytes) damaged(`"${entry.name}" unpacks to more than the ${entry.bytes} bytes that it says`)
      crc = crc32(piece, crc)
      yield piece
    }
    if (got !== entry.bytes || crc !== entry.crc) damaged(`"${entry.name}" does not match its checksum`)
  }
  const readWhole = async (entry: Entry, bytesMax: number): Promise<Buffer> => {
    const pieces: Buffer[] = []
    for await (const piece of stream(entry, bytesMax)) pieces.push(piece)
    return Buffer.concat(pieces)
  }
  return { entries, read: readWhole, stream }
}

const tooLarge = ({ name, bytes }: Entry, bytesMax: number): never => {
  throw new FileProblem(`"${name}" unpacks to ${bytes} bytes, more than the ${bytesMax} that are allowed`)
}

/**
 * What zlib makes of the pieces. One is taken when the one before is done, so that nothing is read between two calls; each
 * unpacks to 16 MB at most.
 */
async function* inflated(pieces: AsyncGenerator<Buffer>, { name }: Entry): AsyncGenerator<Buffer, void> {
  const inflate = createInflateRaw({ chunkSize: 64 * 1024 })
  let out: Buffer[] = []
  let failure: Error | undefined
  let ended = false
  let wake = (): void => {}
  // Bytes behind its end, and bytes that are no deflate, leave a write without an answer.
  const end = (): void => {
    ended = true
    wake()
  }
  inflate.on('data', (piece: Buffer) => out.push(piece))
  inflate.on('end', end)
  inflate.on('error', error => {
    failure = error
    end()
  })
  const until = (start: (done: () => void) => void): Promise<void> =>
    new Promise(resolve => {
      wake = resolve
      if (ended) resolve()
      else start(resolve)
    })
  try {
    for await (const piece of pieces) {
      await until(done => inflate.write(piece, () => done()))
      const ready = out
      out = []
      yield* ready
      if (ended) break
    }
    await until(() => inflate.end())
    if (failure) damaged(`"${name}" does not unpack: ${failure.message}`)
    yield* out
  } finally {
    inflate.destroy()
  }
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)

const findDirectory = async (read: FileBytes['read'], size: number): Promise<{ at: number; bytes: number }> => {
  const from = Math.max(0, size - endBytes - commentBytesMax)
  const tail = bufferOf(await read(from, size))
  let p = tail.length - endBytes
  while (p >= 0 && tail.readUInt32LE(p) !== END) p--
  if (p < 0) return damaged('the archive has no directory; is the file complete?')
  const at = tail.readUInt32LE(p + 16)
  const bytes = tail.readUInt32LE(p + 12)
  if (at !== 0xffffffff && bytes !== 0xffffffff) return { at, bytes }
  if (p < 20 || tail.readUInt32LE(p - 20) !== END_64_LOCATOR) return damaged('the archive has no directory')
  const record = Number(tail.readBigUInt64LE(p - 12))
  if (!(record + 56 <= size)) return damaged('the archive has no directory')
  const end = bufferOf(await read(record, record + 56))
  if (end.readUInt32LE(0) !== END_64) return damaged('the archive has no directory')
  return { at: Number(end.readBigUInt64LE(48)), bytes: Number(end.readBigUInt64LE(40)) }
}

const entryAt = (bytes: Buffer, p: number): Entry => {
  const nameBytes = bytes.readUInt16LE(p + 28)
  const extraBytes = bytes.readUInt16LE(p + 30)
  const entry: Entry = {
    name: bytes.toString('utf8', p + 46, p + 46 + nameBytes),
    method: bytes.readUInt16LE(p + 10),
    flags: bytes.readUInt16LE(p + 8),
    crc: bytes.readUInt32LE(p + 16),
    packedBytes: bytes.readUInt32LE(p + 20),
    bytes: bytes.readUInt32LE(p + 24),
    at: bytes.readUInt32LE(p + 42),
  }
  const extra = bytes.subarray(p + 46 + nameBytes, p + 46 + nameBytes + extraBytes)
  for (let q = 0; q + 4 <= extra.length; q += 4 + extra.readUInt16LE(q + 2)) {
    if (extra.readUInt16LE(q) !== 1) continue
    // ZIP64: those of the three that do not fit 32 bits, in this order.
    let r = q + 4
    for (const key of ['bytes', 'packedBytes', 'at'] as const) {
      if (entry[key] !== 0xffffffff || r + 8 > extra.length) continue
      entry[key] = Number(extra.readBigUInt64LE(r))
      r += 8
    }
  }
  return entry
}
