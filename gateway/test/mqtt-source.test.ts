import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { Aedes, type Client, type PublishPacket } from 'aedes'
import { connectAsync, type MqttClient } from 'mqtt'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Batch } from '../src/source.ts'
import { type MqttOptions, mqttOptions, openMqtt } from '../src/sources/mqtt.ts'
import {
  append,
  countOf,
  type Durable,
  newCloud,
  newDeps,
  newDurable,
  rowsOf,
  start,
  until,
  valuesOf,
} from './harness.ts'

const endings: (() => Promise<unknown>)[] = []
let durable: Durable
let broker: Awaited<ReturnType<typeof openBroker>>
let client: MqttClient

/** A broker with sessions in memory; `close` takes its address away and leaves the sessions. */
const openBroker = async () => {
  const aedes = await Aedes.createBroker({ queueLimit: 10_000 })
  let server: Server | undefined
  const sockets = new Set<Socket>()
  let port = 0
  const acked: string[] = []
  const subscribed: string[] = []
  const unsubscribed: string[] = []
  aedes.on('ack', (packet, who: Client) => {
    if (who.id.startsWith('gateway') && packet && 'payload' in packet)
      acked.push(String((packet as PublishPacket).payload))
  })
  aedes.on('subscribe', (all, who) => {
    if (who.id.startsWith('gateway')) subscribed.push(...all.map(one => one.topic))
  })
  aedes.on('unsubscribe', (all, who) => {
    if (who.id.startsWith('gateway')) unsubscribed.push(...all)
  })
  const open = async () => {
    server = createServer(socket => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      aedes.handle(socket)
    })
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as { port: number }).port
  }
  const shut = async () => {
    for (const socket of sockets) socket.destroy()
    server?.close()
    if (server) await once(server, 'close')
    server = undefined
  }
  await open()
  endings.push(async () => {
    await shut()
    await new Promise<void>(resolve => aedes.close(resolve))
  })
  return { aedes, acked, subscribed, unsubscribed, open, shut, url: () => `mqtt://127.0.0.1:${port}` }
}

beforeEach(async () => {
  durable = newDurable()
  broker = await openBroker()
  client = await connectAsync(broker.url(), { clientId: 'instrument' })
  endings.push(() => client.endAsync(true))
})
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end()
})

const optionsOf = (more: object = {}): MqttOptions => ({
  ...mqttOptions.parse({
    id: 'bench',
    kind: 'mqtt',
    url: broker.url(),
    topics: ['lab/+device/+stream'],
    retryMsMax: 50,
    ...more,
  }),
  site: 'Lab',
  zone: 'UTC',
  clientId: 'gateway-bench',
  secrets: {},
})
const run = (more: object = {}) => {
  const deps = newDeps(newCloud(durable).receipts)
  const source = openMqtt(optionsOf(more), deps)
  const running = { ...start(source, durable), source, said: deps.said }
  endings.push(running.stop)
  return running
}
/** A source whose batches the test asks for one by one. */
const step = (more: object = {}) => {
  const stop = new AbortController()
  const source = openMqtt(optionsOf(more), newDeps(newCloud(durable).receipts))
  const batches = source.batches({ ...durable.cursor }, stop.signal)[Symbol.asyncIterator]()
  const ask = async (): Promise<Batch> => {
    const { value } = await batches.next()
    return value as Batch
  }
  endings.push(async () => {
    stop.abort()
    await batches.next()
  })
  return {
    source,
    /** The next batch that holds something; not durable yet. */
    async next(): Promise<Batch> {
      for (let batch = await ask(); ; batch = await ask()) {
        if (batch.frames.length + batch.rejects.length > 0) return batch
        append(durable, batch)
      }
    },
    /** Says that the last batch is durable. */
    go: () => void batches.next(),
    async kill() {
      stop.abort()
      // As a process that dies: nothing more is asked for, and the connection breaks.
      await broker.shut()
      await broker.open()
    },
  }
}
const say = (topic: string, payload: string | Buffer, qos: 0 | 1 | 2 = 1) =>
  client.publishAsync(topic, payload, { qos })
const listening = (filters = 1) =>
  until(
    () => broker.subscribed.length,
    n => n >= filters,
  )
const arrived = (n: number) =>
  until(
    () => countOf(durable),
    seen => seen >= n,
  )
