/**
 * OceanView (and SpectraSuite) text of spectrometers: a header of `Key: value` lines, then, behind the line
 * `>>>>>Begin Spectral Data<<<<<`, one of two tables.
 *
 *     series:  <TAB><TAB>194,638<TAB>…           the wavelength axis, decimal comma, two empty cells before it
 *              2023-10-05 08:33:12.123456<TAB>1203.4<TAB>…      a spectrum a line, decimal point
 *     single:  194,638<TAB>1203.4                a pixel a line; the spectrum's time is the Date of the header
 *
 * A file of a series gives a row a spectrum, a single one a row in all: the curve, and figures of it.
 */
import type { TextDecoder } from 'node:util'
import { type Json, LIMITS, STATUS_NOT_A_NUMBER } from '@penstock/frame'
import * as z from 'zod'
import { createAttributes } from './attributes.ts'
import { cellEnd, isBlank } from './cells.ts'
import type { Decoder, DecoderContext, Resume } from './decoder.ts'
import { createLineDecoder } from './line-decoder.ts'
import { readEitherNumber, readNumber, saysNotANumber } from './number.ts'
import { encodingSchema, sameTimeSchema, zoneNameSchema } from './options.ts'
import { type ColumnPlan, createSink, type OtherValue, type RowPlace, type Series, type Sink } from './series.ts'
import { spread } from './spread.ts'
import { abbreviations, createTimeReader, LOCAL_TIME, NO_TIME, timeBytes } from './time-layout.ts'
import { createZoneClock } from './zone-clock.ts'

export const STATUS_ZONE_UNKNOWN = 'zone-unknown'

export const oceanviewSchema = z
  .strictObject({
    kind: z.literal('oceanview'),
    encoding: encodingSchema.describe('Encoding of the header. A byte order mark wins.'),
    zone: zoneNameSchema
      .optional()
      .describe("IANA zone of the times in the file, where they name none. Without it: the zone of the source's site"),
    zones: z
      .record(z.string(), zoneNameSchema)
      .check(ctx => {
        for (const key of Object.keys(ctx.value)) {
          if (/^[A-Za-z]{1,8}$/.test(key)) continue
          ctx.issues.push({ code: 'custom', path: [key], input: key, message: 'is not an abbreviation such as EST' })
        }
      })
      .default({})
      .describe(
        'IANA zone by an abbreviation in the Date of the header, for others than UTC GMT WET WEST CET CEST EET EEST JST, e.g. {EST: America/New_York}',
      ),
    time: z
      .enum(['header', 'name'])
      .default('header')
      .describe(
        'The time of a single spectrum. header: the Date of the header, to the second. name: that day, and the time of day in the file name (…__HH-MM-SS-mmm.txt), to the ms',
      ),
    saturation: z
      .union([z.number(), z.literal(false)])
      .default(65_535)
      .describe('Intensity from which on a pixel counts as saturated; false: none are counted'),
    curve: z.boolean().default(true).describe('Whether the spectrum itself is kept, beside the figures of it'),
    sameTime: sameTimeSchema.default('keep'),
  })
  .describe('OceanView or SpectraSuite spectra: a series or a single one')
export type OceanviewOptions = z.output<typeof oceanviewSchema>

const headerLinesMax = 1000
const marker = /^\s*>+\s*Begin\b.*\bSpectral Data\s*<+\s*$/i
const endMarker = /^\s*>+\s*End\b.*\bSpectral Data\s*<+\s*$/i
const TAB = 9

