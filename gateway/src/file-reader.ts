/**
 * Reads a file piece by piece into a decoder, from where an earlier process left off.
 *
 *     0        head               tail  offset            size
 *     ├─────────┤ … … … … … … … ├────────┤─── to read ───────┤
 *
 * What was read is recognised by two hashes: of the head (longer than a header) and of the bytes just before the
 * offset. A file that no longer holds them there has begun anew, whatever its name, inode or size say.
 */
import { createHash } from 'node:crypto'
import { type FileHandle, open as openFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type Checkpoint,
  type Decoded,
  type Decoder,
  type DecoderContext,
  type FileBytes,
  type FormatOptions,
  type Resume,
  recipeOf,
  type SeekDecoder,
} from '@penstock/formats'
import { type Frame, formatNs, type LedgerLine, LIMITS, parseIsoNs, type Recipe } from '@penstock/frame'

/** What is durable about a file that is being read: small JSON, kept in the cursor. */
export interface FileProgress {
  /** Name in origins and in the ledger: the path at first sight. */
  file: string
  /** Where it is now, where that is not `file`. */
  path?: string
  generation: number
  checkpoint: Checkpoint
  /** How many of the first bytes, and their hash. */
  head: { bytes: number; hash: string }
  /** Hash of the last bytes before the offset. */
  tail: string
  rowsRead: number
  rowsRejected: number
  firstTime?: string
  lastTime?: string
  complete?: boolean
}

/** A file while it is read. Its decoder is ahead of what is durable until the batch has been appended. */
export interface Reading {
  readonly file: string
  readonly generation: number
  offset(): number
  /** What to keep in the cursor with the rows read so far. */
  progress(): FileProgress
  ledgerLine(): LedgerLine
  rowsRead(): number
  rowsRejected(): number
  /** The file says that it is finished, or its last piece was read as the last. */
  finished(): boolean
  /** Whether the bytes before the offset are still those that were read. */
  continues(handle: FileHandle, size: number): Promise<boolean>
  /**
   * Reads and decodes the next piece below `size`. `decoded` is undefined where the file no longer is what was read
   * (`changed`) or nothing whole is left; `more` says that another call may bring more.
   * @param last no byte will follow `size`: an unfinished last record is read or rejected
   * @param atNs when the bytes arrived, for rows without a time of their own
   */
  next(handle: FileHandle, size: number, last: boolean, atNs: bigint): Promise<Piece>
}
export interface Piece {
  decoded?: Decoded
  more: boolean
  changed?: boolean
}

export interface FileReader {
  begin(progress: FileProgress): Reading
  /** Goes on behind `progress`; `undefined` where the file does not hold what was read. */
  resume(progress: FileProgress, handle: FileHandle, size: number): Promise<Reading | undefined>
  /** Whether the file holds all that was read, as `progress` tells it. */
  holds(progress: FileProgress, handle: FileHandle, size: number): Promise<boolean>
  /** The progress as it would be in a file that is known to hold the same up to `offset` and no more. */
  cutAt(progress: FileProgress, handle: FileHandle, offset: number): Promise<FileProgress>
}

export interface FileReaderOptions {
  /** Where the files are: an index that lies beside one is read from there. */
  folder: string
  context: Omit<DecoderContext, 'file' | 'generation'>
  makeDecoder(context: DecoderContext, resume?: Resume): Decoder | SeekDecoder
  /** What the decoder reads by: sent along with rejects, so that they can be read again elsewhere. */
  format?: FormatOptions
}

const headBytesMin = 4096
/** How much longer than a header the head is. */
const headBytesBeyond = 1024
const tailBytesMax = 256
const pushBytesMin = 4096
const pushBytesMax = 512 * 1024

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('base64url').slice(0, 16)
const headOf = (bytes: Uint8Array): FileProgress['head'] => ({ bytes: bytes.length, hash: hash(bytes) })

