import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { HttpError, InfluxDB, Point, type WriteOptions } from '@influxdata/influxdb-client'
import { type Frame, formatNs, rowNs } from '@penstock/frame'
import { type HttpServer, openServer } from '@penstock/http'
import { type Log, openLog } from '@penstock/log'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { decodeEntry } from '../src/entry.ts'
import { createIngest } from '../src/ingest.ts'
import { lineMappingSchema } from '../src/lines.ts'
import type { JournalEntry } from '../src/projector.ts'
import { createWorld, type World } from './app-world.ts'

const arrival = Date.UTC(2026, 0, 1)
let dir: string
let journal: Log
let world: World
let server: HttpServer
const openWorld = async (access: Parameters<typeof createWorld>[0] = {}, log = () => journal) => {
  const ingest = createIngest({
    journal: log(),
    now: () => new Date(arrival),
    queueBytesMax: 1 << 20,
    log: { warn() {}, error() {} },
  })
  world = createWorld({ ...access, deps: { writes: { ...ingest, mapping: lineMappingSchema.parse({}) } } })
  server = await openServer({ fetch: world.fetch, host: '127.0.0.1', port: 0 })
}
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'penstock-write-'))
  journal = await openLog(join(dir, 'journal'))
})
afterEach(async () => {
  await server.close()
  await journal.close()
  await rm(dir, { recursive: true, force: true })
})

const entries = async (): Promise<JournalEntry[]> => {
  const all: JournalEntry[] = []
  const last = journal.stats().nextSeq - 1
  if (last === 0) return all
  const stop = new AbortController()
  for await (const entry of journal.read(0, stop.signal)) {
    all.push(decodeEntry(entry.seq, entry.body))
    if (entry.seq === last) stop.abort()
  }
  return all
}
/** Every row as `site/device/stream time {columns}`. */
const rows = async () =>
  (await entries()).flatMap(e => e.frames).flatMap(frame => Array.from(frame.offsetsNs, (_, i) => rowOf(frame, i)))
const rowOf = (frame: Frame, i: number) => {
  const values = frame.columns.flatMap(c => (c.values[i] === null ? [] : [[c.name, c.values[i]] as const]))
  return [
    `${frame.site}/${frame.device}/${frame.stream}`,
    formatNs(rowNs(frame, i)),
    Object.fromEntries(values),
  ] as const
}
const post = async (path: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) => {
  const response = await fetch(`${server.url}${path}`, { method: 'POST', body, headers })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? undefined : (JSON.parse(text) as unknown),
  }
}
const v2 = '/api/v2/write?org=o&bucket=b'
const v1 = '/write?db=telegraf'

describe('the official JavaScript client', () => {
  const client = (options: Partial<WriteOptions> = {}, token = 'any') =>
    new InfluxDB({ url: server.url, token }).getWriteApi('org', 'bucket', 'ns', { maxRetries: 0, ...options })

  test('writes points that come out as they went in, gzip included', async () => {
    await openWorld()
    const api = client({ gzipThreshold: 1 })
    api.useDefaultTags({ site: 'lab' })
    api.writePoints([
      new Point('climate')
        .tag('device', 'probe 1, left=\\x')
        .floatField('t', 21.5)
        .intField('n', 7)
        .timestamp('1767225600000000001'),
      new Point('climate')
        .tag('device', 'p2')
        .stringField('note', 'a "b"\nc \\ 😀')
        .booleanField('ok', false)
        .timestamp('1767225600000000002'),
      new Point('climate')
        .tag('device', 'p2')
        .uintField('big', '18446744073709551615')
        .timestamp('1767225600000000003'),
    ])
    await api.close()
    expect(await rows()).toEqual([
      ['lab/probe 1, left=\\x/climate', '2026-01-01T00:00:00.000000001Z', { t: 21.5, n: 7 }],
      ['lab/p2/climate', '2026-01-01T00:00:00.000000002Z', { note: 'a "b"\nc \\ 😀', ok: false }],
      ['lab/p2/climate', '2026-01-01T00:00:00.000000003Z', { big: '18446744073709551615' }],
    ])
  })

  test('hears which line is wrong, and nothing of the request is stored', async () => {
    await openWorld()
    const failures: unknown[] = []
    const api = client({ writeFailed: async error => void failures.push(error) })
    api.writeRecords(['a v=1 1', 'b v=2 2', 'c v=oops 3'])
    await api.close().catch(() => {})
    const [failure] = failures
    if (!(failure instanceof HttpError)) throw new Error('expected an HttpError')
    expect([failure.statusCode, failure.code]).toEqual([400, 'invalid'])
    expect(failure.message).toContain('line 3: the value "oops" of the field "v" is neither number')
    expect(await entries()).toEqual([])
  })

  test('is refused without a gateway’s password where gateways are configured, and taken with it', async () => {
    const gateways = [{ id: 'north', username: 'north', password: 'pw-north' }]
    await openWorld({ access: { gateways } })
    const failures: unknown[] = []
    const stranger = client({ writeFailed: async error => void failures.push(error) }, 'wrong')
    stranger.writeRecord('a v=1 1')
    await stranger.close().catch(() => {})
    expect(failures[0]).toMatchObject({ statusCode: 401, code: 'unauthorized' })
    const known = client({}, 'pw-north')
    known.writeRecord('a v=1 1')
    await known.close()
    expect(await rows()).toHaveLength(1)
  })
})

