/** What a person says is wrong, as the form has it and the address keeps it; and the correction that it stands for. */
import type { Recipe, Reject } from '../api.ts'
import { faultOf } from '../fault.ts'

export const kinds = ['decimal', 'replace', 'nulls', 'delimiter', 'time', 'place', 'columns', 'json'] as const
export type Kind = (typeof kinds)[number]

/** Fields of all kinds; a kind looks at its own. */
export interface Fix {
  kind: Kind
  /** From 1; 0: anywhere. */
  column?: number
  find?: string
  replace?: string
  regex?: boolean
  text?: string
  delimiter?: string
  layout?: string
  site?: string
  device?: string
  stream?: string
  zone?: string
  names?: string
  timeColumn?: string
  json?: string
}

export const readFix = (text: string | null): Fix | undefined => {
  if (text === null) return undefined
  try {
    const fix = JSON.parse(text) as Fix
    return kinds.includes(fix?.kind) ? fix : undefined
  } catch {
    return undefined
  }
}

const recordOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}

const place = ({ site, device, stream, zone }: Fix) =>
  Object.fromEntries(Object.entries({ site, device, stream, zone }).filter(([, value]) => value))

/** As the service takes it; a sentence where it cannot be said yet, nothing where too little is filled in. */
export const correctionOf = (fix: Fix, recipe: Recipe | null): object | string | undefined => {
  const { kind, column = 0, find = '', replace = '', regex = false, text = '', delimiter, layout = '' } = fix
  switch (kind) {
    case 'decimal':
      return column > 0 ? { decimalComma: [column] } : undefined
    case 'replace':
      return find === ''
        ? undefined
        : { replacements: [{ find, replace, ...(regex && { regex }), ...(column > 0 && { column }) }] }
    case 'nulls': {
      const had = recipe?.format.nullTexts
      return text === '' ? undefined : { format: { nullTexts: [...(Array.isArray(had) ? had : ['']), text] } }
    }
    case 'delimiter':
      return delimiter ? { format: { delimiter } } : undefined
    case 'time':
      return layout === '' ? undefined : { format: { time: { ...recordOf(recipe?.format.time), layout } } }
    case 'place':
      return Object.keys(place(fix)).length === 0 ? undefined : place(fix)
    case 'columns':
      return columnsOf(fix)
    case 'json':
      return jsonOf(fix.json ?? '')
  }
}

const columnsOf = (fix: Fix): object | undefined => {
  const names = (fix.names ?? '').split(',').map(name => name.trim())
  if (names.every(name => name === '')) return undefined
  const { delimiter = ',', timeColumn = '', layout = '' } = fix
  const time = timeColumn === '' ? undefined : { column: timeColumn, ...(layout !== '' && { layout }) }
  return {
    names: names.map((name, i) => name || `column ${i + 1}`),
    format: { kind: 'csv', delimiter, ...(time && { time }) },
    ...place(fix),
  }
}

const jsonOf = (text: string): object | 'json' | undefined => {
  if (text.trim() === '') return undefined
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : 'json'
  } catch {
    return 'json'
  }
}

export const delimiterOf = (recipe: Recipe | null): string => {
  const { delimiter } = recipe?.format ?? {}
  return typeof delimiter === 'string' ? delimiter : ','
}

/** The cells of a row, without their quotes. */
export const cellsOf = (text: string, delimiter: string): string[] => {
  const cells: string[] = []
  let cell = ''
  let inside = false
  for (const c of text.replace(/[\r\n]+$/, '')) {
    if (c === '"') inside = !inside
    else if (c === delimiter && !inside) {
      cells.push(cell)
      cell = ''
    } else cell += c
  }
  return [...cells, cell]
}

/** Names of the columns, as the header of the file has them. */
export const namesOf = (recipe: Recipe | null): string[] => {
  const { header } = recipe?.format ?? {}
  const { names } = recordOf(header)
  if (Array.isArray(names)) return names.map(String)
  const delimiter = delimiterOf(recipe)
  const rows = (recipe?.head ?? '').split(/\r\n|\r|\n/).filter(line => line !== '')
  const widest = rows
    .map(line => cellsOf(line, delimiter))
    .reduce<string[]>((a, b) => (b.length > a.length ? b : a), [])
  return widest
}

/** The first guess at what is wrong, from what the reason quotes. */
export const guess = (reject: Pick<Reject, 'reason' | 'text' | 'origin'>, recipe: Recipe | null): Fix => {
  const delimiter = delimiterOf(recipe)
  if (!recipe) return { kind: 'columns', delimiter }
  const [, fault] = faultOf(reject)
  const column = cellsOf(reject.text, delimiter).findIndex(cell => cell.trim() === fault.trim()) + 1
  if (fault !== '' && column > 0 && /^\s*[-+]?[\d.]*,\d+\s*$/.test(fault)) return { kind: 'decimal', column }
  if (/where a time is required/.test(reject.reason)) return { kind: 'time' }
  if (/cells where \d+ are expected/.test(reject.reason)) return { kind: 'delimiter' }
  if (fault !== '' && /is not a (whole )?number/.test(reject.reason) && !/\d/.test(fault)) {
    return { kind: 'nulls', text: fault }
  }
  return { kind: 'replace', find: fault, column }
}
