/**
 * The historian in an InfluxDB: 1.x, 2.x or 3. Readings and aggregates lie there so that Grafana and people read them plainly:
 *
 *     <stream>                          tags site, device                         a field a column, `_row`, `_holes`
 *     <stream>_hourly, <stream>_daily   tags level, store, sensor, column         n, sum, min, max, mean, first, last, failed, …
 *     penstock_catalog, _state, _dirty  what InfluxDB does not keep itself        columns and types, cursors, marked hours
 *
 * - Nothing is assumed: a write is done when its 204 has come, and the cursor is written after that. What an interrupted write
 *   left is written again, the same.
 * - Opening does not need the server: the first use does, and every use tells plainly when it cannot be had.
 * - Lines that the server will never take are rejects (`onRejects`) and hold up nobody.
 * - After any failure what is known in memory is read anew.
 */
import { EXIT, type Frame, UserError } from '@penstock/frame'
import { changedCounts } from '../counts.ts'
import type { AggregateQuery, Historian, StreamInfo } from '../historian.ts'
import { createAggregates } from './influx/aggregates.ts'
import { bucketsOf } from './influx/buckets.ts'
import { type Catalog, loadCatalog, type Series } from './influx/catalog.ts'
import { aggregateMeasurement, CATALOG, DIRTY, measurementName, originalName } from './influx/names.ts'
import { countsOf, extremesOf, read } from './influx/reading.ts'
import { createServer, InfluxError, type Refusal, type Server, type ServerOptions } from './influx/server.ts'
import { dropMeasurement, ensureStore } from './influx/setup.ts'
import { emptyState, readState, type State, writeState } from './influx/state.ts'
import { createWriting } from './influx/writing.ts'

export { InfluxError } from './influx/server.ts'

/** A row that InfluxDB will never take. */
export interface InfluxReject {
  /** One sentence, with the server's words. */
  reason: string
  /** The line of line protocol, or what stands for the rows; cut at 4,096 characters. */
  text: string
}
export interface InfluxOptions extends ServerOptions {
  /** The journal that this historian is made from: cursors of another one, or beyond its end, mean nothing. */
  journal?: { epoch: string; last: number }
  /** Series (site, device, stream); rows of more are refused. */
  seriesMax?: number
  /** Told of refused rows; the write is done when this is. The same rows are told again when they are written again. */
  onRejects?(rejects: readonly InfluxReject[], cursor: number): Promise<void>
  log: { info(o: object, m: string): void; warn(o: object, m: string): void }
}

const textCharsMax = 4096
const rejectsPerWriteMax = 1000

interface Known {
  catalog: Catalog
  state: State
}

export interface InfluxHistorian extends Historian {
  /** Deletes everything, for `rebuild`. InfluxDB 3 cannot delete: there rows stay, and are overwritten. */
  clear(): Promise<void>
}

/**
 * Makes the database or bucket where it is missing; returns a line about it.
 * @throws UserError where it cannot be had or cannot serve
 */
export const checkInflux = async (options: ServerOptions): Promise<string> => {
  try {
    return await ensureStore(createServer(options))
  } catch (error) {
    if (!(error instanceof InfluxError)) throw error
    throw new UserError(`historian: ${error.message}`, EXIT.unavailable, { cause: error })
  }
}

/** Does not need the server yet. */
export const openInflux = async (options: InfluxOptions): Promise<InfluxHistorian> => {
  const { journal, seriesMax = 100_000, onRejects, log } = options
  const server = createServer(options)
  const writing = createWriting(server)
  const aggregates = createAggregates(server)

  let knowing: Promise<Known> | undefined
  const known = (): Promise<Known> => {
    const now = knowing ?? load(server, { seriesMax, journal, log })
    knowing = now
    now.catch(() => {
      if (knowing === now) knowing = undefined
    })
    return now
  }
  // One change after the other; after a failure all is read anew.
  let last: Promise<unknown> = Promise.resolve()
  const change = <T>(work: (known: Known) => Promise<T>): Promise<T> => {
    const mine = last.then(async () => {
      const now = await known()
      try {
        return await work(now)
      } catch (error) {
        if (!(error instanceof RangeError)) knowing = undefined
        throw error
      }
    })
    last = mine.catch(() => {})
    return mine
  }
  return {
    write: (frames, cursor) =>
      change(async ({ catalog, state }) => {
        const refused = await writing.write(catalog, frames)
        const rejects = rejectsOf(refused, seriesMax)
        if (rejects.length > 0) await onRejects?.(rejects, cursor ?? state.rows)
        if (cursor !== undefined) {
          await writeState(server, { rows: cursor })
          state.rows = cursor
        }
        // The bounds of their series count them in.
        if (refused.refusals.length > 0) knowing = undefined
      }),
    cursor: async () => (await known()).state.rows,
    async *read(query) {
      yield* read(server, (await known()).catalog, query)
    },
    streams: () => change(({ catalog }) => streamInfos(server, catalog)),
    buckets: async query => bucketsOf(server, (await known()).catalog, query),
    writeAggregates: (rows, cursor, marks) =>
      change(async ({ state }) => {
        await aggregates.write(rows, state.generation)
        const read = { readAggregates: (query: AggregateQuery) => aggregates.read(query, state.generation) }
        await aggregates.writeCounts(changedCounts(read, rows))
        if (marks?.remove?.length) await aggregates.mark(marks.remove, false, state.generation)
        if (marks?.add?.length) await aggregates.mark(marks.add, true, state.generation)
        if (cursor === undefined) return
        await writeState(server, { aggregates: cursor })
        state.aggregates = cursor
      }),
    aggregatesCursor: async () => (await known()).state.aggregates,
    async *readAggregates(query) {
      yield* aggregates.read(query, (await known()).state.generation)
    },
    dirtyHours: async () => aggregates.dirtyHours((await known()).state.generation),
    clearAggregates: (stamp = '') =>
      change(async ({ state }) => {
        const cleared = { aggregates: 0, stamp, generation: state.generation + 1 }
        await writeState(server, cleared)
        Object.assign(state, cleared)
      }),
    aggregatesStamp: async () => (await known()).state.stamp,
    async close() {
      await last
    },
    clear: () =>
      change(async ({ catalog, state }) => {
        await writeState(server, { ...emptyState(state.journal), generation: state.generation + 1 })
        const streams = [...streamNames(catalog)]
        const measurements = streams.flatMap(stream => [
          measurementName(stream),
          aggregateMeasurement(stream, 'hour'),
          aggregateMeasurement(stream, 'day'),
        ])
        for (const name of [...measurements, CATALOG, DIRTY]) await dropMeasurement(server, name)
        knowing = undefined
      }),
  }
}

