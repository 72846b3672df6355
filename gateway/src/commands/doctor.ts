/** `doctor`: what of this machine endangers readings, each with its remedy. */
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { EXIT } from '@penstock/frame'
import type { Command, CommandLine } from '@penstock/program'
import { type GatewayConfig, loadGatewayConfig } from '../config.ts'
import { deviceOf } from '../probes/disk.ts'
import { type Finding, note, ok, warn } from '../probes/finding.ts'
import { judgeClockOffset, judgeJumps, judgeMachine, judgeZones, readMachine } from '../probes/machine.ts'
import { probePort, serialPortOf, unusedPorts } from '../probes/ports.ts'
import { shareFinding } from '../probes/source-files.ts'
import { findGateway, probeSpool, spoolOnDisk } from '../probes/spool.ts'
import { probeUplink, type UplinkProbe } from '../probes/uplink.ts'
import { listSerialPorts } from '../serial-port.ts'
import { type FileSource, filesOf, isFileSource } from '../source-files.ts'
import { findingTexts, summaryText } from '../terminal/finding-text.ts'
import { bytesText, countText } from '../terminal/sample-text.ts'
import { withTimeLimit } from '../time-limit.ts'
import { machineZone, operandsOf } from './call.ts'
import { uplinkFinding } from './check.ts'
import { pageAddress } from './tap.ts'

const usage = `penstock-gateway doctor [config]: what of this machine endangers readings, each with its remedy

  --json   all findings as JSON, for scripts

Of the machine: Node, memory, whether the clock follows a time server, hardware clock, limits of watched folders and open
files. With a configuration also: zones, serial ports and rights, locked files, network shares, disk and spool, how long
the spool lasts (asked of the page of a gateway that runs), SD card, the uplink, its clock and broker. Nothing is changed.
Exit codes: 0 nothing fails · 1 something does · 2 wrong call · 3 configuration`

const limits = { filesTriedMax: 200, filesAtOnce: 16, foldersPerSource: 64, pageMsMax: 3000 }
const dayMinutes = 24 * 60

const run = async (line: CommandLine): Promise<void> => {
  const [file] = operandsOf(line, 0, 1, 'a configuration file, or none')
  const config = file === undefined ? undefined : await loadGatewayConfig(file, line.env)
  const startWallMs = Date.now()
  const startMs = performance.now()
  const facts = await readMachine(machineZone())
  const watched = (config?.sources ?? []).filter(isFileSource).length * limits.foldersPerSource
  const findings = [
    ...judgeMachine(facts, watched),
    ...(config ? await examine(line, config) : await unusedPorts([], listSerialPorts)),
  ]
  const jumpMs = Date.now() - startWallMs - (performance.now() - startMs)
  const { writtenMs } = config ? await spoolOnDisk(config) : {}
  findings.push(...judgeJumps(jumpMs, Date.now(), writtenMs))
  const failed = findings.some(({ mark }) => mark === 'fail')
  if (line.options.json) line.print(JSON.stringify({ ok: !failed, facts, findings }, null, 2))
  else line.print([...findingTexts(findings, line.terminal.columns), '', summaryText(findings)].join('\n'))
  if (failed) process.exitCode = EXIT.failure
}

export const doctorCommand: Command = { run, usage, options: { json: 'boolean' } }

const examine = async (line: CommandLine, config: GatewayConfig): Promise<Finding[]> => {
  const { signal } = line
  const { platform } = process
  const gatewayPid = await findGateway(config)
  const uplink = probeUplink(config, { nowMs: Date.now, random: Math.random, signal })
  uplink.catch(() => {})
  const zones = config.sources.flatMap(source => ('zone' in source && source.zone ? [source.zone] : []))
  const found: Finding[] = judgeZones(machineZone(), zones)
  for (const source of config.sources) {
    const port = serialPortOf(source)
    if (isFileSource(source)) {
      found.push(...(await lockedFiles(source)), ...(await shareFinding(source, { platform })))
    } else if (port !== undefined) {
      found.push(...(await probePort(source.id, port, { platform, listPorts: listSerialPorts, gatewayPid })))
    }
  }
  return [
    ...found,
    ...(await unusedPorts(config.sources, listSerialPorts)),
    ...(await probeSpool(config, platform)),
    ...(await forecast(config, gatewayPid, signal)),
    ...(await sdCard(config)),
    ...uplinkFindings(config, await uplink),
  ]
}

