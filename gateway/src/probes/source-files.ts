/** A source of files against the real folder: is it there, what matches, does the format read it, can it be moved. */
import { open, readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { wholeFileKinds } from '@penstock/formats'
import { parseIsoNs } from '@penstock/frame'
import { bytesOf } from '../file-reader.ts'
import type { FoundFile } from '../glob.ts'
import { createLockProbe } from '../lock-probe.ts'
import { readSample, type SampleReport } from '../sample.ts'
import { type FileSource, filesOf } from '../source-files.ts'
import { bytesText, countText } from '../terminal/sample-text.ts'
import { diskOf, whyNotWritable } from './disk.ts'
import { type Finding, fail, note, ok, warn } from './finding.ts'

export interface FilesProbeDeps {
  nowMs(): number
  platform: NodeJS.Platform
  signal: AbortSignal
}

const limits = { readBytesMax: 64 * 1024, wholeBytesMax: 64 * 1024 * 1024, filesTriedMax: 3, namesShownMax: 3 }
/** A share of rejects beyond this looks like a wrong format rather than like bad rows. */
const rejectShareMax = 0.2
const aheadMsMax = 10 * 60_000

export const probeFiles = async (source: FileSource, deps: FilesProbeDeps): Promise<Finding[]> => {
  const { id, folder } = source
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => error.code ?? 'unknown')
  if (typeof names === 'string') return [folderFinding(source, names)]
  const { files, problems } = await filesOf(source)
  const bytes = files.reduce((sum, { size }) => sum + size, 0)
  const found =
    files.length === 0
      ? [nothingMatches(source, names)]
      : [ok(id, `${countText(files.length, 'file')} of ${folder}, ${bytesText(bytes)}`)]
  return [
    ...found,
    ...problems.map(problem => warn(id, problem, 'narrow `pattern`, or give the gateway access')),
    ...(await Promise.all(files.slice(-limits.filesTriedMax).map(file => tryFile(source, file, deps)))).flat(),
    ...(await shareFinding(source, deps)),
    ...(await moveFindings(source)),
  ]
}

const folderFinding = ({ id, folder }: FileSource, code: string): Finding => {
  if (code === 'ENOENT') {
    return warn(id, `the folder ${folder} does not exist; the gateway waits for it`, 'make it, or correct `folder`')
  }
  if (code === 'ENOTDIR') return fail(id, `${folder} is no folder`, 'give a folder; `pattern` names files in it')
  if (code === 'EACCES' || code === 'EPERM') {
    return fail(id, `the folder ${folder} may not be read`, 'give the user of the gateway the right to read it')
  }
  return fail(id, `the folder ${folder} cannot be read (${code})`, 'correct `folder`')
}

const nothingMatches = ({ id, folder, pattern }: FileSource, names: string[]): Finding => {
  const patterns = [pattern].flat().join(', ')
  const text = `no file of ${folder} matches ${patterns} yet`
  if (names.length === 0) return note(id, `${text}: it is empty`)
  const some = names.slice(0, limits.namesShownMax).join(', ')
  const more = names.length > limits.namesShownMax ? ', …' : ''
  return warn(id, `${text}; it holds ${some}${more}`, 'correct `pattern`, where one of these should be read')
}

const tryFile = async (source: FileSource, { path, key }: FoundFile, deps: FilesProbeDeps): Promise<Finding[]> => {
  const { id, folder } = source
  let report: SampleReport
  try {
    report = await headOf(source, join(folder, path), path, deps)
  } catch (error) {
    deps.signal.throwIfAborted()
    const { code, message } = error as NodeJS.ErrnoException
    const remedy = code === 'EBUSY' ? 'its program keeps it for itself; it is read when it is let go' : 'give access'
    return [warn(id, `${path} cannot be read (${code ?? message})`, remedy)]
  }
  const writer = (await createLockProbe(deps.platform).writers(new Map([[key, join(folder, path)]]))).get(key)
  const written = writer === undefined ? [] : [note(id, `${path} is being written by ${writer}`)]
  return [...written, formatFinding(source, path, report), ...timeFindings(source, path, report, deps.nowMs())]
}

