/**
 * Aggregates as measurements of their own, so that Grafana reads them plainly:
 *
 *     <stream>_hourly, <stream>_daily   tags level (sensor, store), store, sensor, column   fields n, sum, min, max, mean, …
 *                                       and, for dashboards alone, count, baseline, changePercent, status, coverage
 *
 * A bucket's point stands at its start; computed again it is overwritten, all fields of it. What InfluxDB cannot overwrite is
 * a field that has become null: `nulls` names those (and `sum:+` for a sum beyond all doubles), and a row that is deleted gets
 * `rows` 0. Nothing is deleted on the server, so a dashboard that reads these measurements asks for "rows" > 0, and for
 * "n" > 0 where it reads sums. Marked hours are points of `penstock_dirty`.
 */
import type { CountFigures } from '../../counts.ts'
import type { Aggregate, AggregateQuery, DirtyHour } from '../../historian.ts'
import { HISTORIAN_NS_MAX, HISTORIAN_NS_MIN } from '../../historian.ts'
import {
  aggregateMeasurement,
  DIRTY,
  identifier,
  lineKey,
  lineMeasurement,
  lineTag,
  lineText,
  originalName,
  tagIs,
} from './names.ts'
import { createTimeReader, whereTime } from './rows.ts'
import type { Server } from './server.ts'

const linesPerRequest = 5000
const pageRows = 10_000

const numbers = ['sum', 'min', 'max', 'mean', 'first', 'last', 'expected', 'had'] as const
const counts = ['n', 'failed', 'closed', 'rows', 'weekday', 'revision'] as const
const fields = [...counts, ...numbers, 'hour', 'date', 'seconds', 'computed_at', 'nulls', 'generation'] as const
const tags = ['level', 'store', 'sensor', 'column'] as const
const levelTag = { sensor: 'sensor', site: 'store' } as const

export const createAggregates = (server: Server) => ({
  async write(rows: readonly Aggregate[], generation: number): Promise<void> {
    const lines = new Map<string, string>()
    for (const row of rows) {
      const point = pointOf(row)
      lines.set(`${point} ${row.startNs}`, `${point} ${fieldsOf(row, generation)} ${row.startNs}`)
    }
    await writeAll(server, [...lines.values()])
  },

  /**
   * The figures that GET /v1/counts computes from the aggregates, as further fields of their points, for dashboards alone: nothing
   * reads them back. A change that becomes null (a baseline that is corrected to 0) leaves the old field, as InfluxDB has no null.
   */
  async writeCounts(figures: AsyncIterable<CountFigures>): Promise<void> {
    let lines: string[] = []
    for await (const figure of figures) {
      lines.push(countLine(figure))
      if (lines.length < linesPerRequest) continue
      await writeAll(server, lines)
      lines = []
    }
    await writeAll(server, lines)
  },

  read: (query: AggregateQuery, generation: number) => readAggregates(server, query, generation),

  /** `true` marks, `false` unmarks. */
  mark(hours: readonly DirtyHour[], dirty: boolean, generation: number): Promise<void> {
    const lines = hours.map(hour => {
      const place = lineTag('device', hour.device) + lineTag('site', hour.site) + lineTag('stream', hour.stream)
      return `${DIRTY}${place} dirty=${dirty},generation=${generation}i ${hour.startNs}`
    })
    return writeAll(server, lines)
  },

  async dirtyHours(generation: number): Promise<DirtyHour[]> {
    const readTime = createTimeReader()
    const hours: DirtyHour[] = []
    const select = 'select "dirty", "generation", "site", "device", "stream"'
    for await (const [time, dirty, of, site, device, stream] of pages(
      server,
      `${select} from ${identifier(DIRTY)} where "dirty" = true`,
    )) {
      if (dirty !== true || of !== generation) continue
      hours.push({
        site: nameOf(site),
        device: nameOf(device),
        stream: nameOf(stream),
        startNs: readTime(String(time)),
      })
    }
    return hours
  },
})

const nameOf = (tag: unknown): string => (typeof tag === 'string' ? originalName(tag) : '')

const writeAll = async (server: Server, lines: readonly string[]): Promise<void> => {
  for (let i = 0; i < lines.length; i += linesPerRequest) {
    const [refused] = await server.write(lines.slice(i, i + linesPerRequest))
    // These lines are of our own making: one that is refused is a defect or a limit of the server, to be seen in /ready.
    if (refused) throw new Error(`InfluxDB refused an aggregate: ${refused.words}`)
  }
}

const pointOf = (row: Aggregate): string => {
  const { column, device, level, resolution, site, stream } = row
  const measurement = lineMeasurement(aggregateMeasurement(stream, resolution))
  const place = lineTag('sensor', device) + lineTag('store', site)
  return `${measurement}${lineTag('column', column)},level=${lineKey(levelTag[level])}${place}`
}

const countLine = ({ row, count, baseline, changePercent, status, coverage }: CountFigures): string => {
  const numbers = Object.entries({ count, baseline, changePercent, coverage }).flatMap(([name, value]) =>
    value !== null && Number.isFinite(value) ? `${name}=${value}` : [],
  )
  return `${pointOf(row)} ${[...numbers, `status=${lineText(status)}`].join()} ${row.startNs}`
}

