import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createJson, formatSchema, type JsonOptions, type Resume } from '../src/index.ts'
import { context, contract, decodeAll, type Make, type Whole } from './decoder.contract.ts'

const make = (options: object, more = {}): Make => {
  const format = formatSchema.parse({ kind: 'json', ...options }) as JsonOptions
  return (resume?: Resume) => createJson(format, context(more), resume)
}
const read = (options: object, text: string, more = {}): Whole =>
  decodeAll(make(options, more), new Uint8Array(Buffer.from(text)))
const rows = (whole: Whole) => Object.values(whole.series).flatMap(s => s.rows.map(r => r.slice(1, -1)))
const reasons = (whole: Whole) => whole.rejects.map(r => (r as unknown[])[4])

const time = fc.integer({ min: 0, max: 7200 }).map(s => new Date(Date.UTC(2024, 9, 26, 23) + s * 1000).toISOString())
const record = fc.record(
  {
    t: time,
    v: fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(null, 'x', '-1', 2 ** 60)),
    id: fc.constantFrom('a', 'b', 'ä"\\', ''),
    more: fc.jsonValue({ maxDepth: 2 }),
  },
  { requiredKeys: ['t'] },
)
const spaced = fc.constantFrom(undefined, 1, '\t')
const document = fc
  .tuple(fc.array(record, { maxLength: 6 }), fc.jsonValue({ maxDepth: 2 }), spaced, fc.constantFrom('', '\ufeff', '\n'))
  .map(
    ([records, beside, indent, start]) =>
      start +
      JSON.stringify({ beside, 'x.y': [1], data: { before: beside, items: records, after: beside } }, null, indent),
  )
const noise = fc.constantFrom(
  '{',
  '}',
  '[',
  ']',
  '"',
  ',',
  ':',
  '\\',
  '\n',
  'null',
  '1',
  ' ',
  'é',
  '{"data":',
  '"items":[',
)
/** Documents, some with a piece cut out or noise put in. */
const bytes = fc
  .tuple(document, fc.array(fc.tuple(fc.nat(400), fc.nat(4), noise), { maxLength: 2 }))
  .map(([text, changes]) => {
    let changed = text
    for (const [at, cut, put] of changes) changed = changed.slice(0, at) + put + changed.slice(at + cut)
    return new Uint8Array(Buffer.from(changed))
  })
const columns = { v: { type: 'float', status: { '-1': 'failed' } }, id: 'text' }
contract(
  'json',
  make({ records: 'data.items', time: { column: 't' }, tags: { device: { column: 'id' } }, columns }),
  bytes,
)
contract('json at a pointer', make({ records: '/data/items/1', columns: { v: 'float', more: 'text' } }), bytes, 100)
contract('json from the top', make({ columns: { v: { from: 'data.items', type: 'text' } } }), bytes, 100)
contract(
  'json in UTF-16',
  make({ records: 'data.items', columns }),
  bytes.map(b => new Uint8Array([0xff, 0xfe, ...Buffer.from(Buffer.from(b).toString(), 'utf16le')])),
  60,
)

