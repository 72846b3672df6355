/** Server-sent events over real sockets. */
import { connect, type Socket } from 'node:net'
import { type HttpServer, openServer } from '@penstock/http'
import { afterEach, describe, expect, it } from 'vitest'
import { createLive } from '../src/projectors/live.ts'
import { createWorld, frameOf, hourRows, problemOf, type World } from './app-world.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})
const serve = async (world: World): Promise<HttpServer> => {
  const server = await openServer({ fetch: world.fetch, host: '127.0.0.1', port: 0 })
  closers.push(() => server.close())
  return server
}

interface SseEvent {
  id?: string
  event?: string
  data?: string
}
/** Reads events as a browser does. */
const listen = async (url: string, headers: Record<string, string> = {}) => {
  const abort = new AbortController()
  closers.push(() => abort.abort())
  const response = await fetch(url, { headers, signal: abort.signal })
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  const next = async (): Promise<SseEvent | undefined> => {
    for (;;) {
      const end = text.indexOf('\n\n')
      if (end >= 0) {
        const block = text.slice(0, end)
        text = text.slice(end + 2)
        const event: SseEvent = Object.fromEntries(block.split('\n').map(l => l.split(/: (.*)/s)))
        if (event.event !== undefined) return event
        continue
      }
      const step = await reader?.read()
      if (!step || step.done) return undefined
      text += step.value
    }
  }
  return { response, next, abort }
}
const reading = (value: number, size = 0) => ({
  ...{ seq: value, receivedMs: 0, rejects: [], ledger: [] },
  frames: [
    frameOf({ site: 'bench', device: `d${value}`, stream: 's' }, 0n, 0, [
      { name: 'x', type: 'int' as const, values: [value] },
      ...Array.from({ length: size }, (_, i) => ({ name: `t${i}`, type: 'text' as const, values: ['y'.repeat(200)] })),
    ]),
  ],
})

describe('GET /v1/events', () => {
  it('tells a count as soon as it was computed', async () => {
    const world = createWorld()
    const server = await serve(world)
    const { response, next } = await listen(`${server.url}/v1/events?types=count`)
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(await next()).toMatchObject({ event: 'hello', id: 'r1.0' })
    world.live.aggregates(hourRows('London', '', [{ date: '2024-07-02', hour: 9, count: 42 }], 'Europe/London'))
    const event = await next()
    expect(event).toMatchObject({ event: 'count', id: 'r1.1' })
    expect(JSON.parse(event?.data ?? '')).toMatchObject({ store: 'London', rows: [{ hour: 9, count: 42 }] })
  })

  it('goes on behind Last-Event-ID', async () => {
    const world = createWorld()
    const server = await serve(world)
    const first = await listen(`${server.url}/v1/events`)
    await first.next()
    for (let i = 1; i <= 3; i++) {
      await world.live.apply([reading(i)])
      expect((await first.next())?.id).toBe(`r1.${i}`)
    }
    first.abort.abort()
    const again = await listen(`${server.url}/v1/events`, { 'last-event-id': 'r1.1' })
    expect([(await again.next())?.id, (await again.next())?.id]).toEqual(['r1.2', 'r1.3'])
    const byQuery = await listen(`${server.url}/v1/events?after=r1.2`)
    expect((await byQuery.next())?.id).toBe('r1.3')
    const other = await listen(`${server.url}/v1/events?after=r0.2`)
    expect((await other.next())?.event).toBe('reset')
  })

  it('lets go of a client that goes away', async () => {
    const world = createWorld()
    const server = await serve(world)
    const client = await listen(`${server.url}/v1/events`)
    await client.next()
    expect(world.live.stats().clients).toBe(1)
    client.abort.abort()
    await expect.poll(() => world.live.stats().clients).toBe(0)
  })

  it('lets go where only its stream is given up', async () => {
    const world = createWorld()
    const reader = (await world.request('/v1/events')).body?.getReader()
    await reader?.read()
    expect(world.live.stats().clients).toBe(1)
    await reader?.cancel()
    expect(world.live.stats().clients).toBe(0)
  })

  it('cuts off a client that does not read, and holds little for it', async () => {
    const live = createLive({ run: 'r1', now: Date.now, coalesceMs: 0 })
    const world = createWorld({ deps: { live } })
    const server = await serve(world)
    const { hostname, port } = new URL(server.url)
    const socket: Socket = connect(Number(port), hostname)
    closers.push(() => socket.destroy())
    socket.write('GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n')
    socket.pause()
    await expect.poll(() => live.stats().clients).toBe(1)
    // Much more than sockets and queue hold.
    for (let i = 1; i <= 100_000 && live.stats().clientsCut === 0; i++) {
      await live.apply([reading(i, 40)])
      if (i % 20 === 0) await new Promise(resolve => setTimeout(resolve, 1))
    }
    expect(live.stats()).toMatchObject({ clientsCut: 1, clients: 0 })
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text = (text + chunk).slice(-2000)
    })
    socket.resume()
    await expect.poll(() => text, { timeout: 10_000 }).toContain('event: cut')
  })

  it('ends with the service', async () => {
    const world = createWorld()
    const server = await serve(world)
    const client = await listen(`${server.url}/v1/events`)
    await client.next()
    await world.live.close()
    expect(await client.next()).toBeUndefined()
  })

  it('refuses one client too many with a problem, and leaves none behind for HEAD', async () => {
    const live = createLive({ run: 'r1', now: Date.now, clientsMax: 1 })
    const world = createWorld({ deps: { live } })
    expect((await world.request('/v1/events', { method: 'HEAD' })).status).toBe(200)
    expect(live.stats().clients).toBe(0)
    live.subscribe()
    const answer = await world.get('/v1/events')
    expect([problemOf(answer).status, answer.headers.get('retry-after')]).toEqual([503, '10'])
    expect(problemOf(await createWorld().get('/v1/events?types=counts')).detail).toMatch(
      /^types: expected some of reading/,
    )
  })
})