const rejects = () => durable.batches.flatMap(batch => batch.rejects)
const reconnected = async () => {
  client = await connectAsync(broker.url(), { clientId: 'instrument' })
  const mine = client
  endings.push(() => mine.endAsync(true))
}
const timed = (t: number, n: number) =>
  JSON.stringify({ t: new Date(Date.UTC(2026, 0, 1) + t * 1000).toISOString(), n })
const timedFormat = { kind: 'jsonl', time: { column: 't' }, columns: { n: 'int' } }

describe('an instrument that publishes', () => {
  it('is read by the names in its topics: bare numbers, JSON objects, lines, CSV', async () => {
    run({
      topics: [
        { pattern: 'json/+site/{device}', format: timedFormat, stream: 'n' },
        {
          pattern: 'csv/+device',
          format: { kind: 'csv', header: false, time: { column: 1 }, columns: { a: { from: 2 }, b: { from: 3 } } },
        },
        { pattern: 'head/+device', format: { kind: 'csv', time: { column: 't' }, columns: { a: 'float' } } },
        'lab/+device/+stream',
        { pattern: 'doc/+device', format: { kind: 'json', records: 'data', columns: { n: { from: 'v.n' } } } },
        { pattern: 'other/#', device: 'rest' },
      ],
    })
    await listening(6)
    await say('lab/scale/weight', ' 12.5 ')
    await say('json/Paris/door', `{\n  "t": "2026-01-01T00:00:00Z",\n  "n": 3\n}`)
    await say('json/Paris/door', `${timed(1, 4)}\n${timed(2, 5)}`)
    await say('csv/p1', '2026-01-01T00:00:00Z,1.5,2\n2026-01-01T00:00:01Z,2.5,3')
    for (const n of [0, 1]) await say('head/p2', `t,a\n2026-01-01T00:00:0${n}Z,${n}\n`)
    for (const n of [8, 9]) await say('doc/p3', `{"at": 1, "data": [{"v": {"n": ${n}}}]}`)
    await say('other/a/b', '-1e-9', 0)
    await arrived(11)
    const seen = rowsOf(durable).map(({ series, values }) => [series, values])
    expect(seen).toEqual([
      ['Lab/scale/weight', { value: 12.5 }],
      ['Paris/door/n', { n: 3 }],
      ['Paris/door/n', { n: 4 }],
      ['Paris/door/n', { n: 5 }],
      ['Lab/p1/readings', { a: 1.5, b: 2 }],
      ['Lab/p1/readings', { a: 2.5, b: 3 }],
      ['Lab/p2/readings', { a: 0 }],
      ['Lab/p2/readings', { a: 1 }],
      ['Lab/p3/readings', { n: 8 }],
      ['Lab/p3/readings', { n: 9 }],
      ['Lab/rest/readings', { value: -1e-9 }],
    ])
    expect(rejects()).toEqual([])
  })

  it('has what cannot be read rejected with its topic, and goes on', async () => {
    const { source } = run({
      payloadBytesMax: 100,
      topics: ['lab/+device/+stream', { pattern: 'json/#', format: timedFormat }],
    })
    await listening(2)
    await say('lab/scale/weight', 'over load')
    await say('json/x', '{"n": 1')
    await say(`lab/${'d'.repeat(300)}/x`, '1')
    await say('lab/scale/weight', 'y'.repeat(101))
    for (const qos of [0, 1, 2] as const) await say('lab/scale/weight', Buffer.alloc(300_000, 'z'), qos)
    await say('lab/scale/weight', '7')
    await arrived(1)
    expect(valuesOf(durable, 'value')).toEqual([7])
    expect(
      rejects().map(({ reason, text, origin }) => [
        reason,
        text.slice(0, 10),
        text.length,
        origin.attributes?.topic?.slice(0, 16),
      ]),
    ).toEqual([
      ['the line does not match the pattern', 'over load', 9, 'lab/scale/weight'],
      ['the line is not JSON', '{"n": 1', 7, 'json/x'],
      ['the topic names no device', '1', 1, 'lab/dddddddddddd'],
      ['the payload is longer than 100 bytes', 'yyyyyyyyyy', 101, 'lab/scale/weight'],
      ...[0, 1, 2].map(() => ['the payload is longer than 100 bytes', 'zzzzzzzzzz', 4096, 'lab/scale/weight']),
    ])
    expect(source.health()).toEqual({ health: 'ok' })
    await until(
      () => broker.acked.length,
      n => n === 6,
    )
  })

  it('turns stale when it is silent', async () => {
    const { source } = run({ silenceMsMax: 50 })
    await until(
      () => source.health(),
      h => h.health === 'stale' && /nothing came for/.test(h.message ?? ''),
    )
  })
})

