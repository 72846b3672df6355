/**
 * A serial line on which one instrument talks, or several are asked.
 *
 *     port ──bytes──► framer ──frames──► checksum ──► conversation ──► decoder ──rows──► batch, every `flushMsMax`
 *       ▲                └─ too long, noise    └─ wrong     └─ late, nobody's: rejects
 *       └── `open` lines once, then the line of `poll`, or its commands one by one
 *
 * A port that is missing, taken or pulled out is waited for. The library does not always tell when a device has gone: while
 * nothing comes, the path is looked at, and a path that leads elsewhere or nowhere ends the connection.
 */
import { duration } from '@penstock/config'
import { createDecoder, type Decoder, type RecordFormat, recordFormatSchema } from '@penstock/formats'
import { type Frame, type Health, LIMITS, nameSchema, type Reject } from '@penstock/frame'
import * as z from 'zod'
import { type Alarm, createAlarm } from '../alarm.ts'
import { type Checksum, checksumSchema, createChecksum } from '../checksum.ts'
import { type Conversation, createConversation, type Exchange } from '../conversation.ts'
import { bytesOf, escapedText } from '../escapes.ts'
import { mergeFrames } from '../frame-merger.ts'
import { frameRowsMax, type Placed, placementShape, sourceId } from '../placement.ts'
import {
  createFramer,
  type FramedRecord,
  type FramingOptions,
  framingSchema,
  type RecordFramer,
} from '../record-framer.ts'
import { type Chunk, createLineWriter, type LineWriter, readAhead } from '../serial-line.ts'
import {
  type ListPorts,
  lineSettings,
  listSerialPorts,
  type OpenedPort,
  type OpenPort,
  openProblem,
  openSerialPort,
  pathOf,
  portNameOf,
  portOption,
} from '../serial-port.ts'
import type { Batch, Cursor, Source, SourceDeps } from '../source.ts'

const regex = z
  .string()
  .min(1)
  .max(4096)
  .check(ctx => {
    try {
      new RegExp(ctx.value.replaceAll('{address}', '0'), 's')
    } catch (error) {
      ctx.issues.push({ code: 'custom', input: ctx.value, message: (error as Error).message })
    }
  })
const answerMsMax = duration.pipe(z.int().min(10).max(600_000))
const retries = z.int().min(0).max(10)

const commandSchema = z
  .strictObject({
    send: escapedText(1, 4096).describe('The command, e.g. MEAS:VOLT?; {address} stands for the address of the device'),
    format: recordFormatSchema.optional().describe('How its answer is read; default: the format of the source'),
    stream: nameSchema.optional().describe('Stream of its rows; default: that of the device or the source'),
    expect: regex
      .optional()
      .describe(
        'What its answer looks like (regular expression; {address} as in `send`). A frame that differs is a reject, and the waiting goes on; with it no answer can be taken for that of another command',
      ),
    answers: z.int().min(0).max(1000).default(1).describe('How many frames make the answer; 0: the command has none'),
    answerMsMax: answerMsMax.optional().describe('Time-out of this command'),
    retries: retries.optional(),
  })
  .describe('A command and how its answer is read')
type Command = z.output<typeof commandSchema>
const commandList = z.array(commandSchema).min(1).max(1000)

const pollSchema = z
  .strictObject({
    everyMs: duration.pipe(z.int().min(10)).describe('How often'),
    line: escapedText(1, 4096)
      .optional()
      .describe('A line that is sent again and again; whatever comes is read by the format of the source'),
    commands: commandList.optional().describe('Commands of a round, one after the other, each with its answer'),
    aligned: z.boolean().default(false).describe('Rounds begin at whole multiples of `everyMs` of the clock'),
    pacingMs: duration.pipe(z.int().max(60_000)).default(0).describe('Pause between an answer and the next command'),
    answerMsMax: answerMsMax.default(1000).describe('An answer that takes longer counts as none'),
    lateMs: duration
      .pipe(z.int().max(600_000))
      .optional()
      .describe(
        'After a time-out the line is left alone for so long, or until the late answer came: it must not be taken for the next one. Default: as long as the time-out; 0 for commands with `expect`',
      ),
    retries: retries.default(1).describe('How often a command without an answer is sent again in its round'),
    echo: z.boolean().default(false).describe('The line gives back what is sent (RS-485 with two wires)'),
  })
  .describe('For instruments that speak only when asked')
