/**
 * Checksums of frames on a line: what is covered, how the sum is written, and what is left of the frame without it.
 *
 *     $GPRMC,…*47     nmea: xor between "$" and "*", in hexadecimal behind "*"
 *     01 03 02 00 2a | 39 9b     crc16-modbus: two last bytes, low byte first
 */
import * as z from 'zod'
import { bytesOf, escapedText } from './escapes.ts'

export const checksumKinds = ['none', 'xor', 'sum8', 'crc16-modbus', 'nmea'] as const
export const checksumSchema = z
  .strictObject({
    kind: z
      .enum(checksumKinds)
      .describe('xor and sum8: one byte; crc16-modbus: two; nmea: xor behind "*", without a leading "$" or "!"'),
    written: z.enum(['bytes', 'hex']).optional().describe('As raw bytes (default), or as hexadecimal digits'),
    after: escapedText(1, 16)
      .optional()
      .describe('Mark before the checksum, e.g. "*". Without it the checksum is the end of the frame'),
    from: z.int().min(0).max(4096).optional().describe('How many bytes at the start of the frame are not covered'),
    markCovered: z.boolean().optional().describe('Whether the mark of `after` is covered; default: no'),
    order: z
      .enum(['low-first', 'high-first'])
      .optional()
      .describe('Which byte of crc16-modbus comes first; default: low-first'),
    negated: z.boolean().optional().describe("sum8 as two's complement: all bytes and the sum add up to 0"),
    onCommands: z.boolean().default(false).describe('The commands that are sent get a checksum, too'),
  })
  .check(ctx => {
    const { kind, onCommands, ...rest } = ctx.value
    const problem = (key: string, message: string) =>
      ctx.issues.push({ code: 'custom', path: [key], input: ctx.value, message })
    const given = Object.keys(rest).filter(key => rest[key as keyof typeof rest] !== undefined)
    if (kind === 'nmea' || kind === 'none') {
      for (const key of given) problem(key, `does not go with ${kind}, which has a form of its own`)
    }
    if (rest.order !== undefined && kind !== 'crc16-modbus') problem('order', 'is only for crc16-modbus')
    if (rest.negated !== undefined && kind !== 'sum8') problem('negated', 'is only for sum8')
    if (rest.markCovered !== undefined && rest.after === undefined) problem('markCovered', 'needs `after`')
    if (kind === 'none' && onCommands) problem('onCommands', 'needs a kind of checksum')
  })
  .describe('How frames are protected. A frame whose checksum is wrong is a reject')
export type ChecksumOptions = z.output<typeof checksumSchema>

/** CRC-16 of Modbus: polynomial 0x8005 reflected, start 0xffff; the low byte goes first over the line. */
export const crc16Modbus = (bytes: Uint8Array): number => {
  let crc = 0xffff
  for (const byte of bytes) crc = (crc >>> 8) ^ (crcTable[(crc ^ byte) & 0xff] as number)
  return crc
}
const crcTable = Uint16Array.from({ length: 256 }, (_, i) => {
  let crc = i
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xa001 : crc >>> 1
  return crc
})
const xor = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => sum ^ byte, 0)
const sum8 = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => (sum + byte) & 0xff, 0)

export interface Checksum {
  /** What the frame holds without its checksum, or one sentence that says why it is refused. */
  open(frame: Uint8Array): { bytes: Uint8Array } | { problem: string }
  /** The frame with its checksum behind it. */
  close(frame: Uint8Array): Uint8Array
}

export const createChecksum = (options: ChecksumOptions): Checksum => {
  const { kind } = options
  if (kind === 'none') return { open: bytes => ({ bytes }), close: bytes => bytes }
  const isNmea = kind === 'nmea'
  const isHex = isNmea || options.written === 'hex'
  const mark = isNmea ? Buffer.from('*') : options.after === undefined ? Buffer.alloc(0) : bytesOf(options.after)
  const sumBytes = kind === 'crc16-modbus' ? 2 : 1
  const length = isHex ? sumBytes * 2 : sumBytes
  const firstOf = (frame: Uint8Array) =>
    isNmea ? (frame[0] === 0x24 || frame[0] === 0x21 ? 1 : 0) : (options.from ?? 0)

  const sumOf = (covered: Uint8Array): Buffer => {
    if (kind === 'crc16-modbus') {
      const sum = Buffer.alloc(2)
      const crc = crc16Modbus(covered)
      if (options.order === 'high-first') sum.writeUInt16BE(crc)
      else sum.writeUInt16LE(crc)
      return sum
    }
    const sum = kind === 'sum8' ? sum8(covered) : xor(covered)
    return Buffer.from([options.negated ? -sum & 0xff : sum])
  }
  const written = (sum: Buffer) => (isHex ? sum.toString('hex').toUpperCase() : sum)

  return {
    open(frame) {
      // A carriage return before the delimiter belongs to the line, not to its checksum.
      const all = Buffer.from(frame.buffer, frame.byteOffset, isHex ? trimmedLength(frame) : frame.length)
      const at = mark.length > 0 ? all.lastIndexOf(mark) : all.length - length
      const start = at + mark.length
      if (at < firstOf(all) || all.length - start !== length) {
        return { problem: `the frame has no checksum (${kind}) where one is expected: a part of it may be lost` }
      }
      const covered = all.subarray(firstOf(all), options.markCovered ? start : at)
      const seen = isHex ? all.toString('latin1', start) : all.subarray(start)
      const sum = sumOf(covered)
      const isSame = isHex ? String(seen).toUpperCase() === written(sum) : sum.equals(seen as Buffer)
      if (isSame) return { bytes: all.subarray(0, at) }
      const shown = isHex ? String(seen) : (seen as Buffer).toString('hex')
      return { problem: `the checksum (${kind}) says ${shown}, the bytes give ${sum.toString('hex').toUpperCase()}` }
    },
    close(frame) {
      const covered = Buffer.concat([frame.subarray(firstOf(frame)), options.markCovered ? mark : Buffer.alloc(0)])
      return Buffer.concat([frame, mark, Buffer.from(written(sumOf(covered)))])
    },
  }
}

const trimmedLength = (frame: Uint8Array): number => {
  let end = frame.length
  while (end > 0 && [9, 10, 13, 32].includes(frame[end - 1] as number)) end--
  return end
}