export const createOceanview = (options: OceanviewOptions, context: DecoderContext, resume?: Resume): Decoder => {
  const zone = options.zone ?? context.zone
  const attributes = createAttributes()
  const name = nameParts(context.file)
  for (const [key, value] of Object.entries(name)) attributes.put(key, value)
  const state = (resume?.checkpoint.state as { format?: { [key: string]: Json } } | undefined)?.format ?? {}
  let unreadable = typeof state.unreadable === 'string' ? state.unreadable : undefined
  let isSingle = state.single === true
  /** Single: the row was given, or (`failed`) refused with the rest of its lines. */
  let done = state.done === true
  let failed = state.failed === true
  let ended = state.ended === true
  let phase: 'header' | 'table' | 'axis' | 'series' | 'single' = 'header'
  let headerLines = 0
  let axis = new Float64Array(0)
  let rows: SpectrumRows | undefined
  let single: Single | undefined

  const isBegun = (): boolean => phase === 'series'
  const begin = (): void => {
    phase = 'series'
    if (unreadable === undefined) rows = createSpectrumRows(axis, options, context, zone, state.series, attributes)
  }
  const refuse = (why: string): string => {
    unreadable = why
    phase = 'series'
    return why
  }

  const headerLine = (text: string): void => {
    headerLines++
    if (marker.test(text)) {
      phase = 'table'
      return
    }
    const line = text.trim()
    const from = /^Data from (.+?)(?: Node)?$/.exec(line)
    const colon = line.indexOf(':')
    if (from) attributes.put('Data from', from[1] as string)
    else if (colon > 0) attributes.put(line.slice(0, colon), line.slice(colon + 1))
    else if (line !== '') attributes.put('header', line)
    if (headerLines > headerLinesMax) {
      refuse(`no line ">>>>>Begin Spectral Data<<<<<" comes within the first ${headerLinesMax} lines`)
    }
  }

  /** The first line of the table says which of the two it is. */
  const tableLine = (bytes: Uint8Array, from: number, to: number): string | false => {
    const numbers = readNumbers(bytes, from, to, bytes[from] !== TAB ? 3 : LIMITS.vectorLengthMax)
    const text = Buffer.from(bytes.subarray(from, Math.min(to, from + 200))).toString('utf8')
    if (typeof numbers === 'string' && attributes.get('titles') === undefined && /^[^\d]*$/.test(text)) {
      attributes.put('titles', text.replaceAll('\t', ', '))
      return false
    }
    if (typeof numbers === 'string') return refuse(`neither a wavelength axis nor a pixel begins the table: ${numbers}`)
    if (bytes[from] !== TAB && numbers.length === 2) {
      phase = 'single'
      isSingle = true
      single = createSingle(attributes.get('Number of Pixels in Spectrum') ?? pixelsOf(attributes.all()))
      return false
    }
    const all = numbers.length < 3 ? numbers : readNumbers(bytes, from, to, LIMITS.vectorLengthMax)
    if (typeof all === 'string') return refuse(`the wavelength axis: ${all}`)
    if (all.length === 1 && bytes[from] !== TAB) return refuse('the table begins with one number: a pixel has two')
    axis = Float64Array.from(all)
    phase = 'axis'
    return false
  }

  const giveSingle = (spectrum: Single): string | undefined => {
    done = true
    failed = true
    const time = headerTime(attributes.get('Date'), name['name time'], options, zone)
    if (typeof time === 'string') return time
    if (time.flag === STATUS_ZONE_UNKNOWN) attributes.put('zone of the Date', `unknown, ${zone} is assumed`)
    const made = createSpectrumRows(spectrum.axis(), options, context, zone, state.series, attributes)
    rows = made
    made.give(time.ms, time.ns, spectrum.values(), spectrum.place, time.flag)
    failed = false
    return undefined
  }

  const singleLine = (
    spectrum: Single,
    bytes: Uint8Array,
    from: number,
    to: number,
    place: RowPlace,
  ): string | boolean => {
    const reason = spectrum.line(bytes, from, to, place)
    if (reason !== undefined) {
      done = true
      failed = true
      return `${reason}: the spectrum of this file is not read`
    }
    if (!spectrum.complete()) return false
    return giveSingle(spectrum) ?? true
  }

  const line = (bytes: Uint8Array, from: number, to: number, place: RowPlace, decoder: TextDecoder) => {
    if (phase === 'header') {
      headerLine(decoder.decode(bytes.subarray(from, to)))
      return false
    }
    let p = from
    while (p < to && (bytes[p] === TAB || bytes[p] === 32)) p++
    if (p === to || failed) return false
    if (ended) return 'the line stands behind the end of the spectral data'
    if (bytes[p] === 62 && endMarker.test(decoder.decode(bytes.subarray(p, to)))) {
      ended = true
      return single && !done ? endSingle(single) : false
    }
    if (done) return 'the spectrum has more pixels than its header says: the line belongs to none'
    if (phase === 'table') {
      const reason = tableLine(bytes, from, to)
      if (!single) return reason
    }
    if (single) return singleLine(single, bytes, from, to, place)
    if (phase === 'axis') begin()
    return rows?.line(bytes, p, to, place) ?? unreadable ?? 'the file has no wavelength axis'
  }

  /** No pixel comes any more. */
  const endSingle = (spectrum: Single): string | true => {
    const problem = spectrum.problem()
    if (problem === undefined) return giveSingle(spectrum) ?? true
    done = true
    failed = true
    return problem
  }

  const decoder = createLineDecoder(
    {
      name: 'oceanview',
      encoding: options.encoding,
      line: (bytes, from, to, place, _atNs, text) => line(bytes, from, to, place, text),
      tooLong: () => {
        if (done || ended) return
        if (phase === 'table')
          refuse(`the first line of the spectral data has more than ${context.recordBytesMax} bytes`)
        else if (phase === 'single') done = failed = true
      },
      flush: () => rows?.sink.flush() ?? [],
      state: () => ({
        begun: isBegun(),
        single: isSingle,
        done,
        failed,
        ended,
        ...(unreadable !== undefined && { unreadable }),
        series: rows?.sink.state() ?? [],
      }),
      // A single spectrum is made of lines of the head: its pixels are read again after a restart.
      inHead: () => !isBegun() && !done,
      finished: () => ended || (isSingle && done),
      end: place => {
        if (done || ended) return undefined
        if (single) {
          const outcome = endSingle(single)
          Object.assign(place, single.place)
          return outcome === true ? 1 : outcome
        }
        if (phase === 'header' && headerLines > 0) return 'the file has no line ">>>>>Begin Spectral Data<<<<<"'
        return phase === 'table' ? 'the file ends before its spectral data' : undefined
      },
    },
    context,
    resume,
  )
  if (state.begun === true && !isBegun()) begin()
  return decoder
}

