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
import type { FileHandle } from 'node:fs/promises'
import type { Checkpoint, Decoded, Decoder, DecoderContext, Resume } from '@penstock/formats'
import { type Frame, formatNs, type LedgerLine, parseIsoNs } from '@penstock/frame'

/** What is durable about a file that is being read: small JSON, kept in the cursor. */
export interface FileProgress {
  /** Name in origins and in the ledger: the path at first sight. */
  file: string
  /** Where it is now, where that is not `file`. */
  path?: string
  generation: number
  checkpoint: Checkpoint
  head: string
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
  context: Omit<DecoderContext, 'file' | 'generation'>
  makeDecoder(context: DecoderContext, resume?: Resume): Decoder
}

const headBytesMin = 4096
const tailBytesMax = 256
const pushBytesMin = 4096
const pushBytesMax = 512 * 1024

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('base64url').slice(0, 16)
const headLength = (offset: number, headBytes: number): number =>
  Math.min(offset, Math.max(headBytesMin, headBytes + 1024))

/** `undefined` where the file has fewer bytes. */
const bytesAt = async (handle: FileHandle, position: number, length: number): Promise<Buffer | undefined> => {
  const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(length), 0, length, position)
  return bytesRead === length ? buffer : undefined
}
const hashAt = async (handle: FileHandle, position: number, length: number): Promise<string | undefined> => {
  const bytes = await bytesAt(handle, position, length)
  return bytes && hash(bytes)
}

export const createFileReader = (options: FileReaderOptions): FileReader => {
  const { context, makeDecoder } = options
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
    const { offset, headBytes } = progress.checkpoint
    if (size < offset) return false
    if (offset === 0) return true
    const [head, tail] = await Promise.all([
      hashAt(handle, 0, headLength(offset, headBytes)),
      hashAt(handle, Math.max(0, offset - tailBytesMax), Math.min(offset, tailBytesMax)),
    ])
    return head === progress.head && tail === progress.tail
  }

  const open = (start: FileProgress, decoder: Decoder): Reading => {
    const { file, generation, path } = start
    let { offset } = start.checkpoint
    let { head, tail, rowsRead, rowsRejected } = start
    let headLen = headLength(offset, start.checkpoint.headBytes)
    let firstNs = start.firstTime === undefined ? undefined : parseIsoNs(start.firstTime)
    let lastNs = start.lastTime === undefined ? undefined : parseIsoNs(start.lastTime)
    let finished = start.complete ?? false
    let pushBytes = 64 * 1024
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
      if (decoded.used > 0) finished = decoded.finished ?? false
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
    const next = async (handle: FileHandle, size: number, last: boolean, atNs: bigint): Promise<Piece> => {
      for (;;) {
        const checkLen = Math.min(offset, tailBytesMax)
        const length = Math.min(pushBytes, Math.max(0, size - offset))
        const bytes = await readAt(handle, offset - checkLen, checkLen + length)
        if (bytes.length < checkLen + length) return { more: false, changed: true }
        if (checkLen > 0 && hash(bytes.subarray(0, checkLen)) !== tail) return { more: false, changed: true }
        const atEnd = offset + length >= size
        const decoded = decoder.push(bytes.subarray(checkLen), last && atEnd, atNs)
        account(decoded)
        if (last && atEnd) finished = true
        const { used } = decoded
        if (used > 0) {
          const kept = Math.min(offset + used, tailBytesMax)
          tail = hash(bytes.subarray(checkLen + used - kept, checkLen + used))
          offset += used
          const wanted = headLength(offset, decoder.checkpoint().headBytes)
          if (wanted !== headLen || head === '') {
            headLen = wanted
            // At the start of the file the head is at hand; otherwise it must be read again, and may be gone by now.
            const inHand = offset - used === 0 && headLen <= bytes.length
            head = (inHand ? hash(bytes.subarray(0, headLen)) : await hashAt(handle, 0, headLen)) ?? ''
          }
          adapt(decoded)
          return { decoded, more: offset < size && !(atEnd && last) }
        }
        if (atEnd) return { decoded, more: false }
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
      const head = (await hashAt(handle, 0, headLength(offset, progress.checkpoint.headBytes))) ?? ''
      const tailLen = Math.min(offset, tailBytesMax)
      const tail = (await hashAt(handle, offset - tailLen, tailLen)) ?? ''
      return { ...progress, checkpoint: { ...progress.checkpoint, offset }, head, tail }
    },
    begin: progress =>
      open(progress, makeDecoder({ ...context, file: progress.file, generation: progress.generation })),
    async resume(progress, handle, size) {
      if (!(await holds(progress, handle, size))) return undefined
      const { file, generation, checkpoint } = progress
      const head = await bytesAt(handle, 0, checkpoint.headBytes)
      if (!head) return undefined
      return open(progress, makeDecoder({ ...context, file, generation }, { checkpoint, head }))
    },
  }
}

/** The progress of a file of which nothing was read. */
export const beginning = (file: string, generation: number): FileProgress => ({
  file,
  generation,
  checkpoint: { offset: 0, headBytes: 0, line: 0, state: null },
  head: '',
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
