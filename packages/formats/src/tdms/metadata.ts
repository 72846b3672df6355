/**
 * The directory of a TDMS file: lead-ins and metadata.
 *
 *     segment = lead-in (28 bytes) | metadata | raw data
 *     lead-in = "TDSm" | ToC mask i32 (little-endian) | version u32 | next segment u64 | raw data u64 (both from byte 28)
 *     metadata = u32 objects | per object: path, raw index, u32 properties | per property: name, u32 type, value
 *
 * Parsing is pure and total: what is impossible comes back as a problem with its byte.
 */
import { LIMITS } from '@penstock/frame'
import { daqmxTypeOf, type RawType, rawTypeOf, stampAt } from './raw-type.ts'

export const leadInBytes = 28
/** Metadata of one segment. */
export const metadataBytesMax = 16 * 1024 * 1024
export const objectsMax = 16_384
/** Properties of all objects together. */
const propertiesMax = 262_144
const widthsMax = 1024
const pathCharsMax = 4096
/** Characters of a property that are kept. */
const propertyCharsMax = LIMITS.textCharsMax

export const TOC_METADATA = 0x02
export const TOC_NEW_LIST = 0x04
export const TOC_RAW = 0x08
export const TOC_INTERLEAVED = 0x20
export const TOC_BIG_ENDIAN = 0x40
export const TOC_DAQMX = 0x80
const tocKnown = TOC_METADATA | TOC_NEW_LIST | TOC_RAW | TOC_INTERLEAVED | TOC_BIG_ENDIAN | TOC_DAQMX

/** A moment of the file, or a text that stands for one that no calendar has. */
export interface Stamp {
  stamp: bigint | 'zero' | undefined
}
/** `bigint` where a double does not hold the number. */
export type Property = number | bigint | string | boolean | Stamp
export type Properties = Map<string, Property>

export interface Scaler {
  id: number
  type: RawType
  buffer: number
  /** In the stride of the buffer. */
  byteOffset: number
  /** Of a digital line: its bit in that byte; −1 otherwise. */
  bit: number
}
/** What a raw index says of one object's values in a chunk. */
export interface RawIndex {
  type: RawType
  values: number
  /** Strings: offsets and texts together. */
  bytes: number
  scalers?: Scaler[]
  widths?: number[]
}

export interface TdmsObject {
  path: string
  /** `undefined` for the file. */
  group: string | undefined
  /** `undefined` for the file and for groups. */
  channel: string | undefined
  /** The last index ever seen. */
  index: RawIndex | undefined
  /** Whether the object was named at all. */
  seen: boolean
  properties: Properties
}
/** One object of a segment's list: whether it has values in it. */
export interface Entry {
  object: TdmsObject
  hasData: boolean
}

export interface LeadIn {
  toc: number
  little: boolean
  /** From byte 28 of the segment; `undefined` where the writer has not closed it. */
  next: number | undefined
  raw: number
}
export interface Problem {
  /** Byte of the file. */
  at: number
  reason: string
}
export const isProblem = (value: object): value is Problem => 'reason' in value

/** Reads a lead-in whose 28 bytes are there. */
export const readLeadIn = (view: DataView, p: number, at: number): LeadIn | Problem => {
  const tag = view.getUint32(p)
  if (tag !== 0x5444536d) {
    const hex = tag.toString(16).padStart(8, '0')
    return { at, reason: `a segment should begin at byte ${at} with "TDSm", but there stand the bytes ${hex}` }
  }
  const toc = view.getInt32(p + 4, true)
  const little = (toc & TOC_BIG_ENDIAN) === 0
  const version = view.getUint32(p + 8, little)
  if (version !== 4712 && version !== 4713) {
    return { at: at + 8, reason: `the segment at byte ${at} has version ${version}; known are 4712 and 4713` }
  }
  if ((toc & ~tocKnown) !== 0) {
    const bits = (toc & ~tocKnown) >>> 0
    return { at: at + 4, reason: `the segment at byte ${at} has unknown bits 0x${bits.toString(16)} in its ToC mask` }
  }
  const isOpen = view.getUint32(p + 12) === 0xffffffff && view.getUint32(p + 16) === 0xffffffff
  const next = isOpen ? undefined : readLength(view, p + 12, little)
  const raw = readLength(view, p + 20, little)
  if (Number.isNaN(raw) || (next !== undefined && !(raw <= next))) {
    return { at: at + 12, reason: `the segment at byte ${at} says that its raw data lies beyond its end` }
  }
  if (raw > metadataBytesMax) {
    const reason = `the segment at byte ${at} says that it has ${raw} bytes of metadata, more than the ${metadataBytesMax} allowed`
    return { at: at + 20, reason }
  }
  return { toc, little, next, raw }
}