describe('the acknowledgement', () => {
  it('is given when the batch is durable, and not before', async () => {
    const { next, go } = step()
    const first = next()
    await listening()
    await say('lab/scale/weight', '1')
    await first.then(batch => append(durable, batch))
    await Promise.all([2, 3, 4, 5, 6].map(n => say('lab/scale/weight', String(n))))
    expect(broker.acked).toEqual([])
    while (countOf(durable) < 6) {
      const before = countOf(durable)
      const batch = await next()
      expect(broker.acked.length).toBeLessThanOrEqual(before)
      append(durable, batch)
    }
    expect(valuesOf(durable, 'value')).toEqual([1, 2, 3, 4, 5, 6])
    expect(broker.acked.length).toBeLessThan(6)
    go()
    await until(
      () => broker.acked.length,
      n => n === 6,
    )
  })

  // The embedded broker sends again under new numbers, so that times must tell; what real brokers do is tried in test/.
  it.each([
    ['before it is durable', 1, false],
    ['when it is durable and not acknowledged', 1, true],
    ['before it is durable', 2, false],
    ['when it is durable and not acknowledged', 2, true],
  ] as const)('of a gateway that is killed %s, at QoS %i: nothing is lost', async (_, qos, isDurable) => {
    const more = { qos, format: timedFormat }
    const { next, kill } = step(more)
    const first = next()
    await listening()
    await say('lab/scale/n', timed(1, 1), qos)
    const batch = await first
    await Promise.all([2, 3, 4].map(n => say('lab/scale/n', timed(n, n), qos)))
    if (isDurable) append(durable, batch)
    await kill()
    await reconnected()
    await say('lab/scale/n', timed(5, 5), qos)
    run(more)
    await until(
      () => new Map(rowsOf(durable).map(row => [row.time, row.values.n])),
      seen => seen.size === 5,
    )
    expect(new Set(valuesOf(durable, 'n'))).toEqual(new Set([1, 2, 3, 4, 5]))
  })

  it('that never comes, however often the connection breaks, loses nothing', async () => {
    run({ format: timedFormat })
    await listening()
    const sent = 300
    for (let n = 0; n < sent; n++) {
      if (n % 50 === 49) {
        await broker.shut()
        await broker.open()
        await reconnected()
      }
      await say('lab/scale/n', timed(n, n))
    }
    await until(
      () => new Set(valuesOf(durable, 'n')).size,
      n => n === sent,
    )
    expect(new Set(rowsOf(durable).map(row => row.time)).size).toBe(sent)
  })
})

