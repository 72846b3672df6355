/**
 * The gateway's configuration: one YAML file, checked strictly. Paths count from its folder; secrets are named in it,
 * never written in it.
 */
import {
  byteSize,
  configJsonSchema,
  duration,
  path,
  readConfig,
  readSecret,
  resolvePath,
  type Secret,
  secret,
  zone,
} from '@penstock/config'
import { LIMITS, nameSchema } from '@penstock/frame'
import { isLoopback } from '@penstock/http'
import * as z from 'zod'
import type { Source } from './source.ts'
import { type DropOptions, dropOptions, openDrop } from './sources/drop.ts'
import { type HttpOptions, httpOptions, httpSecretRefs, openHttp } from './sources/http.ts'
import { type ModbusOptions, modbusOptions, openModbus } from './sources/modbus.ts'
import { type MqttOptions, mqttOptions, mqttSecretRefs, openMqtt } from './sources/mqtt.ts'
import { openSerial, type SerialDeps, type SerialOptions, serialOptions } from './sources/serial.ts'
import { openSimulate, type SimulateOptions, simulateOptions } from './sources/simulate.ts'
import { openTail, type TailOptions, tailOptions } from './sources/tail.ts'

const MIB = 1024 * 1024

const address = (schemes: string, example: string) => {
  const pattern = new RegExp(`^(${schemes})://[^\\s/@]+(/[^\\s@]*)?$`)
  return z
    .string()
    .max(2048)
    .regex(pattern, `expected an address such as ${example}, without user and password`)
    .describe(`Address of the cloud, e.g. ${example}`)
}

const sending = {
  windowBytesMax: byteSize
    .pipe(z.int().min(1))
    .default(4 * MIB)
    .describe('Sent and not yet confirmed as stored'),
  receiptMsMax: duration
    .pipe(z.int().min(100))
    .default(20_000)
    .describe('Without a receipt for so long the link counts as dead'),
  reconnectMsMax: duration.pipe(z.int().min(100)).default(30_000).describe('Longest wait before connecting again'),
}

const uplinkSchema = z.discriminatedUnion('kind', [
  z
    .strictObject({
      kind: z.literal('mqtt'),
      url: address('mqtts?|wss?', 'mqtts://cloud.example:8883'),
      username: z.string().min(1).max(256).optional(),
      password: secret.optional(),
      caFile: path.optional().describe("PEM file of the authority that signed the broker's certificate"),
      ...sending,
    })
    .describe('To the cloud over MQTT'),
  z
    .strictObject({
      kind: z.literal('http'),
      url: address('https?', 'https://cloud.example'),
      token: secret.optional().describe('Shown as bearer token'),
      ...sending,
    })
    .describe('To the cloud over HTTP, where MQTT is blocked'),
])

const spoolSchema = z.strictObject({
  bytesMax: byteSize
    .pipe(z.int().min(MIB))
    .default(10 * 1024 * MIB)
    .describe('Disk that readings may take until the cloud has them'),
  segmentBytesMax: byteSize
    .pipe(z.int().min(64 * 1024))
    .optional()
    .describe('One file of the spool'),
  whenFull: z
    .enum(['block', 'drop-oldest'])
    .default('block')
    .describe(
      'block: sources wait, files stay where they are; drop-oldest: the oldest readings are given up, and told',
    ),
  syncDelayMsMax: duration
    .pipe(z.int().max(60_000))
    .default(2)
    .describe('How long a batch may wait so that others share its sync; more on an SD card'),
})

const host = z.string().min(1).max(253)
const pageSchema = z.strictObject({
  host: host
    .default('127.0.0.1')
    .describe('Address of the page; beyond loopback `token` or `open: true` is needed. 0.0.0.0: every address'),
  port: z.int().min(0).max(65_535).default(8081),
  names: z
    .array(host)
    .max(64)
    .default([])
    .describe('Names under which browsers reach the page, besides addresses and localhost, e.g. gateway.lab.example'),
  token: secret
    .optional()
    .describe("Whoever comes from another machine shows it as the password of the browser's login, with any user name"),
  open: z.boolean().default(false).describe('true: whoever reaches the address sees the readings, without a token'),
})

