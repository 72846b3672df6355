/** The parts that the gateway tells, sorted for the page. */
import { useEffect, useState } from 'preact/hooks'
import type { FilePart, GatewayPart, LinkPart, SourcePart, SpoolPart, StreamPart } from './api.ts'
import type { LineState, Live } from './live.ts'

export interface View {
  line: LineState
  problem: string | undefined
  heardMs: number | undefined
  /** The gateway's clock. */
  nowMs: number
  gateway: GatewayPart | undefined
  link: LinkPart | undefined
  spool: SpoolPart | undefined
  rejects: number
  sources: SourcePart[]
  streams: StreamPart[]
  /** The ones read last first. */
  files: FilePart[]
}

/** Reads the parts anew with each change, and each second for what is told by the clock. */
export const useView = (live: Live): View => {
  const [view, setView] = useState(() => readView(live))
  useEffect(() => {
    const update = () => setView(readView(live))
    const off = live.onChange(update)
    const timer = window.setInterval(update, 1000)
    return () => {
      off()
      clearInterval(timer)
    }
  }, [live])
  return view
}

const readView = (live: Live): View => {
  const parts = live.parts()
  const below = <T>(prefix: string): T[] =>
    [...parts].filter(([name]) => name.startsWith(prefix)).map(([, part]) => part as T)
  return {
    line: live.state(),
    problem: live.problem(),
    heardMs: live.heardMs(),
    nowMs: live.nowMs(),
    gateway: parts.get('gateway') as GatewayPart | undefined,
    link: parts.get('link') as LinkPart | undefined,
    spool: parts.get('spool') as SpoolPart | undefined,
    rejects: (parts.get('rejects') as { count: number } | undefined)?.count ?? 0,
    sources: below<SourcePart>('source/').sort((a, b) => a.order - b.order),
    streams: below<StreamPart>('stream/'),
    files: below<FilePart>('file/').reverse(),
  }
}

/** The zone in which the times of a source are told. */
export const zoneOf = (view: Pick<View, 'sources' | 'gateway'>, source: string): string =>
  view.sources.find(({ id }) => id === source)?.options.zone ?? view.gateway?.zone ?? 'UTC'

export const streamKey = ({ site, device, stream }: Pick<StreamPart, 'site' | 'device' | 'stream'>): string =>
  JSON.stringify([site, device, stream])
