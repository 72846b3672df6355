import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Frame, LedgerLine } from '@penstock/frame'
import { type HttpServer, openServer, ProblemError } from '@penstock/http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { GatewaySnapshot } from '../src/gateway.ts'
import { createLive } from '../src/live.ts'
import { createPageApp, type PageAppDeps, type PageSampleRequest } from '../src/page/app.ts'
import { runPage } from '../src/page/server.ts'
import { createStateHub, readParts } from '../src/page/state.ts'
import { createUploads } from '../src/page/upload.ts'
import { createPage } from '../src/page.ts'
import { until } from './harness.ts'

const line = (file: string): LedgerLine => ({
  ...{
    source: 'weather',
    file,
    generation: 1,
    rowsRead: 3,
    rowsStored: 2,
    rowsRejected: 1,
    bytes: 99,
    complete: false,
  },
})
const frame = (values: number[], startNs = 1_772_366_400_000_000_000n): Frame => ({
  ...{ site: 'Lab', device: 'station', stream: 'readings', startNs },
  offsetsNs: Float64Array.from(values, (_, i) => i * 1e9),
  columns: [{ name: 't', unit: 'degC', type: 'float', values }],
})

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'penstock-page-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** A gateway that the test holds in its hands, and the page over it. */
const newWorld = (given: Partial<PageAppDeps> = {}) => {
  const live = createLive({ nowMs: Date.now })
  const files = [line('a.csv'), line('b.csv')]
  const state: Omit<GatewaySnapshot, 'ledger'> = {
    ...{ gateway: 'bench', version: '1', startedAt: '2026-03-01T12:00:00Z', configFile: 'gateway.yaml' },
    configuredAt: '2026-03-01T12:00:00Z',
    uplink: {
      ...{ connected: false, through: 4, inFlightBytes: 0, reconnects: 2, resends: 0, problem: 'no route' },
      ...{ kind: 'mqtt', url: 'mqtt://cloud.example' },
    },
    spool: {
      ...{ epoch: 'e', oldestSeq: 1, nextSeq: 9, bytes: 1_000_000, bytesMax: 4_000_000 },
      ...{ full: false, waiting: 4, lostEntries: 0 },
    },
    sources: [
      { id: 'weather', kind: 'tail', health: 'ok', rows: 3, rejects: 1, rowsPerMinute: 12.3456, options: {} },
      { id: 'gauge', kind: 'serial', health: 'stale', rows: 0, rejects: 0, rowsPerMinute: 0, options: {} },
    ],
  }
  const snapshot = (): GatewaySnapshot => ({ ...state, ledger: () => files })
  const parts = { snapshot, live, zone: 'Europe/Madrid' }
  const now = () => new Date('2026-03-01T13:00:00Z')
  const hub = createStateHub({ read: () => readParts(parts), now, everyMs: 20, clientsMax: 2 })
  const asked: PageSampleRequest[] = []
  const errors: string[] = []
  const app = createPageApp({
    ...{ ...parts, hub, now, site: 'Lab', access: { names: ['gateway.lab'] }, files: () => undefined },
    uploads: createUploads({ folder: join(folder, 'looked-at'), fileBytesMax: 1000, atOnceMax: 1 }),
    async readSample(request) {
      asked.push(request)
      const bytes = await request.file.read(2, 9_999)
      return { text: new TextDecoder().decode(bytes), size: request.file.size }
    },
    log: { error: (_o, m) => void errors.push(m) },
    ...given,
  })
  const get = (path: string, headers: Record<string, string> = {}) =>
    app.request(path, { headers: { host: 'localhost', ...headers } })
  const post = (path: string, body: string, headers: Record<string, string> = {}) =>
    app.request(path, {
      ...{ method: 'POST', body },
      headers: { host: 'localhost', 'x-penstock': '1', 'content-type': 'application/octet-stream', ...headers },
    })
  return { app, get, post, live, state, files, hub, asked, errors }
}

