/** Fixtures are files, as in fixtures.test.ts; those of TDMS are made by tdms-fixtures.ts, and are still what it makes. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createFileDecoder, formatSchema, type Resume, type SeekDecoder } from '../src/index.ts'
import { context } from './decoder.contract.ts'
import { readGrowing, readWhole } from './seek-decoder.contract.ts'
import { fixtureFolder, fixtures, plain } from './tdms-fixtures.ts'

const bytesOf = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, fixtureFolder)))
const json = (name: string): unknown => JSON.parse(readFileSync(new URL(name, fixtureFolder), 'utf8'))
const names = readdirSync(fixtureFolder)
  .filter(name => name.endsWith('.options.json'))
  .map(name => name.slice(0, -'.options.json'.length))

describe('TDMS fixtures', () => {
  it.each(names)('%s', async name => {
    const bytes = bytesOf(`${name}.tdms`)
    const format = formatSchema.parse(json(`${name}.options.json`))
    const make = (resume?: Resume) =>
      createFileDecoder(format, context({ file: `${name}.tdms` }), resume) as SeekDecoder
    const read = await readWhole(make, bytes)
    expect(plain(read)).toEqual(json(`${name}.expected.json`))
    const everywhere = Array.from(bytes, (_, i) => i)
    expect(await readGrowing(make, bytes, everywhere)).toEqual(read)
    expect(await readGrowing(make, bytes, [], everywhere)).toEqual(read)
  })
  it('are what their generator makes', () => {
    expect(names.sort()).toEqual(Object.keys(fixtures).sort())
    for (const [name, { bytes }] of Object.entries(fixtures))
      expect(Buffer.from(bytesOf(`${name}.tdms`)).equals(bytes), name).toBe(true)
  })
})