const rejectsOf = (
  { refusals, refusedFrames }: { refusals: readonly Refusal[]; refusedFrames: readonly Frame[] },
  seriesMax: number,
): InfluxReject[] => {
  const rejects = refusals.slice(0, rejectsPerWriteMax).map(({ line, words }) => ({
    reason: `InfluxDB refuses a row: ${words}`,
    text: line.slice(0, textCharsMax),
  }))
  const more = refusals.length - rejects.length
  if (more > 0) rejects.push({ reason: `InfluxDB refuses ${more} more rows of one write`, text: '' })
  const series = new Map<string, { text: string; rows: number }>()
  for (const { site, device, stream, offsetsNs } of refusedFrames) {
    const text = JSON.stringify({ site, device, stream })
    series.set(text, { text, rows: (series.get(text)?.rows ?? 0) + offsetsNs.length })
  }
  for (const { text } of [...series.values()].slice(0, rejectsPerWriteMax)) {
    const sentence = `rows of a series too many: InfluxDB is to hold ${seriesMax} at most. Look for a name that changes all the time, or raise seriesMax; the rows are in the journal`
    rejects.push({ reason: sentence, text: text.slice(0, textCharsMax) })
  }
  return rejects
}

const load = async (
  server: Server,
  { seriesMax, journal, log }: { seriesMax: number; journal: InfluxOptions['journal']; log: InfluxOptions['log'] },
): Promise<Known> => {
  await ensureStore(server)
  const { epoch = '', last = Number.POSITIVE_INFINITY } = journal ?? {}
  let state = await readState(server)
  if (state && (state.journal !== epoch || Math.max(state.rows, state.aggregates) > last)) {
    const reason = state.journal === epoch ? 'is ahead of the journal' : 'was filled from another journal'
    log.warn({ database: server.database, reason }, 'all of the journal is written to InfluxDB again')
    state = { ...emptyState(epoch), generation: state.generation + 1 }
    await writeState(server, state)
  }
  if (!state) {
    state = emptyState(epoch)
    await writeState(server, state)
  }
  const catalog = await loadCatalog(server, { seriesMax })
  for (const stream of streamNames(catalog)) {
    for (const what of ['first', 'last'] as const) {
      for (const { site, device, ns } of await extremesOf(server, stream, what)) {
        const series = catalog.find({ site: originalName(site), device: originalName(device), stream })
        if (!series) continue
        series.empty = false
        if (what === 'first') series.firstNs = ns
        else series.lastNs = ns
      }
    }
  }
  log.info({ database: server.database, series: [...catalog.all()].length, cursor: state.rows }, 'InfluxDB answers')
  return { catalog, state }
}

const streamNames = (catalog: Catalog): Set<string> => new Set([...catalog.all()].map(series => series.stream))

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

const streamInfos = async (server: Server, catalog: Catalog): Promise<StreamInfo[]> => {
  const uncounted = [...catalog.all()].filter(series => series.rows === undefined)
  for (const stream of new Set(uncounted.map(series => series.stream))) {
    const found = new Map(
      (await countsOf(server, stream)).map(({ site, device, rows }) => [
        JSON.stringify([originalName(site), originalName(device)]),
        rows,
      ]),
    )
    for (const series of uncounted) {
      if (series.stream === stream) series.rows = found.get(JSON.stringify([series.site, series.device])) ?? 0
    }
  }
  return [...catalog.all()]
    .filter(series => (series.rows ?? 0) > 0)
    .map(infoOf)
    .sort((a, b) => byBytes(a.site, b.site) || byBytes(a.device, b.device) || byBytes(a.stream, b.stream))
}

const infoOf = ({ site, device, stream, columns, rows = 0, firstNs, lastNs }: Series): StreamInfo => ({
  site,
  device,
  stream,
  columns: columns.map(({ label, type, unit }) => ({ name: label, type, ...(unit !== undefined && { unit }) })),
  rows,
  firstNs,
  lastNs,
})
