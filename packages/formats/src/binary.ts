/**
 * Records of a fixed length, each field at its place: what instruments send that do not speak text, and raw logs of such.
 *
 *     aa 55 | 00 d7 | 41 a4 00 00 | 3f      at: 2 type: u16 order: big · at: 4 type: f32 order: big · …
 *
 * A record that holds something impossible is a reject whose text is its bytes in hexadecimal.
 */
import { LIMITS, type Reject, STATUS_COLUMN } from '@penstock/frame'
import * as z from 'zod'
import { createCells, setTexts } from './cells.ts'
import type { Checkpoint, Decoded, Decoder, DecoderContext, Resume } from './decoder.ts'
import { fieldsOf, sameTimeSchema, tagsSchema, timeSchema } from './options.ts'
import { createRowReader, type RowReader } from './row.ts'
import { createScaling } from './scaling.ts'
import { originOf, type RowPlace } from './series.ts'

const widths = { u8: 1, i8: 1, u16: 2, i16: 2, u24: 3, i24: 3, u32: 4, i32: 4, u64: 8, i64: 8, f32: 4, f64: 8 } as const
const recordBytesMax = 65_536

const fieldSchema = z
  .strictObject({
    name: z
      .string()
      .min(1)
      .max(LIMITS.nameCharsMax)
      .refine(name => name !== STATUS_COLUMN, `the name "${STATUS_COLUMN}" is taken by the row status; choose another`),
    at: z
      .int()
      .min(0)
      .max(recordBytesMax - 1)
      .describe('First byte of the field, from 0'),
    type: z
      .enum(['u8', 'i8', 'u16', 'i16', 'u24', 'i24', 'u32', 'i32', 'u64', 'i64', 'f32', 'f64', 'bcd', 'ascii', 'bool'])
      .describe('u, i, f: unsigned, signed, IEEE 754, with their bits; bcd: two decimal digits a byte; bool: one bit'),
    bytes: z.int().min(1).max(4096).optional().describe('Length of bcd (at most 8) and ascii'),
    bit: z.int().min(0).max(7).optional().describe('For bool: which bit of the byte, 0 is the lowest; default 0'),
    order: z.enum(['little', 'big']).optional().describe('Byte order, where it differs from that of the record'),
    scale: z.number().optional().describe('The value is raw × scale + offset'),
    offset: z.number().optional(),
    unit: z.string().max(256).optional(),
    as: z
      .enum(['float', 'int', 'bool', 'text'])
      .optional()
      .describe('Type of the column. Default: int, float where scaled or IEEE, text for ascii. u64 beyond 2^53: text'),
    status: z
      .record(z.string(), z.string().min(1).max(64))
      .optional()
      .describe(
        'Sentinels: a raw value that stands for a state; it becomes a hole, and the row gets the status, e.g. {65535: overrange}',
      ),
    required: z.boolean().optional().describe('A hole makes the record a reject'),
    keep: z.boolean().default(true).describe('false: read for time or tags only'),
  })
  .check(ctx => {
    const { type, bytes, scale, offset, bit } = ctx.value
    const problem = (key: string, message: string) =>
      ctx.issues.push({ code: 'custom', path: [key], input: ctx.value, message })
    const hasLength = type === 'bcd' || type === 'ascii'
    if (hasLength && bytes === undefined) problem('bytes', `is missing: say how many bytes this ${type} field has`)
    if (!hasLength && bytes !== undefined) problem('bytes', `is only for bcd and ascii; a ${type} has its own length`)
    if (type === 'bcd' && (bytes ?? 0) > 8) problem('bytes', 'is too large: a bcd field has at most 8 bytes')
    if (bit !== undefined && type !== 'bool') problem('bit', 'is only for type bool')
    if ((type === 'ascii' || type === 'bool') && (scale ?? offset) !== undefined) {
      problem(scale === undefined ? 'offset' : 'scale', `does not fit type ${type}`)
    }
    if (scale === 0) problem('scale', 'is 0: every value would be the same')
  })
type Field = z.output<typeof fieldSchema>
const widthOf = ({ type, bytes }: Field): number =>
  type === 'bcd' || type === 'ascii' ? (bytes ?? 1) : type === 'bool' ? 1 : widths[type]

