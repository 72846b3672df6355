/**
 * NI's scales: from what the hardware counted to the unit of the channel, as properties NI_Scale[i]_… say. A scale takes
 * the raw values, a DAQmx scaler or another scale; the last one gives the values of the channel.
 *
 * Done are Linear, Polynomial, Table, Add and Subtract. Of the others (thermocouples, bridges, …) the raw values are
 * kept, and their rows say `unscaled`.
 */
import type { Properties } from './metadata.ts'

export const STATUS_UNSCALED = 'unscaled'

/** Values of one scale, computed from `inputs` by scaler id (−1: the channel's own raw values). */
export type ScaleInputs = (scaler: number) => Float64Array

export interface Scale {
  /** Equal keys scale alike. */
  key: string
  /** Ids of the scalers that it takes, −1 for the channel's own raw values. */
  inputs: readonly number[]
  apply(inputs: ScaleInputs, count: number): Float64Array
}
/** No scale, a scale, or why there is one that cannot be applied. */
export type ScaleFound = Scale | { key: string; unsupported: string } | undefined

/** Scales of one channel, coefficients of a polynomial and points of a table. */
const scalesMax = 256
const coefficientsMax = 4096
const RAW = 0xffffffff

type Step =
  | { kind: 'scaler'; id: number }
  | { kind: 'linear'; input: number; slope: number; intercept: number }
  | { kind: 'polynomial'; input: number; coefficients: number[] }
  | { kind: 'table'; input: number; from: number[]; to: number[] }
  | { kind: 'add' | 'subtract'; left: number; right: number }

class Unsupported extends Error {}

/** @param owners properties of the channel, its group and the file: the first that names scales counts */
export const scaleOf = (owners: readonly (Properties | undefined)[]): ScaleFound => {
  for (const properties of owners) {
    const count = properties && countOf(properties)
    if (!properties || !count || properties.get('NI_Scaling_Status') === 'scaled') continue
    try {
      if (count > scalesMax) throw new Unsupported(`has ${count} scales, more than the ${scalesMax} allowed`)
      const steps = Array.from({ length: count }, (_, i) => stepOf(properties, i))
      checkInputs(steps)
      return {
        key: JSON.stringify(steps),
        inputs: sourcesOf(steps, count - 1),
        apply: (inputs, n) => evaluate(steps, count - 1, inputs, n),
      }
    } catch (error) {
      if (!(error instanceof Unsupported)) throw error
      return { key: `!${error.message}`, unsupported: error.message }
    }
  }
  return undefined
}

const countOf = (properties: Properties): number => {
  const named = properties.get('NI_Number_Of_Scales')
  if (typeof named === 'number') return named
  let count = 0
  for (const name of properties.keys()) {
    const index = /^NI_Scale\[(\d{1,4})\]_Scale_Type$/.exec(name)?.[1]
    if (index !== undefined) count = Math.max(count, Number(index) + 1)
  }
  return count
}

const stepOf = (properties: Properties, i: number): Step => {
  const type = properties.get(`NI_Scale[${i}]_Scale_Type`)
  // A scale without a type is what a DAQmx scaler of that id gives.
  if (type === undefined) return { kind: 'scaler', id: i }
  const number = (name: string, otherwise?: number): number => {
    const value = properties.get(`NI_Scale[${i}]_${name}`) ?? otherwise
    if (typeof value !== 'number') throw new Unsupported(`scale ${i} (${type}) has no number NI_Scale[${i}]_${name}`)
    return value
  }
  const numbers = (name: string, count: number): number[] => {
    if (!(count <= coefficientsMax)) throw new Unsupported(`scale ${i} (${type}) has ${count} numbers`)
    return Array.from({ length: count }, (_, k) => number(`${name}[${k}]`))
  }
  switch (type) {
    case 'Linear':
      return {
        kind: 'linear',
        input: number('Linear_Input_Source', RAW),
        slope: number('Linear_Slope'),
        intercept: number('Linear_Y_Intercept'),
      }
    case 'Polynomial': {
      const coefficients = numbers('Polynomial_Coefficients', number('Polynomial_Coefficients_Size', 4))
      return { kind: 'polynomial', input: number('Polynomial_Input_Source', RAW), coefficients }
    }
    case 'Table': {
      const from = numbers('Table_Pre_Scaled_Values', number('Table_Pre_Scaled_Values_Size'))
      const to = numbers('Table_Scaled_Values', number('Table_Scaled_Values_Size'))
      return { kind: 'table', input: number('Table_Input_Source', RAW), ...tableOf(from, to, i) }
    }
    case 'Add':
    case 'Subtract': {
      const left = number(`${type}_Left_Operand_Input_Source`)
      const right = number(`${type}_Right_Operand_Input_Source`)
      return { kind: type === 'Add' ? 'add' : 'subtract', left, right }
    }
    default:
      throw new Unsupported(`scales of type ${String(type).slice(0, 40)} are not read`)
  }
}

