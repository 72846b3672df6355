/** A file that a browser sends: streamed to a temporary file of bounded size, read, and deleted whatever happens. */
import { randomUUID } from 'node:crypto'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { FileBytes } from '@penstock/formats'
import { ProblemError } from '@penstock/http'

export interface Uploads {
  /** Calls `use` with the file while it exists. @throws ProblemError where it is empty or too large, or too many come at once */
  receive<T>(body: ReadableStream<Uint8Array> | null, use: (file: FileBytes) => Promise<T>): Promise<T>
}

export interface UploadOptions {
  /** Made when it is first needed; what an earlier run left there is deleted. */
  folder: string
  fileBytesMax: number
  atOnceMax: number
}

export const createUploads = ({ folder, fileBytesMax, atOnceMax }: UploadOptions): Uploads => {
  let underWay = 0
  let ready: Promise<void> | undefined
  const prepare = async (): Promise<void> => {
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { recursive: true })
  }
  return {
    async receive(body, use) {
      if (underWay >= atOnceMax) {
        throw new ProblemError(503, 'too-many-clients', 'Another file is being looked at: try again in a moment.', {
          headers: { 'retry-after': '5' },
        })
      }
      underWay++
      const path = join(folder, randomUUID())
      try {
        ready ??= prepare()
        await ready.catch(error => {
          ready = undefined
          throw error
        })
        const handle = await open(path, 'wx+', 0o600)
        try {
          let size = 0
          for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
            size += chunk.length
            if (size > fileBytesMax) throw tooLarge(fileBytesMax)
            await handle.writeFile(chunk)
          }
          if (size === 0) throw new ProblemError(400, 'invalid-body', 'The file is empty.')
          return await use({
            size,
            async read(from, to) {
              const end = Math.min(to, size)
              if (end <= from) return new Uint8Array(0)
              const { buffer, bytesRead } = await handle.read(new Uint8Array(end - from), 0, end - from, from)
              return buffer.subarray(0, bytesRead)
            },
          })
        } finally {
          await handle.close()
        }
      } finally {
        underWay--
        await rm(path, { force: true }).catch(() => {})
      }
    },
  }
}

const tooLarge = (fileBytesMax: number): ProblemError =>
  new ProblemError(413, 'body-too-large', `The file has more than the ${fileBytesMax} bytes that are taken here.`, {
    headers: { connection: 'close' },
  })
