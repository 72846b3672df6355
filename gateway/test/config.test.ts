import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { gatewayJsonSchema, loadGatewayConfig, openSource } from '../src/config.ts'
import { newCloud, newDeps, newDurable, tempFolder } from './harness.ts'

let folder: string
let remove: () => Promise<void>
beforeAll(async () => {
  ;({ path: folder, remove } = await tempFolder())
})
afterAll(() => remove())

const minimal = `gateway: lab
uplink: { kind: mqtt, url: "mqtt://127.0.0.1:1883" }
sources:
  - { id: demo, kind: simulate }
`
const load = async (text: string, env: Record<string, string> = {}) => {
  await mkdir(join(folder, 'etc'), { recursive: true })
  const file = join(folder, 'etc', 'gateway.yaml')
  await writeFile(file, text)
  return loadGatewayConfig(file, env)
}
const problemsOf = async (text: string, env: Record<string, string> = {}): Promise<string[]> => {
  const error = await load(text, env).then(
    () => undefined,
    (error: Error) => error,
  )
  expect(error?.name).toBe('UserError')
  return (error?.message ?? '').replaceAll(`${join(folder, 'etc')}/`, '').split('\n')
}

describe('the configuration', () => {
  it('fills in its defaults, with limits for everything', async () => {
    const config = await load(minimal)
    expect(config).toMatchObject({
      gateway: 'lab',
      dataDir: join(folder, 'etc', 'data'),
      spool: { bytesMax: 10 * 1024 ** 3, whenFull: 'block', syncDelayMsMax: 2 },
      uplink: { kind: 'mqtt', windowBytesMax: 4 * 1024 * 1024, receiptMsMax: 20_000, reconnectMsMax: 30_000 },
      sources: [{ id: 'demo', kind: 'simulate', weeksBack: 8, everyMs: 1000 }],
    })
  })

  it('asks for the zone of local times where neither source nor gateway names one', async () => {
    const text = `gateway: lab
uplink: { kind: mqtt, url: "mqtt://127.0.0.1:1883" }
sources:
  - { id: demo, kind: simulate }
  - id: log
    kind: tail
    folder: in
    format: { kind: lines, pattern: "(?<n>\\\\d+)" }
`
    expect(await problemsOf(text)).toEqual([
      expect.stringMatching(/^gateway\.yaml:\d+: sources\[1\]\.zone: is missing: say here, .* the times of "log" are/),
    ])
  })

  it('gives sources the site and zone of the gateway, and paths from the folder of the file', async () => {
    const text = `gateway: lab
zone: Asia/Tokyo
data: ../state
spool: { bytesMax: 2 GiB, whenFull: drop-oldest, syncDelayMsMax: 50 ms }
uplink: { kind: http, url: "https://cloud.example", token: { env: TOKEN } }
sources:
  - { id: log, kind: tail, folder: in, format: &lines { kind: lines, pattern: "(?<n>\\\\d+)" } }
  - { id: box, kind: drop, folder: /in, site: Store, zone: Europe/Paris, stableMs: 5 s, format: *lines }
  - { id: scale, kind: serial, port: { serialNumber: A1 }, silenceMsMax: 1 min, format: *lines }
  - { id: meter, kind: modbus, tcp: { host: plc }, everyMs: 1 s, registers: [{ name: level, at: 40001 }] }
`
    const config = await load(text, { TOKEN: 'hunter2' })
    expect(config.dataDir).toBe(join(folder, 'state'))
    expect(config.spool).toEqual({ bytesMax: 2 * 1024 ** 3, whenFull: 'drop-oldest', syncDelayMsMax: 50 })
    expect(config.uplink).toMatchObject({ kind: 'http', token: 'hunter2' })
    expect(config.sources).toMatchObject([
      { kind: 'tail', folder: join(folder, 'etc', 'in'), pattern: '*', site: 'lab', zone: 'Asia/Tokyo' },
      { kind: 'drop', folder: '/in', site: 'Store', zone: 'Europe/Paris', stableMs: 5000, doneFolder: 'done' },
      { kind: 'serial', baudRate: 9600, silenceMsMax: 60_000, flushMsMax: 200, site: 'lab' },
      { kind: 'modbus', tcp: { host: 'plc', port: 502 }, everyMs: 1000, site: 'lab' },
    ])
    const deps = newDeps(newCloud(newDurable()).receipts)
    const sources = config.sources.map(source => openSource(source, deps))
    expect(sources.map(source => [source.id, source.kind, source.health().health])).toEqual([
      ['log', 'tail', 'starting'],
      ['box', 'drop', 'starting'],
      ['scale', 'serial', 'starting'],
      ['meter', 'modbus', 'starting'],
    ])
  })

  it('tells every problem with its line and the nearest name', async () => {
    const text = `gateway: readings
zone: Europe/Pari
uplink: { kind: mqtt, url: "mqtt://me:hunter2@broker", pasword: { env: X } }
sources:
  - id: a
    kind: tail
    folder: in
    patern: "*.csv"
    format:
      kind: csv
      delimeter: ";"
  - id: a
    kind: serail
    port: /dev/ttyUSB0
  - id: b/c
    kind: serial
    port: /dev/ttyUSB0
    baudrate: 9600
    format: { kind: lines, pattern: "(?<x>\\\\d+)" }
`
    const problems = await problemsOf(text)
    expect(problems).toEqual([
      'gateway.yaml:1: gateway: "readings" is a name that the topics need for themselves; choose another',
      'gateway.yaml:2: zone: "Europe/Pari" is not an IANA time zone; did you mean "Europe/Paris"?',
      'gateway.yaml:3: uplink.url: expected an address such as mqtts://cloud.example:8883, without user and password',
      'gateway.yaml:3: uplink.pasword: unknown key; did you mean "password"?',
      'gateway.yaml:8: sources[0].patern: unknown key; did you mean "pattern"?',
      'gateway.yaml:11: sources[0].format.delimeter: unknown key; did you mean "delimiter"?',
      'gateway.yaml:12: sources[1].id: a second source "a"',
      expect.stringMatching(
        /^gateway\.yaml:13: sources\[1\]\.kind: expected one of tail, .*, got the text "serail"; did you mean "serial"\?$/,
      ),
      'gateway.yaml:15: sources[2].id: holds a "/"',
      'gateway.yaml:18: sources[2].baudrate: unknown key; did you mean "baudRate"?',
    ])
    expect(problems.join()).not.toContain('hunter2')
  })

  it('says which secret is missing', async () => {
    const text = minimal.replace(':1883"', ':1883", password: { env: MQTT_PASSWORD }')
    expect(await problemsOf(text)).toEqual([
      'the environment has no MQTT_PASSWORD, which gateway.yaml names as a secret',
    ])
  })

  it('has a JSON Schema that describes every key', () => {
    interface Schema {
      properties?: Record<string, Schema>
      items?: Schema
      oneOf?: Schema[]
      anyOf?: Schema[]
      const?: unknown
    }
    const schema = gatewayJsonSchema() as Schema
    const keys = ['gateway', 'site', 'zone', 'data', 'spool', 'uplink', 'page', 'sources']
    expect(Object.keys(schema.properties ?? {})).toEqual(keys)
    const { oneOf, anyOf } = schema.properties?.sources?.items ?? {}
    const kinds = (oneOf ?? anyOf)?.map(source => source.properties?.kind?.const)
    expect(kinds).toEqual(expect.arrayContaining(['tail', 'drop', 'serial', 'simulate']))
  })
})
