/**
 * The running gateway: sources → spool → uplink, and what is known of them.
 *
 *     configuration ─apply─► sources, each with an end of its own ─► spool ─► sender, rerouted when the uplink changes
 *                                   └─► tally, ledger, `onBatch` ◄─┘
 *
 * Another configuration starts, stops and restarts only what differs in it. The spool and the cursors in it stay.
 */
import { setMaxListeners } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { EXIT, type LedgerLine, LIMITS, type SourceStatus, type Status, UserError } from '@penstock/frame'
import { type Log, LogError, LogLockedError, openLog } from '@penstock/log'
import { type GatewayConfig, openSource, type SourceOptions } from './config.ts'
import { runSource } from './pipeline.ts'
import { createSender, type SenderRoute, type SenderStats } from './sender.ts'
import type { Batch, Receipts, Source } from './source.ts'
import { createSpoolAge } from './spool-age.ts'
import { createTally } from './tally.ts'
import type { Uplink } from './uplink.ts'
import { createHttpUplink } from './uplinks/http.ts'
import { createMqttUplink } from './uplinks/mqtt.ts'

const limits = {
  sourceRetryMsMax: 30_000,
  statusEveryMs: 5_000,
  stateBytesMax: 64 * 1024 * 1024,
  /** A source that failed counts as failing for so long, unless it brings rows before. */
  failureShownMs: 60_000,
  /** After its append was withdrawn, a source has this long to end. */
  withdrawnMsMax: 500,
}

export interface GatewayLog {
  info(o: object, m: string): void
  warn(o: object, m: string): void
  error(o: object, m: string): void
}

export interface GatewayDeps {
  version: string
  /** As the person gave it, for messages. */
  configFile: string
  now(): Date
  /** 0 … 1, for the jitter of waits. */
  random(): number
  log: GatewayLog
  /** Given each batch when it is durable, with the bytes that it took. Cheap; never throws. */
  onBatch?(source: string, batch: Batch, bytes: number): void
  /** What else is not as it should be, in sentences, for the status. */
  problems?(): string[]
  /** A source that is to end and waits (the spool is full, a disk does not answer) is given up after so long. Default 5,000. */
  stopMsMax?: number
}

/** What an applied configuration did, by the ids of sources. A source that was restarted stands in `stopped` and in `started`. */
export interface Applied {
  started: string[]
  stopped: string[]
  kept: string[]
  /** The sender went over to another uplink. */
  rerouted: boolean
  /** Why nothing of it was taken. */
  refused?: string
}

export interface GatewaySnapshot {
  gateway: string
  version: string
  /** ISO 8601. */
  startedAt: string
  configFile: string
  /** When the configuration that runs was taken, ISO 8601. */
  configuredAt: string
  /** Why a newer one was not. */
  configProblem?: string
  uplink: SenderStats & { kind: string; url: string }
  spool: {
    epoch: string
    oldestSeq: number
    nextSeq: number
    bytes: number
    bytesMax: number
    /** Sources wait until the cloud has more. */
    full: boolean
    /** Entries that the cloud has not confirmed yet. */
    waiting: number
    /** When the oldest of them came in, to about a minute, ISO 8601. */
    oldestAt?: string
    lostEntries: number
  }
  sources: (SourceStatus & { options: Record<string, unknown>; rowsPerMinute: number })[]
  /** The latest line of each file, the one touched last at the end; bounded. */
  ledger(): LedgerLine[]
}

export interface Gateway {
  /** Runs until the signal aborts; then the last batches are durable, and the spool is closed. To be called once. */
  run(signal: AbortSignal): Promise<void>
  /** Takes another configuration. One after the other; never throws for what stands in one. */
  apply(next: GatewayConfig): Promise<Applied>
  /** A configuration could not be read: told in the log and in the snapshot; the old one goes on. */
  refuse(problem: string): void
  snapshot(): GatewaySnapshot
  /** For a gateway that was never run. */
  close(): Promise<void>
}

