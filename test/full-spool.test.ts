/** A spool that fills while there is no cloud: `block` keeps all, `drop-oldest` gives up the oldest and says so. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type House, openHouse, until } from './programs.ts'

const rows = 120_000
const startMs = Date.UTC(2026, 0, 1)

let house: House
beforeEach(async () => {
  house = await openHouse()
})
afterEach(() => house.close())

const begin = async (whenFull: 'block' | 'drop-oldest') => {
  await mkdir(join(house.dir, 'files'))
  let text = 't,n,v\n'
  // Digits that do not compress, so that 1 MiB is soon full.
  for (let n = 0; n < rows; n++) text += `${startMs + n},${n},${Math.sin(n * n)}\n`
  await writeFile(join(house.dir, 'files', 'rows.csv'), text)
  const gateway = house.start(
    'gateway',
    await house.write(
      'gateway.yaml',
      `gateway: bench
site: lab
zone: UTC
data: gateway
spool: { bytesMax: 1 MiB, segmentBytesMax: 128 KiB, whenFull: ${whenFull} }
uplink: { kind: mqtt, url: "mqtt://127.0.0.1:${house.brokerPort}", reconnectMsMax: 300 }
sources:
  - id: file
    kind: tail
    folder: files
    pollMsMax: 50
    device: file
    stream: rows
    format: { kind: csv, time: { column: t, layout: ms }, columns: { n: int, v: float } }
`,
    ),
  )
  await until('the gateway runs', () => gateway.output().includes('the gateway is running'))
}
const startCloud = async () =>
  house.start(
    'cloud',
    await house.write(
      'cloud.yaml',
      `listen: { port: ${house.pagePort} }
broker: { kind: embedded, port: ${house.brokerPort} }
data: cloud
sites: [{ id: lab, kind: lab, zone: UTC }]
`,
    ),
  )
interface Line {
  lines: { rowsRead: number; rowsStored: number }[]
}
const stored = async () =>
  (await house.json<{ streams: { rows: number }[] }>('/v1/streams').catch(() => ({ streams: [] }))).streams[0]?.rows ??
  0
const allRead = () =>
  until(
    'the ledger says that all was read',
    async () => (await house.json<Line>('/v1/ledger')).lines[0]?.rowsRead === rows,
    60_000,
  )

test('block: the file waits, and every row arrives', { timeout: 90_000 }, async () => {
  await begin('block')
  await startCloud()
  await until('all rows are stored', async () => (await stored()) === rows, 60_000)
  expect((await house.json<{ losses: unknown[] }>('/v1/losses')).losses).toEqual([])
})

test('drop-oldest: what was given up is told, range by range, and the newest is there', {
  timeout: 90_000,
}, async () => {
  await begin('drop-oldest')
  // Without a cloud the whole file goes through a spool that holds a part of it.
  await until('the file was read', async () => (await readOffset()) >= rows, 60_000)
  await startCloud()
  await allRead()
  const { losses } = await house.json<{ losses: { gateway: string; from: number; through: number; reason: string }[] }>(
    '/v1/losses',
  )
  expect(losses.length).toBeGreaterThan(0)
  expect(losses[0]).toMatchObject({ gateway: 'bench', from: 1 })
  expect(losses[0]?.reason).toMatch(/full|dropped/i)
  // Ledger and rows are stored by projectors of their own: the rows may come later.
  const had = await until('rows are stored', async () => (await stored()) > 1000 && (await stored()))
  expect(had).toBeLessThan(rows)
  const newest = await house.json<{ columns: { name: string; values: number[] }[] }>(
    '/v1/readings?site=lab&device=file&stream=rows&order=desc&limit=1',
  )
  expect(newest.columns.find(c => c.name === 'n')?.values).toEqual([rows - 1])
})

/** Rows that the gateway has read, from the state in its spool: the text of the newest segment holds it. */
const readOffset = async (): Promise<number> => {
  const dir = join(house.dir, 'gateway', 'spool')
  const segments = (await readdir(dir)).filter(name => name.endsWith('.segment')).sort()
  const text = (await readFile(join(dir, segments.at(-1) ?? ''), 'latin1').catch(() => '')) ?? ''
  return Math.max(0, ...[...text.matchAll(/"rowsRead":(\d+)/g)].map(m => Number(m[1])))
}
