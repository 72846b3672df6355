/**
 * The register map of a Modbus unit: what is read where, in how few requests, and what the answers mean.
 *
 *     registers ──► plan: reads of neighbours, one table each ──► bytes ──► values, holes and statuses of one row
 *
 * Addresses count from 0 on the wire. `at: 40001` is the first holding register in the notation of manuals. After "MODBUS
 * Application Protocol Specification V1.1b3" (modbus.org): registers are big-endian, at most 125 of them, or 2000 bits, a read.
 */
import { createScaling } from '@penstock/formats'
import { type Column, nameSchema, STATUS_COLUMN, STATUS_NOT_A_NUMBER } from '@penstock/frame'
import * as z from 'zod'

export const tables = ['coil', 'discrete', 'input', 'holding'] as const
export type Table = (typeof tables)[number]
const isBitTable = (table: Table) => table === 'coil' || table === 'discrete'
const addressSpace = 65_536

const address = z
  .int()
  .min(0)
  .max(addressSpace - 1)
const places = ([table, first]: readonly [Table, number]) => ({ table, address: first })
/** Five or six digits as manuals have them: the first digit says the table, the rest counts from 1. */
const fromManual = (at: number): { table: Table; address: number } | undefined => {
  const ranges = [
    ['discrete', 10_001, 19_999],
    ['input', 30_001, 39_999],
    ['holding', 40_001, 49_999],
    ['discrete', 100_001, 165_536],
    ['input', 300_001, 365_536],
    ['holding', 400_001, 465_536],
  ] as const
  const found = ranges.find(([, first, last]) => at >= first && at <= last)
  return found && places([found[0], at - found[1]])
}

const atSchema = z
  .union([
    z.int().refine(at => fromManual(at) !== undefined, {
      error: issue =>
        `${String(issue.input)} is no address as manuals write them (10001, 30001, 40001, 400001 …): give the table and the number from 0, e.g. {holding: 0}, {coil: 0}`,
    }),
    z.strictObject({ holding: address }),
    z.strictObject({ input: address }),
    z.strictObject({ coil: address }),
    z.strictObject({ discrete: address }),
  ])
  .describe(
    'Where: 40001 as in manuals (counts from 1), or the table and the address from 0 as on the wire: {holding: 0}, {input: 0}, {coil: 0}, {discrete: 0}',
  )
const placeOf = (at: z.output<typeof atSchema>): { table: Table; address: number } => {
  if (typeof at === 'number') return fromManual(at) ?? places(['holding', 0])
  return places(Object.entries(at)[0] as [Table, number])
}

const types = ['u16', 'i16', 'u32', 'i32', 'u64', 'i64', 'f32', 'f64', 'bool', 'bits', 'text'] as const
const lengths: Partial<Record<(typeof types)[number], number>> = { u32: 2, i32: 2, f32: 2, u64: 4, i64: 4, f64: 4 }
const columnName = nameSchema.refine(
  name => name !== STATUS_COLUMN,
  `the name "${STATUS_COLUMN}" is taken by the row status; choose another`,
)

export const registerSchema = z
  .strictObject({
    name: columnName.describe('Name of the column'),
    at: atSchema,
    type: z
      .enum(types)
      .optional()
      .describe('Default: u16; bool for coils and discrete inputs. bits: several columns of one register'),
    order: z
      .enum(['ABCD', 'CDAB', 'BADC', 'DCBA'])
      .default('ABCD')
      .describe('Order of the bytes: ABCD as the standard has it; CDAB: low word first; BADC, DCBA: bytes swapped'),
    registers: z.int().min(1).max(125).optional().describe('For text: how many registers it takes, two bytes each'),
    bit: z.int().min(0).max(15).optional().describe('For bool in a register: which bit, 0 is the lowest'),
    bits: z
      .record(z.string().regex(/^(\d|1[0-5])$/, 'expected a bit from 0 to 15'), columnName)
      .optional()
      .describe('For bits: the name of the column by the bit, e.g. {0: pump, 3: alarm}'),
    scale: z.number().optional().describe('The value is raw × scale + offset'),
    offset: z.number().optional(),
    unit: z.string().max(256).optional().describe('Physical unit'),
    as: z
      .enum(['float', 'int', 'text'])
      .optional()
      .describe('Type of the column. text keeps u64 and i64 beyond 2^53 exactly'),
    status: z
      .record(z.string(), z.string().min(1).max(64))
      .optional()
      .describe(
        'Sentinels: a raw value that stands for a state; it becomes a hole, and the row gets the status, e.g. {32767: overrange}',
      ),
  })
  .check(ctx => {
    for (const { key, message } of problemsOf(ctx.value)) {
      ctx.issues.push({ code: 'custom', path: [key], input: ctx.value, message })
    }
  })
export type RegisterOptions = z.output<typeof registerSchema>

const kindOf = ({ type, at }: Pick<RegisterOptions, 'type' | 'at'>) =>
  type ?? (isBitTable(placeOf(at).table) ? 'bool' : 'u16')
