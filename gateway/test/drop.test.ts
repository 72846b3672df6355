import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import {
  access,
  appendFile,
  chmod,
  link,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { moveFile } from '../src/file-mover.ts'
import { type DropOptions, dropOptions, openDrop } from '../src/sources/drop.ts'
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
let cloud: ReturnType<typeof newCloud>
const running: { stop(): Promise<void> }[] = []
beforeEach(async () => {
  ;({ path: folder, remove } = await tempFolder())
  durable = newDurable()
  cloud = newCloud(durable)
})
afterEach(async () => {
  for (const source of running.splice(0)) await source.stop()
  await remove()
})

const numbersFormat = { kind: 'lines', pattern: '^(?<n>\\d+)$', columns: { n: 'int' } }
const optionsOf = (more: object = {}): DropOptions => ({
  ...dropOptions.parse({
    id: 'inbox',
    kind: 'drop',
    folder,
    format: numbersFormat,
    stableMs: 40,
    pollMsMax: 20,
    ...more,
  }),
  site: 'Lab',
  zone: 'UTC',
})
const run = (more: object = {}) => {
  const deps = newDeps(cloud.receipts)
  const source = openDrop(optionsOf(more), deps)
  const run = { ...start(source, durable), source, deps }
  running.push(run)
  return run
}
const file = (name: string) => join(folder, name)
const numbers = () => valuesOf(durable, 'n')
const upTo = (n: number, from = 1) => Array.from({ length: n - from + 1 }, (_, i) => from + i)
const lines = (from: number, to: number) => `${upTo(to, from).join('\n')}\n`
const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )
const read = (n: number) =>
  until(
    () => countOf(durable),
    seen => seen >= n,
  )
/** Gives receipts for all that is durable, again and again, until the file has gone. */
const moved = (name: string) =>
  until(
    () => {
      cloud.store()
      return exists(file(name))
    },
    there => !there,
  )
const filesIn = (name: string) =>
  readdir(file(name)).then(
    names => names.sort(),
    () => [],
  )

