/**
 * What one entry of the journal holds: a line of JSON that says how it came, then the payload just as it was received.
 *
 *     {"kind":"envelope","at":1767225600000,"gateway":"bench","epoch":"k3…","seq":17}⏎<bytes of the envelope>
 *
 * The journal is the bronze zone: nothing is interpreted before it is stored, so that a better reader can read it again.
 */
import {
  type Column,
  decodeEnvelope,
  expandGzip,
  type Frame,
  type Json,
  LIMITS,
  type PlainReading,
  parseIsoNs,
  plainReadingsSchema,
  type Reject,
  WireError,
} from '@penstock/frame'
import * as z from 'zod'
import { fitName } from './frame-rows.ts'
import { arrivalNsOf, decodeLines, type LineMapping, lineMappingSchema, rejectOfLine } from './lines.ts'
import { decodeMessage, type MessageForm, messageFormSchema } from './messages.ts'
import { decodePosted, type PostedDefaults } from './posted.ts'
import type { JournalEntry } from './projector.ts'
import { decodeSparkplug, type SparkplugContext } from './sparkplug/payload.ts'
import { SPARKPLUG_TYPES } from './sparkplug/topic.ts'

export type EntryHead =
  | { kind: 'envelope'; at: number; gateway: string; epoch: string; seq: number }
  /** One or more readings of a plain device. */
  | { kind: 'readings'; at: number; site: string; device: string; stream: string }
  /** Points of line protocol, plain or gzip, with what they meant when they came. */
  | { kind: 'lines'; at: number; gateway?: string; unitNs: number; mapping: LineMapping; topic?: string }
  /** What came by POST /v1/readings. */
  | ({ kind: 'posted'; at: number; gateway?: string } & PostedDefaults)
  /** What a plain device sent to a topic of its own, with what its pattern said when it came. */
  | { kind: 'message'; at: number; topic: string; site: string; device: string; stream: string; form: MessageForm }
  /** What a Sparkplug edge node sent, with what was known of it when it came. */
  | ({ kind: 'sparkplug'; at: number } & SparkplugContext)
  /** Rejects that were read again: the payload is an envelope of their rows, each frame naming its reject. */
  | { kind: 'replay'; at: number; by?: string; correction: Json; rejects: string[] }
  /** Rejects that were put aside; no payload. */
  | { kind: 'dismissal'; at: number; by?: string; reason: string; rejects: string[] }
  /** Bytes that broke the contract of the wire; kept with the reason. */
  | { kind: 'invalid'; at: number; reason: string; topic: string; gateway?: string; epoch?: string; seq?: number }

const headSchema: z.ZodType<EntryHead> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('envelope'), at: z.number(), gateway: z.string(), epoch: z.string(), seq: z.int() }),
  z.object({ kind: z.literal('readings'), at: z.number(), site: z.string(), device: z.string(), stream: z.string() }),
  z.object({
    kind: z.literal('lines'),
    at: z.number(),
    gateway: z.string().exactOptional(),
    unitNs: z.int(),
    mapping: lineMappingSchema,
    topic: z.string().exactOptional(),
  }),
  z.object({
    kind: z.literal('posted'),
    at: z.number(),
    gateway: z.string().exactOptional(),
    site: z.string().exactOptional(),
    device: z.string().exactOptional(),
    stream: z.string().exactOptional(),
  }),
  z.object({
    kind: z.literal('message'),
    at: z.number(),
    topic: z.string(),
    site: z.string(),
    device: z.string(),
    stream: z.string(),
    form: messageFormSchema,
  }),
  z.object({
    kind: z.literal('sparkplug'),
    at: z.number(),
    site: z.string(),
    stream: z.string(),
    group: z.string(),
    type: z.enum(SPARKPLUG_TYPES),
    node: z.string(),
    device: z.string().exactOptional(),
    known: z.array(z.tuple([z.string(), z.number()]).nullable()).exactOptional(),
    devices: z.array(z.string()).exactOptional(),
    stale: z.boolean().exactOptional(),
  }),
  z.object({
    kind: z.literal('replay'),
    at: z.number(),
    by: z.string().exactOptional(),
    correction: z.json(),
    rejects: z.array(z.string()),
  }),
  z.object({
    kind: z.literal('dismissal'),
    at: z.number(),
    by: z.string().exactOptional(),
    reason: z.string(),
    rejects: z.array(z.string()),
  }),
  z.object({
    kind: z.literal('invalid'),
    at: z.number(),
    reason: z.string(),
    topic: z.string(),
    gateway: z.string().exactOptional(),
    epoch: z.string().exactOptional(),
    seq: z.int().exactOptional(),
  }),
])

