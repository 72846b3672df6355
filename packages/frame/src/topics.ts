/**
 * Topics of the wire. Names may hold any character but control characters; the four that MQTT or this scheme gives a
 * meaning ("/", "+", "#", "%") travel percent-encoded.
 */
const root = 'penstock/v1'

export type Topic =
  | { kind: 'frames'; gateway: string; epoch: string; seq: number }
  | { kind: 'receipt'; gateway: string }
  | { kind: 'status'; gateway: string }
  | { kind: 'readings'; site: string; device: string; stream: string }

const escapeLevel = (name: string): string =>
  name.replace(/[/+#%]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
/** A name as a level of a topic carries it. */
export const unescapeLevel = (level: string): string =>
  level.replace(/%(2F|2B|23|25)/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))

export const framesTopic = (gateway: string, epoch: string, seq: number): string =>
  `${root}/${escapeLevel(gateway)}/frames/${epoch}/${seq}`
export const receiptTopic = (gateway: string): string => `${root}/${escapeLevel(gateway)}/receipt`
export const statusTopic = (gateway: string): string => `${root}/${escapeLevel(gateway)}/status`
export const readingsTopic = (site: string, device: string, stream: string): string =>
  `${root}/readings/${escapeLevel(site)}/${escapeLevel(device)}/${escapeLevel(stream)}`

/** What a cloud subscribes to. */
export const cloudFilters = [`${root}/+/frames/+/+`, `${root}/+/status`, `${root}/readings/+/+/+`] as const

const epochPattern = /^[A-Za-z0-9_-]{1,64}$/
/** 1 … 2^53 − 1 without leading zeros. */
const seqPattern = /^[1-9]\d{0,15}$/

/** Reads a topic; `undefined` where it is none of ours. */
export const parseTopic = (topic: string): Topic | undefined => {
  if (!topic.startsWith(`${root}/`)) return undefined
  const levels = topic.slice(root.length + 1).split('/')
  const [first = '', second, third = '', fourth = ''] = levels
  if (first === '') return undefined
  if (first === 'readings' && levels.length === 4) {
    if (second === undefined || second === '' || third === '' || fourth === '') return undefined
    return {
      kind: 'readings',
      site: unescapeLevel(second),
      device: unescapeLevel(third),
      stream: unescapeLevel(fourth),
    }
  }
  const gateway = unescapeLevel(first)
  if (second === 'frames' && levels.length === 4) {
    const seq = Number(fourth)
    if (!epochPattern.test(third) || !seqPattern.test(fourth) || !Number.isSafeInteger(seq)) return undefined
    return { kind: 'frames', gateway, epoch: third, seq }
  }
  if ((second === 'receipt' || second === 'status') && levels.length === 2) return { kind: second, gateway }
  return undefined
}
