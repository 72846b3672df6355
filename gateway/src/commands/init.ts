/** `init`: a first configuration that is right from the start; with a sample file, one that reads it. */
import { mkdir, readdir, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { nearestName, parseConfig, type Remark, writeYaml } from '@penstock/config'
import { EXIT, isZone, type Json, UserError } from '@penstock/frame'
import type { Command, CommandLine } from '@penstock/program'
import { gatewayConfigSchema } from '../config.ts'
import { readSample, type SourceEntry, sourceId } from '../sample.ts'
import { countText } from '../terminal/sample-text.ts'
import { fileProblem, folderIn, machineZone, openFile, operandsOf, textOption, zoneOption } from './call.ts'
import { writeWhole } from './config-file.ts'

const usage = `penstock-gateway init [folder]: writes a first configuration, <folder>/gateway.yaml

  --sample <file>   a file as the instrument writes it: the source that reads it is found
  --watch <folder>  the folder in which such files appear (that of the sample; else "inbox" beside the configuration)
  --name <name>     unique name of the gateway (the machine's)
  --zone <zone>     IANA zone of local times (the machine's)
  --cloud <url>     mqtt://…, mqtts://…, http://… or https://… (mqtt://127.0.0.1:1883)
  --yes             asks nothing, also on a terminal
  --json            what was written as JSON, for scripts

On a terminal it asks for what is not given. A file that is there is never overwritten. What it writes passes
"check --offline". Exit codes: 0 written · 1 the sample was not understood · 2 wrong call · 5 it cannot be written`

interface Wishes {
  name: string
  zone: string
  cloud: string
  watch: string | undefined
  sample: string | undefined
}

const sampleBytesMax = 64 * 1024 * 1024
const askedAgainMax = 5

const run = async (line: CommandLine): Promise<void> => {
  const [folder = '.'] = operandsOf(line, 0, 1, 'a folder, or none for this one')
  const path = join(folder, 'gateway.yaml')
  if (await stat(path).catch(() => undefined)) throw isThere(path)
  const wishes = await wishesOf(line)
  const source = await sourceFor(line, wishes, path)
  const text = configText(wishes, source)
  // Whatever was asked for: what is written is read.
  parseConfig(text, path, gatewayConfigSchema)
  try {
    await mkdir(folder, { recursive: true })
    await writeWhole(path, text)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw isThere(path)
    throw new UserError(`${path}: cannot be written: ${fileProblem(error)}`, EXIT.unavailable, { cause: error })
  }
  if (line.options.json)
    return line.print(JSON.stringify({ config: path, source: source.entry, told: source.told }, null, 2))
  line.print([`wrote ${path}`, ...source.told, ...nextSteps(path)].join('\n'))
}

export const initCommand: Command = {
  run,
  usage,
  options: {
    sample: 'string',
    watch: 'string',
    name: 'string',
    zone: 'string',
    cloud: 'string',
    yes: 'boolean',
    json: 'boolean',
  },
}

const isThere = (path: string) =>
  new UserError(`${path}: is there already, and is not overwritten; give another folder`, EXIT.unavailable)

const nextSteps = (path: string): string[] => [
  '',
  `penstock-gateway preview ${path}   shows what it reads, without storing`,
  `penstock-gateway check ${path}     proves it against files, ports and cloud`,
  `penstock-gateway run ${path}       runs it`,
]

/** Problem of an answer, in a few words; `undefined` where it is right. */
type Judge = (text: string) => string | undefined

const judges = {
  name: (text =>
    gatewayConfigSchema.shape.gateway.safeParse(text).error?.issues[0]?.message ??
    (/[/+#]/.test(text) ? 'holds one of / + #' : undefined)) satisfies Judge,
  zone: (text => {
    if (isZone(text)) return undefined
    const near = nearestName(text, Intl.supportedValuesOf('timeZone'))
    return near ? `is no IANA time zone; did you mean ${near}?` : 'is no IANA time zone such as Europe/Paris'
  }) satisfies Judge,
  cloud: (text =>
    /^(mqtts?|wss?|https?):\/\/[^\s/@]+(\/[^\s@]*)?$/.test(text)
      ? undefined
      : 'is no address such as mqtts://cloud.example:8883 or https://cloud.example, without user and password') satisfies Judge,
}

const wishesOf = async (line: CommandLine): Promise<Wishes> => {
  const zone = zoneOption(line)
  const given = {
    name: textOption(line, 'name'),
    zone,
    cloud: textOption(line, 'cloud'),
    watch: textOption(line, 'watch'),
    sample: textOption(line, 'sample'),
  }
  const usual = { name: machineName(), zone: machineZone(), cloud: 'mqtt://127.0.0.1:1883' }
  for (const key of ['name', 'cloud'] as const) {
    const problem = given[key] === undefined ? undefined : judges[key](given[key])
    if (problem !== undefined) throw new UserError(`--${key}: "${given[key]}" ${problem}`, EXIT.usage)
  }
  const { stdin, stderr } = line.terminal
  const asks = stdin.isTTY && stderr.isTTY && !line.options.yes && !line.options.json
  if (!asks)
    return { ...given, name: given.name ?? usual.name, zone: zone ?? usual.zone, cloud: given.cloud ?? usual.cloud }
  const questions = openQuestions(line)
  try {
    const { ask } = questions
    return {
      name: given.name ?? (await ask('name of this gateway', usual.name, judges.name)),
      zone: zone ?? (await ask('zone of local times', usual.zone, judges.zone)),
      cloud: given.cloud ?? (await ask('address of the cloud', usual.cloud, judges.cloud)),
      sample: given.sample,
      watch:
        given.watch ??
        (given.sample === undefined ? await ask('folder to watch', 'inbox', () => undefined) : undefined),
    }
  } finally {
    questions.close()
  }
}

const machineName = (): string =>
  hostname()
    .split('.')[0]
    ?.replace(/[^\p{L}\p{N}_-]+/gu, '-') || 'gateway'

/** Asks on the terminal; an answer that is not right is asked for again. */
const openQuestions = ({ signal, terminal: { stdin, stderr } }: CommandLine) => {
  const lines = createInterface({ input: stdin, output: stderr })
  const ended = new AbortController()
  lines.once('close', () => ended.abort())
  // In its raw mode the terminal sends no signal by itself.
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  const ask = async (what: string, usual: string, judge: Judge): Promise<string> => {
    for (let tries = 0; tries < askedAgainMax; tries++) {
      const answer = await lines
        .question(`${what} [${usual}]: `, { signal: AbortSignal.any([signal, ended.signal]) })
        .catch(error => {
          signal.throwIfAborted()
          throw new UserError('init: the input ended before all was asked', EXIT.usage, { cause: error })
        })
      const text = answer.trim() || usual
      const problem = judge(text)
      if (problem === undefined) return text
      stderr.write(`  "${text}" ${problem}\n`)
    }
    throw new UserError(`init: no usable answer for "${what}"`, EXIT.usage)
  }
  return { ask, close: () => lines.close() }
}

interface Found {
  entry: SourceEntry
  remarks: Remark[]
  /** To the person, beside what is written. */
  told: string[]
}

/** The source that reads the sample, or the latest file of the watched folder; else one to be filled in. */
const sourceFor = async (line: CommandLine, wishes: Wishes, config: string): Promise<Found> => {
  const { sample, watch } = wishes
  if (sample !== undefined) return await sniffed(line, wishes, sample, watch ?? dirname(sample), config, true)
  const latest = watch === undefined ? undefined : await latestFile(resolve(dirname(config), watch))
  if (watch !== undefined && latest !== undefined) return await sniffed(line, wishes, latest, watch, config, false)
  return unknownSource(watch ?? 'inbox', 'The folder holds no file yet')
}

const sniffed = async (
  line: CommandLine,
  { zone }: Wishes,
  sample: string,
  watch: string,
  config: string,
  isGiven: boolean,
): Promise<Found> => {
  const { file, close } = await openFile(sample)
  try {
    const folder = folderIn(dirname(config), isGiven ? resolve(watch) : resolve(dirname(config), watch))
    const request = {
      name: basename(sample),
      file,
      site: 'site',
      device: sourceId(sample),
      stream: 'readings',
      zone,
      zoneIsGiven: line.options.zone !== undefined,
      folder,
      rowsMax: 1,
      rejectsMax: 1,
      readBytesMax: sampleBytesMax,
      signal: line.signal,
    }
    const { source, remarks = [], reason, rowsRead, rowsRejected } = await readSample(request)
    if (source) {
      const told = `${sample}: ${countText(rowsRead, 'row')}, ${rowsRejected} rejected; ${doubtsText(remarks.length)}`
      return { entry: source, remarks, told: [told] }
    }
    const why = `${sample}: ${reason ?? 'no format was found that reads it'}`
    if (isGiven) throw new UserError(why, EXIT.failure)
    return unknownSource(folder, why)
  } finally {
    await close()
  }
}

const doubtsText = (count: number): string =>
  count === 0 ? 'no doubt is left' : `${countText(count, 'doubt')}, as comments in the file`

/** A source whose format is still to be found. */
const unknownSource = (folder: string, why: string): Found => ({
  entry: {
    id: 'files',
    kind: 'tail',
    folder,
    pattern: '*.csv',
    format: { kind: 'csv', time: { column: 1, layout: 'iso' } },
  },
  remarks: [
    {
      path: ['format'],
      text: `${why}: this is only an example, a table with ISO times in its first column. Take the source out and run: penstock-gateway sniff <file> --write gateway.yaml`,
    },
  ],
  told: [`${why}: the source "files" is an example; "penstock-gateway sniff <file>" finds the right one`],
})

/** The newest file of a folder, or `undefined`. */
const latestFile = async (folder: string): Promise<string | undefined> => {
  const names = (await readdir(folder).catch(() => [])).filter(name => !name.startsWith('.'))
  let latest: { path: string; mtimeMs: number } | undefined
  for (const name of names) {
    const path = join(folder, name)
    const stats = await stat(path).catch(() => undefined)
    if (stats?.isFile() && stats.size > 0 && stats.mtimeMs > (latest?.mtimeMs ?? 0))
      latest = { path, mtimeMs: stats.mtimeMs }
  }
  return latest?.path
}

const configText = ({ name, zone, cloud }: Wishes, { entry, remarks }: Found): string => {
  const { zone: own, ...rest } = entry
  // Said twice only where it is in doubt, or another one.
  const isDoubted = remarks.some(({ path }) => path[0] === 'zone')
  const source: { [key: string]: Json } = own === zone && !isDoubted ? rest : entry
  const kind = /^https?:/.test(cloud) ? 'http' : 'mqtt'
  const config = { gateway: name, site: name, zone, data: 'data', uplink: { kind, url: cloud }, sources: [source] }
  return writeYaml(config, [
    ...explained(kind),
    ...remarks.map(({ path, text }) => ({ path: ['sources', 0, ...path], text })),
  ])
}

const explained = (kind: 'mqtt' | 'http'): Remark[] => [
  {
    path: ['gateway'],
    text: 'A gateway of Penstock: reads instruments, keeps every reading on disk, sends it to the cloud.\nPaths count from the folder of this file. An edited file is taken over by a gateway that runs.\n\nUnique name of this gateway; keep it: the cloud counts its readings under it.',
  },
  { path: ['site'], text: '\nWhere things are measured: the site of all sources that name none.' },
  { path: ['zone'], text: '\nZone of local times in files, for the sources that name none.' },
  {
    path: ['data'],
    text: '\nReadings wait here until the cloud has them: on a disk of this machine, and never shared by two gateways.\nspool: { bytesMax: 10 GiB } bounds it; on an SD card, syncDelayMsMax: 200 ms spares the card.',
  },
  {
    path: ['uplink'],
    text: `\nThe cloud. Secrets never stand in this file: ${kind === 'mqtt' ? 'username: bench-3 and password: { file: password }, or { env: NAME }; caFile: for a certificate of your own.' : 'token: { file: token }, or { env: NAME }.'}`,
  },
  {
    path: ['sources'],
    text: '\nWhat is read. More sources: penstock-gateway sniff <file> --write <this file>.\nThe page of the gateway is at http://127.0.0.1:8081 (page: false for none).',
  },
]
