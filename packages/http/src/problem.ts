/** Errors of an HTTP API as RFC 9457 problem details: one clear sentence, the parameter that it is about, the nearest valid name. */
import { nearestName } from '@penstock/config'
import type * as z from 'zod'

/** Kinds of problem; their URIs are `urn:penstock:problem:<kind>`. */
const titles = {
  'invalid-parameter': 'A parameter is not as expected',
  'unknown-parameter': 'A parameter has an unknown name',
  'unknown-path': 'There is nothing at this path',
  'unknown-store': 'There is no such store',
  'unknown-sensor': 'There is no such sensor',
  'unknown-series': 'There is no such series',
  'method-not-allowed': 'This path does not answer to this method',
  'not-authorized': 'A credential is missing or wrong',
  forbidden: 'This credential or origin may not do that',
  'body-too-large': 'The body is too large',
  'unsupported-media-type': 'The body has a type that is not read here',
  'invalid-body': 'The body breaks the contract',
  'out-of-order': 'The entry does not follow the last one',
  'too-many-clients': 'Too many clients listen already',
  'not-ready': 'The service is not ready yet',
  internal: 'Something failed on our side',
} as const
export type ProblemKind = keyof typeof titles

export interface ParameterError {
  parameter: string
  detail: string
  /** The nearest valid name or value. */
  suggestion?: string
}

/** Thrown by routes; `app.onError` answers it. */
export class ProblemError extends Error {
  override name = 'ProblemError'
  readonly kind: ProblemKind
  readonly status: number
  readonly errors: readonly ParameterError[]
  readonly headers: Readonly<Record<string, string>>
  /** Further members of the answer. */
  readonly extra: Readonly<Record<string, unknown>>
  constructor(
    status: number,
    kind: ProblemKind,
    detail: string,
    options: {
      errors?: readonly ParameterError[]
      headers?: Readonly<Record<string, string>>
      extra?: Readonly<Record<string, unknown>>
    } = {},
  ) {
    super(detail)
    this.status = status
    this.kind = kind
    this.errors = options.errors ?? []
    this.headers = options.headers ?? {}
    this.extra = options.extra ?? {}
  }
}

export const problemResponse = (problem: ProblemError): Response =>
  new Response(
    JSON.stringify({
      type: `urn:penstock:problem:${problem.kind}`,
      title: titles[problem.kind],
      status: problem.status,
      detail: problem.message,
      ...(problem.errors.length > 0 && { errors: problem.errors }),
      ...problem.extra,
    }),
    {
      status: problem.status,
      headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...problem.headers },
    },
  )

/** ` Did you mean "x"?` where something is near, else nothing. */
export const didYouMean = (suggestion: string | undefined): string =>
  suggestion === undefined ? '' : ` Did you mean "${suggestion}"?`

/** What a check of a query found wrong. @param names of the parameters that are known here */
export const invalidParameters = (issues: readonly z.core.$ZodIssue[], names: readonly string[]): ProblemError => {
  const errors = issues.flatMap(issue => parameterErrors(issue, names))
  const unknown = issues.some(issue => issue.code === 'unrecognized_keys')
  const detail = errors.map(e => `${e.parameter}: ${e.detail}.${didYouMean(e.suggestion)}`).join(' ')
  return new ProblemError(400, unknown ? 'unknown-parameter' : 'invalid-parameter', detail, { errors })
}

const parameterErrors = (issue: z.core.$ZodIssue, names: readonly string[]): ParameterError[] => {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, 16).map(key => {
      const parameter = key.slice(0, 80)
      const suggestion = nearestName(parameter, names)
      const detail = names.length === 0 ? 'no parameter is known here' : `unknown; known are ${names.join(', ')}`
      return { parameter, detail, ...(suggestion !== undefined && { suggestion }) }
    })
  }
  const parameter = String(issue.path[0] ?? '')
  const missing = issue.code === 'invalid_type' && issue.input === undefined
  return [{ parameter, detail: missing ? 'is missing' : issue.message }]
}