/** `<experiment>_<device>__<n>__HH-MM-SS-mmm.txt` */
const nameParts = (file: string | undefined): Record<string, string> => {
  const base = file?.split(/[/\\]/).at(-1) ?? ''
  const parts = /^(?:(.*)_)?([^_]+)__(\d+)__(\d\d)-(\d\d)-(\d\d)-(\d{1,3})\.[^.]*$/.exec(base)
  if (!parts) return {}
  const [, experiment = '', device = '', number = '', h, m, s, ms = ''] = parts
  return {
    ...(experiment !== '' && { experiment }),
    device,
    number,
    'name time': `${h}:${m}:${s}.${ms.padEnd(3, '0')}`,
  }
}

/** Other devices say it in other words: `Number of Pixels in Processed Spectrum`. */
const pixelsOf = (attributes: Record<string, string> | undefined): string | undefined =>
  Object.entries(attributes ?? {}).find(([key]) => /^number of pixels\b/i.test(key))?.[1]

/** The cells that are not empty, as numbers, `max` at most; or which of them is none. */
const readNumbers = (bytes: Uint8Array, from: number, to: number, max: number): number[] | string => {
  const numbers: number[] = []
  for (let p = from; p < to && numbers.length < max; p++) {
    const end = cellEnd(bytes, p, to, TAB)
    let first = p
    while (first < end && isBlank(bytes[first])) first++
    p = end
    if (first === end) continue
    let stop = end
    while (isBlank(bytes[stop - 1])) stop--
    const value = readEitherNumber(bytes, first, stop)
    if (!Number.isFinite(value)) return `"${cellText(bytes, first, stop)}" is not a number`
    numbers.push(value)
  }
  return numbers
}
const cellText = (bytes: Uint8Array, from: number, to: number): string =>
  Buffer.from(bytes.subarray(from, Math.min(to, from + 80))).toString('utf8')

