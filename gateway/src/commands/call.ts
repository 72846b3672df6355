/** What the commands have in common: operands, numbers among the options, files that are opened for a look. */
import { type FileHandle, open } from 'node:fs/promises'
import { isAbsolute, relative, resolve } from 'node:path'
import { nearestName } from '@penstock/config'
import type { FileBytes } from '@penstock/formats'
import { EXIT, isZone, UserError } from '@penstock/frame'
import type { CommandLine } from '@penstock/program'
import { bytesOf } from '../file-reader.ts'

const program = 'penstock-gateway'

/** A sentence about a wrong call, with the way to the command's help. */
export const wrongCall = ({ command }: Pick<CommandLine, 'command'>, sentence: string): UserError =>
  new UserError(`${program} ${command}: ${sentence}; "${program} ${command} --help" tells how to call it`, EXIT.usage)

/** The operands, `min` to `max` of them. `what` names what is expected, e.g. "one configuration file". */
export const operandsOf = (line: CommandLine, min: number, max: number, what: string): string[] => {
  if (line.operands.length < min || line.operands.length > max) throw wrongCall(line, `expected ${what}`)
  return line.operands
}

/** A whole number among the options. */
export const wholeNumber = (line: CommandLine, name: string, otherwise: number, min: number, max: number): number => {
  const text = line.options[name]
  if (typeof text !== 'string') return otherwise
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= min && value <= max) return value
  throw wrongCall(line, `--${name} is "${text}", expected a whole number from ${min} to ${max}`)
}

export const textOption = (line: CommandLine, name: string): string | undefined => {
  const text = line.options[name]
  return typeof text === 'string' ? text : undefined
}

/** The zone that --zone names. */
export const zoneOption = (line: CommandLine): string | undefined => {
  const name = textOption(line, 'zone')
  if (name === undefined || isZone(name)) return name
  const near = nearestName(name, Intl.supportedValuesOf('timeZone'))
  throw wrongCall(
    line,
    `"${name}" is not an IANA time zone${near ? `, did you mean ${near}?` : ' such as Europe/Paris'}`,
  )
}

export const machineZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone

/** A folder as it stands in a configuration of `base`: relative where it is below that, else absolute. */
export const folderIn = (base: string, folder: string): string => {
  const below = relative(resolve(base), resolve(folder))
  if (below === '') return '.'
  return below.startsWith('..') || isAbsolute(below) ? resolve(folder) : below.replaceAll('\\', '/')
}

/** Why a file or folder cannot be had, in plain words. */
export const fileProblem = (error: unknown): string => {
  const { code, message } = error as NodeJS.ErrnoException
  switch (code) {
    case 'ENOENT':
      return 'there is no such file'
    case 'ENOTDIR':
      return 'part of its path is no folder'
    case 'EISDIR':
      return 'is a folder; give one file'
    case 'EACCES':
    case 'EPERM':
      return 'no permission'
    case 'EBUSY':
      return 'is locked by another program'
    case 'EROFS':
      return 'the file system is read-only'
    case 'ENOSPC':
      return 'the disk is full'
    default:
      return `cannot be had (${code ?? message})`
  }
}

/** A file that is open for a look. */
export interface OpenedFile {
  file: FileBytes
  close(): Promise<void>
}

/** Throws a UserError where it cannot be had. */
export const openFile = async (path: string): Promise<OpenedFile> => {
  let handle: FileHandle | undefined
  try {
    handle = await open(path)
    const stats = await handle.stat()
    if (stats.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' })
    const opened = handle
    return { file: bytesOf(opened, stats.size), close: () => opened.close() }
  } catch (error) {
    await handle?.close()
    throw new UserError(`${path}: ${fileProblem(error)}`, EXIT.unavailable, { cause: error })
  }
}
