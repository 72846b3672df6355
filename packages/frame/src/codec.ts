/**
 * The wire form of an envelope: columnar JSON, gzip where it makes a body of more than 1 KiB smaller.
 *
 * Design constraints:
 * - People read it with `mosquitto_sub`; V8 parses it natively. The first two bytes tell gzip (1f 8b) from JSON ("{").
 * - Times are exact: `start` is ISO 8601 with up to 9 digits, offsets are whole ns below 2^53.
 * - Numbers are exact: the shortest decimal that reads back as the same double; −0 stays −0. A hole is null. What is no
 *   number (NaN, ±Infinity) becomes a hole whose row says so in its status.
 * - Whatever arrives, decoding ends within its limits: bytes, expansion, rows, columns, text.
 * - An unknown key is passed over, so that a newer sender can say more; another version (`v`) is refused.
 */
import { gunzipSync, gzipSync } from 'node:zlib'
import type * as z from 'zod'
import { WireError } from './errors.ts'
import {
  type Column,
  type Envelope,
  type Frame,
  type NumberColumn,
  type Receipt,
  type Recipe,
  type Reject,
  STATUS_COLUMN,
  STATUS_NOT_A_NUMBER,
  type Status,
} from './frame.ts'
import {
  LIMITS,
  receiptSchema,
  type recipeSchema,
  type rejectSchema,
  statusSchema,
  wireEnvelopeSchema,
  type wireFrameSchema,
} from './schema.ts'
import { formatNs, parseIsoNs } from './time.ts'

const gzipFromBytes = 1024

/** Encodes an envelope, once, for the spool, the wire and the journal. */
export const encodeEnvelope = (envelope: Envelope): Uint8Array => {
  const parts: string[] = ['{"v":1,"frames":[']
  envelope.frames.forEach((frame, i) => {
    if (i > 0) parts.push(',')
    pushFrame(parts, withStatuses(frame))
  })
  parts.push(']')
  if (envelope.rejects.length > 0) pushRejects(parts, envelope.rejects)
  if (envelope.ledger.length > 0) parts.push(',"ledger":', JSON.stringify(envelope.ledger))
  if (envelope.loss) parts.push(',"loss":', JSON.stringify(envelope.loss))
  parts.push('}')
  const plain = Buffer.from(parts.join(''), 'utf8')
  if (plain.length <= gzipFromBytes) return plain
  const packed = gzipSync(plain, { level: 1 })
  return packed.length < plain.length ? packed : plain
}

/** Each recipe once: a reject holds its position. */
const pushRejects = (parts: string[], rejects: readonly Reject[]): void => {
  const texts = new Map<string, number>()
  const known = new Map<Recipe, number | undefined>()
  const positionOf = (recipe: Recipe): number | undefined => {
    if (known.has(recipe)) return known.get(recipe)
    const text = JSON.stringify(recipe)
    const room = texts.size < LIMITS.recipesPerEnvelopeMax
    const position = texts.get(text) ?? (room ? texts.size : undefined)
    if (position !== undefined) texts.set(text, position)
    known.set(recipe, position)
    return position
  }
  const list = rejects.map(({ recipe, ...reject }) => ({ ...reject, ...(recipe && { recipe: positionOf(recipe) }) }))
  parts.push(',"rejects":', JSON.stringify(list))
  if (texts.size > 0) parts.push(',"recipes":[', [...texts.keys()].join(','), ']')
}

const withRecipe = (
  { recipe, ...reject }: z.output<typeof rejectSchema>,
  recipes: readonly z.output<typeof recipeSchema>[],
  at: string,
): Reject => {
  if (recipe === undefined) return reject as Reject
  const found = recipes[recipe]
  if (!found) throw new WireError(`${at}.recipe: there is no recipe ${recipe}`)
  return { ...reject, recipe: found } as Reject
}

const pushFrame = (parts: string[], frame: Frame): void => {
  parts.push(
    '{"site":', JSON.stringify(frame.site),
    ',"device":', JSON.stringify(frame.device),
    ',"stream":', JSON.stringify(frame.stream),
    ',"start":"', formatNs(frame.startNs), '"',
  ) // biome-ignore format: keys beside their values
  const every = evenStep(frame.offsetsNs)
  if (every !== undefined) parts.push(`,"every":${every},"rows":${frame.offsetsNs.length}`)
  else parts.push(',"offsets":[', frame.offsetsNs.join(','), ']')
  parts.push(',"columns":[')
  frame.columns.forEach((column, i) => {
    parts.push(i > 0 ? ',{"name":' : '{"name":', JSON.stringify(column.name))
    if (column.unit !== undefined) parts.push(',"unit":', JSON.stringify(column.unit))
    parts.push(`,"type":"${column.type}"`)
    if (column.type === 'vector' && column.axis) parts.push(',"axis":[', numbersText(column.axis), ']')
    parts.push(',"values":[', valuesText(column), ']}')
  })
  parts.push(']')
  if (frame.origin) parts.push(',"origin":', JSON.stringify(frame.origin))
  parts.push('}')
}

