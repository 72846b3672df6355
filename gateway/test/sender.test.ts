import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeEnvelope, type Receipt, type Status } from '@penstock/frame'
import { type Log, openLog } from '@penstock/log'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createSender, type Sender, type SenderOptions } from '../src/sender.ts'
import type { Link, Uplink } from '../src/uplink.ts'

const quiet = { info() {}, warn() {} }
const body = (n: number) => Buffer.from(`entry ${n}`)
const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString()

/** A cloud as the design says it: takes seq = last + 1, receipts a smaller one again, asks for a resend of a larger one. */
const createCloud = () => {
  const through = new Map<string, number>()
  const stored: { epoch: string; seq: number; text: string }[] = []
  return {
    stored,
    through: (epoch: string) => through.get(epoch) ?? 0,
    set: (epoch: string, seq: number) => through.set(epoch, seq),
    take(epoch: string, seq: number, bytes: Uint8Array): Receipt {
      const last = through.get(epoch) ?? 0
      if (seq !== last + 1) return { epoch, through: last, ...(seq > last && { resend: true }) }
      const text = textOf(bytes)
      stored.push({ epoch, seq, text })
      const loss = text.startsWith('{') ? decodeEnvelope(bytes).loss : undefined
      through.set(epoch, loss?.through ?? seq)
      return { epoch, through: loss?.through ?? seq }
    },
  }
}
type Cloud = ReturnType<typeof createCloud>

/** A link in memory that loses, repeats and breaks as `fate` says. */
const createUplink = (
  cloud: Cloud,
  fate: (what: 'send' | 'receipt') => 'pass' | 'lose' | 'repeat' | 'break' = () => 'pass',
) => {
  const statuses: Status[] = []
  let links = 0
  const uplink: Uplink = {
    async connect() {
      links++
      const queue: Receipt[] = []
      let broken = false
      let wake = () => {}
      const breakNow = () => {
        broken = true
        wake()
      }
      const answer = (receipt: Receipt) => {
        const f = fate('receipt')
        if (f === 'break') return breakNow()
        if (f !== 'lose') queue.push(receipt)
        if (f === 'repeat') queue.push(receipt)
        wake()
      }
      const link: Link = {
        async send(epoch, seq, bytes) {
          await null
          if (broken) throw new Error('broken')
          const f = fate('send')
          if (f === 'break') return breakNow()
          if (f === 'lose') return
          answer(cloud.take(epoch, seq, bytes))
          if (f === 'repeat') answer(cloud.take(epoch, seq, bytes))
        },
        async status(status) {
          if (broken) throw new Error('broken')
          statuses.push(status)
          if (status.online) answer({ epoch: status.epoch, through: cloud.through(status.epoch) })
        },
        async *receipts(signal) {
          signal.addEventListener('abort', () => wake())
          while (!signal.aborted) {
            const receipt = queue.shift()
            if (receipt) yield receipt
            else if (broken) throw new Error('broken')
            else
              await new Promise<void>(resolve => {
                wake = resolve
              })
          }
        },
        async close() {
          breakNow()
        },
      }
      return link
    },
  }
  return { uplink, statuses, links: () => links }
}

let dir: string
const closers: (() => Promise<unknown>)[] = []
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'penstock-sender-'))
})
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
  await rm(dir, { recursive: true, force: true })
})

const open = async (name = 'spool'): Promise<Log> => {
  const log = await openLog(join(dir, name), { segmentBytesMax: 4096, segmentBytesMin: 4096 })
  closers.push(() => log.close())
  return log
}
const start = (
  spool: Log,
  uplink: Uplink,
  more: Partial<SenderOptions> = {},
): { sender: Sender; stop(): Promise<void> } => {
  const sender = createSender({
    spool,
    uplink,
    describe: () => ({ clock: '2026-01-01T00:00:00Z', version: '0', sources: [] }),
    windowBytesMax: 1000,
    receiptMsMax: 150,
    reconnectMsMax: 20,
    statusEveryMs: 50,
    random: () => 0.5,
    log: quiet,
    ...more,
  })
  const controller = new AbortController()
  const running = sender.run(controller.signal)
  const stop = async () => {
    controller.abort()
    await running
  }
  closers.push(stop)
  return { sender, stop }
}
const appendAll = async (spool: Log, n: number, from = 1) => {
  for (let i = from; i < from + n; i++) await spool.append([body(i)])
}
const limit = AbortSignal.timeout.bind(AbortSignal, 20_000)

