/**
 * A camera image as delimited text: a grid of numbers, a row of pixels a line, no header. One file is one row of the
 * stream: the pixels row by row in one vector, the shape, and figures of them.
 *
 * The grid is whole when the file is. Until then every line counts as head: after a restart the file is read again from
 * its start, and no pixel stands in the checkpoint.
 */
import { type Json, LIMITS, STATUS_NOT_A_NUMBER } from '@penstock/frame'
import * as z from 'zod'
import { cellEnd } from './cells.ts'
import type { Decoder, DecoderContext, Resume } from './decoder.ts'
import { createLineDecoder } from './line-decoder.ts'
import { readNumber, saysNotANumber } from './number.ts'
import { delimiterSchema, encodingSchema, layoutsSchema, patternSchema, zoneNameSchema } from './options.ts'
import { type ColumnPlan, createSink, type RowPlace, type Sink } from './series.ts'
import { createTimeReader, LOCAL_TIME, NO_TIME, timeBytes } from './time-layout.ts'
import { createZoneClock } from './zone-clock.ts'

/** The last digits of a name. */
const lastNumber = '(\\d+)\\D*$'

export const imageCsvSchema = z
  .strictObject({
    kind: z.literal('image-csv'),
    encoding: encodingSchema,
    delimiter: delimiterSchema,
    decimal: z.enum(['.', ',']).default('.').describe('Decimal mark'),
    frame: z
      .union([patternSchema, z.literal(false)])
      .default(lastNumber)
      .describe(
        "Regular expression whose first group is the number of the image in the file's name without its ending; false: no column `frame`",
      ),
    time: z
      .strictObject({
        pattern: patternSchema.describe(
          "Regular expression on the file's name; its groups, one blank between them, are the time",
        ),
        layout: layoutsSchema.describe('How that time is written, e.g. YYYYMMDD HHmmss'),
        zone: zoneNameSchema.optional().describe("IANA zone of that time. Without it: the zone of the source's site"),
      })
      .optional()
      .describe(
        'The time of the image, out of the name of its file. Without it: the time of arrival, plus as many ns as the number of the image, so that images that arrive together stay apart',
      ),
    saturation: z
      .union([z.number(), z.literal(false)])
      .default(false)
      .describe('Value from which on a pixel counts as saturated; false: none are counted'),
    image: z.boolean().default(true).describe('Whether the pixels themselves are kept, beside the figures of them'),
  })
  .check(ctx => {
    const { delimiter, decimal } = ctx.value
    if (delimiter !== decimal) return
    ctx.issues.push({ code: 'custom', path: ['decimal'], input: decimal, message: 'is also the delimiter' })
  })
  .describe('Camera image as a grid of numbers: one file, one row')
export type ImageCsvOptions = z.output<typeof imageCsvSchema>

export const createImageCsv = (options: ImageCsvOptions, context: DecoderContext, resume?: Resume): Decoder => {
  const state = (resume?.checkpoint.state as { format?: { [key: string]: Json } } | undefined)?.format ?? {}
  /** The row was given, or the file refused. */
  let done = state.done === true
  let sink: Sink | undefined
  let grid = createGrid(options)

  const refuse = (): void => {
    done = true
    grid = createGrid(options)
  }
  const line = (bytes: Uint8Array, from: number, to: number, place: RowPlace): string | false => {
    if (done) return false
    const reason = grid.line(bytes, from, to, place)
    if (reason === undefined) return false
    refuse()
    return `${reason}: the image of this file is not read`
  }

  const end = (place: RowPlace, atNs: bigint | undefined): string | 1 | undefined => {
    if (done) return undefined
    const reason = grid.height() === 0 ? 'the file holds no grid of numbers' : give(atNs)
    if (grid.height() > 0) Object.assign(place, grid.place)
    refuse()
    return reason ?? 1
  }

  const give = (atNs: bigint | undefined): string | undefined => {
    const name = (context.file ?? '').split(/[/\\]/).at(-1) ?? ''
    const frame = frameOf(options.frame, name)
    if (typeof frame === 'string') return frame
    const time = timeOf(options, context.zone, name, atNs, frame)
    if (typeof time === 'string') return time
    const pixels = grid.values()
    const { names, numbers, hasHoles } = figuresOf(grid, pixels, options.saturation, frame)
    const plans: ColumnPlan[] = [
      ...(options.image ? [{ name: 'image', type: 'vector' as const, slot: 0 }] : []),
      ...names.map((column, slot) => ({ ...column, slot })),
    ]
    sink = createSink(context, 'image-csv', plans, false, undefined)
    const series = sink.series(context.site, context.device, context.stream)
    const others = options.image ? [pixels] : []
    sink.add(series, time.at, numbers, others, hasHoles ? STATUS_NOT_A_NUMBER : time.flag, grid.place)
    return undefined
  }

  return createLineDecoder(
    {
      name: 'image-csv',
      encoding: options.encoding,
      line: (bytes, from, to, place) => line(bytes, from, to, place),
      tooLong: refuse,
      flush: () => sink?.flush() ?? [],
      state: () => ({ done }),
      inHead: () => !done,
      end,
    },
    context,
    resume,
  )
}

