/**
 * An instrument that publishes to a broker by itself.
 *
 *     broker ──messages──► link ──decoded──► batch ──durable──► acknowledged: the broker may forget them
 *        └─ keeps what comes while the gateway is away (a session that is not clean, QoS 1 and 2)
 *
 * What the broker sends a second time, because the acknowledgement got lost, is known by number and content and passed
 * over, also after a restart. A payload that brings its time may come again and again: the store holds it once.
 */
import { byteSize, duration, path, secret } from '@penstock/config'
import { createDecoder, type Decoder, type RecordFormat, recordFormatSchema } from '@penstock/formats'
import { type Frame, type Health, LIMITS, nameSchema, type Reject } from '@penstock/frame'
import * as z from 'zod'
import { type Alarm, createAlarm } from '../alarm.ts'
import { mergeFrames } from '../frame-merger.ts'
import { frameRowsMax, type Placed, placementShape, recordBytesMax, sourceId } from '../placement.ts'
import type { Batch, Cursor, Source, SourceDeps } from '../source.ts'
import { filtersOf, matchTopic, type TopicLevels, topicPatternProblem } from '../topic-pattern.ts'
import { fingerprint, type Message, type MqttLink, openLink } from './mqtt/link.ts'

const topicPattern = z
  .string()
  .min(1)
  .max(1024)
  .superRefine((pattern, context) => {
    const problem = topicPatternProblem(pattern)
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
  })
  .describe('Topics to read, e.g. "lab/+device/+stream": +site, +device and +stream name what stands there')

export const mqttOptions = z
  .strictObject({
    id: sourceId,
    kind: z.literal('mqtt'),
    url: z
      .string()
      .max(2048)
      .regex(/^mqtts?:\/\/[^\s/@]+$/, 'expected an address such as mqtt://broker.lab:1883, without user and password')
      .describe('Address of the broker'),
    protocol: z.enum(['3.1.1', '5']).default('3.1.1').describe('Version of MQTT'),
    username: z.string().min(1).max(256).optional(),
    password: secret.optional(),
    caFile: path.optional().describe("PEM file of the authority that signed the broker's certificate"),
    clientId: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .describe('Name of the session at the broker; keep it. Default: penstock-<gateway>-<id>'),
    topics: z
      .array(
        z.union([
          topicPattern,
          z.strictObject({
            pattern: topicPattern,
            format: recordFormatSchema.optional(),
            site: nameSchema.optional(),
            device: nameSchema.optional(),
            stream: nameSchema.optional(),
          }),
        ]),
      )
      .min(1)
      .max(100)
      .describe('The first one that fits a topic has it'),
    qos: z.union([z.literal(0), z.literal(1), z.literal(2)]).default(1),
    format: recordFormatSchema.optional().describe('How payloads are read; default: one number, as column "value"'),
    ...placementShape,
    retained: z
      .enum(['skip', 'store'])
      .default('skip')
      .describe('What the broker keeps as the last value of a topic comes at each start: nobody knows how old it is'),
    sessionMsMax: duration
      .default(7 * 86_400_000)
      .describe('MQTT 5: how long the broker keeps the session of a gateway that is away'),
    keepaliveMs: duration.pipe(z.int().min(1000).max(65_535_000)).default(30_000),
    inFlightMax: z
      .int()
      .min(1)
      .max(1000)
      .default(64)
      .describe(
        'So many messages the broker sends ahead of their acknowledgements; as many are remembered, to know one that comes again',
      ),
    payloadBytesMax: byteSize
      .pipe(
        z
          .int()
          .min(1)
          .max(16 * 1024 * 1024),
      )
      .default(1024 * 1024)
      .describe('A message with a longer payload is rejected'),
    recordBytesMax,
    silenceMsMax: duration.optional().describe('Nothing for this long: health is stale'),
    retryMsMax: duration.pipe(z.int().min(10)).default(30_000).describe('Longest wait before connecting again'),
  })
  .describe('An instrument that publishes to an MQTT broker')
export type MqttOptions = Omit<Placed<z.output<typeof mqttOptions>>, 'clientId'> & {
  clientId: string
  /** A session that the broker forgets at its end: of one who only looks. Default: it is kept. */
  clean?: boolean
  secrets: Readonly<Record<string, string>>
}

/** Where secrets stand in the options, by the key under which `secrets` has them. */
export const mqttSecretRefs = ({ password }: { password?: z.output<typeof secret> | undefined }) => ({
  ...(password && { password }),
})

/** A bare number. */
const numberFormat = recordFormatSchema.parse({
  kind: 'lines',
  pattern: '^\\s*(?<value>\\S+)\\s*$',
  columns: { value: 'float' },
})

