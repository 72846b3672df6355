/** One connection to a broker, with a session that the broker keeps while there is none. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { UserError } from '@penstock/frame'
import { type IClientOptions, type IPublishPacket, MqttClient } from 'mqtt'
import { createAckGate, type TooLong } from '../../ack-gate.ts'
import { endClient, untilConnected } from '../../mqtt-client.ts'
import type { MqttOptions } from '../mqtt.ts'

/** What came, in its order. Not acknowledged before `release`. */
export interface Message {
  topic: string
  payload: Buffer
  qos: number
  id: number | undefined
  /** The broker may have sent it before. */
  dup: boolean
  retained: boolean
  atMs: number
  /** How long it is, where it was passed over for that; then `payload` is its beginning. */
  passedOverBytes?: number
}

export interface MqttLink {
  /** The broker knew the session: nothing was missed. */
  readonly sessionPresent: boolean
  /** Why a subscription was refused, by filter. */
  readonly refused: readonly string[]
  /** What waits, at once. */
  take(): Message[]
  /** What was taken is durable: the broker may forget it. */
  release(message: Message): void
  /** Why the link ended; `undefined` while it is there. */
  ended(): string | undefined
  close(): Promise<void>
}

const connectMsMax = 10_000
/** What waits to be taken: beyond, nothing is read from the socket, and the broker keeps it. */
const waitingBytesMax = 16 * 1024 * 1024
const waitingMax = 65_536
/** Of a PUBLISH beyond its payload: topic and, of MQTT 5, properties. */
const headerBytesMax = 66_000

/**
 * @param ring called when something came or the link ended
 * @param known filters that the session may still hold from an earlier configuration
 */
export const openLink = async (
  options: MqttOptions,
  filters: readonly string[],
  known: readonly string[],
  now: () => Date,
  ring: () => void,
  signal: AbortSignal,
): Promise<MqttLink> => {
  const { url, protocol, qos, retained, payloadBytesMax } = options
  const socket = await openSocket(options)
  const host = new URL(url).host
  let messages: Message[] = []
  let bytes = 0
  let end: string | undefined
  let reason = ''

  const pushed = (message: Message) => {
    messages.push(message)
    bytes += message.payload.length
    if (messages.length >= waitingMax || bytes >= waitingBytesMax) gate.pause()
    ring()
  }
  const onTooLong = (found: TooLong) => {
    const { topic, id, head } = found
    const payload = protocol === '5' ? head.subarray(propertiesBytes(head)) : head
    const common = { dup: false, retained: false, atMs: now().getTime(), passedOverBytes: found.bytes }
    pushed({ topic, payload: Buffer.from(payload), qos: found.qos, id, ...common })
  }
  const gate = createAckGate(socket, { publishBytesMax: payloadBytesMax + headerBytesMax, onTooLong })
  const client = new MqttClient(() => gate.stream, settingsOf(options))
  client.on('error', error => {
    reason = plainWords(host, error)
  })
  client.on('close', () => {
    end = reason || `${host} closed the connection`
    ring()
  })
  // Before mqtt.js answers it: the gate holds that answer back.
  client.on('packetreceive', packet => {
    if (packet.cmd !== 'publish') return
    const message = messageOf(packet, now().getTime())
    if (message.id !== undefined) gate.hold(message.id)
    pushed(message)
  })

  try {
    const { sessionPresent } = await untilConnected(client, signal, () => reason)
    const gone = known.filter(filter => !filters.includes(filter))
    if (sessionPresent && gone.length > 0) await client.unsubscribeAsync(gone)
    const refused = await subscribe(client, filters, qos, protocol === '5' && retained === 'skip' ? 2 : 0)
    return {
      sessionPresent,
      refused,
      take() {
        const taken = messages
        messages = []
        bytes = 0
        gate.resume()
        return taken
      },
      release(message) {
        if (message.passedOverBytes !== undefined) gate.acknowledge(message)
        else if (message.id !== undefined) gate.release(message.id)
      },
      ended: () => end,
      close: () => endClient(client),
    }
  } catch (error) {
    client.end(true)
    signal.throwIfAborted()
    throw new Error(end ?? (error as Error).message, { cause: error })
  }
}

const openSocket = async ({ url, caFile }: MqttOptions): Promise<Socket> => {
  const { protocol, hostname, port } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  if (protocol === 'mqtt:') return connectTcp({ host, port: Number(port || 1883) })
  const ca = caFile === undefined ? {} : { ca: await readCa(caFile) }
  return connectTls({ host, servername: /^[\d.]+$|:/.test(host) ? '' : host, port: Number(port || 8883), ...ca })
}
const readCa = async (file: string): Promise<Buffer> => {
  try {
    return await readFile(file)
  } catch (cause) {
    throw new UserError(`caFile: ${file} cannot be read`, 3, { cause })
  }
}

