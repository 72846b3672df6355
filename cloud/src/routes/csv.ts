/** CSV as RFC 4180 has it, safe to open in a spreadsheet. */

/** Numbers stand as they are. A text that a spreadsheet would take for a formula gets an apostrophe before it. */
export const csvField = (value: string | number | boolean | null): string => {
  if (value === null) return ''
  if (typeof value !== 'string') return String(value)
  const safe = /^[=+\-@\t\r\n]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

export const csvLine = (values: readonly (string | number | boolean | null)[]): string =>
  `${values.map(csvField).join(',')}\r\n`
