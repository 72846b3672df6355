/** What a gap and a place of the map say. */
import { dateText, hourText, numberText, percentText } from '../format.ts'
import { texts } from '../texts.ts'
import type { Place } from './cells.ts'
import type { Gap } from './use-gaps.ts'

const t = texts.gaps

/** Local time as the site's clock shows it. */
const timeOf = (iso: string): string => iso.slice(11, 16)
const dateOf = (iso: string): string => iso.slice(0, 10)

/** `Wed 11 Mar 14:00 – 16:00`, or with both days. */
export const spanText = (from: string, to: string): string => {
  const start = `${dateText(dateOf(from))} ${timeOf(from)}`
  return dateOf(from) === dateOf(to) ? `${start} – ${timeOf(to)}` : `${start} – ${dateText(dateOf(to))} ${timeOf(to)}`
}

const waysText = ({ proof }: Gap): string => {
  const names = [...new Set(proof.ways.flatMap(way => way.gateway ?? []))]
  return names.length === 0 ? t.proof.direct : names.map(t.proof.gateway).join(', ')
}
const upper = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`

/** What proves its cause; of an unknown one, what is known all the same. */
export const proofText = (gap: Gap): string => {
  const { proof, cause } = gap
  const said: string[] = []
  if (!proof.waysAreItsOwn) said.push(t.proof.neverCame)
  switch (cause) {
    case 'sensor-silent':
      said.push(
        proof.othersDelivered > 0
          ? t.proof.others(proof.othersDelivered, waysText(gap))
          : t.proof.watched(upper(waysText(gap))),
      )
      break
    case 'gateway-offline':
      if (proof.offlineMinutes > 0) {
        said.push(
          t.proof.offline(numberText(Math.round(proof.offlineMinutes)), numberText(Math.round(proof.watchedMinutes))),
        )
      }
      if (proof.gatewayOnline === false) said.push(t.proof.offlineNow)
      if ((proof.pendingEntries ?? 0) > 0) said.push(t.proof.pending(numberText(proof.pendingEntries ?? 0)))
      else if (proof.gatewayOnline) said.push(t.proof.nothingPending)
      break
    case 'rejected':
      said.push(t.proof.rejects(numberText(proof.rejects.count), proof.rejects.files.join(', ')))
      break
    case 'lost':
      for (const { from, through, epoch, reason, receivedAt } of proof.losses) {
        said.push(
          t.proof.loss(
            from,
            through,
            epoch ?? '–',
            reason.replace(/\.$/, ''),
            `${dateText(dateOf(receivedAt))} ${timeOf(receivedAt)} UTC`,
          ),
        )
      }
      break
    case 'unknown':
      if (proof.rejects.possible > 0) said.push(t.proof.possible(proof.rejects.possible))
      if (proof.watchedMinutes < 50) said.push(t.proof.notWatched)
      if ((proof.pendingEntries ?? 0) > 0) said.push(t.proof.catchingUp(numberText(proof.pendingEntries ?? 0)))
      break
  }
  return said.join(' ')
}

/** Title and sentence of a place. */
export const placeTitle = (name: string, { cell }: Place): string =>
  `${t.sensor} ${name} · ${dateText(cell.date)}${cell.hour === null ? '' : ` ${hourText(cell.hour)}`}`

export const placeText = ({ cell, gaps }: Place): string => {
  const { state, had, expected } = cell
  if (state === 'closed' || state === 'before' || state === 'due') return t.place[state]
  const figure = `${t.of(numberText(had), numberText(expected))} (${percentText(expected === 0 ? null : had / expected)})`
  const [longest, ...others] = gaps
  if (!longest) return state === 'ok' ? figure : `${figure}, ${t.place[state]}`
  const causes = [...new Set([longest, ...others].map(gap => t.causes[gap.cause].name.toLowerCase()))].join(', ')
  return `${figure}: ${causes}`
}
