/** Texts with names in braces, as addresses and topics have them: `/{site}/{year}-{month:2}`. `{month:2}` is filled up with zeros. */
import { nearestName } from '@penstock/config'

export type TemplateValues = Readonly<Record<string, string | number | undefined>>

const part = /\{([A-Za-z][A-Za-z0-9_]*)(?::(\d))?\}/g

/** The names that a template asks for, each once. */
export const namesIn = (template: string): string[] => [
  ...new Set([...template.matchAll(part)].map(match => match[1] ?? '')),
]

/** What is wrong with a template, in one sentence. */
export const templateProblem = (template: string, known: readonly string[]): string | undefined => {
  for (const name of namesIn(template)) {
    if (known.includes(name)) continue
    const near = nearestName(name, known)
    return `{${name}} stands for nothing${near === undefined ? '' : `; did you mean {${near}}?`}; known are ${known.join(', ')}`
  }
  const rest = template.replace(part, '')
  return /[{}]/.test(rest) ? 'has a brace without its other one, or with more than a name between them' : undefined
}

/** The text with its names filled in, or `undefined` where a value is missing. */
export const fillIn = (
  template: string,
  values: TemplateValues,
  encode: (text: string) => string = text => text,
): string | undefined => {
  let isWhole = true
  const text = template.replace(part, (_, name: string, digits: string | undefined) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined
    if (value === undefined) isWhole = false
    return encode(String(value ?? '').padStart(Number(digits ?? 0), '0'))
  })
  return isWhole ? text : undefined
}
