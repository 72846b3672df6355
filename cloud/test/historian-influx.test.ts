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
  type Opened,
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