export const binarySchema = z
  .strictObject({
    kind: z.literal('binary'),
    recordBytes: z.int().min(1).max(recordBytesMax).describe('Length of every record, checksum and marks not counted'),
    order: z.enum(['little', 'big']).default('little').describe('Byte order of the fields'),
    fields: z.array(fieldSchema).min(1).max(1024).describe('What stands where in the record'),
    time: timeSchema.optional().describe('The fields that hold the time. Without it: the time of arrival'),
    tags: tagsSchema.optional(),
    sameTime: sameTimeSchema.default('replace'),
  })
  .check(ctx => {
    const { fields, recordBytes } = ctx.value
    const seen = new Set<string>()
    for (const [i, field] of fields.entries()) {
      const problem = (key: string, message: string) =>
        ctx.issues.push({ code: 'custom', path: ['fields', i, key], input: field, message })
      if (seen.has(field.name)) problem('name', `a second field "${field.name}"`)
      seen.add(field.name)
      const end = field.at + widthOf(field)
      if (end > recordBytes) problem('at', `the field ends at byte ${end}, the record at ${recordBytes}`)
    }
    for (const { path, ref } of fieldsOf({ time: ctx.value.time, tags: ctx.value.tags })) {
      if (typeof ref === 'number' ? ref <= fields.length : seen.has(ref)) continue
      const message = `there is no field "${ref}"; the fields are ${[...seen].join(', ').slice(0, 400)}`
      ctx.issues.push({ code: 'custom', path, input: ref, message })
    }
  })
  .describe('Binary records of a fixed length')
export type BinaryOptions = z.output<typeof binarySchema>

export const createBinary = (options: BinaryOptions, context: DecoderContext, resume?: Resume): Decoder => {
  const { recordBytes, fields } = options
  const readers = fields.map(field => createFieldReader(field, options.order))
  const used = new Set(fieldsOf({ time: options.time, tags: options.tags }).map(({ ref }) => ref))
  const columns = fields.filter((field, i) => field.keep && !used.has(field.name) && !used.has(i + 1)).map(columnOf)
  const names = fields.map(field => field.name)
  const rowOptions = { ...options, columns, nullTexts: [''], decimal: '.' as const }
  const restored = resume?.checkpoint.state
  const made = createRowReader(rowOptions, context, 'binary', names, undefined, names.length, restored)
  const cells = createCells('utf-8')
  let offset = resume?.checkpoint.offset ?? 0
  let records = resume?.checkpoint.line ?? 0

  const quick = typeof made === 'string' ? undefined : createQuickReader(options, made)
  const readRecord = (record: Buffer, place: RowPlace, atNs: bigint | undefined): string | undefined => {
    if (typeof made === 'string') return made
    if (quick?.(record)) {
      if (made.otherFields.length > 0) {
        const texts: string[] = new Array(fields.length).fill('')
        for (const field of made.otherFields) {
          const found = (readers[field] as FieldReader)(record)
          if (typeof found !== 'string') return found.problem
          texts[field] = found
        }
        setTexts(cells, texts)
      }
      return made.finish(cells, place, atNs)
    }
    const texts: string[] = []
    for (const read of readers) {
      const found = read(record)
      if (typeof found !== 'string') return found.problem
      texts.push(found)
    }
    setTexts(cells, texts)
    return made.readNumbers(cells) ?? made.finish(cells, place, atNs)
  }

  const push = (bytes: Uint8Array, last: boolean, atNs?: bigint): Decoded => {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    const rejects: Reject[] = []
    let rowsRead = 0
    let p = 0
    while (p + recordBytes <= view.length || (last && p < view.length)) {
      const record = view.subarray(p, Math.min(p + recordBytes, view.length))
      records++
      rowsRead++
      const place = {
        firstLine: records,
        lastLine: records,
        firstByte: offset + p,
        lastByte: offset + p + record.length,
      }
      const reason =
        record.length < recordBytes
          ? `the record has ${record.length} bytes, ${recordBytes} are expected`
          : readRecord(record, place, atNs)
      if (reason !== undefined) {
        rejects.push({ origin: originOf(context, 'binary', place), reason, text: hexText(record) })
      }
      p += record.length
    }
    offset += p
    const frames = typeof made === 'string' ? [] : made.sink.flush()
    return { frames, rejects, used: p, rowsRead, rowsRejected: rejects.length }
  }

  const checkpoint = (): Checkpoint => ({
    offset,
    headBytes: 0,
    line: records,
    state: typeof made === 'string' ? [] : made.sink.state(),
  })
  return { push, checkpoint }
}

/**
 * Fills the numbers of a record without making text of them. Returns whether it could: a sentinel, a number that a column
 * cannot hold and one that is none take the way through text, which knows what to say.
 */
const createQuickReader = ({ fields, order }: BinaryOptions, rows: RowReader) => {
  const { numbers, numberFields } = rows
  const readers = numberFields.map(({ field }) => createQuickField(fields[field] as Field, order))
  return (record: Buffer): boolean => {
    for (let k = 0; k < readers.length; k++) {
      const value = (readers[k] as (record: Buffer) => number)(record)
      if (!Number.isFinite(value)) return false
      numbers[k] = value
    }
    return true
  }
}

/** The scaled value, or NaN where it needs a closer look. */
const createQuickField = (field: Field, order: 'little' | 'big'): ((record: Buffer) => number) => {
  const { at, type, status = {} } = field
  const isLittle = (field.order ?? order) === 'little'
  const sentinels = Object.keys(status).map(Number)
  const scale = isScaled(field) ? createScaling(field) : undefined
  const raw = createQuickRaw(type, at, isLittle)
  if (!raw) return () => Number.NaN
  const isFloat = type === 'f32' || type === 'f64'
  return record => {
    const value = raw(record)
    if (sentinels.includes(value) || (!isFloat && !Number.isSafeInteger(value))) return Number.NaN
    if (isFloat && field.as === 'int') return Number.NaN
    return scale ? scale(value) : value
  }
}

