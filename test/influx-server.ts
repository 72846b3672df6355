/** A real influxd 1.x on free ports, in a temporary folder. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, until } from './programs.ts'

export interface InfluxServer {
  url: string
  /** Lines of one body; all have to be taken. */
  write(lines: readonly string[]): Promise<void>
  /** The answer as text, just as it came. */
  query(parameters: Record<string, string>): Promise<string>
  close(): Promise<void>
}

export const openInfluxServer = async (program: string, database: string): Promise<InfluxServer> => {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-influxd-'))
  const [http, rpc] = [await freePort(), await freePort()]
  const config = `reporting-enabled = false
bind-address = "127.0.0.1:${rpc}"
[meta]
  dir = "${folder}/meta"
[data]
  dir = "${folder}/data"
  wal-dir = "${folder}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:${http}"
  log-enabled = false
`
  await writeFile(join(folder, 'influxd.conf'), config)
  const child = spawn(program, ['-config', join(folder, 'influxd.conf')], { stdio: 'ignore' })
  const ended = once(child, 'exit')
  const url = `http://127.0.0.1:${http}`
  const query = async (parameters: Record<string, string>) =>
    (await fetch(`${url}/query?${new URLSearchParams({ db: database, ...parameters })}`)).text()
  try {
    await until('influxd answers', async () => (await fetch(`${url}/ping`)).status === 204)
    await fetch(`${url}/query`, { method: 'POST', body: new URLSearchParams({ q: `create database "${database}"` }) })
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
  return {
    url,
    query,
    async write(lines) {
      const response = await fetch(`${url}/write?db=${database}`, { method: 'POST', body: lines.join('\n') })
      if (response.status !== 204) throw new Error(`influxd answered a write with ${await response.text()}`)
    },
    async close() {
      child.kill('SIGKILL')
      await ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}
