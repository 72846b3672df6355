/**
 * What the lake holds, and where. A stream's rows lie in one table `r<id>` (series, t, physical columns); a physical column
 * is one (name, kind) of the stream, where int and float are one kind and lie as DOUBLE. A number's hole is NaN; NULL says
 * that the row came without the column. All of the catalog is also held in memory; names are only ever bound as values.
 *
 *     streams ─┬─ r1(series, t, c1, c2, …)          series ── series_columns(label, type, unit) ── columns
 */
import { createHash } from 'node:crypto'
import { type DuckDBConnection, DuckDBListValue } from '@duckdb/node-api'
import type { Column, Frame } from '@penstock/frame'
import type { SeriesKey } from '../../historian.ts'
import type { Database } from './database.ts'

export type Kind = 'number' | 'bool' | 'text' | 'vector'
export const kindOf = (type: Column['type']): Kind => (type === 'int' || type === 'float' ? 'number' : type)

export interface PhysicalColumn {
  id: number
  name: string
  kind: Kind
}
export interface Table {
  id: number
  stream: string
  /** In the order in which the table has them. */
  columns: PhysicalColumn[]
}
export interface SeriesColumn {
  physical: PhysicalColumn
  /** The name under which it is read. */
  label: string
  type: Column['type']
  unit: string | undefined
}
export interface Series extends SeriesKey {
  id: number
  table: Table
  columns: SeriesColumn[]
  rows: number
  firstNs: bigint
  lastNs: bigint
}

export const schemaSql = [
  'create table meta (key varchar, value varchar)',
  'create table cursors (name varchar, seq bigint)',
  "insert into cursors values ('rows', 0), ('aggregates', 0)",
  'create table streams (id uinteger, name varchar)',
  'create table columns (id uinteger, stream uinteger, name varchar, kind varchar)',
  'create table series (id uinteger, stream uinteger, site varchar, device varchar)',
  'create table series_columns (series uinteger, col uinteger, label varchar, type varchar, unit varchar)',
  'create table axes (id uinteger, hash varchar, axis double[])',
]
const sqlTypes: Record<Kind, string> = { number: 'double', bool: 'boolean', text: 'varchar', vector: 'double[]' }

export const tableName = (table: Table): string => `r${table.id}`
export const columnName = (column: PhysicalColumn): string => `c${column.id}`
/** Beside a vector column: the id of the axis of each row's curve; NULL where it has none. */
export const axisName = (column: PhysicalColumn): string => `a${column.id}`

const keyOf = (key: SeriesKey): string => JSON.stringify([key.site, key.device, key.stream])

export interface Catalog {
  find(key: SeriesKey): Series | undefined
  all(): Iterable<Series>
  /**
   * Makes tables, columns and series that the frames need and the lake has not, in a transaction of its own: whatever then
   * fails, an empty series or column changes nothing that can be read.
   */
  prepare(frames: readonly Frame[]): Promise<void>
  /** Known after `prepare`. */
  axisId(axis: Float64Array): number
  axis(id: number): Float64Array
}

