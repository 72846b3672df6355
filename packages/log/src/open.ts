/**
 * Opens a log: takes the lock, finds what is there (`recovery.ts`), then commits appends in groups to the segments
 * (`store.ts`) and hands reading to `reader.ts`.
 *
 * Design constraints:
 * - One write at a time, each durable before the next begins; whatever came meanwhile goes with the next.
 * - Where a write fails, nothing of it, nor of what waited behind it, is acknowledged: a retry keeps the order.
 * - Readers and `state` see only what is durable.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { type Call, encodeCall, stampCall } from './call.ts'
import { createDamageRecorder } from './damage.ts'
import { LogBusyError, LogClosedError, LogDiskError, LogError, LogLockedError, LogRangeError } from './errors.ts'
import { type LogFs, nodeLogFs } from './fs.ts'
import { takeLock } from './lock.ts'
import type { Log, LogOptions } from './log.ts'
import { readEntries, type View } from './reader.ts'
import { applyState, recover, type Segment } from './recovery.ts'
import { RECORD_HEAD_BYTES, WRITE } from './segment.ts'
import { createStore, type Store } from './store.ts'

const MIB = 1024 * 1024
/** Places in a segment are 32 bits wide. */
const GIB = 1024 * MIB
/** One write is no larger, unless one append is. */
const groupBytesMax = 8 * MIB
/** What was just written is kept for readers that follow closely, where it is no larger. */
const recentBytesMax = MIB

const defaults = {
  segmentBytesMax: 64 * MIB,
  segmentBytesMin: MIB,
  bytesMax: Number.MAX_SAFE_INTEGER,
  whenFull: 'block' as const,
  syncDelayMsMax: 0,
  entryBytesMax: 16 * MIB,
  pendingBytesMax: 64 * MIB,
  stateBytesMax: MIB,
  readAheadBytes: 256 * 1024,
  setAsideBytesMax: 64 * MIB,
}
type Settings = Required<Pick<LogOptions, keyof typeof defaults>> & LogOptions

const checkSettings = (o: Settings): void => {
  for (const key of Object.keys(defaults) as (keyof typeof defaults)[]) {
    const value = o[key]
    if (typeof value !== 'number') continue
    const least = key === 'syncDelayMsMax' || key === 'setAsideBytesMax' ? 0 : 1
    const most = key === 'bytesMax' ? Number.MAX_SAFE_INTEGER : GIB
    if (!Number.isSafeInteger(value) || value < least || value > most) {
      throw new LogRangeError(`${key} is ${value}: give a whole number from ${least} to ${most}`)
    }
  }
  if (o.epoch !== undefined && !/^[A-Za-z0-9_-]{1,64}$/.test(o.epoch)) {
    throw new LogRangeError(`the epoch "${o.epoch}" is not 1 to 64 of A-Z, a-z, 0-9, _ and -`)
  }
}

/**
 * Opens the log in `dir`, which is made where it is missing. One at a time: rejects with a LogLockedError while another
 * process, or another part of this one, has it open. Opens whatever lies there: what is damaged is told (`onDamage`, `stats().damage`).
 */
export const openLog = async (dir: string, options: LogOptions = {}): Promise<Log> => {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as LogOptions
  const settings: Settings = { ...defaults, ...given }
  checkSettings(settings)
  const fs = settings.fs ?? nodeLogFs
  let unlock = async (): Promise<void> => undefined
  try {
    await fs.makeDir(dir)
    unlock = await takeLock(fs, dir)
    return await openLocked(dir, settings, fs, unlock)
  } catch (error) {
    await unlock().catch(() => undefined)
    if (error instanceof LogRangeError || error instanceof LogLockedError || error instanceof LogDiskError) throw error
    if (error instanceof LogError) throw new LogError(`${dir}: ${error.message}`)
    throw new LogDiskError(`${dir}: the log could not be opened`, error)
  }
}

