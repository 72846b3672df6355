import fc from 'fast-check'
import mqttPacket from 'mqtt-packet'
import { expect, test } from 'vitest'
import { createPacketGauge } from '../src/packet-gauge.ts'

const limits = { beforeConnectBytesMax: 1024, packetBytesMax: 5000 }
const connect = mqttPacket.generate({
  cmd: 'connect',
  clientId: 'a',
  protocolId: 'MQTT',
  protocolVersion: 4,
  clean: true,
  keepalive: 1,
})
const publish = (bytes: number) =>
  mqttPacket.generate({ cmd: 'publish', topic: 't', payload: Buffer.alloc(bytes), qos: 0, dup: false, retain: false })

/** Pushes bytes cut at these places; the first sentence, if any. */
const run = (bytes: Uint8Array, cuts: readonly number[], acceptAfter: number): string | undefined => {
  const gauge = createPacketGauge(limits)
  const edges = [...new Set([...cuts.map(c => c % bytes.length), acceptAfter, bytes.length])].sort((a, b) => a - b)
  let from = 0
  for (const edge of edges) {
    const said = gauge.push(bytes.subarray(from, edge))
    if (said !== undefined) return said
    from = edge
    if (edge >= acceptAfter) gauge.accept()
  }
  return undefined
}

test('whatever the chunks, packets within the limits pass and one over them is named', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 4990 }), { maxLength: 8 }),
      fc.array(fc.nat(), { maxLength: 30 }),
      (sizes, cuts) => {
        const good = Buffer.concat([connect, ...sizes.map(publish)])
        expect(run(good, cuts, connect.length)).toBeUndefined()
        expect(run(Buffer.concat([good, publish(5001)]), cuts, connect.length)).toMatch(
          /announced a packet of 500\d bytes, more than the 5000/,
        )
      },
    ),
  )
})

test('an announced packet is refused by its length, before its bytes come', () => {
  const gauge = createPacketGauge(limits)
  gauge.push(connect)
  gauge.accept()
  expect(gauge.push(Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x7f))).toMatch(/268435455 bytes/)
})

test.each([
  [
    'more than the limit before CONNECT is accepted',
    Buffer.concat([connect, publish(1100)]),
    /more than 1024 bytes before CONNECT/,
  ],
  ['a CONNECT that announces too much', Uint8Array.of(0x10, 0xff, 0xff, 0x03), /announced a packet of 65535 bytes/],
  ['something else first', publish(1), /something else before CONNECT/],
  ['a length of five bytes', Uint8Array.of(0x10, 0x80, 0x80, 0x80, 0x80, 0x01), /more than four bytes/],
])('%s', (_, bytes, expected) => {
  expect(createPacketGauge(limits).push(bytes)).toMatch(expected)
})
