/**
 * Yokogawa WE7000 list files: pulses of a detector. Rows `key,value`, among them the row of titles `TraceName,Time,…`;
 * then rows `index,time,height` of whole numbers, time in counts of //TimeResolution since //StartDate //StartTime.
 *
 * A pulse whose index does not follow the last one, whose time is not later, or whose height is outside of //LLD to
 * //ULD is kept, and its status says so.
 */

import type { TextDecoder } from 'node:util'
import { type Json, LIMITS, nameSchema } from '@penstock/frame'
import * as z from 'zod'
import type { Decoder, DecoderContext, Resume } from './decoder.ts'
import { createLineDecoder } from './line-decoder.ts'
import { readNumber } from './number.ts'
import { sameTimeSchema, zoneNameSchema } from './options.ts'
import { type ColumnPlan, createSink, type RowPlace, type Series, type Sink } from './series.ts'
import { spread } from './spread.ts'
import { createTimeReader, NO_TIME, timeBytes } from './time-layout.ts'
import { createZoneClock } from './zone-clock.ts'

export const STATUS_INDEX_GAP = 'index-gap'
export const STATUS_TIME_NOT_LATER = 'time-not-later'
export const STATUS_OUT_OF_BOUNDS = 'out-of-bounds'

export const we7000Schema = z
  .strictObject({
    kind: z.literal('we7000'),
    zone: zoneNameSchema
      .optional()
      .describe("IANA zone of the start in the file. Without it: the zone of the source's site"),
    stream: nameSchema.optional().describe('Without it: the stream of the source, or pulses'),
    sameTime: sameTimeSchema.default('keep'),
  })
  .describe('Yokogawa WE7000 list file (pulse heights)')
export type We7000Options = z.output<typeof we7000Schema>

/** Rows of keys that a file may begin with. */
const headerLinesMax = 1000

/** What the header says, as far as the rows need it. */
interface Meta {
  titles: string[]
  startMs: number
  /** ns of one count. */
  resolutionNs: number
  heightMin: number
  heightMax: number
  blockRows: number
  unit: string | undefined
}

export const createWe7000 = (options: We7000Options, context: DecoderContext, resume?: Resume): Decoder => {
  const zone = options.zone ?? context.zone
  const stream = options.stream ?? (context.stream || 'pulses')
  const keys: Record<string, string> = {}
  let headerLines = 0
  let inHead = true
  let meta: Meta | undefined
  let sink: Sink | undefined
  let series: Series | undefined
  let numbers = new Float64Array(0)
  const at = new Float64Array(2)

  const state = (resume?.checkpoint.state as { format?: { [key: string]: Json } } | undefined)?.format ?? {}
  let unreadable = typeof state.unreadable === 'string' ? state.unreadable : undefined
  let rows = Number(state.rows ?? 0)
  let lastIndex = typeof state.index === 'number' ? state.index : Number.NaN
  let lastCount = typeof state.count === 'number' ? state.count : Number.NaN
  const restored = state.series

  const begin = (): void => {
    inHead = false
    const found = metaOf(keys, zone)
    if (typeof found === 'string') {
      unreadable ??= found
      return
    }
    meta = found
    const unit = found.unit === undefined ? {} : { unit: found.unit }
    const plans: ColumnPlan[] = [
      { name: 'index', type: 'int', slot: 0 },
      ...found.titles.slice(2).map((name, i) => ({ name, ...unit, type: 'int' as const, slot: i + 1 })),
    ]
    numbers = new Float64Array(plans.length)
    sink = createSink(context, 'we7000', plans, options.sameTime === 'keep', restored, () => keys)
    series = sink.series(context.site, context.device, stream)
  }

  const headerLine = (text: string): void => {
    const comma = text.indexOf(',')
    const key = (comma < 0 ? text : text.slice(0, comma)).replaceAll('"', '').trim().slice(0, LIMITS.nameCharsMax)
    const value = comma < 0 ? '' : text.slice(comma + 1).trim()
    if (key !== '' && Object.keys(keys).length < LIMITS.attributesMax)
      keys[key] = value.slice(0, LIMITS.nameCharsMax * 4)
    if (++headerLines <= headerLinesMax) return
    inHead = false
    unreadable = `no row of pulses comes within the first ${headerLinesMax} lines: is this a WE7000 list file?`
  }

  const line = (
    bytes: Uint8Array,
    from: number,
    to: number,
    place: RowPlace,
    decoder: TextDecoder,
  ): string | boolean => {
    const first = bytes[from] as number
    if (inHead && unreadable === undefined) {
      if (to === from) return false
      if (first < 48 || first > 57) {
        headerLine(decoder.decode(bytes.subarray(from, to)))
        return false
      }
      begin()
    }
    if (to === from) return false
    if (!meta || !sink || !series) {
      if (unreadable === undefined) begin()
      if (!meta || !sink || !series) return unreadable ?? 'the file has no header'
    }
    return dataRow(bytes, from, to, place, meta, sink, series)
  }

  const dataRow = (
    bytes: Uint8Array,
    from: number,
    to: number,
    place: RowPlace,
    { titles, startMs, resolutionNs, heightMin, heightMax }: Meta,
    rowsSink: Sink,
    target: Series,
  ): string | boolean => {
    let p = from
    let count = 0
    for (let k = 0; k < titles.length; k++) {
      const end = cellEnd(bytes, p, to)
      const value = readNumber(bytes, p, end, 46)
      const isLast = k === titles.length - 1
      if (isLast !== (end === to))
        return `the row has ${isLast ? 'more' : 'fewer'} than the ${titles.length} cells ${titles.join(', ')}`
      if (!Number.isSafeInteger(value)) {
        const cell = Buffer.from(bytes.subarray(p, Math.min(end, p + 80))).toString('latin1')
        return `column "${titles[k]}": "${cell}" is not a whole number`
      }
      if (k === 1) count = value
      else numbers[k === 0 ? 0 : k - 1] = value
      p = end + 1
    }
    rows++
    const status = statusOf(numbers[0] as number, count, numbers[1] ?? Number.NaN, heightMin, heightMax)
    const perMs = 1e6 / resolutionNs
    const wholeMs = Math.floor(count / perMs)
    at[0] = startMs + wholeMs
    at[1] = (count - wholeMs * perMs) * resolutionNs
    spread(target, at, options.sameTime)
    rowsSink.add(target, at, numbers, [], status, place)
    return true
  }

  const statusOf = (
    index: number,
    count: number,
    height: number,
    heightMin: number,
    heightMax: number,
  ): string | null => {
    const gap = !Number.isNaN(lastIndex) && index !== lastIndex + 1
    const notLater = count <= lastCount
    lastIndex = index
    lastCount = count
    if (gap) return STATUS_INDEX_GAP
    if (notLater) return STATUS_TIME_NOT_LATER
    return height < heightMin || height > heightMax ? STATUS_OUT_OF_BOUNDS : null
  }

  const decoder = createLineDecoder(
    {
      name: 'we7000',
      encoding: 'utf-8',
      line: (bytes, from, to, place, _atNs, decoder) => line(bytes, from, to, place, decoder),
      flush: () => sink?.flush() ?? [],
      state: () => ({
        rows,
        index: Number.isNaN(lastIndex) ? null : lastIndex,
        count: Number.isNaN(lastCount) ? null : lastCount,
        begun: !inHead,
        ...(unreadable !== undefined && { unreadable }),
        series: sink?.state() ?? [],
      }),
      inHead: () => inHead,
      finished: () => meta !== undefined && meta.blockRows > 0 && rows >= meta.blockRows,
      end: () => (inHead && headerLines > 0 && keys.TraceName === undefined ? missing('TraceName') : undefined),
    },
    context,
    resume,
  )
  if (state.begun === true && inHead) begin()
  return decoder
}

