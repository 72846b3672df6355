import { type Frame, formatNs, rowNs } from '@penstock/frame'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeMessage, messageFormSchema, saysItsTime } from '../src/messages.ts'
import { createTopicPatterns, crossingPatterns, topicPatternSchema } from '../src/topic-patterns.ts'

const series = { site: 's', device: 'd', stream: 'x' }
const arrivalNs = 1_767_225_600_000_000_000n
const decode = (payload: string, form: object = {}) =>
  decodeMessage({ series, form: messageFormSchema.parse(form), source: 'a/b' }, Buffer.from(payload), arrivalNs)
const rowsOf = (frames: readonly Frame[]) =>
  frames.flatMap(frame =>
    Array.from(frame.offsetsNs, (_, i) => {
      const values = frame.columns.flatMap(c => (c.values[i] === null ? [] : [[c.name, c.values[i]] as const]))
      return [formatNs(rowNs(frame, i)), Object.fromEntries(values)] as const
    }),
  )
const at = '2026-01-01T00:00:00.000Z'

describe('a payload', () => {
  test.each([
    ['21.5', {}, { value: 21.5 }],
    [' -3e2\n', {}, { value: -300 }],
    ['+.5', {}, { value: 0.5 }],
    ['true', {}, { value: true }],
    ['"quoted"', {}, { value: 'quoted' }],
    ['OPEN door', {}, { value: 'OPEN door' }],
    ['', {}, { value: '' }],
    ['42', { column: 'count' }, { count: 42 }],
    ['{"a":1,"b":"x","c":true,"d":null}', {}, { a: 1, b: 'x', c: true }],
    ['{"battery":{"level":3,"low":false}}', {}, { 'battery.level': 3, 'battery.low': false }],
    ['{"spectrum":[1,2,3]}', {}, { spectrum: Float64Array.of(1, 2, 3) }],
    ['{"a":1,"b":{"c":2,"d":3}}', { columns: ['b.c'] }, { 'b.c': 2 }],
    ['{"status":5}', {}, { status_: 5 }],
    ['{"a":1}', { payload: 'value' }, { value: '{"a":1}' }],
    ['21.5', { payload: 'json' }, { value: 21.5 }],
  ])('%s %o', (payload, form, values) => {
    const { frames, rejects } = decode(payload, form)
    expect([rowsOf(frames), rejects]).toEqual([[[at, values]], []])
  })

  test.each([
    ['{"a":1', {}, 'the payload is not JSON'],
    ['[1,', {}, 'the payload is not JSON'],
    ['21,5', { payload: 'json' }, 'the payload is not JSON'],
    ['[]', {}, 'the payload is an empty list'],
    ['null', {}, 'the payload is null'],
    ['{}', {}, 'holds no value'],
    ['{"a":["x"]}', {}, 'a: is a list of other things than numbers'],
    ['{"time":"yesterday","a":1}', {}, 'time: expected a time such as 2026-03-01T12:00:00Z, got "yesterday"'],
    [
      '{"time":"2026-01-01T00:00:00","a":1}',
      {},
      'time: expected a time such as 2026-03-01T12:00:00Z, got "2026-01-01T00:00:00"',
    ],
    [
      '{"t":1e300,"a":1}',
      { time: { key: 't', unit: 's' } },
      't: expected Unix time in s, years 1677 to 2262, got 1e+300',
    ],
    ['{"a":1e999}', {}, 'a: is larger than a 64-bit float'],
    [`{"a":${'{"a":'.repeat(9)}1${'}'.repeat(10)}`, {}, 'a.a.a.a.a.a.a.a: objects lie deeper than 8'],
    [JSON.stringify(new Array(10_001).fill(1)), {}, 'holds more than 10000 readings'],
  ])('%s is a reject that says why', (payload, form, reason) => {
    const { frames, rejects } = decode(payload, form)
    expect([frames, rejects.map(r => r.reason)]).toEqual([[], [reason]])
    expect(rejects[0]).toMatchObject({ origin: { source: 'a/b' }, at })
  })

  test('what can be read of it is stored beside the reject', () => {
    const { frames, rejects } = decode('[{"a":1,"b":["x"]},{"time":"no","a":2},{"a":3}]')
    expect(rowsOf(frames).map(([, values]) => values)).toEqual([{ a: 1 }, { a: 3 }])
    expect(rejects).toHaveLength(2)
  })

  test.each([
    ['{"time":"2026-03-01T12:00:00.123456789+01:00","a":1}', {}, '2026-03-01T11:00:00.123456789Z'],
    ['{"ts":1767225600,"a":1}', { time: { key: 'ts', unit: 's' } }, at],
    ['{"ts":1767225600.25,"a":1}', { time: { key: 'ts', unit: 's' } }, '2026-01-01T00:00:00.250Z'],
    ['{"ts":1767225600123,"a":1}', { time: { key: 'ts', unit: 'ms' } }, '2026-01-01T00:00:00.123Z'],
    ['{"ts":"1767225600000000001","a":1}', { time: { key: 'ts', unit: 'ns' } }, '2026-01-01T00:00:00.000000001Z'],
    ['{"time":5,"a":1}', { time: 'arrival' }, at],
    ['{"time":null,"a":1}', {}, at],
  ])('%s with %o happened at %s', (payload, form, time) => {
    expect(rowsOf(decode(payload, form).frames)[0]?.[0]).toBe(time)
  })

  test.each([
    ['{"time":"2026-01-01T00:00:00Z","a":1}', {}, true],
    ['[{"time":"2026-01-01T00:00:00Z","a":1},{"a":1}]', {}, false],
    ['{"time":"2026-01-01T00:00:00Z","a":1}', { time: 'arrival' }, false],
    ['5', {}, false],
    ['m v=1 5\nm v=2 6', { payload: 'line-protocol' }, true],
    ['m v=1 5\nm v=2', { payload: 'line-protocol' }, false],
  ])('%s with %o says its time: %s', (payload, form, says) => {
    expect(saysItsTime(Buffer.from(payload), messageFormSchema.parse(form))).toBe(says)
  })

  test('rows without a time never replace each other', () => {
    expect(rowsOf(decode('[{"a":1},{"a":2},{"b":3}]').frames)).toEqual([
      [at, { a: 1, b: 3 }],
      ['2026-01-01T00:00:00.000001Z', { a: 2 }],
    ])
  })

  test('any JSON and any bytes end in frames and rejects; every number, text and truth of an object is there', () => {
    const key = fc
      .string({ minLength: 1, maxLength: 5 })
      .filter(k => k !== 'time' && k !== 'status' && !/[.\p{C}]/u.test(k))
    const flat = fc.dictionary(
      key,
      fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.string(), fc.boolean()),
      {
        minKeys: 1,
        noNullPrototype: true,
      },
    )
    fc.assert(
      fc.property(flat, object => {
        const { frames, rejects } = decode(JSON.stringify(object))
        expect(rejects).toEqual([])
        expect(rowsOf(frames)).toEqual([[at, JSON.parse(JSON.stringify(object))]])
      }),
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.uint8Array().map(b => Buffer.from(b).toString('latin1')),
        ),
        payload => {
          const { frames, rejects } = decode(payload)
          expect(frames.length + rejects.length).toBeGreaterThan(0)
        },
      ),
    )
  })
})

