/** Bytes of a file for formats that are read by seeking: what the disk throws is kept apart from what its bytes lack. */
import type { FileBytes } from './decoder.ts'

export interface Disk {
  /** All of [from, to), as plain bytes; throws where the file has fewer. */
  read(from: number, to: number): Promise<Uint8Array>
  /** What the file system threw, if it did. */
  failure(): unknown
}

export const readFrom = (file: FileBytes): Disk => {
  let failure: unknown
  return {
    async read(from, to) {
      const bytes = await file.read(from, to).catch((error: unknown) => {
        failure = error
        throw error
      })
      if (bytes.length < to - from) throw new Error('the file became shorter while it was read')
      return plainBytes(bytes)
    },
    failure: () => failure,
  }
}

/** Without the ways of a Buffer, whose slice is no copy. */
export const plainBytes = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)

/** What `work` gives, or why the bytes do not allow it; what the disk throws goes on. */
export const unlessDamaged = async <T>(disk: Disk, work: () => Promise<T>): Promise<T | string> => {
  try {
    return await work()
  } catch (error) {
    if (disk.failure() !== undefined) throw error
    const { message } = error as Error
    // Sentences of our own are whole; those of a library say what it stumbled over.
    return error instanceof FileProblem ? message : `the bytes cannot be read: ${message.replace(/^parquet /, '')}`
  }
}

/** Says in a whole sentence why a file is not read. */
export class FileProblem extends Error {}
