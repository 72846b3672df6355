/** Server-sent events: what waits is bounded by the queue that they come from, and a beat says that the line is alive. */

export interface ServerEvent {
  /** Undefined where the event is not to be resumed from. */
  id?: string
  type: string
  /** One line, e.g. JSON. */
  data: string
}
export interface EventQueue {
  /** The next event, or undefined when there will be no more. One call at a time. */
  next(): Promise<ServerEvent | undefined>
  close(): void
}

/** Of the response that carries an event stream. */
export const eventStreamHeaders = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no',
  'transfer-encoding': 'chunked',
} as const

/** Says that the line is alive; a page that hears none for a while knows that it is offline. */
const beatMs = 10_000
/** After this a browser connects again. */
const retryMs = 2000

const encoder = new TextEncoder()
const eventText = (event: ServerEvent): string =>
  `${event.id === undefined ? '' : `id: ${event.id}\n`}event: ${event.type}\ndata: ${event.data}\n\n`

/** Takes an event from the queue only when the socket has room, so that what waits is bounded by the queue. */
export const eventStream = (subscription: EventQueue, signal: AbortSignal): ReadableStream<Uint8Array> => {
  let pending: Promise<ServerEvent | undefined> | undefined
  let begun = false
  signal.addEventListener('abort', () => subscription.close(), { once: true })
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (!begun) {
          begun = true
          controller.enqueue(encoder.encode(`retry: ${retryMs}\n\n`))
          return
        }
        pending ??= subscription.next()
        const event = await within(pending, beatMs)
        if (event === 'late') {
          controller.enqueue(encoder.encode('event: beat\ndata: {}\n\n'))
          return
        }
        pending = undefined
        if (event) controller.enqueue(encoder.encode(eventText(event)))
        else controller.close()
      },
      cancel() {
        subscription.close()
      },
    },
    { highWaterMark: 0 },
  )
}

const within = async <T>(promise: Promise<T>, ms: number): Promise<T | 'late'> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>(resolve => {
    timer = setTimeout(resolve, ms, 'late')
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
