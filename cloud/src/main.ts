/**
 * penstock-cloud: broker → ingest → journal → projectors → API and page. This file is the table of contents: it opens what
 * there is, connects it, and closes it in the opposite order.
 */
import { statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { EXIT, LIMITS, UserError } from '@penstock/frame'
import { loadWeb, openServer } from '@penstock/http'
import { type Log, LogError, LogLockedError, openLog } from '@penstock/log'
import { type CommandLine, type Logger, runProgram } from '@penstock/program'
import { createApp } from './app.ts'
import type { Broker, OnMessage } from './broker.ts'
import { openEmbeddedBroker } from './brokers/embedded.ts'
import { openExternalBroker } from './brokers/external.ts'
import { type CloudConfig, cloudJsonSchema, loadCloudConfig } from './config.ts'
import { openFlow } from './flow.ts'
import { openGatewayHistory } from './gateway-history.ts'
import { historianText } from './historian-config.ts'
import { checkInflux } from './historians/influx.ts'
import { LakeDamagedError } from './historians/lake.ts'
import { createIngest } from './ingest.ts'
import { createEntryReader } from './journal-entry.ts'
import { createMetrics } from './metrics.ts'
import { openApiDocument } from './openapi.ts'
import { pageViews } from './page-views.ts'
import { createDecodedCache, createProjection, type Projection } from './projection.ts'
import { deleteProjections, openStores, setAside } from './projections.ts'
import type { JournalEntry, Projector } from './projector.ts'
import { createHistorianProjector } from './projectors/historian.ts'
import { createLive, type Live } from './projectors/live.ts'
import { RecordsDamagedError } from './projectors/records.ts'
import { createRollupProjector } from './projectors/rollup.ts'
import { createReception } from './reception.ts'
import { gatewayView } from './routes/gateways.ts'
import { createSites } from './sites.ts'
import { createTopicPatterns } from './topic-patterns.ts'
import { createWaysIn, type WaysIn } from './ways-in.ts'

const version = '0.1.0'

const usage = `penstock-cloud ${version}: keeps and computes what gateways send

  penstock-cloud run <cloud.yaml>                 runs until it is stopped
  penstock-cloud check <cloud.yaml>               says what is wrong with a configuration, or that nothing is
  penstock-cloud check --schema <file>            writes the JSON Schema of the configuration, for editors
  penstock-cloud openapi [file]                    prints or writes the OpenAPI document of the HTTP API
  penstock-cloud rebuild <cloud.yaml> [what …]    deletes projections (historian, rollup, records; all where none is
                                                  named); the next run builds them again from the journal

  --log json|text   form of the log (text on a terminal)      --version, --help

Exit codes: 0 ok · 1 failure · 2 wrong call · 3 configuration · 4 the journal is in use · 5 an address or a file cannot be had`

const limits = {
  ingestQueueBytesMax: 32 * 1024 * 1024,
  /** Of 8 bytes or so: decoded entries that the projections share near the journal's end. */
  cacheValuesMax: 4_000_000,
  batchValuesMax: 1_000_000,
  batchEntriesMax: 2000,
  lakeMemoryMiBMax: 128,
  retryMsMax: 30_000,
  /** A projection that is this many entries behind counts as behind. */
  behindEntriesMax: 1000,
  journalTrimEveryMs: 10_000,
  gatewayHistoryEveryMs: 60_000,
  flowEveryMs: 2000,
}

// Left to itself, V8 lets garbage grow to several times of what is in use after a burst of readings, and keeps it.
setFlagsFromString('--heap-growing-percent=30')

const configFile = ({ operands, command }: CommandLine): string => {
  const [file, ...more] = operands
  if (file === undefined || (more.length > 0 && command !== 'rebuild')) {
    throw new UserError(`penstock-cloud ${command}: expected one configuration file\n\n${usage}`, EXIT.usage)
  }
  return file
}

const journalDir = (config: CloudConfig) => join(config.dataDir, 'journal')

const openJournal = async (config: CloudConfig, log: Logger): Promise<Log> => {
  const { bytesMax, segmentBytesMax, syncDelayMsMax } = config.journal
  try {
    return await openLog(journalDir(config), {
      syncDelayMsMax,
      entryBytesMax: LIMITS.envelopeBytesMax + 64 * 1024,
      stateBytesMax: 16 * 1024 * 1024,
      ...(bytesMax !== undefined && { bytesMax }),
      ...(segmentBytesMax !== undefined && { segmentBytesMax }),
      onDamage: damage => log.error({ damage }, damage.message),
    })
  } catch (error) {
    if (!(error instanceof LogError)) throw error
    const code = error instanceof LogLockedError ? EXIT.locked : EXIT.unavailable
    throw new UserError(`journal: ${error.message}`, code, { cause: error })
  }
}

const openBroker = async (config: CloudConfig, waysIn: WaysIn, onMessage: OnMessage, log: Logger): Promise<Broker> => {
  // The topic and its header come on top of an envelope.
  const packetBytesMax = LIMITS.envelopeBytesMax + 64 * 1024
  const { broker, gateways = [] } = config
  if (broker.kind === 'embedded') {
    const credentials = gateways.map(({ id, username, password }) => ({ gateway: id, username, password }))
    return openEmbeddedBroker({ ...broker, credentials, packetBytesMax, mayRead: waysIn.mayRead, onMessage, log })
  }
  const { filters } = waysIn
  return openExternalBroker({ ...broker, clientId: 'penstock-cloud', packetBytesMax, filters, onMessage, log })
}

/** Runs the cloud until the signal aborts (`stopped`) or a projection turns out damaged (`again`: then its file is set aside). */
const serve = async (config: CloudConfig, line: CommandLine): Promise<'stopped' | 'again'> => {
  const { log, signal } = line
  const closing = createClosing()
  try {
    return await serveUntilClosed(config, closing, log, signal)
  } finally {
    await closing.close()
  }
}

/** What has been opened, to be closed in the opposite order; a failure to close one does not keep the others open. */
const createClosing = () => {
  const closers: (() => Promise<unknown> | undefined)[] = []
  return {
    adopt<T>(value: T, close: (value: T) => Promise<unknown> | undefined): T {
      closers.push(() => close(value))
      return value
    },
    async close(): Promise<void> {
      const errors: unknown[] = []
      for (const close of closers.splice(0).reverse()) {
        try {
          await close()
        } catch (error) {
          errors.push(error)
        }
      }
      if (errors.length > 0) throw errors[0]
    },
  }
}

const serveUntilClosed = async (
  config: CloudConfig,
  closing: ReturnType<typeof createClosing>,
  log: Logger,
  signal: AbortSignal,
): Promise<'stopped' | 'again'> => {
  const sites = createSites(config.sites)

  const journal = closing.adopt(await openJournal(config, log), j => j.close())
  const stores = await openStores({
    dataDir: config.dataDir,
    historians: config.historians,
    journal: journal.stats(),
    memoryMiBMax: limits.lakeMemoryMiBMax,
    now: Date.now,
    log,
  })
  const records = closing.adopt(stores.records, r => r.close?.())
  const [main, ...others] = closing.adopt(stores.historians, all => Promise.all(all.map(h => h.historian.close())))
  if (!main) throw new Error('INTERNAL: no historian')
  const { historian } = main
  const now = () => new Date()
  const live = closing.adopt(
    createLive({ run: Date.now().toString(36), now: Date.now, startAfter: journal.stats().nextSeq - 1 }),
    l => l.close(),
  )

  // Projections: each reads the journal from its own cursor.
  const cache = createDecodedCache({ valuesMax: limits.cacheValuesMax })
  const { batchValuesMax, batchEntriesMax, retryMsMax } = limits
  const damaged = new AbortController()
  const common = {
    journal,
    cache,
    batchValuesMax,
    batchEntriesMax,
    retryMsMax,
    log,
    onFailure(error: unknown) {
      if (error instanceof LakeDamagedError || error instanceof RecordsDamagedError) damaged.abort(error)
    },
  }
  const rows = createProjection({ ...common, projector: createHistorianProjector(historian, { log }) })
  const rollups = closing.adopt(
    createRollupProjector({ historian, sites, now, log, onAggregates: live.aggregates }),
    r => r.close(),
  )
  const rollup = createProjection({ ...common, behind: rows, projector: rollups })
  const projections: Projection[] = [
    rows,
    rollup,
    createProjection({ ...common, projector: telling(records, live) }),
    createProjection({ ...common, projector: live, behind: rows }),
    ...others.flatMap(({ kind, historian }) => {
      const projector = createHistorianProjector(historian, { log })
      const filled = createProjection({ ...common, projector: secondary(projector, kind) })
      const computed = closing.adopt(createRollupProjector({ historian, sites, now, log }), r => r.close())
      return [filled, createProjection({ ...common, behind: filled, projector: secondary(computed, kind) })]
    }),
  ]
  const running = AbortSignal.any([signal, damaged.signal])
  const stopProjections = new AbortController()
  const projected = AbortSignal.any([running, stopProjections.signal])
  const runs = projections.map(projection => projection.run(projected))
  closing.adopt(runs, r => {
    stopProjections.abort()
    return Promise.all(r)
  })

  // The way in.
  const ingest = closing.adopt(
    createIngest({ journal, now, queueBytesMax: limits.ingestQueueBytesMax, onDecoded: cache.put, log }),
    i => i.close(),
  )
  const { receipt } = ingest
  closing.adopt(openGatewayHistory({ live, now, receipt, ingest, everyMs: limits.gatewayHistoryEveryMs, log }), h =>
    h.close(),
  )
  let broker: Broker | undefined
  const waysIn = createWaysIn({
    ingest,
    patterns: createTopicPatterns(config.mqtt),
    mapping: config.write,
    ...(config.sparkplug && { sparkplug: config.sparkplug }),
    publish: async (topic, payload, qos) => broker?.publish(topic, payload, qos),
    now,
    log,
  })
  const reception = createReception({
    ingest,
    waysIn,
    publish: async (topic, payload) => broker?.publish(topic, payload),
    onStatus: (gateway, status) => live.status(gateway, status, Date.now()),
    log,
  })
  broker = closing.adopt(await openBroker(config, waysIn, reception, log), b => b.close())

  // The way out.
  const { bytesMax } = config.journal
  const stats = () => projections.map(projection => projection.stats())
  const metrics = createMetrics({
    ingest,
    journal: () => journal.stats(),
    projections: stats,
    broker: () => broker?.stats() ?? { connections: 0, connected: false },
    gateways: () => live.gateways(),
  })
  const flow = closing.adopt(
    openFlow({
      now: Date.now,
      gateways: () => live.gateways().map(gateway => gatewayView(gateway, { now, receipt })),
      broker: () => broker?.stats() ?? { connections: 0, connected: false },
      ingest: ingest.stats,
      journal: () => ({ ...journal.stats(), ...(bytesMax !== undefined && { bytesMax }) }),
      projections: stats,
      disk: () => diskOf(config.dataDir),
      rejectsSince: records.evidence.rejectsSince,
      onAttention: items => live.attention(JSON.stringify({ items })),
      ...{ everyMs: limits.flowEveryMs, behindEntriesMax: limits.behindEntriesMax, log },
    }),
    f => f.close(),
  )
  const web = await loadWeb(fileURLToPath(new URL('../../dashboards/web/dist', import.meta.url)), pageViews)
  const { listen, gateways } = config
  const app = createApp({
    historian,
    sites,
    records,
    evidence: records.evidence,
    flow,
    live,
    ingest: ingest.frames,
    receipt,
    writes: { ...ingest, mapping: config.write },
    status: (gateway, status) => live.status(gateway, status, Date.now()),
    journalStats: () => journal.stats(),
    journalEntry: createEntryReader(journal),
    readiness: () => readiness(stats()),
    metrics,
    version,
    lateHoursMax: config.lateHoursMax,
    now,
    access: {
      hosts: [listen.host, ...listen.names],
      ...(listen.token !== undefined && { token: listen.token }),
      ...(gateways && { gateways }),
    },
    log,
    ...(web && { web }),
  })
  const server = closing.adopt(await openServer({ fetch: app.fetch, host: listen.host, port: listen.port }), s =>
    s.close(),
  )
  log.info({ page: server.url, broker: broker.url, data: config.dataDir, version }, 'the cloud is running')

  keepJournalSmall(config, journal, stats, running).catch(error =>
    log.error({ err: error }, 'the journal was not trimmed'),
  )
  await new Promise<void>(resolve => {
    if (running.aborted) resolve()
    else running.addEventListener('abort', () => resolve(), { once: true })
  })
  if (!damaged.signal.aborted) return 'stopped'
  const error = damaged.signal.reason as LakeDamagedError | RecordsDamagedError
  log.error({ reason: error.message }, 'a projection is damaged and is built again from the journal')
  await closing.close()
  await setAside(error.file)
  return 'again'
}

/** The records, with open pages told of rejects as soon as they can be read. */
const telling = (records: Projector, live: Live): Projector => ({
  ...records,
  async apply(entries) {
    await records.apply(entries)
    const sum = (count: (entry: JournalEntry) => number) => entries.reduce((all, entry) => all + count(entry), 0)
    live.rejects(
      sum(entry => entry.rejects.length),
      sum(entry => entry.settled?.rejects.length ?? 0),
    )
  },
})

/** `historian-influx`: a second historian's projector, by the historian's kind. */
const secondary = (projector: Projector, kind: string): Projector => ({
  ...projector,
  name: `${projector.name}-${kind}`,
})

/** Room on the disk that holds the data; `undefined` where the system does not tell. */
const diskOf = async (folder: string): Promise<{ freeBytes: number; totalBytes: number } | undefined> => {
  const disk = await statfs(folder).catch(() => undefined)
  return disk && { freeBytes: disk.bavail * disk.bsize, totalBytes: disk.blocks * disk.bsize }
}

const readiness = (projections: readonly ReturnType<Projection['stats']>[]) => {
  const reasons = projections.flatMap(({ name, applied, last, problem }) => {
    const behind = Math.max(0, last - applied)
    if (problem !== undefined)
      return [`${name} cannot be written and is ${behind} entries behind the journal: ${problem}`]
    if (behind > limits.behindEntriesMax) return [`${name} is ${behind} entries behind the journal`]
    return []
  })
  return { ready: reasons.length === 0, reasons }
}

/** With a limit on the journal: gives back its oldest quarter when it is nearly full, as far as everything has been applied. */
const keepJournalSmall = async (
  { journal: { bytesMax } }: CloudConfig,
  journal: Log,
  projections: () => readonly ReturnType<Projection['stats']>[],
  signal: AbortSignal,
): Promise<void> => {
  if (bytesMax === undefined) return
  while (!signal.aborted) {
    const { bytes, oldestSeq } = journal.stats()
    const applied = Math.min(...projections().map(p => p.applied))
    if (bytes > 0.8 * bytesMax && applied > oldestSeq) {
      await journal.trim(oldestSeq + Math.ceil((applied - oldestSeq) / 4))
    }
    await sleep(limits.journalTrimEveryMs, undefined, { signal }).catch(() => {})
  }
}

const rebuildable = ['historian', 'rollup', 'records'] as const

const check = async (line: CommandLine): Promise<void> => {
  if (typeof line.options.schema === 'string') {
    await writeFile(line.options.schema, `${JSON.stringify(cloudJsonSchema(), null, 2)}\n`)
    line.print(`wrote ${line.options.schema}`)
    if (line.operands.length === 0) return
  }
  const file = configFile(line)
  const { sites, broker, historians, dataDir } = await loadCloudConfig(file, line.env)
  const where = broker.kind === 'embedded' ? `embedded broker on ${broker.host}:${broker.port}` : `broker ${broker.url}`
  const kept = historians.map(historianText).join(' and ')
  for (const historian of historians) {
    if (historian.kind === 'influx') line.print(`${file}: historian: ${await checkInflux(historian)}`)
  }
  line.print(`${file}: ok: ${sites.length} sites, ${where}, historian ${kept}, data in ${dataDir}`)
}

const openapi = async (line: CommandLine): Promise<void> => {
  const [file, ...more] = line.operands
  if (more.length > 0) throw new UserError(`penstock-cloud openapi: expected one file at most`, EXIT.usage)
  const text = JSON.stringify(await openApiDocument(version), null, 2)
  if (file === undefined) return line.print(text)
  await writeFile(file, `${text}\n`)
  line.print(`wrote ${file}`)
}

const rebuild = async (line: CommandLine): Promise<void> => {
  const config = await loadCloudConfig(configFile(line), line.env)
  const named = line.operands.slice(1)
  const wrong = named.find(name => !rebuildable.some(known => known === name))
  if (wrong !== undefined) {
    throw new UserError(`rebuild: "${wrong}" is no projection; expected ${rebuildable.join(', ')}`, EXIT.usage)
  }
  const what = named.length > 0 ? named : [...rebuildable]
  // Nobody else may be at work on these files.
  const journal = await openJournal(config, line.log)
  try {
    const { dataDir, historians } = config
    const [memoryMiBMax, log] = [limits.lakeMemoryMiBMax, line.log]
    await deleteProjections(what, {
      dataDir,
      historians,
      journal: journal.stats(),
      memoryMiBMax,
      now: Date.now,
      log,
    })
  } finally {
    await journal.close()
  }
  line.print(
    `deleted ${what.join(', ')}: the next run builds them again from ${journal.stats().nextSeq - 1} journal entries`,
  )
}

await runProgram({
  name: 'penstock-cloud',
  version,
  usage,
  commands: {
    run: {
      isService: true,
      async run(line) {
        const config = await loadCloudConfig(configFile(line), line.env)
        while ((await serve(config, line)) === 'again');
        line.log.info({}, 'the cloud has stopped')
      },
    },
    check: { options: { schema: 'string' }, run: check },
    rebuild: { run: rebuild },
    openapi: { run: openapi },
  },
})
