/** What readings amount to without being stored: per stream its columns, first rows and span, and what was rejected. */
import {
  type Column,
  type Frame,
  formatNs,
  type Json,
  type Reject,
  rowNs,
  STATUS_COLUMN,
  zoneOf,
} from '@penstock/frame'

export type SampleValue = Json | { length: number; min: number; max: number }
export interface SampleRow {
  /** ISO 8601, UTC. */
  time: string
  /** ISO 8601 with the offset of the zone. */
  local: string
  /** In the order of the stream's columns. */
  values: SampleValue[]
  /** `null` is ok. */
  status: string | null
}
export interface SampleStream {
  site: string
  device: string
  stream: string
  /** IANA zone of the local times. */
  zone: string
  rows: number
  /** Without the status. */
  columns: { name: string; unit?: string; type: Column['type'] }[]
  first: SampleRow[]
  firstTime?: string
  lastTime?: string
  attributes?: Record<string, string>
}
export interface SampleTotals {
  streams: SampleStream[]
  /** The first ones. */
  rejects: Reject[]
  rowsRead: number
  rowsRejected: number
}

export interface SampleLimits {
  /** So many first rows are kept of each stream. */
  rowsMax: number
  rejectsMax: number
  /** Rows of further streams are only counted. Default 100. */
  streamsMax?: number
}

export interface SampleCollector {
  /** @param batch `rowsRead` and `rowsRejected` where a decoder counted them: a reject may stand for more than one row */
  take(batch: { frames: readonly Frame[]; rejects: readonly Reject[]; rowsRead?: number; rowsRejected?: number }): void
  result(): SampleTotals
}

const streamsMaxDefault = 100

interface Gathered {
  stream: SampleStream
  columns: Map<string, SampleStream['columns'][number]>
  first: (Omit<SampleRow, 'values'> & { values: Map<string, SampleValue> })[]
  firstNs: bigint | undefined
  lastNs: bigint | undefined
}

/** @param zoneFor the zone in which the times of a site are shown */
export const createSampleCollector = (limits: SampleLimits, zoneFor: (site: string) => string): SampleCollector => {
  const { rowsMax, rejectsMax, streamsMax = streamsMaxDefault } = limits
  const gathered = new Map<string, Gathered>()
  const rejects: Reject[] = []
  let rowsRead = 0
  let rowsRejected = 0

  const gather = (frame: Frame): Gathered | undefined => {
    const { site, device, stream } = frame
    const key = `${site}\n${device}\n${stream}`
    let one = gathered.get(key)
    if (!one && gathered.size < streamsMax) {
      const attributes = frame.origin?.attributes
      one = {
        stream: {
          site,
          device,
          stream,
          zone: zoneFor(site),
          rows: 0,
          columns: [],
          first: [],
          ...(attributes && { attributes }),
        },
        columns: new Map(),
        first: [],
        firstNs: undefined,
        lastNs: undefined,
      }
      gathered.set(key, one)
    }
    return one
  }
  const takeFrame = (frame: Frame) => {
    const one = gather(frame)
    if (!one) return
    one.stream.rows += frame.offsetsNs.length
    for (const { name, unit, type } of frame.columns) {
      if (name === STATUS_COLUMN || one.columns.has(name)) continue
      one.columns.set(name, { name, ...(unit !== undefined && { unit }), type })
    }
    for (let i = 0; i < frame.offsetsNs.length && one.first.length < rowsMax; i++)
      one.first.push(rowOf(frame, i, one.stream.zone))
    const span = spanOf(frame)
    if (span && (one.firstNs === undefined || span[0] < one.firstNs)) one.firstNs = span[0]
    if (span && (one.lastNs === undefined || span[1] > one.lastNs)) one.lastNs = span[1]
  }
  return {
    take({ frames, rejects: more, ...counted }) {
      const rejected = counted.rowsRejected ?? more.length
      rowsRead += counted.rowsRead ?? frames.reduce((sum, frame) => sum + frame.offsetsNs.length, rejected)
      rowsRejected += rejected
      for (const frame of frames) takeFrame(frame)
      rejects.push(...more.slice(0, Math.max(0, rejectsMax - rejects.length)))
    },
    result: () => ({ streams: [...gathered.values()].map(streamOf), rejects, rowsRead, rowsRejected }),
  }
}

const streamOf = ({ stream, columns, first, firstNs, lastNs }: Gathered): SampleStream => {
  const list = [...columns.values()]
  return {
    ...stream,
    columns: list,
    // A column that came with a later frame is a hole in the rows before it.
    first: first.map(({ values, ...row }) => ({ ...row, values: list.map(({ name }) => values.get(name) ?? null) })),
    ...(firstNs !== undefined && { firstTime: formatNs(firstNs) }),
    ...(lastNs !== undefined && { lastTime: formatNs(lastNs) }),
  }
}

const spanOf = ({ startNs, offsetsNs }: Frame): [bigint, bigint] | undefined => {
  let low = Number.POSITIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  for (const offset of offsetsNs) {
    if (offset < low) low = offset
    if (offset > high) high = offset
  }
  return high < low ? undefined : [startNs + BigInt(low), startNs + BigInt(high)]
}

const rowOf = (frame: Frame, i: number, zone: string): Gathered['first'][number] => {
  const ns = rowNs(frame, i)
  const values = new Map<string, SampleValue>()
  let status: string | null = null
  for (const column of frame.columns) {
    if (column.name === STATUS_COLUMN) status = (column.values[i] as string | null | undefined) ?? null
    else values.set(column.name, cellOf(column, i))
  }
  return { time: formatNs(ns), local: localIso(ns, zone), values, status }
}

const cellOf = (column: Column, i: number): SampleValue => {
  if (column.type === 'vector') {
    const curve = column.values[i] ?? new Float64Array(0)
    let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
    for (const value of curve) {
      if (value < min) min = value
      if (value > max) max = value
    }
    return curve.length === 0 ? null : { length: curve.length, min, max }
  }
  const value = column.values[i] ?? null
  return typeof value === 'number' && !Number.isFinite(value) ? null : value
}

/** ISO 8601 with the zone's offset at that moment: 2022-03-14T19:07:54.553786+09:00. */
export const localIso = (ns: bigint, zone: string): string => {
  const ms = Number(ns / 1_000_000n)
  const offsetMs = zoneOf(zone).offsetMs(ms)
  const minutes = Math.round(Math.abs(offsetMs) / 60_000)
  const digits = (n: number) => String(n).padStart(2, '0')
  const local = formatNs(ns + BigInt(offsetMs) * 1_000_000n).slice(0, -1)
  return `${local}${offsetMs < 0 ? '-' : '+'}${digits(Math.floor(minutes / 60))}:${digits(minutes % 60)}`
}
