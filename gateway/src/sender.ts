/**
 * From the spool to the cloud, go-back-N: in order, a window of unreceipted bytes in flight, and only a receipt counts.
 *
 *     connect ─► status ─► receipt "through W" ─► send W+1, W+2, … ─► receipts trim the spool
 *        ▲                                             │
 *        └── backoff ◄── link broken, or no receipt in time, or "send again"
 *
 * The runner owns order, window, resend and backoff; an uplink only carries.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { emptyEnvelope, encodeEnvelope, type Receipt, type Status } from '@penstock/frame'
import type { Entry, Log } from '@penstock/log'
import type { Receipts } from './source.ts'
import type { Link, Uplink } from './uplink.ts'

/** Where to, and how much at once: what another configuration may change while the spool stays. */
export interface SenderRoute {
  uplink: Uplink
  /** Bytes sent and not yet receipted. One entry always may go. */
  windowBytesMax: number
  /** Without a receipt for so long, while one is due, the link is dead. */
  receiptMsMax: number
  /** Cap of the backoff between two connections. */
  reconnectMsMax: number
}

export interface SenderOptions extends SenderRoute {
  spool: Log
  /** The gateway's status but for what the sender knows itself. */
  describe(): Omit<Status, 'online' | 'epoch' | 'oldestSeq' | 'nextSeq' | 'spoolBytes'>
  statusEveryMs: number
  random(): number
  log: { info(o: object, m: string): void; warn(o: object, m: string): void }
}

export interface SenderStats {
  connected: boolean
  /** The cloud has all through this number. */
  through: number
  /** Bytes in flight, sent and not receipted. */
  inFlightBytes: number
  reconnects: number
  resends: number
  /** Why the last link ended, while there is none. */
  problem?: string
}

export interface Sender extends Receipts {
  /** Sends until the signal aborts. May be called again after that. */
  run(signal: AbortSignal): Promise<void>
  /** The route of the next run; to be called between two runs. What was receipted and who waits for it stays. */
  reroute(route: SenderRoute): void
  stats(): SenderStats
}

/**
 * A spool that was put back from an older copy numbers its new entries with numbers that the cloud has seen: it would take
 * them for duplicates. The cloud's receipt shows it (it names more than the spool has); then all is sent again under a
 * new epoch, which counts these eras.
 */
const eraKey = 'uplink/era'

const farewellMsMax = 1000

class LinkEnded extends Error {
  override name = 'LinkEnded'
}

