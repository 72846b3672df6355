import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Frame } from '@penstock/frame'
import { zoneOf } from '@penstock/frame'
import { beforeAll, describe, expect, it } from 'vitest'
import { type CountQuery, type CountRow, counts, localIso } from '../src/counts.ts'
import type { Aggregate } from '../src/historian.ts'
import { createMemoryHistorian } from '../src/historians/memory.ts'
import { createHistorianProjector } from '../src/projectors/historian.ts'
import { createRollupProjector } from '../src/projectors/rollup.ts'
import { createSites, siteSchema } from '../src/sites.ts'
import { aggregate, collect, ns } from './historian.contract.ts'

const now = new Date('2024-09-01T00:00:00Z')
const zones = {
  Madrid: 'Europe/Madrid',
  Paris: 'Europe/Paris',
  Berlin: 'Europe/Berlin',
  Roma: 'Europe/Rome',
  London: 'Europe/London',
}
const sites = createSites(
  Object.entries(zones).map(([id, zone]) =>
    siteSchema.parse({
      id,
      kind: 'store',
      zone,
      opening: { 'mon-sat': '09:00-20:00', sun: 'closed' },
      streams: { count: { rowsPerHour: 1 } },
    }),
  ),
)

/** Weekly rows of one sensor at 9 h on Mondays, with these counts; null: no row in that week. */
const mondays = async (values: (number | null)[], extra: Partial<Aggregate> = {}) => {
  const historian = createMemoryHistorian()
  const week = 7 * 86_400
  const rows = values.flatMap((sum, i) => {
    if (sum === null) return []
    const startNs = ns('2024-01-01T09:00:00Z') + BigInt(i * week) * 1_000_000_000n
    const date = new Date(Number(startNs / 1_000_000n)).toISOString().slice(0, 10)
    return [aggregate({ site: 'London', startNs, endNs: startNs + 3_600_000_000_000n, date, hour: 9, sum, ...extra })]
  })
  await historian.writeAggregates(rows)
  return (query: Partial<CountQuery> = {}) =>
    collect(counts(historian, sites, { level: 'sensor', resolution: 'hour', store: ['London'], now, ...query }))
}

describe('the baseline', () => {
  const values = [8, 4, null, 0, 12, 100, null, null, null, null, null, null, null, null, 16]
  it('is the mean of this and up to three preceding rows that exist', async () => {
    const rows = await (await mondays(values))()
    expect(rows.map(r => r.baseline)).toEqual([8, 6, 4, 6, 29, 32])
    expect(rows.map(r => r.changePercent)).toEqual([0, (100 * -2) / 6, -100, 100, (100 * 71) / 29, -50])
  })
  it('is the same whatever is filtered away', async () => {
    const ask = await mondays(values)
    const all = await ask()
    for (const row of all) {
      expect(await ask({ from: row.date, to: row.date, weekdays: new Set([0]), hours: { from: 9, to: 9 } })).toEqual([
        row,
      ])
    }
    expect(await ask({ from: '2024-01-02' })).toEqual(all.slice(1))
    expect(await ask({ to: '2024-01-07' })).toEqual(all.slice(0, 1))
    expect(await ask({ weekdays: new Set([1]) })).toEqual([])
    expect(await ask({ hours: { from: 10, to: 23 } })).toEqual([])
    expect(await ask({ sensor: ['2'] })).toEqual([])
    expect(await ask({ sensor: ['1', '2'] })).toEqual(all)
  })
  it('of nothing is 0, and the change from it null', async () => {
    const rows = await (await mondays([null, 0], { n: 0, failed: 1 }))()
    expect(rows.map(r => [r.baseline, r.changePercent, r.status])).toEqual([[0, null, 'failed']])
  })
})

