/** The edge of both programs: arguments, signals, exit codes, and how a person is told what went wrong. */
import { setMaxListeners } from 'node:events'
import { isatty } from 'node:tty'
import { parseArgs } from 'node:util'
import { EXIT, UserError } from '@penstock/frame'
import { createLogger, type Logger } from './logger.ts'
import { createServiceManager } from './service-manager.ts'

export interface CommandLine {
  command: string
  /** What stands after the command. */
  operands: string[]
  options: Record<string, string | boolean | undefined>
  /** Aborts on SIGINT or SIGTERM; a second one, a second later, ends the program at once. */
  signal: AbortSignal
  /**
   * Calls the listener on SIGHUP, the word to a daemon to read its configuration again, instead of ending. Where the
   * terminal is gone that sent it, the program ends as on SIGTERM. Windows has no such word: there it is never called.
   */
  onHangup(listener: () => void): void
  env: NodeJS.ProcessEnv
  log: Logger
  print(text: string): void
  /** To be called when a command that runs on does its work: tells systemd, where that is asked for. */
  ready(status: string): void
}

export interface Program {
  name: string
  version: string
  /** How to call it; printed for --help and after a wrong call. */
  usage: string
  /** String options beside --help, --version and --log. */
  options: readonly string[]
  commands: Record<string, (line: CommandLine) => Promise<void>>
}

const forceAfterMs = 1000

/** Runs the command that the arguments name and sets the exit code. Never throws. */
export const runProgram = async ({ name, version, usage, options, commands }: Program): Promise<void> => {
  const print = (text: string) => void process.stdout.write(`${text}\n`)
  const complain = (text: string) => void process.stderr.write(`${text}\n`)
  const stop = new AbortController()
  // Every source listens for the end: hundreds are no leak.
  setMaxListeners(0, stop.signal)
  let firstAt = 0
  const end = () => {
    if (stop.signal.aborted && performance.now() - firstAt > forceAfterMs) process.exit(EXIT.failure)
    if (!stop.signal.aborted) firstAt = performance.now()
    stop.abort()
  }
  process.on('SIGINT', end)
  process.on('SIGTERM', end)
  let isHungUp = false
  const onHangup = (listener: () => void) => {
    if (process.platform === 'win32') return
    const hadTerminal = isatty(1)
    process.on('SIGHUP', () => {
      if (!hadTerminal || isatty(1)) return listener()
      // What is said from here on reaches nobody.
      for (const out of [process.stdout, process.stderr]) out.on('error', () => {})
      isHungUp = true
      end()
    })
  }
  try {
    const { values, positionals } = parse(options)
    if (values.version) return print(version)
    const [command = '', ...operands] = positionals
    if (values.help || command === 'help') return print(usage)
    const run = Object.hasOwn(commands, command) ? commands[command] : undefined
    if (!run) {
      const said = command === '' ? 'a command is missing' : `"${command}" is no command`
      throw new UserError(
        `${name}: ${said}; expected one of ${Object.keys(commands).join(', ')}\n\n${usage}`,
        EXIT.usage,
      )
    }
    const format = values.log === 'text' || (values.log === undefined && process.stdout.isTTY) ? 'text' : 'json'
    const log = createLogger(name, format, process.stdout)
    const manager = createServiceManager(process.env, process.pid, message => log.warn({}, message))
    const ready = (status: string): void => {
      stop.signal.addEventListener('abort', manager.stopping, { once: true })
      if (!stop.signal.aborted) manager.ready(status)
    }
    const { signal } = stop
    await run({ command, operands, options: values, signal, onHangup, env: process.env, log, print, ready })
  } catch (error) {
    if (error instanceof UserError) {
      complain(error.message)
      process.exitCode = error.exitCode
    } else {
      complain(error instanceof Error ? (error.stack ?? error.message) : String(error))
      process.exitCode = EXIT.failure
    }
  }
  if (isHungUp) {
    // The usual end of it. Node itself would fail at giving back a terminal that is gone.
    process.removeAllListeners('SIGHUP')
    process.kill(process.pid, 'SIGHUP')
  }
}

type Values = Record<string, string | boolean | undefined>
const parse = (options: readonly string[]): { values: Values; positionals: string[] } => {
  const strings = Object.fromEntries([...options, 'log'].map(option => [option, { type: 'string' as const }]))
  const flags = { help: { type: 'boolean' as const, short: 'h' }, version: { type: 'boolean' as const } }
  try {
    return parseArgs({ options: { ...strings, ...flags }, allowPositionals: true })
  } catch (error) {
    throw new UserError((error as Error).message, EXIT.usage)
  }
}
