/**
 * The ways in of other people's devices, as they would use them: a running cloud, its own broker or mosquitto, and what the
 * API then answers. Sparkplug payloads were encoded by Eclipse Tahu's own library.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connectAsync, type MqttClient } from 'mqtt'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { findProgram, freePort, type House, openHouse, run, runMain, until } from './programs.ts'

const mosquitto = findProgram('mosquitto')
let house: House
const cleanups: (() => Promise<unknown>)[] = []
beforeEach(async () => {
  house = await openHouse()
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  await house.close()
})

const fixture = (name: string) =>
  readFile(fileURLToPath(new URL(`../cloud/test/fixtures/sparkplug/${name}.bin`, import.meta.url)))

const cloudYaml = (broker: string) =>
  house.write(
    'cloud.yaml',
    `listen: { port: ${house.pagePort} }
broker: ${broker}
data: cloud
mqtt:
  - { pattern: "shop/{site}/{device}", stream: count }
  - { pattern: "lines/{site}/{device}", payload: line-protocol, precision: s }
  - { pattern: "tele/+/{device}/{stream}", site: lab, time: { key: ts, unit: ms } }
sparkplug: { sites: { plant: Plant 1 } }
write: { defaultSite: lab }
sites:
  - { id: lab, kind: lab, zone: Europe/Madrid }
`,
  )

const ready = () => until('the cloud is ready', async () => (await house.get('/ready')).ok, 60_000)
const client = async (port: number, options: object = {}): Promise<MqttClient> => {
  const mqtt = await connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0, ...options })
  cleanups.push(() => mqtt.endAsync(true))
  return mqtt
}
interface Readings {
  rows: number
  time: string[]
  columns: { name: string; values: unknown[] }[]
}
/** Column by column, as soon as there are so many rows. */
const readings = async (site: string, device: string, stream: string, rows: number) => {
  const query = new URLSearchParams({ site, device, stream, from: '2025-01-01' })
  const answer = await until(
    `${site}/${device}/${stream} has ${rows} rows`,
    async () => {
      const response = await house.get(`/v1/readings?${query}`)
      const body = (await response.json()) as Readings
      return response.ok && body.rows === rows ? body : undefined
    },
    20_000,
  )
  return { time: answer.time, ...Object.fromEntries(answer.columns.map(c => [c.name, c.values])) }
}
const rejects = async () =>
  (await house.json<{ rejects: { reason: string }[] }>('/v1/rejects')).rejects.map(r => r.reason)

const sendPlain = async (mqtt: MqttClient) => {
  const publish = (topic: string, payload: string) => mqtt.publishAsync(topic, payload, { qos: 1 })
  await publish('shop/S%2Fo/door', '12')
  await publish('shop/S%2Fo/door', '{"count":3,"in":{"left":1}}')
  await publish(
    'lines/lab/probe',
    'climate t=21.5,ok=t 1767225600\nclimate t=oops\nclimate,device=other t=1 1767225600',
  )
  await publish('tele/any/plug/power', '{"ts":1767225600123,"w":40.5}')
  await publish('shop/Soho/door', '{"broken')
}
const checkPlain = async () => {
  expect(await readings('S/o', 'door', 'count', 2)).toMatchObject({
    value: [12, null],
    count: [null, 3],
    'in.left': [null, 1],
  })
  expect(await readings('lab', 'probe', 'climate', 1)).toMatchObject({
    time: ['2026-01-01T00:00:00.000Z'],
    t: [21.5],
    ok: [true],
  })
  expect(await readings('lab', 'other', 'climate', 1)).toMatchObject({ t: [1] })
  expect(await readings('lab', 'plug', 'power', 1)).toMatchObject({ time: ['2026-01-01T00:00:00.123Z'], w: [40.5] })
  await until('the rejects are there', async () => (await rejects()).length >= 2)
  expect(await rejects()).toEqual(
    expect.arrayContaining([
      'the payload is not JSON',
      expect.stringContaining('line 2: the value "oops" of the field "t" is neither number'),
    ]),
  )
}

/** An edge node as the specification has it: its death is its will, births come when it is asked. */
const sparkplugNode = async (port: number) => {
  const will = { topic: 'spBv1.0/plant/NDEATH/edge', payload: await fixture('ndeath'), qos: 1 as const, retain: false }
  const node = await client(port, { will })
  const commands: Buffer[] = []
  node.on('message', (topic, payload) => {
    if (topic === 'spBv1.0/plant/NCMD/edge') commands.push(payload)
  })
  await node.subscribeAsync('spBv1.0/plant/NCMD/edge', { qos: 1 })
  const publish = async (topic: string, name: string) =>
    node.publishAsync(`spBv1.0/plant/${topic}`, await fixture(name), { qos: 0 })
  return { node, commands, publish }
}

