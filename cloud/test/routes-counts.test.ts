import { parquetReadObjects } from 'hyparquet'
import { describe, expect, it } from 'vitest'
import type { Aggregate, Historian } from '../src/historian.ts'
import { csvField } from '../src/routes/csv.ts'
import { createWorld, hourRows, nowMs, problemOf, type World } from './app-world.ts'

interface Row {
  store: string
  sensor: string | null
  date: string
  hour: number | null
  start: string
  count: number | null
  baseline: number | null
  changePercent: number | null
  status: string
  final: boolean
  coverage: number | null
}
const rowsOf = async (world: World, query: string): Promise<Row[]> => {
  const { status, body } = await world.get(`/v1/counts?${query}`)
  if (status !== 200) throw new Error(JSON.stringify(body))
  return (body as { rows: Row[] }).rows
}

/** The check of the specification: London, sensor 1, Mondays at 09 h. */
const mondays = [
  ['2024-07-01', 10_057, 10_057, 0],
  ['2024-07-08', 8720, 9388.5, -7.1204],
  ['2024-07-15', 13_042, 10_606.333, 22.9643],
  ['2024-07-22', 10_276, 10_523.75, -2.3542],
  ['2024-07-29', 1102, 8285, -86.6989],
] as const

const london = async (): Promise<World> => {
  const world = createWorld()
  await world.historian.writeAggregates([
    ...hourRows(
      'London',
      '1',
      mondays.map(([date, count]) => ({ date, hour: 9, count })),
      'Europe/London',
    ),
    ...hourRows('London', '1', [{ date: '2024-07-02', hour: 9, count: null }], 'Europe/London'),
    ...hourRows('London', '1', [{ date: '2024-07-02', hour: 14, count: 5 }], 'Europe/London'),
    ...hourRows('Madrid', '0', [{ date: '2024-07-02', hour: 9, count: 3 }], 'Europe/Madrid'),
  ])
  return world
}

