/** Our InfluxQL beside the real one: the same rows in influxd and in a historian, the same queries, the same answers. */
import { type Frame, rowNs } from '@penstock/frame'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createWorld, type World } from './app-world.ts'
import { type Influxd, influxd, openInfluxd } from './influxd.ts'

/** Before and after the clocks of Europe go forward (2024-03-31 01:00 UTC), at odd seconds, with holes. */
const frames = (): Frame[] =>
  [
    ['Paris', 'a'],
    ['Paris', 'b "x"'],
    ['Oslo 2', 'a'],
    ['Oslo 2', 'c'],
  ].map(([site = '', device = ''], s) => {
    const n = 400
    return {
      ...{ site, device, stream: 'gas', startNs: 1_711_700_000_123_456_789n + BigInt(s) * 61_000_000_007n },
      offsetsNs: Float64Array.from({ length: n }, (_, i) => (i < 200 ? i : i + 60) * 600_000_000_011),
      columns: [
        {
          name: 'flow',
          type: 'float',
          values: Float64Array.from({ length: n }, (_, i) =>
            i % 7 === 3 ? Number.NaN : ((i * 37 + s * 11) % 101) / 8,
          ),
        },
        {
          name: 'pulses',
          type: 'int',
          values: Array.from({ length: n }, (_, i) => (i % 5 === 0 ? null : (i * 13 + s) % 50)),
        },
        { name: 'status', type: 'text', values: Array.from({ length: n }, (_, i) => (i % 7 === 3 ? 'failed' : null)) },
        ...(s === 2
          ? []
          : [{ name: 'open', type: 'bool' as const, values: Array.from({ length: n }, (_, i) => i % 2 === 0) }]),
      ],
    } satisfies Frame
  })

const key = (name: string): string => name.replace(/[,= ]/g, '\\$&')

/** Points of frames: measurement = stream, tags site and device, a field for each column. */
const linesOf = (frame: Frame): string[] =>
  Array.from(frame.offsetsNs, (_, i) => {
    const fields = frame.columns.flatMap(column => {
      const v = column.values[i] ?? null
      if (v === null || v instanceof Float64Array || Number.isNaN(v)) return []
      return `${key(column.name)}=${typeof v === 'string' ? JSON.stringify(v) : v}${column.type === 'int' ? 'i' : ''}`
    })
    const tags = `device=${key(frame.device)},site=${key(frame.site)}`
    return fields.length === 0 ? '' : `${key(frame.stream)},${tags} ${fields.join(',')} ${rowNs(frame, i)}`
  }).filter(line => line !== '')