describe('a file that is dropped', () => {
  it('is read whole, and moved to done/ only after the receipt', async () => {
    const { source } = run()
    await writeFile(file('a.txt'), '1\nnoise\n2\n3')
    await read(3)
    expect(numbers()).toEqual([1, 2, 3])
    expect(ledgerOf(durable).get('a.txt#1')).toMatchObject({
      rowsRead: 4,
      rowsStored: 3,
      rowsRejected: 1,
      bytes: 12 - 1,
      complete: true,
    })
    await until(
      () => durable.cursor,
      c => 'move:a.txt' in c,
    )
    await new Promise(resolve => setTimeout(resolve, 100))
    expect(await exists(file('a.txt'))).toBe(true)
    await moved('a.txt')
    expect(await readFile(file('done/a.txt'), 'utf8')).toBe('1\nnoise\n2\n3')
    await until(
      () => durable.cursor,
      c => !('move:a.txt' in c),
    )
    expect(source.health()).toEqual({ health: 'ok' })
  })

  it('is left alone while it grows and under a temporary name', async () => {
    run({ stableMs: 150 })
    await writeFile(file('a.txt'), '1\n')
    for (const name of ['.b.txt', 'b.txt.part', 'b.txt.crdownload', 'b.txt~', 'b.tmp'])
      await writeFile(file(name), '9\n')
    for (let i = 2; i < 12; i++) {
      await new Promise(resolve => setTimeout(resolve, 30))
      await appendFile(file('a.txt'), `${i}\n`)
    }
    expect(countOf(durable)).toBe(0)
    await read(11)
    expect(numbers()).toEqual(upTo(11))
    await rename(file('b.txt.part'), file('b.txt'))
    await read(12)
    expect([...ledgerOf(durable).keys()]).toEqual(['a.txt#1', 'b.txt#1'])
  })

  it('waits while another program has it open for writing, says so, and is read when it is closed', async () => {
    const script =
      "const fs=require('fs');const f=fs.openSync(process.argv[1],'a');fs.writeSync(f,'1\\n2\\n');console.log('open');process.stdin.on('end',()=>process.exit()).resume()"
    const writer = spawn(process.execPath, ['-e', script, file('a.txt')], { stdio: ['pipe', 'pipe', 'inherit'] })
    await once(writer.stdout, 'data')
    const { source } = run()
    const told = await until(
      () => source.health().message,
      message => message !== undefined,
    )
    expect(told).toMatch(/^a\.txt is not complete: it is open for writing in node.* \(process \d+\)$/)
    expect(countOf(durable)).toBe(0)
    writer.stdin.end()
    await read(2)
    await until(
      () => source.health(),
      health => health.message === undefined,
    )
  })

  it('waits for its last line, which is no row, and for the file beside it', async () => {
    const { source } = run({ complete: { lastLine: '^# finished$', file: '{stem}.ok' }, pattern: '*.txt' })
    await writeFile(file('a.txt'), '1\n2\n')
    const message = () => source.health().message ?? ''
    await until(message, m => m.includes('a.ok does not lie beside it yet'))
    await writeFile(file('a.ok'), '')
    await until(message, m => m.includes('its last line does not match /^# finished$/u'))
    await appendFile(file('a.txt'), '# finished\r\n')
    await moved('a.txt')
    expect(numbers()).toEqual([1, 2])
    expect(ledgerOf(durable).get('a.txt#1')).toMatchObject({ rowsRead: 2, rowsRejected: 0, bytes: 4, complete: true })
    expect(await exists(file('done/a.txt'))).toBe(true)
  })

  it('waits until it says of itself that it is finished, or until it was waited for long enough', async () => {
    const head =
      'BlockSize,3    \nTraceName,Time,PulseHeight\n//StartDate,2022/03/14\n//StartTime,10:07:40\n//TimeResolution,1.000000e-006\n'
    const { source, deps } = run({ format: { kind: 'we7000' }, complete: { says: true, waitMsMax: 400 } })
    await writeFile(file('a.csv'), `${head}0,10,700\n1,20,700\n`)
    await until(
      () => source.health().message ?? '',
      m => m === 'a.csv is not complete: it does not say of itself that it is finished',
    )
    expect(countOf(durable)).toBe(0)
    await appendFile(file('a.csv'), '2,30,700\n')
    await read(3)
    await writeFile(file('b.csv'), `${head}0,10,700\n`)
    await read(4)
    expect(deps.said.some(text => text.startsWith('the file is read although it is not complete'))).toBe(true)
  })

  it('goes to failed/ when nothing could be read, and to done/ when it holds no row', async () => {
    run({ format: { kind: 'csv', time: { column: 't' }, columns: { n: 'int' } } })
    await writeFile(file('bad.csv'), 't,n\nnever,1\nnowhere,2\n')
    await writeFile(file('empty.csv'), '')
    await writeFile(file('header.csv'), 't,n\n')
    await moved('bad.csv')
    await moved('empty.csv')
    await moved('header.csv')
    expect(await filesIn('failed')).toEqual(['bad.csv', 'empty.csv'])
    expect(await filesIn('done')).toEqual(['header.csv'])
    expect(durable.batches.flatMap(b => b.rejects)).toHaveLength(2)
    expect(ledgerOf(durable).get('bad.csv#1')).toMatchObject({
      rowsRead: 2,
      rowsStored: 0,
      rowsRejected: 2,
      complete: true,
    })
  })

  it('is new when it has the same name and other content, and never takes the place of another in done/', async () => {
    run()
    await writeFile(file('a.txt'), '1\n')
    await read(1)
    await moved('a.txt')
    await writeFile(file('a.txt'), '2\n3\n')
    await read(3)
    await moved('a.txt')
    expect(await filesIn('done')).toEqual(['a.2.txt', 'a.txt'])
    expect(await readFile(file('done/a.txt'), 'utf8')).toBe('1\n')
    expect([...ledgerOf(durable).keys()]).toEqual(['a.txt#1', 'a.txt#2'])
  })

  it('adds nothing when the same content comes again, under its name or another, now or after a restart', async () => {
    const first = run()
    await writeFile(file('a.txt'), lines(1, 3))
    await read(3)
    await moved('a.txt')
    await writeFile(file('a.txt'), lines(1, 3))
    await moved('a.txt')
    await first.stop()
    const second = run()
    await writeFile(file('b.txt'), lines(1, 3))
    await moved('b.txt')
    expect(numbers()).toEqual([1, 2, 3])
    expect(await filesIn('done')).toEqual(['a.2.txt', 'a.txt', 'b.txt'])
    expect(ledgerOf(durable).get('a.txt#1')).toMatchObject({ rowsRead: 3, complete: true })
    expect(ledgerOf(durable).get('b.txt#1')).toMatchObject({ rowsRead: 0, complete: true })
    expect(ledgerOf(durable).size).toBe(2)
    expect(second.deps.said.join()).toMatch(/the same content again/)
  })

  it('is read again as a new generation when it is changed while it waits for its receipt', async () => {
    run()
    await writeFile(file('a.txt'), '1\n')
    await until(
      () => durable.cursor,
      c => 'move:a.txt' in c,
    )
    await writeFile(file('a.txt'), '1\n2\n')
    await read(3)
    await moved('a.txt')
    expect(await readFile(file('done/a.txt'), 'utf8')).toBe('1\n2\n')
    expect(numbers()).toEqual([1, 1, 2])
  })

  it('comes with two thousand others: each is read once, and moved when the cloud has it', async () => {
    const n = 2_000
    for (let k = 0; k < n; k++) writeFileSync(file(`${k}.txt`), `${k}\n`)
    run()
    await until(
      () => {
        cloud.store()
        return filesIn('done')
      },
      names => names.length === n,
      50_000,
    )
    expect(new Set(numbers()).size).toBe(n)
    expect(countOf(durable)).toBe(n)
  }, 60_000)

  it('is found in folders below, but not in done/ and failed/', async () => {
    run({ pattern: '**/*.txt' })
    await mkdir(file('2026/03'), { recursive: true })
    await writeFile(file('2026/03/a.txt'), '1\n')
    await read(1)
    await moved('2026/03/a.txt')
    expect(await exists(file('done/2026/03/a.txt'))).toBe(true)
    await writeFile(file('b.txt'), '2\n')
    await read(2)
    await new Promise(resolve => setTimeout(resolve, 150))
    expect(numbers()).toEqual([1, 2])
  })
})

