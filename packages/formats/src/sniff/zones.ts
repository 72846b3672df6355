/** Zones of local times: the machine's first; what the text hints at, and what the nights of changed clocks say. */
import { MS_PER_DAY, MS_PER_HOUR, zoneOf } from '@penstock/frame'
import type { Doubt, Draft, Finding } from './proposal.ts'

const hintWords: [RegExp, string][] = [
  [/\b(?:CEST|CET|MEZ|MESZ)\b/, 'central European time (Europe/Berlin, Europe/Paris, Europe/Madrid …)'],
  [/\bJST\b|[\u3040-\u30ff\uff66-\uff9f]/u, 'Asia/Tokyo'],
  [/\b(?:EST|EDT)\b/, 'America/New_York'],
  [/\b(?:CST|CDT)\b/, 'America/Chicago'],
  [/\b(?:PST|PDT)\b/, 'America/Los_Angeles'],
  [/\bBST\b/, 'Europe/London'],
  [/\b(?:WEST|WET)\b/, 'Europe/Lisbon'],
  [/\b(?:EET|EEST)\b/, 'Europe/Helsinki or another of eastern Europe'],
  [
    /(?:^|[;,\t"\s])(?:Datum|Uhrzeit|Zeit|Zeitstempel|Messwert|Druck|Temperatur|Spannung|Strom)(?:$|[;,\t"\s])/m,
    'Europe/Berlin, for its words are German',
  ],
  [
    /(?:^|[;,\t"\s])(?:Heure|Horodatage|Température|Pression|Tension|Débit)(?:$|[;,\t"\s])/m,
    'Europe/Paris, for its words are French',
  ],
  [
    /(?:^|[;,\t"\s])(?:Fecha|Hora|Temperatura|Presión|Caudal|Humedad)(?:$|[;,\t"\s])/m,
    'Europe/Madrid, for its words are Spanish',
  ],
]
const hintEncodings: Record<string, string> = {
  cp932: 'Asia/Tokyo, for the encoding is Japanese',
  'euc-jp': 'Asia/Tokyo, for the encoding is Japanese',
  gbk: 'Asia/Shanghai, for the encoding is Chinese',
  'euc-kr': 'Asia/Seoul, for the encoding is Korean',
}

const named = (text: string): string | undefined =>
  /\b(?:Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific)\/[A-Z][A-Za-z_]+(?:\/[A-Z][A-Za-z_]+)?\b/.exec(
    text,
  )?.[0]

/** What is known of the zone, and what the text says against the machine's. */
export const zoneFindings = (
  draft: Draft,
  zone: string | undefined,
  text: string,
  encoding: string | undefined,
): { doubts: Doubt[]; findings: Finding[] } => {
  const { time } = draft.format
  const ownZone = typeof time === 'object' && time !== null && 'zone' in time
  if (ownZone) return { doubts: [], findings: [] }
  if (draft.local !== true) {
    return {
      doubts: [],
      findings: time === undefined ? [] : [{ what: 'zone', text: 'none is needed: the times carry it' }],
    }
  }
  const findings: Finding[] = [
    {
      what: 'zone',
      text: zone === undefined ? 'times are local: say in which zone' : `times are local, taken to be of ${zone}`,
    },
  ]
  const doubts: Doubt[] = [hintDoubt(zone, text.slice(0, 4000), encoding)]
  if (draft.localMs) {
    const nights = clockNights(draft.localMs, zone)
    findings.push(...nights.findings)
    doubts.push(...nights.doubts)
  }
  return { doubts, findings }
}

