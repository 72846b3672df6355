/** Findings as a person reads them: the mark first, the remedy below. */
import type { Finding } from '../probes/finding.ts'
import { wrapText } from './table.ts'

const marks: Readonly<Record<Finding['mark'], string>> = { ok: 'ok  ', note: 'note', warn: 'WARN', fail: 'FAIL' }
const aboutCharsMax = 40

export const findingTexts = (findings: readonly Finding[], width: number | undefined): string[] => {
  const chars = Math.min(aboutCharsMax, Math.max(...findings.map(({ about }) => about.length)))
  return findings.flatMap(({ mark, about, text, remedy }) => {
    const indent = ' '.repeat(chars + 8)
    return [
      ...wrapText(`${marks[mark]}  ${about.padEnd(chars)}  ${text}`, width, indent),
      ...(remedy === undefined ? [] : wrapText(`${indent}→ ${remedy}`, width, `${indent}  `)),
    ]
  })
}

/** "2 problems, 1 warning", or "nothing is wrong". */
export const summaryText = (findings: readonly Finding[]): string => {
  const count = (mark: Finding['mark'], what: string) => {
    const n = findings.filter(finding => finding.mark === mark).length
    return n === 0 ? [] : [`${n} ${n === 1 ? what : `${what}s`}`]
  }
  const parts = [...count('fail', 'problem'), ...count('warn', 'warning')]
  return parts.length === 0 ? 'nothing is wrong' : parts.join(', ')
}
