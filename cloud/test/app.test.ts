import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { loadWeb, type WebFiles } from '@penstock/http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createWorld, problemOf } from './app-world.ts'

describe('system routes', () => {
  it('says that it is alive, ready and what it measures', async () => {
    const world = createWorld()
    expect((await world.get('/health')).body).toEqual({
      status: 'ok',
      version: '1.2.3',
      time: '2024-08-01T12:00:00.000Z',
    })
    expect((await world.get('/ready')).status).toBe(200)
    const metrics = await world.get('/metrics')
    expect(metrics.headers.get('content-type')).toMatch(/^text\/plain/)
    expect(metrics.body).toContain('penstock_journal_last_seq 7')
    expect(metrics.body).toContain('penstock_http_requests_total{method="GET",path="/health",status="200"} 1')
  })

  it('is not ready while projections are behind, and says why', async () => {
    const reasons = ['historian is 12,000 entries behind']
    const world = createWorld({ deps: { readiness: () => ({ ready: false, reasons }) } })
    const answer = await world.get('/ready')
    expect(answer.status).toBe(503)
    expect(answer.body).toEqual({ ready: false, reasons })
  })

  it('counts unknown paths under one name, so that nobody can fill the metrics', async () => {
    const world = createWorld()
    for (const path of ['/a', '/b', '/c']) await world.get(path)
    const { body } = await world.get('/metrics')
    expect(body).toContain('{method="GET",path="other",status="404"} 3')
  })

  it('describes every path in OpenAPI 3.1', async () => {
    const { body } = await createWorld().get('/openapi.json')
    const { openapi, paths } = body as {
      openapi: string
      paths: Record<string, Record<string, { parameters?: object[] }>>
    }
    expect(openapi).toBe('3.1.0')
    expect(Object.keys(paths).sort()).toEqual(
      [
        ...[
          '/api/v2/write',
          '/write',
          '/query',
          '/health',
          '/ready',
          '/metrics',
          '/v1/sites',
          '/v1/devices',
          '/v1/streams',
          '/v1/readings',
          '/v1/lineage',
          '/v1/flags',
          '/v1/compare',
          '/v1/counts',
          '/v1/counts/week',
        ],
        ...['/v1/coverage', '/v1/gaps', '/v1/flow', '/v1/attention'],
        ...['/v1/gateways', '/v1/ledger', '/v1/losses', '/v1/frames', '/v1/status', '/v1/events'],
        ...['', '/groups', '/{id}', '/preview', '/replay', '/{id}/replay', '/dismiss'].map(p => `/v1/rejects${p}`),
      ].sort(),
    )
    expect(paths['/v1/counts']?.get?.parameters).toHaveLength(11)
  })
})

describe('problems', () => {
  it.each([
    ['/v1/count', 404, 'unknown-path', 'There is nothing at /v1/count. Did you mean "/v1/counts"?'],
    ['/health?x=1', 400, 'unknown-parameter', 'x: no parameter is known here.'],
    ['/v1/readings?site=London', 400, 'invalid-parameter', 'device: is missing. stream: is missing.'],
    ['/v1/sites?kind=shop', 400, 'invalid-parameter', 'kind: expected store or lab or plant, got "shop".'],
    ['/v1/sites?kind=store&kind=lab', 400, 'invalid-parameter', /^kind: expected store or lab or plant/],
    ['/v1/devices?site=Madird', 404, 'unknown-store', 'There is no site "Madird". Did you mean "Madrid"?'],
    [
      '/v1/counts?from=yesterday',
      400,
      'invalid-parameter',
      /^from: expected a date such as 2026-03-01 or a time with offset/,
    ],
    ['/v1/counts?from=2024-07-01T09:00:00', 400, 'invalid-parameter', /with offset/],
    ['/v1/counts?from=2024-02-30', 400, 'invalid-parameter', /2024-02-30/],
    ['/v1/rejects?limit=0', 400, 'invalid-parameter', 'limit: expected a whole number from 1 to 1000, got "0".'],
    ['/v1/rejects?page=x', 400, 'invalid-parameter', /^page: /],
    ['/v1/counts?weekday=8', 400, 'invalid-parameter', /^weekday: expected 0 \(Monday\) to 6/],
    ['/v1/counts?hours=9-12', 400, 'invalid-parameter', 'hours: is known only at resolution=hour.'],
    ['/v1/counts?level=store&sensor=1', 400, 'invalid-parameter', 'sensor: is known only at level=sensor.'],
    ['/v1/counts?hours=20-9', 400, 'invalid-parameter', /^hours: /],
  ])('%s', async (path, status, kind, detail) => {
    const problem = problemOf(await createWorld().get(path))
    expect(problem.status).toBe(status)
    expect(problem.type).toBe(`urn:penstock:problem:${kind}`)
    expect(problem.detail).toMatch(detail)
  })

  it('names the nearest valid parameter', async () => {
    const problem = problemOf(await createWorld().get('/v1/counts?stroe=London&lvel=store'))
    expect(problem.errors?.map(e => [e.parameter, e.suggestion])).toEqual([
      ['stroe', 'store'],
      ['lvel', 'level'],
    ])
  })

  it('answers a method that a path does not have with what it has', async () => {
    const world = createWorld()
    const response = await world.request('/v1/sites', { method: 'DELETE' })
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('GET, HEAD')
    expect((await world.request('/v1/frames')).headers.get('allow')).toBe('POST')
  })

  it('keeps what failed inside to itself and to the log', async () => {
    const streams = async () => {
      throw new Error('secret detail of the disk')
    }
    const world = createWorld()
    const failing = createWorld({ deps: { historian: { ...world.historian, streams } } })
    const answer = await failing.get('/v1/streams')
    expect(answer.status).toBe(500)
    expect(JSON.stringify(answer.body)).not.toContain('secret')
    expect(JSON.stringify(failing.errors, (_, v: unknown) => (v instanceof Error ? v.message : v))).toContain(
      'secret detail',
    )
  })
})

