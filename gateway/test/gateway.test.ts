import { randomBytes } from 'node:crypto'
import { appendFile, mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Json } from '@penstock/frame'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type GatewayConfig, loadGatewayConfig } from '../src/config.ts'
import { followConfig, watchConfig } from '../src/config-watch.ts'
import { type Gateway, type GatewayDeps, openGateway } from '../src/gateway.ts'
import type { Batch } from '../src/source.ts'
import { tempFolder, until } from './harness.ts'
import { type HttpCloud, numbersOf, openHttpCloud } from './http-cloud.ts'

let folder: string
let remove: () => Promise<void>
let cloud: HttpCloud
let url: string
const endings: (() => Promise<void>)[] = []
beforeEach(async () => {
  ;({ path: folder, remove } = await tempFolder())
  cloud = await openHttpCloud()
  ;({ url } = await cloud.listen())
})
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end()
  await cloud.close()
  await remove()
})

type Source = { [key: string]: Json }
const tail = (name: string, more: Source = {}): Source => ({
  id: name,
  kind: 'tail',
  folder: name,
  pattern: '*.csv',
  stream: name,
  pollMsMax: 50,
  format: { kind: 'csv', time: { column: 't' }, columns: { n: 'int' } },
  ...more,
})
const configFile = () => join(folder, 'gateway.yaml')
const textOf = (sources: Source[], more: Source = {}): string =>
  JSON.stringify({ gateway: 'lab', zone: 'UTC', uplink: { kind: 'http', url }, sources, ...more })
const load = () => loadGatewayConfig(configFile(), { TOKEN: 'hunter2' })
const configOf = async (sources: Source[], more: Source = {}): Promise<GatewayConfig> => {
  await writeFile(configFile(), textOf(sources, more))
  return load()
}

const said: string[] = []
const log = {
  info: (o: object, m: string) => void said.push(`${m} ${JSON.stringify(o)}`),
  warn: (o: object, m: string) => void said.push(`${m} ${JSON.stringify(o)}`),
  error: (o: object, m: string) => void said.push(`${m} ${JSON.stringify(o)}`),
}
const run = async (config: GatewayConfig, more: Partial<GatewayDeps> = {}) => {
  const deps = { version: '1', configFile: 'gateway.yaml', now: () => new Date(), random: () => 0, log, ...more }
  const gateway = await openGateway(config, deps)
  const stop = new AbortController()
  const done = gateway.run(stop.signal)
  const end = async () => {
    stop.abort()
    await done
  }
  endings.push(end)
  return { gateway, end }
}

/** Appends numbered rows to a file until it is told to stop; says how many. */
const writer = (name: string) => {
  let rows = 0
  let isStopped = false
  const file = join(folder, name, 'rows.csv')
  const line = () => `${new Date(Date.UTC(2026, 0, 1) + rows * 1000).toISOString()},${rows++}\n`
  const done = (async () => {
    await mkdir(join(folder, name), { recursive: true })
    await appendFile(file, 't,n\n')
    while (!isStopped) {
      await appendFile(file, Array.from({ length: 20 }, line).join(''))
      await sleep(2)
    }
  })()
  const stop = async () => {
    isStopped = true
    await done
    return rows
  }
  endings.push(async () => void (await stop()))
  return stop
}
const count = (n: number) => Array.from({ length: n }, (_, i) => i)
const received = (stream: string) => numbersOf(cloud.envelopes, stream, 'n')
const allReceived = async (stream: string, rows: number) => {
  await until(
    () => received(stream).length,
    n => n >= rows,
  )
  expect(received(stream)).toEqual(count(rows))
}