/** The step of evenly spaced offsets that begin at 0, from two rows on. */
const evenStep = (offsets: Float64Array): number | undefined => {
  const step = offsets[1]
  if (step === undefined || offsets[0] !== 0) return undefined
  for (let i = 2; i < offsets.length; i++) if (offsets[i] !== i * step) return undefined
  return Number.isSafeInteger(step * offsets.length) ? step : undefined
}

const valuesText = (column: Column): string => {
  switch (column.type) {
    case 'float':
    case 'int':
      return numbersText(column.values)
    case 'vector':
      return column.values.map(curve => `[${numbersText(curve)}]`).join(',')
    default:
      return JSON.stringify(column.values).slice(1, -1)
  }
}

const numbersText = (values: ArrayLike<number | null>): string => {
  const n = values.length
  let plain = values instanceof Float64Array
  for (let i = 0; plain && i < n; i++) {
    const v = values[i] as number
    plain = Number.isFinite(v) && !Object.is(v, -0)
  }
  if (plain) return (values as Float64Array).join(',')
  const texts = new Array<string>(n)
  for (let i = 0; i < n; i++) {
    const v = values[i]
    texts[i] = v === null || v === undefined || !Number.isFinite(v) ? 'null' : Object.is(v, -0) ? '-0' : `${v}`
  }
  return texts.join(',')
}

/** The frame with a status for each row that holds an infinity or, in a plain array, a NaN; the frame itself where none does. */
export const withStatuses = (frame: Frame): Frame => {
  let statuses: (string | null)[] | undefined
  for (const column of frame.columns) {
    if (column.type !== 'float' && column.type !== 'int') continue
    const typed = column.values instanceof Float64Array
    for (let i = 0; i < column.values.length; i++) {
      const v = column.values[i]
      if (v === null || v === undefined || Number.isFinite(v) || (typed && Number.isNaN(v))) continue
      if (!statuses) {
        const had = frame.columns.find(c => c.name === STATUS_COLUMN)
        statuses = had?.type === 'text' ? [...had.values] : new Array<null>(frame.offsetsNs.length).fill(null)
      }
      statuses[i] ??= STATUS_NOT_A_NUMBER
    }
  }
  if (!statuses) return frame
  const columns = frame.columns.filter(c => c.name !== STATUS_COLUMN)
  columns.push({ name: STATUS_COLUMN, type: 'text', values: statuses })
  return { ...frame, columns }
}

export interface DecodeLimits {
  bytesMax: number
  expandedBytesMax: number
}
const defaultLimits: DecodeLimits = {
  bytesMax: LIMITS.envelopeBytesMax,
  expandedBytesMax: LIMITS.envelopeExpandedBytesMax,
}

/** Decodes and checks an envelope. Throws a WireError, with one clear sentence, for anything that breaks the contract. */
export const decodeEnvelope = (body: Uint8Array, limits = defaultLimits): Envelope => {
  const parsed = check(wireEnvelopeSchema, parseJson(expand(body, limits)), 'envelope')
  let rows = 0
  const frames = parsed.frames.map((wire, i) => {
    const frame = decodeFrame(wire, `frames[${i}]`, LIMITS.rowsPerEnvelopeMax - rows)
    rows += frame.offsetsNs.length
    return frame
  })
  return {
    frames,
    rejects: parsed.rejects.map((reject, i) => withRecipe(reject, parsed.recipes, `rejects[${i}]`)),
    ledger: parsed.ledger as Envelope['ledger'],
    ...(parsed.loss && { loss: parsed.loss }),
  }
}

const expand = (body: Uint8Array, limits: DecodeLimits): Uint8Array => {
  if (body.length > limits.bytesMax) {
    throw new WireError(`the body has ${body.length} bytes, more than the ${limits.bytesMax} allowed`)
  }
  return expandGzip(body, limits.expandedBytesMax)
}

