import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createCsv, csvSchema } from '../src/index.ts'
import { readNumber } from '../src/number.ts'
import { context } from './decoder.contract.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const read = (text: string, decimal = '.') => readNumber(bytes(text), 0, text.length, decimal.charCodeAt(0))

const digits = (max: number) => fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength: max })
const decimalText = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }).map(n => n.toFixed(9)),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(n => n.toExponential(6)),
  fc.bigInt({ min: -(10n ** 24n), max: 10n ** 24n }).map(String),
  fc
    .tuple(
      fc.constantFrom('', '-', '+'),
      digits(20),
      fc.boolean(),
      digits(25),
      fc.constantFrom('', 'e', 'E-', 'e+'),
      digits(3),
    )
    .map(
      ([sign, whole, mark, fraction, e, power]) =>
        `${sign}${whole}${mark ? `.${fraction}` : ''}${e}${e === '' ? '' : power}`,
    ),
)
const isDecimal = (text: string) => /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)

describe('numbers', () => {
  it('are read bit for bit as Number reads them', () => {
    fc.assert(
      fc.property(decimalText, text => {
        expect(read(text)).toBe(isDecimal(text) ? Number(text) : Number.NaN)
        expect(read(text.replace('.', ','), ',')).toBe(isDecimal(text) ? Number(text) : Number.NaN)
      }),
      { numRuns: 5000 },
    )
  })

  it('are the same in rows that are read the short way', () => {
    const options = csvSchema.parse({
      kind: 'csv',
      header: false,
      columns: [
        { name: 'x', from: 1 },
        { name: 'y', from: 2 },
      ],
    })
    fc.assert(
      fc.property(fc.array(decimalText.filter(isDecimal), { minLength: 1, maxLength: 20 }), texts => {
        const decoder = createCsv(options, context({ frameRowsMax: 1000 }))
        const { frames } = decoder.push(bytes(`${texts.map(text => `${text},0`).join('\n')}\n`), true, 0n)
        const values = frames.flatMap(frame => Array.from(frame.columns[0]?.values as Float64Array))
        // What overflows a double is no number: a hole with a status.
        expect(values).toEqual(texts.map(text => (Number.isFinite(Number(text)) ? Number(text) : Number.NaN)))
      }),
      { numRuns: 1500 },
    )
  })

  it('are refused where the text is more or less than a number', () => {
    for (const text of ['', '-', '.', 'e5', '1e', '1e+', '1.2.3', '1 2', '0x10', '1_000', '--1', '1-', 'NaN', '١']) {
      expect(readNumber(bytes(text), 0, bytes(text).length, 46), text).toBeNaN()
    }
  })
})
