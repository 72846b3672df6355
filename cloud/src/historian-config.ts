/** `historian:` of the cloud's configuration: the lake, an InfluxDB, or both at once. */
import { byteSize, duration, readSecret, type Secret, secret } from '@penstock/config'
import * as z from 'zod'

const name = z.string().min(1).max(256)
const influxCommon = {
  kind: z.literal('influx'),
  url: z
    .string()
    .max(2048)
    .regex(
      /^https?:\/\/[^\s/@]+(\/[^\s@?#]*)?$/,
      'expected an address such as http://influx:8086, without user and password',
    ),
  timeoutMsMax: duration.default(30_000).describe('How long InfluxDB may stay silent'),
  seriesMax: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(100_000)
    .describe('Series (site, device and stream together) that are made at most; rows of more become rejects'),
  gzipBytesMin: byteSize.optional().describe('Compress writes from this size on; left out: never'),
}

const influxSchema = z.discriminatedUnion('version', [
  z.strictObject({
    ...influxCommon,
    version: z.literal(1),
    database: name,
    username: name.optional(),
    password: secret.optional(),
  }),
  z.strictObject({ ...influxCommon, version: z.literal(2), org: name, bucket: name, token: secret }),
  z.strictObject({ ...influxCommon, version: z.literal(3), database: name, token: secret.optional() }),
])

/** As text with a pattern: a mapping is then plainly not meant to be it, and its own problems are told. */
const lakeSchema = z.string().regex(/^lake$/, 'expected "lake", {kind: influx, …}, or a list of both')
const oneSchema = z.union([lakeSchema, influxSchema])

export const historianSchema = z
  .union([oneSchema, z.array(oneSchema).min(1).max(2)])
  .default('lake')
  .describe('Where the time series are kept: lake, an InfluxDB, or a list of both, of which the first answers')
  .superRefine((given, context) => {
    if (!Array.isArray(given)) return
    const kinds = given.map(one => (typeof one === 'string' ? one : one.kind))
    if (new Set(kinds).size < kinds.length) {
      context.addIssue({ code: 'custom', message: 'one lake and one InfluxDB at most' })
    }
  })

export interface InfluxConfig {
  kind: 'influx'
  version: 1 | 2 | 3
  url: string
  /** Database of 1.x and 3, bucket of 2.x. */
  database: string
  org?: string
  username?: string
  password?: string
  token?: string
  timeoutMsMax: number
  seriesMax: number
  gzipBytesMin?: number
}
export type HistorianConfig = { kind: 'lake' } | InfluxConfig

/** Fetches the secrets. */
export const readHistorians = async (
  given: z.output<typeof historianSchema>,
  file: string,
  env: NodeJS.ProcessEnv,
): Promise<HistorianConfig[]> => {
  const read = async (reference: Secret | undefined, key: 'password' | 'token') =>
    reference ? { [key]: await readSecret(reference, file, env) } : {}
  const one = async (historian: z.output<typeof oneSchema>): Promise<HistorianConfig> => {
    if (typeof historian === 'string') return { kind: 'lake' }
    const { kind, url, timeoutMsMax, seriesMax, gzipBytesMin } = historian
    const common = { kind, url, timeoutMsMax, seriesMax, ...(gzipBytesMin !== undefined && { gzipBytesMin }) }
    if (historian.version === 2) {
      const { version, org, bucket, token } = historian
      return { ...common, version, org, database: bucket, ...(await read(token, 'token')) }
    }
    if (historian.version === 3) {
      const { version, database, token } = historian
      return { ...common, version, database, ...(await read(token, 'token')) }
    }
    const { version, database, username, password } = historian
    return {
      ...common,
      version,
      database,
      ...(username !== undefined && { username }),
      ...(await read(password, 'password')),
    }
  }
  return Promise.all((Array.isArray(given) ? given : [given]).map(one))
}

/** For a line of `check`. */
export const historianText = (historian: HistorianConfig): string =>
  historian.kind === 'lake'
    ? 'lake'
    : `InfluxDB ${historian.version === 1 ? '1.x' : historian.version === 2 ? '2.x' : '3'} at ${historian.url}`
