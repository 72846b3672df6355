/** Local days on nights when the clocks change: InfluxDB's own `tz()` over the raw rows, and our rollups on the lake, agree. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatNs, zoneOf } from '@penstock/frame'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openInflux } from '../src/historians/influx.ts'
import { openLake } from '../src/historians/lake.ts'
import { createHistorianProjector } from '../src/projectors/historian.ts'
import { createRollupProjector } from '../src/projectors/rollup.ts'
import { createSites, siteSchema } from '../src/sites.ts'
import { collect } from './historian.contract.ts'
import { type Influxd, influxd, openInfluxd } from './influxd.ts'

const quiet = { info() {}, warn() {}, error() {} }
const hourMs = 3_600_000
let dir: string
let server: Influxd

describe.skipIf(!influxd)('days of 23, 24 and 25 hours', () => {
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'penstock-days-'))
    server = await openInfluxd()
  })
  afterAll(async () => {
    await server.close()
    await rm(dir, { recursive: true, force: true })
  })

  test.each([
    ['Europe/Paris', '2026-03-27', '2026-10-23'],
    ['America/New_York', '2026-03-06', '2026-10-30'],
    ['Australia/Lord_Howe', '2026-04-03', '2026-10-02'],
  ])('%s', async (zoneName, spring, autumn) => {
    const zone = zoneOf(zoneName)
    const database = `days ${zoneName.replaceAll('/', '-')}`
    const influx = await openInflux({ url: server.url, version: 1, database, onRejects: async () => {}, log: quiet })
    const file = join(dir, `${database}.duckdb`)
    const lake = await openLake({ file, memoryMiBMax: 64, threads: 1, log: quiet })
    const sites = createSites([siteSchema.parse({ id: 'shop', kind: 'store', zone: zoneName })])
    // Five local days around each change, a row every half hour, each with a number of its own.
    const frames = [spring, autumn].map((date, k) => {
      const startMs = zone.dayStartMs(Date.parse(`${date}T12:00:00Z`))
      const rows = 2 * 24 * 5
      return {
        ...{ site: 'shop', device: '0', stream: 'count', startNs: BigInt(startMs) * 1_000_000n },
        offsetsNs: Float64Array.from({ length: rows }, (_, i) => i * (hourMs / 2) * 1e6),
        columns: [
          { name: 'count', type: 'int' as const, values: Float64Array.from({ length: rows }, (_, i) => k * 1000 + i) },
        ],
      }
    })
    await influx.write(frames, 1)
    const entry = { seq: 1, receivedMs: 0, frames, rejects: [], ledger: [] }
    await createHistorianProjector(lake).apply([entry])
    const rollup = createRollupProjector({ historian: lake, sites, now: () => new Date(), log: quiet })
    await rollup.apply([entry])
    await rollup.settle()
    const days = await collect(
      lake.readAggregates({
        level: 'sensor',
        resolution: 'day',
        stream: 'count',
        column: 'count',
        site: 'shop',
        device: '0',
      }),
    )
    const ours = days.map(d => [formatNs(d.startNs), d.sum])

    const from = formatNs(frames[0]?.startNs ?? 0n)
    const to = new Date(Date.parse(`${autumn}T12:00:00Z`) + 8 * 24 * hourMs).toISOString()
    const answer = (await server.query(
      database,
      `select sum("count") from "count" where time >= '${from}' and time < '${to}' group by time(1d) fill(none) tz('${zoneName}')`,
    )) as { results: { series: { values: [string, number][] }[] }[] }
    const theirs = answer.results[0]?.series[0]?.values.map(([time, sum]) => [new Date(time).toISOString(), sum])
    expect(ours.length).toBeGreaterThanOrEqual(10)
    const lengths = days.map(d => Number(d.endNs - d.startNs) / 1e6 / hourMs)
    expect(new Set(lengths).size).toBe(3)
    expect(theirs).toEqual(ours)
    await rollup.close()
    await lake.close()
    await influx.close()
  })
})
