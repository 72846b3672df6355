/**
 * The port of this package: bytes in, frames and rejects out. Pure and total: no file system, no clock, and whatever the
 * bytes are, no exception.
 */
import type { Frame, Json, Reject } from '@penstock/frame'

/** Where the bytes come from, and what holds where the file itself does not say. Given once, when the decoder is made. */
export interface DecoderContext {
  /** The source's id; goes into origins. */
  source: string
  /** Path below the source's folder, or the port's name. Formats may read a date or a number from it. */
  file?: string
  generation?: number
  site: string
  device: string
  stream: string
  /** IANA zone of local times. */
  zone: string
  /** Frames are cut at this many rows. */
  frameRowsMax: number
  /** A line or record longer than this is rejected, its bytes passed over. */
  recordBytesMax: number
}

export interface Decoded {
  /** Grouped by series, rows in the order of the file within each series. */
  frames: Frame[]
  rejects: Reject[]
  /** How many of the pushed bytes made whole records (or are passed over for good); the rest comes again with more behind it. */
  used: number
  /** Data rows seen in `used`: rows in frames + rows rejected. Header, comment and blank lines do not count. */
  rowsRead: number
  /** Of these, in `rejects` (a reject may stand for more than one row). */
  rowsRejected: number
  /** The file says of itself that it is finished. */
  finished?: boolean
}

/** What a decoder needs to go on in a later process: small JSON, kept with the cursor in the spool. */
export interface Checkpoint {
  /** Bytes used so far, from the start of the file. */
  offset: number
  /** How many bytes from the start of the file must be given as `head` to go on (header and metadata); 0 where none. */
  headBytes: number
  /** Lines used so far. */
  line: number
  /** The format's own (DST side of the last row, last time, …). */
  state: Json
}

/** Called by the runner with consecutive bytes: first byte of a push = last `used` + offset so far. */
export interface Decoder {
  /**
   * @param bytes from the first byte not yet used; may hold any number of records, none whole, or nothing
   * @param last no byte will follow: an unfinished last record is read or rejected now, and `used` is all of `bytes`
   * @param atNs when the bytes arrived, for formats whose rows have no time of their own (serial lines)
   */
  push(bytes: Uint8Array, last: boolean, atNs?: bigint): Decoded
  /** To be asked between pushes. */
  checkpoint(): Checkpoint
}

export interface Resume {
  checkpoint: Checkpoint
  /** The first `checkpoint.headBytes` bytes of the file, read again. */
  head: Uint8Array
}

/** The bytes of a file that can be read anywhere, handed in by the runner. */
export interface FileBytes {
  /** As found when the read began; the file may grow behind it. */
  readonly size: number
  /**
   * Bytes [from, to), cut off at `size`, in an array of their own. Fewer where the file has shrunk: the decoder then gives
   * what it has, and the runner finds out. Rejects where the disk fails.
   */
  read(from: number, to: number): Promise<Uint8Array>
  /** The file of the same name with `_index` behind it, which TDMS writers keep beside it; `undefined` where there is none. */
  index?(): Promise<FileBytes | undefined>
}

export interface Pulled extends Decoded {
  /** Another pull with the same bytes brings more. */
  more: boolean
}

/**
 * A decoder of a format whose bytes are not read front to back: TDMS (channels one behind the other), Parquet (footer
 * last), xlsx (a zip). It fetches what it needs and holds a bounded part of the file in memory.
 */
export interface SeekDecoder {
  /**
   * Reads on behind the last pull; gives a bounded number of rows (at most `frameRowsMax` a frame, a few MB in all).
   *
   * `used` is by how far the decoder's offset moved: bytes before the offset are read for good, and no writer will change
   * them. It may be 0 although rows came (rows of a segment that is still being written).
   * @param last the file is complete: what a writer left open is read or rejected now, and in the end `used` adds up to all
   * @param atNs when the bytes arrived, for rows without a time of their own
   */
  pull(file: FileBytes, last: boolean, atNs?: bigint): Promise<Pulled>
  /** To be asked between pulls. `headBytes` is 0; `state` says which rows were given, so that a later process gives no row twice. */
  checkpoint(): Checkpoint
}
