import { writeFileSync } from 'node:fs'
import {
  appendFile,
  copyFile,
  link,
  mkdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { formatNs, parseIsoNs } from '@penstock/frame'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openTail, type TailOptions, tailOptions } from '../src/sources/tail.ts'
import {
  countOf,
  type Durable,
  ledgerOf,
  newCloud,
  newDeps,
  newDurable,
  rowsOf,
  start,
  tempFolder,
  until,
  valuesOf,
} from './harness.ts'

let folder: string
let remove: () => Promise<void>
let durable: Durable
const running: { stop(): Promise<void> }[] = []
beforeEach(async () => {
  ;({ path: folder, remove } = await tempFolder())
  durable = newDurable()
})
afterEach(async () => {
  for (const source of running.splice(0)) await source.stop()
  await remove()
})

const optionsOf = (more: object = {}): TailOptions => {
  const parsed = tailOptions.parse({
    id: 'log',
    kind: 'tail',
    folder,
    pattern: '*.log',
    format: { kind: 'lines', pattern: '^(?<n>\\d+)$', columns: { n: 'int' } },
    pollMsMax: 20,
    ...more,
  })
  return { ...parsed, site: 'Lab', zone: parsed.zone ?? 'UTC' }
}
const run = (more: object = {}) => {
  const deps = newDeps(newCloud(durable).receipts)
  const source = openTail(optionsOf(more), deps)
  const run = { ...start(source, durable), source, deps }
  running.push(run)
  return run
}
const file = (name: string) => join(folder, name)
const numbers = () => valuesOf(durable, 'n')
const upTo = (n: number, from = 1) => Array.from({ length: n - from + 1 }, (_, i) => from + i)
const lines = (from: number, to: number) => `${upTo(to, from).join('\n')}\n`
const arrived = (expected: unknown[]) =>
  until(
    () => countOf(durable),
    n => n >= expected.length,
  ).then(() => expect(numbers()).toEqual(expected))

