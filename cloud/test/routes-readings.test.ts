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

  it('gives the axis of curves, and ends an answer where it changes', async () => {
    const world = createWorld()
    const stream = { ...key, stream: 'spectra' }
    const spectrum = (at: number, axis: number[], ...values: number[][]) =>
      frameOf(stream, startNs + BigInt(at) * BigInt(second), second, [
        {
          name: 'y',
          type: 'vector',
          unit: 'counts',
          axis: Float64Array.from(axis),
          values: values.map(v => Float64Array.from(v)),
        },
      ])
    await world.historian.write([spectrum(0, [400, 500], [1, 2], [3, 4]), spectrum(10, [600, 700], [5, 6])])
    const first = await read(world, `stream=spectra&from=${timeOf(0)}`)
    expect(first).toMatchObject({
      rows: 2,
      next: timeOf(10),
      columns: [
        {
          axis: [400, 500],
          values: [
            [1, 2],
            [3, 4],
          ],
        },
      ],
    })
    expect(await read(world, `stream=spectra&from=${first.next}`)).toMatchObject({
      ...{ rows: 1, next: null, columns: [{ axis: [600, 700], values: [[5, 6]] }] },
    })
    const newest = await read(world, `stream=spectra&order=desc&from=${timeOf(0)}`)
    expect(newest).toMatchObject({ rows: 1, next: timeOf(10), columns: [{ axis: [600, 700] }] })
  })

  it('shortens curves and keeps every peak', async () => {
    const world = createWorld()
    const values = Float64Array.from({ length: 1001 }, (_, i) => (i === 333 ? 900 : i === 700 ? -50 : i / 1001))
    const axis = Float64Array.from(values, (_, i) => 300 + i)
    await world.historian.write([
      frameOf({ ...key, stream: 'spectra' }, startNs, second, [{ name: 'y', type: 'vector', axis, values: [values] }]),
    ])
    const { columns } = await read(world, 'stream=spectra&curvePoints=51')
    const curve = (columns[0]?.values ?? [])[0] as number[]
    expect(curve).toHaveLength(50)
    expect([Math.max(...curve), Math.min(...curve)]).toEqual([900, -50])
    const short = (columns[0] as { axis?: number[] }).axis ?? []
    expect(short).toHaveLength(50)
    expect(short[curve.indexOf(900)]).toBeCloseTo(633, -2)
  })

  it('gives the same rows as CSV: local times, units, no formula, curves in one field', async () => {
    const world = await gauge()
    const ask = (query: string) => world.get(`/v1/readings?site=bench&device=gauge&format=csv&${query}`)
    const { status, headers, body } = await ask(`stream=pressure&from=${timeOf(2)}&to=${timeOf(5)}`)
    expect(status).toBe(200)
    expect(headers.get('content-disposition')).toBe('attachment; filename="bench-gauge-pressure.csv"')
    expect(String(body).split('\r\n')).toEqual([
      'time,local time (Asia/Tokyo),pa [Pa],status,valve',
      '2024-06-15T00:00:02.123456789Z,2024-06-15 09:00:02.123+09:00,2,,',
      '2024-06-15T00:00:03.123456789Z,2024-06-15 09:00:03.123+09:00,3,failed,',
      '2024-06-15T00:00:04.123456789Z,2024-06-15 09:00:04.123+09:00,4,,',
      '',
    ])
    expect((await ask('stream=curve')).body).toContain(',1 2\r\n')
    const all = String((await ask('stream=pressure&columns=pa')).body).split('\r\n')
    expect(all).toHaveLength(n + 2 + 2)
    expect(String((await ask('stream=pressure&columns=pa&points=10')).body).split('\r\n').length).toBeLessThan(20)
    await world.historian.write([
      frameOf({ ...key, stream: 'note' }, startNs, second, [{ name: 'text', type: 'text', values: ['=1+1'] }]),
    ])
    expect((await ask('stream=note')).body).toContain(",'=1+1\r\n")
  })

  it('says whether a downsample left rows out', async () => {
    const world = await gauge()
    const ask = async (query: string) =>
      (await read(world, `stream=pressure&columns=pa&from=${timeOf(0)}&${query}`)) as Readings & {
        downsampled: boolean
      }
    expect((await ask('points=20')).downsampled).toBe(true)
    expect(await ask(`points=20&to=${timeOf(20)}`)).toMatchObject({ downsampled: false, rows: 20 })
    expect(await ask(`points=20&to=${timeOf(21)}`)).toMatchObject({ downsampled: true })
  })
})
