/** Bodies of requests: bounded while they come in. */
import type { Context } from 'hono'
import { ProblemError } from '../problem.ts'

/** Counts while it reads: a body without a length, or with a false one, ends at the limit. */
export const readBody = async (c: Context, bytesMax: number): Promise<Uint8Array> => {
  const tooLarge = () =>
    new ProblemError(413, 'body-too-large', `The body has more than the ${bytesMax} bytes allowed.`, {
      headers: { connection: 'close' },
    })
  if (Number(c.req.header('content-length') ?? 0) > bytesMax) throw tooLarge()
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of (c.req.raw.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length
    if (bytes > bytesMax) throw tooLarge()
    chunks.push(chunk)
  }
  if (bytes === 0) throw new ProblemError(400, 'invalid-body', 'The body is empty.')
  return Buffer.concat(chunks, bytes)
}

/** These are the types that a page of another origin may send without being asked: never from a gateway. */
export const refuseFormTypes = (c: Context): void => {
  const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (type === undefined || /^application\/(octet-stream|json|gzip|vnd\.penstock)/.test(type)) return
  throw new ProblemError(
    415,
    'unsupported-media-type',
    `A body of type ${type} is not read here: send application/octet-stream.`,
  )
}
