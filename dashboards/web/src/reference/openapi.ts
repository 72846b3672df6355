/** The service's OpenAPI document, as far as a reader needs it. */

export interface Schema {
  type?: string | readonly string[]
  format?: string
  description?: string
  enum?: readonly (string | number | boolean | null)[]
  const?: unknown
  example?: unknown
  properties?: Record<string, Schema>
  required?: readonly string[]
  items?: Schema
  prefixItems?: readonly Schema[]
  additionalProperties?: Schema | boolean
  anyOf?: readonly Schema[]
  oneOf?: readonly Schema[]
  allOf?: readonly Schema[]
  $ref?: string
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  default?: unknown
}
export interface Parameter {
  name: string
  in: string
  required?: boolean
  description?: string
  schema?: Schema
}
type Content = Record<string, { schema?: Schema }>
interface Described {
  tags?: readonly string[]
  summary?: string
  description?: string
  parameters?: readonly Parameter[]
  requestBody?: { content: Content; required?: boolean }
  responses: Record<string, { description?: string; content?: Content }>
}
export interface Operation extends Described {
  /** `get /v1/counts` */
  id: string
  method: string
  path: string
  parameters: readonly Parameter[]
}
interface Document {
  info: { title: string; version: string; description?: string }
  paths: Record<string, Record<string, Described>>
  components?: { schemas?: Record<string, Schema> }
}
export interface Api {
  info: Document['info']
  operations: readonly Operation[]
  schemas: Record<string, Schema>
}

export const openapiPath = '/openapi.json'

export const readApi = async (signal: AbortSignal): Promise<Api> => {
  const response = await fetch(openapiPath, { headers: { accept: 'application/json' }, signal })
  if (!response.ok) throw new Error(`The service answered ${response.status}.`)
  const document = (await response.json()) as Document
  return {
    info: document.info,
    schemas: document.components?.schemas ?? {},
    operations: Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, described]) => ({
        ...described,
        ...{ id: `${method} ${path}`, method, path, parameters: described.parameters ?? [] },
      })),
    ),
  }
}

/** Operations by their first tag, in the order of the document; what only keeps the service running comes last. */
export const byTag = (operations: readonly Operation[]): Map<string, Operation[]> => {
  const groups = new Map<string, Operation[]>()
  const tagOf = ({ tags }: Operation): string => tags?.[0] ?? ''
  const isLast = (operation: Operation) => Number(tagOf(operation) === 'system')
  for (const operation of operations.toSorted((a, b) => isLast(a) - isLast(b))) {
    const tag = tagOf(operation)
    groups.set(tag, [...(groups.get(tag) ?? []), operation])
  }
  return groups
}

const nameOf = (ref: string): string => ref.slice(ref.lastIndexOf('/') + 1)
const indent = (depth: number): string => '  '.repeat(depth)
const depthMax = 8

/** A schema as one would write its type; others that it names go by their name. */
export const typeText = (schema: Schema | undefined, depth = 0): string => {
  if (!schema || depth > depthMax) return 'any'
  if (schema.$ref !== undefined) return nameOf(schema.$ref)
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum) return schema.enum.map(value => JSON.stringify(value)).join(' | ')
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return choices.map(choice => typeText(choice, depth)).join(' | ')
  if (schema.allOf) return schema.allOf.map(part => typeText(part, depth)).join(' & ')
  if (Array.isArray(schema.type)) {
    return schema.type.map(type => typeText({ ...schema, type } as Schema, depth)).join(' | ')
  }
  if (schema.prefixItems) return `[${schema.prefixItems.map(item => typeText(item, depth)).join(', ')}]`
  if (schema.type === 'array' || schema.items) {
    const item = typeText(schema.items, depth)
    return item.includes(' | ') ? `(${item})[]` : `${item}[]`
  }
  if (schema.properties) return objectText(schema, depth)
  if (typeof schema.additionalProperties === 'object') {
    return `{ [name]: ${typeText(schema.additionalProperties, depth + 1)} }`
  }
  return typeof schema.type === 'string' ? schema.type : 'any'
}

const objectText = (schema: Schema, depth: number): string => {
  const inner = indent(depth + 1)
  const lines = Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const note = property.description === undefined ? '' : `  // ${property.description}`
    const optional = schema.required?.includes(name) ? '' : '?'
    return `${inner}${name}${optional}: ${typeText(property, depth + 1)}${note}`
  })
  return `{\n${lines.join('\n')}\n${indent(depth)}}`
}

/** Names of the schemas that these name, and of those that they name in turn. */
export const namedIn = (schemas: readonly (Schema | undefined)[], all: Record<string, Schema>): string[] => {
  const found = new Set<string>()
  const look = (text: string): void => {
    for (const [, name = ''] of text.matchAll(/"\$ref":"[^"]*\/([^"/]+)"/g)) {
      if (found.has(name)) continue
      found.add(name)
      look(JSON.stringify(all[name] ?? {}))
    }
  }
  look(JSON.stringify(schemas))
  return [...found]
}
