import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatNs, rowNs } from '@penstock/frame'
import { type Log, openLog } from '@penstock/log'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { decodeEntry } from '../src/entry.ts'
import { createIngest } from '../src/ingest.ts'
import { lineMappingSchema } from '../src/lines.ts'
import { createWorld, problemOf, type World } from './app-world.ts'

let dir: string
let journal: Log
let world: World
const open = (access: Parameters<typeof createWorld>[0] = {}) => {
  const log = { warn() {}, error() {} }
  const ingest = createIngest({ journal, now: () => new Date(Date.UTC(2026, 0, 1)), queueBytesMax: 1 << 20, log })
  world = createWorld({ ...access, deps: { writes: { ...ingest, mapping: lineMappingSchema.parse({}) } } })
}
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'penstock-posted-'))
  journal = await openLog(join(dir, 'journal'))
  open()
})
afterEach(async () => {
  await journal.close()
  await rm(dir, { recursive: true, force: true })
})
const post = async (body: unknown, query = '', headers: Record<string, string> = {}) => {
  const response = await world.request(`/v1/readings${query}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? undefined : (JSON.parse(text) as unknown),
  }
}
const frames = async () => {
  const all: ReturnType<typeof decodeEntry>['frames'] = []
  const last = journal.stats().nextSeq - 1
  if (last === 0) return all
  const stop = new AbortController()
  for await (const entry of journal.read(0, stop.signal)) {
    all.push(...decodeEntry(entry.seq, entry.body).frames)
    if (entry.seq === last) stop.abort()
  }
  return all
}
const key = { site: 's', device: 'd', stream: 'x' }

describe('POST /v1/readings', () => {
  it('takes one reading or many; what a reading does not say is in the query', async () => {
    expect(
      (await post({ ...key, time: '2026-03-01T12:00:00Z', values: { t: 21.4, note: 'ok', on: true, none: null } }))
        .status,
    ).toBe(204)
    const many = [{ values: { t: 1 } }, { values: { t: 2 } }, { device: 'e', values: { t: 3 } }]
    expect((await post(many, '?site=s&device=d&stream=x')).status).toBe(204)
    const [one, two, three] = await frames()
    expect(one).toMatchObject({
      ...key,
      columns: [
        { name: 't', type: 'float', values: [21.4] },
        { name: 'note', type: 'text', values: ['ok'] },
        { name: 'on', type: 'bool', values: [true] },
      ],
    })
    expect(two && [rowNs(two, 0), rowNs(two, 1)].map(formatNs)).toEqual([
      '2026-01-01T00:00:00.000001Z',
      '2026-01-01T00:00:00.000002Z',
    ])
    expect(three).toMatchObject({ ...key, device: 'e', columns: [{ values: [3] }] })
  })

  it('lets a text under status say what is wrong with a row, and nothing else', async () => {
    await post([{ ...key, values: { status: 'failed' } }])
    await post([{ ...key, values: { status: 200 } }])
    expect((await frames()).map(f => f.columns.map(c => [c.name, c.type]))).toEqual([
      [['status', 'text']],
      [['status_', 'float']],
    ])
  })

  it.each([
    ['no JSON', '{', '', 'the body is not JSON in UTF-8.'],
    ['an empty list', [], '', 'the body is an empty list.'],
    ['no stream', { site: 's', device: 'd', values: { t: 1 } }, '', 'stream: is missing, here and in the query.'],
    ['no value', { ...key, values: { t: null } }, '', 'values: has no value.'],
    [
      'a time without offset',
      [
        { ...key, values: { t: 1 } },
        { ...key, time: '2026-01-01T00:00:00', values: { t: 1 } },
      ],
      '',
      '[1].time: is not an ISO 8601 time with offset.',
    ],
    ['an unknown member', { ...key, value: { t: 1 }, values: { t: 1 } }, '', 'the reading: Unrecognized key: "value".'],
    ['a list as a value', { ...key, values: { t: [1] } }, '', 'values.t: Invalid input.'],
    ['an unknown parameter', { ...key, values: { t: 1 } }, '?sit=s', 'sit: unknown; known are site'],
  ])('refuses %s whole, in one sentence', async (_, body, query, detail) => {
    const answer = await post(body, query)
    expect(answer.status).toBe(400)
    expect(problemOf(answer).detail).toContain(detail)
    expect(await frames()).toEqual([])
  })

  it('refuses what a page of elsewhere may send, and whoever is no gateway where these are configured', async () => {
    expect((await post({ ...key, values: { t: 1 } }, '', { 'content-type': 'text/plain' })).status).toBe(415)
    open({ access: { gateways: [{ id: 'g', username: 'g', password: 'pw' }] } })
    expect((await post({ ...key, values: { t: 1 } })).status).toBe(401)
    expect((await post({ ...key, values: { t: 1 } }, '', { authorization: 'Bearer pw' })).status).toBe(204)
    expect(await frames()).toHaveLength(1)
  })

  it('is described, with its schema', async () => {
    const { body } = await world.get('/openapi.json')
    const api = body as {
      paths: Record<string, { get?: object; post?: { requestBody?: { content: object } } }>
      components: { schemas: Record<string, { properties?: object; required?: string[] }> }
    }
    expect(Object.keys(api.paths['/v1/readings'] ?? {}).sort()).toEqual(['get', 'post'])
    expect(JSON.stringify(api.paths['/v1/readings']?.post?.requestBody)).toContain('#/components/schemas/PostedReading')
    expect(api.components.schemas.PostedReading?.required).toEqual(['values'])
  })

  it('answers to GET and POST and says so', async () => {
    const answer = await world.request('/v1/readings', { method: 'DELETE' })
    expect([answer.status, answer.headers.get('allow')?.split(', ').sort()]).toEqual([405, ['GET', 'HEAD', 'POST']])
  })
})