const lengthOf = (register: Pick<RegisterOptions, 'type' | 'at' | 'registers'>): number =>
  register.registers ?? lengths[kindOf(register)] ?? 1

function problemsOf(
  register: z.output<z.ZodObject<(typeof registerSchema)['shape']>>,
): { key: string; message: string }[] {
  const { at, scale, offset, bit, bits, registers, as } = register
  const problems: { key: string; message: string }[] = []
  const tell = (key: string, message: string) => problems.push({ key, message })
  const { table, address } = placeOf(at)
  const type = kindOf(register)
  const isBit = isBitTable(table)
  if (isBit && type !== 'bool') tell('type', `does not fit a ${table}, which is one bit: leave it out or say bool`)
  if (isBit && bit !== undefined) tell('bit', `does not fit a ${table}, which is one bit`)
  if (bit !== undefined && type !== 'bool') tell('bit', 'is only for type bool')
  if (!isBit && type === 'bool' && bit === undefined) tell('bit', 'is missing: say which bit of the register, from 0')
  if (type === 'bits' && !bits) tell('bits', 'is missing: name the columns by their bits, e.g. {0: pump}')
  if (type !== 'bits' && bits) tell('bits', 'is only for type bits')
  if (type === 'text' && registers === undefined) tell('registers', 'is missing: say how many registers the text takes')
  if (type !== 'text' && registers !== undefined) tell('registers', `is only for text; a ${type} has its own length`)
  const isNumber = !['bool', 'bits', 'text'].includes(type)
  if (!isNumber && (scale ?? offset) !== undefined)
    tell(scale === undefined ? 'offset' : 'scale', `does not fit type ${type}`)
  if (!isNumber && as !== undefined) tell('as', `does not fit type ${type}`)
  if (scale === 0) tell('scale', 'is 0: every value would be the same')
  if (as === 'int' && (scale ?? offset) !== undefined) tell('as', 'is int, but the value is scaled: leave it out')
  if (as === 'int' && (type === 'f32' || type === 'f64')) tell('as', `is int, but ${type} has fractions: leave it out`)
  if (as === 'text' && (scale ?? offset) !== undefined) tell('as', 'is text, but the value is scaled: leave it out')
  const end = address + lengthOf(register)
  if (end > addressSpace) tell('at', `the register ends at ${end}, beyond the last address ${addressSpace - 1}`)
  return problems
}

/** The first name that two columns share, if any. */
export const repeatedName = (registers: readonly RegisterOptions[]): string | undefined => {
  const names = registers.flatMap(register => (register.bits ? Object.values(register.bits) : register.name))
  return names.find((name, i) => names.indexOf(name) !== i)
}

/** A register as it is read: place, length in registers or bits, and what it makes of its bytes. */
export interface Register {
  table: Table
  address: number
  length: number
  columns: ColumnHead[]
  decode(bytes: Buffer, isSet: boolean): Decoded
}
export interface ColumnHead {
  name: string
  unit?: string
  type: 'float' | 'int' | 'bool' | 'text'
}
export type Value = number | boolean | string | null
interface Decoded {
  values: Value[]
  status?: string
  /** A number that no column can hold without rounding; its text is told, so that it is not lost. */
  problem?: { reason: string; text: string }
}

/** A number that a double would round. */
const STATUS_BEYOND_INT = 'beyond-2^53'

export const createRegister = (options: RegisterOptions): Register => {
  const place = placeOf(options.at)
  const head = (name: string, type: ColumnHead['type']): ColumnHead =>
    options.unit === undefined ? { name, type } : { name, type, unit: options.unit }
  const register = { ...place, length: lengthOf(options) }
  const type = kindOf(options)
  if (isBitTable(place.table)) {
    return { ...register, columns: [head(options.name, 'bool')], decode: (_, isSet) => ({ values: [isSet] }) }
  }
  if (type === 'bool' || type === 'bits') {
    const bits = type === 'bool' ? [[options.bit ?? 0, options.name] as const] : Object.entries(options.bits ?? {})
    const shifts = bits.map(([bit]) => Number(bit))
    const decode = (bytes: Buffer): Decoded => {
      const raw = ordered(bytes, options.order).readUInt16BE(0)
      return { values: shifts.map(bit => ((raw >> bit) & 1) === 1) }
    }
    return { ...register, columns: bits.map(([, name]) => head(name, 'bool')), decode }
  }
  if (type === 'text') {
    const decode = (bytes: Buffer): Decoded => {
      const text = ordered(bytes, options.order === 'BADC' || options.order === 'DCBA' ? 'BADC' : 'ABCD')
        .toString('latin1')
        .replace(/\0[\s\S]*$/, '')
        .trimEnd()
      const status = new Map(Object.entries(options.status ?? {})).get(text)
      if (status !== undefined) return { values: [null], status }
      return { values: [text === '' ? null : text] }
    }
    return { ...register, columns: [head(options.name, 'text')], decode }
  }
  const isScaled = options.scale !== undefined || options.offset !== undefined
  const own = isScaled || type.startsWith('f') ? 'float' : 'int'
  return {
    ...register,
    columns: [head(options.name, options.as ?? own)],
    decode: numberDecoder(options, type, isScaled),
  }
}

