/** A file of the reader, looked at before anything is set up: what it is, what would be stored, and the source that reads it. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { lookAtFile, type Proposal, type SampleReport, type SampleStream } from './api.ts'
import { bytesText, shortText, valueText, wholeText } from './format.ts'
import { Section, Select, Table } from './parts.tsx'
import { RejectRow } from './rejects.tsx'
import { texts } from './texts.ts'

/** Of a larger file its beginning is sent. */
const sentBytesMax = 64 * 1024 * 1024

type Looking =
  | { step: 'waiting' }
  | { step: 'sending'; name: string; part: number }
  | { step: 'failed'; name: string; problem: string }
  | { step: 'read'; name: string; cut: boolean; report: SampleReport; onZone(zone: string): void }

export const Look = () => {
  const [looking, setLooking] = useState<Looking>({ step: 'waiting' })
  const [over, setOver] = useState(false)
  const abort = useRef<AbortController | undefined>(undefined)
  const input = useRef<HTMLInputElement>(null)

  const look = (file: File, zone?: string): void => {
    abort.current?.abort()
    const own = new AbortController()
    abort.current = own
    const { name } = file
    const cut = file.size > sentBytesMax
    setLooking({ step: 'sending', name, part: 0 })
    document.getElementById('look')?.scrollIntoView()
    const onSent = (part: number) => !own.signal.aborted && setLooking({ step: 'sending', name, part })
    lookAtFile(cut ? file.slice(0, sentBytesMax) : file, name, { part: cut, zone, onSent, signal: own.signal }).then(
      report => setLooking({ step: 'read', name, cut, report, onZone: other => look(file, other) }),
      (error: Error) => {
        if (!own.signal.aborted) setLooking({ step: 'failed', name, problem: error.message })
      },
    )
  }
  const cancel = (): void => {
    abort.current?.abort()
    setLooking({ step: 'waiting' })
  }
  useDrops(setOver, look)

  return (
    <Section id="look" title={texts.look} intro={texts.lookIntro}>
      {over && <div class="drop-cover">{texts.dropAnywhere}</div>}
      <div class="panel drop">
        <p>
          <span class="drop-word">{texts.drop}</span> <span class="quiet">{texts.or}</span>{' '}
          <button type="button" onClick={() => input.current?.click()}>
            {looking.step === 'read' ? texts.again : texts.choose}
          </button>
        </p>
        <input
          ref={input}
          hidden
          type="file"
          onChange={event => {
            const [file] = event.currentTarget.files ?? []
            if (file) look(file)
            event.currentTarget.value = ''
          }}
        />
        <div role="status">
          {looking.step === 'sending' && (
            <p>
              {looking.part < 1
                ? texts.sending(looking.name, `${Math.floor(looking.part * 100)} %`)
                : texts.reading(looking.name)}{' '}
              <button type="button" onClick={cancel}>
                {texts.cancel}
              </button>
            </p>
          )}
        </div>
      </div>
      {looking.step === 'failed' && (
        <div class="behind failed-look" role="alert">
          <strong>{texts.lookFailed}</strong>: {looking.name}
          <p>{looking.problem}</p>
        </div>
      )}
      {looking.step === 'read' && <Report {...looking} />}
    </Section>
  )
}

/** A file may be let go of anywhere on the page. */
const useDrops = (onOver: (over: boolean) => void, onFile: (file: File) => void): void => {
  const latest = useRef(onFile)
  latest.current = onFile
  useEffect(() => {
    const hasFile = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false
    const over = (event: DragEvent): void => {
      if (!hasFile(event)) return
      event.preventDefault()
      onOver(true)
    }
    const leave = (event: DragEvent): void => {
      if (event.relatedTarget === null) onOver(false)
    }
    const drop = (event: DragEvent): void => {
      if (!hasFile(event)) return
      event.preventDefault()
      onOver(false)
      const [file] = event.dataTransfer?.files ?? []
      if (file) latest.current(file)
    }
    document.addEventListener('dragover', over)
    document.addEventListener('dragleave', leave)
    document.addEventListener('drop', drop)
    return () => {
      document.removeEventListener('dragover', over)
      document.removeEventListener('dragleave', leave)
      document.removeEventListener('drop', drop)
    }
  }, [])
}

const percent = (part: number): string => `${shortText(Math.round(part * 100))} %`

