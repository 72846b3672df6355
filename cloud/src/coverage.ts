/**
 * What was expected of every sensor against what it delivered, hour by local hour, from the rollup's rows.
 *
 * A sensor is expected in the hours in which its site is open, from its first reading on (of a configured sensor that never
 * delivered: from the first reading of its site), up to the last hour that has ended. A local day has 23, 24 or 25 hours.
 */
import { MS_PER_HOUR, type Zone } from '@penstock/frame'
import type { Historian, StreamInfo } from './historian.ts'
import { nextHourStartMs, type Site, type Sites } from './sites.ts'

export interface Span {
  startMs: number
  endMs: number
}
/**
 * `failed`: rows came and none with a number. `missing`: no row came. `partial`: fewer came than expected. `closed`: nothing was
 * expected, or the sensor itself said so. `before`: the sensor had not begun. `due`: it is not over yet, or only just.
 */
export type CellState = 'ok' | 'partial' | 'missing' | 'failed' | 'closed' | 'before' | 'due'

/** One sensor in one local hour. */
export interface HourCell extends Span {
  device: string
  expected: number
  /** Of the rows expected, how many came with a number. */
  had: number
  /** Rows whose measurement failed. */
  failed: number
  /** All rows that came. */
  rows: number
  state: CellState
}

/** Local hours that begin in [fromMs, toMs), in order: each ends where the next one begins. */
export const hoursBetween = (zone: Zone, fromMs: number, toMs: number): Span[] => {
  const hours: Span[] = []
  const first = zone.hourStartMs(fromMs)
  for (let startMs = first < fromMs ? nextHourStartMs(zone, first) : first; startMs < toMs; ) {
    const endMs = nextHourStartMs(zone, startMs)
    hours.push({ startMs, endMs })
    startMs = endMs
  }
  return hours
}

/** An hour is waited for so long after its end: readings take their time. */
const dueMsMax = 15 * 60_000

export interface CoverageQuery {
  site: Site
  stream: string
  /** Left out: of each hour the column that has most. */
  column?: string
  /** Left out: all that are expected. */
  sensors?: readonly string[]
  /** Hours that begin in it. */
  fromMs: number
  toMs: number
  nowMs: number
}

export interface CoverageSource {
  historian: Pick<Historian, 'readAggregates'>
  sites: Sites
  streams: readonly StreamInfo[]
}

/** The sensors that are expected to deliver a stream, with the time from which on. */
export const expectedSensors = (
  { sites, streams }: Omit<CoverageSource, 'historian'>,
  site: Site,
  stream: string,
): { device: string; fromMs: number }[] => {
  const firstMs = new Map(
    streams.filter(s => s.site === site.id && s.stream === stream).map(s => [s.device, Number(s.firstNs / 1_000_000n)]),
  )
  // Where no sensor is configured, those that have delivered are expected.
  const configured = sites.expectedDevices(site.id, stream)
  const devices = site.devices.length > 0 ? configured : [...firstMs.keys()]
  const begunMs = Math.min(...firstMs.values())
  return [...new Set(devices)].sort(numeric.compare).map(device => ({
    device,
    fromMs: site.zone.hourStartMs(Number.isFinite(begunMs) ? (firstMs.get(device) ?? begunMs) : 0),
  }))
}
const numeric = new Intl.Collator('en', { numeric: true })

/** Every hour of every expected sensor, sensor by sensor in order of time. None where the configuration does not say what is expected. */
export const coverage = async (source: CoverageSource, query: CoverageQuery): Promise<Map<string, HourCell[]>> => {
  const { site, stream, sensors, fromMs, toMs, nowMs } = query
  const begun = source.streams.some(s => s.site === site.id && s.stream === stream)
  const wanted = expectedSensors(source, site, stream).filter(({ device }) => sensors?.includes(device) ?? true)
  const hours = hoursBetween(site.zone, fromMs, toMs).flatMap(hour => {
    const expected = source.sites.expectedRows(site.id, stream, hour.startMs, hour.endMs)
    return expected === null ? [] : [{ ...hour, expected }]
  })
  const had = await readHad(source.historian, query)
  return new Map(
    wanted.map(({ device, fromMs: firstMs }) => [
      device,
      hours.map(hour => {
        const row = had.get(device)?.get(hour.startMs)
        const figures = { had: Math.min(row?.n ?? 0, hour.expected), failed: row?.failed ?? 0, rows: row?.rows ?? 0 }
        const before = !begun || hour.startMs < firstMs
        return { device, ...hour, ...figures, state: stateOf(hour, row, before, nowMs) }
      }),
    ]),
  )
}

