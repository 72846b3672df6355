/** Runs a source as the pipeline does, with a spool and a cloud that the test holds in its hands. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Column, formatNs, type LedgerLine, rowNs } from '@penstock/frame'
import type { Batch, Cursor, Receipts, Source, SourceDeps } from '../src/source.ts'

/** What outlives a killed source: the cursor and all that was appended with it. */
export interface Durable {
  cursor: Record<string, Cursor[string]>
  batches: Batch[]
}
export const newDurable = (): Durable => ({ cursor: {}, batches: [] })

export const append = (durable: Durable, batch: Batch): void => {
  // As the spool does: what it keeps is JSON, and a null deletes a key.
  for (const [key, value] of Object.entries(batch.cursor)) {
    if (value === null) delete durable.cursor[key]
    else durable.cursor[key] = JSON.parse(JSON.stringify(value))
  }
  durable.batches.push(batch)
}

/** A cloud that stores up to `through`; raise it to give receipts. */
export const newCloud = (durable: Durable) => {
  let through = 0
  const waiting: { seq: number; resolve(): void }[] = []
  const receipts: Receipts = {
    lastSeq: () => durable.batches.length,
    stored: (seq, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error))
        if (seq <= through) resolve()
        else waiting.push({ seq, resolve })
      }),
  }
  const store = (to = durable.batches.length) => {
    through = to
    for (const { seq, resolve } of waiting) if (seq <= through) resolve()
  }
  return { receipts, store }
}

export const newDeps = (receipts: Receipts): SourceDeps & { said: string[] } => {
  const said: string[] = []
  const say = (o: object, m: string) => said.push(`${m} ${JSON.stringify(o)}`)
  return { now: () => new Date(), receipts, log: { info: say, warn: say }, said }
}

/** A running source. `kill` abandons it at its last batch, `stop` ends it. */
export const start = (source: Source, durable: Durable) => {
  const stop = new AbortController()
  let killed = false
  const done = (async () => {
    for await (const batch of source.batches({ ...durable.cursor }, stop.signal)) {
      if (killed) return
      append(durable, batch)
    }
  })()
  done.catch(() => {})
  return {
    async stop() {
      stop.abort()
      await done
    },
    async kill() {
      killed = true
      stop.abort()
      await done
    },
    done,
  }
}

/** Waits for a condition; fails with what was seen when it does not come. */
export const until = async <T>(look: () => T | Promise<T>, ok: (seen: T) => boolean, msMax = 10_000): Promise<T> => {
  const end = Date.now() + msMax
  for (;;) {
    const seen = await look()
    if (ok(seen)) return seen
    if (Date.now() > end) throw new Error(`waited ${msMax} ms in vain; last seen: ${JSON.stringify(seen)}`)
    await sleep(5)
  }
}

export interface Row {
  series: string
  time: string
  values: Record<string, unknown>
}
/** All rows in the order in which they became durable. */
export const rowsOf = (durable: Durable): Row[] =>
  durable.batches.flatMap(batch =>
    batch.frames.flatMap(frame =>
      Array.from(frame.offsetsNs, (_, i) => ({
        series: `${frame.site}/${frame.device}/${frame.stream}`,
        time: formatNs(rowNs(frame, i)),
        values: Object.fromEntries(frame.columns.map(column => [column.name, valueAt(column, i)])),
      })),
    ),
  )
const valueAt = (column: Column, i: number): unknown => {
  const value = column.values[i]
  return typeof value === 'number' && Number.isNaN(value) ? null : value
}
export const countOf = (durable: Durable): number =>
  durable.batches.reduce((n, b) => b.frames.reduce((m, frame) => m + frame.offsetsNs.length, n), 0)
/** One column of all rows. */
export const valuesOf = (durable: Durable, name: string): unknown[] =>
  durable.batches.flatMap(batch =>
    batch.frames.flatMap(frame => {
      const column = frame.columns.find(c => c.name === name)
      return Array.from(frame.offsetsNs, (_, i) => column && valueAt(column, i))
    }),
  )

/** The ledger as the cloud keeps it: the last line of each file and generation. */
export const ledgerOf = (durable: Durable): Map<string, LedgerLine> => {
  const lines = new Map<string, LedgerLine>()
  for (const line of durable.batches.flatMap(b => b.ledger)) lines.set(`${line.file}#${line.generation}`, line)
  return lines
}

export const tempFolder = async () => {
  const path = await mkdtemp(join(tmpdir(), 'penstock-gateway-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}
