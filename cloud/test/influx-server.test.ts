/** What goes over the wire to each InfluxDB, byte by byte, and what comes of every kind of refusal. */
import { once } from 'node:events'
import { createServer as createHttpServer, type Server as HttpServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createServer, type ServerOptions } from '../src/historians/influx/server.ts'
import {
  checkInflux,
  InfluxError,
  type InfluxOptions,
  type InfluxReject,
  openInflux,
} from '../src/historians/influx.ts'
import { float, frame, int, text } from './historian.contract.ts'

interface Request {
  method: string
  path: string
  headers: IncomingMessage['headers']
  body: string
}
interface Answer {
  status: number
  headers?: Record<string, string>
  body?: unknown
}

let http: HttpServer
let requests: Request[]
let answer: (request: Request) => Answer | undefined
let url: string
const emptyResult = { results: [{ statement_id: 0 }] }

beforeEach(async () => {
  requests = []
  answer = ({ path }) => (path.includes('write') ? { status: 204 } : { status: 200, body: emptyResult })
  http = createHttpServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    const asked = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body }
    requests.push(asked)
    const said = answer(asked)
    if (!said) return void response.destroy()
    const json = said.body === undefined ? '' : JSON.stringify(said.body)
    response.writeHead(said.status, { ...(json && { 'content-type': 'application/json' }), ...said.headers })
    response.end(json)
  }).listen(0, '127.0.0.1')
  await once(http, 'listening')
  url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
})
afterEach(() => {
  http.closeAllConnections()
  http.close()
})

const writes = () => requests.filter(({ path }) => path.includes('write'))
const serverOf = (options: Partial<ServerOptions> = {}) =>
  createServer({ url, version: 1, database: 'penstock', ...options } as ServerOptions)
const lines = (n: number) => Array.from({ length: n }, (_, i) => `m v=${i} ${i}`)