interface Had {
  n: number
  failed: number
  closed: number
  rows: number
}

const stateOf = (
  hour: Span & { expected: number },
  row: Had | undefined,
  before: boolean,
  nowMs: number,
): CellState => {
  if (hour.expected === 0) return 'closed'
  if (before) return 'before'
  if (row && row.n >= hour.expected) return 'ok'
  if (hour.endMs + dueMsMax > nowMs) return 'due'
  if (!row || row.rows === 0) return 'missing'
  if (row.n > 0) return 'partial'
  return row.closed > 0 && row.failed === 0 ? 'closed' : 'failed'
}

/** By device and start of the hour: the column with most numbers. */
const readHad = async (
  historian: Pick<Historian, 'readAggregates'>,
  { site, stream, column, sensors, fromMs, toMs }: CoverageQuery,
): Promise<Map<string, Map<number, Had>>> => {
  const found = new Map<string, Map<number, Had>>()
  const one = sensors?.length === 1 ? sensors[0] : undefined
  for await (const row of historian.readAggregates({
    ...{ level: 'sensor', resolution: 'hour', site: site.id, stream },
    ...(column !== undefined && { column }),
    ...(one !== undefined && { device: one }),
    fromNs: BigInt(fromMs) * 1_000_000n,
    toNs: BigInt(toMs) * 1_000_000n,
  })) {
    const hours = found.get(row.device) ?? new Map<number, Had>()
    found.set(row.device, hours)
    const startMs = Number(row.startNs / 1_000_000n)
    const other = hours.get(startMs)
    if (!other || row.n > other.n || (row.n === other.n && row.failed > other.failed)) hours.set(startMs, row)
  }
  return found
}

/** Hours of one local day, one after the other, as one. */
export interface DayCell extends Span {
  device: string
  date: string
  expected: number
  had: number
  failed: number
  rows: number
  state: CellState
  /** Hours in which the site is open and the sensor was expected, and those of them that are not whole. */
  hours: number
  missingHours: number
  failedHours: number
  partialHours: number
}

export const daysOf = (zone: Zone, cells: readonly HourCell[]): DayCell[] => {
  const days = new Map<string, HourCell[]>()
  for (const cell of cells) {
    const { date } = zone.parts(cell.startMs)
    const day = days.get(date)
    if (day) day.push(cell)
    else days.set(date, [cell])
  }
  return [...days].map(([date, hours]) => dayOf(date, hours))
}

const dayOf = (date: string, hours: readonly HourCell[]): DayCell => {
  // What is not asked of the sensor, or not yet, is no part of its day.
  const counted = hours.filter(({ state }) => state !== 'closed' && state !== 'before' && state !== 'due')
  const sum = (pick: (cell: HourCell) => number) => counted.reduce((total, cell) => total + pick(cell), 0)
  const of = (state: CellState) => counted.filter(cell => cell.state === state).length
  const figures = { missingHours: of('missing'), failedHours: of('failed'), partialHours: of('partial') }
  return {
    device: hours[0]?.device ?? '',
    date,
    startMs: hours[0]?.startMs ?? 0,
    endMs: hours.at(-1)?.endMs ?? 0,
    expected: sum(cell => cell.expected),
    had: sum(cell => cell.had),
    failed: sum(cell => cell.failed),
    rows: sum(cell => cell.rows),
    hours: counted.length,
    ...figures,
    state: dayState(hours, counted.length, figures),
  }
}

const dayState = (
  hours: readonly HourCell[],
  counted: number,
  { missingHours, failedHours, partialHours }: Pick<DayCell, 'missingHours' | 'failedHours' | 'partialHours'>,
): CellState => {
  if (counted === 0) {
    if (hours.some(({ state }) => state === 'due')) return 'due'
    return hours.some(({ state }) => state === 'before') ? 'before' : 'closed'
  }
  if (missingHours === counted) return 'missing'
  if (missingHours + failedHours === counted) return 'failed'
  return missingHours + failedHours + partialHours > 0 ? 'partial' : 'ok'
}

/** Sensor-hours that one question may be about. */
export const sensorHoursMax = 250_000
export const sensorHours = (sensors: number, fromMs: number, toMs: number): number =>
  sensors * Math.ceil(Math.max(0, toMs - fromMs) / MS_PER_HOUR)
