/**
 * From the wire into the journal: topic → sequence check → decode and validate → journal → receipt.
 *
 *     accept() ─► queue (bounded in bytes) ─► one append at a time: all that waits, with its watermarks ─► receipts
 *
 * One append holds many messages and their watermarks, and either all of it is durable or none: a failed append therefore
 * never leaves a hole behind a later message of the same gateway. The append is one sync, so receipts come grouped.
 */
import {
  decodeEnvelope,
  emptyEnvelope,
  encodeEnvelope,
  type Frame,
  type Json,
  type Receipt,
  WireError,
} from '@penstock/frame'
import type { Log } from '@penstock/log'
import { decodePayload, type EntryHead, encodeEntry } from './entry.ts'
import type { LineMapping } from './lines.ts'
import type { PostedDefaults } from './posted.ts'
import type { JournalEntry } from './projector.ts'
import { readPayload } from './sparkplug/payload.ts'
import { createSparkplugSessions, type PendingNodes } from './sparkplug/sessions.ts'
import type { SparkplugTopic } from './sparkplug/topic.ts'

export interface IngestOptions {
  journal: Log
  now(): Date
  /** What waits for the journal; beyond it `frames` and `readings` wait. */
  queueBytesMax: number
  /** Entries that were decoded here anyway, so that projectors at the journal's end need not decode them again. */
  onDecoded?(entry: JournalEntry): void
  log: { warn(o: object, m: string): void; error(o: object, m: string): void }
}

export interface Ingest {
  /**
   * Takes one envelope of a gateway. Resolves, when the journal has it (or had it before), with the receipt to send.
   * Rejects where the journal fails: then nothing is acknowledged and the sender goes back.
   */
  frames(gateway: string, epoch: string, seq: number, body: Uint8Array): Promise<Receipt>
  /** Takes what a plain device sent. Resolves when the journal has it. Bytes that are no reading are journaled as rejects. */
  readings(target: { site: string; device: string; stream: string }, body: Uint8Array): Promise<void>
  /**
   * Takes points of line protocol, plain or gzip: all of them, or none and a WireError that names the line. Resolves when
   * the journal has them.
   */
  lines(target: { mapping: LineMapping; unitNs: number; gateway?: string }, body: Uint8Array): Promise<void>
  /** Takes what came by POST /v1/readings: all of it, or none and a WireError. Resolves when the journal has it. */
  posted(target: PostedDefaults & { gateway?: string }, body: Uint8Array): Promise<void>
  /** Takes what a plain device sent to a topic of its own; what cannot be read becomes rejects. Resolves when the journal has it. */
  message(head: MessageHead, body: Uint8Array): Promise<void>
  /** Takes what a Sparkplug edge node sent. Resolves when the journal has it; `rebirth`: the node has to tell its births again. */
  sparkplug(message: SparkplugTopic & { site: string; stream: string }, body: Uint8Array): Promise<{ rebirth: boolean }>
  /** Takes rows of rejects that were read again. Resolves with the journal's number for them when it has them. */
  replay(settlement: { by?: string; correction: Json; rejects: string[] }, frames: Frame[]): Promise<number>
  /** Puts rejects aside, with the reason. Resolves with the journal's number for it when it has it. */
  dismiss(settlement: { by?: string; reason: string; rejects: string[] }): Promise<number>
  /** Journals bytes that nobody can take (an unknown topic of ours, a forged identity) as a reject. */
  invalid(topic: string, reason: string, body: Uint8Array): Promise<void>
  /** What the journal has of a gateway's epoch. */
  receipt(gateway: string, epoch: string): Receipt
  /** Resolves when all that was taken is in the journal. */
  close(): Promise<void>
  stats(): {
    envelopes: number
    duplicates: number
    resends: number
    invalid: number
    rows: number
    queuedBytes: number
  }
}

type WithoutAt<T> = T extends unknown ? Omit<T, 'at'> : never
/** What a message from the broker means, all but when it came. */
export type MessageHead = WithoutAt<Extract<EntryHead, { kind: 'message' | 'lines' }>>

type Decoded = Omit<JournalEntry, 'seq'>
interface Item {
  head: EntryHead
  body: Uint8Array
  decoded?: Decoded
  /** Run when it is its turn, for what depends on the messages before it. */
  prepare?(pending: PendingNodes): { head: EntryHead; decoded: Decoded; state: Record<string, unknown>; commit(): void }
  resolve(receipt: Receipt): void
  reject(error: unknown): void
}

/** Bytes of one append; the log bounds an entry, this bounds what one sync waits for. */
const appendBytesMax = 16 * 1024 * 1024

