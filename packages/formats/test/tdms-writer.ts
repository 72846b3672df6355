/** Writes TDMS segments for tests: every part of the format, and what breaks it. */

export type Value = number | bigint | string | boolean | Date
export interface Property {
  type: keyof typeof codes
  value: Value
}
export interface Index {
  type: keyof typeof codes
  values: number
  /** Strings: bytes of all of them; found from the raw data where it is left out. */
  bytes?: number
}
export interface DaqmxIndex {
  line?: boolean
  type?: keyof typeof codes
  values: number
  scalers: { type: number; buffer: number; offset: number; id: number }[]
  widths: number[]
}
export interface ObjectPart {
  path: string
  /** none: no data in this segment; same: as before. */
  index?: Index | DaqmxIndex | 'none' | 'same'
  properties?: Record<string, Property>
}
export interface SegmentParts {
  objects?: ObjectPart[]
  /** true: the list starts empty. Default true where there are objects. */
  newList?: boolean
  interleaved?: boolean
  big?: boolean
  version?: number
  raw?: Uint8Array
  /** The writer has not closed it: next offset all ones. */
  open?: boolean
}

export const codes = {
  void: 0,
  int8: 1,
  int16: 2,
  int32: 3,
  int64: 4,
  uint8: 5,
  uint16: 6,
  uint32: 7,
  uint64: 8,
  float32: 9,
  float64: 10,
  extended: 11,
  float32Unit: 0x19,
  float64Unit: 0x1a,
  string: 0x20,
  boolean: 0x21,
  stamp: 0x44,
  complex32: 0x08000c,
  complex64: 0x10000d,
  daqmx: 0xffffffff,
} as const
export type TypeName = keyof typeof codes

export const sizes: Partial<Record<TypeName, number>> = {
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  uint8: 1,
  uint16: 2,
  uint32: 4,
  uint64: 8,
  float32: 4,
  float64: 8,
  float32Unit: 4,
  float64Unit: 8,
  boolean: 1,
  stamp: 16,
  complex32: 8,
  complex64: 16,
}

