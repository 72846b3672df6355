import { isDeepStrictEqual } from 'node:util'
import { formatNs } from '@penstock/frame'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFileDecoder, formatSchema, type Resume, type SeekDecoder } from '../src/index.ts'
import { stampAt, stampParts } from '../src/tdms/raw-type.ts'
import { context } from './decoder.contract.ts'
import {
  addPulled,
  emptyRead,
  fileOf,
  type MakeSeeking,
  type Read,
  readGrowing,
  readStates,
  readWhole,
} from './seek-decoder.contract.ts'
import { channelPath, chunkBytes, plainSegment, segment, type TypeName, type Value, valueBytes } from './tdms-writer.ts'

const make = (options: object = {}, more = {}): MakeSeeking => {
  const format = formatSchema.parse({ kind: 'tdms', ...options })
  return (resume?: Resume) => createFileDecoder(format, context({ frameRowsMax: 5, ...more }), resume) as SeekDecoder
}
const concat = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts))
/** Every byte of a small file; of a larger one about 400 places, which fall anywhere in its parts. */
const everywhere = (bytes: Uint8Array): number[] => {
  const step = Math.ceil(bytes.length / 400)
  return Array.from({ length: Math.ceil(bytes.length / step) }, (_, i) => i * step)
}
const times = (read: Read, stream: string): string[] =>
  (read.series[stream]?.rows ?? []).map(row => formatNs(row[0] as bigint))
const values = (read: Read, stream: string, column: string): unknown[] => {
  const series = read.series[stream]
  const i = series?.columns.findIndex(c => c.startsWith(`${column}:`)) ?? -1
  return i < 0 ? [] : (series?.rows ?? []).map(row => row[i + 1])
}
const statuses = (read: Read, stream: string): unknown[] => (read.series[stream]?.rows ?? []).map(row => row.at(-1))

/** Reads whole, and as it grows, with and without restarts: all the same. */
const readAll = async (decoder: MakeSeeking, bytes: Uint8Array): Promise<Read> => {
  const whole = await readWhole(decoder, bytes)
  expect(await readGrowing(decoder, bytes, everywhere(bytes))).toEqual(whole)
  expect(await readGrowing(decoder, bytes, [], everywhere(bytes))).toEqual(whole)
  return whole
}

const second = 1_000_000_000n
const noon = 1_696_492_800n * second
const start = { type: 'stamp', value: noon } as const
const everySecond = { wf_start_time: start, wf_increment: { type: 'float64', value: 1 } } as const

