import fc from 'fast-check'
import stringWidth from 'string-width'
import { describe, expect, test } from 'vitest'
import { renderTable, shorten, visible, wrapText } from '../src/terminal/table.ts'

describe('a table', () => {
  test('is as wide as its cells, numbers to the right, units below the titles', () => {
    const columns = [{ title: 'device' }, { title: 'p', under: 'mbar', align: 'right' as const }, { title: 'status' }]
    expect(
      renderTable(
        columns,
        [
          ['gauge', '1.5e-7', 'ok'],
          ['b', '12', 'failed'],
        ],
        undefined,
      ),
    ).toEqual([
      'device       p  status',
      '          mbar',
      '──────  ──────  ──────',
      'gauge   1.5e-7  ok',
      'b           12  failed',
    ])
  })

  test('shortens its widest column first, then leaves columns out from the right and says which', () => {
    const columns = [{ title: 'one' }, { title: 'two' }, { title: 'three' }]
    const row = ['a'.repeat(30), 'b'.repeat(10), 'c'.repeat(10)]
    expect(renderTable(columns, [row], 40)).toEqual([
      'one               two         three',
      `${'─'.repeat(16)}  ${'─'.repeat(10)}  ${'─'.repeat(10)}`,
      `${'a'.repeat(15)}…  ${'b'.repeat(10)}  ${'c'.repeat(10)}`,
    ])
    expect(renderTable(columns, [row], 17).slice(2)).toEqual([
      'aaaaaa…  bbbbbbb…',
      'not shown for',
      'lack of width:',
      'three',
    ])
  })

  test('counts wide characters twice, combining marks not at all, an emoji of several as one', () => {
    const columns = [{ title: 'name' }, { title: 'x' }]
    const rows = [
      ['設定値', '1'],
      ['e\u0301te\u0301', '2'],
      ['👩‍🔬', '3'],
    ]
    const lines = renderTable(columns, rows, undefined)
    expect(lines.slice(2).map(line => stringWidth(line))).toEqual([9, 9, 9])
    expect(shorten('設定値', 5)).toBe('設定…')
    expect(shorten('設定値', 4)).toBe('設…')
  })

  test('control characters change nothing on the terminal', () => {
    expect(visible('a\u001b[31mb\tc\nd\u007f\u0085')).toBe('a␛[31mb␉c␊d␡\ufffd')
  })

  test('no line is wider than the terminal, whatever stands in the cells', () => {
    const cell = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 40 }), fc.string({ unit: 'binary', maxLength: 12 }))
    fc.assert(
      fc.property(
        fc.array(fc.array(cell, { minLength: 3, maxLength: 3 }), { maxLength: 4 }),
        fc.integer({ min: 20, max: 90 }),
        (rows, width) => {
          const columns = [
            { title: 'time', charsMin: 8 },
            { title: 'first 設定' },
            { title: 'x', align: 'right' as const },
          ]
          for (const line of renderTable(columns, rows, width)) expect(stringWidth(line)).toBeLessThanOrEqual(width)
        },
      ),
      { numRuns: 40 },
    )
  })
})

test('a long text is broken between words, further lines indented, nothing lost', () => {
  expect(wrapText('  one two three', 9, '    ')).toEqual(['  one two', '    three'])
  expect(wrapText('short', undefined)).toEqual(['short'])
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[a-z]{1,9}$/), { minLength: 1, maxLength: 30 }), words => {
      const lines = wrapText(words.join(' '), 20, '  ')
      expect(lines.join(' ').split(/ +/).filter(Boolean)).toEqual(words)
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(20)
    }),
  )
})
