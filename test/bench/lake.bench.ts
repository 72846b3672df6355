/** The lake alone: readings written, resident memory, and how long aggregates take, as the rows grow. */
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Aggregate, counts, createSites, type Historian, openLake, siteSchema } from '@penstock/cloud'
import type { Frame } from '@penstock/frame'

type Print = (line: string) => void
const frameRows = 10_000
const columnCount = 3
const startNs = 1_704_067_200_000_000_000n
const hourNs = 3_600_000_000_000n
const quiet = { info() {} }
const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0)

/** One row a ms; three columns as instruments give them: a walk with 3 decimals, a whole number, a small float. */
const makeFrame = (first: number): Frame => {
  const offsetsNs = new Float64Array(frameRows)
  const columns = Array.from({ length: columnCount }, () => new Float64Array(frameRows))
  for (let i = 0; i < frameRows; i++) {
    const row = first + i
    offsetsNs[i] = i * 1e6
    ;(columns[0] as Float64Array)[i] = Math.round(20_000 + 500 * Math.sin(row / 5000) + (row % 17)) / 1000
    ;(columns[1] as Float64Array)[i] = (row * 7919) % 4096
    ;(columns[2] as Float64Array)[i] = 8.9e-7 + (row % 1000) * 1.3e-12
  }
  return {
    site: 'lab',
    device: 'gauge',
    stream: 'pressure',
    startNs: startNs + BigInt(first) * 1_000_000n,
    offsetsNs,
    columns: columns.map((values, c) => ({ name: `c${c}`, type: c === 1 ? 'int' : 'float', values })),
  }
}

const withLake = async (work: (lake: Historian, file: string) => Promise<void>): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-bench-'))
  const file = join(folder, 'lake.duckdb')
  const lake = await openLake({ file, memoryMiBMax: 160, threads: 2, log: quiet })
  try {
    await work(lake, file)
  } finally {
    await lake.close()
    await rm(folder, { recursive: true })
  }
}

