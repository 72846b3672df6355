/** The little of XML that a workbook's parts need: elements with their attributes in order, and text with its entities. */

export interface Element {
  /** Without its prefix. */
  name: string
  attributes: Readonly<Record<string, string>>
  /** Behind its opening tag, and before its closing one where it has text alone. */
  at: number
}

const tag = /<([A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)((?:\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*\/?>/g
const attribute = /([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g

/** Opening tags of a document in their order. Attributes lose their prefix but `r:id`, which stays `r:id`. */
export function* elements(text: string): Generator<Element> {
  for (const match of text.matchAll(tag)) {
    const attributes: Record<string, string> = {}
    for (const [, name = '', double, single] of (match[3] ?? '').matchAll(attribute)) {
      attributes[name.endsWith(':id') ? 'r:id' : name] = plainText(double ?? single ?? '')
    }
    yield { name: match[2] ?? '', attributes, at: match.index + match[0].length }
  }
}

const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
const entity = /&(?:#x([0-9a-fA-F]{1,6})|#(\d{1,7})|(amp|lt|gt|quot|apos));/g

/** Text of XML with its entities, CDATA sections and the escapes of spreadsheets (`_x000D_`) replaced. */
export const plainText = (text: string): string => {
  let plain = text
  if (plain.includes('<![CDATA[')) plain = plain.replaceAll('<![CDATA[', '').replaceAll(']]>', '')
  if (plain.includes('&')) {
    plain = plain.replace(entity, (whole, hex?: string, decimal?: string, name?: string) => {
      if (name !== undefined) return entities[name] ?? whole
      const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)
      return code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd'
    })
  }
  if (!plain.includes('_x')) return plain
  return plain.replace(/_x([0-9a-fA-F]{4})_/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
