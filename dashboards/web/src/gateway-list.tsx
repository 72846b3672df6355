/** How each gateway is, in a line. */
import { useEffect, useState } from 'preact/hooks'
import { type Gateway, getGateways } from './api.ts'
import { bytesText, numberText } from './format.ts'
import type { LiveLine } from './live.ts'

export const GatewayList = ({ live }: { live: LiveLine }) => {
  const [gateways, setGateways] = useState<Gateway[]>()
  useEffect(() => {
    const abort = new AbortController()
    // The state of the line says it where this fails; the next change asks again.
    const read = () => void getGateways(abort.signal).then(setGateways, () => {})
    read()
    const timer = window.setInterval(read, 30_000)
    const off = [live.onGateway(read), live.onReset(read)]
    return () => {
      abort.abort()
      clearInterval(timer)
      for (const stop of off) stop()
    }
  }, [live])
  if (!gateways) return null
  if (gateways.length === 0) return <span>No gateway has reported yet.</span>
  return (
    <ul class="gateways" aria-label="Gateways">
      {gateways.map(g => (
        <li key={g.gateway} class={g.online ? 'up' : 'down'}>
          <strong>{g.gateway}</strong> {g.online ? 'online' : 'offline'} · spool {bytesText(g.spoolBytes)} ·{' '}
          {g.pendingEntries === 0 ? 'nothing waits' : `${numberText(g.pendingEntries)} waiting`}
          {g.sources.some(s => s.health !== 'ok' && s.health !== 'finished' && s.health !== 'starting') &&
            ' · a source needs attention'}
        </li>
      ))}
    </ul>
  )
}
