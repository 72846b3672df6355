/** The main path with InfluxDB as historian: real programs, a real influxd, and both of them killed. */
import { appendFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { runFaults } from './fault-run.ts'
import { type Influxd, influxd, makeInfluxd, startInfluxd } from './influxd.ts'
import { instrumentCases } from './instrument-cases.ts'
import { type House, openHouse, type Program, runMain, until } from './programs.ts'
import { storeCountsCases, writeCloud, writeGateway } from './store-counts-cases.ts'

const tailSource = `  - id: log
    kind: tail
    folder: logs
    pollMsMax: 20
    device: d
    stream: s
    format: { kind: csv, time: { column: t, layout: iso }, columns: { v: int } }
`

describe.skipIf(!influxd)('with InfluxDB as historian', () => {
  let house: House
  let influx: Influxd
  let server: Program
  beforeEach(async () => {
    house = await openHouse()
    influx = await makeInfluxd(house.dir)
    server = await startInfluxd(influx)
  })
  afterEach(async () => {
    await server.kill('SIGKILL')
    await house.close()
  })

  storeCountsCases(
    () => house,
    () => influx.historian,
  )
  instrumentCases(
    () => house,
    () => influx.historian,
  )

  interface Ready {
    ready: boolean
    reasons: string[]
  }
  const rows = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => `${new Date(1.7e12 + (from + i) * 1000).toISOString()},${from + i}\n`)
  const stored = async () =>
    (await house.json<{ streams: { rows: number }[] }>('/v1/streams')).streams.reduce((n, s) => n + s.rows, 0)

  test('influxd is down for a while: /ready says how far the historian is behind, and it catches up', {
    timeout: 90_000,
  }, async () => {
    const file = join(house.dir, 'logs', 'a.csv')
    await mkdir(join(house.dir, 'logs'))
    await writeFile(file, `t,v\n${rows(0, 100).join('')}`)
    house.start('cloud', await writeCloud(house, influx.historian))
    house.start('gateway', await writeGateway(house, tailSource))
    await until('the first rows are stored', async () => (await stored()) === 100, 60_000)

    await server.kill('SIGKILL')
    let behind = 0
    for (let n = 100; n < 600; n += 100) {
      await appendFile(file, rows(n, n + 100).join(''))
      const before = behind
      const text = await until('/ready says it', async () => {
        const answer = await house.get('/ready')
        const { reasons } = (await answer.json()) as Ready
        const found = reasons.map(reason => /^historian cannot be written and is (\d+) entries behind/.exec(reason))
        behind = Number(found.find(match => match)?.[1] ?? 0)
        return answer.status === 503 && behind > before && reasons.find(reason => reason.startsWith('historian '))
      })
      expect(text).toContain(`InfluxDB at ${influx.url}: `)
    }

    server = await startInfluxd(influx)
    await until('all is stored', async () => (await stored()) === 600, 60_000)
    await until('the cloud is ready', async () => (await house.get('/ready')).ok, 60_000)
    const values = await influx.query('select "v" from "s"')
    expect(values.map(([, v]) => v)).toEqual(Array.from({ length: 600 }, (_, i) => i))
  })

  test('influxd not there yet when the cloud starts: readings are taken, and stored when it comes', {
    timeout: 60_000,
  }, async () => {
    await server.kill('SIGKILL')
    await mkdir(join(house.dir, 'logs'))
    await writeFile(join(house.dir, 'logs', 'a.csv'), `t,v\n${rows(0, 50).join('')}`)
    house.start('cloud', await writeCloud(house, influx.historian))
    house.start('gateway', await writeGateway(house, tailSource))
    await until('/ready says it', async () => {
      const { reasons } = (await (await house.get('/ready')).json()) as Ready
      return reasons.some(text => /^historian cannot be written and is [1-9]/.test(text))
    })
    server = await startInfluxd(influx)
    await until('all is stored', async () => (await stored()) === 50, 60_000)
  })

  test('lake and InfluxDB at once: both are filled; then InfluxDB alone, and built again', {
    timeout: 120_000,
  }, async () => {
    await mkdir(join(house.dir, 'logs'))
    await writeFile(join(house.dir, 'logs', 'a.csv'), `t,v\n${rows(0, 200).join('')}`)
    const one = influx.historian.slice('historian: '.length).trim()
    const cloud = house.start('cloud', await writeCloud(house, `historian: [lake, ${one}]\n`))
    house.start('gateway', await writeGateway(house, tailSource))
    const query = '/v1/readings?site=lab&device=d&stream=s&from=2023-01-01&to=2024-01-01&limit=1000'
    const inLake = await until('the lake has them', async () => {
      const answer = await house.get(query)
      const said = answer.ok && ((await answer.json()) as { rows: number })
      return said && said.rows === 200 && said
    })
    const inInflux = () => influx.query('select "v" from "s"')
    const hourly = () => influx.query(`select "sum", "n" from "s_hourly" where "level" = 'sensor'`)
    await until('InfluxDB has them', async () => (await inInflux()).length === 200)
    await until('and their hours', async () => (await hourly()).length === 1)
    expect((await hourly())[0]?.slice(1)).toEqual([(199 * 200) / 2, 200])
    await cloud.kill('SIGTERM')

    const yaml = await writeCloud(house, influx.historian)
    const alone = house.start('cloud', yaml)
    await until('the cloud is ready', async () => (await house.get('/ready')).ok, 60_000)
    expect(await house.json(query)).toEqual(inLake)
    await alone.kill('SIGTERM')

    const rebuild = runMain('cloud', ['rebuild', yaml, 'historian'])
    expect(await rebuild.exited).toEqual({ code: 0, signal: null })
    expect([await inInflux(), await hourly()]).toEqual([[], []])
    const checked = runMain('cloud', ['check', yaml])
    expect((await checked.exited).code).toBe(0)
    expect(checked.output()).toContain('historian: database "penstock" of InfluxDB 1.x, retention endless')
    house.start('cloud', yaml)
    await until('InfluxDB has them again', async () => (await inInflux()).length === 200, 60_000)
    await until('and their hours again', async () => (await hourly()).length === 1, 60_000)
    await until('the API answers', async () => (await house.get('/health')).ok)
    expect(await house.json(query)).toEqual(inLake)
  })

  test('gateway, influxd and cloud killed in turn: nothing lost, nothing twice', { timeout: 180_000 }, async () => {
    const report = await runFaults({
      house,
      rows: 60_000,
      kills: 6,
      msBetweenKillsMax: 3000,
      socat: undefined,
      mosquitto: undefined,
      influxd: { historian: influx.historian, running: server, start: () => influx.start() },
      log() {},
    })
    expect(report).toMatchObject({ lost: 0, twice: 0, wrong: 0, kills: { influxd: 2 } })
  })
})
