/** How the source is that brought the newest row, where the gateway has said it. */
import { useEffect, useState } from 'preact/hooks'
import { get, getGateways } from '../api.ts'
import type { LiveLine } from '../live.ts'
import { texts } from '../texts.ts'
import { keyText } from './url.ts'
import type { Stream } from './use-catalog.ts'

const t = texts.instruments

interface Health {
  text: string
  isGood: boolean
}

const ask = async (
  { site, device, stream }: Stream,
  time: string,
  signal: AbortSignal,
): Promise<Health | undefined> => {
  const { places } = await get('/v1/lineage', { site, device, stream, time }, signal)
  const [place] = places
  if (!place?.gateway) return undefined
  const gateway = (await getGateways(signal)).find(g => g.gateway === place.gateway)
  if (!gateway) return undefined
  const source = gateway.sources.find(s => s.id === place.source)
  const isGood = gateway.online && (source === undefined || source.health === 'ok' || source.health === 'finished')
  if (!gateway.online) return { isGood, text: t.gatewayOffline(gateway.gateway) }
  if (!source) return { isGood, text: t.gatewayOnline(gateway.gateway) }
  return { isGood, text: t.sourceHealth(source.id, gateway.gateway, source.health, source.message ?? '') }
}

export const SourceHealth = ({ stream, time, live }: { stream: Stream; time: string; live: LiveLine }) => {
  const [health, setHealth] = useState<Health>()
  useEffect(() => {
    const abort = new AbortController()
    // Where it is not known, nothing is said.
    const read = () => void ask(stream, time, abort.signal).then(setHealth, () => {})
    setHealth(undefined)
    read()
    const off = live.onGateway(read)
    return () => {
      abort.abort()
      off()
    }
  }, [keyText(stream), live])
  return health ? <span class={health.isGood ? 'tag' : 'tag failed'}>{health.text}</span> : null
}
