import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFramer, type FramedRecord, type FramingOptions, framingSchema } from '../src/record-framer.ts'

const limit = 20
const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')
const framerOf = (options: z, recordBytesMax = limit) => createFramer(framingSchema.parse(options), recordBytesMax)
type z = Record<string, unknown>
/** Frames as text, problems as [text, problem]. */
const plain = (records: FramedRecord[]) =>
  records.map(({ bytes, problem }) => (problem === undefined ? latin1(bytes) : [latin1(bytes), problem]))
const bytes = (text: string) => Buffer.from(text, 'latin1')

/** Pushes a text in pieces, 1 ms apart, and then waits for the gap. */
const run = (options: z, text: string, cuts: readonly number[] = [], recordBytesMax = limit) => {
  const framer = framerOf(options, recordBytesMax)
  const ends = [...new Set([...cuts.map(c => c % (text.length + 1)), text.length])].sort((a, b) => a - b)
  let from = 0
  const records = ends.flatMap((end, i) => {
    const part = bytes(text.slice(from, end))
    from = end
    return framer.push(part, BigInt(i))
  })
  return { records: plain([...records, ...framer.idle()]), raw: records, isOpen: framer.isOpen() }
}

describe('frames between delimiters', () => {
  const chunk = fc.oneof(fc.constantFrom('\r', '\n', '\r\n', ';'), fc.string({ maxLength: 30, unit: 'grapheme-ascii' }))
  const text = fc.array(chunk, { maxLength: 20 }).map(parts => parts.join(''))
  const escaped = (delimiter: string) => delimiter.replaceAll('\r', '\\r').replaceAll('\n', '\\n')

  it('are the same however the bytes come in pieces', () => {
    void fc.assert(
      fc.property(text, fc.array(fc.nat()), fc.constantFrom('\n', '\r\n', ';', '\r;\r'), (text, cuts, delimiter) => {
        const expected = text.split(delimiter).map(record => (record.length > limit ? 'too long' : record))
        const rest = expected.pop()
        const seen = run({ by: 'delimiter', end: escaped(delimiter) }, text, cuts)
        expect(seen.records.map(r => (typeof r === 'string' ? r : 'too long'))).toEqual(expected)
        expect(seen.isOpen).toBe(rest !== '')
      }),
      { numRuns: 300 },
    )
  })

  it('keep no more than the limit of one without an end', () => {
    const framer = framerOf({ by: 'delimiter', end: '\\n' })
    for (let i = 0; i < 1000; i++) expect(framer.push(Buffer.alloc(1000, 0x78), 1n)).toEqual([])
    const [long, ok] = framer.push(bytes('\nok\n'), 2n)
    expect(long).toMatchObject({ problem: 'the frame is longer than 20 bytes', atNs: 1n })
    expect(long?.bytes.length).toBeLessThanOrEqual(4096)
    expect(ok).toMatchObject({ bytes: bytes('ok') })
    expect(framer.rest()).toHaveLength(0)
  })

  it('begin at their mark; what broke off or stands before it is told', () => {
    const seen = run({ by: 'delimiter', start: '\\x02', end: '\\x03' }, 'noise\x02one\x03\r\n\x02br\x02two\x03lost\x03')
    expect(seen.records).toEqual([
      ['noise', 'these bytes stand before the beginning of a frame'],
      'one',
      ['\r\n\x02br', 'these bytes stand before the beginning of a frame'],
      'two',
      ['lost', 'the frame has no beginning'],
    ])
  })

  it('hold the bytes behind the end that belong to them, whatever those are', () => {
    const options = { by: 'delimiter', start: '\\x02', end: '\\x03', tailBytes: 1 }
    const text = '\x02a\x03\x03\x02b\x03\x02\x02c\x03x'
    const expected = ['\x02a\x03\x03', '\x02b\x03\x02', '\x02c\x03x']
    expect(run(options, text).records).toEqual(expected)
    expect(
      run(
        options,
        text,
        Array.from(text, (_, i) => i),
      ).records,
    ).toEqual(expected)
  })

  it('have the time at which their first byte came', () => {
    const framer = framerOf({ by: 'delimiter', end: '\\n' })
    expect(framer.push(bytes('o'), 5n)).toEqual([])
    expect(framer.push(bytes('ne\ntw'), 7n)).toMatchObject([{ atNs: 5n }])
    expect(framer.push(bytes('o\nthree\n'), 9n)).toMatchObject([{ atNs: 7n }, { atNs: 9n }])
  })
})