/** A u64 below 2^53, or NaN. */
const readLength = (view: DataView, p: number, little: boolean): number => {
  const high = view.getUint32(little ? p + 4 : p, little)
  if (high > 0x1fffff) return Number.NaN
  return high * 4_294_967_296 + view.getUint32(little ? p : p + 4, little)
}

/** Metadata that was read and not yet applied. */
export interface Prepared {
  /** Objects that it says to have values in the segment, beside those that the list before goes on with. */
  withData: readonly TdmsObject[]
  apply(): void
}
export interface Directory {
  /** Objects by path, in the order in which they came. */
  readonly objects: ReadonlyMap<string, TdmsObject>
  /** Moves on with every property that came. */
  version(): number
  /** Moves on with every index that came. */
  indices(): number
  /** The list of the segment read last. */
  list(): readonly Entry[]
  /** Reads the metadata bytes[0…] of a segment, which begins at byte `at` of the file. Nothing is changed by it yet. */
  prepare(bytes: Uint8Array, leadIn: LeadIn, at: number): Prepared | Problem
}

class Impossible extends Error {
  readonly at: number
  constructor(at: number, reason: string) {
    super(reason)
    this.at = at
  }
}

/** What metadata says of one object, before it is applied. */
interface Saying {
  object: TdmsObject
  isNew: boolean
  header: 'none' | 'as before' | RawIndex
  properties: [string, Property][] | undefined
}

export const createDirectory = (): Directory => {
  const objects = new Map<string, TdmsObject>()
  let list: Entry[] = []
  let properties = 0
  let version = 0
  let indices = 0
  const plans = createPlanCache()

  const merge = (sayings: readonly Saying[], isNewList: boolean): void => {
    const next = isNewList ? [] : list.slice()
    const places = new Map(next.map((entry, i) => [entry.object, i]))
    for (const { object, isNew, header, properties: said } of sayings) {
      if (isNew) objects.set(object.path, object)
      object.seen = true
      if (typeof header === 'object') {
        object.index = header
        indices++
      }
      const hasData = header !== 'none' && object.index !== undefined
      const place = places.get(object)
      if (place === undefined) {
        places.set(object, next.length)
        next.push({ object, hasData })
      } else next[place] = { object, hasData }
      for (const [name, value] of said ?? []) {
        if (!object.properties.has(name)) properties++
        object.properties.set(name, value)
        version++
      }
    }
    list = next
  }

  const prepare: Directory['prepare'] = (bytes, leadIn, at) => {
    const isNewList = (leadIn.toc & TOC_NEW_LIST) !== 0
    const known = isNewList ? plans.find(bytes, leadIn.little) : undefined
    if (known) {
      const apply = (): void => {
        list = known
      }
      return { withData: known.map(({ object }) => object), apply }
    }
    let sayings: Saying[]
    try {
      sayings = createParser(bytes, leadIn.little, at, objects).read()
      const more = sayings.reduce((sum, saying) => sum + (saying.properties?.length ?? 0), 0)
      if (properties + more > propertiesMax) {
        throw new Impossible(at, `the objects have more than ${propertiesMax} properties`)
      }
      if (objects.size + sayings.length > objectsMax)
        throw new Impossible(at, `there are more than ${objectsMax} objects`)
    } catch (error) {
      if (!(error instanceof Impossible)) throw error
      return { at: error.at, reason: error.message }
    }
    const kept = isNewList ? [] : list.filter(({ hasData }) => hasData).map(({ object }) => object)
    const named = sayings.filter(({ header }) => header !== 'none').map(({ object }) => object)
    const apply = (): void => {
      merge(sayings, isNewList)
      const repeats = sayings.every(({ header, properties: said }) => typeof header === 'string' && said === undefined)
      if (isNewList && repeats) plans.add(bytes, leadIn.little, list)
    }
    return { withData: [...kept, ...named], apply }
  }
  return { objects, version: () => version, indices: () => indices, list: () => list, prepare }
}

/**
 * Instruments write the same metadata again and again, all of it "as before": what it came to is remembered by its bytes.
 * An object that came to have an index after the plan was made would be missing in it, hence only plans in which all have.
 */
const createPlanCache = () => {
  const plansMax = 64
  const planBytesMax = 65_536
  const plans: { bytes: Uint8Array; little: boolean; list: Entry[] }[] = []
  /** The plan that followed each one the last time: tried first. */
  let last = 0
  const equal = (a: Uint8Array, b: Uint8Array): boolean => {
    if (a.length !== b.length) return false
    for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
    return true
  }
  return {
    find(bytes: Uint8Array, little: boolean): Entry[] | undefined {
      for (let k = 1; k <= plans.length; k++) {
        const i = (last + k) % plans.length
        const plan = plans[i]
        if (plan && plan.little === little && equal(plan.bytes, bytes)) {
          last = i
          return plan.list
        }
      }
      return undefined
    },
    add(bytes: Uint8Array, little: boolean, list: Entry[]): void {
      if (bytes.length > planBytesMax || list.some(entry => !entry.hasData)) return
      if (plans.length >= plansMax) plans.length = 0
      plans.push({ bytes: bytes.slice(), little, list })
      last = plans.length - 1
    },
  }
}

