/** TDMS: what the file says of its times is taken; where it says nothing, a channel that counts from a start in the name. */
import type { Column, Frame } from '@penstock/frame'
import type { FileBytes } from '../decoder.ts'
import { fileTimeMs } from '../tdms/file-time.ts'
import { createTdms, tdmsSchema } from '../tdms.ts'
import type { Doubt, Draft, Finding, Settings } from './proposal.ts'
import { splitUnit } from './units.ts'

/** Times in names of files, the most precise first. */
const nameLayouts = [
  'YYYY-MM-DD HH-mm-ss',
  'YYYY-MM-DD_HH-mm-ss',
  "YYYY-MM-DD'T'HH-mm-ss",
  'YYYY_MM_DD_HH_mm_ss',
  'YYYYMMDD_HHmmss',
  'YYYYMMDD-HHmmss',
  "YYYYMMDD'T'HHmmss",
  'YYYYMMDDHHmmss',
  'YYMMDD_HHmmss',
  'YYMMDDHHmmss',
  "MMM-DD-YY 'Time' HHmm",
  'DD-MMM-YY HHmm',
  'DD-MM-YYYY HH-mm-ss',
  'YYYY-MM-DD HHmm',
  'YYYYMMDD_HHmm',
]

const atNs = 1_000_000_000_000_000_000n
const units: [RegExp, string][] = [
  [/^(?:s|sec|seconds?)$/i, 's'],
  [/^(?:ms|msec|milliseconds?)$/i, 'ms'],
  [/^(?:us|µs|μs)$/i, 'us'],
  [/^(?:min|minutes?)$/i, 'min'],
  [/^(?:h|hours?)$/i, 'h'],
]

interface Counter {
  channel: string
  unit: string
  isNamed: boolean
}

/** Streams whose rows have no time but that of their arrival. */
const hasArrival = (frame: Frame): boolean => frame.startNs >= atNs && frame.startNs < atNs + 10_000_000_000n

const counterOf = (frame: Frame, column: Column): Counter | undefined => {
  if (column.type !== 'float' && column.type !== 'int') return undefined
  const { name, unit = column.unit } = splitUnit(column.name)
  if (!/^(?:time|zeit|tiempo|temps|tempo|elapsed|t|rel(?:ative)? time|time relative)\b/i.test(name)) return undefined
  const n = Math.min(column.values.length, 1000)
  for (let i = 1; i < n; i++) if (!((column.values[i] as number) >= (column.values[i - 1] as number))) return undefined
  const known = units.find(([pattern]) => pattern.test(unit ?? ''))?.[1]
  return { channel: `${frame.stream}/${column.name}`, unit: known ?? 's', isNamed: known !== undefined }
}

export const draftTdms = async (file: FileBytes, name: string): Promise<Draft[]> => {
  const context = { source: 'sample', file: name, site: 'site', device: 'device', stream: '', zone: 'UTC' }
  const decoder = createTdms(tdmsSchema.parse({ kind: 'tdms' }), {
    ...context,
    frameRowsMax: 4096,
    recordBytesMax: 1_048_576,
  })
  const { frames } = await decoder.pull(file, true, atNs)
  const streams = [...new Map(frames.map(frame => [frame.stream, frame])).values()]
  const list = streams.map(frame => `${frame.stream} (${frame.columns.filter(c => c.name !== 'index').length})`)
  const findings: Finding[] = [
    { what: 'format', text: 'NI TDMS: channels in groups' },
    { what: 'streams', text: `${list.slice(0, 12).join(', ')}${list.length > 12 ? ', …' : ''}` },
  ]
  const plain: Draft = { format: { kind: 'tdms' }, kind: 'tail', stream: 'readings', doubts: [], findings, weight: 3 }
  const without = streams.filter(hasArrival)
  if (without.length === 0) {
    return [{ ...plain, findings: [...findings, { what: 'time', text: 'in the file: timestamps or waveforms, UTC' }] }]
  }
  const counter = without.flatMap(frame => frame.columns.flatMap(column => counterOf(frame, column) ?? []))[0]
  const layout = nameLayouts.find(text => fileTimeMs(text, name) !== undefined)
  if (!counter || layout === undefined) return [{ ...plain, doubts: [arrivalDoubt(without, counter)] }]
  return [counted(plain, counter, layout, name, without), plain]
}

const arrivalDoubt = (streams: readonly Frame[], counter: Counter | undefined): Doubt => {
  const names = streams
    .map(frame => `"${frame.stream}"`)
    .slice(0, 6)
    .join(', ')
  const why = counter
    ? `"${counter.channel}" counts, but neither the file nor its name says from when`
    : 'the file says nothing of their times'
  return { path: ['format', 'time'], text: `rows of ${names} get the time at which they are read: ${why}` }
}

const counted = (plain: Draft, counter: Counter, layout: string, name: string, streams: readonly Frame[]): Draft => {
  const startMs = fileTimeMs(layout, name) ?? 0
  const start = new Date(startMs).toISOString().slice(0, 16).replace('T', ' ')
  const rename: Settings = {}
  for (const frame of streams) {
    for (const column of frame.columns) {
      if (column.type === 'text' && /^(?:time ?stamp|date|time)\b/i.test(column.name))
        rename[`${frame.stream}/${column.name}`] = 'instrument_clock'
    }
  }
  const doubts: Doubt[] = [
    {
      path: ['format', 'time', 'start'],
      text: `"${counter.channel}" counts ${counter.unit} from a start: assumed ${start}, which the name of the file carries as ${layout}`,
    },
  ]
  if (!counter.isNamed)
    doubts.push({ path: ['format', 'time', 'unit'], text: `"${counter.channel}" names no unit: seconds are assumed` })
  if (Object.keys(rename).length > 0) {
    doubts.push({
      path: ['format', 'rename'],
      text: `${Object.keys(rename).join(', ')}: another clock, kept as text and not taken for the time of a row`,
    })
  }
  return {
    ...plain,
    format: {
      kind: 'tdms',
      ...(Object.keys(rename).length > 0 && { rename }),
      time: { channel: counter.channel, ...(counter.unit !== 's' && { unit: counter.unit }), start: { file: layout } },
    },
    local: true,
    doubts,
    findings: [...plain.findings, { what: 'time', text: `"${counter.channel}" since ${start} (name of the file)` }],
    weight: 3.4,
  }
}
