/** Runs statements and writes their answer as InfluxDB 1.x does: `{"results":[{"statement_id":0,"series":[…]}]}`. */
import { formatNs, type Zone, zoneOf } from '@penstock/frame'
import { InfluxQlError, type Show, type Statement, splitTime } from '../influxql.ts'
import { type Context, fits, type Limits, matching, type ResultSeries, runSelect, wantsSeries } from './select.ts'
import { type Measurement, measurementsOf, type TablesOptions, type Value } from './tables.ts'

export const DATABASE = 'penstock'
export const epochs = {
  ns: 1n,
  u: 1000n,
  µ: 1000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
}
export type Epoch = keyof typeof epochs

export interface RunOptions extends TablesOptions {
  limits: Limits
  /** Times as whole numbers of this unit; RFC 3339 where left out. */
  epoch?: Epoch
  signal?: AbortSignal
}

/** The answer as JSON. A statement that fails answers with `error`, and those after it are not run. */
export const runInfluxQl = async (statements: readonly Statement[], options: RunOptions): Promise<string> => {
  const measurements = await measurementsOf(options)
  const { limits, signal, epoch } = options
  const nowNs = BigInt(options.now().getTime()) * 1_000_000n
  const context: Context = { measurements, nowNs, limits, ...(signal && { signal }) }
  const results: string[] = []
  for (const [id, statement] of statements.entries()) {
    try {
      const series = await runStatement(statement, context, epoch)
      results.push(`{"statement_id":${id}${series.length > 0 ? `,"series":[${series.join(',')}]` : ''}}`)
    } catch (error) {
      if (!(error instanceof InfluxQlError)) throw error
      results.push(`{"statement_id":${id},"error":${JSON.stringify(error.message)}}`)
      break
    }
  }
  return `{"results":[${results.join(',')}]}\n`
}

const runStatement = async (statement: Statement, context: Context, epoch: Epoch | undefined): Promise<string[]> => {
  if (statement.kind !== 'select') return runShow(statement, context)
  const zone = statement.zone === undefined ? undefined : zoneOf(statement.zone)
  return (await runSelect(statement, context)).map(series => seriesText(series, epoch, zone))
}

const seriesText = (
  { name, tags, columns, rows }: ResultSeries,
  epoch: Epoch | undefined,
  zone: Zone | undefined,
): string => {
  const values = rows.map(
    row => `[${[timeText(row.timeNs, epoch, zone), ...row.values.map(v => JSON.stringify(v))].join(',')}]`,
  )
  const head = JSON.stringify({ name, ...(tags && { tags }), columns })
  return `${head.slice(0, -1)},"values":[${values.join(',')}]}`
}

/** RFC 3339 in UTC without needless digits, or with the offset of the zone. */
const timeText = (ns: bigint, epoch: Epoch | undefined, zone: Zone | undefined): string => {
  if (epoch) return String(ns / epochs[epoch])
  if (!zone) return JSON.stringify(rfc3339(ns))
  const offsetMs = zone.offsetMs(Number(ns / 1_000_000n))
  if (offsetMs === 0) return JSON.stringify(rfc3339(ns))
  const minutes = Math.abs(offsetMs) / 60_000
  const two = (n: number) => String(Math.floor(n)).padStart(2, '0')
  const sign = offsetMs < 0 ? '-' : '+'
  return JSON.stringify(
    rfc3339(ns + BigInt(offsetMs) * 1_000_000n).replace('Z', `${sign}${two(minutes / 60)}:${two(minutes % 60)}`),
  )
}
const rfc3339 = (ns: bigint): string =>
  formatNs(ns).replace(/\.(\d*?)0*Z$/, (_, digits: string) => (digits === '' ? 'Z' : `.${digits}Z`))

const runShow = (show: Show, context: Context): string[] => {
  const table = (name: string | undefined, columns: string[], rows: Value[][]): string[] => {
    const { limit, offset = 0 } = show
    const values = rows.slice(offset, limit ? offset + limit : undefined)
    return values.length === 0 ? [] : [JSON.stringify({ ...(name !== undefined && { name }), columns, values })]
  }
  if (show.kind === 'databases') return table('databases', ['name'], [[DATABASE]])
  if (show.kind === 'retention policies') {
    const columns = ['name', 'duration', 'shardGroupDuration', 'replicaN', 'default']
    return [JSON.stringify({ columns, values: [['autogen', '0s', '168h0m0s', 1, true]] })]
  }
  const { rest } = splitTime(show.where, context.nowNs, () => 0n)
  const named = show.from.length > 0 ? matching(show.from, context.measurements) : [...context.measurements.values()]
  const wanted = named
    .map(m => ({ ...m, series: m.series.filter(series => !rest || wantsSeries(rest, m, series) !== false) }))
    .filter(m => m.series.length > 0)
  if (show.kind === 'measurements')
    return table(
      'measurements',
      ['name'],
      wanted.map(m => [m.name]),
    )
  return wanted.flatMap(m => {
    if (show.kind === 'field keys') return table(m.name, ['fieldKey', 'fieldType'], fieldKeys(m))
    if (show.kind === 'tag keys')
      return table(
        m.name,
        ['tagKey'],
        m.tagKeys.map(key => [key]),
      )
    return table(m.name, ['key', 'value'], tagValues(show, m))
  })
}

const fieldKeys = ({ series }: Measurement): Value[][] => {
  const found = new Set(series.flatMap(s => [...s.fields].map(([name, type]) => JSON.stringify([name, type]))))
  return [...found].sort().map(text => JSON.parse(text) as Value[])
}

const tagValues = ({ keys }: Show, { tagKeys, series }: Measurement): Value[][] => {
  const wanted = tagKeys.filter(key => keys?.patterns.some(pattern => fits(pattern, key)) !== keys?.not)
  return wanted.flatMap(key => {
    const values = new Set(series.flatMap(s => s.tags[key] ?? []))
    return [...values].sort().map(value => [key, value])
  })
}
