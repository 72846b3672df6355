/** Receipts on their way from a link to the runner; what the leaves of `uplinks/` have in common. */
import type { Receipt } from '@penstock/frame'

export interface ReceiptQueue {
  push(receipt: Receipt): void
  /** No more will come: `read` throws this when it has handed out what is there. */
  end(reason: () => Error): void
  /** Ends when the signal aborts. One reader. */
  read(signal: AbortSignal): AsyncIterable<Receipt>
}

/** Receipts that wait for the runner; beyond it the oldest go, for a newer one says all that they said. */
const receiptsMax = 64

export const createReceiptQueue = (): ReceiptQueue => {
  const receipts: Receipt[] = []
  let reason: (() => Error) | undefined
  let wake = () => {}
  return {
    push(receipt) {
      receipts.push(receipt)
      if (receipts.length > receiptsMax) receipts.shift()
      wake()
    },
    end(why) {
      reason ??= why
      wake()
    },
    async *read(signal) {
      const onAbort = () => wake()
      signal.addEventListener('abort', onAbort)
      try {
        while (!signal.aborted) {
          const receipt = receipts.shift()
          if (receipt) yield receipt
          else if (reason) throw reason()
          else {
            await new Promise<void>(resolve => {
              wake = resolve
            })
          }
        }
      } finally {
        signal.removeEventListener('abort', onAbort)
      }
    },
  }
}