describe('a row', () => {
  it('says how it stands', async () => {
    const status = async (extra: Partial<Aggregate>) => (await (await mondays([1], extra))())[0]?.status
    expect(await status({ n: 1 })).toBe('ok')
    expect(await status({ n: 1, failed: 1 })).toBe('partial')
    expect(await status({ n: 0, failed: 1, closed: 1 })).toBe('failed')
    expect(await status({ n: 0, closed: 1 })).toBe('closed')
    expect(await status({ n: 1, closed: 1 })).toBe('ok')
    expect(await status({ n: 0 })).toBe('missing')
  })
  it('is final once a late reading is not to be expected any more', async () => {
    const ask = await mondays([1])
    const final = async (iso: string, lateHoursMax?: number) =>
      (await ask({ now: new Date(iso), ...(lateHoursMax !== undefined && { lateHoursMax }) }))[0]?.final
    expect(await final('2024-01-03T10:00:00Z')).toBe(false)
    expect(await final('2024-01-03T10:00:01Z')).toBe(true)
    expect(await final('2024-01-01T11:00:01Z', 1)).toBe(true)
  })
  it('has its coverage, and its times with the offset of its store', async () => {
    const [row] = await (await mondays([1], { expected: 4, had: 3 }))()
    expect(row).toMatchObject({ coverage: 0.75, start: '2024-01-01T09:00:00Z', end: '2024-01-01T10:00:00Z' })
    expect((await (await mondays([1], { expected: 0, had: 0 }))())[0]?.coverage).toBeNull()
    expect(localIso(ns('2024-07-01T07:00:00Z'), zoneOf('Europe/Paris'))).toBe('2024-07-01T09:00:00+02:00')
    expect(localIso(ns('2024-01-01T00:00:00Z'), zoneOf('America/St_Johns'))).toBe('2023-12-31T20:30:00-03:30')
  })
})

/** The file of a real chain, read and computed here by the definition alone. */
const file = fileURLToPath(new URL('../../../shared/data/stores/counts-2024-07.csv', import.meta.url))
const csv = await readFile(file, 'utf8').catch(() => undefined)
if (csv === undefined) process.stderr.write('counts.test: ../shared/data is not here: the real file is not tested\n')

interface Line {
  date: string
  hour: number
  shop: string
  sensor: string
  count: number
}
const linesOf = (text: string): Line[] =>
  text
    .trim()
    .split('\n')
    .slice(1)
    .map(line => line.split(','))
    .filter(fields => fields.slice(0, 5).every(field => field !== 'NULL' && field !== ''))
    .map(([date = '', hour, shop = '', sensor = '', count]) => ({
      date,
      hour: Number(hour),
      shop,
      sensor,
      count: Number(count),
    }))

const framesOf = (lines: readonly Line[]): Frame[] => {
  const bySensor = new Map<string, Line[]>()
  for (const line of lines) {
    const key = `${line.shop} ${line.sensor}`
    bySensor.set(key, [...(bySensor.get(key) ?? []), line])
  }
  return [...bySensor.values()].map(group => {
    const { shop, sensor } = group[0] as Line
    const zone = zoneOf(zones[shop as keyof typeof zones])
    const startMs = Date.parse('2024-07-01T00:00:00Z')
    const at = (line: Line) =>
      (zone.fromLocalMs(Date.parse(`${line.date}T00:00:00Z`) + line.hour * 3_600_000)[0] ?? 0) - startMs
    return {
      site: shop,
      device: sensor,
      stream: 'count',
      startNs: BigInt(startMs) * 1_000_000n,
      offsetsNs: Float64Array.from(group, line => at(line) * 1e6),
      columns: [
        { name: 'count', unit: 'visits', type: 'int', values: group.map(line => (line.count < 0 ? null : line.count)) },
        {
          name: 'status',
          type: 'text',
          values: group.map(line => (line.count === -1 ? 'failed' : line.count === -2 ? 'closed' : null)),
        },
      ],
    }
  })
}

