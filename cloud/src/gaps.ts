/**
 * Runs of hours in which a sensor delivered nothing, too little, or failures, each with its cause as far as something proves it:
 *
 *     failed           rows came and said that the measurement failed, or came without a number
 *     rejected         bytes that name this hour (or that only this sensor writes) could not be read
 *     lost             a range of the gateway's log is gone, and the readings around it are those around this hour
 *     gateway-offline  the gateway's status history says so, or it is offline now and this comes after its last reading
 *     sensor-silent    the gateway was there: others delivered in this hour by the same way, or it was online all the time
 *     unknown          nothing proves any of these
 *
 * The first that is proved holds. What a gateway delivered for an hour proves that it ran in it, whatever its line did.
 */
import { MS_PER_HOUR } from '@penstock/frame'
import { type CoverageQuery, type CoverageSource, coverage, type HourCell } from './coverage.ts'
import type { Evidence, Feed, NearLoss, NearReject } from './projectors/records/evidence.ts'
import { SYSTEM_SITE } from './sites.ts'

export const gapCauses = ['sensor-silent', 'gateway-offline', 'rejected', 'lost', 'failed', 'unknown'] as const
export type GapCause = (typeof gapCauses)[number]
export type GapKind = 'missing' | 'partial' | 'failed'

export interface GapProof {
  /** The ways that this sensor's readings have come; of its neighbours, where it never delivered. */
  ways: { gateway: string | null; source: string | null }[]
  /** false: the ways are its neighbours'. */
  waysAreItsOwn: boolean
  /** Other sensors of the same way that delivered in every one of these hours, at least. */
  othersDelivered: number
  /** Minutes of these hours of which the gateway's state is known, and those of them in which it was offline. */
  watchedMinutes: number
  offlineMinutes: number
  /** Entries that the gateway has and the cloud does not, when it last spoke; null where it is not known. */
  pendingEntries: number | null
  gatewayOnline: boolean | null
  /** Some of it may still come. */
  onItsWay: boolean
  /** `possible`: rejects that may be of these hours or of others. */
  rejects: { ids: string[]; files: string[]; possible: number }
  losses: {
    gateway: string | null
    epoch: string | null
    from: number
    through: number
    reason: string
    receivedMs: number
  }[]
}
export interface Gap {
  device: string
  kind: GapKind
  cause: GapCause
  startMs: number
  endMs: number
  /** Hours in which the site was open. */
  hours: number
  expected: number
  had: number
  failed: number
  proof: GapProof
}

/** How a gateway is now. */
export interface GatewayNow {
  gateway: string
  online: boolean
  pendingEntries: number
}
export interface GapSource extends CoverageSource {
  evidence: Evidence
  gateways: readonly GatewayNow[]
}
export interface GapQuery extends CoverageQuery {
  /** An hour of which at least this part was had is whole enough. */
  below: number
}

const rejectsMax = 5000
const lossesMax = 20

/** The gaps of every sensor, sensor by sensor in order of time. `more`: not all rejects near them could be looked at. */
export const gaps = async (source: GapSource, query: GapQuery): Promise<{ gaps: Gap[]; more: boolean }> => {
  const cells = await coverage(source, { ...query })
  const broken = [...cells.values()].flatMap(hours => hours.filter(cell => isGap(cell, query.below)))
  if (broken.length === 0) return { gaps: [], more: false }
  const known = await gather(source, query, cells, broken)
  const found = [...cells].flatMap(([device, hours]) => runsOf(device, hours, cell => proofOf(cell, known, query)))
  return { gaps: found, more: known.more }
}

const isGap = (cell: HourCell, below: number): boolean =>
  cell.state === 'missing' || cell.state === 'failed' || (cell.state === 'partial' && cell.had < below * cell.expected)

type Way = Pick<Feed, 'gateway' | 'source'>
const wayKey = ({ gateway, source }: Way): string => JSON.stringify([gateway, source])

/** All that is known beside the hours themselves. */
interface Known {
  /** By sensor. */
  ways: ReadonlyMap<string, { ways: Way[]; own: boolean; lastMs: number | null }>
  /** By start of the hour: the sensors that delivered, by gateway. */
  delivered: ReadonlyMap<number, ReadonlyMap<string | null, ReadonlySet<string>>>
  /** By gateway: when the site's last reading that it brought was. */
  lastOf: ReadonlyMap<string | null, number>
  /** By gateway and UTC hour: minutes that were looked at, and those in which it was online. */
  watched: ReadonlyMap<string, ReadonlyMap<number, { minutes: number; online: number }>>
  gateways: ReadonlyMap<string, GatewayNow>
  rejects: ReturnType<typeof matchRejects>
  losses: readonly NearLoss[]
  more: boolean
}

