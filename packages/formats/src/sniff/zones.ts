/** Zones of local times: the machine's first, what the text hints at as doubts. */
import type { Doubt, Draft, Finding } from './proposal.ts'

const hintWords: [RegExp, string][] = [
  [/\b(?:CEST|CET|MEZ|MESZ)\b/, 'central European time (Europe/Berlin, Europe/Paris, Europe/Madrid …)'],
  [/\bJST\b|[\u3040-\u30ff]/u, 'Asia/Tokyo'],
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

const named = (text: string): string | undefined => {
  const m =
    /\b(?:Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific)\/[A-Z][A-Za-z_]+(?:\/[A-Z][A-Za-z_]+)?\b/.exec(
      text,
    )
  return m?.[0]
}

/** What is known of the zone, and what the text says against the machine's. */
export const zoneFindings = (
  draft: Draft,
  zone: string | undefined,
  text: string,
): { doubts: Doubt[]; findings: Finding[] } => {
  const { time } = draft.format
  const ownZone = typeof time === 'object' && time !== null && 'zone' in time
  if (ownZone) return { doubts: [], findings: [] }
  if (draft.local !== true)
    return {
      doubts: [],
      findings: time === undefined ? [] : [{ what: 'zone', text: 'none is needed: the times carry it' }],
    }
  const head = text.slice(0, 4000)
  const path = ['zone']
  const findings: Finding[] = [
    {
      what: 'zone',
      text: zone === undefined ? 'times are local: say in which zone' : `times are local, taken to be of ${zone}`,
    },
  ]
  const doubts: Doubt[] = []
  const saying = named(head)
  if (saying !== undefined && saying !== zone)
    doubts.push({
      path,
      text: `the file names ${saying}: is it the zone of its times, not ${zone ?? 'that of the machine'}?`,
    })
  const hint = hintWords.find(([pattern]) => pattern.test(head))
  if (saying === undefined && hint && !hint[1].split(/[ ,(]+/).includes(zone ?? '')) {
    doubts.push({ path, text: `assumed ${zone ?? 'UTC'}, the zone of this machine; the text hints at ${hint[1]}` })
  }
  if (doubts.length === 0) {
    doubts.push({
      path,
      text:
        zone === undefined
          ? 'times are local and nothing says in which zone'
          : `times are local and nothing in the file says in which zone: assumed ${zone}, that of this machine`,
    })
  }
  return { doubts, findings }
}