type ReportProps = Extract<Looking, { step: 'read' }>
const Report = ({ name, cut, report, onZone }: ReportProps) => {
  const zone = report.streams[0]?.zone
  const [best, ...others] = report.proposals
  const otherKinds = others.filter(({ format }) => format.kind !== best?.format.kind)
  const summary = texts.lookSummary(
    wholeText(report.rowsRead),
    wholeText(report.rowsRejected),
    bytesText(report.bytesRead),
    wholeText(report.ms),
  )
  return (
    <article class="panel report" aria-label={name}>
      <h3>{name}</h3>
      {best ? (
        <p class="summary-line">
          <strong>{texts.readAs(String(best.format.kind))}</strong>{' '}
          <span class="tag">{texts.sure(percent(best.confidence))}</span> <span class="quiet">{summary}</span>
        </p>
      ) : (
        <div class="behind doubts">
          <strong>{texts.nothingFits}</strong>
          <p>{report.reason ?? texts.nothingFitsHint}</p>
        </div>
      )}
      {cut && <p class="quiet summary-line">{texts.onlyHead(bytesText(report.bytes))}</p>}
      {best && zone !== undefined && (
        <Select
          label={texts.zoneOfFile}
          value={zone}
          options={zonesWith(zone).map(value => ({ value, text: value }))}
          onChange={onZone}
        />
      )}
      {best && best.doubts.length > 0 && <Doubts doubts={best.doubts} />}
      {report.streams.map(stream => (
        <FirstRows key={`${stream.site}/${stream.device}/${stream.stream}`} stream={stream} />
      ))}
      {report.rejects.length > 0 && (
        <>
          <h4>{texts.rejectsOfFile(wholeText(report.rowsRejected))}</h4>
          <ul class="rejects">
            {report.rejects.map((reject, i) => (
              <RejectRow key={i} reject={reject} />
            ))}
          </ul>
        </>
      )}
      {best && best.findings.length > 0 && <Findings findings={best.findings} />}
      {report.yaml !== undefined && <Yaml text={report.yaml} />}
      {otherKinds.length > 0 && (
        <p class="quiet">
          {texts.also}:{' '}
          {otherKinds.map(({ format, confidence }) => `${format.kind} (${percent(confidence)})`).join(', ')}
        </p>
      )}
    </article>
  )
}

/** UTC and this machine's first, then all that the browser knows. */
const zonesWith = (zone: string): string[] => {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone
  return [...new Set([zone, own, 'UTC', ...Intl.supportedValuesOf('timeZone')])]
}

const Doubts = ({ doubts }: { doubts: Proposal['doubts'] }) => (
  <div class="behind doubts">
    <strong>{texts.doubts}</strong>
    <p>{texts.doubtsIntro}</p>
    <ul>
      {doubts.map(({ path, text }) => (
        <li key={`${path.join('.')} ${text}`}>
          <code>{path.join('.')}</code> {text}
        </li>
      ))}
    </ul>
  </div>
)

const Findings = ({ findings }: { findings: Proposal['findings'] }) => (
  <>
    <h4>{texts.found}</h4>
    <dl class="facts wide">
      {findings.map(({ what, text }) => (
        <div key={`${what} ${text}`}>
          <dt>{what}</dt>
          <dd>{text}</dd>
        </div>
      ))}
    </dl>
  </>
)

const FirstRows = ({ stream }: { stream: SampleStream }) => {
  const title = `${stream.site} / ${stream.device} / ${stream.stream}`
  const withStatus = stream.first.some(({ status }) => status !== null)
  const attributes = Object.entries(stream.attributes ?? {})
  return (
    <>
      <h4>
        {texts.asStored}: {title}
      </h4>
      <p class="quiet small">{texts.firstRows(stream.first.length, wholeText(stream.rows), stream.zone)}</p>
      <Table label={`${texts.asStored}: ${title}`}>
        <thead>
          <tr>
            <th scope="col">{texts.time}</th>
            {stream.columns.map(({ name, unit }) => (
              <th key={name} scope="col">
                {name}
                {unit !== undefined && <span class="unit"> {unit}</span>}
              </th>
            ))}
            {withStatus && <th scope="col">{texts.status}</th>}
          </tr>
        </thead>
        <tbody>
          {stream.first.map((row, i) => (
            <tr key={i}>
              <th scope="row">
                {row.local.replace('T', ' ')}
                <span class="quiet small"> {row.time}</span>
              </th>
              {row.values.map((value, c) => (
                <td key={stream.columns[c]?.name}>{valueText(value)}</td>
              ))}
              {withStatus && <td>{row.status !== null && <span class="tag failed">{row.status}</span>}</td>}
            </tr>
          ))}
        </tbody>
      </Table>
      {attributes.length > 0 && (
        <details>
          <summary>{texts.attributes}</summary>
          <dl class="facts wide">
            {attributes.map(([key, value]) => (
              <div key={key}>
                <dt>{key}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        </details>
      )}
    </>
  )
}

const Yaml = ({ text }: { text: string }) => {
  const [said, setSaid] = useState<string>()
  const code = useRef<HTMLPreElement>(null)
  const copy = async (): Promise<void> => {
    try {
      // Only where the address counts as safe: this machine, or https.
      await navigator.clipboard.writeText(text)
      setSaid(texts.copied)
    } catch {
      if (code.current) getSelection()?.selectAllChildren(code.current)
      setSaid(texts.copyByHand)
    }
  }
  return (
    <>
      <h4>{texts.config}</h4>
      <p class="quiet small">{texts.configIntro}</p>
      <div class="yaml">
        <button type="button" onClick={copy}>
          {texts.copy}
        </button>
        <span class="quiet small" role="status">
          {said}
        </span>
        <pre ref={code}>
          {text.split(/(?<=\n)/).map((line, i) => (/(^|\s)#/.test(line) ? <mark key={i}>{line}</mark> : line))}
        </pre>
      </div>
    </>
  )
}
