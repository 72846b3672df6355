/**
 * What is true right now, in memory: the latest row of every series, what each gateway said last, and a hub that tells
 * open pages of changes.
 *
 *     journal ─► apply ──┐
 *     rollup ─► aggregates ──► pending changes ─► (at most every coalesceMs) ─► ring ─► one bounded queue a client
 *     ingest ─► status ──┘
 *
 * Event ids are `<run>.<number>`: numbers rise by one, and `run` names this run of the program, so that an id of an
 * earlier run is known as one. A client that comes back with the id of its last event gets all that it missed, or, where the
 * ring no longer holds that, one `reset`: it then reads everything again. A client that does not take its events in
 * time is cut off with a `cut`, and may come back the same way.
 */
import type { Column, Frame, LedgerLine, SourceStatus, Status } from '@penstock/frame'
import { formatNs } from '@penstock/frame'
import type { Aggregate } from '../historian.ts'
import type { JournalEntry, Projector } from '../projector.ts'

export type LiveEventType =
  | 'hello'
  | 'reading'
  | 'count'
  | 'gateway'
  | 'ledger'
  | 'attention'
  | 'reject'
  | 'reset'
  | 'cut'
export interface LiveEvent {
  /** Undefined where the event is for this client alone and is not to be resumed from. */
  id?: string
  type: LiveEventType
  /** The site that it is about, where it is about one. */
  site?: string
  /** JSON. */
  data: string
}

/** The latest row of a series. Curves are left out, long texts cut. */
export interface LatestReading {
  site: string
  device: string
  stream: string
  /** ISO 8601 UTC, to the ns. */
  time: string
  values: Record<string, number | string | boolean | null>
  receivedMs: number
}

export interface GatewayView {
  gateway: string
  online: boolean
  epoch: string
  oldestSeq: number
  nextSeq: number
  spoolBytes: number
  /** The gateway's clock when it said this, ISO 8601. */
  clock: string
  version: string
  sources: SourceStatus[]
  problems?: string[]
  /** When the cloud heard it, ms. */
  statusAtMs: number
  /** The last entry of this epoch that came, as far as this run has seen one. */
  receivedSeq: number | null
  receivedAtMs: number | null
}

/** What a changed aggregate says in a `count` event. */
export interface CountChange {
  resolution: 'hour' | 'day'
  column: string
  date: string
  hour: number | null
  start: string
  /** Sum of the column; null where no row holds a number. */
  count: number | null
  n: number
  failed: number
  expected: number | null
  revision: number
}

export interface SubscribeOptions {
  /** The id of the last event that the client has. */
  after?: string
  /** Only events of this site, and those that are of none. */
  site?: string
  types?: ReadonlySet<string>
}
export interface Subscription {
  /** The next event, or undefined when the subscription has ended. One call at a time. */
  next(): Promise<LiveEvent | undefined>
  close(): void
}

export interface LiveOptions {
  /** Identity of this run of the program: 1 to 32 of [a-z0-9]. */
  run: string
  now(): number
  /** Journal entries up to here are not applied: what is shown lives from now on. */
  startAfter?: number
  /** Changes of one thing are told at most this often. */
  coalesceMs?: number
  ringEventsMax?: number
  clientEventsMax?: number
  clientBytesMax?: number
  clientsMax?: number
  seriesMax?: number
  gatewaysMax?: number
}

export interface Live extends Projector {
  /** What a gateway said of itself; called by ingest. */
  status(gateway: string, status: Status, atMs: number): void
  /** Rejects that came, and rejects on which was decided, as the records now have them; called when they do. */
  rejects(came: number, settled: number): void
  /** Rows that the rollup has just stored; called by the rollup projector. */
  aggregates(rows: readonly Aggregate[]): void
  /** What needs a person has changed; JSON. */
  attention(data: string): void
  gateways(): GatewayView[]
  latest(filter?: { site?: string; device?: string; stream?: string }): LatestReading[]
  /** Ends by itself at `close`. `undefined` where too many clients listen already. */
  subscribe(options?: SubscribeOptions): Subscription | undefined
  stats(): { clients: number; clientsCut: number; events: number; series: number; seriesDropped: number }
  close(): Promise<void>
}

