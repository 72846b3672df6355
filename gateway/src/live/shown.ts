/** Values of rows as people are shown them. */
import { type Column, type Frame, type Json, STATUS_COLUMN } from '@penstock/frame'

/** A value as people are shown it: a curve is told by its length and range, a long text is cut. */
export type ShownValue = Json | { length: number; min: number; max: number }

export interface ShownColumn {
  name: string
  unit?: string
  type: Column['type']
}

/** What is wrong with a row; `null` is ok. */
export const statusOf = (frame: Frame, row: number): string | null => {
  const status = frame.columns.find(column => column.name === STATUS_COLUMN)?.values[row]
  return typeof status === 'string' ? status : null
}

export const shownValue = ({ values }: Column, row: number, textCharsMax: number): ShownValue => {
  const value = values[row]
  if (value === undefined || value === null) return null
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (typeof value === 'string') return value.length > textCharsMax ? `${value.slice(0, textCharsMax)}…` : value
  if (typeof value === 'boolean') return value
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const v of value) {
    if (v < min) min = v
    if (v > max) max = v
  }
  return { length: value.length, min: Number.isFinite(min) ? min : 0, max: Number.isFinite(max) ? max : 0 }
}

export const shownColumn = ({ name, unit, type }: ShownColumn): ShownColumn => ({
  name,
  type,
  ...(unit !== undefined && { unit }),
})
