/** What stands in the configuration of an `http` source, and the APIs that it knows by name. */
import { duration, type secret } from '@penstock/config'
import { recordFormatSchema } from '@penstock/formats'
import { nameSchema, parseIsoNs, STATUS_CLOSED, STATUS_FAILED } from '@penstock/frame'
import * as z from 'zod'
import { type Placed, placementShape, recordBytesMax, sourceId } from '../../placement.ts'
import { templateProblem } from '../../template.ts'

const MIB = 1024 * 1024
const seriesMax = 4096

/** Names that stand for a time: of the step that a walk asks for, or of the moment at which a poll asks. */
export const timeNames = ['year', 'month', 'day', 'hour', 'minute', 'second', 'date', 'utc', 'utcEnd', 'epoch'] as const
const placeNames = ['site', 'device', 'stream'] as const

const text = z.string().max(4096)
const secretText = z
  .union([
    z.strictObject({ file: z.string().min(1), prefix: text.optional() }),
    z.strictObject({ env: z.string().min(1), prefix: text.optional() }),
  ])
  .describe('A secret: {file: <path>} or {env: <name of a variable>}; `prefix` is put before it, e.g. "Bearer "')
const textOrSecret = z.union([text, secretText], {
  error: 'expected text, or {file: <path>} or {env: <name of a variable>} for a secret',
})
export type TextOrSecret = z.output<typeof textOrSecret>

const secretHeaders = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'x-api-key',
  'api-key',
  'x-auth-token',
])
const headersSchema = z.record(
  z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$/, 'is no name of a header'),
  textOrSecret,
)

const localStart = z.string({ error: 'expected a date such as 2024-07-01' }).transform((given, context) => {
  const whole = /^\d{4}-\d{2}-\d{2}$/.test(given) ? `${given}T00:00` : given.replace(' ', 'T')
  if (/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}$/.test(whole) && parseIsoNs(`${whole}Z`) !== undefined) return whole
  context.issues.push({
    code: 'custom',
    message: 'expected a date such as 2024-07-01, or 2024-07-01T09:00',
    input: given,
  })
  return z.NEVER
})

const walkSchema = z
  .strictObject({
    start: localStart.describe('First day (or day and hour) to ask for, in the local time of each series'),
    step: z.enum(['minute', 'hour', 'day']).default('hour').describe('What one request is for'),
    delayMs: duration.default(0).describe('A step is asked for when it is over, and so much later'),
    again: z
      .strictObject({
        steps: z.int().min(1).max(1000).describe('So many of the last steps'),
        everyMs: duration.pipe(z.int().min(100)).default(3_600_000),
      })
      .optional()
      .describe('Steps are asked for again, for the server may correct them; what has changed is stored again'),
    notFound: z
      .enum(['wait', 'skip'])
      .default('wait')
      .describe('404 for a time that is long over, of a series that is known. skip: there is nothing for it; go on'),
    notYetMs: duration.default(86_400_000).describe('404 for a time that was over for less is "not yet"'),
  })
  .describe('Asks for one time after the other, from a start date on, each once')

const seriesSchema = z.strictObject({
  site: nameSchema.optional(),
  zone: placementShape.zone,
  stream: nameSchema.optional(),
  device: nameSchema.optional(),
  devices: z
    .array(z.union([nameSchema, z.int().transform(String)]))
    .min(1)
    .max(seriesMax)
    .optional()
    .describe('One series for each'),
  values: z
    .record(z.string().regex(/^[A-Za-z][A-Za-z0-9_]*$/), z.union([text, z.number()]))
    .default({})
    .describe('More names for the address, e.g. { city: LDN } for {city}'),
})

const templateSentence = `may hold {site} {device} {stream}, names of "values", and ${timeNames.map(n => `{${n}}`).join(' ')}`

