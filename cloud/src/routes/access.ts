/**
 * Who may do what.
 *
 * - Requests of this machine need no token. Those of other machines show it: `Authorization: Bearer <token>`, or Basic
 *   with any user name and the token as the password, which is what a browser asks its user for.
 * - Where gateways are configured, whoever writes shows a gateway's password, also on this machine.
 * - A page of another site may neither write (its Origin is not ours) nor read through a name that it made point here
 *   (the Host is not ours).
 */
import { nameSchema } from '@penstock/frame'
import { hostName, isLoopback, refuseForeignOrigin, remoteIsLocal, sameSecret } from '@penstock/http'
import type { Context, MiddlewareHandler } from 'hono'
import type { Access } from '../deps.ts'
import { ProblemError } from '../problem.ts'

interface Credential {
  username?: string
  secret: string
}
/**
 * What the request shows, in each of the ways in which it can be meant. InfluxDB's clients write `Token <token>`, or
 * `Token <user>:<password>`, or `u` and `p` in the query.
 */
const credentialsOf = (c: Context): Credential[] => {
  const [scheme = '', value = ''] = (c.req.header('authorization') ?? '').split(/\s+(.*)/s)
  switch (scheme.toLowerCase()) {
    case 'bearer':
      return value === '' ? [] : [{ secret: value }]
    case 'token':
      return value === '' ? [] : [{ secret: value }, ...loginOf(value)]
    case 'basic':
      return loginOf(Buffer.from(value, 'base64').toString('utf8'))
  }
  const secret = isInfluxPath(c.req.path) ? c.req.query('p') : undefined
  return secret === undefined ? [] : [{ username: c.req.query('u') ?? '', secret }]
}
const loginOf = (text: string): Credential[] => {
  const colon = text.indexOf(':')
  return colon < 0 ? [] : [{ username: text.slice(0, colon), secret: text.slice(colon + 1) }]
}

/** Where InfluxDB's clients write: answered in its forms. */
export const isInfluxPath = (path: string): boolean => path === '/api/v2/write' || path === '/write'

const notAuthorized = (detail: string): ProblemError =>
  new ProblemError(401, 'not-authorized', detail, {
    headers: { 'www-authenticate': 'Basic realm="Penstock", charset="UTF-8", Bearer realm="Penstock"' },
  })

const isHealth = (path: string): boolean => path === '/health' || path === '/ready'

export const checkAccess = (access: Access): MiddlewareHandler => {
  const hosts = new Set(access.hosts.map(host => host.toLowerCase()))
  return async function checkAccess(c, next) {
    const host = hostName(c.req.header('host'))
    const open = access.token === undefined || remoteIsLocal(c)
    if (open && host !== undefined && !isLoopback(host) && !hosts.has(host)) {
      const detail = `This service does not know itself as "${host.slice(0, 80)}": add the name to listen.names of its configuration.`
      throw new ProblemError(403, 'forbidden', detail)
    }
    if (c.req.method !== 'GET' && c.req.method !== 'HEAD') refuseForeignOrigin(c)
    const needsToken = access.token !== undefined && !remoteIsLocal(c) && !isHealth(c.req.path)
    if (needsToken && !mayPass(c, access)) {
      throw notAuthorized('From another machine, show the token: as bearer token, or as the password of a login.')
    }
    await next()
  }
}

const mayPass = (c: Context, access: Access): boolean => {
  const credentials = credentialsOf(c)
  if (credentials.some(({ secret }) => sameSecret(secret, access.token ?? ''))) return true
  return isWrite(c) && access.gateways !== undefined && findGateway(credentials, access) !== undefined
}

const writePaths = new Set(['/v1/frames', '/v1/status', '/v1/readings'])
const isWrite = ({ req }: Context): boolean =>
  isInfluxPath(req.path) || (req.method === 'POST' && writePaths.has(req.path))

const findGateway = (credentials: readonly Credential[], access: Access): string | undefined => {
  let found: string | undefined
  for (const gateway of access.gateways ?? []) {
    for (const { username, secret } of credentials) {
      if (sameSecret(gateway.password, secret) && (username === undefined || username === gateway.username))
        found = gateway.id
    }
  }
  return found
}

/** The gateway whose credential the request shows, where gateways are configured: then nobody else writes. */
export const writerOf = (c: Context, access: Access): string | undefined => {
  if (access.gateways === undefined) return undefined
  const id = findGateway(credentialsOf(c), access)
  if (id === undefined)
    throw notAuthorized("Show the gateway's password: as bearer token, or as the password of a login.")
  return id
}

/** The gateway that sends: by its credential where gateways are configured, else by the name that it gives. */
export const gatewayOf = (c: Context, access: Access, named: string | undefined): string => {
  const id = writerOf(c, access)
  if (id === undefined) {
    const name = nameSchema.safeParse(named)
    if (name.success) return name.data
    const detail = 'expected the id of the gateway'
    throw new ProblemError(400, 'invalid-parameter', `gateway: ${detail}.`, {
      errors: [{ parameter: 'gateway', detail }],
    })
  }
  if (named !== undefined && named !== id) {
    throw new ProblemError(403, 'forbidden', `This credential belongs to another gateway than "${named.slice(0, 80)}".`)
  }
  return id
}
