/** Bodies that are written as they are read: bounded in memory, paced by the client, ended at once where it goes away. */

const encoder = new TextEncoder()
/** Pieces are joined up to about this size, so that a row is not a chunk of its own. */
const chunkCharsMax = 32 * 1024

export interface StreamOptions {
  headers: Record<string, string>
  /** Told when the source fails midway. The connection is then cut: a client must not take half a list for a whole one. */
  onError(error: unknown): void
}

export const streamResponse = (
  pieces: AsyncIterable<string | Uint8Array<ArrayBuffer>>,
  { headers, onError }: StreamOptions,
): Response => {
  const iterator = pieces[Symbol.asyncIterator]()
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          let text = ''
          while (text.length < chunkCharsMax) {
            const step = await iterator.next()
            const piece = step.done ? undefined : step.value
            if (typeof piece === 'string') {
              text += piece
              continue
            }
            if (text !== '') controller.enqueue(encoder.encode(text))
            if (piece) controller.enqueue(piece)
            else controller.close()
            return
          }
          controller.enqueue(encoder.encode(text))
        } catch (error) {
          onError(error)
          controller.error(error)
        }
      },
      async cancel() {
        await iterator.return?.()
      },
    },
    { highWaterMark: 0 },
  )
  return new Response(body, { headers: { 'transfer-encoding': 'chunked', ...headers } })
}

/**
 * Reads the first item before anything is sent, so that a query that fails at once is answered by a problem and not by a
 * broken stream.
 */
export const primed = async <T>(items: AsyncIterable<T>): Promise<AsyncIterable<T>> => {
  const iterator = items[Symbol.asyncIterator]()
  const first = await iterator.next()
  return (async function* () {
    try {
      if (first.done) return
      yield first.value
      for (;;) {
        const step = await iterator.next()
        if (step.done) return
        yield step.value
      }
    } finally {
      await iterator.return?.()
    }
  })()
}
