/**
 * One InfluxDB over HTTP: 1.x, 2.x or 3. Lines go to `/write` or `/api/v2/write`, InfluxQL to `/query`, which all three
 * answer. Nothing is retried here. A write counts when its own 204 has come, line by line:
 *
 * - 400 and 422 that speak of lines: the body is halved until the refused lines stand alone; the others are stored.
 * - 413: halved until the pieces are small enough.
 * - all else (429, 503, time-outs, broken connections, wrong credentials): an InfluxError; the runner tries again later.
 */
import { HttpError, InfluxDB } from '@influxdata/influxdb-client'
import { HistorianUnavailableError } from '../../historian.ts'

export interface ServerOptions {
  /** E.g. http://influx:8086, without user and password. */
  url: string
  version: 1 | 2 | 3
  /** Database of 1.x and 3, bucket of 2.x. */
  database: string
  /** 2.x alone. */
  org?: string
  /** 1.x alone. */
  username?: string
  password?: string
  /** 2.x and 3. */
  token?: string
  timeoutMsMax?: number
  /** Bodies from this size on are sent as gzip; left out: none. */
  gzipBytesMin?: number
}

/** InfluxDB cannot be reached, or will not answer now. */
export class InfluxError extends HistorianUnavailableError {
  override name = 'InfluxError'
  readonly status: number | undefined
  /** What the server asked for in Retry-After. */
  readonly retryAfterMs: number | undefined
  constructor(message: string, options: ErrorOptions & { status?: number; retryAfterMs?: number } = {}) {
    super(message, options)
    this.status = options.status
    this.retryAfterMs = options.retryAfterMs
  }
}

/** A line that the server will never take, and why, in its own words. */
export interface Refusal {
  line: string
  words: string
}
export interface ResultSeries {
  name: string
  tags?: Record<string, string>
  columns: string[]
  values: unknown[][]
}
export interface Result {
  series: ResultSeries[]
  /** The server has cut the answer short of what was asked. */
  partial: boolean
}
export interface Server {
  readonly version: 1 | 2 | 3
  readonly database: string
  readonly org: string | undefined
  /** Resolves when every line is stored or refused. */
  write(lines: readonly string[]): Promise<Refusal[]>
  /** One InfluxQL statement. */
  query(statement: string): Promise<Result>
  /** Any other call of the server's API; the answer as JSON. */
  call(method: 'GET' | 'POST', path: string, body?: unknown): Promise<unknown>
}

const wordsCharsMax = 1000
const pathOf = ({ version, database, org = '' }: ServerOptions): string =>
  version === 1
    ? `/write?db=${encodeURIComponent(database)}&precision=ns`
    : `/api/v2/write?org=${encodeURIComponent(org)}&bucket=${encodeURIComponent(database)}&precision=ns`