describe('requests', () => {
  const rows = [frame([0, 1], [int('v', [1, null]), text('note', ['a "b"\n', null])], { device: 'd 1' })]
  const open = (options: Partial<InfluxOptions>) =>
    openInflux({ url, version: 1, database: 'plant', log: { info() {}, warn() {} }, ...options } as InfluxOptions)
  const body = `count,device=d\\ 1,site=london _row=0i,v=1,note="a \\"b\\"\n" 1719828000000000000
count,device=d\\ 1,site=london _row=0i 1719828000000000001`
  const ownOf = (kind: string) => writes().find(({ body }) => body.startsWith(kind))

  it('to 1.x', async () => {
    answer = ({ path, body }) => {
      if (path.includes('write')) return { status: 204 }
      const policies = [{ columns: ['name', 'duration'], values: [['autogen', '0s', '168h0m0s', 1, true]] }]
      return { status: 200, body: body.includes('show') ? { results: [{ series: policies }] } : emptyResult }
    }
    const historian = await open({ version: 1, username: 'penstock', password: 'pa:ss' })
    await historian.write(rows, 7)
    const written = ownOf('count')
    expect(written).toMatchObject({
      method: 'POST',
      path: '/write?db=plant&precision=ns',
      headers: {
        authorization: `Basic ${Buffer.from('penstock:pa:ss').toString('base64')}`,
        'content-type': 'text/plain; charset=utf-8',
        'content-length': String(Buffer.byteLength(body)),
      },
      body,
    })
    expect(writes().at(-1)?.body).toBe('penstock_state rows=7i 0')
    const query = requests.find(({ path }) => path.startsWith('/query'))
    expect(query).toMatchObject({
      method: 'POST',
      path: '/query?db=plant',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'q=show+retention+policies+on+%22plant%22',
    })
  })

  it('to 2.x', async () => {
    answer = ({ path }) => {
      if (path.startsWith('/api/v2/buckets')) return { status: 200, body: { buckets: [{ orgID: '1' }] } }
      return path.includes('write') ? { status: 204 } : { status: 200, body: emptyResult }
    }
    const historian = await open({ version: 2, org: 'my org', token: 'tok' })
    await historian.write(rows, 7)
    expect(ownOf('count')).toMatchObject({
      method: 'POST',
      path: '/api/v2/write?org=my%20org&bucket=plant&precision=ns',
      headers: { authorization: 'Token tok', 'content-type': 'text/plain; charset=utf-8' },
      body,
    })
    expect(requests[0]).toMatchObject({ method: 'GET', path: '/api/v2/buckets?org=my%20org&name=plant' })
    expect(requests.find(({ path }) => path.startsWith('/query'))).toMatchObject({
      path: '/query?db=plant',
      headers: { authorization: 'Token tok' },
    })
    await historian.clear()
    expect(requests.find(({ path }) => path.startsWith('/api/v2/delete'))).toMatchObject({
      path: '/api/v2/delete?org=my%20org&bucket=plant',
      body: '{"start":"1677-09-22T00:00:00Z","stop":"2262-04-11T00:00:00Z","predicate":"_measurement=\\"count\\""}',
    })
  })

  it('to 3', async () => {
    const historian = await open({ version: 3, token: 'apiv3_tok' })
    await historian.write(rows, 7)
    expect(ownOf('count')).toMatchObject({
      method: 'POST',
      path: '/api/v2/write?org=&bucket=plant&precision=ns',
      headers: { authorization: 'Bearer apiv3_tok' },
      body,
    })
    expect(requests[0]).toMatchObject({
      path: '/query?db=plant',
      headers: { authorization: 'Bearer apiv3_tok' },
      body: `q=${new URLSearchParams({ q: 'select "journal", "rows", "aggregates", "stamp", "generation" from "penstock_state" where time = 0' }).toString().slice(2)}`,
    })
    for (const { body } of requests.filter(({ path }) => path.startsWith('/query'))) expect(body).not.toContain('%3B')
  })

  it('as gzip from a size on', async () => {
    await serverOf({ gzipBytesMin: 100 }).write(lines(1))
    await serverOf({ gzipBytesMin: 100 }).write(lines(100))
    expect(writes().map(({ headers }) => headers['content-encoding'])).toEqual([undefined, 'gzip'])
  })

  it('rows of curves as numbers', async () => {
    const historian = await open({ version: 3 })
    const axis = Float64Array.of(0, 2, 4)
    await historian.write([
      frame([0, 1], [{ name: 'c', type: 'vector', axis, values: [Float64Array.of(1, 3, 2), new Float64Array()] }]),
    ])
    expect(ownOf('count')?.body.split('\n')).toEqual([
      'count,device=1,site=london _row=0i,c.n=3,c.min=1,c.max=3,c.mean=2,c.integral=9 1719828000000000000',
      'count,device=1,site=london _row=0i,c.n=0 1719828000000000001',
    ])
  })
})

