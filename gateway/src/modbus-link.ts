/**
 * A connection over which Modbus units are read: TCP, or RTU over a serial port or a socket.
 *
 *     source ──read──► modbus-serial (requests, checks, exceptions) ──► its TCP port: matched by transaction number
 *                                                                  └──► our RTU port: matched by unit, function, length, CRC
 *
 * The library is used for what it does well; what it leaves open is closed here. Its own RTU ports keep bytes of a late
 * answer and take them for the next one: ours forgets them, and after a time-out a unit is left alone until its late answer
 * has come or can no longer come. It neither reconnects nor tells of a lost connection in every case, and requests may stay
 * pending for ever when a port is destroyed: here the socket or port is ours, and its loss ends the request at hand.
 */
import { EventEmitter } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { crc16Modbus } from './checksum.ts'
import type { Read } from './modbus-map.ts'
import type { OpenedPort } from './serial-port.ts'

/** Nothing came in time. */
export class NoAnswerError extends Error {}
/** What came is no answer to the request. */
export class BadAnswerError extends Error {
  readonly bytes: Uint8Array
  constructor(message: string, bytes: Uint8Array) {
    super(message)
    this.bytes = bytes
  }
}
/** The unit said why it does not answer as asked. */
export class ModbusExceptionError extends Error {
  readonly code: number
  constructor(code: number) {
    super(exceptions[code]?.text ?? `exception ${code}`)
    this.code = code
  }
  /** As a row's status says it. */
  get status(): string {
    return exceptions[this.code]?.status ?? `modbus-exception-${this.code}`
  }
}
/** The connection is gone. */
export class LinkLostError extends Error {}

const exceptions: Record<number, { status: string; text: string }> = {
  1: { status: 'illegal-function', text: 'it does not know this function' },
  2: { status: 'illegal-data-address', text: 'it has no such address' },
  3: { status: 'illegal-data-value', text: 'it does not allow this number of registers' },
  4: { status: 'device-failure', text: 'it failed to do so' },
  5: { status: 'acknowledge', text: 'it needs more time' },
  6: { status: 'device-busy', text: 'it is busy' },
  8: { status: 'memory-parity-error', text: 'its memory has a parity error' },
  10: { status: 'gateway-path-unavailable', text: 'the gateway before it has no path to it' },
  11: { status: 'gateway-target-silent', text: 'it does not answer the gateway before it' },
}

export interface ModbusLink {
  /**
   * One read. Resolves with exactly as many bytes as were asked for, registers in their order on the wire. Rejects with one
   * of the errors above. One at a time.
   */
  read(unit: number, read: Pick<Read, 'table' | 'address' | 'count'>): Promise<Buffer>
  isLost(): boolean
  /** Whether a serial port is still there. */
  isThere(): Promise<boolean>
  close(): Promise<void>
}

export interface LinkLimits {
  answerMsMax: number
  /** After a time-out a unit is not asked for so long, or until its late answer has come. */
  lateMs: number
  /** Silence before a request: 3.5 characters. */
  quietMs: number
}

const functions = { coil: 1, discrete: 2, holding: 3, input: 4 } as const

/** Opens a TCP connection. Rejects with an error whose code is that of the system, or ETIMEDOUT. */
export const connectTcp = async (
  { host, port }: { host: string; port: number },
  connectMsMax: number,
  signal: AbortSignal,
): Promise<Socket> => {
  const socket = createConnection({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000, signal })
  const timer = setTimeout(() => {
    socket.destroy(Object.assign(new Error(`no connection within ${connectMsMax} ms`), { code: 'ETIMEDOUT' }))
  }, connectMsMax)
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
      socket.once('close', () => reject(new LinkLostError('closed')))
    })
    return socket
  } catch (error) {
    socket.on('error', () => {})
    socket.destroy()
    throw error
  } finally {
    clearTimeout(timer)
  }
}

