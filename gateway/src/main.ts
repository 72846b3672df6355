/**
 * penstock-gateway: sources → spool → uplink. This file is the table of contents: it opens what there is, connects it, and
 * closes it in the opposite order.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EXIT, LIMITS, type SourceStatus, UserError } from '@penstock/frame'
import { type Log, LogError, LogLockedError, openLog } from '@penstock/log'
import { type CommandLine, type Logger, runProgram } from '@penstock/program'
import { type GatewayConfig, gatewayJsonSchema, loadGatewayConfig, openSources } from './config.ts'
import { runSource } from './pipeline.ts'
import { createSender } from './sender.ts'
import type { Batch, Source } from './source.ts'
import type { Uplink } from './uplink.ts'
import { createHttpUplink } from './uplinks/http.ts'
import { createMqttUplink } from './uplinks/mqtt.ts'

const version = '0.1.0'

const usage = `penstock-gateway ${version}: reads instruments, keeps every reading, sends it to the cloud

  penstock-gateway run <gateway.yaml>              runs until it is stopped
  penstock-gateway check <gateway.yaml>            says what is wrong with a configuration, or that nothing is
  penstock-gateway check --schema <file>           writes the JSON Schema of the configuration, for editors

  --log json|text   form of the log (text on a terminal)      --version, --help

Exit codes: 0 ok · 1 failure · 2 wrong call · 3 configuration · 4 the spool is in use · 5 an address or a file cannot be had`

const limits = {
  sourceRetryMsMax: 30_000,
  statusEveryMs: 5_000,
  stateBytesMax: 64 * 1024 * 1024,
}

const configFile = ({ operands, command }: CommandLine): string => {
  const [file, ...more] = operands
  if (file === undefined || more.length > 0) {
    throw new UserError(`penstock-gateway ${command}: expected one configuration file\n\n${usage}`, EXIT.usage)
  }
  return file
}

const openSpool = async (config: GatewayConfig, log: Logger): Promise<Log> => {
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

const createUplink = ({ gateway, uplink }: GatewayConfig, log: Logger): Uplink =>
  uplink.kind === 'mqtt' ? createMqttUplink({ ...uplink, gateway, log }) : createHttpUplink({ ...uplink, gateway })

/** What each source has done since the start, for the status. */
const createTally = () => {
  const tallies = new Map<string, { rows: number; rejects: number; lastRowAt?: string }>()
  const of = (source: Source) => {
    const tally = tallies.get(source.id) ?? { rows: 0, rejects: 0 }
    tallies.set(source.id, tally)
    return tally
  }
  return {
    count(source: Source, batch: Batch): void {
      const tally = of(source)
      const rows = batch.frames.reduce((sum, frame) => sum + frame.offsetsNs.length, 0)
      tally.rows += rows
      tally.rejects += batch.rejects.length
      if (rows > 0) tally.lastRowAt = new Date().toISOString()
    },
    status: (source: Source): SourceStatus => ({ id: source.id, kind: source.kind, ...source.health(), ...of(source) }),
  }
}

const serve = async (config: GatewayConfig, { log, signal }: CommandLine): Promise<void> => {
  const spool = await openSpool(config, log)
  try {
    const tally = createTally()
    let sources: Source[] = []
    const sender = createSender({
      spool,
      uplink: createUplink(config, log),
      describe: () => ({ clock: new Date().toISOString(), version, sources: sources.map(tally.status) }),
      windowBytesMax: config.uplink.windowBytesMax,
      receiptMsMax: config.uplink.receiptMsMax,
      reconnectMsMax: config.uplink.reconnectMsMax,
      statusEveryMs: limits.statusEveryMs,
      random: Math.random,
      log,
    })
    sources = openSources(config, { now: () => new Date(), receipts: sender, log })
    log.info(
      {
        gateway: config.gateway,
        sources: sources.map(s => s.id),
        spool: spool.stats().epoch,
        uplink: config.uplink.url,
        version,
      },
      'the gateway is running',
    )
    const pipelines = sources.map(source =>
      runSource(
        {
          source,
          spool,
          retryMsMax: limits.sourceRetryMsMax,
          onBatch: tally.count,
          onFailure: (s, error) => log.error({ err: error, source: s.id }, 'a source failed; it is started again'),
        },
        signal,
      ),
    )
    await Promise.all([sender.run(signal), ...pipelines])
  } finally {
    await spool.close()
  }
  log.info({}, 'the gateway has stopped')
}

await runProgram({
  name: 'penstock-gateway',
  version,
  usage,
  options: ['schema'],
  commands: {
    async run(line) {
      await serve(await loadGatewayConfig(configFile(line), line.env), line)
    },
    async check(line) {
      if (typeof line.options.schema === 'string') {
        await writeFile(line.options.schema, `${JSON.stringify(gatewayJsonSchema(), null, 2)}\n`)
        line.print(`wrote ${line.options.schema}`)
        if (line.operands.length === 0) return
      }
      const file = configFile(line)
      const { gateway, sources, uplink, dataDir } = await loadGatewayConfig(file, line.env)
      const kinds = sources.map(source => `${source.id} (${source.kind})`).join(', ')
      line.print(`${file}: ok: gateway ${gateway}; sources ${kinds}; uplink ${uplink.url}; data in ${dataDir}`)
    },
  },
})
