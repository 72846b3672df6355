/** One GET with limits for everything, and what went wrong in words that a person can act on. */

export interface HttpRequest {
  url: URL
  headers: Readonly<Record<string, string>>
  /** From the first byte sent to the last one read. */
  requestMsMax: number
  /** Of the answer, after it was unpacked. */
  bodyBytesMax: number
}

export interface HttpAnswer {
  status: number
  body: Uint8Array
  etag?: string
  lastModified?: string
  /** How long the server asks to be left alone. */
  retryAfterMs?: number
}

/** The server was not reached, or its answer cannot be taken. The message says it in plain words and holds no query, which may hold secrets. */
export class HttpProblem extends Error {
  override name = 'HttpProblem'
  /** It concerns the server and not this one request: no other one will do better. */
  readonly isUnreachable: boolean
  constructor(message: string, isUnreachable = false, options?: ErrorOptions) {
    super(message, options)
    this.isUnreachable = isUnreachable
  }
}

const redirectsMax = 3
const errorBodyBytesMax = 4096

/** Throws an HttpProblem, or the signal's reason when it aborts. @param nowMs for a Retry-After that is a date */
export const getBytes = async (request: HttpRequest, nowMs: number, signal: AbortSignal): Promise<HttpAnswer> => {
  const { headers, requestMsMax } = request
  let { url } = request
  signal.throwIfAborted()
  // Not AbortSignal.any: the signal of a source lives for months, and would keep what hangs on it.
  const end = new AbortController()
  const onAbort = () => end.abort()
  signal.addEventListener('abort', onAbort)
  const timer = setTimeout(onAbort, requestMsMax)
  try {
    for (let redirects = 0; ; redirects++) {
      const response = await fetch(url, { headers, redirect: 'manual', signal: end.signal })
      const target = redirectOf(response, url)
      if (target === undefined) return await read(response, request, nowMs)
      await response.body?.cancel()
      // Headers may hold secrets: they go nowhere but to the server that they are meant for.
      if (target.origin !== url.origin || redirects >= redirectsMax) {
        throw new HttpProblem(`${url.host} has moved to ${target.origin}${target.pathname}: give that address in "url"`)
      }
      url = target
    }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof HttpProblem) throw error
    if (end.signal.aborted) throw new HttpProblem(`${url.host} gave no whole answer within ${requestMsMax} ms`)
    throw new HttpProblem(plainWords(url, error as Error), true, { cause: error })
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

const redirectOf = (response: Response, from: URL): URL | undefined => {
  const location = response.headers.get('location')
  if (response.status < 300 || response.status > 399 || response.status === 304 || location === null) return undefined
  return URL.canParse(location, from.href) ? new URL(location, from) : undefined
}

const read = async (response: Response, request: HttpRequest, nowMs: number): Promise<HttpAnswer> => {
  const { status, headers } = response
  const isError = status >= 400
  const bytesMax = isError ? errorBodyBytesMax : request.bodyBytesMax
  const chunks: Uint8Array[] = []
  let length = 0
  if (response.body) {
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      length += chunk.length
      chunks.push(chunk)
      if (length <= bytesMax) continue
      if (isError) break
      throw new HttpProblem(
        `the answer of ${request.url.host} is longer than ${bytesMax} bytes: ask for less, or raise "bodyBytesMax"`,
      )
    }
  }
  const etag = headers.get('etag')
  const lastModified = headers.get('last-modified')
  const retryAfterMs = waitOf(headers.get('retry-after'), nowMs)
  return {
    status,
    body: Buffer.concat(chunks).subarray(0, bytesMax),
    ...(etag !== null && { etag }),
    ...(lastModified !== null && { lastModified }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  }
}

/** Seconds, or a date. */
const waitOf = (retryAfter: string | null, nowMs: number): number | undefined => {
  if (retryAfter === null) return undefined
  const seconds = /^\d+$/.test(retryAfter.trim()) ? Number(retryAfter) : (Date.parse(retryAfter) - nowMs) / 1000
  return Number.isFinite(seconds) ? Math.max(0, seconds * 1000) : undefined
}

const authority =
  'signed by an authority that this machine does not know: name its PEM file in the variable NODE_EXTRA_CA_CERTS of the gateway'
const words: Record<string, string> = {
  ENOTFOUND: 'there is no such host; check the name in "url"',
  EAI_AGAIN: 'the name cannot be looked up now: no network, or no name server',
  ECONNREFUSED: 'nothing listens at this address and port',
  ECONNRESET: 'the connection was broken off',
  UND_ERR_SOCKET: 'the connection was broken off',
  EPIPE: 'the connection was broken off',
  EHOSTUNREACH: 'the host cannot be reached from here',
  ENETUNREACH: 'there is no network to it from here',
  ETIMEDOUT: 'the host does not answer',
  UND_ERR_CONNECT_TIMEOUT: 'the host does not answer',
  UND_ERR_HEADERS_OVERFLOW: 'its headers are too long',
  CERT_HAS_EXPIRED: "the server's certificate has expired (or this machine's clock is wrong)",
  CERT_NOT_YET_VALID: "the server's certificate is not valid yet: this machine's clock is wrong",
  ERR_TLS_CERT_ALTNAME_INVALID: 'the server\'s certificate is for another name than that in "url"',
  DEPTH_ZERO_SELF_SIGNED_CERT: `the server's certificate is ${authority}`,
  SELF_SIGNED_CERT_IN_CHAIN: `the server's certificate is ${authority}`,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: `the server's certificate is ${authority}`,
  UNABLE_TO_GET_ISSUER_CERT: `the server's certificate is ${authority}`,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: `the server's certificate is ${authority}`,
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS at this port: is it http:// instead of https://?',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS at this port: is it http:// instead of https://?',
}

/** fetch says "fetch failed"; what a person can act on stands in its cause. */
const plainWords = (url: URL, error: Error): string => {
  const cause = (error.cause ?? error) as Error & { code?: string; errors?: { code?: string }[] }
  const code = cause.code ?? cause.errors?.[0]?.code ?? ''
  if (code.startsWith('HPE_')) return `${url.host}: what answers does not speak HTTP${isPlain(url)}`
  return `${url.host}: ${words[code] ?? (cause.message || code || error.message)}`
}
const isPlain = (url: URL): string => (url.protocol === 'http:' ? ': is it https:// instead of http://?' : '')