const headOf = async (
  source: FileSource,
  file: string,
  name: string,
  { signal, nowMs }: FilesProbeDeps,
): Promise<SampleReport> => {
  const handle = await open(file)
  try {
    const { size } = await handle.stat()
    const isWhole = wholeFileKinds.has(source.format.kind)
    return await readSample({
      name,
      file: bytesOf(handle, size),
      format: source.format,
      site: source.site,
      device: source.device ?? source.id,
      stream: source.stream,
      zone: source.zone,
      rowsMax: 1,
      rejectsMax: 1,
      readBytesMax: isWhole ? limits.wholeBytesMax : limits.readBytesMax,
      // A line that is cut by the limit, or still being written, is no reject.
      ...(!isWhole && source.kind === 'tail' && source.finishMs === undefined && { last: false }),
      recordBytesMax: source.recordBytesMax,
      nowMs: nowMs(),
      signal,
    })
  } finally {
    await handle.close()
  }
}

const formatFinding = ({ id, format }: FileSource, path: string, report: SampleReport): Finding => {
  const { rowsRead, rowsRejected, rejects, bytes, bytesRead } = report
  const head =
    bytesRead === bytes
      ? path
      : bytes <= limits.readBytesMax
        ? `${path} without its last ${bytesText(bytes - bytesRead)}, which wait for more`
        : `the first ${bytesText(bytesRead)} of ${path}`
  const [first] = rejects
  const line = first?.origin.firstLine
  const why = first ? `; the first${line === undefined ? '' : ` in line ${line}`}: ${first.reason}` : ''
  const sniff = '"penstock-gateway sniff" on this file finds the format'
  if (rowsRead === 0) {
    if (bytes === 0) return note(id, `${path} is empty`)
    if (bytesRead < bytes && bytes <= limits.readBytesMax) {
      const remedy = 'set finishMs, so that they are read when the file rests, or use kind: drop'
      return warn(id, `${path}: no row yet, ${bytesText(bytes - bytesRead)} wait for more of the file`, remedy)
    }
    return warn(id, `${head}: ${format.kind} finds no row in it`, `where there are some, ${sniff}`)
  }
  if (rowsRejected === rowsRead) {
    return fail(id, `${head}: none of ${countText(rowsRead, 'row')} can be read${why}`, sniff)
  }
  if (rowsRejected > rejectShareMax * rowsRead) {
    return warn(id, `${head}: ${rowsRejected} of ${countText(rowsRead, 'row')} are rejected${why}`, sniff)
  }
  const rejected = rowsRejected === 0 ? 'none rejected' : `${rowsRejected} rejected${why}`
  return ok(id, `${head}: ${countText(rowsRead, 'row')}, ${rejected}`)
}

/** Rows from the future speak of a wrong zone, a swapped day and month, or a wrong clock. */
const timeFindings = (source: FileSource, path: string, { streams }: SampleReport, nowMs: number): Finding[] => {
  const last = streams
    .flatMap(({ lastTime }) => lastTime ?? [])
    .toSorted()
    .at(-1)
  const lastMs = last === undefined ? undefined : Number((parseIsoNs(last) ?? 0n) / 1_000_000n)
  if (last === undefined || lastMs === undefined || lastMs <= nowMs + aheadMsMax) return []
  const remedy = `is ${source.zone} the zone of its times, and the clock of this machine right?`
  return [warn(source.id, `${path} has rows from the future: ${last}`, remedy)]
}

export const shareFinding = async (
  { id, folder, pollMsMax }: FileSource,
  deps: Pick<FilesProbeDeps, 'platform'>,
): Promise<Finding[]> => {
  const disk = await diskOf(folder, deps.platform).catch(() => undefined)
  if (disk?.share === undefined) return []
  const text = `${folder} is a network share (${disk.share}): changes there bring no events, it is looked at every ${pollMsMax} ms`
  return [note(id, text, 'raise `pollMsMax` where the share is slow')]
}

/** A drop moves what it has read: within the folder and into two others. */
const moveFindings = async (source: FileSource): Promise<Finding[]> => {
  if (source.kind !== 'drop') return []
  const { id, folder, doneFolder, failedFolder } = source
  const folders = [folder, resolve(folder, doneFolder), resolve(folder, failedFolder)]
  const found = await Promise.all(
    folders.map(async path => {
      const why = await whyNotWritable(path)
      if (why === undefined) return []
      const text = `files that were read cannot be moved: ${path} may not be written (${why})`
      return [fail(id, text, 'give the user of the gateway the right to write, or read the files with kind: tail')]
    }),
  )
  return found.flat()
}
