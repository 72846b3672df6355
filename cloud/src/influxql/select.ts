/** SELECT over the measurements of the historian: rows as they are, or their aggregates by window and tags. */
import { isZone, parseIsoNs, type Zone, zoneOf } from '@penstock/frame'
import { HISTORIAN_NS_MAX, HISTORIAN_NS_MIN } from '../historian.ts'
import { type Expression, type Fill, InfluxQlError, type Pattern, type Select, splitTime } from '../influxql.ts'
import { calculate, isWanted } from './condition.ts'
import type { InfluxSeries, Measurement, RowBlock, RowSource, Value } from './tables.ts'
import { createWindows } from './windows.ts'

export interface Limits {
  /** Rows that one query reads from the historian. */
  scannedRowsMax: number
  /** Rows of one answer. */
  rowsMax: number
}
export interface ResultSeries {
  name: string
  tags?: Record<string, string>
  columns: string[]
  /** The first value of a row is its time in ns. */
  rows: { timeNs: bigint; values: Value[] }[]
}
export interface Context {
  measurements: ReadonlyMap<string, Measurement>
  nowNs: bigint
  limits: Limits
  signal?: AbortSignal
}

/** @throws InfluxQlError */
export const runSelect = async (select: Select, context: Context): Promise<ResultSeries[]> => {
  const zone = zoneFor(select.zone)
  const { fromNs, toNs, rest } = splitTime(select.where, context.nowNs, text => timeOf(text, zone))
  const budget = createBudget(context)
  const results: ResultSeries[] = []
  for (const measurement of matching(select.from, context.measurements)) {
    const plan = planOf(select, measurement)
    if (!plan) continue
    const common = { select, measurement, plan, fromNs, toNs, rest, zone, nowNs: context.nowNs, budget }
    for (const group of groupsOf(select, measurement, rest)) {
      const rows = plan.kind === 'rows' ? await plainRows(common, group) : await aggregatedRows(common, group)
      if (rows.length === 0) continue
      const { limit = 0, offset = 0 } = select
      const kept = limit || offset ? rows.slice(offset, limit ? offset + limit : undefined) : rows
      budget.give(kept.length)
      results.push({
        name: measurement.name,
        ...(group.tags && { tags: group.tags }),
        columns: plan.columns,
        rows: kept,
      })
    }
  }
  const { seriesLimit, seriesOffset = 0 } = select
  const kept = results.slice(seriesOffset, seriesLimit ? seriesOffset + seriesLimit : undefined)
  // As InfluxDB has it: newest first means last series first.
  return select.descending ? kept.reverse() : kept
}

const zoneFor = (name: string | undefined): Zone | undefined => {
  if (name === undefined) return undefined
  if (!isZone(name)) throw new InfluxQlError(`unable to find time zone ${name.slice(0, 80)}`)
  return zoneOf(name)
}

/** RFC 3339, or a date with or without a time, which is local to the zone. */
const timeOf = (text: string, zone: Zone | undefined): bigint | undefined => {
  const exact = /[zZ]$|[+-]\d\d:?\d\d$/.test(text) && !/^\d{4}-\d\d-\d\d$/.test(text) ? parseIsoNs(text) : undefined
  if (exact !== undefined) return exact
  const local = parseIsoNs(/^\d{4}-\d\d-\d\d$/.test(text) ? text : `${text}Z`)
  if (local === undefined || !zone) return local
  const ms = Number(local / 1_000_000n)
  return BigInt(zone.fromLocalMs(ms)[0] ?? ms - zone.offsetMs(ms)) * 1_000_000n + (local % 1_000_000n)
}

export const fits = (pattern: Pattern, name: string): boolean =>
  typeof pattern === 'string' ? pattern === name : pattern.test(name)
export const matching = (patterns: readonly Pattern[], measurements: ReadonlyMap<string, Measurement>): Measurement[] =>
  [...measurements.values()].filter(({ name }) => patterns.some(pattern => fits(pattern, name)))

