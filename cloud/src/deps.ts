/** What the HTTP API stands on: values that `main.ts` passes in. */
import type { Receipt, Status } from '@penstock/frame'
import type { WebFiles } from '@penstock/http'
import type { LogStats } from '@penstock/log'
import type { Registry } from 'prom-client'
import type { GatewayCredential } from './config.ts'
import type { FlowWatch } from './flow.ts'
import type { Historian } from './historian.ts'
import type { Ingest } from './ingest.ts'
import type { ReadEntry } from './journal-entry.ts'
import type { LineMapping } from './lines.ts'
import type { Live } from './projectors/live.ts'
import type { Evidence } from './projectors/records/evidence.ts'
import type { Records } from './projectors/records.ts'
import type { Sites } from './sites.ts'

export interface AppDeps {
  historian: Pick<Historian, 'read' | 'streams' | 'readAggregates'>
  sites: Sites
  records: Pick<
    Records,
    | 'rejects'
    | 'countRejects'
    | 'rejectGroups'
    | 'cursor'
    | 'ledger'
    | 'ledgerTotals'
    | 'losses'
    | 'totals'
    | 'framesAt'
  >
  evidence: Evidence
  flow: Pick<FlowWatch, 'flow' | 'attention'>
  live: Pick<Live, 'gateways' | 'latest' | 'subscribe' | 'stats'>
  /** `ingest.frames`: resolves with the receipt once the journal has the entry. Rejects where the journal fails. */
  ingest(gateway: string, epoch: string, seq: number, body: Uint8Array): Promise<Receipt>
  /** What the journal has of a gateway's epoch: `ingest.receipt`. */
  receipt(gateway: string, epoch: string): Receipt
  /** Ways in by HTTP that others know: points of line protocol, and readings as JSON. And what is decided on rejects. */
  writes: Pick<Ingest, 'lines' | 'posted' | 'replay' | 'dismiss'> & { mapping: LineMapping }
  /** A gateway's status that came by HTTP; what MQTT's status topic does. */
  status(gateway: string, status: Status): void
  journalStats(): Pick<LogStats, 'bytes' | 'oldestSeq' | 'nextSeq' | 'lostEntries'>
  /** One entry of the journal, decoded. */
  journalEntry: ReadEntry
  /** `ready: false` while projections are replaying or behind, each reason in one sentence. */
  readiness(): { ready: boolean; reasons: string[] }
  /** The program's own registry, never the global one. */
  metrics: Registry
  /** The built page; left out, `/` says how to build it. */
  web?: WebFiles
  version: string
  /** Hours after its end from which a row counts as final. */
  lateHoursMax: number
  now(): Date
  access: Access
  log: { warn(o: object, m: string): void; error(o: object, m: string): void }
}

export interface Access {
  /** What requests from beyond this machine show. */
  token?: string
  /** Where given, only these may write, and their credential says who they are. */
  gateways?: readonly GatewayCredential[]
  /** Names in the Host header that are ours besides loopback names; a page of another name may not read through a rebound address. */
  hosts: readonly string[]
}
