import { Duplex } from 'node:stream'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createAckGate, type TooLong } from '../src/ack-gate.ts'
import { until } from './harness.ts'

/** A socket whose other end the test holds. */
const fakeSocket = () => {
  const sent: Buffer[] = []
  const socket = new Duplex({
    read() {},
    write(chunk: Buffer, _, done) {
      sent.push(chunk)
      done()
    },
  })
  return { socket, sent: () => Buffer.concat(sent) }
}
const length = (n: number): number[] => (n < 128 ? [n] : [(n % 128) + 128, ...length(Math.floor(n / 128))])
const packet = (first: number, body: Uint8Array): Buffer => Buffer.from([first, ...length(body.length), ...body])
const publish = (topic: string, id: number, payload: Uint8Array): Buffer =>
  packet(
    0x32,
    Buffer.concat([Buffer.from([0, topic.length]), Buffer.from(topic), Buffer.from([id >> 8, id & 255]), payload]),
  )
const puback = (id: number) => Buffer.from([0x40, 2, id >> 8, id & 255])
/** The same bytes in other pieces. */
const cut = (bytes: Buffer, sizes: readonly number[]): Buffer[] => {
  const pieces: Buffer[] = []
  let at = 0
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}
const sizes = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 8 })

it('passes on all that comes, however it is cut, but for messages that are too long, which it tells', async () => {
  const message = fc.record({ id: fc.integer({ min: 1, max: 65_535 }), bytes: fc.integer({ min: 0, max: 400 }) })
  await fc.assert(
    fc.asyncProperty(fc.array(message, { maxLength: 12 }), sizes, async (messages, pieces) => {
      const { socket } = fakeSocket()
      const tooLong: TooLong[] = []
      const gate = createAckGate(socket, { publishBytesMax: 200, onTooLong: found => void tooLong.push(found) })
      const packets = messages.map(({ id, bytes }) => publish('lab/x', id, Buffer.alloc(bytes, id)))
      const others = [Buffer.from([0xd0, 0]), packet(0x90, Buffer.alloc(500))]
      const all = [...packets, ...others]
      const seen: Buffer[] = []
      gate.stream.on('data', chunk => void seen.push(chunk))
      for (const piece of cut(Buffer.concat(all), pieces)) socket.push(piece)
      const isLong = (p: Buffer) => p.length > 203 && p[0] === 0x32
      const expected = Buffer.concat(all.filter(p => !isLong(p)))
      await until(
        () => seen.reduce((n, chunk) => n + chunk.length, 0),
        n => n >= expected.length,
      )
      expect(Buffer.concat(seen).equals(expected)).toBe(true)
      const long = messages.filter((_, i) => isLong(packets[i] as Buffer))
      expect(tooLong.map(({ topic, id, qos, bytes }) => ({ topic, id, qos, bytes }))).toEqual(
        long.map(({ id, bytes }) => ({ topic: 'lab/x', id, qos: 1, bytes: bytes + 9 })),
      )
      for (const { head, id } of tooLong) expect(head.every(byte => byte === ((id ?? 0) & 255))).toBe(true)
    }),
    { numRuns: 60 },
  )
})

it('holds an acknowledgement until its message is released, and nothing else', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.integer({ min: 1, max: 65_535 }), { maxLength: 20 }),
      sizes,
      async (ids, pieces) => {
        const { socket, sent } = fakeSocket()
        const sentAll = async (bytes: Buffer) => {
          await until(
            () => sent().length,
            n => n >= bytes.length,
          )
          expect(sent().equals(bytes)).toBe(true)
        }
        const gate = createAckGate(socket, { publishBytesMax: 200, onTooLong() {} })
        const held = ids.filter((_, i) => i % 2 === 0)
        const free = ids.filter((_, i) => i % 2 === 1)
        for (const id of held) gate.hold(id)
        const other = packet(0x82, Buffer.alloc(300, 7))
        const written = Buffer.concat([...ids.map(puback), other])
        for (const piece of cut(written, pieces)) gate.stream.write(piece)
        const early = Buffer.concat([...free.map(puback), other])
        await sentAll(early)
        for (const id of held) gate.release(id)
        await sentAll(Buffer.concat([early, ...held.map(puback)]))
        gate.acknowledge({ qos: 1, id: 258 })
        gate.acknowledge({ qos: 2, id: 258 })
        gate.acknowledge({ qos: 0, id: undefined })
        const two = Buffer.from([0x40, 2, 1, 2, 0x50, 2, 1, 2])
        await sentAll(Buffer.concat([early, ...held.map(puback), two]))
      },
    ),
    { numRuns: 60 },
  )
})

it('releases before the client has answered: the answer then goes at once', async () => {
  const { socket, sent } = fakeSocket()
  const gate = createAckGate(socket, { publishBytesMax: 200, onTooLong() {} })
  gate.hold(7)
  gate.release(7)
  gate.stream.write(puback(7))
  await until(
    () => sent().length,
    n => n > 0,
  )
  expect(sent().equals(puback(7))).toBe(true)
})

it('takes nothing from the socket while it is paused, however much the client asks', async () => {
  const { socket } = fakeSocket()
  const gate = createAckGate(socket, { publishBytesMax: 200, onTooLong() {} })
  const seen: Buffer[] = []
  const ping = Buffer.from([0xd0, 0])
  const seenBytes = () => Buffer.concat(seen).length
  // As the source does: while packets of a stream that flows are being handed on.
  gate.stream.on('data', chunk => {
    seen.push(chunk)
    if (seenBytes() === 4) gate.pause()
  })
  socket.push(ping)
  await until(seenBytes, n => n === 2)
  socket.push(Buffer.concat([ping, ping]))
  await until(seenBytes, n => n === 6)
  socket.push(Buffer.concat([ping, ping]))
  for (let i = 0; i < 20; i++) await new Promise(resolve => setImmediate(resolve))
  expect(seenBytes()).toBe(6)
  gate.resume()
  await until(seenBytes, n => n === 10)
})

it('ends with its socket, and its socket with it', async () => {
  const first = fakeSocket()
  const gate = createAckGate(first.socket, { publishBytesMax: 200, onTooLong() {} })
  const errors: string[] = []
  gate.stream.on('error', error => void errors.push(error.message))
  first.socket.destroy(new Error('EIO'))
  await until(
    () => gate.stream.destroyed,
    is => is,
  )
  expect(errors).toEqual(['EIO'])
  const second = fakeSocket()
  createAckGate(second.socket, { publishBytesMax: 200, onTooLong() {} }).stream.destroy()
  await until(
    () => second.socket.destroyed,
    is => is,
  )
})
