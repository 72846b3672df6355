/** What a file says of itself beside its values: its properties, as attributes of the origin. */
import { formatNs, LIMITS } from '@penstock/frame'
import type { Stream } from './layout.ts'
import type { Property, TdmsObject } from './metadata.ts'

/** Of one value, and of all of a frame's together: they go with every frame. */
const valueCharsMax = 1024
const allCharsMax = 16_384

/**
 * Properties of the file by their names; of its groups and channels with these before the name. What tells of scales and
 * array places comes last, where there is room.
 */
export const attributesOf = (
  stream: Stream,
  objects: ReadonlyMap<string, TdmsObject>,
  warnings: readonly string[],
): Record<string, string> => {
  const found: [string, string][] = []
  const later: [string, string][] = []
  const add = (prefix: string, object: TdmsObject | undefined): void => {
    for (const [name, value] of object?.properties ?? []) {
      const text = textOf(value)
      if (text === '') continue
      const list = /^(?:NI_|wf_)/.test(name) ? later : found
      if (list.length < LIMITS.attributesMax) list.push([`${prefix}${name}`, text])
    }
  }
  for (const [i, text] of warnings.entries()) found.push([`warning ${i + 1}`, text])
  add('', objects.get('/'))
  const channels = new Set(stream.columns.map(column => column.channel.object))
  const groups = new Set([...channels].map(object => object.group ?? ''))
  for (const group of groups) add(`${group}/`, objects.get(`/'${group.replaceAll("'", "''")}'`))
  for (const object of channels) add(`${object.group}/${object.channel}/`, object)

  const attributes: Record<string, string> = {}
  let chars = 0
  let count = 0
  for (const [key, value] of [...found, ...later]) {
    const name = key.slice(0, LIMITS.nameCharsMax)
    const text = value.slice(0, valueCharsMax)
    chars += name.length + text.length
    if (++count > LIMITS.attributesMax || chars > allCharsMax) break
    Object.defineProperty(attributes, name, { value: text, enumerable: true, configurable: true, writable: true })
  }
  return attributes
}

const textOf = (value: Property): string => {
  if (typeof value !== 'object') return String(value)
  return typeof value.stamp === 'bigint' ? formatNs(value.stamp) : ''
}
