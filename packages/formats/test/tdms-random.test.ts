/** TDMS files of every shape, and broken ones: nothing is lost, nothing depends on when the file was looked at. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFileDecoder, formatSchema, type Resume, type SeekDecoder } from '../src/index.ts'
import { context } from './decoder.contract.ts'
import { fileOf, type MakeSeeking, type Read, readGrowing, readWhole } from './seek-decoder.contract.ts'
import {
  channelPath,
  chunkBytes,
  type Index,
  type ObjectPart,
  type Property,
  segment,
  type TypeName,
  type Value,
  valueBytes,
} from './tdms-writer.ts'

const make = (options: object): MakeSeeking => {
  const format = formatSchema.parse({ kind: 'tdms', ...options })
  return (resume?: Resume) =>
    createFileDecoder(format, context({ file: 'oct.-05-23.tdms', frameRowsMax: 3 }), resume) as SeekDecoder
}
const makes = [
  make({}),
  make({ rows: 'file' }),
  make({ time: 'arrival' }),
  make({ rows: 'file', time: { channel: 'c0', start: { file: 'MMM-DD-YY' } } }),
  make({ groups: ['g0'], time: { channel: 'g0/c4' } }),
]

const channels: { group: string; channel: string; type: TypeName }[] = (
  ['float64', 'int16', 'string', 'uint8', 'stamp', 'int32', 'float32'] as const
).map((type, i) => ({ group: `g${i % 3}`, channel: `c${i}`, type }))

const noon = 1_696_492_800_000_000_000n
const madeValue = (type: TypeName, n: number): Value =>
  type === 'string' ? `t${n}` : type === 'stamp' ? noon + BigInt(n) * 1_000_000_000n : n % 100

const property = fc.constantFrom<Record<string, Property>>(
  { wf_increment: { type: 'float64', value: 0.5 }, wf_start_time: { type: 'stamp', value: noon } },
  { wf_increment: { type: 'float64', value: 0.5 }, wf_start_time: { type: 'stamp', value: noon + 99_000_000_000n } },
  { unit_string: { type: 'string', value: 'V' } },
  { note: { type: 'int32', value: 3 } },
)
const part = fc.record({
  kind: fc.constantFrom('list', 'list', 'update', 'again', 'bare', 'properties'),
  who: fc.uniqueArray(fc.nat(channels.length - 1), { minLength: 1, maxLength: 4 }),
  values: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 4, maxLength: 4 }),
  chunks: fc.constantFrom(1, 1, 1, 2, 3),
  interleaved: fc.boolean(),
  big: fc.boolean(),
  property: fc.option(property, { nil: undefined }),
})
type Part = typeof part extends fc.Arbitrary<infer T> ? T : never

interface Model {
  file: Uint8Array
  /** Values of each channel in the order of the file. */
  values: Map<string, Value[]>
}

/** Writes parts one behind the other, as a program would that keeps to the format. */
const write = (parts: readonly Part[]): Model => {
  const values = new Map<string, Value[]>()
  const last = new Map<number, Index>()
  // The list of objects: channels, and whether they have values.
  let list: { i: number; data: boolean }[] = []
  let woven = false
  let n = 0
  const pieces: Uint8Array[] = []
  const chunk = (big: boolean): Uint8Array => {
    const own = list.flatMap(({ i, data }) => {
      if (!data) return []
      const { channel, type } = channels[i] as (typeof channels)[number]
      const index = last.get(i) as Index
      // Texts are always as long, as an index that is kept says.
      const made = Array.from({ length: index.values }, (_, k) => (type === 'string' ? 'xyz' : madeValue(type, n + k)))
      values.set(channel, [...(values.get(channel) ?? []), ...made])
      return [{ type, made }]
    })
    n += 3
    if (!woven) return Buffer.concat(own.map(({ type, made }) => chunkBytes(type, made, big)))
    const row = (k: number) => own.map(({ type, made }) => valueBytes(type, made[k] as Value, big))
    return Buffer.concat((own[0]?.made ?? []).flatMap((_, k) => row(k)))
  }
  for (const { kind, who, values: counts, chunks, interleaved, big, property: said } of parts) {
    if (kind === 'properties') {
      const [i = 0] = who
      const ofFile = who.length > 2
      const { group, channel } = channels[i] as (typeof channels)[number]
      const path = ofFile ? '/' : channelPath(group, channel)
      pieces.push(segment({ objects: [{ path, index: 'none', properties: said ?? {} }], newList: true, big }))
      list = ofFile ? [] : [{ i, data: false }]
      continue
    }
    const named = kind === 'again' ? who.filter(i => last.has(i)) : who
    if (kind === 'bare' ? !list.some(({ data }) => data) : named.length === 0) continue
    const objects: ObjectPart[] = []
    if (kind !== 'bare') {
      woven = interleaved && kind === 'list' && who.every(i => channels[i]?.type !== 'string')
      if (kind !== 'update') list = []
      for (const [k, i] of named.entries()) {
        const { group, channel, type } = channels[i] as (typeof channels)[number]
        const count = counts[woven ? 0 : k] as number
        if (kind !== 'again') last.set(i, { type, values: count, ...(type === 'string' && { bytes: 7 * count }) })
        const index = kind === 'again' ? 'same' : (last.get(i) as Index)
        objects.push({ path: channelPath(group, channel), index, ...(k === 0 && said && { properties: said }) })
        const place = list.findIndex(entry => entry.i === i)
        if (place < 0) list.push({ i, data: true })
        else list[place] = { i, data: true }
      }
    }
    const raw = Buffer.concat(Array.from({ length: chunks }, () => chunk(big)))
    pieces.push(
      segment({ ...(kind !== 'bare' && { objects, newList: kind !== 'update' }), interleaved: woven, big, raw }),
    )
  }
  return { file: new Uint8Array(Buffer.concat(pieces)), values }
}
const parts = fc.array(part, { minLength: 1, maxLength: 8 })
const cuts = fc.array(fc.nat(1500), { maxLength: 10 })