const problemOf = async (response: Response) => {
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  const { status, detail } = (await response.json()) as { status: number; detail: string }
  expect(status).toBe(response.status)
  return [status, detail] as const
}

/** Events of a stream, one at a time. */
const eventsOf = (response: Response) => {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  let text = ''
  return {
    async next(): Promise<{ type: string; data: Record<string, unknown> }> {
      for (;;) {
        const found = /event: (\w+)\ndata: (.*)\n\n/.exec(text)
        if (found?.[2] !== undefined) {
          text = text.slice(found.index + found[0].length)
          return { type: found[1] ?? '', data: JSON.parse(found[2]) as Record<string, unknown> }
        }
        const { value, done } = await reader.read()
        if (done) throw new Error('the stream ended')
        text += new TextDecoder().decode(value)
      }
    },
    close: () => reader.cancel(),
  }
}

describe('the API of the page', () => {
  it('says in one answer how everything is, with the forecast of the spool', async () => {
    const { get, live } = newWorld()
    live.passed('weather', { frames: [frame([20, 21.5])], rejects: [] }, 30_000)
    const response = await get('/api/snapshot')
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('content-security-policy')).toContain("default-src 'self'")
    expect(await response.json()).toMatchObject({
      clock: '2026-03-01T13:00:00.000Z',
      gateway: { gateway: 'bench', zone: 'Europe/Madrid', files: 2, streams: 1 },
      link: { connected: false, problem: 'no route', url: 'mqtt://cloud.example' },
      spool: { bytes: 1_000_000, waiting: 4, bytesPerMinute: 60_000, minutesLeft: 50 },
      rejects: { count: 0 },
      sources: [{ id: 'weather', rowsPerMinute: 12.3 }, { id: 'gauge' }],
      streams: [{ device: 'station', columns: [{ name: 't', unit: 'degC', value: 21.5 }] }],
      files: [{ file: 'a.csv' }, { file: 'b.csv' }],
    })
  })

  it('gives ledger, rejects and the points of a column', async () => {
    const { get, live } = newWorld()
    const reject = { origin: { source: 'weather' }, reason: 'no number', text: 'x' }
    live.passed('weather', { frames: [frame([20, 21.5])], rejects: [reject] })
    expect(await (await get('/api/ledger')).json()).toEqual({ files: [line('b.csv'), line('a.csv')] })
    expect(await (await get('/api/rejects')).json()).toMatchObject({ count: 1, rejects: [{ ...reject, number: 1 }] })
    const series = await get('/api/series?site=Lab&device=station&stream=readings&column=t&minutes=5&points=100')
    expect(await series.json()).toMatchObject({ kind: 'points', unit: 'degC', values: [20, 21.5], stretchMs: 0 })
  })

  it('tells in one sentence what is wrong with a question', async () => {
    const { get } = newWorld()
    const of = async (path: string) => problemOf(await get(path))
    const series = '/api/series?site=Lab&device=station&stream=readings&column=t'
    expect(await of(series)).toEqual([
      404,
      'No column "t" of Lab/station/readings has passed since the gateway started.',
    ])
    expect(await of(`${series}&minutes=900`)).toEqual([400, 'minutes: expected a whole number from 1 to 60.'])
    expect((await of(`${series}&point=9`))[1]).toContain('Did you mean "points"?')
    expect(await of('/api/series?site=Lab&device=d&stream=s')).toEqual([400, 'column: is missing.'])
    expect(await of('/api/tap?source=wether')).toEqual([404, 'There is no source "wether"; there are weather, gauge.'])
    expect(await of('/api/nothing')).toEqual([404, 'There is nothing at /api/nothing.'])
  })

  it('serves the page by its ETag, and says how to build it where it is not built', async () => {
    const unbuilt = await newWorld().get('/')
    expect(unbuilt.status).toBe(503)
    expect(await unbuilt.text()).toContain('pnpm --filter @penstock/gateway-page build')
    const file = { body: new TextEncoder().encode('<p>'), type: 'text/html', etag: '"x"', immutable: false }
    const { get } = newWorld({ files: () => new Map([['/', file]]) })
    const page = await get('/')
    expect([page.status, page.headers.get('etag'), await page.text()]).toEqual([200, '"x"', '<p>'])
    expect((await get('/', { 'if-none-match': '"x"' })).status).toBe(304)
  })

  it('tells all at first, then what changed and what is gone', async () => {
    const { get, state, files, live, hub } = newWorld()
    const events = eventsOf(await get('/api/live'))
    const first = await events.next()
    expect(first.type).toBe('state')
    const names = Object.keys(first.data.set as object)
    expect(names).toEqual(expect.arrayContaining(['gateway', 'link', 'spool', 'source/weather', 'source/gauge']))
    expect(names).toContain('file/["weather","a.csv"]')

    state.uplink = { ...state.uplink, connected: true }
    state.sources = state.sources.slice(0, 1)
    files.shift()
    live.passed('weather', { frames: [frame([20])], rejects: [] })
    const { type, data } = await events.next()
    expect(type).toBe('change')
    expect(data.gone).toEqual(['source/gauge', 'file/["weather","a.csv"]'])
    const set = data.set as Record<string, unknown>
    expect(set.link).toMatchObject({ connected: true })
    expect(set['stream/["Lab","station","readings"]']).toMatchObject({ rows: 1 })
    expect(set['source/weather']).toBeUndefined()
    await events.close()
    await until(
      () => hub.clients(),
      n => n === 0,
    )
  })

  it('lets so many watch and no more', async () => {
    const { get } = newWorld()
    const open = [eventsOf(await get('/api/live')), eventsOf(await get('/api/live'))]
    expect(await problemOf(await get('/api/live'))).toEqual([
      503,
      'Too many clients listen already: close another page.',
    ])
    await Promise.all(open.map(events => events.close()))
    const again = await get('/api/live')
    expect(again.status).toBe(200)
    await again.body?.cancel()
  })

  it('taps readings and rejects of a source as they pass', async () => {
    const { get, live } = newWorld()
    const events = eventsOf(await get('/api/tap?source=weather'))
    live.passed('gauge', { frames: [frame([1])], rejects: [] })
    live.passed('weather', {
      frames: [frame([20])],
      rejects: [{ origin: { source: 'weather' }, reason: 'no time', text: '' }],
    })
    expect(await events.next()).toMatchObject({ type: 'rows', data: { source: 'weather', rows: [{ values: [20] }] } })
    expect(await events.next()).toMatchObject({ type: 'reject', data: { reject: { reason: 'no time' } } })
    await events.close()
    await until(
      () => live.stats().followers,
      n => n === 0,
    )
  })
})