describe('tdms', () => {
  it('reads every type, little and big-endian', async () => {
    const types: [TypeName, Value[]][] = [
      ['int8', [-128, 127]],
      ['int16', [-32_768, 32_767]],
      ['int32', [-2_147_483_648, 2_147_483_647]],
      ['int64', [-5n, 9_007_199_254_740_991n]],
      ['uint8', [0, 255]],
      ['uint16', [0, 65_535]],
      ['uint32', [0, 4_294_967_295]],
      ['uint64', [0n, 9_007_199_254_740_991n]],
      ['float32', [0.5, -1.25]],
      ['float64', [0.1, -1e300]],
      ['float32Unit', [0.5, 2]],
      ['float64Unit', [0.1, 3]],
      ['string', ['', 'ä µ 機']],
      ['boolean', [true, false]],
      ['stamp', [noon + 1n, -1n]],
    ]
    for (const big of [false, true]) {
      const file = plainSegment(
        types.map(([type, list]) => ({ group: 'g', channel: type, type, values: list, properties: everySecond })),
        { big },
      )
      const read = await readAll(make({ time: 'arrival' }), concat(file))
      for (const [type, list] of types) {
        const expected =
          type === 'stamp' ? (list as bigint[]).map(formatNs) : list.map(v => (typeof v === 'bigint' ? Number(v) : v))
        expect(values(read, 'g', type), `${type} ${big}`).toEqual(expected)
      }
      expect(statuses(read, 'g')).toEqual([null, null])
    }
  })

  it('tells complex numbers in two columns', async () => {
    for (const interleaved of [false, true]) {
      const written = (['complex32', 'complex64'] as const).map(type => ({
        group: 'g',
        channel: type,
        type,
        values: [1.5, 2],
        properties: everySecond,
      }))
      const read = await readAll(make(), concat(plainSegment(written, { interleaved })))
      expect(read.series.g?.columns).toEqual([
        'complex32 re:float',
        'complex32 im:float',
        'complex64 re:float',
        'complex64 im:float',
      ])
      expect(read.series.g?.rows.map(row => row.slice(1))).toEqual([
        [1.5, -1.5, 1.5, -1.5, null],
        [2, -2, 2, -2, null],
      ])
    }
  })

  it('never rounds 64-bit numbers: what no double holds stands in the status', async () => {
    const file = plainSegment([
      {
        group: 'g',
        channel: 'a',
        type: 'int64',
        values: [9_007_199_254_740_993n, -9_007_199_254_740_992n, 7n],
        properties: everySecond,
      },
      {
        group: 'g',
        channel: 'b',
        type: 'uint64',
        values: [1n, 18_446_744_073_709_551_615n, 2n],
        properties: everySecond,
      },
    ])
    const read = await readAll(make(), concat(file))
    expect(values(read, 'g', 'a')).toEqual([null, null, 7])
    expect(values(read, 'g', 'b')).toEqual([1, null, 2])
    expect(statuses(read, 'g')).toEqual([
      'beyond-2^53: a = 9007199254740993',
      'beyond-2^53: a = -9007199254740992; beyond-2^53: b = 18446744073709551615',
      null,
    ])
  })

  it('reads interleaved values, several chunks in a segment and a last one that is shorter', async () => {
    const index = { type: 'int16', values: 2 } as const
    const objects = ['a', 'b'].map(channel => ({ path: channelPath('g', channel), index, properties: everySecond }))
    const raw = (...list: number[]) => chunkBytes('int16', list)
    const plain = concat(segment({ objects, raw: raw(1, 2, 11, 12, 3, 4, 13, 14, 5) }))
    const read = await readAll(make(), plain)
    expect([values(read, 'g', 'a'), values(read, 'g', 'b')]).toEqual([
      [1, 2, 3, 4, 5],
      [11, 12, 13, 14, null],
    ])
    expect(statuses(read, 'g')).toEqual([null, null, null, null, 'incomplete'])
    const interleaved = concat(segment({ objects, interleaved: true, raw: raw(1, 11, 2, 12, 3, 13) }))
    const woven = await readAll(make(), interleaved)
    expect([values(woven, 'g', 'a'), values(woven, 'g', 'b')]).toEqual([
      [1, 2, 3],
      [11, 12, 13],
    ])
  })

  it('keeps, extends and updates the list of objects, and takes the last index ever seen', async () => {
    const object = (channel: string, index: 'same' | 'none' | { type: TypeName; values: number }) => ({
      path: channelPath('g', channel),
      index,
    })
    const two = { type: 'uint8', values: 2 } as const
    const one = { type: 'uint8', values: 1 } as const
    const file = concat(
      segment({ objects: [object('a', two), object('b', two)], raw: Buffer.from([1, 2, 11, 12]) }),
      // No metadata: the list holds.
      segment({ raw: Buffer.from([3, 4, 13, 14]) }),
      // An update of one object; the other one stays.
      segment({ objects: [object('b', one)], newList: false, raw: Buffer.from([5, 6, 15]) }),
      // One has no data here.
      segment({ objects: [object('a', 'none')], newList: false, raw: Buffer.from([16]) }),
      // A new list, as before: the index of long ago.
      segment({ objects: [object('b', 'same'), object('a', 'same')], raw: Buffer.from([17, 7, 8]) }),
    )
    const read = await readAll(make({ time: 'arrival' }), file)
    expect(values(read, 'g', 'a')).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(values(read, 'g', 'b')).toEqual([11, 12, 13, 14, 15, 16, 17, null])
    expect(values(read, 'g', 'index')).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  })

  it('takes an index that came since the same metadata was read before', async () => {
    const object = (channel: string, index: 'same' | 'none' | { type: TypeName; values: number }) => ({
      path: channelPath('g', channel),
      index,
    })
    const one = { type: 'uint8', values: 1 } as const
    const again = [object('a', 'same'), object('b', 'same')]
    const file = concat(
      segment({ objects: [object('a', one), object('b', 'none')], raw: Buffer.from([1]) }),
      segment({ objects: again, raw: Buffer.from([2]) }),
      segment({ objects: [object('b', one)], raw: Buffer.from([11]) }),
      segment({ objects: again, raw: Buffer.from([3, 12]) }),
    )
    const read = await readAll(make({ time: 'arrival' }), file)
    expect([values(read, 'g', 'a'), values(read, 'g/b', 'b')]).toEqual([
      [1, 2, 3],
      [11, 12],
    ])
  })

  it('reads whole chunks of a file whose writer crashed, and tells what is left', async () => {
    const objects = ['a', 'b'].map(channel => ({
      path: channelPath('g', channel),
      index: { type: 'int32', values: 2 } as const,
      properties: everySecond,
    }))
    const raw = (...list: number[]) => chunkBytes('int32', list)
    const file = concat(
      segment({ objects, open: true, raw: concat(raw(1, 2, 11, 12), raw(3, 4, 13), Buffer.from([1, 2])) }),
    )
    const read = await readAll(make(), file)
    expect([values(read, 'g', 'a'), values(read, 'g', 'b')]).toEqual([
      [1, 2, 3],
      [11, 12, 13],
    ])
    expect(read.rejects.map(([reason]) => reason)).toEqual([
      'the writer stopped within a chunk of the segment at byte 0: 6 bytes that make no whole row',
    ])
  })

  it('is not disturbed by a writer that rewrites the lead-in of its last segment', async () => {
    const index = { type: 'int32', values: 1 } as const
    const objects = ['a', 'b'].map(channel => ({ path: channelPath('g', channel), index, properties: everySecond }))
    const raw = (rows: number) => concat(...Array.from({ length: rows }, (_, i) => chunkBytes('int32', [i, -i])))
    const second = segment({ objects: objects.map(({ path }) => ({ path, index: 'same' as const })), raw: raw(2) })
    const states: Uint8Array[] = []
    // Open, then closed after every chunk, with raw data that stands there before its lead-in says so.
    states.push(concat(segment({ objects, open: true, raw: raw(0) })))
    states.push(concat(segment({ objects, open: true, raw: raw(2) }), Buffer.from([3])))
    for (const rows of [2, 3, 5]) {
      states.push(concat(segment({ objects, raw: raw(rows) })))
      states.push(concat(segment({ objects, raw: raw(rows) }), raw(1)))
    }
    states.push(concat(segment({ objects, raw: raw(6) }), second.subarray(0, 60)))
    const whole = concat(segment({ objects, raw: raw(6) }), second)
    states.push(whole)
    const read = await readWhole(make(), whole)
    expect(values(read, 'g', 'a')).toEqual([0, 1, 2, 3, 4, 5, 0, 1])
    expect(await readStates(make(), states)).toEqual(read)
    expect(await readStates(make(), states, new Set(states.keys()))).toEqual(read)
  })

  it('gives rows of a growing file as soon as a round is complete, and its offset stays in front of the open segment', async () => {
    const round = (i: number) =>
      concat(
        plainSegment([{ group: 'a', channel: 'x', type: 'float64', values: [i] }]),
        plainSegment([{ group: 'b', channel: 'y', type: 'string', values: [`row ${i}`] }]),
      )
    const decoder = make({ rows: 'file', time: 'arrival' })()
    const file = concat(round(0), round(1), round(2))
    const third = round(0).length
    const seen: [number, number][] = []
    for (const size of [third, third + 30, 2 * third, 3 * third]) {
      const { frames } = await decoder.pull({ size, read: async (a, b) => file.slice(a, Math.min(b, size)) }, false, 1n)
      seen.push([
        frames.reduce((sum, frame) => sum + frame.offsetsNs.length, 0),
        decoder.checkpoint().offset < size ? 1 : 0,
      ])
    }
    // The first round is known to be one when the second begins with its values.
    expect(seen).toEqual([
      [0, 1],
      [0, 1],
      [2, 1],
      [1, 1],
    ])
  })
})

