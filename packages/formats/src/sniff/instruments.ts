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

const draftOf = (kind: string, stream: string, text: string, more: Partial<Draft> = {}): Draft => ({
  format: { kind },
  kind: 'tail',
  stream,
  doubts: [],
  findings: [{ what: 'format', text }],
  weight: 3,
  ...more,
})

const protem = (lines: readonly string[]): Draft | undefined =>
  lines[0]?.startsWith('PROTEM Logging Tool')
    ? draftOf('protem', 'heater', 'PROTEM logging tool file (temperature controllers)', { local: true })
    : undefined

const lta = (lines: readonly string[]): Draft | undefined =>
  /^WLMLTAID\d+/.test(lines[0] ?? '') && lines.some(line => line.startsWith('[Measurement data]'))
    ? draftOf('lta', 'wavelengths', 'HighFinesse wavelength meter, long-term file (WLMLTAID02)', {
        local: true,
        doubts: [
          {
            path: ['format', 'rows'],
            text: 'channels are joined to one row once all are present; say raw for one row a measurement',
          },
        ],
      })
    : undefined

const oceanview = (lines: readonly string[]): Draft | undefined => {
  const at = lines.findIndex(line => /^\s*>+\s*Begin\b.*\bSpectral Data\s*<+\s*$/i.test(line))
  if (at < 0 || at > 1000) return undefined
  const isSeries = (lines[at + 1] ?? '').startsWith('\t')
  const date = lines.slice(0, at).find(line => /^\s*Date\s*:/i.test(line)) ?? ''
  const letters = /\d\d:\d\d:\d\d ([A-Za-z]{2,5}) \d{4}/.exec(date)?.[1]
  const isLocal = isSeries || letters === undefined
  return draftOf('oceanview', 'spectrum', `OceanView spectra: ${isSeries ? 'a series' : 'a single spectrum'}`, {
    kind: isSeries ? 'tail' : 'drop',
    ...(isLocal && { local: true }),
    doubts: isSeries
      ? []
      : [
          {
            path: ['format', 'time'],
            text: 'the time is the Date of the header, to the second; say name where the name of the file has the time to the ms',
          },
        ],
  })
}

/** Drafts of known instruments; none where no mark is found. */
export const draftInstruments = (lines: readonly string[], _hints: Hints): Draft[] => {
  const found = we7000(lines) ?? protem(lines) ?? lta(lines) ?? oceanview(lines)
  return found ? [found] : []
}
