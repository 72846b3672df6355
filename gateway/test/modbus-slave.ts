/** A tiny Modbus server for tests: units of registers and bits that the test holds, over TCP or RTU, with bad manners on demand. */
import { createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { crc16Modbus } from '../src/checksum.ts'

export interface Slave {
  /** By unit: registers and bits; an address that is missing is refused with exception 2. */
  units: Map<number, { holding: Map<number, number>; input: Map<number, number>; coil: Map<number, boolean> }>
  /** All reads so far. */
  asked: { unit: number; code: number; address: number; count: number }[]
  /** What happens to a read: an answer, or bad manners. */
  manner(unit: number, address: number, n: number): Manner
}
export type Manner =
  | 'answer'
  | 'silence'
  | { lateMs: number }
  | { exception: number }
  | { bytes: Buffer }
  | { noise: Buffer }
  | 'wrong-crc'
  | 'hang-up'

export const newSlave = (): Slave => ({ units: new Map(), asked: [], manner: () => 'answer' })
export const addUnit = (slave: Slave, unit: number, holding: number[] = [], first = 0) => {
  const made = {
    holding: new Map(holding.map((value, i) => [first + i, value])),
    input: new Map<number, number>(),
    coil: new Map<number, boolean>(),
  }
  slave.units.set(unit, made)
  return made
}

/** Function code and data of the answer, or undefined where the unit does not exist. */
const answerOf = (slave: Slave, unit: number, pdu: Buffer): Buffer | undefined => {
  const device = slave.units.get(unit)
  const code = pdu[0] ?? 0
  if (!device) return undefined
  const address = pdu.readUInt16BE(1)
  const count = pdu.readUInt16BE(3)
  const refuse = (exception: number) => Buffer.of(code | 0x80, exception)
  if (code === 1 || code === 2) {
    const bytes = Buffer.alloc(Math.ceil(count / 8))
    for (let i = 0; i < count; i++) {
      const bit = device.coil.get(address + i)
      if (bit === undefined) return refuse(2)
      if (bit) bytes[i >> 3] = (bytes[i >> 3] ?? 0) | (1 << (i & 7))
    }
    return Buffer.concat([Buffer.of(code, bytes.length), bytes])
  }
  if (code !== 3 && code !== 4) return refuse(1)
  const bytes = Buffer.alloc(count * 2)
  for (let i = 0; i < count; i++) {
    const value = (code === 3 ? device.holding : device.input).get(address + i)
    if (value === undefined) return refuse(2)
    bytes.writeUInt16BE(value, i * 2)
  }
  return Buffer.concat([Buffer.of(code, bytes.length), bytes])
}

const withCrc = (frame: Buffer): Buffer => {
  const crc = Buffer.alloc(2)
  crc.writeUInt16LE(crc16Modbus(frame))
  return Buffer.concat([frame, crc])
}

const respond = async (
  slave: Slave,
  unit: number,
  pdu: Buffer,
  frame: (pdu: Buffer) => Buffer,
  stream: Duplex,
): Promise<void> => {
  slave.asked.push({ unit, code: pdu[0] ?? 0, address: pdu.readUInt16BE(1), count: pdu.readUInt16BE(3) })
  const answer = answerOf(slave, unit, pdu)
  const manner = answer ? slave.manner(unit, pdu.readUInt16BE(1), slave.asked.length) : 'silence'
  if (!answer || manner === 'silence') return
  if (manner === 'hang-up') {
    stream.destroy()
    return
  }
  let bytes = frame(answer)
  if (manner === 'wrong-crc') bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 0xff
  else if (manner !== 'answer') {
    if ('lateMs' in manner) await sleep(manner.lateMs)
    else if ('exception' in manner) bytes = frame(Buffer.of((pdu[0] ?? 0) | 0x80, manner.exception))
    else if ('bytes' in manner) bytes = manner.bytes
    else bytes = Buffer.concat([manner.noise, bytes, manner.noise])
  }
  if (!stream.destroyed) stream.write(bytes)
}

/** Serves RTU on a stream. */
export const serveRtu = (slave: Slave, stream: Duplex): void => {
  let held: Buffer = Buffer.alloc(0)
  stream.on('error', () => {})
  stream.on('data', (bytes: Buffer) => {
    held = Buffer.concat([held, bytes])
    while (held.length >= 8) {
      const request = held.subarray(0, 8)
      const isWhole = crc16Modbus(request.subarray(0, 6)) === request.readUInt16LE(6)
      if (isWhole) {
        const unit = request[0] ?? 0
        const frame = (pdu: Buffer) => withCrc(Buffer.concat([Buffer.of(unit), pdu]))
        void respond(slave, unit, Buffer.from(request.subarray(1, 6)), frame, stream)
      }
      held = held.subarray(isWhole ? 8 : 1)
    }
  })
}

/** Serves Modbus TCP, each byte in a packet of its own where `inPieces`. */
export const serveTcp = (slave: Slave, socket: Socket): void => {
  let held: Buffer = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', bytes => {
    held = Buffer.concat([held, bytes])
    while (held.length >= 12) {
      const request = Buffer.from(held.subarray(0, 12))
      held = held.subarray(12)
      const unit = request[6] ?? 0
      const frame = (pdu: Buffer) => {
        const head = Buffer.from(request.subarray(0, 7))
        head.writeUInt16BE(pdu.length + 1, 4)
        return Buffer.concat([head, pdu])
      }
      void respond(slave, unit, request.subarray(7), frame, socket)
    }
  })
}

export interface Listening {
  port: number
  /** Connections so far. */
  connections(): number
  /** Ends the connections, and the server with them. */
  close(): Promise<void>
}
export const listen = async (serve: (socket: Socket) => void, port = 0): Promise<Listening> => {
  const sockets = new Set<Socket>()
  let connections = 0
  const server: Server = createServer(socket => {
    connections++
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    serve(socket)
  })
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    connections: () => connections,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
