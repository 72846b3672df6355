/**
 * Names as InfluxDB takes them. Line protocol has no way to carry a line break or a backslash at the end of a name, and some
 * names are spoken for: such characters stand as `%XX` (hex of the character), reversibly; a plain `%` stays as it is.
 *
 *     stream → measurement      site, device → tags      column → field
 */

/** Fields of every row besides its columns. `_row`: which columns it came with; `_holes`: which of them are holes, where it replaced a row. */
export const ROW_FIELD = '_row'
export const HOLES_FIELD = '_holes'
const reservedFields = new Set(['time', 'site', 'device', ROW_FIELD, HOLES_FIELD])
/** Measurements of our own. */
export const STATE = 'penstock_state'
export const CATALOG = 'penstock_catalog'
export const DIRTY = 'penstock_dirty'

const hexOf = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
const hideLast = (name: string): string => name.slice(0, -1) + hexOf(name.slice(-1))

/** A name without control characters and backslashes. */
export const plainName = (name: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  name.replace(/[\u0000-\u001f\u007f\\]|%(?=[0-9A-F]{2})/g, hexOf)
/** The name that `plainName` or one of the functions below made this of. */
export const originalName = (name: string): string =>
  name.replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))

export const measurementName = (stream: string): string => {
  const name = plainName(stream)
  if (/^(penstock_|_)|_(hourly|daily)$/.test(name)) return hideLast(name)
  return name.startsWith('#') ? `%23${name.slice(1)}` : name
}
export const aggregateMeasurement = (stream: string, resolution: 'hour' | 'day'): string =>
  `${measurementName(stream)}_${resolution === 'hour' ? 'hourly' : 'daily'}`

export const fieldName = (column: string): string => {
  const name = plainName(column)
  return reservedFields.has(name) ? hideLast(name) : name
}

/** Escaped for line protocol. */
export const lineMeasurement = (name: string): string => name.replace(/[, ]/g, '\\$&')
export const lineKey = (name: string): string => name.replace(/[,= ]/g, '\\$&')
export const lineText = (text: string): string => `"${/["\\]/.test(text) ? text.replace(/["\\]/g, '\\$&') : text}"`
/** `,tag=value`, or nothing for an empty value, which line protocol does not have and InfluxDB takes for a missing tag. */
export const lineTag = (tag: string, value: string): string =>
  value === '' ? '' : `,${tag}=${lineKey(plainName(value))}`

/** Quoted for InfluxQL. */
export const identifier = (name: string): string => `"${name.replace(/["\\]/g, '\\$&').replace(/\n/g, '\\n')}"`
export const literal = (text: string): string => `'${text.replace(/['\\]/g, '\\$&').replace(/\n/g, '\\n')}'`
export const tagIs = (tag: string, value: string): string => `${identifier(tag)} = ${literal(plainName(value))}`