describe('as Telegraf writes', () => {
  test('a host’s cores at one time stay apart; all else of their tags are columns', async () => {
    await openWorld()
    const body = gzipSync('cpu,cpu=cpu0,host=web usage=1 1767225600\ncpu,cpu=cpu1,host=web usage=2 1767225600\n')
    const { status, headers } = await post(`${v2}&precision=s`, new Uint8Array(body), {
      'content-encoding': 'gzip',
      'content-type': 'text/plain; charset=utf-8',
      authorization: 'Token abc',
    })
    expect([status, headers.has('x-influxdb-version')]).toEqual([204, true])
    expect(await rows()).toEqual([
      ['default/web,cpu=cpu0/cpu', '2026-01-01T00:00:00.000Z', { usage: 1, cpu: 'cpu0' }],
      ['default/web,cpu=cpu1/cpu', '2026-01-01T00:00:00.000Z', { usage: 2, cpu: 'cpu1' }],
    ])
  })

  test.each([
    [v1, 'n', 1_767_225_600_000_000_000n],
    [v1, 'ns', 1_767_225_600_000_000_000n],
    [v1, 'u', 1_767_225_600_000_000n],
    [v1, 'ms', 1_767_225_600_000n],
    [v1, 's', 1_767_225_600n],
    [v1, 'm', 29_453_760n],
    [v1, 'h', 490_896n],
    [v2, 'ns', 1_767_225_600_000_000_000n],
    [v2, 'us', 1_767_225_600_000_000n],
    [v2, 'ms', 1_767_225_600_000n],
    [v2, 's', 1_767_225_600n],
    [v2, '', 1_767_225_600_000_000_000n],
  ])('%s with precision %s', async (path, precision, timestamp) => {
    await openWorld()
    expect((await post(`${path}&precision=${precision}`, `m v=1 ${timestamp}`)).status).toBe(204)
    expect((await rows())[0]?.[1]).toBe('2026-01-01T00:00:00.000Z')
  })

  test('a precision that the version does not know is refused in its form', async () => {
    await openWorld()
    expect(await post(`${v2}&precision=h`, 'm v=1')).toMatchObject({
      status: 400,
      body: { code: 'invalid', message: expect.stringContaining('precision "h" is unknown: expected one of ns') },
    })
    expect(await post(`${v1}&precision=x`, 'm v=1')).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('precision "x" is unknown') },
    })
  })
})

describe('rows', () => {
  test('without a timestamp none replaces another, in one request or in many of one moment', async () => {
    await openWorld()
    await post(v2, 'm v=1\nm v=2\nm w=3\nm v=4')
    await post(v2, 'm v=5')
    const got = await rows()
    expect(got.map(([, , values]) => values)).toEqual([{ v: 1, w: 3 }, { v: 2 }, { v: 4 }, { v: 5 }])
    expect(new Set(got.map(([, time]) => time)).size).toBe(4)
    expect(got[0]?.[1]).toBe('2026-01-01T00:00:00.000Z')
  })

  test('of one series and time are one row; the later value of a field holds', async () => {
    await openWorld()
    await post(v2, 'm,host=a v=1 5\nm,host=a w=2 5\nm,host=a v=3 5')
    expect(await rows()).toEqual([['default/a/m', '1970-01-01T00:00:00.000000005Z', { v: 3, w: 2 }]])
  })

  test('of two kinds or centuries apart are all kept', async () => {
    await openWorld()
    await post(v2, 'm v=1 5\nm v="one" 6\nm v=2i 7\nm v=t 8\nm v=1 -9000000000000000000\nm v="same time" 5')
    expect((await rows()).map(([, , values]) => values.v).sort()).toEqual([1, 1, 2, 'one', 'same time', true].sort())
    const offsets = (await entries()).flatMap(entry => entry.frames).flatMap(frame => [...frame.offsetsNs])
    expect(offsets.every(Number.isSafeInteger)).toBe(true)
  })

  test('a field named status is a column of another name, and a tag may have the name of a field', async () => {
    await openWorld()
    await post(v2, 'm,path=/a,status=up status=200i,path="x" 5')
    expect((await rows())[0]).toEqual([
      'default/path=/a,status=up/m',
      '1970-01-01T00:00:00.000000005Z',
      { status_: 200, path: 'x', path_tag: '/a', status__tag: 'up' },
    ])
  })

  test('the journal keeps the bytes as they came', async () => {
    await openWorld()
    const body = new Uint8Array(gzipSync('# note\nm v=1 5\n'))
    await post(v2, body, { 'content-encoding': 'gzip' })
    const stop = new AbortController()
    for await (const entry of journal.read(0, stop.signal)) {
      expect(Buffer.from(entry.body).subarray(-body.length)).toEqual(Buffer.from(body))
      stop.abort()
    }
  })
})

