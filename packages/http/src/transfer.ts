/**
 * Text that is asked for again and again costs little on the line: an answer that fits into memory gets a weak ETag of its
 * body, and is answered 304 where the client has it; answers are compressed as the client takes them.
 *
 *     body ─► the first `wholeBytesMax` ─┬─ that was all ─► ETag ─► 304, or whole, compressed, with its length
 *                                        └─ there is more ─► passed on as it comes, compressed on the way, no ETag
 *
 * Hono's own `etag` and `compress` are not used: the one reads every body to its end, event streams too, and holds a
 * second copy of it meanwhile; the other passes over whatever is sent in chunks, which here is all that is long.
 */
import { createHash } from 'node:crypto'
import { pipeline, Readable } from 'node:stream'
import { ReadableStream as WebStream } from 'node:stream/web'
import { promisify } from 'node:util'
import { brotliCompress, constants, createBrotliCompress, createGzip, gzip } from 'node:zlib'
import type { Context, MiddlewareHandler } from 'hono'

export type Encoding = 'br' | 'gzip'

const wholeBytesMax = 256 * 1024
/** Less than this fits into one packet anyway. */
const packBytesMin = 1024
const gzipOptions = { level: 5 }
/** A window of 256 KiB, so that many answers at a time stay within memory. */
const brotliOptions = {
  params: { [constants.BROTLI_PARAM_QUALITY]: 4, [constants.BROTLI_PARAM_LGWIN]: 18 },
}
const pack = {
  br: (bytes: Uint8Array) => promisify(brotliCompress)(bytes, brotliOptions),
  gzip: (bytes: Uint8Array) => promisify(gzip)(bytes, gzipOptions),
}

/** What of brotli and gzip a client takes (`Accept-Encoding`), the one that it prefers, brotli where it does not mind. */
export const encodingFor = (header: string | undefined): Encoding | undefined => {
  const weights = new Map<string, number>()
  for (const part of (header ?? '').split(',')) {
    const [name = '', ...parameters] = part.split(';').map(text => text.trim().toLowerCase())
    const q = parameters.find(text => text.startsWith('q='))?.slice(2)
    weights.set(name, q === undefined ? 1 : Number(q) || 0)
  }
  const weight = (name: Encoding) => weights.get(name) ?? weights.get('*') ?? 0
  const [br, gz] = [weight('br'), weight('gzip')]
  if (br > 0 && br >= gz) return 'br'
  return gz > 0 ? 'gzip' : undefined
}

/** Whether one of the tags of `If-None-Match` is this one; weak and strong are the same here. */
export const tagMatches = (header: string | undefined, etag: string): boolean => {
  const bare = (tag: string) => tag.trim().replace(/^W\//, '')
  return header?.split(',').some(tag => tag.trim() === '*' || bare(tag) === bare(etag)) ?? false
}

const isText = (type: string): boolean => /^(?:application\/(?:[\w.]+\+)?json|text\/(?:csv|plain))\b/.test(type)

/** Middleware for the routes of an API; answers that bring an ETag or an encoding of their own pass as they are. */
export const compactAnswers = (): MiddlewareHandler =>
  async function compactAnswers(c, next) {
    await next()
    const { status, headers, body } = c.res
    if (status !== 200 || !body || !isText(headers.get('content-type') ?? '')) return
    if (headers.has('etag') || headers.has('content-encoding')) return
    const { chunks, rest } = await beginning(body)
    const encoding = c.req.method === 'HEAD' ? undefined : encodingFor(c.req.header('accept-encoding'))
    const answer = rest
      ? streamed(resumed(chunks, rest), new Headers(headers), encoding)
      : await whole(c, Buffer.concat(chunks), new Headers(headers), encoding)
    // What is set is merged with what was there, unless that is taken away first.
    c.res = undefined
    c.res = answer
  }

const whole = async (c: Context, bytes: Buffer, headers: Headers, encoding: Encoding | undefined) => {
  const mayKnow = c.req.method === 'GET' || c.req.method === 'HEAD'
  headers.delete('transfer-encoding')
  headers.append('vary', 'accept-encoding')
  if (mayKnow) {
    const etag = `W/"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
    headers.set('etag', etag)
    // Kept by the browser, and asked for each time. Readings are no one else's.
    if (!headers.has('cache-control')) headers.set('cache-control', 'private, no-cache')
    if (tagMatches(c.req.header('if-none-match'), etag)) {
      for (const name of ['content-type', 'content-length']) headers.delete(name)
      return new Response(null, { status: 304, headers })
    }
  }
  const packs = encoding !== undefined && bytes.length >= packBytesMin
  const body = new Uint8Array(packs ? await pack[encoding](bytes) : bytes)
  if (packs) headers.set('content-encoding', encoding)
  headers.set('content-length', String(body.length))
  return new Response(body, { status: 200, headers })
}

const streamed = (body: WebStream<Uint8Array>, headers: Headers, encoding: Encoding | undefined): Response => {
  headers.delete('content-length')
  headers.append('vary', 'accept-encoding')
  if (encoding) headers.set('content-encoding', encoding)
  const sent = encoding ? packedStream(body, encoding) : body
  return new Response(sent as unknown as ReadableStream<Uint8Array>, { status: 200, headers })
}

type Reader = ReadableStreamDefaultReader<Uint8Array>
/** What is still to come of a body, or why it did not. */
type Rest = { reader: Reader } | { error: unknown }

const beginning = async (body: ReadableStream<Uint8Array>): Promise<{ chunks: Uint8Array[]; rest?: Rest }> => {
  const reader = body.getReader()
  const chunks: Uint8Array[] = []
  for (let bytes = 0; bytes <= wholeBytesMax; ) {
    try {
      const { done, value } = await reader.read()
      if (done) return { chunks }
      chunks.push(value)
      bytes += value.length
    } catch (error) {
      return { chunks, rest: { error } }
    }
  }
  return { chunks, rest: { reader } }
}

/** The whole body again: what was read of it, then the rest as it is asked for. */
const resumed = (chunks: Uint8Array[], rest: Rest): WebStream<Uint8Array> =>
  new WebStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk = chunks.shift()
        if (chunk) return controller.enqueue(chunk)
        if ('error' in rest) return controller.error(rest.error)
        const { done, value } = await rest.reader.read()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      async cancel(reason) {
        if ('reader' in rest) await rest.reader.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )

/** Paced by its reader; ended, and its source with it, where that goes away; broken off where the source fails. */
const packedStream = (body: WebStream<Uint8Array>, encoding: Encoding): WebStream<Uint8Array> => {
  const packer = encoding === 'br' ? createBrotliCompress(brotliOptions) : createGzip(gzipOptions)
  // Whoever reads the packer is told of an error; nobody else is there to be told.
  pipeline(Readable.fromWeb(body), packer, () => {})
  return Readable.toWeb(packer) as WebStream<Uint8Array>
}