describe('sender', () => {
  test('sends all in order, once, and trims behind the receipts', async () => {
    const cloud = createCloud()
    const spool = await open()
    await appendAll(spool, 500)
    const { sender } = start(spool, createUplink(cloud).uplink)
    await appendAll(spool, 100, 501)
    await sender.stored(600, limit())
    expect(cloud.stored.map(s => s.text)).toEqual(Array.from({ length: 600 }, (_, i) => `entry ${i + 1}`))
    await vi.waitFor(() => expect(spool.stats().oldestSeq).toBeGreaterThan(300))
  })

  test('whatever the link loses, repeats or breaks: each entry is stored once, in order', async () => {
    let run = 0
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(fc.integer({ min: 0, max: 99 })), async dice => {
        const roll = () => dice.next().value as number
        const cloud = createCloud()
        const spool = await open(`spool-${run++}`)
        await appendAll(spool, 40)
        let worse = 60
        const fates = createUplink(cloud, () => {
          const d = roll()
          if (worse-- < 0 || d > 25) return 'pass'
          return d < 10 ? 'lose' : d < 20 ? 'repeat' : 'break'
        })
        const { sender, stop } = start(spool, fates.uplink, { receiptMsMax: 40, reconnectMsMax: 5, statusEveryMs: 15 })
        await sender.stored(40, limit())
        await stop()
        expect(cloud.stored.map(s => s.text)).toEqual(Array.from({ length: 40 }, (_, i) => `entry ${i + 1}`))
      }),
      { numRuns: 15 },
    )
  })

  test('never has more than the window in flight', async () => {
    const cloud = createCloud()
    const spool = await open()
    await appendAll(spool, 200)
    let inFlight = 0
    let most = 0
    const { uplink } = createUplink(cloud)
    const slow: Uplink = {
      async connect(offline, signal) {
        const link = await uplink.connect(offline, signal)
        const { send } = link
        link.send = async (epoch, seq, bytes, s) => {
          inFlight += bytes.length
          most = Math.max(most, inFlight)
          await new Promise(resolve => setImmediate(resolve))
          inFlight -= bytes.length
          await send(epoch, seq, bytes, s)
        }
        return link
      },
    }
    const { sender } = start(spool, slow, { windowBytesMax: 64 })
    await sender.stored(200, limit())
    expect(most).toBeGreaterThan(30)
    expect(most).toBeLessThanOrEqual(64)
  })

  test('an entry larger than the window goes alone', async () => {
    const cloud = createCloud()
    const spool = await open()
    await spool.append([Buffer.alloc(3000, 'a'), Buffer.alloc(3000, 'b')])
    const { sender } = start(spool, createUplink(cloud).uplink, { windowBytesMax: 100 })
    await sender.stored(2, limit())
  })

  test('no receipt in time: connects again and goes back to what the cloud has', async () => {
    const cloud = createCloud()
    const spool = await open()
    await appendAll(spool, 10)
    let deaf = true
    const { uplink, links } = createUplink(cloud, what => (what === 'send' && deaf ? 'lose' : 'pass'))
    const { sender } = start(spool, uplink)
    await vi.waitFor(() => expect(sender.stats().problem).toBe('no receipt within 150 ms'), {
      timeout: 5000,
      interval: 2,
    })
    await vi.waitFor(() => expect(links()).toBeGreaterThan(1), { timeout: 5000 })
    deaf = false
    await sender.stored(10, limit())
    expect(cloud.stored).toHaveLength(10)
  })

  test('a range that the spool has lost is told, with its reason, in its place', async () => {
    const cloud = createCloud()
    const spool = await open()
    await appendAll(spool, 600)
    await spool.trim(300)
    const oldest = spool.stats().oldestSeq
    expect(oldest).toBeGreaterThan(1)
    const { sender } = start(spool, createUplink(cloud).uplink)
    await sender.stored(600, limit())
    const [first, second] = cloud.stored
    expect(first && decodeEnvelope(Buffer.from(first.text)).loss).toMatchObject({ from: 1, through: oldest - 1 })
    expect(second?.seq).toBe(oldest)
    expect(cloud.stored).toHaveLength(600 - oldest + 2)
  })

  test('a spool put back from an older copy is sent again under a new epoch: new entries are not taken for old ones', async () => {
    const cloud = createCloud()
    const spool = await open()
    await appendAll(spool, 5)
    cloud.set(spool.stats().epoch, 9)
    const { sender } = start(spool, createUplink(cloud).uplink)
    await vi.waitFor(() => expect(cloud.stored.length).toBe(5), { timeout: 5000 })
    expect(new Set(cloud.stored.map(s => s.epoch))).toEqual(new Set([`${spool.stats().epoch}-1`]))
    await appendAll(spool, 1, 6)
    await sender.stored(6, limit())
    expect(cloud.stored.at(-1)?.text).toBe('entry 6')
  })

  test('ends although the cloud no longer answers, and may go on by another way', async () => {
    const spool = await open()
    const cloud = createCloud()
    const good = createUplink(cloud).uplink
    const silent: Uplink = {
      async connect(offline, signal) {
        const link = await good.connect(offline, signal)
        return { ...link, status: status => (status.online ? link.status(status) : new Promise(() => {})) }
      },
    }
    const route = { windowBytesMax: 1000, receiptMsMax: 5000, reconnectMsMax: 20 }
    const { sender, stop } = start(spool, silent, route)
    await spool.append([body(1)])
    await vi.waitFor(() => expect(cloud.stored).toHaveLength(1))
    await stop()
    const waiting = sender.stored(2, new AbortController().signal)
    await spool.append([body(2)])
    sender.reroute({ uplink: good, ...route })
    const again = new AbortController()
    const running = sender.run(again.signal)
    await waiting
    expect(cloud.stored.map(entry => entry.text)).toEqual(['entry 1', 'entry 2'])
    again.abort()
    await running
  })

  test('says that it is offline when it is stopped', async () => {
    const { uplink, statuses } = createUplink(createCloud())
    const { stop } = start(await open(), uplink)
    await vi.waitFor(() => expect(statuses.length).toBeGreaterThan(1))
    await stop()
    expect(statuses[0]?.online).toBe(true)
    expect(statuses.at(-1)?.online).toBe(false)
  })
})
