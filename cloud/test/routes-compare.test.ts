import { parquetReadObjects } from 'hyparquet'
import { describe, expect, it } from 'vitest'
import { createWorld, hourRows, problemOf, type World } from './app-world.ts'

interface Cell {
  date: string
  count: number
  status: string
  comparable: boolean
}
interface Compared {
  commonPlaces: number
  series: {
    store: string
    from: string
    to: string
    shiftDays: number
    rows: number
    count: number
    commonCount: number
    changePercent: number | null
  }[]
  places: { date: string; hour: number; weekday: number; cells: (Cell | null)[] }[]
}

const hours = (site: string, zone: string, device: string, counts: Record<string, number | null>) =>
  hourRows(
    site,
    device,
    Object.entries(counts).map(([at, count]) => ({ date: at.slice(0, 10), hour: Number(at.slice(11)), count })),
    zone,
  )

/** Two Mondays and a Tuesday at 9 and 10 h. In Madrid 10 h of the first Monday failed; on the Tuesday it has nothing. */
const twoStores = async (): Promise<World> => {
  const world = createWorld()
  const london = {
    '2024-07-01 09': 100,
    '2024-07-01 10': 200,
    '2024-07-02 09': 50,
    '2024-07-08 09': 110,
    '2024-07-08 10': 190,
  }
  const madrid = { '2024-07-01 09': 10, '2024-07-01 10': null, '2024-07-08 09': 30, '2024-07-08 10': 20 }
  await world.historian.writeAggregates([
    ...hours('London', 'Europe/London', '', london),
    ...hours('London', 'Europe/London', '1', { '2024-07-01 09': 60, '2024-07-08 09': 90 }),
    ...hours('Madrid', 'Europe/Madrid', '', madrid),
  ])
  return world
}
const ask = async (world: World, query: string): Promise<Compared> => {
  const { status, body } = await world.get(`/v1/compare?resolution=hour&${query}`)
  if (status !== 200) throw new Error(JSON.stringify(body))
  return body as Compared
}

describe('GET /v1/compare', () => {
  it('puts stores side by side by their local hours, and sums only what all of them have', async () => {
    const said = await ask(await twoStores(), 'store=London,Madrid&from=2024-07-01&to=2024-07-08')
    expect(said.places.map(p => [p.date, p.hour, ...p.cells.map(c => c?.count ?? null)])).toEqual([
      ['2024-07-01', 9, 100, 10],
      ['2024-07-01', 10, 200, 0],
      ['2024-07-02', 9, 50, null],
      ['2024-07-08', 9, 110, 30],
      ['2024-07-08', 10, 190, 20],
    ])
    expect(said.places[1]?.cells[1]).toMatchObject({ status: 'failed', comparable: false })
    expect(said.commonPlaces).toBe(3)
    expect(said.series.map(s => [s.store, s.rows, s.count, s.commonCount, s.changePercent])).toEqual([
      ['London', 5, 650, 400, 0],
      ['Madrid', 4, 60, 60, -85],
    ])
  })

  it.each([
    ['before', '2024-07-08', '2024-07-09', '2024-07-01', 7],
    ['before', '2024-07-04', '2024-07-11', '2024-06-20', 14],
    ['year', '2025-06-30', '2025-07-06', '2024-07-01', 364],
  ])('moves another period by whole weeks (%s %s)', async (against, from, to, otherFrom, shiftDays) => {
    const said = await ask(await twoStores(), `store=London&against=${against}&from=${from}&to=${to}`)
    expect(said.series[1]).toMatchObject({ store: 'London', from: otherFrom, shiftDays })
    for (const { date, weekday, cells } of said.places) {
      expect(new Date(`${date}T00:00:00Z`).getUTCDay()).toBe((weekday + 1) % 7)
      const other = cells[1]
      if (other) expect((Date.parse(date) - Date.parse(other.date)) / 86_400_000).toBe(shiftDays)
    }
  })

  it('compares one door with itself', async () => {
    const said = await ask(await twoStores(), 'store=London&sensor=1&against=before&from=2024-07-08&to=2024-07-14')
    expect(said.series.map(s => s.count)).toEqual([90, 60])
    expect(said.series[1]?.changePercent).toBeCloseTo((100 * -30) / 90)
  })

  it('takes an hour that is not over for no match of a whole one', async () => {
    // The world's clock stands at 13:00 in London.
    const world = createWorld()
    const counts = { '2024-07-25 12': 80, '2024-07-25 13': 90, '2024-08-01 12': 70, '2024-08-01 13': 3 }
    await world.historian.writeAggregates(hours('London', 'Europe/London', '', counts))
    const said = await ask(world, 'store=London&against=before&from=2024-08-01&to=2024-08-01')
    expect(said.places.map(p => p.cells.map(c => c?.comparable))).toEqual([
      [true, true],
      [false, true],
    ])
    expect(said.series.map(s => s.commonCount)).toEqual([70, 80])
  })

  it('gives its cells as files', async () => {
    const world = await twoStores()
    const path = '/v1/compare?store=London,Madrid&resolution=hour&from=2024-07-01&to=2024-07-01'
    const csv = await world.get(`${path}&format=csv`)
    expect((csv.body as string).trimEnd().split('\r\n')).toEqual([
      'date,hour,weekday,store,sensor,ownDate,count,status,comparable',
      '2024-07-01,9,0,London,,2024-07-01,100,ok,true',
      '2024-07-01,9,0,Madrid,,2024-07-01,10,ok,true',
      '2024-07-01,10,0,London,,2024-07-01,200,ok,true',
      '2024-07-01,10,0,Madrid,,2024-07-01,0,failed,false',
    ])
    const file = await (await world.request(`${path}&format=parquet`)).arrayBuffer()
    const rows = await parquetReadObjects({ file })
    expect(rows.map(r => [r.store, r.hour, r.count, r.comparable])).toEqual([
      ['London', 9, 100, true],
      ['Madrid', 9, 10, true],
      ['London', 10, 200, true],
      ['Madrid', 10, 0, false],
    ])
  })

  it.each([
    ['store=London', 'store', 'expected a second store, or `against` for another period'],
    ['store=London,London&against=year', 'store', 'names a store twice'],
    ['store=London,Madrid&against=year', 'against', 'is known only with one store'],
    ['store=London,Madrid&sensor=1', 'sensor', 'is known only with one store'],
    ['store=a,b,c,d,e,f', 'store', 'expected at most 5 stores, got 6'],
    ['store=London&against=year&hours=9', 'hours', 'is known only at resolution=hour'],
    ['store=London&against=year&resolution=hour&from=2023-01-01', 'from', 'at most 366 days by the hour, got 549'],
    ['store=London&against=year&from=2024-07-03', 'from', 'not after `to`'],
    ['store=London&against=year&from=2024-06-01T00:00:00Z', 'from', 'expected a date such as'],
  ])('refuses %s', async (query, parameter, detail) => {
    const asked = new URLSearchParams({
      from: '2024-07-01',
      to: '2024-07-02',
      ...Object.fromEntries(new URLSearchParams(query)),
    })
    const said = problemOf(await (await twoStores()).get(`/v1/compare?${asked}`))
    expect(said.status).toBe(400)
    expect(said.errors?.[0]?.parameter).toBe(parameter)
    expect(said.detail).toContain(detail)
  })

  it('refuses a store that does not exist', async () => {
    const said = problemOf(
      await (await twoStores()).get('/v1/compare?store=London,Madird&from=2024-07-01&to=2024-07-02'),
    )
    expect([said.status, said.errors?.[0]?.suggestion]).toEqual([404, 'Madrid'])
  })
})

