/** Readings that come by POST /v1/readings: each may say its site, device and stream, or the request says them for all. */
import { type Frame, nameSchema, parseIsoNs, STATUS_COLUMN, WireError } from '@penstock/frame'
import * as z from 'zod'
import { type Cell, columnName, createFrameRows } from './frame-rows.ts'

const isoTime = z
  .string()
  .max(40)
  .refine(text => parseIsoNs(text) !== undefined, 'is not an ISO 8601 time with offset')
const value = z.union([z.number(), z.string().max(65_536), z.boolean(), z.null()])

export const postedReadingSchema = z.strictObject({
  site: nameSchema.optional(),
  device: nameSchema.optional(),
  stream: nameSchema.optional(),
  time: isoTime.optional().describe('ISO 8601 with offset; the time of arrival where left out'),
  values: z
    .record(nameSchema, value)
    .refine(v => Object.values(v).some(x => x !== null), 'has no value')
    .describe('By column: a number, text, true, false, or null for none'),
})
export const postedReadingsMax = 10_000

export interface PostedDefaults {
  site?: string
  device?: string
  stream?: string
}

/** Pure. @throws WireError that names the reading and its member */
export const decodePosted = (defaults: PostedDefaults, bytes: Uint8Array, arrivalNs: bigint): Frame[] => {
  let body: unknown
  try {
    body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new WireError('the body is not JSON in UTF-8', { cause })
  }
  const readings = Array.isArray(body) ? body : [body]
  if (readings.length === 0) throw new WireError('the body is an empty list')
  if (readings.length > postedReadingsMax) throw new WireError(`the body holds more than ${postedReadingsMax} readings`)
  const rows = createFrameRows()
  readings.forEach((item: unknown, i) => {
    const at = Array.isArray(body) ? `[${i}]` : ''
    const parsed = postedReadingSchema.safeParse(item)
    if (!parsed.success) {
      const issue = parsed.error.issues[0]
      const path = [at, ...(issue?.path ?? []).map(String)].filter(part => part !== '').join('.')
      throw new WireError(`${path === '' ? 'the reading' : path}: ${issue?.message ?? 'is not as expected'}`)
    }
    const { time, values, ...own } = parsed.data
    const { site, device, stream } = { ...defaults, ...own }
    if (site === undefined || device === undefined || stream === undefined) {
      const missing = site === undefined ? 'site' : device === undefined ? 'device' : 'stream'
      throw new WireError(`${at === '' ? '' : `${at}.`}${missing}: is missing, here and in the query`)
    }
    const ns = time === undefined ? undefined : parseIsoNs(time)
    rows.add({ site, device, stream }, ns ?? arrivalNs, cellsOf(values), ns === undefined ? 'shift' : 'replace')
  })
  return rows.frames()
}

const cellsOf = (values: Record<string, z.output<typeof value>>): Cell[] =>
  Object.entries(values).flatMap(([name, v]): Cell[] => {
    // A text under `status` says what is wrong with the row; anything else is a value like others.
    if (typeof v === 'string')
      return [{ name: name === STATUS_COLUMN ? name : columnName(name), kind: 'text', value: v }]
    if (typeof v === 'number') return [{ name: columnName(name), kind: 'float', value: v }]
    return v === null ? [] : [{ name: columnName(name), kind: 'bool', value: v }]
  })