interface Grid {
  /** Why the line is no row of the grid, if it is none. */
  line(bytes: Uint8Array, from: number, to: number, place: RowPlace): string | undefined
  width(): number
  height(): number
  /** Row by row; NaN where the file says in words that there is no number. */
  values(): Float64Array
  readonly place: RowPlace
}

const createGrid = ({ delimiter, decimal }: Pick<ImageCsvOptions, 'delimiter' | 'decimal'>): Grid => {
  const cut = delimiter.charCodeAt(0)
  const mark = decimal.charCodeAt(0)
  const all: RowPlace = { firstLine: 0, lastLine: 0, firstByte: 0, lastByte: 0 }
  let values = new Float64Array(0)
  let count = 0
  let width = 0
  let height = 0

  const put = (value: number): void => {
    if (count === values.length) {
      const larger = new Float64Array(Math.min(LIMITS.vectorLengthMax, count * 2 + 4096))
      larger.set(values)
      values = larger
    }
    values[count++] = value
  }
  const line: Grid['line'] = (bytes, from, to, place) => {
    let first = from
    while (first < to && isBlank(bytes[first], cut)) first++
    if (first === to) return undefined
    if (height === 0) Object.assign(all, place)
    all.lastLine = place.lastLine
    all.lastByte = place.lastByte
    // A delimiter that ends the line begins no cell.
    const stop = bytes[to - 1] === cut ? to - 1 : to
    const before = count
    for (let p = from; p <= stop; p++) {
      // Digits alone, as most pixels are, need one pass.
      let end = p
      let digits = 0
      while (end < stop && end < p + 9) {
        const d = (bytes[end] as number) ^ 48
        if (d > 9) break
        digits = digits * 10 + d
        end++
      }
      const isPlain = end > p && (end === stop || bytes[end] === cut)
      if (!isPlain) end = cellEnd(bytes, end, stop, cut)
      const value = isPlain ? digits : readCell(bytes, p, end, cut, mark)
      if (value === undefined) {
        const text = Buffer.from(bytes.subarray(p, Math.min(end, p + 80))).toString('utf8')
        return `line ${place.firstLine}, column ${count - before + 1}: ${text.trim() === '' ? 'is empty' : `"${text}" is not a number`}`
      }
      if (count >= LIMITS.vectorLengthMax) return `the image has more than ${LIMITS.vectorLengthMax} pixels`
      put(value)
      p = end
    }
    const cells = count - before
    if (height > 0 && cells !== width) {
      return `line ${place.firstLine} has ${cells} cells where the lines above have ${width}`
    }
    width = cells
    height++
    return undefined
  }
  return { place: all, line, width: () => width, height: () => height, values: () => values.slice(0, count) }
}

const isBlank = (c: number | undefined, delimiter: number): boolean => (c === 32 || c === 9) && c !== delimiter

const readCell = (bytes: Uint8Array, from: number, to: number, delimiter: number, mark: number): number | undefined => {
  let first = from
  while (first < to && isBlank(bytes[first], delimiter)) first++
  let stop = to
  while (stop > first && isBlank(bytes[stop - 1], delimiter)) stop--
  const value = readNumber(bytes, first, stop, mark)
  if (Number.isFinite(value)) return value
  const text = Buffer.from(bytes.subarray(first, Math.min(stop, first + 16))).toString('latin1')
  return saysNotANumber(text) || !Number.isNaN(value) ? Number.NaN : undefined
}