const fieldsOf = (row: Aggregate, generation: number): string => {
  const isPlain = (name: (typeof numbers)[number]) => Number.isFinite(row[name])
  // A sum beyond the largest double has no form in line protocol either.
  const nulls = numbers.flatMap(name => {
    const value = row[name]
    return value === null ? name : isPlain(name) ? [] : `${name}:${value > 0 ? '+' : '-'}`
  })
  const seconds = Number(row.endNs - row.startNs) / 1e9
  return [
    ...counts.map(name => `${name}=${row[name]}i`),
    ...numbers.filter(isPlain).map(name => `${name}=${row[name]}`),
    ...(row.hour === null ? [] : [`hour=${row.hour}i`]),
    `date=${lineText(row.date)}`,
    `seconds=${seconds}`,
    `computed_at=${row.computedAtMs}i`,
    `nulls=${lineText(nulls.join())}`,
    `generation=${generation}i`,
  ].join()
}

const readAggregates = async function* (
  server: Server,
  query: AggregateQuery,
  generation: number,
): AsyncGenerator<Aggregate> {
  const { level, resolution, stream, column, site, sites, device } = query
  if (sites?.length === 0) return
  const range = { fromNs: query.fromNs ?? HISTORIAN_NS_MIN, toNs: query.toNs ?? HISTORIAN_NS_MAX + 1n }
  const names = [...fields, ...tags].map(identifier).join(', ')
  const select = `select ${names} from ${identifier(aggregateMeasurement(stream, resolution))}`
  const where = [
    ...(level === undefined ? [] : [tagIs('level', levelTag[level])]),
    ...(column === undefined ? [] : [tagIs('column', column)]),
    ...(site === undefined ? [] : [tagIs('store', site)]),
    ...(sites === undefined ? [] : [anyOf(sites)]),
    ...(device === undefined ? [] : [tagIs('sensor', device)]),
  ]
    .map(term => `${term} and `)
    .join('')
  const readTime = createTimeReader()
  let { fromNs } = range
  for (let limit = pageRows; ; ) {
    const times = whereTime({ fromNs, toNs: range.toNs })
    if (times === undefined) return
    const answer = await server.query(`${select} where ${where}${times} order by time asc limit ${limit}`)
    const values = answer.series[0]?.values ?? []
    const more = values.length === limit || answer.partial
    // Many points have one time. The last time of a page may go on in the next: it is read again there.
    const lastTime = values.at(-1)?.[0]
    const whole = more ? values.filter(row => row[0] !== lastTime) : values
    if (more && whole.length === 0 && !answer.partial) {
      limit *= 2
      continue
    }
    yield* inOrder(whole.flatMap(row => aggregateOf(row, query, generation, readTime)))
    if (!more) return
    fromNs = readTime(String(lastTime))
    limit = pageRows
  }
}

const anyOf = (sites: readonly string[]): string => `(${sites.map(site => tagIs('store', site)).join(' or ')})`

const aggregateOf = (
  row: readonly unknown[],
  { resolution, stream }: AggregateQuery,
  generation: number,
  readTime: (text: string) => bigint,
): Aggregate[] => {
  const value = (name: (typeof fields)[number] | (typeof tags)[number]): unknown =>
    row[1 + (fields as readonly string[]).concat(tags).indexOf(name)]
  const count = (name: (typeof fields)[number]) => Number(value(name) ?? 0)
  if (value('generation') !== generation || count('rows') === 0) return []
  const nulls = new Set(String(value('nulls') ?? '').split(','))
  const number = (name: (typeof numbers)[number]): number | null => {
    if (nulls.has(`${name}:+`)) return Number.POSITIVE_INFINITY
    if (nulls.has(`${name}:-`)) return Number.NEGATIVE_INFINITY
    const found = value(name)
    return nulls.has(name) || typeof found !== 'number' ? null : found
  }
  const startNs = readTime(String(row[0]))
  const hour = value('hour')
  return [
    {
      level: value('level') === levelTag.site ? 'site' : 'sensor',
      resolution,
      site: nameOf(value('store')),
      device: nameOf(value('sensor')),
      stream,
      column: nameOf(value('column')),
      startNs,
      endNs: startNs + BigInt(Math.round(count('seconds') * 1e9)),
      date: String(value('date')),
      hour: typeof hour === 'number' ? hour : null,
      weekday: count('weekday'),
      n: count('n'),
      sum: number('sum'),
      min: number('min'),
      max: number('max'),
      mean: number('mean'),
      first: number('first'),
      last: number('last'),
      failed: count('failed'),
      closed: count('closed'),
      rows: count('rows'),
      expected: number('expected'),
      had: number('had'),
      revision: count('revision'),
      computedAtMs: count('computed_at'),
    },
  ]
}

const byBytes = (a: string, b: string): number => (a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b)))
const inOrder = (rows: Aggregate[]): Aggregate[] =>
  rows.sort((a, b) =>
    a.startNs < b.startNs
      ? -1
      : a.startNs > b.startNs
        ? 1
        : byBytes(a.site, b.site) ||
          byBytes(a.level, b.level) ||
          byBytes(a.device, b.device) ||
          byBytes(a.column, b.column),
  )

const pages = async function* (server: Server, select: string): AsyncGenerator<unknown[]> {
  for (let offset = 0; ; offset += pageRows) {
    const { series } = await server.query(`${select} limit ${pageRows} offset ${offset}`)
    const values = series[0]?.values ?? []
    yield* values
    if (values.length < pageRows) return
  }
}
