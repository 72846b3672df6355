/**
 * HighFinesse wavelength meter, long-term measurement (`.lta`): tab-separated text of sections.
 *
 *     WLMLTAID02
 *     StartTime<TAB>15.03.2022, 08:46:39.387     and other keys, then [General settings] and [Frame n] with theirs
 *     [Measurement data]
 *     26 0 1 …                                   ids of the columns
 *     Time  [ms] · Signal 8  Wavelength, vac.  [nm] · …
 *     126.0042 · · 718.21633212 · …              ms since StartTime and the value of one channel
 *
 * Sections and keys are found by name. A value at or below 0 is the meter's code for why it has none.
 */
import type { TextDecoder } from 'node:util'
import type { Json } from '@penstock/frame'
import * as z from 'zod'
import { createAttributes } from './attributes.ts'
import { cellEnd } from './cells.ts'
import { columnNames } from './column-names.ts'
import type { Decoder, DecoderContext, Resume } from './decoder.ts'
import { createLineDecoder } from './line-decoder.ts'
import { readEitherNumber } from './number.ts'
import { encodingSchema, sameTimeSchema, zoneNameSchema } from './options.ts'
import { type ColumnPlan, createSink, type RowPlace, type Series, type Sink } from './series.ts'
import { spread } from './spread.ts'
import { createTimeReader, inRange, NO_TIME, timeBytes } from './time-layout.ts'
import { createZoneClock } from './zone-clock.ts'

export const ltaSchema = z
  .strictObject({
    kind: z.literal('lta'),
    encoding: encodingSchema.default('cp932').describe('Encoding of captions. A byte order mark wins.'),
    zone: zoneNameSchema
      .optional()
      .describe("IANA zone of the StartTime in the file. Without it: the zone of the source's site"),
    rows: z
      .enum(['joined', 'raw'])
      .default('joined')
      .describe(
        'joined: one row with a column a channel, the last value of each once all are present, at the time of the last. raw: one row a measurement, with its channel',
      ),
    channels: z
      .array(z.union([z.string().min(1), z.int().min(1)]))
      .min(1)
      .optional()
      .describe(
        'Channels to read, by name (Signal 8) or by position from 1; the others are passed over. Without it: all',
      ),
    frequency: z
      .boolean()
      .default(false)
      .describe(
        'Beside each wavelength in vacuum its frequency in THz (299792.458 / nm). Wavelengths in air get none: that needs the air',
      ),
    sameTime: sameTimeSchema.default('keep'),
  })
  .describe('HighFinesse wavelength meter long-term file (.lta)')
export type LtaOptions = z.output<typeof ltaSchema>

/** Speed of light in vacuum, nm · THz. */
const speedOfLight = 299_792.458
const headerLinesMax = 20_000
/** Of StartTime: the one at hand, and those of programs set to other habits. */
const startLayouts = [
  'D.M.YYYY H:mm:ss.S',
  'D.M.YYYY H:mm:ss',
  'YYYY-MM-DD H:mm:ss.S',
  'YYYY-MM-DD H:mm:ss',
  'M/D/YYYY h:mm:ss A',
]
/** Measurements in a row that join no row before one is told. */
const waitingMax = 1000
/** The meter's codes for a measurement without a result. */
const codes = new Map([
  [0, 'no-value'],
  [-1, 'no-signal'],
  [-2, 'bad-signal'],
  [-3, 'low-signal'],
  [-4, 'big-signal'],
])
/** Keys of a frame that only lay out its window. */
const layoutKeys = new Set(['LTWH', 'Docked', 'Color', 'LColor', 'KyM', 'yMM', 'KxM', 'KxL'])
const TAB = 9

interface Channel {
  name: string
  quantity: string
  unit: string
  /** Whether 299792.458 / value is a frequency in THz. */
  vacuum: boolean
  /** Whether values at or below 0 are codes. */
  coded: boolean
  wanted: boolean
  /** Slots of the value and of the frequency in a joined row; −1 for none. */
  slot: number
  frequencySlot: number
}

/** What the header says, as far as the rows need it. */
interface Meta {
  startMs: number
  /** Status of rows where the start itself is unclear (change of the clocks). */
  startFlag: string | null
  unitMs: number
  channels: Channel[]
  wanted: number
}