/** The number of the image; NaN where the name holds none and none was asked for, `undefined` without such a column. */
const frameOf = (pattern: string | false, name: string): number | undefined | string => {
  if (pattern === false) return undefined
  const found = new RegExp(pattern, 'u').exec(name.replace(/\.[^.]*$/, ''))
  const frame = Number(found?.[1] ?? Number.NaN)
  if (Number.isSafeInteger(frame) || pattern === lastNumber) return Number.isSafeInteger(frame) ? frame : Number.NaN
  return `the name "${name}" holds no number of the image where "frame" looks for it`
}

interface ImageTime {
  at: Float64Array
  flag: string | null
}

const timeOf = (
  { time }: ImageCsvOptions,
  siteZone: string,
  name: string,
  atNs: bigint | undefined,
  frame: number | undefined,
): ImageTime | string => {
  const at = new Float64Array(2)
  if (!time) {
    if (atNs === undefined) return 'the image has no time, and none of its arrival is known: say "time"'
    // Images that arrive together stay apart, in the order of their numbers.
    const ns = atNs + (frame === undefined || Number.isNaN(frame) ? 0n : BigInt(frame % 1_000_000))
    const wholeMs = ns / 1_000_000n
    at[0] = Number(wholeMs)
    at[1] = Number(ns - wholeMs * 1_000_000n)
    return { at, flag: null }
  }
  const found = new RegExp(time.pattern, 'u').exec(name)
  if (!found) return `the name "${name}" does not match the pattern of "time"`
  const groups = found.slice(1).filter(group => group !== undefined)
  const text = groups.length > 0 ? groups.join(' ') : found[0]
  const bytes = new TextEncoder().encode(text)
  const layouts = typeof time.layout === 'string' ? [time.layout] : time.layout
  for (const layout of layouts) {
    const read = createTimeReader(layout)(timeBytes(bytes), 0, bytes.length, at)
    if (read === NO_TIME) continue
    if (read !== LOCAL_TIME) return { at, flag: null }
    const clock = createZoneClock(time.zone ?? siteZone, false)
    at[0] = clock.toUtc(at[0] as number, { inside: false, local: 0, second: false })
    return { at, flag: clock.flag }
  }
  return `"${text}" in the name "${name}" is no time (${layouts.join(' or ')})`
}

interface Figures {
  names: { name: string; type: 'float' | 'int' }[]
  numbers: Float64Array
  hasHoles: boolean
}

/** Shape, min, max, mean, sum, standard deviation (of the pixels at hand, not of a sample), place of the first maximum. */
const figuresOf = (
  grid: Grid,
  values: Float64Array,
  saturation: number | false,
  frame: number | undefined,
): Figures => {
  const width = grid.width()
  const limit = saturation === false ? Number.POSITIVE_INFINITY : saturation
  let n = 0
  let sum = 0
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  let peak = Number.NaN
  let saturated = 0
  for (let i = 0; i < values.length; i++) {
    const v = values[i] as number
    if (Number.isNaN(v)) continue
    n++
    sum += v
    if (v < min) min = v
    if (v >= limit) saturated++
    if (v > max) {
      max = v
      peak = i
    }
  }
  const mean = sum / n
  let squares = 0
  for (let i = 0; i < values.length; i++) {
    const v = values[i] as number
    if (!Number.isNaN(v)) squares += (v - mean) * (v - mean)
  }
  const none = n === 0
  const figures: [string, 'float' | 'int', number][] = [
    ['height', 'int', grid.height()],
    ['width', 'int', width],
    ['min', 'float', none ? Number.NaN : min],
    ['max', 'float', none ? Number.NaN : max],
    ['mean', 'float', mean],
    ['sum', 'float', none ? Number.NaN : sum],
    ['std', 'float', Math.sqrt(squares / n)],
    ['peak_row', 'int', Math.floor(peak / width)],
    ['peak_column', 'int', peak % width],
  ]
  if (saturation !== false) figures.push(['saturated_pixels', 'int', saturated])
  if (frame !== undefined) figures.unshift(['frame', 'int', frame])
  return {
    names: figures.map(([name, type]) => ({ name, type })),
    numbers: Float64Array.from(figures, figure => figure[2]),
    hasHoles: n < values.length,
  }
}