/** Counts what is read and answered; says when it is too much, or when nobody waits for it any more. */
const createBudget = ({ limits, signal }: Context) => {
  let scanned = 0
  let given = 0
  return {
    scan(rows: number) {
      signal?.throwIfAborted()
      scanned += rows
      if (scanned > limits.scannedRowsMax) {
        throw new InfluxQlError(
          `more than ${limits.scannedRowsMax} rows would be read: take a shorter range of time or fewer series`,
        )
      }
    },
    hold(rows: number) {
      if (given + rows > limits.rowsMax) {
        throw new InfluxQlError(
          `the answer has more than ${limits.rowsMax} rows: take a shorter range of time, GROUP BY a longer time(…), or LIMIT`,
        )
      }
    },
    give(rows: number) {
      this.hold(rows)
      given += rows
    },
    left: () => limits.rowsMax - given,
  }
}
type Budget = ReturnType<typeof createBudget>

// ---- What is selected

type Call = 'mean' | 'min' | 'max' | 'sum' | 'count' | 'first' | 'last' | 'spread'
const calls: readonly string[] = ['mean', 'min', 'max', 'sum', 'count', 'first', 'last', 'spread'] satisfies Call[]
const ofNumbers: readonly string[] = ['mean', 'min', 'max', 'sum', 'spread'] satisfies Call[]
interface Plan {
  kind: 'rows' | 'aggregates'
  /** `time` and the names of what is selected. */
  columns: string[]
  items: Expression[]
  fields: string[]
  /** All that is called, for a selector's own time. */
  calls: { name: string; field: string }[]
}

/** `undefined` where the measurement has none of the fields. */
const planOf = (select: Select, measurement: Measurement): Plan | undefined => {
  const types = new Map<string, string>()
  for (const series of measurement.series)
    for (const [name, type] of series.fields) if (!types.has(name)) types.set(name, type)
  const items = select.selected.flatMap(({ expression, alias }) =>
    expand(expression, alias, types, measurement, select),
  )
  const found: Plan['calls'] = []
  const plain: string[] = []
  const visit = (expression: Expression): void => {
    if (expression.kind === 'binary') {
      visit(expression.left)
      visit(expression.right)
    } else if (expression.kind === 'name') plain.push(expression.name)
    else if (expression.kind === 'call') found.push(callOf(expression, types))
    else if (expression.kind !== 'number' && expression.kind !== 'integer') {
      throw new InfluxQlError('SELECT takes fields, functions of a field, numbers and arithmetic')
    }
  }
  for (const { expression } of items) visit(expression)
  if (found.length > 0 && plain.length > 0)
    throw new InfluxQlError('mixing aggregate and non-aggregate queries is not supported')
  if (found.length === 0 && select.every)
    throw new InfluxQlError('GROUP BY time(…) requires at least one aggregate function')
  const fields = [...new Set([...found.map(call => call.field), ...plain])].filter(name => types.has(name))
  if (fields.length === 0) return undefined
  return {
    kind: found.length > 0 ? 'aggregates' : 'rows',
    columns: ['time', ...uniqueNames(items.map(({ expression, alias }) => alias ?? nameOf(expression)))],
    items: items.map(item => item.expression),
    fields,
    calls: found,
  }
}

const callOf = ({ name, args }: { name: string; args: Expression[] }, types: ReadonlyMap<string, string>) => {
  if (!calls.includes(name)) throw new InfluxQlError(`${name}() is not answered here: known are ${calls.join(', ')}`)
  const [field] = args
  if (args.length !== 1 || field?.kind !== 'name') throw new InfluxQlError(`${name}() takes one field`)
  const type = types.get(field.name)
  if (ofNumbers.includes(name) && (type === 'string' || type === 'boolean')) {
    throw new InfluxQlError(`${name}("${field.name}") is not possible: the field holds ${type}s`)
  }
  return { name, field: field.name }
}

