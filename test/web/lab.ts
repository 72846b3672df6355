/**
 * A lab in one process for tests of the page: the real app, journal and records over the in-memory historian. A vacuum gauge
 * with a spike, a gap and a failed row that a file brought, a spectrometer with curves, a camera with images.
 */
import { join } from 'node:path'
import {
  type AppDeps,
  createApp,
  createEntryReader,
  createLive,
  createMemoryHistorian,
  createSites,
  decodeEntry,
  encodeEntry,
  lineMappingSchema,
  loadWeb,
  openRecords,
  openServer,
  pageViews,
  Registry,
  sitesSchema,
} from '@penstock/cloud'
import { emptyEnvelope, encodeEnvelope, type Frame, NS_PER_S, type Origin } from '@penstock/frame'
import { openLog } from '@penstock/log'
import { openQuietFlow } from './quiet-flow.ts'

export interface Lab {
  url: string
  /** A new row of the gauge, now. */
  measure(pressure: number): Promise<void>
  close(): Promise<void>
}
export interface LabOptions {
  webDir: string
  dir: string
  now(): Date
}

/** Of the gauge, before now, one a second. */
export const gaugeRows = 5400
/** Which of them is the spike. */
export const spikeRow = 4321
const gapRows = { from: 2000, to: 2400 }
const failedRows = { from: 3000, to: 3005 }

export const openLab = async ({ webDir, dir, now }: LabOptions): Promise<Lab> => {
  const historian = createMemoryHistorian()
  const journal = await openLog(join(dir, 'journal'))
  const records = await openRecords(join(dir, 'records.duckdb'))
  const live = createLive({ run: 'test', now: () => now().getTime(), coalesceMs: 50 })
  const web = await loadWeb(webDir, pageViews)
  const sites = createSites(
    sitesSchema.parse([
      {
        ...{ id: 'Lab', kind: 'lab', zone: 'Europe/Madrid', name: 'Optics lab' },
        devices: [
          { id: 'gauge', name: 'Vacuum gauge' },
          { id: 'spectrometer', name: 'Spectrometer' },
          { id: 'camera', name: 'Beam camera' },
        ],
      },
    ]),
  )
  const flow = openQuietFlow(() => ({ ...deps, live }))
  const deps: AppDeps = {
    ...{ historian, sites, records, evidence: records.evidence, flow, live, now, lateHoursMax: 48, version: '0.1.0' },
    ...(web && { web }),
    ingest: async (_gateway, epoch, seq) => ({ epoch, through: seq }),
    receipt: (_gateway, epoch) => ({ epoch, through: 0 }),
    writes: {
      lines: async () => {},
      posted: async () => {},
      replay: async () => 0,
      dismiss: async () => 0,
      mapping: lineMappingSchema.parse({}),
    },
    status: () => {},
    journalStats: () => journal.stats(),
    journalEntry: createEntryReader(journal),
    readiness: () => ({ ready: true, reasons: [] }),
    metrics: new Registry(),
    access: { hosts: [] },
    log: { warn: () => {}, error: () => {} },
  }
  const server = await openServer({ fetch: createApp(deps).fetch, host: '127.0.0.1', port: 0 })
  live.status(
    'lab-pc',
    {
      ...{ online: true, epoch: 'e1', oldestSeq: 1, nextSeq: 1, spoolBytes: 0, version: '0.1.0' },
      clock: now().toISOString(),
      sources: [{ id: 'gauge-files', kind: 'tail', health: 'ok', rows: gaugeRows, rejects: 0 }],
    },
    now().getTime(),
  )
  const take = async (frames: Frame[]): Promise<void> => {
    const seq = journal.stats().nextSeq
    const head = { kind: 'envelope', at: now().getTime(), gateway: 'lab-pc', epoch: 'e1', seq } as const
    const body = encodeEntry(head, encodeEnvelope({ ...emptyEnvelope(), frames }))
    await journal.append([body])
    const entry = decodeEntry(seq, body)
    await records.apply([entry])
    await historian.write(entry.frames)
    await live.apply([entry])
  }
  const nowNs = () => BigInt(now().getTime()) * 1_000_000n
  const startNs = nowNs() - BigInt(gaugeRows) * BigInt(NS_PER_S)
  await take(gaugeFrames(startNs))
  await take([spectra(startNs), images(startNs)])

  let line = gaugeRows + 2
  return {
    url: server.url,
    measure: pressure => {
      line++
      const where = { firstLine: line, lastLine: line, firstByte: line * 20, lastByte: line * 20 + 20 }
      return take([gaugeFrame(nowNs(), [pressure], [null], { ...gaugeOrigin, ...where })])
    },
    async close() {
      await flow.close()
      await live.close()
      await server.close()
      await records.close()
      await journal.close()
    },
  }
}

