/** Colours that colour-blind eyes tell apart. Lines also differ in dash, the scale of heat maps also in lightness. */

export const lineColours = {
  light: ['#2b62d9', '#b65200', '#0f7a5c', '#a2338d', '#5c6470', '#8a6a00'],
  dark: ['#6b9bff', '#f0a35e', '#4fc79f', '#e58ad3', '#b4bac6', '#dcc15a'],
}
const dashes: number[][] = [[], [7, 4], [2, 3], [10, 3, 2, 3]]

export const lineColour = (index: number, theme: string): string => {
  const colours = theme === 'dark' ? lineColours.dark : lineColours.light
  return colours[index % colours.length] ?? ''
}
export const lineDash = (index: number): number[] =>
  dashes[Math.floor(index / lineColours.light.length) % dashes.length] ?? []

/** Anchors from dark blue to bright yellow, rising evenly in lightness, as the scale named viridis does. */
const anchors = [
  [68, 1, 84],
  [71, 44, 122],
  [59, 81, 139],
  [44, 113, 142],
  [33, 144, 141],
  [39, 173, 129],
  [92, 200, 99],
  [170, 220, 50],
  [253, 231, 37],
] as const

/** 256 colours of the scale as RGBA bytes. */
export const scaleColours = (() => {
  const bytes = new Uint8ClampedArray(256 * 4)
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * (anchors.length - 1)
    const low = Math.min(anchors.length - 2, Math.floor(at))
    for (let c = 0; c < 3; c++) {
      const a = anchors[low]?.[c] ?? 0
      const b = anchors[low + 1]?.[c] ?? 0
      bytes[i * 4 + c] = a + (b - a) * (at - low)
    }
    bytes[i * 4 + 3] = 255
  }
  return bytes
})()

export interface ValueScale {
  min: number
  max: number
  /** 0…255, or -1 where there is no value. */
  place(value: number | null | undefined): number
}
/** From the smallest to the largest value; in the logarithm, from the smallest above zero. */
export const valueScale = (curves: Iterable<readonly (number | null)[]>, log: boolean): ValueScale => {
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  for (const curve of curves) {
    for (const value of curve) {
      if (value === null || (log && value <= 0)) continue
      if (value < min) min = value
      if (value > max) max = value
    }
  }
  if (min > max) return { min: 0, max: 1, place: () => -1 }
  const of = (value: number) => (log ? Math.log(value) : value)
  const low = of(min)
  const width = of(max) - low || 1
  return {
    ...{ min, max },
    place: value => {
      if (value === null || value === undefined) return -1
      if (log && value <= 0) return 0
      return Math.max(0, Math.min(255, Math.round(((of(value) - low) / width) * 255)))
    },
  }
}
