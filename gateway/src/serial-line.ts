/** An open port as sources use it: bytes with the time at which they came, and writes that end within a limit. */
import type { OpenedPort } from './serial-port.ts'

export interface Chunk {
  bytes: Uint8Array
  /** When they came, ms since the epoch. */
  atMs: number
}

export interface ReadAhead {
  take(): Chunk | undefined
  /** Nothing more will come, and all was taken. */
  ended(): boolean
  stop(): void
}

/** What is read ahead while the source is held up; beyond that it stays in the stream, which stops reading when it is full. */
const aheadBytesMax = 16 * 1024
const aheadChunksMax = 1024
const writeMsMax = 5000

/** Reads on while what came is being stored, so that every chunk has the time of its arrival. */
export const readAhead = (port: OpenedPort, nowMs: () => number, ring: () => void): ReadAhead => {
  const stream = port.stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>
  const chunks: Chunk[] = []
  let bytesAhead = 0
  let isAsking = false
  let isEnded = false
  const end = () => {
    isEnded = true
    ring()
  }
  // Some losses come as events only: the iterator would wait for ever.
  port.stream.once('close', end)
  port.stream.on('error', end)
  const askNext = () => {
    if (isAsking || isEnded || bytesAhead >= aheadBytesMax || chunks.length >= aheadChunksMax) return
    isAsking = true
    stream.next().then(
      ({ value, done }) => {
        isAsking = false
        if (done) return end()
        chunks.push({ bytes: Buffer.from(value), atMs: nowMs() })
        bytesAhead += value.length
        askNext()
        ring()
      },
      () => {
        isAsking = false
        end()
      },
    )
  }
  askNext()
  return {
    take() {
      const chunk = chunks.shift()
      bytesAhead -= chunk?.bytes.length ?? 0
      askNext()
      return chunk
    },
    ended: () => isEnded && chunks.length === 0,
    stop() {
      port.stream.off('close', end)
      isEnded = true
    },
  }
}

export interface LineWriter {
  /** One at a time: `false`, and nothing is sent, while the line does not take the last bytes yet. */
  write(bytes: Uint8Array, done?: () => void): boolean
  /** A write failed, or did not end in time. */
  failed(): boolean
  stop(): void
}

export const createLineWriter = (port: OpenedPort, ring: () => void): LineWriter => {
  let hasFailed = false
  let timer: NodeJS.Timeout | undefined
  const fail = () => {
    hasFailed = true
    ring()
  }
  return {
    write(bytes, done) {
      if (timer !== undefined || hasFailed) return false
      timer = setTimeout(fail, writeMsMax)
      port.stream.write(bytes, error => {
        clearTimeout(timer)
        timer = undefined
        if (error) return fail()
        done?.()
        ring()
      })
      return true
    },
    failed: () => hasFailed,
    stop: () => clearTimeout(timer),
  }
}