const deviceSchema = z.strictObject({
  address: z.union([z.int().min(0), escapedText(1, 64)]).describe('What stands for {address} in its commands'),
  device: nameSchema.describe('Name of the device'),
  stream: nameSchema.optional(),
  commands: commandList.optional().describe('Its own commands; default: those of `poll`'),
})

export const serialOptions = z
  .strictObject({
    id: sourceId,
    kind: z.literal('serial'),
    port: portOption,
    ...lineSettings,
    format: recordFormatSchema.optional().describe('How frames are read; each command of `poll` may have its own'),
    ...placementShape,
    delimiter: escapedText(1, 16)
      .optional()
      .describe('What ends a line, default \\n; short for framing: {by: delimiter, end: …}'),
    framing: framingSchema.optional(),
    checksum: checksumSchema.prefault({ kind: 'none' }),
    recordBytesMax: z
      .int()
      .min(16)
      .max(1024 * 1024)
      .default(65_536)
      .describe('A longer line or frame is rejected'),
    firstLine: z
      .enum(['auto', 'keep', 'reject'])
      .default('auto')
      .describe(
        'The first line after opening may lack its beginning. auto: rejected where bytes came within `quietMs`',
      ),
    quietMs: duration.default(40).describe('Bytes that come sooner after opening may be the end of a line'),
    open: z.array(escapedText(1, 4096)).max(100).default([]).describe('Lines to send after opening'),
    poll: pollSchema.optional(),
    devices: z
      .array(deviceSchema)
      .min(1)
      .max(256)
      .optional()
      .describe('Several devices on one line, each asked under its address'),
    sendEnd: escapedText(0, 16).default('\\r\\n').describe('What is put behind every line that is sent'),
    silenceMsMax: duration.optional().describe('Nothing for this long: health is stale'),
    flushMsMax: duration
      .pipe(z.int().min(1).max(60_000))
      .default(200)
      .describe('Rows wait at most this long for others'),
    retryMsMax: duration.pipe(z.int().min(100)).default(30_000).describe('Longest wait before opening again'),
  })
  .check(ctx => {
    for (const { path, message } of problemsOf(ctx.value)) {
      ctx.issues.push({ code: 'custom', path, message, input: ctx.value })
    }
  })
  .describe('A serial line')
type Written = z.output<typeof serialOptions>
export type SerialOptions = Placed<Written>

/** What no key alone can be wrong with. */
function problemsOf(options: Omit<Written, never>): { path: (string | number)[]; message: string }[] {
  const { poll, devices, framing, delimiter, flowControl, rts, format } = options
  const problems: { path: (string | number)[]; message: string }[] = []
  const tell = (path: (string | number)[], message: string) => problems.push({ path, message })
  if (framing && delimiter !== undefined) tell(['delimiter'], 'stands in `framing` where that is given')
  if (rts !== undefined && flowControl === 'rtscts') tell(['rts'], 'cannot be set: flow control rtscts uses this line')
  if (poll?.line !== undefined && poll.commands) tell(['poll', 'line'], 'goes not with `commands`: give one of them')
  if (devices && !poll) tell(['devices'], 'need `poll`: say there how often, and which commands')
  if (devices && poll?.line !== undefined) tell(['poll', 'line'], 'goes not with `devices`: give `commands`')
  const asksAll = devices?.every(({ commands }) => commands) === true
  if (poll && poll.line === undefined && !poll.commands && !asksAll) {
    tell(['poll'], 'asks nothing: give `commands`, or a `line`')
  }
  const needsFormat = (commands: readonly Command[] | undefined, path: (string | number)[]) => {
    for (const [i, command] of (commands ?? []).entries()) {
      if (format || command.format || command.answers === 0) continue
      tell([...path, i, 'format'], 'is missing: give it here, or once for the source')
    }
  }
  needsFormat(poll?.commands, ['poll', 'commands'])
  const seen = new Set<string>()
  for (const [i, { address, commands }] of (devices ?? []).entries()) {
    needsFormat(commands, ['devices', i, 'commands'])
    if (seen.has(String(address))) tell(['devices', i, 'address'], `a second device at the address ${address}`)
    seen.add(String(address))
  }
  if ((devices?.length ?? 0) > 1) {
    for (const [i, { send }] of (poll?.commands ?? []).entries()) {
      if (send.includes('{address}')) continue
      tell(['poll', 'commands', i, 'send'], 'holds no {address}: every device would be sent the same')
    }
  }
  if (!format && !poll?.commands && !devices) tell(['format'], 'is missing: expected a mapping')
  return problems
}

