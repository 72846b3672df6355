import { once } from 'node:events'
import { connect as connectSocket } from 'node:net'
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import mqttPacket from 'mqtt-packet'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Broker, Incoming, OnMessage } from '../src/broker.ts'
import { type EmbeddedBrokerOptions, openEmbeddedBroker } from '../src/brokers/embedded.ts'

const quiet = { info() {}, warn() {} }
const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const open = async (onMessage: OnMessage, more: Partial<EmbeddedBrokerOptions> = {}): Promise<Broker> => {
  const broker = await openEmbeddedBroker({
    host: '127.0.0.1',
    port: 0,
    credentials: [],
    packetBytesMax: 100_000,
    onMessage,
    log: quiet,
    ...more,
  })
  cleanups.push(() => broker.close())
  return broker
}
const client = async (broker: Broker, options: IClientOptions = {}): Promise<MqttClient> => {
  const mqtt = await connectAsync(broker.url, { reconnectPeriod: 0, ...options })
  cleanups.push(() => mqtt.endAsync(true))
  return mqtt
}
const portOf = (broker: Broker) => Number(new URL(broker.url).port)
const raw = async (broker: Broker) => {
  const socket = connectSocket(portOf(broker), '127.0.0.1')
  socket.on('error', () => {})
  cleanups.push(async () => socket.destroy())
  await once(socket, 'connect')
  return socket
}
const closed = (socket: { destroyed: boolean }) =>
  vi.waitFor(() => expect(socket.destroyed).toBe(true), { timeout: 5000 })

describe('the embedded broker', () => {
  test('acknowledges a QoS 1 publish only when the message is safe', async () => {
    const seen: Incoming[] = []
    let safe = () => {}
    const broker = await open(async message => {
      seen.push(message)
      await new Promise<void>(resolve => {
        safe = resolve
      })
    })
    const mqtt = await client(broker)
    let acknowledged = false
    const published = mqtt.publishAsync('penstock/v1/readings/a/b/c', '{}', { qos: 1 }).then(() => {
      acknowledged = true
    })
    await vi.waitFor(() => expect(seen).toHaveLength(1))
    // A round trip through the same broker: had a PUBACK been sent, it would be here by now.
    const other = await client(broker)
    await other.subscribeAsync('penstock/v1/x/receipt')
    expect(acknowledged).toBe(false)
    safe()
    await published
    expect(seen[0]?.topic).toBe('penstock/v1/readings/a/b/c')
  })

  test('a message that is not safe gets no PUBACK: the connection ends', async () => {
    const broker = await open(async () => {
      throw new Error('the disk is full')
    })
    const mqtt = await client(broker)
    const ended = new Promise<void>(resolve => mqtt.once('close', () => resolve()))
    mqtt.publish('penstock/v1/readings/a/b/c', '{}', { qos: 1 })
    await ended
  })

  test('hands out what the cloud publishes', async () => {
    const broker = await open(async () => {})
    const mqtt = await client(broker)
    const got = new Promise<string>(resolve => mqtt.once('message', (_topic, payload) => resolve(payload.toString())))
    await mqtt.subscribeAsync('penstock/v1/g/receipt', { qos: 1 })
    await broker.publish('penstock/v1/g/receipt', Buffer.from('{"through":1}'))
    expect(await got).toBe('{"through":1}')
  })

  test('takes the identity from the credential, and only receipts of one’s own go out', async () => {
    const seen: Incoming[] = []
    const credentials = [{ gateway: 'bench', username: 'u', password: 'secret' }]
    const broker = await open(async m => void seen.push(m), { credentials })
    await expect(client(broker, { username: 'u', password: 'wrong' })).rejects.toThrow(/bad username or password/i)
    await expect(client(broker)).rejects.toThrow(/bad username or password/i)
    const mqtt = await client(broker, { username: 'u', password: 'secret' })
    await mqtt.publishAsync('penstock/v1/bench/status', 'x', { qos: 1 })
    expect(seen[0]?.identity).toBe('bench')
    await mqtt.subscribeAsync('penstock/v1/bench/receipt', { qos: 1 })
    await expect(mqtt.subscribeAsync('penstock/v1/other/receipt', { qos: 1 })).rejects.toThrow()
  })

  test('lets known clients read what is open to all of them, and publishes at QoS 0 as well', async () => {
    const credentials = [{ gateway: 'bench', username: 'u', password: 'secret' }]
    const broker = await open(async () => {}, { credentials, mayRead: filter => filter.startsWith('spBv1.0/') })
    const mqtt = await client(broker, { username: 'u', password: 'secret' })
    await mqtt.subscribeAsync('spBv1.0/g/NCMD/n', { qos: 1 })
    const got = new Promise<number>(resolve => mqtt.once('message', (_topic, _payload, packet) => resolve(packet.qos)))
    await broker.publish('spBv1.0/g/NCMD/n', Buffer.from('x'), 0)
    expect(await got).toBe(0)
    await expect(mqtt.subscribeAsync('other/#', { qos: 1 })).rejects.toThrow()
  })

  test('a stranger is cut off: no CONNECT in time, too much before it, a packet over the limit', async () => {
    const broker = await open(async () => {}, { connectMsMax: 100 })
    await closed(await raw(broker))
    const flood = await raw(broker)
    flood.write(Buffer.concat([Uint8Array.of(0x10, 0xff, 0xff, 0x7f), Buffer.alloc(200_000)]))
    await closed(flood)
    const large = await raw(broker)
    large.write(
      mqttPacket.generate({
        cmd: 'connect',
        clientId: 'x',
        protocolId: 'MQTT',
        protocolVersion: 4,
        clean: true,
        keepalive: 9,
      }),
    )
    await once(large, 'data')
    large.write(Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x7f))
    await closed(large)
    expect(broker.stats().connections).toBe(0)
  })

  test('connections are capped', async () => {
    const broker = await open(async () => {}, { connectionsMax: 2 })
    await client(broker)
    await client(broker)
    await closed(await raw(broker))
    expect(broker.stats().connections).toBe(2)
  })

  test('a keepalive of hours is watched as if it were the cap', async () => {
    const broker = await open(async () => {}, { keepaliveSecondsMax: 1 })
    const silent = await raw(broker)
    silent.write(
      mqttPacket.generate({
        cmd: 'connect',
        clientId: 'x',
        protocolId: 'MQTT',
        protocolVersion: 4,
        clean: true,
        keepalive: 40_000,
      }),
    )
    await once(silent, 'data')
    await closed(silent)
  })

  test('says in one sentence that its port is taken', async () => {
    const broker = await open(async () => {})
    await expect(open(async () => {}, { port: portOf(broker) })).rejects.toThrow(
      /^broker: 127\.0\.0\.1:\d+ is in use by another program; choose another broker\.port$/,
    )
  })
})
