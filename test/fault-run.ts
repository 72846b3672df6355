/**
 * Kills, and the check behind them: a file of numbered rows is read and a serial line talks, while gateway, broker and cloud
 * are killed in turn. Afterwards every row must be in the historian once: 0 lost, 0 twice, looked at row by row.
 */
import { constants, existsSync } from 'node:fs'
import { appendFile, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { decodeEntry } from '@penstock/cloud'
import { openLog } from '@penstock/log'
import { type House, type Program, run, until } from './programs.ts'

export interface FaultPlan {
  house: House
  rows: number
  kills: number
  /** Path of socat; without it no serial line talks. */
  socat: string | undefined
  /** Path of mosquitto, for a broker outside the cloud. */
  mosquitto: string | undefined
  /** InfluxDB as historian: lines of cloud.yaml, and the server that is killed too. */
  influxd?: { historian: string; running: Program; start(): Program }
  msBetweenKillsMax: number
  log(line: string): void
}
export interface FaultReport {
  rows: number
  lost: number
  twice: number
  wrong: number
  serialSent: number
  serialTwice: number
  serialStored: number
  /** Runs of missing lines between stored ones: a line is missing only while the gateway is dead, so no more than its kills. */
  serialGaps: number
  kills: Record<string, number>
}

const startMs = Date.UTC(2026, 0, 1)
const stepMs = 100
const linesPerWrite = 2000

/** Row n of the file: its time and two numbers that follow from n, so that each stored row can be judged alone. */
const lineOf = (n: number) => `${new Date(startMs + n * stepMs).toISOString()},${n},${(n % 997) / 8}\n`

const configs = async ({ house, mosquitto, influxd, socat }: FaultPlan) => {
  const url = `mqtt://127.0.0.1:${house.brokerPort}`
  const broker = mosquitto ? `{ kind: external, url: "${url}" }` : `{ kind: embedded, port: ${house.brokerPort} }`
  const cloud = await house.write(
    'cloud.yaml',
    `listen: { port: ${house.pagePort} }
broker: ${broker}
data: cloud
sites: [{ id: lab, kind: lab, zone: Europe/Madrid }]
${influxd?.historian ?? ''}`,
  )
  const serial = `  - id: line
    kind: serial
    port: ${join(house.dir, 'tty')}
    device: line
    stream: talk
    format: { kind: lines, pattern: "^n=(?<n>[0-9]+)$", columns: { n: int } }
`
  const gateway = await house.write(
    'gateway.yaml',
    `gateway: bench
site: lab
zone: UTC
data: gateway
uplink: { kind: mqtt, url: "${url}", receiptMsMax: 3000, reconnectMsMax: 500 }
sources:
  - id: file
    kind: tail
    folder: files
    pollMsMax: 50
    device: file
    stream: rows
    format: { kind: csv, time: { column: t, layout: iso }, columns: { n: int, v: float } }
${socat ? serial : ''}`,
  )
  const mosquittoConf = await house.write(
    'mosquitto.conf',
    `listener ${house.brokerPort} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 100000\n`,
  )
  return { cloud, gateway, mosquittoConf }
}

export const runFaults = async (plan: FaultPlan): Promise<FaultReport> => {
  const { house, rows, kills, socat, mosquitto, influxd, msBetweenKillsMax, log } = plan
  await mkdir(join(house.dir, 'files'))
  const { cloud, gateway, mosquittoConf } = await configs(plan)
  const starts: Record<string, () => Program> = {
    cloud: () => house.start('cloud', cloud),
    gateway: () => house.start('gateway', gateway),
    ...(mosquitto && { broker: () => run(mosquitto, ['-c', mosquittoConf]) }),
    ...(influxd && { influxd: () => influxd.start() }),
  }
  const victims = Object.keys(starts)
  const programs = new Map(victims.map(name => [name, name === 'influxd' ? influxd?.running : starts[name]?.()]))

  const done = new AbortController()
  // The file grows for as long as the kills last.
  const pauseMs = (0.5 * kills * msBetweenKillsMax) / (rows / linesPerWrite)
  const writing = writeRows(join(house.dir, 'files', 'rows.csv'), rows, pauseMs, done.signal)
  const talking = socat ? talk(house, socat, done.signal) : Promise.resolve(0)
  const count: Record<string, number> = {}
  try {
    for (let i = 0; i < kills; i++) {
      const victim = victims[i % victims.length] ?? ''
      // Any moment may be the wrong one: while it starts, while it works, while it catches up.
      await sleep(((i * 7919 + 331) % 1000) * (msBetweenKillsMax / 1000))
      await programs.get(victim)?.kill('SIGKILL')
      programs.set(victim, starts[victim]?.())
      count[victim] = (count[victim] ?? 0) + 1
      if (i % 10 === 9) log(`${i + 1} kills`)
    }
    await writing
    await until('all rows are stored', async () => (await storedRows(house, 'file')) >= rows, 240_000)
    if (socat) {
      const before = await storedRows(house, 'line')
      await until('the line goes on', async () => (await storedRows(house, 'line')) > before + 20, 60_000)
    }
    // What is still on its way may be a row twice: wait until the spool is empty and nothing is behind.
    await until('all is applied', async () => (await house.get('/ready')).ok && (await isIdle(house)), 60_000)
    done.abort()
    const sent = await talking
    const serial = socat ? await readNumbers(house, 'line', 'talk', '2020-01-01', '2100-01-01') : []
    const judged = await judgeRows(house, rows)
    await Promise.all([programs.get('gateway')?.kill('SIGTERM'), programs.get('cloud')?.kill('SIGTERM')])
    const twiceInJournal = await countRepeats(join(house.dir, 'cloud', 'journal'), rows)
    return {
      rows,
      ...judged,
      twice: judged.twice + twiceInJournal,
      serialSent: sent,
      serialStored: serial.length,
      serialTwice: serial.length - new Set(serial).size,
      serialGaps: serial.filter((n, i) => i > 0 && n !== (serial[i - 1] ?? 0) + 1).length,
      kills: count,
    }
  } finally {
    done.abort()
    await Promise.allSettled([writing, talking])
    await programs.get('broker')?.kill('SIGKILL')
    await programs.get('influxd')?.kill('SIGKILL')
  }
}

const writeRows = async (file: string, rows: number, pauseMs: number, signal: AbortSignal): Promise<void> => {
  const handle = await open(file, 'a')
  try {
    await handle.write('t,n,v\n')
    for (let n = 0; n < rows && !signal.aborted; n += linesPerWrite) {
      let text = ''
      for (let i = n; i < Math.min(rows, n + linesPerWrite); i++) text += lineOf(i)
      // Half a line now and the other half later, as instruments do.
      const middle = Math.floor(text.length / 2) + 3
      await handle.write(text.slice(0, middle))
      await sleep(pauseMs)
      await handle.write(text.slice(middle))
    }
  } finally {
    await handle.close()
  }
}

const talk = async (house: House, socat: string, signal: AbortSignal): Promise<number> => {
  const far = join(house.dir, 'instrument')
  const pair = run(socat, [`pty,raw,echo=0,link=${join(house.dir, 'tty')}`, `pty,raw,echo=0,link=${far}`])
  const near = join(house.dir, 'tty')
  await until('the pty pair stands', () => existsSync(far) && existsSync(near))
  // Held open, so that the pair outlives a gateway that is killed.
  const hold = await open(near, constants.O_RDWR | constants.O_NOCTTY)
  let n = 0
  while (!signal.aborted) {
    await appendFile(far, `n=${++n}\r\n`).catch(() => {})
    await sleep(20, undefined, { signal }).catch(() => {})
  }
  await hold.close()
  await pair.kill('SIGKILL')
  return n
}

interface StreamList {
  streams: { device: string; rows: number }[]
}
const storedRows = async (house: House, device: string): Promise<number> =>
  (await house.json<StreamList>('/v1/streams')).streams.find(s => s.device === device)?.rows ?? 0

const isIdle = async (house: House): Promise<boolean> => {
  const { gateways } = await house.json<{ gateways: { gateway: string; online: boolean }[] }>('/v1/gateways')
  return gateways.some(g => g.online)
}

const readNumbers = async (
  house: House,
  device: string,
  stream: string,
  from: string,
  to: string,
): Promise<number[]> => {
  const numbers: number[] = []
  let after = from
  for (;;) {
    const page = await house.json<{
      rows: number
      time: string[]
      next: string | null
      columns: { name: string; values: number[] }[]
    }>(`/v1/readings?site=lab&device=${device}&stream=${stream}&from=${encodeURIComponent(after)}&to=${to}&limit=50000`)
    numbers.push(...(page.columns.find(c => c.name === 'n')?.values ?? []))
    if (page.next === null) return numbers
    after = page.next
  }
}

/** The historian replaces a row that comes again; the journal would show it. */
const countRepeats = async (dir: string, rows: number): Promise<number> => {
  const seen = new Uint8Array(rows)
  let repeats = 0
  const journal = await openLog(dir)
  const stop = new AbortController()
  const last = journal.stats().nextSeq - 1
  for await (const entry of journal.read(0, stop.signal)) {
    for (const frame of decodeEntry(entry.seq, entry.body).frames) {
      if (frame.device !== 'file') continue
      const column = frame.columns.find(c => c.name === 'n')
      for (let i = 0; i < frame.offsetsNs.length; i++) {
        const n = Number(column?.values[i] ?? -1)
        if (seen[n]) repeats++
        seen[n] = 1
      }
    }
    if (entry.through >= last) stop.abort()
  }
  await journal.close()
  return repeats
}

/** Every stored row of the file, page by page: its number, its time and its value must belong together. */
const judgeRows = async (house: House, rows: number): Promise<{ lost: number; twice: number; wrong: number }> => {
  const seen = new Uint8Array(rows)
  let wrong = 0
  let after = new Date(startMs).toISOString()
  for (;;) {
    const page = await house.json<{
      time: string[]
      next: string | null
      columns: { name: string; values: number[] }[]
    }>(`/v1/readings?site=lab&device=file&stream=rows&from=${encodeURIComponent(after)}&to=2027-01-01&limit=50000`)
    const n = page.columns.find(c => c.name === 'n')?.values ?? []
    const v = page.columns.find(c => c.name === 'v')?.values ?? []
    for (let i = 0; i < page.time.length; i++) {
      const number = n[i] ?? -1
      if (
        number < 0 ||
        number >= rows ||
        Date.parse(page.time[i] ?? '') !== startMs + number * stepMs ||
        v[i] !== (number % 997) / 8
      )
        wrong++
      else seen[number] = Math.min(255, (seen[number] ?? 0) + 1)
    }
    if (page.next === null) break
    after = page.next
  }
  let lost = 0
  let twice = 0
  for (const times of seen) {
    if (times === 0) lost++
    if (times > 1) twice++
  }
  return { lost, twice, wrong }
}
