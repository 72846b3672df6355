/** Configuration files that commands write: never over one that is there, never one that would not be read. */
import { randomUUID } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { appendToList, parseConfig, type Remark } from '@penstock/config'
import { EXIT, UserError } from '@penstock/frame'
import { gatewayConfigSchema } from '../config.ts'
import type { SourceEntry } from '../sample.ts'
import { fileProblem } from './call.ts'

/** Puts a source at the end of a configuration. Throws a UserError, with the file as it was, where the result would be wrong. */
export const appendSource = async (config: string, source: SourceEntry, remarks: readonly Remark[]): Promise<void> => {
  let text: string
  try {
    text = await readFile(config, 'utf8')
  } catch (error) {
    const hint = (error as NodeJS.ErrnoException).code === 'ENOENT' ? '; "penstock-gateway init" makes one' : ''
    throw new UserError(`${config}: ${fileProblem(error)}${hint}`, EXIT.config, { cause: error })
  }
  const { sources } = parseConfig(text, config, gatewayConfigSchema)
  if (sources.some(({ id }) => id === source.id)) {
    throw new UserError(`${config}: has a source "${source.id}" already; give another one by --id`, EXIT.config)
  }
  const made = appendToList(text, config, 'sources', source, remarks)
  parseConfig(made, config, gatewayConfigSchema)
  await replaceFile(config, made)
}

/** The old text or the new one, whatever happens meanwhile. */
const replaceFile = async (path: string, text: string): Promise<void> => {
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID().slice(0, 8)}.tmp`)
  try {
    await writeWhole(temporary, text)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw new UserError(`${path}: cannot be written: ${fileProblem(error)}`, EXIT.unavailable, { cause: error })
  }
}

/** Rejects with EEXIST where something stands at the path. */
export const writeWhole = async (path: string, text: string): Promise<void> => {
  const handle = await open(path, 'wx')
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}
