/**
 * What the parts of a workbook say of a sheet: where it stands, which styles are dates, the texts that its cells share.
 * After ECMA-376 (Office Open XML), part 1.
 */
import { FileProblem } from '../disk.ts'
import type { Archive, Entry } from './archive.ts'
import { elements, plainText } from './xml.ts'

export interface Workbook {
  sheet: Entry
  sheetName: string
  /** Days count from 1904 and not from 1900. */
  from1904: boolean
  /** By the index of a cell's style: whether its numbers are dates or times of day. */
  dateStyles: readonly boolean[]
  texts: SharedTexts
}

/** Texts as UTF-8, one behind the other. */
export interface SharedTexts {
  count: number
  bytes: Uint8Array
  ends: Int32Array
}

const partBytesMax = 8 * 1024 * 1024

export const readWorkbook = async (
  archive: Archive,
  wanted: string | number,
  textsBytesMax: number,
): Promise<Workbook> => {
  const part = async (name: string, bytesMax = partBytesMax): Promise<string | undefined> => {
    const entry = archive.entries.get(name)
    return entry && (await archive.read(entry, bytesMax)).toString('utf8')
  }
  const main = await mainPart(archive, part)
  const folder = main.slice(0, main.lastIndexOf('/') + 1)
  const workbook = (await part(main)) ?? ''
  const targets = relations((await part(`${folder}_rels/${main.slice(folder.length)}.rels`)) ?? '')
  const resolve = (target: string) => (target.startsWith('/') ? target.slice(1) : `${folder}${target}`)

  let from1904 = false
  const sheets: { name: string; target: string }[] = []
  for (const { name, attributes } of elements(workbook)) {
    if (name === 'workbookPr') from1904 = isTrue(attributes.date1904)
    const relation = name === 'sheet' ? targets.get(attributes['r:id'] ?? '') : undefined
    if (relation?.type === 'worksheet') sheets.push({ name: attributes.name ?? '', target: resolve(relation.target) })
  }
  const sheet = typeof wanted === 'number' ? sheets[wanted - 1] : sheets.find(s => s.name === wanted)
  if (!sheet) {
    const which = typeof wanted === 'number' ? `sheet ${wanted}` : `sheet "${wanted}"`
    const has = sheets.map(s => `"${s.name}"`).join(', ') || 'none'
    throw new FileProblem(`the workbook has no ${which}; its sheets are ${has.slice(0, 400)}`)
  }
  const entry = archive.entries.get(sheet.target)
  if (!entry) throw new FileProblem(`the bytes cannot be read: the sheet "${sheet.name}" is not in the archive`)
  const targetOf = (type: string) => [...targets.values()].find(r => r.type === type)?.target
  const styles = targetOf('styles')
  const texts = targetOf('sharedStrings')
  return {
    sheet: entry,
    sheetName: sheet.name,
    from1904,
    dateStyles: styles === undefined ? [] : dateStylesOf((await part(resolve(styles))) ?? ''),
    texts: await sharedTexts(archive, texts === undefined ? undefined : resolve(texts), textsBytesMax),
  }
}

const isTrue = (text: string | undefined): boolean => text === '1' || text === 'true' || text === 'on'

/** Path of the workbook's own part. */
const mainPart = async (archive: Archive, part: (name: string) => Promise<string | undefined>): Promise<string> => {
  const { entries } = archive
  for (const { type, target } of relations((await part('_rels/.rels')) ?? '').values()) {
    const name = target.replace(/^\//, '')
    if (type === 'officeDocument' && entries.has(name)) {
      if (name.endsWith('.bin')) break
      return name
    }
  }
  if (entries.has('xl/workbook.bin')) {
    throw new FileProblem('the file is a binary workbook (.xlsb): save it as .xlsx or as CSV')
  }
  if (entries.has('mimetype') && entries.has('content.xml')) {
    throw new FileProblem('the file is an OpenDocument sheet (.ods): save it as .xlsx or as CSV')
  }
  if (entries.has('xl/workbook.xml')) return 'xl/workbook.xml'
  throw new FileProblem('the file is a zip archive but no workbook (.xlsx)')
}

const relations = (text: string): Map<string, { type: string; target: string }> => {
  const found = new Map<string, { type: string; target: string }>()
  for (const { name, attributes } of elements(text)) {
    if (name !== 'Relationship') continue
    const type = attributes.Type?.slice(attributes.Type.lastIndexOf('/') + 1) ?? ''
    found.set(attributes.Id ?? '', { type, target: attributes.Target ?? '' })
  }
  return found
}

/** The formats that have a number of their own and are dates or times of day (ECMA-376, 18.8.30, the East Asian ones among them). */
const isBuiltInDate = (id: number): boolean =>
  (id >= 14 && id <= 22) || (id >= 27 && id <= 36) || id === 45 || id === 47 || (id >= 50 && id <= 58)

/** Whether a format shows a date or a time of day; elapsed time ([h]:mm) is a number of days. */
const isDateFormat = (code: string): boolean => {
  const bare = code.replace(/"[^"]*"|\\.|_.|\*./g, '')
  return !/\[(?:h+|m+|s+)\]/i.test(bare) && /[ymdhs]/i.test(bare.replace(/\[[^\]]*\]/g, '').replace(/General/gi, ''))
}

