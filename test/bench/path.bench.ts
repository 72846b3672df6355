/**
 * File to queryable: a CSV file of three numbers a row, read by a gateway process, over MQTT to a cloud process with its
 * embedded broker, journal and lake, until `/v1/streams` counts every row. A reading is one number of one row; the time of
 * a row is not counted. Memory of both processes is watched. Sizes double to show how cost grows.
 */
import { mkdir, open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { openHouse, until } from '../programs.ts'
import { memoryCourse, watchMemory } from './memory.ts'

const columns = 3
const rowsPerWrite = 20_000

export const benchPath = async (print: (line: string) => void): Promise<void> => {
  // The last one is 20 million readings: the size for which memory has a target.
  for (const rows of [400_000, 1_700_000, 6_700_000]) await runOnce(rows, print)
}

const runOnce = async (rows: number, print: (line: string) => void): Promise<void> => {
  const house = await openHouse()
  try {
    const cloudYaml = await house.write(
      'cloud.yaml',
      `listen: { port: ${house.pagePort} }
broker: { kind: embedded, port: ${house.brokerPort} }
data: cloud
sites: [{ id: lab, kind: lab, zone: Europe/Madrid }]
`,
    )
    const gatewayYaml = await house.write(
      'gateway.yaml',
      `gateway: bench
site: lab
zone: UTC
data: gateway
uplink: { kind: mqtt, url: "mqtt://127.0.0.1:${house.brokerPort}" }
sources:
  - id: file
    kind: tail
    folder: files
    pollMsMax: 50
    device: bench
    stream: rows
    format: { kind: csv, time: { column: t, layout: ms }, columns: { a: float, b: float, c: int } }
`,
    )
    await mkdir(join(house.dir, 'files'))
    const bytes = await writeRows(join(house.dir, 'rows.tmp'), rows)
    const cloud = house.start('cloud', cloudYaml)
    const gateway = house.start('gateway', gatewayYaml)
    await until('both are up', async () => {
      const { gateways } = await house.json<{ gateways: { online: boolean }[] }>('/v1/gateways')
      return gateways[0]?.online
    })
    const memory = { cloud: watchMemory(cloud.pid), gateway: watchMemory(gateway.pid) }
    const began = performance.now()
    await rename(join(house.dir, 'rows.tmp'), join(house.dir, 'files', 'rows.csv'))
    await until(
      'all rows can be queried',
      async () => {
        const { streams } = await house.json<{ streams: { rows: number }[] }>('/v1/streams')
        return (streams[0]?.rows ?? 0) >= rows
      },
      600_000,
    )
    const seconds = (performance.now() - began) / 1000
    await until(
      'the aggregates are there too',
      async () => {
        const { ready } = await house.json<{ ready: boolean }>('/ready')
        return ready
      },
      120_000,
    )
    memory.cloud.stop()
    memory.gateway.stop()
    const rate = (n: number) => `${Math.round(n / seconds / 1000)} k/s`
    print(
      `path: ${rows} rows, ${(bytes / 1e6).toFixed(0)} MB: ${seconds.toFixed(1)} s = ${rate(rows * columns)} readings (${rate(rows)} rows); target 500 k/s readings, floor 150 k/s`,
    )
    print(`  gateway RSS: peak ${memory.gateway.peakMiB()} MiB (${memoryCourse(memory.gateway.samples())})`)
    print(`  cloud RSS: peak ${memory.cloud.peakMiB()} MiB (${memoryCourse(memory.cloud.samples())}); target 512 MiB`)
  } finally {
    await house.close()
  }
}

const writeRows = async (file: string, rows: number): Promise<number> => {
  const handle = await open(file, 'w')
  let bytes = 0
  try {
    await handle.write('t,a,b,c\n')
    for (let from = 0; from < rows; from += rowsPerWrite) {
      let text = ''
      for (let i = from; i < Math.min(rows, from + rowsPerWrite); i++) {
        text += `${1_700_000_000_000 + i * 10},${(20 + Math.sin(i / 500)).toFixed(4)},${((i * 7919) % 10007) / 100},${i % 100_000}\n`
      }
      bytes += (await handle.write(text)).bytesWritten
    }
  } finally {
    await handle.close()
  }
  return bytes
}