const sourceSchema = z.discriminatedUnion('kind', [
  tailOptions,
  dropOptions,
  serialOptions,
  modbusOptions,
  httpOptions,
  mqttOptions,
  simulateOptions,
])

export const gatewayConfigSchema = z
  .strictObject({
    gateway: nameSchema
      .refine(name => name !== 'readings', '"readings" is a name that the topics need for themselves; choose another')
      .describe('Unique name of this gateway; keep it'),
    site: nameSchema.optional().describe('Site of the sources that name none; default: the name of the gateway'),
    zone: zone.optional().describe('IANA zone of local times, for the sources that name none'),
    data: path.default('data').describe('Folder of the spool'),
    spool: spoolSchema.prefault({}),
    uplink: uplinkSchema,
    page: z
      .union([z.boolean().transform(shown => shown && pageSchema.parse({})), pageSchema])
      .prefault({})
      .describe("The gateway's own page: http://127.0.0.1:8081 where nothing is said; false: none"),
    sources: z
      .array(sourceSchema)
      .min(1)
      .max(LIMITS.sourcesPerStatusMax)
      .superRefine(
        (sources, context) => {
          const seen = new Set<string>()
          sources.forEach((source, i) => {
            const id: unknown = source?.id
            if (typeof id !== 'string') return
            if (seen.has(id)) context.addIssue({ code: 'custom', message: `a second source "${id}"`, path: [i, 'id'] })
            seen.add(id)
          })
        },
        // Also where a source has other problems: all are told at once.
        { when: ({ value }) => Array.isArray(value) },
      ),
  })
  .superRefine(({ page }, context) => {
    if (page === false || isLoopback(page.host) || page.token || page.open) return
    // The page shows readings and takes files: nobody opens it to a network without having said so.
    const message = `is missing: ${page.host} is reached from other machines; name a token, or say \`open: true\` where everyone there may see the readings`
    context.addIssue({ code: 'custom', message, path: ['page', 'token'] })
  })
  .superRefine(({ sources, zone }, context) => {
    // A zone that nobody named would move every local time in silence.
    for (const [i, source] of sources.entries()) {
      if (source.kind === 'simulate' || source.kind === 'modbus' || source.zone !== undefined || zone !== undefined)
        continue
      const message = `is missing: say here, or once at the top of the file, in which zone the times of "${source.id}" are, e.g. Europe/Paris or UTC`
      context.addIssue({ code: 'custom', message, path: ['sources', i, 'zone'] })
    }
  })
  .describe('Configuration of penstock-gateway')

type Checked = z.output<typeof gatewayConfigSchema>
type Sending = Pick<Checked['uplink'], 'windowBytesMax' | 'receiptMsMax' | 'reconnectMsMax'>

export type SourceOptions =
  | TailOptions
  | DropOptions
  | SerialOptions
  | ModbusOptions
  | HttpOptions
  | MqttOptions
  | SimulateOptions

export interface PageConfig {
  host: string
  port: number
  names: readonly string[]
  /** What requests from beyond this machine show; none: they need nothing. */
  token?: string
  /** With what a file is read that is only looked at. */
  site: string
  zone: string
}

export interface GatewayConfig {
  gateway: string
  /** Absolute. */
  dataDir: string
  spool: { bytesMax: number; segmentBytesMax?: number; whenFull: 'block' | 'drop-oldest'; syncDelayMsMax: number }
  uplink: Sending &
    (
      | { kind: 'mqtt'; url: string; username?: string; password?: string; caFile?: string }
      | { kind: 'http'; url: string; token?: string }
    )
  /** `undefined`: none. */
  page?: PageConfig
  /** With absolute paths, and the gateway's site and zone where they name none. */
  sources: SourceOptions[]
}

