/**
 * `preview`: what the sources of a configuration would bring, read without storing. Files are read by themselves, never
 * through a source: nothing is moved, no cursor is kept. Live sources are listened to for a few seconds.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { nearestName } from '@penstock/config'
import { EXIT } from '@penstock/frame'
import type { Command, CommandLine } from '@penstock/program'
import { type GatewayConfig, loadGatewayConfig, openSource, type SourceOptions } from '../config.ts'
import type { FoundFile } from '../glob.ts'
import { readSample, type SampleReport, type SampleStream, zoneShown } from '../sample.ts'
import { createSampleCollector, type SampleCollector, type SampleTotals } from '../sample-collector.ts'
import type { Batch, Receipts, Source } from '../source.ts'
import { type FileSource, filesOf, isFileSource } from '../source-files.ts'
import { createProgress } from '../terminal/progress.ts'
import { bytesText, countText, rejectLines, streamsLines, totalsText } from '../terminal/sample-text.ts'
import { renderTable, type TableColumn, wrapText } from '../terminal/table.ts'
import { withTimeLimit } from '../time-limit.ts'
import { fileProblem, openFile, operandsOf, wholeNumber, wrongCall } from './call.ts'

const usage = `penstock-gateway preview <config> [source]: what the sources would bring, read without storing

  --rows <n>      so many first rows are shown of each stream (5)
  --files <n>     so many files are read of each source, the latest ones (all)
  --seconds <n>   so long live sources are listened to (5)
  --json          all of it as JSON, for scripts

No file is moved, changed or remembered, and the spool is not touched: it may run beside a gateway, though a serial port
is had by one program only. Live sources do what they would do: they send their commands and polls.
Exit codes: 0 everything could be read · 1 a folder, a file or a port could not · 2 wrong call · 3 configuration`

const limits = {
  rowsMax: 1000,
  filesMax: 1_000_000,
  secondsMax: 3600,
  /** A live source has so long to end. */
  endMsMax: 3000,
  rejectsMax: 100,
  streamsShownMax: 5,
  filesShownMax: 20,
}

const stuck = 'it did not end when it was told to'

interface FileLine {
  file: string
  bytes: number
  rows: number
  rejected: number
  firstTime?: string
  lastTime?: string
  /** Bytes at the end that are no whole record yet. */
  waiting?: number
  problem?: string
}
export interface SourcePreview extends SampleTotals {
  id: string
  kind: string
  zone: string
  /** Of sources of files, the latest changed last. */
  files?: FileLine[]
  /** Of sources of files. */
  bytesRead?: number
  ms: number
  /** What could not be had, in plain words. */
  problems: string[]
}

const run = async (line: CommandLine): Promise<void> => {
  const [file = '', id] = operandsOf(line, 1, 2, 'a configuration file and, if you like, the id of a source')
  const rowsMax = wholeNumber(line, 'rows', 5, 1, limits.rowsMax)
  const filesMax = wholeNumber(line, 'files', limits.filesMax, 1, limits.filesMax)
  const seconds = wholeNumber(line, 'seconds', 5, 1, limits.secondsMax)
  const sources = chosen(line, await loadGatewayConfig(file, line.env), id)
  // All live sources at once, while files are read: nobody waits for one after the other.
  const live = sources.filter(source => !isFileSource(source))
  const heard = Promise.all(live.map(source => listen(line, source, seconds * 1000, rowsMax)))
  heard.catch(() => {})
  const read: SourcePreview[] = []
  for (const source of sources) if (isFileSource(source)) read.push(await readFiles(line, source, rowsMax, filesMax))
  const previews = [...read, ...(await withCountdown(line, heard, live.length, seconds))]
  const inOrder = sources.flatMap(source => previews.filter(preview => preview.id === source.id))
  if (line.options.json) line.print(JSON.stringify({ config: file, sources: inOrder }, null, 2))
  else line.print(inOrder.map(preview => previewLines(preview, line.terminal.columns).join('\n')).join('\n\n'))
  if (inOrder.some(({ problems }) => problems.length > 0)) process.exitCode = EXIT.failure
  // What such a source holds open would keep the program from ending.
  if (inOrder.some(({ problems }) => problems.includes(stuck))) line.terminal.stdout.write('', () => process.exit())
}

export const previewCommand: Command = {
  run,
  usage,
  options: { rows: 'string', files: 'string', seconds: 'string', json: 'boolean' },
}