describe('patterns of topics', () => {
  const patterns = (...list: object[]) => createTopicPatterns(list.map(p => topicPatternSchema.parse(p)))

  test('name site, device and stream; the first that fits counts; names are decoded', () => {
    const { match, filters } = patterns(
      { pattern: 'shop/main/{device}', site: 'Main', stream: 'count' },
      { pattern: 'shop/{site}/{device}', stream: 'count' },
      { pattern: '+/{device}/{stream}/{site}' },
    )
    expect(match('shop/main/door')).toMatchObject({ site: 'Main', device: 'door', stream: 'count' })
    expect(match('shop/S%2Fo/door 1')).toMatchObject({ site: 'S/o', device: 'door 1', stream: 'count' })
    expect(match('x/d/s/t')).toMatchObject({ site: 't', device: 'd', stream: 's' })
    for (const topic of ['shop', 'shop/a', 'shop//a', 'shop/a/', 'shop/a/b/c/d', '', '/d/s/t', 'Shop/a/b']) {
      expect(match(topic)).toBeUndefined()
    }
    // The second covers the first: a broker would send it twice.
    expect(filters).toEqual(['shop/+/+', '+/+/+/+'])
  })

  test.each([
    ['shop/{site}', 'device', 'is missing: the pattern has no {device}'],
    ['shop/{site}/{site}/{device}', 'site', 'the site is named twice'],
    ['$SYS/{site}/{device}', 'pattern', 'is a topic with a meaning of its own'],
    ['penstock/{site}/{device}', 'pattern', 'is a topic with a meaning of its own'],
    ['shop/{site}/#', 'pattern', '"#" is no level: expected text, +, {site}, {device}, {stream}'],
    ['shop/{store}/{device}', 'pattern', '"{store}" is no level: expected text, +, {site}, {device}, {stream}'],
    ['shop/x{site}/{device}', 'pattern', '"x{site}" is no level: expected text, +, {site}, {device}, {stream}'],
  ])('%s is refused', (pattern, path, message) => {
    const result = topicPatternSchema.safeParse({ pattern, stream: 'count' })
    expect(result.error?.issues.map(i => [i.path.join('.'), i.message])).toContainEqual([path, message])
  })

  test('a stream is not asked of line protocol, and crossing patterns are found', () => {
    expect(topicPatternSchema.safeParse({ pattern: '{site}/{device}', payload: 'line-protocol' }).success).toBe(true)
    const crossing = (...list: string[]) => crossingPatterns(list.map(pattern => ({ pattern })))
    expect(crossing('a/{site}/c', '{site}/b/c')).toEqual([0, 1])
    expect(crossing('a/{site}/c', 'a/b/{site}', 'a/{device}/{site}')).toEqual([0, 1])
    expect(crossing('a/{site}', '{site}/{device}', 'a/b/c')).toBeUndefined()
  })
})
