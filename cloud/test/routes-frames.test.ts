import { request } from 'node:http'
import { encodeStatus, type Status } from '@penstock/frame'
import { openServer } from '@penstock/http'
import { describe, expect, it } from 'vitest'
import { createWorld, problemOf, type World } from './app-world.ts'

const octets = { 'content-type': 'application/octet-stream' }
const send = async (
  world: World,
  query: string,
  body: string | Uint8Array<ArrayBuffer> = 'x',
  headers: Record<string, string> = {},
) => {
  const response = await world.request(`/v1/frames?${query}`, {
    method: 'POST',
    body,
    headers: { ...octets, ...headers },
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? undefined : (JSON.parse(text) as object),
  }
}
const status: Status = {
  ...{ online: true, epoch: 'e1', oldestSeq: 1, nextSeq: 9, spoolBytes: 1, version: '1' },
  ...{ clock: '2024-08-01T12:00:00Z', sources: [] },
}

describe('POST /v1/frames', () => {
  it('hands the body on as it is and answers 204 once it is stored', async () => {
    const world = createWorld()
    const body = Uint8Array.of(0x1f, 0x8b, 0, 255, 10)
    const { status, headers } = await send(world, 'gateway=g&epoch=e1&seq=5', body)
    expect([status, headers.get('penstock-through')]).toEqual([204, '5'])
    expect(world.taken).toEqual([{ gateway: 'g', epoch: 'e1', seq: 5, body: Buffer.from(body) }])
  })

  it('takes the identity from headers as well', async () => {
    const world = createWorld()
    await send(world, '', 'x', { 'penstock-gateway': 'g', 'penstock-epoch': 'e1', 'penstock-seq': '6' })
    expect(world.taken[0]).toMatchObject({ gateway: 'g', epoch: 'e1', seq: 6 })
  })

  it('answers a gap with the receipt that asks for a resend', async () => {
    const world = createWorld()
    world.answer(epoch => ({ epoch, through: 3, resend: true }))
    const answer = await send(world, 'gateway=g&epoch=e1&seq=5')
    expect(answer.status).toBe(409)
    expect(answer.body).toMatchObject({ receipt: { epoch: 'e1', through: 3, resend: true } })
  })

  it('acknowledges an entry that was there before', async () => {
    const world = createWorld()
    world.answer(epoch => ({ epoch, through: 9 }))
    expect((await send(world, 'gateway=g&epoch=e1&seq=5')).headers.get('penstock-through')).toBe('9')
  })

  it('acknowledges nothing where the journal fails', async () => {
    const ingest = async () => {
      throw new Error('no space left')
    }
    expect((await send(createWorld({ deps: { ingest } }), 'gateway=g&epoch=e1&seq=1')).status).toBe(500)
  })

  it.each([
    ['gateway=g&epoch=e1&seq=0', 'x', 400],
    ['gateway=g&epoch=e1&seq=1.5', 'x', 400],
    ['gateway=g&epoch=e1&seq=9007199254740993', 'x', 400],
    ['gateway=g&epoch=e%2F1&seq=1', 'x', 400],
    ['gateway=&epoch=e1&seq=1', 'x', 400],
    ['epoch=e1&seq=1', 'x', 400],
    ['gateway=g&epoch=e1&seq=1', '', 400],
    ['gateway=g&epoch=e1&seq=1&sequence=1', 'x', 400],
  ])('refuses %s with body "%s"', async (query, body, status) => {
    const world = createWorld()
    const answer = await send(world, query, body)
    expect(answer.status).toBe(status)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(world.taken).toEqual([])
  })

  it('ends a body that is too large while it comes in, whatever its header says', async () => {
    const world = createWorld()
    const server = await openServer({
      fetch: world.fetch,
      host: '127.0.0.1',
      port: 0,
    })
    try {
      const chunk = Buffer.alloc(1024 * 1024)
      let sent = 0
      const answered = new Promise<number | string>(resolve => {
        const req = request(`${server.url}/v1/frames?gateway=g&epoch=e&seq=1`, { method: 'POST', headers: octets })
        req.on('response', res => {
          resolve(res.statusCode ?? 0)
          req.destroy()
        })
        req.on('error', error => resolve((error as NodeJS.ErrnoException).code ?? 'error'))
        const more = (): void => {
          if (req.destroyed) return
          sent += chunk.length
          if (sent <= 200 * chunk.length) req.write(chunk, () => setImmediate(more))
        }
        more()
      })
      expect([413, 'ECONNRESET', 'EPIPE']).toContain(await answered)
      expect(sent).toBeLessThan(100 * chunk.length)
      expect(world.taken).toEqual([])
    } finally {
      await server.close()
    }
  })

  it('refuses a declared length beyond the limit at once', async () => {
    const answer = await send(createWorld(), 'gateway=g&epoch=e1&seq=1', 'x', { 'content-length': '8388609' })
    expect(answer.status).toBe(413)
  })
})

describe('the identity of a gateway', () => {
  const gateways = [
    { id: 'north', username: 'north', password: 'pw-north' },
    { id: 'south', username: 'user-s', password: 'pw-south' },
  ]
  const basic = (user: string, secret: string) => `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`

  it('comes from its credential', async () => {
    const world = createWorld({ access: { gateways } })
    for (const authorization of ['Bearer pw-south', basic('user-s', 'pw-south')]) {
      expect((await send(world, 'epoch=e&seq=1', 'x', { authorization })).status).toBe(204)
    }
    expect((await send(world, 'gateway=south&epoch=e&seq=1', 'x', { authorization: 'Bearer pw-south' })).status).toBe(
      204,
    )
    expect(world.taken.map(t => t.gateway)).toEqual(['south', 'south', 'south'])
  })

  it('is not to be forged', async () => {
    const world = createWorld({ access: { gateways } })
    const tries: [string, Record<string, string>, number][] = [
      ['gateway=north&epoch=e&seq=1', {}, 401],
      ['gateway=north&epoch=e&seq=1', { authorization: 'Bearer nothing' }, 401],
      ['gateway=north&epoch=e&seq=1', { authorization: 'Bearer pw-south' }, 403],
      ['epoch=e&seq=1', { authorization: basic('north', 'pw-south') }, 401],
    ]
    for (const [query, headers, expected] of tries)
      expect((await send(world, query, 'x', headers)).status).toBe(expected)
    expect(world.taken).toEqual([])
  })

  it('opens only its own doors from another machine', async () => {
    const world = createWorld({ access: { gateways, token: 'for-people' } })
    const from = '10.0.0.7'
    const headers = { ...octets, authorization: 'Bearer pw-north' }
    const frames = await world.request('/v1/frames?epoch=e&seq=1', { method: 'POST', body: 'x', headers, from })
    expect(frames.status).toBe(204)
    expect((await world.request('/v1/counts', { headers, from })).status).toBe(401)
  })
})

describe('POST /v1/status', () => {
  it('hands the status on and answers with what the cloud has', async () => {
    const world = createWorld()
    const body = new Uint8Array(encodeStatus(status))
    const response = await world.request('/v1/status?gateway=g', { method: 'POST', body, headers: octets })
    expect(await response.json()).toEqual({ epoch: 'e1', through: 7 })
    expect(world.statuses).toEqual([{ gateway: 'g', status }])
  })

  it('refuses what is no status with one sentence', async () => {
    const world = createWorld()
    const response = await world.request('/v1/status?gateway=g', {
      method: 'POST',
      body: '{"online":1}',
      headers: octets,
    })
    expect(problemOf({ headers: response.headers, body: await response.json() }).status).toBe(400)
    expect(world.statuses).toEqual([])
  })
})

describe('GET /v1/gateways', () => {
  it('says what a gateway said, what waits there, and that a silent one is offline', async () => {
    const world = createWorld()
    const nowMs = world.deps.now().getTime()
    world.live.status('b', { ...status, clock: '2024-08-01T12:00:03Z' }, nowMs - 1000)
    world.live.status('a', status, nowMs - 600_000)
    const { body } = await world.get('/v1/gateways')
    expect(body).toMatchObject({
      gateways: [
        { gateway: 'a', online: false, silentMs: 600_000 },
        { gateway: 'b', online: true, silentMs: 1000, pendingEntries: 1, clockAheadMs: 4000 },
      ],
    })
  })
})
