export { type HttpServer, loadWeb, openServer, type WebFiles } from '@penstock/http'
export { Registry } from 'prom-client'
export { createApp } from './app.ts'
export {
  type CloudConfig,
  cloudConfigSchema,
  cloudJsonSchema,
  type GatewayCredential,
  loadCloudConfig,
} from './config.ts'
export { type CountQuery, type CountRow, counts } from './counts.ts'
export type { Access, AppDeps } from './deps.ts'
export { decodeEntry, encodeEntry } from './entry.ts'
export { type Attention, type FlowOptions, type FlowWatch, openFlow } from './flow.ts'
export { type GatewayHistory, openGatewayHistory } from './gateway-history.ts'
export type * from './historian.ts'
export { openInflux } from './historians/influx.ts'
export { LakeDamagedError, openLake } from './historians/lake.ts'
export { createMemoryHistorian } from './historians/memory.ts'
export { createEntryReader } from './journal-entry.ts'
export { type LineMapping, lineMappingSchema } from './lines.ts'
export { pageViews } from './page-views.ts'
export type { JournalEntry, Projector } from './projector.ts'
export { createHistorianProjector } from './projectors/historian.ts'
export { createLive, type Live, type LiveEvent } from './projectors/live.ts'
export { openRecords, type Records, RecordsDamagedError } from './projectors/records.ts'
export { createRollupProjector } from './projectors/rollup.ts'
export { gatewayView } from './routes/gateways.ts'
export { createSites, type Site, type SiteConfig, type Sites, siteSchema, sitesSchema } from './sites.ts'