describe('a world that does not help', () => {
  it('says that a missing folder is waited for', async () => {
    await rm(folder, { recursive: true })
    const { source } = run()
    await until(
      () => source.health(),
      h => h.health === 'failing' && /does not exist; waiting for it/.test(h.message ?? ''),
    )
    await mkdir(folder)
    await writeFile(file('a.txt'), '1\n')
    await read(1)
    await until(
      () => source.health(),
      h => h.health === 'ok',
    )
  })

  it('goes on reading when a file cannot be moved, says so, and moves it when it can', async () => {
    await writeFile(file('blocked'), 'a file where the folder should be')
    const { source } = run({ pattern: '*.txt', doneFolder: 'blocked/done' })
    await writeFile(file('a.txt'), '1\n')
    await read(1)
    await until(
      () => {
        cloud.store()
        return source.health()
      },
      h => h.health === 'failing' && /a\.txt is stored but cannot be moved to /.test(h.message ?? ''),
    )
    await writeFile(file('b.txt'), '2\n')
    await read(2)
    expect(numbers()).toEqual([1, 2])
    await rm(file('blocked'))
    await moved('a.txt')
    await moved('b.txt')
    await until(
      () => source.health(),
      h => h.health === 'ok',
    )
  })

  it.skipIf(process.getuid?.() === 0)('says that a folder is read-only (not run as root)', async () => {
    const { source } = run()
    await writeFile(file('a.txt'), '1\n')
    await read(1)
    await chmod(folder, 0o555)
    await until(
      () => {
        cloud.store()
        return source.health()
      },
      h => h.health === 'failing' && /no permission/.test(h.message ?? ''),
    )
    await chmod(folder, 0o755)
    await moved('a.txt')
  })

  const otherDisk = '/dev/shm'
  const isOther = async () => (await exists(otherDisk)) && (await stat(otherDisk)).dev !== (await stat(folder)).dev
  it('moves a file to another file system (not run: needs a second one)', async context => {
    if (!(await isOther())) return context.skip()
    const done = join(otherDisk, `penstock-${process.pid}-${Date.now()}`)
    try {
      run({ doneFolder: done })
      await writeFile(file('a.txt'), '1\n')
      await read(1)
      await moved('a.txt')
      await writeFile(file('a.txt'), '2\n')
      await read(2)
      await moved('a.txt')
      expect((await readdir(done)).sort()).toEqual(['a.2.txt', 'a.txt'])
      expect(await readFile(join(done, 'a.txt'), 'utf8')).toBe('1\n')
    } finally {
      await rm(done, { recursive: true, force: true })
    }
  })
})

