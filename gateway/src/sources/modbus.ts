/**
 * Modbus units, polled: over TCP, over a serial line (RTU), or RTU over a socket.
 *
 *     round ─► unit ─► reads of its plan ─► one row: values, holes, status ─► batch
 *                └─ silent: asked last and once, told by name; the others go on
 *
 * A read that the unit refuses makes holes in its columns and a status in the row. A read that it refuses for its address is
 * cut in two until the address that it does not have stands alone. When nothing at all answers, the connection is made anew:
 * the other side of a TCP connection may be gone without a word.
 */

import type { Socket } from 'node:net'
import { duration } from '@penstock/config'
import { type Frame, type Health, LIMITS, nameSchema, type Reject } from '@penstock/frame'
import * as z from 'zod'
import { createAlarm } from '../alarm.ts'
import { nextRoundMs } from '../conversation.ts'
import {
  BadAnswerError,
  connectTcp,
  LinkLostError,
  ModbusExceptionError,
  type ModbusLink,
  openRtuLink,
  openTcpLink,
} from '../modbus-link.ts'
import {
  type ColumnHead,
  columnsOf,
  createRegister,
  decodeRegister,
  planReads,
  type Read,
  type RegisterOptions,
  readLabel,
  registerSchema,
  repeatedName,
  splitRead,
  type Value,
} from '../modbus-map.ts'
import { placementShape, sourceId } from '../placement.ts'
import {
  lineSettings,
  listSerialPorts,
  openProblem,
  openSerialPort,
  pathOf,
  portNameOf,
  portOption,
} from '../serial-port.ts'
import type { Batch, Cursor, Source } from '../source.ts'
import type { SerialDeps } from './serial.ts'

const registersSchema = z
  .array(registerSchema)
  .min(1)
  .max(4000)
  .check(ctx => {
    const repeated = repeatedName(ctx.value)
    if (repeated === undefined) return
    ctx.issues.push({ code: 'custom', input: ctx.value, message: `has two columns "${repeated}"` })
  })
const unitNumber = z.int().min(0).max(255)
const unitSchema = z.strictObject({
  unit: unitNumber.describe('Number of the unit (slave address); over TCP often 1 or 255'),
  device: nameSchema.describe('Name of the device'),
  stream: nameSchema.optional().describe('Default: the stream of the source'),
  registers: registersSchema.optional().describe('Its own map; default: that of the source'),
})

export const modbusOptions = z
  .strictObject({
    id: sourceId,
    kind: z.literal('modbus'),
    site: placementShape.site,
    device: placementShape.device,
    stream: placementShape.stream,
    tcp: z
      .strictObject({
        host: z.string().min(1).max(255).describe('Name or address'),
        port: z.int().min(1).max(65_535).default(502),
        framing: z
          .enum(['tcp', 'rtu'])
          .default('tcp')
          .describe('tcp: Modbus TCP; rtu: RTU frames through a socket, as serial device servers carry them'),
        connectMsMax: duration
          .pipe(z.int().min(10).max(600_000))
          .default(5000)
          .describe('Longest wait for a connection'),
      })
      .optional()
      .describe('Units behind a network address'),
    rtu: z
      .strictObject({ port: portOption, ...lineSettings })
      .optional()
      .describe('Units on a serial line'),
    everyMs: duration.pipe(z.int().min(10)).describe('How often all units are read'),
    aligned: z.boolean().default(false).describe('Rounds begin at whole multiples of `everyMs` of the clock'),
    unit: unitNumber.default(1).describe('Number of the unit, where there is but one'),
    units: z.array(unitSchema).min(1).max(256).optional().describe('Several units: a row for each in every round'),
    registers: registersSchema.optional().describe('What is read of each unit that has no map of its own'),
    gapMax: z
      .int()
      .min(0)
      .max(124)
      .default(8)
      .describe('So many addresses that nobody asked for are read along rather than making two reads; 0: none'),
    readRegistersMax: z.int().min(1).max(125).default(125).describe('Registers of one read'),
    readBitsMax: z.int().min(1).max(2000).default(2000).describe('Coils or discrete inputs of one read'),
    answerMsMax: duration
      .pipe(z.int().min(10).max(600_000))
      .default(1000)
      .describe('An answer that takes longer counts as none'),
    lateMs: duration
      .pipe(z.int().max(600_000))
      .optional()
      .describe(
        'RTU: after a time-out the unit is left alone for so long, or until its late answer has come: it must not be taken for the next one. Default: as long as the time-out',
      ),
    retries: z
      .int()
      .min(0)
      .max(10)
      .default(1)
      .describe('How often a read without an answer is tried again in its round'),
    pacingMs: duration.pipe(z.int().max(60_000)).default(0).describe('Pause between two requests'),
    flushMsMax: duration
      .pipe(z.int().min(1).max(60_000))
      .default(200)
      .describe('Rows wait at most this long for others'),
    retryMsMax: duration.pipe(z.int().min(100)).default(30_000).describe('Longest wait before connecting again'),
  })
  .check(ctx => {
    for (const { path, message } of problemsOf(ctx.value)) {
      ctx.issues.push({ code: 'custom', path, message, input: ctx.value })
    }
  })
  .describe('Modbus TCP or RTU')
