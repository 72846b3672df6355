/** Runs the programs of Penstock as a person does: real processes, real files, real sockets. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const top = fileURLToPath(new URL('..', import.meta.url))

/** Path of a file of the samples folder beside the repository. */
export const sample = (path: string): string => join(top, '..', 'shared', 'data', path)

/** Where a program of the machine stands, or undefined. Under CI=true a missing one is an error. */
export const findProgram = (name: string): string | undefined => {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']) {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return join(folder, name)
    } catch {}
  }
  if (process.env.CI === 'true') throw new Error(`${name} is missing: .ci/run installs it`)
  process.stdout.write(`not run: needs ${name}\n`)
  return undefined
}

export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (typeof address !== 'object' || !address) throw new Error('no port')
  return address.port
}

/** Waits until the condition gives something, asking every 25 ms or so. */
export const until = async <T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  msMax = 20_000,
): Promise<T> => {
  const began = performance.now()
  let last: unknown
  for (;;) {
    try {
      const value = await condition()
      if (value !== undefined && value !== false) return value
      last = undefined
    } catch (error) {
      last = error
    }
    if (performance.now() - began > msMax) throw new Error(`waited ${msMax} ms in vain until ${what}`, { cause: last })
    await sleep(25)
  }
}

export interface Program {
  readonly pid: number
  readonly output: () => string
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  running(): boolean
  kill(signal: NodeJS.Signals): Promise<void>
}

export const run = (command: string, args: string[], env: Record<string, string> = {}): Program => {
  const child: ChildProcess = spawn(command, args, {
    cwd: top,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  let output = ''
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-200_000)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
  exited.catch(() => {})
  return {
    pid: child.pid ?? 0,
    output: () => output,
    exited,
    running: () => child.exitCode === null && child.signalCode === null,
    async kill(signal) {
      child.kill(signal)
      await exited
    },
  }
}

/** As .run/start.mjs starts them. */
const asStarted = ['--max-semi-space-size=8']
/** What Node is given to run a program with these arguments. */
export const mainArguments = (program: 'gateway' | 'cloud', args: string[]): string[] => {
  const main = join(top, program, 'src', 'main.ts')
  return [...asStarted, '--conditions=@penstock/source', '--import', 'tsx', main, ...args]
}
export const runMain = (program: 'gateway' | 'cloud', args: string[], env: Record<string, string> = {}): Program =>
  run(process.execPath, mainArguments(program, args), { MALLOC_ARENA_MAX: '2', ...env })

/** A house for one test: a folder, a cloud and gateways that live in it, gone afterwards. */
export interface House {
  readonly dir: string
  readonly pagePort: number
  readonly brokerPort: number
  write(name: string, text: string): Promise<string>
  start(program: 'gateway' | 'cloud', config: string): Program
  get(path: string): Promise<Response>
  json<T = Record<string, unknown>>(path: string): Promise<T>
  close(): Promise<void>
}

export const openHouse = async (): Promise<House> => {
  const dir = await mkdtemp(join(tmpdir(), 'penstock-'))
  const [pagePort, brokerPort] = [await freePort(), await freePort()]
  const programs: Program[] = []
  const get = (path: string) => fetch(`http://127.0.0.1:${pagePort}${path}`, { signal: AbortSignal.timeout(30_000) })
  return {
    dir,
    pagePort,
    brokerPort,
    async write(name, text) {
      await writeFile(join(dir, name), text)
      return join(dir, name)
    },
    start(program, config) {
      const started = runMain(program, ['run', config])
      programs.push(started)
      return started
    },
    get,
    async json<T>(path: string) {
      const answer = await get(path)
      if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
      return (await answer.json()) as T
    },
    async close() {
      await Promise.all(programs.filter(p => p.running()).map(p => p.kill('SIGKILL')))
      await rm(dir, { recursive: true, force: true })
    },
  }
}
