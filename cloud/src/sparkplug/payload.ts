/**
 * What a Sparkplug B message says, as frames: metrics are columns of one stream, births and deaths are rows of `status`.
 *
 * - Integers beyond ±2^53 are text with all their digits; a DateTime is text in ISO 8601.
 * - Sparkplug counts time in ms, and a node may say two things within one: the message's `seq` (0 … 255) stands in the µs, so
 *   that no row replaces another and the same message always makes the same rows.
 * - Data sets, templates, bytes, files and arrays are rejects; the journal keeps their bytes.
 */
import { create, fromBinary, isFieldSet, toBinary } from '@bufbuild/protobuf'
import { type Frame, LIMITS, type Reject, WireError, withStatuses } from '@penstock/frame'
import { type Cell, type CellKind, columnName, createFrameRows, fitName, integerCell } from '../frame-rows.ts'
import { type Metric, MetricSchema, type Payload, PayloadSchema } from './payload_pb.ts'
import type { SparkplugTopic } from './topic.ts'

/** Name and data type of a metric that its message does not spell out: from the birth that was last heard. */
export type KnownMetric = [name: string, datatype: number]

/** What was known when the message came, so that reading it again needs nothing else. */
export interface SparkplugContext extends SparkplugTopic {
  site: string
  stream: string
  /** By the position of the metric; null where its message or nobody says it. */
  known?: (KnownMetric | null)[]
  /** Devices that are offline with this death of their node. */
  devices?: string[]
  /** A death of an earlier session: it says nothing about this one. */
  stale?: boolean
}

/** @throws WireError where the bytes are no payload */
export const readPayload = (bytes: Uint8Array): Payload => {
  let payload: Payload
  try {
    payload = fromBinary(PayloadSchema, bytes, { readUnknownFields: false })
  } catch (cause) {
    throw new WireError('the message is no Sparkplug B payload', { cause })
  }
  if (payload.uuid === 'SPBV1.0_COMPRESSED') {
    throw new WireError('the payload is compressed: turn compression off at the edge node')
  }
  return payload
}

/** The command that asks an edge node for its births. */
export const rebirthCommand = (nowMs: number): Uint8Array => {
  const timestamp = BigInt(Math.floor(nowMs))
  const metric = create(MetricSchema, {
    ...{ name: 'Node Control/Rebirth', timestamp, datatype: DATATYPE.boolean },
    value: { case: 'booleanValue', value: true },
  })
  return toBinary(PayloadSchema, create(PayloadSchema, { timestamp, metrics: [metric] }))
}

export const DATATYPE = { int64: 4, uint64: 8, boolean: 11, dateTime: 13 } as const

/** What is said to the node or of its session: never a reading. */
const isControl = (name: string): boolean => name === 'bdSeq' || /^(Node|Device) Control\//.test(name)

/** Total: what cannot be read is a reject. */
export const decodeSparkplug = (
  context: SparkplugContext,
  bytes: Uint8Array,
  arrivalNs: bigint,
): { frames: Frame[]; rejects: Reject[] } => {
  const { site, node, device, stream, type, known = [], devices = [] } = context
  const at = new Date(Number(arrivalNs / 1_000_000n)).toISOString()
  const origin = {
    source: fitName([site, node, ...(device === undefined ? [] : [device])].join('/')),
    format: 'sparkplug-b',
  }
  const reject = (reason: string, text = ''): Reject => ({
    ...{ origin, at },
    reason: reason.slice(0, LIMITS.reasonCharsMax),
    text: text.slice(0, LIMITS.rejectTextCharsMax),
  })
  let payload: Payload
  try {
    payload = readPayload(bytes)
  } catch (error) {
    if (!(error instanceof WireError)) throw error
    return { frames: [], rejects: [reject(error.message, Buffer.from(bytes.subarray(0, 2048)).toString('hex'))] }
  }
  if (context.stale) return { frames: [], rejects: [] }

  const series = { site: fitName(site), device: fitName(device === undefined ? node : `${node}/${device}`), stream }
  const sentNs = has(payload, 'timestamp') ? timeNs(payload.timestamp, payload.seq) : undefined
  const rows = createFrameRows()
  const rejects: Reject[] = []
  if (type.endsWith('BIRTH') || type.endsWith('DEATH')) {
    const state: Cell = { name: 'state', kind: 'text', value: type.endsWith('BIRTH') ? 'ONLINE' : 'OFFLINE' }
    // The timestamp of a node's death was set when it connected: the death itself is when it came.
    const ns = type === 'NDEATH' ? arrivalNs : (sentNs ?? arrivalNs)
    for (const name of [series.device, ...devices.map(d => fitName(`${node}/${d}`))]) {
      rows.add({ site: series.site, device: name, stream: 'status' }, ns, [state], 'shift')
    }
  }
  if (!type.endsWith('DEATH')) {
    payload.metrics.forEach((metric, i) => {
      const [name, datatype] = known[i] ?? [metric.name, metric.datatype]
      if (isControl(name) || metric.isTransient) return
      const refuse = (why: string) =>
        rejects.push(reject(`metric ${name === '' ? i : `"${name}"`} ${why}`, describe(metric)))
      if (name === '') {
        refuse(has(metric, 'alias') ? `has the alias ${metric.alias}, which no birth has named` : 'has no name')
        return
      }
      const ns = has(metric, 'timestamp') ? timeNs(metric.timestamp, payload.seq) : (sentNs ?? arrivalNs)
      const cell = cellOf(columnName(name), datatype, metric)
      if (ns === undefined) refuse(`has the time ${metric.timestamp} ms, which is beyond the year 2262`)
      else if (typeof cell === 'string') refuse(cell)
      else if (cell) rows.add(series, ns, [withUnit(cell, metric)], 'shift')
    })
  }
  return { frames: rows.frames().map(withStatuses), rejects }
}

