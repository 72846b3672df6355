import { describe, expect, test } from 'vitest'
import { InfluxQlError, parseInfluxQl, safeRegex } from '../src/influxql.ts'
import { createWorld, frameOf, hourRows } from './app-world.ts'

const world = () => createWorld()
const form = (q: string) => ({
  method: 'POST',
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body: new URLSearchParams({ q }).toString(),
})
const ask = async (path: string, init = {}, w = world()) => {
  const response = await w.request(path, init)
  return {
    status: response.status,
    body: (await response.json()) as { error?: string; results?: { error?: string; series?: unknown[] }[] },
  }
}
const get = (q: string, more = {}) => ask(`/query?${new URLSearchParams({ db: 'penstock', q, ...more })}`)

describe('/query', () => {
  test('passes the health check of the datasource', async () => {
    const w = world()
    await w.historian.write([
      frameOf({ site: 's', device: 'd', stream: 'gas' }, 0n, 1e9, [{ name: 'x', type: 'float', values: [1] }]),
    ])
    const { status, body } = await ask('/query?db=penstock&epoch=ms', form('SHOW measurements'), w)
    expect(status).toBe(200)
    expect(body.results).toMatchObject([{ series: [{ values: [['gas'], ['gas_daily'], ['gas_hourly']] }] }])
  })

  test('marks hours that failed, and gives a count of 0 for them', async () => {
    const w = world()
    await w.historian.write([
      frameOf({ site: 'London', device: '1', stream: 'count' }, 0n, 1e9, [{ name: 'count', type: 'int', values: [1] }]),
    ])
    const hours = [
      { date: '2024-07-01', hour: 9, count: 7 },
      { date: '2024-07-01', hour: 10, count: null },
    ]
    await w.historian.writeAggregates(hourRows('London', '1', hours, 'Europe/London'))
    const q = `SELECT "count", "baseline", "status", "sum" FROM "count_hourly" WHERE "level" = 'sensor' GROUP BY "store", "sensor"`
    const { body } = await ask(`/query?${new URLSearchParams({ q, epoch: 'ms' })}`, {}, w)
    const at = Date.parse('2024-07-01T08:00:00Z')
    expect(body.results?.[0]?.series).toEqual([
      {
        ...{ name: 'count_hourly', tags: { sensor: '1', store: 'London' } },
        columns: ['time', 'count', 'baseline', 'status', 'sum'],
        values: [
          [at, 7, 7, 'ok', 7],
          [at + 3_600_000, 0, 0, 'failed', null],
        ],
      },
    ])
  })

  test.each([
    ['', 'missing required parameter "q"'],
    [
      'DROP DATABASE penstock',
      'error parsing query: expected SELECT or SHOW: only reading is possible here, found "DROP" at character 1',
    ],
    ['SELECT x INTO y FROM z', 'error parsing query: SELECT … INTO writes: only reading is possible here'],
    ['SELECT x', 'error parsing query: expected FROM, found the end'],
    ['SELECT x FROM (SELECT y FROM z)', 'error parsing query: a query within a query is not answered here'],
    ['SELECT x FROM y WHERE z = ', 'error parsing query: expected a name, a value or "(", found the end'],
    ['SELECT x FROM y GROUP BY time(5)', 'error parsing query: time(…) expects an interval such as 10m'],
    ['SELECT x FROM y LIMIT -1', 'error parsing query: expected a number of rows, found "-" at character 23'],
    ['SELECT x FROM y ORDER BY x', 'error parsing query: only ORDER BY time is possible'],
    [
      'SHOW GRANTS',
      'error parsing query: expected DATABASES, RETENTION POLICIES, MEASUREMENTS, FIELD KEYS, TAG KEYS or TAG VALUES, found "GRANTS" at character 6',
    ],
    ["SELECT x FROM y WHERE z = 'a", 'error parsing query: cannot read "\'a" at character 27'],
  ])('refuses %j with one clear sentence', async (q, error) => {
    expect(await get(q)).toEqual({ status: 400, body: { error } })
  })

  test('says which statement failed, and runs none behind it', async () => {
    const w = world()
    await w.historian.write([
      frameOf({ site: 's', device: 'd', stream: 'gas' }, 0n, 1e9, [{ name: 'x', type: 'float', values: [1, 2] }]),
    ])
    const q = 'SHOW DATABASES; SELECT stddev(x) FROM gas; SHOW DATABASES'
    const { status, body } = await ask(`/query?${new URLSearchParams({ q })}`, {}, w)
    expect(status).toBe(200)
    expect(body.results).toHaveLength(2)
    expect(body.results?.[1]?.error).toBe(
      'stddev() is not answered here: known are mean, min, max, sum, count, first, last, spread',
    )
  })

  test('knows its one database, and its units of time', async () => {
    expect(await get('SHOW DATABASES', { db: 'other' })).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('database not found: other') },
    })
    expect(await get('SHOW DATABASES', { epoch: 'days' })).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('epoch: expected ns, u') },
    })
  })

  test('ends at its limits with a sentence, not with half an answer', async () => {
    const w = world()
    const values = new Float64Array(200_001)
    await w.historian.write([
      frameOf({ site: 's', device: 'd', stream: 'gas' }, 0n, 1e6, [{ name: 'x', type: 'float', values }]),
    ])
    const q = async (text: string) => (await ask(`/query?${new URLSearchParams({ q: text })}`, {}, w)).body.results?.[0]
    expect((await q('SELECT x FROM gas'))?.error).toMatch(/^the answer has more than 200000 rows/)
    expect((await q('SELECT count(x) FROM gas'))?.series).toMatchObject([
      { values: [['1970-01-01T00:00:00Z', 200_001]] },
    ])
    expect((await q('SELECT count(x) FROM gas WHERE time < 1h GROUP BY time(1ms)'))?.error).toMatch(
      /^more than 200000 intervals/,
    )
    const long = await ask('/query', form(`SELECT x FROM gas WHERE device = '${'x'.repeat(900_000)}'`), w)
    expect(long).toEqual({ status: 413, body: { error: 'the query is too long' } })
  })

  test('asks those from other machines for the token', async () => {
    const w = createWorld({ access: { token: 'geheim' } })
    const from = '10.0.0.9'
    expect((await w.request('/query?q=SHOW+DATABASES', { from })).status).toBe(401)
    const headers = { authorization: 'Bearer geheim' }
    expect((await w.request('/query?q=SHOW+DATABASES', { from, headers })).status).toBe(200)
  })
})

describe('regular expressions of strangers', () => {
  test.each(['(a+)+$', '(a|a)*b', 'a*b*c*d*e*', '(x{9}){9}', 'a'.repeat(70_000)])('refuses %.20s', source => {
    expect(() => safeRegex(source)).toThrow(InfluxQlError)
  })
  test.each([
    ['^(London|Roma\\.x)$', 'Roma.x'],
    ['^a\\/b\\$$', 'a/b$'],
    ['^.*$', 'x'],
    ['^[a-z+*]+$', 'a+'],
  ])('takes %s', (source, text) => {
    expect(safeRegex(source).test(text)).toBe(true)
  })
})

test('a tower of parentheses is refused before the stack ends', () => {
  expect(() => parseInfluxQl(`SELECT x FROM y WHERE ${'('.repeat(5000)}`)).toThrow(/levels of parentheses/)
  expect(() => parseInfluxQl(`SELECT ${'- '.repeat(100_000)}1 FROM y`)).toThrow(/operators in one query/)
  expect(() => parseInfluxQl(`SELECT x FROM y WHERE a=1${' OR a=1'.repeat(30_000)}`)).toThrow(/operators in one query/)
})