export const openMqtt = (options: MqttOptions, deps: SourceDeps): Source => {
  const { id, silenceMsMax, retryMsMax } = options
  const filters = filtersOf(options.topics.map(topic => (typeof topic === 'string' ? topic : topic.pattern)))
  const host = new URL(options.url).host
  const nowMs = () => deps.now().getTime()
  let state: { health: Health; message?: string } = { health: 'starting' }
  let heardAtMs = nowMs()

  const health = (): { health: Health; message?: string } => {
    if (state.health !== 'ok' || silenceMsMax === undefined) return state
    const silentMs = nowMs() - heardAtMs
    if (silentMs <= silenceMsMax) return state
    return { health: 'stale', message: `connected to ${host}, but nothing came for ${Math.round(silentMs / 1000)} s` }
  }
  const fail = (message: string) => {
    if (state.message !== message) deps.log.warn({ source: id }, message)
    state = { health: 'failing', message }
  }

  const connect = async (cursor: Memory, alarm: Alarm, signal: AbortSignal): Promise<MqttLink | undefined> => {
    try {
      const link = await openLink(options, filters, cursor.filters, deps.now, alarm.ring, signal)
      if (cursor.filters.length > 0 && !link.sessionPresent) {
        const lost = 'what was published while the gateway was away did not come'
        deps.log.warn({ source: id }, `${host} had forgotten the session of this gateway: ${lost}`)
      }
      if (state.health === 'failing') deps.log.info({ source: id }, `connected to ${host}`)
      if (link.refused.length === 0) state = { health: 'ok' }
      else fail(`${host} refuses to send ${link.refused.join(', ')}: the user may not read it`)
      heardAtMs = nowMs()
      return link
    } catch (error) {
      if (!signal.aborted) fail(error instanceof Error ? error.message : String(error))
      return undefined
    }
  }

  async function* batches(resume: Cursor, signal: AbortSignal): AsyncGenerator<Batch> {
    const alarm = createAlarm()
    const memory = createMemory(resume, filters, options.inFlightMax)
    const reader = createReader(options, deps)
    let waitMs = 250
    while (!signal.aborted) {
      const link = await connect(memory, alarm, signal)
      if (link) {
        const openedMs = performance.now()
        try {
          // The broker holds messages for this session from now on: so much must be known after a restart.
          if (memory.isNew()) yield { frames: [], rejects: [], ledger: [], cursor: memory.cursor([]) }
          yield* listen(link)
        } finally {
          await link.close()
        }
        if (signal.aborted) return
        if (performance.now() - openedMs > retryMsMax) waitMs = 250
        fail(`${link.ended() ?? 'the connection was lost'}; connecting again`)
      }
      await createAlarm().wait(Math.min(waitMs, retryMsMax), signal)
      waitMs *= 2
    }

    async function* listen(link: MqttLink): AsyncGenerator<Batch> {
      while (!signal.aborted) {
        const isEnded = link.ended() !== undefined
        const messages = link.take()
        if (messages.length > 0) heardAtMs = nowMs()
        const fresh = messages.filter(
          message => !memory.knows(message) && !(message.retained && options.retained === 'skip'),
        )
        if (fresh.length > 0) {
          const cursor = memory.cursor(fresh)
          yield { ...reader.read(fresh), ledger: [], cursor }
        }
        for (const message of messages) link.release(message)
        if (isEnded) return
        if (messages.length === 0) await alarm.wait(waitPieceMsMax, signal)
      }
    }
  }

  return { id, kind: 'mqtt', batches, health }
}
const waitPieceMsMax = 60_000

/** What survives a restart: that there is a session, and what in it is stored and perhaps not acknowledged. */
interface Memory {
  filters: readonly string[]
  isNew(): boolean
  /** It is stored already: the broker did not get our word for it. */
  knows(message: Message): boolean
  /** With these messages, which then are known. */
  cursor(messages: readonly Message[]): Cursor
}

/** @param inFlightMax so many may be unacknowledged: they are remembered, whatever the last batch was */
const createMemory = (resume: Cursor, filters: readonly string[], inFlightMax: number): Memory => {
  const had = Array.isArray(resume.filters) ? resume.filters.filter(filter => typeof filter === 'string') : []
  // Fingerprints by number; the one that was stored last stands last.
  const stored = new Map(Array.isArray(resume.stored) ? (resume.stored as [number, string][]) : [])
  let isNew = JSON.stringify(had) !== JSON.stringify(filters)
  return {
    filters: had,
    isNew: () => isNew,
    knows: ({ id, dup, ...rest }) => dup && id !== undefined && stored.get(id) === fingerprint(rest),
    cursor(messages) {
      let numbered = 0
      for (const message of messages) {
        if (message.id === undefined) continue
        numbered++
        stored.delete(message.id)
        stored.set(message.id, fingerprint(message))
      }
      for (const oldest of stored.keys()) {
        if (stored.size <= Math.max(inFlightMax, numbered)) break
        stored.delete(oldest)
      }
      const cursor = {
        ...(isNew && { filters: [...filters] }),
        ...(numbered > 0 && { stored: [...stored] }),
      }
      isNew = false
      return cursor
    },
  }
}

/** Decoders that are kept, one for each series and form; beyond, the one unused for longest goes. */
const decodersMax = 4096

