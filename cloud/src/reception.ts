/** What a message from the broker means: envelopes and readings go to ingest, a status to the live view; receipts go back. */
import {
  decodeStatus,
  encodeReceipt,
  nameSchema,
  parseTopic,
  type Receipt,
  receiptTopic,
  type Status,
  type Topic,
  WireError,
} from '@penstock/frame'
import type { Incoming, OnMessage } from './broker.ts'
import type { Ingest } from './ingest.ts'
import type { WaysIn } from './ways-in.ts'

export interface ReceptionOptions {
  ingest: Ingest
  /** Messages that are none of Penstock's own topics. */
  waysIn?: WaysIn
  /** Sends to the broker's subscribers. */
  publish(topic: string, payload: Uint8Array): Promise<void>
  onStatus(gateway: string, status: Status): void
  log: { warn(o: object, m: string): void }
}

/** Bytes of a refused message that are kept with its reason. */
const refusedBytesMax = 64 * 1024

export const createReception = ({ ingest, waysIn, publish, onStatus, log }: ReceptionOptions): OnMessage => {
  // Several envelopes become durable with one sync: the newest receipt of a gateway covers them all.
  const due = new Map<string, Receipt>()
  const sendReceipt = (gateway: string, receipt: Receipt) => {
    const waiting = due.has(gateway)
    due.set(gateway, receipt)
    if (waiting) return
    setImmediate(() => {
      const latest = due.get(gateway)
      due.delete(gateway)
      if (!latest) return
      publish(receiptTopic(gateway), encodeReceipt(latest)).catch((error: unknown) =>
        log.warn({ gateway, reason: String(error) }, 'a receipt could not be sent; the gateway will ask again'),
      )
    })
  }

  const onTopic: { [K in Topic['kind']]: (topic: Extract<Topic, { kind: K }>, message: Incoming) => Promise<void> } = {
    async frames({ gateway, epoch, seq }, { payload }) {
      sendReceipt(gateway, await ingest.frames(gateway, epoch, seq, payload))
    },
    async status({ gateway }, { payload }) {
      // An empty payload clears a retained status: nothing to learn from it.
      if (payload.length === 0) return
      try {
        const status = decodeStatus(payload)
        onStatus(gateway, status)
        if (status.online) sendReceipt(gateway, ingest.receipt(gateway, status.epoch))
      } catch (error) {
        if (!(error instanceof WireError)) throw error
        log.warn({ gateway, reason: error.message }, 'a status breaks the contract and was passed over')
      }
    },
    async readings({ site, device, stream }, { topic, payload }) {
      const bad = [site, device, stream].find(name => !nameSchema.safeParse(name).success)
      if (bad === undefined) return ingest.readings({ site, device, stream }, payload)
      await ingest.invalid(
        topic,
        `"${bad}" cannot be a name: 1 to 256 characters, no control characters`,
        payload.subarray(0, refusedBytesMax),
      )
    },
    // Our own receipts, where a broker echoes them.
    async receipt() {},
  }

  return async message => {
    const topic = parseTopic(message.topic)
    if (!topic) {
      if (!message.topic.startsWith('penstock/')) {
        if (await waysIn?.take(message)) return
        throw new WireError(`publishing to "${message.topic}" is not allowed here`)
      }
      return ingest.invalid(
        message.topic,
        'the topic is none of penstock/v1',
        message.payload.subarray(0, refusedBytesMax),
      )
    }
    if (message.identity !== undefined && 'gateway' in topic && topic.gateway !== message.identity) {
      throw new WireError(`the credential of gateway "${message.identity}" cannot publish as "${topic.gateway}"`)
    }
    switch (topic.kind) {
      case 'frames':
        return onTopic.frames(topic, message)
      case 'status':
        return onTopic.status(topic, message)
      case 'readings':
        return onTopic.readings(topic, message)
      case 'receipt':
        return onTopic.receipt(topic, message)
    }
  }
}
