/**
 * The stored rows of local days, as the historian has them. The rollup alone writes them, so those of days that it was
 * just at are held in memory: an hour that goes on is computed every second and read once.
 */
import type { Aggregate, Historian, Level, Resolution } from '../../historian.ts'
import { nextDayStartMs, type Site } from '../../sites.ts'
import { toMs, toNs } from './combine.ts'

/** All rows of one stream of a site that start within one local day. */
export interface StoredDay {
  site: Site
  stream: string
  startMs: number
  endMs: number
  rows(level: Level, resolution: Resolution): Iterable<Aggregate>
}
type Table = Map<string, Aggregate>
type Day = StoredDay & { tables: Map<string, Table>; size: number }

export const rowKey = (row: Aggregate): string => JSON.stringify([`${row.startNs}`, row.device, row.column])
const dayKey = (site: string, stream: string, startMs: number): string => JSON.stringify([site, stream, startMs])

/** @param rowsMax rows held in memory between two calls of `trim` */
export const createStored = (historian: Pick<Historian, 'readAggregates'>, rowsMax: number) => {
  /** The day used last comes last. */
  const days = new Map<string, Day>()

  const tableOf = (day: Day, { level, resolution }: Aggregate): Table => {
    const key = level + resolution
    const table = day.tables.get(key) ?? new Map<string, Aggregate>()
    day.tables.set(key, table)
    return table
  }
  const put = (day: Day, row: Aggregate): void => {
    const table = tableOf(day, row)
    const before = table.size
    if (row.rows > 0) table.set(rowKey(row), row)
    else table.delete(rowKey(row))
    day.size += table.size - before
  }

  const read = async (stream: string, missing: readonly Day[]): Promise<void> => {
    if (missing.length === 0) return
    const fromNs = toNs(Math.min(...missing.map(day => day.startMs)))
    const untilNs = toNs(Math.max(...missing.map(day => day.endMs)))
    const bySite = new Map<string, Day[]>()
    for (const day of missing) bySite.set(day.site.id, [...(bySite.get(day.site.id) ?? []), day])
    for (const resolution of ['hour', 'day'] as const) {
      const query = { resolution, stream, sites: [...bySite.keys()], fromNs, toNs: untilNs }
      for await (const row of historian.readAggregates(query)) {
        const ms = toMs(row.startNs)
        const day = bySite.get(row.site)?.find(({ startMs, endMs }) => ms >= startMs && ms < endMs)
        if (day) put(day, row)
      }
    }
  }

  return {
    /** The days of one stream, near each other. What is not in memory is read together. */
    async load(stream: string, wanted: readonly { site: Site; startMs: number }[]): Promise<StoredDay[]> {
      const missing: Day[] = []
      const all = wanted.map(({ site, startMs }) => {
        const key = dayKey(site.id, stream, startMs)
        const had = days.get(key)
        if (had) {
          days.delete(key)
          days.set(key, had)
          return had
        }
        const tables: Day['tables'] = new Map()
        const endMs = nextDayStartMs(site.zone, startMs)
        const rows: Day['rows'] = (level, resolution) => tables.get(level + resolution)?.values() ?? []
        const day: Day = { site, stream, startMs, endMs, rows, tables, size: 0 }
        missing.push(day)
        return day
      })
      await read(stream, missing)
      for (const day of missing) days.set(dayKey(day.site.id, stream, day.startMs), day)
      return all
    },
    /** Rows of a day that are now durable; deleted where `rows` is 0. */
    keep(day: StoredDay, rows: readonly Aggregate[]): void {
      const held = days.get(dayKey(day.site.id, day.stream, day.startMs))
      if (held) for (const row of rows) put(held, row)
    },
    /** Forgets the days that were not used for longest. */
    trim(): void {
      let size = 0
      for (const day of days.values()) size += day.size
      for (const [key, day] of days) {
        if (size <= rowsMax) return
        days.delete(key)
        size -= day.size
      }
    },
    /** Nothing is known any more, e.g. because a write failed. */
    clear: (): void => days.clear(),
  }
}
