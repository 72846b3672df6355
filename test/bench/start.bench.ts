/**
 * From the start of the packaged gateway to its first durable reading, against the start of Node itself, and its memory
 * when nothing comes. As the packages are installed: one bundle, no compiler.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { run } from '../programs.ts'
import { watchMemory } from './memory.ts'

const top = fileURLToPath(new URL('../..', import.meta.url))
const runs = 9
const idleMs = 4000
const startMsMax = 20_000

export const benchStart = async (print: (line: string) => void): Promise<void> => {
  const dir = await mkdtemp(join(tmpdir(), 'penstock-start-'))
  try {
    const target = `${process.platform}-${process.arch}`
    const built = run(process.execPath, [join(top, '.run', 'package.mjs'), target, '--out', dir])
    if ((await built.exited).code !== 0) throw new Error(built.output())
    const folder = (await readdir(dir)).find(name => name.endsWith(target)) ?? ''
    const main = join(dir, folder, 'lib', 'main.js')
    const times: number[] = []
    const nodes: number[] = []
    for (let i = 0; i < runs; i++) {
      nodes.push(await timeOfNode())
      times.push(await timeOfFirstReading(main, join(dir, `house-${i}`)))
    }
    print(
      `start: first durable reading ${median(times).toFixed(0)} ms after the start (slowest of ${runs}: ${Math.max(...times).toFixed(0)}); Node alone starts and ends in ${median(nodes).toFixed(0)} ms: ${(median(times) / median(nodes)).toFixed(1)} ×; target 500 ms`,
    )
    print(`start: idle gateway RSS ${await idleMemory(main, join(dir, 'idle'))} MiB`)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0

const timeOfNode = async (): Promise<number> => {
  const began = performance.now()
  await run(process.execPath, ['-e', '0']).exited
  return performance.now() - began
}

const configIn = async (dir: string): Promise<string> => {
  await mkdir(join(dir, 'files'), { recursive: true })
  await writeFile(join(dir, 'files', 'a.csv'), 't,v\n1700000000,1\n')
  const config = join(dir, 'gateway.yaml')
  await writeFile(
    config,
    `gateway: bench
zone: UTC
data: data
uplink: { kind: mqtt, url: "mqtt://127.0.0.1:9" }
sources: [{ id: files, kind: tail, folder: files, format: { kind: csv, time: { column: t, layout: s } } }]
`,
  )
  return config
}

/** Ends the gateway when its spool holds the row. */
const timeOfFirstReading = async (main: string, dir: string): Promise<number> => {
  const config = await configIn(dir)
  const began = performance.now()
  const gateway = run(process.execPath, [main, 'run', config])
  try {
    for (;;) {
      const segment = await readFile(join(dir, 'data', 'spool', (await segments(dir))[0] ?? '')).catch(() => undefined)
      const took = performance.now() - began
      if (segment?.includes('"frames":[{')) return took
      if (took > startMsMax) throw new Error(`no reading is durable after ${startMsMax} ms: ${gateway.output()}`)
      await sleep(1)
    }
  } finally {
    await gateway.kill('SIGKILL')
  }
}
const segments = (dir: string): Promise<string[]> =>
  readdir(join(dir, 'data', 'spool')).then(
    names => names.filter(name => /\d/.test(name)).sort(),
    () => [],
  )

const idleMemory = async (main: string, dir: string): Promise<number> => {
  const gateway = run(process.execPath, ['--max-semi-space-size=8', main, 'run', await configIn(dir)], {
    MALLOC_ARENA_MAX: '2',
  })
  const memory = watchMemory(gateway.pid)
  await sleep(idleMs)
  memory.stop()
  await gateway.kill('SIGKILL')
  return memory.samples().at(-1) ?? 0
}