type Written = z.output<typeof modbusOptions>
/** With the site of the gateway where none is named. Modbus has no local times, so no zone. */
export type ModbusOptions = Omit<Written, 'site'> & { site: string }

function problemsOf(options: {
  tcp?: object | undefined
  rtu?: object | undefined
  registers?: unknown[] | undefined
  units?: { unit: number; device: string; stream?: string | undefined; registers?: unknown[] | undefined }[] | undefined
}): { path: (string | number)[]; message: string }[] {
  const { tcp, rtu, units, registers } = options
  const problems: { path: (string | number)[]; message: string }[] = []
  const tell = (path: (string | number)[], message: string) => problems.push({ path, message })
  if (!tcp && !rtu) tell([], 'says not where: give tcp: {host: …} or rtu: {port: …}')
  if (tcp && rtu) tell(['rtu'], 'goes not with `tcp`: give one of them')
  if (!units && !registers) tell(['registers'], 'is missing: expected a list')
  const seen = new Set<string>()
  for (const [i, unit] of (units ?? []).entries()) {
    if (!unit.registers && !registers)
      tell(['units', i, 'registers'], 'is missing: give it here, or once for the source')
    const series = `${unit.device}/${unit.stream ?? ''}`
    if (seen.has(series)) tell(['units', i, 'device'], `a second unit writes the stream of "${unit.device}"`)
    seen.add(series)
  }
  return problems
}

/** A unit as it is polled. */
interface Unit {
  number: number
  device: string
  stream: string
  label: string
  heads: ColumnHead[]
  /** First column of each register. */
  columnOf: Map<Read['registers'][number], number>
  reads: Read[]
  isSilent: boolean
  heardAtMs: number | undefined
  askedAtMs: number | undefined
  /** What is wrong with it, in plain words. */
  problem: string | undefined
}