export const createLta = (options: LtaOptions, context: DecoderContext, resume?: Resume): Decoder => {
  const attributes = createAttributes()
  const state = (resume?.checkpoint.state as { format?: { [key: string]: Json } } | undefined)?.format ?? {}
  let unreadable = typeof state.unreadable === 'string' ? state.unreadable : undefined
  let measured = Number(state.measured ?? 0)
  let inHead = true
  let headerLines = 0
  let section = ''
  let ids: string | undefined
  let titles: string[] | undefined
  let meta: Meta | undefined
  let rows: Rows | undefined

  /** To be called at the first line behind the titles: all above it is needed to go on. */
  const begin = (): void => {
    inHead = false
    if (unreadable !== undefined || !titles) return
    const made = metaOf(titles, attributes.get, options, options.zone ?? context.zone)
    if (typeof made === 'string') {
      unreadable = made
      return
    }
    meta = made
    describeChannels(made, ids, options, attributes.put)
    rows =
      options.rows === 'raw'
        ? createRawRows(made, options, context, state.series, attributes.all)
        : createJoinedRows(made, options, context, state.series, attributes.all, state.cycle)
  }

  const headerLine = (text: string): void => {
    const line = text.trimEnd()
    if (headerLines === 0 && line === '') return
    headerLines++
    if (headerLines === 1) {
      if (/^WLMLTAID\d*$/i.test(line.trim())) attributes.put('id', line)
      else refuse('the first line is not WLMLTAID…: is this a long-term file of a HighFinesse wavelength meter?')
    } else if (/^\[.+\]$/.test(line)) section = line.slice(1, -1).trim()
    else if (section.toLowerCase() === 'measurement data') {
      const cells = line.split('\t')
      if (/^\s*time\b/i.test(cells[0] ?? '')) titles = cells
      else if (line !== '') ids ??= cells.join(' ')
    } else if (line !== '') {
      const tab = line.indexOf('\t')
      const key = tab < 0 ? line : line.slice(0, tab)
      const value = tab < 0 ? '' : line.slice(tab + 1).replaceAll('\t', ' ')
      const isFrame = /^frame\b/i.test(section)
      if (!isFrame || !layoutKeys.has(key)) attributes.put(isFrame ? `${section} ${key}` : key, value)
    }
    if (headerLines > headerLinesMax) {
      refuse(`no [Measurement data] with its row of titles comes within the first ${headerLinesMax} lines`)
    }
  }
  const refuse = (why: string): void => {
    inHead = false
    unreadable ??= why
  }

  const line = (
    bytes: Uint8Array,
    from: number,
    to: number,
    place: RowPlace,
    decoder: TextDecoder,
  ): string | boolean | number => {
    if (inHead && !titles) {
      headerLine(decoder.decode(bytes.subarray(from, to)))
      return false
    }
    let p = from
    while (p < to && (bytes[p] === TAB || bytes[p] === 32)) p++
    if (p === to) return false
    if (inHead) begin()
    if (!rows || !meta) return unreadable ?? 'the file has no header'
    measured++
    return rows.line(bytes, from, to, place)
  }

  const decoder = createLineDecoder(
    {
      name: 'lta',
      encoding: options.encoding,
      line: (bytes, from, to, place, _atNs, text) => line(bytes, from, to, place, text),
      flush: () => rows?.sink.flush() ?? [],
      state: () => ({
        measured,
        begun: !inHead,
        ...(unreadable !== undefined && { unreadable }),
        series: rows?.sink.state() ?? [],
        cycle: rows?.cycle() ?? null,
      }),
      inHead: () => inHead,
      finished: () => {
        const stated = Number(attributes.get('Measurements'))
        return meta !== undefined && stated > 0 && measured >= stated
      },
      end: place => {
        if (inHead && headerLines > 0 && !titles) return 'the file ends before the titles of its [Measurement data]'
        return rows?.end(place)
      },
    },
    context,
    resume,
  )
  if (state.begun === true && inHead) begin()
  return decoder
}

/** Lines of measurements to rows. */
interface Rows {
  readonly sink: Sink
  /** @returns as a line of the line decoder does */
  line(bytes: Uint8Array, from: number, to: number, place: RowPlace): string | boolean | number
  /** What waits for its row: for the checkpoint. */
  cycle(): Json
  /** The file has ended: why what still waits has no row, if anything does. */
  end(place: RowPlace): string | undefined
}

/**
 * Cuts a line into its time, left in at[0] ms and at[1] ns, and the values of its channels, left in `found` (NaN: none).
 * Returns the reason of a reject, or how many values there are.
 */
