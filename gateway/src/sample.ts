/**
 * Reads a sample of a file as a source would, storing nothing: what it holds, its first rows, what could not be read. Where
 * no format is given the file is sniffed, and the source that would read it is written as YAML.
 */
import { basename, extname } from 'node:path'
import { type Remark, writeYaml } from '@penstock/config'
import {
  createFileDecoder,
  type Decoder,
  type DecoderContext,
  type FileBytes,
  type FormatOptions,
  formatSchema,
  type Proposal,
  type SeekDecoder,
  sniffFile,
} from '@penstock/formats'
import type { Json } from '@penstock/frame'
import { frameRowsMax } from './placement.ts'
import {
  createSampleCollector,
  type SampleCollector,
  type SampleLimits,
  type SampleTotals,
} from './sample-collector.ts'

export type { SampleRow, SampleStream, SampleValue } from './sample-collector.ts'

export interface SampleRequest extends SampleLimits {
  /** Base name; formats read dates from it. */
  name: string
  file: FileBytes
  /** None: the file is sniffed, and the best proposal reads it. */
  format?: FormatOptions
  site: string
  device: string
  stream: string
  /** IANA zone of local times, and of those that are shown. */
  zone: string
  /** A person named the zone: it wins over the one that the sniffed format brings. */
  zoneIsGiven?: boolean
  /** Folder of the source that is written as YAML. */
  folder?: string
  /** Reading stops behind so many bytes. */
  readBytesMax?: number
  /** No byte will follow: an unfinished last record is read or rejected. Default: true where all of the file is read. */
  last?: boolean
  recordBytesMax?: number
  /** Given the same rows: what several files amount to together. */
  also?: SampleCollector
  /** The moment, for rows without a time of their own. Default: now. */
  nowMs?: number
  signal?: AbortSignal
  onProgress?(read: number, size: number): void
}

export interface SampleReport extends SampleTotals {
  /** Best first; none where a format was given, or nothing fits. */
  proposals: Proposal[]
  /** Why there is no proposal, in one sentence. */
  reason?: string
  /** The source that reads such files, as it stands in a configuration, and what is said of it there; only where sniffed. */
  source?: SourceEntry
  remarks?: Remark[]
  /** The list `sources` with the one that reads this file, its doubts as comments; only where it was sniffed. */
  yaml?: string
  bytesRead: number
  bytes: number
  ms: number
}

const limits = { recordBytesMax: 1024 * 1024, pushBytesMax: 512 * 1024, growingBytesMax: 64 * 1024 * 1024 }
/** As a sniffed source says it, where rows wait for the end of the file. */
const finishMs = '10 min'

export const readSample = async (request: SampleRequest): Promise<SampleReport> => {
  const began = performance.now()
  const { file, signal } = request
  const { proposals, reason } = request.format ? { proposals: [] } : await sniffed(request)
  signal?.throwIfAborted()
  const [best] = proposals
  const format = request.format ?? (best && formatSchema.parse(best.format))
  const zone = request.zoneIsGiven ? request.zone : (best?.source.zone ?? request.zone)
  const collector = createSampleCollector(request, site => zoneShown(format, site, zone))
  let bytesRead = 0
  if (format) {
    const decoder = createFileDecoder(format, contextOf(request, best, zone))
    const read = 'pull' in decoder ? pullAll(decoder, request, collector) : pushAll(decoder, request, collector)
    bytesRead = await read
  }
  return {
    proposals,
    ...(reason !== undefined && { reason }),
    ...(best && format && (await written(request, best, format, collector.result().rowsRead))),
    ...collector.result(),
    bytesRead,
    bytes: file.size,
    ms: Math.round(performance.now() - began),
  }
}

const nowOf = ({ nowMs }: SampleRequest): number => nowMs ?? Date.now()

const sniffed = (request: SampleRequest): Promise<{ proposals: Proposal[]; reason?: string }> =>
  sniffFile({ name: request.name, file: request.file, zone: request.zone, nowMs: nowOf(request) })

const contextOf = (request: SampleRequest, best: Proposal | undefined, zone: string): DecoderContext => ({
  source: sourceId(request.name),
  file: request.name,
  generation: 1,
  site: request.site,
  device: best?.source.device ?? request.device,
  stream: best?.source.stream ?? request.stream,
  zone,
  frameRowsMax,
  recordBytesMax: request.recordBytesMax ?? limits.recordBytesMax,
})

/** A name for a source that reads files such as this one: its letters, without dates and counters. */
export const sourceId = (name: string): string => {
  const stem = basename(name, extname(name))
    .normalize('NFC')
    .toLowerCase()
    .replace(/\d{2,}/g, ' ')
    .replace(/[^\p{L}\d]+/gu, '-')
    .replace(/^-+|-+$/g, '')
  return stem.slice(0, 40).replace(/-+$/, '') || 'files'
}

/** A source as it stands in a configuration. */
export type SourceEntry = { id: string; kind: string } & { [key: string]: Json }

const written = async (request: SampleRequest, best: Proposal, format: FormatOptions, rows: number) => {
  const waiting = rows - (await rowsWhileGrowing(request, best, format, rows))
  const rest = waiting > 0 ? { finishMs } : {}
  const { format: read, ...head } = sourceOf(request, best)
  const source: SourceEntry = { ...head, ...rest, format: read } as SourceEntry
  const remarks = [
    ...remarksOf(request, best),
    ...(await openLineRemark(request, best)),
    ...(waiting > 0
      ? [{ path: ['finishMs'], text: `${waiting} of ${rows} rows are read when the file has rested so long` }]
      : []),
  ]
  return { source, remarks, yaml: sourceYaml(source, remarks) }
}

