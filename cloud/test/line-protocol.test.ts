import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type BadLine, type Point, parseLines } from '../src/line-protocol.ts'

const parse = (text: string | Uint8Array) => [...parseLines(typeof text === 'string' ? Buffer.from(text) : text)]
const one = (text: string): Point => {
  const all = parse(text)
  if (all.length !== 1 || !all[0] || 'reason' in all[0]) throw new Error(JSON.stringify(all))
  return all[0]
}
const bad = (text: string): BadLine[] => parse(text).filter((p): p is BadLine => 'reason' in p)
const values = (text: string) => one(text).fields.map(f => f.value)

describe('a line', () => {
  test('measurement, tags, fields, timestamp', () => {
    expect(one('weather,location=us-midwest,season=summer temperature=82,ok=t 1465839830100400200')).toEqual({
      line: 1,
      head: 'weather,location=us-midwest,season=summer',
      measurement: 'weather',
      tags: [
        { name: 'location', value: 'us-midwest' },
        { name: 'season', value: 'summer' },
      ],
      fields: [
        { name: 'temperature', kind: 'float', value: 82 },
        { name: 'ok', kind: 'bool', value: true },
      ],
      timestamp: 1465839830100400200n,
    })
  })

  test('escapes are those of each place, and a backslash elsewhere is itself', () => {
    const point = one(String.raw`my\ me\,asure\=\d,t\ ag\,\==va\ l\,\=\x fi\ eld\,\=="a \"b\" \\ c\d, =",z=1`)
    expect(point.measurement).toBe(String.raw`my me,asure\=\d`)
    expect(point.tags).toEqual([{ name: 't ag,=', value: String.raw`va l,=\x` }])
    expect(point.fields[0]).toEqual({ name: 'fi eld,=', kind: 'text', value: String.raw`a "b" \ c\d, =` })
  })

  test('every form of value', () => {
    expect(values('m a=1,b=-1.5e-3,c=.5,d=1.,e=+2,f=1E+3')).toEqual([1, -0.0015, 0.5, 1, 2, 1000])
    expect(values('m a=1i,b=-7i,c=9223372036854775807i,d=-9223372036854775808i,e=18446744073709551615u,f=0u')).toEqual([
      ...[1, -7, 9223372036854775807n, -9223372036854775808n, 18446744073709551615n, 0],
    ])
    expect(values('m a=t,b=T,c=true,d=True,e=TRUE,f=f,g=F,h=false,i=False,j=FALSE')).toEqual([
      ...[true, true, true, true, true, false, false, false, false, false],
    ])
    expect(values('m a="",b="#,= x"')).toEqual(['', '#,= x'])
  })

  test('blanks, blank lines, comments, \\r\\n and text over several lines; each point knows its line', () => {
    const all = parse('# a comment, a="b\r\n\r\n  m   a=1   5  \r\nn b="x\ny\r\nz" 6\n\t# c\no c=t\r\n')
    expect(all).toMatchObject([
      { line: 3, measurement: 'm', timestamp: 5n },
      { line: 4, measurement: 'n', timestamp: 6n, fields: [{ value: 'x\ny\r\nz' }] },
      { line: 8, measurement: 'o', fields: [{ value: true }] },
    ])
    expect(parse('')).toEqual([])
    expect(parse('\n# only this')).toEqual([])
  })

  test.each([
    ['m', 'has no fields: expected a space and name=value'],
    ['m ', 'has no fields: expected a space and name=value'],
    [',a=b v=1', 'the measurement is missing'],
    ['m,a v=1', 'the tag "a" has no value: expected "="'],
    ['m,a= v=1', 'the value of a tag is missing'],
    ['m,=b v=1', 'the name of a tag is missing'],
    ['m,a=b=c v=1', 'the value of the tag "a" holds a "=": write "\\="'],
    ['m,a=1,a=2 v=1', 'the tag "a" stands twice'],
    ['m v', 'the field "v" has no value: expected "="'],
    ['m v=', 'the field "v" has no value'],
    ['m =1', 'the name of a field is missing'],
    ['m v=1,', 'the name of a field is missing'],
    ['m v=1,v=2', 'the field "v" stands twice'],
    ['m v="open', 'the text of the field "v" has no closing quote'],
    ['m v="a"b', 'has "b" where it should end'],
    ['m v=abc', 'the value "abc" of the field "v" is neither number, true, false nor text in double quotes'],
    ['m v=NaN', 'the value "NaN" of the field "v" is neither number, true, false nor text in double quotes'],
    ['m v=1e999', 'the value "1e999" of the field "v" is larger than a 64-bit float'],
    ['m v=0x10', 'the value "0x10" of the field "v" is neither number, true, false nor text in double quotes'],
    ['m v=1.5i', 'the value "1.5i" of the field "v" is no integer'],
    ['m v=-1u', 'the value "-1u" of the field "v" is no integer'],
    ['m v=9223372036854775808i', 'the value "9223372036854775808i" of the field "v" has more than 64 bits'],
    ['m v=18446744073709551616u', 'the value "18446744073709551616u" of the field "v" has more than 64 bits'],
    ['m v=1 now', 'the timestamp "now" is no whole number of 64 bits'],
    ['m v=1 1.5', 'the timestamp "1.5" is no whole number of 64 bits'],
    ['m v=1 9223372036854775808', 'the timestamp "9223372036854775808" is no whole number of 64 bits'],
    ['m v=1 5 6', 'has "6" where it should end'],
  ])('%s is refused in one sentence', (text, reason) => {
    expect(bad(`a b=1\n${text}\n`)[0]).toMatchObject({ line: 2, reason })
  })

  test('a bad line costs itself alone', () => {
    expect(parse('a v=1\nb v=x\nc v="never\nd v=1')).toMatchObject([
      { line: 1, measurement: 'a' },
      { line: 2, text: 'b v=x' },
      { line: 3, text: 'c v="never' },
      { line: 4, measurement: 'd' },
    ])
    expect(
      parse(Buffer.concat([Buffer.from('a v=1\nb v="'), Uint8Array.of(0xff), Buffer.from('"\nc v=1')])),
    ).toMatchObject([
      { line: 1, measurement: 'a' },
      { line: 2, reason: 'holds bytes that are not UTF-8' },
      { line: 3, measurement: 'c' },
    ])
  })
})

