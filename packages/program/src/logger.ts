/** The log of a program: JSON lines for machines, one plain line each where a person looks on. */
import { type DestinationStream, type Logger, pino } from 'pino'

export type { Logger }

const levels: Record<number, string> = { 20: 'debug', 30: 'info', 40: 'WARN', 50: 'ERROR', 60: 'FATAL' }
const own = new Set(['level', 'time', 'msg', 'name', 'pid', 'hostname', 'err'])

/** "10:31:05 info  cloud: listening url=http://…" */
const plainLine = (line: string): string => {
  const record = JSON.parse(line) as Record<string, unknown>
  const time = new Date(record.time as number).toTimeString().slice(0, 8)
  const level = (levels[record.level as number] ?? String(record.level)).padEnd(5)
  const rest = Object.entries(record).filter(([key]) => !own.has(key))
  const fields = rest
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('')
  const error = record.err as { stack?: string } | undefined
  return `${time} ${level} ${record.name}: ${record.msg}${fields}${error?.stack ? `\n${error.stack}` : ''}\n`
}

/** @param format `json` for log collectors, `text` for a terminal */
export const createLogger = (name: string, format: 'json' | 'text', out: NodeJS.WritableStream): Logger => {
  const destination: DestinationStream = { write: line => void out.write(format === 'json' ? line : plainLine(line)) }
  return pino({ name, base: { name }, level: 'info' }, destination)
}
