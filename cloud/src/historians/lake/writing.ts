/**
 * Rows into the lake, with the cursor in the same transaction. No index: rows that come after everything stored of their
 * series are a plain append; others go to a staging table, replace what has their key, and are then appended.
 */

import type { DuckDBConnection } from '@duckdb/node-api'
import { type Frame, formatNs } from '@penstock/frame'
import { HISTORIAN_NS_MAX, HISTORIAN_NS_MIN } from '../../historian.ts'
import { axisName, type Catalog, columnName, type Series, type Table, tableName } from './catalog.ts'
import { createChunkWriter } from './chunks.ts'
import type { Database } from './database.ts'

/** What a write does to one series. */
interface Change {
  series: Series
  frames: Frame[]
  rows: number
  firstNs: bigint
  lastNs: bigint
  /** Rows come strictly in order of time and after all that is stored. */
  append: boolean
}

export const createWriting = (database: Database, catalog: Catalog) => {
  const writeNow = async (given: readonly Frame[], cursor?: number): Promise<void> => {
    const frames = given.filter(frame => frame.offsetsNs.length > 0)
    const spans = frames.map(spanOf)
    await catalog.prepare(frames)
    const changes = changesOf(catalog, frames, spans)
    await database.transaction(async writer => {
      for (const [table, tableChanges] of byTable(changes)) {
        const appends = tableChanges.filter(change => change.append)
        const others = tableChanges.filter(change => !change.append)
        if (appends.length > 0) await append(writer, catalog, tableName(table), table, appends)
        if (others.length > 0) await replace(writer, catalog, table, others)
      }
      if (cursor !== undefined) await writer.run("update cursors set seq = $1 where name = 'rows'", [BigInt(cursor)])
    })
    for (const { series, rows, firstNs, lastNs } of changes) {
      if (series.rows === 0 || firstNs < series.firstNs) series.firstNs = firstNs
      if (series.rows === 0 || lastNs > series.lastNs) series.lastNs = lastNs
      series.rows += rows
    }
  }
  // One write after the other: what is known of a series must hold until its rows are in.
  let last: Promise<unknown> = Promise.resolve()
  return {
    write(frames: readonly Frame[], cursor?: number): Promise<void> {
      const mine = last.then(() => writeNow(frames, cursor))
      last = mine.catch(() => {})
      return mine
    },
  }
}

interface Span {
  firstNs: bigint
  lastNs: bigint
  /** Strictly increasing. */
  ordered: boolean
}

/** @throws RangeError for times that 64 bit ns cannot hold */
const spanOf = (frame: Frame): Span => {
  const offsets = frame.offsetsNs
  let min = offsets[0] as number
  let max = min
  let ordered = true
  for (let i = 1; i < offsets.length; i++) {
    const offset = offsets[i] as number
    if (offset <= max) {
      ordered = false
      if (offset < min) min = offset
    } else max = offset
  }
  const firstNs = frame.startNs + BigInt(min)
  const lastNs = frame.startNs + BigInt(max)
  if (firstNs < HISTORIAN_NS_MIN || lastNs > HISTORIAN_NS_MAX) {
    throw new RangeError(
      `the times of ${frame.site}/${frame.device}/${frame.stream} are not within ${formatNs(HISTORIAN_NS_MIN)} … ${formatNs(HISTORIAN_NS_MAX)}`,
    )
  }
  return { firstNs, lastNs, ordered }
}

const changesOf = (catalog: Catalog, frames: readonly Frame[], spans: readonly Span[]): Change[] => {
  const changes = new Map<Series, Change>()
  frames.forEach((frame, i) => {
    const series = catalog.find(frame)
    const span = spans[i]
    if (!series || !span) throw new Error('INTERNAL: a frame was not prepared')
    const change = changes.get(series)
    const rows = frame.offsetsNs.length
    if (!change) {
      const append = span.ordered && (series.rows === 0 || span.firstNs > series.lastNs)
      changes.set(series, { series, frames: [frame], rows, firstNs: span.firstNs, lastNs: span.lastNs, append })
      return
    }
    change.append &&= span.ordered && span.firstNs > change.lastNs
    change.frames.push(frame)
    change.rows += rows
    if (span.firstNs < change.firstNs) change.firstNs = span.firstNs
    if (span.lastNs > change.lastNs) change.lastNs = span.lastNs
  })
  return [...changes.values()]
}

const byTable = (changes: readonly Change[]): Map<Table, Change[]> => {
  const tables = new Map<Table, Change[]>()
  for (const change of changes) {
    const had = tables.get(change.series.table)
    if (had) had.push(change)
    else tables.set(change.series.table, [change])
  }
  return tables
}

const append = async (writer: DuckDBConnection, catalog: Catalog, into: string, table: Table, changes: Change[]) => {
  const appender = await writer.createAppender(into)
  const chunks = createChunkWriter(appender, table, catalog)
  for (const { series, frames } of changes) for (const frame of frames) chunks.push(series, frame)
  chunks.finish()
  appender.closeSync()
}

/** Last wins, within the write and against what is stored. Sets each change's `rows` to the rows that it adds. */
const replace = async (writer: DuckDBConnection, catalog: Catalog, table: Table, changes: Change[]): Promise<void> => {
  const into = tableName(table)
  await writer.run(`create or replace temp table staging as select * from ${into} limit 0`)
  await append(writer, catalog, 'staging', table, changes)
  await writer.run(`delete from staging where rowid not in (select max(rowid) from staging group by series, t)`)
  const staged = await counts(writer, 'select series, count(*) from staging group by series')
  const overlaps = changes.filter(({ series, firstNs }) => series.rows > 0 && firstNs <= series.lastNs)
  let stored = new Map<number, number>()
  if (overlaps.length > 0) {
    const [first, last] = spanOfAll(overlaps)
    const range = `${into}.t between cast('${first}' as bigint) and cast('${last}' as bigint)`
    const same = `${into}.series = s.series and ${into}.t = s.t and ${range}`
    stored = await counts(writer, `select s.series, count(*) from ${into} join staging s on ${same} group by s.series`)
    if (stored.size > 0) await writer.run(`delete from ${into} using staging s where ${same}`)
  }
  const names = [
    'series',
    't',
    ...table.columns.flatMap(c => (c.kind === 'vector' ? [columnName(c), axisName(c)] : [columnName(c)])),
  ]
  await writer.run(`insert into ${into} (${names.join(', ')}) select ${names.join(', ')} from staging order by t`)
  await writer.run('drop table staging')
  for (const change of changes) {
    change.rows = (staged.get(change.series.id) ?? 0) - (stored.get(change.series.id) ?? 0)
  }
}

const spanOfAll = (changes: readonly Change[]): [bigint, bigint] => {
  let [first, last] = [HISTORIAN_NS_MAX, HISTORIAN_NS_MIN]
  for (const { firstNs, lastNs } of changes) {
    if (firstNs < first) first = firstNs
    if (lastNs > last) last = lastNs
  }
  return [first, last]
}

const counts = async (writer: DuckDBConnection, sql: string): Promise<Map<number, number>> => {
  const found = new Map<number, number>()
  for (const [series, n] of (await writer.runAndReadAll(sql)).getRows()) found.set(Number(series), Number(n))
  return found
}