/** One of the four tables by brute force: [store, sensor, date, hour, weekday, count, baseline, change]. */
const tableOf = (lines: readonly Line[], level: CountQuery['level'], resolution: CountQuery['resolution']) => {
  const last = new Map(lines.map(line => [`${line.shop} ${line.sensor} ${line.date} ${line.hour}`, line]))
  const sums = new Map<string, { key: (string | number | null)[]; count: number }>()
  for (const line of last.values()) {
    const weekday = (new Date(`${line.date}T12:00:00Z`).getUTCDay() + 6) % 7
    const sensor = level === 'sensor' ? line.sensor : null
    const key = [line.shop, sensor, line.date, resolution === 'hour' ? line.hour : null, weekday]
    const sum = sums.get(JSON.stringify(key)) ?? { key, count: 0 }
    sum.count += Math.max(0, line.count)
    sums.set(JSON.stringify(key), sum)
  }
  const byDate = [...sums.values()].sort((a, b) => (String(a.key[2]) < String(b.key[2]) ? -1 : 1))
  const before = new Map<string, number[]>()
  return byDate
    .map(({ key, count }) => {
      const [shop, sensor, , hour, weekday] = key
      const partition = JSON.stringify([shop, sensor, hour, weekday])
      const all = [...(before.get(partition) ?? []), count]
      before.set(partition, all)
      const window = all.slice(-4)
      const baseline = window.reduce((a, v) => a + v, 0) / window.length
      return [...key, count, baseline, baseline === 0 ? null : (100 * (count - baseline)) / baseline]
    })
    .map(row => JSON.stringify(row))
    .sort()
}
const plain = (rows: readonly CountRow[]) =>
  rows
    .map(r => JSON.stringify([r.store, r.sensor, r.date, r.hour, r.weekday, r.count, r.baseline, r.changePercent]))
    .sort()

describe.skipIf(csv === undefined)('counts of the real file', () => {
  const historian = createMemoryHistorian()
  const lines = linesOf(csv ?? '')
  const table = (level: CountQuery['level'], resolution: CountQuery['resolution'], extra: Partial<CountQuery> = {}) =>
    collect(counts(historian, sites, { level, resolution, now, ...extra }))

  beforeAll(async () => {
    const frames = framesOf(lines)
    const entries = [{ seq: 1, receivedMs: 0, frames, rejects: [], ledger: [] }]
    await createHistorianProjector(historian).apply(entries)
    const rollup = createRollupProjector({ historian, sites, now: () => now, log: { info() {} } })
    await rollup.cursor()
    await rollup.apply(entries)
  })

  it.each([
    ['sensor', 'hour'],
    ['sensor', 'day'],
    ['store', 'hour'],
    ['store', 'day'],
  ] as const)('%s × %s equals brute force, row for row', async (level, resolution) => {
    const rows = plain(await table(level, resolution))
    expect(rows).toEqual(tableOf(lines, level, resolution))
  })
  it('keeps the check of the definition: London, sensor 1, Mondays at 9 h', async () => {
    const rows = await table('sensor', 'hour', {
      store: ['London'],
      sensor: ['1'],
      weekdays: new Set([0]),
      hours: { from: 9, to: 9 },
    })
    expect(rows.map(r => r.date)).toEqual(['2024-07-01', '2024-07-08', '2024-07-15', '2024-07-22', '2024-07-29'])
    expect(rows.map(r => r.count)).toEqual([10057, 8720, 13042, 10276, 1102])
    expect(rows.map(r => r.baseline.toFixed(3))).toEqual([
      '10057.000',
      '9388.500',
      '10606.333',
      '10523.750',
      '8285.000',
    ])
    expect(rows.map(r => r.changePercent?.toFixed(4))).toEqual(['0.0000', '-7.1204', '22.9643', '-2.3542', '-86.6989'])
    expect(rows[0]?.start).toBe('2024-07-01T09:00:00+01:00')
  })
  it('gives the status of every sensor and hour', async () => {
    const rows = await table('sensor', 'hour')
    const expected = new Map(lines.map(l => [`${l.shop} ${l.sensor} ${l.date} ${l.hour}`, l.count]))
    for (const row of rows) {
      const raw = expected.get(`${row.store} ${row.sensor} ${row.date} ${row.hour}`)
      expect(row.status).toBe(raw === -1 ? 'failed' : raw === -2 ? 'closed' : 'ok')
    }
    expect(rows).toHaveLength(expected.size)
  })
})