/** What a channel's column holds, holes left out. */
const found = (read: Read, channel: string): unknown[] => {
  const all: unknown[] = []
  for (const { columns, rows } of Object.values(read.series)) {
    const i = columns.findIndex(c => c.startsWith(`${channel}:`) || c.includes(`/${channel}:`))
    if (i >= 0) for (const row of rows) if (row[i + 1] !== null) all.push(row[i + 1])
  }
  return all
}

describe('tdms files of every shape', () => {
  it('give every value of every channel, in order', async () => {
    await fc.assert(
      fc.asyncProperty(parts, async list => {
        const { file, values } = write(list)
        const read = await readWhole(make({ time: 'arrival' }), file)
        expect(read.rejects).toEqual([])
        for (const [channel, expected] of values) {
          const type = channels.find(c => c.channel === channel)?.type
          const plain = type === 'stamp' ? expected.length : expected
          const got = found(read, channel)
          expect(type === 'stamp' ? got.length : got, channel).toEqual(plain)
        }
      }),
      { numRuns: 150 },
    )
  })
  it('give the same rows however they grow and whenever the reader begins anew', async () => {
    await fc.assert(
      fc.asyncProperty(parts, cuts, cuts, fc.constantFrom(...makes), async (list, at, stops, decoder) => {
        const { file } = write(list)
        const whole = await readWhole(decoder, file)
        expect(await readGrowing(decoder, file, at)).toEqual(whole)
        expect(await readGrowing(decoder, file, at, stops)).toEqual(whole)
      }),
      { numRuns: 150 },
    )
  })
})

const mutation = fc.record({
  at: fc.nat(2000),
  kind: fc.constantFrom('set', 'set', 'ones', 'drop', 'add'),
  value: fc.nat(255),
})
const mutate = (file: Uint8Array, list: readonly { at: number; kind: string; value: number }[]): Uint8Array => {
  let bytes = Buffer.from(file)
  for (const { at, kind, value } of list) {
    const p = at % Math.max(1, bytes.length)
    if (kind === 'set') bytes[p] = value
    else if (kind === 'ones') bytes.fill(0xff, p, Math.min(bytes.length, p + (value % 9)))
    else if (kind === 'drop') bytes = Buffer.concat([bytes.subarray(0, p), bytes.subarray(p + (value % 40))])
    else bytes = Buffer.concat([bytes.subarray(0, p), Buffer.alloc(value % 40, value), bytes.subarray(p)])
  }
  return new Uint8Array(bytes)
}

describe('broken tdms files', () => {
  it('are read as far as they can be, without an exception, a hang or much reading', async () => {
    await fc.assert(
      fc.asyncProperty(
        parts,
        fc.array(mutation, { minLength: 1, maxLength: 3 }),
        fc.constantFrom(...makes),
        async (list, mutations, decoder) => {
          const file = mutate(write(list).file, mutations)
          const seen = { bytes: 0, largest: 0 }
          const reading = decoder()
          for (let pulls = 0; ; pulls++) {
            const { more } = await reading.pull(fileOf(file, file.length, seen), true, 1n)
            if (!more) break
            expect(pulls).toBeLessThan(100)
          }
          expect(seen.bytes).toBeLessThanOrEqual(20 * file.length + 100_000)
          expect(reading.checkpoint().offset).toBe(file.length)
        },
      ),
      { numRuns: 400 },
    )
  })
  it('give the same rows and rejects however they grow', async () => {
    await fc.assert(
      fc.asyncProperty(
        parts,
        fc.array(mutation, { minLength: 1, maxLength: 2 }),
        cuts,
        cuts,
        fc.constantFrom(...makes),
        async (list, mutations, at, stops, decoder) => {
          const file = mutate(write(list).file, mutations)
          const whole = await readWhole(decoder, file)
          expect(await readGrowing(decoder, file, at)).toEqual(whole)
          expect(await readGrowing(decoder, file, at, stops)).toEqual(whole)
        },
      ),
      { numRuns: 250 },
    )
  })
})
