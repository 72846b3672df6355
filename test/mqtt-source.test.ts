/** An instrument publishes, a gateway reads it from a real broker; broker and gateway are killed. Nothing is lost, nothing comes twice. */
import mqtt, { type MqttClient } from 'mqtt'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { findProgram, freePort, type House, openHouse, type Program, run, until } from './programs.ts'

const mosquitto = findProgram('mosquitto')

describe.skipIf(!mosquitto)('an instrument that publishes to mosquitto', () => {
  let house: House
  let port: number
  let broker: Program
  let instrument: MqttClient
  let cloud: Program
  const startBroker = async () => {
    const conf = [
      `listener ${port} 127.0.0.1`,
      'allow_anonymous true',
      'max_queued_messages 100000',
      'persistence true',
      `persistence_location ${house.dir}/`,
      ...(process.getuid?.() === 0 ? ['user root'] : []),
    ]
    broker = run(mosquitto ?? '', ['-c', await house.write('mosquitto.conf', `${conf.join('\n')}\n`)])
    await until('the broker answers', async () => {
      const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0, connectTimeout: 1000 })
      await client.endAsync()
      return true
    })
  }
  beforeEach(async () => {
    house = await openHouse()
    port = await freePort()
    await startBroker()
    instrument = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
      clientId: 'instrument',
      clean: false,
      reconnectPeriod: 50,
    })
    cloud = house.start(
      'cloud',
      await house.write(
        'cloud.yaml',
        `listen: { port: ${house.pagePort} }\nbroker: { kind: embedded, port: ${house.brokerPort} }\ndata: cloud\nsites: []\n`,
      ),
    )
    await until('the cloud runs', () => cloud.output().includes('the cloud is running'))
  })
  afterEach(async () => {
    await instrument.endAsync(true)
    if (broker.running()) await broker.kill('SIGKILL')
    await house.close()
  })

  const gatewayYaml = (protocol: string, qos: number, format: string) => `gateway: bench
site: lab
zone: UTC
data: gateway
page: false
uplink: { kind: mqtt, url: "mqtt://127.0.0.1:${house.brokerPort}" }
sources:
  - id: bench
    kind: mqtt
    url: mqtt://127.0.0.1:${port}
    protocol: "${protocol}"
    qos: ${qos}
    topics: ["lab/+device/+stream"]
    retryMsMax: 200
    format: ${format}
`
  const running = async (file: string) => {
    const gateway = house.start('gateway', file)
    await until('the gateway runs', () => gateway.output().includes('the gateway is running'))
    return gateway
  }
  interface Readings {
    columns: { name: string; values: (number | null)[] }[]
  }
  const stored = async (): Promise<number[]> => {
    const answer = await house.get('/v1/readings?site=lab&device=scale&stream=n&limit=100000')
    if (!answer.ok) return []
    const { columns } = (await answer.json()) as Readings
    return (columns.find(c => c.name === 'value')?.values ?? []).map(Number)
  }
  const count = (n: number) => Array.from({ length: n }, (_, i) => i)

  test.each([
    ['3.1.1', 1],
    ['5', 2],
  ] as const)(
    'MQTT %s, QoS %i: each message is stored once, whenever the gateway is killed',
    { timeout: 60_000 },
    async (protocol, qos) => {
      // Bare numbers: nothing but the number of the message tells one that comes again.
      const file = await house.write(
        'gateway.yaml',
        gatewayYaml(protocol, qos, '{ kind: lines, pattern: "^(?<value>[0-9]+)$" }'),
      )
      let gateway = await running(file)
      await until('it has subscribed', async () => {
        await instrument.publishAsync('lab/scale/first', '0', { qos })
        const { streams } = await house.json<{ streams: { stream: string }[] }>('/v1/streams')
        return streams.some(({ stream }) => stream === 'first')
      })
      const total = 300
      let sent = 0
      const publish = (async () => {
        while (sent < total) {
          await Promise.all(count(10).map(() => instrument.publishAsync('lab/scale/n', String(sent++), { qos })))
        }
      })()
      for (let kills = 1; kills <= 2; kills++) {
        await until('more is published', () => sent > kills * 100)
        await gateway.kill('SIGKILL')
        gateway = await running(file)
      }
      await publish
      await until('all is stored', async () => new Set(await stored()).size === total, 30_000)
      expect((await stored()).toSorted((a, b) => a - b)).toEqual(count(total))
      await gateway.kill('SIGTERM')
      expect((await gateway.exited).code).toBe(0)
    },
  )

  test('restarts of the broker lose nothing, and behind a kill of it all goes on', { timeout: 60_000 }, async () => {
    const format = '{ kind: jsonl, time: { column: t }, columns: { value: { from: n, type: int } } }'
    const gateway = await running(await house.write('gateway.yaml', gatewayYaml('3.1.1', 1, format)))
    const message = (n: number) => JSON.stringify({ t: new Date(Date.UTC(2026, 0, 1) + n * 1000).toISOString(), n })
    const publish = (from: number, to: number) =>
      Promise.all(count(to - from).map(i => instrument.publishAsync('lab/scale/n', message(from + i), { qos: 1 })))
    const connected = () => gateway.output().split('"msg":"connected to').length
    await until('it has subscribed', async () => {
      await publish(0, 1)
      return (await stored()).length > 0
    })
    await publish(1, 100)
    // Stopped, mosquitto saves what it has; killed, it forgets what it has acknowledged since it last did.
    await broker.kill('SIGTERM')
    await startBroker()
    await publish(100, 200)
    await until('all of it is stored', async () => (await stored()).length === 200)
    const before = connected()
    await broker.kill('SIGKILL')
    await startBroker()
    await until('the gateway is connected again', () => connected() > before)
    await publish(200, 300)
    await until('all is stored', async () => (await stored()).length === 300)
    expect((await stored()).toSorted((a, b) => a - b)).toEqual(count(300))
  })
})
