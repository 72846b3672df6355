/** What the name of a file says: which files are of its kind, what device it may be of. */

const dateParts = [
  /\d{4}[-_.]?\d{2}[-_.]?\d{2}[T _-]?\d{2}[-_.:]?\d{2}(?:[-_.:]?\d{2}(?:[-_.]\d{3})?)?/g,
  /\d{1,2}h\d{2}(?:m\d{2}s?)?/g,
  /(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?[-_ ]?\d{1,2}[-_ ,]+\d{2,4}/gi,
  /\d{1,2}[-_ ]?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?[-_ ]?\d{2,4}/gi,
  /\d{1,4}[-_.]\d{1,2}[-_.]\d{1,4}/g,
  // Numbers of runs: by themselves, at the end, or of three digits and more; not the 2 of CO2.
  /(?<![\p{L}\d])\d+(?![\p{L}\d])|\d{3,}|(?<=\p{L})\d+$/gu,
]

/** The glob that matches this file and its like: dates and numbers become `*`. */
export const patternOf = (name: string): string => {
  const dot = name.lastIndexOf('.')
  const stem = dot > 0 ? name.slice(0, dot) : name
  const ending = dot > 0 ? name.slice(dot) : ''
  let pattern = stem
  for (const part of dateParts) pattern = pattern.replace(part, '*')
  pattern = pattern.replace(/\*(?:[-_. T]*\*)+/g, '*').replace(/[\\?[\]{}!()]/g, '?')
  // A name that was nothing but numbers says only how it ends.
  return `${pattern}${ending.replace(/[\\?*[\]{}!()]/g, '?')}`
}

/** A device's name from that of the file, without dates and numbers of the run. */
export const deviceOf = (name: string): string | undefined => {
  const dot = name.lastIndexOf('.')
  let stem = dot > 0 ? name.slice(0, dot) : name
  for (const part of dateParts.slice(0, -1)) stem = stem.replace(part, ' ')
  stem = stem.replace(/[\s_.,;()[\]{}#+~-]+/gu, ' ')
  stem = stem
    .replace(/(?<![\p{L}\d])\d+(?![\p{L}\d])/gu, ' ')
    .replace(/\b(?:export|log|data|daten|messung|run|file|copy|kopie|new|neu|final|short|test|sample|time)\b/giu, ' ')
    .replace(/[\s_.,;()[\]{}#+~-]+/gu, ' ')
    .trim()
  const device = stem.replaceAll(' ', '-').toLowerCase().slice(0, 64)
  return /[\p{L}\d]/u.test(device) ? device : undefined
}