/** The bytes themselves where they are no gzip (1f 8b). Throws a WireError where they are broken or grow beyond the limit. */
export const expandGzip = (body: Uint8Array, expandedBytesMax: number): Uint8Array => {
  if (body[0] !== 0x1f || body[1] !== 0x8b) return body
  try {
    return gunzipSync(body, { maxOutputLength: expandedBytesMax })
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    const why = code === 'ERR_BUFFER_TOO_LARGE' ? `expands to more than ${expandedBytesMax} bytes` : 'is not whole gzip'
    throw new WireError(`the body ${why}`, { cause })
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
const parseJson = (bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(utf8.decode(bytes))
  } catch (cause) {
    throw new WireError('the body is not JSON in UTF-8', { cause })
  }
}

const check = <T extends z.ZodType>(schema: T, value: unknown, what: string): z.output<T> => {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw new WireError(`${what}: ${pathText(issue?.path ?? [])}${issue?.message ?? 'is not as expected'}`)
}
const pathText = (path: PropertyKey[]): string => {
  let text = ''
  for (const key of path) text += typeof key === 'number' ? `[${key}]` : text === '' ? String(key) : `.${String(key)}`
  return text === '' ? '' : `${text}: `
}

const decodeFrame = (wire: z.output<typeof wireFrameSchema>, at: string, rowsMax: number): Frame => {
  const startNs = parseIsoNs(wire.start)
  if (startNs === undefined) throw new WireError(`${at}.start: is not a time`)
  const rows = wire.offsets?.length ?? wire.rows
  if (rows === undefined || (wire.offsets === undefined && rows > 0 && wire.every === undefined)) {
    throw new WireError(`${at}: has neither offsets nor every and rows`)
  }
  if (rows > rowsMax) throw new WireError(`${at}: the envelope has more than ${LIMITS.rowsPerEnvelopeMax} rows`)
  const offsetsNs = new Float64Array(rows)
  for (let i = 0; i < rows; i++) {
    const v = wire.offsets ? wire.offsets[i] : i * (wire.every ?? 0)
    if (!Number.isSafeInteger(v)) throw new WireError(`${at}.offsets[${i}]: is not a whole number below 2^53`)
    offsetsNs[i] = v as number
  }
  const names = new Set<string>()
  const columns = wire.columns.map((column, i): Column => {
    const where = `${at}.columns[${i}]`
    if (column.values.length !== rows) {
      throw new WireError(`${where}: has ${column.values.length} values for ${rows} rows`)
    }
    if (names.has(column.name)) throw new WireError(`${where}: a second column "${column.name}"`)
    names.add(column.name)
    return decodeColumn(column, where)
  })
  const status = columns.find(c => c.name === STATUS_COLUMN)
  if (status && status.type !== 'text') throw new WireError(`${at}: the column "${STATUS_COLUMN}" is not of type text`)
  return {
    site: wire.site,
    device: wire.device,
    stream: wire.stream,
    startNs,
    offsetsNs,
    columns,
    ...(wire.origin && { origin: wire.origin as NonNullable<Frame['origin']> }),
  }
}

type WireColumn = z.output<typeof wireFrameSchema>['columns'][number]
const decodeColumn = (column: WireColumn, at: string): Column => {
  const head = column.unit === undefined ? { name: column.name } : { name: column.name, unit: column.unit }
  switch (column.type) {
    case 'float':
    case 'int':
      return { ...head, type: column.type, values: decodeNumbers(column.values, at, column.type) }
    case 'bool':
      column.values.forEach((v, i) => {
        if (v !== null && typeof v !== 'boolean')
          throw new WireError(`${at}.values[${i}]: is neither true, false nor null`)
      })
      return { ...head, type: 'bool', values: column.values as (boolean | null)[] }
    case 'text':
      column.values.forEach((v, i) => {
        if (v === null) return
        if (typeof v !== 'string') throw new WireError(`${at}.values[${i}]: is neither text nor null`)
        if (v.length > LIMITS.textCharsMax) {
          throw new WireError(`${at}.values[${i}]: has more than ${LIMITS.textCharsMax} characters`)
        }
      })
      return { ...head, type: 'text', values: column.values as (string | null)[] }
    case 'vector': {
      const values = column.values.map((curve, i) => {
        if (!Array.isArray(curve)) throw new WireError(`${at}.values[${i}]: is not an array`)
        if (curve.length > LIMITS.vectorLengthMax) {
          throw new WireError(`${at}.values[${i}]: has more than ${LIMITS.vectorLengthMax} numbers`)
        }
        return decodeNumbers(curve, `${at}.values[${i}]`, 'float')
      })
      if (!column.axis) return { ...head, type: 'vector', values }
      return { ...head, type: 'vector', values, axis: decodeNumbers(column.axis, `${at}.axis`, 'float') }
    }
  }
}

const decodeNumbers = (values: unknown[], at: string, type: NumberColumn['type']): Float64Array => {
  const numbers = new Float64Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const v = values[i]
    if (v === null) numbers[i] = Number.NaN
    else if (typeof v === 'number' && Number.isFinite(v) && (type === 'float' || Number.isSafeInteger(v)))
      numbers[i] = v
    else
      throw new WireError(
        `${at}[${i}]: is neither a finite ${type === 'int' ? 'whole number below 2^53' : 'number'} nor null`,
      )
  }
  return numbers
}

const smallBodyBytesMax = 1024 * 1024
const decodeSmall = <T extends z.ZodType>(schema: T, body: Uint8Array, what: string): z.output<T> => {
  if (body.length > smallBodyBytesMax) throw new WireError(`the ${what} has more than ${smallBodyBytesMax} bytes`)
  return check(schema, parseJson(body), what)
}
export const encodeReceipt = (receipt: Receipt): Uint8Array => Buffer.from(JSON.stringify(receipt))
export const decodeReceipt = (body: Uint8Array): Receipt => decodeSmall(receiptSchema, body, 'receipt') as Receipt
export const encodeStatus = (status: Status): Uint8Array => Buffer.from(JSON.stringify(status))
export const decodeStatus = (body: Uint8Array): Status => decodeSmall(statusSchema, body, 'status') as Status