/** Rows of the moment of arrival that one Sparkplug message may make: each of them takes a µs. */
const sparkplugRowsMax = 1000

const payloadOf = (body: Uint8Array) => {
  try {
    return readPayload(body)
  } catch (error) {
    if (error instanceof WireError) return undefined
    throw error
  }
}

export const createIngest = ({ journal, now, queueBytesMax, onDecoded, log }: IngestOptions): Ingest => {
  const queue: Item[] = []
  let queuedBytes = 0
  let writing: Promise<void> | undefined
  let roomWaiters: (() => void)[] = []
  const sessions = createSparkplugSessions(journal)
  const counts = { envelopes: 0, duplicates: 0, resends: 0, invalid: 0, rows: 0 }

  const keyOf = (gateway: string, epoch: string) => `through/${gateway}/${epoch}`
  const throughOf = (gateway: string, epoch: string): number => {
    const through = journal.state(keyOf(gateway, epoch))
    return typeof through === 'number' ? through : 0
  }

  const push = async (
    head: EntryHead,
    body: Uint8Array,
    more: Pick<Item, 'decoded' | 'prepare'> = {},
  ): Promise<Receipt> => {
    while (queuedBytes > 0 && queuedBytes + body.length > queueBytesMax) {
      await new Promise<void>(resolve => roomWaiters.push(resolve))
    }
    queuedBytes += body.length
    const done = new Promise<Receipt>((resolve, reject) => queue.push({ head, body, ...more, resolve, reject }))
    writing ??= write()
    return done
  }

  const write = async (): Promise<void> => {
    // What arrives in the same turn of the event loop shares the first sync.
    await new Promise(resolve => setImmediate(resolve))
    while (queue.length > 0) {
      const items = takeBatch()
      const bytes = items.reduce((sum, item) => sum + item.body.length, 0)
      try {
        await writeBatch(items)
      } catch (error) {
        log.error({ err: error }, 'the journal could not be written; the senders will send again')
        for (const item of items) item.reject(error)
      }
      queuedBytes -= bytes
      const waiters = roomWaiters
      roomWaiters = []
      for (const wake of waiters) wake()
    }
    // In the same turn as the look at the empty queue: whoever pushes next begins a new run.
    writing = undefined
  }

  const takeBatch = (): Item[] => {
    let bytes = 0
    let n = 0
    while (n < queue.length) {
      bytes += queue[n]?.body.length ?? 0
      if (n > 0 && bytes > appendBytesMax) break
      n++
    }
    return queue.splice(0, n)
  }

  const writeBatch = async (items: Item[]): Promise<void> => {
    const bodies: Uint8Array[] = []
    const decoded: (Decoded | undefined)[] = []
    const state: Record<string, unknown> = {}
    const pending: PendingNodes = new Map()
    const settle: ((firstSeq: number) => void)[] = []
    for (const item of items) {
      const { head, body } = item
      if (item.prepare) {
        const prepared = item.prepare(pending)
        bodies.push(encodeEntry(prepared.head, body))
        decoded.push(prepared.decoded)
        Object.assign(state, prepared.state)
        settle.push(() => {
          prepared.commit()
          item.resolve({ epoch: '', through: 0 })
        })
        continue
      }
      if (head.kind !== 'envelope') {
        bodies.push(encodeEntry(head, body))
        decoded.push(item.decoded)
        const index = bodies.length - 1
        settle.push(firstSeq => item.resolve({ epoch: '', through: firstSeq + index }))
        continue
      }
      const key = keyOf(head.gateway, head.epoch)
      const before = state[key]
      const last = typeof before === 'number' ? before : throughOf(head.gateway, head.epoch)
      if (head.seq !== last + 1) {
        if (head.seq <= last) counts.duplicates++
        else counts.resends++
        const ahead = head.seq > last
        settle.push(() => item.resolve({ epoch: head.epoch, through: last, ...(ahead && { resend: true }) }))
        continue
      }
      const taken = take(head, body)
      bodies.push(encodeEntry(taken.head, body))
      decoded.push(taken.entry)
      state[key] = taken.through
      settle.push(() => item.resolve({ epoch: head.epoch, through: taken.through }))
    }
    let firstSeq = 0
    if (bodies.length > 0) {
      const lastSeq = await journal.append(bodies, state)
      firstSeq = lastSeq - bodies.length + 1
      decoded.forEach((entry, i) => {
        if (entry) onDecoded?.({ ...entry, seq: firstSeq + i })
      })
    }
    for (const done of settle) done(firstSeq)
  }

  type EnvelopeHead = Extract<EntryHead, { kind: 'envelope' }>
  const take = (head: EnvelopeHead, body: Uint8Array) => {
    const { gateway, epoch, seq, at } = head
    counts.envelopes++
    try {
      const envelope = decodeEnvelope(body)
      for (const frame of envelope.frames) counts.rows += frame.offsetsNs.length
      const through = envelope.loss ? Math.max(seq, envelope.loss.through) : seq
      if (envelope.loss) log.warn({ gateway, epoch, loss: envelope.loss }, 'the gateway has lost a range of its spool')
      const entry = { receivedMs: at, gateway, epoch, gatewaySeq: seq, ...envelope }
      return { head, through, entry }
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      counts.invalid++
      log.warn({ gateway, epoch, seq, reason: error.message }, 'an envelope breaks the contract; journaled as a reject')
      const invalid: EntryHead = {
        kind: 'invalid',
        at,
        reason: error.message,
        topic: `${gateway}/frames`,
        gateway,
        epoch,
        seq,
      }
      return { head: invalid, through: seq, entry: undefined }
    }
  }

  const atMs = () => now().getTime()
  /**
   * The moment of arrival, in ms, down to the µs: no two messages have the same, and each leaves room for its rows, so that rows
   * without a time of their own never replace each other.
   */
  let arrivalMs = 0
  const arrive = () => {
    arrivalMs = Math.max(atMs(), arrivalMs)
    return arrivalMs
  }
  /** Decodes what came with a head of its own meaning. To be called in the same turn as `arrive`. */
  const read = (head: EntryHead, body: Uint8Array) => {
    const decoded = decodePayload(head, body)
    const rowsMax = decoded.frames.reduce((max, frame) => Math.max(max, frame.offsetsNs.length), 1)
    arrivalMs = Math.round(head.at * 1000 + rowsMax) / 1000
    return decoded
  }
  const keep = async (head: EntryHead, body: Uint8Array, decoded: Decoded): Promise<void> => {
    count(decoded)
    await push(head, body, { decoded })
  }
  const count = ({ frames, rejects }: Decoded): void => {
    for (const frame of frames) counts.rows += frame.offsetsNs.length
    if (rejects.length > 0) counts.invalid++
  }
  /** All of it or nothing. */
  const keepWhole = async (head: EntryHead, body: Uint8Array): Promise<void> => {
    const decoded = read(head, body)
    const [first, ...more] = decoded.rejects
    if (first) {
      counts.invalid++
      throw new WireError(more.length === 0 ? first.reason : `${first.reason} (and ${more.length} more lines)`)
    }
    if (decoded.frames.length > 0) await keep(head, body, decoded)
  }
  return {
    frames: (gateway, epoch, seq, body) => push({ kind: 'envelope', at: atMs(), gateway, epoch, seq }, body),
    async readings(target, body) {
      const head: EntryHead = { kind: 'readings', at: arrive(), ...target }
      await keep(head, body, read(head, body))
    },
    lines: (target, body) => keepWhole({ kind: 'lines', at: arrive(), ...target }, body),
    posted: (target, body) => keepWhole({ kind: 'posted', at: arrive(), ...target }, body),
    async message(target, body) {
      const head: EntryHead = { at: arrive(), ...target }
      await keep(head, body, read(head, body))
    },
    async sparkplug(message, body) {
      const at = arrive()
      let rebirth = false
      const prepare = (pending: PendingNodes) => {
        const { state, commit, rebirth: wanted, ...context } = sessions.step(message, payloadOf(body), pending)
        rebirth = wanted
        const head: EntryHead = { kind: 'sparkplug', at, ...message, ...context }
        const decoded = decodePayload(head, body)
        const counted = () => {
          count(decoded)
          commit()
        }
        return { head, decoded, state, commit: counted }
      }
      arrivalMs = Math.round(at * 1000 + sparkplugRowsMax) / 1000
      await push({ kind: 'sparkplug', at, ...message }, body, { prepare })
      return { rebirth }
    },
    async replay(settlement, frames) {
      const head: EntryHead = { kind: 'replay', at: atMs(), ...settlement }
      const body = encodeEnvelope({ ...emptyEnvelope(), frames })
      const decoded = decodePayload(head, body)
      count(decoded)
      return (await push(head, body, { decoded })).through
    },
    async dismiss(settlement) {
      return (await push({ kind: 'dismissal', at: atMs(), ...settlement }, new Uint8Array(0))).through
    },
    async invalid(topic, reason, body) {
      counts.invalid++
      await push({ kind: 'invalid', at: atMs(), reason, topic }, body)
    },
    receipt: (gateway, epoch) => ({ epoch, through: throughOf(gateway, epoch) }),
    async close() {
      while (writing !== undefined) await writing
    },
    stats: () => ({ ...counts, queuedBytes }),
  }
}
