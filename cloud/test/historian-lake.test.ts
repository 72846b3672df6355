import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { UserError } from '@penstock/frame'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LakeDamagedError, openLake } from '../src/historians/lake.ts'
import { collect, everything, float, frame, int, rowsOf } from './historian.contract.ts'

let folder: string
let file: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'penstock-lake-'))
  file = join(folder, 'lake.duckdb')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const openTemp = (journal?: string) =>
  openLake({ file, memoryMiBMax: 128, threads: 2, log: { info() {} }, ...(journal !== undefined && { journal }) })

/** A lake with some rows, closed. */
const makeLake = async (journal?: string) => {
  const lake = await openTemp(journal)
  const steps = Array.from({ length: 5000 }, (_, i) => i)
  await lake.write(
    [
      frame(steps, [
        int('v', steps),
        float(
          'w',
          steps.map(i => i / 3),
        ),
      ]),
    ],
    1,
  )
  await lake.close()
}

describe('a lake that cannot be used says so', () => {
  it('garbage', async () => {
    await writeFile(file, 'no database at all '.repeat(1000))
    await expect(openTemp()).rejects.toThrow(LakeDamagedError)
    await expect(openTemp()).rejects.toThrow(/set it aside/)
  })
  it('an empty file', async () => {
    await writeFile(file, '')
    await expect(openTemp()).rejects.toThrow(LakeDamagedError)
  })
  it('a file cut short', async () => {
    await makeLake()
    const { size } = await stat(file)
    const handle = await open(file, 'r+')
    await handle.truncate(Math.floor(size / 2))
    await handle.close()
    await expect(openTemp().then(lake => collect(lake.read(everything)))).rejects.toThrow(LakeDamagedError)
  })
  it('a header with a flipped bit', async () => {
    await makeLake()
    const bytes = await readFile(file)
    bytes[4096 + 40] = (bytes[4096 + 40] ?? 0) ^ 1
    bytes[8192 + 40] = (bytes[8192 + 40] ?? 0) ^ 1
    await writeFile(file, bytes)
    await expect(openTemp()).rejects.toThrow(LakeDamagedError)
  })
  it('another layout', async () => {
    await makeLake()
    const instance = await DuckDBInstance.create(file)
    const connection = await instance.connect()
    await connection.run("update meta set value = '0' where key = 'layout'")
    connection.closeSync()
    instance.closeSync()
    await expect(openTemp()).rejects.toThrow(/layout 0/)
    await expect(openTemp()).rejects.toThrow(LakeDamagedError)
  })
  it('a database that is no lake of ours', async () => {
    const instance = await DuckDBInstance.create(file)
    const connection = await instance.connect()
    await connection.run('create table meta (key integer)')
    connection.closeSync()
    instance.closeSync()
    await expect(openTemp()).rejects.toThrow(LakeDamagedError)
  })
  it('another journal', async () => {
    await makeLake('epoch-1')
    await expect(openTemp('epoch-2')).rejects.toThrow(/epoch-1/)
    const lake = await openTemp('epoch-1')
    expect(await lake.cursor()).toBe(1)
    await lake.close()
  })
  it('a folder in its place: the fault of who configured it', async () => {
    file = folder
    await expect(openTemp()).rejects.toThrow(UserError)
  })
})

const writer = fileURLToPath(new URL('fixtures/lake-writer.ts', import.meta.url))
const startWriter = (first: number): ChildProcess =>
  spawn(process.execPath, ['--conditions=@penstock/source', '--import', 'tsx', writer, file, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
/** Resolves with the last write that the child said is durable, once it has said so many, and the child is dead. */
const killAfter = async (child: ChildProcess, writes: number): Promise<number> => {
  let last = -1
  let said = 0
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    last = Number(line)
    if (++said === writes) child.kill('SIGKILL')
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return last
}

describe('one lake, one process', () => {
  it('says who has it open', async () => {
    const child = startWriter(0)
    await once(createInterface({ input: child.stdout as NodeJS.ReadableStream }), 'line')
    const refused = await openTemp().catch((error: unknown) => error)
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(refused).toBeInstanceOf(UserError)
    expect(String(refused)).toContain(`in use by process ${child.pid}`)
  })
  it('killed again and again, it has exactly the rows that its cursor says', async () => {
    let next = 0
    for (const writes of [3, 11, 29]) {
      const last = await killAfter(startWriter(next), writes)
      const lake = await openTemp()
      const cursor = await lake.cursor()
      expect(cursor).toBeGreaterThanOrEqual(last)
      for (const [stream, its] of [
        ['a', (seq: number) => seq % 3 === 0],
        ['b', (seq: number) => seq % 3 !== 0],
      ] as const) {
        const rows = await rowsOf(lake, { site: 's', device: 'd', stream })
        const wanted = Array.from({ length: cursor + 1 }, (_, seq) => seq).filter(its)
        const wantedValues = wanted.flatMap(seq => Array.from({ length: 500 }, (_, i) => seq * 500 + i))
        expect(rows.map(row => row.v)).toEqual(wantedValues)
      }
      await lake.close()
      next = cursor + 1
    }
  })
})

it('a failed write leaves nothing of itself, and the next one is whole', async () => {
  const lake = await openTemp()
  await lake.write([frame([0, 1], [int('v', [1, 2])])], 1)
  const values = new Proxy([3, 4], {
    get(target, key) {
      if (key === '1') throw new Error('the memory is gone')
      return Reflect.get(target, key)
    },
  })
  const broken = frame([1, 2], [int('v', values)], { device: '2' })
  await expect(lake.write([frame([2], [int('v', [5])]), broken], 2)).rejects.toThrow('the memory is gone')
  await lake.write([frame([1, 3], [int('v', [6, 7])])], 3)
  expect((await rowsOf(lake)).map(row => row.v)).toEqual([1, 6, 7])
  expect((await lake.streams()).map(s => s.rows)).toEqual([3])
  await lake.close()
})

it('the write-ahead log does not grow without bound, and a lake of many writes opens again', async () => {
  const lake = await openTemp()
  let walMax = 0
  const rows = 20_000
  for (let seq = 1; seq <= 60; seq++) {
    const values = Array.from({ length: rows }, (_, i) => Math.sin(seq * rows + i))
    const offsets = values.map((_, i) => i * 1000)
    await lake.write([frame(offsets, [float('v', values)], { startNs: BigInt(seq) * 1_000_000_000n })], seq)
    walMax = Math.max(walMax, (await stat(`${file}.wal`).catch(() => ({ size: 0 }))).size)
  }
  expect(walMax).toBeLessThan(64 * 2 ** 20)
  await lake.close()
  const again = await openTemp()
  expect((await again.streams())[0]?.rows).toBe(60 * rows)
  await again.close()
})
