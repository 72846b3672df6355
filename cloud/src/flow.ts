/**
 * The way of a reading in figures: what comes in, what the journal has, how far each projection is, at which rates; and what
 * needs a person, most urgent first. Looked at every few seconds, in memory, over the last half minute.
 */

import type { SourceStatus } from '@penstock/frame'
import type { ProjectionStats } from './projection.ts'

export interface FlowSample {
  atMs: number
  messages: number
  rows: number
  lastSeq: number
  applied: Readonly<Record<string, number>>
  /** Entries that a gateway has and the cloud does not. */
  pending: Readonly<Record<string, number>>
}
export interface Rated {
  /** null until there are two looks. */
  perSecond: number | null
}
export interface Flow {
  atMs: number
  gateways: (GatewayFlow & { gateway: string })[]
  broker: { connected: boolean; clients: number; messages: Rated; rows: Rated; queuedBytes: number }
  journal: Rated & { lastSeq: number; bytes: number; bytesMax: number | null; lostEntries: number }
  projections: (Rated & { name: string; applied: number; behind: number; problem: string | null })[]
  disk: { freeBytes: number; totalBytes: number } | null
  rejects: { lastHour: number; lastDay: number }
}
export interface GatewayFlow {
  online: boolean
  pendingEntries: number
  /** When what waits will have come, at the present rate; null where it does not shrink or nothing waits. */
  emptyInMs: number | null
  /** By how many a second what waits grows (+) or shrinks (−). */
  pendingPerSecond: number | null
}

export type AttentionLevel = 'urgent' | 'soon'
export interface Attention {
  /** The same as long as it is the same thing. */
  id: string
  level: AttentionLevel
  what: string
  act: string
  /** Path of the page where one acts or looks. */
  link: string
}

/** What is looked at of a gateway. */
export interface GatewayNow {
  gateway: string
  sources: readonly { id: string; health: SourceStatus['health']; message?: string | undefined }[]
  online: boolean
  silentMs: number
  pendingEntries: number
  clockAheadMs: number
  problems: readonly string[]
}
export interface FlowOptions {
  now(): number
  gateways(): readonly GatewayNow[]
  broker(): { connections: number; connected: boolean }
  ingest(): { envelopes: number; duplicates: number; invalid: number; rows: number; queuedBytes: number }
  journal(): { bytes: number; nextSeq: number; lostEntries: number; bytesMax?: number }
  projections(): readonly ProjectionStats[]
  /** Of the disk that holds the data; `undefined` where it cannot be told. */
  disk(): Promise<{ freeBytes: number; totalBytes: number } | undefined>
  /** Rejects that were taken in since. */
  rejectsSince(ms: number): Promise<number>
  /** Told when what needs attention has changed. */
  onAttention(items: readonly Attention[]): void
  everyMs: number
  /** A projection that is this many entries behind needs attention. */
  behindEntriesMax: number
  log: { warn(o: object, m: string): void }
}
export interface FlowWatch {
  flow(): Flow
  attention(): Attention[]
  /** Looks now; resolves when disk and rejects were asked as well. */
  look(): Promise<void>
  close(): Promise<void>
}

const windowMs = 30_000
const slowEveryMs = 30_000

export const openFlow = (options: FlowOptions): FlowWatch => {
  const { now, everyMs, onAttention, log } = options
  let samples: FlowSample[] = []
  let slow: Pick<Flow, 'disk' | 'rejects'> = { disk: null, rejects: { lastHour: 0, lastDay: 0 } }
  let slowMs = Number.NEGATIVE_INFINITY
  let told = '[]'
  const flow = (): Flow => flowOf(options, samples, slow)
  const attention = (): Attention[] => attentionOf(flow(), options.gateways(), options.behindEntriesMax)

  const lookSlowly = async (atMs: number): Promise<void> => {
    slowMs = atMs
    const [disk, lastHour, lastDay] = await Promise.all([
      options.disk(),
      options.rejectsSince(atMs - 3_600_000),
      options.rejectsSince(atMs - 86_400_000),
    ])
    slow = { disk: disk ?? null, rejects: { lastHour, lastDay } }
  }
  const look = async (): Promise<void> => {
    const atMs = now()
    samples = [
      ...samples.filter(sample => sample.atMs > atMs - windowMs && sample.atMs < atMs),
      sampleOf(options, atMs),
    ]
    if (atMs >= slowMs + slowEveryMs) await lookSlowly(atMs)
    const items = attention()
    const text = JSON.stringify(items)
    if (text === told) return
    told = text
    onAttention(items)
  }
  let looking: Promise<void> = Promise.resolve()
  let waiting = false
  const timer = setInterval(() => {
    if (waiting) return
    waiting = true
    looking = look()
      .catch(error => log.warn({ err: error }, 'how things are could not be looked at; tried again'))
      .finally(() => {
        waiting = false
      })
  }, everyMs)
  timer.unref()
  return {
    flow,
    attention,
    look,
    async close() {
      clearInterval(timer)
      await looking
    },
  }
}

