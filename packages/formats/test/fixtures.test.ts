/**
 * Fixtures are files: `x.csv` (or another ending), how it is configured in `x.options.json`, what it amounts to in
 * `x.expected.json`; in `x.context.json`, where that matters, the name and place of the file. Adding a case adds files.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { formatNs } from '@penstock/frame'
import { describe, expect, it } from 'vitest'
import {
  createFileDecoder,
  type Decoder,
  type DecoderContext,
  formatSchema,
  type Resume,
  type SeekDecoder,
} from '../src/index.ts'
import { context, decodeAll, type Whole } from './decoder.contract.ts'
import { pullAll } from './seek.contract.ts'

const folder = new URL('fixtures/', import.meta.url)
const names = readdirSync(folder)
const cases = names.filter(name => name.endsWith('.options.json')).map(name => name.slice(0, -'.options.json'.length))
const readJson = (name: string): unknown => JSON.parse(readFileSync(new URL(name, folder), 'utf8'))

/** As it stands in the expected file: times as text, curves as lists (a hole is null), one row a line. */
const plain = (whole: Whole): unknown => ({
  ...whole,
  series: Object.fromEntries(
    Object.entries(whole.series).map(([key, series]) => [
      key,
      { ...series, rows: series.rows.map(([time, ...values]) => [formatNs(time as bigint), ...values.map(listed)]) },
    ]),
  ),
})

const listed = (value: unknown): unknown =>
  value instanceof Float64Array ? Array.from(value, v => (Number.isNaN(v) ? null : v)) : value

describe('fixtures', () => {
  it.each(cases)('%s', async name => {
    const file = names.find(n => n.startsWith(`${name}.`) && !/\.(options|expected|context)\.json$/.test(n))
    const bytes = new Uint8Array(readFileSync(new URL(file ?? '', folder)))
    const format = formatSchema.parse(readJson(`${name}.options.json`))
    const more = names.includes(`${name}.context.json`) ? readJson(`${name}.context.json`) : {}
    const made = (resume?: Resume) => createFileDecoder(format, context(more as Partial<DecoderContext>), resume)
    if ('pull' in made()) {
      const makeSeek = (resume?: Resume) => made(resume) as SeekDecoder
      const whole = await pullAll(makeSeek, bytes)
      expect(plain(whole)).toEqual(readJson(`${name}.expected.json`))
      expect(await pullAll(makeSeek, bytes, 1)).toEqual(whole)
      return
    }
    const make = (resume?: Resume) => made(resume) as Decoder
    const whole = decodeAll(make, bytes)
    expect(plain(whole)).toEqual(readJson(`${name}.expected.json`))
    const everywhere = Array.from(bytes, (_, i) => i)
    expect(decodeAll(make, bytes, everywhere)).toEqual(whole)
    expect(decodeAll(make, bytes, everywhere, everywhere)).toEqual(whole)
  })
})