const gather = async (
  { evidence, historian, gateways }: GapSource,
  query: GapQuery,
  cells: ReadonlyMap<string, readonly HourCell[]>,
  broken: readonly HourCell[],
): Promise<Known> => {
  const { site, stream } = query
  const feeds = (await evidence.feeds(site.id)).filter(feed => feed.stream === stream)
  const ways = waysOf(cells.keys(), feeds)
  const names = [...new Set(feeds.map(feed => feed.gateway))]
  const first = broken.reduce((min, { startMs }) => Math.min(min, startMs), Number.POSITIVE_INFINITY)
  const last = broken.reduce((max, { endMs }) => Math.max(max, endMs), 0)
  const [near, losses, watched] = await Promise.all([
    evidence.nearRejects({ site: site.id, feeds, fromMs: first, toMs: last, limit: rejectsMax + 1 }),
    evidence.nearLosses({ site: site.id, gateways: names, limit: lossesMax }),
    watchedHours(historian, names, first, last),
  ])
  const lastOf = new Map<string | null, number>()
  for (const { gateway, lastMs } of feeds) lastOf.set(gateway, Math.max(lastOf.get(gateway) ?? 0, lastMs))
  return {
    ...{ ways, lastOf, watched, losses },
    delivered: deliveredOf(cells, ways),
    gateways: new Map(gateways.map(gateway => [gateway.gateway, gateway])),
    rejects: matchRejects(near.slice(0, rejectsMax), broken, ways, query),
    more: near.length > rejectsMax,
  }
}

const waysOf = (devices: Iterable<string>, feeds: readonly Feed[]): Known['ways'] => {
  const all = [...new Map(feeds.map(feed => [wayKey(feed), { gateway: feed.gateway, source: feed.source }])).values()]
  return new Map(
    [...devices].map(device => {
      const own = feeds.filter(feed => feed.device === device)
      const lastMs = own.length > 0 ? Math.max(...own.map(feed => feed.lastMs)) : null
      const ways = own.length > 0 ? own.map(({ gateway, source }) => ({ gateway, source })) : all
      return [device, { ways, own: own.length > 0, lastMs }]
    }),
  )
}

const deliveredOf = (cells: ReadonlyMap<string, readonly HourCell[]>, ways: Known['ways']): Known['delivered'] => {
  const delivered = new Map<number, Map<string | null, Set<string>>>()
  for (const [device, hours] of cells) {
    const own = ways.get(device)
    // Which of several gateways brought an hour is not known: such a sensor proves nothing about any.
    const gateways = new Set(own?.ways.map(way => way.gateway))
    const [gateway] = gateways
    if (!own?.own || gateways.size !== 1 || gateway === undefined) continue
    for (const { startMs, had } of hours) {
      if (had === 0) continue
      const byGateway = delivered.get(startMs) ?? new Map<string | null, Set<string>>()
      delivered.set(startMs, byGateway)
      byGateway.set(gateway, (byGateway.get(gateway) ?? new Set()).add(device))
    }
  }
  return delivered
}

/** From what the cloud noted of gateways once a minute. */
const watchedHours = async (
  historian: GapSource['historian'],
  gateways: readonly (string | null)[],
  fromMs: number,
  toMs: number,
): Promise<Known['watched']> => {
  const watched = new Map<string, Map<number, { minutes: number; online: number }>>()
  for (const gateway of gateways) {
    if (gateway === null) continue
    const hours = new Map<number, { minutes: number; online: number }>()
    for await (const row of historian.readAggregates({
      ...{
        level: 'sensor',
        resolution: 'hour',
        site: SYSTEM_SITE,
        device: gateway,
        stream: 'gateway',
        column: 'online',
      },
      fromNs: BigInt(fromMs - MS_PER_HOUR) * 1_000_000n,
      toNs: BigInt(toMs) * 1_000_000n,
    })) {
      hours.set(Number(row.startNs / 1_000_000n), { minutes: row.n, online: row.sum ?? 0 })
    }
    watched.set(gateway, hours)
  }
  return watched
}

/**
 * Rejects that can be told to be of one sensor and hour: their text names at least three of site, sensor, date and hour, and fits
 * no other hour that is missing; or their file has no other series, and as many of it were rejected as hours are missing there.
 */
