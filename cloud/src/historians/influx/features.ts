/** Curves do not go into InfluxDB: each becomes numbers, `<column>.n`, `.min`, `.max`, `.mean` and, with an axis, `.integral`. */
import type { Column, Frame, VectorColumn } from '@penstock/frame'

export const withoutCurves = (frame: Frame): Frame =>
  frame.columns.some(column => column.type === 'vector')
    ? { ...frame, columns: frame.columns.flatMap(column => (column.type === 'vector' ? featuresOf(column) : column)) }
    : frame

const featuresOf = ({ name, unit, axis, values }: VectorColumn): Column[] => {
  const column = (feature: string, of: (curve: Float64Array) => number | null): Column => ({
    name: `${name}.${feature}`,
    type: 'float',
    ...(unit !== undefined && feature !== 'integral' && { unit }),
    values: values.map(curve => (curve.length === 0 ? null : of(curve))),
  })
  return [
    { name: `${name}.n`, type: 'int', values: values.map(curve => curve.length) },
    column('min', curve => curve.reduce((a, b) => Math.min(a, b))),
    column('max', curve => curve.reduce((a, b) => Math.max(a, b))),
    column('mean', curve => curve.reduce((a, b) => a + b, 0) / curve.length),
    ...(axis ? [column('integral', curve => integralOf(curve, axis))] : []),
  ]
}

/** By trapezoids; `null` where axis and curve are not of one length. */
const integralOf = (curve: Float64Array, axis: Float64Array): number | null => {
  if (axis.length !== curve.length) return null
  let sum = 0
  for (let i = 1; i < curve.length; i++) {
    sum += (((curve[i] ?? 0) + (curve[i - 1] ?? 0)) / 2) * ((axis[i] ?? 0) - (axis[i - 1] ?? 0))
  }
  return sum
}