const sampleOf = ({ ingest, journal, projections, gateways }: FlowOptions, atMs: number): FlowSample => {
  const { envelopes, duplicates, invalid, rows } = ingest()
  return {
    ...{ atMs, messages: envelopes + duplicates + invalid, rows, lastSeq: journal().nextSeq - 1 },
    applied: Object.fromEntries(projections().map(({ name, applied }) => [name, applied])),
    pending: Object.fromEntries(gateways().map(({ gateway, pendingEntries }) => [gateway, pendingEntries])),
  }
}

const flowOf = (options: FlowOptions, samples: readonly FlowSample[], slow: Pick<Flow, 'disk' | 'rejects'>): Flow => {
  const [first, last] = [samples[0], samples.at(-1)]
  const seconds = first && last ? (last.atMs - first.atMs) / 1000 : 0
  const rate = (pick: (sample: FlowSample) => number | undefined): number | null => {
    const from = first && pick(first)
    const to = last && pick(last)
    return from === undefined || to === undefined || seconds <= 0 ? null : (to - from) / seconds
  }
  const { connections, connected } = options.broker()
  const { nextSeq, bytes, bytesMax, lostEntries } = options.journal()
  return {
    atMs: options.now(),
    gateways: options.gateways().map(({ gateway, online, pendingEntries }) => {
      const perSecond = rate(sample => sample.pending[gateway])
      const shrinks = online && pendingEntries > 0 && perSecond !== null && perSecond < 0
      return {
        ...{ gateway, online, pendingEntries, pendingPerSecond: perSecond },
        emptyInMs: shrinks ? Math.round((1000 * pendingEntries) / -perSecond) : null,
      }
    }),
    broker: {
      ...{ connected, clients: connections, queuedBytes: options.ingest().queuedBytes },
      messages: { perSecond: rate(sample => sample.messages) },
      rows: { perSecond: rate(sample => sample.rows) },
    },
    journal: {
      ...{ lastSeq: nextSeq - 1, bytes, bytesMax: bytesMax ?? null, lostEntries },
      perSecond: rate(sample => sample.lastSeq),
    },
    projections: options.projections().map(({ name, applied, last, problem }) => ({
      ...{ name, applied, behind: Math.max(0, last - applied), problem: problem ?? null },
      perSecond: rate(sample => sample.applied[name]),
    })),
    ...slow,
  }
}

/** From here on a disk needs room. */
const freePartMin = 0.1
const freeBytesMin = 1_000_000_000
const clockMsMax = 60_000
const rejectsHourMax = 0

/** Pure: what needs a person, most urgent first. */
export const attentionOf = (
  { broker, journal, projections, disk, rejects }: Flow,
  gateways: readonly GatewayNow[],
  behindEntriesMax: number,
): Attention[] => {
  const items: Attention[] = []
  const say = (level: AttentionLevel, id: string, what: string, act: string, link: string) =>
    items.push({ id, level, what, act, link })
  if (!broker.connected) {
    say(
      'urgent',
      'broker',
      'The broker cannot be reached: nothing comes in by MQTT.',
      'Look whether it runs, and at the address in the cloud’s configuration. Gateways keep what they read meanwhile.',
      '/',
    )
  }
  for (const { name, behind, problem } of projections) {
    const word = projectionText(name)
    if (problem !== null) {
      say(
        'urgent',
        `projection ${name}`,
        `${word} cannot be written: ${problem}.`,
        `${entriesText(behind)} safe in the journal and come by themselves once it works.`,
        '/',
      )
    } else if (behind > behindEntriesMax) {
      say(
        'soon',
        `projection ${name}`,
        `${word} is behind the journal by ${entriesText(behind, true)}.`,
        'It catches up by itself; figures are older until then.',
        '/',
      )
    }
  }
  for (const gateway of gateways) ofGateway(gateway, say)
  if (journal.lostEntries > 0) {
    say(
      'urgent',
      'journal',
      `${entriesText(journal.lostEntries)} of the journal damaged.`,
      'The log of the cloud names the range; look at the disk. Gateways have what they have not been receipted for.',
      '/gaps',
    )
  }
  if (rejects.lastHour > rejectsHourMax) {
    const [n, day] = [rejects.lastHour, rejects.lastDay]
    say(
      'soon',
      'quarantine',
      `The quarantine grew by ${n.toLocaleString('en-GB')} ${n === 1 ? 'row' : 'rows'} in the last hour (${day.toLocaleString('en-GB')} in a day).`,
      'Look at what could not be read; a correction brings it back.',
      '/quarantine',
    )
  }
  if (disk && (disk.freeBytes < freeBytesMin || disk.freeBytes < freePartMin * disk.totalBytes)) {
    const gb = (disk.freeBytes / 1e9).toFixed(1)
    const part = Math.round((100 * disk.freeBytes) / disk.totalBytes)
    say(
      disk.freeBytes < freeBytesMin ? 'urgent' : 'soon',
      'disk',
      `The disk of the cloud has ${gb} GB left (${part} %).`,
      'Make room, or give the journal a limit (`journal.bytesMax`).',
      '/',
    )
  }
  return items.sort((a, b) => Number(b.level === 'urgent') - Number(a.level === 'urgent'))
}

