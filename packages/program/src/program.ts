/** The edge of both programs: arguments, signals, exit codes, and how a person is told what went wrong. */
import { setMaxListeners } from 'node:events'
import { isatty } from 'node:tty'
import { parseArgs } from 'node:util'
import { nearestName } from '@penstock/config'
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
  /** To a person beside the output: on stderr. */
  tell(text: string): void
  terminal: Terminal
  /** To be called when a command that runs on does its work: tells systemd, where that is asked for. */
  ready(status: string): void
}

export interface Terminal {
  /** Characters that fit a line of the output; `undefined` where it is no terminal and COLUMNS is not set: nothing is cut. */
  columns: number | undefined
  stdin: NodeJS.ReadStream
  stdout: NodeJS.WriteStream
  stderr: NodeJS.WriteStream
}

export interface Command {
  run(line: CommandLine): Promise<void>
  /** How to call it, with its options; printed for `<command> --help`. Default: the program's. */
  usage?: string
  /** Its options beside --help, --version and --log: `string` takes a value, `boolean` none. */
  options?: Readonly<Record<string, 'string' | 'boolean'>>
  /** It runs until it is stopped: being stopped is no failure (exit code 0). */
  isService?: boolean
}

export interface Program {
  name: string
  version: string
  /** How to call it; printed for --help and after a wrong call. */
  usage: string
  /** A function where a command's module is loaded only when it is called. */
  commands: Readonly<Record<string, Command | (() => Promise<Command>)>>
}

const forceAfterMs = 1000
/** As shells count: 128 + the number of the signal. */
const stoppedCodes = { SIGINT: 130, SIGTERM: 143 } as const

/** Runs the command that the arguments name and sets the exit code. Never throws. */
export const runProgram = async (program: Program): Promise<void> => {
  const { name, version, usage, commands } = program
  const print = (text: string) => void process.stdout.write(`${text}\n`)
  const tell = (text: string) => void process.stderr.write(`${text}\n`)
  const stop = listenForStop()
  let isService = false
  try {
    const { command, known } = await commandOf(program)
    const { options, operands } = parse(name, command, known)
    if (options.version) return print(version)
    if (options.help || command === 'help') return print(known?.usage ?? usage)
    if (!known) throw new UserError(`${name}: ${noCommand(command, Object.keys(commands))}\n\n${usage}`, EXIT.usage)
    isService = known.isService ?? false
    if (!isService) endWithReader()
    const format = options.log === 'text' || (options.log === undefined && process.stdout.isTTY) ? 'text' : 'json'
    const log = createLogger(name, format, process.stdout)
    const { env, stdin, stdout, stderr } = process
    const terminal = { columns: stdout.columns ?? columnsOf(env), stdin, stdout, stderr }
    const { signal, onHangup } = stop
    const ready = readiness(signal, log)
    await known.run({ command, operands, options, signal, onHangup, env, log, print, tell, terminal, ready })
    if (stop.code() !== undefined && !isService) process.exitCode = stop.code()
  } catch (error) {
    process.exitCode = isStop(error, stop.signal) ? (isService ? 0 : stop.code()) : failed(error, tell)
  }
  stop.hangUp()
}

/** Who reads the output may have read enough (head, less): then nobody waits for the rest. */
const endWithReader = () =>
  process.stdout.on('error', error => {
    process.exit((error as NodeJS.ErrnoException).code === 'EPIPE' ? 0 : EXIT.failure)
  })

