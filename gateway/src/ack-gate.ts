/**
 * Stands between an MQTT client and its socket, so that a message is acknowledged when it is durable and not when it was read:
 *
 *     broker ──PUBLISH──► gate ──────────────► client (mqtt.js), which answers at once
 *     broker ◄──PUBACK── [held by its number] ◄── PUBACK, PUBREC
 *                              └─ `release(number)` lets it go
 *
 * mqtt.js can hold back an acknowledgement by `handleMessage`, but takes no further packet meanwhile: one message for each
 * sync of the disk, and no answer to a ping. Held here, as many messages as the broker has in flight share one sync.
 *
 * Nothing but fixed headers is read (MQTT 3.1.1 and 5, section 2.1: type and flags, then a length of 1 to 4 bytes). A PUBLISH
 * that is too long never gets to the client, which would hold all of it in memory: its bytes are passed over and told.
 */
import { Duplex } from 'node:stream'

/** A PUBLISH that was passed over. */
export interface TooLong {
  topic: string
  qos: number
  /** Of QoS 1 and 2. */
  id: number | undefined
  bytes: number
  /** The first bytes behind topic and number; of MQTT 5, its properties first. */
  head: Buffer
}

export interface AckGate {
  /** The client's end. */
  readonly stream: Duplex
  /** The acknowledgement of this message waits for `release`. To be called before the client gives it. */
  hold(id: number): void
  release(id: number): void
  /** Takes nothing more from the socket until `resume`: what comes stays with the broker. */
  pause(): void
  resume(): void
  /** Acknowledges a message that the client never saw. */
  acknowledge(message: Pick<TooLong, 'qos' | 'id'>): void
}

export interface AckGateOptions {
  publishBytesMax: number
  onTooLong(message: TooLong): void
}

const PUBLISH = 3
const PUBACK = 4
const PUBREC = 5
/** Kept of a message that is too long: its topic (at most 65,535 bytes) and the beginning of its payload. */
const headBytesMax = 70_000

export const createAckGate = (socket: Duplex, { publishBytesMax, onTooLong }: AckGateOptions): AckGate => {
  const held = new Map<number, Buffer | undefined>()
  const incoming = createIncoming(publishBytesMax, onTooLong)
  const outgoing = createPacketCutter()
  let isPaused = false

  const stream = new Duplex({
    allowHalfOpen: false,
    read() {
      if (!isPaused) socket.resume()
    },
    write(chunk: Buffer, _, done) {
      const free: Buffer[] = []
      for (const packet of outgoing(chunk)) {
        const id = ackedId(packet)
        if (id !== undefined && held.has(id)) held.set(id, packet)
        else free.push(packet)
      }
      if (free.length === 0) return done()
      socket.write(Buffer.concat(free), done)
    },
    final(done) {
      socket.end(done)
    },
    destroy(error, done) {
      socket.destroy()
      done(error)
    },
  })
  socket.on('data', (chunk: Buffer) => {
    for (const piece of incoming(chunk)) if (!stream.push(piece)) socket.pause()
  })
  socket.on('end', () => stream.push(null))
  socket.on('error', error => stream.destroy(error))
  socket.on('close', () => stream.destroy())

  return {
    stream,
    hold: id => void held.set(id, undefined),
    release(id) {
      const packet = held.get(id)
      held.delete(id)
      if (packet && !socket.destroyed) socket.write(packet)
    },
    pause() {
      isPaused = true
      socket.pause()
    },
    resume() {
      isPaused = false
      socket.resume()
    },
    acknowledge({ qos, id }) {
      if (id === undefined || qos === 0 || socket.destroyed) return
      socket.write(Buffer.from([(qos === 1 ? PUBACK : PUBREC) << 4, 2, id >> 8, id & 255]))
    },
  }
}

/** The number that a PUBACK or PUBREC names. */
const ackedId = (packet: Buffer): number | undefined => {
  const type = (packet[0] ?? 0) >> 4
  if (type !== PUBACK && type !== PUBREC) return undefined
  return packet.readUInt16BE(headerBytes(packet)?.bytes ?? 2)
}

/** The fixed header at the start: how long it and what follows is; `undefined` where it is not all there. */
const headerBytes = (packet: Uint8Array): { bytes: number; rest: number } | undefined => {
  let rest = 0
  for (let i = 1; i <= 4; i++) {
    const byte = packet[i]
    if (byte === undefined) return undefined
    rest += (byte & 127) * 128 ** (i - 1)
    if (byte < 128) return { bytes: i + 1, rest }
  }
  // No length of five bytes exists: the other side will see that this is no MQTT.
  return { bytes: 5, rest: 0 }
}

/** Cuts what the client writes into whole packets; what it sends is small. */
const createPacketCutter = () => {
  let open: Buffer = Buffer.alloc(0)
  return (chunk: Buffer): Buffer[] => {
    open = open.length === 0 ? chunk : Buffer.concat([open, chunk])
    const packets: Buffer[] = []
    for (let header = headerBytes(open); header; header = headerBytes(open)) {
      const length = header.bytes + header.rest
      if (open.length < length) break
      packets.push(open.subarray(0, length))
      open = open.subarray(length)
    }
    return packets
  }
}

/** Passes on what comes, as it comes, but for a PUBLISH that is too long. */
const createIncoming = (publishBytesMax: number, onTooLong: (message: TooLong) => void) => {
  let open: Buffer = Buffer.alloc(0)
  /** Bytes that still belong to the packet that has begun. */
  let rest = 0
  let skipped: { flags: number; bytes: number; head: Buffer } | undefined

  return (chunk: Buffer): Buffer[] => {
    const pieces: Buffer[] = []
    let bytes = open.length === 0 ? chunk : Buffer.concat([open, chunk])
    open = Buffer.alloc(0)
    while (bytes.length > 0) {
      if (rest === 0) {
        const header = headerBytes(bytes)
        if (!header) {
          open = Buffer.from(bytes)
          break
        }
        const first = bytes[0] ?? 0
        rest = header.rest
        if (first >> 4 === PUBLISH && rest > publishBytesMax)
          skipped = { flags: first, bytes: rest, head: Buffer.alloc(0) }
        else pieces.push(bytes.subarray(0, header.bytes))
        bytes = bytes.subarray(header.bytes)
      }
      const part = bytes.subarray(0, rest)
      rest -= part.length
      bytes = bytes.subarray(part.length)
      if (!skipped) {
        if (part.length > 0) pieces.push(part)
        continue
      }
      const room = headBytesMax - skipped.head.length
      if (room > 0) skipped.head = Buffer.concat([skipped.head, part.subarray(0, room)])
      if (rest > 0) continue
      onTooLong(messageOf(skipped))
      skipped = undefined
    }
    return pieces
  }
}

const messageOf = ({ flags, bytes, head }: { flags: number; bytes: number; head: Buffer }): TooLong => {
  const topicBytes = head.readUInt16BE(0)
  const qos = (flags >> 1) & 3
  const at = 2 + topicBytes
  return {
    topic: head.toString('utf8', 2, at),
    qos,
    id: qos === 0 ? undefined : head.readUInt16BE(at),
    bytes,
    head: head.subarray(at + (qos === 0 ? 0 : 2)),
  }
}
