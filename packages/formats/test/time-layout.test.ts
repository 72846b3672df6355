import { formatNs } from '@penstock/frame'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createTimeReader, layoutProblem, NO_TIME, timeBytes, UTC_TIME } from '../src/time-layout.ts'

/** The time as ISO 8601; a local one without its Z. */
const readWith = (reader: ReturnType<typeof createTimeReader>, text: string): string | undefined => {
  const at = new Float64Array(2)
  const bytes = new TextEncoder().encode(text)
  const found = reader(timeBytes(bytes), 0, bytes.length, at)
  if (found === NO_TIME) return undefined
  const iso = formatNs(BigInt(at[0] as number) * 1_000_000n + BigInt(at[1] as number))
  return found === UTC_TIME ? iso : iso.slice(0, -1)
}
const read = (layout: string, text: string) => readWith(createTimeReader(layout), text)

describe('time layouts', () => {
  it.each([
    ['iso', '2024-03-31T02:30:00', '2024-03-31T02:30:00.000'],
    ['iso', '2024-03-31 02:30', '2024-03-31T02:30:00.000'],
    ['iso', '2024-03-31', '2024-03-31T00:00:00.000'],
    ['iso', '2024-03-31T02:30:00.123456789Z', '2024-03-31T02:30:00.123456789Z'],
    ['iso', '2024-03-31T02:30:00,5+09:00', '2024-03-30T17:30:00.500Z'],
    ['iso', '2024-03-31T02:30:00-0130', '2024-03-31T04:00:00.000Z'],
    ['YYYY/MM/DD HH:mm:ss', '2022/03/12 20:32:19', '2022-03-12T20:32:19.000'],
    ['YYYY/MM/DD HH:mm:ss', '2022/03/12  20:32:19', '2022-03-12T20:32:19.000'],
    ['YYYY/MM/DD HH:mm:ss.SSS', '2022/03/15 08:18:00.266', '2022-03-15T08:18:00.266'],
    ['YYYY/MM/DD HH:mm:ss.S', '2022/03/15 08:18:00.26612345', '2022-03-15T08:18:00.266123450'],
    ['YYYY-MM-DD HH:mm:ss.SSSSSS', '2022-03-15 08:18:00.266123', '2022-03-15T08:18:00.266123'],
    ['DD.MM.YYYY, HH:mm:ss.SSS', '15.03.2022, 08:46:39.387', '2022-03-15T08:46:39.387'],
    ['YYYYMMDDHHmmss', '20230112102259', '2023-01-12T10:22:59.000'],
    ['YYYYMMDD HH-mm-ss', '20230103 19-35-32', '2023-01-03T19:35:32.000'],
    ['D/M/YY H:m', '1/6/22 9:05', '2022-06-01T09:05:00.000'],
    ['D/M/YYYY h:mm A', '1/6/2022 12:05 am', '2022-06-01T00:05:00.000'],
    ['D/M/YYYY hh:mm A', '1/6/2022 12:05 PM', '2022-06-01T12:05:00.000'],
    ['D/M/YY h:mm:ss A', '14/3/24 12:00:01 p. m.', '2024-03-14T12:00:01.000'],
    ['D/M/YY h:mm:ss A', '14/3/24 1:00:01 a.m.', '2024-03-14T01:00:01.000'],
    ['D/M/YY h:mm A', '14/3/24 1:05 P.M', '2024-03-14T13:05:00.000'],
    ['D. MMMM YYYY HH:mm', '14. März 2024 08:00', '2024-03-14T08:00:00.000'],
    ['D MMMM YYYY', '1 août 2023', '2023-08-01T00:00:00.000'],
    ['MMMM D, YYYY', 'December 31, 2023', '2023-12-31T00:00:00.000'],
    ['hms', '26:05:07,5', '1970-01-02T02:05:07.500Z'],
    ['hms', '1.02:05:07', '1970-01-02T02:05:07.000Z'],
    ['hms', '-0:00:00.000000001', '1969-12-31T23:59:59.999999999Z'],
    ['YYYY DDD HHmm', '2024 60 0805', '2024-02-29T08:05:00.000'],
    ['YYYY DDD', '2023 365', '2023-12-31T00:00:00.000'],
    ['YYYY M D H m', '2024 3 14 8 05', '2024-03-14T08:05:00.000'],
    ['min', '28504320', '2024-03-12T16:00:00.000Z'],
    ['h', '1,5', '1970-01-01T01:30:00.000Z'],
    ['min', '-0.25', '1969-12-31T23:59:45.000Z'],
    ['min', '1.6666666667E-02', '1970-01-01T00:00:01.000Z'],
    ['d', '1.00000000001', '1970-01-02T00:00:00.000000864Z'],
    ['ddd MMM DD HH:mm:ss z YYYY', 'Mon Mar 14 10:00:00 CET 2022', '2022-03-14T09:00:00.000Z'],
    ['ddd MMM D HH:mm:ss z YYYY', 'Tue Jun  7 10:00:00 CEST 2022', '2022-06-07T08:00:00.000Z'],
    ["YYYY-MM-DD'at'HH", '2022-03-14at10', '2022-03-14T10:00:00.000'],
    ['YYYY-MM-DDTHH:mm:ssZ', '2022-03-14T10:00:00+09:00', '2022-03-14T01:00:00.000Z'],
    ['s', '1673518974', '2023-01-12T10:22:54.000Z'],
    ['s', '1673518974.123456789', '2023-01-12T10:22:54.123456789Z'],
    ['s', '1.673518974e+09', '2023-01-12T10:22:54.000Z'],
    ['s', '-0.5', '1969-12-31T23:59:59.500Z'],
    ['s', '1.710417600e+09', '2024-03-14T12:00:00.000Z'],
    ['s', '-5,000000E-04', '1969-12-31T23:59:59.999500Z'],
    ['us', '2.5E-3', '1970-01-01T00:00:00.000000002Z'],
    ['ns', '0.000e0', '1970-01-01T00:00:00.000Z'],
    ['ms', '1673518974123.5', '2023-01-12T10:22:54.123500Z'],
    ['us', '1673518974123456', '2023-01-12T10:22:54.123456Z'],
    ['ns', '1673518974123456789', '2023-01-12T10:22:54.123456789Z'],
    ['ns', '7', '1970-01-01T00:00:00.000000007Z'],
    ['s', '1,5e3', '1970-01-01T00:25:00.000Z'],
    ['s', '-0,5', '1969-12-31T23:59:59.500Z'],
    ['excel', '44634.5', '2022-03-14T12:00:00.000'],
    ['excel', '25569', '1970-01-01T00:00:00.000'],
  ])('%s reads %s', (layout, text, expected) => {
    expect(layoutProblem(layout)).toBeUndefined()
    expect(read(layout, text)).toBe(expected)
  })

  it.each([
    ['iso', '2024-02-30'],
    ['iso', '2024-03-31T24:00'],
    ['iso', '2024-03-31T02:60'],
    ['iso', '2024-03-31T02:30:61'],
    ['iso', '2024-3-31'],
    ['iso', '2024-03-31T02:30:00.'],
    ['iso', '2024-03-31T02:30:00+9'],
    ['YYYY-MM-DD HH:mm:ss', '2023-01-03 35:19:32'],
    ['YYYY/MM/DD HH:mm:ss', '2022/03/12 20:32:9'],
    ['YYYY/MM/DD HH:mm:ss', '2022/03/12 20:32:60'],
    ['YYYY/MM/DD HH:mm:ss.SSS', '2022/03/12 20:32:59.12'],
    ['YYYY/MM/DD HH:mm:ss.SSS', '2022/03/12 20:32:59.1234'],
    ['YYYY/MM/DD HH:mm:ss', `${'\0'.repeat(17)}30`],
    ['D/M/YYYY h:mm A', '1/6/2022 13:05 PM'],
    ['ddd MMM D YYYY', 'Foo Mar 1 2022'],
    ['ddd MMM D HH z YYYY', 'Mon Mar 1 10 PST 2022'],
    ['s', '20230112102259'],
    ['s', 'e9'],
    ['s', '1e'],
    ['s', '1e13'],
    ['s', '1e999'],
    ['s', '1.2.3'],
    ['s', ''],
    ['s', '.5'],
    ['YYYY DDD', '2023 366'],
    ['YYYY DDD', '2024 0'],
    ['YYYY M D', '2023 2 29'],
    ['h:mm A D/M/YY', '1:05 a.x. 1/1/24'],
    ['h', '1:30'],
    ['hms', '1:30'],
    ['hms', '1:60:00'],
    ['D MMMM YYYY', '1 Foo 2024'],
    ['D MMMM YYYY', '31 avril 2024'],
    ['h', '1e18'],
    ['d', ''],
    ['excel', 'x'],
    ['excel', '1e300'],
  ])('%s refuses %s', (layout, text) => {
    expect(read(layout, text)).toBeUndefined()
  })

  it('remembers a minute without mistaking another for it', () => {
    const parts = fc.record({
      time: fc.date({ min: new Date('1900-01-01'), max: new Date('2100-01-01'), noInvalidDate: true }),
      bad: fc.constantFrom('', 'x', ' ', '60', '\0'),
    })
    for (const [layout, write] of [
      ['YYYY/MM/DD HH:mm:ss.SSS', (iso: string) => `${iso.slice(0, 10).replaceAll('-', '/')} ${iso.slice(11, 23)}`],
      [
        'DD.MM.YYYY, HH:mm:ss',
        (iso: string) => `${iso.slice(8, 10)}.${iso.slice(5, 7)}.${iso.slice(0, 4)}, ${iso.slice(11, 19)}`,
      ],
      ['iso', (iso: string) => iso],
    ] as const) {
      fc.assert(
        fc.property(fc.array(parts, { maxLength: 20 }), list => {
          const kept = createTimeReader(layout)
          for (const { time, bad } of list.flatMap(part => [
            part,
            { ...part, time: new Date(part.time.getTime() + 1001) },
          ])) {
            const text = write(time.toISOString())
            expect(readWith(kept, text)).toBe(readWith(createTimeReader(layout), text))
            expect(readWith(kept, text)?.slice(0, 19)).toBe(time.toISOString().slice(0, 19))
            if (bad !== '') expect(readWith(kept, text + bad)).toBe(readWith(createTimeReader(layout), text + bad))
          }
        }),
        { numRuns: 200 },
      )
    }
  })

  it.each([
    ['yyyy-MM-dd', '"y" is not a token'],
    ['HH:mm', 'has no year'],
    ['YYYY-MM', 'has no day'],
    ['YYYY-MM-DD hh:mm', 'needs both hh and A'],
    ['YYYY-MM-DD HH.SSS', 'without seconds'],
    ['YYYY-MM-DD MM', 'a token twice'],
    ['YYYY DDD MM', 'beside a month'],
    ['YYYY MM', 'has no day'],
  ])('%s is no layout', (layout, why) => {
    expect(layoutProblem(layout)).toContain(why)
  })

  it('takes no layout of a whole time for a date', () => {
    expect(layoutProblem('s', true)).toBeDefined()
    expect(layoutProblem('YYYYMMDD', true)).toBeUndefined()
  })
})