const checkSparkplug = async (port: number, restart: () => Promise<void>) => {
  const { node, commands, publish } = await sparkplugNode(port)
  // Nobody has heard of this node: it is asked for its births.
  await publish('NDATA/edge', 'ndata')
  await until('the node is asked for a rebirth', () => commands.some(c => c.includes('Node Control/Rebirth')))
  await publish('NBIRTH/edge', 'nbirth')
  await publish('DBIRTH/edge/belt', 'dbirth')
  const born = await readings('Plant 1', 'edge', 'metrics', 1)
  expect(born).toMatchObject({ Temperature: [21.5], UInt64: ['18446744073709551615'], Running: [true] })
  await readings('Plant 1', 'edge/belt', 'status', 1)
  // No DISCONNECT: the broker sends its will.
  node.stream.destroy()
  const states = await readings('Plant 1', 'edge', 'status', 2)
  expect(states).toMatchObject({ state: expect.arrayContaining(['ONLINE', 'OFFLINE']) })

  // Aliases of its birth are known to the next run.
  const again = await sparkplugNode(port)
  await again.publish('NBIRTH/edge', 'nbirth')
  await readings('Plant 1', 'edge', 'metrics', 1)
  await again.publish('NDATA/edge', 'ndata')
  expect(await readings('Plant 1', 'edge', 'metrics', 2)).toMatchObject({ Temperature: [21.5, 22.5] })
  await restart()
  const after = await sparkplugNode(port)
  await after.publish('DBIRTH/edge/belt', 'dbirth')
  await after.publish('DDATA/edge/belt', 'ddata-historical')
  expect(await readings('Plant 1', 'edge/belt', 'metrics', 3)).toMatchObject({ Speed: [7.25, 8.25, 1.5] })
}

describe('with the broker inside', () => {
  const start = async () => {
    const cloud = house.start('cloud', await cloudYaml(`{ kind: embedded, port: ${house.brokerPort} }`))
    await ready()
    return cloud
  }

  test('plain devices by their topics; HTTP writes beside them; all of it again from the journal', {
    timeout: 120_000,
  }, async () => {
    const cloud = await start()
    await sendPlain(await client(house.brokerPort))
    await checkPlain()
    const unmatched = await client(house.brokerPort)
    await unmatched.publishAsync('elsewhere/x', 'hello', { qos: 1 })
    await until('it is a reject', async () =>
      (await rejects()).includes('no pattern of the configuration fits the topic'),
    )
    const post = (path: string, body: string) =>
      fetch(`http://127.0.0.1:${house.pagePort}${path}`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
      })
    expect((await post('/write?precision=s', 'cpu,host=web usage=1 1767225600')).status).toBe(204)
    expect((await post('/v1/readings?site=lab&device=h&stream=x', '{"values":{"t":1}}')).status).toBe(204)
    expect(await readings('lab', 'web', 'cpu', 1)).toMatchObject({ usage: [1] })
    expect(await readings('lab', 'h', 'x', 1)).toMatchObject({ t: [1] })

    const before = (await house.json<{ streams: unknown[] }>('/v1/streams')).streams
    await cloud.kill('SIGKILL')
    expect((await runMain('cloud', ['rebuild', join(house.dir, 'cloud.yaml')]).exited).code).toBe(0)
    await start()
    await ready()
    const streams = async () => (await house.json<{ streams: unknown[] }>('/v1/streams')).streams
    await until('every stream is there again', async () => (await streams()).length === before.length)
    expect(await streams()).toEqual(before)
  })

  test('a Sparkplug edge node', { timeout: 120_000 }, async () => {
    let cloud = await start()
    await checkSparkplug(house.brokerPort, async () => {
      await cloud.kill('SIGKILL')
      cloud = await start()
    })
  })

  test('a topic of the broker itself is refused', { timeout: 60_000 }, async () => {
    await start()
    const mqtt = await client(house.brokerPort)
    const closed = new Promise<void>(resolve => mqtt.once('close', () => resolve()))
    mqtt.publish('$SYS/x', '1', { qos: 1 })
    await closed
  })
})

describe('with mosquitto', { skip: mosquitto === undefined }, () => {
  test('patterns and Sparkplug are subscribed to there', { timeout: 120_000 }, async () => {
    const port = await freePort()
    const config = await house.write(
      'mosquitto.conf',
      `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\n`,
    )
    const broker = run(mosquitto ?? '', ['-c', config])
    cleanups.push(() => (broker.running() ? broker.kill('SIGKILL') : Promise.resolve()))
    const yaml = await cloudYaml(`{ kind: external, url: "mqtt://127.0.0.1:${port}" }`)
    const start = async () => {
      const cloud = house.start('cloud', yaml)
      await ready()
      await until('it is subscribed', async () => {
        const mqtt = await client(port)
        await mqtt.publishAsync('shop/probe/probe', '1', { qos: 1 })
        return (await house.get('/v1/readings?site=probe&device=probe&stream=count')).ok
      })
      return cloud
    }
    let cloud = await start()
    await sendPlain(await client(port))
    await checkPlain()
    // Kept by the broker and handed out again to every new connection: a reading once.
    await (await client(port)).publishAsync('shop/kept/door', '5', { qos: 1, retain: true })
    await (await client(port)).publishAsync('tele/any/kept/power', '{"ts":1767225600123,"w":1}', {
      qos: 1,
      retain: true,
    })
    await readings('kept', 'door', 'count', 1)
    await readings('lab', 'kept', 'power', 1)
    await checkSparkplug(port, async () => {
      await cloud.kill('SIGKILL')
      cloud = await start()
    })
    expect(await readings('kept', 'door', 'count', 1)).toMatchObject({ value: [5] })
    expect(await readings('lab', 'kept', 'power', 1)).toMatchObject({ w: [1] })
  })
})
