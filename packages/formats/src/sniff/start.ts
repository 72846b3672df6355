/** The moment at which a counter was 0, from what stands above the data or in the name of the file. */
import { type Json, zoneOf } from '@penstock/frame'
import type { Hints } from './proposal.ts'
import { guessTimes } from './times.ts'

export interface Start {
  /** ISO 8601 with offset. */
  text: string
  why: string
  /** As under `start:`: the moment of this file, or where each file of its kind says it. */
  settings: Json
  isLocal: boolean
}

const isoWithOffset = (localMs: number, zone: string): string => {
  const [utc = localMs] = zoneOf(zone).fromLocalMs(localMs)
  const offset = Math.round((localMs - utc) / 60_000)
  const text = new Date(localMs)
    .toISOString()
    .slice(0, -1)
    .replace(/\.000$/, '')
  if (offset === 0) return `${text}Z`
  const two = (n: number): string => String(n).padStart(2, '0')
  return `${text}${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`
}

const keyName =
  /start|begin|trigger|recorded|acquired|acquisition|created|measured|date|datum|time|zeit|fecha|heure|日時|開始/i
const otherName = /end|stop|ende|fin\b|calib|kalib|export|print|druck|saved|modif|expir|next|due|timeout/i
const linesMax = 400

interface Stated {
  ms: number
  part: 'datetime' | 'date' | 'time'
  hasOffset: boolean
  line: string
  /** Regular expression whose first group is the value, and how that is written. */
  pattern: string
  layouts: string[]
  /** How much the key says that it is the start. */
  rank: number
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')

/** Times behind a key, in the lines above the data. */
const statedTimes = (hints: Hints): Stated[] => {
  const found: Stated[] = []
  for (const line of hints.around.split('\n').slice(0, linesMax)) {
    const parts = /^(["#%\s/*;!]*([^,;:=\t]{1,60}?)["\s]*[,;:=\t]\s*)(.+)$/.exec(line)
    const [, before = '', name = '', value = ''] = parts ?? []
    if (name === '' || otherName.test(name)) continue
    for (const [i, raw] of [value, ...value.split(/[,;\t]/)].entries()) {
      const text = raw.replaceAll('"', '').trim()
      const guess = text === '' ? undefined : guessTimes([text], hints)
      const ms = guess?.ms[0]
      if (!guess || ms === undefined || Number.isNaN(ms)) continue
      const stop = [...',;\t"'].filter(c => !text.includes(c)).map(c => (c === '\t' ? '\\t' : c))
      const pattern = i <= 1 ? `^${escaped(before.trimEnd())}\\s*"?([^${stop.join('')}]+)` : ''
      const rank = /start|begin|trigger|launch|開始/i.test(name) ? 2 : keyName.test(name) ? 1 : 0
      found.push({ ms, part: guess.part, hasOffset: guess.hasOffset, line, pattern, layouts: guess.layouts, rank })
      break
    }
  }
  return found
}

const fromAround = (hints: Hints, zone: string): Start | undefined => {
  const stated = statedTimes(hints)
  const whole = stated.filter(s => s.part === 'datetime')
  const best = [...whole].sort((a, b) => b.rank - a.rank)[0]
  const quoted = (line: string): string => `"${line.replace(/\s+/g, ' ').trim().slice(0, 60)}"`
  if (best) {
    const text = best.hasOffset ? new Date(best.ms).toISOString() : isoWithOffset(best.ms, zone)
    const [layout = 'iso', ...more] = best.layouts
    const settings =
      best.pattern === '' ? text : { pattern: best.pattern, layout: more.length === 0 ? layout : best.layouts }
    const isLocal = !best.hasOffset && best.pattern !== ''
    return { text, why: `from the line ${quoted(best.line)}${best.hasOffset ? '' : `, in ${zone}`}`, settings, isLocal }
  }
  const date = stated.find(s => s.part === 'date' && s.rank > 0)
  const clock = stated.find(s => s.part === 'time' && s.rank > 0)
  if (!date || !clock) return undefined
  const text = isoWithOffset(date.ms + clock.ms - Date.UTC(2000, 0, 1), zone)
  return {
    text,
    why: `from the lines ${quoted(date.line)} and ${quoted(clock.line)}, in ${zone}`,
    settings: text,
    isLocal: false,
  }
}

const inName = /(?<!\d)(20\d\d)[-_.]?(\d\d)[-_.]?(\d\d)[T _-]{1,2}(\d\d)[-_.:h]?(\d\d)(?:[-_.:m]?(\d\d))?(?!\d)/

const fromName = (name: string, zone: string): Start | undefined => {
  const m = inName.exec(name)
  if (!m) return undefined
  const [y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0] = m.slice(1).map(text => Number(text ?? 0))
  if (mo < 1 || mo > 12 || d < 1 || d > 31 || h > 23 || mi > 59 || s > 59) return undefined
  const text = isoWithOffset(Date.UTC(y, mo - 1, d, h, mi, s), zone)
  return { text, why: `from the name of the file, in ${zone}`, settings: text, isLocal: false }
}

export const startOf = (hints: Hints): Start | undefined => {
  const zone = hints.zone ?? 'UTC'
  return fromAround(hints, zone) ?? fromName(hints.name, zone)
}
