/** What a message means that is none of Penstock's own topics: a device's by its topic pattern, a Sparkplug edge node's. */
import * as z from 'zod'
import type { Incoming } from './broker.ts'
import type { Ingest } from './ingest.ts'
import { type LineMapping, PRECISIONS } from './lines.ts'
import { saysItsTime } from './messages.ts'
import { rebirthCommand } from './sparkplug/payload.ts'
import {
  commandTopic,
  isSparkplugCommand,
  isSparkplugTopic,
  parseSparkplugTopic,
  type SparkplugTopic,
  sparkplugFilters,
} from './sparkplug/topic.ts'
import type { TopicPatterns } from './topic-patterns.ts'

const name = z.string().min(1).max(256)
export const sparkplugSchema = z.strictObject({
  sites: z.record(name, name).default({}).describe('Site of each Sparkplug group; the group’s own name where left out'),
  stream: name
    .refine(stream => stream !== 'status', 'is the stream of births and deaths')
    .default('metrics')
    .describe('Stream whose columns the metrics are'),
  rebirth: z.boolean().default(true).describe('Ask a node for its births where something of it was not heard'),
})
export type SparkplugConfig = z.output<typeof sparkplugSchema>

export interface WaysInOptions {
  ingest: Pick<Ingest, 'message' | 'sparkplug' | 'invalid'>
  patterns: TopicPatterns
  /** What a point of line protocol means whose tags name no site or device: those of its topic. */
  mapping: LineMapping
  sparkplug?: SparkplugConfig
  publish(topic: string, payload: Uint8Array, qos: 0 | 1): Promise<void>
  now(): Date
  log: { info(o: object, m: string): void; warn(o: object, m: string): void }
}

export interface WaysIn {
  /** To be subscribed to besides Penstock's own. */
  readonly filters: readonly string[]
  /** What a client of the embedded broker may read, whoever it is. */
  mayRead(filter: string): boolean
  /** Takes the message if it is of such a way in: resolves with true when the journal has it. */
  take(message: Incoming): Promise<boolean>
}

/** One node is asked for its births at most this often. */
const rebirthEveryMs = 10_000
const nodesAskedMax = 10_000
/** Bytes of a refused message that are kept with its reason. */
const refusedBytesMax = 64 * 1024

export const createWaysIn = (options: WaysInOptions): WaysIn => {
  const { ingest, patterns, mapping, sparkplug } = options
  const filters = [...patterns.filters, ...(sparkplug ? sparkplugFilters : [])]
  const askForRebirth = createRebirths(options)

  const takeSparkplug = async ({ topic, payload }: Incoming, { sites, stream, rebirth }: SparkplugConfig) => {
    if (isSparkplugCommand(topic)) return
    const parsed = parseSparkplugTopic(topic)
    if (!parsed) return ingest.invalid(topic, 'the topic is none of Sparkplug B', payload.subarray(0, refusedBytesMax))
    const site = (Object.hasOwn(sites, parsed.group) ? sites[parsed.group] : undefined) ?? parsed.group
    const heard = await ingest.sparkplug({ ...parsed, site, stream }, payload)
    if (rebirth && heard.rebirth) askForRebirth(parsed)
  }

  return {
    filters,
    mayRead: filter => sparkplug !== undefined && isSparkplugTopic(filter),
    async take(message) {
      const { topic, payload } = message
      if (filters.length === 0 || topic.startsWith('$')) return false
      if (sparkplug && isSparkplugTopic(topic)) {
        await takeSparkplug(message, sparkplug)
        return true
      }
      const match = patterns.match(topic)
      if (!match) {
        await ingest.invalid(
          topic,
          'no pattern of the configuration fits the topic',
          payload.subarray(0, refusedBytesMax),
        )
        return true
      }
      const { form, ...names } = match
      // It was taken when it was published; now it would be a second reading, of a time at which nothing was read.
      if (message.retained && !saysItsTime(payload, form)) return true
      if (form.payload === 'line-protocol') {
        const unitNs = Number(PRECISIONS.v2.get(form.precision) ?? 1n)
        const own = { ...mapping, defaultSite: names.site, defaultDevice: names.device }
        await ingest.message({ kind: 'lines', unitNs, mapping: own, topic }, payload)
      } else await ingest.message({ kind: 'message', topic, ...names, form }, payload)
      return true
    },
  }
}

const createRebirths = ({ publish, now, log }: WaysInOptions) => {
  const askedMs = new Map<string, number>()
  return (node: SparkplugTopic): void => {
    const topic = commandTopic(node)
    const ms = now().getTime()
    const last = askedMs.get(topic)
    if (last !== undefined && ms - last < rebirthEveryMs && ms >= last) return
    askedMs.delete(topic)
    askedMs.set(topic, ms)
    const oldest = askedMs.size > nodesAskedMax ? askedMs.keys().next().value : undefined
    if (oldest !== undefined) askedMs.delete(oldest)
    log.info(
      { group: node.group, node: node.node },
      'a Sparkplug node is asked for its births: something of it was not heard',
    )
    // The specification wants commands at QoS 0. One that is lost is asked again with the node's next message.
    publish(topic, rebirthCommand(ms), 0).catch((error: unknown) =>
      log.warn({ topic, reason: String(error) }, 'a rebirth could not be asked for'),
    )
  }
}
