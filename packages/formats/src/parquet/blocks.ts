/**
 * Rows out of columns: numbers and times are handed to the row reader as they are, the rest as text, so that a table reads
 * the same whether it comes as text or as Parquet. A row whose numbers are not all plain goes as text altogether.
 */
import { type Frame, type Json, STATUS_COLUMN } from '@penstock/frame'
import { numberNames } from '../column-names.ts'
import type { DecoderContext } from '../decoder.ts'
import {
  type ColumnOptions,
  type ColumnsOptions,
  type FieldRef,
  fieldsOf,
  listColumns,
  type TimeOptions,
} from '../options.ts'
import { createCellWriter, withMark } from '../record.ts'
import { createRowReader, type RowOptions, type RowReader } from '../row.ts'
import type { RowPlace } from '../series.ts'
import { NO_TIME } from '../time-layout.ts'
import type { Logical } from './logical.ts'
import type { PageColumn } from './pages.ts'
import type { Leaf } from './schema.ts'

export interface BlockReader {
  /** The columns to be given, in this order. */
  readonly used: readonly Leaf[]
  /** `count` rows were taken from all columns. */
  begin(columns: readonly PageColumn[], count: number): void
  /** Row i of them: appended, or why it is refused. */
  row(i: number, place: RowPlace, atNs: bigint | undefined): string | undefined
  /** Row i as a JSON object, for its reject. */
  text(i: number): string
  /** About how many bytes the rows since `begin` take. */
  bytes(): number
  flush(): Frame[]
  state(): Json
}

type Options = Omit<RowOptions, 'decimal'>