describe('a write', () => {
  const poisoned = (poison: RegExp, words: (n: number) => string, status = 400) => {
    const stored = new Set<string>()
    answer = ({ body }) => {
      const got = body.split('\n')
      const bad = got.filter(line => poison.test(line))
      for (const line of got) if (!poison.test(line)) stored.add(line)
      return bad.length === 0 ? { status: 204 } : { status, body: { error: words(bad.length) } }
    }
    return stored
  }

  it('that is refused in part: the poison line alone is refused, with the words of the server', async () => {
    const words = 'partial write: field type conflict: input field "v" on measurement "m" is type float dropped=1'
    const stored = poisoned(/ 77$/, () => words)
    expect(await serverOf().write(lines(100))).toEqual([{ line: 'm v=77 77', words }])
    expect(stored.size).toBe(99)
    expect(requests.length).toBeLessThan(20)
  })
  it('that is refused whole for one line (2.x): the others are stored', async () => {
    const all = lines(50)
    let stored = 0
    answer = ({ body }) => {
      if (body.includes(' 13\n') || body.endsWith(' 13')) {
        return { status: 400, body: { code: 'invalid', message: "unable to parse 'm v=13 13': bad" } }
      }
      stored += body.split('\n').length
      return { status: 204 }
    }
    const refused = await serverOf({ version: 2, org: 'o', token: 't' }).write(all)
    expect(refused).toEqual([{ line: 'm v=13 13', words: "unable to parse 'm v=13 13': bad" }])
    expect(stored).toBe(49)
  })
  it('of which 3 names the refused lines: nothing is sent twice', async () => {
    answer = () => ({
      status: 400,
      body: {
        error: 'partial write of line protocol occurred',
        data: [{ original_line: 'm v=1 1', line_number: 2, error_message: 'invalid column type' }],
      },
    })
    expect(await serverOf({ version: 3 }).write(lines(3))).toEqual([{ line: 'm v=1 1', words: 'invalid column type' }])
    expect(requests).toHaveLength(1)
  })
  it('of which all lines are refused for one reason: in one request', async () => {
    poisoned(/./, n => `partial write: points beyond retention policy dropped=${n}`)
    expect(await serverOf().write(lines(100))).toHaveLength(100)
    expect(requests).toHaveLength(1)
  })
  it('that is too large: it comes in pieces; a line that is too large alone is refused', async () => {
    answer = ({ body }) =>
      body.length > 40 ? { status: 413, body: { error: 'Request Entity Too Large' } } : { status: 204 }
    const long = `m v="${'x'.repeat(50)}" 5`
    const refused = await serverOf().write([...lines(20), long])
    expect(refused.map(({ line }) => line)).toEqual([long])
    expect(
      new Set(
        writes()
          .filter(({ body }) => body.length <= 40)
          .flatMap(({ body }) => body.split('\n')),
      ).size,
    ).toBe(20)
  })
  it.each([
    [429, { 'retry-after': '7' }, 7000],
    [503, { 'retry-after': '120' }, 120_000],
    [503, {}, undefined],
    [500, {}, undefined],
    [401, {}, undefined],
    [404, {}, undefined],
  ])('answered with %i %j: fails, is asked no more, and says when to come again', async (status, headers, wait) => {
    answer = () => ({ status, headers, body: { error: 'not now' } })
    const failed = await serverOf()
      .write(lines(3))
      .catch(error => error)
    expect(failed).toBeInstanceOf(InfluxError)
    expect(failed).toMatchObject({ status, retryAfterMs: wait, message: `InfluxDB at ${url}: ${status}: not now` })
    expect(requests).toHaveLength(1)
  })
  it('answered with 400 for no line’s fault, with 200, or not at all: fails', async () => {
    const failing = () => expect(serverOf({ timeoutMsMax: 200 }).write(lines(2))).rejects
    answer = () => ({ status: 400, body: { error: 'database is required' } })
    await failing().toThrow('400: database is required')
    answer = () => ({ status: 200, body: {} })
    await failing().toThrow('answered a write with 200, expected 204')
    answer = () => undefined
    await failing().toThrow(InfluxError)
    http.removeAllListeners('request')
    await failing().toThrow(InfluxError)
  })
  it('never shows a secret', async () => {
    const password = 'h0rse-battery'
    answer = ({ headers }) => ({ status: 401, body: { error: `wrong: ${headers.authorization} ${password}` } })
    const failed = await serverOf({ username: 'u', password })
      .write(lines(1))
      .catch((error: Error) => error)
    expect(String((failed as Error).message)).toContain('401: wrong: Basic *** ***')
  })
})