const createQuickRaw = (type: Field['type'], at: number, isLittle: boolean) => {
  if (type === 'ascii' || type === 'bool' || type === 'bcd') return undefined
  if (type === 'f32') return (r: Buffer) => (isLittle ? r.readFloatLE(at) : r.readFloatBE(at))
  if (type === 'f64') return (r: Buffer) => (isLittle ? r.readDoubleLE(at) : r.readDoubleBE(at))
  if (type === 'u64' || type === 'i64') {
    const low = isLittle ? at : at + 4
    const high = isLittle ? at + 4 : at
    return (r: Buffer) => {
      const lowPart = isLittle ? r.readUInt32LE(low) : r.readUInt32BE(low)
      if (type === 'u64') return (isLittle ? r.readUInt32LE(high) : r.readUInt32BE(high)) * 2 ** 32 + lowPart
      return (isLittle ? r.readInt32LE(high) : r.readInt32BE(high)) * 2 ** 32 + lowPart
    }
  }
  const width = widths[type]
  if (type.startsWith('u')) return (r: Buffer) => (isLittle ? r.readUIntLE(at, width) : r.readUIntBE(at, width))
  return (r: Buffer) => (isLittle ? r.readIntLE(at, width) : r.readIntBE(at, width))
}

/** Bytes as people compare them with a manual: `aa 55 00`, cut at the length that a reject may have. */
const hexText = (bytes: Buffer): string =>
  (
    bytes
      .subarray(0, LIMITS.rejectTextCharsMax / 3)
      .toString('hex')
      .match(/../g) ?? []
  ).join(' ')

/** In a cell, a raw value with a meaning of its own: no number looks like this. */
const sentinelText = (raw: string): string => `!${raw}`

const columnOf = (field: Field) => {
  const { name, type, unit, required, status = {} } = field
  const isWhole = type === 'bcd' || /^[iu]/.test(type)
  const own = type === 'ascii' ? 'text' : type === 'bool' ? 'bool' : isWhole && !isScaled(field) ? 'int' : 'float'
  return {
    name,
    type: field.as ?? own,
    ...(unit !== undefined && { unit }),
    ...(required !== undefined && { required }),
    status: Object.fromEntries(Object.entries(status).map(([raw, text]) => [sentinelText(raw), text])),
  } as const
}
const isScaled = ({ scale, offset }: Field): boolean => scale !== undefined || offset !== undefined

type FieldReader = (record: Buffer) => string | { problem: string }

const createFieldReader = (field: Field, order: 'little' | 'big'): FieldReader => {
  const raw = createRawReader(field, (field.order ?? order) === 'little')
  const { status = {}, name } = field
  const scale = isScaled(field) ? createScaling(field) : undefined
  return record => {
    const text = raw(record)
    if (typeof text !== 'string') return text
    if (Object.hasOwn(status, text)) return sentinelText(text)
    if (!scale) return text
    const value = Number(text)
    // Beyond 2^53 a double would round what the instrument said.
    if (/^-?\d+$/.test(text) && !Number.isSafeInteger(value)) {
      return { problem: `field "${name}": ${text} is not a whole number below 2^53 and cannot be scaled exactly` }
    }
    return String(scale(value))
  }
}

const createRawReader = ({ name, type, at, bytes = 1, bit = 0, as }: Field, isLittle: boolean): FieldReader => {
  switch (type) {
    case 'ascii':
      return record => record.toString('latin1', at, at + bytes).replace(/[\0 ]+$/, '')
    case 'bool':
      return record => String(((record[at] ?? 0) >> bit) & 1)
    case 'bcd':
      return record => {
        const part = Buffer.from(record.subarray(at, at + bytes))
        const digits = (isLittle ? part.reverse() : part).toString('hex')
        // As text it keeps its leading zeros: serial numbers.
        if (/^\d+$/.test(digits)) return as === 'text' ? digits : String(BigInt(digits))
        return { problem: `field "${name}": ${digits} is not decimal (bcd)` }
      }
    case 'f32':
      return record => String(isLittle ? record.readFloatLE(at) : record.readFloatBE(at))
    case 'f64':
      return record => String(isLittle ? record.readDoubleLE(at) : record.readDoubleBE(at))
    case 'u64':
      return record => String(isLittle ? record.readBigUInt64LE(at) : record.readBigUInt64BE(at))
    case 'i64':
      return record => String(isLittle ? record.readBigInt64LE(at) : record.readBigInt64BE(at))
    default: {
      const width = widths[type]
      if (type.startsWith('u')) {
        return record => String(isLittle ? record.readUIntLE(at, width) : record.readUIntBE(at, width))
      }
      return record => String(isLittle ? record.readIntLE(at, width) : record.readIntBE(at, width))
    }
  }
}