/** Or one sentence that says why no row of the file can be read. */
export const createBlockReader = (
  options: Options,
  context: DecoderContext,
  leaves: readonly Leaf[],
  restored: Json,
): BlockReader | string => {
  const names = numberNames(leaves.map(leaf => leaf.name))
  const fieldOf = (ref: FieldRef): number => (typeof ref === 'number' ? ref - 1 : names.indexOf(ref))
  const roles = rolesOf(options.time, leaves, fieldOf)
  if (typeof roles === 'string') return roles
  const rowOptions = withTypes(options, leaves, names, fieldOf)
  if (typeof rowOptions === 'string') return rowOptions

  let columns: readonly PageColumn[] = []
  /** Place of a field's column in `columns`. */
  const places = new Map<number, number>()
  let at = 0
  /** Bytes of the rows since `begin`. */
  let total = 0
  const writer = createCellWriter(leaves.length)
  const { cells } = writer

  const columnOf = (field: number): PageColumn => columns[places.get(field) as number] as PageColumn
  const timeField = roles.typed
  const timeOf = timeField === undefined ? undefined : leaves[timeField]?.logical?.time
  const time =
    timeField === undefined || !timeOf
      ? undefined
      : (into: Float64Array) => {
          const column = columnOf(timeField)
          const slot = column.slots[at] as number
          const found = slot < 0 ? NO_TIME : timeOf(column.values(), slot, into)
          if (found === NO_TIME) writeCell(timeField)
          return found
        }
  const curve = (field: number): Float64Array | null => {
    const found = columnOf(field).curves()[at] ?? null
    total += found ? found.byteLength : 0
    return found
  }
  const typed = { time, curve }
  const made = createRowReader(
    rowOptions,
    context,
    'parquet',
    names,
    undefined,
    names.length,
    restored,
    undefined,
    undefined,
    typed,
  )
  if (typeof made === 'string') return made
  const rows: RowReader = made
  const { numbers, numberFields, otherFields } = rows
  const fields = [...new Set([...numberFields.map(n => n.field), ...otherFields])].sort((a, b) => a - b)
  const used = fields.map(field => leaves[field] as Leaf)
  for (const [i, field] of fields.entries()) places.set(field, i)
  const asText = otherFields.filter(f => leaves[f]?.repetitionMax === 0 && !(time && f === timeField))
  const direct = numberFields.every(n => isNumber(leaves[n.field]))
  // What a number column may hold beside numbers; a hole that is allowed is plain.
  const plans = numberFields.map(n => ({
    ...n,
    logical: leaves[n.field]?.logical,
    holeIsPlain: !n.required && !n.sentinelTexts.has(''),
    block: new Float64Array(0),
  }))
  let odd = new Uint8Array(0)

  const writeCell = (field: number, decimal?: number): void => {
    const leaf = leaves[field] as Leaf
    const column = columnOf(field)
    const slot = column.slots[at] as number
    if (slot < 0) return
    const values = column.values()
    if (values.type === 'bytes' && leaf.logical?.isText) {
      writer.writeBytes(field, values.bytes, values.starts[slot] as number, values.ends[slot] as number)
    } else writer.write(field, withMark(roles.cut(field, leaf.logical?.text(values, slot) ?? ''), decimal))
  }

  const begin: BlockReader['begin'] = (given, count) => {
    columns = given
    total = 8 * count * (numberFields.length + 1)
    if (odd.length < count) odd = new Uint8Array(count)
    odd.fill(direct ? 0 : 1, 0, count)
    if (!direct) return
    for (const plan of plans) {
      if (plan.block.length < count) plan.block = new Float64Array(count)
      const column = columnOf(plan.field)
      fill(column, plan.logical, plan.block, count)
      const { block, int, holeIsPlain } = plan
      for (let i = 0; i < count; i++) {
        const value = block[i] as number
        if (int ? Number.isSafeInteger(value) : Number.isFinite(value)) continue
        if (!holeIsPlain || (column.slots[i] as number) >= 0) odd[i] = 1
      }
    }
  }

  const row: BlockReader['row'] = (i, place, atNs) => {
    at = i
    writer.begin()
    if (odd[i] === 1) {
      for (const { field, decimal } of plans) writeCell(field, decimal)
    } else for (let k = 0; k < plans.length; k++) numbers[k] = plans[k]?.block[i] as number
    for (const field of asText) writeCell(field)
    writer.end()
    const reason =
      (odd[i] === 1 ? (inexact() ?? rows.readNumbers(cells)) : undefined) ?? rows.finish(cells, place, atNs)
    total += writer.written()
    return reason
  }
  /** A whole number that a double would round is refused, not rounded. */
  const inexact = (): string | undefined => {
    for (const { field, int } of plans) {
      const leaf = leaves[field]
      const column = columnOf(field)
      const slot = column.slots[at] as number
      if (
        int ||
        slot < 0 ||
        leaf?.logical?.kind !== 'int' ||
        !Number.isNaN(leaf.logical.number(column.values(), slot))
      ) {
        continue
      }
      const text = leaf.logical.text(column.values(), slot)
      if (BigInt(Number(text)) !== BigInt(text)) {
        return `column "${names[field]}": "${text}" is beyond 2^53 and would be rounded; read it as text`
      }
    }
    return undefined
  }

  const text: BlockReader['text'] = i => {
    at = i
    const parts = used.map(leaf => {
      const column = columnOf(leaf.index)
      const slot = column.slots[i] as number
      const list = column.curves()[i]
      const value =
        leaf.repetitionMax > 0
          ? list && Array.from(list)
          : slot < 0
            ? null
            : (leaf.logical?.text(column.values(), slot) ?? null)
      return `${JSON.stringify(leaf.name)}: ${JSON.stringify(value ?? null)}`
    })
    return `{${parts.join(', ')}}`
  }

  return {
    used,
    begin,
    row,
    text,
    bytes: () => total,
    flush: () => rows.sink.flush(),
    state: () => rows.sink.state(),
  }
}

const isNumber = (leaf: Leaf | undefined): boolean =>
  leaf?.repetitionMax === 0 && (leaf.logical?.kind === 'float' || leaf.logical?.kind === 'int')

/** The numbers of the rows taken; NaN where there is none. */
const fill = (column: PageColumn, logical: Logical | undefined, out: Float64Array, count: number): void => {
  const { slots } = column
  const values = column.values()
  if (logical?.isPlain && values.type === 'numbers') {
    const { numbers } = values
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number
      out[i] = slot < 0 ? Number.NaN : (numbers[slot] as number)
    }
    return
  }
  for (let i = 0; i < count; i++) {
    const slot = slots[i] as number
    out[i] = slot < 0 || !logical ? Number.NaN : logical.number(values, slot)
  }
}

