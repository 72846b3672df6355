/** Values of a JSON text and where they stand in it, for the formats that are made of JSON. */

const longNumber = /"(?:[^"\\]|\\.)*"|-?\d{16,}(?=\s*(?:[,}\]]|$))/gs
/** Parses a JSON text. Whole numbers of 16 and more digits (epoch ns) do not fit a double: they are read as text. Throws as JSON.parse does. */
export const parseExact = (text: string): unknown =>
  JSON.parse(/\d{16}/.test(text) ? text.replace(longNumber, part => (part.startsWith('"') ? part : `"${part}"`)) : text)

/** A way into a value. `$` is the value itself; a key that holds dots itself wins over its parts. */
export interface ValuePath {
  path: string
  steps: readonly string[]
  /** A step is the name of something that every object or list has, whether it holds it or not. */
  isInherited: boolean
}
export const valuePath = (path: string): ValuePath => {
  const steps = path === '$' ? [] : path.split('.')
  const isInherited = steps.some(step => step in Object.prototype || step in Array.prototype)
  return { path, steps, isInherited }
}

const member = (value: object, key: string, isInherited: boolean): unknown =>
  isInherited && !Object.hasOwn(value, key) ? undefined : (value as Record<string, unknown>)[key]

/** The value there; undefined where the path leads nowhere. */
export const valueAt = (value: unknown, { path, steps, isInherited }: ValuePath): unknown => {
  if (steps.length === 0) return value
  if (typeof value !== 'object' || value === null) return undefined
  const own = member(value, path, isInherited)
  if (own !== undefined || steps.length === 1) return own
  let at: unknown = value
  for (let i = 0; i < steps.length; i++) {
    if (typeof at !== 'object' || at === null) return undefined
    at = member(at, steps[i] as string, isInherited)
  }
  return at
}

/** Whether a value may have lost digits: a whole number beyond 2^53, or what may hold one. */
const mayBeRounded = (value: unknown, text: string): boolean =>
  typeof value === 'number'
    ? Number.isInteger(value) && !Number.isSafeInteger(value)
    : typeof value === 'object' && value !== null && /\d{16}/.test(text)

/**
 * Parses a JSON text and leaves the values at `ways` in `into`; whole numbers of any length keep their digits. Throws as
 * JSON.parse does. Returns the whole.
 */
export const parseValues = (text: string, ways: readonly ValuePath[], into: unknown[]): unknown => {
  const whole: unknown = JSON.parse(text)
  let rounded = false
  for (let i = 0; i < ways.length; i++) {
    into[i] = valueAt(whole, ways[i] as ValuePath)
    rounded ||= mayBeRounded(into[i], text)
  }
  if (!rounded) return whole
  const exact = parseExact(text)
  for (let i = 0; i < ways.length; i++) into[i] = valueAt(exact, ways[i] as ValuePath)
  return exact
}
