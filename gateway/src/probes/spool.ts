/** The spool's folder and its disk, and whether a gateway runs on it. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { findLogHolder } from '@penstock/log'
import type { GatewayConfig } from '../config.ts'
import { bytesText } from '../terminal/sample-text.ts'
import { diskOf, whyNotWritten } from './disk.ts'
import { type Finding, fail, note, ok, warn } from './finding.ts'

export interface SpoolOnDisk {
  bytes: number
  /** Of the segment that was written last, ms. */
  writtenMs?: number
}

export const spoolDir = ({ dataDir }: Pick<GatewayConfig, 'dataDir'>): string => join(dataDir, 'spool')

/** The gateway that has the spool open. */
export const findGateway = async (config: Pick<GatewayConfig, 'dataDir'>): Promise<number | undefined> =>
  await findLogHolder(spoolDir(config)).catch(() => undefined)

/** Nothing where there is no spool yet. */
export const spoolOnDisk = async (config: Pick<GatewayConfig, 'dataDir'>): Promise<SpoolOnDisk> => {
  const dir = spoolDir(config)
  const names = await readdir(dir).catch(() => [])
  const stats = await Promise.all(names.map(name => stat(join(dir, name)).catch(() => undefined)))
  const files = stats.flatMap(one => (one?.isFile() ? one : []))
  return {
    bytes: files.reduce((sum, { size }) => sum + size, 0),
    ...(files.length > 0 && { writtenMs: Math.max(...files.map(({ mtimeMs }) => mtimeMs)) }),
  }
}

export const probeSpool = async (
  config: Pick<GatewayConfig, 'dataDir' | 'spool'>,
  platform: NodeJS.Platform,
): Promise<Finding[]> => {
  const { dataDir, spool } = config
  const why = await whyNotWritten(dataDir)
  if (why === 'ENOTDIR') return [fail('spool', `data: ${dataDir} is no folder`, 'give a folder of its own as `data`')]
  if (why !== undefined) {
    const remedy = 'give the user of the gateway the right to write there, or another folder as `data`'
    return [fail('spool', `data: ${dataDir} may not be written (${why})`, remedy)]
  }
  const { bytes } = await spoolOnDisk(config)
  const disk = await diskOf(dataDir, platform).catch(() => undefined)
  const holder = await findGateway(config)
  const running = holder === undefined ? [] : [note('spool', `a gateway runs on it (process ${holder})`)]
  if (!disk) return running
  const share = disk.share === undefined ? [] : [shareWarning(dataDir, disk.share)]
  const room = spool.bytesMax - bytes
  const has = `${dataDir}: ${bytesText(bytes)} of ${bytesText(spool.bytesMax)} used, ${bytesText(disk.freeBytes)} of the disk free`
  if (disk.freeBytes >= room) return [...running, ok('spool', has), ...share]
  const remedy = `set spool.bytesMax to at most ${bytesText(0.9 * (bytes + disk.freeBytes))}, or give \`data\` a larger disk`
  const text = `${has}: the disk is full before the spool is`
  return [...running, warn('spool', text, remedy), ...share]
}

const shareWarning = (dataDir: string, share: string): Finding =>
  warn(
    'spool',
    `${dataDir} is on a network share (${share}): what is synced there may not survive a power cut`,
    'give `data` a disk of this machine',
  )