export const loadCatalog = async (database: Database): Promise<Catalog> => {
  const tables = new Map<string, Table>()
  const series = new Map<string, Series>()
  const axes = new Map<number, Float64Array>()
  const axisIds = new Map<string, number>()
  let lastId = 0

  const load = async (): Promise<void> => {
    for (const map of [tables, series, axes, axisIds]) map.clear()
    const byId = new Map<number, Table>()
    const seriesById = new Map<number, Series>()
    const physicalById = new Map<number, PhysicalColumn>()
    const id = (value: unknown): number => {
      lastId = Math.max(lastId, Number(value))
      return Number(value)
    }
    for (const [tableId, name] of await database.rows('select id, name from streams')) {
      const table: Table = { id: id(tableId), stream: String(name), columns: [] }
      tables.set(table.stream, table)
      byId.set(table.id, table)
    }
    for (const [columnId, stream, name, kind] of await database.rows('select * from columns order by id')) {
      const physical: PhysicalColumn = { id: id(columnId), name: String(name), kind: kind as Kind }
      physicalById.set(physical.id, physical)
      byId.get(Number(stream))?.columns.push(physical)
    }
    for (const [seriesId, stream, site, device] of await database.rows('select * from series')) {
      const table = byId.get(Number(stream))
      if (!table) throw new Error(`corrupt catalog: series ${String(seriesId)} without its stream`)
      const key = { site: String(site), device: String(device), stream: table.stream }
      const found: Series = { ...key, id: id(seriesId), table, columns: [], rows: 0, firstNs: 0n, lastNs: 0n }
      series.set(keyOf(key), found)
      seriesById.set(found.id, found)
    }
    const bySeries = 'select series, col, label, type, unit from series_columns order by rowid'
    for (const [seriesId, column, label, type, unit] of await database.rows(bySeries)) {
      const physical = physicalById.get(Number(column))
      if (!physical) throw new Error(`corrupt catalog: column ${String(column)} is missing`)
      const fact = {
        physical,
        label: String(label),
        type: type as Column['type'],
        unit: unit === null ? undefined : String(unit),
      }
      seriesById.get(Number(seriesId))?.columns.push(fact)
    }
    for (const [axisId, hash, axis] of await database.rows('select id, hash, axis from axes')) {
      axes.set(id(axisId), Float64Array.from((axis as DuckDBListValue).items as number[]))
      axisIds.set(String(hash), Number(axisId))
    }
    for (const table of tables.values()) {
      const stats = `select series, count(*), min(t), max(t) from ${tableName(table)} group by series`
      for (const [seriesId, rows, first, last] of await database.rows(stats)) {
        const found = seriesById.get(Number(seriesId))
        if (found) Object.assign(found, { rows: Number(rows), firstNs: first as bigint, lastNs: last as bigint })
      }
    }
  }
  await load()

  const makeTable = async (writer: DuckDBConnection, stream: string): Promise<Table> => {
    const table: Table = { id: ++lastId, stream, columns: [] }
    await writer.run(`create table ${tableName(table)} (series uinteger, t bigint)`)
    await writer.run('insert into streams values ($1, $2)', [table.id, stream])
    tables.set(stream, table)
    return table
  }
  const makeSeries = async (writer: DuckDBConnection, key: SeriesKey): Promise<Series> => {
    const table = tables.get(key.stream) ?? (await makeTable(writer, key.stream))
    const { site, device, stream } = key
    const made: Series = { site, device, stream, id: ++lastId, table, columns: [], rows: 0, firstNs: 0n, lastNs: 0n }
    await writer.run('insert into series values ($1, $2, $3, $4)', [made.id, table.id, site, device])
    series.set(keyOf(key), made)
    return made
  }
  const makePhysical = async (writer: DuckDBConnection, table: Table, name: string, kind: Kind) => {
    const physical: PhysicalColumn = { id: ++lastId, name, kind }
    const add = `alter table ${tableName(table)} add column`
    await writer.run(`${add} ${columnName(physical)} ${sqlTypes[kind]}`)
    if (kind === 'vector') await writer.run(`${add} ${axisName(physical)} uinteger`)
    await writer.run('insert into columns values ($1, $2, $3, $4)', [physical.id, table.id, name, kind])
    table.columns.push(physical)
    return physical
  }
  const makeColumn = async (writer: DuckDBConnection, of: Series, column: Column): Promise<void> => {
    const kind = kindOf(column.type)
    const physical =
      of.table.columns.find(c => c.name === column.name && c.kind === kind) ??
      (await makePhysical(writer, of.table, column.name, kind))
    const label = of.columns.some(c => c.label === column.name) ? `${column.name}:${kind}` : column.name
    const fact: SeriesColumn = { physical, label, type: column.type, unit: column.unit }
    const values = [of.id, physical.id, label, fact.type, fact.unit ?? null]
    await writer.run('insert into series_columns values ($1, $2, $3, $4, $5)', values)
    of.columns.push(fact)
  }
  const changeColumn = async (writer: DuckDBConnection, of: Series, fact: SeriesColumn, column: Column) => {
    if (fact.type === 'int') fact.type = column.type
    fact.unit = column.unit ?? fact.unit
    const change = 'update series_columns set type = $3, unit = $4 where series = $1 and col = $2'
    await writer.run(change, [of.id, fact.physical.id, fact.type, fact.unit ?? null])
  }
  const makeAxis = async (writer: DuckDBConnection, axis: Float64Array): Promise<void> => {
    const made = ++lastId
    const hash = hashOf(axis)
    await writer.run('insert into axes values ($1, $2, $3::double[])', [made, hash, new DuckDBListValue([...axis])])
    axes.set(made, axis.slice())
    axisIds.set(hash, made)
  }

  /** What the frame needs and the lake has not; each step is done in the transaction, in order. */
  const needs = function* (frame: Frame): Generator<(writer: DuckDBConnection) => Promise<unknown>> {
    if (!series.has(keyOf(frame))) yield writer => makeSeries(writer, frame)
    for (const column of frame.columns) {
      const of = series.get(keyOf(frame)) as Series
      const fact = of.columns.find(c => c.physical.name === column.name && c.physical.kind === kindOf(column.type))
      if (!fact) yield writer => makeColumn(writer, of, column)
      else if (
        (column.unit !== undefined && column.unit !== fact.unit) ||
        (fact.type === 'int' && column.type === 'float')
      ) {
        yield writer => changeColumn(writer, of, fact, column)
      }
      if (column.type === 'vector' && column.axis && !axisIds.has(hashOf(column.axis))) {
        const { axis } = column
        yield writer => makeAxis(writer, axis)
      }
    }
  }

  return {
    find: key => series.get(keyOf(key)),
    all: () => series.values(),
    async prepare(frames) {
      const complete = frames.every(frame => needs(frame).next().done)
      if (complete) return
      try {
        await database.transaction(async writer => {
          for (const frame of frames) for (const make of needs(frame)) await make(writer)
        })
      } catch (error) {
        await load()
        throw error
      }
    },
    axisId: axis => axisIds.get(hashOf(axis)) ?? 0,
    axis: id => axes.get(id) ?? new Float64Array(),
  }
}

const hashOf = (axis: Float64Array): string =>
  createHash('sha256')
    .update(new Uint8Array(axis.buffer, axis.byteOffset, axis.byteLength))
    .digest('base64')