export interface SerialDeps extends SourceDeps {
  openPort?: OpenPort
  listPorts?: ListPorts
  /** 0 … 1, for the jitter of waits. */
  random?(): number
}

const probeMs = 500
const rowsMax = 4096
const rejectsMax = 1024

/** What one format makes of the frames of one command. */
interface Channel {
  decoder: Decoder
  /** Bytes of a record that goes on in the next frame. */
  undecoded: Uint8Array
  /** Formats of lines want the line ends that framing took away; binary ones a whole number of records. */
  recordBytes: number | undefined
}

/** What stays the same however often the port is opened. */
interface Line {
  options: SerialOptions
  deps: SourceDeps
  name: string
  checksum: Checksum
  /** Reads what comes unasked. */
  channel: Channel | undefined
  exchanges: Exchange<Channel | undefined>[]
  channels: Channel[]
}

export const openSerial = (options: SerialOptions, deps: SerialDeps): Source => {
  const { openPort = openSerialPort, listPorts = listSerialPorts, random = Math.random } = deps
  const { id, silenceMsMax, retryMsMax } = options
  const name = portNameOf(options.port)
  const nowMs = () => deps.now().getTime()
  let state: { health: Health; message?: string } = { health: 'starting' }
  let heardAtMs = nowMs()
  let devicesProblem: string | undefined

  const health = (): { health: Health; message?: string } => {
    if (state.health !== 'ok') return state
    if (devicesProblem !== undefined) return { health: 'stale', message: devicesProblem }
    const silentMs = nowMs() - heardAtMs
    if (silenceMsMax === undefined || silentMs <= silenceMsMax) return state
    return { health: 'stale', message: `${name} is open, but nothing came for ${Math.round(silentMs / 1000)} s` }
  }

  const connect = async (): Promise<OpenedPort | undefined> => {
    try {
      const path = await pathOf(options.port, listPorts)
      const port = await openPort(path, options)
      if (state.health === 'failing') deps.log.info({ port: path }, 'port is open')
      state = { health: 'ok' }
      heardAtMs = nowMs()
      return port
    } catch (error) {
      const message = openProblem(name, error as Error)
      if (state.message !== message) deps.log.warn({ port: name }, message)
      state = { health: 'failing', message }
      return undefined
    }
  }
  const watch: Watch = {
    heard: () => {
      heardAtMs = nowMs()
    },
    devices: problem => {
      if (devicesProblem === problem) return
      devicesProblem = problem
      if (problem === undefined) deps.log.info({ source: id }, 'all devices answer')
      else deps.log.warn({ source: id }, problem)
    },
  }

  async function* batches(_resume: Cursor, signal: AbortSignal): AsyncGenerator<Batch> {
    const line = createLine(options, deps, name)
    let waitMs = 250
    while (!signal.aborted) {
      const port = await connect()
      const openedMs = nowMs()
      if (port) {
        try {
          yield* listen(line, port, signal, watch)
        } finally {
          await port.close()
        }
        if (signal.aborted) return
        deps.log.warn({ port: name }, 'port is lost')
        state = { health: 'failing', message: `${name} was lost; opening it again` }
        if (nowMs() - openedMs > retryMsMax || heardAtMs > openedMs) waitMs = 250
      }
      await createAlarm().wait(waitMs * (0.5 + random()), signal)
      waitMs = Math.min(waitMs * 2, retryMsMax / 1.5)
    }
  }

  return { id, kind: 'serial', batches, health }
}

interface Watch {
  /** Bytes came. */
  heard(): void
  /** Which devices do not answer, in one sentence. */
  devices(problem: string | undefined): void
}