/** Rows of one site and stream that a `count` event names; the range covers the rest. */
const countRowsMax = 64
const ledgerLinesMax = 64
const readingsPerFlushMax = 1000
const valuesPerReadingMax = 64
const textCharsMax = 256

interface PendingCount {
  site: string
  stream: string
  fromNs: bigint
  toNs: bigint
  sensors: Set<string>
  rows: Map<string, CountChange>
  more: boolean
}

export const createLive = (options: LiveOptions): Live => {
  const { coalesceMs = 250, seriesMax = 20_000, gatewaysMax = 1000 } = options
  const hub = createHub(options)
  const series = new Map<string, LatestReading>()
  const gateways = new Map<string, GatewayView>()
  const dirtySeries = new Set<string>()
  const dirtyGateways = new Set<string>()
  const pendingCounts = new Map<string, PendingCount>()
  const pendingLedger = new Map<string, LedgerLine & { gateway: string | null }>()
  let rejectsCame = 0
  let rejectsSettled = 0
  let applied = options.startAfter ?? 0
  let seriesDropped = 0
  let timer: NodeJS.Timeout | undefined
  let flushedMs = Number.NEGATIVE_INFINITY

  const schedule = (): void => {
    if (timer) return
    timer = setTimeout(flush, Math.max(0, Math.min(coalesceMs, flushedMs + coalesceMs - options.now())))
    timer.unref()
  }
  const flush = (): void => {
    timer = undefined
    flushedMs = options.now()
    for (const count of pendingCounts.values()) hub.publish('count', countData(count), count.site)
    pendingCounts.clear()
    for (const id of dirtyGateways) hub.publish('gateway', JSON.stringify(gateways.get(id)))
    dirtyGateways.clear()
    if (pendingLedger.size > 0) {
      const lines = [...pendingLedger.values()]
      hub.publish(
        'ledger',
        JSON.stringify({ lines: lines.slice(0, ledgerLinesMax), more: lines.length > ledgerLinesMax }),
      )
      pendingLedger.clear()
    }
    if (rejectsCame + rejectsSettled > 0) {
      hub.publish('reject', JSON.stringify({ came: rejectsCame, settled: rejectsSettled }))
      rejectsCame = rejectsSettled = 0
    }
    let left = readingsPerFlushMax
    for (const key of dirtySeries) {
      if (left-- === 0) break
      dirtySeries.delete(key)
      const reading = series.get(key)
      if (reading) hub.publish('reading', JSON.stringify(reading), reading.site)
    }
    if (dirtySeries.size > 0) schedule()
  }

  const takeFrame = (frame: Frame, receivedMs: number): void => {
    const row = latestRow(frame)
    if (row < 0) return
    const key = JSON.stringify([frame.site, frame.device, frame.stream])
    const time = formatNs(frame.startNs + BigInt(frame.offsetsNs[row] ?? 0))
    const had = series.get(key)
    if (had && compareIso(time, had.time) < 0) return
    if (!had && series.size >= seriesMax) {
      const oldest = series.keys().next().value
      if (oldest !== undefined) series.delete(oldest)
      seriesDropped++
    }
    series.set(key, {
      site: frame.site,
      device: frame.device,
      stream: frame.stream,
      time,
      values: valuesOf(frame, row),
      receivedMs,
    })
    dirtySeries.add(key)
  }

  const takeLedger = (gateway: string | undefined, line: LedgerLine): void => {
    const key = JSON.stringify([gateway, line.source, line.file, line.generation])
    if (pendingLedger.size <= ledgerLinesMax || pendingLedger.has(key)) {
      pendingLedger.set(key, { gateway: gateway ?? null, ...line })
    }
  }

  return {
    name: 'live',
    async cursor() {
      return applied
    },
    async apply(entries) {
      for (const entry of entries) {
        for (const frame of entry.frames) takeFrame(frame, entry.receivedMs)
        for (const line of entry.ledger) takeLedger(entry.gateway, line)
        noteReceived(gateways, entry)
        applied = entry.seq
      }
      if (dirtySeries.size > 0 || pendingLedger.size > 0) schedule()
    },
    status(gateway, status, atMs) {
      const had = gateways.get(gateway)
      if (!had && gateways.size >= gatewaysMax) return
      const sameEpoch = had?.epoch === status.epoch
      gateways.set(gateway, {
        gateway,
        ...status,
        statusAtMs: atMs,
        receivedSeq: sameEpoch ? had.receivedSeq : null,
        receivedAtMs: sameEpoch ? had.receivedAtMs : null,
      })
      dirtyGateways.add(gateway)
      schedule()
    },
    rejects(came, settled) {
      rejectsCame += came
      rejectsSettled += settled
      if (came + settled > 0) schedule()
    },
    aggregates(rows) {
      for (const row of rows) takeAggregate(pendingCounts, row)
      if (pendingCounts.size > 0) schedule()
    },
    attention: data => hub.publish('attention', data),
    gateways: () => [...gateways.values()].sort((a, b) => (a.gateway < b.gateway ? -1 : 1)),
    latest: (filter = {}) =>
      [...series.values()].filter(
        r =>
          (filter.site === undefined || r.site === filter.site) &&
          (filter.device === undefined || r.device === filter.device) &&
          (filter.stream === undefined || r.stream === filter.stream),
      ),
    subscribe: hub.subscribe,
    stats: () => ({ ...hub.stats(), series: series.size, seriesDropped }),
    async close() {
      clearTimeout(timer)
      hub.close()
    },
  }
}