const createParser = (bytes: Uint8Array, little: boolean, at: number, objects: ReadonlyMap<string, TdmsObject>) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const utf8 = new TextDecoder()
  let p = 0
  /** Moves on by `n` bytes, which must be there, and says from where. */
  const take = (n: number, what: string): number => {
    if (!(n <= bytes.length - p)) {
      throw new Impossible(at + p, `the ${what} at byte ${at + p} takes ${n} bytes, but the metadata ends before`)
    }
    const from = p
    p += n
    return from
  }
  const u32 = (what: string): number => view.getUint32(take(4, what), little)
  const length = (what: string): number => {
    const from = take(8, what)
    const value = readLength(view, from, little)
    if (Number.isNaN(value)) throw new Impossible(at + from, `the ${what} at byte ${at + from} is beyond 2^53`)
    return value
  }
  const text = (what: string, charsMax: number): string => {
    const n = u32(`length of the ${what}`)
    const from = take(n, what)
    const decoded = utf8.decode(bytes.subarray(from, Math.min(from + n, from + 4 * charsMax)))
    return decoded.length > charsMax ? decoded.slice(0, charsMax) : decoded
  }

  const read = (): Saying[] => {
    const count = u32('number of objects')
    // An object takes at least 12 bytes.
    if (count * 12 > bytes.length)
      throw new Impossible(at, `${count} objects do not fit in ${bytes.length} bytes of metadata`)
    const sayings: Saying[] = []
    const fresh = new Map<string, TdmsObject>()
    for (let i = 0; i < count; i++) sayings.push(saying(fresh))
    return sayings
  }
  const saying = (fresh: Map<string, TdmsObject>): Saying => {
    const start = at + p
    const path = text('path', pathCharsMax)
    if (path.length >= pathCharsMax)
      throw new Impossible(start, `the path at byte ${start} has ${pathCharsMax} characters or more`)
    const had = objects.get(path) ?? fresh.get(path)
    const object = had ?? objectOf(path, start)
    if (!had) fresh.set(path, object)
    const header = rawIndex(object, start)
    return { object, isNew: !had, header, properties: properties() }
  }

  const rawIndex = (object: TdmsObject, start: number): Saying['header'] => {
    const from = p
    const header = u32('raw index')
    if (header === 0xffffffff) return 'none'
    if (header === 0) {
      if (object.index || object.seen || object.channel === undefined) return 'as before'
      throw new Impossible(at + from, `the object ${object.path} at byte ${start} refers to an index that never came`)
    }
    const index = header === 0x1269 || header === 0x126a ? daqmxIndex(header) : plainIndex(header, from)
    if (object.channel === undefined) {
      throw new Impossible(at + from, `the object ${object.path} at byte ${start} is no channel, but has raw data`)
    }
    return index
  }
  const typeAndDimension = (): RawType => {
    const from = p
    const code = u32('data type')
    const type = rawTypeOf(code)
    if (!type) throw new Impossible(at + from, `the data type 0x${code.toString(16)} at byte ${at + from} is not known`)
    const dimension = u32('dimension')
    if (dimension !== 1) throw new Impossible(at + p - 4, `the dimension at byte ${at + p - 4} is ${dimension}, not 1`)
    return type
  }
  const plainIndex = (header: number, from: number): RawIndex => {
    const type = typeAndDimension()
    const values = length('number of values')
    const bytesAll = type.kind === 'text' ? length('size of the strings') : values * type.size
    if (p - from !== header) {
      throw new Impossible(
        at + from,
        `the raw index at byte ${at + from} has ${header} bytes where ${p - from} are expected`,
      )
    }
    if (!Number.isSafeInteger(bytesAll) || (type.kind === 'text' && bytesAll < 4 * values)) {
      throw new Impossible(
        at + from,
        `${values} values of type ${type.name} do not take ${bytesAll} bytes (byte ${at + from})`,
      )
    }
    if (type.kind === 'daqmx') throw new Impossible(at + from, `the DAQmx data at byte ${at + from} has no scalers`)
    return { type, values, bytes: bytesAll }
  }
  const daqmxIndex = (header: number): RawIndex => {
    const from = p
    const type = typeAndDimension()
    const values = length('number of values')
    const count = u32('number of scalers')
    const scalerBytes = header === 0x126a ? 17 : 20
    if (count * scalerBytes > bytes.length - p) {
      throw new Impossible(at + p - 4, `${count} scalers do not fit in the metadata (byte ${at + p - 4})`)
    }
    const scalers = Array.from({ length: count }, () => scaler(header === 0x126a))
    const widthCount = u32('number of raw data widths')
    if (widthCount > widthsMax) throw new Impossible(at + p - 4, `${widthCount} raw data widths (byte ${at + p - 4})`)
    const widths = Array.from({ length: widthCount }, () => u32('raw data width'))
    for (const { buffer, byteOffset, type: own } of scalers) {
      if (byteOffset + own.size <= (widths[buffer] ?? 0)) continue
      throw new Impossible(at + from, `a DAQmx scaler at byte ${at + from} lies outside of its buffer ${buffer}`)
    }
    return { type, values, bytes: 0, scalers, widths }
  }
  const scaler = (isLine: boolean): Scaler => {
    const from = p
    const code = u32('DAQmx type')
    const type = daqmxTypeOf(code)
    if (!type) throw new Impossible(at + from, `the DAQmx type ${code} at byte ${at + from} is not known`)
    const buffer = u32('DAQmx buffer')
    const offset = u32('DAQmx offset')
    take(isLine ? 1 : 4, 'DAQmx sample format')
    const id = u32('DAQmx scale id')
    return isLine
      ? { id, type, buffer, byteOffset: Math.floor(offset / 8), bit: offset % 8 }
      : { id, type, buffer, byteOffset: offset, bit: -1 }
  }

  const properties = (): [string, Property][] | undefined => {
    const count = u32('number of properties')
    if (count === 0) return undefined
    // A property takes at least 8 bytes.
    if (count * 8 > bytes.length - p) {
      throw new Impossible(at + p - 4, `${count} properties do not fit in the metadata (byte ${at + p - 4})`)
    }
    const said: [string, Property][] = []
    for (let i = 0; i < count; i++) {
      const name = text('property name', LIMITS.nameCharsMax)
      const value = property(name)
      if (value !== undefined) said.push([name, value])
    }
    return said
  }
  const property = (name: string): Property | undefined => {
    const from = p
    const code = u32('property type')
    const type = rawTypeOf(code)
    if (type?.kind === 'text') return text('property value', propertyCharsMax)
    if (type?.kind === 'none') return undefined
    if (!type || type.size === 0) {
      throw new Impossible(
        at + from,
        `the property "${name}" at byte ${at + from} has the unknown type 0x${code.toString(16)}`,
      )
    }
    return numberProperty(type, take(type.size, 'property value'))
  }
  const numberProperty = (type: RawType, q: number): Property | undefined => {
    switch (type.kind) {
      case 'stamp':
        return { stamp: stampAt(view, q, little) }
      case 'bool':
        return view.getUint8(q) !== 0
      case 'wide': {
        const exact = type.code === 4 ? view.getBigInt64(q, little) : view.getBigUint64(q, little)
        return Number.isSafeInteger(Number(exact)) ? Number(exact) : exact
      }
      case 'complex': {
        const [re, im] =
          type.size === 8
            ? [view.getFloat32(q, little), view.getFloat32(q + 4, little)]
            : [view.getFloat64(q, little), view.getFloat64(q + 8, little)]
        return `${re}${im < 0 ? '' : '+'}${im}i`
      }
      default:
        return numberAt(view, q, type.code, little)
    }
  }
  return { read }
}

const numberAt = (view: DataView, p: number, code: number, little: boolean): number => {
  switch (code) {
    case 1:
      return view.getInt8(p)
    case 2:
      return view.getInt16(p, little)
    case 3:
      return view.getInt32(p, little)
    case 5:
      return view.getUint8(p)
    case 6:
      return view.getUint16(p, little)
    case 7:
      return view.getUint32(p, little)
    case 9:
    case 0x19:
      return view.getFloat32(p, little)
    default:
      return view.getFloat64(p, little)
  }
}

/** `/`, `/'Group'`, `/'Group'/'Channel'`; a quote in a name is doubled. */
const pathPattern = /^\/(?:'((?:[^']|'')*)'(?:\/'((?:[^']|'')*)')?)?$/s
const objectOf = (path: string, at: number): TdmsObject => {
  const found = pathPattern.exec(path)
  if (!found)
    throw new Impossible(at, `the path "${path.slice(0, 80)}" at byte ${at} is none of a file, group or channel`)
  const [group, channel] = [found[1]?.replaceAll("''", "'"), found[2]?.replaceAll("''", "'")]
  return { path, group, channel, index: undefined, seen: false, properties: new Map() }
}
