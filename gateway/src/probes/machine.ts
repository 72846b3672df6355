/** What a machine says of itself, and what of it endangers readings. Facts are gathered in one place and judged in another. */
import { execFile } from 'node:child_process'
import { readdir, readFile, stat } from 'node:fs/promises'
import { freemem, totalmem } from 'node:os'
import { promisify } from 'node:util'
import { bytesText } from '../terminal/sample-text.ts'
import { type Finding, fail, note, ok, warn } from './finding.ts'

export interface MachineFacts {
  nodeVersion: string
  platform: NodeJS.Platform
  arch: string
  /** IANA. */
  zone: string
  totalBytes: number
  availableBytes: number
  /** Whether the clock follows a time server; `undefined` where the system does not tell. */
  isSynced?: boolean
  /** Linux: a hardware clock that runs on without power. */
  hasHardwareClock?: boolean
  /** Linux: folders that may be watched at a time, by all programs of a user. */
  watchesMax?: number
  openFilesMax?: number
}

const MIB = 1024 * 1024
const limits = {
  commandMsMax: 3000,
  watchesMin: 1024,
  openFilesMin: 1024,
  totalBytesMin: 400 * MIB,
  availableBytesMin: 100 * MIB,
}
const nodeMin: readonly [number, number] = [20, 19]

export const readMachine = async (zone: string): Promise<MachineFacts> => {
  const { platform, arch, versions } = process
  const isLinux = platform === 'linux'
  const [isSynced, watches, processLimits, memory, clocks] = await Promise.all([
    isLinux ? readSynced() : undefined,
    isLinux ? readText('/proc/sys/fs/inotify/max_user_watches') : undefined,
    isLinux ? readText('/proc/self/limits') : undefined,
    isLinux ? readText('/proc/meminfo') : undefined,
    isLinux ? readdir('/sys/class/rtc').catch(() => []) : undefined,
  ])
  const openFiles = /^Max open files\s+(\d+)/m.exec(processLimits ?? '')?.[1]
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(memory ?? '')?.[1]
  return {
    nodeVersion: versions.node,
    platform,
    arch,
    zone,
    totalBytes: totalmem(),
    availableBytes: available === undefined ? freemem() : Number(available) * 1024,
    ...(isSynced !== undefined && { isSynced }),
    ...(clocks && { hasHardwareClock: clocks.length > 0 }),
    ...(watches !== undefined && { watchesMax: Number(watches.trim()) }),
    ...(openFiles !== undefined && { openFilesMax: Number(openFiles) }),
  }
}

const readText = (path: string): Promise<string | undefined> => readFile(path, 'utf8').catch(() => undefined)

/** systemd knows of chrony and ntpd, too; without it, only its own client leaves a file. */
const readSynced = async (): Promise<boolean | undefined> => {
  try {
    const args = ['show', '--property=NTPSynchronized', '--value']
    const { stdout } = await promisify(execFile)('timedatectl', args, { timeout: limits.commandMsMax })
    if (/^(yes|no)$/.test(stdout.trim())) return stdout.trim() === 'yes'
  } catch {
    // No systemd here, or no bus to ask it: a container, another init.
  }
  const isThere = await stat('/run/systemd/timesync/synchronized').catch(() => undefined)
  return isThere ? true : undefined
}

/** @param foldersWatched so many folders the configured sources want to watch */
export const judgeMachine = (facts: MachineFacts, foldersWatched: number): Finding[] => [
  judgeNode(facts),
  judgeMemory(facts),
  judgeSync(facts),
  ...judgeHardwareClock(facts),
  ...judgeWatches(facts, foldersWatched),
  ...judgeOpenFiles(facts),
]

const judgeNode = ({ nodeVersion, platform, arch }: MachineFacts): Finding => {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number)
  const text = `Node ${nodeVersion} on ${platform} ${arch}`
  const isOld = major < nodeMin[0] || (major === nodeMin[0] && minor < nodeMin[1])
  return isOld ? fail('node', `${text} is too old`, `install Node ${nodeMin.join('.')} or newer`) : ok('node', text)
}

const judgeMemory = ({ totalBytes, availableBytes }: MachineFacts): Finding => {
  const text = `${bytesText(availableBytes)} of ${bytesText(totalBytes)} free`
  if (availableBytes < limits.availableBytesMin) {
    return warn('memory', `${text}: a gateway needs some 100 MiB`, 'end other programs, or use a larger machine')
  }
  if (totalBytes < limits.totalBytesMin) {
    return warn('memory', text, 'start the gateway with NODE_OPTIONS=--max-semi-space-size=8 and MALLOC_ARENA_MAX=2')
  }
  return ok('memory', text)
}

