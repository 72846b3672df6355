/** The moment at which a counter was 0, from what stands above the data or in the name of the file. */
import { zoneOf } from '@penstock/frame'
import type { Hints } from './proposal.ts'
import { guessTimes } from './times.ts'

export interface Start {
  /** ISO 8601 with offset. */
  text: string
  why: string
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

const key =
  /start|begin|trigger|recorded|acquired|acquisition|created|measured|date|datum|time|zeit|fecha|heure|日時|開始/i

/** Times that stand behind a key in the lines above the data. */
const fromAround = (hints: Hints): { localMs: number; hasOffset: boolean; line: string } | undefined => {
  let date: { ms: number; line: string } | undefined
  let clock: { ms: number; line: string } | undefined
  let whole: { localMs: number; hasOffset: boolean; line: string; rank: number } | undefined
  for (const line of hints.around.split('\n').slice(0, 400)) {
    const parts = /^["#%\s/*;!]*([^,;:=\t]{1,60}?)["\s]*[,;:=\t]\s*(.+)$/.exec(line)
    const [, name = '', value = ''] = parts ?? []
    if (!key.test(name) || /end|stop|ende|fin\b/i.test(name)) continue
    const cells = [value, ...value.split(/[,;\t]/)].map(text => text.replaceAll('"', '').trim())
    for (const cell of cells) {
      const guess = guessTimes([cell], hints)
      const ms = guess?.ms[0]
      if (!guess || ms === undefined || Number.isNaN(ms)) continue
      const rank = /start|begin|trigger|開始/i.test(name) ? 2 : 1
      if (guess.part === 'datetime' && rank > (whole?.rank ?? 0))
        whole = { localMs: ms, hasOffset: guess.hasOffset, line: line.trim(), rank }
      else if (guess.part === 'date') date ??= { ms, line: line.trim() }
      else if (guess.part === 'time') clock ??= { ms: ms - Date.UTC(2000, 0, 1), line: line.trim() }
      break
    }
  }
  if (whole) return whole
  return date && clock
    ? { localMs: date.ms + clock.ms, hasOffset: false, line: `${date.line} and ${clock.line}` }
    : undefined
}

const nameForms = [/(?<!\d)(20\d\d)[-_.]?(\d\d)[-_.]?(\d\d)[T _-]{1,2}(\d\d)[-_.:h]?(\d\d)(?:[-_.:m]?(\d\d))?(?!\d)/]

const fromName = (name: string): number | undefined => {
  for (const form of nameForms) {
    const m = form.exec(name)
    if (!m) continue
    const [y, mo, d, h, mi, s] = m.slice(1).map(text => Number(text ?? 0)) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ]
    if (mo >= 1 && mo <= 12 && d >= 1 && d <= 31 && h < 24 && mi < 60 && s < 60)
      return Date.UTC(y, mo - 1, d, h, mi, s || 0)
  }
  return undefined
}

export const startOf = (hints: Hints): Start | undefined => {
  const zone = hints.zone ?? 'UTC'
  const around = fromAround(hints)
  if (around) {
    const line = around.line.replace(/\s+/g, ' ').slice(0, 80)
    if (around.hasOffset) return { text: new Date(around.localMs).toISOString(), why: `from "${line}"` }
    return { text: isoWithOffset(around.localMs, zone), why: `from "${line}", in ${zone}` }
  }
  const named = fromName(hints.name)
  if (named === undefined) return undefined
  return { text: isoWithOffset(named, zone), why: `from the name of the file, in ${zone}` }
}