export const openModbus = (options: ModbusOptions, deps: SerialDeps): Source => {
  const { id, retryMsMax } = options
  const random = deps.random ?? Math.random
  const name = nameOf(options)
  const units = unitsOf(options)
  let link: { health: Health; message?: string } = { health: 'starting' }

  const health = (): { health: Health; message?: string } => {
    if (link.health !== 'ok') return link
    const problems = units.flatMap(unit => unit.problem ?? [])
    if (problems.length === 0) return link
    const more = problems.length > 5 ? `; and ${problems.length - 5} more` : ''
    return { health: 'stale', message: `${problems.slice(0, 5).join('; ')}${more}`.slice(0, LIMITS.reasonCharsMax) }
  }
  const connect = async (signal: AbortSignal): Promise<ModbusLink | undefined> => {
    try {
      const opened = await openLink(options, deps, signal)
      if (link.health === 'failing') deps.log.info({ source: id }, `${name} is connected`)
      link = { health: 'ok' }
      return opened
    } catch (error) {
      const message = connectProblem(options, name, error as Error)
      if (link.message !== message && !signal.aborted) deps.log.warn({ source: id }, message)
      link = { health: 'failing', message }
      return undefined
    }
  }

  async function* batches(_resume: Cursor, signal: AbortSignal): AsyncGenerator<Batch> {
    const alarm = createAlarm()
    const clock = createClock(options, deps)
    let waitMs = 250
    while (!signal.aborted) {
      const opened = await connect(signal)
      if (opened) {
        const close = () => void opened.close().catch(() => {})
        signal.addEventListener('abort', close)
        try {
          const heard = yield* poll(options, deps, name, units, opened, clock, signal)
          if (heard) waitMs = 250
        } finally {
          signal.removeEventListener('abort', close)
          await opened.close()
        }
        if (signal.aborted) return
        link = { health: 'failing', message: `the connection to ${name} was lost; connecting again` }
      }
      await alarm.wait(waitMs * (0.5 + random()), signal)
      waitMs = Math.min(waitMs * 2, retryMsMax / 1.5)
    }
  }
  return { id, kind: 'modbus', batches, health }
}

const unitsOf = (options: ModbusOptions): Unit[] => {
  const { gapMax, readRegistersMax: registersMax, readBitsMax: bitsMax } = options
  const written = options.units ?? [{ unit: options.unit, device: options.device ?? options.id }]
  return written.map(({ unit, device, stream, registers = options.registers ?? [] }: z.output<typeof unitSchema>) => {
    const made = registers.map((register: RegisterOptions) => createRegister(register))
    const columnOf = new Map<Read['registers'][number], number>()
    const heads: ColumnHead[] = []
    for (const register of made) {
      columnOf.set(register, heads.length)
      heads.push(...register.columns)
    }
    return {
      number: unit,
      device,
      stream: stream ?? options.stream,
      label: `${device} (unit ${unit})`,
      heads,
      columnOf,
      reads: planReads(made, { gapMax, registersMax, bitsMax }),
      isSilent: false,
      heardAtMs: undefined,
      askedAtMs: undefined,
      problem: undefined,
    }
  })
}

const nameOf = ({ tcp, rtu }: ModbusOptions): string =>
  tcp ? `${tcp.host}:${tcp.port}` : rtu ? portNameOf(rtu.port) : 'nowhere'

/** 3.5 characters of 11 bits; from 19,200 baud on the standard fixes 1.75 ms. */
const quietMsOf = ({ rtu }: ModbusOptions): number =>
  Math.ceil(rtu ? Math.max(1.75, (3.5 * 11_000) / rtu.baudRate) : 1.75)

const openLink = async (options: ModbusOptions, deps: SerialDeps, signal: AbortSignal): Promise<ModbusLink> => {
  const { tcp, rtu, answerMsMax, lateMs = answerMsMax } = options
  const limits = { answerMsMax, lateMs, quietMs: quietMsOf(options) }
  if (rtu) {
    const { openPort = openSerialPort, listPorts = listSerialPorts } = deps
    return openRtuLink(await openPort(await pathOf(rtu.port, listPorts), rtu), limits)
  }
  const { host, port, connectMsMax, framing } = tcp ?? { host: '', port: 0, connectMsMax: 0, framing: 'tcp' }
  const socket = await connectTcp({ host, port }, connectMsMax, signal)
  return framing === 'tcp' ? openTcpLink(socket, limits) : openRtuLink(portOf(socket), limits)
}
const portOf = (socket: Socket) => ({
  stream: socket,
  isThere: async () => !socket.destroyed,
  close: async () => {
    socket.destroy()
  },
})

