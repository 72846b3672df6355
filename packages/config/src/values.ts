/** The values that configurations are made of: sizes, durations, zones, paths and secrets, each with one clear sentence when wrong. */
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { EXIT, isZone, UserError } from '@penstock/frame'
import * as z from 'zod'
import { nearestName } from './nearest.ts'

const byteUnits: Record<string, number> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}
const msUnits: Record<string, number> = {
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** A schema for a number with a unit; a bare number counts in the smallest unit. Output: a whole number of that unit. */
const quantity = (what: string, example: string, units: Record<string, number>) => {
  const expected = `expected ${what} such as ${example}`
  return z
    .union([z.number(), z.string()], { error: expected })
    .transform((value, ctx) => {
      const text = typeof value === 'number' ? `${value}` : value.trim()
      const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text)
      const factor = match && (match[2] === '' ? 1 : units[match[2]?.toLowerCase() ?? ''])
      const amount = match && factor ? Number(match[1]) * factor : Number.NaN
      if (Number.isSafeInteger(Math.round(amount))) return Math.round(amount)
      ctx.issues.push({ code: 'custom', message: `${expected}, got ${shortText(value)}`, input: value })
      return z.NEVER
    })
    .describe(`${what[0]?.toUpperCase()}${what.slice(1)}, e.g. ${example}`)
}

/** Bytes: a number, or text such as "512 MiB" (2^20) or "10 GB" (10^9). Output: bytes. */
export const byteSize = quantity('a size', '512 MiB', byteUnits)
/** A time span: a number of ms, or text such as "250 ms", "5 s", "10 min", "48 h", "7 d". Output: ms. */
export const duration = quantity('a time span', '5 s', msUnits)

/** An IANA time zone. Output: its name. */
export const zone = z
  .string()
  .transform((name, ctx) => {
    if (isZone(name)) return name
    const near = nearestName(name, zoneNames())
    const hint = near ? `; did you mean "${near}"?` : ', such as Europe/Paris'
    ctx.issues.push({ code: 'custom', message: `${shortText(name)} is not an IANA time zone${hint}`, input: name })
    return z.NEVER
  })
  .describe('IANA time zone, e.g. Europe/Paris')

const zoneNames = (): string[] => [...Intl.supportedValuesOf('timeZone'), 'UTC']

/** A path, as it stands in the file; `resolvePath` makes it absolute. */
export const path = z.string().min(1).max(4096).describe('Path, relative to the folder of this file')

/** A path of a configuration file, absolute: relative ones count from that file's folder. */
export const resolvePath = (configFile: string, value: string): string => resolve(dirname(configFile), value)

const secretSentence =
  'a secret does not stand in the configuration: give {file: <path>} or {env: <name of a variable>} instead'
/** A secret, by reference only. `readSecret` fetches it. */
export const secret = z
  .union([z.strictObject({ file: path }), z.strictObject({ env: z.string().min(1) })], { error: secretSentence })
  .describe('Where the secret is: {file: <path>} or {env: <name of a variable>}')
export type Secret = z.output<typeof secret>

const secretBytesMax = 65_536

/**
 * The secret's text, without trailing line ends. Throws a UserError, which names the reference and never the secret,
 * where it is missing, empty or too long.
 */
export const readSecret = async (
  reference: Secret,
  configFile: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string> => {
  if ('env' in reference) {
    const value = env[reference.env]
    if (value) return value
    throw new UserError(`the environment has no ${reference.env}, which ${configFile} names as a secret`, EXIT.config)
  }
  const file = resolvePath(configFile, reference.file)
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    throw new UserError(`the secret file ${file} cannot be read (${code})`, EXIT.config, { cause })
  }
  const value = text.replace(/[\r\n]+$/, '')
  if (value !== '' && value.length <= secretBytesMax) return value
  throw new UserError(`the secret file ${file} is ${value === '' ? 'empty' : 'too long'}`, EXIT.config)
}

/** A value as an error shows it: quoted and short. */
export const shortText = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value)
  return text.length <= 60 ? text : `${text.slice(0, 57)}…"`
}