describe('json', () => {
  it.each([
    ['$', '[{"v":1},{"v":2}]', [[1], [2]]],
    ['$', '{"v":1}', [[1]]],
    ['$', '[]', []],
    ['$', 'null', []],
    ['$', '', []],
    ['data', '{"data":null,"v":9}', []],
    ['data.items', '{"data":{"items":[{"v":1},null,{"v":2}]}}', [[1], [2]]],
    ['/a.b/c~1d/0', '{"a":1,"a.b":{"c/d":[[{"v":3},{"v":4}],[{"v":5}]]}}', [[3], [4]]],
    ['0.list', '[{"list":[{"v":"1.5"}]},{"list":[{"v":2}]}]', [[1.5]]],
    ['list', '{"skip":{"list":[{"v":0}]},"list":[{"v":7}]}', [[7]]],
  ])('finds the records at %s of %s', (records, text, expected) => {
    const whole = read({ records, columns: { v: 'float' } }, text)
    expect(reasons(whole)).toEqual([])
    expect(rows(whole)).toEqual(expected)
  })

  it('reads bare values, lists and lists of numbers', () => {
    expect(rows(read({ columns: { count: { from: '$', type: 'int' } } }, '42'))).toEqual([[42]])
    expect(reasons(read({ columns: { count: { from: '$', type: 'int' } } }, '"no such store"'))).toEqual([
      'column "$": "no such store" is not a number',
    ])
    const points = read(
      { time: { column: '0', layout: 's' }, columns: { v: { from: '1' } } },
      '[[1700000000,"1.5"],[1700000001,2]]',
    )
    expect(rows(points)).toEqual([[1.5], [2]])
    expect(rows(read({ columns: { s: 'vector' } }, '[{"s":[1,2.5,null]},{"s":[]},{}]'))).toEqual(
      [[Float64Array.of(1, 2.5, Number.NaN)], [new Float64Array(0)], [null]].map(([s]) => [s ?? new Float64Array(0)]),
    )
    expect(reasons(read({ columns: { s: 'vector' } }, '[{"s":[1,"x"]}]'))).toEqual([
      'column "s": "[1,"x"]" is not a list of numbers',
    ])
  })

  it('keeps whole numbers beyond 2^53 exact, or refuses them', () => {
    const text = '[{"t":1700000000123456789,"id":12345678901234567890,"n":9007199254740993}]'
    const options = { time: { column: 't', layout: 'ns' } }
    const whole = read({ ...options, columns: { id: 'text' } }, text)
    expect(rows(whole)).toEqual([['12345678901234567890']])
    expect(Object.values(whole.series)[0]?.rows[0]?.[0]).toBe(1_700_000_000_123_456_789n)
    expect(reasons(read({ ...options, columns: { n: 'int' } }, text))).toEqual([
      'column "n": "9007199254740993" is not a whole number below 2^53',
    ])
    expect(rows(read({ columns: { v: { from: '$', type: 'text' } } }, '9007199254740993'))).toEqual([
      ['9007199254740993'],
    ])
  })

  it('reads lists side by side', () => {
    const options = {
      records: 'hourly',
      shape: 'columns',
      time: { column: 'time' },
      columns: { temperature: { from: 'temperature_2m' }, wind: 'float' },
    }
    const whole = read(
      options,
      '{"hourly":{"time":["2024-01-01T00:00","2024-01-01T01:00","late"],"temperature_2m":[1.5,null,2]}}',
    )
    expect(rows(whole)).toEqual([
      [1.5, null],
      [null, null],
    ])
    expect(whole.rejects).toEqual([
      [1, 1, 10, 95, expect.stringContaining('value 3: column "time": "late"'), '{"time":"late","temperature_2m":2}'],
    ])
    expect(reasons(read(options, '{"hourly":{"time":["2024-01-01T00:00"],"wind":[]}}'))[0]).toContain(
      'not equally long: "wind" has 0 values, the one before 1',
    )
    expect(reasons(read(options, '{"hourly":{"time":"x"}}'))).toEqual(['"time" is no list'])
  })

  it.each([
    ['{"data":[{"v":1},\n  {"v":2}}', 'line 2, column 10: "}" where "," or "]" is expected', [[1], [2]]],
    ['{"data":[{"v":1},\n {"v":x}, {"v":3}]}', /^the record that begins in line 2, column 2 is not JSON: /, [[1], [3]]],
    ['{"data":[{"v":1}', 'line 1, column 17: the document ends before its brackets are closed', [[1]]],
    ['{"data":[{"v":1},{"v":', 'line 1, column 18: the document ends within a record', [[1]]],
    ['{"data":[{"v":"1}\n,{"v":2}]}', 'line 1, column 18: the line ends within a text', []],
    ['{"data" [{"v":1}]}', 'line 1, column 9: "[" where ":" is expected', []],
    ['{data:[]}', 'line 1, column 2: "d" where a key is expected', []],
    ['{"data":[]}\n{"data":[]}', 'line 2, column 1: more follows behind the document', []],
    ['{"items":[{"v":1}]}', 'there is nothing at "data", where the records are to stand', []],
    ['<html>', 'line 1, column 1: "<" where "{" or "[" is expected', []],
    ['{"data":[1]}', 'the record is no object', []],
  ])('says where %j is broken', (text, why, expected) => {
    const whole = read({ records: 'data', columns: { v: 'float' } }, text)
    expect(reasons(whole)).toHaveLength(1)
    if (typeof why === 'string') expect(reasons(whole)[0]).toContain(why)
    else expect(reasons(whole)[0]).toMatch(why)
    expect(rows(whole)).toEqual(expected)
  })

  it('passes over a record that is too long, and goes on behind it', () => {
    const whole = read({ columns: { v: 'float' } }, `[{"v":1},{"v":2,"x":"${'y'.repeat(300)}]"},{"v":3}]`)
    expect(reasons(whole)).toEqual(['the record is longer than 200 bytes; its rest is passed over'])
    expect(rows(whole)).toEqual([[1], [3]])
  })
})
