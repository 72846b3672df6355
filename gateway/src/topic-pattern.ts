/**
 * Topics with names in them: `lab/+device/+stream` subscribes to `lab/+/+` and reads device and stream from the levels.
 * `+` is any level, `#` at the end all that follow; a level that begins with `+` and a name is that name. `{device}` is
 * another way to write `+device`, as the cloud's own topics do.
 */

export const levelNames = ['site', 'device', 'stream'] as const
export type LevelName = (typeof levelNames)[number]
export type TopicLevels = Partial<Record<LevelName, string>>

const named = /^(?:\+(\w+)|\{(\w+)\})$/
const nameOf = (level: string): string | undefined => {
  const match = named.exec(level)
  return match?.[1] ?? match?.[2]
}

/** What is wrong with a pattern, in one sentence. */
export const topicPatternProblem = (pattern: string): string | undefined => {
  const levels = pattern.split('/')
  const seen = new Set<string>()
  for (const [i, level] of levels.entries()) {
    if (level === '#' && i < levels.length - 1) return '"#" stands at the end only'
    if (level === '#' || level === '+') continue
    const name = nameOf(level)
    if (name === undefined) {
      if (/[+#{}]/.test(level)) return `the level "${level}" holds a wildcard beside other text`
      continue
    }
    if (!levelNames.some(known => known === name))
      return `+${name} stands for nothing; known are +site, +device, +stream`
    if (seen.has(name)) return `+${name} stands there twice`
    seen.add(name)
  }
  return undefined
}

/** As a broker knows it. */
export const filterOf = (pattern: string): string =>
  pattern
    .split('/')
    .map(level => (nameOf(level) === undefined ? level : '+'))
    .join('/')

/** What to subscribe to. One that another one covers is left out: a broker may send a message once for each that fits. */
export const filtersOf = (patterns: readonly string[]): string[] => {
  const all = [...new Set(patterns.map(filterOf))]
  return all.filter(filter => !all.some(other => other !== filter && covers(other, filter)))
}
const covers = (wide: string, narrow: string): boolean => {
  const levels = narrow.split('/')
  const wanted = wide.split('/')
  for (const [i, want] of wanted.entries()) {
    if (want === '#') return true
    const level = levels[i]
    if (level === undefined || level === '#' || (want !== '+' && want !== level)) return false
  }
  return wanted.length === levels.length
}

/** What the levels of a topic say, or `undefined` where the pattern does not match it. */
export const matchTopic = (pattern: string, topic: string): TopicLevels | undefined => {
  const wanted = pattern.split('/')
  const levels = topic.split('/')
  // As brokers do: a pattern that begins with a wildcard does not match what the broker says of itself.
  if (topic.startsWith('$') && /^[+#]/.test(pattern)) return undefined
  const found: TopicLevels = {}
  for (const [i, want] of wanted.entries()) {
    if (want === '#') return found
    const level = levels[i]
    if (level === undefined) return undefined
    if (want === '+') continue
    const name = nameOf(want)
    if (name === undefined) {
      if (want !== level) return undefined
    } else found[name as LevelName] = level
  }
  return wanted.length === levels.length ? found : undefined
}