const cellEnd = (bytes: Uint8Array, from: number, to: number): number => {
  let p = from
  while (p < to && bytes[p] !== 44) p++
  return p
}

const missing = (key: string): string => `the header has no row "${key}": is this a WE7000 list file?`

/** What the keys say, or why the rows below them cannot be read. */
const metaOf = (keys: Readonly<Record<string, string>>, zone: string): Meta | string => {
  for (const key of ['TraceName', '//StartDate', '//StartTime', '//TimeResolution']) {
    if (!Object.hasOwn(keys, key)) return missing(key)
  }
  const titles = ['index', ...(keys.TraceName ?? '').split(',').map(title => title.trim())]
  if (titles.length < 2 || new Set(titles).size !== titles.length || titles.includes('')) {
    return `the row "TraceName,${keys.TraceName}" does not name the columns`
  }
  const startText = new TextEncoder().encode(`${keys['//StartDate']} ${keys['//StartTime']}`)
  const at = new Float64Array(2)
  if (createTimeReader('YYYY/MM/DD HH:mm:ss')(timeBytes(startText), 0, startText.length, at) === NO_TIME) {
    return `//StartDate and //StartTime "${keys['//StartDate']} ${keys['//StartTime']}" are no time`
  }
  const resolutionNs = Math.round(Number(keys['//TimeResolution']) * 1e9)
  if (resolutionNs !== 1 && resolutionNs !== 1000 && resolutionNs !== 1e6) {
    return `//TimeResolution "${keys['//TimeResolution']}" is none of 1e-9, 1e-6 and 1e-3 s`
  }
  const bound = (key: string, none: number): number => {
    const value = Number.parseFloat(keys[key] ?? '')
    return Number.isNaN(value) ? none : value
  }
  return {
    titles,
    startMs: createZoneClock(zone, false).toUtc(at[0] as number, { inside: false, local: 0, second: false }),
    resolutionNs,
    heightMin: bound('//LLD', Number.NEGATIVE_INFINITY),
    heightMax: bound('//ULD', Number.POSITIVE_INFINITY),
    blockRows: bound('BlockSize', 0),
    unit: keys.VUnit === undefined || keys.VUnit === '' || keys.VUnit === '?' ? undefined : keys.VUnit,
  }
}