const matchRejects = (
  rejects: readonly NearReject[],
  broken: readonly HourCell[],
  ways: Known['ways'],
  { site, stream }: GapQuery,
): { proved: Map<HourCell, NearReject[]>; possible: Map<HourCell, number> } => {
  const matched = new Map<HourCell, NearReject[]>()
  const possible = new Map<HourCell, number>()
  const mayBe = (cell: HourCell) => possible.set(cell, (possible.get(cell) ?? 0) + 1)
  const match = (cell: HourCell, reject: NearReject) => {
    const had = matched.get(cell)
    if (had) had.push(reject)
    else matched.set(cell, [reject])
  }
  const places = broken.map(cell => ({ cell, ...site.zone.parts(cell.startMs) }))
  const waysOfDevice = new Map([...ways].map(([device, { ways }]) => [device, new Set(ways.map(wayKey))]))
  const ofFile = new Map<string, NearReject[]>()
  for (const reject of rejects) {
    const way = wayKey(reject)
    const words = wordsOf(reject.text)
    const named = places.filter(({ cell, date, hour }) => {
      if (!waysOfDevice.get(cell.device)?.has(way) || !isNear(reject, cell)) return false
      const facts = [words.has(site.id) || words.has(site.name), words.has(cell.device), words.has(date)]
      return facts.filter(Boolean).length + Number(hasHour(reject.text, words, hour)) >= namedMin
    })
    if (named.length === 1 && named[0]) match(named[0].cell, reject)
    else if (named.length > 1) for (const { cell } of named) mayBe(cell)
    else if (reject.only?.site === site.id && reject.only.stream === stream && reject.span) {
      const file = JSON.stringify([way, reject.file, reject.only.device])
      ofFile.set(file, [...(ofFile.get(file) ?? []), reject])
    }
  }
  for (const rejects of ofFile.values()) {
    const device = rejects[0]?.only?.device
    const fitting = broken.filter(cell => cell.device === device && rejects.some(reject => isNear(reject, cell)))
    const missing = fitting.reduce((rows, { expected, had }) => rows + expected - had, 0)
    for (const cell of fitting) {
      for (const reject of rejects.filter(reject => isNear(reject, cell))) {
        if (rejects.length < missing) mayBe(cell)
        else match(cell, reject)
      }
    }
  }
  return { proved: matched, possible }
}
/** Of site, sensor, date and hour. */
const namedMin = 3

const isNear = ({ span }: NearReject, { startMs, endMs }: HourCell): boolean =>
  span === null || (startMs < span.toMs && endMs > span.fromMs)