/** `*`, and the `*` in `mean(*)`, stand for what there is. */
const expand = (
  expression: Expression,
  alias: string | undefined,
  types: ReadonlyMap<string, string>,
  measurement: Measurement,
  { by }: Select,
): { expression: Expression; alias?: string }[] => {
  const names = [...types.keys()].sort()
  if (expression.kind === 'all') {
    const tags = measurement.tagKeys.filter(key => by !== '*' && !by.some(pattern => fits(pattern, key)))
    return [...new Set([...names, ...tags])].sort().map(name => ({ expression: { kind: 'name', name } }))
  }
  if (expression.kind === 'call' && expression.args[0]?.kind === 'all') {
    const numbers = names.filter(
      n => !ofNumbers.includes(expression.name) || /^(float|integer)$/.test(types.get(n) ?? ''),
    )
    return numbers.map(name => ({
      expression: { ...expression, args: [{ kind: 'name', name }] },
      alias: `${alias ?? expression.name}_${name}`,
    }))
  }
  return [{ expression, ...(alias !== undefined && { alias }) }]
}

const nameOf = (expression: Expression): string => {
  if (expression.kind === 'name' || expression.kind === 'call') return expression.name
  if (expression.kind !== 'binary') return ''
  return [nameOf(expression.left), nameOf(expression.right)].filter(name => name !== '').join('_')
}
const uniqueNames = (names: readonly string[]): string[] => {
  const taken = new Map<string, number>()
  return names.map(name => {
    const n = taken.get(name) ?? 0
    taken.set(name, n + 1)
    return n === 0 ? name : `${name}_${n}`
  })
}

// ---- Groups of series

interface Group {
  tags?: Record<string, string>
  series: InfluxSeries[]
}
const groupsOf = ({ by }: Select, measurement: Measurement, rest: Expression | undefined): Group[] => {
  const keys =
    by === '*' ? measurement.tagKeys : [...new Set(by.flatMap(pattern => keysOf(pattern, measurement)))].sort()
  const groups = new Map<string, Group>()
  for (const series of measurement.series) {
    if (rest && wantsSeries(rest, measurement, series) === false) continue
    const tags = Object.fromEntries(keys.map(key => [key, series.tags[key] ?? '']))
    const key = JSON.stringify(keys.map(k => tags[k]))
    const group = groups.get(key)
    if (group) group.series.push(series)
    else groups.set(key, { series: [series], ...(keys.length > 0 && { tags }) })
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group)
}
const keysOf = (pattern: Pattern, { tagKeys }: Measurement): string[] =>
  typeof pattern === 'string' ? [pattern] : tagKeys.filter(key => pattern.test(key))

/** Whether the tags alone refuse or take a series; `undefined` where its rows decide. */
export const wantsSeries = (rest: Expression, measurement: Measurement, series: InfluxSeries): boolean | undefined =>
  isWanted(rest, (name, as) => {
    if (as !== 'field' && measurement.tagKeys.includes(name)) return series.tags[name] ?? ''
    if (as === 'tag') return ''
    return measurement.series.some(s => s.fields.has(name)) ? undefined : ''
  })

// ---- Rows

interface Common {
  select: Select
  measurement: Measurement
  plan: Plan
  fromNs: bigint | undefined
  toNs: bigint | undefined
  rest: Expression | undefined
  zone: Zone | undefined
  nowNs: bigint
  budget: Budget
}
interface Row {
  timeNs: bigint
  values: Value[]
}

/** Blocks of a group with the rows that WHERE takes; `wants` tells for each row. */
async function* blocksOf(
  { measurement, plan, fromNs = HISTORIAN_NS_MIN, toNs = HISTORIAN_NS_MAX + 1n, rest, budget }: Common,
  series: readonly InfluxSeries[],
  descending: boolean,
): AsyncGenerator<{ block: RowBlock; wants(i: number): boolean }> {
  const fields = [...new Set([...plan.fields, ...(rest ? fieldsIn(rest, measurement) : [])])]
  const bySource = new Map<RowSource, InfluxSeries[]>()
  for (const one of series) bySource.set(one.source, [...(bySource.get(one.source) ?? []), one])
  for (const [source, wanted] of bySource) {
    for await (const block of source.rows(wanted, { fromNs, toNs, fields, descending })) {
      budget.scan(block.length)
      const tagged = rest === undefined || wantsSeries(rest, measurement, block.series) === true
      const lookup = (i: number) => (name: string, as: 'tag' | 'field' | undefined) =>
        as !== 'field' && measurement.tagKeys.includes(name) ? (block.series.tags[name] ?? '') : block.value(name, i)
      yield { block, wants: i => tagged || isWanted(rest as Expression, lookup(i)) === true }
    }
  }
}

