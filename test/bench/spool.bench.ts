/**
 * A gateway with a spool of 2 GB that the cloud has not had yet: how fast it drains, and whether its memory stays where it
 * is. The other side is a broker that gives receipts and keeps nothing, so that only the gateway is measured.
 */
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { decodeStatus, encodeReceipt, parseTopic, receiptTopic } from '@penstock/frame'
import { openLog } from '@penstock/log'
import { Aedes } from 'aedes'
import { openHouse, until } from '../programs.ts'
import { memoryCourse, watchMemory } from './memory.ts'

const bodyBytes = 256 * 1024

export const benchSpool = async (print: (line: string) => void): Promise<void> => {
  for (const bytes of [0.5e9, 2e9]) await drain(bytes, print)
}

const drain = async (bytes: number, print: (line: string) => void): Promise<void> => {
  const house = await openHouse()
  const sink = await openSink(house.brokerPort)
  try {
    await mkdir(join(house.dir, 'files'))
    const spoolDir = join(house.dir, 'gateway', 'spool')
    const spool = await openLog(spoolDir)
    const body = randomBytes(bodyBytes)
    let last = 0
    for (let written = 0; written < bytes; written += 16 * bodyBytes)
      last = await spool.append(new Array(16).fill(body))
    await spool.close()
    const config = await house.write(
      'gateway.yaml',
      `gateway: bench
site: lab
zone: UTC
data: gateway
uplink: { kind: mqtt, url: "mqtt://127.0.0.1:${house.brokerPort}" }
sources: [{ id: files, kind: tail, folder: files, format: { kind: csv, time: { column: t } } }]
`,
    )
    const gateway = house.start('gateway', config)
    const memory = watchMemory(gateway.pid)
    await until('the first entry has come', () => sink.through() > 0)
    const began = performance.now()
    const first = sink.through()
    await until('all has come', () => sink.through() >= last, 300_000)
    const seconds = (performance.now() - began) / 1000
    memory.stop()
    const rate = ((last - first) * bodyBytes) / 1e6 / seconds
    print(
      `spool: ${(bytes / 1e9).toFixed(1)} GB drained at ${rate.toFixed(0)} MB/s; gateway RSS peak ${memory.peakMiB()} MiB (${memoryCourse(memory.samples())}); target 120 MiB, constant`,
    )
  } finally {
    await sink.close()
    await house.close()
  }
}

/** Answers each envelope with its receipt and forgets it. */
const openSink = async (port: number) => {
  let through = 0
  const aedes = new Aedes({
    authorizePublish(_client, packet, done) {
      const topic = parseTopic(packet.topic)
      const payload = Buffer.from(packet.payload)
      const epoch =
        topic?.kind === 'frames' ? topic.epoch : topic?.kind === 'status' ? decodeStatus(payload).epoch : undefined
      if (topic?.kind === 'frames' && topic.seq === through + 1) through = topic.seq
      if (topic && 'gateway' in topic && epoch !== undefined) {
        const receipt = Buffer.from(encodeReceipt({ epoch, through }))
        aedes.publish(
          { cmd: 'publish', qos: 1, dup: false, retain: false, topic: receiptTopic(topic.gateway), payload: receipt },
          () => {},
        )
      }
      done(null)
    },
  })
  await aedes.listen()
  const server = createServer({ noDelay: true }, socket => void aedes.handle(socket))
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  return {
    through: () => through,
    async close() {
      await new Promise<void>(resolve => aedes.close(() => resolve()))
      await new Promise<void>(resolve => server.close(() => resolve()))
    },
  }
}