const tableOf = (from: number[], to: number[], i: number): { from: number[]; to: number[] } => {
  const rises = from[0] !== undefined && from[1] !== undefined && from[1] < from[0] ? -1 : 1
  const ordered = from.every((x, k) => k === 0 || (x - (from[k - 1] as number)) * rises > 0)
  if (from.length === 0 || from.length !== to.length || !ordered) {
    throw new Unsupported(`scale ${i} (Table) has points that neither rise nor fall`)
  }
  return rises < 0 ? { from: from.reverse(), to: to.reverse() } : { from, to }
}

const inputsOf = (step: Step): number[] =>
  step.kind === 'scaler' ? [] : 'left' in step ? [step.left, step.right] : [step.input]

/** Every input is there, and none goes round in a circle. */
const checkInputs = (steps: readonly Step[]): void => {
  const state = new Uint8Array(steps.length)
  const visit = (i: number): void => {
    if (i === RAW || state[i] === 2) return
    const step = steps[i]
    if (!step) throw new Unsupported(`a scale takes scale ${i}, which there is not`)
    if (state[i] === 1) throw new Unsupported(`scale ${i} takes its own result`)
    state[i] = 1
    for (const input of inputsOf(step)) visit(input)
    state[i] = 2
  }
  for (let i = 0; i < steps.length; i++) visit(i)
}

/** The scalers that a scale takes in the end. */
const sourcesOf = (steps: readonly Step[], last: number): number[] => {
  const found = new Set<number>()
  const seen = new Set<number>()
  const visit = (i: number): void => {
    if (seen.has(i)) return
    seen.add(i)
    const step = steps[i]
    if (!step) found.add(-1)
    else if (step.kind === 'scaler') found.add(step.id)
    else for (const input of inputsOf(step)) visit(input)
  }
  visit(last)
  return [...found]
}

const evaluate = (steps: readonly Step[], last: number, inputs: ScaleInputs, n: number): Float64Array => {
  const done = new Map<number, Float64Array>()
  const valuesOf = (i: number): Float64Array => {
    if (i === RAW) return inputs(-1)
    let values = done.get(i)
    if (!values) {
      values = compute(steps[i] as Step)
      done.set(i, values)
    }
    return values
  }
  const compute = (step: Step): Float64Array => {
    if (step.kind === 'scaler') return inputs(step.id)
    const out = new Float64Array(n)
    if ('left' in step) {
      const left = valuesOf(step.left)
      const right = valuesOf(step.right)
      // NI's own reader of these files takes the left operand from the right one.
      const sign = step.kind === 'add' ? 1 : -1
      for (let k = 0; k < n; k++) out[k] = (right[k] as number) + sign * (left[k] as number)
      return out
    }
    const values = valuesOf(step.input)
    for (let k = 0; k < n; k++) out[k] = single(step, values[k] as number)
    return out
  }
  return valuesOf(last)
}

const single = (step: Exclude<Step, { kind: 'scaler' } | { left: number }>, x: number): number => {
  if (step.kind === 'linear') return x * step.slope + step.intercept
  if (step.kind === 'polynomial') {
    let y = 0
    for (let k = step.coefficients.length - 1; k >= 0; k--) y = y * x + (step.coefficients[k] as number)
    return y
  }
  return interpolate(step.from, step.to, x)
}

/** Between the points of a table by straight lines; beyond its ends the end. */
const interpolate = (from: readonly number[], to: readonly number[], x: number): number => {
  const top = from.length - 1
  if (Number.isNaN(x)) return x
  if (x <= (from[0] as number)) return to[0] as number
  if (x >= (from[top] as number)) return to[top] as number
  let low = 0
  let high = top
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if ((from[middle] as number) <= x) low = middle
    else high = middle
  }
  const x0 = from[low] as number
  const y0 = to[low] as number
  return y0 + ((x - x0) * ((to[high] as number) - y0)) / ((from[high] as number) - x0)
}
