/**
 * The historian in one DuckDB file, in process. It may be deleted at any time: the journal fills it again.
 *
 *     frames ─► catalog (names to tables and columns) ─► chunks ─► r1, r2, …   one table a stream, no index
 *                                                          └─────► cursors     in the same transaction
 *
 * - A row is 8 bytes of time, 4 of series and its columns, compressed by DuckDB; memory does not grow with rows.
 * - Rows in order of time are appended; rows that come late or again replace, by a scan of the range of time they touch.
 * - One process at a time may have the file open.
 */
import type { Historian, StreamInfo } from '../historian.ts'
import { aggregatesSql, createAggregates } from './lake/aggregates.ts'
import { createBuckets } from './lake/buckets.ts'
import { loadCatalog, schemaSql } from './lake/catalog.ts'
import { type Database, type DatabaseOptions, LakeDamagedError, openDatabase } from './lake/database.ts'
import { createReading } from './lake/reading.ts'
import { createWriting } from './lake/writing.ts'

export { LakeDamagedError } from './lake/database.ts'

export interface LakeOptions extends DatabaseOptions {
  /** Identity of the journal that this lake is made from (its epoch): cursors of another journal mean nothing. */
  journal?: string
  log: { info(o: object, m: string): void }
}

/** Changes when tables change so that an older file cannot be read: it is then built again from the journal. */
const layout = '2'

/**
 * Opens or makes the lake.
 * @throws LakeDamagedError where the file is damaged, of another layout or another journal's: set it aside and open again
 * @throws UserError where another process has it open (exit code 5), or the place cannot be read or written
 */
export const openLake = async (options: LakeOptions): Promise<Historian> => {
  const { file, journal = '', log } = options
  const database = await openDatabase(options)
  try {
    await stamp(database, file, journal)
    const catalog = await loadCatalog(database)
    const aggregates = await createAggregates(database)
    const writing = createWriting(database, catalog)
    const reading = createReading(database, catalog)
    const buckets = createBuckets(database, catalog)
    const cursor = async (name: 'rows' | 'aggregates'): Promise<number> =>
      Number((await database.rows('select seq from cursors where name = $1', [name]))[0]?.[0] ?? 0)
    const streams = [...catalog.all()].length
    log.info({ file, streams, cursor: await cursor('rows') }, 'the lake is open')
    return {
      write: writing.write,
      cursor: () => cursor('rows'),
      read: reading.read,
      streams: async () => streamInfos(catalog.all()),
      buckets,
      writeAggregates: aggregates.write,
      aggregatesCursor: () => cursor('aggregates'),
      readAggregates: aggregates.read,
      dirtyHours: aggregates.dirtyHours,
      clearAggregates: aggregates.clear,
      aggregatesStamp: aggregates.stamp,
      close: database.close,
    }
  } catch (error) {
    await database.close().catch(() => {})
    if (error instanceof LakeDamagedError) throw error
    throw new LakeDamagedError(file, `cannot be read (${error instanceof Error ? error.message : String(error)})`, {
      cause: error,
    })
  }
}

/** A new file gets its tables and its stamp in one transaction; an older one must bear the same stamp. */
const stamp = async (database: Database, file: string, journal: string): Promise<void> => {
  const [[tables] = []] = await database.rows("select count(*) from duckdb_tables() where table_name = 'meta'")
  if (Number(tables) === 0) {
    await database.transaction(async writer => {
      for (const sql of [...schemaSql, ...aggregatesSql]) await writer.run(sql)
      await writer.run("insert into meta values ('layout', $1), ('journal', $2)", [layout, journal])
    })
    return
  }
  const meta = new Map((await database.rows('select key, value from meta')).map(([k, v]) => [String(k), String(v)]))
  const had = meta.get('layout') ?? 'none'
  if (had !== layout) throw new LakeDamagedError(file, `has layout ${had}, and this program writes layout ${layout}`)
  if (meta.get('journal') !== journal) {
    throw new LakeDamagedError(file, `was made from the journal "${meta.get('journal')}", and this is "${journal}"`)
  }
}

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

const streamInfos = (all: Iterable<Parameters<typeof streamInfo>[0]>): StreamInfo[] =>
  [...all]
    .filter(series => series.rows > 0)
    .map(streamInfo)
    .sort((a, b) => byBytes(a.site, b.site) || byBytes(a.device, b.device) || byBytes(a.stream, b.stream))

const streamInfo = (series: {
  site: string
  device: string
  stream: string
  columns: { label: string; type: StreamInfo['columns'][number]['type']; unit: string | undefined }[]
  rows: number
  firstNs: bigint
  lastNs: bigint
}): StreamInfo => ({
  site: series.site,
  device: series.device,
  stream: series.stream,
  columns: series.columns.map(({ label, type, unit }) => ({ name: label, type, ...(unit !== undefined && { unit }) })),
  rows: series.rows,
  firstNs: series.firstNs,
  lastNs: series.lastNs,
})
