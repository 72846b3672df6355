/**
 * Frames to DuckDB's data chunks: columns are copied as whole arrays, no object per row. A chunk may hold rows of many
 * series; a column that a row's frame has not is NULL there. −0 is stored as 0 (`v + 0`): DuckDB's compression takes the two
 * for one, and which of them came back would depend on what lies beside it.
 */
import {
  BIGINT,
  BOOLEAN,
  DOUBLE,
  type DuckDBAppender,
  DuckDBDataChunk,
  type DuckDBType,
  LIST,
  UINTEGER,
  VARCHAR,
} from '@duckdb/node-api'
import duckdb from '@duckdb/node-bindings'
import type { Column, Frame, VectorColumn } from '@penstock/frame'
import { type Catalog, type Kind, kindOf, type PhysicalColumn, type Series, type Table } from './catalog.ts'

/** DuckDB's vector size. */
const chunkRowsMax = 2048
/** A chunk with curves ends at the row with which it holds this many numbers of curves. */
const chunkCurveValuesMax = 262_144
const two32 = 2 ** 32

type Vector = ReturnType<typeof duckdb.data_chunk_get_vector>
const copy = (vector: Vector, values: ArrayBufferView<ArrayBuffer>, count: number, bytesEach: number): void =>
  duckdb.copy_data_to_vector(vector, 0, values.buffer, values.byteOffset, count * bytesEach)

/** One column of the chunk being filled. */
interface Lane {
  types: DuckDBType[]
  /** Takes rows from … from + n of the frame's column to row `at`; all NULL where the frame has no such column. */
  take(column: Column | undefined, from: number, n: number, at: number): void
  /** Copies `rows` rows into the chunk's vectors, beginning with the one at `index`, and is empty again. */
  give(chunk: DuckDBDataChunk, index: number, rows: number): void
}

const createNulls = () => {
  const bits = new Uint32Array(chunkRowsMax / 32).fill(0xffffffff)
  let any = false
  return {
    set(at: number): void {
      any = true
      bits[at >>> 5] = (bits[at >>> 5] as number) & ~(1 << (at & 31))
    },
    give(vector: Vector): void {
      if (!any) return
      duckdb.vector_ensure_validity_writable(vector)
      duckdb.copy_data_to_vector_validity(vector, 0, bits.buffer, 0, bits.byteLength)
      bits.fill(0xffffffff)
      any = false
    },
  }
}

const createNumberLane = (): Lane => {
  const values = new Float64Array(chunkRowsMax)
  const nulls = createNulls()
  return {
    types: [DOUBLE],
    take(column, from, n, at) {
      if (column?.type !== 'float' && column?.type !== 'int') {
        for (let i = 0; i < n; i++) nulls.set(at + i)
        return
      }
      const given = column.values
      for (let i = 0; i < n; i++) {
        const v = given[from + i]
        values[at + i] = v === null || v === undefined || !Number.isFinite(v) ? Number.NaN : v + 0
      }
    },
    give(chunk, index, rows) {
      const vector = duckdb.data_chunk_get_vector(chunk.chunk, index)
      copy(vector, values, rows, 8)
      nulls.give(vector)
    },
  }
}

const createBoolLane = (): Lane => {
  const values = new Uint8Array(chunkRowsMax)
  const nulls = createNulls()
  return {
    types: [BOOLEAN],
    take(column, from, n, at) {
      for (let i = 0; i < n; i++) {
        const v = column?.type === 'bool' ? column.values[from + i] : null
        values[at + i] = v ? 1 : 0
        if (v === null || v === undefined) nulls.set(at + i)
      }
    },
    give(chunk, index, rows) {
      const vector = duckdb.data_chunk_get_vector(chunk.chunk, index)
      copy(vector, values, rows, 1)
      nulls.give(vector)
    },
  }
}

const createTextLane = (): Lane => {
  const values = new Array<string | null>(chunkRowsMax).fill(null)
  const nulls = createNulls()
  return {
    types: [VARCHAR],
    take(column, from, n, at) {
      for (let i = 0; i < n; i++) {
        const v = column?.type === 'text' ? (column.values[from + i] ?? null) : null
        values[at + i] = v
        if (v === null) nulls.set(at + i)
      }
    },
    give(chunk, index, rows) {
      const vector = duckdb.data_chunk_get_vector(chunk.chunk, index)
      for (let i = 0; i < rows; i++) {
        const v = values[i]
        if (typeof v === 'string') duckdb.vector_assign_string_element(vector, i, v)
      }
      nulls.give(vector)
    },
  }
}