describe('tdms files that are said to be complete, or whose channels stop', () => {
  const objects = ['a', 'b'].map(channel => ({
    path: channelPath('g', channel),
    index: { type: 'int32', values: 1 } as const,
    properties: everySecond,
  }))
  const row = (i: number) => chunkBytes('int32', [i, 10 + i])
  const whole = concat(
    segment({ objects, raw: concat(row(0), row(1), row(2)) }),
    segment({ raw: concat(row(3), row(4)) }),
  )
  const readOn = async (decoder: SeekDecoder, size: number, last: boolean) => {
    const { frames, rejects, used } = await decoder.pull(fileOf(whole, size), last, 1n)
    const rows = frames.flatMap(frame =>
      Array.from(frame.offsetsNs, (_, i) =>
        frame.columns
          .map(column => column.values[i])
          .concat(Number((frame.startNs - noon) / second) + (frame.offsetsNs[i] ?? 0) / 1e9),
      ),
    )
    return { rows, rejects: rejects.length, used }
  }
  it.each([false, true])('go on where a file that had rested grows after all (restart: %s)', async restart => {
    const cut = whole.length - 12
    let decoder = make()()
    expect(await readOn(decoder, cut, true)).toEqual({
      rows: [
        [0, 10, 0],
        [1, 11, 1],
        [2, 12, 2],
      ],
      rejects: 1,
      used: cut,
    })
    if (restart)
      decoder = make()({ checkpoint: JSON.parse(JSON.stringify(decoder.checkpoint())), head: new Uint8Array(0) })
    expect((await readOn(decoder, cut, true)).rows).toEqual([])
    const more = await readOn(decoder, whole.length, true)
    expect(more.rows).toEqual([
      [3, 13, 3],
      [4, 14, 4],
    ])
    expect(more.used).toBe(12)
    expect(decoder.checkpoint().offset).toBe(whole.length)
  })

  it('give a row with holes again, whole, where the file grows after all', async () => {
    const part = (channel: string, value: number) =>
      plainSegment([{ group: 'g', channel, type: 'uint8' as const, values: [value], properties: everySecond }])
    const round = (i: number) => concat(part('a', i), part('b', 10 + i))
    const file = concat(round(0), round(1), round(2), round(3))
    const cut = concat(round(0), round(1), part('a', 2)).length
    const given: unknown[] = []
    const decoder = make()()
    for (const size of [cut, file.length]) {
      const { frames } = await decoder.pull(fileOf(file, size), true, 1n)
      given.push(frames.flatMap(({ columns }) => columns.map(column => [...(column.values as (number | string)[])])))
    }
    expect(given).toEqual([
      [
        [0, 1, 2],
        [10, 11, Number.NaN],
        [null, null, 'incomplete'],
      ],
      [
        [2, 3],
        [12, 13],
      ],
    ])
  })

  it('give rows without a channel that its writer has long passed over, and what comes of it later apart', async () => {
    const list = (channels: string[], value: number) =>
      plainSegment(channels.map(channel => ({ group: 'g', channel, type: 'uint8' as const, values: [value] })))
    const both = list(['a', 'b'], 1)
    const alone = list(['a'], 2)
    const file = concat(both, both, ...Array.from({ length: 9300 }, () => alone), both, both)
    const decoder = make({ time: 'arrival' }, { frameRowsMax: 100_000 })()
    let rows = 0
    for (;;) {
      const { frames, more } = await decoder.pull(fileOf(file), false, 1n)
      for (const frame of frames) if (frame.stream === 'g') rows += frame.offsetsNs.length
      if (!more) break
    }
    expect(rows).toBe(2 + 9300 + 2)
    const read = await readWhole(make({ time: 'arrival' }), file)
    expect(values(read, 'g', 'b').filter(v => v !== null)).toEqual([1, 1])
    expect(statuses(read, 'g').slice(1, 4)).toEqual([null, 'incomplete', 'incomplete'])
    expect(values(read, 'g/b', 'b')).toEqual([1, 1])
    const places = [100, file.length / 2, file.length - 200, file.length - 20].map(Math.floor)
    expect(await readGrowing(make({ time: 'arrival' }), file, places, places)).toEqual(read)
  })
})