export const channelPath = (group: string, channel?: string): string => {
  const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`
  return channel === undefined ? `/${quoted(group)}` : `/${quoted(group)}/${quoted(channel)}`
}

const bytesOf = (length: number, write: (view: DataView) => void): Buffer => {
  const bytes = Buffer.alloc(length)
  write(new DataView(bytes.buffer, bytes.byteOffset, length))
  return bytes
}
const u32 = (value: number, big: boolean): Buffer => bytesOf(4, view => view.setUint32(0, value, !big))
const u64 = (value: number, big: boolean): Buffer => bytesOf(8, view => view.setBigUint64(0, BigInt(value), !big))
const text = (value: string, big: boolean): Buffer => {
  const bytes = Buffer.from(value, 'utf8')
  return Buffer.concat([u32(bytes.length, big), bytes])
}

/** Seconds since 1904 and 2^-64 s of a time in ns since 1970. */
const stampParts = (ns: bigint): [bigint, bigint] => {
  const seconds = ns >= 0n ? ns / 1_000_000_000n : -((-ns + 999_999_999n) / 1_000_000_000n)
  const rest = ns - seconds * 1_000_000_000n
  return [seconds + 2_082_844_800n, ((rest << 64n) + 500_000_000n) / 1_000_000_000n]
}

/** One value as it stands in raw data; timestamps are bigints (ns since 1970), complex numbers two values. */
export const valueBytes = (type: TypeName, value: Value, big = false): Buffer => {
  const little = !big
  return bytesOf(sizes[type] ?? 0, view => {
    switch (type) {
      case 'int8':
        return view.setInt8(0, Number(value))
      case 'int16':
        return view.setInt16(0, Number(value), little)
      case 'int32':
        return view.setInt32(0, Number(value), little)
      case 'int64':
        return view.setBigInt64(0, BigInt(value as bigint), little)
      case 'uint8':
      case 'boolean':
        return view.setUint8(0, Number(value))
      case 'uint16':
        return view.setUint16(0, Number(value), little)
      case 'uint32':
        return view.setUint32(0, Number(value), little)
      case 'uint64':
        return view.setBigUint64(0, BigInt(value as bigint), little)
      case 'float32':
      case 'float32Unit':
        return view.setFloat32(0, Number(value), little)
      case 'complex32':
        view.setFloat32(0, Number(value), little)
        return view.setFloat32(4, -Number(value), little)
      case 'complex64':
        view.setFloat64(0, Number(value), little)
        return view.setFloat64(8, -Number(value), little)
      case 'stamp': {
        const [seconds, fraction] = stampParts(value as bigint)
        view.setBigInt64(little ? 8 : 0, seconds, little)
        return view.setBigUint64(little ? 0 : 8, fraction, little)
      }
      default:
        return view.setFloat64(0, Number(value), little)
    }
  })
}

/** Values of one channel in a chunk: strings as their end offsets and texts. */
export const chunkBytes = (type: TypeName, values: readonly Value[], big = false): Buffer => {
  if (type !== 'string') return Buffer.concat(values.map(value => valueBytes(type, value, big)))
  const texts = values.map(value => Buffer.from(String(value), 'utf8'))
  let end = 0
  const ends = texts.map(bytes => {
    end += bytes.length
    return u32(end, big)
  })
  return Buffer.concat([...ends, ...texts])
}

const indexBytes = (index: ObjectPart['index'], big: boolean): Buffer => {
  if (index === undefined || index === 'none') return u32(0xffffffff, big)
  if (index === 'same') return u32(0, big)
  if ('scalers' in index) {
    const scalers = index.scalers.map(({ type, buffer, offset, id }) =>
      Buffer.concat([
        u32(type, big),
        u32(buffer, big),
        u32(offset, big),
        index.line ? Buffer.from([0]) : u32(0, big),
        u32(id, big),
      ]),
    )
    return Buffer.concat([
      u32(index.line ? 0x126a : 0x1269, big),
      u32(codes[index.type ?? 'daqmx'], big),
      u32(1, big),
      u64(index.values, big),
      u32(scalers.length, big),
      ...scalers,
      u32(index.widths.length, big),
      ...index.widths.map(width => u32(width, big)),
    ])
  }
  const isText = index.type === 'string'
  return Buffer.concat([
    u32(isText ? 28 : 20, big),
    u32(codes[index.type], big),
    u32(1, big),
    u64(index.values, big),
    ...(isText ? [u64(index.bytes ?? 0, big)] : []),
  ])
}

const propertyBytes = (name: string, { type, value }: Property, big: boolean): Buffer =>
  Buffer.concat([
    text(name, big),
    u32(codes[type], big),
    type === 'string' ? text(String(value), big) : valueBytes(type, value, big),
  ])

export const segment = (parts: SegmentParts): Buffer => {
  const { objects, interleaved = false, big = false, version = 4713, raw, open = false } = parts
  const newList = parts.newList ?? objects !== undefined
  const metadata = objects
    ? Buffer.concat([
        u32(objects.length, big),
        ...objects.flatMap(({ path, index, properties = {} }) => [
          text(path, big),
          indexBytes(index, big),
          u32(Object.keys(properties).length, big),
          ...Object.entries(properties).map(([name, property]) => propertyBytes(name, property, big)),
        ]),
      ])
    : Buffer.alloc(0)
  const isDaqmx = objects?.some(({ index }) => typeof index === 'object' && 'scalers' in index) ?? false
  const toc =
    (objects ? 0x02 : 0) |
    (newList ? 0x04 : 0) |
    (raw ? 0x08 : 0) |
    (interleaved ? 0x20 : 0) |
    (big ? 0x40 : 0) |
    (isDaqmx ? 0x80 : 0)
  return Buffer.concat([
    Buffer.from('TDSm'),
    bytesOf(4, view => view.setInt32(0, toc, true)),
    u32(version, big),
    open ? Buffer.alloc(8, 0xff) : u64(metadata.length + (raw?.length ?? 0), big),
    u64(metadata.length, big),
    metadata,
    raw ?? Buffer.alloc(0),
  ])
}

/** A channel in a segment of plain values. */
export interface Written {
  group: string
  channel: string
  type: TypeName
  values: readonly Value[]
  properties?: Record<string, Property>
}
/** A segment that holds one chunk of each channel, with metadata. */
export const plainSegment = (written: readonly Written[], more: Omit<SegmentParts, 'objects' | 'raw'> = {}): Buffer => {
  const big = more.big ?? false
  const chunks = written.map(({ type, values }) => chunkBytes(type, values, big))
  const rows = written[0]?.values.length ?? 0
  const raw = more.interleaved
    ? Buffer.concat(
        Array.from({ length: rows }, (_, i) =>
          Buffer.concat(written.map(({ type, values }) => valueBytes(type, values[i] as Value, big))),
        ),
      )
    : Buffer.concat(chunks)
  const objects = written.map(({ group, channel, type, values, properties }, i) => ({
    path: channelPath(group, channel),
    index: { type, values: values.length, ...(type === 'string' && { bytes: chunks[i]?.length ?? 0 }) },
    ...(properties && { properties }),
  }))
  return segment({ ...more, objects, raw })
}
