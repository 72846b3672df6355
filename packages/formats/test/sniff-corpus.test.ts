/**
 * The corpus: files as labs, shops and plants have them, each with what it should amount to beside it
 * (`x.expected.json`, written from what is right). The first proposal of `sniff` is taken as it is and reads the file; the
 * score says how many come out right without an edit. Adding a case adds files.
 */
import { readdirSync, readFileSync } from 'node:fs'
import type { Frame } from '@penstock/frame'
import { formatNs, rowNs } from '@penstock/frame'
import { describe, expect, it } from 'vitest'
import { createFileDecoder, type Decoded, type FileBytes, formatSchema, sniffFile } from '../src/index.ts'

interface Expected {
  category: string
  about: string
  zone: string
  kind?: string
  rows?: number
  rejects?: number | 'any'
  /** Earliest and latest time, UTC; null where rows get the time at which they are read. */
  first?: string | null
  last?: string
  /** name:type or name:type [unit] of all columns, in order of the file; types with | between are both right. */
  columns?: string[]
  /** Patterns of columns that must be among them. */
  columnsInclude?: string[]
  /** Series as site/device (site left out where it is the source's), sorted. */
  series?: string[]
  /** By column: the values of all rows, series after series. */
  values?: Record<string, unknown[]>
  /** Values that some column must have. */
  anyValues?: unknown[][]
  doubts?: string[]
  undoubted?: string[]
  findings?: string[]
  source?: Record<string, unknown>
  header?: Record<string, unknown>
  /** There must be no proposal, and the reason must say this. */
  none?: string
}

/** Files that are known not to come out right, with why; the score must not fall below. */
const known: Record<string, string> = {
  'heat.csv': 'a hole with the unit behind it (--- °C) makes the column text',
  'multi.json': 'of lists of records within records only one is read',
  'spectro-kin.txt': 'a column of minutes that is named by its unit alone does not get the start above the data',
  'yearless.csv': 'times without a year are read by no layout, and the lines are taken for text',
  'plus-exp.txt': "Fortran's exponents with D are no numbers to the formats: the column stays text",
  'zoned-names.csv': 'EST, CST and the like name several zones: layouts do not read them, the times stay text',
}

const folder = new URL('corpus/', import.meta.url)
const names = readdirSync(folder)
  .filter(name => !name.endsWith('.expected.json'))
  .sort()
const nowMs = Date.UTC(2026, 10, 20, 12)

const fileOf = (bytes: Uint8Array): FileBytes => ({
  size: bytes.length,
  read: async (from, to) => bytes.slice(from, to),
})

const decodeAll = async (bytes: Uint8Array, name: string, format: unknown, zone: string): Promise<Decoded> => {
  const context = { source: 'x', file: name, site: 'here', device: 'it', stream: 's', zone }
  const decoder = createFileDecoder(formatSchema.parse(format), { ...context, frameRowsMax: 1e6, recordBytesMax: 1e6 })
  const atNs = BigInt(nowMs) * 1_000_000n
  if ('push' in decoder) return decoder.push(bytes, true, atNs)
  const whole: Decoded = { frames: [], rejects: [], used: 0, rowsRead: 0, rowsRejected: 0 }
  for (let more = true; more; ) {
    const pulled = await decoder.pull(fileOf(bytes), true, atNs)
    whole.frames.push(...pulled.frames)
    whole.rejects.push(...pulled.rejects)
    whole.rowsRead += pulled.rowsRead
    whole.rowsRejected += pulled.rowsRejected
    more = pulled.more
  }
  return whole
}

const plain = (value: unknown): unknown =>
  typeof value === 'number' && Number.isNaN(value) ? null : value instanceof Float64Array ? Array.from(value) : value
const sorted = (frames: readonly Frame[]): Frame[] => [...frames].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
const keyOf = (frame: Frame): string => `${frame.site === 'here' ? '' : `${frame.site}/`}${frame.device}`