describe('what is refused', () => {
  const cases: [string, string, string | Uint8Array<ArrayBuffer>, Record<string, string>, number, unknown][] = [
    [
      'a bad line',
      v2,
      'a v=1\nb v=x',
      {},
      400,
      { code: 'invalid', message: expect.stringMatching(/^line 2: the value "x"/) },
    ],
    ['a bad line', v1, 'a v=1\n\nb', {}, 400, { error: 'line 3: has no fields: expected a space and name=value' }],
    ['two bad lines', v1, 'a\nb', {}, 400, { error: expect.stringMatching(/^line 1: .* \(and 1 more lines\)$/) }],
    [
      'a time in the wrong precision',
      `${v2}&precision=s`,
      'a v=1 1767225600000000000',
      {},
      400,
      { code: 'invalid', message: expect.stringContaining('is its precision another?') },
    ],
    [
      'broken gzip',
      v2,
      Uint8Array.of(0x1f, 0x8b, 1, 2),
      { 'content-encoding': 'gzip' },
      400,
      { code: 'invalid', message: 'the body is not whole gzip' },
    ],
    [
      'another encoding',
      v2,
      'a v=1',
      { 'content-encoding': 'br' },
      415,
      { code: 'invalid', message: expect.stringContaining('br') },
    ],
    ['nothing', v2, '', {}, 400, { code: 'invalid', message: 'The body is empty.' }],
    ['too much', v1, 'x'.repeat(8 * 1024 * 1024 + 1), {}, 413, { error: expect.stringContaining('8388608') }],
    [
      'a page of elsewhere',
      v2,
      'a v=1',
      { origin: 'http://evil.example' },
      403,
      { code: 'forbidden', message: expect.stringContaining('origin') },
    ],
  ]
  test.each(cases)('%s: %s', async (_, path, body, headers, status, said) => {
    await openWorld()
    expect(await post(path, body, headers)).toMatchObject({ status, body: said })
    expect(await entries()).toEqual([])
  })

  test('a small body that would expand without end', async () => {
    await openWorld()
    const bomb = new Uint8Array(gzipSync(Buffer.alloc(17 * 1024 * 1024, ' ')))
    expect(await post(v2, bomb, { 'content-encoding': 'gzip' })).toMatchObject({
      status: 400,
      body: { code: 'invalid', message: 'the body expands to more than 16777216 bytes' },
    })
  })

  test('a journal that fails is answered so that clients try again', async () => {
    await openWorld({}, () => ({ ...journal, append: async () => Promise.reject(new Error('no space left')) }))
    const answer = await post(v2, 'a v=1')
    expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } })
    expect(answer.headers.get('retry-after')).toBe('1')
    await server.close()
    await openWorld()
    expect((await post(v2, '# nothing but this')).status).toBe(204)
    expect(await entries()).toEqual([])
  })

  test('another method', async () => {
    await openWorld()
    const answer = await fetch(`${server.url}/api/v2/write`)
    expect([answer.status, await answer.json()]).toMatchObject([405, { code: 'method not allowed' }])
  })
})

describe('credentials', () => {
  const gateways = [{ id: 'north', username: 'user', password: 'pw' }]
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
  test.each([
    [v2, 'Token pw', 204],
    [v2, 'Bearer pw', 204],
    [v2, 'Token user:pw', 204],
    [v2, 'Token other:pw', 401],
    [v2, 'Token nothing', 401],
    [v1, basic('user:pw'), 204],
    [v1, basic('user:no'), 401],
    [`${v1}&u=user&p=pw`, '', 204],
    [`${v1}&u=other&p=pw`, '', 401],
    [`${v1}&u=user&p=pw`, 'Token nothing', 401],
    [v1, '', 401],
  ])('%s %s: %i, on this machine and from another', async (path, authorization, status) => {
    await openWorld({ access: { gateways, token: 'for-people' } })
    const headers = authorization === '' ? {} : { authorization }
    expect((await post(path, 'a v=1', headers)).status).toBe(status)
    const init = { method: 'POST', body: 'a v=1', headers, from: '10.0.0.7' }
    expect((await world.request(path, init)).status).toBe(status)
  })

  test('without configured gateways the token of the service is asked of other machines', async () => {
    await openWorld({ access: { token: 'for-people' } })
    const init = { method: 'POST', body: 'a v=1', from: '10.0.0.7' }
    const answer = await world.request(v2, init)
    expect([answer.status, await answer.json()]).toMatchObject([401, { code: 'unauthorized' }])
    expect((await world.request(v2, { ...init, headers: { authorization: 'Token for-people' } })).status).toBe(204)
    expect((await world.request(`${v1}&u=x&p=for-people`, init)).status).toBe(204)
    // The query's password opens nothing else.
    expect((await world.request('/v1/counts?u=x&p=for-people', { from: '10.0.0.7' })).status).toBe(401)
  })
})