describe('a file that grows', () => {
  it('is read as it grows, with a half line held until it is whole', async () => {
    run()
    await writeFile(file('a.log'), '1\n2\n3')
    await arrived([1, 2])
    await appendFile(file('a.log'), '4')
    await appendFile(file('a.log'), '5\n6\n')
    await arrived([1, 2, 345, 6])
    expect(ledgerOf(durable).get('a.log#1')).toMatchObject({
      rowsRead: 4,
      rowsStored: 4,
      rowsRejected: 0,
      complete: false,
      bytes: 10,
    })
  })

  it('goes on after a restart, and reads nothing twice', async () => {
    await writeFile(file('a.log'), lines(1, 10))
    const first = run()
    await arrived(upTo(10))
    await first.stop()
    await appendFile(file('a.log'), lines(11, 15))
    run()
    await arrived(upTo(15))
    expect(ledgerOf(durable).get('a.log#1')).toMatchObject({ rowsRead: 15 })
  })

  it('tells bad lines from good ones, with their place', async () => {
    run()
    await writeFile(file('a.log'), '1\nnoise\n2\n')
    await arrived([1, 2])
    const [reject] = durable.batches.flatMap(b => b.rejects)
    expect(reject).toMatchObject({
      text: 'noise',
      origin: { source: 'log', file: 'a.log', generation: 1, firstLine: 2 },
      recipe: { format: expect.objectContaining({ kind: 'lines' }), stream: expect.any(String) },
    })
    expect(ledgerOf(durable).get('a.log#1')).toMatchObject({ rowsRead: 3, rowsStored: 2, rowsRejected: 1 })
  })

  it('reads only what matches, below folders too, and says where a folder is missing', async () => {
    await rm(folder, { recursive: true })
    const { source } = run({ pattern: ['**/*.log', '!x'] })
    await until(
      () => source.health(),
      h => h.health === 'failing' && /does not exist/.test(h.message ?? ''),
    )
    await mkdir(file('deep/er'), { recursive: true })
    await writeFile(file('deep/er/b.log'), '2\n')
    await writeFile(file('deep/c.txt'), '9\n')
    await writeFile(file('.hidden.log'), '9\n')
    await arrived([2])
    expect([...ledgerOf(durable).keys()]).toEqual(['deep/er/b.log#1'])
    await until(
      () => source.health(),
      h => h.health === 'ok',
    )
  })

  it('begins at the end of files that are there at the first start, and at the beginning of later ones', async () => {
    await writeFile(file('old.log'), lines(1, 5))
    const first = run({ startAt: 'end' })
    await until(
      () => durable.cursor,
      c => 'started' in c,
    )
    await appendFile(file('old.log'), '6\n')
    await writeFile(file('new.log'), '7\n')
    await until(numbers, seen => seen.length === 2)
    expect(new Set(numbers())).toEqual(new Set([6, 7]))
    await first.stop()
    await writeFile(file('third.log'), '8\n')
    run({ startAt: 'end' })
    await until(numbers, seen => seen.length === 3)
    expect(ledgerOf(durable).get('old.log#1')).toMatchObject({ rowsRead: 1, rowsStored: 1 })
  })

  it('reads the last line without an end once the file has rested, where that is asked for', async () => {
    run({ finishMs: 100 })
    await writeFile(file('a.log'), '1\n2')
    await arrived([1, 2])
    expect(ledgerOf(durable).get('a.log#1')).toMatchObject({ complete: true, bytes: 3 })
  })

  it('is complete at once when its last line says so, or a file beside it, and goes on where more comes', async () => {
    run({ complete: { lastLine: '^END' } })
    await writeFile(file('a.log'), '1\n2')
    await arrived([1])
    await appendFile(file('a.log'), '\nEND OF RUN')
    await until(
      () => ledgerOf(durable).get('a.log#1'),
      line => line?.complete === true,
    )
    expect(numbers()).toEqual([1, 2])
    await running.pop()?.stop()
    run({ complete: { file: '{name}.done' } })
    await writeFile(file('b.log'), '3\n4')
    await arrived([1, 2, 3])
    await writeFile(file('b.log.done'), '')
    await arrived([1, 2, 3, 4])
    expect(ledgerOf(durable).get('b.log#1')).toMatchObject({ complete: true, rowsRejected: 0 })
  })

  it('cuts a big file into batches of bounded rows and bytes', async () => {
    await writeFile(file('a.log'), lines(1, 300_000))
    run()
    await until(
      () => countOf(durable),
      n => n === 300_000,
    )
    expect(numbers()).toEqual(upTo(300_000))
    for (const batch of durable.batches) {
      expect(batch.frames.reduce((n, f) => n + f.offsetsNs.length, 0)).toBeLessThanOrEqual(98_304)
    }
    expect(durable.batches.length).toBeLessThan(60)
  })
})

