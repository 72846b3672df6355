import { describe, expect, it } from 'vitest'
import type { Recipe } from '../src/api.ts'
import { cellsOf, correctionOf, guess, namesOf, readFix } from '../src/quarantine/fix.ts'

const recipe: Recipe = {
  format: { kind: 'csv', delimiter: ';', nullTexts: ['', '-'], time: { column: 'Time', layout: 'iso' } },
  head: 'Run 4\nTime;P;T\n;mbar;K\n',
  ...{ site: 's', device: 'd', stream: 'x', zone: 'UTC' },
}
const reject = (text: string, reason: string) => ({ text, reason, origin: { source: 's' } })

describe('what is wrong', () => {
  it.each([
    [reject('2024;3,14;1', 'column "P": "3,14" is not a number'), { kind: 'decimal', column: 2 }],
    [reject('2024;ERR;1', 'column "P": "ERR" is not a number'), { kind: 'nulls', text: 'ERR' }],
    [reject('2024;4x;1', 'column "P": "4x" is not a number'), { kind: 'replace', find: '4x', column: 2 }],
    [reject('1.2.24;1;1', 'column "Time": "1.2.24" where a time is required (iso)'), { kind: 'time' }],
    [reject('1,2', 'the row has 1 cells where 3 are expected'), { kind: 'delimiter' }],
  ])('is guessed from the reason: %j', (example, fix) => expect(guess(example, recipe)).toEqual(fix))
  it('is to be named where nobody said how the rows were read', () => {
    expect(guess(reject('a', 'b'), null)).toMatchObject({ kind: 'columns' })
  })
  it('stands in the address and is passed over where it is no such thing', () => {
    expect(readFix('{"kind":"decimal","column":4}')).toEqual({ kind: 'decimal', column: 4 })
    expect([readFix(null), readFix('{'), readFix('null'), readFix('{"kind":"x"}')]).toEqual([...Array(4)])
  })
})

describe('a correction', () => {
  it.each([
    [{ kind: 'decimal', column: 4 }, { decimalComma: [4] }],
    [{ kind: 'decimal' }, undefined],
    [
      { kind: 'replace', find: 'a', replace: 'b', column: 2 },
      { replacements: [{ find: 'a', replace: 'b', column: 2 }] },
    ],
    [{ kind: 'nulls', text: 'n/a' }, { format: { nullTexts: ['', '-', 'n/a'] } }],
    [{ kind: 'time', layout: 'DD.MM.YYYY' }, { format: { time: { column: 'Time', layout: 'DD.MM.YYYY' } } }],
    [{ kind: 'place', site: 'lab' }, { site: 'lab' }],
    [
      { kind: 'columns', names: 'Time, ,P', delimiter: 'tab', timeColumn: 'Time', device: '1' },
      {
        names: ['Time', 'column 2', 'P'],
        format: { kind: 'csv', delimiter: 'tab', time: { column: 'Time' } },
        device: '1',
      },
    ],
    [{ kind: 'json', json: '{"site":"a"}' }, { site: 'a' }],
    [{ kind: 'json', json: '{' }, 'json'],
  ] as const)('is what %j stands for', (fix, correction) => expect(correctionOf(fix, recipe)).toEqual(correction))
  it('knows cells and names', () => {
    expect(cellsOf('a;"b;c";d\r\n', ';')).toEqual(['a', 'b;c', 'd'])
    expect(namesOf(recipe)).toEqual(['Time', 'P', 'T'])
  })
})
