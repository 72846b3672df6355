/** The columns of a Parquet file: leaves of its schema, each with the path by which the configuration names it. */
import type { SchemaElement } from 'hyparquet/src/types.js'
import { type Logical, logicalOf } from './logical.ts'
import type { Shape } from './values.ts'

export interface Leaf {
  /** Names of its groups and its own, with dots between; of a list, that of the list. */
  name: string
  /** Position among the column chunks of a row group. */
  index: number
  shape: Shape
  definitionMax: number
  /** 0, or 1 for a list of values. */
  repetitionMax: number
  /** A list may hold nulls. */
  elementOptional: boolean
  logical: Logical | undefined
  /** Why it is not read, where it is not. */
  problem: string | undefined
}

const depthMax = 32
const leavesMax = 16_384

/** Throws where the elements are no tree. */
export const leavesOf = (elements: readonly SchemaElement[]): Leaf[] => {
  const leaves: Leaf[] = []
  let at = 0
  const walk = (path: readonly SchemaElement[]): void => {
    const element = elements[at++]
    if (!element) throw new Error('its schema ends early')
    if (path.length > depthMax || leaves.length >= leavesMax) throw new Error('its schema is too deep or too wide')
    const here = [...path, element]
    if (element.type === undefined) for (let i = 0; i < (element.num_children ?? 0); i++) walk(here)
    else leaves.push(leafOf(here.slice(1), leaves.length))
  }
  walk([])
  return leaves
}

const leafOf = (path: readonly SchemaElement[], index: number): Leaf => {
  const element = path.at(-1) as SchemaElement
  const repetitionMax = path.filter(e => e.repetition_type === 'REPEATED').length
  const definitionMax = path.filter(e => e.repetition_type !== 'REQUIRED').length
  const isMap = path.some(e => e.converted_type === 'MAP' || e.logical_type?.type === 'MAP')
  const logical = logicalOf(element)
  const numbers = typeof logical !== 'string' && (logical.kind === 'float' || logical.kind === 'int')
  const problem =
    typeof logical === 'string'
      ? logical
      : isMap
        ? 'is part of a map'
        : repetitionMax > 1
          ? 'is a list of lists'
          : repetitionMax === 1 && !numbers
            ? 'is a list of values that are no numbers'
            : undefined
  return {
    name: nameOf(path),
    index,
    shape: { type: element.type ?? 'BYTE_ARRAY', width: element.type_length ?? 0 },
    definitionMax,
    repetitionMax,
    elementOptional: element.repetition_type === 'OPTIONAL',
    logical: typeof logical === 'string' ? undefined : logical,
    problem,
  }
}

/** A list stands as group – repeated group – element; its own name is that of the outermost. */
const nameOf = (path: readonly SchemaElement[]): string => {
  const list = path.findIndex(e => e.converted_type === 'LIST' || e.logical_type?.type === 'LIST')
  const names = path.map(e => e.name)
  return (list < 0 ? names : [...names.slice(0, list + 1), ...names.slice(list + 3)]).join('.')
}
