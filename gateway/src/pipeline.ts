/**
 * The whole gateway in one line: source → spool. The rows of a batch and the cursor behind them become durable in one
 * append, so that whatever is killed, a row is in the spool once or will be read again.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Envelope, emptyEnvelope, encodeEnvelope, type Frame, LIMITS } from '@penstock/frame'
import type { Log } from '@penstock/log'
import type { Batch, Cursor, Source } from './source.ts'

export interface PipelineOptions {
  source: Source
  spool: Log
  retryMsMax: number
  /** Gives up an append that waits (the spool is full), and any later one: for a source that did not stop in time. */
  withdraw?: AbortSignal
  /** Told of each batch when it is durable, and of the bytes that it took in the spool. */
  onBatch?(source: Source, batch: Batch, bytes: number): void
  /** Told why the source is started again. */
  onFailure?(source: Source, error: unknown): void
}

const prefixOf = (source: Source) => `source/${source.id}/`

/** Runs a source until the signal aborts or the source has no more; starts it again, with backoff, where the world fails it. */
export const runSource = async (options: PipelineOptions, signal: AbortSignal): Promise<void> => {
  const { source, spool, retryMsMax, withdraw, onBatch, onFailure } = options
  for (let waitMs = 250; !signal.aborted; waitMs = Math.min(waitMs * 2, retryMsMax)) {
    try {
      for await (const batch of source.batches(resumeOf(source, spool), signal)) {
        withdraw?.throwIfAborted()
        const bodies = encodeBatch(batch)
        await spool.append(bodies, prefixed(source, batch.cursor), withdraw)
        onBatch?.(
          source,
          batch,
          bodies.reduce((sum, body) => sum + body.length, 0),
        )
        waitMs = 250
      }
      return
    } catch (error) {
      if (signal.aborted) return
      onFailure?.(source, error)
      await sleep(waitMs, undefined, { signal }).catch(() => {})
    }
  }
}

const resumeOf = (source: Source, spool: Log): Cursor => {
  const prefix = prefixOf(source)
  const cursor: Record<string, Cursor[string]> = {}
  for (const key of spool.stateKeys(prefix)) cursor[key.slice(prefix.length)] = spool.state(key) as Cursor[string]
  return cursor
}

const prefixed = (source: Source, cursor: Cursor): Record<string, unknown> =>
  Object.fromEntries(Object.entries(cursor).map(([key, value]) => [prefixOf(source) + key, value]))

/** The bodies of a batch: one envelope, or several where one would break a limit of the wire. None where it holds nothing. */
export const encodeBatch = (batch: Pick<Batch, 'frames' | 'rejects' | 'ledger'>): Uint8Array[] => {
  const { frames, rejects, ledger } = batch
  if (frames.length + rejects.length + ledger.length === 0) return []
  const rows = frames.reduce((sum, frame) => sum + frame.offsetsNs.length, 0)
  const within =
    rows <= LIMITS.rowsPerEnvelopeMax &&
    frames.length <= LIMITS.framesPerEnvelopeMax &&
    rejects.length <= LIMITS.rejectsPerEnvelopeMax &&
    ledger.length <= LIMITS.ledgerLinesPerEnvelopeMax
  if (within) {
    const body = encodeEnvelope({ frames, rejects, ledger })
    if (body.length <= LIMITS.envelopeBytesMax) return [body]
  }
  return halves({ frames, rejects, ledger }).flatMap(encodeBatch)
}

/** Cuts an envelope in two, in order: ledger lines stay behind the rows that they count. */
const halves = (envelope: Envelope): [Envelope, Envelope] => {
  const { frames, rejects, ledger } = envelope
  if (frames.length + rejects.length + ledger.length > 1) {
    const cut = (n: number) => Math.ceil(n / 2)
    if (frames.length > 1) {
      const at = cut(frames.length)
      return [
        { ...emptyEnvelope(), frames: frames.slice(0, at) },
        { frames: frames.slice(at), rejects, ledger },
      ]
    }
    if (frames.length === 1)
      return [
        { ...emptyEnvelope(), frames },
        { frames: [], rejects, ledger },
      ]
    if (rejects.length > 1) {
      const at = cut(rejects.length)
      return [
        { ...emptyEnvelope(), rejects: rejects.slice(0, at) },
        { frames: [], rejects: rejects.slice(at), ledger },
      ]
    }
    const at = cut(ledger.length)
    return [
      { frames: [], rejects, ledger: ledger.slice(0, at) },
      { ...emptyEnvelope(), ledger: ledger.slice(at) },
    ]
  }
  const [frame] = frames
  const rows = frame?.offsetsNs.length ?? 0
  if (!frame || rows < 2) {
    throw new Error(
      `one row of ${frame?.site}/${frame?.device}/${frame?.stream} exceeds ${LIMITS.envelopeBytesMax} bytes`,
    )
  }
  const middle = Math.floor(rows / 2)
  return [
    { ...emptyEnvelope(), frames: [rowsOf(frame, 0, middle)] },
    { ...emptyEnvelope(), frames: [rowsOf(frame, middle, rows)] },
  ]
}

const rowsOf = (frame: Frame, from: number, to: number): Frame => ({
  ...frame,
  offsetsNs: frame.offsetsNs.slice(from, to),
  columns: frame.columns.map(column => ({
    ...column,
    values: Array.prototype.slice.call(column.values, from, to),
  })) as Frame['columns'],
})
