/** The OpenAPI document of the HTTP API without a running service: for clients that are made from it. */
import { Registry } from 'prom-client'
import { createApp } from './app.ts'
import type { AppDeps } from './deps.ts'
import { lineMappingSchema } from './lines.ts'
import { createSites } from './sites.ts'

const never = (): never => {
  throw new Error('the document answers no request')
}

export const openApiDocument = async (version: string): Promise<unknown> => {
  const deps: AppDeps = {
    historian: { read: never, streams: never, readAggregates: never },
    sites: createSites([]),
    records: {
      rejects: never,
      countRejects: never,
      rejectGroups: never,
      cursor: never,
      ledger: never,
      ledgerTotals: never,
      losses: never,
      totals: never,
      framesAt: never,
    },
    flow: { flow: never, attention: never },
    evidence: { feeds: never, nearRejects: never, nearLosses: never, rejectsSince: never },
    live: { gateways: never, latest: never, subscribe: never, stats: never },
    ingest: never,
    receipt: never,
    writes: { lines: never, posted: never, replay: never, dismiss: never, mapping: lineMappingSchema.parse({}) },
    status: never,
    journalStats: never,
    journalEntry: never,
    readiness: never,
    metrics: new Registry(),
    version,
    lateHoursMax: 0,
    now: () => new Date(0),
    access: { hosts: ['document'] },
    log: { warn: never, error: never },
  }
  return (await createApp(deps).request('http://document/openapi.json')).json()
}
