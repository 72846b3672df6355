import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Historian } from '../src/historian.ts'
import { openLake } from '../src/historians/lake.ts'
import { createMemoryHistorian } from '../src/historians/memory.ts'
import { collect, framesArbitrary, historianContract, type Opened, rowsOf } from './historian.contract.ts'

const quiet = { info() {} }
const openTempLake = async (): Promise<Opened> => {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-lake-'))
  const open = () => openLake({ file: join(folder, 'lake.duckdb'), memoryMiBMax: 256, threads: 2, log: quiet })
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
      await rm(folder, { recursive: true })
    },
  }
}

historianContract('memory', async () => {
  const historian = createMemoryHistorian()
  return { historian, close: () => historian.close() }
})
historianContract('lake', openTempLake)

const hour = 3_600_000_000_000n
/** All series of a stream in one query, each with hours of its own, some on another grid. */
const together = async (historian: Historian, stream: string) => {
  const infos = (await historian.streams()).filter(info => info.stream === stream)
  const spansOf = (firstNs: bigint, lastNs: bigint, grid: bigint, every: bigint) => {
    const spans = []
    for (let h = firstNs - (firstNs % hour) + grid; h <= lastNs; h += hour * every) {
      spans.push({ fromNs: h, toNs: h + hour })
    }
    return spans
  }
  const series = infos.map(({ site, device, firstNs, lastNs }, i) => ({
    site,
    device,
    spans: spansOf(firstNs, lastNs, i % 3 === 2 ? hour / 2n : 0n, i % 2 === 0 ? 1n : 2n),
  }))
  const silent = { site: 'nobody', device: '', spans: [{ fromNs: 0n, toNs: hour }] }
  return historian.buckets({ stream, series: [...series, silent] })
}
const seriesOf = async (historian: Historian) => {
  const streams = await historian.streams()
  const all: unknown[] = [streams]
  for (const { site, device, stream, firstNs, lastNs } of streams) {
    const key = { site, device, stream }
    all.push(await rowsOf(historian, key), await rowsOf(historian, { ...key, descending: true, limit: 3 }))
    all.push(await rowsOf(historian, { ...key, points: 6 }))
    const spans = []
    for (let h = firstNs - (firstNs % hour); h <= lastNs; h += hour) spans.push({ fromNs: h, toNs: h + hour })
    const one = (its: { fromNs: bigint; toNs: bigint }[]) => ({ stream, series: [{ site, device, spans: its }] })
    all.push(await historian.buckets(one(spans)))
    all.push(await historian.buckets(one([{ fromNs: firstNs, toNs: lastNs }])))
  }
  for (const stream of new Set(streams.map(info => info.stream))) all.push(await together(historian, stream))
  return all
}

it('the lake holds and aggregates what the oracle does, in every digit', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(framesArbitrary, { minLength: 1, maxLength: 5 }), async writes => {
      const opened = await openTempLake()
      try {
        const oracle = createMemoryHistorian()
        for (const [i, frames] of writes.entries()) {
          await oracle.write(frames, i)
          await opened.historian.write(frames, i)
        }
        const wanted = await seriesOf(oracle)
        expect(await seriesOf(opened.historian)).toEqual(wanted)
        const again = (await opened.reopen?.()) as Historian
        expect(await seriesOf(again)).toEqual(wanted)
        expect(await collect(again.read({ site: 'x', device: '', stream: '', fromNs: 0n, toNs: 1n }))).toEqual([])
      } finally {
        await opened.close()
      }
    }),
    { numRuns: 15, endOnFailure: true },
  )
}, 60_000)
