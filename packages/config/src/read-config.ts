/**
 * A YAML file, checked by a zod schema. Whatever is wrong comes at once, one line a problem, each with the line of the
 * file, the key's path, what was expected, and the nearest valid name:
 *
 *     gateway.yaml:12: sources[0].patern: unknown key; did you mean "pattern"?
 */
import { readFile } from 'node:fs/promises'
import { EXIT, UserError } from '@penstock/frame'
import { type Document, isCollection, isMap, isNode, isPair, isScalar, LineCounter, parseDocument } from 'yaml'
import * as z from 'zod'
import { nearestName } from './nearest.ts'
import { shortText } from './values.ts'

const configBytesMax = 4 * 1024 * 1024
const problemsShownMax = 50

/**
 * Reads and checks a configuration file. Paths in errors are shown as `file` is given.
 * Throws a UserError (exit code EXIT.config) with all problems, sorted by line.
 */
export const readConfig = async <T extends z.ZodType>(file: string, schema: T): Promise<z.output<T>> =>
  parseConfig(await readText(file), file, schema)

/** As `readConfig`, for text at hand. */
export const parseConfig = <T extends z.ZodType>(text: string, file: string, schema: T): z.output<T> => {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' })
  const problems: Problem[] = document.errors.map(error => ({
    line: lines.linePos(error.pos[0]).line,
    text: error.code === 'DUPLICATE_KEY' ? 'the same key stands twice in one mapping' : `not YAML: ${error.message}`,
  }))
  if (document.errors.every(error => error.code === 'DUPLICATE_KEY')) {
    const value = plainValue(document, problems)
    if (problems.length === 0 && (value === null || value === undefined)) {
      problems.push({ line: undefined, text: 'is empty' })
    } else if (value !== undefined) {
      const result = schema.safeParse(value, { error: say })
      if (result.success && problems.length === 0) return result.data
      if (!result.success) problems.push(...result.error.issues.flatMap(issue => describe(issue, [], document, lines)))
    }
  }
  throw new UserError(report(file, problems), EXIT.config)
}

/** The JSON Schema (draft 2020-12) of what a file may hold, for editors. */
export const configJsonSchema = (schema: z.ZodType): Record<string, unknown> =>
  z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })

interface Problem {
  line: number | undefined
  text: string
}

const readText = async (file: string): Promise<string> => {
  let bytes: Uint8Array
  try {
    bytes = await readFile(file)
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    const why =
      code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'is a folder' : `cannot be read (${code})`
    throw new UserError(`${file}: ${why}`, EXIT.config, { cause })
  }
  if (bytes.length > configBytesMax) throw new UserError(`${file}: has more than ${configBytesMax} bytes`, EXIT.config)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new UserError(`${file}: is not text in UTF-8`, EXIT.config, { cause })
  }
}

const plainValue = (document: Document, problems: Problem[]): unknown => {
  try {
    return document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    problems.push({ line: undefined, text: `not YAML: ${(error as Error).message}` })
    return undefined
  }
}

const report = (file: string, problems: Problem[]): string => {
  const sorted = problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0))
  const texts = sorted.map(p => (p.line === undefined ? `${file}: ${p.text}` : `${file}:${p.line}: ${p.text}`))
  const unique = [...new Set(texts)]
  if (unique.length <= problemsShownMax) return unique.join('\n')
  return [...unique.slice(0, problemsShownMax), `${file}: and ${unique.length - problemsShownMax} more`].join('\n')
}

/** Stands for "no branch of a union fits": the best branch's own problems are told instead. */
const unionMark = '\u0000union'

/** What zod found, in one sentence. Schemas may say it better by an `error` of their own. */
const say: z.core.$ZodErrorMap = issue => {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined
        ? `is missing: expected ${typeText(issue.expected)}`
        : `expected ${typeText(issue.expected)}, got ${valueText(issue.input)}`
    case 'unrecognized_keys':
      return issue.keys.map(key => `unknown key${hint(key, shapeKeys(issue.inst))}`).join('\n')
    case 'invalid_value':
      return chooseText(issue.values.map(String), issue.input)
    case 'invalid_union':
      if (issue.discriminator === undefined) return unionMark
      return chooseText(discriminatorValues(issue.inst, issue.discriminator), discriminatorOf(issue))
    case 'too_small':
      return `is too ${isLong(issue.origin) ? 'short' : 'small'}: expected ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${unitText(issue.origin)}`
    case 'too_big':
      return `is too ${isLong(issue.origin) ? 'long' : 'large'}: expected ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${unitText(issue.origin)}`
    case 'invalid_format':
      return issue.format === 'regex' ? 'has not the expected form' : `is not a valid ${issue.format}`
    default:
      return undefined
  }
}