const latestRow = (frame: Frame): number => {
  let best = -1
  let bestOffset = Number.NEGATIVE_INFINITY
  for (let i = 0; i < frame.offsetsNs.length; i++) {
    const offset = frame.offsetsNs[i] ?? 0
    if (offset >= bestOffset) {
      best = i
      bestOffset = offset
    }
  }
  return best
}

/** Compares times of `formatNs`, whose fractions have 3, 6 or 9 digits. */
const compareIso = (a: string, b: string): number => {
  const [x, y] = [a.slice(0, -1).padEnd(30, '0'), b.slice(0, -1).padEnd(30, '0')]
  return x < y ? -1 : x > y ? 1 : 0
}

const valuesOf = (frame: Frame, row: number): LatestReading['values'] => {
  const values: LatestReading['values'] = {}
  for (const column of frame.columns.slice(0, valuesPerReadingMax)) {
    if (column.type !== 'vector') values[column.name] = cellOf(column, row)
  }
  return values
}
const cellOf = (column: Exclude<Column, { type: 'vector' }>, row: number): number | string | boolean | null => {
  const value = column.values[row]
  if (typeof value === 'string') return value.length > textCharsMax ? `${value.slice(0, textCharsMax)}…` : value
  return value === undefined || (typeof value === 'number' && !Number.isFinite(value)) ? null : value
}

const noteReceived = (gateways: Map<string, GatewayView>, entry: JournalEntry): void => {
  const gateway = entry.gateway === undefined ? undefined : gateways.get(entry.gateway)
  if (!gateway || gateway.epoch !== entry.epoch || entry.gatewaySeq === undefined) return
  gateway.receivedSeq = Math.max(gateway.receivedSeq ?? 0, entry.gatewaySeq)
  gateway.receivedAtMs = entry.receivedMs
}

const takeAggregate = (pending: Map<string, PendingCount>, row: Aggregate): void => {
  const key = JSON.stringify([row.site, row.stream])
  let count = pending.get(key)
  if (!count) {
    count = {
      site: row.site,
      stream: row.stream,
      fromNs: row.startNs,
      toNs: row.endNs,
      sensors: new Set(),
      rows: new Map(),
      more: false,
    }
    pending.set(key, count)
  }
  if (row.startNs < count.fromNs) count.fromNs = row.startNs
  if (row.endNs > count.toNs) count.toNs = row.endNs
  if (row.level === 'sensor') {
    if (count.sensors.size < countRowsMax) count.sensors.add(row.device)
    return
  }
  const rowKey = JSON.stringify([row.resolution, row.column, String(row.startNs)])
  if (count.rows.size >= countRowsMax && !count.rows.has(rowKey)) {
    count.more = true
    return
  }
  count.rows.set(rowKey, {
    resolution: row.resolution,
    column: row.column,
    date: row.date,
    hour: row.hour,
    start: formatNs(row.startNs),
    count: row.sum,
    n: row.n,
    failed: row.failed,
    expected: row.expected,
    revision: row.revision,
  })
}

