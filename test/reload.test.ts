/** A gateway that gets another configuration while it runs: by an edit, by SIGHUP, by a mistake. */
import { appendFile, mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type House, openHouse, until } from './programs.ts'

let house: House
beforeEach(async () => {
  house = await openHouse()
})
afterEach(() => house.close())

const gatewayYaml = (sources: string[], more = '') => `gateway: bench
site: lab
zone: UTC
data: gateway
uplink: { kind: mqtt, url: "mqtt://127.0.0.1:${house.brokerPort}" }
${more}
sources:
${sources.map(text => `  - ${text}\n`).join('')}`
const tail = (id: string, more = '') =>
  `{ id: ${id}, kind: tail, folder: ${id}, stream: ${id}, ${more} format: { kind: csv, time: { column: t }, columns: { n: int } } }`

const growing = async (name: string) => {
  await mkdir(join(house.dir, name))
  const file = join(house.dir, name, 'rows.csv')
  await writeFile(file, 't,n\n')
  let rows = 0
  const line = () => `${new Date(Date.UTC(2026, 0, 1) + rows * 1000).toISOString()},${rows++}\n`
  return {
    rows: () => rows,
    grow: (n: number) => appendFile(file, Array.from({ length: n }, line).join('')),
  }
}
interface Ledger {
  lines: { source: string; rowsStored: number }[]
}
interface Streams {
  streams: { stream: string; rows: number }[]
}

test('restarts the source that an edit changes, and no other; every row is there once', {
  timeout: 60_000,
}, async () => {
  const cloud = house.start(
    'cloud',
    await house.write(
      'cloud.yaml',
      `listen: { port: ${house.pagePort} }\nbroker: { kind: embedded, port: ${house.brokerPort} }\ndata: cloud\nsites: []\n`,
    ),
  )
  await until('the cloud runs', () => cloud.output().includes('the cloud is running'))
  const [a, b] = [await growing('a'), await growing('b')]
  const file = await house.write('gateway.yaml', gatewayYaml([tail('a'), tail('b')]))
  const gateway = house.start('gateway', file)
  const saidTimes = (text: string) => gateway.output().split(text).length - 1
  const inForce = 'the new configuration is in force'
  await until('the gateway runs', () => gateway.output().includes('the gateway is running'))

  for (let i = 1; i <= 3; i++) {
    await Promise.all([a.grow(500), b.grow(500)])
    await house.write('next.yaml', gatewayYaml([tail('a'), tail('b', `pollMsMax: ${i * 100},`)]))
    await rename(join(house.dir, 'next.yaml'), file)
    if (process.platform !== 'win32') process.kill(gateway.pid, 'SIGHUP')
    await until('the edit is in force', () => saidTimes(inForce) >= i)
  }
  expect(gateway.output()).toContain('"started":["b"],"stopped":["b"],"kept":["a"],"rerouted":false')
  expect(gateway.output()).not.toContain('"stopped":["a"]')

  await house.write('gateway.yaml', gatewayYaml([tail('a')]).replace('kind: tail', 'kind: tial'))
  await until('the mistake is told', () =>
    /gateway\.yaml:\d+: sources\[0\]\.kind: .*did you mean/.test(gateway.output()),
  )
  await house.write('gateway.yaml', gatewayYaml([tail('a'), tail('b')], 'spool: { bytesMax: 20 MiB }'))
  await until('it says that this needs a restart', () => gateway.output().includes('a change of spool needs a restart'))
  await Promise.all([a.grow(500), b.grow(500)])

  // The ledger counts what was read, the store holds a time once: both say that nothing came twice and nothing is missing.
  await until('all rows are stored', async () => {
    const { lines } = await house.json<Ledger>('/v1/ledger')
    const { streams } = await house.json<Streams>('/v1/streams')
    const numbers = [...lines.map(line => line.rowsStored), ...streams.map(stream => stream.rows)]
    return numbers.length === 4 && numbers.every(n => n === a.rows())
  })
  await gateway.kill('SIGTERM')
  expect(await gateway.exited).toEqual({ code: 0, signal: null })
})
