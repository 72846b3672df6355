/**
 * A serial line on which an instrument talks.
 *
 *     port ──bytes──► framer ──lines──► decoder ──rows──► batch, every `flushMsMax`
 *       ▲                └─ too long, cut off: rejects
 *       └── `open` lines once, `poll` line every so often
 *
 * A port that is missing, taken or pulled out is waited for. The library does not always tell when a device has gone: while
 * nothing comes, the path is looked at, and a path that leads elsewhere or nowhere ends the connection.
 */
import { duration } from '@penstock/config'
import { createDecoder, type Decoder, formatSchema } from '@penstock/formats'
import { type Frame, type Health, LIMITS, type Reject } from '@penstock/frame'
import * as z from 'zod'
import { createAlarm } from '../alarm.ts'
import { mergeFrames } from '../frame-merger.ts'
import { frameRowsMax, type Placed, placementShape, sourceId } from '../placement.ts'
import { createRecordFramer } from '../record-framer.ts'
import {
  type ListPorts,
  lineSettings,
  listSerialPorts,
  type OpenedPort,
  type OpenPort,
  openSerialPort,
} from '../serial-port.ts'
import type { Batch, Cursor, Source, SourceDeps } from '../source.ts'

const text = z.string().min(1).max(4096)
export const serialOptions = z
  .strictObject({
    id: sourceId,
    kind: z.literal('serial'),
    port: z
      .union([
        text,
        z.strictObject({
          serialNumber: text.optional(),
          vendorId: text.optional(),
          productId: text.optional(),
          manufacturer: text.optional(),
        }),
      ])
      .describe(
        'Path, best a stable one such as /dev/serial/by-id/…, or what the adapter says of itself: {serialNumber: …}',
      ),
    ...lineSettings,
    format: formatSchema,
    ...placementShape,
    delimiter: z.string().min(1).max(16).default('\n').describe('What ends a line'),
    recordBytesMax: z
      .int()
      .min(16)
      .max(1024 * 1024)
      .default(65_536)
      .describe('A longer line is rejected'),
    firstLine: z
      .enum(['auto', 'keep', 'reject'])
      .default('auto')
      .describe(
        'The first line after opening may lack its beginning. auto: rejected where bytes came within `quietMs`',
      ),
    quietMs: duration.default(40).describe('Bytes that come sooner after opening may be the end of a line'),
    open: z.array(text).max(100).default([]).describe('Lines to send after opening'),
    poll: z
      .strictObject({ line: text, everyMs: duration.pipe(z.int().min(10)) })
      .optional()
      .describe('A line to send again and again, to an instrument that speaks only when asked'),
    sendEnd: z.string().max(16).default('\r\n').describe('What is put behind every line that is sent'),
    silenceMsMax: duration.optional().describe('Nothing for this long: health is stale'),
    flushMsMax: duration
      .pipe(z.int().min(1).max(60_000))
      .default(200)
      .describe('Rows wait at most this long for others'),
    retryMsMax: duration.pipe(z.int().min(100)).default(30_000).describe('Longest wait before opening again'),
  })
  .describe('A serial line')
export type SerialOptions = Placed<z.output<typeof serialOptions>>

export interface SerialDeps extends SourceDeps {
  openPort?: OpenPort
  listPorts?: ListPorts
  /** 0 … 1, for the jitter of waits. */
  random?(): number
}

const probeMs = 500
const writeMsMax = 5000
const rowsMax = 4096

