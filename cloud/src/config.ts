/** The cloud's configuration: one YAML file, checked strictly. Secrets are named in it, never written in it. */
import {
  byteSize,
  configJsonSchema,
  duration,
  path,
  readConfig,
  readSecret,
  resolvePath,
  secret,
} from '@penstock/config'
import { EXIT, nameSchema, UserError } from '@penstock/frame'
import { isLoopback } from '@penstock/http'
import * as z from 'zod'
import { type HistorianConfig, historianSchema, readHistorians } from './historian-config.ts'
import { lineMappingSchema } from './lines.ts'
import { sitesSchema } from './sites.ts'
import { crossingPatterns, topicPatternSchema } from './topic-patterns.ts'
import { type SparkplugConfig, sparkplugSchema } from './ways-in.ts'

const port = z.int().min(0).max(65_535)
const host = z.string().min(1).max(253)

const listenSchema = z.strictObject({
  host: host.default('127.0.0.1').describe('Address of the API and the page; beyond loopback `token` is needed'),
  port: port.default(8080),
  names: z
    .array(host)
    .max(64)
    .default([])
    .describe('Names under which browsers reach the page, besides localhost, e.g. behind a reverse proxy'),
  token: secret
    .optional()
    .describe('Whoever comes from another machine shows it: bearer token, or password of a browser’s login'),
})

const brokerSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('embedded'),
    host: host.default('127.0.0.1').describe('Address of the MQTT port; beyond loopback `gateways` is needed'),
    port: port.default(1883),
  }),
  z.strictObject({
    kind: z.literal('external'),
    url: z
      .string()
      .max(2048)
      .regex(
        /^(mqtts?|wss?|tcp|ssl):\/\/[^\s/@]+(\/[^\s@]*)?$/,
        'expected an address such as mqtt://broker:1883, without user and password',
      ),
    username: z.string().min(1).max(256).optional(),
    password: secret.optional(),
  }),
])

const journalSchema = z.strictObject({
  bytesMax: byteSize
    .optional()
    .describe('Disk that the journal may take; oldest segments that every projection has applied go first'),
  segmentBytesMax: byteSize.optional(),
  syncDelayMsMax: duration.default(2).describe('How long an entry may wait so that others share its sync'),
})

const gatewaySchema = z.strictObject({
  id: nameSchema,
  username: z.string().min(1).max(256).optional().describe('Login name; the id where left out'),
  password: secret,
})

export const cloudConfigSchema = z
  .strictObject({
    listen: listenSchema.prefault({}),
    broker: brokerSchema.prefault({ kind: 'embedded' }),
    data: path.default('data').describe('Folder of the journal and of all that is computed from it'),
    historian: historianSchema,
    journal: journalSchema.prefault({}),
    gateways: z
      .array(gatewaySchema)
      .max(10_000)
      .optional()
      .describe('Who may publish. Left out: anyone on this machine, and nobody else'),
    sites: sitesSchema,
    lateHoursMax: z
      .number()
      .min(0)
      .max(24 * 366)
      .default(48)
      .describe('Hours after its end from which an hour or a day counts as final; later readings still correct it'),
    mqtt: z
      .array(topicPatternSchema)
      .max(256)
      .default([])
      .describe(
        'Topics of plain MQTT devices besides penstock/v1/readings/<site>/<device>/<stream>; the first that fits counts',
      ),
    sparkplug: sparkplugSchema.optional().describe('Take what Sparkplug B edge nodes publish'),
    write: lineMappingSchema.prefault({}).describe('What points of line protocol (POST /write, /api/v2/write) mean'),
  })
  .superRefine((config, context) => {
    const refuse = (message: string, ...path: (string | number)[]) =>
      context.addIssue({ code: 'custom', message, path })
    if (!isLoopback(config.listen.host) && !config.listen.token) {
      refuse('is missing: an address beyond this machine needs it', 'listen', 'token')
    }
    if (config.broker.kind === 'embedded' && !isLoopback(config.broker.host) && !config.gateways) {
      refuse('is missing: a broker beyond this machine needs to know who may publish', 'gateways')
    }
    const crossing = crossingPatterns(config.mqtt)
    if (crossing) {
      const [first, second] = crossing
      refuse(
        `crosses mqtt[${first}]: a topic fits both and neither covers the other; a broker may send it twice`,
        'mqtt',
        second,
        'pattern',
      )
    }
    const seen = new Map<string, string>()
    config.gateways?.forEach((gateway, i) => {
      for (const [key, value] of [
        ['id', gateway.id],
        ['username', gateway.username ?? gateway.id],
      ] as const) {
        const name = `${key} ${value}`
        if (seen.has(name)) refuse(`a second gateway with the ${key} "${value}"`, 'gateways', i, key)
        seen.set(name, gateway.id)
      }
    })
  })

type Checked = z.output<typeof cloudConfigSchema>
export interface GatewayCredential {
  id: string
  username: string
  password: string
}
export interface CloudConfig {
  listen: { host: string; port: number; names: string[]; token?: string }
  broker:
    | { kind: 'embedded'; host: string; port: number }
    | { kind: 'external'; url: string; username?: string; password?: string }
  /** Absolute. */
  dataDir: string
  /** The first answers; each is filled from the journal by itself. */
  historians: HistorianConfig[]
  journal: Checked['journal']
  /** `undefined`: only this machine may publish, under any name. */
  gateways?: GatewayCredential[]
  sites: Checked['sites']
  lateHoursMax: number
  mqtt: Checked['mqtt']
  sparkplug?: SparkplugConfig
  write: Checked['write']
}

/**
 * Reads, checks, and fetches the secrets.
 * @throws UserError (EXIT.config) with all that is wrong, one line each
 */
export const loadCloudConfig = async (file: string, env: NodeJS.ProcessEnv): Promise<CloudConfig> => {
  const { data, listen, broker, gateways, sparkplug, historian, ...rest } = await readConfig(file, cloudConfigSchema)
  const { token, ...address } = listen
  const credentials = await Promise.all(
    (gateways ?? []).map(async ({ id, username = id, password }) => ({
      id,
      username,
      password: await readSecret(password, file, env),
    })),
  )
  refuseEqualPasswords(credentials, file)
  return {
    ...rest,
    dataDir: resolvePath(file, data),
    listen: { ...address, ...(token && { token: await readSecret(token, file, env) }) },
    broker: await withSecret(broker, file, env),
    historians: await readHistorians(historian, file, env),
    ...(gateways && { gateways: credentials }),
    ...(sparkplug && { sparkplug }),
  }
}

const withSecret = async (
  broker: Checked['broker'],
  file: string,
  env: NodeJS.ProcessEnv,
): Promise<CloudConfig['broker']> => {
  if (broker.kind === 'embedded') return broker
  const { password, username, ...rest } = broker
  return {
    ...rest,
    ...(username !== undefined && { username }),
    ...(password && { password: await readSecret(password, file, env) }),
  }
}

/** A bearer token alone names a gateway, so no two may share one. */
const refuseEqualPasswords = (credentials: readonly GatewayCredential[], file: string): void => {
  const seen = new Map<string, string>()
  for (const { id, password } of credentials) {
    const other = seen.get(password)
    if (other !== undefined) {
      throw new UserError(
        `${file}: gateways "${other}" and "${id}" have the same password: give each its own`,
        EXIT.config,
      )
    }
    seen.set(password, id)
  }
}

/** The JSON Schema of the file, for editors. */
export const cloudJsonSchema = (): Record<string, unknown> => configJsonSchema(cloudConfigSchema)
