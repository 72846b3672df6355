/** The options of TDMS files as people write them in YAML. */
import { nameSchema, parseIsoNs, STATUS_COLUMN } from '@penstock/frame'
import * as z from 'zod'
import { zoneNameSchema } from '../options.ts'
import { layoutProblem } from '../time-layout.ts'
import { fileTimeProblem } from './file-time.ts'

const channelName = z
  .string()
  .min(1)
  .describe('A channel: "Group/Channel", or "Channel" alone for the channel of that name in every group')
const columnName = nameSchema.refine(
  name => name !== STATUS_COLUMN,
  `the name "${STATUS_COLUMN}" is taken by the row status; give the column another name`,
)

const isoStart = z
  .string()
  .refine(
    text => parseIsoNs(text) !== undefined,
    'is not an ISO 8601 time with offset such as 2026-03-01T08:00:00+09:00',
  )
const fileLayout = z.string().check(ctx => {
  const problem = fileTimeProblem(ctx.value)
  if (problem) ctx.issues.push({ code: 'custom', input: ctx.value, message: `the layout "${ctx.value}" ${problem}` })
})
const textLayout = z.string().check(ctx => {
  const problem = layoutProblem(ctx.value)
  if (problem) ctx.issues.push({ code: 'custom', input: ctx.value, message: `the layout "${ctx.value}" ${problem}` })
})
const startSchema = z
  .union([
    isoStart.describe('The moment, ISO 8601 with offset'),
    z.strictObject({
      file: fileLayout.describe(
        "The moment stands in the file's name, written so: YYYY or YY, MM or MMM (Jan, oct., sept.), DD, HH, mm, ss, 'text' in single quotes",
      ),
    }),
    z.strictObject({
      property: z.string().min(1).describe('The moment is this property: a timestamp, or a text'),
      of: z.string().optional().describe('Whose property: "Group" or "Group/Channel". Without it: of the file'),
      layout: textLayout.default('iso').describe('How the property is written, where it is a text'),
    }),
  ])
  .describe('The moment from which a channel counts time, or at which a waveform without a start of its own begins')

const timeSchema = z
  .union([
    z.literal('arrival'),
    z.strictObject({
      channel: channelName
        .optional()
        .describe(
          'The channel that holds the time of every row, in whichever group it stands: timestamps, or a number that counts from `start`',
        ),
      unit: z.enum(['ns', 'us', 'ms', 's', 'min', 'h', 'd']).default('s').describe('What a number counts'),
      start: startSchema.optional(),
      zone: zoneNameSchema.optional().describe("IANA zone of a local start. Without it: the zone of the source's site"),
    }),
  ])
  .describe(
    'Where the time of a row stands. Without it: in a channel of timestamps, else in the waveform properties (wf_start_time, wf_increment), else the time of arrival. "arrival": always the latter',
  )

const columnShape = {
  from: channelName.optional().describe('The channel, where the column has another name than it'),
  unit: z.string().max(256).optional().describe('In place of the unit that the file gives'),
  status: z
    .record(z.string(), z.string().min(1).max(64))
    .optional()
    .describe('Sentinels: a number that stands for a state. It becomes a hole, the row gets the status: {-1: failed}'),
}
const columnsSchema = z
  .union([
    z.array(z.union([channelName, z.strictObject({ name: columnName, ...columnShape })])).min(1),
    z
      .record(columnName, z.union([channelName, z.strictObject(columnShape)]))
      .refine(map => Object.keys(map).length > 0, 'names no column'),
  ])
  .describe(
    'The channels to keep: a list of channels, or a map from the name of a column to its channel ({flow: "GMU6/C2 Flow [ml/min]"}). Without it: all',
  )

export const tdmsSchema = z
  .strictObject({
    kind: z.literal('tdms'),
    rows: z
      .enum(['group', 'file'])
      .default('group')
      .describe(
        'group: every group is a stream of its own, named like the group. file: channels of all groups stand in one row, the first values of all in the first row and so on; columns are named "Group/Channel"',
      ),
    groups: z
      .union([z.array(z.string()).min(1), z.record(z.string(), nameSchema)])
      .optional()
      .describe('The groups to keep: a list, or a map from the group to the name of its stream. Without it: all'),
    columns: columnsSchema.optional(),
    rename: z
      .record(channelName, columnName)
      .optional()
      .describe(
        'Names of columns by channel, where all channels are kept: {"Electrometer/Time Stamp": instrument_clock}',
      ),
    time: timeSchema.optional(),
  })
  .check(ctx => {
    const { columns, rename } = ctx.value
    if (columns && rename) {
      ctx.issues.push({
        code: 'custom',
        path: ['rename'],
        input: rename,
        message: 'has no effect beside columns: name the columns there',
      })
    }
  })
  .describe('NI TDMS file (LabVIEW, DAQmx)')
export type TdmsOptions = z.output<typeof tdmsSchema>
export type TdmsTime = Exclude<NonNullable<TdmsOptions['time']>, 'arrival'>
export type TdmsStart = NonNullable<TdmsTime['start']>

/** One column as configured, whichever way it was written. */
export interface TdmsColumn {
  /** Without it: the name of the channel. */
  name: string | undefined
  from: string
  unit: string | undefined
  status: Record<string, string>
}

export const listTdmsColumns = (options: TdmsOptions): TdmsColumn[] | undefined => {
  const { columns } = options
  if (!columns) return undefined
  const plain = (from: string, name?: string): TdmsColumn => ({ name, from, unit: undefined, status: {} })
  if (Array.isArray(columns)) {
    return columns.map(c =>
      typeof c === 'string' ? plain(c) : { name: c.name, from: c.from ?? c.name, unit: c.unit, status: c.status ?? {} },
    )
  }
  return Object.entries(columns).map(([name, c]) =>
    typeof c === 'string' ? plain(c, name) : { name, from: c.from ?? name, unit: c.unit, status: c.status ?? {} },
  )
}

/** Whether a channel is meant by a name: "Group/Channel", "Channel", or the path as it stands in the file. */
export const isMeant = (
  object: { group: string | undefined; channel: string | undefined; path: string },
  name: string,
): boolean => object.channel === name || `${object.group}/${object.channel}` === name || object.path === name