const wordsOf = (text: string): ReadonlySet<string> =>
  new Set(text.split(/[,;|\s"'{}[\]=:T]+/).flatMap(word => (word === '' ? [] : [word, word.replaceAll('/', '-')])))
const hasHour = (text: string, words: ReadonlySet<string>, hour: number): boolean => {
  const two = String(hour).padStart(2, '0')
  return words.has(String(hour)) || words.has(two) || new RegExp(`[T ]${two}:`).test(text)
}

/** The gap that this hour is, or `undefined`. */
const proofOf = (cell: HourCell, known: Known, { below }: GapQuery): Gap | undefined => {
  if (!isGap(cell, below)) return undefined
  const { ways, own, lastMs } = known.ways.get(cell.device) ?? { ways: [], own: false, lastMs: null }
  const gateways = [...new Set(ways.map(way => way.gateway))]
  const others = gateways.map(gateway => {
    const devices = known.delivered.get(cell.startMs)?.get(gateway)
    return (devices?.size ?? 0) - Number(devices?.has(cell.device) ?? false)
  })
  const seen = gateways.map(gateway => watchedIn(cell, gateway === null ? undefined : known.watched.get(gateway)))
  const now = gateways.map(gateway => (gateway === null ? undefined : known.gateways.get(gateway)))
  const rejects = known.rejects.proved.get(cell) ?? []
  const possible = known.rejects.possible.get(cell) ?? 0
  const losses = known.losses.filter(
    loss => isAround(loss, cell) && (loss.gateway === null || gateways.includes(loss.gateway)),
  )
  /** Nothing that this gateway brought is later. */
  const isLast = gateways.every(
    gateway => cell.startMs > (known.lastOf.get(gateway) ?? lastMs ?? Number.POSITIVE_INFINITY),
  )
  const pending = now.some(g => g !== undefined) ? now.reduce((sum, g) => sum + (g?.pendingEntries ?? 0), 0) : null
  const facts = {
    othersDelivered: gateways.length === 0 ? 0 : Math.min(...others),
    watchedMinutes: seen.length === 0 ? 0 : Math.min(...seen.map(s => s.minutes)),
    offlineMinutes: seen.length === 0 ? 0 : Math.min(...seen.map(s => s.minutes - s.online)),
    pendingEntries: pending,
    gatewayOnline: now.length > 0 && now.every(g => g !== undefined) ? now.some(g => g?.online) : null,
  }
  const cause = causeOf(cell, { ...facts, rejected: rejects.length > 0, possible, lost: losses.length > 0, isLast })
  const onItsWay = cause === 'gateway-offline' && (facts.gatewayOnline === false || (pending ?? 0) > 0)
  return {
    ...{ device: cell.device, kind: cell.state as GapKind, cause, startMs: cell.startMs, endMs: cell.endMs, hours: 1 },
    ...{ expected: cell.expected, had: cell.had, failed: cell.failed },
    proof: {
      ...{ ways, waysAreItsOwn: own, ...facts, onItsWay },
      rejects: {
        possible,
        ids: rejects.map(({ id }) => id),
        files: filesOf(rejects.flatMap(({ file }) => file ?? [])),
      },
      losses: losses.map(({ gateway, epoch, from, through, reason, receivedMs }) => ({
        ...{ gateway, epoch, from, through, reason, receivedMs },
      })),
    },
  }
}

const filesShownMax = 8
const filesOf = (files: readonly string[]): string[] => [...new Set(files)].slice(0, filesShownMax)

interface Facts
  extends Pick<GapProof, 'othersDelivered' | 'watchedMinutes' | 'offlineMinutes' | 'pendingEntries' | 'gatewayOnline'> {
  rejected: boolean
  /** Rejects that may be of this hour or of another. */
  possible: number
  lost: boolean
  isLast: boolean
}
/** Of an hour's 60 minutes, so many have to have been looked at before the history says that a gateway was there. */
const watchedMinutesMin = 50

const causeOf = (cell: HourCell, facts: Facts): GapCause => {
  if (cell.state === 'failed') return 'failed'
  if (facts.rejected) return 'rejected'
  if (facts.lost) return 'lost'
  if (facts.othersDelivered > 0) return facts.possible > 0 ? 'unknown' : 'sensor-silent'
  if (facts.watchedMinutes > 0 && facts.offlineMinutes * 2 >= facts.watchedMinutes) return 'gateway-offline'
  if (facts.isLast && facts.gatewayOnline === false) return 'gateway-offline'
  const wasThere = facts.watchedMinutes >= watchedMinutesMin && facts.offlineMinutes === 0
  return wasThere && facts.pendingEntries === 0 && facts.possible === 0 ? 'sensor-silent' : 'unknown'
}

/** The minutes of the UTC hours that an hour touches, by the part of them that it covers. */
const watchedIn = (
  { startMs, endMs }: HourCell,
  hours: ReadonlyMap<number, { minutes: number; online: number }> | undefined,
): { minutes: number; online: number } => {
  let [minutes, online] = [0, 0]
  for (let utc = Math.floor(startMs / MS_PER_HOUR) * MS_PER_HOUR; utc < endMs; utc += MS_PER_HOUR) {
    const hour = hours?.get(utc)
    const part = (Math.min(endMs, utc + MS_PER_HOUR) - Math.max(startMs, utc)) / MS_PER_HOUR
    minutes += (hour?.minutes ?? 0) * part
    online += (hour?.online ?? 0) * part
  }
  return { minutes, online }
}

/** Whether an hour lies between the readings next to a loss. */
const isAround = ({ beforeMs, afterMs, receivedMs }: NearLoss, { startMs, endMs }: HourCell): boolean =>
  beforeMs !== null && beforeMs < endMs && startMs < (afterMs ?? receivedMs)

/** Hours that follow each other, in which the site was open, with one cause and of one kind, are one gap. */
const runsOf = (device: string, hours: readonly HourCell[], gapOf: (cell: HourCell) => Gap | undefined): Gap[] => {
  const runs: Gap[] = []
  let open: Gap | undefined
  for (const cell of hours) {
    if (cell.expected === 0) continue
    const gap = gapOf(cell)
    if (gap && open && open.cause === gap.cause && open.kind === gap.kind && sameLosses(open, gap)) join(open, gap)
    else {
      open = gap && { ...gap, device }
      if (open) runs.push(open)
    }
  }
  return runs
}
const sameLosses = (a: Gap, b: Gap): boolean =>
  JSON.stringify(a.proof.losses) === JSON.stringify(b.proof.losses) && a.proof.onItsWay === b.proof.onItsWay

const join = (run: Gap, gap: Gap): void => {
  run.endMs = gap.endMs
  for (const key of ['hours', 'expected', 'had', 'failed'] as const) run[key] += gap[key]
  const [a, b] = [run.proof, gap.proof]
  run.proof = {
    ...a,
    othersDelivered: Math.min(a.othersDelivered, b.othersDelivered),
    watchedMinutes: a.watchedMinutes + b.watchedMinutes,
    offlineMinutes: a.offlineMinutes + b.offlineMinutes,
    rejects: {
      possible: Math.max(a.rejects.possible, b.rejects.possible),
      ids: [...new Set([...a.rejects.ids, ...b.rejects.ids])],
      files: filesOf([...a.rejects.files, ...b.rejects.files]),
    },
  }
}
