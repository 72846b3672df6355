/** JSON: lines of objects, and documents with a list of records somewhere in them; dotted paths as fields. */
import { parseExact } from '../json-value.ts'
import type { Field } from './clock.ts'
import { planFields } from './fields.ts'
import type { Draft, Hints, Settings } from './proposal.ts'

const pathsMax = 512
const recordsMax = 4000
const depthMax = 8
/** Lists longer than this are curves; shorter ones are columns. */
const listMax = 8

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isNumberOrNull = (value: unknown): boolean => typeof value === 'number' || value === null

/** Leaves of a record by their dotted path; lists of numbers apart. */
interface Leaves {
  texts: Map<string, string>
  curves: Set<string>
}

const leavesOf = (value: unknown): Leaves => {
  const leaves: Leaves = { texts: new Map(), curves: new Set() }
  const walk = (item: unknown, path: string, depth: number): void => {
    if (leaves.texts.size >= pathsMax || depth > depthMax) return
    if (Array.isArray(item)) {
      if (item.length > listMax && path !== '' && item.every(isNumberOrNull)) leaves.curves.add(path)
      else if (item.length <= listMax || path === '') {
        for (const [i, part] of item.slice(0, pathsMax).entries())
          walk(part, path === '' ? String(i) : `${path}.${i}`, depth + 1)
      }
    } else if (isObject(item)) {
      for (const [key, part] of Object.entries(item)) walk(part, path === '' ? key : `${path}.${key}`, depth + 1)
    } else leaves.texts.set(path, item === null ? '' : String(item))
  }
  walk(value, '', 0)
  return leaves
}

const fieldsOfRecords = (records: readonly Leaves[]): Field[] => {
  const paths = new Set<string>()
  for (const { texts } of records) for (const path of texts.keys()) if (paths.size < pathsMax) paths.add(path)
  const curves = curvesOf(records)
  const fields = [...paths].filter(path => !curves.some(curve => path.startsWith(`${curve}.`)))
  return shortNames(
    fields.map(path => ({ ref: path, name: path, texts: records.map(({ texts }) => texts.get(path) ?? '') })),
  )
}
const curvesOf = (records: readonly Leaves[]): string[] =>
  [...new Set(records.flatMap(({ curves }) => [...curves]))].slice(0, 16)

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

/** The options and doubts of records, under `head`. */
const draftOf = (
  records: readonly Leaves[],
  head: Settings,
  hints: Hints,
  kind: 'tail' | 'drop',
  what: string,
  weight: number,
): Draft | undefined => {
  const plan = planFields(fieldsOfRecords(records), hints, false)
  const curves = curvesOf(records)
  if (plan.columns + curves.length === 0) return undefined
  const { columns, ...settings } = plan.settings
  const vectors = Object.fromEntries(curves.map(path => [path, 'vector']))
  return {
    format: { ...head, ...settings, columns: { ...(columns as Settings | undefined), ...vectors } },
    kind,
    stream: 'readings',
    ...(plan.clock.time && !plan.clock.isUtc && { local: true, ...(plan.clock.ms && { localMs: plan.clock.ms }) }),
    doubts: plan.doubts,
    findings: [
      { what: 'format', text: what },
      ...plan.findings,
      ...(curves.length > 0
        ? [{ what: 'columns', text: `${curves.join(', ')}: lists of numbers, read as curves` }]
        : []),
    ],
    weight,
  }
}

const parse = (text: string): unknown => {
  try {
    return parseExact(text)
  } catch {
    return undefined
  }
}

export const draftJsonl = (lines: readonly string[], hints: Hints, encoding: string | undefined): Draft | undefined => {
  const filled = lines.filter(line => line.trim() !== '').slice(0, recordsMax)
  const objects = filled.filter(line => line.trimStart().startsWith('{'))
  if (objects.length === 0 || objects.length < filled.length * 0.6) return undefined
  const records = objects.map(parse).filter(isObject)
  if (records.length === 0 || records.length < objects.length * 0.6) return undefined
  const head = { kind: 'jsonl', ...(encoding !== undefined && { encoding }) }
  return draftOf(records.map(leavesOf), head, hints, 'tail', 'JSON lines: one object a line', 1)
}

