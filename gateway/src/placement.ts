/** What the options of several sources have in common: where their readings belong, and the limits of decoding. */
import { byteSize, zone } from '@penstock/config'
import { nameSchema } from '@penstock/frame'
import * as z from 'zod'
import { isGlob } from './glob.ts'

/** Where readings belong when their format does not say; `site` and `zone` default to those of the gateway. */
export const placementShape = {
  site: nameSchema.optional().describe('Site of the readings; default: the site of the gateway'),
  zone: zone.optional().describe('IANA zone of local times; default: the zone of the gateway'),
  device: nameSchema.optional().describe('Device of the readings; default: the id of the source'),
  stream: nameSchema.default('readings').describe('Stream of the readings'),
}

/** A source's id: the key of its resume state, so without "/". */
export const sourceId = nameSchema
  .regex(/^[^/]+$/, 'holds a "/"')
  .describe('Unique name of the source; keep it, for its resume state hangs on it')

export const pattern = z.string().min(1).max(4096).refine(isGlob, 'is not a pattern: a set such as [a-c] runs upwards')

export const patternOption = z
  .union([pattern, z.array(pattern).min(1).max(100)], {
    error: 'expected a pattern such as "*.csv", or a list of patterns',
  })
  .default('*')
  .describe('Which files: * ? [a-z] {a,b} within a name, ** for folders of any depth, e.g. "**/*.csv"')

export const recordBytesMax = byteSize
  .pipe(
    z
      .int()
      .min(16)
      .max(64 * 1024 * 1024),
  )
  .default(1024 * 1024)
  .describe('A line or record longer than this is rejected')

/** Options after the defaults of the gateway have been filled in. */
export type Placed<T> = Omit<T, 'site' | 'zone'> & { site: string; zone: string }

export const frameRowsMax = 65_536