describe('a file that changes its name or begins anew', () => {
  it('is read to its end after a rename, before its successor', async () => {
    const first = run()
    await writeFile(file('app.log'), '1\n2\n3')
    await arrived([1, 2])
    await first.stop()
    await appendFile(file('app.log'), '\n4\n')
    await rename(file('app.log'), file('app.log.1'))
    await writeFile(file('app.log'), '5\n')
    run()
    await arrived([1, 2, 3, 4, 5])
    expect([...ledgerOf(durable).keys()]).toEqual(['app.log#1', 'app.log#2'])
    expect(ledgerOf(durable).get('app.log#1')).toMatchObject({ rowsRead: 4 })
  })

  it('goes on under its old name in the ledger when it is renamed while it is followed', async () => {
    run({ pattern: '*' })
    await writeFile(file('app.log'), '1\n')
    await arrived([1])
    await rename(file('app.log'), file('moved.log'))
    await appendFile(file('moved.log'), '2\n')
    await arrived([1, 2])
    expect([...ledgerOf(durable).keys()]).toEqual(['app.log#1'])
  })

  it('is a new generation when it is truncated', async () => {
    run()
    await writeFile(file('a.log'), lines(1, 5))
    await arrived(upTo(5))
    await truncate(file('a.log'), 0)
    await appendFile(file('a.log'), '6\n7\n')
    await arrived(upTo(7))
    expect(ledgerOf(durable).get('a.log#2')).toMatchObject({ rowsRead: 2, rowsStored: 2 })
  })

  it('is a new generation when it is rewritten with the same size', async () => {
    run()
    await writeFile(file('a.log'), '11\n12\n')
    await arrived([11, 12])
    await writeFile(file('a.log'), '21\n22\n')
    await arrived([11, 12, 21, 22])
    expect([...ledgerOf(durable).keys()]).toEqual(['a.log#1', 'a.log#2'])
  })

  it('is a new generation when it is truncated and grows beyond where it was before anyone looked', async () => {
    const first = run()
    await writeFile(file('a.log'), lines(100, 110))
    await arrived(upTo(110, 100))
    await first.stop()
    await writeFile(file('a.log'), lines(200, 230))
    run()
    await arrived([...upTo(110, 100), ...upTo(230, 200)])
  })

  it('is read from the copy first when it is copied and truncated', async () => {
    const first = run()
    await writeFile(file('app.log'), '1\n2\n')
    await arrived([1, 2])
    await first.stop()
    await appendFile(file('app.log'), '3\n')
    await copyFile(file('app.log'), file('app.log.1'))
    await truncate(file('app.log'), 0)
    await appendFile(file('app.log'), '4\n')
    run()
    await arrived([1, 2, 3, 4])
  })

  it('does not read a copy that matches, too, while it waits for the truncation', async () => {
    run({ pattern: 'app*' })
    await writeFile(file('app.log'), '1\n2\n')
    await arrived([1, 2])
    await copyFile(file('app.log'), file('app.log.1'))
    await appendFile(file('app.log'), '3\n')
    await arrived([1, 2, 3])
    await truncate(file('app.log'), 0)
    await appendFile(file('app.log'), '4\n')
    await arrived([1, 2, 3, 4])
    expect([...ledgerOf(durable).keys()]).toEqual(['app.log#1', 'app.log#2'])
  })

  it('is a new generation when it is deleted and made again with other content', async () => {
    run()
    await writeFile(file('a.log'), '1\n2\n')
    await arrived([1, 2])
    await rm(file('a.log'))
    await writeFile(file('a.log'), '3\n')
    await arrived([1, 2, 3])
    expect(ledgerOf(durable).get('a.log#2')).toMatchObject({ rowsRead: 1 })
  })

  it('goes on when an editor replaces it by a longer one that begins the same', async () => {
    run()
    await writeFile(file('a.log'), lines(1, 3))
    await arrived(upTo(3))
    await writeFile(file('.a.log.new'), lines(1, 5))
    await rename(file('.a.log.new'), file('a.log'))
    await arrived(upTo(5))
    expect([...ledgerOf(durable).keys()]).toEqual(['a.log#1'])
  })

  it('goes on when device and inode numbers have changed, as after a remount', async () => {
    const first = run()
    await writeFile(file('a.log'), lines(1, 3))
    await arrived(upTo(3))
    await first.stop()
    const keys = Object.keys(durable.cursor).filter(key => key.startsWith('file:'))
    expect(keys).toHaveLength(1)
    for (const key of keys) {
      durable.cursor['file:99:1'] = durable.cursor[key] ?? null
      delete durable.cursor[key]
    }
    await appendFile(file('a.log'), '4\n')
    run()
    await arrived(upTo(4))
  })

  it('is forgotten a while after it was deleted', async () => {
    const { source } = run({ forgetMs: 50 })
    await writeFile(file('a.log'), '1\n')
    await arrived([1])
    await rm(file('a.log'))
    await until(
      () => Object.keys(durable.cursor).filter(key => key.startsWith('file:')),
      keys => keys.length === 0,
    )
    expect(source.health().health).toBe('ok')
  })

  it('is read once under two names of one inode', async () => {
    run()
    await writeFile(file('a.log'), '1\n')
    await link(file('a.log'), file('b.log'))
    await appendFile(file('a.log'), '2\n')
    await arrived([1, 2])
    await utimes(file('b.log'), new Date(), new Date())
    await appendFile(file('b.log'), '3\n')
    await arrived([1, 2, 3])
  })
})

