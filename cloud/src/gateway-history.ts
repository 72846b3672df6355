/**
 * How each gateway was, once a minute, as readings like any others: site `penstock`, device = the gateway, stream `gateway`. They
 * go through the journal, so that every historian has them and dashboards need no further store.
 */
import type { AppDeps } from './deps.ts'
import type { Ingest } from './ingest.ts'
import { gatewayView } from './routes/gateways.ts'
import { SYSTEM_SITE } from './sites.ts'

export interface GatewayHistoryOptions extends Pick<AppDeps, 'live' | 'now' | 'receipt'> {
  ingest: Pick<Ingest, 'readings'>
  everyMs: number
  log: { warn(o: object, m: string): void }
}

export interface GatewayHistory {
  /** Notes all gateways now. Resolves when the journal has it. */
  note(): Promise<void>
  close(): Promise<void>
}

export const openGatewayHistory = (options: GatewayHistoryOptions): GatewayHistory => {
  const { live, now, receipt, ingest, everyMs, log } = options
  const note = async (): Promise<void> => {
    const time = now().toISOString()
    for (const gateway of live.gateways()) {
      const values = figuresOf(gatewayView(gateway, { now, receipt }))
      const target = { site: SYSTEM_SITE, device: gateway.gateway, stream: 'gateway' }
      await ingest.readings(target, Buffer.from(JSON.stringify({ time, values })))
    }
  }
  let noting: Promise<void> = Promise.resolve()
  const timer = setInterval(() => {
    noting = noting
      .then(note)
      .catch(error => log.warn({ err: error }, 'how the gateways are could not be noted; tried again in a minute'))
  }, everyMs)
  timer.unref()
  return {
    note,
    async close() {
      clearInterval(timer)
      await noting
    },
  }
}

/** Numbers alone: min, mean and max of each have a meaning. */
const figuresOf = (view: ReturnType<typeof gatewayView>): Record<string, number> => ({
  online: Number(view.online),
  silentMs: view.silentMs,
  spoolBytes: view.spoolBytes,
  pendingEntries: view.pendingEntries,
  clockAheadMs: view.clockAheadMs,
  rows: view.sources.reduce((sum, source) => sum + source.rows, 0),
  rejects: view.sources.reduce((sum, source) => sum + source.rejects, 0),
  sourcesUnwell: view.sources.filter(({ health }) => health === 'stale' || health === 'failing').length,
})