const numberDecoder = (options: RegisterOptions, type: string, isScaled: boolean) => {
  const { order, status = {}, as, name } = options
  const scale = isScaled ? createScaling(options) : undefined
  return (bytes: Buffer): Decoded => {
    const raw = readRaw(ordered(bytes, order), type)
    const text = String(raw)
    const meaning = Object.hasOwn(status, text) ? status[text] : undefined
    if (meaning !== undefined) return { values: [null], status: meaning }
    if (as === 'text') return { values: [text] }
    const value = Number(raw)
    if (typeof raw === 'bigint' && !Number.isSafeInteger(value)) {
      const reason = `register "${name}": ${text} is not a whole number below 2^53; with \`as: text\` it is kept exactly`
      return { values: [null], status: STATUS_BEYOND_INT, problem: { reason, text } }
    }
    if (!Number.isFinite(value)) return { values: [null], status: STATUS_NOT_A_NUMBER }
    return { values: [scale ? scale(value) : value] }
  }
}

const readRaw = (bytes: Buffer, type: string): number | bigint => {
  switch (type) {
    case 'i16':
      return bytes.readInt16BE(0)
    case 'u32':
      return bytes.readUInt32BE(0)
    case 'i32':
      return bytes.readInt32BE(0)
    case 'u64':
      return bytes.readBigUInt64BE(0)
    case 'i64':
      return bytes.readBigInt64BE(0)
    case 'f32':
      return bytes.readFloatBE(0)
    case 'f64':
      return bytes.readDoubleBE(0)
    default:
      return bytes.readUInt16BE(0)
  }
}

/** The bytes in the order of the standard, highest first. */
const ordered = (bytes: Buffer, order: RegisterOptions['order']): Buffer => {
  const copy = Buffer.from(bytes)
  if (order === 'BADC' || order === 'DCBA') copy.swap16()
  if (order === 'ABCD' || order === 'BADC') return copy
  const words = Array.from({ length: copy.length / 2 }, (_, i) => copy.subarray(i * 2, i * 2 + 2))
  return Buffer.concat(words.reverse())
}

/** One request: neighbours of one table. */
export interface Read {
  table: Table
  address: number
  /** Registers, or bits. */
  count: number
  registers: Register[]
}
export interface PlanLimits {
  /** Addresses that nobody asked for may be read along, so many between two that are. */
  gapMax: number
  registersMax: number
  bitsMax: number
}

/** The registers in as few reads as the limits allow. */
export const planReads = (registers: readonly Register[], limits: PlanLimits): Read[] => {
  const reads: Read[] = []
  const sorted = [...registers].sort(
    (a, b) => tables.indexOf(a.table) - tables.indexOf(b.table) || a.address - b.address,
  )
  for (const register of sorted) {
    const last = reads.at(-1)
    const end = register.address + register.length
    const countMax = isBitTable(register.table) ? limits.bitsMax : limits.registersMax
    const joins =
      last !== undefined &&
      last.table === register.table &&
      register.address - (last.address + last.count) <= limits.gapMax &&
      end - last.address <= countMax
    if (joins) {
      last.registers.push(register)
      last.count = Math.max(last.count, end - last.address)
    } else {
      reads.push({ table: register.table, address: register.address, count: register.length, registers: [register] })
    }
  }
  return reads
}

/** The read in two, where a unit refuses it as a whole: one address that it does not have must not cost the others. */
export const splitRead = (read: Read): Read[] => {
  const middle = Math.ceil(read.registers.length / 2)
  return [read.registers.slice(0, middle), read.registers.slice(middle)]
    .filter(registers => registers.length > 0)
    .map(registers => {
      const from = Math.min(...registers.map(r => r.address))
      const to = Math.max(...registers.map(r => r.address + r.length))
      return { table: read.table, address: from, count: to - from, registers }
    })
}

/** What one register amounts to in the answer to its read. `bytes` are as long as the read asked for. */
export const decodeRegister = (read: Read, register: Register, bytes: Buffer): Decoded => {
  const place = register.address - read.address
  if (isBitTable(read.table)) return register.decode(bytes, (((bytes[place >> 3] ?? 0) >> (place & 7)) & 1) === 1)
  return register.decode(bytes.subarray(place * 2, (place + register.length) * 2), false)
}
export const answerBytes = ({ table, count }: Pick<Read, 'table' | 'count'>): number =>
  isBitTable(table) ? Math.ceil(count / 8) : count * 2

/** As people know it: `holding 10 to 13`. */
export const readLabel = ({ table, address, count }: Pick<Read, 'table' | 'address' | 'count'>): string =>
  count === 1 ? `${table} ${address}` : `${table} ${address} to ${address + count - 1}`

/** The columns of one row. */
export const columnsOf = (heads: readonly ColumnHead[], values: readonly Value[], status: string | null): Column[] => {
  const columns = heads.map((head, i) => ({ ...head, values: [values[i] ?? null] }) as Column)
  return status === null ? columns : [...columns, { name: STATUS_COLUMN, type: 'text', values: [status] }]
}