describe('a file that is looked at', () => {
  // The folder is made anew when the first file comes.
  const left = async () => (await readdir(join(folder, 'looked-at')).catch(() => [])).length

  it('is read from a temporary file, with the site and zone of the gateway, and then gone', async () => {
    const { post, asked } = newWorld()
    const answer = await post('/api/sniff?name=a%20b.csv&zone=Asia%2FTokyo', '0123456789')
    expect(await answer.json()).toEqual({ text: '23456789', size: 10 })
    expect(asked[0]).toMatchObject({ name: 'a b.csv', site: 'Lab', zone: 'Asia/Tokyo', zoneIsGiven: true })
    expect(await left()).toBe(0)
  })

  it('is refused where it is too large, empty, no plain file, or of an unknown zone', async () => {
    const { post } = newWorld()
    const of = async (path: string, body: string, headers = {}) => problemOf(await post(path, body, headers))
    expect(await of('/api/sniff?name=a', 'x'.repeat(1001))).toEqual([
      413,
      'The file has more than the 1000 bytes that are taken here.',
    ])
    expect(await of('/api/sniff?name=a', '')).toEqual([400, 'The file is empty.'])
    expect(await of('/api/sniff', 'x')).toEqual([400, 'name: is missing.'])
    expect((await of('/api/sniff?name=a&zone=Mars', 'x'))[1]).toContain('is not an IANA time zone')
    expect((await of('/api/sniff?name=a', 'x', { 'content-type': 'text/plain' }))[0]).toBe(415)
    expect(await left()).toBe(0)
  })

  it('is gone also where reading fails, and comes alone', async () => {
    let release = () => {}
    const reading = new Promise<void>(resolve => {
      release = resolve
    })
    const { post, errors } = newWorld({
      async readSample() {
        await reading
        throw new Error('broken')
      },
    })
    const first = post('/api/sniff?name=a', 'x')
    await until(left, n => n === 1)
    expect((await problemOf(await post('/api/sniff?name=b', 'y')))[0]).toBe(503)
    release()
    expect(await problemOf(await first)).toEqual([
      500,
      'The request failed on the side of the gateway; its log says why.',
    ])
    expect(errors).toHaveLength(1)
    expect(await left()).toBe(0)
  })
})

