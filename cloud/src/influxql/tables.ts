/** What the historian holds, as measurements with tags and fields: the readings of each stream, and their aggregates. */
import { type Frame, parseIsoNs, rowNs } from '@penstock/frame'
import { type CountRow, counts } from '../counts.ts'
import {
  HISTORIAN_NS_MAX,
  HISTORIAN_NS_MIN,
  type Historian,
  type Level,
  type Resolution,
  type StreamInfo,
  type TimeRange,
} from '../historian.ts'
import { AGGREGATE_TAGS, aggregateMeasurement, READING_TAGS } from '../influx-names.ts'
import type { Sites } from '../sites.ts'

export type Value = number | string | boolean | null
export type FieldType = 'float' | 'integer' | 'string' | 'boolean'
export interface InfluxSeries {
  tags: Readonly<Record<string, string>>
  fields: ReadonlyMap<string, FieldType>
  source: RowSource
}
/** Rows of one series in order of time, or against it. */
export interface RowBlock {
  series: InfluxSeries
  length: number
  timeNs(i: number): bigint
  value(field: string, i: number): Value
}
export interface RowSource {
  /** Rows of the series that are wanted, series by series or mixed; each series in order of time, or the newest first. */
  rows(
    wanted: readonly InfluxSeries[],
    query: TimeRange & { fields: readonly string[]; descending: boolean },
  ): AsyncIterable<RowBlock>
}
export interface Measurement {
  name: string
  tagKeys: readonly string[]
  series: InfluxSeries[]
}

export interface TablesOptions {
  historian: Pick<Historian, 'read' | 'streams' | 'readAggregates'>
  sites: Sites
  now(): Date
  lateHoursMax: number
}

/** All measurements, by name. */
export const measurementsOf = async (options: TablesOptions): Promise<Map<string, Measurement>> => {
  const streams = await options.historian.streams()
  const found = new Map<string, Measurement>()
  const add = (name: string, tagKeys: readonly string[], series: InfluxSeries) => {
    const had = found.get(name)
    if (had) had.series.push(series)
    else found.set(name, { name, tagKeys, series: [series] })
  }
  // A stream that is called as an aggregate is hides that one: its rows are what was measured.
  const names = new Set(streams.map(info => info.stream))
  for (const info of streams) add(info.stream, READING_TAGS, readingSeries(info, options.historian))
  for (const stream of names) {
    const ofStream = streams.filter(info => info.stream === stream)
    for (const resolution of ['hour', 'day'] as const) {
      const name = aggregateMeasurement(stream, resolution)
      if (names.has(name)) continue
      for (const series of aggregateSeries(ofStream, stream, resolution, options)) add(name, AGGREGATE_TAGS, series)
    }
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)))
}

const fieldTypes = { float: 'float', int: 'integer', bool: 'boolean', text: 'string' } as const

const readingSeries = (info: StreamInfo, historian: TablesOptions['historian']): InfluxSeries => {
  const { site, device, stream } = info
  const fields = new Map<string, FieldType>()
  for (const { name, type } of info.columns) if (type !== 'vector') fields.set(name, fieldTypes[type])
  const series: InfluxSeries = {
    tags: { device, site },
    fields,
    source: {
      async *rows(_wanted, { fromNs, toNs, fields: columns, descending }) {
        const range = { fromNs: atLeast(fromNs, info.firstNs), toNs: atMost(toNs, info.lastNs + 1n) }
        if (range.fromNs >= range.toNs || columns.length === 0) return
        for await (const frame of historian.read({ site, device, stream, ...range, columns, descending })) {
          yield frameBlock(series, frame)
        }
      },
    },
  }
  return series
}
const atLeast = (a: bigint, b: bigint) => (a > b ? a : b)
const atMost = (a: bigint, b: bigint) => (a < b ? a : b)

const frameBlock = (series: InfluxSeries, frame: Frame): RowBlock => {
  const columns = new Map(frame.columns.map(column => [column.name, column]))
  return {
    series,
    length: frame.offsetsNs.length,
    timeNs: i => rowNs(frame, i),
    value(field, i) {
      const v = columns.get(field)?.values[i] ?? null
      return v instanceof Float64Array || Number.isNaN(v) ? null : (v as Value)
    },
  }
}

/** The fields of an aggregate's point. */
const aggregateFields = {
  ...{ count: 'float', baseline: 'float', changePercent: 'float', mean: 'float', min: 'float', max: 'float' },
  ...{
    sum: 'float',
    first: 'float',
    last: 'float',
    coverage: 'float',
    n: 'integer',
    failed: 'integer',
    closed: 'integer',
  },
  ...{ rows: 'integer', expected: 'integer', had: 'integer', revision: 'integer', hour: 'integer', weekday: 'integer' },
  ...{ status: 'string', date: 'string' },
} as const satisfies { [K in keyof CountRow | 'sum']?: FieldType }
const fieldsOfAggregates: ReadonlyMap<string, FieldType> = new Map(Object.entries(aggregateFields))

const aggregateSeries = (
  streams: readonly StreamInfo[],
  stream: string,
  resolution: Resolution,
  options: TablesOptions,
): InfluxSeries[] => {
  const all = new Map<string, InfluxSeries>()
  const sources = new Map<string, RowSource>()
  for (const { site, device, columns } of streams) {
    for (const { name: column, type } of columns) {
      if (type !== 'int' && type !== 'float') continue
      for (const level of ['site', 'sensor'] as const) {
        const sourceKey = JSON.stringify([level, site, column])
        const source = sources.get(sourceKey) ?? countSource({ level, resolution, site, stream, column }, options)
        sources.set(sourceKey, source)
        const tags =
          level === 'sensor' ? { column, level, sensor: device, store: site } : { column, level: 'store', store: site }
        const key = JSON.stringify(tags)
        if (!all.has(key)) all.set(key, { tags, fields: fieldsOfAggregates, source })
      }
    }
  }
  return [...all.values()]
}

interface CountKey {
  level: Level
  resolution: Resolution
  site: string
  stream: string
  column: string
}
/** All doors of a store are read at once, as are their baselines. */
const countSource = (
  { level, resolution, site, stream, column }: CountKey,
  { historian, sites, now, lateHoursMax }: TablesOptions,
): RowSource => ({
  async *rows(wanted, { fromNs, toNs, descending }) {
    const bySensor = new Map(wanted.map(series => [series.tags.sensor ?? null, series]))
    const rows: CountRow[] = []
    const from = fromNs > HISTORIAN_NS_MIN && { from: fromNs }
    const to = toNs <= HISTORIAN_NS_MAX && { to: toNs }
    const query = { resolution, stream, column, store: [site], ...from, ...to, now: now(), lateHoursMax }
    const sensor = [...bySensor.keys()].filter(key => key !== null)
    const found =
      level === 'site'
        ? counts(historian, sites, { ...query, level: 'store' })
        : counts(historian, sites, { ...query, level: 'sensor', sensor })
    for await (const row of found) {
      if (descending) rows.push(row)
      else yield* countBlock(row, bySensor)
    }
    for (const row of rows.reverse()) yield* countBlock(row, bySensor)
  },
})

function* countBlock(row: CountRow, bySensor: ReadonlyMap<string | null, InfluxSeries>): Generator<RowBlock> {
  const series = bySensor.get(row.sensor)
  if (!series) return
  const timeNs = parseIsoNs(row.start) ?? 0n
  yield {
    series,
    length: 1,
    timeNs: () => timeNs,
    value: field => (field === 'sum' ? (row.n > 0 ? row.count : null) : (row[field as keyof CountRow] ?? null)),
  }
}
