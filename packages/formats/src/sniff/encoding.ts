/** Which encoding a text is in: by its mark, by what is valid, and where several are, by which makes plausible words. */

import { createTextDecoder } from '../input.ts'
import type { Doubt, Finding } from './proposal.ts'
import type { Sample } from './sample.ts'

export interface TextEncoding {
  /** As the trade names it, for the options. */
  label: string
  /** For TextDecoder. */
  name: string
  /** Whether the options must name it: neither UTF-8 nor said by a byte order mark. */
  named: boolean
  wide: { bytes: 1 | 2; low: 0 | 1 }
  finding: Finding
  doubts: Doubt[]
}

const narrow = { bytes: 1, low: 0 } as const
const encodingOf = (
  label: string,
  name: string,
  named: boolean,
  text: string,
  wide: TextEncoding['wide'] = narrow,
  doubts: string[] = [],
): TextEncoding => ({
  label,
  name,
  named,
  wide,
  finding: { what: 'encoding', text },
  doubts: doubts.map(doubt => ({ path: ['format', 'encoding'], text: doubt })),
})

/** The encoding of a sample, or one sentence that says why it is no text. */
export const guessEncoding = (sample: Sample, zone: string | undefined): TextEncoding | string => {
  const { head } = sample
  const [a, b, c, d] = head
  if (a === 0xef && b === 0xbb && c === 0xbf) return encodingOf('utf-8', 'utf-8', false, 'UTF-8 with byte order mark')
  if (a === 0xff && b === 0xfe && c === 0 && d === 0) return 'the file is UTF-32, which is not read: save it as UTF-8'
  if (a === 0xff && b === 0xfe) {
    return encodingOf('utf-16le', 'utf-16le', false, 'UTF-16 (little-endian) with byte order mark', {
      bytes: 2,
      low: 0,
    })
  }
  if (a === 0xfe && b === 0xff) {
    return encodingOf('utf-16be', 'utf-16be', false, 'UTF-16 (big-endian) with byte order mark', { bytes: 2, low: 1 })
  }
  const wide = wideByZeros(head)
  if (wide !== undefined) return wide
  const parts = [head, ...sample.pieces]
  if (parts.some(hasControls)) return 'the file is binary, of a kind that is not known'
  const high = parts.flatMap(part => highParts(part))
  if (high.length === 0) return encodingOf('utf-8', 'utf-8', false, 'ASCII, which is UTF-8')
  if (isUtf8(sample)) return encodingOf('utf-8', 'utf-8', false, 'UTF-8')
  return byWords(high, zone)
}

/** UTF-16 without a mark: of ASCII text, every second byte is 0. */
const wideByZeros = (head: Uint8Array): TextEncoding | undefined => {
  const n = Math.min(head.length, 4096) & ~1
  if (n < 8) return undefined
  const zeros = [0, 0]
  for (let i = 0; i < n; i++) if (head[i] === 0) zeros[i % 2] = (zeros[i % 2] ?? 0) + 1
  const [even = 0, odd = 0] = zeros
  const doubt = ['there is no byte order mark: every second byte is 0, as in UTF-16']
  if (odd > n * 0.35 && even < n * 0.02) {
    return encodingOf(
      'utf-16le',
      'utf-16le',
      true,
      'UTF-16 (little-endian) without byte order mark',
      { bytes: 2, low: 0 },
      doubt,
    )
  }
  if (even > n * 0.35 && odd < n * 0.02) {
    return encodingOf(
      'utf-16be',
      'utf-16be',
      true,
      'UTF-16 (big-endian) without byte order mark',
      { bytes: 2, low: 1 },
      doubt,
    )
  }
  return undefined
}

/** Bytes that no text holds: NUL and control characters, but tab, line ends, form feed, and what serial lines leave (STX, ETX, EOT, ESC, SUB). */
const hasControls = (bytes: Uint8Array): boolean => {
  const allowed = new Set([2, 3, 4, 5, 6, 7, 9, 10, 12, 13, 21, 26, 27])
  let found = 0
  for (const byte of bytes) if (byte < 32 && !allowed.has(byte)) found++
  return found > bytes.length / 500
}

const isUtf8 = (sample: Sample): boolean => {
  const valid = (bytes: Uint8Array): boolean => {
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes)
      return true
    } catch {
      return false
    }
  }
  const whole = sample.pieces.length === 0
  // A piece may begin or end within a character of up to four bytes.
  const clip = (bytes: Uint8Array, start: number, end: number): Uint8Array => {
    let from = start
    let to = bytes.length
    while (from > 0 && from < 4 && ((bytes[from] as number) & 0xc0) === 0x80) from++
    for (let back = 0; end > 0 && back < 4 && to > from; back++) {
      const byte = bytes[to - 1] as number
      if (byte < 0x80) break
      to--
      if (byte >= 0xc0) break
    }
    return bytes.subarray(from, to)
  }
  if (!valid(clip(sample.head, 0, whole ? 0 : 1))) return false
  return sample.pieces.every(piece => {
    const lf = piece.indexOf(10)
    return valid(clip(lf < 0 ? piece : piece.subarray(lf), 0, 1))
  })
}

const highLinesMax = 400
/** The lines that hold bytes above ASCII. */
const highParts = (bytes: Uint8Array): Uint8Array[] => {
  const found: Uint8Array[] = []
  let p = 0
  while (p < bytes.length && found.length < highLinesMax) {
    const lf = bytes.indexOf(10, p)
    const end = lf < 0 ? bytes.length : lf
    const line = bytes.subarray(p, end)
    if (line.some(byte => byte > 127)) found.push(line)
    p = end + 1
  }
  return found
}