const createLine = (options: SerialOptions, deps: SourceDeps, name: string): Line => {
  const { id, site, zone, format, poll, recordBytesMax } = options
  const device = options.device ?? id
  const channels: Channel[] = []
  const channelOf = (format: RecordFormat, device: string, stream: string): Channel => {
    const context = { source: id, file: name, site, device, stream, zone, frameRowsMax, recordBytesMax }
    const channel = {
      decoder: createDecoder(format, context),
      undecoded: new Uint8Array(0),
      recordBytes: format.kind === 'binary' ? format.recordBytes : undefined,
    }
    channels.push(channel)
    return channel
  }
  const checksum = createChecksum(options.checksum)
  const line: Line = { options, deps, name, checksum, channel: undefined, exchanges: [], channels }
  if (!poll || poll.line !== undefined) {
    if (format) line.channel = channelOf(format, device, options.stream)
    return line
  }
  const devices = options.devices ?? [{ address: '', device, stream: undefined, commands: undefined }]
  for (const { address, device, stream = options.stream, commands = poll.commands ?? [] } of devices) {
    const deviceLabel = options.devices ? `${device} (address ${address})` : device
    for (const command of commands) {
      const text = command.send.replaceAll('{address}', String(address))
      const expect = command.expect?.replaceAll('{address}', escapeRegex(String(address)))
      const own = command.format ?? format
      line.exchanges.push({
        target: own && channelOf(own, device, command.stream ?? stream),
        label: text,
        deviceLabel,
        bytes: sentBytes(line, text),
        echo: commandBytes(line, text),
        ...(expect !== undefined && { expect: new RegExp(expect, 's') }),
        answers: command.answers,
        answerMsMax: command.answerMsMax ?? poll.answerMsMax,
        retries: command.retries ?? poll.retries,
      })
    }
  }
  return line
}

const escapeRegex = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')

const commandBytes = ({ options, checksum }: Line, text: string): Uint8Array =>
  options.checksum.onCommands ? checksum.close(bytesOf(text)) : bytesOf(text)
const sentBytes = (line: Line, text: string): Buffer =>
  Buffer.concat([commandBytes(line, text), bytesOf(line.options.sendEnd)])

/** Reads an open port until it is lost or the signal aborts. */
async function* listen(line: Line, port: OpenedPort, signal: AbortSignal, watch: Watch): AsyncGenerator<Batch> {
  const { deps } = line
  const nowMs = () => deps.now().getTime()
  const alarm = createAlarm()
  const reading = readAhead(port, nowMs, alarm.ring)
  const writer = createLineWriter(port, alarm.ring)
  const desk = createDesk(line, nowMs)
  const ear = createEar(line, desk, nowMs())
  const mouth = createMouth(line, ear, writer, nowMs, alarm)
  let probedMs = nowMs()
  let isLost = false
  try {
    while (!signal.aborted && !isLost) {
      const chunk = reading.take()
      if (chunk) {
        watch.heard()
        ear.take(chunk, mouth.conversation)
      }
      const gapMs = chunk ? 0 : ear.idle(nowMs(), mouth.conversation)
      const stepMs = mouth.step(chunk?.atMs ?? nowMs())
      watch.devices(mouth.problem())
      if (desk.waitMs() <= 0) {
        const batch = desk.takeBatch()
        if (batch) yield batch
      }
      if (reading.ended() || writer.failed()) isLost = true
      else if (!chunk && Math.abs(nowMs() - probedMs) >= probeMs) {
        probedMs = nowMs()
        isLost = !(await port.isThere())
      }
      if (!chunk && !isLost) await alarm.wait(Math.max(1, Math.min(probeMs, gapMs, stepMs, desk.waitMs())), signal)
    }
  } finally {
    mouth.stop()
    writer.stop()
    reading.stop()
  }
  ear.giveUp(isLost ? 'the port was lost' : 'the gateway stopped')
  const batch = desk.takeBatch()
  if (batch) yield batch
}

/** Collects rows and rejects into batches. */
interface Desk {
  decode(channel: Channel, record: FramedRecord): void
  reject(bytes: Uint8Array, reason: string): void
  /** So long the batch may still wait for more; 0 or less: it is due. */
  waitMs(): number
  takeBatch(): Batch | undefined
}

/** Rows of one line keep their order, also where the clock is coarse or was set back a little. */
const stampStepNs = 1000n
const clockBackNsMax = 1_000_000_000n

