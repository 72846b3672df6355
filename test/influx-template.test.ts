/**
 * The template for the UI of InfluxDB 2, which does not run here: its shape, and its Flux by InfluxData's own checker
 * (flux-lsp), which knows the types of the standard library.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Flux } from '@influxdata/flux-lsp-node'
import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import * as z from 'zod'

const file = fileURLToPath(new URL('../dashboards/influx/penstock.yml', import.meta.url))

const color = z.strictObject({
  hex: z.string().regex(/^#[0-9a-f]{6}$/i),
  name: z.string().optional(),
  type: z.string().optional(),
})
const axis = z.strictObject({ name: z.enum(['x', 'y']), scale: z.string().optional(), base: z.string().optional() })
const common = {
  name: z.string().min(1),
  ...{ xPos: z.int().min(0).max(11), yPos: z.int().min(0), width: z.int().min(1).max(12), height: z.int().min(1) },
  queries: z.array(z.strictObject({ query: z.string() })).min(1),
  colors: z.array(color).min(1),
}
const columns = { xCol: z.literal('_time'), yCol: z.literal('_value'), axes: z.array(axis).length(2) }
// As pkger of influxdb 2 reads them (pkger/parser_models.go): kinds and their required members.
const chartSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    ...{ ...common, ...columns, kind: z.literal('Xy'), position: z.literal('overlaid') },
    geom: z.enum(['line', 'bar', 'step', 'stacked', 'monotoneX']),
  }),
  z.strictObject({
    ...{ ...common, ...columns, kind: z.literal('Scatter') },
    ...{ fillColumns: z.array(z.string()), symbolColumns: z.array(z.string()) },
  }),
  z.strictObject({ ...common, kind: z.literal('Single_Stat'), decimalPlaces: z.int() }),
  z.strictObject({
    ...{ ...common, kind: z.literal('Table'), decimalPlaces: z.int(), timeFormat: z.string() },
    tableOptions: z.strictObject({ verticalTimeAxis: z.boolean(), sortBy: z.string(), fixFirstColumn: z.boolean() }),
  }),
])
const head = {
  apiVersion: z.literal('influxdata.com/v2alpha1'),
  metadata: z.strictObject({ name: z.string().regex(/^[a-z0-9-]+$/) }),
}
const documentSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    ...{ ...head, kind: z.literal('Variable') },
    spec: z.strictObject({
      ...{ name: z.string().regex(/^penstock_\w+$/), description: z.string(), query: z.string() },
      ...{ type: z.literal('query'), language: z.literal('flux') },
    }),
  }),
  z.strictObject({
    ...{ ...head, kind: z.literal('Dashboard') },
    spec: z.strictObject({ name: z.string(), description: z.string(), charts: z.array(chartSchema).min(1) }),
  }),
])

const documents = parseAllDocuments(readFileSync(file, 'utf8')).map(document => {
  if (document.errors[0]) throw document.errors[0]
  return documentSchema.parse(document.toJS())
})
const variables = documents.flatMap(document => (document.kind === 'Variable' ? [document.spec] : []))
const queries = documents.flatMap(document =>
  document.kind === 'Variable'
    ? [{ name: document.spec.name, query: document.spec.query }]
    : document.spec.charts.flatMap(chart =>
        chart.queries.map(({ query }) => ({ name: `${document.spec.name}: ${chart.name}`, query })),
      ),
)

/** What InfluxDB's UI puts before a query. */
const given = `option v = {timeRangeStart: -1h, timeRangeStop: now(), windowPeriod: 1m, ${variables
  .map(({ name }) => `${name}: "x"`)
  .join(', ')}}\n`
/** `import` stands first. */
const inUi = (query: string): string => {
  const imports = query.match(/^(?:import "[^"]+"\n)*/)?.[0] ?? ''
  return imports + given + query.slice(imports.length)
}

test('the checker knows right from wrong', () => {
  const right = 'from(bucket: "penstock") |> range(start: v.timeRangeStart)'
  expect(new Flux(inUi(right)).is_valid()).toBe(true)
  expect(new Flux(inUi(`${right} |> limit(n: "three")`)).is_valid()).toBe(false)
  expect(new Flux(inUi(`${right} |> filter(fn: (r) => r.x == v.nobody)`)).is_valid()).toBe(false)
})

test.each(queries)('Flux of $name', ({ query }) => {
  expect(new Flux(inUi(query)).is_valid()).toBe(true)
  expect(query).toContain('bucket: "penstock"')
})

test('names are unique, and no two cells of a dashboard overlap', () => {
  const names = documents.map(document => document.metadata.name)
  expect(new Set(names).size).toBe(names.length)
  for (const document of documents) {
    if (document.kind !== 'Dashboard') continue
    const taken = document.spec.charts.flatMap(({ xPos, yPos, width, height }) =>
      Array.from({ length: width * height }, (_, i) => `${xPos + (i % width)},${yPos + Math.floor(i / width)}`),
    )
    expect(new Set(taken).size).toBe(taken.length)
    expect(document.spec.charts.every(({ xPos, width }) => xPos + width <= 12)).toBe(true)
  }
})