const listenForStop = () => {
  const stop = new AbortController()
  // Every source listens for the end: hundreds are no leak.
  setMaxListeners(0, stop.signal)
  let firstAt = 0
  let code: number | undefined
  const end = (signal: keyof typeof stoppedCodes) => {
    if (stop.signal.aborted && performance.now() - firstAt > forceAfterMs) process.exit(EXIT.failure)
    if (!stop.signal.aborted) {
      firstAt = performance.now()
      code = stoppedCodes[signal]
    }
    stop.abort()
  }
  process.on('SIGINT', () => end('SIGINT'))
  process.on('SIGTERM', () => end('SIGTERM'))
  let isHungUp = false
  const onHangup = (listener: () => void) => {
    if (process.platform === 'win32') return
    const hadTerminal = isatty(1)
    process.on('SIGHUP', () => {
      if (!hadTerminal || isatty(1)) return listener()
      // What is said from here on reaches nobody.
      for (const out of [process.stdout, process.stderr]) out.on('error', () => {})
      isHungUp = true
      end('SIGTERM')
    })
  }
  /** The usual end after a hangup. Node itself would fail at giving back a terminal that is gone. */
  const hangUp = () => {
    if (!isHungUp) return
    process.removeAllListeners('SIGHUP')
    process.kill(process.pid, 'SIGHUP')
  }
  return { signal: stop.signal, code: () => code, onHangup, hangUp }
}

const readiness = (signal: AbortSignal, log: Logger): CommandLine['ready'] => {
  const manager = createServiceManager(process.env, process.pid, message => log.warn({}, message))
  return status => {
    signal.addEventListener('abort', manager.stopping, { once: true })
    if (!signal.aborted) manager.ready(status)
  }
}

const isStop = (error: unknown, signal: AbortSignal): boolean =>
  signal.aborted && (error === signal.reason || (error as Error | undefined)?.name === 'AbortError')

const failed = (error: unknown, tell: (text: string) => void): number => {
  if (error instanceof UserError) {
    tell(error.message)
    return error.exitCode
  }
  tell(error instanceof Error ? (error.stack ?? error.message) : String(error))
  return EXIT.failure
}

const columnsOf = ({ COLUMNS }: NodeJS.ProcessEnv): number | undefined =>
  COLUMNS !== undefined && /^[1-9]\d{0,4}$/.test(COLUMNS) ? Number(COLUMNS) : undefined

const noCommand = (command: string, commands: string[]): string => {
  const near = nearestName(command, commands)
  const said = command === '' ? 'a command is missing' : `"${command}" is no command`
  return `${said}; expected one of ${commands.join(', ')}${near && command !== '' ? `; did you mean "${near}"?` : ''}`
}

const common = { help: 'boolean', version: 'boolean', log: 'string' } as const

const argumentsWith = (known: Readonly<Record<string, 'string' | 'boolean'>>) =>
  parseArgs({
    options: Object.fromEntries(
      Object.entries(known).map(([key, type]) => [key, { type, ...(key === 'help' && { short: 'h' }) }]),
    ),
    allowPositionals: true,
    strict: false,
    tokens: true,
  })

/** The first argument that is no option, and what it names; of `help <command>`, that command. */
const commandOf = async ({ commands }: Program): Promise<{ command: string; known: Command | undefined }> => {
  const [command = '', topic = ''] = argumentsWith(common).positionals
  const named = command === 'help' ? topic : command
  const known = Object.hasOwn(commands, named) ? commands[named] : undefined
  return { command, known: typeof known === 'function' ? await known() : known }
}

/** The operands and options of a command. Throws a UserError for an option that it does not know or a value that is missing. */
const parse = (
  name: string,
  command: string,
  named: Command | undefined,
): Pick<CommandLine, 'operands' | 'options'> => {
  const known: Record<string, 'string' | 'boolean'> = { ...common, ...named?.options }
  const { values, positionals, tokens } = argumentsWith(known)
  const caller = named ? `${name} ${command}` : name
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const type = Object.hasOwn(known, token.name) ? known[token.name] : undefined
    const wrong = (said: string) =>
      new UserError(`${caller}: ${said}; "${caller} --help" tells how to call it`, EXIT.usage)
    if (type === undefined) {
      const near = nearestName(token.name, Object.keys(known))
      throw wrong(`unknown option '${token.rawName}'${near ? `, did you mean --${near}?` : ''}`)
    }
    if (type === 'string' && (token.value === undefined || token.value === '')) {
      throw wrong(`the option --${token.name} needs a value`)
    }
    if (type === 'boolean' && token.value !== undefined) throw wrong(`the option --${token.name} takes no value`)
  }
  return { operands: positionals.slice(1), options: values as CommandLine['options'] }
}
