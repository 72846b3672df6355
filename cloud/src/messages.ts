/**
 * What a plain device's message says: a JSON object (each member a column), an array of them, a JSON value, or bare text.
 * Members of objects within are named `outer.inner`. What cannot be read is a reject; the rest of the message is stored.
 */
import { type Frame, LIMITS, parseIsoNs, type Reject } from '@penstock/frame'
import * as z from 'zod'
import { type Cell, columnName, createFrameRows, fitName, type Series } from './frame-rows.ts'
import { parseLines } from './line-protocol.ts'

const key = z.string().min(1).max(256)
const units = { s: 1_000_000_000n, ms: 1_000_000n, us: 1000n, ns: 1n } as const

export const messageFormSchema = z.strictObject({
  payload: z
    .enum(['auto', 'json', 'value', 'line-protocol'])
    .default('auto')
    .describe('auto: JSON where it is JSON, else a bare number, true, false or text'),
  column: key.default('value').describe('Column of a payload that is a value and no object'),
  columns: z.array(key).max(4096).optional().describe('Members that are stored; all of them where left out'),
  time: z
    .union([
      z.literal('arrival'),
      z.strictObject({
        key: key.default('time'),
        unit: z.enum(['iso', 's', 'ms', 'us', 'ns']).default('iso').describe('ISO 8601 with offset, or Unix time'),
      }),
    ])
    .prefault({})
    .describe('The member that says when; without it, and with `arrival`, a reading has the time at which it came'),
  precision: z.enum(['ns', 'us', 'ms', 's']).default('ns').describe('Unit of timestamps in line protocol'),
})
export type MessageForm = z.output<typeof messageFormSchema>

export const MESSAGE_LIMITS = { readingsMax: 10_000, depthMax: 8 } as const

/** Pure and total. `source` says in rejects where the bytes came from. */
export const decodeMessage = (
  { series, form, source }: { series: Series; form: MessageForm; source: string },
  bytes: Uint8Array,
  arrivalNs: bigint,
): { frames: Frame[]; rejects: Reject[] } => {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  const rejects: Reject[] = []
  const at = new Date(Number(arrivalNs / 1_000_000n)).toISOString()
  const reject = (reason: string, what = text) => {
    rejects.push({
      origin: { source: fitName(source) },
      reason: reason.slice(0, LIMITS.reasonCharsMax),
      text: what.slice(0, LIMITS.rejectTextCharsMax),
      at,
    })
  }
  const rows = createFrameRows()
  const readings = readingsOf(text, form)
  if (typeof readings === 'string') reject(readings)
  else if (readings.length > MESSAGE_LIMITS.readingsMax)
    reject(`holds more than ${MESSAGE_LIMITS.readingsMax} readings`)
  else {
    for (const reading of readings) {
      const { ns, cells, problems } = readOne(reading, form)
      for (const problem of problems) reject(problem, JSON.stringify(reading))
      if (cells.length > 0) rows.add(series, ns ?? arrivalNs, cells, ns === undefined ? 'shift' : 'replace')
    }
  }
  return { frames: rows.frames(), rejects }
}

/** Whether every reading says itself when it was: then taking the message again changes nothing. */
export const saysItsTime = (bytes: Uint8Array, form: MessageForm): boolean => {
  if (form.payload === 'line-protocol') {
    for (const point of parseLines(bytes)) if (!('reason' in point) && point.timestamp === undefined) return false
    return true
  }
  const { time } = form
  if (time === 'arrival') return false
  const readings = readingsOf(Buffer.from(bytes).toString('utf8'), form)
  return (
    typeof readings !== 'string' &&
    readings.every(r => r !== null && typeof r === 'object' && !Array.isArray(r) && (r[time.key] ?? null) !== null)
  )
}

type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue }

