/**
 * Which channels stand in one row: streams made of channels.
 *
 * Channels that were written together, as often and on the same time axis, make a stream. Which those are is settled when
 * a writer comes back to a channel that it has written before (or adds a second chunk whose rows have a time): one round
 * over all channels is complete then. What comes new after that makes streams of its own. So streams depend on what
 * stands in the file and not on when it was looked at.
 */
import { LIMITS, STATUS_COLUMN } from '@penstock/frame'
import { type Cursor, createExtents, type Extent, type Extents, type Layout, newCursor } from './extent.ts'
import type { Directory, TdmsObject } from './metadata.ts'
import { isMeant, listTdmsColumns, type TdmsOptions, type TdmsTime } from './options.ts'
import type { RawType } from './raw-type.ts'
import { type Scale, scaleOf } from './scale.ts'
import type { SegmentPlace } from './scan.ts'
import type { ChunkPlan, Share } from './segment.ts'
import {
  type Axis,
  firstStretch,
  nextStretch,
  type Start,
  sameWaveform,
  startOf,
  unitNs,
  type Waveform,
  waveformOf,
} from './time-axis.ts'

export interface Channel {
  object: TdmsObject
  type: RawType
  extents: Extents
  layouts: Layout[]
  /** Values in the file so far, and in its first chunk. */
  values: number
  round: number
  /** Those who read its extents: columns, and the times of streams. */
  cursors: Cursor[]
  settled: boolean
  /** Why its values cannot be scaled. */
  unscaled: string | undefined
  /** State of the properties from which its layout was made. */
  version: number
  /** Number of the last segment that had values of it. */
  lastSegment: number
  /** Its rows go on without it: what comes later makes a stream of its own. */
  left: boolean
}

export interface StreamColumn {
  name: string
  unit?: string
  type: 'float' | 'int' | 'bool' | 'text'
  channel: Channel
  cursor: Cursor
  /** 1: the imaginary part of a complex number. */
  part: 0 | 1
  sentinels: { value: number; status: string }[]
}
export interface Stream {
  name: string
  columns: StreamColumn[]
  axis: Axis
  /** Reads the times of the axis, where they stand in a channel. */
  axisCursor: Cursor
  /** Rows read, as frames or rejects. */
  given: number
}

export interface LayoutContext {
  stream: string
  zone: string
  file?: string
}

export interface StreamLayout {
  streams(): readonly Stream[]
  channels(): Iterable<Channel>
  warnings(): readonly string[]
  before(objects: readonly TdmsObject[]): void
  begin(plan: ChunkPlan): void
  chunks(plan: ChunkPlan, place: SegmentPlace, from: number, to: number): void
  rest(share: Share, place: SegmentPlace, chunk: number, values: number): void
  /** Nothing more comes: what is there makes the streams. */
  end(): void
}

const streamsMax = 4096
/**
 * Rows wait for a channel that its writer has passed over in so many segments; then they go on without it. Looked at
 * every `lagCheckSegments`.
 */
const lagSegmentsMax = 8192
const lagCheckSegments = 1024
const warningsMax = 16

