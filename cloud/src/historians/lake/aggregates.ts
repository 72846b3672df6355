/** Rollup rows in the lake: what identifies a line of them (level … column) has an id in `lines`; hours and days lie in a table each. */
import {
  BIGINT,
  DOUBLE,
  type DuckDBConnection,
  DuckDBDataChunk,
  type DuckDBValue,
  INTEGER,
  UINTEGER,
  VARCHAR,
} from '@duckdb/node-api'
import type { Aggregate, AggregateQuery, DirtyHour, Historian, Level, Resolution } from '../../historian.ts'
import type { Database } from './database.ts'

const columnsSql = `line uinteger, start bigint, stop bigint, date varchar, hour integer, weekday integer, n bigint, sum double,
  min double, max double, mean double, first double, last double, failed bigint, closed bigint, rows bigint, expected double,
  had double, revision bigint, computed bigint`
const columnTypes = [
  UINTEGER, BIGINT, BIGINT, VARCHAR, INTEGER, INTEGER, BIGINT, DOUBLE, DOUBLE, DOUBLE, DOUBLE, DOUBLE, DOUBLE, BIGINT, BIGINT, BIGINT,
  DOUBLE, DOUBLE, BIGINT, BIGINT,
] // biome-ignore format: one type per column above
export const aggregatesSql = [
  'create table dirty (site varchar, device varchar, stream varchar, start bigint)',
  `create table hours (${columnsSql})`,
  `create table days (${columnsSql})`,
  'create table lines (id uinteger, level varchar, resolution varchar, site varchar, device varchar, stream varchar, col varchar)',
]
const tableOf: Record<Resolution, string> = { hour: 'hours', day: 'days' }
const pageRowsMax = 20_000
const chunkRowsMax = 2048

type Marks = NonNullable<Parameters<Historian['writeAggregates']>[2]>

/** What an id in `line` stands for. */
type Line = Pick<Aggregate, 'level' | 'resolution' | 'site' | 'device' | 'stream' | 'column'> & { id: number }
const lineKey = (a: Omit<Line, 'id'>): string =>
  JSON.stringify([a.level, a.resolution, a.site, a.device, a.stream, a.column])