/** Reads and checks a configuration file and fetches its secrets. Throws a UserError that tells every problem with its line. */
export const loadGatewayConfig = async (
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<GatewayConfig> => {
  const checked = await readConfig(file, gatewayConfigSchema)
  const { gateway, spool } = checked
  const { segmentBytesMax, ...spoolRest } = spool
  return {
    gateway,
    dataDir: resolvePath(file, checked.data),
    spool: { ...spoolRest, ...(segmentBytesMax !== undefined && { segmentBytesMax }) },
    uplink: await uplinkOf(checked, file, env),
    ...(checked.page !== false && { page: await pageOf(checked, checked.page, file, env) }),
    sources: await Promise.all(checked.sources.map(source => placed(source, checked, file, env))),
  }
}

const pageOf = async (
  { gateway, site = gateway, zone = 'UTC' }: Checked,
  { token, names, host, port }: Exclude<Checked['page'], false>,
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<PageConfig> => ({
  ...{ host, port, names, site, zone },
  ...(token && { token: await readSecret(token, file, env) }),
})

const uplinkOf = async (
  { uplink }: Checked,
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<GatewayConfig['uplink']> => {
  if (uplink.kind === 'http') {
    const { token, ...rest } = uplink
    return { ...rest, ...(token && { token: await readSecret(token, file, env) }) }
  }
  const { username, password, caFile, ...rest } = uplink
  return {
    ...rest,
    ...(username !== undefined && { username }),
    ...(password && { password: await readSecret(password, file, env) }),
    ...(caFile !== undefined && { caFile: resolvePath(file, caFile) }),
  }
}

/** The source with what the gateway says for all of them, and with absolute paths. */
const placed = async (
  source: Checked['sources'][number],
  gateway: Checked,
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<SourceOptions> => {
  if (source.kind === 'simulate') return source
  if (source.kind === 'modbus') return { ...source, site: source.site ?? gateway.site ?? gateway.gateway }
  const where = { site: source.site ?? gateway.site ?? gateway.gateway, zone: source.zone ?? gateway.zone ?? 'UTC' }
  if (source.kind === 'serial') return { ...source, ...where }
  if (source.kind === 'http')
    return { ...source, ...where, secrets: await readSecrets(httpSecretRefs(source), file, env) }
  if (source.kind === 'mqtt') {
    const { caFile, clientId = `penstock-${gateway.gateway}-${source.id}`, ...rest } = source
    const secrets = await readSecrets(mqttSecretRefs(source), file, env)
    return { ...rest, ...where, clientId, secrets, ...(caFile !== undefined && { caFile: resolvePath(file, caFile) }) }
  }
  return { ...source, ...where, folder: resolvePath(file, source.folder) }
}

/** What stands under `secrets` of a source, which is never shown: the texts of its secrets by their place. */
const readSecrets = async (
  refs: Readonly<Record<string, Secret>>,
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Record<string, string>> => {
  const texts: Record<string, string> = {}
  for (const [key, ref] of Object.entries(refs)) texts[key] = await readSecret(ref, file, env)
  return texts
}

/** Makes a source; it reads nothing before its batches are asked for. */
export const openSource = (source: SourceOptions, deps: SerialDeps): Source => {
  switch (source.kind) {
    case 'tail':
      return openTail(source, deps)
    case 'drop':
      return openDrop(source, deps)
    case 'serial':
      return openSerial(source, deps)
    case 'modbus':
      return openModbus(source, deps)
    case 'http':
      return openHttp(source, deps)
    case 'mqtt':
      return openMqtt(source, deps)
    case 'simulate':
      return openSimulate(source, deps)
  }
}

/** JSON Schema of the file, for editors. */
export const gatewayJsonSchema = (): Record<string, unknown> => configJsonSchema(gatewayConfigSchema)
