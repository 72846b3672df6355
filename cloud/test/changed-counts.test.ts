import fc from 'fast-check'
import { expect, test } from 'vitest'
import { changedCounts, counts } from '../src/counts.ts'
import { createMemoryHistorian } from '../src/historians/memory.ts'
import { createSites } from '../src/sites.ts'
import { hourRows, nowMs, siteConfigs } from './app-world.ts'

const sites = createSites(siteConfigs)
/** Two weekdays and two hours over ten weeks, two doors: some rows never come, some come late, some again, some go. */
const change = fc.record({
  device: fc.constantFrom('0', '1'),
  week: fc.integer({ min: 0, max: 9 }),
  weekday: fc.constantFrom(0, 3),
  hour: fc.constantFrom(9, 10),
  count: fc.option(fc.integer({ min: 0, max: 50 }), { freq: 4 }),
  gone: fc.integer({ min: 0, max: 5 }).map(n => n === 0),
})

test('figures kept up with every write are those computed over all, whatever the order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(change, { minLength: 1, maxLength: 6 }), { maxLength: 12 }), async batches => {
      const historian = createMemoryHistorian()
      const kept = new Map<string, unknown>()
      for (const batch of batches) {
        const rows = batch.flatMap(({ device, week, weekday, hour, count, gone }) => {
          const date = new Date(Date.UTC(2024, 3, 1 + 7 * week + weekday)).toISOString().slice(0, 10)
          return hourRows('London', device, [{ date, hour, count }], 'Europe/London').map(row =>
            gone ? { ...row, rows: 0 } : row,
          )
        })
        await historian.writeAggregates(rows)
        for (const row of rows) if (row.rows === 0) kept.delete(`${row.device} ${row.date} ${row.hour}`)
        for await (const { row, count, baseline, changePercent, status } of changedCounts(historian, rows)) {
          kept.set(`${row.device} ${row.date} ${row.hour}`, { count, baseline, changePercent, status })
        }
      }
      const computed = new Map<string, unknown>()
      const query = { level: 'sensor', resolution: 'hour', store: ['London'], now: new Date(nowMs) } as const
      for await (const row of counts(historian, sites, query)) {
        const { count, baseline, changePercent, status } = row
        computed.set(`${row.sensor} ${row.date} ${row.hour}`, { count, baseline, changePercent, status })
      }
      expect(new Map([...kept].sort())).toEqual(new Map([...computed].sort()))
    }),
    { numRuns: 150 },
  )
})