export const createAggregates = async (database: Database) => {
  const lines = new Map<string, Line>()
  const linesById = new Map<number, Line>()
  let lastLine = 0
  const know = (line: Line): void => {
    lines.set(lineKey(line), line)
    linesById.set(line.id, line)
    lastLine = Math.max(lastLine, line.id)
  }
  const load = async () => {
    lines.clear()
    linesById.clear()
    for (const [id, level, resolution, ...names] of await database.rows('select * from lines')) {
      const [site = '', device = '', stream = '', column = ''] = names.map(String)
      know({
        id: Number(id),
        level: level as Level,
        resolution: resolution as Resolution,
        site,
        device,
        stream,
        column,
      })
    }
  }
  await load()

  const lineOf = async (writer: DuckDBConnection, row: Aggregate): Promise<number> => {
    const known = lines.get(lineKey(row))
    if (known) return known.id
    const { level, resolution, site, device, stream, column } = row
    const id = lastLine + 1
    const values = [id, level, resolution, site, device, stream, column]
    await writer.run('insert into lines values ($1, $2, $3, $4, $5, $6, $7)', values)
    know({ id, level, resolution, site, device, stream, column })
    return id
  }

  /** Rows of one resolution; of two rows with one key the later wins. */
  const replace = async (writer: DuckDBConnection, resolution: Resolution, rows: readonly Aggregate[]) => {
    const keyed = new Map<string, DuckDBValue[]>()
    for (const row of rows) {
      const line = await lineOf(writer, row)
      keyed.set(`${line} ${row.startNs}`, valuesOf(line, row))
    }
    if (keyed.size === 0) return
    const table = tableOf[resolution]
    await writer.run(`create or replace temp table staged as select * from ${table} limit 0`)
    const appender = await writer.createAppender('staged')
    const all = [...keyed.values()]
    for (let i = 0; i < all.length; i += chunkRowsMax) {
      const part = all.slice(i, i + chunkRowsMax)
      const chunk = DuckDBDataChunk.create(columnTypes, part.length)
      chunk.setRows(part)
      appender.appendDataChunk(chunk)
    }
    appender.closeSync()
    const [[first, last] = []] = (await writer.runAndReadAll('select min(start), max(start) from staged')).getRows()
    await writer.run(
      `delete from ${table} using staged s where ${table}.line = s.line and ${table}.start = s.start
       and ${table}.start between cast('${first}' as bigint) and cast('${last}' as bigint)`,
    )
    await writer.run(`insert into ${table} select * from staged where rows > 0 order by start, line`)
    await writer.run('drop table staged')
  }

  const mark = async (writer: DuckDBConnection, { add = [], remove = [] }: Marks): Promise<void> => {
    const values = (hour: DirtyHour) => [hour.site, hour.device, hour.stream, hour.startNs]
    const same = 'site = $1 and device = $2 and stream = $3 and start = $4::bigint'
    for (const hour of [...remove, ...add]) await writer.run(`delete from dirty where ${same}`, values(hour))
    for (const hour of add) await writer.run('insert into dirty values ($1, $2, $3, $4)', values(hour))
  }
  const dirtyHours = async (): Promise<DirtyHour[]> =>
    (await database.rows('select distinct site, device, stream, start from dirty')).map(
      ([site, device, stream, start]) => ({
        site: String(site),
        device: String(device),
        stream: String(stream),
        startNs: start as bigint,
      }),
    )

  const write = async (rows: readonly Aggregate[], cursor?: number, marks: Marks = {}): Promise<void> => {
    try {
      await database.transaction(async writer => {
        for (const resolution of ['hour', 'day'] as const) {
          await replace(
            writer,
            resolution,
            rows.filter(row => row.resolution === resolution),
          )
        }
        await mark(writer, marks)
        if (cursor !== undefined) {
          await writer.run("update cursors set seq = $1 where name = 'aggregates'", [BigInt(cursor)])
        }
      })
    } catch (error) {
      await load()
      throw error
    }
  }

  const isAsked = (query: AggregateQuery, line: Line): boolean =>
    (query.level === undefined || line.level === query.level) &&
    line.resolution === query.resolution &&
    line.stream === query.stream &&
    (query.column === undefined || line.column === query.column) &&
    (query.site === undefined || line.site === query.site) &&
    (query.sites?.includes(line.site) ?? true) &&
    (query.device === undefined || line.device === query.device)

  const read = async function* (query: AggregateQuery): AsyncGenerator<Aggregate> {
    const asked = [...lines.values()].filter(line => isAsked(query, line)).sort(inOrder)
    if (asked.length === 0) return
    const rank = new Map(asked.map((line, i) => [line.id, i]))
    const until = query.toNs === undefined ? '' : `and start < ${literal(query.toNs)}`
    let from = query.fromNs === undefined ? '' : `and start >= ${literal(query.fromNs)}`
    for (let page = pageRowsMax; ; ) {
      const rows = await database.rows(
        `select * from ${tableOf[query.resolution]} where line in (${asked.map(line => line.id).join(', ')}) ${from} ${until}
         order by start limit ${page}`,
      )
      // The last start of a full page may go on in the next: it is read again from its beginning.
      const lastStart = rows.length === page ? (rows.at(-1)?.[1] as bigint) : undefined
      const whole = lastStart === undefined ? rows : rows.filter(row => row[1] !== lastStart)
      const rankOf = (row: DuckDBValue[]) => rank.get(row[0] as number) ?? 0
      whole.sort((a, b) => compare(a[1] as bigint, b[1] as bigint) || rankOf(a) - rankOf(b))
      for (const row of whole) yield toAggregate(row, linesById.get(row[0] as number) as Line)
      if (lastStart === undefined) return
      if (whole.length === 0) page *= 2
      from = `and start >= ${literal(lastStart)}`
    }
  }

  const clear = async (stamp = ''): Promise<void> => {
    await database.transaction(async writer => {
      for (const table of ['hours', 'days', 'lines', 'dirty']) await writer.run(`delete from ${table}`)
      await writer.run("update cursors set seq = 0 where name = 'aggregates'")
      await writer.run("delete from meta where key = 'aggregates'")
      await writer.run("insert into meta values ('aggregates', $1)", [stamp])
    })
    lines.clear()
    linesById.clear()
  }
  const stamp = async (): Promise<string> =>
    String((await database.rows("select value from meta where key = 'aggregates'"))[0]?.[0] ?? '')

  return { write, read, clear, stamp, dirtyHours }
}

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
const inOrder = (a: Line, b: Line): number =>
  byBytes(a.site, b.site) || byBytes(a.level, b.level) || byBytes(a.device, b.device) || byBytes(a.column, b.column)
const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0)

const int64Max = 2n ** 63n - 1n
const literal = (ns: bigint): string =>
  `cast('${ns > int64Max ? int64Max : ns < -int64Max ? -int64Max : ns}' as bigint)`

const valuesOf = (line: number, a: Aggregate): DuckDBValue[] => [
  line, a.startNs, a.endNs, a.date, a.hour, a.weekday, BigInt(a.n), a.sum, a.min, a.max, a.mean, a.first, a.last, BigInt(a.failed),
  BigInt(a.closed), BigInt(a.rows), a.expected, a.had, BigInt(a.revision), BigInt(a.computedAtMs),
] // biome-ignore format: in the order of the table

const toAggregate = (row: DuckDBValue[], { level, resolution, site, device, stream, column }: Line): Aggregate => {
  const number = (i: number): number => Number(row[i])
  const maybe = (i: number): number | null => (row[i] === null ? null : Number(row[i]))
  return {
    level,
    resolution,
    site,
    device,
    stream,
    column,
    startNs: row[1] as bigint,
    endNs: row[2] as bigint,
    date: String(row[3]),
    hour: maybe(4),
    weekday: number(5),
    n: number(6),
    sum: maybe(7),
    min: maybe(8),
    max: maybe(9),
    mean: maybe(10),
    first: maybe(11),
    last: maybe(12),
    failed: number(13),
    closed: number(14),
    rows: number(15),
    expected: maybe(16),
    had: maybe(17),
    revision: number(18),
    computedAtMs: number(19),
  }
}
