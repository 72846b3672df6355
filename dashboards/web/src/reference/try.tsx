/** The form of an operation: its parameters, the address and curl line that they make, and what the service answers. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { address } from '../api.ts'
import { numberText } from '../format.ts'
import { texts } from '../texts.ts'
import { type Answered, ask, curlOf } from './ask.ts'
import { Code, Marked } from './code.tsx'
import { type Operation, type Parameter, typeText } from './openapi.ts'

const t = texts.reference

export interface TryProps {
  operation: Operation
  values: Record<string, string>
  onValue(name: string, value: string): void
}

export const Try = ({ operation, values, onValue }: TryProps) => {
  const fields = operation.parameters.filter(p => p.in === 'query' || p.in === 'path')
  const path = addressOf(operation, values)
  const isGet = operation.method === 'get'
  const { answered, failed, busy, send, stop } = useAnswer(path)
  const missing = fields.filter(({ name, required }) => required && !values[name]).map(p => p.name)
  const submit = (event: Event) => {
    event.preventDefault()
    if (missing.length === 0) send()
  }
  const bodyType = Object.keys(operation.requestBody?.content ?? {})[0]
  return (
    <>
      <form class="ref-form" onSubmit={submit}>
        {fields.length === 0 && <p class="quiet">{t.noParameters}</p>}
        {fields.map(parameter => (
          <Field
            key={`${operation.id} ${parameter.name}`}
            {...{ parameter, editable: isGet, value: values[parameter.name] ?? '' }}
            onValue={value => onValue(parameter.name, value)}
          />
        ))}
        {isGet && (
          <div class="ref-actions">
            <button type="submit" class="primary" disabled={busy || missing.length > 0}>
              {t.send}
            </button>
            {busy && (
              <button type="button" onClick={stop}>
                {t.stop}
              </button>
            )}
            <a href={path} target="_blank" rel="noreferrer">
              {t.open}
            </a>
            {missing.length > 0 && <span class="quiet">{t.needed(missing.join(', '))}</span>}
          </div>
        )}
      </form>
      <Curl line={curlOf(operation.method, location.origin + path, bodyType)} />
      <div aria-live="polite">
        {failed !== undefined && (
          <p class="notice" role="alert">
            {failed}
          </p>
        )}
        {answered && <Answer answered={answered} busy={busy} />}
      </div>
    </>
  )
}

/** With what was given; a place in the path that was not keeps its name in braces. */
const addressOf = ({ path, parameters }: Operation, values: Record<string, string>): string => {
  const query = parameters.filter(p => p.in === 'query').map(({ name }) => [name, values[name] || undefined])
  const filled = path.replace(/\{(\w+)\}/g, (place, name: string) => encodeURIComponent(values[name] ?? '') || place)
  return address(filled, Object.fromEntries(query))
}

const useAnswer = (path: string) => {
  const [answered, setAnswered] = useState<Answered>()
  const [failed, setFailed] = useState<string>()
  const [busy, setBusy] = useState(false)
  const abort = useRef<AbortController | undefined>(undefined)
  // Another operation or reader's end: what is still on its way is of no use.
  useEffect(() => () => abort.current?.abort(), [])
  const send = () => {
    abort.current?.abort()
    const mine = new AbortController()
    abort.current = mine
    const isMine = () => abort.current === mine
    setBusy(true)
    setFailed(undefined)
    setAnswered(undefined)
    ask(path, mine.signal, part => isMine() && setAnswered(part))
      .then(
        all => isMine() && setAnswered(all),
        () => isMine() && !mine.signal.aborted && setFailed(t.unreachable),
      )
      .finally(() => isMine() && setBusy(false))
  }
  return { answered, failed, busy, send, stop: () => abort.current?.abort() }
}

const Field = ({
  parameter,
  value,
  editable,
  onValue,
}: {
  parameter: Parameter
  value: string
  editable: boolean
  onValue(value: string): void
}) => {
  const { name, schema = {}, required } = parameter
  const id = `parameter-${name}`
  const description = parameter.description ?? schema.description
  const example = schema.example === undefined ? '' : String(schema.example)
  const choices = schema.enum ?? (schema.type === 'boolean' ? [true, false] : undefined)
  const said = { id, value, 'aria-describedby': `${id}-text` }
  return (
    <div class="ref-field">
      <label for={editable ? id : undefined}>
        <code>{name}</code>
        <span class="quiet small">
          {typeText(schema)}
          {required ? `, ${t.required}` : ''}
        </span>
      </label>
      {editable && choices && (
        <select {...said} onChange={event => onValue(event.currentTarget.value)}>
          <option value="">{t.leftOut}</option>
          {choices.map(choice => (
            <option key={String(choice)}>{String(choice)}</option>
          ))}
        </select>
      )}
      {editable && !choices && (
        <input
          {...said}
          type="text"
          autocomplete="off"
          spellcheck={false}
          placeholder={example}
          onInput={event => onValue(event.currentTarget.value)}
        />
      )}
      <p id={`${id}-text`} class="quiet small">
        {description && <Marked text={description} />}
        {example !== '' && !choices ? ` ${t.example(example)}` : ''}
      </p>
    </div>
  )
}

const copiedMs = 1500
const Curl = ({ line }: { line: string }) => {
  const [copied, setCopied] = useState(false)
  const copy = () =>
    navigator.clipboard.writeText(line).then(
      () => {
        setCopied(true)
        setTimeout(setCopied, copiedMs, false)
      },
      () => setCopied(false),
    )
  return (
    <div class="ref-curl">
      <Code label={t.curl} text={line} />
      {window.isSecureContext && (
        <button type="button" onClick={copy}>
          {copied ? t.copied : t.copy}
        </button>
      )}
    </div>
  )
}

const Answer = ({ answered, busy }: { answered: Answered; busy: boolean }) => {
  const { status, statusText, type, ms, bytes, body, cut } = answered
  return (
    <div class="ref-answer">
      <p class="ref-status small">
        <strong class={status < 400 ? 'good' : 'bad'}>
          {status} {statusText}
        </strong>
        <span>{type}</span>
        <span>{t.took(numberText(Math.round(ms)), numberText(bytes))}</span>
        {busy && <span role="status">{t.coming}</span>}
        {cut && <span>{t.cut[cut]}</span>}
      </p>
      {body !== '' && <Code label={t.body} text={body} />}
    </div>
  )
}
