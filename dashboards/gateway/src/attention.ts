/** What a person should know first, the worst first; empty where all is well. */
import type { SourcePart } from './api.ts'
import { agoText, plainReason, shortText, spanText, wholeText } from './format.ts'
import { texts } from './texts.ts'
import type { View } from './view.ts'

export interface Finding {
  id: string
  level: 'bad' | 'warn'
  text: string
  hint?: string
  /** Id of the section that says more. */
  section?: string
}

const minuteMs = 60_000
const dayMinutes = 24 * 60
/** Before so long a run the rate says little: the backlog of a first start comes all at once. */
const rateKnownMsMin = 10 * minuteMs
const behindMsMax = 5 * minuteMs

export const attentionOf = (view: View): Finding[] => {
  const found = [...ofConfig(view), ...ofLink(view), ...ofSpool(view), ...ofSources(view)]
  return found.sort((a, b) => Number(b.level === 'bad') - Number(a.level === 'bad'))
}

/** With a full stop, and a capital where the first word is one and no name of a file. */
const sentence = (text: string): string => {
  const trimmed = text.trim().replace(/\.$/, '')
  return `${trimmed.replace(/^[a-z]+(?=[ ,])/, word => `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`)}.`
}

const ofConfig = ({ gateway }: View): Finding[] =>
  gateway?.configProblem === undefined
    ? []
    : [{ id: 'config', level: 'bad', text: texts.configRefused, hint: gateway.configProblem }]

const ofLink = ({ link, spool, nowMs }: View): Finding[] => {
  if (!link || !spool) return []
  if (!link.connected && link.problem !== undefined) {
    const room = spool.minutesLeft === null ? texts.roomIdle : texts.room(spanText(spool.minutesLeft * minuteMs))
    const text = texts.linkDown(plainReason(link.problem))
    return [{ id: 'link', level: 'warn', text, hint: texts.linkDownHint(room), section: 'spool' }]
  }
  const waitedMs = spool.oldestAt === undefined ? 0 : nowMs - Date.parse(spool.oldestAt)
  if (!link.connected || waitedMs < behindMsMax) return []
  const text = texts.linkBehind(spanText(waitedMs))
  return [{ id: 'behind', level: 'warn', text, hint: texts.linkBehindHint, section: 'spool' }]
}

const ofSpool = ({ spool, link, gateway, nowMs }: View): Finding[] => {
  if (!spool || !gateway) return []
  const found: Finding[] = []
  const part = spool.bytes / spool.bytesMax
  const soon =
    !link?.connected &&
    spool.minutesLeft !== null &&
    spool.minutesLeft < dayMinutes &&
    nowMs - Date.parse(gateway.startedAt) > rateKnownMsMin
  const add = (level: Finding['level'], text: string, hint: string) =>
    found.push({ id: `spool-${found.length}`, level, text, hint, section: 'spool' })
  if (spool.full) add('bad', texts.spoolFull, texts.spoolFullHint)
  else if (part > 0.8) add('warn', texts.spoolNearlyFull(`${shortText(Math.floor(part * 100))} %`), texts.spoolHint)
  else if (soon) add('warn', texts.spoolSoonFull(spanText((spool.minutesLeft ?? 0) * minuteMs)), texts.spoolHint)
  if (spool.lostEntries > 0) add('bad', texts.lost(wholeText(spool.lostEntries)), texts.lostHint)
  return found
}

const ofSources = (view: View): Finding[] =>
  view.sources.flatMap((source): Finding[] => {
    const found: Finding[] = []
    const section = 'sources'
    if (source.health === 'failing' || source.health === 'stale') {
      const hint = texts.sourceHint[source.kind]
      const text = `${source.id}: ${healthText(source, view.nowMs)}`
      const level = source.health === 'failing' ? 'bad' : 'warn'
      found.push({ id: `source-${source.id}`, level, text, ...(hint !== undefined && { hint }), section })
    }
    if (source.rejects > 0) {
      const rows = wholeText(source.rows + source.rejects)
      const text = texts.rejected(source.id, wholeText(source.rejects), rows)
      found.push({ id: `rejects-${source.id}`, level: 'warn', text, section: 'rejects' })
    }
    return found
  })

/** How a source is, in words. */
export const healthText = (source: SourcePart, nowMs: number): string => {
  const ago = source.lastRowAt === undefined ? undefined : agoText(nowMs - Date.parse(source.lastRowAt))
  const last = ago === undefined ? texts.noRowYet : texts.lastRow(ago)
  const said = source.message === undefined ? undefined : sentence(source.message)
  switch (source.health) {
    case 'failing':
      return said ?? texts.failingNow
    case 'stale':
      return said ?? (ago === undefined ? texts.noRowYet : texts.silentNow(ago))
    case 'starting':
      return said ?? texts.startingNow
    case 'finished':
      return said ?? texts.finishedNow
    default:
      return said === undefined ? last : `${last} ${said}`
  }
}

/** The one sentence under the name. */
export const stateText = (view: View, findings: readonly Finding[]): string => {
  if (findings.length > 0) return texts.needs(findings.length)
  if (view.sources.some(({ health }) => health === 'starting')) return texts.starting
  return (view.spool?.waiting ?? 0) > 0 ? texts.allWellWaiting : texts.allWell
}