describe('the page', () => {
  let dir: string
  let web: WebFiles | undefined
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'penstock-web-'))
    await mkdir(join(dir, 'assets'))
    await writeFile(join(dir, 'index.html'), '<!doctype html><title>Page</title>')
    await writeFile(join(dir, 'assets', 'index-1a2b.js'), 'console.log(1)\n'.repeat(200))
    await writeFile(join(dir, 'secret.key'), 'not to be served')
    web = await loadWeb(dir)
  })
  afterAll(() => rm(dir, { recursive: true }))
  const world = () => createWorld({ deps: { ...(web && { web }) } })

  it('comes with a strict policy and from nowhere else', async () => {
    const { status, headers, body } = await world().get('/')
    expect(status).toBe(200)
    expect(body).toContain('<title>Page</title>')
    expect(headers.get('content-security-policy')).toMatch(/default-src 'self'/)
    expect(headers.get('content-security-policy')).not.toMatch(/unsafe|\*|http/)
    expect(headers.get('cache-control')).toBe('no-cache')
  })

  it('is answered by its ETag when nothing changed', async () => {
    const etag = (await world().get('/')).headers.get('etag') ?? ''
    const again = await world().get('/', { 'if-none-match': `"other", ${etag}` })
    expect([again.status, again.body]).toEqual([304, ''])
  })

  it('sends assets packed and cached for ever', async () => {
    const response = await world().request('/assets/index-1a2b.js', { headers: { 'accept-encoding': 'gzip, deflate' } })
    expect(response.headers.get('content-encoding')).toBe('gzip')
    expect(response.headers.get('cache-control')).toContain('immutable')
    expect(gunzipSync(Buffer.from(await response.arrayBuffer())).toString()).toBe('console.log(1)\n'.repeat(200))
    expect((await world().request('/', { method: 'HEAD' })).body).toBeNull()
  })

  it('serves what belongs to it and nothing beside it', async () => {
    for (const path of ['/secret.key', '/../secret.key', '/%2e%2e/package.json', '/assets/', '/index.html']) {
      expect((await world().get(path)).status, path).toBe(404)
    }
    expect((await world().request('/', { method: 'POST' })).status).toBe(405)
  })

  it('says how to build it where it is not built', async () => {
    const { status, body } = await createWorld().get('/')
    expect(status).toBe(503)
    expect(body).toContain('not built yet')
    expect(await loadWeb(join(dir, 'nowhere'))).toBeUndefined()
  })
})

describe('access', () => {
  const token = 'a-long-token'
  const from = '192.168.1.20'
  const basic = (user: string, secret: string) => `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`

  it('asks other machines for the token, and not this one', async () => {
    const world = createWorld({ access: { token } })
    expect((await world.request('/v1/sites')).status).toBe(200)
    expect((await world.request('/v1/sites', { from: '::ffff:127.0.0.1' })).status).toBe(200)
    const refused = await world.request('/v1/sites', { from })
    expect(refused.status).toBe(401)
    expect(refused.headers.get('www-authenticate')).toContain('Basic')
    for (const authorization of [`Bearer ${token}`, basic('anyone', token)]) {
      expect((await world.request('/v1/sites', { from, headers: { authorization } })).status).toBe(200)
    }
    for (const authorization of ['Bearer wrong', basic('anyone', 'wrong'), 'Basic !!', 'Bearer', token]) {
      expect((await world.request('/', { from, headers: { authorization } })).status, authorization).toBe(401)
    }
    expect((await world.request('/health', { from })).status).toBe(200)
  })

  it('is not read through a name that another site made point here', async () => {
    const world = createWorld({ access: { hosts: ['Shop-PC'] } })
    const ask = async (host: string) => (await world.request('/v1/sites', { headers: { host } })).status
    expect(await Promise.all(['localhost:8080', '127.0.0.1:8080', '[::1]:8080', 'shop-pc:8080'].map(ask))).toEqual([
      200, 200, 200, 200,
    ])
    expect(await ask('evil.example')).toBe(403)
    const guarded = createWorld({ access: { token } })
    expect((await guarded.request('/v1/sites', { headers: { host: 'evil.example' } })).status).toBe(403)
  })

  it('does not let a page of another origin write', async () => {
    const world = createWorld()
    const post = (headers: Record<string, string>) =>
      world.request('/v1/frames?gateway=g&epoch=e&seq=1', {
        method: 'POST',
        body: '{}',
        headers: { 'content-type': 'application/octet-stream', host: 'localhost:8080', ...headers },
      })
    expect((await post({ origin: 'https://evil.example' })).status).toBe(403)
    expect((await post({ origin: 'null' })).status).toBe(403)
    expect((await post({ 'content-type': 'text/plain' })).status).toBe(415)
    expect((await post({ origin: 'http://localhost:8080' })).status).toBe(204)
    expect(world.taken).toHaveLength(1)
  })
})
