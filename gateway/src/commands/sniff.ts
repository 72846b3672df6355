/** `sniff`: what a file is, how its rows would be stored, and the source that reads it. */
import { basename, dirname, resolve } from 'node:path'
import { writeYaml } from '@penstock/config'
import type { Proposal } from '@penstock/formats'
import { EXIT, UserError } from '@penstock/frame'
import type { Command, CommandLine } from '@penstock/program'
import { readSample, type SampleReport, type SampleRequest, sourceId, sourceYaml } from '../sample.ts'
import { createProgress } from '../terminal/progress.ts'
import { bytesText, findingLines, rejectLines, streamsLines, totalsText } from '../terminal/sample-text.ts'
import { folderIn, machineZone, openFile, operandsOf, textOption, wholeNumber, zoneOption } from './call.ts'
import { appendSource } from './config-file.ts'

const usage = `penstock-gateway sniff <file>: what a file is, how its rows would be stored, and the source that reads it

  --zone <zone>     IANA zone of its local times, e.g. Asia/Tokyo (else what the file says, else this machine's)
  --rows <n>        so many first rows are shown (5)
  --id <id>         id of the source (else from the file's name)
  --all             the other proposals too
  --write <config>  puts the source at the end of a configuration file, whose comments stay
  --json            all of it as JSON, for scripts

Nothing is stored, and the file stays as it is. At most its first 64 MiB are read. COLUMNS bounds the width where the
output is no terminal. Exit codes: 0 a format was found · 1 none was · 2 wrong call · 3 the configuration of --write ·
5 a file cannot be had`

const limits = { readBytesMax: 64 * 1024 * 1024, rejectsMax: 100, rowsMax: 1000, streamsShownMax: 5 }

const run = async (line: CommandLine): Promise<void> => {
  const [path = ''] = operandsOf(line, 1, 1, 'one file')
  const rowsMax = wholeNumber(line, 'rows', 5, 1, limits.rowsMax)
  const zone = zoneOption(line)
  const config = textOption(line, 'write')
  const { file, close } = await openFile(path)
  try {
    const request: SampleRequest = {
      name: basename(path),
      file,
      site: 'site',
      device: sourceId(path),
      stream: 'readings',
      zone: zone ?? machineZone(),
      zoneIsGiven: zone !== undefined,
      folder: config === undefined ? resolve(dirname(path)) : folderIn(dirname(config), dirname(path)),
      rowsMax,
      rejectsMax: limits.rejectsMax,
      readBytesMax: limits.readBytesMax,
      signal: line.signal,
    }
    const report = await readWithProgress(line, path, request)
    const { source: found, remarks = [] } = report
    if (!found) throw new UserError(`${path}: ${await nothingFits(request, report.reason)}`, EXIT.failure)
    const source = { ...found, id: textOption(line, 'id') ?? found.id }
    // Before anything is printed: what is shown as written was written.
    if (config !== undefined) await appendSource(config, source, remarks)
    const whole = { ...report, source, yaml: sourceYaml(source, remarks) }
    if (line.options.json) return line.print(JSON.stringify({ file: path, ...whole }, null, 2))
    line.print(reportText(line, path, whole).join('\n'))
    if (config !== undefined) line.print(`\nwrote the source "${source.id}" to ${config}`)
  } finally {
    await close()
  }
}

export const sniffCommand: Command = {
  run,
  usage,
  options: { zone: 'string', rows: 'string', id: 'string', all: 'boolean', write: 'string', json: 'boolean' },
}

/** Reads a sample, with a bar on the terminal where it takes long. */
const readWithProgress = async (line: CommandLine, path: string, request: SampleRequest): Promise<SampleReport> => {
  const progress = createProgress(path, line.terminal, () => performance.now())
  return await readSample({ ...request, onProgress: progress.at }).finally(progress.end)
}

const nothingFits = async ({ file }: SampleRequest, reason = 'no format was found that reads it'): Promise<string> => {
  if (file.size === 0) return reason
  const head = await file.read(0, 16)
  const bytes = [...head].map(byte => byte.toString(16).padStart(2, '0')).join(' ')
  return `${reason}; it begins with the bytes ${bytes}`
}

const reportText = (line: CommandLine, path: string, report: SampleReport): string[] => {
  const { columns } = line.terminal
  const { proposals, streams, rejects, rowsRejected, bytes, bytesRead } = report
  const [best, ...others] = proposals
  const cut = bytesRead < bytes ? `; read up to ${bytesText(bytesRead)}` : ''
  return [
    `${path} (${bytesText(bytes)}${cut})`,
    ...(best ? findingLines(best, columns) : []),
    '',
    totalsText(report),
    ...streamsLines(streams, limits.streamsShownMax, columns),
    ...(rejects.length > 0 ? ['', 'rejected:', ...rejectLines(rejects, rowsRejected, path, columns)] : []),
    '',
    'the source that reads it:',
    '',
    (report.yaml ?? '').trimEnd(),
    ...otherLines(line, others, columns),
  ]
}

const otherLines = (line: CommandLine, others: Proposal[], width: number | undefined): string[] => {
  if (others.length === 0) return []
  if (!line.options.all) return ['', `--all shows ${others.length} more, less likely`]
  return others.flatMap(other => {
    const yaml = writeYaml({ format: other.format }, other.doubts)
    return ['', 'or:', ...findingLines(other, width), '', yaml.trimEnd()]
  })
}
