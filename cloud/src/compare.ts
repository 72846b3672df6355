/**
 * Counts of several stores, or of one store in two periods, side by side.
 *
 * A place is a local day or hour of the first series; another period's rows stand at the place that lies as many whole weeks
 * later, so that a Monday stands beside a Monday. Sums are compared over the places that every series has whole: a day that
 * one of them lacks would else count as a loss of visitors.
 */
import { MS_PER_DAY } from '@penstock/frame'
import { type CountQuery, type CountRow, counts, isComparable } from './counts.ts'
import type { Historian } from './historian.ts'
import type { Sites } from './sites.ts'

export interface SeriesQuery {
  store: string
  sensor: string | null
  /** Local dates, both included. */
  from: string
  to: string
  /** Days by which its places lie later than its dates; whole weeks. */
  shiftDays: number
}

export interface Cell {
  /** Its own local date. */
  date: string
  count: number
  status: CountRow['status']
  /** Over and as good as whole, or closed: it can stand beside others. */
  comparable: boolean
}
export interface Place {
  date: string
  hour: number | null
  weekday: number
  /** One a series; null where it has no row. */
  cells: (Cell | null)[]
}
export interface ComparedSeries extends SeriesQuery {
  rows: number
  /** Over all of its rows. */
  count: number
  /** Over the places that all series have. */
  commonCount: number
  /** Deviation of `commonCount` from that of the first series; null where that is 0. */
  changePercent: number | null
}
export interface Comparison {
  series: ComparedSeries[]
  /** Places that every series has whole and that are not closed everywhere. */
  commonPlaces: number
  places: Place[]
}

export const compare = async (
  historian: Pick<Historian, 'readAggregates'>,
  sites: Sites,
  series: readonly SeriesQuery[],
  query: Omit<CountQuery, 'level' | 'store' | 'sensor' | 'from' | 'to'>,
): Promise<Comparison> => {
  const places = new Map<string, Place>()
  for (const [index, { store, sensor, from, to, shiftDays }] of series.entries()) {
    const rows = counts(historian, sites, {
      ...query,
      ...{ level: sensor === null ? 'store' : 'sensor', store: [store], from, to },
      ...(sensor !== null && { sensor: [sensor] }),
    })
    for await (const row of rows) {
      const date = addDays(row.date, shiftDays)
      const key = `${date} ${String(row.hour ?? 0).padStart(2, '0')}`
      const place = places.get(key) ?? {
        ...{ date, hour: row.hour, weekday: row.weekday, cells: series.map(() => null) },
      }
      places.set(key, place)
      place.cells[index] = joined(place.cells[index] ?? null, row, query.now.getTime())
    }
  }
  const sorted = [...places].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, place]) => place)
  return { ...sumsOf(series, sorted), places: sorted }
}

/** The hour that an autumn night has twice is one place. */
const joined = (had: Cell | null, row: CountRow, nowMs: number): Cell => {
  const comparable = row.status === 'closed' || isComparable(row, nowMs)
  const { date, count, status } = row
  if (!had) return { date, count, status, comparable }
  return {
    date,
    count: had.count + count,
    status: had.status === status ? status : 'partial',
    comparable: had.comparable && comparable,
  }
}

const sumsOf = (series: readonly SeriesQuery[], places: readonly Place[]): Omit<Comparison, 'places'> => {
  const common = places.filter(
    ({ cells }) => cells.every(cell => cell?.comparable) && cells.some(cell => cell?.status !== 'closed'),
  )
  const sum = (of: readonly Place[], index: number) =>
    of.reduce((total, { cells }) => total + (cells[index]?.count ?? 0), 0)
  const first = sum(common, 0)
  return {
    commonPlaces: common.length,
    series: series.map((one, index) => {
      const commonCount = sum(common, index)
      return {
        ...one,
        rows: places.filter(place => place.cells[index]).length,
        count: sum(places, index),
        commonCount,
        changePercent: first === 0 ? null : (100 * (commonCount - first)) / first,
      }
    }),
  }
}

export const addDays = (date: string, days: number): string =>
  new Date(Date.parse(`${date}T00:00:00Z`) + days * MS_PER_DAY).toISOString().slice(0, 10)
/** Days of a range of dates, both included. */
export const daysBetween = (from: string, to: string): number =>
  Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / MS_PER_DAY) + 1
