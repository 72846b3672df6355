/** JSON lines: paths of the objects as fields. */
import type { Field } from './clock.ts'
import { planFields } from './fields.ts'
import type { Draft, Hints, Settings } from './proposal.ts'

const pathsMax = 512
const listMax = 16

/** Leaves of an object by their dotted paths. */
export const flatten = (
  value: unknown,
  path = '',
  into = new Map<string, string>(),
  depth = 0,
): Map<string, string> => {
  if (into.size >= pathsMax || depth > 8) return into
  if (Array.isArray(value)) {
    if (value.length <= listMax)
      for (const [i, item] of value.entries()) flatten(item, path === '' ? String(i) : `${path}.${i}`, into, depth + 1)
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value))
      flatten(item, path === '' ? key : `${path}.${key}`, into, depth + 1)
  } else into.set(path, value === null ? '' : String(value))
  return into
}

/** Whole numbers too long for a double, as text. */
const longNumbers = (text: string): string => text.replace(/([:[,]\s*)(-?\d{16,})(?=\s*[,}\]])/g, '$1"$2"')

const parse = (text: string): unknown => {
  try {
    return JSON.parse(longNumbers(text))
  } catch {
    return undefined
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Records as fields: each path with its text in every record. */
export const fieldsOfRecords = (records: readonly Map<string, string>[]): Field[] => {
  const paths = new Map<string, true>()
  for (const record of records) for (const path of record.keys()) if (paths.size < pathsMax) paths.set(path, true)
  return [...paths.keys()].map(path => ({
    ref: path,
    name: path,
    texts: records.map(record => record.get(path) ?? ''),
  }))
}

/** Names of paths: the last part, where it is unique. */
const shortNames = (fields: readonly Field[]): Field[] => {
  const counts = new Map<string, number>()
  const last = (path: string): string => path.split('.').at(-1) ?? path
  for (const { name } of fields) counts.set(last(name), (counts.get(last(name)) ?? 0) + 1)
  return fields.map(field => {
    const short = last(field.name)
    return counts.get(short) === 1 && !/^\d+$/.test(short) ? { ...field, name: short } : field
  })
}

export const draftJsonl = (lines: readonly string[], hints: Hints, encoding: string | undefined): Draft | undefined => {
  const filled = lines.filter(line => line.trim() !== '').slice(0, 4000)
  const objects = filled.filter(line => line.trimStart().startsWith('{'))
  if (objects.length === 0 || objects.length < filled.length * 0.6) return undefined
  const records = objects.map(parse).filter(isObject)
  if (records.length === 0 || records.length < objects.length * 0.6) return undefined
  const fields = shortNames(fieldsOfRecords(records.map(record => flatten(record))))
  const plan = planFields(fields, hints, false)
  if (plan.columns === 0) return undefined
  const format: Settings = { kind: 'jsonl', ...(encoding !== undefined && { encoding }), ...plan.settings }
  return {
    format,
    kind: 'tail',
    stream: 'readings',
    ...(plan.clock.time && !plan.clock.isUtc && { local: true, ...(plan.clock.ms && { localMs: plan.clock.ms }) }),
    doubts: plan.doubts,
    findings: [{ what: 'format', text: 'JSON lines: one object a line' }, ...plan.findings],
    weight: 1,
  }
}
