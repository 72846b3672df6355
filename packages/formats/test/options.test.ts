import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import {
  createDecoder,
  csvSchema,
  type FormatOptions,
  formatSchema,
  presetNames,
  presetOptions,
  recordFormatSchema,
} from '../src/index.ts'
import { context } from './decoder.contract.ts'

/** Every sentence, those of a union's branches among them: `@penstock/config` picks the nearest branch. */
const sentences = (issues: readonly z.core.$ZodIssue[], above: readonly PropertyKey[] = []): string[] =>
  issues.flatMap(issue => {
    const at = [...above, ...issue.path]
    if (issue.code === 'invalid_union')
      return [`${at.join('.')}: none`, ...issue.errors.flatMap(branch => sentences(branch, at))]
    return [`${at.join('.')}: ${issue.message}`]
  })
const problems = (options: unknown): string[] => sentences(formatSchema.safeParse(options).error?.issues ?? [])

describe('options', () => {
  it.each([
    [{ kind: 'cvs' }, 'kind'],
    [{ kind: 'csv', delimeter: ';' }, 'delimeter'],
    [{ kind: 'csv', encoding: 'utf-9' }, '"utf-9" is not an encoding'],
    [{ kind: 'csv', encoding: 'iso-2022-jp' }, '"iso-2022-jp" is not an encoding'],
    [{ kind: 'csv', delimiter: ';;' }, 'delimiter: is not one ASCII character'],
    [{ kind: 'csv', delimiter: ',', decimal: ',' }, 'decimal: is also the delimiter'],
    [{ kind: 'csv', time: { column: 't', layout: 'yyyy' } }, '"y" is not a token'],
    [{ kind: 'csv', time: { column: 't', zone: 'Europe/Atlantis' } }, '"Europe/Atlantis" is not an IANA time zone'],
    [{ kind: 'csv', time: { column: 't', start: { pattern: '(' } } }, 'Invalid regular expression'],
    [{ kind: 'csv', time: { column: 't', start: 'noon' } }, 'is not an ISO 8601 time'],
    [{ kind: 'csv', columns: [{ name: 'a' }, { name: 'a' }] }, 'columns: has two columns "a"'],
    [{ kind: 'csv', columns: { status: 'text' } }, '"status" is taken by the row status'],
    [{ kind: 'csv', columns: { a: 'number' } }, 'columns.a'],
    [{ kind: 'csv', columns: {} }, 'names no column'],
    [{ kind: 'lines', pattern: '(' }, 'pattern: Invalid regular expression'],
    [{ kind: 'lines', pattern: 'a+' }, 'pattern: has no named group'],
    [
      { kind: 'lines', pattern: '(?<a>.)', columns: { b: 'float' } },
      'columns.b: the pattern has no group "b"; its groups are a',
    ],
    [{ kind: 'jsonl' }, 'columns'],
    [{ kind: 'jsonl', columns: { a: { from: 1 } } }, 'is a position'],
    [
      { kind: 'csv', columns: { a: { type: 'text', limits: { max: 1 } } } },
      'only a column of type float or int has limits',
    ],
    [{ kind: 'csv', columns: [{ name: 'a', limits: {} }] }, 'names neither min nor max'],
    [{ kind: 'csv', preset: 'pnt' }, 'preset'],
    [{ kind: 'csv', preset: 'pmt', time: { zone: 'Mars/Base' } }, '"Mars/Base" is not an IANA time zone'],
    [{ kind: 'protem', columns: { status: 'text' } }, '"status" is taken by the row status'],
    [{ kind: 'lta', rows: 'both' }, 'rows'],
    [{ kind: 'oceanview', zones: { 'GMT+1': 'Europe/Paris' } }, 'is not an abbreviation'],
    [{ kind: 'we7000', zone: 'JST+9' }, '"JST+9" is not an IANA time zone'],
  ])('%j is refused', (options, why) => {
    expect(problems(options).join('\n') || 'accepted').toContain(why)
  })

  it('have a JSON schema in which every option of csv is described', () => {
    const schema = z.toJSONSchema(formatSchema, { io: 'input' }) as {
      oneOf?: { properties: Record<string, { description?: string; const?: string }> }[]
    }
    const kinds = schema.oneOf?.map(s => s.properties.kind?.const) ?? []
    expect(kinds).toContain('csv')
    expect(new Set(kinds).size).toBe(kinds.length)
    for (const one of schema.oneOf ?? []) {
      for (const [key, property] of Object.entries(one.properties)) {
        if (key !== 'kind') expect(property.description, key).toBeTruthy()
      }
    }
  })

  it('of a preset can be changed key by key', () => {
    const own = { kind: 'csv', preset: 'pmt', time: { zone: 'Asia/Tokyo' }, columns: { Coil: { optional: false } } }
    expect(formatSchema.parse(own)).toMatchObject({
      time: { column: 'Time', layout: 'YYYY/MM/DD HH:mm:ss.SSS', zone: 'Asia/Tokyo' },
      columns: { Coil: { type: 'bool', optional: false }, 'No.': { type: 'int' } },
      header: { unitsInNames: true },
      delimiter: ',',
    })
    const other = { kind: 'csv', preset: 'store-counts', time: { column: 'at' }, columns: [{ name: 'n' }] }
    expect(formatSchema.parse(other)).toMatchObject({ time: { column: 'at' }, columns: [{ name: 'n' }] })
    expect(formatSchema.parse(other)).not.toHaveProperty('time.date')
    for (const preset of presetNames) {
      expect(recordFormatSchema.parse({ kind: 'csv', preset })).toEqual(formatSchema.parse({ kind: 'csv', preset }))
      expect(csvSchema.parse({ kind: 'csv', ...presetOptions(preset) })).toBeTruthy()
    }
  })

  it('make a decoder of every format that they accept', () => {
    const all: unknown[] = [
      { kind: 'csv' },
      { kind: 'csv', header: { names: ['a', 'b'] }, columns: ['a', 'b'].map(name => ({ name })) },
      { kind: 'csv', quote: false, header: false, delimiter: '|', encoding: 'gb18030' },
      { kind: 'we7000', stream: 'events' },
      { kind: 'protem' },
      { kind: 'lta' },
      { kind: 'oceanview' },
      ...presetNames.map(preset => ({ kind: 'csv', preset })),
      { kind: 'lines', pattern: '(?<a>.)' },
      { kind: 'jsonl', columns: { a: 'text' } },
    ]
    for (const options of all) {
      const format: FormatOptions = formatSchema.parse(options)
      expect(createDecoder(format, context()).checkpoint()).toMatchObject({ offset: 0, line: 0 })
    }
  })
})
