/** What the cloud measures of itself, for Prometheus: each figure is asked of its owner when it is scraped. */
import type { LogStats } from '@penstock/log'
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { Ingest } from './ingest.ts'
import type { ProjectionStats } from './projection.ts'

export interface MetricsOptions {
  ingest: Pick<Ingest, 'stats'>
  journal(): LogStats
  projections(): readonly ProjectionStats[]
  broker(): { connections: number; connected: boolean }
  gateways(): readonly { gateway: string; online: boolean; spoolBytes: number; nextSeq: number; oldestSeq: number }[]
}

export const createMetrics = ({ ingest, journal, projections, broker, gateways }: MetricsOptions): Registry => {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value())
      },
    })
  const counter = (name: string, help: string, value: () => number) =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset()
        this.inc(value())
      },
    })
  counter('penstock_ingest_envelopes_total', 'Envelopes taken in order', () => ingest.stats().envelopes)
  counter('penstock_ingest_duplicates_total', 'Envelopes that the journal had already', () => ingest.stats().duplicates)
  counter('penstock_ingest_resends_total', 'Times a gateway was asked to send again', () => ingest.stats().resends)
  counter('penstock_ingest_invalid_total', 'Messages that broke the contract of the wire', () => ingest.stats().invalid)
  counter('penstock_ingest_rows_total', 'Rows taken in', () => ingest.stats().rows)
  gauge('penstock_ingest_queued_bytes', 'Bytes that wait for the journal', () => ingest.stats().queuedBytes)
  gauge(
    'penstock_journal_damage_total',
    'Damaged places found in the journal since the start',
    () => journal().damageCount,
  )
  gauge('penstock_broker_connections', 'MQTT clients connected', () => broker().connections)
  gauge('penstock_broker_connected', '1 while the broker is reached', () => Number(broker().connected))
  new Gauge({
    name: 'penstock_projection_behind_entries',
    help: 'Journal entries that a projection has yet to apply',
    labelNames: ['projection'],
    registers,
    collect() {
      for (const { name, applied, last } of projections()) this.set({ projection: name }, Math.max(0, last - applied))
    },
  })
  const perGateway = (
    name: string,
    help: string,
    value: (g: ReturnType<MetricsOptions['gateways']>[number]) => number,
  ) =>
    new Gauge({
      name,
      help,
      labelNames: ['gateway'],
      registers,
      collect() {
        this.reset()
        for (const g of gateways()) this.set({ gateway: g.gateway }, value(g))
      },
    })
  perGateway('penstock_gateway_online', '1 while the gateway is online', g => Number(g.online))
  perGateway('penstock_gateway_spool_bytes', 'Disk that the spool of a gateway takes', g => g.spoolBytes)
  perGateway('penstock_gateway_spool_entries', 'Entries in the spool of a gateway', g => g.nextSeq - g.oldestSeq)
  return registry
}
