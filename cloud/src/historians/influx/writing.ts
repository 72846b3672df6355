/**
 * Frames into lines, with bounded memory and few requests under way at once; the cursor only when all of them are confirmed.
 *
 * InfluxDB merges the fields of two points of one series and time. A row is to replace another whole, so every row names the
 * columns that it came with (`_row`), and a row that may replace another (its time is within what was sent of its series)
 * names its holes (`_holes`): whatever an older row left in a column, readers take for a hole.
 */
import { type Frame, formatNs } from '@penstock/frame'
import { HISTORIAN_NS_MAX, HISTORIAN_NS_MIN } from '../../historian.ts'
import { type Catalog, columnIndices, type Series, seriesTags, shapeNumber } from './catalog.ts'
import { withoutCurves } from './features.ts'
import { HOLES_FIELD, lineKey, lineMeasurement, lineText, measurementName, ROW_FIELD } from './names.ts'
import type { Refusal, Server } from './server.ts'

const linesPerRequest = 5000
const charsPerRequestMax = 2 * 1024 * 1024
/** While one is stored the next is made; more would only wait in the server. */
const requestsMax = 4

/** What a write does to one series. */
interface Change {
  series: Series
  frames: Frame[]
  firstNs: bigint
  lastNs: bigint
  /** Rows come strictly in order of time. */
  ordered: boolean
}

/**
 * Stores the rows. Resolves with the refused lines once all others are confirmed.
 * @throws RangeError for times that a historian cannot hold, before anything is sent
 */
export const createWriting = (server: Server) => ({
  async write(catalog: Catalog, given: readonly Frame[]): Promise<{ refusals: Refusal[]; refusedFrames: Frame[] }> {
    const frames = given.filter(frame => frame.offsetsNs.length > 0).map(withoutCurves)
    const spans = new Map(frames.map(frame => [frame, spanOf(frame)]))
    const { refused: refusedFrames } = await catalog.prepare(frames)
    const changes = changesOf(catalog, frames, spans)
    const refusals = await sendAll(server, linesOf(changes))
    for (const change of changes) settle(change)
    return { refusals, refusedFrames }
  },
})

interface Span {
  firstNs: bigint
  lastNs: bigint
  ordered: boolean
}
const spanOf = ({ site, device, stream, startNs, offsetsNs }: Frame): Span => {
  let min = offsetsNs[0] as number
  let max = min
  let ordered = true
  for (let i = 1; i < offsetsNs.length; i++) {
    const offset = offsetsNs[i] as number
    if (offset <= max) {
      ordered = false
      if (offset < min) min = offset
    } else max = offset
  }
  const firstNs = startNs + BigInt(min)
  const lastNs = startNs + BigInt(max)
  if (firstNs < HISTORIAN_NS_MIN || lastNs > HISTORIAN_NS_MAX) {
    throw new RangeError(
      `the times of ${site}/${device}/${stream} are not within ${formatNs(HISTORIAN_NS_MIN)} … ${formatNs(HISTORIAN_NS_MAX)}`,
    )
  }
  return { firstNs, lastNs, ordered }
}

const changesOf = (catalog: Catalog, frames: readonly Frame[], spans: ReadonlyMap<Frame, Span>): Change[] => {
  const changes = new Map<Series, Change>()
  for (const frame of frames) {
    const series = catalog.find(frame)
    const span = spans.get(frame)
    if (!series || !span) continue
    const change = changes.get(series)
    if (!change) {
      changes.set(series, { series, frames: [frame], ...span })
      continue
    }
    change.ordered &&= span.ordered && span.firstNs > change.lastNs
    change.frames.push(frame)
    if (span.firstNs < change.firstNs) change.firstNs = span.firstNs
    if (span.lastNs > change.lastNs) change.lastNs = span.lastNs
  }
  return [...changes.values()]
}

const settle = ({ series, frames, firstNs, lastNs, ordered }: Change): void => {
  const appended = ordered && (series.empty || firstNs > series.lastNs)
  if (!appended) series.rows = undefined
  else if (series.rows !== undefined) for (const frame of frames) series.rows += frame.offsetsNs.length
  if (series.empty || firstNs < series.firstNs) series.firstNs = firstNs
  if (series.empty || lastNs > series.lastNs) series.lastNs = lastNs
  series.empty = false
}

