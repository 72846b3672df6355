/** Rows of one stream into frames: columns are filled in runs, times beside them, and cut where a frame is full. */
import { type Column, type Frame, LIMITS, NS_PER_MS, type Reject, STATUS_COLUMN } from '@penstock/frame'
import type { DecoderContext } from '../decoder.ts'
import { originOf, spanMsMax } from '../series.ts'
import { skip } from './extent.ts'
import type { Channel, Stream, StreamColumn } from './layout.ts'
import { STATUS_UNSCALED } from './scale.ts'
import { addNs, type Parts, partsOf, type Stretch } from './time-axis.ts'
import type { ValueReader } from './values.ts'

/** A row in which not every channel has a value, because the file ends before. */
export const STATUS_INCOMPLETE = 'incomplete'
/** A 64-bit number that no double holds; its text follows in the status. */
export const STATUS_TOO_LARGE = 'beyond-2^53'

/** Rows whose times are looked at together. */
const batchRowsMax = 16_384
/** Numbers and texts in one frame. */
const frameValuesMax = 262_144
/** Rows read together at first, and after rows without a usable time: each of these makes a reject. */
const carefulRowsMax = 256

export interface StreamReader {
  readonly stream: Stream
  /** Rows whose channels all have their values. @param ended values that are missing will not come any more */
  ready(ended: boolean): number
  /** Passes over rows that an earlier process has given. */
  pass(rows: number): void
  /** Gives up to `rows` rows; returns how many values were read. */
  read(values: ValueReader, rows: number, arrivalNs: bigint): Promise<number>
  /** Hands over the rows that wait in a frame. */
  flush(): void
  /** Of the last row that was given the time of its arrival: ms and ns below. */
  arrival: [number, number]
}

export interface Output {
  frames: Frame[]
  rejects: Reject[]
  rowsRead: number
  rowsRejected: number
}

export interface RowsContext {
  context: DecoderContext
  /** Bytes [from, to) of the file that rows of the pull at hand came from. */
  place(): { firstByte: number; lastByte: number }
  attributes(stream: Stream): Record<string, string>
}

interface Open {
  rows: number
  startMs: number
  startNs: number
  offsets: Float64Array
  numbers: Float64Array[]
  lists: (string | boolean | null)[][]
  statuses: (string | null)[] | undefined
}

