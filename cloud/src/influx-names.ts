/**
 * What series and aggregates are called where InfluxQL is spoken: in InfluxDB and at our own `/query`, so that one dashboard
 * serves both.
 *
 * - Readings: measurement = stream; tags `site`, `device`; a field for each column.
 * - Aggregates: `<stream>_hourly` and `<stream>_daily`; tags `level` (`store`: all doors of the store together, or `sensor`),
 *   `store`, `sensor` and `column`; fields as the rows of GET /v1/counts.
 */
import type { Resolution } from './historian.ts'

export const READING_TAGS = ['device', 'site'] as const
export const AGGREGATE_TAGS = ['column', 'level', 'sensor', 'store'] as const
export const aggregateMeasurement = (stream: string, resolution: Resolution): string =>
  `${stream}_${resolution === 'hour' ? 'hourly' : 'daily'}`