describe('frames of one length', () => {
  const options = { by: 'length', bytes: 4, sync: '\\xaa\\x55' }
  const frame = (a: number, b: number) => `\xaa\x55${String.fromCharCode(a, b)}`

  it('are found again behind noise, however the bytes come in pieces', () => {
    const byte = fc.nat(0x7f)
    const noise = fc.array(byte, { maxLength: 10 }).map(codes => String.fromCharCode(...codes))
    const parts = fc.array(fc.tuple(noise, byte, byte), { maxLength: 10 })
    void fc.assert(
      fc.property(parts, fc.array(fc.nat()), (parts, cuts) => {
        const text = parts.map(([n, a, b]) => n + frame(a, b)).join('')
        const { records } = run(options, text, cuts, 100)
        expect(records.filter(r => typeof r === 'string')).toEqual(parts.map(([, a, b]) => frame(a, b)))
        expect(records.filter(r => typeof r !== 'string').map(r => r[0])).toEqual(
          parts.map(([n]) => n).filter(n => n !== ''),
        )
      }),
      { numRuns: 200 },
    )
  })

  it('that pause in their middle are given up', () => {
    const framer = framerOf({ by: 'length', bytes: 4 })
    expect(framer.push(bytes('ab'), 1n)).toEqual([])
    expect(plain(framer.idle())).toEqual([['ab', 'the frame has 2 bytes, 4 are expected']])
    expect(plain(framer.push(bytes('cdef'), 2n))).toEqual(['cdef'])
  })

  it('need no more memory than one frame and some noise, whatever comes', () => {
    const framer = framerOf(options)
    let told = 0
    for (let i = 0; i < 200; i++) {
      for (const { bytes, problem } of framer.push(Buffer.alloc(1000, 0x78), 1n)) {
        expect(problem).toBeDefined()
        expect(bytes.length).toBeLessThanOrEqual(4096)
        told++
      }
    }
    expect(told).toBeLessThan(60)
    expect(framer.rest().length).toBeLessThanOrEqual(4096)
  })
})

describe('frames between pauses', () => {
  const options: FramingOptions = { by: 'silence', gapMs: 10 }
  it('are what came without a pause', () => {
    const framer = createFramer(options, limit)
    expect(framer.push(bytes('ab'), 3n)).toEqual([])
    expect(framer.push(bytes('cd'), 4n)).toEqual([])
    expect(framer.idle()).toEqual([{ bytes: bytes('abcd'), atNs: 3n }])
    expect(framer.idle()).toEqual([])
    expect(framer.isOpen()).toBe(false)
  })
  it('that never pause are cut off at the limit', () => {
    const framer = createFramer(options, limit)
    for (let i = 0; i < 100; i++) framer.push(bytes('0123456789'), 1n)
    expect(plain(framer.idle())).toEqual([['01234567890123456789', 'the frame is longer than 20 bytes']])
    framer.push(bytes('ok'), 2n)
    expect(plain(framer.idle())).toEqual(['ok'])
  })
})

describe('frames that a regular expression finds', () => {
  const options = { by: 'regex', pattern: '[A-Z]\\d+' }
  it('are the same however the bytes come in pieces; noise between them is told, blanks are not', () => {
    const part = fc.tuple(fc.constantFrom('', ' ', '\r\n', 'x?', '7'), fc.constantFrom('A', 'Z'), fc.nat(9999))
    void fc.assert(
      fc.property(fc.array(part, { maxLength: 10 }), fc.array(fc.nat()), (parts, cuts) => {
        // A digit behind a frame belongs to it.
        const text = parts.map(([n, letter, digits]) => `${n === '7' ? ' 7 ' : n}${letter}${digits}`).join('')
        const { records } = run(options, text, cuts, 200)
        expect(records.filter(r => typeof r === 'string')).toEqual(parts.map(([, letter, n]) => `${letter}${n}`))
        expect(records.filter(r => typeof r !== 'string').map(r => r[0]?.trim())).toEqual(
          parts.map(([n]) => n.trim()).filter(n => n !== ''),
        )
      }),
      { numRuns: 200 },
    )
  })
  it('at the end of what came count after a pause', () => {
    const framer = framerOf(options)
    expect(framer.push(bytes('A12'), 1n)).toEqual([])
    expect(plain(framer.push(bytes('3 B4'), 2n))).toEqual(['A123'])
    expect(plain(framer.idle())).toEqual(['B4'])
  })
  it('need no more memory than the limit', () => {
    const framer = framerOf(options)
    let kept = 0
    for (let i = 0; i < 100; i++) kept += framer.push(Buffer.alloc(1000, 0x78), 1n).length
    expect(kept).toBeGreaterThan(0)
    expect(framer.rest().length).toBeLessThanOrEqual(limit)
  })
  it('must not be empty', () => {
    expect(framingSchema.safeParse({ by: 'regex', pattern: '\\d*' }).error?.issues[0]?.message).toMatch(
      /matches an empty/,
    )
  })
})
