/** Where the fault stands in the bytes of a reject, and those bytes as people can see them. */

/** The text before the fault, the fault, and the text after it; all of it before where the reason quotes nothing of it. */
export const faultOf = ({ reason, text }: { reason: string; text: string }): [string, string, string] => {
  const quoted = [...reason.matchAll(/(column )?"([^"]+)"/g)].filter(match => text.includes(match[2] ?? ''))
  const fault = (quoted.find(match => match[1] === undefined) ?? quoted.at(-1))?.[2]
  if (fault === undefined) return [text, '', '']
  const from = text.indexOf(fault)
  return [text.slice(0, from), fault, text.slice(from + fault.length)]
}

/** Control characters as signs that can be seen, and that every font has. */
export const shownBytes = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is made visible
  text.replace(/\r?\n$/, '').replace(/[\u0000-\u001f\u007f]/g, c => signs[c] ?? escapeOf(c))

const signs: Record<string, string> = { '\t': '→', '\n': '↵', '\r': '\\r' }
const escapeOf = (c: string): string => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`