/** What differs from the expected, in a few words each. */
const differences = async (name: string, bytes: Uint8Array, expected: Expected): Promise<string[]> => {
  const { proposals, reason } = await sniffFile({ name, file: fileOf(bytes), zone: expected.zone, nowMs })
  const [first] = proposals
  if (expected.none !== undefined) {
    if (first) return [`a proposal where none is due: ${JSON.stringify(first.format)}`]
    return reason?.includes(expected.none) ? [] : [`the reason is "${reason}"`]
  }
  if (!first) return [`no proposal: ${reason}`]
  const found: string[] = []
  const same = (what: string, has: unknown, wanted: unknown): void => {
    if (JSON.stringify(has) !== JSON.stringify(wanted))
      found.push(`${what}: ${JSON.stringify(has)} where ${JSON.stringify(wanted)} is right`)
  }
  const decoded = await decodeAll(bytes, name, first.format, expected.zone)
  const frames = sorted(decoded.frames)
  if (expected.kind !== undefined && !expected.kind.split('|').includes(String(first.format.kind)))
    found.push(`kind ${String(first.format.kind)}`)
  const rows = frames.reduce((sum, frame) => sum + frame.offsetsNs.length, 0)
  if (expected.rows !== undefined) same('rows', rows, expected.rows)
  if (expected.rejects !== 'any' && expected.rejects !== undefined)
    same('rejects', decoded.rowsRejected, expected.rejects)
  const times = frames
    .flatMap(frame => Array.from(frame.offsetsNs, (_, i) => rowNs(frame, i)))
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  const [earliest] = times
  const latest = times.at(-1)
  if (expected.first === null) same('time', first.format.time ?? null, null)
  else if (expected.first !== undefined)
    same('first', earliest === undefined ? null : formatNs(earliest), expected.first)
  if (expected.last !== undefined) same('last', latest === undefined ? null : formatNs(latest), expected.last)
  const columns = (frames[0]?.columns ?? []).filter(column => column.name !== 'status')
  const spelled = columns.map(c => `${c.name}:${c.type}${c.unit === undefined ? '' : ` [${c.unit}]`}`)
  if (expected.columns) compareColumns(spelled, expected.columns, found)
  for (const pattern of expected.columnsInclude ?? []) {
    if (!spelled.some(text => new RegExp(pattern, 'u').test(text) || text === pattern || matchesTypes(text, pattern)))
      found.push(`no column ${pattern} in ${spelled.join(', ')}`)
  }
  if (expected.series) same('series', [...new Set(frames.map(keyOf))].sort(), expected.series)
  const valuesOf = (column: string): unknown[] =>
    frames.flatMap(frame => {
      const values = frame.columns.find(c => c.name === column)?.values
      return Array.from(frame.offsetsNs, (_, i) => plain(values?.[i] ?? null))
    })
  for (const [column, values] of Object.entries(expected.values ?? {}))
    same(`values of ${column}`, valuesOf(column), values)
  for (const values of expected.anyValues ?? []) {
    if (!columns.some(column => JSON.stringify(valuesOf(column.name)) === JSON.stringify(values)))
      found.push(`no column with ${values.join(', ')}`)
  }
  const doubts = first.doubts.map(doubt => doubt.text)
  for (const pattern of expected.doubts ?? [])
    if (!doubts.some(text => new RegExp(pattern, 'su').test(text))) found.push(`no doubt "${pattern}"`)
  for (const pattern of expected.undoubted ?? []) {
    const doubt = doubts.find(text => new RegExp(pattern, 'su').test(text))
    if (doubt !== undefined) found.push(`needless doubt: ${doubt}`)
  }
  const findings = first.findings.map(finding => `${finding.what}: ${finding.text}`)
  for (const pattern of expected.findings ?? [])
    if (!findings.some(text => new RegExp(pattern, 'su').test(text))) found.push(`no finding "${pattern}"`)
  for (const [key, value] of Object.entries(expected.source ?? {}))
    same(`source.${key}`, (first.source as Record<string, unknown>)[key], value)
  for (const [key, value] of Object.entries(expected.header ?? {}))
    same(`header.${key}`, (first.format.header as Record<string, unknown> | undefined)?.[key], value)
  return found
}

const matchesTypes = (has: string, wanted: string): boolean => {
  const [, name = '', types = '', unit = ''] = /^(.*):([a-z|]+)( \[.*\])?$/su.exec(wanted) ?? []
  return types.split('|').some(type => has === `${name}:${type}${unit}`)
}
const compareColumns = (has: readonly string[], wanted: readonly string[], found: string[]): void => {
  if (has.length === wanted.length && has.every((text, i) => matchesTypes(text, wanted[i] as string))) return
  found.push(`columns: ${has.join(', ')} where ${wanted.join(', ')} is right`)
}

describe('the corpus', () => {
  it('comes out right without an edit', { timeout: 60_000 }, async () => {
    const score = new Map<string, { right: number; all: number }>()
    const failing: Record<string, string[]> = {}
    for (const name of names) {
      const bytes = new Uint8Array(readFileSync(new URL(encodeURIComponent(name), folder)))
      const expected = JSON.parse(
        readFileSync(new URL(encodeURIComponent(`${name}.expected.json`), folder), 'utf8'),
      ) as Expected
      const different = await differences(name, bytes, expected)
      const of = score.get(expected.category) ?? { right: 0, all: 0 }
      of.all++
      if (different.length === 0) of.right++
      else failing[name] = different
      score.set(expected.category, of)
    }
    const right = names.length - Object.keys(failing).length
    const parts = [...score].sort().map(([category, of]) => `${category} ${of.right}/${of.all}`)
    process.stdout.write(
      `corpus of sniff: ${right} of ${names.length} files come out right without an edit (${parts.join(', ')})\n`,
    )
    for (const [name, different] of Object.entries(failing))
      process.stdout.write(`  ${name}: ${different.join('; ')}\n`)
    expect(names.length).toBeGreaterThanOrEqual(324)
    expect(Object.keys(failing)).toEqual(Object.keys(known).sort())
  })
})
