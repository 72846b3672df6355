import { formatNs } from '@penstock/frame'
import { describe, expect, it } from 'vitest'
import { createWorld, frameOf, problemOf, type World } from './app-world.ts'

const key = { site: 'bench', device: 'gauge', stream: 'pressure' }
const startNs = 1_718_409_600_123_456_789n
const second = 1e9
const n = 100

const gauge = async (): Promise<World> => {
  const world = createWorld()
  const values = Float64Array.from({ length: n }, (_, i) => (i === 50 ? 1e6 : i))
  await world.historian.write([
    frameOf(key, startNs, second, [
      { name: 'pa', type: 'float', unit: 'Pa', values },
      { name: 'status', type: 'text', values: Array.from(values, (_, i) => (i === 3 ? 'failed' : null)) },
    ]),
    frameOf(key, startNs + 1000n * BigInt(second), second, [{ name: 'valve', type: 'bool', values: [true, false] }]),
    frameOf({ ...key, stream: 'curve' }, startNs, second, [
      { name: 'y', type: 'vector', values: [Float64Array.of(1, 2)] },
    ]),
  ])
  return world
}
interface Readings {
  rows: number
  time: string[]
  columns: { name: string; type: string; unit?: string; values: unknown[] }[]
  next: string | null
}
const read = async (world: World, query: string): Promise<Readings> => {
  const { status, body } = await world.get(`/v1/readings?site=bench&device=gauge&${query}`)
  if (status !== 200) throw new Error(JSON.stringify(body))
  return body as Readings
}
const timeOf = (i: number) => formatNs(startNs + BigInt(i) * BigInt(second))

describe('GET /v1/readings', () => {
  it('gives rows in columns, exact in time, holes as null', async () => {
    const readings = await read(await gauge(), 'stream=pressure')
    expect(readings.rows).toBe(n + 2)
    expect(readings.time[1]).toBe('2024-06-15T00:00:01.123456789Z')
    const column = (name: string) => readings.columns.find(c => c.name === name)
    expect(column('pa')).toMatchObject({ type: 'float', unit: 'Pa' })
    expect(column('pa')?.values.slice(-4)).toEqual([98, 99, null, null])
    expect(column('status')?.values[3]).toBe('failed')
    expect(column('valve')?.values.slice(-3)).toEqual([null, true, false])
  })

  it('takes a half-open range and the columns asked for', async () => {
    const readings = await read(await gauge(), `stream=pressure&columns=pa&from=${timeOf(10)}&to=${timeOf(12)}`)
    expect(readings.time).toEqual([timeOf(10), timeOf(11)])
    expect(readings.columns.map(c => c.name)).toEqual(['pa'])
  })

  it('pages through all rows without one missing or twice', async () => {
    const world = await gauge()
    const seen: string[] = []
    for (let from: string | null = timeOf(0); from !== null; ) {
      const page: Readings = await read(world, `stream=pressure&limit=7&from=${from}`)
      expect(page.rows).toBeLessThanOrEqual(7)
      for (const c of page.columns) expect(c.values).toHaveLength(page.rows)
      seen.push(...page.time)
      from = page.next
    }
    expect(seen).toHaveLength(n + 2)
    expect(new Set(seen).size).toBe(n + 2)
  })

  it('gives the newest first where asked, and pages back from there', async () => {
    const world = await gauge()
    const seen: string[] = []
    for (let to: string | null = timeOf(2000); to !== null; ) {
      const page: Readings = await read(world, `stream=pressure&order=desc&limit=9&from=${timeOf(0)}&to=${to}`)
      seen.push(...page.time)
      to = page.next
    }
    expect(seen[0]).toBe(timeOf(1001))
    expect(seen).toEqual([...new Set(seen)].sort().reverse())
    expect(seen).toHaveLength(n + 2)
  })

  it('holds an answer within its bound where rows are wide', async () => {
    const world = createWorld()
    const curve = new Float64Array(1_000_000)
    await world.historian.write([
      frameOf({ ...key, stream: 'wide' }, startNs, second, [
        { name: 'y', type: 'vector', values: Array.from({ length: 6 }, () => curve) },
      ]),
    ])
    const { rows, next } = await read(world, 'stream=wide')
    expect(rows).toBe(3)
    expect(next).toBe(timeOf(3))
  })

  it('keeps a spike when it downsamples', async () => {
    const readings = await read(await gauge(), 'stream=pressure&columns=pa&points=10')
    expect(readings.rows).toBeLessThan(60)
    expect(readings.columns[0]?.values).toContain(1e6)
  })

  it('gives curves as lists', async () => {
    const readings = await read(await gauge(), 'stream=curve')
    expect(readings.columns[0]).toMatchObject({ name: 'y', type: 'vector', values: [[1, 2]] })
  })

  it.each([
    ['site=bench&device=gauge&stream=presure', 404, 'pressure'],
    ['site=bench&device=guage&stream=pressure', 404, 'gauge'],
    ['site=bench&device=gauge&stream=pressure&columns=pq', 404, 'pa'],
    ['site=bench&device=gauge&stream=pressure&from=2024-06-16&to=2024-06-15', 400, undefined],
  ])('refuses %s', async (query, status, suggestion) => {
    const problem = problemOf(await (await gauge()).get(`/v1/readings?${query}`))
    expect([problem.status, problem.errors?.[0]?.suggestion]).toEqual([status, suggestion])
  })
})

describe('sites, devices and streams', () => {
  it('lists the configured sites and those that only readings speak of', async () => {
    const world = await gauge()
    await world.historian.write([
      frameOf({ site: 'attic', device: 'd', stream: 's' }, 0n, 1, [{ name: 'x', type: 'int', values: [1] }]),
    ])
    const { body } = await world.get('/v1/sites')
    const { sites } = body as { sites: { id: string; configured: boolean; zone: string; opening: unknown }[] }
    expect(sites.map(s => [s.id, s.configured, s.zone])).toEqual([
      ['London', true, 'Europe/London'],
      ['Madrid', true, 'Europe/Madrid'],
      ['bench', true, 'Asia/Tokyo'],
      ['attic', false, 'UTC'],
    ])
    expect(sites[0]?.opening).toEqual([...Array.from({ length: 6 }, () => [{ from: '09:00', to: '20:00' }]), []])
  })

  it('lists devices with what they last said', async () => {
    const world = await gauge()
    const frame = frameOf(key, startNs, second, [{ name: 'pa', type: 'float', values: [1, 2] }])
    await world.live.apply([{ seq: 1, receivedMs: 0, frames: [frame], rejects: [], ledger: [] }])
    const { body } = await world.get('/v1/devices?site=bench')
    expect(body).toMatchObject({
      devices: [
        {
          device: 'gauge',
          streams: ['curve', 'pressure'],
          rows: n + 3,
          last: timeOf(1001),
          latest: [{ stream: 'pressure', time: timeOf(1), values: { pa: 2 } }],
        },
      ],
    })
    const london = (await world.get('/v1/devices?site=London')).body as { devices: { device: string; name: string }[] }
    expect(london.devices.map(d => d.name)).toEqual(['0', 'North'])
  })
})
