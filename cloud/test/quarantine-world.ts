/** The API over a real journal, records and a historian, filled by files as a gateway would read them. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDecoder, formatSchema, recipeOf } from '@penstock/formats'
import { encodeEnvelope, type Frame, type Reject } from '@penstock/frame'
import { openLog } from '@penstock/log'
import { decodeEntry } from '../src/entry.ts'
import type { Historian } from '../src/historian.ts'
import { createIngest, type Ingest } from '../src/ingest.ts'
import { createHistorianProjector } from '../src/projectors/historian.ts'
import { openRecords } from '../src/projectors/records.ts'
import { createRollupProjector } from '../src/projectors/rollup.ts'
import { createWorld } from './app-world.ts'

const quiet = { warn() {}, error() {}, info() {} }

export interface FileRead {
  source?: string
  file?: string
  text: string
  format: object
  /** How an older gateway sent them. */
  withoutRecipe?: boolean
}

export const openQuarantineWorld = async (historian: Historian) => {
  const dir = await mkdtemp(join(tmpdir(), 'penstock-quarantine-'))
  const journal = await openLog(join(dir, 'journal'))
  const now = () => new Date('2024-07-02T12:00:00Z')
  let records = await openRecords(join(dir, 'records.duckdb'))
  const ingest = createIngest({ journal, now, queueBytesMax: 1 << 22, log: quiet })
  /** Projections stand still, as after a kill. */
  let halted = false
  const world = createWorld()
  const { sites } = world.deps
  const rollup = createRollupProjector({ historian, sites, now, log: quiet })
  const projectors = [createHistorianProjector(historian, { log: quiet }), rollup]

  const entriesAfter = async (after: number) => {
    const last = journal.stats().nextSeq - 1
    const entries = []
    const stop = new AbortController()
    if (after >= last) return []
    for await (const entry of journal.read(after, stop.signal)) {
      entries.push(decodeEntry(entry.seq, entry.body))
      if (entry.seq === last) break
    }
    return entries
  }
  const drain = async (): Promise<void> => {
    if (halted) return
    await records.apply(await entriesAfter(await records.cursor()))
    for (const projector of projectors) {
      const entries = await entriesAfter(await projector.cursor())
      if (entries.length > 0) await projector.apply(entries)
    }
    await rollup.settle()
  }
  const draining =
    <A extends unknown[], R>(work: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      const result = await work(...args)
      await drain()
      return result
    }
  const writes: Pick<Ingest, 'replay' | 'dismiss'> = {
    replay: draining(ingest.replay),
    dismiss: draining(ingest.dismiss),
  }
  const app = createWorld({
    deps: {
      ...{ historian, sites },
      records: new Proxy({} as typeof records, { get: (_, key) => records[key as keyof typeof records] }),
      writes: { ...world.deps.writes, ...writes },
    },
  })

  let seq = 0
  /** As a gateway reads a file and sends it. */
  const readFile = async ({
    source = 'doors',
    file = 'counts-2024-07-01.csv',
    text,
    format,
    withoutRecipe,
  }: FileRead) => {
    const options = formatSchema.parse(format)
    const place = { site: 'London', device: '1', stream: 'count', zone: 'Europe/London' }
    const decoder = createDecoder(options, {
      ...{ ...place, source, file, generation: 1, frameRowsMax: 1000, recordBytesMax: 65_536 },
    })
    const bytes = Buffer.from(text)
    const { frames, rejects, rowsRead, rowsRejected } = decoder.push(bytes, true)
    const recipe = recipeOf(options, place, bytes.subarray(0, decoder.checkpoint().headBytes))
    const sent: Reject[] = withoutRecipe || !recipe ? rejects : rejects.map(reject => ({ ...reject, recipe }))
    const line = {
      ...{ source, file, generation: 1, rowsRead, rowsStored: rowsRead - rowsRejected, rowsRejected },
      ...{ bytes: bytes.length, complete: true },
    }
    seq++
    await ingest.frames('shop', 'e', seq, encodeEnvelope({ frames, rejects: sent, ledger: [line] }))
    await drain()
  }
  const post = async (path: string, body: unknown, init: RequestInit = {}) => {
    const response = await app.request(path, {
      ...{ method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) },
      headers: { 'content-type': 'application/json' },
      ...init,
    })
    return { status: response.status, body: (await response.json()) as unknown }
  }
  const stored = async (): Promise<Frame[]> => {
    const frames: Frame[] = []
    for (const { site, device, stream } of await historian.streams()) {
      const query = { site, device, stream, fromNs: 0n, toNs: 2n ** 62n }
      for await (const frame of historian.read(query)) frames.push(frame)
    }
    return frames
  }
  return {
    ...{ app, readFile, post, stored, journal, ingest, rollup },
    drain,
    halt: (on: boolean) => {
      halted = on
    },
    async rebuildRecords() {
      await records.close()
      await rm(join(dir, 'records.duckdb'))
      await rm(join(dir, 'records.duckdb.wal'), { force: true })
      records = await openRecords(join(dir, 'records.duckdb'))
      await drain()
    },
    async close() {
      await rollup.close()
      await ingest.close()
      await journal.close()
      await records.close()
      await historian.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
}
