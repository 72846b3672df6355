/** Names that a file gives its columns, made fit for a frame. */
import { LIMITS, STATUS_COLUMN } from '@penstock/frame'

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this removes
const controls = /[\u0000-\u001f\u007f]+/g

/** Names fit for columns, without the empty ones behind the last (a header that ends with a comma); equal ones are numbered from 1 in their order (NC, NC, NC become NC1, NC2, NC3). */
export const numberNames = (texts: readonly string[]): string[] => {
  const clean = texts.map(text =>
    text
      .replace(controls, ' ')
      .trim()
      .slice(0, LIMITS.nameCharsMax - 8),
  )
  while (clean.at(-1) === '') clean.pop()
  const counts = new Map<string, number>()
  for (const name of clean) counts.set(name, (counts.get(name) ?? 0) + 1)
  const taken = new Set([STATUS_COLUMN, ...clean])
  const next = new Map<string, number>()
  return clean.map(name => {
    if (name === '' || counts.get(name) === 1) return name
    let number = next.get(name) ?? 0
    let free: string
    do {
      number++
      free = `${name}${number}`
    } while (taken.has(free))
    next.set(name, number)
    return free
  })
}

/** As `numberNames`, for names that become columns as they are: one that is taken (`status`, and `more`) gets a "_" behind it. */
export const columnNames = (texts: readonly string[], more: readonly string[] = []): string[] => {
  const names = numberNames(texts)
  const taken = new Set([STATUS_COLUMN, ...more])
  return names.map(name => {
    let free = name
    while (taken.has(free) || (free !== name && names.includes(free))) free = `${free}_`
    return free
  })
}