export const openSerial = (options: SerialOptions, deps: SerialDeps): Source => {
  const { openPort = openSerialPort, listPorts = listSerialPorts, random = Math.random } = deps
  const { id, silenceMsMax, retryMsMax } = options
  const name = typeof options.port === 'string' ? options.port : Object.values(options.port).join(' ')
  const nowMs = () => deps.now().getTime()
  let state: { health: Health; message?: string } = { health: 'starting' }
  let heardAtMs = nowMs()

  const health = (): { health: Health; message?: string } => {
    if (state.health !== 'ok' || silenceMsMax === undefined) return state
    const silentMs = nowMs() - heardAtMs
    if (silentMs <= silenceMsMax) return state
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

  async function* batches(_resume: Cursor, signal: AbortSignal): AsyncGenerator<Batch> {
    const decoder = createDecoder(options.format, contextOf(options, name))
    let waitMs = 250
    while (!signal.aborted) {
      const port = await connect()
      const openedMs = nowMs()
      if (port) {
        try {
          yield* listen(options, deps, name, port, decoder, signal, () => {
            heardAtMs = nowMs()
          })
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

const contextOf = (options: SerialOptions, file: string) => ({
  source: options.id,
  file,
  site: options.site,
  device: options.device ?? options.id,
  stream: options.stream,
  zone: options.zone,
  frameRowsMax,
  recordBytesMax: options.recordBytesMax,
})

/** Reads an open port until it is lost or the signal aborts. */
async function* listen(
  options: SerialOptions,
  deps: SourceDeps,
  name: string,
  port: OpenedPort,
  decoder: Decoder,
  signal: AbortSignal,
  heard: () => void,
): AsyncGenerator<Batch> {
  const { flushMsMax } = options
  const nowMs = () => deps.now().getTime()
  const alarm = createAlarm()
  const framer = createRecordFramer(Buffer.from(options.delimiter), options.recordBytesMax)
  const openedMs = nowMs()
  let frames: Frame[] = []
  let rejects: Reject[] = []
  let rows = 0
  let sinceMs = 0
  let undecoded: Uint8Array = new Uint8Array(0)
  let mayBeCut = options.firstLine === 'reject'
  let isFirst = true

  const reject = (bytes: Uint8Array, reason: string) => {
    if (bytes.length === 0) return
    rejects.push({
      origin: { source: options.id, file: name },
      reason,
      text: new TextDecoder().decode(bytes).slice(0, LIMITS.rejectTextCharsMax),
      at: deps.now().toISOString(),
    })
  }
  const decode = (lines: Uint8Array[]) => {
    if (lines.length === 0) return
    const bytes = Buffer.concat([undecoded, ...lines])
    const decoded = decoder.push(bytes, false, BigInt(nowMs()) * 1_000_000n)
    // A record of the format may span lines: what is not used yet comes again with the next ones.
    undecoded = Uint8Array.from(bytes.subarray(decoded.used))
    frames.push(...decoded.frames)
    rejects.push(...decoded.rejects)
    rows += decoded.rowsRead
  }
  const take = (bytes: Uint8Array) => {
    heard()
    if (isFirst && options.firstLine === 'auto')
      mayBeCut ||= nowMs() - openedMs < options.quietMs && options.open.length === 0
    isFirst = false
    if (frames.length + rejects.length === 0) sinceMs = nowMs()
    let whole: Uint8Array[] = []
    for (const record of framer.push(bytes)) {
      if (!mayBeCut && !record.tooLong) {
        whole.push(record.bytes, newline)
        continue
      }
      decode(whole)
      whole = []
      if (mayBeCut) reject(record.bytes, 'the port was opened while this line came: its beginning may be missing')
      else reject(record.bytes, `the line is longer than ${options.recordBytesMax} bytes`)
      mayBeCut = false
    }
    decode(whole)
  }
  const flush = (): Batch | undefined => {
    if (frames.length + rejects.length === 0) return undefined
    const batch: Batch = { frames: mergeFrames(frames), rejects, ledger: [], cursor: {} }
    frames = []
    rejects = []
    rows = 0
    return batch
  }

  const reading = readAhead(port, alarm.ring)
  const asking = ask(options, port, alarm.ring)
  let probedMs = openedMs
  let isLost = false
  try {
    while (!signal.aborted && !isLost) {
      const bytes = reading.take()
      if (bytes) take(bytes)
      const isDue = sinceMs + flushMsMax <= nowMs() || rows >= rowsMax
      if (isDue) {
        const batch = flush()
        if (batch) yield batch
      }
      if (reading.ended() || asking.failed()) isLost = true
      else if (!bytes && nowMs() - probedMs >= probeMs) {
        probedMs = nowMs()
        isLost = !(await port.isThere())
      }
      if (!bytes && !isLost) {
        const waiting = frames.length + rejects.length > 0
        await alarm.wait(waiting ? Math.max(1, sinceMs + flushMsMax - nowMs()) : probeMs, signal)
      }
    }
  } finally {
    asking.stop()
    reading.stop()
  }
  if (isLost) reject(framer.rest(), 'the port was lost while this line came')
  const batch = flush()
  if (batch) yield batch
}
const newline = Buffer.from('\n')

/** One chunk is asked for ahead of its use: what is not taken stays in the stream, which stops reading when it is full. */
const readAhead = (port: OpenedPort, ring: () => void) => {
  const chunks = port.stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>
  let chunk: Uint8Array | undefined
  let isAsking = false
  let isEnded = false
  const end = () => {
    isEnded = true
    ring()
  }
  // Some losses come as events only: the iterator would wait for ever.
  port.stream.once('close', end)
  port.stream.on('error', end)
  const askNext = () => {
    if (isAsking || isEnded) return
    isAsking = true
    chunks.next().then(
      ({ value, done }) => {
        isAsking = false
        if (done) return end()
        chunk = Buffer.from(value)
        ring()
      },
      () => {
        isAsking = false
        end()
      },
    )
  }
  askNext()
  return {
    take(): Uint8Array | undefined {
      const taken = chunk
      chunk = undefined
      askNext()
      return taken
    },
    ended: () => isEnded && !chunk,
    stop() {
      port.stream.off('close', end)
      isEnded = true
    },
  }
}

/** Sends what the instrument is to be told, one line after the other. */
const ask = (options: SerialOptions, port: OpenedPort, ring: () => void) => {
  let hasFailed = false
  let isBusy = false
  const fail = () => {
    hasFailed = true
    ring()
  }
  const send = (lines: string[]) => {
    // An instrument that does not take the last line yet gets no further one.
    if (isBusy || hasFailed) return
    isBusy = true
    const timer = setTimeout(fail, writeMsMax)
    port.stream.write(lines.map(line => line + options.sendEnd).join(''), error => {
      clearTimeout(timer)
      isBusy = false
      if (error) fail()
    })
  }
  const { poll } = options
  const first = poll ? [...options.open, poll.line] : options.open
  if (first.length > 0) send(first)
  const timer = poll && setInterval(() => send([poll.line]), poll.everyMs)
  return {
    failed: () => hasFailed,
    stop: () => clearInterval(timer),
  }
}

const pathOf = async (port: SerialOptions['port'], listPorts: ListPorts): Promise<string> => {
  if (typeof port === 'string') return port
  const ports = await listPorts()
  const found = ports.filter(info =>
    Object.entries(port).every(
      ([key, wanted]) => String(info[key as keyof typeof info] ?? '').toLowerCase() === String(wanted).toLowerCase(),
    ),
  )
  const [first] = found
  if (!first) throw new Error('No such port')
  if (found.length > 1) throw new Error(`${found.map(info => info.path).join(', ')} all fit: say more of the adapter`)
  return first.path
}

const openProblem = (name: string, error: Error): string => {
  const { message } = error
  if (/No such|ENOENT|File not found|cannot find/i.test(message)) return `${name} is not there; waiting for it`
  if (/permission|EACCES|Access denied/i.test(message)) {
    return `${name} may not be opened: no permission (on Linux, add the user to the group of the device, often dialout)`
  }
  if (/lock|EBUSY|busy/i.test(message)) return `${name} is in use by another program`
  if (/udevadm/.test(message)) return `ports cannot be listed here (no udevadm): give the port by its path`
  return `${name} cannot be opened: ${message}; trying again`
}