const chosen = (line: CommandLine, { sources }: GatewayConfig, id: string | undefined): SourceOptions[] => {
  if (id === undefined) return sources
  const found = sources.filter(source => source.id === id)
  if (found.length > 0) return found
  const ids = sources.map(source => source.id)
  const near = nearestName(id, ids)
  throw wrongCall(
    line,
    `there is no source "${id}"; ${near ? `did you mean "${near}"?` : `there are ${ids.join(', ')}`}`,
  )
}

const readFiles = async (
  line: CommandLine,
  source: FileSource,
  rowsMax: number,
  filesMax: number,
): Promise<SourcePreview> => {
  const began = performance.now()
  const found = await filesOf(source)
  const files = found.files.slice(-filesMax)
  const progress = createProgress(source.id, line.terminal, () => performance.now())
  const together = createSampleCollector({ rowsMax, rejectsMax: limits.rejectsMax }, site =>
    zoneShown(source.format, site, source.zone),
  )
  const lines: FileLine[] = []
  const bytes = files.reduce((sum, { size }) => sum + size, 0)
  let bytesRead = 0
  try {
    for (const one of files) {
      const at = bytesRead
      const report = await readOne(line, source, one, together, read => progress.at(at + read, bytes))
      lines.push(fileLine(one, report))
      bytesRead += typeof report === 'string' ? 0 : report.bytesRead
    }
  } finally {
    progress.end()
  }
  const problems = [
    ...found.problems,
    ...(found.files.length === 0 && found.problems.length === 0 ? [noFiles(source)] : []),
    ...lines.flatMap(({ file, problem }) => (problem === undefined ? [] : [`${file}: ${problem}`])),
  ]
  const { id, kind, zone } = source
  const ms = Math.round(performance.now() - began)
  return { id, kind, zone, files: lines, ...together.result(), bytesRead, problems, ms }
}

const noFiles = ({ folder, pattern }: FileSource): string =>
  `no file of ${folder} matches ${[pattern].flat().join(', ')} yet`

/** A file's report, or why it could not be read. */
const readOne = async (
  line: CommandLine,
  source: FileSource,
  { path }: FoundFile,
  also: SampleCollector,
  at: (read: number) => void,
): Promise<SampleReport | string> => {
  line.signal.throwIfAborted()
  let opened: Awaited<ReturnType<typeof openFile>>
  try {
    opened = await openFile(join(source.folder, path))
  } catch (error) {
    return fileProblem((error as Error).cause)
  }
  try {
    return await readSample({
      name: path,
      file: opened.file,
      format: source.format,
      site: source.site,
      device: source.device ?? source.id,
      stream: source.stream,
      zone: source.zone,
      rowsMax: 0,
      rejectsMax: 0,
      also,
      recordBytesMax: source.recordBytesMax,
      // The last line of a file that grows waits for its end.
      ...(source.kind === 'tail' && source.finishMs === undefined && { last: false }),
      signal: line.signal,
      onProgress: at,
    })
  } finally {
    await opened.close()
  }
}

const fileLine = ({ path, size }: FoundFile, report: SampleReport | string): FileLine => {
  const counts = { file: path, bytes: size, rows: 0, rejected: 0 }
  if (typeof report === 'string') return { ...counts, problem: report }
  const { rowsRead: rows, rowsRejected: rejected, streams, bytes, bytesRead } = report
  const waiting = bytes > bytesRead ? { waiting: bytes - bytesRead } : {}
  return { ...counts, rows, rejected, ...spanOf(streams), ...waiting }
}

const spanOf = (streams: readonly SampleStream[]): { firstTime?: string; lastTime?: string } => {
  const first = streams.flatMap(({ firstTime }) => firstTime ?? []).toSorted()[0]
  const last = streams
    .flatMap(({ lastTime }) => lastTime ?? [])
    .toSorted()
    .at(-1)
  return { ...(first !== undefined && { firstTime: first }), ...(last !== undefined && { lastTime: last }) }
}

