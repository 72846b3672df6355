/**
 * What came besides readings: the ledger of files, rejects, and ranges that a gateway lost; and which entries of the
 * journal the rows of a series came with. One DuckDB file of its own,
 * rebuilt from the journal at any time.
 *
 * - Rows and cursor are one transaction; entries up to the cursor are passed over: applying twice changes nothing.
 * - A ledger line replaces the one of the same gateway, source, file and generation that came before it in the journal.
 * - Rejects and losses are kept for ever, as the journal would give them again. A reject's id is `<journal seq>.<index>`.
 */
import { stat } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { type DuckDBConnection, DuckDBInstance, type DuckDBValue } from '@duckdb/node-api'
import { EXIT, type LedgerLine, type Origin, type Reject, UserError } from '@penstock/frame'
import type { JournalEntry, Projector } from '../projector.ts'
import {
  appendFrames,
  type FramePlace,
  framesSql,
  type LineageQuery,
  lineageTables,
  seriesText,
} from './records/lineage.ts'

/** The file cannot be read, or has another layout: it is to be deleted and made again from the journal. */
export class RecordsDamagedError extends Error {
  override name = 'RecordsDamagedError'
  readonly file: string
  constructor(file: string, why: string, options?: ErrorOptions) {
    super(`${file} ${why}: it is to be built again from the journal`, options)
    this.file = file
  }
}

export interface StoredLedgerLine extends LedgerLine {
  /** null for a plain device. */
  gateway: string | null
  journalSeq: number
  receivedMs: number
}
export interface StoredReject {
  /** `<journal seq>.<index>`. */
  id: string
  gateway: string | null
  receivedMs: number
  origin: Origin
  reason: string
  text: string
  at?: string
}
export interface StoredLoss {
  gateway: string | null
  epoch: string | null
  from: number
  through: number
  reason: string
  journalSeq: number
  receivedMs: number
}

export interface RejectQuery {
  gateway?: string
  source?: string
  file?: string
  /** Older than this one. */
  before?: { seq: number; index: number }
  limit: number
}
export interface LedgerQuery {
  gateway?: string
  source?: string
  file?: string
  offset: number
  limit: number
}

export interface Records extends Projector {
  /** Frames of the journal that may hold the row of this series and time, latest first. */
  framesAt(query: LineageQuery): Promise<FramePlace[]>
  /** Newest first. */
  rejects(query: RejectQuery): Promise<StoredReject[]>
  /** Latest change first. */
  ledger(query: LedgerQuery): Promise<StoredLedgerLine[]>
  /** Latest first. */
  losses(query: { gateway?: string; offset: number; limit: number }): Promise<StoredLoss[]>
  /** Lines of the ledger that the filter names, summed up. */
  ledgerTotals(query: Omit<LedgerQuery, 'offset' | 'limit'>): Promise<{
    files: number
    rowsRead: number
    rowsStored: number
    rowsRejected: number
  }>
  /**
   * Keeps rows that a historian refused, as rejects of the source of its name. What is there already is not kept twice; a
   * rebuild of the records forgets them until that historian is rebuilt.
   */
  refuse(source: string, rejects: readonly { reason: string; text: string }[], seq: number, atMs: number): Promise<void>
  totals(): Promise<{ rejects: number; ledgerLines: number; losses: number; lostEntries: number }>
  close(): Promise<void>
}

const layout = 2
const schema = `
  create table if not exists meta (layout integer not null, cursor bigint not null);
  create table if not exists ledger (
    gateway varchar not null, source varchar not null, file varchar not null, generation bigint not null,
    seq bigint not null, received_ms bigint not null,
    rows_read bigint not null, rows_stored bigint not null, rows_rejected bigint not null, bytes bigint not null,
    first_time varchar, last_time varchar, complete boolean not null,
    primary key (gateway, source, file, generation));
  create table if not exists rejects (
    seq bigint not null, idx integer not null, received_ms bigint not null, gateway varchar not null,
    source varchar not null, file varchar, origin varchar not null, reason varchar not null, text varchar not null, read_at varchar);
  create table if not exists losses (
    seq bigint not null, received_ms bigint not null, gateway varchar not null, epoch varchar,
    from_seq bigint not null, through_seq bigint not null, reason varchar not null);
  ${lineageTables}
`

