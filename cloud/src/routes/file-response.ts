/** Rows as a file to be saved: CSV or Parquet, written as they are read. */
import { csvLine } from './csv.ts'
import { asParquet } from './parquet.ts'
import { type StreamOptions, streamResponse } from './stream-response.ts'

export interface FileColumn<T> {
  name: keyof T & string
  /** In Parquet, `date` (text `YYYY-MM-DD`) is a date and `time` (ISO 8601 with offset) an instant in UTC, to the ms; CSV has the texts. */
  type: 'text' | 'whole' | 'number' | 'flag' | 'date' | 'time'
}

const contentTypes = { csv: 'text/csv; charset=utf-8', parquet: 'application/vnd.apache.parquet' } as const

/** Names of sites stand in it: what a header or a file system may not hold becomes a dash. */
export const savedAs = (file: string) => ({
  'content-disposition': `attachment; filename="${file.replaceAll(/[^\w.-]+/g, '-')}"`,
})

export const fileResponse = <T extends { [K in keyof T]: string | number | boolean | null }>(
  rows: AsyncIterable<T> | Iterable<T>,
  columns: readonly FileColumn<T>[],
  { format, name, onError }: { format: 'csv' | 'parquet'; name: string; onError: StreamOptions['onError'] },
): Response =>
  streamResponse(format === 'csv' ? asCsv(rows, columns) : asParquet(rows, columns), {
    headers: { 'content-type': contentTypes[format], 'cache-control': 'no-store', ...savedAs(`${name}.${format}`) },
    onError,
  })

async function* asCsv<T extends { [K in keyof T]: string | number | boolean | null }>(
  rows: AsyncIterable<T> | Iterable<T>,
  columns: readonly FileColumn<T>[],
): AsyncGenerator<string> {
  yield csvLine(columns.map(column => column.name))
  for await (const row of rows) yield csvLine(columns.map(column => row[column.name]))
}
