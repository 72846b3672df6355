/**
 * What InfluxDB does not keep of a series: the order, types and units of its columns, and with which columns its rows came.
 * One point a series in `penstock_catalog`, with all of it as JSON; all of it is also held in memory.
 *
 * - InfluxDB has one type for a field of a measurement, so a field is one (name, kind) of the stream: the first kind has the
 *   plain name, others `name:kind`. Numbers are floats, as ints and floats of one column are one series of numbers.
 * - `shapes` are the sets of columns that rows came with: a row's field `_row` is the number of its shape.
 */
import type { Column, Frame } from '@penstock/frame'
import type { SeriesKey } from '../../historian.ts'
import { CATALOG, fieldName, identifier, lineKey, lineTag, lineText, measurementName } from './names.ts'
import type { Server } from './server.ts'

export type Kind = 'number' | 'bool' | 'text'
export interface SeriesColumn {
  name: string
  kind: Kind
  /** The name under which it is read. */
  label: string
  type: 'float' | 'int' | 'bool' | 'text'
  unit?: string
  field: string
}
export interface Series extends SeriesKey {
  columns: SeriesColumn[]
  /** Indices of columns, ascending. */
  shapes: number[][]
  /** `undefined`: to be counted. */
  rows: number | undefined
  /** Of all rows that were sent. */
  firstNs: bigint
  lastNs: bigint
  /** Whether any row is stored. */
  empty: boolean
}

export const kindOf = (type: Column['type']): Kind => (type === 'bool' || type === 'text' ? type : 'number')
const keyOf = ({ site, device, stream }: SeriesKey): string => JSON.stringify([site, device, stream])

export interface Catalog {
  find(key: SeriesKey): Series | undefined
  all(): Iterable<Series>
  /** Series, columns and shapes that the frames need; changes are stored before it resolves. `refused`: what would be a series too many. */
  prepare(frames: readonly Frame[]): Promise<{ refused: Frame[] }>
}

const pageRows = 2000

export const loadCatalog = async (server: Server, { seriesMax }: { seriesMax: number }): Promise<Catalog> => {
  const all = new Map<string, Series>()
  /** By stream: fields that are taken, and whose they are. */
  const fields = new Map<string, Map<string, string>>()
  const fieldsOf = (stream: string) => {
    const had = fields.get(stream) ?? new Map<string, string>()
    fields.set(stream, had)
    return had
  }
  for (let offset = 0; ; offset += pageRows) {
    const from = `select "doc" from ${identifier(CATALOG)} limit ${pageRows} offset ${offset}`
    const values = (await server.query(from)).series[0]?.values ?? []
    for (const [, text] of values) {
      const doc = JSON.parse(String(text)) as SeriesKey & Pick<Series, 'columns' | 'shapes'>
      all.set(keyOf(doc), { ...doc, rows: undefined, firstNs: 0n, lastNs: 0n, empty: true })
      for (const { name, kind, field } of doc.columns) fieldsOf(doc.stream).set(field, `${kind} ${name}`)
    }
    if (values.length < pageRows) break
  }

  const fieldFor = (stream: string, name: string, kind: Kind): string => {
    const taken = fieldsOf(stream)
    const owner = `${kind} ${name}`
    const plain = fieldName(name)
    for (let n = 0; ; n++) {
      const field = n === 0 ? plain : n === 1 ? `${plain}:${kind}` : `${plain}:${kind}:${n}`
      if ((taken.get(field) ?? owner) !== owner) continue
      taken.set(field, owner)
      return field
    }
  }

  /** Makes what the frame needs; whether anything was missing. */
  const enlarge = (series: Series, frame: Frame): boolean => {
    let changed = false
    for (const { name, type, unit } of frame.columns) {
      if (type === 'vector') throw new Error('INTERNAL: a curve is no column of InfluxDB')
      const kind = kindOf(type)
      let column = series.columns.find(c => c.name === name && c.kind === kind)
      if (!column) {
        const label = series.columns.some(c => c.label === name) ? `${name}:${kind}` : name
        column = { name, kind, label, type, field: fieldFor(series.stream, name, kind) }
        series.columns.push(column)
        changed = true
      }
      if (column.type === 'int' && type === 'float') {
        column.type = 'float'
        changed = true
      }
      if (unit !== undefined && unit !== column.unit) {
        column.unit = unit
        changed = true
      }
    }
    const shape = shapeOf(series, frame)
    if (findShape(series, shape) >= 0) return changed
    series.shapes.push(shape)
    return true
  }

  const store = async (changed: readonly Series[]): Promise<void> => {
    const refused = await server.write(changed.map(catalogLine))
    if (refused[0]) throw new Error(`InfluxDB refused the catalog: ${refused[0].words}`)
  }

  return {
    find: key => all.get(keyOf(key)),
    all: () => all.values(),
    async prepare(frames) {
      const changed = new Set<Series>()
      const refused: Frame[] = []
      for (const frame of frames) {
        let series = all.get(keyOf(frame))
        if (!series && all.size >= seriesMax) {
          refused.push(frame)
          continue
        }
        if (!series) {
          const { site, device, stream } = frame
          series = { site, device, stream, columns: [], shapes: [], rows: 0, firstNs: 0n, lastNs: 0n, empty: true }
          all.set(keyOf(frame), series)
          changed.add(series)
        }
        if (enlarge(series, frame)) changed.add(series)
      }
      if (changed.size > 0) await store([...changed])
      return { refused }
    },
  }
}

/** Which of the series' columns the frame has. */
export const columnIndices = (series: Series, frame: Frame): number[] =>
  frame.columns.map(column => series.columns.findIndex(c => c.name === column.name && c.kind === kindOf(column.type)))
const shapeOf = (series: Series, frame: Frame): number[] => columnIndices(series, frame).sort((a, b) => a - b)
const findShape = (series: Series, shape: readonly number[]): number =>
  series.shapes.findIndex(had => had.length === shape.length && had.every((c, i) => c === shape[i]))
/** The number of the frame's shape, after `prepare`. */
export const shapeNumber = (series: Series, frame: Frame): number => findShape(series, shapeOf(series, frame))

/** `measurement,tags` of a series' rows. */
export const seriesTags = ({ site, device }: SeriesKey): string => lineTag('device', device) + lineTag('site', site)

const catalogLine = (series: Series): string => {
  const { site, device, stream, columns, shapes } = series
  const doc = JSON.stringify({ site, device, stream, columns, shapes })
  const tags = `${seriesTags(series)},stream=${lineKey(measurementName(stream))}`
  return `${CATALOG}${tags} doc=${lineText(doc)} 0`
}
