import { describe, expect, it } from 'vitest'
import { createDecoder, formatSchema, type Resume } from '../src/index.ts'
import { addDecoded, context, decodeAll, emptyWhole } from './decoder.contract.ts'

const make = (more: object) => {
  const format = formatSchema.parse({ kind: 'csv', ...more })
  return (resume?: Resume) => createDecoder(format, context(), resume)
}
const clock = make({
  time: { column: 't', layout: 'YYYY-MM-DD HH:mm' },
  columns: { x: 'float' },
  tags: { device: { column: 'd' } },
})
const hours = make({ time: { date: 't', hour: 'h' }, columns: { x: 'float' } })

const rowsOf = (whole: ReturnType<typeof decodeAll>, device = 'gauge') =>
  (whole.series[`lab/${device}/pressure`]?.rows ?? []).map(
    row => `${new Date(Number((row[0] as bigint) / 1_000_000n)).toISOString().slice(5, 16)} ${row.at(-1) ?? 'ok'}`,
  )
const bytes = (text: string) => new Uint8Array(Buffer.from(text))

const autumn = (times: readonly string[]) =>
  bytes(`t,d,x\n${times.map(time => `2024-10-27 ${time},gauge,1\n`).join('')}`)

describe('the night on which clocks go back', () => {
  it('is told apart by the order of the rows', () => {
    expect(rowsOf(decodeAll(clock, autumn(['01:30', '02:00', '02:30', '02:00', '02:30', '03:00'])))).toEqual([
      '10-26T23:30 ok',
      '10-27T00:00 dst-ambiguous',
      '10-27T00:30 dst-ambiguous',
      '10-27T01:00 dst-ambiguous',
      '10-27T01:30 dst-ambiguous',
      '10-27T02:00 ok',
    ])
  })
  it('keeps equal times in one pass: two events of one minute are no step back', () => {
    expect(rowsOf(decodeAll(clock, autumn(['02:10', '02:10', '02:20'])))).toEqual([
      '10-27T00:10 dst-ambiguous',
      '10-27T00:10 dst-ambiguous',
      '10-27T00:20 dst-ambiguous',
    ])
  })
  it('is told apart for each series by itself, and across a stop at any byte', () => {
    const all = bytes(
      't,d,x\n2024-10-27 02:40,a,1\n2024-10-27 02:10,b,1\n2024-10-27 02:20,a,1\n2024-10-27 02:50,b,1\n2024-10-27 02:05,b,1\n',
    )
    for (let stop = 0; stop < all.length; stop++) {
      const whole = decodeAll(clock, all, [], [stop])
      expect(rowsOf(whole, 'a')).toEqual(['10-27T00:40 dst-ambiguous', '10-27T01:20 dst-ambiguous'])
      expect(rowsOf(whole, 'b')).toEqual([
        '10-27T00:10 dst-ambiguous',
        '10-27T00:50 dst-ambiguous',
        '10-27T01:05 dst-ambiguous',
      ])
    }
  })
  it('begins anew in the next year', () => {
    const all = bytes('t,d,x\n2023-10-29 02:40,gauge,1\n2023-10-29 02:10,gauge,1\n2024-10-27 02:30,gauge,1\n')
    expect(rowsOf(decodeAll(clock, all)).at(-1)).toBe('10-27T00:30 dst-ambiguous')
  })
  it('gives a table of hours its hour twice, and once where it is there once', () => {
    const table = (list: readonly number[]) => bytes(`t,h,x\n${list.map(h => `2024-10-27,${h},1\n`).join('')}`)
    expect(rowsOf(decodeAll(hours, table([1, 2, 2, 3])))).toEqual([
      '10-26T23:00 ok',
      '10-27T00:00 dst-ambiguous',
      '10-27T01:00 dst-ambiguous',
      '10-27T02:00 ok',
    ])
    expect(rowsOf(decodeAll(hours, table([1, 2, 3])))[1]).toBe('10-27T00:00 dst-ambiguous')
  })
  it('keeps the value: only its time is in doubt', () => {
    const whole = decodeAll(clock, autumn(['02:10']))
    expect(whole.series['lab/gauge/pressure']?.rows[0]?.[1]).toBe(1)
  })
})

describe('the night on which clocks go forward', () => {
  const spring = bytes('t,d,x\n2024-03-31 01:59,gauge,1\n2024-03-31 02:30,gauge,2\n2024-03-31 03:31,gauge,3\n')
  it('reads a skipped time with the offset from before', () => {
    expect(rowsOf(decodeAll(clock, spring))).toEqual(['03-31T00:59 ok', '03-31T01:30 dst-gap', '03-31T01:31 ok'])
  })
  it('rejects it where the options say so, and in a table of hours', () => {
    const strict = make({ time: { column: 't', layout: 'YYYY-MM-DD HH:mm', gap: 'reject' }, columns: { x: 'float' } })
    const whole = decodeAll(strict, spring)
    expect(whole.rowsRejected).toBe(1)
    expect(whole.rejects[0]).toContain(
      'column "t": the local time 2024-03-31T02:30:00 does not exist in Europe/Berlin, the clocks skipped it',
    )
    expect(decodeAll(hours, bytes('t,h,x\n2024-03-31,2,1\n2024-03-31,3,1\n')).rowsRejected).toBe(1)
  })
})

it('reads quarter-hours around the changes of any zone as its clocks show them', () => {
  const names = [
    'Europe/Madrid',
    'America/Sao_Paulo',
    'Australia/Lord_Howe',
    'Africa/Casablanca',
    'Asia/Kathmandu',
    'UTC',
  ]
  for (const zone of names) {
    const decoder = make({ time: { column: 't', zone }, columns: { x: 'float' } })()
    const format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' })
    const times = [Date.UTC(2018, 1, 10), Date.UTC(2018, 9, 1)].flatMap(from =>
      Array.from({ length: 5000 }, (_, i) => from + i * 900_000),
    )
    const text = `t,x\n${times.map(ms => `${format.format(ms)},1\n`).join('')}`
    const whole = emptyWhole()
    addDecoded(whole, decoder.push(bytes(text), true))
    const read = (whole.series['lab/gauge/pressure']?.rows ?? []).map(row => Number((row[0] as bigint) / 1_000_000n))
    expect(read, zone).toEqual(times)
  }
})