describe('a kill', () => {
  it('at any batch of a big file loses and repeats nothing', async () => {
    const n = 200_000
    await writeFile(file('big.txt'), lines(1, n))
    for (let stopAfter = 1; countOf(durable) < n || !('move:big.txt' in durable.cursor); stopAfter++) {
      const stop = new AbortController()
      const source = openDrop(optionsOf({ stableMs: 0 }), newDeps(cloud.receipts))
      let taken = 0
      for await (const batch of source.batches({ ...durable.cursor }, stop.signal)) {
        // The batch that comes next is lost with the process: the generator never hears of it again.
        if (taken === (stopAfter % 3) + 1) break
        durable.batches.push(batch)
        for (const [key, value] of Object.entries(batch.cursor)) {
          if (value === null) delete durable.cursor[key]
          else durable.cursor[key] = value
        }
        taken++
        if ('move:big.txt' in durable.cursor) break
      }
      stop.abort()
      expect(stopAfter).toBeLessThan(30)
    }
    expect(numbers()).toEqual(upTo(n))
    expect(ledgerOf(durable).get('big.txt#1')).toMatchObject({ rowsRead: n, rowsStored: n, complete: true })
    expect(ledgerOf(durable).size).toBe(1)
    run()
    await moved('big.txt')
    await until(
      () => durable.cursor,
      c => !('move:big.txt' in c),
    )
    expect(countOf(durable)).toBe(n)
  })

  it('between the move and its note does no harm', async () => {
    const first = run()
    await writeFile(file('a.txt'), '1\n')
    await until(
      () => durable.cursor,
      c => 'move:a.txt' in c,
    )
    await first.kill()
    await mkdir(file('done'))
    await rename(file('a.txt'), file('done/a.txt'))
    run()
    await until(
      () => {
        cloud.store()
        return durable.cursor
      },
      c => !('move:a.txt' in c),
    )
    expect(await filesIn('done')).toEqual(['a.txt'])
    expect(numbers()).toEqual([1])
  })
})

describe('moveFile', () => {
  it('finishes a move that was cut between the new name and the old', async () => {
    await mkdir(file('done'))
    await writeFile(file('a.txt'), 'x')
    await link(file('a.txt'), file('done/a.txt'))
    expect(await moveFile(file('a.txt'), file('done/a.txt'))).toBe(file('done/a.txt'))
    expect(await filesIn('.')).toEqual(['done'])
    expect(await filesIn('done')).toEqual(['a.txt'])
  })
  it('takes the next free name', async () => {
    await mkdir(file('done'))
    for (const name of ['a.tar.gz', 'done/a.tar.gz', 'done/a.tar.2.gz']) await writeFile(file(name), name)
    expect(await moveFile(file('a.tar.gz'), file('done/a.tar.gz'))).toBe(file('done/a.tar.3.gz'))
    expect(await readFile(file('done/a.tar.gz'), 'utf8')).toBe('done/a.tar.gz')
  })
})

const sample = fileURLToPath(new URL('../../../shared/data/stores/counts-2024-07.csv', import.meta.url))
const zones = {
  Madrid: 'Europe/Madrid',
  Paris: 'Europe/Paris',
  Berlin: 'Europe/Berlin',
  Roma: 'Europe/Rome',
  London: 'Europe/London',
}
const hasSample = await exists(sample)
describe.skipIf(!hasSample)('real files (not run: needs ../shared/data)', () => {
  it('reads counts-2024-07.csv: 28,993 rows = 28,688 stored + 305 rejected; again: nothing', async () => {
    const counts = {
      kind: 'csv',
      time: { date: 'date', hour: 'hour', zone: { by: 'shop', zones } },
      tags: { site: { column: 'shop' }, device: { column: 'sensor_id' }, stream: 'count' },
      nullTexts: ['', 'NULL'],
      columns: { count: { type: 'int', required: true, status: { '-1': 'failed', '-2': 'closed' } }, units: 'text' },
    }
    run({ format: counts })
    const text = await readFile(sample)
    await writeFile(file('counts-2024-07.csv'), text)
    await until(
      () => ledgerOf(durable).get('counts-2024-07.csv#1'),
      line => line?.complete === true,
    )
    expect(ledgerOf(durable).get('counts-2024-07.csv#1')).toMatchObject({
      rowsRead: 28_993,
      rowsStored: 28_688,
      rowsRejected: 305,
    })
    expect(rowsOf(durable)).toHaveLength(28_688)
    expect(durable.batches.flatMap(b => b.rejects)).toHaveLength(305)
    await moved('counts-2024-07.csv')
    await writeFile(file('counts-2024-07.csv'), text)
    await moved('counts-2024-07.csv')
    expect(countOf(durable)).toBe(28_688)
    expect(ledgerOf(durable).size).toBe(1)
  })
})
