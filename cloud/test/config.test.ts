import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EXIT, UserError } from '@penstock/frame'
import { isLoopback } from '@penstock/http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cloudJsonSchema, loadCloudConfig } from '../src/config.ts'

let dir: string
let n = 0
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'penstock-config-'))
  await writeFile(join(dir, 'north.secret'), 'pw-north\n')
})
afterAll(() => rm(dir, { recursive: true }))
const load = async (yaml: string, env: NodeJS.ProcessEnv = {}) => {
  const file = join(dir, `cloud-${n++}.yaml`)
  await writeFile(file, yaml)
  return loadCloudConfig(file, env)
}
/** The lines that a refused file is answered with, without its path. */
const refusal = async (yaml: string, env: NodeJS.ProcessEnv = {}): Promise<string> => {
  const error = await load(yaml, env).then(
    () => undefined,
    (e: unknown) => e,
  )
  if (!(error instanceof UserError)) throw new Error(`was not refused: ${String(error)}`)
  expect(error.exitCode).toBe(EXIT.config)
  return error.message.replaceAll(`${dir}/`, '').replace(/cloud-\d+\.yaml:?/g, '')
}

const sites = `
sites:
  - id: London
    kind: store
    zone: Europe/London
`

describe('the configuration of the cloud', () => {
  it('needs sites and nothing else', async () => {
    const config = await load(sites)
    expect(config).toMatchObject({
      listen: { host: '127.0.0.1', port: 8080, names: [] },
      broker: { kind: 'embedded', host: '127.0.0.1', port: 1883 },
      dataDir: join(dir, 'data'),
      historians: [{ kind: 'lake' }],
      journal: { syncDelayMsMax: 2 },
      lateHoursMax: 48,
      sites: [{ id: 'London' }],
    })
    expect(config.gateways).toBeUndefined()
    expect(config.listen.token).toBeUndefined()
  })

  it('takes ways in, with defaults', async () => {
    const config = await load(`${sites}
mqtt:
  - {pattern: "shop/{site}/{device}", stream: count}
  - {pattern: "lines/{site}/{device}", payload: line-protocol, precision: s}
sparkplug: {}
write: {defaultSite: London}
`)
    expect(config.mqtt).toMatchObject([
      { pattern: 'shop/{site}/{device}', payload: 'auto', column: 'value', time: { key: 'time', unit: 'iso' } },
      { payload: 'line-protocol', precision: 's' },
    ])
    expect(config.sparkplug).toEqual({ sites: {}, stream: 'metrics', rebirth: true })
    expect(config.write).toEqual({
      ...{ siteTags: ['site'], deviceTags: ['device', 'host'], rowTags: [] },
      ...{ defaultSite: 'London', defaultDevice: 'default' },
    })
    expect((await load(sites)).sparkplug).toBeUndefined()
  })

  it('fetches secrets from files and the environment', async () => {
    const config = await load(
      `${sites}
listen: {host: 0.0.0.0, port: 80, token: {env: TOKEN}}
broker: {kind: external, url: "mqtts://broker:8883", username: cloud, password: {env: BROKER}}
journal: {bytesMax: 20 GiB, segmentBytesMax: 16 MiB, syncDelayMsMax: 5 ms}
gateways:
  - {id: north, password: {file: north.secret}}
  - {id: south, username: s, password: {env: SOUTH}}
data: /var/lib/penstock
`,
      { TOKEN: 'let-me-in', BROKER: 'b', SOUTH: 'pw-south' },
    )
    expect(config.listen.token).toBe('let-me-in')
    expect(config.broker).toMatchObject({ username: 'cloud', password: 'b' })
    expect(config.journal).toEqual({ bytesMax: 20 * 2 ** 30, segmentBytesMax: 16 * 2 ** 20, syncDelayMsMax: 5 })
    expect(config.gateways).toEqual([
      { id: 'north', username: 'north', password: 'pw-north' },
      { id: 'south', username: 's', password: 'pw-south' },
    ])
    expect(config.dataDir).toBe('/var/lib/penstock')
  })

  it('takes an InfluxDB as historian, or both', async () => {
    const influx = async (yaml: string) =>
      (await load(`${sites}\nhistorian: ${yaml}\n`, { PASSWORD: 'pw', TOKEN: 'tok' })).historians
    const limits = { timeoutMsMax: 30_000, seriesMax: 100_000 }
    const [url, address] = ['url: "http://influx:8086"', 'http://influx:8086']
    expect(
      await influx(`{kind: influx, version: 1, ${url}, database: d, username: u, password: {env: PASSWORD}}`),
    ).toEqual([{ kind: 'influx', version: 1, url: address, database: 'd', username: 'u', password: 'pw', ...limits }])
    expect(await influx(`{kind: influx, version: 2, ${url}, org: o, bucket: b, token: {env: TOKEN}}`)).toEqual([
      { kind: 'influx', version: 2, url: address, org: 'o', database: 'b', token: 'tok', ...limits },
    ])
    const both = await influx(
      `[lake, {kind: influx, version: 3, ${url}, database: d, seriesMax: 5, timeoutMsMax: 2 s}]`,
    )
    expect(both).toEqual([
      { kind: 'lake' },
      { kind: 'influx', version: 3, url: address, database: 'd', timeoutMsMax: 2000, seriesMax: 5 },
    ])
  })

  it.each([
    ['mqtt: [{pattern: "shop/{site}", stream: x}]', 'mqtt[0].device: is missing: the pattern has no {device}'],
    [
      'mqtt: [{pattern: "a/{site}/{device}", stream: x}, {pattern: "{site}/b/{device}", stream: x}]',
      'mqtt[1].pattern: crosses mqtt[0]: a topic fits both and neither covers the other; a broker may send it twice',
    ],
    ['sparkplug: {stream: status}', 'sparkplug.stream: is the stream of births and deaths'],
    ['listen: {prot: 1}', 'listen.prot: unknown key; did you mean "port"?'],
    ['listen: {port: 99999}', 'listen.port: is too large'],
    ['lsiten: {}', 'lsiten: unknown key; did you mean "listen"?'],
    ['listen: {host: 0.0.0.0}', 'listen.token: is missing: an address beyond this machine needs it'],
    ['listen: {token: secret}', 'listen.token: a secret does not stand in the configuration'],
    [
      'broker: {kind: embeded}',
      'broker.kind: expected one of embedded, external, got the text "embeded"; did you mean "embedded"?',
    ],
    [
      'broker: {kind: embedded, host: 0.0.0.0}',
      'gateways: is missing: a broker beyond this machine needs to know who may publish',
    ],
    ['broker: {kind: external}', 'broker.url: is missing'],
    ['broker: {kind: external, url: "http://x"}', 'broker.url: expected an address such as mqtt://broker:1883'],
    ['broker: {kind: external, url: "mqtt://u:p@x"}', 'broker.url: expected an address such as mqtt://broker:1883'],
    ['historian: influx', 'historian: expected "lake"'],
    ['historian: [lake, lake]', 'historian: one lake and one InfluxDB at most'],
    ['historian: {kind: influx, version: 1, url: "http://x:8086"}', 'historian.database: is missing'],
    ['historian: {kind: influx, version: 1, url: "http://u:p@x", database: d}', 'without user and password'],
    [
      'historian: {kind: influx, version: 2, url: "http://x", org: o, bucket: b, token: tok}',
      'historian.token: a secret',
    ],
    [
      'historian: {kind: influx, version: 4, url: "http://x", database: d}',
      'historian.version: expected one of 1, 2, 3',
    ],
    ['journal: {bytesMax: lots}', 'journal.bytesMax: expected a size such as 512 MiB'],
    ['lateHoursMax: -1', 'lateHoursMax: is too small'],
    [
      'gateways: [{id: a, password: {env: A}}, {id: a, password: {env: B}}]',
      'gateways[1].id: a second gateway with the id "a"',
    ],
    ['gateways: [{id: a, password: {env: A}}, {id: b, password: {env: A}}]', 'have the same password'],
    ['gateways: [{id: a, password: {env: NONE}}]', 'the environment has no NONE'],
  ])('refuses %s', async (yaml, sentence) => {
    const text = await refusal(`${sites}\n${yaml}\n`, { A: 'one-secret' })
    expect(text).toContain(sentence)
    expect(text).not.toContain('one-secret')
  })

  it('says where a site is wrong', async () => {
    expect(await refusal(sites.replace('London\n', 'Londn\n').replace('Europe/London', 'Europe/Londn'))).toMatch(
      /^5: sites\[0\]\.zone: .*IANA time zone/,
    )
    expect(await refusal('listen: {}')).toContain('sites: is missing')
  })

  it('has a JSON Schema for editors', () => {
    const schema = cloudJsonSchema()
    expect(Object.keys(schema.properties as object)).toContain('broker')
    expect(schema.additionalProperties).toBe(false)
    expect(schema.required).toEqual(['sites'])
  })

  it.each([
    ['127.0.0.1', true],
    ['127.8.9.1', true],
    ['::1', true],
    ['localhost', true],
    ['::ffff:127.0.0.1', true],
    ['0.0.0.0', false],
    ['192.168.1.1', false],
    ['127.0.0.1.example', false],
    ['', false],
  ])('tells that %s is loopback: %s', (address, expected) => {
    expect(isLoopback(address)).toBe(expected)
  })
})
