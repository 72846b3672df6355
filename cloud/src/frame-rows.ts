/**
 * Rows, one at a time, into frames: for ways in that carry a row here and a row there, of many series.
 *
 * Nothing is dropped on the way. A column that comes with values of two kinds makes two frames, for the historian keeps
 * both. A historian's row is replaced whole, so values of one series and time are brought together into one row here.
 */
import { createHash } from 'node:crypto'
import { type Column, type Frame, LIMITS, STATUS_COLUMN } from '@penstock/frame'

export type CellKind = 'float' | 'int' | 'bool' | 'text' | 'vector'
export interface Cell {
  name: string
  kind: CellKind
  /** null: a hole of this kind. */
  value: CellValue | null
  unit?: string
}
export type CellValue = number | boolean | string | Float64Array
export interface Series {
  site: string
  device: string
  stream: string
}

export interface FrameRows {
  /**
   * Adds values. Where the series has a row of this time, they join it as far as their columns are free there; for columns
   * that are taken, `replace` lets the later value hold, and `shift` makes a row of them the next free microsecond later.
   */
  add(series: Series, timeNs: bigint, cells: readonly Cell[], onTaken: 'replace' | 'shift'): void
  /** In the order in which their first rows came. */
  frames(): Frame[]
}

interface Lane {
  unit?: string
  kind: CellKind
  values: (CellValue | null)[]
}
/** What becomes one frame. */
interface Part {
  startNs: bigint
  times: bigint[]
  lanes: Map<string, Lane>
}
interface Place {
  part: Part
  row: number
}
interface Group {
  series: Series
  parts: Part[]
  places: Map<bigint, Place>
  /** By a taken time: where a free one was found last. */
  shifted: Map<bigint, bigint>
}

const offsetMax = 2n ** 53n
const shiftNs = 1000n

export const createFrameRows = (): FrameRows => {
  const groups = new Map<string, Group>()
  const groupOf = (series: Series): Group => {
    const key = `${series.site}\n${series.device}\n${series.stream}`
    let group = groups.get(key)
    if (!group) {
      group = { series, parts: [], places: new Map(), shifted: new Map() }
      groups.set(key, group)
    }
    return group
  }
  return {
    add(series, timeNs, cells, onTaken) {
      const group = groupOf(series)
      const there = group.places.get(timeNs)
      if (!there) return begin(group, timeNs, cells)
      if (fits(there.part, timeNs, cells) && (onTaken === 'replace' || isFree(there, cells))) return set(there, cells)
      let ns = group.shifted.get(timeNs) ?? timeNs + shiftNs
      for (let next = group.places.get(ns); next; next = group.places.get(ns)) {
        if (fits(next.part, ns, cells) && isFree(next, cells)) return set(next, cells)
        ns += shiftNs
      }
      group.shifted.set(timeNs, ns)
      begin(group, ns, cells)
    },
    frames: () => [...groups.values()].flatMap(group => group.parts.map(part => frameOf(group.series, part))),
  }
}

const isNumber = (kind: CellKind): boolean => kind === 'int' || kind === 'float'
const sameKind = (a: CellKind, b: CellKind): boolean => a === b || (isNumber(a) && isNumber(b))

/** Whether the part can hold such a row: offsets below 2^53 ns, one kind a column, not too many columns. */
const fits = (part: Part, timeNs: bigint, cells: readonly Cell[]): boolean => {
  const apart = timeNs - part.startNs
  if (apart >= offsetMax || apart <= -offsetMax) return false
  if (part.lanes.size + cells.length > LIMITS.columnsPerFrameMax && cells.some(c => !part.lanes.has(c.name)))
    return false
  for (const { name, kind } of cells) {
    const lane = part.lanes.get(name)
    if (lane && !sameKind(lane.kind, kind)) return false
  }
  return true
}
const isFree = ({ part, row }: Place, cells: readonly Cell[]): boolean => {
  for (const { name } of cells) if ((part.lanes.get(name)?.values[row] ?? null) !== null) return false
  return true
}

const begin = (group: Group, timeNs: bigint, cells: readonly Cell[]): void => {
  let part = group.parts.at(-1)
  if (part === undefined || !fits(part, timeNs, cells)) part = group.parts.find(p => fits(p, timeNs, cells))
  if (!part) {
    part = { startNs: timeNs, times: [], lanes: new Map() }
    group.parts.push(part)
  }
  const place = { part, row: part.times.push(timeNs) - 1 }
  group.places.set(timeNs, place)
  set(place, cells)
}

const set = ({ part, row }: Place, cells: readonly Cell[]): void => {
  for (const { name, kind, value, unit } of cells) {
    let lane = part.lanes.get(name)
    if (!lane) {
      lane = { kind, values: [] }
      part.lanes.set(name, lane)
    }
    if (kind === 'float' && lane.kind === 'int') lane.kind = 'float'
    if (unit !== undefined) lane.unit = unit
    while (lane.values.length < row) lane.values.push(null)
    lane.values[row] = value
  }
}

const frameOf = (series: Series, { startNs, times, lanes }: Part): Frame => ({
  ...series,
  startNs,
  offsetsNs: Float64Array.from(times, t => Number(t - startNs)),
  columns: [...lanes].map(([name, lane]) => columnOf(name, lane, times.length)),
})

const columnOf = (name: string, { kind, unit, values }: Lane, rows: number): Column => {
  while (values.length < rows) values.push(null)
  const head = unit === undefined ? { name } : { name, unit }
  switch (kind) {
    case 'int':
    case 'float':
      return { ...head, type: kind, values: values as (number | null)[] }
    case 'bool':
      return { ...head, type: kind, values: values as (boolean | null)[] }
    case 'text':
      return { ...head, type: kind, values: values as (string | null)[] }
    case 'vector':
      return { ...head, type: kind, values: values.map(v => (v instanceof Float64Array ? v : new Float64Array())) }
  }
}

/** A cell of a whole number: as a number where a double holds it exactly, beyond ±2^53 as its digits in text. */
export const integerCell = (name: string, value: number | bigint): Cell => {
  const number = Number(value)
  if (Number.isSafeInteger(number)) return { name, kind: 'int', value: number }
  return { name, kind: 'text', value: String(value) }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a name may not hold
const control = /[\u0000-\u001f\u007f]/g
/** A site, device, stream or column from what somebody wrote: control characters are percent-encoded, over 256 characters end in a hash. */
export const fitName = (text: string): string => {
  const printable = text.replace(control, c => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
  if (printable.length <= LIMITS.nameCharsMax) return printable
  const hash = createHash('sha256').update(printable).digest('base64url').slice(0, 16)
  return `${printable.slice(0, LIMITS.nameCharsMax - hash.length - 1).replace(/[\ud800-\udbff]$/, '')}#${hash}`
}

/** A column's name. `status` has a meaning of its own in a frame and is not what a foreign field of this name says. */
export const columnName = (text: string): string => (text === STATUS_COLUMN ? `${STATUS_COLUMN}_` : fitName(text))