describe('tdms files whose disk fails or that shrink', () => {
  const rows = 2000
  const objects = (['float64', 'string', 'uint8'] as const).map(type => ({
    path: channelPath('g', type),
    index: { type, values: rows, ...(type === 'string' && { bytes: 24 * rows }) },
    properties: everySecond,
  }))
  const counted = Array.from({ length: rows }, (_, i) => i)
  const texts = chunkBytes(
    'string',
    counted.map(i => `text ${i}`.padEnd(20)),
  )
  const chunk = concat(chunkBytes('float64', counted), texts, Buffer.alloc(rows, 7))
  const file = concat(segment({ objects, raw: concat(...Array.from({ length: 10 }, () => chunk)) }))
  const large = () => make({}, { frameRowsMax: 4096 })()

  it('give each row once, whichever read it is that fails', async () => {
    const whole = await readWhole(make({}, { frameRowsMax: 4096 }), file)
    for (let fails = 0; fails < 6; fails++) {
      const decoder = large()
      const read = emptyRead()
      let reads = 0
      for (let pulls = 0; pulls < 100; pulls++) {
        const bytes = fileOf(file)
        const flaky = {
          ...bytes,
          read: async (from: number, to: number) => {
            if (reads++ === fails) throw new Error('EIO')
            return bytes.read(from, to)
          },
        }
        const pulled = await decoder.pull(flaky, true, 1n).catch(() => undefined)
        if (!pulled) continue
        addPulled(read, pulled)
        if (!pulled.more) break
      }
      expect(reads).toBeGreaterThan(fails)
      expect(isDeepStrictEqual(read, whole), `read ${fails}`).toBe(true)
    }
  })
  it('give what is there of a file that became shorter', async () => {
    const decoder = large()
    const short = file.slice(0, file.length / 2)
    const pulled = await decoder.pull({ size: file.length, read: async (a, b) => short.slice(a, b) }, true, 1n)
    expect(pulled.used).toBe(0)
    const read = emptyRead()
    addPulled(read, pulled)
    expect(read.series.g?.rows.length).toBeGreaterThan(1000)
    for (;;) {
      const more = await decoder.pull(fileOf(file), true, 1n)
      addPulled(read, more)
      if (!more.more) break
    }
    expect(isDeepStrictEqual(read, await readWhole(make(), file))).toBe(true)
  })
})

describe('tdms index files', () => {
  const first = plainSegment([
    { group: 'g', channel: 'x', type: 'int32' as const, values: [0, 1, 2], properties: everySecond },
  ])
  const again = (i: number) =>
    segment({ objects: [{ path: channelPath('g', 'x'), index: 'same' }], raw: chunkBytes('int32', [i, i, i]) })
  const segments = [first, ...Array.from({ length: 11 }, (_, i) => again(i))]
  const file = concat(...segments)
  const metadataBytes = (segment: Buffer) => Number(segment.readBigUInt64LE(20))
  const indexOf = (list: readonly Buffer[]) =>
    concat(
      ...list.map(piece => {
        const copy = Buffer.from(piece.subarray(0, 28 + metadataBytes(piece)))
        copy[3] = 0x68
        return copy
      }),
    )
  const right = indexOf(segments)
  /** The start of the waveform is another one. */
  const changed = Buffer.from(right)
  changed[changed.indexOf('wf_start_time') + 13 + 4 + 8] = 0x11
  /** A path that is none, in a segment that is not compared. */
  const damaged = Buffer.from(right)
  damaged[indexOf(segments.slice(0, 5)).length + 28 + 8] = 0x11
  it.each<[string, Uint8Array, boolean]>([
    ['right', right, true],
    ['damaged', new Uint8Array(damaged), true],
    ['cut off', right.slice(0, 300), true],
    ['empty', new Uint8Array(0), false],
    [
      'of another file',
      indexOf([plainSegment([{ group: 'h', channel: 'other', type: 'int8', values: [1] }]), ...segments]),
      true,
    ],
    ['of other metadata', new Uint8Array(changed), true],
    ['no index at all', new Uint8Array(Buffer.alloc(2000, 0x41)), true],
  ])('%s: the rows are the same', async (_, index, isUsed) => {
    const whole = await readWhole(make(), file)
    const before = make()()
    const used = first.length + 6 * again(0).length
    const begun = emptyRead()
    addPulled(begun, await before.pull(fileOf(file, used + 10), false, 1n))
    expect(before.checkpoint().offset).toBe(used)
    const seen = { bytes: 0, largest: 0 }
    const after = make()({ checkpoint: JSON.parse(JSON.stringify(before.checkpoint())), head: new Uint8Array(0) })
    for (;;) {
      const beside = { ...fileOf(file), index: async () => fileOf(index, index.length, seen) }
      const pulled = await after.pull(beside, true, 1n)
      addPulled(begun, pulled)
      if (!pulled.more) break
    }
    expect(begun).toEqual(whole)
    expect(seen.bytes > 0).toBe(isUsed)
  })
})

