/**
 * The projections' files, and when one of them is set aside and built again: it is damaged, of an older layout, made from
 * another journal, or ahead of the journal (which was put back from an older copy).
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LogStats } from '@penstock/log'
import type { Historian } from './historian.ts'
import type { HistorianConfig } from './historian-config.ts'
import { openInflux } from './historians/influx.ts'
import { LakeDamagedError, openLake } from './historians/lake.ts'
import { openRecords, type Records, RecordsDamagedError } from './projectors/records.ts'

export interface StoreOptions {
  dataDir: string
  historians: readonly HistorianConfig[]
  journal: LogStats
  memoryMiBMax: number
  /** ms since the epoch. */
  now(): number
  log: { info(o: object, m: string): void; warn(o: object, m: string): void }
}
export interface Stores {
  /** In the order of the configuration; the first answers. */
  historians: { kind: HistorianConfig['kind']; historian: Historian }[]
  records: Records
}

export const lakeFile = (dataDir: string): string => join(dataDir, 'lake.duckdb')
export const recordsFile = (dataDir: string): string => join(dataDir, 'records.duckdb')

/** Opens the records and the historians; files that cannot be used are set aside and begun anew. */
export const openStores = async (options: StoreOptions): Promise<Stores> => {
  const { dataDir, historians, journal, now, log } = options
  const records = await openOrBegin({
    file: recordsFile(dataDir),
    open: () => openRecordsOf(journal.epoch, recordsFile(dataDir)),
    isDamage: error => error instanceof RecordsDamagedError,
    cursors: async r => [await r.cursor()],
    last: journal.nextSeq - 1,
    log,
  })
  const stores: Stores = { historians: [], records }
  try {
    for (const config of historians) {
      const historian =
        config.kind === 'lake'
          ? await openLakeOf(options)
          : await openInflux({
              ...config,
              journal: { epoch: journal.epoch, last: journal.nextSeq - 1 },
              onRejects: (rejects, seq) => records.refuse('influx', rejects, seq, now()),
              log,
            })
      stores.historians.push({ kind: config.kind, historian })
    }
    return stores
  } catch (error) {
    await Promise.allSettled([...stores.historians.map(({ historian }) => historian.close()), records.close()])
    throw error
  }
}

const openLakeOf = ({ dataDir, journal, memoryMiBMax, log }: StoreOptions): Promise<Historian> =>
  openOrBegin({
    file: lakeFile(dataDir),
    open: () => openLake({ file: lakeFile(dataDir), memoryMiBMax, threads: 2, journal: journal.epoch, log }),
    isDamage: error => error instanceof LakeDamagedError,
    cursors: h => Promise.all([h.cursor(), h.aggregatesCursor()]),
    last: journal.nextSeq - 1,
    log,
  })

/** The records of one journal: its epoch stands in a file beside them. */
const openRecordsOf = async (epoch: string, file: string): Promise<Records> => {
  const note = `${file}.journal`
  const noted = await readFile(note, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  const records = await openRecords(file)
  if (noted !== epoch && (await records.cursor()) > 0) {
    await records.close?.()
    throw new RecordsDamagedError(file, 'is made from another journal')
  }
  if (noted !== epoch) await writeFile(note, epoch)
  return records
}

interface Openable<T> {
  file: string
  open(): Promise<T>
  isDamage(error: unknown): boolean
  cursors(store: T): Promise<number[]>
  /** The journal's last entry. */
  last: number
  log: StoreOptions['log']
}

const openOrBegin = async <T extends { close?(): Promise<void> }>(store: Openable<T>): Promise<T> => {
  const { file, open, isDamage, cursors, last, log } = store
  const beginAnew = async (reason: string) => {
    log.warn({ file, aside: await setAside(file), reason }, 'a projection is built again from the journal')
    return open()
  }
  let opened: T
  try {
    opened = await open()
  } catch (error) {
    if (!isDamage(error)) throw error
    return beginAnew((error as Error).message)
  }
  const ahead = (await cursors(opened)).find(cursor => cursor > last)
  if (ahead === undefined) return opened
  await opened.close?.()
  return beginAnew(`it has applied entry ${ahead}, but the journal ends at ${last}`)
}

/** Moves a store and its write-ahead log out of the way; the copy set aside before it is replaced, so that disks do not fill. */
export const setAside = async (file: string): Promise<string> => {
  const aside = `${file}.set-aside`
  for (const suffix of ['', '.wal']) {
    await rm(aside + suffix, { force: true })
    await rename(file + suffix, aside + suffix).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
  }
  return aside
}

/** For `rebuild`: what is named begins anew with the next run. A historian goes with its aggregates. */
export const deleteProjections = async (what: readonly string[], options: StoreOptions): Promise<void> => {
  const { dataDir, historians, journal, log } = options
  if (what.includes('historian')) {
    await deleteStore(lakeFile(dataDir))
    for (const config of historians) {
      if (config.kind !== 'influx') continue
      const influx = await openInflux({ ...config, journal: { epoch: journal.epoch, last: journal.nextSeq - 1 }, log })
      await influx.clear()
    }
  } else if (what.includes('rollup')) {
    const stores = await openStores(options)
    for (const { historian } of stores.historians) {
      await historian.clearAggregates()
      await historian.close()
    }
    await stores.records.close()
  }
  if (what.includes('records')) await deleteStore(recordsFile(dataDir))
}

const deleteStore = async (file: string): Promise<void> => {
  for (const suffix of ['', '.wal', '.tmp', '.set-aside', '.set-aside.wal']) {
    await rm(file + suffix, { force: true, recursive: true })
  }
}