export const openTcpLink = async (socket: Socket, limits: LinkLimits): Promise<ModbusLink> => {
  const lost = createLoss(socket)
  const Modbus = await loadModbus()
  const client = new Modbus()
  client.on('error', () => {})
  await client.linkTCP(socket, { port: socket.remotePort ?? 0 })
  return linkOf(client, lost, limits, {
    before: async () => {},
    missed: () => none,
    isThere: async () => !lost.isLost(),
    async close() {
      socket.destroy()
    },
  })
}

/** RTU frames over a serial port, or over a socket of a device server. */
export const openRtuLink = async (port: OpenedPort, limits: LinkLimits): Promise<ModbusLink> => {
  const lost = createLoss(port.stream)
  const Modbus = await loadModbus()
  const rtu = createRtuPort(port.stream)
  const client = new Modbus(rtu)
  client.on('error', () => {})
  await new Promise<void>((resolve, reject) =>
    client.open((error?: Error | null) => (error ? reject(error) : resolve())),
  )
  /** Until when a unit may still answer late. */
  const suspects = new Map<number, number>()
  return linkOf(client, lost, limits, {
    async before(unit) {
      const untilMs = suspects.get(unit)
      suspects.delete(unit)
      if (untilMs !== undefined) await rtu.settle(untilMs - performance.now(), limits.quietMs, lost)
      await rtu.settle(0, limits.quietMs, lost)
      rtu.forget()
    },
    missed(unit) {
      suspects.set(unit, performance.now() + limits.lateMs)
      return rtu.forget()
    },
    isThere: port.isThere,
    async close() {
      rtu.stop()
      await port.close()
    },
  })
}

/** Loaded with the first connection: it loads the native code of serial ports with it. */
const loadModbus = async () => (await import('modbus-serial')).default.default
type Client = InstanceType<Awaited<ReturnType<typeof loadModbus>>>
interface Manners {
  before(unit: number): Promise<void>
  /** No answer in time. Returns the bytes that came in its place. */
  missed(unit: number): Buffer
  isThere(): Promise<boolean>
  close(): Promise<void>
}

const linkOf = (client: Client, lost: Loss, limits: LinkLimits, manners: Manners): ModbusLink => ({
  async read(unit, { table, address, count }) {
    await manners.before(unit)
    if (lost.isLost()) throw new LinkLostError('the connection was lost')
    client.setTimeout(limits.answerMsMax)
    const asked = new Promise<Buffer>((resolve, reject) => {
      const done = (error: unknown, result?: { buffer: Buffer }) =>
        error ? reject(error) : resolve(result?.buffer ?? none)
      const call = { coil: 'writeFC1', discrete: 'writeFC2', holding: 'writeFC3', input: 'writeFC4' } as const
      client[call[table]](unit, address, count, done)
    })
    let bytes: Buffer
    try {
      bytes = await lost.orElse(asked)
    } catch (error) {
      if (error instanceof LinkLostError) throw error
      const { modbusCode, errno, message } = error as Error & { modbusCode?: number; errno?: string }
      if (modbusCode !== undefined) throw new ModbusExceptionError(modbusCode)
      const garbage = manners.missed(unit)
      const isSilent = errno === 'ETIMEDOUT'
      if (isSilent && garbage.length === 0) throw new NoAnswerError(`no answer within ${limits.answerMsMax} ms`)
      throw new BadAnswerError(isSilent ? 'bytes came, but no whole answer' : message, garbage)
    }
    const expected = functions[table] < 3 ? Math.ceil(count / 8) : count * 2
    if (bytes.length !== expected)
      throw new BadAnswerError(`${bytes.length} bytes where ${expected} are expected`, bytes)
    return Buffer.from(bytes)
  },
  isLost: lost.isLost,
  isThere: manners.isThere,
  async close() {
    lost.lose()
    await manners.close()
  },
})
const none = Buffer.alloc(0)