describe('tdms DAQmx', () => {
  const scaled = (i: number, slope: number) =>
    ({
      NI_Number_Of_Scales: { type: 'uint32', value: 2 },
      'NI_Scale[1]_Scale_Type': { type: 'string', value: 'Linear' },
      'NI_Scale[1]_Linear_Slope': { type: 'float64', value: slope },
      'NI_Scale[1]_Linear_Y_Intercept': { type: 'float64', value: i },
      'NI_Scale[1]_Linear_Input_Source': { type: 'uint32', value: 0 },
      ...everySecond,
    }) as const

  it('reads scalers of several buffers, whose strides are their own', async () => {
    // Buffer 0: i16 at 0, u8 at 2 (3 bytes); buffer 1: i32 (4 bytes); two chunks of two values.
    const widths = [3, 4]
    const objects = [
      { type: 3, buffer: 0, offset: 0 },
      { type: 0, buffer: 0, offset: 2 },
      { type: 5, buffer: 1, offset: 0 },
    ].map((scaler, i) => ({
      path: channelPath('g', `c${i}`),
      index: { values: 2, scalers: [{ ...scaler, id: 0 }], widths },
      properties: i === 1 ? everySecond : scaled(i, 0.5),
    }))
    const chunk = (k: number, big: boolean) =>
      concat(
        ...[0, 1].map(i => concat(valueBytes('int16', -(k + i), big), valueBytes('uint8', 10 + k + i))),
        ...[0, 1].map(i => valueBytes('int32', 1000 + k + i, big)),
      )
    for (const big of [false, true]) {
      const read = await readAll(make(), concat(segment({ objects, big, raw: concat(chunk(0, big), chunk(2, big)) })))
      expect(read.series.g?.columns).toEqual(['c0:float', 'c1:int', 'c2:float'])
      expect(values(read, 'g', 'c0')).toEqual([0, -0.5, -1, -1.5])
      expect(values(read, 'g', 'c1')).toEqual([10, 11, 12, 13])
      expect(values(read, 'g', 'c2')).toEqual([502, 502.5, 503, 503.5])
    }
  })

  it('reads the lines of a digital port', async () => {
    const objects = [0, 9].map(bit => ({
      path: channelPath('g', `line${bit}`),
      index: {
        line: true,
        type: 'uint8' as const,
        values: 3,
        scalers: [{ type: 0, buffer: 0, offset: bit, id: 0 }],
        widths: [2],
      },
      properties: everySecond,
    }))
    const read = await readAll(make(), concat(segment({ objects, raw: Buffer.from([1, 0, 0, 2, 3, 3]) })))
    expect([values(read, 'g', 'line0'), values(read, 'g', 'line9')]).toEqual([
      [1, 0, 1],
      [0, 1, 1],
    ])
  })

  const scale = async (properties: Record<string, Value>, list: number[]) => {
    const typed = Object.fromEntries(
      Object.entries(properties).map(([name, value]) => [
        name,
        {
          type:
            typeof value === 'string'
              ? ('string' as const)
              : /Source|Size|Number/.test(name)
                ? ('uint32' as const)
                : ('float64' as const),
          value,
        },
      ]),
    )
    const file = plainSegment([
      {
        group: 'g',
        channel: 'a',
        type: 'int32',
        values: list,
        properties: { ...typed, unit_string: { type: 'string', value: 'V' }, ...everySecond },
      },
    ])
    const { frames } = await make()().pull(fileOf(file), true, 1n)
    return { read: await readAll(make(), concat(file)), attributes: frames[0]?.origin?.attributes ?? {} }
  }
  it('applies polynomials, tables, sums and differences, one on the other', async () => {
    const { read: polynomial } = await scale(
      {
        NI_Number_Of_Scales: 1,
        'NI_Scale[0]_Scale_Type': 'Polynomial',
        'NI_Scale[0]_Polynomial_Coefficients_Size': 3,
        'NI_Scale[0]_Polynomial_Coefficients[0]': 1,
        'NI_Scale[0]_Polynomial_Coefficients[1]': 2,
        'NI_Scale[0]_Polynomial_Coefficients[2]': 0.5,
        'NI_Scale[0]_Polynomial_Input_Source': 0xffffffff,
      },
      [0, 2, -4],
    )
    expect(values(polynomial, 'g', 'a')).toEqual([1, 7, 1])
    const { read: table } = await scale(
      {
        NI_Number_Of_Scales: 1,
        'NI_Scale[0]_Scale_Type': 'Table',
        'NI_Scale[0]_Table_Pre_Scaled_Values_Size': 3,
        'NI_Scale[0]_Table_Pre_Scaled_Values[0]': 0,
        'NI_Scale[0]_Table_Pre_Scaled_Values[1]': 10,
        'NI_Scale[0]_Table_Pre_Scaled_Values[2]': 20,
        'NI_Scale[0]_Table_Scaled_Values_Size': 3,
        'NI_Scale[0]_Table_Scaled_Values[0]': 100,
        'NI_Scale[0]_Table_Scaled_Values[1]': 200,
        'NI_Scale[0]_Table_Scaled_Values[2]': 0,
      },
      [-5, 5, 15, 20, 30],
    )
    expect(values(table, 'g', 'a')).toEqual([100, 150, 100, 0, 0])
    const { read: added } = await scale(
      {
        NI_Number_Of_Scales: 3,
        'NI_Scale[0]_Scale_Type': 'Linear',
        'NI_Scale[0]_Linear_Slope': 10,
        'NI_Scale[0]_Linear_Y_Intercept': 0,
        'NI_Scale[1]_Scale_Type': 'Linear',
        'NI_Scale[1]_Linear_Slope': 1,
        'NI_Scale[1]_Linear_Y_Intercept': 1,
        'NI_Scale[2]_Scale_Type': 'Add',
        'NI_Scale[2]_Add_Left_Operand_Input_Source': 0,
        'NI_Scale[2]_Add_Right_Operand_Input_Source': 1,
      },
      [1, 2],
    )
    expect(values(added, 'g', 'a')).toEqual([12, 23])
    expect(added.series.g?.columns).toEqual(['a:float [V]'])
  })
  it.each<[Record<string, Value>, string]>([
    [{ 'NI_Scale[0]_Scale_Type': 'RTD' }, 'scales of type RTD are not read'],
    [{ 'NI_Scale[0]_Scale_Type': 'Linear' }, 'scale 0 (Linear) has no number NI_Scale[0]_Linear_Slope'],
    [
      {
        'NI_Scale[0]_Scale_Type': 'Add',
        'NI_Scale[0]_Add_Left_Operand_Input_Source': 0,
        'NI_Scale[0]_Add_Right_Operand_Input_Source': 0,
      },
      'scale 0 takes its own result',
    ],
  ])('keeps raw values where it cannot scale, and says so: %j', async (properties, why) => {
    const { read, attributes } = await scale({ NI_Number_Of_Scales: 1, ...properties }, [3])
    expect(read.series.g?.columns).toEqual(['a:int'])
    expect(read.series.g?.rows[0]?.slice(1)).toEqual([3, 'unscaled'])
    expect(attributes['warning 1']).toBe(`/'g'/'a' holds raw values: ${why}`)
  })
})

