import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Historian } from '../src/historian.ts'
import { openLake } from '../src/historians/lake.ts'
import { createMemoryHistorian } from '../src/historians/memory.ts'
import { allOf, collect, framesArbitrary, historianContract, type Opened } from './historian.contract.ts'

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
        const wanted = await allOf(oracle)
        expect(await allOf(opened.historian)).toEqual(wanted)
        const again = (await opened.reopen?.()) as Historian
        expect(await allOf(again)).toEqual(wanted)
        expect(await collect(again.read({ site: 'x', device: '', stream: '', fromNs: 0n, toNs: 1n }))).toEqual([])
      } finally {
        await opened.close()
      }
    }),
    { numRuns: 15, endOnFailure: true },
  )
}, 60_000)
