/** `tap`: readings of a running gateway as they pass, from its page's address. */
import { EXIT, parseIsoNs, UserError } from '@penstock/frame'
import type { Command, CommandLine } from '@penstock/program'
import { loadGatewayConfig, type PageConfig } from '../config.ts'
import type { Passed } from '../live.ts'
import { localIso } from '../sample-collector.ts'
import { valueText } from '../terminal/sample-text.ts'
import { shorten, visible } from '../terminal/table.ts'
import { machineZone, operandsOf, textOption, wholeNumber, wrongCall, zoneOption } from './call.ts'

const usage = `penstock-gateway tap [source]: readings of a running gateway as they pass, all sources where none is named

  --config <file>   the gateway's configuration: its page's address, token and zone
  --url <address>   address of its page (http://127.0.0.1:8081)
  --zone <zone>     IANA zone in which times are shown (this machine's)
  --rows <n>        ends after so many rows
  --json            one JSON object a line: a row, or a reject

Where readings pass faster than they can be shown, it says how many were not. Only what passes from now on is seen.
Exit codes: 0 so many rows were shown · 2 wrong call · 3 configuration · 5 no gateway answers, or it ended`

const limits = { connectMsMax: 10_000, eventCharsMax: 32 * 1024 * 1024, rowsMax: 1_000_000_000 }

interface Target {
  url: URL
  token?: string
}

const run = async (line: CommandLine): Promise<void> => {
  const [source] = operandsOf(line, 0, 1, 'the id of a source, or none for all')
  const rowsMax = wholeNumber(line, 'rows', Number.POSITIVE_INFINITY, 1, limits.rowsMax)
  const zone = zoneOption(line) ?? machineZone()
  const target = await targetOf(line)
  const answer = await connect(line, target, source)
  line.tell(`listening to ${source ?? 'all sources'} at ${target.url.origin}; Ctrl-C ends it`)
  let rows = 0
  for await (const passed of passedIn(answer, target, line.signal)) {
    const texts = line.options.json ? jsonLines(passed) : plainLines(passed, zone)
    const room = passed.kind === 'rows' ? rowsMax - rows : texts.length
    for (const text of texts.slice(0, room)) line.print(shortenedFor(line, text))
    if (passed.kind === 'rows') rows += Math.min(room, texts.length)
    if (rows >= rowsMax) return
  }
  line.signal.throwIfAborted()
  throw new UserError(`the gateway at ${target.url.origin} ended the connection`, EXIT.unavailable)
}

export const tapCommand: Command = {
  run,
  usage,
  options: { config: 'string', url: 'string', zone: 'string', rows: 'string', json: 'boolean' },
}

const shortenedFor = ({ options, terminal: { columns } }: CommandLine, text: string): string =>
  options.json || columns === undefined ? text : shorten(text, columns)

const targetOf = async (line: CommandLine): Promise<Target> => {
  const [config, url] = [textOption(line, 'config'), textOption(line, 'url')]
  if (url !== undefined && !URL.canParse(url)) {
    throw wrongCall(line, `--url is "${url}", expected an address such as http://127.0.0.1:8081`)
  }
  if (config === undefined) return { url: new URL(url ?? 'http://127.0.0.1:8081') }
  const { page } = await loadGatewayConfig(config, line.env)
  if (!page) throw new UserError(`${config}: page is false: this gateway shows nothing to tap`, EXIT.config)
  return { url: new URL(url ?? pageAddress(page)), ...(page.token !== undefined && { token: page.token }) }
}

/** Where a page of this machine is reached. */
export const pageAddress = ({ host, port }: Pick<PageConfig, 'host' | 'port'>): string => {
  const reached = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host
  return `http://${reached}:${port}`
}