/**
 * @param file path of the DuckDB file; made where it does not exist
 * @throws RecordsDamagedError, or UserError where another process holds the file
 */
export const openRecords = async (file: string, options: { memoryMbMax?: number } = {}): Promise<Records> => {
  const store = await openStore(file, options.memoryMbMax ?? 64)
  let { db, write, read } = store
  let cursor = store.cursor
  /** Appends and reads may overlap; appends among themselves may not. */
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work, work)
    last = result.catch(() => undefined)
    return result
  }
  const reopen = async (): Promise<void> => {
    db.closeSync()
    const again = await openStore(file, options.memoryMbMax ?? 64)
    ;({ db, write, read } = again)
    cursor = again.cursor
  }

  const apply = async (entries: readonly JournalEntry[]): Promise<void> => {
    const fresh = entries.filter(entry => entry.seq > cursor)
    const seq = fresh.at(-1)?.seq
    if (seq === undefined) return
    try {
      await write.run('begin')
      await appendRejects(write, fresh)
      await appendLosses(write, fresh)
      await replaceLedger(write, fresh)
      await appendFrames(write, fresh)
      await write.run('update meta set cursor = $1', [BigInt(seq)])
      await write.run('commit')
    } catch (error) {
      // DuckDB gives up the whole database after a failed write to disk; what was committed is there when it is opened again.
      await write.run('rollback').catch(reopen)
      throw error
    }
    cursor = seq
  }

  const all = async (sql: string, values: DuckDBValue[]): Promise<Row[]> =>
    (await read.runAndReadAll(sql, values)).getRowObjectsJS() as Row[]

  return {
    name: 'records',
    cursor: async () => cursor,
    apply: entries => inTurn(() => apply(entries)),
    refuse: (source, rejects, seq, atMs) =>
      inTurn(async () => {
        for (const reject of rejects) await insertRefused(write, source, reject, { seq, atMs })
      }),
    async framesAt({ timeNs, limit, ...series }) {
      return (await all(framesSql(limit), [seriesText(series), timeNs, timeNs])).map(toFramePlace)
    },
    async rejects(query) {
      const where = filter([
        ['gateway = ?', query.gateway],
        ['source = ?', query.source],
        ['file = ?', query.file],
        ['(seq < ? or (seq = ? and idx < ?))', ...(query.before ? beforeValues(query.before) : [undefined])],
      ])
      const rows = await all(
        `select * from rejects ${where.sql} order by seq desc, idx desc limit ${query.limit}`,
        where.values,
      )
      return rows.map(toReject)
    },
    async ledger(query) {
      const where = ledgerFilter(query)
      const page = `order by seq desc, source, file, generation desc limit ${query.limit} offset ${query.offset}`
      return (await all(`select * from ledger ${where.sql} ${page}`, where.values)).map(toLedgerLine)
    },
    async ledgerTotals(query) {
      const where = ledgerFilter(query)
      const sums = `count(*) as files, coalesce(sum(rows_read), 0)::bigint as read,
        coalesce(sum(rows_stored), 0)::bigint as stored, coalesce(sum(rows_rejected), 0)::bigint as rejected`
      const row = (await all(`select ${sums} from ledger ${where.sql}`, where.values))[0] ?? {}
      return {
        files: num(row.files),
        rowsRead: num(row.read),
        rowsStored: num(row.stored),
        rowsRejected: num(row.rejected),
      }
    },
    async losses(query) {
      const where = filter([['gateway = ?', query.gateway]])
      const page = `order by seq desc limit ${query.limit} offset ${query.offset}`
      return (await all(`select * from losses ${where.sql} ${page}`, where.values)).map(toLoss)
    },
    async totals() {
      const sql = `select (select count(*) from rejects) as rejects, (select count(*) from ledger) as ledger_lines,
        count(*) as losses, coalesce(sum(through_seq - from_seq + 1), 0)::bigint as lost from losses`
      const row = (await all(sql, []))[0] ?? {}
      return {
        rejects: num(row.rejects),
        ledgerLines: num(row.ledger_lines),
        losses: num(row.losses),
        lostEntries: num(row.lost),
      }
    },
    close: () =>
      inTurn(async () => {
        write.closeSync()
        read.closeSync()
        db.closeSync()
      }),
  }
}

