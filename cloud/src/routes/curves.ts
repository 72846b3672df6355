/** Long curves in few numbers: of each slice its smallest and largest, in the order in which they stand, so that no peak vanishes. */

/** At most `max` values. Rounds down to pairs; a curve that fits stays as it is. */
export const shortCurve = (values: Float64Array, max: number): Float64Array => {
  const n = values.length
  if (n <= max) return values
  const slices = Math.max(1, Math.floor(max / 2))
  const short = new Float64Array(slices * 2)
  for (let slice = 0; slice < slices; slice++) {
    const end = Math.floor(((slice + 1) * n) / slices)
    let low = Math.floor((slice * n) / slices)
    let high = low
    for (let i = low + 1; i < end; i++) {
      const value = values[i] as number
      if (value < (values[low] as number) || Number.isNaN(values[low] as number)) low = i
      if (value > (values[high] as number) || Number.isNaN(values[high] as number)) high = i
    }
    short[slice * 2] = values[Math.min(low, high)] as number
    short[slice * 2 + 1] = values[Math.max(low, high)] as number
  }
  return short
}

/** The axis that goes with `shortCurve`, the same for all curves: where a slice begins, and its middle. */
export const shortAxis = (axis: Float64Array, max: number): Float64Array => {
  const n = axis.length
  if (n <= max) return axis
  const slices = Math.max(1, Math.floor(max / 2))
  return Float64Array.from({ length: slices * 2 }, (_, i) => axis[Math.floor((i * n) / (slices * 2))] as number)
}