const fieldsIn = (expression: Expression, measurement: Measurement): string[] => {
  if (expression.kind === 'binary')
    return [...fieldsIn(expression.left, measurement), ...fieldsIn(expression.right, measurement)]
  return expression.kind === 'name' && !measurement.tagKeys.includes(expression.name) ? [expression.name] : []
}

const evaluate = (expression: Expression, lookup: (expression: Expression) => Value): Value => {
  if (expression.kind === 'number') return expression.value
  if (expression.kind === 'integer') return Number(expression.value)
  if (expression.kind !== 'binary') return lookup(expression)
  return calculate(expression.operator, evaluate(expression.left, lookup), evaluate(expression.right, lookup))
}

const plainRows = async (common: Common, { series }: Group): Promise<Row[]> => {
  const { plan, select, budget, measurement } = common
  const most = select.limit ? select.limit + (select.offset ?? 0) : Number.POSITIVE_INFINITY
  const rows: Row[] = []
  for (const one of series) {
    let ofSeries = 0
    for await (const { block, wants } of blocksOf(common, [one], select.descending)) {
      for (let i = 0; i < block.length && ofSeries < most; i++) {
        if (plan.fields.every(field => block.value(field, i) === null) || !wants(i)) continue
        const lookup = (e: Expression): Value => {
          if (e.kind !== 'name') return null
          const isTag = e.as !== 'field' && measurement.tagKeys.includes(e.name)
          return isTag ? (block.series.tags[e.name] ?? null) : block.value(e.name, i)
        }
        rows.push({ timeNs: block.timeNs(i), values: plan.items.map(item => evaluate(item, lookup)) })
        ofSeries++
      }
      if (!select.limit) budget.hold(rows.length)
      if (ofSeries >= most) break
    }
  }
  if (series.length > 1) rows.sort(select.descending ? newestFirst : oldestFirst)
  return rows
}
const oldestFirst = (a: Row, b: Row): number => (a.timeNs < b.timeNs ? -1 : a.timeNs > b.timeNs ? 1 : 0)
const newestFirst = (a: Row, b: Row): number => oldestFirst(b, a)

// ---- Aggregates

/** What is known of one field in one window. */
interface Gathered {
  n: number
  sum: number
  min: Timed
  max: Timed
  first: Timed
  last: Timed
}
interface Timed {
  value: Value
  timeNs: bigint
}
const nothing = (): Gathered => {
  const none = { value: null, timeNs: 0n }
  return { n: 0, sum: 0, min: none, max: none, first: none, last: none }
}
const gather = (into: Gathered, value: Value, timeNs: bigint): void => {
  if (value === null) return
  const timed = { value, timeNs }
  if (into.n === 0 || timeNs < into.first.timeNs) into.first = timed
  if (into.n === 0 || timeNs >= into.last.timeNs) into.last = timed
  if (typeof value === 'number') {
    into.sum += value
    if (into.n === 0 || beats(value < (into.min.value as number), value === into.min.value, timeNs < into.min.timeNs))
      into.min = timed
    if (into.n === 0 || beats(value > (into.max.value as number), value === into.max.value, timeNs < into.max.timeNs))
      into.max = timed
  }
  into.n++
}
/** Of equal values, the earliest counts. */
const beats = (better: boolean, equal: boolean, earlier: boolean): boolean => better || (equal && earlier)

const resultOf = (call: string, { n, sum, min, max, first, last }: Gathered): Value => {
  if (call === 'count') return n
  if (n === 0) return null
  if (call === 'mean') return sum / n
  if (call === 'sum') return sum
  if (call === 'spread') return (max.value as number) - (min.value as number)
  const selectors: Record<string, Timed> = { min, max, first, last }
  return selectors[call]?.value ?? null
}

