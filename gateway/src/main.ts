/** penstock-gateway: sources → spool → uplink. This file is the table of contents of its commands. */
import { EXIT, UserError } from '@penstock/frame'
import { type CommandLine, runProgram } from '@penstock/program'
import { type GatewayConfig, loadGatewayConfig } from './config.ts'
import { followConfig, watchConfig } from './config-watch.ts'
import { openGateway } from './gateway.ts'
import { createPage } from './page.ts'

const version = '0.1.0'

const usage = `penstock-gateway ${version}: reads instruments, keeps every reading, sends it to the cloud

  penstock-gateway init [folder]                   writes a first configuration; --sample <file> finds its source
  penstock-gateway sniff <file>                    what a file is, and the source that reads it
  penstock-gateway preview <gateway.yaml> [source] what the sources would bring, read without storing
  penstock-gateway check <gateway.yaml>            proves a configuration against the real files, ports and broker
  penstock-gateway doctor [gateway.yaml]           what of this machine endangers readings, each with its remedy
  penstock-gateway run <gateway.yaml>              runs until it is stopped; takes an edited configuration as it goes on
  penstock-gateway tap [source]                    readings of a running gateway as they pass

  <command> --help  its options      --log json|text   form of the log (text on a terminal)      --version, --help

Exit codes: 0 ok · 1 failure · 2 wrong call · 3 configuration · 4 the spool is in use · 5 an address or a file cannot be
had · 130 stopped by Ctrl-C`

const configFile = ({ operands, command }: CommandLine): string => {
  const [file, ...more] = operands
  if (file === undefined || more.length > 0) {
    throw new UserError(`penstock-gateway ${command}: expected one configuration file\n\n${usage}`, EXIT.usage)
  }
  return file
}

const serve = async (line: CommandLine): Promise<void> => {
  const { log, signal, env } = line
  const file = configFile(line)
  const load = () => loadGatewayConfig(file, env)
  const watch = await watchConfig(file)
  line.onHangup(watch.ask)
  const now = () => new Date()
  const page = createPage({ now, log })
  const config = await load()
  const deps = { version, configFile: file, now, random: Math.random, log, onBatch: page.passed }
  const gateway = await openGateway(config, deps)
  const apply = async (next: GatewayConfig) => {
    const applied = await gateway.apply(next)
    if (applied.refused === undefined) page.apply(next)
    return applied
  }
  const ended = new AbortController()
  const stopped = AbortSignal.any([signal, ended.signal])
  const following = followConfig({ ...gateway, apply }, watch.changes(stopped), load, log)
  const showing = page.run(config, gateway, stopped)
  const running = gateway.run(signal).finally(() => ended.abort())
  line.ready(`${config.sources.length} sources; ${file}`)
  await running
  await Promise.all([following, showing])
}

await runProgram({
  name: 'penstock-gateway',
  version,
  usage,
  // All but `run` are loaded when they are called: the first reading does not wait for them.
  commands: {
    run: { isService: true, run: serve },
    init: async () => (await import('./commands/init.ts')).initCommand,
    sniff: async () => (await import('./commands/sniff.ts')).sniffCommand,
    preview: async () => (await import('./commands/preview.ts')).previewCommand,
    check: async () => (await import('./commands/check.ts')).checkCommand,
    tap: async () => (await import('./commands/tap.ts')).tapCommand,
    doctor: async () => (await import('./commands/doctor.ts')).doctorCommand,
  },
})