interface Candidate {
  label: string
  name: string
  score: (text: string, bytes: Uint8Array) => number
}

const count = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0

/** Japanese: kana and the common kanji make words; half-width katakana come in runs; what only rare characters make is chance. */
const scoreJapanese = (text: string, bytes: Uint8Array): number => {
  if (text.includes('\ufffd')) return Number.NEGATIVE_INFINITY
  const kana = count(text, /[\u3041-\u30ff\uff01-\uff5e\u3000-\u3015℃°μΩ±×÷→←↑↓αβγθ①-⑳]/gu)
  const halfRuns = count(text, /[\uff61-\uff9f]{2,}/gu)
  const halfAlone = count(text, /(?<![\uff61-\uff9f])[\uff61-\uff9f](?![\uff61-\uff9f])/gu)
  const kanji = text.match(/[\u4e00-\u9fff]/gu) ?? []
  let common = 0
  for (let i = 0; i + 1 < bytes.length; i++) {
    const byte = bytes[i] as number
    if ((byte >= 0x81 && byte <= 0x9f) || (byte >= 0xe0 && byte <= 0xfc)) {
      if (byte >= 0x88 && byte <= 0x97) common++
      i++
    }
  }
  common = Math.min(common, kanji.length)
  return (
    2 * kana +
    2 * common +
    1.5 * halfRuns -
    2 * halfAlone -
    2 * (kanji.length - common) -
    4 * count(text, /[\ue000-\uf8ff]/gu)
  )
}

/** Western: letters with accents beside ASCII letters, and the signs of units. */
const scoreWestern = (text: string): number => {
  const good = count(
    text,
    /[°µ²³±·«»€£§éèêëàâäáãåæçíìîïñóòôöõøœúùûüýÿßÉÈÊËÀÂÄÁÃÅÆÇÍÌÎÏÑÓÒÔÖÕØÚÙÛÜÝ–—’‘“”…ºª¿¡×¼½¾®©]/gu,
  )
  const bad = count(text, /[\u0080-\u009f¤¦¨¬¯¶¸þÞðÐƒ†‡ˆ‰˜¥¢\u00ad]/gu)
  const runs = count(text, /[À-ÿ]{3,}/gu)
  return good - 2 * bad - 4 * runs
}

/** Cyrillic: whole words above ASCII. */
const scoreCyrillic = (text: string): number =>
  count(text, /[а-яё]/gu) +
  0.5 * count(text, /[А-ЯЁ]/gu) -
  2 * count(text, /[\u0080-\u00ff\u0402-\u040f\u0452-\uffff]/g) -
  3 * count(text, /[а-яё][А-ЯЁ]/gu)

/** Chinese, Korean: pairs of high bytes; told apart from Japanese by the machine's zone, for the bytes do not. */
const scorePairs =
  (common: RegExp, bonus: number) =>
  (text: string): number =>
    text.includes('\ufffd')
      ? Number.NEGATIVE_INFINITY
      : bonus * count(text, common) - 2 * count(text, /[\ue000-\uf8ff\uff61-\uff9f]/gu)

const byWords = (lines: readonly Uint8Array[], zone: string | undefined): TextEncoding => {
  const at = (...zones: string[]): boolean => zone !== undefined && zones.some(z => zone.startsWith(z))
  const candidates: Candidate[] = [
    { label: 'windows-1252', name: 'windows-1252', score: scoreWestern },
    { label: 'cp932', name: 'shift_jis', score: scoreJapanese },
    { label: 'windows-1251', name: 'windows-1251', score: scoreCyrillic },
    { label: 'euc-jp', name: 'euc-jp', score: text => scorePairs(/[\u3041-\u30ff]/gu, 2)(text) },
    {
      label: 'gbk',
      name: 'gbk',
      score: scorePairs(/[\u4e00-\u9fff]/gu, at('Asia/Shanghai', 'Asia/Chongqing', 'PRC') ? 4 : 0.9),
    },
    {
      label: 'big5',
      name: 'big5',
      score: scorePairs(/[\u4e00-\u9fff]/gu, at('Asia/Taipei', 'Asia/Hong_Kong') ? 4 : 0.5),
    },
    { label: 'euc-kr', name: 'euc-kr', score: scorePairs(/[\uac00-\ud7a3]/gu, at('Asia/Seoul', 'ROK') ? 4 : 1) },
  ]
  const bytes = new Uint8Array(Buffer.concat(lines.flatMap(line => [line, new Uint8Array([10])])))
  let total = 0
  for (const byte of bytes) if (byte > 127) total++
  const ranked = candidates
    .map(candidate => {
      const text = createTextDecoder(candidate.name).decode(bytes)
      return { ...candidate, text, value: candidate.score(text, bytes) }
    })
    .sort((x, y) => y.value - x.value)
  const [best, next] = ranked as [(typeof ranked)[number], (typeof ranked)[number]]
  const shown = (text: string): string => text.match(/[^\s\u0080-\uffff]*[\u0080-\uffff]\S*/)?.[0].slice(0, 40) ?? ''
  const doubts: string[] = []
  if (best.value < total / 4 || next.value > best.value * 0.8) {
    doubts.push(
      `the bytes do not prove the encoding: as ${best.label} they say "${shown(best.text)}", as ${next.label} "${shown(next.text)}"`,
    )
  }
  return encodingOf(best.label, best.name, true, `${best.label}, for it makes "${shown(best.text)}"`, narrow, doubts)
}