const createCutter = (meta: Meta) => {
  const { channels } = meta
  const at = new Float64Array(2)
  const found = new Float64Array(channels.length)
  const cellText = (bytes: Uint8Array, from: number, to: number): string =>
    Buffer.from(bytes.subarray(from, Math.min(to, from + 80))).toString('latin1')
  const cut = (bytes: Uint8Array, from: number, to: number): string | number => {
    let end = cellEnd(bytes, from, to, TAB)
    if (!readCounter(bytes, from, end, meta, at)) {
      return `column "Time": "${cellText(bytes, from, end)}" where a count of ms is required`
    }
    let count = 0
    for (let k = 0; k < channels.length; k++) {
      found[k] = Number.NaN
      if (end >= to) continue
      const start = end + 1
      end = cellEnd(bytes, start, to, TAB)
      if (end === start) continue
      const value = readEitherNumber(bytes, start, end)
      if (!Number.isFinite(value)) {
        if (cellText(bytes, start, end).trim() === '') continue
        return `column "${channels[k]?.name}": "${cellText(bytes, start, end)}" is not a number`
      }
      found[k] = value
      count++
    }
    for (let p = end; p < to; p++) {
      if (bytes[p] !== TAB && bytes[p] !== 32)
        return `the row has more than the ${channels.length + 1} cells of the titles`
    }
    return count === 0 ? 'the row has a time and no value' : count
  }
  return { at, found, cut }
}

/** Reads a count of the file's unit, exact to the ns, and adds it to the start. Digits below a ns are dropped. */
const readCounter = (bytes: Uint8Array, from: number, to: number, meta: Meta, at: Float64Array): boolean => {
  let p = from
  while (p < to && bytes[p] === 32) p++
  const negative = bytes[p] === 45
  if (negative) p++
  const first = p
  let whole = 0
  while (p < to) {
    const d = (bytes[p] as number) ^ 48
    if (d > 9) break
    whole = whole * 10 + d
    p++
  }
  if (p === first || p - first > 15) return false
  // Seconds have three digits of ms before those of ns.
  const places = meta.unitMs === 1000 ? 9 : 6
  let fraction = 0
  let digits = 0
  if (p < to && (bytes[p] === 46 || bytes[p] === 44)) {
    for (p++; p < to; p++) {
      const d = (bytes[p] as number) ^ 48
      if (d > 9) break
      if (digits < places) {
        fraction = fraction * 10 + d
        digits++
      }
    }
  }
  while (p < to && bytes[p] === 32) p++
  if (p < to) return false
  for (; digits < places; digits++) fraction *= 10
  let ms = whole * meta.unitMs + Math.floor(fraction / 1e6)
  let ns = fraction % 1e6
  if (negative && (ms > 0 || ns > 0)) {
    ms = ns > 0 ? -ms - 1 : -ms
    ns = ns > 0 ? 1e6 - ns : 0
  }
  at[0] = meta.startMs + ms
  at[1] = ns
  return inRange(at[0])
}

const codeOf = (channel: Channel, value: number): string | undefined =>
  channel.coded && value <= 0 ? (codes.get(value) ?? 'no-value') : undefined

const createRawRows = (
  meta: Meta,
  options: LtaOptions,
  context: DecoderContext,
  restored: Json | undefined,
  attributes: () => Record<string, string> | undefined,
): Rows => {
  const units = new Set(meta.channels.filter(c => c.wanted).map(c => c.unit))
  const only = units.size === 1 ? [...units][0] : undefined
  const name = only === 'nm' ? 'wavelength' : only === 'THz' ? 'frequency' : 'value'
  const withFrequency = options.frequency && meta.channels.some(c => c.vacuum)
  const plans: ColumnPlan[] = [
    { name: 'channel', type: 'text', slot: 0 },
    { name, ...(only !== undefined && only !== '' && { unit: only }), type: 'float', slot: 0 },
    ...(withFrequency ? [{ name: 'frequency', unit: 'THz', type: 'float' as const, slot: 1 }] : []),
    ...(only === undefined ? [{ name: 'unit', type: 'text' as const, slot: 1 }] : []),
  ]
  const sink = createSink(context, 'lta', plans, options.sameTime === 'keep', restored, attributes)
  const series = sink.series(context.site, context.device, context.stream)
  const { at, found, cut } = createCutter(meta)
  const numbers = new Float64Array(2)
  const time = new Float64Array(2)
  const others: string[] = ['', '']
  return {
    sink,
    line: (bytes, from, to, place) => {
      const count = cut(bytes, from, to)
      if (typeof count === 'string') return count
      let given = 0
      for (let k = 0; k < found.length; k++) {
        const value = found[k] as number
        const channel = meta.channels[k] as Channel
        if (Number.isNaN(value) || !channel.wanted) continue
        const code = codeOf(channel, value)
        numbers[0] = code === undefined ? value : Number.NaN
        numbers[1] = channel.vacuum ? speedOfLight / numbers[0] : Number.NaN
        others[0] = channel.name
        others[1] = channel.unit
        time.set(at)
        spread(series, time, options.sameTime)
        sink.add(series, time, numbers, others, code ?? meta.startFlag, place)
        given++
      }
      return given === 0 ? false : given
    },
    cycle: () => null,
    end: () => undefined,
  }
}

