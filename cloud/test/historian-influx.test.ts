/** The historian in a real influxd 1.x: the contract of every historian, and what the oracle says in every digit. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Historian } from '../src/historian.ts'
import { withoutCurves } from '../src/historians/influx/features.ts'
import { type InfluxReject, openInflux } from '../src/historians/influx.ts'
import { createMemoryHistorian } from '../src/historians/memory.ts'
import {
  aggregate,
  allOf,
  collect,
  frame,
  framesArbitrary,
  historianContract,
  int,
  type Opened,
  rowsOf,
} from './historian.contract.ts'
import { type Influxd, influxd, openInfluxd } from './influxd.ts'

const quiet = { info() {}, warn() {} }
let server: Influxd
let databases = 0

describe.skipIf(!influxd)('on a real influxd', () => {
  beforeAll(async () => {
    server = await openInfluxd()
  })
  afterAll(() => server.close())

  const openTemp = async (): Promise<Opened> => {
    const database = `penstock ${++databases}`
    const refuse = async ([reject]: readonly InfluxReject[]) => {
      throw new Error(`${reject?.reason}: ${reject?.text}`)
    }
    const open = () => openInflux({ url: server.url, version: 1, database, onRejects: refuse, log: quiet })
    let historian = await open()
    return {
      historian,
      async reopen() {
        await historian.close()
        historian = await open()
        return historian
      },
      async close() {
        await historian.close()
        await server.query('', `drop database "${database}"`)
      },
    }
  }

  historianContract('influx', openTemp, { curves: false })

  it('rejects what others have taken a field for, with the words of the server, and stores the rest', async () => {
    const database = `penstock ${++databases}`
    const rejects: InfluxReject[] = []
    const historian = await openInflux({
      ...{ url: server.url, version: 1, database, log: quiet },
      onRejects: async told => void rejects.push(...told),
    })
    await historian.cursor()
    const theirs = await fetch(`${server.url}/write?db=${encodeURIComponent(database)}`, {
      method: 'POST',
      body: 'count,site=x v="theirs" 1719828000000000000',
    })
    expect(theirs.status).toBe(204)
    const rows = frame([0, 1, 2], [{ name: 'v', type: 'float', values: [null, 1, null] }])
    await historian.write([rows, frame([0, 1], [{ name: 'w', type: 'float', values: [5, 6] }], { device: '2' })], 9)
    expect(rejects).toEqual([
      {
        reason: expect.stringMatching(/^InfluxDB refuses a row: partial write: field type conflict: input field "v"/),
        text: 'count,device=1,site=london _row=0i,v=1 1719828000000000001',
      },
    ])
    expect(await historian.cursor()).toBe(9)
    expect((await historian.streams()).map(s => s.rows)).toEqual([2, 2])
    expect((await rowsOf(historian, { device: '2' })).map(row => row.w)).toEqual([5, 6])
    await historian.clear()
    expect([await historian.cursor(), await historian.streams()]).toEqual([0, []])
  })

  it('begins anew for another journal, or when it is ahead of its journal, and deletes no reading', async () => {
    const database = `penstock ${++databases}`
    const open = (journal: { epoch: string; last: number }) =>
      openInflux({ url: server.url, version: 1, database, journal, log: quiet })
    const first = await open({ epoch: 'a', last: 0 })
    await first.write([frame([0], [int('v', [1])])], 5)
    await first.writeAggregates([aggregate()], 5)
    expect(await (await open({ epoch: 'a', last: 5 })).cursor()).toBe(5)
    for (const journal of [
      { epoch: 'a', last: 4 },
      { epoch: 'b', last: 9 },
    ]) {
      const again = await open(journal)
      expect([await again.cursor(), await again.aggregatesCursor()]).toEqual([0, 0])
      expect(await collect(again.readAggregates({ level: 'sensor', resolution: 'hour', stream: 'count' }))).toEqual([])
      expect(await rowsOf(again)).toEqual([{ t: frame([], []).startNs, v: 1 }])
      await again.write([], 5)
    }
  })

  it('shows people plain measurements: readings, and aggregates by hour and day', async () => {
    const { historian, close } = await openTemp()
    await historian.write([frame([0], [int('count', [7])])])
    await historian.writeAggregates([aggregate(), aggregate({ level: 'site', device: '', sum: 9 })])
    await historian.writeAggregates([aggregate({ sum: 3, revision: 2 })])
    const ask = async (statement: string) => {
      type Answer = { results: { series?: { tags?: object; values: unknown[][] }[] }[] }
      const { results } = await server.query<Answer>(`penstock ${databases}`, statement)
      return results[0]?.series?.map(({ tags, values }) => [tags, ...values.map(row => row.slice(1))])
    }
    expect(await ask('select "count" from "count" where "site" = \'london\' and "device" = \'1\'')).toEqual([
      [undefined, [7]],
    ])
    const hourly = 'select "sum", "n", "revision" from "count_hourly" where "column" = \'count\''
    expect(await ask(`${hourly} group by "store", "sensor", "level"`)).toEqual([
      [{ store: 'london', sensor: '1', level: 'sensor' }, [3, 1, 2]],
      [{ store: 'london', sensor: '', level: 'store' }, [9, 1, 1]],
    ])
    await close()
  })

  it('holds and aggregates what the oracle does, in every digit', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(framesArbitrary, { minLength: 1, maxLength: 4 }), async writes => {
        const opened = await openTemp()
        try {
          const oracle = createMemoryHistorian()
          for (const [i, frames] of writes.entries()) {
            await oracle.write(frames.map(withoutCurves), i)
            await opened.historian.write(frames, i)
          }
          const wanted = await allOf(oracle)
          expect(await allOf(opened.historian)).toEqual(wanted)
          expect(await allOf((await opened.reopen?.()) as Historian)).toEqual(wanted)
        } finally {
          await opened.close()
        }
      }),
      { numRuns: 15, endOnFailure: true },
    )
  }, 60_000)

  it('carries any name and any text, line breaks, backslashes and escapes of its own included', async () => {
    const odd = fc.constantFrom(
      '\\',
      '"',
      "'",
      '\n',
      '\r',
      '\t',
      ',',
      '=',
      ' ',
      '%',
      '%0A',
      '#',
      '🚪',
      'é',
      '/*',
      '%5C',
    )
    const piece = fc.oneof({ weight: 3, arbitrary: odd }, fc.string({ unit: 'grapheme', maxLength: 4 }))
    const words = fc.array(piece, { minLength: 1, maxLength: 6 }).map(pieces => pieces.join('') || '.')
    const name = fc.oneof(
      { weight: 6, arbitrary: words },
      fc.constantFrom('time', 'site', 'device', '_row', '_holes', 'a_hourly', 'penstock_state', '_x', 'v\\'),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.record({ site: name, device: name, stream: name }),
        fc.uniqueArray(name, { minLength: 1, maxLength: 5 }),
        fc.array(fc.option(fc.oneof(words, fc.constant(''))), { minLength: 1, maxLength: 5 }),
        async (place, columns, texts) => {
          const opened = await openTemp()
          try {
            const oracle = createMemoryHistorian()
            const times = texts.map((_, i) => i)
            const frames = [
              frame(
                times,
                columns.map(column => ({ name: column, type: 'text', values: texts })),
                place,
              ),
              frame(
                times.slice(1),
                columns.map(column => ({ name: column, type: 'float', values: times.slice(1) })),
                {
                  ...place,
                  device: `${place.device}+`,
                },
              ),
            ]
            await oracle.write(frames)
            await opened.historian.write(frames)
            expect(await allOf(opened.historian)).toEqual(await allOf(oracle))
            const row = aggregate({ ...place, column: columns[0] ?? '' })
            await opened.historian.writeAggregates([row], 1, { add: [{ ...place, startNs: 5n }] })
            const again = (await opened.reopen?.()) as Historian
            expect(await allOf(again)).toEqual(await allOf(oracle))
            const query = {
              level: 'sensor',
              resolution: 'hour',
              stream: place.stream,
              column: columns[0] ?? '',
            } as const
            expect(await collect(again.readAggregates({ ...query, ...place }))).toEqual([row])
            expect(await again.dirtyHours()).toEqual([{ ...place, startNs: 5n }])
          } finally {
            await opened.close()
          }
        },
      ),
      { numRuns: 40, endOnFailure: true },
    )
  }, 60_000)
})
