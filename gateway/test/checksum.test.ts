import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checksumSchema, crc16Modbus, createChecksum } from '../src/checksum.ts'
import { bytesOf, escapedText } from '../src/escapes.ts'

const make = (options: object) => createChecksum(checksumSchema.parse(options))
const text = (value: string) => Buffer.from(value, 'latin1')
const hex = (value: string) => Buffer.from(value.replaceAll(' ', ''), 'hex')
const opened = (options: object, frame: Uint8Array) => {
  const result = make(options).open(frame)
  return 'problem' in result ? result.problem : Buffer.from(result.bytes).toString('latin1')
}

describe('known checksums', () => {
  it('of CRC-16 as Modbus has it', () => {
    expect(crc16Modbus(text('123456789'))).toBe(0x4b37)
    expect(crc16Modbus(Buffer.alloc(0))).toBe(0xffff)
    const options = { kind: 'crc16-modbus' }
    expect(Buffer.from(make(options).close(hex('01 03 00 00 00 0a')))).toEqual(hex('01 03 00 00 00 0a c5 cd'))
    expect(opened(options, hex('11 03 00 6b 00 03 76 87'))).toBe('\x11\x03\0k\0\x03')
    expect(opened({ ...options, order: 'high-first' }, hex('31 32 33 34 35 36 37 38 39 4b 37'))).toBe('123456789')
  })
  it('of NMEA sentences, also with a carriage return behind', () => {
    const sentence = '$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,'
    for (const end of ['*47', '*47\r']) expect(opened({ kind: 'nmea' }, text(sentence + end))).toBe(sentence)
    expect(opened({ kind: 'nmea' }, text(`${sentence}*48`))).toBe('the checksum (nmea) says 48, the bytes give 47')
    expect(opened({ kind: 'nmea' }, text(sentence))).toMatch(/has no checksum/)
    expect(opened({ kind: 'nmea' }, text('!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C'))).toMatch(/^!AIVDM/)
  })
  it('of sums and xors, as bytes and as digits, behind a mark, over what is said', () => {
    expect(opened({ kind: 'sum8' }, text('123456789\xdd'))).toBe('123456789')
    expect(opened({ kind: 'sum8', negated: true }, hex('01 02 fd'))).toBe('\x01\x02')
    expect(opened({ kind: 'xor', written: 'hex' }, text('12345678931'))).toBe('123456789')
    expect(opened({ kind: 'sum8', written: 'hex', after: '#', from: 1 }, text(':123456789#dd \r'))).toBe(':123456789')
    expect(opened({ kind: 'xor', after: '\\x03', markCovered: true, from: 1 }, text('\x02AB\x03\x00'))).toBe('\x02AB')
  })
  it('that are too short for one are refused, whatever they hold', () => {
    const kinds = ['xor', 'sum8', 'crc16-modbus', 'nmea'].map(kind => ({ kind }))
    void fc.assert(
      fc.property(fc.constantFrom(...kinds), fc.uint8Array({ maxLength: 3 }), (options, frame) => {
        expect(() => make(options).open(frame)).not.toThrow()
      }),
    )
    expect(opened({ kind: 'crc16-modbus' }, hex('01'))).toMatch(/has no checksum/)
  })
})

describe('a checksum', () => {
  const forms = fc.constantFrom<object>(
    { kind: 'none' },
    { kind: 'xor' },
    { kind: 'xor', written: 'hex', after: '*' },
    { kind: 'sum8', negated: true },
    { kind: 'sum8', written: 'hex', from: 2 },
    { kind: 'crc16-modbus' },
    { kind: 'crc16-modbus', written: 'hex', order: 'high-first', after: ';;', markCovered: true },
    { kind: 'nmea' },
  )
  const bytes = fc.uint8Array({ minLength: 2, maxLength: 300 })
  it('fits the frame that it was made for', () => {
    void fc.assert(
      fc.property(forms, bytes, (options, frame) => {
        const checksum = make(options)
        const found = checksum.open(checksum.close(frame))
        expect('bytes' in found && [...found.bytes]).toEqual([...frame])
      }),
    )
  })
  it('finds every single flipped bit', () => {
    void fc.assert(
      fc.property(fc.constantFrom('xor', 'sum8', 'crc16-modbus'), bytes, fc.nat(), (kind, frame, place) => {
        const checksum = make({ kind })
        const sent = Buffer.from(checksum.close(frame))
        const bit = place % (sent.length * 8)
        sent[bit >> 3] = (sent[bit >> 3] as number) ^ (1 << (bit & 7))
        expect(checksum.open(sent)).toHaveProperty('problem')
      }),
    )
  })
  it('is configured without contradiction', () => {
    const problems = (options: object) => checksumSchema.safeParse(options).error?.issues.map(i => i.message)
    expect(problems({ kind: 'nmea', after: '#' })).toEqual(['does not go with nmea, which has a form of its own'])
    expect(problems({ kind: 'xor', order: 'low-first' })).toEqual(['is only for crc16-modbus'])
    expect(problems({ kind: 'none', onCommands: true })).toEqual(['needs a kind of checksum'])
  })
})

describe('text with escapes', () => {
  it('stands for bytes', () => {
    expect(bytesOf('\\x02R\\r\\n\\0\\t\\\\é')).toEqual(Buffer.from('\x02R\r\n\0\t\\é'))
    expect(bytesOf('\\xaa\\xFF')).toEqual(hex('aa ff'))
  })
  it('with an escape that is none is refused in words', () => {
    const said = (value: string) => escapedText(0, 10).safeParse(value).error?.issues[0]?.message
    expect(said('a\\q')).toMatch(/^"\\q" is no escape: known are/)
    expect(said('a\\x0')).toMatch(/is no escape/)
    expect(said('a\\')).toMatch(/is no escape/)
    expect(said('a\\n')).toBeUndefined()
  })
})