const newline = 0x0a

export const encodeEntry = (head: EntryHead, payload: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), payload])

/** Reads an entry that `encodeEntry` wrote. Total: what cannot be read is a reject, for the journal never stops a projector. */
export const decodeEntry = (seq: number, body: Uint8Array): JournalEntry => {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const end = bytes.indexOf(newline)
  let head: EntryHead
  try {
    head = headSchema.parse(JSON.parse(bytes.toString('utf8', 0, end)))
  } catch {
    return {
      seq,
      ...nothing(0),
      rejects: [rejectOf('journal', 'the head of the journal entry cannot be read', bytes, 0)],
    }
  }
  return { seq, ...decodePayload(head, bytes.subarray(end + 1)) }
}

/** How an entry came; `undefined` where its head cannot be read. */
export const entryHead = (body: Uint8Array): EntryHead | undefined => {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  try {
    return headSchema.parse(JSON.parse(bytes.toString('utf8', 0, bytes.indexOf(newline))))
  } catch {
    return undefined
  }
}

/** What an entry with this head and payload says. Pure and total. */
export const decodePayload = (head: EntryHead, payload: Uint8Array): Omit<JournalEntry, 'seq'> => {
  const base = nothing(head.at)
  switch (head.kind) {
    case 'envelope': {
      const from = { gateway: head.gateway, epoch: head.epoch, gatewaySeq: head.seq }
      try {
        return { ...base, ...from, ...decodeEnvelope(payload) }
      } catch (error) {
        return { ...base, ...from, rejects: [rejectOf(head.gateway, reasonOf(error), payload, head.at)] }
      }
    }
    case 'readings':
      return { ...base, ...decodePlain(head, payload) }
    case 'lines':
      return { ...base, ...decodeLinesEntry(head, payload) }
    case 'posted':
      try {
        return { ...base, frames: decodePosted(head, payload, arrivalNsOf(head.at)) }
      } catch (error) {
        return { ...base, rejects: [rejectOf('POST /v1/readings', reasonOf(error), payload, head.at)] }
      }
    case 'message': {
      const { topic, form, site, device, stream } = head
      const series = { site: fitName(site), device: fitName(device), stream: fitName(stream) }
      return { ...base, ...decodeMessage({ series, form, source: topic }, payload, arrivalNsOf(head.at)) }
    }
    case 'sparkplug':
      return { ...base, ...decodeSparkplug(head, payload, arrivalNsOf(head.at)) }
    case 'replay': {
      const { by, correction, rejects } = head
      const settled = { state: 'replayed' as const, rejects, correction, ...(by !== undefined && { by }) }
      try {
        return { ...base, ...decodeEnvelope(payload), settled }
      } catch (error) {
        return { ...base, rejects: [rejectOf('replay', reasonOf(error), payload, head.at)] }
      }
    }
    case 'dismissal': {
      const { by, reason, rejects } = head
      return { ...base, settled: { state: 'dismissed', rejects, reason, ...(by !== undefined && { by }) } }
    }
    case 'invalid': {
      const from = head.gateway === undefined ? {} : { gateway: head.gateway }
      return { ...base, ...from, rejects: [rejectOf(head.topic, head.reason, payload, head.at)] }
    }
  }
}

const nothing = (at: number): Omit<JournalEntry, 'seq'> => ({
  receivedMs: Math.floor(at),
  frames: [],
  rejects: [],
  ledger: [],
})

const reasonOf = (error: unknown): string => {
  if (error instanceof WireError) return error.message
  throw error
}

const rejectOf = (source: string, reason: string, bytes: Uint8Array, at: number): Reject => ({
  origin: { source: source.slice(0, LIMITS.nameCharsMax) },
  reason: reason.slice(0, LIMITS.reasonCharsMax),
  text: Buffer.from(bytes.subarray(0, LIMITS.rejectTextCharsMax)).toString('utf8').slice(0, LIMITS.rejectTextCharsMax),
  at: new Date(at).toISOString(),
})

/** Of line protocol in one request or message, after gunzip. */
export const LINES_LIMITS = { expandedBytesMax: 16 * 1024 * 1024, pointsMax: LIMITS.rowsPerEnvelopeMax } as const

