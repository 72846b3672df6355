/** `pnpm faults`: InfluxDB is away for ten minutes while a file goes on growing. Nothing is lost, nothing is twice. */
import { appendFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { influxd, makeInfluxd, startInfluxd } from '../influxd.ts'
import { type House, openHouse, until } from '../programs.ts'

const outageMs = Number(process.env.PENSTOCK_OUTAGE_MS ?? 600_000)
const rowsPerWrite = 50
const writeEveryMs = 200

let house: House
beforeEach(async () => {
  house = await openHouse()
})
afterEach(() => house.close())

test.skipIf(!influxd)('ten minutes without InfluxDB', { timeout: outageMs + 240_000 }, async () => {
  const influx = await makeInfluxd(house.dir)
  let server = await startInfluxd(influx)
  const file = join(house.dir, 'files', 'rows.csv')
  await mkdir(join(house.dir, 'files'))
  await writeFile(file, 't,n\n')
  house.start(
    'cloud',
    await house.write(
      'cloud.yaml',
      `listen: { port: ${house.pagePort} }
broker: { kind: embedded, port: ${house.brokerPort} }
data: cloud
sites: [{ id: lab, kind: lab, zone: Europe/Madrid }]
${influx.historian}`,
    ),
  )
  house.start(
    'gateway',
    await house.write(
      'gateway.yaml',
      `gateway: bench
site: lab
zone: UTC
data: gateway
uplink: { kind: mqtt, url: "mqtt://127.0.0.1:${house.brokerPort}" }
sources: [{ id: file, kind: tail, folder: files, pollMsMax: 100, device: file, stream: rows, format: { kind: csv, time: { column: t, layout: ms }, columns: { n: int } } }]
`,
    ),
  )
  let n = 0
  const write = async () => {
    let text = ''
    for (const end = n + rowsPerWrite; n < end; n++) text += `${1_767_225_600_000 + n * 100},${n}\n`
    await appendFile(file, text)
  }
  const stored = async () =>
    (await house.json<{ streams: { rows: number }[] }>('/v1/streams')).streams.reduce((sum, s) => sum + s.rows, 0)
  await write()
  await until('the first rows are stored', async () => (await stored()) === n, 60_000)

  await server.kill('SIGKILL')
  let said = ''
  for (const end = performance.now() + outageMs; performance.now() < end; ) {
    await write()
    await sleep(writeEveryMs)
    const { reasons } = (await (await house.get('/ready')).json()) as { reasons: string[] }
    said = reasons.find(reason => reason.startsWith('historian ')) ?? said
  }
  expect(said).toMatch(/^historian cannot be written and is \d+ entries behind the journal/)
  const began = performance.now()
  server = await startInfluxd(influx)
  await until('all is stored', async () => (await stored()) === n, 120_000)
  const values = (await influx.query('select "n" from "rows"')).map(([, value]) => value)
  expect(values).toEqual(Array.from({ length: n }, (_, i) => i))
  process.stdout.write(
    `${outageMs / 60_000} min without InfluxDB: ${n} rows, 0 lost, 0 twice; "${said.slice(0, 70)}…"; all there ${((performance.now() - began) / 1000).toFixed(1)} s after its start\n`,
  )
  await server.kill('SIGKILL')
})
