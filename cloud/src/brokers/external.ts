/**
 * A broker that stands elsewhere (mosquitto, EMQX, …), reached by URL. The cloud is one client of it with a session that
 * outlives its connection, so that a plain device's QoS 1 message waits there while the cloud is away.
 *
 * A message is acknowledged to the broker when it is safe: `handleMessage` holds its PUBACK back, and with it all that
 * comes after, which is the pacing that the broker then passes on.
 */
import { cloudFilters, UserError } from '@penstock/frame'
import { connect, type IClientOptions, type IPublishPacket } from 'mqtt'
import type { Broker, OnMessage } from '../broker.ts'

export interface ExternalBrokerOptions {
  url: string
  username?: string
  password?: string
  /** Identity of the session at the broker; two clouds on one broker need two. */
  clientId: string
  packetBytesMax: number
  /** Subscribed to besides Penstock's own topics. */
  filters?: readonly string[]
  publishMsMax?: number
  onMessage: OnMessage
  log: { info(o: object, m: string): void; warn(o: object, m: string): void }
}

export const openExternalBroker = ({
  url,
  username,
  password,
  clientId,
  packetBytesMax,
  filters = [],
  publishMsMax = 10_000,
  onMessage,
  log,
}: ExternalBrokerOptions): Broker => {
  const options: IClientOptions = {
    clientId,
    clean: false,
    protocolVersion: 4,
    keepalive: 30,
    reconnectPeriod: 1000,
    connectTimeout: 10_000,
    resubscribe: false,
    queueQoSZero: false,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
  }
  const client = connect(url, options)
  let closing = false
  let lastProblem = ''
  const problem = (reason: string) => {
    if (reason !== lastProblem) log.warn({ broker: url, reason }, 'the broker cannot be reached; trying again')
    lastProblem = reason
  }
  client.on('connect', () => {
    lastProblem = ''
    log.info({ broker: url }, 'connected to the broker')
    client.subscribe([...cloudFilters, ...filters], { qos: 1 }, error => {
      if (error) problem(`subscribing failed: ${error.message}`)
    })
  })
  client.on('error', error => problem(error.message || String((error as NodeJS.ErrnoException).code ?? error)))

  /** Tries until the message is safe: an acknowledgement would end its life at the broker. */
  const take = async (packet: IPublishPacket): Promise<void> => {
    const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload
    if (payload.length > packetBytesMax) {
      log.warn(
        { topic: packet.topic, bytes: payload.length, packetBytesMax },
        'a message over the limit was passed over',
      )
      return
    }
    for (let waitMs = 100; !closing; waitMs = Math.min(waitMs * 2, 5000)) {
      try {
        return await onMessage({ topic: packet.topic, payload, ...(packet.retain && { retained: true }) })
      } catch (error) {
        log.warn({ topic: packet.topic, reason: String(error) }, 'a message could not be stored; trying again')
        await new Promise(resolve => setTimeout(resolve, waitMs))
      }
    }
    throw new UserError('the cloud is closing')
  }
  client.handleMessage = (packet, callback) => {
    take(packet).then(
      () => callback(),
      (error: Error) => callback(error),
    )
  }

  return {
    url,
    async publish(topic, payload, qos = 1) {
      // While the link is down a receipt is worth nothing: the gateway asks again when it is back.
      if (!client.connected) return
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no PUBACK within ${publishMsMax} ms`)), publishMsMax)
        client.publish(topic, Buffer.from(payload), { qos }, error => {
          clearTimeout(timer)
          if (error) reject(error)
          else resolve()
        })
      })
    },
    stats: () => ({ connections: client.connected ? 1 : 0, connected: client.connected }),
    async close() {
      closing = true
      await client.endAsync(true)
    },
  }
}