const connect = async (line: CommandLine, { url, token }: Target, source: string | undefined): Promise<Response> => {
  const target = new URL('/api/tap', url)
  if (source !== undefined) target.searchParams.set('source', source)
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  // The limit holds for the answer's beginning; what follows has none.
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), limits.connectMsMax)
  let answer: Response
  try {
    answer = await fetch(target, { headers, signal: AbortSignal.any([line.signal, late.signal]) })
  } catch (error) {
    line.signal.throwIfAborted()
    const { code } = ((error as Error).cause ?? {}) as { code?: string }
    const why = late.signal.aborted ? `no answer within ${limits.connectMsMax / 1000} s` : (code ?? 'no answer')
    const hint = 'is it running ("penstock-gateway run"), and is this its page\'s address (--url, or --config)?'
    throw new UserError(`no gateway answers at ${url.origin} (${why}): ${hint}`, EXIT.unavailable, { cause: error })
  } finally {
    clearTimeout(timer)
  }
  if (answer.ok && answer.headers.get('content-type')?.startsWith('text/event-stream')) return answer
  const problem = (await answer.json().catch(() => ({}))) as { detail?: string }
  const said = problem.detail ?? `answered ${answer.status}, which no gateway does`
  throw new UserError(`${url.origin}: ${said}`, answer.status === 404 ? EXIT.usage : EXIT.unavailable)
}

/** The events of the answer, until it ends or the signal aborts. */
async function* passedIn(answer: Response, { url }: Target, signal: AbortSignal): AsyncGenerator<Passed> {
  let text = ''
  const decoder = new TextDecoder()
  try {
    for await (const bytes of answer.body ?? []) {
      text += decoder.decode(bytes as Uint8Array, { stream: true })
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const event = text.slice(0, end)
        text = text.slice(end + 2)
        const data = event.split('\n').flatMap(part => (part.startsWith('data: ') ? part.slice(6) : []))
        // Beats, which keep the connection alive, carry nothing.
        if (data.length > 0 && !event.startsWith('event: beat')) yield JSON.parse(data.join('\n')) as Passed
      }
      if (text.length > limits.eventCharsMax) {
        throw new UserError(
          `${url.origin}: sent an event of more than ${limits.eventCharsMax} characters`,
          EXIT.failure,
        )
      }
    }
  } catch (error) {
    if (signal.aborted || error instanceof UserError) throw error
    throw new UserError(`the connection to ${url.origin} broke`, EXIT.unavailable, { cause: error })
  }
}

const jsonLines = (passed: Passed): string[] => {
  if (passed.kind !== 'rows') return [JSON.stringify(passed)]
  const { source, site, device, stream, file, columns, rows } = passed
  return rows.map(({ time, values, status }) =>
    JSON.stringify({
      ...{ source, site, device, stream, time, status },
      values: Object.fromEntries(columns.map(({ name }, i) => [name, values[i] ?? null])),
      ...(file !== undefined && { file }),
    }),
  )
}

const plainLines = (passed: Passed, zone: string): string[] => {
  switch (passed.kind) {
    case 'missed':
      return [`… ${passed.rows} rows and ${passed.rejects} rejects passed faster than they could be shown`]
    case 'reject': {
      const { origin, reason } = passed.reject
      const place = `${origin.file ?? passed.source}${origin.firstLine === undefined ? '' : `:${origin.firstLine}`}`
      return [visible(`rejected ${place}: ${reason}`)]
    }
    case 'rows': {
      const { site, device, stream, columns, rows, leftOut } = passed
      const lines = rows.map(({ time, values, status }) => {
        const cells = columns.map(
          ({ name, unit }, i) => `${name} ${valueText(values[i] ?? null)}${unit ? ` ${unit}` : ''}`,
        )
        const what = status === null ? '' : `  (${status})`
        return visible(`${shownTime(time, zone)}  ${site}/${device}/${stream}  ${cells.join(' · ')}${what}`)
      })
      return leftOut > 0 ? [`… ${leftOut} rows of ${site}/${device}/${stream} before these`, ...lines] : lines
    }
  }
}

const shownTime = (time: string, zone: string): string => {
  const ns = parseIsoNs(time)
  return ns === undefined ? time : localIso(ns, zone).replace('T', ' ')
}
