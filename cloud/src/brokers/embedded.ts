/**
 * The broker inside the cloud: aedes (MQTT 3.1.1) behind a guard.
 *
 * aedes 1.2 answers a QoS 1 publish before it hands it on, unless `authorizePublish` holds it back: so that is where a
 * message is taken in, and its callback is the PUBACK. It also buffers what a client sends before login without a limit,
 * and pulls bytes through the socket's `read()`: so that is where the gauge stands, without a copy.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type Socket } from 'node:net'
import { receiptTopic, UserError } from '@penstock/frame'
import { Aedes, type AuthenticateError, type Client, type Connection } from 'aedes'
import type { Broker, Credential, OnMessage } from '../broker.ts'
import { createPacketGauge, type PacketGauge } from '../packet-gauge.ts'

export interface EmbeddedBrokerOptions {
  host: string
  /** 0 takes a free one. */
  port: number
  /** Empty: whoever reaches the address may publish (it is then a loopback address). */
  credentials: readonly Credential[]
  connectionsMax?: number
  connectMsMax?: number
  keepaliveSecondsMax?: number
  beforeConnectBytesMax?: number
  packetBytesMax: number
  /** What a client may read besides its own receipts, where credentials are asked for. */
  mayRead?(filter: string): boolean
  onMessage: OnMessage
  log: { info(o: object, m: string): void; warn(o: object, m: string): void }
}

const digest = (text: string) => createHash('sha256').update(text).digest()
const notAuthorized = (message: string): AuthenticateError => Object.assign(new Error(message), { returnCode: 4 })

export const openEmbeddedBroker = async ({
  host,
  port,
  credentials,
  connectionsMax = 1000,
  connectMsMax = 10_000,
  keepaliveSecondsMax = 120,
  beforeConnectBytesMax = 64 * 1024,
  packetBytesMax,
  mayRead = () => false,
  onMessage,
  log,
}: EmbeddedBrokerOptions): Promise<Broker> => {
  const identities = new WeakMap<Client, string>()
  const gauges = new WeakMap<Connection, PacketGauge>()
  const aedes = new Aedes({
    connectTimeout: connectMsMax,
    preConnect(_client, packet, done) {
      // 3.1.1 has no way to tell a client a shorter keepalive; a dead link is noticed by this one all the same.
      packet.keepalive = Math.min(packet.keepalive || keepaliveSecondsMax, keepaliveSecondsMax)
      done(null, true)
    },
    authenticate(client, username, password, done) {
      if (credentials.length === 0) return done(null, true)
      const known = credentials.find(c => c.username === username)
      const given = digest(password?.toString() ?? '')
      if (!known || !timingSafeEqual(given, digest(known.password)))
        return done(notAuthorized('bad user name or password'), false)
      identities.set(client, known.gateway)
      done(null, true)
    },
    authorizePublish(client, packet, done) {
      const identity = client ? identities.get(client) : undefined
      const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload
      onMessage({ topic: packet.topic, payload, ...(identity !== undefined && { identity }) }).then(
        () => done(null),
        (error: Error) => done(error),
      )
    },
    authorizeSubscribe(client, subscription, done) {
      const identity = identities.get(client)
      const own = identity === undefined || subscription.topic === receiptTopic(identity) || mayRead(subscription.topic)
      done(null, own ? subscription : null)
    },
  })
  await aedes.listen()
  aedes.on('clientReady', client => gauges.get(client.conn)?.accept())
  const onLost = (client: Client, error: Error) =>
    log.warn({ client: client.id, reason: error.message }, 'an MQTT client was disconnected')
  aedes.on('clientError', onLost)
  aedes.on('connectionError', onLost)

  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }, socket => {
    if (sockets.size >= connectionsMax) {
      log.warn({ connectionsMax }, 'an MQTT connection was refused: there are too many')
      socket.destroy()
      return
    }
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    const gauge = createPacketGauge({ beforeConnectBytesMax, packetBytesMax })
    gauges.set(socket, gauge)
    const read = socket.read.bind(socket)
    socket.read = (size?: number) => {
      const bytes: Buffer | null = read(size)
      const excess = bytes && gauge.push(bytes)
      if (!excess) return bytes
      socket.destroy(new Error(`the client ${excess}`))
      return null
    }
    aedes.handle(socket)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'is in use by another program' : `cannot be listened on (${cause.code})`
      reject(new UserError(`broker: ${host}:${port} ${why}; choose another broker.port`, 5, { cause }))
    })
    server.listen(port, host, resolve)
  })
  const address = server.address()
  const boundPort = typeof address === 'object' && address ? address.port : port

  return {
    url: `mqtt://${host.includes(':') ? `[${host}]` : host}:${boundPort}`,
    publish: (topic, payload, qos = 1) =>
      new Promise((resolve, reject) => {
        const packet = {
          cmd: 'publish',
          qos,
          dup: false,
          retain: false,
          topic,
          payload: Buffer.from(payload),
        } as const
        aedes.publish(packet, error => (error ? reject(error) : resolve()))
      }),
    stats: () => ({ connections: sockets.size, connected: true }),
    async close() {
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      await new Promise<void>(resolve => aedes.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