export const createLayout = (options: TdmsOptions, context: LayoutContext, directory: Directory): StreamLayout => {
  const channels = new Map<TdmsObject, Channel>()
  const streams: Stream[] = []
  const warnings: string[] = []
  const names = new Map<string, number>()
  const columns = listTdmsColumns(options)
  const groups = options.groups && (Array.isArray(options.groups) ? options.groups : Object.keys(options.groups))
  const time: TdmsTime | undefined = typeof options.time === 'object' ? options.time : undefined
  const all: Channel[] = []
  let waiting: Channel[] = []
  /** Segments with values so far. */
  let segments = 0

  const isKept = (object: TdmsObject): boolean => {
    if (groups && !groups.includes(object.group ?? '')) return false
    return !columns || columns.some(column => isMeant(object, column.from))
  }
  const isTime = (object: TdmsObject): boolean => time?.channel !== undefined && isMeant(object, time.channel)
  const warn = (text: string): void => {
    if (warnings.length < warningsMax && !warnings.includes(text)) warnings.push(text)
  }

  const channelOf = (share: Share): Channel => {
    let channel = channels.get(share.object)
    if (!channel) {
      channel = {
        object: share.object,
        type: share.type,
        extents: createExtents(),
        layouts: [],
        values: 0,
        round: 0,
        cursors: [],
        settled: false,
        unscaled: undefined,
        version: -1,
        lastSegment: 0,
        left: false,
      }
      channels.set(share.object, channel)
      all.push(channel)
    }
    return channel
  }

  /** The number of the layout by which values of this share are read, as the properties are now. */
  const layoutOf = (channel: Channel, type: RawType, little: boolean, scalers: Share['scalers']): number => {
    const had = channel.layouts.length - 1
    const known = channel.layouts[had]
    const sameProperties = channel.version === directory.version()
    if (known && sameProperties && known.type === type && known.little === little && known.scalers === scalers)
      return had
    channel.version = directory.version()
    const scale = scaled(channel, scalers)
    const sameScale = known?.scale?.key === scale?.key
    if (known && sameScale && known.type === type && known.little === little && sameScalers(known.scalers, scalers))
      return had
    channel.layouts.push({ type, little, scale, ...(scalers && { scalers }) })
    return had + 1
  }
  const scaled = (channel: Channel, scalers: Share['scalers']): Layout['scale'] => {
    const { object } = channel
    const group = directory.objects.get(groupPath(object.group ?? ''))
    const found = scaleOf([object.properties, group?.properties, directory.objects.get('/')?.properties])
    if (!found) return undefined
    const problem = 'apply' in found ? inputProblem(found, scalers) : found.unsupported
    if (problem === undefined && 'apply' in found) return found
    channel.unscaled = problem
    warn(`${object.path} holds raw values: ${problem}`)
    return undefined
  }

  // Properties that come with the second values of a channel say nothing of its first ones.
  const before: StreamLayout['before'] = objects => {
    if (waiting.length > 0 && objects.some(object => waits(channels.get(object)))) settle()
  }
  const begin: StreamLayout['begin'] = plan => {
    if (++segments % lagCheckSegments === 0) leaveBehind()
    if (waiting.length > 0 && plan.shares.some(({ object }) => waits(channels.get(object)))) settle()
  }
  const waits = (channel: Channel | undefined): boolean =>
    channel !== undefined && !channel.settled && channel.values > 0

  /** Channels for which rows have waited too long. */
  const leaveBehind = (): void => {
    for (const { columns: own, axis } of streams) {
      const members = own.map(({ channel }) => channel)
      if ('channel' in axis) members.push(axis.channel)
      const most = members.reduce((rows, { values }) => Math.max(rows, values), 0)
      for (const channel of members) {
        if (channel.left || channel.values === most || segments - channel.lastSegment <= lagSegmentsMax) continue
        channel.left = true
        if (channels.get(channel.object) === channel) channels.delete(channel.object)
      }
    }
  }

  const append = (channel: Channel, extent: Extent): void => {
    channel.lastSegment = segments
    const count = extent.perChunk * extent.chunks
    if (channel.values === 0) channel.round = extent.perChunk
    if (channel.settled && channel.cursors.length > 0) noteWaveform(channel)
    if (!channel.settled || channel.cursors.length > 0) channel.extents.append(extent)
    channel.values += count
  }
  /** The waveform's properties as they are where further values begin. */
  const noteWaveform = (channel: Channel): void => {
    for (const { axis } of streams) {
      if (axis.kind !== 'waveform' || axis.channel !== channel) continue
      const stretch = axis.stretches.at(-1)
      const next = stretch && nextStretch(stretch, waveformOf(channel.object), channel.values)
      if (next) axis.stretches.push(next)
    }
  }

  const chunks: StreamLayout['chunks'] = (plan, place, from, to) => {
    for (const share of plan.shares) {
      if (share.values === 0) continue
      const channel = channelOf(share)
      if (!channel.settled && channel.values === 0) waiting.push(channel)
      const keeps = !channel.settled || channel.cursors.length > 0
      // Chunks that come to a segment that is being written lengthen its extent.
      if (from > 0 && keeps && channel.extents.end() > channel.extents.first()) {
        const tail = channel.extents.get(channel.extents.end() - 1)
        if (tail.segment === place.at) {
          channel.values += share.values * (to - from)
          channel.extents.extend(tail.chunks + to - from)
          continue
        }
      }
      append(channel, {
        base: place.raw + from * place.chunkBytes + share.at,
        perChunk: share.values,
        chunks: to - from,
        chunkStride: place.chunkBytes,
        step: share.step,
        layout: layoutOf(channel, share.type, place.little, share.scalers),
        segment: place.at,
      })
    }
    if (to > 1 && waiting.length > 0) {
      const growing = new Set(plan.shares.map(share => channelOf(share)))
      if (waitingHaveTime(growing)) settle(growing)
    }
  }
  const rest: StreamLayout['rest'] = (share, place, chunk, values) => {
    const channel = channelOf(share)
    if (!channel.settled && channel.values === 0) waiting.push(channel)
    append(channel, {
      base: place.raw + chunk * place.chunkBytes + share.at,
      perChunk: values,
      chunks: 1,
      chunkStride: place.chunkBytes,
      step: share.step,
      layout: layoutOf(channel, share.type, place.little, share.scalers),
      segment: place.at,
    })
  }

  /** Whether rows of all channels that wait would have a time: a later segment may still bring the properties for it. */
  const waitingHaveTime = (growing: ReadonlySet<Channel>): boolean => {
    if (options.time === 'arrival') return true
    return partition(waiting, growing).every(part => part.axis.kind !== 'arrival' && part.axis.kind !== 'none')
  }

  /** @param growing channels of a segment that may get more chunks: how many it has now must not matter */
  const settle = (growing?: ReadonlySet<Channel>): void => {
    const cohort = waiting
    waiting = []
    const parts = partition(cohort, growing)
    for (const channel of cohort) {
      channel.settled = true
      // Properties that came after the first values, before anything was read, count for these.
      const layout = channel.layouts.at(-1)
      if (layout) channel.extents.relayout(layoutOf(channel, layout.type, layout.little, layout.scalers))
    }
    for (const part of parts) addStream(part)
    for (const channel of cohort) if (channel.cursors.length === 0) channel.extents.trim(channel.extents.end())
  }

  interface Part {
    group: string
    channels: Channel[]
    axis: Axis
    waveform: Waveform | undefined
  }
  /** The channels that stand in rows together, with the time of these rows. */
  const partition = (cohort: readonly Channel[], growing?: ReadonlySet<Channel>): Part[] => {
    const countOf = (channel: Channel): number => (growing?.has(channel) ? -channel.round : channel.values)
    const shared = time?.channel === undefined ? undefined : cohort.find(({ object }) => isTime(object))
    const isMissing = time?.channel !== undefined && !shared && ![...channels.keys()].some(isTime)
    const stamps = time?.channel === undefined ? cohort.filter(({ type }) => type.kind === 'stamp') : []
    const parts: Part[] = []
    const byKey = new Map<string, Part[]>()
    for (const channel of cohort) {
      const group = options.rows === 'file' ? '' : (channel.object.group ?? '')
      const count = countOf(channel)
      const like = shared && countOf(shared) === count ? shared : undefined
      const own = like !== undefined || isMissing || options.time === 'arrival'
      const stamp = own
        ? undefined
        : stampFor(
            channel,
            stamps.filter(s => countOf(s) === count),
          )
      const waveform = own || stamp ? undefined : waveformOf(channel.object)
      const key = `${count} ${group}`
      const alike = byKey.get(key) ?? []
      const part = alike.find(had => sameWaveform(had.waveform, waveform))
      if (part) {
        part.channels.push(channel)
        continue
      }
      const axis = isMissing ? missingTime() : axisOf(channel, like, stamp, waveform)
      const made = { group, channels: [channel], waveform, axis }
      alike.push(made)
      byKey.set(key, alike)
      parts.push(made)
    }
    return parts
  }
  const missingTime = (): Axis => ({
    kind: 'none',
    reason: `the file has no channel "${time?.channel}", which time.channel names`,
  })
  /** Without a time channel in the options: timestamps of the same group, else the only timestamps of the file. */
  const stampFor = ({ object }: Channel, like: readonly Channel[]): Channel | undefined => {
    const near = like.find(stamp => options.rows === 'file' || stamp.object.group === object.group)
    return near ?? (like.length === 1 && !waveformOf(object) ? like[0] : undefined)
  }

  const axisOf = (
    channel: Channel,
    shared: Channel | undefined,
    stamp: Channel | undefined,
    waveform: Waveform | undefined,
  ): Axis => {
    if (options.time === 'arrival') return { kind: 'arrival' }
    if (shared) return sharedAxis(shared)
    if (stamp) return { kind: 'stamp', channel: stamp }
    if (!waveform) return { kind: 'arrival' }
    const given = waveform.start === undefined && time?.start !== undefined ? givenStart(time.start) : undefined
    if (typeof given === 'string') return { kind: 'none', reason: given }
    const stretch = firstStretch(waveform, given)
    return stretch ? { kind: 'waveform', channel, stretches: [stretch] } : { kind: 'arrival' }
  }
  const givenStart = (start: NonNullable<TdmsTime['start']>): Start | string =>
    startOf(start, context.file, time?.zone ?? context.zone, directory.objects)
  const sharedAxis = (shared: Channel): Axis => {
    if (shared.type.kind === 'stamp') return { kind: 'stamp', channel: shared }
    if (shared.type.kind === 'text' || shared.type.kind === 'complex') {
      return {
        kind: 'none',
        reason: `the time channel ${shared.object.path} holds ${shared.type.name}s, neither timestamps nor numbers`,
      }
    }
    if (time?.start === undefined) {
      const reason = `the time channel ${shared.object.path} counts ${time?.unit ?? 's'}; say in time.start from when`
      return { kind: 'none', reason }
    }
    const start = givenStart(time.start)
    if (typeof start === 'string') return { kind: 'none', reason: start }
    return { kind: 'count', channel: shared, unitNs: unitNs[time.unit], start }
  }

  const addStream = ({ group, channels: members, axis }: Part): void => {
    const stampAxis = axis.kind === 'stamp' ? axis.channel : undefined
    const kept = members.filter(channel => isKept(channel.object) && channel !== stampAxis)
    const made = columnsOf(kept)
    // A frame holds so many columns; what is beyond makes further streams.
    for (let i = 0; i < made.length; i += columnsMax) {
      if (streams.length >= streamsMax) {
        warn(`the file makes more than ${streamsMax} streams; those beyond are passed over`)
        return
      }
      const slice = made.slice(i, i + columnsMax)
      const stream: Stream = {
        name: streamName(group, slice[0]?.channel.object),
        columns: slice,
        axis: axis.kind === 'waveform' ? { ...axis, stretches: axis.stretches.slice() } : axis,
        axisCursor: newCursor(),
        given: 0,
      }
      for (const column of slice) column.channel.cursors.push(column.cursor)
      if (axis.kind === 'stamp' || axis.kind === 'count') axis.channel.cursors.push(stream.axisCursor)
      streams.push(stream)
    }
  }

  /** The group's name for the first stream of a group; others have that of their first channel behind it. */
  const streamName = (group: string, first: TdmsObject | undefined): string => {
    const map = options.groups && !Array.isArray(options.groups) ? options.groups : undefined
    const own = options.rows === 'file' ? context.stream : cleanName(map?.[group] ?? group)
    const more = options.rows === 'file' ? `${first?.group}/${first?.channel}` : first?.channel
    return freeName(names.has(own) ? `${own}/${more}` : own, names)
  }

  const columnsOf = (kept: readonly Channel[]): StreamColumn[] => {
    const taken = new Map<string, number>([[STATUS_COLUMN, 1]])
    const made: StreamColumn[] = []
    const add = (channel: Channel, option: ReturnType<typeof optionFor>[number]): void => {
      const type = columnType(channel)
      const unit = option.unit ?? unitOf(channel)
      const base = { type, channel, sentinels: sentinelsOf(option.status) }
      const name = cleanName(option.name ?? ownName(channel.object))
      const parts: [string, 0 | 1][] =
        channel.type.kind === 'complex' && type === 'float'
          ? [
              [`${name} re`, 0],
              [`${name} im`, 1],
            ]
          : [[name, 0]]
      for (const [text, part] of parts) {
        made.push({
          ...base,
          name: freeName(text, taken),
          cursor: newCursor(),
          part,
          ...(unit !== undefined && unit !== '' && { unit: unit.slice(0, LIMITS.nameCharsMax) }),
        })
      }
    }
    for (const channel of kept) for (const option of optionFor(channel.object)) add(channel, option)
    return made
  }
  const optionFor = (
    object: TdmsObject,
  ): { name: string | undefined; unit: string | undefined; status: Record<string, string> }[] => {
    const named = columns?.filter(column => isMeant(object, column.from))
    if (named) return named
    const renamed = Object.entries(options.rename ?? {}).find(([from]) => isMeant(object, from))
    return [{ name: renamed?.[1], unit: undefined, status: {} }]
  }
  const ownName = ({ group, channel }: TdmsObject): string =>
    options.rows === 'file' ? `${group}/${channel}` : (channel ?? '')

  return {
    streams: () => streams,
    channels: () => all,
    warnings: () => warnings,
    before,
    begin,
    chunks,
    rest,
    end: () => {
      if (waiting.length > 0) settle()
    },
  }
}

