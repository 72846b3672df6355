/** Rows of one series as CSV: a line a row, in UTC and in the local time of the site; curves are numbers with a blank between. */
import { type Column, type Frame, formatNs, NS_PER_MS, rowNs, type Zone } from '@penstock/frame'
import type { StreamInfo } from '../historian.ts'
import { csvLine } from './csv.ts'

type CsvColumn = StreamInfo['columns'][number]

/** `curve`: what is kept of a curve. */
export async function* readingsCsv(
  frames: AsyncIterable<Frame>,
  columns: readonly CsvColumn[],
  zone: Zone,
  curve: (values: Float64Array) => Float64Array,
): AsyncGenerator<string> {
  const heads = columns.map(({ name, unit }) => (unit === undefined || unit === '' ? name : `${name} [${unit}]`))
  yield csvLine(['time', `local time (${zone.name})`, ...heads])
  for await (const frame of frames) {
    const own = columns.map(({ name }) => frame.columns.find(column => column.name === name))
    for (let i = 0; i < frame.offsetsNs.length; i++) {
      const ns = rowNs(frame, i)
      yield csvLine([formatNs(ns), localText(ns, zone), ...own.map(column => cellOf(column, i, curve))])
    }
  }
}

const cellOf = (column: Column | undefined, i: number, curve: (values: Float64Array) => Float64Array) => {
  const value = column?.values[i] ?? null
  if (value instanceof Float64Array) return curve(value).join(' ')
  return typeof value === 'number' && !Number.isFinite(value) ? null : value
}

/** `2026-03-01 09:00:00.123+01:00` */
const localText = (ns: bigint, zone: Zone): string => {
  const ms = Number(ns / BigInt(NS_PER_MS))
  const offset = zone.offsetMs(ms)
  const minutes = Math.round(Math.abs(offset) / 60_000)
  const two = (n: number) => String(n).padStart(2, '0')
  const text = new Date(ms + offset).toISOString().slice(0, -1).replace('T', ' ')
  return `${text}${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
}
