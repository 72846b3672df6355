/**
 * What has to be remembered of edge nodes to read their next message: which metric an alias stands for, what type it has, and
 * the last sequence number. Held in memory and in the journal's state, written with the entry that changes it: after a kill
 * both know the same.
 *
 *     sparkplug/node/<group>/<node>            [seq, bdSeq or null, online 0|1]
 *     sparkplug/metrics/<group>/<node>[/<device>]   [[name, data type, alias or null], …] of its last birth
 *
 * A node is asked for a rebirth where something of it was not heard: a gap in seq, data before a birth, an alias unknown.
 */
import type { KnownMetric } from './payload.ts'
import { hasField } from './payload.ts'
import type { Metric, Payload } from './payload_pb.ts'
import type { SparkplugTopic } from './topic.ts'

type StoredMetric = [name: string, datatype: number, alias: string | null]
interface Table {
  byAlias: ReadonlyMap<string, KnownMetric>
  byName: ReadonlyMap<string, KnownMetric>
  bytes: number
}
interface Node {
  seq: number
  bdSeq: number | null
  online: boolean
  /** By device; '' is the node itself. */
  tables: ReadonlyMap<string, Table>
}

export interface SessionStep {
  known?: (KnownMetric | null)[]
  devices?: string[]
  stale?: boolean
  rebirth: boolean
  /** Changes of the journal's state. */
  state: Record<string, unknown>
  /** To be called when they are durable. */
  commit(): void
}

export interface SparkplugSessions {
  /**
   * What the message means after those before it: `pending` holds nodes as messages of the same append leave them.
   * `payload` is undefined where the message could not be read.
   */
  step(topic: SparkplugTopic, payload: Payload | undefined, pending: Map<string, Node>): SessionStep
  stats(): { nodes: number; bytes: number }
}
export type PendingNodes = Map<string, Node>

export interface SparkplugSessionsOptions {
  state(key: string): unknown
  stateKeys(prefix: string): string[]
  /** Of all tables of metrics in the journal's state; what comes beyond is not remembered, and its aliases are unknown. */
  tableBytesMax?: number
  nodesMax?: number
}

const prefix = 'sparkplug/'
const keyOf = (what: 'node' | 'metrics', ...levels: string[]): string =>
  [`${prefix}${what}`, ...levels.map(encodeURIComponent)].join('/')
const tableKey = ({ group, node }: SparkplugTopic, device: string): string =>
  device === '' ? keyOf('metrics', group, node) : keyOf('metrics', group, node, device)

const tableOf = (metrics: readonly StoredMetric[]): Table => {
  const known = metrics.map(([name, datatype]): KnownMetric => [name, datatype])
  return {
    byAlias: new Map(known.flatMap((k, i) => (metrics[i]?.[2] == null ? [] : [[metrics[i][2], k] as const]))),
    byName: new Map(known.map(k => [k[0], k])),
    bytes: Buffer.byteLength(JSON.stringify(metrics)),
  }
}
const noTables: ReadonlyMap<string, Table> = new Map()

