/**
 * The uplink over MQTT 3.1.1. The client keeps no store and queues nothing while it is offline: the spool keeps the
 * backlog, and each connection begins with the handshake of `sender.ts`. One client per connection, never reconnecting
 * by itself: then nothing of an older link can come through on a newer one.
 */
import { readFile } from 'node:fs/promises'
import {
  decodeReceipt,
  encodeStatus,
  framesTopic,
  receiptTopic,
  type Status,
  statusTopic,
  UserError,
  WireError,
} from '@penstock/frame'
import { connect, type IClientOptions, type MqttClient } from 'mqtt'
import { endClient, untilConnected } from '../mqtt-client.ts'
import { createReceiptQueue } from '../receipt-queue.ts'
import type { Link, Uplink } from '../uplink.ts'

export interface MqttUplinkOptions {
  gateway: string
  url: string
  username?: string
  password?: string
  /** PEM file of the authority that signed the broker's certificate, for mqtts. */
  caFile?: string
  connectMsMax?: number
  keepaliveSeconds?: number
  log: { warn(o: object, m: string): void }
}

export const createMqttUplink = (options: MqttUplinkOptions): Uplink => {
  const { gateway, url, username, password, caFile, connectMsMax = 10_000, keepaliveSeconds = 15, log } = options
  return {
    async connect(offline, signal) {
      signal.throwIfAborted()
      const settings: IClientOptions = {
        clientId: `penstock-${gateway}`,
        clean: true,
        protocolVersion: 4,
        keepalive: keepaliveSeconds,
        connectTimeout: connectMsMax,
        reconnectPeriod: 0,
        queueQoSZero: false,
        will: { topic: statusTopic(gateway), payload: Buffer.from(encodeStatus(offline)), qos: 1, retain: true },
        ...(username !== undefined && { username }),
        ...(password !== undefined && { password }),
        ...(caFile !== undefined && { ca: await readCa(caFile) }),
      }
      const client = connect(url, settings)
      // mqtt.js tells of trouble by 'error' before it is connected and by 'close' after; both end the link.
      let reason = ''
      client.on('error', error => {
        reason = describe(url, error)
      })
      try {
        await untilConnected(client, signal, () => reason)
        return createLink({ client, gateway, reasonOf: () => reason, log })
      } catch (error) {
        client.end(true)
        throw error
      }
    },
  }
}

const readCa = async (file: string): Promise<Buffer> => {
  try {
    return await readFile(file)
  } catch (cause) {
    throw new UserError(`uplink.caFile: ${file} cannot be read`, 3, { cause })
  }
}

const describe = (url: string, error: Error & { code?: unknown }): string => {
  const what = error.message || String(error.code ?? error)
  return `${new URL(url).host}: ${what}`
}

interface LinkParts {
  client: MqttClient
  gateway: string
  reasonOf(): string
  log: { warn(o: object, m: string): void }
}
const createLink = async ({ client, gateway, reasonOf, log }: LinkParts): Promise<Link> => {
  const receipts = createReceiptQueue()
  const ended = () => new Error(reasonOf() || 'the broker closed the connection')
  let closed = false
  client.on('message', (_topic, payload) => {
    try {
      receipts.push(decodeReceipt(payload))
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      log.warn({ reason: error.message }, 'a receipt breaks the contract and was passed over')
    }
  })
  client.on('close', () => {
    closed = true
    receipts.end(ended)
  })
  await client.subscribeAsync(receiptTopic(gateway), { qos: 1 })

  const publish = (topic: string, body: Uint8Array, retain: boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      if (closed) return reject(ended())
      // The runner's window bounds what waits here, and `end` below settles it when the link ends.
      client.publish(topic, body as Buffer, { qos: 1, retain }, error => (error ? reject(error) : resolve()))
    })

  return {
    send: (epoch, seq, body) =>
      publish(framesTopic(gateway, epoch, seq), Buffer.from(body.buffer, body.byteOffset, body.byteLength), false),
    status: (status: Status) => publish(statusTopic(gateway), Buffer.from(encodeStatus(status)), true),
    receipts: receipts.read,
    async close() {
      await endClient(client)
    },
  }
}
