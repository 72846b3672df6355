/**
 * InfluxDB as historian: journal entries into a real influxd, against the plain client writing the same points to the same
 * server in the same run; then the counts API on InfluxDB and on the lake.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { InfluxDB, Point } from '@influxdata/influxdb-client'
import { decodeEntry, encodeEntry, type Historian, openInflux, openLake } from '@penstock/cloud'
import { encodeEnvelope, type Frame } from '@penstock/frame'
import { type Influxd, influxd, makeInfluxd, startInfluxd } from '../influxd.ts'
import { countsOn } from './lake.bench.ts'

type Print = (line: string) => void
const frameRows = 2000
const framesPerRound = 300
const rounds = 4
const restMs = 1000
const startNs = 1_704_067_200_000_000_000n
const quiet = { info() {}, warn() {} }

/** One row a ms; three columns as instruments give them. */
const makeFrame = (f: number): Frame => {
  const rows = Array.from({ length: frameRows }, (_, i) => f * frameRows + i)
  return {
    site: 'lab',
    device: 'gauge',
    stream: 'pressure',
    startNs: startNs + BigInt(f * frameRows) * 1_000_000n,
    offsetsNs: Float64Array.from(rows, (_, i) => i * 1e6),
    columns: [
      { name: 'c0', type: 'float', values: rows.map(r => Math.round(20_000 + 500 * Math.sin(r / 5000)) / 1000) },
      { name: 'c1', type: 'int', values: rows.map(r => (r * 7919) % 4096) },
      { name: 'c2', type: 'float', values: rows.map(r => 8.9e-7 + (r % 1000) * 1.3e-12) },
    ],
  }
}

const frames = () => Array.from({ length: framesPerRound }, (_, f) => makeFrame(f))
const rowsPerRound = frameRows * framesPerRound

/** Entries of the journal, decoded and written, 20 at a time; every batch confirmed, the cursor stored. */
const writeOurs = async (influx: Influxd, database: string, entries: readonly Uint8Array[]): Promise<number> => {
  const historian = await openInflux({ url: influx.url, version: 1, database, log: quiet })
  await historian.cursor()
  const began = performance.now()
  for (let i = 0; i < entries.length; i += 20) {
    const decoded = entries.slice(i, i + 20).flatMap((body, n) => decodeEntry(i + n + 1, body).frames)
    await historian.write(decoded, i + 20)
  }
  const took = performance.now() - began
  await historian.close()
  return took
}

/** The client as its users write with it: points, batches of 5,000, flushed at the end of every 20 frames. */
const writePlain = async (influx: Influxd, database: string, given: readonly Frame[]): Promise<number> => {
  await influx.query(`create database "${database}"`)
  let stored = 0
  const writing = new InfluxDB({ url: influx.url }).getWriteApi('', database, 'ns', {
    batchSize: 5000,
    flushInterval: 0,
    maxRetries: 0,
    writeSuccess(lines) {
      stored += lines.length
    },
  })
  ;(writing as unknown as { path: string }).path = `/write?db=${database}&precision=ns`
  const began = performance.now()
  for (const [f, frame] of given.entries()) {
    const [c0, c1, c2] = frame.columns.map(column => column.values as number[])
    for (let i = 0; i < frame.offsetsNs.length; i++) {
      const point = new Point('pressure')
        .tag('site', frame.site)
        .tag('device', frame.device)
        .floatField('c0', c0?.[i])
        .floatField('c1', c1?.[i])
        .floatField('c2', c2?.[i])
        .timestamp(String(frame.startNs + BigInt(frame.offsetsNs[i] ?? 0)))
      writing.writePoint(point)
    }
    if (f % 20 === 19) await writing.flush()
  }
  await writing.close()
  // Full batches are sent without waiting, and `close` does not wait for them either.
  while (stored < rowsPerRound) await sleep(1)
  return performance.now() - began
}

const benchWrite = async (influx: Influxd, print: Print): Promise<void> => {
  const given = frames()
  const head = { kind: 'envelope', at: 0, gateway: 'bench', epoch: 'e' } as const
  const entries = given.map((frame, i) =>
    encodeEntry({ ...head, seq: i + 1 }, encodeEnvelope({ frames: [frame], rejects: [], ledger: [] })),
  )
  const rate = (ms: number) => rowsPerRound / ms / 1000
  const ours: number[] = []
  const plain: number[] = []
  const round = async (times: number[], database: string, write: () => Promise<number>) => {
    times.push(await write())
    const stored = await influx.query(`select count("c0") from "${database}".."pressure"`)
    if (stored[0]?.[1] !== rowsPerRound) throw new Error(`${database}: ${stored[0]?.[1]} of ${rowsPerRound} rows`)
    await influx.query(`drop database "${database}"`)
    // What the server still does with one database is not to count for the next.
    await sleep(restMs)
  }
  for (let r = 0; r < rounds; r++) {
    await round(plain, `plain${r}`, () => writePlain(influx, `plain${r}`, given))
    await round(ours, `ours${r}`, () => writeOurs(influx, `ours${r}`, entries))
  }
  const best = (times: number[]) => rate(Math.min(...times))
  print(`influx: journal to InfluxDB ${best(ours).toFixed(3)} M points/s of 3 fields, each batch confirmed`)
  print(`influx: plain client        ${best(plain).toFixed(3)} M points/s`)
  print(`influx: ratio ${(best(ours) / best(plain)).toFixed(2)} (target 0.9, floor 0.6)`)
}

const benchCounts = async (influx: Influxd, folder: string, print: Print): Promise<void> => {
  const open: [string, () => Promise<Historian>][] = [
    ['counts on InfluxDB', () => openInflux({ url: influx.url, version: 1, database: 'counts', log: quiet })],
    [
      'counts on the lake',
      () => openLake({ file: join(folder, 'lake.duckdb'), memoryMiBMax: 160, threads: 2, log: quiet }),
    ],
  ]
  for (const [name, make] of open) {
    const historian = await make()
    await countsOn(name, historian, 365, print)
    await historian.close()
  }
}

/** Starts influxd in a temporary folder. */
export const benchInflux = async (print: Print): Promise<void> => {
  if (!influxd) return
  const folder = await mkdtemp(join(tmpdir(), 'penstock-bench-'))
  const influx = await makeInfluxd(folder)
  const server = await startInfluxd(influx)
  try {
    await benchWrite(influx, print)
    await benchCounts(influx, folder, print)
  } finally {
    await server.kill('SIGKILL')
    await rm(folder, { recursive: true })
  }
}
