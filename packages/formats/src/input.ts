/**
 * What the bytes of a file have in common before a format looks at them: byte order mark, encodings that hide ASCII,
 * positions that refer to the file.
 */
import { TextDecoder } from 'node:util'
import { encodingName } from './options.ts'

/** Bytes in which ASCII is ASCII, made of the bytes of the file. */
export interface Input {
  bytes: Uint8Array
  /** Bytes of the file that bytes[from, to) stand for. */
  fileBytes(from: number, to: number): number
}

export interface Encoding {
  /** Name for TextDecoder, of `Input.bytes`. */
  textEncoding: string
  /** Whether the file's bytes are not those of `Input`: UTF-16. */
  wide: boolean
  /** Whether a character's second byte may look like ASCII, and at which first bytes. */
  isLead: ((c: number) => boolean) | undefined
  /** Length of the byte order mark. */
  markBytes: number
  input(bytes: Uint8Array, last: boolean): Input
}

/** Bytes that must be at hand to know the encoding. */
export const markBytesMax = 3

/** Whether so few bytes may still grow into a byte order mark. */
export const mayBeMark = (bytes: Uint8Array): boolean =>
  bytes.length === 0 || bytes[0] === 0xef || bytes[0] === 0xfe || bytes[0] === 0xff
/** The encoding of a file that begins so; a byte order mark wins over the one configured. */
export const encodingOf = (label: string, head: Uint8Array): Encoding => {
  const name = encodingName(label) ?? 'utf-8'
  if (head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf) return narrow('utf-8', 3)
  if (head[0] === 0xff && head[1] === 0xfe) return wide('utf-16le', 2)
  if (head[0] === 0xfe && head[1] === 0xff) return wide('utf-16be', 2)
  return name.startsWith('utf-16') ? wide(name, 0) : narrow(name, 0)
}

const leads: Record<string, (c: number) => boolean> = {
  shift_jis: c => (c >= 0x81 && c <= 0x9f) || (c >= 0xe0 && c <= 0xfc),
  gbk: c => c >= 0x81 && c <= 0xfe,
  gb18030: c => c >= 0x81 && c <= 0xfe,
  big5: c => c >= 0x81 && c <= 0xfe,
  'euc-kr': c => c >= 0x81 && c <= 0xfe,
}

const narrow = (name: string, markBytes: number): Encoding => ({
  textEncoding: name,
  wide: false,
  isLead: leads[name],
  markBytes,
  input: bytes => ({
    bytes: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length),
    fileBytes: (from, to) => to - from,
  }),
})

const wide = (name: string, markBytes: number): Encoding => ({
  textEncoding: 'utf-8',
  wide: true,
  isLead: undefined,
  markBytes,
  input: (bytes, last) => {
    const even = bytes.length - (bytes.length % 2)
    const text = new TextDecoder(name, { ignoreBOM: true }).decode(bytes.subarray(0, even))
    const utf8 = new TextEncoder().encode(last && even < bytes.length ? `${text}\ufffd` : text)
    // UTF-16 units of UTF-8: one per character, two where it takes four bytes. Half a unit at the end counts its one byte.
    const fileBytes = (from: number, to: number): number => {
      let units = 0
      for (let i = from; i < to; i++) {
        const c = utf8[i] as number
        if ((c & 0xc0) !== 0x80) units += c >= 0xf0 ? 2 : 1
      }
      return to === utf8.length && last && even < bytes.length && to > from ? units * 2 - 1 : units * 2
    }
    return { bytes: utf8, fileBytes }
  },
})

/** What windows-1252 has where ISO-8859-1 has control characters; five of them it has too. */
const windows1252 = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ'

/** Node 20 reads windows-1252 as ISO-8859-1. */
class Windows1252Decoder extends TextDecoder {
  override decode(...from: Parameters<TextDecoder['decode']>): string {
    const text = super.decode(...from)
    return /[\u0080-\u009f]/.test(text)
      ? text.replace(/[\u0080-\u009f]/g, c => windows1252[c.charCodeAt(0) - 0x80] ?? c)
      : text
  }
}

/** The decoder of a text encoding, by its WHATWG name. A byte order mark is left in the text. */
export const createTextDecoder = (name: string): TextDecoder =>
  name === 'windows-1252'
    ? new Windows1252Decoder(name, { ignoreBOM: true })
    : new TextDecoder(name, { ignoreBOM: true })

/** Texts of bytes: of UTF-8 by way of a Buffer, which is quicker than a decoder for texts as short as a line. */
export const createTextReader = () => {
  let seen: Uint8Array = new Uint8Array(0)
  let view = Buffer.alloc(0)
  return (bytes: Uint8Array, from: number, to: number, decoder: TextDecoder): string => {
    if (decoder.encoding !== 'utf-8') return decoder.decode(bytes.subarray(from, to))
    if (bytes !== seen) {
      seen = bytes
      view = Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length)
    }
    return view.toString('utf8', from, to)
  }
}