const gaugeOrigin: Origin = {
  ...{ source: 'gauge-files', file: 'run_042.csv', generation: 1, format: 'csv' },
  attributes: { Instrument: 'PKR 251', Operator: 'M. Curie' },
}
const gaugeFrame = (
  startNs: bigint,
  pressure: number[],
  status: (string | null)[],
  origin: Origin,
  first = gaugeRows,
): Frame => ({
  ...{ site: 'Lab', device: 'gauge', stream: 'vacuum', startNs, origin },
  offsetsNs: Float64Array.from(pressure, (_, i) => i * NS_PER_S),
  columns: [
    { name: 'pressure', unit: 'mbar', type: 'float', values: pressure },
    {
      name: 'temperature',
      unit: '°C',
      type: 'float',
      values: pressure.map((_, i) => 21 + Math.sin((first + i) / 600)),
    },
    { name: 'current', unit: 'mA', type: 'float', values: pressure.map((_, i) => 4 + ((first + i) % 1300) / 400) },
    { name: 'status', type: 'text', values: status },
  ],
})

/** Frames of 200 rows, as a file is read; a line a row, behind a header of two lines. */
const gaugeFrames = (startNs: bigint): Frame[] =>
  Array.from({ length: gaugeRows / 200 }, (_, k) => {
    const first = k * 200
    const rows = Array.from({ length: 200 }, (_, i) => first + i)
    const isFailed = (i: number) => i >= failedRows.from && i < failedRows.to
    const pressure = rows.map(i => {
      if (isFailed(i)) return Number.NaN
      if (i === spikeRow) return 2e-4
      return 1e-6 * Math.exp(-i / 3000) * (1 + 0.04 * Math.sin(i * 0.7) + 0.02 * Math.sin(i * 0.031))
    })
    const status = rows.map(i => (isFailed(i) ? 'failed' : null))
    const where = { firstLine: first + 3, lastLine: first + 202, firstByte: first * 20, lastByte: (first + 200) * 20 }
    const at = startNs + BigInt(first) * BigInt(NS_PER_S)
    return gaugeFrame(at, pressure, status, { ...gaugeOrigin, ...where }, first)
  }).filter((_, k) => k * 200 < gapRows.from || k * 200 >= gapRows.to)

const spectra = (startNs: bigint): Frame => {
  const axis = Float64Array.from({ length: 1024 }, (_, i) => 350 + i * 0.5)
  const peak = (x: number, at: number, width: number, height: number) => height * Math.exp(-(((x - at) / width) ** 2))
  return {
    ...{ site: 'Lab', device: 'spectrometer', stream: 'spectra', startNs },
    offsetsNs: Float64Array.from({ length: 90 }, (_, i) => i * 60 * NS_PER_S),
    columns: [
      {
        ...{ name: 'intensity', unit: 'counts', type: 'vector', axis },
        values: Array.from({ length: 90 }, (_, row) =>
          axis.map(
            (x, i) =>
              120 +
              8 * Math.sin(i * 1.7 + row) +
              peak(x, 532, 4, 3000 * Math.exp(-row / 60)) +
              peak(x, 640 + row * 0.3, 18, 900 + 12 * row),
          ),
        ),
      },
    ],
  }
}

const images = (startNs: bigint): Frame => {
  const [width, height] = [96, 64]
  const rows = 6
  return {
    ...{ site: 'Lab', device: 'camera', stream: 'beam', startNs },
    offsetsNs: Float64Array.from({ length: rows }, (_, i) => i * 900 * NS_PER_S),
    columns: [
      {
        ...{ name: 'image', type: 'vector' },
        values: Array.from({ length: rows }, (_, row) =>
          Float64Array.from({ length: width * height }, (_, i) => {
            const [x, y] = [i % width, Math.floor(i / width)]
            return Math.round(4000 * Math.exp(-(((x - 40 - row * 3) / 14) ** 2) - ((y - 30) / 9) ** 2) + (i % 7))
          }),
        ),
      },
      { name: 'width', unit: 'px', type: 'int', values: new Array(rows).fill(width) },
      { name: 'height', unit: 'px', type: 'int', values: new Array(rows).fill(height) },
    ],
  }
}