/**
 * How many of the rows a tail would read without knowing that the file is complete: of formats that are read by seeking
 * some wait for what a later part of the file may say of them.
 */
const rowsWhileGrowing = async (request: SampleRequest, best: Proposal, format: FormatOptions, rows: number) => {
  const isWhole = endOf(request) === request.file.size && request.file.size <= limits.growingBytesMax
  if (best.source.kind !== 'tail' || !isWhole) return rows
  const decoder = createFileDecoder(format, contextOf(request, best, request.zone))
  if (!('pull' in decoder)) return rows
  const seen = createSampleCollector({ rowsMax: 0, rejectsMax: 0 }, () => request.zone)
  const { also, onProgress, ...again } = request
  await pullAll(decoder, { ...again, last: false }, seen)
  return seen.result().rowsRead
}

/** Kinds of text whose last line is a row only when its end has come. */
const lineKinds: ReadonlySet<unknown> = new Set(['csv', 'lines', 'jsonl'])

const openLineRemark = async ({ file }: SampleRequest, { source, format }: Proposal): Promise<Remark[]> => {
  if (source.kind !== 'tail' || !lineKinds.has(format.kind) || file.size === 0) return []
  const end = await file.read(Math.max(0, file.size - 2), file.size)
  if (end.includes(0x0a) || end.includes(0x0d)) return []
  const text =
    'the last line has no end: it is read when the file goes on; "finishMs: 10 min" reads it also where the file rests so long'
  return [{ path: ['kind'], text }]
}

/** The source that a proposal stands for. Zone and device are said even where a gateway would know: the sample proves them. */
const sourceOf = (request: SampleRequest, best: Proposal): SourceEntry => {
  const { kind, pattern, device, stream, zone } = best.source
  return {
    id: sourceId(request.name),
    kind,
    folder: request.folder ?? '.',
    pattern,
    zone: request.zoneIsGiven ? request.zone : (zone ?? request.zone),
    ...(device !== undefined && { device }),
    ...(stream !== undefined && { stream }),
    format: best.format,
  }
}

/** Its doubts, without that of the zone where a person named it. */
const remarksOf = ({ zoneIsGiven }: SampleRequest, best: Proposal): Remark[] =>
  best.doubts.filter(({ path }) => !(zoneIsGiven && path.length === 1 && path[0] === 'zone'))

/** The list `sources` with this one, as it stands in a configuration. */
export const sourceYaml = (source: SourceEntry, remarks: readonly Remark[]): string => {
  const inList = remarks.map(({ path, text }) => ({ path: ['sources', 0, ...path], text }))
  return writeYaml({ sources: [source] }, inList)
}

const endOf = ({ file, readBytesMax }: SampleRequest): number => Math.min(file.size, readBytesMax ?? file.size)

const pushAll = async (decoder: Decoder, request: SampleRequest, collector: SampleCollector): Promise<number> => {
  const { file, signal, onProgress } = request
  const end = endOf(request)
  const isLast = request.last ?? end === file.size
  const atNs = BigInt(Math.trunc(nowOf(request))) * 1_000_000n
  const pushBytesLimit = 4 * ((request.recordBytesMax ?? limits.recordBytesMax) + limits.pushBytesMax)
  let pushBytes = 64 * 1024
  for (let offset = 0; ; ) {
    signal?.throwIfAborted()
    const bytes = await file.read(offset, Math.min(end, offset + pushBytes))
    const atEnd = offset + bytes.length >= end || bytes.length === 0
    const decoded = decoder.push(bytes, isLast && atEnd, atNs)
    collector.take(decoded)
    request.also?.take(decoded)
    offset += decoded.used
    onProgress?.(offset, file.size)
    if (atEnd && (decoded.used === 0 || offset >= end)) return offset
    // A record longer than the piece: take more of it. The decoder passes over what exceeds its own limit.
    if (pushBytes > pushBytesLimit) throw new Error(`the decoder of ${request.name} used none of ${pushBytes} bytes`)
    if (decoded.used === 0) pushBytes *= 2
    else pushBytes = Math.min(Math.max(pushBytes, limits.pushBytesMax), pushBytes * 2)
  }
}

const pullAll = async (decoder: SeekDecoder, request: SampleRequest, collector: SampleCollector): Promise<number> => {
  const { file, signal, onProgress } = request
  const end = endOf(request)
  const isLast = request.last ?? end === file.size
  const atNs = BigInt(Math.trunc(nowOf(request))) * 1_000_000n
  let bytesRead = 0
  for (let more = true; more && bytesRead < end; ) {
    signal?.throwIfAborted()
    const pulled = await decoder.pull(file, isLast, atNs)
    collector.take(pulled)
    request.also?.take(pulled)
    bytesRead += pulled.used
    onProgress?.(bytesRead, file.size)
    more = pulled.more
  }
  return bytesRead
}

/** The zone in which a site's times are read: that of the format, where it names one. */
export const zoneShown = (format: FormatOptions | undefined, site: string, zone: string): string => {
  const time = format && 'time' in format ? (format.time as { zone?: unknown } | undefined) : undefined
  if (typeof time?.zone === 'string') return time.zone
  const byText = (time?.zone as { zones?: Record<string, string> } | undefined)?.zones
  return byText && Object.hasOwn(byText, site) ? (byText[site] ?? zone) : zone
}
