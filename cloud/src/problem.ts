/** What the HTTP API says of its problems beside what all of ours say: their schema, and names that are not among what exists. */
import { z } from '@hono/zod-openapi'
import { nearestName } from '@penstock/config'
import { didYouMean, ProblemError, type ProblemKind } from '@penstock/http'

export { didYouMean, type ParameterError, ProblemError, type ProblemKind, problemResponse } from '@penstock/http'

export const problemSchema = z
  .object({
    type: z.string().openapi({ example: 'urn:penstock:problem:unknown-store' }),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    errors: z
      .array(z.object({ parameter: z.string(), detail: z.string(), suggestion: z.string().optional() }))
      .optional(),
  })
  .openapi('Problem')

/** Every refusal and failure, for the description of a route. */
export const problemResponses = {
  default: {
    description: 'A problem, as RFC 9457 says',
    content: { 'application/problem+json': { schema: problemSchema } },
  },
} as const

/** The sentence and the nearest name for something that is not among what exists. */
export const unknownName = (
  kind: ProblemKind,
  parameter: string,
  written: string,
  candidates: readonly string[],
): ProblemError => {
  const suggestion = nearestName(written, candidates)
  const shown = candidates.slice(0, 12).map(c => `"${c}"`)
  const known =
    shown.length === 0 ? 'none is known yet' : `known are ${shown.join(', ')}${candidates.length > 12 ? ' …' : ''}`
  const detail = `There is no ${parameter} "${written.slice(0, 80)}".${didYouMean(suggestion) || ` ${known[0]?.toUpperCase()}${known.slice(1)}.`}`
  return new ProblemError(404, kind, detail, {
    errors: [{ parameter, detail: known, ...(suggestion !== undefined && { suggestion }) }],
  })
}