const settingsOf = (options: MqttOptions): IClientOptions => {
  const { clientId, protocol, username, secrets, keepaliveMs, sessionMsMax, clean = false } = options
  const isFive = protocol === '5'
  return {
    clientId,
    // Without a session of its own the broker would keep nothing while the gateway is away.
    clean,
    protocolVersion: isFive ? 5 : 4,
    keepalive: Math.max(1, Math.round(keepaliveMs / 1000)),
    connectTimeout: connectMsMax,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    ...(username !== undefined && { username }),
    ...(secrets.password !== undefined && { password: secrets.password }),
    // No Receive Maximum: mosquitto 2.0 exceeds it when a session is resumed, upon which mqtt.js ends the connection, for ever.
    ...(isFive && { properties: { sessionExpiryInterval: clean ? 0 : Math.round(sessionMsMax / 1000) } }),
  }
}

const subscribe = async (
  client: MqttClient,
  filters: readonly string[],
  qos: 0 | 1 | 2,
  rh: number,
): Promise<string[]> => {
  const refused: string[] = []
  for (const filter of filters) {
    try {
      const granted = await client.subscribeAsync(filter, { qos, rh })
      if (granted.some(one => one.qos >= 128)) refused.push(filter)
    } catch (error) {
      // The answer says no; where there is none, the link has ended, which is told by itself.
      if (!client.connected) throw error
      refused.push(filter)
    }
  }
  return refused
}

const messageOf = (packet: IPublishPacket, atMs: number): Message => ({
  topic: packet.topic,
  payload: typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload,
  qos: packet.qos,
  id: packet.qos > 0 ? packet.messageId : undefined,
  dup: packet.dup,
  retained: packet.retain,
  atMs,
})

/** What tells a message that comes again from another one that has got the same number. */
export const fingerprint = ({ topic, payload }: Pick<Message, 'topic' | 'payload'>): string =>
  createHash('sha256').update(topic).update('\0').update(payload).digest('base64url').slice(0, 11)

/** Of MQTT 5: the length of the properties in front of a payload, and the bytes that say it. */
const propertiesBytes = (head: Uint8Array): number => {
  let length = 0
  for (let i = 0; i < 4; i++) {
    const byte = head[i] ?? 0
    length += (byte & 127) * 128 ** i
    if (byte < 128) return length + i + 1
  }
  return 0
}

const words: Record<string, string> = {
  ECONNREFUSED: 'no broker listens there',
  ENOTFOUND: 'there is no such host; check the name in "url"',
  EAI_AGAIN: 'the name cannot be looked up now: no network, or no name server',
  ECONNRESET: 'the broker broke the connection off',
  EPIPE: 'the broker broke the connection off',
  EHOSTUNREACH: 'the host cannot be reached from here',
  ENETUNREACH: 'there is no network to it from here',
  ETIMEDOUT: 'the host does not answer',
  CERT_HAS_EXPIRED: "the broker's certificate has expired (or this machine's clock is wrong)",
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the broker\'s certificate is its own: give it as "caFile"',
  SELF_SIGNED_CERT_IN_CHAIN: 'the broker\'s certificate is signed by an unknown authority: give that as "caFile"',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the broker\'s certificate is signed by an unknown authority: give that as "caFile"',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the broker\'s certificate is for another name than that in "url"',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS at this port: is it mqtt:// instead of mqtts://?',
}
/** Return codes of CONNACK: of MQTT 3.1.1 below 6, of MQTT 5 from 128 on. */
const refusals: Record<number, string> = {
  1: 'the broker does not speak this version of MQTT: try the other "protocol"',
  2: 'the broker refuses this client id: choose another "clientId"',
  3: 'the broker is not available',
  4: 'the broker refuses user name or password',
  5: 'the broker refuses this user',
  132: 'the broker does not speak this version of MQTT: try the other "protocol"',
  133: 'the broker refuses this client id: choose another "clientId"',
  134: 'the broker refuses user name or password',
  135: 'the broker refuses this user',
  136: 'the broker is not available',
}

const plainWords = (host: string, error: Error & { code?: unknown }): string => {
  const { code } = error
  const known = typeof code === 'number' ? refusals[code] : words[String(code)]
  return `${host}: ${known ?? (error.message || String(code ?? error))}`
}
