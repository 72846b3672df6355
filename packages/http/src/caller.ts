/** Who asks, as far as the connection and its headers tell: from this machine or not, by which name, from a page of which origin. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Context } from 'hono'
import { ProblemError } from './problem.ts'

/** 127.0.0.0/8, ::1 and localhost; also as an IPv4 address mapped into IPv6. */
export const isLoopback = (address: string): boolean =>
  address === 'localhost' || address === '::1' || /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(address)

interface NodeEnv {
  incoming?: { socket?: { remoteAddress?: string } }
}
/** Whether the connection comes from this machine. */
export const remoteIsLocal = (c: Context): boolean =>
  isLoopback((c.env as NodeEnv | undefined)?.incoming?.socket?.remoteAddress ?? '')

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
/** Compares secrets in a time that does not tell how much of them is right. */
export const sameSecret = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b))

/** The name in a Host header, without port and brackets. */
export const hostName = (host: string | undefined): string | undefined =>
  host
    ?.toLowerCase()
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')

/** @throws ProblemError where a page of another origin sent this */
export const refuseForeignOrigin = (c: Context): void => {
  const origin = c.req.header('origin')
  if (origin === undefined) return
  const host = c.req.header('host')
  if (host === undefined || !URL.canParse(origin) || new URL(origin).host !== host) {
    throw new ProblemError(403, 'forbidden', 'A page of another origin may not write here.')
  }
}
