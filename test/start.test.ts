/** `npm start` as a stranger runs it, but for the install: five stores with weeks of history, a count that moves, and the files of instruments. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Program, run, until } from './programs.ts'

const start = fileURLToPath(new URL('../.run/start.mjs', import.meta.url))

let data: string
let program: Program
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'penstock-start-'))
  program = run(process.execPath, [start], { PENSTOCK_DATA: data })
})
afterEach(async () => {
  if (program.running()) await program.kill('SIGTERM')
  await rm(data, { recursive: true, force: true })
})

interface Counts {
  rows: { store: string; date: string; count: number }[]
}
interface Streams {
  streams: { device: string; stream: string; rows: number; columns: { name: string; type: string; unit?: string }[] }[]
}
interface Rejects {
  rejects: { origin: { source: string } }[]
}

/** What the demo's instruments write, by device. */
const instruments = {
  gauge: { name: 'Rb disp.', type: 'float', unit: 'Pa' },
  ssd: { name: 'PulseHeight', type: 'int', unit: 'cnt' },
  spectrometer: { name: 'intensity', type: 'vector' },
  bench: { name: 'Main Variables/R1 [ohm]', type: 'float', unit: 'ohm' },
}

test('five stores and two laboratories are there, a count and every file go on by themselves, and Ctrl-C ends it cleanly', {
  timeout: 120_000,
}, async () => {
  const url = await until(
    'the address is printed',
    () => /Penstock is running: (http:\S+)/.exec(program.output())?.[1],
    60_000,
  )
  const counts = async () =>
    ((await (await fetch(`${url}/v1/counts?level=store&resolution=day`)).json()) as Counts).rows
  await until(
    'the history is there',
    async () => {
      const rows = await counts()
      const days = (store: string) => rows.filter(r => r.store === store).length
      return ['Madrid', 'Paris', 'Berlin', 'Roma', 'London'].every(store => days(store) >= 50)
    },
    60_000,
  )
  const total = async () => (await counts()).reduce((sum, row) => sum + row.count, 0)
  const before = await total()
  await until('a count has changed', async () => (await total()) !== before, 30_000)

  const streams = async () => {
    const { streams } = (await (await fetch(`${url}/v1/streams`)).json()) as Streams
    return new Map(streams.map(stream => [stream.device, stream]))
  }
  const devices = Object.keys(instruments)
  const had = await until(
    'every instrument is there',
    async () => {
      const found = await streams()
      return devices.every(device => found.has(device)) && found
    },
    30_000,
  )
  for (const [device, column] of Object.entries(instruments)) {
    expect(had.get(device)?.columns, device).toContainEqual(expect.objectContaining(column))
  }
  await until(
    'every file has grown',
    async () => {
      const found = await streams()
      return devices.every(device => (found.get(device)?.rows ?? 0) > (had.get(device)?.rows ?? 0))
    },
    30_000,
  )
  await until(
    'what could not be read is in quarantine',
    async () => {
      const { rejects } = (await (await fetch(`${url}/v1/rejects?limit=1000`)).json()) as Rejects
      const sources = new Set(rejects.map(reject => reject.origin.source))
      return sources.has('gauge') && sources.has('inbox')
    },
    30_000,
  )

  const page = await (await fetch(url)).text()
  expect(page).toMatch(/<title>Penstock/)
  await program.kill('SIGINT')
  expect(await program.exited).toEqual({ code: 0, signal: null })
  expect(program.output()).toMatch(/the cloud has stopped/)
  expect(program.output()).not.toMatch(/ERROR/)
})