/** A spectrum that comes pixel by pixel. */
interface Single {
  line(bytes: Uint8Array, from: number, to: number, place: RowPlace): string | undefined
  /** All pixels of which the header tells are here. */
  complete(): boolean
  problem(): string | undefined
  axis(): Float64Array
  values(): Float64Array
  readonly place: RowPlace
}

const createSingle = (stated: string | undefined): Single => {
  const pixels = Number.parseInt(stated ?? '', 10)
  const wavelengths: number[] = []
  const intensities: number[] = []
  const all: RowPlace = { firstLine: 0, lastLine: 0, firstByte: 0, lastByte: 0 }
  return {
    place: all,
    line: (bytes, from, to, place) => {
      if (wavelengths.length === 0) Object.assign(all, place)
      all.lastLine = place.lastLine
      all.lastByte = place.lastByte
      const tab = cellEnd(bytes, from, to, TAB)
      let end = to
      while (isBlank(bytes[end - 1])) end--
      const wavelength = readEitherNumber(bytes, from, Math.min(tab, end))
      if (!Number.isFinite(wavelength)) return `"${cellText(bytes, from, tab)}" is not a wavelength`
      const value = tab < end ? readIntensity(bytes, tab + 1, end) : undefined
      if (value === undefined) return `"${cellText(bytes, Math.min(tab + 1, end), end)}" is not an intensity`
      if (wavelengths.length >= LIMITS.vectorLengthMax)
        return `the spectrum has more than ${LIMITS.vectorLengthMax} pixels`
      wavelengths.push(wavelength)
      intensities.push(value)
      return undefined
    },
    complete: () => wavelengths.length === pixels,
    problem: () =>
      pixels > 0 && wavelengths.length !== pixels
        ? `the spectrum ends after ${wavelengths.length} of the ${pixels} pixels of its header`
        : undefined,
    axis: () => Float64Array.from(wavelengths),
    values: () => Float64Array.from(intensities),
  }
}

/** NaN where the cell says in words that there is no number, `undefined` where it is none at all. */
const readIntensity = (bytes: Uint8Array, from: number, to: number): number | undefined => {
  const value = readEitherNumber(bytes, from, to)
  if (Number.isFinite(value)) return value
  const text = cellText(bytes, from, to)
  return !Number.isNaN(value) || saysNotANumber(text) || /^-?∞$/.test(text) ? Number.NaN : undefined
}

interface SpectrumRows {
  readonly sink: Sink
  /** One line of a series; `from` is where its time begins. */
  line(bytes: Uint8Array, from: number, to: number, place: RowPlace): string | true
  give(ms: number, ns: number, values: Float64Array, place: RowPlace, status: string | null): void
}

