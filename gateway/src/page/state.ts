/**
 * What the page shows, as small named parts, and who is told of which part that changed.
 *
 * A client holds no queue: it knows up to which version it has been told, and gets what has changed since then when it has
 * room for it. One that is slow hears less often; it is never behind by more than one message.
 */
import type { EventQueue, ServerEvent } from '@penstock/http'
import type { GatewaySnapshot } from '../gateway.ts'
import type { Live } from '../live.ts'
import { spoolView } from './forecast.ts'

/** Parts by name: `gateway`, `link`, `spool`, `rejects`, `source/<id>`, `stream/<site>/<device>/<stream>`, `file/<source>/<file>`. */
export type Parts = Map<string, unknown>

/** Of the ledger, the files touched last are told by themselves; the others are asked for. */
const filesToldMax = 100

export interface PartsOptions {
  snapshot(): GatewaySnapshot
  live: Pick<Live, 'streams' | 'bytesPerMinute' | 'stats'>
  /** What holds for sources that name none. */
  zone: string
}

const round = (n: number): number => Number(n.toPrecision(3))

export const readParts = ({ snapshot, live, zone }: PartsOptions): Parts => {
  const { uplink, spool, sources, ledger, ...gateway } = snapshot()
  const files = ledger()
  const { rejects, streams } = live.stats()
  const parts: Parts = new Map<string, unknown>([
    ['gateway', { ...gateway, zone, files: files.length, streams }],
    ['link', uplink],
    ['spool', spoolView(spool, live.bytesPerMinute())],
    ['rejects', { count: rejects }],
  ])
  sources.forEach((source, order) => {
    parts.set(`source/${source.id}`, { ...source, rowsPerMinute: round(source.rowsPerMinute), order })
  })
  for (const stream of live.streams()) {
    const { site, device, stream: name } = stream
    parts.set(`stream/${JSON.stringify([site, device, name])}`, {
      ...stream,
      rowsPerMinute: round(stream.rowsPerMinute),
    })
  }
  files.slice(-filesToldMax).forEach(line => {
    parts.set(`file/${JSON.stringify([line.source, line.file])}`, line)
  })
  return parts
}

export interface StateHub {
  /** `undefined` where too many clients listen already. */
  subscribe(): EventQueue | undefined
  clients(): number
  close(): void
}

export interface StateHubOptions {
  read(): Parts
  now(): Date
  everyMs: number
  clientsMax: number
}

export const createStateHub = ({ read, now, everyMs, clientsMax }: StateHubOptions): StateHub => {
  const parts = new Map<string, { json: string; version: number }>()
  const clients = new Set<{ wake(): void; close(): void }>()
  let version = 0
  let timer: NodeJS.Timeout | undefined

  const look = (): void => {
    version++
    const found = read()
    for (const [name, part] of found) {
      const json = JSON.stringify(part)
      if (parts.get(name)?.json !== json) parts.set(name, { json, version })
    }
    for (const name of parts.keys()) if (!found.has(name)) parts.delete(name)
    for (const client of clients) client.wake()
  }
  const leave = (client: { wake(): void; close(): void }): void => {
    clients.delete(client)
    if (clients.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  return {
    clients: () => clients.size,
    close() {
      for (const client of clients) client.close()
    },
    subscribe() {
      if (clients.size >= clientsMax) return undefined
      const told = new Set<string>()
      let toldVersion = 0
      let first = true
      let closed = false
      let wake = () => {}

      const changes = (): ServerEvent | undefined => {
        const set: string[] = []
        for (const [name, part] of parts) {
          if (part.version <= toldVersion) continue
          set.push(`${JSON.stringify(name)}:${part.json}`)
          told.add(name)
        }
        const gone = [...told].filter(name => !parts.has(name))
        for (const name of gone) told.delete(name)
        toldVersion = version
        if (set.length + gone.length === 0 && !first) return undefined
        const data = `{"clock":"${now().toISOString()}","set":{${set.join(',')}},"gone":${JSON.stringify(gone)}}`
        const type = first ? 'state' : 'change'
        first = false
        return { type, data }
      }
      const client = {
        wake: () => wake(),
        close() {
          closed = true
          leave(client)
          wake()
        },
      }
      clients.add(client)
      look()
      timer ??= setInterval(look, everyMs).unref()
      return {
        close: client.close,
        async next() {
          while (!closed) {
            const event = changes()
            if (event) return event
            await new Promise<void>(resolve => {
              wake = resolve
            })
          }
          return undefined
        },
      }
    },
  }
}