const columnsMax = 2048

/** Why a scale cannot take what these scalers give: without scalers all of its inputs are the channel's own values. */
const inputProblem = (scale: Scale, scalers: Share['scalers']): string | undefined => {
  const missing = scalers && scale.inputs.find(id => !scalers.some(scaler => scaler.id === id))
  if (missing === undefined || (missing === -1 && scalers?.length === 1)) return undefined
  return `its scales take the DAQmx scaler ${missing}, which there is not`
}

const groupPath = (group: string): string => `/'${group.replaceAll("'", "''")}'`

const sameScalers = (a: Share['scalers'], b: Share['scalers']): boolean =>
  a === b || (a !== undefined && b !== undefined && JSON.stringify(a) === JSON.stringify(b))

/** The type of a column, by what its channel's values are now. */
const columnType = ({ layouts, type }: Channel): StreamColumn['type'] => {
  const layout = layouts.at(-1)
  if (layout?.scale) return 'float'
  const kind = layout?.scalers?.[0]?.type.kind ?? type.kind
  if (kind === 'int' || kind === 'wide') return 'int'
  if (kind === 'bool') return 'bool'
  return kind === 'text' || kind === 'stamp' ? 'text' : 'float'
}

/** The unit that the properties tell; else what stands in brackets at the end of the name. */
const unitOf = ({ object, unscaled }: Channel): string | undefined => {
  if (unscaled !== undefined) return undefined
  for (const name of ['unit_string', 'NI_UnitDescription']) {
    const unit = object.properties.get(name)
    if (typeof unit === 'string' && unit.trim() !== '') return unit.trim()
  }
  return /\S\s*\[([^[\]]{1,64})\]\s*$/.exec(object.channel ?? '')?.[1]?.trim()
}

const sentinelsOf = (status: Readonly<Record<string, string>>): StreamColumn['sentinels'] =>
  Object.entries(status)
    .map(([text, name]) => ({ value: Number(text), status: name }))
    .filter(({ value }) => !Number.isNaN(value))

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this takes out
const control = /[\u0000-\u001f\u007f]/g
/** A name as our streams and columns may have it. */
const cleanName = (text: string): string => {
  const clean = text.replace(control, ' ').slice(0, LIMITS.nameCharsMax - 8)
  return clean === '' ? 'unnamed' : clean
}
/** @param taken names that are taken, and how many wanted to have each */
const freeName = (text: string, taken: Map<string, number>): string => {
  const base = text.slice(0, LIMITS.nameCharsMax - 8)
  let name = base
  let n = taken.get(base) ?? 1
  while (taken.has(name)) name = `${base} ${++n}`
  taken.set(base, n)
  if (name !== base) taken.set(name, 1)
  return name
}
