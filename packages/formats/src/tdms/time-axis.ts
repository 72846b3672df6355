/**
 * The times of the rows of a stream: from timestamps, from a number that counts from a start, from the properties of a
 * waveform, or of their arrival.
 */
import { NS_PER_MS, parseIsoNs } from '@penstock/frame'
import { createTimeReader, NO_TIME, timeBytes, UTC_TIME } from '../time-layout.ts'
import { createZoneClock, type OverlapState } from '../zone-clock.ts'
import { fileTimeMs } from './file-time.ts'
import type { Channel } from './layout.ts'
import type { Property, TdmsObject } from './metadata.ts'
import type { TdmsStart } from './options.ts'

/** A moment, and what was unclear about it. */
export interface Start {
  ns: bigint
  /** dst-ambiguous or dst-gap; null where the moment is clear. */
  flag: string | null
}

/** From row `from` on, row i is at startNs + (i − base) × stepNs. */
export interface Stretch {
  from: number
  base: number
  start: Start
  stepNs: number
}

export type Axis =
  | { kind: 'stamp'; channel: Channel }
  | { kind: 'count'; channel: Channel; unitNs: number; start: Start }
  | { kind: 'waveform'; channel: Channel; stretches: Stretch[] }
  | { kind: 'arrival' }
  /** No row has a usable time, and why. */
  | { kind: 'none'; reason: string }

export const unitNs = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, min: 60e9, h: 3_600e9, d: 86_400e9 } as const

/** Finds the start that the options tell, or why there is none. */
export const startOf = (
  option: TdmsStart,
  fileName: string | undefined,
  zone: string,
  objects: ReadonlyMap<string, TdmsObject>,
): Start | string => {
  if (typeof option === 'string') return { ns: parseIsoNs(option) ?? 0n, flag: null }
  if ('file' in option) {
    const name = (fileName ?? '').split(/[/\\]/).at(-1) ?? ''
    const ms = fileTimeMs(option.file, name)
    if (ms === undefined)
      return `the file's name "${name}" holds no time such as ${option.file}, which time.start names`
    return localStart(ms, 0, zone)
  }
  const owner = [...objects.values()].find(object => ownerName(object) === (option.of ?? ''))
  const whose = option.of === undefined ? 'the file' : `"${option.of}"`
  const value = owner?.properties.get(option.property)
  if (value === undefined) return `${whose} has no property "${option.property}", which time.start names`
  if (typeof value === 'object') {
    return typeof value.stamp === 'bigint'
      ? { ns: value.stamp, flag: null }
      : `the property "${option.property}" of ${whose} is no time of a calendar`
  }
  const bytes = new TextEncoder().encode(String(value))
  const at = new Float64Array(2)
  const found = createTimeReader(option.layout)(timeBytes(bytes), 0, bytes.length, at)
  if (found === NO_TIME) {
    return `the property "${option.property}" of ${whose}, "${String(value).slice(0, 80)}", is no time such as ${option.layout}`
  }
  const [ms, ns] = at as unknown as [number, number]
  return found === UTC_TIME ? { ns: nsOf(ms, ns), flag: null } : localStart(ms, ns, zone)
}
const nsOf = (ms: number, ns: number): bigint => BigInt(ms) * 1_000_000n + BigInt(ns)
const localStart = (ms: number, ns: number, zone: string): Start => {
  const clock = createZoneClock(zone, false)
  const state: OverlapState = { inside: false, local: 0, second: false }
  const utc = clock.toUtc(ms, state)
  return { ns: nsOf(utc, ns), flag: clock.flag }
}
const ownerName = ({ group, channel }: TdmsObject): string =>
  group === undefined ? '' : channel === undefined ? group : `${group}/${channel}`

/** Units of a waveform's x axis that are seconds. */
const secondsTexts = new Set(['', 's', 'sec', 'second', 'seconds', 'time'])