const sendAll = async (server: Server, lines: Iterable<string>): Promise<Refusal[]> => {
  const refusals: Refusal[] = []
  const underWay = new Set<Promise<void>>()
  let failure: { error: unknown } | undefined
  const send = async (batch: string[]): Promise<void> => {
    const sent: Promise<void> = server.write(batch).then(
      refused => {
        refusals.push(...refused)
        underWay.delete(sent)
      },
      error => {
        failure ??= { error }
        underWay.delete(sent)
      },
    )
    underWay.add(sent)
    if (underWay.size >= requestsMax) await Promise.race(underWay)
  }
  let batch: string[] = []
  let chars = 0
  for (const line of lines) {
    batch.push(line)
    chars += line.length
    if (batch.length < linesPerRequest && chars < charsPerRequestMax) continue
    await send(batch)
    batch = []
    chars = 0
    if (failure) break
  }
  if (batch.length > 0 && !failure) await send(batch)
  await Promise.all(underWay)
  if (failure) throw failure.error
  return refusals
}

const linesOf = function* (changes: readonly Change[]): Generator<string> {
  for (const change of changes) {
    const last = change.ordered ? undefined : lastOfEachTime(change.frames)
    let number = 0
    for (const frame of change.frames) {
      const line = createLine(change.series, frame)
      const { length } = frame.offsetsNs
      for (let i = 0; i < length; i++, number++) {
        if (last && last.get(frame.startNs + BigInt(frame.offsetsNs[i] as number)) !== number) continue
        yield line(i)
      }
    }
  }
}

/** Of rows with one time the last holds: by time, which row that is, counted over all frames. */
const lastOfEachTime = (frames: readonly Frame[]): Map<bigint, number> => {
  const last = new Map<bigint, number>()
  let number = 0
  for (const { startNs, offsetsNs } of frames) {
    for (let i = 0; i < offsetsNs.length; i++) last.set(startNs + BigInt(offsetsNs[i] as number), number++)
  }
  return last
}

/** Makes lines of a frame's rows. */
const createLine = (series: Series, frame: Frame): ((i: number) => string) => {
  const indices = columnIndices(series, frame)
  const head = `${lineMeasurement(measurementName(frame.stream))}${seriesTags(series)} ${ROW_FIELD}=${shapeNumber(series, frame)}i`
  const columns = frame.columns.map((column, c) => {
    const index = indices[c] as number
    return { values: column.values, index, equals: `,${lineKey(series.columns[index]?.field ?? '')}=` }
  })
  const { offsetsNs } = frame
  const time = createTimeText(frame.startNs)
  // Differences beyond 2^53 are rounded, and then no offset is near them.
  const lateFrom = series.empty ? Number.POSITIVE_INFINITY : Number(series.firstNs - frame.startNs)
  const lateTo = series.empty ? Number.NEGATIVE_INFINITY : Number(series.lastNs - frame.startNs)
  return i => {
    let line = head
    const offset = offsetsNs[i] as number
    for (const { values, equals } of columns) {
      const value = values[i]
      if (typeof value === 'number') {
        if (value - value === 0) line += `${equals}${value}`
      } else if (typeof value === 'string') line += equals + lineText(value)
      else if (typeof value === 'boolean') line += equals + value
    }
    if (offset >= lateFrom && offset <= lateTo) {
      const holes = columns.filter(({ values }) => isHole(values[i])).map(({ index }) => index)
      line += `,${HOLES_FIELD}="${holes.join()}"`
    }
    return `${line} ${time(offset)}`
  }
}

const isHole = (value: unknown): boolean =>
  value === null || value === undefined || (typeof value === 'number' && !Number.isFinite(value))

const exactMax = 2 ** 52
/** `startNs + offset` in digits, without a bigint for each where the time is after 1970. */
const createTimeText = (startNs: bigint): ((offset: number) => string) => {
  const rest = ((startNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n
  const startS = Number((startNs - rest) / 1_000_000_000n)
  const restNs = Number(rest)
  return offset => {
    if (offset < exactMax && offset > -exactMax) {
      const ns = restNs + offset
      const s = Math.floor(ns / 1e9)
      const left = ns - s * 1e9
      if (startS + s > 0 && left >= 0 && left < 1e9) return `${startS + s}${String(1e9 + left).slice(1)}`
    }
    return String(startNs + BigInt(offset))
  }
}
