import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createDecoder, csvSchema } from '@penstock/formats'
import { type Frame, zoneOf } from '@penstock/frame'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type HttpOptions, httpOptions, openHttp } from '../src/sources/http.ts'
import {
  countOf,
  type Durable,
  newCloud,
  newDeps,
  newDurable,
  type Row,
  rowsOf,
  start,
  until,
  valuesOf,
} from './harness.ts'

let durable: Durable
const endings: (() => Promise<unknown>)[] = []
beforeEach(() => {
  durable = newDurable()
})
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end()
})

type Answer = (request: IncomingMessage, response: ServerResponse, query: URLSearchParams) => void
const serve = async (answer: Answer) => {
  const asked: string[] = []
  let open = 0
  let openMax = 0
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    openMax = Math.max(openMax, ++open)
    response.on('close', () => open--)
    answer(request, response, new URL(request.url ?? '/', 'http://x').searchParams)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  endings.push(async () => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as { port: number }
  return { url: `http://127.0.0.1:${port}`, port, asked, openMax: () => openMax, server }
}

const optionsOf = (more: object, secrets: Record<string, string> = {}): HttpOptions => ({
  ...httpOptions.parse({ id: 'api', kind: 'http', retryMsMax: 20, requestsPerSecondMax: 10_000, ...more }),
  site: 'Lab',
  zone: 'UTC',
  secrets,
})
const run = (more: object, deps: { now?: () => Date; secrets?: Record<string, string> } = {}) => {
  const all = { ...newDeps(newCloud(durable).receipts), ...(deps.now && { now: deps.now }) }
  const source = openHttp(optionsOf(more, deps.secrets), all)
  const running = { ...start(source, durable), source, said: all.said }
  endings.push(running.stop)
  return running
}
/** A clock that starts there and runs on. */
const ticking = (from: string) => {
  const beganMs = performance.now()
  return () => new Date(Date.parse(from) + performance.now() - beganMs)
}
const rejects = () => durable.batches.flatMap(batch => batch.rejects)
const arrived = (n: number) =>
  until(
    () => countOf(durable),
    seen => seen >= n,
  )
const problem = (source: { health(): { health: string; message?: string } }, pattern: RegExp) =>
  until(
    () => source.health(),
    health => health.health === 'failing' && pattern.test(health.message ?? ''),
  )

const integer = { kind: 'lines', pattern: '^(?<n>-?\\d+)$', columns: { n: 'int' } }
const timed = { kind: 'csv', time: { column: 't' }, columns: { n: 'int' } }

describe('polling', () => {
  it('reads a bare integer at each tick of the clock, also when it stays the same', async () => {
    const { url } = await serve((_, response) => response.end('21'))
    const { source } = run({ url, everyMs: 100, format: integer })
    expect(source.health()).toEqual({ health: 'starting' })
    await arrived(4)
    expect(new Set(valuesOf(durable, 'n'))).toEqual(new Set([21]))
    expect(new Set(rowsOf(durable).map(row => row.time)).size).toBe(countOf(durable))
    // All but the first one came in the 50 ms behind a tick.
    const late = rowsOf(durable)
      .slice(1)
      .map(row => Date.parse(row.time) % 100)
    expect(late.filter(ms => ms < 50).length).toBeGreaterThan(0)
    expect(source.health()).toEqual({ health: 'ok' })
    expect(durable.batches[0]?.frames[0]).toMatchObject({
      site: 'Lab',
      device: 'api',
      stream: 'readings',
      origin: { source: 'api', file: url },
    })
  })

  it('stores the same answer once where its rows bring their times, and asks only for what has changed', async () => {
    let text = 't,n\n2026-01-01T00:00:00Z,1\n'
    let unchanged = 0
    const { url } = await serve((request, response) => {
      const etag = `"${text.length}"`
      if (request.headers['if-none-match'] !== etag) return response.setHeader('etag', etag).end(text)
      unchanged++
      return response.writeHead(304).end()
    })
    const first = run({ url, everyMs: 100, format: timed })
    await until(
      () => unchanged,
      n => n > 1,
    )
    expect(valuesOf(durable, 'n')).toEqual([1])
    await first.stop()
    // Neither the tag nor the content is forgotten by a restart.
    const before = unchanged
    run({ url, everyMs: 100, format: timed })
    await until(
      () => unchanged,
      n => n > before,
    )
    text += '2026-01-01T00:00:01Z,2\n'
    await arrived(3)
    expect(valuesOf(durable, 'n')).toEqual([1, 1, 2])
  })

  it('reads records out of a JSON document', async () => {
    const document = { ok: true, data: { items: [{ t: '2026-01-01T00:00:00Z', v: { n: 5 } }] } }
    const { url } = await serve((_, response) => response.end(JSON.stringify(document)))
    const columns = { n: { from: 'v.n', type: 'int' } }
    run({ url, format: { kind: 'json', records: 'data.items', time: { column: 't' }, columns } })
    await arrived(1)
    expect(rowsOf(durable)).toMatchObject([{ time: '2026-01-01T00:00:00.000Z', values: { n: 5 } }])
  })

  it('does not store the same content again from a server that knows no tags', async () => {
    const { url, asked } = await serve((_, response) => response.end('t,n\n2026-01-01T00:00:00Z,1\n'))
    run({ url, everyMs: 100, format: timed })
    await until(
      () => asked.length,
      n => n > 3,
    )
    expect(valuesOf(durable, 'n')).toEqual([1])
  })

  it('fills in place and time, sends headers and secrets, and shows no secret', async () => {
    let seen: IncomingMessage | undefined
    const { url, asked } = await serve((request, response) => {
      seen = request
      response.end('no number')
    })
    const now = () => new Date('2026-03-01T23:30:00Z')
    const running = run(
      {
        url: `${url}/v1/{city}/{year}-{month:2}-{day:2}`,
        query: { door: '{device}', key: { env: 'KEY' }, left: '{other}' },
        headers: { accept: 'text/plain', authorization: { env: 'TOKEN', prefix: 'Bearer ' } },
        format: integer,
        series: [
          { site: 'London', device: 'a&b', zone: 'Asia/Tokyo', values: { city: 'San José' } },
          { site: 'Paris', values: { city: 'Paris', other: 'x' } },
        ],
      },
      { now, secrets: { 'query.KEY': '', 'query.key': 'hunter2', 'headers.authorization': 'hunter3' } },
    )
    await until(
      () => asked.length,
      n => n === 2,
    )
    expect(asked.toSorted()).toEqual([
      '/v1/Paris/2026-03-01?key=hunter2&left=x',
      '/v1/San%20Jos%C3%A9/2026-03-02?door=a%26b&key=hunter2',
    ])
    expect(seen?.headers).toMatchObject({ accept: 'text/plain', authorization: 'Bearer hunter3' })
    await until(rejects, r => r.length === 2)
    expect(rejects()[0]).toMatchObject({ text: 'no number', reason: 'the line does not match the pattern' })
    expect(JSON.stringify([durable.batches, running.source.health(), running.said])).not.toMatch(/hunter/)
  })

  it('asks again after a failure within the tick, as soon as the server likes it', async () => {
    let asks = 0
    const { url } = await serve((_, response) => {
      if (++asks > 2) return response.end('7')
      return response.writeHead(503, { 'retry-after': '3600' }).end('busy')
    })
    const { source } = run({ url, everyMs: '1 h', format: integer })
    await problem(source, /Lab\/api: 127\.0\.0\.1:\d+ has a fault of its own \(503: busy\)/)
    await arrived(1)
    expect(source.health()).toEqual({ health: 'ok' })
  })

  const words: [string, Answer, object, RegExp][] = [
    ['refused credentials', (_, r) => r.writeHead(401).end('who?'), {}, /refuses the credentials \(401: who\?\)/],
    ['an unknown address', (_, r) => r.writeHead(404).end('<html>'), {}, /does not know this address \(404\)/],
    ['silence', () => {}, { requestMsMax: 30 }, /gave no whole answer within 30 ms/],
    ['half an answer', (_, r) => r.write('2'), { requestMsMax: 30 }, /gave no whole answer within 30 ms/],
    [
      'a long answer',
      (_, r) => r.end('9'.repeat(100)),
      { bodyBytesMax: 64 },
      /longer than 64 bytes: ask for less, or raise "bodyBytesMax"/,
    ],
    [
      'another place',
      (_, r) => r.writeHead(302, { location: 'https://elsewhere.example/x' }).end(),
      {},
      /has moved to https:\/\/elsewhere\.example\/x: give that address in "url"/,
    ],
    ['no HTTP', (request, _) => request.socket.end('SSH-2.0-OpenSSH\r\n'), {}, /does not speak HTTP/],
    ['a line that breaks', (request, _) => request.socket.destroy(), {}, /the connection was broken off/],
  ]
  it.each(words)('says in plain words what is wrong: %s', async (_, answer, more, expected) => {
    const { url } = await serve(answer)
    const { source } = run({ url, everyMs: '1 h', format: integer, ...more })
    await problem(source, expected)
    expect(countOf(durable) + rejects().length).toBe(0)
  })

  it('says in plain words that nobody listens, that there is no such host, and that there is no TLS', async () => {
    const { url, port } = await serve((_, response) => response.end('1'))
    const there = run({ url: url.replace('http:', 'https:'), format: integer })
    await problem(there.source, /does not speak TLS at this port: is it http:\/\/ instead of https:\/\/\?/)
    const nobody = await serve(() => {})
    nobody.server.close()
    await problem(
      run({ url: `http://127.0.0.1:${nobody.port}`, format: integer }).source,
      /nothing listens at this address and port/,
    )
    await problem(
      run({ url: `http://no-such-host.invalid:${port}`, format: integer }).source,
      /there is no such host|cannot be looked up/,
    )
  })

  it('follows a redirect on the same server', async () => {
    const { url } = await serve((request, response) =>
      request.url === '/' ? response.writeHead(301, { location: '/new' }).end() : response.end('5'),
    )
    run({ url, format: integer })
    await arrived(1)
  })
})

/** The API of the spec: a bare integer an hour, over counts that the test holds. */
const countsApi = (stores: Record<string, { zone: string; sensors: number }>, nowMs: () => number) => {
  const changed = new Map<string, number>()
  const broken = new Map<string, number>()
  const countOfHour = (store: string, sensor: number, local: string): number => {
    const key = `${store} ${sensor} ${local}`
    const hour = Number(local.slice(11))
    const mixed = [...key].reduce((h, c) => (Math.imul(h, 31) + c.charCodeAt(0)) >>> 0, 7)
    return changed.get(key) ?? (hour > 3 && hour < 8 ? -2 : mixed % 17 === 0 ? -1 : mixed % 5000)
  }
  const answer: Answer = (_, response, query) => {
    const say = (status: number, text: string) => void response.writeHead(status).end(text)
    const [store = '', sensor] = [query.get('store_name') ?? '', query.get('sensor_id')]
    const part = (name: string) => Number(query.get(name))
    const local = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'))
    const found = stores[store]
    if (!found) return say(404, 'Store not found')
    if (sensor !== null && !(Number(sensor) < found.sensors)) return say(404, 'Sensor not found')
    const [utc] = zoneOf(found.zone).fromLocalMs(local)
    if (utc === undefined) return say(500, 'Internal Server Error')
    if (utc + 3_600_000 > nowMs()) return say(404, 'That is in the future')
    const text = new Date(local).toISOString().slice(0, 13)
    const status = broken.get(text)
    if (status !== undefined) return say(status, 'Internal Server Error')
    const sensors = sensor === null ? Array.from({ length: found.sensors }, (_, i) => i) : [Number(sensor)]
    return say(200, String(sensors.reduce((sum, s) => sum + countOfHour(store, s, text), 0)))
  }
  return { answer, countOfHour, changed, broken }
}
const stores = { Madrid: { zone: 'Europe/Madrid', sensors: 1 }, London: { zone: 'Europe/London', sensors: 3 } }
const madrid = { site: 'Madrid', zone: 'Europe/Madrid', devices: [0] }
const london = { site: 'London', zone: 'Europe/London', devices: [0, 1, 2] }
const walking = (url: string, start: string, more: object = {}, walkMore: object = {}) => ({
  url,
  api: 'store-counts',
  series: [madrid, london],
  walk: { start, ...walkMore },
  ...more,
})
const sorted = (rows: Row[]) => rows.toSorted((a, b) => (a.series + a.time < b.series + b.time ? -1 : 1))

/** The rows that the `counts` csv of the same hours gives. */
const rowsOfCsv = (text: string): Row[] => {
  const format = csvSchema.parse({
    kind: 'csv',
    time: {
      date: 'date',
      hour: 'hour',
      zone: { by: 'shop', zones: { Madrid: 'Europe/Madrid', London: 'Europe/London' } },
    },
    tags: { site: { column: 'shop' }, device: { column: 'sensor_id' }, stream: 'count' },
    columns: { count: { type: 'int', required: true, status: { '-1': 'failed', '-2': 'closed' } } },
  })
  const context = {
    source: 'csv',
    site: 'x',
    device: 'x',
    stream: 'x',
    zone: 'UTC',
    frameRowsMax: 10_000,
    recordBytesMax: 1000,
  }
  const { frames } = createDecoder(format, context).push(Buffer.from(text), true)
  const batch = { frames: frames as Frame[], rejects: [], ledger: [], cursor: {} }
  return rowsOf({ cursor: {}, batches: [batch] })
}
const isoHours = (from: string, to: string): string[] => {
  const hours: string[] = []
  for (let ms = Date.parse(`${from}:00Z`); ms < Date.parse(`${to}:00Z`); ms += 3_600_000)
    hours.push(new Date(ms).toISOString().slice(0, 13))
  return hours
}

describe('walking from a start date', () => {
  it('gives the rows that the counts csv gives, over both nights on which clocks change, and across restarts', async () => {
    for (const [from, to] of [
      ['2024-10-16T00', '2024-10-28T12'],
      ['2024-03-20T12', '2024-04-01T00'],
    ] as const) {
      durable = newDurable()
      const now = () => new Date(`${to}:30:00Z`)
      const api = countsApi(stores, () => now().getTime())
      const { url, asked, openMax } = await serve(api.answer)
      const options = walking(url, `${from}:00`, { parallelMax: 3 })
      const first = run(options, { now })
      await arrived(20)
      await first.kill()
      expect(countOf(durable)).toBeLessThan(1000)
      const { source } = run(options, { now })
      const local = (zone: string) =>
        new Date(now().getTime() + zoneOf(zone).offsetMs(now().getTime())).toISOString().slice(0, 13)
      const lines = Object.entries(stores).flatMap(([store, { zone, sensors }]) =>
        Array.from({ length: sensors }, (_, sensor) =>
          isoHours(from, local(zone))
            .filter(hour => zoneOf(zone).fromLocalMs(Date.parse(`${hour}:00Z`)).length > 0)
            .map(
              hour =>
                `${hour.slice(0, 10)},${Number(hour.slice(11))},${store},${sensor},${api.countOfHour(store, sensor, hour)},visits\n`,
            ),
        ).flat(),
      )
      const expected = sorted(rowsOfCsv(`date,hour,shop,sensor_id,count,units\n${lines.join('')}`))
      await arrived(expected.length)
      const bare = (row: Row) => ({ ...row, values: { count: row.values.count, status: row.values.status ?? null } })
      const seen = sorted(rowsOf(durable))
      expect(seen.map(bare)).toEqual(expected.map(bare))
      expect(seen.some(row => row.values.status === (from.startsWith('2024-10') ? 'dst-ambiguous' : 'failed'))).toBe(
        true,
      )
      expect(source.health()).toEqual({ health: 'ok' })
      expect(openMax()).toBeLessThanOrEqual(3)
      // What the killed one had asked for and not stored was asked for again, and no more.
      expect(asked.length - expected.length).toBeLessThan(300)
      expect(durable.batches[0]?.frames[0]).toMatchObject({ stream: 'count' })
      expect(durable.batches[0]?.frames[0]?.columns[0]).toMatchObject({ name: 'count', type: 'int', unit: 'visits' })
    }
  })

  it('waits for an hour that is not there yet, without a word, and takes it when it is', async () => {
    // Half a second before an hour is over.
    const clock = ticking('2024-07-01T12:59:59.500Z')
    let behindMs = 2 * 3_600_000
    const api = countsApi(stores, () => clock().getTime() - behindMs)
    const { url, asked } = await serve(api.answer)
    const { source } = run(walking(url, '2024-07-01T09:00', { series: [madrid] }), { now: clock })
    await arrived(3)
    const before = asked.length
    await until(
      () => asked.length,
      n => n > before + 2,
    )
    expect(source.health()).toEqual({ health: 'ok' })
    expect(countOf(durable)).toBe(3)
    behindMs = 0
    await arrived(6)
    expect(rowsOf(durable).map(row => row.time.slice(11, 16))).toEqual([
      '07:00',
      '08:00',
      '09:00',
      '10:00',
      '11:00',
      '12:00',
    ])
  })

  it('says which store the server does not know, and goes on with the others', async () => {
    const clock = new Date('2024-07-03T00:30:00Z')
    const { url } = await serve(countsApi(stores, () => clock.getTime()).answer)
    const series = [{ site: 'Lodnon', devices: [0] }, madrid, { ...madrid, devices: [7] }]
    const { source } = run(walking(url, '2024-07-01', { series }), { now: () => clock })
    await problem(
      source,
      /^Lodnon\/0: 2024-07-01T00:00: 127\.0\.0\.1:\d+ does not know this series \(404: Store not found\); check its names \(and 1 more\)$/,
    )
    await arrived(50)
    expect(new Set(rowsOf(durable).map(row => row.series))).toEqual(new Set(['Madrid/0/count']))
    expect(rejects()).toEqual([])
  })

  it('rejects the one hour that the server cannot answer; a server that cannot answer at all is waited for', async () => {
    const clock = new Date('2024-07-01T12:30:00Z')
    const api = countsApi(stores, () => clock.getTime())
    let isDown = true
    const { url } = await serve((request, response, query) =>
      isDown ? void response.writeHead(500).end('database is gone') : api.answer(request, response, query),
    )
    api.broken.set('2024-07-01T10', 500)
    const { source } = run(walking(url, '2024-07-01T08:00', { series: [madrid] }), { now: () => clock })
    await problem(source, /Madrid\/0: 2024-07-01T08:00: .* has a fault of its own \(500: database is gone\)/)
    await until(
      () => rejects().length + countOf(durable),
      n => n === 0,
    )
    isDown = false
    await arrived(5)
    expect(rejects()).toMatchObject([
      {
        text: 'Internal Server Error',
        reason: expect.stringMatching(/^Madrid\/0: .* cannot answer for 2024-07-01T10:00 alone/),
      },
    ])
    expect(source.health()).toEqual({ health: 'ok' })
  })

  it('asks for the last hours again, and stores what was corrected, and nothing else', async () => {
    const clock = ticking('2024-07-01T18:30:00.005Z')
    const api = countsApi(stores, () => clock().getTime())
    const { url, asked } = await serve(api.answer)
    const options = walking(url, '2024-07-01T08:00', { series: [madrid] }, { again: { steps: 4, everyMs: '400 ms' } })
    const first = run(options, { now: clock })
    await arrived(12)
    await first.stop()
    run(options, { now: clock })
    api.changed.set('Madrid 0 2024-07-01T18', 4711)
    api.changed.set('Madrid 0 2024-07-01T15', 1)
    const before = asked.length
    await until(
      () => asked.length - before,
      n => n >= 12,
    )
    expect(countOf(durable)).toBe(13)
    expect(new Set(asked.slice(before)).size).toBe(4)
    expect(rowsOf(durable).at(-1)).toMatchObject({ time: '2024-07-01T16:00:00.000Z', values: { count: 4711 } })
  })

  it('leaves a server alone that asks for it, and keeps to the pace', async () => {
    const clock = new Date('2024-07-03T00:30:00Z')
    const api = countsApi(stores, () => clock.getTime())
    const times: number[] = []
    let isFirst = true
    const { url } = await serve((request, response, query) => {
      times.push(performance.now())
      if (!isFirst) return api.answer(request, response, query)
      isFirst = false
      return void response.writeHead(429, { 'retry-after': '1' }).end('slowly')
    })
    const more = { series: [madrid], requestsPerSecondMax: 100, retryMsMax: 300, parallelMax: 1 }
    const { source } = run(walking(url, '2024-07-01', more), {
      now: () => new Date(clock.getTime() + performance.now()),
    })
    await problem(source, /is asked too often \(429: slowly\)/)
    await arrived(20)
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(250)
    const [from = 0, to = 0] = [times[1], times[21]]
    expect(to - from).toBeGreaterThan(150)
  })

  it('walks days of stations as well, and passes over those that have nothing, where it is told so', async () => {
    const clock = new Date('2024-04-03T12:00:00Z')
    const { url, asked } = await serve((_, response, query) => {
      const day = query.get('day')
      if (day === '2024-03-31') return response.writeHead(404).end()
      return response.end(`t,n\n${day}T06:00:00Z,1\n${day}T18:00:00Z,2\n`)
    })
    const options = {
      url,
      query: { day: '{date}', from: '{utc}' },
      format: timed,
      zone: 'Europe/Madrid',
      parallelMax: 1,
      walk: { start: '2024-03-29', step: 'day', notFound: 'skip', notYetMs: '1 h' },
    }
    const all = { ...newDeps(newCloud(durable).receipts), now: () => clock }
    const source = openHttp({ ...optionsOf(options), zone: 'Europe/Madrid' }, all)
    const running = start(source, durable)
    endings.push(running.stop)
    await arrived(8)
    expect(asked.map(text => new URL(text, url).searchParams.get('from'))).toEqual([
      '2024-03-28T23:00:00Z',
      '2024-03-29T23:00:00Z',
      '2024-03-30T23:00:00Z',
      '2024-03-31T22:00:00Z',
      '2024-04-01T22:00:00Z',
    ])
    expect(source.health()).toEqual({ health: 'ok' })
  })

  it.each(['wait', 'skip'] as const)('knows a series whose data begins later than the walk: %s', async notFound => {
    const clock = new Date('2024-07-03T12:30:00Z')
    const { url } = await serve((_, response, query) =>
      Number(query.get('day')) < 2 ? response.writeHead(404).end() : response.end('1'),
    )
    const options = walking(url, '2024-07-01', { series: [madrid] }, { notFound, notYetMs: '1 h' })
    const { source } = run(options, { now: () => clock })
    if (notFound === 'wait') {
      await problem(
        source,
        /Madrid\/0: 2024-07-01T00:00: .* has nothing for it \(404\), .* say a later "start", or "notFound: skip"/,
      )
      expect(countOf(durable)).toBe(0)
    } else {
      await arrived(38)
      expect(rowsOf(durable)[0]?.time).toBe('2024-07-01T22:00:00.000Z')
      expect(source.health()).toEqual({ health: 'ok' })
    }
  })

  it('begins anew where the start is set earlier, and sums all sensors where none is named', async () => {
    const clock = new Date('2024-07-01T10:30:00Z')
    const api = countsApi(stores, () => clock.getTime())
    const { url, asked } = await serve(api.answer)
    const series = [{ site: 'London', zone: 'Europe/London' }]
    const first = run(walking(url, '2024-07-01T09:00', { series }), { now: () => clock })
    await arrived(2)
    await first.stop()
    expect(asked[0]).toBe('/?store_name=London&year=2024&month=7&day=1&hour=9')
    const sum = [0, 1, 2].reduce((n, sensor) => n + api.countOfHour('London', sensor, '2024-07-01T09'), 0)
    expect(rowsOf(durable)[0]).toMatchObject({ series: 'London/api/count', values: { count: sum } })
    run(walking(url, '2024-07-01T08:00', { series }), { now: () => clock })
    await arrived(5)
    expect(asked).toHaveLength(5)
  })
})
