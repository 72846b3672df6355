import { describe, expect, it } from 'vitest'
import { causeOf } from '../src/reject-cause.ts'

const of = (reason: string, file = 'a.csv') => causeOf('g', { origin: { source: 's', format: 'csv', file }, reason })

describe('causes', () => {
  it.each([
    ['column "P": "3,14" is not a number', 'column "P": "…" is not a number', 'P'],
    ['column 4: "x" is not a number', 'column 4: "…" is not a number', '4'],
    ['the row has 3 cells where 12 are expected', 'the row has # cells where # are expected', ''],
    [
      'column "date": "1.2.24", column "hour": "10" where a time is required (YYYY-MM-DD and an hour from 0 to 23)',
      'column "date": "…", column "hour": "…" where a time is required (YYYY-MM-DD and an hour from 0 to 23)',
      'date',
    ],
    ['the line is not JSON', 'the line is not JSON', ''],
  ])('masks what differs from row to row: %s', (reason, masked, column) => {
    expect(of(reason)).toMatchObject({ reason: masked, column })
  })
  it('puts files together that differ by numbers and dates', () => {
    const names = ['run_042.csv', 'run_7.csv', 'x/2024-07-01T10.csv', 'x/2024-07-02T11.csv']
    expect(names.map(name => of('r', name).filePattern)).toEqual(['run_*.csv', 'run_*.csv', 'x/*.csv', 'x/*.csv'])
  })
  it('keeps apart what has another source, column or reason', () => {
    const ids = [of('column "a": "1" is not a number'), of('column "b": "1" is not a number'), of('no time')]
    expect(new Set(ids.map(cause => cause.id)).size).toBe(3)
    expect(of('column "a": "2" is not a number').id).toBe(ids[0]?.id)
  })
})