const connectProblem = ({ rtu }: ModbusOptions, name: string, error: Error & { code?: string }): string => {
  if (rtu) return openProblem(name, error)
  switch (error.code) {
    case 'ECONNREFUSED':
      return `${name} refuses the connection: nothing listens there; trying again`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${name}: there is no such name in the network; trying again`
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `${name} cannot be reached; trying again`
    default:
      return `${name} cannot be connected: ${error.message}; trying again`
  }
}

/** When rounds begin; goes on over reconnections. */
const createClock = ({ everyMs, aligned }: ModbusOptions, deps: SerialDeps) => {
  let nextMs: number | undefined
  const nowMs = () => deps.now().getTime()
  return {
    /** How long until the next round. A clock that was set back makes no wait longer than a round. */
    waitMs(): number {
      nextMs ??= aligned ? nextRoundMs(nowMs() - 1, nowMs(), everyMs, true) : nowMs()
      return Math.min(nextMs - nowMs(), everyMs)
    },
    begin(): void {
      const startMs = nowMs()
      nextMs = nextRoundMs(aligned ? startMs : Math.min(nextMs ?? startMs, startMs), startMs, everyMs, aligned)
      if (nextMs <= startMs) nextMs += everyMs
    },
  }
}

/** Rounds without any answer after which the connection is made anew. */
const deafRoundsMax = 2

/** Polls until the connection is lost or the signal aborts. Returns whether anything answered. */
async function* poll(
  options: ModbusOptions,
  deps: SerialDeps,
  name: string,
  units: Unit[],
  link: ModbusLink,
  clock: ReturnType<typeof createClock>,
  signal: AbortSignal,
): AsyncGenerator<Batch, boolean> {
  const alarm = createAlarm()
  const { pacingMs, flushMsMax } = options
  const ask = createAsker(options, deps, name, link, async () => {
    if (pacingMs > 0) await createAlarm().wait(pacingMs, signal)
  })
  const nowMs = () => deps.now().getTime()
  let hasHeard = false
  let deafRounds = 0
  while (!signal.aborted && !link.isLost() && deafRounds < deafRoundsMax) {
    const waitMs = clock.waitMs()
    if (waitMs > 0) await alarm.wait(waitMs, signal)
    if (signal.aborted || link.isLost()) break
    clock.begin()
    let frames: Frame[] = []
    let sinceMs = nowMs()
    let answers = 0
    // Silent ones last: their time-outs hold nobody up.
    for (const unit of [...units].sort((a, b) => Number(a.isSilent) - Number(b.isSilent))) {
      if (signal.aborted || link.isLost()) break
      const frame = await ask.unit(unit)
      if (frame) {
        if (frames.length === 0) sinceMs = nowMs()
        frames.push(frame)
        answers++
      }
      if (frames.length > 0 && Math.abs(nowMs() - sinceMs) >= flushMsMax) {
        yield { frames, rejects: ask.takeRejects(), ledger: [], cursor: {} }
        frames = []
      }
    }
    const rejects = ask.takeRejects()
    if (frames.length + rejects.length > 0) yield { frames, rejects, ledger: [], cursor: {} }
    hasHeard ||= answers > 0
    deafRounds = answers > 0 ? 0 : deafRounds + 1
    if (answers === 0 && !(await link.isThere())) break
  }
  return hasHeard
}

/** Asks units; a row for each that answers. */
const createAsker = (
  options: ModbusOptions,
  deps: SerialDeps,
  name: string,
  link: ModbusLink,
  pace: () => Promise<void>,
) => {
  const { id, site, retries } = options
  let rejects: Reject[] = []
  const nowMs = () => deps.now().getTime()
  const origin = { source: id, file: name, format: 'modbus' }
  const reject = (reason: string, text: string) => rejects.push({ origin, reason, text, at: deps.now().toISOString() })

  /** One read with its retries. */
  const read = async (unit: Unit, wanted: Read): Promise<Buffer> => {
    // A silent unit is asked but once.
    const triesMax = unit.isSilent ? 1 : 1 + retries
    for (let tries = 1; ; tries++) {
      await pace()
      try {
        return await link.read(unit.number, wanted)
      } catch (error) {
        if (error instanceof BadAnswerError && error.bytes.length > 0) {
          reject(
            `this is no answer of ${unit.label} to a read of ${readLabel(wanted)}: ${error.message}`,
            hexOf(error.bytes),
          )
        }
        if (error instanceof LinkLostError || error instanceof ModbusExceptionError || tries >= triesMax) throw error
      }
    }
  }

  const unit = async (unit: Unit): Promise<Frame | undefined> => {
    unit.askedAtMs ??= nowMs()
    const values = new Array<Value>(unit.heads.length).fill(null)
    const statuses = new Set<string>()
    const refused: string[] = []
    let atMs: number | undefined
    const todo = [...unit.reads]
    for (let wanted = todo.shift(); wanted; wanted = todo.shift()) {
      try {
        const bytes = await read(unit, wanted)
        atMs ??= nowMs()
        unit.isSilent = false
        take(unit, wanted, bytes, values, statuses)
      } catch (error) {
        if (error instanceof LinkLostError) {
          statuses.add('no-answer')
          break
        }
        if (error instanceof ModbusExceptionError) {
          atMs ??= nowMs()
          unit.isSilent = false
          const halves = isAddressProblem(error) && wanted.registers.length > 1 ? splitRead(wanted) : []
          if (halves.length > 0) {
            unit.reads = unit.reads.flatMap(read => (read === wanted ? halves : read))
            todo.unshift(...halves)
            continue
          }
          refused.push(`${readLabel(wanted)}: ${error.message}`)
          statuses.add(error.status)
          continue
        }
        statuses.add(error instanceof BadAnswerError ? 'bad-answer' : 'no-answer')
        refused.push(`${readLabel(wanted)}: ${(error as Error).message}`)
        // Who says nothing at all would say nothing to the other reads either.
        if (atMs === undefined) break
      }
    }
    if (link.isLost() && atMs === undefined) return undefined
    tell(unit, atMs, refused)
    if (atMs === undefined) return undefined
    const status = statuses.size === 0 ? null : [...statuses].join(' ').slice(0, LIMITS.reasonCharsMax)
    return {
      site,
      device: unit.device,
      stream: unit.stream,
      startNs: BigInt(atMs) * 1_000_000n,
      offsetsNs: Float64Array.of(0),
      columns: columnsOf(unit.heads, values, status),
      origin,
    }
  }

  const take = (unit: Unit, wanted: Read, bytes: Buffer, values: Value[], statuses: Set<string>): void => {
    for (const register of wanted.registers) {
      const first = unit.columnOf.get(register) ?? 0
      const found = decodeRegister(wanted, register, bytes)
      for (const [i, value] of found.values.entries()) values[first + i] = value
      if (found.status !== undefined) statuses.add(found.status)
      if (found.problem) reject(`${unit.label}: ${found.problem.reason}`, found.problem.text)
    }
  }

  const tell = (unit: Unit, atMs: number | undefined, refused: string[]): void => {
    const before = unit.problem
    if (atMs !== undefined) unit.heardAtMs = atMs
    unit.isSilent = atMs === undefined
    const time = (ms: number) => `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`
    if (atMs === undefined) {
      const { heardAtMs, askedAtMs = nowMs() } = unit
      const heard = heardAtMs === undefined ? `never did since ${time(askedAtMs)}` : `last heard at ${time(heardAtMs)}`
      unit.problem = `${unit.label} does not answer; ${heard}`
    } else if (refused.length > 0) {
      const more = refused.length > 3 ? `, and ${refused.length - 3} more` : ''
      unit.problem = `${unit.label} answers, but not ${refused.slice(0, 3).join(', ')}${more}`
    } else unit.problem = undefined
    if (unit.problem === before) return
    if (unit.problem === undefined) deps.log.info({ source: id }, `${unit.label} answers`)
    else deps.log.warn({ source: id }, unit.problem)
  }

  return {
    unit,
    takeRejects(): Reject[] {
      const taken = rejects
      rejects = []
      return taken
    },
  }
}

const isAddressProblem = ({ code }: ModbusExceptionError): boolean => code === 2 || code === 3 || code === 4
const hexOf = (bytes: Uint8Array): string => (Buffer.from(bytes).toString('hex').match(/../g) ?? []).join(' ')
