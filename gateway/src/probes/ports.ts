/** Serial ports without opening them: to open one resets some boards and takes it from who has it. */
import { access, constants, readdir, readFile, readlink, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { SourceOptions } from '../config.ts'
import { type ListPorts, type PortChoice, pathOf, portNameOf } from '../serial-port.ts'
import { type Finding, fail, note, ok, warn } from './finding.ts'

export interface PortsProbeDeps {
  platform: NodeJS.Platform
  listPorts: ListPorts
  /** The gateway that runs on this spool, if any: a port that it has is where it should be. */
  gatewayPid: number | undefined
}

const processesMax = 8192

/** The serial port of a source, if it has one. */
export const serialPortOf = (source: SourceOptions): PortChoice | undefined => {
  const { port, rtu } = source as { port?: PortChoice; rtu?: { port: PortChoice } }
  return source.kind === 'serial' ? port : rtu?.port
}

export const probePort = async (id: string, port: PortChoice, deps: PortsProbeDeps): Promise<Finding[]> => {
  const name = portNameOf(port)
  const listed = await deps.listPorts().catch(() => undefined)
  const known = listed?.map(({ path }) => path) ?? []
  const present = known.length > 0 ? `there are ${known.slice(0, 20).join(', ')}` : 'the system knows of no serial port'
  let path: string
  try {
    path = await pathOf(port, async () => listed ?? [])
  } catch (error) {
    const several = /all fit/.test((error as Error).message)
    if (several) return [fail(id, `${name}: ${(error as Error).message}`, 'say more of the adapter, or give a path')]
    return [warn(id, `no port is ${name}; the gateway waits for it`, `plug it in, or correct \`port\`: ${present}`)]
  }
  if (deps.platform === 'win32') return [windowsPort(id, path, known, present)]
  return await unixPort(id, path, present, deps)
}

const windowsPort = (id: string, path: string, known: string[], present: string): Finding =>
  known.some(one => one.toLowerCase() === path.toLowerCase())
    ? ok(id, `${path} is there; whether it is free shows when the gateway opens it`)
    : warn(id, `${path} is not there; the gateway waits for it`, `plug it in, or correct \`port\`: ${present}`)

const unixPort = async (id: string, path: string, present: string, deps: PortsProbeDeps): Promise<Finding[]> => {
  const stats = await stat(path).catch(() => undefined)
  if (!stats) {
    return [warn(id, `${path} is not there; the gateway waits for it`, `plug it in, or correct \`port\`: ${present}`)]
  }
  if (!stats.isCharacterDevice()) return [fail(id, `${path} is no serial port`, `correct \`port\`: ${present}`)]
  try {
    await access(path, constants.R_OK | constants.W_OK)
  } catch {
    const group = await groupName(stats.gid)
    const remedy = `sudo usermod -aG ${group} <user of the gateway>, and log in again (a service: restart it)`
    return [fail(id, `${path} may not be opened by this user: it belongs to the group ${group}`, remedy)]
  }
  const holder = deps.platform === 'linux' ? await holderOf(path) : undefined
  if (!holder) return [ok(id, `${path} is there and free, as far as can be seen without opening it`)]
  if (holder.pid === deps.gatewayPid)
    return [ok(id, `${path} is open in the gateway that runs (process ${holder.pid})`)]
  return [
    warn(id, `${path} is in use by ${holder.name} (process ${holder.pid})`, 'end that program: a port is had by one'),
  ]
}

const groupName = async (gid: number): Promise<string> => {
  const groups = await readFile('/etc/group', 'utf8').catch(() => '')
  return (
    groups
      .split('\n')
      .find(line => line.split(':')[2] === String(gid))
      ?.split(':')[0] ?? String(gid)
  )
}

/** Who has the device open, of the processes that this user may look into. */
const holderOf = async (path: string): Promise<{ pid: number; name: string } | undefined> => {
  const device = await realpath(path).catch(() => path)
  const pids = (await readdir('/proc').catch(() => [])).filter(name => /^\d+$/.test(name)).slice(0, processesMax)
  for (const pid of pids) {
    const handles = await readdir(join('/proc', pid, 'fd')).catch(() => [])
    for (const handle of handles) {
      const target = await readlink(join('/proc', pid, 'fd', handle)).catch(() => '')
      if (target !== device) continue
      const name = (await readFile(join('/proc', pid, 'comm'), 'utf8').catch(() => '')).trim()
      return { pid: Number(pid), name: name || 'a program' }
    }
  }
  return undefined
}

/** Ports of the machine that no source names: what may be plugged in for one. */
export const unusedPorts = async (sources: readonly SourceOptions[], listPorts: ListPorts): Promise<Finding[]> => {
  const listed = (await listPorts().catch(() => [])).filter(({ vendorId }) => vendorId !== undefined)
  const used = new Set(sources.flatMap(source => serialPortOf(source) ?? []).map(portNameOf))
  const free = listed.filter(({ path }) => !used.has(path)).slice(0, 20)
  if (free.length === 0) return []
  const names = free.map(({ path, manufacturer }) => (manufacturer ? `${path} (${manufacturer})` : path))
  return [note('ports', `not named by a source: ${names.join(', ')}`)]
}
