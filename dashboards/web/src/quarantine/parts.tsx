/** What the list and the detail of the quarantine share. */
import { useEffect, useState } from 'preact/hooks'
import type { RejectState } from '../api.ts'
import { faultOf, shownBytes } from '../fault.ts'
import type { LiveLine } from '../live.ts'
import { texts } from '../texts.ts'

export const t = texts.quarantine
export const states: readonly RejectState[] = ['open', 'replayed', 'dismissed']

const whole = new Intl.NumberFormat()
export const countText = (n: number): string => whole.format(n)
export const rowsText = (n: number): string => t.rows(countText(n), n === 1)

/** In a zone, which is said. */
export const timeText = (iso: string, zone = 'UTC'): string =>
  new Intl.DateTimeFormat(undefined, {
    ...{ year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' },
    ...{ hourCycle: 'h23', timeZone: zone, timeZoneName: 'short' },
  }).format(new Date(iso))

/** The bytes, with the part that the reason quotes marked. */
export const Bytes = ({ reason, text }: { reason: string; text: string }) => {
  const [before, fault, after] = faultOf({ reason, text })
  return (
    <code class="bytes">
      {shownBytes(before)}
      {fault !== '' && <mark>{shownBytes(fault)}</mark>}
      {shownBytes(after)}
    </code>
  )
}

const settleMs = 300

/** Counts up when rejects came or were decided on: what is shown is asked for again. */
export const useChanges = (live: LiveLine): [number, () => void] => {
  const [changes, setChanges] = useState(0)
  const again = () => setChanges(n => n + 1)
  useEffect(() => {
    let timer = 0
    const later = () => {
      clearTimeout(timer)
      timer = window.setTimeout(again, settleMs)
    }
    const off = [live.onReject(later), live.onReset(later)]
    return () => {
      clearTimeout(timer)
      for (const stop of off) stop()
    }
  }, [live])
  return [changes, again]
}

/** `/quarantine` with what is chosen. */
export const quarantineUrl = (query: {
  state?: string | undefined
  group?: string | undefined
  fix?: string | undefined
}) => {
  const given = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]))
  const text = new URLSearchParams(given.filter(([key, value]) => key !== 'state' || value !== 'open')).toString()
  return text === '' ? '/quarantine' : `/quarantine?${text}`
}