/** Reads payloads. A topic keeps its decoder, which knows where it is in a night on which clocks change. */
const createReader = (options: MqttOptions, deps: SourceDeps) => {
  const decoders = new Map<string, Decoder>()
  const entries = options.topics.map(topic => (typeof topic === 'string' ? { pattern: topic } : topic))
  const file = options.url

  const decoderOf = (key: string, format: RecordFormat, place: Required<TopicLevels>): Decoder => {
    const had = decoders.get(key)
    decoders.delete(key)
    const { id, zone } = options
    const context = { source: id, file, ...place, zone, frameRowsMax, recordBytesMax: options.recordBytesMax }
    const decoder = had ?? createDecoder(format, context)
    decoders.set(key, decoder)
    for (const oldest of decoders.keys()) {
      if (decoders.size <= decodersMax) break
      decoders.delete(oldest)
    }
    return decoder
  }

  const decode = (message: Message): { frames: Frame[]; rejects: Reject[] } => {
    const { topic, payload } = message
    const refuse = (reason: string) => ({ frames: [], rejects: [rejectOf(options, message, reason)] })
    if (message.passedOverBytes !== undefined || payload.length > options.payloadBytesMax) {
      return refuse(`the payload is longer than ${options.payloadBytesMax} bytes`)
    }
    const found = entries
      .map((entry, i) => ({ entry, i, levels: matchTopic(entry.pattern, topic) }))
      .find(e => e.levels)
    // From a subscription that the session held before; it has been given up.
    if (!found?.levels) return { frames: [], rejects: [] }
    const { entry, levels } = found
    const place = {
      site: levels.site ?? entry.site ?? options.site,
      device: levels.device ?? entry.device ?? options.device ?? options.id,
      stream: levels.stream ?? entry.stream ?? options.stream,
    }
    const wrong = Object.entries(place).find(([, name]) => !nameSchema.safeParse(name).success)
    if (wrong) return refuse(`the topic names no ${wrong[0]}`)
    const format = entry.format ?? options.format ?? numberFormat
    const key = JSON.stringify([found.i, place.site, place.device, place.stream])
    const bytes = linesOf(format, payload)
    const atNs = BigInt(message.atMs) * 1_000_000n
    const decoder = decoderOf(key, format, place)
    const isAlone = isDocument(format)
    const first = decoder.push(bytes, isAlone, atNs)
    const results = [first]
    if (isAlone) decoders.delete(key)
    else if (first.used < bytes.length) {
      // Something in it is open (a quote): it does not go on in the next message.
      results.push(decoder.push(bytes.subarray(first.used), true, atNs))
      decoders.delete(key)
    }
    const at = deps.now().toISOString()
    const named = (origin: Reject['origin']) => ({
      ...origin,
      attributes: { ...origin.attributes, topic: topic.slice(0, 4096) },
    })
    return {
      frames: results.flatMap(result => result.frames),
      rejects: results.flatMap(result =>
        result.rejects.map(reject => ({ ...reject, origin: named(reject.origin), at })),
      ),
    }
  }

  return {
    read(messages: readonly Message[]): { frames: Frame[]; rejects: Reject[] } {
      const results = messages.map(decode)
      return { frames: mergeFrames(results.flatMap(r => r.frames)), rejects: results.flatMap(r => r.rejects) }
    },
  }
}

/** Each payload is a document of its own: JSON, or a CSV that begins with a header. */
const isDocument = (format: RecordFormat): boolean => {
  if (format.kind === 'json') return true
  if (format.kind !== 'csv' || format.header === false) return false
  if (format.header === true) return true
  const { skip, after, names, units } = format.header
  return skip > 0 || after !== undefined || names === true || units
}

/** One JSON value may be written over several lines; in a message it is one record. */
const linesOf = (format: RecordFormat, payload: Buffer): Buffer => {
  if (format.kind === 'binary' || format.kind === 'json') return payload
  if (format.kind === 'jsonl' && payload.includes(10) && isJson(payload)) {
    // JSON has no line ends within its texts: blanks in their place change nothing.
    const one = Buffer.from(payload)
    for (let i = 0; i < one.length; i++) if (one[i] === 10 || one[i] === 13) one[i] = 32
    return Buffer.concat([one, newline])
  }
  return Buffer.concat([payload, newline])
}
const newline = Buffer.from('\n')
const isJson = (payload: Buffer): boolean => {
  try {
    JSON.parse(payload.toString())
    return true
  } catch {
    return false
  }
}

const rejectOf = (options: MqttOptions, message: Message, reason: string): Reject => ({
  origin: {
    source: options.id,
    file: options.url,
    format: 'mqtt',
    attributes: { topic: message.topic.slice(0, 4096) },
  },
  reason: reason.slice(0, LIMITS.reasonCharsMax),
  text: message.payload.toString('utf8', 0, LIMITS.rejectTextCharsMax * 4).slice(0, LIMITS.rejectTextCharsMax),
  at: new Date(message.atMs).toISOString(),
})
