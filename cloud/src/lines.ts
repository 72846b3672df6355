/**
 * What points of line protocol mean here: measurement → stream, tags → site and device, fields → columns.
 *
 *     cpu,host=web-1,cpu=cpu0,site=lab usage=0.5   →   site lab · device "web-1,cpu=cpu0" · stream cpu · usage, cpu
 *
 * In InfluxDB all tags together name a series. So here: what is left of them after site and device goes into the device's
 * name, sorted, or points of one time (a host's cores) would replace each other. They also are text columns of their own.
 */
import { type Frame, NS_PER_MS, type Reject } from '@penstock/frame'
import * as z from 'zod'
import { type Cell, columnName, createFrameRows, fitName, integerCell, type Series } from './frame-rows.ts'
import { type BadLine, type Field, type Point, parseLines } from './line-protocol.ts'

const tag = z.string().min(1).max(256)
export const lineMappingSchema = z.strictObject({
  siteTags: z.array(tag).max(16).default(['site']).describe('The first of these tags that a point has names its site'),
  deviceTags: z
    .array(tag)
    .max(16)
    .default(['device', 'host'])
    .describe('The first of these that it has names its device'),
  rowTags: z
    .array(tag)
    .max(256)
    .default([])
    .describe('Tags that describe a row and not a series: columns only, no part of the device’s name'),
  defaultSite: z.string().min(1).max(256).default('default').describe('Site of points without such a tag'),
  defaultDevice: z.string().min(1).max(256).default('default').describe('Device of points without any tag'),
})
export type LineMapping = z.output<typeof lineMappingSchema>

/** ns of one unit of a request's timestamps. */
export const PRECISIONS = {
  v1: new Map([...precisions(), ['m', 60_000_000_000n], ['h', 3_600_000_000_000n]] as [string, bigint][]),
  v2: new Map(precisions()),
} as const
function precisions(): [string, bigint][] {
  return [
    ...['ns', 'n'].map((name): [string, bigint] => [name, 1n]),
    ...['us', 'u', 'µ', 'µs'].map((name): [string, bigint] => [name, 1000n]),
    ['ms', 1_000_000n],
    ['s', 1_000_000_000n],
  ]
}

export interface LinesOptions {
  mapping: LineMapping
  unitNs: bigint
  /** When the request arrived, ms since the epoch; may have a fraction. */
  at: number
  pointsMax: number
}
export interface DecodedLines {
  frames: Frame[]
  bad: BadLine[]
}

/** More of them are counted only. */
const badLinesMax = 1000
const nsMin = -(2n ** 63n)
const nsMax = 2n ** 63n - 1n

/** Pure and total. */
export const decodeLines = (bytes: Uint8Array, { mapping, unitNs, at, pointsMax }: LinesOptions): DecodedLines => {
  const rows = createFrameRows()
  const bad: BadLine[] = []
  const seriesOf = createSeriesNames(mapping)
  const arrivalNs = arrivalNsOf(at)
  let points = 0
  let more = 0
  for (const point of parseLines(bytes)) {
    if ('reason' in point) {
      if (bad.length < badLinesMax) bad.push(point)
      else more++
      continue
    }
    if (++points > pointsMax) {
      bad.push({ line: point.line, reason: `is beyond the ${pointsMax} points that one request may hold`, text: '' })
      break
    }
    const ns = point.timestamp === undefined ? arrivalNs : point.timestamp * unitNs
    if (ns < nsMin || ns > nsMax) {
      bad.push({
        line: point.line,
        reason: 'has a time beyond the years 1677 to 2262: is its precision another?',
        text: '',
      })
      continue
    }
    const { series, tags } = seriesOf(point)
    rows.add(series, ns, cellsOf(point.fields, tags), point.timestamp === undefined ? 'shift' : 'replace')
  }
  if (more > 0) bad.push({ line: 0, reason: `${more} more lines could not be read`, text: '' })
  return { frames: rows.frames(), bad }
}

/** A moment of arrival, given in ms with a fraction down to the µs, in ns. */
export const arrivalNsOf = (at: number): bigint => BigInt(Math.round(at * 1000)) * BigInt(NS_PER_MS / 1000)

interface NamedSeries {
  series: Series
  /** The tags of the point that are columns. */
  tags: (Cell & { value: string })[]
}

/** Names the series of a point; what many points have in common is worked out once. */
const createSeriesNames = ({ siteTags, deviceTags, rowTags, defaultSite, defaultDevice }: LineMapping) => {
  const describing = new Set(rowTags)
  const known = new Map<string, NamedSeries>()
  const nameSeries = ({ measurement, tags }: Point): NamedSeries => {
    const first = (names: readonly string[]) => tags.find(t => t.name === names.find(n => tags.some(x => x.name === n)))
    const site = first(siteTags)
    const device = first(deviceTags)
    const others = tags.filter(t => t !== site && t !== device)
    const identity = others.filter(t => !describing.has(t.name)).map(t => `${t.name}=${t.value}`)
    const named = [...(device ? [device.value] : []), ...identity.sort()]
    return {
      series: {
        site: fitName(site?.value ?? defaultSite),
        device: fitName(named.length > 0 ? named.join(',') : defaultDevice),
        stream: fitName(measurement),
      },
      tags: others.map(({ name, value }) => ({ name: columnName(name), kind: 'text', value })),
    }
  }
  return (point: Point): NamedSeries => {
    const had = known.get(point.head)
    if (had) return had
    const named = nameSeries(point)
    if (known.size < knownSeriesMax) known.set(point.head, named)
    return named
  }
}
const knownSeriesMax = 10_000

const cellsOf = (fields: readonly Field[], tags: NamedSeries['tags']): Cell[] => {
  const cells = fields.map(cellOf)
  for (const tag of tags) {
    // A tag may have the name of a field.
    let name = tag.name
    while (hasName(cells, name)) name = columnName(`${name}_tag`)
    cells.push(name === tag.name ? tag : { ...tag, name })
  }
  return cells
}
const hasName = (cells: readonly Cell[], name: string): boolean => {
  for (const cell of cells) if (cell.name === name) return true
  return false
}

const cellOf = ({ name, kind, value }: Field): Cell => {
  const column = columnName(name)
  if (typeof value === 'number' && kind === 'float') return { name: column, kind: 'float', value }
  if (typeof value === 'number' || typeof value === 'bigint') return integerCell(column, value)
  return typeof value === 'boolean' ? { name: column, kind: 'bool', value } : { name: column, kind: 'text', value }
}

/** What a bad line becomes where the others are taken all the same. */
export const rejectOfLine = (source: string, { line, reason, text }: BadLine, at: number): Reject => ({
  origin: { source, firstLine: line, lastLine: line, format: 'line-protocol' },
  reason: `line ${line}: ${reason}`.slice(0, 2048),
  text: text.slice(0, 4096),
  at: new Date(at).toISOString(),
})