const hintDoubt = (zone: string | undefined, head: string, encoding: string | undefined): Doubt => {
  const path = ['zone']
  const assumed = zone === undefined ? 'no zone is known' : `assumed ${zone}, that of this machine`
  const saying = named(head)
  if (saying !== undefined && saying !== zone)
    return { path, text: `${assumed}; the file names ${saying}: is that the zone of its times?` }
  const hint =
    saying === undefined
      ? (hintWords.find(([pattern]) => pattern.test(head))?.[1] ?? hintEncodings[encoding ?? ''])
      : undefined
  if (hint !== undefined && !hint.split(/[ ,(]+/).includes(zone ?? ''))
    return { path, text: `${assumed}; the text hints at ${hint}` }
  if (saying !== undefined) return { path, text: `${assumed}, as the file says too` }
  return { path, text: `times are local and nothing in the file says in which zone: ${assumed}` }
}

/** Zones that change their clocks, one of each rule. */
const changing = [
  'Europe/Berlin',
  'Europe/London',
  'Europe/Helsinki',
  'America/New_York',
  'America/Chicago',
  'America/Denver',
  'America/Los_Angeles',
  'America/Santiago',
  'Australia/Sydney',
  'Pacific/Auckland',
]
const rowsMax = 20_000
const nightsMax = 4

/** Rows on nights on which clocks change: an hour that is missing or there twice says where the clock stood. */
const clockNights = (ms: Float64Array, zone: string | undefined): { doubts: Doubt[]; findings: Finding[] } => {
  const findings: Finding[] = []
  const doubts: Doubt[] = []
  const zones = [...new Set([...(zone === undefined ? [] : [zone]), ...changing])]
  const step = medianStep(ms)
  const seen = new Set<string>()
  for (let i = 1; i < Math.min(ms.length, rowsMax) && seen.size < nightsMax; i++) {
    const from = ms[i - 1] as number
    const to = ms[i] as number
    const ahead = to - from
    if (Number.isNaN(ahead)) continue
    // Only hours before the morning, only steps that are an hour longer or shorter than the others.
    const isMissing = step <= MS_PER_HOUR && Math.abs(ahead - step - MS_PER_HOUR) <= step / 2
    const isTwice =
      step <= MS_PER_HOUR && ahead <= 0 && Math.abs(ahead - step + MS_PER_HOUR) <= Math.max(step / 2, 60_000)
    if (!isMissing && !isTwice) continue
    const probe = isMissing ? to - MS_PER_HOUR / 2 - step / 2 : to
    const wanted = isMissing ? 0 : 2
    const fitting = zones.filter(name => localTimes(name, isMissing ? skippedProbe(from, to, step) : probe) === wanted)
    const hour = new Date(isMissing ? to - MS_PER_HOUR : to).toISOString().slice(0, 13).replace('T', ' ')
    if (fitting.length === 0 || seen.has(hour)) continue
    seen.add(hour)
    const what = isMissing ? 'is missing' : 'is there twice'
    findings.push({
      what: 'zone',
      text: `the hour ${hour}:00 ${what}, as where clocks changed that night: fits ${fitting.join(', ')}`,
    })
    if (zone !== undefined && !fitting.includes(zone)) {
      doubts.push({
        path: ['zone'],
        text: `the hour ${hour}:00 ${what}, as in ${fitting.join(', ')}, but not in ${zone}`,
      })
    }
  }
  if (zone !== undefined) {
    for (let i = 0; i < Math.min(ms.length, rowsMax); i++) {
      const local = ms[i] as number
      if (Number.isNaN(local) || localTimes(zone, local) !== 0) continue
      const text = new Date(local).toISOString().slice(0, 16).replace('T', ' ')
      doubts.push({
        path: ['zone'],
        text: `the local time ${text} does not exist in ${zone}, the clocks skipped it: the instrument's clock may stand on UTC or on winter time`,
      })
      break
    }
  }
  return { doubts, findings }
}

/** The middle of the hour that may have been skipped between two rows. */
const skippedProbe = (from: number, to: number, step: number): number =>
  (from + step + to) / 2 - (to - from - step > MS_PER_HOUR ? 0 : 1)

/** How often a zone's clock shows a local time; the days of no change cost one look. */
const localTimes = (zone: string, local: number): number => {
  const z = zoneOf(zone)
  return z.offsetMs(local - MS_PER_DAY) === z.offsetMs(local + MS_PER_DAY) ? 1 : z.fromLocalMs(local).length
}

const medianStep = (ms: Float64Array): number => {
  const steps: number[] = []
  for (let i = 1; i < Math.min(ms.length, 2000); i++) {
    const step = (ms[i] as number) - (ms[i - 1] as number)
    if (step > 0) steps.push(step)
  }
  steps.sort((a, b) => a - b)
  return steps[steps.length >> 1] ?? Number.POSITIVE_INFINITY
}