/** `undefined` where the file has fewer bytes. */
const bytesAt = async (handle: FileHandle, position: number, length: number): Promise<Buffer | undefined> => {
  const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(length), 0, length, position)
  return bytesRead === length ? buffer : undefined
}
const hashAt = async (handle: FileHandle, position: number, length: number): Promise<string | undefined> => {
  const bytes = await bytesAt(handle, position, length)
  return bytes && hash(bytes)
}

/** A file as a seeking decoder sees it: `size` as it was found, whatever is appended meanwhile. */
export const bytesOf = (handle: FileHandle, size: number): FileBytes => ({
  size,
  read: (from, to) => readRange(handle, from, Math.min(to, size)),
})

const readRange = async (handle: FileHandle, from: number, to: number): Promise<Uint8Array> => {
  const length = Math.max(0, to - from)
  const bytes = Buffer.allocUnsafeSlow(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, from + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}

/** The index that LabVIEW writes beside a TDMS file; undefined where there is none. Opened for each read, so that nothing is held open. */
const indexBeside = async (file: string): Promise<FileBytes | undefined> => {
  const path = `${file}_index`
  const found = await stat(path).catch(() => undefined)
  if (!found?.isFile()) return undefined
  const { size } = found
  return {
    size,
    async read(from, to) {
      const handle = await openFile(path)
      try {
        return await readRange(handle, from, Math.min(to, size))
      } finally {
        await handle.close()
      }
    },
  }
}

export const createFileReader = (options: FileReaderOptions): FileReader => {
  const { context, folder, makeDecoder, format } = options
  // One buffer for all files: a decoder keeps no bytes beyond its push.
  let buffer = Buffer.alloc(0)
  const readAt = async (handle: FileHandle, position: number, length: number): Promise<Buffer> => {
    if (buffer.length < length) buffer = Buffer.allocUnsafeSlow(Math.max(length, tailBytesMax + pushBytesMax))
    let filled = 0
    while (filled < length) {
      const { bytesRead } = await handle.read(buffer, filled, length - filled, position + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return buffer.subarray(0, filled)
  }

  const holds = async (progress: FileProgress, handle: FileHandle, size: number): Promise<boolean> => {
    const { offset } = progress.checkpoint
    if (size < offset) return false
    if (offset === 0) return true
    const [head, tail] = await Promise.all([
      hashAt(handle, 0, progress.head.bytes),
      hashAt(handle, Math.max(0, offset - tailBytesMax), Math.min(offset, tailBytesMax)),
    ])
    return head === progress.head.hash && tail === progress.tail
  }

  const open = (start: FileProgress, decoder: Decoder | SeekDecoder, headSoFar: Uint8Array): Reading => {
    const { file, generation, path } = start
    let { offset } = start.checkpoint
    let { head, tail, rowsRead, rowsRejected } = start
    // The bytes of the head, until it is as long as it shall be: hashed from what was decoded, never from a second look.
    let headBytes: Uint8Array | undefined = headSoFar
    let firstNs = start.firstTime === undefined ? undefined : parseIsoNs(start.firstTime)
    let lastNs = start.lastTime === undefined ? undefined : parseIsoNs(start.lastTime)
    let finished = start.complete ?? false
    let pushBytes = 64 * 1024
    let seekable: { handle: FileHandle; bytes: FileBytes } | undefined
    const checkpoint = () => ({ ...decoder.checkpoint(), offset })
    const times = () => ({
      ...(firstNs !== undefined && { firstTime: formatNs(firstNs) }),
      ...(lastNs !== undefined && { lastTime: formatNs(lastNs) }),
    })
    const progress = (): FileProgress => ({
      file,
      ...(path !== undefined && { path }),
      generation,
      checkpoint: checkpoint(),
      head,
      tail,
      rowsRead,
      rowsRejected,
      ...times(),
      ...(finished && { complete: true }),
    })
    const account = (decoded: Decoded) => {
      rowsRead += decoded.rowsRead
      rowsRejected += decoded.rowsRejected
      const moved = decoded.used > 0 || decoded.rowsRead > 0
      if (moved || decoded.finished !== undefined) finished = decoded.finished ?? false
      for (const frame of decoded.frames) {
        const span = spanOf(frame)
        if (!span) continue
        if (firstNs === undefined || span[0] < firstNs) firstNs = span[0]
        if (lastNs === undefined || span[1] > lastNs) lastNs = span[1]
      }
    }
    /** Smaller pushes where rows are dense, so that no batch grows beyond its envelope. */
    const adapt = (decoded: Decoded) => {
      const rejects = decoded.rejects.length
      const frames = decoded.frames.length
      if (decoded.rowsRead > 32_768 || rejects > 4096 || frames > 1024) {
        pushBytes = Math.max(pushBytesMin, pushBytes >> 1)
      } else if (decoded.rowsRead < 16_384 && rejects < 1024 && frames < 256) {
        pushBytes = Math.min(Math.max(pushBytesMax, pushBytes), pushBytes << 1)
      }
    }
    let recipe: { headBytes: number; value: Recipe | undefined } | undefined
    /** Rejects with how they were read: what stands above the rows is read again, once, when the first of them comes. */
    const withRecipe = async (decoded: Decoded, handle: FileHandle): Promise<Decoded> => {
      if (!format || decoded.rejects.length === 0) return decoded
      const { headBytes } = decoder.checkpoint()
      if (recipe?.headBytes !== headBytes) {
        const above = headBytes > 4 * LIMITS.recipeHeadCharsMax ? undefined : await bytesAt(handle, 0, headBytes)
        recipe = { headBytes, value: above && recipeOf(format, context, above) }
      }
      const { value } = recipe
      return value ? { ...decoded, rejects: decoded.rejects.map(reject => ({ ...reject, recipe: value })) } : decoded
    }
    const extendHead = (used: Uint8Array) => {
      if (!headBytes) return
      const missing = Math.max(headBytesMin, decoder.checkpoint().headBytes + headBytesBeyond) - headBytes.length
      if (missing > 0) {
        headBytes = Buffer.concat([headBytes, used.subarray(0, missing)])
        head = headOf(headBytes)
      }
      if (missing <= used.length) headBytes = undefined
    }
    const next = (handle: FileHandle, size: number, last: boolean, atNs: bigint): Promise<Piece> =>
      'pull' in decoder ? pull(decoder, handle, size, last, atNs) : push(decoder, handle, size, last, atNs)

    const pull = async (
      seeking: SeekDecoder,
      handle: FileHandle,
      size: number,
      last: boolean,
      atNs: bigint,
    ): Promise<Piece> => {
      if (!(await holds(progress(), handle, size))) return { more: false, changed: true }
      // The same value for the same bytes: what a decoder holds of them then serves the next pull, too.
      if (seekable?.handle !== handle || seekable.bytes.size !== size)
        seekable = { handle, bytes: { ...bytesOf(handle, size), index: () => indexBeside(join(folder, path ?? file)) } }
      const { more, ...decoded } = await seeking.pull(seekable.bytes, last, atNs)
      if (!more) seekable = undefined
      account(decoded)
      if (last && !more) finished = true
      if (decoded.used > 0) {
        const through = offset + decoded.used
        const kept = Math.min(through, tailBytesMax)
        const [first, end] = await Promise.all([
          bytesAt(handle, 0, Math.min(through, headBytesMin)),
          hashAt(handle, through - kept, kept),
        ])
        if (!first || end === undefined) return { more: false, changed: true }
        offset = through
        head = headOf(first)
        tail = end
      }
      return { decoded, more }
    }

    const push = async (
      pushed: Decoder,
      handle: FileHandle,
      size: number,
      last: boolean,
      atNs: bigint,
    ): Promise<Piece> => {
      for (;;) {
        const checkLen = Math.min(offset, tailBytesMax)
        const length = Math.min(pushBytes, Math.max(0, size - offset))
        const bytes = await readAt(handle, offset - checkLen, checkLen + length)
        if (bytes.length < checkLen + length) return { more: false, changed: true }
        if (checkLen > 0 && hash(bytes.subarray(0, checkLen)) !== tail) return { more: false, changed: true }
        const atEnd = offset + length >= size
        const decoded = pushed.push(bytes.subarray(checkLen), last && atEnd, atNs)
        account(decoded)
        if (last && atEnd) finished = true
        const { used } = decoded
        if (used > 0) {
          const kept = Math.min(offset + used, tailBytesMax)
          tail = hash(bytes.subarray(checkLen + used - kept, checkLen + used))
          offset += used
          extendHead(bytes.subarray(checkLen, checkLen + used))
          adapt(decoded)
          // The buffer may be another file's from the first wait on.
          return { decoded: await withRecipe(decoded, handle), more: offset < size && !(atEnd && last) }
        }
        if (atEnd) return { decoded: await withRecipe(decoded, handle), more: false }
        // A record longer than the piece: take more of it. The decoder passes over what exceeds its own limit.
        if (pushBytes > 2 * (context.recordBytesMax + pushBytesMax)) {
          throw new Error(`the decoder of ${file} used none of ${pushBytes} bytes`)
        }
        pushBytes *= 2
      }
    }
    return {
      file,
      generation,
      offset: () => offset,
      progress,
      rowsRead: () => rowsRead,
      rowsRejected: () => rowsRejected,
      finished: () => finished,
      continues: (handle, size) => holds(progress(), handle, size),
      next,
      ledgerLine: () => ({
        source: context.source,
        file,
        generation,
        rowsRead,
        rowsStored: rowsRead - rowsRejected,
        rowsRejected,
        bytes: offset,
        ...times(),
        complete: finished,
      }),
    }
  }

  return {
    holds,
    async cutAt(progress, handle, offset) {
      const head = headOf((await bytesAt(handle, 0, Math.min(offset, progress.head.bytes))) ?? new Uint8Array(0))
      const tailLen = Math.min(offset, tailBytesMax)
      const tail = (await hashAt(handle, offset - tailLen, tailLen)) ?? ''
      return { ...progress, checkpoint: { ...progress.checkpoint, offset }, head, tail }
    },
    begin: progress =>
      open(
        progress,
        makeDecoder({ ...context, file: progress.file, generation: progress.generation }),
        new Uint8Array(0),
      ),
    async resume(progress, handle, size) {
      if (!(await holds(progress, handle, size))) return undefined
      const { file, generation, checkpoint } = progress
      const bytes = await bytesAt(handle, 0, Math.max(progress.head.bytes, checkpoint.headBytes))
      if (!bytes) return undefined
      const head = bytes.subarray(0, checkpoint.headBytes)
      const decoder = makeDecoder({ ...context, file, generation }, { checkpoint, head })
      return open(progress, decoder, bytes.subarray(0, progress.head.bytes))
    },
  }
}

/** The progress of a file of which nothing was read. */
export const beginning = (file: string, generation: number): FileProgress => ({
  file,
  generation,
  checkpoint: { offset: 0, headBytes: 0, line: 0, state: null },
  head: { bytes: 0, hash: '' },
  tail: '',
  rowsRead: 0,
  rowsRejected: 0,
})

/** Times of the earliest and latest row. */
const spanOf = (frame: Frame): [bigint, bigint] | undefined => {
  const { offsetsNs, startNs } = frame
  let low = Number.POSITIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  for (let i = 0; i < offsetsNs.length; i++) {
    const offset = offsetsNs[i] ?? 0
    if (offset < low) low = offset
    if (offset > high) high = offset
  }
  return high < low ? undefined : [startNs + BigInt(low), startNs + BigInt(high)]
}