const percentiles = async (runs: number, work: (run: number) => Promise<unknown>): Promise<string> => {
  const times: number[] = []
  for (let run = 0; run < runs; run++) {
    const began = performance.now()
    await work(run)
    times.push(performance.now() - began)
  }
  times.sort((a, b) => a - b)
  const at = (q: number) => (times[Math.min(times.length - 1, Math.floor(q * times.length))] ?? 0).toFixed(1)
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms (${runs} runs)`
}

const benchWrite = (print: Print) =>
  withLake(async (lake, file) => {
    let written = 0
    for (const million of [1, 4, 16]) {
      const rows = million * 1_000_000
      let [spent, made, rss] = [0, 0, 0]
      while (made < rows) {
        const frames = Array.from({ length: 20 }, (_, i) => makeFrame(written + i * frameRows))
        const began = performance.now()
        await lake.write(frames, written)
        spent += performance.now() - began
        written += 20 * frameRows
        made += 20 * frameRows
        rss = Math.max(rss, process.memoryUsage.rss())
      }
      const rate = ((made * columnCount) / spent / 1000).toFixed(1)
      const size = (await stat(file)).size
      print(
        `lake: + ${million} M rows: ${rate} M values/s (${((spent / made) * 1e6).toFixed(0)} ns a row), resident ${mib(rss)} MiB at most, file ${mib(size)} MiB`,
      )
    }
    const began = performance.now()
    await lake.write(
      Array.from({ length: 20 }, (_, i) => makeFrame(i * frameRows)),
      written,
    )
    print(`lake: 200,000 rows again, oldest of ${written / 1e6} M: ${(performance.now() - began).toFixed(0)} ms`)
    await benchBuckets(lake, written, print)
  })

const benchBuckets = async (lake: Historian, rows: number, print: Print): Promise<void> => {
  const key = { site: 'lab', device: 'gauge', stream: 'pressure' }
  const hours = Math.floor(rows / 3_600_000)
  const span = (h: number) => ({ fromNs: startNs + BigInt(h) * hourNs, toNs: startNs + BigInt(h + 1) * hourNs })
  print(
    `lake: one hour of 3.6 M rows, 3 columns: ${await percentiles(5, run => lake.buckets({ stream: key.stream, series: [{ ...key, spans: [span(run % hours)] }] }))}`,
  )
  const spans = Array.from({ length: hours }, (_, h) => span(h))
  print(
    `lake: all ${hours} hours at once: ${await percentiles(2, () => lake.buckets({ stream: key.stream, series: [{ ...key, spans }] }))}`,
  )
  const page = async (run: number) => {
    const fromNs = startNs + BigInt(run % hours) * hourNs
    for await (const _ of lake.read({ ...key, fromNs, toNs: fromNs + hourNs, points: 2000 }));
  }
  print(`lake: that hour in 2,000 points: ${await percentiles(10, page)}`)
  const newest = async () => {
    for await (const _ of lake.read({ ...key, fromNs: 0n, toNs: 2n ** 63n, limit: 100, descending: true }));
  }
  print(`lake: the newest 100 rows: ${await percentiles(50, newest)}`)
  print(`lake: resident ${mib(process.memoryUsage.rss())} MiB after it`)
}

const benchCounts = (print: Print) => withLake(lake => countsOn('counts', lake, 730, print))

/** Days of hours and days of 39 sensors in five stores, as rollup rows: written, and asked for as the API asks. */
export const countsOn = async (name: string, historian: Historian, days: number, print: Print): Promise<void> => {
  const stores = [
    ['Madrid', 1],
    ['Paris', 20],
    ['Berlin', 6],
    ['Roma', 4],
    ['London', 8],
  ] as const
  const sites = createSites(stores.map(([id]) => siteSchema.parse({ id, kind: 'store', zone: 'UTC' })))
  const began = performance.now()
  const rows = { count: 0 }
  for (let day = 0; day < days; day += 10) await historian.writeAggregates(countRows(stores, day, day + 10, rows))
  const took = performance.now() - began
  print(`${name}: ${rows.count} rollup rows written in ${(took / 1000).toFixed(1)} s`)
  const read = (query: Parameters<typeof counts>[2]) => async () => {
    for await (const _ of counts(historian, sites, query));
  }
  const base = { now: new Date(), from: '2024-12-01', to: '2025-11-30' }
  const year = read({ ...base, level: 'store', resolution: 'day', store: ['Paris'] })
  print(`${name}: a year of days of one store: ${await percentiles(50, year)}`)
  const month = read({
    ...base,
    from: '2025-06-01',
    to: '2025-06-30',
    level: 'sensor',
    resolution: 'hour',
    store: ['Paris'],
    sensor: ['3'],
  })
  print(`${name}: a month of hours of one sensor: ${await percentiles(50, month)}`)
  const all = read({ ...base, level: 'sensor', resolution: 'day' })
  print(`${name}: a year of days of all 39 sensors: ${await percentiles(5, all)}`)
}

const countRows = (
  stores: readonly (readonly [string, number])[],
  from: number,
  to: number,
  made: { count: number },
): Aggregate[] => {
  const rows: Aggregate[] = []
  const put = (site: string, device: string, day: number, hour: number | null) => {
    const start = startNs + BigInt(day * 24 + (hour ?? 0)) * hourNs
    const n = hour === null ? 24 : 1
    rows.push({
      level: device === '' ? 'site' : 'sensor', resolution: hour === null ? 'day' : 'hour', site, device, stream: 'count', column: 'count',
      startNs: start, endNs: start + BigInt(n) * hourNs, date: new Date(Number(start / 1_000_000n)).toISOString().slice(0, 10), hour,
      weekday: day % 7, n, sum: (day * 31 + (hour ?? 7)) % 997, min: 0, max: 997, mean: 1, first: 1, last: 1, failed: 0, closed: 0, rows: n,
      expected: n, had: n, revision: 1, computedAtMs: 0,
    }) // biome-ignore format: a row as data
  }
  for (const [site, sensors] of stores) {
    for (let day = from; day < to; day++) {
      for (const device of ['', ...Array.from({ length: sensors }, (_, s) => String(s))]) {
        put(site, device, day, null)
        for (let hour = 0; hour < 24; hour++) put(site, device, day, hour)
      }
    }
  }
  made.count += rows.length
  return rows
}

/** Writes, reads and aggregates in a temporary folder; takes about a minute. */
export const benchLake = async (print: Print): Promise<void> => {
  await benchWrite(print)
  await benchCounts(print)
}