export const httpOptions = z
  .strictObject({
    id: sourceId,
    kind: z.literal('http'),
    api: z
      .enum(['store-counts'])
      .optional()
      .describe('An API that is known by name: its query, format and stream need not be given'),
    url: z
      .string()
      .max(4096)
      .regex(
        /^https?:\/\/[^\s/@{}]+(\/[^\s@]*)?$/,
        'expected an address such as https://api.example/v1/now, without user and password',
      )
      .describe(`Address to ask; ${templateSentence}`),
    query: z
      .record(z.string().min(1), textOrSecret)
      .default({})
      .describe(
        `Query of the address; values ${templateSentence}. An entry is left out for a series without a value for it`,
      ),
    headers: headersSchema.default({}).describe('Headers of the request'),
    format: recordFormatSchema.optional().describe('How the answer is read'),
    ...placementShape,
    stream: nameSchema.optional().describe('Stream of the readings; default: readings'),
    series: z.array(seriesSchema).min(1).max(seriesMax).optional().describe('What is asked for; default: one series'),
    everyMs: duration
      .pipe(z.int().min(100))
      .default(60_000)
      .describe('How often to ask, counted on the clock: every 5 min is :00, :05, :10 …'),
    offsetMs: duration.default(0).describe('So much behind the clock'),
    repeats: z
      .enum(['auto', 'store', 'skip'])
      .default('auto')
      .describe('The same answer again. auto: skipped where the format reads a time, else a new reading'),
    walk: walkSchema.optional(),
    requestMsMax: duration.pipe(z.int().min(10)).default(10_000).describe('Limit of one request'),
    requestsPerSecondMax: z.number().min(0.001).max(10_000).default(10),
    parallelMax: z.int().min(1).max(64).default(4).describe('Requests at a time'),
    retryMsMax: duration
      .pipe(z.int().min(10))
      .default(300_000)
      .describe('Longest wait before asking again after a failure'),
    bodyBytesMax: z
      .int()
      .min(16)
      .max(64 * MIB)
      .default(8 * MIB)
      .describe('A longer answer is not taken'),
    recordBytesMax,
  })
  .superRefine(({ api, format, walk, url, query, headers, series = [] }, context) => {
    const issue = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message })
    if (api === undefined && format === undefined) issue(['format'], 'is missing: expected a mapping')
    if (api === 'store-counts' && walk === undefined)
      issue(['walk'], 'is missing: say from when on, e.g. { start: 2024-07-01 }')
    const known = [...placeNames, ...timeNames, ...new Set(series.flatMap(s => Object.keys(s.values)))]
    const check = (path: (string | number)[], template: string) => {
      const problem = templateProblem(template, known)
      if (problem !== undefined) issue(path, problem)
    }
    check(['url'], url)
    for (const [name, value] of Object.entries(query)) if (typeof value === 'string') check(['query', name], value)
    for (const [name, value] of Object.entries(headers)) {
      if (typeof value === 'string' && secretHeaders.has(name.toLowerCase())) {
        issue(
          ['headers', name],
          'a secret does not stand in the configuration: give {file: <path>} or {env: <name of a variable>} instead',
        )
      }
    }
    const keys = new Set<string>()
    series.forEach((one, i) => {
      if (one.device !== undefined && one.devices)
        issue(['series', i, 'devices'], 'give "device" or "devices", not both')
      for (const device of one.devices ?? [one.device]) {
        const key = JSON.stringify([one.site, device, one.stream])
        if (keys.has(key))
          issue(['series', i], `is the same series again: ${[one.site, device, one.stream].filter(Boolean).join('/')}`)
        keys.add(key)
      }
      for (const [name] of Object.entries(one.values)) {
        if ((known.slice(0, placeNames.length + timeNames.length) as string[]).includes(name))
          issue(['series', i, 'values', name], 'is a name of its own; choose another')
      }
    })
    if (series.reduce((n, one) => n + (one.devices?.length ?? 1), 0) > seriesMax)
      issue(['series'], `are more than ${seriesMax}`)
  })
  .describe('An API that is asked over HTTP')

/** `secrets`: what was read for each {file} or {env}, by `headers.<name>` and `query.<name>`. */
export type HttpOptions = Placed<z.output<typeof httpOptions>> & { secrets: Readonly<Record<string, string>> }

/** What an API known by name brings along. */
interface Preset {
  query: Record<string, string>
  stream: string
  format: z.input<typeof recordFormatSchema>
}
const presets: Record<NonNullable<HttpOptions['api']>, Preset> = {
  // One bare integer for an hour of a store, or of one of its sensors: visitors, or −1 failed, −2 closed.
  'store-counts': {
    query: {
      store_name: '{site}',
      year: '{year}',
      month: '{month}',
      day: '{day}',
      hour: '{hour}',
      sensor_id: '{device}',
    },
    stream: 'count',
    format: {
      kind: 'lines',
      pattern: '^\\s*(?<count>[-+]?\\d+)\\s*$',
      columns: {
        count: { type: 'int', unit: 'visits', required: true, status: { '-1': STATUS_FAILED, '-2': STATUS_CLOSED } },
      },
    },
  },
}

/** The options with what their API brings along; what the options say themselves wins. */
export const withPreset = (options: HttpOptions) => {
  const preset = options.api && presets[options.api]
  const format = options.format ?? recordFormatSchema.parse(preset?.format)
  const query: Record<string, TextOrSecret> = { ...preset?.query, ...options.query }
  return { ...options, query, format, stream: options.stream ?? preset?.stream ?? 'readings' }
}

/** Where secrets stand in the options, by the key under which `secrets` has them. */
export const httpSecretRefs = (
  options: Pick<HttpOptions, 'headers' | 'query'>,
): Record<string, z.output<typeof secret>> => {
  const refs: Record<string, z.output<typeof secret>> = {}
  for (const part of ['headers', 'query'] as const) {
    for (const [name, value] of Object.entries(options[part])) {
      if (typeof value === 'string') continue
      refs[`${part}.${name}`] = 'file' in value ? { file: value.file } : { env: value.env }
    }
  }
  return refs
}
