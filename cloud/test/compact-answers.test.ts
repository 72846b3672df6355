/** Answers of the API on the line: ETag and 304, gzip and brotli, long answers in pieces, event streams untouched. */
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { compactAnswers, encodingFor, openServer, tagMatches } from '@penstock/http'
import { Hono } from 'hono'
import { describe, expect, test } from 'vitest'
import { createWorld } from './app-world.ts'

const big = { rows: Array.from({ length: 500 }, (_, i) => ({ store: 'London', count: i })) }
const bigText = JSON.stringify(big)
const unpack = {
  br: (bytes: Uint8Array) => brotliDecompressSync(bytes).toString(),
  gzip: (bytes: Uint8Array) => gunzipSync(bytes).toString(),
}

const piece = `${'x'.repeat(40)}\n`.repeat(800)
/** A body of so many pieces, and what became of it. */
const source = (pieces: number, failAt = -1) => {
  const state = { given: 0, cancelled: false }
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (state.given === failAt) throw new Error('the disk is gone')
        if (state.given === pieces) return controller.close()
        state.given++
        controller.enqueue(new TextEncoder().encode(piece))
      },
      cancel() {
        state.cancelled = true
      },
    },
    { highWaterMark: 0 },
  )
  return { state, body }
}
const appOf = (body: () => string | ReadableStream<Uint8Array>, headers: Record<string, string>) => {
  const app = new Hono()
  app.use(compactAnswers())
  app.on(['GET', 'POST'], '/', () => new Response(body(), { headers }))
  return app
}
const csv = { 'content-type': 'text/csv', 'transfer-encoding': 'chunked' }

describe('what a client takes', () => {
  test.each([
    [undefined, undefined],
    ['identity', undefined],
    ['gzip', 'gzip'],
    ['gzip, deflate, br, zstd', 'br'],
    ['br;q=0.5, gzip', 'gzip'],
    ['br;q=0, gzip;q=0.1', 'gzip'],
    ['*', 'br'],
    ['gzip;q=0, br;q=0, *', undefined],
    ['GZIP', 'gzip'],
  ])('%s: %s', (header, encoding) => expect(encodingFor(header)).toBe(encoding))

  test('tags are the same whether weak or strong', () => {
    expect(tagMatches('"a", W/"b"', 'W/"b"')).toBe(true)
    expect(tagMatches('"b"', 'W/"b"')).toBe(true)
    expect(tagMatches('*', 'W/"b"')).toBe(true)
    expect(tagMatches('"bb"', 'W/"b"')).toBe(false)
    expect(tagMatches(undefined, 'W/"b"')).toBe(false)
  })
})

describe('an answer that fits', () => {
  const app = appOf(() => bigText, { 'content-type': 'application/json' })

  test.each(['br', 'gzip'] as const)('is compressed by %s, and smaller', async encoding => {
    const response = await app.request('/', { headers: { 'accept-encoding': encoding } })
    const bytes = new Uint8Array(await response.arrayBuffer())
    expect(response.headers.get('content-encoding')).toBe(encoding)
    expect(response.headers.get('vary')).toBe('accept-encoding')
    expect(Number(response.headers.get('content-length'))).toBe(bytes.length)
    expect(bytes.length).toBeLessThan(bigText.length / 4)
    expect(unpack[encoding](bytes)).toBe(bigText)
  })

  test('has one tag in every encoding, and is not sent to who has it', async () => {
    const [plain, packed] = await Promise.all([
      app.request('/'),
      app.request('/', { headers: { 'accept-encoding': 'br' } }),
    ])
    const etag = plain.headers.get('etag') ?? ''
    expect(etag).toMatch(/^W\/"[\w-]{22}"$/)
    expect(packed.headers.get('etag')).toBe(etag)
    expect(await plain.text()).toBe(bigText)
    const known = await app.request('/', { headers: { 'if-none-match': etag } })
    expect([known.status, await known.text()]).toEqual([304, ''])
    expect(known.headers.get('etag')).toBe(etag)
    expect(known.headers.get('cache-control')).toBe('private, no-cache')
    expect((await app.request('/', { headers: { 'if-none-match': '"other"' } })).status).toBe(200)
  })

  test('of a POST is compressed, but has no tag', async () => {
    const response = await app.request('/', { method: 'POST', headers: { 'accept-encoding': 'gzip' } })
    expect(response.headers.get('content-encoding')).toBe('gzip')
    expect(response.headers.get('etag')).toBeNull()
  })

  test('of a few bytes is sent as it is', async () => {
    const small = appOf(() => '{}', { 'content-type': 'application/json' })
    const response = await small.request('/', { headers: { 'accept-encoding': 'br' } })
    expect(response.headers.get('content-encoding')).toBeNull()
    expect(response.headers.get('etag')).not.toBeNull()
  })

  test('in pieces, but short, is as one that is whole', async () => {
    const response = await appOf(() => source(2).body, csv).request('/')
    expect(response.headers.get('etag')).not.toBeNull()
    expect(response.headers.get('transfer-encoding')).toBeNull()
    expect(await response.text()).toBe(piece.repeat(2))
  })
})

