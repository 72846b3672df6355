/** Query parameters that several routes share. What is not understood is refused with one sentence, never passed over. */
import { z } from '@hono/zod-openapi'
import { MS_PER_DAY, nameSchema, parseIsoNs, utcMs, type Zone } from '@penstock/frame'

/** A point in time, or a calendar date whose start depends on the zone of what is asked. */
export type When = { ns: bigint } | { date: string }

const datePattern = /^(\d{4})-(\d{2})-(\d{2})$/
const timeSentence =
  'expected a date such as 2026-03-01 or a time with offset such as 2026-03-01T09:00:00+01:00 or 2026-03-01T08:00:00Z'

const readWhen = (text: string): When | undefined => {
  const m = datePattern.exec(text)
  if (m) return utcMs(Number(m[1]), Number(m[2]), Number(m[3])) === undefined ? undefined : { date: text }
  // A "+" that was not percent-encoded arrives as a blank.
  const ns = parseIsoNs(text.replace(/ (\d{2}:?\d{2})$/, '+$1'))
  return ns === undefined ? undefined : { ns }
}

const one = z.string({ error: 'is given more than once' }).max(256)

export const when = (description: string) =>
  one
    .transform((text, context): When => {
      const value = readWhen(text)
      if (value) return value
      context.addIssue({ code: 'custom', message: `${timeSentence}, got "${text.slice(0, 40)}"` })
      return z.NEVER
    })
    .openapi({ type: 'string', description, example: '2026-03-01' })

/** A calendar date; a point in time is refused. */
export const date = (description: string) =>
  one
    .transform((text, context): string => {
      const value = readWhen(text)
      if (value && 'date' in value) return value.date
      context.addIssue({
        code: 'custom',
        message: `expected a date such as 2026-03-01, got "${text.slice(0, 40)}"`,
      })
      return z.NEVER
    })
    .openapi({ type: 'string', description, example: '2026-03-01' })

/** The first instant of a date or the instant itself, in ns. `dayAfter`: of the day after the date. */
export const whenNs = (value: When, zone: Zone, dayAfter = false): bigint => {
  if ('ns' in value) return value.ns
  const midnight = Date.parse(`${value.date}T00:00:00Z`) + (dayAfter ? MS_PER_DAY : 0)
  const [first] = zone.fromLocalMs(midnight)
  // Where midnight was skipped, the day begins at the change of the clock.
  return BigInt(first ?? zone.dayStartMs(midnight - zone.offsetMs(midnight) + MS_PER_DAY / 2)) * 1_000_000n
}

export const name = (description: string, example?: string) =>
  one.pipe(nameSchema).openapi({ type: 'string', description, ...(example !== undefined && { example }) })

/** A list: comma-separated, repeated, or both. */
const listOf = z
  .union([z.string().max(4096), z.array(z.string().max(4096)).max(256)])
  .transform(value => (typeof value === 'string' ? [value] : value).flatMap(v => v.split(',')).map(v => v.trim()))

export const names = (description: string, example: string) =>
  listOf
    .pipe(z.array(z.string().min(1, 'holds an empty name')).max(256))
    .openapi({ type: 'string', description, example })

const weekdayNames = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
export const weekdays = listOf
  .transform((items, context) => {
    const days = new Set<number>()
    for (const item of items) {
      const day = /^[0-6]$/.test(item) ? Number(item) : weekdayNames.indexOf(item.toLowerCase().slice(0, 3))
      if (day < 0) {
        context.addIssue({
          code: 'custom',
          message: `expected 0 (Monday) to 6 or mon to sun, got "${item.slice(0, 20)}"`,
        })
        return z.NEVER
      }
      days.add(day)
    }
    return days
  })
  .openapi({
    type: 'string',
    description: 'Weekdays: 0 (Monday) to 6 or mon to sun; commas or repeated',
    example: 'mon,tue',
  })

export const hours = one
  .transform((text, context) => {
    const m = /^(\d{1,2})(?:-(\d{1,2}))?$/.exec(text.trim())
    const from = Number(m?.[1])
    const to = Number(m?.[2] ?? m?.[1])
    if (m && from <= to && to <= 23) return { from, to }
    context.addIssue({
      code: 'custom',
      message: `expected hours such as 9-20 (both included, 0 to 23), got "${text.slice(0, 20)}"`,
    })
    return z.NEVER
  })
  .openapi({ type: 'string', description: 'Local hours, both included', example: '9-20' })

export const wholeNumber = (min: number, max: number, description: string) =>
  one
    .transform((text, context) => {
      const value = Number(text)
      if (/^\d{1,15}$/.test(text) && value >= min && value <= max) return value
      context.addIssue({
        code: 'custom',
        message: `expected a whole number from ${min} to ${max}, got "${text.slice(0, 20)}"`,
      })
      return z.NEVER
    })
    .openapi({ type: 'integer', minimum: min, maximum: max, description })

export const choice = <const T extends readonly [string, ...string[]]>(values: T, description: string) =>
  z
    .enum(values, { error: issue => `expected ${values.join(' or ')}, got "${String(issue.input).slice(0, 20)}"` })
    .openapi({ description })
