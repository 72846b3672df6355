/**
 * Who may see the page.
 *
 * - Requests of this machine need nothing. Beyond it, the configuration says either a token, which a browser asks its user
 *   for as the password of a login, or `open: true`: whoever reaches the address sees the readings.
 * - A page of another site may not use this one: it can neither read through a name that it made point here (the Host is
 *   then neither an address nor one of our names), nor ask on its own behalf (the browser says so), nor post.
 */
import { isIP } from 'node:net'
import { hostName, isLoopback, ProblemError, refuseForeignOrigin, remoteIsLocal, sameSecret } from '@penstock/http'
import type { Context, MiddlewareHandler } from 'hono'

export interface PageAccess {
  token?: string
  /** Names under which browsers reach the page, besides addresses and localhost. */
  names: readonly string[]
}

/** A page of another origin cannot set it without being asked first, and is never allowed to. */
export const postHeader = 'x-penstock'

export const checkPageAccess = ({ token, names }: PageAccess): MiddlewareHandler => {
  const ours = new Set(names.map(name => name.toLowerCase()))
  return async function checkPageAccess(c, next) {
    const host = hostName(c.req.header('host'))
    if (host !== undefined && !isLoopback(host) && isIP(host) === 0 && !ours.has(host)) {
      const detail = `This gateway does not know itself as "${host.slice(0, 80)}": use its address, or add the name to page.names of its configuration.`
      throw new ProblemError(403, 'forbidden', detail)
    }
    refuseOtherSites(c)
    if (token !== undefined && !remoteIsLocal(c) && !shows(c, token)) {
      throw new ProblemError(
        401,
        'not-authorized',
        'From another machine, show the token: as the password of a login.',
        {
          headers: { 'www-authenticate': 'Basic realm="Penstock gateway", charset="UTF-8"' },
        },
      )
    }
    await next()
  }
}

const refuseOtherSites = (c: Context): void => {
  const from = c.req.header('sec-fetch-site')
  if (c.req.path.startsWith('/api/') && (from === 'cross-site' || from === 'same-site')) {
    throw new ProblemError(403, 'forbidden', 'A page of another origin may not read here.')
  }
  if (c.req.method === 'GET' || c.req.method === 'HEAD') return
  refuseForeignOrigin(c)
  if (c.req.header(postHeader) === undefined) {
    throw new ProblemError(403, 'forbidden', `What is posted here carries the header ${postHeader}: 1.`)
  }
}

const shows = (c: Context, token: string): boolean => {
  const [scheme = '', value = ''] = (c.req.header('authorization') ?? '').split(/\s+(.*)/s)
  if (scheme.toLowerCase() === 'bearer') return sameSecret(value, token)
  if (scheme.toLowerCase() !== 'basic') return false
  const login = Buffer.from(value, 'base64').toString('utf8')
  return sameSecret(login.slice(login.indexOf(':') + 1), token)
}
