/** When a file is whole: beyond size and time that stand still, by what it says, what lies beside it, and who has it open. */
import { stat } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { duration } from '@penstock/config'
import type { FileBytes } from '@penstock/formats'
import * as z from 'zod'

const isRegex = (text: string): boolean => {
  try {
    new RegExp(text, 'u')
    return true
  } catch {
    return false
  }
}

export const completenessShape = {
  lastLine: z
    .string()
    .min(1)
    .max(1024)
    .refine(isRegex, 'is not a regular expression')
    .optional()
    .describe(
      'A regular expression that the last line of a complete file matches, e.g. "^# finished". That line is no row',
    ),
  file: z
    .string()
    .min(1)
    .max(256)
    .refine(text => /\{(name|stem)\}/.test(text), 'holds neither {name} nor {stem}')
    .optional()
    .describe(
      'A file beside it that says that it is complete, e.g. "{name}.done" (run.csv.done) or "{stem}.ok" (run.ok)',
    ),
}
export const waitMsMax = duration
  .optional()
  .describe(
    'A file that does not become complete is read after it has rested for so long, with a warning. Default: never',
  )

export interface CompletenessOptions {
  lastLine?: string | undefined
  file?: string | undefined
}

export interface Completeness {
  /** Whether anything is asked for. */
  readonly isAsked: boolean
  /**
   * Looks at a file of `folder`. `missing`: what it waits for, in plain words, where it is not complete. `size`: how many
   * of its bytes are data: without the last line, where that is the mark.
   */
  look(folder: string, path: string, bytes: FileBytes): Promise<{ missing?: string; size: number }>
}

/** A last line longer than this is no mark. */
const lastLineBytesMax = 4096

export const createCompleteness = (options: CompletenessOptions): Completeness => {
  const { lastLine, file } = options
  const pattern = lastLine === undefined ? undefined : new RegExp(lastLine, 'u')
  return {
    isAsked: pattern !== undefined || file !== undefined,
    async look(folder, path, bytes) {
      const beside = file === undefined ? undefined : besideOf(file, path)
      if (beside !== undefined && !(await isThere(join(folder, beside)))) {
        return { missing: `${beside} does not lie beside it yet`, size: bytes.size }
      }
      if (!pattern) return { size: bytes.size }
      const line = await lastLineOf(bytes)
      if (pattern.test(line.text)) return { size: line.from }
      return { missing: `its last line does not match ${pattern}`, size: bytes.size }
    },
  }
}

const besideOf = (template: string, path: string): string => {
  const name = basename(path)
  const beside = template.replaceAll('{name}', name).replaceAll('{stem}', basename(name, extname(name)))
  return join(dirname(path), beside)
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/** The last line that holds anything, with or without an end, and the byte at which it begins. Any encoding that ASCII shines through. */
const lastLineOf = async (file: FileBytes): Promise<{ text: string; from: number }> => {
  const start = Math.max(0, file.size - lastLineBytesMax)
  const bytes = await file.read(start, file.size)
  const isEnd = (c: number | undefined) => c === 10 || c === 13 || c === 0 || c === 32
  let end = bytes.length
  while (end > 0 && isEnd(bytes[end - 1])) end--
  let from = end
  while (from > 0 && bytes[from - 1] !== 10 && bytes[from - 1] !== 13) from--
  if (from === 0 && start > 0) return { text: '', from: file.size }
  // In UTF-16 (little-endian) the zero behind the line feed belongs to it.
  if (from > 0 && bytes[from] === 0) from++
  const text = Buffer.from(bytes.subarray(from, end)).toString(bytes.includes(0) ? 'latin1' : 'utf8')
  return { text: text.replaceAll('\0', ''), from: start + from }
}