type LinesHead = Extract<EntryHead, { kind: 'lines' }>
const decodeLinesEntry = (head: LinesHead, payload: Uint8Array): { frames: Frame[]; rejects: Reject[] } => {
  const source = fitName(head.topic ?? head.gateway ?? 'line protocol')
  try {
    const bytes = expandGzip(payload, LINES_LIMITS.expandedBytesMax)
    const { at, mapping, unitNs } = head
    const { frames, bad } = decodeLines(bytes, {
      at,
      mapping,
      unitNs: BigInt(unitNs),
      pointsMax: LINES_LIMITS.pointsMax,
    })
    return { frames, rejects: bad.map(line => rejectOfLine(source, line, at)) }
  } catch (error) {
    return { frames: [], rejects: [rejectOf(source, reasonOf(error), payload, head.at)] }
  }
}

/** Reads what a plain device sent. Throws a WireError where it is no reading. */
export const readPlain = (payload: Uint8Array): PlainReading[] => {
  if (payload.length > LIMITS.envelopeBytesMax)
    throw new WireError(`the reading has more than ${LIMITS.envelopeBytesMax} bytes`)
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(payload).toString('utf8'))
  } catch (cause) {
    throw new WireError('the reading is not JSON', { cause })
  }
  const result = plainReadingsSchema.safeParse(value)
  if (!result.success) {
    throw new WireError(
      'the reading is not of the form {"time":"2026-03-01T12:00:00Z","values":{"temperature":21.4}} or an array of these',
    )
  }
  return Array.isArray(result.data) ? result.data : [result.data]
}

type PlainHead = Extract<EntryHead, { kind: 'readings' }>
const decodePlain = (head: PlainHead, payload: Uint8Array): { frames: Frame[]; rejects: Reject[] } => {
  let readings: PlainReading[]
  try {
    readings = readPlain(payload)
  } catch (error) {
    return {
      frames: [],
      rejects: [rejectOf(`${head.site}/${head.device}/${head.stream}`, reasonOf(error), payload, head.at)],
    }
  }
  const arrivalNs = arrivalNsOf(head.at)
  // Readings without a time of their own get the moment of arrival, 1 µs apart, so that none replaces another.
  const times = readings.map(
    (r, i) => (r.time === undefined ? undefined : parseIsoNs(r.time)) ?? arrivalNs + BigInt(i) * 1000n,
  )
  // A frame's offsets are below 2^53 ns (104 days): readings further apart go into frames of their own.
  const frames: Frame[] = []
  let from = 0
  for (let i = 1; i <= readings.length; i++) {
    const apart = i < readings.length ? (times[i] ?? 0n) - (times[from] ?? 0n) : undefined
    if (apart !== undefined && apart < 2n ** 53n && apart > -(2n ** 53n)) continue
    frames.push(plainFrame(head, readings.slice(from, i), times.slice(from, i)))
    from = i
  }
  return { frames, rejects: [] }
}

const plainFrame = (head: PlainHead, readings: PlainReading[], times: bigint[]): Frame => {
  const startNs = times[0] ?? 0n
  const names = [...new Set(readings.flatMap(r => Object.keys(r.values)))]
  const columns = names.flatMap(name =>
    plainColumns(
      name,
      readings.map(r => r.values[name] ?? null),
    ),
  )
  const { site, device, stream } = head
  return { site, device, stream, startNs, offsetsNs: Float64Array.from(times, t => Number(t - startNs)), columns }
}

/** A column per type of value that stands under the name: a device that sends 21.4 and then "error" loses neither. */
const plainColumns = (name: string, values: (number | string | boolean | null)[]): Column[] => {
  const kinds = new Set(values.flatMap(v => (v === null ? [] : [typeof v])))
  const columns: Column[] = []
  const nameFor = (kind: string) => (kinds.size > 1 && kind !== 'number' ? `${name}.${kind}` : name)
  const only = <T>(kind: string) => values.map(v => (typeof v === kind ? (v as T) : null))
  if (kinds.has('number') || kinds.size === 0) columns.push({ name, type: 'float', values: only<number>('number') })
  if (kinds.has('string')) columns.push({ name: nameFor('string'), type: 'text', values: only<string>('string') })
  if (kinds.has('boolean')) columns.push({ name: nameFor('boolean'), type: 'bool', values: only<boolean>('boolean') })
  return columns
}