const openLocked = async (dir: string, o: Settings, fs: LogFs, unlock: () => Promise<void>): Promise<Log> => {
  const damage = createDamageRecorder(fs, dir, o.setAsideBytesMax, o.onDamage)
  const recovered = await recover(fs, dir, damage, o.epoch)
  const { epoch, state } = recovered
  const store = createStore(fs, dir, o, damage, recovered)
  const snapshot = (): string => `{${[...state].map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`
  const closing = new AbortController()
  let closed: Promise<void> | undefined
  // A new log is on disk before it says who it is. Another is read, and says what fails when it is written to.
  if (recovered.manifest === undefined && store.segments.length === 0) await store.begin(0, snapshot(), closing.signal)
  else if (!store.active() && store.hasRoom()) await store.begin(0, snapshot(), closing.signal).catch(() => undefined)

  const waiting = new Set<() => void>()
  const wakeReaders = (): void => {
    for (const wake of waiting) wake()
  }
  const committer = createCommitter(dir, o, store, state, snapshot, closing.signal, wakeReaders)
  const view: View = {
    segments: store.segments,
    get gone() {
      return store.gone
    },
    nextSeq: store.nextSeq,
    isClosed: () => closed !== undefined,
    recent: committer.recent,
    changed: signal =>
      new Promise(resolve => {
        const wake = (): void => {
          waiting.delete(wake)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        if (signal.aborted || closed !== undefined) return resolve()
        waiting.add(wake)
        signal.addEventListener('abort', wake)
      }),
  }
  const assertOpen = (): void => {
    if (closed !== undefined) throw new LogClosedError(`${dir}: the log is closed`)
  }

  return {
    async append(bodies, changes, signal) {
      assertOpen()
      return committer.append(bodies, changes, signal)
    },
    read(after, signal) {
      assertOpen()
      return readEntries({ fs, dir, view, damage, readAheadBytes: o.readAheadBytes }, after, signal)
    },
    async trim(through) {
      assertOpen()
      if (!Number.isSafeInteger(through)) throw new LogRangeError(`${through} is not the number of an entry`)
      try {
        await store.trim(through)
      } catch (error) {
        throw new LogDiskError(`${dir}: the log could not be trimmed`, error)
      }
      wakeReaders()
    },
    state(key) {
      const text = state.get(key)
      return text === undefined ? undefined : JSON.parse(text)
    },
    stateKeys: prefix => [...state.keys()].filter(key => key.startsWith(prefix)).sort(),
    stats: () => ({
      epoch,
      oldestSeq: store.segments[0]?.firstSeq ?? store.nextSeq(),
      nextSeq: store.nextSeq(),
      bytes: store.bytes(),
      lostEntries: damage.lostEntries(),
      segments: store.segments.length,
      syncs: committer.syncs(),
      pendingBytes: committer.pendingBytes(),
      full: store.isFull(),
      damage: damage.list(),
      damageCount: damage.count(),
    }),
    close() {
      closed ??= (async () => {
        closing.abort(new LogClosedError(`${dir}: the log was closed while it was full`))
        await committer.idle()
        wakeReaders()
        try {
          await store.close()
        } finally {
          await unlock()
        }
      })()
      wakeReaders()
      return closed
    },
  }
}

interface Committer {
  append(
    bodies: readonly Uint8Array[],
    changes: Readonly<Record<string, unknown>> | undefined,
    signal: AbortSignal | undefined,
  ): Promise<number>
  recent: View['recent']
  syncs(): number
  pendingBytes(): number
  idle(): Promise<void>
}

/** Group commit: takes all that waits, makes it durable with one write, acknowledges it, and begins again. */
const createCommitter = (
  dir: string,
  o: Settings,
  store: Store,
  state: Map<string, string>,
  snapshot: () => string,
  closing: AbortSignal,
  committed: () => void,
): Committer => {
  const queue: Call[] = []
  let queueBytes = 0
  let running: Promise<void> | undefined
  let syncs = 0
  let syncedAt = Number.NEGATIVE_INFINITY
  /** Written, and not yet told to their callers. */
  let durable: readonly Call[] = []
  let recent: { segment: Segment; offset: number; bytes: Uint8Array } | undefined

  const take = (count: number): Call[] => {
    const calls = queue.splice(0, count)
    for (const call of calls) queueBytes -= call.bytes.length
    return calls
  }

  const roomOf = (segment: Segment): number => segment.capacity - segment.end - RECORD_HEAD_BYTES

  /** As many calls from the front as fit into one write. */
  const countFitting = (segment: Segment): number => {
    const room = Math.min(roomOf(segment), groupBytesMax)
    let bytes = 0
    let count = 0
    for (const call of queue) {
      bytes += call.bytes.length
      if (count > 0 ? bytes > room : bytes > roomOf(segment)) break
      count++
    }
    return count
  }

  /** Size of each key of the state, as it will be when what is being written is durable. */
  let keyBytes = new Map<string, number>()
  let stateBytes = 0
  const measureState = (): void => {
    keyBytes = new Map([...state].map(([key, text]) => [key, Buffer.byteLength(key) + Buffer.byteLength(text)]))
    stateBytes = [...keyBytes.values()].reduce((sum, bytes) => sum + bytes, 0)
  }
  measureState()

  /** Refuses a call that would let the state grow too large. */
  const hasRoomForState = (call: Call): boolean => {
    if (call.changes === undefined) return true
    const changed = Object.entries(JSON.parse(call.changes) as Record<string, unknown>).map(
      ([key, value]) =>
        [key, value === null ? 0 : Buffer.byteLength(key) + Buffer.byteLength(JSON.stringify(value))] as const,
    )
    const growth = changed.reduce((sum, [key, bytes]) => sum + bytes - (keyBytes.get(key) ?? 0), 0)
    if (growth > 0 && stateBytes + growth > o.stateBytesMax) {
      call.reject(new LogRangeError(`${dir}: the state would have more than stateBytesMax (${o.stateBytesMax}) bytes`))
      return false
    }
    for (const [key, bytes] of changed) keyBytes.set(key, bytes)
    stateBytes += growth
    return true
  }

  /** Writes the calls behind the data; when they are durable, takes over what they changed. Callers are told later. */
  const commit = async (segment: Segment, calls: readonly Call[]): Promise<void> => {
    let seq = store.nextSeq()
    let offset = segment.end
    for (const call of calls) {
      stampCall(call, segment.seed, offset, seq, offset === segment.end ? WRITE : 0)
      offset += call.bytes.length
      seq += call.entries
      call.lastSeq = seq - 1
    }
    const from = segment.end
    const [only] = calls
    const bytes = calls.length === 1 && only ? only.bytes : Buffer.concat(calls.map(call => call.bytes))
    syncedAt = performance.now()
    // An append of nothing waits its turn, and no more. While the disk is at work there is time for those who wait for the
    // write before.
    if (bytes.length === 0) acknowledge()
    else {
      await store.write(bytes, seq - store.nextSeq(), acknowledge)
      syncs++
      recent = bytes.length <= recentBytesMax ? { segment, offset: from, bytes } : undefined
    }
    for (const call of calls) if (call.changes !== undefined) applyState(state, call.changes)
    durable = calls
  }

  /** Tells the callers of the last write, and readers. */
  const acknowledge = (): void => {
    const calls = durable
    if (calls.length === 0) return
    durable = []
    for (const call of calls) call.resolve(call.lastSeq)
    committed()
  }

  /** Nothing that waits is acknowledged: what a caller sends again keeps its order. */
  const failAll = (calls: readonly Call[], error: unknown): void => {
    acknowledge()
    const told = error instanceof LogError ? error : new LogDiskError(`${dir}: the log could not be written`, error)
    for (const call of calls) call.reject(told)
    for (const call of take(queue.length)) call.reject(told)
    measureState()
  }

  const waitForWindow = async (): Promise<void> => {
    const waitMs = syncedAt + o.syncDelayMsMax - performance.now()
    if (o.syncDelayMsMax === 0 || waitMs <= 0 || queueBytes >= groupBytesMax || closing.aborted) return
    acknowledge()
    await delay(Math.min(waitMs, o.syncDelayMsMax), undefined, { signal: closing }).catch(() => undefined)
  }

  const step = async (): Promise<void> => {
    if (o.syncDelayMsMax > 0) await waitForWindow()
    const [first] = queue
    if (!first) return
    const segment = store.active()
    if (!segment || first.bytes.length > roomOf(segment)) {
      acknowledge()
      try {
        await store.begin(first.bytes.length, snapshot(), closing)
      } catch (error) {
        if (!(error instanceof LogRangeError)) throw error
        // It alone is at fault, unless it was withdrawn meanwhile.
        if (queue[0] === first) take(1)[0]?.reject(error)
      }
      return
    }
    const calls = take(countFitting(segment)).filter(hasRoomForState)
    if (calls.length === 0) return
    try {
      await commit(segment, calls)
    } catch (error) {
      failAll(calls, error)
    }
  }

  const run = async (): Promise<void> => {
    do {
      // What is called in the same turn, or in answer to an acknowledgement, shares the next write.
      acknowledge()
      await new Promise<void>(resolve => process.nextTick(resolve))
      while (queue.length > 0) {
        try {
          await step()
        } catch (error) {
          failAll([], error)
        }
      }
    } while (durable.length > 0)
    running = undefined
  }

  /** A call that still waits is taken back when the signal aborts. */
  const withdrawOn = (signal: AbortSignal, call: Call): void => {
    const { resolve, reject } = call
    const onAbort = (): void => {
      const at = queue.indexOf(call)
      if (at < 0) return
      queue.splice(at, 1)
      queueBytes -= call.bytes.length
      call.reject(signal.reason as Error)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    call.resolve = seq => {
      signal.removeEventListener('abort', onAbort)
      resolve(seq)
    }
    call.reject = error => {
      signal.removeEventListener('abort', onAbort)
      reject(error)
    }
  }

  return {
    append(bodies, changes, signal) {
      if (signal?.aborted) return Promise.reject(signal.reason)
      const encoded = encodeCall(bodies, changes, o)
      if (queueBytes + encoded.bytes.length > o.pendingBytesMax) {
        throw new LogBusyError(
          `${dir}: more than ${o.pendingBytesMax} bytes wait to be written: wait for earlier appends, or give smaller ones`,
        )
      }
      return new Promise((resolve, reject) => {
        const call: Call = { ...encoded, lastSeq: 0, resolve, reject }
        if (signal) withdrawOn(signal, call)
        queue.push(call)
        queueBytes += call.bytes.length
        running ??= run()
      })
    },
    recent: (segment, position, bytes) => {
      if (recent?.segment !== segment || position < recent.offset) return undefined
      const from = position - recent.offset
      return from + bytes <= recent.bytes.length ? recent.bytes.subarray(from, from + bytes) : undefined
    },
    syncs: () => syncs,
    pendingBytes: () => queueBytes,
    idle: async () => {
      await running
    },
  }
}