describe('the historian', () => {
  it('tells of refused rows before the cursor is stored, stores their neighbours, and tells again when it is replayed', async () => {
    answer = ({ path, body }) => {
      if (!path.includes('write')) return { status: 200, body: emptyResult }
      const bad = body.split('\n').filter(line => line.includes('v=13 '))
      return bad.length === 0
        ? { status: 204 }
        : { status: 400, body: { error: `partial write: field type conflict dropped=${bad.length}` } }
    }
    const told: (InfluxReject & { seq: number })[] = []
    let cursorsBefore = 0
    const historian = await openInflux({
      ...{ url, version: 3, database: 'plant', log: { info() {}, warn() {} } },
      async onRejects(rejects, seq) {
        told.push(...rejects.map(reject => ({ ...reject, seq })))
        cursorsBefore = writes().filter(({ body }) => body.includes('rows=')).length
      },
    })
    const rows = frame(
      Array.from({ length: 30 }, (_, i) => i),
      [
        float(
          'v',
          Array.from({ length: 30 }, (_, i) => i),
        ),
      ],
    )
    await historian.write([rows], 4)
    const reject = {
      reason: 'InfluxDB refuses a row: partial write: field type conflict dropped=1',
      text: 'count,device=1,site=london _row=0i,v=13 1719828000000000013',
      seq: 4,
    }
    expect(told).toEqual([reject])
    expect(cursorsBefore).toBe(1)
    expect(writes().at(-1)?.body).toBe('penstock_state rows=4i 0')
    await historian.write([rows], 4)
    expect(told.map(({ text }) => text.split(',_')[0])).toHaveLength(2)
  })

  it('makes no more series than it may, and says so', async () => {
    const told: InfluxReject[] = []
    const historian = await openInflux({
      ...{ url, version: 3, database: 'plant', seriesMax: 2, log: { info() {}, warn() {} } },
      onRejects: async rejects => void told.push(...rejects),
    })
    const devices = ['a', 'b', 'c', 'd']
    await historian.write(
      devices.map(device => frame([0], [int('v', [1])], { device })),
      1,
    )
    expect(told.map(({ text }) => JSON.parse(text).device)).toEqual(['c', 'd'])
    expect(told[0]?.reason).toContain('InfluxDB is to hold 2 at most')
    expect(writes().some(({ body }) => body.includes('device=b') && body.startsWith('count'))).toBe(true)
    expect(writes().some(({ body }) => body.includes('device=c'))).toBe(false)
  })

  it('keeps its cursor back when a write fails, and reads all anew', async () => {
    const historian = await openInflux({ url, version: 3, database: 'plant', log: { info() {}, warn() {} } })
    await historian.write([frame([0], [int('v', [1])])], 1)
    const before = answer
    answer = request => (request.body.startsWith('count') ? { status: 503, body: { error: 'busy' } } : before(request))
    await expect(historian.write([frame([1], [int('v', [2])])], 2)).rejects.toThrow('503: busy')
    expect(writes().some(({ body }) => body === 'penstock_state rows=2i 0')).toBe(false)
    answer = before
    const asked = requests.length
    await historian.write([frame([1], [int('v', [2])])], 2)
    expect(requests.slice(asked).some(({ body }) => body.includes('penstock_state'))).toBe(true)
    expect(writes().at(-1)?.body).toBe('penstock_state rows=2i 0')
  })
})

describe('check', () => {
  const policy = (duration: string) => ({
    results: [{ series: [{ name: '', columns: [], values: [['autogen', duration, '168h0m0s', 1, true]] }] }],
  })
  it('makes a database that is missing, and a bucket', async () => {
    let made = false
    answer = ({ body }) => {
      if (body.includes('create+database')) made = true
      return { status: 200, body: made ? policy('0s') : { results: [{ error: 'database not found: plant' }] } }
    }
    expect(await checkInflux({ url, version: 1, database: 'plant' })).toBe(
      'database "plant" of InfluxDB 1.x, retention endless, made now',
    )
    requests = []
    answer = ({ method, path }) => {
      if (method === 'POST') return { status: 201, body: {} }
      if (path.startsWith('/api/v2/orgs')) return { status: 200, body: { orgs: [{ id: '0a' }] } }
      return { status: 200, body: { buckets: [] } }
    }
    expect(await checkInflux({ url, version: 2, org: 'o', database: 'plant', token: 't' })).toBe(
      'bucket "plant" of InfluxDB 2.x, retention endless, made now',
    )
    expect(requests.at(-1)).toMatchObject({
      path: '/api/v2/buckets',
      body: '{"orgID":"0a","name":"plant","retentionRules":[]}',
    })
  })
  it('refuses what would forget readings, and says when the server is not there', async () => {
    answer = () => ({ status: 200, body: policy('720h0m0s') })
    await expect(checkInflux({ url, version: 1, database: 'plant' })).rejects.toThrow(
      'does not keep readings for ever (its policy "autogen" keeps 720h0m0s)',
    )
    answer = () => ({ status: 200, body: { buckets: [{ orgID: '1', retentionRules: [{ everySeconds: 3600 }] }] } })
    await expect(checkInflux({ url, version: 2, org: 'o', database: 'plant', token: 't' })).rejects.toThrow(
      'bucket "plant" of InfluxDB does not keep readings for ever (it keeps 3600 s)',
    )
    http.closeAllConnections()
    await new Promise(resolve => http.close(resolve))
    await expect(checkInflux({ url, version: 1, database: 'plant' })).rejects.toMatchObject({
      message: expect.stringContaining(`historian: InfluxDB at ${url}: `),
      exitCode: 5,
    })
  })
})