const openStore = async (file: string, memoryMbMax: number) => {
  const before = await stat(file).catch(() => undefined)
  let db: DuckDBInstance | undefined
  try {
    db = await DuckDBInstance.create(file, {
      threads: '1',
      memory_limit: `${memoryMbMax}MB`,
      autoinstall_known_extensions: 'false',
    })
    const write = await db.connect()
    await write.run(schema)
    const rows = (await write.runAndReadAll('select layout, cursor from meta')).getRowObjectsJS()
    if (rows.length === 0) await write.run('insert into meta values ($1, 0)', [layout])
    const cursor = num(rows[0]?.cursor)
    if (rows[0] && num(rows[0].layout) !== layout) {
      throw new Error(`has layout ${num(rows[0].layout)}, this program writes ${layout}`)
    }
    return { db, write, read: await db.connect(), cursor }
  } catch (cause) {
    db?.closeSync()
    const message = cause instanceof Error ? cause.message : String(cause)
    if (/conflicting lock|already open/i.test(message)) {
      throw new UserError(`${file} is in use by another process: stop that one first`, EXIT.locked, { cause })
    }
    if (before === undefined) throw cause
    throw new RecordsDamagedError(file, message.startsWith('has layout') ? message : 'cannot be read', { cause })
  }
}

type Row = Record<string, unknown>
const num = (value: unknown): number => Number(value ?? 0)
const text = (value: unknown): string => (typeof value === 'string' ? value : '')
const gatewayOf = (value: unknown): string | null => (text(value) === '' ? null : text(value))

const filter = (terms: [sql: string, ...values: (DuckDBValue | undefined)[]][]) => {
  const used = terms.filter(([, ...values]) => values.every(v => v !== undefined))
  return {
    sql: used.length === 0 ? '' : `where ${used.map(([sql]) => sql).join(' and ')}`,
    values: used.flatMap(([, ...values]) => values as DuckDBValue[]),
  }
}
const beforeValues = ({ seq, index }: { seq: number; index: number }) => [BigInt(seq), BigInt(seq), index]
const ledgerFilter = (query: { gateway?: string; source?: string; file?: string }) =>
  filter([
    ['gateway = ?', query.gateway],
    ['source = ?', query.source],
    ['file = ?', query.file],
  ])

const appendRejects = async (write: DuckDBConnection, entries: readonly JournalEntry[]): Promise<void> => {
  if (entries.every(entry => entry.rejects.length === 0)) return
  const appender = await write.createAppender('rejects')
  const textOrNull = (value: string | undefined) =>
    value === undefined ? appender.appendNull() : appender.appendVarchar(value)
  for (const entry of entries) {
    entry.rejects.forEach((reject, index) => {
      appender.appendBigInt(BigInt(entry.seq))
      appender.appendInteger(index)
      appender.appendBigInt(BigInt(entry.receivedMs))
      appender.appendVarchar(entry.gateway ?? '')
      appender.appendVarchar(reject.origin.source)
      textOrNull(reject.origin.file)
      appender.appendVarchar(JSON.stringify(reject.origin))
      appender.appendVarchar(reject.reason)
      appender.appendVarchar(reject.text)
      textOrNull(reject.at)
      appender.endRow()
    })
  }
  appender.closeSync()
}