/** Files of the source that cannot be opened now: locked by their program (Windows), or without the right to. */
const lockedFiles = async (source: FileSource): Promise<Finding[]> => {
  const { files, problems } = await filesOf(source)
  const tried = files.slice(-limits.filesTriedMax)
  const closed: string[] = []
  for (let i = 0; i < tried.length; i += limits.filesAtOnce) {
    const some = tried.slice(i, i + limits.filesAtOnce)
    const codes = await Promise.all(some.map(({ path }) => whyNotOpened(join(source.folder, path))))
    for (const [j, code] of codes.entries()) if (code !== undefined) closed.push(`${some[j]?.path} (${code})`)
  }
  const found = problems.map(problem => warn(source.id, problem))
  if (closed.length === 0) return [...found, ok(source.id, `${countText(tried.length, 'file')} can be opened`)]
  const text = `${countText(closed.length, 'file')} of ${tried.length} cannot be opened: ${closed.slice(0, 3).join(', ')}`
  const remedy =
    'EBUSY: its program does not share it, it is read when it is closed; EACCES: give the gateway the right to read'
  return [...found, warn(source.id, text, remedy)]
}

const whyNotOpened = async (path: string): Promise<string | undefined> => {
  try {
    await (await open(path)).close()
    return undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // It may be gone by now.
    return code === 'ENOENT' ? undefined : code
  }
}

/** How long the spool lasts without the cloud, as a gateway that runs sees it. */
const forecast = async (
  config: GatewayConfig,
  gatewayPid: number | undefined,
  signal: AbortSignal,
): Promise<Finding[]> => {
  if (gatewayPid === undefined || !config.page) {
    return [note('spool', 'how long it lasts is told by the page of a gateway that runs; none does')]
  }
  const { page } = config
  const headers = page.token === undefined ? {} : { authorization: `Bearer ${page.token}` }
  let spool: { bytesPerMinute?: number; minutesLeft?: number | null; waiting?: number } | undefined
  try {
    spool = await withTimeLimit(signal, limits.pageMsMax, async within => {
      const answer = await fetch(`${pageAddress(page)}/api/snapshot`, { headers, signal: within })
      return ((await answer.json()) as { spool?: typeof spool }).spool
    })
  } catch {
    signal.throwIfAborted()
  }
  if (!spool) return [note('spool', `the page at ${pageAddress(page)} does not answer: no forecast`)]
  const { minutesLeft, bytesPerMinute = 0, waiting = 0 } = spool
  if (typeof minutesLeft !== 'number') return [ok('spool', `nothing comes in now; ${countText(waiting, 'entry')} wait`)]
  const lasts =
    minutesLeft < 2 * dayMinutes ? `${Math.round(minutesLeft / 60)} h` : `${Math.round(minutesLeft / dayMinutes)} d`
  const text = `lasts ${lasts} without the cloud, at ${bytesText(bytesPerMinute)} a minute`
  return [minutesLeft < dayMinutes ? warn('spool', text, 'raise spool.bytesMax, or send less') : ok('spool', text)]
}

const sdCard = async ({ dataDir, spool }: GatewayConfig): Promise<Finding[]> => {
  const device = await deviceOf(dataDir)
  if (!device?.startsWith('mmcblk')) return []
  const text = `${dataDir} is on an SD card (${device})`
  if (spool.syncDelayMsMax >= 50) return [ok('spool', `${text}; syncs are gathered for ${spool.syncDelayMsMax} ms`)]
  return [
    warn('spool', `${text}, which wears out by syncs`, 'set spool.syncDelayMsMax: 200 ms, or put `data` on an SSD'),
  ]
}

const uplinkFindings = (config: GatewayConfig, probe: UplinkProbe): Finding[] => {
  const { clockAheadMs, broker } = probe
  const { host } = new URL(config.uplink.url)
  return [
    uplinkFinding(config, probe),
    ...(clockAheadMs === undefined ? [] : [judgeClockOffset(clockAheadMs, host)]),
    ...(broker?.includes('mosquitto') ? [mosquittoNote] : []),
  ]
}

const mosquittoNote = note(
  'uplink',
  'mosquitto keeps at most max_queued_messages (1,000 where nothing is said) for a cloud that is away; the rest is sent again, for only a receipt counts',
  'max_queued_messages 0 and max_queued_bytes 268435456 in mosquitto.conf spare the sending twice; message_size_limit must let 8 MiB pass',
)