/** A broker of a few bytes: takes every session as known, and sends what the test says. */
const openScript = async () => {
  const acked: number[] = []
  const sockets: Socket[] = []
  let subscriptions = 0
  const server = createServer(socket => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.on('data', bytes => {
      for (let at = 0; at < bytes.length; at += 2 + (bytes[at + 1] ?? 0)) {
        const type = (bytes[at] ?? 0) >> 4
        const id = bytes.subarray(at + 2, at + 4)
        if (type === 1) socket.write(Buffer.from([0x20, 2, 1, 0]))
        if (type === 8) socket.write(Buffer.from([0x90, 3, ...id, 1]))
        if (type === 8) subscriptions++
        if (type === 4) acked.push(id.readUInt16BE())
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  endings.push(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const topic = 'lab/scale/weight'
  return {
    url: `mqtt://127.0.0.1:${(server.address() as { port: number }).port}`,
    acked,
    publish(id: number, dup: boolean, payload: string) {
      const body = [0, topic.length, ...Buffer.from(topic), id >> 8, id & 255, ...Buffer.from(payload)]
      sockets.at(-1)?.write(Buffer.from([0x32 | (dup ? 8 : 0), body.length, ...body]))
    },
    breakOff: () => sockets.at(-1)?.destroy(),
    subscribed: (n: number) =>
      until(
        () => subscriptions,
        seen => seen >= n,
      ),
  }
}

it('knows a message that comes again by its number and content, also after a restart', async () => {
  const script = await openScript()
  const first = run({ url: script.url })
  await script.subscribed(1)
  script.publish(7, false, '1')
  await arrived(1)
  script.breakOff()
  await script.subscribed(2)
  script.publish(7, true, '1')
  script.publish(8, true, '2')
  script.publish(9, false, '1')
  await arrived(3)
  await first.stop()
  run({ url: script.url })
  await script.subscribed(3)
  script.publish(9, true, '1')
  script.publish(8, true, '2')
  const ackedLast = (ids: string) =>
    until(
      () => script.acked,
      seen => seen.slice(-ids.split(',').length).join() === ids,
    )
  await ackedLast('9,8')
  // The number is used anew: another message.
  script.publish(8, true, '3')
  script.publish(7, false, '1')
  await arrived(5)
  expect(valuesOf(durable, 'value')).toEqual([1, 2, 1, 3, 1])
  // The very first one may have been lost with the connection.
  await ackedLast('7,8,9,9,8,8,7')
})

describe('the session', () => {
  it('keeps what is published while the gateway is away', async () => {
    const first = run()
    await listening()
    await say('lab/scale/weight', '1')
    await arrived(1)
    await first.stop()
    for (const n of [2, 3]) await say('lab/scale/weight', String(n))
    run()
    await arrived(3)
    expect(valuesOf(durable, 'value')).toEqual([1, 2, 3])
  })

  it('that the broker has forgotten is told', async () => {
    durable.cursor.filters = ['lab/+/+']
    const { said } = run()
    await until(
      () => said.join(),
      text =>
        /had forgotten the session of this gateway: what was published while the gateway was away did not come/.test(
          text,
        ),
    )
  })

  it('gives up topics that the configuration no longer names', async () => {
    const first = run({ topics: ['lab/#', 'shop/+device'] })
    await listening(2)
    await first.stop()
    await say('shop/door', '8')
    await say('lab/scale', '9')
    run({ topics: ['lab/#'] })
    await until(
      () => broker.unsubscribed.join(),
      text => text === 'shop/+',
    )
    await arrived(1)
    await say('shop/door', '10')
    await say('lab/scale', '11')
    await arrived(2)
    expect(valuesOf(durable, 'value')).toEqual([9, 11])
    expect(rejects()).toEqual([])
  })

  it.each([
    ['skip', [2]],
    ['store', [1, 2]],
  ] as const)('begins with what the broker retained, or not: %s', async (retained, expected) => {
    await client.publishAsync('lab/scale/weight', '1', { qos: 1, retain: true })
    run({ retained })
    await listening()
    await say('lab/scale/weight', '2')
    await until(
      () => valuesOf(durable, 'value').includes(2),
      is => is,
    )
    expect(valuesOf(durable, 'value')).toEqual(expected)
  })
})

describe('a broker that is not as it should be', () => {
  const problem = (source: { health(): { health: string; message?: string } }, pattern: RegExp) =>
    until(
      () => source.health(),
      health => health.health === 'failing' && pattern.test(health.message ?? ''),
    )

  it('is waited for, and read again when it is back', async () => {
    const { source } = run()
    await listening()
    await broker.shut()
    await problem(
      source,
      /127\.0\.0\.1:\d+: (no broker listens there|closed the connection)|closed the connection; connecting again/,
    )
    await problem(source, /no broker listens there/)
    await broker.open()
    await reconnected()
    await until(
      () => source.health().health,
      health => health === 'ok',
    )
    await say('lab/scale/weight', '1')
    await arrived(1)
  })

  it.each([
    ['bad login', 4, /the broker refuses user name or password/],
    ['no right', 5, /the broker refuses this user/],
  ])('says in plain words what is wrong: %s', async (_, returnCode, expected) => {
    broker.aedes.authenticate = (_client, _name, _password, done) =>
      done(Object.assign(new Error('no'), { returnCode }), null)
    const { source } = run({ username: 'x' })
    await problem(source, expected)
  })

  it('says that it may not read a topic', async () => {
    broker.aedes.authorizeSubscribe = (who, subscription, done) =>
      done(null, who?.id === 'gateway-bench' ? null : subscription)
    const { source } = run()
    await problem(source, /refuses to send lab\/\+\/\+: the user may not read it/)
  })

  it('says that no broker answers there, but something else', async () => {
    const server = createServer(socket => void socket.end('220 mail.example ESMTP\r\n')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    endings.push(async () => void server.close())
    const { source } = run({ url: `mqtt://127.0.0.1:${(server.address() as { port: number }).port}` })
    await problem(source, /^127\.0\.0\.1:\d+:? .+/)
    const { source: tls } = run({ url: broker.url().replace('mqtt:', 'mqtts:') })
    await problem(tls, /does not speak TLS|broke the connection off|closed the connection|disconnected/)
  })
})
