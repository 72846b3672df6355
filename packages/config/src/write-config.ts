/**
 * YAML as a person would write it: short mappings on one line, remarks as comments above the key that they speak of. What
 * stands in a file already is left as it is, byte for byte.
 */
import { EXIT, UserError } from '@penstock/frame'
import {
  Document,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'

/** A comment above the key at `path`, or above the nearest thing that is there; below an empty line where it begins with one. */
export interface Remark {
  path: readonly (string | number)[]
  text: string
}

const flowCharsMax = 88
const remarkCharsMax = 100

/** A value (JSON) as YAML, with its remarks. */
export const writeYaml = (value: unknown, remarks: readonly Remark[] = []): string => {
  const document = new Document(value)
  for (const { path, text } of remarks) remark(document, path, text)
  shorten(document)
  return document.toString({ lineWidth: 0, flowCollectionPadding: true })
}

/**
 * The text of a configuration with one more item at the end of the list under `key`, which is made where it is missing.
 * Throws a UserError where the text is not YAML, or something other than a list stands there.
 */
export const appendToList = (
  text: string,
  file: string,
  key: string,
  item: unknown,
  remarks: readonly Remark[] = [],
): string => {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, logLevel: 'error' })
  const [error] = document.errors
  if (error) throw new UserError(`${file}:${lines.linePos(error.pos[0]).line}: not YAML: ${error.message}`, EXIT.config)
  const inList = remarks.map(({ path, text }) => ({ path: [0, ...path], text }))
  const list: unknown = isMap(document.contents) ? document.get(key, true) : undefined
  if (document.contents !== null && !isMap(document.contents)) {
    throw new UserError(`${file}: expected a mapping at the top`, EXIT.config)
  }
  if (list === undefined || (isScalar(list) && list.value === null)) {
    if (isScalar(list)) document.delete(key)
    const kept = isScalar(list) ? document.toString({ lineWidth: 0 }) : text
    const above = kept === '' || kept.endsWith('\n') ? kept : `${kept}\n`
    return `${above}${key}:\n${indent(writeYaml([item], inList), 2)}`
  }
  if (!isSeq(list)) throw new UserError(`${file}: ${key}: expected a list`, EXIT.config)
  const made = inserted(text, list, writeYaml([item], inList), lines)
  // Only where the text then holds one item more: else the document is written anew, comments and all.
  return made !== undefined && lengthOf(made, key) === list.items.length + 1
    ? made
    : rewritten(document, list, item, remarks)
}

/** The text with the item's lines put behind the last item of a list in block style; `undefined` where that would not hold. */
const inserted = (text: string, list: YAMLSeq, item: string, lines: LineCounter): string | undefined => {
  const first = list.items[0]
  const last = list.items.at(-1)
  if (list.flow || !isNode(first) || !isNode(last) || !list.range || !last.range) return undefined
  const column = lines.linePos(list.range[0]).col - 1
  const end = text.indexOf('\n', last.range[1] - 1)
  const at = end < 0 ? text.length : end + 1
  const gap = /\n[ \t]*\n[ \t]*(#[^\n]*\n[ \t]*)*-/.test(text.slice(list.range[0], last.range[1])) ? '\n' : ''
  return `${text.slice(0, at)}${end < 0 ? '\n' : ''}${gap}${indent(item, column)}${text.slice(at)}`
}

const rewritten = (document: Document, list: YAMLSeq, item: unknown, remarks: readonly Remark[]): string => {
  list.flow = false
  const made = new Document(item)
  for (const { path, text } of remarks) remark(made, path, text)
  shorten(made)
  list.add(made.contents)
  return document.toString({ lineWidth: 0 })
}

const lengthOf = (text: string, key: string): number | undefined => {
  const document = parseDocument(text, { logLevel: 'error' })
  const list: unknown = document.errors.length === 0 ? document.get(key, true) : undefined
  return isSeq(list) ? list.items.length : undefined
}

const indent = (text: string, by: number): string => text.replace(/^(?=.)/gm, ' '.repeat(by))

/** Puts the comment above what stands at the path. Above a list item rather than above its first key. */
const remark = (document: Document, path: readonly (string | number)[], text: string): void => {
  let at: Node | null = document.contents
  let container: unknown = document.contents
  for (const key of path) {
    if (isMap(container)) {
      const pair = container.items.find(p => isScalar(p.key) && String(p.key.value) === String(key))
      if (!pair || !isNode(pair.key)) break
      const isFirst = container.items[0] === pair && at === container && at !== document.contents
      if (!isFirst) at = pair.key
      container = pair.value
    } else if (isSeq(container)) {
      const item: unknown = container.items[Number(key)]
      if (!isNode(item)) break
      at = item
      container = item
    } else break
  }
  if (!at) return
  if (text.startsWith('\n')) at.spaceBefore = true
  const said = wrap(text.trimStart()).map(line => (line === '' ? '' : ` ${line}`))
  at.commentBefore = [...(at.commentBefore ? [at.commentBefore] : []), ...said].join('\n')
}

const wrap = (text: string): string[] => {
  const lines: string[] = []
  for (const paragraph of text.split('\n')) {
    let line = ''
    for (const word of paragraph.trim().split(/\s+/)) {
      if (line !== '' && line.length + 1 + word.length > remarkCharsMax) {
        lines.push(line)
        line = word
      } else line = line === '' ? word : `${line} ${word}`
    }
    lines.push(line)
  }
  return lines
}

/** Puts small collections that carry no comment on one line; never the top of the document nor an item of its list. */
const shorten = (document: Document): void => {
  visit(document, {
    Collection(_key, node, path) {
      const depth = path.filter(isCollection).length
      const parent = path.filter(isCollection).at(-1)
      if (depth === 0 || (depth === 1 && isSeq(parent))) return undefined
      if (JSON.stringify(node.toJSON()).length <= flowCharsMax && !hasComment(node)) node.flow = true
      return node.flow ? visit.SKIP : undefined
    },
  })
}

const hasComment = (node: YAMLMap | YAMLSeq): boolean => {
  let found = false
  visit(node, {
    Node(_key, inner) {
      if (!inner.commentBefore || inner === node) return undefined
      found = true
      return visit.BREAK
    },
  })
  return found
}
