/** Values of a JSON text and where they stand in it, for the formats that are made of JSON. */

const longNumber = /"(?:[^"\\]|\\.)*"|-?\d{16,}(?=\s*(?:[,}\]]|$))/gs
/** Parses a JSON text. Whole numbers of 16 and more digits (epoch ns) do not fit a double: they are read as text. Throws as JSON.parse does. */
export const parseExact = (text: string): unknown =>
  JSON.parse(/\d{16}/.test(text) ? text.replace(longNumber, part => (part.startsWith('"') ? part : `"${part}"`)) : text)

/** A way into a value. `$` is the value itself; a key that holds dots itself wins over its parts. */
export interface ValuePath {
  path: string
  steps: readonly string[]
}
export const valuePath = (path: string): ValuePath => ({ path, steps: path === '$' ? [] : path.split('.') })

/** The value there; undefined where the path leads nowhere. */
export const valueAt = (value: unknown, { path, steps }: ValuePath): unknown => {
  if (steps.length === 0) return value
  if (typeof value !== 'object' || value === null) return undefined
  if (Object.hasOwn(value, path)) return (value as Record<string, unknown>)[path]
  let at: unknown = value
  for (const step of steps) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined
    at = (at as Record<string, unknown>)[step]
  }
  return at
}