describe('another configuration', () => {
  it('restarts what differs, and nothing is lost or read twice, however often', async () => {
    const writers = ['a', 'b'].map(writer)
    const { gateway } = await run(await configOf([tail('a'), tail('b')]))
    for (let i = 1; i <= 12; i++) {
      await until(
        () => received('b').length,
        n => n > i * 20,
      )
      // The same reading, another source: all of it is closed and opened again.
      const next = await configOf([tail('a'), tail('b', { pollMsMax: 50 + i })])
      expect(await gateway.apply(next)).toEqual({ started: ['b'], stopped: ['b'], kept: ['a'], rerouted: false })
    }
    const [a = 0, b = 0] = await Promise.all(writers.map(stop => stop()))
    await allReceived('a', a)
    await allReceived('b', b)
    expect(gateway.snapshot().sources).toMatchObject([
      { id: 'a', kind: 'tail', health: 'ok', rows: a, rejects: 0, options: { folder: join(folder, 'a') } },
      { id: 'b', rows: b, options: { pollMsMax: 62 } },
    ])
  })

  it('starts what is new, stops what is gone, and goes on where that stood when it comes back', async () => {
    const stopB = writer('b')
    const { gateway } = await run(await configOf([tail('b')]))
    await until(
      () => received('b').length,
      n => n > 0,
    )
    const stopA = writer('a')
    expect(await gateway.apply(await configOf([tail('a')]))).toMatchObject({ started: ['a'], stopped: ['b'], kept: [] })
    const had = received('b').length
    await until(
      () => received('a').length,
      n => n > 100,
    )
    expect(received('b').length).toBe(had)
    expect(gateway.snapshot().sources.map(source => source.id)).toEqual(['a'])
    await gateway.apply(await configOf([tail('a'), tail('b')]))
    await allReceived('b', await stopB())
    await allReceived('a', await stopA())
  })

  it('with another uplink sends on there, from the same spool', async () => {
    const stop = writer('a')
    const { gateway } = await run(await configOf([tail('a')]))
    await until(
      () => received('a').length,
      n => n > 0,
    )
    const other = await cloud.listen()
    const next = await configOf([tail('a')], { uplink: { kind: 'http', url: other.url, token: { env: 'TOKEN' } } })
    expect(await gateway.apply(next)).toEqual({ started: [], stopped: [], kept: ['a'], rerouted: true })
    await allReceived('a', await stop())
    expect(other.requests()).toBeGreaterThan(0)
    const { uplink } = gateway.snapshot()
    expect(uplink).toMatchObject({ kind: 'http', url: other.url, connected: true })
    expect(JSON.stringify(gateway.snapshot())).not.toContain('hunter2')
  })

  it.each([
    ['gateway', { gateway: 'other', site: 'lab' }],
    ['data', { data: 'elsewhere' }],
    ['spool', { spool: { bytesMax: '2 GiB' } }],
    ['page', { page: { port: 8099 } }],
  ])('of %s needs a restart: one sentence, and all goes on as it was', async (what, more) => {
    const { gateway } = await run(await configOf([tail('a')], { site: 'lab' }))
    const before = gateway.snapshot().configuredAt
    const applied = await gateway.apply(await configOf([tail('a'), tail('b')], { site: 'lab', ...more }))
    const sentence = `gateway.yaml: a change of ${what} needs a restart; until then the gateway goes on with the configuration it had`
    expect(applied).toMatchObject({ started: [], stopped: [], refused: sentence })
    expect(gateway.snapshot()).toMatchObject({ gateway: 'lab', configuredAt: before, configProblem: sentence })
    expect(gateway.snapshot().sources).toHaveLength(1)
    await gateway.apply(await configOf([tail('a')], { site: 'lab' }))
    expect(gateway.snapshot().configProblem).toBeUndefined()
  })

  it('does not wait for a source that a full spool holds; what it had in hand is read again', async () => {
    const rows = 30_000
    await mkdir(join(folder, 'a'))
    const noise = () => randomBytes(60).toString('base64')
    const text = count(rows).map(n => `${new Date(Date.UTC(2026, 0, 1) + n * 1000).toISOString()},${n},${noise()}\n`)
    await writeFile(join(folder, 'a', 'rows.csv'), `t,n,x\n${text.join('')}`)
    const format = { kind: 'csv', time: { column: 't' }, columns: { n: 'int', x: 'text' } }
    const source = (pollMsMax: number) => tail('a', { format, pollMsMax })
    const nowhere = { uplink: { kind: 'http', url: 'http://127.0.0.1:1' } }
    const small = (config: GatewayConfig) => ({
      ...config,
      spool: { ...config.spool, bytesMax: 1024 * 1024, segmentBytesMax: 256 * 1024 },
    })
    const { gateway } = await run(small(await configOf([source(50)], nowhere)), { stopMsMax: 50 })
    await until(
      () => gateway.snapshot().spool.full,
      full => full,
    )
    const next = small(await configOf([source(60)], nowhere))
    expect(await gateway.apply(next)).toMatchObject({ started: ['a'], stopped: ['a'] })
    expect(said.at(-2)).toMatch(/a source gave up its last batch: the spool is full/)
    await gateway.apply(small(await configOf([source(60)])))
    await allReceived('a', rows)
  })
})

