/**
 * The HTTP API, from the service's own OpenAPI document: what can be asked, with which parameters, what comes back; a form
 * tries it. The chosen operation and its parameters (`p.store=London`) stand in the address.
 */
import { useEffect, useState } from 'preact/hooks'
import { Notice } from '../parts.tsx'
import { Code, Marked } from '../reference/code.tsx'
import { type Api, byTag, namedIn, type Operation, openapiPath, readApi, typeText } from '../reference/openapi.ts'
import '../reference/reference.css'
import { Try } from '../reference/try.tsx'
import { go, Link } from '../router.tsx'
import { texts } from '../texts.ts'
import type { ViewProps } from '../view.ts'

const t = texts.reference
const prefix = 'p.'
const first = 'get /v1/counts'

const operationAddress = (id: string): string => `/reference?${new URLSearchParams({ op: id })}`

const Reference = ({ query }: ViewProps) => {
  const { api, failed, again } = useApi()
  const [filter, setFilter] = useState('')
  useEffect(() => {
    document.title = `${t.title} · ${texts.product}`
  }, [])
  if (failed !== undefined) {
    return (
      <Notice title={t.failed} onRetry={again}>
        {failed}
      </Notice>
    )
  }
  if (!api) return <span class="skeleton chart-place" />
  const asked = query.get('op') ?? first
  const operation = api.operations.find(({ id }) => id === asked)
  const matches = ({ id, summary = '', tags = [] }: Operation) =>
    `${id} ${summary} ${tags.join(' ')}`.toLowerCase().includes(filter.trim().toLowerCase())
  const shown = api.operations.filter(matches)
  return (
    <>
      <h1>{t.title}</h1>
      <p class="lead">
        {api.info.description}{' '}
        <a href={openapiPath} target="_blank" rel="noreferrer">
          {t.document}
        </a>
      </p>
      <div class="reference">
        <div class="ref-list">
          <input
            type="search"
            class="ref-search"
            aria-label={t.filter}
            placeholder={t.filter}
            value={filter}
            onInput={event => setFilter(event.currentTarget.value)}
          />
          <Operations operations={shown} chosen={asked} />
          <OperationSelect operations={api.operations} chosen={operation?.id ?? ''} />
        </div>
        {operation ? (
          <Described key={operation.id} {...{ operation, api, query }} />
        ) : (
          <Notice title={t.unknown(asked)}>{t.choose}</Notice>
        )}
      </div>
    </>
  )
}
export default Reference

const useApi = () => {
  const [api, setApi] = useState<Api>()
  const [failed, setFailed] = useState<string>()
  const [tries, setTries] = useState(0)
  useEffect(() => {
    const abort = new AbortController()
    setFailed(undefined)
    readApi(abort.signal).then(setApi, (cause: Error) => {
      if (!abort.signal.aborted) setFailed(cause.message)
    })
    return () => abort.abort()
  }, [tries])
  return { api, failed, again: () => setTries(n => n + 1) }
}

const Operations = ({ operations, chosen }: { operations: readonly Operation[]; chosen: string }) => (
  <nav aria-label={t.operations} class="ref-nav">
    {operations.length === 0 && <p class="quiet">{t.nothing}</p>}
    {[...byTag(operations)].map(([tag, ofTag]) => (
      <section key={tag}>
        <h2>{tag}</h2>
        <ul>
          {ofTag.map(({ id, method, path }) => (
            <li key={id}>
              <Link to={operationAddress(id)} aria-current={id === chosen ? 'page' : undefined}>
                <span class={`method ${method}`}>{method}</span> {path}
              </Link>
            </li>
          ))}
        </ul>
      </section>
    ))}
  </nav>
)

/** The same list where there is no room for it beside the operation. */
const OperationSelect = ({ operations, chosen }: { operations: readonly Operation[]; chosen: string }) => (
  <select
    class="ref-select"
    aria-label={t.operations}
    value={chosen}
    onChange={event => go(operationAddress(event.currentTarget.value))}
  >
    {[...byTag(operations)].map(([tag, ofTag]) => (
      <optgroup key={tag} label={tag}>
        {ofTag.map(({ id, method, path }) => (
          <option key={id} value={id}>{`${method.toUpperCase()} ${path}`}</option>
        ))}
      </optgroup>
    ))}
  </select>
)

const Described = ({ operation, api, query }: { operation: Operation; api: Api; query: URLSearchParams }) => {
  const { id, method, path, summary, description } = operation
  const values = Object.fromEntries(
    [...query].filter(([key]) => key.startsWith(prefix)).map(([key, value]) => [key.slice(prefix.length), value]),
  )
  const onValue = (name: string, value: string) => {
    const next = new URLSearchParams(query)
    next.set('op', id)
    if (value === '') next.delete(prefix + name)
    else next.set(prefix + name, value)
    go(`/reference?${next}`, { replace: true })
  }
  return (
    <article class="panel ref-operation">
      <p class="ref-path">
        <span class={`method ${method}`}>{method}</span> <code>{path}</code>
      </p>
      <h2>{summary}</h2>
      {description && (
        <p class="ref-text">
          <Marked text={description} />
        </p>
      )}
      <h3>{t.parameters}</h3>
      <Try {...{ operation, values, onValue }} />
      <Shapes {...{ operation, api }} />
    </article>
  )
}

/** What is sent and what comes back, as types. */
const Shapes = ({ operation, api }: { operation: Operation; api: Api }) => {
  const bodies = Object.entries(operation.requestBody?.content ?? {})
  const answers = Object.entries(operation.responses)
  const schemas = [
    ...bodies.map(([, { schema }]) => schema),
    ...answers.flatMap(([, { content }]) => Object.values(content ?? {}).map(({ schema }) => schema)),
  ]
  return (
    <>
      {bodies.length > 0 && <h3>{t.requestBody}</h3>}
      {bodies.map(([type, { schema }]) => (
        <Shape key={type} title={type} text={typeText(schema)} />
      ))}
      <h3>{t.answers}</h3>
      {answers.map(([status, { description, content = {} }]) => (
        <div key={status} class="ref-response">
          <p>
            <strong>{status === 'default' ? t.otherwise : status}</strong> <span class="quiet">{description}</span>
          </p>
          {Object.entries(content).map(([type, { schema }]) => (
            <Shape key={type} title={type} text={typeText(schema)} />
          ))}
        </div>
      ))}
      {namedIn(schemas, api.schemas).map(name => (
        <details key={name}>
          <summary>
            <code>{name}</code>
          </summary>
          <Shape title={name} text={typeText(api.schemas[name])} />
        </details>
      ))}
    </>
  )
}

const Shape = ({ title, text }: { title: string; text: string }) => (
  <>
    <p class="quiet small">{title}</p>
    <Code label={t.shapeOf(title)} text={text} />
  </>
)