const countData = (count: PendingCount): string =>
  JSON.stringify({
    store: count.site,
    stream: count.stream,
    from: formatNs(count.fromNs),
    to: formatNs(count.toNs),
    sensors: [...count.sensors].sort(),
    rows: [...count.rows.values()],
    more: count.more,
  })

interface Client {
  offer(event: LiveEvent): void
  end(): void
}

/** Numbers events, keeps the last of them, and hands them to bounded queues. */
const createHub = (options: LiveOptions) => {
  const { run, ringEventsMax = 4096, clientEventsMax = 1024, clientBytesMax = 1024 * 1024, clientsMax = 500 } = options
  const ring: LiveEvent[] = []
  const clients = new Set<Client>()
  let lastNumber = 0
  let clientsCut = 0
  let closed = false

  const publish = (type: LiveEventType, data: string, site?: string): void => {
    lastNumber++
    const event: LiveEvent = { id: `${run}.${lastNumber}`, type, data, ...(site !== undefined && { site }) }
    ring.push(event)
    if (ring.length > ringEventsMax) ring.shift()
    for (const client of clients) client.offer(event)
  }

  /** Events after an id, or undefined where they are not all here. */
  const missed = (after: string): LiveEvent[] | undefined => {
    const match = /^([a-z0-9]{1,32})\.(\d{1,15})$/.exec(after)
    const number = Number(match?.[2])
    if (match?.[1] !== run || number > lastNumber || number < lastNumber - ring.length) return undefined
    return ring.slice(ring.length - (lastNumber - number))
  }

  const subscribe = (want: SubscribeOptions = {}): Subscription | undefined => {
    if (closed || clients.size >= clientsMax) return undefined
    const wanted = (event: LiveEvent): boolean =>
      (want.types === undefined || want.types.has(event.type)) &&
      (want.site === undefined || event.site === undefined || event.site === want.site)
    let queue: LiveEvent[] = []
    let queuedBytes = 0
    let ended = false
    let wake: (() => void) | undefined
    const push = (event: LiveEvent): void => {
      queue.push(event)
      queuedBytes += event.data.length
      wake?.()
    }
    const client: Client = {
      offer(event) {
        if (ended || !wanted(event)) return
        if (queue.length >= clientEventsMax || queuedBytes + event.data.length > clientBytesMax) {
          // What waits is dropped: the client resumes from the last event that it took.
          queue = []
          queuedBytes = 0
          clientsCut++
          client.end()
          push({ type: 'cut', data: '{"reason":"events were not taken in time: connect again with Last-Event-ID"}' })
        } else push(event)
      },
      end() {
        ended = true
        clients.delete(client)
        wake?.()
      },
    }
    clients.add(client)
    const id = `${run}.${lastNumber}`
    const after = want.after === undefined ? undefined : missed(want.after)?.filter(wanted)
    // More than the queue holds would be cut at once, and again at every return.
    const tooMuch =
      after !== undefined &&
      (after.length > clientEventsMax || after.reduce((bytes, e) => bytes + e.data.length, 0) > clientBytesMax)
    if (want.after !== undefined && (after === undefined || tooMuch)) {
      push({ id, type: 'reset', data: '{"reason":"what was missed is no longer held: read everything again"}' })
    } else if (after) for (const event of after) client.offer(event)
    else push({ id, type: 'hello', data: JSON.stringify({ run }) })
    return {
      async next() {
        while (queue.length === 0 && !ended) {
          await new Promise<void>(resolve => {
            wake = resolve
          })
          wake = undefined
        }
        const event = queue.shift()
        queuedBytes -= event?.data.length ?? 0
        return event
      },
      close() {
        queue = []
        client.end()
      },
    }
  }

  return {
    publish,
    subscribe,
    stats: () => ({ clients: clients.size, clientsCut, events: lastNumber }),
    close() {
      closed = true
      for (const client of clients) client.end()
    },
  }
}
