/** A real influxd 1.x of its own: on free ports of 127.0.0.1, its data in a folder that the caller deletes. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findProgram, freePort, type Program, run, until } from './programs.ts'

/** Path of influxd, or undefined. */
export const influxd = findProgram('influxd')

export interface Influxd {
  readonly url: string
  /** Lines of cloud.yaml. */
  readonly historian: string
  start(): Program
  answers(): Promise<boolean>
  /** Rows of its answer to an InfluxQL statement. */
  query(statement: string): Promise<unknown[][]>
}

/** Not started yet. */
export const makeInfluxd = async (dir: string): Promise<Influxd> => {
  const folder = join(dir, 'influxd')
  await mkdir(folder)
  const [port, rpcPort] = [await freePort(), await freePort()]
  const url = `http://127.0.0.1:${port}`
  const config = join(folder, 'influxdb.conf')
  await writeFile(
    config,
    `reporting-disabled = true
bind-address = "127.0.0.1:${rpcPort}"
[meta]
  dir = "${folder}/meta"
[data]
  dir = "${folder}/data"
  wal-dir = "${folder}/wal"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:${port}"
  log-enabled = false
[monitor]
  store-enabled = false
[logging]
  level = "error"
`,
  )
  return {
    url,
    historian: `historian: { kind: influx, version: 1, url: "${url}", database: penstock }\n`,
    start: () => run(influxd ?? 'influxd', ['run', '-config', config]),
    answers: () =>
      fetch(`${url}/ping`).then(
        answer => answer.status === 204,
        () => false,
      ),
    async query(statement) {
      const body = new URLSearchParams({ q: statement })
      const answer = await fetch(`${url}/query?db=penstock`, { method: 'POST', body })
      const { results } = (await answer.json()) as { results: { series?: { values: unknown[][] }[] }[] }
      return results[0]?.series?.[0]?.values ?? []
    },
  }
}

/** Started, and answering. */
export const startInfluxd = async (influx: Influxd): Promise<Program> => {
  const program = influx.start()
  await until('influxd answers', () => influx.answers())
  return program
}