/** A document, or as much of it as whole values stand in the text: open lists and objects are closed behind the last one. */
const parseHead = (text: string): unknown => {
  const whole = parse(text)
  if (whole !== undefined) return whole
  const open: string[] = []
  let isString = false
  let end = -1
  let closers = ''
  for (let i = 0; i < text.length; i++) {
    const c = text[i] as string
    if (isString) {
      if (c === '\\') i++
      else if (c === '"') isString = false
    } else if (c === '"') isString = true
    else if (c === '{' || c === '[') open.push(c === '{' ? '}' : ']')
    else if (c === '}' || c === ']') open.pop()
    // Only behind a value of a list: the value of a key may not be whole yet.
    else if (c === ',' && open.at(-1) === ']') {
      end = i
      closers = [...open].reverse().join('')
    }
  }
  return end < 0 ? undefined : parse(text.slice(0, end) + closers)
}

interface Place {
  steps: string[]
  shape: 'records' | 'columns'
  records: unknown[]
}

/** Lists of records, and objects of equally long lists, in a document. */
const placesOf = (value: unknown, steps: string[] = [], found: Place[] = []): Place[] => {
  if (steps.length > depthMax || found.length >= 64) return found
  if (Array.isArray(value)) {
    const records = value.slice(0, recordsMax)
    const objects = records.filter(
      item => isObject(item) || (Array.isArray(item) && item.length >= 2 && item.some(v => typeof v !== 'object')),
    )
    if (objects.length > 0 && objects.length >= records.length * 0.8)
      found.push({ steps, shape: 'records', records: objects })
    for (const [i, item] of records.slice(0, 8).entries()) placesOf(item, [...steps, String(i)], found)
    return found
  }
  if (!isObject(value)) return found
  const lists = Object.entries(value).filter(
    ([, item]) => Array.isArray(item) && item.length >= 2 && item.every(v => typeof v !== 'object' || v === null),
  )
  const [first] = lists as [string, unknown[]][]
  const equal = (lists as [string, unknown[]][]).filter(([, list]) => list.length === first?.[1].length)
  if (first && equal.length >= 2) {
    const records = first[1]
      .slice(0, recordsMax)
      .map((_, i) => Object.fromEntries(equal.map(([key, list]) => [key, list[i]])))
    found.push({ steps, shape: 'columns', records })
  }
  for (const [key, item] of Object.entries(value)) placesOf(item, [...steps, key], found)
  return found
}

/** `$`, a dotted path, or a JSON Pointer where a key holds what a dotted path cannot. */
const pathOf = (steps: readonly string[]): string =>
  steps.length === 0
    ? '$'
    : steps.some(step => step === '' || /[.$/~]/.test(step))
      ? `/${steps.map(step => step.replaceAll('~', '~0').replaceAll('/', '~1')).join('/')}`
      : steps.join('.')

/** Drafts of a document, the list with the most records first. */
export const draftJsonDocument = (text: string, hints: Hints): Draft[] => {
  const start = text.trimStart()[0]
  if (start !== '{' && start !== '[') return []
  const document = parseHead(text)
  if (document === undefined) return []
  const places = placesOf(document).sort(
    (a, b) => b.records.length - a.records.length || a.steps.length - b.steps.length,
  )
  if (places.length === 0 && isObject(document)) places.push({ steps: [], shape: 'records', records: [document] })
  return places.slice(0, 2).flatMap((place, i) => {
    const path = pathOf(place.steps)
    const head: Settings = {
      kind: 'json',
      ...(path !== '$' && { records: path }),
      ...(place.shape === 'columns' && { shape: 'columns' }),
    }
    const what = `one JSON document: ${place.shape === 'columns' ? 'lists side by side' : 'records'} at ${path} (${place.records.length} in the sample)`
    const draft = draftOf(place.records.map(leavesOf), head, hints, 'drop', what, i === 0 ? 1.5 : 0.5)
    return draft ? [draft] : []
  })
}
