/** A real influxd 1.x of its own: on a free port of 127.0.0.1, in a temporary folder, gone afterwards. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const findInfluxd = (): string | undefined => {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']) {
    try {
      accessSync(join(folder, 'influxd'), constants.X_OK)
      return join(folder, 'influxd')
    } catch {}
  }
  if (process.env.CI === 'true') throw new Error('influxd is missing: .ci/run installs it')
  process.stdout.write('not run: needs influxd\n')
  return undefined
}
/** Path of influxd, or undefined. Under CI=true a missing one is an error. */
export const influxd = findInfluxd()

export interface Influxd {
  readonly url: string
  start(): Promise<void>
  kill(signal: NodeJS.Signals): Promise<void>
  /** Its answer to an InfluxQL statement, as the server gives it. */
  query<T = unknown>(database: string, statement: string): Promise<T>
  /** Kills it and deletes its folder. */
  close(): Promise<void>
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (typeof address !== 'object' || !address) throw new Error('no port')
  return address.port
}

/** Started, and answering. `http`: further lines of the configuration's [http] section. */
export const openInfluxd = async (http = ''): Promise<Influxd> => {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-influxd-'))
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
${http}
[monitor]
  store-enabled = false
[logging]
  level = "error"
`,
  )
  let child: ChildProcess | undefined
  const influx: Influxd = {
    url,
    async start() {
      const started = spawn(influxd ?? 'influxd', ['run', '-config', config], { stdio: 'ignore' })
      child = started
      for (let i = 0; i < 600; i++) {
        if (started.exitCode !== null) throw new Error(`influxd ended with ${started.exitCode}`)
        const answers = await fetch(`${url}/ping`).then(
          answer => answer.status === 204,
          () => false,
        )
        if (answers) return
        await sleep(25)
      }
      throw new Error('influxd does not answer')
    },
    async kill(signal) {
      const running = child
      if (!running || running.exitCode !== null || running.signalCode !== null) return
      const exited = once(running, 'exit')
      running.kill(signal)
      await exited
    },
    async query<T>(database: string, statement: string) {
      const body = new URLSearchParams({ q: statement })
      const answer = await fetch(`${url}/query?db=${encodeURIComponent(database)}`, { method: 'POST', body })
      return (await answer.json()) as T
    },
    async close() {
      await influx.kill('SIGKILL')
      await rm(folder, { recursive: true, force: true })
    },
  }
  await influx.start()
  return influx
}