/** Numbered far behind the entry's own rejects, by their text, so that the number is the same every time. */
const insertRefused = async (
  write: DuckDBConnection,
  source: string,
  { reason, text }: { reason: string; text: string },
  { seq, atMs }: { seq: number; atMs: number },
): Promise<void> => {
  const index = 2 ** 30 + (crc32(`${reason}\n${text}`) & (2 ** 30 - 1))
  const origin = JSON.stringify({ source })
  await write.run(
    `insert into rejects select $1, $2, $3, '', $4, null, $5, $6, $7, null
     where not exists (select 1 from rejects where source = $4 and gateway = '' and text = $7 and reason = $6)`,
    [BigInt(seq), index, BigInt(atMs), source, origin, reason, text],
  )
}

const appendLosses = async (write: DuckDBConnection, entries: readonly JournalEntry[]): Promise<void> => {
  for (const { seq, receivedMs, gateway, epoch, loss } of entries) {
    if (!loss) continue
    await write.run('insert into losses values ($1, $2, $3, $4, $5, $6, $7)', [
      BigInt(seq),
      BigInt(receivedMs),
      gateway ?? '',
      epoch ?? null,
      BigInt(loss.from),
      BigInt(loss.through),
      loss.reason,
    ])
  }
}

const replaceLedger = async (write: DuckDBConnection, entries: readonly JournalEntry[]): Promise<void> => {
  const latest = new Map<string, { entry: JournalEntry; line: LedgerLine }>()
  for (const entry of entries) {
    for (const line of entry.ledger) {
      latest.set(JSON.stringify([entry.gateway, line.source, line.file, line.generation]), { entry, line })
    }
  }
  if (latest.size === 0) return
  const insert = await write.prepare(
    'insert or replace into ledger values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)',
  )
  try {
    for (const { entry, line } of latest.values()) {
      const { gateway = '', seq, receivedMs } = entry
      insert.bind([
        ...[gateway, line.source, line.file, BigInt(line.generation), BigInt(seq), BigInt(receivedMs)],
        ...[line.rowsRead, line.rowsStored, line.rowsRejected, line.bytes].map(BigInt),
        ...[line.firstTime ?? null, line.lastTime ?? null, line.complete],
      ])
      await insert.run()
    }
  } finally {
    insert.destroySync()
  }
}

const toReject = (row: Row): StoredReject => ({
  id: `${num(row.seq)}.${num(row.idx)}`,
  gateway: gatewayOf(row.gateway),
  receivedMs: num(row.received_ms),
  origin: JSON.parse(text(row.origin)) as Reject['origin'],
  reason: text(row.reason),
  text: text(row.text),
  ...(typeof row.read_at === 'string' && { at: row.read_at }),
})

const toLedgerLine = (row: Row): StoredLedgerLine => ({
  gateway: gatewayOf(row.gateway),
  source: text(row.source),
  file: text(row.file),
  generation: num(row.generation),
  rowsRead: num(row.rows_read),
  rowsStored: num(row.rows_stored),
  rowsRejected: num(row.rows_rejected),
  bytes: num(row.bytes),
  ...(typeof row.first_time === 'string' && { firstTime: row.first_time }),
  ...(typeof row.last_time === 'string' && { lastTime: row.last_time }),
  complete: row.complete === true,
  journalSeq: num(row.seq),
  receivedMs: num(row.received_ms),
})

const toFramePlace = (row: Row): FramePlace => ({
  journalSeq: num(row.seq),
  index: num(row.idx),
  receivedMs: num(row.received_ms),
  gateway: gatewayOf(row.gateway),
  source: gatewayOf(row.source),
  file: gatewayOf(row.file),
})

const toLoss = (row: Row): StoredLoss => ({
  gateway: gatewayOf(row.gateway),
  epoch: gatewayOf(row.epoch),
  from: num(row.from_seq),
  through: num(row.through_seq),
  reason: text(row.reason),
  journalSeq: num(row.seq),
  receivedMs: num(row.received_ms),
})
