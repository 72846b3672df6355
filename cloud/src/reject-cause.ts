/** What rejects have in common: the cause by which people look at them, and correct them, together. */
import { createHash } from 'node:crypto'
import type { Reject } from '@penstock/frame'

export interface Cause {
  /** The same for all rejects of this cause, also after the records were built again. */
  id: string
  gateway: string
  source: string
  format: string
  /** The file with its numbers and dates as `*`; empty where it came from no file. */
  filePattern: string
  /** The reason with what differs from row to row as `…` and `#`. */
  reason: string
  /** The column that the reason names; empty where it names none. */
  column: string
}

export const causeOf = (gateway: string, { origin, reason }: Pick<Reject, 'origin' | 'reason'>): Cause => {
  const cause = {
    gateway,
    source: origin.source,
    format: origin.format ?? '',
    filePattern: (origin.file ?? '').replace(/\d+(?:[-_.:T]\d+)*/g, '*'),
    reason: maskReason(reason),
    column: columnOf(reason),
  }
  const id = createHash('sha256')
    .update(JSON.stringify(Object.values(cause)))
    .digest('hex')
    .slice(0, 16)
  return { id, ...cause }
}

/** Decoders write `column "pressure": "3,14" is not a number`. */
const columnPattern = /^column (?:"([^"]{1,256})"|(\d+)): /

const columnOf = (reason: string): string => {
  const found = columnPattern.exec(reason)
  return found?.[1] ?? found?.[2] ?? ''
}

/** What was expected: it stands in the configuration and is the same for all rows. */
const expectedPattern = / where a time is required \(.*\)$/

const maskReason = (reason: string): string => {
  const label = columnPattern.exec(reason)?.[0] ?? ''
  const expected = expectedPattern.exec(reason)?.[0] ?? ''
  const rest = reason
    .slice(label.length, reason.length - expected.length)
    .replace(/(column )?"[^"]*"/g, (quoted, isLabel) => (isLabel ? quoted : '"…"'))
    .replace(/\d+(?:[-_.,:T]\d+)*/g, '#')
  return label + rest + expected
}