const createDesk = ({ options, deps, name, channels }: Line, nowMs: () => number): Desk => {
  const { flushMsMax } = options
  const isBinary = channels.length > 0 && channels.every(({ recordBytes }) => recordBytes !== undefined)
  let frames: Frame[] = []
  let rejects: Reject[] = []
  let rows = 0
  let sinceMs = 0
  let lastNs = 0n

  const begin = () => {
    if (frames.length + rejects.length === 0) sinceMs = nowMs()
  }
  const stamp = (atNs: bigint): bigint => {
    const isBack = atNs <= lastNs && lastNs - atNs < clockBackNsMax
    lastNs = isBack ? lastNs + stampStepNs : atNs
    return lastNs
  }
  const reject = (bytes: Uint8Array, reason: string) => {
    if (bytes.length === 0) return
    begin()
    const text = isBinary
      ? (
          Buffer.from(bytes.subarray(0, LIMITS.rejectTextCharsMax / 3))
            .toString('hex')
            .match(/../g) ?? []
        ).join(' ')
      : new TextDecoder().decode(bytes).slice(0, LIMITS.rejectTextCharsMax)
    rejects.push({ origin: { source: options.id, file: name }, reason, text, at: deps.now().toISOString() })
  }
  return {
    reject,
    decode(channel, record) {
      const { recordBytes, decoder } = channel
      if (recordBytes !== undefined && (record.bytes.length === 0 || record.bytes.length % recordBytes !== 0)) {
        return reject(record.bytes, `the frame has ${record.bytes.length} bytes, ${recordBytes} are expected`)
      }
      begin()
      const parts = [channel.undecoded, record.bytes, ...(recordBytes === undefined ? [newline] : [])]
      const bytes = Buffer.concat(parts)
      const decoded = decoder.push(bytes, false, stamp(record.atNs))
      // A record of the format may span frames: what is not used yet comes again with the next one.
      channel.undecoded = Uint8Array.from(bytes.subarray(decoded.used))
      frames.push(...decoded.frames)
      rejects.push(...decoded.rejects)
      rows += decoded.rowsRead
    },
    waitMs() {
      if (frames.length + rejects.length === 0) return probeMs
      if (rows >= rowsMax || rejects.length >= rejectsMax) return 0
      const passedMs = nowMs() - sinceMs
      return passedMs < 0 ? 0 : flushMsMax - passedMs
    },
    takeBatch() {
      if (frames.length + rejects.length === 0) return undefined
      const batch: Batch = { frames: mergeFrames(frames), rejects, ledger: [], cursor: {} }
      frames = []
      rejects = []
      rows = 0
      return batch
    },
  }
}
const newline = Buffer.from('\n')

/** Bytes to frames, frames to their channel. */
interface Ear {
  take(chunk: Chunk, conversation: Conversation<Channel | undefined> | undefined): void
  /** Nothing came until now. Returns in how many ms a pause would end a frame. */
  idle(nowMs: number, conversation: Conversation<Channel | undefined> | undefined): number
  /** What has no end yet is nobody's answer. */
  clear(): void
  giveUp(why: string): void
}