const typeNames: Record<string, string> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  null: 'null',
}
const typeText = (expected: string): string => typeNames[expected] ?? expected

const valueText = (value: unknown): string => {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a mapping'
  return typeof value === 'string' ? `the text ${shortText(value)}` : shortText(value)
}

const isLong = (origin: string): boolean => origin === 'string' || origin === 'array'
const unitText = (origin: string): string => (origin === 'string' ? ' characters' : origin === 'array' ? ' items' : '')

const hint = (name: string, candidates: Iterable<string>): string => {
  const near = nearestName(name, candidates)
  return near === undefined ? '' : `; did you mean "${near}"?`
}

const chooseText = (values: string[], input: unknown): string => {
  const choices = values.length === 1 ? `"${values[0]}"` : `one of ${values.join(', ')}`
  if (input === undefined) return `is missing: expected ${choices}`
  return `expected ${choices}, got ${valueText(input)}${typeof input === 'string' ? hint(input, values) : ''}`
}

const shapeKeys = (inst: unknown): string[] => (inst instanceof z.ZodObject ? Object.keys(inst.shape) : [])

const discriminatorValues = (inst: unknown, key: string): string[] => {
  if (!(inst instanceof z.ZodDiscriminatedUnion)) return []
  return [...(inst._zod.propValues?.[key] ?? [])].map(String)
}
const discriminatorOf = (issue: { input?: unknown; discriminator?: string | undefined }): unknown =>
  (issue.input as Record<string, unknown> | undefined)?.[issue.discriminator ?? '']

/** One problem per unknown key, per union the problems of the branch that came nearest, else one. */
const describe = (issue: z.core.$ZodIssue, above: PropertyKey[], document: Document, lines: LineCounter): Problem[] => {
  const at = [...above, ...issue.path]
  if (issue.code === 'unrecognized_keys') {
    const sentences = issue.message.split('\n')
    return issue.keys.map((key, i) => problem([...at, key], sentences[i] ?? 'unknown key', document, lines))
  }
  if (issue.code === 'invalid_union' && issue.message === unionMark) {
    const branch = nearestBranch(issue.errors)
    if (branch) return branch.flatMap(inner => describe(inner, at, document, lines))
    return [problem(at, 'fits none of the allowed forms', document, lines)]
  }
  return [problem(at, issue.message, document, lines)]
}

/** Branches that fail deep inside came nearer than those that fail at once; then the fewer problems, the nearer. */
const nearestBranch = (branches: readonly z.core.$ZodIssue[][]): z.core.$ZodIssue[] | undefined => {
  const score = (issues: z.core.$ZodIssue[]) => {
    const shallow = issues.filter(i => i.path.length === 0 && i.code === 'invalid_type').length
    return shallow * 1000 + issues.length
  }
  return branches.toSorted((a, b) => score(a) - score(b))[0]
}

const problem = (at: PropertyKey[], sentence: string, document: Document, lines: LineCounter): Problem => {
  const offset = offsetOf(document, at)
  const key = pathText(at)
  return {
    line: offset === undefined ? undefined : lines.linePos(offset).line,
    text: key === '' ? sentence : `${key}: ${sentence}`,
  }
}

const pathText = (at: PropertyKey[]): string => {
  let text = ''
  for (const key of at) text += typeof key === 'number' ? `[${key}]` : text === '' ? String(key) : `.${String(key)}`
  return text
}

/** Where the key stands, or, where it is missing, the nearest thing above it. */
const offsetOf = (document: Document, at: PropertyKey[]): number | undefined => {
  let node: unknown = document.contents
  let offset = rangeStart(node)
  for (const key of at) {
    if (!isCollection(node)) break
    const item = isMap(node)
      ? node.items.find(pair => isScalar(pair.key) && String(pair.key.value) === String(key))
      : node.items[Number(key)]
    if (item === undefined) break
    offset = rangeStart(isPair(item) ? item.key : item) ?? offset
    node = isPair(item) ? item.value : item
  }
  return offset
}
const rangeStart = (node: unknown): number | undefined => (isNode(node) ? (node.range?.[0] ?? undefined) : undefined)