interface Running {
  options: SourceOptions
  source: Source
  stop(): Promise<void>
}

/** Opens the spool. Throws a UserError where it is in use or cannot be had. */
export const openGateway = async (config: GatewayConfig, deps: GatewayDeps): Promise<Gateway> => {
  const { version, configFile, now, log, stopMsMax = 5000 } = deps
  const spool = await openSpool(config, log)
  const startedAt = now().toISOString()
  const tally = createTally(now)
  const age = createSpoolAge(spool, now, error => log.warn({ err: error }, 'the age of the spool could not be kept'))
  const failures = new Map<string, { message: string; atMs: number }>()
  let current = config
  let configuredAt = startedAt
  let configProblem: string | undefined
  let sources: Running[] = []

  const sender = createSender({
    spool,
    ...routeOf(config, log),
    describe: () => ({
      clock: now().toISOString(),
      version,
      sources: sources.map(running => statusOf(running.source)),
      ...problemsNow(),
    }),
    statusEveryMs: limits.statusEveryMs,
    random: deps.random,
    log,
  })

  const problemsNow = (): Pick<Status, 'problems'> => {
    const all = [...(configProblem === undefined ? [] : [configProblem]), ...(deps.problems?.() ?? [])]
    if (all.length === 0) return {}
    return { problems: all.slice(0, LIMITS.problemsPerStatusMax).map(text => text.slice(0, LIMITS.reasonCharsMax)) }
  }
  const statusOf = (source: Source): SourceStatus => {
    const { rowsPerMinute, ...counts } = tally.of(source.id)
    return { id: source.id, kind: source.kind, ...healthOf(source), ...counts }
  }
  const healthOf = (source: Source): Pick<SourceStatus, 'health' | 'message'> => {
    const failure = failures.get(source.id)
    if (!failure || now().getTime() - failure.atMs > limits.failureShownMs) return source.health()
    return { health: 'failing', message: failure.message }
  }

  const onBatch = (source: Source, batch: Batch, bytes: number): void => {
    failures.delete(source.id)
    tally.count(source.id, batch)
    age.appended()
    deps.onBatch?.(source.id, batch, bytes)
  }
  const onFailure = (source: Source, error: unknown): void => {
    const reason = error instanceof Error ? error.message : String(error)
    const message = `failed and is started again: ${reason}`.slice(0, LIMITS.reasonCharsMax)
    failures.set(source.id, { message, atMs: now().getTime() })
    log.error({ err: error, source: source.id }, 'a source failed; it is started again')
  }

  const startSource = ({ options, source }: Pick<Running, 'options' | 'source'>): Running => {
    const end = new AbortController()
    // A source may wait for many receipts at once.
    setMaxListeners(0, end.signal)
    const withdrawal = new AbortController()
    const pipeline = { source, spool, retryMsMax: limits.sourceRetryMsMax, withdraw: withdrawal.signal }
    const ended = runSource({ ...pipeline, onBatch, onFailure }, end.signal)
    return {
      options,
      source,
      async stop() {
        end.abort()
        if (await endsWithin(ended, stopMsMax)) return
        // From here on nothing of it is stored any more: whoever takes its place begins at its last durable cursor.
        withdrawal.abort(new Error('the source did not stop in time'))
        const waited = await endsWithin(ended, limits.withdrawnMsMax)
        const why = spool.stats().full ? ': the spool is full' : ''
        const what = waited ? 'gave up its last batch' : 'did not end and was given up'
        log.warn({ source: source.id, stopMsMax }, `a source ${what}${why}`)
      },
    }
  }

  const receipts: Receipts = { lastSeq: sender.lastSeq, stored: sender.stored }
  const make = (options: SourceOptions) => ({ options, source: openSource(options, { now, receipts, log }) })

  let sending: { stop(): Promise<void> } | undefined
  /** Set while the gateway runs; rejects the run where the sender cannot go on. */
  let fail: (error: unknown) => void = () => {}
  const startSending = () => {
    const end = new AbortController()
    setMaxListeners(0, end.signal)
    const ended = sender.run(end.signal).catch(error => fail(error))
    return {
      async stop() {
        end.abort()
        await ended
      },
    }
  }

  /** What differs, with the new sources made but not started. Throws where one cannot be made. */
  const changesTo = (next: GatewayConfig) => {
    const had = new Map(sources.map(running => [running.options.id, running]))
    const kept = next.sources.flatMap(options => {
      const running = had.get(options.id)
      return running && isDeepStrictEqual(running.options, options) ? [running] : []
    })
    const keptIds = new Set(kept.map(running => running.options.id))
    return {
      kept,
      made: next.sources.filter(options => !keptIds.has(options.id)).map(make),
      leaving: sources.filter(running => !keptIds.has(running.options.id)),
      order: next.sources.map(options => options.id),
    }
  }

  const replaceSources = async ({ kept, made, leaving, order }: ReturnType<typeof changesTo>): Promise<void> => {
    // All ends come before the first start: what one gives free (a port, a folder) another one may take.
    await Promise.all(leaving.map(running => running.stop()))
    for (const { options } of leaving) failures.delete(options.id)
    const started = made.map(startSource)
    sources = [...kept, ...started].toSorted((a, b) => order.indexOf(a.options.id) - order.indexOf(b.options.id))
  }

  const refusedFor = (refused: string): Applied => {
    configProblem = refused
    log.error({ problem: refused }, 'the configuration is refused; the gateway goes on with the one it has')
    return { started: [], stopped: [], kept: sources.map(running => running.options.id), rerouted: false, refused }
  }

  const applyNow = async (next: GatewayConfig): Promise<Applied> => {
    const problem = restartNeeded(current, next)
    if (problem !== undefined) return refusedFor(`${configFile}: ${problem}`)
    let changes: ReturnType<typeof changesTo>
    try {
      changes = changesTo(next)
    } catch (error) {
      return refusedFor(`${configFile}: ${error instanceof Error ? error.message : String(error)}`)
    }
    const rerouted = !isDeepStrictEqual(current.uplink, next.uplink)
    if (rerouted) {
      await sending?.stop()
      sender.reroute(routeOf(next, log))
      sending &&= startSending()
    }
    await replaceSources(changes)
    current = next
    configuredAt = now().toISOString()
    configProblem = undefined
    const idsOf = (list: Pick<Running, 'options'>[]) => list.map(({ options }) => options.id)
    const [started, stopped, kept] = [idsOf(changes.made), idsOf(changes.leaving), idsOf(changes.kept)]
    if (rerouted || started.length + stopped.length > 0)
      log.info({ started, stopped, kept, rerouted }, 'the new configuration is in force')
    return { started, stopped, kept, rerouted }
  }

  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work)
    last = result.catch(() => {})
    return result
  }

  return {
    async run(signal) {
      const broken = new Promise<never>((_, reject) => {
        fail = reject
      })
      const aborted = new Promise<void>(resolve => {
        if (signal.aborted) resolve()
        else signal.addEventListener('abort', () => resolve(), { once: true })
      })
      try {
        sending = startSending()
        await inTurn(() => replaceSources(changesTo(current)))
        const { gateway, uplink } = current
        const ids = current.sources.map(source => source.id)
        log.info(
          { gateway, sources: ids, spool: spool.stats().epoch, uplink: uplink.url, version },
          'the gateway is running',
        )
        await Promise.race([aborted, broken])
      } finally {
        // A change that is being applied ends first; none begins after it.
        await inTurn(async () => {
          await Promise.all([...sources.map(running => running.stop()), sending?.stop()])
          sending = undefined
        })
        await spool.close()
      }
      log.info({}, 'the gateway has stopped')
    },
    apply: next => inTurn(async () => (sending ? await applyNow(next) : refusedFor('the gateway does not run'))),
    refuse: problem => void refusedFor(problem),
    snapshot() {
      const { epoch, oldestSeq, nextSeq, bytes, full, lostEntries } = spool.stats()
      const stats = sender.stats()
      const firstWaiting = Math.max(stats.through + 1, oldestSeq)
      const oldestAt = firstWaiting < nextSeq ? age.cameAt(firstWaiting) : undefined
      return {
        gateway: current.gateway,
        version,
        startedAt,
        configFile,
        configuredAt,
        ...(configProblem !== undefined && { configProblem }),
        uplink: { ...stats, kind: current.uplink.kind, url: current.uplink.url },
        spool: {
          epoch,
          oldestSeq,
          nextSeq,
          bytes,
          bytesMax: current.spool.bytesMax,
          full,
          waiting: nextSeq - firstWaiting,
          ...(oldestAt !== undefined && { oldestAt }),
          lostEntries,
        },
        sources: sources.map(({ source, options }) => ({
          ...statusOf(source),
          rowsPerMinute: tally.of(source.id).rowsPerMinute,
          options: withoutSecrets(options),
        })),
        ledger: tally.ledger,
      }
    },
    close: () => spool.close(),
  }
}

