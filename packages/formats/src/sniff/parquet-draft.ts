/** Parquet: columns have their types in the file; which is the time and which name a device is guessed from its rows. */
import type { Frame } from '@penstock/frame'
import type { FileBytes } from '../decoder.ts'
import { parseExact } from '../json-value.ts'
import { createParquet, parquetSchema } from '../parquet.ts'
import type { Field } from './clock.ts'
import { planFields } from './fields.ts'
import type { Draft, Hints, Settings } from './proposal.ts'

const rowsMax = 4000

const fieldsOfFrames = (frames: readonly Frame[]): { fields: Field[]; vectors: number } => {
  const fields = new Map<string, string[]>()
  let vectors = 0
  for (const [k, frame] of frames.entries()) {
    for (const column of frame.columns) {
      if (column.name === 'status') continue
      if (column.type === 'vector') {
        if (k === 0) vectors++
        continue
      }
      const texts = fields.get(column.name) ?? []
      fields.set(column.name, texts)
      for (let i = 0; i < column.values.length && texts.length < rowsMax; i++) {
        const value = column.values[i]
        texts.push(value === null || value === undefined || Number.isNaN(value) ? '' : String(value))
      }
    }
  }
  return { fields: [...fields].map(([name, texts]) => ({ ref: name, name, texts })), vectors }
}

/** Rows that were refused for numbers too large for a column: their texts, and columns that take them. */
const fromRejects = (texts: readonly string[]): { fields: Field[]; columns: Settings } | undefined => {
  const rows: { [key: string]: unknown }[] = []
  for (const text of texts.slice(0, 500)) {
    try {
      const row = parseExact(text)
      if (typeof row === 'object' && row !== null) rows.push(row as { [key: string]: unknown })
    } catch {
      // A row longer than a reject's text is cut: it says nothing here.
    }
  }
  const [first] = rows
  if (!first) return undefined
  const columns: Settings = {}
  const fields: Field[] = []
  for (const name of Object.keys(first)) {
    const values = rows.map(row => row[name])
    const some = values.find(value => value !== null && value !== undefined)
    columns[name] = Array.isArray(some) ? 'vector' : typeOf(values)
    if (!Array.isArray(some))
      fields.push({
        ref: name,
        name,
        texts: values.map(value => (value === null || value === undefined ? '' : String(value))),
      })
  }
  return { fields, columns }
}

/** Of values as a reject spells them; numbers beyond 2^53 stay text. */
const typeOf = (values: readonly unknown[]): string => {
  const texts = values.flatMap(value => (value === null || value === undefined || value === '' ? [] : [String(value)]))
  if (texts.length > 0 && texts.every(text => text === 'true' || text === 'false')) return 'bool'
  const isNumber = (text: string): boolean => /^[+-]?\d+(?:\.\d*)?(?:e[+-]?\d+)?$/i.test(text) && !/\d{16}/.test(text)
  return texts.length > 0 && texts.every(isNumber) ? 'float' : 'text'
}

export const draftParquet = async (file: FileBytes, name: string, hints: Hints): Promise<Draft[] | string> => {
  const context = { source: 'sample', file: name, site: 'site', device: 'device', stream: '', zone: 'UTC' }
  const decoder = createParquet(parquetSchema.parse({ kind: 'parquet' }), {
    ...context,
    frameRowsMax: rowsMax,
    recordBytesMax: 1_048_576,
  })
  const pulled = await decoder.pull(file, true, 0n)
  const rejected = fromRejects(pulled.rejects.map(reject => reject.text))
  const known = pulled.frames.length > 0 ? fieldsOfFrames(pulled.frames) : rejected
  if (!known || known.fields.length === 0) return pulled.rejects[0]?.reason ?? 'the Parquet file holds no row'
  const plan = planFields(known.fields, hints, false)
  const { time, tags, sameTime } = plan.settings
  const used = new Set([...plan.clock.used.map(i => known.fields[i]?.name), ...tagColumns(tags)])
  const columns =
    'columns' in known ? Object.fromEntries(Object.entries(known.columns).filter(([key]) => !used.has(key))) : undefined
  return [
    {
      format: {
        kind: 'parquet',
        ...(time !== undefined && { time }),
        ...(tags !== undefined && { tags }),
        ...(columns && { columns }),
        ...(sameTime !== undefined && { sameTime }),
      },
      kind: 'drop',
      stream: 'readings',
      ...(plan.clock.time && !plan.clock.isUtc && { local: true, ...(plan.clock.ms && { localMs: plan.clock.ms }) }),
      doubts: plan.doubts.filter(doubt => doubt.path[1] !== 'columns'),
      findings: [
        { what: 'format', text: 'Parquet: names and types of the columns as the file has them' },
        ...plan.findings.filter(f => f.what !== 'units'),
      ],
      weight: 3,
    },
  ]
}

const tagColumns = (tags: unknown): string[] =>
  typeof tags === 'object' && tags !== null
    ? Object.values(tags).flatMap(tag =>
        typeof tag === 'object' && tag !== null ? [String((tag as { column?: unknown }).column)] : [],
      )
    : []
