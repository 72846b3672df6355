/** `check`: proves a configuration against the real files, ports and broker, and says what would happen. */
import { writeFile } from 'node:fs/promises'
import { EXIT, UserError } from '@penstock/frame'
import type { Command, CommandLine } from '@penstock/program'
import { type GatewayConfig, gatewayJsonSchema, loadGatewayConfig, type SourceOptions } from '../config.ts'
import { type Finding, fail, note, ok, warn } from '../probes/finding.ts'
import { addressOf, probeAddress, whyNotReached } from '../probes/network.ts'
import { probePort, serialPortOf } from '../probes/ports.ts'
import { probeFiles } from '../probes/source-files.ts'
import { findGateway, probeSpool } from '../probes/spool.ts'
import { probeUplink, type UplinkProbe } from '../probes/uplink.ts'
import { listSerialPorts } from '../serial-port.ts'
import { isFileSource } from '../source-files.ts'
import { findingTexts, summaryText } from '../terminal/finding-text.ts'
import { fileProblem, operandsOf, textOption } from './call.ts'
import { pageAddress } from './tap.ts'

const usage = `penstock-gateway check <config>: proves a configuration, and says what would happen

  --offline         only what stands in the file
  --schema <file>   writes the JSON Schema of the configuration, for editors
  --json            all findings as JSON, for scripts

Looked at: folders, which files match and whether the format reads the first 64 KiB of the latest three; folders that files
are moved to; serial ports, without opening them; addresses; the uplink and its credentials, under another client id, so
that a gateway that runs stays connected; the spool's disk; the page's port. Nothing is stored, moved or left behind.

FAIL   the configuration is wrong here: no row of a file can be read, a folder is none or may not be read or written, a
       port may not be opened, credentials are refused
WARN   it may come right by itself, and the gateway waits for it: a folder or a port that is not there, a cloud that cannot
       be reached, no file that matches, many rejects, rows from the future, less disk than spool.bytesMax

Exit codes: 0 no FAIL · 2 wrong call · 3 the configuration is wrong, here or anywhere · 5 the schema cannot be written`

const run = async (line: CommandLine): Promise<void> => {
  const schema = textOption(line, 'schema')
  if (schema !== undefined) {
    await writeSchema(schema)
    line.print(`wrote ${schema}`)
    if (line.operands.length === 0) return
  }
  const [file = ''] = operandsOf(line, 1, 1, 'one configuration file')
  const config = await loadGatewayConfig(file, line.env)
  const findings = line.options.offline ? [] : await probeAll(line, config)
  const { gateway, sources, uplink, dataDir } = config
  const failed = findings.some(({ mark }) => mark === 'fail')
  if (line.options.json) {
    const kinds = sources.map(({ id, kind }) => ({ id, kind }))
    line.print(JSON.stringify({ config: file, ok: !failed, gateway, sources: kinds, findings }, null, 2))
  } else if (findings.length > 0) line.print(findingTexts(findings, line.terminal.columns).join('\n'))
  if (failed) throw new UserError(`${file}: ${summaryText(findings)}`, EXIT.config)
  const kinds = sources.map(source => `${source.id} (${source.kind})`).join(', ')
  const warned = findings.some(({ mark }) => mark === 'warn') ? ` (${summaryText(findings)})` : ''
  if (line.options.json) return
  line.print(`${file}: ok: gateway ${gateway}; sources ${kinds}; uplink ${uplink.url}; data in ${dataDir}${warned}`)
}

export const checkCommand: Command = {
  run,
  usage,
  options: { schema: 'string', offline: 'boolean', json: 'boolean' },
}

const writeSchema = async (path: string): Promise<void> => {
  try {
    await writeFile(path, `${JSON.stringify(gatewayJsonSchema(), null, 2)}\n`)
  } catch (error) {
    throw new UserError(`${path}: cannot be written: ${fileProblem(error)}`, EXIT.unavailable, { cause: error })
  }
}

/** In the order of the file: sources, then what all of them need. */
const probeAll = async (line: CommandLine, config: GatewayConfig): Promise<Finding[]> => {
  const { signal } = line
  const gatewayPid = await findGateway(config)
  const uplink = probeUplink(config, { nowMs: Date.now, random: Math.random, signal })
  uplink.catch(() => {})
  const found: Finding[] = []
  for (const source of config.sources) found.push(...(await probeSource(source, gatewayPid, signal)))
  return [
    ...found,
    ...(await probeSpool(config, process.platform)),
    ...(await probePage(config, gatewayPid, signal)),
    uplinkFinding(config, await uplink),
  ]
}

export const probeSource = async (
  source: SourceOptions,
  gatewayPid: number | undefined,
  signal: AbortSignal,
): Promise<Finding[]> => {
  const { platform } = process
  if (isFileSource(source)) return await probeFiles(source, { nowMs: Date.now, platform, signal })
  const port = serialPortOf(source)
  if (port !== undefined) return await probePort(source.id, port, { platform, listPorts: listSerialPorts, gatewayPid })
  const address = addressOf(source)
  if (address) return [await probeAddress(source.id, address, signal)]
  return [ok(source.id, `${source.kind} needs nothing`)]
}

export const uplinkFinding = ({ uplink }: GatewayConfig, probe: UplinkProbe): Finding => {
  const { state, why = 'no reason given', broker } = probe
  if (state === 'ok') return ok('uplink', `${uplink.url} takes us${broker === undefined ? '' : ` (${broker})`}`)
  if (state === 'refused')
    return fail('uplink', `${uplink.url}: ${why}`, 'correct the credentials or the address of `uplink`')
  const text = `${uplink.url} cannot be reached (${why}): readings wait in the spool until it can`
  return warn('uplink', text, 'is the cloud running, the address right, and the way open (firewall, proxy)?')
}

const probePage = async (
  { page }: GatewayConfig,
  gatewayPid: number | undefined,
  signal: AbortSignal,
): Promise<Finding[]> => {
  if (!page) return [note('page', 'none is asked for')]
  const address = pageAddress(page)
  if (gatewayPid !== undefined || page.port === 0) return []
  const { hostname, port } = new URL(address)
  const why = await whyNotReached(hostname.replace(/^\[|\]$/g, ''), Number(port), signal)
  if (why !== undefined) return [ok('page', `it will be at ${address}`)]
  return [warn('page', `another program listens at ${address}: the page will not be seen`, 'give `page` another port')]
}