describe('GET /v1/counts/week', () => {
  it('is the mean of whole hours, by weekday and hour, and says what it left out', async () => {
    const { body } = await (await twoStores()).get('/v1/counts/week?store=Madrid')
    expect(body).toEqual({
      store: 'Madrid',
      zone: 'Europe/Madrid',
      cells: [
        { weekday: 0, hour: 9, hours: 2, mean: 20, min: 10, max: 30, leftOut: 0 },
        { weekday: 0, hour: 10, hours: 1, mean: 20, min: 20, max: 20, leftOut: 1 },
      ],
    })
  })

  it('keeps to its filters, and to one door', async () => {
    const world = await twoStores()
    const means = async (query: string) => {
      const { body } = await world.get(`/v1/counts/week?store=London&${query}`)
      return (body as { cells: { mean: number }[] }).cells.map(cell => cell.mean)
    }
    expect(await means('sensor=1')).toEqual([75])
    expect(await means('from=2024-07-02')).toEqual([110, 190, 50])
    expect(await means('to=2024-07-02&hours=9&weekday=mon')).toEqual([100])
  })

  it('leaves out hours that are not over and those of which more than a twentieth failed', async () => {
    const world = createWorld()
    const rows = hours('London', 'Europe/London', '', { '2024-07-25 13': 90, '2024-07-18 13': 70, '2024-08-01 13': 3 })
    for (const row of rows) {
      if (row.date === '2024-07-18') Object.assign(row, { n: 9, failed: 1, rows: 10, expected: 10, had: 9 })
    }
    await world.historian.writeAggregates(rows)
    const { body } = await world.get('/v1/counts/week?store=London')
    expect(body).toMatchObject({ cells: [{ hours: 1, mean: 90, leftOut: 2 }] })
  })

  it('gives its cells as a file', async () => {
    const { body } = await (await twoStores()).get('/v1/counts/week?store=Madrid&hours=9&format=csv')
    expect(body).toBe('weekday,hour,hours,mean,min,max,leftOut\r\n0,9,2,20,10,30,0\r\n')
  })
})