const has = <M extends Payload | Metric>(message: M, field: 'timestamp' | 'alias' | 'datatype' | 'seq'): boolean =>
  message.$typeName === 'penstock.sparkplug.Payload'
    ? isFieldSet(message as Payload, PayloadSchema.field[field as 'timestamp' | 'seq'])
    : isFieldSet(message as Metric, MetricSchema.field[field as 'timestamp' | 'alias' | 'datatype'])
export const hasField = has

const msMax = (2n ** 63n - 1n) / 1_000_000n - 1n
const timeNs = (ms: bigint, seq: bigint): bigint | undefined =>
  ms > msMax ? undefined : ms * 1_000_000n + (seq & 0xffn) * 1000n

const withUnit = (cell: Cell, { properties }: Metric): Cell => {
  const at = properties?.keys.indexOf('engUnit') ?? -1
  const value = properties?.values[at]?.value
  if (value?.case !== 'stringValue' || value.value === '') return cell
  return { ...cell, unit: value.value.slice(0, LIMITS.nameCharsMax) }
}

const describe = ({ name, alias, datatype, value }: Metric): string =>
  JSON.stringify({ name, alias: String(alias), datatype, holds: value.case ?? 'nothing' })

interface DataType {
  name: string
  kind?: CellKind
  /** Of an integer that is signed; what lies above them is the sign. */
  signedBits?: number
}
/** By number, as the specification lists them; without a kind: not stored as a column. */
const dataTypes: readonly DataType[] = [
  { name: 'unknown' },
  { name: 'Int8', kind: 'int', signedBits: 8 },
  { name: 'Int16', kind: 'int', signedBits: 16 },
  { name: 'Int32', kind: 'int', signedBits: 32 },
  { name: 'Int64', kind: 'int', signedBits: 64 },
  { name: 'UInt8', kind: 'int' },
  { name: 'UInt16', kind: 'int' },
  { name: 'UInt32', kind: 'int' },
  { name: 'UInt64', kind: 'int' },
  { name: 'Float', kind: 'float' },
  { name: 'Double', kind: 'float' },
  { name: 'Boolean', kind: 'bool' },
  { name: 'String', kind: 'text' },
  { name: 'DateTime', kind: 'text' },
  { name: 'Text', kind: 'text' },
  { name: 'UUID', kind: 'text' },
  ...['DataSet', 'Bytes', 'File', 'Template', 'PropertySet', 'PropertySetList'].map(name => ({ name })),
  ...['Int8', 'Int16', 'Int32', 'Int64', 'UInt8', 'UInt16', 'UInt32', 'UInt64', 'Float', 'Double', 'Boolean'].map(
    name => ({
      name: `${name}Array`,
    }),
  ),
  ...['String', 'DateTime'].map(name => ({ name: `${name}Array` })),
]

/** The cell; undefined where there is nothing to store; a text that says why it cannot be stored. */
const cellOf = (name: string, datatype: number, { value, isNull }: Metric): Cell | string | undefined => {
  const type = dataTypes[datatype] ?? { name: `data type ${datatype}` }
  const { kind } = type
  if (kind === undefined && datatype !== 0)
    return isNull ? undefined : `is of type ${type.name}, which is not stored as a column`
  if (isNull) return kind === undefined ? undefined : { name, kind, value: null }
  const mismatch = `is of type ${type.name} and holds ${value.case ?? 'no value'}`
  switch (value.case) {
    case 'intValue':
    case 'longValue':
      if (datatype === DATATYPE.dateTime) return dateCell(name, BigInt(value.value))
      if (kind === 'float') return { name, kind, value: Number(value.value) }
      if (kind !== undefined && kind !== 'int') return mismatch
      return integerCell(name, type.signedBits === undefined ? value.value : signed(value.value, type.signedBits))
    case 'floatValue':
    case 'doubleValue':
      return kind === undefined || kind === 'float' ? { name, kind: 'float', value: value.value } : mismatch
    case 'booleanValue':
      return kind === undefined || kind === 'bool' ? { name, kind: 'bool', value: value.value } : mismatch
    case 'stringValue':
      if (kind !== undefined && (kind !== 'text' || datatype === DATATYPE.dateTime)) return mismatch
      if (value.value.length > LIMITS.textCharsMax) return `has more than ${LIMITS.textCharsMax} characters`
      return { name, kind: 'text', value: value.value }
    default:
      return mismatch
  }
}

/** Negative numbers travel as two's complement, of their own width or of the field's: the low bits are the same. */
const signed = (value: number | bigint, bits: number): bigint => BigInt.asIntN(bits, BigInt(value))

const dateCell = (name: string, ms: bigint): Cell | string => {
  const date = new Date(Number(BigInt.asIntN(64, ms)))
  return Number.isNaN(date.getTime())
    ? `has the date ${ms} ms, which no calendar has`
    : { name, kind: 'text', value: date.toISOString() }
}
