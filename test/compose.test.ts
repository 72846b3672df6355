/** What `dashboards/compose.yaml` mounts, tried without containers: the cloud's configuration, and the broker's on a real mosquitto. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadCloudConfig } from '@penstock/cloud'
import mqtt from 'mqtt'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import * as z from 'zod'
import { findProgram, freePort, until } from './programs.ts'

const folder = fileURLToPath(new URL('../dashboards', import.meta.url))
const file = (path: string) => readFile(join(folder, path), 'utf8')

const service = z.object({
  image: z.string().optional(),
  build: z.object({ context: z.string(), dockerfile: z.string() }).optional(),
  environment: z.record(z.string(), z.string()).default({}),
  volumes: z.array(z.string()),
})
const composeSchema = z.object({ services: z.record(z.string(), service), volumes: z.record(z.string(), z.null()) })
const readCompose = async () => composeSchema.parse(parse(await file('compose.yaml')))

test('every file that is mounted is there, and every volume is declared', async () => {
  const { services, volumes } = await readCompose()
  expect(Object.keys(services)).toEqual(['mosquitto', 'influxdb', 'cloud', 'grafana'])
  for (const [source = ''] of Object.values(services).flatMap(s => s.volumes.map(v => v.split(':')))) {
    if (!source.startsWith('.')) expect(Object.keys(volumes)).toContain(source)
    // Made by the person, as the file's first lines say.
    else if (source !== './secrets/passwords') expect(existsSync(join(folder, source)), source).toBe(true)
  }
  const { context = '', dockerfile = '' } = services.cloud?.build ?? {}
  expect(existsSync(resolve(folder, context, dockerfile))).toBe(true)
})

test('the cloud takes its configuration, with the variables that compose gives it', async () => {
  const { services } = await readCompose()
  const env = Object.fromEntries(Object.keys(services.cloud?.environment ?? {}).map(name => [name, `of ${name}`]))
  const config = await loadCloudConfig(join(folder, 'compose', 'cloud.yaml'), env)
  expect(config).toMatchObject({
    listen: { host: '0.0.0.0', port: 8080, token: 'of CLOUD_TOKEN' },
    broker: { kind: 'external', url: 'mqtt://mosquitto:1883', password: 'of BROKER_PASSWORD' },
    historians: [
      { kind: 'influx', version: 2, url: 'http://influxdb:8086', database: 'penstock', token: 'of INFLUX_TOKEN' },
    ],
  })
})

test('Grafana is given what its provisioning names', async () => {
  const { services } = await readCompose()
  const { environment = {}, volumes = [] } = services.grafana ?? {}
  const [source] = parse(await file('grafana/provisioning/datasources/penstock.yaml')).datasources
  expect(source).toMatchObject({
    uid: 'penstock',
    type: 'influxdb',
    url: '$PENSTOCK_QUERY_URL',
    jsonData: { dbName: 'penstock' },
  })
  expect(environment).toMatchObject({ PENSTOCK_QUERY_URL: 'http://influxdb:8086' })
  expect(environment.PENSTOCK_QUERY_AUTHORIZATION).toMatch(/^Token /)
  const [provider] = parse(await file('grafana/provisioning/dashboards/penstock.yaml')).providers
  expect(volumes).toContain(`./grafana/dashboards:${provider.options.path}:ro`)
})

const [mosquitto, passwords] = [findProgram('mosquitto'), findProgram('mosquitto_passwd')]
describe.skipIf(!mosquitto || !passwords)('the broker with the configuration of compose', () => {
  let dir: string
  let url: string
  let broker: ChildProcess
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'penstock-compose-'))
    const port = await freePort()
    url = `mqtt://127.0.0.1:${port}`
    await mkdir(join(dir, 'config'))
    await mkdir(join(dir, 'data'))
    const config = (await file('compose/mosquitto.conf'))
      .replaceAll('/mosquitto/', `${dir}/`)
      .replace('listener 1883', `listener ${port} 127.0.0.1`)
    // As root, mosquitto would become another user and could not read this folder.
    await writeFile(
      join(dir, 'config', 'mosquitto.conf'),
      `${config}user ${process.getuid?.() === 0 ? 'root' : 'nobody'}\n`,
    )
    await writeFile(join(dir, 'config', 'mosquitto.acl'), await file('compose/mosquitto.acl'), { mode: 0o600 })
    await writeFile(join(dir, 'config', 'passwords'), '', { mode: 0o600 })
    for (const name of ['penstock-cloud', 'bench', 'other']) {
      const made = spawnSync(passwords ?? '', ['-b', join(dir, 'config', 'passwords'), name, `of ${name}`])
      expect(made.status).toBe(0)
    }
    broker = spawn(mosquitto ?? '', ['-c', join(dir, 'config', 'mosquitto.conf')], { stdio: 'ignore' })
    await until('the broker answers', async () => {
      const client = await mqtt.connectAsync(url, login('bench'))
      await client.endAsync()
      return true
    })
  })
  afterAll(async () => {
    const ended = once(broker, 'exit')
    broker.kill('SIGKILL')
    await ended
    await rm(dir, { recursive: true, force: true })
  })
  const login = (username: string, password = `of ${username}`) => ({
    username,
    password,
    reconnectPeriod: 0,
    connectTimeout: 2000,
  })

  test('lets nobody in without a password', async () => {
    await expect(mqtt.connectAsync(url, { reconnectPeriod: 0 })).rejects.toThrow(/not authorized/i)
    await expect(mqtt.connectAsync(url, login('bench', 'guess'))).rejects.toThrow(/not authorized/i)
  })

  test('lets a gateway write under its own name alone', async () => {
    const cloud = await mqtt.connectAsync(url, login('penstock-cloud'))
    const gateway = await mqtt.connectAsync(url, login('bench'))
    const heard: string[] = []
    cloud.on('message', topic => heard.push(topic))
    await cloud.subscribeAsync('penstock/v1/#', { qos: 1 })
    for (const topic of ['other/frames/e/1', 'other/status', 'bench/receipt', 'bench/frames/e/1', 'bench/status']) {
      await gateway.publishAsync(`penstock/v1/${topic}`, 'x', { qos: 1 })
    }
    await until('the last one came', () => heard.includes('penstock/v1/bench/status'))
    expect(heard).toEqual(['penstock/v1/bench/frames/e/1', 'penstock/v1/bench/status'])

    const receipts: string[] = []
    gateway.on('message', topic => receipts.push(topic))
    await gateway.subscribeAsync(['penstock/v1/bench/receipt'], { qos: 1 })
    await cloud.publishAsync('penstock/v1/bench/receipt', '{}', { qos: 1 })
    await until('the receipt came', () => receipts.length > 0)
    await Promise.all([cloud.endAsync(), gateway.endAsync()])
  })
})