/** Ends what waits when the stream has gone, and hears the errors that nobody else does. */
interface Loss {
  isLost(): boolean
  lose(): void
  /** The promise, or a LinkLostError when the stream goes first. */
  orElse<T>(promise: Promise<T>): Promise<T>
}
const createLoss = (stream: Duplex): Loss => {
  let isLost = false
  const waiting = new Set<() => void>()
  const lose = () => {
    isLost = true
    for (const end of waiting) end()
  }
  stream.on('error', lose)
  stream.once('close', lose)
  stream.once('end', lose)
  return {
    isLost: () => isLost,
    lose,
    async orElse(promise) {
      let end = () => {}
      const loss = new Promise<never>((_, reject) => {
        end = () => reject(new LinkLostError('the connection was lost'))
        waiting.add(end)
      })
      try {
        return await Promise.race([promise, loss])
      } finally {
        waiting.delete(end)
      }
    },
  }
}

/** An answer has at most 256 bytes; what is in front of it may be noise. */
const heldBytesMax = 1024

/** The port that the library writes requests to and hears whole answers from. */
const createRtuPort = (stream: Duplex) => {
  const port = new EventEmitter()
  let held: Buffer = Buffer.alloc(0)
  let expected: { unit: number; code: number; length: number } | undefined
  let heardAtMs = Number.NEGATIVE_INFINITY

  const hear = (bytes: Buffer) => {
    heardAtMs = performance.now()
    held = Buffer.concat([held, bytes]).subarray(-heldBytesMax)
    const answer = expected && answerIn(held, expected)
    if (!answer) return
    expected = undefined
    held = Buffer.alloc(0)
    port.emit('data', answer)
  }
  stream.on('data', hear)
  return Object.assign(port, {
    isOpen: true,
    open: (done: () => void) => done(),
    close: (done?: () => void) => done?.(),
    write(request: Buffer) {
      const count = request.readUInt16BE(4)
      const code = request[1] ?? 0
      expected = { unit: request[0] ?? 0, code, length: code < 3 ? Math.ceil(count / 8) : count * 2 }
      stream.write(request)
    },
    /** Bytes so far, returned, belong to no request. */
    forget(): Buffer {
      const forgotten = held
      expected = undefined
      held = Buffer.alloc(0)
      return forgotten
    },
    /** Waits until `ms` have passed or something came, and then until nothing came for `quietMs`; at most twice `ms` and a second. */
    async settle(ms: number, quietMs: number, lost: Loss) {
      const startMs = performance.now()
      const untilMs = startMs + ms
      const endMs = untilMs + Math.max(0, ms) + 1000
      for (;;) {
        const nowMs = performance.now()
        const isQuiet = nowMs - heardAtMs >= quietMs
        const cameLate = heardAtMs > startMs
        if (lost.isLost() || nowMs >= endMs || (isQuiet && (cameLate || nowMs >= untilMs))) return
        await sleep(Math.max(1, Math.min(20, isQuiet ? untilMs - nowMs : quietMs - (nowMs - heardAtMs))))
      }
    },
    stop: () => stream.off('data', hear),
  })
}

/** The first whole answer to a request among the bytes: right unit, function, length and CRC; or an exception. */
const answerIn = (bytes: Buffer, { unit, code, length }: { unit: number; code: number; length: number }) => {
  for (let at = bytes.indexOf(unit); at >= 0; at = bytes.indexOf(unit, at + 1)) {
    const isAnswer = bytes[at + 1] === code && bytes[at + 2] === length
    const isException = bytes[at + 1] === (code | 0x80)
    const end = at + (isAnswer ? 5 + length : 5)
    if ((!isAnswer && !isException) || end > bytes.length) continue
    if (crc16Modbus(bytes.subarray(at, end - 2)) === bytes.readUInt16LE(end - 2))
      return Buffer.from(bytes.subarray(at, end))
  }
  return undefined
}