const openSpool = async (config: GatewayConfig, log: GatewayLog): Promise<Log> => {
  try {
    return await openLog(join(config.dataDir, 'spool'), {
      ...config.spool,
      entryBytesMax: LIMITS.envelopeBytesMax,
      stateBytesMax: limits.stateBytesMax,
      onDamage: damage => log.error({ damage }, damage.message),
    })
  } catch (error) {
    if (!(error instanceof LogError)) throw error
    const code = error instanceof LogLockedError ? EXIT.locked : EXIT.unavailable
    throw new UserError(`spool: ${error.message}`, code, { cause: error })
  }
}

const createUplink = ({ gateway, uplink }: GatewayConfig, log: GatewayLog): Uplink =>
  uplink.kind === 'mqtt' ? createMqttUplink({ ...uplink, gateway, log }) : createHttpUplink({ ...uplink, gateway })

const routeOf = (config: GatewayConfig, log: GatewayLog): SenderRoute => {
  const { windowBytesMax, receiptMsMax, reconnectMsMax } = config.uplink
  return { uplink: createUplink(config, log), windowBytesMax, receiptMsMax, reconnectMsMax }
}

/** What a running gateway cannot change, in one sentence; `undefined` where nothing of it differs. */
const restartNeeded = (had: GatewayConfig, next: GatewayConfig): string | undefined => {
  const changed = [
    ...(had.gateway === next.gateway ? [] : ['gateway']),
    ...(had.dataDir === next.dataDir ? [] : ['data']),
    ...(isDeepStrictEqual(had.spool, next.spool) ? [] : ['spool']),
    ...(isDeepStrictEqual(listening(had), listening(next)) ? [] : ['page']),
  ]
  if (changed.length === 0) return undefined
  return `a change of ${changed.join(' and ')} needs a restart; until then the gateway goes on with the configuration it had`
}

const listening = ({ page }: GatewayConfig) => page && [page.host, page.port, page.names, page.token]

/** Options as they may be shown: what was read from a secret stands under `secrets`. */
const withoutSecrets = (options: SourceOptions): Record<string, unknown> => {
  const { secrets, ...rest } = options as SourceOptions & { secrets?: unknown }
  return rest
}

/** Whether the promise settles in time. */
const endsWithin = async (ended: Promise<unknown>, ms: number): Promise<boolean> => {
  const timer = new AbortController()
  const late = sleep(ms, false, { signal: timer.signal }).catch(() => false)
  const isEnded = await Promise.race([ended.then(() => true), late])
  timer.abort()
  return isEnded
}
