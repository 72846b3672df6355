/** One DuckDB file: a writer, a few readers, and whose fault it is when it does not open. */
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import {
  type DuckDBConnection,
  DuckDBInstance,
  type DuckDBMaterializedResult,
  type DuckDBValue,
} from '@duckdb/node-api'
import { EXIT, UserError } from '@penstock/frame'

/**
 * The lake's file is damaged, of another layout, or belongs to another journal. Nothing is lost: set the file aside and
 * open a new one, which the journal fills again.
 */
export class LakeDamagedError extends Error {
  override name = 'LakeDamagedError'
  readonly file: string
  constructor(file: string, reason: string, options?: ErrorOptions) {
    super(`the lake ${file} ${reason}; set it aside, and it is built again from the journal`, options)
    this.file = file
  }
}

export interface DatabaseOptions {
  file: string
  /** What DuckDB may hold in memory; above it, sorts go to `<file>.tmp`. */
  memoryMiBMax: number
  threads: number
}

export interface Database {
  /** For whoever writes; one transaction at a time. */
  readonly writer: DuckDBConnection
  /** Runs a query on a free reader; waits while all are busy. */
  query(sql: string, values?: DuckDBValue[]): Promise<DuckDBMaterializedResult>
  rows(sql: string, values?: DuckDBValue[]): Promise<DuckDBValue[][]>
  /** Runs `work` alone in a transaction of the writer: all of it becomes durable, or nothing. */
  transaction<T>(work: (writer: DuckDBConnection) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** DuckDB's calls occupy threads of libuv's pool (4), which the journal's syncs need as well: writer + 2 readers leave it one. */
const readersMax = 2
/** The write-ahead log is folded into the file when it has grown to this, at a commit. */
const walMiBMax = 32

export const openDatabase = async ({ file, memoryMiBMax, threads }: DatabaseOptions): Promise<Database> => {
  await mkdir(dirname(file), { recursive: true })
  let instance: DuckDBInstance
  try {
    instance = await DuckDBInstance.create(file, {
      memory_limit: `${memoryMiBMax}MiB`,
      threads: String(threads),
      temp_directory: `${file}.tmp`,
      checkpoint_threshold: `${walMiBMax}MiB`,
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    })
  } catch (error) {
    throw openError(file, error)
  }
  const connect = () => instance.connect()
  const writer = await connect()
  const readers = await Promise.all(Array.from({ length: readersMax }, connect))
  const lease = createLease(readers)
  const explain = (error: unknown): unknown => runError(file, error)

  let last: Promise<unknown> = Promise.resolve()
  const transaction = <T>(work: (writer: DuckDBConnection) => Promise<T>): Promise<T> => {
    const mine = last.then(async () => {
      try {
        await writer.run('begin')
        const result = await work(writer)
        await writer.run('commit')
        return result
      } catch (error) {
        // A failed commit has rolled back by itself; then there is nothing to roll back.
        await writer.run('rollback').catch(() => {})
        throw explain(error)
      }
    })
    last = mine.catch(() => {})
    return mine
  }

  const query = async (sql: string, values?: DuckDBValue[]): Promise<DuckDBMaterializedResult> => {
    const reader = await lease.take()
    try {
      return await reader.run(sql, values)
    } catch (error) {
      throw explain(error)
    } finally {
      lease.give(reader)
    }
  }

  return {
    writer,
    query,
    rows: async (sql, values) => (await query(sql, values)).getRows(),
    transaction,
    async close() {
      await last
      for (const _ of readers) await lease.take()
      for (const connection of [...readers, writer]) connection.closeSync()
      instance.closeSync()
    },
  }
}

const createLease = <T>(items: readonly T[]) => {
  const free = [...items]
  const waiting: ((item: T) => void)[] = []
  return {
    take: (): Promise<T> => {
      const item = free.pop()
      return item !== undefined ? Promise.resolve(item) : new Promise(resolve => waiting.push(resolve))
    },
    give: (item: T): void => {
      const next = waiting.shift()
      if (next) next(item)
      else free.push(item)
    },
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? ''

const openError = (file: string, cause: unknown): Error => {
  const text = textOf(cause)
  if (/could not set lock/i.test(text)) {
    const holder = /PID (\d+)/.exec(text)?.[1]
    const by = holder ? ` by process ${holder}` : ' by another process'
    return new UserError(`the lake ${file} is in use${by}: stop it first`, EXIT.locked, { cause })
  }
  if (/permission denied|is a directory|no such file|no space left|read-only file/i.test(text)) {
    return new UserError(`the lake ${file} cannot be opened: ${text}`, EXIT.unavailable, { cause })
  }
  return new LakeDamagedError(file, `does not open (${text})`, { cause })
}

/** What DuckDB says once it has given up on a file. */
const damaged = /database has been invalidated|corrupt|checksum|FATAL Error|Serialization Error|INTERNAL Error/i
const runError = (file: string, cause: unknown): unknown =>
  cause instanceof Error && damaged.test(cause.message)
    ? new LakeDamagedError(file, `is damaged (${textOf(cause)})`, { cause })
    : cause