export const createSender = (options: SenderOptions): Sender => {
  const { spool, statusEveryMs, log } = options
  let { uplink, windowBytesMax, receiptMsMax, reconnectMsMax } = options
  let through = 0
  let connected = false
  let problem: string | undefined
  let reconnects = 0
  let resends = 0
  let inFlightBytes = 0
  let waiters: { seq: number; resolve(): void }[] = []

  const era = (): number => {
    const value = spool.state(eraKey)
    return typeof value === 'number' ? value : 0
  }
  const epoch = () => (era() === 0 ? spool.stats().epoch : `${spool.stats().epoch}-${era()}`)
  const lastSeq = () => spool.stats().nextSeq - 1

  const statusNow = (online: boolean): Status => {
    const { oldestSeq, nextSeq, bytes } = spool.stats()
    return { ...options.describe(), online, epoch: epoch(), oldestSeq, nextSeq, spoolBytes: bytes }
  }

  const advance = async (to: number): Promise<void> => {
    if (to <= through) return
    through = to
    const ready = waiters.filter(w => w.seq <= to)
    waiters = waiters.filter(w => w.seq > to)
    for (const w of ready) w.resolve()
    await spool.trim(to)
  }

  /** One link, from its handshake to its end. Rejects with LinkEnded, or whatever the link rejected with. */
  const runLink = async (link: Link, signal: AbortSignal): Promise<void> => {
    const ending = new AbortController()
    const ended = AbortSignal.any([signal, ending.signal])
    const fail = (error: unknown) => ending.abort(error)
    // Of what is due: the first receipt, or progress of what is in flight.
    let lastProgressAt = performance.now()
    let wentBackTo: number | undefined
    let base: number | undefined
    let goBackTo: number | undefined
    let wake = () => {}
    const unreceipted: { seq: number; bytes: number }[] = []

    const onReceipt = async (receipt: Receipt): Promise<void> => {
      if (receipt.epoch !== epoch()) return
      if (base === undefined || receipt.through > through) lastProgressAt = performance.now()
      if (receipt.through > lastSeq()) {
        await spool.append([], { [eraKey]: era() + 1 })
        through = 0
        throw new LinkEnded(
          'the cloud has more of this spool than the spool itself: it is sent again under a new epoch',
        )
      }
      while (unreceipted[0] && unreceipted[0].seq <= receipt.through) inFlightBytes -= unreceipted.shift()?.bytes ?? 0
      await advance(receipt.through)
      if (base === undefined) base = receipt.through
      else if (receipt.resend && unreceipted.length > 0 && receipt.through !== wentBackTo) {
        // What is still in flight will ask for the same again: go back once, then wait for progress or the limit.
        wentBackTo = receipt.through
        goBackTo = receipt.through
      }
      wake()
    }
    const receiving = (async () => {
      for await (const receipt of link.receipts(ended)) await onReceipt(receipt)
      throw new LinkEnded('the link was closed')
    })().catch(fail)

    const watching = (async () => {
      for (let tick = 0; !ended.aborted; tick++) {
        const due = base === undefined || unreceipted.length > 0
        if (due && performance.now() - lastProgressAt > receiptMsMax) {
          throw new LinkEnded(`no receipt within ${receiptMsMax} ms`)
        }
        const everyMs = Math.min(statusEveryMs, receiptMsMax / 4)
        if (tick % Math.max(1, Math.round(statusEveryMs / everyMs)) === 0) link.status(statusNow(true)).catch(fail)
        await sleep(everyMs, undefined, { signal: ended })
      }
    })().catch(fail)

    const waitWake = () =>
      new Promise<void>((resolve, reject) => {
        const onAbort = () => reject(ended.reason as Error)
        if (ended.aborted) return onAbort()
        ended.addEventListener('abort', onAbort, { once: true })
        wake = () => {
          ended.removeEventListener('abort', onAbort)
          resolve()
        }
      })

    const sendFrom = async (after: number): Promise<void> => {
      for await (const entry of spool.read(after, ended)) {
        const body = entry.lost === undefined ? entry.body : lossBody(entry)
        while (inFlightBytes > 0 && inFlightBytes + body.length > windowBytesMax && goBackTo === undefined)
          await waitWake()
        if (goBackTo !== undefined) return
        unreceipted.push({ seq: entry.through, bytes: body.length })
        inFlightBytes += body.length
        if (unreceipted.length === 1) lastProgressAt = performance.now()
        link.send(epoch(), entry.seq, body, ended).catch(fail)
      }
      if (!ended.aborted) throw new LinkEnded('the spool was closed')
    }

    try {
      while (base === undefined) await waitWake()
      connected = true
      problem = undefined
      for (let after = base; !ended.aborted; ) {
        goBackTo = undefined
        await sendFrom(after)
        if (goBackTo === undefined) break
        resends++
        after = goBackTo
        unreceipted.length = 0
        inFlightBytes = 0
      }
      ended.throwIfAborted()
    } catch (error) {
      throw ending.signal.aborted ? ending.signal.reason : error
    } finally {
      connected = false
      inFlightBytes = 0
      ending.abort()
      await Promise.allSettled([receiving, watching])
    }
  }

  const farewell = async (link: Link): Promise<void> => {
    const said = new AbortController()
    const told = link.status(statusNow(false)).catch(() => {})
    // A broker that no longer answers does not hold up the end: its last will says the same.
    await Promise.race([told, sleep(farewellMsMax, undefined, { signal: said.signal }).catch(() => {})])
    said.abort()
  }

  return {
    async run(signal) {
      for (let attempt = 0; !signal.aborted; attempt++) {
        const before = through
        let link: Link | undefined
        try {
          link = await uplink.connect(statusNow(false), signal)
          await runLink(link, signal)
        } catch (error) {
          if (!signal.aborted) {
            const reason = error instanceof Error ? error.message : String(error)
            if (reason !== problem) log.warn({ reason }, 'no link to the cloud; readings are kept and sent later')
            problem = reason
            reconnects++
          }
        } finally {
          if (link && signal.aborted) await farewell(link)
          await link?.close().catch(() => {})
        }
        if (signal.aborted) return
        if (through > before) attempt = 0
        // Full jitter, so that a thousand gateways do not come back in one second.
        const capMs = Math.min(reconnectMsMax, 200 * 2 ** Math.min(attempt, 20))
        await sleep(capMs * (0.25 + 0.75 * options.random()), undefined, { signal }).catch(() => {})
      }
    },
    reroute(route) {
      ;({ uplink, windowBytesMax, receiptMsMax, reconnectMsMax } = route)
      problem = undefined
    },
    lastSeq,
    async stored(seq, signal) {
      if (through >= seq) return
      signal.throwIfAborted()
      await new Promise<void>((resolve, reject) => {
        const waiter = {
          seq,
          resolve() {
            signal.removeEventListener('abort', onAbort)
            resolve()
          },
        }
        const onAbort = () => {
          waiters = waiters.filter(w => w !== waiter)
          reject(signal.reason as Error)
        }
        waiters.push(waiter)
        signal.addEventListener('abort', onAbort, { once: true })
      })
    },
    stats: () => ({
      connected,
      through,
      inFlightBytes,
      reconnects,
      resends,
      ...(problem !== undefined && { problem }),
    }),
  }
}

const lossBody = (entry: Entry): Uint8Array =>
  encodeEnvelope({
    ...emptyEnvelope(),
    loss: { from: entry.seq, through: entry.through, reason: entry.lost ?? '' },
  })