describe('who may see the page', () => {
  it('is no page of another site: not by a name that points here, not by its own request, not by a post', async () => {
    const { get, post } = newWorld()
    expect(await problemOf(await get('/api/snapshot', { host: 'evil.example' }))).toEqual([
      403,
      'This gateway does not know itself as "evil.example": use its address, or add the name to page.names of its configuration.',
    ])
    for (const host of ['127.0.0.1:8081', '[::1]:8081', '192.168.1.20:8081', 'Gateway.lab', 'localhost']) {
      expect((await get('/api/snapshot', { host })).status, host).toBe(200)
    }
    expect((await get('/api/live', { 'sec-fetch-site': 'cross-site' })).status).toBe(403)
    expect((await get('/api/tap', { 'sec-fetch-site': 'same-site' })).status).toBe(403)
    expect((await get('/api/snapshot', { 'sec-fetch-site': 'same-origin' })).status).toBe(200)
    expect((await post('/api/sniff?name=a', 'x', { origin: 'http://evil.example' })).status).toBe(403)
    expect((await post('/api/sniff?name=a', 'x', { origin: 'http://localhost' })).status).toBe(200)
    const bare = { method: 'POST', body: 'x', headers: { 'content-type': 'application/octet-stream' } }
    expect((await newWorld().app.request('/api/sniff?name=a', bare)).status).toBe(403)
  })

  it('is whoever shows the token, where one is configured; this machine shows none', async () => {
    const { app } = newWorld({ access: { token: 'right', names: [] } })
    const from = (remoteAddress: string, authorization?: string) =>
      app.request(
        '/api/snapshot',
        { headers: { host: '10.0.0.5', ...(authorization !== undefined && { authorization }) } },
        { incoming: { socket: { remoteAddress } } },
      )
    const basic = (login: string) => `Basic ${Buffer.from(login).toString('base64')}`
    const refused = await from('10.0.0.9')
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
      401,
      'Basic realm="Penstock gateway", charset="UTF-8"',
    ])
    expect((await from('10.0.0.9', basic('me:wrong'))).status).toBe(401)
    expect((await from('10.0.0.9', basic('me:right'))).status).toBe(200)
    expect((await from('10.0.0.9', 'Bearer right')).status).toBe(200)
    expect((await from('127.0.0.1')).status).toBe(200)
  })
})