describe('the gateway', () => {
  it('says what it has: rows, rate, ledger, spool; and hands on each durable batch', async () => {
    const stopWriting = writer('a')
    const batches: [string, Batch][] = []
    const { gateway } = await run(await configOf([tail('a')]), {
      onBatch: (id, batch) => void batches.push([id, batch]),
    })
    const rows = await stopWriting()
    await allReceived('a', rows)
    const seen = await until(
      () => gateway.snapshot(),
      snapshot => snapshot.spool.waiting === 0,
    )
    expect(seen).toMatchObject({
      gateway: 'lab',
      version: '1',
      configFile: 'gateway.yaml',
      uplink: { connected: true },
    })
    expect(seen.sources[0]).toMatchObject({ rows, rejects: 0, lastRowAt: expect.any(String) })
    expect(seen.sources[0]?.rowsPerMinute).toBeGreaterThan(0)
    expect(seen.ledger()).toMatchObject([{ source: 'a', file: 'rows.csv', rowsStored: rows }])
    expect(seen.spool.nextSeq).toBe(cloud.envelopes.length + 1)
    expect(new Set(batches.map(([id]) => id))).toEqual(new Set(['a']))
    expect(batches.flatMap(([, batch]) => batch.frames).reduce((n, f) => n + f.offsetsNs.length, 0)).toBe(rows)
  })

  it('says how old the oldest is of what the cloud has not, also after a restart', async () => {
    const stopWriting = writer('a')
    const config = await configOf([tail('a')], { uplink: { kind: 'http', url: 'http://127.0.0.1:1' } })
    let clockMs = Date.UTC(2026, 5, 1, 12)
    const now = () => new Date(clockMs)
    const first = await run(config, { now })
    const grown = (gateway: Gateway, from: number) =>
      until(
        () => gateway.snapshot().spool.nextSeq,
        n => n > from,
      )
    for (let i = 0; i < 5; i++) {
      const at = await grown(first.gateway, 1)
      clockMs += 3_600_000
      await grown(first.gateway, at)
    }
    const { spool } = first.gateway.snapshot()
    expect(spool).toMatchObject({ waiting: spool.nextSeq - 1, oldestAt: '2026-06-01T12:00:00.000Z' })
    await first.end()
    const { gateway } = await run(config, { now })
    expect(gateway.snapshot().spool.oldestAt).toBe('2026-06-01T12:00:00.000Z')
    const applied = await gateway.apply(await configOf([tail('a')]))
    expect(applied.rerouted).toBe(true)
    await stopWriting()
    await until(
      () => gateway.snapshot().spool,
      seen => seen.waiting === 0 && seen.oldestAt === undefined,
    )
  })

  it('makes the last batch durable when it ends, and goes on behind it when it comes back', async () => {
    const stopWriting = writer('a')
    for (let i = 0; i < 3; i++) {
      const had = received('a').length
      const { end } = await run(await configOf([tail('a')]))
      await until(
        () => received('a').length,
        n => n > had,
      )
      await end()
    }
    const rows = await stopWriting()
    await run(await configOf([tail('a')]))
    await allReceived('a', rows)
  })

  it('is refused a second time on the same spool, with the exit code for it', async () => {
    const config = await configOf([tail('a')])
    await run(config)
    const deps = { version: '1', configFile: 'x', now: () => new Date(), random: () => 0, log }
    await expect(openGateway(config, deps)).rejects.toMatchObject({ name: 'UserError', exitCode: 4 })
  })
})

