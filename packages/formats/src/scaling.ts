/** Raw numbers of an instrument to physical values: value = raw × scale + offset. */
export interface Scaling {
  scale?: number | undefined
  offset?: number | undefined
}

/**
 * The function of a scaling. Steps such as 0.1 and 0.001 divide instead of multiplying: 3 × 0.1 is 0.30000000000000004,
 * 3 / 10 the nearest double to 0.3.
 */
export const createScaling = ({ scale = 1, offset = 0 }: Scaling): ((raw: number) => number) => {
  const divisor = Math.round(1 / scale)
  const divides = Math.abs(scale) < 1 && Number.isSafeInteger(divisor) && 1 / divisor === scale
  return divides ? raw => raw / divisor + offset : raw => raw * scale + offset
}