const aggregatedRows = async (common: Common, { series }: Group): Promise<Row[]> => {
  const { select, plan, fromNs, zone, budget } = common
  const windows = select.every && createWindows(select.every, zone, budget.left())
  const gathered = new Map<bigint, Map<string, Gathered>>()
  const bounded = { ...common, toNs: common.toNs ?? (select.every && common.nowNs + 1n) }
  const newest = !select.every && plan.calls.every(call => call.name === 'last')
  let any = false
  // What a time needs is known from the window of the row before it, nearly always.
  let [startNs, fields]: [bigint | undefined, Map<string, Gathered> | undefined] = [undefined, undefined]
  for (const one of newest ? series.map(s => [s]) : [series]) {
    for await (const { block, wants } of blocksOf(bounded, one, newest)) {
      for (let i = 0; i < block.length; i++) {
        if (!wants(i)) continue
        const timeNs = block.timeNs(i)
        const start = windows?.startNs(timeNs) ?? 0n
        if (start !== startNs || !fields) {
          startNs = start
          fields = gathered.get(start) ?? new Map(plan.fields.map(field => [field, nothing()]))
          gathered.set(start, fields)
        }
        for (const [field, into] of fields) {
          const value = block.value(field, i)
          if (value !== null) any = true
          gather(into, value, timeNs)
        }
      }
      if (newest && plan.fields.every(field => (fields?.get(field)?.n ?? 0) > 0)) break
    }
    if (newest) [startNs, fields] = [undefined, undefined]
  }
  if (!any) return []
  if (!windows) return [singleRow(plan, gathered.get(0n) ?? new Map(), fromNs)]
  return windowRows(bounded, windows, gathered)
}

const valuesOf = (plan: Plan, fields: ReadonlyMap<string, Gathered> | undefined): Value[] =>
  plan.items.map(item =>
    evaluate(item, e => {
      const field = e.kind === 'call' && e.args[0]?.kind === 'name' ? e.args[0].name : ''
      return e.kind === 'call' ? resultOf(e.name, fields?.get(field) ?? nothing()) : null
    }),
  )

/** One selector alone answers with the time of its row, all else with the beginning of the range. */
const singleRow = (plan: Plan, fields: ReadonlyMap<string, Gathered>, fromNs = 0n): Row => {
  const [call, ...more] = plan.calls
  const chosen = call && more.length === 0 ? fields.get(call.field) : undefined
  const timed = /^(min|max|first|last)$/.test(call?.name ?? '') ? chosen?.[call?.name as 'min'] : undefined
  return { timeNs: timed?.timeNs ?? fromNs, values: valuesOf(plan, fields) }
}

const windowRows = (
  { select, plan, fromNs, toNs = 0n }: Common,
  windows: ReturnType<typeof createWindows>,
  gathered: ReadonlyMap<bigint, Map<string, Gathered>>,
): Row[] => {
  const had = [...gathered.keys()].sort((a, b) => (a < b ? -1 : 1))
  const isEmpty = (start: bigint) => [...(gathered.get(start)?.values() ?? [])].every(({ n }) => n === 0)
  const starts =
    select.fill === 'none' ? had.filter(start => !isEmpty(start)) : windows.between(fromNs ?? had[0] ?? 0n, toNs)
  const rows = starts.map(timeNs => ({ timeNs, values: valuesOf(plan, gathered.get(timeNs)), empty: isEmpty(timeNs) }))
  if (select.descending) rows.reverse()
  return fillRows(rows, select.fill, plan)
}

const fillRows = (rows: (Row & { empty: boolean })[], fill: Fill, plan: Plan): Row[] => {
  if (fill === 'none' || fill === 'null' || fill === 'default') return rows
  plan.items.forEach((_, c) => {
    const isGap = (row: (typeof rows)[number]) => row.values[c] === null || row.empty
    let before = -1
    rows.forEach((row, i) => {
      if (!isGap(row)) {
        if (fill === 'linear' && before >= 0) interpolate(rows, c, before, i)
        before = i
      } else if (typeof fill === 'number') row.values[c] = fill
      else row.values[c] = fill === 'previous' && before >= 0 ? (rows[before]?.values[c] ?? null) : null
    })
  })
  return rows
}
const interpolate = (rows: readonly Row[], c: number, from: number, to: number): void => {
  const [a, b] = [rows[from]?.values[c], rows[to]?.values[c]]
  if (typeof a !== 'number' || typeof b !== 'number') return
  for (let i = from + 1; i < to; i++) {
    const row = rows[i]
    if (row) row.values[c] = a + ((b - a) * (i - from)) / (to - from)
  }
}