const authorization = ({ version, username, password = '', token }: ServerOptions): Record<string, string> => {
  if (version === 1) {
    if (username === undefined) return {}
    return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` }
  }
  return token === undefined ? {} : { authorization: `${version === 2 ? 'Token' : 'Bearer'} ${token}` }
}

export const createServer = (options: ServerOptions): Server => {
  const { url, version, database, timeoutMsMax = 30_000, gzipBytesMin } = options
  const headers = authorization(options)
  const { transport } = new InfluxDB({ url, timeout: timeoutMsMax, headers })
  const writePath = pathOf(options)
  const queryPath = `/query?db=${encodeURIComponent(database)}`
  const secrets = [options.password, options.token, headers.authorization?.split(' ')[1]].filter(s => s)

  const fail = (error: unknown): InfluxError => {
    const said = error instanceof Error ? wordsOf(error) : String(error)
    const words = secrets.reduce<string>((text, secret) => text.replaceAll(secret ?? '', '***'), said)
    const status = error instanceof HttpError ? error.statusCode : undefined
    const retryAfterS = error instanceof HttpError ? error.retryAfter() : 0
    return new InfluxError(`InfluxDB at ${url}: ${status === undefined ? '' : `${status}: `}${words}`, {
      ...(status !== undefined && { status }),
      ...(retryAfterS > 0 && { retryAfterMs: retryAfterS * 1000 }),
    })
  }

  const post = async (lines: readonly string[]): Promise<void> => {
    let status: number | undefined
    await transport.request(
      writePath,
      lines.join('\n'),
      {
        method: 'POST',
        headers: { 'content-type': 'text/plain; charset=utf-8' },
        ...(gzipBytesMin !== undefined && { gzipThreshold: gzipBytesMin }),
      },
      (_, code) => {
        status = code
      },
    )
    if (status !== 204) throw new InfluxError(`InfluxDB at ${url}: answered a write with ${status}, expected 204`)
  }

  const write = async (lines: readonly string[]): Promise<Refusal[]> => {
    if (lines.length === 0) return []
    try {
      await post(lines)
      return []
    } catch (error) {
      if (error instanceof InfluxError) throw error
      if (!isAboutLines(error)) throw fail(error)
      const words = wordsOf(error)
      const named = namedLines(error, lines)
      if (named) return named
      if (lines.length === 1 || droppedAll(words, lines.length)) return lines.map(line => ({ line, words }))
      const middle = Math.ceil(lines.length / 2)
      return [...(await write(lines.slice(0, middle))), ...(await write(lines.slice(middle)))]
    }
  }

  return {
    version,
    database,
    org: options.org,
    write,
    async query(statement) {
      let answer: unknown
      try {
        answer = await transport.request(queryPath, new URLSearchParams({ q: statement }).toString(), {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
        })
      } catch (error) {
        throw fail(error)
      }
      return resultOf(answer, words => fail(new Error(words)))
    },
    async call(method, path, body) {
      try {
        return await transport.request(path, body === undefined ? '' : JSON.stringify(body), {
          method,
          headers: { accept: 'application/json' },
        })
      } catch (error) {
        throw fail(error)
      }
    },
  }
}

/** 1.x says `{"error"}`, 2.x `{"code", "message"}`, 3 `{"error", "data"}`. Without line breaks: they go into logs. */
const wordsOf = (error: Error): string => {
  const json = error instanceof HttpError ? (error.json as Record<string, unknown> | undefined) : undefined
  const said = json?.error ?? json?.message
  const code = (error as NodeJS.ErrnoException).code
  const words = typeof said === 'string' ? said : error.message || code || error.name
  return words.replace(/\s+/g, ' ').slice(0, wordsCharsMax)
}

const lineWords =
  /partial write|unable to parse|type conflict|already exists as type|invalid (field|point|number|boolean|tag|line|column)|beyond retention|outside (time )?range|max-(values|series)|limit exceeded|too (long|large|many)|missing (fields|tag|measurement|timestamp)|parse error|line protocol/i

/** Whether fewer or other lines would have been taken. A 400 of another kind (no such database, no org) is no line's fault. */
const isAboutLines = (error: unknown): error is HttpError =>
  error instanceof HttpError &&
  (error.statusCode === 413 ||
    ((error.statusCode === 400 || error.statusCode === 422) && lineWords.test(`${wordsOf(error)} ${error.body ?? ''}`)))

/** 1.x counts what it dropped for one reason: where that is all, all were refused for it. */
const droppedAll = (words: string, lines: number): boolean =>
  /^partial write/.test(words) && Number(/ dropped=(\d+)$/.exec(words)?.[1] ?? -1) === lines

/** 3 names the lines that it refused, and has stored the others. */
const namedLines = (error: HttpError, lines: readonly string[]): Refusal[] | undefined => {
  const json = error.json as { error?: unknown; data?: unknown } | undefined
  if (typeof json?.error !== 'string' || !/^partial write/i.test(json.error) || !Array.isArray(json.data)) return
  const refusals: Refusal[] = []
  for (const item of json.data as { original_line?: unknown; line_number?: unknown; error_message?: unknown }[]) {
    const line = lines[Number(item.line_number) - 1]
    const start = String(item.original_line ?? '').slice(0, 20)
    if (line === undefined || start === '' || !line.startsWith(start)) return
    refusals.push({ line, words: String(item.error_message ?? json.error).slice(0, wordsCharsMax) })
  }
  return refusals.length > 0 ? refusals : undefined
}

const resultOf = (answer: unknown, failure: (words: string) => InfluxError): Result => {
  const { error, results = [] } = (answer ?? {}) as {
    error?: string
    results?: { error?: string; series?: (ResultSeries & { partial?: boolean })[]; partial?: boolean }[]
  }
  const [result] = results
  const words = error ?? result?.error
  if (words !== undefined) throw failure(words)
  const series = result?.series ?? []
  return { series, partial: result?.partial === true || series.some(s => s.partial === true) }
}
