/**
 * The projections' files, and when one of them is set aside and built again: it is damaged, of an older layout, made from
 * another journal, or ahead of the journal (which was put back from an older copy).
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LogStats } from '@penstock/log'
import type { Historian } from './historian.ts'
import { LakeDamagedError, openLake } from './historians/lake.ts'
import { openRecords, type Records, RecordsDamagedError } from './projectors/records.ts'

export interface StoreOptions {
  dataDir: string
  journal: LogStats
  memoryMiBMax: number
  log: { info(o: object, m: string): void; warn(o: object, m: string): void }
}
export interface Stores {
  historian: Historian
  records: Records
}

export const lakeFile = (dataDir: string): string => join(dataDir, 'lake.duckdb')
export const recordsFile = (dataDir: string): string => join(dataDir, 'records.duckdb')

/** Opens the lake and the records; what cannot be used is set aside and begun anew. */
export const openStores = async ({ dataDir, journal, memoryMiBMax, log }: StoreOptions): Promise<Stores> => {
  const last = journal.nextSeq - 1
  const historian = await openOrBegin({
    file: lakeFile(dataDir),
    open: () => openLake({ file: lakeFile(dataDir), memoryMiBMax, threads: 2, journal: journal.epoch, log }),
    isDamage: error => error instanceof LakeDamagedError,
    cursors: h => Promise.all([h.cursor(), h.aggregatesCursor()]),
    last,
    log,
  })
  try {
    const records = await openOrBegin({
      file: recordsFile(dataDir),
      open: () => openRecordsOf(journal.epoch, recordsFile(dataDir)),
      isDamage: error => error instanceof RecordsDamagedError,
      cursors: async r => [await r.cursor()],
      last,
      log,
    })
    return { historian, records }
  } catch (error) {
    await historian.close()
    throw error
  }
}

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

/** Deletes a store, for `rebuild`. */
export const deleteStore = async (file: string): Promise<void> => {
  for (const suffix of ['', '.wal', '.tmp', '.set-aside', '.set-aside.wal']) {
    await rm(file + suffix, { force: true, recursive: true })
  }
}