/** The readings as JSON values, or what is wrong. */
const readingsOf = (text: string, { payload }: MessageForm): JsonValue[] | string => {
  if (payload === 'value') return [bareValue(text)]
  let value: JsonValue
  try {
    value = JSON.parse(text) as JsonValue
  } catch {
    // What begins as an object or a list was meant to be one.
    if (payload === 'json' || /^\s*[[{]/.test(text)) return 'the payload is not JSON'
    return [bareValue(text)]
  }
  if (!Array.isArray(value)) return [value]
  return value.length === 0 ? 'the payload is an empty list' : value
}

const numberPattern = /^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$/
const bareValue = (text: string): JsonValue => {
  const bare = text.trim()
  if (numberPattern.test(bare)) return Number(bare)
  return bare === 'true' ? true : bare === 'false' ? false : bare
}

interface OneReading {
  /** undefined: when it came. */
  ns?: bigint
  cells: Cell[]
  problems: string[]
}
const readOne = (reading: JsonValue, form: MessageForm): OneReading => {
  const cells: Cell[] = []
  const problems: string[] = []
  const take = (name: string, value: JsonValue, depth: number): void => {
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
      if (depth === MESSAGE_LIMITS.depthMax)
        problems.push(`${name}: objects lie deeper than ${MESSAGE_LIMITS.depthMax}`)
      else for (const [inner, v] of Object.entries(value)) take(`${name}.${inner}`, v, depth + 1)
      return
    }
    if (form.columns && !form.columns.includes(name)) return
    const cell = cellOf(columnName(name), value)
    if (typeof cell === 'string') problems.push(`${name}: ${cell}`)
    else if (cell && !cells.some(c => c.name === cell.name)) cells.push(cell)
  }
  if (reading === null || typeof reading !== 'object' || Array.isArray(reading)) {
    take(form.column, reading, 0)
    if (reading === null) problems.push('the payload is null')
    return { cells, problems }
  }
  const { time } = form
  const timeKey = time === 'arrival' ? undefined : time.key
  const when = timeKey === undefined ? undefined : reading[timeKey]
  for (const [name, value] of Object.entries(reading)) if (name !== timeKey) take(name, value, 1)
  if (cells.length === 0 && problems.length === 0) problems.push('holds no value')
  if (time === 'arrival' || when === undefined || when === null) return { cells, problems }
  const ns = timeOf(when, time.unit)
  // A reading of an unknown time is not one of now.
  if (ns === undefined)
    return {
      cells: [],
      problems: [`${time.key}: expected ${expected(time.unit)}, got ${JSON.stringify(when).slice(0, 60)}`],
    }
  return { ns, cells, problems }
}

const expected = (unit: 'iso' | keyof typeof units): string =>
  unit === 'iso' ? 'a time such as 2026-03-01T12:00:00Z' : `Unix time in ${unit}, years 1677 to 2262`

const nsMax = 2n ** 63n - 1n
const timeOf = (value: JsonValue, unit: 'iso' | keyof typeof units): bigint | undefined => {
  let ns: bigint | undefined
  if (unit === 'iso') ns = typeof value === 'string' ? parseIsoNs(value) : undefined
  else if (typeof value === 'string' && /^-?\d{1,20}$/.test(value)) ns = BigInt(value) * units[unit]
  else if (typeof value === 'number' && Number.isSafeInteger(value)) ns = BigInt(value) * units[unit]
  else if (typeof value === 'number' && Number.isFinite(value)) {
    // A double holds today's time down to the µs; what lies below is not what anybody measured.
    const us = value * (Number(units[unit]) / 1000)
    ns = Number.isFinite(us) ? BigInt(Math.round(us)) * 1000n : undefined
  }
  return ns !== undefined && ns <= nsMax && ns >= -nsMax ? ns : undefined
}

const cellOf = (name: string, value: Exclude<JsonValue, { [key: string]: JsonValue }>): Cell | string | undefined => {
  switch (typeof value) {
    case 'number':
      return Number.isFinite(value) ? { name, kind: 'float', value } : 'is larger than a 64-bit float'
    case 'boolean':
      return { name, kind: 'bool', value }
    case 'string':
      return value.length > LIMITS.textCharsMax
        ? `has more than ${LIMITS.textCharsMax} characters`
        : { name, kind: 'text', value }
  }
  if (value === null) return undefined
  if (value.every(v => typeof v === 'number' && Number.isFinite(v))) {
    return { name, kind: 'vector', value: Float64Array.from(value as number[]) }
  }
  return 'is a list of other things than numbers'
}