/** What the wf_… properties of a channel say of time. `start` undefined: it has none of its own. */
export interface Waveform {
  stepNs: number
  start: bigint | undefined
  offsetNs: number
}
export const waveformOf = ({ properties }: TdmsObject): Waveform | undefined => {
  const step = properties.get('wf_increment')
  if (typeof step !== 'number' || !(step > 0) || !Number.isFinite(step * 1e9)) return undefined
  const unit = properties.get('wf_xunit_string')
  if (unit !== undefined && !secondsTexts.has(String(unit).trim().toLowerCase())) return undefined
  const start = stampOf(properties.get('wf_start_time'))
  const offset = properties.get('wf_start_offset')
  const offsetNs = typeof offset === 'number' && Number.isFinite(offset * 1e9) ? offset * 1e9 : 0
  return { stepNs: step * 1e9, start, offsetNs }
}
const stampOf = (value: Property | undefined): bigint | undefined =>
  typeof value === 'object' && typeof value.stamp === 'bigint' ? value.stamp : undefined

/** Two channels of one task: their starts, taken one after the other, may differ by this much. */
const startsApartNsMax = 1000n
export const sameWaveform = (a: Waveform | undefined, b: Waveform | undefined): boolean => {
  if (!a || !b) return a === b
  if (a.stepNs !== b.stepNs || a.offsetNs !== b.offsetNs) return false
  if (a.start === undefined || b.start === undefined) return a.start === b.start
  const apart = a.start - b.start
  return apart <= startsApartNsMax && -apart <= startsApartNsMax
}

/** The first stretch of a waveform, where it has a start of its own or is given one. */
export const firstStretch = (waveform: Waveform, given: Start | undefined): Stretch | undefined => {
  const start: Start | undefined = waveform.start === undefined ? given : { ns: waveform.start, flag: null }
  if (!start) return undefined
  const ns = start.ns + BigInt(Math.round(waveform.offsetNs))
  return { from: 0, base: 0, start: { ns, flag: start.flag }, stepNs: waveform.stepNs }
}

/**
 * The properties of a waveform changed before its row `row` was written. A start behind the end of what was written
 * begins a new block; an earlier one corrects where row 0 stood. `undefined` where nothing changed.
 */
export const nextStretch = (last: Stretch, waveform: Waveform | undefined, row: number): Stretch | undefined => {
  if (!waveform || waveform.start === undefined) return undefined
  const ns = waveform.start + BigInt(Math.round(waveform.offsetNs))
  const { stepNs } = waveform
  const ownStart = last.start.ns
  const apart = ns - ownStart
  if (stepNs === last.stepNs && apart <= startsApartNsMax && -apart <= startsApartNsMax) return undefined
  const endNs = ownStart + BigInt(Math.round((row - last.base - 1) * last.stepNs))
  const base = ns > endNs ? row : 0
  return { from: row, base, start: { ns, flag: null }, stepNs }
}

/** Years 1 to 9999. */
const msMin = -62_135_596_800_000
const msMax = 253_402_300_799_999

/** A moment as whole ms and the ns below it, so that times can be added without bigints. */
export interface Parts {
  ms: number
  ns: number
}
export const partsOf = (all: bigint): Parts => {
  const rest = ((all % 1_000_000n) + 1_000_000n) % 1_000_000n
  return { ms: Number((all - rest) / 1_000_000n), ns: Number(rest) }
}

/** Leaves start + ns in at[0] (ms) and at[1] (ns below a ms); false where no calendar has it. */
export const addNs = (start: Parts, ns: number, at: Float64Array): boolean => {
  const whole = Math.round(ns)
  if (Math.abs(whole) < exactNsMax) {
    const all = start.ns + whole
    const ms = Math.floor(all / NS_PER_MS)
    at[0] = start.ms + ms
    at[1] = all - ms * NS_PER_MS
  } else {
    if (!(Math.abs(whole) < 1e21)) return false
    const { ms, ns: rest } = partsOf(BigInt(start.ms) * 1_000_000n + BigInt(start.ns) + BigInt(whole))
    at[0] = ms
    at[1] = rest
  }
  return (at[0] as number) >= msMin && (at[0] as number) <= msMax
}
/** Whole ns that a double holds exactly, with room for a ms more. */
const exactNsMax = 9_007_199_000_000_000