const createSpectrumRows = (
  axis: Float64Array,
  options: OceanviewOptions,
  context: DecoderContext,
  zone: string,
  restored: Json | undefined,
  attributes: { get(key: string): string | undefined; all(): Record<string, string> | undefined },
): SpectrumRows => {
  const isWavelength = /^$|wavelength/i.test(attributes.get('XAxis mode') ?? '')
  const figures = createFigures(axis, options.saturation)
  const plans: ColumnPlan[] = [
    ...(options.curve ? [{ name: 'intensity', type: 'vector' as const, slot: 0, axis }] : []),
    ...['min', 'max', 'mean', 'integral'].map((name, slot) => ({ name, type: 'float' as const, slot })),
    {
      name: isWavelength ? 'peak_wavelength' : 'peak_position',
      ...(isWavelength && { unit: 'nm' }),
      type: 'float',
      slot: 4,
    },
    ...(options.saturation === false ? [] : [{ name: 'saturated_pixels', type: 'int' as const, slot: 5 }]),
  ]
  const sink = createSink(context, 'oceanview', plans, options.sameTime === 'keep', restored, attributes.all)
  const series: Series = sink.series(context.site, context.device, context.stream)
  const clock = createZoneClock(zone, false)
  const readTime = createTimeReader('iso')
  const time = new Float64Array(2)
  const others: OtherValue[] = [null]

  const give: SpectrumRows['give'] = (ms, ns, values, place, status) => {
    time[0] = ms
    time[1] = ns
    spread(series, time, options.sameTime)
    const hasHoles = figures.take(values)
    others[0] = values
    sink.add(series, time, figures.numbers, options.curve ? others : [], hasHoles ? STATUS_NOT_A_NUMBER : status, place)
  }

  const line: SpectrumRows['line'] = (bytes, from, to, place) => {
    const clockEnd = cellEnd(bytes, from, to, TAB)
    let stop = clockEnd
    while (stop > from && bytes[stop - 1] === 32) stop--
    const found = readTime(timeBytes(bytes), from, stop, time)
    if (found === NO_TIME) {
      return `"${cellText(bytes, from, stop)}" where the time of a spectrum is required (YYYY-MM-DD HH:mm:ss.S)`
    }
    const values = new Float64Array(axis.length)
    const count = readSpectrum(bytes, clockEnd + 1, to, values)
    if (typeof count === 'string') return count
    if (count !== axis.length) {
      return `the spectrum has ${count} intensities where the wavelength axis has ${axis.length}`
    }
    const local = time[0] as number
    const ms = found === LOCAL_TIME ? clock.toUtc(local, series.overlap) : local
    give(ms, time[1] as number, values, place, found === LOCAL_TIME ? clock.flag : null)
    return true
  }
  return { sink, line, give }
}

/** The cells that are not empty, into `values` as far as they fit. Returns how many there are, or what is wrong with one. */
const readSpectrum = (bytes: Uint8Array, from: number, to: number, values: Float64Array): number | string => {
  let count = 0
  for (let p = from; p < to; p++) {
    const end = cellEnd(bytes, p, to, TAB)
    if (end > p) {
      let value = readNumber(bytes, p, end, 46)
      if (!Number.isFinite(value)) {
        let first = p
        while (first < end && bytes[first] === 32) first++
        let stop = end
        while (stop > first && bytes[stop - 1] === 32) stop--
        const read = stop > first ? readIntensity(bytes, first, stop) : null
        if (read === undefined) return `pixel ${count + 1}: "${cellText(bytes, first, stop)}" is not a number`
        if (read === null) {
          p = end
          continue
        }
        value = read
      }
      if (count < values.length) values[count] = value
      count++
    }
    p = end
  }
  return count
}

/** Figures of a curve over its axis: min, max, mean, integral, place of the peak, saturated pixels. */
const createFigures = (axis: Float64Array, saturation: number | false) => {
  const numbers = new Float64Array(6)
  // An axis that runs downwards gives the same integral as one that runs upwards.
  const sign = (axis.at(-1) ?? 0) < (axis[0] ?? 0) ? -1 : 1
  const limit = saturation === false ? Number.POSITIVE_INFINITY : saturation
  const take = (values: Float64Array): boolean => {
    let min = Number.POSITIVE_INFINITY
    let max = Number.NEGATIVE_INFINITY
    let peak = -1
    let sum = 0
    let integral = 0
    let saturated = 0
    let count = 0
    let before = Number.NaN
    for (let i = 0; i < values.length; i++) {
      const v = values[i] as number
      // Neighbours with a hole between them span no area.
      const step = (axis[i] as number) - (axis[i - 1] as number)
      const area = (step * (v + before)) / 2
      before = v
      if (!Number.isNaN(area)) integral += area
      if (Number.isNaN(v)) continue
      count++
      sum += v
      if (v < min) min = v
      if (v >= limit) saturated++
      if (v > max) {
        max = v
        peak = i
      }
    }
    const none = count === 0
    numbers[0] = none ? Number.NaN : min
    numbers[1] = none ? Number.NaN : max
    numbers[2] = none ? Number.NaN : sum / count
    numbers[3] = none ? Number.NaN : sign * integral
    numbers[4] = none ? Number.NaN : (axis[peak] as number)
    numbers[5] = saturated
    return count < values.length
  }
  return { numbers, take }
}

