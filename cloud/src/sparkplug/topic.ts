/** Topics of Sparkplug B: `spBv1.0/<group>/<type>/<edge node>[/<device>]`. */
const root = 'spBv1.0'

export const SPARKPLUG_TYPES = ['NBIRTH', 'NDATA', 'NDEATH', 'DBIRTH', 'DDATA', 'DDEATH'] as const
export type SparkplugType = (typeof SPARKPLUG_TYPES)[number]
export interface SparkplugTopic {
  group: string
  type: SparkplugType
  node: string
  /** For the types that begin with D. */
  device?: string
}

/** What a cloud subscribes to: all that edge nodes say. */
export const sparkplugFilters: readonly string[] = SPARKPLUG_TYPES.map(
  type => `${root}/+/${type}/+${type.startsWith('D') ? '/+' : ''}`,
)
export const isSparkplugTopic = (topic: string): boolean => topic.startsWith(`${root}/`)

/** Commands and the state of a host application: between others, nothing that is stored. */
export const isSparkplugCommand = (topic: string): boolean => {
  const [, first, second] = topic.split('/')
  return first === 'STATE' || second === 'NCMD' || second === 'DCMD'
}

/** `undefined` where the topic is none that an edge node publishes to. */
export const parseSparkplugTopic = (topic: string): SparkplugTopic | undefined => {
  const [first, group = '', name, node = '', device, ...more] = topic.split('/')
  const type = SPARKPLUG_TYPES.find(t => t === name)
  if (first !== root || !type || group === '' || node === '' || more.length > 0) return undefined
  if (!type.startsWith('D')) return device === undefined ? { group, type, node } : undefined
  return device === undefined || device === '' ? undefined : { group, type, node, device }
}

export const commandTopic = ({ group, node }: Pick<SparkplugTopic, 'group' | 'node'>): string =>
  `${root}/${group}/NCMD/${node}`