export const createStreamReader = (stream: Stream, rowsContext: RowsContext, output: () => Output): StreamReader => {
  const { context } = rowsContext
  const { axis, columns } = stream
  const hasIndex = axis.kind === 'arrival'
  const indexName = freeIndexName(columns)
  const numberColumns = columns.filter(c => c.type === 'int' || c.type === 'float')
  const listColumns = columns.filter(c => c.type === 'bool' || c.type === 'text')
  const width = columns.length + (hasIndex ? 1 : 0)
  const rowsMax = Math.max(1, Math.min(context.frameRowsMax, Math.floor(frameValuesMax / Math.max(1, width))))
  const unscaled = columns.some(c => c.channel.unscaled !== undefined)
  const ms = new Float64Array(Math.min(batchRowsMax, rowsMax))
  const ns = new Float64Array(ms.length)
  const counts = new Float64Array(axis.kind === 'count' ? ms.length : 0)
  const at = new Float64Array(2)
  let open: Open | undefined
  let startFlag: string | null = null
  let careful = true

  const ready: StreamReader['ready'] = ended => {
    let least = Number.POSITIVE_INFINITY
    let most = 0
    const look = ({ values, left }: Channel): void => {
      if (!left) least = Math.min(least, values)
      most = Math.max(most, values)
    }
    for (const { channel } of columns) look(channel)
    if (!ended && (axis.kind === 'stamp' || axis.kind === 'count')) look(axis.channel)
    return (ended ? most : Math.min(least, most)) - stream.given
  }

  const pass: StreamReader['pass'] = rows => {
    const passIn = (channel: Channel, cursor: StreamColumn['cursor']) =>
      skip(channel.extents, cursor, Math.min(rows, channel.values - cursor.taken))
    for (const { channel, cursor } of columns) passIn(channel, cursor)
    if (axis.kind === 'stamp' || axis.kind === 'count') passIn(axis.channel, stream.axisCursor)
    stream.given += rows
  }

  const ownNumber = new Map(numberColumns.map((column, i) => [column, i]))

  const begin = (rows: number): Open => ({
    rows: 0,
    startMs: 0,
    startNs: 0,
    offsets: new Float64Array(rows),
    numbers: numberColumns.map(() => new Float64Array(rows)),
    lists: listColumns.map(() => []),
    statuses: undefined,
  })
  const grow = (frame: Open, rows: number): void => {
    if (rows <= frame.offsets.length) return
    const capacity = Math.min(rowsMax, Math.max(rows, 2 * frame.offsets.length))
    const larger = (had: Float64Array): Float64Array => {
      const more = new Float64Array(capacity)
      more.set(had.subarray(0, frame.rows))
      return more
    }
    frame.offsets = larger(frame.offsets)
    frame.numbers = frame.numbers.map(larger)
  }

  const flush = (): void => {
    if (!open || open.rows === 0) return
    const { rows, offsets, numbers, lists, statuses, startMs, startNs } = open
    const exact = (values: Float64Array): Float64Array => (values.length === rows ? values : values.slice(0, rows))
    const made = columns.map((column): Column => {
      const head = column.unit === undefined ? { name: column.name } : { name: column.name, unit: column.unit }
      const number = ownNumber.get(column)
      if (number !== undefined) {
        return { ...head, type: column.type as 'int' | 'float', values: exact(numbers[number] as Float64Array) }
      }
      // A read that failed may have left more than the rows that are whole.
      const values = (lists[listColumns.indexOf(column)] ?? []).slice(0, rows)
      return column.type === 'bool'
        ? { ...head, type: 'bool', values: values as (boolean | null)[] }
        : { ...head, type: 'text', values: values as (string | null)[] }
    })
    if (hasIndex) {
      const first = stream.given - rows
      made.unshift({ name: indexName, type: 'int', values: Float64Array.from({ length: rows }, (_, i) => first + i) })
    }
    if (statuses) made.push({ name: STATUS_COLUMN, type: 'text', values: statuses.slice(0, rows) })
    const { firstByte, lastByte } = rowsContext.place()
    const { firstLine, lastLine } = { firstLine: stream.given - rows + 1, lastLine: stream.given }
    output().frames.push({
      site: context.site,
      device: context.device,
      stream: stream.name,
      startNs: BigInt(startMs) * 1_000_000n + BigInt(startNs),
      offsetsNs: exact(offsets),
      columns: made,
      origin: originOf(context, 'tdms', { firstLine, lastLine, firstByte, lastByte }, rowsContext.attributes(stream)),
    })
    open = undefined
  }

  const setStatus = (frame: Open, row: number, status: string): void => {
    frame.statuses ??= new Array<string | null>(row).fill(null)
    while (frame.statuses.length <= row) frame.statuses.push(null)
    const had = frame.statuses[row]
    frame.statuses[row] = had === null || had === undefined ? status : had.includes(status) ? had : `${had}; ${status}`
  }

  /** Times of the next `rows` rows; NaN ms where a row has none. Returns how many were found: fewer where the waveform changes. */
  const readTimes = async (values: ValueReader, rows: number, arrivalNs: bigint): Promise<number> => {
    startFlag = null
    switch (axis.kind) {
      case 'stamp':
        return inChannel(rows, axis.channel, n => values.stamps(axis.channel, stream.axisCursor, n, ms, ns))
      case 'count': {
        const found = await inChannel(rows, axis.channel, n =>
          values.numbers(axis.channel, stream.axisCursor, 0, n, counts, 0, () => undefined),
        )
        startFlag = axis.start.flag
        const from = partsOf(axis.start.ns)
        for (let i = 0; i < rows; i++) if (!Number.isNaN(ms[i])) setTime(i, (counts[i] as number) * axis.unitNs, from)
        return found
      }
      case 'waveform':
        return waveformTimes(rows, axis.stretches)
      case 'arrival':
        arrivalTimes(rows, arrivalNs)
        return rows
      default:
        ms.fill(Number.NaN, 0, rows)
        return rows
    }
  }
  const inChannel = async (rows: number, channel: Channel, read: (n: number) => Promise<void>): Promise<number> => {
    const had = Math.max(0, Math.min(rows, channel.values - stream.axisCursor.taken))
    ms.fill(0, 0, had)
    ms.fill(Number.NaN, had, rows)
    if (had > 0) await read(had)
    return rows
  }
  const setTime = (i: number, afterNs: number, from: Parts): void => {
    if (addNs(from, afterNs, at)) {
      ms[i] = at[0] as number
      ns[i] = at[1] as number
    } else ms[i] = Number.NaN
  }
  const waveformTimes = (rows: number, stretches: Stretch[]): number => {
    while (stretches.length > 1 && (stretches[1]?.from ?? 0) <= stream.given) stretches.shift()
    const [stretch, next] = stretches
    if (!stretch) return 0
    const n = next ? Math.min(rows, next.from - stream.given) : rows
    startFlag = stretch.start.flag
    const from = partsOf(stretch.start.ns)
    for (let i = 0; i < n; i++) setTime(i, (stream.given + i - stretch.base) * stretch.stepNs, from)
    return n
  }
  const arrivalTimes = (rows: number, arrivalNs: bigint): void => {
    const { ms: nowMs, ns: nowNs } = partsOf(arrivalNs)
    for (let i = 0; i < rows; i++) {
      let [nextMs, nextNs] = self.arrival
      nextNs += arrivalStepNs
      if (nextNs >= NS_PER_MS) {
        nextNs -= NS_PER_MS
        nextMs++
      }
      const isLater = Number.isNaN(nextMs) || nowMs > nextMs || (nowMs === nextMs && nowNs > nextNs)
      self.arrival = isLater ? [nowMs, nowNs] : [nextMs, nextNs]
      ms[i] = self.arrival[0]
      ns[i] = self.arrival[1]
    }
  }

  const read: StreamReader['read'] = async (values, rowsWanted, arrivalNs) => {
    const room = rowsMax - (open?.rows ?? 0)
    const rows = Math.min(rowsWanted, room, careful ? carefulRowsMax : ms.length)
    const found = await readTimes(values, rows, arrivalNs)
    careful = false
    for (let i = 0; i < found; ) {
      const first = i
      while (i < found && !Number.isNaN(ms[i])) i++
      if (i > first) await addRows(values, first, i)
      if (i === found) break
      careful = true
      await rejectRow(values)
      i++
    }
    if (open && open.rows >= rowsMax) flush()
    return found * width
  }

  /** Rows [first, to) of the batch, all with a time; frames are cut where offsets would not be exact. */
  const addRows = async (values: ValueReader, first: number, to: number): Promise<void> => {
    for (let i = first; i < to; ) {
      if (open && Math.abs((ms[i] as number) - open.startMs) > spanMsMax) flush()
      open ??= begin(to - i)
      const frame: Open = open
      if (frame.rows === 0) {
        frame.startMs = ms[i] as number
        frame.startNs = ns[i] as number
      }
      const from = i
      while (i < to && Math.abs((ms[i] as number) - frame.startMs) <= spanMsMax) i++
      grow(frame, frame.rows + i - from)
      for (let k = from; k < i; k++) {
        frame.offsets[frame.rows + k - from] =
          ((ms[k] as number) - frame.startMs) * NS_PER_MS + ((ns[k] as number) - frame.startNs)
      }
      await fill(values, frame, i - from)
    }
  }

  const fill = async (values: ValueReader, frame: Open, rows: number): Promise<void> => {
    const row = frame.rows
    const status = (at: number, text: string) => setStatus(frame, at, text)
    if (startFlag !== null) for (let i = row; i < row + rows; i++) status(i, startFlag)
    if (unscaled) for (let i = row; i < row + rows; i++) status(i, STATUS_UNSCALED)
    await Promise.all(columns.map(({ channel, cursor }) => values.ahead(channel, cursor, rows)))
    for (const column of columns) await fillColumn(values, frame, column, row, rows)
    frame.rows += rows
    stream.given += rows
    if (frame.statuses) while (frame.statuses.length < frame.rows) frame.statuses.push(null)
  }
  const fillColumn = async (values: ValueReader, frame: Open, column: StreamColumn, row: number, rows: number) => {
    const { channel, cursor, name, part, sentinels } = column
    const had = Math.max(0, Math.min(rows, channel.values - cursor.taken))
    for (let i = row + had; i < row + rows; i++) setStatus(frame, i, STATUS_INCOMPLETE)
    const number = ownNumber.get(column)
    if (number === undefined) {
      const list = frame.lists[listColumns.indexOf(column)] ?? []
      if (had > 0 && column.type === 'bool') await values.bools(channel, cursor, had, list as (boolean | null)[])
      else if (had > 0) {
        await values.texts(channel, cursor, had, list as (string | null)[], (i, status) =>
          setStatus(frame, row + i, status),
        )
      }
      while (list.length < row + rows) list.push(null)
      return
    }
    const out = frame.numbers[number] as Float64Array
    if (had > 0) {
      await values.numbers(channel, cursor, part, had, out, row, (i, text) =>
        setStatus(frame, i, `${STATUS_TOO_LARGE}: ${name} = ${text}`),
      )
    }
    out.fill(Number.NaN, row + had, row + rows)
    for (const { value, status } of sentinels) {
      for (let i = row; i < row + had; i++) {
        if (out[i] !== value) continue
        out[i] = Number.NaN
        setStatus(frame, i, status)
      }
    }
  }

  /** A row without a time: stored as what it holds. */
  const rejectRow = async (values: ValueReader): Promise<void> => {
    flush()
    const frame = begin(1)
    const row = stream.given
    await fill(values, frame, 1)
    const cells = columns.map(column => {
      const number = ownNumber.get(column)
      const value = number === undefined ? frame.lists[listColumns.indexOf(column)]?.[0] : frame.numbers[number]?.[0]
      return `${column.name}=${value === null || Number.isNaN(value) ? '' : value}`
    })
    const { firstByte, lastByte } = rowsContext.place()
    const made = output()
    made.rejects.push({
      origin: originOf(context, 'tdms', { firstLine: row + 1, lastLine: row + 1, firstByte, lastByte }),
      reason: `stream "${stream.name}", row ${row + 1}: ${timeProblem(stream)}`.slice(0, LIMITS.reasonCharsMax),
      text: cells.join(', ').slice(0, LIMITS.rejectTextCharsMax),
    })
    made.rowsRejected++
  }

  const self: StreamReader = { stream, ready, pass, read, flush, arrival: [Number.NaN, 0] }
  return self
}

const arrivalStepNs = 1000

const timeProblem = ({ axis }: Stream): string => {
  if (axis.kind === 'none') return axis.reason
  if (axis.kind === 'stamp' || axis.kind === 'count')
    return `the time channel ${axis.channel.object.path} holds no usable time`
  return 'the time is beyond the years 1 to 9999'
}

/** The name of the column of row numbers, which a stream without times has. */
const freeIndexName = (columns: readonly StreamColumn[]): string => {
  let name = 'index'
  while (columns.some(column => column.name === name)) name += '_'
  return name
}