describe('the file of the configuration', () => {
  const follow = async (gateway: Gateway) => {
    const stop = new AbortController()
    const watch = await watchConfig(configFile(), { pollMs: 25, settleMs: 60 })
    const done = followConfig(gateway, watch.changes(stop.signal), load, log)
    endings.push(async () => {
      stop.abort()
      await done
    })
    return watch
  }
  const idsOf = (gateway: Gateway) =>
    gateway
      .snapshot()
      .sources.map(source => source.id)
      .join()
  const idsAre = (gateway: Gateway, ids: string) =>
    until(
      () => idsOf(gateway),
      seen => seen === ids,
    )
  const problemIs = (gateway: Gateway, pattern: RegExp) =>
    until(
      () => gateway.snapshot().configProblem ?? '',
      seen => pattern.test(seen),
    )

  it('is taken when it was written in place, or replaced by another one', async () => {
    const { gateway } = await run(await configOf([tail('a')]))
    await follow(gateway)
    await writeFile(configFile(), textOf([tail('a'), tail('b')]))
    await idsAre(gateway, 'a,b')
    await writeFile(`${configFile()}~`, textOf([tail('b')]))
    await rename(`${configFile()}~`, configFile())
    await idsAre(gateway, 'b')
  })

  it('is waited for while it is being written: no source ends for a half of it', async () => {
    const { gateway } = await run(await configOf([tail('a'), tail('b')]))
    await follow(gateway)
    const before = gateway.snapshot().configuredAt
    // YAML of which every beginning is valid as well.
    const head = `gateway: lab\nzone: UTC\nuplink: { kind: http, url: "${url}" }\nsources:\n`
    const lines = ['a', 'b', 'c'].map(id => `  - ${JSON.stringify(tail(id))}\n`)
    await writeFile(configFile(), head)
    const seen = new Set<string>()
    for (const line of lines) {
      await sleep(20)
      await appendFile(configFile(), line)
      seen.add(idsOf(gateway))
    }
    await idsAre(gateway, 'a,b,c')
    expect([...seen]).toEqual(['a,b'])
    expect(gateway.snapshot().configuredAt > before).toBe(true)
  })

  it('is refused where it is wrong, with all that is wrong in it, and the old one goes on', async () => {
    const stopWriting = writer('a')
    const { gateway } = await run(await configOf([tail('a')]))
    await follow(gateway)
    await writeFile(
      configFile(),
      textOf([
        { ...tail('a'), patern: 'x' },
        { id: 'b', kind: 'tial' },
      ]),
    )
    await problemIs(
      gateway,
      /sources\[0\]\.patern: unknown key; did you mean "pattern"\?\n.*"tial"; did you mean "tail"/,
    )
    expect(said.at(-1)).toMatch(/the configuration is refused; the gateway goes on with the one it has .*patern/)
    const had = received('a').length
    await until(
      () => received('a').length,
      n => n > had,
    )
    await rename(configFile(), `${configFile()}.away`)
    await problemIs(gateway, /there is no such file/)
    await rename(`${configFile()}.away`, configFile())
    await writeFile(configFile(), textOf([tail('a')]))
    await problemIs(gateway, /^$/)
    await allReceived('a', await stopWriting())
  })

  it('is read again when a person asks, also for its secrets', async () => {
    const secret = join(folder, 'token')
    await writeFile(secret, 'one')
    const text = textOf([tail('a')], { uplink: { kind: 'http', url, token: { file: 'token' } } })
    await writeFile(configFile(), text)
    const { gateway } = await run(await load())
    const watch = await follow(gateway)
    watch.ask()
    await until(
      () => said.at(-1) ?? '',
      text => text.startsWith('the configuration was read again; nothing in it changed'),
    )
    await writeFile(secret, 'two')
    watch.ask()
    await until(
      () => said.at(-1) ?? '',
      text => /is in force.*"rerouted":true/.test(text),
    )
  })
})
