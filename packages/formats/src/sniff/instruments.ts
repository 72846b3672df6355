/** Text files of known instruments, by the marks that they carry. */
import type { Draft, Hints } from './proposal.ts'

const head = (lines: readonly string[], n: number): string[] => lines.slice(0, n)

const we7000 = (lines: readonly string[]): Draft | undefined => {
  const keys = head(lines, 80)
  const has = (key: string): boolean => keys.some(line => line.replaceAll('"', '').startsWith(`${key},`))
  if (!has('TraceName') || !(has('//TimeResolution') || has('//StartDate')) || !has('BlockSize')) return undefined
  return {
    format: { kind: 'we7000' },
    local: true,
    kind: 'tail',
    stream: 'pulses',
    doubts: [],
    findings: [
      { what: 'format', text: 'Yokogawa WE7000 list file (TraceName, BlockSize, //TimeResolution)' },
      { what: 'time', text: 'start in the header plus counts, local' },
    ],
    weight: 3,
  }
}

/** Drafts of known instruments; none where no mark is found. */
export const draftInstruments = (lines: readonly string[], _hints: Hints): Draft[] => {
  const found = we7000(lines)
  return found ? [found] : []
}