/** What a live source brings in so long. Its receipts never come: nothing is taken for stored. */
const listen = async (
  line: CommandLine,
  options: SourceOptions,
  msMax: number,
  rowsMax: number,
): Promise<SourcePreview> => {
  const began = performance.now()
  const zone = 'zone' in options && typeof options.zone === 'string' ? options.zone : 'UTC'
  const collector = createSampleCollector({ rowsMax, rejectsMax: limits.rejectsMax }, () => zone)
  const problems: string[] = []
  const warned = (_: object, message: string) => void problems.push(message)
  const receipts: Receipts = { lastSeq: () => 0, stored: (_, s) => never(s) }
  const deps = { now: () => new Date(), receipts, log: { info() {}, warn: warned } }
  const source = openSource(onlookerOf(options), deps)
  const heard = withTimeLimit(line.signal, msMax, signal => hear(source, signal, collector.take))
  const inTime = await Promise.race([heard.then(problem => problem ?? ''), late(msMax + limits.endMsMax)])
  if (inTime === undefined) problems.push(stuck)
  else if (inTime !== '') problems.push(inTime)
  const { health, message } = source.health()
  const totals = collector.result()
  if (health === 'failing' && message !== undefined) problems.push(message)
  if (totals.rowsRead === 0 && problems.length === 0) problems.push(`nothing came within ${msMax / 1000} s`)
  const ms = Math.round(performance.now() - began)
  return { id: options.id, kind: options.kind, zone, ...totals, problems: [...new Set(problems)], ms }
}

/** Under the name of the source the broker would end the session of a gateway that runs, and take its messages for read. */
const onlookerOf = (options: SourceOptions): SourceOptions =>
  options.kind === 'mqtt' ? { ...options, clientId: `penstock-preview-${randomUUID()}`, clean: true } : options

/** Gives all batches on until the signal aborts; resolves with why it failed before, if it did. */
const hear = async (source: Source, signal: AbortSignal, take: (batch: Batch) => void): Promise<string | undefined> => {
  try {
    for await (const batch of source.batches({}, signal)) {
      take(batch)
      if (signal.aborted) return undefined
    }
    return undefined
  } catch (error) {
    return signal.aborted ? undefined : (error as Error).message
  }
}

const late = (ms: number): Promise<undefined> => sleep(ms, undefined, { ref: false })

const never = (signal: AbortSignal): Promise<void> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })

/** Waits for the live sources, with what is left of the time on a terminal. */
const withCountdown = async (
  line: CommandLine,
  heard: Promise<SourcePreview[]>,
  count: number,
  seconds: number,
): Promise<SourcePreview[]> => {
  if (count === 0) return heard
  const began = performance.now()
  const progress = createProgress(`listening to ${countText(count, 'live source')}`, line.terminal, () =>
    performance.now(),
  )
  const timer = setInterval(() => progress.at(performance.now() - began, seconds * 1000), 200)
  return await heard.finally(() => {
    clearInterval(timer)
    progress.end()
  })
}

const previewLines = (preview: SourcePreview, width: number | undefined): string[] => {
  const { id, kind, files, streams, rejects, rowsRejected, problems } = preview
  const what = files ? `${countText(files.length, 'file')}, ${bytesText(sum(files.map(({ bytes }) => bytes)))}: ` : ''
  return [
    ...wrapText(`${id} (${kind}): ${what}${totalsText(preview)}`, width, '  '),
    ...problems.flatMap(problem => wrapText(`! ${problem}`, width, '  ')),
    ...waitingLines(files ?? [], width),
    ...filesTable(files ?? [], width),
    ...streamsLines(streams, limits.streamsShownMax, width),
    ...(rejects.length > 0 ? ['', 'rejected:', ...rejectLines(rejects, rowsRejected, id, width)] : []),
  ]
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0)

const waitingLines = (files: readonly FileLine[], width: number | undefined): string[] => {
  const open = files.filter(({ waiting }) => waiting !== undefined)
  const [first] = open
  if (!first) return []
  const others = open.length > 1 ? ` and of ${open.length - 1} more` : ''
  const text = `the last ${bytesText(first.waiting ?? 0)} of ${first.file}${others} wait for more of the file`
  return wrapText(`· ${text}; finishMs reads them when the file rests`, width, '  ')
}

const filesTable = (files: readonly FileLine[], width: number | undefined): string[] => {
  if (files.length < 2) return []
  const shown = files.slice(-limits.filesShownMax)
  const rows = shown.map(({ file, bytes, rows, rejected, firstTime = '–', lastTime = '–' }) => [
    file,
    bytesText(bytes),
    String(rows),
    String(rejected),
    firstTime,
    lastTime,
  ])
  const columns: TableColumn[] = [
    { title: 'file', charsMin: 16 },
    { title: 'size', align: 'right' },
    { title: 'rows', align: 'right' },
    { title: 'rejected', align: 'right', charsMin: 8 },
    { title: 'first', charsMin: 10 },
    { title: 'last', charsMin: 10 },
  ]
  const more = files.length - shown.length
  return [...renderTable(columns, rows, width), ...(more > 0 ? [`and ${countText(more, 'older file')}`] : [])]
}