const dateStylesOf = (text: string): boolean[] => {
  const own = new Map<number, boolean>()
  const styles: boolean[] = []
  let inCells = false
  for (const { name, attributes } of elements(text)) {
    if (name === 'numFmt') own.set(Number(attributes.numFmtId), isDateFormat(attributes.formatCode ?? ''))
    else if (name === 'cellXfs') inCells = true
    else if (name === 'cellStyles' || name === 'dxfs') inCells = false
    else if (name === 'xf' && inCells) {
      const id = Number(attributes.numFmtId)
      styles.push(own.get(id) ?? isBuiltInDate(id))
    }
  }
  return styles
}

const noTexts: SharedTexts = { count: 0, bytes: new Uint8Array(0), ends: new Int32Array(0) }
/** The text of a shared or inline string: its runs joined. Readings of East Asian texts (rPh) are no part of it. */
export const textOfRuns = (xml: string, prefix: string): string => {
  let text = ''
  for (let p = 0; ; ) {
    const open = xml.indexOf(`<${prefix}`, p)
    if (open < 0) return text
    const start = xml.indexOf('>', open)
    if (start < 0) return text
    p = start + 1
    const tag = xml.slice(open + 1 + prefix.length, start)
    if (tag.startsWith('rPh')) {
      const end = xml.indexOf(`</${prefix}rPh>`, start)
      if (end < 0) return text
      p = end
    } else if (/^t(?:\s|$)/.test(tag) && !tag.endsWith('/')) {
      const end = xml.indexOf(`</${prefix}t`, start)
      if (end < 0) return text
      text += plainText(xml.slice(start + 1, end))
      p = end
    }
  }
}

const sharedTexts = async (archive: Archive, name: string | undefined, bytesMax: number): Promise<SharedTexts> => {
  const entry = name === undefined ? undefined : archive.entries.get(name)
  if (!entry) return noTexts
  if (entry.bytes > bytesMax) {
    throw new FileProblem(
      `the texts of the workbook take ${entry.bytes} bytes, more than the ${bytesMax} that are held: raise textsBytesMax`,
    )
  }
  const xml = await archive.read(entry, bytesMax)
  // What the texts take is never more than their XML.
  const bytes = Buffer.alloc(xml.length)
  let ends = new Int32Array(1024)
  let count = 0
  let at = 0
  const prefix = prefixOf(xml, 'sst')
  const open = Buffer.from(`<${prefix}si`)
  const close = Buffer.from(`</${prefix}si`)
  for (let p = xml.indexOf(open); p >= 0; p = xml.indexOf(open, p)) {
    const start = xml.indexOf(62, p)
    if (start < 0) break
    const isEmpty = xml[start - 1] === 47
    const end = isEmpty ? start + 1 : xml.indexOf(close, start)
    if (end < 0) break
    if (count === ends.length) {
      const larger = new Int32Array(2 * count)
      larger.set(ends)
      ends = larger
    }
    if (!isEmpty) at += bytes.write(textOfRuns(xml.toString('utf8', start + 1, end), prefix), at)
    ends[count++] = at
    p = end
  }
  return { count, bytes: new Uint8Array(bytes.buffer, bytes.byteOffset, at), ends }
}

/** The prefix with colon that a part gives its elements: that of its root. */
export const prefixOf = (xml: Buffer, root: string): string => {
  const head = xml.toString('latin1', 0, 4096)
  return new RegExp(`<(\\w+:)${root}[\\s>]`).exec(head)?.[1] ?? ''
}