/** What the format can carry: no new line in a name, no backslash where it would escape what follows, no `#` at the front. */
const name = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
  .filter(s => !/[\n\r\t\0]/.test(s) && !/\\[,= \\]|\\$/.test(s) && !/^#/.test(s))
const field = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(value => ({ kind: 'float' as const, value: value + 0 })),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(value => ({ kind: 'int' as const, value: exact(value) })),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(value => ({ kind: 'uint' as const, value: exact(value) })),
  fc.maxSafeInteger().map(value => ({ kind: 'int' as const, value: value + 0 })),
  fc.boolean().map(value => ({ kind: 'bool' as const, value })),
  fc
    .string({ unit: fc.constantFrom('a', '"', '\\', '\n', '\r', ' ', ',', '=', 'é', '😀', '#') })
    .map(value => ({ kind: 'text' as const, value })),
)
const exact = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value)
const point = fc.record({
  measurement: name,
  tags: fc.uniqueArray(fc.record({ name, value: name }), { selector: t => t.name, maxLength: 4 }),
  fields: fc.uniqueArray(fc.record({ name, field }), { selector: f => f.name, minLength: 1, maxLength: 4 }),
  timestamp: fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { nil: undefined }),
})

const escaped = (text: string, characters: RegExp) => text.replace(characters, c => `\\${c}`)
const printed = (p: typeof point extends fc.Arbitrary<infer T> ? T : never): string => {
  const tags = p.tags.map(t => `,${escaped(t.name, /[,= ]/g)}=${escaped(t.value, /[,= ]/g)}`).join('')
  const fields = p.fields.map(({ name, field: { kind, value } }) => {
    const text =
      kind === 'text'
        ? `"${escaped(value, /["\\]/g)}"`
        : `${value}${{ int: 'i', uint: 'u', float: '', bool: '' }[kind]}`
    return `${escaped(name, /[,= ]/g)}=${text}`
  })
  return `${escaped(p.measurement, /[, ]/g)}${tags} ${fields.join(',')}${p.timestamp === undefined ? '' : ` ${p.timestamp}`}`
}

describe('any points', () => {
  test('are read as they were printed', () => {
    fc.assert(
      fc.property(fc.array(point, { maxLength: 5 }), fc.constantFrom('\n', '\n\n', '\n# c\n'), (points, between) => {
        const read = parse(points.map(printed).join(between))
        expect(read.map(p => ('reason' in p ? p : { ...p, line: 0, head: '' }))).toEqual(
          points.map(({ fields, timestamp, ...rest }) => ({
            line: 0,
            head: '',
            ...rest,
            fields: fields.map(({ name, field }) => ({ name, ...field })),
            ...(timestamp !== undefined && { timestamp }),
          })),
        )
      }),
      { numRuns: 500 },
    )
  })

  test('and any bytes end in points and bad lines, never in an exception', () => {
    const soup = fc.string({
      unit: fc.constantFrom('m', ',', '=', ' ', '"', '\\', '\n', '\r', '#', '1', 'i', 't', '\0'),
      maxLength: 60,
    })
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 60 }),
          soup.map(s => Buffer.from(s)),
        ),
        bytes => {
          const lines = parse(bytes).map(p => p.line)
          expect(lines).toEqual([...lines].sort((a, b) => a - b))
          expect(new Set(lines).size).toBe(lines.length)
        },
      ),
      { numRuns: 1000 },
    )
  })
})
