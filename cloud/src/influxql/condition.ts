/** WHERE over tags and fields, in three values: what the tags alone cannot say is `undefined`. */
import { type BinaryOperator, type Expression, InfluxQlError } from '../influxql.ts'
import type { Value } from './tables.ts'

/** A value, or `undefined` where it is not known yet. */
export type Lookup = (name: string, as: 'tag' | 'field' | undefined) => Value | undefined

/** Whether a row is wanted; `undefined` where that depends on what `lookup` does not know. */
export const isWanted = (condition: Expression, lookup: Lookup): boolean | undefined => {
  if (condition.kind === 'boolean') return condition.value
  if (condition.kind !== 'binary') throw new InfluxQlError('WHERE is made of comparisons, joined by AND and OR')
  const { operator, left, right } = condition
  if (operator === 'and' || operator === 'or') {
    const a = isWanted(left, lookup)
    const b = isWanted(right, lookup)
    const decisive = operator === 'or'
    if (a === decisive || b === decisive) return decisive
    return a === undefined || b === undefined ? undefined : !decisive
  }
  const a = operandOf(left, lookup)
  if (operator === '=~' || operator === '!~') {
    if (right.kind !== 'regex') throw new InfluxQlError(`${operator} expects a regular expression`)
    if (a === undefined) return undefined
    return typeof a === 'string' && right.value.test(a) === (operator === '=~')
  }
  const b = operandOf(right, lookup)
  return a === undefined || b === undefined ? undefined : compare(operator, a, b)
}

const operandOf = (expression: Expression, lookup: Lookup): Value | undefined => {
  switch (expression.kind) {
    case 'name':
      return lookup(expression.name, expression.as)
    case 'integer':
      return Number(expression.value)
    case 'number':
    case 'string':
    case 'boolean':
      return expression.value
    case 'binary': {
      const a = operandOf(expression.left, lookup)
      const b = operandOf(expression.right, lookup)
      return a === undefined || b === undefined ? undefined : calculate(expression.operator, a, b)
    }
    default:
      throw new InfluxQlError('WHERE compares tags and fields with numbers, texts and true or false')
  }
}

/** null, or values of two types: no comparison holds. */
const compare = (operator: BinaryOperator, a: Value, b: Value): boolean => {
  if (a === null || b === null || typeof a !== typeof b) return false
  if (operator === '=') return a === b
  if (operator === '!=') return a !== b
  if (typeof a !== 'number' || typeof b !== 'number') throw new InfluxQlError(`${operator} compares numbers`)
  if (operator === '<') return a < b
  if (operator === '<=') return a <= b
  if (operator === '>') return a > b
  if (operator === '>=') return a >= b
  throw new InfluxQlError('WHERE is made of comparisons, joined by AND and OR')
}

/** As InfluxDB has it, dividing by 0 gives 0. */
export const calculate = (operator: BinaryOperator, a: Value, b: Value): Value => {
  if (typeof a !== 'number' || typeof b !== 'number') return null
  if (operator === '+') return a + b
  if (operator === '-') return a - b
  if (operator === '*') return a * b
  if (operator === '/') return b === 0 ? 0 : a / b
  if (operator === '%') return b === 0 ? 0 : a % b
  throw new InfluxQlError('a comparison stands in WHERE, not here')
}