describe('GET /v1/counts', () => {
  it('holds to the check of the specification, also where the range begins later', async () => {
    const world = await london()
    for (const from of [0, 3]) {
      const rows = await rowsOf(
        world,
        `level=sensor&resolution=hour&store=London&sensor=1&weekday=mon&from=${mondays[from]?.[0]}&to=2024-07-31`,
      )
      expect(rows.map(r => [r.date, r.count])).toEqual(mondays.slice(from).map(([date, count]) => [date, count]))
      rows.forEach((row, i) => {
        expect(row.baseline).toBeCloseTo(mondays[from + i]?.[2] ?? 0, 3)
        expect(row.changePercent).toBeCloseTo(mondays[from + i]?.[3] ?? 0, 4)
      })
    }
  })

  it('shows a failed hour as failed', async () => {
    const [row] = await rowsOf(
      await london(),
      'level=sensor&resolution=hour&store=London&from=2024-07-02&to=2024-07-02&hours=9',
    )
    expect(row).toMatchObject({ status: 'failed', coverage: 0 })
  })

  it('takes dates in the zone of each store, the last one included, and times as they are', async () => {
    const world = await london()
    const rows = await rowsOf(world, 'level=sensor&resolution=hour&from=2024-07-02&to=2024-07-02&hours=9-12')
    expect(rows.map(r => r.start)).toEqual(['2024-07-02T09:00:00+01:00', '2024-07-02T09:00:00+02:00'])
    const exact = 'level=sensor&resolution=hour&from=2024-07-02T08:00:00Z&to=2024-07-02T15:00:00%2B01:00'
    expect((await rowsOf(world, exact)).map(r => `${r.store} ${r.hour}`)).toEqual(['London 9', 'London 14'])
  })

  it('filters by weekday and hour, in each way of writing them', async () => {
    const world = await london()
    const base = 'level=sensor&resolution=hour&store=London'
    expect(await rowsOf(world, `${base}&weekday=1`)).toHaveLength(2)
    expect(await rowsOf(world, `${base}&weekday=0,tuesday`)).toHaveLength(7)
    expect(await rowsOf(world, `${base}&weekday=0&weekday=1&hours=10-23`)).toHaveLength(1)
  })

  it('says what is final and what may still change', async () => {
    const world = createWorld()
    const date = new Date(nowMs).toISOString().slice(0, 10)
    await world.historian.writeAggregates(
      hourRows(
        'London',
        '',
        [
          { date: '2024-07-02', hour: 9, count: 1 },
          { date, hour: 9, count: 1 },
        ],
        'Europe/London',
      ),
    )
    expect((await rowsOf(world, 'resolution=hour&store=London')).map(r => r.final)).toEqual([true, false])
  })

  it('gives the same rows as CSV', async () => {
    const world = await london()
    const query = 'level=sensor&resolution=hour&store=London&weekday=mon'
    const { headers, body } = await world.get(`/v1/counts?${query}&format=csv`)
    expect(headers.get('content-type')).toBe('text/csv; charset=utf-8')
    expect(headers.get('content-disposition')).toContain('attachment')
    const [head = '', ...lines] = (body as string).trimEnd().split('\r\n')
    const names = head.split(',')
    const table = lines.map(line => Object.fromEntries(line.split(',').map((cell, i) => [names[i], cell])))
    const rows = await rowsOf(world, query)
    expect(table.map(r => [r.date, r.count, r.baseline])).toEqual(
      rows.map(r => [r.date, `${r.count}`, `${r.baseline}`]),
    )
  })

  it('gives a CSV that no spreadsheet takes for formulas, numbers unharmed', async () => {
    const world = createWorld()
    const hours = [
      { date: '2024-07-01', hour: 9, count: 20 },
      { date: '2024-07-08', hour: 9, count: -10 },
    ]
    await world.historian.writeAggregates(hourRows('London', '=1+1', hours, 'Europe/London'))
    const { body } = await world.get('/v1/counts?level=sensor&resolution=hour&store=London&format=csv')
    const rows = (body as string).trimEnd().split('\r\n')
    expect(rows[2]?.split(',').slice(1, 2)).toEqual(["'=1+1"])
    expect(rows[2]).toContain(',-10,5,')
  })

  it('gives the same rows as JSON under a name', async () => {
    const world = await london()
    const query = 'level=sensor&resolution=hour&store=London'
    const file = await world.get(`/v1/counts?${query}&format=json`)
    expect(file.headers.get('content-disposition')).toBe('attachment; filename="counts-sensor-hour.json"')
    expect((file.body as { rows: Row[] }).rows).toEqual(await rowsOf(world, query))
    expect((await world.get(`/v1/counts?${query}`)).headers.get('content-disposition')).toBeNull()
  })

  it('gives the same rows as Parquet', async () => {
    const world = await london()
    const query = 'level=sensor&resolution=hour'
    const response = await world.request(`/v1/counts?${query}&format=parquet`)
    expect(response.headers.get('content-type')).toBe('application/vnd.apache.parquet')
    expect(response.headers.get('content-disposition')).toBe('attachment; filename="counts-sensor-hour.parquet"')
    const rows = await parquetReadObjects({ file: await response.arrayBuffer() })
    /** Dates and times of either kind as numbers. */
    const comparable = (row: object) => {
      const { date, start, end, computedAt, ...rest } = row as Record<string, unknown>
      return { ...rest, times: [date, start, end, computedAt].map(at => new Date(at as string | Date).getTime()) }
    }
    expect(rows.map(comparable)).toEqual((await rowsOf(world, query)).map(comparable))
  })

  it('gives an empty Parquet file where there is no row', async () => {
    const response = await (await london()).request('/v1/counts?store=London&from=2025-01-01&format=parquet')
    expect(await parquetReadObjects({ file: await response.arrayBuffer() })).toEqual([])
  })

  it('streams Parquet, group by group', async () => {
    const hours = hourRows('London', '', [{ date: '2024-07-02', hour: 9, count: 1 }], 'Europe/London')
    let read = 0
    const { historian } = createWorld()
    const world = createWorld({
      deps: {
        historian: {
          ...historian,
          async *readAggregates() {
            for (; read < 15_000; read++) yield* hours
          },
        },
      },
    })
    const response = await world.request('/v1/counts?store=London&resolution=hour&format=parquet')
    const parts: Uint8Array<ArrayBuffer>[] = []
    for await (const part of response.body ?? []) {
      parts.push(part)
      if (parts.length === 1) expect(read).toBeLessThan(11_000)
    }
    const rows = await parquetReadObjects({ file: await new Blob(parts).arrayBuffer(), columns: ['count'] })
    expect(rows).toHaveLength(15_000)
  })

  it('says how far the counts of a baseline lie apart', async () => {
    const rows = await rowsOf(await london(), 'level=sensor&resolution=hour&store=London&weekday=mon')
    const spreads = (rows as (Row & { baselineSpread: number | null })[]).map(row => row.baselineSpread)
    expect(spreads[0]).toBeNull()
    expect(spreads[1]).toBeCloseTo(Math.SQRT1_2 * (10_057 - 8720), 9)
    expect(spreads[4]).toBeCloseTo(5111.3548, 4)
  })

  it('refuses a store or sensor that does not exist and names the nearest', async () => {
    const world = await london()
    const store = problemOf(await world.get('/v1/counts?store=Lodnon'))
    expect([store.status, store.errors?.[0]?.suggestion]).toEqual([404, 'London'])
    const sensor = problemOf(await world.get('/v1/counts?store=London&sensor=12'))
    expect([sensor.status, sensor.type]).toEqual([404, 'urn:penstock:problem:unknown-sensor'])
  })

  it('answers with a problem where the first row fails, and breaks off where a later one does', async () => {
    const rows = hourRows('London', '', [{ date: '2024-07-02', hour: 9, count: 1 }], 'Europe/London')
    const failingAfter = (n: number): Partial<Historian> => ({
      async *readAggregates(): AsyncGenerator<Aggregate> {
        for (let i = 0; i < n; i++) yield* rows
        throw new Error('the disk is gone')
      },
    })
    const worldWith = (n: number) => {
      const { historian } = createWorld()
      return createWorld({ deps: { historian: { ...historian, ...failingAfter(n) } } })
    }
    const path = '/v1/counts?store=London&resolution=hour'
    expect((await worldWith(0).get(path)).status).toBe(500)
    const world = worldWith(1000)
    await expect(world.get(path)).rejects.toThrow('the disk is gone')
    expect(world.errors).toHaveLength(1)
  })

  it('stops reading when the client goes away', async () => {
    let ended = false
    const rows = hourRows('London', '', [{ date: '2024-07-02', hour: 9, count: 1 }], 'Europe/London')
    const { historian } = createWorld()
    const world = createWorld({
      deps: {
        historian: {
          ...historian,
          async *readAggregates() {
            try {
              for (;;) yield* rows
            } finally {
              ended = true
            }
          },
        },
      },
    })
    const response = await world.request('/v1/counts?store=London&resolution=hour')
    const reader = response.body?.getReader()
    await reader?.read()
    await reader?.cancel()
    expect(ended).toBe(true)
  })
})

describe('CSV fields', () => {
  it.each([
    [-5.25, '-5.25'],
    [1e21, '1e+21'],
    [null, ''],
    [true, 'true'],
    ['plain', 'plain'],
    ['a,b "c"', '"a,b ""c"""'],
    ['=HYPERLINK("x")', `"'=HYPERLINK(""x"")"`],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@cmd', "'@cmd"],
    ['\tx', "'\tx"],
    ['\r=1', `"'\r=1"`],
  ])('%j is written as %j', (value, text) => {
    expect(csvField(value)).toBe(text)
  })
})