const createVectorLane = (catalog: Catalog): Lane => {
  const curves = new Array<Float64Array | null>(chunkRowsMax).fill(null)
  const axes = new Uint32Array(chunkRowsMax)
  const nulls = createNulls()
  const axisNulls = createNulls()
  return {
    types: [LIST(DOUBLE), UINTEGER],
    take(column, from, n, at) {
      const given = column?.type === 'vector' ? column : undefined
      const axis = given?.axis ? catalog.axisId(given.axis) : 0
      for (let i = 0; i < n; i++) {
        const curve = given?.values[from + i] ?? null
        curves[at + i] = curve
        axes[at + i] = axis
        if (!curve) nulls.set(at + i)
        if (axis === 0) axisNulls.set(at + i)
      }
    },
    give(chunk, index, rows) {
      const entries = new BigUint64Array(2 * rows)
      let length = 0
      for (let i = 0; i < rows; i++) {
        entries[2 * i] = BigInt(length)
        entries[2 * i + 1] = BigInt(curves[i]?.length ?? 0)
        length += curves[i]?.length ?? 0
      }
      const all = new Float64Array(length)
      let at = 0
      for (let i = 0; i < rows; i++) {
        const curve = curves[i]
        if (!curve) continue
        all.set(curve, at)
        at += curve.length
      }
      for (let i = 0; i < length; i++) all[i] = (all[i] as number) + 0
      const vector = duckdb.data_chunk_get_vector(chunk.chunk, index)
      duckdb.list_vector_reserve(vector, length)
      duckdb.list_vector_set_size(vector, length)
      if (length > 0) copy(duckdb.list_vector_get_child(vector), all, length, 8)
      copy(vector, entries, 2 * rows, 8)
      nulls.give(vector)
      const axisVector = duckdb.data_chunk_get_vector(chunk.chunk, index + 1)
      copy(axisVector, axes, rows, 4)
      axisNulls.give(axisVector)
      curves.fill(null)
    },
  }
}

export interface ChunkWriter {
  /** Appends all rows of the frame. Blocks the event loop for as long as DuckDB takes to copy them: about 0.2 µs a row. */
  push(series: Series, frame: Frame): void
  /** Hands the last rows to the appender. */
  finish(): void
}

export const createChunkWriter = (appender: DuckDBAppender, table: Table, catalog: Catalog): ChunkWriter => {
  const ids = new Uint32Array(chunkRowsMax)
  const times = new Int32Array(2 * chunkRowsMax)
  const makers: Record<Kind, () => Lane> = {
    number: createNumberLane,
    bool: createBoolLane,
    text: createTextLane,
    vector: () => createVectorLane(catalog),
  }
  const lanes = table.columns.map(column => makers[column.kind]())
  const types = [UINTEGER, BIGINT, ...lanes.flatMap(lane => lane.types)]
  // One chunk for all: its memory is not the engine's, which would not hurry to give many of them back.
  const chunk = DuckDBDataChunk.create(types)
  let rows = 0
  let curveValues = 0

  const flush = (): void => {
    if (rows === 0) return
    curveValues = 0
    duckdb.data_chunk_set_size(chunk.chunk, rows)
    copy(duckdb.data_chunk_get_vector(chunk.chunk, 0), ids, rows, 4)
    copy(duckdb.data_chunk_get_vector(chunk.chunk, 1), times, rows, 8)
    let index = 2
    for (const lane of lanes) {
      lane.give(chunk, index, rows)
      index += lane.types.length
    }
    appender.appendDataChunk(chunk)
    duckdb.data_chunk_reset(chunk.chunk)
    rows = 0
  }

  const rowsThatFit = (column: VectorColumn, from: number, n: number): number => {
    for (let i = 0; i < n; i++) {
      curveValues += column.values[from + i]?.length ?? 0
      if (curveValues >= chunkCurveValuesMax) return i + 1
    }
    return n
  }

  return {
    push(series, frame) {
      const given = columnsInOrder(table.columns, frame)
      for (let from = 0; from < frame.offsetsNs.length; ) {
        let n = Math.min(chunkRowsMax - rows, frame.offsetsNs.length - from)
        for (const column of frame.columns) if (column.type === 'vector') n = rowsThatFit(column, from, n)
        ids.fill(series.id, rows, rows + n)
        putTimes(times, rows, frame, from, n)
        lanes.forEach((lane, c) => {
          lane.take(given[c], from, n, rows)
        })
        from += n
        rows += n
        if (rows === chunkRowsMax || curveValues >= chunkCurveValuesMax) flush()
      }
    },
    finish: flush,
  }
}

const columnsInOrder = (columns: readonly PhysicalColumn[], frame: Frame): (Column | undefined)[] =>
  columns.map(wanted => frame.columns.find(c => c.name === wanted.name && kindOf(c.type) === wanted.kind))

/** 64 bit sums in two 32 bit halves: a BigInt a row would cost more than all the rest. */
const putTimes = (times: Int32Array, at: number, frame: Frame, from: number, n: number): void => {
  const low = Number(BigInt.asUintN(32, frame.startNs))
  const high = Number(frame.startNs >> 32n)
  for (let i = 0; i < n; i++) {
    const offset = frame.offsetsNs[from + i] as number
    const offsetHigh = Math.floor(offset / two32)
    const sum = low + (offset - offsetHigh * two32)
    const carry = sum >= two32 ? 1 : 0
    times[2 * (at + i)] = sum - carry * two32
    times[2 * (at + i) + 1] = high + offsetHigh + carry
  }
}