/** The last value of each channel until all have one. */
const createJoinedRows = (
  meta: Meta,
  options: LtaOptions,
  context: DecoderContext,
  restored: Json | undefined,
  attributes: () => Record<string, string> | undefined,
  restoredCycle: Json | undefined,
): Rows => {
  const { channels, wanted } = meta
  const plans = joinedPlans(channels)
  const sink = createSink(context, 'lta', plans, options.sameTime === 'keep', restored, attributes)
  const series: Series = sink.series(context.site, context.device, context.stream)
  const { at, found, cut } = createCutter(meta)
  const numbers = new Float64Array(plans.length)
  const present = new Uint8Array(channels.length)
  let presentCount = 0
  let status: string | null = null
  /** Measurements since the last row, those told already left out; and where they begin. */
  let waiting = 0
  let firstLine = 0
  let firstByte = 0
  const joined: RowPlace = { firstLine: 0, lastLine: 0, firstByte: 0, lastByte: 0 }

  const clear = (): void => {
    present.fill(0)
    numbers.fill(Number.NaN)
    presentCount = 0
    status = null
    waiting = 0
  }
  clear()

  const take = (k: number, value: number): void => {
    const channel = channels[k] as Channel
    const code = codeOf(channel, value)
    if (code !== undefined) status ??= code
    numbers[channel.slot] = code === undefined ? value : Number.NaN
    if (channel.frequencySlot >= 0) {
      numbers[channel.frequencySlot] = speedOfLight / (numbers[channel.slot] as number)
    }
    if (present[k] === 0) presentCount++
    present[k] = 1
  }
  const kept = cycleOf(restoredCycle)
  for (const [k, value] of kept.values.entries()) {
    if (value !== null && channels[k]) take(k, typeof value === 'number' ? value : Number.NaN)
  }
  ;({ status, waiting, firstLine, firstByte } = kept)

  const missing = (): string => {
    const names = channels.filter((c, k) => c.wanted && present[k] === 0).map(c => c.name)
    return `${waiting} measurement${waiting === 1 ? '' : 's'} since line ${firstLine} made no joined row, as ${names.join(', ')} ${names.length === 1 ? 'has' : 'have'} no value`
  }

  return {
    sink,
    line: (bytes, from, to, place) => {
      const count = cut(bytes, from, to)
      if (typeof count === 'string') return count
      if (waiting === 0) {
        firstLine = place.firstLine
        firstByte = place.firstByte
      }
      let taken = false
      for (let k = 0; k < found.length; k++) {
        const value = found[k] as number
        if (Number.isNaN(value) || !(channels[k] as Channel).wanted) continue
        take(k, value)
        taken = true
      }
      if (!taken) return false
      waiting++
      if (presentCount === wanted) {
        joined.firstLine = firstLine
        joined.firstByte = firstByte
        joined.lastLine = place.lastLine
        joined.lastByte = place.lastByte
        spread(series, at, options.sameTime)
        sink.add(series, at, numbers, [], status ?? meta.startFlag, joined)
        clear()
        return true
      }
      if (waiting < waitingMax) return false
      const reason = `${missing()}; name the channels to be joined in "channels"`
      waiting = 0
      return reason
    },
    cycle: () => ({
      values: channels.map((c, k) => (present[k] === 1 ? (finite(numbers[c.slot]) ?? 'none') : null)),
      status,
      waiting,
      firstLine,
      firstByte,
    }),
    end: place => {
      if (waiting === 0) return undefined
      place.firstLine = firstLine
      place.firstByte = firstByte
      const reason = `the file ends within a cycle: ${missing()}`
      clear()
      return reason
    },
  }
}

/** An unfinished cycle out of a checkpoint; of a channel without a number the text "none". */
const cycleOf = (cycle: Json | undefined) => {
  const kept = (typeof cycle === 'object' && cycle !== null ? cycle : {}) as { readonly [key: string]: Json }
  return {
    values: Array.isArray(kept.values) ? (kept.values as Json[]) : [],
    status: typeof kept.status === 'string' ? kept.status : null,
    waiting: Number(kept.waiting ?? 0),
    firstLine: Number(kept.firstLine ?? 0),
    firstByte: Number(kept.firstByte ?? 0),
  }
}