const range = 'time >= 1711700000000ms and time <= 1711990000000ms'
const queries = [
  'SHOW FIELD KEYS FROM "gas"',
  'SHOW TAG KEYS FROM gas',
  'SHOW TAG VALUES FROM "gas" WITH KEY = "site"',
  `SHOW TAG VALUES WITH KEY IN ("device", site) WHERE "site" = 'Paris'`,
  'SHOW TAG VALUES FROM gas WITH KEY =~ /dev/ WHERE site =~ /^(Oslo 2|nowhere)$/',
  'SHOW MEASUREMENTS WITH MEASUREMENT =~ /^g.s$/',
  `SELECT "flow" FROM "gas" WHERE ${range}`,
  `SELECT "flow", "pulses", "status" FROM "gas" WHERE "device" = 'a' AND ${range} LIMIT 7`,
  `SELECT "flow", "site" FROM "gas" WHERE "device" = 'a' AND ${range} ORDER BY time DESC LIMIT 5 OFFSET 3`,
  `SELECT * FROM gas WHERE device = 'c' LIMIT 4`,
  `SELECT * FROM gas WHERE device = 'c' GROUP BY * LIMIT 4`,
  `SELECT "flow" * 2 + 1, pulses - flow FROM gas WHERE device = 'c' LIMIT 20`,
  `SELECT "flow" AS "Flow rate", "pulses" / 0 FROM gas WHERE site = 'Oslo 2' GROUP BY device LIMIT 3`,
  `SELECT flow FROM gas WHERE flow > 12 OR (pulses = 3 AND site != 'Paris')`,
  `SELECT flow FROM gas WHERE status = 'failed'`,
  `SELECT pulses FROM gas WHERE "status" =~ /^fail/ AND device !~ /a/`,
  `SELECT pulses FROM gas WHERE open = true AND pulses < 5`,
  `SELECT flow FROM gas WHERE nothing = 'x'`,
  `SELECT flow FROM gas WHERE nothing = '' LIMIT 2`,
  `SELECT nothing FROM gas`,
  `SELECT flow FROM nothing`,
  `SELECT mean("flow"), min(flow), max(flow), sum(pulses), count(status), first(flow), last(flow), spread(pulses) FROM "gas" WHERE ${range}`,
  `SELECT count(flow) FROM gas GROUP BY site, device`,
  `SELECT max(flow) FROM gas WHERE ${range} GROUP BY site`,
  `SELECT last(pulses) FROM gas GROUP BY site`,
  `SELECT first(pulses), last(flow) FROM gas WHERE ${range} GROUP BY device`,
  `SELECT last(status) FROM gas WHERE ${range}`,
  `SELECT flow FROM gas WHERE ${range} GROUP BY site, device ORDER BY time DESC LIMIT 2`,
  `SELECT max(flow) FROM gas WHERE ${range} GROUP BY device, time(1d) ORDER BY time DESC SLIMIT 2`,
  `SELECT flow FROM gas WHERE ${range} ORDER BY time DESC LIMIT 9`,
  `SELECT mean(flow), mean(pulses) FROM gas WHERE ${range} GROUP BY time(1h)`,
  `SELECT mean(flow) FROM gas WHERE ${range} AND site = 'Paris' GROUP BY time(6h), device`,
  `SELECT count(flow), sum(flow) FROM gas WHERE ${range} GROUP BY time(3h)`,
  `SELECT count(flow), sum(flow) FROM gas WHERE ${range} GROUP BY time(3h) fill(none)`,
  `SELECT count(flow), max(pulses) FROM gas WHERE ${range} GROUP BY time(3h) fill(0)`,
  `SELECT max(pulses) FROM gas WHERE ${range} GROUP BY time(4h) fill(previous)`,
  `SELECT max(flow) FROM gas WHERE ${range} GROUP BY time(1h), site fill(linear)`,
  `SELECT min(flow) FROM gas WHERE ${range} GROUP BY time(1d, 5h)`,
  `SELECT mean(flow) - min(flow) AS above, max(flow) / count(flow) FROM gas WHERE ${range} GROUP BY time(12h)`,
  `SELECT sum(pulses) FROM gas WHERE ${range} GROUP BY time(12h) ORDER BY time DESC LIMIT 3`,
  `SELECT sum(pulses) FROM gas WHERE ${range} GROUP BY time(1d) tz('Europe/Paris')`,
  `SELECT count(flow) FROM gas WHERE ${range} GROUP BY time(1h) fill(none) tz('Europe/Paris')`,
  `SELECT sum(pulses) FROM gas WHERE time >= '2024-03-30' AND time < '2024-04-01' GROUP BY time(1d) tz('America/New_York')`,
  `SELECT mean(*) FROM gas WHERE ${range} GROUP BY time(2d)`,
  `SELECT sum(pulses) FROM gas WHERE ${range} GROUP BY device, site SLIMIT 2 SOFFSET 1`,
  `SELECT sum(pulses) FROM /g.s/ WHERE time > '2024-03-30T00:00:00Z' - 2h AND time < '2024-03-31 00:00:00'`,
  `SELECT mean(status) FROM gas`,
  `SELECT flow, mean(flow) FROM gas`,
  `SELECT flow FROM gas GROUP BY time(1h)`,
  `SELECT count(flow) FROM gas WHERE ${range}; SELECT count(pulses) FROM gas; SHOW TAG KEYS FROM nothing`,
]

describe.skipIf(!influxd)('our InfluxQL beside that of influxd', () => {
  let influx: Influxd
  let world: World
  beforeAll(async () => {
    influx = await openInfluxd()
    await influx.query('', 'create database penstock')
    world = createWorld({ deps: { now: () => new Date(1_711_990_000_000) } })
    for (const frame of frames()) {
      const written = await fetch(`${influx.url}/write?db=penstock`, {
        method: 'POST',
        body: linesOf(frame).join('\n'),
      })
      expect(written.status).toBe(204)
    }
    await world.historian.write(frames())
  })
  afterAll(() => influx?.close())

  const ours = async (parameters: Record<string, string>) => {
    const answer = await world.request(`/query?${new URLSearchParams({ db: 'penstock', ...parameters })}`)
    return answer.text()
  }
  /** Times to the digit, values as numbers: a sum over many rows may differ in its last digit. */
  const comparable = (text: string): unknown =>
    JSON.parse(text.replace(/\[(\d{15,})/g, '["$1"'), (_, v) =>
      typeof v === 'number' && !Number.isInteger(v) ? Number(v.toPrecision(12)) : v,
    )

  const compare = async (q: string, epoch?: string) => {
    const parameters = { q, ...(epoch && { epoch }) }
    const search = new URLSearchParams({ db: 'penstock', ...parameters })
    const theirs = await (await fetch(`${influx.url}/query?${search}`)).text()
    const mine = await ours(parameters)
    if (theirs.includes('"error"')) {
      expect(mine).toContain('"error"')
      return
    }
    expect(comparable(mine)).toEqual(comparable(theirs))
  }

  test.each(queries)('%s', q => compare(q))
  test.each(['ns', 'u', 'ms', 's', 'm', 'h'])('epoch=%s', epoch =>
    compare(`SELECT flow FROM gas WHERE ${range} LIMIT 3`, epoch),
  )
})
