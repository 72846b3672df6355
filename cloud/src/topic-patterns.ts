/**
 * Topics of plain MQTT devices: `shop/{site}/{device}` says which level names what, `+` stands for a level that says nothing.
 * Names are decoded as in Penstock's own topics ("%2F" is "/"). The first pattern that fits a topic has it.
 */
import { unescapeLevel } from '@penstock/frame'
import * as z from 'zod'
import { type MessageForm, messageFormSchema } from './messages.ts'

const name = z.string().min(1).max(256)
const placeholders = ['site', 'device', 'stream'] as const
type Placeholder = (typeof placeholders)[number]

export const topicPatternSchema = z
  .strictObject({
    pattern: z.string().min(1).max(1024).describe('Levels of a topic: text, {site}, {device}, {stream} or +'),
    site: name.optional().describe('Where the topic does not say it'),
    device: name.optional(),
    stream: name.optional(),
    ...messageFormSchema.shape,
  })
  .superRefine((value, context) => {
    const refuse = (message: string, path: string) => context.addIssue({ code: 'custom', message, path: [path] })
    const { pattern } = value
    const levels = pattern.split('/')
    if (/^(\$|penstock(\/|$)|spBv1\.0(\/|$))/.test(pattern)) refuse('is a topic with a meaning of its own', 'pattern')
    const wrong = levels.find(level => !/^(\{(site|device|stream)\}|\+|[^{}+#]*)$/.test(level))
    if (wrong !== undefined) {
      refuse(`"${wrong}" is no level: expected text, +, ${placeholders.map(p => `{${p}}`).join(', ')}`, 'pattern')
    }
    for (const placeholder of placeholders) {
      const times =
        levels.filter(level => level === `{${placeholder}}`).length + (value[placeholder] === undefined ? 0 : 1)
      if (times > 1) refuse(`the ${placeholder} is named twice`, placeholder)
      // A line of line protocol names its stream itself.
      if (times === 0 && !(placeholder === 'stream' && value.payload === 'line-protocol')) {
        refuse(`is missing: the pattern has no {${placeholder}}`, placeholder)
      }
    }
  })
export type TopicPattern = z.output<typeof topicPatternSchema>

export interface PatternMatch {
  site: string
  device: string
  /** '' where the payload names it. */
  stream: string
  form: MessageForm
}
export interface TopicPatterns {
  /** What to subscribe to; a filter that another one covers is left out, or messages would come twice. */
  readonly filters: readonly string[]
  match(topic: string): PatternMatch | undefined
}

export const createTopicPatterns = (patterns: readonly TopicPattern[]): TopicPatterns => {
  const compiled = patterns.map(pattern => ({ pattern, levels: pattern.pattern.split('/') }))
  const filters = [...new Set(patterns.map(p => p.pattern.replace(/\{[a-z]+\}/g, '+')))]
  return {
    filters: filters.filter(filter => !filters.some(other => other !== filter && covers(other, filter))),
    match(topic) {
      const levels = topic.split('/')
      for (const { pattern, levels: wanted } of compiled) {
        const names = namesOf(wanted, levels)
        if (!names) continue
        const { pattern: _, site = '', device = '', stream = '', ...form } = pattern
        return { site, device, stream, ...names, form }
      }
      return undefined
    },
  }
}

const namesOf = (
  wanted: readonly string[],
  levels: readonly string[],
): Partial<Record<Placeholder, string>> | undefined => {
  if (wanted.length !== levels.length) return undefined
  const names: Partial<Record<Placeholder, string>> = {}
  for (const [i, want] of wanted.entries()) {
    const level = levels[i] ?? ''
    const placeholder = placeholders.find(p => want === `{${p}}`)
    if (placeholder !== undefined && level !== '') names[placeholder] = unescapeLevel(level)
    else if (want !== level && (want !== '+' || level === '')) return undefined
  }
  return names
}

const covers = (wide: string, narrow: string): boolean => {
  const [a, b] = [wide.split('/'), narrow.split('/')]
  return a.length === b.length && a.every((level, i) => level === '+' || level === b[i])
}

/** Pairs of patterns that some topic fits though neither covers the other: a broker may then send it twice. */
export const crossingPatterns = (patterns: readonly { pattern: string }[]): [number, number] | undefined => {
  const filters = patterns.map(p => p.pattern.replace(/\{[a-z]+\}/g, '+'))
  for (const [j, b] of filters.entries()) {
    for (const [i, a] of filters.slice(0, j).entries()) {
      if (!covers(a, b) && !covers(b, a) && meet(a.split('/'), b.split('/'))) return [i, j]
    }
  }
  return undefined
}
const meet = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((level, i) => level === b[i] || level === '+' || b[i] === '+')