const finite = (value: number | undefined): number | undefined => (Number.isFinite(value) ? value : undefined)

const joinedPlans = (channels: readonly Channel[]): ColumnPlan[] => {
  const plans: ColumnPlan[] = []
  for (const c of channels) {
    if (!c.wanted) continue
    plans.push({ name: c.name, ...(c.unit !== '' && { unit: c.unit }), type: 'float', slot: c.slot })
    if (c.frequencySlot >= 0) {
      plans.push({ name: `${c.name} frequency`, unit: 'THz', type: 'float', slot: c.frequencySlot })
    }
  }
  return plans
}

/** What titles and keys say, or why the rows below cannot be read. */
const metaOf = (
  titles: readonly string[],
  key: (name: string) => string | undefined,
  options: LtaOptions,
  zone: string,
): Meta | string => {
  const startText = key('StartTime')
  if (startText === undefined) return 'the header has no StartTime, from which the times of the rows count'
  // Between date and time stands a comma; one before digits is a decimal mark.
  const bytes = new TextEncoder().encode(startText.replace(/,\s+/, ' ').replace(/,(?=\d)/, '.'))
  const at = new Float64Array(2)
  const read = (layout: string) => createTimeReader(layout)(timeBytes(bytes), 0, bytes.length, at) !== NO_TIME
  if (!startLayouts.some(read)) {
    return `StartTime "${startText.slice(0, 80)}" is no time such as 15.03.2022, 08:46:39.387`
  }
  const timeUnit = /\[\s*(\S+?)\s*\]/.exec(titles[0] ?? '')?.[1] ?? 'ms'
  if (timeUnit !== 'ms' && timeUnit !== 's') return `the times are in "${timeUnit}", which is neither ms nor s`
  const clock = createZoneClock(zone, false)
  const startMs = clock.toUtc(at[0] as number, { inside: false, local: 0, second: false })
  const channels = channelsOf(titles.slice(1), options)
  if (typeof channels === 'string') return channels
  const wanted = channels.filter(c => c.wanted).length
  return { startMs, startFlag: clock.flag, unitMs: timeUnit === 's' ? 1000 : 1, channels, wanted }
}

/** Titles such as `Signal 8  Wavelength, vac.  [nm]`: parts with two blanks between them. */
const channelsOf = (titles: readonly string[], options: LtaOptions): Channel[] | string => {
  const kept = titles.slice(0, titles.findLastIndex(t => t.trim() !== '') + 1)
  if (kept.length === 0) return 'the titles of the [Measurement data] name no channel'
  const parts = kept.map(title => {
    const unit = /\[([^\]]*)\]\s*$/.exec(title)
    const words = (unit ? title.slice(0, unit.index) : title).trim().split(/\s{2,}/)
    return {
      signal: words[0] ?? '',
      quantity: words.slice(1).join(' ') || (words[0] ?? ''),
      unit: unit?.[1]?.trim() ?? '',
    }
  })
  const signals = parts.map(p => p.signal)
  const full = parts.map(p =>
    signals.indexOf(p.signal) === signals.lastIndexOf(p.signal) ? p.signal : `${p.signal} ${p.quantity}`,
  )
  const names = columnNames(full)
  const refs = options.channels?.map(ref => (typeof ref === 'number' ? ref - 1 : names.indexOf(ref)))
  const lost = refs?.findIndex(k => names[k] === undefined) ?? -1
  if (lost >= 0)
    return `the file has no channel ${JSON.stringify(options.channels?.[lost])}; its channels are ${names.join(', ')}`
  let slot = 0
  return parts.map(({ quantity, unit }, k): Channel => {
    const wanted = refs === undefined || refs.includes(k)
    const vacuum = options.frequency && unit === 'nm' && /wavelength/i.test(quantity) && !/\bair\b/i.test(quantity)
    return {
      name: names[k] as string,
      quantity,
      unit,
      vacuum,
      coded: /wavelength|frequency/i.test(quantity),
      wanted,
      slot: wanted ? slot++ : -1,
      frequencySlot: wanted && vacuum && options.rows === 'joined' ? slot++ : -1,
    }
  })
}

const describeChannels = (
  meta: Meta,
  ids: string | undefined,
  options: LtaOptions,
  put: (key: string, value: string) => void,
): void => {
  if (ids !== undefined) put('channel ids', ids)
  for (const { name, quantity, vacuum, wanted } of meta.channels) {
    put(`${name}: quantity`, quantity)
    if (options.frequency && wanted && !vacuum) put(`${name}: frequency`, 'none: not a wavelength in vacuum in nm')
  }
}