describe('many files', () => {
  it('reads ten thousand in one folder, and then only what grows', async () => {
    const n = 10_000
    for (let k = 0; k < n; k++) writeFileSync(file(`${k}.log`), `${k}\n`)
    run()
    await until(
      () => countOf(durable),
      count => count === n,
      50_000,
    )
    expect(new Set(numbers()).size).toBe(n)
    const before = durable.batches.length
    expect(before).toBeLessThan(200)
    await appendFile(file('77.log'), '123456\n')
    await until(
      () => countOf(durable),
      count => count === n + 1,
    )
    expect(durable.batches.length).toBe(before + 1)
  }, 60_000)
})

const samples = fileURLToPath(new URL('../../../shared/data/lab-cns/', import.meta.url))
const gauge = {
  kind: 'csv',
  time: { column: 'Timestamp', layout: 'YYYY/MM/DD HH:mm:ss' },
}
const hasSamples = await stat(samples).then(
  () => true,
  () => false,
)
/** Appends a text line by line, each in two pieces with pauses between, while the source reads, and stops it once on the way. */
const writeInHalves = async (name: string, text: string, run: () => { stop(): Promise<void> }) => {
  let running = run()
  const all = text.split(/(?<=\n)/)
  for (const [i, line] of all.entries()) {
    const half = Math.floor(line.length / 2)
    await appendFile(file(name), line.slice(0, half))
    await new Promise(resolve => setTimeout(resolve, 3))
    if (i === Math.floor(all.length / 2)) {
      await running.stop()
      running = run()
    }
    await appendFile(file(name), line.slice(half))
  }
}

describe.skipIf(!hasSamples)('real files (not run: needs ../shared/data)', () => {
  it('reads gauge_short.csv written line by line in halves: all rows, once, exact times', async () => {
    const text = await readFile(join(samples, 'gauge_short.csv'), 'utf8')
    await writeInHalves('gauge.csv', text, () => run({ pattern: '*.csv', format: gauge }))
    await until(
      () => countOf(durable),
      n => n >= 18,
    )
    const lines = text.trim().split('\n').slice(1)
    const rows = rowsOf(durable)
    expect(rows.map(r => r.time)).toEqual(
      lines.map(line => `${(line.split(',')[0] ?? '').replaceAll('/', '-').replace(' ', 'T')}.000Z`),
    )
    expect(rows.map(r => r.values['Rb disp.'])).toEqual(lines.map(line => Number(line.split(',')[1])))
    const mean = rows.reduce((sum, r) => sum + (r.values['Rb disp.'] as number), 0) / rows.length
    expect(mean).toBeCloseTo(8.9338889e-7, 13)
    expect(ledgerOf(durable).get('gauge.csv#1')).toMatchObject({ rowsRead: 18, rowsStored: 18, rowsRejected: 0 })
  })

  it('reads ssd_short.csv written line by line in halves: all pulses, once, exact to the microsecond', async () => {
    const text = await readFile(join(samples, 'ssd_short.csv'), 'utf8')
    const ssd = { pattern: '*.csv', format: { kind: 'we7000' }, zone: 'Asia/Tokyo' }
    await writeInHalves('-20220314-100754-Slot1-In2.csv', text, () => run(ssd))
    await until(
      () => countOf(durable),
      n => n >= 18,
    )
    const startNs = parseIsoNs('2022-03-14T10:07:54+09:00') ?? 0n
    const pulses = text
      .trim()
      .split('\n')
      .slice(38)
      .map(line => line.split(',').map(Number))
    expect(rowsOf(durable).map(r => r.time)).toEqual(
      pulses.map(([, time]) => formatNs(startNs + BigInt(time ?? 0) * 1000n)),
    )
    expect(rowsOf(durable)[0]?.time).toBe('2022-03-14T01:07:54.553786Z')
    expect(valuesOf(durable, 'PulseHeight')).toEqual(pulses.map(([, , height]) => height))
  })
})