const createEar = (line: Line, desk: Desk, openedMs: number): Ear => {
  const { options, checksum, channels } = line
  const what = options.framing ? 'frame' : 'line'
  const framing: FramingOptions = options.framing ?? { by: 'delimiter', end: options.delimiter ?? '\\n' }
  const framer: RecordFramer = createFramer(framing, options.recordBytesMax, what)
  const asks = options.poll !== undefined && options.poll.line === undefined
  let mayBeCut = options.firstLine === 'reject' && !asks
  let isFirst = !asks
  let lastMs = openedMs

  const hear = (record: FramedRecord, conversation: Conversation<Channel | undefined> | undefined, atMs: number) => {
    if (mayBeCut) {
      mayBeCut = false
      return desk.reject(record.bytes, `the port was opened while this ${what} came: its beginning may be missing`)
    }
    if (record.problem !== undefined) return desk.reject(record.bytes, record.problem)
    // Blanks alone are what is left of an answer; an echo has no checksum.
    if (conversation && (record.bytes.every(isBlank) || conversation.isEcho(record.bytes))) return
    const opened = checksum.open(record.bytes)
    if ('problem' in opened) return desk.reject(record.bytes, opened.problem)
    const whole = { ...record, bytes: withoutMarks(framing, opened.bytes) }
    if (!conversation) {
      if (line.channel) desk.decode(line.channel, whole)
      return
    }
    const taken = conversation.take(whole.bytes, atMs)
    if ('problem' in taken) desk.reject(record.bytes, taken.problem)
    else if (taken.target) desk.decode(taken.target, whole)
  }
  return {
    take({ bytes, atMs }, conversation) {
      if (framer.gapMs !== undefined && framer.isOpen() && atMs - lastMs >= framer.gapMs) {
        for (const record of framer.idle()) hear(record, conversation, lastMs)
      }
      lastMs = atMs
      if (isFirst && options.firstLine === 'auto') {
        mayBeCut ||= atMs - openedMs < options.quietMs && options.open.length === 0
      }
      isFirst = false
      for (const record of framer.push(bytes, BigInt(atMs) * 1_000_000n)) hear(record, conversation, atMs)
    },
    idle(nowMs, conversation) {
      if (framer.gapMs === undefined || !framer.isOpen()) return probeMs
      const leftMs = lastMs + framer.gapMs - nowMs
      if (leftMs > 0 && leftMs <= framer.gapMs) return leftMs
      for (const record of framer.idle()) hear(record, conversation, nowMs)
      return probeMs
    },
    clear() {
      const rest = framer.rest()
      // Line ends behind the end of a frame are no half frame.
      if (!rest.every(isBlank)) desk.reject(rest, `this ${what} had no end when the next command was due`)
    },
    giveUp(why) {
      for (const channel of channels) {
        desk.reject(channel.undecoded, `${why} while this record came`)
        channel.undecoded = new Uint8Array(0)
      }
      desk.reject(framer.rest(), `${why} while this ${what} came`)
    },
  }
}

const isBlank = (byte: number): boolean => byte === 13 || byte === 10 || byte === 32
/** Frames with a tail still have their marks, for the checksum may cover them. */
const withoutMarks = (framing: FramingOptions, bytes: Uint8Array): Uint8Array => {
  if (framing.by !== 'delimiter' || framing.tailBytes === undefined) return bytes
  const start = bytesOf(framing.start ?? '')
  const end = bytesOf(framing.end)
  const from = start.equals(bytes.subarray(0, start.length)) ? start.length : 0
  const to = end.equals(bytes.subarray(-end.length)) ? bytes.length - end.length : bytes.length
  return bytes.subarray(from, to)
}

/** What is sent: lines after opening; then one line again and again, or a conversation. */
interface Mouth {
  conversation: Conversation<Channel | undefined> | undefined
  step(nowMs: number): number
  problem(): string | undefined
  stop(): void
}

const createMouth = (line: Line, ear: Ear, writer: LineWriter, nowMs: () => number, alarm: Alarm): Mouth => {
  const { poll, open } = line.options
  const opening = open.map(text => sentBytes(line, text))
  if (!poll || poll.line !== undefined) {
    const again = poll?.line === undefined ? undefined : sentBytes(line, poll.line)
    const first = again ? [...opening, again] : opening
    if (first.length > 0) writer.write(Buffer.concat(first))
    const timer = again && setInterval(() => writer.write(again), poll?.everyMs)
    return { conversation: undefined, step: () => probeMs, problem: () => undefined, stop: () => clearInterval(timer) }
  }
  let isOpened = opening.length === 0
  if (!isOpened) {
    writer.write(Buffer.concat(opening), () => {
      isOpened = true
    })
  }
  const port = {
    beforeSend: () => ear.clear(),
    write: (bytes: Uint8Array, done: () => void) => {
      writer.write(bytes, () => {
        done()
        alarm.ring()
      })
    },
  }
  const { everyMs, pacingMs, lateMs, aligned, echo } = poll
  const conversation = createConversation(
    { exchanges: line.exchanges, everyMs, pacingMs, lateMs, isAligned: aligned, hasEcho: echo },
    port,
    nowMs(),
  )
  const problem = (): string | undefined => {
    const { sentences, deviceCount } = conversation.silent()
    if (sentences.length === 0) return undefined
    const all =
      sentences.length === deviceCount && deviceCount > 1 ? `none of the ${deviceCount} devices is well: ` : ''
    const more = sentences.length > 5 ? `; and ${sentences.length - 5} more` : ''
    return `${all}${sentences.slice(0, 5).join('; ')}${more}`.slice(0, LIMITS.reasonCharsMax)
  }
  return { conversation, step: ms => (isOpened ? conversation.step(ms) : probeMs), problem, stop: () => {} }
}