interface Roles {
  /** The field that holds the time as one value of its own type. */
  typed: number | undefined
  /** The part of a text that a field is used for: of a moment, its date or its time of day. */
  cut(field: number, text: string): string
}
const rolesOf = (
  time: TimeOptions | undefined,
  leaves: readonly Leaf[],
  fieldOf: (ref: FieldRef) => number,
): Roles | string => {
  const cut = (_: number, text: string) => text
  if (!time) return { typed: undefined, cut }
  if ('column' in time) {
    const field = fieldOf(time.column)
    const logical = leaves[field]?.logical
    if (logical?.kind === 'float')
      return { typed: undefined, cut: (f, text) => (f === field ? plainDigits(text) : text) }
    if (!logical?.time) return { typed: undefined, cut }
    if (time.start !== undefined) {
      return `time.start belongs to a counter, and the column "${leaves[field]?.name}" holds times: leave it out`
    }
    return { typed: field, cut }
  }
  const date = 'date' in time ? fieldOf(time.date) : -1
  const clock = 'time' in time ? fieldOf(time.time) : -1
  const isMoment = (field: number) => leaves[field]?.logical?.kind === 'timestamp'
  return {
    typed: undefined,
    cut: (field, text) => {
      if (field === date && isMoment(field)) return text.slice(0, 10)
      return field === clock && isMoment(field) ? text.slice(11).replace('Z', '') : text
    },
  }
}

/** Digits without exponent, as a counter of seconds is written. */
const plainDigits = (text: string): string => (text.includes('e') ? Number(text).toFixed(18) : text)

/** The options with the columns of the file where they name none, and dates and times of the file beside written ones. */
const withTypes = (
  options: Options,
  leaves: readonly Leaf[],
  names: readonly string[],
  fieldOf: (ref: FieldRef) => number,
): RowOptions | string => {
  const named = new Set(fieldsOf({ time: options.time, tags: options.tags }).map(({ ref }) => fieldOf(ref)))
  const columns = options.columns ?? columnsOf(leaves, names, named)
  const wanted = listColumns(columns)
  for (const { from, type } of wanted) {
    const leaf = leaves[fieldOf(from)]
    const problem = leaf && problemOf(leaf, type === 'vector')
    if (problem !== undefined) {
      return `the column "${leaf?.name}" ${problem}${options.columns ? '' : '; name the columns to read under columns'}`
    }
  }
  for (const field of named) {
    const leaf = leaves[field]
    const problem = leaf && problemOf(leaf, false)
    if (problem !== undefined) return `the column "${leaf?.name}" ${problem}`
  }
  // An empty cell is how a hole looks here, whatever else the options count as one.
  const nullTexts = [...new Set(['', ...options.nullTexts])]
  return { ...options, columns: wanted, nullTexts, decimal: '.', time: withIso(options.time) }
}

const problemOf = (leaf: Leaf, asVector: boolean): string | undefined => {
  if (leaf.problem !== undefined) return `${leaf.problem}, which is not read`
  if (leaf.repetitionMax > 0 && !asVector) return 'is a list of numbers: it is read with the type vector alone'
  return leaf.repetitionMax === 0 && asVector ? 'is no list of numbers, as the type vector needs it' : undefined
}

const withIso = (time: TimeOptions | undefined): TimeOptions | undefined =>
  time && 'column' in time ? time : time && { ...time, layout: [...new Set(['iso', ...[time.layout].flat()])] }

const columnsOf = (leaves: readonly Leaf[], names: readonly string[], named: ReadonlySet<number>): ColumnsOptions => {
  const columns: ColumnOptions[] = []
  for (const [field, leaf] of leaves.entries()) {
    if (named.has(field)) continue
    let name = names[field] || `column${field + 1}`
    while (name === STATUS_COLUMN || (name !== names[field] && names.includes(name))) name = `${name}_`
    const kind = leaf.logical?.kind
    const isOwn = kind === 'float' || kind === 'int' || kind === 'bool'
    const type = leaf.repetitionMax > 0 ? 'vector' : isOwn ? kind : 'text'
    columns.push({ name, from: field + 1, type, status: {}, required: false })
  }
  return columns
}
