import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { appendToList, writeYaml } from '../src/index.ts'

const item = { id: 'gauge', kind: 'tail', format: { kind: 'csv', time: { column: 'Time', layout: 'DD/MM/YYYY' } } }

test('remarks stand above the key that they speak of, or above the nearest one; what carries none is short', () => {
  const remarks = [
    { path: ['sources', 0, 'id'], text: 'which gauge?' },
    { path: ['sources', 0, 'format', 'time', 'layout'], text: `day or month first? ${'assumed day, '.repeat(8)}` },
    { path: ['sources', 0, 'format', 'nulls'], text: 'no hole was seen' },
  ]
  expect(writeYaml({ sources: [{ ...item, columns: { a: 'float', b: 'text' } }] }, remarks)).toBe(`sources:
  # which gauge?
  - id: gauge
    kind: tail
    # no hole was seen
    format:
      kind: csv
      time:
        column: Time
        # day or month first? assumed day, assumed day, assumed day, assumed day, assumed day, assumed day,
        # assumed day, assumed day,
        layout: DD/MM/YYYY
    columns: { a: float, b: text }
`)
})

describe('an item more at the end of a list', () => {
  test('leaves the rest of the file as it is: comments, spaces, order', () => {
    const before = `# my lab
gateway: bench-3   # keep
sources:
  # the first one
  - id:   x
    kind: drop # whole files

  - {id: y, kind: tail}
# disk
spool: {bytesMax:   1 GiB}
`
    const made = appendToList(before, 'g.yaml', 'sources', item, [{ path: ['kind'], text: 'or drop?' }])
    expect(made).toBe(
      before.replace(
        '# disk',
        `
  - id: gauge
    # or drop?
    kind: tail
    format: { kind: csv, time: { column: Time, layout: DD/MM/YYYY } }
# disk`,
      ),
    )
  })

  test.each([
    ['a list on one line', 'a: 1 # one\nsources: [ {id: x} ] # few\nz: 2'],
    ['a list without indentation', 'sources:\n- id: x\n  text: |\n    more\n    - lines'],
    ['no list yet', 'gateway: a'],
    ['an empty list', 'gateway: a # keep\nsources:\n'],
    ['nothing at all', ''],
    ['a list whose last item is a text of several lines', 'sources:\n  - id: x\n    t: >-\n      a\n\n      b\nz: 1\n'],
  ])('%s', (_, before) => {
    const had = (parse(before) ?? {}) as Record<string, unknown>
    const made = appendToList(before, 'g.yaml', 'sources', item)
    expect(parse(made)).toEqual({ ...had, sources: [...((had.sources as unknown[]) ?? []), item] })
    for (const comment of before.match(/# \w+/g) ?? []) expect(made).toContain(comment)
  })

  test('what is no YAML, or no list, is told with its place', () => {
    expect(() => appendToList('a: [', 'g.yaml', 'sources', item)).toThrow(/^g\.yaml:1: not YAML: /)
    expect(() => appendToList('sources: 12', 'g.yaml', 'sources', item)).toThrow('g.yaml: sources: expected a list')
    expect(() => appendToList('- a', 'g.yaml', 'sources', item)).toThrow('g.yaml: expected a mapping at the top')
  })

  test('whatever the item is, it is read back as it was', () => {
    const json = fc.jsonValue({ maxDepth: 3 }).filter(value => !JSON.stringify(value).includes('-0'))
    fc.assert(
      fc.property(fc.array(json, { minLength: 1, maxLength: 3 }), fc.dictionary(fc.string(), json), (list, more) => {
        const before = writeYaml({ first: 1, list, last: { x: 1 } })
        expect(parse(before)).toEqual({ first: 1, list, last: { x: 1 } })
        const made = parse(appendToList(before, 'f', 'list', more))
        expect(made).toEqual({ first: 1, list: [...list, more], last: { x: 1 } })
      }),
      { numRuns: 100 },
    )
  })
})
