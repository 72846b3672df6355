/**
 * The store counts by brute force: an oracle that shares nothing with the product. It reads the CSV with split(), keeps
 * maps of plain objects, and computes the four tables and their baselines by definition.
 */
export interface OracleRow {
  store: string
  sensor: string | null
  date: string
  hour: number | null
  weekday: number
  count: number
  status: 'ok' | 'failed' | 'closed'
  baseline: number
  changePercent: number | null
}
export type Level = 'store' | 'sensor'
export type Resolution = 'hour' | 'day'

export interface Oracle {
  rowsRead: number
  rejected: number
  table(level: Level, resolution: Resolution): OracleRow[]
}

export const readStoreCounts = (text: string): Oracle => {
  const lines = text
    .split('\n')
    .slice(1)
    .filter(line => line !== '')
  let rejected = 0
  // The same date, hour, shop and sensor again replaces: exact duplicates count once.
  const cells = new Map<string, { store: string; sensor: string; date: string; hour: number; raw: number }>()
  for (const line of lines) {
    const [date = '', hour = '', store = '', sensor = '', count = ''] = line.split(',')
    if ([date, hour, store, sensor, count].some(field => field === 'NULL' || field === '')) {
      rejected++
      continue
    }
    cells.set([date, hour, store, sensor].join(), { store, sensor, date, hour: Number(hour), raw: Number(count) })
  }
  const status = (raw: number) => (raw === -1 ? 'failed' : raw === -2 ? 'closed' : 'ok')
  const table = (level: Level, resolution: Resolution): OracleRow[] => {
    const rows = new Map<string, OracleRow>()
    for (const cell of cells.values()) {
      const sensor = level === 'sensor' ? cell.sensor : null
      const hour = resolution === 'hour' ? cell.hour : null
      const key = JSON.stringify([cell.store, sensor, cell.date, hour])
      const weekday = (new Date(`${cell.date}T00:00:00Z`).getUTCDay() + 6) % 7
      const row: OracleRow = rows.get(key) ?? {
        store: cell.store, sensor, date: cell.date, hour, weekday, count: 0, status: 'ok', baseline: 0, changePercent: null,
      } // biome-ignore format: one line a row
      if (status(cell.raw) === 'ok') row.count += cell.raw
      if (level === 'sensor' && resolution === 'hour') row.status = status(cell.raw)
      rows.set(key, row)
    }
    const sorted = [...rows.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
    const partitions = new Map<string, OracleRow[]>()
    for (const row of sorted) {
      const partition = JSON.stringify([row.store, row.sensor, row.weekday, row.hour])
      const before = partitions.get(partition) ?? []
      before.push(row)
      partitions.set(partition, before)
      const window = before.slice(-4)
      row.baseline = window.reduce((sum, r) => sum + r.count, 0) / window.length
      row.changePercent = row.baseline === 0 ? null : (100 * (row.count - row.baseline)) / row.baseline
    }
    return sorted
  }
  return { rowsRead: lines.length, rejected, table }
}

/** Sorts by store, sensor, date, hour. */
export const keyOf = (row: { store: string; sensor: string | null; date: string; hour: number | null }): string =>
  [row.store, (row.sensor ?? '').padStart(4, '0'), row.date, String(row.hour ?? '').padStart(2, '0')].join('|')