describe('the server of the page', () => {
  const servers: { close(): unknown }[] = []
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close()
  })

  it('streams over a real connection, and lets go of who leaves', async () => {
    const { app, live, hub } = newWorld()
    const server: HttpServer = await openServer({ fetch: app.fetch, host: '127.0.0.1', port: 0 })
    servers.push(server)
    const leaving = new AbortController()
    const [changes, tap] = await Promise.all(
      ['/api/live', '/api/tap'].map(path => fetch(server.url + path, { signal: leaving.signal })),
    )
    if (!changes || !tap) throw new Error('no answer')
    expect(changes.headers.get('content-type')).toBe('text/event-stream')
    expect((await eventsOf(changes).next()).type).toBe('state')
    const tapped = eventsOf(tap).next()
    live.passed('weather', { frames: [frame([20])], rejects: [] })
    expect((await tapped).type).toBe('rows')
    leaving.abort()
    await until(
      () => hub.clients() + live.stats().followers,
      n => n === 0,
    )
  })

  it('is a warning where the port is taken, and opens when it is free', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as { port: number }
    const said: string[] = []
    const problems: (string | undefined)[] = []
    const say = (o: object, m: string) => void said.push(`${m}: ${JSON.stringify(o)}`)
    const { live, state } = newWorld()
    const stop = new AbortController()
    const web = join(folder, 'web')
    const running = runPage(
      {
        page: { host: '127.0.0.1', port, names: [], site: 'Lab', zone: 'UTC' },
        ...{ snapshot: () => ({ ...state, ledger: () => [] }), live, now: () => new Date(), retryMs: 20 },
        ...{ readSample: async () => ({}), webDirs: [join(folder, 'none'), web], uploadDir: join(folder, 'up') },
        log: { info: say, warn: say, error: say },
        onProblem: problem => problems.push(problem),
      },
      stop.signal,
    )
    await until(
      () => said.join('\n'),
      text => text.includes('another program listens there'),
    )
    await until(
      () => problems.length,
      tries => tries > 2,
    )
    taken.close()
    await once(taken, 'close')
    await until(
      () => said.join('\n'),
      text => text.includes('is open'),
    )
    expect(said).toHaveLength(2)
    expect(problems[0]).toContain('the page of the gateway is not open: listen: 127.0.0.1:')
    expect(problems.at(-1)).toBeUndefined()
    expect((await fetch(`http://127.0.0.1:${port}/api/snapshot`)).status).toBe(200)
    stop.abort()
    await running
    await expect(fetch(`http://127.0.0.1:${port}/api/snapshot`)).rejects.toThrow()
  })
})

it('moves with an edited configuration, and is gone where that says so', async () => {
  const ports = await Promise.all(
    [0, 1].map(async () => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as { port: number }
      server.close()
      await once(server, 'close')
      return port
    }),
  )
  const say = () => {}
  const page = createPage({ now: () => new Date(), log: { info: say, warn: say, error: say } })
  const { state } = newWorld()
  const stop = new AbortController()
  const at = (port = 0) => ({
    ...{ dataDir: folder, page: { host: '127.0.0.1', port, names: [], site: 'Lab', zone: 'UTC' } },
  })
  const answers = async (port = 0) => (await fetch(`http://127.0.0.1:${port}/api/snapshot`).catch(() => undefined))?.ok
  const running = page.run(at(ports[0]), { snapshot: () => ({ ...state, ledger: () => [] }) }, stop.signal)
  await until(() => answers(ports[0]), Boolean)
  page.apply(at(ports[1]))
  await until(() => answers(ports[1]), Boolean)
  expect(await answers(ports[0])).toBeUndefined()
  page.apply({ dataDir: folder })
  await until(
    () => answers(ports[1]),
    ok => !ok,
  )
  expect(page.problems()).toEqual([])
  stop.abort()
  await running
})

it('uploads: a folder that an earlier run left is emptied', async () => {
  const own = join(folder, 'left')
  const uploads = createUploads({ folder: own, fileBytesMax: 10, atOnceMax: 1 })
  const body = () => new Blob(['abc']).stream() as ReadableStream<Uint8Array>
  await uploads.receive(body(), async () => undefined)
  await writeFile(join(own, 'old'), 'x')
  await createUploads({ folder: own, fileBytesMax: 10, atOnceMax: 1 }).receive(body(), async file => {
    expect(await readdir(own)).toHaveLength(1)
    expect([...(await file.read(1, 3))]).toEqual([98, 99])
  })
  await expect(
    createUploads({ folder: own, fileBytesMax: 2, atOnceMax: 1 }).receive(body(), async () => undefined),
  ).rejects.toThrow(ProblemError)
})
