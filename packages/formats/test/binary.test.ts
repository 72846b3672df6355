import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { binarySchema, createBinary, createScaling } from '../src/index.ts'
import { context } from './decoder.contract.ts'

const problems = (more: object) =>
  binarySchema
    .safeParse({ kind: 'binary', recordBytes: 8, fields: [{ name: 'a', at: 0, type: 'u16' }], ...more })
    .error?.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`)

/** The value of each field of one record, or the reason why there is none. */
const decoded = (fields: object[], record: Uint8Array, order = 'little') => {
  const options = binarySchema.parse({ kind: 'binary', recordBytes: record.length, order, fields })
  const { frames, rejects } = createBinary(options, context()).push(record, true, 1n)
  return rejects[0]?.reason ?? Object.fromEntries(frames[0]?.columns.map(c => [c.name, c.values[0]]) ?? [])
}

describe('binary records', () => {
  it('have the numbers that their bytes are, in both orders', () => {
    const fields = ['u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'f32', 'f64'].map(type => ({ name: type, at: 1, type }))
    const record = fc.uint8Array({ minLength: 9, maxLength: 9 })
    void fc.assert(
      fc.property(record, fc.boolean(), (bytes, isLittle) => {
        const view = new DataView(bytes.buffer, bytes.byteOffset)
        const seen = decoded(fields, bytes, isLittle ? 'little' : 'big')
        const number = (value: number) => (Number.isFinite(value) ? value : Number.NaN)
        expect(seen).toMatchObject({
          u8: view.getUint8(1),
          i8: view.getInt8(1),
          u16: view.getUint16(1, isLittle),
          i16: view.getInt16(1, isLittle),
          u32: view.getUint32(1, isLittle),
          i32: view.getInt32(1, isLittle),
          f32: number(view.getFloat32(1, isLittle)),
          f64: number(view.getFloat64(1, isLittle)),
        })
      }),
    )
  })

  it('never round a whole number: beyond 2^53 it is a reject, or text', () => {
    const any = fc.oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.bigInt({ min: -(2n ** 54n), max: 2n ** 54n }),
    )
    void fc.assert(
      fc.property(any, fc.boolean(), (value, isLittle) => {
        const record = new Uint8Array(8)
        new DataView(record.buffer).setBigInt64(0, value, isLittle)
        const order = isLittle ? 'little' : 'big'
        const isExact = value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
        const number = decoded([{ name: 'n', at: 0, type: 'i64' }], record, order)
        if (isExact) expect(number).toEqual({ n: Number(value) })
        else expect(number).toMatch(/is not a whole number below 2\^53/)
        expect(decoded([{ name: 'n', at: 0, type: 'i64', as: 'text' }], record, order)).toEqual({ n: String(value) })
        if (!isExact)
          expect(decoded([{ name: 'n', at: 0, type: 'i64', scale: 2 }], record, order)).toMatch(/cannot be scaled/)
      }),
    )
  })

  it('are described without contradiction', () => {
    expect(problems({ fields: [{ name: 'a', at: 7, type: 'u16' }] })).toEqual([
      'fields.0.at: the field ends at byte 9, the record at 8',
    ])
    expect(problems({ fields: [{ name: 'a', at: 0, type: 'ascii' }] })?.[0]).toMatch(/^fields\.0\.bytes: is missing/)
    expect(problems({ fields: [{ name: 'a', at: 0, type: 'u8', bytes: 2 }] })?.[0]).toMatch(/its own length/)
    const twice = [0, 1].map(at => ({ name: 'a', at, type: 'u8' }))
    expect(problems({ fields: twice })).toEqual(['fields.1.name: a second field "a"'])
    expect(problems({ time: { column: 't', layout: 's' } })).toEqual([
      'time.column: there is no field "t"; the fields are a',
    ])
  })
})

describe('a scaling', () => {
  it('by a decimal step gives the nearest number to the decimal', () => {
    void fc.assert(
      fc.property(fc.integer({ min: -1e9, max: 1e9 }), fc.constantFrom(1, 2, 3, 6), (raw, digits) => {
        expect(createScaling({ scale: Number(`1e-${digits}`) })(raw)).toBe(Number(`${raw}e-${digits}`) + 0)
      }),
    )
    expect(createScaling({ scale: 2.5, offset: -4 })(10)).toBe(21)
    expect(createScaling({})(7)).toBe(7)
  })
})