const syncRemedies: Readonly<Partial<Record<NodeJS.Platform, string>>> = {
  linux: 'sudo timedatectl set-ntp true (or install chrony); offline, give the lab a time server',
  win32: 'w32tm /query /status tells; w32tm /config /update /manualpeerlist:<server> /syncfromflags:manual sets one',
  darwin: 'sudo sntp -sS time.apple.com, or the settings of date and time',
}

const judgeSync = ({ isSynced, platform }: MachineFacts): Finding => {
  const remedy = syncRemedies[platform] ?? 'let the clock follow a time server'
  if (isSynced) return ok('clock', 'follows a time server')
  if (isSynced === undefined)
    return note('clock', 'the system does not say whether its clock follows a time server', remedy)
  return warn('clock', 'does not follow a time server: rows that bring no time of their own get a wrong one', remedy)
}

const judgeHardwareClock = ({ hasHardwareClock, arch }: MachineFacts): Finding[] => {
  // Virtual machines and containers show none either, and get their time from the host.
  if (hasHardwareClock !== false || !arch.startsWith('arm')) return []
  const text = 'there is no hardware clock: after a power cut the time is wrong until a time server answers'
  return [warn('clock', text, 'add a clock module (DS3231), or let the service start after time-sync.target')]
}

const judgeWatches = ({ watchesMax }: MachineFacts, foldersWatched: number): Finding[] => {
  if (watchesMax === undefined) return []
  if (watchesMax >= Math.max(limits.watchesMin, 2 * foldersWatched)) {
    return [ok('watches', `${watchesMax} folders may be watched (fs.inotify.max_user_watches)`)]
  }
  const text = `only ${watchesMax} folders may be watched: the others are looked at every pollMsMax`
  return [warn('watches', text, 'sudo sysctl fs.inotify.max_user_watches=65536, and the same in /etc/sysctl.d')]
}

const judgeOpenFiles = ({ openFilesMax }: MachineFacts): Finding[] => {
  if (openFilesMax === undefined) return []
  if (openFilesMax >= limits.openFilesMin) return [ok('files', `${openFilesMax} files may be open at a time`)]
  return [
    warn(
      'files',
      `only ${openFilesMax} files may be open at a time`,
      'ulimit -n 4096, or LimitNOFILE=4096 in the service',
    ),
  ]
}

/** @param aheadMs the other side's clock minus ours */
export const judgeClockOffset = (aheadMs: number, of: string): Finding => {
  const seconds = Math.round(Math.abs(aheadMs) / 1000)
  if (seconds <= 2) return ok('clock', `agrees with that of ${of} to ${Math.max(1, seconds)} s`)
  const text = `is ${seconds.toLocaleString('en-US')} s ${aheadMs > 0 ? 'behind' : 'ahead of'} that of ${of}`
  const remedy = 'let both follow a time server; rows without a time of their own carry this error'
  return seconds > 60 ? fail('clock', text, remedy) : warn('clock', text, remedy)
}

/** @param jumpMs by how much the clock moved against one that only counts on; `writtenMs` when the spool was written last */
export const judgeJumps = (jumpMs: number, nowMs: number, writtenMs: number | undefined): Finding[] => {
  const remedy = 'let the time server correct it slowly (chrony: makestep 1 3), and start the gateway after that'
  const jumped =
    Math.abs(jumpMs) < 500 ? [] : [warn('clock', `jumped by ${Math.round(jumpMs)} ms while it was looked at`, remedy)]
  if (writtenMs === undefined || writtenMs <= nowMs + 60_000) return jumped
  const text = `was set back: the spool was written at ${new Date(writtenMs).toISOString()}, which is still to come`
  return [...jumped, warn('clock', text, remedy)]
}

/** Zones of sources that are not that of the machine: right for files of another one, and the usual mistake else. */
export const judgeZones = (machine: string, zones: readonly string[]): Finding[] => {
  const others = [...new Set(zones)].filter(zone => zone !== machine)
  if (others.length === 0) return [ok('zone', machine)]
  const text = `this machine is in ${machine}, local times are read as ${others.join(', ')}`
  return [note('zone', text, 'right where the instruments write the times of that zone; else correct `zone`')]
}
