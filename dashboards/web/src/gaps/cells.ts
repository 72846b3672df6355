/** The places of the map, each with the gaps that lie in it. */
import type { Cause } from './url.ts'
import type { Cell, Coverage, Gap, Gaps } from './use-gaps.ts'

export interface Place {
  cell: Cell
  /** Longest first. */
  gaps: Gap[]
}
export interface MapRow {
  sensor: string
  name: string
  /** By column of the map; none where the sensor has no such place. */
  places: (Place | undefined)[]
}
export interface GapMap {
  /** Starts of the columns: dates, or times of a day with their offset. */
  columns: { key: string; date: string; hour: number | null }[]
  rows: MapRow[]
}

const overlapMs = (cell: Cell, gap: Gap): number =>
  Math.min(Date.parse(cell.end), Date.parse(gap.to)) - Math.max(Date.parse(cell.start), Date.parse(gap.from))

/** @param cause only gaps of this one are marked */
export const mapOf = (coverage: Coverage, gaps: Gaps, cause: Cause | undefined): GapMap => {
  const columns = new Map<string, GapMap['columns'][number]>()
  const cells = new Map<string, Map<string, Cell>>()
  for (const cell of coverage.rows) {
    const key = cell.hour === null ? cell.date : cell.start
    if (!columns.has(key)) columns.set(key, { key, date: cell.date, hour: cell.hour })
    const own = cells.get(cell.sensor) ?? new Map<string, Cell>()
    cells.set(cell.sensor, own)
    own.set(key, cell)
  }
  const ofSensor = new Map<string, Gap[]>()
  for (const gap of gaps.gaps) {
    if (cause !== undefined && gap.cause !== cause) continue
    const own = ofSensor.get(gap.sensor)
    if (own) own.push(gap)
    else ofSensor.set(gap.sensor, [gap])
  }
  return {
    columns: [...columns.values()],
    rows: coverage.sensors.map(({ id, name }) => ({
      ...{ sensor: id, name },
      places: [...columns.keys()].map(key => {
        const cell = cells.get(id)?.get(key)
        return cell && { cell, gaps: gapsIn(cell, ofSensor.get(id) ?? []) }
      }),
    })),
  }
}

const gapsIn = (cell: Cell, gaps: readonly Gap[]): Gap[] =>
  gaps.filter(gap => overlapMs(cell, gap) > 0).sort((a, b) => overlapMs(cell, b) - overlapMs(cell, a))

/** Hours in which no sensor is expected are left out at both ends of a day. */
export const trimmed = (map: GapMap): GapMap => {
  const open = map.columns.map((_, i) => map.rows.some(row => (row.places[i]?.cell.expected ?? 0) > 0))
  const first = open.indexOf(true)
  const last = open.lastIndexOf(true)
  if (first < 0) return map
  return {
    columns: map.columns.slice(first, last + 1),
    rows: map.rows.map(row => ({ ...row, places: row.places.slice(first, last + 1) })),
  }
}
