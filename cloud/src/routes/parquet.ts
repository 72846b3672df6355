/**
 * Parquet as a stream: rows are packed group by group and given away, so that memory holds one group and the footer.
 *
 * Written by hyparquet-writer and not by DuckDB's `COPY … TO`: rows come from any historian and not from a DuckDB table, no
 * temporary file has to be bounded and swept up, and the first bytes leave with the first group.
 */
import { ByteWriter, ParquetWriter, type SchemaElement } from 'hyparquet-writer'
import type { FileColumn } from './file-response.ts'

const groupRowsMax = 10_000

const elements: Record<FileColumn<unknown>['type'], Omit<SchemaElement, 'name'>> = {
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  whole: { type: 'INT32' },
  number: { type: 'DOUBLE' },
  flag: { type: 'BOOLEAN' },
  date: { type: 'INT32', converted_type: 'DATE' },
  time: {
    type: 'INT64',
    converted_type: 'TIMESTAMP_MILLIS',
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MILLIS' },
  },
}

export async function* asParquet<T extends object>(
  rows: AsyncIterable<T> | Iterable<T>,
  columns: readonly FileColumn<T>[],
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const bytes = new ByteWriter()
  const file = new ParquetWriter({
    writer: bytes,
    createdBy: 'penstock',
    schema: [
      { name: 'root', num_children: columns.length },
      ...columns.map(({ name, type }) => ({ name, repetition_type: 'OPTIONAL' as const, ...elements[type] })),
    ],
  })
  /** What was written since it was last asked; the writer counts on from there. */
  const taken = (): Uint8Array<ArrayBuffer> => {
    const written = bytes.getBytes().slice()
    bytes.index = 0
    return written
  }
  let group: T[] = []
  const write = (): void => {
    // Without page indexes, which the writer would keep to the end: a group is read whole or not at all.
    const columnData = columns.map(({ name, type }) => ({
      ...{ name, offsetIndex: false },
      data: group.map(row => storedValue(row[name], type)),
    }))
    void file.write({ columnData, rowGroupSize: groupRowsMax })
    group = []
  }
  for await (const row of rows) {
    group.push(row)
    if (group.length < groupRowsMax) continue
    write()
    yield taken()
  }
  if (group.length > 0) write()
  await file.finish()
  yield taken()
}

const storedValue = (value: unknown, type: FileColumn<unknown>['type']): unknown => {
  if (value === null || value === undefined) return null
  if (type === 'date') return new Date(`${value}T00:00:00Z`)
  return type === 'time' ? new Date(String(value)) : value
}