describe('tdms times', () => {
  it('come exact to the ns from timestamps, from the first rows of any group', async () => {
    const list = [noon + 123_456_789n, noon + 999_999_999n, -1n, 0n]
    const file = concat(
      plainSegment([{ group: 'values', channel: 'x', type: 'int32', values: [1, 2, 3, 4] }]),
      plainSegment([{ group: 'clock', channel: 'when', type: 'stamp', values: list }]),
    )
    const read = await readAll(make(), file)
    expect(Object.keys(read.series)).toEqual(['values'])
    expect(times(read, 'values')).toEqual(list.map(formatNs))
    expect(values(read, 'values', 'x')).toEqual([1, 2, 3, 4])
  })

  it('are to the nearest ns, whatever the fraction of a second is', () => {
    const bytes = new DataView(new ArrayBuffer(16))
    const at = new Float64Array(2)
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(2n ** 35n), max: 2n ** 37n }),
        fc.oneof(
          fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
          fc.bigInt({ min: 0n, max: 1023n }).map(n => n << 54n),
        ),
        fc.boolean(),
        (s, f, little) => {
          bytes.setBigInt64(little ? 8 : 0, s, little)
          bytes.setBigUint64(little ? 0 : 8, f, little)
          const exact = stampAt(bytes, 0, little)
          const isTime = stampParts(bytes, 0, little, at)
          expect(isTime).toBe(typeof exact === 'bigint')
          if (isTime) expect(BigInt(at[0] as number) * 1_000_000n + BigInt(at[1] as number)).toBe(exact)
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('reject rows whose timestamp was never set', async () => {
    const never = Buffer.alloc(16)
    const objects = [
      { path: channelPath('g', 't'), index: { type: 'stamp', values: 3 } as const },
      { path: channelPath('g', 'x'), index: { type: 'float64', values: 3 } as const },
    ]
    const raw = concat(
      valueBytes('stamp', noon),
      never,
      valueBytes('stamp', noon + second),
      chunkBytes('float64', [1, 2, 3]),
    )
    const read = await readAll(make(), concat(segment({ objects, raw })))
    expect(values(read, 'g', 'x')).toEqual([1, 3])
    expect(read.rejects).toEqual([[`stream "g", row 2: the time channel /'g'/'t' holds no usable time`, 'x=2']])
  })

  const counted = (name: string) =>
    concat(
      plainSegment([{ group: 'Main', channel: name, type: 'float64', values: [0.0099945068359375, 15] }]),
      plainSegment([{ group: 'Other', channel: 'x', type: 'int8', values: [1, 2] }]),
    )
  it.each([
    ['C2 oct.-05-23 Time 0833.tdms', '2023-10-05T06:33:00.009994507Z', null],
    ['C2 Sept.-05-23 Time 0833.tdms', '2023-09-05T06:33:00.009994507Z', null],
    ['C2 ene.-05-24 Time 0833.tdms', '2024-01-05T07:33:00.009994507Z', null],
    ['C2 Mar-31-24 Time 0230.tdms', '2024-03-31T01:30:00.009994507Z', 'dst-gap'],
    ['C2 oct-29-23 Time 0230.tdms', '2023-10-29T00:30:00.009994507Z', 'dst-ambiguous'],
  ])('count from the start in the name of the file, for every group: %s', async (file, first, status) => {
    const options = {
      time: { channel: 'Main/Time [s]', start: { file: "MMM-DD-YY 'Time' HHmm" }, zone: 'Europe/Madrid' },
    }
    const read = await readAll(make(options, { file: `bench/${file}` }), counted('Time [s]'))
    expect([times(read, 'Main')[0], times(read, 'Other')[0]]).toEqual([first, first])
    expect(read.series.Main?.columns).toEqual(['Time [s]:float [s]'])
    expect(statuses(read, 'Other')).toEqual([status, status])
  })
  it('count from a property or a moment, in their unit', async () => {
    const file = concat(
      segment({
        objects: [
          {
            path: '/',
            properties: { began: { type: 'stamp', value: noon }, text: { type: 'string', value: '05.10.2023 10:00' } },
          },
        ],
      }),
      counted('ms'),
    )
    const read = (start: unknown) => readAll(make({ time: { channel: 'ms', unit: 'ms', start } }), file)
    expect(times(await read({ property: 'began' }), 'Other')).toEqual([
      '2023-10-05T08:00:00.000009995Z',
      '2023-10-05T08:00:00.015Z',
    ])
    expect(times(await read({ property: 'text', layout: 'DD.MM.YYYY HH:mm' }), 'Main')[1]).toBe(
      '2023-10-05T08:00:00.015Z',
    )
    expect(times(await read('2023-10-05T10:00:00+02:00'), 'Main')[1]).toBe('2023-10-05T08:00:00.015Z')
    const missing = await read({ property: 'nothing' })
    expect(missing.rejects[0]).toEqual([
      'stream "Main", row 1: the file has no property "nothing", which time.start names',
      'ms=0.0099945068359375',
    ])
    expect(missing.rowsRejected).toBe(4)
  })
  it('are told to be missing where the named channel is, or where nobody says from when it counts', async () => {
    const absent = await readAll(make({ time: { channel: 'Clock' } }), counted('t'))
    expect(absent.rejects[0]?.[0]).toBe(
      'stream "Main", row 1: the file has no channel "Clock", which time.channel names',
    )
    const unsaid = await readAll(make({ time: { channel: 't' } }), counted('t'))
    expect(unsaid.rejects[0]?.[0]).toContain('counts s; say in time.start from when')
  })

  it('follow the waveform: several rates make several streams, a later start a new block', async () => {
    const wave = (at: bigint, step: number) => ({
      wf_start_time: { type: 'stamp', value: at } as const,
      wf_start_offset: { type: 'float64', value: 0.5 } as const,
      wf_increment: { type: 'float64', value: step } as const,
    })
    const file = concat(
      plainSegment([
        { group: 'g', channel: 'fast', type: 'uint8', values: [1, 2, 3, 4], properties: wave(noon, 0.25) },
        { group: 'g', channel: 'fast too', type: 'uint8', values: [5, 6, 7, 8], properties: wave(noon + 20n, 0.25) },
        { group: 'g', channel: 'slow', type: 'uint8', values: [9], properties: wave(noon, 1) },
      ]),
      plainSegment([
        { group: 'g', channel: 'fast', type: 'uint8', values: [1], properties: wave(noon + 100n * second, 0.25) },
        { group: 'g', channel: 'fast too', type: 'uint8', values: [2] },
      ]),
    )
    const read = await readAll(make(), file)
    expect(Object.keys(read.series)).toEqual(['g', 'g/slow'])
    expect(times(read, 'g')).toEqual(
      ['08:00:00.500', '08:00:00.750', '08:00:01.000', '08:00:01.250', '08:01:40.500'].map(t => `2023-10-05T${t}Z`),
    )
    expect(times(read, 'g/slow')).toEqual(['2023-10-05T08:00:00.500Z'])
  })

  it('take properties that come after the values of the only chunk', async () => {
    const file = concat(
      plainSegment([{ group: 'g', channel: 'x', type: 'int8', values: [1, 2] }]),
      segment({
        objects: [
          { path: channelPath('g', 'x'), properties: { ...everySecond, unit_string: { type: 'string', value: 'mV' } } },
        ],
      }),
    )
    const read = await readAll(make(), file)
    expect(read.series.g?.columns).toEqual(['x:int [mV]'])
    expect(times(read, 'g')).toEqual(['2023-10-05T08:00:00.000Z', '2023-10-05T08:00:01.000Z'])
  })
})

describe('tdms columns', () => {
  const file = concat(
    plainSegment([
      { group: 'Main', channel: 'R1 [ohm]', type: 'float64', values: [1], properties: everySecond },
      { group: "It's", channel: 'R1 [ohm]', type: 'float64', values: [-1], properties: everySecond },
      { group: 'Main', channel: 'status', type: 'int8', values: [3], properties: everySecond },
    ]),
  )
  it('keep their group', async () => {
    const byGroup = await readAll(make(), file)
    expect(Object.entries(byGroup.series).map(([name, { columns }]) => [name, columns])).toEqual([
      ["It's", ['R1 [ohm]:float [ohm]']],
      ['Main', ['R1 [ohm]:float [ohm]', 'status 2:int']],
    ])
    const joined = await readAll(make({ rows: 'file' }), file)
    expect(joined.series).toEqual({
      pressure: {
        columns: ['Main/R1 [ohm]:float [ohm]', "It's/R1 [ohm]:float [ohm]", 'Main/status:int'],
        rows: [[noon, 1, -1, 3, null]],
      },
    })
  })
  it('are chosen, renamed, given units and sentinels', async () => {
    const chosen = await readAll(
      make({
        rows: 'file',
        columns: {
          resistance: { from: 'Main/R1 [ohm]', unit: 'kOhm' },
          state: { from: 'status', status: { '3': 'failed' } },
        },
      }),
      file,
    )
    expect(chosen.series.pressure).toEqual({
      columns: ['resistance:float [kOhm]', 'state:int'],
      rows: [[noon, 1, null, 'failed']],
    })
    const renamed = await readAll(make({ groups: { Main: 'main' }, rename: { 'Main/status': 'state' } }), file)
    expect(renamed.series).toEqual({
      main: { columns: ['R1 [ohm]:float [ohm]', 'state:int'], rows: [[noon, 1, 3, null]] },
    })
  })
})

describe('tdms damage', () => {
  const good = (value: number) =>
    plainSegment([{ group: 'g', channel: 'x', type: 'int32', values: [value], properties: everySecond }])
  it.each<[string, Uint8Array, string]>([
    [
      'no TDMS at all',
      Buffer.from('index,time,height of something else'),
      'a segment should begin at byte 0 with "TDSm", but there stand the bytes 696e6465',
    ],
    ['an unknown version', concat(good(1), segment({ objects: [], version: 4714 })), 'has version 4714'],
    [
      'a cut lead-in',
      concat(good(1), good(2).subarray(0, 20)),
      'the 20 bytes at the end of the file are no whole lead-in',
    ],
    ['cut metadata', concat(good(1), good(2).subarray(0, 40)), 'is cut off'],
    [
      'an index that never came',
      concat(good(1), segment({ objects: [{ path: channelPath('g', 'y'), index: 'same' }], raw: Buffer.alloc(4) })),
      'refers to an index that never came',
    ],
    [
      'a value of unknown width',
      concat(
        good(1),
        segment({
          objects: [{ path: channelPath('g', 'y'), index: { type: 'extended', values: 1 } }],
          raw: Buffer.alloc(10),
        }),
      ),
      'whose width the format does not give',
    ],
    [
      'raw data of nobody',
      concat(good(1), segment({ objects: [], raw: Buffer.alloc(10) })),
      'no channel that they could belong to',
    ],
    [
      'a group with raw data',
      concat(
        good(1),
        segment({ objects: [{ path: channelPath('g'), index: { type: 'int8', values: 1 } }], raw: Buffer.alloc(1) }),
      ),
      'is no channel',
    ],
    ['a strange path', concat(good(1), segment({ objects: [{ path: 'g/x', index: 'none' }] })), 'the path "g/x"'],
    [
      'interleaved strings',
      concat(
        good(1),
        segment({
          objects: [{ path: channelPath('g', 'y'), index: { type: 'string', values: 1, bytes: 5 } }],
          interleaved: true,
          raw: Buffer.alloc(5),
        }),
      ),
      'interleaves strings',
    ],
  ])('%s is a reject, and what stands before is read', async (_, bytes, reason) => {
    const read = await readAll(make(), concat(bytes))
    expect(read.rejects.map(r => r[0]).join('\n')).toContain(reason)
    expect(read.rejects).toHaveLength(1)
    expect(values(read, 'g', 'x')).toEqual(bytes.length > 40 && bytes[0] === 0x54 ? [1] : [])
  })

  it('of strings costs the string alone', async () => {
    const raw = chunkBytes('string', ['ab', 'cd', 'ef'])
    raw.writeUInt32LE(99, 4)
    const objects = [
      {
        path: channelPath('g', 's'),
        index: { type: 'string' as const, values: 3, bytes: raw.length },
        properties: everySecond,
      },
    ]
    const read = await readAll(make(), concat(segment({ objects, raw })))
    expect(values(read, 'g', 's')).toEqual(['ab', null, null])
    expect(statuses(read, 'g')).toEqual([null, 'damaged-text', 'damaged-text'])
  })
})