interface HeaderTime {
  ms: number
  ns: number
  flag: string | null
}

/** `Thu Oct 05 08:33:12 CEST 2023`, or why the Date cannot be read. */
const headerTime = (
  date: string | undefined,
  nameTime: string | undefined,
  options: OceanviewOptions,
  zone: string,
): HeaderTime | string => {
  if (date === undefined) return 'the header has no Date, which is the time of the spectrum'
  const parts =
    /^(?:[A-Za-z]{3},? +)?([A-Za-z]{3} +\d{1,2} +\d{1,2}:\d\d:\d\d)(?: +([A-Za-z]+)?([+-]\d\d:?\d\d)?)? +(\d{4})$/.exec(
      date,
    )
  const [, local = '', abbreviation, offset, year] = parts ?? []
  const bytes = new TextEncoder().encode(parts ? `${local} ${year}` : date)
  const at = new Float64Array(2)
  const layout = parts ? 'MMM D H:mm:ss YYYY' : 'iso'
  if (createTimeReader(layout)(timeBytes(bytes), 0, bytes.length, at) !== LOCAL_TIME) {
    return `the Date "${date.slice(0, 80)}" is no time such as Thu Oct 05 08:33:12 CEST 2023`
  }
  let ms = at[0] as number
  if (options.time === 'name') {
    if (nameTime === undefined)
      return 'the file name holds no time of day (…__HH-MM-SS-mmm.txt), which "time: name" asks for'
    ms = nearestDay(ms, nameTime)
  }
  return toUtc(ms, abbreviation, offset, options.zones, zone)
}

/** The moment at that time of day which is nearest to `ms`. */
const nearestDay = (ms: number, clock: string): number => {
  const [h = 0, m = 0, s = 0] = clock.split(':').map(Number)
  const day = 86_400_000
  const same = Math.floor(ms / day) * day + h * 3_600_000 + m * 60_000 + Math.round(s * 1000)
  return same + Math.round((ms - same) / day) * day
}

const toUtc = (
  local: number,
  abbreviation: string | undefined,
  offset: string | undefined,
  zones: Readonly<Record<string, string>>,
  zone: string,
): HeaderTime => {
  if (offset !== undefined) {
    const minutes = Number(offset.slice(1, 3)) * 60 + Number(offset.slice(-2))
    return { ms: local - (offset.startsWith('-') ? -1 : 1) * minutes * 60_000, ns: 0, flag: null }
  }
  const name = abbreviation?.toUpperCase()
  const named = name === undefined ? undefined : Object.entries(zones).find(([key]) => key.toUpperCase() === name)?.[1]
  if (named === undefined && name !== undefined && Object.hasOwn(abbreviations, name)) {
    return { ms: local - (abbreviations[name] as number) * 60_000, ns: 0, flag: null }
  }
  const clock = createZoneClock(named ?? zone, false)
  const ms = clock.toUtc(local, { inside: false, local: 0, second: false })
  const isUnknown = name !== undefined && named === undefined
  return { ms, ns: 0, flag: isUnknown ? STATUS_ZONE_UNKNOWN : clock.flag }
}