export const createSparkplugSessions = ({
  state,
  stateKeys,
  tableBytesMax = 8 * 1024 * 1024,
  nodesMax = 10_000,
}: SparkplugSessionsOptions): SparkplugSessions => {
  const nodes = new Map<string, Node>()
  for (const key of stateKeys(`${prefix}node/`)) {
    const [seq, bdSeq, online] = state(key) as [number, number | null, number]
    nodes.set(key, { seq, bdSeq, online: online === 1, tables: noTables })
  }
  for (const key of stateKeys(`${prefix}metrics/`)) {
    const [, , group = '', name = '', device] = key.split('/')
    const nodeKey = `${prefix}node/${group}/${name}`
    const node = nodes.get(nodeKey)
    if (!node) continue
    const table = tableOf(state(key) as StoredMetric[])
    nodes.set(nodeKey, { ...node, tables: new Map(node.tables).set(decodeURIComponent(device ?? ''), table) })
  }
  let tableBytes = 0
  for (const node of nodes.values()) tableBytes += bytesOf(node)

  const step: SparkplugSessions['step'] = (topic, payload, pending) => {
    const key = keyOf('node', topic.group, topic.node)
    const before = pending.get(key) ?? nodes.get(key)
    const changes: Record<string, unknown> = {}
    const done = (after: Node | undefined, rebirth: boolean, more: Partial<SessionStep> = {}): SessionStep => {
      if (after && (before || nodes.size < nodesMax)) {
        changes[key] = [after.seq, after.bdSeq, after.online ? 1 : 0]
        pending.set(key, after)
      }
      const commit = () => {
        if (!(key in changes) || !after) return
        const had = nodes.get(key)
        tableBytes += bytesOf(after) - (had ? bytesOf(had) : 0)
        nodes.set(key, after)
      }
      return { rebirth, state: changes, commit, ...more }
    }
    if (!payload) return done(undefined, topic.type !== 'NDEATH' && !before?.online)
    const { type, device = '' } = topic

    /** The tables with this birth's, if they are not too large together. */
    const withTable = (tables: ReadonlyMap<string, Table>): Map<string, Table> => {
      const metrics = payload.metrics.filter(m => m.name !== '').map(storedMetric)
      const table = tableOf(metrics)
      const after = new Map(tables)
      let pendingBytes = table.bytes
      for (const node of pending.values()) pendingBytes += bytesOf(node)
      if (tableBytes + pendingBytes <= tableBytesMax) {
        changes[tableKey(topic, device)] = metrics
        after.set(device, table)
      } else if (after.delete(device)) changes[tableKey(topic, device)] = null
      return after
    }
    const forget = (tables: ReadonlyMap<string, Table>): string[] => {
      for (const name of tables.keys()) changes[tableKey(topic, name)] = null
      return [...tables.keys()].filter(name => name !== '')
    }

    if (type === 'NBIRTH') {
      if (before) forget(before.tables)
      const seq = Number(payload.seq & 0xffn)
      return done({ seq, bdSeq: bdSeqOf(payload), online: true, tables: withTable(noTables) }, false)
    }
    if (type === 'NDEATH') {
      const bdSeq = bdSeqOf(payload)
      if (before?.online && before.bdSeq !== null && bdSeq !== null && bdSeq !== before.bdSeq) {
        return done(undefined, false, { stale: true })
      }
      const devices = before ? forget(before.tables) : []
      return done({ seq: before?.seq ?? 255, bdSeq, online: false, tables: noTables }, false, { devices })
    }
    const seq = Number(payload.seq & 0xffn)
    if (!before?.online) {
      // Nothing is known of its aliases, or what was known belongs to a session that has ended.
      return done(before, true, { known: resolve(payload, []) })
    }
    const missed = seq !== (before.seq + 1) % 256 && seq !== before.seq
    if (type === 'DBIRTH') return done({ ...before, seq, tables: withTable(before.tables) }, missed)
    if (type === 'DDEATH') {
      const tables = new Map(before.tables)
      if (tables.delete(device)) changes[tableKey(topic, device)] = null
      return done({ ...before, seq, tables }, missed)
    }
    const own = before.tables.get(device)
    const nodeTable = before.tables.get('')
    const known = resolve(payload, [own, nodeTable])
    const unknown = own === undefined || payload.metrics.some((m, i) => m.name === '' && known[i] === null)
    return done({ ...before, seq }, missed || unknown, { known })
  }
  return { step, stats: () => ({ nodes: nodes.size, bytes: tableBytes }) }
}

const bytesOf = (node: Node): number => {
  let bytes = 0
  for (const table of node.tables.values()) bytes += table.bytes
  return bytes
}

const storedMetric = (metric: Metric): StoredMetric => [
  metric.name,
  metric.datatype,
  hasField(metric, 'alias') ? String(metric.alias) : null,
]

const bdSeqOf = ({ metrics }: Payload): number | null => {
  const metric = metrics.find(m => m.name === 'bdSeq')
  const value = metric?.value
  return value?.case === 'longValue' || value?.case === 'intValue' ? Number(value.value) : null
}

/** Name and type of each metric that does not say both itself. */
const resolve = ({ metrics }: Payload, tables: (Table | undefined)[]): (KnownMetric | null)[] =>
  metrics.map(metric => {
    const named = metric.name !== ''
    if (named && hasField(metric, 'datatype')) return null
    const alias = String(metric.alias)
    for (const table of tables) {
      const found = named
        ? table?.byName.get(metric.name)
        : hasField(metric, 'alias')
          ? table?.byAlias.get(alias)
          : undefined
      if (found) return hasField(metric, 'datatype') ? [found[0], metric.datatype] : found
    }
    return null
  })
