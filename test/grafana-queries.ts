/**
 * Dashboards of Grafana as these tests read them: checked by shape, and their queries with the variables filled in as Grafana
 * does it (public/app/features/variables and pkg/tsdb/influxdb/models/query.go of grafana/grafana).
 */
import * as z from 'zod'

const datasource = z.strictObject({ type: z.literal('influxdb'), uid: z.literal('$' + '{datasource}') })
const targetSchema = z.strictObject({
  refId: z.string().regex(/^[A-Z]$/),
  datasource,
  rawQuery: z.literal(true),
  query: z.string().min(1),
  resultFormat: z.enum(['time_series', 'table']),
  alias: z.string().optional(),
})
const overrideSchema = z.strictObject({
  matcher: z.strictObject({ id: z.enum(['byName', 'byRegexp']), options: z.string() }),
  properties: z.array(z.strictObject({ id: z.string(), value: z.unknown() })).min(1),
})
const gridPos = z
  .strictObject({ x: z.int().min(0), y: z.int().min(0), w: z.int().min(1).max(24), h: z.int().min(1) })
  .refine(({ x, w }) => x + w <= 24, 'reaches beyond the 24 columns')
const rowSchema = z.strictObject({
  ...{
    id: z.int(),
    type: z.literal('row'),
    title: z.string().min(1),
    collapsed: z.boolean(),
    panels: z.tuple([]),
    gridPos,
  },
})
const panelSchema = z.strictObject({
  id: z.int(),
  type: z.enum(['timeseries', 'stat', 'table']),
  title: z.string().min(1),
  description: z.string().optional(),
  datasource,
  gridPos,
  targets: z.array(targetSchema).min(1),
  fieldConfig: z.strictObject({ defaults: z.record(z.string(), z.unknown()), overrides: z.array(overrideSchema) }),
  options: z.record(z.string(), z.unknown()),
  repeat: z.string().optional(),
  repeatDirection: z.enum(['h', 'v']).optional(),
  maxPerRow: z.int().optional(),
})
const commonVariable = {
  name: z.string().regex(/^\w+$/),
  label: z.string().min(1),
  hide: z.literal(0),
  multi: z.boolean(),
  includeAll: z.boolean(),
  options: z.tuple([]),
  refresh: z.union([z.literal(1), z.literal(2)]),
  regex: z.string(),
  current: z.strictObject({ text: z.string(), value: z.string() }).optional(),
}
const variableSchema = z.discriminatedUnion('type', [
  z.strictObject({ ...commonVariable, type: z.literal('datasource'), query: z.literal('influxdb') }),
  z
    .strictObject({
      ...commonVariable,
      ...{ type: z.literal('query'), datasource, query: z.string(), sort: z.int() },
      allValue: z.literal('.*').optional(),
    })
    .refine(v => v.includeAll === (v.allValue !== undefined)),
])
const dashboardSchema = z.strictObject({
  uid: z.string().regex(/^[a-z-]{1,40}$/),
  title: z.string().min(1),
  description: z.string(),
  tags: z.array(z.string()),
  schemaVersion: z.literal(39),
  version: z.int(),
  editable: z.boolean(),
  graphTooltip: z.literal(1),
  timezone: z.literal('browser'),
  time: z.strictObject({ from: z.string(), to: z.string() }),
  refresh: z.string(),
  annotations: z.strictObject({ list: z.array(z.unknown()) }),
  links: z.array(z.record(z.string(), z.unknown())),
  templating: z.strictObject({ list: z.array(variableSchema) }),
  panels: z.array(z.union([panelSchema, rowSchema])),
})

export type Dashboard = z.output<typeof dashboardSchema>
export interface Query {
  /** Where it stands, for a test's name. */
  name: string
  query: string
  panel?: string
  refId?: string
}

/** @throws where the file is no dashboard of ours, with the path of what is wrong */
export const readDashboard = (file: string, text: string): Dashboard => {
  const result = dashboardSchema.safeParse(JSON.parse(text))
  if (!result.success) throw new Error(`${file}: ${z.prettifyError(result.error)}`)
  return result.data
}

export const panelQueries = ({ panels }: Dashboard): Query[] =>
  panels.flatMap(panel =>
    panel.type === 'row'
      ? []
      : panel.targets.map(({ refId, query }) => ({
          ...{ name: `${panel.id} ${panel.title} ${refId}`, query, panel: panel.title, refId },
        })),
  )

export type Variables = Readonly<Record<string, string | readonly string[]>>
const regexEscape = (value: string): string => value.replace(/[\\^$*+?.()|[\]{}/]/g, '\\$&')

/** `.*` is what All stands for here: it goes in as it is, as Grafana puts in every `allValue`. */
const format = (value: string | readonly string[], how: string | undefined): string => {
  if (value === '.*') return value
  const values = typeof value === 'string' ? [value] : value
  if (how === 'raw') return values.join()
  if (how !== 'regex') throw new Error('our queries say how a variable is written: as regex or raw')
  const escaped = values.map(regexEscape)
  return escaped.length === 1 ? (escaped[0] ?? '') : `(${escaped.join('|')})`
}

export const fillIn = (
  query: string,
  variables: Variables,
  range: { fromMs: number; toMs: number },
  interval: string,
) => {
  const filled = query
    .replace(/\$\{(\w+)(?::(\w+))?\}/g, (_, name: string, how: string | undefined) => {
      const value = variables[name]
      if (value === undefined) throw new Error(`the query names a variable that is not there: ${name}`)
      return format(value, how)
    })
    .replaceAll('$timeFilter', `time >= ${range.fromMs}ms and time <= ${range.toMs}ms`)
    .replaceAll('$__interval', interval)
  if (filled.includes('$_') || /\$[a-z]/i.test(filled)) throw new Error(`not filled in: ${filled}`)
  return filled
}
