/** A command line without a process: what a command prints and tells is kept. */
import type { Command, CommandLine, Terminal } from '@penstock/program'

export interface Called {
  out: string
  told: string
  exitCode: number | undefined
  /** What it threw. */
  error?: Error & { exitCode?: number }
}

export interface CallOptions {
  options?: CommandLine['options']
  columns?: number
  signal?: AbortSignal
  env?: NodeJS.ProcessEnv
}

/** Calls a command with its operands; what it throws is handed back. */
export const call = async (
  command: Command,
  name: string,
  operands: string[],
  { options = {}, columns, signal = new AbortController().signal, env = {} }: CallOptions = {},
): Promise<Called> => {
  const [out, told]: [string[], string[]] = [[], []]
  const log = { info() {}, warn() {}, error() {} } as unknown as CommandLine['log']
  const terminal = { columns, stdin: {}, stdout: {}, stderr: { isTTY: false } } as unknown as Terminal
  const line: CommandLine = {
    ...{ command: name, operands, options, signal, env, log, terminal },
    print: text => out.push(text),
    tell: text => told.push(text),
    ready() {},
    onHangup() {},
  }
  const before = process.exitCode
  process.exitCode = undefined
  try {
    await command.run(line)
    return { out: out.join('\n'), told: told.join('\n'), exitCode: process.exitCode as number | undefined }
  } catch (error) {
    return {
      out: out.join('\n'),
      told: told.join('\n'),
      exitCode: (error as Called['error'])?.exitCode,
      error: error as Error,
    }
  } finally {
    process.exitCode = before
  }
}