type Say = (level: AttentionLevel, id: string, what: string, act: string, link: string) => void

const ofGateway = (
  { gateway, online, silentMs, pendingEntries, clockAheadMs, problems, sources }: GatewayNow,
  say: Say,
) => {
  const link = `/gateways?gateway=${encodeURIComponent(gateway)}`
  if (!online) {
    const waits =
      pendingEntries > 0
        ? `${entriesText(pendingEntries)} waiting there.`
        : 'Nothing was waiting there when it last spoke.'
    say(
      'urgent',
      `offline ${gateway}`,
      `Gateway ${gateway} is offline, for ${durationText(silentMs)}.`,
      `Look at its power and network. ${waits}`,
      link,
    )
    return
  }
  for (const [i, problem] of problems.entries()) {
    const what = `Gateway ${gateway}: ${problem.replace(/\.?$/, '.')}`
    say('urgent', `problem ${gateway} ${i}`, what, 'Put it right there; what came before goes on.', link)
  }
  for (const { id, health, message } of sources) {
    if (health !== 'failing' && health !== 'stale') continue
    const why = message === undefined ? '' : `: ${message.replace(/\.$/, '')}`
    const what =
      health === 'failing'
        ? `Source ${id} of gateway ${gateway} fails${why}.`
        : `Source ${id} of gateway ${gateway} has gone quiet${why}.`
    const act =
      health === 'failing'
        ? 'It is tried again by itself; what it needs stands in its message.'
        : 'Look whether the instrument still writes.'
    say(health === 'failing' ? 'urgent' : 'soon', `source ${gateway} ${id}`, what, act, link)
  }
  if (Math.abs(clockAheadMs) > clockMsMax) {
    const way = clockAheadMs > 0 ? 'ahead' : 'behind'
    say(
      'soon',
      `clock ${gateway}`,
      `The clock of gateway ${gateway} is ${durationText(Math.abs(clockAheadMs))} ${way}.`,
      'Readings that it gives a time of its own are off by as much: set up time synchronization there.',
      link,
    )
  }
}

const entriesText = (n: number, bare = false): string => {
  const text = `${n.toLocaleString('en-GB')} ${n === 1 ? 'entry' : 'entries'}`
  return bare ? text : `${text} ${n === 1 ? 'is' : 'are'}`
}
/** Coarse, so that it does not change with every look. */
const durationText = (ms: number): string => {
  const [minutes, hours, days] = [Math.floor(ms / 60_000), Math.floor(ms / 3_600_000), Math.floor(ms / 86_400_000)]
  if (minutes < 1) return 'less than a minute'
  if (minutes < 120) return `${minutes} ${minutes === 1 ? 'minute' : 'minutes'}`
  return hours < 48 ? `${hours} hours` : `${days} days`
}
const projectionText = (name: string): string => {
  const [kind = '', store] = name.split('-')
  const words: Record<string, string> = {
    historian: 'The historian',
    rollup: 'The counts by hour and day',
    records: 'The ledger and quarantine',
    live: 'What is live',
  }
  return `${words[kind] ?? name}${store === undefined ? '' : ` (${store})`}`
}