describe('a long answer', () => {
  test.each([undefined, 'br', 'gzip'] as const)(
    'comes in pieces, encoding %s, none lost, none before its time',
    async encoding => {
      const { body, state } = source(200)
      const response = await appOf(() => body, csv).request('/', {
        headers: encoding ? { 'accept-encoding': encoding } : {},
      })
      expect(response.headers.get('etag')).toBeNull()
      expect(response.headers.get('content-encoding')).toBe(encoding ?? null)
      // Read as far as had to be known, and not as far as there is.
      expect(state.given).toBeLessThan(40)
      const bytes = new Uint8Array(await response.arrayBuffer())
      expect(encoding ? unpack[encoding](bytes) : new TextDecoder().decode(bytes)).toBe(piece.repeat(200))
    },
  )

  test.each([undefined, 'br'] as const)('that fails midway breaks off, encoding %s', async encoding => {
    for (const failAt of [2, 30]) {
      const response = await appOf(() => source(200, failAt).body, csv).request('/', {
        headers: encoding ? { 'accept-encoding': encoding } : {},
      })
      await expect(response.arrayBuffer()).rejects.toThrow('the disk is gone')
    }
  })

  test.each(['identity', 'br'])('ends at its source when the client goes away, encoding %s', async encoding => {
    const { body, state } = source(1_000_000)
    const app = appOf(() => body, csv)
    const server = await openServer({ fetch: app.fetch, host: '127.0.0.1', port: 0 })
    try {
      const abort = new AbortController()
      const response = await fetch(server.url, { headers: { 'accept-encoding': encoding }, signal: abort.signal })
      await response.body?.getReader().read()
      abort.abort()
      await expect.poll(() => state.cancelled, { timeout: 5000 }).toBe(true)
      expect(state.given).toBeLessThan(1_000_000)
    } finally {
      await server.close()
    }
  })
})

describe('the service', () => {
  test('tags and compresses its answers; an unchanged one is not sent again', async () => {
    const { request } = createWorld()
    const first = await request('/openapi.json', { headers: { 'accept-encoding': 'gzip' } })
    expect(first.headers.get('content-encoding')).toBe('gzip')
    const text = gunzipSync(new Uint8Array(await first.arrayBuffer())).toString()
    expect(JSON.parse(text)).toHaveProperty('paths')
    const again = await request('/openapi.json', { headers: { 'if-none-match': first.headers.get('etag') ?? '' } })
    expect(again.status).toBe(304)
  })

  test('passes events on as they come', async () => {
    const { request, live } = createWorld()
    const response = await request('/v1/events', { headers: { 'accept-encoding': 'br, gzip' } })
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    expect(response.headers.get('content-encoding')).toBeNull()
    expect(response.headers.get('etag')).toBeNull()
    const reader = response.body?.getReader()
    expect(new TextDecoder().decode((await reader?.read())?.value)).toContain('retry:')
    await reader?.cancel()
    await live.close()
  })

  test('tags no problem', async () => {
    const { request } = createWorld()
    const response = await request('/v1/counts?nothing=1')
    expect(response.status).toBe(400)
    expect(response.headers.get('etag')).toBeNull()
  })
})
